//! Entries are copied and moved: the same messages, other places.

use postroad_store::{AccountId, ModSeq, Param, ReadTx, WriteTx, params};

use crate::expunge::After;
use crate::journal::{self, Note, Operation};
use crate::selected::{self, Before, Place, Tally};
use crate::view::Glance;
use crate::{Bound, By, Error, MailboxId, Result, UidSet, What, expunge, keywords, labels, pages, sql};

/// What [`copy`] or [`move_to`] did (RFC 4315 COPYUID: the n-th source uid became the n-th target uid).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The operation; `None` when none of the entries exists.
    pub modseq: Option<ModSeq>,
    /// The target's uidvalidity.
    pub uidvalidity: u32,
    /// The entries that existed.
    pub source: UidSet,
    /// Their new uids, as many, in the same order.
    pub target: UidSet,
}

/// Copies entries into a mailbox of the same account (which may be the same mailbox) with their flags.
/// Costs nothing of the quota. Seven statements for any number of entries, one more for keywords.
///
/// Errors: `NotFound(Mailbox)` for the target, `Limit(Uids)`.
pub fn copy(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    from: MailboxId,
    uids: &UidSet,
    to: MailboxId,
) -> Result<Copied> {
    let entries = selected::entries(tx, account, from, uids)?;
    let target = Target::find(tx, account, to, entries.len())?;
    if entries.is_empty() {
        return Ok(target.nothing());
    }
    let modseq = journal::begin(tx, account)?;
    let copied = place(tx, by, account, from, &entries, &target, modseq)?;
    note(tx, by, account, Operation::Copy, from, to, &copied)?;
    Ok(copied)
}

/// Moves entries (RFC 6851): in one operation they are in `to` and gone from `from`.
/// Twelve statements for any number of entries, one more for keywords. Errors as [`copy`].
pub fn move_to(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    from: MailboxId,
    uids: &UidSet,
    to: MailboxId,
) -> Result<Copied> {
    let entries = selected::entries(tx, account, from, uids)?;
    let target = Target::find(tx, account, to, entries.len())?;
    if entries.is_empty() {
        return Ok(target.nothing());
    }
    let modseq = journal::begin(tx, account)?;
    let moved = refile(tx, by, account, from, &entries, &target, modseq)?;
    note(tx, by, account, Operation::Move, from, to, &moved)?;
    Ok(moved)
}

fn note(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    operation: Operation,
    from: MailboxId,
    to: MailboxId,
    copied: &Copied,
) -> Result<()> {
    let modseq = copied.modseq.ok_or(Error::NotFound(What::Message))?;
    let note = Note {
        operation,
        mailbox: Some(from),
        other: Some(to),
        uids: &copied.source,
        other_uids: &copied.target,
        before: b"",
    };
    journal::end(tx, by, account, modseq, &note)
}

/// A mailbox that takes entries.
pub(crate) struct Target {
    pub(crate) id: MailboxId,
    pub(crate) uidvalidity: u32,
    pub(crate) uidnext: u32,
}

impl Target {
    /// A selectable mailbox with room for `count` more uids. One statement.
    pub(crate) fn find(tx: &ReadTx, account: AccountId, id: MailboxId, count: usize) -> Result<Target> {
        let target = tx
            .row(
                "SELECT uidvalidity, uidnext FROM mailbox WHERE account = $1 AND id = $2 AND selectable = 1",
                params![account, id],
                |row| Ok(Target { id, uidvalidity: sql::small(row, 0)?, uidnext: sql::small(row, 1)? }),
            )?
            .ok_or(Error::NotFound(What::Mailbox))?;
        let room = usize::try_from(u32::MAX - target.uidnext).unwrap_or(usize::MAX);
        if count > room {
            return Err(Error::Limit(Bound::Uids));
        }
        Ok(target)
    }

    fn nothing(&self) -> Copied {
        Copied { modseq: None, uidvalidity: self.uidvalidity, source: UidSet::new(), target: UidSet::new() }
    }
}

/// Puts `entries` of `from` also into the target. Three statements, one more for keywords.
fn place(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    from: MailboxId,
    entries: &[Before],
    target: &Target,
    modseq: ModSeq,
) -> Result<Copied> {
    let source = selected::uids(entries);
    let place = Place::of(&source);
    let next = i64::from(target.uidnext);
    // Without a gap the new uids are the old ones at another place, and nobody needs to number the rows.
    let (uid, first) = match place {
        Place::Range(low, _) => ("uid + $4", next - i64::from(low)),
        Place::List(_) => ("$4 + row_number() OVER (ORDER BY uid) - 1", next),
    };
    let text = format!(
        "INSERT INTO entry (account, mailbox, uid, message, saved, size)
         SELECT account, CAST($3 AS BIGINT), {uid}, message, CAST($5 AS BIGINT), size
         FROM entry WHERE account = $1 AND mailbox = $2 AND {}",
        place.clause("uid", 6)
    );
    let params = vec![account.into(), from.into(), target.id.into(), Param::from(first), by.now.into()];
    tx.execute(&text, &place.params(params))?;
    admit_marks(tx, account, target, modseq, entries)?;
    let used = entries.iter().flat_map(|entry| entry.keywords.iter());
    if target.id != from {
        keywords::carry(tx, account, target.id, modseq, used)?;
    }
    admit(tx, account, target, modseq, Tally::of(entries))?;
    let last = target.uidnext + u32::try_from(entries.len()).unwrap_or(u32::MAX) - 1;
    Ok(Copied {
        modseq: Some(modseq),
        uidvalidity: target.uidvalidity,
        source,
        target: UidSet::range(target.uidnext, last),
    })
}

/// Entries that were put into the target under its next uids, in this order, get these flags, keywords and sizes. One statement.
pub(crate) fn admit_marks(
    tx: &mut WriteTx,
    account: AccountId,
    target: &Target,
    modseq: ModSeq,
    entries: &[Before],
) -> Result<()> {
    let marks = (target.uidnext..).zip(entries).map(|(uid, entry)| Glance { uid, ..entry.glance(modseq) });
    pages::append(tx, (account, target.id), marks)
}

/// Counts entries that were put into the target under its next uids. One statement.
pub(crate) fn admit(tx: &mut WriteTx, account: AccountId, target: &Target, modseq: ModSeq, tally: Tally) -> Result<()> {
    tx.execute(
        "UPDATE mailbox SET uidnext = uidnext + $3, messages = messages + $3, unseen = unseen + $4,
                            deleted = deleted + $5, size = size + $6, highest_modseq = $7
         WHERE account = $1 AND id = $2",
        params![account, target.id, tally.messages, tally.unseen, tally.deleted, tally.size, modseq],
    )?;
    Ok(())
}

/// Puts `entries` into the target and takes them out of `from`. Eight statements, one more for keywords.
pub(crate) fn refile(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    from: MailboxId,
    entries: &[Before],
    target: &Target,
    modseq: ModSeq,
) -> Result<Copied> {
    let moved = place(tx, by, account, from, entries, target, modseq)?;
    if labels::are_kept(tx, account)? {
        // What becomes of the labels is worked out from what was taken out.
        expunge::take_out(tx, by, account, from, &moved.source, modseq, After::Elsewhere)?;
    } else {
        expunge::forget(tx, account, from, &moved.source)?;
    }
    selected::count(tx, account, from, modseq, Tally::of(entries).negative())?;
    Ok(moved)
}
