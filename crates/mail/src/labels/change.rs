//! Labels of messages change, as a client orders it.

use std::collections::{BTreeMap, HashSet};

use postroad_store::{AccountId, ModSeq, WriteTx};

use super::look::Own;
use super::steps::{Sibling, siblings};
use crate::{
    By, Error, FlagChange, Flags, MailboxId, MailboxName, MessageId, Result, Role, UidSet, copy, expunge, flags,
    mailboxes,
};

/// A label as a client names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By Gmail's word.
    Own(Own),
    /// By the name of its mailbox.
    Name(MailboxName),
}

/// How labels change. Names of several labels may lead to the same mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These come, in mailboxes that are made when they are not there.
    Add(Vec<Named>),
    /// These go.
    Remove(Vec<Named>),
    /// Exactly these, beside that of the mailbox itself.
    Replace(Vec<Named>),
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changed {
    /// The entries that were named and not left alone; some may be gone now.
    pub uids: UidSet,
    /// Left alone: changed since then.
    pub modified: UidSet,
}

/// Changes the labels of entries of a mailbox. What each label costs are the statements of a copy, or of a removal. The changes
/// are operations of their own.
///
/// Errors: those of making a mailbox; `Refused` for a label that cannot be had or taken away.
pub fn change(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    change: &Change,
    unchanged_since: Option<ModSeq>,
) -> Result<Changed> {
    let all = siblings(tx, account, mailbox, uids)?;
    let mut changed = Changed::default();
    for one in all.iter().filter(|one| one.mailbox == mailbox && one.before.uid == one.of) {
        match unchanged_since.is_some_and(|since| one.before.modseq > since) {
            true => changed.modified.insert(one.of),
            false => changed.uids.insert(one.of),
        }
    }
    let there: Vec<Sibling> = all.into_iter().filter(|one| changed.uids.contains(one.of)).collect();
    if there.is_empty() {
        return Ok(changed);
    }
    let mut work = Work { by, account, mailbox, there };
    match change {
        Change::Add(named) => {
            let labels = work.found_or_made(tx, named)?;
            work.add(tx, &labels)?;
        }
        Change::Remove(named) => {
            let labels = work.found(tx, named)?;
            work.remove(tx, &labels)?;
        }
        Change::Replace(named) => {
            let labels = work.found_or_made(tx, named)?;
            let others = work.others(tx, &labels)?;
            work.remove(tx, &others)?;
            work.add(tx, &labels)?;
        }
    }
    Ok(changed)
}

/// A label's mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Label {
    mailbox: MailboxId,
    role: Option<Role>,
}

struct Work<'a> {
    by: &'a By,
    account: AccountId,
    mailbox: MailboxId,
    there: Vec<Sibling>,
}

