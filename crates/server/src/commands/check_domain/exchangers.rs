//! The hosts that the DNS names for the domain's mail, and their addresses. RFC 5321 §5.1, RFC 7505, RFC 2181 §10.3.

use std::net::IpAddr;

use postroad_dns::Security;

use super::line::Line;
use super::{World, trouble};
use crate::domain_records::Purpose;

const WHAT: &str = "MX";
/// Exchangers that are looked at.
const HOSTS_MAX: usize = 10;

/// A host that the DNS names.
#[derive(Debug, Clone)]
pub(super) struct Exchanger {
    pub(super) name: String,
    pub(super) addresses: Vec<IpAddr>,
    /// This server, or one that the domain is meant to have.
    pub(super) is_wanted: bool,
    /// DNSSEC vouches for its addresses.
    pub(super) is_signed: bool,
}

pub(super) async fn look(world: &World) -> (Vec<Line>, Vec<Exchanger>) {
    let domain = &world.facts.domain;
    let publish = || world.records(Purpose::Exchanger);
    let records = match world.dns.mx(domain).await {
        Ok(answer) => answer.records,
        Err(error) if error.is_denial() => {
            let line = Line::fail(
                WHAT,
                format!("{domain} has no MX record"),
                "other servers do not find where to take its mail",
                "publish this record",
            );
            return (vec![line.publish(publish())], Vec::new());
        }
        Err(error) => return (vec![trouble(WHAT, domain, &error)], Vec::new()),
    };
    if records.iter().any(|mx| mx.is_null()) {
        let line = Line::fail(
            WHAT,
            format!("{domain} has a null MX (0 .)"),
            "it says that it takes no mail: other servers return it to its senders (RFC 7505)",
            "publish this record in its place",
        );
        return (vec![line.publish(publish())], Vec::new());
    }
    let mut names: Vec<(u16, String)> =
        records.into_iter().map(|mx| (mx.preference, mx.exchange.trim_end_matches('.').to_ascii_lowercase())).collect();
    names.sort();
    names.dedup_by(|a, b| a.1 == b.1);
    names.truncate(HOSTS_MAX);
    let own = world.dns.addresses(&world.facts.host).await.map(|answer| answer.records).unwrap_or_default();
    let (mut lines, mut found) = (Vec::new(), Vec::new());
    for (_, name) in names {
        match one(world, &name, &own).await {
            Ok(exchanger) => found.push(exchanger),
            Err(line) => lines.push(line),
        }
    }
    lines.extend(
        found
            .iter()
            .filter(|one| one.is_wanted)
            .map(|one| Line::ok(WHAT, format!("{domain} leads to {} ({})", one.name, words(&one.addresses)))),
    );
    let is_served = found.iter().any(|one| one.is_wanted);
    for other in found.iter().filter(|one| !one.is_wanted) {
        let fact = format!("{domain} leads to {} ({}), which is not this server", other.name, words(&other.addresses));
        lines.push(match is_served {
            true => Line::warn(
                WHAT,
                fact,
                "mail that goes there has to be brought here by that server",
                format!("if it does not do so, remove its MX record; if it is meant, name it: postroad mta-sts set {domain} --mx …"),
            ),
            false => Line::fail(
                WHAT,
                fact,
                "mail for the domain goes to another server and never comes here",
                "publish this record in its place",
            )
            .publish(publish()),
        });
    }
    (lines, found)
}

async fn one(world: &World, name: &str, own: &[IpAddr]) -> Result<Exchanger, Line> {
    let domain = &world.facts.domain;
    if name.parse::<IpAddr>().is_ok() {
        let line = Line::fail(
            WHAT,
            format!("{domain} leads to {name}, an address"),
            "an MX record has the name of a host; other servers look for a host of that name and find none",
            "publish this record in its place",
        );
        return Err(line.publish(world.records(Purpose::Exchanger)));
    }
    if let Ok(alias) = world.dns.cname(name).await {
        let target = alias.records.first().cloned().unwrap_or_default();
        return Err(Line::fail(
            WHAT,
            format!("{name} is an alias (CNAME) of {target}"),
            "an MX must not lead to an alias (RFC 2181 §10.3): some servers do not deliver there",
            format!("let the MX name {target} itself, or give {name} addresses (A, AAAA) in place of the CNAME"),
        ));
    }
    match world.dns.addresses(name).await {
        Ok(answer) => {
            let is_ours = answer.records.iter().any(|address| own.contains(address));
            Ok(Exchanger {
                is_wanted: is_ours || world.wanted_exchangers().iter().any(|wanted| wanted == name),
                name: name.to_owned(),
                is_signed: answer.security == Security::Secure,
                addresses: answer.records,
            })
        }
        Err(error) if error.is_denial() => {
            let line = Line::fail(
                WHAT,
                format!("{domain} leads to {name}, which has no address"),
                "other servers cannot reach it, and keep mail for some days before they return it",
                format!("publish this server's address as A (and AAAA) of {name}, or correct the MX"),
            );
            Err(line.publish(world.records(Purpose::Address)))
        }
        Err(error) => Err(trouble(WHAT, name, &error)),
    }
}

/// Addresses in words.
pub(super) fn words(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}
