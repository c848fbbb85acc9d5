//! The record of a key: where it belongs, what it says, and whether what the DNS has is the same.
//!
//! Standards: RFC 6376 §3.6.1 (tags), §3.6.2.1 (names), RFC 8463 §4 (k=ed25519).

use super::Found;

/// A record that takes a key back (RFC 6376 §3.6.1: an empty `p=`).
pub const REVOKED: &str = "v=DKIM1; p=";

/// `selector._domainkey.domain`.
pub fn name(selector: &str, domain: &str) -> String {
    format!("{selector}._domainkey.{domain}")
}

/// Whether a name can be a selector of ours: labels of letters, digits and hyphens (RFC 6376 §3.1).
pub fn is_selector(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= MAX_SELECTOR && text.split('.').all(label)
}

/// Compares what the DNS has under a key's name with what belongs there. `published` are the TXT records, each joined.
pub fn compare(wanted: &str, published: &[Vec<u8>]) -> Found {
    // RFC 6376 §3.6.2.2: with several records a verifier takes whichever it likes.
    let record = match published {
        [] => return Found::Missing,
        [record] => record,
        [_, _, ..] => return Found::Differs(format!("there are {} records; one has to stay", published.len())),
    };
    let Ok(text) = std::str::from_utf8(record) else {
        return Found::Differs("the record is not text".into());
    };
    let (has, wants) = (Tags::of(text), Tags::of(wanted));
    match difference(&has, &wants) {
        None => Found::Good,
        Some(why) => Found::Differs(why),
    }
}

fn difference(has: &Tags<'_>, wants: &Tags<'_>) -> Option<String> {
    if has.value("v").is_some_and(|version| version != "DKIM1") {
        return Some(format!("it says v={}", shown(&has.value("v").unwrap_or_default())));
    }
    // An unquoted semicolon is where zone files and web forms cut a record off.
    let Some(key) = has.value("p") else { return Some("it has no p=, as if it were cut off".into()) };
    if key.is_empty() {
        return Some("it has an empty p=, which takes the key back".into());
    }
    let kind = |tags: &Tags<'_>| tags.value("k").unwrap_or_else(|| "rsa".into());
    if kind(has) != kind(wants) {
        return Some(format!("it is for a key of kind {}", shown(&kind(has))));
    }
    let expected = wants.value("p").unwrap_or_default();
    if key != expected {
        let cut = expected.starts_with(&key);
        return Some(if cut { "its key is cut off".into() } else { "it has another key".into() });
    }
    let allows = |tag: &str, names: &[&str]| {
        has.value(tag)
            .is_none_or(|list| list.split(':').any(|name| names.contains(&name.to_ascii_lowercase().as_str())))
    };
    if !allows("h", &["sha256"]) {
        return Some("its h= does not allow sha256".into());
    }
    if !allows("s", &["email", "*"]) {
        return Some("its s= does not allow email".into());
    }
    None
}

/// `name=value` between semicolons.
struct Tags<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Tags<'a> {
    fn of(text: &'a str) -> Tags<'a> {
        let pair = |part: &'a str| part.split_once('=').map(|(name, value)| (name.trim(), value));
        Tags(text.split(';').take(MAX_TAGS).filter_map(pair).collect())
    }

    /// Without the white space that may be anywhere in it.
    fn value(&self, name: &str) -> Option<String> {
        let found = self.0.iter().find(|(tag, _)| *tag == name);
        found.map(|(_, value)| value.chars().filter(|c| !c.is_ascii_whitespace()).collect())
    }
}

/// Strangers may have written it.
fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// Longest selector in octets: it has to fit into a name together with a domain.
const MAX_SELECTOR: usize = 100;
/// Tags that are looked at.
const MAX_TAGS: usize = 30;
/// Of a value that is shown.
const MAX_SHOWN: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_compared_by_what_they_mean() {
        let wanted = "v=DKIM1; k=rsa; p=MIIBIjAN";
        let check = |published: &[&str]| {
            let published: Vec<Vec<u8>> = published.iter().map(|record| record.as_bytes().to_vec()).collect();
            match compare(wanted, &published) {
                Found::Differs(why) => why,
                other => other.name().to_owned(),
            }
        };
        for (published, expect) in [
            (&["v=DKIM1; k=rsa; p=MIIBIjAN"][..], "good"),
            (&["p=MIIB IjAN"], "good"),
            (&["v=DKIM1;k=rsa;h=sha1:sha256;s=*;t=y;p=MIIBIjAN;"], "good"),
            (&[], "missing"),
            (&["v=DKIM1; k=rsa; p=MIIBIjAO"], "it has another key"),
            (&["v=DKIM1; k=rsa; p=MIIB"], "its key is cut off"),
            (&["v=DKIM1"], "it has no p=, as if it were cut off"),
            (&["v=DKIM1; p="], "it has an empty p=, which takes the key back"),
            (&["v=DKIM1; k=ed25519; p=MIIBIjAN"], "it is for a key of kind ed25519"),
            (&["v=DKIM2; p=MIIBIjAN"], "it says v=DKIM2"),
            (&["v=DKIM1; h=sha1; p=MIIBIjAN"], "its h= does not allow sha256"),
            (&["v=DKIM1; s=web; p=MIIBIjAN"], "its s= does not allow email"),
            (&["p=MIIBIjAN", "p=MIIBIjAN"], "there are 2 records; one has to stay"),
        ] {
            assert_eq!(check(published), expect, "{published:?}");
        }
    }

    #[test]
    fn selectors_are_names() {
        for (text, expect) in [
            ("r20261122", true),
            ("a.b-c", true),
            ("", false),
            ("-a", false),
            ("a..b", false),
            ("A", false),
            ("a_b", false),
        ] {
            assert_eq!(is_selector(text), expect, "{text}");
        }
        assert!(!is_selector(&"a.".repeat(80)));
    }

    /// Whatever is published: a verdict, in words that can be shown.
    #[test]
    fn fuzz_compare() {
        const PIECES: [&str; 10] = ["v=DKIM1", ";", " ", "p=", "MIIB", "k=rsa", "h=sha256", "=", "s=*", "\u{7}"];
        postroad_fuzz::check!(2_000).with_type::<Vec<u8>>().for_each(|bytes| {
            let pieced: String = bytes.iter().map(|byte| PIECES[usize::from(*byte) % PIECES.len()]).collect();
            for record in [bytes.clone(), pieced.into_bytes()] {
                match compare("v=DKIM1; k=rsa; p=MIIBMIIB", &[record]) {
                    Found::Differs(why) => assert!(why.len() < 100 && !why.contains(char::is_control), "{why}"),
                    Found::Good => {}
                    other => panic!("{other:?}"),
                }
            }
        });
    }
}
