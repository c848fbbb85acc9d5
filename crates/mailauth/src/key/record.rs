//! Key records in the DNS.
//!
//! Read leniently where nothing depends on it: white space anywhere, empty tags, missing `v=`; `g=` and `n=` do not count.
//! Standards: RFC 6376 §3.6.1, RFC 8463 §4.

use std::fmt;

use super::SigningKey;
use crate::domain::MAX_NAME;
use crate::tags::{self, Empty, Tags, base64, shown};

/// A published key (RFC 6376 §3.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What `k=` says; `rsa` if it says nothing.
    pub kind: Kind,
    /// `p=`, decoded; empty: revoked.
    pub public: Vec<u8>,
    /// `t=y`: the domain is testing.
    pub testing: bool,
    /// `t=s`: `i=` must have the very domain of `d=`.
    pub strict: bool,
}

/// The kind of a published key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `k=rsa`
    Rsa,
    /// `k=ed25519`
    Ed25519,
}

/// Why a TXT record is no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordError {
    /// Longer than [`RECORD_BYTES`].
    TooLong,
    /// No list of tags, or it breaks the grammar.
    Syntax(String),
    /// `v=` is there, but not first or not `DKIM1`: another kind of record.
    Version,
    /// `k=` names a kind that nobody here knows.
    Kind(String),
    /// `h=` has no `sha256`.
    Hash,
    /// `s=` has neither `email` nor `*`.
    Service,
    /// No `p=`, or no base64 in it.
    NoKey,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::TooLong => write!(f, "the record is longer than {RECORD_BYTES} octets"),
            RecordError::Syntax(why) => write!(f, "the record is no list of tags: {why}"),
            RecordError::Version => f.write_str("the record is not of DKIM1"),
            RecordError::Kind(kind) => write!(f, "a key of unknown kind \"{kind}\""),
            RecordError::Hash => f.write_str("the key is not for SHA-256"),
            RecordError::Service => f.write_str("the key is not for mail"),
            RecordError::NoKey => f.write_str("no key in the record"),
        }
    }
}

impl std::error::Error for RecordError {}

/// Octets of a TXT record that are looked at. A key of 8192 bits takes 1,500.
pub const RECORD_BYTES: usize = 16 << 10;

impl Record {
    /// Reads a TXT record (its strings joined).
    pub fn parse(text: &[u8]) -> Result<Record, RecordError> {
        if text.len() > RECORD_BYTES {
            return Err(RecordError::TooLong);
        }
        let tags = Tags::parse(text, Empty::Skip).map_err(RecordError::Syntax)?;
        // RFC 6376 §3.6.1: if there is a v=, it MUST be the first tag and be DKIM1.
        if tags.get("v").is_some_and(|v| v != b"DKIM1" || tags.first() != Some("v")) {
            return Err(RecordError::Version);
        }
        let kind = match tags.get("k") {
            None | Some(b"") => Kind::Rsa,
            Some(kind) if kind.eq_ignore_ascii_case(b"rsa") => Kind::Rsa,
            Some(kind) if kind.eq_ignore_ascii_case(b"ed25519") => Kind::Ed25519,
            Some(kind) => return Err(RecordError::Kind(shown(kind))),
        };
        // An empty h= or s= says as little as none.
        if !lists(tags.get("h"), &["sha256"]).unwrap_or(true) {
            return Err(RecordError::Hash);
        }
        if !lists(tags.get("s"), &["email", "*"]).unwrap_or(true) {
            return Err(RecordError::Service);
        }
        let public = match tags.get("p") {
            None => return Err(RecordError::NoKey),
            Some(text) if text.iter().all(u8::is_ascii_whitespace) => Vec::new(),
            Some(text) => base64(text).ok_or(RecordError::NoKey)?,
        };
        let flag = |name| lists(tags.get("t"), &[name]).unwrap_or(false);
        Ok(Record { kind, public, testing: flag("y"), strict: flag("s") })
    }

    /// Whether this is the public half of that key.
    pub fn belongs_to(&self, key: &SigningKey) -> bool {
        let kind = match key.algorithm() {
            super::Algorithm::RsaSha256 => Kind::Rsa,
            super::Algorithm::Ed25519Sha256 => Kind::Ed25519,
        };
        self.kind == kind && self.public == key.public()
    }

