//! What an operation of an account with labels brings about besides.

use std::collections::{BTreeMap, HashMap};

use postroad_store::{AccountId, ModSeq, ReadTx, WriteTx, params};

use super::Homes;
use super::steps::{self, Sibling, bereaved, by_mailbox, siblings};
use crate::expunge::{self, After};
use crate::journal::{Note, Operation};
use crate::selected::Before;
use crate::{By, Flags, Keywords, MailboxId, MessageId, Result, UidSet, mailboxes};

/// Brings what labels need after an operation, whose journal row was just written.
pub(crate) fn settle(tx: &mut WriteTx, by: &By, account: AccountId, modseq: ModSeq, note: &Note<'_>) -> Result<()> {
    let Some(homes) = Homes::find(tx, account)? else { return Ok(()) };
    let rules = Rules { by, account, homes };
    match (note.operation, note.mailbox, note.other) {
        (Operation::Append, Some(mailbox), _) => rules.came(tx, mailbox, note.uids),
        (
            Operation::Append | Operation::Copy | Operation::Move | Operation::Restore | Operation::Rename,
            _,
            Some(other),
        ) => rules.came(tx, other, note.other_uids),
        (Operation::Move, Some(mailbox), None) => rules.left(tx, mailbox, modseq, Left::Account),
        (Operation::Expunge | Operation::Delete, Some(mailbox), _) => rules.left(tx, mailbox, modseq, Left::Mailbox),
        (Operation::Flags, Some(mailbox), _) => rules.flagged(tx, mailbox, note.uids),
        (Operation::Rename | Operation::Role, Some(mailbox), None) => rules.renamed(tx, mailbox),
        (
            Operation::Append
            | Operation::Copy
            | Operation::Move
            | Operation::Restore
            | Operation::Rename
            | Operation::Expunge
            | Operation::Delete
            | Operation::Flags
            | Operation::Role
            | Operation::Account
            | Operation::Credential
            | Operation::Create
            | Operation::Subscription
            | Operation::Acl
            | Operation::Metadata,
            _,
            _,
        ) => Ok(()),
    }
}

/// Where entries went that were taken out of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Out of the mailbox: the label was taken away.
    Mailbox,
    /// To another account.
    Account,
}

/// Flags and keywords that entries are to get, by mailbox.
type Wanted = BTreeMap<(MailboxId, Flags, Keywords), Vec<Before>>;

/// The rules, for one account.
struct Rules<'a> {
    by: &'a By,
    account: AccountId,
    homes: Homes,
}

