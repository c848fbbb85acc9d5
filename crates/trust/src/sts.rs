//! MTA-STS: policies of other domains that are kept for their time, and those of our own.
//!
//! A policy that was fetched is believed until it expires, whatever becomes of the domain's DNS and web server meanwhile:
//! that is what makes it worth something against who can change both (RFC 8461 §10.2). Nothing is fetched here.
//!
//! Standards: RFC 8461.

mod words;

use std::time::Duration;

use postroad_store::{Migration, ReadTx, Result, Timestamp, WriteTx, params};

pub use words::{FILE_MAX, MAX_AGE, Mode, PATH, Policy, policy_host, record, record_id};

/// The tables of this topic.
pub(crate) const V1: Migration = Migration { owner: "sts", version: 1, sql: TABLES };

/// A policy of another domain, as it was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// The domain that published it.
    pub domain: String,
    /// The id of its record at that time.
    pub id: String,
    /// What it says.
    pub policy: Policy,
    /// When.
    pub fetched: Timestamp,
    /// Until when it is believed.
    pub expires: Timestamp,
    /// When mail went there last, to the day.
    pub used: Timestamp,
}

impl Cached {
    /// A policy that was fetched now.
    pub fn new(domain: impl Into<String>, id: impl Into<String>, policy: Policy, now: Timestamp) -> Cached {
        let expires = now.plus(policy.max_age);
        Cached { domain: domain.into(), id: id.into(), policy, fetched: now, expires, used: now }
    }

    /// Whether it may still be believed.
    pub fn is_good(&self, now: Timestamp) -> bool {
        now < self.expires
    }
}

/// What is kept of a domain, expired or not.
pub fn cached(tx: &ReadTx, domain: &str) -> Result<Option<Cached>> {
    let found = tx.row(&format!("SELECT {COLUMNS} FROM sts_policy WHERE domain = $1"), params![domain], read)?;
    Ok(found.flatten())
}

/// Keeps a policy in place of what was known of its domain.
pub fn keep(tx: &mut WriteTx, cached: &Cached) -> Result<()> {
    let Cached { domain, id, policy, fetched, expires, used } = cached;
    tx.execute(
        "INSERT INTO sts_policy (domain, id, mode, max_age, mx, fetched, expires, used)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (domain) DO UPDATE SET id = excluded.id, mode = excluded.mode, max_age = excluded.max_age,
            mx = excluded.mx, fetched = excluded.fetched, expires = excluded.expires, used = excluded.used",
        params![
            domain,
            id,
            policy.mode.name(),
            seconds(policy.max_age),
            &policy.mx.join(" "),
            *fetched,
            *expires,
            *used
        ],
    )?;
    Ok(())
}

/// Mail goes to this domain: its policy is worth being renewed.
pub fn used(tx: &mut WriteTx, domain: &str, now: Timestamp) -> Result<()> {
    tx.execute("UPDATE sts_policy SET used = $2 WHERE domain = $1", params![domain, now])?;
    Ok(())
}

/// Forgets what is known of a domain. Says whether there was something.
pub fn forget(tx: &mut WriteTx, domain: &str) -> Result<bool> {
    Ok(tx.execute("DELETE FROM sts_policy WHERE domain = $1", params![domain])? > 0)
}

/// Policies to be renewed before they expire (RFC 8461 §3.3 and §10.2): fetched before `before`, and mail went there after
/// `used_after`. Those that expire first come first.
pub fn due(tx: &ReadTx, before: Timestamp, used_after: Timestamp, limit: u32) -> Result<Vec<Cached>> {
    let sql =
        format!("SELECT {COLUMNS} FROM sts_policy WHERE fetched < $1 AND used > $2 ORDER BY expires, domain LIMIT $3");
    Ok(tx.rows(&sql, params![before, used_after, limit], read)?.into_iter().flatten().collect())
}

/// Removes what has expired. Says how many.
pub fn sweep(tx: &mut WriteTx, now: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM sts_policy WHERE expires <= $1", params![now])
}

