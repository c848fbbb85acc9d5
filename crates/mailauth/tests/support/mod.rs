//! A DNS of TXT records for machines, and messages through the checks in one call.

#![allow(dead_code)]

use std::collections::HashMap;

use postroad_mailauth::body::{Canonicalization, Digest, Hashers};
use postroad_mailauth::{Failure, Machine, Question, Records, Step, arc, dkim};

/// A time at which nothing in the tests is from the future or expired, unless it is to be.
pub(crate) const NOW: i64 = 1_790_000_000;

/// TXT records by name; every question is noted.
#[derive(Debug, Default, Clone)]
pub(crate) struct Zone {
    records: HashMap<String, Result<Vec<Vec<u8>>, Failure>>,
    pub(crate) asked: Vec<String>,
    pub(crate) steps: usize,
    now: Option<i64>,
}

impl Zone {
    pub(crate) fn with(mut self, name: &str, text: &str) -> Zone {
        let entry = self.records.entry(name.to_owned()).or_insert_with(|| Ok(Vec::new()));
        if let Ok(records) = entry {
            records.push(text.as_bytes().to_vec());
        }
        self
    }

    /// With the clock of this machine, for signatures of programs that have no other.
    pub(crate) fn today(mut self) -> Zone {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        self.now = Some(since.as_secs() as i64);
        self
    }

    pub(crate) fn failing(mut self, name: &str, failure: Failure) -> Zone {
        self.records.insert(name.to_owned(), Err(failure));
        self
    }

    pub(crate) fn run<M: Machine>(&mut self, mut machine: M) -> M::Verdict {
        loop {
            match machine.step() {
                Step::Done(verdict) => return verdict,
                Step::Ask(questions) => {
                    assert!(!questions.is_empty());
                    self.steps += 1;
                    for question in questions {
                        let Question::Txt(name) = question else { panic!("not a key: {question:?}") };
                        machine.answer(match self.records.get(&name) {
                            Some(Ok(records)) => Ok(Records::Txt(records.clone())),
                            Some(Err(failure)) => Err(failure.clone()),
                            None => Err(Failure::NoSuchName),
                        });
                        self.asked.push(name);
                    }
                }
            }
        }
    }

    pub(crate) fn dkim(&mut self, message: &[u8]) -> Vec<dkim::Outcome> {
        self.dkim_within(message, &dkim::Limits::default())
    }

    pub(crate) fn dkim_within(&mut self, message: &[u8], limits: &dkim::Limits) -> Vec<dkim::Outcome> {
        let (header, body) = split(message);
        let mut hashers = Hashers::new();
        let verifier = dkim::Verifier::new(header, self.now.unwrap_or(NOW), limits, &mut hashers);
        hashers.update(body);
        self.run(verifier.finish(&hashers.finish()))
    }

    pub(crate) fn arc(&mut self, message: &[u8]) -> arc::Verdict {
        let (header, body) = split(message);
        let mut hashers = Hashers::new();
        let verifier = arc::Verifier::new(header, self.now.unwrap_or(NOW), &dkim::Limits::default(), &mut hashers);
        hashers.update(body);
        self.run(verifier.finish(&hashers.finish()))
    }
}

/// Header with its blank line, and body.
pub(crate) fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let mut finder = postroad_message::header::EndFinder::new();
    let at = finder.feed(message).unwrap_or(message.len());
    message.split_at(at)
}

/// The hash that signing needs.
pub(crate) fn relaxed(body: &[u8]) -> Digest {
    let mut hashers = Hashers::new();
    assert!(hashers.want(Canonicalization::Relaxed, None));
    hashers.update(body);
    hashers.finish().get(Canonicalization::Relaxed, None).expect("wanted")
}

/// With the line ends of the wire.
pub(crate) fn crlf(text: &str) -> Vec<u8> {
    text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes()
}
