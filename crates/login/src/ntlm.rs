//! NTLM: challenges for everybody, proofs of those who it was switched on for.

use postroad_mail::credentials;
use postroad_mail::{Authenticated, Error, Refused, Service};
use postroad_sasl::Answer;
use postroad_sasl::ntlm::{Names, Proof, challenge};
use postroad_store::Locks;

use crate::{Denied, Logins, Who, random, unavailable};

pub use postroad_mail::credentials::NtlmSealer;

/// What NTLM needs beside the accounts.
#[derive(Debug)]
pub(crate) struct Ntlm {
    pub(crate) sealer: NtlmSealer,
    pub(crate) names: Names,
}

impl Logins {
    /// With NTLM: the key that its secrets are sealed with, and the server's name in the DNS. Without this every proof is refused.
    #[must_use]
    pub fn with_ntlm(self, sealer: NtlmSealer, host: &str) -> Logins {
        Logins { ntlm: Some(Ntlm { sealer, names: Names::new(host) }.into()), ..self }
    }

    /// A challenge, used once; the same for whoever asks.
    pub(crate) fn ntlm_challenge(&self, flags: u32) -> Result<Answer<Authenticated, Refused>, Denied> {
        let ntlm = self.ntlm.as_ref().ok_or(Denied::Refused(Refused::Wrong))?;
        Ok(Answer::Challenge(challenge(flags, &ntlm.names, random()?, (self.clock)().0)))
    }

    /// Whether a proof is right.
    pub(crate) async fn ntlm_proof(
        &self,
        who: Who,
        proof: Proof,
        service: Service,
    ) -> Result<Answer<Authenticated, Refused>, Denied> {
        let ntlm = self.ntlm.as_ref().ok_or(Denied::Refused(Refused::Wrong))?;
        let look = self.look(move |tx| credentials::ntlm_candidates(tx, &who.authcid));
        let candidates = look.await.map_err(unavailable)?;
        // Some 500 hashes of a few hundred octets: less than handing it to a thread costs.
        let found = candidates.verify(&ntlm.sealer, &proof, service, (self.clock)()).map_err(unavailable)?;
        found.map(Answer::granted).map_err(Denied::Refused)
    }

    /// A password that was just right gets its key, where NTLM was switched on and it has none.
    pub(crate) async fn keep_ntlm(&self, login: &Authenticated, password: &str) {
        let Some(ntlm) = self.ntlm.as_ref().filter(|_| login.lacks_ntlm()) else { return };
        let (kept, sealed) = (login.clone(), ntlm.sealer.seal(login, password));
        let write = move |tx: &mut postroad_store::WriteTx| credentials::keep_ntlm(tx, &kept, &sealed);
        let written: Result<_, Error> = self.store.write(Locks::account(login.account()), write).await;
        if let Err(error) = written {
            tracing::warn!(%error, "the key of a password for NTLM could not be kept");
        }
    }
}
