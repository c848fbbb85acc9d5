//! Reports: what others tell of our mail, in tables with a next step; and what is owed to them.

use std::time::Duration;

use postroad_mail::Error;
use postroad_message::date::Date;
use postroad_store::Timestamp;
use postroad_trust::reports::{self, About, Kind, Shown, Source, TlsLine};
use postroad_trust::tls_results::Day;
use serde_json::{Value, json};

use super::{Desk, Outcome, Refusal};
use crate::admin::Answer;
use crate::admin::answer::aligned;
use crate::admin::operation::ReportOrder;
use crate::admin::time::shown;
use crate::serve::reports::reporter;
use crate::settings::Settings;

pub(super) fn perform(desk: &Desk<'_>, order: ReportOrder) -> Outcome {
    match order {
        ReportOrder::Dmarc { domain, since_seconds } => dmarc(desk, domain.as_deref(), since_seconds),
        ReportOrder::Tls { domain, since_seconds } => tls(desk, domain.as_deref(), since_seconds),
        ReportOrder::Arf { domain, since_seconds } => feedback(desk, domain.as_deref(), since_seconds),
        ReportOrder::Send { day, dry_run, settings } => send(desk, Day(day), dry_run, &settings),
    }
}

fn listed(desk: &Desk<'_>, kind: Kind, domain: Option<&str>, since_seconds: u64) -> Outcome<Vec<Shown>> {
    let since = Timestamp(
        desk.now.0.saturating_sub(i64::try_from(since_seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000)),
    );
    let domain = domain.map(|domain| domain.trim_end_matches('.').to_lowercase());
    Ok(desk.read(move |tx| Ok::<_, Error>(reports::list(tx, kind, domain.as_deref(), since, REPORTS_MAX)?))?)
}

fn dmarc(desk: &Desk<'_>, domain: Option<&str>, since_seconds: u64) -> Outcome {
    let found = listed(desk, Kind::Dmarc, domain, since_seconds)?;
    let unreadable = listed(desk, Kind::Unreadable, None, since_seconds)?;
    let ids: Vec<i64> = found.iter().map(|report| report.id).collect();
    let sources = desk.read(move |tx| Ok::<_, Error>(reports::sources(tx, &ids, SOURCES_MAX)?))?;
    let data = json!({
        "reports": found.iter().map(head).collect::<Vec<_>>(),
        "sources": sources.iter().map(source).collect::<Vec<_>>(),
        "unreadable": unreadable.iter().map(head).collect::<Vec<_>>(),
    });
    let mut text = String::new();
    match found.is_empty() {
        true => text.push_str(
            "no DMARC report in this time; they come to the address in rua of the domain's record: `postroad dns DOMAIN`\n",
        ),
        false => {
            let mut rows =
                vec![["FROM", "SENT BY", "MESSAGES", "PASS", "DKIM", "SPF", "REFUSED", "NEXT STEP"].map(str::to_owned).to_vec()];
            rows.extend(sources.iter().map(|one| {
                let count = |number: u64| number.to_string();
                let share = (one.passed * 100).checked_div(one.messages).unwrap_or(0);
                let (from, by) = (one.domain.clone(), one.address.clone());
                let pass = format!("{share} %");
                vec![from, by, count(one.messages), pass, count(one.dkim), count(one.spf), count(one.harmed), next_step(one)]
            }));
            text.push_str(&aligned(&rows));
            let mut reporters: Vec<&str> = found.iter().map(|report| report.reporter.as_str()).collect();
            reporters.sort_unstable();
            reporters.dedup();
            text.push_str(&format!("\n{} reports of {}\n", found.len(), reporters.join(", ")));
            let doubtful = found.iter().filter(|report| !report.verified).count();
            if doubtful > 0 {
                text.push_str(&format!("{doubtful} of them came from senders that nobody vouches for: anybody may have written them\n"));
            }
        }
    }
    text.push_str(&cannot_be_read(&unreadable));
    Ok(Answer::Report { text, data })
}

fn cannot_be_read(unreadable: &[Shown]) -> String {
    let line =
        |report: &Shown| format!("not read: a letter of {} ({}): {}\n", report.sender, report.trace, report.words);
    unreadable.iter().take(UNREADABLE_SHOWN).map(line).collect()
}

