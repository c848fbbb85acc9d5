//! XCLIENT and XFORWARD: what a trusted neighbour says of whom it speaks for. Both are Postfix's; their attributes are
//! `name=xtext` words.
//!
//! What is said here is a claim, and is called so wherever it is shown; whether it is believed is the world's to decide
//! before it offers the commands.

use std::net::{IpAddr, Ipv6Addr};

use crate::{Reply, decode_xtext};

/// A value, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed<T> {
    /// `[UNAVAILABLE]`: there is none.
    Unavailable,
    /// `[TEMPUNAVAIL]`: it could not be found out just now.
    Later,
    /// It is this.
    Is(T),
}

/// What XCLIENT says; attributes that were not named are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// NAME: the client's name by DNS.
    pub name: Option<Claimed<String>>,
    /// ADDR: its address.
    pub address: Option<Claimed<IpAddr>>,
    /// PORT: its port.
    pub port: Option<Claimed<u16>>,
    /// PROTO: whether it greeted with EHLO.
    pub extended: Option<Claimed<bool>>,
    /// HELO: how it called itself.
    pub helo: Option<Claimed<String>>,
    /// LOGIN: who it authenticated as.
    pub login: Option<Claimed<String>>,
    /// DESTADDR: where it connected to.
    pub to_address: Option<Claimed<IpAddr>>,
    /// DESTPORT: on which port.
    pub to_port: Option<Claimed<u16>>,
}

/// What XFORWARD says; for stories only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// NAME, ADDR, PORT, PROTO, HELO, IDENT, SOURCE with their values, in the order in which they came first.
    pub attributes: Vec<(&'static str, String)>,
}

impl<T> Claimed<T> {
    /// The value, if there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Claimed::Is(value) => Some(value),
            Claimed::Unavailable | Claimed::Later => None,
        }
    }
}

impl Claim {
    /// `XCLIENT attribute=value …`, behind the verb.
    pub(crate) fn parse(text: &str) -> Result<Claim, Reply> {
        let mut claim = Claim::default();
        for (name, value) in words(text, "XCLIENT")? {
            let bad = || Reply::new(501, (5, 5, 4), format!("XCLIENT has a bad value of {name}"));
            match name.as_str() {
                "NAME" => claim.name = Some(value),
                "ADDR" => claim.address = Some(value.map(|text| address(&text)).ok_or_else(bad)?),
                "PORT" => claim.port = Some(value.map(|text| text.parse().ok()).ok_or_else(bad)?),
                "PROTO" => claim.extended = Some(value.map(|text| protocol(&text)).ok_or_else(bad)?),
                "HELO" => claim.helo = Some(value),
                "LOGIN" => claim.login = Some(value),
                "DESTADDR" => claim.to_address = Some(value.map(|text| address(&text)).ok_or_else(bad)?),
                "DESTPORT" => claim.to_port = Some(value.map(|text| text.parse().ok()).ok_or_else(bad)?),
                _ => return Err(Reply::new(501, (5, 5, 4), format!("XCLIENT does not know {}", shown(&name)))),
            }
        }
        Ok(claim)
    }

    /// With what a later command says; what that does not name stays.
    pub(crate) fn with(self, later: Claim) -> Claim {
        Claim {
            name: later.name.or(self.name),
            address: later.address.or(self.address),
            port: later.port.or(self.port),
            extended: later.extended.or(self.extended),
            helo: later.helo.or(self.helo),
            login: later.login.or(self.login),
            to_address: later.to_address.or(self.to_address),
            to_port: later.to_port.or(self.to_port),
        }
    }
}

impl Forwarded {
    /// `XFORWARD attribute=value …`, behind the verb.
    pub(crate) fn parse(text: &str) -> Result<Forwarded, Reply> {
        let mut forwarded = Forwarded::default();
        for (name, value) in words(text, "XFORWARD")? {
            let Some(name) = FORWARDED.into_iter().find(|known| *known == name) else {
                return Err(Reply::new(501, (5, 5, 4), format!("XFORWARD does not know {}", shown(&name))));
            };
            let fits = match (name, value.known()) {
                (_, None) => true,
                ("ADDR", Some(text)) => address(text).is_some(),
                ("PORT", Some(text)) => text.parse::<u16>().is_ok(),
                ("SOURCE", Some(text)) => ["LOCAL", "REMOTE"].iter().any(|known| known.eq_ignore_ascii_case(text)),
                (_, Some(_)) => true,
            };
            if !fits {
                return Err(Reply::new(501, (5, 5, 4), format!("XFORWARD has a bad value of {name}")));
            }
            forwarded.set(name, value.known().cloned().unwrap_or_else(|| "unknown".to_owned()));
        }
        Ok(forwarded)
    }

    /// With what a later command says.
    pub(crate) fn with(mut self, later: Forwarded) -> Forwarded {
        for (name, value) in later.attributes {
            self.set(name, value);
        }
        self
    }

    fn set(&mut self, name: &'static str, value: String) {
        match self.attributes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.attributes.push((name, value)),
        }
    }
}

impl Claimed<String> {
    /// `None` when the value does not read as what it should be.
    fn map<T>(self, read: impl FnOnce(String) -> Option<T>) -> Option<Claimed<T>> {
        match self {
            Claimed::Unavailable => Some(Claimed::Unavailable),
            Claimed::Later => Some(Claimed::Later),
            Claimed::Is(text) => read(text).map(Claimed::Is),
        }
    }
}

/// The attributes, their names in upper case.
fn words(text: &str, verb: &str) -> Result<Vec<(String, Claimed<String>)>, Reply> {
    let syntax = || Reply::new(501, (5, 5, 4), format!("Syntax: {verb} attribute=value..."));
    let mut words = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (name, value) = word.split_once('=').ok_or_else(syntax)?;
        let value = match value.to_ascii_uppercase().as_str() {
            "[UNAVAILABLE]" => Claimed::Unavailable,
            "[TEMPUNAVAIL]" => Claimed::Later,
            _ => {
                let decoded = decode_xtext(value).filter(|text| !text.is_empty() && text.len() <= VALUE_LIMIT);
                Claimed::Is(decoded.ok_or_else(syntax)?)
            }
        };
        if words.len() == WORDS_LIMIT {
            return Err(syntax());
        }
        words.push((name.to_ascii_uppercase(), value));
    }
    match words.is_empty() {
        true => Err(syntax()),
        false => Ok(words),
    }
}

/// `192.0.2.1` or `IPV6:2001:db8::1`; the tag may be missing.
fn address(text: &str) -> Option<IpAddr> {
    match text.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPV6:") => text[5..].parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => text.parse().ok(),
    }
}

fn protocol(text: &str) -> Option<bool> {
    match text.to_ascii_uppercase().as_str() {
        "SMTP" => Some(false),
        "ESMTP" => Some(true),
        _ => None,
    }
}

/// Of what is no name of ours, a part that can be shown.
fn shown(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(20).collect()
}

/// The attributes of XFORWARD.
const FORWARDED: [&str; 7] = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"];
/// Postfix allows 255 octets of a value.
const VALUE_LIMIT: usize = 255;
/// There are no more than eight attributes.
const WORDS_LIMIT: usize = 16;
