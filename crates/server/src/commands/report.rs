//! `report`: what others tell of our mail, and what we owe them.

use std::process::ExitCode;

use anyhow::{Result, bail};
use postroad_message::date::Date;

use super::administer::{act, age};
use crate::admin::{Operation, ReportOrder};
use crate::cli::{Output, Place, Report};
use crate::place;
use crate::settings::Settings;

pub(super) fn command(action: Report, at: &Place, output: Output) -> Result<ExitCode> {
    let order = match action {
        Report::Dmarc { domain, since } => ReportOrder::Dmarc { domain, since_seconds: age(&since)? },
        Report::Tls { domain, since } => ReportOrder::Tls { domain, since_seconds: age(&since)? },
        Report::Arf { domain, since } => ReportOrder::Arf { domain, since_seconds: age(&since)? },
        Report::Send { day, dry_run } => {
            let Settings { hostname, dns, outbound, reports, .. } = place::settings(at)?;
            let settings = Box::new(Settings { hostname, dns, outbound, reports, ..Settings::default() });
            ReportOrder::Send { day: date(&day)?, dry_run, settings }
        }
    };
    act(Operation::Report { order }, at, output)
}

/// `2026-11-21` as days since 1970.
fn date(text: &str) -> Result<i64> {
    let mut numbers = text.split('-').map(str::parse::<u16>);
    let parsed = match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(year)), Some(Ok(month)), Some(Ok(day)), None) => {
            let small = |number: u16| u8::try_from(number).unwrap_or(0);
            Date::new(i32::from(year), small(month), small(day))
        }
        _ => None,
    };
    match parsed {
        Some(date) => Ok(date.days()),
        None => bail!("{text} is no day; write 2026-11-21"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn days_are_read() {
        assert_eq!(super::date("1970-01-02").ok(), Some(1));
        for wrong in ["", "2026-13-01", "2026-02-30", "yesterday", "2026-1", "2026-1-1-1"] {
            assert!(super::date(wrong).is_err(), "{wrong}");
        }
    }
}
