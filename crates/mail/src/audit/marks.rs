//! What lies in pages ([`crate::pages`]) compared with entries, counters and the rules of labels.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use postroad_store::{AccountId, ReadTx, params};

use super::Fault;
use crate::pages;
use crate::selected::{self, Before, Tally};
use crate::{Flags, MailboxId, MessageId, Result, Role, UidSet, sql};

/// What is kept of a mailbox.
struct Kept {
    id: MailboxId,
    role: Option<Role>,
    messages: i64,
    unseen: i64,
    deleted: i64,
    size: i64,
    highest_modseq: i64,
}

/// Compares; adds to `faults`.
pub(super) fn audit(tx: &ReadTx, account: AccountId, faults: &mut Vec<Fault>) -> Result<()> {
    let mut say = |what: &str, of: i64, found: i64, recounted: i64| {
        let what = format!("{what}: of {of} found {found} but recounted {recounted}");
        faults.push(Fault { account, what });
    };
    let with_labels = tx.one(
        "SELECT EXISTS (SELECT 1 FROM label_account WHERE account = $1 AND whole = 1)",
        params![account],
        |row| row.bool(0),
    )?;
    let mut labelled = Labelled::default();
    for mailbox in mailboxes(tx, account)? {
        let entries = selected::entries(tx, account, mailbox.id, &UidSet::all())?;
        let tally = Tally::of(&entries);
        for (what, found, recounted) in [
            ("messages of a mailbox", mailbox.messages, tally.messages),
            ("unseen of a mailbox", mailbox.unseen, tally.unseen),
            ("deleted of a mailbox", mailbox.deleted, tally.deleted),
            ("size of a mailbox", mailbox.size, tally.size),
        ] {
            if found != recounted {
                say(what, mailbox.id.0, found, recounted);
            }
        }
        let top = entries.iter().map(|entry| entry.modseq.0).max().unwrap_or(0);
        if top > mailbox.highest_modseq {
            say("highest modseq of a mailbox and that of its entries", mailbox.id.0, mailbox.highest_modseq, top);
        }
        compare_rows(tx, account, mailbox.id, &entries, &mut say)?;
        compare_counts(tx, account, mailbox.id, &entries, &mut say)?;
        if with_labels {
            labelled.add(tx, account, &mailbox, entries)?;
        }
    }
    labelled.compare(&mut say);
    Ok(())
}

fn mailboxes(tx: &ReadTx, account: AccountId) -> Result<Vec<Kept>> {
    let rows = tx.rows(
        "SELECT id, role, messages, unseen, deleted, size, highest_modseq FROM mailbox WHERE account = $1 ORDER BY id",
        params![account],
        |row| {
            Ok(Kept {
                id: row.id(0)?,
                role: row.text_or_null(1)?.as_deref().and_then(Role::from_name),
                messages: row.int(2)?,
                unseen: row.int(3)?,
                deleted: row.int(4)?,
                size: row.int(5)?,
                highest_modseq: row.int(6)?,
            })
        },
    )?;
    Ok(rows)
}

/// The same uids and sizes as in `entry`.
fn compare_rows(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    entries: &[Before],
    say: &mut impl FnMut(&str, i64, i64, i64),
) -> Result<()> {
    let mut marks = entries.iter().map(|entry| (entry.uid, entry.size)).peekable();
    let mut differ = None;
    tx.each(
        "SELECT uid, size FROM entry WHERE account = $1 AND mailbox = $2 ORDER BY uid",
        params![account, mailbox],
        |row| {
            let here = (sql::small(row, 0)?, row.int(1)?);
            if marks.next_if_eq(&here).is_some() {
                return Ok(ControlFlow::Continue(()));
            }
            differ = Some(here);
            Ok(ControlFlow::Break(()))
        },
    )?;
    let left = marks.peek().copied();
    if differ.is_some() || left.is_some() {
        let uid = |one: Option<(u32, i64)>| one.map_or(0, |(uid, _)| i64::from(uid));
        say("an entry and its page", mailbox.0, uid(left), uid(differ));
    }
    Ok(())
}

/// What pages say of themselves.
fn compare_counts(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    entries: &[Before],
    say: &mut impl FnMut(&str, i64, i64, i64),
) -> Result<()> {
    let mut counted: BTreeMap<u32, (i64, i64, i64)> = BTreeMap::new();
    for entry in entries {
        let page = counted.entry(pages::page_of(entry.uid)).or_default();
        page.0 += 1;
        page.1 += selected::unseen(entry.flags);
        page.2 += selected::deleted_count(entry.flags);
    }
    let kept = tx.rows(
        "SELECT page, entries, unseen, deleted FROM entry_page WHERE account = $1 AND mailbox = $2 ORDER BY page",
        params![account, mailbox],
        |row| Ok((sql::small(row, 0)?, (row.int(1)?, row.int(2)?, row.int(3)?))),
    )?;
    for (page, kept) in kept {
        let counted = counted.remove(&page).unwrap_or_default();
        if kept != counted {
            say("counters of a page", page.into(), kept.0 + kept.1 + kept.2, counted.0 + counted.1 + counted.2);
        }
    }
    Ok(())
}

/// Entries of an account with labels, by message.
#[derive(Default)]
struct Labelled {
    messages: HashMap<MessageId, Vec<(Option<Role>, Before)>>,
}

impl Labelled {
    fn add(&mut self, tx: &ReadTx, account: AccountId, mailbox: &Kept, entries: Vec<Before>) -> Result<()> {
        let mut marks: HashMap<u32, Before> = entries.into_iter().map(|entry| (entry.uid, entry)).collect();
        tx.each(
            "SELECT uid, message FROM entry WHERE account = $1 AND mailbox = $2",
            params![account, mailbox.id],
            |row| {
                if let Some(entry) = marks.remove(&sql::small(row, 0)?) {
                    self.messages.entry(row.id(1)?).or_default().push((mailbox.role, entry));
                }
                Ok(ControlFlow::Continue(()))
            },
        )?;
        Ok(())
    }

    fn compare(&self, say: &mut impl FnMut(&str, i64, i64, i64)) {
        let shared = |entry: &Before| entry.flags.without(Flags::DELETED);
        for (message, places) in &self.messages {
            let Some((_, first)) = places.first() else { continue };
            let other = places.iter().find(|(_, one)| shared(one) != shared(first) || one.keywords != first.keywords);
            if let Some((_, other)) = other {
                let (one, other) = (shared(first).bits(), shared(other).bits());
                say("flags of a message with labels that differ", message.0, one, other);
            }
            let is = |role: Role| places.iter().find(|(own, _)| *own == Some(role));
            let starred = |entry: &Before| entry.flags.contains(Flags::FLAGGED);
            let faulty = match (is(Role::Flagged), is(Role::All)) {
                (Some((_, entry)), _) => !starred(entry),
                (None, Some((_, entry))) => starred(entry),
                (None, None) => false,
            };
            if faulty {
                let what = "a starred message that is not in Starred, or the other way round";
                say(what, message.0, first.uid.into(), first.flags.bits());
            }
        }
    }
}
