//! Reading what others report.

use std::time::Duration;

use postroad_mail::{Domain, Error, domains};
use postroad_mailauth::report::Limits;
use postroad_mailauth::report::feedback::Feedback;
use postroad_mailauth::report::letter::{self, Taken};
use postroad_net::Stop;
use postroad_queue as queue;
use postroad_store::{Locks, ReadTx, Timestamp, TraceId, WriteTx, trace};
use postroad_trust::reports::{self, Letter};

use super::Reporter;

/// Somebody to whom a message of ours went does not want it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The word of the report: `abuse`, `opt-out` ..
    pub kind: String,
    /// To whom the message went, where that is told.
    pub recipients: Vec<String>,
    /// The story of the message, where it was found here.
    pub about: Option<TraceId>,
    /// Who reports, by the domain of the letter.
    pub reporter: String,
    /// The domain vouches for the letter.
    pub verified: bool,
}

impl Reporter {
    /// Reads all letters that wait.
    pub(super) async fn take_all(&self, stop: &Stop) -> Result<(), Error> {
        while !stop.is_stopped() {
            match self.take_one().await? {
                Some(complaints) => {
                    for complaint in &complaints {
                        metrics::counter!("postroad_complaints_total").increment(1);
                        tracing::info!(
                            kind = complaint.kind,
                            reporter = complaint.reporter,
                            verified = complaint.verified,
                            "a complaint about a message was taken in"
                        );
                    }
                }
                None => break,
            }
        }
        Ok(())
    }

    /// Reads the letter that has waited longest, and answers with the complaints in it; `None`: none waits.
    pub async fn take_one(&self) -> Result<Option<Vec<Complaint>>, Error> {
        let Some(letter) = self.store.read(|tx| Ok::<_, Error>(reports::next(tx)?)).await? else { return Ok(None) };
        let (blob, size) = (letter.blob, letter.size);
        let read = match size <= LETTER_MAX {
            true => {
                let bytes = self.store.read(move |tx| Ok::<_, Error>(tx.blob_read(blob, 0..size)?)).await?;
                let parsed = tokio::task::spawn_blocking(move || letter::read(&bytes, &Limits::default()));
                // One that makes the reader fail is not read again and again.
                parsed.await.unwrap_or_else(|_| vec![Taken::Unreadable("reading it failed".to_owned())])
            }
            false => vec![Taken::Unreadable(format!("the letter has {size} octets"))],
        };
        let now = (self.clock)();
        let kept = self.store.write(Locks::named("report letters"), move |tx| keep(tx, &letter, &read, now)).await?;
        Ok(Some(kept.value))
    }
}

fn keep(tx: &mut WriteTx, letter: &Letter, taken: &[Taken], now: Timestamp) -> Result<Vec<Complaint>, Error> {
    let mut complaints = Vec::new();
    if !reports::done(tx, letter)? {
        return Ok(complaints);
    }
    for one in taken {
        let said = match one {
            Taken::Aggregate(report) => {
                let domain = &report.published.domain;
                let messages: u64 = report.records.iter().fold(0, |sum, record| sum.saturating_add(record.count));
                match is_ours(tx, domain)? {
                    false => foreign(domain),
                    true if reports::keep_dmarc(tx, letter, report)? => {
                        format!("DMARC report of {} about {messages} messages from {domain}", report.organization)
                    }
                    true => again(&report.id),
                }
            }
            Taken::Tls(report) => {
                let mut said = "it is about no domain".to_owned();
                let mut domains: Vec<&str> = report.policies.iter().map(|policy| policy.domain.as_str()).collect();
                domains.sort_unstable();
                domains.dedup();
                for domain in domains.into_iter().take(DOMAINS_MAX) {
                    said = match is_ours(tx, domain)? {
                        false => foreign(domain),
                        true if reports::keep_tls(tx, letter, report, domain)? => {
                            format!("report of {} about TLS with {domain}", report.organization)
                        }
                        true => again(&report.id),
                    };
                }
                said
            }
            Taken::Feedback(feedback) => self::feedback(tx, letter, feedback, now, &mut complaints)?,
            Taken::Unreadable(why) => {
                reports::keep_unreadable(tx, letter, why)?;
                format!("it looks like a report, but {why}")
            }
        };
        metrics::counter!("postroad_reports_received_total", "kind" => kind(one)).increment(1);
        tx.trace(letter.trace, now, &trace::TraceEvent { kind: "report", detail: &said }, &[])?;
    }
    Ok(complaints)
}

fn kind(taken: &Taken) -> &'static str {
    match taken {
        Taken::Aggregate(_) => "dmarc",
        Taken::Tls(_) => "tls",
        Taken::Feedback(_) => "feedback",
        Taken::Unreadable(_) => "unreadable",
    }
}

fn foreign(domain: &str) -> String {
    format!("a report about {domain}, which is none of ours, is not kept")
}

fn again(id: &str) -> String {
    format!("report {id} is known already")
}

