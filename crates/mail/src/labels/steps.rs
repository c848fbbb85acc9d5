//! The operations that labels are kept with: each raises the account's modseq and has its journal row, and none calls
//! [`super::settle`] again.
//!
//! All in sets: a constant number of statements for any number of entries of a mailbox.

use std::collections::BTreeMap;

use postroad_store::{AccountId, ModSeq, Param, ReadTx, WriteTx};

use crate::copy::{Target, admit, admit_marks};
use crate::expunge::{After, take_out};
use crate::journal::{self, Note, Operation};
use crate::pages;
use crate::selected::{self, Before, Place, Tally};
use crate::{By, Flags, Keywords, MailboxId, MessageId, Result, UidSet, keywords, sql};

/// An entry, as the rules look at it.
#[derive(Debug, Clone)]
pub(super) struct Sibling {
    /// The entry of the operation that it is a sibling of: the same message. Itself, too.
    pub(super) of: u32,
    pub(super) message: MessageId,
    pub(super) mailbox: MailboxId,
    pub(super) before: Before,
}

impl Sibling {
    /// An entry of which it is not known yet what [`marked`] tells.
    pub(super) fn unmarked(of: u32, message: MessageId, mailbox: MailboxId, uid: u32) -> Sibling {
        let before = Before { uid, flags: Flags::NONE, keywords: Keywords::none(), modseq: ModSeq(0), size: 0 };
        Sibling { of, message, mailbox, before }
    }

    /// The flags that are the message's.
    pub(super) fn shared(&self) -> Flags {
        self.before.flags.without(Flags::DELETED)
    }
}

