//! Whether an address has a name that leads back to it: forward-confirmed reverse DNS.
//!
//! Standards: RFC 8601 §2.7.3 and §3.

use std::fmt;
use std::net::IpAddr;

use crate::domain::to_ascii;
use crate::{Failure, Machine, Question, Records, Step};

/// RFC 8601 §2.7.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Result {
    /// A name of the address leads back to it.
    Pass,
    /// There are names, and none leads back.
    Fail,
    /// The DNS did not answer: ask again later.
    TempError,
    /// The address has no name.
    PermError,
}

impl Result {
    /// The word of RFC 8601 §2.7.3.
    pub fn as_str(self) -> &'static str {
        match self {
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

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The result.
    pub result: Result,
    /// The address that was asked about.
    pub ip: IpAddr,
    /// The name that leads back, if one does; else the first that the address claims.
    pub name: Option<String>,
    /// Why, one line.
    pub why: String,
}

/// A check under way: one question for the names, then one for each of them.
#[derive(Debug)]
pub struct Check {
    ip: IpAddr,
    stage: Stage,
    heard: Vec<Answer>,
}

type Answer = std::result::Result<Records, Failure>;

#[derive(Debug)]
enum Stage {
    New,
    Names,
    Addresses(Vec<String>),
    Done(Verdict),
}

impl Check {
    /// Begins a check of an address. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn new(ip: IpAddr) -> Check {
        Check { ip: ip.to_canonical(), stage: Stage::New, heard: Vec::new() }
    }

    fn verdict(&self, result: Result, name: Option<String>, why: String) -> Stage {
        Stage::Done(Verdict { result, ip: self.ip, name, why })
    }

    fn hear_names(&self, answer: Answer) -> Stage {
        let mut names = match answer {
            Ok(Records::Ptr(names)) => names,
            Ok(Records::Txt(_) | Records::Mx(_) | Records::Ipv4(_) | Records::Ipv6(_)) => {
                return self.verdict(Result::TempError, None, "the answer holds no names".to_owned());
            }
            Err(Failure::Temporary(why)) => return self.verdict(Result::TempError, None, why),
            Err(Failure::NoSuchName | Failure::NoData | Failure::BadName) => Vec::new(),
        };
        // Whoever owns the address may publish thousands.
        names.truncate(MAX_NAMES);
        let names: Vec<String> = names.iter().filter_map(|name| to_ascii(name)).collect();
        if names.is_empty() {
            return self.verdict(Result::PermError, None, "the address has no name".to_owned());
        }
        Stage::Addresses(names)
    }

    fn hear_addresses(&self, names: Vec<String>, answers: Vec<Answer>) -> Stage {
        let mut temporary = None;
        for (name, answer) in names.iter().zip(answers) {
            let leads_back = match answer {
                Ok(Records::Ipv4(found)) => found.into_iter().any(|address| IpAddr::V4(address) == self.ip),
                Ok(Records::Ipv6(found)) => found.into_iter().any(|address| IpAddr::V6(address) == self.ip),
                Ok(Records::Txt(_) | Records::Mx(_) | Records::Ptr(_)) => false,
                Err(Failure::Temporary(why)) => {
                    temporary = Some(why);
                    false
                }
                Err(Failure::NoSuchName | Failure::NoData | Failure::BadName) => false,
            };
            if leads_back {
                let why = format!("{name} leads back");
                return self.verdict(Result::Pass, Some(name.clone()), why);
            }
        }
        let name = names.into_iter().next();
        match temporary {
            Some(why) => self.verdict(Result::TempError, name, why),
            None => self.verdict(Result::Fail, name, "no name of the address leads back to it".to_owned()),
        }
    }
}

impl Machine for Check {
    type Verdict = Verdict;

    fn step(&mut self) -> Step<Verdict> {
        let heard = std::mem::take(&mut self.heard);
        self.stage = match std::mem::replace(&mut self.stage, Stage::New) {
            Stage::New => Stage::Names,
            Stage::Names => {
                let answer =
                    heard.into_iter().next().unwrap_or_else(|| Err(Failure::Temporary("no answer".to_owned())));
                self.hear_names(answer)
            }
            Stage::Addresses(names) => self.hear_addresses(names, heard),
            done @ Stage::Done(_) => done,
        };
        match &self.stage {
            Stage::New | Stage::Names => Step::Ask(vec![Question::Ptr(self.ip)]),
            Stage::Addresses(names) => Step::Ask(names.iter().map(|name| self.question(name)).collect()),
            Stage::Done(verdict) => Step::Done(verdict.clone()),
        }
    }

