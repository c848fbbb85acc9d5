//! FETCH responses, item by item.

use crate::command::{FetchItem, Section};
use crate::date::DateTime;
use crate::encode::Writer;
use crate::flags::Flag;

impl Writer<'_> {
    /// `* n FETCH (`. Items follow; each writes its own separating space.
    pub fn fetch_begin(&mut self, _sequence: u32) {
        unimplemented!()
    }
    /// `)` and the line's end.
    pub fn fetch_end(&mut self) {
        unimplemented!()
    }
    /// `UID n`.
    pub fn fetch_uid(&mut self, _uid: u32) {
        unimplemented!()
    }
    /// `FLAGS (..)`; `recent` adds `\Recent`.
    pub fn fetch_flags(&mut self, _flags: &[Flag], _recent: bool) {
        unimplemented!()
    }
    /// `MODSEQ (n)`.
    pub fn fetch_mod_seq(&mut self, _mod_seq: u64) {
        unimplemented!()
    }
    /// `RFC822.SIZE n`.
    pub fn fetch_size(&mut self, _size: u64) {
        unimplemented!()
    }
    /// `INTERNALDATE ".."`.
    pub fn fetch_internal_date(&mut self, _date: DateTime) {
        unimplemented!()
    }
    /// `EMAILID (id)`.
    pub fn fetch_email_id(&mut self, _id: &str) {
        unimplemented!()
    }
    /// `THREADID (id)`, or `THREADID NIL`.
    pub fn fetch_thread_id(&mut self, _id: Option<&str>) {
        unimplemented!()
    }
    /// The name of an item as the answer repeats it, `BODY[1.MIME]<0>`, with the space before it; the value follows.
    pub fn fetch_name(&mut self, _item: &FetchItem) {
        unimplemented!()
    }
    /// `1.2.HEADER.FIELDS (..)`, the section without its brackets.
    pub fn section(&mut self, _section: &Section) {
        unimplemented!()
    }
}
