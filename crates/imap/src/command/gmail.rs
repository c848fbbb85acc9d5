//! Gmail's X-GM-EXT-1: labels, and searches as people write them in Gmail (Google, "IMAP Extensions").
//!
//! A label is an `astring`, in modified UTF-7 unless UTF-8 is enabled, as a mailbox's name; Gmail's own begin with a backslash,
//! which clients send in quotes or as a flag.
//!
//! A search in words (`from:bob has:attachment -is:read`) becomes the search keys that it means. As Gmail, it is forgiving:
//! what is no operator is a word, and what is not closed ends with the text.

use crate::command::messages::StoreAction;
use crate::command::search::SearchKey;
use crate::cursor::{Cursor, Rule};
use crate::date::Date;
use crate::error::Problem;
use crate::flags::Keyword;
use crate::mailbox::MailboxName;
use crate::set::{MessageSet, Numbering};

/// STORE of labels, by sequence number or UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLabels {
    /// What the numbers of `set` are.
    pub numbering: Numbering,
    /// To which messages.
    pub set: MessageSet,
    /// `UNCHANGEDSINCE n`.
    pub unchanged_since: Option<u64>,
    /// What to do with the labels.
    pub action: StoreAction,
    /// `.SILENT`: do not tell the labels.
    pub silent: bool,
    /// The labels, without doubles.
    pub labels: Vec<Label>,
}

/// A label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// One of Gmail's own.
    Own(OwnLabel),
    /// Any other: a mailbox's name.
    Name(MailboxName),
}

/// Gmail's own labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnLabel {
    /// `\Inbox`.
    Inbox,
    /// `\Sent`.
    Sent,
    /// `\Draft`; `\Drafts` is taken for it.
    Draft,
    /// `\Starred`; `\Flagged` is taken for it.
    Starred,
    /// `\Important`.
    Important,
    /// `\Trash`.
    Trash,
    /// `\Spam`; `\Junk` is taken for it.
    Spam,
}

impl OwnLabel {
    /// As it is written, with its backslash.
    pub fn as_str(self) -> &'static str {
        match self {
            OwnLabel::Inbox => "\\Inbox",
            OwnLabel::Sent => "\\Sent",
            OwnLabel::Draft => "\\Draft",
            OwnLabel::Starred => "\\Starred",
            OwnLabel::Important => "\\Important",
            OwnLabel::Trash => "\\Trash",
            OwnLabel::Spam => "\\Spam",
        }
    }

    /// Reads one without its backslash, in any case.
    pub fn parse(word: &str) -> Option<OwnLabel> {
        OWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, own)| *own)
    }
}

const OWN: [(&str, OwnLabel); 11] = [
    ("inbox", OwnLabel::Inbox),
    ("sent", OwnLabel::Sent),
    ("draft", OwnLabel::Draft),
    ("drafts", OwnLabel::Draft),
    ("starred", OwnLabel::Starred),
    ("flagged", OwnLabel::Starred),
    ("important", OwnLabel::Important),
    ("trash", OwnLabel::Trash),
    ("bin", OwnLabel::Trash),
    ("spam", OwnLabel::Spam),
    ("junk", OwnLabel::Spam),
];

/// `"(" [label *(SP label)] ")"`, or labels without parentheses as some clients send them.
pub(super) fn labels(cursor: &mut Cursor<'_>) -> Rule<Vec<Label>> {
    let mut labels = Vec::new();
    let mut push = |label: Label| {
        if !labels.contains(&label) {
            labels.push(label);
        }
    };
    if cursor.peek() == Some(b'(') {
        cursor.list("labels", |cursor| label(cursor).map(&mut push))?;
        return Ok(labels);
    }
    push(label(cursor)?);
    while cursor.more() {
        cursor.entry()?;
        push(label(cursor)?);
    }
    Ok(labels)
}

/// `label = astring / "\" atom`.
pub(super) fn label(cursor: &mut Cursor<'_>) -> Rule<Label> {
    let start = cursor.position();
    let utf8 = cursor.syntax().utf8;
    let known = "a label: a name, \\Inbox, \\Sent, \\Draft, \\Starred, \\Important, \\Trash or \\Spam";
    if cursor.eat(b'\\') {
        let word = cursor.atom(known)?;
        return OwnLabel::parse(word)
            .map_or_else(|| cursor.fault_at(start, Problem::Expected(known)), |own| Ok(Label::Own(own)));
    }
    let bytes = cursor.astring(known)?;
    if let Some(word) = bytes.strip_prefix(b"\\") {
        let own = std::str::from_utf8(word).ok().and_then(OwnLabel::parse);
        return own.map_or_else(|| cursor.fault_at(start, Problem::Expected(known)), |own| Ok(Label::Own(own)));
    }
    match MailboxName::from_wire(&bytes, utf8) {
        Ok(name) if name.is_inbox() => Ok(Label::Own(OwnLabel::Inbox)),
        Ok(name) => Ok(Label::Name(name)),
        Err(_) => cursor.fault_at(start, Problem::Expected(known)),
    }
}

