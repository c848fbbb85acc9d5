//! Opening what reports come in: gzip, zip, or nothing. Every size is bounded before it is believed.
//!
//! The zip reader knows what report writers make: a central directory, stored or deflated files. It does not know ZIP64,
//! encryption or archives in several parts, and it opens no archive inside an archive.
//!
//! Standards: RFC 1951, RFC 1952, the ZIP application note (APPNOTE 6.3, sections 4.3.7, 4.3.12, 4.3.16).

use std::io::{Read, Write};

use flate2::Compression;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder};
use flate2::write::GzEncoder;

use super::{Error, FREE_OF_RATIO, Limits, Result, malformed};

/// What stands in these bytes, each file of an archive by itself. What is no archive is one file.
pub fn unpack(bytes: &[u8], limits: &Limits) -> Result<Vec<Vec<u8>>> {
    if bytes.len() > limits.packed {
        return Err(Error::TooLarge("the archive"));
    }
    match bytes {
        [0x1f, 0x8b, ..] => {
            let mut budget = Budget::of(bytes.len(), limits);
            Ok(vec![budget.inflate(MultiGzDecoder::new(bytes))?])
        }
        [b'P', b'K', 3 | 5, 4 | 6, ..] => unzip(bytes, limits),
        _ if bytes.len() > limits.inflated => Err(Error::TooLarge("the report")),
        _ => Ok(vec![bytes.to_vec()]),
    }
}

/// Packed as reports are sent.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    // Writing into memory cannot fail.
    let _ = packer.write_all(bytes);
    packer.finish().unwrap_or_default()
}

/// What may still come out of an archive.
struct Budget {
    left: usize,
    /// The ratio, not the size, sets the bound.
    is_ratio: bool,
}

impl Budget {
    fn of(packed: usize, limits: &Limits) -> Budget {
        let by_ratio = FREE_OF_RATIO.max(packed.saturating_mul(limits.ratio));
        Budget { left: by_ratio.min(limits.inflated), is_ratio: by_ratio < limits.inflated }
    }

    fn take(&mut self, octets: usize) -> Result<()> {
        match self.left.checked_sub(octets) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None if self.is_ratio => Err(Error::Hostile("the archive becomes many times larger than any report would")),
            None => Err(Error::TooLarge("what is in the archive")),
        }
    }

    fn inflate(&mut self, packed: impl Read) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let most = u64::try_from(self.left).unwrap_or(u64::MAX).saturating_add(1);
        packed.take(most).read_to_end(&mut out).map_err(|error| malformed(format_args!("the archive: {error}")))?;
        self.take(out.len())?;
        Ok(out)
    }
}

/// A file of a zip archive, as the directory has it.
struct Entry {
    flags: u16,
    method: u16,
    packed: usize,
    header: usize,
    is_folder: bool,
}

fn unzip(bytes: &[u8], limits: &Limits) -> Result<Vec<Vec<u8>>> {
    let mut budget = Budget::of(bytes.len(), limits);
    let mut files = Vec::new();
    let mut used: Vec<(usize, usize)> = Vec::new();
    for entry in directory(bytes, limits)?.into_iter().filter(|entry| !entry.is_folder) {
        if entry.flags & ENCRYPTED != 0 {
            return Err(malformed("the archive wants a password"));
        }
        let header = at(bytes, entry.header, LOCAL_LEN)?;
        if header.get(..4) != Some(LOCAL) {
            return Err(malformed("the archive names a file that is not there"));
        }
        let begin = entry.header + LOCAL_LEN + usize::from(u16_at(header, 26)?) + usize::from(u16_at(header, 28)?);
        let packed = at(bytes, begin, entry.packed)?;
        // Files that share their bytes are how a small archive gets to an endless size.
        let end = begin + entry.packed;
        if used.iter().any(|(from, to)| entry.header < *to && *from < end) {
            return Err(Error::Hostile("files of the archive overlap"));
        }
        used.push((entry.header, end));
        files.push(match entry.method {
            STORED => {
                budget.take(packed.len())?;
                packed.to_vec()
            }
            DEFLATED => budget.inflate(DeflateDecoder::new(packed))?,
            other => return Err(malformed(format_args!("the archive is packed by method {other}"))),
        });
    }
    match files.is_empty() {
        true => Err(malformed("the archive is empty")),
        false => Ok(files),
    }
}

fn directory(bytes: &[u8], limits: &Limits) -> Result<Vec<Entry>> {
    let from = bytes.len().saturating_sub(END_LEN + COMMENT_MAX);
    let end = memchr::memmem::rfind(bytes.get(from..).unwrap_or_default(), END)
        .map(|end| from + end)
        .ok_or_else(|| malformed("the archive has no directory"))?;
    let end = at(bytes, end, END_LEN)?;
    let count = usize::from(u16_at(end, 10)?);
    if count > limits.files {
        return Err(Error::TooLarge("files in the archive"));
    }
    let mut place = usize_at(end, 16)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let head = at(bytes, place, CENTRAL_LEN)?;
        if head.get(..4) != Some(CENTRAL) {
            return Err(malformed("the archive's directory is damaged"));
        }
        let (name, extra, comment) = (u16_at(head, 28)?, u16_at(head, 30)?, u16_at(head, 32)?);
        let name_bytes = at(bytes, place + CENTRAL_LEN, usize::from(name))?;
        entries.push(Entry {
            flags: u16_at(head, 8)?,
            method: u16_at(head, 10)?,
            packed: usize_at(head, 20)?,
            header: usize_at(head, 42)?,
            is_folder: name_bytes.ends_with(b"/"),
        });
        place += CENTRAL_LEN + usize::from(name) + usize::from(extra) + usize::from(comment);
    }
    Ok(entries)
}

