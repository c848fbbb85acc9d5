//! The message format: RFC 5322 and MIME, parsed once, as a stream, into what listing, reading and threading need.
//!
//! [`Parser`] takes a message in pieces of any size and makes a [`Summary`]: envelope, structure with byte offsets, the header
//! fields that clients ask for, a preview. The summary is stored beside the message ([`Summary::encode`], [`SummaryView`]), so
//! that nothing is parsed again when a mailbox is listed. [`Summary::section`] turns an IMAP section into a byte range.
//!
//! The crate reads no clock, opens nothing and keeps no state between messages. It is lenient: whatever bytes come in, a valid
//! summary comes out, in one pass, in memory bounded by [`Limits`]; it never refuses a message.
//!
//! [`downgrade`] makes lines of seven bits of a message for a host that takes no others, [`surrogate`] headers in ASCII for a
//! client that knows no others.
//!
//! Standards: RFC 5322, 6532, 2045-2049, 2047, 2231, 2183, 3501/9051 (envelope, body structure, sections), 5256 (base subject),
//! 8970 (preview), 6152 (conversion).

pub mod address;
pub mod build;
mod codec;
pub mod date;
pub mod decode;
pub mod downgrade;
mod fields;
pub mod header;
mod parser;
mod prepend;
mod section;
mod summary;
pub mod surrogate;
pub mod thread;

pub use codec::{AddressView, EnvelopeReader, Inside, PartView, StructureReader, SummaryView, Texts, TextsView};
pub use fields::Fields;
pub use parser::{Limits, Parsed, Parser};
pub use section::SectionKind;
pub use summary::{Content, Disposition, Envelope, Facts, HeaderDate, Nested, Param, Part, Summary};

/// What can go wrong when stored bytes are read back. Parsing mail never fails; only our own format can be broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The stored summary was written by a newer version of the program: upgrade this node, or parse the message again.
    SummaryVersion(u8),
    /// The stored summary is damaged: parse the message again. Says what was being read.
    SummaryDamaged(&'static str),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::SummaryVersion(v) => {
                write!(f, "the stored summary has version {v}, which this program does not know")
            }
            Error::SummaryDamaged(what) => write!(f, "the stored summary is damaged ({what})"),
        }
    }
}

impl std::error::Error for Error {}
