//! Domains of ours, their aliases, catch-all and postmaster.

use std::collections::HashMap;

use postroad_store::{AccountId, ReadTx, Timestamp, WriteTx, params};

use crate::{Address, By, Domain, Error, Result, What, accounts, acl};

/// A domain of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainRow {
    /// Its name.
    pub name: Domain,
    /// Other names of the same domain: `x@alias` is `x@name`.
    pub aliases: Vec<Domain>,
    /// Who gets what has no recipient of its own.
    pub catch_all: Option<Address>,
    /// Who gets `postmaster@` and `abuse@` when these have no address of their own; without it the
    /// first account of the domain, else the first account of the server.
    pub postmaster: Option<AccountId>,
    /// When it was made.
    pub created: Timestamp,
}

/// Makes a domain. Errors: `Exists(Domain)`, also when it is an alias of another.
pub fn create(tx: &mut WriteTx, by: &By, name: &Domain) -> Result<()> {
    if ours(tx, name)?.is_some() {
        return Err(Error::Exists(What::Domain));
    }
    tx.execute("INSERT INTO domain (name, created) VALUES ($1, $2)", params![name.as_str(), by.now])?;
    log(tx, by, &format!("domain {name} created"))
}

/// Removes a domain without accounts and addresses; with them it is refused.
pub fn delete(tx: &mut WriteTx, by: &By, name: &Domain) -> Result<()> {
    let used =
        tx.one("SELECT EXISTS (SELECT 1 FROM address WHERE domain = $1)", params![name.as_str()], |row| row.bool(0))?;
    if used {
        return Err(Error::Refused("the domain still has addresses: delete its accounts and aliases first"));
    }
    tx.execute("DELETE FROM domain_alias WHERE domain = $1", params![name.as_str()])?;
    acl::forget_domain(tx, name)?;
    touched(tx.execute("DELETE FROM domain WHERE name = $1", params![name.as_str()])?)?;
    log(tx, by, &format!("domain {name} deleted"))
}

/// All domains, by name. Two statements.
pub fn list(tx: &ReadTx) -> Result<Vec<DomainRow>> {
    let mut aliases: HashMap<Domain, Vec<Domain>> = HashMap::new();
    let pairs = tx.rows("SELECT domain, alias FROM domain_alias ORDER BY alias", params![], |row| {
        Ok((Domain::stored(row.text(0)?), Domain::stored(row.text(1)?)))
    })?;
    for (domain, alias) in pairs {
        aliases.entry(domain).or_default().push(alias);
    }
    let mut rows =
        tx.rows("SELECT name, catch_all, postmaster, created FROM domain ORDER BY name", params![], |row| {
            Ok(DomainRow {
                name: Domain::stored(row.text(0)?),
                aliases: Vec::new(),
                catch_all: row.text_or_null(1)?.map(|text| Address::stored(&text)),
                postmaster: row.int_or_null(2)?.map(AccountId),
                created: row.id(3)?,
            })
        })?;
    for row in &mut rows {
        row.aliases = aliases.remove(&row.name).unwrap_or_default();
    }
    Ok(rows)
}

/// Whether `name` is a domain of ours or an alias of one: its real name. One statement.
pub fn ours(tx: &ReadTx, name: &Domain) -> Result<Option<Domain>> {
    let real = tx.row(
        "SELECT name FROM domain
         WHERE name = COALESCE((SELECT a.domain FROM domain_alias a WHERE a.alias = $1), $1)",
        params![name.as_str()],
        |row| Ok(Domain::stored(row.text(0)?)),
    )?;
    Ok(real)
}

/// Makes `alias` another name of `name`. Errors: `Exists(Domain)`, `NotFound(Domain)`.
pub fn add_alias(tx: &mut WriteTx, by: &By, alias: &Domain, name: &Domain) -> Result<()> {
    if ours(tx, alias)?.is_some() {
        return Err(Error::Exists(What::Domain));
    }
    let real = ours(tx, name)?.ok_or(Error::NotFound(What::Domain))?;
    tx.execute("INSERT INTO domain_alias (alias, domain) VALUES ($1, $2)", params![alias.as_str(), real.as_str()])?;
    log(tx, by, &format!("domain alias {alias} of {real} created"))
}

/// Takes an alias away.
pub fn remove_alias(tx: &mut WriteTx, by: &By, alias: &Domain) -> Result<()> {
    touched(tx.execute("DELETE FROM domain_alias WHERE alias = $1", params![alias.as_str()])?)?;
    log(tx, by, &format!("domain alias {alias} deleted"))
}

/// Sets or clears the catch-all.
pub fn set_catch_all(tx: &mut WriteTx, by: &By, name: &Domain, target: Option<&Address>) -> Result<()> {
    let target = target.map(Address::to_string);
    touched(
        tx.execute("UPDATE domain SET catch_all = $2 WHERE name = $1", params![name.as_str(), target.as_deref()])?,
    )?;
    log(tx, by, &format!("domain {name} catch-all {}", target.as_deref().unwrap_or("-")))
}

/// Sets or clears who is postmaster.
pub fn set_postmaster(tx: &mut WriteTx, by: &By, name: &Domain, account: Option<AccountId>) -> Result<()> {
    if let Some(account) = account {
        accounts::existing(tx, account)?;
    }
    touched(tx.execute("UPDATE domain SET postmaster = $2 WHERE name = $1", params![name.as_str(), account])?)?;
    log(tx, by, &format!("domain {name} postmaster {}", account.map_or(0, |account| account.0)))
}

/// Appends to the log of what administrators did to domains and addresses: these belong to no account, so
/// no journal has them.
pub(crate) fn log(tx: &mut WriteTx, by: &By, what: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO directory_log (at, actor, what) VALUES ($1, $2, $3)",
        params![by.now, &by.actor.to_string(), what],
    )?;
    Ok(())
}

fn touched(rows: u64) -> Result<()> {
    if rows == 0 { Err(Error::NotFound(What::Domain)) } else { Ok(()) }
}
