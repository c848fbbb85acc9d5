//! How the connections of a job have to be protected, host by host: by DANE, by MTA-STS, by what the sender wants.
//!
//! | what is known | how the host is spoken with | what failure means |
//! |---|---|---|
//! | a route | as the route says | the mail waits |
//! | TLSA records that can be used | TLS, the certificate as they say | the next host, then the mail waits |
//! | TLSA records, none of which can be used | TLS, any certificate | the same |
//! | TLSA records cannot be looked up | not at all | the same |
//! | MTA-STS in `enforce`, the host is named | TLS, the certificate verified for the host | the same |
//! | MTA-STS in `enforce`, the host is not named | not at all | the same |
//! | MTA-STS in `testing` | TLS by opportunity, failures are reported | clear text |
//! | nothing | as the settings say: TLS by opportunity | clear text |
//!
//! 1. DANE decides before MTA-STS (RFC 8461 §2): neither lets through what the other refuses, but records that can be used
//!    make the host known better than any list of names.
//! 2. What a policy wants is never weakened by what an attacker can do to a connection or to a look-up.
//! 3. REQUIRETLS only makes it stricter; `TLS-Required: No` sets aside what recipients publish and nothing that is set here.
//!
//! Standards: RFC 7672 (DANE), RFC 8461 (MTA-STS), RFC 8689 (REQUIRETLS, TLS-Required), RFC 8460 (what is reported).

pub(crate) mod dane;
pub(crate) mod fetch;
pub(crate) mod results;
pub(crate) mod sts;
pub(crate) mod verifiers;

use std::sync::Arc;

use postroad_dns::{Dns, Error};
use postroad_queue::Route;
use postroad_trust::sts::{Cached, Mode};
use postroad_trust::tls_results::{Failure, FailureKind, Policy, PolicyKind};

use super::hosts::Host;
use super::route::{self, Protection};
use super::settle::{Verdict, Words};
use super::tls::Broken;
use dane::Records;
use sts::Sts;

/// What the settings say about hosts of which nothing else is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Floor {
    /// TLS where it is offered, with any certificate; else in clear.
    #[default]
    Opportunistic,
    /// TLS with any certificate.
    Required,
    /// TLS with a certificate that is verified for the host's name.
    Verified,
}

/// Which policies of others are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follow {
    /// TLSA records.
    pub dane: bool,
    /// MTA-STS.
    pub mta_sts: bool,
    /// For hosts of which nothing else is known.
    pub floor: Floor,
}

impl Default for Follow {
    fn default() -> Follow {
        Follow { dane: true, mta_sts: true, floor: Floor::default() }
    }
}

/// Finds out how hosts have to be spoken with.
pub(crate) struct Guard {
    pub(crate) dns: Arc<dyn Dns>,
    pub(crate) sts: Arc<Sts>,
    pub(crate) follow: Follow,
}

/// What holds for all hosts of a job.
pub(crate) struct Rules {
    domain: String,
    port: u16,
    route: Option<Arc<Route>>,
    requiretls: bool,
    /// The sender would rather have it delivered than protected.
    relaxed: bool,
    sts: Option<Arc<Cached>>,
    /// For the story, once for the job.
    pub(crate) notes: Vec<String>,
    /// What is counted even when no host is spoken with.
    pub(crate) faults: Vec<(Arc<Policy>, Failure)>,
}

/// How a host is spoken with, and because of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) protection: Protection,
    /// In words, for the story.
    pub(crate) because: String,
    /// Whose sessions these are in reports; none for routes, which are nobody else's business.
    pub(crate) policy: Option<Arc<Policy>>,
    /// What is wrong with the host whatever its session is like; it is delivered all the same.
    pub(crate) lacks: Option<Broken>,
    /// More for the story.
    pub(crate) notes: Vec<String>,
}

impl Terms {
    fn new(protection: Protection, because: impl Into<String>, policy: Option<Arc<Policy>>) -> Terms {
        Terms { protection, because: because.into(), policy, lacks: None, notes: Vec::new() }
    }

    /// For the story: what was met of policies, if anything.
    pub(crate) fn policy_met(&self) -> Option<String> {
        let is_plain = matches!(&self.policy, Some(policy) if policy.kind == PolicyKind::NoPolicyFound)
            && self.protection == Protection::Opportunistic
            && self.because == NO_POLICY;
        // A route is told by where the mail went.
        let is_told = self.policy.is_some() && !is_plain || matches!(self.protection, Protection::Dane(_));
        is_told.then(|| self.because.clone())
    }

