//! The client session: SMTP and LMTP as the side that hands mail over, for whoever has a connection.
//!
//! A [`Client`] has no socket and no clock. Its caller drains [`Client::step`], writes [`Client::take_output`], gives what it
//! reads to [`Client::input`], and tells of silence and of the end of the connection. A transaction ([`Transaction`]) ends
//! with a [`Report`], which says for each recipient what became of it; a connection that is of no use any more ends with a
//! [`Failure`]. What the remote says is tolerated as far as it can be understood, bounded, and never trusted.
//!
//! ```text
//! loop { match client.step() {
//!     Read         => write the output; read within patience(): input(..) | closed() | timed_out()
//!     StartTls     => write the output; shake hands; secured(..)
//!     Ready        => send(..) | quit() | keep the connection for a while (input may come: the remote says 421)
//!     NeedBody     => write the output; body(a piece) | body_end()
//!     Done(report) => note it; the next step is Ready or Close
//!     Close(why)   => write the output as far as it goes; close; end
//! } }
//! ```
//!
//! Invariants:
//! 1. A command that is not allowed in a group is the last of it (RFC 2920 §3.1): EHLO, STARTTLS and AUTH stand alone, after
//!    DATA nothing is said before its reply, and no BDAT is sent before all recipients were answered.
//! 2. Each reply answers the command it was waited for; a reply that nobody waits for ends the connection.
//! 3. A recipient is [`Fate::Accepted`] only by a 2xx to the whole message, and [`Fate::Unsent`] only while the end of the
//!    message was not sent.
//! 4. Nothing that came in clear is looked at after STARTTLS (RFC 3207 §4.2), and what came too early is an attack.
//! 5. Nothing that the caller gives can begin a line of its own: addresses are parsed, text is xtext or base64, the message
//!    goes through an encoder that leaves no CR or LF alone, or is counted (BDAT).
//!
//! Standards: RFC 5321, 2033 (LMTP), 2920 (PIPELINING), 3030 (CHUNKING, BINARYMIME), 1870 (SIZE), 6152 (8BITMIME), 6531
//! (SMTPUTF8), 3461 and 6533 (DSN), 3207 (STARTTLS), 4954 (AUTH), 2034 and 3463 (enhanced codes), 8689 (REQUIRETLS), 9422 (LIMITS).

mod body;
mod capabilities;
mod encode;
mod reply;
mod report;
mod run;
mod settings;
mod setup;
mod transaction;

use std::fmt;
use std::time::Duration;

use postroad_protocol::TlsFacts;

pub use capabilities::{Capabilities, Limits};
pub use report::{Failure, Fate, Phase, Report, Said, Trouble};
pub use settings::{Login, Patience, Settings, TlsWish};
pub use transaction::{Transaction, Unsuited};

use crate::Reply;

use reply::Replies;
use run::Run;

/// What the caller does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write the output, then read for at most [`Client::patience`].
    Read,
    /// Write the output, shake hands, then [`Client::secured`]. Nothing read before the handshake may be kept for after it.
    /// When the handshake fails, the connection is lost: drop the session.
    StartTls,
    /// [`Client::send`] a message, [`Client::quit`], or wait: input may be given here too.
    Ready,
    /// Write the output within [`Client::patience`], then give more of the message with [`Client::body`], or
    /// [`Client::body_end`]. Input that is there already may be given before; when writing fails, it should be.
    NeedBody,
    /// A transaction is over.
    Done(Report),
    /// Write the output as far as it goes and close. `None` after [`Client::quit`].
    Close(Option<Failure>),
}

/// A client session.
pub struct Client {
    settings: Settings,
    tls: Option<TlsFacts>,
    capabilities: Capabilities,
    replies: Replies,
    output: Vec<u8>,
    state: State,
    /// The remote offered STARTTLS and then refused it.
    starttls_refused: bool,
    login: Option<postroad_sasl::Client>,
    run: Option<Box<Run>>,
    report: Option<Report>,
    /// The remote has an envelope that must be forgotten before the next one.
    stale_envelope: bool,
    transactions: u64,
    turns: u64,
}

/// Without the octets that wait to be written: a password may be among them.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.output.len();
        f.debug_struct("Client").field("state", &self.state).field("output", &waiting).finish_non_exhaustive()
    }
}

