//! `X-GM-RAW`: searches as people write them in Gmail (Google, "Search operators you can use with Gmail").
//!
//! A search in words (`from:bob has:attachment -is:read`) becomes the search keys that it means. As Gmail, it is forgiving:
//! what is no operator is a word, and what is not closed ends with the text. What an operator does not know is refused
//! ([`Problem::Unsearchable`]), rather than found nowhere. `from:me` is resolved by who knows whose session it is.

use super::{Label, OwnLabel};
use crate::command::search::SearchKey;
use crate::date::Date;
use crate::error::Problem;
use crate::flags::Keyword;

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
            if !terms.is_empty() && self.eat_joint("AROUND") {
                let words = self.distance();
                let first = terms.last_mut().and_then(Vec::pop);
                let second = self.term(operator)?;
                let near = first.and_then(|first| near(first, second, words)).ok_or(Problem::Unsearchable(AROUND))?;
                if let Some(any) = terms.last_mut() {
                    any.push(near);
                }
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
            Some('"') => {
                let phrase = self.phrase();
                match ordered(phrase) {
                    Some(near) if operator.is_none() => Ok(near),
                    Some(_) => Err(Problem::Unsearchable(AROUND)),
                    None => meaning(operator, phrase),
                }
            }
            Some(_) | None => {
                let word = self.word();
                let Some((name, value)) = word.split_once(':').filter(|(name, _)| is_operator(name)) else {
                    return meaning(operator, word);
                };
                let name = name.to_ascii_lowercase();
                match (value, self.rest.chars().next()) {
                    ("", Some('(' | '{' | '"')) => self.within(|raw| raw.unsigned(Some(&name))),
                    (value, _) => meaning(Some(&name), value),
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

    /// The number behind AROUND.
    fn distance(&mut self) -> u32 {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        match rest.chars().next().is_none_or(char::is_whitespace) {
            true => self.rest = rest.trim_start(),
            false => return AROUND_WORDS,
        }
        if digits.is_empty() { AROUND_WORDS } else { digits.parse().unwrap_or(AROUND_MAX).min(AROUND_MAX) }
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
fn meaning(operator: Option<&str>, value: &str) -> Result<SearchKey, Problem> {
    if value.is_empty() {
        return Ok(SearchKey::All);
    }
    let text = || value.to_owned();
    let a_day = || day(value).ok_or(Problem::Unsearchable("a day is wanted there, such as 2026/11/22"));
    let a_span = || span(value).ok_or(Problem::Unsearchable("a time is wanted there, such as 2d, 3m or 1y"));
    let a_size = || octets(value).ok_or(Problem::Unsearchable("a size is wanted there, such as 10M or 500K"));
    Ok(match operator.unwrap_or_default() {
        "from" => SearchKey::From(text()),
        // Gmail's `to:` is whoever the message was addressed to.
        "to" => or(SearchKey::To(text()), or(SearchKey::Cc(text()), SearchKey::Bcc(text()))),
        "cc" => SearchKey::Cc(text()),
        "bcc" => SearchKey::Bcc(text()),
        "subject" => SearchKey::Subject(text()),
        "has" => return has(value),
        "filename" => SearchKey::FileName(text()),
        "is" => return is(value),
        "in" | "label" => place(value),
        "category" => return category(value),
        "before" | "older" => SearchKey::Before(a_day()?),
        "after" | "newer" => SearchKey::Since(a_day()?),
        "older_than" => SearchKey::Older(a_span()?),
        "newer_than" => SearchKey::Younger(a_span()?),
        "size" | "larger" => SearchKey::Larger(a_size()?),
        "smaller" => SearchKey::Smaller(a_size()?),
        "rfc822msgid" => {
            let id = value.trim_start_matches('<').trim_end_matches('>');
            SearchKey::Header("Message-ID".to_owned(), id.to_owned())
        }
        // An address of a list is in List-Post, and its name in List-ID with a dot (RFC 2919 §2).
        "list" => or(
            SearchKey::Header("List-ID".to_owned(), value.replace('@', ".")),
            SearchKey::Header("List-Post".to_owned(), text()),
        ),
        "deliveredto" => SearchKey::Header("Delivered-To".to_owned(), text()),
        _ => SearchKey::Text(text()),
    })
}

/// `in:trash`, `label:work`: a label that there is none of is on no message.
fn place(value: &str) -> SearchKey {
    let own = |own| SearchKey::Label(Label::Own(own));
    match value.to_ascii_lowercase().as_str() {
        "anywhere" | "all" | "mail" => SearchKey::All,
        "read" => SearchKey::Seen,
        "unread" => SearchKey::Not(Box::new(SearchKey::Seen)),
        "muted" => muted(),
        // Neither is done here.
        "snoozed" | "chats" | "scheduled" => nothing(),
        // What was put away.
        "archive" => {
            let elsewhere = [OwnLabel::Inbox, OwnLabel::Sent, OwnLabel::Draft, OwnLabel::Trash, OwnLabel::Spam];
            SearchKey::And(elsewhere.map(|one| SearchKey::Not(Box::new(own(one)))).into())
        }
        _ => OwnLabel::parse(value).map_or_else(|| SearchKey::LabelLike(value.to_owned()), own),
    }
}

/// `is:unread`.
fn is(value: &str) -> Result<SearchKey, Problem> {
    let not = |key| SearchKey::Not(Box::new(key));
    Ok(match value.to_ascii_lowercase().as_str() {
        "unread" => not(SearchKey::Seen),
        "read" => SearchKey::Seen,
        "starred" => SearchKey::Flagged,
        "unstarred" => not(SearchKey::Flagged),
        "draft" => SearchKey::Draft,
        "muted" => muted(),
        "snoozed" | "chat" => nothing(),
        _ => {
            let own = OwnLabel::parse(value).ok_or(Problem::Unsearchable(
                "is: knows read, unread, starred, unstarred, important, draft, sent, muted, snoozed and chat",
            ))?;
            SearchKey::Label(Label::Own(own))
        }
    })
}

fn muted() -> SearchKey {
    Keyword::new("$Muted").map_or_else(|_| nothing(), SearchKey::Keyword)
}

/// `has:attachment`. What Gmail keeps elsewhere comes in mail as links and as files.
fn has(value: &str) -> Result<SearchKey, Problem> {
    let links = |hosts: &[&str]| hosts.iter().map(|host| SearchKey::Text((*host).to_owned())).collect::<Vec<_>>();
    let link_or_file = |link: &str, endings: &[&str]| {
        let files = endings.iter().map(|ending| SearchKey::FileName((*ending).to_owned()));
        any_of(links(&[link]).into_iter().chain(files).collect())
    };
    Ok(match value.to_ascii_lowercase().as_str() {
        "attachment" => SearchKey::HasAttachment,
        "userlabels" => SearchKey::UserLabels,
        "nouserlabels" => SearchKey::Not(Box::new(SearchKey::UserLabels)),
        "drive" => any_of(links(&["drive.google.com/", "docs.google.com/"])),
        "document" => link_or_file("docs.google.com/document", &[".doc", ".odt"]),
        "spreadsheet" => link_or_file("docs.google.com/spreadsheets", &[".xls", ".ods"]),
        "presentation" => link_or_file("docs.google.com/presentation", &[".ppt", ".odp"]),
        "youtube" => any_of(links(&["youtube.com/", "youtu.be/"])),
        // There is one star.
        "yellow-star" => SearchKey::Flagged,
        star if STARS.contains(&star) => nothing(),
        _ => {
            return Err(Problem::Unsearchable(
                "has: knows attachment, drive, document, spreadsheet, presentation, youtube, userlabels, nouserlabels and stars",
            ));
        }
    })
}

/// `category:primary`: nothing is sorted into categories, so all mail is in the first.
fn category(value: &str) -> Result<SearchKey, Problem> {
    Ok(match value.to_ascii_lowercase().as_str() {
        "primary" | "personal" => SearchKey::All,
        "social" | "promotions" | "updates" | "forums" | "reservations" | "purchases" => nothing(),
        _ => {
            return Err(Problem::Unsearchable(
                "category: knows primary, social, promotions, updates, forums, reservations and purchases",
            ));
        }
    })
}

/// Two texts that stand close together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// Words that one begins with, one after the other.
    pub first: String,
    /// And the other.
    pub second: String,
    /// At most so many words are between them.
    pub words: u32,
    /// The first comes first.
    pub ordered: bool,
}

/// `dinner AROUND 5 friday`, of two words or phrases.
fn near(first: SearchKey, second: SearchKey, words: u32) -> Option<SearchKey> {
    let (SearchKey::Text(first), SearchKey::Text(second)) = (first, second) else { return None };
    Some(both(Near { first, second, words, ordered: false }))
}

/// `"secret AROUND 25 birthday"`: the first comes first.
fn ordered(phrase: &str) -> Option<SearchKey> {
    let (first, rest) = phrase.split_once(" AROUND ")?;
    let (number, second) = rest.trim_start().split_once(' ')?;
    let (first, second, words) = (first.trim(), second.trim(), number.parse::<u32>().ok()?.min(AROUND_MAX));
    let there = !first.is_empty() && !second.is_empty();
    there.then(|| both(Near { first: first.to_owned(), second: second.to_owned(), words, ordered: true }))
}

/// What has both texts is looked at for how close they are.
fn both(near: Near) -> SearchKey {
    let text = |text: &str| SearchKey::Text(text.to_owned());
    SearchKey::And(vec![text(&near.first), text(&near.second), SearchKey::Near(Box::new(near))])
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

/// Words between the two of AROUND, where nothing is said.
const AROUND_WORDS: u32 = 5;
/// The most.
const AROUND_MAX: u32 = 100;
const AROUND: &str = "AROUND stands between two words or phrases: dinner AROUND 5 friday";
/// Gmail's other stars, which nothing sets here.
const STARS: [&str; 11] = [
    "orange-star",
    "red-star",
    "purple-star",
    "blue-star",
    "green-star",
    "red-bang",
    "orange-guillemet",
    "yellow-bang",
    "green-check",
    "blue-info",
    "purple-question",
];

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
            SearchKey::Near(near) => {
                let sign = if near.ordered { '<' } else { '~' };
                format!("{}{sign}{}{sign}{}", near.first, near.words, near.second)
            }
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
            ("after:1970/01/02 before:1970-01-04", "(Since(Date { days: 1 }) Before(Date { days: 3 }))"),
            ("newer:01/03/1970", "Since(Date { days: 2 })"),
            ("newer_than:2d older_than:1y", "(Younger(172800) Older(31536000))"),
            ("larger:10M smaller:5k size:12", "(Larger(10000000) Smaller(5000) Larger(12))"),
            ("rfc822msgid:<a@b>", "Header(Message-ID, a@b)"),
            ("http://example.test", "Text(http://example.test)"),
            ("(a", "Text(a)"),
            ("a)) b", "(Text(a) Text(b))"),
            ("\"open", "Text(open)"),
            ("from:", "All"),
            ("OR a", "Text(a)"),
            ("- -", "(-All -All)"),
            ("ORDER", "Text(ORDER)"),
            ("list:info@example.com", "[Header(List-ID, info.example.com) | Header(List-Post, info@example.com)]"),
            ("deliveredto:a@b", "Header(Delivered-To, a@b)"),
            ("is:starred -has:yellow-star has:red-bang", "(Flagged -Flagged -All)"),
            ("category:primary category:social", "(All -All)"),
            ("in:archive", "(-\\Inbox -\\Sent -\\Draft -\\Trash -\\Spam)"),
            ("in:snoozed is:important in:muted", "(-All \\Important Keyword($Muted))"),
            ("has:userlabels has:nouserlabels", "(UserLabels -UserLabels)"),
            ("has:youtube", "[Text(youtube.com/) | Text(youtu.be/)]"),
            ("has:spreadsheet", "[[Text(docs.google.com/spreadsheets) | FileName(.xls)] | FileName(.ods)]"),
            ("dinner AROUND 5 friday x", "((Text(dinner) Text(friday) dinner~5~friday) Text(x))"),
            ("a AROUND b", "(Text(a) Text(b) a~5~b)"),
            ("x OR a AROUND 999 \"b c\"", "[Text(x) | (Text(a) Text(b c) a~100~b c)]"),
            ("\"secret AROUND 25 birthday\"", "(Text(secret) Text(birthday) secret<25<birthday)"),
            ("AROUND 5", "(Text(AROUND) Text(5))"),
        ] {
            let key = raw(text, 10, 100).expect("within the limits");
            assert_eq!(shown(&key), expected, "{text}");
        }
    }

    /// What is not understood is said, not passed over.
    #[test]
    fn what_cannot_be_asked_is_refused() {
        for text in [
            "is:nonsense",
            "has:nonsense",
            "category:nonsense",
            "after:99999999999/1/1",
            "before:yesterday",
            "newer_than:\u{e9}",
            "older_than:1",
            "larger:99999999999999999999g",
            "smaller:big",
            "from:a AROUND 5 b",
            "subject:(a AROUND 5 b)",
            "subject:\"a AROUND 5 b\"",
            "a AROUND 5 (b c)",
        ] {
            let refused = matches!(raw(text, 10, 100), Err(Problem::Unsearchable(_)));
            assert!(refused, "{text}: {:?}", raw(text, 10, 100));
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
