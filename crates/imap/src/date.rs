//! Dates as IMAP writes them (RFC 9051 §9 `date`, `date-time`).

/// A day of the calendar, for SEARCH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Days since 1970-01-01.
    pub days: i64,
}

/// A moment with the zone it was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Minutes east of UTC.
    pub offset: i32,
}

impl Date {
    /// Parses `date-text`, `1-Feb-1994`, without quotes. The day may have a leading zero or space.
    pub fn parse(text: &[u8]) -> Option<Date> {
        let mut parts = text.trim_ascii_start().splitn(3, |&byte| byte == b'-');
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        if year.len() != 4 {
            return None;
        }
        Date::of(number(year, 4)?, month_number(month)?, number(day, 2)?)
    }

    /// A day by its year (of four digits at most), month and day, where there is such a one.
    pub(crate) fn of(year: i64, month: i64, day: i64) -> Option<Date> {
        let days = if (0..=9_999).contains(&year) { days(year, month, day) } else { None };
        days.map(|days| Date { days })
    }
}

impl DateTime {
    /// Parses `date-time` without its quotes. The day may be padded with a space, a zero or nothing.
    pub fn parse(text: &[u8]) -> Option<DateTime> {
        let mut parts = text.trim_ascii().split(|&byte| byte == b' ').filter(|part| !part.is_empty());
        let (date, time, zone) = (Date::parse(parts.next()?)?, parts.next()?, parts.next()?);
        let mut clock = time.splitn(3, |&byte| byte == b':');
        let (hour, minute, second) = (clock.next()?, clock.next()?, clock.next()?);
        let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
        // 60 is a leap second, which the next minute's first second stands for.
        if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let offset = zone_minutes(zone)?;
        let seconds = date.days * DAY + hour * 3600 + minute * 60 + second - i64::from(offset) * 60;
        Some(DateTime { seconds, offset })
    }

    /// `17-Jul-1996 02:44:25 -0700`, the day padded with a space, without quotes. Years beyond 9999 are 9999.
    pub fn format(&self) -> String {
        let local = (self.seconds + i64::from(self.offset) * 60).clamp(EARLIEST, LATEST);
        let (year, month, day) = calendar(local.div_euclid(DAY));
        let time = local.rem_euclid(DAY);
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        let name = MONTHS[usize::try_from(month - 1).unwrap_or(0)];
        let sign = if self.offset < 0 { '-' } else { '+' };
        let zone = self.offset.abs() / 60 * 100 + self.offset.abs() % 60;
        format!("{day:2}-{name}-{year:04} {hour:02}:{minute:02}:{second:02} {sign}{zone:04}")
    }
}

fn number(digits: &[u8], longest: usize) -> Option<i64> {
    if digits.is_empty() || digits.len() > longest || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn month_number(name: &[u8]) -> Option<i64> {
    let index = MONTHS.iter().position(|month| month.as_bytes().eq_ignore_ascii_case(name))?;
    i64::try_from(index + 1).ok()
}

/// `zone = ("+" / "-") 4DIGIT`.
fn zone_minutes(zone: &[u8]) -> Option<i32> {
    let (&sign, digits) = zone.split_first()?;
    if digits.len() != 4 {
        return None;
    }
    let hours = i32::try_from(number(&digits[..2], 2)?).ok()?;
    let minutes = i32::try_from(number(&digits[2..], 2)?).ok()?;
    if minutes > 59 {
        return None;
    }
    match sign {
        b'+' => Some(hours * 60 + minutes),
        b'-' => Some(-(hours * 60 + minutes)),
        _ => None,
    }
}

/// Days since 1970-01-01 of a day in the Gregorian calendar, if there is such a day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || day > longest {
        return None;
    }
    // Years that begin in March put the leap day at their end.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * DAYS_OF_ERA + day_of_era - DAYS_TO_1970)
}

/// Year, month and day of a count of days since 1970-01-01.
fn calendar(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let era = days.div_euclid(DAYS_OF_ERA);
    let day_of_era = days.rem_euclid(DAYS_OF_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Days of 400 years.
const DAYS_OF_ERA: i64 = 146_097;

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

/// 0000-01-01T00:00:00 and 9999-12-31T23:59:59: what four digits can say.
const EARLIEST: i64 = -62_167_219_200;
const LATEST: i64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_written() {
        for (text, seconds, offset) in [
            ("17-Jul-1996 02:44:25 -0700", 837_596_665, -420),
            (" 1-Jan-1970 00:00:00 +0000", 0, 0),
            (" 1-Mar-2000 01:00:00 +0100", 951_868_800, 60),
            ("29-Feb-2024 23:59:59 +0545", 1_709_230_499, 345),
            ("31-Dec-1969 23:59:59 +0000", -1, 0),
        ] {
            let moment = DateTime::parse(text.as_bytes()).expect(text);
            assert_eq!((moment.seconds, moment.offset), (seconds, offset), "{text}");
            assert_eq!(moment.format(), text);
        }
        for (text, written) in [
            ("01-jan-1970 00:00:00 -0000", " 1-Jan-1970 00:00:00 +0000"),
            ("1-JAN-1970 00:00:00 +0000", " 1-Jan-1970 00:00:00 +0000"),
        ] {
            assert_eq!(DateTime::parse(text.as_bytes()).expect(text).format(), written);
        }
        for bad in [
            "",
            "1-Jan-1970",
            "1-Jan-1970 00:00:00",
            "30-Feb-2024 00:00:00 +0000",
            "1-Jan-70 00:00:00 +0000",
            "1-Jan-1970 24:00:00 +0000",
            "1-Jan-1970 00:00:00 0000",
            "1-Jan-1970 00:00:00 +00:00",
        ] {
            assert_eq!(DateTime::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn days_are_read() {
        for (text, days) in
            [("1-Feb-1994", Some(8797)), ("01-Jan-1970", Some(0)), ("0-Jan-1970", None), ("1-Foo-1970", None)]
        {
            assert_eq!(Date::parse(text.as_bytes()).map(|date| date.days), days, "{text}");
        }
    }

    #[test]
    fn every_day_comes_back() {
        for day in (-800_000..800_000).step_by(97) {
            let (year, month, date) = calendar(day);
            assert_eq!(days(year, month, date), Some(day));
        }
    }
}