fn feedback(
    tx: &mut WriteTx,
    letter: &Letter,
    feedback: &Feedback,
    now: Timestamp,
    complaints: &mut Vec<Complaint>,
) -> Result<String, Error> {
    let about = find(tx, feedback, now)?;
    let domain = match feedback_domain(tx, feedback)? {
        Some(domain) => domain,
        None if about.is_some() => String::new(),
        None => return Ok("feedback about a message that is none of ours is not kept".to_owned()),
    };
    if !reports::keep_feedback(tx, letter, &domain, feedback, about)? {
        return Ok("this feedback is known already".to_owned());
    }
    let reporter = match letter.sender.verified {
        true => letter.sender.domain.clone(),
        false => format!("{} (not verified)", letter.sender.domain),
    };
    if let Some(about) = about {
        let (kind, detail) = match feedback.is_complaint() {
            true => ("complaint", format!("{} by {reporter}, told in {}", feedback.kind, letter.trace)),
            false => {
                ("feedback", format!("{} {} by {reporter}, told in {}", feedback.kind, feedback.failure, letter.trace))
            }
        };
        tx.trace(about, now, &trace::TraceEvent { kind, detail: &detail }, &[])?;
    }
    if feedback.is_complaint() {
        if let Some(about) = about.filter(|_| letter.sender.verified) {
            suppress(tx, feedback, about, &letter.trace.to_string(), now)?;
        }
        complaints.push(Complaint {
            kind: feedback.kind.clone(),
            recipients: feedback.recipients.clone(),
            about,
            reporter: letter.sender.domain.clone(),
            verified: letter.sender.verified,
        });
    }
    Ok(match about {
        Some(about) => format!("feedback ({}) about {about}", feedback.kind),
        None => format!("feedback ({}) about a message that is not known any more", feedback.kind),
    })
}

/// Who complained is not written to by this sender any more. Only recipients of that very message: else one who got a message
/// could keep mail from everybody.
fn suppress(tx: &mut WriteTx, feedback: &Feedback, about: TraceId, source: &str, now: Timestamp) -> Result<(), Error> {
    for recipient in feedback.recipients.iter().take(DOMAINS_MAX) {
        let known = trace::find(tx, &recipient.to_lowercase(), since(now), STORIES_OF_ONE_MAX)?.contains(&about);
        if !known {
            continue;
        }
        let suppressed = queue::suppression::complained(tx, &feedback.mail_from, recipient, source, now);
        if suppressed.map_err(|error| Error::Corrupt(error.to_string()))? {
            let detail = format!("{recipient} is not written to by {} any more", feedback.mail_from);
            tx.trace(about, now, &trace::TraceEvent { kind: "complaint", detail: &detail }, &[])?;
        }
    }
    Ok(())
}

/// How far back stories are looked for.
fn since(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(LOOK_BACK.as_micros()).unwrap_or(i64::MAX)))
}

/// The story of the message: by the trace id in our own Received field, else by its Message-ID.
fn find(tx: &ReadTx, feedback: &Feedback, now: Timestamp) -> Result<Option<TraceId>, Error> {
    for id in feedback.original.ids.iter().filter_map(|id| id.parse::<TraceId>().ok()) {
        if !trace::story(tx, id)?.is_empty() {
            return Ok(Some(id));
        }
    }
    let id = feedback.original.message_id.to_lowercase();
    for key in [id.as_str(), id.trim_matches(['<', '>'])] {
        // Of several the oldest: what was said about it later has its name, too.
        if let Some(found) = trace::find(tx, key, since(now), STORIES_MAX)?.last().filter(|_| !key.is_empty()) {
            return Ok(Some(*found));
        }
    }
    Ok(None)
}

fn feedback_domain(tx: &ReadTx, feedback: &Feedback) -> Result<Option<String>, Error> {
    let of_address = |address: &str| {
        let domain = address.rsplit_once('@')?.1;
        Some(domain.trim_matches(['>', ' ', '"']).to_lowercase())
    };
    let named = feedback.domains.iter().cloned();
    let told = [of_address(&feedback.original.from), of_address(&feedback.mail_from)].into_iter().flatten();
    for domain in named.chain(told).take(DOMAINS_MAX) {
        if is_ours(tx, &domain)? {
            return Ok(Some(domain));
        }
    }
    Ok(None)
}

/// Whether a domain, or one above it, is ours.
fn is_ours(tx: &ReadTx, domain: &str) -> Result<bool, Error> {
    let mut name = domain;
    for _ in 0..LEVELS_MAX {
        let Ok(parsed) = Domain::parse(name) else { return Ok(false) };
        if domains::ours(tx, &parsed)?.is_some() {
            return Ok(true);
        }
        match name.split_once('.') {
            Some((_, above)) => name = above,
            None => break,
        }
    }
    Ok(false)
}

/// Octets of a letter that is read.
const LETTER_MAX: u64 = 16 << 20;
/// Complaints come days later.
const LOOK_BACK: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Stories with one Message-ID that are looked at.
const STORIES_MAX: u32 = 10;
/// Stories with one recipient that are looked at.
const STORIES_OF_ONE_MAX: u32 = 500;
/// Domains of one report that are looked at.
const DOMAINS_MAX: usize = 20;
/// Names above a domain that are looked at.
const LEVELS_MAX: usize = 8;
