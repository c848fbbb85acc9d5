//! Aggregate reports of DMARC: what a receiver saw of a domain's mail in a day, in rows.
//!
//! [`Report::read`] takes what is really sent, of RFC 7489's form and of RFC 9990's, with missing, strange and additional
//! elements; [`Report::write`] writes RFC 9990's. There is no document type and there are no entities of the document's own: XML
//! that wants either is refused before anything is expanded.
//!
//! Standards: RFC 9990, RFC 7489 App. C.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::net::IpAddr;

use crate::dmarc::{Alignment, Policy};

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Who reports (`org_name`).
    pub organization: String,
    /// Whom to ask (`email`).
    pub email: String,
    /// More about them (`extra_contact_info`).
    pub contact: String,
    /// The reporter's name of the report (`report_id`).
    pub id: String,
    /// The first second it is about, since 1970.
    pub begin: i64,
    /// The last.
    pub end: i64,
    /// What went wrong at the reporter (`error`).
    pub errors: Vec<String>,
    /// What wrote it (RFC 9990's `generator`).
    pub generator: String,
    /// The policy that was found.
    pub published: Published,
    /// The rows.
    pub records: Vec<Record>,
    /// Rows that could not be read.
    pub skipped: u64,
}

/// `policy_published`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Published {
    /// The domain that the record was found at; lower case.
    pub domain: String,
    /// `p`.
    pub policy: Policy,
    /// `sp`.
    pub subdomains: Option<Policy>,
    /// `np`.
    pub nonexistent: Option<Policy>,
    /// `adkim`.
    pub dkim_alignment: Alignment,
    /// `aspf`.
    pub spf_alignment: Alignment,
    /// `t=y`.
    pub testing: bool,
    /// `fo`, as it is written there.
    pub failure_options: String,
}

/// Messages from one address with one outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The host that brought them.
    pub source: IpAddr,
    /// How many.
    pub count: u64,
    /// What was done.
    pub disposition: Disposition,
    /// Whether an aligned signature held.
    pub dkim: bool,
    /// Whether SPF passed, aligned.
    pub spf: bool,
    /// Why something else was done than the policy says.
    pub reasons: Vec<Reason>,
    /// The author's domain.
    pub header_from: String,
    /// The domain of MAIL FROM; empty where not told, or for `<>`.
    pub envelope_from: String,
    /// The recipients' domain; often not told.
    pub envelope_to: String,
    /// The signatures.
    pub signatures: Vec<Signature>,
    /// SPF.
    pub senders: Vec<Sender>,
}

/// What was done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disposition {
    /// It passed (RFC 9990).
    Pass,
    /// Nothing.
    None,
    /// Treated with suspicion.
    Quarantine,
    /// Refused.
    Reject,
}

impl Disposition {
    /// All.
    pub const ALL: [Disposition; 4] =
        [Disposition::Pass, Disposition::None, Disposition::Quarantine, Disposition::Reject];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Disposition::Pass => "pass",
            Disposition::None => "none",
            Disposition::Quarantine => "quarantine",
            Disposition::Reject => "reject",
        }
    }

    /// The one of this word.
    pub fn from_word(word: &str) -> Option<Disposition> {
        Disposition::ALL.into_iter().find(|one| one.as_str().eq_ignore_ascii_case(word))
    }
}

/// `reason`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason {
    /// The kind: `local_policy`, `mailing_list` ..
    pub kind: String,
    /// In words.
    pub comment: String,
}

/// A signature (`auth_results/dkim`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Signature {
    /// `d=`.
    pub domain: String,
    /// `s=`; empty where not told.
    pub selector: String,
    /// A word of RFC 8601.
    pub result: String,
    /// In words.
    pub words: String,
}

/// SPF (`auth_results/spf`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sender {
    /// The domain that was looked at.
    pub domain: String,
    /// It was that of HELO.
    pub helo: bool,
    /// A word of RFC 8601.
    pub result: String,
    /// In words.
    pub words: String,
}

impl Record {
    /// Whether DMARC passed.
    pub fn passes(&self) -> bool {
        self.dkim || self.spf
    }
}
