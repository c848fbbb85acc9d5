//! SPF records: terms with their syntax checked, not yet evaluated. RFC 7208 §4.5, §4.6, §5, §6, §12.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Result as Found;
use super::macros::{MacroString, Place};

/// Octets of a record that is looked at; a longer one is an error. RFC 7208 §3.4 recommends to stay below 512.
pub(super) const MAX_RECORD: usize = 16 * 1024;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) directives: Vec<Directive>,
    pub(super) redirect: Option<MacroString>,
    pub(super) explanation: Option<MacroString>,
}

/// A mechanism and what its match means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) qualifier: Found,
    pub(super) mechanism: Mechanism,
    /// As it was published.
    pub(super) text: String,
}

/// RFC 7208 §5. No domain: that of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mechanism {
    All,
    Include(MacroString),
    A(Option<MacroString>, Cidr),
    Mx(Option<MacroString>, Cidr),
    Ptr(Option<MacroString>),
    Ip4(Ipv4Addr, u8),
    Ip6(Ipv6Addr, u8),
    Exists(MacroString),
}

/// `dual-cidr-length`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cidr {
    pub(super) four: u8,
    pub(super) six: u8,
}

impl Cidr {
    /// Whether both addresses are of one family and of one network.
    pub(super) fn covers(self, network: IpAddr, address: IpAddr) -> bool {
        match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.four.min(32));
                // A shift by the whole width means that nothing is compared.
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.six.min(128));
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Whether a TXT record is one of SPF: `v=spf1`, followed by a space or nothing. RFC 7208 §4.5.
pub(super) fn is_spf(text: &[u8]) -> bool {
    match text.split_at_checked(VERSION.len()) {
        Some((version, rest)) => {
            version.eq_ignore_ascii_case(VERSION.as_bytes()) && (rest.is_empty() || rest.starts_with(b" "))
        }
        None => false,
    }
}

impl Record {
    /// Reads a record for which [`is_spf`] holds. The error names the term.
    pub(super) fn parse(text: &[u8]) -> Result<Record, String> {
        if text.len() > MAX_RECORD {
            return Err(format!("the record has more than {MAX_RECORD} octets"));
        }
        // RFC 7208 §3.1: ASCII only.
        let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii());
        let Some(terms) = text.and_then(|text| text.get(VERSION.len()..)) else {
            return Err("the record is not in ASCII".to_owned());
        };
        let mut record = Record { directives: Vec::new(), redirect: None, explanation: None };
        for term in terms.split(' ').filter(|term| !term.is_empty()) {
            record.term(term).map_err(|why| format!("{}: {why}", shown(term)))?;
        }
        Ok(record)
    }

    fn term(&mut self, term: &str) -> Result<(), &'static str> {
        let Some((name, value)) = modifier(term) else {
            self.directives.push(Directive::parse(term)?);
            return Ok(());
        };
        let slot = if name.eq_ignore_ascii_case("redirect") {
            &mut self.redirect
        } else if name.eq_ignore_ascii_case("exp") {
            &mut self.explanation
        } else {
            // RFC 7208 §6: unknown ones are ignored, but must be well formed.
            return MacroString::parse(value, Place::Record).map(|_| ());
        };
        if slot.is_some() {
            return Err("it may stand only once");
        }
        *slot = Some(MacroString::domain_spec(value)?);
        Ok(())
    }
}

impl Directive {
    /// `[ qualifier ] mechanism`.
    fn parse(term: &str) -> Result<Directive, &'static str> {
        let (qualifier, rest) = match term.as_bytes().first() {
            Some(b'+') => (Found::Pass, &term[1..]),
            Some(b'-') => (Found::Fail, &term[1..]),
            Some(b'?') => (Found::Neutral, &term[1..]),
            Some(b'~') => (Found::SoftFail, &term[1..]),
            Some(_) | None => (Found::Pass, term),
        };
        Ok(Directive { qualifier, mechanism: Mechanism::parse(rest)?, text: term.to_owned() })
    }
}

