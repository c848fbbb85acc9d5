//! Certificates that are there, in use and from before.

use postroad_store::{ReadTx, Row, Timestamp, WriteTx, new_id, params};

use super::key::{self, Key, KeyRole, NewKey};
use super::{Error, Result, joined, news, promote, split};

/// Where a certificate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From a certificate authority, by ACME.
    Acme,
    /// Brought by the administrator.
    Imported,
}

/// Whether a certificate is shown to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateState {
    /// Yes.
    InUse,
    /// Another one has taken its place.
    Old,
    /// The authority was told that it is not to be believed any more.
    Revoked,
}

/// A certificate with its chain.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Its number, as the command line shows it.
    pub id: i64,
    /// The line's name.
    pub line: String,
    /// The number of its key.
    pub key: i64,
    /// The names it is for.
    pub names: Vec<String>,
    /// PEM: the certificate, then its issuers.
    pub chain: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The directory of its authority; empty when it was imported.
    pub directory: String,
    /// The serial number in hexadecimal.
    pub serial: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// Whether it is shown.
    pub state: CertificateState,
    /// When it came.
    pub created: Timestamp,
    /// When the authority suggests to renew it. RFC 9773 §4.2.
    pub window: Option<(Timestamp, Timestamp)>,
    /// When the authority is asked for that again.
    pub window_ask: Timestamp,
}

/// A certificate that was just issued or brought.
#[derive(Debug, Clone)]
pub struct NewCertificate {
    /// The names it is for.
    pub names: Vec<String>,
    /// PEM: the certificate, then its issuers.
    pub chain: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The directory of its authority; empty when it was imported.
    pub directory: String,
    /// The serial number in hexadecimal.
    pub serial: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

const COLUMNS: &str = "c.id, c.line, c.key_id, c.names, c.chain, c.origin, c.directory, c.serial, c.not_before,
    c.not_after, c.state, c.created, c.window_start, c.window_end, c.window_ask";

fn read(row: &Row<'_>) -> postroad_store::Result<Certificate> {
    Ok(Certificate {
        id: row.int(0)?,
        line: row.text(1)?,
        key: row.int(2)?,
        names: split(&row.text(3)?),
        chain: row.text(4)?,
        origin: if row.text(5)? == "acme" { Origin::Acme } else { Origin::Imported },
        directory: row.text(6)?,
        serial: row.text(7)?,
        not_before: row.id(8)?,
        not_after: row.id(9)?,
        state: match row.text(10)?.as_str() {
            "in-use" => CertificateState::InUse,
            "revoked" => CertificateState::Revoked,
            _ => CertificateState::Old,
        },
        created: row.id(11)?,
        window: row.int_or_null(12)?.zip(row.int_or_null(13)?).map(|(from, to)| (Timestamp(from), Timestamp(to))),
        window_ask: row.id(14)?,
    })
}

/// All certificates, those of a line together, the newest first.
pub fn certificates(tx: &ReadTx) -> Result<Vec<Certificate>> {
    let sql = format!("SELECT {COLUMNS} FROM certificate c ORDER BY c.line, c.created DESC, c.id DESC");
    Ok(tx.rows(&sql, params![], read)?)
}

/// What is to be shown to clients: each certificate in use with its key.
pub fn in_use(tx: &ReadTx) -> Result<Vec<(Certificate, Key)>> {
    let sql = format!("SELECT {COLUMNS} FROM certificate c WHERE c.state = 'in-use' ORDER BY c.line");
    let found = tx.rows(&sql, params![], read)?;
    let keys = tx.rows(
        "SELECT k.id, k.line, k.algorithm, k.pkcs8, k.spki, k.role, k.created, k.seen, k.ready FROM certificate_key k
         WHERE EXISTS (SELECT 1 FROM certificate c WHERE c.key_id = k.id AND c.state = 'in-use')",
        params![],
        key::read,
    )?;
    let with_key = |certificate: Certificate| {
        let key = keys.iter().find(|key| key.id == certificate.key)?.clone();
        Some((certificate, key))
    };
    Ok(found.into_iter().filter_map(with_key).collect())
}

/// A certificate that was brought with its key takes its place in a line, which is made when it is not there; its number.
pub fn use_certificate(
    tx: &mut WriteTx,
    line: &str,
    key: &NewKey,
    new: &NewCertificate,
    now: Timestamp,
) -> Result<i64> {
    tx.execute("UPDATE certificate_key SET role = 'old' WHERE line = $1 AND role = 'current'", params![line])?;
    let key = key::insert(tx, line, KeyRole::Current, key, now)?;
    let id = insert(tx, line, key, new, now)?;
    news(tx);
    Ok(id)
}

/// The new certificate of a line is the one in use; the one before is old.
pub(super) fn insert(tx: &mut WriteTx, line: &str, key: i64, new: &NewCertificate, now: Timestamp) -> Result<i64> {
    tx.execute("UPDATE certificate SET state = 'old' WHERE line = $1 AND state = 'in-use'", params![line])?;
    promote(tx, line, key)?;
    let id = new_id();
    tx.execute(
        "INSERT INTO certificate (id, line, key_id, names, chain, origin, directory, serial, not_before, not_after, state,
                                  revoke_reason, created, window_start, window_end, window_ask)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'in-use', NULL, $11, NULL, NULL, $11)",
        params![
            id,
            line,
            key,
            &joined(&new.names),
            &new.chain,
            match new.origin {
                Origin::Acme => "acme",
                Origin::Imported => "imported",
            },
            &new.directory,
            &new.serial,
            new.not_before,
            new.not_after,
            now
        ],
    )?;
    // Of a line no more than this is kept: old keys are of use to nobody but a thief.
    tx.execute(
        "DELETE FROM certificate WHERE line = $1 AND state <> 'in-use' AND (revoke_reason IS NULL OR state = 'revoked')
           AND id NOT IN (SELECT id FROM certificate WHERE line = $1 ORDER BY created DESC, id DESC LIMIT $2)",
        params![line, KEPT_MAX],
    )?;
    tx.execute(
        "DELETE FROM certificate_key WHERE line = $1 AND role = 'old'
           AND id NOT IN (SELECT key_id FROM certificate WHERE line = $1)",
        params![line],
    )?;
    Ok(id)
}

