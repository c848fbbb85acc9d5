//! Bytes into commands: lines, literals, bounds.
//!
//! A command ends with the first line that does not announce a literal (RFC 9051 §2.2, §4.3; RFC 7888). The framer
//! knows no grammar, with one exception: in APPEND and REPLACE it tells messages from what stands around them
//! (`command/append.rs`), because a message is handed on in pieces and never held. Lines end with CRLF; a bare LF is taken for one, as other
//! servers do, since people type IMAP by hand. What comes out does not depend on how the bytes were cut.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use crate::command::append::{self, LiteralKind, Place, Segment};
use crate::command::{Append, AppendMessage, Syntax, Tag};
use crate::cursor::LiteralHead;
use crate::error::{ParseError, Problem};

/// What the framer found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Nothing until more is fed.
    NeedInput,
    /// A whole command for [`crate::parse`]: literals in place, without its last line end.
    Command(Vec<u8>),
    /// The line asked for by [`Framer::expect_line`], without its line end.
    Line(Vec<u8>),
    /// A synchronising literal was announced and will be taken: write `+ OK\r\n` (RFC 9051 §4.3).
    Continue,
    /// An APPEND or REPLACE up to its first message. [`Framer::refuse_append`] ends it, now or later.
    AppendStart(Append),
    /// The next message of it begins.
    AppendMessage(AppendMessage),
    /// Octets of the message follow. Call [`Framer::accept_append`] or [`Framer::refuse_append`] before the next event.
    AppendLiteral(AppendLiteral),
    /// The next octets.
    AppendChunk(Vec<u8>),
    /// A part of the message that the server has already: a URL (RFC 4469).
    AppendUrl(String),
    /// The message is whole.
    AppendMessageEnd,
    /// The command is whole and ended well.
    AppendEnd,
    /// The command broke a bound or, for APPEND, the grammar. What belonged to it is thrown away by the framer.
    Refused(Refused),
}

/// A literal with octets of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendLiteral {
    /// How many.
    pub size: u64,
    /// The client waits for `+` before it sends them: [`Framer::accept_append`] says so too.
    pub synchronising: bool,
    /// `~{n}`: the message may have NULs (RFC 3516 §4.4).
    pub binary: bool,
    /// What they are.
    pub kind: LiteralKind,
}

/// A command that is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its tag, if it had one.
    pub tag: Option<Tag>,
    /// Why.
    pub why: Refusal,
    /// The connection cannot go on: answer, then close.
    pub close: bool,
}

/// Why a command is not taken; `Display` gives the words for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A line above [`crate::Limits::line`]: `BAD`.
    LineTooLong,
    /// A literal above [`crate::Limits::literal`] or all above `literals`: `BAD [TOOBIG]`.
    LiteralTooBig,
    /// A message above [`crate::Limits::append`]: `NO [TOOBIG]` (RFC 7889 §4).
    MessageTooBig,
    /// More messages in one APPEND than [`crate::Limits::messages`]: `NO [MESSAGELIMIT n]` (RFC 9738).
    TooManyMessages(u32),
    /// More parts in one message than [`crate::Limits::parts`]: `NO [LIMIT]`.
    TooManyParts,
    /// APPEND's arguments are wrong, or something follows the message: `BAD`.
    Append(ParseError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::LineTooLong => f.write_str("the line is too long"),
            Refusal::LiteralTooBig => f.write_str("the literal is too big"),
            Refusal::MessageTooBig => f.write_str("the message is too big"),
            Refusal::TooManyMessages(most) => write!(f, "no more than {most} messages at once"),
            Refusal::TooManyParts => f.write_str("the message has too many parts"),
            Refusal::Append(error) => error.fmt(f),
        }
    }
}

