//! Responses into bytes.

mod code;
mod data;
mod fetch;
mod strings;

pub use code::{ResponseCode, Status};
pub use data::{ListExtra, ListResponse, MailboxAttribute, Namespaces, QuotaResource, SearchAnswer, StatusValue};

/// Writes responses into a buffer, in the dialect the client enabled.
#[derive(Debug)]
pub struct Writer<'a> {
    /// What is written.
    pub out: &'a mut Vec<u8>,
    /// The client enabled UTF8=ACCEPT or IMAP4rev2: 8-bit in quoted strings, mailbox names in UTF-8.
    pub utf8: bool,
}

impl<'a> Writer<'a> {
    /// A writer at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>, utf8: bool) -> Writer<'a> {
        Writer { out, utf8 }
    }
}
