//! What a client may wish for beside delivery: by when, not before when, how urgently, and only to whom it was meant
//! for. Values of MAIL and RCPT parameters, read and written.
//!
//! Standards: RFC 2852 (DELIVERBY), RFC 4865 (FUTURERELEASE), RFC 6710 (MT-PRIORITY), RFC 7293 (RRVS), RFC 3865
//! (NO-SOLICITING).

use std::fmt;

use crate::{format_date_time, parse_date_time};

/// `BY=`: by when it is to be delivered (RFC 2852 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverBy {
    /// From now on; zero or less when the time is over, which only [`ByMode::Notify`] may say.
    pub seconds: i64,
    /// What happens when the time is over.
    pub mode: ByMode,
    /// `T`: each relay that does the same tells the sender (RFC 2852 §4.1.4).
    pub trace: bool,
}

/// What happens when a message could not be delivered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByMode {
    /// `R`: it goes back.
    Return,
    /// `N`: the sender is told, and it is tried on.
    Notify,
}

/// `HOLDFOR=` or `HOLDUNTIL=`: not to be sent before (RFC 4865 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// For so many seconds from now.
    For(u64),
    /// Until this moment, in seconds since 1970.
    Until(i64),
}

/// `MT-PRIORITY=`: -9 to 9, the higher the more urgent; 0 is what is not said (RFC 6710 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Priority(i8);

/// `RRVS=`: only to a mailbox that has been the same person's since (RFC 7293 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidSince {
    /// Since this moment, in seconds since 1970.
    pub since: i64,
    /// What to do where the next host does not know RRVS.
    pub without: WithoutRrvs,
}

/// What to do where the next host does not know RRVS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutRrvs {
    /// `R`, or nothing said: the message goes back.
    Return,
    /// `C`: it is sent with the header field instead.
    Continue,
}

/// `SOLICIT=`: the classes of solicitation that the message belongs to (RFC 3865 §2.3), at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solicitation(Vec<String>);

impl DeliverBy {
    /// `by-value = by-time ";" by-mode [by-trace]`.
    pub fn parse(text: &str) -> Option<DeliverBy> {
        let (time, mode) = text.split_once(';')?;
        let (sign, number) = match time.as_bytes().first()? {
            b'-' => (-1, &time[1..]),
            b'+' => (1, &time[1..]),
            _ => (1, time),
        };
        if !(1..=9).contains(&number.len()) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let seconds = sign * number.parse::<i64>().ok()?;
        let (mode, trace) = match mode.to_ascii_uppercase().as_str() {
            "R" => (ByMode::Return, false),
            "RT" => (ByMode::Return, true),
            "N" => (ByMode::Notify, false),
            "NT" => (ByMode::Notify, true),
            _ => return None,
        };
        // RFC 2852 §4: with R the time is above zero.
        (mode == ByMode::Notify || seconds > 0).then_some(DeliverBy { seconds, mode, trace })
    }
}

impl fmt::Display for DeliverBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            ByMode::Return => "R",
            ByMode::Notify => "N",
        };
        let seconds = self.seconds.clamp(-BY_TIME_LIMIT, BY_TIME_LIMIT);
        write!(f, "{seconds};{mode}{}", if self.trace { "T" } else { "" })
    }
}

impl Hold {
    /// `future-release-integer = %x31-39 *8DIGIT`
    pub fn parse_for(text: &str) -> Option<Hold> {
        let good =
            (1..=9).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        good.then(|| text.parse().ok().map(Hold::For)).flatten()
    }

    /// `future-release-date-time`.
    pub fn parse_until(text: &str) -> Option<Hold> {
        parse_date_time(text).map(Hold::Until)
    }
}

/// As DSN's Future-Release-Request field writes it (RFC 4865 §5).
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hold::For(seconds) => write!(f, "for;{seconds}"),
            Hold::Until(moment) => write!(f, "until;{}", format_date_time(*moment)),
        }
    }
}

impl Priority {
    /// The least urgent.
    pub const LOWEST: Priority = Priority(-9);
    /// What is not said.
    pub const NORMAL: Priority = Priority(0);
    /// The most urgent.
    pub const HIGHEST: Priority = Priority(9);

    /// The level, kept within -9 to 9.
    pub fn new(level: i64) -> Priority {
        Priority(i8::try_from(level.clamp(-9, 9)).unwrap_or(0))
    }

