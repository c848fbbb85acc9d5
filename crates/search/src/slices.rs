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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    /// The documents among the first `count` that are in it, or that are not, rising.
    fn places(&self, count: usize, inside: bool) -> impl Iterator<Item = usize> + '_ {
        let flip = if inside { 0 } else { u64::MAX };
        self.0.iter().enumerate().take(count.div_ceil(64)).flat_map(move |(at, word)| {
            let counted = (count - at * 64).min(64) as u32;
            let mut rest = (word ^ flip) & u64::MAX >> (64 - counted);
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let place = at * 64 + rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    place
                })
            })
        })
    }
}

/// The pages of at most [`DOCUMENTS`] signatures, in order.
pub fn pages(signatures: &[&Signature]) -> Vec<Vec<u8>> {
    let count = signatures.len().min(DOCUMENTS);
    let mut pages = Vec::with_capacity(PAGES);
    // 64 bits of all documents at a time, in squares of 64 documents.
    for word in 0..BUCKETS / 64 {
        let mut slices = [Slice::NONE; 64];
        for (at, documents) in signatures[..count].chunks(64).enumerate() {
            let mut square = [0; 64];
            for (row, signature) in square.iter_mut().zip(documents) {
                *row = signature.words()[word];
            }
            turn(&mut square);
            for (slice, row) in slices.iter_mut().zip(square) {
                slice.0[at] = row;
            }
        }
        pages.extend(slices.chunks(SLICES_PER_PAGE).map(|slices| {
            let mut page = Vec::new();
            slices.iter().for_each(|slice| write(slice, count, &mut page));
            page
        }));
    }
    pages
}

/// Turns a square of bits on its side: bit `a` of word `b` becomes bit `b` of word `a`. Halves change places, then halves of
/// halves.
fn turn(square: &mut [u64; 64]) {
    let (mut half, mut low) = (32, u64::from(u32::MAX));
    while half > 0 {
        for at in (0..64).filter(|at| at & half == 0) {
            let differs = (square[at] >> half ^ square[at + half]) & low;
            square[at] ^= differs << half;
            square[at + half] ^= differs;
        }
        half /= 2;
        low ^= low << half;
    }
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

/// Adds a slice to its page.
fn write(slice: &Slice, count: usize, page: &mut Vec<u8>) {
    let from = page.len();
    page.extend([0; 2]);
    let inside = slice.count();
    if inside > 0 && inside >= count {
        page.push(ALL);
    } else if inside > 0 {
        let few = inside * 2 <= count;
        let named = if few { inside } else { count - inside };
        let low_bits = (count / named).ilog2();
        page.push(if few { GAPS } else { GAPS_OUTSIDE } + low_bits as u8);
        let mut bits = Bits { bytes: page, waiting: 0, count: 0 };
        let mut next = 0;
        for place in slice.places(count, few) {
            bits.rice((place - next) as u32, low_bits);
            next = place + 1;
        }
        bits.end();
        let octets = count.div_ceil(8);
        if page.len() - from - 2 > octets {
            page.truncate(from + 2);
            page.push(PLAIN);
            page.extend(slice.0.iter().flat_map(|word| word.to_le_bytes()).take(octets));
        }
    }
    let length = (page.len() - from - 2) as u16;
    page[from..from + 2].copy_from_slice(&length.to_le_bytes());
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
struct Bits<'a> {
    bytes: &'a mut Vec<u8>,
    /// Bits that are no whole octet yet are its lowest.
    waiting: u64,
    count: u32,
}

impl Bits<'_> {
    /// At most 32 bits.
    fn push(&mut self, bits: u32, count: u32) {
        self.waiting = self.waiting << count | u64::from(bits);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.waiting >> self.count) as u8);
        }
    }

    /// Zeros as many as the high part says, a one, the low bits: an end without a one is no number.
    fn rice(&mut self, number: u32, low_bits: u32) {
        let mut zeros = number >> low_bits;
        while zeros > 16 {
            self.push(0, 16);
            zeros -= 16;
        }
        let one = 1 << low_bits;
        self.push(one | number & (one - 1), zeros + 1 + low_bits);
    }

    /// Fills the last octet with zeros.
    fn end(self) {
        if self.count > 0 {
            self.bytes.push((self.waiting << (8 - self.count)) as u8);
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
            let pages = pages(&signatures.iter().collect::<Vec<_>>());
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
        let pages = pages(&[&Signature::of("some text"), &Signature::of("another")]);
        let bucket = Grams::of("some").buckets()[0];
        let whole = &pages[page_of(bucket) as usize];
        for length in 0..whole.len() {
            let slice = slice(&whole[..length], bucket, 2);
            assert!(slice.has(0), "cut at {length}");
        }
        assert!(slice(&[1, 0, 200], 0, 2).has(1));
    }
}
