//! CRAM-MD5 and APOP: challenges for everybody, proofs of those who they were switched on for.

use postroad_mail::credentials;
use postroad_mail::{Authenticated, Error, Refused, Service};
use postroad_sasl::Answer;
use postroad_sasl::digest::{CHALLENGE_RANDOM, Proof, challenge};
use postroad_store::Locks;

use crate::{Denied, Logins, Who, random, unavailable};

pub use postroad_mail::credentials::DigestSealer;

/// What they need beside the accounts.
#[derive(Debug)]
pub(crate) struct Digests {
    pub(crate) sealer: DigestSealer,
    host: String,
}

impl Logins {
    /// With CRAM-MD5 and APOP: the key that their secrets are sealed with, and the server's name in the DNS. Without this every
    /// proof is refused.
    #[must_use]
    pub fn with_digests(self, sealer: DigestSealer, host: &str) -> Logins {
        Logins { digests: Some(Digests { sealer, host: host.to_owned() }.into()), ..self }
    }

    /// A challenge, used once; the same for whoever asks.
    pub(crate) fn digest_challenge(&self) -> Result<Answer<Authenticated, Refused>, Denied> {
        let digests = self.digests.as_ref().ok_or(Denied::Refused(Refused::Wrong))?;
        let random: [u8; CHALLENGE_RANDOM] = random()?;
        Ok(Answer::Challenge(challenge(&random, (self.clock)().0, &digests.host).into_bytes()))
    }

    /// Whether a proof is right.
    pub(crate) async fn digest_proof(
        &self,
        who: Who,
        proof: Proof,
        service: Service,
    ) -> Result<Answer<Authenticated, Refused>, Denied> {
        let digests = self.digests.as_ref().ok_or(Denied::Refused(Refused::Wrong))?;
        let digest = proof.digest();
        let look = self.look(move |tx| {
            let who = who.told_apart(tx, service)?;
            let candidates = credentials::digest_candidates(tx, &who.authcid, digest)?;
            let acts = who.acts(tx, candidates.account())?;
            Ok((candidates, acts))
        });
        let (candidates, acts) = look.await.map_err(unavailable)?;
        // Some 200 hashes of a few hundred octets: less than handing it to a thread costs.
        let found = candidates.verify(&digests.sealer, &proof, service, (self.clock)()).map_err(unavailable)?;
        acts.of(found.map_err(Denied::Refused)?).map(Answer::granted)
    }

    /// A password that was just right gets its keys, where a mechanism was switched on that has none of it.
    pub(crate) async fn keep_digests(&self, login: &Authenticated, password: &str) {
        let Some(digests) = self.digests.as_ref().filter(|_| login.lacks_digests()) else { return };
        let (kept, sealed) = (login.clone(), digests.sealer.seal(login, password));
        let write = move |tx: &mut postroad_store::WriteTx| credentials::keep_digests(tx, &kept, &sealed);
        let written: Result<_, Error> = self.store.write(Locks::account(login.account()), write).await;
        if let Err(error) = written {
            tracing::warn!(%error, "the keys of a password for CRAM-MD5 and APOP could not be kept");
        }
    }
}
