//! The server session: state, envelope, and the drive shaft of [`Protocol`].
//!
//! Invariants:
//! 1. Replies depend on the bytes that came and the verdicts, never on how the bytes were cut.
//! 2. A stage is open until [`Session::verdict`]; going on without one refuses.
//! 3. A transaction that the world heard of ends with [`Stage::Message`] or [`Stage::Abandon`], unless the
//!    connection breaks.
//! 4. Nothing that came in clear is looked at after `STARTTLS` (RFC 3207 §4.2).

mod body;
mod burl;
mod claims;
mod command;
mod greeting;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use postroad_protocol::{Interrupt, Peer, Protocol, SignedIn, Step, TlsFacts};
use postroad_sasl::Ask;

use crate::data::BodyReceiver;
use crate::lines::{Input, Line};
use crate::received::with_protocol;
use crate::{
    Abandoned, Abuse, Claim, Forwarded, Helo, Identity, MailFrom, Offer, RcptTo, Received, Rejection, Reply, Role,
    Settings, Stage,
};

/// A session of a client, with the world's own state beside it: `W` travels with the session, which
/// never looks at it. Dropping the session drops it.
#[derive(Debug)]
pub struct Session<W> {
    /// What the world keeps about this session (the upload under way, policy results, …).
    pub world: W,
    settings: Arc<Settings>,
    peer: Peer,
    tls: Option<TlsFacts>,
    offer: Offer,
    claims: claims::Claims,
    helo: Option<Helo>,
    identity: Option<Identity>,
    signed_in: Option<SignedIn>,
    envelope: Envelope,
    counters: Counters,
    phase: Phase,
    /// The client spoke before the greeting.
    early: bool,
    hush: Option<Hush>,
    input: Input,
    output: Vec<u8>,
}

/// What happened so far, for metrics and policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Commands read.
    pub commands: u32,
    /// Commands refused for form or order, and failed authentications.
    pub errors: u32,
    /// Recipients that the world refused for good.
    pub refused_recipients: u32,
    /// `MAIL` commands accepted.
    pub transactions: u32,
    /// Octets that came in clear behind `STARTTLS` and were dropped: an attack or a broken client.
    pub injected: u64,
}

/// A short silence before the greeting, in which only programs speak that do not listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hush {
    /// How long.
    pub wait: Duration,
    /// Who speaks is let in all the same; [`Session::spoke_early`] tells.
    pub lenient: bool,
}

/// The transaction under way.
#[derive(Debug, Default)]
struct Envelope {
    sender: Option<MailFrom>,
    recipients: Vec<RcptTo>,
    /// Recipients refused in this transaction.
    refused: u32,
    /// The body, from the first octet on.
    body: Option<BodyReceiver>,
    /// The world's refusal of the body.
    refusal: Option<Reply>,
}

/// Where the session stands.
#[derive(Debug)]
enum Phase {
    /// Before the first step.
    New,
    /// Nothing is said yet; who speaks now does not listen.
    Hush,
    /// The world is told what the client did, then this.
    Report(Abuse, Box<Phase>),
    /// The next line is a command.
    Command,
    /// The next line is the client's part of a SASL exchange.
    Auth(Exchange),
    /// The world is to be asked about it.
    Ask(Exchange, Box<Ask>),
    /// DATA is coming in.
    Data,
    /// A BDAT chunk is coming in.
    Chunk { left: u64, last: bool },
    /// A piece of what a URL leads to is to be handed over, then this.
    Piece(Vec<u8>, Box<Phase>),
    /// More of what a URL leads to is to be asked for.
    Follow(burl::Following),
    /// A BDAT chunk is complete.
    ChunkEnd { last: bool },
    /// A refused BDAT chunk is coming in; the reply follows it.
    Skip { left: u64, reply: Reply, after: Skipped },
    /// The message is complete.
    Ended,
    /// The transaction is to be let go of, then this.
    Abandon(Abandoned, Box<Phase>),
    /// The world has a job.
    Waiting(Pending),
    /// TLS begins.
    StartTls,
    /// TLS is being set up.
    Handshake,
    /// There is nothing more to say.
    Closing,
}

