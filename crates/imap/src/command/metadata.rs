//! GETMETADATA and SETMETADATA (RFC 5464), and the entries that LIST tells (RFC 9590).

use crate::command::Body;
use crate::cursor::{Cursor, Rule};
use crate::error::Problem;
use crate::mailbox::MailboxName;

/// What the commands about annotations ask. No mailbox: the server's own annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metadata {
    /// GETMETADATA (§4.2).
    Get {
        /// Of which mailbox.
        mailbox: Option<MailboxName>,
        /// `MAXSIZE`: longer values are left out.
        max_size: Option<u32>,
        /// `DEPTH`.
        depth: Depth,
        /// The entries, without doubles.
        entries: Vec<EntryName>,
    },
    /// SETMETADATA (§4.3).
    Set {
        /// Of which mailbox.
        mailbox: Option<MailboxName>,
        /// The entries and their new values; `None`, in the wire's words NIL, removes.
        values: Vec<(EntryName, Option<Vec<u8>>)>,
    },
}

/// How far below an entry GETMETADATA looks (§4.2.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Depth {
    /// The entry itself.
    #[default]
    Zero,
    /// And what is one level below it.
    One,
    /// And everything below it.
    Infinity,
}

/// The name of an entry: a path below `/private` or `/shared`. Equal whatever the case (§3.2).
#[derive(Debug, Clone)]
pub struct EntryName {
    /// As the client wrote it.
    shown: String,
    /// In small letters.
    folded: String,
}

impl EntryName {
    /// Longest name, in octets.
    pub const MAX: usize = 512;

    /// Reads a name (§3.2): printable ASCII without `*` and `%`; levels that are not empty; the first one says whose it is.
    pub fn parse(text: &str) -> Option<EntryName> {
        let folded = text.to_ascii_lowercase();
        let printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte) && !matches!(byte, b'*' | b'%'));
        let mut levels = folded.strip_prefix('/')?.split('/');
        let whose = matches!(levels.next(), Some("private" | "shared"));
        let good = printable && whose && levels.all(|level| !level.is_empty()) && text.len() <= EntryName::MAX;
        good.then(|| EntryName { shown: text.to_owned(), folded })
    }

    /// As the client wrote it.
    pub fn as_written(&self) -> &str {
        &self.shown
    }

    /// In small letters: as names are compared.
    pub fn as_str(&self) -> &str {
        &self.folded
    }

    /// Whether only whoever asks sees it.
    pub fn is_private(&self) -> bool {
        self.folded.starts_with("/private")
    }

    /// What comes behind `/private` or `/shared`: empty, or a path that begins with a slash.
    pub fn path(&self) -> &str {
        self.folded.get(1..).and_then(|rest| rest.find('/')).map_or("", |end| &self.folded[1 + end..])
    }
}

impl PartialEq for EntryName {
    fn eq(&self, other: &EntryName) -> bool {
        self.folded == other.folded
    }
}

impl Eq for EntryName {}

/// `getmetadata = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries`. Some clients say the options behind the
/// mailbox, as older texts had it.
pub(super) fn get(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    let (mut max_size, mut depth) = (None, Depth::default());
    let before = cursor.peek() == Some(b'(');
    if before {
        options(cursor, &mut max_size, &mut depth)?;
        cursor.space()?;
    }
    let mailbox = cursor.mailbox_or_none()?;
    cursor.space()?;
    if !before && are_options(cursor) {
        options(cursor, &mut max_size, &mut depth)?;
        cursor.space()?;
    }
    let entries = entries(cursor)?;
    Ok(Body::Metadata(Metadata::Get { mailbox, max_size, depth, entries }))
}

