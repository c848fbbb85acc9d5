//! The replay itself: items of a script against a wire, and what to show when they differ.

use std::collections::BTreeSet;

use postroad_protocol::Interrupt;

use super::pattern::{Kept, fill, matches};
use super::script::{Expect, Item, Kind, Send, parse};
use super::{Directive, Open};

/// Where a transcript's sessions are: in process or behind sockets.
pub trait Wire {
    /// Opens a session; its greeting waits to be read.
    fn open(&mut self, open: &Open) -> Result<(), String>;
    /// Whether the session has been opened.
    fn is_open(&self, session: u32) -> bool;
    /// Sends bytes to a session.
    fn send(&mut self, session: u32, bytes: &[u8]) -> Result<(), String>;
    /// The next line that the session says, without CRLF; `None` when it has nothing to say.
    fn line(&mut self, session: u32) -> Result<Option<Vec<u8>>, String>;
    /// The next line that is there already and was not asked for.
    fn unread(&mut self, session: u32) -> Result<Option<Vec<u8>>, String>;
    /// Whether the session has closed.
    fn closed(&mut self, session: u32) -> Result<bool, String>;
    /// Interrupts a session as the loop does.
    fn interrupt(&mut self, session: u32, why: Interrupt) -> Result<(), String>;
    /// Does what a directive says that is not the transcript's own.
    fn directive(&mut self, directive: &Directive) -> Result<(), String>;
}

/// What came of a replay.
#[derive(Debug)]
pub struct Outcome {
    /// What differed or failed first; `None` when the conversation went as written.
    pub problem: Option<String>,
    /// The conversation as it went, with the difference marked.
    pub conversation: String,
    /// The transcript with the answers that were really given.
    pub updated: String,
    /// Whether `updated` is whole: differences alone do not end a replay, errors do.
    pub can_update: bool,
}

/// Replays a transcript.
pub(super) fn replay(text: &str, wire: &mut impl Wire) -> Outcome {
    let mut replay = Replay {
        wire,
        kept: Kept::new(),
        opened: BTreeSet::new(),
        outcome: Outcome { problem: None, conversation: String::new(), updated: String::new(), can_update: true },
    };
    if let Err(why) = replay.run(text) {
        replay.differs(&why);
        replay.outcome.can_update = false;
    }
    replay.outcome
}

struct Replay<'a, W> {
    wire: &'a mut W,
    kept: Kept,
    opened: BTreeSet<u32>,
    outcome: Outcome,
}