/// What is known of other domains, by name, after this one.
pub fn list(tx: &ReadTx, after: &str, limit: u32) -> Result<Vec<Cached>> {
    let sql = format!("SELECT {COLUMNS} FROM sts_policy WHERE domain > $1 ORDER BY domain LIMIT $2");
    Ok(tx.rows(&sql, params![after, limit], read)?.into_iter().flatten().collect())
}

/// What a domain of ours says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// What others shall do with hosts that the policy does not name.
    pub mode: Mode,
    /// How long they may keep it.
    pub max_age: Duration,
    /// The hosts that take its mail; none: this server.
    pub mx: Vec<String>,
}

impl Default for Own {
    /// What a domain has of which nobody said anything: others try it, report, and keep it for a day.
    fn default() -> Own {
        Own { mode: Mode::Testing, max_age: Duration::from_secs(24 * 60 * 60), mx: Vec::new() }
    }
}

impl Own {
    /// The policy, for a server of this name.
    pub fn policy(&self, hostname: &str) -> Policy {
        let mx = match self.mx.is_empty() {
            true => vec![hostname.trim_end_matches('.').to_ascii_lowercase()],
            false => self.mx.clone(),
        };
        Policy { mode: self.mode, max_age: self.max_age, mx }
    }
}

/// What was set for a domain of ours; `None`: nothing, and [`Own::default`] holds.
pub fn own(tx: &ReadTx, domain: &str) -> Result<Option<Own>> {
    let sql = "SELECT mode, max_age, mx FROM sts_own WHERE domain = $1";
    let found = tx.row(sql, params![domain], |row| own_row(row, 0))?;
    Ok(found.flatten())
}

/// All that was set, by domain.
pub fn owns(tx: &ReadTx) -> Result<Vec<(String, Own)>> {
    let sql = "SELECT domain, mode, max_age, mx FROM sts_own ORDER BY domain";
    let rows = tx.rows(sql, params![], |row| Ok((row.text(0)?, own_row(row, 1)?)))?;
    Ok(rows.into_iter().filter_map(|(domain, own)| Some((domain, own?))).collect())
}

/// Sets what a domain of ours says.
pub fn set_own(tx: &mut WriteTx, domain: &str, own: &Own) -> Result<()> {
    tx.execute(
        "INSERT INTO sts_own (domain, mode, max_age, mx) VALUES ($1, $2, $3, $4)
         ON CONFLICT (domain) DO UPDATE SET mode = excluded.mode, max_age = excluded.max_age, mx = excluded.mx",
        params![domain, own.mode.name(), seconds(own.max_age), &own.mx.join(" ")],
    )?;
    Ok(())
}

/// Back to [`Own::default`]. Says whether something was set.
pub fn unset_own(tx: &mut WriteTx, domain: &str) -> Result<bool> {
    Ok(tx.execute("DELETE FROM sts_own WHERE domain = $1", params![domain])? > 0)
}

fn own_row(row: &postroad_store::Row<'_>, first: usize) -> Result<Option<Own>> {
    let (mode, max_age, mx) = (row.text(first)?, row.int(first + 1)?, row.text(first + 2)?);
    Ok(policy(&mode, max_age, &mx).map(|Policy { mode, max_age, mx }| Own { mode, max_age, mx }))
}

/// A row that says what no policy says counts as none: it is fetched again.
fn read(row: &postroad_store::Row<'_>) -> Result<Option<Cached>> {
    let (mode, max_age, mx) = (row.text(2)?, row.int(3)?, row.text(4)?);
    let Some(policy) = policy(&mode, max_age, &mx) else { return Ok(None) };
    let time = |column| row.int(column).map(Timestamp);
    let (fetched, expires, used) = (time(5)?, time(6)?, time(7)?);
    Ok(Some(Cached { domain: row.text(0)?, id: row.text(1)?, policy, fetched, expires, used }))
}

