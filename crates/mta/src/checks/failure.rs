//! What the owner of a domain may hear about one message that failed in its name: who wants to hear what, and how much of the
//! message is told.
//!
//! Nothing is told of mail without a sender, of what programs wrote, and of reports: else two servers would tell each other of
//! each other's reports for ever.
//!
//! Standards: RFC 9989 §4.7 (`fo`), RFC 9991 and RFC 6591 (what is told), RFC 6590 (what is not).

use std::sync::{Mutex, PoisonError};

use postroad_mailauth::report::feedback::Feedback;
use postroad_mailauth::report::letter;
use postroad_mailauth::report::redact;
use postroad_mailauth::{dkim, dmarc, spf};
use postroad_message::date::DateTime;
use postroad_message::header;
use postroad_store::Timestamp;

use super::early::Facts;
use super::findings::Findings;
use super::summary::Disposition;

/// How much of single messages their author's domains are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Failures {
    /// Nothing.
    #[default]
    Off,
    /// The fields of the header that the checks look at, with all people but the domain's own made unknown.
    Headers,
    /// The message as it came; only the beginning of a header or body that is long.
    Full,
}

/// How many were put aside to be told of lately: a flood of forged mail does not fill the memory with what it brought.
#[derive(Debug, Default)]
pub(super) struct Spent(Mutex<(i64, u32)>);

impl Spent {
    /// Takes one of [`A_MINUTE`]; whether there was one.
    pub(super) fn take(&self, now: Timestamp) -> bool {
        let minute = now.0.div_euclid(60_000_000);
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.0 != minute {
            *spent = (minute, 0);
        }
        spent.1 += u32::from(spent.1 <= A_MINUTE);
        spent.1 <= A_MINUTE
    }
}

/// What is told about one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The domain whose record asks for it.
    pub domain: String,
    /// Its `ruf`.
    pub ruf: Vec<dmarc::Place>,
    /// What a report says in fields. Addresses are as they came.
    pub feedback: Feedback,
    /// What is repeated of the message.
    pub original: Vec<u8>,
    /// People are made unknown, in the fields as well.
    pub redacted: bool,
}

/// A message as it came, as far as it can be told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) header: &'a [u8],
    /// Its beginning at least; `None`: nobody kept it.
    pub(crate) body: Option<&'a [u8]>,
}

/// What is told of a message; `None`: its author's domain does not want to hear of it, or must not.
pub(super) fn of(
    how: Failures,
    findings: &Findings,
    facts: &Facts,
    disposition: Disposition,
    results: &str,
    told: Told<'_>,
) -> Option<Failure> {
    let verdict = &findings.dmarc;
    let record = verdict.record.as_ref().filter(|record| !record.ruf.is_empty())?;
    if how == Failures::Off || facts.mail_from.is_none() || is_by_a_program(told.header) {
        return None;
    }
    let failure = what_failed(findings, &record.failure_options)?;
    let aligned = |kind: &dmarc::Aligned| match kind {
        dmarc::Aligned::Dkim(_) => "dkim",
        dmarc::Aligned::Spf(_) => "spf",
    };
    let unaligned = ["dkim", "spf"].into_iter().filter(|kind| !verdict.aligned.iter().any(|one| aligned(one) == *kind));
    let unaligned: Vec<&str> = unaligned.collect();
    let broken = findings.dkim.iter().find(|outcome| outcome.status != dkim::Status::Pass);
    let of_broken =
        |text: fn(&dkim::Outcome) -> &String| broken.map(|outcome| text(outcome).clone()).unwrap_or_default();
    let results = results.split_once(':').map_or("", |(_, value)| value);
    let feedback = Feedback {
        kind: "auth-failure".to_owned(),
        agent: "Postroad".to_owned(),
        mail_from: facts.mail_from.clone().unwrap_or_default(),
        arrived: DateTime::utc(facts.now.0).format(),
        source: facts.ip.to_string(),
        domains: vec![verdict.domain.clone()],
        failure: failure.to_owned(),
        results: results.split_whitespace().collect::<Vec<_>>().join(" "),
        alignment: if unaligned.is_empty() { "none".to_owned() } else { unaligned.join(", ") },
        delivery: match disposition {
            Disposition::None | Disposition::Pass => "delivered",
            Disposition::Quarantine => "spam",
            Disposition::Reject => "reject",
        }
        .to_owned(),
        dkim_domain: of_broken(|outcome| &outcome.domain),
        dkim_identity: of_broken(|outcome| &outcome.identity),
        dkim_selector: of_broken(|outcome| &outcome.selector),
        incidents: 1,
        ..Feedback::default()
    };
    let redacted = how != Failures::Full;
    let original = mailable(match how {
        Failures::Off | Failures::Headers => redact::fields(told.header),
        Failures::Full => whole(told),
    });
    let domain = verdict.policy_domain.clone()?;
    Some(Failure { domain, ruf: record.ruf.clone(), feedback, original, redacted })
}

