//! Lists of bad addresses (DNSBL, RFC 5782): whether those that mail leaves from are on them.
//!
//! Those of the command line, else those of the settings ([[dnsbl]]), else the usual ones. Lists of domains are asked about
//! the domain itself; lists of good clients are nobody's fault.
//!
//! A list that is dead, that refuses to answer, or that names the whole world is told as such and never taken for a listing.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::World;
use super::addresses::backwards;
use super::line::Line;
use crate::domain_records::is_public;
use crate::settings::DnsblKind;

const WHAT: &str = "DNSBL";

/// A list that many servers go by.
struct List {
    zone: &'static str,
    /// Where to look, and to be taken off.
    page: &'static str,
}

/// Few, that answer anybody, that take addresses off, and that large receivers really use.
const USUAL: &[List] = &[
    List { zone: "zen.spamhaus.org", page: "https://check.spamhaus.org/" },
    List { zone: "bl.spamcop.net", page: "https://www.spamcop.net/bl.shtml" },
    List { zone: "psbl.surriel.com", page: "https://psbl.org/remove" },
];

/// What a list says of an address.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Clean,
    Listed(Vec<Ipv4Addr>),
    /// It refuses to say; why.
    Refused(&'static str),
    /// No answer.
    Silent(String),
}

/// What a list is asked about.
#[derive(Debug, Clone)]
struct Subject {
    /// In words.
    name: String,
    /// As it stands before the zone.
    label: String,
}

impl Subject {
    fn address(address: IpAddr) -> Subject {
        Subject { name: address.to_string(), label: backwards(address) }
    }

    fn label(label: &str) -> Subject {
        Subject { name: label.to_owned(), label: label.to_owned() }
    }
}

/// The zones, and whether each lists domains.
fn zones(world: &World) -> Vec<(String, bool)> {
    if !world.lists.is_empty() {
        return world.lists.iter().map(|zone| (zone.clone(), false)).collect();
    }
    let set = world.settings.dnsbl.iter().filter_map(|list| match list.kind {
        DnsblKind::Block => Some((list.zone.clone(), false)),
        DnsblKind::Domain => Some((list.zone.clone(), true)),
        DnsblKind::Allow => None,
    });
    let mut set: Vec<(String, bool)> = set.collect();
    if set.iter().all(|(_, is_of_domains)| *is_of_domains) {
        set.extend(USUAL.iter().map(|list| (list.zone.to_owned(), false)));
    }
    set
}

pub(super) async fn look(world: Arc<World>) -> Vec<Line> {
    let addresses: Vec<Subject> = world
        .egress
        .iter()
        .copied()
        .filter(|address| world.is_trial || is_public(address))
        .map(Subject::address)
        .collect();
    let domain = [Subject::label(&world.facts.domain)];
    let (mut lines, mut clean) = (Vec::new(), [Vec::new(), Vec::new()]);
    let asked: Vec<_> = zones(&world)
        .into_iter()
        .map(|(zone, is_of_domains)| {
            let subjects = if is_of_domains { domain.to_vec() } else { addresses.clone() };
            let world = Arc::clone(&world);
            tokio::spawn(async move { (is_of_domains, list(&world, &zone, is_of_domains, &subjects).await) })
        })
        .collect();
    for one in asked {
        match one.await {
            Ok((is_of_domains, Ok(zone))) => clean[usize::from(is_of_domains)].push(zone),
            Ok((_, Err(told))) => lines.extend(told),
            Err(_) => {}
        }
    }
    for (zones, subjects) in clean.iter().zip([&addresses[..], &domain[..]]).rev() {
        if !zones.is_empty() && !subjects.is_empty() {
            let names: Vec<&str> = subjects.iter().map(|subject| subject.name.as_str()).collect();
            lines.insert(0, Line::ok(WHAT, format!("{} on none of {}", names.join(", "), zones.join(", "))));
        }
    }
    lines
}

