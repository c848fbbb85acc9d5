//! The rows of messages.

use std::collections::BTreeMap;

use postroad_store::{AccountId, BlobId, Param, ReadTx, WriteTx, params};

use crate::batch::{self, One};
use crate::flags::{self, FlagChange};
use crate::rows::Quota;
use crate::{Arrival, By, Filing, MailboxId, MessageId, Result, UidSet, sql};

/// Whose folder it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The account.
    pub account: AccountId,
    /// The link.
    pub link: i64,
    /// The folder's number in the link.
    pub folder: i64,
    /// The mailbox here.
    pub mailbox: MailboxId,
}

/// What is known of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its uid there (outwards: here); negative when that is void.
    pub uid: i64,
    /// Its uid here (outwards: there).
    pub other: u32,
    /// Its content here.
    pub message: MessageId,
    /// BLAKE3 of its octets.
    pub hash: [u8; 32],
    /// How many these are.
    pub size: u64,
    /// Its flags and keywords as they were last seen where it comes from.
    pub marks: String,
    /// What tells it from all others there, where the server says so; else empty. Outwards: the number of its content here, which
    /// is a hint: a restore gives new ones.
    pub identity: String,
}

/// A message that was fetched.
#[derive(Debug)]
pub struct Taken {
    /// Its octets, safe on disk.
    pub arrival: Arrival,
    /// Flags, keywords and date.
    pub filing: Filing,
    /// Its uid there.
    pub uid: u32,
    /// [`Known::identity`].
    pub identity: String,
    /// [`Known::hash`].
    pub hash: [u8; 32],
    /// [`Known::marks`].
    pub marks: String,
}

/// Files fetched messages and remembers them, in one operation: their uids here. At most [`crate::imports::MAX_BATCH`].
///
/// `Err(OverQuota | Suspended | NotFound | Limit)` has written nothing.
pub fn deliver(tx: &mut WriteTx, by: &By, place: Place, taken: &[&Taken], quota: bool) -> Result<Vec<u32>> {
    // Another run may have been faster.
    let uids: Vec<i64> = taken.iter().map(|one| i64::from(one.uid)).collect();
    let there = tx.rows(
        "SELECT uid FROM remote_message WHERE account = $1 AND link = $2 AND folder = $3 AND uid {in:$4}",
        params![place.account, place.link, place.folder, &uids],
        |row| row.int(0),
    )?;
    let taken: Vec<&Taken> = taken.iter().copied().filter(|one| !there.contains(&i64::from(one.uid))).collect();
    if taken.is_empty() {
        return Ok(Vec::new());
    }
    let all: Vec<One<'_>> = taken.iter().map(|one| One { arrival: &one.arrival, filing: &one.filing }).collect();
    let quota = if quota { Quota::Kept } else { Quota::Passed };
    let filed = batch::file(tx, by, place.account, place.mailbox, &all, quota)?;
    let uids: Vec<u32> = filed.uids.iter().collect();
    let rows: Vec<Known> = taken
        .iter()
        .zip(uids.iter().zip(&filed.messages))
        .map(|(one, (other, message))| Known {
            uid: i64::from(one.uid),
            other: *other,
            message: *message,
            hash: one.hash,
            size: one.arrival.size,
            marks: one.marks.clone(),
            identity: one.identity.clone(),
        })
        .collect();
    remember(tx, place, &rows)?;
    Ok(uids)
}

