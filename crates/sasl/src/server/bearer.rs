//! OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's and Microsoft's "SASL XOAUTH2 mechanism"), server side.
//!
//! ```text
//! OAUTHBEARER = gs2-header %x01 *( key "=" value %x01 ) %x01          ; RFC 7628 §3.1
//! XOAUTH2     = "user=" name %x01 "auth=Bearer " token %x01 %x01
//! ```
//! A token that is refused is answered with JSON; the client says something to it and hears the failure.

use super::{Machine, Move, Moved};
use crate::scram::gs2_header;
use crate::{Error, Evidence, Secret};

/// Which of the two is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Rfc7628,
    XOAuth2,
}

/// What a client is told of its token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenRefusal {
    /// The token is good, but not for this service: it would need `scope`.
    pub scope_missing: bool,
    /// The scope that a token for this service has.
    pub scope: String,
    /// Where a client learns how to get a token (RFC 8414), if anywhere.
    pub configuration: Option<String>,
}

impl TokenRefusal {
    /// The JSON for the mechanism.
    pub fn json(&self, mechanism: &str) -> Vec<u8> {
        let scope = quoted(&self.scope);
        let mut text = match (mechanism, self.scope_missing) {
            ("XOAUTH2", missing) => {
                let status = if missing { "403" } else { "401" };
                return format!("{{\"status\":\"{status}\",\"schemes\":\"bearer\",\"scope\":{scope}}}").into_bytes();
            }
            // RFC 7628 §3.2.2 and RFC 6750 §3.1
            (_, true) => format!("{{\"status\":\"insufficient_scope\",\"scope\":{scope}"),
            (_, false) => format!("{{\"status\":\"invalid_token\",\"scope\":{scope}"),
        };
        if let Some(url) = &self.configuration {
            text.push_str(",\"openid-configuration\":");
            text.push_str(&quoted(url));
        }
        text.push('}');
        text.into_bytes()
    }
}

/// RFC 8259 §7.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for sign in text.chars() {
        match sign {
            '"' | '\\' => out.extend(['\\', sign]),
            sign if sign.is_control() => {}
            sign => out.push(sign),
        }
    }
    out.push('"');
    out
}

pub(crate) struct Bearer {
    form: Form,
    asked: bool,
}

impl Bearer {
    pub(crate) fn new(form: Form) -> Bearer {
        Bearer { form, asked: false }
    }
}

impl Machine for Bearer {
    fn begin(&mut self, initial: Option<&[u8]>) -> Moved {
        match initial {
            Some(message) => self.respond(message),
            None => Ok(Move::Challenge(Vec::new())),
        }
    }

    fn respond(&mut self, response: &[u8]) -> Moved {
        if self.asked {
            return Err(Error::BadMessage);
        }
        self.asked = true;
        let message = std::str::from_utf8(response).map_err(|_| Error::NotUtf8)?;
        if message.contains('\0') {
            return Err(Error::BadMessage);
        }
        let (user, pairs) = match self.form {
            Form::Rfc7628 => {
                let (header, rest) = gs2_header(message)?;
                // RFC 7628 §3.1: there is no channel binding here.
                if header.binding.is_some() {
                    return Err(Error::BadMessage);
                }
                (header.authzid, rest.strip_prefix('\u{1}').ok_or(Error::BadMessage)?)
            }
            Form::XOAuth2 => (None, message),
        };
        let pairs = pairs.strip_suffix("\u{1}\u{1}").ok_or(Error::BadMessage)?;
        let (mut name, mut token) = (None, None);
        for pair in pairs.split('\u{1}').take(PAIRS) {
            let (key, value) = pair.split_once('=').ok_or(Error::BadMessage)?;
            match key {
                "auth" => {
                    let (scheme, text) = value.split_once(' ').ok_or(Error::BadMessage)?;
                    if !scheme.eq_ignore_ascii_case("Bearer") || token.is_some() {
                        return Err(Error::BadMessage);
                    }
                    token = Some(text.trim_start_matches(' '));
                }
                "user" if self.form == Form::XOAuth2 && name.is_none() => name = Some(value.to_owned()),
                "user" => return Err(Error::BadMessage),
                // RFC 7628 §3.1: host, port and what others add say nothing that we do not know.
                _ => {}
            }
        }
        let token = token.filter(|token| is_token(token)).ok_or(Error::BadMessage)?;
        let authcid = match self.form {
            // RFC 7628 §3.1: the token alone may say who it is.
            Form::Rfc7628 => user.unwrap_or_default(),
            Form::XOAuth2 => name.filter(|name| !name.is_empty()).ok_or(Error::BadMessage)?,
        };
        Ok(Move::Ask { authzid: None, authcid, evidence: Evidence::Token(Secret::new(token.to_owned())) })
    }

    fn refused(&mut self, last: Option<Vec<u8>>) -> Move {
        last.map_or(Move::Over, Move::Challenge)
    }
}

/// RFC 6750 §2.1: `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

/// Most keys with values that are looked at.
const PAIRS: usize = 16;