    /// For metrics.
    pub(crate) fn kind(&self) -> &'static str {
        match self.policy.as_ref().map(|policy| policy.kind) {
            Some(PolicyKind::Tlsa) => "dane",
            Some(PolicyKind::Sts) if self.protection == Protection::Watched => "sts-testing",
            Some(PolicyKind::Sts) => "sts",
            Some(PolicyKind::NoPolicyFound) => "none",
            None => "route",
        }
    }
}

/// The reason where there is none.
const NO_POLICY: &str = "no policy";

/// A host that must not be spoken with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) verdict: Verdict,
    pub(crate) because: String,
    pub(crate) count: Option<(Arc<Policy>, Failure)>,
}

impl Guard {
    /// What holds for a job to this domain. `relaxed`: the message says `TLS-Required: No`.
    pub(crate) async fn rules(
        &self,
        domain: &str,
        port: u16,
        route: Option<Arc<Route>>,
        requiretls: bool,
        relaxed: bool,
    ) -> Rules {
        // RFC 8689 §4.1: REQUIRETLS outweighs the header field.
        let relaxed = relaxed && !requiretls;
        let mut rules = Rules {
            domain: domain.to_owned(),
            port,
            route,
            requiretls,
            relaxed,
            sts: None,
            notes: Vec::new(),
            faults: Vec::new(),
        };
        if rules.route.is_some() {
            return rules;
        }
        if relaxed {
            let note = "the sender wants it delivered also without TLS (TLS-Required: No): \
                        DANE and MTA-STS of the recipients are set aside";
            rules.notes.push(note.into());
            return rules;
        }
        if self.follow.mta_sts {
            let sts::Found { policy, trouble } = self.sts.find(domain).await;
            if let Some(trouble) = trouble {
                rules.trouble(policy.as_deref(), &trouble);
            }
            rules.sts = policy;
        }
        rules
    }

    /// How a host is spoken with; else what becomes of mail for it.
    pub(crate) async fn terms(&self, rules: &Rules, host: &Host) -> Result<Terms, Box<Refusal>> {
        let terms = match &rules.route {
            Some(route) => self.by_route(rules, route, host).await?,
            None if rules.relaxed => Terms::new(Protection::Opportunistic, "TLS-Required: No", Some(rules.no_policy())),
            None => self.by_policy(rules, host).await?,
        };
        if rules.requiretls { rules.required(host, terms) } else { Ok(self.at_least(rules, terms)) }
    }

    async fn by_route(&self, rules: &Rules, route: &Route, host: &Host) -> Result<Terms, Box<Refusal>> {
        let because = format!("the route ({})", route.tls.name());
        if let Some(protection) = route::protection(route) {
            return Ok(Terms::new(protection, because, None));
        }
        match self.dane(rules, host).await {
            Dane::Usable(records, _) => Ok(Terms::new(Protection::Dane(records), because, None)),
            Dane::Unusable(_) | Dane::None => {
                let text = format!(
                    "The route to {} wants DANE, and there are no TLSA records at {} that DNSSEC vouches for; ask its \
                     administrator for them, or give the route another --tls",
                    host.name,
                    dane::owner(rules.port, &host.name)
                );
                Err(Refusal::waits((4, 7, 5), text, because, None))
            }
            Dane::Trouble(why) => {
                Err(Refusal::waits((4, 7, 5), format!("DANE of {}: {why}", host.name), because, None))
            }
        }
    }

    async fn by_policy(&self, rules: &Rules, host: &Host) -> Result<Terms, Box<Refusal>> {
        let dane = if self.follow.dane { self.dane(rules, host).await } else { Dane::None };
        let mut notes = Vec::new();
        let unusable = match dane {
            Dane::Usable(records, policy) => {
                rules.note_conflict(host, &mut notes);
                let because = format!("DANE ({})", records.kinds());
                return Ok(Terms { notes, ..Terms::new(Protection::Dane(records), because, Some(policy)) });
            }
            Dane::Trouble(why) => {
                let text = format!(
                    "{} cannot be spoken with safely: its TLSA records (DANE) cannot be looked up: {why}. This is how an \
                     attack looks, and more often a name server in trouble; it is tried again",
                    host.name
                );
                let failure = rules.failure(FailureKind::DnssecInvalid, host, why);
                let count = Some((rules.policy(PolicyKind::Tlsa, Vec::new(), Vec::new()), failure));
                return Err(Refusal::waits((4, 7, 5), text, "DANE".into(), count));
            }
            Dane::Unusable(policy) => {
                notes
                    .push(format!("{} has TLSA records of which none can be used: any certificate will do", host.name));
                Some(policy)
            }
            Dane::None => None,
        };
        let terms = rules.by_sts(host, notes)?;
        Ok(match unusable {
            // RFC 7672 §2.2: TLS is demanded; and MTA-STS holds where it wants more.
            Some(policy) if !terms.protection.is_needed() => Terms {
                protection: Protection::Required,
                because: "DANE (no record that can be used)".into(),
                policy: Some(policy),
                ..terms
            },
            Some(_) | None => terms,
        })
    }

