//! What becomes of a message: a pure function of what was found, a policy, and who speaks for the message.

use postroad_mailauth::{dkim, dmarc, spf};
use postroad_queue::Standing;
use postroad_trust::policy::{Key, Policy, Treatment, Unsure};

use super::believed::Believed;
use super::findings::Findings;

/// Where a recipient's copy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filed {
    /// Where its mail always goes.
    #[default]
    Usual,
    /// Into Junk.
    Junk,
}

/// What a recipient's domain wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Action {
    Deliver,
    Junk,
    /// It cannot be known now.
    Defer,
    Reject,
}

/// What a decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// Nothing is wrong.
    Nothing,
    /// Something is wrong, and the policy has a word about it.
    Policy(Key),
    /// More authors than are looked at.
    Crowd,
    /// Nobody can say now.
    Unsure,
}

/// What a recipient's domain wants done, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) action: Action,
    pub(crate) cause: Cause,
    /// It would be harder, but for somebody who is believed.
    pub(crate) spoken_for: bool,
}

/// Decides by one policy.
pub(crate) fn decide(findings: &Findings, policy: &Policy, believed: Option<&Believed>) -> Decision {
    let (action, cause) = harder(of_results(findings, policy), of_authors(findings, policy));
    let decided = |action, cause, spoken_for| Decision { action, cause, spoken_for };
    match believed {
        Some(_) if action == Action::Deliver => decided(action, cause, false),
        // Whoever is believed can say that a message is as it was; not whom its readers will take for its author.
        Some(believed) if believed.sure => match of_authors(findings, policy) {
            (Action::Deliver, _) => decided(Action::Deliver, cause, true),
            (action, crowd) => decided(action, crowd, cause != crowd),
        },
        // It would be believed, if only its word could be verified now.
        Some(_) => decided(when_unsure(policy), Cause::Unsure, false),
        None => decided(action, cause, false),
    }
}

fn of_results(findings: &Findings, policy: &Policy) -> (Action, Cause) {
    match findings.dmarc.result {
        dmarc::Result::Pass => (Action::Deliver, Cause::Nothing),
        dmarc::Result::Fail => by(policy, key(findings.dmarc.policy)),
        dmarc::Result::TempError if may_be_refused(findings, policy) => (when_unsure(policy), Cause::Unsure),
        dmarc::Result::TempError => (Action::Deliver, Cause::Unsure),
        dmarc::Result::None | dmarc::Result::PermError => {
            harder(without_dmarc_spf(findings, policy), without_dmarc_dkim(findings, policy))
        }
    }
}

/// Whom DMARC did not look at, it says nothing about.
fn of_authors(findings: &Findings, policy: &Policy) -> (Action, Cause) {
    let crowd = match findings.authors.crowd {
        true => (by(policy, Key::DmarcQuarantine).0, Cause::Crowd),
        false => (Action::Deliver, Cause::Nothing),
    };
    match has_an_author(findings) {
        true => crowd,
        false => harder(by(policy, Key::FromInvalid), crowd),
    }
}

/// RFC 5322 §3.6 and §3.6.2: one From field with an address. Old servers write notices from `MAILER-DAEMON` alone.
fn has_an_author(findings: &Findings) -> bool {
    let is_notice = findings.mail_from.identity == spf::Identity::Helo;
    findings.authors.fields == 1 && (!findings.authors.domains.is_empty() || is_notice)
}

/// What is known of MAIL FROM by whom the message came. A notice about what is proven forged would be the forger's letter by our
/// hand; who is believed has seen it pass.
pub(crate) fn standing(findings: &Findings, believed: Option<&Believed>) -> Standing {
    let sender = &findings.mail_from;
    if sender.identity == spf::Identity::Helo {
        return Standing::Unknown;
    }
    let dmarc = &findings.dmarc;
    // The author's domain stands behind the message, and behind a sender of its own.
    let stands_behind = dmarc.result == dmarc::Result::Pass && related(&dmarc.domain, &sender.domain);
    match (sender.result, dmarc.result) {
        (spf::Result::Pass, _) => Standing::Vouched,
        _ if stands_behind || believed.is_some() => Standing::Unknown,
        (spf::Result::Fail, _) => Standing::Forged,
        (
            spf::Result::None | spf::Result::Neutral | spf::Result::SoftFail | spf::Result::PermError,
            dmarc::Result::Fail,
        ) => Standing::Forged,
        (
            spf::Result::None
            | spf::Result::Neutral
            | spf::Result::SoftFail
            | spf::Result::TempError
            | spf::Result::PermError,
            _,
        ) => Standing::Unknown,
    }
}

/// RFC 7208 §8.4, where no DMARC policy knows better. A signature of the domain outweighs where the message came by.
fn without_dmarc_spf(findings: &Findings, policy: &Policy) -> (Action, Cause) {
    let nothing = (Action::Deliver, Cause::Nothing);
    let signed = findings.dkim.iter().any(|outcome| {
        outcome.vouches()
            && (findings.authors.domains.iter().any(|domain| related(domain, &outcome.domain))
                || related(&findings.mail_from.domain, &outcome.domain))
    });
    match findings.mail_from.result {
        spf::Result::Fail if signed => nothing,
        spf::Result::Fail => by(policy, Key::SpfFail),
        spf::Result::TempError if !signed && policy.spf_fail == Treatment::Reject => {
            (when_unsure(policy), Cause::Unsure)
        }
        spf::Result::TempError
        | spf::Result::None
        | spf::Result::Neutral
        | spf::Result::Pass
        | spf::Result::SoftFail
        | spf::Result::PermError => nothing,
    }
}

