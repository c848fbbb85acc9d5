//! How the bytes of a large blob lie in its file: chunks of a fixed plain size, each hashed, and compressed by
//! itself when that pays, so that a range is read without reading what is before it. A compressed file is a row
//! of zstd frames, which `zstd -d` reads as one.

use crate::{Error, Result};
use std::cell::RefCell;
use std::io::Cursor;
use std::ops::Range;
use zstd::bulk::{Compressor, Decompressor};

/// How stored bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Raw,
    Zstd,
}

impl Encoding {
    pub(crate) fn column(self) -> i64 {
        match self {
            Encoding::Raw => 0,
            Encoding::Zstd => 1,
        }
    }

    pub(crate) fn from_column(column: i64) -> Result<Encoding> {
        match column {
            0 => Ok(Encoding::Raw),
            1 => Ok(Encoding::Zstd),
            other => Err(Error::Corrupt(format!("a blob has the unknown encoding {other}"))),
        }
    }
}

/// The bytes compressed, if that saves more than a tenth.
pub(crate) fn compress_if_worth(plain: &[u8]) -> Result<Option<Vec<u8>>> {
    if plain.len() < WORTH_TRYING {
        return Ok(None);
    }
    let packed = compress(plain)?;
    Ok((packed.len() < plain.len() - plain.len() / 10).then_some(packed))
}

pub(crate) fn compress(plain: &[u8]) -> Result<Vec<u8>> {
    let packed = PACKER.with_borrow_mut(|kept| {
        let mut packer = match kept.take() {
            Some(packer) => packer,
            None => {
                let mut packer = Compressor::new(LEVEL)?;
                packer.include_checksum(true)?;
                packer
            }
        };
        let packed = packer.compress(plain)?;
        *kept = Some(packer);
        Ok(packed)
    });
    packed.map_err(|error: std::io::Error| Error::Bug(format!("zstd: {error}")))
}

/// Whether compressed bytes bring a checksum of the plain ones along, which is looked at whenever they are unpacked (RFC 8878
/// §3.1.1: a frame begins with its magic number and a descriptor).
pub(crate) fn checks_itself(stored: &[u8], encoding: Encoding) -> bool {
    let descriptor = stored.strip_prefix(&zstd::zstd_safe::MAGICNUMBER.to_le_bytes()).and_then(|rest| rest.first());
    encoding == Encoding::Zstd && descriptor.is_some_and(|descriptor| descriptor & CONTENT_CHECKSUM != 0)
}

/// The plain bytes, at most `size` of them.
pub(crate) fn decode(stored: &[u8], encoding: Encoding, size: usize) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    decode_behind(stored, encoding, size, &mut plain)?;
    Ok(plain)
}

/// The plain bytes behind those in `out`, `size` of them or as many as there is room for; none where it fails.
pub(crate) fn decode_behind(stored: &[u8], encoding: Encoding, size: usize, out: &mut Vec<u8>) -> Result<()> {
    match encoding {
        Encoding::Raw => {
            out.extend_from_slice(stored);
            Ok(())
        }
        Encoding::Zstd => unpack(stored, size, out)
            .map_err(|error| Error::Corrupt(format!("its compressed bytes cannot be unpacked: {error}"))),
    }
}

fn unpack(stored: &[u8], size: usize, out: &mut Vec<u8>) -> std::io::Result<()> {
    UNPACKER.with_borrow_mut(|kept| {
        let mut unpacker = match kept.take() {
            Some(unpacker) => unpacker,
            None => Decompressor::new()?,
        };
        let before = out.len();
        out.reserve(size);
        let mut behind = Cursor::new(std::mem::take(out));
        behind.set_position(before as u64);
        let unpacked = unpacker.decompress_to_buffer(stored, &mut behind);
        *out = behind.into_inner();
        match unpacked {
            Ok(_) => *kept = Some(unpacker),
            Err(_) => out.truncate(before),
        }
        unpacked.map(|_| ())
    })
}

