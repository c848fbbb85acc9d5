//! Accounts elsewhere that have only POP3: where they are, when they are looked at, and what was taken from them.
//!
//! Invariants:
//! 1. A row of `remote_seen` is written in the transaction that files the message ([`file`]): after a crash both are there or
//!    neither. Only what has one with `taken` is removed at the source.
//! 2. A place is collected by one at a time, of all nodes ([`claim`]); a claim ends by itself.
//! 3. `secret` is sealed by the caller: nobody who has the database reads it.
//!
//! The rows of an account go with the account.

use std::collections::HashMap;

use postroad_store::{AccountId, ReadTx, Row, Timestamp, WriteTx, params};

use crate::{Arrival, By, Filing, MailboxId, Result, deliver, sql};

/// The tables.
pub(crate) const TABLES: &str = "
CREATE TABLE remote_collect (
    account BIGINT NOT NULL,
    id BIGINT NOT NULL,
    place {text} NOT NULL,
    secret {bytes} NOT NULL,
    ca {text},
    mailbox {text} NOT NULL,
    every BIGINT NOT NULL,
    delete_after BIGINT,
    next_at BIGINT NOT NULL,
    claimed_until BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    trouble {text},
    looked BIGINT,
    taken BIGINT NOT NULL,
    PRIMARY KEY (account, id)
) {clustered};
CREATE INDEX remote_collect_due ON remote_collect (next_at);
CREATE TABLE remote_seen (
    account BIGINT NOT NULL,
    collect BIGINT NOT NULL,
    uidl {text} NOT NULL,
    taken BIGINT NOT NULL,
    first BIGINT NOT NULL,
    listed BIGINT NOT NULL,
    PRIMARY KEY (account, collect, uidl)
) {clustered};
";

/// A place that is collected from.
#[derive(Clone, PartialEq, Eq)]
pub struct Collect {
    /// The account that the mail goes to.
    pub account: AccountId,
    /// Its number in the account.
    pub id: i64,
    /// Where: a URL without the password.
    pub place: String,
    /// The password, sealed.
    pub secret: Vec<u8>,
    /// Certificates (PEM) to verify with, in place of the system's.
    pub ca: Option<String>,
    /// The mailbox that the mail goes to.
    pub mailbox: String,
    /// Seconds between two looks.
    pub every: u32,
    /// Seconds after which what was taken is removed there; `None`: it stays.
    pub delete_after: Option<u32>,
    /// When it is looked at next.
    pub next_at: Timestamp,
    /// Looks in a row that failed.
    pub failures: u32,
    /// Why the last one failed.
    pub trouble: Option<String>,
    /// When it was last gone through.
    pub looked: Option<Timestamp>,
    /// Messages taken so far.
    pub taken: u64,
}

impl std::fmt::Debug for Collect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Collect { account, id, place, .. } = self;
        f.debug_struct("Collect")
            .field("account", account)
            .field("id", id)
            .field("place", place)
            .finish_non_exhaustive()
    }
}

/// What is known of a message there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// It is here; else it was refused, and stays there.
    pub taken: bool,
    /// When that was.
    pub first: Timestamp,
}

/// Makes a place known; `make` seals the password for its number. The number. Locks: the account's.
pub fn add(tx: &mut WriteTx, new: &Collect, seal: impl FnOnce(i64) -> Vec<u8>) -> Result<i64> {
    let id = tx.one(
        "SELECT CAST(COALESCE(max(id), 0) + 1 AS BIGINT) FROM remote_collect WHERE account = $1",
        params![new.account],
        |row| row.int(0),
    )?;
    tx.execute(
        "INSERT INTO remote_collect (account, id, place, secret, ca, mailbox, every, delete_after, next_at, claimed_until,
             failures, taken) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, 0)",
        params![
            new.account,
            id,
            &new.place,
            &seal(id),
            new.ca.as_deref(),
            &new.mailbox,
            i64::from(new.every),
            new.delete_after.map(i64::from),
            new.next_at,
        ],
    )?;
    Ok(id)
}

/// All places of an account, or of all. At most [`LIST_MAX`]. One statement.
pub fn list(tx: &ReadTx, account: Option<AccountId>) -> Result<Vec<Collect>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM remote_collect WHERE $1 = 0 OR account = $1 ORDER BY account, id LIMIT {LIST_MAX}"
    );
    Ok(tx.rows(&sql, params![account.unwrap_or(AccountId(0))], row_of)?)
}

/// Places whose time has come, of accounts that take mail, the longest waiting first. One statement.
pub fn due(tx: &ReadTx, now: Timestamp, limit: usize) -> Result<Vec<Collect>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM remote_collect AS c WHERE next_at <= $1 AND claimed_until <= $1
             AND EXISTS (SELECT 1 FROM account AS a WHERE a.id = c.account AND a.state = 'active')
         ORDER BY next_at LIMIT $2"
    );
    Ok(tx.rows(&sql, params![now, sql::limit(limit)], row_of)?)
}

/// Forgets a place with all that is known of it; the mail stays. Says whether there was one.
pub fn remove(tx: &mut WriteTx, account: AccountId, id: i64) -> Result<bool> {
    tx.execute("DELETE FROM remote_seen WHERE account = $1 AND collect = $2", params![account, id])?;
    Ok(tx.execute("DELETE FROM remote_collect WHERE account = $1 AND id = $2", params![account, id])? > 0)
}

/// Looks at the places of an account, or at all, as soon as possible. How many there are.
pub fn hurry(tx: &mut WriteTx, account: Option<AccountId>, now: Timestamp) -> Result<u64> {
    let account = account.unwrap_or(AccountId(0));
    Ok(tx.execute(
        "UPDATE remote_collect SET next_at = $2, failures = 0 WHERE $1 = 0 OR account = $1",
        params![account, now],
    )?)
}

