//! What is answered when a certificate authority looks whether a name is ours, on whichever node it looks.

use postroad_store::{ReadTx, Timestamp, WriteTx, params};

use super::Result;

/// How the authority looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// HTTP-01 (RFC 8555 §8.3): over port 80, by a token.
    Http,
    /// TLS-ALPN-01 (RFC 8737): over port 443, by the name.
    Alpn,
}

impl Challenge {
    fn stored(self) -> &'static str {
        match self {
            Challenge::Http => "http",
            Challenge::Alpn => "alpn",
        }
    }
}

/// An answer that waits for its question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it will be asked.
    pub challenge: Challenge,
    /// The token (HTTP-01), or the name in small letters (TLS-ALPN-01).
    pub name: String,
    /// The key authorization (HTTP-01), or its SHA-256 in hexadecimal (TLS-ALPN-01).
    pub answer: String,
}

/// Has an answer given until a moment.
pub fn answer(tx: &mut WriteTx, line: &str, new: &Answer, until: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO certificate_answer (kind, name, line, answer, until) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (kind, name) DO UPDATE SET line = excluded.line, answer = excluded.answer, until = excluded.until",
        params![new.challenge.stored(), &new.name, line, &new.answer, until],
    )?;
    Ok(())
}

/// The answers of a line are given no more, and none whose time is over.
pub fn forget_answers(tx: &mut WriteTx, line: &str, now: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM certificate_answer WHERE line = $1 OR until <= $2", params![line, now])?;
    Ok(())
}

/// The key authorization of a token. RFC 8555 §8.3.
pub fn http_answer(tx: &ReadTx, token: &str, now: Timestamp) -> Result<Option<String>> {
    found(tx, Challenge::Http, token, now)
}

/// The SHA-256 of the key authorization for a name. RFC 8737 §3.
pub fn alpn_answer(tx: &ReadTx, name: &str, now: Timestamp) -> Result<Option<[u8; 32]>> {
    let found = found(tx, Challenge::Alpn, &name.to_ascii_lowercase(), now)?;
    Ok(found.as_deref().and_then(digest))
}

fn found(tx: &ReadTx, challenge: Challenge, name: &str, now: Timestamp) -> Result<Option<String>> {
    Ok(tx.row(
        "SELECT answer FROM certificate_answer WHERE kind = $1 AND name = $2 AND until > $3",
        params![challenge.stored(), name, now],
        |row| row.text(0),
    )?)
}

fn digest(hexadecimal: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hexadecimal.len() != 2 * bytes.len() || !hexadecimal.is_ascii() {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hexadecimal[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(bytes)
}
