//! Reading: one pass over the events of the XML, by the names of an element and the one around it.

use std::net::IpAddr;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

use super::{Disposition, Published, Reason, Record, Report, Sender, Signature};
use crate::dmarc::{Alignment, Policy};
use crate::report::{Error, Limits, Result, clean, domain, malformed};

impl Report {
    /// Reads XML. Elements are known by their names, whatever their namespace; unknown ones are passed over. Errors: it is no
    /// report, or has more than [`Limits`] allow.
    pub fn read(xml: &[u8], limits: &Limits) -> Result<Report> {
        if xml.len() > limits.inflated {
            return Err(Error::TooLarge("the report"));
        }
        let mut reader = Reader::from_reader(xml);
        reader.config_mut().check_end_names = true;
        let mut reading = Reading::new(limits);
        loop {
            match reader.read_event().map_err(malformed)? {
                Event::Start(start) => reading.open(start.local_name().as_ref())?,
                Event::Empty(empty) => {
                    reading.open(empty.local_name().as_ref())?;
                    reading.close();
                }
                Event::End(_) => reading.close(),
                Event::Text(text) => reading.text(&String::from_utf8_lossy(&text)),
                Event::CData(text) => reading.text(&String::from_utf8_lossy(&text)),
                Event::GeneralRef(reference) => {
                    let name = String::from_utf8_lossy(&reference).into_owned();
                    let known = match reference.resolve_char_ref() {
                        Ok(Some(c)) => Some(c.to_string()),
                        Ok(None) | Err(_) => resolve_predefined_entity(&name).map(str::to_owned),
                    };
                    reading.text(&known.ok_or(Error::Hostile("XML with entities of its own"))?);
                }
                // Where expansion would begin (billion laughs), and files of ours would be asked for.
                Event::DocType(_) => return Err(Error::Hostile("XML with a document type")),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => break,
            }
        }
        reading.finish()
    }
}

struct Reading<'a> {
    limits: &'a Limits,
    path: Vec<String>,
    text: String,
    is_report: bool,
    report: Report,
    row: Row,
    /// Rows so far.
    rows: usize,
    /// Signatures, senders and reasons that may still come, in all rows together: an empty element of seven octets becomes a
    /// hundred in memory.
    inner_left: usize,
}

/// A row under way.
#[derive(Default)]
struct Row {
    source: Option<IpAddr>,
    count: Option<u64>,
    disposition: Option<Disposition>,
    dkim: bool,
    spf: bool,
    reasons: Vec<Reason>,
    header_from: String,
    envelope_from: String,
    envelope_to: String,
    signatures: Vec<Signature>,
    senders: Vec<Sender>,
}

