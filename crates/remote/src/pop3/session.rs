//! The client's side of a POP3 connection, without sockets: commands, their replies in turn, and the octets behind them. Several
//! commands are on their way at once where the server has PIPELINING (RFC 2449 §6.6).
//!
//! Invariants:
//! 1. What is buffered is bounded: a line by [`LINE_MAX`], and what a message has goes out piece by piece.
//! 2. Nothing that came in clear is looked at after STLS, and what came behind its reply is an attack (RFC 2595 §4).
//! 3. A message's octets are what the server has: only the dots that it put before lines are taken away.

use std::collections::VecDeque;

use postroad_sasl::{Client, Secret};

use crate::{Error, Result};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The greeting, or the reply to a command.
    Reply(Reply),
    /// Octets behind a reply of several lines.
    Piece(Vec<u8>),
    /// That was all of them.
    End,
}

/// A reply of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `+OK`.
    pub good: bool,
    /// Its words, printable.
    pub text: String,
}

impl Reply {
    /// Whether the server asks to come back later (RFC 2449 §8, RFC 3206).
    pub fn is_busy(&self) -> bool {
        let text = self.text.to_ascii_uppercase();
        ["[IN-USE]", "[LOGIN-DELAY]", "[SYS/TEMP]"].iter().any(|code| text.starts_with(code))
    }
}

/// What is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Nothing,
    /// A reply of one line.
    Line,
    /// A reply, and lines behind it when it is good.
    Lines,
    /// A reply, or challenges before it.
    Auth,
    /// The lines.
    Body(Place),
}

/// Where in the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Text,
}

/// A session.
#[derive(Debug)]
pub struct Session {
    input: Vec<u8>,
    output: Vec<u8>,
    wait: Wait,
    /// What comes after that: commands that were said before the one before them was answered.
    next: VecDeque<Wait>,
    /// The server takes commands before it has answered.
    pipelining: bool,
    login: Option<Client>,
}

impl Default for Session {
    fn default() -> Session {
        // The greeting comes first.
        Session {
            input: Vec::new(),
            output: Vec::new(),
            wait: Wait::Line,
            next: VecDeque::new(),
            pipelining: false,
            login: None,
        }
    }
}

impl Session {
    /// Octets from the server.
    pub fn input(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
    }

    /// What is to be written.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// From now on commands may be said before the one before them was answered, [`PENDING_MAX`] of them.
    pub fn pipeline(&mut self) {
        self.pipelining = true;
    }

    /// Whether another command may be said now.
    pub fn is_free(&self) -> bool {
        self.wait == Wait::Nothing || (self.pipelining && self.next.len() < PENDING_MAX)
    }

    /// Says a command with a reply of one line. Errors: it is no line.
    pub fn say(&mut self, line: &str) -> Result<()> {
        self.command(line, Wait::Line)
    }

    /// Says a command whose good reply has lines behind it.
    pub fn ask(&mut self, line: &str) -> Result<()> {
        self.command(line, Wait::Lines)
    }

    /// Signs in with a mechanism. RFC 5034 §4: the initial response goes along where the line stays short.
    pub fn authenticate(&mut self, mut client: Client) -> Result<()> {
        let mut line = format!("AUTH {}", client.mechanism().name);
        if let Some(initial) = client.initial() {
            match line.len() + 1 + initial.expose().len() <= INITIAL_MAX {
                true => {
                    line.push(' ');
                    line.push_str(initial.expose());
                }
                false => client.later(),
            }
        }
        self.login = Some(client);
        let said = self.command(&line, Wait::Auth);
        postroad_sasl::wipe(&mut line.into_bytes());
        said
    }

    /// Signs in with a password as it is.
    pub fn password(&mut self, password: &Secret) -> Result<()> {
        let mut line = format!("PASS {}", password.expose());
        let said = self.command(&line, Wait::Line);
        postroad_sasl::wipe(&mut std::mem::take(&mut line).into_bytes());
        said
    }

    fn command(&mut self, line: &str, wait: Wait) -> Result<()> {
        if line.contains(['\r', '\n', '\0']) {
            return Err(Error::User("the name or password has an end of line in it, which POP3 cannot say".into()));
        }
        if !self.is_free() || (self.wait == Wait::Nothing && !self.input.is_empty()) {
            return Err(Error::Peer("it spoke out of turn".into()));
        }
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
        match self.wait {
            Wait::Nothing => self.wait = wait,
            Wait::Line | Wait::Lines | Wait::Auth | Wait::Body(_) => self.next.push_back(wait),
        }
        Ok(())
    }