/// Why there is no line.
enum NoLine {
    /// More input is needed.
    Read,
    /// What came is no line; the session says goodbye.
    Closing,
}

impl From<NoLine> for Option<Step<Stage>> {
    fn from(why: NoLine) -> Self {
        match why {
            NoLine::Read => Some(Step::Read),
            NoLine::Closing => None,
        }
    }
}

/// A SASL exchange of a client.
type Exchange = postroad_sasl::Exchange<Identity, Rejection>;

/// What a refused BDAT chunk is followed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skipped {
    /// It was out of order: an error, and nothing changes.
    Error,
    /// It was too large: the transaction is over. The last chunk's reply is the message's reply.
    Abandon { last: bool },
}

/// The stage that waits for its verdict.
#[derive(Debug)]
enum Pending {
    Connect,
    Helo(Helo),
    Claim(Box<Claim>),
    Etrn,
    Auth(Exchange),
    Mail(MailFrom),
    Rcpt(RcptTo),
    /// A piece of the body, then this.
    Body(Box<Phase>),
    Burl(burl::Following),
    Message,
    /// The transaction is forgotten, then this.
    Abandon(Box<Phase>),
}

impl<W> Session<W> {
    /// A new session; `tls` when the connection began with TLS.
    pub fn new(settings: Arc<Settings>, peer: Peer, tls: Option<TlsFacts>, world: W) -> Session<W> {
        Session {
            world,
            settings,
            peer,
            tls,
            offer: Offer::default(),
            claims: claims::Claims::default(),
            helo: None,
            identity: None,
            signed_in: None,
            envelope: Envelope::default(),
            counters: Counters::default(),
            phase: Phase::New,
            early: false,
            hush: None,
            input: Input::default(),
            output: Vec::new(),
        }
    }

    /// Waits before the greeting: the job of [`Stage::Connect`] is then waited for, and the world lets [`Hush::wait`] pass.
    pub fn set_hush(&mut self, hush: Hush) {
        self.hush = Some(hush);
    }

    /// The silence before the greeting.
    pub fn hush(&self) -> Option<Hush> {
        self.hush
    }

    /// Whether the client spoke before the greeting.
    pub fn spoke_early(&self) -> bool {
        self.early
    }

    /// The listener's settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The listener's role.
    pub fn role(&self) -> Role {
        self.settings.role
    }

    /// Who is on the other side: whom a trusted neighbour speaks for (XCLIENT), else who connected.
    pub fn peer(&self) -> Peer {
        self.claimed_peer()
    }

    /// Who connected, whatever was claimed since.
    pub fn connected(&self) -> Peer {
        self.peer
    }

    /// What a neighbour claimed with XCLIENT, all commands together; during [`Stage::Claim`] already with the newest.
    pub fn claim(&self) -> Option<&Claim> {
        self.claims.claim.as_ref()
    }

    /// For whom a neighbour says to pass mail on (XFORWARD).
    pub fn forwarded(&self) -> Option<&Forwarded> {
        self.claims.forwarded.as_ref()
    }

    /// What this session offers beside what all do.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Decides what this session offers beside what all do, from the next EHLO on.
    pub fn set_offer(&mut self, offer: Offer) {
        self.offer = offer;
    }

    /// What TLS established; `None` in clear.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    /// How the client called itself; during [`Stage::Helo`] already the new name.
    pub fn helo(&self) -> Option<&Helo> {
        match &self.phase {
            Phase::Waiting(Pending::Helo(helo)) => Some(self.claims.helo.as_ref().unwrap_or(helo)),
            _ => self.claims.helo.as_ref().or(self.helo.as_ref()),
        }
    }

    /// Who authenticated.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Says by what the client signed in, so that the connection ends when that is taken away.
    pub fn sign_in(&mut self, by: SignedIn) {
        self.signed_in = Some(by);
    }

    /// The sender of the transaction under way, once accepted.
    pub fn sender(&self) -> Option<&MailFrom> {
        self.envelope.sender.as_ref()
    }

