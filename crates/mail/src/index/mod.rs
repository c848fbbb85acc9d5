//! The full-text index: which messages could have a text in them.
//!
//! A message's signature (`postroad_search::Signature`: the letter groups of its text, at most 2 KB) is made after it was
//! stored, within a second as a rule, by `serve/index.rs` of the server. It belongs to the content, so copies and moves
//! cost nothing. A signature first lies alone in `search_recent`; a thousand of them become a segment, turned on its
//! side (`postroad_search::slices`), of which a search reads only the slices of its letter groups. Both databases have the
//! same tables and need no extension.
//!
//! Invariants:
//! 1. The index proposes, the text decides: [`may_have`] leaves out a message only when its signature says that the
//!    text is not in it. A message that has no signature yet (or whose signature is of another version, damaged, or being
//!    moved) is proposed. So SEARCH is exact at every moment, also while the index is built, and a crash between any two
//!    transactions costs time, not results.
//! 2. `search_state.upto` is where the builder goes on. That it is right is a matter of speed alone: a message behind it is
//!    found missing by [`build::gather`] only after [`rewind`].
//! 3. A segment's pages are written with it and never changed. All its pages exist, also empty ones.
//!
//! The tables are derived: backups leave them out, and whoever restores has them built anew.

pub mod build;
mod propose;
mod status;

use postroad_search::slices;
use postroad_store::{AccountId, WriteTx, params};

use crate::Result;

pub use propose::may_have;
pub use status::{Status, rebuild, status};

/// The lock of whoever writes the index: one node at a time.
pub const LOCK: &str = "search index";

pub(crate) const TABLES: &str = "
CREATE TABLE search_state (
    account BIGINT NOT NULL,
    version BIGINT NOT NULL,
    upto BIGINT NOT NULL,
    modseq BIGINT NOT NULL,
    PRIMARY KEY (account)
);
CREATE TABLE search_recent (
    account BIGINT NOT NULL,
    message BIGINT NOT NULL,
    version BIGINT NOT NULL,
    signature {bytes} NOT NULL,
    PRIMARY KEY (account, message)
);
CREATE TABLE search_segment (
    account BIGINT NOT NULL,
    segment BIGINT NOT NULL,
    version BIGINT NOT NULL,
    last BIGINT NOT NULL,
    messages {bytes} NOT NULL,
    PRIMARY KEY (account, segment)
);
CREATE TABLE search_page (
    account BIGINT NOT NULL,
    page BIGINT NOT NULL,
    segment BIGINT NOT NULL,
    slices {bytes} NOT NULL,
    PRIMARY KEY (account, page, segment)
) {clustered};
";

/// Messages were given up: those that are in a segment stay in it, and match nothing that exists.
pub(crate) fn forget_messages(tx: &mut WriteTx, account: AccountId, messages: &[i64]) -> Result<()> {
    tx.execute("DELETE FROM search_recent WHERE account = $1 AND message {in:$2}", params![account, messages])?;
    Ok(())
}

/// An account goes for good: takes a part of its index. Whether there is more.
pub(crate) fn forget_account(tx: &mut WriteTx, account: AccountId) -> Result<bool> {
    let segment =
        tx.row("SELECT segment FROM search_segment WHERE account = $1 LIMIT 1", params![account], |row| row.int(0))?;
    if let Some(segment) = segment {
        forget_segment(tx, account, segment)?;
        return Ok(true);
    }
    for table in ["search_state", "search_recent", "search_page"] {
        tx.execute(&format!("DELETE FROM {table} WHERE account = $1"), params![account])?;
    }
    Ok(false)
}

fn forget_segment(tx: &mut WriteTx, account: AccountId, segment: i64) -> Result<()> {
    let pages: Vec<i64> = (0..slices::PAGES as i64).collect();
    tx.execute(
        "DELETE FROM search_page WHERE account = $1 AND page {in:$2} AND segment = $3",
        params![account, &pages, segment],
    )?;
    tx.execute("DELETE FROM search_segment WHERE account = $1 AND segment = $2", params![account, segment])?;
    Ok(())
}

/// Messages came in that are older than others (a restore): the builder looks through the account again, and makes
/// signatures only of those that have none.
pub fn rewind(tx: &mut WriteTx, account: AccountId) -> Result<()> {
    tx.execute("UPDATE search_state SET upto = 0, modseq = -1 WHERE account = $1", params![account])?;
    Ok(())
}

/// The ids of a segment's messages, in the order of its documents.
fn write_ids(ids: &[i64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ids.len() * 5);
    let mut previous = 0i64;
    for id in ids {
        let mut step = id.wrapping_sub(previous).cast_unsigned();
        previous = *id;
        while step >= 0x80 {
            bytes.push(step as u8 | 0x80);
            step >>= 7;
        }
        bytes.push(step as u8);
    }
    bytes
}

/// What [`write_ids`] wrote; of damaged bytes nothing: those messages are unknown then.
fn read_ids(bytes: &[u8]) -> Vec<i64> {
    let mut ids = Vec::new();
    let (mut id, mut step, mut shift) = (0i64, 0u64, 0u32);
    for byte in bytes {
        step |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if byte & 0x80 == 0 {
            id = id.wrapping_add(step.cast_signed());
            ids.push(id);
            (step, shift) = (0, 0);
        }
    }
    if shift == 0 { ids } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back() {
        for ids in [vec![], vec![0], vec![1, 2, 300, i64::MAX], vec![1 << 62, (1 << 62) + 1024]] {
            assert_eq!(read_ids(&write_ids(&ids)), ids);
        }
        assert_eq!(read_ids(&[1, 0x80]), Vec::<i64>::new(), "damaged");
    }
}
