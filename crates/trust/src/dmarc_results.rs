//! What was found about mail that came in, by day and policy domain: what aggregate reports of DMARC are written from.
//!
//! 1. A message is one row of `dmarc_seen`, inserted in the transaction that delivers or refuses it. Nothing is updated there,
//!    so that deliveries never wait for each other.
//! 2. [`fold`] moves these rows to where equal ones are counted: `dmarc_result`. Whoever reads folds first.
//! 3. A day and a domain have at most [`ROWS_MAX`] different rows; what comes after is counted as left out.
//! 4. What has been sent is known by [`mark`], in the transaction that queues it: nobody gets a report twice.
//!
//! Standards: RFC 9990 §2.

use std::collections::BTreeMap;

use postroad_mailauth::report::aggregate::{Published, Record, Report};
use postroad_mailauth::report::{self, Limits};
use postroad_store::{Migration, Param, ReadTx, Result, Timestamp, WriteTx, new_id, params};

pub use crate::tls_results::Day;

/// The tables of this topic.
pub(crate) const V1: Migration = Migration { owner: "dmarc-results", version: 1, sql: TABLES };

/// Different rows of one day and domain.
pub const ROWS_MAX: usize = 20_000;

/// A message, as a report tells of it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// Where the record was found.
    pub published: Published,
    /// Its `rua`.
    pub rua: Vec<String>,
    /// What was found; counts as one message.
    pub record: Record,
}

/// Writes a message down. One statement.
pub fn record(tx: &mut WriteTx, seen: &Seen) -> Result<()> {
    let content = written(seen.published.clone(), Some(Record { count: 1, ..seen.record.clone() }));
    tx.execute(
        "INSERT INTO dmarc_seen (id, day, domain, rua, content) VALUES ($1, $2, $3, $4, $5)",
        params![
            new_id(),
            Day::of(seen.at).0,
            seen.published.domain.as_str(),
            seen.rua.join("\n").as_str(),
            content.as_str()
        ],
    )?;
    Ok(())
}

/// Counts what was written down; call again while it answers `limit`. Locks: [`LOCK`].
pub fn fold(tx: &mut WriteTx, limit: u32) -> Result<u64> {
    let seen =
        tx.rows("SELECT id, day, domain, rua, content FROM dmarc_seen ORDER BY id LIMIT $1", params![limit], |row| {
            Ok((row.int(0)?, (row.int(1)?, row.text(2)?), row.text(3)?, row.text(4)?))
        })?;
    let mut results: BTreeMap<(i64, String), BTreeMap<i64, (String, i64)>> = BTreeMap::new();
    let mut policies: BTreeMap<(i64, String), (String, String)> = BTreeMap::new();
    let ids: Vec<i64> = seen.iter().map(|(id, ..)| *id).collect();
    for (_, place, rua, content) in seen {
        results.entry(place.clone()).or_default().entry(print(&content)).or_insert((content.clone(), 0)).1 += 1;
        policies.insert(place, (rua, content));
    }
    for ((day, domain), rows) in &results {
        let known = known(tx, *day, domain)?;
        let mut left_out = 0;
        let mut kept: Vec<[Param<'_>; 5]> = Vec::new();
        for (place, (row, (content, count))) in rows.iter().enumerate() {
            match known + place < ROWS_MAX {
                true => kept.push([
                    (*day).into(),
                    domain.as_str().into(),
                    (*row).into(),
                    content.as_str().into(),
                    (*count).into(),
                ]),
                false => left_out += count,
            }
        }
        tx.insert_rows(
            "INSERT INTO dmarc_result (day, domain, row, content, messages)",
            &kept,
            "ON CONFLICT (day, domain, row) DO UPDATE SET messages = dmarc_result.messages + excluded.messages",
        )?;
        if let Some((rua, content)) = policies.get(&(*day, domain.clone())) {
            // The newest policy of the day is the one that is told.
            tx.execute(
                "INSERT INTO dmarc_policy (day, domain, rua, content, left_out) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (day, domain) DO UPDATE SET rua = excluded.rua, content = excluded.content,
                    left_out = dmarc_policy.left_out + excluded.left_out",
                params![*day, domain.as_str(), rua.as_str(), content.as_str(), left_out],
            )?;
        }
    }
    tx.execute("DELETE FROM dmarc_seen WHERE id {in:$1}", params![&ids])?;
    Ok(ids.len() as u64)
}

/// All folding waits for each other under this name.
pub const LOCK: &str = "dmarc results";

fn known(tx: &ReadTx, day: i64, domain: &str) -> Result<usize> {
    let count = tx.one(
        "SELECT CAST(count(*) AS BIGINT) FROM dmarc_result WHERE day = $1 AND domain = $2",
        params![day, domain],
        |row| row.int(0),
    )?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// What there is to report of a domain.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// The policy.
    pub published: Published,
    /// Where it wants to hear of it.
    pub rua: Vec<String>,
    /// The rows, with their counts.
    pub records: Vec<Record>,
    /// Messages that are counted and not told.
    pub left_out: u64,
}

/// Domains of a day, by name, after this one.
pub fn domains(tx: &ReadTx, day: Day, after: &str, limit: u32) -> Result<Vec<String>> {
    tx.rows(
        "SELECT domain FROM dmarc_policy WHERE day = $1 AND domain > $2 ORDER BY domain LIMIT $3",
        params![day.0, after, limit],
        |row| row.text(0),
    )
}

/// What there is to report of a domain's mail on a day.
pub fn of(tx: &ReadTx, day: Day, domain: &str) -> Result<Option<Gathered>> {
    let policy = tx.row(
        "SELECT rua, content, left_out FROM dmarc_policy WHERE day = $1 AND domain = $2",
        params![day.0, domain],
        |row| Ok((row.text(0)?, row.text(1)?, row.int(2)?)),
    )?;
    let Some((rua, content, left_out)) = policy else { return Ok(None) };
    let Some(published) = read(&content).map(|report| report.published) else { return Ok(None) };
    let rows = tx.rows(
        "SELECT content, messages FROM dmarc_result WHERE day = $1 AND domain = $2 ORDER BY messages DESC, row",
        params![day.0, domain],
        |row| Ok((row.text(0)?, row.int(1)?)),
    )?;
    let records = rows.into_iter().filter_map(|(content, count)| {
        let record = read(&content)?.records.into_iter().next()?;
        Some(Record { count: count.unsigned_abs(), ..record })
    });
    let rua = rua.lines().map(str::to_owned).collect();
    Ok(Some(Gathered { published, rua, records: records.collect(), left_out: left_out.unsigned_abs() }))
}

/// Which kind of report was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// About DMARC.
    Dmarc,
    /// About TLS.
    Tls,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Dmarc => "dmarc",
            Kind::Tls => "tls",
        }
    }
}

