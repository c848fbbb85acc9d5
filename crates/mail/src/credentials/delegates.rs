//! Who signs in to whose account with a password of their own: Exchange's delegate access ([MS-OXIMAP4] §2.2.2), and what an
//! authorization identity means (RFC 4422 §3.4.1).
//!
//! A delegate has the whole account, as its owner has it; what they change is journalled under their own login. Rights to single
//! mailboxes are [`crate::acl`]'s. Only an administrator makes somebody a delegate.

use postroad_store::{AccountId, ReadTx, WriteTx, params};

use super::{Authenticated, Owner, Refused, candidates};
use crate::accounts::{self, State};
use crate::journal::{self, Note, Operation};
use crate::{Address, By, Error, Result, What};

/// Most delegates of an account.
pub const MAX_DELEGATES: usize = 100;

/// Both accounts by number: they go with either.
pub(crate) const TABLES: &str = "
CREATE TABLE login_delegate (
    account BIGINT NOT NULL,
    delegate BIGINT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (account, delegate)
) {clustered};
CREATE INDEX login_delegate_delegate ON login_delegate (delegate);
";

/// The account that somebody who has shown who they are acts for.
#[derive(Debug, Clone)]
pub struct Principal(Owner);

/// Lets `delegate` sign in to `account`. Errors: `Refused` for the account itself, for somebody who cannot sign in, and when
/// there are too many; `Exists(Credential)`. Locks: the account's.
pub fn add_delegate(tx: &mut WriteTx, by: &By, account: AccountId, delegate: AccountId) -> Result<()> {
    accounts::existing(tx, account)?;
    let who = accounts::existing(tx, delegate)?;
    super::may_have_passwords(tx, delegate)?;
    if account == delegate {
        return Err(Error::Refused("nobody is a delegate of themselves"));
    }
    let others = delegates(tx, account)?;
    if others.contains(&who.address) {
        return Err(Error::Exists(What::Credential));
    }
    if others.len() >= MAX_DELEGATES {
        return Err(Error::Refused("an account has at most 100 delegates"));
    }
    let modseq = journal::begin(tx, account)?;
    tx.execute(
        "INSERT INTO login_delegate (account, delegate, since) VALUES ($1, $2, $3)",
        params![account, delegate, by.now],
    )?;
    let before = format!("- delegate {}\n", who.address);
    journal::end(tx, by, account, modseq, &Note { before: before.as_bytes(), ..Note::plain(Operation::Credential) })
}

/// Takes that back. Errors: `NotFound(Credential)`. Locks: the account's.
pub fn remove_delegate(tx: &mut WriteTx, by: &By, account: AccountId, delegate: AccountId) -> Result<()> {
    let who = accounts::existing(tx, delegate)?;
    if !delegates(tx, account)?.contains(&who.address) {
        return Err(Error::NotFound(What::Credential));
    }
    let modseq = journal::begin(tx, account)?;
    tx.execute("DELETE FROM login_delegate WHERE account = $1 AND delegate = $2", params![account, delegate])?;
    let before = format!("+ delegate {}\n", who.address);
    journal::end(tx, by, account, modseq, &Note { before: before.as_bytes(), ..Note::plain(Operation::Credential) })
}

/// The delegates of an account.
pub fn delegates(tx: &ReadTx, account: AccountId) -> Result<Vec<Address>> {
    let rows = tx.rows(
        "SELECT x.address FROM login_delegate AS d JOIN account AS x ON x.id = d.delegate
         WHERE d.account = $1 AND x.state <> 'deleted' ORDER BY x.address",
        params![account],
        |row| row.text(0),
    )?;
    Ok(rows.iter().map(|text| Address::stored(text)).collect())
}

/// Everything of an account that goes, on both sides.
pub(crate) fn forget(tx: &mut WriteTx, account: AccountId) -> Result<()> {
    tx.execute("DELETE FROM login_delegate WHERE account = $1", params![account])?;
    tx.execute("DELETE FROM login_delegate WHERE delegate = $1", params![account])?;
    Ok(())
}

/// The two names of `delegate/principal`, where the whole is no account's name: [MS-OXIMAP4] §2.2.2, the delegate with or without
/// a domain (`CORP/alice/bob`). POP3 and SASL know names in the same form.
pub fn delegate_and_principal(tx: &ReadTx, login: &str) -> Result<Option<(String, String)>> {
    let Some((delegate, principal)) = login.rsplit_once('/') else { return Ok(None) };
    // A slash is a sign like others in a local part.
    if delegate.is_empty() || principal.is_empty() || candidates(tx, login)?.account().is_some() {
        return Ok(None);
    }
    let delegate = match delegate.split_once('/') {
        Some((domain, user)) if !delegate.contains('@') => format!("{domain}\\{user}"),
        Some(_) | None => delegate.to_owned(),
    };
    Ok(Some((delegate, principal.to_owned())))
}

/// The account of `name`, if `delegate` may sign in to it. A name without a domain is of the delegate's.
pub fn principal(tx: &ReadTx, delegate: AccountId, name: &str) -> Result<Option<Principal>> {
    let name = match name.contains(['@', '\\']) {
        true => name.to_owned(),
        false => match accounts::existing(tx, delegate) {
            Ok(account) => format!("{name}@{}", account.address.domain()),
            // Nobody's delegates are nobody's; it is looked as often, so that the time tells nothing.
            Err(Error::NotFound(_)) => format!("{name}@{NOWHERE}"),
            Err(error) => return Err(error),
        },
    };
    let owner = candidates(tx, &name)?.owner;
    let granted = tx.one(
        "SELECT EXISTS (SELECT 1 FROM login_delegate WHERE account = $1 AND delegate = $2)",
        params![owner.as_ref().map_or(AccountId(0), |owner| owner.account), delegate],
        |row| row.bool(0),
    )?;
    Ok(owner.filter(|_| granted).map(Principal))
}

impl Principal {
    /// Whose account it is.
    pub fn account(&self) -> AccountId {
        self.0.account
    }
}

impl Authenticated {
    /// The same person, signed in to the account of another. They stay the author of what they do, and their password is
    /// what the connection depends on. Errors: `Suspended`.
    pub fn acting_for(self, principal: Principal) -> std::result::Result<Authenticated, Refused> {
        let Owner { account, address, state, has_labels, .. } = principal.0;
        match state {
            State::Active => Ok(Authenticated { account, address, has_labels, ..self }),
            State::Suspended | State::Deleted => Err(Refused::Suspended),
        }
    }
}

/// A domain that nobody has (RFC 2606 §2).
const NOWHERE: &str = "nowhere.invalid";
