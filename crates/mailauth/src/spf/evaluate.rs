//! The evaluation of records: `check_host()` of RFC 7208 §4 as a machine.
//!
//! Invariants: at most [`Limits::terms`](super::Limits) terms ask the DNS, over all records together; each of them asks a bounded
//! number of questions; the names of the address are asked for once. Frames are as deep as there are such terms.

use std::collections::HashSet;
use std::net::IpAddr;

use super::macros::{MacroString, Place, Values};
use super::record::{Cidr, Directive, MAX_RECORD, Mechanism, Record, is_spf};
use super::{Limits, Result as Found};
use crate::domain::{is_askable, is_at_or_below};
use crate::{Failure, Question, Records};

/// What is the same in all records of a check.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) ip: IpAddr,
    pub(super) local: String,
    pub(super) sender_domain: String,
    pub(super) helo: String,
    pub(super) receiver: String,
    pub(super) now: i64,
    pub(super) limits: Limits,
}

/// The result of the whole evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conclusion {
    pub(super) result: Found,
    pub(super) mechanism: Option<String>,
    pub(super) explanation: Option<String>,
    pub(super) why: String,
}

/// What comes next.
pub(super) enum Next {
    Ask(Vec<Question>),
    Done(Conclusion),
}

pub(super) type Answer = Result<Records, Failure>;

/// An evaluation under way.
#[derive(Debug)]
pub(super) struct Evaluation {
    facts: Facts,
    frames: Vec<Frame>,
    stage: Stage,
    waits: Wait,
    terms: usize,
    voids: usize,
    /// The names of the address that lead back to it; `None`: not asked for yet.
    validated: Option<Vec<String>>,
}

/// A record that is evaluated, at the bottom that of the sender, above it what was included.
#[derive(Debug)]
struct Frame {
    domain: String,
    record: Record,
    /// The next directive.
    at: usize,
}

/// What the answers belong to that come next.
#[derive(Debug)]
enum Wait {
    /// None: begin at the directive that is next.
    Nothing,
    /// TXT of a domain whose record is wanted.
    Policy(Source, String),
    /// Addresses of the target of an `a`.
    Addresses(Cidr),
    /// Exchanges of the target of an `mx`.
    Exchanges(Cidr),
    /// Addresses of the exchanges.
    Hosts(Cidr),
    /// The names of the address.
    Names,
    /// The addresses of those names.
    Confirmations(Vec<String>),
    /// Whether an `exists` does.
    Existence,
    /// The explanation of a failure.
    Explanation,
}

/// How far the evaluation is.
#[derive(Debug)]
enum Stage {
    /// Records are looked at.
    Terms,
    /// The result is known, and where its explanation stands.
    Explains(Conclusion, MacroString),
    /// The explanation is known and is to be expanded.
    Expands(Conclusion, MacroString),
}

/// Why a record is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Sender,
    Include,
    Redirect,
}

/// Either of the ends of a move.
enum Move {
    On,
    Next(Next),
}

impl Evaluation {
    /// The first question is that for the record of `domain`.
    pub(super) fn begin(facts: Facts, domain: String) -> (Evaluation, Question) {
        let question = Question::Txt(domain.clone());
        let waits = Wait::Policy(Source::Sender, domain);
        (
            Evaluation { facts, frames: Vec::new(), stage: Stage::Terms, waits, terms: 0, voids: 0, validated: None },
            question,
        )
    }

    /// Takes the answers to what was asked and goes on to the next questions or to the end.
    pub(super) fn resume(&mut self, answers: Vec<Answer>) -> Next {
        let mut step = self.hear(answers);
        loop {
            match step {
                Move::Next(next) => return next,
                Move::On => step = self.proceed(),
            }
        }
    }

