//! Entries are removed and restored.

use std::collections::BTreeMap;

use postroad_store::{AccountId, ModSeq, Param, ReadTx, Timestamp, WriteTx, params};

use crate::copy::{Copied, Target, admit, admit_marks};
use crate::journal::{self, Note, Operation};
use crate::pages;
use crate::selected::{self, Before, Place, Tally};
use crate::{By, Error, Flags, Keywords, MailboxId, MessageId, Result, UidSet, keywords, sql};

/// What [`expunge`] or [`remove`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expunged {
    /// The operation; `None` when there was nothing to remove.
    pub modseq: Option<ModSeq>,
    /// What is gone.
    pub uids: UidSet,
}

/// Removes the entries with `\Deleted`, of `only` these uids (UID EXPUNGE) or all (EXPUNGE).
/// They stay restorable until the retention has passed. Ten statements for any number of entries.
pub fn expunge(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    only: Option<&UidSet>,
) -> Result<Expunged> {
    let all = UidSet::all();
    let entries = selected::deleted(tx, account, mailbox, only.unwrap_or(&all))?;
    take(tx, by, account, mailbox, &entries)
}

/// Removes entries whatever their flags (POP3 QUIT, JMAP). Ten statements for any number of entries.
pub fn remove(tx: &mut WriteTx, by: &By, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<Expunged> {
    let entries = selected::entries(tx, account, mailbox, uids)?;
    take(tx, by, account, mailbox, &entries)
}

/// Removes `entries`. Nine statements where all have the same flags and keywords.
fn take(tx: &mut WriteTx, by: &By, account: AccountId, mailbox: MailboxId, entries: &[Before]) -> Result<Expunged> {
    if entries.is_empty() {
        return Ok(Expunged { modseq: None, uids: UidSet::new() });
    }
    let modseq = journal::begin(tx, account)?;
    let uids = selected::uids(entries);
    take_out(tx, by, account, mailbox, &uids, modseq, After::Restorable)?;
    give_back(tx, account, mailbox, modseq)?;
    selected::count(tx, account, mailbox, modseq, Tally::of(entries).negative())?;
    let note = Note {
        mailbox: Some(mailbox),
        uids: &uids,
        before: &selected::flags_before(entries),
        ..Note::plain(Operation::Expunge)
    };
    journal::end(tx, by, account, modseq, &note)?;
    Ok(Expunged { modseq: Some(modseq), uids })
}

/// What becomes of entries that are taken out of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// They can be restored.
    Restorable,
    /// They live on in another mailbox.
    Elsewhere,
}

/// Takes entries out of a mailbox; counters are the caller's. Four statements where all have the same flags and keywords, one more
/// for each other combination.
pub(crate) fn take_out(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    modseq: ModSeq,
    after: After,
) -> Result<()> {
    let removed = pages::remove(tx, (account, mailbox), uids)?;
    for ((flags, keywords), alike) in alike(&removed, uids) {
        let place = Place::of(&alike);
        let text = format!(
            "INSERT INTO expunged (account, mailbox, uid, message, flags, keywords, saved, size, modseq, at, restorable)
             SELECT account, mailbox, uid, message, CAST($6 AS BIGINT), CAST($7 AS TEXT), saved, size, CAST($3 AS BIGINT),
                    CAST($4 AS BIGINT), CAST($5 AS BIGINT)
             FROM entry WHERE account = $1 AND mailbox = $2 AND {}",
            place.clause("uid", 8)
        );
        let restorable = Param::from(after == After::Restorable);
        let mut params = vec![account.into(), mailbox.into(), modseq.into(), by.now.into(), restorable];
        params.extend([Param::from(flags.bits()), Param::from(keywords.as_stored())]);
        tx.execute(&text, &place.params(params))?;
    }
    delete_rows(tx, account, mailbox, uids)
}

