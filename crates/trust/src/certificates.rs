//! Certificates that this server has, wants and is about to get, and the keys behind them; shared by all nodes.
//!
//! A *line* is a set of names that share a certificate, called by one of them or by their domain. It has keys (the current one and the next one,
//! so that TLSA records can name both, RFC 7671 §8.4), certificates, and the state of its order. What the certificate
//! authority says, and when, is decided elsewhere: nothing here speaks to anybody or looks at a clock.
//!
//! Invariants:
//! 1. A line is ordered for by one node at a time: whoever holds its lease. Nothing is written down for a holder whose
//!    lease has ended.
//! 2. A line has at most one current and one next key, and at most one certificate that is in use.
//! 3. A key is in the database before a certificate with it exists, so that no crash leaves a certificate without its key.
//! 4. Private keys and account credentials leave only as values whose `Debug` shows nothing.
//!
//! Transitions of a line: [`take`] (free → held), [`ordered`] (an order exists, with the key it will be for), [`issued`]
//! (its certificate is in use, the lease ends), [`failed`] (the lease ends, next try later), [`left`] (the lease ends).
//!
//! Standards: RFC 8555 (accounts, orders), RFC 8737, RFC 9773 (when to renew), RFC 6698 and 7671 (TLSA).

mod account;
mod challenge;
mod kept;
mod key;
mod line;

use postroad_store::{AccountId, ModSeq, WriteTx, new_id};

pub use account::{Account, account, forget_account, keep_account, keep_contact};
pub use challenge::{Answer, Challenge, alpn_answer, answer, forget_answers, http_answer};
pub use kept::{
    Certificate, CertificateState, NewCertificate, Origin, certificates, in_use, keep_window, revoke, revoked,
    to_revoke, use_certificate,
};
pub use key::{Key, KeyRole, NewKey, add_key, drop_next, keys, promote, seen_in_dns};
pub use line::{
    Failed, Line, Refused, Wish, failed, forget_line, hold, hurry, issued, left, line, lines, ordered, refuse, refused,
    take, want,
};

/// News of certificates: no account has this number. Whoever shows certificates, or orders them, listens with
/// `store.hub().subscribe(NEWS)`.
pub const NEWS: AccountId = AccountId(-443);

/// A private key or credentials: shown to nobody by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides a value.
    pub fn new(value: T) -> Secret<T> {
        Secret(value)
    }

    /// The value, for whoever signs or stores.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a change was not made.
#[derive(Debug)]
pub enum Error {
    /// The line is in another node's hands, or was taken over: what was done may be done again by it.
    Lost,
    /// There is no such line or certificate.
    Missing,
    /// The database failed.
    Store(postroad_store::Error),
}

impl From<postroad_store::Error> for Error {
    fn from(error: postroad_store::Error) -> Self {
        Error::Store(error)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Lost => f.write_str("another server has taken this order over"),
            Error::Missing => f.write_str("there is no such certificate; `postroad certificate list` shows all"),
            Error::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

/// What the functions here give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Wakes whoever shows or orders certificates, on all nodes.
fn news(tx: &mut WriteTx) {
    tx.publish(NEWS, ModSeq(new_id()));
}

/// Names in one text.
fn joined(names: &[String]) -> String {
    names.join(" ")
}

fn split(text: &str) -> Vec<String> {
    text.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The tables.
pub(crate) const V1: &str = "
CREATE TABLE acme_account (
    directory {text} NOT NULL PRIMARY KEY,
    credentials {text} NOT NULL,
    contact {text} NOT NULL,
    created BIGINT NOT NULL
);
CREATE TABLE certificate_line (
    name {text} NOT NULL PRIMARY KEY,
    names {text} NOT NULL,
    asked BIGINT NOT NULL,
    order_url {text},
    order_directory {text},
    order_key BIGINT,
    failures BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    hurried BIGINT NOT NULL,
    new_key BIGINT NOT NULL,
    problem {text} NOT NULL,
    next_step {text} NOT NULL,
    tried BIGINT NOT NULL,
    holder {text},
    held_until BIGINT NOT NULL
);
CREATE TABLE certificate_key (
    id {key},
    line {text} NOT NULL,
    algorithm {text} NOT NULL,
    pkcs8 {bytes} NOT NULL,
    spki {bytes} NOT NULL,
    role {text} NOT NULL,
    created BIGINT NOT NULL,
    seen BIGINT,
    ready BIGINT
);
CREATE INDEX certificate_key_of_line ON certificate_key (line);
CREATE UNIQUE INDEX certificate_key_role ON certificate_key (line, role) WHERE role <> 'old';
CREATE TABLE certificate (
    id {key},
    line {text} NOT NULL,
    key_id BIGINT NOT NULL,
    names {text} NOT NULL,
    chain {text} NOT NULL,
    origin {text} NOT NULL,
    directory {text} NOT NULL,
    serial {text} NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    state {text} NOT NULL,
    revoke_reason BIGINT,
    created BIGINT NOT NULL,
    window_start BIGINT,
    window_end BIGINT,
    window_ask BIGINT NOT NULL
);
CREATE INDEX certificate_of_line ON certificate (line);
CREATE UNIQUE INDEX certificate_in_use ON certificate (line) WHERE state = 'in-use';
CREATE TABLE certificate_answer (
    kind {text} NOT NULL,
    name {text} NOT NULL,
    line {text} NOT NULL,
    answer {text} NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE TABLE certificate_refusal (
    name {text} NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    until BIGINT NOT NULL,
    why {text} NOT NULL
);
";

/// Bytes kept of what an authority said.
const WORDS_MAX: usize = 2_000;

/// What others said, as it can be stored: without NUL, not endless.
fn storable(said: &str) -> String {
    let end = (0..=WORDS_MAX.min(said.len())).rev().find(|place| said.is_char_boundary(*place)).unwrap_or(0);
    said[..end].replace('\0', " ")
}
