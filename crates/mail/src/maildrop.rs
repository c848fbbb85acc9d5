//! What POP3 keeps of an account: when its maildrop was last opened, who has it open alone, and what was fetched from it.
//!
//! 1. A maildrop that one session has alone is a lease: who is gone without a word has it until its time is over.
//! 2. What was fetched counts from the first time. What is removed for that lies where everything lies that was removed.
//!
//! What it never does: decide whether there are such policies; that is for settings.
//!
//! Standards: RFC 2449 §6.5 (LOGIN-DELAY), §6.7 (EXPIRE), §8.1.1 (IN-USE).

use postroad_store::{AccountId, ReadTx, Timestamp, WriteTx, params};

use crate::{By, Error, MailboxId, Result, UidSet, expunge, sql};

/// `holder` is 0 when nobody has the maildrop alone. `pop3_fetched` has a row for each message that was fetched as a whole by
/// a session that ended with QUIT; rows of messages that went another way stay until their time.
pub(crate) const TABLES: &str = "
CREATE TABLE pop3_maildrop (
    account BIGINT NOT NULL,
    opened BIGINT NOT NULL,
    holder BIGINT NOT NULL,
    held_until BIGINT NOT NULL,
    PRIMARY KEY (account)
);
CREATE TABLE pop3_fetched (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    uid BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (account, mailbox, uid)
) {clustered};
CREATE INDEX pop3_fetched_at ON pop3_fetched (account, at);
";

/// On what terms maildrops are opened, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The least between two openings; 0 for none.
    pub interval: i64,
    /// For how long one session has it alone unless it says more; `None`: several sessions may have it.
    pub lease: Option<i64>,
}

/// The right to a maildrop that one session has alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder(i64);

/// What became of an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It is open; with the right, where there is one.
    Open(Option<Holder>),
    /// The last opening was too short a while ago.
    TooSoon,
    /// Another session has it alone.
    InUse,
}

/// Opens a maildrop, or says why not; only an opening counts for the interval. Locks: the account's. Two statements.
pub fn open(tx: &mut WriteTx, account: AccountId, now: Timestamp, terms: Terms) -> Result<Opened> {
    let row =
        tx.row("SELECT opened, holder, held_until FROM pop3_maildrop WHERE account = $1", params![account], |row| {
            Ok((row.int(0)?, row.int(1)?, row.int(2)?))
        })?;
    if let Some((opened, holder, held_until)) = row {
        if terms.lease.is_some() && holder != 0 && now.0 < held_until {
            return Ok(Opened::InUse);
        }
        // A time to come is another node's clock.
        if (opened..opened.saturating_add(terms.interval)).contains(&now.0) {
            return Ok(Opened::TooSoon);
        }
    }
    let holder = terms.lease.map(|_| random()).transpose()?;
    let until = terms.lease.map_or(0, |lease| now.0.saturating_add(lease));
    tx.execute(
        "INSERT INTO pop3_maildrop (account, opened, holder, held_until) VALUES ($1, $2, $3, $4)
         ON CONFLICT (account) DO UPDATE SET opened = $2, holder = $3, held_until = $4",
        params![account, now, holder.unwrap_or(0), until],
    )?;
    Ok(Opened::Open(holder.map(Holder)))
}

fn random() -> Result<i64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::Store(postroad_store::Error::Temporary(format!("no random numbers: {error}"))))?;
    Ok(i64::from_le_bytes(bytes) | 1)
}

/// Has the maildrop alone for longer; `false` when somebody else has it by now. Locks: the account's.
pub fn hold(tx: &mut WriteTx, account: AccountId, holder: Holder, until: Timestamp) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE pop3_maildrop SET held_until = $3 WHERE account = $1 AND holder = $2",
        params![account, holder.0, until],
    )?;
    Ok(changed > 0)
}

/// Has it no longer. Locks: the account's.
pub fn release(tx: &mut WriteTx, account: AccountId, holder: Holder) -> Result<()> {
    tx.execute(
        "UPDATE pop3_maildrop SET holder = 0, held_until = 0 WHERE account = $1 AND holder = $2",
        params![account, holder.0],
    )?;
    Ok(())
}

/// Notes that messages were fetched. Locks: the account's.
pub fn fetched(tx: &mut WriteTx, account: AccountId, mailbox: MailboxId, uids: &UidSet, now: Timestamp) -> Result<()> {
    let rows: Vec<_> =
        uids.iter().map(|uid| [account.into(), mailbox.into(), i64::from(uid).into(), now.into()]).collect();
    for rows in rows.chunks(BATCH) {
        tx.insert_rows(
            "INSERT INTO pop3_fetched (account, mailbox, uid, at)",
            rows,
            "ON CONFLICT (account, mailbox, uid) DO NOTHING",
        )?;
    }
    Ok(())
}

/// Accounts with messages that were fetched before `before`.
pub fn due(tx: &ReadTx, before: Timestamp, limit: usize) -> Result<Vec<AccountId>> {
    let accounts = tx.rows(
        "SELECT a.id FROM account AS a
         WHERE EXISTS (SELECT 1 FROM pop3_fetched AS f WHERE f.account = a.id AND f.at < $1)
         ORDER BY a.id LIMIT $2",
        params![before, sql::limit(limit)],
        |row| row.id(0),
    )?;
    Ok(accounts)
}

/// Removes messages that were fetched before `before`, the oldest of them; whether there are more. Locks: the account's.
pub fn expire(tx: &mut WriteTx, by: &By, account: AccountId, before: Timestamp) -> Result<bool> {
    let batch = tx.rows(
        "SELECT mailbox, uid FROM pop3_fetched WHERE account = $1 AND at < $2 ORDER BY at, mailbox, uid LIMIT $3",
        params![account, before, sql::limit(BATCH)],
        |row| Ok((row.int(0)?, sql::small(row, 1)?)),
    )?;
    let Some((mailbox, _)) = batch.first().copied() else { return Ok(false) };
    let here: Vec<u32> = batch.iter().filter(|(other, _)| *other == mailbox).map(|(_, uid)| *uid).collect();
    let uids: UidSet = here.iter().copied().collect();
    expunge::remove(tx, by, account, MailboxId(mailbox), &uids)?;
    let uids: Vec<i64> = here.iter().map(|uid| i64::from(*uid)).collect();
    tx.execute(
        "DELETE FROM pop3_fetched WHERE account = $1 AND mailbox = $2 AND uid {in:$3}",
        params![account, mailbox, &uids],
    )?;
    Ok(batch.len() == BATCH || here.len() < batch.len())
}

/// Rows written, and messages removed, at once.
const BATCH: usize = 1_000;
