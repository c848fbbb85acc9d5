//! Annotations of mailboxes and of an account as a whole (RFC 5464): entries with values, shared or private.
//!
//! Invariants: 1. A private entry is seen by nobody but whoever set it; also a delegate has private entries at a mailbox of
//! somebody else. They are stored under the delegate's address, as rights are (a backup comes back where numbers mean
//! somebody else), the owner's own under no name. 2. Entries of a mailbox stay when it is renamed and go with it; a new one that takes INBOX's messages has a copy of INBOX's. 3. All
//! that an account's mailboxes have, private entries of others too, counts against one limit of the account
//! ([`crate::quota`]). 4. Each change is an operation of the account, so whoever listens hears of it.
//!
//! Transitions: [`set`], [`add`] (what a restore brings back), `copy`, `forget_mailboxes`, `forget_account`, `forget_grantee`.
//!
//! What it never does: know what an entry means, or look at rights.

mod changes;

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postroad_store::{AccountId, ModSeq, Param, ReadTx, Row, WriteTx, params};

pub use changes::{Changed, Heard, SPECIAL_USE, changed_by, changes};

use crate::acl::{self, Who};
use crate::journal::{self, Note, Operation};
use crate::{Address, Bound, By, Error, MailboxId, Result, quota, sql};

/// Longest value, in octets.
pub const MAX_VALUE: usize = 32 * 1024;
/// Most entries of one mailbox, and of an account itself: those of all its users together.
pub const MAX_ENTRIES: usize = 500;

/// `mailbox` 0 is the account itself. `whose`: empty for shared entries, [`OWNER`] for the private ones of the account,
/// otherwise the address of whoever has them. `entry` is the path behind `/shared` or `/private` in small letters; `octets`
/// is what it counts.
pub(crate) const TABLES: &str = "
CREATE TABLE metadata (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    whose {text} NOT NULL,
    entry {text} NOT NULL,
    value {bytes} NOT NULL,
    octets BIGINT NOT NULL,
    PRIMARY KEY (account, mailbox, whose, entry)
) {clustered};
CREATE INDEX metadata_whose ON metadata (whose, account, mailbox);
";

/// Whose the private entries of the account itself are: no address.
const OWNER: &str = ".";

/// What has annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The account.
    pub account: AccountId,
    /// Its mailbox; `None`: the account itself.
    pub mailbox: Option<MailboxId>,
}

impl Place {
    fn number(self) -> i64 {
        self.mailbox.map_or(0, |mailbox| mailbox.0)
    }
}

/// An entry's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// Nobody else sees it.
    pub private: bool,
    /// The path behind `/private` or `/shared`, in small letters, with a slash before it.
    pub path: String,
}

/// An entry with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Its name.
    pub entry: Entry,
    /// Its value: any octets.
    pub value: Vec<u8>,
}

/// A row of the table for this place, in a backup: whose, path, value.
pub type Kept = (String, String, Vec<u8>);

fn whose(who: &Who, account: AccountId) -> &str {
    if who.account() == account { OWNER } else { who.address() }
}

fn annotation(row: &Row<'_>) -> postroad_store::Result<Annotation> {
    let entry = Entry { private: !row.text(0)?.is_empty(), path: row.text(1)? };
    Ok(Annotation { entry, value: row.bytes(2)? })
}

/// All that somebody sees at a place, shared entries first, by path. One statement.
pub fn all(tx: &ReadTx, place: Place, who: &Who) -> Result<Vec<Annotation>> {
    let rows = tx.rows(
        "SELECT whose, entry, value FROM metadata
         WHERE account = $1 AND mailbox = $2 AND whose IN ('', $3) ORDER BY whose, entry",
        params![place.account, place.number(), whose(who, place.account)],
        annotation,
    )?;
    Ok(rows)
}

/// Entries with one of these paths, shared and private. One statement.
pub fn named(tx: &ReadTx, place: Place, who: &Who, paths: &[&str]) -> Result<Vec<Annotation>> {
    let rows = tx.rows(
        "SELECT whose, entry, value FROM metadata
         WHERE account = $1 AND mailbox = $2 AND whose IN ('', $3) AND entry {in:$4}",
        params![place.account, place.number(), whose(who, place.account), paths.to_vec()],
        annotation,
    )?;
    Ok(rows)
}