/// When the authority suggests to renew, and when it is asked again. RFC 9773 §4.3.
pub fn keep_window(
    tx: &mut WriteTx,
    certificate: i64,
    window: Option<(Timestamp, Timestamp)>,
    ask: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE certificate SET window_start = $2, window_end = $3, window_ask = $4 WHERE id = $1",
        params![certificate, window.map(|(from, _)| from.0), window.map(|(_, to)| to.0), ask],
    )?;
    Ok(())
}

/// The authority is to be told that a certificate is not to be believed any more; the reason by its number (RFC 5280
/// §5.3.1). [`Error::Missing`] when there is none from an authority by this number.
pub fn revoke(tx: &mut WriteTx, certificate: i64, reason: u32) -> Result<Certificate> {
    let marked = tx.execute(
        "UPDATE certificate SET revoke_reason = $2 WHERE id = $1 AND origin = 'acme' AND state <> 'revoked'",
        params![certificate, reason],
    )?;
    let sql = format!("SELECT {COLUMNS} FROM certificate c WHERE c.id = $1");
    let found = tx.row(&sql, params![certificate], read)?;
    news(tx);
    found.filter(|_| marked > 0).ok_or(Error::Missing)
}

/// Certificates of which the authority is to be told, with the reason's number.
pub fn to_revoke(tx: &ReadTx) -> Result<Vec<(Certificate, u32)>> {
    let sql = format!(
        "SELECT {COLUMNS}, c.revoke_reason FROM certificate c WHERE c.revoke_reason IS NOT NULL AND c.state <> 'revoked'
         ORDER BY c.id"
    );
    let rows = tx.rows(&sql, params![], |row| Ok((read(row)?, row.int(15)?)))?;
    Ok(rows.into_iter().map(|(found, reason)| (found, u32::try_from(reason).unwrap_or(0))).collect())
}

/// The authority knows: nobody is shown the certificate any more, and its line is in a hurry for another one.
pub fn revoked(tx: &mut WriteTx, certificate: &Certificate, is_key_lost: bool) -> Result<()> {
    tx.execute("UPDATE certificate SET state = 'revoked' WHERE id = $1", params![certificate.id])?;
    if certificate.state == CertificateState::InUse {
        tx.execute(
            "UPDATE certificate_line SET hurried = 1, not_before = 0, new_key = CASE WHEN CAST($2 AS BIGINT) = 1 THEN 2 ELSE new_key END
             WHERE name = $1",
            params![&certificate.line, is_key_lost],
        )?;
    }
    news(tx);
    Ok(())
}

/// Certificates kept of a line, the one in use among them.
const KEPT_MAX: u32 = 4;
