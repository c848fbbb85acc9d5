//! Keys that sign our mail: where each stands, and what its record in the DNS was last seen to be.
//!
//! Invariants:
//! 1. A key that signs (`active`) was seen in the DNS, or an administrator or the lack of any resolver decided that it
//!    signs unseen. `docs/decisions/019-first-signatures.md` says why.
//! 2. Of one domain and algorithm at most one key is `active`: the moment one becomes so, the other is `retired`.
//! 3. The private half of a key that is `gone` is erased in the same statement.
//! 4. A selector is never given twice in a domain while its row exists, and it says the day it was made.
//!
//! | from | to | when | by |
//! |---|---|---|---|
//! | nothing | `made` | the domain is made, the server starts, rotation, import | [`put`] |
//! | `made` | `published` | its record is in the DNS | [`record_look`] |
//! | `published` | `active` | at once where none signs yet, else after [`Policy::settle`] | [`record_look`] |
//! | `made` | `active` | there is nobody to ask | [`record_look`] |
//! | any but `gone` | `active` | an administrator says so | [`activate`] |
//! | `active` | `retired` | another of its kind is active | with the above |
//! | `retired` | `gone` | after [`Policy::retire`], when no mail that it signed is under way | [`record_look`] |
//! | any | `gone` | it is known to others | [`revoke`] |
//!
//! What is never here: DNS, the making of keys within a transaction, a clock. Selectors and records: RFC 6376 §3.1, §3.6.1.

mod change;
mod look;
mod new;
pub mod record;

use std::fmt;

use postroad_store::{AccountId, Migration, ModSeq, ReadTx, Result, Row, Timestamp, WriteTx, new_id, params};

pub use change::{activate, erase_domain, retire, revoke};
pub use look::{Event, Finding, Policy, TELL_EVERY, due, look_now, record_look};
pub use new::{NewKey, lacking, put, put_named, wants_selector};

/// The table of this module.
pub const MIGRATION: Migration = Migration { owner: "keys", version: 1, sql: V1 };

/// `due`: when it is to be looked at next; NULL for never. `secret`: PKCS#8, empty once the key is gone. `found` and
/// `found_text`: what the DNS had at `checked`. `told` is when the administrator was last told of what is wrong.
const V1: &str = "
CREATE TABLE signing_key (
    id BIGINT PRIMARY KEY,
    domain {text} NOT NULL,
    selector {text} NOT NULL,
    algorithm {text} NOT NULL,
    state {text} NOT NULL,
    secret {bytes} NOT NULL,
    record {text} NOT NULL,
    made BIGINT NOT NULL,
    since BIGINT NOT NULL,
    active BIGINT,
    due BIGINT,
    checked BIGINT,
    found {text} NOT NULL,
    found_text {text},
    told BIGINT
);
CREATE UNIQUE INDEX signing_key_selector ON signing_key (domain, selector);
CREATE INDEX signing_key_due ON signing_key (due);
";

/// News of keys: no account has this number. Whoever keeps keys in memory listens with `store.hub().subscribe(NEWS)`.
pub const NEWS: AccountId = AccountId(-1);

/// Wakes whoever keeps keys in memory, on all nodes.
fn news(tx: &mut WriteTx) {
    tx.publish(NEWS, ModSeq(new_id()));
}

/// Changes of one domain's keys wait for each other under this name: [`postroad_store::Locks::named`].
pub fn lock(domain: &str) -> String {
    format!("signing keys {domain}")
}

/// A key's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub i64);

impl From<i64> for KeyId {
    fn from(id: i64) -> KeyId {
        KeyId(id)
    }
}

/// What a key signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// rsa-sha256 (RFC 6376 §3.3.1, RFC 8301).
    Rsa,
    /// ed25519-sha256 (RFC 8463).
    Ed25519,
}

impl Algorithm {
    /// All, in the order in which they sign: who verifies only the first gets the one that everybody knows.
    pub const ALL: [Algorithm; 2] = [Algorithm::Rsa, Algorithm::Ed25519];

    /// As it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Rsa => "rsa",
            Algorithm::Ed25519 => "ed25519",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// Where a key stands; the module's table says how it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Its record waits to be published.
    Made,
    /// Its record is in the DNS.
    Published,
    /// It signs.
    Active,
    /// It signs no more; its record is wanted for mail that is under way.
    Retired,
    /// Nobody needs it any more, and its private half is erased.
    Gone,
}

impl State {
    /// All, in the order of a key's life.
    pub const ALL: [State; 5] = [State::Made, State::Published, State::Active, State::Retired, State::Gone];

    /// As it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            State::Made => "made",
            State::Published => "published",
            State::Active => "active",
            State::Retired => "retired",
            State::Gone => "gone",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether the DNS has to have its record.
    pub fn wants_record(self) -> bool {
        match self {
            State::Made | State::Published | State::Active | State::Retired => true,
            State::Gone => false,
        }
    }
}

/// What the DNS had where a key's record belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nobody looked yet.
    Unasked,
    /// The record of this key.
    Good,
    /// Nothing.
    Missing,
    /// Something else; what is wrong with it.
    Differs(String),
    /// It could not be asked; why. What was known before still holds.
    Failed(String),
}

