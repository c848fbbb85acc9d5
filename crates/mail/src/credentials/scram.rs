//! The keys of SCRAM (RFC 5802 §3): kept beside the hash of a password, for those clients that never send one.
//!
//! Invariants:
//! 1. All keys of an account with one hash have one salt and one count of iterations, so that the server can say them before it
//!    knows which of the account's passwords is meant: the proof is tried with each (`docs/decisions`, "SCRAM and several passwords").
//! 2. A name that nobody has gets a salt all the same, always the same one, out of the server's secret, and a proof
//!    costs as much with it as with any other.
//! 3. Keys of a credential go with the credential.

use postroad_sasl::scram::{Hash, Keys, Offer, Proof};
use postroad_store::{AccountId, Locks, ReadTx, Timestamp, WriteTx, params};

use super::{Authenticated, Candidates, MAX_APP_PASSWORDS, Refused, candidates, login_address};
use crate::password::random;
use crate::{Error, Result, Service};

/// The keys, and the server's secret for names that nobody has.
pub(crate) const TABLES: &str = "
CREATE TABLE scram_key (
    account BIGINT NOT NULL,
    credential BIGINT NOT NULL,
    hash {text} NOT NULL,
    iterations BIGINT NOT NULL,
    salt {bytes} NOT NULL,
    stored {bytes} NOT NULL,
    server {bytes} NOT NULL,
    PRIMARY KEY (account, credential, hash)
) {clustered};
CREATE TABLE login_secret (
    id BIGINT PRIMARY KEY,
    secret {bytes} NOT NULL
);
";

/// What an account's keys are made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salts(Vec<(Hash, Vec<u8>, u32)>);

impl Salts {
    /// New ones.
    pub fn fresh() -> Result<Salts> {
        let one = |hash: Hash| Ok((hash, random::<SALT>()?.to_vec(), hash.iterations()));
        Ok(Salts(Hash::ALL.into_iter().map(one).collect::<Result<_>>()?))
    }

    /// Makes the keys of a password: some 30 ms, not for a transaction.
    pub fn keys(&self, password: &str) -> Vec<Keys> {
        self.0.iter().map(|(hash, salt, iterations)| Keys::derive(*hash, password, salt, *iterations)).collect()
    }
}

/// The server's secret, which names that nobody has get their salts from.
#[derive(Clone)]
pub struct ServerSecret([u8; 32]);

impl std::fmt::Debug for ServerSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerSecret(***)")
    }
}

/// Reads the server's secret, or makes it. The same on all nodes. Locks: [`ServerSecret::lock`].
pub fn server_secret(tx: &mut WriteTx) -> Result<ServerSecret> {
    let fresh = random::<32>()?;
    tx.execute(
        "INSERT INTO login_secret (id, secret) VALUES (1, $1) ON CONFLICT (id) DO NOTHING",
        params![&fresh[..]],
    )?;
    let secret = tx.one("SELECT secret FROM login_secret WHERE id = 1", params![], |row| row.bytes(0))?;
    let secret = secret.try_into().map_err(|_| Error::Corrupt("the login secret has no 32 octets".into()))?;
    Ok(ServerSecret(secret))
}

impl ServerSecret {
    /// What [`server_secret`] is called under.
    pub fn lock() -> Locks {
        Locks::named("login-secret")
    }

    fn salt(&self, hash: Hash, name: &str) -> Vec<u8> {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"postroad 2026 scram salt\0");
        hasher.update(hash.name().as_bytes());
        hasher.update(b"\0");
        hasher.update(name.as_bytes());
        hasher.finalize().as_bytes()[..SALT].to_vec()
    }
}

/// The salts of an account's keys, new ones where it has none: for who sets a password of it.
pub fn salts(tx: &ReadTx, account: AccountId) -> Result<Salts> {
    let there =
        tx.rows("SELECT DISTINCT hash, salt, iterations FROM scram_key WHERE account = $1", params![account], |row| {
            Ok((row.text(0)?, row.bytes(1)?, row.int(2)?))
        })?;
    let mut salts = Salts::fresh()?;
    for (hash, salt, iterations) in &mut salts.0 {
        if let Some((_, kept, count)) = there.iter().find(|(name, _, _)| name == hash.name()) {
            kept.clone_into(salt);
            *iterations = u32::try_from(*count).map_err(|_| Error::Corrupt("iterations of SCRAM keys".into()))?;
        }
    }
    Ok(salts)
}

