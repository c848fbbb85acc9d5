//! IMAP URLs that name a message or a part of it (RFC 5092, with the URLAUTH of RFC 4467).
//!
//! ```text
//! ["imap:"] "//" [user [";AUTH=" mechanism] "@"] host [":" port] "/" path
//! path = mailbox [";UIDVALIDITY=" n] "/;UID=" n ["/;SECTION=" section] ["/;PARTIAL=" from ["." length]]
//!        [[";EXPIRE=" date-time] ";URLAUTH=" access [":" mechanism ":" token]]
//! ```
//!
//! Relative references are read too: from a `/`, from a mailbox's name, and from `;UID=`. URLs of servers, of lists, of
//! mailboxes and of searches are none here: [`Url::parse`] refuses them. Nothing is resolved.

use std::fmt;

use crate::command::Syntax;
use crate::command::fetch::{self, Section};
use crate::cursor::Cursor;
use crate::limits::Limits;

/// A URL of a message or of a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Whose server; `None` in a relative reference.
    pub server: Option<Server>,
    /// Which mailbox; `None` for the selected one.
    pub mailbox: Option<UrlMailbox>,
    /// The message.
    pub uid: u32,
    /// The part of it; `None` for all.
    pub section: Option<Section>,
    /// Which octets of that.
    pub range: Option<UrlRange>,
    /// What allows its use.
    pub auth: Option<UrlAuth>,
}

/// `iserver`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Whose mailboxes.
    pub user: Option<String>,
    /// Name or address in small letters, without port and brackets.
    pub host: String,
}

/// `imailbox-ref`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlMailbox {
    /// The name, decoded.
    pub name: String,
    /// Whether the path begins at the root: else it is beside the selected mailbox.
    pub rooted: bool,
    /// `;UIDVALIDITY=`.
    pub uidvalidity: Option<u32>,
}

/// `;PARTIAL=` (RFC 5092 §6; URL-PARTIAL of RFC 5550).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrlRange {
    /// The first octet, from 0.
    pub offset: u64,
    /// How many; `None` for all.
    pub length: Option<u64>,
}

/// What stands at the end of a URL that authorises (RFC 4467 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlAuth {
    /// Good until then, in seconds since 1970.
    pub expires: Option<i64>,
    /// Who may use it.
    pub access: Access,
    /// How much of the text is the URL without its token, in octets: what is signed.
    pub rump: usize,
    /// Mechanism (in capitals) and token (in small letters), unless the URL is not signed yet.
    pub token: Option<(String, String)>,
}

/// `access`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// `submit+user`: a submission server, for this user.
    Submit(String),
    /// `user+user`: this user.
    User(String),
    /// `authuser`: whoever has logged in.
    AuthUser,
    /// `anonymous`: anybody.
    Anonymous,
}

/// What is wrong with a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlError {
    /// Longer than [`Url::MAX`].
    TooLong,
    /// Octets that no URL has, or a bad `%`.
    Characters,
    /// Another scheme.
    Scheme,
    /// It names no message.
    NoMessage,
    /// A number, a section or a date in it.
    Syntax,
    /// What follows `;URLAUTH=`.
    Access,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UrlError::TooLong => "the URL is too long",
            UrlError::Characters => "the URL has characters that no URL has",
            UrlError::Scheme => "the URL is not of IMAP",
            UrlError::NoMessage => "the URL names no message",
            UrlError::Syntax => "the URL is not well-formed",
            UrlError::Access => "the URL says not well whom it is for",
        })
    }
}

impl std::error::Error for UrlError {}

impl Url {
    /// Longest URL, in octets.
    pub const MAX: usize = 8 * 1024;

    /// Reads a URL or a relative reference.
    ///
    /// # Errors
    /// [`UrlError`] for what is none, and for what names no message.
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        if text.len() > Url::MAX {
            return Err(UrlError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Characters);
        }
        let (server, path, rooted) = split_server(text)?;
        let (path, auth) = split_auth(text, path)?;
        // A search, or a part of nothing.
        if path.contains('?') {
            return Err(UrlError::NoMessage);
        }
        let (before, rest) = match find(path, "/;UID=") {
            Some(at) => (&path[..at], &path[at + 6..]),
            None if !rooted && starts(path, ";UID=") => ("", &path[5..]),
            None => return Err(UrlError::NoMessage),
        };
        let (rest, range) = match find(rest, "/;PARTIAL=") {
            Some(at) => (&rest[..at], Some(range(&rest[at + 10..])?)),
            None => (rest, None),
        };
        let (rest, section) = match find(rest, "/;SECTION=") {
            Some(at) => (&rest[..at], Some(section(&rest[at + 10..])?)),
            None => (rest, None),
        };
        let uid = number(rest)?;
        let mailbox = match before {
            "" if rooted => return Err(UrlError::NoMessage),
            "" => None,
            before => Some(mailbox(before, rooted)?),
        };
        Ok(Url { server, mailbox, uid, section, range, auth })
    }
}