    /// STLS was agreed on: nothing may have come behind that.
    pub fn secure(&mut self) -> Result<()> {
        match self.input.is_empty() {
            true => Ok(()),
            false => {
                Err(Error::Peer("octets came in clear behind the reply to STLS: somebody may be in between".into()))
            }
        }
    }

    /// What happened next; `None`: more input is needed.
    pub fn step(&mut self) -> Result<Option<Event>> {
        match self.wait {
            Wait::Nothing if self.input.is_empty() => Ok(None),
            Wait::Nothing => Err(Error::Peer("it spoke out of turn".into())),
            Wait::Line | Wait::Lines | Wait::Auth => self.line(),
            Wait::Body(place) => Ok(self.body(place)),
        }
    }

    fn line(&mut self) -> Result<Option<Event>> {
        let Some(end) = self.input.iter().position(|octet| *octet == b'\n') else {
            return match self.input.len() > LINE_MAX {
                true => Err(Error::Peer("a line without an end".into())),
                false => Ok(None),
            };
        };
        let line: Vec<u8> = self.input.drain(..=end).collect();
        let line = line.trim_ascii_end();
        if line.len() > LINE_MAX {
            return Err(Error::Peer("a line that is too long".into()));
        }
        let (good, rest) = match (line.strip_prefix(b"+OK"), line.strip_prefix(b"-ERR")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            (None, None) => return self.challenged(line),
        };
        if rest.first().is_some_and(|octet| *octet != b' ') {
            return Err(Error::Peer("its reply is none of POP3".into()));
        }
        let text: String = String::from_utf8_lossy(rest).trim().chars().filter(|c| !c.is_control()).collect();
        let mut reply = Reply { good, text };
        if let Some(mut login) = self.login.take() {
            if login.is_repeated_in(&reply.text) {
                "(its words repeat the login and are not shown)".clone_into(&mut reply.text);
            }
            // RFC 5802 §5: what was not signed may be anybody's word.
            if good && login.finished(None).is_err() {
                return Err(Error::Peer("it did not show that it knows the password".into()));
            }
        }
        match good && self.wait == Wait::Lines {
            true => self.wait = Wait::Body(Place::Start),
            false => self.answered(),
        }
        Ok(Some(Event::Reply(reply)))
    }

    /// `+ ` and a challenge.
    fn challenged(&mut self, line: &[u8]) -> Result<Option<Event>> {
        let challenge = line.strip_prefix(b"+").filter(|rest| rest.first().is_none_or(|octet| *octet == b' '));
        let (Some(challenge), Wait::Auth, Some(login)) = (challenge, self.wait, self.login.as_mut()) else {
            return Err(Error::Peer("its reply is none of POP3".into()));
        };
        match login.answer(challenge.trim_ascii()) {
            Ok(answer) => self.output.extend_from_slice(answer.expose().as_bytes()),
            Err(_) => self.output.push(b'*'),
        }
        self.output.extend_from_slice(b"\r\n");
        Ok(Some(Event::Piece(Vec::new())))
    }

    /// Lines until one of a dot alone. RFC 1939 §3.
    fn body(&mut self, mut place: Place) -> Option<Event> {
        let mut piece = Vec::new();
        let (mut at, mut ended) = (0, false);
        while at < self.input.len() {
            let rest = &self.input[at..];
            if place == Place::Start && rest[0] == b'.' {
                match rest {
                    [b'.', b'\n', ..] => (at, ended) = (at + 2, true),
                    [b'.', b'\r', b'\n', ..] => (at, ended) = (at + 3, true),
                    [b'.'] | [b'.', b'\r'] => break,
                    _ => {
                        (at, place) = (at + 1, Place::Text);
                        continue;
                    }
                }
                break;
            }
            let end = memchr(rest);
            piece.extend_from_slice(&rest[..end]);
            at += end;
            place = if rest[end - 1] == b'\n' { Place::Start } else { Place::Text };
        }
        self.input.drain(..at);
        self.wait = Wait::Body(place);
        if !piece.is_empty() {
            // The end is seen again with the next step.
            if ended {
                self.input.splice(..0, *b".\r\n");
                self.wait = Wait::Body(Place::Start);
            }
            return Some(Event::Piece(piece));
        }
        if ended {
            self.answered();
            return Some(Event::End);
        }
        None
    }

    /// A command was answered: the next one is.
    fn answered(&mut self) {
        self.wait = self.next.pop_front().unwrap_or(Wait::Nothing);
    }
}

