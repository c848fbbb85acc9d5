//! News of what was cut off: credentials, grants and sessions whose open connections have to end, on all nodes.
//!
//! A row says what is gone, and COMMIT wakes whoever listens under [`NEWS`]; who missed the news reads the rows since
//! the last it knows. Numbers of credentials, grants and sessions come from one source and are never given twice, so
//! that a late row can only ever end what it means.

use std::time::Duration;

use postroad_store::{AccountId, ModSeq, ReadTx, Timestamp, WriteTx, new_id, params};

use crate::Result;

/// No account has this number: `store.hub().subscribe(NEWS)`.
pub const NEWS: AccountId = AccountId(-4);
/// How long a row is kept: longer than any node is without its database and lives.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows of one look.
pub const LOOK_MAX: usize = 1_000;

/// In place of a number: all that is open now, but nothing that begins later.
pub const EVERYTHING: i64 = 0;

/// What is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The number of the news, rising with time.
    pub id: i64,
    /// Whose.
    pub account: AccountId,
    /// The credential, grant or session, or [`EVERYTHING`]; below that, an account that the other signed in to ([`Cut::delegation`]).
    pub what: i64,
}

impl Cut {
    /// The account that `account` is a delegate of no more, if that is the news.
    pub fn delegation(&self) -> Option<AccountId> {
        (self.what < EVERYTHING).then(|| AccountId(self.what.saturating_neg()))
    }
}

/// Says that somebody is no delegate of an account any more: in the same transaction. One statement.
pub fn tell_delegation(tx: &mut WriteTx, delegate: AccountId, of: AccountId, now: Timestamp) -> Result<()> {
    tell(tx, delegate, of.0.saturating_neg(), now)
}

/// Says that a credential, grant or session is gone: for whoever removes one, in the same transaction. One statement.
pub fn tell(tx: &mut WriteTx, account: AccountId, what: i64, now: Timestamp) -> Result<()> {
    let id = new_id();
    let sql = "INSERT INTO cut_off (id, account, what, created) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, params![id, account, what, now])?;
    tx.publish(NEWS, ModSeq(id));
    Ok(())
}

/// The same for all that an account has: its passwords, grants, sessions, and what delegates opened. Grants, sessions, passkeys and the second step
/// go with it.
pub fn tell_all(tx: &mut WriteTx, account: AccountId, now: Timestamp) -> Result<()> {
    tell(tx, account, EVERYTHING, now)?;
    for credential in postroad_mail::credentials::list(tx, account)? {
        tell(tx, account, credential.id, now)?;
    }
    crate::grants::remove_all(tx, account, now)?;
    crate::second::forget(tx, account)?;
    crate::passkeys::forget(tx, account)?;
    crate::sessions::remove_all(tx, account, now)
}

/// Ends all connections of an account that is suspended, its delegates' to it with them. Its passwords and grants stay for when that ends, and refuse until
/// then; sessions of the pages go.
pub fn suspend(tx: &mut WriteTx, account: AccountId, now: Timestamp) -> Result<()> {
    tell(tx, account, EVERYTHING, now)?;
    crate::sessions::remove_all(tx, account, now)
}

/// What was cut off since `since`, the oldest first; at most [`LOOK_MAX`]. Numbers of nodes are not in the order of
/// their commits, so who looks goes back [`OVERLAP`] and finds some twice.
pub fn since(tx: &ReadTx, since: Timestamp) -> Result<Vec<Cut>> {
    let from = since.minus(OVERLAP);
    let sql = "SELECT id, account, what FROM cut_off WHERE created >= $1 ORDER BY created DESC, id DESC LIMIT $2";
    let limit = i64::try_from(LOOK_MAX).unwrap_or(i64::MAX);
    let cut = |row: &postroad_store::Row<'_>| Ok(Cut { id: row.int(0)?, account: row.id(1)?, what: row.int(2)? });
    let mut cuts = tx.rows(sql, params![from, limit], cut)?;
    cuts.reverse();
    Ok(cuts)
}

/// Forgets old rows.
pub(crate) fn forget(tx: &mut WriteTx, now: Timestamp) -> Result<u64> {
    Ok(tx.execute("DELETE FROM cut_off WHERE created < $1", params![now.minus(KEPT)])?)
}

/// Clocks of nodes differ, and a transaction may take its time.
pub const OVERLAP: Duration = Duration::from_secs(120);
