//! Which names certificates are wanted for: those of this server, and of its domains those that lead here.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use postroad_dns::Dns;
use postroad_mail::domains;
use postroad_store::{Store, Timestamp};
use postroad_trust::certificates::{self, Line, Refused};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// What certificates are wanted for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The server's own name.
    pub host: String,
    /// More names that share its certificate.
    pub more: Vec<String>,
    /// What stands before each domain, such as `mta-sts`; those that lead to this server share a certificate for each domain.
    pub before_domains: Vec<String>,
    /// Addresses of this server, beside those that its own name has.
    pub addresses: Vec<IpAddr>,
    /// Names that other certificates are for, which win: of these none is ordered. Wildcards with their star.
    pub covered: Vec<String>,
}

/// The names of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) line: String,
    /// None: the line is wanted no more.
    pub(crate) names: Vec<String>,
}

/// The lines that these names and domains make, before DNS is asked: the names of this server, and for each domain those that
/// might lead here.
pub fn wanted(wanted: &Wanted, domains: &[String]) -> Vec<(String, Vec<String>)> {
    let is_free = |name: &String| !is_covered(&wanted.covered, name);
    let mut lines = BTreeMap::new();
    let mut own: Vec<String> = Vec::new();
    for name in std::iter::once(&wanted.host).chain(&wanted.more) {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        // A name without a dot is no name for the world.
        if name.contains('.') && is_free(&name) && !own.contains(&name) {
            own.push(name);
        }
    }
    let taken: HashSet<String> = own.iter().cloned().collect();
    if let Some(first) = own.first() {
        lines.insert(first.clone(), own);
    }
    for domain in domains.iter().take(DOMAINS_MAX) {
        let domain = domain.to_ascii_lowercase();
        let names = wanted.before_domains.iter().map(|label| format!("{label}.{domain}"));
        let names: Vec<String> = names.filter(is_free).filter(|name| !taken.contains(name)).collect();
        if !names.is_empty() && !lines.contains_key(&domain) {
            lines.insert(domain, names);
        }
    }
    lines.into_iter().collect()
}

/// The names of a line without those that were not believed lately; all of them when that leaves none.
pub(crate) fn believed(line: &Line, refused: &[Refused], now: Timestamp) -> Vec<String> {
    let is_refused = |name: &String| refused.iter().any(|one| one.name == *name && one.until > now);
    let names: Vec<String> = line.names.iter().filter(|name| !is_refused(name)).cloned().collect();
    if names.is_empty() { line.names.clone() } else { names }
}

/// RFC 6125 §6.4.3: the star stands for one whole label.
fn is_covered(covered: &[String], name: &str) -> bool {
    let parent = name.split_once('.').map(|(_, parent)| parent);
    covered.iter().any(|one| one == name || one.strip_prefix("*.").is_some_and(|rest| Some(rest) == parent))
}