/// The same for all mailboxes of an account together. One statement.
pub fn of_mailboxes(
    tx: &ReadTx,
    account: AccountId,
    who: &Who,
    paths: &[&str],
) -> Result<HashMap<MailboxId, Vec<Annotation>>> {
    let rows = tx.rows(
        "SELECT whose, entry, value, mailbox FROM metadata
         WHERE account = $1 AND mailbox > 0 AND whose IN ('', $2) AND entry {in:$3}",
        params![account, whose(who, account), paths.to_vec()],
        |row| Ok((row.id(3)?, annotation(row)?)),
    )?;
    let mut all: HashMap<MailboxId, Vec<Annotation>> = HashMap::new();
    for (mailbox, annotation) in rows {
        all.entry(mailbox).or_default().push(annotation);
    }
    Ok(all)
}

/// Gives entries values, or takes them away (`None`); all or nothing. Answers with the operation, or `None` when nothing
/// changed. Six statements. Locks: the account's.
///
/// Errors: `Limit(Annotation)` for a value that is too long, `Limit(Annotations)`, `OverQuota`: nothing was written.
pub fn set(
    tx: &mut WriteTx,
    by: &By,
    place: Place,
    who: &Who,
    values: &[(Entry, Option<Vec<u8>>)],
) -> Result<Option<ModSeq>> {
    let own = whose(who, place.account);
    let paths: Vec<&str> = values.iter().map(|(entry, _)| entry.path.as_str()).collect();
    let there: HashMap<Entry, Vec<u8>> =
        named(tx, place, who, &paths)?.into_iter().map(|old| (old.entry, old.value)).collect();
    let news: Vec<New<'_>> = values
        .iter()
        .map(|(entry, value)| New {
            whose: if entry.private { own } else { "" },
            path: &entry.path,
            old: there.get(entry).map(Vec::as_slice),
            new: value.as_deref(),
        })
        .filter(|new| new.old != new.new)
        .collect();
    write(tx, by, place, &news)
}

/// Adds the entries that a place does not have. Six statements. Locks: the account's.
///
/// Errors: as [`set`].
pub fn add(tx: &mut WriteTx, by: &By, place: Place, kept: &[Kept]) -> Result<Option<ModSeq>> {
    let there = tx.rows(
        "SELECT whose, entry FROM metadata WHERE account = $1 AND mailbox = $2",
        params![place.account, place.number()],
        |row| Ok((row.text(0)?, row.text(1)?)),
    )?;
    let news: Vec<New<'_>> = kept
        .iter()
        .filter(|(whose, path, _)| !there.iter().any(|(other, entry)| other == whose && entry == path))
        .map(|(whose, path, value)| New { whose, path, old: None, new: Some(value) })
        .collect();
    write(tx, by, place, &news)
}

/// A value that becomes another.
struct New<'a> {
    whose: &'a str,
    path: &'a str,
    old: Option<&'a [u8]>,
    new: Option<&'a [u8]>,
}

