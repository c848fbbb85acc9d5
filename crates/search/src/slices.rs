//! A thousand signatures turned on their side: for each bit of a signature the documents that have it set, so that a search
//! reads as many slices as its text has letter groups and nothing else.
//!
//! Format (a change is a new [`crate::VERSION`]): [`SLICES_PER_PAGE`] slices are a page. A slice is its length in two octets,
//! little-endian, and its body: nothing when no document is in it, else a kind: 1 all documents, 2 a bit for each,
//! 3 + k the gaps between them as Rice codes with k low bits, 19 + k the same of the documents that are not in it.

use crate::{BUCKETS, Signature};

/// Most documents together.
pub const DOCUMENTS: usize = 1024;
/// Slices that lie together.
pub const SLICES_PER_PAGE: usize = 8;
/// Pages of a segment.
pub const PAGES: usize = BUCKETS / SLICES_PER_PAGE;

/// A set of the documents of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice([u64; DOCUMENTS / 64]);

impl Slice {
    /// All of them.
    pub const ALL: Slice = Slice([u64::MAX; DOCUMENTS / 64]);
    const NONE: Slice = Slice([0; DOCUMENTS / 64]);

    /// Keeps what is in both.
    pub fn keep(&mut self, other: &Slice) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
    }

    /// Whether it has a document.
    pub fn has(&self, document: usize) -> bool {
        self.0.get(document / 64).is_some_and(|word| word >> (document % 64) & 1 == 1)
    }

    fn insert(&mut self, document: usize) {
        if let Some(word) = self.0.get_mut(document / 64) {
            *word |= 1 << (document % 64);
        }
    }

    fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The documents among the first `count` that are in it, or that are not.
    fn places(&self, count: usize, inside: bool) -> impl Iterator<Item = usize> + '_ {
        (0..count).filter(move |document| self.has(*document) == inside)
    }
}

/// The pages of at most [`DOCUMENTS`] signatures, in order.
pub fn pages(signatures: &[Signature]) -> Vec<Vec<u8>> {
    let count = signatures.len().min(DOCUMENTS);
    let mut slices = vec![Slice::NONE; BUCKETS];
    for (document, signature) in signatures.iter().take(count).enumerate() {
        for (at, word) in signature.words().iter().enumerate() {
            let mut rest = *word;
            while rest != 0 {
                slices[at * 64 + rest.trailing_zeros() as usize].insert(document);
                rest &= rest - 1;
            }
        }
    }
    let page = |slices: &[Slice]| {
        let mut page = Vec::new();
        for slice in slices {
            let body = write(slice, count);
            page.extend((body.len() as u16).to_le_bytes());
            page.extend(body);
        }
        page
    };
    slices.chunks(SLICES_PER_PAGE).map(page).collect()
}

/// The page of a bit.
pub fn page_of(bucket: u16) -> i64 {
    i64::from(bucket) / SLICES_PER_PAGE as i64
}

/// The slice of a bit, out of its page; `count` documents are in the segment. What is damaged may have all.
pub fn slice(page: &[u8], bucket: u16, count: usize) -> Slice {
    find(page, usize::from(bucket) % SLICES_PER_PAGE).and_then(|body| read(body, count)).unwrap_or(Slice::ALL)
}

fn find(mut page: &[u8], place: usize) -> Option<&[u8]> {
    for at in 0..=place {
        let (length, rest) = page.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length));
        if at == place {
            return rest.get(..length);
        }
        page = rest.get(length..)?;
    }
    None
}

fn write(slice: &Slice, count: usize) -> Vec<u8> {
    let inside = slice.count();
    if inside == 0 {
        return Vec::new();
    }
    if inside >= count {
        return vec![ALL];
    }
    let few = inside * 2 <= count;
    let named = if few { inside } else { count - inside };
    let low_bits = (count / named).ilog2();
    let mut bits = Bits::default();
    let mut next = 0;
    for place in slice.places(count, few) {
        bits.rice((place - next) as u32, low_bits);
        next = place + 1;
    }
    let first = if few { GAPS } else { GAPS_OUTSIDE };
    let mut body = vec![first + low_bits as u8];
    body.extend(bits.bytes);
    let octets = count.div_ceil(8);
    if body.len() <= octets {
        return body;
    }
    let plain = slice.0.iter().flat_map(|word| word.to_le_bytes()).take(octets);
    std::iter::once(PLAIN).chain(plain).collect()
}