    /// The accepted recipients of the transaction under way.
    pub fn recipients(&self) -> &[RcptTo] {
        &self.envelope.recipients
    }

    /// Octets of the message under way received so far, without stuffed dots.
    pub fn body_size(&self) -> u64 {
        self.envelope.body.as_ref().map_or(0, BodyReceiver::size)
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The facts for a Received line, all that is known; `id` is the trace id, `date` an RFC 5322
    /// date-time. Clear the fields that the site hides.
    pub fn received<'a>(&'a self, id: &'a str, date: &'a str) -> Received<'a> {
        let recipient = match self.envelope.recipients.as_slice() {
            [only] => only.path.address(),
            _ => None,
        };
        Received {
            helo: self.helo(),
            remote: Some(self.peer().remote),
            reverse_name: None,
            by: &self.settings.hostname,
            with: with_protocol(
                self.role(),
                self.helo().is_some_and(|helo| helo.extended),
                self.envelope.sender.as_ref().is_some_and(|sender| sender.smtputf8),
                self.tls.is_some(),
                self.identity.is_some(),
            ),
            tls: self.tls.as_ref(),
            login: self.identity.as_ref().map(|identity| identity.login.as_str()),
            id,
            recipient,
            priority: self.envelope.sender.as_ref().and_then(|sender| sender.priority),
            solicitation: self.envelope.sender.as_ref().and_then(|sender| sender.solicitation.as_ref()),
            date,
        }
    }

    /// One move of the state machine; `None` when there is another one to make.
    fn advance(&mut self) -> Option<Step<Stage>> {
        match std::mem::replace(&mut self.phase, Phase::Closing) {
            Phase::New | Phase::Hush if self.early && self.role() == Role::Relay && !self.is_lenient() => {
                // RFC 5321 §3.1: the server speaks first. What talks before it is no mail server.
                self.say(&Reply::new(554, (5, 5, 1), "You spoke before the greeting"));
                self.report(Abuse::EarlyTalk);
                None
            }
            Phase::New | Phase::Hush if self.hush.is_some() && !self.early => {
                self.phase = Phase::Hush;
                Some(Step::Wait(Stage::Connect))
            }
            Phase::Report(abuse, next) => self.wait_for(Pending::Abandon(next), Stage::Abuse(abuse)),
            Phase::New | Phase::Hush => self.wait_for(Pending::Connect, Stage::Connect),
            Phase::Command => self.command_line(),
            Phase::Auth(exchange) => self.auth_line(exchange),
            Phase::Ask(exchange, ask) => self.wait_for(Pending::Auth(exchange), Stage::Auth(*ask)),
            Phase::Data => self.data(),
            Phase::Chunk { left, last } => self.chunk(left, last),
            Phase::Piece(kept, next) => self.hand_over(kept, *next),
            Phase::Follow(following) => self.follow(following),
            Phase::ChunkEnd { last } => self.chunk_end(last),
            Phase::Skip { left, reply, after } => self.skip(left, reply, after),
            Phase::Ended => self.ended(),
            Phase::Abandon(why, next) => self.wait_for(Pending::Abandon(next), Stage::Abandon(why)),
            Phase::Waiting(pending) => {
                self.phase = Phase::Waiting(pending);
                self.forgotten();
                None
            }
            Phase::StartTls => {
                self.drop_injected();
                self.phase = Phase::Handshake;
                Some(Step::StartTls)
            }
            Phase::Handshake => {
                self.phase = Phase::Handshake;
                Some(Step::Read)
            }
            Phase::Closing => Some(Step::Close),
        }
    }

    /// The next line in a phase that reads lines, with that phase; otherwise what to do instead.
    fn next_line(&mut self, phase: Phase) -> Result<(Line, Phase), NoLine> {
        match self.input.line() {
            Line::Incomplete => {
                self.phase = phase;
                Err(NoLine::Read)
            }
            Line::LoneLf => {
                // A peer that ends lines with LF alone is broken or part of a smuggling attempt; where
                // its next line begins is anyone's guess, so there is no next line.
                let text = "Lines end with CR LF here, not with LF alone; closing";
                self.hang_up(&Reply::new(500, (5, 5, 2), text));
                Err(NoLine::Closing)
            }
            Line::Flood => {
                self.hang_up(&Reply::new(500, (5, 5, 2), "The line does not end; closing"));
                Err(NoLine::Closing)
            }
            line @ (Line::Whole(_) | Line::LoneCr | Line::TooLong) => Ok((line, phase)),
        }
    }

    fn wait_for(&mut self, pending: Pending, stage: Stage) -> Option<Step<Stage>> {
        self.phase = Phase::Waiting(pending);
        Some(Step::Do(stage))
    }

    /// Writes a reply.
    fn say(&mut self, reply: &Reply) {
        reply.write(&mut self.output);
    }

    /// Refuses a command for its form or order, and the client altogether when it does not stop.
    fn fail(&mut self, reply: &Reply) {
        self.say(reply);
        self.counters.errors = self.counters.errors.saturating_add(1);
        if self.counters.errors >= self.settings.errors_limit {
            self.say(&Reply::new(421, (4, 7, 0), "Too many errors; closing"));
            self.close();
            self.report(Abuse::Errors);
        }
    }

    fn is_lenient(&self) -> bool {
        self.hush.is_some_and(|hush| hush.lenient)
    }

    /// Before whatever is next, the world hears of it.
    fn report(&mut self, abuse: Abuse) {
        let next = std::mem::replace(&mut self.phase, Phase::Closing);
        self.phase = Phase::Report(abuse, Box::new(next));
    }

    /// Ends the session, after letting go of a transaction.
    fn close(&mut self) {
        self.phase = self.abandoning(Abandoned::Quit, Phase::Closing);
    }

    /// The phase that goes to `next` by way of abandoning the transaction, when there is one.
    fn abandoning(&self, why: Abandoned, next: Phase) -> Phase {
        match self.envelope.sender {
            Some(_) => Phase::Abandon(why, Box::new(next)),
            None => next,
        }
    }

    fn drop_injected(&mut self) {
        let octets = self.input.drop_all();
        self.counters.injected = self.counters.injected.saturating_add(octets as u64);
    }
}

