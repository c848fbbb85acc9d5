//! A cursor over one command's bytes, with the terminals of the grammar (RFC 9051 §9).
//!
//! It is lenient where clients are known to be sloppy and nothing can be misunderstood: more than one space,
//! none beside a parenthesis, spaces within parentheses and at the end of the line.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::command::{Secret, Syntax};
use crate::error::Problem;
use crate::flags::{Flag, Keyword};
use crate::mailbox::{MailboxName, NameError, text_from_wire};
use crate::set::{MessageSet, NumberSet, SequenceSet, SetError};

/// A line of a client in AUTHENTICATE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthLine {
    /// The decoded response.
    Response(Secret),
    /// `*`: the client gives up.
    Cancel,
    /// Not base64: answer `BAD` and end the exchange.
    Bad,
}

/// Reads a line of the AUTHENTICATE exchange (RFC 9051 §6.2.2).
pub fn parse_auth_line(line: &[u8]) -> AuthLine {
    let line = line.trim_ascii();
    if line == b"*" {
        return AuthLine::Cancel;
    }
    match BASE64.decode(line) {
        Ok(response) => AuthLine::Response(Secret(response)),
        Err(_) => AuthLine::Bad,
    }
}

/// What went wrong, where; the tag is added outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) problem: Problem,
    pub(crate) position: usize,
}

/// The outcome of a rule.
pub(crate) type Rule<T> = Result<T, Fault>;