/// Takes a place upon oneself until `until`; false when somebody else has.
pub fn claim(tx: &mut WriteTx, account: AccountId, id: i64, now: Timestamp, until: Timestamp) -> Result<bool> {
    let claimed = tx.execute(
        "UPDATE remote_collect SET claimed_until = $4
         WHERE account = $1 AND id = $2 AND claimed_until <= $3 AND next_at <= $3",
        params![account, id, now, until],
    )?;
    Ok(claimed > 0)
}

/// Makes a claim of one's own longer. Nothing when the look is over.
pub fn hold(tx: &mut WriteTx, account: AccountId, id: i64, until: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE remote_collect SET claimed_until = $3 WHERE account = $1 AND id = $2 AND claimed_until > 0",
        params![account, id, until],
    )?;
    Ok(())
}

/// Nobody looks anywhere: for the one server of a database, when it starts.
pub fn free(tx: &mut WriteTx) -> Result<()> {
    tx.execute("UPDATE remote_collect SET claimed_until = 0 WHERE claimed_until > 0", params![])?;
    Ok(())
}

/// A look is over: when the next one is, what is to be told and whether it failed, how many messages came.
pub fn looked(
    tx: &mut WriteTx,
    (account, id): (AccountId, i64),
    now: Timestamp,
    next_at: Timestamp,
    (trouble, failed): (Option<&str>, bool),
    taken: u64,
) -> Result<()> {
    tx.execute(
        "UPDATE remote_collect SET claimed_until = 0, next_at = $4, trouble = $5, taken = taken + $6,
             looked = CASE WHEN $7 = 0 THEN $3 ELSE looked END,
             failures = CASE WHEN $7 = 0 THEN 0 ELSE failures + 1 END
         WHERE account = $1 AND id = $2",
        params![account, id, now, next_at, trouble, sql::number(taken), i64::from(failed)],
    )?;
    Ok(())
}

/// What is known of a place's messages, by what they are told from others by. One statement.
pub fn seen(tx: &ReadTx, account: AccountId, id: i64) -> Result<HashMap<String, Seen>> {
    let rows = tx.rows(
        "SELECT uidl, taken, first FROM remote_seen WHERE account = $1 AND collect = $2 LIMIT $3",
        params![account, id, sql::limit(SEEN_MAX)],
        |row| Ok((row.text(0)?, Seen { taken: row.int(1)? != 0, first: Timestamp(row.int(2)?) })),
    )?;
    Ok(rows.into_iter().collect())
}

/// Files a message and remembers it, in one transaction; false when it was there already.
///
/// `Err(OverQuota | Suspended | NotFound | Limit)` has written nothing. Locks: the account's.
pub fn file(
    tx: &mut WriteTx,
    by: &By,
    (account, id): (AccountId, i64),
    mailbox: MailboxId,
    uidl: &str,
    arrival: &Arrival,
    filing: &Filing,
) -> Result<bool> {
    if !note(tx, (account, id), uidl, true, by.now)? {
        return Ok(false);
    }
    deliver::append(tx, by, account, mailbox, arrival, filing)?;
    Ok(true)
}

/// Remembers a message; false when it is remembered, or its place is gone.
pub fn note(
    tx: &mut WriteTx,
    (account, id): (AccountId, i64),
    uidl: &str,
    taken: bool,
    now: Timestamp,
) -> Result<bool> {
    let noted = tx.execute(
        "INSERT INTO remote_seen (account, collect, uidl, taken, first, listed)
         SELECT account, id, $3, $4, $5, $5 FROM remote_collect WHERE account = $1 AND id = $2
         ON CONFLICT (account, collect, uidl) DO NOTHING",
        params![account, id, uidl, i64::from(taken), now],
    )?;
    Ok(noted > 0)
}

/// These are still there; what has not been for long is forgotten.
pub fn listed(
    tx: &mut WriteTx,
    (account, id): (AccountId, i64),
    uidls: &[String],
    now: Timestamp,
    before: Timestamp,
) -> Result<()> {
    for part in uidls.chunks(PART) {
        let part: Vec<&str> = part.iter().map(String::as_str).collect();
        tx.execute(
            "UPDATE remote_seen SET listed = $3 WHERE account = $1 AND collect = $2 AND uidl {in:$4}",
            params![account, id, now, &part],
        )?;
    }
    tx.execute(
        "DELETE FROM remote_seen WHERE account = $1 AND collect = $2 AND listed < $3",
        params![account, id, before],
    )?;
    Ok(())
}

fn row_of(row: &Row<'_>) -> postroad_store::Result<Collect> {
    let seconds = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
    Ok(Collect {
        account: AccountId(row.int(0)?),
        id: row.int(1)?,
        place: row.text(2)?,
        secret: row.bytes(3)?,
        ca: row.text_or_null(4)?,
        mailbox: row.text(5)?,
        every: seconds(row.int(6)?),
        delete_after: row.int_or_null(7)?.map(seconds),
        next_at: Timestamp(row.int(8)?),
        failures: seconds(row.int(9)?),
        trouble: row.text_or_null(10)?,
        looked: row.int_or_null(11)?.map(Timestamp),
        taken: u64::try_from(row.int(12)?).unwrap_or_default(),
    })
}

const COLUMNS: &str =
    "account, id, place, secret, ca, mailbox, every, delete_after, next_at, failures, trouble, looked, taken";
/// Places in a list.
pub const LIST_MAX: usize = 10_000;
/// Messages of a place that are known.
pub const SEEN_MAX: usize = 1_000_000;
const PART: usize = 1_000;