    fn hear(&mut self, answers: Vec<Answer>) -> Move {
        match std::mem::replace(&mut self.waits, Wait::Nothing) {
            Wait::Nothing => Move::On,
            Wait::Policy(source, domain) => self.hear_policy(source, domain, first(answers)),
            Wait::Addresses(cidr) => match addresses(first(answers)) {
                Ok(found) => self.decide(found.iter().any(|address| cidr.covers(*address, self.facts.ip))),
                Err(failure) => self.without_answer(failure),
            },
            Wait::Exchanges(cidr) => self.hear_exchanges(cidr, first(answers)),
            Wait::Hosts(cidr) => self.hear_hosts(cidr, answers),
            Wait::Names => self.hear_names(first(answers)),
            Wait::Confirmations(names) => self.hear_confirmations(names, answers),
            Wait::Existence => match addresses(first(answers)) {
                Ok(_) => self.decide(true),
                Err(failure) => self.without_answer(failure),
            },
            Wait::Explanation => self.hear_explanation(first(answers)),
        }
    }

    /// RFC 7208 §4.4, §4.5.
    fn hear_policy(&mut self, source: Source, domain: String, answer: Answer) -> Move {
        let texts = match answer {
            Ok(Records::Txt(texts)) => texts,
            Ok(other) => return self.end(Found::TempError, mismatch(&other)),
            Err(Failure::Temporary(why)) => {
                return self.end(Found::TempError, format!("the record of {domain} is not known: {why}"));
            }
            Err(Failure::NoSuchName | Failure::NoData | Failure::BadName) => Vec::new(),
        };
        let mut policies = texts.iter().filter(|text| is_spf(text));
        let Some(policy) = policies.next() else {
            return match source {
                Source::Sender => self.end(Found::None, format!("{domain} publishes no SPF record")),
                // RFC 7208 §5.2 and §6.1.
                Source::Include => {
                    self.end(Found::PermError, format!("{domain} is included and publishes no SPF record"))
                }
                Source::Redirect => {
                    self.end(Found::PermError, format!("{domain} is redirected to and publishes no SPF record"))
                }
            };
        };
        if policies.next().is_some() {
            return self.end(Found::PermError, format!("{domain} publishes more than one SPF record"));
        }
        match Record::parse(policy) {
            Ok(record) => {
                if source == Source::Redirect {
                    self.frames.pop();
                }
                self.frames.push(Frame { domain, record, at: 0 });
                Move::On
            }
            Err(why) => self.end(Found::PermError, format!("the record of {domain} cannot be read: {why}")),
        }
    }

    fn hear_exchanges(&mut self, cidr: Cidr, answer: Answer) -> Move {
        let exchanges = match answer {
            Ok(Records::Mx(exchanges)) => exchanges,
            Ok(other) => return self.end(Found::TempError, mismatch(&other)),
            Err(failure) => return self.without_answer(failure),
        };
        if exchanges.len() > self.facts.limits.exchanges {
            // RFC 7208 §4.6.4.
            return self.end_at(Found::PermError, "it has too many exchanges");
        }
        let mut seen = HashSet::new();
        let hosts = exchanges.into_iter().map(|(_, host)| host.trim_end_matches('.').to_ascii_lowercase());
        let hosts: Vec<String> = hosts.filter(|host| is_askable(host) && seen.insert(host.clone())).collect();
        if hosts.is_empty() {
            // RFC 7505: a null MX has no host.
            return self.decide(false);
        }
        let questions = hosts.into_iter().map(|host| self.address_question(host)).collect();
        self.ask(Wait::Hosts(cidr), questions)
    }

    fn hear_hosts(&mut self, cidr: Cidr, answers: Vec<Answer>) -> Move {
        let (mut found_any, mut temporary) = (false, None);
        for answer in answers {
            match addresses(answer) {
                Ok(found) => {
                    if found.iter().any(|address| cidr.covers(*address, self.facts.ip)) {
                        return self.decide(true);
                    }
                    found_any = true;
                }
                Err(Failure::Temporary(why)) => temporary = Some(why),
                Err(Failure::NoSuchName | Failure::NoData | Failure::BadName) => {}
            }
        }
        match temporary {
            Some(why) => self.without_answer(Failure::Temporary(why)),
            None if found_any => self.decide(false),
            // RFC 7208 §4.6.4 counts terms: three exchanges without an address of the client's family are one look-up in vain.
            None => self.without_answer(Failure::NoData),
        }
    }