/// RFC 9989 §4.7, `fo`: what of it happened. Only what is certain counts.
fn what_failed(findings: &Findings, options: &[char]) -> Option<&'static str> {
    let wants = |option| options.contains(&option);
    let verdict = &findings.dmarc;
    let is_dkim = |aligned: &dmarc::Aligned| matches!(aligned, dmarc::Aligned::Dkim(_));
    let unsure = findings.mail_from.result == spf::Result::TempError
        || findings.dkim.iter().any(|outcome| outcome.status == dkim::Status::TempError);
    let all = verdict.result == dmarc::Result::Fail;
    let (by_dkim, by_spf) =
        (verdict.aligned.iter().any(is_dkim), verdict.aligned.iter().any(|aligned| !is_dkim(aligned)));
    let some = verdict.result == dmarc::Result::Pass && !unsure && !(by_dkim && by_spf);
    let broken = |outcome: &dkim::Outcome| {
        matches!(outcome.status, dkim::Status::Fail | dkim::Status::PermError) && !outcome.testing
    };
    let is_spf = matches!(findings.mail_from.result, spf::Result::Fail | spf::Result::SoftFail);
    match () {
        () if all && (wants('0') || wants('1')) || some && wants('1') => Some("dmarc"),
        () if wants('d') && findings.dkim.iter().any(broken) => Some("signature"),
        () if wants('s') && is_spf => Some("spf"),
        () => None,
    }
}

/// RFC 3834 §5, and reports, whatever they say of themselves.
fn is_by_a_program(block: &[u8]) -> bool {
    let automatic = header::find(block, "Auto-Submitted").is_some_and(|field| {
        let value = header::text(field.value);
        !value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("no")
    });
    automatic || letter::may_be(block)
}

fn whole(told: Told<'_>) -> Vec<u8> {
    let mut whole = told.header[..told.header.len().min(HEADER_MAX)].to_vec();
    if told.header.len() <= HEADER_MAX {
        if !whole.ends_with(b"\r\n\r\n") {
            whole.extend_from_slice(b"\r\n");
        }
        whole.extend_from_slice(told.body.unwrap_or_default());
    }
    whole
}

/// What any host takes: no NUL, and no line that is too long (RFC 5322 §2.1.1).
fn mailable(mut original: Vec<u8>) -> Vec<u8> {
    original.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b'?');
    let mut column = 0;
    original.retain(|byte| {
        column = if *byte == b'\n' { 0 } else { column + 1 };
        column <= COLUMNS_MAX || matches!(byte, b'\r')
    });
    original
}

/// Messages put aside in a minute.
const A_MINUTE: u32 = 60;
/// Octets of a line that are told.
const COLUMNS_MAX: usize = 990;
/// Octets of a body that are kept for the owner of a domain.
pub(crate) const BODY_MAX: usize = 64 * 1024;
/// Octets of a header that are told.
const HEADER_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_put_aside_in_part() {
        let spent = Spent::default();
        let taken = |at: i64| (0..1_000).filter(|_| spent.take(Timestamp(at * 1_000_000))).count();
        assert_eq!((taken(0), taken(59), taken(60)), (60, 0, 60));
    }

    #[test]
    fn programs_are_told_from_people() {
        for (field, expected) in [
            ("Auto-Submitted: auto-replied", true),
            ("Auto-Submitted: auto-generated; owner=x", true),
            ("Auto-Submitted: No", false),
            ("auto-submitted: no; x=y", false),
            ("Subject: Report Domain: a.test Submitter: b.test", true),
            ("Content-Type: multipart/report; report-type=feedback-report", true),
            ("Subject: hello", false),
        ] {
            assert_eq!(is_by_a_program(format!("From: a@b.test\r\n{field}\r\n\r\n").as_bytes()), expected, "{field}");
        }
    }

    #[test]
    fn what_is_told_can_be_mailed() {
        let long = [b"A: \0".as_slice(), &[b'x'; 2_000], b"\r\nB: c\r\n"].concat();
        let told = mailable(long);
        assert!(told.split(|byte| *byte == b'\n').all(|line| line.len() <= 998) && !told.contains(&0));
        assert!(told.starts_with(b"A: ?xxx") && told.ends_with(b"x\r\nB: c\r\n"));
        let kept = Told { header: b"A: b\r\n", body: Some(b"words") };
        assert_eq!(whole(kept), b"A: b\r\n\r\nwords");
        let huge = vec![b'a'; HEADER_MAX + 1];
        assert_eq!(whole(Told { header: &huge, body: Some(b"words") }).len(), HEADER_MAX);
    }
}