/// Entries by their flags and keywords, for statements about entries that there are: between neighbours within one range of `uids`
/// nothing else lies, so that few ranges name them all.
fn alike<'a>(entries: &'a [Before], uids: &UidSet) -> BTreeMap<(Flags, &'a Keywords), UidSet> {
    let mut all: BTreeMap<(Flags, &Keywords), Vec<(u32, u32)>> = BTreeMap::new();
    let mut ranges = uids.ranges().iter();
    let mut range = ranges.next();
    let mut before: Option<&Before> = None;
    for entry in entries {
        let mut near = true;
        while range.is_some_and(|(_, high)| *high < entry.uid) {
            range = ranges.next();
            near = false;
        }
        let own = all.entry((entry.flags, &entry.keywords)).or_default();
        let same = before.is_some_and(|one| one.flags == entry.flags && one.keywords == entry.keywords);
        match own.last_mut() {
            Some(last) if near && same => last.1 = entry.uid,
            Some(_) | None => own.push((entry.uid, entry.uid)),
        }
        before = Some(entry);
    }
    all.into_iter().map(|(marks, ranges)| (marks, UidSet::from_ranges(ranges))).collect()
}

/// Takes entries out of a mailbox that live on in another one, and of which the journal's row tells all that anybody will ask: where
/// they were, that they vanished, and where they went. Three statements, one more where pages become empty.
pub(crate) fn forget(tx: &mut WriteTx, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<()> {
    pages::remove(tx, (account, mailbox), uids)?;
    delete_rows(tx, account, mailbox, uids)
}

fn delete_rows(tx: &mut WriteTx, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<()> {
    let place = Place::of(uids);
    let text = format!("DELETE FROM entry WHERE account = $1 AND mailbox = $2 AND {}", place.clause("uid", 3));
    tx.execute(&text, &place.params(vec![account.into(), mailbox.into()]))?;
    Ok(())
}

/// Gives the quota of contents back that the operation `modseq` took the last entry of. Two statements.
pub(crate) fn give_back(tx: &mut WriteTx, account: AccountId, mailbox: MailboxId, modseq: ModSeq) -> Result<()> {
    let (messages, bytes) = tx.one(
        "SELECT CAST(count(*) AS BIGINT), CAST(COALESCE(sum(m.size), 0) AS BIGINT)
         FROM (SELECT DISTINCT x.message FROM expunged AS x {by:expunged_modseq}
               WHERE x.account = $1 AND x.mailbox = $2 AND x.modseq = $3) AS gone
         JOIN message m ON m.account = $1 AND m.id = gone.message
         WHERE NOT EXISTS (SELECT 1 FROM entry e WHERE e.account = $1 AND e.message = gone.message)",
        params![account, mailbox, modseq],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    tx.execute(
        "UPDATE account SET used_messages = used_messages - $2, used_bytes = used_bytes - $3 WHERE id = $1",
        params![account, messages, bytes],
    )?;
    Ok(())
}

/// An entry that was removed and can be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The uid it had.
    pub uid: u32,
    /// Its content.
    pub message: MessageId,
    /// The flags it had.
    pub flags: Flags,
    /// The keywords it had.
    pub keywords: Keywords,
    /// Bytes.
    pub size: u64,
    /// When it was removed.
    pub at: Timestamp,
    /// By which operation.
    pub modseq: ModSeq,
}

/// What was removed from a mailbox (also a deleted one) and can be restored, the latest first.
pub fn removed(tx: &ReadTx, account: AccountId, mailbox: MailboxId, limit: usize) -> Result<Vec<Removed>> {
    let rows = tx.rows(
        "SELECT uid, message, flags, keywords, size, at, modseq FROM expunged
         WHERE account = $1 AND mailbox = $2 AND restorable = 1 ORDER BY modseq DESC, uid DESC LIMIT $3",
        params![account, mailbox, sql::limit(limit)],
        |row| {
            Ok(Removed {
                uid: sql::small(row, 0)?,
                message: row.id(1)?,
                flags: Flags::from_bits(row.int(2)?),
                keywords: Keywords::stored(row.text(3)?),
                size: sql::unsigned(row, 4)?,
                at: row.id(5)?,
                modseq: row.id(6)?,
            })
        },
    )?;
    Ok(rows)
}

/// Puts removed entries back, under new uids, without `\Deleted`, into `to`. Counts against the quota again.
/// Ten statements for any number of entries, one more for keywords.
///
/// Errors: `NotFound(Mailbox)` for `to`, `Limit(Uids)`, `OverQuota`.
pub fn restore(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    to: MailboxId,
) -> Result<Copied> {
    let mut entries = selected::restorable(tx, account, mailbox, uids)?;
    let target = Target::find(tx, account, to, entries.len())?;
    let source = selected::uids(&entries);
    if entries.is_empty() {
        return Ok(Copied { modseq: None, uidvalidity: target.uidvalidity, source, target: UidSet::new() });
    }
    let modseq = claim_quota(tx, account, mailbox, &source)?;
    put_back(tx, by, account, mailbox, &source, &target)?;
    for entry in &mut entries {
        entry.flags = entry.flags.without(Flags::DELETED);
    }
    admit_marks(tx, account, &target, modseq, &entries)?;
    let used = entries.iter().flat_map(|entry| entry.keywords.iter());
    keywords::carry(tx, account, to, modseq, used)?;
    admit(tx, account, &target, modseq, Tally::of(&entries))?;
    let last = target.uidnext + u32::try_from(entries.len()).unwrap_or(u32::MAX) - 1;
    let restored = Copied {
        modseq: Some(modseq),
        uidvalidity: target.uidvalidity,
        source,
        target: UidSet::range(target.uidnext, last),
    };
    let note = Note {
        operation: Operation::Restore,
        mailbox: Some(mailbox),
        other: Some(to),
        uids: &restored.source,
        other_uids: &restored.target,
        before: b"",
    };
    journal::end(tx, by, account, modseq, &note)?;
    Ok(restored)
}

/// Moves rows of `expunged` into the target under its next uids. Two statements.
fn put_back(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    target: &Target,
) -> Result<()> {
    let place = Place::of(uids);
    let text = format!(
        "INSERT INTO entry (account, mailbox, uid, message, saved, size)
         SELECT account, CAST($3 AS BIGINT), $4 + row_number() OVER (ORDER BY uid) - 1, message, CAST($5 AS BIGINT), size
         FROM expunged WHERE account = $1 AND mailbox = $2 AND restorable = 1 AND {}",
        place.clause("uid", 6)
    );
    let first = Param::from(target.uidnext);
    let params = vec![account.into(), mailbox.into(), target.id.into(), first, by.now.into()];
    tx.execute(&text, &place.params(params))?;
    let text = format!(
        "UPDATE expunged SET restorable = 0 WHERE account = $1 AND mailbox = $2 AND {}",
        place.clause("uid", 3)
    );
    tx.execute(&text, &place.params(vec![account.into(), mailbox.into()]))?;
    Ok(())
}

/// Begins the operation and counts the contents that have no live entry. Two statements.
fn claim_quota(tx: &mut WriteTx, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<ModSeq> {
    let place = Place::of(uids);
    let text = format!(
        "SELECT CAST(count(*) AS BIGINT), CAST(COALESCE(sum(m.size), 0) AS BIGINT)
         FROM (SELECT DISTINCT x.message FROM expunged AS x
               WHERE x.account = $1 AND x.mailbox = $2 AND x.restorable = 1 AND {}) AS back
         JOIN message m ON m.account = $1 AND m.id = back.message
         WHERE NOT EXISTS (SELECT 1 FROM entry e WHERE e.account = $1 AND e.message = back.message)",
        place.clause("x.uid", 3)
    );
    let params = place.params(vec![account.into(), mailbox.into()]);
    let (messages, bytes) = tx.one(&text, &params, |row| Ok((row.int(0)?, row.int(1)?)))?;
    tx.returning(
        "UPDATE account SET modseq = modseq + 1, used_messages = used_messages + $2, used_bytes = used_bytes + $3
         WHERE id = $1 AND (quota_messages = 0 OR used_messages + $2 <= quota_messages)
           AND (quota_bytes = 0 OR used_bytes + $3 <= quota_bytes)
         RETURNING modseq",
        params![account, messages, bytes],
        |row| row.id(0),
    )?
    .pop()
    .ok_or(Error::OverQuota)
}
