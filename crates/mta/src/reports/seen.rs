//! What was found about a message, as rows of reports have it.

use postroad_mailauth::report::aggregate;
use postroad_mailauth::{dmarc, spf};
use postroad_store::WriteTx;
use postroad_store::trace::TraceEvent;
use postroad_trust::dmarc_results::{self, Seen};
use postroad_trust::failures::{self, Waiting};

use crate::checks::Summary;

/// Writes a message down for the aggregate report of its author's domain, and for one about this very message, if that domain
/// wants any. The [`crate::checks::Recorder`] of servers that report.
pub fn record(tx: &mut WriteTx, summary: &Summary) -> Result<(), postroad_store::Error> {
    if let Some(seen) = seen(summary) {
        dmarc_results::record(tx, &seen)?;
    }
    let Some(failure) = &summary.failure else { return Ok(()) };
    let waiting = Waiting {
        at: summary.at,
        domain: failure.domain.clone(),
        ruf: failure.ruf.clone(),
        feedback: failure.feedback.clone(),
        original: failure.original.clone(),
        redacted: failure.redacted,
    };
    let mut fresh = [0; failures::SECRET_BYTES];
    // Without randomness nobody is told: a secret that could be guessed would name those whom it hides.
    if getrandom::fill(&mut fresh).is_err() {
        return Ok(());
    }
    let event = match failures::wait(tx, &waiting, &fresh)? {
        true => format!("{} is told of this failure ({}), as it asks for", failure.domain, failure.feedback.failure),
        false => format!("{} is not told of this failure: too many wait to be told", failure.domain),
    };
    tx.trace(summary.trace, summary.at, &TraceEvent { kind: "report", detail: &event }, &[])
}

/// `None`: nobody wants to hear of it, or what was found is not certain.
fn seen(summary: &Summary) -> Option<Seen> {
    let verdict = &summary.dmarc;
    let record = verdict.record.as_ref().filter(|record| !record.rua.is_empty())?;
    if !matches!(verdict.result, dmarc::Result::Pass | dmarc::Result::Fail) {
        return None;
    }
    let is_dkim = |aligned: &dmarc::Aligned| match aligned {
        dmarc::Aligned::Dkim(_) => true,
        dmarc::Aligned::Spf(_) => false,
    };
    let signatures = summary.dkim.iter().take(SIGNATURES_MAX).map(|outcome| aggregate::Signature {
        domain: outcome.domain.clone(),
        selector: outcome.selector.clone(),
        result: outcome.status.as_str().to_owned(),
        words: String::new(),
    });
    let sender = aggregate::Sender {
        domain: summary.spf.domain.clone(),
        helo: summary.spf.identity == spf::Identity::Helo,
        result: summary.spf.result.as_str().to_owned(),
        words: String::new(),
    };
    let mut options: Vec<String> = record.failure_options.iter().map(char::to_string).collect();
    options.dedup();
    Some(Seen {
        at: summary.at,
        published: aggregate::Published {
            domain: verdict.policy_domain.clone()?,
            policy: record.policy,
            subdomains: record.subdomain_policy,
            nonexistent: record.nonexistent_policy,
            dkim_alignment: record.dkim_alignment,
            spf_alignment: record.spf_alignment,
            testing: record.testing,
            failure_options: options.join(":"),
        },
        rua: record.rua.iter().map(dmarc::Place::to_string).collect(),
        record: aggregate::Record {
            source: summary.source_ip.to_canonical(),
            count: 1,
            disposition: summary.disposition,
            dkim: verdict.aligned.iter().any(is_dkim),
            spf: verdict.aligned.iter().any(|aligned| !is_dkim(aligned)),
            reasons: summary
                .overrides
                .iter()
                .map(|one| aggregate::Reason { kind: one.kind.as_str().to_owned(), comment: one.comment.clone() })
                .collect(),
            header_from: verdict.domain.clone(),
            envelope_from: summary.envelope_from.clone().unwrap_or_default(),
            // Whom mail is for is told to nobody: RFC 9990 leaves it out where it says too much.
            envelope_to: String::new(),
            signatures: signatures.collect(),
            senders: vec![sender],
        },
    })
}

/// RFC 9990 §3.1.1.7 wants those that count; a hostile message has hundreds.
const SIGNATURES_MAX: usize = 10;
