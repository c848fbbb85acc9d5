//! Records as values, and as the text of master files.
//!
//! Names are lower case, in ASCII, without the final dot; the root is empty. Standards: RFC 1035 §5.1 (master files),
//! RFC 1464 and RFC 7208 §3.3 (long texts are split), RFC 2782 (SRV), RFC 6698 (TLSA), RFC 8659 (CAA).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A mail exchanger. RFC 5321 §5.1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// The host. Empty in a null MX.
    pub exchange: String,
}

impl Mx {
    /// RFC 7505 §3: `MX 0 .`, alone, says that the domain takes no mail.
    pub fn is_null(&self) -> bool {
        self.exchange.is_empty()
    }
}

/// What a server's certificate must be. RFC 6698 §2.1. The numbers are as they came: which of them mean something
/// is the caller's to know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tlsa {
    /// 2: the authority (DANE-TA), 3: the certificate itself (DANE-EE); 0 and 1 say nothing to mail (RFC 7672 §3.1.3).
    pub usage: u8,
    /// 0: the whole certificate, 1: its key (SubjectPublicKeyInfo).
    pub selector: u8,
    /// 0: as it is, 1: SHA-256, 2: SHA-512.
    pub matching: u8,
    /// What must be met.
    pub data: Vec<u8>,
}

/// Where a service is. RFC 2782.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Srv {
    /// Lower is tried first.
    pub priority: u16,
    /// The share among equals.
    pub weight: u16,
    /// Where the service listens.
    pub port: u16,
    /// The host. Empty: the service is decidedly not there.
    pub target: String,
}

/// Who may issue certificates. RFC 8659 §4.1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caa {
    /// Whoever does not know the tag must not issue.
    pub is_critical: bool,
    /// `issue`, `issuewild`, `iodef` and others; lower case.
    pub tag: String,
    /// What the tag says.
    pub value: Vec<u8>,
}

/// The start of authority. RFC 1035 §3.3.13.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Soa {
    /// The zone's first name server.
    pub primary: String,
    /// Who is responsible: the first label is the mailbox's name.
    pub responsible: String,
    /// Rises with each change.
    pub serial: u32,
    /// Seconds that denials are kept. RFC 2308 §4.
    pub minimum: u32,
}

/// The data of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Caa(Caa),
    Cname(String),
    Mx(Mx),
    Ns(String),
    Srv(Srv),
    Tlsa(Tlsa),
    /// The text as one; it is split where it is longer than a string may be.
    Txt(Vec<u8>),
}

/// The type of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Type {
    A,
    Aaaa,
    Caa,
    Cname,
    Mx,
    Ns,
    Srv,
    Tlsa,
    Txt,
}

/// A record of a zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// Whose record it is.
    pub name: String,
    /// Seconds that it may be kept.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

impl Data {
    /// Its type.
    pub fn kind(&self) -> Type {
        match self {
            Data::A(_) => Type::A,
            Data::Aaaa(_) => Type::Aaaa,
            Data::Caa(_) => Type::Caa,
            Data::Cname(_) => Type::Cname,
            Data::Mx(_) => Type::Mx,
            Data::Ns(_) => Type::Ns,
            Data::Srv(_) => Type::Srv,
            Data::Tlsa(_) => Type::Tlsa,
            Data::Txt(_) => Type::Txt,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Type::A => "A",
            Type::Aaaa => "AAAA",
            Type::Caa => "CAA",
            Type::Cname => "CNAME",
            Type::Mx => "MX",
            Type::Ns => "NS",
            Type::Srv => "SRV",
            Type::Tlsa => "TLSA",
            Type::Txt => "TXT",
        })
    }
}

/// As a master file has it: complete names with their final dot, texts split and quoted.
impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Data::A(address) => write!(f, "{address}"),
            Data::Aaaa(address) => write!(f, "{address}"),
            Data::Caa(Caa { is_critical, tag, value }) => {
                write!(f, "{} {tag} {}", if *is_critical { 128 } else { 0 }, Quoted(value))
            }
            Data::Cname(name) | Data::Ns(name) => write!(f, "{name}."),
            Data::Mx(Mx { preference, exchange }) => write!(f, "{preference} {exchange}."),
            Data::Srv(Srv { priority, weight, port, target }) => write!(f, "{priority} {weight} {port} {target}."),
            Data::Tlsa(Tlsa { usage, selector, matching, data }) => {
                write!(f, "{usage} {selector} {matching} ")?;
                data.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
            Data::Txt(text) => {
                for (index, part) in strings(text).enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { " " }, Quoted(part))?;
                }
                Ok(())
            }
        }
    }
}

/// A line of a master file.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {} IN {} {}", self.name, self.ttl, self.data.kind(), self.data)
    }
}

/// A text as the strings of a TXT record: each at most 255 octets (RFC 1035 §3.3), at least one.
pub fn strings(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let empty = text.is_empty().then_some(&[][..]);
    empty.into_iter().chain(text.chunks(STRING_MAX))
}

/// RFC 1035 §5.1: quotes and backslashes with a backslash, what is not printable in decimal.
struct Quoted<'a>(&'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for octet in self.0 {
            match octet {
                b'"' | b'\\' => write!(f, "\\{}", char::from(*octet))?,
                b' '..=b'~' => write!(f, "{}", char::from(*octet))?,
                _ => write!(f, "\\{octet:03}")?,
            }
        }
        f.write_str("\"")
    }
}

/// Octets of one string. RFC 1035 §2.3.4.
const STRING_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_as_lines() {
        let txt = |text: &[u8]| Data::Txt(text.to_vec());
        let long = "x".repeat(256);
        for (data, expected) in [
            (Data::Mx(Mx { preference: 0, exchange: String::new() }), "0 .".to_owned()),
            (Data::Srv(Srv { priority: 1, weight: 2, port: 3, target: "a.test".into() }), "1 2 3 a.test.".to_owned()),
            (Data::Tlsa(Tlsa { usage: 3, selector: 1, matching: 1, data: vec![0, 0xff] }), "3 1 1 00ff".to_owned()),
            (
                Data::Caa(Caa { is_critical: true, tag: "issue".into(), value: b"ca.test; a=\"b\"".to_vec() }),
                "128 issue \"ca.test; a=\\\"b\\\"\"".to_owned(),
            ),
            (Data::Cname("a.test".into()), "a.test.".to_owned()),
            (Data::Aaaa(Ipv6Addr::LOCALHOST), "::1".to_owned()),
            (txt(b""), "\"\"".to_owned()),
            (txt(b"a\\b\"\x00\xff;"), "\"a\\\\b\\\"\\000\\255;\"".to_owned()),
            (txt(long.as_bytes()), format!("\"{}\" \"x\"", "x".repeat(255))),
        ] {
            assert_eq!(data.to_string(), expected);
        }
        let record = Record { name: "a.test".into(), ttl: 60, data: txt(b"b") };
        assert_eq!(record.to_string(), "a.test. 60 IN TXT \"b\"");
    }
}
