//! `Authentication-Results`: what we found, told to whoever reads the message.
//!
//! Values that strangers chose (addresses, domains, explanations) are quoted or dropped here, so that nothing they contain
//! can start a result or a header field of its own.
//!
//! Standards: RFC 8601; RFC 8616 and RFC 6532 for names in Unicode.

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
    pub fn new(_method: &str, _result: &str) -> MethodResult {
        unimplemented!()
    }

    /// Adds a property.
    #[must_use]
    pub fn with(self, _kind: &str, _name: &str, _value: &str) -> MethodResult {
        unimplemented!()
    }

    /// Adds a comment.
    #[must_use]
    pub fn with_comment(self, _comment: &str) -> MethodResult {
        unimplemented!()
    }

    /// Adds a reason.
    #[must_use]
    pub fn with_reason(self, _reason: &str) -> MethodResult {
        unimplemented!()
    }

    /// SPF of either identity. RFC 8601 §2.7.2.
    pub fn spf(_verdict: &spf::Verdict) -> MethodResult {
        unimplemented!()
    }

    /// The address's name. RFC 8601 §2.7.3.
    pub fn iprev(_verdict: &iprev::Verdict) -> MethodResult {
        unimplemented!()
    }

    /// DMARC, with the policy in a comment and in `policy.published-domain-policy`.
    pub fn dmarc(_verdict: &dmarc::Verdict) -> MethodResult {
        unimplemented!()
    }
}

impl AuthenticationResults {
    /// The whole header field: name, folded at 78 octets where a value allows, CRLF at the end.
    pub fn field(&self) -> String {
        unimplemented!()
    }

    /// Only the body, as [`AuthenticationResults::field`] would write it, to stand after `prefix` (what is already on the
    /// first line, such as `ARC-Authentication-Results: i=1; `), without the final CRLF.
    pub fn body(&self, _prefix: &str) -> String {
        unimplemented!()
    }
}

/// Whether a field of that name claims to be by `authserv_id`: such a field of somebody else's making must go (RFC 8601 §5).
/// Takes what follows the colon, folded or not. What cannot be read but names us where the id stands counts as ours.
pub fn is_ours(_field_body: &[u8], _authserv_id: &str) -> bool {
    unimplemented!()
}

/// Reads what follows the colon. Lenient: results that cannot be read are left out; `None` if there is no authserv-id.
pub fn parse(_field_body: &[u8]) -> Option<AuthenticationResults> {
    unimplemented!()
}
