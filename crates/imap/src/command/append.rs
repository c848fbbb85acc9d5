//! APPEND and REPLACE (RFC 9051 §6.3.12; RFC 3502 MULTIAPPEND; RFC 4469 CATENATE; RFC 6855 §4 UTF8; RFC 8508).
//!
//! The octets of a message never get here: the framer asks [`segment`] what stands before, between and after
//! them, one stretch at a time, and streams the rest. The grammar, across all stretches:
//!
//! ```text
//! append       = ("APPEND" / ["UID" SP] "REPLACE" SP seq-number) SP mailbox 1*(SP message)
//! message      = [flag-list SP] [date-time SP] data
//! data         = literal / literal8 / utf8 / "CATENATE" SP "(" part *(SP part) ")"
//! part         = "TEXT" SP literal / "URL" SP astring / utf8
//! utf8         = "UTF8" SP "(" literal8 ")"
//! ```

use crate::command::{Body, Syntax, Tag, table};
use crate::cursor::{Cursor, Fault, Rule};
use crate::date::DateTime;
use crate::error::{ParseError, Problem};
use crate::flags::Flag;
use crate::mailbox::MailboxName;
use crate::set::Numbering;

/// An APPEND or REPLACE up to its first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The client's name for the command.
    pub tag: Tag,
    /// Where to.
    pub mailbox: MailboxName,
    /// The message of the selected mailbox that the new one takes the place of (RFC 8508).
    pub replaces: Option<Replaced>,
}

/// Which message REPLACE removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// Whether the number is a UID.
    pub numbering: Numbering,
    /// The number; `None` for `*`, the last message.
    pub number: Option<u32>,
}

/// What stands before a message's data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppendMessage {
    /// The flags to set.
    pub flags: Vec<Flag>,
    /// The internal date, if given.
    pub date: Option<DateTime>,
}

/// What a literal of an APPEND is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiteralKind {
    /// A message of its own.
    Message,
    /// A message whose header is UTF-8, said with `UTF8 (..)` (RFC 6855 §4).
    Utf8Message,
    /// A part of CATENATE.
    Part,
    /// A part of CATENATE whose header is UTF-8.
    Utf8Part,
}

/// Where in the grammar a stretch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the command's own start.
    Start,
    /// Behind a message: another one, or the end.
    Behind,
    /// Inside of CATENATE's parentheses, behind a part.
    Parts,
    /// Behind the literal of `UTF8 (`.
    Utf8 {
        /// Inside of CATENATE.
        part: bool,
    },
}

/// What a stretch says, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Begin(Append),
    Message(AppendMessage),
    Url(String),
    MessageEnd,
}

/// A stretch of a command: from its start or the end of a literal, to the next literal or the command's end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Not an APPEND.
    Other,
    /// The literal that follows belongs to the text: a mailbox's name, or a URL.
    Text,
    /// The literal that follows has octets of a message.
    Data(Vec<Step>, LiteralKind),
    /// The command is whole.
    End(Vec<Step>),
    /// Nothing good.
    Bad(ParseError),
}

/// Reads a stretch. `literal` is what it ends with, which is not in `bytes`: `Some(true)` for a `literal8`.
pub(crate) fn segment(
    bytes: &[u8],
    place: Place,
    tag: Option<&Tag>,
    literal: Option<bool>,
    syntax: &Syntax,
) -> Segment {
    let cursor = Cursor::new(bytes, syntax);
    let mut reader = Reader { cursor, literal, steps: Vec::new(), tag: tag.cloned() };
    let read = match place {
        Place::Start => match reader.command() {
            Ok(Some(Begun::Whole)) => reader.messages(true),
            Ok(Some(Begun::Text)) => return Segment::Text,
            Ok(None) => return Segment::Other,
            Err(fault) => Err(fault),
        },
        Place::Behind => reader.messages(false),
        Place::Parts => reader.parts(false),
        Place::Utf8 { part } => reader.behind_utf8(part),
    };
    match read {
        Ok(Stop::Text) => Segment::Text,
        Ok(Stop::Data(kind)) => Segment::Data(reader.steps, kind),
        Ok(Stop::End) => Segment::End(reader.steps),
        Err(Fault { problem, position }) => Segment::Bad(ParseError { tag: reader.tag, problem, position }),
    }
}

