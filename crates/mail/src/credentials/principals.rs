//! Principals of Kerberos that open an account: those named for it, and those that a realm's domain gives.
//!
//! Invariants:
//! 1. A principal is named for one account at most, and compared octet by octet: Kerberos tells `Alice` from `alice`.
//! 2. One that is named for somebody opens that account alone, whatever its realm would give.
//! 3. A realm's domain is looked at for principals of one component: `alice/admin` and `host/mail` are other people's.
//!
//! Standards: RFC 4120 §6.2 (names), RFC 1964 §2.1.1 (how they are written, with a backslash before what is part of them).

use postroad_store::{AccountId, ReadTx, Timestamp, WriteTx, new_id, params};

use super::{Authenticated, Candidates, Refused, candidates, may_have_passwords};
use crate::journal::{self, Note, Operation};
use crate::{Address, Bound, By, Error, Result, Service, What};

/// Most principals named for an account.
pub const MAX_PRINCIPALS: usize = 50;

/// A principal is named for one account.
pub(crate) const TABLES: &str = "
CREATE TABLE login_principal (
    account BIGINT NOT NULL,
    id BIGINT NOT NULL,
    name {text} NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (account, id)
) {clustered};
CREATE UNIQUE INDEX login_principal_name ON login_principal (name);
";

/// A principal named for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KerberosPrincipal {
    /// Its number, of the same source as those of passwords.
    pub id: i64,
    /// As `alice@EXAMPLE.TEST`.
    pub name: String,
    /// Since when.
    pub created: Timestamp,
}

/// Lets a principal open an account. Errors: `Refused` for what is none, `Exists(Credential)` when it opens one already,
/// `Limit(AppPasswords)`. Locks: the account's.
pub fn add_principal(tx: &mut WriteTx, by: &By, account: AccountId, name: &str) -> Result<i64> {
    may_have_passwords(tx, account)?;
    if !is_principal(name) {
        return Err(Error::Refused("a principal is name@REALM, of at most 500 bytes"));
    }
    if named(tx, name)?.is_some() {
        return Err(Error::Exists(What::Credential));
    }
    if principals(tx, account)?.len() >= MAX_PRINCIPALS {
        return Err(Error::Limit(Bound::AppPasswords));
    }
    let modseq = journal::begin(tx, account)?;
    let id = new_id();
    tx.execute(
        "INSERT INTO login_principal (account, id, name, created) VALUES ($1, $2, $3, $4)",
        params![account, id, name, by.now],
    )?;
    let before = format!("- {name}\n");
    journal::end(tx, by, account, modseq, &Note { before: before.as_bytes(), ..Note::plain(Operation::Credential) })?;
    Ok(id)
}

/// The principals named for an account, the oldest first.
pub fn principals(tx: &ReadTx, account: AccountId) -> Result<Vec<KerberosPrincipal>> {
    let found = tx.rows(
        "SELECT id, name, created FROM login_principal WHERE account = $1 ORDER BY id",
        params![account],
        |row| Ok(KerberosPrincipal { id: row.int(0)?, name: row.text(1)?, created: row.id(2)? }),
    )?;
    Ok(found)
}

/// Takes one away; answers with its number. Errors: `NotFound(Credential)`. Locks: the account's.
pub fn remove_principal(tx: &mut WriteTx, by: &By, account: AccountId, name: &str) -> Result<i64> {
    let found = principals(tx, account)?.into_iter().find(|one| one.name == name);
    let id = found.ok_or(Error::NotFound(What::Credential))?.id;
    let modseq = journal::begin(tx, account)?;
    tx.execute("DELETE FROM login_principal WHERE account = $1 AND id = $2", params![account, id])?;
    let before = format!("+ {name}\n");
    journal::end(tx, by, account, modseq, &Note { before: before.as_bytes(), ..Note::plain(Operation::Credential) })?;
    Ok(id)
}

/// All principals of an account that goes.
pub(crate) fn forget_account(tx: &mut WriteTx, account: AccountId) -> Result<()> {
    tx.execute("DELETE FROM login_principal WHERE account = $1", params![account])?;
    Ok(())
}

/// Whether a principal is named for some account.
pub(crate) fn is_named(tx: &ReadTx, name: &str) -> Result<bool> {
    let found =
        tx.one("SELECT EXISTS (SELECT 1 FROM login_principal WHERE name = $1)", params![name], |row| row.bool(0))?;
    Ok(found)
}

/// Whose account a principal opens, out of the database; also made for one that opens none.
#[derive(Debug, Clone)]
pub struct PrincipalCandidates {
    candidates: Candidates,
    credential: i64,
}

/// Looks a principal up that has shown its ticket. `domain_of` gives the domain of a realm, if it has one.
pub fn principal_candidates(
    tx: &ReadTx,
    principal: &str,
    domain_of: impl FnOnce(&str) -> Option<String>,
) -> Result<PrincipalCandidates> {
    if let Some((credential, address)) = named(tx, principal)? {
        return Ok(PrincipalCandidates { candidates: candidates(tx, &address)?, credential });
    }
    let address = simple(principal).and_then(|(name, realm)| Address::new(name, &domain_of(realm)?).ok());
    let candidates = match address {
        Some(address) => candidates(tx, &address.to_string())?,
        None => Candidates { login: principal.to_owned(), owner: None },
    };
    Ok(PrincipalCandidates { candidates, credential: 0 })
}

impl PrincipalCandidates {
    /// Who it is, if the account works.
    pub fn open(self, service: Service) -> std::result::Result<Authenticated, Refused> {
        self.candidates.vouched(self.credential, None, service)
    }

    /// The account, when it opens one.
    pub fn account(&self) -> Option<AccountId> {
        self.candidates.account()
    }
}

/// Which credential it is, and the address of its account.
fn named(tx: &ReadTx, name: &str) -> Result<Option<(i64, String)>> {
    let found = tx.row(
        "SELECT p.id, x.address FROM login_principal AS p JOIN account AS x ON x.id = p.account
         WHERE p.name = $1 AND x.state <> 'deleted'",
        params![name],
        |row| Ok((row.int(0)?, row.text(1)?)),
    )?;
    Ok(found)
}

/// The name and realm of a principal of one component, without signs that are written with a backslash.
fn simple(principal: &str) -> Option<(&str, &str)> {
    let (name, realm) = principal.rsplit_once('@')?;
    let plain = !name.is_empty() && !realm.is_empty() && !principal.contains(['/', '\\']) && !name.contains('@');
    plain.then_some((name, realm))
}

fn is_principal(name: &str) -> bool {
    let parts = name.rsplit_once('@').is_some_and(|(name, realm)| !name.is_empty() && !realm.is_empty());
    parts && name.len() <= NAME_LIMIT && !name.contains(char::is_control)
}

/// Longest name of a principal, in octets.
const NAME_LIMIT: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_gives_a_domain_to_simple_names_alone() {
        for (principal, expected) in [
            ("alice@EXAMPLE.TEST", Some(("alice", "EXAMPLE.TEST"))),
            ("alice/admin@EXAMPLE.TEST", None),
            ("host/mail.example.test@EXAMPLE.TEST", None),
            ("alice\\@other.test@EXAMPLE.TEST", None),
            ("alice@other.test@EXAMPLE.TEST", None),
            ("alice", None),
            ("@EXAMPLE.TEST", None),
            ("alice@", None),
            ("", None),
        ] {
            assert_eq!(simple(principal), expected, "{principal}");
        }
    }
}
