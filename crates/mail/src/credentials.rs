//! Logins: stored hashes out of a read, verified outside of the transaction, app passwords.
//!
//! ```text
//! let candidates = store.read(|tx| credentials::candidates(tx, login)).await?;
//! // on a thread that may take its time:
//! let authenticated = candidates.verify(password, Service::Imap, now)?;
//! ```

mod delegates;
mod digest;
mod ntlm;
mod pins;
mod principals;
mod scram;
mod sealed;

use postroad_store::{AccountId, ReadTx, Timestamp, WriteTx, new_id, params};

use crate::accounts::{self, State};
use crate::journal::{self, Note, Operation};
use crate::password::{PasswordHash, Workspace};
use crate::{Actor, Address, Bound, By, Error, Result, Service, What, acl};

pub use delegates::{
    MAX_DELEGATES, Principal, add_delegate, delegate_and_principal, delegates, principal, remove_delegate,
};
pub use digest::{
    DigestCandidates, DigestSealer, digest_candidates, digest_off, digest_on, digest_state, keep_digests,
};
pub use ntlm::{KeyState, NtlmCandidates, NtlmSealer, keep_ntlm, ntlm_candidates, ntlm_off, ntlm_on, ntlm_state};
pub use pins::{MAX_CERTIFICATES, Pin, by_certificate, pin, pins, unpin};
pub use principals::{
    KerberosPrincipal, MAX_PRINCIPALS, PrincipalCandidates, add_principal, principal_candidates, principals,
    remove_principal,
};
pub use scram::{Salts, ScramCandidates, ServerSecret, keep_for, salts, scram_candidates, server_secret};

pub(crate) use delegates::{TABLES as DELEGATE_TABLES, forget as forget_delegates};
pub(crate) use digest::{TABLES as DIGEST_TABLES, forget as forget_digests};
pub(crate) use ntlm::{TABLES as NTLM_TABLES, forget as forget_ntlm};
pub(crate) use pins::{TABLES as CERTIFICATE_TABLES, forget_account as forget_certificates, is_pinned};
pub(crate) use principals::{TABLES as PRINCIPAL_TABLES, forget_account as forget_principals, is_named};
pub(crate) use scram::{TABLES as SCRAM_TABLES, prune as prune_keys};

/// Most app passwords of an account.
pub const MAX_APP_PASSWORDS: usize = 50;

/// A login's stored hashes, taken out of the database; also made for a login that does not exist.
#[derive(Debug, Clone)]
pub struct Candidates {
    login: String,
    owner: Option<Owner>,
}

/// The account behind a login.
#[derive(Debug, Clone)]
struct Owner {
    account: AccountId,
    address: Address,
    state: State,
    has_labels: bool,
    has_ntlm: bool,
    /// Of how many mechanisms with digests it has keys, or will have.
    digests: i64,
    stored: Vec<Stored>,
}

/// A credential as stored.
#[derive(Debug, Clone)]
struct Stored {
    id: i64,
    name: Option<String>,
    hash: PasswordHash,
    scopes: Vec<Service>,
    expires: Option<Timestamp>,
    last_used: Option<Timestamp>,
    has_keys: bool,
    has_ntlm_key: bool,
    digest_keys: i64,
}

/// That somebody proved to be who they say. Only a proof that this module looked at makes one ([`Candidates::verify`],
/// [`ScramCandidates::verify`], [`by_certificate`]), and [`by_token`] for a token that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    account: AccountId,
    holder: AccountId,
    address: Address,
    login: String,
    service: Service,
    credential: i64,
    app: Option<String>,
    has_labels: bool,
    last_used: Option<Timestamp>,
    has_keys: bool,
    lacks_ntlm: bool,
    lacks_digests: bool,
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
    /// The right password of an account with a second step, which a protocol cannot ask for: the program needs a password of
    /// its own (IMAP `[AUTHORIZATIONFAILED]`).
    SecondStep,
}

