//! The commands: a table of who may say what when, and what each does.

use postroad_message::surrogate::Told;
use postroad_sasl::wipe;

use crate::capability;
use crate::listing::{Column, Listing};
use crate::login;
use crate::maildrop::{Maildrop, NoMessage};
use crate::session::{Phase, Session};
use crate::transfer::{Encoder, Transfer};

/// A row of the table.
struct Row {
    name: &'static str,
    /// In which state it may be said.
    state: State,
    /// What it does; the text is what stands behind the first blank.
    run: fn(&mut Session, &str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Any,
    Authorization,
    Transaction,
}

static COMMANDS: [Row; 20] = [
    Row { name: "CAPA", state: State::Any, run: capa },
    Row { name: "QUIT", state: State::Any, run: quit },
    Row { name: "LANG", state: State::Any, run: lang },
    Row { name: "STLS", state: State::Authorization, run: stls },
    Row { name: "UTF8", state: State::Authorization, run: utf8 },
    Row { name: "USER", state: State::Authorization, run: login::user },
    Row { name: "PASS", state: State::Authorization, run: login::pass },
    Row { name: "AUTH", state: State::Authorization, run: login::auth },
    Row { name: "APOP", state: State::Authorization, run: login::apop },
    Row { name: "STAT", state: State::Transaction, run: stat },
    Row { name: "LIST", state: State::Transaction, run: |session, text| list(session, text, Column::Size) },
    Row { name: "UIDL", state: State::Transaction, run: |session, text| list(session, text, Column::UniqueId) },
    Row { name: "RETR", state: State::Transaction, run: retr },
    Row { name: "TOP", state: State::Transaction, run: top },
    Row { name: "DELE", state: State::Transaction, run: dele },
    Row { name: "RSET", state: State::Transaction, run: rset },
    Row { name: "NOOP", state: State::Transaction, run: noop },
    // RFC 1460, RFC 1082: gone from the standard, still asked for by old clients.
    Row { name: "LAST", state: State::Transaction, run: |session, _| session.err("LAST is not offered; use UIDL") },
    Row { name: "XTND", state: State::Transaction, run: |session, _| session.err("XTND is not offered") },
    Row { name: "RPOP", state: State::Authorization, run: |session, _| session.err("RPOP is not offered") },
];

impl Session {
    /// Obeys a command.
    pub(crate) fn command(&mut self, mut line: Vec<u8>) {
        match std::str::from_utf8(&line) {
            Ok(text) if !text.chars().any(char::is_control) => {
                let text = text.to_owned();
                self.obey(&text);
                wipe(&mut text.into_bytes());
            }
            Ok(_) | Err(_) => self.bad_command("the line is no UTF-8 text"),
        }
        wipe(&mut line);
    }

    fn obey(&mut self, text: &str) {
        let (verb, arguments) = text.split_once(' ').unwrap_or((text, ""));
        let Some(row) = COMMANDS.iter().find(|row| row.name.eq_ignore_ascii_case(verb)) else {
            return self.bad_command("there is no such command");
        };
        match (row.state, self.maildrop.is_some()) {
            (State::Any, _) | (State::Authorization, false) | (State::Transaction, true) => {
                self.bad_commands = 0;
                (row.run)(self, arguments);
            }
            (State::Authorization, true) => self.bad_command("you are logged in already"),
            (State::Transaction, false) => self.bad_command("log in first"),
        }
    }

    /// The maildrop and the message of a number, or the answer that there is none.
    fn find(&mut self, number: &str) -> Option<(usize, crate::maildrop::Message)> {
        let found = self.maildrop.as_ref().map(|maildrop| maildrop.message(number))?;
        match found {
            Ok(found) => Some(found),
            Err(why) => {
                self.no_message(number, why);
                None
            }
        }
    }