fn read(body: &[u8], count: usize) -> Option<Slice> {
    let Some((kind, rest)) = body.split_first() else { return Some(Slice::NONE) };
    match *kind {
        ALL => Some(Slice::ALL),
        PLAIN => {
            let mut slice = Slice::NONE;
            for (at, octet) in rest.iter().take(DOCUMENTS / 8).enumerate() {
                slice.0[at / 8] |= u64::from(*octet) << (at % 8 * 8);
            }
            (rest.len() == count.div_ceil(8)).then_some(slice)
        }
        kind @ GAPS..GAPS_OUTSIDE => gaps(rest, u32::from(kind - GAPS), count),
        kind @ GAPS_OUTSIDE..=KIND_LAST => {
            let outside = gaps(rest, u32::from(kind - GAPS_OUTSIDE), count)?;
            let mut slice = Slice::ALL;
            for (word, outside) in slice.0.iter_mut().zip(&outside.0) {
                *word &= !outside;
            }
            Some(slice)
        }
        _ => None,
    }
}

/// Places up to the end; zeros that fill the last octet lead beyond it or are cut by it.
fn gaps(bytes: &[u8], low_bits: u32, count: usize) -> Option<Slice> {
    let mut slice = Slice::NONE;
    let mut place = 0;
    let mut at = 0;
    while let Some((gap, next)) = unrice(bytes, at, low_bits) {
        at = next;
        place += gap;
        if place >= count {
            return None;
        }
        slice.insert(place);
        place += 1;
    }
    Some(slice)
}

/// Bits, the highest of an octet first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn push(&mut self, bit: bool) {
        if self.used.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (7 - self.used % 8);
        }
        self.used += 1;
    }

    /// Zeros as many as the high part says, a one, the low bits: an end without a one is no number.
    fn rice(&mut self, number: u32, low_bits: u32) {
        for _ in 0..number >> low_bits {
            self.push(false);
        }
        self.push(true);
        for bit in (0..low_bits).rev() {
            self.push(number >> bit & 1 == 1);
        }
    }
}

/// The number at a bit, and the bit behind it; `None` at the end.
fn unrice(bytes: &[u8], from: usize, low_bits: u32) -> Option<(usize, usize)> {
    let bit = |at: usize| bytes.get(at / 8).map(|octet| octet >> (7 - at % 8) & 1);
    let mut at = from;
    let mut number = 0usize;
    while bit(at)? == 0 {
        number += 1;
        at += 1;
    }
    at += 1;
    for _ in 0..low_bits {
        number = number << 1 | usize::from(bit(at)?);
        at += 1;
    }
    Some((number, at))
}

const ALL: u8 = 1;
const PLAIN: u8 = 2;
const GAPS: u8 = 3;
const GAPS_OUTSIDE: u8 = 19;
const KIND_LAST: u8 = 34;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Grams;

    #[test]
    fn what_signatures_have_slices_have() {
        for count in [1, 7, 8, 9, 100, DOCUMENTS] {
            let texts: Vec<String> =
                (0..count).map(|n| format!("all {} half{} seldom{}", n % 2, n % 2, n % 97 / 96)).collect();
            let signatures: Vec<Signature> = texts.iter().map(|text| Signature::of(text)).collect();
            let pages = pages(&signatures);
            assert_eq!(pages.len(), PAGES);
            for bucket in 0..BUCKETS as u16 {
                let slice = slice(&pages[page_of(bucket) as usize], bucket, count);
                for (document, signature) in signatures.iter().enumerate() {
                    assert_eq!(slice.has(document), signature.has(bucket), "{count}: {document} {bucket}");
                }
            }
        }
    }

    #[test]
    fn damage_proposes_and_never_excludes() {
        let pages = pages(&[Signature::of("some text"), Signature::of("another")]);
        let bucket = Grams::of("some").buckets()[0];
        let whole = &pages[page_of(bucket) as usize];
        for length in 0..whole.len() {
            let slice = slice(&whole[..length], bucket, 2);
            assert!(slice.has(0), "cut at {length}");
        }
        assert!(slice(&[1, 0, 200], 0, 2).has(1));
    }
}
