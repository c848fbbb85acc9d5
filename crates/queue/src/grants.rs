//! What other providers of OAuth 2.0 have granted to this server: how tokens for routes are got, and the one that is in use.
//!
//! Invariants:
//! 1. What is secret here is sealed by the caller: no column holds a token or a secret that can be read.
//! 2. A grant is renewed by one at a time, of all nodes ([`claim`]): a refresh token that rotates is shown once.
//! 3. What a renewal brought is written by whoever claimed it; a grant that was replaced meanwhile stays as it was replaced.

use postroad_store::{ReadTx, Row, Timestamp, WriteTx, params};

use crate::Result;

/// The table.
pub(crate) const TABLES: &str = "
CREATE TABLE route_grant (
    name {text} PRIMARY KEY,
    version BIGINT NOT NULL,
    token_url {text} NOT NULL,
    client {text} NOT NULL,
    scope {text} NOT NULL,
    client_secret {bytes},
    refresh {bytes},
    access {bytes},
    renewed BIGINT NOT NULL,
    renew_at BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    claimed_until BIGINT NOT NULL,
    retry_at BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    trouble {text}
);
";

/// How tokens are got, and the one in use. Octets are sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its name: that of the route it was made for, or of an account and a place elsewhere.
    pub name: String,
    /// Made anew with each replacement and renewal.
    pub version: i64,
    /// Where tokens are got.
    pub token_url: String,
    /// Who we are there.
    pub client: String,
    /// What is asked for; empty: what was granted.
    pub scope: String,
    /// Our secret there, where we have one.
    pub client_secret: Option<Vec<u8>>,
    /// The refresh token; without one, tokens are got by the secret (client credentials).
    pub refresh: Option<Vec<u8>>,
    /// The access token.
    pub access: Option<Vec<u8>>,
    /// When it was got.
    pub renewed: Timestamp,
    /// From when on another is to be got.
    pub renew_at: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// After a renewal that failed, not before.
    pub retry_at: Timestamp,
    /// The provider has taken it back: somebody has to sign in again.
    pub ended: bool,
    /// What was wrong with the last renewal, in words.
    pub trouble: Option<String>,
}

/// What a renewal brought. Octets are sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// The access token.
    pub access: Vec<u8>,
    /// From when on another is to be got.
    pub renew_at: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// The refresh token in place of the one before, where there is a new one.
    pub refresh: Option<Vec<u8>>,
}

/// Makes a grant, or replaces the one of this name. `grant.version` does not matter. One statement.
pub fn put(tx: &mut WriteTx, grant: &Grant) -> Result<()> {
    tx.execute(
        "INSERT INTO route_grant (name, version, token_url, client, scope, client_secret, refresh, access, renewed, renew_at,
             expires, claimed_until, retry_at, ended, trouble)
         VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, 0, NULL)
         ON CONFLICT (name) DO UPDATE SET version = route_grant.version + 1, token_url = excluded.token_url,
             client = excluded.client, scope = excluded.scope, client_secret = excluded.client_secret,
             refresh = excluded.refresh, access = excluded.access, renewed = excluded.renewed,
             renew_at = excluded.renew_at, expires = excluded.expires, claimed_until = 0, retry_at = 0, ended = 0,
             trouble = NULL",
        params![
            &grant.name,
            &grant.token_url,
            &grant.client,
            &grant.scope,
            grant.client_secret.as_deref(),
            grant.refresh.as_deref(),
            grant.access.as_deref(),
            grant.renewed,
            grant.renew_at,
            grant.expires,
        ],
    )?;
    Ok(())
}

/// The grant of a name. One statement.
pub fn find(tx: &ReadTx, name: &str) -> Result<Option<Grant>> {
    let sql = format!("SELECT {COLUMNS} FROM route_grant WHERE name = $1");
    Ok(tx.row(&sql, params![name], read)?)
}

/// All grants by name, at most [`LIST_MAX`]. One statement.
pub fn list(tx: &ReadTx) -> Result<Vec<Grant>> {
    let sql = format!("SELECT {COLUMNS} FROM route_grant ORDER BY name LIMIT {LIST_MAX}");
    Ok(tx.rows(&sql, params![], read)?)
}

/// Forgets a grant. Says whether there was one.
pub fn remove(tx: &mut WriteTx, name: &str) -> Result<bool> {
    Ok(tx.execute("DELETE FROM route_grant WHERE name = $1", params![name])? > 0)
}

/// Forgets all grants whose names begin so. One statement.
pub fn remove_all(tx: &mut WriteTx, beginning: &str) -> Result<()> {
    let length = i64::try_from(beginning.chars().count()).unwrap_or(i64::MAX);
    tx.execute("DELETE FROM route_grant WHERE substr(name, 1, CAST($2 AS INTEGER)) = $1", params![beginning, length])?;
    Ok(())
}

/// Takes it upon oneself to renew a grant of this version until `until`. False when somebody else does, or has.
pub fn claim(tx: &mut WriteTx, name: &str, version: i64, now: Timestamp, until: Timestamp) -> Result<bool> {
    let claimed = tx.execute(
        "UPDATE route_grant SET claimed_until = $4 WHERE name = $1 AND version = $2 AND claimed_until <= $3",
        params![name, version, now, until],
    )?;
    Ok(claimed > 0)
}

/// Keeps what a renewal of this version brought. False when the grant was replaced meanwhile.
pub fn renewed(tx: &mut WriteTx, name: &str, version: i64, new: &Renewed, now: Timestamp) -> Result<bool> {
    let kept = tx.execute(
        "UPDATE route_grant SET version = version + 1, access = $3, renewed = $4, renew_at = $5, expires = $6,
             refresh = COALESCE($7, refresh), claimed_until = 0, retry_at = 0, ended = 0, trouble = NULL
         WHERE name = $1 AND version = $2",
        params![name, version, &new.access, now, new.renew_at, new.expires, new.refresh.as_deref()],
    )?;
    Ok(kept > 0)
}

/// Keeps why a renewal of this version failed: for good (`ended`), or until `retry_at`.
pub fn failed(
    tx: &mut WriteTx,
    name: &str,
    version: i64,
    trouble: &str,
    ended: bool,
    retry_at: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE route_grant SET claimed_until = 0, retry_at = $4, ended = $5, trouble = $3
         WHERE name = $1 AND version = $2",
        params![name, version, trouble, retry_at, i64::from(ended)],
    )?;
    Ok(())
}

/// A host did not believe the access token of this version: another one is got before the next use, unless this one was got
/// after `since`.
pub fn disbelieved(tx: &mut WriteTx, name: &str, version: i64, since: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE route_grant SET renew_at = 0, expires = 0 WHERE name = $1 AND version = $2 AND renewed < $3",
        params![name, version, since],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> postroad_store::Result<Grant> {
    Ok(Grant {
        name: row.text(0)?,
        version: row.int(1)?,
        token_url: row.text(2)?,
        client: row.text(3)?,
        scope: row.text(4)?,
        client_secret: row.bytes_or_null(5)?,
        refresh: row.bytes_or_null(6)?,
        access: row.bytes_or_null(7)?,
        renewed: Timestamp(row.int(8)?),
        renew_at: Timestamp(row.int(9)?),
        expires: Timestamp(row.int(10)?),
        retry_at: Timestamp(row.int(11)?),
        ended: row.int(12)? != 0,
        trouble: row.text_or_null(13)?,
    })
}

const COLUMNS: &str = "name, version, token_url, client, scope, client_secret, refresh, access, renewed, renew_at, expires, \
                       retry_at, ended, trouble";
/// Grants in a list.
pub const LIST_MAX: usize = 1_000;
