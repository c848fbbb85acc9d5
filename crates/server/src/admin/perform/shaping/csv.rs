//! Suppressed addresses as lines: what others export is read, and what is written reads back.
//!
//! Standards: RFC 4180, without line ends within a field.

use postroad_queue::suppression::{self, EVERYBODY, Entry, Reason};
use postroad_store::Timestamp;

/// The first line.
pub(super) const NAMES: &str = "address,scope,reason,source,said,since,expires";
const MICROS: i64 = 1_000_000;

/// What a line is.
pub(super) enum Line {
    /// The names of the columns.
    Names,
    Entry(Box<Entry>),
    Refused,
}

/// One entry with its line end.
pub(super) fn line(entry: &Entry) -> String {
    let expires = entry.expires.map(|at| (at.0 / MICROS).to_string()).unwrap_or_default();
    let since = (entry.since.0 / MICROS).to_string();
    let fields = [&entry.address, &entry.scope, entry.reason.name(), &entry.source, &entry.said, &since, &expires];
    let quoted: Vec<String> = fields.into_iter().map(quote).collect();
    quoted.join(",") + "\n"
}

/// An address alone, or the columns of [`NAMES`], of which all but the first may be missing. Without a scope it is that of
/// the import.
pub(super) fn entry(line: &str, scope: &str, source: &str, now: Timestamp) -> Line {
    let fields = split(line.trim_end_matches('\r').trim_start_matches('\u{feff}'));
    let field = |at: usize| fields.get(at).map(|field| field.trim()).filter(|field| !field.is_empty());
    let Some(address) = field(0) else { return Line::Refused };
    if address.eq_ignore_ascii_case("address") || address.eq_ignore_ascii_case("email") {
        return Line::Names;
    }
    if address.parse::<postroad_smtp::Address>().is_err() {
        return Line::Refused;
    }
    let scope = field(1).unwrap_or(scope);
    let is_scope = scope == EVERYBODY || !scope.contains(|sign: char| sign.is_whitespace() || sign == '*');
    if !is_scope {
        return Line::Refused;
    }
    let time = |at| field(at).and_then(|text| text.parse::<i64>().ok()?.checked_mul(MICROS)).map(Timestamp);
    let since = time(5).unwrap_or(now);
    Line::Entry(Box::new(Entry {
        address: suppression::canonical(address),
        scope: suppression::canonical(scope),
        reason: field(2).and_then(Reason::from_name).unwrap_or(Reason::Imported),
        source: field(3).unwrap_or(source).to_owned(),
        said: field(4).unwrap_or_default().to_owned(),
        failures: 0,
        since,
        last: now,
        expires: time(6),
        active: true,
    }))
}

fn quote(field: &str) -> String {
    let flat = field.replace(['\r', '\n'], " ");
    // A spreadsheet takes what begins like this for a formula.
    let flat = if flat.starts_with(['=', '+', '@']) { format!(" {flat}") } else { flat };
    if flat.contains([',', ';', '\t', '"', ' ']) { format!("\"{}\"", flat.replace('"', "\"\"")) } else { flat }
}

fn split(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut signs = line.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '"' if quoted && signs.peek() == Some(&'"') => {
                field.push('"');
                signs.next();
            }
            '"' => quoted = !quoted,
            ',' | ';' | '\t' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000 * MICROS);

    fn read(line: &str) -> Option<Entry> {
        match entry(line, "ours.test", "list.csv", NOW) {
            Line::Entry(entry) => Some(*entry),
            Line::Names | Line::Refused => None,
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for said in ["", "550 5.1.1 no, \"really\" no", "a;b\tc"] {
            let entry = Entry {
                address: "a+b@far.test".to_owned(),
                scope: "*".to_owned(),
                reason: Reason::Complaint,
                source: "report 7".to_owned(),
                said: said.to_owned(),
                failures: 0,
                since: Timestamp(1_780_000_000 * MICROS),
                last: NOW,
                expires: Some(Timestamp(1_800_000_000 * MICROS)),
                active: true,
            };
            assert_eq!(read(line(&entry).trim_end()), Some(entry));
        }
    }

    #[test]
    fn lists_of_others_are_read() {
        let one = read("Bob@Far.test").expect("an address alone");
        assert_eq!(
            (one.address.as_str(), one.scope.as_str(), one.reason),
            ("bob@far.test", "ours.test", Reason::Imported)
        );
        assert_eq!(read("x@far.test;news.ours.test;hard bounce").expect("with semicolons").scope, "news.ours.test");
        for line in ["address,scope", "Email", "", "no address", "x@far.test,*.test"] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