/// Where the session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Before the first step.
    New,
    /// The greeting is awaited.
    Greeting,
    /// The reply to EHLO or LHLO is awaited.
    Hello,
    /// The reply to HELO is awaited.
    PlainHello,
    /// The reply to STARTTLS is awaited.
    StartTls,
    /// TLS is being set up.
    Handshake,
    /// AUTH is under way.
    Login,
    /// AUTH was cancelled; its end is awaited.
    LoginCancelled,
    /// Between transactions.
    Ready,
    /// In a transaction.
    Running,
    /// The reply to QUIT is awaited.
    Quitting,
    /// The connection is to be closed.
    Closed(Option<Failure>),
}

impl Client {
    /// A session at the beginning of a connection.
    pub fn new(settings: Settings) -> Client {
        Client {
            settings,
            tls: None,
            capabilities: Capabilities::default(),
            replies: Replies::default(),
            output: Vec::new(),
            state: State::New,
            starttls_refused: false,
            login: None,
            run: None,
            report: None,
            stale_envelope: false,
            transactions: 0,
            turns: 0,
        }
    }

    /// Octets from the remote. The session understands them in the next step; the caller gives them in pieces of the size of its
    /// reads and steps after each.
    pub fn input(&mut self, bytes: &[u8]) {
        match self.state {
            State::Closed(_) => {}
            // RFC 3207 §4.2: what comes in clear now would be taken for the remote's word under TLS.
            State::Handshake if !bytes.is_empty() => self.fail(Trouble::Injected),
            State::New
            | State::Greeting
            | State::Hello
            | State::PlainHello
            | State::StartTls
            | State::Handshake
            | State::Login
            | State::LoginCancelled
            | State::Ready
            | State::Running
            | State::Quitting => self.replies.push(bytes),
        }
    }

    /// The next step.
    pub fn step(&mut self) -> Step {
        loop {
            if let Some(report) = self.report.take() {
                return Step::Done(report);
            }
            if let Some(step) = self.advance() {
                return step;
            }
        }
    }

    /// One move of the state machine; `None` when there is another one to make.
    fn advance(&mut self) -> Option<Step> {
        match &self.state {
            State::New => {
                let implicit = self.settings.tls == TlsWish::Implicit;
                self.state = if implicit { State::Handshake } else { State::Greeting };
                None
            }
            State::Handshake => Some(Step::StartTls),
            State::Closed(why) => Some(Step::Close(why.clone())),
            State::Greeting
            | State::Hello
            | State::PlainHello
            | State::StartTls
            | State::Login
            | State::LoginCancelled
            | State::Quitting => match self.replies.next() {
                Ok(Some(reply)) => self.moved(|client| client.setup(reply)),
                Ok(None) => Some(Step::Read),
                Err(garbled) => self.moved(|client| client.fail(Trouble::Garbled(garbled.0))),
            },
            State::Ready => match self.replies.next() {
                Ok(Some(reply)) => self.moved(|client| client.unasked(reply)),
                Ok(None) => Some(Step::Ready),
                Err(garbled) => self.moved(|client| client.fail(Trouble::Garbled(garbled.0))),
            },
            State::Running => match self.replies.next() {
                Ok(Some(reply)) => self.moved(|client| client.run_answered(reply)),
                Ok(None) => self.advance_run(),
                Err(garbled) => self.moved(|client| client.fail(Trouble::Garbled(garbled.0))),
            },
        }
    }

    /// A move that another one follows.
    fn moved(&mut self, how: impl FnOnce(&mut Client)) -> Option<Step> {
        self.turns += 1;
        how(self);
        None
    }

    /// A reply that nobody waits for: the remote ends the connection, or has lost count.
    fn unasked(&mut self, reply: Reply) {
        match reply.is_transient() || reply.is_permanent() {
            true => self.fail(Trouble::Refused(reply)),
            false => self.fail(Trouble::Garbled(reply.to_string())),
        }
    }

    /// Takes the output produced so far.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The handshake asked for by [`Step::StartTls`] is done. What the remote offered before it is forgotten.
    pub fn secured(&mut self, tls: TlsFacts) {
        if self.state != State::Handshake {
            return;
        }
        self.tls = Some(tls);
        self.replies.clear();
        self.capabilities = Capabilities::default();
        match self.settings.tls {
            TlsWish::Implicit => self.state = State::Greeting,
            TlsWish::Never | TlsWish::IfOffered | TlsWish::Required => self.hello(),
        }
    }

    /// The remote closed its side, or the connection broke. Give what could still be read before.
    pub fn closed(&mut self) {
        self.end(Trouble::Closed);
    }

