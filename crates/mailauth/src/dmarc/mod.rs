//! DMARC: whether the author's domain of a message stands behind it, and what it wants done if not.
//!
//! A [`Check`] gets what SPF and DKIM found and asks for policies as a [`Machine`]. It never delivers or refuses anything.
//!
//! Standards: RFC 9989 (which replaces RFC 7489 and 9091): DNS tree walk, `psd`, `np`, `t`; no `pct`.

mod record;
#[cfg(test)]
mod tests;
mod verdict;
mod walk;

use std::collections::HashMap;
use std::fmt;

use crate::domain::{is_at_or_below, to_ascii};
use crate::{Failure, Machine, Question, Records, Step};
use walk::{Entry, Known};

pub use record::{Alignment, Place, Policy, Psd, Record};

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

/// A check under way: the walks of the authors, then those of whom could be aligned, then whether authors exist.
#[derive(Debug)]
pub struct Check {
    authors: Vec<String>,
    /// Author domains that cannot be asked about.
    odd: Option<String>,
    spf: Option<Identifier>,
    dkim: Vec<Identifier>,
    known: Known,
    /// By author: whether the name exists, or why that is not known.
    exists: HashMap<String, std::result::Result<bool, String>>,
    stage: Stage,
    asked: Vec<Asked>,
    heard: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Authors,
    Identifiers,
    Existence,
    Verdict,
}

/// What an answer belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Policy(String),
    Existence(String),
}

impl Check {
    /// Begins a check.
    pub fn new(input: Input) -> Check {
        let (mut authors, mut odd) = (Vec::new(), None);
        for domain in &input.from_domains {
            match to_ascii(domain).filter(|domain| !domain.starts_with('[')) {
                Some(domain) if authors.contains(&domain) => {}
                // RFC 9989 §10.5: whoever asks about all of them can be made to ask without end.
                Some(_) if authors.len() == MAX_AUTHORS => {
                    odd.get_or_insert_with(|| format!("there are more than {MAX_AUTHORS} author domains"));
                }
                Some(domain) => authors.push(domain),
                None => {
                    odd.get_or_insert_with(|| "an author's domain is none that could be asked about".to_owned());
                }
            }
        }
        let ascii = |identifier: Identifier| {
            let domain = to_ascii(&identifier.domain)?;
            (identifier.outcome != Outcome::Other).then_some(Identifier { domain, ..identifier })
        };
        let mut dkim: Vec<Identifier> = Vec::new();
        for identifier in input.dkim.into_iter().filter_map(ascii) {
            if dkim.len() < MAX_IDENTIFIERS && !dkim.contains(&identifier) {
                dkim.push(identifier);
            }
        }
        Check {
            authors,
            odd,
            spf: input.spf.and_then(ascii),
            dkim,
            known: Known::new(),
            exists: HashMap::new(),
            stage: Stage::Authors,
            asked: Vec::new(),
            heard: 0,
        }
    }

    /// What the next stage wants to know; none: it has all it wants.
    fn questions(&mut self) -> Vec<Question> {
        let mut wanted: Vec<Asked> = Vec::new();
        let mut want = |asked: Asked| {
            if !wanted.contains(&asked) {
                wanted.push(asked);
            }
        };
        match self.stage {
            Stage::Authors => {
                for author in &self.authors {
                    walk::names(author).into_iter().for_each(|name| want(Asked::Policy(name.to_owned())));
                }
            }
            Stage::Identifiers => {
                for candidate in self.candidates() {
                    let names = walk::names(&candidate).into_iter().filter(|name| !self.known.contains_key(*name));
                    names.for_each(|name| want(Asked::Policy(name.to_owned())));
                }
            }
            Stage::Existence => {
                for author in self.authors.iter().filter(|author| self.must_exist(author)) {
                    want(Asked::Existence(author.clone()));
                }
            }
            Stage::Verdict => {}
        }
        let questions = wanted.iter().map(|asked| match asked {
            Asked::Policy(name) => Question::Txt(walk::question_name(name)),
            Asked::Existence(name) => Question::Ipv4(name.clone()),
        });
        // A name that only fits without `_dmarc` has no policy: the DNS answers so.
        let questions = questions.collect();
        self.asked = wanted;
        self.heard = 0;
        questions
    }