impl Found {
    fn name(&self) -> &'static str {
        match self {
            Found::Unasked => "unasked",
            Found::Good => "good",
            Found::Missing => "missing",
            Found::Differs(_) => "differs",
            Found::Failed(_) => "failed",
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Found::Differs(text) | Found::Failed(text) => Some(text),
            Found::Unasked | Found::Good | Found::Missing => None,
        }
    }

    fn stored(name: &str, text: Option<String>) -> Found {
        let text = text.unwrap_or_default();
        match name {
            "good" => Found::Good,
            "missing" => Found::Missing,
            "differs" => Found::Differs(text),
            "failed" => Found::Failed(text),
            _ => Found::Unasked,
        }
    }

    /// Whether a signature with this key fails everywhere.
    pub fn is_wrong(&self) -> bool {
        match self {
            Found::Missing | Found::Differs(_) => true,
            Found::Unasked | Found::Good | Found::Failed(_) => false,
        }
    }
}

/// A key without its private half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its number.
    pub id: KeyId,
    /// Whose mail it signs: a domain of ours, an alias of one, or this server's own name; A-labels in lower case.
    pub domain: String,
    /// Its name in the domain.
    pub selector: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Where it stands.
    pub state: State,
    /// What its TXT record has to say.
    pub record: String,
    /// When it was made.
    pub made: Timestamp,
    /// Since when it is in its state.
    pub since: Timestamp,
    /// When it began to sign.
    pub active: Option<Timestamp>,
    /// When it was last looked for in the DNS.
    pub checked: Option<Timestamp>,
    /// What was there.
    pub found: Found,
    /// When the administrator was last told that it is wrong.
    told: Option<Timestamp>,
}

impl Key {
    /// Where its record belongs: `selector._domainkey.domain`.
    pub fn name(&self) -> String {
        record::name(&self.selector, &self.domain)
    }

    /// It signs, and nobody can verify it.
    pub fn is_alarming(&self) -> bool {
        self.state == State::Active && self.found.is_wrong()
    }
}

/// A key that can sign.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its name in the domain.
    pub selector: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// PKCS#8.
    pub pkcs8: Vec<u8>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("selector", &self.selector).finish_non_exhaustive()
    }
}

/// The keys that sign for a domain, in the order of [`Algorithm::ALL`]. One statement.
pub fn signing(tx: &ReadTx, domain: &str) -> Result<Vec<Secret>> {
    let mut secrets = secrets(tx, "domain = $1 AND state = 'active'", domain)?;
    secrets.sort_by_key(|secret| secret.algorithm);
    Ok(secrets)
}

/// The private half of one key; `None` when there is no such key or it is gone.
pub fn secret(tx: &ReadTx, domain: &str, selector: &str) -> Result<Option<Secret>> {
    Ok(secrets(tx, "domain = $1 AND state <> 'gone'", domain)?.into_iter().find(|secret| secret.selector == selector))
}

fn secrets(tx: &ReadTx, condition: &str, domain: &str) -> Result<Vec<Secret>> {
    let sql = format!("SELECT selector, algorithm, secret FROM signing_key WHERE {condition} ORDER BY selector");
    let rows = tx.rows(&sql, params![domain], |row| {
        let (selector, name) = (row.text(0)?, row.text(1)?);
        // A kind of a later version is nobody's to sign with.
        let Some(algorithm) = Algorithm::from_name(&name) else { return Ok(None) };
        Ok(Some(Secret { selector, algorithm, pkcs8: row.bytes(2)? }))
    })?;
    Ok(rows.into_iter().flatten().collect())
}

/// Keys of a domain, or of all, the newest last. One statement.
pub fn list(tx: &ReadTx, domain: Option<&str>) -> Result<Vec<Key>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM signing_key WHERE ($1 = '' OR domain = $1) ORDER BY domain, made, algorithm DESC, selector"
    );
    Ok(tx.rows(&sql, params![domain.unwrap_or_default()], read)?.into_iter().flatten().collect())
}

/// One key. One statement.
pub fn find(tx: &ReadTx, domain: &str, selector: &str) -> Result<Option<Key>> {
    let sql = format!("SELECT {COLUMNS} FROM signing_key WHERE domain = $1 AND selector = $2");
    Ok(tx.row(&sql, params![domain, selector], read)?.flatten())
}

/// Keys that sign though nobody can verify what they sign: the alarm. One statement.
pub fn alarming(tx: &ReadTx) -> Result<Vec<Key>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM signing_key WHERE state = 'active' AND found IN ('missing', 'differs') ORDER BY domain, selector"
    );
    Ok(tx.rows(&sql, params![], read)?.into_iter().flatten().collect())
}

/// Domains that have keys. One statement.
pub fn domains(tx: &ReadTx) -> Result<Vec<String>> {
    tx.rows("SELECT DISTINCT domain FROM signing_key ORDER BY domain", params![], |row| row.text(0))
}

fn read(row: &Row<'_>) -> Result<Option<Key>> {
    let (Some(algorithm), Some(state)) = (Algorithm::from_name(&row.text(3)?), State::from_name(&row.text(4)?)) else {
        return Ok(None);
    };
    Ok(Some(Key {
        id: row.id(0)?,
        domain: row.text(1)?,
        selector: row.text(2)?,
        algorithm,
        state,
        record: row.text(5)?,
        made: row.id(6)?,
        since: row.id(7)?,
        active: row.int_or_null(8)?.map(Timestamp),
        checked: row.int_or_null(9)?.map(Timestamp),
        found: Found::stored(&row.text(10)?, row.text_or_null(11)?),
        told: row.int_or_null(12)?.map(Timestamp),
    }))
}

const COLUMNS: &str =
    "id, domain, selector, algorithm, state, record, made, since, active, checked, found, found_text, told";
