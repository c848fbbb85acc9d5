//! A whole response to its type, leniently: what is not understood is [`Response::Other`], not an error.

use super::response::{Code, Fetched, Listed, Response, Status, Word};
use super::value::{self, Value};
use super::{Error, Limits};
use crate::{DateTime, NumberSet};

/// Reads a response, as [`super::Reader`] gives it. Errors: only limits.
pub fn parse(response: &[u8], limits: &Limits) -> Result<Response, Error> {
    if let Some(rest) = response.strip_prefix(b"+") {
        return Ok(Response::Continue(rest.trim_ascii().to_vec()));
    }
    let (first, rest) = word(response);
    if first != b"*" {
        return Ok(match status(word(rest).0) {
            Some(status @ (Status::Ok | Status::No | Status::Bad)) => {
                Response::Tagged(first.to_vec(), words(status, word(rest).1, limits)?)
            }
            Some(Status::Bye | Status::Preauth) | None => Response::Other,
        });
    }
    let (kind, data) = word(rest);
    if let Some(status) = status(kind) {
        return Ok(Response::Word(words(status, data, limits)?));
    }
    if let Some(number) = value::number(kind).and_then(|number| u32::try_from(number).ok()) {
        return numbered(number, data, limits);
    }
    let values = value::values(data, limits)?;
    Ok(match kind.to_ascii_uppercase().as_slice() {
        b"CAPABILITY" => Response::Capability(texts(&values, limits.capabilities)),
        b"LIST" | b"XLIST" => listed(&values).map_or(Response::Other, Response::List),
        b"LSUB" => listed(&values).map_or(Response::Other, Response::Subscribed),
        b"SEARCH" => Response::Search(numbers(&values)),
        b"ESEARCH" => Response::Search(after(&values, "ALL").and_then(set).unwrap_or_default()),
        b"VANISHED" => {
            let earlier = values.first().and_then(Value::list).is_some();
            Response::Vanished(earlier, values.last().and_then(set).unwrap_or_default())
        }
        b"STATUS" => status_of(&values).unwrap_or(Response::Other),
        b"NAMESPACE" => Response::Namespace(namespace(&values)),
        b"ID" => Response::Id(identification(&values)),
        b"ENABLED" => Response::Enabled(texts(&values, limits.capabilities)),
        _ => Response::Other,
    })
}

/// The first word and what follows its space.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b' ', text).unwrap_or(text.len());
    (&text[..end], text.get(end + 1..).unwrap_or_default())
}

fn status(word: &[u8]) -> Option<Status> {
    let known: [(&[u8], Status); 5] = [
        (b"OK", Status::Ok),
        (b"NO", Status::No),
        (b"BAD", Status::Bad),
        (b"BYE", Status::Bye),
        (b"PREAUTH", Status::Preauth),
    ];
    known.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, status)| status)
}

/// Code and text of a status.
fn words(status: Status, rest: &[u8], limits: &Limits) -> Result<Word, Error> {
    let rest = rest.trim_ascii_start();
    let close = rest.strip_prefix(b"[").and_then(|inner| memchr::memchr(b']', inner));
    let (inner, text) = match close {
        Some(close) => (Some(&rest[1..=close]), &rest[close + 2..]),
        None => (None, rest),
    };
    let code = inner.map(|inner| code(inner, limits)).transpose()?.flatten();
    let text: String = String::from_utf8_lossy(text.trim_ascii())
        .chars()
        .filter(|character| !character.is_control())
        .take(TEXT_MAX)
        .collect();
    Ok(Word { status, code, text })
}

fn code(inner: &[u8], limits: &Limits) -> Result<Option<Code>, Error> {
    let values = value::values(inner, limits)?;
    let Some(name) = values.first().and_then(Value::text) else { return Ok(None) };
    let name = name.to_ascii_uppercase();
    let number = |at: usize| values.get(at).and_then(Value::number);
    let small = |at: usize| number(at).and_then(|number| u32::try_from(number).ok());
    let sets = |at: usize| values.get(at).and_then(set);
    let known = match name.as_str() {
        "UIDVALIDITY" => small(1).map(Code::UidValidity),
        "UIDNEXT" => small(1).map(Code::UidNext),
        "HIGHESTMODSEQ" => number(1).map(Code::HighestModSeq),
        "APPENDUID" => small(1).zip(sets(2)).map(|(validity, uids)| Code::AppendUid(validity, uids)),
        "COPYUID" => match (small(1), sets(2), sets(3)) {
            (Some(validity), Some(from), Some(to)) => Some(Code::CopyUid(validity, from, to)),
            _ => None,
        },
        "PERMANENTFLAGS" => {
            values.get(1).and_then(Value::list).map(|list| Code::PermanentFlags(texts(list, FLAGS_MAX)))
        }
        "CAPABILITY" => Some(Code::Capability(texts(&values[1..], limits.capabilities))),
        _ => None,
    };
    Ok(Some(known.unwrap_or_else(|| Code::Other(name.chars().take(TEXT_MAX).collect()))))
}

