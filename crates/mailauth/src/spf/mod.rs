//! SPF: whether a host may send in the name of a domain.
//!
//! A [`Check`] looks at one identity, MAIL FROM or HELO, and asks for DNS records as a [`Machine`]. It never decides what
//! becomes of the message, and never looks at the message itself.
//!
//! Standards: RFC 7208; RFC 8616 (names in Unicode); RFC 6652's modifiers are read and ignored.

mod evaluate;
mod macros;
mod record;

use std::fmt;
use std::net::IpAddr;

use crate::domain::to_ascii;
use crate::{Failure, Machine, Question, Records, Step};
use evaluate::{Answer, Conclusion, Evaluation, Facts, Next};

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
pub struct Check {
    identity: Identity,
    domain: String,
    sender: String,
    state: State,
    heard: Vec<Answer>,
}

#[derive(Debug)]
enum State {
    /// Nothing was asked yet.
    New(Box<Evaluation>, Question),
    /// Questions are out.
    Asked(Box<Evaluation>),
    Done(Conclusion),
}

impl Check {
    /// Begins a check of one identity. To look at both, begin two.
    pub fn new(input: Input<'_>) -> Check {
        let mail_from = input.mail_from.filter(|address| !address.is_empty());
        let identity = if mail_from.is_some() { Identity::MailFrom } else { Identity::Helo };
        let (local, written) = match mail_from {
            // RFC 7208 §4.3: without a local part it is `postmaster`, also where only a domain is told.
            Some(address) => address.rsplit_once('@').unwrap_or(("", address)),
            None => ("", input.helo),
        };
        let local = if local.is_empty() { "postmaster" } else { local };
        let askable = to_ascii(written).filter(|domain| domain.contains('.') && !domain.starts_with('['));
        let domain = askable.unwrap_or_default();
        let sender = format!("{local}@{}", if domain.is_empty() { written } else { &domain });
        let state = if domain.is_empty() {
            let why = "there is no domain that could be asked".to_owned();
            State::Done(Conclusion { result: Result::None, mechanism: None, explanation: None, why })
        } else {
            let facts = Facts {
                ip: input.ip.to_canonical(),
                local: local.to_owned(),
                sender_domain: domain.clone(),
                helo: to_ascii(input.helo).unwrap_or_else(|| input.helo.to_owned()),
                receiver: input.receiver.to_owned(),
                now: input.now,
                limits: input.limits,
            };
            let (evaluation, question) = Evaluation::begin(facts, domain.clone());
            State::New(Box::new(evaluation), question)
        };
        Check { identity, domain, sender, state, heard: Vec::new() }
    }

    fn done(&mut self, conclusion: Conclusion) -> Step<Verdict> {
        self.state = State::Done(conclusion.clone());
        let Conclusion { result, mechanism, explanation, why } = conclusion;
        Step::Done(Verdict {
            result,
            domain: self.domain.clone(),
            identity: self.identity,
            sender: self.sender.clone(),
            mechanism,
            explanation,
            why,
        })
    }
}

impl Machine for Check {
    type Verdict = Verdict;

    fn step(&mut self) -> Step<Verdict> {
        let nothing = Conclusion { result: Result::None, mechanism: None, explanation: None, why: String::new() };
        match std::mem::replace(&mut self.state, State::Done(nothing)) {
            State::New(evaluation, question) => {
                self.state = State::Asked(evaluation);
                Step::Ask(vec![question])
            }
            State::Asked(mut evaluation) => match evaluation.resume(std::mem::take(&mut self.heard)) {
                Next::Ask(questions) => {
                    self.state = State::Asked(evaluation);
                    Step::Ask(questions)
                }
                Next::Done(conclusion) => self.done(conclusion),
            },
            State::Done(conclusion) => self.done(conclusion),
        }
    }

    fn answer(&mut self, answer: std::result::Result<Records, Failure>) {
        if self.heard.len() < MAX_ANSWERS {
            self.heard.push(answer);
        }
    }
}

/// Answers of one step that are looked at: more than any step asks for, by default.
const MAX_ANSWERS: usize = 1000;
