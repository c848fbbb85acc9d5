//! A pack: the stored bytes of many blobs in one file, found by hash.
//!
//! ```text
//! PRPACK01
//! object  = PROBJ_01 place:8 encoding:8 size:64 stored:64 hash:32 head:32 chunks:32 body:64 check:16
//!           head, list of chunks, body
//! footer  = count:64 (hash:32 place:8 offset:64 length:64)*
//! trailer = footer's offset:64 BLAKE3(all before the footer):32 BLAKE3(footer):32 PRPEND01
//! ```
//! `place` is 1 for a blob whose bytes are in its row, 2 for one in chunks; `check` is the start of the BLAKE3 of the
//! object's head. When the footer is damaged the objects are found by their heads.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use postroad_store::BlobId;
use postroad_store::dump::{BlobRow, Pieces, check_row};

use super::hashing::HashingFile;
use super::{Error, Result, folder};

/// What a blob's bytes are found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub(super) hash: [u8; 32],
    pub(super) in_row: bool,
}

impl Key {
    /// Of a row's bytes.
    pub fn of(row: &BlobRow) -> Key {
        Key { hash: row.hash, in_row: row.in_row }
    }
}

/// An object's place in its pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: Key,
    offset: u64,
    length: u64,
}

/// Writes a pack.
pub struct PackWriter {
    file: HashingFile,
    name: PathBuf,
    entries: Vec<Entry>,
    open: Option<(Key, u64)>,
}

impl PackWriter {
    /// A new pack, written at `temporary`, that will have `name`.
    pub fn create(temporary: &Path, name: &Path) -> Result<PackWriter> {
        let mut file = HashingFile::create(temporary)?;
        file.write(MAGIC)?;
        Ok(PackWriter { file, name: name.to_owned(), entries: Vec::new(), open: None })
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.file.size()
    }

    /// Adds a blob whose bytes are in its row.
    pub fn add(&mut self, row: &BlobRow, data: &[u8]) -> Result<()> {
        self.begin(row, &[], &[], data.len() as u64)?;
        self.file.write(data)?;
        self.end();
        Ok(())
    }

    /// Begins a large blob; its body follows by [`PackWriter::write`], then [`PackWriter::end`]. Without an end it does
    /// not count.
    pub fn begin(&mut self, row: &BlobRow, head: &[u8], chunks: &[u8], body: u64) -> Result<()> {
        self.open = Some((Key::of(row), self.file.size()));
        let mut bytes = OBJECT.to_vec();
        bytes.push(if row.in_row { 1 } else { 2 });
        bytes.push(row.encoding as u8);
        bytes.extend_from_slice(&row.size.to_le_bytes());
        bytes.extend_from_slice(&row.stored_size.to_le_bytes());
        bytes.extend_from_slice(&row.hash);
        bytes.extend_from_slice(&(head.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(chunks.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&body.to_le_bytes());
        let check = blake3::hash(&bytes);
        bytes.extend_from_slice(&check.as_bytes()[..CHECK]);
        self.file.write(&bytes)?;
        self.file.write(head)?;
        self.file.write(chunks)
    }

    /// Bytes of a large blob's body.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write(bytes)
    }

    /// The blob is whole.
    pub fn end(&mut self) {
        if let Some((key, offset)) = self.open.take() {
            self.entries.push(Entry { key, offset, length: self.file.size() - offset });
        }
    }

    /// On the disk, under its name.
    pub fn finish(mut self) -> Result<()> {
        let (before, offset) = (self.file.hash(), self.file.size());
        let mut footer = (self.entries.len() as u64).to_le_bytes().to_vec();
        for entry in &self.entries {
            footer.extend_from_slice(&entry.key.hash);
            footer.push(if entry.key.in_row { 1 } else { 2 });
            footer.extend_from_slice(&entry.offset.to_le_bytes());
            footer.extend_from_slice(&entry.length.to_le_bytes());
        }
        self.file.write(&footer)?;
        self.file.write(&offset.to_le_bytes())?;
        self.file.write(before.as_bytes())?;
        self.file.write(blake3::hash(&footer).as_bytes())?;
        self.file.write(END)?;
        let temporary = self.file.path().to_owned();
        self.file.finish()?;
        folder::rename(&temporary, &self.name)
    }
}

/// Reads a pack.
pub struct PackReader {
    file: File,
    path: PathBuf,
    size: u64,
    /// Where objects end, and the hash of all before; unknown when the footer is damaged.
    footer: Option<(u64, blake3::Hash)>,
    entries: Vec<Entry>,
}

/// An object, its large body apart.
pub struct Object {
    /// What its row said; the id is 0 and there is no name.
    pub row: BlobRow,
    /// Plain bytes before the body.
    pub head: Vec<u8>,
    /// The list of chunks.
    pub chunks: Vec<u8>,
    at: u64,
    length: u64,
}

impl PackReader {
    /// By its footer. Errors: `Damaged`.
    pub fn open(path: &Path) -> Result<PackReader> {
        let mut pack = PackReader::bare(path)?;
        let damaged = |what: &str| Error::damaged(path, what);
        let tail = pack.size.checked_sub(TRAILER).filter(|tail| *tail >= MAGIC.len() as u64);
        let tail = tail.ok_or_else(|| damaged("it is cut short"))?;
        let mut trailer = [0; TRAILER as usize];
        pack.read_at(&mut trailer, tail)?;
        let mut magic = [0; MAGIC.len()];
        pack.read_at(&mut magic, 0)?;
        if trailer[72..] != *END || magic != *MAGIC {
            return Err(damaged("it does not begin or end as a pack does"));
        }
        let offset = word(&trailer, 0);
        let length = tail.checked_sub(offset).filter(|length| (8..=FOOTER_MAX).contains(length));
        let length = length.ok_or_else(|| damaged("its footer is not where it should be"))?;
        let mut footer = vec![0; length as usize];
        pack.read_at(&mut footer, offset)?;
        if blake3::hash(&footer).as_bytes()[..] != trailer[40..72] {
            return Err(damaged("its footer does not match its checksum"));
        }
        let (entries, rest) = footer[8..].as_chunks::<ENTRY>();
        if !rest.is_empty() || word(&footer, 0) != entries.len() as u64 {
            return Err(damaged("its footer cannot be read"));
        }
        for entry in entries {
            let mut hash = [0; 32];
            hash.copy_from_slice(&entry[..32]);
            let entry =
                Entry { key: Key { hash, in_row: entry[32] == 1 }, offset: word(entry, 33), length: word(entry, 41) };
            if entry.offset.checked_add(entry.length).is_none_or(|end| end > offset) {
                return Err(damaged("its footer leads out of it"));
            }
            pack.entries.push(entry);
        }
        let mut before = [0; 32];
        before.copy_from_slice(&trailer[8..40]);
        pack.footer = Some((offset, before.into()));
        Ok(pack)
    }

