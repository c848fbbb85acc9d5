//! How sessions with other servers went, by day and domain: what TLS reports (RFC 8460) are written from.
//!
//! 1. A day is a day of UTC. A session counts once, under the policy that it met.
//! 2. Each kind of failure is a row with a count. A domain gets [`DETAILS_MAX`] rows for a policy and day; what comes after
//!    counts without its details.
//! 3. Counts are added: any number of nodes may record at a time.
//!
//! Whoever writes the reports asks [`domains`] for a day that is over, then [`of`] for each, and ends with [`sweep`].
//!
//! Standards: RFC 8460 §4.

use std::collections::HashMap;
use std::time::Duration;

use postroad_store::{Migration, Param, ReadTx, Result, Timestamp, WriteTx, params};

/// The tables of this topic.
pub(crate) const V1: Migration = Migration { owner: "tls-results", version: 1, sql: TABLES };

/// Rows of details for one policy of a domain and day.
pub const DETAILS_MAX: usize = 100;

/// A day of UTC, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

impl Day {
    /// The day of a moment.
    pub fn of(at: Timestamp) -> Day {
        Day(at.0.div_euclid(MICROS))
    }

    /// Its first moment.
    pub fn begins(self) -> Timestamp {
        Timestamp(self.0 * MICROS)
    }

    /// Its last second.
    pub fn ends(self) -> Timestamp {
        Timestamp((self.0 + 1) * MICROS).minus(Duration::from_secs(1))
    }
}

const MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// What kind of policy a session met. RFC 8460 §4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyKind {
    /// DANE.
    Tlsa,
    /// MTA-STS.
    Sts,
    /// Neither.
    NoPolicyFound,
}

impl PolicyKind {
    /// All.
    pub const ALL: [PolicyKind; 3] = [PolicyKind::Tlsa, PolicyKind::Sts, PolicyKind::NoPolicyFound];