/// The zone when it lists none of them, else what is to be told.
async fn list(world: &World, zone: &str, is_of_domains: bool, subjects: &[Subject]) -> Result<String, Vec<Line>> {
    let test = |octets: [u8; 4]| Subject::address(IpAddr::from(octets));
    let (there, absent) = match is_of_domains {
        // RFC 5782 §5: a list that works has TEST and not INVALID.
        true => (Subject::label("test"), Subject::label("invalid")),
        // And one of addresses 127.0.0.2 and not 127.0.0.1.
        false => (test([127, 0, 0, 2]), test([127, 0, 0, 1])),
    };
    let (there, absent) = tokio::join!(ask(world, zone, &there), ask(world, zone, &absent));
    let useless = match (there, absent) {
        (Word::Refused(why), _) | (_, Word::Refused(why)) => Some(why.to_owned()),
        (Word::Silent(why), _) => Some(format!("it does not answer: {why}")),
        (Word::Clean, _) => Some("it does not have its own test entry: it is dead, or does not answer here".into()),
        (Word::Listed(_), Word::Listed(_)) if is_of_domains => Some("it lists every domain: it is dead".into()),
        (Word::Listed(_), Word::Listed(_)) => Some("it lists every address: it is dead".into()),
        (Word::Listed(_), Word::Clean | Word::Silent(_)) => None,
    };
    if let Some(why) = useless {
        let meaning = "it is not known what it lists";
        let remedy = "look through its web page, or ask through a resolver of your own: --dns 127.0.0.1";
        return Err(vec![Line::warn(WHAT, format!("{zone} cannot be used: {why}"), meaning, remedy)]);
    }
    let mut lines = Vec::new();
    for subject in subjects {
        match ask(world, zone, subject).await {
            Word::Clean => {}
            Word::Listed(codes) => lines.push(listed(world, zone, subject, &codes).await),
            Word::Refused(why) => lines.push(silent(zone, subject, why)),
            Word::Silent(why) => lines.push(silent(zone, subject, &why)),
        }
    }
    if lines.is_empty() { Ok(zone.to_owned()) } else { Err(lines) }
}

fn silent(zone: &str, subject: &Subject, why: &str) -> Line {
    let fact = format!("{zone} does not say whether it lists {}: {why}", subject.name);
    Line::warn(WHAT, fact, "it is not known how this stands", "try again later")
}

async fn listed(world: &World, zone: &str, subject: &Subject, codes: &[Ipv4Addr]) -> Line {
    let reason = world.dns.txt(&format!("{}.{zone}", subject.label)).await.ok();
    let reason = reason.and_then(|answer| answer.records.into_iter().next());
    let reason =
        reason.map(|text| format!(" {}", String::from_utf8_lossy(&text).chars().take(200).collect::<String>()));
    let codes = codes.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>().join(" ");
    let page = USUAL.iter().find(|list| list.zone == zone).map(|list| list.page);
    let remedy = match page {
        Some(page) => {
            format!("find and stop the cause (postroad queue list, postroad trace), then ask to be taken off: {page}")
        }
        None => {
            format!("find and stop the cause (postroad queue list, postroad trace), then ask {zone} to be taken off")
        }
    };
    Line::fail(
        WHAT,
        format!("{} is on {zone} ({codes}){}", subject.name, reason.unwrap_or_default()),
        "servers that go by this list refuse mail of this server",
        remedy,
    )
}

async fn ask(world: &World, zone: &str, subject: &Subject) -> Word {
    match world.dns.ipv4(&format!("{}.{zone}", subject.label)).await {
        Ok(answer) => word(answer.records),
        Err(error) if error.is_denial() => Word::Clean,
        Err(error) => Word::Silent(error.to_string()),
    }
}

/// What the addresses mean that a list answers with.
fn word(answers: Vec<Ipv4Addr>) -> Word {
    // Not a listing but a word about the question, as Spamhaus and others use them.
    let refusal = answers.iter().find_map(|answer| match answer.octets() {
        [127, 255, 255, 252] => Some("the name of the list is misspelt"),
        [127, 255, 255, 254] => Some("it does not answer through public resolvers; ask through one of your own"),
        [127, 255, 255, 255] => Some("it was asked too often"),
        [127, 255, 255, _] => Some("it refuses to answer"),
        // RFC 5782 §2.1; anything else is a domain that somebody else has bought.
        [127, ..] => None,
        _ => Some("it answers with addresses that no list has: it is gone"),
    });
    match refusal {
        Some(why) => Word::Refused(why),
        None => Word::Listed(answers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_lists_are_told_from_listings() {
        for (answer, is_listing) in [
            ([127, 0, 0, 2], true),
            ([127, 0, 0, 11], true),
            ([127, 255, 255, 252], false),
            ([127, 255, 255, 254], false),
            ([127, 255, 255, 255], false),
            ([192, 0, 2, 1], false),
        ] {
            let listed = matches!(word(vec![answer.into()]), Word::Listed(_));
            assert_eq!(listed, is_listing, "{answer:?}");
        }
        assert!(matches!(word(vec![[127, 0, 0, 2].into(), [127, 255, 255, 255].into()]), Word::Refused(_)));
    }
}