    /// Nothing came for [`Client::patience`], or nothing could be written for so long.
    pub fn timed_out(&mut self) {
        self.end(Trouble::TimedOut);
    }

    /// The caller gives up (the message cannot be read, the server stops): the connection is to be closed without another word.
    /// A message whose end was not sent is then none for the remote.
    pub fn abandon(&mut self) {
        self.end(Trouble::Abandoned);
    }

    fn end(&mut self, trouble: Trouble) {
        // What was read before counts: the remote's last words may be in it.
        while !matches!(self.state, State::Closed(_) | State::Handshake | State::New) && self.report.is_none() {
            match self.advance() {
                None => {}
                Some(_) => break,
            }
        }
        match self.state {
            State::Closed(_) => {}
            State::Quitting => self.state = State::Closed(None),
            _ => self.fail(trouble),
        }
        self.output.clear();
        if let Some(report) = &mut self.report {
            report.reusable = false;
        }
    }

    /// How many replies came. The time of [`Client::patience`] runs from the last change of this number, or from the end of
    /// writing if that was later: a remote that drips octets does not extend it.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// How long to wait for the remote in the state the session is in.
    pub fn patience(&self) -> Duration {
        let patience = &self.settings.patience;
        match self.state {
            State::New | State::Greeting => patience.greeting,
            State::Quitting => patience.quit,
            State::Running => self.run.as_ref().map_or(patience.command, |run| run.patience(patience)),
            State::Hello
            | State::PlainHello
            | State::StartTls
            | State::Handshake
            | State::Login
            | State::LoginCancelled
            | State::Ready
            | State::Closed(_) => patience.command,
        }
    }

    /// Begins a transaction; possible when the step is [`Step::Ready`].
    pub fn send(&mut self, transaction: Transaction) -> Result<(), Unsuited> {
        if self.state != State::Ready || self.replies.pending() {
            return Err(Unsuited::NotReady);
        }
        transaction.suits(&self.capabilities, self.tls.is_some(), self.settings.chunking)?;
        self.transactions += 1;
        let chunking = self.capabilities.chunking && self.settings.chunking;
        self.run = Some(Box::new(Run::new(transaction, chunking, self.stale_envelope)));
        self.stale_envelope = false;
        self.state = State::Running;
        Ok(())
    }

    /// Says QUIT; possible when the step is [`Step::Ready`]. Elsewhere the connection is given up.
    pub fn quit(&mut self) {
        match self.state {
            State::Ready => {
                self.state = State::Quitting;
                self.output.extend_from_slice(b"QUIT\r\n");
            }
            State::Quitting | State::Closed(_) => {}
            _ => self.abandon(),
        }
    }

    /// What the remote offers, once [`Step::Ready`].
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// What TLS established; `None` in clear.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    /// Whether the remote offered STARTTLS and then refused it, so that the session goes on in clear.
    pub fn starttls_refused(&self) -> bool {
        self.starttls_refused
    }

    /// Where the session stands.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::New | State::Greeting => Phase::Greeting,
            State::Hello | State::PlainHello => Phase::Hello,
            State::StartTls | State::Handshake => Phase::StartTls,
            State::Login | State::LoginCancelled => Phase::Login,
            State::Ready => Phase::Idle,
            State::Running => self.run.as_ref().map_or(Phase::Idle, |run| run.phase()),
            State::Quitting => Phase::Quit,
            State::Closed(why) => why.as_ref().map_or(Phase::Quit, |failure| failure.phase),
        }
    }

    /// The connection is of no use any more: a transaction under way ends with it.
    fn fail(&mut self, trouble: Trouble) {
        let trouble = match &self.login {
            Some(login) => trouble.hiding(|text| login.is_repeated_in(text)),
            None => trouble,
        };
        let failure = Failure { phase: self.phase(), trouble };
        if let Some(run) = self.run.take() {
            self.report = Some(run.broken(&failure));
        }
        self.login = None;
        self.replies.clear();
        self.state = State::Closed(Some(failure));
    }

    /// Says a command that stands alone. What came already is no answer to it: the remote has lost count.
    fn say(&mut self, line: &str, state: State) {
        debug_assert!(!line.contains(['\r', '\n']), "a command is one line");
        if self.replies.pending() {
            self.fail(Trouble::Garbled("it spoke out of turn".to_owned()));
            return;
        }
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
        self.state = state;
    }
}
