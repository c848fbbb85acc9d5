//! Reports that others sent: letters that wait to be read, and what stood in them.
//!
//! 1. A letter waits in `report_letter` with a reference to its blob, written in the transaction that delivers it. Who reads it
//!    writes what was found and forgets the letter in one transaction ([`done`]): each is read once, whatever stops in between.
//! 2. A report is kept once, by its reporter and their name of it, however often it is sent.
//! 3. Who sent a report is what its sender's domain vouches for (`verified`), or nobody; what is in it is only ever their word.
//!
//! Reports are forgotten after [`KEEP_DAYS`] by [`sweep`].

use postroad_mailauth::report::aggregate;
use postroad_mailauth::report::feedback::Feedback;
use postroad_mailauth::report::tls;
use postroad_store::{BlobId, Migration, Param, ReadTx, Result, Timestamp, TraceId, WriteTx, new_id, params};

/// The tables of this topic.
pub(crate) const V1: Migration = Migration { owner: "reports", version: 1, sql: TABLES };

/// So long reports are kept: a quarter, and what was before it to compare with.
pub const KEEP_DAYS: u32 = 180;
/// Letters that wait; more are filed like other mail, and not read as reports.
pub const WAITING_MAX: i64 = 10_000;
/// Reports kept; when there are more, new ones are not taken.
pub const REPORTS_MAX: i64 = 1_000_000;
/// Rows of one report kept, those with most messages first.
pub const ROWS_MAX: usize = 5_000;

/// Who sent a letter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sender {
    /// The author's domain.
    pub domain: String,
    /// The domain vouches for it (DMARC).
    pub verified: bool,
}

/// A letter that waits to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its name here.
    pub id: i64,
    /// Its bytes.
    pub blob: BlobId,
    /// How many.
    pub size: u64,
    /// Its story.
    pub trace: TraceId,
    /// When it came.
    pub at: Timestamp,
    /// From whom.
    pub sender: Sender,
}

/// Lets a letter wait, with a reference of its own to the blob. `false`: too many wait already.
pub fn wait(tx: &mut WriteTx, blob: BlobId, size: u64, trace: TraceId, at: Timestamp, sender: &Sender) -> Result<bool> {
    let waiting = tx.one("SELECT CAST(count(*) AS BIGINT) FROM report_letter", params![], |row| row.int(0))?;
    if waiting >= WAITING_MAX {
        return Ok(false);
    }
    tx.blob_retain(blob, 1)?;
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    tx.execute(
        "INSERT INTO report_letter (id, blob, size, trace, at, sender, verified) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![new_id(), blob, size, trace, at, sender.domain.as_str(), i64::from(sender.verified)],
    )?;
    Ok(true)
}

/// The letter that has waited longest.
pub fn next(tx: &ReadTx) -> Result<Option<Letter>> {
    tx.row(
        "SELECT id, blob, size, trace, at, sender, verified FROM report_letter ORDER BY at, id LIMIT 1",
        params![],
        |row| {
            let sender = Sender { domain: row.text(5)?, verified: row.int(6)? != 0 };
            Ok(Letter {
                id: row.int(0)?,
                blob: row.id(1)?,
                size: row.int(2)?.unsigned_abs(),
                trace: row.id(3)?,
                at: row.id(4)?,
                sender,
            })
        },
    )
}

/// Forgets a letter that has been read; `false`: somebody else did, and what was read is not to be kept.
pub fn done(tx: &mut WriteTx, letter: &Letter) -> Result<bool> {
    let gone = tx.execute("DELETE FROM report_letter WHERE id = $1", params![letter.id])?;
    if gone > 0 {
        tx.blob_release(letter.blob, 1)?;
    }
    Ok(gone > 0)
}

/// The kinds of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// DMARC, aggregate.
    Dmarc,
    /// TLS.
    Tls,
    /// Feedback about one message.
    Feedback,
    /// It looked like a report.
    Unreadable,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Dmarc => "dmarc",
            Kind::Tls => "tls",
            Kind::Feedback => "feedback",
            Kind::Unreadable => "unreadable",
        }
    }
}

