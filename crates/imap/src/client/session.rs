//! The session: what is on its way to the server, and what came back.

use std::collections::VecDeque;

use postroad_sasl::{Client, Secret};

use super::authenticate::Exchange;
use super::line::{Line, Part, quote_utf8};
use super::names::Names;
use super::reader::{Item, Reader};
use super::response::{Code, Response, Status, Word};
use super::{Error, Limits, parse};

/// A command's tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(u32);

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "P{}", self.0)
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Which.
    pub tag: Tag,
    /// How.
    pub word: Word,
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The first word of the server.
    Greeting(Word),
    /// Something that is no end of a command.
    Response(Response),
    /// A message of so many octets begins. What FETCH says of it comes behind it.
    Begin(u64),
    /// Octets of it.
    Piece(Vec<u8>),
    /// It is whole.
    End,
    /// The server takes the message of an APPEND now: [`Session::octets`].
    Send,
    /// The server takes up TLS: write what is to be written, shake hands, call [`Session::secured`].
    Handshake,
    /// A command ended.
    Done(Done),
}

/// What a command is besides its words.
#[derive(Debug)]
enum Purpose {
    Plain,
    StartTls,
    Authenticate(Exchange),
}

/// What waits to be written.
#[derive(Debug)]
enum Waiting {
    Octets(Vec<u8>),
    /// The server has to say `+` first.
    Continuation,
    /// A message that the caller hands over.
    Message(u64),
}

/// A connection's session.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    reader: Reader,
    output: Vec<u8>,
    waiting: VecDeque<Waiting>,
    /// [`Event::Send`] was given.
    asked: bool,
    next: u32,
    pending: VecDeque<(Tag, Purpose)>,
    capabilities: Option<Vec<String>>,
    greeted: bool,
    /// TLS is being taken up: nothing is read until it is.
    paused: bool,
    /// The server has enabled UTF8=ACCEPT.
    utf8: bool,
}

impl Session {
    /// Before the greeting.
    pub fn new(limits: Limits) -> Session {
        Session {
            reader: Reader::new(limits.clone()),
            limits,
            output: Vec::new(),
            waiting: VecDeque::new(),
            asked: false,
            next: 1,
            pending: VecDeque::new(),
            capabilities: None,
            greeted: false,
            paused: false,
            utf8: false,
        }
    }

    /// Takes what the server sent. Whoever calls drains [`Session::step`] before the next input.
    pub fn input(&mut self, bytes: &[u8]) {
        self.reader.input(bytes);
    }

    /// What is to be written.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// How many octets wait to be written.
    pub fn waiting_output(&self) -> usize {
        self.output.len()
    }

    /// The next event; `None` when the server has to say more.
    pub fn step(&mut self) -> Result<Option<Event>, Error> {
        if self.paused {
            return Ok(None);
        }
        if let Some(Waiting::Message(_)) = self.waiting.front()
            && !self.asked
        {
            self.asked = true;
            return Ok(Some(Event::Send));
        }
        let Some(item) = self.reader.next_item()? else { return Ok(None) };
        match item {
            Item::Begin(size) => Ok(Some(Event::Begin(size))),
            Item::Piece(octets) => Ok(Some(Event::Piece(octets))),
            Item::End => Ok(Some(Event::End)),
            Item::Response(response) => {
                let response = parse(&response, &self.limits)?;
                self.heard(response).map(Some)
            }
        }
    }

