//! What a server said, response by response.

use std::collections::BTreeSet;

/// A response that means something to the model of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Exists(usize),
    Recent(u32),
    Expunge(usize),
    Vanished {
        earlier: bool,
        uids: Vec<u32>,
    },
    Fetch(Fetched),
    /// `* uid UIDFETCH (..)`.
    UidFetch(Fetched),
    Flags(BTreeSet<String>),
    HighestModSeq(u64),
    UidNext(u32),
    UidValidity(u32),
    /// `* ESEARCH` with a tag: whether in UIDs, and what of it.
    Esearch {
        tag: String,
        by_uid: bool,
        parts: Vec<(String, String)>,
    },
    Search(Vec<u32>),
    /// `* ESEARCH` of a mailbox: its UIDVALIDITY, and UIDs (RFC 7377).
    InMailbox {
        tag: String,
        validity: u32,
        uids: Vec<u32>,
    },
    /// `* THREAD`: all numbers in it.
    Thread(Vec<u32>),
    /// `* STATUS name (..)`: the name as it stands, the pairs.
    Status(String, Vec<(String, u64)>),
    Bye,
    Other,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) place: usize,
    pub(crate) uid: Option<u32>,
    pub(crate) flags: Option<BTreeSet<String>>,
    pub(crate) modseq: Option<u64>,
}

impl Heard {
    /// What STATUS told of a mailbox.
    pub(crate) fn status_of<'a>(&self, name: &'a str) -> Option<(&'a str, &[(String, u64)])> {
        match self {
            Heard::Status(told, pairs) if told == name => Some((name, pairs)),
            _ => None,
        }
    }
}

/// All untagged responses, in their order.
pub(crate) fn all(said: &str) -> Result<Vec<Heard>, String> {
    let text = without_literals(said);
    text.split("\r\n").filter(|line| line.starts_with("* ")).map(|line| one(line).ok_or(line)).map(wrong).collect()
}

fn wrong(heard: Result<Heard, &str>) -> Result<Heard, String> {
    heard.map_err(|line| format!("not understood: {line}"))
}

/// Literals hold what is not a response.
pub(crate) fn without_literals(said: &str) -> String {
    let (mut text, mut rest) = (String::new(), said);
    while let Some(end) = rest.find("}\r\n") {
        let (before, behind) = (&rest[..end], &rest[end + 3..]);
        let octets = before.rfind('{').and_then(|at| before[at + 1..].parse::<usize>().ok());
        text.push_str(before);
        text.push('}');
        rest = match octets.and_then(|octets| behind.get(octets..)) {
            Some(behind) => behind,
            None => {
                text.push_str("\r\n");
                behind
            }
        };
    }
    text + rest
}