/// Where a stretch ends.
enum Stop {
    Text,
    Data(LiteralKind),
    End,
}

enum Begun {
    /// Up to the mailbox's name.
    Whole,
    /// The mailbox's name is the literal that follows.
    Text,
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    literal: Option<bool>,
    steps: Vec<Step>,
    tag: Option<Tag>,
}

impl Reader<'_> {
    /// The command's name and its mailbox. `None`: another command.
    fn command(&mut self) -> Rule<Option<Begun>> {
        let cursor = &mut self.cursor;
        let Ok(tag) = table::tag(cursor) else { return Ok(None) };
        if cursor.space().is_err() {
            return Ok(None);
        }
        let numbering = match cursor.eat_word("UID") {
            true if cursor.space().is_ok() => Numbering::Uid,
            true => return Ok(None),
            false => Numbering::Sequence,
        };
        let replaces = cursor.eat_word("REPLACE");
        if !replaces && (numbering == Numbering::Uid || !cursor.eat_word("APPEND")) {
            return Ok(None);
        }
        self.tag = Some(tag.clone());
        let replaces = match replaces {
            true => Some(replaced(cursor, numbering)?),
            false => None,
        };
        if cursor.peek().is_some_and(|byte| byte.is_ascii_graphic()) {
            return cursor.expected("a space");
        }
        if !cursor.more() {
            return match self.literal {
                Some(_) => Ok(Some(Begun::Text)),
                None => cursor.expected("a mailbox name"),
            };
        }
        let mailbox = cursor.mailbox()?;
        self.steps.push(Step::Begin(Append { tag, mailbox, replaces }));
        Ok(Some(Begun::Whole))
    }

    /// Messages up to the next literal or the end.
    fn messages(&mut self, mut needed: bool) -> Rule<Stop> {
        loop {
            let before = self.cursor.position();
            if !self.cursor.more() {
                if self.literal.is_none() {
                    return if needed {
                        self.cursor.expected("more before the end of the line")
                    } else {
                        Ok(Stop::End)
                    };
                }
                self.cursor.skip_spaces();
            } else if self.cursor.position() == before && !self.cursor.is_beside() {
                return match needed {
                    true => self.cursor.expected("a space"),
                    false => self.cursor.expected("the end of the line after the message"),
                };
            }
            needed = false;
            let message = self.head()?;
            self.steps.push(Step::Message(message));
            if self.cursor.eat_word("CATENATE") {
                self.cursor.space()?;
                if !self.cursor.open() {
                    return self.cursor.expected("the parts to catenate, in parentheses");
                }
                if let Some(stop) = self.catenated(true)? {
                    return Ok(stop);
                }
                continue;
            }
            if self.cursor.eat_word("UTF8") {
                return self.utf8(LiteralKind::Utf8Message);
            }
            return match self.at_literal() {
                true => Ok(Stop::Data(LiteralKind::Message)),
                false => self.cursor.expected("flags, a date or the message as a literal"),
            };
        }
    }

    /// `[flag-list SP] [date-time SP]`.
    fn head(&mut self) -> Rule<AppendMessage> {
        let cursor = &mut self.cursor;
        let mut message = AppendMessage::default();
        if cursor.peek() == Some(b'(') {
            let flags = &mut message.flags;
            cursor.list("flags", |cursor| {
                let flag = cursor.flag()?;
                if !flags.contains(&flag) {
                    flags.push(flag);
                }
                Ok(())
            })?;
            cursor.skip_spaces();
        }
        if cursor.peek() == Some(b'"') {
            let start = cursor.position();
            let text = cursor.string("a date")?;
            message.date = DateTime::parse(&text);
            if message.date.is_none() {
                return cursor.fault_at(start, Problem::Expected("a date like \"17-Jul-1996 02:44:25 -0700\""));
            }
            cursor.skip_spaces();
        }
        Ok(message)
    }

    /// Parts up to a literal or the closing parenthesis, and then more messages.
    fn parts(&mut self, first: bool) -> Rule<Stop> {
        match self.catenated(first)? {
            Some(stop) => Ok(stop),
            None => self.messages(false),
        }
    }

    /// Parts. `None`: the parenthesis is closed.
    fn catenated(&mut self, mut first: bool) -> Rule<Option<Stop>> {
        loop {
            if !first && self.cursor.close() {
                self.steps.push(Step::MessageEnd);
                return Ok(None);
            }
            if !first {
                self.cursor.space()?;
            }
            first = false;
            if self.cursor.eat_word("TEXT") {
                self.cursor.skip_spaces();
                return match self.at_literal() {
                    true => Ok(Some(Stop::Data(LiteralKind::Part))),
                    false => self.cursor.expected("the text as a literal"),
                };
            }
            if self.cursor.eat_word("UTF8") {
                return self.utf8(LiteralKind::Utf8Part).map(Some);
            }
            if !self.cursor.eat_word("URL") {
                return self.cursor.expected("TEXT or URL, or the closing parenthesis");
            }
            self.cursor.skip_spaces();
            if self.at_literal() {
                return Ok(Some(Stop::Text));
            }
            let url = self.cursor.text("a URL")?;
            self.steps.push(Step::Url(url));
        }
    }

    /// `SP "("`, before the literal.
    fn utf8(&mut self, kind: LiteralKind) -> Rule<Stop> {
        self.cursor.skip_spaces();
        if !self.cursor.open() {
            return self.cursor.expected("the message in parentheses after UTF8");
        }
        match self.at_literal() && self.literal == Some(true) {
            true => Ok(Stop::Data(kind)),
            false => self.cursor.expected("the message as a literal8"),
        }
    }

    /// `")"`, and what follows.
    fn behind_utf8(&mut self, part: bool) -> Rule<Stop> {
        if !self.cursor.close() {
            return self.cursor.expected("the closing parenthesis after the literal");
        }
        if part {
            return self.parts(false);
        }
        self.steps.push(Step::MessageEnd);
        self.messages(false)
    }

    /// Whether the stretch is at its end and a literal follows.
    fn at_literal(&self) -> bool {
        self.literal.is_some() && self.cursor.rest().is_empty()
    }
}

