//! Macro strings: `%{ir}.%{v}._spf.%{d2}`. RFC 7208 §7.
//!
//! A record can ask for thousands of copies of a long local part: what an expansion may cost is bounded by
//! [`MAX_MACROS`] and by what a name or an explanation can hold, not by what was published.

use std::net::IpAddr;

use crate::domain::{MAX_NAME, is_at_or_below};

/// Macros of one term or explanation; more are a syntax error.
pub(super) const MAX_MACROS: usize = 64;

/// Octets of an explanation that are kept.
pub(super) const MAX_EXPLANATION: usize = 500;

/// A parsed `macro-string`, `domain-spec` or `explain-string`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MacroString {
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// Characters as they are.
    Literal(String),
    /// `%%`, `%_`, `%-`: what they stand for.
    Escape(&'static str),
    /// `%{…}`.
    Macro(Macro),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Macro {
    letter: Letter,
    /// An upper-case letter: URL-escaped.
    escaped: bool,
    /// Right-hand parts that are kept.
    keep: Option<usize>,
    reversed: bool,
    /// Empty: a dot.
    delimiters: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letter {
    Sender,
    Local,
    SenderDomain,
    Domain,
    Ip,
    ValidatedName,
    Family,
    Helo,
    ReadableIp,
    Receiver,
    Time,
}

/// Where a macro string stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In a record: `c`, `r` and `t` are not allowed.
    Record,
    /// In an explanation: spaces are allowed too.
    Explanation,
}

/// What macros stand for.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub(super) ip: IpAddr,
    /// ASCII or not, `postmaster` if the sender had none.
    pub(super) local: &'a str,
    pub(super) sender_domain: &'a str,
    pub(super) helo: &'a str,
    pub(super) receiver: &'a str,
    pub(super) now: i64,
    /// `<domain>` of the record that is looked at.
    pub(super) domain: &'a str,
    /// The names that the address has and that lead back to it.
    pub(super) validated: &'a [String],
}

/// Why a macro string cannot be used; for the verdict's reason.
pub(super) type Why = &'static str;

impl MacroString {
    /// `macro-string`, or `explain-string` in an explanation. RFC 7208 §7.1.
    pub(super) fn parse(text: &str, place: Place) -> Result<MacroString, Why> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let literal = rest.find('%').unwrap_or(rest.len());
            if literal > 0 {
                let (literal, after) = rest.split_at(literal);
                let fits = |byte: u8| byte.is_ascii_graphic() || (place == Place::Explanation && byte == b' ');
                if !literal.bytes().all(fits) {
                    return Err("it contains a character that is not visible ASCII");
                }
                tokens.push(Token::Literal(literal.to_owned()));
                rest = after;
                continue;
            }
            let (token, after) = Token::parse(rest, place)?;
            tokens.push(token);
            rest = after;
            if tokens.len() > 2 * MAX_MACROS {
                return Err("it has too many macros");
            }
        }
        Ok(MacroString { tokens })
    }

    /// `domain-spec = macro-string domain-end`: it ends in a macro or in a dot and a top label.
    pub(super) fn domain_spec(text: &str) -> Result<MacroString, Why> {
        let spec = MacroString::parse(text, Place::Record)?;
        match spec.tokens.last() {
            None => Err("the domain is empty"),
            Some(Token::Escape(_) | Token::Macro(_)) => Ok(spec),
            Some(Token::Literal(end)) => {
                let end = end.strip_suffix('.').unwrap_or(end);
                match end.rsplit_once('.') {
                    Some((_, label)) if is_top_label(label) => Ok(spec),
                    Some(_) | None => Err("it does not end in a domain name"),
                }
            }
        }
    }

    /// Whether the names of the address must be known first (`%{p}`).
    pub(super) fn needs_validated_name(&self) -> bool {
        self.has(|letter| letter == Letter::ValidatedName)
    }

    /// Whether it cannot be expanded, as the local part is not ASCII. RFC 8616 §4.
    pub(super) fn is_unusable(&self, values: &Values<'_>) -> bool {
        !values.local.is_ascii() && self.has(|letter| matches!(letter, Letter::Sender | Letter::Local))
    }

    fn has(&self, is: impl Fn(Letter) -> bool) -> bool {
        self.tokens.iter().any(|token| matches!(token, Token::Macro(found) if is(found.letter)))
    }

    /// The name that it stands for; labels go from the left until it fits. RFC 7208 §7.3. Without the final dot.
    pub(super) fn expand_domain(&self, values: &Values<'_>) -> String {
        // From the right, and no further than what can remain.
        let (mut pieces, mut length) = (Vec::new(), 0);
        for token in self.tokens.iter().rev() {
            let piece = token.expand(values);
            length += piece.len();
            pieces.push(piece);
            if length > MAX_NAME + 1 {
                break;
            }
        }
        pieces.reverse();
        let whole = pieces.concat();
        let mut name = whole.strip_suffix('.').unwrap_or(&whole);
        while name.len() > MAX_NAME {
            match name.split_once('.') {
                Some((_, rest)) => name = rest,
                None => break,
            }
        }
        name.to_owned()
    }

    /// The text that it stands for, printable and not longer than [`MAX_EXPLANATION`].
    pub(super) fn expand_text(&self, values: &Values<'_>) -> String {
        let mut text = String::new();
        for token in &self.tokens {
            // What the sender chose must not start lines of its own where this is shown.
            text.extend(token.expand(values).chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }));
            if text.len() >= MAX_EXPLANATION {
                text.truncate(MAX_EXPLANATION);
                break;
            }
        }
        text
    }
}

