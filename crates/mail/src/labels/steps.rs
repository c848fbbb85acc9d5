//! The operations that labels are kept with: each raises the account's modseq and has its journal row, and none calls
//! [`super::settle`] again.
//!
//! All in sets: a constant number of statements for any number of entries of a mailbox.

use std::collections::BTreeMap;

use postroad_store::{AccountId, ModSeq, Param, ReadTx, WriteTx};

use crate::copy::{Target, admit};
use crate::expunge::{After, take_out};
use crate::journal::{self, Note, Operation};
use crate::selected::{self, Before, Place, Tally};
use crate::{By, Flags, Keywords, MailboxId, MessageId, Result, UidSet, keywords, sql};

/// Flags that are the message's, in SQL: all but `\Deleted`.
const SHARED: i64 = 31 - 8;

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
    /// The flags that are the message's.
    pub(super) fn shared(&self) -> Flags {
        self.before.flags.without(Flags::DELETED)
    }
}

/// All entries of the messages that the entries `uids` of a mailbox have, themselves included, by the mailbox's uid. One
/// statement.
pub(super) fn siblings(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Sibling>> {
    let place = Place::of(uids);
    let text = format!(
        "SELECT e.uid, s.message, s.mailbox, s.uid, s.flags, s.keywords, s.modseq, s.size
         FROM entry AS e CROSS JOIN entry AS s {{by:entry_message}}
         WHERE e.account = $1 AND e.mailbox = $2 AND {} AND s.account = $1 AND s.message = e.message",
        place.clause("e.uid", 3)
    );
    read(tx, &text, &place.params(vec![account.into(), mailbox.into()]))
}

/// All entries of the messages whose entries the operation `modseq` took out of a mailbox; `of` is the uid that was taken.
/// One statement.
pub(super) fn bereaved(tx: &ReadTx, account: AccountId, mailbox: MailboxId, modseq: ModSeq) -> Result<Vec<Sibling>> {
    let text = "SELECT x.uid, s.message, s.mailbox, s.uid, s.flags, s.keywords, s.modseq, s.size
         FROM expunged AS x {by:expunged_modseq} CROSS JOIN entry AS s {by:entry_message}
         WHERE x.account = $1 AND x.mailbox = $2 AND x.modseq = $3 AND s.account = $1 AND s.message = x.message";
    read(tx, text, &[account.into(), mailbox.into(), modseq.into()])
}

fn read(tx: &ReadTx, text: &str, params: &[Param<'_>]) -> Result<Vec<Sibling>> {
    let rows = tx.rows(text, params, |row| {
        Ok(Sibling {
            of: sql::small(row, 0)?,
            message: row.id(1)?,
            mailbox: row.id(2)?,
            before: Before {
                uid: sql::small(row, 3)?,
                flags: Flags::from_bits(row.int(4)?),
                keywords: Keywords::stored(row.text(5)?),
                modseq: row.id(6)?,
                size: row.int(7)?,
            },
        })
    })?;
    Ok(rows)
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

/// Takes entries out of a mailbox, whose messages live on in another, unless `after` says otherwise. Five statements.
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

/// Puts the messages of `entries` of `from` also into `to`, in the order of their uids, without `\Deleted`. Five statements,
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
    copy_rows(tx, by, account, "entry", (from, &source), &target, modseq)?;
    settled_in(tx, by, account, from, &source, entries, &target, modseq)
}

/// Writes an entry of `target` for each row that `table` (`entry` or `expunged`) has of the uids, in their order, without `\Deleted`.
fn copy_rows(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    table: &str,
    (from, uids): (MailboxId, &UidSet),
    target: &Target,
    modseq: ModSeq,
) -> Result<()> {
    let place = Place::of(uids);
    let text = format!(
        "INSERT INTO entry (account, mailbox, uid, message, flags, keywords, modseq, saved, size)
         SELECT account, CAST($3 AS BIGINT), $4 + row_number() OVER (ORDER BY uid) - 1, message, (flags & {SHARED}),
                keywords, CAST($5 AS BIGINT), CAST($6 AS BIGINT), size
         FROM {table} WHERE account = $1 AND mailbox = $2 AND {}",
        place.clause("uid", 7)
    );
    let first = Param::from(i64::from(target.uidnext));
    let params = vec![account.into(), from.into(), target.id.into(), first, modseq.into(), by.now.into()];
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

/// Puts messages whose entries `gone` were just taken out of `from` for good into `to`, once each: they are not gone. Eight
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
    copy_rows(tx, by, account, "expunged", (from, &source), &target, modseq)?;
    let place = Place::of(&source);
    let text = format!(
        "UPDATE expunged SET restorable = 0 WHERE account = $1 AND mailbox = $2 AND {}",
        place.clause("uid", 3)
    );
    tx.execute(&text, &place.params(vec![account.into(), from.into()]))?;
    settled_in(tx, by, account, from, &source, gone, &target, modseq)
}

/// Gives entries of a mailbox the flags and keywords of their message; `\Deleted` stays as it is in each. Four statements, one
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
    let place = Place::of(&uids);
    let text = format!(
        "UPDATE entry SET flags = (flags & 8) | $4, keywords = $5, modseq = $3
         WHERE account = $1 AND mailbox = $2 AND {}",
        place.clause("uid", 6)
    );
    let flags = flags.without(Flags::DELETED);
    let params =
        vec![account.into(), mailbox.into(), modseq.into(), Param::from(flags.bits()), Param::from(words.as_stored())];
    tx.execute(&text, &place.params(params))?;
    keywords::carry(tx, account, mailbox, modseq, words.iter())?;
    let was: i64 = entries.iter().map(|entry| selected::unseen(entry.flags)).sum();
    let now = selected::unseen(flags) * sql::limit(entries.len());
    let tally = Tally { unseen: now - was, ..Tally::default() };
    selected::count(tx, account, mailbox, modseq, tally)?;
    let before = selected::flags_before(entries);
    let note = Note { mailbox: Some(mailbox), uids: &uids, before: &before, ..Note::plain(Operation::Flags) };
    journal::write(tx, by, account, modseq, &note)
}

/// Raises the modseq of entries whose message has other labels now. Four statements.
pub(super) fn touch(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    entries: &[Before],
) -> Result<()> {
    let modseq = journal::begin(tx, account)?;
    let uids = selected::uids(entries);
    let place = Place::of(&uids);
    let text =
        format!("UPDATE entry SET modseq = $3 WHERE account = $1 AND mailbox = $2 AND {}", place.clause("uid", 4));
    tx.execute(&text, &place.params(vec![account.into(), mailbox.into(), modseq.into()]))?;
    selected::count(tx, account, mailbox, modseq, Tally::default())?;
    let note = Note { mailbox: Some(mailbox), uids: &uids, ..Note::plain(Operation::Flags) };
    journal::write(tx, by, account, modseq, &note)
}
