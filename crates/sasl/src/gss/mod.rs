//! GSSAPI (RFC 4752) and GSS-SPNEGO: what is ours of them. Tickets are looked at by a library behind [`Acceptor`]; here is what
//! comes before (does a token look like one?), after (which security layer, acting as whom?) and in between (what is asked when).
//!
//! What it never does: cryptography, files, sockets.
//!
//! Standards: RFC 4752, RFC 2743 §3.1 (the frame of a first token), RFC 4178 §4.2 (SPNEGO), [MS-SPNG] §2.2.1 and §3.1.5.9 (what
//! Windows makes of it), X.690 §8.1.3 (lengths).

mod der;
mod layer;
mod token;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

pub use layer::{Choice, OFFER};
pub use token::{Form, Kind, first};

/// Longest token, in octets: as much as a line of base64 holds ([`crate::LINE_LIMIT`]).
pub const TOKEN_LIMIT: usize = crate::LINE_LIMIT / 4 * 3;

/// Most tokens of a client in one exchange: Kerberos needs one or two, SPNEGO two more.
pub const ROUNDS_MAX: usize = 6;

/// What the library keeps of an exchange: opaque here. Clones are the same one, and it is gone with the last of them.
#[derive(Clone)]
pub struct Context(Arc<dyn Any + Send + Sync>);

impl Context {
    /// Hides what the library keeps.
    pub fn new(kept: impl Any + Send + Sync) -> Context {
        Context(Arc::new(kept))
    }

    /// It, for whoever knows what it is.
    pub fn kept<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Context) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Context {}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context")
    }
}

/// What is asked of whoever has the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A token of the client, not empty; the first has no context. [`crate::Answer::Gss`].
    Token {
        /// The exchange so far.
        context: Option<Context>,
        /// Which mechanism it came in.
        form: Form,
        /// As sent.
        token: Vec<u8>,
        /// `tls-server-end-point` of the connection (RFC 5929 §4), if it has one.
        end_point: Option<Vec<u8>>,
    },
    /// The client's choice of a security layer, still wrapped: who is it, and may it act as it says?
    Choice {
        /// A context that stands.
        context: Context,
        /// As sent.
        wrapped: Vec<u8>,
    },
    /// Who is it, where no layer is spoken of (GSS-SPNEGO)?
    Peer {
        /// A context that stands.
        context: Context,
    },
}

/// What a token led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The exchange so far.
    pub context: Context,
    /// What the client is to get; may be empty.
    pub token: Vec<u8>,
    /// The context stands: who the client is, as the library writes it, such as `alice@EXAMPLE.TEST`.
    pub peer: Option<String>,
    /// [`OFFER`] as the context wraps it, where it stands and [`Form::Gssapi`] was asked for.
    pub offer: Vec<u8>,
}

/// Why a library did not go on. The words are for the log, never for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The token, ticket or binding is not good.
    Refused(String),
    /// The ticket is past its end.
    Expired(String),
    /// It is not the client's fault: no keys, no memory, a file that cannot be written.
    Unavailable(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Refused(why) | Fault::Expired(why) | Fault::Unavailable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Fault {}

/// A library that accepts tickets. Its calls read and write files: they are for threads that may block.
pub trait Acceptor: fmt::Debug + Send + Sync {
    /// Takes a token. `services` are the first parts of principals that the client's ticket may be for, such as `imap`, compared
    /// without regard to case; `end_point` has to be what the client bound itself to, if it did.
    fn step(
        &self,
        context: Option<&Context>,
        form: Form,
        token: &[u8],
        services: &[&str],
        end_point: Option<&[u8]>,
    ) -> Result<Step, Fault>;

    /// Opens what a context that stands has wrapped.
    fn unwrap(&self, context: &Context, wrapped: &[u8]) -> Result<Vec<u8>, Fault>;

    /// Who the client of a context that stands is; of one that does not, nobody: a fault.
    fn peer(&self, context: &Context) -> Result<String, Fault>;
}