// A context is some hundred KiB that is made and cleared: more work than a small message in it. Each thread keeps one
// between its messages; one that failed is not used again.
thread_local! {
    static PACKER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Lengths and hashes of a large blob's chunks and of its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    chunk_size: u32,
    head_hash: [u8; HASH],
    chunks: Vec<Chunk>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chunk {
    stored: u32,
    hash: [u8; HASH],
}

impl Index {
    pub(crate) fn new() -> Index {
        Index { chunk_size: CHUNK as u32, head_hash: short_hash(&[]), chunks: Vec::new() }
    }

    pub(crate) fn set_head(&mut self, head: &[u8]) {
        self.head_hash = short_hash(head);
    }

    pub(crate) fn push(&mut self, plain: &[u8], stored: usize) {
        self.chunks.push(Chunk { stored: stored as u32, hash: short_hash(plain) });
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.chunk_size.to_le_bytes());
        out.extend_from_slice(&self.head_hash);
        for chunk in &self.chunks {
            out.extend_from_slice(&chunk.stored.to_le_bytes());
            out.extend_from_slice(&chunk.hash);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Index> {
        let bad = || Error::Corrupt("its list of chunks cannot be read".into());
        let (version, rest) = bytes.split_first().ok_or_else(bad)?;
        let (chunk_size, rest) = rest.split_first_chunk().ok_or_else(bad)?;
        let (head_hash, rest) = rest.split_first_chunk().ok_or_else(bad)?;
        let chunk_size = u32::from_le_bytes(*chunk_size);
        let (entries, left) = rest.as_chunks::<ENTRY>();
        if *version != VERSION || chunk_size == 0 || !left.is_empty() {
            return Err(bad());
        }
        let mut chunks = Vec::with_capacity(entries.len());
        for entry in entries {
            let (stored, hash) = entry.split_first_chunk().ok_or_else(bad)?;
            let (hash, _) = hash.split_first_chunk().ok_or_else(bad)?;
            chunks.push(Chunk { stored: u32::from_le_bytes(*stored), hash: *hash });
        }
        Ok(Index { chunk_size, head_hash: *head_hash, chunks })
    }

    pub(crate) fn verify_head(&self, head: &[u8]) -> Result<()> {
        if short_hash(head) == self.head_hash {
            return Ok(());
        }
        Err(Error::Corrupt("its head does not match its hash".into()))
    }

    /// The stored bytes that hold the plain range of a body of `size` bytes, and which chunks these are.
    pub(crate) fn span(&self, range: &Range<u64>, size: u64) -> Result<(Range<u64>, Range<usize>)> {
        let chunk_size = u64::from(self.chunk_size);
        if size.div_ceil(chunk_size) != self.chunks.len() as u64 || range.end > size || range.is_empty() {
            return Err(Error::Corrupt("its list of chunks does not fit its size".into()));
        }
        let first = (range.start / chunk_size) as usize;
        let last = range.end.div_ceil(chunk_size) as usize;
        let length = |chunks: &[Chunk]| chunks.iter().map(|chunk| u64::from(chunk.stored)).sum::<u64>();
        let start = length(&self.chunks[..first]);
        Ok((start..start + length(&self.chunks[first..last]), first..last))
    }

    /// That the chunks are as many as a body of `size` bytes has, and none larger than we make them.
    pub(crate) fn check_bounds(&self, size: u64) -> Result<()> {
        let most = u64::from(self.chunk_size) + CHUNK_SLACK;
        let fits = self.chunk_size as usize <= CHUNK_MAX
            && size.div_ceil(u64::from(self.chunk_size)) == self.chunks.len() as u64
            && self.chunks.iter().all(|chunk| u64::from(chunk.stored) <= most);
        if fits { Ok(()) } else { Err(Error::Corrupt("its list of chunks does not fit its size".into())) }
    }

    /// Stored bytes of a chunk; `None` after the last.
    pub(crate) fn stored_length(&self, place: usize) -> Option<u32> {
        self.chunks.get(place).map(|chunk| chunk.stored)
    }

    /// A hash of what the chunks hold: of their hashes, not of how they are stored.
    pub(crate) fn content(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.head_hash);
        self.chunks.iter().for_each(|chunk| {
            hasher.update(&chunk.hash);
        });
        *hasher.finalize().as_bytes()
    }

    /// The plain bytes of one chunk, verified.
    pub(crate) fn check_chunk(&self, place: usize, stored: &[u8], encoding: Encoding) -> Result<Vec<u8>> {
        let chunk = self.chunks.get(place).filter(|chunk| chunk.stored as usize == stored.len());
        let chunk = chunk.ok_or_else(|| Error::Corrupt(format!("chunk {place} is cut short")))?;
        let plain = decode(stored, encoding, self.chunk_size as usize)?;
        if short_hash(&plain) == chunk.hash {
            return Ok(plain);
        }
        Err(Error::Corrupt(format!("chunk {place} does not match its hash")))
    }

    /// Unpacks and verifies the touched chunks; adds the plain range to `out`.
    pub(crate) fn extract(
        &self,
        stored: &[u8],
        touched: Range<usize>,
        encoding: Encoding,
        range: &Range<u64>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let mut rest = stored;
        for (place, chunk) in self.chunks.iter().enumerate().take(touched.end).skip(touched.start) {
            let short = || Error::Corrupt(format!("chunk {place} is cut short"));
            let (packed, later) = rest.split_at_checked(chunk.stored as usize).ok_or_else(short)?;
            rest = later;
            let plain = decode(packed, encoding, self.chunk_size as usize)?;
            if short_hash(&plain) != chunk.hash {
                return Err(Error::Corrupt(format!("chunk {place} does not match its hash")));
            }
            let before = place as u64 * u64::from(self.chunk_size);
            let from = (range.start.saturating_sub(before) as usize).min(plain.len());
            let to = (range.end.saturating_sub(before) as usize).min(plain.len());
            out.extend_from_slice(&plain[from..to]);
        }
        Ok(())
    }
}

fn short_hash(bytes: &[u8]) -> [u8; HASH] {
    let mut short = [0; HASH];
    short.copy_from_slice(&blake3::hash(bytes).as_bytes()[..HASH]);
    short
}

/// Plain bytes in a chunk: what a small range of a large blob costs to read.
pub(crate) const CHUNK: usize = 256 * 1024;
/// No chunk of ours was ever larger than this.
const CHUNK_MAX: usize = 16 << 20;
/// A chunk that does not get smaller may get a little larger.
const CHUNK_SLACK: u64 = 64 * 1024;
const VERSION: u8 = 1;
const HASH: usize = 16;
const ENTRY: usize = 4 + HASH;
/// The bit of a frame's descriptor that says so.
const CONTENT_CHECKSUM: u8 = 4;
/// Mail gets a thirtieth smaller with 3, and takes half as long again.
const LEVEL: i32 = 1;
/// Fewer bytes are not worth compressing.
const WORTH_TRYING: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_an_index_or_refused() {
        postroad_fuzz::check!(2000).with_type::<Vec<u8>>().for_each(|bytes| {
            let mut framed = vec![VERSION];
            framed.extend_from_slice(bytes);
            for bytes in [bytes, &framed] {
                if let Ok(index) = Index::decode(bytes) {
                    assert_eq!(&index.encode(), bytes);
                    let size = index.chunks.len() as u64 * u64::from(index.chunk_size);
                    if let Ok((span, touched)) = index.span(&(size / 3..size), size) {
                        assert!(span.start <= span.end && touched.end == index.chunks.len());
                    }
                }
            }
        });
    }

    #[test]
    fn what_is_packed_checks_itself() {
        let plain: Vec<u8> = (0..5_000u32).flat_map(|number| (number % 97).to_string().into_bytes()).collect();
        let packed = compress(&plain).expect("it can be packed");
        assert!(checks_itself(&packed, Encoding::Zstd) && !checks_itself(&packed, Encoding::Raw));
        assert_eq!(decode(&packed, Encoding::Zstd, plain.len()).as_ref(), Ok(&plain));
        let older = zstd::bulk::compress(&plain, LEVEL).expect("it can be packed");
        assert!(!checks_itself(&older, Encoding::Zstd));
        assert!(!checks_itself(&plain, Encoding::Zstd) && !checks_itself(&packed[..4], Encoding::Zstd));
        // Whatever bit is wrong: it is found, or what comes out is to be compared with its hash and found there.
        for bit in 0..packed.len() * 8 {
            let mut wrong = packed.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            match decode(&wrong, Encoding::Zstd, plain.len()) {
                Ok(found) => assert!(found == plain || !checks_itself(&wrong, Encoding::Zstd), "bit {bit}"),
                Err(error) => assert!(matches!(error, Error::Corrupt(_)), "{error}"),
            }
        }
    }

    #[test]
    fn text_and_back() {
        let mut index = Index::new();
        index.set_head(b"head");
        index.push(b"one", 3);
        index.push(b"two", 7);
        assert_eq!(Index::decode(&index.encode()).as_ref(), Ok(&index));
        assert!(index.verify_head(b"head").is_ok() && index.verify_head(b"hand").is_err());
        let size = CHUNK as u64 + 3;
        assert_eq!(index.span(&(CHUNK as u64..size), size), Ok((3..10, 1..2)));
        assert!(index.span(&(0..1), CHUNK as u64).is_err(), "one chunk would do for that size");
    }
}
