//! One client's connection, as a plain struct.
//!
//! States of RFC 1939: AUTHORIZATION (`maildrop` is `None`), TRANSACTION (it is some), UPDATE
//! (`Phase::Updating`).
//!
//! Invariants:
//! 1. A session has at most one job out. What the job says is in `staged` and becomes output only when the
//!    world told its outcome.
//! 2. `login` is set only from an `Authenticated`, which only a verified password makes.
//! 3. Messages are removed in `Phase::Updating` only, and only `QUIT` leads there.

use std::sync::Arc;
use std::time::Duration;

use postroad_mail::Authenticated;
use postroad_mail::maildrop::Holder;
use postroad_protocol::{Interrupt, Peer, Protocol, SignedIn, Step, TlsFacts};
use postroad_store::{Locks, Receipt, Timestamp};

use crate::ahead::Ahead;
use crate::error::Error;
use crate::input::{Input, Line};
use crate::job::{Job, Login};
use crate::listing::Listing;
use crate::login::Exchange;
use crate::maildrop::Maildrop;
use crate::settings::{BAD_COMMANDS_MAX, QUICK_OCTETS_MAX, Settings};
use crate::transfer::Transfer;

/// One client's connection.
#[derive(Debug)]
pub struct Session {
    pub(crate) settings: Arc<Settings>,
    pub(crate) peer: Peer,
    pub(crate) tls: Option<TlsFacts>,
    pub(crate) phase: Phase,
    pub(crate) login: Option<Authenticated>,
    pub(crate) maildrop: Option<Maildrop>,
    /// The name of the last USER, waiting for its PASS.
    pub(crate) user: Option<String>,
    /// What the greeting has for APOP.
    pub(crate) timestamp: Option<String>,
    pub(crate) input: Input,
    /// What may go to the client.
    pub(crate) out: Vec<u8>,
    /// What the job under way says.
    pub(crate) staged: Vec<u8>,
    pub(crate) ahead: Ahead,
    /// The client said UTF8.
    pub(crate) utf8: bool,
    /// The maildrop is this session's alone.
    pub(crate) held: Option<Hold>,
    pub(crate) bad_commands: u32,
    pub(crate) failed_logins: u32,
}

/// A maildrop that one session has alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hold {
    pub(crate) holder: Holder,
    /// When the lease was given or renewed.
    pub(crate) since: Timestamp,
    /// It is to be renewed.
    pub(crate) due: bool,
}

/// What the session is at.
#[derive(Debug, Default)]
pub(crate) enum Phase {
    /// The greeting is to be said.
    Greeting,
    /// Between commands.
    #[default]
    Ready,
    /// AUTH asked something.
    Authenticating(Exchange),
    /// What a client shows of itself waits to be verified; `None` once the world has it.
    LoggingIn(Exchange, Option<Box<Login>>),
    /// The answer to a failed login is held back for a while.
    Penalty(&'static str, Duration),
    /// The maildrop is being read.
    Opening(Opening),
    /// A message is on its way.
    Sending(Box<Transfer>),
    /// A listing is on its way.
    Listing(Listing),
    /// The session says that it still has its maildrop.
    Holding,
    /// QUIT: what is marked is to be removed.
    Updating,
    /// STLS was answered.
    StartTls,
    /// The last words are said.
    Closing,
}

/// A maildrop that is being read.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    /// The policy let it be opened, or there is none.
    pub(crate) admitted: bool,
    /// Why it is not.
    pub(crate) denied: Option<&'static str>,
    pub(crate) maildrop: Option<Maildrop>,
    pub(crate) complete: bool,
}

impl Session {
    /// A session for a client that has just connected. With implicit TLS (port 995) `tls` is there already.
    pub fn new(settings: Arc<Settings>, peer: Peer, tls: Option<TlsFacts>) -> Session {
        Session {
            settings,
            peer,
            tls,
            phase: Phase::Greeting,
            login: None,
            maildrop: None,
            user: None,
            timestamp: None,
            input: Input::default(),
            out: Vec::new(),
            staged: Vec::new(),
            ahead: Ahead::default(),
            utf8: false,
            held: None,
            bad_commands: 0,
            failed_logins: 0,
        }
    }

    /// The same with APOP (RFC 1939 §7), which the greeting offers by this timestamp ([`postroad_sasl::digest::challenge`]):
    /// one for each connection, and no other has the same. It is said where a name and a password may be sent at once.
    #[must_use]
    pub fn with_apop(self, timestamp: Option<String>) -> Session {
        let timestamp = timestamp.filter(|_| self.may_send_password());
        Session { timestamp, ..self }
    }

    /// Who logged in, for limits by account and for the log.
    pub fn login(&self) -> Option<&Authenticated> {
        self.login.as_ref()
    }

    /// The client.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether the job that the session asks for, if it is [`Job::Read`], is a look at a few rows: a world may then use
    /// `store.read_quick_with`.
    pub fn is_quick(&self) -> bool {
        matches!(&self.phase, Phase::Sending(transfer) if transfer.size <= QUICK_OCTETS_MAX)
    }

    /// The outcome of [`Job::Read`].
    pub fn read_done(&mut self, outcome: Result<(), Error>) {
        self.settle(outcome);
    }

    /// The outcome of [`Job::Write`]: what it said goes out only with a receipt.
    pub fn write_done(&mut self, outcome: Result<Receipt, Error>) {
        self.settle(outcome.map(|_receipt| ()));
    }

