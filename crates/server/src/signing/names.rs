//! Whose mail is signed: domains, their aliases, and this server's own name where no domain of ours is above it.

use anyhow::Result;
use postroad_mail::domains::DomainRow;
use postroad_mail::{Error, domains};
use postroad_store::{Locks, Store, Timestamp};
use postroad_trust::keys::{self, Algorithm};

use super::make::make;

/// The names that need keys. A message is signed in the name that stands in its From: an alias has keys of its own.
fn names(domains: &[DomainRow], hostname: &str) -> Vec<String> {
    let all = domains.iter().flat_map(|domain| std::iter::once(&domain.name).chain(&domain.aliases));
    let mut names: Vec<String> =
        all.map(|name| name.as_str().to_owned()).filter(|name| !name.starts_with('[')).collect();
    let host = hostname.to_ascii_lowercase();
    let covered = names.iter().any(|name| host == *name || host.ends_with(&format!(".{name}")));
    // Without a dot it is no name that others could ask for.
    let public = host.contains('.') && host.parse::<std::net::IpAddr>().is_err();
    if !covered && public && !names.is_empty() {
        names.push(host);
    }
    names
}

/// Makes the keys that are lacking. Answers how many domains got some. Blocks for some tenths of a second for each.
pub(crate) fn ensure_blocking(store: &Store, hostname: &str, now: Timestamp) -> Result<usize> {
    let rows = store.read_blocking(domains::list)?;
    let names = names(&rows, hostname);
    let lacking = store.read_blocking(move |tx| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        keys::lacking(tx, &names).map_err(Error::from)
    })?;
    let mut domains: Vec<(String, Vec<Algorithm>)> = Vec::new();
    for (domain, algorithm) in lacking {
        match domains.last_mut().filter(|(last, _)| *last == domain) {
            Some((_, algorithms)) => algorithms.push(algorithm),
            None => domains.push((domain, vec![algorithm])),
        }
    }
    let many = domains.len();
    for (domain, algorithms) in domains {
        let made = make(&algorithms)?;
        let lock = Locks::named(&keys::lock(&domain));
        store.write_blocking(lock, move |tx| -> Result<(), Error> {
            // Another server may have been quicker.
            let still = keys::lacking(tx, &[&domain])?;
            let made: Vec<_> =
                made.into_iter().filter(|key| still.iter().any(|(_, algorithm)| *algorithm == key.algorithm)).collect();
            keys::put(tx, &domain, &made, now)?;
            Ok(())
        })?;
    }
    Ok(many)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroad_mail::Domain;

    #[test]
    fn each_name_that_mail_can_be_from_has_keys() {
        let domain = |name: &str, aliases: &[&str]| DomainRow {
            name: Domain::parse(name).expect("a domain"),
            aliases: aliases.iter().map(|alias| Domain::parse(alias).expect("a domain")).collect(),
            catch_all: None,
            postmaster: None,
            created: Timestamp(0),
        };
        let rows = [domain("a.test", &["b.test"]), domain("bücher.test", &[]), domain("[192.0.2.1]", &[])];
        for (hostname, extra) in [
            ("mx.a.test", None),
            ("A.test", None),
            ("mx.elsewhere.test", Some("mx.elsewhere.test")),
            ("notb.test", Some("notb.test")),
            ("localhost", None),
            ("192.0.2.1", None),
        ] {
            let mut expect = vec!["a.test", "b.test", "xn--bcher-kva.test"];
            expect.extend(extra);
            assert_eq!(names(&rows, hostname), expect, "{hostname}");
        }
        assert!(names(&[], "mx.a.test").is_empty(), "who has no domain sends nothing");
    }
}
