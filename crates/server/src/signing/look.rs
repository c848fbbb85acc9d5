//! What the DNS has where the records of keys belong.

use postroad_dns::{Dns, Error};
use postroad_trust::keys::{Finding, Found, Key, record};

/// Looks for the records of these keys. Asks one after the other: they are few.
pub(crate) async fn look(dns: &dyn Dns, keys: &[Key]) -> Vec<Finding> {
    let mut findings = Vec::with_capacity(keys.len());
    for key in keys.iter().filter(|key| key.state.wants_record()) {
        findings.push(Finding { key: key.id, found: found(dns, &key.name(), &key.record).await });
    }
    findings
}

/// What is under a name where a record belongs.
pub(crate) async fn found(dns: &dyn Dns, name: &str, wanted: &str) -> Found {
    match dns.txt(name).await {
        Ok(answer) => record::compare(wanted, &answer.records),
        Err(Error::NoSuchName(_) | Error::NoData(_)) => Found::Missing,
        Err(error @ (Error::Temporary(_) | Error::Bogus(_) | Error::BadName(_))) => Found::Failed(error.to_string()),
    }
}
