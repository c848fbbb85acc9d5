//! What happened in a mailbox since a session last looked: the one function behind IMAP's untagged
//! responses, QRESYNC and JMAP.

use postroad_store::{AccountId, ModSeq, ReadTx, params};

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
}

/// What happened in `mailbox` since `mark`, at most `limit` changed entries at a time. One statement when
/// nothing happened, three otherwise.
///
/// When the retention has forgotten which uids vanished since `mark`, `vanished` names every uid below
/// uidnext that does not exist (RFC 7162 §3.2.5.2 allows it); that reads all uids.
pub fn changes_since(tx: &ReadTx, account: AccountId, mailbox: MailboxId, mark: Mark, limit: usize) -> Result<Changes> {
    let nothing = Changes { mailbox: None, mark, vanished: UidSet::new(), changed: Vec::new(), more: false };
    let Some((row, forgotten)) = mailboxes::with_forgotten(tx, account, mailbox)?.filter(|(row, _)| row.selectable)
    else {
        return Ok(nothing);
    };
    if Mark::at(row.highest_modseq) <= mark {
        return Ok(Changes { mailbox: Some(row), ..nothing });
    }
    let mut changed = tx.rows(
        "SELECT uid, flags, keywords, modseq, saved, message, size FROM entry
         WHERE account = $1 AND mailbox = $2 AND modseq >= $3 AND (modseq > $3 OR uid > $4)
         ORDER BY modseq, uid LIMIT $5",
        params![account, mailbox, mark.modseq, mark.uid, sql::limit(limit.saturating_add(1))],
        |row| view::entry(row, Want::Flags),
    )?;
    let more = changed.len() > limit;
    changed.truncate(limit);
    let mark_now = match changed.last() {
        Some(last) if more => Mark { modseq: last.modseq, uid: last.uid },
        Some(_) | None if more => mark,
        Some(_) | None => Mark::at(row.highest_modseq),
    };
    changed.sort_unstable_by_key(|entry| entry.uid);
    let vanished = if forgotten > mark.modseq {
        let living: UidSet = view::uids(tx, account, mailbox)?.into_iter().collect();
        UidSet::range(1, row.uidnext).difference(&living).difference(&UidSet::single(row.uidnext))
    } else {
        vanished_since(tx, account, mailbox, mark.modseq)?
    };
    Ok(Changes { mailbox: Some(row), mark: mark_now, vanished, changed, more })
}

/// The uids that were taken out of the mailbox after `since`.
fn vanished_since(tx: &ReadTx, account: AccountId, mailbox: MailboxId, since: ModSeq) -> Result<UidSet> {
    let uids = tx.rows(
        "SELECT uid FROM expunged WHERE account = $1 AND mailbox = $2 AND modseq > $3",
        params![account, mailbox, since],
        |row| sql::small(row, 0),
    )?;
    Ok(UidSet::from_ranges(uids.into_iter().map(|uid| (uid, uid))))
}