/// `* 12 EXISTS`, `* 12 FETCH (...)`.
fn numbered(number: u32, data: &[u8], limits: &Limits) -> Result<Response, Error> {
    let (kind, rest) = word(data);
    Ok(match kind.to_ascii_uppercase().as_slice() {
        b"EXISTS" => Response::Exists(number),
        b"EXPUNGE" => Response::Expunge(number),
        b"FETCH" => {
            let values = value::values(rest, limits)?;
            let items = values.first().and_then(Value::list).unwrap_or(&values);
            Response::Fetch(Box::new(fetched(number, items)))
        }
        _ => Response::Other,
    })
}

fn fetched(number: u32, items: &[Value]) -> Fetched {
    let mut found = Fetched { number, ..Fetched::default() };
    for pair in items.chunks_exact(2) {
        let ([Value::Atom(name), value] | [Value::Text(name), value]) = pair else { continue };
        match name.to_ascii_uppercase().as_slice() {
            b"UID" => found.uid = value.number().and_then(|uid| u32::try_from(uid).ok()).filter(|uid| *uid > 0),
            b"FLAGS" => found.flags = value.list().map(|list| texts(list, FLAGS_MAX)),
            b"INTERNALDATE" => found.date = value.octets().and_then(DateTime::parse),
            b"RFC822.SIZE" => found.size = value.number(),
            b"MODSEQ" => found.modseq = value.list().and_then(|list| list.first()).and_then(Value::number),
            b"X-GM-MSGID" => found.identity = value.text(),
            b"EMAILID" => found.identity = value.list().and_then(|list| list.first()).and_then(Value::text),
            b"X-GM-LABELS" => {
                let octets = |list: &[Value]| {
                    list.iter().filter_map(Value::octets).take(FLAGS_MAX).map(<[u8]>::to_vec).collect()
                };
                found.labels = value.list().map(octets);
            }
            b"BODY[]" | b"BODY[]<0>" | b"RFC822" | b"BINARY[]" => {
                found.body = value.octets().map(<[u8]>::to_vec);
                found.no_body = found.body.is_none();
            }
            _ => {}
        }
    }
    found
}

fn listed(values: &[Value]) -> Option<Listed> {
    let [attributes, separator, name, ..] = values else { return None };
    let separator = separator.text().and_then(|text| text.chars().next());
    Some(Listed { attributes: texts(attributes.list()?, FLAGS_MAX), separator, wire: bare(name)?.to_vec() })
}

/// The octets of a name, which may be called NIL.
fn bare(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Atom(octets) | Value::Text(octets) => Some(octets),
        Value::List(_) => None,
    }
}

fn status_of(values: &[Value]) -> Option<Response> {
    let [name, items, ..] = values else { return None };
    let items = items.list()?.chunks_exact(2).filter_map(|pair| Some((pair[0].text()?, pair[1].number()?)));
    let items = items.map(|(name, number)| (name.to_ascii_uppercase(), number)).collect();
    Some(Response::Status(bare(name)?.to_vec(), items))
}

fn namespace(values: &[Value]) -> Option<(Vec<u8>, Option<char>)> {
    let first = values.first()?.list()?.first()?.list()?;
    let separator = first.get(1).and_then(Value::text).and_then(|text| text.chars().next());
    Some((first.first()?.octets()?.to_vec(), separator))
}

fn identification(values: &[Value]) -> Vec<(String, String)> {
    let list = values.first().and_then(Value::list).unwrap_or_default();
    list.chunks_exact(2).filter_map(|pair| Some((pair[0].text()?, pair[1].text()?))).take(ID_MAX).collect()
}

fn texts(values: &[Value], limit: usize) -> Vec<String> {
    values.iter().filter_map(Value::text).take(limit).collect()
}

fn numbers(values: &[Value]) -> NumberSet {
    let small = |value: &Value| value.number().and_then(|number| u32::try_from(number).ok());
    NumberSet::from_unsorted(values.iter().filter_map(small))
}

fn after<'a>(values: &'a [Value], word: &str) -> Option<&'a Value> {
    values.iter().position(|value| value.is_word(word)).and_then(|at| values.get(at + 1))
}

fn set(value: &Value) -> Option<NumberSet> {
    std::str::from_utf8(value.octets()?).ok()?.parse().ok()
}

/// Letters of a server's words that are kept.
const TEXT_MAX: usize = 400;
/// Flags, labels or attributes of one thing that are kept.
const FLAGS_MAX: usize = 1_000;
/// Fields of ID (RFC 2971 §3.3).
const ID_MAX: usize = 30;
