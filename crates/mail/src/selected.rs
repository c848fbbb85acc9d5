//! The entries an operation is about, read before it changes them: for counters, answers and the journal.

use std::collections::BTreeMap;

use postroad_store::{AccountId, ModSeq, ReadTx, WriteTx, params};

use crate::{Error, Flags, Keywords, MailboxId, Result, UidSet, What, sql};

/// An entry before the operation.
#[derive(Debug, Clone)]
pub(crate) struct Before {
    pub(crate) uid: u32,
    pub(crate) flags: Flags,
    pub(crate) keywords: Keywords,
    pub(crate) modseq: ModSeq,
    pub(crate) size: i64,
}

/// The entries of `uids` that exist, by uid. One statement.
pub(crate) fn entries(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Before>> {
    read(
        tx,
        "SELECT e.uid, e.flags, e.keywords, e.modseq, e.size
         FROM {ints:$3} AS r CROSS JOIN entry AS e
         WHERE e.account = $1 AND e.mailbox = $2
           AND e.uid BETWEEN ((r.value >> 32) & 4294967295) AND (r.value & 4294967295)
         ORDER BY e.uid",
        account,
        mailbox,
        uids,
    )
}

/// The entries of `uids` that exist and have `\Deleted`, by uid. One statement.
pub(crate) fn deleted(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Before>> {
    read(
        tx,
        "SELECT e.uid, e.flags, e.keywords, e.modseq, e.size
         FROM {ints:$3} AS r CROSS JOIN entry AS e
         WHERE e.account = $1 AND e.mailbox = $2 AND (e.flags & 8) = 8
           AND e.uid BETWEEN ((r.value >> 32) & 4294967295) AND (r.value & 4294967295)
         ORDER BY e.uid",
        account,
        mailbox,
        uids,
    )
}

/// The restorable entries of `uids` that were removed, by uid; their modseq is that of the removal.
pub(crate) fn restorable(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Before>> {
    read(
        tx,
        "SELECT e.uid, e.flags, e.keywords, e.modseq, e.size
         FROM {ints:$3} AS r CROSS JOIN expunged AS e
         WHERE e.account = $1 AND e.mailbox = $2 AND e.restorable = 1
           AND e.uid BETWEEN ((r.value >> 32) & 4294967295) AND (r.value & 4294967295)
         ORDER BY e.uid",
        account,
        mailbox,
        uids,
    )
}

fn read(tx: &ReadTx, text: &str, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Before>> {
    let rows = tx.rows(text, params![account, mailbox, uids.packed()], |row| {
        Ok(Before {
            uid: sql::small(row, 0)?,
            flags: Flags::from_bits(row.int(1)?),
            keywords: Keywords::stored(row.text(2)?),
            modseq: row.id(3)?,
            size: row.int(4)?,
        })
    })?;
    Ok(rows)
}

/// What entries add to a mailbox's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) messages: i64,
    pub(crate) unseen: i64,
    pub(crate) deleted: i64,
    pub(crate) size: i64,
}

impl Tally {
    pub(crate) fn of(entries: &[Before]) -> Tally {
        entries.iter().fold(Tally::default(), |tally, entry| Tally {
            messages: tally.messages + 1,
            unseen: tally.unseen + unseen(entry.flags),
            deleted: tally.deleted + deleted_count(entry.flags),
            size: tally.size + entry.size,
        })
    }

    pub(crate) fn negative(self) -> Tally {
        Tally { messages: -self.messages, unseen: -self.unseen, deleted: -self.deleted, size: -self.size }
    }
}

/// What an entry with these flags adds to `unseen`.
pub(crate) fn unseen(flags: Flags) -> i64 {
    i64::from(!flags.contains(Flags::SEEN))
}

/// What an entry with these flags adds to `deleted`.
pub(crate) fn deleted_count(flags: Flags) -> i64 {
    i64::from(flags.contains(Flags::DELETED))
}

/// Adds to a mailbox's counters and raises its highest modseq. One statement.
pub(crate) fn count(
    tx: &mut WriteTx,
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    tally: Tally,
) -> Result<()> {
    let touched = tx.execute(
        "UPDATE mailbox SET messages = messages + $3, unseen = unseen + $4, deleted = deleted + $5,
                            size = size + $6, highest_modseq = $7
         WHERE account = $1 AND id = $2",
        params![account, mailbox, tally.messages, tally.unseen, tally.deleted, tally.size, modseq],
    )?;
    if touched == 1 { Ok(()) } else { Err(Error::NotFound(What::Mailbox)) }
}

/// The uids of entries.
pub(crate) fn uids(entries: &[Before]) -> UidSet {
    entries.iter().map(|entry| entry.uid).collect()
}

/// Flags as they were, for the journal: a line `bits keywords… uids` for each combination.
pub(crate) fn flags_before(entries: &[Before]) -> Vec<u8> {
    let mut groups: BTreeMap<(Flags, &Keywords), UidSet> = BTreeMap::new();
    for entry in entries {
        groups.entry((entry.flags, &entry.keywords)).or_default().insert(entry.uid);
    }
    let lines = groups
        .into_iter()
        .map(|((flags, keywords), uids)| format!("{}\t{}\t{uids}\n", flags.bits(), keywords.as_stored().trim()));
    lines.collect::<String>().into_bytes()
}
