//! The part of a notice for programs: RFC 3464 §2.2 and §2.3, RFC 6533 §3.

use postroad_message::date::DateTime;
use postroad_message::header::fold;
use postroad_smtp::Enhanced;
use postroad_store::Timestamp;

use super::{Fate, Report, Told, Why};

/// The fields. `utf8`: they may be more than ASCII.
pub(super) fn fields(report: &Report, utf8: bool) -> String {
    let mut fields = String::new();
    let mut add = |name: &str, value: &str| fields.push_str(&field(name, value, utf8));
    if let Some(envid) = &report.envid {
        add("Original-Envelope-Id", envid);
    }
    add("Reporting-MTA", &format!("dns; {}", report.hostname));
    add("Arrival-Date", &date(report.arrived));
    if let Some(by) = report.deliver_by {
        add("Deliver-By-Date", &date(by));
    }
    if let Some(hold) = &report.hold_asked {
        add("Future-Release-Request", hold);
    }
    if let Some(trace) = report.trace {
        add("X-Postroad-Trace", &trace.to_string());
    }
    for told in &report.told {
        fields.push_str("\r\n");
        recipient(&mut fields, told, utf8);
    }
    fields
}

fn recipient(fields: &mut String, told: &Told, utf8: bool) {
    let mut add = |name: &str, value: &str| fields.push_str(&field(name, value, utf8));
    if let Some(original) = &told.original {
        let (kind, address) = original.split_once(';').unwrap_or(("rfc822", original));
        add("Original-Recipient", &typed(kind, address, utf8));
    }
    add("Final-Recipient", &typed("rfc822", &told.address, utf8));
    let (action, status, why) = match &told.fate {
        Fate::Failed(why) => ("failed", Enhanced(5, why.words.enhanced.1, why.words.enhanced.2), Some(why)),
        // RFC 3464 §2.3.3 lets a failure have a 4: it was temporary until time was over.
        Fate::Expired(why) => ("failed", Enhanced(4, 4, 7), Some(why)),
        // RFC 2852 §4.1.4: it is late, whatever the reason.
        Fate::Delayed { why, in_time: true, .. } => ("delayed", Enhanced(4, 4, 7), Some(why)),
        Fate::Delayed { why, .. } => ("delayed", Enhanced(4, why.words.enhanced.1, why.words.enhanced.2), Some(why)),
        Fate::Delivered => ("delivered", Enhanced(2, 1, 5), None),
        Fate::Relayed(why) => ("relayed", Enhanced(2, 1, 9), Some(why)),
        Fate::Expanded => ("expanded", Enhanced(2, 1, 5), None),
    };
    add("Action", action);
    add("Status", &status.to_string());
    if let Some(why) = why {
        diagnosis(fields, why, utf8);
    }
    if let Fate::Delayed { until, .. } = &told.fate {
        fields.push_str(&field("Will-Retry-Until", &date(*until), utf8));
    }
}

fn diagnosis(fields: &mut String, why: &Why, utf8: bool) {
    let mut add = |name: &str, value: &str| fields.push_str(&field(name, value, utf8));
    if let Some(host) = &why.host {
        add("Remote-MTA", &format!("dns; {host}"));
    }
    // RFC 3464 §2.3.6: a code of SMTP is what the remote said; what we found is of a kind of our own.
    let kind = if why.words.code.is_some() { "smtp" } else { "x-postroad" };
    add("Diagnostic-Code", &format!("{kind}; {}", why.words.line()));
    if let Some(at) = why.at {
        add("Last-Attempt-Date", &date(at));
    }
}

/// `type; address`, internationalised as RFC 6533 §3 says: as it is where UTF-8 may be, else in its ASCII form.
fn typed(kind: &str, address: &str, utf8: bool) -> String {
    if address.is_ascii() {
        return format!("{kind}; {address}");
    }
    if utf8 {
        return format!("utf-8; {address}");
    }
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '+' | '=' | '\\');
    let address: String = address
        .chars()
        .map(|c| if plain(c) { c.to_string() } else { format!("\\x{{{:02X}}}", u32::from(c)) })
        .collect();
    format!("utf-8; {address}")
}

/// A field line that no value can break out of: one line of words that fit.
fn field(name: &str, value: &str, utf8: bool) -> String {
    let blank = value.replace(|c: char| c.is_control() || c.is_whitespace(), " ");
    let mut clean: String = crate::story::printable(&blank)
        .chars()
        .map(|c| match c {
            _ if !utf8 && !c.is_ascii() => '?',
            _ => c,
        })
        .collect();
    clean.truncate(clean.floor_char_boundary(MAX_VALUE));
    let words = clean.split(' ').flat_map(pieces);
    fold(name, &words.collect::<Vec<_>>().join(" "))
}

/// RFC 5322 §2.1.1: a line has 998 octets at most, and a word cannot be folded.
fn pieces(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let end = rest.floor_char_boundary(MAX_WORD.min(rest.len()));
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

fn date(at: Timestamp) -> String {
    DateTime::utc(at.0).format()
}

/// Longest value of a field in bytes.
const MAX_VALUE: usize = 4_000;
/// Longest word in it.
const MAX_WORD: usize = 900;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_their_types() {
        for (kind, address, utf8, expect) in [
            ("rfc822", "a@b.test", false, "rfc822; a@b.test"),
            ("x400", "/G=a/", true, "x400; /G=a/"),
            ("rfc822", "jö+x@bü.test", true, "utf-8; jö+x@bü.test"),
            ("utf-8", "jö+x@bü.test", false, "utf-8; j\\x{F6}\\x{2B}x@b\\x{FC}.test"),
        ] {
            assert_eq!(typed(kind, address, utf8), expect);
        }
    }

    #[test]
    fn nothing_breaks_out_of_a_field() {
        assert_eq!(field("A", "b\r\nC: d\u{2028}ü", false), "A: b C: d ?\r\n");
        assert_eq!(field("A", "b\u{202e}c\u{9b}d", true), "A: b\u{fffd}c d\r\n");
        let long = field("A", &"x".repeat(10_000), true);
        assert!(long.lines().all(|line| line.len() < 998) && long.len() > 3_900);
    }
}