/// What every report has.
struct Head<'a> {
    kind: Kind,
    domain: &'a str,
    reporter: &'a str,
    name: &'a str,
    begin: &'a str,
    end: &'a str,
    words: &'a str,
}

/// `None`: it is known already, or there is no room.
fn put(tx: &mut WriteTx, letter: &Letter, head: &Head<'_>) -> Result<Option<i64>> {
    let count = tx.one("SELECT CAST(count(*) AS BIGINT) FROM report", params![], |row| row.int(0))?;
    if count >= REPORTS_MAX {
        return Ok(None);
    }
    let id = new_id();
    let new = tx.execute(
        "INSERT INTO report (id, kind, domain, reporter, name, begins, ends, words, at, sender, verified, trace)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (kind, domain, reporter, name) DO NOTHING",
        params![
            id,
            head.kind.name(),
            head.domain,
            head.reporter,
            head.name,
            head.begin,
            head.end,
            head.words,
            letter.at,
            letter.sender.domain.as_str(),
            i64::from(letter.sender.verified),
            letter.trace
        ],
    )?;
    Ok((new > 0).then_some(id))
}

/// Keeps an aggregate report; `false`: it is known.
pub fn keep_dmarc(tx: &mut WriteTx, letter: &Letter, report: &aggregate::Report) -> Result<bool> {
    let (begin, end) = (report.begin.to_string(), report.end.to_string());
    let head = Head {
        kind: Kind::Dmarc,
        domain: &report.published.domain,
        reporter: short(&report.organization),
        name: short(&report.id),
        begin: &begin,
        end: &end,
        words: report.published.policy.as_str(),
    };
    let Some(id) = put(tx, letter, &head)? else { return Ok(false) };
    let mut records: Vec<&aggregate::Record> = report.records.iter().collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.count));
    records.truncate(ROWS_MAX);
    let texts: Vec<[String; 3]> =
        records.iter().map(|record| [record.source.to_string(), why(record), vouched(record)]).collect();
    let rows: Vec<[Param<'_>; 11]> = records
        .iter()
        .zip(&texts)
        .zip(0i64..)
        .map(|((record, [source, why, vouched]), number)| {
            [
                id.into(),
                number.into(),
                source.as_str().into(),
                signed(record.count).into(),
                record.disposition.as_str().into(),
                i64::from(record.dkim).into(),
                i64::from(record.spf).into(),
                record.header_from.as_str().into(),
                record.envelope_from.as_str().into(),
                why.as_str().into(),
                vouched.as_str().into(),
            ]
        })
        .collect();
    tx.insert_rows(
        "INSERT INTO report_dmarc
            (report, number, source, messages, disposition, dkim, spf, header_from, envelope_from, why, vouched)",
        &rows,
        "",
    )?;
    Ok(true)
}

/// Why a row failed, and what was done in spite of it.
fn why(record: &aggregate::Record) -> String {
    let mut words: Vec<String> = Vec::new();
    if !record.passes() {
        words.push(match record.signatures.iter().find(|one| one.result == "pass") {
            Some(one) => format!("signed by {}, not aligned", one.domain),
            None => match record.signatures.first() {
                Some(one) => format!("DKIM of {}: {}", one.domain, one.result),
                None => "not signed".to_owned(),
            },
        });
        words.extend(record.senders.first().map(|one| match one.result.as_str() {
            "pass" => format!("SPF passes for {}, not aligned", one.domain),
            result => format!("SPF of {}: {result}", one.domain),
        }));
    }
    words.extend(record.reasons.iter().map(|reason| match reason.comment.is_empty() {
        true => reason.kind.clone(),
        false => format!("{} ({})", reason.kind, reason.comment),
    }));
    words.join("; ")
}

fn vouched(record: &aggregate::Record) -> String {
    let dkim = record.signatures.iter().map(|one| format!("dkim={} d={} s={}", one.result, one.domain, one.selector));
    let spf = record.senders.iter().map(|one| format!("spf={} {}", one.result, one.domain));
    dkim.chain(spf).take(SAID_MAX).collect::<Vec<_>>().join("; ")
}

