//! The keys that one message needs: each asked for once, each read once.

use std::collections::HashMap;

use super::{Algorithm, PublicKey, Record};
use crate::ask::{Failure, Question, Records};
use crate::dkim::Status;
use crate::key::public::BadKey;

/// Keys by name.
#[derive(Debug)]
pub(crate) struct Keys {
    names: Vec<(String, Found)>,
    by_name: HashMap<String, KeyAt>,
    /// Names of the last questions that have no answer yet, from the first.
    asked: std::collections::VecDeque<KeyAt>,
    rsa_bits: u32,
}

/// Which of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyAt(usize);

#[derive(Debug)]
enum Found {
    Unasked,
    Asked,
    Keys(Vec<PublicKey>),
    None(Unusable),
}

/// Why nothing can be verified with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) status: Status,
    pub(crate) why: String,
    pub(crate) bits: Option<u32>,
}

/// Records under one name that are read: RFC 6376 §3.6.2.2 allows one, a change of keys done carelessly leaves two.
const RECORDS: usize = 4;

impl Keys {
    pub(crate) fn new(rsa_bits: u32) -> Keys {
        Keys { names: Vec::new(), by_name: HashMap::new(), asked: Default::default(), rsa_bits }
    }

    /// Notes that a key is needed. The name is one of [`Record::name`].
    pub(crate) fn need(&mut self, name: String) -> KeyAt {
        if let Some(&at) = self.by_name.get(&name) {
            return at;
        }
        let at = KeyAt(self.names.len());
        self.names.push((name.clone(), Found::Unasked));
        self.by_name.insert(name, at);
        at
    }

    /// The questions for those of these keys that were not asked for.
    pub(crate) fn ask(&mut self, needed: impl IntoIterator<Item = KeyAt>) -> Vec<Question> {
        let mut questions = Vec::new();
        for at in needed {
            let Some((name, found @ Found::Unasked)) = self.names.get_mut(at.0) else {
                continue;
            };
            *found = Found::Asked;
            questions.push(Question::Txt(name.clone()));
            self.asked.push_back(at);
        }
        questions
    }

    /// Whether [`Keys::get`] will say something about this key.
    pub(crate) fn was_asked(&self, at: KeyAt) -> bool {
        !matches!(self.names.get(at.0), None | Some((_, Found::Unasked)))
    }

    /// The answer to the next question.
    pub(crate) fn answer(&mut self, answer: Result<Records, Failure>) {
        let found = match answer {
            Ok(Records::Txt(records)) => self.read(&records),
            Ok(_) => Found::None(temporary("the answer was to another question")),
            Err(Failure::NoSuchName | Failure::NoData) => Found::None(permanent("no key is published")),
            Err(Failure::BadName) => Found::None(permanent("the key's name is none")),
            Err(Failure::Temporary(why)) => Found::None(temporary(&format!("the key could not be asked for: {why}"))),
        };
        if let Some(entry) = self.asked.pop_front().and_then(|at| self.names.get_mut(at.0)) {
            entry.1 = found;
        }
    }

    fn read(&self, records: &[Vec<u8>]) -> Found {
        let mut keys = Vec::new();
        let mut first_error = None;
        for text in records.iter().take(RECORDS) {
            let read = Record::parse(text).map_err(|why| permanent(&why.to_string()));
            let key = read.and_then(|record| PublicKey::of(&record, self.rsa_bits).map_err(unusable));
            match key {
                Ok(key) => keys.push(key),
                Err(why) => first_error = first_error.or(Some(why)),
            }
        }
        match first_error {
            Some(why) if keys.is_empty() => Found::None(why),
            None if keys.is_empty() => Found::None(permanent("no key is published")),
            Some(_) | None => Found::Keys(keys),
        }
    }

    /// The keys under this name that are of a kind with the algorithm, or why there are none.
    pub(crate) fn get(&self, at: KeyAt, algorithm: Algorithm) -> Result<Vec<&PublicKey>, Unusable> {
        match self.names.get(at.0).map(|(_, found)| found) {
            Some(Found::Keys(keys)) => {
                let fit: Vec<&PublicKey> = keys.iter().filter(|key| key.algorithm == algorithm).collect();
                if fit.is_empty() { Err(permanent("the key is of another kind than the signature")) } else { Ok(fit) }
            }
            Some(Found::None(why)) => Err(why.clone()),
            Some(Found::Unasked | Found::Asked) | None => Err(temporary("the key was not asked for")),
        }
    }
}

fn unusable(bad: BadKey) -> Unusable {
    let policy = |bits, why| Unusable { status: Status::Policy, why, bits: Some(bits) };
    match bad {
        BadKey::Revoked => permanent("the key was revoked"),
        BadKey::Damaged => permanent("the published key is damaged"),
        BadKey::Short(bits) => policy(bits, format!("a key of {bits} bits can be broken")),
        BadKey::Long(bits) => policy(bits, format!("a key of {bits} bits is longer than is looked at")),
    }
}

fn permanent(why: &str) -> Unusable {
    Unusable { status: Status::PermError, why: why.to_owned(), bits: None }
}

fn temporary(why: &str) -> Unusable {
    Unusable { status: Status::TempError, why: why.to_owned(), bits: None }
}