impl<W: Wire> Replay<'_, W> {
    fn run(&mut self, text: &str) -> Result<(), String> {
        let items = parse(text)?;
        let mut at = 0;
        while at < items.len() {
            at = match &items[at].kind {
                Kind::Aside => {
                    self.write(&items[at].source);
                    at + 1
                }
                Kind::Client { session, .. } => self.send(&items, at, *session)?,
                Kind::Server { session, how: Expect::AnyOrder, .. } => {
                    self.expect_in_any_order(&items, at, *session)?
                }
                Kind::Server { session, how, pattern } => {
                    self.expect(*session, *how, pattern, &items[at].source)?;
                    at + 1
                }
                Kind::Directive { name, words, block } => {
                    self.directive(&items[at].source, name, words, block.as_deref())?;
                    at + 1
                }
            };
        }
        for session in self.opened.clone() {
            self.refuse_unread(session)?;
        }
        Ok(())
    }

    /// Sends consecutive client lines of one session in one piece.
    fn send(&mut self, items: &[Item], mut at: usize, session: u32) -> Result<usize, String> {
        self.ensure_open(session)?;
        self.refuse_unread(session)?;
        let mut bytes = Vec::new();
        while let Some(Item { source, kind: Kind::Client { session: other, what } }) = items.get(at) {
            if *other != session {
                break;
            }
            match what {
                Send::Line(text) => {
                    bytes.extend_from_slice(fill(text, &self.kept)?.as_bytes());
                    bytes.extend_from_slice(b"\r\n");
                }
                Send::Exact(exact) => bytes.extend_from_slice(exact),
                Send::Block(block) => bytes.extend_from_slice(block.as_bytes()),
                Send::Named(name) => {
                    let block = self.kept.get(name).ok_or_else(|| format!("no @block {name} before this line"))?;
                    bytes.extend_from_slice(block.as_bytes());
                }
            }
            self.write(source);
            at += 1;
        }
        self.wire.send(session, &bytes)?;
        Ok(at)
    }

    fn expect(&mut self, session: u32, how: Expect, pattern: &str, source: &str) -> Result<(), String> {
        self.ensure_open(session)?;
        loop {
            let Some(line) = self.wire.line(session)? else {
                self.differs(&format!("expected `{source}`, but session {session} says nothing"));
                return Ok(());
            };
            let line = printable(&line);
            if matches(pattern, &line, &mut self.kept) {
                self.write(source);
                return Ok(());
            }
            match how {
                Expect::Skip => {
                    self.outcome.conversation.push_str(&format!("{}\n", said(session, &line)));
                }
                Expect::Next | Expect::AnyOrder => {
                    self.differs(&format!("expected `{source}`"));
                    self.write(&said(session, &line));
                    return Ok(());
                }
            }
        }
    }

    fn expect_in_any_order(&mut self, items: &[Item], at: usize, session: u32) -> Result<usize, String> {
        self.ensure_open(session)?;
        let mut left: Vec<(&str, &str)> = Vec::new();
        for item in &items[at..] {
            match &item.kind {
                Kind::Server { session: other, how: Expect::AnyOrder, pattern } if *other == session => {
                    left.push((pattern, &item.source));
                }
                Kind::Aside | Kind::Client { .. } | Kind::Server { .. } | Kind::Directive { .. } => break,
            }
        }
        let count = left.len();
        let mut strangers = Vec::new();
        for _ in 0..count {
            let Some(line) = self.wire.line(session)? else {
                break;
            };
            let line = printable(&line);
            let found = left.iter().position(|(pattern, _)| matches(pattern, &line, &mut self.kept));
            match found {
                Some(found) => {
                    left.remove(found);
                }
                None => strangers.push(said(session, &line).replacen(':', "~:", 1)),
            }
        }
        // What came is written in the order of the transcript, whatever its order was.
        for item in &items[at..at + count] {
            if !left.iter().any(|(_, source)| std::ptr::eq(*source, item.source.as_str())) {
                self.write(&item.source);
            }
        }
        if !left.is_empty() {
            let missing: Vec<_> = left.iter().map(|(_, source)| *source).collect();
            self.differs(&format!("these did not come: {}", missing.join(" | ")));
        }
        for stranger in strangers {
            self.write(&stranger);
        }
        Ok(at + count)
    }

    fn directive(&mut self, source: &str, name: &str, words: &[String], block: Option<&str>) -> Result<(), String> {
        self.write(source);
        let words = words.iter().map(|word| fill(word, &self.kept)).collect::<Result<Vec<_>, _>>()?;
        let session = || -> Result<u32, String> {
            words
                .first()
                .map_or(Ok(1), |word| word.parse())
                .map_err(|_| format!("@{name} takes the number of a session"))
        };
        match name {
            "open" => {
                let open = Open { session: session()?, words: words.into_iter().skip(1).collect() };
                self.open(&open)
            }
            "closed" => {
                let session = session()?;
                self.refuse_unread(session)?;
                if !self.wire.closed(session)? {
                    self.differs(&format!("session {session} is still open"));
                }
                Ok(())
            }
            "quiet" => {
                let session = session()?;
                if let Some(line) = self.wire.line(session)? {
                    self.differs(&format!("session {session} was to be quiet"));
                    self.write(&said(session, &printable(&line)));
                }
                Ok(())
            }
            "interrupt" => {
                let why = match words.get(1).map(String::as_str) {
                    Some("timed-out") => Interrupt::TimedOut,
                    Some("shutting-down") => Interrupt::ShuttingDown,
                    Some("closed") => Interrupt::Closed,
                    Some("cut-off") => Interrupt::CutOff,
                    _ => return Err("@interrupt N timed-out, shutting-down, closed or cut-off".to_owned()),
                };
                self.wire.interrupt(session()?, why)
            }
            "block" => {
                let name = words.first().ok_or("@block has a name")?;
                let block = block.ok_or("@block name <<END, lines, END")?;
                self.kept.insert(name.clone(), block.to_owned());
                Ok(())
            }
            _ => self.wire.directive(&Directive { name: name.to_owned(), words, block: block.map(str::to_owned) }),
        }
    }

    fn ensure_open(&mut self, session: u32) -> Result<(), String> {
        if self.wire.is_open(session) {
            return Ok(());
        }
        self.open(&Open { session, words: Vec::new() })
    }

    fn open(&mut self, open: &Open) -> Result<(), String> {
        self.opened.insert(open.session);
        self.wire.open(open)
    }

    /// An answer that nobody wrote down is a difference.
    fn refuse_unread(&mut self, session: u32) -> Result<(), String> {
        while let Some(line) = self.wire.unread(session)? {
            self.differs("this answer is not written down");
            self.write(&said(session, &printable(&line)));
        }
        Ok(())
    }

    fn write(&mut self, line: &str) {
        for text in [&mut self.outcome.conversation, &mut self.outcome.updated] {
            text.push_str(line);
            text.push('\n');
        }
    }

    fn differs(&mut self, what: &str) {
        self.outcome.conversation.push_str(&format!(">>>> {what}\n"));
        self.outcome.problem.get_or_insert_with(|| what.to_owned());
    }
}

fn said(session: u32, line: &str) -> String {
    match session {
        1 => format!("S: {line}"),
        other => format!("S{other}: {line}"),
    }
}

/// Bytes as text: what is no printable UTF-8 as `\xNN`.
fn printable(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());
    for chunk in line.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                let mut buffer = [0; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    text.push_str(&format!("\\x{byte:02x}"));
                }
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
