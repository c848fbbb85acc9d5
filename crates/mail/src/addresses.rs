//! Addresses in our domains that are not an account's first: further addresses, aliases, groups.

use std::collections::HashMap;

use postroad_store::{AccountId, Param, ReadTx, WriteTx, params};

use crate::{Address, Bound, By, Error, Result, What, accounts, acl, domains, resolve, sql};

/// Most targets of an alias or group.
pub const MAX_TARGETS: usize = 1_000;

/// What an address in a domain of ours is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An account's own address.
    Account(AccountId),
    /// Leads to other addresses, here or elsewhere; whoever gets its mail may send as it.
    Alias(Vec<Address>),
    /// As an alias, but its members may not send as it.
    Group(Vec<Address>),
}

/// An address in a domain of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRow {
    /// The address, as it was written when made.
    pub address: Address,
    /// What it is.
    pub kind: Kind,
}

/// Makes an address. Errors: `NotFound(Domain)`, `NotFound(Account)`, `Exists(Address)`,
/// `Limit(Targets)`, `Refused` for no target. Locks: [`crate::accounts::DIRECTORY_LOCK`].
pub fn create(tx: &mut WriteTx, by: &By, address: &Address, kind: &Kind) -> Result<()> {
    let address = real(tx, address)?;
    if find(tx, &address)?.is_some() {
        return Err(Error::Exists(What::Address));
    }
    put(tx, &address, kind)?;
    domains::log(tx, by, &format!("address {address} created as {}", kind.text()))
}

/// Replaces what an address is; an account's primary address is refused.
pub fn replace(tx: &mut WriteTx, by: &By, address: &Address, kind: &Kind) -> Result<()> {
    let address = real(tx, address)?;
    take(tx, &address)?;
    if !matches!(kind, Kind::Group(_)) {
        acl::forget_grantee(tx, &address)?;
    }
    put(tx, &address, kind)?;
    domains::log(tx, by, &format!("address {address} replaced by {}", kind.text()))
}

/// Removes an address; an account's primary address is refused.
pub fn delete(tx: &mut WriteTx, by: &By, address: &Address) -> Result<()> {
    let address = real(tx, address)?;
    take(tx, &address)?;
    acl::forget_grantee(tx, &address)?;
    domains::log(tx, by, &format!("address {address} deleted"))
}

impl Kind {
    /// For the log: the kind and how many targets.
    fn text(&self) -> String {
        match self {
            Kind::Account(account) => format!("address of account {}", account.0),
            Kind::Alias(targets) => format!("alias of {}", targets.len()),
            Kind::Group(targets) => format!("group of {}", targets.len()),
        }
    }
}

/// The address in the real name of its domain.
fn real(tx: &ReadTx, address: &Address) -> Result<Address> {
    let domain = domains::ours(tx, address.domain())?.ok_or(Error::NotFound(What::Domain))?;
    Address::new(address.local(), domain.as_str()).map_err(Error::AddressInvalid)
}

