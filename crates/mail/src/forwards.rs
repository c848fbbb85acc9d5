//! Forwarding: an account's mail goes on to other addresses, with or without a copy that stays.
//!
//! Invariants: an account with a row in `forward` has at least one in `forward_target`; a forward never leaves the
//! account's own address without a place to go. [`crate::resolve`] follows forwards.

use postroad_store::{AccountId, Param, ReadTx, WriteTx, params};

use crate::journal::{self, Note, Operation};
use crate::resolve::{self, Resolution};
use crate::{Address, Bound, By, Error, Result, accounts};

/// Most targets of one account's forward.
pub const MAX_TARGETS: usize = 20;

/// Where an account's mail goes on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The addresses, here or elsewhere, in order.
    pub targets: Vec<Address>,
    /// A copy stays in the account.
    pub keep: bool,
}

/// The forward of an account. Two statements at most.
pub fn of(tx: &ReadTx, account: AccountId) -> Result<Option<Forward>> {
    let keep = tx.row("SELECT keep FROM forward WHERE account = $1", params![account], |row| row.bool(0))?;
    let Some(keep) = keep else { return Ok(None) };
    let targets = targets(tx, &[account])?.into_iter().map(|(_, target)| target).collect();
    Ok(Some(Forward { targets, keep }))
}

/// The targets of these accounts, by account and target. One statement, none for nothing.
pub(crate) fn targets(tx: &ReadTx, accounts: &[AccountId]) -> Result<Vec<(AccountId, Address)>> {
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = accounts.iter().map(|account| account.0).collect();
    let rows = tx.rows(
        "SELECT account, target FROM forward_target WHERE account {in:$1} ORDER BY account, target",
        params![&ids],
        |row| Ok((row.id(0)?, Address::stored(&row.text(1)?))),
    )?;
    Ok(rows)
}

/// All forwards, by the accounts' ids after `after`, with the accounts' addresses. Two statements.
pub fn list(tx: &ReadTx, after: Option<AccountId>, limit: usize) -> Result<Vec<(AccountId, Address, Forward)>> {
    let mut found = tx.rows(
        "SELECT f.account, x.address, f.keep FROM forward AS f JOIN account AS x ON x.id = f.account
         WHERE f.account > $1 ORDER BY f.account LIMIT $2",
        params![after.unwrap_or_default(), crate::sql::limit(limit)],
        |row| {
            let forward = Forward { targets: Vec::new(), keep: row.bool(2)? };
            Ok((row.id(0)?, Address::stored(&row.text(1)?), forward))
        },
    )?;
    let ids: Vec<AccountId> = found.iter().map(|(account, _, _)| *account).collect();
    for (account, target) in targets(tx, &ids)? {
        if let Ok(at) = found.binary_search_by_key(&account, |(account, _, _)| *account) {
            found[at].2.targets.push(target);
        }
    }
    Ok(found)
}

/// Sets an account's forward in place of what it had. Errors: `Limit(Forwards)`, `Refused` for no target or for one
/// that leads back to the account alone. Locks: the account's and [`accounts::DIRECTORY_LOCK`].
pub fn set(tx: &mut WriteTx, by: &By, account: AccountId, forward: &Forward) -> Result<()> {
    if forward.targets.is_empty() {
        return Err(Error::Refused("a forward leads to at least one address"));
    }
    if forward.targets.len() > MAX_TARGETS {
        return Err(Error::Limit(Bound::Forwards));
    }
    let own = accounts::existing(tx, account)?.address;
    let before = text(of(tx, account)?.as_ref());
    let modseq = journal::begin(tx, account)?;
    clear(tx, account)?;
    tx.execute(
        "INSERT INTO forward (account, keep, since) VALUES ($1, $2, $3)",
        params![account, forward.keep, by.now],
    )?;
    let targets: Vec<String> = forward.targets.iter().map(Address::to_string).collect();
    let rows: Vec<[Param<'_>; 2]> = targets.iter().map(|target| [Param::from(account), Param::from(target)]).collect();
    tx.insert_rows("INSERT INTO forward_target (account, target)", &rows, "ON CONFLICT (account, target) DO NOTHING")?;
    for target in &forward.targets {
        if resolve::directly(tx, target, account)? {
            return Err(Error::Refused("an account cannot forward to itself; --keep leaves a copy in it"));
        }
    }
    match resolve::resolve(tx, &own)? {
        Resolution::Endless | Resolution::Unknown => {
            return Err(Error::Refused("this forward leads nowhere but back to the account"));
        }
        Resolution::Found { .. } | Resolution::Suspended | Resolution::NotOurs => {}
    }
    journal::end(tx, by, account, modseq, &Note { before: before.as_bytes(), ..Note::plain(Operation::Account) })
}

/// Ends an account's forward: its mail stays here again. Answers whether there was one. Locks: as [`set`].
pub fn remove(tx: &mut WriteTx, by: &By, account: AccountId) -> Result<bool> {
    accounts::existing(tx, account)?;
    let Some(forward) = of(tx, account)? else { return Ok(false) };
    let modseq = journal::begin(tx, account)?;
    clear(tx, account)?;
    let before = text(Some(&forward));
    journal::end(tx, by, account, modseq, &Note { before: before.as_bytes(), ..Note::plain(Operation::Account) })?;
    Ok(true)
}

/// What the journal remembers of a forward: enough to set it again.
pub(crate) fn text(forward: Option<&Forward>) -> String {
    match forward {
        None => "forward\t-\n".to_owned(),
        Some(forward) => {
            let targets: Vec<String> = forward.targets.iter().map(Address::to_string).collect();
            let keep = if forward.keep { "keep" } else { "only" };
            format!("forward\t{keep}\t{}\n", targets.join("\t"))
        }
    }
}

/// Takes the rows away, without a word in the journal.
pub(crate) fn clear(tx: &mut WriteTx, account: AccountId) -> Result<()> {
    tx.execute("DELETE FROM forward_target WHERE account = $1", params![account])?;
    tx.execute("DELETE FROM forward WHERE account = $1", params![account])?;
    Ok(())
}
