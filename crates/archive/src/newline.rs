//! How lines end: in files mostly with LF, in the store with CRLF as IMAP wants it.
//!
//! A message whose lines all end with LF is stored with CRLF; all others are stored byte for byte. Both ways can be
//! gone back exactly: bytes that end lines with a bare LF somewhere were never converted ([`to_lf`] refuses them),
//! and a message that had CRLF in its file is remembered as such by the import.

/// How the lines of a message end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newlines {
    /// There is no line end at all.
    None,
    /// All with LF; a CR anywhere else is content.
    Lf,
    /// All with CRLF.
    Crlf,
    /// Some so, some so: nothing is converted.
    Mixed,
}

/// Looks at bytes as they flow.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scan {
    after_cr: bool,
    lf: bool,
    crlf: bool,
}

impl Scan {
    /// More bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut start = 0;
        while let Some(at) = memchr::memchr(b'\n', &bytes[start..]) {
            let before = if start + at == 0 { self.after_cr } else { bytes[start + at - 1] == b'\r' };
            if before {
                self.crlf = true;
            } else {
                self.lf = true;
            }
            start += at + 1;
            if self.lf && self.crlf {
                return;
            }
        }
        if let Some(last) = bytes.last() {
            self.after_cr = *last == b'\r';
        }
    }

    /// What was seen.
    pub fn newlines(&self) -> Newlines {
        match (self.lf, self.crlf) {
            (false, false) => Newlines::None,
            (true, false) => Newlines::Lf,
            (false, true) => Newlines::Crlf,
            (true, true) => Newlines::Mixed,
        }
    }
}

/// How the lines of `bytes` end.
pub fn of(bytes: &[u8]) -> Newlines {
    let mut scan = Scan::default();
    scan.feed(bytes);
    scan.newlines()
}

/// Each LF becomes CRLF. For bytes without CRLF, in pieces of any size.
pub fn to_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 32 + 8);
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'\n', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(b"\r\n");
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out
}

/// Each CRLF becomes LF; in pieces of any size. For bytes without a bare LF.
#[derive(Debug, Default)]
pub struct ToLf {
    after_cr: bool,
}

impl ToLf {
    /// More bytes; a CR at their end waits for the next.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Some((last, before)) = bytes.split_last() else { return };
        if self.after_cr && bytes[0] != b'\n' {
            out.push(b'\r');
        }
        let held = *last == b'\r';
        let mut rest = if held { before } else { bytes };
        while let Some(at) = memchr::memmem::find(rest, b"\r\n") {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
        self.after_cr = held;
    }

    /// The end.
    pub fn finish(self, out: &mut Vec<u8>) {
        if self.after_cr {
            out.push(b'\r');
        }
    }
}

/// All at once; `None` when a bare LF is in it, because then the way back would not lead here.
pub fn to_lf(bytes: &[u8]) -> Option<Vec<u8>> {
    match of(bytes) {
        Newlines::Lf | Newlines::Mixed => None,
        Newlines::None => Some(bytes.to_vec()),
        Newlines::Crlf => {
            let mut out = Vec::with_capacity(bytes.len());
            let mut convert = ToLf::default();
            convert.feed(bytes, &mut out);
            convert.finish(&mut out);
            Some(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        let table: [(&[u8], Newlines); 9] = [
            (b"", Newlines::None),
            (b"a\rb", Newlines::None),
            (b"a\nb", Newlines::Lf),
            (b"a\n\rb\n", Newlines::Lf),
            (b"\n", Newlines::Lf),
            (b"a\r\nb\r\n", Newlines::Crlf),
            (b"a\r\r\n\r", Newlines::Crlf),
            (b"a\r\nb\n", Newlines::Mixed),
            (b"\n\r\n", Newlines::Mixed),
        ];
        for (bytes, expected) in table {
            assert_eq!(of(bytes), expected, "{bytes:?}");
            let mut slow = Scan::default();
            bytes.chunks(1).for_each(|piece| slow.feed(piece));
            assert_eq!(slow.newlines(), expected, "{bytes:?} in pieces");
        }
    }

    #[test]
    fn the_way_to_crlf_leads_back() {
        for bytes in [&b"a\nb\n"[..], b"\n\n\n", b"a\rb\n\r", b"x\n\rz\n\0\xff\n", b"\r"] {
            assert_eq!(to_lf(&to_crlf(bytes)).as_deref(), Some(bytes));
            for size in 1..4 {
                let (mut convert, mut out) = (ToLf::default(), Vec::new());
                to_crlf(bytes).chunks(size).for_each(|piece| convert.feed(piece, &mut out));
                convert.finish(&mut out);
                assert_eq!(out, bytes, "in pieces of {size}");
            }
        }
        assert_eq!(to_lf(b"a\r\nb\n"), None);
    }
}