fn policy(mode: &str, max_age: i64, mx: &str) -> Option<Policy> {
    let max_age = Duration::from_secs(u64::try_from(max_age).ok()?).min(MAX_AGE);
    Some(Policy { mode: Mode::from_name(mode)?, max_age, mx: mx.split_whitespace().map(str::to_owned).collect() })
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

const COLUMNS: &str = "domain, id, mode, max_age, mx, fetched, expires, used";

const TABLES: &str = "
CREATE TABLE sts_policy (
    domain {text} PRIMARY KEY,
    id {text} NOT NULL,
    mode {text} NOT NULL,
    max_age BIGINT NOT NULL,
    mx {text} NOT NULL,
    fetched BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    used BIGINT NOT NULL
);
CREATE INDEX sts_policy_expires ON sts_policy (expires, domain);
CREATE TABLE sts_own (
    domain {text} PRIMARY KEY,
    mode {text} NOT NULL,
    max_age BIGINT NOT NULL,
    mx {text} NOT NULL
);
";

#[cfg(test)]
mod tests {
    use postroad_store::Locks;
    use postroad_testkit::each_store;

    use super::*;

    const DAY: i64 = 24 * 60 * 60 * 1_000_000;

    #[test]
    fn policies_are_kept_for_their_time() {
        each_store(&[crate::MIGRATIONS], |test| {
            let policy = |mx: &str, days: u64| Policy {
                mode: Mode::Enforce,
                max_age: Duration::from_secs(days * 24 * 60 * 60),
                mx: vec![mx.to_owned(), "*.there.test".to_owned()],
            };
            let kept = test.store.write_blocking(Locks::none(), move |tx| {
                let first = Cached::new("there.test", "1", policy("a.test", 7), Timestamp(0));
                keep(tx, &first)?;
                assert_eq!(cached(tx, "there.test")?, Some(first.clone()));
                assert_eq!((first.is_good(Timestamp(7 * DAY - 1)), first.is_good(Timestamp(7 * DAY))), (true, false));
                let second = Cached::new("there.test", "2", policy("b.test", 30), Timestamp(DAY));
                keep(tx, &second)?;
                assert_eq!(cached(tx, "there.test")?, Some(second.clone()), "in the first one's place");
                keep(tx, &Cached::new("short.test", "1", policy("a.test", 1), Timestamp(DAY)))?;
                let names = |found: Vec<Cached>| found.into_iter().map(|one| one.domain).collect::<Vec<_>>();
                assert_eq!(names(due(tx, Timestamp(2 * DAY), Timestamp(0), 9)?), ["short.test", "there.test"]);
                assert!(due(tx, Timestamp(DAY), Timestamp(0), 9)?.is_empty(), "both are fresh");
                used(tx, "there.test", Timestamp(3 * DAY))?;
                assert_eq!(names(due(tx, Timestamp(4 * DAY), Timestamp(2 * DAY), 9)?), ["there.test"]);
                assert_eq!(names(list(tx, "", 9)?), ["short.test", "there.test"]);
                assert_eq!(names(list(tx, "short.test", 9)?), ["there.test"]);
                assert_eq!(sweep(tx, Timestamp(2 * DAY))?, 1);
                assert_eq!(cached(tx, "short.test")?, None);
                assert!(forget(tx, "there.test")? && !forget(tx, "there.test")?);
                Ok::<_, postroad_store::Error>(())
            });
            kept.expect("all of it is so");
        });
    }

    #[test]
    fn our_own_policies_are_set_and_unset() {
        each_store(&[crate::MIGRATIONS], |test| {
            let set = test.store.write_blocking(Locks::none(), move |tx| {
                assert_eq!(own(tx, "here.test")?, None);
                let strict = Own { mode: Mode::Enforce, max_age: Duration::from_secs(60), mx: vec!["a.test".into()] };
                set_own(tx, "here.test", &strict)?;
                set_own(tx, "here.test", &Own { mx: Vec::new(), ..strict.clone() })?;
                assert_eq!(
                    own(tx, "here.test")?.map(|own| own.policy("MX.here.test.").mx),
                    Some(vec!["mx.here.test".into()])
                );
                set_own(tx, "here.test", &strict)?;
                assert_eq!(owns(tx)?, [("here.test".to_owned(), strict)]);
                assert!(unset_own(tx, "here.test")? && !unset_own(tx, "here.test")?);
                Ok::<_, postroad_store::Error>(())
            });
            set.expect("all of it is so");
        });
    }
}
