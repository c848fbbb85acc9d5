//! The seam between a session without sockets and the one connection loop.
//!
//! A session ([`Protocol`]) is a plain struct. The loop in `postroad-net` feeds it bytes and drains
//! its steps; a `World` that lives in the shell (also in `postroad-net`) performs its
//! jobs. Nothing here knows sockets, TLS libraries, clocks or mail, so that `smtp`, `imapd` and
//! `pop3d` can be sessions without importing the shell.
//! Why this is a crate of its own: `docs/decisions/001-protocol-crate.md`.

use std::net::SocketAddr;
use std::time::Duration;

/// What a session wants next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<J> {
    /// More input. The loop flushes the output first.
    Read,
    /// A job for the world: the session travels with it and comes back.
    Do(J),
    /// Input, or news for which the job is then done (IDLE), whichever comes first.
    Wait(J),
    /// Flush, drop what was buffered in clear (RFC 3207 §6), shake hands, then [`Protocol::secured`].
    StartTls,
    /// Flush; from then on both directions are compressed with DEFLATE (RFC 4978). Said once at most, until
    /// [`Step::EndCompression`].
    StartCompression,
    /// Flush; from then on neither direction is compressed (RFC 8437 §4.1).
    EndCompression,
    /// Flush and close.
    Close,
}

/// Who is on the other side, after the PROXY protocol had its say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The client's address.
    pub remote: SocketAddr,
    /// The address of ours that it reached.
    pub local: SocketAddr,
}

impl Peer {
    /// Whether the client is on this machine, where a trial may authenticate without TLS.
    pub fn is_loopback(&self) -> bool {
        self.remote.ip().to_canonical().is_loopback()
    }
}

/// What a finished TLS handshake established.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFacts {
    /// `TLSv1.3` or `TLSv1.2`, as written into Received lines.
    pub version: &'static str,
    /// The cipher suite's IANA name.
    pub cipher: String,
    /// The key exchange group's name, for example `X25519MLKEM768`.
    pub group: Option<String>,
    /// The name the client asked for (SNI), without a trailing dot.
    pub server_name: Option<String>,
    /// What an authentication can be bound to this connection by.
    pub bindings: Bindings,
    /// The certificate that the client showed and has the key of.
    pub client: Option<Box<ClientCertificate>>,
}

/// The channel bindings of a TLS connection (RFC 5056): whoever stands between the two sides has others with each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bindings {
    /// `tls-exporter` (RFC 9266 §4.2): of TLS 1.3 only.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929 §4): a hash of the server's certificate.
    pub end_point: Option<Vec<u8>>,
}

impl Bindings {
    /// The data of a binding by its registered name; `tls-unique` is never given (RFC 9266 §1).
    pub fn named(&self, name: &str) -> Option<&[u8]> {
        match name {
            "tls-exporter" => self.exporter.as_ref().map(<[u8; 32]>::as_slice),
            "tls-server-end-point" => self.end_point.as_deref(),
            _ => None,
        }
    }

    /// Whether there is one.
    pub fn any(&self) -> bool {
        self.exporter.is_some() || self.end_point.is_some()
    }
}

/// A certificate of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// SHA-256 of the whole certificate in DER.
    pub fingerprint: [u8; 32],
    /// The mail addresses it is for (subjectAltName, rfc822Name), as they stand in it.
    pub addresses: Vec<String>,
    /// One of the authorities that this server trusts with its clients vouches for it, and it is valid now. Of one for which
    /// nobody does, the addresses are mere claims.
    pub trusted: bool,
}

/// Why the loop interrupts a session. The session writes its parting words (`421`, `BYE`); its next
/// step is [`Step::Close`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// Nothing came for [`Protocol::patience`].
    TimedOut,
    /// The server stops.
    ShuttingDown,
    /// The client closed its side; whatever the session says may go unread.
    Closed,
    /// What the client signed in by was taken away.
    CutOff,
}

/// By what a client signed in: whoever takes that away ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignedIn {
    /// The number of the account whose password or token it was.
    pub account: i64,
    /// The number of the password, or of the grant that a token came from.
    pub by: i64,
    /// The number of the account that it opened: another than `account` for a delegate.
    pub into: i64,
}

/// A session without sockets.
pub trait Protocol: Send + Sized + 'static {
    /// What it asks of the world.
    type Job: Send + 'static;

    /// Takes bytes from the client. The session bounds what it buffers: see [`Protocol::step`].
    fn input(&mut self, bytes: &[u8]);

    /// Drained until `Read`, `Wait` or `Close` before the next input. The first step of a new session
    /// yields its greeting. A session that has produced more output than is good to hold answers
    /// `Do(a job that goes on)`; the loop flushes before each job that finds much output waiting.
    fn step(&mut self) -> Step<Self::Job>;

    /// Takes the output produced so far.
    fn take_output(&mut self) -> Vec<u8>;

    /// The handshake asked for by [`Step::StartTls`] is done. The session forgets here all input that it took
    /// before (RFC 3207 §6): the loop itself holds none.
    fn secured(&mut self, tls: TlsFacts);

    /// The loop wants to end; the session says why to its client.
    fn interrupt(&mut self, why: Interrupt);

    /// How long the loop waits for the next input, in the state the session is in. The time runs from the last
    /// input, or from the end of the last job if that was later; the jobs and ticks of a `Wait` do not extend it.
    fn patience(&self) -> Duration;

    /// By what the client signed in, once it did. The loop asks before each step.
    fn signed_in(&self) -> Option<SignedIn> {
        None
    }

    /// How long a [`Step::Wait`] may stay silent before [`Protocol::tick`]; `None` for ever.
    fn tick_every(&self) -> Option<Duration> {
        None
    }

    /// A `Wait` was silent for [`Protocol::tick_every`]: the session may say that it is still there, so that
    /// middleboxes keep the connection. The loop then drains its steps as after input.
    fn tick(&mut self) {}
}
