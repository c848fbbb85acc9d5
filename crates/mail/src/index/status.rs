//! How far the index is, and beginning it anew.

use postroad_search::VERSION;
use postroad_store::{AccountId, ReadTx, WriteTx, params};

use super::read_ids;
use crate::{Result, sql};

/// How far the index of an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Messages there are, removed ones that can be restored counted.
    pub messages: u64,
    /// Messages whose signature is there.
    pub indexed: u64,
    /// Segments of a thousand.
    pub segments: u64,
    /// Octets that the index takes in the database.
    pub octets: u64,
}

/// How far the index of an account is. Three statements that read the index: for people, not for each search.
pub fn status(tx: &ReadTx, account: AccountId) -> Result<Status> {
    let messages =
        tx.one("SELECT CAST(count(*) AS BIGINT) FROM message WHERE account = $1", params![account], |row| {
            sql::unsigned(row, 0)
        })?;
    let (recent, recent_octets) = tx.one(
        "SELECT CAST(count(*) AS BIGINT), CAST(COALESCE(sum(length(signature)), 0) AS BIGINT)
         FROM search_recent WHERE account = $1 AND version = $2",
        params![account, VERSION],
        |row| Ok((sql::unsigned(row, 0)?, sql::unsigned(row, 1)?)),
    )?;
    let lists = tx.rows(
        "SELECT messages FROM search_segment WHERE account = $1 AND version = $2",
        params![account, VERSION],
        |row| row.bytes(0),
    )?;
    let pages = tx.one(
        "SELECT CAST(COALESCE(sum(length(slices)), 0) AS BIGINT) FROM search_page WHERE account = $1",
        params![account],
        |row| sql::unsigned(row, 0),
    )?;
    let packed: usize = lists.iter().map(|list| read_ids(list).len()).sum();
    Ok(Status {
        messages,
        indexed: (recent + packed as u64).min(messages),
        segments: lists.len() as u64,
        octets: recent_octets + pages + lists.iter().map(|list| list.len() as u64).sum::<u64>(),
    })
}

/// Begins the index of an account anew: from now on its messages are decided by their text until they are indexed again,
/// which whoever builds begins by itself. Locks: [`super::LOCK`].
pub fn rebuild(tx: &mut WriteTx, account: AccountId) -> Result<()> {
    for table in ["search_segment", "search_recent"] {
        tx.execute(&format!("UPDATE {table} SET version = 0 WHERE account = $1"), params![account])?;
    }
    tx.execute(
        "INSERT INTO search_state (account, version, upto, modseq) VALUES ($1, 0, 0, -1)
         ON CONFLICT (account) DO UPDATE SET version = 0, upto = 0, modseq = -1",
        params![account],
    )?;
    Ok(())
}