/// Takes a login's hashes out: by any address of the account, by the bare local part when there is
/// one domain only, or as `DOMAIN\user` by the first label of a domain. Two or three statements.
pub fn candidates(tx: &ReadTx, login: &str) -> Result<Candidates> {
    let nobody = Candidates { login: login.to_owned(), owner: None };
    let Some(address) = login_address(tx, login)? else {
        return Ok(nobody);
    };
    let owner = tx.row(
        "SELECT x.id, x.address, x.state,
                EXISTS (SELECT 1 FROM label_account AS l WHERE l.account = x.id AND l.whole = 1),
                EXISTS (SELECT 1 FROM ntlm_account AS n WHERE n.account = x.id),
                (SELECT COUNT(*) FROM digest_account AS g WHERE g.account = x.id)
         FROM address AS a JOIN account AS x ON x.id = a.account
         WHERE a.domain = COALESCE((SELECT d.domain FROM domain_alias AS d WHERE d.alias = $1), $1)
           AND a.local = $2 AND a.kind = 'account' AND x.state <> 'deleted'",
        params![address.domain().as_str(), &address.key()],
        |row| {
            let (account, state) = (row.id(0)?, State::from_name(&row.text(2)?));
            let address = Address::stored(&row.text(1)?);
            let (has_labels, has_ntlm, digests) = (row.bool(3)?, row.bool(4)?, row.int(5)?);
            Ok(Owner { account, address, state, has_labels, has_ntlm, digests, stored: Vec::new() })
        },
    )?;
    // What a name that nobody has is asked is as much: the time it takes tells nothing.
    let account = owner.as_ref().map_or(NOBODY, |owner| owner.account);
    let stored = tx.rows(
        "SELECT c.id, c.name, c.hash, c.scopes, c.expires, c.last_used, EXISTS (
             SELECT 1 FROM scram_key AS k WHERE k.account = c.account AND k.credential = c.id), EXISTS (
             SELECT 1 FROM ntlm_key AS k WHERE k.account = c.account AND k.credential = c.id), (
             SELECT COUNT(*) FROM digest_key AS k WHERE k.account = c.account AND k.credential = c.id)
         FROM credential AS c WHERE c.account = $1",
        params![account],
        |row| {
            Ok(Stored {
                id: row.int(0)?,
                name: row.text_or_null(1)?,
                hash: PasswordHash::stored(row.text(2)?),
                scopes: scopes(&row.text(3)?),
                expires: row.int_or_null(4)?.map(Timestamp),
                last_used: row.int_or_null(5)?.map(Timestamp),
                has_keys: row.bool(6)?,
                has_ntlm_key: row.bool(7)?,
                digest_keys: row.int(8)?,
            })
        },
    )?;
    Ok(Candidates { owner: owner.map(|owner| Owner { stored, ..owner }), ..nobody })
}

/// No account has this number.
const NOBODY: AccountId = AccountId(0);

/// Who a bearer token is for, which its keeper has verified for this service: `grant` and `client` as it says. The name that the
/// client gave, if any, has to be the account's.
pub fn by_token(
    tx: &ReadTx,
    address: &Address,
    login: &str,
    (grant, client): (i64, String),
    service: Service,
) -> Result<std::result::Result<Authenticated, Refused>> {
    let owner = candidates(tx, &address.to_string())?;
    let same = login.is_empty() || (owner.owner.is_some() && candidates(tx, login)?.account() == owner.account());
    if !same {
        return Ok(Err(Refused::Wrong));
    }
    let login = if login.is_empty() { address.to_string() } else { login.to_owned() };
    Ok(Candidates { login, ..owner }.vouched(grant, Some(client), service))
}

/// The address that a login means.
fn login_address(tx: &ReadTx, login: &str) -> Result<Option<Address>> {
    if login.contains('@') {
        return Ok(Address::parse(login).ok());
    }
    let (label, local) = login.split_once('\\').map_or((None, login), |(label, local)| (Some(label), local));
    if let Some(label) = label
        && let Some(domain) = labelled(tx, label)?
    {
        return Ok(Address::new(local, &domain).ok());
    }
    let domains = tx.rows("SELECT name FROM domain LIMIT 2", params![], |row| row.text(0))?;
    match domains.as_slice() {
        [only] => Ok(Address::new(local, only).ok()),
        [] | [..] => Ok(None),
    }
}

