//! What happened in a mailbox since a session last looked: the one function behind IMAP's untagged
//! responses, QRESYNC and JMAP.

use std::ops::ControlFlow;

use postroad_store::{AccountId, ModSeq, ReadTx, params};

use crate::pages::{self, Having};
use crate::selected::Before;
use crate::{Entry, Mailbox, MailboxId, Result, UidSet, Want, mailboxes, sql, view};

/// How far a session has seen a mailbox: all operations below `modseq`, and of `modseq` itself the
/// entries up to `uid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The operation.
    pub modseq: ModSeq,
    /// Up to this uid.
    pub uid: u32,
}

impl Mark {
    /// Everything up to `modseq`, that operation included.
    pub fn at(modseq: ModSeq) -> Mark {
        Mark { modseq, uid: u32::MAX }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The mailbox as it is now; `None`: it was deleted (or became a placeholder). A rename changes its name.
    pub mailbox: Option<Mailbox>,
    /// Look from here the next time.
    pub mark: Mark,
    /// Entries that are gone. May name uids that the session never knew (RFC 7162 §3.2.10 allows it).
    pub vanished: UidSet,
    /// Entries that are new or whose flags changed (`Want::Flags`), by uid. New to a session are those at
    /// or above the uidnext it knew.
    pub changed: Vec<Entry>,
    /// There is more: ask again from `mark`.
    pub more: bool,
    /// The owner has another key for URLs now (`urlauth::reset`).
    pub new_key: bool,
}

/// What happened in `mailbox` since `mark`, at most `limit` changed entries at a time. One statement when
/// nothing happened, five otherwise.
///
/// The journal says which entries may have changed; a page may be empty and not the last, where later operations
/// changed them again.
///
/// What vanished is told from the journal too, however long ago it was.
pub fn changes_since(tx: &ReadTx, account: AccountId, mailbox: MailboxId, mark: Mark, limit: usize) -> Result<Changes> {
    let nothing =
        Changes { mailbox: None, mark, vanished: UidSet::new(), changed: Vec::new(), more: false, new_key: false };
    let Some(row) = mailboxes::by_id(tx, account, mailbox)?.filter(|row| row.selectable) else {
        return Ok(nothing);
    };
    if Mark::at(row.highest_modseq) <= mark {
        return Ok(Changes { mailbox: Some(row), ..nothing });
    }
    let Touched { uids, until, new_key } = touched(tx, account, mailbox, mark, limit.max(1))?;
    let here = mark..until.unwrap_or(Mark::at(row.highest_modseq));
    let (mut marks, mut changed) = (Vec::new(), Vec::new());
    if !uids.is_empty() {
        pages::each(tx, account, mailbox, &uids, Having::All, |entry| {
            let at = Mark { modseq: entry.modseq, uid: entry.uid };
            if at > here.start && at <= here.end {
                marks.push(Before::from(entry));
            }
            ControlFlow::Continue(())
        })?;
    }
    view::with_rows(tx, account, mailbox, Want::Flags, marks, &mut changed)?;
    let vanished = vanished_since(tx, account, mailbox, mark.modseq)?;
    Ok(Changes { mailbox: Some(row), mark: here.end, vanished, changed, more: until.is_some(), new_key })
}

/// Entries that operations were about: those that may have changed.
struct Touched {
    uids: UidSet,
    /// How far the operations were looked at; `None`: there are no more.
    until: Option<Mark>,
    new_key: bool,
}

/// The entries that operations after `mark` put into the mailbox or changed there, so many operations and uids at most.
/// One statement.
fn touched(tx: &ReadTx, account: AccountId, mailbox: MailboxId, mark: Mark, limit: usize) -> Result<Touched> {
    let (mut all, mut room, mut until) = (Vec::new(), limit as u64, None);
    let (mut operations, mut new_key) = (0, false);
    // One more, to know whether it was all, and one that the mark may lie in.
    each_operation(tx, account, mailbox, mark.modseq, limit.saturating_add(2), |modseq, uids, is_key| {
        new_key |= is_key && modseq > mark.modseq;
        let uids = if modseq > mark.modseq { uids } else { uids.difference(&UidSet::range(0, mark.uid)) };
        if modseq == mark.modseq && uids.is_empty() {
            return ControlFlow::Continue(());
        }
        operations += 1;
        if operations > limit || (room == 0 && !uids.is_empty()) {
            // Everything before this operation.
            until = Some(Mark::at(ModSeq(modseq.0 - 1)));
            return ControlFlow::Break(());
        }
        if uids.count() > room {
            let some = first_of(&uids, room);
            until = Some(Mark { modseq, uid: some.last().unwrap_or(0) });
            all.extend_from_slice(some.ranges());
            return ControlFlow::Break(());
        }
        room -= uids.count();
        all.extend_from_slice(uids.ranges());
        ControlFlow::Continue(())
    })?;
    Ok(Touched { uids: UidSet::from_ranges(all), until, new_key })
}

/// The uids that operations after `since` put into the mailbox or changed there; some may be gone since. `None`: there were too
/// many operations, and looking at each entry is cheaper. One statement.
pub fn touched_since(tx: &ReadTx, account: AccountId, mailbox: MailboxId, since: ModSeq) -> Result<Option<UidSet>> {
    let (mut all, mut operations) = (Vec::new(), 0);
    each_operation(tx, account, mailbox, since, OPERATIONS_MAX + 1, |modseq, uids, _| {
        operations += 1;
        if modseq > since {
            all.extend_from_slice(uids.ranges());
        }
        ControlFlow::Continue(())
    })?;
    Ok((operations <= OPERATIONS_MAX).then(|| UidSet::from_ranges(all)))
}

/// Shows the operations at or after `since` that put entries into the mailbox or changed them there, with their uids; and
/// those that made a new key for URLs (true), which have none.
fn each_operation(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    since: ModSeq,
    limit: usize,
    mut each: impl FnMut(ModSeq, UidSet, bool) -> ControlFlow<()>,
) -> Result<()> {
    // Of an operation from this mailbox into itself the new uids count.
    tx.each(
        "SELECT modseq, uids, CASE WHEN what = 'credential' THEN 1 ELSE 0 END FROM journal {by:journal_mailbox}
         WHERE account = $1 AND mailbox = $2 AND modseq >= $3 AND what IN ('append', 'flags', 'credential')
         UNION ALL
         SELECT modseq, other_uids, 0 FROM journal {by:journal_other}
         WHERE account = $1 AND other = $2 AND modseq >= $3
         ORDER BY 1 LIMIT $4",
        params![account, mailbox, since, sql::limit(limit)],
        |row| {
            let uids = UidSet::parse(&row.text(1)?).unwrap_or_default();
            Ok(each(row.id(0)?, uids, row.int(2)? == 1))
        },
    )?;
    Ok(())
}

/// The lowest `count` uids.
fn first_of(uids: &UidSet, count: u64) -> UidSet {
    let mut left = count;
    let ranges = uids.ranges().iter().map_while(|&(low, high)| {
        let taken = left.min(u64::from(high - low) + 1);
        left -= taken;
        let last = low.saturating_add(u32::try_from(taken).unwrap_or(u32::MAX).wrapping_sub(1));
        (taken > 0).then_some((low, last))
    });
    UidSet::from_ranges(ranges)
}

/// The uids that operations after `since` took out of the mailbox. One row for each of these operations.
fn vanished_since(tx: &ReadTx, account: AccountId, mailbox: MailboxId, since: ModSeq) -> Result<UidSet> {
    let mut gone = Vec::new();
    // Of renames only that of INBOX names uids (RFC 9051 §6.3.6). An entry that moved within its mailbox has a new uid.
    tx.each(
        "SELECT uids FROM journal {by:journal_mailbox}
         WHERE account = $1 AND mailbox = $2 AND modseq > $3 AND what IN ('expunge', 'move', 'rename')",
        params![account, mailbox, since],
        |row| {
            gone.extend_from_slice(UidSet::parse(&row.text(0)?).unwrap_or_default().ranges());
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(UidSet::from_ranges(gone))
}

/// Operations that are looked at one by one to find what changed; of more, every entry is looked at.
const OPERATIONS_MAX: usize = 20_000;
