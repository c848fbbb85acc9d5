//! Mailboxes are created, deleted, renamed, given roles; names are subscribed.
//!
//! Invariants: 1. for every mailbox all names above it have rows. 2. A placeholder (`selectable = 0`) has
//! names below it, no entries and no role. 3. INBOX has id 1 and always exists. 4. A name that was deleted
//! and made again has another id and another uidvalidity.

use std::collections::HashMap;

use postroad_store::{AccountId, ModSeq, Param, ReadTx, Timestamp, WriteTx, params};

use crate::copy::{self, Target};
use crate::expunge::{self, After};
use crate::journal::{self, Note, Operation};
use crate::mailboxes::{self, MAX_MAILBOXES, MAX_SUBSCRIPTIONS, Mailbox};
use crate::{
    Bound, By, Error, MailboxId, MailboxName, NameError, Result, Role, UidSet, What, acl, labels, metadata, quota,
    selected, sql, urlauth,
};

/// Makes a mailbox, and the levels above it that are missing (RFC 9051 §6.3.4). A placeholder becomes
/// a mailbox with a new uidvalidity.
///
/// Errors: `Exists(Mailbox)`, also when the role is taken; `Limit(Mailboxes)`.
pub fn create(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    name: &MailboxName,
    role: Option<Role>,
) -> Result<Mailbox> {
    let all = by_name(tx, account)?;
    let taken = all.get(name).is_some_and(|row| row.selectable)
        || role.is_some_and(|role| all.values().any(|row| row.role == Some(role)));
    if taken {
        return Err(Error::Exists(What::Mailbox));
    }
    let made = missing(&all, name)?;
    room(tx, account, &all, made.len())?;
    let parent = parent_of(&all, name);
    let allotted = allot(tx, by, account, made.len() + usize::from(all.contains_key(name)))?;
    if let Some(placeholder) = all.get(name) {
        // The placeholder's row goes, so that the new mailbox has nothing of the old one.
        metadata::forget_mailboxes(tx, account, &[placeholder.id.0])?;
        tx.execute("DELETE FROM mailbox WHERE account = $1 AND name = $2", params![account, name.as_str()])?;
    }
    let mut rows: Vec<(MailboxName, Option<Role>)> = made.into_iter().map(|name| (name, None)).collect();
    match rows.last_mut() {
        Some(last) if last.0 == *name => last.1 = role,
        Some(_) | None => rows.push((name.clone(), role)),
    }
    let id = insert(tx, account, &allotted, &rows)?;
    inherit(tx, account, parent, allotted.first_id..=id.0)?;
    let note = Note { mailbox: Some(id), before: b"", ..Note::plain(Operation::Create) };
    journal::end(tx, by, account, allotted.modseq, &note)?;
    mailboxes::by_id(tx, account, id)?.ok_or(Error::NotFound(What::Mailbox))
}

