//! SPF: one record, that can be read, lets us send, and not everybody. RFC 7208.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use postroad_mailauth::spf::{Check, Input, Limits, Result, Verdict};
use postroad_mta::checks::drive;
use postroad_store::Timestamp;

use super::World;
use super::line::Line;
use crate::domain_records::Purpose;

const WHAT: &str = "SPF";
const HELO: &str = "SPF of HELO";

/// An address that is nobody's (RFC 5737): what it may send, everybody may. It also makes each term be looked at.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254));

pub(super) async fn look(world: Arc<World>) -> Vec<Line> {
    let (of_domain, of_host) = tokio::join!(domain(&world), greeting(&world));
    [of_domain, of_host].concat()
}

async fn domain(world: &World) -> Vec<Line> {
    let domain = &world.facts.domain;
    let texts = match world.texts(WHAT, domain, "v=spf1").await {
        Ok(texts) => texts,
        Err(line) => return vec![line],
    };
    let publish = || world.records(Purpose::Spf);
    let text = match texts.as_slice() {
        [] => {
            let meaning = "nobody can tell who may send for the domain; Gmail, Yahoo and Microsoft want it";
            let fact = format!("{domain} has no SPF record");
            return vec![Line::fail(WHAT, fact, meaning, "publish this record").publish(publish())];
        }
        [one] => one,
        [_, _, ..] => {
            let fact = format!("{domain} has {} SPF records", texts.len());
            let meaning = "with more than one, all of them count as broken (RFC 7208 §4.5): no mail passes";
            let remedy = "put what they say into one record and remove the others";
            return vec![Line::fail(WHAT, fact, meaning, remedy).publish(publish())];
        }
    };
    let mut lines = Vec::new();
    let everybody = ask(world, NOBODY, Some(domain)).await;
    match everybody.result {
        Result::PermError => {
            let fact = format!("the record cannot be evaluated: {} ({text})", everybody.why);
            let meaning = "for other servers that is as if all mail of the domain failed";
            let remedy = "name addresses (ip4:, ip6:) in place of include:, a: and mx: until at most 10 of those are left, \
                          and correct what cannot be read; for this server alone this record does";
            return vec![Line::fail(WHAT, fact, meaning, remedy).publish(publish())];
        }
        Result::Pass => lines.push(
            Line::fail(
                WHAT,
                format!("the record lets everybody send ({text})"),
                "whoever forges the domain passes; receivers distrust such a record",
                "let it end in -all (or ~all), and name no networks that are not yours",
            )
            .publish(publish()),
        ),
        Result::Neutral | Result::None => lines.push(Line::warn(
            WHAT,
            format!("the record does not say what becomes of others ({text})"),
            "forged mail is neither refused nor suspected",
            "let it end in -all (or ~all)",
        )),
        Result::TempError | Result::Fail | Result::SoftFail => {}
    }
    if text.split(' ').any(|term| term.trim_start_matches(['+', '-', '~', '?']).split([':', '/']).next() == Some("ptr"))
    {
        let meaning = "it is slow, and some servers do not follow it (RFC 7208 §5.5)";
        lines.push(Line::warn(WHAT, format!("the record has ptr ({text})"), meaning, "name the addresses instead"));
    }
    for address in &world.egress {
        let verdict = ask(world, *address, Some(domain)).await;
        lines.extend(ours(world, *address, text, &verdict));
    }
    lines
}

/// What the record says of an address of ours.
fn ours(world: &World, address: IpAddr, text: &str, verdict: &Verdict) -> Option<Line> {
    let word = match address {
        IpAddr::V4(four) => format!("ip4:{four}"),
        IpAddr::V6(six) => format!("ip6:{six}"),
    };
    Some(match verdict.result {
        Result::Pass => {
            let by = verdict.mechanism.as_deref().unwrap_or_default();
            Line::ok(WHAT, format!("{address} may send for the domain ({by})"))
        }
        Result::TempError => Line::warn(
            WHAT,
            format!("what the record says of {address} is not known: {}", verdict.why),
            "other servers may get no answer either, and put mail off",
            "look at the names that it includes, and try again",
        ),
        Result::Fail | Result::SoftFail | Result::Neutral | Result::None | Result::PermError => {
            let (first, rest) = text.split_once(' ').unwrap_or((text, "-all"));
            let name = &world.facts.domain;
            Line::fail(
                WHAT,
                format!("{address}, which mail leaves from, may not send for the domain: {} ({text})", verdict.result),
                "mail of the domain fails SPF at other servers",
                format!("add {word} to the record"),
            )
            .publish(vec![format!("{name}. 3600 IN TXT \"{first} {word} {rest}\"")])
        }
    })
}

/// RFC 7208 §2.3: notices have no other sender than the greeting's name.
async fn greeting(world: &World) -> Vec<Line> {
    let mut lines = Vec::new();
    if world.helo == world.facts.domain {
        return lines;
    }
    for address in &world.egress {
        let verdict = ask(world, *address, None).await;
        let helo = &world.helo;
        lines.push(match verdict.result {
            Result::Pass => Line::ok(HELO, format!("{address} may greet as {helo}")),
            Result::None => Line::warn(
                HELO,
                format!("{helo} has no SPF record"),
                "notices of this server (delivery failed, read) have no sender that could be verified",
                "publish this record",
            )
            .publish(world.records(Purpose::SpfOfHost)),
            Result::TempError => {
                let fact = format!("it is not known whether {address} may greet as {helo}: {}", verdict.why);
                Line::warn(HELO, fact, "others may get no answer either", "try again")
            }
            Result::Fail | Result::SoftFail | Result::Neutral | Result::PermError => Line::fail(
                HELO,
                format!("{address} may not greet as {helo}: {}", verdict.why),
                "servers that look at the greeting refuse all mail of this server",
                "publish this record in its place",
            )
            .publish(world.records(Purpose::SpfOfHost)),
        });
    }
    lines
}

async fn ask(world: &World, ip: IpAddr, domain: Option<&str>) -> Verdict {
    let sender = domain.map(|domain| format!("postmaster@{domain}"));
    let input = Input {
        ip,
        helo: &world.helo,
        mail_from: sender.as_deref(),
        receiver: &world.facts.host,
        now: Timestamp::now().0 / 1_000_000,
        limits: Limits::default(),
    };
    drive::run(Check::new(input), &*world.dns, world.deadline).await
}
