//! Where an account is: `imaps://user@host:port`.

use crate::{Error, Result};

/// How TLS comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// From the first octet (`imaps://`).
    Implicit,
    /// After STARTTLS, or not at all: the connection ends (`imap://`).
    StartTls,
    /// Never: for loopback and tests, and only when it was said (`imap+insecure://`).
    None,
}

/// An account on another server. Without the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Who signs in.
    pub user: String,
    /// The server's name, which its certificate is for.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How TLS comes about.
    pub security: Security,
}

impl Place {
    /// Reads the URL of an account that is collected from by POP3: `pop3s://`, `pop3://` (STLS or nothing), or
    /// `pop3+insecure://`.
    pub fn parse_pop(url: &str) -> Result<Place> {
        Place::read(url, "pop3s://user@host", |scheme| match scheme {
            "pop3s" => Some((Security::Implicit, 995)),
            "pop3" => Some((Security::StartTls, 110)),
            "pop3+insecure" => Some((Security::None, 110)),
            _ => None,
        })
    }

    /// Reads a URL of IMAP. `user` may have an `@`, or be percent-encoded; the last `@` counts.
    pub fn parse(url: &str) -> Result<Place> {
        Place::read(url, "imaps://user@host", |scheme| match scheme {
            "imaps" => Some((Security::Implicit, 993)),
            "imap" => Some((Security::StartTls, 143)),
            "imap+insecure" => Some((Security::None, 143)),
            _ => None,
        })
    }

    fn read(url: &str, model: &str, known: impl Fn(&str) -> Option<(Security, u16)>) -> Result<Place> {
        let unclear = |why: &str| Error::User(format!("{url}: {why}; write {model} or {model}:PORT"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| unclear("no scheme"))?;
        let (security, port) =
            known(&scheme.to_ascii_lowercase()).ok_or_else(|| unclear("it is of another protocol"))?;
        let rest = rest.trim_end_matches('/');
        let (user, host) = rest.rsplit_once('@').ok_or_else(|| unclear("no user"))?;
        if user.contains(':') && !user.contains("%3A") {
            return Err(Error::User(
                "a password does not belong into an address, where others see it; it is asked for, or read with \
                 --password-file or from POSTROAD_REMOTE_PASSWORD"
                    .into(),
            ));
        }
        let (host, port) = split_port(host, port).ok_or_else(|| unclear("no port is that"))?;
        let user = decode(user).ok_or_else(|| unclear("the user's name cannot be read"))?;
        if user.is_empty() || host.is_empty() || host.contains('/') {
            return Err(unclear("no user or no host"));
        }
        Ok(Place { user, host, port, security })
    }

    /// What the account is remembered by: neither how TLS comes about nor the password matter.
    pub fn key(&self) -> String {
        format!("imap:{}@{}:{}", self.user, self.host.to_ascii_lowercase(), self.port)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.user, self.host)
    }
}

fn split_port(host: &str, default: u16) -> Option<(String, u16)> {
    if let Some(rest) = host.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        let port = match after.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None => default,
        };
        return Some((address.to_owned(), port));
    }
    match host.split_once(':') {
        Some((host, port)) => Some((host.to_owned(), port.parse().ok().filter(|port| *port > 0)?)),
        None => Some((host.to_owned(), default)),
    }
}

/// `%40` to `@`.
fn decode(text: &str) -> Option<String> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet == b'%' {
            let (high, low) = (rest.next()?, rest.next()?);
            let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            octets.push(digit(high)? * 16 + digit(low)?);
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        for (url, user, host, port, security) in [
            ("imaps://alice@mail.test", "alice", "mail.test", 993, Security::Implicit),
            ("imaps://alice@a.test@mail.test:1993", "alice@a.test", "mail.test", 1993, Security::Implicit),
            ("imap://alice%40a.test@mail.test/", "alice@a.test", "mail.test", 143, Security::StartTls),
            ("IMAP+insecure://a@[::1]:144", "a", "::1", 144, Security::None),
        ] {
            let expected = Place { user: user.into(), host: host.into(), port, security };
            assert_eq!(Place::parse(url), Ok(expected), "{url}");
        }
        for bad in ["mail.test", "imaps://mail.test", "pop3://a@b", "imaps://a@b:x", "imaps://a:pw@b", "imaps://%zz@b"]
        {
            assert!(matches!(Place::parse(bad), Err(Error::User(_))), "{bad}");
        }
    }
}
