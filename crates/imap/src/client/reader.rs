//! Bytes to whole responses. The octets of a fetched message are handed on as they come; everything else of a response
//! is kept until it is whole, within a limit.

use std::collections::VecDeque;

use super::value::literal_size;
use super::{Error, Limits};

/// What comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A response without its last line end, literals in place. In place of a message that was handed on stands an empty
    /// one.
    Response(Vec<u8>),
    /// A message of so many octets begins; it belongs to the response that comes next.
    Begin(u64),
    /// Octets of it.
    Piece(Vec<u8>),
    /// It is whole.
    End,
}

/// Puts responses together.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    /// What has not been looked at.
    input: VecDeque<u8>,
    /// The response so far.
    response: Vec<u8>,
    /// Where its current line begins.
    line: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Line,
    /// So many octets of a literal to be kept.
    Literal(usize),
    /// So many octets of a message to be handed on.
    Message(u64),
}

impl Reader {
    /// At the beginning of a connection.
    pub fn new(limits: Limits) -> Reader {
        Reader { limits, input: VecDeque::new(), response: Vec::new(), line: 0, state: State::Line }
    }

    /// Takes what came.
    pub fn input(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
    }

    /// Forgets what was not read yet (RFC 9051 §11.1: what came before TLS is nobody's word). Whether there was any.
    pub fn forget(&mut self) -> bool {
        let any = !self.input.is_empty() || !self.response.is_empty();
        self.input.clear();
        self.response.clear();
        self.line = 0;
        self.state = State::Line;
        any
    }

    /// The next item, or `None` when more bytes are needed.
    pub fn next_item(&mut self) -> Result<Option<Item>, Error> {
        loop {
            match self.state {
                State::Message(0) => {
                    self.state = State::Line;
                    return Ok(Some(Item::End));
                }
                State::Message(left) => {
                    let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_MAX).min(self.input.len());
                    if wanted == 0 {
                        return Ok(None);
                    }
                    self.state = State::Message(left - wanted as u64);
                    return Ok(Some(Item::Piece(self.input.drain(..wanted).collect())));
                }
                State::Literal(left) => {
                    let wanted = left.min(self.input.len());
                    self.response.extend(self.input.drain(..wanted));
                    self.state = State::Literal(left - wanted);
                    if left > wanted {
                        return Ok(None);
                    }
                    self.line = self.response.len();
                    self.state = State::Line;
                }
                State::Line => {
                    if !self.take_line()? {
                        return Ok(None);
                    }
                    if let Some(item) = self.line_ended()? {
                        return Ok(Some(item));
                    }
                }
            }
        }
    }

    /// Takes octets up to a line end; false when it has not come.
    fn take_line(&mut self) -> Result<bool, Error> {
        let (front, back) = self.input.as_slices();
        let end = memchr::memchr(b'\n', front)
            .or_else(|| memchr::memchr(b'\n', back).map(|at| at + front.len()))
            .map(|at| at + 1);
        let taken = end.unwrap_or(self.input.len());
        if self.response.len() + taken > self.limits.response {
            return Err(Error::Server("a response that is too long"));
        }
        self.response.extend(self.input.drain(..taken));
        Ok(end.is_some())
    }

    fn line_ended(&mut self) -> Result<Option<Item>, Error> {
        let line = &self.response[self.line..self.response.len() - 1];
        if let Some((size, brace)) = literal_size(line).filter(|_| has_literals(&self.response)) {
            let brace = self.line + brace;
            if is_message(&self.response[..brace]) {
                if size > self.limits.message {
                    return Err(Error::Server("a message that is too long"));
                }
                self.response.truncate(brace);
                self.response.extend_from_slice(b"\"\"");
                self.line = self.response.len();
                self.state = State::Message(size);
                return Ok(Some(Item::Begin(size)));
            }
            let size = usize::try_from(size).ok().filter(|size| {
                self.response.len().checked_add(*size).is_some_and(|length| length <= self.limits.response)
            });
            self.state = State::Literal(size.ok_or(Error::Server("a string that is too long"))?);
            return Ok(None);
        }
        let mut response = std::mem::take(&mut self.response);
        self.line = 0;
        response.pop();
        if response.last() == Some(&b'\r') {
            response.pop();
        }
        // Empty lines between responses are nothing (some servers write them).
        Ok(Some(Item::Response(response)).filter(|item| *item != Item::Response(Vec::new())))
    }
}

/// Free text may end with braces; data cannot, but for a literal.
fn has_literals(response: &[u8]) -> bool {
    let Some(rest) = response.strip_prefix(b"* ") else { return false };
    let word = rest.split(|octet| matches!(octet, b' ' | b'\r' | b'\n')).next().unwrap_or_default();
    ![&b"OK"[..], b"NO", b"BAD", b"BYE", b"PREAUTH"].iter().any(|status| word.eq_ignore_ascii_case(status))
}

/// Whether what comes next is the whole of a message: `* 12 FETCH (UID 7 BODY[] `.
fn is_message(before: &[u8]) -> bool {
    let before = before.trim_ascii_end();
    let ends =
        |end: &[u8]| before.len().checked_sub(end.len()).is_some_and(|at| before[at..].eq_ignore_ascii_case(end));
    (ends(b"BODY[]") || ends(b"BODY[]<0>") || ends(b"BINARY[]") || ends(b" RFC822") || ends(b"(RFC822"))
        && before.get(..before.len().min(32)).is_some_and(|head| {
            head.strip_prefix(b"* ").is_some_and(|rest| {
                let mut words = rest.split(|octet| *octet == b' ');
                words.next().is_some_and(|word| super::value::number(word).is_some())
                    && words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"FETCH"))
            })
        })
}

/// Most octets of one piece.
const PIECE_MAX: usize = 64 * 1024;
