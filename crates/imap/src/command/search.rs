//! SEARCH (RFC 9051 §6.4.4) with ESEARCH, SEARCHRES, WITHIN (RFC 5032), CONDSTORE and OBJECTID keys.

use crate::date::Date;
use crate::flags::Keyword;
use crate::set::{MessageSet, Numbering};

/// SEARCH or UID SEARCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// What the answer's numbers are.
    pub numbering: Numbering,
    /// `RETURN (..)`: `None` when not given; the empty list means ALL (RFC 4731 §3.1).
    pub returns: Option<SearchReturn>,
    /// What to find. Strings are already decoded from the command's CHARSET.
    pub key: SearchKey,
}

/// `search-return-opts`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchReturn {
    /// `MIN`.
    pub min: bool,
    /// `MAX`.
    pub max: bool,
    /// `ALL`, also when the list was empty.
    pub all: bool,
    /// `COUNT`.
    pub count: bool,
    /// `SAVE` (RFC 5182).
    pub save: bool,
}

/// `search-key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchKey {
    /// `ALL`.
    All,
    /// A list of keys, all of which must hold.
    And(Vec<SearchKey>),
    /// `OR a b`.
    Or(Box<SearchKey>, Box<SearchKey>),
    /// `NOT a`. Also for the `UN..` keys: `UNSEEN` is `Not(Seen)`.
    Not(Box<SearchKey>),
    /// Message sequence numbers, or `$`.
    Sequence(MessageSet),
    /// `UID set`.
    Uid(MessageSet),
    /// `ANSWERED`.
    Answered,
    /// `DELETED`.
    Deleted,
    /// `DRAFT`.
    Draft,
    /// `FLAGGED`.
    Flagged,
    /// `SEEN`.
    Seen,
    /// `RECENT` (RFC 3501; `NEW` is `RECENT UNSEEN`, `OLD` is `NOT RECENT`).
    Recent,
    /// `KEYWORD k`; `UNKEYWORD` is its negation.
    Keyword(Keyword),
    /// `BCC text`.
    Bcc(String),
    /// `CC text`.
    Cc(String),
    /// `FROM text`.
    From(String),
    /// `TO text`.
    To(String),
    /// `SUBJECT text`.
    Subject(String),
    /// `BODY text`.
    Body(String),
    /// `TEXT text`: header or body.
    Text(String),
    /// `HEADER name text`; an empty text finds every message that has the field.
    Header(String, String),
    /// `BEFORE date`: the internal date, disregarding time and zone.
    Before(Date),
    /// `ON date`.
    On(Date),
    /// `SINCE date`.
    Since(Date),
    /// `SENTBEFORE date`: the Date field.
    SentBefore(Date),
    /// `SENTON date`.
    SentOn(Date),
    /// `SENTSINCE date`.
    SentSince(Date),
    /// `LARGER n`.
    Larger(u64),
    /// `SMALLER n`.
    Smaller(u64),
    /// `OLDER seconds` (RFC 5032).
    Older(u32),
    /// `YOUNGER seconds`.
    Younger(u32),
    /// `MODSEQ [entry] n` (RFC 7162 §3.1.5). The entry name is checked and dropped: one modseq serves all.
    ModSeq(u64),
    /// `EMAILID id` (RFC 8474 §5.3).
    EmailId(String),
    /// `THREADID id`.
    ThreadId(String),
}