impl<W: Send + 'static> Protocol for Session<W> {
    type Job = Stage;

    fn input(&mut self, bytes: &[u8]) {
        match self.phase {
            Phase::New | Phase::Hush => self.early |= !bytes.is_empty(),
            Phase::StartTls | Phase::Handshake => {
                self.counters.injected = self.counters.injected.saturating_add(bytes.len() as u64);
                return;
            }
            Phase::Closing => return,
            _ => {}
        }
        self.input.push(bytes);
    }

    fn step(&mut self) -> Step<Stage> {
        loop {
            if let Some(step) = self.advance() {
                return step;
            }
        }
    }

    fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    fn secured(&mut self, tls: TlsFacts) {
        self.tls = Some(tls);
        if let Phase::Handshake = self.phase {
            // RFC 3207 §4.2: the session is as after the greeting; what the client said in clear is forgotten.
            self.drop_injected();
            self.helo = None;
            self.identity = None;
            self.signed_in = None;
            self.claims = claims::Claims::default();
            self.phase = Phase::Command;
        }
    }

    fn interrupt(&mut self, why: Interrupt) {
        match why {
            Interrupt::TimedOut => {
                self.say(&Reply::new(421, (4, 4, 2), "Nothing came for too long; closing"));
            }
            Interrupt::ShuttingDown => {
                self.say(&Reply::new(421, (4, 3, 2), "The server stops; try again in a minute"));
            }
            Interrupt::CutOff => {
                self.say(&Reply::new(421, (4, 7, 0), "What you signed in with was taken away"));
            }
            Interrupt::Closed => {}
        }
        self.phase = Phase::Closing;
    }

    fn signed_in(&self) -> Option<SignedIn> {
        self.signed_in
    }

    fn patience(&self) -> Duration {
        match self.phase {
            Phase::Data | Phase::Chunk { .. } | Phase::Skip { .. } => self.settings.patience.data,
            _ if self.helo.is_none() => self.settings.patience.greeting,
            _ => self.settings.patience.command,
        }
    }
}
