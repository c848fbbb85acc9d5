//! Mailbox addresses (RFC 5321 §4.1.2, RFC 6531 §3.3). An [`Address`] that exists is well formed; whether
//! it is known, and whether two are the same mailbox, is not decided here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// `Mailbox = Local-part "@" ( Domain / address-literal )`. `Display` gives the wire form, quoted where
/// needed, without angle brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    local: String,
    host: Host,
}

/// What stands behind the `@`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A domain as written, without a trailing dot; A-labels and U-labels both occur.
    Domain(String),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Ip(IpAddr),
}

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressError {
    /// There is no `@` outside quotes.
    NoDomain,
    /// The part before the `@` is no dot-string and no quoted string.
    BadLocalPart,
    /// The part after the `@` is no domain and no address literal.
    BadDomain,
    /// Longer than the limits.
    TooLong,
    /// A path does not stand in angle brackets.
    NoBrackets,
}

impl Address {
    /// From the parts: `local` without quotes or escapes, `domain` without brackets.
    pub fn new(local: &str, domain: &str) -> Result<Address, AddressError> {
        check_local_text(local)?;
        Ok(Address { local: local.to_owned(), host: Host::Domain(check_domain(domain)?) })
    }

    /// Reads `Mailbox` off the front of a text and gives the rest.
    pub(crate) fn parse_prefix(text: &str) -> Result<(Address, &str), AddressError> {
        let (local, rest) = local_part(text)?;
        let rest = rest.strip_prefix('@').ok_or(AddressError::NoDomain)?;
        let (host, rest) = host(rest)?;
        Ok((Address { local, host }, rest))
    }

    /// The local part without quotes and escapes, in the writer's case.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// What stands behind the `@`.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The domain as written; `None` for an address literal.
    pub fn domain(&self) -> Option<&str> {
        match &self.host {
            Host::Domain(domain) => Some(domain),
            Host::Ip(_) => None,
        }
    }

    /// The domain in lower case with A-labels, as DNS wants it; `None` for an address literal.
    pub fn domain_ascii(&self) -> Option<String> {
        let domain = self.domain()?;
        match domain.is_ascii() {
            true => Some(domain.to_ascii_lowercase()),
            false => idna::domain_to_ascii(domain).ok(),
        }
    }

    /// Whether it can be sent without SMTPUTF8. A U-label domain alone could be written as A-labels.
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain().is_none_or(str::is_ascii)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// A whole `Mailbox`, without angle brackets; internationalised text is allowed.
    fn from_str(text: &str) -> Result<Address, AddressError> {
        match Address::parse_prefix(text)? {
            (address, "") => Ok(address),
            (_, _) => Err(AddressError::BadDomain),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            f.write_str(&self.local)?;
        } else {
            f.write_str("\"")?;
            for c in self.local.chars() {
                if matches!(c, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
            f.write_str("\"")?;
        }
        match &self.host {
            Host::Domain(domain) => write!(f, "@{domain}"),
            Host::Ip(IpAddr::V4(ip)) => write!(f, "@[{ip}]"),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "@[IPv6:{ip}]"),
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressError::NoDomain => "the address has no domain",
            AddressError::BadLocalPart => "the part before the @ is malformed",
            AddressError::BadDomain => "the part after the @ is no domain and no address literal",
            AddressError::TooLong => "the address is too long",
            AddressError::NoBrackets => "it belongs in angle brackets, <user@example.org>",
        })
    }
}

impl std::error::Error for AddressError {}

/// `Local-part = Dot-string / Quoted-string`
fn local_part(text: &str) -> Result<(String, &str), AddressError> {
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted_string(quoted);
    }
    let end = text.find(|c| !is_atext(c) && c != '.').unwrap_or(text.len());
    let (local, rest) = text.split_at(end);
    if !is_dot_string(local) {
        return Err(AddressError::BadLocalPart);
    }
    check_local_text(local)?;
    Ok((local.to_owned(), rest))
}

/// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`, the opening quote already taken.
fn quoted_string(text: &str) -> Result<(String, &str), AddressError> {
    let mut local = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                check_local_text(&local)?;
                return Ok((local, &text[at + 1..]));
            }
            '\\' => match chars.next() {
                // quoted-pairSMTP = %d92 %d32-126
                Some((_, quoted @ ' '..='~')) => local.push(quoted),
                Some(_) | None => return Err(AddressError::BadLocalPart),
            },
            _ => local.push(c),
        }
    }
    Err(AddressError::BadLocalPart)
}

/// What a local part may consist of, quoted or not.
fn check_local_text(local: &str) -> Result<(), AddressError> {
    if local.len() > LOCAL_LIMIT {
        return Err(AddressError::TooLong);
    }
    match local.chars().any(breaks_lines) {
        true => Err(AddressError::BadLocalPart),
        false => Ok(()),
    }
}

/// `Dot-string = Atom *("." Atom)`
fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// `atext` with UTF8-non-ascii (RFC 6531 §3.3).
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !breaks_lines(c))
}

/// Controls and what Unicode takes for line ends: they would travel into logs and headers.
fn breaks_lines(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// `Domain / address-literal`, off the front of a text.
fn host(text: &str) -> Result<(Host, &str), AddressError> {
    if let Some(inside) = text.strip_prefix('[') {
        let (literal, rest) = inside.split_once(']').ok_or(AddressError::BadDomain)?;
        let ip = address_literal(literal).ok_or(AddressError::BadDomain)?;
        return Ok((Host::Ip(ip), rest));
    }
    let end = text.find(|c| !is_domain_char(c)).unwrap_or(text.len());
    let (domain, rest) = text.split_at(end);
    Ok((Host::Domain(check_domain(domain)?), rest))
}

/// The inside of an address literal (RFC 5321 §4.1.3). General literals have no registered tag and are
/// not accepted.
pub(crate) fn address_literal(text: &str) -> Option<IpAddr> {
    match text.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => text[5..].parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// A domain without its trailing dot, if all its labels are well formed.
pub(crate) fn check_domain(domain: &str) -> Result<String, AddressError> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if domain.len() > DOMAIN_LIMIT {
        return Err(AddressError::TooLong);
    }
    if domain.is_empty() || !domain.chars().all(is_domain_char) {
        return Err(AddressError::BadDomain);
    }
    if domain.is_ascii() {
        return match domain.split('.').all(is_label) {
            true => Ok(domain.to_owned()),
            false => Err(AddressError::BadDomain),
        };
    }
    // RFC 6531 §3.3: U-labels as IDNA has them; what has no A-label form is no domain.
    let ascii = idna::domain_to_ascii(domain).map_err(|_| AddressError::BadDomain)?;
    // Some characters map to ASCII that is no part of a name, such as the fullwidth solidus.
    let fits = ascii.len() <= DOMAIN_LIMIT && ascii.chars().all(is_domain_char);
    match fits && ascii.split('.').all(is_label) {
        true => Ok(domain.to_owned()),
        false => Err(AddressError::BadDomain),
    }
}

/// `sub-domain = Let-dig [Ldh-str]`, and the underscore, which DNS allows and real senders have.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
}

fn is_domain_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') || (!c.is_ascii() && !breaks_lines(c))
}

/// RFC 5321 §4.5.3.1.1 asks for 64 octets at least; return addresses that encode a recipient (VERP,
/// SRS, BATV) are longer.
const LOCAL_LIMIT: usize = 255;
/// RFC 5321 §4.5.3.1.2.
const DOMAIN_LIMIT: usize = 255;
