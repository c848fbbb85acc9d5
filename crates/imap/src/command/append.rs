//! APPEND (RFC 9051 §6.3.12): what stands before the message.
//!
//! The framer asks [`head`] at each literal of an APPEND whether it is the message; the message itself
//! never gets here.

use crate::command::{Body, Syntax, Tag, table};
use crate::cursor::{Cursor, Fault, Rule};
use crate::date::DateTime;
use crate::error::{ParseError, Problem};
use crate::flags::Flag;
use crate::mailbox::MailboxName;

/// An APPEND up to its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The client's name for the command.
    pub tag: Tag,
    /// Where to.
    pub mailbox: MailboxName,
    /// The flags to set.
    pub flags: Vec<Flag>,
    /// The internal date, if given.
    pub date: Option<DateTime>,
}

/// What a command is that stopped at a literal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// Not an APPEND.
    Other,
    /// An APPEND whose literal is the mailbox's name.
    Name,
    /// The literal is the message.
    Message(Append),
    /// Nothing good.
    Bad(ParseError),
}

/// Looks at a command up to, not including, the announcement of a literal.
pub(crate) fn head(command: &[u8], syntax: &Syntax) -> Head {
    let mut cursor = Cursor::new(command, syntax);
    let Ok(tag) = table::tag(&mut cursor) else { return Head::Other };
    if cursor.space().is_err() || !cursor.eat_word("APPEND") {
        return Head::Other;
    }
    if !cursor.more() {
        return Head::Name;
    }
    match arguments(&mut cursor) {
        Ok((mailbox, flags, date)) => Head::Message(Append { tag, mailbox, flags, date }),
        Err(Fault { problem, position }) => Head::Bad(ParseError { tag: Some(tag), problem, position }),
    }
}

/// `mailbox [SP flag-list] [SP date-time]`.
fn arguments(cursor: &mut Cursor<'_>) -> Rule<(MailboxName, Vec<Flag>, Option<DateTime>)> {
    let mailbox = cursor.mailbox()?;
    cursor.space()?;
    let mut flags = Vec::new();
    if cursor.peek() == Some(b'(') {
        cursor.list("flags", |cursor| {
            let flag = cursor.flag()?;
            if !flags.contains(&flag) {
                flags.push(flag);
            }
            Ok(())
        })?;
        cursor.skip_spaces();
    }
    let mut date = None;
    if cursor.peek() == Some(b'"') {
        let start = cursor.position();
        let text = cursor.string("a date")?;
        date = DateTime::parse(&text);
        if date.is_none() {
            return cursor.fault_at(start, Problem::Expected("a date like \"17-Jul-1996 02:44:25 -0700\""));
        }
        cursor.skip_spaces();
    }
    cursor.end().or_else(|_| cursor.expected("flags, a date or the message as a literal"))?;
    Ok((mailbox, flags, date))
}

/// The row of an APPEND that reached its end without a message.
pub(super) fn without_message(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    arguments(cursor)?;
    cursor.expected("the message as a literal")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    #[test]
    fn heads_of_append() {
        let syntax = Syntax { utf8: false, limits: Limits::default() };
        for (command, expected) in [
            ("a NOOP ", "Other"),
            ("a APPENDIX ", "Other"),
            ("a append ", "Name"),
            ("a APPEND", "Name"),
            ("a APPEND x ", "x [] None"),
            ("a APPEND {5}\r\ninbox ", "INBOX [] None"),
            ("a APPEND saved-messages (\\Seen) ", "saved-messages [Seen] None"),
            ("a APPEND \"x y\" (\\Seen $a \\SEEN)", "x y [Seen, Keyword($a)] None"),
            ("a APPEND x () \" 1-Jan-1970 00:00:01 +0000\" ", "x [] Some(DateTime { seconds: 1, offset: 0 })"),
            ("a APPEND x  \"1-Jan-1970 00:00:01 +0000\" ", "x [] Some(DateTime { seconds: 1, offset: 0 })"),
            ("a APPEND x \"yesterday\" ", "expected a date like \"17-Jul-1996 02:44:25 -0700\" at octet 11"),
            ("a APPEND x (\\) ", "expected a flag at octet 12"),
            ("a APPEND x y ", "expected flags, a date or the message as a literal at octet 11"),
        ] {
            let found = match head(command.as_bytes(), &syntax) {
                Head::Other => "Other".to_owned(),
                Head::Name => "Name".to_owned(),
                Head::Message(append) => format!("{} {:?} {:?}", append.mailbox, append.flags, append.date),
                Head::Bad(error) => error.to_string(),
            };
            assert_eq!(found, expected, "{command}");
        }
    }
}