/// What the owner of the domain can do about a source.
fn next_step(source: &Source) -> String {
    if source.passed == source.messages {
        return "none".to_owned();
    }
    let why = source.why.as_str();
    let step = if source.passed > 0 {
        "a part fails: mail on the way through lists or forwarders, or a service with one of the two set up"
    } else if why.contains("not aligned") {
        "is this a service of yours? have it sign with your domain (DKIM), or use your domain in MAIL FROM"
    } else {
        "is this a server of yours? sign its mail and name it in SPF; if not, somebody forges your name: p=quarantine, then reject"
    };
    match why.is_empty() {
        true => step.to_owned(),
        false => format!("{why}: {step}"),
    }
}

fn tls(desk: &Desk<'_>, domain: Option<&str>, since_seconds: u64) -> Outcome {
    let found = listed(desk, Kind::Tls, domain, since_seconds)?;
    let ids: Vec<i64> = found.iter().map(|report| report.id).collect();
    let lines = desk.read(move |tx| Ok::<_, Error>(reports::tls_lines(tx, &ids, SOURCES_MAX)?))?;
    let data = json!({
        "reports": found.iter().map(head).collect::<Vec<_>>(),
        "lines": lines.iter().map(tls_line).collect::<Vec<_>>(),
    });
    if found.is_empty() {
        let text =
            "no report about TLS in this time; they come to the address in rua of _smtp._tls: `postroad dns DOMAIN`\n";
        return Ok(Answer::Report { text: text.to_owned(), data });
    }
    let mut rows = vec![["DOMAIN", "POLICY", "GOOD", "BAD", "WHAT", "HOST", "NEXT STEP"].map(str::to_owned).to_vec()];
    rows.extend(lines.iter().map(|line| {
        let good = if line.kind.is_empty() { line.successes.to_string() } else { String::new() };
        let step = match (line.kind.as_str(), line.failures) {
            ("", 0) => "none".to_owned(),
            ("", _) => String::new(),
            (kind, _) => tls_step(kind).to_owned(),
        };
        let (domain, policy, bad) = (line.domain.clone(), line.policy.clone(), line.failures.to_string());
        vec![domain, policy, good, bad, line.kind.clone(), line.host.clone(), step]
    }));
    let mut text = aligned(&rows);
    text.push_str(&format!("\n{} reports\n", found.len()));
    Ok(Answer::Report { text, data })
}

/// What can be done about a kind of failure. RFC 8460 §4.3.
fn tls_step(kind: &str) -> &'static str {
    match kind {
        "starttls-not-supported" => "let the host offer STARTTLS, or look for who takes it out on the way",
        "certificate-host-mismatch" => "a certificate with the host's name in MX: `postroad certificate list`",
        "certificate-expired" => "renew the certificate: `postroad certificate renew`",
        "certificate-not-trusted" => "a certificate of a known authority, with its whole chain",
        "tlsa-invalid" => {
            "the TLSA record does not fit the certificate: `postroad dns DOMAIN` prints the one that does"
        }
        "dnssec-invalid" => "the zone's DNSSEC signatures are broken: look at the name server",
        "dane-required" => "publish TLSA records: `postroad dns DOMAIN`",
        "sts-policy-fetch-error" | "sts-webpki-invalid" => "https://mta-sts.DOMAIN must answer with a good certificate",
        "sts-policy-invalid" => "the MTA-STS policy is damaged: `postroad mta-sts show DOMAIN`",
        _ => "see the reason in --json",
    }
}

fn feedback(desk: &Desk<'_>, domain: Option<&str>, since_seconds: u64) -> Outcome {
    let found = listed(desk, Kind::Feedback, domain, since_seconds)?;
    let ids: Vec<i64> = found.iter().map(|report| report.id).collect();
    let about = desk.read(move |tx| Ok::<_, Error>(reports::feedback(tx, &ids)?))?;
    let of = |report: &Shown| about.iter().find(|about| about.report == report.id);
    let data: Vec<Value> = found.iter().map(|report| arf(report, of(report))).collect();
    let rows = found.iter().map(|report| {
        let about = of(report);
        let text = |pick: fn(&About) -> &str| about.map(pick).unwrap_or_default().to_owned();
        let sender = if report.verified { report.sender.clone() } else { format!("{} (not verified)", report.sender) };
        let story =
            about.and_then(|about| about.about).map(|id| id.to_string()).unwrap_or_else(|| "not known".to_owned());
        let (to, subject) = (text(|about| &about.recipients), text(|about| &about.subject));
        vec![shown(report.at), report.words.clone(), sender, report.domain.clone(), to, story, subject]
    });
    let mut all =
        vec![["WHEN", "KIND", "TOLD BY", "DOMAIN", "RECIPIENT", "TRACE", "SUBJECT"].map(str::to_owned).to_vec()];
    all.extend(rows);
    let text = match found.is_empty() {
        true => {
            "no complaints in this time; sign up for the feedback loops of large providers with abuse@ of your domain\n"
                .to_owned()
        }
        false => aligned(&all),
    };
    Ok(Answer::Report { text, data: data.into() })
}

