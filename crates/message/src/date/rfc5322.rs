//! RFC 5322 date-time: what is written exactly, what is read by the meaning of each token, because senders leave out, reorder
//! and rename all of them.

use super::{Date, DateTime, WEEKDAYS, month_number, number, numeric_zone, time_of_day};
use crate::header::unfold;

/// Tokens looked at: the longest date with comments around has ten.
const TOKENS_MAX: usize = 24;

impl DateTime {
    /// RFC 5322 §3.3 and §4.3 date-time, lenient: missing day names, seconds, times and zones, two-digit years, obsolete zones,
    /// ISO and `ctime` order are read; a date that does not exist or a year outside 1900 to 9999 is not.
    pub fn parse(value: &[u8]) -> Option<DateTime> {
        let value = without_comments(&unfold(value));
        let tokens = value.split(|b| b" \t,\r\n".contains(b)).filter(|t| !t.is_empty());
        let mut found = Found::default();
        for token in tokens.take(TOKENS_MAX) {
            found.token(token);
        }
        found.date_time()
    }

    /// RFC 5322 date-time: `Fri, 21 Nov 1997 09:55:06 -0600`.
    pub fn format(&self) -> String {
        let date = self.local_date();
        let (hour, minute, second) = self.local_time();
        let weekday = WEEKDAYS[date.days().rem_euclid(7) as usize];
        format!(
            "{weekday}, {} {} {:04} {hour:02}:{minute:02}:{second:02} {}",
            date.day,
            date.month_name(),
            date.year,
            self.zone()
        )
    }
}

#[derive(Default)]
struct Found {
    day: Option<u32>,
    month: Option<u8>,
    year: Option<u32>,
    time: Option<(u32, u32, u32)>,
    zone: Option<i16>,
    afternoon: Option<bool>,
}

impl Found {
    fn token(&mut self, token: &[u8]) {
        let at = |byte| token.iter().position(|&b| b == byte);
        // `1997-11-21T09:55:06` is a date before it is a time; `09:55:06-0600` is a time.
        let date_first = at(b'-').is_some_and(|dash| at(b':').is_none_or(|colon| dash < colon));
        if token[0].is_ascii_digit() && at(b':').is_some() && !date_first {
            self.time_token(token);
        } else if matches!(token[0], b'+' | b'-') && self.time.is_some() {
            self.zone = numeric_zone(token).or(self.zone);
        } else if date_first {
            self.dashed(token);
        } else if let Some(value) = number(token) {
            self.number(value, token.len());
        } else {
            self.name(token);
        }
    }

    /// `09:55:06`, `09:55:06Z`, `09:55:06+0100`.
    fn time_token(&mut self, token: &[u8]) {
        let length = token.iter().take_while(|b| b.is_ascii_digit() || matches!(b, b':' | b'.')).count();
        let (time, zone) = token.split_at(length);
        self.time = self.time.or_else(|| time_of_day(time));
        if !zone.is_empty() {
            self.zone = numeric_zone(zone).or_else(|| named_zone(zone)).or(self.zone);
        }
    }

    /// `21-Nov-1997`, `1997-11-21`, `1997-11-21T09:55:06Z`.
    fn dashed(&mut self, token: &[u8]) {
        let (date, time) = match token.iter().position(|b| matches!(b, b'T' | b't')) {
            Some(at) if token[0].is_ascii_digit() && token[at - 1].is_ascii_digit() => {
                (&token[..at], Some(&token[at + 1..]))
            }
            _ => (token, None),
        };
        let pieces: Vec<&[u8]> = date.splitn(4, |&b| b == b'-').collect();
        if let [first, second, third] = pieces[..] {
            if let (Some(month), Some(day), 4) = (number(second), number(third), first.len()) {
                (self.year, self.month, self.day) = (number(first), u8::try_from(month).ok(), Some(day));
            } else {
                (self.day, self.month) = (number(first), month_number(second));
                if let Some(year) = number(third) {
                    self.year = full_year(year, third.len());
                }
            }
        }
        if let Some(time) = time.filter(|t| !t.is_empty()) {
            self.time_token(time);
        }
    }

    fn number(&mut self, value: u32, digits: usize) {
        if self.day.is_none() && digits <= 2 {
            self.day = Some(value);
        } else if self.year.is_none() {
            self.year = full_year(value, digits);
        }
    }

    fn name(&mut self, token: &[u8]) {
        match token.to_ascii_lowercase().as_slice() {
            b"am" => self.afternoon = Some(false),
            b"pm" => self.afternoon = Some(true),
            lower => {
                if self.time.is_some() || self.month.is_some() {
                    self.zone = self.zone.or_else(|| named_zone(lower));
                }
                // `Mon` is no month, `Mar` is; a weekday before the month is neither month nor zone.
                self.month = self.month.or_else(|| month_number(lower));
            }
        }
    }

    fn date_time(self) -> Option<DateTime> {
        let year = i32::try_from(self.year?).ok().filter(|year| (1900..=9999).contains(year))?;
        let date = Date::new(year, self.month?, u8::try_from(self.day?).ok()?)?;
        let (hour, minute, second) = self.time.unwrap_or((0, 0, 0));
        let hour = match (self.afternoon, hour) {
            (Some(true), 1..=11) => hour + 12,
            (Some(false), 12) => 0,
            (Some(_) | None, _) => hour,
        };
        Some(DateTime::from_local(date, hour, minute, second, self.zone.unwrap_or(0)))
    }
}

/// RFC 5322 §4.3: two digits below 50 are 2000 and later, other two and all three digits count from 1900.
fn full_year(value: u32, digits: usize) -> Option<u32> {
    match digits {
        1 | 2 if value < 50 => Some(2000 + value),
        1..=3 => Some(1900 + value),
        4 => Some(value),
        _ => None,
    }
}

/// RFC 5322 §4.3 obs-zone. Military letters other than Z were used with both signs, so they say nothing: UTC.
fn named_zone(name: &[u8]) -> Option<i16> {
    const HOUR: i16 = 60;
    match name.to_ascii_lowercase().as_slice() {
        b"ut" | b"utc" | b"gmt" => Some(0),
        b"edt" => Some(-4 * HOUR),
        b"est" | b"cdt" => Some(-5 * HOUR),
        b"cst" | b"mdt" => Some(-6 * HOUR),
        b"mst" | b"pdt" => Some(-7 * HOUR),
        b"pst" => Some(-8 * HOUR),
        b"cet" | b"met" | b"bst" => Some(HOUR),
        b"cest" | b"mest" | b"eet" => Some(2 * HOUR),
        b"eest" | b"msk" => Some(3 * HOUR),
        b"jst" | b"kst" => Some(9 * HOUR),
        [letter] if letter.is_ascii_alphabetic() => Some(0),
        // `GMT+0100`, `UTC-5`
        [b'g', b'm', b't', zone @ ..] | [b'u', b't', b'c', zone @ ..] => numeric_zone(zone),
        _ => None,
    }
}

/// Comments become spaces (RFC 5322 §3.2.2), nested ones too.
fn without_comments(value: &[u8]) -> Vec<u8> {
    let mut depth = 0usize;
    value
        .iter()
        .map(|&byte| {
            depth += usize::from(byte == b'(');
            let kept = if depth > 0 { b' ' } else { byte };
            depth = depth.saturating_sub(usize::from(byte == b')'));
            kept
        })
        .collect()
}
