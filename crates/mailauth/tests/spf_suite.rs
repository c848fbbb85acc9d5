//! The published suite of RFC 7208, answered from memory. Over DNS messages: `crates/mta/tests/spf_suite.rs`.

mod suite;

use std::collections::BTreeMap;

use postroad_mailauth::spf::{Check, Input, Limits, Verdict};
use postroad_mailauth::{Failure, Machine, Question, Records, Step};
use suite::{Data, Node};

/// More questions than any check may ask.
const MAX_QUESTIONS: usize = 150;

fn run(mut check: Check, zone: &BTreeMap<String, Node>) -> Verdict {
    let mut asked = 0;
    loop {
        match check.step() {
            Step::Done(verdict) => return verdict,
            Step::Ask(questions) => {
                assert!(!questions.is_empty());
                asked += questions.len();
                assert!(asked <= MAX_QUESTIONS, "a check is bounded");
                questions.iter().for_each(|question| check.answer(answer(question, zone)));
            }
        }
    }
}

fn answer(question: &Question, zone: &BTreeMap<String, Node>) -> Result<Records, Failure> {
    let mut name = match question {
        Question::Txt(name) | Question::Mx(name) | Question::Ipv4(name) | Question::Ipv6(name) => name.to_lowercase(),
        Question::Ptr(address) => suite::reverse(*address),
    };
    for _ in 0..8 {
        let Some(node) = zone.get(&name) else { return Err(Failure::NoSuchName) };
        let mut found = Vec::new();
        for record in &node.records {
            match (question, record) {
                (Question::Txt(_), Data::Txt(_))
                | (Question::Mx(_), Data::Mx(..))
                | (Question::Ipv4(_), Data::A(_))
                | (Question::Ipv6(_), Data::Aaaa(_))
                | (Question::Ptr(_), Data::Ptr(_)) => found.push(record.clone()),
                _ => {}
            }
        }
        let alias = node.records.iter().find_map(|record| match record {
            Data::Cname(target) => Some(target.trim_end_matches('.').to_lowercase()),
            _ => None,
        });
        return match (found.is_empty(), alias) {
            (false, _) => Ok(records(question, found)),
            (true, Some(alias)) => {
                name = alias;
                continue;
            }
            (true, None) if node.is_silent => Err(Failure::Temporary("no answer".into())),
            (true, None) => Err(Failure::NoData),
        };
    }
    Err(Failure::Temporary("the aliases go in circles".into()))
}

fn records(question: &Question, found: Vec<Data>) -> Records {
    let found = found.into_iter();
    match question {
        Question::Txt(_) => Records::Txt(
            found.filter_map(|data| if let Data::Txt(texts) = data { Some(texts.concat()) } else { None }).collect(),
        ),
        Question::Mx(_) => Records::Mx(
            found.filter_map(|data| if let Data::Mx(n, host) = data { Some((n, host)) } else { None }).collect(),
        ),
        Question::Ipv4(_) => Records::Ipv4(
            found.filter_map(|data| if let Data::A(address) = data { Some(address) } else { None }).collect(),
        ),
        Question::Ipv6(_) => Records::Ipv6(
            found.filter_map(|data| if let Data::Aaaa(address) = data { Some(address) } else { None }).collect(),
        ),
        Question::Ptr(_) => {
            Records::Ptr(found.filter_map(|data| if let Data::Ptr(name) = data { Some(name) } else { None }).collect())
        }
    }
}

#[test]
fn every_case_of_the_published_suite_passes() {
    let scenarios = suite::scenarios(include_str!("data/spf/rfc7208-tests.yml"));
    let (mut cases, mut wrong) = (0, Vec::new());
    for scenario in &scenarios {
        for case in &scenario.cases {
            let check = Check::new(Input {
                ip: case.host,
                helo: &case.helo,
                mail_from: Some(&case.mail_from),
                receiver: "mx.postroad.test",
                now: 0,
                limits: Limits::default(),
            });
            let verdict = run(check, &scenario.zone);
            cases += 1;
            if let Some(what) = case.disagrees(verdict.result.as_str(), verdict.explanation.as_deref()) {
                wrong.push(format!("{}/{}: {what} ({})", scenario.description, case.name, verdict.why));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!((scenarios.len(), cases), (suite::SCENARIOS, suite::CASES), "all of it was run");
}