    /// The name under which a key is published, lower case, in A-labels; `None` if it can be no name.
    pub fn name(selector: &str, domain: &str) -> Option<String> {
        let selector = tags::name(selector.as_bytes())?;
        let domain = tags::name(domain.as_bytes())?;
        let name = format!("{selector}._domainkey.{domain}");
        (name.len() <= MAX_NAME).then_some(name)
    }
}

/// Whether a list with colons has one of these; `None` for no list.
fn lists(value: Option<&[u8]>, any: &[&str]) -> Option<bool> {
    let value = value.filter(|value| !value.is_empty())?;
    let mut parts = value.split(|&b| b == b':').map(<[u8]>::trim_ascii);
    Some(parts.any(|part| any.iter().any(|name| part.eq_ignore_ascii_case(name.as_bytes()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(text: &str) -> Result<(Kind, Vec<u8>, bool, bool), RecordError> {
        Record::parse(text.as_bytes()).map(|r| (r.kind, r.public, r.testing, r.strict))
    }

    #[test]
    fn records_of_all_kinds() {
        let rsa = |testing, strict| Ok((Kind::Rsa, b"abc".to_vec(), testing, strict));
        let table = [
            ("v=DKIM1; p=YWJj", rsa(false, false)),
            ("p=YWJj", rsa(false, false)),
            ("  v = DKIM1 ;\tp\t=\r\n YW Jj ; ", rsa(false, false)),
            ("v=DKIM1;; k=rsa;; p=YWJj;;", rsa(false, false)),
            ("v=DKIM1; k=rsa; g=*; n=note; s=*; z=x; p=YWJj", rsa(false, false)),
            ("v=DKIM1; g=nobody; p=YWJj", rsa(false, false)),
            ("v=DKIM1; s=tlsrpt:email; p=YWJj", rsa(false, false)),
            ("v=DKIM1; h=sha1 : sha256; p=YWJj", rsa(false, false)),
            ("v=DKIM1; h=; s=; k=; p=YWJj", rsa(false, false)),
            ("v=DKIM1; t=y; p=YWJj", rsa(true, false)),
            ("v=DKIM1; t=y:s; p=YWJj", rsa(true, true)),
            ("v=DKIM1; t=x; p=YWJj", rsa(false, false)),
            ("v=DKIM1; p=", Ok((Kind::Rsa, Vec::new(), false, false))),
            ("v=DKIM1; k=ed25519; p=YWJj", Ok((Kind::Ed25519, b"abc".to_vec(), false, false))),
            ("v=DKIM2; p=YWJj", Err(RecordError::Version)),
            ("p=YWJj; v=DKIM1", Err(RecordError::Version)),
            ("v=spf1 -all", Err(RecordError::Version)),
            ("v=DKIM1; k=dsa; p=YWJj", Err(RecordError::Kind("dsa".to_owned()))),
            ("v=DKIM1; h=sha1; p=YWJj", Err(RecordError::Hash)),
            ("v=DKIM1; s=tlsrpt; p=YWJj", Err(RecordError::Service)),
            ("v=DKIM1; k=rsa", Err(RecordError::NoKey)),
            ("v=DKIM1; p=!", Err(RecordError::NoKey)),
            ("", Err(RecordError::NoKey)),
            ("v=DKIM1; p=YWJj; p=YWJj", Err(RecordError::Syntax("p= is there twice".to_owned()))),
            ("some words", Err(RecordError::Syntax("a tag without =".to_owned()))),
        ];
        for (text, expected) in table {
            assert_eq!(kind_of(text), expected, "{text}");
        }
        let long = format!("v=DKIM1; p=YWJj; n={}", "x".repeat(RECORD_BYTES));
        assert_eq!(kind_of(&long), Err(RecordError::TooLong));
    }

    #[test]
    fn names_of_keys() {
        assert_eq!(Record::name("S1.Mail", "Example.org").as_deref(), Some("s1.mail._domainkey.example.org"));
        assert_eq!(Record::name("s", ""), None);
        assert_eq!(Record::name(&"a.".repeat(90), &"b.".repeat(90)), None);
    }
}