impl Token {
    /// `macro-expand`. `text` begins with a `%`.
    fn parse(text: &str, place: Place) -> Result<(Token, &str), Why> {
        let bytes = text.as_bytes();
        let escape = match bytes.get(1) {
            Some(b'%') => "%",
            Some(b'_') => " ",
            Some(b'-') => "%20",
            Some(b'{') => {
                let end = text.find('}').ok_or("a macro has no end")?;
                return Ok((Token::Macro(Macro::parse(&text[2..end], place)?), &text[end + 1..]));
            }
            Some(_) | None => return Err("a % stands alone"),
        };
        Ok((Token::Escape(escape), &text[2..]))
    }

    fn expand(&self, values: &Values<'_>) -> String {
        match self {
            Token::Literal(text) => text.clone(),
            Token::Escape(text) => (*text).to_owned(),
            Token::Macro(found) => found.expand(values),
        }
    }
}

impl Macro {
    /// `macro-letter transformers *delimiter`.
    fn parse(text: &str, place: Place) -> Result<Macro, Why> {
        let mut bytes = text.bytes().peekable();
        let first = bytes.next().ok_or("a macro is empty")?;
        let letter = match first.to_ascii_lowercase() {
            b's' => Letter::Sender,
            b'l' => Letter::Local,
            b'o' => Letter::SenderDomain,
            b'd' => Letter::Domain,
            b'i' => Letter::Ip,
            b'p' => Letter::ValidatedName,
            b'v' => Letter::Family,
            b'h' => Letter::Helo,
            b'c' if place == Place::Explanation => Letter::ReadableIp,
            b'r' if place == Place::Explanation => Letter::Receiver,
            b't' if place == Place::Explanation => Letter::Time,
            _ => return Err("there is no such macro"),
        };
        let mut keep = None;
        while let Some(digit) = bytes.next_if(u8::is_ascii_digit) {
            let so_far: usize = keep.unwrap_or(0);
            keep = Some(so_far.saturating_mul(10).saturating_add(usize::from(digit - b'0')));
        }
        if keep == Some(0) {
            // RFC 7208 §7.3: the value must not be zero.
            return Err("a macro keeps nothing");
        }
        let reversed = bytes.next_if(|byte| byte.eq_ignore_ascii_case(&b'r')).is_some();
        let delimiters: Vec<u8> = bytes.collect();
        if !delimiters.iter().all(|byte| b".-+,/_=".contains(byte)) {
            return Err("a macro has an unknown delimiter");
        }
        Ok(Macro { letter, escaped: first.is_ascii_uppercase(), keep, reversed, delimiters })
    }

    fn expand(&self, values: &Values<'_>) -> String {
        let value = self.letter.value(values);
        let is_delimiter = |c: char| match self.delimiters.as_slice() {
            [] => c == '.',
            some => u8::try_from(c).is_ok_and(|byte| some.contains(&byte)),
        };
        let mut parts: Vec<&str> = value.split(is_delimiter).collect();
        if self.reversed {
            parts.reverse();
        }
        let skip = self.keep.map_or(0, |keep| parts.len().saturating_sub(keep));
        let text = parts[skip..].join(".");
        if self.escaped { url_escape(&text) } else { text }
    }
}

