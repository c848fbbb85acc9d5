//! The address-list parser: one pass, linear, total. What a list must look like is in RFC 5322 §3.4 and §4.4; what it does look
//! like is decided in the comments below.

use super::{Address, ENTRIES_MAX, Mailbox};
use crate::header::{loose_text, unfold};

/// Parses an address list field value (folded or not). Never fails: what cannot be understood is left out.
pub fn parse(value: &[u8]) -> Vec<Address> {
    parse_limited(value, ENTRIES_MAX)
}

/// [`parse`] that stops after about `limit` entries.
pub fn parse_limited(value: &[u8], limit: usize) -> Vec<Address> {
    let value = unfold(value);
    let mut parser = Parser { bytes: &value, at: 0, list: Vec::new(), in_group: false, entry: Entry::default() };
    while parser.at < parser.bytes.len() && parser.list.len() < limit {
        parser.token();
    }
    parser.flush();
    if parser.in_group {
        parser.list.push(Address::GroupEnd);
    }
    parser.list
}

/// What was read of the current entry.
#[derive(Default)]
struct Entry {
    /// Words and quoted strings as a person reads them, one space between.
    display: Vec<u8>,
    /// The same as address material: quotes kept, no spaces around dots and at signs, with the place of each word in `display`.
    words: Vec<(usize, Vec<u8>)>,
    /// An at sign was among the words.
    has_at_sign: bool,
    /// White space was seen since the last word.
    gap: bool,
    /// The last comment.
    comment: Option<Vec<u8>>,
    /// What was between angle brackets.
    angle: Option<Vec<u8>>,
}

/// Octets that are looked at one by one.
const SPECIALS: &[u8] = b" \t\r\n(\"<,;:[\\";

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    list: Vec<Address>,
    in_group: bool,
    entry: Entry,
}

impl Parser<'_> {
    fn token(&mut self) {
        let byte = self.bytes[self.at];
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                self.at += 1;
                self.entry.gap = true;
            }
            b'(' => {
                let comment = self.comment();
                self.entry.comment = Some(comment).filter(|c| !c.is_empty()).or(self.entry.comment.take());
                self.entry.gap = true;
            }
            b'"' => self.quoted_word(),
            b'<' => self.angle(),
            b',' => {
                self.at += 1;
                self.flush();
            }
            // Outlook separates with semicolons, so one outside a group is a comma.
            b';' => {
                self.at += 1;
                self.flush();
                if std::mem::take(&mut self.in_group) {
                    self.list.push(Address::GroupEnd);
                }
            }
            b':' if self.starts_group() => self.start_group(),
            b'[' if self.after_at_sign() => self.literal(),
            b'\\' if self.at + 1 < self.bytes.len() => {
                self.entry.push(&self.bytes[self.at + 1..self.at + 2], &self.bytes[self.at..self.at + 2]);
                self.at += 2;
            }
            _ => {
                // What follows it and has no meaning here goes with it.
                let run = &self.bytes[self.at..];
                let length = run.iter().skip(1).position(|byte| SPECIALS.contains(byte)).map_or(run.len(), |at| at + 1);
                self.entry.run(&run[..length]);
                self.at += length;
            }
        }
    }

    /// A colon ends a group's name, unless something before it looks like an address or we are in a group already.
    fn starts_group(&self) -> bool {
        !self.in_group && self.entry.angle.is_none() && !self.entry.has_at_sign
    }

    fn start_group(&mut self) {
        self.at += 1;
        let entry = std::mem::take(&mut self.entry);
        self.list.push(Address::GroupStart(loose_text(&entry.display)));
        self.in_group = true;
    }

    fn after_at_sign(&self) -> bool {
        self.entry.words.last().is_some_and(|(_, w)| w.ends_with(b"@"))
    }

    /// A domain literal: `[IPv6:2001:db8::1]`.
    fn literal(&mut self) {
        let rest = &self.bytes[self.at..];
        let length = memchr::memchr2(b']', b',', rest).map_or(rest.len(), |i| i + usize::from(rest[i] == b']'));
        self.entry.push(&rest[..length], &rest[..length]);
        self.at += length;
    }

    /// Consumes a comment, nested ones included, and gives its text.
    fn comment(&mut self) -> Vec<u8> {
        let (text, length) = comment(&self.bytes[self.at..]);
        self.at += length;
        text
    }

    fn quoted_word(&mut self) {
        let (text, length) = quoted(&self.bytes[self.at..]);
        let raw = &self.bytes[self.at..self.at + length];
        self.entry.push(&text, raw);
        self.at += length;
    }

    /// `<` .. `>`. A missing `>` ends at the next separator; another `<` begins anew (`<"A" <a@b>>`).
    fn angle(&mut self) {
        if self.entry.angle.is_some() {
            // `A <a@b> B <c@d>`: the comma is missing.
            self.flush();
        }
        self.at += 1;
        let mut inner = Vec::new();
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'>' => {
                    self.at += 1;
                    break;
                }
                b'<' => {
                    inner.clear();
                    self.at += 1;
                }
                b'"' => {
                    let (_, length) = quoted(&self.bytes[self.at..]);
                    inner.extend_from_slice(&self.bytes[self.at..self.at + length]);
                    self.at += length;
                }
                b'(' => {
                    self.comment();
                }
                b';' => break,
                // A comma is part of a route only.
                b',' if !inner.starts_with(b"@") => break,
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                _ => {
                    inner.push(byte);
                    self.at += 1;
                }
            }
        }
        while self.bytes.get(self.at) == Some(&b'>') {
            self.at += 1;
        }
        self.entry.angle = Some(inner);
        self.entry.gap = true;
    }

    fn flush(&mut self) {
        let entry = std::mem::take(&mut self.entry);
        if let Some(mailbox) = entry.mailbox() {
            self.list.push(Address::Mailbox(mailbox));
        }
    }
}

