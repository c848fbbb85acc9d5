//! The journal: each operation of an account in one row, in the order of its modseqs.

use postroad_store::{AccountId, ModSeq, ReadTx, Timestamp, WriteTx, params};

use crate::{By, Error, MailboxId, Result, UidSet, What, labels};

/// What an operation was. On disk by [`Operation::name`]: names are never reused for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// The account itself: made, suspended, quota, name.
    Account,
    /// A credential was set or removed.
    Credential,
    /// A mailbox was made.
    Create,
    /// A mailbox was deleted.
    Delete,
    /// A mailbox was renamed.
    Rename,
    /// A mailbox's role changed.
    Role,
    /// A name was subscribed or unsubscribed.
    Subscription,
    /// A message came in.
    Append,
    /// Flags changed.
    Flags,
    /// Entries were copied.
    Copy,
    /// Entries were moved.
    Move,
    /// Entries were removed.
    Expunge,
    /// Removed entries were put back.
    Restore,
    /// Somebody's rights to a mailbox changed.
    Acl,
    /// Annotations of a mailbox, or of the account itself, changed.
    Metadata,
}

/// A row of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place.
    pub modseq: ModSeq,
    /// When.
    pub at: Timestamp,
    /// Who: `Actor`'s text.
    pub actor: String,
    /// What.
    pub operation: Operation,
    /// In which mailbox (the source of a copy or move).
    pub mailbox: Option<MailboxId>,
    /// Into which mailbox.
    pub other: Option<MailboxId>,
    /// The entries concerned, by their uids in `mailbox` (of an append: the new one).
    pub uids: UidSet,
    /// The new uids in `other`.
    pub other_uids: UidSet,
    /// What was before, enough to take it back; the operation's own text form.
    pub before: Vec<u8>,
}

/// The operations of an account after `since`, oldest first. One statement.
pub fn changes(tx: &ReadTx, account: AccountId, since: ModSeq, limit: usize) -> Result<Vec<Record>> {
    let rows = tx.rows(
        "SELECT modseq, at, actor, what, mailbox, other, uids, other_uids, before FROM journal
         WHERE account = $1 AND modseq > $2 ORDER BY modseq LIMIT $3",
        params![account, since, crate::sql::limit(limit)],
        |row| {
            let record = Record {
                modseq: row.id(0)?,
                at: row.id(1)?,
                actor: row.text(2)?,
                operation: Operation::Account,
                mailbox: row.int_or_null(4)?.map(MailboxId),
                other: row.int_or_null(5)?.map(MailboxId),
                uids: UidSet::parse(&row.text(6)?).unwrap_or_default(),
                other_uids: UidSet::parse(&row.text(7)?).unwrap_or_default(),
                before: row.bytes(8)?,
            };
            Ok((row.text(3)?, record))
        },
    )?;
    rows.into_iter()
        .map(|(what, record)| {
            let operation =
                Operation::from_name(&what).ok_or_else(|| Error::Corrupt(format!("journal operation {what}")))?;
            Ok(Record { operation, ..record })
        })
        .collect()
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 15] = [
        Operation::Account,
        Operation::Credential,
        Operation::Create,
        Operation::Delete,
        Operation::Rename,
        Operation::Role,
        Operation::Subscription,
        Operation::Append,
        Operation::Flags,
        Operation::Copy,
        Operation::Move,
        Operation::Expunge,
        Operation::Restore,
        Operation::Acl,
        Operation::Metadata,
    ];

    /// The name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Account => "account",
            Operation::Credential => "credential",
            Operation::Create => "create",
            Operation::Delete => "delete",
            Operation::Rename => "rename",
            Operation::Role => "role",
            Operation::Subscription => "subscription",
            Operation::Append => "append",
            Operation::Flags => "flags",
            Operation::Copy => "copy",
            Operation::Move => "move",
            Operation::Expunge => "expunge",
            Operation::Restore => "restore",
            Operation::Acl => "acl",
            Operation::Metadata => "metadata",
        }
    }

    /// The inverse of [`Operation::name`].
    pub fn from_name(name: &str) -> Option<Operation> {
        Operation::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

/// Raises the account's modseq by one: the first write of every operation. One statement.
pub(crate) fn begin(tx: &mut WriteTx, account: AccountId) -> Result<ModSeq> {
    tx.returning("UPDATE account SET modseq = modseq + 1 WHERE id = $1 RETURNING modseq", params![account], |row| {
        row.id(0)
    })?
    .pop()
    .ok_or(Error::NotFound(What::Account))
}

/// The first write of as many operations at once, which [`end_many`] ends: the modseq of the last of them. One statement.
pub(crate) fn begin_many(tx: &mut WriteTx, account: AccountId, count: i64) -> Result<ModSeq> {
    let text = "UPDATE account SET modseq = modseq + $2 WHERE id = $1 RETURNING modseq";
    tx.returning(text, params![account, count], |row| row.id(0))?.pop().ok_or(Error::NotFound(What::Account))
}

/// The last write of operations that [`begin_many`] began, one for each row of `mailboxes` (its columns are `mailbox` and `place`,
/// from 1 on; `$1` is the account): those with the modseqs after the first up to the second. They change no label. One statement.
pub(crate) fn end_many(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    (after, last): (ModSeq, ModSeq),
    (operation, before): (Operation, &[u8]),
    mailboxes: &str,
) -> Result<()> {
    let text = format!(
        "INSERT INTO journal (account, modseq, at, actor, what, mailbox, other, uids, other_uids, before)
         SELECT CAST($1 AS BIGINT), $2 + m.place, CAST($3 AS BIGINT), CAST($4 AS TEXT), CAST($5 AS TEXT), m.mailbox,
             NULL, '', '', CAST($6 AS {{bytes}}) FROM ({mailboxes}) AS m"
    );
    tx.execute(&text, params![account, after, by.now, &by.actor.to_string(), operation.name(), before])?;
    tx.publish(account, last);
    Ok(())
}

/// What [`end`] writes besides author and place.
pub(crate) struct Note<'a> {
    pub(crate) operation: Operation,
    pub(crate) mailbox: Option<MailboxId>,
    pub(crate) other: Option<MailboxId>,
    pub(crate) uids: &'a UidSet,
    pub(crate) other_uids: &'a UidSet,
    pub(crate) before: &'a [u8],
}

