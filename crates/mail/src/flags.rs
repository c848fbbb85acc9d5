//! Flags and keywords of entries change.

use std::collections::HashSet;

use postroad_store::{AccountId, ModSeq, WriteTx};

use crate::journal::{self, Note, Operation};
use crate::keywords::{self, Spelled};
use crate::pages;
use crate::selected::{self, Before, Tally};
use crate::{Bound, By, Error, Flags, Keyword, Keywords, MailboxId, Result, UidSet};

/// Most keywords that one change names.
pub const MAX_NAMED: usize = 200;

/// How flags change (RFC 9051 §6.4.6).
#[derive(Debug, Clone)]
pub enum FlagChange {
    /// `+FLAGS`.
    Add(Flags, Vec<Keyword>),
    /// `-FLAGS`.
    Remove(Flags, Vec<Keyword>),
    /// `FLAGS`.
    Replace(Flags, Vec<Keyword>),
}

/// What [`change`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The operation; `None` when nothing changed (then there is no journal row either).
    pub modseq: Option<ModSeq>,
    /// The entries whose flags really changed, by uid.
    pub changed: Vec<ChangedEntry>,
    /// The entries that have the wanted flags already, by uid.
    pub unchanged: UidSet,
    /// The entries left alone because they changed since `unchanged_since` (RFC 7162 §3.1.3, `[MODIFIED]`).
    pub modified: UidSet,
}

/// An entry's flags after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedEntry {
    /// Which.
    pub uid: u32,
    /// Its system flags now.
    pub flags: Flags,
    /// Its keywords now.
    pub keywords: Keywords,
}

/// Changes the flags of the entries in `uids` that exist. Uids that do not exist are in no part of the
/// answer. Only entries whose flags really change get the new modseq.
///
/// Five statements for any number of entries, one to two more when keywords are named.
/// Errors: `Limit(Keywords)`.
pub fn change(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    change: &FlagChange,
    unchanged_since: Option<ModSeq>,
) -> Result<Changed> {
    let named = change.keywords();
    if named.len() > MAX_NAMED {
        return Err(Error::Limit(Bound::Keywords));
    }
    let spelled = keywords::spell(tx, account, mailbox, named)?;
    let mut answer = Changed { modseq: None, changed: Vec::new(), unchanged: UidSet::new(), modified: UidSet::new() };
    let mut pages = pages::load(tx, (account, mailbox), uids)?;
    let mut before = Vec::new();
    for entry in pages.of(uids) {
        if unchanged_since.is_some_and(|since| entry.modseq > since) {
            answer.modified.insert(entry.uid);
            continue;
        }
        let (flags, keywords) = change.applied(entry, &spelled);
        if flags == entry.flags && same(&keywords, &entry.keywords) {
            answer.unchanged.insert(entry.uid);
            continue;
        }
        let was = std::mem::replace(&mut entry.keywords, keywords.clone());
        before.push(Before { keywords: was, ..*entry });
        entry.flags = flags;
        answer.changed.push(ChangedEntry { uid: entry.uid, flags, keywords });
    }
    if before.is_empty() {
        return Ok(answer);
    }
    let modseq = journal::begin(tx, account)?;
    let changed = selected::uids(&before);
    pages.save(tx, &changed, modseq)?;
    if !matches!(change, FlagChange::Remove(..)) {
        keywords::learn(tx, account, mailbox, modseq, &spelled)?;
    }
    let was = Tally::of(&before);
    let tally = Tally {
        messages: 0,
        unseen: answer.changed.iter().map(|entry| selected::unseen(entry.flags)).sum::<i64>() - was.unseen,
        deleted: answer.changed.iter().map(|entry| selected::deleted_count(entry.flags)).sum::<i64>() - was.deleted,
        size: 0,
    };
    selected::count(tx, account, mailbox, modseq, tally)?;
    let note = Note {
        mailbox: Some(mailbox),
        uids: &changed,
        before: &selected::flags_before(&before),
        ..Note::plain(Operation::Flags)
    };
    journal::end(tx, by, account, modseq, &note)?;
    answer.modseq = Some(modseq);
    Ok(answer)
}

/// Whether both are the same set.
fn same(a: &Keywords, b: &Keywords) -> bool {
    a == b || a.iter().collect::<HashSet<_>>() == b.iter().collect::<HashSet<_>>()
}

impl FlagChange {
    fn keywords(&self) -> &[Keyword] {
        match self {
            FlagChange::Add(_, keywords) | FlagChange::Remove(_, keywords) | FlagChange::Replace(_, keywords) => {
                keywords
            }
        }
    }

    /// An entry's flags after the change.
    fn applied(&self, entry: &Before, spelled: &Spelled) -> (Flags, Keywords) {
        let kept = |named: &[Keyword]| -> Vec<Keyword> {
            let own = entry.keywords.iter().map(|text| Keyword::stored(text.to_owned()));
            own.filter(|keyword| !named.contains(keyword)).collect()
        };
        match self {
            FlagChange::Add(flags, _) if spelled.all.is_empty() => (entry.flags | *flags, entry.keywords.clone()),
            FlagChange::Remove(flags, _) if spelled.known.is_empty() => {
                (entry.flags.without(*flags), entry.keywords.clone())
            }
            FlagChange::Add(flags, _) => {
                let keywords = kept(&spelled.all).into_iter().chain(spelled.all.iter().cloned()).collect();
                (entry.flags | *flags, keywords)
            }
            FlagChange::Remove(flags, _) => (entry.flags.without(*flags), kept(&spelled.known).into_iter().collect()),
            FlagChange::Replace(flags, _) => (*flags, spelled.all.iter().cloned().collect()),
        }
    }
}
