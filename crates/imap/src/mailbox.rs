//! Mailbox names and special uses.

use std::fmt;

use crate::utf7;

/// The hierarchy separator of every namespace.
pub(crate) const SEPARATOR: char = '/';

/// A mailbox name in UTF-8: not empty, no control characters; `INBOX` in capitals, whether it is the
/// whole name or its first level (RFC 9051 §5.1). A trailing separator is kept: CREATE means something by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(String);

/// Why bytes are not a mailbox name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// It is empty.
    Empty,
    /// Longer than [`MailboxName::MAX`].
    TooLong,
    /// Octets that are neither UTF-8 nor modified UTF-7.
    NotText,
    /// A control character.
    Control,
}

impl MailboxName {
    /// Longest name, in octets of UTF-8.
    pub const MAX: usize = 1024;

    /// The name of everyone's first mailbox.
    pub fn inbox() -> MailboxName {
        MailboxName("INBOX".to_owned())
    }

    /// From the bytes of a command; `utf8` as in [`crate::Syntax`].
    pub fn from_wire(bytes: &[u8], utf8: bool) -> Result<MailboxName, NameError> {
        MailboxName::from_text(&text_from_wire(bytes, utf8)?)
    }

    /// From text, as the database holds it.
    pub fn from_text(name: &str) -> Result<MailboxName, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > MailboxName::MAX {
            return Err(NameError::TooLong);
        }
        // RFC 6855 §3: no C0 or C1 controls, no line or paragraph separators.
        if name.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            return Err(NameError::Control);
        }
        Ok(MailboxName(capital_inbox(name)))
    }

    /// As text, the form the database holds.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without separators at its end; Thunderbird and others send `folder/`. `/` alone stays.
    pub fn without_trailing_separator(&self) -> MailboxName {
        let trimmed = self.0.trim_end_matches(SEPARATOR);
        if trimmed.is_empty() { self.clone() } else { MailboxName(capital_inbox(trimmed)) }
    }

    /// Whether it is INBOX.
    pub fn is_inbox(&self) -> bool {
        self.0 == "INBOX"
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text a client means by a name or pattern.
///
/// Without UTF-8 enabled the spelling is modified UTF-7. Two kinds of clients do it otherwise and are
/// understood, since no well-spelt name can mean the same: those that send UTF-8 as it is, and those that
/// leave `&` bare (`R&D`), which is then taken literally.
pub(crate) fn text_from_wire(bytes: &[u8], utf8: bool) -> Result<String, NameError> {
    let text = std::str::from_utf8(bytes).map_err(|_| NameError::NotText)?;
    if utf8 || !text.is_ascii() || !text.contains('&') {
        return Ok(text.to_owned());
    }
    Ok(utf7::decode(bytes).unwrap_or_else(|_| text.to_owned()))
}

/// RFC 9051 §5.1: INBOX in any case is the user's own; so is it where it is the first level.
pub(crate) fn capital_inbox(name: &str) -> String {
    let (first, rest) = name.split_at(name.find(SEPARATOR).unwrap_or(name.len()));
    if first.eq_ignore_ascii_case("INBOX") { format!("INBOX{rest}") } else { name.to_owned() }
}

/// What a mailbox is for (RFC 6154 §2, RFC 8457).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpecialUse {
    /// `\All`.
    All,
    /// `\Archive`.
    Archive,
    /// `\Drafts`.
    Drafts,
    /// `\Flagged`.
    Flagged,
    /// `\Junk`.
    Junk,
    /// `\Sent`.
    Sent,
    /// `\Trash`.
    Trash,
    /// `\Important`.
    Important,
}

impl SpecialUse {
    /// All of them.
    pub const EVERY: [SpecialUse; 8] = [
        SpecialUse::All,
        SpecialUse::Archive,
        SpecialUse::Drafts,
        SpecialUse::Flagged,
        SpecialUse::Junk,
        SpecialUse::Sent,
        SpecialUse::Trash,
        SpecialUse::Important,
    ];

    /// The attribute as it is written, with its backslash.
    pub fn as_str(self) -> &'static str {
        match self {
            SpecialUse::All => "\\All",
            SpecialUse::Archive => "\\Archive",
            SpecialUse::Drafts => "\\Drafts",
            SpecialUse::Flagged => "\\Flagged",
            SpecialUse::Junk => "\\Junk",
            SpecialUse::Sent => "\\Sent",
            SpecialUse::Trash => "\\Trash",
            SpecialUse::Important => "\\Important",
        }
    }

    /// Reads the attribute, in any case.
    pub fn parse(text: &str) -> Option<SpecialUse> {
        SpecialUse::EVERY.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_clients() {
        for (wire, utf8, expected) in [
            (&b"INBOX"[..], false, Ok("INBOX")),
            (b"inbox", false, Ok("INBOX")),
            (b"InBoX/Sub", false, Ok("INBOX/Sub")),
            (b"inboxes", false, Ok("inboxes")),
            (b"Entw&APw-rfe", false, Ok("Entw\u{fc}rfe")),
            (b"Entw&APw-rfe", true, Ok("Entw&APw-rfe")),
            (b"Entw\xc3\xbcrfe", false, Ok("Entw\u{fc}rfe")),
            (b"R&D", false, Ok("R&D")),
            (b"R&-D", false, Ok("R&D")),
            (b"R&-D", true, Ok("R&-D")),
            (b"&AGEAYg-", false, Ok("ab")),
            (b"a/", false, Ok("a/")),
            (b"", false, Err(NameError::Empty)),
            (b"\xff", false, Err(NameError::NotText)),
            (b"&AAE-", false, Err(NameError::Control)),
            (b"a\x7f", true, Err(NameError::Control)),
            (b"a\xe2\x80\xa8", true, Err(NameError::Control)),
        ] {
            let name = MailboxName::from_wire(wire, utf8);
            assert_eq!(name.as_ref().map(MailboxName::as_str), expected.as_ref().copied(), "{}", wire.escape_ascii());
        }
        assert_eq!(MailboxName::from_text(&"x".repeat(1025)), Err(NameError::TooLong));
    }

    #[test]
    fn a_trailing_separator_can_go() {
        for (name, expected) in [("a/", "a"), ("a//", "a"), ("inbox/", "INBOX"), ("a", "a"), ("/", "/")] {
            let name = MailboxName::from_text(name).expect("a name");
            assert_eq!(name.without_trailing_separator().as_str(), expected);
        }
    }
}
