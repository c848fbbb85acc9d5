//! Flags and keywords of entries change.

use std::collections::HashSet;

use postroad_store::{AccountId, ModSeq, Param, WriteTx};

use crate::journal::{self, Note, Operation};
use crate::keywords::{self, Spelled};
use crate::selected::{self, Before, Place, Tally};
use crate::{Bound, By, Error, Flags, Keyword, Keywords, MailboxId, Result, UidSet};

/// Most keywords that one change names: they become one SQL expression.
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
    let mut before = Vec::new();
    for entry in selected::entries(tx, account, mailbox, uids)? {
        if unchanged_since.is_some_and(|since| entry.modseq > since) {
            answer.modified.insert(entry.uid);
            continue;
        }
        let (flags, keywords) = change.applied(&entry, &spelled);
        if flags == entry.flags && same(&keywords, &entry.keywords) {
            answer.unchanged.insert(entry.uid);
            continue;
        }
        answer.changed.push(ChangedEntry { uid: entry.uid, flags, keywords });
        before.push(entry);
    }
    if before.is_empty() {
        return Ok(answer);
    }
    let modseq = journal::begin(tx, account)?;
    let changed = selected::uids(&before);
    let among = if unchanged_since.is_none() { uids } else { &changed };
    change.write(tx, account, mailbox, (among, &changed), &spelled, modseq)?;
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

    /// An entry's flags after the change: exactly what [`FlagChange::write`] does in SQL.
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

    /// Writes the change to all of `changed`, which are those of `among` that it changes. One statement; its text depends on how
    /// many keywords are named.
    fn write(
        &self,
        tx: &mut WriteTx,
        account: AccountId,
        mailbox: MailboxId,
        (among, changed): (&UidSet, &UidSet),
        spelled: &Spelled,
        modseq: ModSeq,
    ) -> Result<()> {
        // flags = (flags & $4) | $5
        let (keep, set, named): (Flags, Flags, &[Keyword]) = match self {
            FlagChange::Add(flags, _) => (Flags::ALL, *flags, &spelled.all),
            FlagChange::Remove(flags, _) => (Flags::ALL.without(*flags), Flags::NONE, &spelled.known),
            FlagChange::Replace(flags, _) => (Flags::NONE, *flags, &spelled.all),
        };
        let all: Keywords = named.iter().cloned().collect();
        let single: Vec<String> = named.iter().map(|keyword| format!(" {keyword} ")).collect();
        let flags_only = named.is_empty() && !matches!(self, FlagChange::Replace(..));
        // A range is one walk over its rows, a list a search for each: where a range is meant, the rows tell which change.
        let (place, really) = match among.ranges() {
            [_] if flags_only && changed.ranges().len() > 1 => (Place::of(among), "AND ((flags & $4) | $5) <> flags"),
            [] | [..] => (Place::of(changed), ""),
        };
        let mut params =
            vec![account.into(), mailbox.into(), modseq.into(), Param::from(keep.bits()), Param::from(set.bits())];
        let keywords = match self {
            FlagChange::Replace(..) => {
                params.push(Param::from(all.as_stored()));
                ", keywords = $6".to_owned()
            }
            FlagChange::Add(..) | FlagChange::Remove(..) if named.is_empty() => String::new(),
            FlagChange::Add(..) => {
                params.push(Param::from(all.as_stored().trim_start()));
                params.extend(single.iter().map(Param::from));
                format!(
                    ", keywords = {} || CAST($6 AS TEXT)",
                    without("COALESCE(NULLIF(keywords, ''), ' ')", 7, single.len())
                )
            }
            FlagChange::Remove(..) => {
                params.extend(single.iter().map(Param::from));
                format!(", keywords = COALESCE(NULLIF({}, ' '), '')", without("keywords", 6, single.len()))
            }
        };
        let text = format!(
            "UPDATE entry SET flags = (flags & $4) | $5{keywords}, modseq = $3
             WHERE account = $1 AND mailbox = $2 AND {} {really}",
            place.clause("uid", params.len() + 1)
        );
        tx.execute(&text, &place.params(params))?;
        Ok(())
    }
}

/// SQL that takes the keywords in `$first ..` (each with a space on both sides) out of `text`.
fn without(text: &str, first: usize, count: usize) -> String {
    (first..first + count).fold(text.to_owned(), |inner, number| format!("replace({inner}, ${number}, ' ')"))
}
