//! Names of mailboxes: UTF-8, hierarchy separator `/` (RFC 9051 §5.1, RFC 5198).

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::NameError;

/// A valid name of a mailbox: the full path in NFC, `/` between levels, `INBOX` in capitals when it is
/// the first level. Other names differ by case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxName(String);

impl MailboxName {
    /// Longest full name in bytes of UTF-8.
    pub const MAX_BYTES: usize = 1_000;
    /// Most levels.
    pub const MAX_DEPTH: usize = 20;
    /// Between levels.
    pub const SEPARATOR: char = '/';

    /// A name from UTF-8 text (decode mUTF-7 before).
    pub fn parse(text: &str) -> Result<MailboxName, NameError> {
        // Checked before the work: a name can only shrink or grow threefold by NFC.
        if text.len() > MailboxName::MAX_BYTES {
            return Err(NameError::TooLong);
        }
        let mut name: String = text.nfc().collect();
        if name.len() > MailboxName::MAX_BYTES {
            return Err(NameError::TooLong);
        }
        if name.chars().any(is_forbidden) {
            return Err(NameError::Character);
        }
        let mut depth = 0;
        for part in name.split(MailboxName::SEPARATOR) {
            depth += 1;
            if part.is_empty() {
                return Err(NameError::Empty);
            }
            if part == "." || part == ".." {
                return Err(NameError::Character);
            }
        }
        if depth > MailboxName::MAX_DEPTH {
            return Err(NameError::TooDeep);
        }
        // RFC 9051 §5.1: INBOX is special in any case, also as the first level of a longer name.
        let first = name.split(MailboxName::SEPARATOR).next().unwrap_or_default();
        if first.eq_ignore_ascii_case("INBOX") {
            name.replace_range(..5, "INBOX");
        }
        Ok(MailboxName(name))
    }

    /// `INBOX`.
    pub fn inbox() -> MailboxName {
        MailboxName("INBOX".to_owned())
    }

    /// The full name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is INBOX itself.
    pub fn is_inbox(&self) -> bool {
        self.0 == "INBOX"
    }

    /// The name one level up.
    pub fn parent(&self) -> Option<MailboxName> {
        self.0.rsplit_once(MailboxName::SEPARATOR).map(|(parent, _)| MailboxName(parent.to_owned()))
    }

    /// All names above, nearest last: `a`, `a/b` of `a/b/c`.
    pub fn ancestors(&self) -> impl Iterator<Item = MailboxName> + '_ {
        self.0.match_indices(MailboxName::SEPARATOR).map(|(at, _)| MailboxName(self.0[..at].to_owned()))
    }

    /// The last level.
    pub fn leaf(&self) -> &str {
        self.0.rsplit_once(MailboxName::SEPARATOR).map_or(self.0.as_str(), |(_, leaf)| leaf)
    }

    /// Whether it lies below `other`, at any depth.
    pub fn is_below(&self, other: &MailboxName) -> bool {
        self.0.strip_prefix(&other.0).is_some_and(|rest| rest.starts_with(MailboxName::SEPARATOR))
    }

    /// The prefix that all names below share: `a/`.
    pub(crate) fn prefix(&self) -> String {
        format!("{}{}", self.0, MailboxName::SEPARATOR)
    }

    /// From the database.
    pub(crate) fn stored(text: String) -> MailboxName {
        MailboxName(text)
    }
}

/// What a name must not have: controls and line separators (RFC 5198 §2), noncharacters, and the
/// specials (U+FFF9 and on) that show nothing. `*` and `%` are allowed as RFC 9051 §5.1 does.
fn is_forbidden(character: char) -> bool {
    let code = u32::from(character);
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffd}')
        || (0xfdd0..=0xfdef).contains(&code)
        || code & 0xfffe == 0xfffe
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
