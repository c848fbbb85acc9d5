//! SCRAM: salts for everybody, proofs of those who have a password.

use postroad_mail::credentials::{self, ServerSecret};
use postroad_mail::{Authenticated, Refused, Service};
use postroad_sasl::Answer;
use postroad_sasl::scram::{Hash, Offer, Proof};
use postroad_store::Locks;

use crate::{Denied, Logins, Who, random, unavailable};

impl Logins {
    /// What a proof is to be made with; also for who is not there.
    pub(crate) async fn scram_keys(&self, who: Who, hash: Hash) -> Result<Answer<Authenticated, Refused>, Denied> {
        let secret = self.server_secret().await?;
        let look = self.look(move |tx| credentials::scram_candidates(tx, &who.authcid, hash, &secret));
        let candidates = look.await.map_err(unavailable)?;
        let random: [u8; NONCE] = random()?;
        Ok(Answer::Scram(candidates.offer(Offer::nonce(&random))))
    }

    /// Whether a proof is right.
    pub(crate) async fn scram_proof(
        &self,
        who: Who,
        proof: Proof,
        service: Service,
    ) -> Result<Answer<Authenticated, Refused>, Denied> {
        let (secret, now) = (self.server_secret().await?, (self.clock)());
        let look = self.look(move |tx| {
            let candidates = credentials::scram_candidates(tx, &who.authcid, proof.hash, &secret)?;
            let acts = who.acts(tx, candidates.account())?;
            Ok((candidates, acts, proof))
        });
        let (candidates, acts, proof) = look.await.map_err(unavailable)?;
        // Some 100 hashes of a few hundred octets: less than handing it to a thread costs.
        let (who, last) = candidates.verify(&proof, service, now).map_err(Denied::Refused)?;
        let who = acts.of(who)?;
        Ok(Answer::Granted { who, last })
    }

    /// A password that was just right gets its keys, if it has none: that is worth a write but never a failed login.
    pub(crate) async fn keep_keys(&self, login: &Authenticated, password: &str) {
        if !login.lacks_keys() || !self.keeps_keys {
            return;
        }
        let (account, password) = (login.account(), password.to_owned());
        let kept = async {
            let salts = self.look(move |tx| credentials::salts(tx, account)).await?;
            let Ok(turn) = std::sync::Arc::clone(&self.turns).acquire_owned().await else { return Ok(()) };
            let work = move || {
                let _turn = turn;
                let password = postroad_sasl::Secret::new(password);
                salts.keys(password.expose())
            };
            let Ok(keys) = tokio::task::spawn_blocking(work).await else { return Ok(()) };
            let login = login.clone();
            let write = self.store.write(Locks::account(account), move |tx| credentials::keep_for(tx, &login, &keys));
            write.await.map(|_| ())
        };
        let kept: Result<(), postroad_mail::Error> = kept.await;
        if let Err(error) = kept {
            tracing::warn!(%error, "the keys of a password for SCRAM could not be kept");
        }
    }

    /// Read once; made by whoever is the first.
    async fn server_secret(&self) -> Result<ServerSecret, Denied> {
        let made = self.secret.get_or_try_init(|| async {
            let written = self.store.write(ServerSecret::lock(), credentials::server_secret).await;
            written.map(|stored| stored.value).map_err(unavailable)
        });
        made.await.cloned()
    }
}

/// Random octets of a nonce.
const NONCE: usize = 18;
