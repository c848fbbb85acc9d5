//! DMARC: whether the author's domain of a message stands behind it, and what it wants done if not.
//!
//! A [`Check`] gets what SPF and DKIM found and asks for policies as a [`Machine`]. It never delivers or refuses anything.
//!
//! Standards: RFC 9989 (which replaces RFC 7489 and 9091): DNS tree walk, `psd`, `np`, `t`; no `pct`.

mod record;

use std::fmt;

use crate::{Failure, Machine, Records, Step};

pub use record::{Alignment, Policy, Psd, Record};

/// What SPF and DKIM found.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// The domain of each address in the From field, as it stands there (A-labels or Unicode). Duplicates do no harm.
    pub from_domains: Vec<String>,
    /// The domain that SPF looked at by MAIL FROM (that of HELO if MAIL FROM is `<>`).
    pub spf: Option<Identifier>,
    /// The signing domain (`d=`) of each signature looked at.
    pub dkim: Vec<Identifier>,
}

/// A domain that something vouches for, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    /// The domain.
    pub domain: String,
    /// What was found.
    pub outcome: Outcome,
}

/// What the underlying check found, as far as DMARC cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It passed.
    Pass,
    /// It could not be finished now.
    TempError,
    /// Everything else.
    Other,
}

/// RFC 8601 §2.7.1, RFC 9989.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Result {
    /// No policy is published, or there is no domain to ask about.
    None,
    /// An aligned identifier passed.
    Pass,
    /// None did.
    Fail,
    /// The DNS did not answer: ask again later.
    TempError,
    /// The message or the record cannot be looked at.
    PermError,
}

impl Result {
    /// The word of RFC 8601.
    pub fn as_str(self) -> &'static str {
        match self {
            Result::None => "none",
            Result::Pass => "pass",
            Result::Fail => "fail",
            Result::TempError => "temperror",
            Result::PermError => "permerror",
        }
    }
}

impl fmt::Display for Result {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who vouched for the author's domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aligned {
    /// SPF, for this domain.
    Spf(String),
    /// A DKIM signature of this domain.
    Dkim(String),
}

/// What a check found. With several author domains: of the one with the worst outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The result.
    pub result: Result,
    /// The author's domain; lower case, A-labels. Empty if there was none.
    pub domain: String,
    /// Where the record was found.
    pub policy_domain: Option<String>,
    /// The organisational domain of the author's domain.
    pub organizational_domain: Option<String>,
    /// What to do with a message that fails: after `p`, `sp`, `np` and `t`. [`Policy::None`] unless the result is [`Result::Fail`].
    pub policy: Policy,
    /// What is published for this domain, before `t`: what a report tells.
    pub published: Policy,
    /// All that vouched, aligned. SPF first.
    pub aligned: Vec<Aligned>,
    /// The record that was used.
    pub record: Option<Record>,
    /// Why, one line.
    pub why: String,
}

/// A check under way.
#[derive(Debug)]
pub struct Check {}

impl Check {
    /// Begins a check.
    pub fn new(_input: Input) -> Check {
        unimplemented!()
    }
}

impl Machine for Check {
    type Verdict = Verdict;

    fn step(&mut self) -> Step<Verdict> {
        unimplemented!()
    }

    fn answer(&mut self, _answer: std::result::Result<Records, Failure>) {
        unimplemented!()
    }
}
