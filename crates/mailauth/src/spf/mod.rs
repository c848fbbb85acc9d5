//! SPF: whether a host may send in the name of a domain.
//!
//! A [`Check`] looks at one identity, MAIL FROM or HELO, and asks for DNS records as a [`Machine`]. It never decides what
//! becomes of the message, and never looks at the message itself.
//!
//! Standards: RFC 7208; RFC 8616 (names in Unicode); RFC 6652's modifiers are read and ignored.

use std::fmt;
use std::net::IpAddr;

use crate::{Failure, Machine, Question, Records, Step};

/// What is known of the connection and the envelope.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// The host that talks to us. An IPv4 address mapped into IPv6 counts as IPv4.
    pub ip: IpAddr,
    /// The argument of HELO or EHLO, as it came.
    pub helo: &'a str,
    /// The address of MAIL FROM without angle brackets; `None` (or an empty one) is `<>`: the HELO identity is looked at.
    pub mail_from: Option<&'a str>,
    /// Our own name, for `%{r}`.
    pub receiver: &'a str,
    /// Seconds since 1970, for `%{t}`.
    pub now: i64,
    /// What a check may cost.
    pub limits: Limits,
}

/// What a check may cost. RFC 7208 §4.6.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Terms that ask the DNS, over all records together.
    pub terms: usize,
    /// Questions of terms that had no answer, over all records together.
    pub void_lookups: usize,
    /// Hosts of one `mx`; more are an error.
    pub exchanges: usize,
    /// Names of one `ptr` or `%{p}`; more are not looked at.
    pub names: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { terms: 10, void_lookups: 2, exchanges: 10, names: 10 }
    }
}

/// RFC 7208 §2.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Result {
    /// Nothing is published, or there is no domain to ask about.
    None,
    /// The domain says nothing about this host.
    Neutral,
    /// The host may send for the domain.
    Pass,
    /// The host may not.
    Fail,
    /// The host probably may not.
    SoftFail,
    /// The DNS did not answer: ask again later.
    TempError,
    /// The published records cannot be read.
    PermError,
}

impl Result {
    /// The word of RFC 8601 §2.7.2.
    pub fn as_str(self) -> &'static str {
        match self {
            Result::None => "none",
            Result::Neutral => "neutral",
            Result::Pass => "pass",
            Result::Fail => "fail",
            Result::SoftFail => "softfail",
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

/// Which identity was looked at. RFC 7208 §2.3, §2.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The address of MAIL FROM.
    MailFrom,
    /// The name of HELO.
    Helo,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The result.
    pub result: Result,
    /// The domain that was asked about; lower case, A-labels. Empty if there was none.
    pub domain: String,
    /// The identity it came from.
    pub identity: Identity,
    /// The sender: local part and domain, `postmaster@` where there was no local part.
    pub sender: String,
    /// The term that decided, as published (`include:_spf.example.com`).
    pub mechanism: Option<String>,
    /// Why not, in the words of the domain (`exp=`): printable ASCII. Words of a stranger: show them as such.
    pub explanation: Option<String>,
    /// Why, in our words, one line.
    pub why: String,
}

/// A check under way.
#[derive(Debug)]
pub struct Check {}

impl Check {
    /// Begins a check of one identity.
    pub fn new(_input: Input<'_>) -> Check {
        unimplemented!()
    }
}

impl Machine for Check {
    type Verdict = Verdict;

    fn step(&mut self) -> Step<Verdict> {
        let _: Option<Question> = None;
        unimplemented!()
    }

    fn answer(&mut self, _answer: std::result::Result<Records, Failure>) {
        unimplemented!()
    }
}
