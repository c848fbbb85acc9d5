//! MTA-STS and TLS reports of the domain: the records, and the policy as senders fetch it. RFC 8461, RFC 8460.

use std::sync::Arc;

use postroad_mta::outbound::look::fetch_policy;
use postroad_trust::sts::{self, Mode, Policy};

use super::World;
use super::exchangers::Exchanger;
use super::line::Line;
use crate::domain_records::Purpose;

const WHAT: &str = "MTA-STS";
const REPORTS: &str = "TLS reports";

pub(super) async fn look(world: &World, exchangers: &[Exchanger]) -> Vec<Line> {
    let (mut lines, reports) = tokio::join!(promised(world, exchangers), reports(world));
    lines.push(reports);
    lines
}

async fn promised(world: &World, exchangers: &[Exchanger]) -> Vec<Line> {
    let domain = &world.facts.domain;
    let name = format!("_mta-sts.{domain}");
    let texts = match world.texts(WHAT, &name, "v=STSv1").await {
        Ok(texts) => texts,
        Err(line) => return vec![line],
    };
    let both = || [world.records(Purpose::MtaStsHost), world.records(Purpose::MtaSts)].concat();
    let only = || world.records(Purpose::MtaSts);
    let wanted = world.facts.policy_id.as_deref();
    if texts.is_empty() {
        return vec![match wanted {
            Some(_) => Line::warn(
                WHAT,
                format!("{domain} does not say that it has a policy"),
                "others cannot demand TLS with a verified certificate: who sits in between can read mail",
                "publish these records; this server shows the policy",
            )
            .publish(both()),
            None => Line::ok(WHAT, "none; it needs a listener with service http and implicit TLS on port 443"),
        }];
    }
    let records: Vec<Vec<u8>> = texts.iter().map(|text| text.clone().into_bytes()).collect();
    let Some(id) = sts::record_id(&records) else {
        let fact = format!("the record at {name} cannot be read ({})", texts.join(" | "));
        let meaning = "for others there is no policy";
        return vec![Line::fail(WHAT, fact, meaning, "publish this record, and no other of its kind").publish(only())];
    };
    let port = world.settings.outbound.mta_sts_port;
    let port = if world.offset > 0 { 443 + world.offset } else { port };
    let authorities = world.settings.outbound.authorities.as_deref();
    let fetched = fetch_policy(Arc::clone(&world.dns), authorities, port, world.is_trial, domain).await;
    let policy = match fetched {
        Ok(policy) => policy,
        Err(why) => {
            let fact = format!("the policy cannot be fetched: {why}");
            let meaning = "others go by the one that they remember, or by none; some report it each day";
            let remedy = "let mta-sts.DOMAIN lead to this server (port 443 open, with a certificate for that name: \
                          acme.before-domains), or remove the record";
            return vec![Line::fail(WHAT, fact, meaning, remedy.replace("DOMAIN", domain)).publish(both())];
        }
    };
    let mut lines = Vec::new();
    match wanted {
        Some(wanted) if policy.id() != wanted => lines.push(Line::fail(
            WHAT,
            format!("the policy that others fetch is not ours: {}", policy.lines().join("; ")),
            "another server shows it, or an older one is kept somewhere in between",
            format!("let mta-sts.{domain} lead to this server; ours: postroad mta-sts show {domain}"),
        )),
        Some(wanted) if id != wanted => lines.push(
            Line::fail(
                WHAT,
                format!("the id of the record is {id}, and that of the policy {wanted}"),
                "others do not notice that the policy has changed, and go by the old one",
                "publish this record in its place",
            )
            .publish(only()),
        ),
        Some(_) | None => {
            lines.push(Line::ok(WHAT, format!("mode {}, for {}", policy.mode.name(), policy.mx.join(", "))))
        }
    }
    lines.extend(exchangers.iter().filter(|one| !policy.covers(&one.name)).map(|one| uncovered(domain, &policy, one)));
    lines
}

fn uncovered(domain: &str, policy: &Policy, exchanger: &Exchanger) -> Line {
    let fact = format!("the policy does not name {}, which the MX record leads to", exchanger.name);
    let remedy = format!("postroad mta-sts set {domain} --mx {}, then publish the new id", exchanger.name);
    match policy.mode {
        Mode::Enforce => Line::fail(WHAT, fact, "Gmail, Microsoft and others do not deliver there", remedy),
        Mode::Testing | Mode::None => {
            Line::warn(WHAT, fact, "others report it; with mode enforce they deliver nothing there", remedy)
        }
    }
}

/// RFC 8460 §3.
async fn reports(world: &World) -> Line {
    let name = format!("_smtp._tls.{}", world.facts.domain);
    let publish = || world.records(Purpose::TlsReports);
    let texts = match world.texts(REPORTS, &name, "v=TLSRPTv1").await {
        Ok(texts) => texts,
        Err(line) => return line,
    };
    match texts.as_slice() {
        [] => Line::warn(
            REPORTS,
            format!("{name} has no record"),
            "you do not hear when others cannot deliver because of TLS",
            "publish this record",
        )
        .publish(publish()),
        [one] => {
            let tags = one.split(';').filter_map(|tag| tag.trim().split_once('='));
            let rua = tags.filter(|(name, _)| name.trim() == "rua").map(|(_, value)| value.trim()).next();
            match rua.filter(|rua| rua.starts_with("mailto:") || rua.starts_with("https:")) {
                Some(rua) => Line::ok(REPORTS, format!("go to {rua}")),
                None => Line::warn(
                    REPORTS,
                    format!("the record names nobody to report to ({one})"),
                    "no reports are sent",
                    "publish this record in its place",
                )
                .publish(publish()),
            }
        }
        [_, _, ..] => Line::warn(
            REPORTS,
            format!("{name} has {} records", texts.len()),
            "with more than one, no reports are sent",
            "leave one of them",
        )
        .publish(publish()),
    }
}