    /// What the settings want beside.
    fn at_least(&self, rules: &Rules, terms: Terms) -> Terms {
        let floor = match self.follow.floor {
            Floor::Opportunistic => return terms,
            Floor::Required => Protection::Required,
            Floor::Verified => Protection::Verified,
        };
        let enough = match self.follow.floor {
            Floor::Opportunistic | Floor::Required => terms.protection.is_needed(),
            Floor::Verified => terms.protection.authenticates(),
        };
        match enough || rules.route.is_some() {
            true => terms,
            false => {
                let because = format!("{}; this server's settings (outbound.tls)", terms.because);
                Terms { protection: floor, because, ..terms }
            }
        }
    }

    /// RFC 7672 §2.2.2 and §2.2.3: the records at the name behind secure aliases, else at the name itself.
    async fn dane(&self, rules: &Rules, host: &Host) -> Dane {
        let vouched = &host.vouched;
        if !vouched.chosen || host.name.starts_with('[') {
            return Dane::None;
        }
        let mut bases: Vec<&str> = Vec::new();
        if vouched.placed {
            bases.push(&vouched.canonical);
            if vouched.canonical != host.name {
                bases.push(&host.name);
            }
        } else if vouched.canonical != host.name {
            // An alias in a signed zone to one that is not: the alias' own name may have records.
            match self.dns.cname(&host.name).await {
                Ok(answer) if answer.security.is_secure() => bases.push(&host.name),
                Ok(_) => {}
                Err(error) if error.is_temporary() => return Dane::Trouble(error.to_string()),
                Err(_) => {}
            }
        }
        for base in bases {
            match self.dns.tlsa(&dane::owner(rules.port, base)).await {
                Ok(answer) if answer.security.is_secure() => {
                    let lines = answer.records.iter().map(dane::line).collect();
                    let policy = rules.policy(PolicyKind::Tlsa, lines, Vec::new());
                    // RFC 7672 §3.2.2: the host's names, and the domain's, for which DNSSEC vouches.
                    let names = [host.name.as_str(), rules.domain.as_str()];
                    return match Records::of(base, &names, &answer.records) {
                        Some(records) => Dane::Usable(Arc::new(records), policy),
                        None => Dane::Unusable(policy),
                    };
                }
                // RFC 7672 §2.1.1: what nobody vouches for says nothing.
                Ok(_) => return Dane::None,
                Err(error @ (Error::Temporary(_) | Error::Bogus(_))) => return Dane::Trouble(error.to_string()),
                Err(Error::NoSuchName(_) | Error::NoData(_) | Error::BadName(_)) => {}
            }
        }
        Dane::None
    }
}

/// What the TLSA records of a host come to.
enum Dane {
    None,
    Usable(Arc<Records>, Arc<Policy>),
    Unusable(Arc<Policy>),
    /// They may be there, and cannot be had; why.
    Trouble(String),
}

impl Rules {
    /// What MTA-STS says of a host, if anything.
    fn by_sts(&self, host: &Host, notes: Vec<String>) -> Result<Terms, Box<Refusal>> {
        let Some(kept) = self.sts.as_ref().filter(|kept| kept.policy.mode != Mode::None) else {
            return Ok(Terms { notes, ..Terms::new(Protection::Opportunistic, NO_POLICY, Some(self.no_policy())) });
        };
        let policy = self.sts_policy(kept);
        let because = format!("MTA-STS ({}, id {})", kept.policy.mode.name(), kept.id);
        let covered = kept.policy.covers(&host.name);
        match (kept.policy.mode, covered) {
            (Mode::Enforce, true) => Ok(Terms { notes, ..Terms::new(Protection::Verified, because, Some(policy)) }),
            (Mode::Enforce, false) => {
                let text = format!(
                    "{} is a mail exchanger of {} that the domain's MTA-STS policy does not name ({}). This is how an attack \
                     looks, and more often a policy that was not brought up to date: its administrator has to add the host \
                     to the policy and change the record's id",
                    host.name,
                    self.domain,
                    kept.policy.mx.join(", ")
                );
                let why = format!("{} is not named by the policy", host.name);
                let failure = self.failure(FailureKind::ValidationFailure, host, why);
                Err(Refusal::waits((4, 7, 5), text, because, Some((policy, failure))))
            }
            (Mode::Testing | Mode::None, covered) => {
                let why = format!("{} is not named by the policy", host.name);
                let lacks = (!covered).then_some(Broken { why, kind: FailureKind::ValidationFailure });
                Ok(Terms { notes, lacks, ..Terms::new(Protection::Watched, because, Some(policy)) })
            }
        }
    }

