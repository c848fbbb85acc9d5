//! The DNS tree walk: from a name up to the top, to where policies stand. RFC 9989 §4.10.

use std::collections::HashMap;

use super::record::{Psd, Published};
use crate::{Failure, Records};

/// Names that one walk looks at. RFC 9989 §4.10: eight, however many labels somebody invents.
pub(super) const MAX_STEPS: usize = 8;

/// What is known of the policies at names.
pub(super) type Known = HashMap<String, Entry>;

/// What stands at `_dmarc` of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// One record.
    Record(Box<Published>),
    /// Nothing, or several records, which count as nothing.
    Nothing,
    /// It is not known now.
    Unknown(String),
}

impl Entry {
    /// From the answer to [`question_name`].
    pub(super) fn of(answer: Result<Records, Failure>) -> Entry {
        let texts = match answer {
            Ok(Records::Txt(texts)) => texts,
            Ok(Records::Mx(_) | Records::Ipv4(_) | Records::Ipv6(_) | Records::Ptr(_)) => {
                return Entry::Unknown("the answer holds no texts".to_owned());
            }
            Err(Failure::Temporary(why)) => return Entry::Unknown(why),
            Err(Failure::NoSuchName | Failure::NoData | Failure::BadName) => return Entry::Nothing,
        };
        let mut records = texts.iter().filter_map(|text| Published::parse(text));
        match (records.next(), records.next()) {
            (Some(record), None) => Entry::Record(Box::new(record)),
            // RFC 9989 §4.10: of several, all are discarded.
            (Some(_), Some(_)) | (None, _) => Entry::Nothing,
        }
    }
}

/// Where the policy of a name is asked for.
pub(super) fn question_name(name: &str) -> String {
    format!("_dmarc.{name}")
}

/// The names of a walk, the longest first. RFC 9989 §4.10, steps 1, 3, 4 and 7.
pub(super) fn names(start: &str) -> Vec<&str> {
    let mut names = vec![start];
    let labels = start.split('.').count();
    let parents = start.match_indices('.').map(|(dot, _)| &start[dot + 1..]);
    names.extend(parents.skip(labels.saturating_sub(MAX_STEPS)));
    names
}

/// What a walk found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Walk {
    /// The organisational domain, or why it is not known.
    pub(super) organization: Result<String, String>,
    /// Where the policy stands and what it is, if there is any; or why that is not known.
    pub(super) policy: Result<Option<(String, Published)>, String>,
}

/// Walks from `start`. All of [`names`] must be in `known`; what is not, is not known.
pub(super) fn walk(start: &str, known: &Known) -> Walk {
    let mut records: Vec<(&str, &Published)> = Vec::new();
    let mut unknown: Vec<(&str, &str)> = Vec::new();
    for name in names(start) {
        match known.get(name) {
            Some(Entry::Record(record)) => {
                records.push((name, record));
                // Steps 2 and 6: here ends what a walk looks at.
                if record.record.psd != Psd::Unsaid {
                    break;
                }
            }
            Some(Entry::Nothing) => {}
            Some(Entry::Unknown(why)) => unknown.push((name, why)),
            None => unknown.push((name, "nobody asked")),
        }
    }
    let organization = organization(start, &records);
    if let Some((name, why)) = unknown.iter().find(|(name, _)| matters(name, start, &records)) {
        let why = format!("the policy of {name} is not known: {why}");
        // The author's own record is the policy, whatever stands above.
        let own = records.first().filter(|(name, _)| *name == start).map(|(name, record)| found(name, record));
        return Walk { organization: Err(why.clone()), policy: own.map_or(Err(why), |own| Ok(Some(own))) };
    }
    // RFC 9989 §4.10.1: the author's domain, else the organisation, else the public suffix above it.
    let at = |wanted: &str| records.iter().find(|(name, _)| *name == wanted);
    let suffix = || records.last().filter(|(_, record)| record.record.psd == Psd::Yes);
    let policy = at(start).or_else(|| at(&organization)).or_else(suffix).map(|(name, record)| found(name, record));
    Walk { organization: Ok(organization), policy: Ok(policy) }
}

fn found(name: &str, record: &Published) -> (String, Published) {
    (name.to_owned(), record.clone())
}

/// RFC 9989 §4.10.2.
fn organization(start: &str, records: &[(&str, &Published)]) -> String {
    let Some((name, record)) = records.last() else { return start.to_owned() };
    match record.record.psd {
        Psd::Yes if *name != start => {
            let below = start.len() - name.len() - 1;
            start[..below].rfind('.').map_or(start, |dot| &start[dot + 1..]).to_owned()
        }
        Psd::Yes | Psd::No | Psd::Unsaid => (*name).to_owned(),
    }
}

/// Whether a name that did not answer could change anything.
///
/// Top-level domains that do not answer are common in closed networks. What they say cannot change the organisation when it is
/// right below: RFC 9989 §5.2 wants `psd=y` of whoever publishes there.
fn matters(unknown: &str, start: &str, records: &[(&str, &Published)]) -> bool {
    let right_above = |name: &str| name.split_once('.').is_some_and(|(_, above)| above == unknown);
    let is_top = !unknown.contains('.') && unknown != start;
    !(is_top && records.last().is_some_and(|(name, _)| right_above(name)))
}
