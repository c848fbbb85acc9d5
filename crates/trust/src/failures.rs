//! Single messages that failed in a domain's name, until its owner has been told (failure reports of DMARC, `ruf`).
//!
//! 1. A message is one row of `dmarc_failure`, written in the transaction that delivers or refuses it. At most [`WAITING_MAX`] rows
//!    wait, and [`WAITING_OF_ONE_MAX`] of one domain: what comes above is not told.
//! 2. Who tells takes the row away in the transaction that queues the report ([`take`]): it goes out once, whatever stops in between.
//! 3. An address gets so many reports in a day ([`may_send`]); the others are counted and not sent.
//! 4. People are made unknown before anything is written, with a secret of this installation ([`secret`]).
//!
//! Standards: RFC 9991 §3 and RFC 6591 §5 (limits), RFC 6590 (redaction).

use postroad_mailauth::dmarc;
use postroad_mailauth::report::Limits;
use postroad_mailauth::report::feedback::Feedback;
use postroad_mailauth::report::redact;
use postroad_store::{Migration, ReadTx, Result, Timestamp, WriteTx, new_id, params};

use crate::dmarc_results::Day;

/// The tables of this topic.
pub(crate) const V1: Migration = Migration { owner: "dmarc-failures", version: 1, sql: TABLES };

/// Messages that wait to be told.
pub const WAITING_MAX: i64 = 1_000;
/// Of these, about one domain.
pub const WAITING_OF_ONE_MAX: i64 = 50;
/// Octets of the secret.
pub const SECRET_BYTES: usize = 32;

/// A message that waits to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// When it came.
    pub at: Timestamp,
    /// Whose record asks for it.
    pub domain: String,
    /// Where that wants to hear of it.
    pub ruf: Vec<dmarc::Place>,
    /// What is told in fields.
    pub feedback: Feedback,
    /// What is repeated of it.
    pub original: Vec<u8>,
    /// People are to be made unknown, or have been.
    pub redacted: bool,
}

/// Lets a message wait. `fresh`: random octets, for the secret when there is none. `false`: too many wait.
pub fn wait(tx: &mut WriteTx, waiting: &Waiting, fresh: &[u8; SECRET_BYTES]) -> Result<bool> {
    let (all, of_one) = tx.one(
        "SELECT CAST(count(*) AS BIGINT), CAST(COALESCE(sum(CASE WHEN domain = $1 THEN 1 ELSE 0 END), 0) AS BIGINT)
         FROM dmarc_failure",
        params![waiting.domain.as_str()],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    if all >= WAITING_MAX || of_one >= WAITING_OF_ONE_MAX {
        return Ok(false);
    }
    let (mut fields, mut original) = (waiting.feedback.write(), waiting.original.clone());
    if waiting.redacted {
        let secret = secret(tx, fresh)?;
        fields = redact::text(&fields, &waiting.domain, &secret);
        original = redact::people(&original, &waiting.domain, &secret);
    }
    let ruf: Vec<String> = waiting.ruf.iter().map(dmarc::Place::to_string).collect();
    tx.execute(
        "INSERT INTO dmarc_failure (id, at, domain, ruf, fields, original, redacted) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![
            new_id(),
            waiting.at,
            waiting.domain.as_str(),
            ruf.join("\n").as_str(),
            fields.as_str(),
            original.as_slice(),
            i64::from(waiting.redacted)
        ],
    )?;
    Ok(true)
}

/// The secret with which people are made unknown; the first one is kept for good.
fn secret(tx: &mut WriteTx, fresh: &[u8; SECRET_BYTES]) -> Result<Vec<u8>> {
    let known =
        |tx: &ReadTx| tx.row("SELECT secret FROM dmarc_failure_secret WHERE id = 1", params![], |row| row.bytes(0));
    if let Some(known) = known(tx)? {
        return Ok(known);
    }
    tx.execute(
        "INSERT INTO dmarc_failure_secret (id, secret) VALUES (1, $1) ON CONFLICT (id) DO NOTHING",
        params![fresh.as_slice()],
    )?;
    Ok(known(tx)?.unwrap_or_else(|| fresh.to_vec()))
}

/// The message that has waited longest, and its name here.
pub fn next(tx: &ReadTx) -> Result<Option<(i64, Waiting)>> {
    tx.row(
        "SELECT id, at, domain, ruf, fields, original, redacted FROM dmarc_failure ORDER BY at, id LIMIT 1",
        params![],
        |row| {
            let fields = row.text(4)?;
            let waiting = Waiting {
                at: row.id(1)?,
                domain: row.text(2)?,
                ruf: row.text(3)?.lines().filter_map(dmarc::Place::parse).collect(),
                feedback: Feedback::read(fields.as_bytes(), b"", &Limits::default()).unwrap_or_default(),
                original: row.bytes(5)?,
                redacted: row.int(6)? != 0,
            };
            Ok((row.int(0)?, waiting))
        },
    )
}

/// Lets the others go first: what cannot be told of now must not hold them up.
pub fn put_back(tx: &mut WriteTx, id: i64, now: Timestamp) -> Result<()> {
    tx.execute("UPDATE dmarc_failure SET at = $2 WHERE id = $1", params![id, now])?;
    Ok(())
}

/// Takes a message away; `false`: somebody else did.
pub fn take(tx: &mut WriteTx, id: i64) -> Result<bool> {
    Ok(tx.execute("DELETE FROM dmarc_failure WHERE id = $1", params![id])? > 0)
}