impl Note<'static> {
    /// An operation that concerns no mailbox.
    pub(crate) fn plain(operation: Operation) -> Note<'static> {
        const NONE: &UidSet = &UidSet::EMPTY;
        Note { operation, mailbox: None, other: None, uids: NONE, other_uids: NONE, before: b"" }
    }
}

/// Writes the operation's journal row and publishes it: the last write of every operation. One statement; in an account with
/// labels what they need besides ([`labels::settle`]).
pub(crate) fn end(tx: &mut WriteTx, by: &By, account: AccountId, modseq: ModSeq, note: &Note<'_>) -> Result<()> {
    // Told by the same statement, so that it costs others nothing.
    let labelled =
        row(tx, by, account, modseq, note, "EXISTS (SELECT 1 FROM label_account AS l WHERE l.account = $1)")?;
    if labelled { labels::settle(tx, by, account, modseq, note) } else { Ok(()) }
}

/// [`end`] of an operation that keeps labels as they should be.
pub(crate) fn write(tx: &mut WriteTx, by: &By, account: AccountId, modseq: ModSeq, note: &Note<'_>) -> Result<()> {
    row(tx, by, account, modseq, note, "(1 = 0)").map(|_| ())
}

fn row(tx: &mut WriteTx, by: &By, account: AccountId, modseq: ModSeq, note: &Note<'_>, question: &str) -> Result<bool> {
    let text = format!(
        "INSERT INTO journal (account, modseq, at, actor, what, mailbox, other, uids, other_uids, before)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING {question}"
    );
    let answer = tx.returning(
        &text,
        params![
            account,
            modseq,
            by.now,
            &by.actor.to_string(),
            note.operation.name(),
            note.mailbox,
            note.other,
            &note.uids.to_string(),
            &note.other_uids.to_string(),
            note.before,
        ],
        |row| row.bool(0),
    )?;
    tx.publish(account, modseq);
    Ok(answer.into_iter().any(|yes| yes))
}