    /// The outcome of [`Job::Pause`].
    pub fn resumed(&mut self) {
        if let Phase::Penalty(text, _) = self.phase {
            self.phase = Phase::Ready;
            self.login_refused(text);
        }
    }

    /// Whether a name and a password may be sent now.
    pub(crate) fn may_send_password(&self) -> bool {
        self.tls.is_some() || (self.settings.cleartext_on_loopback && self.peer.is_loopback())
    }

    /// RFC 2595 §4: STLS is for the AUTHORIZATION state, once.
    pub(crate) fn may_start_tls(&self) -> bool {
        self.settings.starttls && self.tls.is_none() && self.login.is_none()
    }

    /// `+OK text`.
    pub(crate) fn ok(&mut self, text: &str) {
        self.out.extend_from_slice(format!("+OK {text}\r\n").as_bytes());
    }

    /// `-ERR text`.
    pub(crate) fn err(&mut self, text: &str) {
        self.out.extend_from_slice(format!("-ERR {text}\r\n").as_bytes());
    }

    /// `-ERR text`, then the end.
    pub(crate) fn hang_up(&mut self, text: &str) {
        self.err(text);
        self.phase = Phase::Closing;
    }

    /// A line when the session has nothing else to do.
    fn next_line(&mut self) -> Option<Step<Job>> {
        match self.input.line() {
            Line::Incomplete => return Some(Step::Read),
            Line::TooLong => {
                self.phase = Phase::Ready;
                self.bad_command("the line is too long");
            }
            Line::Whole(line) => match std::mem::take(&mut self.phase) {
                Phase::Authenticating(exchange) => self.exchange_line(exchange, line),
                _ => self.command(line),
            },
        }
        None
    }

    /// A line that is no command.
    pub(crate) fn bad_command(&mut self, text: &str) {
        self.bad_commands += 1;
        match self.bad_commands >= BAD_COMMANDS_MAX {
            true => self.hang_up("too many lines that are no commands; closing"),
            false => self.err(text),
        }
    }

    fn write_job(&self, command: &'static str) -> Job {
        let account = self.login.as_ref().map(Authenticated::account);
        Job::Write(account.map_or_else(Locks::none, Locks::account), command)
    }
}

impl Protocol for Session {
    type Job = Job;

    fn input(&mut self, bytes: &[u8]) {
        match self.phase {
            // RFC 2595 §4: what comes in clear behind STLS counts for nothing.
            Phase::StartTls | Phase::Closing => {}
            _ => self.input.push(bytes),
        }
    }

    fn step(&mut self) -> Step<Job> {
        loop {
            match &mut self.phase {
                Phase::Greeting => {
                    let timestamp = self.timestamp.as_ref().map(|timestamp| format!(" {timestamp}"));
                    self.ok(&format!("Postroad is ready{}", timestamp.unwrap_or_default()));
                    self.phase = Phase::Ready;
                }
                Phase::LoggingIn(_, login) => match login.take() {
                    Some(login) => return Step::Do(Job::Login(*login)),
                    // The world has had it and said nothing.
                    None => self.logged_in(crate::Outcome::Unavailable),
                },
                Phase::Penalty(_, delay) => return Step::Do(Job::Pause(*delay)),
                Phase::Opening(opening) if !opening.admitted => return Step::Do(self.write_job("open")),
                Phase::Opening(_) => return Step::Do(Job::Read("open")),
                Phase::Sending(_) => return Step::Do(Job::Read("retr")),
                Phase::Updating => return Step::Do(self.write_job("quit")),
                Phase::Holding => return Step::Do(self.write_job("hold")),
                Phase::Listing(_) => {
                    if let Some(step) = self.list_on() {
                        return step;
                    }
                }
                Phase::StartTls => return Step::StartTls,
                Phase::Closing if self.held.is_some() => return Step::Do(self.write_job("release")),
                Phase::Closing => return Step::Close,
                Phase::Ready if self.held.is_some_and(|held| held.due) => self.phase = Phase::Holding,
                Phase::Ready | Phase::Authenticating(_) => {
                    if let Some(step) = self.next_line() {
                        return step;
                    }
                }
            }
        }
    }

    fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn secured(&mut self, tls: TlsFacts) {
        self.input.clear();
        self.user = None;
        self.tls = Some(tls);
        self.phase = Phase::Ready;
    }

    fn interrupt(&mut self, why: Interrupt) {
        match (&self.phase, why) {
            // QUIT was said: what it began is finished.
            (Phase::Updating, _) => {}
            // Inside a multi-line response words would be taken for a part of it.
            (Phase::Sending(_) | Phase::Listing(_), _) => self.phase = Phase::Closing,
            // RFC 1939 §3: after the autologout timer the connection closes without a response.
            (_, Interrupt::TimedOut | Interrupt::Closed) => self.phase = Phase::Closing,
            (_, Interrupt::ShuttingDown) => self.hang_up("[SYS/TEMP] the server stops; come back soon"),
            (_, Interrupt::CutOff) => self.hang_up("[AUTH] what you signed in with was taken away"),
        }
    }

    fn signed_in(&self) -> Option<SignedIn> {
        let login = self.login.as_ref()?;
        Some(SignedIn { account: login.holder().0, by: login.credential(), into: login.account().0 })
    }

    fn patience(&self) -> Duration {
        match self.login {
            Some(_) => self.settings.patience,
            None => self.settings.patience_before_login,
        }
    }
}