/// Counts a report to an address; `false`: it has had `limit` of them on this day.
pub fn may_send(tx: &mut WriteTx, day: Day, address: &str, limit: u32) -> Result<bool> {
    let address = address.to_lowercase();
    tx.execute(
        "INSERT INTO dmarc_failure_sent (day, address, letters, left_out) VALUES ($1, $2, 0, 0)
         ON CONFLICT (day, address) DO NOTHING",
        params![day.0, address.as_str()],
    )?;
    let counted = tx.execute(
        "UPDATE dmarc_failure_sent SET letters = letters + 1 WHERE day = $1 AND address = $2 AND letters < $3",
        params![day.0, address.as_str(), i64::from(limit)],
    )?;
    if counted == 0 {
        tx.execute(
            "UPDATE dmarc_failure_sent SET left_out = left_out + 1 WHERE day = $1 AND address = $2",
            params![day.0, address.as_str()],
        )?;
    }
    Ok(counted > 0)
}

/// Forgets the counts of days before this one.
pub fn sweep(tx: &mut WriteTx, before: Day) -> Result<()> {
    tx.execute("DELETE FROM dmarc_failure_sent WHERE day < $1", params![before.0])?;
    Ok(())
}

const TABLES: &str = "
CREATE TABLE dmarc_failure (
    id BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    domain {text} NOT NULL,
    ruf {text} NOT NULL,
    fields {text} NOT NULL,
    original {bytes} NOT NULL,
    redacted BIGINT NOT NULL
);
CREATE TABLE dmarc_failure_sent (
    day BIGINT NOT NULL,
    address {text} NOT NULL,
    letters BIGINT NOT NULL,
    left_out BIGINT NOT NULL,
    PRIMARY KEY (day, address)
) {clustered};
CREATE TABLE dmarc_failure_secret (
    id BIGINT PRIMARY KEY,
    secret {bytes} NOT NULL
);
";

#[cfg(test)]
mod tests {
    use postroad_store::Locks;
    use postroad_testkit::each_store;

    use super::*;

    fn waiting(domain: &str, redacted: bool) -> Waiting {
        Waiting {
            at: Timestamp(1),
            domain: domain.into(),
            ruf: vec![dmarc::Place { uri: format!("mailto:f@{domain}"), largest: Some(7) }],
            feedback: Feedback {
                kind: "auth-failure".into(),
                mail_from: "carol@elsewhere.test".into(),
                incidents: 1,
                ..Feedback::default()
            },
            original: format!("From: boss@{domain}\r\nSender: carol@elsewhere.test\r\n").into_bytes(),
            redacted,
        }
    }

    #[test]
    fn messages_wait_bounded_and_are_told_once() {
        each_store(&[crate::MIGRATIONS], |test| {
            let done = test.store.write_blocking(Locks::none(), |tx| {
                let fresh = [7; SECRET_BYTES];
                assert!(wait(tx, &waiting("a.test", false), &fresh)?);
                assert_eq!(next(tx)?.expect("it waits").1, waiting("a.test", false));
                let (id, _) = next(tx)?.expect("it waits");
                assert!(take(tx, id)? && !take(tx, id)? && next(tx)?.is_none());

                // People are made unknown before anything is written, each always by the same word.
                assert!(wait(tx, &waiting("a.test", true), &fresh)?);
                assert!(wait(tx, &waiting("a.test", true), &[8; SECRET_BYTES])?);
                let mut told = Vec::new();
                while let Some((id, kept)) = next(tx)? {
                    let text = String::from_utf8_lossy(&kept.original).into_owned();
                    assert!(text.contains("boss@a.test") && !text.contains("carol@"), "{text}");
                    let word = kept.feedback.mail_from.split('@').next().unwrap_or_default().to_owned();
                    assert!(word.starts_with("redacted-") && text.contains(&word), "{kept:?}");
                    told.push(word);
                    take(tx, id)?;
                }
                assert!(told.len() == 2 && told[0] == told[1], "{told:?}");

                for _ in 0..WAITING_OF_ONE_MAX {
                    assert!(wait(tx, &waiting("a.test", false), &fresh)?);
                }
                assert!(!wait(tx, &waiting("a.test", false), &fresh)?, "one domain does not take all places");
                for number in WAITING_OF_ONE_MAX..WAITING_MAX {
                    assert!(wait(tx, &waiting(&format!("d{number}.test"), false), &fresh)?);
                }
                assert!(!wait(tx, &waiting("b.test", false), &fresh)?);
                Ok::<_, postroad_store::Error>(())
            });
            done.expect("all of it is so");
        });
    }

    #[test]
    fn an_address_gets_so_many_in_a_day() {
        each_store(&[crate::MIGRATIONS], |test| {
            let done = test.store.write_blocking(Locks::none(), |tx| {
                let sent: Vec<bool> = ["f@a.test", "F@a.test", "f@a.test", "f@b.test"]
                    .map(|to| may_send(tx, Day(3), to, 2))
                    .into_iter()
                    .collect::<Result<_>>()?;
                assert_eq!(sent, [true, true, false, true]);
                assert!(may_send(tx, Day(4), "f@a.test", 2)?, "another day");
                assert!(!may_send(tx, Day(4), "f@b.test", 0)?);
                sweep(tx, Day(4))?;
                assert!(may_send(tx, Day(3), "f@a.test", 1)?);
                Ok::<_, postroad_store::Error>(())
            });
            done.expect("all of it is so");
        });
    }
}