    /// Begins a command. Errors: `Server` when too many are on their way.
    pub fn send(&mut self, line: Line) -> Result<Tag, Error> {
        let tag = self.tag(Purpose::Plain)?;
        let mut octets = format!("{tag} ").into_bytes();
        for part in line.parts {
            let (size, binary, then) = match part {
                Part::Text(text) => {
                    octets.extend_from_slice(&text);
                    continue;
                }
                Part::Literal(text) if self.utf8 && quote_utf8(&mut octets, &text) => continue,
                Part::Literal(text) => (text.len() as u64, false, Waiting::Octets(text)),
                Part::Message { size, binary } => (size, binary, Waiting::Message(size)),
            };
            let at_once = self.takes_at_once(size);
            let (before, after) = (if binary { "~" } else { "" }, if at_once { "+" } else { "" });
            octets.extend_from_slice(format!("{before}{{{size}{after}}}\r\n").as_bytes());
            self.queue(Waiting::Octets(std::mem::take(&mut octets)));
            if !at_once {
                self.queue(Waiting::Continuation);
            }
            self.queue(then);
        }
        octets.extend_from_slice(b"\r\n");
        self.queue(Waiting::Octets(octets));
        Ok(tag)
    }

    /// Octets of the message that [`Event::Send`] asked for. More than it has are left out.
    pub fn octets(&mut self, octets: &[u8]) {
        if let Some(Waiting::Message(left)) = self.waiting.front_mut() {
            let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(octets.len());
            self.output.extend_from_slice(&octets[..taken]);
            *left -= taken as u64;
        }
        self.flush();
    }

    /// Begins STARTTLS (RFC 9051 §6.2.1). Nothing else is to be sent before [`Session::secured`].
    pub fn start_tls(&mut self) -> Result<Tag, Error> {
        let tag = self.tag(Purpose::StartTls)?;
        self.queue(Waiting::Octets(format!("{tag} STARTTLS\r\n").into_bytes()));
        Ok(tag)
    }

    /// TLS is there: what was said before it, capabilities too, is forgotten.
    pub fn secured(&mut self) {
        self.reader.forget();
        self.capabilities = None;
        self.paused = false;
        self.utf8 = false;
    }

    /// Begins LOGIN.
    pub fn login(&mut self, user: &str, password: &Secret) -> Result<Tag, Error> {
        if user.contains('\0') || password.expose().contains('\0') {
            return Err(Error::Unsendable);
        }
        self.send(Line::new("LOGIN").string(user.as_bytes()).string(password.expose().as_bytes()))
    }

    /// Begins AUTHENTICATE.
    pub fn authenticate(&mut self, client: Client) -> Result<Tag, Error> {
        let (exchange, command) = Exchange::begin(client, self.has("SASL-IR"));
        let tag = self.tag(Purpose::Authenticate(exchange))?;
        self.queue(Waiting::Octets(format!("{tag} {}\r\n", command.expose()).into_bytes()));
        Ok(tag)
    }

    /// What the server said it can do; `None` when it has not, or may have changed its mind (TLS, LOGIN).
    pub fn capabilities(&self) -> Option<&[String]> {
        self.capabilities.as_deref()
    }

