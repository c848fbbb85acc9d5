//! Commands: who may say what when.

use postroad_protocol::Step;
use postroad_sasl::{Channel, LINE_LIMIT, Secret, Turn, Unusable, wipe};

use crate::command::foreign_protocol;
use crate::lines::Line;
use crate::{
    Abandoned, Abuse, Command, Helo, Identity, MailFrom, RcptTo, Rejection, Reply, Role, Stage, parse_command,
};

use super::{Exchange, Pending, Phase, Session};

impl<W> Session<W> {
    /// Reads a command and obeys it.
    pub(super) fn command_line(&mut self) -> Option<Step<Stage>> {
        // TLS spoken to a clear port may never send a CR LF.
        if let Some(why) = foreign_protocol(self.input.line_start()) {
            let ended = self.hang_up(&Reply::new(554, (5, 5, 1), format!("{why}; closing")));
            self.report(Abuse::Foreign);
            return ended;
        }
        let (line, phase) = match self.next_line(Phase::Command) {
            Ok(found) => found,
            Err(why) => return why.into(),
        };
        self.phase = phase;
        self.counters.commands = self.counters.commands.saturating_add(1);
        if self.counters.commands > self.settings.commands_limit {
            return self.hang_up(&Reply::new(421, (4, 7, 0), "Too many commands; closing"));
        }
        let mut line = match line {
            Line::Whole(line) => line,
            Line::TooLong => return self.refuse(500, (5, 5, 2), "The line is too long"),
            Line::LoneCr | Line::LoneLf | Line::Flood | Line::Incomplete => {
                return self.refuse(500, (5, 5, 2), "The command has a lone CR in it; lines end with CR LF");
            }
        };
        let auth = line.get(..5).is_some_and(|head| head.eq_ignore_ascii_case(b"AUTH "));
        if line.len() > COMMAND_LIMIT && !auth {
            return self.refuse(500, (5, 5, 2), "The line is too long");
        }
        let smtputf8 = self.envelope.sender.as_ref().is_some_and(|sender| sender.smtputf8);
        let command = parse_command(&line, self.role(), smtputf8);
        wipe(&mut line);
        match command {
            Ok(command) => self.obey(command),
            Err(reply) => {
                self.fail(&reply);
                None
            }
        }
    }