/// Where in the command we are.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    syntax: &'a Syntax,
    entries: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], syntax: &'a Syntax) -> Cursor<'a> {
        Cursor { bytes, at: 0, syntax, entries: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn syntax(&self) -> &'a Syntax {
        self.syntax
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub(crate) fn expected<T>(&self, what: &'static str) -> Rule<T> {
        self.fault_at(self.at, Problem::Expected(what))
    }

    pub(crate) fn fault_at<T>(&self, position: usize, problem: Problem) -> Rule<T> {
        Err(Fault { problem, position })
    }

    /// Counts an entry of a list against the command's limit.
    pub(crate) fn entry(&mut self) -> Rule<()> {
        self.entries += 1;
        if self.entries > self.syntax.limits.list {
            return self.fault_at(self.at, Problem::TooMuch("entries in lists"));
        }
        Ok(())
    }

    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn skip_spaces(&mut self) {
        while self.eat(b' ') {}
    }

    /// `SP`: one or more, or none beside a parenthesis.
    pub(crate) fn space(&mut self) -> Rule<()> {
        let before = self.at;
        self.skip_spaces();
        if self.at > before || self.is_beside() {
            Ok(())
        } else if self.at == self.bytes.len() {
            self.expected("more before the end of the line")
        } else {
            self.expected("a space")
        }
    }

    /// Whether a parenthesis is where a space is left out.
    pub(crate) fn is_beside(&self) -> bool {
        self.peek() == Some(b'(') || (self.at > 0 && self.bytes[self.at - 1] == b')')
    }

    /// Nothing but spaces is left.
    pub(crate) fn end(&mut self) -> Rule<()> {
        self.skip_spaces();
        if self.at == self.bytes.len() { Ok(()) } else { self.expected("the end of the line") }
    }

    /// Whether something follows, after a space.
    pub(crate) fn more(&mut self) -> bool {
        let before = self.at;
        self.skip_spaces();
        let more = self.at < self.bytes.len();
        if !more {
            self.at = before;
        }
        more
    }

    /// `(`, and spaces.
    pub(crate) fn open(&mut self) -> bool {
        let found = self.eat(b'(');
        if found {
            self.skip_spaces();
        }
        found
    }

    /// `)`, after spaces.
    pub(crate) fn close(&mut self) -> bool {
        let before = self.at;
        self.skip_spaces();
        let found = self.eat(b')');
        if !found {
            self.at = before;
        }
        found
    }

    /// `"(" [entry *(SP entry)] ")"`: calls `entry` for each.
    pub(crate) fn list(&mut self, what: &'static str, mut entry: impl FnMut(&mut Self) -> Rule<()>) -> Rule<()> {
        if !self.open() {
            return self.expected(what);
        }
        let mut first = true;
        while !self.close() {
            if !first {
                self.space()?;
            }
            first = false;
            self.entry()?;
            entry(self)?;
        }
        Ok(())
    }

    /// The longest run of octets that satisfy `wanted`, possibly empty.
    pub(crate) fn run(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|&byte| !wanted(byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// `atom`.
    pub(crate) fn atom(&mut self, what: &'static str) -> Rule<&'a str> {
        match std::str::from_utf8(self.run(is_atom_char)) {
            Ok(atom) if !atom.is_empty() => Ok(atom),
            Ok(_) | Err(_) => self.expected(what),
        }
    }

    /// A keyword of the grammar, in upper case; consumes it.
    pub(crate) fn word(&mut self, what: &'static str) -> Rule<String> {
        self.atom(what).map(str::to_ascii_uppercase)
    }

    /// Consumes the keyword if it is the next atom, in any case.
    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let before = self.at;
        let found = self.run(is_atom_char).eq_ignore_ascii_case(word.as_bytes());
        if !found {
            self.at = before;
        }
        found
    }

    /// `number64` of at most `largest`; RFC 9051 §9 demands that servers bound it.
    pub(crate) fn number(&mut self, largest: u64, what: &'static str) -> Rule<u64> {
        let start = self.at;
        let digits = std::str::from_utf8(self.run(|byte| byte.is_ascii_digit())).unwrap_or_default();
        match digits.parse() {
            Ok(number) if number <= largest => Ok(number),
            Ok(_) | Err(_) => self.fault_at(start, Problem::Expected(what)),
        }
    }

    /// `nz-number`.
    pub(crate) fn nz_number(&mut self, what: &'static str) -> Rule<u32> {
        let start = self.at;
        let number = self.number(u64::from(u32::MAX), what)?;
        match u32::try_from(number) {
            Ok(number) if number > 0 => Ok(number),
            Ok(_) | Err(_) => self.fault_at(start, Problem::Expected(what)),
        }
    }

    /// `mod-sequence-valzer` (RFC 7162 §7): below 2^63.
    pub(crate) fn mod_sequence(&mut self) -> Rule<u64> {
        self.number(i64::MAX.cast_unsigned(), "a modification sequence")
    }

    /// `string`: quoted or literal.
    pub(crate) fn string(&mut self, what: &'static str) -> Rule<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(false).map(Cow::Borrowed),
            Some(b'~') => self.literal(true).map(Cow::Borrowed),
            Some(_) | None => self.expected(what),
        }
    }

    /// `quoted`. A backslash may stand before any character.
    fn quoted(&mut self) -> Rule<Cow<'a, [u8]>> {
        self.at += 1;
        let start = self.at;
        let mut unescaped: Option<Vec<u8>> = None;
        loop {
            let plain = self.run(|byte| !matches!(byte, b'"' | b'\\' | b'\r' | b'\n' | 0));
            if let Some(text) = &mut unescaped {
                text.extend_from_slice(plain);
            }
            match self.peek() {
                Some(b'"') => {
                    let whole = &self.bytes[start..self.at];
                    // RFC 6855 §3: with UTF8=ACCEPT what is quoted is UTF-8.
                    if self.syntax.utf8 && std::str::from_utf8(whole).is_err() {
                        return self.fault_at(start, Problem::Expected("text in UTF-8"));
                    }
                    self.at += 1;
                    return Ok(unescaped.map_or(Cow::Borrowed(whole), Cow::Owned));
                }
                Some(b'\\') if self.bytes.get(self.at + 1).is_some_and(|byte| !matches!(byte, b'\r' | b'\n' | 0)) => {
                    unescaped.get_or_insert_with(|| self.bytes[start..self.at].to_vec()).push(self.bytes[self.at + 1]);
                    self.at += 2;
                }
                Some(_) | None => return self.expected("the closing quote of a string"),
            }
        }
    }

    /// `literal`, or `literal8` when `binary`.
    fn literal(&mut self, binary: bool) -> Rule<&'a [u8]> {
        let start = self.at;
        let Some((head, octets)) = literal_in_place(self.rest()) else {
            return self.expected("a literal with its octets");
        };
        self.at += head + octets;
        let text = &self.bytes[start + head..self.at];
        if !binary && text.contains(&0) {
            return self.fault_at(start, Problem::Expected("a literal without NUL"));
        }
        Ok(text)
    }

    /// `astring`. Empty atoms are not; `]` is allowed (RFC 9051 §9 ASTRING-CHAR).
    pub(crate) fn astring(&mut self, what: &'static str) -> Rule<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'~') if self.rest().starts_with(b"~{") => self.string(what),
            // Unquoted UTF-8 is not an atom, but some clients send it in names and searches.
            Some(byte) if is_astring_char(byte) || byte >= 0x80 => {
                Ok(Cow::Borrowed(self.run(|byte| is_astring_char(byte) || byte >= 0x80)))
            }
            Some(_) | None => self.string(what),
        }
    }

    /// `astring` that is UTF-8.
    pub(crate) fn text(&mut self, what: &'static str) -> Rule<String> {
        let start = self.at;
        let bytes = self.astring(what)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => self.fault_at(start, Problem::Expected("text in UTF-8")),
        }
    }

    /// `nstring` that is UTF-8.
    pub(crate) fn ntext(&mut self, what: &'static str) -> Rule<Option<String>> {
        if self.eat_word("NIL") { Ok(None) } else { self.text(what).map(Some) }
    }

    /// `mailbox`.
    pub(crate) fn mailbox(&mut self) -> Rule<MailboxName> {
        let start = self.at;
        let bytes = self.astring("a mailbox name")?;
        MailboxName::from_wire(&bytes, self.syntax.utf8).or_else(|error| self.fault_at(start, name_problem(error)))
    }

    /// `mailbox`, where the empty name means none: the server itself (RFC 5464 §4.2).
    pub(crate) fn mailbox_or_none(&mut self) -> Rule<Option<MailboxName>> {
        if self.rest().starts_with(b"\"\"") {
            self.at += 2;
            return Ok(None);
        }
        self.mailbox().map(Some)
    }

    /// `list-mailbox`, or with `wild` false LIST's reference: text that may be empty.
    pub(crate) fn mailbox_text(&mut self, wild: bool, what: &'static str) -> Rule<String> {
        let start = self.at;
        let allowed = |byte| is_astring_char(byte) || byte >= 0x80 || (wild && matches!(byte, b'*' | b'%'));
        let bytes = match self.peek() {
            Some(byte) if allowed(byte) => Cow::Borrowed(self.run(allowed)),
            Some(_) | None => self.string(what)?,
        };
        if bytes.len() > MailboxName::MAX {
            return self.fault_at(start, name_problem(NameError::TooLong));
        }
        text_from_wire(&bytes, self.syntax.utf8).or_else(|error| self.fault_at(start, name_problem(error)))
    }

    /// One `flag`.
    pub(crate) fn flag(&mut self) -> Rule<Flag> {
        let start = self.at;
        self.eat(b'\\');
        self.run(is_atom_char);
        let text = &self.bytes[start..self.at];
        Flag::parse(text).or_else(|_| match text.len() > Keyword::MAX {
            true => self.fault_at(start, Problem::TooMuch("octets in a keyword")),
            false => self.fault_at(start, Problem::Expected("a flag")),
        })
    }

    /// `sequence-set`, `$` included.
    pub(crate) fn message_set(&mut self) -> Rule<MessageSet> {
        if self.eat(b'$') {
            return Ok(MessageSet::Saved);
        }
        self.sequence_set().map(MessageSet::Set)
    }

    /// `sequence-set` of numbers.
    pub(crate) fn sequence_set(&mut self) -> Rule<SequenceSet> {
        let start = self.at;
        let text = self.run(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b',' | b'*'));
        SequenceSet::parse(text, self.syntax.limits.set).or_else(|error| match error {
            SetError::Syntax => self.fault_at(start, Problem::Expected("a set of message numbers")),
            SetError::TooMany => self.fault_at(start, Problem::TooMuch("ranges in a set")),
        })
    }

    /// `known-uids`, `known-sequence-set` (RFC 7162 §7): a set without `*`.
    pub(crate) fn number_set(&mut self) -> Rule<NumberSet> {
        let start = self.at;
        let set = self.sequence_set()?;
        if set.has_star() {
            return self.fault_at(start, Problem::Expected("a set of numbers without *"));
        }
        Ok(set.resolve(None))
    }
}

