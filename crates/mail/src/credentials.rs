//! Logins: stored hashes out of a read, verified outside of the transaction, app passwords.
//!
//! ```text
//! let candidates = store.read(|tx| credentials::candidates(tx, login)).await?;
//! // on a thread that may take its time:
//! let authenticated = candidates.verify(password, Service::Imap, now)?;
//! ```

use postroad_store::{AccountId, ReadTx, Timestamp, WriteTx};

use crate::password::PasswordHash;
use crate::{Actor, Address, By, Result, Service};

/// Most app passwords of an account.
pub const MAX_APP_PASSWORDS: usize = 50;

/// A login's stored hashes, taken out of the database; also made for a login that does not exist.
#[derive(Debug, Clone)]
pub struct Candidates {
    login: String,
}

/// That somebody proved to be who they say. Only a successful [`Candidates::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    account: AccountId,
    address: Address,
    login: String,
    service: Service,
    credential: i64,
    app: Option<String>,
}

/// Why a login was refused. The client learns no difference between wrong and unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No such login, or a wrong password.
    Wrong,
    /// The right app password, but past its expiry (IMAP `[EXPIRED]`).
    Expired,
    /// The right app password, but not for this service (IMAP `[AUTHORIZATIONFAILED]`).
    Scope,
    /// The right password of a suspended account (IMAP `[CONTACTADMIN]`).
    Suspended,
}

/// Takes a login's hashes out: by any address of the account, or by the bare local part when there is
/// one domain only. One or two statements.
pub fn candidates(tx: &ReadTx, login: &str) -> Result<Candidates> {
    unimplemented!()
}

impl Candidates {
    /// Checks a password, in the same time for a login that does not exist: one argon2id run, 20 to 50 ms.
    pub fn verify(
        &self,
        password: &str,
        service: Service,
        now: Timestamp,
    ) -> std::result::Result<Authenticated, Refused> {
        unimplemented!()
    }

    /// The account, when the login is one's: for limits and the log, not for any answer to the client.
    pub fn account(&self) -> Option<AccountId> {
        unimplemented!()
    }
}

impl Authenticated {
    /// Whose.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The account's primary address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The login name as given.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// For what.
    pub fn service(&self) -> Service {
        self.service
    }

    /// The app password's name, when one was used.
    pub fn app(&self) -> Option<&str> {
        self.app.as_deref()
    }

    /// The journal's author for what this login does.
    pub fn actor(&self) -> Actor {
        Actor::Login { login: self.login.clone(), service: self.service, app: self.app.clone() }
    }
}

/// A credential as listed: never its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its number in the account.
    pub id: i64,
    /// `None`: the account's password.
    pub name: Option<String>,
    /// What it may be used for.
    pub scopes: Vec<Service>,
    /// After this it is refused.
    pub expires: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used, to the day.
    pub last_used: Option<Timestamp>,
}

/// What a new app password is made of.
#[derive(Debug, Clone)]
pub struct NewAppPassword {
    /// The device or program it is for; unique in the account.
    pub name: String,
    /// What it may be used for; empty is refused.
    pub scopes: Vec<Service>,
    /// After this it is refused.
    pub expires: Option<Timestamp>,
    /// From [`crate::password::AppPassword::generate`].
    pub hash: PasswordHash,
}

/// Sets the account's password.
pub fn set_password(tx: &mut WriteTx, by: &By, account: AccountId, hash: &PasswordHash) -> Result<()> {
    unimplemented!()
}

/// Adds an app password; answers with its number.
pub fn add_app_password(tx: &mut WriteTx, by: &By, account: AccountId, new: &NewAppPassword) -> Result<i64> {
    unimplemented!()
}

/// The account's credentials.
pub fn list(tx: &ReadTx, account: AccountId) -> Result<Vec<Credential>> {
    unimplemented!()
}

/// Takes an app password (by its number) away; it stops to work with the next login.
pub fn remove(tx: &mut WriteTx, by: &By, account: AccountId, id: i64) -> Result<()> {
    unimplemented!()
}

/// Notes that a credential was used, at most once a day (then one statement that finds nothing to do);
/// not an operation of the account. Locks: none.
pub fn touch(tx: &mut WriteTx, login: &Authenticated, now: Timestamp) -> Result<()> {
    unimplemented!()
}

/// Whether [`touch`] would write: decided on what [`Candidates`] knew, so that most logins need no write.
impl Authenticated {
    /// Whether the last use is older than a day.
    pub fn should_touch(&self, now: Timestamp) -> bool {
        unimplemented!()
    }
}