    /// Whether the server said that it can do this.
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().flatten().any(|own| own.eq_ignore_ascii_case(capability))
    }

    /// Whether the server has enabled `UTF8=ACCEPT` (RFC 6855 §3): names and quoted strings are UTF-8, headers of messages may
    /// be.
    pub fn takes_utf8(&self) -> bool {
        self.utf8
    }

    /// How names of mailboxes are written from now on.
    pub fn names(&self) -> Names {
        if self.utf8 { Names::Utf8 } else { Names::Utf7 }
    }

    /// What capabilities were said before somebody was logged in may be another's now: ask again.
    pub fn forget_capabilities(&mut self) {
        self.capabilities = None;
    }

    /// Commands on their way.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    fn tag(&mut self, purpose: Purpose) -> Result<Tag, Error> {
        if self.pending.len() >= self.limits.pending {
            return Err(Error::Server("too many commands without an answer"));
        }
        let tag = Tag(self.next);
        self.next = self.next.wrapping_add(1);
        self.pending.push_back((tag, purpose));
        Ok(tag)
    }

    /// RFC 7888: `LITERAL+` for any size, `LITERAL-` up to 4096 octets.
    fn takes_at_once(&self, size: u64) -> bool {
        self.has("LITERAL+") || (size <= LITERAL_MINUS_MAX && (self.has("LITERAL-") || self.has("IMAP4rev2")))
    }

    fn queue(&mut self, part: Waiting) {
        self.waiting.push_back(part);
        self.flush();
    }

    /// Writes what need not wait.
    fn flush(&mut self) {
        loop {
            match self.waiting.front_mut() {
                Some(Waiting::Octets(octets)) => self.output.append(octets),
                Some(Waiting::Message(0)) => self.asked = false,
                Some(Waiting::Message(_) | Waiting::Continuation) | None => return,
            }
            self.waiting.pop_front();
        }
    }

    fn heard(&mut self, response: Response) -> Result<Event, Error> {
        match response {
            Response::Word(word) if !self.greeted => {
                self.greeted = true;
                self.note(&word);
                Ok(Event::Greeting(word))
            }
            _ if !self.greeted => Err(Error::Server("no greeting of IMAP")),
            Response::Continue(challenge) => Ok(self.continued(challenge)),
            Response::Tagged(tag, word) => self.ended(&tag, word),
            Response::Capability(all) => {
                self.capabilities = Some(all.clone());
                Ok(Event::Response(Response::Capability(all)))
            }
            Response::Word(word) => {
                self.note(&word);
                Ok(Event::Response(Response::Word(word)))
            }
            Response::Enabled(all) => {
                self.utf8 |= all.iter().any(|one| one.eq_ignore_ascii_case("UTF8=ACCEPT"));
                Ok(Event::Response(Response::Enabled(all)))
            }
            other => Ok(Event::Response(other)),
        }
    }

    fn note(&mut self, word: &Word) {
        if let Some(Code::Capability(all)) = &word.code {
            self.capabilities = Some(all.clone());
        }
    }

    fn continued(&mut self, challenge: Vec<u8>) -> Event {
        if let Some((_, Purpose::Authenticate(exchange))) = self.pending.front_mut() {
            let answer = exchange.answer(&challenge);
            self.output.extend_from_slice(answer.expose().as_bytes());
            self.output.extend_from_slice(b"\r\n");
        } else if let Some(Waiting::Continuation) = self.waiting.front() {
            self.waiting.pop_front();
            self.flush();
        }
        // Others nobody asked for: some servers say `+ idling` twice.
        Event::Response(Response::Continue(challenge))
    }

    fn ended(&mut self, tag: &[u8], mut word: Word) -> Result<Event, Error> {
        let at = self.pending.iter().position(|(own, _)| own.to_string().as_bytes() == tag);
        let Some((tag, purpose)) = at.and_then(|at| self.pending.remove(at)) else {
            return Err(Error::Server("an answer to what was not asked"));
        };
        self.note(&word);
        let done = word.status == Status::Ok;
        // A command that was refused at its literal: the rest of it is not sent (RFC 9051 §7.6).
        if !done && self.pending.is_empty() && matches!(self.waiting.front(), Some(Waiting::Continuation)) {
            self.waiting.clear();
            self.asked = false;
        }
        match purpose {
            Purpose::StartTls if done => {
                self.paused = true;
                // What came with the answer was said by whoever sits between (CVE-2011-0411 and its kin).
                self.reader.forget();
                self.capabilities = None;
                return Ok(Event::Handshake);
            }
            Purpose::Authenticate(mut exchange) => {
                if done && !exchange.is_proved() {
                    return Err(Error::Server("it let us in without knowing the password, so it is not that server"));
                }
                if exchange.is_repeated_in(&word.text) {
                    word.text.clear();
                }
            }
            Purpose::StartTls | Purpose::Plain => {}
        }
        Ok(Event::Done(Done { tag, word }))
    }
}

/// RFC 7888 §5.
const LITERAL_MINUS_MAX: u64 = 4096;
