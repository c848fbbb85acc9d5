//! Strings: quoted where possible, literal where needed (RFC 9051 §4.3).

use crate::encode::Writer;
use crate::mailbox::MailboxName;

impl Writer<'_> {
    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }
    /// `string`: quoted when it is short and has no CR, LF, NUL nor, unless enabled, 8-bit; else a literal.
    pub fn string(&mut self, _bytes: &[u8]) {
        unimplemented!()
    }
    /// `nstring`.
    pub fn nstring(&mut self, _bytes: Option<&[u8]>) {
        unimplemented!()
    }
    /// `astring`.
    pub fn astring(&mut self, _bytes: &[u8]) {
        unimplemented!()
    }
    /// A mailbox name, encoded in modified UTF-7 unless UTF-8 is enabled.
    pub fn mailbox(&mut self, _name: &MailboxName) {
        unimplemented!()
    }
    /// The head of a literal, `{n}\r\n`; its octets follow by [`Writer::raw`], maybe much later.
    pub fn literal_head(&mut self, _size: u64) {
        unimplemented!()
    }
    /// The head of a `literal8`, `~{n}\r\n` (RFC 3516).
    pub fn literal8_head(&mut self, _size: u64) {
        unimplemented!()
    }
}