/// Keeps a report about TLS of one domain; `false`: it is known.
pub fn keep_tls(tx: &mut WriteTx, letter: &Letter, report: &tls::Report, domain: &str) -> Result<bool> {
    let head = Head {
        kind: Kind::Tls,
        domain,
        reporter: short(&report.organization),
        name: short(&report.id),
        begin: &report.begin,
        end: &report.end,
        words: "",
    };
    let Some(id) = put(tx, letter, &head)? else { return Ok(false) };
    let mut number = 0i64;
    let mut rows: Vec<[Param<'_>; 9]> = Vec::new();
    for policy in report.policies.iter().filter(|policy| policy.domain == domain) {
        let none = [(); 3].map(|()| Param::from(""));
        let [kind, host, reason] = none;
        let (good, bad) = (signed(policy.successes), signed(policy.failures));
        rows.push([
            id.into(),
            number.into(),
            policy.kind.as_str().into(),
            good.into(),
            bad.into(),
            kind,
            host,
            "".into(),
            reason,
        ]);
        number += 1;
        for failure in policy.details.iter().take(ROWS_MAX) {
            rows.push([
                id.into(),
                number.into(),
                policy.kind.as_str().into(),
                0i64.into(),
                signed(failure.sessions).into(),
                failure.kind.as_str().into(),
                failure.host.as_str().into(),
                failure.host_address.as_str().into(),
                failure.reason.as_str().into(),
            ]);
            number += 1;
        }
    }
    tx.insert_rows(
        "INSERT INTO report_tls (report, number, policy, successes, failures, kind, host, address, reason)",
        &rows,
        "",
    )?;
    Ok(true)
}

/// Keeps feedback. `about`: the story of the message, where it was found. `false`: it is known.
pub fn keep_feedback(
    tx: &mut WriteTx,
    letter: &Letter,
    domain: &str,
    feedback: &Feedback,
    about: Option<TraceId>,
) -> Result<bool> {
    let name = format!("{} {}", letter.trace, feedback.original.message_id);
    let head = Head {
        kind: Kind::Feedback,
        domain,
        reporter: short(&letter.sender.domain),
        name: short(&name),
        begin: &feedback.arrived,
        end: "",
        words: &feedback.kind,
    };
    let Some(id) = put(tx, letter, &head)? else { return Ok(false) };
    let recipients = feedback.recipients.iter().take(SAID_MAX).cloned().collect::<Vec<_>>().join(", ");
    tx.execute(
        "INSERT INTO report_feedback (report, mail_from, recipients, source, failure, message_id, subject, about)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        params![
            id,
            feedback.mail_from.as_str(),
            recipients.as_str(),
            feedback.source.as_str(),
            feedback.failure.as_str(),
            feedback.original.message_id.as_str(),
            feedback.original.subject.as_str(),
            about
        ],
    )?;
    Ok(true)
}

/// Keeps that a letter could not be read, and why.
pub fn keep_unreadable(tx: &mut WriteTx, letter: &Letter, why: &str) -> Result<()> {
    let (reporter, name) = (short(&letter.sender.domain), letter.trace.to_string());
    let (kind, words) = (Kind::Unreadable, why);
    put(tx, letter, &Head { kind, domain: "", reporter, name: &name, begin: "", end: "", words })?;
    Ok(())
}

/// A report as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its name here.
    pub id: i64,
    /// The domain it is about.
    pub domain: String,
    /// Whose it is, by their word.
    pub reporter: String,
    /// From when: seconds for DMARC, RFC 3339 for TLS.
    pub begin: String,
    /// Until when.
    pub end: String,
    /// More about it: the policy, the kind of feedback, why it is unreadable.
    pub words: String,
    /// When it came.
    pub at: Timestamp,
    /// The author's domain of the letter.
    pub sender: String,
    /// It vouches for the letter.
    pub verified: bool,
    /// The story of the letter.
    pub trace: TraceId,
}