    /// RFC 7208 §5.5. An error means that the address has no names; as the sender's domain cannot help what names the address has,
    /// it does not count as a look-up in vain.
    fn hear_names(&mut self, answer: Answer) -> Move {
        let Ok(Records::Ptr(mut names)) = answer else {
            self.validated = Some(Vec::new());
            return Move::On;
        };
        names.truncate(self.facts.limits.names);
        let names: Vec<String> = names
            .iter()
            .map(|name| name.trim_end_matches('.').to_ascii_lowercase())
            .filter(|name| is_askable(name))
            .collect();
        if names.is_empty() {
            self.validated = Some(Vec::new());
            return Move::On;
        }
        let questions = names.iter().map(|name| self.address_question(name.clone())).collect();
        self.ask(Wait::Confirmations(names), questions)
    }

    fn hear_confirmations(&mut self, names: Vec<String>, answers: Vec<Answer>) -> Move {
        let leads_back = |answer: Answer| addresses(answer).is_ok_and(|found| found.contains(&self.facts.ip));
        let confirmed = names.into_iter().zip(answers).filter_map(|(name, answer)| leads_back(answer).then_some(name));
        self.validated = Some(confirmed.collect());
        Move::On
    }

    /// RFC 7208 §6.2: whatever is wrong with it, there is none.
    fn hear_explanation(&mut self, answer: Answer) -> Move {
        let text = match answer {
            Ok(Records::Txt(texts)) => match <[Vec<u8>; 1]>::try_from(texts) {
                Ok([text]) if text.len() <= MAX_RECORD && text.is_ascii() => String::from_utf8(text).ok(),
                Ok(_) | Err(_) => None,
            },
            Ok(_) | Err(_) => None,
        };
        let text = text.and_then(|text| MacroString::parse(&text, Place::Explanation).ok());
        match (std::mem::replace(&mut self.stage, Stage::Terms), text) {
            (Stage::Explains(conclusion, _), Some(text)) => {
                self.stage = Stage::Expands(conclusion, text);
                Move::On
            }
            (Stage::Explains(conclusion, _) | Stage::Expands(conclusion, _), _) => Move::Next(Next::Done(conclusion)),
            (Stage::Terms, _) => Move::On,
        }
    }

    /// Goes on where nothing has to be waited for.
    fn proceed(&mut self) -> Move {
        match std::mem::replace(&mut self.stage, Stage::Terms) {
            Stage::Terms => self.next_term(),
            Stage::Explains(conclusion, spec) => {
                if self.must_ask_names(&spec) {
                    self.stage = Stage::Explains(conclusion, spec);
                    return self.ask(Wait::Names, vec![Question::Ptr(self.facts.ip)]);
                }
                match self.target(&spec) {
                    Some(target) => {
                        self.stage = Stage::Explains(conclusion, spec);
                        self.ask(Wait::Explanation, vec![Question::Txt(target)])
                    }
                    None => Move::Next(Next::Done(conclusion)),
                }
            }
            Stage::Expands(mut conclusion, text) => {
                if self.must_ask_names(&text) {
                    self.stage = Stage::Expands(conclusion, text);
                    return self.ask(Wait::Names, vec![Question::Ptr(self.facts.ip)]);
                }
                let values = self.values();
                conclusion.explanation = (!text.is_unusable(&values)).then(|| text.expand_text(&values));
                Move::Next(Next::Done(conclusion))
            }
        }
    }

    /// The next directive of the frame on top, or its end.
    fn next_term(&mut self) -> Move {
        let Some(frame) = self.frames.last() else {
            return self.end(Found::TempError, "nothing is known".to_owned());
        };
        match frame.record.directives.get(frame.at).cloned() {
            Some(directive) => self.directive(&directive),
            None => self.end_of_record(),
        }
    }