fn name_problem(error: NameError) -> Problem {
    match error {
        NameError::Empty => Problem::Expected("a mailbox name that is not empty"),
        NameError::TooLong => Problem::TooMuch("octets in a mailbox name"),
        NameError::NotText => Problem::Expected("a mailbox name in UTF-8 or modified UTF-7"),
        NameError::Control => Problem::Expected("a mailbox name without control characters"),
    }
}

/// The octets of the head of a literal that stands at the start of `bytes` with all its octets, and of these.
fn literal_in_place(bytes: &[u8]) -> Option<(usize, usize)> {
    let line_end = memchr::memchr(b'\n', bytes)?;
    let line = &bytes[..line_end];
    let head = LiteralHead::at_end(line.strip_suffix(b"\r").unwrap_or(line))?;
    let size = usize::try_from(head.size).ok()?;
    let whole = head.start == 0 && bytes.len() - (line_end + 1) >= size;
    whole.then_some((line_end + 1, size))
}

/// `{n}`, `{n+}`, `~{n}` or `~{n+}` at the end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LiteralHead {
    /// Where in the line it begins.
    pub(crate) start: usize,
    /// How many octets it announces; `u64::MAX` when the number is larger than that.
    pub(crate) size: u64,
    /// The client waits for leave to send them.
    pub(crate) synchronising: bool,
    /// It is a `literal8`.
    pub(crate) binary: bool,
}

