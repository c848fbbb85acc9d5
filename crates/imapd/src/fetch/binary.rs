//! BINARY: parts without their transfer encoding (RFC 3516).
//!
//! A literal begins with its size, and the decoded size is known only after decoding: a part is decoded
//! twice, once to measure it and once to tell it, by pieces both times.

use std::ops::Range;

use postroad_message::decode::{Decoder, Encoding};
use postroad_store::ReadTx;

use crate::error::Error;
use crate::fetch::octets::{Budget, Octets, exhausted};
use crate::session::Session;

/// Decoding a part from its start.
#[derive(Debug)]
pub(crate) struct Decoding {
    /// What is left of it in the message.
    rest: Range<u64>,
    /// `None` when the end was decoded.
    decoder: Option<Decoder>,
}

impl Decoding {
    pub(crate) fn new(encoding: &Encoding, body: Range<u64>) -> Decoding {
        Decoding { rest: body, decoder: Some(Decoder::new(encoding)) }
    }

    /// The next decoded octets; `None` at the end. May be empty before it.
    fn next(&mut self, tx: &ReadTx, octets: &mut Octets, budget: &mut Budget) -> Result<Option<Vec<u8>>, Error> {
        let mut decoded = Vec::new();
        if self.rest.is_empty() {
            let Some(decoder) = self.decoder.take() else { return Ok(None) };
            decoder.finish(&mut decoded);
            return Ok(Some(decoded));
        }
        let piece = octets.next(tx, &self.rest)?;
        self.rest.start += piece.len() as u64;
        budget.spend(piece.len() as u64);
        if let Some(decoder) = &mut self.decoder {
            decoder.feed(piece, &mut decoded);
        }
        Ok(Some(decoded))
    }
}

/// Counts a part's decoded octets.
#[derive(Debug)]
pub(crate) struct Measuring {
    decoding: Decoding,
    /// So far.
    pub(crate) size: u64,
    /// Whether there is a NUL among them.
    pub(crate) nul: bool,
    /// Whether one is above 127.
    pub(crate) eight: bool,
    /// Line feeds.
    pub(crate) lines: u64,
}

impl Measuring {
    pub(crate) fn new(decoding: Decoding) -> Measuring {
        Measuring { decoding, size: 0, nul: false, eight: false, lines: 0 }
    }

    /// True at the end; false: the budget is used up.
    pub(crate) fn go_on(
        &mut self,
        session: &Session,
        tx: &ReadTx,
        octets: &mut Octets,
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        while let Some(decoded) = self.decoding.next(tx, octets, budget)? {
            self.size += decoded.len() as u64;
            self.nul |= decoded.contains(&0);
            self.eight |= !decoded.is_ascii();
            self.lines += decoded.iter().filter(|octet| **octet == b'\n').count() as u64;
            if exhausted(session, budget) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Tells a range of a part's decoded octets.
#[derive(Debug)]
pub(crate) struct Telling {
    decoding: Decoding,
    /// Octets to pass over first.
    skip: u64,
    /// Octets that are still promised.
    left: u64,
}

impl Telling {
    pub(crate) fn new(decoding: Decoding, range: Range<u64>) -> Telling {
        Telling { decoding, skip: range.start, left: range.end - range.start }
    }

    /// True at the end; false: the budget is used up.
    pub(crate) fn go_on(
        &mut self,
        session: &mut Session,
        tx: &ReadTx,
        octets: &mut Octets,
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        while self.left > 0 {
            let Some(decoded) = self.decoding.next(tx, octets, budget)? else {
                return Err(Error::bug("a part was measured longer than it is"));
            };
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(decoded.len());
            self.skip -= skipped as u64;
            let told = &decoded[skipped..];
            let told = &told[..usize::try_from(self.left).unwrap_or(usize::MAX).min(told.len())];
            self.left -= told.len() as u64;
            session.writer().raw(told);
            if self.left > 0 && exhausted(session, budget) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
