//! One dialogue: RFC 5321, 3030, 3207 and 4954 as far as a well-behaved client needs them, and the deeds.

use std::io::{Error, ErrorKind, Result};
use std::net::TcpStream;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::manner::{Deed, Manner, Phase};
use super::wire::Wire;
use super::{Received, Shared, lock};

/// Serves a connection to its end, whoever ends it.
pub(super) fn serve(stream: TcpStream, number: usize, own: Option<Manner>, shared: &Shared) {
    let is_usual = own.is_none();
    let manner = own.unwrap_or_else(|| lock(&shared.manners).usual.clone());
    let mut session = Session { wire: Wire::new(stream), number, manner, is_usual, shared, login: None, open: None };
    let _ = session.run();
}

struct Session<'a> {
    wire: Wire,
    number: usize,
    manner: Manner,
    /// It changes when the server's does.
    is_usual: bool,
    shared: &'a Shared,
    login: Option<String>,
    open: Option<Transaction>,
}

#[derive(Default)]
struct Transaction {
    mail: String,
    rcpt: Vec<String>,
    chunks: Vec<u8>,
    chunked: bool,
    body_began: bool,
}

impl Session<'_> {
    fn run(&mut self) -> Result<()> {
        let greeting = self.manner.greeting.clone();
        self.answer(Phase::Connect, &greeting)?;
        loop {
            let line = self.command()?;
            let (verb, arguments) = line.split_once([' ', ':']).unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    let offers = self.offers();
                    self.answer(Phase::Ehlo, &offers)?;
                }
                "HELO" => self.answer(Phase::Helo, "250 remote.test")?,
                "STARTTLS" => self.start_tls()?,
                "AUTH" => self.auth(arguments)?,
                "MAIL" => self.mail(arguments)?,
                "RCPT" => self.rcpt(arguments)?,
                "DATA" => self.data()?,
                "BDAT" => self.chunk(arguments)?,
                "RSET" => {
                    self.open = None;
                    self.answer(Phase::Rset, "250 2.0.0 forgotten")?;
                }
                "NOOP" => self.say("250 2.0.0 nothing done")?,
                "QUIT" => {
                    self.answer(Phase::Quit, "221 2.0.0 good bye")?;
                    return Ok(());
                }
                _ => self.say("500 5.5.1 what?")?,
            }
        }
    }

    /// A command line without its end, also written down.
    fn command(&mut self) -> Result<String> {
        let line = String::from_utf8_lossy(&self.wire.line()?).trim_end().to_owned();
        lock(&self.shared.ledger).connections[self.number].commands.push(line.clone());
        if self.is_usual {
            self.manner = lock(&self.shared.manners).usual.clone();
        }
        Ok(line)
    }

    fn offers(&self) -> String {
        let mut lines = vec!["remote.test".to_owned()];
        lines.extend(self.manner.offers.iter().cloned());
        if self.manner.certificate.is_some() && !self.wire.is_tls() {
            lines.push("STARTTLS".into());
        }
        if self.manner.login.is_some() {
            lines.push("AUTH PLAIN LOGIN".into());
        }
        let last = lines.pop().unwrap_or_default();
        let first: String = lines.iter().map(|line| format!("250-{line}\r\n")).collect();
        format!("{first}250 {last}")
    }

    fn start_tls(&mut self) -> Result<()> {
        let Some(certificate) = self.manner.certificate.clone() else { return self.say("502 5.5.1 not here") };
        match self.manner.deed(Phase::StartTls) {
            Some(Deed::Inject(bytes)) => self.wire.say(&[b"220 2.0.0 go ahead\r\n", &bytes[..]].concat())?,
            Some(Deed::BreakTls) => {
                self.wire.say(b"220 2.0.0 go ahead\r\n")?;
                self.wire.line()?;
                self.wire.say(b"this is no TLS\r\n")?;
                return Err(ErrorKind::ConnectionAborted.into());
            }
            _ => self.answer(Phase::StartTls, "220 2.0.0 go ahead")?,
        }
        let refused = matches!(self.manner.deed(Phase::StartTls), Some(Deed::Say(_)));
        if refused {
            return Ok(());
        }
        self.open = None;
        self.wire.secure(certificate.server())
    }

    /// PLAIN and LOGIN, with and without an initial response (RFC 4954 §4).
    fn auth(&mut self, arguments: &str) -> Result<()> {
        let Some((user, password)) = self.manner.login.clone() else { return self.say("502 5.5.1 not here") };
        let (mechanism, initial) = arguments.split_once(' ').unwrap_or((arguments, ""));
        let good = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let response = if initial.is_empty() { self.ask("334 ")? } else { decode(initial) };
                let mut parts = response.split('\0').skip(1);
                (parts.next(), parts.next()) == (Some(&user), Some(&password))
            }
            "LOGIN" => {
                let name = if initial.is_empty() { self.ask("334 VXNlcm5hbWU6")? } else { decode(initial) };
                let word = self.ask("334 UGFzc3dvcmQ6")?;
                (name, word) == (user.clone(), password)
            }
            _ => return self.say("504 5.5.4 unknown"),
        };
        if !good {
            return self.say("535 5.7.8 wrong");
        }
        self.login = Some(user);
        self.answer(Phase::Auth, "235 2.7.0 welcome")
    }

    fn ask(&mut self, question: &str) -> Result<String> {
        self.say(question)?;
        Ok(decode(&self.command()?))
    }

    fn mail(&mut self, arguments: &str) -> Result<()> {
        if self.manner.login.is_some() && self.login.is_none() {
            return self.say("530 5.7.0 who are you?");
        }
        if self.open.is_some() {
            return self.say("503 5.5.1 one at a time");
        }
        if !matches!(self.manner.deed(Phase::Mail), Some(Deed::Say(_))) {
            let mail = behind_colon(arguments);
            self.open = Some(Transaction { mail, ..Transaction::default() });
        }
        self.answer(Phase::Mail, "250 2.1.0 ok")
    }

    fn rcpt(&mut self, arguments: &str) -> Result<()> {
        let address = behind_colon(arguments);
        let inside = address.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
        if self.open.is_none() {
            return self.say("503 5.5.1 who from?");
        }
        if let Some(refusal) = self.manner.refusal(inside) {
            let refusal = refusal.to_owned();
            return self.say(&refusal);
        }
        if !matches!(self.manner.deed(Phase::Rcpt), Some(Deed::Say(_)))
            && let Some(open) = &mut self.open
        {
            open.rcpt.push(address);
        }
        self.answer(Phase::Rcpt, "250 2.1.5 ok")
    }

    fn data(&mut self) -> Result<()> {
        if self.open.as_ref().is_none_or(|open| open.rcpt.is_empty()) {
            return self.say("554 5.5.1 for whom?");
        }
        self.answer(Phase::Data, "354 go ahead")?;
        if matches!(self.manner.deed(Phase::Data), Some(Deed::Say(_))) {
            return Ok(());
        }
        let mut bytes = Vec::new();
        loop {
            let line = self.wire.line()?;
            if line == b".\r\n" {
                break;
            }
            self.body_began()?;
            bytes.extend(line.strip_prefix(b".").unwrap_or(&line));
        }
        self.end(bytes, false)
    }

    /// BDAT (RFC 3030 §2).
    fn chunk(&mut self, arguments: &str) -> Result<()> {
        let (size, last) = arguments.split_once(' ').unwrap_or((arguments, ""));
        let size: usize = size.parse().map_err(Error::other)?;
        let bytes = self.wire.exactly(size)?;
        if self.open.as_ref().is_none_or(|open| open.rcpt.is_empty()) {
            return self.say("554 5.5.1 for whom?");
        }
        self.body_began()?;
        let Some(open) = &mut self.open else { return Ok(()) };
        open.chunks.extend(bytes);
        open.chunked = true;
        if last.eq_ignore_ascii_case("LAST") {
            let bytes = std::mem::take(&mut open.chunks);
            self.end(bytes, true)
        } else {
            self.say("250 2.0.0 more")
        }
    }

    fn body_began(&mut self) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if std::mem::replace(&mut open.body_began, true) {
            return Ok(());
        }
        match self.manner.deed(Phase::Body) {
            Some(deed) => self.act(&deed.clone()),
            None => Ok(()),
        }
    }

    /// The message is here. It counts as taken before the answer, and as answered behind it.
    fn end(&mut self, bytes: Vec<u8>, chunked: bool) -> Result<()> {
        let open = self.open.take().unwrap_or_default();
        let deed = self.manner.deed(Phase::End).cloned();
        let received = Received {
            connection: self.number,
            tls: self.wire.is_tls(),
            chunked,
            login: self.login.clone(),
            mail: open.mail,
            rcpt: open.rcpt,
            bytes,
            taken: Instant::now(),
            answered: None,
        };
        let take = || {
            let mut ledger = lock(&self.shared.ledger);
            ledger.received.push(received);
            ledger.received.len() - 1
        };
        match deed {
            Some(Deed::TakeAndClose) => {
                take();
                Err(ErrorKind::ConnectionAborted.into())
            }
            Some(Deed::TakeAndStall) => {
                take();
                self.act(&Deed::Stall)
            }
            Some(deed) => self.act(&deed),
            None => {
                let number = take();
                self.say(&format!("250 2.0.0 taken as {number}"))?;
                lock(&self.shared.ledger).received[number].answered = Some(Instant::now());
                Ok(())
            }
        }
    }

    /// The deed of this phase, or the usual answer.
    fn answer(&mut self, phase: Phase, usual: &str) -> Result<()> {
        match self.manner.deed(phase) {
            Some(deed) => self.act(&deed.clone()),
            None => self.say(usual),
        }
    }

    fn act(&mut self, deed: &Deed) -> Result<()> {
        match deed {
            Deed::Say(bytes) => self.wire.say(bytes),
            Deed::SayAndClose(bytes) => {
                self.wire.say(bytes)?;
                Err(ErrorKind::ConnectionAborted.into())
            }
            Deed::Close | Deed::TakeAndClose | Deed::BreakTls => Err(ErrorKind::ConnectionAborted.into()),
            Deed::Stall | Deed::TakeAndStall => {
                self.wire.swallow();
                Err(ErrorKind::UnexpectedEof.into())
            }
            Deed::Babble => loop {
                self.wire.say(b"250-and another thing\r\n")?;
            },
            Deed::Inject(bytes) => self.wire.say(bytes),
        }
    }

    fn say(&mut self, line: &str) -> Result<()> {
        self.wire.say(format!("{line}\r\n").as_bytes())
    }
}

fn decode(text: &str) -> String {
    String::from_utf8_lossy(&STANDARD.decode(text.trim()).unwrap_or_default()).into_owned()
}

/// What stands behind `FROM:` or `TO:`.
fn behind_colon(arguments: &str) -> String {
    arguments.split_once(':').map_or(arguments, |(_, rest)| rest).trim().to_owned()
}
