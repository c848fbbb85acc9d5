//! A message's way in: parsed and stored as its bytes flow, the header block editable before it is sealed.
//!
//! ```text
//! let mut intake = Intake::new(store.upload(), limits);
//! if intake.feed(chunk)? == Fed::HeaderEnded { complete(intake.header_mut()) }   // submission only
//! ...
//! let arrival = intake.finish(received_and_return_path)?;      // blocking: fsync
//! ```

use postroad_message::{Limits, Parser, Summary};
use postroad_store::{Prepared, Upload};

use crate::{Error, Result};

/// Longest header block, in bytes, that can be reviewed and edited; a longer one is refused where that has to be done. How much
/// of it is looked at for listings is another limit: [`Limits::header_bytes`].
pub const MAX_HEADER_BYTES: usize = 16 * 1024 * 1024;

/// So much of the header block of a message that is stored as it is waits in memory; the rest, of whatever length, flows on.
pub const HELD_HEADER_BYTES: usize = 1024 * 1024;

/// A message that is stored as it is waits in one piece up to so many bytes: it is parsed and stored at once, and copied nowhere.
const WHOLE_MAX: usize = 32 * 1024;

/// A message of so many bytes is small.
const SMALL: u64 = 32 * 1024;

/// A message that is coming in.
pub struct Intake {
    parser: Parser,
    upload: Upload,
    header: Vec<u8>,
    state: State,
    /// The header block is edited by nobody.
    as_it_is: bool,
}

/// How far a message has come.
enum State {
    /// All that came is in `header`, and neither the parser nor the upload has seen it: it is small, and stays as it is.
    Whole,
    /// No line of the header block so far is empty. `line` is where the current line begins, `seen` how far
    /// it was searched for its end.
    Header { line: usize, seen: usize },
    /// The header block may be edited; these bytes follow it.
    Ended { body: Vec<u8> },
    /// The parser has seen the header block, and all body bytes so far.
    Body,
}

/// What a [`Intake::feed`] brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fed {
    /// Still in the header, or in the body as before.
    More,
    /// The header block has just ended: until the next `feed` or `finish` it may be edited.
    HeaderEnded,
}

/// A message that is safe on disk, ready to be delivered.
#[derive(Debug)]
pub struct Arrival {
    /// The stored bytes, prefix included.
    pub blob: Prepared,
    /// Their number.
    pub size: u64,
    /// What listing needs.
    pub summary: Summary,
    /// The same, encoded for the database.
    pub summary_bytes: Vec<u8>,
    /// What threads are found by (`Summary::thread_keys`).
    pub thread_keys: Vec<u64>,
    /// Its Message-ID without angle brackets: a key of its story.
    pub message_id: Option<String>,
}

impl Intake {
    /// Ready for bytes.
    pub fn new(upload: Upload, limits: Limits) -> Intake {
        let state = State::Header { line: 0, seen: 0 };
        Intake { parser: Parser::new(limits), upload, header: Vec::new(), state, as_it_is: false }
    }

    /// Ready for the bytes of a message whose header block nobody will look at or edit: it may be as long as the message.
    pub fn as_it_is(upload: Upload, limits: Limits) -> Intake {
        Intake { as_it_is: true, state: State::Whole, ..Intake::new(upload, limits) }
    }