impl LiteralHead {
    /// Finds the announcement at the end of a line (without its line end).
    pub(crate) fn at_end(line: &[u8]) -> Option<LiteralHead> {
        let inner = line.strip_suffix(b"}")?;
        let (inner, synchronising) = inner.strip_suffix(b"+").map_or((inner, true), |inner| (inner, false));
        let brace = inner.iter().rposition(|&byte| !byte.is_ascii_digit())?;
        let digits = &inner[brace + 1..];
        if inner[brace] != b'{' || digits.is_empty() {
            return None;
        }
        let size =
            digits.iter().fold(0u64, |size, digit| size.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
        let binary = brace > 0 && inner[brace - 1] == b'~';
        Some(LiteralHead { start: brace - usize::from(binary), size, synchronising, binary })
    }
}

/// `ATOM-CHAR`.
pub(crate) fn is_atom_char(byte: u8) -> bool {
    is_astring_char(byte) && byte != b']'
}

/// `ASTRING-CHAR`.
pub(crate) fn is_astring_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\')
}

/// Base64 as clients send it: with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_found_at_line_ends() {
        let head = |start, size, synchronising, binary| Some(LiteralHead { start, size, synchronising, binary });
        for (line, expected) in [
            ("a {5}", head(2, 5, true, false)),
            ("a {5+}", head(2, 5, false, false)),
            ("a ~{5}", head(2, 5, true, true)),
            ("a (~{05+}", head(3, 5, false, true)),
            ("{99999999999999999999}", head(0, u64::MAX, true, false)),
            ("a {}", None),
            ("a {+}", None),
            ("a {-1}", None),
            ("a {5} ", None),
            ("a 5}", None),
            ("5}", None),
            ("", None),
        ] {
            assert_eq!(LiteralHead::at_end(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn authentication_lines() {
        assert_eq!(parse_auth_line(b"*"), AuthLine::Cancel);
        assert_eq!(parse_auth_line(b""), AuthLine::Response(Secret(Vec::new())));
        assert_eq!(parse_auth_line(b"dGVzdA=="), AuthLine::Response(Secret(b"test".to_vec())));
        assert_eq!(parse_auth_line(b"dGVzdA"), AuthLine::Response(Secret(b"test".to_vec())));
        assert_eq!(parse_auth_line(b"@@"), AuthLine::Bad);
    }
}