/// Splits what a client sends. Holds at most a command within its limits plus what was last fed.
#[derive(Debug)]
pub struct Framer {
    syntax: Syntax,
    /// What was fed; consumed up to `start`, searched for a line end up to `searched`.
    buffer: Vec<u8>,
    start: usize,
    searched: usize,
    /// The command as far as it is complete: lines with the heads of literals, and their octets.
    frame: Vec<u8>,
    line_octets: usize,
    literal_octets: usize,
    /// Octets thrown away since the last good command.
    swallowed: u64,
    /// The end of the line that is being thrown away: it may announce more to throw away.
    tail: Vec<u8>,
    /// The APPEND that is coming.
    append: Option<Course>,
    /// What was found in a line and not told yet.
    found: VecDeque<Event>,
    raw_line: bool,
    state: State,
}

/// How far an APPEND is.
#[derive(Debug)]
struct Course {
    tag: Tag,
    /// Where its next stretch begins.
    place: Place,
    /// It is REPLACE, which takes one message.
    replaces: bool,
    messages: usize,
    /// Parts of the message that is coming.
    parts: usize,
    /// Octets of all its literals.
    octets: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a line of a command.
    Command,
    /// In a literal that is kept.
    Literal { left: usize },
    /// A literal of an APPEND was announced and awaits the session's word.
    Decide { size: u64, synchronising: bool },
    /// In a message of an APPEND.
    Message { left: u64 },
    /// In octets that are thrown away, and then the rest of their line.
    Swallow { left: u64 },
    /// In a line that is thrown away.
    SkipLine,
    /// Given up.
    Closed,
}

/// How a line came.
enum Line {
    Incomplete,
    TooLong,
    /// Where it is in the buffer, without its end.
    Whole(Range<usize>),
}

impl Framer {
    /// A framer for a new connection.
    pub fn new(syntax: Syntax) -> Framer {
        Framer {
            syntax,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            frame: Vec::new(),
            line_octets: 0,
            literal_octets: 0,
            swallowed: 0,
            tail: Vec::new(),
            append: None,
            found: VecDeque::new(),
            raw_line: false,
            state: State::Command,
        }
    }

    /// How commands are to be understood from the next on.
    pub fn syntax(&self) -> &Syntax {
        &self.syntax
    }

    /// To change it, after login or ENABLE.
    pub fn syntax_mut(&mut self) -> &mut Syntax {
        &mut self.syntax
    }

    /// Takes bytes from the client.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// How many octets wait to be framed.
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The next line is not a command: an AUTHENTICATE response or IDLE's `DONE`. Comes as [`Event::Line`].
    pub fn expect_line(&mut self) {
        self.raw_line = true;
    }

    /// Takes the literal just announced. True: write `+ OK\r\n`.
    pub fn accept_append(&mut self) -> bool {
        let State::Decide { size, synchronising } = self.state else { return false };
        self.state = State::Message { left: size };
        synchronising
    }

    /// Takes no more of the APPEND that was begun: what still comes of it is thrown away unheard.
    /// The session answers the tagged `NO` at once. True: too much to throw away, close after the answer.
    /// Not to be called after [`Event::AppendEnd`].
    pub fn refuse_append(&mut self) -> bool {
        self.found.clear();
        let coming = self.append.take().is_some();
        match self.state {
            State::Decide { synchronising: true, .. } => self.start_over(),
            State::Decide { size: left, synchronising: false } | State::Message { left } => return self.swallow(left),
            State::Literal { left } if coming => return self.swallow(left as u64),
            State::Command if coming => {
                self.frame.clear();
                self.state = State::SkipLine;
            }
            State::Command | State::Literal { .. } | State::Swallow { .. } | State::SkipLine | State::Closed => {}
        }
        false
    }

    /// Throws away what was buffered (STARTTLS, RFC 9051 §6.2.1); how many octets that were.
    pub fn clear(&mut self) -> usize {
        let dropped = self.buffered();
        self.buffer.clear();
        self.start = 0;
        self.searched = 0;
        self.append = None;
        self.found.clear();
        self.start_over();
        dropped
    }

