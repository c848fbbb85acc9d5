//! The header block as signatures see it: fields by name, taken from the bottom.
//!
//! Standards: RFC 6376 §3.7, §5.4.2.

use aws_lc_rs::digest;
use postroad_message::header::{self, Field};

use crate::body::Canonicalization;
use crate::canonical;
use crate::sha256::Sha256;

/// An index of a header block.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    fields: Vec<Field<'a>>,
    /// Numbers of the fields, by name without case, then from the top.
    order: Vec<u32>,
    /// Octets that may still be hashed.
    budget: usize,
}

/// Fields of a header in which signatures are looked at. Mail that went far has a hundred.
pub(crate) const FIELDS: usize = 5_000;
/// Octets of header fields that are hashed for all signatures of a message together.
pub(crate) const HASHED_BYTES: usize = 2 << 20;

/// Octets put together before they are hashed.
const BUFFER: usize = 8 << 10;

impl<'a> Block<'a> {
    /// `None` for more than [`FIELDS`].
    pub(crate) fn new(header: &'a [u8]) -> Option<Block<'a>> {
        let fields: Vec<Field<'a>> =
            header::fields(header).filter(|field| !field.name.is_empty()).take(FIELDS + 1).collect();
        if fields.len() > FIELDS {
            return None;
        }
        let mut order: Vec<u32> = (0..fields.len() as u32).collect();
        order.sort_by(|&a, &b| compare(fields[a as usize].name, fields[b as usize].name));
        Some(Block { fields, order, budget: HASHED_BYTES })
    }

    /// The fields in the order of the message.
    pub(crate) fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// How many fields have this name.
    pub(crate) fn count(&self, name: &[u8]) -> usize {
        let (start, end) = self.run(name);
        end - start
    }

    /// Where the fields of this name stand in the order.
    fn run(&self, name: &[u8]) -> (usize, usize) {
        let at = |&number: &u32| self.fields[number as usize].name;
        let start = self.order.partition_point(|n| compare(at(n), name).is_lt());
        let length = self.order[start..].partition_point(|n| compare(at(n), name).is_eq());
        (start, start + length)
    }

    /// The fields that a list of names means: RFC 6376 §5.4.2: each name takes the last field of that name that was not taken, or
    /// nothing. `own`: the signature, which never signs itself.
    pub(crate) fn select<'n>(&self, names: impl Iterator<Item = &'n [u8]>, own: Option<usize>) -> Vec<Field<'a>> {
        let mut taken = vec![0_usize; self.fields.len()];
        let mut selected = Vec::new();
        for name in names {
            let (start, end) = self.run(name);
            while end - start > taken.get(start).copied().unwrap_or(0) {
                let number = self.order[end - 1 - taken[start]] as usize;
                taken[start] += 1;
                if Some(number) != own {
                    selected.push(self.fields[number]);
                    break;
                }
            }
        }
        selected
    }

    /// Hashes fields, then the signature's own field without its line end. `None` if this message has used up [`HASHED_BYTES`].
    pub(crate) fn digest(
        &mut self,
        selected: &[Field<'_>],
        own: &[u8],
        canonicalization: Canonicalization,
    ) -> Option<digest::Digest> {
        let bytes = selected.iter().map(|field| field.raw.len()).sum::<usize>() + own.len();
        self.budget = self.budget.checked_sub(bytes)?;
        Some(digest_fields(selected.iter().map(|field| field.raw), own, canonicalization))
    }
}

/// The hash of these fields and of the signature's own field without its line end (RFC 6376 §3.7).
pub(crate) fn digest_fields<'f>(
    fields: impl Iterator<Item = &'f [u8]>,
    own: &[u8],
    canonicalization: Canonicalization,
) -> digest::Digest {
    let mut hash = Sha256::new();
    let mut buffer = Vec::with_capacity(BUFFER);
    for raw in fields {
        canonical::field(&mut buffer, raw, canonicalization);
        if buffer.len() > BUFFER / 2 {
            hash.update(&buffer);
            buffer.clear();
        }
    }
    canonical::field(&mut buffer, own, canonicalization);
    buffer.truncate(buffer.len() - 2);
    hash.update(&buffer);
    hash.digest()
}

/// A field of a signature with nothing between `b=` and `;`. `value` is where that stands in the field's value.
pub(crate) fn without_signature(field: &Field<'_>, value: std::ops::Range<usize>) -> Vec<u8> {
    let offset = field.raw.len() - after_colon(field).len();
    let mut out = Vec::with_capacity(field.raw.len());
    out.extend_from_slice(&field.raw[..offset + value.start]);
    out.extend_from_slice(&field.raw[offset + value.end..]);
    out
}

/// What follows the colon, with the last line end.
fn after_colon<'a>(field: &Field<'a>) -> &'a [u8] {
    let colon = memchr::memchr(b':', field.raw).unwrap_or(0);
    &field.raw[colon + 1..]
}

/// By octets, without case.
fn compare(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase))
}
