//! Raw header blocks: iterate, unfold, edit; RFC 2047 and RFC 2231 in and out.

use crate::Param;
use std::borrow::Cow;

/// One field of a raw header block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name without the colon; empty for a line that is no field (an mbox `From ` line, a line without a colon).
    pub name: &'a [u8],
    /// What follows the colon, folded, without the final line break.
    pub value: &'a [u8],
    /// The whole field with name, folds and final line break.
    pub raw: &'a [u8],
    /// Where `raw` starts in the block.
    pub start: usize,
}

impl Field<'_> {
    /// Whether the field has this name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The fields of a header block, in order, until its blank line or its end. Lines that are no field come with an empty name, so
/// that the `raw`s put together are the block without its blank line.
pub fn fields(block: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let _ = block;
    std::iter::empty()
}

/// The first field with this name.
pub fn find<'a>(block: &'a [u8], name: &str) -> Option<Field<'a>> {
    fields(block).find(|f| f.is(name))
}

/// Whether the block has a field with this name.
pub fn has(block: &[u8], name: &str) -> bool {
    find(block, name).is_some()
}

/// The block without the fields of these names; all else byte for byte, blank line included.
pub fn remove(block: &[u8], names: &[&str]) -> Vec<u8> {
    let _ = (block, names);
    unimplemented!()
}

/// `BODY[HEADER.FIELDS (names)]` from a raw block: these fields in order, raw, then the blank line.
pub fn select(block: &[u8], names: &[&str]) -> Vec<u8> {
    let _ = (block, names);
    unimplemented!()
}

/// `BODY[HEADER.FIELDS.NOT (names)]` from a raw block: all other fields in order, raw, then the blank line.
pub fn select_not(block: &[u8], names: &[&str]) -> Vec<u8> {
    let _ = (block, names);
    unimplemented!()
}

/// Finds the end of a header block in a stream.
#[derive(Debug, Clone, Default)]
pub struct EndFinder {
    at: usize,
    line_start: bool,
}

impl EndFinder {
    /// At the start of a message.
    pub fn new() -> EndFinder {
        EndFinder::default()
    }

    /// Takes the next octets; `Some(n)` once: the body starts after `n` octets of this piece. Cost is linear in all pieces.
    pub fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let _ = (bytes, self.at, self.line_start);
        unimplemented!()
    }
}

/// Removes folding (line breaks before white space) and surrounding white space; stray line breaks become spaces.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let _ = value;
    unimplemented!()
}

/// Raw octets as text: UTF-8 if they are, else windows-1252. Unfolds; does not decode encoded words.
pub fn text(value: &[u8]) -> String {
    let _ = value;
    unimplemented!()
}

/// An unstructured field value as text: unfolded, RFC 2047 words decoded, raw 8-bit understood.
pub fn decode(value: &[u8]) -> String {
    let _ = value;
    unimplemented!()
}

/// A whole field line `Name: value\r\n`, value encoded by RFC 2047 where it is not ASCII, folded at 76 columns.
pub fn encode_field(name: &str, value: &str) -> String {
    let _ = (name, value);
    unimplemented!()
}

/// The decoded value of a parameter (RFC 2231 continuations and charsets, RFC 2047 words, raw 8-bit); name in any case.
pub fn param(params: &[Param], name: &str) -> Option<String> {
    let _ = (params, name);
    unimplemented!()
}

/// A Content-Type value: media type and subtype in lower case, parameters as sent. `None` if it is not understandable.
pub fn content_type(value: &[u8]) -> Option<(String, String, Vec<Param>)> {
    let _ = value;
    unimplemented!()
}
