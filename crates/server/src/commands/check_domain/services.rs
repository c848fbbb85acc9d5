//! How programs for mail find their settings (SRV, autoconfig), and who may issue certificates (CAA).

use std::sync::Arc;

use postroad_dns::records::Data;
use postroad_dns::{Caa, Srv};

use super::line::Line;
use super::{World, trouble};
use crate::domain_records::Purpose;

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

async fn autoconfig(world: &World) -> Option<Line> {
    if !world.facts.has_web {
        return None;
    }
    let name = format!("autoconfig.{}", world.facts.domain);
    let own = world.dns.addresses(&world.facts.host).await.map(|answer| answer.records).unwrap_or_default();
    let publish = || world.records(Purpose::Autoconfig);
    Some(match world.dns.addresses(&name).await {
        Ok(answer) if answer.records.iter().any(|one| own.contains(one)) => {
            Line::ok(AUTOCONFIG, format!("{name} leads to this server"))
        }
        Ok(_) => Line::warn(
            AUTOCONFIG,
            format!("{name} leads elsewhere"),
            "programs for mail find the settings of another server, or none",
            "publish these records in their place",
        )
        .publish(publish()),
        Err(error) if error.is_denial() => Line::warn(
            AUTOCONFIG,
            format!("{name} is not there"),
            "Thunderbird, K-9 and others do not find their settings",
            "publish these records",
        )
        .publish(publish()),
        Err(error) => trouble(AUTOCONFIG, &name, &error),
    })
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
