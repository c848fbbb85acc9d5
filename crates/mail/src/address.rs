//! Addresses and domains, compared as RFC 5321, PRECIS and IDNA say.

use std::fmt;

use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::profile::Profile;
use unicode_normalization::UnicodeNormalization;

use crate::AddressError;

/// A domain name in its canonical form: A-labels, lower case, without a trailing dot; or an address
/// literal with its brackets. U-labels and A-labels of the same name are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(String);

impl Domain {
    /// Longest domain in bytes (RFC 5321 §4.5.3.1.2).
    pub const MAX_BYTES: usize = 255;

    /// A domain from either form (UTS #46, non-transitional; RFC 5891).
    pub fn parse(text: &str) -> Result<Domain, AddressError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(AddressError::Incomplete);
        }
        if text.len() > Domain::MAX_BYTES {
            return Err(AddressError::TooLong);
        }
        if let Some(literal) = text.strip_prefix('[') {
            let inner = literal.strip_suffix(']').ok_or(AddressError::Domain)?;
            let good = !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_graphic() && !b"[]\\".contains(&b));
            return if good { Ok(Domain(text.to_ascii_lowercase())) } else { Err(AddressError::Domain) };
        }
        let ascii = idna::domain_to_ascii(text).map_err(|_| AddressError::Domain)?;
        let good = ascii.len() <= 253
            && ascii.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            });
        if good { Ok(Domain(ascii)) } else { Err(AddressError::Domain) }
    }

    /// The canonical form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For people: U-labels where they are valid.
    pub fn unicode(&self) -> String {
        let (unicode, valid) = idna::domain_to_unicode(&self.0);
        if valid.is_ok() { unicode } else { self.0.clone() }
    }

    /// From the database.
    pub(crate) fn stored(text: String) -> Domain {
        Domain(text)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A mail address: the local part as written (without quotes), the domain canonical.
///
/// Equality is exact in the local part, since only its own domain may fold it (RFC 5321 §2.4); ours
/// are compared by [`Address::key`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: String,
    domain: Domain,
}

impl Address {
    /// Longest local part in bytes. RFC 5321 §4.5.3.1 asks for 64 at least and for more where that is possible:
    /// bounce addresses of mailing lists and details of sub-addresses are longer in practice.
    pub const MAX_LOCAL_BYTES: usize = 255;

    /// An address from its parts; `local` without quotes and escapes.
    pub fn new(local: &str, domain: &str) -> Result<Address, AddressError> {
        if local.is_empty() {
            return Err(AddressError::Incomplete);
        }
        if local.len() > Address::MAX_LOCAL_BYTES {
            return Err(AddressError::TooLong);
        }
        if local.chars().any(char::is_control) {
            return Err(AddressError::LocalPart);
        }
        Ok(Address { local: local.to_owned(), domain: Domain::parse(domain)? })
    }

    /// An address from text, `local@domain`, where the local part may be a quoted string (RFC 5321
    /// §4.1.2).
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::Incomplete)?;
        match local.strip_prefix('"') {
            Some(quoted) => {
                let inner = quoted.strip_suffix('"').ok_or(AddressError::LocalPart)?;
                Address::new(&unquoted(inner)?, domain)
            }
            None if local.contains(['"', '\\', ' ', '@', '<', '>', '(', ')', ',', ';', ':', '[', ']']) => {
                Err(AddressError::LocalPart)
            }
            None => Address::new(local, domain),
        }
    }

    /// From the database, where only valid addresses are written.
    pub(crate) fn stored(text: &str) -> Address {
        Address::parse(text).unwrap_or_else(|_| {
            let (local, domain) = text.rsplit_once('@').unwrap_or((text, "invalid"));
            Address { local: local.to_owned(), domain: Domain(domain.to_owned()) }
        })
    }

    /// The local part as written.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// What the local part is compared by in our domains: PRECIS UsernameCaseMapped (RFC 8265 §3.3),
    /// or lower case and NFC where the profile does not take it.
    pub fn key(&self) -> String {
        local_key(&self.local)
    }
}

/// See [`Address::key`].
pub(crate) fn local_key(local: &str) -> String {
    match UsernameCaseMapped::new().enforce(local) {
        Ok(key) => key.into_owned(),
        Err(_) => local.nfc().flat_map(char::to_lowercase).nfc().collect(),
    }
}

/// The content of a quoted string.
fn unquoted(inner: &str) -> Result<String, AddressError> {
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.push(characters.next().ok_or(AddressError::LocalPart)?),
            '"' => return Err(AddressError::LocalPart),
            other => plain.push(other),
        }
    }
    Ok(plain)
}

impl fmt::Display for Address {
    /// `local@domain`, the local part quoted where it must be (RFC 5321 §4.1.2).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let atom = |part: &str| {
            !part.is_empty()
                && part.chars().all(|c| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c))
        };
        if self.local.split('.').all(atom) {
            write!(f, "{}@{}", self.local, self.domain)
        } else {
            f.write_str("\"")?;
            for character in self.local.chars() {
                if matches!(character, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{character}")?;
            }
            write!(f, "\"@{}", self.domain)
        }
    }
}
