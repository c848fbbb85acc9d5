//! Dates: RFC 5322 date-time, IMAP date-time and date, and the civil calendar under them.
//!
//! No clock is read here. Time is microseconds since 1970 without leap seconds. Standards: RFC 5322 §3.3 and §4.3, RFC 9051 §9.

mod imap;
mod rfc5322;

/// An instant with the offset it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime {
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub micros: i64,
    /// Minutes east of UTC.
    pub offset_minutes: i16,
}

/// A day of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// The year; 1 to 9999 where it was parsed.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

impl DateTime {
    /// An instant in UTC.
    pub fn utc(micros: i64) -> DateTime {
        DateTime { micros, offset_minutes: 0 }
    }

    /// A day and time of day as written with an offset.
    fn from_local(date: Date, hour: u32, minute: u32, second: u32, offset_minutes: i16) -> DateTime {
        let seconds =
            i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second) - i64::from(offset_minutes) * 60;
        DateTime { micros: date.start_micros() + seconds * MICROS_PER_SECOND, offset_minutes }
    }

    /// Microseconds as a clock on the wall there showed them.
    fn local_micros(&self) -> i64 {
        self.micros.saturating_add(i64::from(self.offset_minutes) * 60 * MICROS_PER_SECOND)
    }

    /// The day as written, in its own zone (RFC 9051 §6.4.4: SENTON and the like disregard time and zone).
    pub fn local_date(&self) -> Date {
        Date::from_days(self.local_micros().div_euclid(MICROS_PER_DAY))
    }

    /// Hour, minute, second in its own zone.
    fn local_time(&self) -> (i64, i64, i64) {
        let seconds = self.local_micros().rem_euclid(MICROS_PER_DAY) / MICROS_PER_SECOND;
        (seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    /// `-0600`
    fn zone(&self) -> String {
        let sign = if self.offset_minutes < 0 { '-' } else { '+' };
        let minutes = self.offset_minutes.unsigned_abs();
        format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
    }
}

impl Date {
    /// A day that exists, in the years that mail can name.
    pub fn new(year: i32, month: u8, day: u8) -> Option<Date> {
        let valid =
            (1..=9999).contains(&year) && (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
        valid.then_some(Date { year, month, day })
    }

    /// Days since 1970-01-01.
    pub fn days(&self) -> i64 {
        // Years begin in March here, so that the leap day is the last of its year and months have a regular pattern.
        let shifted = (i64::from(self.month) + 9).rem_euclid(12);
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let day_of_year = (153 * shifted + 2) / 5 + i64::from(self.day) - 1;
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - DAYS_TO_1970
    }

    /// The day that is so many days after 1970-01-01 (within what a [`DateTime`] can hold).
    pub fn from_days(days: i64) -> Date {
        let days = days.clamp(-200_000_000, 200_000_000) + DAYS_TO_1970;
        let era = days.div_euclid(DAYS_IN_400_YEARS);
        let in_era = days.rem_euclid(DAYS_IN_400_YEARS);
        // The last day of a century and of an era would be counted into a year that does not exist.
        let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
        let day_of_year = in_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        Date { year: year as i32, month: month as u8, day: day as u8 }
    }

    /// Microseconds since 1970 at which this day starts in UTC.
    pub fn start_micros(&self) -> i64 {
        self.days().saturating_mul(MICROS_PER_DAY)
    }

    fn month_name(&self) -> &'static str {
        MONTHS.get(usize::from(self.month).wrapping_sub(1)).copied().unwrap_or("Jan")
    }
}

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;
const DAYS_IN_400_YEARS: i64 = 146_097;

fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The month that a name begins with: `Jan`, `january`, `JANUAR`.
fn month_number(name: &[u8]) -> Option<u8> {
    let head = name.get(..3)?;
    let at = MONTHS.iter().position(|m| m.as_bytes().eq_ignore_ascii_case(head))?;
    Some(at as u8 + 1)
}

/// Decimal digits only.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 6 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0')))
}

/// `hh:mm` or `hh:mm:ss`, a fraction after it ignored. Second 60 is a leap second.
fn time_of_day(token: &[u8]) -> Option<(u32, u32, u32)> {
    let whole = token.split(|&b| b == b'.').next()?;
    let mut pieces = whole.split(|&b| b == b':');
    let hour = number(pieces.next()?)?;
    let minute = number(pieces.next()?)?;
    let second = pieces.next().map_or(Some(0), number)?;
    (hour < 24 && minute < 60 && second <= 60 && pieces.next().is_none()).then_some((hour, minute, second))
}

/// `+hhmm`, `-hhmm`, `+hh:mm`, `+hh`, in minutes.
fn numeric_zone(token: &[u8]) -> Option<i16> {
    let (sign, digits) = token.split_first()?;
    let digits: Vec<u8> = digits.iter().copied().filter(|b| *b != b':').collect();
    let value = number(&digits)?;
    let (hours, minutes) = match digits.len() {
        1 | 2 => (value, 0),
        3 | 4 => (value / 100, value % 100),
        _ => return None,
    };
    let total = i16::try_from(hours * 60 + minutes).ok().filter(|_| hours < 24 && minutes < 60)?;
    match sign {
        b'+' => Some(total),
        b'-' => Some(-total),
        _ => None,
    }
}
