//! Strings: quoted where possible, literal where needed (RFC 9051 §4.3).

use std::borrow::Cow;

use crate::cursor::is_astring_char;
use crate::encode::Writer;
use crate::mailbox::MailboxName;
use crate::utf7::to_utf7;

impl Writer<'_> {
    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// `string`: quoted when it is short and has no CR, LF nor, unless enabled, 8-bit; else a literal.
    /// NUL, which neither can have, becomes a space.
    pub fn string(&mut self, bytes: &[u8]) {
        // Most are plain words: one look at all octets, without a branch for each.
        if bytes.len() <= LONGEST_QUOTED && bytes.iter().fold(true, |plain, &byte| plain & is_plain(byte)) {
            self.out.reserve(bytes.len() + 2);
            self.out.push(b'"');
            self.out.extend_from_slice(bytes);
            return self.out.push(b'"');
        }
        let bytes = without_nul(bytes);
        if !self.can_be_quoted(&bytes) {
            self.literal_head(bytes.len() as u64);
            return self.raw(&bytes);
        }
        self.raw(b"\"");
        let mut rest = &*bytes;
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            self.raw(&rest[..at]);
            self.out.push(b'\\');
            self.out.push(rest[at]);
            rest = &rest[at + 1..];
        }
        self.raw(rest);
        self.raw(b"\"");
    }

    fn can_be_quoted(&self, bytes: &[u8]) -> bool {
        if bytes.len() > LONGEST_QUOTED || bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
            return false;
        }
        // RFC 3501 §9 TEXT-CHAR is 7-bit; RFC 9051 §9 QUOTED-CHAR has UTF-8 besides.
        bytes.is_ascii() || (self.utf8 && std::str::from_utf8(bytes).is_ok())
    }

    /// `nstring`.
    pub fn nstring(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.string(bytes),
            None => self.raw(b"NIL"),
        }
    }

    /// `astring`: an atom when it can be one.
    pub fn astring(&mut self, bytes: &[u8]) {
        let atom = !bytes.is_empty() && bytes.iter().all(|&byte| is_astring_char(byte));
        // An atom NIL is misread by those who do not know where an astring stands.
        if atom && !bytes.eq_ignore_ascii_case(b"NIL") {
            self.raw(bytes);
        } else {
            self.string(bytes);
        }
    }

    /// A mailbox name, encoded in modified UTF-7 unless UTF-8 is enabled.
    pub fn mailbox(&mut self, name: &MailboxName) {
        if self.utf8 {
            self.astring(name.as_str().as_bytes());
        } else {
            self.astring(to_utf7(name.as_str()).as_bytes());
        }
    }

    /// The head of a literal, `{n}\r\n`; its octets follow by [`Writer::raw`], maybe much later.
    pub fn literal_head(&mut self, size: u64) {
        self.put(format_args!("{{{size}}}\r\n"));
    }

    /// The head of a `literal8`, `~{n}\r\n` (RFC 3516).
    pub fn literal8_head(&mut self, size: u64) {
        self.put(format_args!("~{{{size}}}\r\n"));
    }
}

/// What stands in a quoted string as it is, whatever is enabled.
fn is_plain(byte: u8) -> bool {
    (b' '..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\')
}

fn without_nul(bytes: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(0, bytes).is_none() {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned(bytes.iter().map(|&byte| if byte == 0 { b' ' } else { byte }).collect())
}

/// Longer strings are literals: RFC 2683 §3.2.1.5 warns of clients with short line buffers.
const LONGEST_QUOTED: usize = 1024;