fn write(tx: &mut WriteTx, by: &By, place: Place, news: &[New<'_>]) -> Result<Option<ModSeq>> {
    if news.is_empty() {
        return Ok(None);
    }
    admit(tx, place, news)?;
    let modseq = journal::begin(tx, place.account)?;
    for whose in ["", news.iter().map(|new| new.whose).find(|whose| !whose.is_empty()).unwrap_or_default()] {
        let gone: Vec<&str> =
            news.iter().filter(|new| new.whose == whose && new.old.is_some()).map(|new| new.path).collect();
        if !gone.is_empty() {
            tx.execute(
                "DELETE FROM metadata WHERE account = $1 AND mailbox = $2 AND whose = $3 AND entry {in:$4}",
                params![place.account, place.number(), whose, gone],
            )?;
        }
    }
    let rows: Vec<[Param<'_>; 6]> = news
        .iter()
        .filter_map(|new| {
            let value = new.new?;
            Some([
                place.account.into(),
                place.number().into(),
                new.whose.into(),
                new.path.into(),
                value.into(),
                octets(new.path, value).into(),
            ])
        })
        .collect();
    tx.insert_rows("INSERT INTO metadata (account, mailbox, whose, entry, value, octets)", &rows, "")?;
    let before: String = news.iter().map(line).collect();
    let note = Note { mailbox: place.mailbox, before: before.as_bytes(), ..Note::plain(Operation::Metadata) };
    journal::end(tx, by, place.account, modseq, &note)?;
    Ok(Some(modseq))
}

/// What was before: whose, path, and the value in base64, or `-` where there was none.
fn line(new: &New<'_>) -> String {
    let old = new.old.map_or_else(|| "-".to_owned(), |old| STANDARD.encode(old));
    format!("{}\t{}\t{old}\n", new.whose, new.path)
}

/// Whether there is room. Three statements.
fn admit(tx: &ReadTx, place: Place, news: &[New<'_>]) -> Result<()> {
    if news.iter().any(|new| new.new.is_some_and(|value| value.len() > MAX_VALUE)) {
        return Err(Error::Limit(Bound::Annotation));
    }
    let (mut more, mut grows) = (0, 0);
    for new in news {
        more += i64::from(new.new.is_some()) - i64::from(new.old.is_some());
        grows += new.new.map_or(0, |value| octets(new.path, value)) - new.old.map_or(0, |old| octets(new.path, old));
    }
    if more > 0 {
        let count = tx.one(
            "SELECT CAST(count(*) AS BIGINT) FROM metadata WHERE account = $1 AND mailbox = $2",
            params![place.account, place.number()],
            |row| row.int(0),
        )?;
        if count.saturating_add(more) > sql::limit(MAX_ENTRIES) {
            return Err(Error::Limit(Bound::Annotations));
        }
    }
    if grows > 0 {
        let room = sql::number(quota::annotations_max(tx, place.account)?);
        if used(tx, place.account)?.saturating_add(grows) > room {
            return Err(Error::OverQuota);
        }
    }
    Ok(())
}

fn octets(path: &str, value: &[u8]) -> i64 {
    sql::limit(path.len() + value.len())
}

/// What all entries of an account count. One statement.
pub(crate) fn used(tx: &ReadTx, account: AccountId) -> Result<i64> {
    let text = "SELECT CAST(COALESCE(sum(octets), 0) AS BIGINT) FROM metadata WHERE account = $1";
    Ok(tx.one(text, params![account], |row| row.int(0))?)
}

/// The entries go with their mailboxes. One statement.
pub(crate) fn forget_mailboxes(tx: &mut WriteTx, account: AccountId, mailboxes: &[i64]) -> Result<()> {
    tx.execute("DELETE FROM metadata WHERE account = $1 AND mailbox {in:$2}", params![account, &mailboxes.to_vec()])?;
    Ok(())
}

/// A new mailbox gets the entries of another, private ones of all users too (RFC 5464 §4.1, RENAME of INBOX). Four
/// statements.
///
/// Errors: `OverQuota`.
pub(crate) fn copy(tx: &mut WriteTx, account: AccountId, from: MailboxId, to: MailboxId) -> Result<()> {
    let text = "SELECT CAST(COALESCE(sum(octets), 0) AS BIGINT) FROM metadata WHERE account = $1 AND mailbox = $2";
    let more = tx.one(text, params![account, from], |row| row.int(0))?;
    if more == 0 {
        return Ok(());
    }
    let room = sql::number(quota::annotations_max(tx, account)?);
    if used(tx, account)?.saturating_add(more) > room {
        return Err(Error::OverQuota);
    }
    tx.execute(
        "INSERT INTO metadata (account, mailbox, whose, entry, value, octets)
         SELECT account, CAST($3 AS BIGINT), whose, entry, value, octets FROM metadata WHERE account = $1 AND mailbox = $2",
        params![account, from, to],
    )?;
    Ok(())
}

/// Whoever gets this address next sees none of the private entries of whoever had it. One statement.
pub(crate) fn forget_grantee(tx: &mut WriteTx, address: &Address) -> Result<()> {
    let name = acl::name_of(address);
    tx.execute("DELETE FROM metadata WHERE whose = $1", params![&name])?;
    Ok(())
}