    /// `priority-value = (["-"] NZDIGIT) / "0"`.
    pub fn parse(text: &str) -> Option<Priority> {
        let (sign, digit) = text.strip_prefix('-').map_or((1, text), |digit| (-1, digit));
        match digit.as_bytes() {
            [b'0'] if sign == 1 => Some(Priority(0)),
            [digit @ b'1'..=b'9'] => Some(Priority(sign * i8::try_from(digit - b'0').ok()?)),
            _ => None,
        }
    }

    /// -9 to 9.
    pub fn level(self) -> i8 {
        self.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ValidSince {
    /// `date-time [ ";" ( "C" / "R" ) ]`.
    pub fn parse(text: &str) -> Option<ValidSince> {
        let (moment, without) = match text.split_once(';') {
            None => (text, WithoutRrvs::Return),
            Some((moment, word)) if word.eq_ignore_ascii_case("R") => (moment, WithoutRrvs::Return),
            Some((moment, word)) if word.eq_ignore_ascii_case("C") => (moment, WithoutRrvs::Continue),
            Some(_) => return None,
        };
        // RFC 7293 §3.1: without a fraction of a second.
        let moment = parse_date_time(moment).filter(|_| !moment.contains('.'))?;
        Some(ValidSince { since: moment, without })
    }
}

impl fmt::Display for ValidSince {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let without = match self.without {
            WithoutRrvs::Return => "R",
            WithoutRrvs::Continue => "C",
        };
        write!(f, "{};{without}", format_date_time(self.since))
    }
}

impl Solicitation {
    /// `Solicitation-keywords = word *("," word)`, `word = ALPHA *( "." / "-" / "_" / ":" / ALPHA / DIGIT )`.
    pub fn parse(text: &str) -> Option<Solicitation> {
        let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        let word = |word: &str| word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(fit);
        let words: Vec<String> = text.split(',').map(|word| word.trim().to_owned()).collect();
        let good = text.len() <= SOLICIT_LIMIT && words.iter().all(|one| word(one));
        good.then_some(Solicitation(words))
    }

    /// The first of its classes that is in the other.
    pub fn in_common<'a>(&'a self, other: &Solicitation) -> Option<&'a str> {
        let known = |word: &&String| other.0.iter().any(|other| other.eq_ignore_ascii_case(word));
        self.0.iter().find(known).map(String::as_str)
    }
}

impl fmt::Display for Solicitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// RFC 2852 §2: nine digits.
const BY_TIME_LIMIT: i64 = 999_999_999;
/// RFC 3865 §2.2: the parameter adds no more than 1,000 octets.
const SOLICIT_LIMIT: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_and_written() {
        for (text, expect) in [
            ("120;R", Some("120;R")),
            ("+120;rt", Some("120;RT")),
            ("-5;N", Some("-5;N")),
            ("0;NT", Some("0;NT")),
            ("0;R", None),
            ("-1;R", None),
            ("1234567890;N", None),
            ("12", None),
            ("12;X", None),
            (";R", None),
            ("--1;N", None),
        ] {
            assert_eq!(DeliverBy::parse(text).map(|by| by.to_string()).as_deref(), expect, "{text}");
        }
        for (text, expect) in
            [("-9", Some(-9)), ("0", Some(0)), ("7", Some(7)), ("-0", None), ("10", None), ("+1", None)]
        {
            assert_eq!(Priority::parse(text).map(Priority::level), expect, "{text}");
        }
        for (text, expect) in [
            ("2026-11-22T12:00:00Z", Some("2026-11-22T12:00:00Z;R")),
            ("2026-11-22T12:00:00Z;c", Some("2026-11-22T12:00:00Z;C")),
            ("2026-11-22T12:00:00Z;x", None),
            ("2026-11-22T12:00:00.5Z", None),
            ("yesterday", None),
        ] {
            assert_eq!(ValidSince::parse(text).map(|since| since.to_string()).as_deref(), expect, "{text}");
        }
        for (text, expect) in [("a.b:ADV,c", true), ("a b", false), ("9a", false), ("a,,b", false), ("", false)] {
            assert_eq!(Solicitation::parse(text).is_some(), expect, "{text}");
        }
        assert_eq!(Hold::parse_for("3600").map(|hold| hold.to_string()).as_deref(), Some("for;3600"));
        for text in ["-1", "0", "01", "1234567890", ""] {
            assert_eq!(Hold::parse_for(text), None, "{text}");
        }
        assert_eq!(
            Hold::parse_until("2026-11-22T12:00:00Z").map(|hold| hold.to_string()).as_deref(),
            Some("until;2026-11-22T12:00:00Z")
        );
    }
}
