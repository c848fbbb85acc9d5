//! DMARC: one record, that can be read, and somebody who gets the reports. RFC 9989 §4.7, RFC 9990 §4 (reports elsewhere).

use std::sync::Arc;

use postroad_mailauth::dmarc::{Check, Input, Policy, Record, Verdict};
use postroad_mta::checks::drive;

use super::World;
use super::line::Line;
use crate::domain_records::Purpose;

const WHAT: &str = "DMARC";
const REPORTS: &str = "DMARC reports";
/// Addresses for reports that are looked at.
const ADDRESSES_MAX: usize = 5;

pub(super) async fn look(world: Arc<World>) -> Vec<Line> {
    let name = format!("_dmarc.{}", world.facts.domain);
    let texts = match world.texts(WHAT, &name, "v=DMARC1").await {
        Ok(texts) => texts,
        Err(line) => return vec![line],
    };
    let publish = || world.records(Purpose::Dmarc);
    let text = match texts.as_slice() {
        [] => return vec![above(&world).await],
        [one] => one,
        [_, _, ..] => {
            let fact = format!("{name} has {} DMARC records", texts.len());
            let meaning = "with more than one there is no policy at all (RFC 9989)";
            return vec![Line::fail(WHAT, fact, meaning, "leave one of them").publish(publish())];
        }
    };
    let Some(record) = Record::parse(text.as_bytes()).filter(|_| has_policy(text)) else {
        return vec![
            Line::fail(
                WHAT,
                format!("the record cannot be read ({text})"),
                "for other servers there is no policy; Gmail and Yahoo want one from who sends much",
                "it begins with v=DMARC1; and has p=none, p=quarantine or p=reject; publish this record in its place",
            )
            .publish(publish()),
        ];
    };
    let mut lines = vec![Line::ok(WHAT, words(&record))];
    lines.extend(reports(&world, &record).await);
    lines
}

/// A record that only wants reports because its policy is none that is known.
fn has_policy(text: &str) -> bool {
    let values = text.split(';').filter_map(|tag| tag.split_once('='));
    let mut policies = values.filter(|(tag, _)| tag.trim().eq_ignore_ascii_case("p"));
    policies.any(|(_, value)| {
        [Policy::None, Policy::Quarantine, Policy::Reject]
            .iter()
            .any(|one| value.trim().eq_ignore_ascii_case(one.as_str()))
    })
}

fn words(record: &Record) -> String {
    match record.policy {
        Policy::None => {
            "p=none: mail that fails is only reported; p=quarantine or p=reject once the reports show no mail of yours \
                         that fails"
                .into()
        }
        Policy::Quarantine => "p=quarantine: mail that fails goes to Junk".into(),
        Policy::Reject => "p=reject: mail that fails is refused".into(),
    }
}

/// No record at the domain itself: one above it may hold for it.
async fn above(world: &World) -> Line {
    let domain = &world.facts.domain;
    let verdict = verdict(world, domain).await;
    match verdict.policy_domain.filter(|_| verdict.record.is_some()) {
        Some(other) => Line::ok(WHAT, format!("that of {other} holds: p={}", verdict.published)),
        None => Line::fail(
            WHAT,
            format!("{domain} has no DMARC record"),
            "forged mail is not refused, nobody reports it, and Gmail, Yahoo and Microsoft want a record from who sends much",
            "publish this record",
        )
        .publish(world.records(Purpose::Dmarc)),
    }
}

async fn verdict(world: &World, domain: &str) -> Verdict {
    let input = Input { from_domains: vec![domain.to_owned()], ..Input::default() };
    drive::run(Check::new(input), &*world.dns, world.deadline).await
}

async fn reports(world: &World, record: &Record) -> Vec<Line> {
    if record.rua.is_empty() {
        return vec![
            Line::warn(
                REPORTS,
                "the record asks for no reports (rua=)",
                "you do not hear who sends in the domain's name, nor whether your own mail passes",
                "add rua=mailto: and an address that you read",
            )
            .publish(world.records(Purpose::Dmarc)),
        ];
    }
    let mut lines = Vec::new();
    for uri in record.rua.iter().chain(&record.ruf).take(ADDRESSES_MAX) {
        lines.push(one(world, &uri.uri).await);
    }
    lines
}

async fn one(world: &World, uri: &str) -> Line {
    let domain = &world.facts.domain;
    let address = uri.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("mailto:")).and_then(|_| uri.get(7..));
    let Some((_, host)) = address.and_then(|address| address.split('?').next()?.rsplit_once('@')) else {
        let meaning = "reports are sent by mail; other ways are not served by anybody";
        return Line::warn(REPORTS, format!("{uri} is no mail address"), meaning, "write mailto:you@example.org");
    };
    let host = host.to_ascii_lowercase();
    let takes_mail = match world.dns.mx(&host).await {
        Ok(answer) => !answer.records.iter().any(|mx| mx.is_null()),
        Err(error) if error.is_denial() => world.dns.addresses(&host).await.is_ok(),
        Err(_) => true,
    };
    if !takes_mail {
        let meaning = "the reports come back to who sends them, who may stop";
        return Line::warn(REPORTS, format!("{host} takes no mail ({uri})"), meaning, "name an address that is read");
    }
    // RFC 9990 §4: whoever is to get reports about others has to agree to it.
    if host != *domain && !same_organization(world, domain, &host).await {
        let name = format!("{domain}._report._dmarc.{host}");
        return match world.texts(REPORTS, &name, "v=DMARC1").await {
            Ok(texts) if texts.is_empty() => Line::warn(
                REPORTS,
                format!("{host} does not say that it takes reports about {domain} ({uri})"),
                "other servers send none there",
                format!("let the owner of {host} publish this record, or name an address of {domain}"),
            )
            .publish(vec![format!("{name}. 3600 IN TXT \"v=DMARC1\"")]),
            Ok(_) => Line::ok(REPORTS, format!("go to {uri}, and {host} takes them")),
            Err(line) => line,
        };
    }
    Line::ok(REPORTS, format!("go to {uri}"))
}

async fn same_organization(world: &World, one: &str, other: &str) -> bool {
    let (one, other) = tokio::join!(verdict(world, one), verdict(world, other));
    let is_below = |a: &str, b: &str| a.strip_suffix(b).is_some_and(|rest| rest.ends_with('.'));
    if is_below(&one.domain, &other.domain) || is_below(&other.domain, &one.domain) {
        return true;
    }
    one.organizational_domain.is_some() && one.organizational_domain == other.organizational_domain
}