/// All entries of the messages that the entries `uids` of a mailbox have, themselves included, by the mailbox's uid. One
/// statement, and one for each mailbox that they are in.
pub(super) fn siblings(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Sibling>> {
    let place = Place::of(uids);
    let text = format!(
        "SELECT e.uid, s.message, s.mailbox, s.uid
         FROM entry AS e CROSS JOIN entry AS s {{by:entry_message}}
         WHERE e.account = $1 AND e.mailbox = $2 AND {} AND s.account = $1 AND s.message = e.message",
        place.clause("e.uid", 3)
    );
    read(tx, account, &text, &place.params(vec![account.into(), mailbox.into()]))
}

/// All entries of the messages whose entries the operation `modseq` took out of a mailbox; `of` is the uid that was taken.
/// One statement, and one for each mailbox that they are in.
pub(super) fn bereaved(tx: &ReadTx, account: AccountId, mailbox: MailboxId, modseq: ModSeq) -> Result<Vec<Sibling>> {
    let text = "SELECT x.uid, s.message, s.mailbox, s.uid
         FROM expunged AS x {by:expunged_modseq} CROSS JOIN entry AS s {by:entry_message}
         WHERE x.account = $1 AND x.mailbox = $2 AND x.modseq = $3 AND s.account = $1 AND s.message = x.message";
    read(tx, account, text, &[account.into(), mailbox.into(), modseq.into()])
}

fn read(tx: &ReadTx, account: AccountId, text: &str, params: &[Param<'_>]) -> Result<Vec<Sibling>> {
    let rows = tx.rows(text, params, |row| {
        Ok(Sibling::unmarked(sql::small(row, 0)?, row.id(1)?, row.id(2)?, sql::small(row, 3)?))
    })?;
    marked(tx, account, rows)
}

/// Entries get the flags, keywords, modseqs and sizes that they have. One statement for each mailbox that they are in.
pub(super) fn marked(tx: &ReadTx, account: AccountId, mut siblings: Vec<Sibling>) -> Result<Vec<Sibling>> {
    pages::complete(tx, account, siblings.iter_mut().map(|one| (one.mailbox, &mut one.before)))?;
    Ok(siblings)
}

/// Entries by mailbox.
pub(super) fn by_mailbox<'a>(siblings: impl Iterator<Item = &'a Sibling>) -> BTreeMap<MailboxId, Vec<Before>> {
    let mut all: BTreeMap<MailboxId, Vec<Before>> = BTreeMap::new();
    for sibling in siblings {
        all.entry(sibling.mailbox).or_default().push(sibling.before.clone());
    }
    for entries in all.values_mut() {
        entries.sort_unstable_by_key(|entry| entry.uid);
        entries.dedup_by_key(|entry| entry.uid);
    }
    all
}

/// Takes entries out of a mailbox, whose messages live on in another, unless `after` says otherwise. Seven statements where all have
/// the same flags and keywords.
pub(super) fn take(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    entries: &[Before],
    after: After,
) -> Result<ModSeq> {
    let modseq = journal::begin(tx, account)?;
    let uids = selected::uids(entries);
    take_out(tx, by, account, mailbox, &uids, modseq, after)?;
    selected::count(tx, account, mailbox, modseq, Tally::of(entries).negative())?;
    let before = selected::flags_before(entries);
    let note = Note { mailbox: Some(mailbox), uids: &uids, before: &before, ..Note::plain(Operation::Move) };
    journal::write(tx, by, account, modseq, &note)?;
    Ok(modseq)
}

/// Puts the messages of `entries` of `from` also into `to`, in the order of their uids, without `\Deleted`. Six statements,
/// one more for keywords.
pub(super) fn put(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    from: MailboxId,
    entries: &[Before],
    to: MailboxId,
) -> Result<()> {
    let target = Target::find(tx, account, to, entries.len())?;
    let modseq = journal::begin(tx, account)?;
    let source = selected::uids(entries);
    copy_rows(tx, by, account, "entry", (from, &source), &target)?;
    settled_in(tx, by, account, from, &source, entries, &target, modseq)
}

/// Writes an entry of `target` for each row that `table` (`entry` or `expunged`) has of the uids, in their order.
fn copy_rows(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    table: &str,
    (from, uids): (MailboxId, &UidSet),
    target: &Target,
) -> Result<()> {
    let place = Place::of(uids);
    let text = format!(
        "INSERT INTO entry (account, mailbox, uid, message, saved, size)
         SELECT account, CAST($3 AS BIGINT), $4 + row_number() OVER (ORDER BY uid) - 1, message, CAST($5 AS BIGINT), size
         FROM {table} WHERE account = $1 AND mailbox = $2 AND {}",
        place.clause("uid", 6)
    );
    let first = Param::from(i64::from(target.uidnext));
    let params = vec![account.into(), from.into(), target.id.into(), first, by.now.into()];
    tx.execute(&text, &place.params(params))?;
    Ok(())
}

/// Counts entries that were put into the target, teaches it their keywords, writes the journal's row.
#[expect(clippy::too_many_arguments, reason = "what an operation is about")]
fn settled_in(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    from: MailboxId,
    source: &UidSet,
    entries: &[Before],
    target: &Target,
    modseq: ModSeq,
) -> Result<()> {
    let used = entries.iter().flat_map(|entry| entry.keywords.iter());
    keywords::carry(tx, account, target.id, modseq, used)?;
    let placed: Vec<Before> =
        entries.iter().map(|entry| Before { flags: entry.flags.without(Flags::DELETED), ..entry.clone() }).collect();
    admit_marks(tx, account, target, modseq, &placed)?;
    admit(tx, account, target, modseq, Tally::of(&placed))?;
    let last = target.uidnext + u32::try_from(entries.len()).unwrap_or(u32::MAX) - 1;
    let note = Note {
        operation: Operation::Copy,
        mailbox: Some(from),
        other: Some(target.id),
        uids: source,
        other_uids: &UidSet::range(target.uidnext, last),
        before: b"",
    };
    journal::write(tx, by, account, modseq, &note)
}

/// Puts messages whose entries `gone` were just taken out of `from` for good into `to`, once each: they are not gone. Nine
/// statements, one more for keywords.
pub(super) fn rescue(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    from: MailboxId,
    gone: &[Before],
    to: MailboxId,
) -> Result<()> {
    let target = Target::find(tx, account, to, gone.len())?;
    let modseq = journal::begin(tx, account)?;
    let source = selected::uids(gone);
    copy_rows(tx, by, account, "expunged", (from, &source), &target)?;
    let place = Place::of(&source);
    let text = format!(
        "UPDATE expunged SET restorable = 0 WHERE account = $1 AND mailbox = $2 AND {}",
        place.clause("uid", 3)
    );
    tx.execute(&text, &place.params(vec![account.into(), from.into()]))?;
    settled_in(tx, by, account, from, &source, gone, &target, modseq)
}

/// Gives entries of a mailbox the flags and keywords of their message; `\Deleted` stays as it is in each. Five statements, one
/// more for keywords.
pub(super) fn set_flags(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    entries: &[Before],
    (flags, words): (Flags, &Keywords),
) -> Result<()> {
    let modseq = journal::begin(tx, account)?;
    let uids = selected::uids(entries);
    let flags = flags.without(Flags::DELETED);
    pages::update(tx, (account, mailbox), &uids, modseq, |entry| {
        let own = entry.flags.without(Flags::ALL.without(Flags::DELETED));
        (entry.flags, entry.keywords) = (flags | own, words.clone());
    })?;
    keywords::carry(tx, account, mailbox, modseq, words.iter())?;
    let was: i64 = entries.iter().map(|entry| selected::unseen(entry.flags)).sum();
    let now = selected::unseen(flags) * sql::limit(entries.len());
    let tally = Tally { unseen: now - was, ..Tally::default() };
    selected::count(tx, account, mailbox, modseq, tally)?;
    let before = selected::flags_before(entries);
    let note = Note { mailbox: Some(mailbox), uids: &uids, before: &before, ..Note::plain(Operation::Flags) };
    journal::write(tx, by, account, modseq, &note)
}

/// Raises the modseq of entries whose message has other labels now. Five statements.
pub(super) fn touch(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    entries: &[Before],
) -> Result<()> {
    let modseq = journal::begin(tx, account)?;
    let uids = selected::uids(entries);
    pages::update(tx, (account, mailbox), &uids, modseq, |_| {})?;
    selected::count(tx, account, mailbox, modseq, Tally::default())?;
    let note = Note { mailbox: Some(mailbox), uids: &uids, ..Note::plain(Operation::Flags) };
    journal::write(tx, by, account, modseq, &note)
}