/// The domain that `DOMAIN\user` means: by its whole name, or the only one whose first label it is, as Windows shortens it.
/// What means none is as if it were not there, because clients put the name of their own machine into that place.
fn labelled(tx: &ReadTx, label: &str) -> Result<Option<String>> {
    let label = label.to_ascii_lowercase();
    // Names are lower case: what begins with the label and a dot lies between these two.
    let (from, to) = (format!("{label}."), format!("{label}/"));
    let found = tx.rows(
        "SELECT name FROM domain WHERE name = $1 OR (name > $2 AND name < $3) ORDER BY name LIMIT 2",
        params![&label, &from, &to],
        |row| row.text(0),
    )?;
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(Some(only)),
        (Some(first), Some(_)) if first == label => Ok(Some(first)),
        (Some(_) | None, _) => Ok(None),
    }
}

impl Candidates {
    /// Checks a password. One argon2id run, 20 to 50 ms, also for a login that does not exist, so that the time
    /// of a refusal tells nothing; a right app password is quick.
    pub fn verify(
        &self,
        password: &str,
        service: Service,
        now: Timestamp,
    ) -> std::result::Result<Authenticated, Refused> {
        self.verify_in(&Workspace::default(), password, service, now)
    }

    /// The same in memory that is kept.
    pub(crate) fn verify_in(
        &self,
        workspace: &Workspace,
        password: &str,
        service: Service,
        now: Timestamp,
    ) -> std::result::Result<Authenticated, Refused> {
        let stored = self.owner.as_ref().map_or(&[][..], |owner| &owner.stored);
        let app = stored.iter().find(|stored| stored.hash.is_quick() && stored.hash.matches(password, workspace));
        // A right app password is quick. All others cost one argon2id run, whatever there is to compare with.
        let hit = app.or_else(|| {
            let main = stored.iter().find(|stored| !stored.hash.is_quick());
            let dummy = PasswordHash::dummy();
            main.map_or(&dummy, |stored| &stored.hash).matches(password, workspace).then_some(main).flatten()
        });
        match (&self.owner, hit) {
            (Some(owner), Some(stored)) => self.grant(owner, stored, service, now),
            (Some(_) | None, Some(_) | None) => Err(Refused::Wrong),
        }
    }

    /// The password is right: does it count?
    fn grant(
        &self,
        owner: &Owner,
        stored: &Stored,
        service: Service,
        now: Timestamp,
    ) -> std::result::Result<Authenticated, Refused> {
        if owner.state != State::Active {
            return Err(Refused::Suspended);
        }
        if stored.expires.is_some_and(|expires| expires <= now) {
            return Err(Refused::Expired);
        }
        if !stored.scopes.contains(&service) {
            return Err(Refused::Scope);
        }
        Ok(Authenticated {
            account: owner.account,
            holder: owner.account,
            address: owner.address.clone(),
            login: self.login.clone(),
            service,
            credential: stored.id,
            app: stored.name.clone(),
            has_labels: owner.has_labels,
            last_used: stored.last_used,
            has_keys: stored.has_keys,
            lacks_ntlm: owner.has_ntlm && !stored.has_ntlm_key,
            lacks_digests: owner.digests > stored.digest_keys,
        })
    }

    /// Who it is when something else than a password says so: it has been looked at, except for whether the account works.
    fn vouched(
        &self,
        credential: i64,
        app: Option<String>,
        service: Service,
    ) -> std::result::Result<Authenticated, Refused> {
        let owner = self.owner.as_ref().ok_or(Refused::Wrong)?;
        if owner.state != State::Active {
            return Err(Refused::Suspended);
        }
        Ok(Authenticated {
            account: owner.account,
            holder: owner.account,
            address: owner.address.clone(),
            login: if self.login.is_empty() { owner.address.to_string() } else { self.login.clone() },
            service,
            credential,
            app,
            has_labels: owner.has_labels,
            last_used: None,
            has_keys: true,
            lacks_ntlm: false,
            lacks_digests: false,
        })
    }

