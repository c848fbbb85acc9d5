//! The secrets under which senders of forwarded mail are rewritten (SRS), and senders that are too long for that.
//!
//! Invariants: the newest secret signs; an older one is known for as long as an address that it signed may come back. A
//! secret belongs to the installation: all nodes that share a database share it, and backups carry it.

use std::time::Duration;

use postroad_store::{Migration, ReadTx, Result, Timestamp, WriteTx, new_id, params};

/// The tables of this module.
pub const MIGRATION: Migration = Migration { owner: "srs", version: 1, sql: V1 };

/// `srs_sender` has what does not fit into a local part; `token` is made from it.
const V1: &str = "
CREATE TABLE srs_secret (
    id BIGINT PRIMARY KEY,
    secret {bytes} NOT NULL,
    made BIGINT NOT NULL
);
CREATE TABLE srs_sender (
    token {text} PRIMARY KEY,
    sender {text} NOT NULL,
    used BIGINT NOT NULL
);
CREATE INDEX srs_sender_used ON srs_sender (used);
";

/// All changes of secrets wait for each other under this name.
pub const LOCK: &str = "srs secrets";

/// Octets of a secret.
pub const SECRET_BYTES: usize = 32;

/// The secrets, the newest first.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secrets(pub Vec<[u8; SECRET_BYTES]>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// The secrets that are known. One statement.
pub fn secrets(tx: &ReadTx) -> Result<Secrets> {
    let rows = tx.rows("SELECT secret FROM srs_secret ORDER BY made DESC, id DESC", params![], |row| row.bytes(0))?;
    Ok(Secrets(rows.into_iter().filter_map(|secret| secret.try_into().ok()).collect()))
}

/// Makes `fresh` the secret when there is none or the newest is older than [`RENEW`], and forgets those that cannot come
/// back any more. Answers whether it did. Locks: [`LOCK`].
pub fn renew(tx: &mut WriteTx, fresh: &[u8; SECRET_BYTES], now: Timestamp) -> Result<bool> {
    let made =
        tx.rows("SELECT made FROM srs_secret ORDER BY made DESC, id DESC", params![], |row| row.id::<Timestamp>(0))?;
    let is_due = made.first().is_none_or(|newest| now >= newest.plus(RENEW));
    if is_due {
        tx.execute(
            "INSERT INTO srs_secret (id, secret, made) VALUES ($1, $2, $3)",
            params![new_id(), fresh.as_slice(), now],
        )?;
    }
    // One that was succeeded so long ago signed nothing that is still good.
    let after = made.iter().copied().find(|made| now >= made.plus(KEEP));
    if let Some(successor) = after {
        tx.execute("DELETE FROM srs_secret WHERE made < $1", params![successor])?;
    }
    Ok(is_due)
}

/// Keeps a sender under its token. Used again, it is kept longer.
pub fn keep(tx: &mut WriteTx, token: &str, sender: &str, now: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO srs_sender (token, sender, used) VALUES ($1, $2, $3)
         ON CONFLICT (token) DO UPDATE SET used = excluded.used",
        params![token, sender, now],
    )?;
    Ok(())
}

/// The sender that was kept under a token. One statement.
pub fn kept(tx: &ReadTx, token: &str) -> Result<Option<String>> {
    tx.row("SELECT sender FROM srs_sender WHERE token = $1", params![token], |row| row.text(0))
}

/// Forgets senders that were used last before [`KEEP`].
pub fn sweep(tx: &mut WriteTx, now: Timestamp) -> Result<u64> {
    let before = now.0 - i64::try_from(KEEP.as_micros()).unwrap_or(i64::MAX);
    tx.execute("DELETE FROM srs_sender WHERE used < $1", params![before])
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A secret signs for so long.
pub const RENEW: Duration = Duration::from_secs(180 * DAY.as_secs());
/// What can come back is known for so long: more than an address is good for.
pub const KEEP: Duration = Duration::from_secs(30 * DAY.as_secs());
