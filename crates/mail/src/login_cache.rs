//! Remembers fresh successful logins, so that a client that opens ten connections costs one argon2id run.
//!
//! It keeps no password and no hash of the store: a blake3 of (stored hashes, password) under a key that
//! lives as long as the process. A changed credential no longer matches by itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use postroad_store::Timestamp;

use crate::password::{MAX_PASSWORD_BYTES, Workspace, prepared, random};
use crate::{Authenticated, Candidates, Error, Refused, Service};

/// Most logins remembered.
pub const MAX_REMEMBERED: usize = 10_000;
/// How long a login is remembered.
pub const REMEMBERED_MICROS: i64 = 10 * 60 * 1_000_000;

/// See the module. Shared between threads.
pub struct LoginCache {
    key: [u8; 32],
    remembered: Mutex<HashMap<[u8; 32], Remembered>>,
    workspace: Workspace,
}

/// A login that succeeded.
struct Remembered {
    credential: i64,
    until: Timestamp,
}

impl LoginCache {
    /// An empty cache with a fresh random key.
    pub fn new() -> Result<LoginCache, Error> {
        Ok(LoginCache { key: random::<32>()?, remembered: Mutex::default(), workspace: Workspace::default() })
    }

    /// How many times a password was hashed slowly.
    pub fn hashes(&self) -> u64 {
        self.workspace.runs()
    }

    /// As [`Candidates::verify`], but quick for a login that lately succeeded.
    pub fn verify(
        &self,
        candidates: &Candidates,
        password: &str,
        service: Service,
        now: Timestamp,
    ) -> Result<Authenticated, Refused> {
        let name = self.name(candidates, password);
        if let Some(outcome) = self.recalled(&name, candidates, service, now) {
            return outcome;
        }
        let authenticated = candidates.verify_in(&self.workspace, password, service, now)?;
        self.remember(name, authenticated.credential(), now);
        Ok(authenticated)
    }

    /// The outcome of a login that lately succeeded, in microseconds: to be asked before waiting for a turn to
    /// [`LoginCache::verify`], so that no login that is remembered stands in line behind those that are not.
    pub fn known(
        &self,
        candidates: &Candidates,
        password: &str,
        service: Service,
        now: Timestamp,
    ) -> Option<Result<Authenticated, Refused>> {
        if password.len() > MAX_PASSWORD_BYTES {
            return None;
        }
        self.recalled(&self.name(candidates, password), candidates, service, now)
    }

    fn recalled(
        &self,
        name: &[u8; 32],
        candidates: &Candidates,
        service: Service,
        now: Timestamp,
    ) -> Option<Result<Authenticated, Refused>> {
        candidates.again(self.recall(name, now)?, service, now)
    }

    /// What a login is remembered by: useless without this process's key.
    fn name(&self, candidates: &Candidates, password: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(candidates.fingerprint().as_bytes());
        hasher.update(prepared(password).as_bytes());
        *hasher.finalize().as_bytes()
    }

    fn recall(&self, name: &[u8; 32], now: Timestamp) -> Option<i64> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(name).filter(|login| login.until > now).map(|login| login.credential)
    }

    fn remember(&self, name: [u8; 32], credential: i64, now: Timestamp) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, login| login.until > now);
            if remembered.len() >= MAX_REMEMBERED {
                // Rather some argon2id runs too many than a cache that grows.
                remembered.clear();
            }
        }
        remembered.insert(name, Remembered { credential, until: Timestamp(now.0 + REMEMBERED_MICROS) });
    }
}

impl std::fmt::Debug for LoginCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginCache")
    }
}