/// Writes rows; one that is there is replaced. One statement.
pub fn remember(tx: &mut WriteTx, place: Place, rows: &[Known]) -> Result<()> {
    let rows: Vec<[Param<'_>; 10]> = rows
        .iter()
        .map(|row| {
            [
                Param::from(place.account),
                Param::from(place.link),
                Param::from(place.folder),
                Param::from(row.uid),
                Param::from(row.other),
                Param::from(row.message),
                Param::from(row.identity.as_str()),
                Param::from(&row.hash),
                Param::from(sql::number(row.size)),
                Param::from(row.marks.as_str()),
            ]
        })
        .collect();
    tx.insert_rows(
        "INSERT INTO remote_message (account, link, folder, uid, other, message, identity, hash, size, marks)",
        &rows,
        "ON CONFLICT (account, link, folder, uid) DO UPDATE SET other = excluded.other, message = excluded.message,
             identity = excluded.identity, hash = excluded.hash, size = excluded.size, marks = excluded.marks",
    )?;
    Ok(())
}

/// What is known of a folder's messages from a uid on, by uid. One statement.
pub fn known(tx: &ReadTx, place: Place, from: i64, limit: usize) -> Result<Vec<Known>> {
    Ok(tx.rows(
        &format!(
            "SELECT {COLUMNS} FROM remote_message AS r
             WHERE r.account = $1 AND r.link = $2 AND r.folder = $3 AND r.uid >= $4 ORDER BY r.uid LIMIT $5"
        ),
        params![place.account, place.link, place.folder, from, sql::limit(limit)],
        row_of,
    )?)
}

const COLUMNS: &str = "r.uid, r.other, r.message, r.hash, r.size, r.marks, r.identity";

fn row_of(row: &postroad_store::Row<'_>) -> postroad_store::Result<Known> {
    let mut hash = [0; 32];
    let bytes = row.bytes(3)?;
    if bytes.len() != hash.len() {
        return Err(postroad_store::Error::Corrupt("the checksum of a message has the wrong length".into()));
    }
    hash.copy_from_slice(&bytes);
    Ok(Known {
        uid: row.int(0)?,
        other: sql::small(row, 1)?,
        message: row.id(2)?,
        hash,
        size: sql::unsigned(row, 4)?,
        marks: row.text(5)?,
        identity: row.text(6)?,
    })
}

/// Messages of a link that are one of `identities`, one for each; of all folders but `except`. One statement.
pub fn like(
    tx: &ReadTx,
    account: AccountId,
    link: i64,
    identities: &[&str],
    except: Option<i64>,
) -> Result<BTreeMap<String, Known>> {
    let rows = tx.rows(
        &format!(
            "SELECT {COLUMNS} FROM remote_message AS r
             WHERE r.account = $1 AND r.link = $2 AND r.identity <> '' AND r.identity {{in:$3}} AND r.folder <> $4"
        ),
        params![account, link, identities.to_vec(), except.unwrap_or(0)],
        row_of,
    )?;
    Ok(rows.into_iter().map(|row| (row.identity.clone(), row)).collect())
}

/// Outwards: rows of a link with one of `identities`, each with its folder, of all folders but one. One statement.
pub fn elsewhere(
    tx: &ReadTx,
    account: AccountId,
    link: i64,
    identities: &[&str],
    except: i64,
) -> Result<Vec<(i64, Known)>> {
    let text = format!(
        "SELECT {COLUMNS}, r.folder FROM remote_message AS r
         WHERE r.account = $1 AND r.link = $2 AND r.identity <> '' AND r.identity {{in:$3}} AND r.folder <> $4
         ORDER BY r.folder, r.uid"
    );
    let params = params![account, link, identities.to_vec(), except];
    Ok(tx.rows(&text, params, |row| Ok((row.int(7)?, row_of(row)?)))?)
}

/// Another place for a message that is here.
#[derive(Debug, Clone)]
pub struct Found {
    /// What is known of it, in another folder.
    pub known: Known,
    /// Its uid in this folder there.
    pub uid: u32,
    /// Its flags here.
    pub filing: Filing,
    /// [`Known::marks`].
    pub marks: String,
}

/// Gives messages that are here already an entry in one more mailbox, and remembers that: their uids in it; `None` for one
/// that was removed here since. Some ten statements for each mailbox that they are in and each set of flags.
pub fn copy(tx: &mut WriteTx, by: &By, place: Place, found: &[Found]) -> Result<Vec<Option<u32>>> {
    let ids: Vec<i64> = found.iter().map(|one| one.known.message.0).collect();
    let entries: Vec<(i64, MailboxId, u32)> = tx.rows(
        "SELECT message, mailbox, uid FROM entry {by:entry_message} WHERE account = $1 AND message {in:$2}
         ORDER BY message, mailbox, uid",
        params![place.account, &ids],
        |row| Ok((row.int(0)?, row.id(1)?, sql::small(row, 2)?)),
    )?;
    let mut first: BTreeMap<i64, (MailboxId, u32)> = BTreeMap::new();
    for (message, mailbox, uid) in entries {
        first.entry(message).or_insert((mailbox, uid));
    }
    let mut groups: BTreeMap<i64, BTreeMap<u32, Vec<usize>>> = BTreeMap::new();
    for (at, one) in found.iter().enumerate() {
        if let Some((mailbox, uid)) = first.get(&one.known.message.0) {
            groups.entry(mailbox.0).or_default().entry(*uid).or_default().push(at);
        }
    }
    let mut placed: Vec<Option<u32>> = vec![None; found.len()];
    for (mailbox, mut uids) in groups {
        // A message that stands twice in one folder there is copied twice.
        while !uids.is_empty() {
            let set = UidSet::from_ranges(uids.keys().map(|uid| (*uid, *uid)));
            let copied = crate::copy::copy(tx, by, place.account, MailboxId(mailbox), &set, place.mailbox)?;
            for (source, target) in copied.source.iter().zip(copied.target.iter()) {
                if let Some(at) = uids.get_mut(&source).and_then(Vec::pop) {
                    placed[at] = Some(target);
                }
            }
            uids.retain(|uid, left| !left.is_empty() && copied.source.contains(*uid));
        }
    }
    settle_flags(tx, by, place, found, &placed)?;
    let rows: Vec<Known> = found
        .iter()
        .zip(&placed)
        .filter_map(|(one, placed)| {
            let (uid, marks) = (i64::from(one.uid), one.marks.clone());
            placed.map(|other| Known { uid, other, marks, ..one.known.clone() })
        })
        .collect();
    remember(tx, place, &rows)?;
    Ok(placed)
}

/// A copy has the flags of what it was copied from: each gets its own.
fn settle_flags(tx: &mut WriteTx, by: &By, place: Place, found: &[Found], placed: &[Option<u32>]) -> Result<()> {
    let mut groups: BTreeMap<(&str, i64), (UidSet, &Filing)> = BTreeMap::new();
    for (one, uid) in found.iter().zip(placed) {
        if let Some(uid) = uid {
            let key = (one.marks.as_str(), one.filing.flags.bits());
            groups.entry(key).or_insert_with(|| (UidSet::new(), &one.filing)).0.insert(*uid);
        }
    }
    for (uids, filing) in groups.into_values() {
        let wanted = FlagChange::Replace(filing.flags, filing.keywords.clone());
        flags::change(tx, by, place.account, place.mailbox, &uids, &wanted, None)?;
    }
    Ok(())
}

/// Flags as they are now where messages come from. One statement for each set of flags.
pub fn set_marks(tx: &mut WriteTx, place: Place, marks: &[(u32, String)]) -> Result<()> {
    let mut groups: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (uid, marks) in marks {
        groups.entry(marks).or_default().push(i64::from(*uid));
    }
    for (marks, uids) in groups {
        tx.execute(
            "UPDATE remote_message SET marks = $4 WHERE account = $1 AND link = $2 AND folder = $3 AND uid {in:$5}",
            params![place.account, place.link, place.folder, marks, &uids],
        )?;
    }
    Ok(())
}

/// A message whose uid was void has been recognised. One statement.
pub fn adopt(tx: &mut WriteTx, place: Place, void: i64, uid: u32, marks: &str) -> Result<()> {
    tx.execute(
        "UPDATE remote_message SET uid = $5, marks = $6
         WHERE account = $1 AND link = $2 AND folder = $3 AND uid = $4",
        params![place.account, place.link, place.folder, void, uid, marks],
    )?;
    Ok(())
}

/// Forgets messages. One statement.
pub fn forget(tx: &mut WriteTx, place: Place, uids: &[i64]) -> Result<()> {
    tx.execute(
        "DELETE FROM remote_message WHERE account = $1 AND link = $2 AND folder = $3 AND uid {in:$4}",
        params![place.account, place.link, place.folder, uids.to_vec()],
    )?;
    Ok(())
}

/// Where a message is that was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locate {
    /// In its mailbox.
    Here,
    /// Its owner moved it to another one.
    Moved,
    /// Its owner removed it.
    Removed,
}

