//! How fast mail goes, and from where: limits for destinations and their hosts, the addresses of ours that it leaves from,
//! and what is remembered of both. Who sends carries them out; here is what they are.
//!
//! 1. A [`Limit`] is for a pattern: a domain or the name of a host as it is, or all hosts below a name, `.google.com`. What an
//!    administrator set comes before what is built in, the longer pattern before the shorter.
//! 2. An [`Egress`] is an address of ours in a pool. A [`Choice`] says whose mail, or mail to whom, leaves from which pool;
//!    what nothing is said of leaves from [`DEFAULT_POOL`], and where that is empty, as the settings say.
//! 3. What is counted and learned ([`Noted`]) is written now and then by who sends, for the next start, the other nodes and
//!    people who look: a crash forgets a few seconds of it.

use std::net::IpAddr;

use postroad_store::{Migration, ReadTx, Row, Timestamp, WriteTx, params};

use crate::Result;

/// Rules, addresses, and what is remembered.
pub(crate) const V1: Migration = Migration {
    owner: "shaping",
    version: 1,
    sql: "
CREATE TABLE shaping_limit (
    pattern {text} PRIMARY KEY,
    connections BIGINT,
    per_connection BIGINT,
    per_minute BIGINT,
    recipients BIGINT
);
CREATE TABLE shaping_egress (
    address {text} PRIMARY KEY,
    pool {text} NOT NULL,
    weight BIGINT NOT NULL,
    helo {text},
    warm_since BIGINT,
    added BIGINT NOT NULL
);
CREATE TABLE shaping_choice (
    kind {text} NOT NULL,
    name {text} NOT NULL,
    pool {text} NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE TABLE shaping_noted (
    egress {text} NOT NULL,
    hosts {text} NOT NULL,
    day BIGINT NOT NULL,
    sent BIGINT NOT NULL,
    rest_until BIGINT NOT NULL,
    why {text},
    touched BIGINT NOT NULL,
    PRIMARY KEY (egress, hosts)
);
CREATE INDEX shaping_noted_touched ON shaping_noted (touched);
",
};

/// The pool of mail that nothing is said of.
pub const DEFAULT_POOL: &str = "default";
/// What is noted of no address in particular: of what mail leaves from where the system chooses.
pub const ANY_EGRESS: &str = "";

/// How much at once, for a domain or for hosts. What is `None` is as the settings say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// A domain or the name of a host, or `.` and the end of names of hosts.
    pub pattern: String,
    /// Connections of this server to all of them together.
    pub connections: Option<u32>,
    /// Messages on one connection.
    pub per_connection: Option<u32>,
    /// Messages in a minute.
    pub per_minute: Option<u32>,
    /// Recipients of one message.
    pub recipients: Option<u32>,
}

/// An address that mail leaves from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    /// One of this machine's.
    pub address: IpAddr,
    /// The pool that it belongs to.
    pub pool: String,
    /// Its share of the pool's mail; 0: none.
    pub weight: u32,
    /// The name in EHLO; without one that of the settings.
    pub helo: Option<String>,
    /// It is new, and begins slowly, since then.
    pub warm_since: Option<Timestamp>,
    /// When it was added.
    pub added: Timestamp,
}

/// By what a pool is chosen; the first that fits, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// The domain that mail goes to.
    Destination,
    /// The address of the sender: that is, the account.
    Sender,
    /// The domain of the sender.
    Domain,
}

impl By {
    /// All, in the order in which they are asked.
    pub const ALL: [By; 3] = [By::Destination, By::Sender, By::Domain];

    /// As it is stored and typed.
    pub fn name(self) -> &'static str {
        match self {
            By::Destination => "destination",
            By::Sender => "sender",
            By::Domain => "domain",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<By> {
        By::ALL.into_iter().find(|by| by.name() == name)
    }
}

/// Which pool is for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// By what.
    pub by: By,
    /// A domain or an address, in lower case.
    pub name: String,
    /// The pool.
    pub pool: String,
}

