//! IMAP date-time (INTERNALDATE) and date (SEARCH): RFC 9051 §9, without the quotes.

use super::{Date, DateTime, month_number, number, numeric_zone, time_of_day};

impl DateTime {
    /// `17-Jul-1996 02:44:25 -0700`; the day may be of one digit, with or without the space before it.
    pub fn parse_imap(value: &[u8]) -> Option<DateTime> {
        let mut pieces = value.trim_ascii().split(|&b| b == b' ');
        let date = Date::parse_imap(pieces.next()?)?;
        let time = pieces.next().filter(|t| t.len() == 8 && !t.contains(&b'.'))?;
        let zone = pieces.next().filter(|z| z.len() == 5)?;
        let (hour, minute, second) = time_of_day(time)?;
        let offset = numeric_zone(zone)?;
        pieces.next().is_none().then(|| DateTime::from_local(date, hour, minute, second, offset))
    }

    /// ` 7-Jul-1996 02:44:25 -0700`, always 26 characters for years of four digits.
    pub fn format_imap(&self) -> String {
        let date = self.local_date();
        let (hour, minute, second) = self.local_time();
        format!(
            "{:2}-{}-{:04} {hour:02}:{minute:02}:{second:02} {}",
            date.day,
            date.month_name(),
            date.year,
            self.zone()
        )
    }
}

impl Date {
    /// `1-Feb-1994`
    pub fn parse_imap(value: &[u8]) -> Option<Date> {
        let mut pieces = value.split(|&b| b == b'-');
        let day = pieces.next().filter(|d| d.len() <= 2).and_then(number)?;
        let month = pieces.next().filter(|m| m.len() == 3).and_then(month_number)?;
        let year = pieces.next().filter(|y| y.len() == 4).and_then(number)?;
        if pieces.next().is_some() {
            return None;
        }
        Date::new(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?)
    }

    /// `1-Feb-1994`
    pub fn format_imap(&self) -> String {
        format!("{}-{}-{:04}", self.day, self.month_name(), self.year)
    }
}
