//! What aggregate reports need to know of a message: plain data, handed over in the transaction that writes its story.

use std::net::IpAddr;

/// What was done with a message: `None` is delivered as usual, `Quarantine` filed in Junk.
pub use postroad_mailauth::report::aggregate::Disposition;
use postroad_mailauth::{dkim, dmarc, spf};
use postroad_store::{Timestamp, TraceId, WriteTx};

use super::believed::Believed;
use super::decide::{Cause, Decision, key};
use super::early::Facts;
use super::failure::Failure;
use super::findings::Findings;

/// Writes down what was found about a message. Called in the transaction that delivers it, or in the one that writes down
/// that it was refused; never for mail that its sender was asked to bring again.
pub type Recorder = fn(&mut WriteTx, &Summary) -> Result<(), postroad_store::Error>;

/// A message that was looked at. RFC 9990 §2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// When.
    pub at: Timestamp,
    /// Its story.
    pub trace: TraceId,
    /// The host that brought it.
    pub source_ip: IpAddr,
    /// How the host called itself.
    pub helo: String,
    /// The domain of MAIL FROM; `None` is the null path.
    pub envelope_from: Option<String>,
    /// The domains of the recipients, each once.
    pub envelope_to: Vec<String>,
    /// DMARC: the author's domain, the record, what was aligned.
    pub dmarc: dmarc::Verdict,
    /// SPF of MAIL FROM, or of HELO with the null path.
    pub spf: spf::Verdict,
    /// The signatures that were looked at.
    pub dkim: Vec<dkim::Outcome>,
    /// What was done. With several recipients, the hardest that was done to one of them.
    pub disposition: Disposition,
    /// Why that is not what the author's domain asks for.
    pub overrides: Vec<Override>,
    /// What the author's domain may hear about this very message, if it wants to and the server tells.
    pub failure: Option<Failure>,
}

/// Why a policy was not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The kind.
    pub kind: OverrideKind,
    /// In words.
    pub comment: String,
}

/// RFC 9990's `PolicyOverrideType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OverrideKind {
    /// What the recipient's domain or the administrator wants.
    LocalPolicy,
    /// A mailing list that is known.
    MailingList,
    /// The author's domain is trying its policy out (`t=y`).
    PolicyTestMode,
    /// A host that sends mail on to people here.
    TrustedForwarder,
}

impl OverrideKind {
    /// The word of the report.
    pub fn as_str(self) -> &'static str {
        match self {
            OverrideKind::LocalPolicy => "local_policy",
            OverrideKind::MailingList => "mailing_list",
            OverrideKind::PolicyTestMode => "policy_test_mode",
            OverrideKind::TrustedForwarder => "trusted_forwarder",
        }
    }
}

pub(super) fn of(
    findings: &Findings,
    facts: &Facts,
    trace: TraceId,
    mut envelope_to: Vec<String>,
    disposition: Disposition,
    decisions: &[Decision],
    believed: Option<&Believed>,
) -> Summary {
    envelope_to.sort_unstable();
    envelope_to.dedup();
    Summary {
        at: facts.now,
        trace,
        source_ip: facts.ip,
        helo: facts.helo.clone(),
        envelope_from: facts.mail_from.as_deref().and_then(|path| Some(path.rsplit_once('@')?.1.to_owned())),
        envelope_to,
        dmarc: findings.dmarc.clone(),
        spf: findings.mail_from.clone(),
        dkim: findings.dkim.clone(),
        disposition,
        overrides: overrides(findings, disposition, decisions, believed),
        failure: None,
    }
}

fn overrides(
    findings: &Findings,
    disposition: Disposition,
    decisions: &[Decision],
    believed: Option<&Believed>,
) -> Vec<Override> {
    let dmarc = &findings.dmarc;
    let mut overrides = Vec::new();
    if dmarc.result != dmarc::Result::Fail {
        return overrides;
    }
    if dmarc.policy != dmarc.published {
        let comment = "the record says t=y".to_owned();
        overrides.push(Override { kind: OverrideKind::PolicyTestMode, comment });
    }
    let asked = match dmarc.policy {
        dmarc::Policy::None => Disposition::None,
        dmarc::Policy::Quarantine => Disposition::Quarantine,
        dmarc::Policy::Reject => Disposition::Reject,
    };
    match believed {
        Some(believed) if decisions.iter().any(|decision| decision.spoken_for) => {
            overrides.push(Override { kind: believed.kind, comment: believed.comment.clone() });
        }
        Some(_) | None if asked != disposition => {
            let crowd = decisions.iter().any(|decision| decision.cause == Cause::Crowd);
            let comment = match crowd {
                true => "more authors than are looked at, or nobody can say who they are".to_owned(),
                false => format!("the recipient's domain has its own word for {}", key(dmarc.policy)),
            };
            overrides.push(Override { kind: OverrideKind::LocalPolicy, comment });
        }
        Some(_) | None => {}
    }
    overrides
}
