//! Reports about TLS that are to be put somewhere by HTTPS, until they are there or a day has passed.
//!
//! 1. A report is one row for each place, written in the transaction that marks it as sent: nothing is lost when a server stops.
//! 2. Who puts it there takes the row for [`LEASE`] ([`claim`]); of several nodes one does. One that stops meanwhile loses its turn.
//! 3. After a failure it is tried again, each time later ([`failed`]), until [`KEPT_FOR`] after it was made.
//!
//! Standards: RFC 8460 §5.5.

use std::time::Duration;

use postroad_store::{Migration, Result, Timestamp, WriteTx, new_id, params};

/// The tables of this topic.
pub(crate) const V1: Migration = Migration { owner: "tls-posts", version: 1, sql: TABLES };

/// RFC 8460 §5.5: for up to 24 hours.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// For one attempt: longer than it can take.
pub const LEASE: Duration = Duration::from_secs(5 * 60);
/// Reports that wait; more are not put anywhere.
pub const WAITING_MAX: i64 = 10_000;
/// Before the second attempt; each further one waits three times as long.
const FIRST_WAIT: Duration = Duration::from_secs(5 * 60);
/// And never longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(4 * 60 * 60);

/// A report on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Its name here.
    pub id: i64,
    /// The domain it is about.
    pub domain: String,
    /// Where it goes.
    pub url: String,
    /// Packed.
    pub body: Vec<u8>,
    /// Attempts that failed.
    pub tries: u32,
    /// When it was made.
    pub made: Timestamp,
}

/// Lets a report wait, due now. `false`: too many wait.
pub fn put(tx: &mut WriteTx, domain: &str, url: &str, body: &[u8], now: Timestamp) -> Result<bool> {
    let waiting = tx.one("SELECT CAST(count(*) AS BIGINT) FROM tls_post", params![], |row| row.int(0))?;
    if waiting >= WAITING_MAX {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO tls_post (id, domain, url, body, tries, made, due) VALUES ($1, $2, $3, $4, 0, $5, $5)",
        params![new_id(), domain, url, body, now],
    )?;
    Ok(true)
}

/// Takes a report that is due, for [`LEASE`].
pub fn claim(tx: &mut WriteTx, now: Timestamp) -> Result<Option<Post>> {
    let found = tx.row(
        "SELECT id, domain, url, body, tries, made, due FROM tls_post WHERE due <= $1 ORDER BY due, id LIMIT 1",
        params![now],
        |row| {
            let post = Post {
                id: row.int(0)?,
                domain: row.text(1)?,
                url: row.text(2)?,
                body: row.bytes(3)?,
                tries: u32::try_from(row.int(4)?).unwrap_or(u32::MAX),
                made: row.id(5)?,
            };
            Ok((post, row.id::<Timestamp>(6)?))
        },
    )?;
    let Some((post, due)) = found else { return Ok(None) };
    let taken =
        tx.execute("UPDATE tls_post SET due = $1 WHERE id = $2 AND due = $3", params![now.plus(LEASE), post.id, due])?;
    Ok((taken > 0).then_some(post))
}

/// It is there, or nobody wants it: forgets it.
pub fn done(tx: &mut WriteTx, id: i64) -> Result<()> {
    tx.execute("DELETE FROM tls_post WHERE id = $1", params![id])?;
    Ok(())
}

/// An attempt failed: answers when it is tried again; `None`: it has been tried for long enough and is forgotten.
pub fn failed(tx: &mut WriteTx, post: &Post, now: Timestamp) -> Result<Option<Timestamp>> {
    let wait = FIRST_WAIT.saturating_mul(3u32.saturating_pow(post.tries)).min(LONGEST_WAIT);
    let due = now.plus(wait);
    if due > post.made.plus(KEPT_FOR) {
        done(tx, post.id)?;
        return Ok(None);
    }
    tx.execute(
        "UPDATE tls_post SET due = $1, tries = $2 WHERE id = $3",
        params![due, i64::from(post.tries.saturating_add(1)), post.id],
    )?;
    Ok(Some(due))
}

const TABLES: &str = "
CREATE TABLE tls_post (
    id BIGINT PRIMARY KEY,
    domain {text} NOT NULL,
    url {text} NOT NULL,
    body {bytes} NOT NULL,
    tries BIGINT NOT NULL,
    made BIGINT NOT NULL,
    due BIGINT NOT NULL
);
CREATE INDEX tls_post_due ON tls_post (due, id);
";

#[cfg(test)]
mod tests {
    use postroad_store::Locks;
    use postroad_testkit::each_store;

    use super::*;

    #[test]
    fn a_report_is_tried_for_a_day_and_each_time_later() {
        each_store(&[crate::MIGRATIONS], |test| {
            let done = test.store.write_blocking(Locks::none(), |tx| {
                let made = Timestamp(1_000_000);
                assert!(put(tx, "there.test", "https://there.test/", b"packed", made)?);
                let (mut now, mut minutes) = (made, Vec::new());
                loop {
                    let post = claim(tx, now)?.expect("it is due");
                    assert_eq!((post.body.as_slice(), post.made), (&b"packed"[..], made));
                    assert_eq!(claim(tx, now)?, None, "one at a time");
                    let Some(due) = failed(tx, &post, now)? else { break };
                    assert_eq!(claim(tx, Timestamp(due.0 - 1))?, None, "not before its time");
                    minutes.push((due.0 - made.0) / 60_000_000);
                    now = due;
                }
                assert_eq!(minutes, [5, 20, 65, 200, 440, 680, 920, 1_160, 1_400]);
                assert_eq!(claim(tx, made.plus(KEPT_FOR * 2))?, None, "it is forgotten");

                assert!(put(tx, "there.test", "https://there.test/", b"", made)?);
                let first = claim(tx, made)?.expect("it is due");
                let again = claim(tx, made.plus(LEASE))?.expect("who took it has stopped");
                assert_eq!(first, again);
                super::done(tx, first.id)?;
                assert_eq!(claim(tx, made.plus(KEPT_FOR))?, None);
                Ok::<_, postroad_store::Error>(())
            });
            done.expect("all of it is so");
        });
    }
}
