//! A login's keys that are kept sealed, and how a proof is tried with them: as many times for every name.

use postroad_store::{AccountId, Timestamp};

use super::{Authenticated, Candidates, MAX_APP_PASSWORDS, Refused};
use crate::{Result, Service};

/// A login's sealed keys with the credentials they are of; also made for a login that does not exist.
#[derive(Debug, Clone)]
pub(super) struct SealedKeys {
    pub(super) candidates: Candidates,
    pub(super) keys: Vec<(i64, Vec<u8>)>,
}

impl SealedKeys {
    /// Whom a proof lets in. `is_right` opens a key and tries the proof; for `None` it takes the key of nobody, so that it has
    /// the same to do for every login.
    pub(super) fn tried(
        &self,
        service: Service,
        now: Timestamp,
        mut is_right: impl FnMut(AccountId, Option<(i64, &[u8])>) -> Result<bool>,
    ) -> Result<std::result::Result<Authenticated, Refused>> {
        let account = self.candidates.account().unwrap_or(AccountId(0));
        let mut hit = None;
        for number in 0..=MAX_APP_PASSWORDS {
            let key = self.keys.get(number).map(|(credential, sealed)| (*credential, sealed.as_slice()));
            let right = is_right(account, key)?;
            // A proof that opens "nobody" opens nothing.
            if let (true, Some((credential, _))) = (right, key) {
                hit = Some(credential);
            }
        }
        let Some(credential) = hit else { return Ok(Err(Refused::Wrong)) };
        Ok(self.candidates.again(credential, service, now).unwrap_or(Err(Refused::Wrong)))
    }
}
