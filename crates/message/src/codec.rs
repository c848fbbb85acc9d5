//! The stored form of a [`Summary`]: compact, versioned, total on hostile bytes.

use crate::{Envelope, Error, Facts, Fields, HeaderDate, Part, Summary};

impl Summary {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        unimplemented!()
    }

    /// Reads the stored form back.
    pub fn decode(bytes: &[u8]) -> Result<Summary, Error> {
        let _ = bytes;
        unimplemented!()
    }
}

/// A stored summary of which only the asked pieces are decoded: making one reads a few dozen bytes.
#[derive(Debug, Clone, Copy)]
pub struct SummaryView<'a> {
    /// [`Summary::size`].
    pub size: u64,
    /// [`Summary::lines`].
    pub lines: u64,
    /// [`Summary::date`].
    pub date: HeaderDate,
    /// [`Summary::has_attachment`].
    pub has_attachment: bool,
    /// [`Summary::facts`].
    pub facts: Facts,
    /// End of the top header block: `BODY[HEADER]` is `0..body_start`, `BODY[TEXT]` is `body_start..size`.
    pub body_start: u64,
    bytes: &'a [u8],
}

impl<'a> SummaryView<'a> {
    /// Reads the fixed part of a stored summary.
    pub fn new(bytes: &'a [u8]) -> Result<SummaryView<'a>, Error> {
        let _ = bytes;
        unimplemented!()
    }

    /// Decodes the envelope alone.
    pub fn envelope(&self) -> Result<Envelope, Error> {
        let _ = self.bytes;
        unimplemented!()
    }

    /// Decodes the structure alone.
    pub fn structure(&self) -> Result<Part, Error> {
        unimplemented!()
    }

    /// Decodes the kept header fields alone.
    pub fn fields(&self) -> Result<Fields, Error> {
        unimplemented!()
    }

    /// The preview alone.
    pub fn preview(&self) -> Result<&'a str, Error> {
        unimplemented!()
    }
}