/// A search in Gmail's words, as the keys that it means.
///
/// # Errors
/// What there is too much of: words, or parentheses within each other.
pub fn raw(text: &str, depth: usize, words: usize) -> Result<SearchKey, Problem> {
    let mut raw = Raw { rest: text, depth, words };
    raw.all_of(None, None)
}

/// What of a search is still to be read, and what may still come.
struct Raw<'a> {
    rest: &'a str,
    depth: usize,
    words: usize,
}

impl<'a> Raw<'a> {
    /// Terms up to `close` or the end. `OR` is between two terms, and binds them first.
    fn all_of(&mut self, operator: Option<&str>, close: Option<char>) -> Result<SearchKey, Problem> {
        // Each of these must match, by one of its own.
        let (mut terms, mut joins): (Vec<Vec<SearchKey>>, bool) = (Vec::new(), false);
        while let Some(next) = self.peek() {
            if matches!(next, ')' | '}') {
                self.skip(next);
                if Some(next) == close {
                    break;
                }
                continue;
            }
            if self.eat_joint("OR") || self.eat_joint("|") {
                joins = !terms.is_empty();
                continue;
            }
            if self.eat_joint("AND") {
                continue;
            }
            let term = self.term(operator)?;
            match terms.last_mut() {
                Some(any) if joins || close == Some('}') => any.push(term),
                Some(_) | None => terms.push(vec![term]),
            }
            joins = false;
        }
        let mut all: Vec<SearchKey> = terms.into_iter().map(any_of).collect();
        Ok(match all.len() {
            0 => SearchKey::All,
            1 => all.remove(0),
            _ => SearchKey::And(all),
        })
    }

    /// One term: a group, a phrase, `operator:term`, a word, each perhaps with `-` or `+`.
    fn term(&mut self, operator: Option<&str>) -> Result<SearchKey, Problem> {
        let mut negative = false;
        while let Some(sign @ ('-' | '+')) = self.rest.chars().next() {
            self.skip(sign);
            negative ^= sign == '-';
        }
        let key = self.unsigned(operator)?;
        Ok(if negative { SearchKey::Not(Box::new(key)) } else { key })
    }

    fn unsigned(&mut self, operator: Option<&str>) -> Result<SearchKey, Problem> {
        self.words = self.words.checked_sub(1).ok_or(Problem::TooMuch("words in X-GM-RAW"))?;
        match self.rest.chars().next() {
            Some('(') => self.group('(', ')', operator),
            Some('{') => self.group('{', '}', operator),
            Some('"') => Ok(meaning(operator, self.phrase())),
            Some(_) | None => {
                let word = self.word();
                let Some((name, value)) = word.split_once(':').filter(|(name, _)| is_operator(name)) else {
                    return Ok(meaning(operator, word));
                };
                let name = name.to_ascii_lowercase();
                match (value, self.rest.chars().next()) {
                    ("", Some('(' | '{' | '"')) => self.within(|raw| raw.unsigned(Some(&name))),
                    (value, _) => Ok(meaning(Some(&name), value)),
                }
            }
        }
    }

    fn group(&mut self, open: char, close: char, operator: Option<&str>) -> Result<SearchKey, Problem> {
        self.skip(open);
        self.within(|raw| raw.all_of(operator, Some(close)))
    }

    fn within(&mut self, rule: impl FnOnce(&mut Self) -> Result<SearchKey, Problem>) -> Result<SearchKey, Problem> {
        self.depth = self.depth.checked_sub(1).ok_or(Problem::TooMuch("groups within each other in X-GM-RAW"))?;
        let key = rule(self)?;
        self.depth += 1;
        Ok(key)
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn skip(&mut self, character: char) {
        self.rest = self.rest.strip_prefix(character).unwrap_or(self.rest);
    }

    /// Takes a word between terms.
    fn eat_joint(&mut self, joint: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(joint) else { return false };
        let ends = rest.chars().next().is_none_or(|next| next.is_whitespace() || matches!(next, '(' | '{' | '"'));
        if ends {
            self.rest = rest;
        }
        ends
    }

    /// `"words"`.
    fn phrase(&mut self) -> &'a str {
        let text = self.rest.strip_prefix('"').unwrap_or(self.rest);
        let (phrase, rest) = text.split_once('"').unwrap_or((text, ""));
        self.rest = rest;
        phrase
    }

    /// Up to a space or what ends or begins a group or phrase.
    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '{' | '}' | '"'));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }
}