    /// What comes next.
    pub fn next_event(&mut self) -> Event {
        loop {
            if let Some(event) = self.found.pop_front() {
                return event;
            }
            let event = match self.state {
                State::Command if self.raw_line && self.frame.is_empty() => self.raw_line(),
                State::Command => self.command_line(),
                State::Literal { left } => self.literal(left),
                State::Decide { .. } | State::Closed => Some(Event::NeedInput),
                State::Message { left } => self.message(left),
                State::Swallow { left } => self.throw_away(left),
                State::SkipLine => self.skip_line(),
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// Looks for a line of at most `longest` octets.
    fn line(&mut self, longest: usize) -> Line {
        let from = self.searched.max(self.start);
        let Some(found) = memchr::memchr(b'\n', &self.buffer[from..]) else {
            self.searched = self.buffer.len();
            // One octet more may be the CR.
            return if self.buffered() > longest.saturating_add(1) { Line::TooLong } else { Line::Incomplete };
        };
        let line = self.start..from + found;
        let line = if self.buffer[line.clone()].ends_with(b"\r") { line.start..line.end - 1 } else { line };
        if line.len() > longest {
            return Line::TooLong;
        }
        self.start = from + found + 1;
        self.searched = self.start;
        Line::Whole(line)
    }

    fn raw_line(&mut self) -> Option<Event> {
        match self.line(self.syntax.limits.line) {
            Line::Incomplete => Some(Event::NeedInput),
            Line::TooLong => Some(self.refuse_line(None)),
            Line::Whole(line) => {
                self.raw_line = false;
                Some(Event::Line(self.buffer[line].to_vec()))
            }
        }
    }

    fn command_line(&mut self) -> Option<Event> {
        let line = match self.line(self.syntax.limits.line.saturating_sub(self.line_octets)) {
            Line::Incomplete => return Some(Event::NeedInput),
            Line::TooLong => {
                let begun = if self.frame.is_empty() { &self.buffer[self.start..] } else { &self.frame[..] };
                // Of a line that is still coming, enough must be there whatever the cut.
                let tag = Tag::of(&begun[..begun.len().min(self.syntax.limits.line)]);
                let tag = self.append.take().map(|course| course.tag).or(tag);
                return Some(self.refuse_line(tag));
            }
            Line::Whole(line) => &self.buffer[line],
        };
        // iOS sends empty lines between commands.
        if self.append.is_none() && self.frame.is_empty() && line.iter().all(|&byte| byte == b' ') {
            return None;
        }
        self.line_octets += line.len();
        self.frame.extend_from_slice(line);
        let line = self.frame.len() - line.len()..self.frame.len();
        let head = self.announced(line);
        let end = head.map_or(self.frame.len(), |head| head.start);
        let place = self.append.as_ref().map_or(Place::Start, |course| course.place);
        let tag = self.append.as_ref().map(|course| &course.tag);
        let literal = head.map(|head| head.binary);
        match append::segment(&self.frame[..end], place, tag, literal, &self.syntax) {
            Segment::Other | Segment::Text => match head {
                Some(head) => self.begin_literal(head),
                None => {
                    let command = std::mem::take(&mut self.frame);
                    self.start_over();
                    Some(Event::Command(command))
                }
            },
            Segment::Data(steps, kind) => self.announce(steps, Some(kind), head),
            Segment::End(steps) => self.announce(steps, None, None),
            Segment::Bad(error) => Some(self.refuse(Refusal::Append(error), head)),
        }
    }

    /// The literal that the last line of the frame announces; its start is counted in the frame.
    fn announced(&self, line: Range<usize>) -> Option<LiteralHead> {
        let mut head = LiteralHead::at_end(&self.frame[line.clone()])?;
        head.start += line.start;
        // Where no literal can stand, a client that does not wait is sending it all the same; one that
        // waits would wait for ever, so that it gets its BAD.
        let fits = head.start == line.start || matches!(self.frame[head.start - 1], b' ' | b'(');
        (fits || !head.synchronising).then_some(head)
    }

    fn begin_literal(&mut self, head: LiteralHead) -> Option<Event> {
        let limits = &self.syntax.limits;
        let size = usize::try_from(head.size).unwrap_or(usize::MAX);
        if size > limits.literal || self.literal_octets.saturating_add(size) > limits.literals {
            return Some(self.refuse(Refusal::LiteralTooBig, Some(head)));
        }
        self.literal_octets += size;
        self.frame.extend_from_slice(b"\r\n");
        self.state = State::Literal { left: size };
        head.synchronising.then_some(Event::Continue)
    }

    /// A stretch of an APPEND was read: up to a literal of this kind, or to its end.
    fn announce(
        &mut self,
        steps: Vec<append::Step>,
        kind: Option<LiteralKind>,
        head: Option<LiteralHead>,
    ) -> Option<Event> {
        if let Err(why) = self.count(&steps, kind, head) {
            return Some(self.refuse(why, head));
        }
        self.frame.clear();
        self.line_octets = 0;
        self.literal_octets = 0;
        self.found.extend(steps.into_iter().map(|step| match step {
            append::Step::Begin(append) => Event::AppendStart(append),
            append::Step::Message(message) => Event::AppendMessage(message),
            append::Step::Url(url) => Event::AppendUrl(url),
            append::Step::MessageEnd => Event::AppendMessageEnd,
        }));
        match (kind, head) {
            (Some(kind), Some(LiteralHead { size, synchronising, binary, .. })) => {
                self.found.push_back(Event::AppendLiteral(AppendLiteral { size, synchronising, binary, kind }));
                self.state = State::Decide { size, synchronising };
                if let Some(course) = &mut self.append {
                    course.place = match kind {
                        LiteralKind::Message => Place::Behind,
                        LiteralKind::Part => Place::Parts,
                        LiteralKind::Utf8Message => Place::Utf8 { part: false },
                        LiteralKind::Utf8Part => Place::Utf8 { part: true },
                    };
                }
            }
            (None, _) | (Some(_), None) => {
                self.append = None;
                self.start_over();
                self.found.push_back(Event::AppendEnd);
            }
        }
        None
    }

    /// Counts what a stretch brings against the bounds of one command.
    fn count(
        &mut self,
        steps: &[append::Step],
        kind: Option<LiteralKind>,
        head: Option<LiteralHead>,
    ) -> Result<(), Refusal> {
        if let Some(append::Step::Begin(begin)) = steps.first() {
            let (tag, replaces) = (begin.tag.clone(), begin.replaces.is_some());
            self.append = Some(Course { tag, place: Place::Start, replaces, messages: 0, parts: 0, octets: 0 });
        }
        let (limits, Some(course)) = (&self.syntax.limits, &mut self.append) else { return Ok(()) };
        for step in steps {
            match step {
                append::Step::Begin(_) | append::Step::MessageEnd => {}
                append::Step::Message(_) => {
                    course.messages += 1;
                    course.parts = 0;
                }
                append::Step::Url(_) => course.parts += 1,
            }
            if course.parts > limits.parts {
                return Err(Refusal::TooManyParts);
            }
        }
        match kind {
            Some(LiteralKind::Part | LiteralKind::Utf8Part) => course.parts += 1,
            Some(LiteralKind::Message | LiteralKind::Utf8Message) | None => {}
        }
        if course.replaces && course.messages > 1 {
            // RFC 8508 §4.7: one message for one.
            let problem = Problem::Expected("one message, not several");
            return Err(Refusal::Append(ParseError { tag: Some(course.tag.clone()), problem, position: 0 }));
        }
        if course.messages > limits.messages {
            return Err(Refusal::TooManyMessages(u32::try_from(limits.messages).unwrap_or(u32::MAX)));
        }
        if course.parts > limits.parts {
            return Err(Refusal::TooManyParts);
        }
        let size = head.map_or(0, |head| head.size);
        course.octets = course.octets.saturating_add(size);
        match size > limits.append || course.octets > limits.appends {
            true => Err(Refusal::MessageTooBig),
            false => Ok(()),
        }
    }

    fn literal(&mut self, left: usize) -> Option<Event> {
        let taken = left.min(self.buffered());
        self.frame.extend_from_slice(&self.buffer[self.start..self.start + taken]);
        self.consume(taken);
        if taken < left {
            self.state = State::Literal { left: left - taken };
            return Some(Event::NeedInput);
        }
        self.state = State::Command;
        None
    }

    fn message(&mut self, left: u64) -> Option<Event> {
        if left == 0 {
            self.state = State::Command;
            let whole = self.append.as_ref().is_some_and(|course| course.place == Place::Behind);
            return whole.then_some(Event::AppendMessageEnd);
        }
        let taken = self.buffered().min(CHUNK).min(usize::try_from(left).unwrap_or(usize::MAX));
        if taken == 0 {
            return Some(Event::NeedInput);
        }
        let chunk = self.buffer[self.start..self.start + taken].to_vec();
        self.consume(taken);
        self.state = State::Message { left: left - taken as u64 };
        Some(Event::AppendChunk(chunk))
    }

    fn refuse_line(&mut self, tag: Option<Tag>) -> Event {
        self.start_over();
        self.raw_line = false;
        self.state = State::SkipLine;
        Event::Refused(Refused { tag, why: Refusal::LineTooLong, close: false })
    }

    /// RFC 7888 §4: after the answer a client that waits sends the next command, one that does not its octets.
    fn refuse(&mut self, why: Refusal, head: Option<LiteralHead>) -> Event {
        let tag = match self.append.take() {
            Some(course) => Some(course.tag),
            None => Tag::of(&self.frame),
        };
        self.start_over();
        let close = head.is_some_and(|head| !head.synchronising && self.swallow(head.size));
        Event::Refused(Refused { tag, why, close })
    }

    /// Begins to throw away a literal and the rest of its line. True when it is too much.
    fn swallow(&mut self, size: u64) -> bool {
        let too_much = self.swallowed.saturating_add(size) > self.syntax.limits.swallow;
        self.state = if too_much { State::Closed } else { State::Swallow { left: size } };
        too_much
    }

    fn throw_away(&mut self, left: u64) -> Option<Event> {
        let taken = self.buffered().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.consume(taken);
        self.swallowed += taken as u64;
        let left = left - taken as u64;
        if left > 0 {
            self.state = State::Swallow { left };
            return Some(Event::NeedInput);
        }
        self.state = State::SkipLine;
        None
    }

    fn skip_line(&mut self) -> Option<Event> {
        let rest = &self.buffer[self.start..];
        let end = memchr::memchr(b'\n', rest);
        let taken = end.map_or(rest.len(), |end| end + 1);
        self.tail.extend_from_slice(&rest[taken.saturating_sub(TAIL)..taken]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        self.consume(taken);
        self.swallowed = self.swallowed.saturating_add(taken as u64);
        if self.swallowed > self.syntax.limits.swallow {
            return Some(self.give_up());
        }
        if end.is_none() {
            return Some(Event::NeedInput);
        }
        let tail = std::mem::take(&mut self.tail);
        match LiteralHead::at_end(tail.trim_ascii_end()) {
            Some(head) if !head.synchronising => self.swallow(head.size).then(|| self.give_up()),
            Some(_) | None => {
                self.start_over();
                None
            }
        }
    }

    /// What is to be thrown away takes no end.
    fn give_up(&mut self) -> Event {
        self.state = State::Closed;
        Event::Refused(Refused { tag: None, why: Refusal::LiteralTooBig, close: true })
    }

    fn consume(&mut self, octets: usize) {
        self.start += octets;
        self.searched = self.searched.max(self.start);
    }

    /// Ready for the next command.
    fn start_over(&mut self) {
        self.frame.clear();
        self.line_octets = 0;
        self.literal_octets = 0;
        self.swallowed = 0;
        self.tail.clear();
        self.state = State::Command;
    }
}

/// Octets of a message in one [`Event::AppendChunk`], at most.
const CHUNK: usize = 64 * 1024;

/// Octets of a line's end that are kept while it is thrown away: room for `{18446744073709551615+}` and CRLF.
const TAIL: usize = 32;
