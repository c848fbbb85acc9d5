//! Dates: RFC 5322 date-time, IMAP date-time and date, civil days.

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
    /// 0 to 9999.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl DateTime {
    /// An instant in UTC.
    pub fn utc(micros: i64) -> DateTime {
        DateTime { micros, offset_minutes: 0 }
    }

    /// RFC 5322 §3.3 and §4.3 date-time, lenient.
    pub fn parse(value: &[u8]) -> Option<DateTime> {
        let _ = value;
        unimplemented!()
    }

    /// RFC 5322 date-time: `Fri, 21 Nov 1997 09:55:06 -0600`.
    pub fn format(&self) -> String {
        unimplemented!()
    }

    /// IMAP date-time without its quotes: `17-Jul-1996 02:44:25 -0700`; strict but for a leading space or single-digit day.
    pub fn parse_imap(value: &[u8]) -> Option<DateTime> {
        let _ = value;
        unimplemented!()
    }

    /// IMAP date-time without its quotes (INTERNALDATE): ` 7-Jul-1996 02:44:25 -0700`.
    pub fn format_imap(&self) -> String {
        unimplemented!()
    }

    /// The day as written, in its own zone (SEARCH SENTON and the like disregard time and zone).
    pub fn local_date(&self) -> Date {
        unimplemented!()
    }
}

impl Date {
    /// IMAP `date` without quotes: `1-Feb-1994`.
    pub fn parse_imap(value: &[u8]) -> Option<Date> {
        let _ = value;
        unimplemented!()
    }

    /// Days since 1970-01-01.
    pub fn days(&self) -> i64 {
        unimplemented!()
    }

    /// The day that is so many days after 1970-01-01.
    pub fn from_days(days: i64) -> Date {
        let _ = days;
        unimplemented!()
    }

    /// Microseconds since 1970 at which this day starts in UTC.
    pub fn start_micros(&self) -> i64 {
        self.days() * 86_400_000_000
    }

    /// `1-Feb-1994`.
    pub fn format_imap(&self) -> String {
        unimplemented!()
    }
}