impl Entry {
    /// Adds octets that stand for themselves.
    fn run(&mut self, run: &[u8]) {
        self.has_at_sign |= self.angle.is_none() && run.contains(&b'@');
        self.add(run, run, matches!(run.first(), Some(b'.' | b'@')));
    }

    /// Adds a piece: how it reads, and how it stands in an address.
    fn push(&mut self, text: &[u8], raw: &[u8]) {
        self.add(text, raw, false);
    }

    fn add(&mut self, text: &[u8], raw: &[u8], is_joint: bool) {
        if self.angle.is_some() {
            // Words after the brackets belong to nothing.
            return;
        }
        let joins = self.words.last().is_some_and(|(_, word)| {
            // obs-local-part and obs-domain (RFC 5322 §4.4): white space around dots and the at sign.
            !self.gap || is_joint || word.ends_with(b".") || word.ends_with(b"@")
        });
        if self.gap && !self.display.is_empty() {
            self.display.push(b' ');
        }
        match self.words.last_mut().filter(|_| joins) {
            Some((_, word)) => word.extend_from_slice(raw),
            None => self.words.push((self.display.len(), raw.to_vec())),
        }
        self.display.extend_from_slice(text);
        self.gap = false;
    }

    fn mailbox(self) -> Option<Mailbox> {
        if let Some(inner) = &self.angle {
            let name = Some(&self.display).filter(|d| !d.is_empty()).or(self.comment.as_ref());
            return Some(Mailbox { name: name.map(|n| loose_text(n)), ..addr_spec(inner) });
        }
        let at = self.words.iter().rposition(|(_, word)| split_at_sign(word).is_some());
        let Some(at) = at else {
            return self.without_at_sign();
        };
        let (start, word) = &self.words[at];
        let before = self.display[..*start].trim_ascii();
        let after = self.words.get(at + 1).map_or(&b""[..], |(next, _)| self.display[*next..].trim_ascii());
        let name = [before, after].into_iter().find(|n| !n.is_empty()).or(self.comment.as_deref());
        Some(Mailbox { name: name.map(loose_text), ..addr_spec(word) })
    }

    /// One word is a local user; several are a name whose address was lost.
    fn without_at_sign(self) -> Option<Mailbox> {
        match self.words.len() {
            0 => None,
            1 => {
                let name = self.comment.as_deref().map(loose_text);
                Some(Mailbox { name, local: loose_text(&self.display), ..Mailbox::default() })
            }
            _ => Some(Mailbox { name: Some(loose_text(&self.display)), ..Mailbox::default() }),
        }
    }
}

/// `[@route,@route:]local@host`, without white space outside quotes.
fn addr_spec(bytes: &[u8]) -> Mailbox {
    let bytes = if bytes.len() > 7 && bytes[..7].eq_ignore_ascii_case(b"mailto:") { &bytes[7..] } else { bytes };
    let (route, spec) = match (bytes.first(), memchr::memchr(b':', bytes)) {
        // RFC 5322 §4.4: obs-route, to be ignored when sending, told in ENVELOPE.
        (Some(b'@'), Some(colon)) => (Some(loose_text(&bytes[..colon])), &bytes[colon + 1..]),
        _ => (None, bytes),
    };
    let (local, host) = match split_at_sign(spec) {
        Some(at) => (&spec[..at], &spec[at + 1..]),
        None => (spec, &b""[..]),
    };
    Mailbox { name: None, route, local: loose_text(&unquote(local)), host: loose_text(host) }
}

/// The last at sign outside quotes and outside a domain literal.
fn split_at_sign(bytes: &[u8]) -> Option<usize> {
    let mut found = None;
    let mut in_quotes = false;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'"' => in_quotes = !in_quotes,
            b'@' if !in_quotes => found = Some(at),
            _ => {}
        }
        at += 1;
    }
    found
}

/// Removes quotes and escapes: `"john doe"`, and `john."mid dle".doe` (obs-local-part).
fn unquote(local: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(local.len());
    let mut bytes = local.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'"' => {}
            b'\\' => out.extend(bytes.next()),
            _ => out.push(byte),
        }
    }
    out
}

/// A quoted string at the start: its text, and the octets it takes. An unclosed one goes to the end.
fn quoted(bytes: &[u8]) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return (out, at + 1),
            b'\\' if at + 1 < bytes.len() => {
                out.push(bytes[at + 1]);
                at += 2;
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    (out, bytes.len())
}

/// A comment at the start: its text, and the octets it takes (RFC 5322 §3.2.2; nested ones keep their parentheses).
fn comment(bytes: &[u8]) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let mut depth = 0usize;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        at += 1;
        match byte {
            b'(' => {
                depth += 1;
                if depth == 1 {
                    continue;
                }
            }
            b')' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            b'\\' if at < bytes.len() => {
                out.push(bytes[at]);
                at += 1;
                continue;
            }
            _ => {}
        }
        out.push(byte);
    }
    (out.trim_ascii().to_vec(), at)
}
