//! Flags and keywords of entries change.

use postroad_store::{AccountId, ModSeq, WriteTx};

use crate::{By, Flags, Keyword, Keywords, MailboxId, Result, UidSet};

/// How flags change (RFC 9051 §6.4.6).
#[derive(Debug, Clone)]
pub enum FlagChange {
    /// `+FLAGS`.
    Add(Flags, Vec<Keyword>),
    /// `-FLAGS`.
    Remove(Flags, Vec<Keyword>),
    /// `FLAGS`.
    Replace(Flags, Vec<Keyword>),
}

/// What [`change`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The operation; `None` when nothing changed (then there is no journal row either).
    pub modseq: Option<ModSeq>,
    /// The entries whose flags really changed, by uid.
    pub changed: Vec<ChangedEntry>,
    /// The entries that have the wanted flags already, by uid.
    pub unchanged: UidSet,
    /// The entries left alone because they changed since `unchanged_since` (RFC 7162 §3.1.3, `[MODIFIED]`).
    pub modified: UidSet,
}

/// An entry's flags after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedEntry {
    /// Which.
    pub uid: u32,
    /// Its system flags now.
    pub flags: Flags,
    /// Its keywords now.
    pub keywords: Keywords,
}

/// Changes the flags of the entries in `uids` that exist. Uids that do not exist are in no part of the
/// answer. Only entries whose flags really change get the new modseq.
///
/// Five statements for any number of entries, two to three more when keywords are named.
pub fn change(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    change: &FlagChange,
    unchanged_since: Option<ModSeq>,
) -> Result<Changed> {
    unimplemented!()
}
