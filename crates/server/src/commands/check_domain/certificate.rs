//! A certificate as a server really shows it.

use std::time::SystemTime;

use postroad_net::CertificateFacts;

use super::World;
use super::line::Line;

const WHAT: &str = "certificate";
/// With fewer days left it should have been renewed.
const DAYS_LEFT_MIN: i64 = 14;

/// `demanded`: whoever connects insists on a certificate that can be verified.
pub(super) fn look(world: &World, at: &str, host: &str, chain: &[Vec<u8>], demanded: bool) -> Line {
    let facts = chain.first().and_then(|leaf| CertificateFacts::of(leaf, SystemTime::now()));
    let Some(facts) = facts else {
        return Line::fail(WHAT, format!("{at} shows none that can be read"), "nobody can verify it", REMEDY);
    };
    let trouble = |fact: String, meaning: &str, remedy: &str| match demanded {
        true => Line::fail(WHAT, fact, meaning, remedy),
        false => Line::warn(WHAT, fact, meaning, remedy),
    };
    let meaning = match demanded {
        true => "programs for mail show a warning or refuse, and servers that follow MTA-STS do not deliver",
        false => "servers that insist on a verified certificate do not deliver; all others do",
    };
    let names = facts.names.join(", ");
    if facts.days_left < 0 {
        let fact = format!("{at} shows one that expired {} days ago", -facts.days_left);
        return trouble(fact, meaning, REMEDY);
    }
    if !facts.names.iter().any(|name| covers(name, host)) {
        let fact = format!("{at} shows one for {names}, not for {host}");
        return trouble(fact, meaning, "get one with this name (acme.names, or [[certificate]] in the settings)");
    }
    if facts.self_signed {
        return trouble(format!("{at} shows one of its own making"), meaning, REMEDY);
    }
    match world.trust.as_ref().map(|trust| trust.verify(chain, host)) {
        Ok(Ok(())) => {}
        Ok(Err(why)) => {
            let fact = format!("{at} shows one by {} that is not verified: {why}", facts.issuer);
            return trouble(
                fact,
                meaning,
                "if its issuers are missing, put them into the chain file; else get another one",
            );
        }
        Err(why) => {
            let fact = format!("{at} shows one for {names}, {} days left", facts.days_left);
            return Line::warn(
                WHAT,
                fact,
                format!("it could not be verified: {why}"),
                "name a file in outbound.authorities",
            );
        }
    }
    let fact = format!("{at} shows one for {names}, {} days left", facts.days_left);
    match facts.days_left < DAYS_LEFT_MIN {
        true => Line::warn(WHAT, fact, "it should have been renewed by now", "look at `postroad certificate list`"),
        false => Line::ok(WHAT, fact),
    }
}

/// RFC 6125 §6.4: a wildcard stands for one label.
fn covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

const REMEDY: &str = "set acme.terms-agreed = true so that the server gets one, or put one into [[certificate]]; see `postroad certificate list`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_one_label() {
        for (pattern, host, expected) in [
            ("mail.example.org", "Mail.example.org", true),
            ("*.example.org", "mail.example.org", true),
            ("*.example.org", "a.mail.example.org", false),
            ("*.example.org", "example.org", false),
        ] {
            assert_eq!(covers(pattern, host), expected, "{pattern} {host}");
        }
    }
}
