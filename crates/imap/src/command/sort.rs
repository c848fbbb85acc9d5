//! SORT and THREAD (RFC 5256) with ESORT and CONTEXT (RFC 5267), SORT=DISPLAY (RFC 5957), and CANCELUPDATE.

use crate::command::search::{self, Search, SearchKey};
use crate::command::{Body, Tag};
use crate::cursor::{Cursor, Rule};
use crate::error::Problem;
use crate::set::Numbering;

/// SORT or UID SORT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// The first decides; those behind it decide among equals.
    pub criteria: Vec<SortCriterion>,
    /// What to sort, and what to tell of it.
    pub search: Search,
}

/// `sort-criterion = ["REVERSE" SP] sort-key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortCriterion {
    /// The highest first.
    pub reverse: bool,
    /// By what.
    pub key: SortKey,
}

/// `sort-key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// `ARRIVAL`: the internal date.
    Arrival,
    /// `CC`: the local part of the first address.
    Cc,
    /// `DATE`: the Date field.
    Date,
    /// `DISPLAYFROM`: the name of the first address (RFC 5957).
    DisplayFrom,
    /// `DISPLAYTO`.
    DisplayTo,
    /// `FROM`.
    From,
    /// `RELEVANCY`: the best match first (RFC 6203 §5).
    Relevancy,
    /// `SIZE`.
    Size,
    /// `SUBJECT`: the base subject.
    Subject,
    /// `TO`.
    To,
}

/// THREAD or UID THREAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// How.
    pub algorithm: ThreadAlgorithm,
    /// What the answer's numbers are.
    pub numbering: Numbering,
    /// What to thread.
    pub key: SearchKey,
}

/// `thread-alg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadAlgorithm {
    /// `ORDEREDSUBJECT` (RFC 5256 §3).
    OrderedSubject,
    /// `REFERENCES` (RFC 5256 §3).
    References,
    /// `REFS` (draft-ietf-morg-inthread §4).
    Refs,
}

/// `sort = ["UID" SP] "SORT" [search-return-opts] SP sort-criteria SP search-criteria`.
pub(super) fn sort(cursor: &mut Cursor<'_>, numbering: Numbering) -> Rule<Body> {
    cursor.space()?;
    let (mut returns, mut push) = (None, Vec::new());
    if cursor.eat_word("RETURN") {
        cursor.space()?;
        let (options, items) = search::return_options(cursor)?;
        (returns, push) = (Some(options), items);
        cursor.space()?;
    }
    let criteria = criteria(cursor)?;
    cursor.space()?;
    let key = search::criteria(cursor)?;
    Ok(Body::Sort(Sort { criteria, search: Search { numbering, returns, key, push } }))
}

/// `sort-criteria = "(" sort-criterion *(SP sort-criterion) ")"`. A key that comes again decides nothing.
fn criteria(cursor: &mut Cursor<'_>) -> Rule<Vec<SortCriterion>> {
    let start = cursor.position();
    let mut criteria: Vec<SortCriterion> = Vec::new();
    cursor.list("sort criteria in parentheses", |cursor| {
        let reverse = cursor.eat_word("REVERSE");
        if reverse {
            cursor.space()?;
        }
        let start = cursor.position();
        let word = cursor.word("a sort key")?;
        let Some((_, key)) = SORT_KEYS.iter().find(|(name, _)| *name == word) else {
            return cursor.fault_at(start, Problem::Expected("a sort key"));
        };
        if criteria.iter().all(|criterion| criterion.key != *key) {
            criteria.push(SortCriterion { reverse, key: *key });
        }
        Ok(())
    })?;
    match criteria.is_empty() {
        true => cursor.fault_at(start, Problem::Expected("a sort key")),
        false => Ok(criteria),
    }
}

/// `thread = ["UID" SP] "THREAD" SP thread-alg SP search-criteria`.
pub(super) fn thread(cursor: &mut Cursor<'_>, numbering: Numbering) -> Rule<Body> {
    cursor.space()?;
    let start = cursor.position();
    let word = cursor.word("a threading algorithm")?;
    let Some((_, algorithm)) = ALGORITHMS.iter().find(|(name, _)| *name == word) else {
        return cursor.fault_at(start, Problem::Expected("ORDEREDSUBJECT, REFERENCES or REFS"));
    };
    cursor.space()?;
    let key = search::criteria(cursor)?;
    Ok(Body::Thread(Thread { algorithm: *algorithm, numbering, key }))
}

/// `cancel-update = "CANCELUPDATE" 1*(SP quoted)` (RFC 5267 §5).
pub(super) fn cancel_update(cursor: &mut Cursor<'_>) -> Rule<Body> {
    let mut tags = Vec::new();
    cursor.space()?;
    loop {
        cursor.entry()?;
        let start = cursor.position();
        let text = cursor.text("the tag of a search")?;
        match Tag::new(&text) {
            Some(tag) => tags.push(tag),
            None => return cursor.fault_at(start, Problem::Expected("the tag of a search")),
        }
        if !cursor.more() {
            return Ok(Body::CancelUpdate(tags));
        }
    }
}

const SORT_KEYS: &[(&str, SortKey)] = &[
    ("ARRIVAL", SortKey::Arrival),
    ("CC", SortKey::Cc),
    ("DATE", SortKey::Date),
    ("DISPLAYFROM", SortKey::DisplayFrom),
    ("DISPLAYTO", SortKey::DisplayTo),
    ("FROM", SortKey::From),
    ("RELEVANCY", SortKey::Relevancy),
    ("SIZE", SortKey::Size),
    ("SUBJECT", SortKey::Subject),
    ("TO", SortKey::To),
];

const ALGORITHMS: &[(&str, ThreadAlgorithm)] = &[
    ("ORDEREDSUBJECT", ThreadAlgorithm::OrderedSubject),
    ("REFERENCES", ThreadAlgorithm::References),
    ("REFS", ThreadAlgorithm::Refs),
];
