//! From what is known to the verdict about one author. RFC 9989 §5.3.

use super::walk::walk;
use super::{Aligned, Alignment, Check, Identifier, Outcome, Policy, Record, Result, Verdict};

/// What came out for one author's domain.
pub(super) fn of_author(check: &Check, author: &str) -> Verdict {
    let walked = walk(author, &check.known);
    let organization = walked.organization.as_ref().ok().cloned();
    let (name, published) = match walked.policy {
        Ok(Some(found)) => found,
        Ok(None) => return without_record(Result::None, author, format!("{author} publishes no DMARC policy")),
        Err(why) => return without_record(Result::TempError, author, why),
    };
    if !published.is_usable {
        let why = format!("the DMARC record of {name} has no policy that can be read");
        return Verdict { policy_domain: Some(name), ..without_record(Result::None, author, why) };
    }
    let record = published.record;
    let vouch = vouch(check, author, &walked.organization, &record);
    let asked_for = asked_for(check, author, &name, &record);
    let (result, why) = match (vouch.unsure, asked_for.is_err()) {
        _ if !vouch.aligned.is_empty() => (Result::Pass, said(&vouch.aligned)),
        (Some(why), _) => (Result::TempError, why),
        (None, true) => (Result::TempError, format!("it is not known whether {author} exists")),
        (None, false) => (Result::Fail, format!("nobody who passed vouches for {author}")),
    };
    let published = asked_for.unwrap_or(record.policy);
    let policy = match result {
        Result::Fail if record.testing => published.milder(),
        Result::Fail => published,
        Result::None | Result::Pass | Result::TempError | Result::PermError => Policy::None,
    };
    Verdict {
        result,
        domain: author.to_owned(),
        policy_domain: Some(name),
        organizational_domain: organization,
        policy,
        published,
        aligned: vouch.aligned,
        record: Some(record),
        why,
    }
}

/// A verdict that no record stands behind.
pub(super) fn without_record(result: Result, author: &str, why: String) -> Verdict {
    Verdict {
        result,
        domain: author.to_owned(),
        policy_domain: None,
        organizational_domain: None,
        policy: Policy::None,
        published: Policy::None,
        aligned: Vec::new(),
        record: None,
        why,
    }
}

/// Whether `one` must not be overlooked beside `other`.
pub(super) fn is_worse(one: &Verdict, other: &Verdict) -> bool {
    let rank = |verdict: &Verdict| match (verdict.result, verdict.policy) {
        (Result::Fail, Policy::Reject) => 6,
        (Result::Fail, Policy::Quarantine) => 5,
        (Result::TempError, _) => 4,
        (Result::Fail, Policy::None) => 3,
        (Result::PermError, _) => 2,
        (Result::None, _) => 1,
        (Result::Pass, _) => 0,
    };
    rank(one) > rank(other)
}

struct Vouch {
    aligned: Vec<Aligned>,
    /// Why somebody who could vouch cannot be asked now.
    unsure: Option<String>,
}

/// Who vouches for the author. RFC 9989 §4.4, §5.3.4.
fn vouch(check: &Check, author: &str, organization: &std::result::Result<String, String>, record: &Record) -> Vouch {
    let mut vouch = Vouch { aligned: Vec::new(), unsure: None };
    let spf = check.spf.iter().map(|identifier| (identifier, record.spf_alignment, "SPF"));
    let dkim = check.dkim.iter().map(|identifier| (identifier, record.dkim_alignment, "DKIM"));
    for (identifier, alignment, kind) in spf.chain(dkim) {
        let Identifier { domain, outcome } = identifier;
        match (is_aligned(check, author, organization, domain, alignment), outcome) {
            (Ok(true), Outcome::Pass) if kind == "SPF" => vouch.aligned.push(Aligned::Spf(domain.clone())),
            (Ok(true), Outcome::Pass) => vouch.aligned.push(Aligned::Dkim(domain.clone())),
            // RFC 9989 §5.3.6: a policy is not applied where it may only be that the DNS is down.
            (Ok(true), Outcome::TempError) => {
                vouch.unsure.get_or_insert_with(|| format!("{kind} of {domain} could not be finished"));
            }
            (Err(why), Outcome::Pass | Outcome::TempError) => {
                vouch.unsure.get_or_insert(why);
            }
            (Ok(false), _) | (_, Outcome::Other) => {}
        }
    }
    vouch
}

fn is_aligned(
    check: &Check,
    author: &str,
    organization: &std::result::Result<String, String>,
    domain: &str,
    alignment: Alignment,
) -> std::result::Result<bool, String> {
    if domain == author {
        return Ok(true);
    }
    if alignment == Alignment::Strict || !share_a_top(domain, author) {
        return Ok(false);
    }
    let organization = organization.as_ref().map_err(Clone::clone)?;
    if !crate::domain::is_at_or_below(domain, organization) {
        return Ok(false);
    }
    Ok(walk(domain, &check.known).organization? == *organization)
}

/// Names without a common last label cannot be of one organisation.
fn share_a_top(one: &str, other: &str) -> bool {
    let top = |name: &str| name.rsplit('.').next().map(str::to_owned);
    top(one) == top(other)
}

/// `p`, `sp` or `np`. RFC 9989 §4.10.1. The error: it is not known whether the author's domain exists.
fn asked_for(check: &Check, author: &str, name: &str, record: &Record) -> std::result::Result<Policy, ()> {
    if name == author {
        return Ok(record.policy);
    }
    let below = record.subdomain_policy.unwrap_or(record.policy);
    match (record.nonexistent_policy, check.exists.get(author)) {
        (Some(policy), Some(Ok(false))) => Ok(policy),
        (Some(policy), Some(Err(_))) if policy != below => Err(()),
        (Some(_) | None, _) => Ok(below),
    }
}

fn said(aligned: &[Aligned]) -> String {
    let one = |aligned: &Aligned| match aligned {
        Aligned::Spf(domain) => format!("SPF of {domain}"),
        Aligned::Dkim(domain) => format!("DKIM of {domain}"),
    };
    aligned.iter().take(MAX_SAID).map(one).collect::<Vec<_>>().join(", ")
}

/// Domains that a reason names.
const MAX_SAID: usize = 3;