fn at(bytes: &[u8], from: usize, length: usize) -> Result<&[u8]> {
    from.checked_add(length)
        .and_then(|end| bytes.get(from..end))
        .ok_or_else(|| malformed("the archive ends in the middle"))
}

fn u16_at(bytes: &[u8], from: usize) -> Result<u16> {
    at(bytes, from, 2).map(|two| u16::from_le_bytes([two[0], two[1]]))
}

fn usize_at(bytes: &[u8], from: usize) -> Result<usize> {
    let four = at(bytes, from, 4)?;
    let number = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    usize::try_from(number).map_err(|_| Error::TooLarge("the archive"))
}

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const LOCAL_LEN: usize = 30;
const CENTRAL_LEN: usize = 46;
const END_LEN: usize = 22;
/// The longest comment behind the directory.
const COMMENT_MAX: usize = 65_535;
const ENCRYPTED: u16 = 1;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::DeflateEncoder;

    /// An archive of these files; the number is the method.
    fn zip(files: &[(&str, u16, &[u8])]) -> Vec<u8> {
        let (mut out, mut central) = (Vec::new(), Vec::new());
        for (name, method, content) in files {
            let packed = match *method {
                DEFLATED => {
                    let mut packer = DeflateEncoder::new(Vec::new(), Compression::default());
                    packer.write_all(content).expect("memory");
                    packer.finish().expect("memory")
                }
                _ => content.to_vec(),
            };
            let number = |value: usize| u32::try_from(value).expect("small").to_le_bytes();
            let short = |value: usize| u16::try_from(value).expect("small").to_le_bytes();
            let place = number(out.len());
            let common = [
                &[20, 0, 0, 0][..],
                &method.to_le_bytes(),
                &[0; 8],
                &number(packed.len()),
                &number(content.len()),
                &short(name.len()),
                &[0, 0],
            ]
            .concat();
            out.extend([LOCAL, &common, name.as_bytes(), &packed].concat());
            central.extend([CENTRAL, &[20, 0], &common, &[0; 10], &place, name.as_bytes()].concat());
        }
        let count = u16::try_from(files.len()).expect("few").to_le_bytes();
        let number = |value: usize| u32::try_from(value).expect("small").to_le_bytes();
        let end = [END, &[0; 4], &count, &count, &number(central.len()), &number(out.len()), &[0, 0]].concat();
        [out, central, end].concat()
    }

    #[test]
    fn archives_are_opened() {
        let limits = Limits::default();
        let text = b"<feedback/>".repeat(100);
        assert_eq!(unpack(&text, &limits), Ok(vec![text.clone()]));
        assert_eq!(unpack(&gzip(&text), &limits), Ok(vec![text.clone()]));
        let two = zip(&[("a.xml", DEFLATED, &text), ("folder/", STORED, b""), ("b.xml", STORED, b"<b/>")]);
        assert_eq!(unpack(&two, &limits), Ok(vec![text, b"<b/>".to_vec()]));
    }

    #[test]
    fn bombs_stay_small() {
        let limits = Limits { inflated: 4 << 20, ..Limits::default() };
        let zeros = vec![0u8; 3 << 20];
        let many = [("a", STORED, &b"x"[..]); 9];
        let mut overlap = zip(&[("a", STORED, b"xxxx"), ("b", STORED, b"yyyy")]);
        let second = memchr::memmem::rfind(&overlap, CENTRAL).expect("a directory");
        overlap[second + 42..second + 46].copy_from_slice(&[0; 4]);
        let cases: [(Vec<u8>, Error); 6] = [
            (gzip(&zeros), Error::Hostile("the archive becomes many times larger than any report would")),
            (
                zip(&[("a", DEFLATED, &zeros)]),
                Error::Hostile("the archive becomes many times larger than any report would"),
            ),
            (vec![b' '; 5 << 20], Error::TooLarge("the report")),
            (vec![b' '; 11 << 20], Error::TooLarge("the archive")),
            (zip(&many), Error::TooLarge("files in the archive")),
            (overlap, Error::Hostile("files of the archive overlap")),
        ];
        for (bytes, expected) in cases {
            assert_eq!(unpack(&bytes, &limits), Err(expected));
        }
        assert!(unpack(&zip(&[("a", 12, b"x")]), &limits).is_err(), "a method that nobody uses");
        let whole = zip(&[("a", DEFLATED, b"hello")]);
        for length in 4..whole.len() {
            assert!(unpack(&whole[..length], &limits).is_err(), "cut after {length}");
        }
    }
}