impl Letter {
    /// RFC 7208 §7.2, §7.3.
    fn value(self, values: &Values<'_>) -> String {
        match self {
            Letter::Sender => format!("{}@{}", values.local, values.sender_domain),
            Letter::Local => values.local.to_owned(),
            Letter::SenderDomain => values.sender_domain.to_owned(),
            Letter::Domain => values.domain.to_owned(),
            Letter::Helo => values.helo.to_owned(),
            Letter::ReadableIp => values.ip.to_string(),
            Letter::Receiver if values.receiver.is_empty() => "unknown".to_owned(),
            Letter::Receiver => values.receiver.to_owned(),
            Letter::Time => values.now.to_string(),
            Letter::Ip => match values.ip {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => {
                    let nibbles = ip.octets().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
                    nibbles.map(|nibble| format!("{nibble:X}")).collect::<Vec<_>>().join(".")
                }
            },
            Letter::Family => match values.ip {
                IpAddr::V4(_) => "in-addr".to_owned(),
                IpAddr::V6(_) => "ip6".to_owned(),
            },
            Letter::ValidatedName => {
                // The domain itself, else a name below it, else any.
                let names = values.validated;
                let same = names.iter().find(|name| *name == values.domain);
                let below = || names.iter().find(|name| is_at_or_below(name, values.domain));
                same.or_else(below).or(names.first()).cloned().unwrap_or_else(|| "unknown".to_owned())
            }
        }
    }
}

/// `toplabel`: letters, digits and hyphens, not only digits, no hyphen at either end.
fn is_top_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    bytes.iter().all(fits) && !bytes.iter().all(u8::is_ascii_digit) && *first != b'-' && *last != b'-'
}

/// RFC 3986 §2.3: all but unreserved characters.
fn url_escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values<'static> {
        Values {
            ip: "192.0.2.3".parse().expect("an address"),
            local: "strong-bad",
            sender_domain: "email.example.com",
            helo: "mx.example.org",
            receiver: "mx.postroad.test",
            now: 1_700_000_000,
            domain: "email.example.com",
            validated: &[],
        }
    }

    fn expand(text: &str, values: &Values<'_>) -> String {
        MacroString::parse(text, Place::Record).expect(text).expand_domain(values)
    }

    /// RFC 7208 §7.4.
    #[test]
    fn the_examples_of_the_rfc() {
        let four = values();
        for (text, expected) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d3}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
            ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
            ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
            ("%{p}.x.test", "unknown.x.test"),
            ("%%%_%-", "% %20"),
            ("%{D2}.%{S}", "example.com.strong-bad%40email.example.com"),
        ] {
            assert_eq!(expand(text, &four), expected, "{text}");
        }
        let six = Values { ip: "2001:db8::cb01".parse().expect("an address"), ..values() };
        assert_eq!(
            expand("%{ir}.%{v}._spf.%{d2}", &six),
            "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com"
        );
    }

    #[test]
    fn what_is_no_macro_string_is_refused() {
        for text in [
            "%", "a%", "%a", "%{", "%{}", "%{x}", "%{d", "%{d0}", "%{dx}", "%{d2r*}", "%(d)", "a b", "ä", "%{ä}",
            "%{c}",
        ] {
            assert!(MacroString::parse(text, Place::Record).is_err(), "{text:?}");
        }
        for text in ["a", "a.1", "a.-b", "a.b-", "", ".", "a..", "a.b:1", "%{d}a"] {
            assert!(MacroString::domain_spec(text).is_err(), "{text:?}");
        }
        for text in ["a.b", "a.b.", "a:b/c.d", ".b", "%{d}", "a%%", "%{d}.xn--zckzah", "a.1b", "a.1-2"] {
            assert!(MacroString::domain_spec(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn the_name_of_the_address_prefers_the_domain() {
        let names = ["other.test", "x.email.example.com", "email.example.com"].map(String::from);
        for (validated, expected) in
            [(&names[..], "email.example.com"), (&names[..2], "x.email.example.com"), (&names[..1], "other.test")]
        {
            assert_eq!(expand("%{p}", &Values { validated, ..values() }), expected);
        }
    }

    #[test]
    fn a_macro_bomb_costs_what_a_name_holds() {
        let local = "a.".repeat(500) + "end";
        let values = Values { local: &local, ..values() };
        let bomb = "%{l}".repeat(MAX_MACROS);
        let name = expand(&bomb, &values);
        assert!(name.len() <= MAX_NAME, "{}", name.len());
        assert!(name.ends_with(".a.end"), "{name}");
        let text = MacroString::parse(&bomb, Place::Explanation).expect("a text").expand_text(&values);
        assert_eq!(text.len(), MAX_EXPLANATION);
        let more = "%{l}".repeat(3 * MAX_MACROS);
        assert!(MacroString::parse(&more, Place::Record).is_err());
    }

    #[test]
    fn explanations_carry_no_lines_of_the_sender() {
        let values = Values { local: "a\r\nX-Evil: 1\u{e4}", ..values() };
        let text = MacroString::parse("by %{l} at %{t} via %{c} to %{r}", Place::Explanation).expect("a text");
        assert_eq!(text.expand_text(&values), "by a??X-Evil: 1? at 1700000000 via 192.0.2.3 to mx.postroad.test");
    }
}