    /// By the heads of its objects: what can be found when the footer is damaged.
    pub fn recover(path: &Path) -> Result<PackReader> {
        let mut pack = PackReader::bare(path)?;
        let (mut at, mut window) = (0u64, vec![0; WINDOW]);
        while at < pack.size {
            let length = window.len().min((pack.size - at) as usize);
            pack.read_at(&mut window[..length], at)?;
            let found = window[..length].windows(OBJECT.len()).position(|bytes| bytes == OBJECT);
            let Some(place) = found else {
                // The start of a head may lie at the end of the window.
                at += (length.saturating_sub(OBJECT.len() - 1)).max(1) as u64;
                continue;
            };
            at += place as u64;
            match pack.head_at(at) {
                Ok((object, length)) => {
                    pack.entries.push(Entry { key: Key::of(&object.row), offset: at, length });
                    at += length;
                }
                Err(_) => at += 1,
            }
        }
        Ok(pack)
    }

    fn bare(path: &Path) -> Result<PackReader> {
        let file = folder::open_file(path)?;
        let size = file.metadata().map_err(|error| Error::file(path, &error))?.len();
        Ok(PackReader { file, path: path.to_owned(), size, footer: None, entries: Vec::new() })
    }

    /// What is in it, in the order in which it lies there.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of an object in it.
    pub fn length(entry: &Entry) -> u64 {
        entry.length
    }

    /// Whether every byte is as it was written.
    pub fn is_sound(&self) -> Result<bool> {
        let Some((end, expected)) = self.footer else { return Ok(false) };
        let (mut hasher, mut at, mut window) = (blake3::Hasher::new(), 0u64, vec![0; WINDOW]);
        while at < end {
            let length = window.len().min((end - at) as usize);
            self.read_at(&mut window[..length], at)?;
            hasher.update(&window[..length]);
            at += length as u64;
        }
        Ok(hasher.finalize() == expected)
    }

    /// An object. Errors: `Damaged`.
    pub fn object(&self, entry: &Entry) -> Result<Object> {
        let (mut object, length) = self.head_at(entry.offset)?;
        if Key::of(&object.row) != entry.key || length != entry.length {
            return Err(self.damaged("an object is not the one that its footer says"));
        }
        let start = entry.offset + HEAD as u64;
        self.read_at(&mut object.head, start)?;
        self.read_at(&mut object.chunks, start + object.head.len() as u64)?;
        Ok(object)
    }

    /// Stored bytes of an object's body.
    pub fn body(&self, object: &Object, range: std::ops::Range<u64>) -> Result<Vec<u8>> {
        if range.end > object.length || range.start > range.end {
            return Err(self.damaged("an object is shorter than its chunks"));
        }
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.read_at(&mut bytes, object.at + range.start)?;
        Ok(bytes)
    }

