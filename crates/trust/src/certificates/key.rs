//! The keys of a line: the one in use, and the next one, whose TLSA record can be published before it is used.

use postroad_store::{ReadTx, Row, Timestamp, WriteTx, new_id, params};

use super::{Result, Secret, news};

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRole {
    /// The certificates of today.
    Current,
    /// Those that come after a change of keys; named in TLSA records already. RFC 7671 §8.4.
    Next,
    /// None any more.
    Old,
}

impl KeyRole {
    fn stored(self) -> &'static str {
        match self {
            KeyRole::Current => "current",
            KeyRole::Next => "next",
            KeyRole::Old => "old",
        }
    }

    fn from_stored(text: &str) -> KeyRole {
        match text {
            "current" => KeyRole::Current,
            "next" => KeyRole::Next,
            _ => KeyRole::Old,
        }
    }
}

/// A private key of a line.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its number.
    pub id: i64,
    /// The line's name.
    pub line: String,
    /// Such as `ecdsa-p256` or `rsa-2048`.
    pub algorithm: String,
    /// PKCS#8 in DER.
    pub pkcs8: Secret<Vec<u8>>,
    /// SHA-256 of its SubjectPublicKeyInfo: the data of a TLSA record 3 1 1.
    pub spki: Vec<u8>,
    /// What it is for.
    pub role: KeyRole,
    /// When it was made.
    pub created: Timestamp,
    /// Since when its TLSA record is seen in DNS.
    pub seen: Option<Timestamp>,
    /// From when all who keep answers of DNS have seen it too; only then may it be used where TLSA records are.
    pub ready: Option<Timestamp>,
}

/// A key that was just made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Such as `ecdsa-p256`.
    pub algorithm: String,
    /// PKCS#8 in DER.
    pub pkcs8: Secret<Vec<u8>>,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
}

/// The keys of a line that are current or next; `None`: of all lines.
pub fn keys(tx: &ReadTx, line: Option<&str>) -> Result<Vec<Key>> {
    let found = tx.rows(
        "SELECT id, line, algorithm, pkcs8, spki, role, created, seen, ready FROM certificate_key
         WHERE role <> 'old' AND (line = $1 OR CAST($2 AS BIGINT) = 1) ORDER BY line, role",
        params![line.unwrap_or_default(), line.is_none()],
        read,
    )?;
    Ok(found)
}

pub(super) fn read(row: &Row<'_>) -> postroad_store::Result<Key> {
    Ok(Key {
        id: row.int(0)?,
        line: row.text(1)?,
        algorithm: row.text(2)?,
        pkcs8: Secret::new(row.bytes(3)?),
        spki: row.bytes(4)?,
        role: KeyRole::from_stored(&row.text(5)?),
        created: row.id(6)?,
        seen: row.int_or_null(7)?.map(Timestamp),
        ready: row.int_or_null(8)?.map(Timestamp),
    })
}

/// Gives a line a key for a role, unless it has one, in which case nothing changes.
pub fn add_key(tx: &mut WriteTx, line: &str, role: KeyRole, new: &NewKey, now: Timestamp) -> Result<()> {
    let has = tx.row(
        "SELECT id FROM certificate_key WHERE line = $1 AND role = $2 LIMIT 1",
        params![line, role.stored()],
        |row| row.int(0),
    )?;
    if has.is_some() && role != KeyRole::Old {
        return Ok(());
    }
    insert(tx, line, role, new, now)?;
    news(tx);
    Ok(())
}

pub(super) fn insert(tx: &mut WriteTx, line: &str, role: KeyRole, new: &NewKey, now: Timestamp) -> Result<i64> {
    let id = new_id();
    tx.execute(
        "INSERT INTO certificate_key (id, line, algorithm, pkcs8, spki, role, created, seen, ready)
         VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, NULL)",
        params![id, line, &new.algorithm, new.pkcs8.expose(), &new.spki, role.stored(), now],
    )?;
    Ok(id)
}

/// A next key that nobody has seen is of use no more: the next look makes another.
pub fn drop_next(tx: &mut WriteTx, key: i64) -> Result<()> {
    tx.execute("DELETE FROM certificate_key WHERE id = $1 AND role = 'next' AND seen IS NULL", params![key])?;
    Ok(())
}

/// What is seen of a key's TLSA record: since `seen` (`None`: it is not there), good to use from `ready`.
pub fn seen_in_dns(tx: &mut WriteTx, key: i64, seen: Option<Timestamp>, ready: Option<Timestamp>) -> Result<()> {
    tx.execute(
        "UPDATE certificate_key SET seen = $2, ready = $3 WHERE id = $1",
        params![key, seen.map(|at| at.0), ready.map(|at| at.0)],
    )?;
    Ok(())
}

/// A key becomes the current one of its line; the one before is old. Does nothing when it is so already.
pub fn promote(tx: &mut WriteTx, line: &str, key: i64) -> Result<()> {
    tx.execute(
        "UPDATE certificate_key SET role = 'old' WHERE line = $1 AND role = 'current' AND id <> $2",
        params![line, key],
    )?;
    tx.execute("UPDATE certificate_key SET role = 'current' WHERE line = $1 AND id = $2", params![line, key])?;
    Ok(())
}