fn one(line: &str) -> Option<Heard> {
    let rest = line.strip_prefix("* ")?;
    let words: Vec<&str> = rest.split(' ').collect();
    let heard = match words.as_slice() {
        [number, "EXISTS"] => Heard::Exists(number.parse().ok()?),
        [number, "RECENT"] => Heard::Recent(number.parse().ok()?),
        [number, "EXPUNGE"] => Heard::Expunge(number.parse().ok()?),
        ["VANISHED", "(EARLIER)", set] => Heard::Vanished { earlier: true, uids: set_of(set)? },
        ["VANISHED", set] => Heard::Vanished { earlier: false, uids: set_of(set)? },
        [number, "FETCH", ..] => Heard::Fetch(fetched(number.parse().ok()?, line)?),
        [uid, "UIDFETCH", ..] => {
            let uid = uid.parse().ok()?;
            Heard::UidFetch(Fetched { uid: Some(uid), ..fetched(0, line)? })
        }
        ["THREAD", ..] => {
            let numbers = line.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
            Heard::Thread(numbers.map(|word| word.parse().ok()).collect::<Option<_>>()?)
        }
        ["FLAGS", ..] => Heard::Flags(in_parentheses(line, "FLAGS (")?.split(' ').map(str::to_owned).collect()),
        ["OK", "[HIGHESTMODSEQ", number, ..] => Heard::HighestModSeq(number.trim_end_matches(']').parse().ok()?),
        ["OK", "[UIDNEXT", number, ..] => Heard::UidNext(number.trim_end_matches(']').parse().ok()?),
        ["OK", "[UIDVALIDITY", number, ..] => Heard::UidValidity(number.trim_end_matches(']').parse().ok()?),
        ["ESEARCH", "(TAG", tag, "MAILBOX", ..] => {
            let validity = line.split_once("UIDVALIDITY ")?.1.split(')').next()?.parse().ok()?;
            let uids = line.split_once(" ALL ").map_or(Some(Vec::new()), |(_, set)| set_of(set))?;
            Heard::InMailbox { tag: tag.trim_matches('"').to_owned(), validity, uids }
        }
        ["ESEARCH", "(TAG", tag, rest @ ..] => esearch(tag, rest)?,
        ["ESEARCH", ..] => Heard::Other,
        ["SEARCH", numbers @ ..] => {
            let numbers = numbers.iter().take_while(|word| !word.starts_with('(') && !word.is_empty());
            Heard::Search(numbers.map(|word| word.parse().ok()).collect::<Option<_>>()?)
        }
        ["STATUS", ..] => {
            let inner = line.rsplit_once('(')?.1.trim_end_matches(')');
            let words: Vec<&str> = inner.split(' ').filter(|word| !word.is_empty()).collect();
            let pairs = words.chunks(2).map(|pair| Some((pair[0].to_owned(), pair.get(1)?.parse().ok()?)));
            let name = line.strip_prefix("* STATUS ")?.rsplit_once(" (")?.0.trim_matches('"');
            Heard::Status(name.to_owned(), pairs.collect::<Option<_>>()?)
        }
        ["BYE", ..] => Heard::Bye,
        _ => Heard::Other,
    };
    Some(heard)
}

fn in_parentheses<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.split_once(start)?.1.split_once(')').map(|(inner, _)| inner)
}

fn fetched(place: usize, line: &str) -> Option<Fetched> {
    let number = |name: &str| -> Option<u64> {
        let at = line.find(&format!("({name}")).or_else(|| line.find(&format!(" {name}")))? + 1 + name.len();
        line[at..].split([' ', ')']).next()?.parse().ok()
    };
    let flags = in_parentheses(line, "FLAGS (");
    Some(Fetched {
        place,
        uid: number("UID ").and_then(|uid| u32::try_from(uid).ok()),
        flags: flags.map(|flags| flags.split_ascii_whitespace().map(str::to_owned).collect()),
        modseq: number("MODSEQ ("),
    })
}

fn esearch(tag: &str, rest: &[&str]) -> Option<Heard> {
    let tag = tag.trim_end_matches(')').trim_matches('"').to_owned();
    let (by_uid, rest) = match rest {
        ["UID", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut parts = Vec::new();
    let mut words = rest.iter();
    while let Some(name) = words.next() {
        match *name {
            "ADDTO" | "REMOVEFROM" => loop {
                let (at, set) = (words.next()?, words.next()?);
                let at = at.trim_start_matches('(');
                parts.push(((*name).to_owned(), format!("{at} {}", set.trim_end_matches(')'))));
                if set.ends_with(')') {
                    break;
                }
            },
            _ => parts.push(((*name).to_owned(), (*words.next()?).to_owned())),
        }
    }
    Some(Heard::Esearch { tag, by_uid, parts })
}

/// A set as it stands, in its order.
pub(crate) fn set_of(set: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for part in set.split(',') {
        match part.split_once(':') {
            Some((low, high)) => {
                let (low, high): (u32, u32) = (low.parse().ok()?, high.parse().ok()?);
                match low <= high {
                    true => all.extend(low..=high),
                    false => all.extend((high..=low).rev()),
                }
            }
            None => all.push(part.parse().ok()?),
        }
    }
    Some(all)
}