fn without_dmarc_dkim(findings: &Findings, policy: &Policy) -> (Action, Cause) {
    let any = |status| findings.dkim.iter().any(|outcome| outcome.status == status && !outcome.testing);
    let signed = findings.dkim.iter().any(|outcome| outcome.status == dkim::Status::Pass);
    if signed || !any(dkim::Status::Fail) {
        return (Action::Deliver, Cause::Nothing);
    }
    match any(dkim::Status::TempError) && policy.dkim_fail == Treatment::Reject {
        true => (when_unsure(policy), Cause::Unsure),
        false => by(policy, Key::DkimFail),
    }
}

/// Whether an answer of the DNS could have led to a refusal. A policy that could not be read may be any; but where somebody
/// passed under the author's very domain, every policy would have been met.
fn may_be_refused(findings: &Findings, policy: &Policy) -> bool {
    let worst = match &findings.dmarc.record {
        Some(record) => milder(findings.dmarc.published, record.testing),
        None => dmarc::Policy::Reject,
    };
    by(policy, key(worst)).0 == Action::Reject && !vouched(findings)
}

fn vouched(findings: &Findings) -> bool {
    let [domain] = findings.authors.domains.as_slice() else { return false };
    let same = |other: &str| other == domain || other == findings.dmarc.domain;
    (findings.mail_from.result == spf::Result::Pass && same(&findings.mail_from.domain))
        || findings.dkim.iter().any(|outcome| outcome.vouches() && same(&outcome.domain))
}

/// RFC 9989 §4.7, `t=y`: one step milder.
fn milder(policy: dmarc::Policy, testing: bool) -> dmarc::Policy {
    match (policy, testing) {
        (policy, false) => policy,
        (dmarc::Policy::Reject, true) => dmarc::Policy::Quarantine,
        (dmarc::Policy::Quarantine | dmarc::Policy::None, true) => dmarc::Policy::None,
    }
}

fn when_unsure(policy: &Policy) -> Action {
    match policy.unsure {
        Unsure::Defer => Action::Defer,
        Unsure::Tag => Action::Deliver,
    }
}

/// What the author's domain asks for, as a key of the recipient's policy.
pub(crate) fn key(policy: dmarc::Policy) -> Key {
    match policy {
        dmarc::Policy::Reject => Key::DmarcReject,
        dmarc::Policy::Quarantine => Key::DmarcQuarantine,
        dmarc::Policy::None => Key::DmarcNone,
    }
}

fn by(policy: &Policy, key: Key) -> (Action, Cause) {
    let treatment = match key {
        Key::DmarcReject => policy.dmarc_reject,
        Key::DmarcQuarantine => policy.dmarc_quarantine,
        Key::DmarcNone => policy.dmarc_none,
        Key::SpfFail => policy.spf_fail,
        Key::DkimFail => policy.dkim_fail,
        Key::FromInvalid => policy.from_invalid,
        Key::Unsure => return (when_unsure(policy), Cause::Unsure),
    };
    let action = match treatment {
        Treatment::Tag => Action::Deliver,
        Treatment::Junk => Action::Junk,
        Treatment::Reject => Action::Reject,
    };
    (action, Cause::Policy(key))
}

/// Of two reasons the one that does more.
fn harder(one: (Action, Cause), other: (Action, Cause)) -> (Action, Cause) {
    if other.0 > one.0 || one.1 == Cause::Nothing { other } else { one }
}

/// The same domain, or one below the other.
pub(crate) fn related(one: &str, other: &str) -> bool {
    below(one, other) || below(other, one)
}

/// Whether `name` is `domain` or below it.
pub(crate) fn below(name: &str, domain: &str) -> bool {
    !domain.is_empty()
        && name.len() >= domain.len()
        && name.is_char_boundary(name.len() - domain.len())
        && name[name.len() - domain.len()..].eq_ignore_ascii_case(domain)
        && (name.len() == domain.len() || name.as_bytes()[name.len() - domain.len() - 1] == b'.')
}

/// The word of the policy that a refusal rests on.
pub(crate) fn key_of(decisions: &[Decision]) -> Option<Key> {
    decisions.iter().find_map(|decision| match decision.cause {
        Cause::Policy(key) => Some(key),
        Cause::Nothing | Cause::Crowd | Cause::Unsure => None,
    })
}

/// What is done with a message for several recipients: there is one reply for all of them. Refused, or to be brought again,
/// when all want that; else a copy for whoever would refuse goes to Junk, so that nothing is lost.
pub(crate) fn together(decisions: &[Decision]) -> Together {
    let all = |action| !decisions.is_empty() && decisions.iter().all(|decision| decision.action == action);
    if all(Action::Reject) {
        return Together::Reject;
    }
    if all(Action::Defer) {
        return Together::Defer;
    }
    let filed = decisions.iter().map(|decision| match decision.action {
        Action::Deliver | Action::Defer => Filed::Usual,
        Action::Junk | Action::Reject => Filed::Junk,
    });
    Together::Take(filed.collect())
}

/// What is done with a message for several recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Together {
    Reject,
    Defer,
    /// For each recipient.
    Take(Vec<Filed>),
}