    fn obey(&mut self, command: Command) -> Option<Step<Stage>> {
        match command {
            Command::Hello(helo) => self.hello_command(helo),
            Command::Mail(mail) => self.mail(mail),
            Command::Rcpt(rcpt) => self.rcpt(rcpt),
            Command::Data => self.data_command(),
            Command::Bdat { size, last } => self.bdat(size, last),
            Command::Burl { url, last } => self.burl(url, last),
            Command::Rset => {
                self.say(&Reply::new(250, (2, 0, 0), "Forgotten"));
                self.phase = self.abandoning(Abandoned::Reset, Phase::Command);
                None
            }
            Command::Noop => self.answer(250, (2, 0, 0), "Here I am"),
            Command::Quit => {
                self.say(&Reply::new(221, (2, 0, 0), "Goodbye"));
                self.close();
                None
            }
            // RFC 5321 §3.5.3, §7.3: nobody learns here which addresses exist.
            Command::Vrfy => self.answer(252, (2, 1, 5), "Not told; send the mail and see"),
            Command::Expn => self.refuse(502, (5, 5, 1), "Lists are not expanded here"),
            Command::Help => self.answer(214, (2, 0, 0), HELP),
            Command::StartTls => self.start_tls(),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial),
            Command::Etrn(etrn) => self.etrn(etrn),
            Command::XClient(claim) => self.xclient(claim),
            Command::XForward(forwarded) => self.xforward(forwarded),
        }
    }

    fn hello_command(&mut self, helo: Helo) -> Option<Step<Stage>> {
        self.wait_for(Pending::Helo(helo), Stage::Helo)
    }

    fn mail(&mut self, mail: MailFrom) -> Option<Step<Stage>> {
        if self.helo.is_none() {
            return self.refuse(503, (5, 5, 1), self.hello_first());
        }
        if self.envelope.sender.is_some() {
            return self.refuse(503, (5, 5, 1), "There is a sender already; RSET starts over");
        }
        if self.settings.require_tls && self.tls.is_none() {
            return self.refuse(530, (5, 7, 0), "STARTTLS first");
        }
        if self.settings.require_auth && self.identity.is_none() {
            return self.refuse(530, (5, 7, 0), "Log in first (AUTH)");
        }
        // RFC 9422 §4.1: past MAILMAX the client is to come again with another connection.
        if self.counters.transactions >= self.settings.transactions_limit {
            return self.answer(451, (4, 5, 3), "Enough messages on this connection; please reconnect");
        }
        if mail.size.is_some_and(|size| size > self.settings.size_limit) {
            let text = format!("The limit is {} octets", self.settings.size_limit);
            return self.answer(552, (5, 3, 4), &text);
        }
        if let Some(reply) = self.offer.lacks_for_mail(&mail, self.tls.is_some()) {
            self.fail(&reply);
            return None;
        }
        self.wait_for(Pending::Mail(mail.clone()), Stage::Mail(mail))
    }

    fn rcpt(&mut self, rcpt: RcptTo) -> Option<Step<Stage>> {
        if self.envelope.sender.is_none() {
            return self.refuse(503, (5, 5, 1), "MAIL first");
        }
        if self.envelope.body.is_some() {
            return self.refuse(503, (5, 5, 1), "The message has begun already");
        }
        if self.envelope.recipients.len() >= self.settings.recipients_limit {
            // RFC 5321 §4.5.3.1.10: the client sends the rest in another transaction.
            return self.answer(452, (4, 5, 3), "Too many recipients at once");
        }
        if let Some(reply) = self.offer.lacks_for_rcpt(&rcpt) {
            self.fail(&reply);
            return None;
        }
        self.wait_for(Pending::Rcpt(rcpt.clone()), Stage::Rcpt(rcpt))
    }

    fn start_tls(&mut self) -> Option<Step<Stage>> {
        if self.tls.is_some() {
            return self.refuse(503, (5, 5, 1), "TLS is on already");
        }
        if !self.settings.starttls {
            return self.refuse(502, (5, 5, 1), "TLS is not available here");
        }
        self.say(&Reply::new(220, (2, 0, 0), "Begin TLS"));
        self.phase = self.abandoning(Abandoned::Reset, Phase::StartTls);
        None
    }

    /// RFC 4954 §4.
    fn auth(&mut self, name: &str, initial: Option<Secret>) -> Option<Step<Stage>> {
        if self.identity.is_some() {
            return self.refuse(503, (5, 5, 1), "You are logged in already");
        }
        if self.envelope.sender.is_some() {
            return self.refuse(503, (5, 5, 1), "Not within a transaction");
        }
        if !self.helo.as_ref().is_some_and(|helo| helo.extended) {
            return self.refuse(503, (5, 5, 1), self.hello_first());
        }
        if self.settings.mechanisms.is_empty() {
            return self.refuse(502, (5, 5, 1), "There is nothing to log in to here");
        }
        let policy = &self.settings.mechanisms;
        let row = match postroad_sasl::usable(policy, name, self.tls.as_ref(), self.secrets_may_pass()) {
            Ok(row) => row,
            Err(Unusable::Unknown) => {
                return self.refuse(504, (5, 5, 4), "The mechanism is not available; EHLO lists those that are");
            }
            // RFC 4954 §4: 504 for what is not there on this connection.
            Err(why @ (Unusable::Clear | Unusable::Certificate | Unusable::Binding)) => {
                return self.refuse(504, (5, 5, 4), why.words());
            }
            Err(Unusable::Privacy) => {
                return self.refuse(538, (5, 7, 11), "STARTTLS first: the password must not travel in clear");
            }
        };
        let channel = Channel { tls: self.tls.as_ref(), offered: &self.offered() };
        let (exchange, turn) = Exchange::begin(row, initial.as_ref().map(|text| text.expose().as_bytes()), channel);
        self.turn(exchange, turn)
    }

    /// The client's part of a SASL exchange.
    pub(super) fn auth_line(&mut self, exchange: Exchange) -> Option<Step<Stage>> {
        let (line, phase) = match self.next_line(Phase::Auth(exchange)) {
            Ok(found) => found,
            Err(why) => return why.into(),
        };
        let Phase::Auth(mut exchange) = phase else {
            return None;
        };
        let turn = match line {
            Line::Whole(mut line) => {
                let turn = exchange.answer(&line);
                wipe(&mut line);
                turn
            }
            Line::TooLong => exchange.malformed(postroad_sasl::Error::TooLong),
            Line::LoneCr | Line::LoneLf | Line::Flood | Line::Incomplete => {
                exchange.malformed(postroad_sasl::Error::BadBase64)
            }
        };
        self.turn(exchange, turn)
    }

    pub(super) fn turn(&mut self, mut exchange: Exchange, turn: Turn<Identity, Rejection>) -> Option<Step<Stage>> {
        self.phase = Phase::Command;
        match turn {
            Turn::Challenge(text) => {
                let invitation = exchange.invitation().filter(|_| text.is_empty());
                self.say(&Reply::challenge(invitation.map_or(text, str::to_owned)));
                self.phase = Phase::Auth(exchange);
                None
            }
            Turn::Ask(ask) => {
                self.phase = Phase::Ask(exchange, Box::new(ask));
                None
            }
            Turn::Done(identity) => {
                self.identity = Some(identity);
                self.say(&Reply::new(235, (2, 7, 0), "Authentication successful"));
                None
            }
            Turn::Refused(Rejection { reply, close }) => {
                self.rejected(&reply, close);
                None
            }
            Turn::Unavailable => {
                self.forgotten_auth();
                None
            }
            Turn::Malformed(_, Rejection { reply, close: true }) => {
                self.rejected(&reply, true);
                None
            }
            Turn::Malformed(error, Rejection { close: false, .. }) | Turn::Failed(error) => {
                self.unfinished(error, exchange.mechanism())
            }
        }
    }

    /// Tells what is wrong with what a client said in an exchange.
    fn unfinished(&mut self, error: postroad_sasl::Error, mechanism: &str) -> Option<Step<Stage>> {
        use postroad_sasl::Error;
        match error {
            // RFC 4954 §4
            Error::TooEarly => self.refuse(501, (5, 7, 0), "The server speaks first in this mechanism"),
            Error::Cancelled => self.refuse(501, (5, 7, 0), "Cancelled"),
            Error::BadBase64 => self.refuse(501, (5, 5, 2), "That is not base64"),
            Error::TooLong => self.refuse(500, (5, 5, 6), "The response is too long"),
            Error::BadMessage | Error::NotUtf8 | Error::BadBinding | Error::NotTheServer => {
                // [MS-SMTPNTLM] §4.1
                let detail = if mechanism == "NTLM" { 3 } else { 8 };
                self.refuse(535, (5, 7, detail), &error.to_string())
            }
        }
    }

    /// Answers and goes on; the client did nothing wrong.
    pub(super) fn answer(&mut self, code: u16, enhanced: (u8, u16, u16), text: &str) -> Option<Step<Stage>> {
        self.say(&Reply::new(code, enhanced, text));
        None
    }

    /// Refuses a command for its form or order and goes on.
    pub(super) fn refuse(&mut self, code: u16, enhanced: (u8, u16, u16), text: &str) -> Option<Step<Stage>> {
        self.fail(&Reply::new(code, enhanced, text));
        None
    }

    /// Speaks the last words.
    pub(super) fn hang_up(&mut self, reply: &Reply) -> Option<Step<Stage>> {
        self.say(reply);
        self.close();
        None
    }

    pub(super) fn hello_first(&self) -> &'static str {
        match self.role() {
            Role::Relay | Role::Submission => "EHLO first",
            Role::Lmtp => "LHLO first",
        }
    }
}

const HELP: &str = "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS AUTH\n\
                    Standards: RFC 5321 and what EHLO lists";
/// RFC 5321 §4.5.3.1.4 has 512 octets; SIZE, DSN, AUTH, SMTPUTF8, BY, HOLDUNTIL, MT-PRIORITY, REQUIRETLS and RRVS
/// together add less than 1,700, SOLICIT 1,007 (RFC 3865 §2.2). AUTH itself has 12288 (RFC 4954 §4.5).
const COMMAND_LIMIT: usize = 3_328;
const _: () = assert!(COMMAND_LIMIT < LINE_LIMIT);
