//! Messages come into a mailbox: delivery and APPEND.

use postroad_store::{AccountId, BlobId, ModSeq, ReadTx, Timestamp, TraceId, WriteTx};

use crate::{Arrival, By, Flags, Keyword, MailboxId, MessageId, Result, ThreadId};

/// How a message is filed.
#[derive(Debug, Clone, Default)]
pub struct Filing {
    /// System flags.
    pub flags: Flags,
    /// Keywords.
    pub keywords: Vec<Keyword>,
    /// The internal date, when it is not now (IMAP APPEND, import).
    pub received: Option<Timestamp>,
    /// The story it belongs to.
    pub trace: Option<TraceId>,
}

/// Where and as what a message lies now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The account.
    pub account: AccountId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The mailbox's uidvalidity.
    pub uidvalidity: u32,
    /// The uid it got.
    pub uid: u32,
    /// The operation.
    pub modseq: ModSeq,
    /// The content's id.
    pub message: MessageId,
    /// Its conversation.
    pub thread: ThreadId,
}

/// An arrival whose blob is part of this transaction, to be delivered to any number of accounts (and
/// queued by its [`Kept::blob`]). End with [`Kept::finish`].
#[derive(Debug)]
#[must_use = "finish() gives the spare reference back"]
pub struct Kept<'a> {
    arrival: &'a Arrival,
    blob: BlobId,
    spare: bool,
}

impl<'a> Kept<'a> {
    /// Puts the blob into the transaction, with one reference in hand.
    pub fn put(tx: &mut WriteTx, arrival: &'a Arrival) -> Result<Kept<'a>> {
        unimplemented!()
    }

    /// The blob, for `queue::enqueue`, which takes a reference of its own.
    pub fn blob(&self) -> BlobId {
        self.blob
    }

    /// What arrived.
    pub fn arrival(&self) -> &Arrival {
        self.arrival
    }

    /// Gives the reference in hand back when no delivery took it.
    pub fn finish(self, tx: &mut WriteTx) -> Result<()> {
        unimplemented!()
    }
}

/// Files a message in a mailbox: content, entry, counters, thread, quota, journal.
///
/// `Err(OverQuota | Suspended | NotFound | Limit)` has written nothing: the caller may go on with the next
/// recipient in the same transaction. Eight statements, one more for a shared blob, two more for keywords.
pub fn deliver(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    kept: &mut Kept<'_>,
    filing: &Filing,
) -> Result<Delivered> {
    unimplemented!()
}

/// [`Kept::put`], [`deliver`] and [`Kept::finish`] for one message in one mailbox (APPEND).
pub fn append(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    arrival: &Arrival,
    filing: &Filing,
) -> Result<Delivered> {
    unimplemented!()
}

/// Whether a message of `size` bytes would be taken now: for RCPT, MAIL SIZE= and APPEND's literal, so
/// that nobody sends what will be refused. The decision is [`deliver`]'s.
pub fn would_take(tx: &ReadTx, account: AccountId, size: u64) -> Result<()> {
    unimplemented!()
}