/// Marks a domain's report of a day as dealt with; `false`, when it was already.
pub fn mark(tx: &mut WriteTx, kind: Kind, day: Day, domain: &str, said: &str, now: Timestamp) -> Result<bool> {
    let new = tx.execute(
        "INSERT INTO report_sent (kind, day, domain, at, said) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (kind, day, domain) DO NOTHING",
        params![kind.name(), day.0, domain, now, said],
    )?;
    Ok(new > 0)
}

/// What was said of a domain's report when it was dealt with.
pub fn marked(tx: &ReadTx, kind: Kind, day: Day, domain: &str) -> Result<Option<String>> {
    tx.row(
        "SELECT said FROM report_sent WHERE kind = $1 AND day = $2 AND domain = $3",
        params![kind.name(), day.0, domain],
        |row| row.text(0),
    )
}

/// Counts a letter with a report that went to a domain on a day.
pub fn count_letter(tx: &mut WriteTx, day: Day, to: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO report_letters_out (day, domain, letters) VALUES ($1, $2, 1)
         ON CONFLICT (day, domain) DO UPDATE SET letters = report_letters_out.letters + 1",
        params![day.0, to],
    )?;
    Ok(())
}

/// How many letters with reports went to a domain on a day.
pub fn letters(tx: &ReadTx, day: Day, to: &str) -> Result<u64> {
    let found =
        tx.row("SELECT letters FROM report_letters_out WHERE day = $1 AND domain = $2", params![day.0, to], |row| {
            row.int(0)
        })?;
    Ok(found.unwrap_or_default().unsigned_abs())
}

/// Forgets the days before this one.
pub fn sweep(tx: &mut WriteTx, before: Day) -> Result<()> {
    for table in ["dmarc_seen", "dmarc_result", "dmarc_policy", "report_sent", "report_letters_out"] {
        tx.execute(&format!("DELETE FROM {table} WHERE day < $1"), params![before.0])?;
    }
    Ok(())
}

/// A row as it is stored: a report with nothing but it.
fn written(published: Published, record: Option<Record>) -> String {
    let text = String::new;
    let report = Report {
        organization: "-".to_owned(),
        email: text(),
        contact: text(),
        id: text(),
        begin: 0,
        end: 0,
        errors: Vec::new(),
        generator: text(),
        published,
        records: record.into_iter().collect(),
        skipped: 0,
    };
    report.write()
}