    /// The account, when the login is one's: for limits and the log, not for any answer to the client.
    pub fn account(&self) -> Option<AccountId> {
        self.owner.as_ref().map(|owner| owner.account)
    }

    /// Everything that a verification depends on except the password and the time, for [`crate::LoginCache`].
    pub(crate) fn fingerprint(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        if let Some(owner) = &self.owner {
            hasher.update(&owner.account.0.to_le_bytes());
            hasher.update(owner.state.name().as_bytes());
            for stored in &owner.stored {
                hasher.update(&stored.id.to_le_bytes());
                hasher.update(&stored.expires.map_or(0, |expires| expires.0).to_le_bytes());
                hasher.update(&[u8::try_from(stored.scopes.len()).unwrap_or(u8::MAX)]);
                for scope in &stored.scopes {
                    hasher.update(scope.name().as_bytes());
                }
                hasher.update(stored.hash.as_str().as_bytes());
            }
        }
        hasher.finalize()
    }

    /// The credential that `remembered` was made with, checked again in all but the password.
    pub(crate) fn again(
        &self,
        credential: i64,
        service: Service,
        now: Timestamp,
    ) -> Option<std::result::Result<Authenticated, Refused>> {
        let owner = self.owner.as_ref()?;
        let stored = owner.stored.iter().find(|stored| stored.id == credential)?;
        Some(self.grant(owner, stored, service, now))
    }
}

