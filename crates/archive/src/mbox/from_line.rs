//! The line that begins a message: `From someone Tue Mar  5 10:10:10 2019`.

use postroad_message::date::{Date, DateTime};
use postroad_store::Timestamp;

/// The date of a From_ line, taken as UTC unless it names a zone; `None` when it is none. A line of text that begins
/// with `From ` hardly ever ends with a time and a year, and that is what tells them apart.
pub(crate) fn date(line: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(line.strip_prefix(b"From ")?).ok()?;
    let tokens: Vec<&str> = text.split_ascii_whitespace().collect();
    let month = |token: &str| {
        let known = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(token))?;
        u8::try_from(known + 1).ok()
    };
    // asctime: weekday, month, day, time, then a year with a zone before or after it.
    for (at, token) in tokens.iter().enumerate() {
        let Some(month) = month(token) else { continue };
        let Some([day, time, rest @ ..]) = tokens.get(at + 1..) else { continue };
        let (Ok(day), Some(time)) = (day.parse(), clock(time)) else { continue };
        let Some(year) = rest.iter().take(3).find_map(|token| year(token)) else { continue };
        let Some(date) = Date::new(year, month, day) else { continue };
        let zone = rest.iter().take(3).find_map(|token| zone(token)).unwrap_or(0);
        return Some(Timestamp(date.start_micros() + (time - zone) * 1_000_000));
    }
    // Some write the date of the header: `From a@b Tue, 05 Mar 2019 10:10:10 +0100`.
    let comma = tokens.iter().position(|token| token.ends_with(','))?;
    if !tokens.iter().any(|token| clock(token).is_some()) {
        return None;
    }
    let parsed = DateTime::parse(tokens.get(comma..)?.join(" ").as_bytes())?;
    Some(Timestamp(parsed.micros))
}

/// Such a line; the day is padded with a blank, as asctime does. The sender is not kept: a fixed word stands for it.
pub(crate) fn line(time: Timestamp) -> String {
    let days = time.0.div_euclid(DAY);
    let seconds = time.0.rem_euclid(DAY) / 1_000_000;
    let date = Date::from_days(days);
    let weekday = WEEKDAYS[usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0)];
    let month = MONTHS[usize::from(date.month).saturating_sub(1).min(11)];
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let year = date.year;
    format!("From MAILER-DAEMON {weekday} {month} {:>2} {hour:02}:{minute:02}:{second:02} {year:04}", date.day)
}

/// `10:10` or `10:10:10` in seconds.
fn clock(token: &str) -> Option<i64> {
    let mut parts = token.split(':').map(|part| part.parse::<i64>().ok().filter(|_| part.len() == 2));
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let fits = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    fits.then_some(hour * 3_600 + minute * 60 + second)
}

fn year(token: &str) -> Option<i32> {
    (token.len() == 4).then(|| token.parse().ok())?.filter(|year| (1970..=9999).contains(year))
}

/// `+0100` in seconds.
fn zone(token: &str) -> Option<i64> {
    let (sign, digits) = match token.as_bytes() {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 4)?;
    let number: i64 = digits.parse().ok()?;
    Some(sign * (number / 100 * 3_600 + number % 100 * 60))
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const DAY: i64 = 86_400_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_many_programs() {
        let time = Some(Timestamp(1_551_780_610_000_000));
        for (line, expected) in [
            ("From a@b.example Tue Mar  5 10:10:10 2019", time),
            ("From a@b.example  Tue Mar 05 10:10:10 2019\r", time),
            ("From - Tue Mar 05 10:10:10 2019", time),
            ("From a@b Tue Mar 5 11:10:10 2019 +0100", time),
            ("From a@b Tue Mar 5 11:10:10 +0100 2019", time),
            ("From a@b Tue Mar 5 10:10:10 UTC 2019", time),
            ("From a@b Tue, 05 Mar 2019 11:10:10 +0100", time),
            ("From \"a b\"@c Tue Mar 5 10:10:10 2019 remote from host", time),
            ("From the beginning of March 2019 on", None),
            ("From me, Mar 5 in 2019", None),
            ("From ", None),
            ("From a@b Tue Mar 99 10:10:10 2019", None),
            (">From a@b Tue Mar  5 10:10:10 2019", None),
        ] {
            assert_eq!(date(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn lines_are_read_as_written() {
        for micros in [0, 1_551_780_610_000_000, 1_795_338_907_000_000, 951_782_400_000_000] {
            assert_eq!(date(line(Timestamp(micros)).as_bytes()), Some(Timestamp(micros)));
        }
        assert_eq!(line(Timestamp(1_551_780_610_999_999)), "From MAILER-DAEMON Tue Mar  5 10:10:10 2019");
    }
}
