//! The client session.
mod capabilities;
mod report;
mod settings;
mod transaction;

use std::time::Duration;

use postroad_protocol::TlsFacts;

pub use capabilities::{Capabilities, Limits};
pub use report::{Failure, Fate, Phase, Report, Said, Trouble};
pub use settings::{Login, Patience, Settings, TlsWish};
pub use transaction::{Transaction, Unsuited};

/// What the caller does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write the output, then read for at most [`Client::patience`].
    Read,
    /// Write the output, shake hands, then [`Client::secured`]. When the handshake fails, the connection is lost: drop the session.
    StartTls,
    /// [`Client::send`] a message, [`Client::quit`], or wait: input may be given here too.
    Ready,
    /// Write the output, then give more of the message with [`Client::body`], or [`Client::body_end`]. Input that is there already
    /// may be given before.
    NeedBody,
    /// A transaction is over.
    Done(Report),
    /// Write the output as far as it goes and close. `None` after [`Client::quit`].
    Close(Option<Failure>),
}

/// A client session.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    tls: Option<TlsFacts>,
    capabilities: Capabilities,
}

impl Client {
    /// A session at the beginning of a connection.
    pub fn new(settings: Settings) -> Client {
        Client { settings, tls: None, capabilities: Capabilities::default() }
    }

    /// Octets from the remote.
    pub fn input(&mut self, _bytes: &[u8]) {
        unimplemented!()
    }

    /// The next step.
    pub fn step(&mut self) -> Step {
        unimplemented!()
    }

    /// Takes the output produced so far.
    pub fn take_output(&mut self) -> Vec<u8> {
        unimplemented!()
    }

    /// The handshake asked for by [`Step::StartTls`] is done.
    pub fn secured(&mut self, tls: TlsFacts) {
        self.tls = Some(tls);
    }

    /// The remote closed its side, or the connection broke. Give what could still be read before.
    pub fn closed(&mut self) {
        unimplemented!()
    }

    /// Nothing came for [`Client::patience`], or nothing could be written for so long.
    pub fn timed_out(&mut self) {
        unimplemented!()
    }

    /// The caller gives up (the message cannot be read, the server stops): the connection is to be closed without another word.
    pub fn abandon(&mut self) {
        unimplemented!()
    }

    /// How long to wait for the remote in the state the session is in.
    pub fn patience(&self) -> Duration {
        self.settings.patience.command
    }

    /// Begins a transaction; possible when the step is [`Step::Ready`].
    pub fn send(&mut self, transaction: Transaction) -> Result<(), Unsuited> {
        transaction.suits(&self.capabilities, self.tls.is_some())
    }

    /// The next piece of the message, of any size; asked for by [`Step::NeedBody`].
    pub fn body(&mut self, _bytes: &[u8]) {
        unimplemented!()
    }

    /// The message is complete.
    pub fn body_end(&mut self) {
        unimplemented!()
    }

    /// Says QUIT; possible when the step is [`Step::Ready`]. Elsewhere the connection is just closed.
    pub fn quit(&mut self) {
        unimplemented!()
    }

    /// What the remote offers, once [`Step::Ready`].
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// What TLS established; `None` in clear.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    /// Where the session stands.
    pub fn phase(&self) -> Phase {
        Phase::Greeting
    }
}