/// `SP seq-number`.
fn replaced(cursor: &mut Cursor<'_>, numbering: Numbering) -> Rule<Replaced> {
    cursor.space()?;
    let number = match cursor.eat(b'*') {
        true => None,
        false => Some(cursor.nz_number("the number of one message")?),
    };
    Ok(Replaced { numbering, number })
}

/// The row of an APPEND or REPLACE in which no message ever came: the framer tells what is wrong with it, and
/// nothing else gets to the table.
pub(super) fn without_message(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.expected("the message as a literal")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    fn told(bytes: &str, place: Place, literal: Option<bool>) -> String {
        let syntax = Syntax { utf8: false, limits: Limits::default() };
        let steps = |steps: &[Step]| {
            let words = steps.iter().map(|step| match step {
                Step::Begin(append) => {
                    let replaces = append.replaces.map_or(String::new(), |replaced| match replaced.number {
                        Some(number) => format!(" for {:?} {number}", replaced.numbering),
                        None => format!(" for {:?} *", replaced.numbering),
                    });
                    format!("to {}{replaces};", append.mailbox)
                }
                Step::Message(message) => {
                    let date = message.date.map_or(String::new(), |date| format!(" at {}", date.seconds));
                    format!("message {:?}{date};", message.flags)
                }
                Step::Url(url) => format!("url {url};"),
                Step::MessageEnd => "end;".to_owned(),
            });
            words.collect::<Vec<String>>().join(" ")
        };
        match segment(bytes.as_bytes(), place, None, literal, &syntax) {
            Segment::Other => "other".to_owned(),
            Segment::Text => "text".to_owned(),
            Segment::Data(said, kind) => format!("{} {kind:?}", steps(&said)),
            Segment::End(said) => format!("{} whole", steps(&said)),
            Segment::Bad(error) => error.to_string(),
        }
    }

    #[test]
    fn the_start_of_a_command() {
        for (command, expected) in [
            ("a NOOP ", "other"),
            ("a APPENDIX ", "other"),
            ("a UID APPEND x ", "other"),
            ("a append ", "text"),
            ("a APPEND", "text"),
            ("a REPLACE 4 ", "text"),
            ("a APPEND x ", "to x; message []; Message"),
            ("a APPEND {5}\r\ninbox ", "to INBOX; message []; Message"),
            ("a APPEND saved-messages (\\Seen) ", "to saved-messages; message [Seen]; Message"),
            ("a APPEND \"x y\" (\\Seen $a \\SEEN)", "to x y; message [Seen, Keyword($a)]; Message"),
            ("a APPEND x () \" 1-Jan-1970 00:00:01 +0000\" ", "to x; message [] at 1; Message"),
            ("a APPEND x  \"1-Jan-1970 00:00:01 +0000\" ", "to x; message [] at 1; Message"),
            ("a APPEND x CATENATE (TEXT ", "to x; message []; Part"),
            ("a APPEND x CATENATE (URL /a/;UID=1 URL \"/b\" TEXT ", "to x; message []; url /a/;UID=1; url /b; Part"),
            ("a APPEND x CATENATE (URL ", "text"),
            ("a APPEND x CATENATE (UTF8 (", "expected the message as a literal8 at octet 27"),
            ("a APPEND x CATENATE (URL /a) (\\Seen) ", "to x; message []; url /a; end; message [Seen]; Message"),
            ("a REPLACE 4 Drafts (\\Seen) ", "to Drafts for Sequence 4; message [Seen]; Message"),
            ("a uid replace * Drafts ", "to Drafts for Uid *; message []; Message"),
            ("a APPEND x \"yesterday\" ", "expected a date like \"17-Jul-1996 02:44:25 -0700\" at octet 11"),
            ("a APPEND x (\\) ", "expected a flag at octet 12"),
            ("a APPEND x y ", "expected flags, a date or the message as a literal at octet 11"),
            ("a APPEND x CATENATE (", "expected TEXT or URL, or the closing parenthesis at octet 21"),
            ("a REPLACE 0 x ", "expected the number of one message at octet 10"),
            ("a REPLACE 1:2 x ", "expected a space at octet 11"),
        ] {
            assert_eq!(told(command, Place::Start, Some(false)), expected, "{command}");
        }
        assert_eq!(told("a APPEND x UTF8 (", Place::Start, Some(true)), "to x; message []; Utf8Message");
        for (command, expected) in [
            ("a APPEND x CATENATE (URL /a)", "to x; message []; url /a; end; whole"),
            ("a APPEND x (\\Seen)", "expected flags, a date or the message as a literal at octet 18"),
            ("a APPEND x", "expected more before the end of the line at octet 10"),
            ("a APPEND", "expected a mailbox name at octet 8"),
        ] {
            assert_eq!(told(command, Place::Start, None), expected, "{command}");
        }
    }

    #[test]
    fn what_follows_a_literal() {
        use Place::{Behind, Parts, Utf8};
        for (bytes, place, literal, expected) in [
            ("", Behind, None, " whole"),
            ("  ", Behind, None, " whole"),
            (" ", Behind, Some(false), "message []; Message"),
            (" (\\Flagged) ", Behind, Some(false), "message [Flagged]; Message"),
            ("x", Behind, None, "expected the end of the line after the message at octet 0"),
            (")", Parts, None, "end; whole"),
            (" URL /a TEXT ", Parts, Some(false), "url /a; Part"),
            (") (\\Seen) ", Parts, Some(false), "end; message [Seen]; Message"),
            ("", Parts, None, "expected more before the end of the line at octet 0"),
            (")", Utf8 { part: false }, None, "end; whole"),
            (") URL /x)", Utf8 { part: true }, None, "url /x; end; whole"),
            ("", Utf8 { part: false }, None, "expected the closing parenthesis after the literal at octet 0"),
        ] {
            assert_eq!(told(bytes, place, literal), expected, "{bytes:?}");
        }
    }
}
