//! Dates: what is written and the instant it means.

use postroad_message::date::{Date, DateTime};

fn check(value: &str, expected: Option<&str>) {
    let read = DateTime::parse(value.as_bytes()).map(|d| d.format());
    assert_eq!(read.as_deref(), expected, "{value}");
}

#[test]
fn rfc_5322_dates() {
    for (value, expected) in [
        ("Fri, 21 Nov 1997 09:55:06 -0600", "Fri, 21 Nov 1997 09:55:06 -0600"),
        ("Thu, 13 Feb 1969 23:32:54 -0330", "Thu, 13 Feb 1969 23:32:54 -0330"),
        (
            "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
            "Thu, 13 Feb 1969 23:32:00 -0330",
        ),
        ("21 Nov 97 09:55:06 GMT", "Fri, 21 Nov 1997 09:55:06 +0000"),
        ("1 Jan 49 00:00 UT", "Fri, 1 Jan 2049 00:00:00 +0000"),
        ("1 Jan 50 00:00 UT", "Sun, 1 Jan 1950 00:00:00 +0000"),
        ("1 Jan 101 00:00 UT", "Mon, 1 Jan 2001 00:00:00 +0000"),
        ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "Fri, 21 Nov 1997 00:00:00 +0000"),
        ("Fri, 21 Nov 1997 09:55:06 EST", "Fri, 21 Nov 1997 09:55:06 -0500"),
        ("Fri, 21 Nov 1997 09:55:06 K", "Fri, 21 Nov 1997 09:55:06 +0000"),
        ("Fri, 21 Nov 1997 09:55:06 -0700 (PDT)", "Fri, 21 Nov 1997 09:55:06 -0700"),
        ("Fri, 21 Nov 1997 09:55:06 +01:30", "Fri, 21 Nov 1997 09:55:06 +0130"),
        ("Fri, 21 Nov 1997 09:55:06 GMT+0100", "Fri, 21 Nov 1997 09:55:06 +0100"),
        ("Fri, 21 Nov 1997 09:55:06 NOWHERE", "Fri, 21 Nov 1997 09:55:06 +0000"),
        ("21 Nov 1997", "Fri, 21 Nov 1997 00:00:00 +0000"),
        ("Friday, 21 November 1997 09:55:06 -0600", "Fri, 21 Nov 1997 09:55:06 -0600"),
        ("Fri Nov 21 09:55:06 1997", "Fri, 21 Nov 1997 09:55:06 +0000"),
        ("Fri Nov 21 09:55:06 PST 1997", "Fri, 21 Nov 1997 09:55:06 -0800"),
        ("21-Nov-1997 09:55:06 -0600", "Fri, 21 Nov 1997 09:55:06 -0600"),
        ("1997-11-21 09:55:06", "Fri, 21 Nov 1997 09:55:06 +0000"),
        ("1997-11-21T09:55:06.123Z", "Fri, 21 Nov 1997 09:55:06 +0000"),
        ("1997-11-21T09:55:06-06:00", "Fri, 21 Nov 1997 09:55:06 -0600"),
        ("Nov 21, 1997 9:55:06 PM", "Fri, 21 Nov 1997 21:55:06 +0000"),
        ("Sat, 31 Dec 2016 23:59:60 +0000", "Sun, 1 Jan 2017 00:00:00 +0000"),
        ("Tue, 29 Feb 2000 00:00:00 +0000", "Tue, 29 Feb 2000 00:00:00 +0000"),
        ("Fri, 31 Dec 9999 23:59:59 +0000", "Fri, 31 Dec 9999 23:59:59 +0000"),
    ] {
        check(value, Some(expected));
    }
}

#[test]
fn what_is_no_date() {
    for value in [
        "",
        "nonsense",
        "Fri, 31 Feb 1997 09:55:06 -0600",
        "29 Feb 1900 00:00 +0000",
        "1 Jan 99999 00:00 +0000",
        "0 Jan 2000 00:00 +0000",
        "1 Foo 2000 00:00 +0000",
        "99999999999999999999 Jan 2000",
        "32 Jan 2000",
        "1 Jan",
        "Jan 2000",
        "1 Jan 1800 00:00 +0000",
        "-",
        "+",
        ":",
        "T",
        "1-T",
        "é",
        "((((",
    ] {
        check(value, None);
    }
}

#[test]
fn instants_are_in_microseconds() {
    for (value, micros, minutes) in [
        ("Thu, 1 Jan 1970 00:00:00 +0000", 0, 0),
        ("Thu, 1 Jan 1970 01:00:00 +0100", 0, 60),
        ("Wed, 31 Dec 1969 23:59:59 +0000", -1_000_000, 0),
        ("Fri, 21 Nov 1997 09:55:06 -0600", 880_127_706_000_000, -360),
        ("Sun, 22 Nov 2026 03:44:15 +0000", 1_795_319_055_000_000, 0),
    ] {
        assert_eq!(DateTime::parse(value.as_bytes()), Some(DateTime { micros, offset_minutes: minutes }), "{value}");
    }
}

#[test]
fn imap_dates() {
    for value in ["17-Jul-1996 02:44:25 -0700", " 7-Jul-1996 02:44:25 +0545", "31-Dec-9999 23:59:59 +0000"] {
        let read = DateTime::parse_imap(value.as_bytes()).expect(value);
        assert_eq!(read.format_imap(), value);
    }
    assert!(DateTime::parse_imap(b"7-Jul-1996 02:44:25 +0000").is_some());
    for value in [
        "17-Jul-1996",
        "17-Jul-1996 02:44 +0000",
        "17-July-1996 02:44:25 +0000",
        "17-Jul-96 02:44:25 +0000",
        "17-Jul-1996 02:44:25 GMT",
        "17-Jul-1996 24:44:25 +0000",
        "17-Jul-1996 02:44:25 +0000 x",
        "31-Jun-1996 02:44:25 +0000",
        "",
        "17-Jul-1996 02:44:25 +2400",
    ] {
        assert_eq!(DateTime::parse_imap(value.as_bytes()), None, "{value}");
    }
    assert_eq!(Date::parse_imap(b"1-Feb-1994"), Some(Date { year: 1994, month: 2, day: 1 }));
    assert_eq!(Date::parse_imap(b"01-FEB-1994").map(|d| d.format_imap()).as_deref(), Some("1-Feb-1994"));
    assert_eq!(Date::parse_imap(b"1-Feb-94"), None);
    assert_eq!(Date::parse_imap(b"1-2-1994"), None);
}

#[test]
fn the_local_day_disregards_the_zone() {
    let date = DateTime::parse(b"Fri, 21 Nov 1997 23:55:06 -0600").expect("a date").local_date();
    assert_eq!(date, Date { year: 1997, month: 11, day: 21 });
}

#[test]
fn every_day_of_three_thousand_years_is_itself_again() {
    let mut before = None;
    for days in -500_000..600_000 {
        let date = Date::from_days(days);
        assert_eq!(date.days(), days);
        assert!(before.is_none_or(|b| b < date));
        before = Some(date);
    }
}

#[test]
fn extremes_do_not_panic() {
    for micros in [i64::MIN, i64::MAX, 0] {
        for offset_minutes in [i16::MIN, i16::MAX, 0] {
            let time = DateTime { micros, offset_minutes };
            assert!(time.format().len() > 20);
            assert!(time.format_imap().len() > 20);
        }
    }
    for year in [i32::MIN, i32::MAX] {
        let date = Date { year, month: 255, day: 255 };
        assert!(!date.format_imap().is_empty());
        let _saturates = date.start_micros();
    }
}
