//! How programs for mail find their settings (SRV, autoconfig), and who may issue certificates (CAA).

use std::sync::Arc;

use postroad_dns::records::Data;
use postroad_dns::{Caa, Srv};

use super::line::Line;
use super::{World, trouble};
use crate::domain_records::{Purpose, Wanted};

const SERVICES: &str = "SRV";
const AUTOCONFIG: &str = "autoconfig";
const ISSUERS: &str = "CAA";
/// Labels above a name that are looked at.
const LABELS_MAX: usize = 10;

pub(super) async fn look(world: Arc<World>) -> Vec<Line> {
    let mut lines = srv(&world).await;
    lines.extend(autoconfig(&world).await);
    lines.push(issuers(&world).await);
    lines
}

/// RFC 6186.
async fn srv(world: &World) -> Vec<Line> {
    let (mut good, mut missing, mut lines) = (0, Vec::new(), Vec::new());
    for wanted in world.wanted.iter().filter(|one| one.purpose == Purpose::Service) {
        let Data::Srv(ours) = &wanted.record.data else { continue };
        let name = &wanted.record.name;
        match world.dns.srv(name).await {
            Ok(answer) if answer.records.iter().any(|one| leads_alike(one, ours)) => good += 1,
            Ok(answer) => {
                let there: Vec<String> =
                    answer.records.iter().map(|one| format!("{}:{}", one.target, one.port)).collect();
                // RFC 2782: a target of "." says that there is no such service.
                if there.iter().all(|one| one.starts_with(".:") || one.starts_with(':')) {
                    good += 1;
                    continue;
                }
                let fact =
                    format!("{name} leads to {}, and this server is {}:{}", there.join(", "), ours.target, ours.port);
                let meaning = "programs for mail that look for their settings find another server";
                let line = Line::warn(SERVICES, fact, meaning, "publish this record in its place");
                lines.push(line.publish(vec![wanted.record.to_string()]));
            }
            Err(error) if error.is_denial() => missing.push(wanted.record.to_string()),
            Err(error) => lines.push(trouble(SERVICES, name, &error)),
        }
    }
    if !missing.is_empty() {
        let fact = format!("{} of the services are not named", missing.len());
        let meaning = "programs for mail ask people for the names of servers, or guess";
        lines.push(Line::warn(SERVICES, fact, meaning, "publish these records").publish(missing));
    } else if lines.is_empty() && good > 0 {
        lines.push(Line::ok(SERVICES, format!("all {good} services are named")));
    }
    lines
}

fn leads_alike(there: &Srv, ours: &Srv) -> bool {
    there.port == ours.port && there.target.trim_end_matches('.').eq_ignore_ascii_case(&ours.target)
}

/// The names under which programs look for settings, and the text that vouches for these (PACC).
async fn autoconfig(world: &World) -> Vec<Line> {
    let own = world.dns.addresses(&world.facts.host).await.map(|answer| answer.records).unwrap_or_default();
    let (mut good, mut missing, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    for Wanted { record, .. } in world.wanted.iter().filter(|one| one.purpose.is_about_settings()) {
        let there = match &record.data {
            Data::Srv(ours) => {
                world.dns.srv(&record.name).await.map(|answer| answer.records.iter().any(|one| leads_alike(one, ours)))
            }
            Data::Txt(ours) => world.dns.txt(&record.name).await.map(|answer| answer.records.contains(ours)),
            _ => {
                world.dns.addresses(&record.name).await.map(|answer| answer.records.iter().any(|one| own.contains(one)))
            }
        };
        match (there, &record.data) {
            (Ok(true), _) => good.push(record.name.as_str()),
            (Ok(false), Data::Txt(_)) => lines.push(
                Line::warn(
                    AUTOCONFIG,
                    format!("{} does not vouch for the settings that this server shows", record.name),
                    "programs for mail do not believe the settings that they find (PACC)",
                    "publish this record in its place",
                )
                .publish(vec![record.to_string()]),
            ),
            (Ok(false), _) => lines.push(
                Line::warn(
                    AUTOCONFIG,
                    format!("{} leads elsewhere", record.name),
                    "programs for mail find the settings of another server, or none",
                    "publish this record in its place",
                )
                .publish(vec![record.to_string()]),
            ),
            (Err(error), _) if error.is_denial() => missing.push(record),
            (Err(error), _) => lines.push(trouble(AUTOCONFIG, &record.name, &error)),
        }
    }
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|record| record.name.as_str()).collect();
        let verb = if names.len() == 1 { "is" } else { "are" };
        let fact = format!("{} {verb} not there", names.join(", "));
        let meaning = "Thunderbird, K-9, Outlook and others do not find their settings";
        let records = missing.iter().map(ToString::to_string).collect();
        lines.push(Line::warn(AUTOCONFIG, fact, meaning, "publish these records").publish(records));
    } else if lines.is_empty() && !good.is_empty() {
        lines.push(Line::ok(AUTOCONFIG, format!("{} lead to this server", good.join(", "))));
    }
    lines
}

/// RFC 8659 §3: the records nearest to the name, going up.
async fn issuers(world: &World) -> Line {
    let mut name = world.facts.host.as_str();
    for _ in 0..LABELS_MAX {
        match world.dns.caa(name).await {
            Ok(answer) => return judged(world, name, &answer.records),
            Err(error) if error.is_denial() => {}
            // RFC 8659 §3: an authority that gets no answer must not issue.
            Err(error) => return trouble(ISSUERS, name, &error),
        }
        match name.split_once('.') {
            Some((_, above)) if above.contains('.') => name = above,
            _ => break,
        }
    }
    Line::ok(ISSUERS, format!("none at {}: any authority may issue for it", world.facts.host))
}

fn judged(world: &World, name: &str, records: &[Caa]) -> Line {
    let issue: Vec<String> =
        records.iter().filter(|one| one.tag.eq_ignore_ascii_case("issue")).map(|one| issuer(&one.value)).collect();
    if issue.is_empty() {
        return Line::ok(ISSUERS, format!("{name} limits no authority"));
    }
    let named = issue.iter().map(|one| if one.is_empty() { "nobody" } else { one }).collect::<Vec<_>>().join(", ");
    let ours = &world.facts.issuers;
    if ours.is_empty() || ours.iter().any(|one| issue.contains(one)) {
        return Line::ok(ISSUERS, format!("{name} lets {named} issue"));
    }
    Line::fail(
        ISSUERS,
        format!("{name} lets {named} issue, and not {}, where this server gets its certificates", ours.join(", ")),
        "the next renewal is refused, and then the certificate expires",
        "publish this record too, or remove the others",
    )
    .publish(world.records(Purpose::Issuers))
}

/// RFC 8659 §4.2: `[issuer-domain-name] [";" parameters]`.
fn issuer(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