/// What is remembered of an address of ours and some hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// The address, or [`ANY_EGRESS`].
    pub egress: String,
    /// The pattern of the limit that they have, or the name of the host.
    pub hosts: String,
    /// The day of `sent`: days since 1970, UTC.
    pub day: i64,
    /// Messages on that day.
    pub sent: u64,
    /// Nothing goes before.
    pub rest_until: Timestamp,
    /// Why not, or why it goes slowly.
    pub why: Option<String>,
}

/// What who sends goes by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Those that were set.
    pub limits: Vec<Limit>,
    /// All addresses.
    pub egress: Vec<Egress>,
    /// All choices.
    pub choices: Vec<Choice>,
}

/// All rules: three statements over small tables, two of them only where there are addresses.
pub fn rules(tx: &ReadTx) -> Result<Rules> {
    let egress = egress(tx)?;
    let choices = if egress.is_empty() { Vec::new() } else { choices(tx)? };
    Ok(Rules { limits: limits(tx)?, egress, choices })
}

/// The limits that were set, by pattern.
pub fn limits(tx: &ReadTx) -> Result<Vec<Limit>> {
    let sql = "SELECT pattern, connections, per_connection, per_minute, recipients FROM shaping_limit
               ORDER BY pattern LIMIT $1";
    Ok(tx.rows(sql, params![RULES_MAX], |row| {
        let number = |at| Ok::<_, postroad_store::Error>(row.int_or_null(at)?.and_then(|n| u32::try_from(n).ok()));
        Ok(Limit {
            pattern: row.text(0)?,
            connections: number(1)?,
            per_connection: number(2)?,
            per_minute: number(3)?,
            recipients: number(4)?,
        })
    })?)
}

/// Sets the limit of its pattern, in place of what there was.
pub fn set_limit(tx: &mut WriteTx, limit: &Limit) -> Result<()> {
    let number = |value: Option<u32>| value.map(i64::from);
    tx.execute(
        "INSERT INTO shaping_limit (pattern, connections, per_connection, per_minute, recipients)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (pattern) DO UPDATE SET connections = excluded.connections,
            per_connection = excluded.per_connection, per_minute = excluded.per_minute,
            recipients = excluded.recipients",
        params![
            &limit.pattern,
            number(limit.connections),
            number(limit.per_connection),
            number(limit.per_minute),
            number(limit.recipients),
        ],
    )?;
    crate::news(tx);
    Ok(())
}

/// Removes a limit that was set; a built-in one holds again. Says whether there was one.
pub fn remove_limit(tx: &mut WriteTx, pattern: &str) -> Result<bool> {
    crate::news(tx);
    Ok(tx.execute("DELETE FROM shaping_limit WHERE pattern = $1", params![pattern])? > 0)
}

/// All addresses, by pool. One that cannot be read is left out: it came from a hand that we do not know.
pub fn egress(tx: &ReadTx) -> Result<Vec<Egress>> {
    let sql =
        "SELECT address, pool, weight, helo, warm_since, added FROM shaping_egress ORDER BY pool, address LIMIT $1";
    let rows = tx.rows(sql, params![RULES_MAX], |row: &Row<'_>| {
        let Ok(address) = row.text(0)?.parse() else { return Ok(None) };
        Ok(Some(Egress {
            address,
            pool: row.text(1)?,
            weight: u32::try_from(row.int(2)?).unwrap_or(0),
            helo: row.text_or_null(3)?,
            warm_since: row.int_or_null(4)?.map(Timestamp),
            added: row.id(5)?,
        }))
    })?;
    Ok(rows.into_iter().flatten().collect())
}