/// Octets up to the end of the line, with it.
fn memchr(octets: &[u8]) -> usize {
    octets.iter().position(|octet| *octet == b'\n').map_or(octets.len(), |at| at + 1)
}

/// Commands that wait for the one before them.
pub const PENDING_MAX: usize = 32;
/// RFC 2449 §4 allows 512; SASL's challenges are longer.
pub const LINE_MAX: usize = 16 * 1024;
/// RFC 5034 §4 and RFC 2449 §4: 255 octets with CR LF.
const INITIAL_MAX: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(session: &mut Session, octets: &[u8], cut: usize) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        for part in octets.chunks(cut) {
            session.input(part);
            while let Some(event) = session.step()? {
                match (events.last_mut(), event) {
                    (Some(Event::Piece(before)), Event::Piece(more)) => before.extend(more),
                    (_, event) => events.push(event),
                }
            }
        }
        Ok(events)
    }

    #[test]
    fn messages_come_as_they_are_however_they_are_cut() {
        let table: [(&[u8], &[u8]); 7] = [
            (b".\r\n", b""),
            (b"a\r\n.\r\n", b"a\r\n"),
            (b"..\r\n...a\r\n.\r\n", b".\r\n..a\r\n"),
            (b"a\n.b\n.\n", b"a\nb\n"),
            (b"a.\r\n.\r\n", b"a.\r\n"),
            (b"\r\n.\rx\r\n.\r\n", b"\r\n\rx\r\n"),
            (b"\x00\xff\r.\r\n.\r\n", b"\x00\xff\r.\r\n"),
        ];
        for (sent, expected) in table {
            for cut in [1, 2, 3, 5, 100] {
                let mut session = Session::default();
                assert_eq!(talk(&mut session, b"+OK hi\r\n", cut).map(|events| events.len()), Ok(1));
                session.ask("RETR 1").expect("said");
                let mut events = talk(&mut session, &[b"+OK\r\n", sent].concat(), cut).expect("understood");
                assert_eq!(events.pop(), Some(Event::End), "{sent:?} {cut}");
                let octets = match events.pop() {
                    Some(Event::Piece(octets)) => octets,
                    _ => Vec::new(),
                };
                assert_eq!(octets.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{cut}");
                session.say("QUIT").expect("the next command");
            }
        }
    }

    #[test]
    fn commands_are_answered_in_turn_however_that_is_cut() {
        for cut in 1..40 {
            let mut session = Session::default();
            assert_eq!(talk(&mut session, b"+OK\r\n", cut).map(|events| events.len()), Ok(1));
            session.pipeline();
            session.ask("RETR 1").expect("said");
            session.ask("RETR 2").expect("said");
            session.say("DELE 1").expect("said");
            assert_eq!(session.take_output(), b"RETR 1\r\nRETR 2\r\nDELE 1\r\n");
            let events = talk(&mut session, b"+OK\r\n+OK\r\n..\r\n.\r\n-ERR gone\r\n+OK marked\r\n", cut);
            let reply = |good, text: &str| Event::Reply(Reply { good, text: text.into() });
            let body = Event::Piece(b"+OK\r\n.\r\n".to_vec());
            let expected = vec![reply(true, ""), body, Event::End, reply(false, "gone"), reply(true, "marked")];
            assert_eq!(events, Ok(expected), "{cut}");
            (0..=PENDING_MAX).for_each(|_| session.say("NOOP").expect("said"));
            assert!(session.say("NOOP").is_err(), "bounded");
        }
    }

    #[test]
    fn a_server_that_is_none_of_pop3_is_left() {
        for sent in [&b"* OK IMAP\r\n"[..], b"220 hello\r\n", b"+OKAY\r\n", b"+ Zm9v\r\n", &[b'x'; 20_000]] {
            assert!(talk(&mut Session::default(), sent, 100_000).is_err(), "{sent:?}");
        }
        let mut session = Session::default();
        assert!(talk(&mut session, b"+OK\r\n+OK\r\n", 100).is_err(), "out of turn");
        let mut session = Session::default();
        assert_eq!(talk(&mut session, b"+OK\r\n", 100).map(|events| events.len()), Ok(1));
        session.say("STLS").expect("said");
        session.input(b"+OK\r\n+OK evil\r\n");
        assert!(matches!(session.step(), Ok(Some(Event::Reply(_)))));
        assert!(session.secure().is_err());
        let mut session = Session::default();
        assert_eq!(talk(&mut session, b"+OK\r\n", 100).map(|events| events.len()), Ok(1));
        assert!(session.password(&Secret::new("a\r\nDELE 1".into())).is_err());
        assert!(session.take_output().is_empty());
    }
}
