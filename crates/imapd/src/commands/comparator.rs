//! COMPARATOR (RFC 5255 §4.7): how SEARCH, SORT and THREAD compare texts.

use postroad_imap::ResponseCode;

use crate::collation::Collation;
use crate::error::Reply;
use crate::session::Session;

/// Tells the active comparator; with arguments, makes the first that matches the active one.
pub(crate) fn run(session: &mut Session, wanted: &[String]) -> Option<Reply> {
    let matched: Vec<Collation> = matched(wanted);
    match matched.first() {
        Some(first) => session.collation = *first,
        None if wanted.is_empty() => {}
        None => return Some(Reply::no(ResponseCode::BadComparator, "there is no such comparator")),
    }
    let names: Vec<&str> = matched.iter().map(|collation| collation.name()).collect();
    let active = session.collation.name();
    session.now_writer().comparator(active, &names);
    Some(Reply::ok("COMPARATOR done"))
}

/// What the arguments name, the first argument's first.
fn matched(wanted: &[String]) -> Vec<Collation> {
    let mut matched = Vec::new();
    for wanted in wanted {
        let of_this = Collation::ALL.into_iter().filter(|collation| match wanted.eq_ignore_ascii_case("default") {
            true => *collation == Collation::default(),
            false => matches(wanted.as_bytes(), collation.name().as_bytes()),
        });
        for collation in of_this {
            if !matched.contains(&collation) {
                matched.push(collation);
            }
        }
    }
    matched
}

/// RFC 4790 §3.2: `*` is any text. Costs the product of the lengths, of which one is that of a name.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Which beginnings of the name the pattern so far matches.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for &byte in pattern {
        let mut next = vec![false; name.len() + 1];
        match byte {
            b'*' => {
                let mut any = false;
                for (at, before) in reached.iter().enumerate() {
                    any |= before;
                    next[at] = any;
                }
            }
            _ => {
                for (at, other) in name.iter().enumerate() {
                    next[at + 1] = reached[at] && other.eq_ignore_ascii_case(&byte);
                }
            }
        }
        reached = next;
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_comparators() {
        for (wanted, names) in [
            (&["i;octet"][..], &["i;octet"][..]),
            (&["I;OCTET"], &["i;octet"]),
            (&["i;*casemap"], &["i;unicode-casemap", "i;ascii-casemap"]),
            (&["*"], &["i;unicode-casemap", "i;ascii-casemap", "i;octet"]),
            (&["cz;*", "default"], &["i;unicode-casemap"]),
            (&["i;octet", "*ascii*"], &["i;octet", "i;ascii-casemap"]),
            (&["i;ascii-numeric"], &[]),
            (&["octet"], &[]),
            (&[""], &[]),
        ] {
            let wanted: Vec<String> = wanted.iter().map(|text| (*text).to_owned()).collect();
            let found: Vec<&str> = matched(&wanted).into_iter().map(Collation::name).collect();
            assert_eq!(found, names, "{wanted:?}");
        }
    }
}
