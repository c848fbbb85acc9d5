//! What others share with somebody, and shared accounts.
//!
//! A shared account is an account that nobody logs in to: its mailboxes belong to a team, whose members reach them by
//! the rights that they are granted. Mail for its address arrives in its INBOX as in any account.

use std::collections::BTreeMap;

use postroad_store::{AccountId, ReadTx, WriteTx, params};

use super::{Tally, Who, bits, identifier, negative};
use crate::journal::{self, Note, Operation};
use crate::mailboxes::{self, Mailbox};
use crate::{Address, By, Error, MailboxId, Result, Rights, accounts, domains, sql};

/// Most mailboxes of others that one account is shown.
pub const MAX_SHARED: usize = 5_000;

/// An account whose mailboxes others may be allowed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its id.
    pub account: AccountId,
    /// Its first address.
    pub address: Address,
    /// Nobody logs in to it.
    pub is_shared: bool,
}

/// A mailbox that somebody else shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Whose it is.
    pub owner: Owner,
    /// Its row.
    pub mailbox: Mailbox,
    /// What one may do with it.
    pub rights: Rights,
}

/// The active account whose first address this is. Two statements.
pub fn owner(tx: &ReadTx, address: &Address) -> Result<Option<Owner>> {
    let Some(domain) = domains::ours(tx, address.domain())? else { return Ok(None) };
    let found = tx.row(
        "SELECT x.id, x.address, s.account FROM address AS a JOIN account AS x ON x.id = a.account
         LEFT JOIN shared_account AS s ON s.account = x.id
         WHERE a.domain = $1 AND a.local = $2 AND a.kind = 'account' AND x.state = 'active'",
        params![domain.as_str(), &address.key()],
        |row| {
            let address = Address::stored(&row.text(1)?);
            Ok(Owner { account: row.id(0)?, address, is_shared: row.int_or_null(2)?.is_some() })
        },
    )?;
    Ok(found.filter(|owner| owner.address.key() == address.key() && owner.address.domain() == address.domain()))
}

/// The rights that somebody has to mailboxes of others, by account and mailbox. One statement.
fn granted(tx: &ReadTx, who: &Who) -> Result<BTreeMap<(AccountId, MailboxId), Rights>> {
    let text = format!(
        "SELECT c.mailbox, c.negative, c.rights, c.account FROM acl AS c WHERE c.grantee IN ({})
         ORDER BY c.account, c.mailbox, c.negative DESC LIMIT $4",
        identifier::NAMES_OF_WHO
    );
    let (own, domain) = who.names();
    // Twice as many rows: some are negative. These come first, so that nobody has what is denied behind the limit.
    let params = params![own, domain, who.account(), sql::limit(MAX_SHARED * 2)];
    let mut tallies: BTreeMap<(AccountId, MailboxId), Tally> = BTreeMap::new();
    for (place, negative, rights) in
        tx.rows(&text, params, |row| Ok(((row.id(3)?, row.id(0)?), negative(row)?, bits(row)?)))?
    {
        let tally = tallies.entry(place).or_default();
        *tally = tally.and(negative, rights);
    }
    let rights = tallies.into_iter().map(|(place, tally)| (place, tally.rights()));
    Ok(rights.filter(|((account, _), rights)| *account != who.account() && !rights.is_empty()).collect())
}

/// The mailboxes of others that somebody may know of (`l`), by owner's address and name, at most [`MAX_SHARED`]. One
/// statement when there are none, two otherwise.
pub fn shared_with(tx: &ReadTx, who: &Who) -> Result<Vec<Shared>> {
    let mut granted = granted(tx, who)?;
    granted.retain(|_, rights| rights.contains(Rights::LOOKUP));
    if granted.is_empty() {
        return Ok(Vec::new());
    }
    let accounts: Vec<i64> = granted.keys().map(|(account, _)| account.0).collect();
    let ids: Vec<i64> = granted.keys().map(|(_, mailbox)| mailbox.0).collect();
    let columns: Vec<String> = mailboxes::COLUMNS
        .split(',')
        .map(|column| format!("m.{}", column.trim()))
        .chain(EXTRA.map(str::to_owned))
        .collect();
    let text = format!(
        "SELECT {} FROM mailbox AS m JOIN account AS x ON x.id = m.account
         LEFT JOIN shared_account AS s ON s.account = m.account
         WHERE m.account {{in:$1}} AND m.id {{in:$2}} AND x.state = 'active' ORDER BY x.address, m.name",
        columns.join(", ")
    );
    let first = columns.len() - EXTRA.len();
    let rows = tx.rows(&text, params![&accounts, &ids], |row| {
        let address = Address::stored(&row.text(first + 1)?);
        let owner = Owner { account: row.id(first)?, address, is_shared: row.int_or_null(first + 2)?.is_some() };
        Ok((owner, mailboxes::mailbox(row)?))
    })?;
    let known = |(owner, mailbox): (Owner, Mailbox)| {
        let rights = granted.get(&(owner.account, mailbox.id)).copied()?;
        Some(Shared { owner, mailbox, rights })
    };
    Ok(rows.into_iter().filter_map(known).take(MAX_SHARED).collect())
}

/// What [`shared_with`] reads of the owner.
const EXTRA: [&str; 3] = ["m.account", "x.address", "s.account AS shared"];

/// Whether somebody has all of `rights` to any mailbox of an account. One statement.
pub fn shares_any(tx: &ReadTx, who: &Who, account: AccountId, rights: Rights) -> Result<bool> {
    let granted = granted(tx, who)?;
    Ok(who.account() == account || granted.iter().any(|((owner, _), has)| *owner == account && has.contains(rights)))
}

/// Whether nobody logs in to an account. One statement.
pub fn is_shared_account(tx: &ReadTx, account: AccountId) -> Result<bool> {
    let text = "SELECT EXISTS (SELECT 1 FROM shared_account WHERE account = $1)";
    Ok(tx.one(text, params![account], |row| row.bool(0))?)
}

/// Makes an account a shared one, or one of its own again. Locks: the account's.
///
/// Errors: `Refused` for an account with a password: whoever knows it would go on as nobody.
pub fn set_shared_account(tx: &mut WriteTx, by: &By, account: AccountId, shared: bool) -> Result<()> {
    accounts::existing(tx, account)?;
    if is_shared_account(tx, account)? == shared {
        return Ok(());
    }
    if shared && !crate::credentials::list(tx, account)?.is_empty() {
        return Err(Error::Refused("an account with a password cannot be a shared one: take its passwords away first"));
    }
    let modseq = journal::begin(tx, account)?;
    let text = match shared {
        true => "INSERT INTO shared_account (account) VALUES ($1)",
        false => "DELETE FROM shared_account WHERE account = $1",
    };
    tx.execute(text, params![account])?;
    let before: &[u8] = if shared { b"shared\t-\n" } else { b"shared\t+\n" };
    journal::end(tx, by, account, modseq, &Note { before, ..Note::plain(Operation::Account) })
}
