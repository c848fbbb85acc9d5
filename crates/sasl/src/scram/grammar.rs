//! The grammar of SCRAM's messages and of the header that it shares with OAUTHBEARER (RFC 5801 §4, RFC 5802 §7).

use crate::Error;

/// `gs2-header = ("p=" cb-name / "n" / "y") "," [ "a=" saslname ] ","`.
pub(crate) struct Gs2Header<'a> {
    /// As it came, with both commas.
    pub(crate) raw: &'a str,
    /// The client binds itself to the connection by this.
    pub(crate) binding: Option<&'a str>,
    /// "y": it would, but thinks that the server cannot.
    pub(crate) would_bind: bool,
    pub(crate) authzid: Option<String>,
}

/// The header and what follows it.
pub(crate) fn gs2_header(message: &str) -> Result<(Gs2Header<'_>, &str), Error> {
    let (flag, rest) = message.split_once(',').ok_or(Error::BadMessage)?;
    let (authzid, rest) = rest.split_once(',').ok_or(Error::BadMessage)?;
    let raw = &message[..message.len() - rest.len()];
    let (binding, would_bind) = match flag {
        "n" => (None, false),
        "y" => (None, true),
        flag => (Some(attribute(flag, "p").filter(|name| !name.is_empty()).ok_or(Error::BadMessage)?), false),
    };
    let authzid = match authzid {
        "" => None,
        text => Some(attribute(text, "a").and_then(saslname).ok_or(Error::BadMessage)?),
    };
    Ok((Gs2Header { raw, binding, would_bind, authzid: authzid.filter(|name| !name.is_empty()) }, rest))
}

/// The value of `key=value`.
pub(crate) fn attribute<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.strip_prefix(key)?.strip_prefix('=')
}

/// `saslname = 1*(value-safe-char / "=2C" / "=3D")`: every "=" is one of the two.
pub(crate) fn saslname(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => {
                name.push(',');
                name.push_str(rest);
            }
            (None, Some(rest)) => {
                name.push('=');
                name.push_str(rest);
            }
            (None, None) => return None,
        }
    }
    Some(name)
}

/// The other way round.
pub(crate) fn escaped(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// `printable = %x21-2B / %x2D-7E`, and not endless.
pub(crate) fn is_nonce(text: &str) -> bool {
    (1..=NONCE_LIMIT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// Longest nonce of the other side.
const NONCE_LIMIT: usize = 512;