/// Deletes a mailbox; its messages stay restorable until the retention has passed. With names below it
/// becomes a placeholder.
///
/// Errors: `NotFound`, `Refused` for INBOX and for a placeholder with names below (RFC 9051 §6.3.5).
pub fn delete(tx: &mut WriteTx, by: &By, account: AccountId, name: &MailboxName) -> Result<()> {
    if name.is_inbox() {
        return Err(Error::Refused("INBOX cannot be deleted"));
    }
    let all = by_name(tx, account)?;
    let row = all.get(name).ok_or(Error::NotFound(What::Mailbox))?;
    if !row.selectable {
        return Err(Error::Refused("only the mailboxes below this name can be deleted"));
    }
    if labels::needs(tx, account, row)? {
        return Err(Error::Refused(NEEDED));
    }
    let modseq = journal::begin(tx, account)?;
    acl::forget_mailbox(tx, account, row.id)?;
    urlauth::forget_mailboxes(tx, account, &[row.id.0])?;
    metadata::forget_mailboxes(tx, account, &[row.id.0])?;
    if row.messages > 0 {
        expunge::take_out(tx, by, account, row.id, &UidSet::all(), modseq, After::Restorable)?;
        expunge::give_back(tx, account, row.id, modseq)?;
    }
    // What can be restored needs the spelling of its keywords; these go with the last of it (`retention`).
    tx.execute(
        "DELETE FROM keyword WHERE account = $1 AND mailbox = $2
         AND NOT EXISTS (SELECT 1 FROM expunged AS x WHERE x.account = $1 AND x.mailbox = $2)",
        params![account, row.id],
    )?;
    if all.keys().any(|other| other.is_below(name)) {
        tx.execute(
            "UPDATE mailbox SET selectable = 0, role = NULL, messages = 0, unseen = 0, deleted = 0, size = 0,
                                highest_modseq = $3
             WHERE account = $1 AND id = $2",
            params![account, row.id, modseq],
        )?;
    } else {
        let mut gone = vec![row.id.0];
        gone.extend(lonely_placeholders(&all, name));
        metadata::forget_mailboxes(tx, account, &gone)?;
        tx.execute("DELETE FROM mailbox WHERE account = $1 AND id {in:$2}", params![account, &gone])?;
    }
    let before = format!("{}\t{}\t{}\n", row.uidvalidity, row.role.map_or("-", Role::name), row.name);
    let note = Note { mailbox: Some(row.id), before: before.as_bytes(), ..Note::plain(Operation::Delete) };
    journal::end(tx, by, account, modseq, &note)
}

/// Renames a mailbox and all below it; missing levels above the new name are made. Renaming INBOX moves
/// its messages into a new mailbox and leaves it empty (RFC 9051 §6.3.6). Subscriptions stay by name.
///
/// Errors: `NotFound`, `Exists`, `Refused` for a name below itself, `NameInvalid` when a name below would
/// become too long or too deep, `Limit(Mailboxes)`.
pub fn rename(tx: &mut WriteTx, by: &By, account: AccountId, from: &MailboxName, to: &MailboxName) -> Result<()> {
    let all = by_name(tx, account)?;
    let row = all.get(from).ok_or(Error::NotFound(What::Mailbox))?;
    if all.contains_key(to) {
        return Err(Error::Exists(What::Mailbox));
    }
    if from.is_inbox() {
        return rename_inbox(tx, by, account, &all, to);
    }
    if to.is_below(from) {
        return Err(Error::Refused("a mailbox cannot be renamed to a name below itself"));
    }
    for below in all.keys().filter(|name| name.is_below(from)) {
        let renamed = format!("{to}{}", &below.as_str()[from.as_str().len()..]);
        MailboxName::parse(&renamed).map_err(Error::NameInvalid)?;
    }
    let mut made = missing(&all, to)?;
    made.retain(|name| name != to);
    room(tx, account, &all, made.len())?;
    let allotted = allot(tx, by, account, made.len())?;
    tx.execute(
        "UPDATE mailbox SET name = CAST($3 AS TEXT) || substr(name, length(CAST($2 AS TEXT)) + 1)
         WHERE account = $1 AND (name = $2 OR substr(name, 1, length(CAST($4 AS TEXT))) = $4)",
        params![account, from.as_str(), to.as_str(), &from.prefix()],
    )?;
    let rows: Vec<(MailboxName, Option<Role>)> = made.into_iter().map(|name| (name, None)).collect();
    if !rows.is_empty() {
        let last = insert(tx, account, &allotted, &rows)?;
        inherit(tx, account, parent_of(&all, to), allotted.first_id..=last.0)?;
    }
    let lonely: Vec<i64> = lonely_placeholders_after_rename(&all, from, to);
    if !lonely.is_empty() {
        metadata::forget_mailboxes(tx, account, &lonely)?;
        tx.execute("DELETE FROM mailbox WHERE account = $1 AND id {in:$2}", params![account, &lonely])?;
    }
    let before = format!("{from}\n");
    let note = Note { mailbox: Some(row.id), before: before.as_bytes(), ..Note::plain(Operation::Rename) };
    journal::end(tx, by, account, allotted.modseq, &note)
}