    fn answer(&mut self, answer: std::result::Result<Records, Failure>) {
        if self.heard.len() < MAX_NAMES {
            self.heard.push(answer);
        }
    }
}

impl Check {
    fn question(&self, name: &str) -> Question {
        match self.ip {
            IpAddr::V4(_) => Question::Ipv4(name.to_owned()),
            IpAddr::V6(_) => Question::Ipv6(name.to_owned()),
        }
    }
}

/// Names of an address that are looked at; as many as SPF looks at (RFC 7208 §4.6.4).
const MAX_NAMES: usize = 10;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn run(ip: &str, names: Answer, address: impl Fn(&str) -> Answer) -> (Verdict, usize) {
        let mut check = Check::new(ip.parse().expect("an address"));
        let mut asked = 0;
        loop {
            match check.step() {
                Step::Done(verdict) => return (verdict, asked),
                Step::Ask(questions) => {
                    for question in questions {
                        asked += 1;
                        check.answer(match question {
                            Question::Ptr(_) => names.clone(),
                            Question::Ipv4(name) | Question::Ipv6(name) => address(&name),
                            Question::Txt(_) | Question::Mx(_) => panic!("nobody wants {question:?}"),
                        });
                    }
                }
            }
        }
    }

    #[test]
    fn the_results_of_the_rfc() {
        let names = |names: &[&str]| Ok(Records::Ptr(names.iter().map(|name| (*name).to_owned()).collect()));
        let four = |a: u8| Ok(Records::Ipv4(vec![Ipv4Addr::new(192, 0, 2, a)]));
        let down = || Err(Failure::Temporary("down".to_owned()));
        let both = names(&["a.test.", "B.test"]);
        type Case<'a> = (&'a str, Answer, &'a dyn Fn(&str) -> Answer, Result, Option<&'a str>);
        let cases: [Case<'_>; 9] = [
            ("192.0.2.1", both.clone(), &|_| four(1), Result::Pass, Some("a.test")),
            (
                "192.0.2.1",
                both.clone(),
                &|name| if name == "b.test" { four(1) } else { four(9) },
                Result::Pass,
                Some("b.test"),
            ),
            (
                "::ffff:192.0.2.1",
                both.clone(),
                &|name| if name == "b.test" { four(1) } else { down() },
                Result::Pass,
                Some("b.test"),
            ),
            ("192.0.2.1", both.clone(), &|_| four(9), Result::Fail, Some("a.test")),
            ("192.0.2.1", both.clone(), &|_| Err(Failure::NoSuchName), Result::Fail, Some("a.test")),
            (
                "192.0.2.1",
                both.clone(),
                &|name| if name == "b.test" { four(9) } else { down() },
                Result::TempError,
                Some("a.test"),
            ),
            ("192.0.2.1", Err(Failure::NoSuchName), &|_| four(1), Result::PermError, None),
            ("192.0.2.1", down(), &|_| four(1), Result::TempError, None),
            (
                "2001:db8::1",
                both.clone(),
                &|_| Ok(Records::Ipv6(vec!["2001:db8::1".parse().expect("one")])),
                Result::Pass,
                Some("a.test"),
            ),
        ];
        for (ip, names, address, result, name) in cases {
            let (verdict, _) = run(ip, names.clone(), address);
            assert_eq!((verdict.result, verdict.name.as_deref()), (result, name), "{ip} {names:?}: {}", verdict.why);
        }
    }

    #[test]
    fn an_address_with_thousands_of_names_costs_ten_questions() {
        let names = (0..5000).map(|n| format!("n{n}.test")).collect();
        let (verdict, asked) = run("192.0.2.1", Ok(Records::Ptr(names)), |_| Err(Failure::NoData));
        assert_eq!((verdict.result, asked), (Result::Fail, 1 + MAX_NAMES));
    }
}