fn head(report: &Shown) -> Value {
    json!({
        "domain": report.domain, "reporter": report.reporter, "begin": report.begin, "end": report.end,
        "about": report.words, "at": shown(report.at), "sender": report.sender, "verified": report.verified,
        "trace": report.trace.to_string(),
    })
}

fn source(source: &Source) -> Value {
    json!({
        "from": source.domain, "address": source.address, "messages": source.messages, "passed": source.passed,
        "dkim": source.dkim, "spf": source.spf, "refused": source.harmed, "why": source.why,
        "results": source.vouched, "next-step": next_step(source),
    })
}

fn tls_line(line: &TlsLine) -> Value {
    json!({
        "domain": line.domain, "policy": line.policy, "kind": line.kind, "host": line.host, "reason": line.reason,
        "successes": line.successes, "failures": line.failures,
    })
}

fn arf(report: &Shown, about: Option<&About>) -> Value {
    let mut value = head(report);
    if let (Some(about), Value::Object(fields)) = (about, &mut value) {
        fields.insert("mail-from".into(), about.mail_from.clone().into());
        fields.insert("recipients".into(), about.recipients.clone().into());
        fields.insert("source".into(), about.source.clone().into());
        fields.insert("failure".into(), about.failure.clone().into());
        fields.insert("message-id".into(), about.message_id.clone().into());
        fields.insert("subject".into(), about.subject.clone().into());
        fields.insert("message-trace".into(), about.about.map(|id| id.to_string()).into());
    }
    value
}

fn send(desk: &Desk<'_>, day: Day, dry_run: bool, settings: &Settings) -> Outcome {
    if day > Day::of(desk.now) {
        return Err(Refusal("this day has not begun".to_owned()));
    }
    let failed = |error: anyhow::Error| Refusal(format!("{error:#}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Refusal(format!("sending cannot begin: {error}")))?;
    let sent = runtime.block_on(async {
        let reporter = reporter(settings, desk.store, None).map_err(failed)?;
        tokio::time::timeout(SEND_WITHIN, reporter.send(day, dry_run))
            .await
            .map_err(|_| Refusal("it took too long; what was not sent goes out when it is asked for again".to_owned()))?
            .map_err(Refusal::from)
    });
    let Date { year, month, day } = Date::from_days(day.0);
    let rows = sent?.into_iter().map(|line| {
        let done = match (line.is_sent, dry_run) {
            (true, true) => "would be sent",
            (true, false) => "sent",
            (false, _) => "not sent",
        };
        vec![line.kind.to_owned(), line.domain, done.to_owned(), line.said]
    });
    Ok(Answer::table(
        &["KIND", "DOMAIN", "DONE", "WHAT"],
        rows.collect(),
        &format!(
            "nothing is owed for {year:04}-{month:02}-{day:02}: nothing was seen that day, or it was sent already"
        ),
    ))
}

/// Reports taken together in one answer.
const REPORTS_MAX: u32 = 5_000;
/// Lines of one answer.
const SOURCES_MAX: u32 = 500;
/// Letters that could not be read and are named.
const UNREADABLE_SHOWN: usize = 5;
/// For all of a day.
const SEND_WITHIN: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_a_next_step() {
        let source = |messages, passed, why: &str| Source {
            domain: "a.test".into(),
            address: "192.0.2.1".into(),
            messages,
            passed,
            dkim: passed,
            spf: 0,
            harmed: 0,
            why: why.into(),
            vouched: String::new(),
        };
        for (source, expected) in [
            (source(3, 3, ""), "none"),
            (source(3, 1, "not signed"), "a part fails"),
            (source(3, 0, "signed by b.test, not aligned"), "a service of yours"),
            (source(3, 0, "not signed; SPF of a.test: fail"), "somebody forges"),
        ] {
            assert!(next_step(&source).contains(expected), "{source:?}: {}", next_step(&source));
        }
    }
}