/// RFC 9051 §6.3.6: the messages of INBOX move, INBOX stays, and so do the mailboxes below it.
fn rename_inbox(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    all: &HashMap<MailboxName, Mailbox>,
    to: &MailboxName,
) -> Result<()> {
    let made = missing(all, to)?;
    room(tx, account, all, made.len())?;
    let allotted = allot(tx, by, account, made.len())?;
    let rows: Vec<(MailboxName, Option<Role>)> = made.into_iter().map(|name| (name, None)).collect();
    let id = insert(tx, account, &allotted, &rows)?;
    // Whoever may read a message still may, as when another mailbox is renamed (RFC 4314 §4); levels above are new.
    if allotted.first_id < id.0 {
        inherit(tx, account, parent_of(all, to), allotted.first_id..=id.0 - 1)?;
    }
    acl::inherit(tx, account, MailboxId::INBOX, &[id])?;
    metadata::copy(tx, account, MailboxId::INBOX, id)?;
    let entries = selected::entries(tx, account, MailboxId::INBOX, &UidSet::all())?;
    let (mut source, mut placed) = (UidSet::new(), UidSet::new());
    if !entries.is_empty() {
        let target = Target::find(tx, account, id, entries.len())?;
        let moved = copy::refile(tx, by, account, MailboxId::INBOX, &entries, &target, allotted.modseq)?;
        (source, placed) = (moved.source, moved.target);
    }
    let note = Note {
        operation: Operation::Rename,
        mailbox: Some(MailboxId::INBOX),
        other: Some(id),
        uids: &source,
        other_uids: &placed,
        before: b"INBOX\n",
    };
    journal::end(tx, by, account, allotted.modseq, &note)
}

/// Gives a mailbox a role or takes it away; taken from whoever had it. INBOX keeps its own.
pub fn set_role(tx: &mut WriteTx, by: &By, account: AccountId, id: MailboxId, role: Option<Role>) -> Result<()> {
    let row = mailboxes::by_id(tx, account, id)?.filter(|row| row.selectable);
    let row = row.ok_or(Error::NotFound(What::Mailbox))?;
    if (id == MailboxId::INBOX) != (role == Some(Role::Inbox)) {
        return Err(Error::Refused("only INBOX is the inbox, and it is nothing else"));
    }
    if row.role == role {
        return Ok(());
    }
    for role in row.role.into_iter().chain(role) {
        if labels::is_for(tx, account, role)? {
            return Err(Error::Refused(NEEDED));
        }
    }
    let modseq = journal::begin(tx, account)?;
    let mut before = format!("{}\n", row.role.map_or("-", Role::name));
    if let Some(role) = role {
        let taken = "UPDATE mailbox SET role = NULL WHERE account = $1 AND role = $2 RETURNING id";
        for owner in tx.returning(taken, params![account, role.name()], |row| row.int(0))? {
            before.push_str(&format!("{owner}\t{}\n", role.name()));
        }
    }
    tx.execute(
        "UPDATE mailbox SET role = $3 WHERE account = $1 AND id = $2",
        params![account, id, role.map(Role::name)],
    )?;
    let note = Note { mailbox: Some(id), before: before.as_bytes(), ..Note::plain(Operation::Role) };
    journal::end(tx, by, account, modseq, &note)
}

/// Subscribes to a name, existing or not (RFC 9051 §6.3.7). Again is no error.
pub fn subscribe(tx: &mut WriteTx, by: &By, account: AccountId, name: &MailboxName) -> Result<()> {
    let (count, there) = subscriptions(tx, account, name)?;
    if there {
        return Ok(());
    }
    if count >= sql::limit(MAX_SUBSCRIPTIONS) {
        return Err(Error::Limit(Bound::Subscriptions));
    }
    let modseq = journal::begin(tx, account)?;
    tx.execute("INSERT INTO subscription (account, name) VALUES ($1, $2)", params![account, name.as_str()])?;
    let before = format!("- {name}\n");
    let note = Note { before: before.as_bytes(), ..Note::plain(Operation::Subscription) };
    journal::end(tx, by, account, modseq, &note)
}