impl<'a> Reading<'a> {
    fn new(limits: &'a Limits) -> Reading<'a> {
        let text = String::new;
        let report = Report {
            organization: text(),
            email: text(),
            contact: text(),
            id: text(),
            begin: 0,
            end: 0,
            errors: Vec::new(),
            generator: text(),
            published: Published::default(),
            records: Vec::new(),
            skipped: 0,
        };
        let inner_left = limits.records.saturating_mul(INNER_OF_ROW);
        Reading {
            limits,
            path: Vec::new(),
            text: text(),
            is_report: false,
            report,
            row: Row::default(),
            rows: 0,
            inner_left,
        }
    }

    fn open(&mut self, name: &[u8]) -> Result<()> {
        if self.path.len() >= self.limits.depth {
            return Err(Error::Hostile("XML that is deeper than a report"));
        }
        let name = String::from_utf8_lossy(name.get(..NAME_MAX.min(name.len())).unwrap_or_default()).to_lowercase();
        match (self.path.last().map(String::as_str), name.as_str()) {
            (None, "feedback") => self.is_report = true,
            (Some("feedback"), "record") => {
                // Rows without an address count as well: they cost as much to read.
                self.rows += 1;
                if self.rows > self.limits.records {
                    return Err(Error::TooLarge("rows in the report"));
                }
                self.row = Row::default();
            }
            (Some("auth_results"), "dkim" | "spf") | (Some("policy_evaluated"), "reason") if self.inner_left == 0 => {
                return Err(Error::TooLarge("results in the report"));
            }
            (Some("auth_results"), "dkim") if self.row.signatures.len() < INNER_MAX => {
                self.inner_left -= 1;
                self.row.signatures.push(Signature::default());
            }
            (Some("auth_results"), "spf") if self.row.senders.len() < INNER_MAX => {
                self.inner_left -= 1;
                self.row.senders.push(Sender::default());
            }
            (Some("policy_evaluated"), "reason") if self.row.reasons.len() < INNER_MAX => {
                self.inner_left -= 1;
                self.row.reasons.push(Reason { kind: String::new(), comment: String::new() });
            }
            _ => {}
        }
        self.path.push(name);
        self.text.clear();
        Ok(())
    }

    fn text(&mut self, more: &str) {
        // Twice: white space goes later.
        if self.text.len() < self.limits.text * 2 {
            self.text.push_str(more.get(..more.floor_char_boundary(self.limits.text * 2)).unwrap_or_default());
        }
    }

    fn close(&mut self) {
        let text = clean(&self.text, self.limits.text);
        self.text.clear();
        let name = self.path.pop().unwrap_or_default();
        let parent = self.path.last().cloned().unwrap_or_default();
        match parent.as_str() {
            "feedback" if name == "record" => self.end_row(),
            "report_metadata" | "date_range" => self.metadata(&name, text),
            "policy_published" => self.published(&name, &text),
            "row" | "policy_evaluated" | "identifiers" => self.row(&name, &text),
            "reason" => self.reason(&name, text),
            "dkim" => self.signature(&name, &text),
            "spf" => self.sender(&name, &text),
            _ => {}
        }
    }

    fn metadata(&mut self, name: &str, text: String) {
        let report = &mut self.report;
        match name {
            "org_name" => report.organization = text,
            "email" => report.email = text,
            "extra_contact_info" => report.contact = text,
            "report_id" => report.id = text.trim_matches(['<', '>']).to_owned(),
            "begin" => report.begin = seconds(&text),
            "end" => report.end = seconds(&text),
            "generator" => report.generator = text,
            "error" if report.errors.len() < INNER_MAX && !text.is_empty() => report.errors.push(text),
            _ => {}
        }
    }

    fn published(&mut self, name: &str, text: &str) {
        let published = &mut self.report.published;
        match name {
            "domain" => published.domain = domain(text, self.limits.text),
            "p" => published.policy = policy(text).unwrap_or_default(),
            "sp" => published.subdomains = policy(text),
            "np" => published.nonexistent = policy(text),
            "adkim" => published.dkim_alignment = alignment(text),
            "aspf" => published.spf_alignment = alignment(text),
            "testing" => published.testing = text.eq_ignore_ascii_case("y"),
            "fo" => published.failure_options = text.to_owned(),
            _ => {}
        }
    }

    fn row(&mut self, name: &str, text: &str) {
        let limit = self.limits.text;
        let passes = || text.eq_ignore_ascii_case("pass");
        match name {
            "source_ip" => self.row.source = text.parse().ok(),
            "count" => self.row.count = text.parse().ok(),
            "disposition" => self.row.disposition = Disposition::from_word(text),
            "dkim" => self.row.dkim = passes(),
            "spf" => self.row.spf = passes(),
            "header_from" => self.row.header_from = domain(text, limit),
            "envelope_from" => self.row.envelope_from = domain(text, limit),
            "envelope_to" => self.row.envelope_to = domain(text, limit),
            _ => {}
        }
    }

    fn reason(&mut self, name: &str, text: String) {
        let Some(reason) = self.row.reasons.last_mut() else { return };
        match name {
            "type" => reason.kind = text.to_lowercase(),
            "comment" => reason.comment = text,
            _ => {}
        }
    }

    fn signature(&mut self, name: &str, text: &str) {
        let limit = self.limits.text;
        let Some(signature) = self.row.signatures.last_mut() else { return };
        match name {
            "domain" => signature.domain = domain(text, limit),
            "selector" => signature.selector = domain(text, limit),
            "result" => signature.result = word(text),
            "human_result" => signature.words = text.to_owned(),
            _ => {}
        }
    }

    fn sender(&mut self, name: &str, text: &str) {
        let limit = self.limits.text;
        let Some(sender) = self.row.senders.last_mut() else { return };
        match name {
            "domain" => sender.domain = domain(text, limit),
            "scope" => sender.helo = text.eq_ignore_ascii_case("helo"),
            "result" => sender.result = word(text),
            "human_result" => sender.words = text.to_owned(),
            _ => {}
        }
    }

    fn end_row(&mut self) {
        let row = std::mem::take(&mut self.row);
        let Some(source) = row.source else {
            self.report.skipped += 1;
            return;
        };
        self.report.records.push(Record {
            source,
            count: row.count.unwrap_or(1),
            disposition: row.disposition.unwrap_or(Disposition::None),
            dkim: row.dkim,
            spf: row.spf,
            reasons: row.reasons,
            header_from: row.header_from,
            envelope_from: row.envelope_from,
            envelope_to: row.envelope_to,
            signatures: row.signatures,
            senders: row.senders,
        });
    }

    fn finish(self) -> Result<Report> {
        let report = self.report;
        match () {
            () if !self.is_report => Err(malformed("it is no aggregate report")),
            () if !self.path.is_empty() => Err(malformed("it ends in the middle")),
            () if report.published.domain.is_empty() => Err(malformed("it names no domain")),
            () if report.organization.is_empty() && report.email.is_empty() => {
                Err(malformed("it says not whose it is"))
            }
            () => Ok(report),
        }
    }
}

/// Whole seconds since 1970; some write milliseconds or a fraction.
fn seconds(text: &str) -> i64 {
    let whole = text.split('.').next().unwrap_or_default();
    let number = whole.parse::<i64>().unwrap_or(0).max(0);
    if number > MILLISECONDS { number / 1_000 } else { number }
}

fn policy(text: &str) -> Option<Policy> {
    [Policy::None, Policy::Quarantine, Policy::Reject]
        .into_iter()
        .find(|policy| policy.as_str().eq_ignore_ascii_case(text))
}

fn alignment(text: &str) -> Alignment {
    match text.as_bytes().first() {
        Some(b's' | b'S') => Alignment::Strict,
        Some(_) | None => Alignment::Relaxed,
    }
}

/// Results by other names, as older writers have them.
fn word(text: &str) -> String {
    let word = clean(text, NAME_MAX).to_lowercase();
    match word.as_str() {
        "hardfail" => "fail".to_owned(),
        "error" => "temperror".to_owned(),
        "unknown" => "permerror".to_owned(),
        _ => word,
    }
}

/// Octets of an element's name or of a result that are looked at.
const NAME_MAX: usize = 64;
/// Signatures, reasons and so on of one row.
const INNER_MAX: usize = 100;
/// And so many for each of the rows that a report may have, in the middle.
const INNER_OF_ROW: usize = 4;
/// A later second than any report's: year 5138.
const MILLISECONDS: i64 = 100_000_000_000;
