//! The server session.

use std::sync::Arc;
use std::time::Duration;

use postroad_protocol::{Interrupt, Peer, Protocol, Step, TlsFacts};

use crate::{Helo, Identity, MailFrom, RcptTo, Received, Role, Settings, Stage, Verdict};

/// A session of a client, with the world's own state beside it: `W` travels with the session, the
/// session never looks at it. Dropping the session drops it.
#[derive(Debug)]
pub struct Session<W> {
    /// What the world keeps about this session (the upload under way, policy results, …).
    pub world: W,
    settings: Arc<Settings>,
    peer: Peer,
}

/// What happened so far, for metrics and policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Commands read.
    pub commands: u32,
    /// Commands refused for form or order.
    pub errors: u32,
    /// `MAIL` commands accepted.
    pub transactions: u32,
    /// Octets that came in clear behind `STARTTLS` and were dropped: an attack or a broken client.
    pub injected: u64,
    /// Octets of the current message received so far, as kept (dots unstuffed).
    pub body: u64,
}

impl<W> Session<W> {
    /// A new session; `tls` when the connection began with TLS.
    pub fn new(settings: Arc<Settings>, peer: Peer, _tls: Option<TlsFacts>, world: W) -> Session<W> {
        Session { world, settings, peer }
    }

    /// Answers the stage that [`Protocol::step`] asked for.
    pub fn verdict(&mut self, _verdict: Verdict) {
        unimplemented!()
    }

    /// The listener's settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The listener's role.
    pub fn role(&self) -> Role {
        self.settings.role
    }

    /// Who is on the other side.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// What TLS established; `None` in clear.
    pub fn tls(&self) -> Option<&TlsFacts> {
        unimplemented!()
    }

    /// How the client called itself, from [`Stage::Helo`] on.
    pub fn helo(&self) -> Option<&Helo> {
        unimplemented!()
    }

    /// Who authenticated.
    pub fn identity(&self) -> Option<&Identity> {
        unimplemented!()
    }

    /// The sender of the transaction under way, once accepted.
    pub fn sender(&self) -> Option<&MailFrom> {
        unimplemented!()
    }

    /// The accepted recipients of the transaction under way.
    pub fn recipients(&self) -> &[RcptTo] {
        unimplemented!()
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        unimplemented!()
    }

    /// The facts for a Received line, all that is known; `id` is the trace id, `date` an RFC 5322
    /// date-time. Clear the fields that the site hides.
    pub fn received<'a>(&'a self, _id: &'a str, _date: &'a str) -> Received<'a> {
        unimplemented!()
    }
}

impl<W: Send + 'static> Protocol for Session<W> {
    type Job = Stage;

    fn input(&mut self, _bytes: &[u8]) {
        unimplemented!()
    }

    fn step(&mut self) -> Step<Stage> {
        unimplemented!()
    }

    fn take_output(&mut self) -> Vec<u8> {
        unimplemented!()
    }

    fn secured(&mut self, _tls: TlsFacts) {
        unimplemented!()
    }

    fn interrupt(&mut self, _why: Interrupt) {
        unimplemented!()
    }

    fn patience(&self) -> Duration {
        unimplemented!()
    }
}