impl Mechanism {
    fn parse(text: &str) -> Result<Mechanism, &'static str> {
        let end = text.find([':', '/']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let argument = rest.strip_prefix(':');
        let optional = |argument: Option<&str>| argument.map(MacroString::domain_spec).transpose();
        match name.to_ascii_lowercase().as_str() {
            "all" if rest.is_empty() => Ok(Mechanism::All),
            "include" => Ok(Mechanism::Include(MacroString::domain_spec(argument.ok_or(NO_DOMAIN)?)?)),
            "exists" => Ok(Mechanism::Exists(MacroString::domain_spec(argument.ok_or(NO_DOMAIN)?)?)),
            "ptr" if rest.is_empty() || argument.is_some() => Ok(Mechanism::Ptr(optional(argument)?)),
            "a" | "mx" => {
                let (rest, cidr) = split_cidr(rest)?;
                let argument = match rest.strip_prefix(':') {
                    None if !rest.is_empty() => return Err(BAD_PREFIX),
                    argument => optional(argument)?,
                };
                Ok(if name.len() == 1 { Mechanism::A(argument, cidr) } else { Mechanism::Mx(argument, cidr) })
            }
            "ip4" => {
                let (address, prefix) = network(argument, 32)?;
                Ok(Mechanism::Ip4(address, prefix))
            }
            "ip6" => {
                let (address, prefix) = network(argument, 128)?;
                Ok(Mechanism::Ip6(address, prefix))
            }
            _ => Err("there is no such mechanism"),
        }
    }
}

/// `modifier = name "=" …`; `None` if the term is a directive.
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(fits);
    is_name.then_some((name, value))
}

/// Takes `[ ip4-cidr-length ] [ "/" ip6-cidr-length ]` off the end: slashes may also stand in the domain.
fn split_cidr(text: &str) -> Result<(&str, Cidr), &'static str> {
    let (mut rest, mut cidr) = (text, Cidr { four: 32, six: 128 });
    if let Some((before, digits)) = rest.rsplit_once("//")
        && let Some(length) = prefix_length(digits)
    {
        cidr.six = if length <= 128 { length } else { return Err(BAD_PREFIX) };
        rest = before;
    }
    if let Some((before, digits)) = rest.rsplit_once('/')
        && let Some(length) = prefix_length(digits)
    {
        cidr.four = if length <= 32 { length } else { return Err(BAD_PREFIX) };
        rest = before;
    }
    Ok((rest, cidr))
}

/// `0`, or digits that do not begin with a zero; what is too large for an octet is an error anyway.
fn prefix_length(digits: &str) -> Option<u8> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some(digits.parse().unwrap_or(u8::MAX))
}

/// `ip4-network [ ip4-cidr-length ]` and the same for IPv6.
fn network<T: std::str::FromStr>(argument: Option<&str>, whole: u8) -> Result<(T, u8), &'static str> {
    let argument = argument.ok_or("it has no address")?;
    let (address, prefix) = match argument.split_once('/') {
        Some((address, digits)) => {
            (address, prefix_length(digits).filter(|length| *length <= whole).ok_or(BAD_PREFIX)?)
        }
        None => (argument, whole),
    };
    Ok((address.parse().map_err(|_| "that is not an address")?, prefix))
}

/// A term for people: short and printable.
fn shown(term: &str) -> String {
    const MAX: usize = 60;
    let mut shown: String = term.chars().take(MAX).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect();
    if term.len() > MAX {
        shown.push_str("...");
    }
    shown
}