/// Reports of a kind that came at or after `since`, the newest first; about one domain, or all.
pub fn list(tx: &ReadTx, kind: Kind, domain: Option<&str>, since: Timestamp, limit: u32) -> Result<Vec<Shown>> {
    tx.rows(
        "SELECT id, domain, reporter, begins, ends, words, at, sender, verified, trace FROM report
         WHERE kind = $1 AND ($2 = '' OR domain = $2) AND at >= $3 ORDER BY at DESC, id DESC LIMIT $4",
        params![kind.name(), domain.unwrap_or_default(), since, limit],
        |row| {
            Ok(Shown {
                id: row.int(0)?,
                domain: row.text(1)?,
                reporter: row.text(2)?,
                begin: row.text(3)?,
                end: row.text(4)?,
                words: row.text(5)?,
                at: row.id(6)?,
                sender: row.text(7)?,
                verified: row.int(8)? != 0,
                trace: row.id(9)?,
            })
        },
    )
}

/// Who sends as a domain, by all reports together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The domain in From.
    pub domain: String,
    /// The host.
    pub address: String,
    /// How many messages.
    pub messages: u64,
    /// Of these, how many passed DMARC.
    pub passed: u64,
    /// By an aligned signature.
    pub dkim: u64,
    /// By SPF, aligned.
    pub spf: u64,
    /// How many were refused or put into Junk.
    pub harmed: u64,
    /// Why they failed; one of the reasons.
    pub why: String,
    /// What vouched for them; one of the rows.
    pub vouched: String,
}

/// Who sends as the domains that `reports` are about, the busiest first.
pub fn sources(tx: &ReadTx, reports: &[i64], limit: u32) -> Result<Vec<Source>> {
    tx.rows(
        "SELECT header_from, source, CAST(sum(messages) AS BIGINT),
            CAST(sum(CASE WHEN dkim + spf > 0 THEN messages ELSE 0 END) AS BIGINT),
            CAST(sum(dkim * messages) AS BIGINT), CAST(sum(spf * messages) AS BIGINT),
            CAST(sum(CASE WHEN disposition IN ('reject', 'quarantine') THEN messages ELSE 0 END) AS BIGINT),
            max(why), max(vouched)
         FROM report_dmarc WHERE report {in:$1} GROUP BY header_from, source ORDER BY 3 DESC, 1, 2 LIMIT $2",
        params![reports, limit],
        |row| {
            let count = |column| Ok::<_, postroad_store::Error>(row.int(column)?.unsigned_abs());
            Ok(Source {
                domain: row.text(0)?,
                address: row.text(1)?,
                messages: count(2)?,
                passed: count(3)?,
                dkim: count(4)?,
                spf: count(5)?,
                harmed: count(6)?,
                why: row.text(7)?,
                vouched: row.text(8)?,
            })
        },
    )
}

/// How sessions with our hosts went, by all reports together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsLine {
    /// The domain.
    pub domain: String,
    /// The policy that was met.
    pub policy: String,
    /// What went wrong; empty in the line of the whole policy.
    pub kind: String,
    /// At which host of ours.
    pub host: String,
    /// Why, in the reporter's words.
    pub reason: String,
    /// Good sessions; of the whole policy.
    pub successes: u64,
    /// Bad ones.
    pub failures: u64,
}

/// How sessions went, by domain and policy; the sums first.
pub fn tls_lines(tx: &ReadTx, reports: &[i64], limit: u32) -> Result<Vec<TlsLine>> {
    tx.rows(
        "SELECT r.domain, t.policy, t.kind, t.host, max(t.reason), CAST(sum(t.successes) AS BIGINT), CAST(sum(t.failures) AS BIGINT)
         FROM report_tls t JOIN report r ON r.id = t.report WHERE t.report {in:$1}
         GROUP BY r.domain, t.policy, t.kind, t.host ORDER BY 1, 2, 3, 7 DESC, 4 LIMIT $2",
        params![reports, limit],
        |row| {
            Ok(TlsLine {
                domain: row.text(0)?,
                policy: row.text(1)?,
                kind: row.text(2)?,
                host: row.text(3)?,
                reason: row.text(4)?,
                successes: row.int(5)?.unsigned_abs(),
                failures: row.int(6)?.unsigned_abs(),
            })
        },
    )
}

