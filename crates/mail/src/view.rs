//! Looking into a mailbox, in sets.

use postroad_store::{AccountId, BlobId, ModSeq, ReadTx, Timestamp, WriteTx};

use crate::{Flags, Keywords, MailboxId, MessageId, Result, ThreadId, UidSet};

/// Which entries, and how much of each.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// These uids; ranges may reach beyond what exists.
    pub uids: &'a UidSet,
    /// How much of each.
    pub want: Want,
    /// Only entries with a higher modseq (FETCH CHANGEDSINCE, RFC 7162 §3.1.4.1).
    pub changed_since: Option<ModSeq>,
    /// At most this many, the lowest uids first: the caller goes on behind the last uid it got.
    pub limit: usize,
}

/// How much of each entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Want {
    /// What the entry's own row has: flags, modseq, size, saved.
    Flags,
    /// And received time, thread and blob of its content: another row.
    Facts,
    /// And the summary's bytes.
    Summary,
}

/// A message's place in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its uid.
    pub uid: u32,
    /// System flags.
    pub flags: Flags,
    /// Keywords.
    pub keywords: Keywords,
    /// The operation that last changed it.
    pub modseq: ModSeq,
    /// When it came into this mailbox (RFC 8514 SAVEDATE).
    pub saved: Timestamp,
    /// Its content.
    pub message: MessageId,
    /// The content's size in bytes (RFC822.SIZE).
    pub size: u64,
    /// More of the content, when [`Want::Facts`] or more was asked for.
    pub facts: Option<Facts>,
}

/// What the content's row has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// INTERNALDATE.
    pub received: Timestamp,
    /// The conversation.
    pub thread: ThreadId,
    /// The bytes: `tx.blob_read`.
    pub blob: BlobId,
    /// `Summary::decode` reads it; empty unless [`Want::Summary`] was asked for.
    pub summary: Vec<u8>,
}

/// Entries of a mailbox, by uid. One statement.
pub fn entries(tx: &ReadTx, account: AccountId, mailbox: MailboxId, query: &Query<'_>) -> Result<Vec<Entry>> {
    unimplemented!()
}

/// All uids of a mailbox, rising: the map from sequence numbers. One statement.
pub fn uids(tx: &ReadTx, account: AccountId, mailbox: MailboxId) -> Result<Vec<u32>> {
    unimplemented!()
}

/// The uids of entries that have all of `with` and none of `without`, rising (SEARCH UNSEEN and the like).
pub fn uids_by_flags(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    with: Flags,
    without: Flags,
) -> Result<UidSet> {
    unimplemented!()
}

/// The uid of the first entry without `\Seen` (RFC 3501 §6.3.1 `[UNSEEN]`, with its sequence number).
pub fn first_unseen(tx: &ReadTx, account: AccountId, mailbox: MailboxId) -> Result<Option<u32>> {
    unimplemented!()
}

/// How many entries lie before `uid`: its sequence number less one.
pub fn entries_before(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uid: u32) -> Result<u32> {
    unimplemented!()
}

/// The keywords that the mailbox knows, for the FLAGS response, in the order in which it met them.
pub fn keywords(tx: &ReadTx, account: AccountId, mailbox: MailboxId) -> Result<Vec<String>> {
    unimplemented!()
}

/// Makes all entries old: what was recent is this session's (SELECT, not EXAMINE). Answers with the first
/// uid that was recent. No operation of the account, so it raises no modseq. One statement.
pub fn claim_recent(tx: &mut WriteTx, account: AccountId, mailbox: MailboxId) -> Result<u32> {
    unimplemented!()
}
