//! Responses into bytes (RFC 9051 §7). Everything is appended to a buffer; nothing is sent from here.

mod acl;
use std::borrow::Cow;

mod code;
mod data;
mod fetch;
mod metadata;
mod sort;
mod strings;

pub use code::{ResponseCode, Status};
pub use data::{
    ListExtra, ListResponse, MailboxAttribute, Namespaces, QuotaResource, Results, SearchAnswer, StatusValue,
};
pub use sort::{ContextChange, ThreadPiece};

/// What makes of an English sentence one in another language.
pub type Say = fn(&str) -> Cow<'_, str>;

/// Writes responses into a buffer, in the dialect the client enabled.
#[derive(Debug)]
pub struct Writer<'a> {
    /// What is written.
    pub out: &'a mut Vec<u8>,
    /// The client enabled UTF8=ACCEPT or IMAP4rev2: 8-bit in quoted strings, mailbox names in UTF-8.
    pub utf8: bool,
    /// How sentences for people are said in their language (RFC 5255 §3); `None`: as they are, in ASCII.
    say: Option<Say>,
    /// The next FETCH item is the first of its response: no space before it.
    first_item: bool,
}

impl<'a> Writer<'a> {
    /// A writer at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>, utf8: bool) -> Writer<'a> {
        Writer { out, utf8, say: None, first_item: false }
    }

    /// Sentences for people are said this way, and may be in UTF-8.
    pub fn speaking(self, say: Option<Say>) -> Writer<'a> {
        Writer { say, ..self }
    }

    /// Formatted text, which must be clean of anything a client said.
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing into a vector cannot fail.
        let _ = std::io::Write::write_fmt(self.out, text);
    }

    /// Digits, without the machinery of formatting: there are several in each line of a listing.
    pub fn number(&mut self, number: u64) {
        let (mut digits, mut at, mut left) = ([0; 20], 20, number);
        loop {
            at -= 1;
            digits[at] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                return self.raw(&digits[at..]);
            }
        }
    }

    fn end_line(&mut self) {
        self.raw(b"\r\n");
    }

    /// `(a b c)`, each written by `write`.
    fn in_parentheses<T>(&mut self, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.raw(b"(");
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.raw(b" ");
            }
            write(self, item);
        }
        self.raw(b")");
    }
}

#[cfg(test)]
mod tests;