/// Server, path without its first slash, and whether there was one.
fn split_server(text: &str) -> Result<(Option<Server>, &str, bool), UrlError> {
    let authority = match starts(text, "imap://") {
        true => Some(&text[7..]),
        false => text.strip_prefix("//"),
    };
    let Some(authority) = authority else {
        let scheme = text.find(':').is_some_and(|colon| {
            colon > 0 && text[..colon].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        });
        return match text.strip_prefix('/') {
            _ if scheme => Err(UrlError::Scheme),
            Some(path) => Ok((None, path, true)),
            None => Ok((None, text, false)),
        };
    };
    let (authority, path) = authority.split_once('/').ok_or(UrlError::NoMessage)?;
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let user = match user.map(|user| find(user, ";AUTH=").map_or(user, |at| &user[..at])) {
        Some("") | None => None,
        Some(user) => Some(decoded(user)?),
    };
    let host = match host.strip_prefix('[') {
        Some(address) => address.split_once(']').ok_or(UrlError::Syntax)?.0,
        None => host.split_once(':').map_or(host, |(host, _port)| host),
    };
    if host.is_empty() {
        return Err(UrlError::Syntax);
    }
    let host = decoded(host)?.to_ascii_lowercase();
    Ok((Some(Server { user, host }), path, true))
}

/// Takes `[;EXPIRE=..];URLAUTH=..` from the end of the path.
fn split_auth<'a>(text: &str, path: &'a str) -> Result<(&'a str, Option<UrlAuth>), UrlError> {
    let Some(at) = find(path, ";URLAUTH=") else {
        return if find(path, ";EXPIRE=").is_some() { Err(UrlError::Access) } else { Ok((path, None)) };
    };
    let (before, said) = (&path[..at], &path[at + 9..]);
    let (said, token) = match said.split_once(':') {
        None => (said, None),
        Some((access, token)) => {
            let (mechanism, token) = token.split_once(':').ok_or(UrlError::Access)?;
            let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
            let hex = token.len() >= 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
            if mechanism.is_empty() || !mechanism.bytes().all(good) || !hex {
                return Err(UrlError::Access);
            }
            (access, Some((mechanism.to_ascii_uppercase(), token.to_ascii_lowercase())))
        }
    };
    let access = match said {
        _ if said.eq_ignore_ascii_case("anonymous") => Access::Anonymous,
        _ if said.eq_ignore_ascii_case("authuser") => Access::AuthUser,
        _ if starts(said, "submit+") && said.len() > 7 => Access::Submit(decoded(&said[7..])?),
        _ if starts(said, "user+") && said.len() > 5 => Access::User(decoded(&said[5..])?),
        _ => return Err(UrlError::Access),
    };
    let (path, expires) = match find(before, ";EXPIRE=") {
        Some(at) => (&before[..at], Some(moment(&before[at + 8..]).ok_or(UrlError::Syntax)?)),
        None => (before, None),
    };
    // The path is a stretch of the text's end.
    let rump = text.len() - path_tail(&token);
    Ok((path, Some(UrlAuth { expires, access, rump, token })))
}

/// Octets of `:mechanism:token`.
fn path_tail(token: &Option<(String, String)>) -> usize {
    token.as_ref().map_or(0, |(mechanism, token)| mechanism.len() + token.len() + 2)
}

fn mailbox(text: &str, rooted: bool) -> Result<UrlMailbox, UrlError> {
    let (name, uidvalidity) = match find(text, ";UIDVALIDITY=") {
        Some(at) => (&text[..at], Some(number(&text[at + 13..])?)),
        None => (text, None),
    };
    if name.is_empty() || name.contains(';') {
        return Err(UrlError::Syntax);
    }
    Ok(UrlMailbox { name: decoded(name)?, rooted, uidvalidity })
}

/// `section-spec` as in FETCH, percent-encoded.
fn section(text: &str) -> Result<Section, UrlError> {
    let text = format!("[{}]", decoded(text)?);
    let syntax = Syntax { utf8: false, limits: Limits::default() };
    let mut cursor = Cursor::new(text.as_bytes(), &syntax);
    let section = fetch::section(&mut cursor).map_err(|_| UrlError::Syntax)?;
    match cursor.rest().is_empty() {
        true => Ok(section),
        false => Err(UrlError::Syntax),
    }
}

/// `number ["." nz-number]`.
fn range(text: &str) -> Result<UrlRange, UrlError> {
    let (offset, length) = match text.split_once('.') {
        Some((offset, length)) => (offset, Some(digits(length)?)),
        None => (text, None),
    };
    match length {
        Some(0) => Err(UrlError::Syntax),
        Some(_) | None => Ok(UrlRange { offset: digits(offset)?, length }),
    }
}