    fn directive(&mut self, directive: &Directive) -> Move {
        let spec = match &directive.mechanism {
            Mechanism::All => return self.decide(true),
            Mechanism::Ip4(network, prefix) => {
                return self.decide(Cidr { four: *prefix, six: 128 }.covers((*network).into(), self.facts.ip));
            }
            Mechanism::Ip6(network, prefix) => {
                return self.decide(Cidr { four: 32, six: *prefix }.covers((*network).into(), self.facts.ip));
            }
            Mechanism::Include(spec) | Mechanism::Exists(spec) => Some(spec),
            Mechanism::A(spec, _) | Mechanism::Mx(spec, _) | Mechanism::Ptr(spec) => spec.as_ref(),
        };
        let wants_names = self.validated.is_none() && matches!(directive.mechanism, Mechanism::Ptr(_));
        if wants_names || spec.is_some_and(|spec| self.must_ask_names(spec)) {
            // The directive begins anew when they are known.
            return self.ask(Wait::Names, vec![Question::Ptr(self.facts.ip)]);
        }
        if !self.count_term() {
            return self.end_at(Found::PermError, "more terms ask the DNS than are allowed");
        }
        let target = match spec {
            Some(spec) => self.target(spec),
            None => self.frames.last().map(|frame| frame.domain.clone()),
        };
        let Some(target) = target else {
            // RFC 7208 §4.8: a name that cannot be asked for does not exist.
            return match directive.mechanism {
                Mechanism::Include(_) => self.end_at(Found::PermError, "the domain cannot be asked for"),
                _ => self.decide(false),
            };
        };
        match directive.mechanism {
            Mechanism::Include(_) => {
                let question = Question::Txt(target.clone());
                self.ask(Wait::Policy(Source::Include, target), vec![question])
            }
            Mechanism::A(_, cidr) => {
                let question = self.address_question(target);
                self.ask(Wait::Addresses(cidr), vec![question])
            }
            Mechanism::Mx(_, cidr) => self.ask(Wait::Exchanges(cidr), vec![Question::Mx(target)]),
            Mechanism::Ptr(_) => {
                let names = self.validated.as_deref().unwrap_or_default();
                self.decide(names.iter().any(|name| is_at_or_below(name, &target)))
            }
            // RFC 7208 §5.7: A also when the client speaks IPv6.
            Mechanism::Exists(_) => self.ask(Wait::Existence, vec![Question::Ipv4(target)]),
            Mechanism::All | Mechanism::Ip4(..) | Mechanism::Ip6(..) => self.decide(false),
        }
    }

    /// All directives were looked at. RFC 7208 §4.7, §6.1.
    fn end_of_record(&mut self) -> Move {
        let Some(frame) = self.frames.last() else { return Move::On };
        let Some(redirect) = frame.record.redirect.clone() else {
            let why = format!("{} says nothing about {}", frame.domain, self.facts.ip);
            return self.end_of_frame(Found::Neutral, None, why);
        };
        if self.must_ask_names(&redirect) {
            return self.ask(Wait::Names, vec![Question::Ptr(self.facts.ip)]);
        }
        if !self.count_term() {
            return self.end_at(Found::PermError, "more terms ask the DNS than are allowed");
        }
        match self.target(&redirect) {
            Some(target) => {
                let question = Question::Txt(target.clone());
                self.ask(Wait::Policy(Source::Redirect, target), vec![question])
            }
            None => self.end_at(Found::PermError, "the domain cannot be asked for"),
        }
    }

    /// The directive of the frame on top matches or does not.
    fn decide(&mut self, matches: bool) -> Move {
        let ip = self.facts.ip;
        let Some(frame) = self.frames.last_mut() else { return Move::On };
        let directive = &frame.record.directives[frame.at];
        if !matches {
            frame.at += 1;
            return Move::On;
        }
        let (result, text) = (directive.qualifier, directive.text.clone());
        let why = format!("{ip} matches {text} of {}", frame.domain);
        self.end_of_frame(result, Some(text), why)
    }

    /// The record on top has its result: that of the check, or what an `include` wanted to know.
    fn end_of_frame(&mut self, result: Found, mechanism: Option<String>, why: String) -> Move {
        if self.frames.len() > 1 {
            self.frames.pop();
            // RFC 7208 §5.2.
            return match result {
                Found::Pass => self.decide_include(why),
                Found::Fail | Found::SoftFail | Found::Neutral => self.decide(false),
                Found::None | Found::TempError | Found::PermError => self.end(result, why),
            };
        }
        let conclusion = Conclusion { result, mechanism, explanation: None, why };
        // RFC 7208 §6.2: looked up after the result is known, and not counted.
        match self.frames.last().and_then(|frame| frame.record.explanation.clone()) {
            Some(spec) if result == Found::Fail => {
                self.stage = Stage::Explains(conclusion, spec);
                Move::On
            }
            Some(_) | None => Move::Next(Next::Done(conclusion)),
        }
    }

