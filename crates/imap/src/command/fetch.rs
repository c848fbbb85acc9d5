//! FETCH (RFC 9051 §6.4.5) with BINARY (RFC 3516), CONDSTORE and QRESYNC (RFC 7162), OBJECTID (RFC 8474).

use crate::set::{MessageSet, Numbering};

/// FETCH or UID FETCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// What the numbers of `set` are.
    pub numbering: Numbering,
    /// Of which messages.
    pub set: MessageSet,
    /// What to tell: macros are expanded, doubles removed, order kept. UID FETCH's implied UID is not added.
    pub items: Vec<FetchItem>,
    /// `CHANGEDSINCE n`: only what changed after this modification sequence (RFC 7162 §3.1.4.1). 0 is all.
    pub changed_since: Option<u64>,
    /// `VANISHED`: also tell what was expunged since (RFC 7162 §3.2.6); only with UID and `changed_since`.
    pub vanished: bool,
}

/// One thing to tell about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchItem {
    /// `UID`.
    Uid,
    /// `FLAGS`.
    Flags,
    /// `INTERNALDATE`.
    InternalDate,
    /// `RFC822.SIZE`.
    Size,
    /// `ENVELOPE`.
    Envelope,
    /// `BODY`, the structure without extension data.
    Body,
    /// `BODYSTRUCTURE`.
    BodyStructure,
    /// `RFC822`: as `BODY[]`, named `RFC822` in the answer (RFC 3501).
    Rfc822,
    /// `RFC822.HEADER`: as `BODY.PEEK[HEADER]`.
    Rfc822Header,
    /// `RFC822.TEXT`: as `BODY[TEXT]`.
    Rfc822Text,
    /// `BODY[section]<partial>` and `BODY.PEEK[..]`.
    Section {
        /// Without setting `\Seen`.
        peek: bool,
        /// Which part.
        section: Section,
        /// Which octets of it.
        partial: Option<Partial>,
    },
    /// `BINARY[part]<partial>` and `BINARY.PEEK[..]` (RFC 3516 §4.2): with the transfer encoding removed.
    Binary {
        /// Without setting `\Seen`.
        peek: bool,
        /// The part's path; empty is the whole message.
        part: Vec<u32>,
        /// Which octets of it.
        partial: Option<Partial>,
    },
    /// `BINARY.SIZE[part]` (RFC 3516 §4.2).
    BinarySize {
        /// The part's path; empty is the whole message.
        part: Vec<u32>,
    },
    /// `MODSEQ` (RFC 7162 §3.1.5).
    ModSeq,
    /// `EMAILID` (RFC 8474 §5.1).
    EmailId,
    /// `THREADID` (RFC 8474 §5.2).
    ThreadId,
}

/// `section-spec` (RFC 9051 §9).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Section {
    /// The part's path, counted from 1; empty is the message itself.
    pub part: Vec<u32>,
    /// Which text of the part; `None` is its content (the whole message for an empty path).
    pub text: Option<SectionText>,
}

/// `section-text`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SectionText {
    /// `HEADER`.
    Header,
    /// `HEADER.FIELDS (..)`, names as the client wrote them: the answer repeats them.
    HeaderFields(Vec<String>),
    /// `HEADER.FIELDS.NOT (..)`.
    HeaderFieldsNot(Vec<String>),
    /// `TEXT`.
    Text,
    /// `MIME`, only with a path.
    Mime,
}

/// `<offset.length>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Partial {
    /// The first octet, counted from 0. The answer repeats it.
    pub offset: u64,
    /// How many octets at most.
    pub length: u64,
}
