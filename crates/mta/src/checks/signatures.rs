//! What the header alone tells: the signatures and the chain that are to be looked at, the author's domains, the list.

use postroad_mailauth::body::Hashers;
use postroad_mailauth::{arc, dkim};
use postroad_message::header::find;
use postroad_store::Timestamp;

use crate::header::{MAX_AUTHORS, Review};

/// A message whose body streams.
#[derive(Debug)]
pub(crate) struct Signatures {
    pub(crate) dkim: dkim::Verifier,
    pub(crate) arc: arc::Verifier,
    pub(crate) authors: Authors,
}

/// Who the message says it is from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Authors {
    /// The domains in From, each once, as they stand there; [`MAX_DOMAINS`] at most.
    pub(crate) domains: Vec<String>,
    /// There are more authors than are looked at, more than one From field, or one that can be read in several ways: readers show
    /// one of them, and who knows which.
    pub(crate) crowd: bool,
    /// From fields; RFC 5322 §3.6 wants exactly one.
    pub(crate) fields: usize,
    /// What stands in the angle brackets of List-Id, in lower case (RFC 2919).
    pub(crate) list: Option<String>,
}

impl Signatures {
    /// Looks at the header as it came, and asks for the hashes that are needed.
    pub(crate) fn of(header: &[u8], review: &Review, now: Timestamp, hashers: &mut Hashers) -> Signatures {
        let (seconds, limits) = (now.0.div_euclid(1_000_000), dkim::Limits::default());
        Signatures {
            dkim: dkim::Verifier::new(header, seconds, &limits, hashers),
            arc: arc::Verifier::new(header, seconds, &limits, hashers),
            authors: Authors::of(header, review),
        }
    }
}

impl Authors {
    fn of(header: &[u8], review: &Review) -> Authors {
        let mut domains: Vec<String> = Vec::new();
        let mut crowd = review.from_fields > 1 || review.from_is_odd || review.from.len() > MAX_AUTHORS;
        for author in &review.from {
            let domain = author.domain.to_lowercase();
            if domain.is_empty() || domains.contains(&domain) {
                continue;
            }
            if domains.len() == MAX_DOMAINS {
                crowd = true;
                break;
            }
            domains.push(domain);
        }
        let list = find(header, "List-Id").and_then(|field| list_id(field.value));
        Authors { domains, crowd, fields: review.from_fields, list }
    }
}

/// RFC 2919 §3: a phrase, then the id in angle brackets.
fn list_id(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let id = text.rsplit_once('<')?.1.split_once('>')?.0.trim().to_lowercase();
    (!id.is_empty() && id.len() <= MAX_LIST_ID && !id.contains(char::is_whitespace)).then_some(id)
}

/// Domains of authors that DMARC is asked about; each is a walk up the tree.
pub(crate) const MAX_DOMAINS: usize = 4;
/// RFC 2919 §4.
const MAX_LIST_ID: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_are_counted_and_bounded() {
        let authors = |header: &str| {
            let authors = Authors::of(header.as_bytes(), &crate::header::review(header.as_bytes()));
            (authors.domains.join(" "), authors.crowd)
        };
        let many = format!("From: a@bank.test{}\r\n\r\n", ", b@other.test".repeat(1_000));
        let domains: String = (0..1_000).map(|n| format!("From: a@d{n}.test\r\n")).collect();
        for (header, expect, crowd) in [
            ("From: A <a@One.test>\r\n\r\n", "one.test", false),
            ("From: a@one.test, b@one.test,\r\n c@two.test\r\n\r\n", "one.test two.test", false),
            ("From: a@one.test\r\nFrom: b@one.test\r\n\r\n", "one.test", true),
            ("Subject: x\r\n\r\n", "", false),
            ("From: nobody\r\n\r\n", "", false),
            ("From: a@one.test b@two.test\r\n\r\n", "two.test", true),
            ("From: =?utf-8?q?a=40one.test=00?=@two.test\r\n\r\n", "two.test", true),
            ("From: a@one.test <>\r\n\r\n", "", true),
            (many.as_str(), "bank.test other.test", true),
            (domains.as_str(), "d0.test d1.test d2.test d3.test", true),
        ] {
            assert_eq!(authors(header), (expect.to_owned(), crowd), "{}", &header[..header.len().min(60)]);
        }
    }

    #[test]
    fn lists_are_named_in_brackets() {
        for (value, expect) in [
            (" A list <Dev.lists.example.test>", Some("dev.lists.example.test")),
            (" \"<a.b> or not\"\r\n <dev.lists.example.test>", Some("dev.lists.example.test")),
            (" dev.lists.example.test", None),
            (" <>", None),
            (" <a b>", None),
        ] {
            assert_eq!(list_id(value.as_bytes()).as_deref(), expect, "{value}");
        }
        assert_eq!(list_id(format!("<{}>", "a".repeat(256)).as_bytes()), None);
    }
}