    /// Domains whose organisation must be known: what vouches, is not the author itself and could be of its organisation.
    fn candidates(&self) -> Vec<String> {
        let mut candidates = Vec::new();
        for author in &self.authors {
            let walk = walk::walk(author, &self.known);
            let (Ok(organization), Ok(Some((_, record)))) = (walk.organization, walk.policy) else { continue };
            let spf = self.spf.iter().filter(|_| record.record.spf_alignment == Alignment::Relaxed);
            let dkim = self.dkim.iter().filter(|_| record.record.dkim_alignment == Alignment::Relaxed);
            for identifier in spf.chain(dkim) {
                // An organisation is never below what belongs to it.
                if identifier.domain != *author && is_at_or_below(&identifier.domain, &organization) {
                    candidates.push(identifier.domain.clone());
                }
            }
        }
        candidates
    }

    /// Whether the policy hangs on whether the author's domain exists.
    fn must_exist(&self, author: &str) -> bool {
        let Ok(Some((name, published))) = walk::walk(author, &self.known).policy else { return false };
        let record = &published.record;
        let below = record.subdomain_policy.unwrap_or(record.policy);
        name != author && record.nonexistent_policy.is_some_and(|policy| policy != below)
    }

    fn verdict(&self) -> Verdict {
        let mut verdicts: Vec<Verdict> = self.authors.iter().map(|author| verdict::of_author(self, author)).collect();
        if let Some(odd) = &self.odd {
            verdicts.push(verdict::without_record(Result::PermError, "", odd.clone()));
        }
        // RFC 9989 §10.5: of several authors the one that fares worst.
        let worst = verdicts.into_iter().reduce(|one, other| if verdict::is_worse(&other, &one) { other } else { one });
        worst.unwrap_or_else(|| verdict::without_record(Result::None, "", "there is no author's domain".to_owned()))
    }
}

impl Machine for Check {
    type Verdict = Verdict;

    fn step(&mut self) -> Step<Verdict> {
        // Whoever does not answer a question leaves it unanswered.
        for asked in self.asked.split_off(self.heard.min(self.asked.len())) {
            self.learn(asked, Err(Failure::Temporary("no answer".to_owned())));
        }
        loop {
            let questions = self.questions();
            self.stage = match self.stage {
                Stage::Authors => Stage::Identifiers,
                Stage::Identifiers => Stage::Existence,
                Stage::Existence => Stage::Verdict,
                Stage::Verdict => return Step::Done(self.verdict()),
            };
            if !questions.is_empty() {
                return Step::Ask(questions);
            }
        }
    }

    fn answer(&mut self, answer: std::result::Result<Records, Failure>) {
        if let Some(asked) = self.asked.get(self.heard).cloned() {
            self.heard += 1;
            self.learn(asked, answer);
        }
    }
}

impl Check {
    fn learn(&mut self, asked: Asked, answer: std::result::Result<Records, Failure>) {
        match asked {
            Asked::Policy(name) => {
                self.known.insert(name, Entry::of(answer));
            }
            Asked::Existence(name) => {
                // RFC 9989 §3.2: as RFC 8020 has it, whatever type was asked for.
                let exists = match answer {
                    Err(Failure::NoSuchName) => Ok(false),
                    Ok(_) | Err(Failure::NoData | Failure::BadName) => Ok(true),
                    Err(Failure::Temporary(why)) => Err(why),
                };
                self.exists.insert(name, exists);
            }
        }
    }
}

/// Author domains that are asked about; RFC 9989 §10.5 leaves the number to us.
const MAX_AUTHORS: usize = 8;

/// Domains of signatures that are looked at.
const MAX_IDENTIFIERS: usize = 32;
