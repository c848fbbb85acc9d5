//! Who may do what with whose mailbox: access control lists (RFC 4314).
//!
//! Invariants: 1. The owner of a mailbox has all rights to it and no row says so: a mailbox that is shared with nobody
//! has no row, and whoever opens a mailbox of their own reads none. 2. A grant names an address in a domain of ours, of an
//! account or of a group, or a whole domain; it goes with the account, the group or the mailbox. 3. The rights of
//! somebody are the union of what is granted to their address, their groups and their domain, less what the same are
//! denied (negative rights). 4. A change is an operation of the owner's account, so whoever has the mailbox open hears of it.
//!
//! Transitions: [`set`], [`delete`], [`inherit`] (a mailbox is made below another), `forget_mailbox` (it is
//! deleted), `forget_grantee` (an account or a group is deleted).
//!
//! What it never does: enforce. A protocol asks [`rights`] and refuses.

mod foreign;
mod identifier;
mod shared;

use postroad_store::{AccountId, Param, ReadTx, Row, WriteTx, params};

pub use foreign::{Foreign, OTHERS, SHARED, foreign};
pub(crate) use identifier::of_address as name_of;
pub use identifier::{Grantee, Who, grantee, stored_grantee};
pub use shared::{MAX_SHARED, Owner, Shared, is_shared_account, owner, set_shared_account, shared_with, shares_any};

use crate::journal::{self, Note, Operation};
use crate::{Bound, By, Error, MailboxId, Result, Rights, accounts};

/// Most entries of one mailbox's list.
pub const MAX_GRANTS: usize = 500;

/// Mailboxes that one account may share with (or deny to) whole domains: each of them is in the listing of everybody there, and
/// nobody can fill that of others. Shared accounts have no such limit: an administrator made them to be shared.
pub const MAX_WITH_DOMAINS: usize = 50;

/// An entry of a mailbox's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// To whom.
    pub grantee: Grantee,
    /// These rights are taken from whoever the grantee is, however else they come to them.
    pub negative: bool,
    /// The rights.
    pub rights: Rights,
}

/// How [`set`] changes the rights of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// They become these.
    Replace,
    /// These are added.
    Add,
    /// These are taken away.
    Remove,
}

/// The list of a mailbox, by grantee; the owner, who needs no entry, is not in it. One statement.
pub fn of(tx: &ReadTx, account: AccountId, mailbox: MailboxId) -> Result<Vec<Grant>> {
    let rows = tx.rows(
        "SELECT grantee, negative, rights FROM acl WHERE account = $1 AND mailbox = $2 ORDER BY grantee, negative",
        params![account, mailbox],
        |row| Ok(Grant { grantee: Grantee::stored(row.text(0)?), negative: negative(row)?, rights: bits(row)? }),
    )?;
    Ok(rows)
}

fn negative(row: &Row<'_>) -> postroad_store::Result<bool> {
    Ok(row.int(1)? != 0)
}

fn bits(row: &Row<'_>) -> postroad_store::Result<Rights> {
    Ok(Rights::from_bits(row.int(2)?))
}

/// What somebody may do with a mailbox. None for the owner, one statement for others.
pub fn rights(tx: &ReadTx, who: &Who, account: AccountId, mailbox: MailboxId) -> Result<Rights> {
    if who.account() == account {
        return Ok(Rights::ALL);
    }
    let text = format!(
        "SELECT c.grantee, c.negative, c.rights FROM acl AS c
         WHERE c.account = $4 AND c.mailbox = $5 AND c.grantee IN ({})",
        identifier::NAMES_OF_WHO
    );
    let (own, domain) = who.names();
    let params = params![own, domain, who.account(), account, mailbox];
    let rows = tx.rows(&text, params, |row| Ok((negative(row)?, bits(row)?)))?;
    Ok(Tally::of(rows).rights())
}

/// What is granted and what is denied.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    granted: Rights,
    denied: Rights,
}

impl Tally {
    fn of(rows: impl IntoIterator<Item = (bool, Rights)>) -> Tally {
        rows.into_iter().fold(Tally::default(), |tally, (negative, rights)| tally.and(negative, rights))
    }

    fn and(self, negative: bool, rights: Rights) -> Tally {
        match negative {
            true => Tally { denied: self.denied | rights, ..self },
            false => Tally { granted: self.granted | rights, ..self },
        }
    }

    fn rights(self) -> Rights {
        self.granted.without(self.denied)
    }
}

