//! Who a grant is to, and who somebody is to a grant.

use std::fmt;

use postroad_store::{AccountId, ReadTx};

use crate::addresses::{self, Kind};
use crate::{Address, Authenticated, Domain, Error, Result, What, accounts, domains};

/// Whom rights are granted to: the address of an account or a group in the form it is compared by, or `@` and a domain
/// of ours, which means all accounts whose first address is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grantee(String);

impl Grantee {
    /// As stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a whole domain.
    pub(crate) fn is_domain(&self) -> bool {
        self.0.starts_with('@')
    }

    pub(crate) fn stored(text: String) -> Grantee {
        Grantee(text)
    }

    /// The identifier that clients know it by: `anyone` for everybody in the owner's own domain.
    pub fn identifier(&self, owner: &Address) -> &str {
        match self.0.strip_prefix('@') {
            Some(domain) if domain == owner.domain().as_str() => ANYONE,
            Some(_) | None => &self.0,
        }
    }
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom an identifier means in the lists of `owner`'s mailboxes.
///
/// `anyone`: all accounts of the owner's domain. RFC 4314 §2 calls it everybody; on a server that hosts several
/// domains, everybody is one's own. `@domain`: all accounts of another domain of ours. An address, or its bare local
/// part in the owner's domain: the account or the group that has it. A further address of an account means the account.
///
/// Errors: `NotFound(Address)`; `Refused` for an alias, whose mail goes to somebody but who is nobody.
pub fn grantee(tx: &ReadTx, owner: &Address, identifier: &str) -> Result<Grantee> {
    let unknown = || Error::NotFound(What::Address);
    if identifier.eq_ignore_ascii_case(ANYONE) {
        return Ok(Grantee(format!("@{}", owner.domain().as_str())));
    }
    if let Some(domain) = identifier.strip_prefix('@') {
        let domain = Domain::parse(domain).map_err(|_| unknown())?;
        let real = domains::ours(tx, &domain)?.ok_or_else(unknown)?;
        return Ok(Grantee(format!("@{}", real.as_str())));
    }
    let address = match identifier.contains('@') {
        true => Address::parse(identifier),
        false => Address::new(identifier, owner.domain().as_str()),
    };
    let row = addresses::find(tx, &address.map_err(|_| unknown())?)?.ok_or_else(unknown)?;
    match row.kind {
        Kind::Account(account) => Ok(Grantee(of_address(&accounts::existing(tx, account)?.address))),
        Kind::Group(_) => Ok(Grantee(of_address(&row.address))),
        Kind::Alias(_) => Err(Error::Refused("rights are granted to accounts, groups and domains, not to aliases")),
    }
}

/// An entry that is there already, by the identifier that its list shows: also where nobody has the address any more.
pub fn stored_grantee(owner: &Address, identifier: &str) -> Grantee {
    match identifier.eq_ignore_ascii_case(ANYONE) {
        true => Grantee(format!("@{}", owner.domain().as_str())),
        false => Grantee(identifier.to_owned()),
    }
}

/// An address as grants name it.
pub(crate) fn of_address(address: &Address) -> String {
    let key = address.key();
    Address::new(&key, address.domain().as_str()).map_or_else(|_| address.to_string(), |address| address.to_string())
}

/// Somebody who asks for rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    account: AccountId,
    name: String,
    domain: String,
}

impl Who {
    /// An account with its first address.
    pub fn new(account: AccountId, address: &Address) -> Who {
        Who { account, name: of_address(address), domain: format!("@{}", address.domain().as_str()) }
    }

    /// Whoever logged in.
    pub fn of(login: &Authenticated) -> Who {
        Who::new(login.account(), login.address())
    }

    /// The account.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Whether a grant to this one is to the account itself.
    pub fn is(&self, grantee: &Grantee) -> bool {
        self.name == grantee.as_str()
    }

    /// Its address, as grants name it.
    pub fn address(&self) -> &str {
        &self.name
    }

    /// Its address and its domain, as grants name them.
    pub(super) fn names(&self) -> (&str, &str) {
        (&self.name, &self.domain)
    }
}

/// All names that grants may know somebody by: `$1` is the address, `$2` the domain, `$3` the account, whose groups are
/// found by its addresses. Only direct members of a group are of it.
pub(super) const NAMES_OF_WHO: &str = "SELECT CAST($1 AS TEXT) UNION ALL SELECT CAST($2 AS TEXT)
     UNION ALL SELECT g.local || '@' || g.domain FROM address_target AS t
     JOIN address AS g ON g.domain = t.domain AND g.local = t.local AND g.kind = 'group'
     WHERE lower(t.target) IN (SELECT own.local || '@' || own.domain FROM address AS own
                               WHERE own.account = $3 AND own.kind = 'account')";

/// The identifier of everybody in the owner's domain.
const ANYONE: &str = "anyone";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_addresses() {
        for (address, expected) in
            [("Alice@Example.test", "alice@example.test"), ("\"A b\"@example.test", "\"a b\"@example.test")]
        {
            let address = Address::parse(address).expect("an address");
            assert_eq!(of_address(&address), expected);
        }
        let owner = Address::parse("bob@example.test").expect("an address");
        assert_eq!(stored_grantee(&owner, "Anyone").identifier(&owner), "anyone");
        assert_eq!(stored_grantee(&owner, "@other.test").identifier(&owner), "@other.test");
    }
}
