//! Messages come into a mailbox: delivery and APPEND.

use postroad_store::{AccountId, BlobId, ModSeq, Param, ReadTx, Timestamp, TraceId, WriteTx, new_id, params};

use crate::accounts::State;
use crate::journal::{self, Note, Operation};
use crate::keywords::{self, Spelled};
use crate::{
    Arrival, Bound, By, Error, Flags, Keyword, Keywords, MailboxId, MessageId, Result, ThreadId, UidSet, What,
    accounts, mailboxes, selected, sql,
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
/// recipient in the same transaction. Seven statements (on SQLite one for each further thread key), one more
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
    let modseq = claim(tx, account, mailbox, kept.arrival.size)?;
    let (uid, uidvalidity) = place(tx, account, mailbox, modseq, filing.flags, kept.arrival.size)?;
    keywords::learn(tx, account, mailbox, modseq, &spelled)?;
    let message = MessageId(new_id());
    let thread = join_thread(tx, account, message, &kept.arrival.thread_keys)?;
    insert(tx, by, account, message, thread, kept, filing)?;
    insert_entry(tx, by, account, mailbox, uid, message, modseq, kept.arrival.size, filing.flags, &spelled)?;
    let note = Note { mailbox: Some(mailbox), uids: &UidSet::single(uid), ..Note::plain(Operation::Append) };
    journal::end(tx, by, account, modseq, &note)?;
    Ok(Delivered { account, mailbox, uidvalidity, uid, modseq, message, thread })
}

/// Begins the operation and counts the message, when account and mailbox take it. One statement.
fn claim(tx: &mut WriteTx, account: AccountId, mailbox: MailboxId, size: u64) -> Result<ModSeq> {
    let modseq = tx
        .returning(
            "UPDATE account SET modseq = modseq + 1, used_messages = used_messages + 1, used_bytes = used_bytes + $3
             WHERE id = $1 AND state = 'active'
               AND (quota_messages = 0 OR used_messages < quota_messages)
               AND (quota_bytes = 0 OR used_bytes + $3 <= quota_bytes)
               AND EXISTS (SELECT 1 FROM mailbox b WHERE b.account = $1 AND b.id = $2 AND b.selectable = 1
                                                     AND b.uidnext < 4294967295)
             RETURNING modseq",
            params![account, mailbox, sql::number(size)],
            |row| row.id(0),
        )?
        .pop();
    match modseq {
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

/// Takes the next uid and counts the entry: uid and uidvalidity. One statement.
fn place(
    tx: &mut WriteTx,
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    flags: Flags,
    size: u64,
) -> Result<(u32, u32)> {
    let placed = tx
        .returning(
            "UPDATE mailbox SET uidnext = uidnext + 1, messages = messages + 1, unseen = unseen + $3,
                                deleted = deleted + $4, size = size + $5, highest_modseq = $6
             WHERE account = $1 AND id = $2 RETURNING uidnext - 1, uidvalidity",
            params![
                account,
                mailbox,
                selected::unseen(flags),
                selected::deleted_count(flags),
                sql::number(size),
                modseq
            ],
            |row| Ok((sql::small(row, 0)?, sql::small(row, 1)?)),
        )?
        .pop();
    placed.ok_or(Error::NotFound(What::Mailbox))
}

/// The oldest conversation that shares a key, or a new one named after the message; all keys then lead
/// to it. A message's conversation never changes (RFC 8621 §4.1.1), so conversations are never joined.
/// Two statements, none without keys.
fn join_thread(tx: &mut WriteTx, account: AccountId, message: MessageId, keys: &[u64]) -> Result<ThreadId> {
    let new = ThreadId(message.0);
    if keys.is_empty() {
        return Ok(new);
    }
    let keys: Vec<i64> = keys.iter().take(MAX_THREAD_KEYS).map(|key| key.cast_signed()).collect();
    let oldest = tx.one(
        "SELECT min(thread) FROM thread_key WHERE account = $1 AND key {in:$2}",
        params![account, &keys],
        |row| row.int_or_null(0),
    )?;
    let thread = oldest.map_or(new, ThreadId);
    let rows: Vec<[Param<'_>; 3]> =
        keys.iter().map(|key| [Param::from(account), Param::from(*key), Param::from(thread)]).collect();
    tx.insert_rows("INSERT INTO thread_key (account, key, thread)", &rows, "ON CONFLICT (account, key) DO NOTHING")?;
    Ok(thread)
}

/// The content's row. One statement, one more for a shared blob.
fn insert(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    message: MessageId,
    thread: ThreadId,
    kept: &mut Kept<'_>,
    filing: &Filing,
) -> Result<()> {
    let blob = kept.reference(tx)?;
    tx.execute(
        "INSERT INTO message (account, id, blob, size, received, thread, trace, summary)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        params![
            account,
            message,
            blob,
            sql::number(kept.arrival.size),
            filing.received.unwrap_or(by.now),
            thread,
            filing.trace,
            &kept.arrival.summary_bytes,
        ],
    )?;
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "one row, column by column")]
fn insert_entry(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    uid: u32,
    message: MessageId,
    modseq: ModSeq,
    size: u64,
    flags: Flags,
    spelled: &Spelled,
) -> Result<()> {
    let keywords: Keywords = spelled.all.iter().cloned().collect();
    tx.execute(
        "INSERT INTO entry (account, mailbox, uid, message, flags, keywords, modseq, saved, size)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![account, mailbox, uid, message, flags.bits(), keywords.as_stored(), modseq, by.now, sql::number(size)],
    )?;
    Ok(())
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

/// Most keys of a message that threads are found by.
pub const MAX_THREAD_KEYS: usize = 32;