    /// All stored bytes of an object whose bytes are in its row, verified, and the plain ones.
    pub fn row_bytes(&self, object: &Object) -> Result<(Vec<u8>, Vec<u8>)> {
        let data = self.body(object, 0..object.length)?;
        let plain = check_row(&object.row, &data).map_err(|error| self.damaged(error))?;
        Ok((data, plain))
    }

    /// Shows the stored and the plain bytes of a large object's body, chunk by chunk, verified.
    pub fn chunks(&self, object: &Object, mut each: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        let pieces = Pieces::new(&object.row, &object.head, &object.chunks);
        let mut pieces = pieces.map_err(|error| self.damaged(error))?;
        while let Some(range) = pieces.next_range() {
            let stored = self.body(object, range)?;
            let plain = pieces.check(&stored).map_err(|error| self.damaged(error))?;
            each(&stored, &plain)?;
        }
        Ok(())
    }

    /// Whether an object is as it was stored. Errors: `Damaged`, `File`.
    pub fn check(&self, entry: &Entry) -> Result<()> {
        let object = self.object(entry)?;
        match object.row.in_row {
            true => self.row_bytes(&object).map(|_| ()),
            false => self.chunks(&object, |_, _| Ok(())),
        }
    }

    /// An object's head, and its length with everything; head and list of chunks have their lengths, not yet their bytes.
    fn head_at(&self, offset: u64) -> Result<(Object, u64)> {
        let mut bytes = [0; HEAD];
        self.read_at(&mut bytes, offset)?;
        let check = blake3::hash(&bytes[..HEAD - CHECK]);
        if bytes[..OBJECT.len()] != *OBJECT || check.as_bytes()[..CHECK] != bytes[HEAD - CHECK..] {
            return Err(self.damaged("the head of an object does not match its checksum"));
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(&bytes[26..58]);
        let length = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (head, chunks, body) = (u64::from(length(58)), u64::from(length(62)), word(&bytes, 66));
        let in_row = bytes[8] == 1;
        // A file can be longer than its disk: what it says of lengths is no reason to set so much memory aside.
        if head > PART_MAX || chunks > PART_MAX || (in_row && body > PART_MAX) {
            return Err(self.damaged("an object says that it is impossibly large"));
        }
        let whole = (HEAD as u64 + head + chunks).checked_add(body);
        let whole = whole.filter(|whole| offset.checked_add(*whole).is_some_and(|end| end <= self.size));
        let whole = whole.ok_or_else(|| self.damaged("an object is cut short"))?;
        let row = BlobRow {
            id: BlobId(0),
            size: word(&bytes, 10),
            stored_size: word(&bytes, 18),
            encoding: i64::from(bytes[9]),
            in_row,
            hash,
            name: None,
        };
        let at = offset + HEAD as u64 + head + chunks;
        let object = Object { row, head: vec![0; head as usize], chunks: vec![0; chunks as usize], at, length: body };
        Ok((object, whole))
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> Result<()> {
        self.file.read_exact_at(bytes, at).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.damaged("it is cut short"),
            // What a failing disk does not give back is damaged as much as what it gives back wrongly.
            _ => self.damaged(error),
        })
    }

    fn damaged(&self, what: impl std::fmt::Display) -> Error {
        Error::damaged(&self.path, what)
    }
}

/// The keys of all packs whose footers are sound: what need not be stored again.
pub(super) fn known(folder: &super::Folder) -> Result<HashSet<Key>> {
    let mut keys = HashSet::new();
    for path in folder.pack_files()? {
        match PackReader::open(&path) {
            Ok(pack) => keys.extend(pack.entries.iter().map(|entry| entry.key)),
            // What is in it is stored again.
            Err(Error::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(keys)
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// A pack is ended when it has this many bytes.
pub(super) const PACK_TARGET: u64 = 256 << 20;
const MAGIC: &[u8; 8] = b"PRPACK01";
const OBJECT: &[u8; 8] = b"PROBJ_01";
const END: &[u8; 8] = b"PRPEND01";
const CHECK: usize = 16;
const HEAD: usize = 8 + 1 + 1 + 8 + 8 + 32 + 4 + 4 + 8 + CHECK;
const ENTRY: usize = 32 + 1 + 8 + 8;
const TRAILER: u64 = 8 + 32 + 32 + 8;
const WINDOW: usize = 1 << 20;
/// A footer has an entry for each object, and these are more than entries.
const FOOTER_MAX: u64 = PACK_TARGET;
/// What is held in memory of an object: its head, its list of chunks (32 bytes and a few for so many kilobytes), or a whole
/// one that has its place in a row.
const PART_MAX: u64 = 256 << 20;
