//! Clients that are shut out, and clients that logged in with success.
//!
//! Invariants:
//! 1. A network has one row. A row without an end holds until somebody takes it back; one with an end stays for [`REMEMBER`]
//!    after it, so that who comes back is shut out for longer: twice as long each time, up to a limit.
//! 2. What an administrator wrote is not changed by counting.
//! 3. Whoever takes a ban back takes its history with it.
//! 4. Each change is published at COMMIT under [`NEWS`]: all servers that share the store hear of it.

use std::time::Duration;

use postroad_store::{AccountId, Migration, ModSeq, ReadTx, Result, Timestamp, WriteTx, new_id, params};

/// The tables of this module.
pub const MIGRATION: Migration = Migration { owner: "bans", version: 1, sql: V1 };

/// `ends` is NULL for good; `by_hand` is 1 for what an administrator wrote. `ban_welcome` has who logged in.
const V1: &str = "
CREATE TABLE ban (
    network {text} PRIMARY KEY,
    reason {text} NOT NULL,
    detail {text} NOT NULL,
    since BIGINT NOT NULL,
    ends BIGINT,
    times BIGINT NOT NULL,
    by_hand BIGINT NOT NULL
);
CREATE INDEX ban_ends ON ban (ends);
CREATE TABLE ban_welcome (
    network {text} PRIMARY KEY,
    seen BIGINT NOT NULL
);
CREATE INDEX ban_welcome_seen ON ban_welcome (seen);
";

/// Changes are heard here: `store.hub().subscribe(NEWS)`.
pub const NEWS: AccountId = AccountId(-554);
/// All changes wait for each other under this name.
pub const LOCK: &str = "bans";
/// What is over is remembered for so long.
pub const REMEMBER: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Rows that are read; the newest count.
pub const MAX_BANS: usize = 100_000;
/// Clients that are read.
pub const MAX_WELCOME: usize = 65_536;

/// Somebody who is shut out, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// In CIDR notation, as the program prints it.
    pub network: String,
    /// One word: `passwords`, `recipients`, `protocol`, or `administrator`.
    pub reason: String,
    /// The last straw, or what the administrator wrote.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` for good.
    pub ends: Option<Timestamp>,
    /// How often so far.
    pub times: i64,
    /// An administrator wrote it.
    pub by_hand: bool,
}

impl Ban {
    /// Whether it holds.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.ends.is_none_or(|ends| now < ends)
    }
}