/// Adds an address, or changes it.
pub fn set_egress(tx: &mut WriteTx, egress: &Egress) -> Result<()> {
    tx.execute(
        "INSERT INTO shaping_egress (address, pool, weight, helo, warm_since, added) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (address) DO UPDATE SET pool = excluded.pool, weight = excluded.weight, helo = excluded.helo,
            warm_since = excluded.warm_since",
        params![
            &egress.address.to_string(),
            &egress.pool,
            i64::from(egress.weight),
            egress.helo.as_deref(),
            egress.warm_since,
            egress.added,
        ],
    )?;
    crate::news(tx);
    Ok(())
}

/// Mail leaves from there no more; what was remembered of it goes. Says whether there was one.
pub fn remove_egress(tx: &mut WriteTx, address: IpAddr) -> Result<bool> {
    let address = address.to_string();
    tx.execute("DELETE FROM shaping_noted WHERE egress = $1", params![&address])?;
    crate::news(tx);
    Ok(tx.execute("DELETE FROM shaping_egress WHERE address = $1", params![&address])? > 0)
}

/// Which pool is for whom.
pub fn choices(tx: &ReadTx) -> Result<Vec<Choice>> {
    let sql = "SELECT kind, name, pool FROM shaping_choice ORDER BY kind, name LIMIT $1";
    let rows = tx.rows(sql, params![RULES_MAX], |row| {
        let Some(by) = By::from_name(&row.text(0)?) else { return Ok(None) };
        Ok(Some(Choice { by, name: row.text(1)?, pool: row.text(2)? }))
    })?;
    Ok(rows.into_iter().flatten().collect())
}

/// Chooses a pool; an empty one takes the choice back.
pub fn set_choice(tx: &mut WriteTx, choice: &Choice) -> Result<()> {
    let (by, name) = (choice.by.name(), choice.name.to_lowercase());
    tx.execute("DELETE FROM shaping_choice WHERE kind = $1 AND name = $2", params![by, &name])?;
    if !choice.pool.is_empty() {
        tx.execute(
            "INSERT INTO shaping_choice (kind, name, pool) VALUES ($1, $2, $3)",
            params![by, &name, &choice.pool],
        )?;
    }
    crate::news(tx);
    Ok(())
}

/// What is remembered, by address and hosts.
pub fn noted(tx: &ReadTx) -> Result<Vec<Noted>> {
    let sql = "SELECT egress, hosts, day, sent, rest_until, why FROM shaping_noted ORDER BY egress, hosts LIMIT $1";
    Ok(tx.rows(sql, params![NOTED_MAX], |row| {
        Ok(Noted {
            egress: row.text(0)?,
            hosts: row.text(1)?,
            day: row.int(2)?,
            sent: row.int(3)?.unsigned_abs(),
            rest_until: row.id(4)?,
            why: row.text_or_null(5)?,
        })
    })?)
}

/// Adds to what is remembered: `sent` is how many more went since it was said last, so that several nodes add up.
pub fn note(tx: &mut WriteTx, noted: &[Noted], now: Timestamp) -> Result<()> {
    for one in noted {
        tx.execute(
            "INSERT INTO shaping_noted (egress, hosts, day, sent, rest_until, why, touched)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (egress, hosts) DO UPDATE SET
                sent = CASE WHEN shaping_noted.day = excluded.day THEN shaping_noted.sent + excluded.sent
                            ELSE excluded.sent END,
                day = excluded.day, rest_until = excluded.rest_until, why = excluded.why, touched = excluded.touched",
            params![
                &one.egress,
                &one.hosts,
                one.day,
                i64::try_from(one.sent).unwrap_or(i64::MAX),
                one.rest_until,
                one.why.as_deref().map(crate::storable).as_deref(),
                now,
            ],
        )?;
    }
    let old = now.minus(REMEMBERED);
    tx.execute("DELETE FROM shaping_noted WHERE touched < $1", params![old])?;
    Ok(())
}

/// Rules and addresses that are read.
const RULES_MAX: i64 = 10_000;
/// What is remembered at most that is read.
const NOTED_MAX: i64 = 10_000;
/// What was not touched for so long is forgotten.
const REMEMBERED: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 60 * 60);