impl Work<'_> {
    /// The mailboxes of labels that are there.
    fn found(&self, tx: &mut WriteTx, named: &[Named]) -> Result<Vec<Label>> {
        let mut found = Vec::new();
        for named in named {
            let row = match named {
                Named::Own(own) => mailboxes::by_role(tx, self.account, own.role())?,
                Named::Name(name) => mailboxes::find(tx, self.account, name)?.filter(|row| row.selectable),
            };
            let Some(row) = row else { continue };
            if row.role == Some(Role::All) {
                return Err(Error::Refused("every message is in All Mail: it is no label"));
            }
            push(&mut found, Label { mailbox: row.id, role: row.role });
        }
        Ok(found)
    }

    /// The mailboxes of labels, made where there are none.
    fn found_or_made(&self, tx: &mut WriteTx, named: &[Named]) -> Result<Vec<Label>> {
        for named in named {
            let (name, role) = match named {
                Named::Own(own) => (MailboxName::stored(usual(*own).to_owned()), Some(own.role())),
                Named::Name(name) => (name.clone(), None),
            };
            let there = match role {
                Some(role) => mailboxes::by_role(tx, self.account, role)?.is_some(),
                None => mailboxes::find(tx, self.account, &name)?.is_some_and(|row| row.selectable),
            };
            if !there {
                mailboxes::create(tx, self.by, self.account, &name, role)?;
                mailboxes::subscribe(tx, self.by, self.account, &name)?;
            }
        }
        self.found(tx, named)
    }

    /// The labels that the messages have besides, but for that of the mailbox itself.
    fn others(&self, tx: &mut WriteTx, labels: &[Label]) -> Result<Vec<Label>> {
        let ids: HashSet<i64> = self.there.iter().map(|one| one.mailbox.0).collect();
        let ids: Vec<i64> = ids.into_iter().collect();
        let rows = mailboxes::by_ids(tx, self.account, &ids)?;
        let rows = rows.into_iter().filter(|row| row.id != self.mailbox && row.role != Some(Role::All));
        let rows = rows.map(|row| Label { mailbox: row.id, role: row.role });
        Ok(rows.filter(|label| !labels.contains(label)).collect())
    }

    /// Gives the messages labels that they do not have. What leads out of labels comes last: it takes all others away.
    fn add(&mut self, tx: &mut WriteTx, labels: &[Label]) -> Result<()> {
        let mut labels = labels.to_vec();
        labels.sort_by_key(|label| matches!(label.role, Some(Role::Trash | Role::Junk)));
        for label in labels {
            let has: HashSet<MessageId> =
                self.there.iter().filter(|one| one.mailbox == label.mailbox).map(|one| one.message).collect();
            let lacking: UidSet =
                self.there.iter().filter(|one| !has.contains(&one.message)).map(|one| one.of).collect();
            if label.mailbox == self.mailbox || lacking.is_empty() {
                continue;
            }
            match label.role {
                Some(Role::Flagged) => {
                    let star = FlagChange::Add(Flags::FLAGGED, Vec::new());
                    flags::change(tx, self.by, self.account, self.mailbox, &lacking, &star, None)?;
                }
                Some(_) | None => {
                    copy::copy(tx, self.by, self.account, self.mailbox, &lacking, label.mailbox)?;
                }
            }
        }
        Ok(())
    }

    /// Takes labels away. What leaves Trash or Junk so is in All Mail then.
    fn remove(&mut self, tx: &mut WriteTx, labels: &[Label]) -> Result<()> {
        let mut gone: BTreeMap<MailboxId, UidSet> = BTreeMap::new();
        for one in &self.there {
            gone.entry(one.mailbox).or_default().insert(one.before.uid);
        }
        let all = mailboxes::by_role(tx, self.account, Role::All)?.map(|row| row.id);
        for label in labels {
            let Some(uids) = gone.get(&label.mailbox) else { continue };
            let (by, account) = (self.by, self.account);
            match (label.role, all) {
                (Some(Role::Flagged), _) => {
                    let unstar = FlagChange::Remove(Flags::FLAGGED, Vec::new());
                    flags::change(tx, by, account, label.mailbox, uids, &unstar, None)?;
                }
                (Some(Role::Trash | Role::Junk), Some(all)) => {
                    copy::move_to(tx, by, account, label.mailbox, uids, all)?;
                }
                (Some(_) | None, _) => {
                    expunge::remove(tx, by, account, label.mailbox, uids)?;
                }
            }
        }
        Ok(())
    }
}

fn push(found: &mut Vec<Label>, label: Label) {
    if !found.contains(&label) {
        found.push(label);
    }
}

/// The name of a label's mailbox when it has to be made.
fn usual(own: Own) -> &'static str {
    match own {
        Own::Inbox => "INBOX",
        Own::Sent => "Sent",
        Own::Draft => "Drafts",
        Own::Starred => "[Gmail]/Starred",
        Own::Important => "[Gmail]/Important",
        Own::Trash => "Trash",
        Own::Spam => "Junk",
    }
}