/// How long somebody is shut out who was counted.
#[derive(Debug, Clone, Copy)]
pub struct Lengths {
    /// For the first time.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

impl Lengths {
    /// For this time: doubled with each.
    pub fn of(&self, times: i64) -> Duration {
        let doublings = u32::try_from(times.clamp(1, 32) - 1).unwrap_or(31);
        self.first.saturating_mul(2u32.saturating_pow(doublings)).min(self.longest)
    }
}

/// Somebody was counted: they are out from `now` on. `None`, with nothing changed, when they are out already: another server was
/// quicker, or an administrator. Locks: [`LOCK`].
pub fn count(
    tx: &mut WriteTx,
    network: &str,
    reason: &str,
    detail: &str,
    lengths: Lengths,
    now: Timestamp,
) -> Result<Option<Ban>> {
    let before = one(tx, network)?;
    if before.as_ref().is_some_and(|ban| ban.holds(now)) {
        return Ok(None);
    }
    let times = before.map_or(1, |ban| ban.times.saturating_add(1));
    let ban = Ban {
        network: network.into(),
        reason: reason.into(),
        detail: detail.into(),
        since: now,
        ends: Some(now.plus(lengths.of(times))),
        times,
        by_hand: false,
    };
    put(tx, &ban)?;
    Ok(Some(ban))
}

/// An administrator shuts somebody out, until then or for good; what was before is replaced. Locks: [`LOCK`].
pub fn add(tx: &mut WriteTx, network: &str, why: &str, ends: Option<Timestamp>, now: Timestamp) -> Result<()> {
    put(
        tx,
        &Ban {
            network: network.into(),
            reason: "administrator".into(),
            detail: why.into(),
            since: now,
            ends,
            times: 1,
            by_hand: true,
        },
    )
}

fn put(tx: &mut WriteTx, ban: &Ban) -> Result<()> {
    tx.execute(
        "INSERT INTO ban (network, reason, detail, since, ends, times, by_hand) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (network) DO UPDATE SET reason = excluded.reason, detail = excluded.detail, since = excluded.since,
         ends = excluded.ends, times = excluded.times, by_hand = excluded.by_hand",
        params![
            ban.network.as_str(),
            ban.reason.as_str(),
            ban.detail.as_str(),
            ban.since,
            ban.ends.map(|ends| ends.0),
            ban.times,
            i64::from(ban.by_hand)
        ],
    )?;
    publish(tx);
    Ok(())
}

/// Takes a ban back, with its history. Says whether there was one. Locks: [`LOCK`].
pub fn lift(tx: &mut WriteTx, network: &str) -> Result<bool> {
    let gone = tx.execute("DELETE FROM ban WHERE network = $1", params![network])?;
    publish(tx);
    Ok(gone > 0)
}

/// What is known of a network.
pub fn one(tx: &ReadTx, network: &str) -> Result<Option<Ban>> {
    tx.row(&format!("SELECT {COLUMNS} FROM ban WHERE network = $1"), params![network], ban)
}

/// Those who are out now, the newest first.
pub fn held(tx: &ReadTx, now: Timestamp) -> Result<Vec<Ban>> {
    let sql =
        format!("SELECT {COLUMNS} FROM ban WHERE ends IS NULL OR ends > $1 ORDER BY since DESC, network LIMIT $2");
    tx.rows(&sql, params![now, i64::try_from(MAX_BANS).unwrap_or(i64::MAX)], ban)
}

/// A client logged in with success. Nobody is told: other servers read it in their time.
pub fn welcome(tx: &mut WriteTx, network: &str, now: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO ban_welcome (network, seen) VALUES ($1, $2) ON CONFLICT (network) DO UPDATE SET seen = excluded.seen",
        params![network, now],
    )?;
    Ok(())
}

/// Clients that logged in with success since then, and when last.
pub fn welcomed(tx: &ReadTx, since: Timestamp) -> Result<Vec<(String, Timestamp)>> {
    tx.rows(
        "SELECT network, seen FROM ban_welcome WHERE seen > $1 ORDER BY seen DESC LIMIT $2",
        params![since, i64::try_from(MAX_WELCOME).unwrap_or(i64::MAX)],
        |row| Ok((row.text(0)?, row.id(1)?)),
    )
}

/// Forgets what was over before [`REMEMBER`], and logins as old. Answers how many rows went.
pub fn sweep(tx: &mut WriteTx, now: Timestamp) -> Result<u64> {
    let before = now.0 - i64::try_from(REMEMBER.as_micros()).unwrap_or(i64::MAX);
    let bans = tx.execute("DELETE FROM ban WHERE ends < $1", params![before])?;
    Ok(bans + tx.execute("DELETE FROM ban_welcome WHERE seen < $1", params![before])?)
}

fn publish(tx: &mut WriteTx) {
    tx.publish(NEWS, ModSeq(new_id()));
}

fn ban(row: &postroad_store::Row<'_>) -> Result<Ban> {
    Ok(Ban {
        network: row.text(0)?,
        reason: row.text(1)?,
        detail: row.text(2)?,
        since: row.id(3)?,
        ends: row.int_or_null(4)?.map(Timestamp),
        times: row.int(5)?,
        by_hand: row.int(6)? != 0,
    })
}

const COLUMNS: &str = "network, reason, detail, since, ends, times, by_hand";