fn read(content: &str) -> Option<Report> {
    let read: std::result::Result<Report, report::Error> = Report::read(content.as_bytes(), &Limits::default());
    read.ok()
}

fn print(content: &str) -> i64 {
    let hash = blake3::hash(content.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    i64::from_le_bytes(first)
}

const TABLES: &str = "
CREATE TABLE dmarc_seen (
    id BIGINT PRIMARY KEY,
    day BIGINT NOT NULL,
    domain {text} NOT NULL,
    rua {text} NOT NULL,
    content {text} NOT NULL
);
CREATE TABLE dmarc_result (
    day BIGINT NOT NULL,
    domain {text} NOT NULL,
    row BIGINT NOT NULL,
    content {text} NOT NULL,
    messages BIGINT NOT NULL,
    PRIMARY KEY (day, domain, row)
) {clustered};
CREATE TABLE dmarc_policy (
    day BIGINT NOT NULL,
    domain {text} NOT NULL,
    rua {text} NOT NULL,
    content {text} NOT NULL,
    left_out BIGINT NOT NULL,
    PRIMARY KEY (day, domain)
) {clustered};
CREATE TABLE report_sent (
    kind {text} NOT NULL,
    day BIGINT NOT NULL,
    domain {text} NOT NULL,
    at BIGINT NOT NULL,
    said {text} NOT NULL,
    PRIMARY KEY (kind, day, domain)
) {clustered};
CREATE TABLE report_letters_out (
    day BIGINT NOT NULL,
    domain {text} NOT NULL,
    letters BIGINT NOT NULL,
    PRIMARY KEY (day, domain)
) {clustered};
";

#[cfg(test)]
mod tests {
    use postroad_mailauth::report::aggregate::Disposition;
    use postroad_store::Locks;
    use postroad_testkit::each_store;

    use super::*;

    fn seen(source: &str, dkim: bool) -> Seen {
        Seen {
            at: Timestamp(1),
            published: Published { domain: "there.test".into(), ..Published::default() },
            rua: vec!["mailto:r@there.test".into()],
            record: Record {
                source: source.parse().expect("an address"),
                count: 1,
                disposition: Disposition::None,
                dkim,
                spf: false,
                reasons: Vec::new(),
                header_from: "there.test".into(),
                envelope_from: String::new(),
                envelope_to: "here.test".into(),
                signatures: Vec::new(),
                senders: Vec::new(),
            },
        }
    }

    #[test]
    fn equal_messages_are_one_row() {
        each_store(&[crate::MIGRATIONS], |test| {
            let done = test.store.write_blocking(Locks::none(), |tx| {
                for _ in 0..3 {
                    record(tx, &seen("192.0.2.1", true))?;
                }
                assert_eq!(fold(tx, 2)?, 2);
                record(tx, &seen("192.0.2.2", false))?;
                while fold(tx, 2)? > 0 {}
                assert_eq!(domains(tx, Day(0), "", 9)?, ["there.test"]);
                assert!(domains(tx, Day(1), "", 9)?.is_empty());
                let found = of(tx, Day(0), "there.test")?.expect("it was seen");
                assert_eq!((found.rua.as_slice(), found.left_out), (&["mailto:r@there.test".to_owned()][..], 0));
                let expected = [Record { count: 3, ..seen("192.0.2.1", true).record }, seen("192.0.2.2", false).record];
                assert_eq!(found.records, expected);
                assert!(mark(tx, Kind::Dmarc, Day(0), "there.test", "sent", Timestamp(2))?);
                assert!(!mark(tx, Kind::Dmarc, Day(0), "there.test", "again", Timestamp(3))?);
                assert_eq!(marked(tx, Kind::Dmarc, Day(0), "there.test")?.as_deref(), Some("sent"));
                assert_eq!(marked(tx, Kind::Tls, Day(0), "there.test")?, None);
                count_letter(tx, Day(0), "there.test")?;
                count_letter(tx, Day(0), "there.test")?;
                assert_eq!((letters(tx, Day(0), "there.test")?, letters(tx, Day(1), "there.test")?), (2, 0));
                sweep(tx, Day(1))?;
                assert!(
                    of(tx, Day(0), "there.test")?.is_none() && marked(tx, Kind::Dmarc, Day(0), "there.test")?.is_none()
                );
                Ok::<_, postroad_store::Error>(())
            });
            done.expect("all of it is so");
        });
    }
}
