//! All that was found about a message.

use postroad_dns::Dns;
use postroad_mailauth::body::Digests;
use postroad_mailauth::{arc, dkim, dmarc, iprev, spf};
use tokio::time::Instant;

use super::drive::{self, Budget};
use super::early::{Early, Envelope, Facts};
use super::signatures::{Authors, Signatures};
use super::{FOR_POLICY, QUESTIONS};

/// All that was found about a message.
#[derive(Debug, Clone)]
pub(crate) struct Findings {
    pub(crate) iprev: iprev::Verdict,
    /// SPF of MAIL FROM; with the null path, of HELO.
    pub(crate) mail_from: spf::Verdict,
    /// SPF of HELO, where that is another question.
    pub(crate) helo: Option<spf::Verdict>,
    /// The signatures that were looked at, in the order of the message.
    pub(crate) dkim: Vec<dkim::Outcome>,
    /// Signatures that nobody looked at, since there are so many.
    pub(crate) ignored: usize,
    pub(crate) arc: arc::Verdict,
    pub(crate) dmarc: dmarc::Verdict,
    pub(crate) authors: Authors,
}

impl Findings {
    /// Asks for the keys of all signatures at once, waits for what was started earlier, then asks for the policy. Whatever is not
    /// known by `deadline` is not known. Policies have time and questions of their own: who spends those of the others on what
    /// is never answered does not become one about whom nothing is known.
    pub(crate) async fn gather(
        dns: &dyn Dns,
        early: Early,
        facts: &Facts,
        signatures: Signatures,
        digests: &Digests,
        deadline: Instant,
    ) -> Findings {
        let Signatures { dkim, arc, authors } = signatures;
        let ignored = dkim.ignored();
        let budget = Budget::of(QUESTIONS);
        let soon = deadline - FOR_POLICY;
        let (envelope, dkim, arc) = tokio::join!(
            early.found(),
            drive::run_within(dkim.finish(digests), dns, soon, &budget),
            drive::run_within(arc.finish(digests), dns, soon, &budget),
        );
        let Envelope { iprev, mail_from, helo } = envelope.unwrap_or_else(|| unknown(facts));
        let input = dmarc::Input {
            from_domains: authors.domains.clone(),
            spf: Some(dmarc::Identifier { domain: mail_from.domain.clone(), outcome: of_spf(mail_from.result) }),
            dkim: dkim.iter().map(dkim::Outcome::identifier).collect(),
        };
        let dmarc = drive::run_within(dmarc::Check::new(input), dns, deadline, &Budget::of(QUESTIONS)).await;
        Findings { iprev, mail_from, helo, dkim, ignored, arc, dmarc, authors }
    }
}

fn of_spf(result: spf::Result) -> dmarc::Outcome {
    match result {
        spf::Result::Pass => dmarc::Outcome::Pass,
        spf::Result::TempError => dmarc::Outcome::TempError,
        spf::Result::None
        | spf::Result::Neutral
        | spf::Result::Fail
        | spf::Result::SoftFail
        | spf::Result::PermError => dmarc::Outcome::Other,
    }
}

/// A check that broke has found nothing: no verdict.
fn unknown(facts: &Facts) -> Envelope {
    let why = "the check broke; please report this".to_owned();
    let sender = facts.mail_from.clone().unwrap_or_else(|| format!("postmaster@{}", facts.helo));
    let domain = sender.rsplit_once('@').map_or_else(String::new, |(_, domain)| domain.to_ascii_lowercase());
    let identity = if facts.mail_from.is_some() { spf::Identity::MailFrom } else { spf::Identity::Helo };
    Envelope {
        iprev: iprev::Verdict { result: iprev::Result::TempError, ip: facts.ip, name: None, why: why.clone() },
        mail_from: spf::Verdict {
            result: spf::Result::TempError,
            domain,
            identity,
            sender,
            mechanism: None,
            explanation: None,
            why,
        },
        helo: None,
    }
}

#[cfg(test)]
mod tests;