    /// Takes bytes. Errors: `Message` for a header block beyond [`MAX_HEADER_BYTES`], `Store`.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Fed> {
        if matches!(self.state, State::Whole) {
            if self.stays_whole(bytes) {
                self.header.extend_from_slice(bytes);
                return Ok(Fed::More);
            }
            self.state = State::Header { line: 0, seen: 0 };
            let held = std::mem::take(&mut self.header);
            self.flow(&held)?;
        }
        self.flow(bytes)
    }

    /// [`Intake::feed`] for bytes that nobody else needs: they may be kept where they are.
    pub fn take(&mut self, bytes: Vec<u8>) -> Result<Fed> {
        if matches!(self.state, State::Whole) && self.header.is_empty() && self.stays_whole(&bytes) {
            self.header = bytes;
            return Ok(Fed::More);
        }
        self.feed(&bytes)
    }

    /// Whether all that came is small also with these.
    fn stays_whole(&self, bytes: &[u8]) -> bool {
        self.header.len() + bytes.len() <= self.upload.room().min(WHOLE_MAX)
    }

    fn flow(&mut self, bytes: &[u8]) -> Result<Fed> {
        self.seal()?;
        let State::Header { line, seen } = &mut self.state else {
            self.body(bytes)?;
            return Ok(Fed::More);
        };
        self.header.extend_from_slice(bytes);
        // The block ends with the first empty line, in whatever way its lines end.
        while let Some(length) = self.header[*seen..].iter().position(|byte| *byte == b'\n') {
            let end = *seen + length + 1;
            let empty = matches!(&self.header[*line..end], b"\n" | b"\r\n");
            (*line, *seen) = (end, end);
            if empty {
                if end > MAX_HEADER_BYTES && !self.as_it_is {
                    return Err(TOO_LONG);
                }
                let body = self.header.split_off(end);
                self.state = State::Ended { body };
                return Ok(Fed::HeaderEnded);
            }
        }
        *seen = self.header.len();
        if self.as_it_is && self.header.len() > HELD_HEADER_BYTES {
            self.state = State::Ended { body: Vec::new() };
            return Ok(Fed::HeaderEnded);
        }
        if self.header.len() > MAX_HEADER_BYTES { Err(TOO_LONG) } else { Ok(Fed::More) }
    }

    /// The header block so far, with its blank line once it ended; of a small message that is stored as it is, all that came.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The header block for editing; `None` when it is sealed (bytes were fed after `HeaderEnded`).
    /// A message that ends within its header is edited here right before `finish`.
    pub fn header_mut(&mut self) -> Option<&mut Vec<u8>> {
        match self.state {
            State::Header { .. } | State::Ended { .. } => Some(&mut self.header),
            State::Whole | State::Body => None,
        }
    }

    /// What came of the body with the end of the header, until the next `feed` or `finish`.
    pub fn waiting(&self) -> &[u8] {
        match &self.state {
            State::Ended { body } => body,
            State::Whole | State::Header { .. } | State::Body => &[],
        }
    }

    /// Bytes taken so far, edits counted.
    pub fn size(&self) -> u64 {
        let waiting = match &self.state {
            State::Ended { body } => body.len(),
            State::Whole | State::Header { .. } | State::Body => 0,
        };
        (self.header.len() + waiting) as u64 + self.upload.size()
    }

    /// Whether [`Intake::finish`] touches neither disk nor network and is soon done, so that it may run anywhere.
    pub fn is_small(&self) -> bool {
        self.upload.is_small() && self.size() <= SMALL
    }

    /// Ends the message. `prefix` is whole header lines to put first (Return-Path, Received). Blocks on the
    /// disk or the object store: not in a transaction, and on an async thread only when [`Intake::is_small`].
    pub fn finish(mut self, mut prefix: Vec<u8>) -> Result<Arrival> {
        match self.state {
            State::Whole => self.parser.feed(&self.header),
            State::Header { .. } => self.state = State::Ended { body: Vec::new() },
            State::Ended { .. } | State::Body => {}
        }
        self.seal()?;
        let mut summary = self.parser.finish().summary;
        if !prefix.is_empty() {
            summary.prepend(&prefix);
            prefix.extend_from_slice(&self.header);
            self.header = prefix;
        }
        let blob = self.upload.finish(self.header)?;
        Ok(Arrival {
            size: blob.size(),
            summary_bytes: summary.encode(),
            thread_keys: summary.thread_keys(),
            message_id: summary.message_id(),
            summary,
            blob,
        })
    }

    /// Shows the parser the header block as it now is, and the bytes that followed it.
    fn seal(&mut self) -> Result<()> {
        if let State::Ended { body } = &mut self.state {
            let body = std::mem::take(body);
            self.state = State::Body;
            self.parser.feed(&self.header);
            self.body(&body)?;
        }
        Ok(())
    }

    fn body(&mut self, bytes: &[u8]) -> Result<()> {
        self.parser.feed(bytes);
        self.upload.write(bytes)?;
        Ok(())
    }
}

const TOO_LONG: Error = Error::Message("the header of this message is too long");
