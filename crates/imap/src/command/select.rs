//! SELECT, EXAMINE (RFC 9051 §6.3.2-6.3.3; RFC 7162 §3.1.8 and §3.2.5), CREATE, DELETE, RENAME, SUBSCRIBE.

use crate::mailbox::MailboxName;
use crate::set::NumberSet;

/// SELECT or EXAMINE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// Which mailbox.
    pub mailbox: MailboxName,
    /// `(CONDSTORE)`.
    pub condstore: bool,
    /// `(QRESYNC (..))`.
    pub qresync: Option<QresyncParameters>,
}

/// What a client knows of the mailbox it opens again (RFC 7162 §3.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QresyncParameters {
    /// The UIDVALIDITY it knows.
    pub uid_validity: u32,
    /// The highest modification sequence it knows.
    pub mod_seq: u64,
    /// The UIDs it knows; `None` is all up to now.
    pub known_uids: Option<NumberSet>,
    /// Sequence numbers and the UIDs they had, pairwise.
    pub sequence_match: Option<(NumberSet, NumberSet)>,
}
