//! The client's side of IMAP: a session without IO, for moving mail from and to other servers.
//!
//! Bytes go into a [`Session`], [`Session::step`] gives events, [`Session::take_output`] what is to be written. Commands
//! are [`Line`]s; several may be on their way at once. What a server says is read leniently ([`parse`]) and within
//! [`Limits`]: servers are strangers, some of them old, one or another hostile. The octets of fetched messages are handed
//! on in pieces as they come and never kept here.
//!
//! Never here: sockets, clocks, what is done with the mail.
//!
//! Standards: RFC 3501 and RFC 9051 with RFC 2342, 2971, 3502, 4315, 4959, 5161, 5465's FETCH without order, 6154, 6855, 7162, 7888,
//! 8438, 8474; Gmail's XLIST and X-GM-EXT-1.

mod authenticate;
mod limits;
mod line;
mod names;
mod parse;
mod reader;
mod response;
mod session;
mod value;

pub use limits::Limits;
pub use line::Line;
pub use names::Names;
pub use parse::parse;
pub use reader::{Item, Reader};
pub use response::{Code, Fetched, Listed, Response, Status, Word};
pub use session::{Done, Event, Session, Tag};

/// What ends a connection to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The server said what cannot be IMAP, or more than a limit allows; what.
    Server(&'static str),
    /// A text cannot be sent: it has NUL in it.
    Unsendable,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Server(what) => write!(f, "the server said what cannot be understood: {what}"),
            Error::Unsendable => f.write_str("a name or password has a NUL in it, which IMAP cannot carry"),
        }
    }
}

impl std::error::Error for Error {}
