//! Gmail's X-GM-EXT-1: labels, and searches as people write them in Gmail (Google, "IMAP Extensions").
//!
//! A label is an `astring`, in modified UTF-7 unless UTF-8 is enabled, as a mailbox's name; Gmail's own begin with a backslash,
//! which clients send in quotes or as a flag.

mod raw;

use crate::command::messages::StoreAction;
use crate::cursor::{Cursor, Rule};
use crate::error::Problem;
use crate::mailbox::MailboxName;
use crate::set::{MessageSet, Numbering};
pub use raw::{Near, raw};

/// STORE of labels, by sequence number or UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLabels {
    /// What the numbers of `set` are.
    pub numbering: Numbering,
    /// To which messages.
    pub set: MessageSet,
    /// `UNCHANGEDSINCE n`.
    pub unchanged_since: Option<u64>,
    /// What to do with the labels.
    pub action: StoreAction,
    /// `.SILENT`: do not tell the labels.
    pub silent: bool,
    /// The labels, without doubles.
    pub labels: Vec<Label>,
}

/// A label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// One of Gmail's own.
    Own(OwnLabel),
    /// Any other: a mailbox's name.
    Name(MailboxName),
}

/// Gmail's own labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnLabel {
    /// `\Inbox`.
    Inbox,
    /// `\Sent`.
    Sent,
    /// `\Draft`; `\Drafts` is taken for it.
    Draft,
    /// `\Starred`; `\Flagged` is taken for it.
    Starred,
    /// `\Important`.
    Important,
    /// `\Trash`.
    Trash,
    /// `\Spam`; `\Junk` is taken for it.
    Spam,
}

impl OwnLabel {
    /// As it is written, with its backslash.
    pub fn as_str(self) -> &'static str {
        match self {
            OwnLabel::Inbox => "\\Inbox",
            OwnLabel::Sent => "\\Sent",
            OwnLabel::Draft => "\\Draft",
            OwnLabel::Starred => "\\Starred",
            OwnLabel::Important => "\\Important",
            OwnLabel::Trash => "\\Trash",
            OwnLabel::Spam => "\\Spam",
        }
    }

    /// Reads one without its backslash, in any case.
    pub fn parse(word: &str) -> Option<OwnLabel> {
        OWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, own)| *own)
    }
}

const OWN: [(&str, OwnLabel); 11] = [
    ("inbox", OwnLabel::Inbox),
    ("sent", OwnLabel::Sent),
    ("draft", OwnLabel::Draft),
    ("drafts", OwnLabel::Draft),
    ("starred", OwnLabel::Starred),
    ("flagged", OwnLabel::Starred),
    ("important", OwnLabel::Important),
    ("trash", OwnLabel::Trash),
    ("bin", OwnLabel::Trash),
    ("spam", OwnLabel::Spam),
    ("junk", OwnLabel::Spam),
];

/// `"(" [label *(SP label)] ")"`, or labels without parentheses as some clients send them.
pub(super) fn labels(cursor: &mut Cursor<'_>) -> Rule<Vec<Label>> {
    let mut labels = Vec::new();
    let mut push = |label: Label| {
        if !labels.contains(&label) {
            labels.push(label);
        }
    };
    if cursor.peek() == Some(b'(') {
        cursor.list("labels", |cursor| label(cursor).map(&mut push))?;
        return Ok(labels);
    }
    push(label(cursor)?);
    while cursor.more() {
        cursor.entry()?;
        push(label(cursor)?);
    }
    Ok(labels)
}

/// `label = astring / "\" atom`.
pub(super) fn label(cursor: &mut Cursor<'_>) -> Rule<Label> {
    let start = cursor.position();
    let utf8 = cursor.syntax().utf8;
    let known = "a label: a name, \\Inbox, \\Sent, \\Draft, \\Starred, \\Important, \\Trash or \\Spam";
    if cursor.eat(b'\\') {
        let word = cursor.atom(known)?;
        return OwnLabel::parse(word)
            .map_or_else(|| cursor.fault_at(start, Problem::Expected(known)), |own| Ok(Label::Own(own)));
    }
    let bytes = cursor.astring(known)?;
    if let Some(word) = bytes.strip_prefix(b"\\") {
        let own = std::str::from_utf8(word).ok().and_then(OwnLabel::parse);
        return own.map_or_else(|| cursor.fault_at(start, Problem::Expected(known)), |own| Ok(Label::Own(own)));
    }
    match MailboxName::from_wire(&bytes, utf8) {
        Ok(name) if name.is_inbox() => Ok(Label::Own(OwnLabel::Inbox)),
        Ok(name) => Ok(Label::Name(name)),
        Err(_) => cursor.fault_at(start, Problem::Expected(known)),
    }
}