impl Authenticated {
    /// Whose.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Whose password or token it was: another's than the account's when a delegate signed in. With [`Authenticated::credential`]
    /// it is what the connection depends on.
    pub fn holder(&self) -> AccountId {
        self.holder
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

    /// Whether the account has labels ([`crate::labels`]), as it was at the login.
    pub fn has_labels(&self) -> bool {
        self.has_labels
    }

    /// The app password's name, when one was used.
    pub fn app(&self) -> Option<&str> {
        self.app.as_deref()
    }

    /// Which credential, or which grant a token came from: its number in the account, never given twice.
    pub fn credential(&self) -> i64 {
        self.credential
    }

    /// Whether the last use is older than a day, so that [`touch`] is worth a write.
    pub fn should_touch(&self, now: Timestamp) -> bool {
        self.last_used.is_none_or(|last| now.0 - last.0 >= TOUCH_MICROS)
    }

    /// Whether a password opened it that SCRAM has no keys of yet: [`keep_for`] then mends that.
    pub fn lacks_keys(&self) -> bool {
        !self.has_keys
    }

    /// Whether NTLM was switched on for the account and has no key of the password yet: [`keep_ntlm`] then mends that.
    pub fn lacks_ntlm(&self) -> bool {
        self.lacks_ntlm
    }

    /// Whether CRAM-MD5 or APOP was switched on for the account and has no key of the password yet: [`keep_digests`] then mends
    /// that.
    pub fn lacks_digests(&self) -> bool {
        self.lacks_digests
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
    may_have_passwords(tx, account)?;
    let modseq = journal::begin(tx, account)?;
    tx.execute("DELETE FROM credential WHERE account = $1 AND name IS NULL", params![account])?;
    scram::prune(tx, account)?;
    insert_password(tx, by, account, hash)?;
    let note = Note { before: b"password\n", ..Note::plain(Operation::Credential) };
    journal::end(tx, by, account, modseq, &note)
}

/// Nobody logs in to a shared account.
fn may_have_passwords(tx: &ReadTx, account: AccountId) -> Result<()> {
    accounts::existing(tx, account)?;
    match acl::is_shared_account(tx, account)? {
        true => Err(Error::Refused("a shared account has no passwords: its members log in as themselves")),
        false => Ok(()),
    }
}

/// Writes the row of an account's password. One statement.
pub(crate) fn insert_password(tx: &mut WriteTx, by: &By, account: AccountId, hash: &PasswordHash) -> Result<()> {
    insert(tx, by, account, new_id(), None, &Service::ALL, None, hash)
}

#[expect(clippy::too_many_arguments, reason = "one row, column by column")]
fn insert(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    id: i64,
    name: Option<&str>,
    scopes: &[Service],
    expires: Option<Timestamp>,
    hash: &PasswordHash,
) -> Result<()> {
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
    tx.execute(
        "INSERT INTO credential (account, id, name, hash, scopes, expires, created)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![account, id, name, hash.as_str(), &scopes.join(" "), expires, by.now],
    )?;
    scram::keep(tx, account, id, hash.keys())
}

fn scopes(text: &str) -> Vec<Service> {
    text.split_ascii_whitespace().filter_map(Service::from_name).collect()
}

/// Adds an app password; answers with its number. Errors: `Refused` for no name or no scope,
/// `Exists(Credential)`, `Limit(AppPasswords)`.
pub fn add_app_password(tx: &mut WriteTx, by: &By, account: AccountId, new: &NewAppPassword) -> Result<i64> {
    may_have_passwords(tx, account)?;
    if new.name.is_empty() || new.name.len() > MAX_APP_NAME_BYTES || new.name.contains(char::is_control) {
        return Err(Error::Refused("an app password has a name of at most 200 bytes without control characters"));
    }
    if new.scopes.is_empty() {
        return Err(Error::Refused("an app password is for at least one service"));
    }
    let others = list(tx, account)?;
    if others.iter().any(|other| other.name.as_ref() == Some(&new.name)) {
        return Err(Error::Exists(What::Credential));
    }
    if others.iter().filter(|other| other.name.is_some()).count() >= MAX_APP_PASSWORDS {
        return Err(Error::Limit(Bound::AppPasswords));
    }
    let modseq = journal::begin(tx, account)?;
    let id = new_id();
    insert(tx, by, account, id, Some(&new.name), &new.scopes, new.expires, &new.hash)?;
    let before = format!("- {}\n", new.name);
    let note = Note { before: before.as_bytes(), ..Note::plain(Operation::Credential) };
    journal::end(tx, by, account, modseq, &note)?;
    Ok(id)
}

/// The account's credentials, the oldest first.
pub fn list(tx: &ReadTx, account: AccountId) -> Result<Vec<Credential>> {
    let rows = tx.rows(
        "SELECT id, name, scopes, expires, created, last_used FROM credential WHERE account = $1 ORDER BY id",
        params![account],
        |row| {
            Ok(Credential {
                id: row.int(0)?,
                name: row.text_or_null(1)?,
                scopes: scopes(&row.text(2)?),
                expires: row.int_or_null(3)?.map(Timestamp),
                created: row.id(4)?,
                last_used: row.int_or_null(5)?.map(Timestamp),
            })
        },
    )?;
    Ok(rows)
}

/// Takes an app password (by its number) away; it stops to work with the next login.
pub fn remove(tx: &mut WriteTx, by: &By, account: AccountId, id: i64) -> Result<()> {
    let credential = list(tx, account)?.into_iter().find(|credential| credential.id == id);
    let name = credential.and_then(|credential| credential.name).ok_or(Error::NotFound(What::Credential))?;
    let modseq = journal::begin(tx, account)?;
    tx.execute("DELETE FROM credential WHERE account = $1 AND id = $2", params![account, id])?;
    scram::prune(tx, account)?;
    let before = format!("+ {name}\n");
    let note = Note { before: before.as_bytes(), ..Note::plain(Operation::Credential) };
    journal::end(tx, by, account, modseq, &note)
}

/// Notes that a credential was used; ask [`Authenticated::should_touch`] before. Not an operation of the
/// account. Locks: none. One statement.
pub fn touch(tx: &mut WriteTx, login: &Authenticated, now: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE credential SET last_used = $3 WHERE account = $1 AND id = $2",
        params![login.holder, login.credential, now],
    )?;
    Ok(())
}

/// How exactly the last use of a credential is known.
const TOUCH_MICROS: i64 = 24 * 60 * 60 * 1_000_000;
/// Longest name of an app password.
const MAX_APP_NAME_BYTES: usize = 200;
