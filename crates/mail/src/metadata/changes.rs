//! Which annotations changed since somebody last heard of them: read from the journal.

use std::collections::BTreeSet;

use postroad_store::{AccountId, ModSeq, ReadTx, params};

use super::{Entry, whose};
use crate::acl::Who;
use crate::journal::{Operation, Record};
use crate::{MailboxId, Result, sql};

/// An entry that has another value than before, or none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Changed {
    /// Of which mailbox; `None`: of the account itself.
    pub mailbox: Option<i64>,
    /// Which entry.
    pub entry: Entry,
}

impl Changed {
    /// The mailbox's id.
    pub fn mailbox(&self) -> Option<MailboxId> {
        self.mailbox.map(MailboxId)
    }
}

/// What [`changes`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// The entries, each once, by mailbox.
    pub changed: BTreeSet<Changed>,
    /// The last operation that was looked at; `None`: there was none.
    pub until: Option<ModSeq>,
    /// There are more operations behind it.
    pub more: bool,
}

/// What changed after `since` of what somebody sees, in so many operations at most. A changed role is a change of
/// [`SPECIAL_USE`], which the owner sees. One statement.
pub fn changes(tx: &ReadTx, account: AccountId, who: &Who, since: ModSeq, limit: usize) -> Result<Heard> {
    let own = whose(who, account);
    let rows = tx.rows(
        "SELECT modseq, what, mailbox, before FROM journal
         WHERE account = $1 AND modseq > $2 AND what IN ('metadata', 'role') ORDER BY modseq LIMIT $3",
        params![account, since, sql::limit(limit)],
        |row| Ok((row.id::<ModSeq>(0)?, row.text(1)?, row.int_or_null(2)?, row.bytes(3)?)),
    )?;
    let mut heard = Heard { more: rows.len() == limit, ..Heard::default() };
    for (modseq, what, mailbox, before) in rows {
        heard.until = Some(modseq);
        match what == Operation::Role.name() {
            true => heard.changed.extend(roles(mailbox, &before).into_iter().filter(|_| who.account() == account)),
            false => heard.changed.extend(entries(mailbox, &before, own)),
        }
    }
    Ok(heard)
}

/// The same of one operation.
pub fn changed_by(record: &Record, account: AccountId, who: &Who) -> Vec<Changed> {
    let mailbox = record.mailbox.map(|mailbox| mailbox.0);
    match record.operation {
        Operation::Metadata => entries(mailbox, &record.before, whose(who, account)),
        Operation::Role if who.account() == account => roles(mailbox, &record.before),
        _ => Vec::new(),
    }
}

/// A role is an entry of the mailbox that got it, and of those that lost it.
fn roles(mailbox: Option<i64>, before: &[u8]) -> Vec<Changed> {
    let before = String::from_utf8_lossy(before);
    // The first line is of the mailbox itself; the others are those that lost the role to it.
    let others = before.lines().skip(1).filter_map(|line| line.split('\t').next()?.parse().ok());
    let use_of = || Entry { private: true, path: SPECIAL_USE.to_owned() };
    mailbox.into_iter().chain(others).map(|mailbox| Changed { mailbox: Some(mailbox), entry: use_of() }).collect()
}

/// The entries that somebody sees, `own` being whose theirs are.
fn entries(mailbox: Option<i64>, before: &[u8], own: &str) -> Vec<Changed> {
    let before = String::from_utf8_lossy(before);
    let changed = before.lines().filter_map(|line| {
        let mut parts = line.split('\t');
        let (whose, path) = (parts.next()?, parts.next()?);
        let entry = Entry { private: !whose.is_empty(), path: path.to_owned() };
        (whose.is_empty() || whose == own).then_some(Changed { mailbox, entry })
    });
    changed.collect()
}

/// The path of the private entry that is a mailbox's role (RFC 6154 §4).
pub const SPECIAL_USE: &str = "/specialuse";
