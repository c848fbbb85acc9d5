//! `Authentication-Results`: what we found, told to whoever reads the message.
//!
//! Values that strangers chose (addresses, domains, explanations) are quoted or dropped here, so that nothing they contain
//! can start a result or a header field of its own.
//!
//! Standards: RFC 8601; RFC 8616 and RFC 6532 for names in Unicode.

mod claim;
mod read;
#[cfg(test)]
mod tests;
mod write;

use crate::{dmarc, iprev, spf};

/// The header field. RFC 8601 §2.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationResults {
    /// Who found it: our own name.
    pub authserv_id: String,
    /// What was found; empty is written as `none`.
    pub results: Vec<MethodResult>,
}

/// The result of one method (`resinfo`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MethodResult {
    /// `spf`, `dkim`, …
    pub method: String,
    /// `pass`, `fail`, …
    pub result: String,
    /// A comment after the result.
    pub comment: Option<String>,
    /// `reason=`.
    pub reason: Option<String>,
    /// What it is about.
    pub properties: Vec<Property>,
}

/// `smtp.mailfrom=someone@example.com`: `ptype`, property and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// `smtp`, `header`, `policy`, `body`, `dns`.
    pub kind: String,
    /// `mailfrom`, `helo`, `d`, `s`, `from`, `iprev`, …
    pub name: String,
    /// The value, unquoted.
    pub value: String,
}

impl MethodResult {
    /// A result without properties.
    pub fn new(method: &str, result: &str) -> MethodResult {
        MethodResult { method: method.to_owned(), result: result.to_owned(), ..MethodResult::default() }
    }

    /// Adds a property.
    #[must_use]
    pub fn with(mut self, kind: &str, name: &str, value: &str) -> MethodResult {
        self.properties.push(Property { kind: kind.to_owned(), name: name.to_owned(), value: value.to_owned() });
        self
    }

    /// Adds a comment.
    #[must_use]
    pub fn with_comment(mut self, comment: &str) -> MethodResult {
        self.comment = Some(comment.to_owned());
        self
    }

    /// Adds a reason.
    #[must_use]
    pub fn with_reason(mut self, reason: &str) -> MethodResult {
        self.reason = Some(reason.to_owned());
        self
    }

    /// The value of a property.
    pub fn property(&self, kind: &str, name: &str) -> Option<&str> {
        let wanted = |one: &&Property| one.kind.eq_ignore_ascii_case(kind) && one.name.eq_ignore_ascii_case(name);
        self.properties.iter().find(wanted).map(|property| property.value.as_str())
    }

    /// SPF of either identity. RFC 8601 §2.7.2.
    pub fn spf(verdict: &spf::Verdict) -> MethodResult {
        let result = MethodResult::new("spf", verdict.result.as_str()).with_comment(&verdict.why);
        match verdict.identity {
            spf::Identity::MailFrom => result.with("smtp", "mailfrom", &verdict.sender),
            spf::Identity::Helo => {
                let name = verdict.sender.rsplit_once('@').map_or("", |(_, name)| name);
                result.with("smtp", "helo", name)
            }
        }
    }

    /// The address's name. RFC 8601 §2.7.3.
    pub fn iprev(verdict: &iprev::Verdict) -> MethodResult {
        let comment = verdict.name.as_deref().unwrap_or(&verdict.why);
        let result = MethodResult::new("iprev", verdict.result.as_str()).with_comment(comment);
        result.with("policy", "iprev", &verdict.ip.to_string())
    }

    /// DMARC, with what is published in a comment, and what it asks for in `policy.dmarc` (RFC 9989 §8.1).
    pub fn dmarc(verdict: &dmarc::Verdict) -> MethodResult {
        let result = MethodResult::new("dmarc", verdict.result.as_str());
        let result = match (&verdict.record, &verdict.policy_domain) {
            (Some(record), Some(name)) => {
                let testing = if record.testing { " t=y" } else { "" };
                result.with_comment(&format!("p={}{testing} at {name}", verdict.published))
            }
            (Some(_) | None, _) => result.with_comment(&verdict.why),
        };
        let result = match verdict.result {
            dmarc::Result::Fail => result.with("policy", "dmarc", verdict.policy.as_str()),
            dmarc::Result::None | dmarc::Result::Pass | dmarc::Result::TempError | dmarc::Result::PermError => result,
        };
        if verdict.domain.is_empty() { result } else { result.with("header", "from", &verdict.domain) }
    }
}

impl AuthenticationResults {
    /// The whole header field: name, folded at 78 octets where a value allows, CRLF at the end.
    pub fn field(&self) -> String {
        let name = "Authentication-Results: ";
        format!("{name}{}\r\n", self.body(name))
    }

    /// Only the body, as [`AuthenticationResults::field`] would write it, to stand after `prefix` (what is already on the
    /// first line, such as `ARC-Authentication-Results: i=1; `), without the final CRLF.
    pub fn body(&self, prefix: &str) -> String {
        write::body(self, prefix.len())
    }

    /// The results of a method.
    pub fn of<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a MethodResult> {
        self.results.iter().filter(move |result| result.method.eq_ignore_ascii_case(method))
    }
}

/// Whether a field of that name claims to be by `authserv_id`: such a field of somebody else's making must go (RFC 8601 §5).
/// Takes what follows the colon, folded or not. What cannot be read but names us where the id stands counts as ours.
pub fn is_ours(field_body: &[u8], authserv_id: &str) -> bool {
    claim::is_ours(field_body, authserv_id)
}

/// Reads what follows the colon. Lenient: results that cannot be read are left out; `None` if there is no authserv-id.
pub fn parse(field_body: &[u8]) -> Option<AuthenticationResults> {
    read::parse(field_body)
}
