//! Header lines put in front of a message after it was parsed.

use crate::Summary;

impl Summary {
    /// Accounts for `head`, whole header lines (each ended by CRLF) put before the message: Return-Path, Received,
    /// Authentication-Results and the like. Shifts every offset, adds size and lines, keeps [`Summary::fields`] right.
    /// The envelope and the structure are not read from `head`.
    pub fn prepend(&mut self, head: &[u8]) {
        let _ = head;
        unimplemented!()
    }
}
