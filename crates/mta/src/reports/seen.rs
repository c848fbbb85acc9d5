//! What was found about a message, as rows of reports have it.

use postroad_mailauth::report::aggregate;
use postroad_mailauth::{dmarc, spf};
use postroad_store::WriteTx;
use postroad_trust::dmarc_results::{self, Seen};

use crate::checks::Summary;

/// Writes a message down for the aggregate report of its author's domain, if that wants any. The [`crate::checks::Recorder`] of
/// servers that report.
pub fn record(tx: &mut WriteTx, summary: &Summary) -> Result<(), postroad_store::Error> {
    match seen(summary) {
        Some(seen) => dmarc_results::record(tx, &seen),
        None => Ok(()),
    }
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
        rua: record.rua.clone(),
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
