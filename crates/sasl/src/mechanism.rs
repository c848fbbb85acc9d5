//! The table of mechanisms, strongest first: a new mechanism is a row here and a file beside.

use crate::Error;
use crate::exchange::{Machine, Move};
use crate::{login::Login, plain::Plain};

/// A row of the table.
#[derive(Debug)]
pub struct Mechanism {
    /// The registered name, in upper case.
    pub name: &'static str,
    /// The password itself crosses the wire: offer it only under TLS, unless settings say otherwise.
    pub sends_secret: bool,
    /// The client speaks first (RFC 4422 §5.1); without an initial response it gets an empty challenge.
    pub client_first: bool,
    pub(crate) start: fn() -> Box<dyn Machine>,
}

impl PartialEq for Mechanism {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Mechanism {}

/// All mechanisms, in the order in which they are advertised.
pub static MECHANISMS: [Mechanism; 2] = [
    Mechanism { name: "PLAIN", sends_secret: true, client_first: true, start: || Box::new(Plain) },
    Mechanism { name: "LOGIN", sends_secret: true, client_first: false, start: || Box::<Login>::default() },
];

/// The row of a name, compared without regard to case.
pub fn find(name: &str) -> Option<&'static Mechanism> {
    MECHANISMS.iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

/// What every server side does with a decoded message of the client.
pub(crate) type Answer = Result<Move, Error>;