/// What a proof needs of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// What is known of it.
    pub known: Known,
    /// Where it is.
    pub place: Locate,
    /// Its octets: `tx.blob_read`; `None` when the retention took them.
    pub blob: Option<BlobId>,
}

/// Messages of a folder from a uid on, with where their octets are. One statement.
pub fn proof(tx: &ReadTx, place: Place, from: i64, limit: usize) -> Result<Vec<Proof>> {
    let text = format!(
        "SELECT {COLUMNS}, m.blob,
             EXISTS (SELECT 1 FROM entry AS e WHERE e.account = $1 AND e.mailbox = $5 AND e.uid = r.other
                                                AND e.message = r.message),
             EXISTS (SELECT 1 FROM entry AS e {{by:entry_message}} WHERE e.account = $1 AND e.message = r.message)
         FROM remote_message AS r LEFT JOIN message AS m ON m.account = r.account AND m.id = r.message
         WHERE r.account = $1 AND r.link = $2 AND r.folder = $3 AND r.uid >= $4 ORDER BY r.uid LIMIT $6"
    );
    let params = params![place.account, place.link, place.folder, from, place.mailbox, sql::limit(limit)];
    Ok(tx.rows(&text, params, |row| {
        let place = match (row.bool(8)?, row.bool(9)?) {
            (true, _) => Locate::Here,
            (false, true) => Locate::Moved,
            (false, false) => Locate::Removed,
        };
        Ok(Proof { known: row_of(row)?, place, blob: row.int_or_null(7)?.map(BlobId) })
    })?)
}

/// The summary of a message, for naming it. One statement.
pub fn summary(tx: &ReadTx, account: AccountId, message: MessageId) -> Result<Option<Vec<u8>>> {
    let text = "SELECT summary FROM message WHERE account = $1 AND id = $2";
    Ok(tx.row(text, params![account, message], |row| row.bytes(0))?)
}