/// What feedback is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Of which report.
    pub report: i64,
    /// MAIL FROM of the message.
    pub mail_from: String,
    /// Its recipients, where told.
    pub recipients: String,
    /// Who brought it there.
    pub source: String,
    /// What failed.
    pub failure: String,
    /// Its Message-ID.
    pub message_id: String,
    /// Its subject.
    pub subject: String,
    /// Its story here, where it was found.
    pub about: Option<TraceId>,
}

/// What feedback is about, by the reports' names.
pub fn feedback(tx: &ReadTx, reports: &[i64]) -> Result<Vec<About>> {
    tx.rows(
        "SELECT report, mail_from, recipients, source, failure, message_id, subject, about FROM report_feedback
         WHERE report {in:$1} ORDER BY report DESC",
        params![reports],
        |row| {
            Ok(About {
                report: row.int(0)?,
                mail_from: row.text(1)?,
                recipients: row.text(2)?,
                source: row.text(3)?,
                failure: row.text(4)?,
                message_id: row.text(5)?,
                subject: row.text(6)?,
                about: row.int_or_null(7)?.map(TraceId),
            })
        },
    )
}

/// Forgets reports that came before a moment.
pub fn sweep(tx: &mut WriteTx, before: Timestamp) -> Result<u64> {
    for table in ["report_dmarc", "report_tls", "report_feedback"] {
        tx.execute(
            &format!("DELETE FROM {table} WHERE report IN (SELECT id FROM report WHERE at < $1)"),
            params![before],
        )?;
    }
    tx.execute("DELETE FROM report WHERE at < $1", params![before])
}

fn signed(count: u64) -> i64 {
    // Sums of many rows must fit as well.
    i64::try_from(count).unwrap_or(i64::MAX).min(COUNT_MAX)
}

/// What goes into an index.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(KEY_MAX)]
}

/// Messages that a single row is believed to be about.
const COUNT_MAX: i64 = 1_000_000_000_000;
const KEY_MAX: usize = 300;
/// Results or recipients that are shown of one row.
const SAID_MAX: usize = 6;

const TABLES: &str = "
CREATE TABLE report_letter (
    id BIGINT PRIMARY KEY,
    blob BIGINT NOT NULL,
    size BIGINT NOT NULL,
    trace BIGINT NOT NULL,
    at BIGINT NOT NULL,
    sender {text} NOT NULL,
    verified BIGINT NOT NULL
);
CREATE TABLE report (
    id BIGINT PRIMARY KEY,
    kind {text} NOT NULL,
    domain {text} NOT NULL,
    reporter {text} NOT NULL,
    name {text} NOT NULL,
    begins {text} NOT NULL,
    ends {text} NOT NULL,
    words {text} NOT NULL,
    at BIGINT NOT NULL,
    sender {text} NOT NULL,
    verified BIGINT NOT NULL,
    trace BIGINT NOT NULL,
    UNIQUE (kind, domain, reporter, name)
);
CREATE INDEX report_at ON report (kind, at);
CREATE TABLE report_dmarc (
    report BIGINT NOT NULL,
    number BIGINT NOT NULL,
    source {text} NOT NULL,
    messages BIGINT NOT NULL,
    disposition {text} NOT NULL,
    dkim BIGINT NOT NULL,
    spf BIGINT NOT NULL,
    header_from {text} NOT NULL,
    envelope_from {text} NOT NULL,
    why {text} NOT NULL,
    vouched {text} NOT NULL,
    PRIMARY KEY (report, number)
) {clustered};
CREATE TABLE report_tls (
    report BIGINT NOT NULL,
    number BIGINT NOT NULL,
    policy {text} NOT NULL,
    successes BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    kind {text} NOT NULL,
    host {text} NOT NULL,
    address {text} NOT NULL,
    reason {text} NOT NULL,
    PRIMARY KEY (report, number)
) {clustered};
CREATE TABLE report_feedback (
    report BIGINT PRIMARY KEY,
    mail_from {text} NOT NULL,
    recipients {text} NOT NULL,
    source {text} NOT NULL,
    failure {text} NOT NULL,
    message_id {text} NOT NULL,
    subject {text} NOT NULL,
    about BIGINT
);
";