/// Takes a subscription away. None there is no error.
pub fn unsubscribe(tx: &mut WriteTx, by: &By, account: AccountId, name: &MailboxName) -> Result<()> {
    let (_, there) = subscriptions(tx, account, name)?;
    if !there {
        return Ok(());
    }
    let modseq = journal::begin(tx, account)?;
    tx.execute("DELETE FROM subscription WHERE account = $1 AND name = $2", params![account, name.as_str()])?;
    let before = format!("+ {name}\n");
    let note = Note { before: before.as_bytes(), ..Note::plain(Operation::Subscription) };
    journal::end(tx, by, account, modseq, &note)
}

/// How many subscriptions there are, and whether `name` is one.
fn subscriptions(tx: &ReadTx, account: AccountId, name: &MailboxName) -> Result<(i64, bool)> {
    let found = tx.one(
        "SELECT CAST(count(*) AS BIGINT), CAST(COALESCE(sum(CASE WHEN name = $2 THEN 1 ELSE 0 END), 0) AS BIGINT)
         FROM subscription WHERE account = $1",
        params![account, name.as_str()],
        |row| Ok((row.int(0)?, row.int(1)? > 0)),
    )?;
    Ok(found)
}

/// Makes the first mailboxes of an account in its first operation: INBOX with id 1 and the usual roles,
/// subscribed. Three statements.
pub(crate) fn furnish(tx: &mut WriteTx, account: AccountId, now: Timestamp) -> Result<()> {
    let names = FIRST.map(|(name, role)| (MailboxName::stored(name.to_owned()), Some(role)));
    let allotted = reserve(tx, account, now, names.len(), "modseq")?;
    insert(tx, account, &allotted, &names)?;
    let rows: Vec<[Param<'_>; 2]> = FIRST.iter().map(|(name, _)| [Param::from(account), Param::from(*name)]).collect();
    tx.insert_rows("INSERT INTO subscription (account, name)", &rows, "")?;
    Ok(())
}

/// Why a mailbox stays as it is.
const NEEDED: &str = "labels need this mailbox as it is";

const FIRST: [(&str, Role); 6] = [
    ("INBOX", Role::Inbox),
    ("Drafts", Role::Drafts),
    ("Sent", Role::Sent),
    ("Archive", Role::Archive),
    ("Junk", Role::Junk),
    ("Trash", Role::Trash),
];

/// All rows by name. One statement.
fn by_name(tx: &ReadTx, account: AccountId) -> Result<HashMap<MailboxName, Mailbox>> {
    Ok(mailboxes::all(tx, account)?.into_iter().map(|row| (row.name.clone(), row)).collect())
}

/// The names that must be made for `name` to be, outermost first, itself included unless it has a row.
fn missing(all: &HashMap<MailboxName, Mailbox>, name: &MailboxName) -> Result<Vec<MailboxName>> {
    if name.as_str().is_empty() {
        return Err(Error::NameInvalid(NameError::Empty));
    }
    let above = name.ancestors().chain([name.clone()]);
    Ok(above.filter(|name| !all.contains_key(name)).collect())
}

/// Whether there is room for so many more mailboxes. One statement when there are any.
///
/// Errors: `OverQuota` above what the administrator allows, `Limit(Mailboxes)`.
fn room(tx: &ReadTx, account: AccountId, all: &HashMap<MailboxName, Mailbox>, more: usize) -> Result<()> {
    let count = all.len() + more;
    if more == 0 {
        return Ok(());
    }
    if quota::mailboxes_max(tx, account)?.is_some_and(|most| count > most) {
        return Err(Error::OverQuota);
    }
    if count > MAX_MAILBOXES { Err(Error::Limit(Bound::Mailboxes)) } else { Ok(()) }
}

/// The nearest mailbox above a name: whose list of rights it gets when it is made.
fn parent_of(all: &HashMap<MailboxName, Mailbox>, name: &MailboxName) -> Option<MailboxId> {
    name.ancestors().filter_map(|above| all.get(&above).filter(|row| row.selectable)).last().map(|row| row.id)
}

/// Mailboxes that were made get the list of the one above them.
fn inherit(
    tx: &mut WriteTx,
    account: AccountId,
    parent: Option<MailboxId>,
    made: std::ops::RangeInclusive<i64>,
) -> Result<()> {
    let Some(parent) = parent else { return Ok(()) };
    acl::inherit(tx, account, parent, &made.map(MailboxId).collect::<Vec<_>>())
}

/// Placeholders above `name` that have no other name below them, innermost first.
fn lonely_placeholders(all: &HashMap<MailboxName, Mailbox>, name: &MailboxName) -> Vec<i64> {
    let mut gone = vec![name.clone()];
    let mut ids = Vec::new();
    let above: Vec<MailboxName> = name.ancestors().collect();
    for above in above.into_iter().rev() {
        let needed = all.keys().any(|other| other.is_below(&above) && !gone.contains(other));
        match all.get(&above) {
            Some(row) if !row.selectable && !needed => ids.push(row.id.0),
            Some(_) | None => break,
        }
        gone.push(above);
    }
    ids
}

/// The same after all of `from` went to `to`: placeholders above `from` that nothing lies below any more.
fn lonely_placeholders_after_rename(
    all: &HashMap<MailboxName, Mailbox>,
    from: &MailboxName,
    to: &MailboxName,
) -> Vec<i64> {
    let rest: HashMap<MailboxName, Mailbox> = all
        .iter()
        .filter(|(name, _)| !name.is_below(from))
        .map(|(name, row)| (name.clone(), row.clone()))
        .chain(all.get(from).map(|row| (to.clone(), row.clone())))
        .collect();
    lonely_placeholders(&rest, from)
}

/// Numbers taken for an operation that makes mailboxes.
struct Allotted {
    modseq: ModSeq,
    first_id: i64,
    first_uidvalidity: i64,
}

/// Begins the operation and takes ids and uidvalidities for `count` mailboxes. One statement.
fn allot(tx: &mut WriteTx, by: &By, account: AccountId, count: usize) -> Result<Allotted> {
    reserve(tx, account, by.now, count, "modseq + 1")
}

fn reserve(tx: &mut WriteTx, account: AccountId, now: Timestamp, count: usize, modseq: &str) -> Result<Allotted> {
    // RFC 9051 §2.3.1.1: uidvalidities rise; seconds since 1970 where that is more, as clients are used to.
    let seconds = (now.0 / 1_000_000).clamp(0, i64::from(u32::MAX) / 2);
    tx.returning(
        &format!(
            "UPDATE account SET modseq = {modseq}, next_mailbox = next_mailbox + $2,
                                last_uidvalidity = {{greatest:last_uidvalidity, $3}} + $2
             WHERE id = $1 RETURNING modseq, next_mailbox - $2, last_uidvalidity - $2 + 1"
        ),
        params![account, sql::limit(count), seconds],
        |row| Ok(Allotted { modseq: row.id(0)?, first_id: row.int(1)?, first_uidvalidity: row.int(2)? }),
    )?
    .pop()
    .ok_or(Error::NotFound(What::Account))
}

/// Inserts mailboxes with the allotted numbers; answers with the last one's id.
fn insert(
    tx: &mut WriteTx,
    account: AccountId,
    allotted: &Allotted,
    rows: &[(MailboxName, Option<Role>)],
) -> Result<MailboxId> {
    let values: Vec<[Param<'_>; 15]> = (0i64..)
        .zip(rows)
        .map(|(number, (name, role))| {
            [
                Param::from(account),
                Param::from(allotted.first_id + number),
                Param::from(name.as_str()),
                Param::from(role.map(Role::name)),
                Param::from(1i64),
                Param::from(allotted.first_uidvalidity + number),
                Param::from(1i64),
                Param::from(1i64),
                Param::from(allotted.modseq),
                Param::from(0i64),
                Param::from(0i64),
                Param::from(0i64),
                Param::from(0i64),
                Param::from(0i64),
                Param::from(allotted.modseq),
            ]
        })
        .collect();
    tx.insert_rows(
        "INSERT INTO mailbox (account, id, name, role, selectable, uidvalidity, uidnext, first_recent,
                              highest_modseq, forgotten, messages, unseen, deleted, size, created)",
        &values,
        "",
    )?;
    Ok(MailboxId(allotted.first_id + sql::limit(rows.len()) - 1))
}