    /// As reports have it.
    pub fn name(self) -> &'static str {
        match self {
            PolicyKind::Tlsa => "tlsa",
            PolicyKind::Sts => "sts",
            PolicyKind::NoPolicyFound => "no-policy-found",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<PolicyKind> {
        PolicyKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A policy, as reports show it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Policy {
    /// What kind.
    pub kind: PolicyKind,
    /// The policy domain: to whose addresses the mail went.
    pub domain: String,
    /// Its lines (`policy-string`): of the MTA-STS policy, or TLSA records in their text form.
    pub lines: Vec<String>,
    /// The hosts that it names (`mx-host`); of MTA-STS.
    pub hosts: Vec<String>,
}

/// What went wrong. RFC 8460 §4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// The host does not offer STARTTLS.
    StarttlsNotSupported,
    /// The certificate is for another name.
    CertificateHostMismatch,
    /// The certificate has expired, or is not valid yet.
    CertificateExpired,
    /// Nobody vouches for the certificate.
    CertificateNotTrusted,
    /// Something else about TLS.
    ValidationFailure,
    /// No TLSA record can be used, or none is met.
    TlsaInvalid,
    /// DNSSEC says that the answer about TLSA records is forged, or nobody answers.
    DnssecInvalid,
    /// DANE was demanded, and there are no TLSA records.
    DaneRequired,
    /// The MTA-STS policy could not be fetched.
    StsPolicyFetchError,
    /// What was fetched is no policy.
    StsPolicyInvalid,
    /// The host of the policy has no good certificate.
    StsWebpkiInvalid,
}

impl FailureKind {
    /// All.
    pub const ALL: [FailureKind; 11] = [
        FailureKind::StarttlsNotSupported,
        FailureKind::CertificateHostMismatch,
        FailureKind::CertificateExpired,
        FailureKind::CertificateNotTrusted,
        FailureKind::ValidationFailure,
        FailureKind::TlsaInvalid,
        FailureKind::DnssecInvalid,
        FailureKind::DaneRequired,
        FailureKind::StsPolicyFetchError,
        FailureKind::StsPolicyInvalid,
        FailureKind::StsWebpkiInvalid,
    ];

    /// As reports have it (`result-type`).
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::StarttlsNotSupported => "starttls-not-supported",
            FailureKind::CertificateHostMismatch => "certificate-host-mismatch",
            FailureKind::CertificateExpired => "certificate-expired",
            FailureKind::CertificateNotTrusted => "certificate-not-trusted",
            FailureKind::ValidationFailure => "validation-failure",
            FailureKind::TlsaInvalid => "tlsa-invalid",
            FailureKind::DnssecInvalid => "dnssec-invalid",
            FailureKind::DaneRequired => "dane-required",
            FailureKind::StsPolicyFetchError => "sts-policy-fetch-error",
            FailureKind::StsPolicyInvalid => "sts-policy-invalid",
            FailureKind::StsWebpkiInvalid => "sts-webpki-invalid",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<FailureKind> {
        FailureKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A way in which sessions failed. Texts are empty where nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Failure {
    /// What went wrong (`result-type`).
    pub kind: FailureKind,
    /// Our address (`sending-mta-ip`).
    pub sending_address: String,
    /// The host's name (`receiving-mx-hostname`).
    pub host: String,
    /// The host's address (`receiving-ip`).
    pub host_address: String,
    /// In words, for people (`failure-reason-code`).
    pub reason: String,
}

impl Failure {
    /// Of this kind; nothing more is known.
    pub fn new(kind: FailureKind) -> Failure {
        let (sending_address, host, host_address) = (String::new(), String::new(), String::new());
        Failure { kind, sending_address, host, host_address, reason: String::new() }
    }
}

/// Sessions of a day that met one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// When.
    pub day: Day,
    /// What they met.
    pub policy: Policy,
    /// How many did as it wants.
    pub successes: u64,
    /// How many did not.
    pub failures: u64,
    /// In which ways, and how often; the sum is `failures`.
    pub details: Vec<(Failure, u64)>,
}

/// Adds what was counted.
pub fn record(tx: &mut WriteTx, tallies: &[Tally]) -> Result<()> {
    let rows: Vec<Row> = tallies.iter().map(Row::of).collect();
    let policies: Vec<[Param<'_>; 8]> = tallies.iter().zip(&rows).map(|(tally, row)| row.policy(tally)).collect();
    tx.insert_rows(
        "INSERT INTO tls_result (day, domain, policy, kind, lines, hosts, successes, failures)",
        &policies,
        "ON CONFLICT (day, domain, policy) DO UPDATE SET successes = tls_result.successes + excluded.successes,
            failures = tls_result.failures + excluded.failures",
    )?;
    let known = details_known(tx, &rows)?;
    // By key: one statement must not touch a row twice.
    let mut sums: HashMap<(usize, i64), (Failure, u64)> = HashMap::new();
    for (number, (tally, row)) in tallies.iter().zip(&rows).enumerate() {
        let there = known.get(&(row.day, row.domain.clone(), row.policy)).copied().unwrap_or(0);
        for (there, (failure, count)) in (there..).zip(&tally.details) {
            let failure = match there < DETAILS_MAX {
                true => failure.clone(),
                false => Failure::new(failure.kind),
            };
            sums.entry((number, fingerprint(&failure))).or_insert((failure, 0)).1 += count;
        }
    }
    let counts: Vec<_> = sums.values().map(|(_, count)| signed(*count)).collect();
    let details: Vec<[Param<'_>; 10]> = sums
        .iter()
        .zip(&counts)
        .filter_map(|(((number, print), (failure, _)), count)| Some(rows.get(*number)?.detail(*print, failure, *count)))
        .collect();
    tx.insert_rows(
        "INSERT INTO tls_failure
            (day, domain, policy, failure, kind, sending_address, host, host_address, reason, sessions)",
        &details,
        "ON CONFLICT (day, domain, policy, failure) DO UPDATE SET sessions = tls_failure.sessions + excluded.sessions",
    )?;
    Ok(())
}

/// How many rows of details there are already, by day, domain and policy.
fn details_known(tx: &ReadTx, rows: &[Row]) -> Result<HashMap<(i64, String, i64), usize>> {
    let mut days: Vec<i64> = rows.iter().map(|row| row.day).collect();
    days.sort_unstable();
    days.dedup();
    let domains: Vec<&str> = rows.iter().map(|row| row.domain.as_str()).collect();
    let counted = tx.rows(
        "SELECT day, domain, policy, CAST(count(*) AS BIGINT) FROM tls_failure
         WHERE day {in:$1} AND domain {in:$2} GROUP BY day, domain, policy",
        params![&days, &domains],
        |row| Ok(((row.int(0)?, row.text(1)?, row.int(2)?), usize::try_from(row.int(3)?).unwrap_or(usize::MAX))),
    )?;
    Ok(counted.into_iter().collect())
}

/// Domains that mail went to on a day, by name, after this one.
pub fn domains(tx: &ReadTx, day: Day, after: &str, limit: u32) -> Result<Vec<String>> {
    tx.rows(
        "SELECT DISTINCT domain FROM tls_result WHERE day = $1 AND domain > $2 ORDER BY domain LIMIT $3",
        params![day.0, after, limit],
        |row| row.text(0),
    )
}

/// What was counted for a domain on a day, one for each policy that was met.
pub fn of(tx: &ReadTx, day: Day, domain: &str) -> Result<Vec<Tally>> {
    let found = tx.rows(
        "SELECT policy, kind, lines, hosts, successes, failures FROM tls_result
         WHERE day = $1 AND domain = $2 ORDER BY kind, policy",
        params![day.0, domain],
        |row| {
            let kind = PolicyKind::from_name(&row.text(1)?).unwrap_or(PolicyKind::NoPolicyFound);
            let policy =
                Policy { kind, domain: domain.to_owned(), lines: split(&row.text(2)?), hosts: split(&row.text(3)?) };
            let (successes, failures) = (row.int(4)?.unsigned_abs(), row.int(5)?.unsigned_abs());
            Ok((row.int(0)?, Tally { day, policy, successes, failures, details: Vec::new() }))
        },
    )?;
    let mut details: HashMap<i64, Vec<(Failure, u64)>> = HashMap::new();
    tx.each(
        "SELECT policy, kind, sending_address, host, host_address, reason, sessions FROM tls_failure
         WHERE day = $1 AND domain = $2 ORDER BY policy, sessions DESC, failure",
        params![day.0, domain],
        |row| {
            let kind = FailureKind::from_name(&row.text(1)?).unwrap_or(FailureKind::ValidationFailure);
            let (sending_address, host, host_address) = (row.text(2)?, row.text(3)?, row.text(4)?);
            let failure = Failure { kind, sending_address, host, host_address, reason: row.text(5)? };
            details.entry(row.int(0)?).or_default().push((failure, row.int(6)?.unsigned_abs()));
            Ok(std::ops::ControlFlow::Continue(()))
        },
    )?;
    let with = |(policy, tally)| Tally { details: details.remove(&policy).unwrap_or_default(), ..tally };
    Ok(found.into_iter().map(with).collect())
}

/// Forgets the days before this one.
pub fn sweep(tx: &mut WriteTx, before: Day) -> Result<u64> {
    tx.execute("DELETE FROM tls_failure WHERE day < $1", params![before.0])?;
    tx.execute("DELETE FROM tls_result WHERE day < $1", params![before.0])
}

/// A tally on its way into the tables.
struct Row {
    day: i64,
    domain: String,
    policy: i64,
    lines: String,
    hosts: String,
}

impl Row {
    fn of(tally: &Tally) -> Row {
        let policy = &tally.policy;
        Row {
            day: tally.day.0,
            domain: policy.domain.clone(),
            policy: fingerprint(&(policy.kind.name(), &policy.lines, &policy.hosts)),
            lines: policy.lines.join("\n"),
            hosts: policy.hosts.join("\n"),
        }
    }

    fn policy<'a>(&'a self, tally: &'a Tally) -> [Param<'a>; 8] {
        [
            Param::from(self.day),
            Param::from(&self.domain),
            Param::from(self.policy),
            Param::from(tally.policy.kind.name()),
            Param::from(&self.lines),
            Param::from(&self.hosts),
            Param::from(signed(tally.successes)),
            Param::from(signed(tally.failures)),
        ]
    }

    fn detail<'a>(&'a self, print: i64, failure: &'a Failure, count: i64) -> [Param<'a>; 10] {
        [
            Param::from(self.day),
            Param::from(&self.domain),
            Param::from(self.policy),
            Param::from(print),
            Param::from(failure.kind.name()),
            Param::from(&failure.sending_address),
            Param::from(&failure.host),
            Param::from(&failure.host_address),
            Param::from(&failure.reason),
            Param::from(count),
        ]
    }
}

/// The same on every node: texts are too long for a key on their own.
fn fingerprint(value: &impl std::fmt::Debug) -> i64 {
    let hash = blake3::hash(format!("{value:?}").as_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn split(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

const TABLES: &str = "
CREATE TABLE tls_result (
    day BIGINT NOT NULL,
    domain {text} NOT NULL,
    policy BIGINT NOT NULL,
    kind {text} NOT NULL,
    lines {text} NOT NULL,
    hosts {text} NOT NULL,
    successes BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    PRIMARY KEY (day, domain, policy)
) {clustered};
CREATE TABLE tls_failure (
    day BIGINT NOT NULL,
    domain {text} NOT NULL,
    policy BIGINT NOT NULL,
    failure BIGINT NOT NULL,
    kind {text} NOT NULL,
    sending_address {text} NOT NULL,
    host {text} NOT NULL,
    host_address {text} NOT NULL,
    reason {text} NOT NULL,
    sessions BIGINT NOT NULL,
    PRIMARY KEY (day, domain, policy, failure)
) {clustered};
";

#[cfg(test)]
mod tests {
    use postroad_store::Locks;
    use postroad_testkit::each_store;

    use super::*;

    fn policy(domain: &str, kind: PolicyKind) -> Policy {
        Policy {
            kind,
            domain: domain.into(),
            lines: vec!["version: STSv1".into(), "mode: enforce".into()],
            hosts: vec!["*.there.test".into()],
        }
    }

    fn failure(number: usize) -> Failure {
        Failure { host: format!("mx{number}.there.test"), ..Failure::new(FailureKind::CertificateExpired) }
    }

    fn tally(day: i64, domain: &str, kind: PolicyKind, successes: u64, details: &[(Failure, u64)]) -> Tally {
        let failures = details.iter().map(|(_, count)| count).sum();
        Tally { day: Day(day), policy: policy(domain, kind), successes, failures, details: details.to_vec() }
    }

    #[test]
    fn counts_of_many_add_up() {
        each_store(&[crate::MIGRATIONS], |test| {
            let recorded = test.store.write_blocking(Locks::none(), move |tx| {
                let sts = tally(7, "there.test", PolicyKind::Sts, 3, &[(failure(1), 1), (failure(2), 5)]);
                let none = tally(7, "there.test", PolicyKind::NoPolicyFound, 2, &[]);
                record(tx, &[sts.clone(), none.clone(), tally(7, "also.test", PolicyKind::Tlsa, 1, &[])])?;
                record(tx, &[sts, tally(8, "there.test", PolicyKind::Sts, 1, &[])])?;
                record(tx, &[])?;
                assert_eq!(domains(tx, Day(7), "", 9)?, ["also.test", "there.test"]);
                assert_eq!(domains(tx, Day(7), "also.test", 9)?, ["there.test"]);
                let expected = tally(7, "there.test", PolicyKind::Sts, 6, &[(failure(2), 10), (failure(1), 2)]);
                assert_eq!(of(tx, Day(7), "there.test")?, [none, expected]);
                assert_eq!(sweep(tx, Day(8))?, 3);
                assert_eq!((of(tx, Day(7), "there.test")?.len(), of(tx, Day(8), "there.test")?.len()), (0, 1));
                Ok::<_, postroad_store::Error>(())
            });
            recorded.expect("all of it is so");
        });
    }

    #[test]
    fn details_have_a_limit_and_sessions_none() {
        each_store(&[crate::MIGRATIONS], |test| {
            let recorded = test.store.write_blocking(Locks::none(), move |tx| {
                for first in [0, 80, 160] {
                    let details: Vec<_> = (first..first + 80).map(|number| (failure(number), 2)).collect();
                    record(tx, &[tally(7, "there.test", PolicyKind::Sts, 0, &details)])?;
                }
                let found = of(tx, Day(7), "there.test")?.remove(0);
                assert_eq!((found.failures, found.details.len()), (480, DETAILS_MAX + 1));
                assert_eq!(found.details.iter().map(|(_, count)| count).sum::<u64>(), 480);
                assert_eq!(found.details[0], (Failure::new(FailureKind::CertificateExpired), 280));
                Ok::<_, postroad_store::Error>(())
            });
            recorded.expect("all of it is so");
        });
    }

    #[test]
    fn a_day_is_a_day_of_utc() {
        for (micros, day) in [(0, 0), (MICROS - 1, 0), (MICROS, 1), (-1, -1)] {
            assert_eq!(Day::of(Timestamp(micros)), Day(day));
        }
        assert_eq!((Day(2).begins(), Day(2).ends()), (Timestamp(2 * MICROS), Timestamp(3 * MICROS - 1_000_000)));
    }
}