/// Any of these, no deeper than need be.
fn any_of(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.len() {
        0 => SearchKey::All,
        1 => keys.remove(0),
        count => {
            let rest = keys.split_off(count.div_ceil(2));
            or(any_of(keys), any_of(rest))
        }
    }
}

fn or(first: SearchKey, second: SearchKey) -> SearchKey {
    SearchKey::Or(Box::new(first), Box::new(second))
}

fn nothing() -> SearchKey {
    SearchKey::Not(Box::new(SearchKey::All))
}

fn is_operator(name: &str) -> bool {
    OPERATORS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

const OPERATORS: [&str; 23] = [
    "from",
    "to",
    "cc",
    "bcc",
    "subject",
    "has",
    "is",
    "in",
    "label",
    "before",
    "older",
    "after",
    "newer",
    "older_than",
    "newer_than",
    "size",
    "larger",
    "smaller",
    "filename",
    "rfc822msgid",
    "list",
    "deliveredto",
    "category",
];

/// What a word means behind an operator, or alone.
fn meaning(operator: Option<&str>, value: &str) -> SearchKey {
    if value.is_empty() {
        return SearchKey::All;
    }
    let text = || value.to_owned();
    match operator.unwrap_or_default() {
        "from" => SearchKey::From(text()),
        // Gmail's `to:` is whoever the message was addressed to.
        "to" => or(SearchKey::To(text()), or(SearchKey::Cc(text()), SearchKey::Bcc(text()))),
        "cc" => SearchKey::Cc(text()),
        "bcc" => SearchKey::Bcc(text()),
        "subject" => SearchKey::Subject(text()),
        "has" if value.eq_ignore_ascii_case("attachment") => SearchKey::HasAttachment,
        "filename" => SearchKey::FileName(text()),
        "is" => is(value),
        "in" if value.eq_ignore_ascii_case("anywhere") || value.eq_ignore_ascii_case("all") => SearchKey::All,
        "in" | "label" => match value.eq_ignore_ascii_case("read") || value.eq_ignore_ascii_case("unread") {
            true => is(value),
            false => match OwnLabel::parse(value) {
                Some(own) => SearchKey::Label(Label::Own(own)),
                None => SearchKey::LabelLike(text()),
            },
        },
        "before" | "older" => day(value).map_or_else(nothing, SearchKey::Before),
        "after" | "newer" => day(value).map_or_else(nothing, SearchKey::Since),
        "older_than" => span(value).map_or_else(nothing, SearchKey::Older),
        "newer_than" => span(value).map_or_else(nothing, SearchKey::Younger),
        "size" | "larger" => octets(value).map_or_else(nothing, SearchKey::Larger),
        "smaller" => octets(value).map_or_else(nothing, SearchKey::Smaller),
        "rfc822msgid" => {
            let id = value.trim_start_matches('<').trim_end_matches('>');
            SearchKey::Header("Message-ID".to_owned(), id.to_owned())
        }
        "list" => SearchKey::Header("List-ID".to_owned(), text()),
        "deliveredto" => SearchKey::Header("Delivered-To".to_owned(), text()),
        "has" | "category" => nothing(),
        _ => SearchKey::Text(text()),
    }
}

/// `is:unread`.
fn is(value: &str) -> SearchKey {
    let not = |key| SearchKey::Not(Box::new(key));
    match value.to_ascii_lowercase().as_str() {
        "unread" => not(SearchKey::Seen),
        "read" => SearchKey::Seen,
        "starred" => SearchKey::Flagged,
        "unstarred" => not(SearchKey::Flagged),
        "important" => SearchKey::Label(Label::Own(OwnLabel::Important)),
        "draft" => SearchKey::Draft,
        "sent" => SearchKey::Label(Label::Own(OwnLabel::Sent)),
        "muted" => Keyword::new("$Muted").map_or_else(|_| nothing(), SearchKey::Keyword),
        _ => nothing(),
    }
}

/// `2004/04/16`, `2004-04-16`, `04/16/2004`, or seconds since 1970.
fn day(value: &str) -> Option<Date> {
    let parts: Vec<&str> = value.split(['/', '-']).collect();
    if let [seconds] = parts.as_slice() {
        let seconds: i64 = Some(seconds).filter(|seconds| seconds.len() >= 8)?.parse().ok()?;
        return Some(Date { days: seconds.div_euclid(86_400) });
    }
    let [first, second, third] = parts.as_slice() else { return None };
    let (year, month, day) = if first.len() == 4 { (first, second, third) } else { (third, first, second) };
    let number = |text: &str| text.parse::<i64>().ok();
    Date::of(number(year)?, number(month)?, number(day)?)
}

/// `2d`, `3m`, `1y`, in seconds.
fn span(value: &str) -> Option<u32> {
    let unit = value.chars().next_back()?.to_ascii_lowercase();
    let count: u64 = value.get(..value.len() - unit.len_utf8())?.parse().ok()?;
    let days = match unit {
        'd' => 1,
        'w' => 7,
        'm' => 30,
        'y' => 365,
        'h' => return u32::try_from(count.saturating_mul(3_600).max(1)).ok(),
        _ => return None,
    };
    Some(u32::try_from(count.saturating_mul(days * 86_400)).unwrap_or(u32::MAX).max(1))
}

/// `10M`, `20K`, `1000000`.
fn octets(value: &str) -> Option<u64> {
    let digits = value.trim_end_matches(['b', 'B']);
    let (digits, unit) = match digits.chars().next_back()?.to_ascii_lowercase() {
        'k' => (&digits[..digits.len() - 1], 1_000),
        'm' => (&digits[..digits.len() - 1], 1_000_000),
        'g' => (&digits[..digits.len() - 1], 1_000_000_000),
        _ => (digits, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit).filter(|octets| i64::try_from(*octets).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(key: &SearchKey) -> String {
        let all = |keys: &[SearchKey]| keys.iter().map(shown).collect::<Vec<_>>().join(" ");
        match key {
            SearchKey::And(keys) => format!("({})", all(keys)),
            SearchKey::Or(first, second) => format!("[{} | {}]", shown(first), shown(second)),
            SearchKey::Not(key) => format!("-{}", shown(key)),
            SearchKey::Label(Label::Own(own)) => own.as_str().to_owned(),
            other => format!("{other:?}").replace('"', ""),
        }
    }

    #[test]
    fn searches_mean_keys() {
        for (text, expected) in [
            ("", "All"),
            ("hello", "Text(hello)"),
            ("hello world", "(Text(hello) Text(world))"),
            ("\"hello world\"", "Text(hello world)"),
            ("from:bob -is:read", "(From(bob) -Seen)"),
            ("from:(bob OR carol) x", "([From(bob) | From(carol)] Text(x))"),
            ("a OR b c OR d", "([Text(a) | Text(b)] [Text(c) | Text(d)])"),
            ("{from:a from:b}", "[From(a) | From(b)]"),
            ("a OR b OR c d", "([[Text(a) | Text(b)] | Text(c)] Text(d))"),
            ("subject:{a \"b c\"}", "[Subject(a) | Subject(b c)]"),
            ("-(a b)", "-(Text(a) Text(b))"),
            ("a AND b", "(Text(a) Text(b))"),
            ("to:x", "[To(x) | [Cc(x) | Bcc(x)]]"),
            ("FROM:Bob", "From(Bob)"),
            ("has:attachment filename:pdf", "(HasAttachment FileName(pdf))"),
            ("in:inbox label:work-things", "(\\Inbox LabelLike(work-things))"),
            ("in:anywhere is:unread", "(All -Seen)"),
            ("is:starred is:nonsense", "(Flagged --All)".replace("--", "-").as_str()),
            ("after:1970/01/02 before:1970-01-04", "(Since(Date { days: 1 }) Before(Date { days: 3 }))"),
            ("newer:01/03/1970", "Since(Date { days: 2 })"),
            ("after:99999999999/1/1", "-All"),
            ("newer_than:2d older_than:1y", "(Younger(172800) Older(31536000))"),
            ("larger:10M smaller:5k size:12", "(Larger(10000000) Smaller(5000) Larger(12))"),
            ("larger:99999999999999999999g", "-All"),
            ("rfc822msgid:<a@b>", "Header(Message-ID, a@b)"),
            ("http://example.test", "Text(http://example.test)"),
            ("(a", "Text(a)"),
            ("a)) b", "(Text(a) Text(b))"),
            ("\"open", "Text(open)"),
            ("from:", "All"),
            ("OR a", "Text(a)"),
            ("- -", "(-All -All)"),
            ("ORDER", "Text(ORDER)"),
            ("newer_than:\u{e9}", "-All"),
        ] {
            let key = raw(text, 10, 100).expect("within the limits");
            assert_eq!(shown(&key), expected, "{text}");
        }
    }

    #[test]
    fn there_is_an_end_to_words_and_groups() {
        let deep = |levels: usize| raw(&format!("{}a{}", "(".repeat(levels), ")".repeat(levels)), 10, 100);
        assert!(deep(10).is_ok());
        assert_eq!(deep(11), Err(Problem::TooMuch("groups within each other in X-GM-RAW")));
        assert_eq!(
            raw(&"from:".repeat(20), 10, 100).map(|key| shown(&key)),
            Ok("From(from:from:from:from:from:from:from:from:from:from:from:from:from:from:from:from:from:from:from:)"
                .to_owned())
        );
        assert!(raw(&"a ".repeat(100), 10, 100).is_ok());
        assert_eq!(raw(&"a ".repeat(101), 10, 100), Err(Problem::TooMuch("words in X-GM-RAW")));
    }
}
