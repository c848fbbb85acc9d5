//! Messages come into a mailbox: delivery and APPEND.

use postroad_store::{AccountId, BlobId, ModSeq, ReadTx, Timestamp, TraceId, WriteTx, new_id};

use crate::accounts::State;
use crate::journal::{self, Note, Operation};
pub use crate::rows::MAX_THREAD_KEYS;
use crate::rows::{self, Content, Placed, Quota, Under};
use crate::selected::Tally;
use crate::{
    Arrival, Bound, By, Error, Flags, Keyword, Keywords, MailboxId, MessageId, Result, ThreadId, UidSet, What,
    accounts, keywords, mailboxes, sql,
};

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
        let blob = tx.blob_put(&arrival.blob)?;
        Ok(Kept { arrival, blob, spare: true })
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
        if self.spare {
            tx.blob_release(self.blob, 1)?;
        }
        Ok(())
    }

    /// A reference for one more message.
    fn reference(&mut self, tx: &mut WriteTx) -> Result<BlobId> {
        if self.spare {
            self.spare = false;
        } else {
            tx.blob_retain(self.blob, 1)?;
        }
        Ok(self.blob)
    }
}

/// Files a message in a mailbox: content, entry, counters, thread, quota, journal.
///
/// `Err(OverQuota | Suspended | NotFound | Limit)` has written nothing: the caller may go on with the next
/// recipient in the same transaction. Eight statements (on SQLite one for each further thread key), one more
/// for a shared blob, one to two more for keywords.
pub fn deliver(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    kept: &mut Kept<'_>,
    filing: &Filing,
) -> Result<Delivered> {
    let spelled = keywords::spell(tx, account, mailbox, &filing.keywords)?;
    let arrival = kept.arrival;
    let size = sql::number(arrival.size);
    let modseq = claim(tx, account, mailbox, arrival.size)?;
    let (uid, uidvalidity) = rows::take_uids(tx, account, mailbox, modseq, Tally::one(filing.flags, size))?;
    keywords::learn(tx, account, mailbox, modseq, &spelled)?;
    let message = MessageId(new_id());
    let keys = [rows::stored_keys(&arrival.thread_keys)];
    let thread = rows::join_threads(tx, account, &keys, &[message])?.pop().unwrap_or(ThreadId(message.0));
    let blob = kept.reference(tx)?;
    rows::insert_contents(tx, account, &[content(by, arrival, filing, blob, message, thread)])?;
    let keywords: Keywords = spelled.all.iter().cloned().collect();
    let under = Under { account, mailbox, modseq, saved: by.now };
    rows::insert_entries(tx, under, &[Placed { uid, message, flags: filing.flags, keywords: &keywords, size }])?;
    let note = Note { mailbox: Some(mailbox), uids: &UidSet::single(uid), ..Note::plain(Operation::Append) };
    journal::end(tx, by, account, modseq, &note)?;
    Ok(Delivered { account, mailbox, uidvalidity, uid, modseq, message, thread })
}

/// The content of what arrived.
pub(crate) fn content<'a>(
    by: &By,
    arrival: &'a Arrival,
    filing: &Filing,
    blob: BlobId,
    id: MessageId,
    thread: ThreadId,
) -> Content<'a> {
    Content {
        id,
        blob,
        size: sql::number(arrival.size),
        received: filing.received.unwrap_or(by.now),
        thread,
        trace: filing.trace,
        summary: &arrival.summary_bytes,
    }
}

/// Begins the operation and counts the message, when account and mailbox take it. One statement.
fn claim(tx: &mut WriteTx, account: AccountId, mailbox: MailboxId, size: u64) -> Result<ModSeq> {
    match rows::claim(tx, account, Some(mailbox), (1, sql::number(size)), Quota::Kept)? {
        Some(modseq) => Ok(modseq),
        None => {
            would_take(tx, account, size)?;
            match mailboxes::by_id(tx, account, mailbox)? {
                Some(row) if row.selectable => Err(Error::Limit(Bound::Uids)),
                Some(_) | None => Err(Error::NotFound(What::Mailbox)),
            }
        }
    }
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
    let mut kept = Kept::put(tx, arrival)?;
    let delivered = deliver(tx, by, account, mailbox, &mut kept, filing)?;
    kept.finish(tx)?;
    Ok(delivered)
}

/// Whether a message of `size` bytes would be taken now: for RCPT, MAIL SIZE= and APPEND's literal, so
/// that nobody sends what will be refused. The decision is [`deliver`]'s. One statement.
pub fn would_take(tx: &ReadTx, account: AccountId, size: u64) -> Result<()> {
    let account = accounts::by_id(tx, account)?.ok_or(Error::NotFound(What::Account))?;
    match account.state {
        State::Active => {}
        State::Suspended => return Err(Error::Suspended),
        State::Deleted => return Err(Error::NotFound(What::Account)),
    }
    let bytes_full = account.quota_bytes != 0 && account.used_bytes.saturating_add(size) > account.quota_bytes;
    let messages_full = account.quota_messages != 0 && account.used_messages >= account.quota_messages;
    if bytes_full || messages_full { Err(Error::OverQuota) } else { Ok(()) }
}
