//! TLSA records of an exchanger: of the certificate that is shown, and signed. RFC 7672.

use postroad_dns::Security;

use super::exchangers::Exchanger;
use super::line::Line;
use super::{World, trouble};
use crate::domain_records::Purpose;

const WHAT: &str = "TLSA";

/// `chains` are what its addresses showed.
pub(super) async fn look(world: &World, exchanger: &Exchanger, chains: &[Vec<Vec<u8>>]) -> Option<Line> {
    let name = format!("_25._tcp.{}", exchanger.name);
    let publish = || match exchanger.name == world.facts.host {
        true => world.records(Purpose::Tlsa),
        false => Vec::new(),
    };
    let answer = match world.dns.tlsa(&name).await {
        Ok(answer) => answer,
        Err(error) if error.is_denial() => {
            return Some(match exchanger.is_signed {
                true => Line::warn(
                    WHAT,
                    format!("{name} has no TLSA record, though its zone is signed"),
                    "others cannot demand the right certificate (DANE); they take any",
                    "publish this record",
                )
                .publish(publish()),
                false => Line::ok(WHAT, format!("{name} has none; without a signed zone (DNSSEC) it would not count")),
            });
        }
        Err(error) => return Some(trouble(WHAT, &name, &error)),
    };
    let is_met =
        |chain: &Vec<Vec<u8>>| answer.records.iter().any(|record| postroad_web::acme::tlsa_matches(record, chain));
    if chains.is_empty() {
        return None;
    }
    if !chains.iter().all(is_met) {
        let line = Line::fail(
            WHAT,
            format!("{name} does not name the certificate that is shown"),
            "servers that go by DANE (Postfix, Exim, Microsoft, many in Germany and the Netherlands) do not deliver",
            "publish this record in its place, and let `acme.publish-tlsa` or `postroad dns --publish` follow renewals",
        );
        return Some(line.publish(publish()));
    }
    Some(match answer.security {
        Security::Secure => Line::ok(WHAT, format!("{name} names the certificate that is shown, and is signed")),
        Security::Insecure => Line::warn(
            WHAT,
            format!("{name} names the certificate that is shown, but the zone is not signed"),
            "nobody follows it",
            "sign the zone (DNSSEC) and give its DS record to the registrar",
        ),
        Security::Unchecked if world.has_dnssec => {
            Line::warn(WHAT, format!("{name} is not known to be signed"), "others may not follow it", "look at DNSSEC")
        }
        Security::Unchecked => Line::ok(
            WHAT,
            format!("{name} names the certificate that is shown; whether it is signed nobody here looks"),
        ),
    })
}