/// Keeps the keys of a credential, unless it has some or the account's others have another salt: then they are made when the
/// password is next seen. One statement for each. Locks: the account's.
pub(crate) fn keep(tx: &mut WriteTx, account: AccountId, credential: i64, keys: &[Keys]) -> Result<()> {
    for one in keys {
        tx.execute(
            "INSERT INTO scram_key (account, credential, hash, iterations, salt, stored, server)
             SELECT $1, $2, $3, $4, $5, $6, $7 WHERE NOT EXISTS (
                 SELECT 1 FROM scram_key WHERE account = $1 AND hash = $3 AND (salt <> $5 OR iterations <> $4))
             ON CONFLICT (account, credential, hash) DO NOTHING",
            params![
                account,
                credential,
                one.hash.name(),
                i64::from(one.iterations),
                &one.salt[..],
                &one.stored[..],
                &one.server[..]
            ],
        )?;
    }
    Ok(())
}

/// Keeps the keys of a password that was just seen: `login` says of which credential. Not an operation of the account. Locks:
/// the account's.
pub fn keep_for(tx: &mut WriteTx, login: &Authenticated, keys: &[Keys]) -> Result<()> {
    // The password may have been changed or taken away meanwhile.
    let there = tx.one(
        "SELECT EXISTS (SELECT 1 FROM credential WHERE account = $1 AND id = $2)",
        params![login.account, login.credential],
        |row| row.bool(0),
    )?;
    if there { keep(tx, login.account, login.credential, keys) } else { Ok(()) }
}

/// Lets go of the keys of credentials that are gone, those of other mechanisms too. Three statements.
pub(crate) fn prune(tx: &mut WriteTx, account: AccountId) -> Result<()> {
    tx.execute(
        "DELETE FROM scram_key WHERE account = $1
         AND credential NOT IN (SELECT id FROM credential WHERE account = $1)",
        params![account],
    )?;
    super::ntlm::prune(tx, account)?;
    super::digest::prune(tx, account)
}

/// A login's keys, taken out of the database; also made for a login that does not exist.
#[derive(Debug, Clone)]
pub struct ScramCandidates {
    candidates: Candidates,
    salt: Vec<u8>,
    iterations: u32,
    keys: Vec<(i64, Keys)>,
    hash: Hash,
}

/// Takes a login's keys out. The same statements for every login that names a domain.
pub fn scram_candidates(tx: &ReadTx, login: &str, hash: Hash, secret: &ServerSecret) -> Result<ScramCandidates> {
    let candidates = candidates(tx, login)?;
    let keys = tx.rows(
        "SELECT credential, iterations, salt, stored, server FROM scram_key WHERE account = $1 AND hash = $2
         ORDER BY credential LIMIT 64",
        params![candidates.account().unwrap_or(AccountId(0)), hash.name()],
        |row| {
            let iterations = u32::try_from(row.int(1)?).unwrap_or(1);
            let keys = Keys { hash, iterations, salt: row.bytes(2)?, stored: row.bytes(3)?, server: row.bytes(4)? };
            Ok((row.int(0)?, keys))
        },
    )?;
    let nobody = secret.salt(hash, &canonical(tx, login)?);
    let (salt, iterations) = match keys.first() {
        Some((_, first)) => (first.salt.clone(), first.iterations),
        None => (nobody, hash.iterations()),
    };
    Ok(ScramCandidates { candidates, salt, iterations, keys, hash })
}

/// A login in the one form that its ways of writing share, as far as an account's would be shared.
fn canonical(tx: &ReadTx, login: &str) -> Result<String> {
    let Some(address) = login_address(tx, login)? else { return Ok(login.to_lowercase()) };
    let domain = tx.one(
        "SELECT COALESCE((SELECT domain FROM domain_alias WHERE alias = $1), $1)",
        params![address.domain().as_str()],
        |row| row.text(0),
    )?;
    Ok(format!("{}@{domain}", address.key()))
}

impl ScramCandidates {
    /// What the client is told.
    pub fn offer(&self, nonce: String) -> Offer {
        Offer { salt: self.salt.clone(), iterations: self.iterations, nonce }
    }

    /// Checks a proof; with who it is comes the server's signature. The same work for every login: a proof is tried with as many keys
    /// as an account can have.
    pub fn verify(
        &self,
        proof: &Proof,
        service: Service,
        now: Timestamp,
    ) -> std::result::Result<(Authenticated, Vec<u8>), Refused> {
        let nobody = Keys::nobody(self.hash);
        let mut hit = None;
        for number in 0..=MAX_APP_PASSWORDS {
            let (credential, keys) = match self.keys.get(number) {
                Some((credential, keys)) => (Some(*credential), keys),
                None => (None, &nobody),
            };
            // A proof that opens "nobody" opens nothing.
            if let (Some(signature), Some(credential)) = (keys.verify(proof), credential) {
                hit = Some((credential, signature));
            }
        }
        let (credential, signature) = hit.ok_or(Refused::Wrong)?;
        let authenticated = self.candidates.again(credential, service, now).ok_or(Refused::Wrong)??;
        Ok((authenticated, signature))
    }

    /// The account, when the login is one's.
    pub fn account(&self) -> Option<AccountId> {
        self.candidates.account()
    }
}

/// Octets of a salt.
const SALT: usize = 16;