    /// RFC 8689 §4.2.1: a host whose name and certificate are vouched for, or it does not travel.
    fn required(&self, host: &Host, terms: Terms) -> Result<Terms, Box<Refusal>> {
        if terms.protection.authenticates() {
            return Ok(Terms { because: format!("{}, and REQUIRETLS", terms.because), ..terms });
        }
        let by_policy = self.sts.as_ref().is_some_and(|kept| kept.policy.covers(&host.name));
        if host.vouched.named || by_policy {
            let because = format!("REQUIRETLS; {}", terms.because);
            return Ok(Terms { protection: Protection::Verified, because, ..terms });
        }
        let text = format!(
            "The message requires TLS on its whole way (REQUIRETLS), and nobody vouches for {} being a mail exchanger of {}: \
             neither DNSSEC nor an MTA-STS policy. Without REQUIRETLS it can be sent",
            host.name, self.domain
        );
        // RFC 8689 §5. Where a policy could not be had, it may be had later.
        let words = |class| Words::ours((class, 7, 30), text, "choosing how to protect the connection");
        let verdict = match self.faults.is_empty() {
            true => Verdict::Failed(words(5)),
            false => Verdict::Deferred(words(4)),
        };
        Err(Box::new(Refusal { verdict, because: "REQUIRETLS".into(), count: None }))
    }

    /// DANE and MTA-STS of a host do not say the same.
    fn note_conflict(&self, host: &Host, notes: &mut Vec<String>) {
        if let Some(kept) = self.sts.as_ref().filter(|kept| kept.policy.mode != Mode::None) {
            let mode = kept.policy.mode.name();
            notes.push(match kept.policy.covers(&host.name) {
                true => format!("{}: DANE decides, the MTA-STS policy ({mode}) beside it does not", host.name),
                false => format!(
                    "{}: DANE decides, although the MTA-STS policy ({mode}) does not name the host; its administrator \
                     should put that right",
                    host.name
                ),
            });
        }
    }

    /// A policy could not be had.
    fn trouble(&mut self, kept: Option<&Cached>, trouble: &Broken) {
        self.notes.push(match kept {
            Some(kept) => format!(
                "the MTA-STS policy of {} could not be renewed ({}); the one that is kept holds ({}, id {})",
                self.domain,
                trouble.why,
                kept.policy.mode.name(),
                kept.id
            ),
            None => format!("{} announces an MTA-STS policy that could not be fetched: {}", self.domain, trouble.why),
        });
        let policy = match kept {
            Some(kept) => self.sts_policy(kept),
            None => self.policy(PolicyKind::Sts, Vec::new(), Vec::new()),
        };
        self.faults.push((policy, Failure { reason: reason(&trouble.why), ..Failure::new(trouble.kind) }));
    }

    fn sts_policy(&self, kept: &Cached) -> Arc<Policy> {
        self.policy(PolicyKind::Sts, kept.policy.lines(), kept.policy.mx.clone())
    }

    fn no_policy(&self) -> Arc<Policy> {
        self.policy(PolicyKind::NoPolicyFound, Vec::new(), Vec::new())
    }

    fn policy(&self, kind: PolicyKind, lines: Vec<String>, hosts: Vec<String>) -> Arc<Policy> {
        Arc::new(Policy { kind, domain: self.domain.clone(), lines, hosts })
    }

    fn failure(&self, kind: FailureKind, host: &Host, why: String) -> Failure {
        Failure { host: host.name.clone(), reason: reason(&why), ..Failure::new(kind) }
    }
}

impl Refusal {
    fn waits(
        enhanced: (u8, u16, u16),
        text: String,
        because: String,
        count: Option<(Arc<Policy>, Failure)>,
    ) -> Box<Refusal> {
        let words = Words::ours(enhanced, text, "choosing how to protect the connection");
        Box::new(Refusal { verdict: Verdict::Deferred(words), because, count })
    }
}

/// A reason for a report: bounded, since strangers have a part in it.
pub(crate) fn reason(why: &str) -> String {
    why.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect()
}

/// Characters of a reason.
const REASON_MAX: usize = 200;

#[cfg(test)]
mod tests;
