//! SELECT, EXAMINE (RFC 9051 §6.3.2-6.3.3; RFC 7162 §3.1.8 and §3.2.5), CREATE, DELETE, RENAME, SUBSCRIBE.

use crate::command::Body;
use crate::cursor::{Cursor, Rule};
use crate::error::Problem;
use crate::mailbox::{MailboxName, SpecialUse};
use crate::set::NumberSet;

/// SELECT or EXAMINE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// Which mailbox.
    pub mailbox: MailboxName,
    /// `(CONDSTORE)`.
    pub condstore: bool,
    /// `(QRESYNC (..))`.
    pub qresync: Option<QresyncParameters>,
}

/// What a client knows of the mailbox it opens again (RFC 7162 §3.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QresyncParameters {
    /// The UIDVALIDITY it knows.
    pub uid_validity: u32,
    /// The highest modification sequence it knows.
    pub mod_seq: u64,
    /// The UIDs it knows; `None` is all up to now.
    pub known_uids: Option<NumberSet>,
    /// Sequence numbers and the UIDs they had, pairwise.
    pub sequence_match: Option<(NumberSet, NumberSet)>,
}

/// `select = "SELECT" SP mailbox [select-params]`.
pub(super) fn select(cursor: &mut Cursor<'_>) -> Rule<Select> {
    cursor.space()?;
    let mut select = Select { mailbox: cursor.mailbox()?, condstore: false, qresync: None };
    if !cursor.more() {
        return Ok(select);
    }
    cursor.list("parameters of SELECT or the end of the line", |cursor| {
        let start = cursor.position();
        match cursor.word("a parameter of SELECT")?.as_str() {
            "CONDSTORE" => select.condstore = true,
            "QRESYNC" => {
                cursor.space()?;
                select.qresync = Some(qresync(cursor)?);
            }
            _ => return cursor.fault_at(start, Problem::Expected("CONDSTORE or QRESYNC")),
        }
        Ok(())
    })?;
    Ok(select)
}

/// `"(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"` (RFC 7162 §7).
fn qresync(cursor: &mut Cursor<'_>) -> Rule<QresyncParameters> {
    if !cursor.open() {
        return cursor.expected("( and UIDVALIDITY");
    }
    let uid_validity = cursor.nz_number("UIDVALIDITY")?;
    cursor.space()?;
    let mod_seq = cursor.mod_sequence()?;
    let mut parameters = QresyncParameters { uid_validity, mod_seq, known_uids: None, sequence_match: None };
    if cursor.close() {
        return Ok(parameters);
    }
    cursor.space()?;
    if cursor.peek() != Some(b'(') {
        parameters.known_uids = Some(cursor.number_set()?);
        if cursor.close() {
            return Ok(parameters);
        }
        cursor.space()?;
    }
    parameters.sequence_match = Some(sequence_match(cursor)?);
    if cursor.close() { Ok(parameters) } else { cursor.expected(") after the parameters of QRESYNC") }
}

/// `seq-match-data = "(" known-sequence-set SP known-uid-set ")"`.
fn sequence_match(cursor: &mut Cursor<'_>) -> Rule<(NumberSet, NumberSet)> {
    let start = cursor.position();
    if !cursor.open() {
        return cursor.expected("( and known sequence numbers");
    }
    let numbers = cursor.number_set()?;
    cursor.space()?;
    let uids = cursor.number_set()?;
    if !cursor.close() {
        return cursor.expected(") after the known UIDs");
    }
    // RFC 7162 §3.2.5.2: both MUST have the same number of entries.
    if numbers.count() != uids.count() {
        return cursor.fault_at(start, Problem::Expected("as many sequence numbers as UIDs"));
    }
    Ok((numbers, uids))
}

/// `create = "CREATE" SP mailbox [create-params]` (RFC 6154 §6).
pub(super) fn create(cursor: &mut Cursor<'_>) -> Rule<Body> {
    let mailbox = one_name(cursor)?;
    let mut special_use = Vec::new();
    if cursor.more() {
        cursor.list("parameters of CREATE or the end of the line", |cursor| {
            if !cursor.eat_word("USE") {
                return cursor.expected("USE");
            }
            cursor.space()?;
            cursor.list("special uses", |cursor| {
                let found = use_attribute(cursor)?;
                if !special_use.contains(&found) {
                    special_use.push(found);
                }
                Ok(())
            })
        })?;
    }
    Ok(Body::Create { mailbox, special_use })
}

/// `use-attr`. RFC 6154 §3: one that is not supported is answered with `NO [USEATTR]`.
fn use_attribute(cursor: &mut Cursor<'_>) -> Rule<SpecialUse> {
    let start = cursor.position();
    let attribute = cursor.flag()?;
    match SpecialUse::parse(attribute.as_str()) {
        Some(found) => Ok(found),
        None => cursor.fault_at(start, Problem::UnknownUse(attribute.as_str().to_owned())),
    }
}

/// `rename = "RENAME" SP mailbox SP mailbox`.
pub(super) fn rename(cursor: &mut Cursor<'_>) -> Rule<Body> {
    Ok(Body::Rename { from: one_name(cursor)?, to: one_name(cursor)? })
}

/// `SP mailbox`.
pub(super) fn one_name(cursor: &mut Cursor<'_>) -> Rule<MailboxName> {
    cursor.space()?;
    cursor.mailbox()
}