/// `setmetadata = "SETMETADATA" SP mailbox SP entry-values`.
pub(super) fn set(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    let mailbox = cursor.mailbox_or_none()?;
    cursor.space()?;
    let mut values: Vec<(EntryName, Option<Vec<u8>>)> = Vec::new();
    cursor.list("entries and their values", |cursor| {
        let name = entry(cursor)?;
        cursor.space()?;
        let value = match cursor.eat_word("NIL") {
            true => None,
            false => Some(cursor.string("a value: a string, or NIL")?.into_owned()),
        };
        // The last word on an entry counts.
        values.retain(|(other, _)| *other != name);
        values.push((name, value));
        Ok(())
    })?;
    if values.is_empty() {
        return cursor.expected("an entry and its value");
    }
    Ok(Body::Metadata(Metadata::Set { mailbox, values }))
}

/// `entries = entry / "(" entry *(SP entry) ")"`.
pub(super) fn entries(cursor: &mut Cursor<'_>) -> Rule<Vec<EntryName>> {
    let mut all: Vec<EntryName> = Vec::new();
    if cursor.peek() != Some(b'(') {
        return Ok(vec![entry(cursor)?]);
    }
    cursor.list("names of entries", |cursor| {
        let name = entry(cursor)?;
        if !all.contains(&name) {
            all.push(name);
        }
        Ok(())
    })?;
    if all.is_empty() { cursor.expected("the name of an entry") } else { Ok(all) }
}

fn entry(cursor: &mut Cursor<'_>) -> Rule<EntryName> {
    let start = cursor.position();
    let text = cursor.text("the name of an entry")?;
    match EntryName::parse(&text) {
        Some(name) => Ok(name),
        None if text.len() > EntryName::MAX => {
            cursor.fault_at(start, Problem::TooMuch("octets in the name of an entry"))
        }
        None => {
            cursor.fault_at(start, Problem::Expected("the name of an entry, like /private/comment or /shared/comment"))
        }
    }
}

/// Whether a list of options stands here, not of entries.
fn are_options(cursor: &Cursor<'_>) -> bool {
    let rest = cursor.rest().strip_prefix(b"(").map(<[u8]>::trim_ascii_start).unwrap_or_default();
    let begins = |word: &[u8]| rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    begins(b"MAXSIZE") || begins(b"DEPTH")
}

/// `getmetadata-options = "(" getmetadata-option *(SP getmetadata-option) ")"`.
fn options(cursor: &mut Cursor<'_>, max_size: &mut Option<u32>, depth: &mut Depth) -> Rule<()> {
    cursor.list("options", |cursor| {
        let start = cursor.position();
        match cursor.word("MAXSIZE or DEPTH")?.as_str() {
            "MAXSIZE" => {
                cursor.space()?;
                let number = cursor.number(u64::from(u32::MAX), "a number of octets")?;
                *max_size = u32::try_from(number).ok();
            }
            "DEPTH" => {
                cursor.space()?;
                let start = cursor.position();
                *depth = match cursor.word("0, 1 or infinity")?.as_str() {
                    "0" => Depth::Zero,
                    "1" => Depth::One,
                    "INFINITY" => Depth::Infinity,
                    _ => return cursor.fault_at(start, Problem::Expected("0, 1 or infinity")),
                };
            }
            _ => return cursor.fault_at(start, Problem::Expected("MAXSIZE or DEPTH")),
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_entries() {
        for (text, expected) in [
            ("/private/comment", Some((true, "/comment"))),
            ("/Shared/Vendor/CMU/x y", Some((false, "/vendor/cmu/x y"))),
            ("/shared", Some((false, ""))),
            ("/private", Some((true, ""))),
            ("/privateer/comment", None),
            ("/comment", None),
            ("private/comment", None),
            ("/shared/", None),
            ("/shared//comment", None),
            ("/shared/comment/", None),
            ("/shared/com*ment", None),
            ("/shared/com%ment", None),
            ("/shared/k\u{e4}se", None),
            ("/shared/a\tb", None),
            ("/", None),
            ("", None),
        ] {
            let name = EntryName::parse(text);
            assert_eq!(name.as_ref().map(|name| (name.is_private(), name.path())), expected, "{text:?}");
        }
        assert_eq!(EntryName::parse("/SHARED/a"), EntryName::parse("/shared/A"));
        assert_eq!(EntryName::parse(&format!("/shared/{}", "x".repeat(EntryName::MAX))), None);
    }
}
