//! Who speaks for a message that fails: hosts that send mail on, those whose seals are believed, lists that are known.
//!
//! Each was named by an administrator, and each is believed only as far as it can be verified itself: a host by its address
//! or its forward-confirmed name, a seal by its chain, a list by SPF or a signature of its own domain.

use postroad_mailauth::results::{self, MethodResult};
use postroad_mailauth::{arc, dkim, iprev, spf};
use postroad_net::Network;
use postroad_trust::policy::{Trusted, TrustedKind};

use super::decide::below;
use super::early::Facts;
use super::findings::Findings;
use super::summary::OverrideKind;

/// Somebody who speaks for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Believed {
    /// As what a report calls it.
    pub(crate) kind: OverrideKind,
    /// Who, in words.
    pub(crate) comment: String,
    /// It was verified. Otherwise the DNS does not answer, and nobody knows whether it would be.
    pub(crate) sure: bool,
}

/// Who speaks for the message, of those who are trusted.
pub(crate) fn speaks_for(trusted: &[Trusted], findings: &Findings, facts: &Facts) -> Option<Believed> {
    let found = [forwarder(trusted, findings, facts), sealer(trusted, findings), list(trusted, findings)];
    let mut found: Vec<Believed> = found.into_iter().flatten().collect();
    let best = found.iter().position(|one| one.sure).unwrap_or(0);
    (best < found.len()).then(|| found.swap_remove(best))
}

fn of(trusted: &[Trusted], kind: TrustedKind) -> impl Iterator<Item = &str> {
    trusted.iter().filter(move |one| one.kind == kind).map(|one| one.name.as_str())
}

fn forwarder(trusted: &[Trusted], findings: &Findings, facts: &Facts) -> Option<Believed> {
    let believed = |comment, sure| Some(Believed { kind: OverrideKind::TrustedForwarder, comment, sure });
    let mut unsure = None;
    for name in of(trusted, TrustedKind::Forwarder) {
        if let Ok(network) = name.parse::<Network>() {
            if network.contains(facts.ip) {
                return believed(format!("{} is in {name}", facts.ip), true);
            }
            continue;
        }
        match (findings.iprev.result, &findings.iprev.name) {
            (iprev::Result::Pass, Some(host)) if below(host, name) => {
                return believed(format!("{host} is in {name}"), true);
            }
            (iprev::Result::TempError, _) => {
                unsure = believed(format!("{} may be in {name}", facts.ip), false);
            }
            (iprev::Result::Pass | iprev::Result::Fail | iprev::Result::PermError, _) => {}
        }
    }
    unsure
}

/// RFC 8617 §7.2: from the newest seal down, as long as the sealers are trusted, whoever saw the message pass.
fn sealer(trusted: &[Trusted], findings: &Findings) -> Option<Believed> {
    let chain = &findings.arc;
    let is_trusted = |set: &&arc::Set| of(trusted, TrustedKind::ArcSealer).any(|name| below(&set.domain, name));
    let sure = match chain.cv {
        arc::Validation::Pass => true,
        arc::Validation::Fail if chain.temporary => false,
        arc::Validation::None | arc::Validation::Fail => return None,
    };
    let seen = chain.sets.iter().rev().take_while(is_trusted).find(|set| saw_it_pass(&set.results, findings))?;
    let (instance, domain, selector) = (seen.instance, &seen.domain, &seen.selector);
    // RFC 8617 §7.2.2 gives the form.
    let comment = format!("arc=pass as[{instance}].d={domain} as[{instance}].s={selector}");
    Some(Believed { kind: OverrideKind::LocalPolicy, comment, sure })
}

/// Whether somebody's results say that the author's domain passed.
fn saw_it_pass(body: &[u8], findings: &Findings) -> bool {
    let [author] = findings.authors.domains.as_slice() else { return false };
    let same = |domain: &str| {
        let domain = domain.trim_end_matches('.').to_lowercase();
        domain == *author || (domain == findings.dmarc.domain && !domain.is_empty())
    };
    let passed = |result: &MethodResult| {
        let names: &[(&str, &str)] = match result.method.as_str() {
            "dmarc" => &[("header", "from")],
            "dkim" => &[("header", "d"), ("header", "i")],
            "spf" => &[("smtp", "mailfrom")],
            _ => &[],
        };
        let is_author = |value: &str| same(value.rsplit_once('@').map_or(value, |(_, domain)| domain));
        let says = |property: &results::Property| {
            names.contains(&(property.kind.as_str(), property.name.as_str())) && is_author(&property.value)
        };
        result.result == "pass" && result.properties.iter().any(says)
    };
    results::parse(body).is_some_and(|found| found.results.iter().any(passed))
}

fn list(trusted: &[Trusted], findings: &Findings) -> Option<Believed> {
    let id = findings.authors.list.as_deref()?;
    let known = of(trusted, TrustedKind::List).find(|name| match name.strip_prefix("*.") {
        Some(domain) => below(id, domain) && id.len() > domain.len(),
        None => id.eq_ignore_ascii_case(name),
    })?;
    // Anybody can write the list's name; only the list can be authenticated as its own domain.
    let own = |domain: &str| domain.contains('.') && below(id, domain);
    let signed = |is: fn(&dkim::Outcome) -> bool| findings.dkim.iter().any(|one| is(one) && own(&one.domain));
    let sent = |result| findings.mail_from.result == result && own(&findings.mail_from.domain);
    let believed = |sure| {
        Some(Believed { kind: OverrideKind::MailingList, comment: format!("the list {id}, known as {known}"), sure })
    };
    if signed(dkim::Outcome::vouches) || sent(spf::Result::Pass) {
        believed(true)
    } else if signed(|outcome| outcome.status == dkim::Status::TempError) || sent(spf::Result::TempError) {
        believed(false)
    } else {
        None
    }
}