/// Changes the entry of a grantee; one without rights goes. Answers with its rights now. Three statements when nothing
/// changes, two more otherwise. Locks: the owner's account.
///
/// Errors: `Refused` for the owner, `Limit(Grants)`, `Limit(WithDomains)`.
pub fn set(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    (grantee, negative): (&Grantee, bool),
    change: Change,
    rights: Rights,
) -> Result<Rights> {
    let owner = accounts::existing(tx, account)?;
    if Who::new(account, &owner.address).is(grantee) {
        return Err(Error::Refused("the owner of a mailbox has all rights to it, always"));
    }
    let list = of(tx, account, mailbox)?;
    let old = list.iter().find(|grant| grant.grantee == *grantee && grant.negative == negative);
    let old = old.map_or(Rights::NONE, |grant| grant.rights);
    let new = match change {
        Change::Replace => rights,
        Change::Add => old | rights,
        Change::Remove => old.without(rights),
    };
    if new == old {
        return Ok(new);
    }
    if old.is_empty() && list.len() >= MAX_GRANTS {
        return Err(Error::Limit(Bound::Grants));
    }
    if old.is_empty() && grantee.is_domain() && room_with_domains(tx, account)? == 0 {
        return Err(Error::Limit(Bound::WithDomains));
    }
    let modseq = journal::begin(tx, account)?;
    tx.execute(
        "DELETE FROM acl WHERE account = $1 AND mailbox = $2 AND grantee = $3 AND negative = $4",
        params![account, mailbox, grantee.as_str(), negative],
    )?;
    if !new.is_empty() {
        tx.execute(
            "INSERT INTO acl (account, mailbox, grantee, negative, rights) VALUES ($1, $2, $3, $4, $5)",
            params![account, mailbox, grantee.as_str(), negative, new.bits()],
        )?;
    }
    let before = format!("{}{}\t{old}\n", if negative { "-" } else { "" }, grantee.as_str());
    let note = Note { mailbox: Some(mailbox), before: before.as_bytes(), ..Note::plain(Operation::Acl) };
    journal::end(tx, by, account, modseq, &note)?;
    Ok(new)
}

/// How many entries for whole domains an account may still have. One or two statements.
fn room_with_domains(tx: &ReadTx, account: AccountId) -> Result<usize> {
    if is_shared_account(tx, account)? {
        return Ok(usize::MAX);
    }
    let there = tx.one(
        "SELECT COUNT(*) FROM acl WHERE account = $1 AND substr(grantee, 1, 1) = '@'",
        params![account],
        |row| row.int(0),
    )?;
    Ok(MAX_WITH_DOMAINS.saturating_sub(usize::try_from(there).unwrap_or(usize::MAX)))
}

/// Takes the entry of a grantee away; none there is no error. Locks: the owner's account.
pub fn delete(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    mailbox: MailboxId,
    (grantee, negative): (&Grantee, bool),
) -> Result<()> {
    let there = of(tx, account, mailbox)?;
    if !there.iter().any(|grant| grant.grantee == *grantee && grant.negative == negative) {
        return Ok(());
    }
    set(tx, by, account, mailbox, (grantee, negative), Change::Replace, Rights::NONE).map(|_| ())
}

/// The mailboxes `made` get the list of `parent` (RFC 4314 §4, CREATE), without what is for whole domains where there is no room
/// for that ([`MAX_WITH_DOMAINS`]). Part of the operation that makes them. One
/// statement, one more for each mailbox when there is a list.
pub fn inherit(tx: &mut WriteTx, account: AccountId, parent: MailboxId, made: &[MailboxId]) -> Result<()> {
    let mut list = of(tx, account, parent)?;
    let domains = list.iter().filter(|grant| grant.grantee.is_domain()).count();
    if domains > 0 && room_with_domains(tx, account)? < domains.saturating_mul(made.len()) {
        list.retain(|grant| !grant.grantee.is_domain());
    }
    if list.is_empty() {
        return Ok(());
    }
    for mailbox in made {
        let row = |grant: &'_ Grant| {
            let grantee = grant.grantee.as_str().to_owned();
            (grantee, grant.negative, grant.rights.bits())
        };
        let owned: Vec<(String, bool, i64)> = list.iter().map(row).collect();
        let rows: Vec<[Param<'_>; 5]> = owned
            .iter()
            .map(|(grantee, negative, rights)| {
                [account.into(), (*mailbox).into(), grantee.into(), (*negative).into(), (*rights).into()]
            })
            .collect();
        tx.insert_rows("INSERT INTO acl (account, mailbox, grantee, negative, rights)", &rows, "")?;
    }
    Ok(())
}

/// The list goes with its mailbox. One statement.
pub(crate) fn forget_mailbox(tx: &mut WriteTx, account: AccountId, mailbox: MailboxId) -> Result<()> {
    tx.execute("DELETE FROM acl WHERE account = $1 AND mailbox = $2", params![account, mailbox])?;
    Ok(())
}

/// All lists of an account that is being deleted. One statement.
pub(crate) fn forget_account(tx: &mut WriteTx, account: AccountId) -> Result<()> {
    tx.execute("DELETE FROM acl WHERE account = $1", params![account])?;
    Ok(())
}

/// What is granted to a whole domain goes with it. One statement.
pub(crate) fn forget_domain(tx: &mut WriteTx, domain: &crate::Domain) -> Result<()> {
    tx.execute("DELETE FROM acl WHERE grantee = $1", params![&format!("@{}", domain.as_str())])?;
    Ok(())
}

/// Whoever gets this address next has none of the rights of whoever had it. No operation of the owners: nobody who
/// could hear of it is concerned. One statement.
pub(crate) fn forget_grantee(tx: &mut WriteTx, address: &crate::Address) -> Result<()> {
    let grantee = identifier::of_address(address);
    tx.execute("DELETE FROM acl WHERE grantee = $1", params![&grantee])?;
    Ok(())
}
