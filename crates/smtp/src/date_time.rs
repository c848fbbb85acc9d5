//! Moments as parameters carry them: RFC 3339 §5.6, as HOLDUNTIL (RFC 4865) and RRVS (RFC 7293) want it. A moment is
//! a number of seconds since 1970 in UTC; fractions of a second are read and dropped (RRVS has none, and says so itself).

/// `date-time = full-date "T" full-time`; `None` when it is malformed, out of range, or names no day.
pub fn parse_date_time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (date, rest) = text.split_at_checked(10)?;
    let year: i64 = digits(date.get(..4)?)?;
    let (month, day): (i64, i64) = (digits(date.get(5..7)?)?, digits(date.get(8..10)?)?);
    let separated = bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-');
    let (time, rest) = rest.strip_prefix(['T', 't'])?.split_at_checked(8)?;
    let clock = time.as_bytes();
    let (hour, minute, second): (i64, i64, i64) =
        (digits(time.get(..2)?)?, digits(time.get(3..5)?)?, digits(time.get(6..8)?)?);
    let separated = separated && clock.get(2) == Some(&b':') && clock.get(5) == Some(&b':');
    // A leap second counts as the second before it.
    let exists = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !separated || !exists || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let offset = offset(fraction_dropped(rest)?)?;
    let days = days_from_civil(year, month, day);
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second.min(59) - offset)
}

/// The moment in UTC: `2026-11-22T12:00:00Z`. Years beyond 0000 to 9999 have no form; the nearest that has is given.
pub fn format_date_time(seconds: i64) -> String {
    let seconds = seconds.clamp(EARLIEST, LATEST);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

fn digits(text: &str) -> Option<i64> {
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse().ok(),
        false => None,
    }
}

/// `time-secfrac = "." 1*DIGIT`
fn fraction_dropped(text: &str) -> Option<&str> {
    let Some(rest) = text.strip_prefix('.') else { return Some(text) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    (1..=FRACTION_LIMIT).contains(&end).then(|| &rest[end..])
}

/// `time-offset = "Z" / time-numoffset`, in seconds.
fn offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("Z") {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar; years are counted from March, so that the leap day is the last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, month) = (year.div_euclid(400), (month + 9) % 12);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// Digits behind the point; nobody measures finer.
const FRACTION_LIMIT: usize = 12;
/// 0000-01-01T00:00:00Z.
const EARLIEST: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z.
const LATEST: i64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_written() {
        for (text, expect) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-22T12:00:00Z", Some(1_795_348_800)),
            ("2026-11-22t13:00:00.25+01:00", Some(1_795_348_800)),
            ("2026-11-22T06:30:00-05:30", Some(1_795_348_800)),
            ("2000-02-29T23:59:60Z", Some(951_868_799)),
            ("1900-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-00-01T00:00:00Z", None),
            ("2026-04-31T00:00:00Z", None),
            ("2026-11-22T24:00:00Z", None),
            ("2026-11-22T12:00:00", None),
            ("2026-11-22 12:00:00Z", None),
            ("2026-11-22T12:00:00.Z", None),
            ("2026-11-22T12:00:00+1:00", None),
            ("2026-11-22T12:00:00Zz", None),
            ("+026-11-22T12:00:00Z", None),
            ("2026/11/22T12:00:00Z", None),
            ("ü026-11-22T12:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(parse_date_time(text), expect, "{text}");
        }
        assert_eq!(format_date_time(1_795_348_800), "2026-11-22T12:00:00Z");
        assert_eq!(format_date_time(i64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(format_date_time(i64::MIN), "0000-01-01T00:00:00Z");
    }

    #[test]
    fn fuzz_moments_come_back() {
        postroad_fuzz::check!(2000).with_type::<i64>().for_each(|seconds| {
            let seconds = seconds.rem_euclid(LATEST);
            assert_eq!(parse_date_time(&format_date_time(seconds)), Some(seconds));
        });
    }
}
