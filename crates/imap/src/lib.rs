//! The words of IMAP: framing, command grammar, response encoding.
//!
//! Pure functions over bytes. Nothing here does IO, knows a clock, a session state or what mail means;
//! `imapd` gives the words their meaning. Standards: RFC 9051 and RFC 3501 with RFC 2177, 2342, 2971,
//! 3348, 3516, 3691, 4315, 4731, 4959, 5032, 5161, 5182, 5258, 5819, 6154, 6851, 7162, 7888, 8438, 8474, 9208.
//!
//! The way of a command: bytes go into a [`Framer`], which yields a whole command as one buffer (literals
//! in place, the octets of an APPENDed message excepted: those are streamed); [`parse`] makes a [`Command`]
//! of it. Answers are written with a [`Writer`]. A command of an extension is added by its grammar in
//! `command/`, a variant of [`Body`] and one row in `command/table.rs`. The other side, for moving mail from and to other
//! servers, is [`client`].

pub mod client;
pub mod command;
mod cursor;
mod date;
pub mod encode;
mod error;
mod flags;
mod framer;
mod limits;
mod mailbox;
mod pattern;
mod set;
pub mod url;
mod utf7;

pub use command::{Body, Command, Syntax, Tag, parse};
pub use cursor::{AuthLine, parse_auth_line};
pub use date::{Date, DateTime};
pub use encode::{ResponseCode, Status, Writer};
pub use error::{ParseError, Problem};
pub use flags::{Flag, FlagError, Keyword};
pub use framer::{AppendLiteral, Event, Framer, Refusal, Refused};
pub use limits::Limits;
pub use mailbox::{MailboxName, NameError, SpecialUse};
pub use pattern::Pattern;
pub use set::{MessageSet, NumberSet, Numbering, SequenceSet, SetError};
pub use utf7::{Utf7Error, decode as decode_utf7, from_utf7, to_utf7};