const VERSION: &str = "v=spf1";
const NO_DOMAIN: &str = "it has no domain";
const BAD_PREFIX: &str = "that is not a prefix length";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_version_is_a_record() {
        for (text, expected) in [
            ("v=spf1", true),
            ("V=SpF1 -all", true),
            ("v=spf1  ", true),
            ("v=spf10", false),
            ("v=spf1\t-all", false),
            (" v=spf1", false),
            ("v=spf", false),
            ("", false),
        ] {
            assert_eq!(is_spf(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn terms_are_read() {
        let record = Record::parse(
            b"v=spf1 +a/24//64  MX:mail.example.com//128 -ip4:192.0.2.0/24 ~ip6:2001:db8::/32 ?ptr exists:%{i}.x.test \
              moo=%{d} include:_spf.x.test redirect=a.test exp=b.test -ALL ",
        )
        .expect("a record");
        let texts: Vec<&str> = record.directives.iter().map(|directive| directive.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "+a/24//64",
                "MX:mail.example.com//128",
                "-ip4:192.0.2.0/24",
                "~ip6:2001:db8::/32",
                "?ptr",
                "exists:%{i}.x.test",
                "include:_spf.x.test",
                "-ALL"
            ]
        );
        let qualifiers: Vec<Found> = record.directives.iter().map(|directive| directive.qualifier).collect();
        use Found::{Fail, Neutral, Pass, SoftFail};
        assert_eq!(qualifiers, [Pass, Pass, Fail, SoftFail, Neutral, Pass, Pass, Fail]);
        assert_eq!(record.directives[0].mechanism, Mechanism::A(None, Cidr { four: 24, six: 64 }));
        assert_eq!(record.directives[3].mechanism, Mechanism::Ip6("2001:db8::".parse().expect("one"), 32));
        assert!(record.redirect.is_some() && record.explanation.is_some());
    }

    #[test]
    fn errors_name_the_term() {
        for term in [
            "moo",
            "all:x",
            "-all.",
            "all/8",
            "include",
            "include:",
            "include/8",
            "exists",
            "a:",
            "a/33",
            "a//129",
            "a/24/64",
            "a/01",
            "a/",
            "a:b.c/",
            "mx:c",
            "ptr:",
            "ptr/0",
            "ip4",
            "ip4:",
            "ip4:1.2.3",
            "ip4:1.2.3.04",
            "ip4:1.2.3.4/33",
            "ip4:1.2.3.4//32",
            "ip4:1.2.3.4/",
            "ip6:::1/129",
            "ip6::a::b",
            "ip6:1.2.3.4",
            "=all",
            "1up=x",
            "redirect=",
            "exp=-all",
            "redirect:x.y",
            "foo=%x",
            "++all",
            "a:b.c\t-all",
            "ip4:\u{0}",
        ] {
            let why = Record::parse(format!("v=spf1 ip4:192.0.2.1 {term} -all").as_bytes()).expect_err(term);
            assert!(why.starts_with(&shown(term)), "{term}: {why}");
        }
        assert!(Record::parse(b"v=spf1 exp=a.b exp=a.b").is_err());
        assert!(Record::parse(b"v=spf1 redirect=a.b REDIRECT=a.b").is_err());
        assert!(Record::parse(b"v=spf1 a:\xff.test").is_err());
        assert!(Record::parse(&[b"v=spf1 ".as_slice(), &[b'a'; MAX_RECORD]].concat()).is_err());
        let why = Record::parse(format!("v=spf1 {}\r\n", "x".repeat(100)).as_bytes()).expect_err("no such term");
        assert!(why.len() < 120 && !why.contains(['\r', '\n']), "{why}");
    }

    #[test]
    fn networks_cover_what_they_should() {
        let covers = |four, six, network: &str, address: &str| {
            Cidr { four, six }.covers(network.parse().expect(network), address.parse().expect(address))
        };
        assert!(covers(0, 0, "1.1.1.1", "192.0.2.1"));
        assert!(covers(24, 0, "192.0.2.200", "192.0.2.1"));
        assert!(!covers(25, 0, "192.0.2.200", "192.0.2.1"));
        assert!(covers(32, 0, "192.0.2.1", "192.0.2.1"));
        assert!(!covers(32, 0, "192.0.2.0", "192.0.2.1"));
        assert!(covers(0, 0, "::1", "2001:db8::1"));
        assert!(covers(32, 33, "2001:db8:8000::", "2001:db8:ffff::1"));
        assert!(!covers(32, 33, "2001:db8:8000::", "2001:db8::1"));
        assert!(covers(0, 128, "2001:db8::1", "2001:db8::1"));
        assert!(!covers(0, 0, "0.0.0.0", "::"));
    }
}