fn number(text: &str) -> Result<u32, UrlError> {
    match u32::try_from(digits(text)?) {
        Ok(0) | Err(_) => Err(UrlError::Syntax),
        Ok(number) => Ok(number),
    }
}

fn digits(text: &str) -> Result<u64, UrlError> {
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse().map_err(|_| UrlError::Syntax),
        false => Err(UrlError::Syntax),
    }
}

/// Where `words` (ASCII, in any case) begins first.
fn find(text: &str, words: &str) -> Option<usize> {
    text.as_bytes().windows(words.len()).position(|window| window.eq_ignore_ascii_case(words.as_bytes()))
}

fn starts(text: &str, words: &str) -> bool {
    text.get(..words.len()).is_some_and(|start| start.eq_ignore_ascii_case(words))
}

/// RFC 3986 §2.1; what comes out is text without control characters.
fn decoded(text: &str) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
            (_, _) => return Err(UrlError::Characters),
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| UrlError::Characters)?;
    if text.chars().any(char::is_control) { Err(UrlError::Characters) } else { Ok(text) }
}

/// `date-time` of RFC 3339, as seconds since 1970. Fractions of a second are dropped.
fn moment(text: &str) -> Option<i64> {
    let part = |range: std::ops::Range<usize>| -> Option<i64> {
        let part = text.get(range)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten()
    };
    let at = |place: usize| text.as_bytes().get(place).copied();
    let marks = at(4) == Some(b'-') && at(7) == Some(b'-') && matches!(at(10), Some(b'T' | b't'));
    if !marks || at(13) != Some(b':') || at(16) != Some(b':') {
        return None;
    }
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    let (hour, minute, second) = (part(11..13)?, part(14..16)?, part(17..19)?);
    let good = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !good || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut zone = &text[19..];
    if let Some(fraction) = zone.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        zone = if digits > 0 { &fraction[digits..] } else { return None };
    }
    let offset = match zone.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), a, b, b':', c, d] => {
            let value = |high: u8, low: u8| -> Option<i64> {
                let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
                Some(digit(high)? * 10 + digit(low)?)
            };
            let (hours, minutes) = (value(*a, *b)?, value(*c, *d)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3600 + minutes * 60;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    Some(days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Of the proleptic Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let before = |year: i64| year * 365 + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    before(year) - before(1970) + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => return error.to_string(),
        };
        let mut told = String::new();
        if let Some(server) = &url.server {
            told += &format!("{}@{} ", server.user.as_deref().unwrap_or("-"), server.host);
        }
        if let Some(mailbox) = &url.mailbox {
            let from = if mailbox.rooted { "/" } else { "" };
            told += &format!("{from}{} {:?} ", mailbox.name, mailbox.uidvalidity);
        }
        told += &format!("uid {}", url.uid);
        if let Some(section) = &url.section {
            told += &format!(" {:?} {:?}", section.part, section.text);
        }
        if let Some(range) = &url.range {
            told += &format!(" from {} {:?}", range.offset, range.length);
        }
        if let Some(auth) = &url.auth {
            told += &format!(" for {:?} until {:?} rump {}", auth.access, auth.expires, &text[..auth.rump]);
            told += &auth.token.as_ref().map_or(String::new(), |(mechanism, _)| format!(" by {mechanism}"));
        }
        told
    }

    #[test]
    fn urls_of_the_standards() {
        for (text, expected) in [
            // RFC 4469.
            ("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER", "/Drafts Some(385759045) uid 20 [] Some(Header)"),
            ("/Drafts;UIDVALIDITY=385759045/;UID=20/;Section=2.MIME", "/Drafts Some(385759045) uid 20 [2] Some(Mime)"),
            (
                "/INBOX;UIDVALIDITY=785799047/;UID=113330/;section=1.5.9",
                "/INBOX Some(785799047) uid 113330 [1, 5, 9] None",
            ),
            // RFC 5092.
            (
                "imap://minbari.example.org/gray-council;UIDVALIDITY=385759045/;UID=20/;PARTIAL=0.1024",
                "-@minbari.example.org /gray-council Some(385759045) uid 20 from 0 Some(1024)",
            ),
            (
                "imap://psicorp.example.org/~peter/%E6%97%A5%E6%9C%AC%E8%AA%9E/;UID=1",
                "-@psicorp.example.org /~peter/日本語 None uid 1",
            ),
            (
                "imap://;AUTH=*@minbari.example.org/gray%20council/;uid=20/;section=1.2",
                "-@minbari.example.org /gray council None uid 20 [1, 2] None",
            ),
            ("imap://michael:x@[2001:DB8::1]:993/INBOX/;UID=3", "michael:x@2001:db8::1 /INBOX None uid 3"),
            (
                ";UID=20/;section=1.2;urlauth=anonymous",
                "uid 20 [1, 2] None for Anonymous until None rump ;UID=20/;section=1.2;urlauth=anonymous",
            ),
            ("Sent/;UID=7/;PARTIAL=9", "Sent None uid 7 from 9 None"),
            (
                "/a/;UID=1/;SECTION=HEADER.FIELDS%20(From%20To)",
                "/a None uid 1 [] Some(HeaderFields([\"From\", \"To\"]))",
            ),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn urls_that_authorise() {
        let rump = "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred";
        let full = format!("{rump}:internal:91354a473744909de610943775f92038");
        let start = "joe@example.com /INBOX None uid 20 [1, 2] None";
        assert_eq!(told(rump), format!("{start} for Submit(\"fred\") until None rump {rump}"));
        assert_eq!(told(&full), format!("{start} for Submit(\"fred\") until None rump {rump} by INTERNAL"));
        let until = "imap://joe@example.com/INBOX/;uid=20;expire=2006-10-31T12:00:00Z;urlauth=user+a%40b";
        assert_eq!(
            told(until),
            format!("joe@example.com /INBOX None uid 20 for User(\"a@b\") until Some(1162296000) rump {until}")
        );
    }

    #[test]
    fn what_is_no_url_of_a_message() {
        for (text, expected) in [
            ("", "the URL names no message"),
            ("imap://example.com", "the URL names no message"),
            ("imap://example.com/", "the URL names no message"),
            ("imap://example.com/INBOX", "the URL names no message"),
            ("imap://example.com/INBOX?SUBJECT%20x", "the URL names no message"),
            ("/;UID=20", "the URL names no message"),
            (";SECTION=1", "the URL names no message"),
            ("http://example.com/INBOX/;UID=1", "the URL is not of IMAP"),
            ("data:,x", "the URL is not of IMAP"),
            ("imap:///INBOX/;UID=1", "the URL is not well-formed"),
            ("/a/;UID=0", "the URL is not well-formed"),
            ("/a/;UID=4294967296", "the URL is not well-formed"),
            ("/a/;UID=+1", "the URL is not well-formed"),
            ("/a/;UID=1:2", "the URL is not well-formed"),
            ("/a;UIDVALIDITY=x/;UID=1", "the URL is not well-formed"),
            ("/a;b/;UID=1", "the URL is not well-formed"),
            ("/a/;UID=1/;SECTION=0", "the URL is not well-formed"),
            ("/a/;UID=1/;SECTION=1]", "the URL is not well-formed"),
            ("/a/;UID=1/;PARTIAL=1.0", "the URL is not well-formed"),
            ("/a/;UID=1/;PARTIAL=-1", "the URL is not well-formed"),
            ("/a b/;UID=1", "the URL has characters that no URL has"),
            ("/a%0d%0a/;UID=1", "the URL has characters that no URL has"),
            ("/a%2/;UID=1", "the URL has characters that no URL has"),
            ("/a%ff/;UID=1", "the URL has characters that no URL has"),
            ("/a/;UID=1;URLAUTH=", "the URL says not well whom it is for"),
            ("/a/;UID=1;URLAUTH=submit+", "the URL says not well whom it is for"),
            ("/a/;UID=1;URLAUTH=nobody", "the URL says not well whom it is for"),
            ("/a/;UID=1;URLAUTH=anonymous:internal", "the URL says not well whom it is for"),
            ("/a/;UID=1;URLAUTH=anonymous:internal:12", "the URL says not well whom it is for"),
            ("/a/;UID=1;EXPIRE=2006-10-31T12:00:00Z", "the URL says not well whom it is for"),
            ("/a/;UID=1;EXPIRE=2006-02-29T12:00:00Z;URLAUTH=anonymous", "the URL is not well-formed"),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
        assert_eq!(told(&format!("/{}/;UID=1", "a".repeat(Url::MAX))), "the URL is too long");
    }

    #[test]
    fn moments() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T23:59:59.999+01:00", Some(951_865_199)),
            ("2024-03-01t00:00:00-00:30", Some(1_709_253_000)),
            ("0000-01-01T00:00:00Z", Some(-62_167_219_200)),
            ("9999-12-31T23:59:60Z", Some(253_402_300_800)),
            ("2000-02-30T00:00:00Z", None),
            ("2000-01-01 00:00:00Z", None),
            ("2000-01-01T00:00:00", None),
            ("2000-01-01T00:00:00.Z", None),
            ("2000-1-01T00:00:00Z", None),
        ] {
            assert_eq!(moment(text), expected, "{text}");
        }
    }
}