impl Rules<'_> {
    /// Entries came into a mailbox.
    fn came(&self, tx: &mut WriteTx, mailbox: MailboxId, uids: &UidSet) -> Result<()> {
        if uids.is_empty() {
            return Ok(());
        }
        let all = siblings(tx, self.account, mailbox, uids)?;
        match self.homes.is_outside(mailbox) {
            true => self.came_outside(tx, mailbox, &all),
            false => self.came_inside(tx, mailbox, &all),
        }
    }

    /// What is in Trash or Junk is nowhere else: all labels are gone.
    fn came_outside(&self, tx: &mut WriteTx, mailbox: MailboxId, all: &[Sibling]) -> Result<()> {
        let newest = newest(mailbox, all);
        let gone = all.iter().filter(|one| one.mailbox != mailbox || newest.get(&one.message) != Some(&one.before.uid));
        self.take(tx, by_mailbox(gone), After::Elsewhere)
    }

    /// A message got a label: it is in All Mail, in the mailbox once, and neither in Trash nor in Junk.
    fn came_inside(&self, tx: &mut WriteTx, mailbox: MailboxId, all: &[Sibling]) -> Result<()> {
        let newest = newest(mailbox, all);
        let (mut gone, mut rest): (Vec<&Sibling>, HashMap<MessageId, Vec<&Sibling>>) = (Vec::new(), HashMap::new());
        let mut came: BTreeMap<u32, &Sibling> = BTreeMap::new();
        for one in all {
            if one.mailbox == mailbox && newest.get(&one.message) == Some(&one.before.uid) {
                came.insert(one.before.uid, one);
            } else if one.mailbox == mailbox || self.homes.is_outside(one.mailbox) {
                gone.push(one);
            } else {
                rest.entry(one.message).or_default().push(one);
            }
        }
        let (mut wanted, mut to_all, mut to_starred, mut touched) = (Wanted::new(), Vec::new(), Vec::new(), Vec::new());
        for one in came.values() {
            let rest = rest.get(&one.message).map_or(&[][..], Vec::as_slice);
            let (flags, words) = self.flags_of(mailbox, one, rest);
            let before = Before { flags, keywords: words.clone(), ..one.before.clone() };
            let is_in = |home: MailboxId| mailbox == home || rest.iter().any(|other| other.mailbox == home);
            if !is_in(self.homes.all) {
                to_all.push(before.clone());
            }
            if let Some(starred) = self.homes.starred
                && flags.contains(Flags::FLAGGED)
                && !is_in(starred)
            {
                to_starred.push(before);
            }
            for other in rest.iter().copied().chain([*one]) {
                if other.shared() != flags || other.before.keywords != words {
                    let place = (other.mailbox, flags, words.clone());
                    wanted.entry(place).or_default().push(other.before.clone());
                } else if other.mailbox != mailbox {
                    touched.push(other);
                }
            }
        }
        self.take(tx, by_mailbox(gone.into_iter()), After::Elsewhere)?;
        self.set(tx, wanted)?;
        self.put(tx, mailbox, &to_all, self.homes.all)?;
        if let Some(starred) = self.homes.starred {
            self.put(tx, mailbox, &to_starred, starred)?;
        }
        self.touch(tx, touched.into_iter())
    }

    /// The flags of a message that came: those that it has under its other labels.
    fn flags_of(&self, mailbox: MailboxId, came: &Sibling, rest: &[&Sibling]) -> (Flags, Keywords) {
        let leader = rest.first().copied().unwrap_or(came);
        let starred = if Some(mailbox) == self.homes.starred { Flags::FLAGGED } else { Flags::NONE };
        (leader.shared() | starred, leader.before.keywords.clone())
    }

    /// Entries were taken out of a mailbox by the operation `modseq`.
    fn left(&self, tx: &mut WriteTx, mailbox: MailboxId, modseq: ModSeq, left: Left) -> Result<()> {
        if self.homes.is_outside(mailbox) {
            return Ok(());
        }
        let rest = bereaved(tx, self.account, mailbox, modseq)?;
        match left {
            Left::Account if mailbox == self.homes.all => self.take(tx, by_mailbox(rest.iter()), After::Restorable),
            Left::Mailbox if mailbox == self.homes.all => self.left_all(tx, modseq, &rest),
            Left::Mailbox | Left::Account if Some(mailbox) == self.homes.starred => {
                let mut wanted = Wanted::new();
                for one in rest {
                    let place = (one.mailbox, one.shared().without(Flags::FLAGGED), one.before.keywords.clone());
                    wanted.entry(place).or_default().push(one.before);
                }
                self.set(tx, wanted)
            }
            Left::Mailbox | Left::Account => self.touch(tx, rest.iter()),
        }
    }

    /// What is deleted from All Mail is in Trash then.
    fn left_all(&self, tx: &mut WriteTx, modseq: ModSeq, rest: &[Sibling]) -> Result<()> {
        let Some(trash) = self.homes.trash else { return Ok(()) };
        let account = self.account;
        let gone = gone(tx, account, self.homes.all, modseq)?;
        // The operation gave the quota of those back that had no other entry; they are kept after all.
        let kept: std::collections::HashSet<MessageId> = rest.iter().map(|one| one.message).collect();
        let lonely: Vec<&Before> =
            gone.iter().filter(|(message, _)| !kept.contains(message)).map(|(_, before)| before).collect();
        let (messages, bytes) = (crate::sql::limit(lonely.len()), lonely.iter().map(|one| one.size).sum::<i64>());
        tx.execute(
            "UPDATE account SET used_messages = used_messages + $2, used_bytes = used_bytes + $3 WHERE id = $1",
            params![account, messages, bytes],
        )?;
        let mut gone: Vec<Before> = gone.into_values().collect();
        gone.sort_unstable_by_key(|one| one.uid);
        if !gone.is_empty() {
            steps::rescue(tx, self.by, account, self.homes.all, &gone, trash)?;
        }
        self.take(tx, by_mailbox(rest.iter()), After::Elsewhere)
    }

    /// Flags of entries changed: they are the message's.
    fn flagged(&self, tx: &mut WriteTx, mailbox: MailboxId, uids: &UidSet) -> Result<()> {
        if self.homes.is_outside(mailbox) || uids.is_empty() {
            return Ok(());
        }
        let all = siblings(tx, self.account, mailbox, uids)?;
        let mut changed: BTreeMap<u32, (&Sibling, Vec<&Sibling>)> = BTreeMap::new();
        for one in all.iter().filter(|one| one.mailbox == mailbox && one.of == one.before.uid) {
            changed.insert(one.of, (one, Vec::new()));
        }
        for one in all.iter().filter(|one| one.mailbox != mailbox || one.of != one.before.uid) {
            if let Some((_, rest)) = changed.get_mut(&one.of) {
                rest.push(one);
            }
        }
        let (mut wanted, mut to_starred, mut unstarred) = (Wanted::new(), Vec::new(), Vec::new());
        for (one, rest) in changed.values() {
            let (flags, words) = (one.shared(), &one.before.keywords);
            for other in rest {
                if other.shared() != flags || other.before.keywords != *words {
                    let place = (other.mailbox, flags, words.clone());
                    wanted.entry(place).or_default().push(other.before.clone());
                }
            }
            let Some(starred) = self.homes.starred else { continue };
            let there = rest.iter().copied().chain([*one]).find(|other| other.mailbox == starred);
            match (there, flags.contains(Flags::FLAGGED)) {
                (None, true) => to_starred.push(one.before.clone()),
                (Some(entry), false) => {
                    let deleted = entry.before.flags.without(Flags::ALL.without(Flags::DELETED));
                    unstarred.push(Before { flags: flags | deleted, ..entry.before.clone() });
                }
                (None, false) | (Some(_), true) => {}
            }
        }
        self.set(tx, wanted)?;
        if let Some(starred) = self.homes.starred {
            self.put(tx, mailbox, &to_starred, starred)?;
            unstarred.sort_unstable_by_key(|one| one.uid);
            unstarred.dedup_by_key(|one| one.uid);
            self.take(tx, BTreeMap::from([(starred, unstarred)]), After::Elsewhere)?;
        }
        Ok(())
    }

    /// A label, and those below it, are called otherwise.
    fn renamed(&self, tx: &mut WriteTx, mailbox: MailboxId) -> Result<()> {
        let all = mailboxes::all(tx, self.account)?;
        let Some(row) = all.iter().find(|row| row.id == mailbox) else { return Ok(()) };
        let renamed = all.iter().filter(|other| other.id == mailbox || other.name.is_below(&row.name));
        let mut rest = Vec::new();
        for label in renamed.filter(|label| label.messages > 0) {
            let there = siblings(tx, self.account, label.id, &UidSet::all())?;
            rest.extend(there.into_iter().filter(|one| one.mailbox != label.id));
        }
        self.touch(tx, rest.iter())
    }

    fn take(&self, tx: &mut WriteTx, gone: BTreeMap<MailboxId, Vec<Before>>, after: After) -> Result<()> {
        for (mailbox, entries) in gone.into_iter().filter(|(_, entries)| !entries.is_empty()) {
            let modseq = steps::take(tx, self.by, self.account, mailbox, &entries, after)?;
            if after == After::Restorable {
                expunge::give_back(tx, self.account, mailbox, modseq)?;
            }
        }
        Ok(())
    }

    fn set(&self, tx: &mut WriteTx, wanted: Wanted) -> Result<()> {
        for ((mailbox, flags, words), mut entries) in wanted {
            entries.sort_unstable_by_key(|entry| entry.uid);
            entries.dedup_by_key(|entry| entry.uid);
            steps::set_flags(tx, self.by, self.account, mailbox, &entries, (flags, &words))?;
        }
        Ok(())
    }

    fn put(&self, tx: &mut WriteTx, from: MailboxId, entries: &[Before], to: MailboxId) -> Result<()> {
        if entries.is_empty() { Ok(()) } else { steps::put(tx, self.by, self.account, from, entries, to) }
    }

    fn touch<'s>(&self, tx: &mut WriteTx, touched: impl Iterator<Item = &'s Sibling>) -> Result<()> {
        for (mailbox, entries) in by_mailbox(touched) {
            steps::touch(tx, self.by, self.account, mailbox, &entries)?;
        }
        Ok(())
    }
}

/// The newest entry of each message in a mailbox.
fn newest(mailbox: MailboxId, all: &[Sibling]) -> HashMap<MessageId, u32> {
    let mut newest: HashMap<MessageId, u32> = HashMap::new();
    for one in all.iter().filter(|one| one.mailbox == mailbox) {
        let uid = newest.entry(one.message).or_default();
        *uid = one.before.uid.max(*uid);
    }
    newest
}

/// What an operation took out of a mailbox, one entry of each message. One statement.
fn gone(tx: &ReadTx, account: AccountId, mailbox: MailboxId, modseq: ModSeq) -> Result<HashMap<MessageId, Before>> {
    let rows = tx.rows(
        "SELECT message, uid, flags, keywords, size FROM expunged {by:expunged_modseq}
         WHERE account = $1 AND mailbox = $2 AND modseq = $3",
        params![account, mailbox, modseq],
        |row| {
            let before = Before {
                uid: crate::sql::small(row, 1)?,
                flags: Flags::from_bits(row.int(2)?),
                keywords: Keywords::stored(row.text(3)?),
                modseq,
                size: row.int(4)?,
            };
            Ok((row.id(0)?, before))
        },
    )?;
    Ok(rows.into_iter().collect())
}