/// Asks DNS which names lead here. What DNS does not answer now stays as it is.
pub(crate) async fn find(
    store: &Store,
    wanted_names: &Wanted,
    dns: &Arc<dyn Dns>,
) -> Result<Vec<Found>, certificates::Error> {
    let (domains, known) = store
        .read(|tx| {
            let domains = domains::list(tx).map_err(|error| match error {
                postroad_mail::Error::Store(error) => certificates::Error::Store(error),
                other => certificates::Error::Store(postroad_store::Error::Corrupt(other.to_string())),
            })?;
            let names: Vec<String> = domains.iter().map(|domain| domain.name.as_str().to_owned()).collect();
            Ok::<_, certificates::Error>((names, certificates::lines(tx)?))
        })
        .await?;
    let own = known.iter().filter(|line| line.is_asked).map(|line| line.name.clone()).collect::<HashSet<_>>();
    let mut lines = wanted(wanted_names, &domains);
    lines.retain(|(line, _)| !own.contains(line));
    let is_own = |line: &str| lines_of_host(wanted_names, line);
    let of_domains: Vec<&(String, Vec<String>)> = lines.iter().filter(|(line, _)| !is_own(line)).collect();
    let leads = if of_domains.is_empty() {
        BTreeMap::new()
    } else {
        let names = of_domains.iter().flat_map(|(_, names)| names.iter().cloned()).collect();
        leading_here(dns, wanted_names, names).await
    };
    let had = |line: &str, name: &String| known.iter().any(|one| one.name == line && one.names.contains(name));
    let mut found: Vec<Found> = Vec::new();
    for (line, names) in lines {
        let stays = |name: &String| match leads.get(name) {
            _ if lines_of_host(wanted_names, &line) => true,
            Some(Some(leads)) => *leads,
            Some(None) | None => had(&line, name),
        };
        let names: Vec<String> = names.into_iter().filter(stays).collect();
        if !names.is_empty() || known.iter().any(|one: &Line| one.name == line) {
            found.push(Found { line, names });
        }
    }
    for line in known.iter().filter(|line| !line.is_asked) {
        if !found.iter().any(|found| found.line == line.name) {
            found.push(Found { line: line.name.clone(), names: Vec::new() });
        }
    }
    Ok(found)
}

fn lines_of_host(wanted: &Wanted, line: &str) -> bool {
    std::iter::once(&wanted.host).chain(&wanted.more).any(|name| name.trim_end_matches('.').eq_ignore_ascii_case(line))
}

/// Of each name whether it has an address of ours; `None` when DNS does not answer now.
async fn leading_here(dns: &Arc<dyn Dns>, wanted: &Wanted, names: Vec<String>) -> BTreeMap<String, Option<bool>> {
    let mut ours: HashSet<IpAddr> = wanted.addresses.iter().copied().collect();
    let own = dns.addresses(&wanted.host).await;
    let own_failed = own.is_err();
    ours.extend(own.into_iter().flat_map(|answer| answer.records));
    if ours.is_empty() && own_failed {
        return names.into_iter().map(|name| (name, None)).collect();
    }
    let (ours, room) = (Arc::new(ours), Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)));
    let mut asked = JoinSet::new();
    for name in names {
        let (dns, ours, room) = (Arc::clone(dns), Arc::clone(&ours), Arc::clone(&room));
        asked.spawn(async move {
            let _turn = room.acquire().await;
            let leads = match dns.addresses(&name).await {
                Ok(answer) => Some(answer.records.iter().any(|address| ours.contains(address))),
                Err(error) if error.is_denial() => Some(false),
                Err(_) => None,
            };
            (name, leads)
        });
    }
    asked.join_all().await.into_iter().collect()
}

/// Domains that are looked at.
const DOMAINS_MAX: usize = 2_000;
const QUESTIONS_AT_ONCE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_server_and_of_its_domains() {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let own = Wanted {
            host: "Mail.Example.org".into(),
            more: texts(&["mx.example.org.", "mail.example.org", "localhost"]),
            before_domains: texts(&["mail", "mta-sts"]),
            ..Wanted::default()
        };
        let lines = wanted(&own, &texts(&["example.org", "example.net"]));
        assert_eq!(
            lines,
            [
                ("example.net".into(), texts(&["mail.example.net", "mta-sts.example.net"])),
                ("example.org".into(), texts(&["mta-sts.example.org"])),
                ("mail.example.org".into(), texts(&["mail.example.org", "mx.example.org"])),
            ]
        );
        let covered = Wanted { covered: texts(&["*.example.org", "mail.example.net"]), ..own };
        assert_eq!(
            wanted(&covered, &texts(&["example.org", "example.net"])),
            [("example.net".into(), texts(&["mta-sts.example.net"]))]
        );
        assert!(wanted(&Wanted { host: "localhost".into(), ..Wanted::default() }, &texts(&["a.test"])).is_empty());
    }
}
