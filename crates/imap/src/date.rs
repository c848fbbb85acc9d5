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

impl DateTime {
    /// `"17-Jul-1996 02:44:25 -0700"` without its quotes.
    pub fn format(&self) -> String {
        unimplemented!()
    }
}