    /// As [`Evaluation::decide`], with the reason of what was included.
    fn decide_include(&mut self, inner: String) -> Move {
        let Some(frame) = self.frames.last() else { return Move::On };
        let directive = &frame.record.directives[frame.at];
        let (result, text) = (directive.qualifier, directive.text.clone());
        let why = format!("{inner}, by {text} of {}", frame.domain);
        self.end_of_frame(result, Some(text), why)
    }

    /// There are no records for a term. RFC 7208 §5, §4.6.4.
    fn without_answer(&mut self, failure: Failure) -> Move {
        match failure {
            Failure::Temporary(why) => self.end_at(Found::TempError, &why),
            Failure::BadName => self.decide(false),
            Failure::NoSuchName | Failure::NoData => {
                self.voids += 1;
                if self.voids > self.facts.limits.void_lookups {
                    return self.end_at(Found::PermError, "more terms lead to nothing than are allowed");
                }
                self.decide(false)
            }
        }
    }

    /// Another term asks the DNS; `false` if it may not. RFC 7208 §4.6.4.
    fn count_term(&mut self) -> bool {
        self.terms += 1;
        self.terms <= self.facts.limits.terms
    }

    fn must_ask_names(&self, text: &MacroString) -> bool {
        self.validated.is_none() && text.needs_validated_name()
    }

    /// The name that a `domain-spec` stands for, if it can be asked for.
    fn target(&self, spec: &MacroString) -> Option<String> {
        let values = self.values();
        if spec.is_unusable(&values) {
            return None;
        }
        let name = spec.expand_domain(&values).to_ascii_lowercase();
        is_askable(&name).then_some(name)
    }

    fn values(&self) -> Values<'_> {
        let facts = &self.facts;
        Values {
            ip: facts.ip,
            local: &facts.local,
            sender_domain: &facts.sender_domain,
            helo: &facts.helo,
            receiver: &facts.receiver,
            now: facts.now,
            domain: self.frames.last().map_or("", |frame| &frame.domain),
            validated: self.validated.as_deref().unwrap_or_default(),
        }
    }

    /// Addresses of the client's family. RFC 7208 §5.
    fn address_question(&self, name: String) -> Question {
        match self.facts.ip {
            IpAddr::V4(_) => Question::Ipv4(name),
            IpAddr::V6(_) => Question::Ipv6(name),
        }
    }

    fn ask(&mut self, waits: Wait, questions: Vec<Question>) -> Move {
        self.waits = waits;
        Move::Next(Next::Ask(questions))
    }

    /// The check ends, whatever frames there are.
    fn end(&self, result: Found, why: String) -> Move {
        Move::Next(Next::Done(Conclusion { result, mechanism: None, explanation: None, why }))
    }

    /// The check ends at the term that is looked at.
    fn end_at(&self, result: Found, why: &str) -> Move {
        let (term, domain) = match self.frames.last() {
            Some(frame) => {
                (frame.record.directives.get(frame.at).map_or("redirect", |d| d.text.as_str()), &*frame.domain)
            }
            None => ("", ""),
        };
        self.end(result, format!("{term} of {domain}: {why}"))
    }
}

fn first(answers: Vec<Answer>) -> Answer {
    answers.into_iter().next().unwrap_or_else(|| Err(Failure::Temporary("no answer".to_owned())))
}

fn addresses(answer: Answer) -> Result<Vec<IpAddr>, Failure> {
    match answer? {
        Records::Ipv4(found) => Ok(found.into_iter().map(IpAddr::V4).collect()),
        Records::Ipv6(found) => Ok(found.into_iter().map(IpAddr::V6).collect()),
        other @ (Records::Txt(_) | Records::Mx(_) | Records::Ptr(_)) => Err(Failure::Temporary(mismatch(&other))),
    }
}

/// An answer of another kind than the question: whoever drives the check is wrong, not the sender.
fn mismatch(records: &Records) -> String {
    let kind = match records {
        Records::Txt(_) => "texts",
        Records::Mx(_) => "exchanges",
        Records::Ipv4(_) => "IPv4 addresses",
        Records::Ipv6(_) => "IPv6 addresses",
        Records::Ptr(_) => "names",
    };
    format!("the answer holds {kind}, which were not asked for")
}