fn put(tx: &mut WriteTx, address: &Address, kind: &Kind) -> Result<()> {
    let (name, targets) = match kind {
        Kind::Account(account) => {
            accounts::existing(tx, *account)?;
            return insert(tx, address, "account", Some(*account));
        }
        Kind::Alias(targets) => ("alias", targets),
        Kind::Group(targets) => ("group", targets),
    };
    if targets.is_empty() {
        return Err(Error::Refused("an alias leads to at least one address"));
    }
    if targets.len() > MAX_TARGETS {
        return Err(Error::Limit(Bound::Targets));
    }
    insert(tx, address, name, None)?;
    let key = address.key();
    let targets: Vec<String> = targets.iter().map(Address::to_string).collect();
    let rows: Vec<[Param<'_>; 3]> = targets
        .iter()
        .map(|target| [Param::from(address.domain().as_str()), Param::from(&key), Param::from(target)])
        .collect();
    tx.insert_rows(
        "INSERT INTO address_target (domain, local, target)",
        &rows,
        "ON CONFLICT (domain, local, target) DO NOTHING",
    )?;
    Ok(())
}

fn take(tx: &mut WriteTx, address: &Address) -> Result<()> {
    let row = find(tx, address)?.ok_or(Error::NotFound(What::Address))?;
    if let Kind::Account(account) = row.kind
        && accounts::by_id(tx, account)?.is_some_and(|account| {
            account.address.key() == address.key() && account.address.domain() == address.domain()
        })
    {
        return Err(Error::Refused("this is the account's own address: delete the account instead"));
    }
    let (domain, key) = (address.domain().as_str(), address.key());
    tx.execute("DELETE FROM address_target WHERE domain = $1 AND local = $2", params![domain, &key])?;
    tx.execute("DELETE FROM address WHERE domain = $1 AND local = $2", params![domain, &key])?;
    Ok(())
}

/// Writes the row of an address in a domain of ours.
pub(crate) fn insert(tx: &mut WriteTx, address: &Address, kind: &str, account: Option<AccountId>) -> Result<()> {
    tx.execute(
        "INSERT INTO address (domain, local, shown, kind, account) VALUES ($1, $2, $3, $4, $5)",
        params![address.domain().as_str(), &address.key(), address.local(), kind, account],
    )?;
    Ok(())
}

/// One address exactly as it is in the table (no sub-addressing, no catch-all).
pub fn find(tx: &ReadTx, address: &Address) -> Result<Option<AddressRow>> {
    let Some(domain) = domains::ours(tx, address.domain())? else {
        return Ok(None);
    };
    let rows = tx.rows(
        "SELECT domain, local, shown, kind, account FROM address WHERE domain = $1 AND local = $2",
        params![domain.as_str(), &address.key()],
        raw,
    )?;
    Ok(with_targets(tx, rows)?.pop())
}

/// All addresses by domain and local part, after `after`. Two statements.
pub fn list(tx: &ReadTx, after: Option<&Address>, limit: usize) -> Result<Vec<AddressRow>> {
    let (domain, key) =
        after.map_or((String::new(), String::new()), |address| (address.domain().as_str().to_owned(), address.key()));
    let rows = tx.rows(
        "SELECT domain, local, shown, kind, account FROM address
         WHERE domain > $1 OR (domain = $1 AND local > $2) ORDER BY domain, local LIMIT $3",
        params![&domain, &key, sql::limit(limit)],
        raw,
    )?;
    with_targets(tx, rows)
}

/// A row of `address` as it is.
struct Raw {
    domain: String,
    local: String,
    shown: String,
    kind: String,
    account: Option<AccountId>,
}

fn raw(row: &postroad_store::Row<'_>) -> postroad_store::Result<Raw> {
    Ok(Raw {
        domain: row.text(0)?,
        local: row.text(1)?,
        shown: row.text(2)?,
        kind: row.text(3)?,
        account: row.int_or_null(4)?.map(AccountId),
    })
}

fn with_targets(tx: &ReadTx, rows: Vec<Raw>) -> Result<Vec<AddressRow>> {
    let lists = rows.iter().filter(|row| row.kind != "account");
    let (domains, locals): (Vec<&str>, Vec<&str>) = lists.map(|row| (row.domain.as_str(), row.local.as_str())).unzip();
    let mut targets = targets(tx, &domains, &locals)?;
    rows.into_iter()
        .map(|row| {
            let targets = targets.remove(&(row.domain.clone(), row.local)).unwrap_or_default();
            let kind = match (row.kind.as_str(), row.account) {
                ("account", Some(account)) => Kind::Account(account),
                ("alias", _) => Kind::Alias(targets),
                ("group", _) => Kind::Group(targets),
                (kind, _) => return Err(Error::Corrupt(format!("address kind {kind}"))),
            };
            let address = Address::new(&row.shown, &row.domain).map_err(Error::AddressInvalid)?;
            Ok(AddressRow { address, kind })
        })
        .collect()
}

/// The targets of lists by (domain, local key). Answers with more than asked for when both parts match
/// across pairs. One statement, none for nothing.
pub(crate) fn targets(
    tx: &ReadTx,
    domains: &[&str],
    locals: &[&str],
) -> Result<HashMap<(String, String), Vec<Address>>> {
    let mut found: HashMap<(String, String), Vec<Address>> = HashMap::new();
    if domains.is_empty() {
        return Ok(found);
    }
    let rows = tx.rows(
        "SELECT domain, local, target FROM address_target
         WHERE domain {in:$1} AND local {in:$2} ORDER BY target",
        params![domains, locals],
        |row| Ok((row.text(0)?, row.text(1)?, row.text(2)?)),
    )?;
    for (domain, local, target) in rows {
        found.entry((domain, local)).or_default().push(Address::stored(&target));
    }
    Ok(found)
}

/// Whether `account` may put `address` into MAIL FROM and From: its own addresses and their
/// sub-addresses in any name of the domain, aliases (not groups) that lead to it, and, when it is the
/// catch-all of a domain, any address there that nobody else has.
pub fn may_send_as(tx: &ReadTx, account: AccountId, address: &Address) -> Result<bool> {
    resolve::leads_to(tx, address, account)
}