    fn no_message(&mut self, number: &str, why: NoMessage) {
        match why {
            NoMessage::Unknown => self.err("there is no such message"),
            NoMessage::Deleted => self.err(&format!("message {number} is deleted already")),
        }
    }
}

fn capa(session: &mut Session, _: &str) {
    session.ok("what can be done here follows");
    for line in capability::list(session) {
        session.out.extend_from_slice(format!("{line}\r\n").as_bytes());
    }
    session.out.extend_from_slice(b".\r\n");
}

/// RFC 1939 §6: in the TRANSACTION state QUIT leads to the UPDATE state.
fn quit(session: &mut Session, _: &str) {
    let keeps = session.settings.expire_days.is_some();
    let nothing = session
        .maildrop
        .as_ref()
        .is_none_or(|maildrop| (!keeps || maildrop.fetched().is_empty()) && maildrop.marked().2.is_empty());
    // What the session has alone is let go before the answer: the client may come back at once.
    if nothing && session.held.is_none() {
        session.ok("goodbye");
        session.phase = Phase::Closing;
    } else {
        session.phase = Phase::Updating;
    }
}

/// Clients keep their maildrop by it.
fn noop(session: &mut Session, _: &str) {
    session.ok("here I am");
    if let Some(held) = &mut session.held {
        held.due = true;
    }
}

/// RFC 6856 §3.
fn lang(session: &mut Session, tag: &str) {
    match tag.trim().to_ascii_lowercase().as_str() {
        "" => {
            session.ok("languages follow");
            session.out.extend_from_slice(b"en English\r\ni-default English\r\n.\r\n");
        }
        "*" | "en" | "en-us" | "en-gb" => session.ok("en English it is"),
        "i-default" => session.ok("i-default English it is"),
        _ => session.err("this language is not spoken here; LANG lists those that are"),
    }
}

fn stls(session: &mut Session, arguments: &str) {
    if session.tls.is_some() {
        return session.err("TLS is on already");
    }
    if !session.may_start_tls() || !arguments.is_empty() {
        return session.err("TLS cannot be started here");
    }
    session.ok("begin TLS");
    session.input.clear();
    session.phase = Phase::StartTls;
}

/// RFC 6856 §2: messages come as they are stored, not with headers in ASCII.
fn utf8(session: &mut Session, arguments: &str) {
    match arguments.is_empty() {
        true => {
            session.utf8 = true;
            session.ok("UTF-8 it is");
        }
        false => session.err("UTF8 takes no argument"),
    }
}

fn stat(session: &mut Session, _: &str) {
    let (messages, octets) = session.maildrop.as_ref().map_or((0, 0), Maildrop::totals);
    session.ok(&format!("{messages} {octets}"));
}

fn list(session: &mut Session, number: &str, what: Column) {
    let number = number.trim();
    if number.is_empty() {
        let (messages, octets) = session.maildrop.as_ref().map_or((0, 0), Maildrop::totals);
        session.ok(&match what {
            Column::Size => format!("{messages} messages ({octets} octets)"),
            Column::UniqueId => format!("{messages} messages"),
        });
        session.phase = Phase::Listing(Listing { what, next: 0 });
        return;
    }
    let Some((found, message)) = session.find(number) else { return };
    let Some(maildrop) = &session.maildrop else { return };
    let line = what.line(maildrop, found, message);
    session.ok(&line);
}

fn retr(session: &mut Session, number: &str) {
    send(session, number.trim(), None);
}

/// `TOP message lines`.
fn top(session: &mut Session, arguments: &str) {
    let mut words = arguments.split_ascii_whitespace();
    let (Some(number), Some(lines), None) = (words.next(), words.next(), words.next()) else {
        return session.err("TOP takes a message and a number of lines");
    };
    if !lines.bytes().all(|byte| byte.is_ascii_digit()) {
        return session.err("TOP takes a message and a number of lines");
    }
    // More digits than fit are more lines than there are.
    send(session, number, Some(lines.parse().unwrap_or(u64::MAX)));
}

fn send(session: &mut Session, number: &str, body_lines: Option<u64>) {
    let Some((number, message)) = session.find(number) else { return };
    let mut reads_ahead = false;
    if body_lines.is_none() {
        if let Some(bytes) = session.ahead.take(number) {
            if let Some(maildrop) = &mut session.maildrop {
                maildrop.sent(number);
            }
            return session.say_message(&bytes);
        }
        reads_ahead = session.ahead.asked(number);
    }
    session.phase = Phase::Sending(Box::new(Transfer {
        number,
        whole: body_lines.is_none(),
        reads_ahead,
        blob: message.blob,
        size: message.size,
        offset: 0,
        said: false,
        done: false,
        utf8: session.utf8,
        told: Told::default(),
        encoder: Encoder::new(body_lines),
    }));
}

impl Session {
    /// A message that is here as a whole.
    fn say_message(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(format!("+OK {} octets\r\n", bytes.len()).as_bytes());
        let mut encoder = Encoder::new(None);
        let told = if self.utf8 { Told::default() } else { Told::of(bytes) };
        encoder.encode(&told.rewrite(0, bytes), &mut self.out);
        encoder.finish(&mut self.out);
    }
}

fn dele(session: &mut Session, number: &str) {
    let number = number.trim();
    match session.maildrop.as_mut().map(|maildrop| maildrop.delete(number)) {
        Some(Ok(found)) => session.ok(&format!("message {found} deleted")),
        Some(Err(why)) => session.no_message(number, why),
        None => session.err("log in first"),
    }
}

fn rset(session: &mut Session, _: &str) {
    if let Some(maildrop) = &mut session.maildrop {
        maildrop.undelete();
    }
    let (messages, octets) = session.maildrop.as_ref().map_or((0, 0), Maildrop::totals);
    session.ok(&format!("maildrop has {messages} messages ({octets} octets)"));
}
