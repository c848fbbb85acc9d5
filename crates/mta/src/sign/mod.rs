//! Signing what leaves: the keys in memory, whose they are, and the fields that come before a message.
//!
//! Everything is signed when it is taken in or written, once: the local copy and all attempts carry the same signatures.
//! What others sent and one of our addresses forwards is sealed instead (ARC), so that the next host can see what we
//! found when it came. [`Signers`] keeps the keys of the domains that send, and reads them again when they have changed
//! anywhere.
//!
//! For whom it signs is decided here too (`intake`): with the key of the domain in From where the login owns that
//! address, else with that of whoever answers for the message (Resent-From, Sender, the login itself). A login never
//! gets the signature of a domain that is not its own.
//!
//! Standards: RFC 6376, RFC 8463 (RSA first, then Ed25519), RFC 8617 (seals).

mod anew;
mod intake;
mod keys;
mod whole;

use std::sync::Arc;

use postroad_queue::Job;
use postroad_smtp::Address;
use postroad_store::Store;

use crate::outbound::Source;
use crate::srs::Srs;

pub(crate) use anew::{Anew, Replaced};
pub(crate) use intake::{Answers, Plan};
pub use keys::{Identity, Signers};

/// What makes others believe what leaves: keys, and senders that are ours.
#[derive(Clone, Default)]
pub struct Signing {
    pub(crate) signers: Option<Arc<Signers>>,
    pub(crate) srs: Option<Arc<Srs>>,
}

impl Signing {
    /// Signs, seals and rewrites.
    pub fn new(signers: Arc<Signers>, srs: Arc<Srs>) -> Signing {
        Signing { signers: Some(signers), srs: Some(srs) }
    }

    /// A job's message on its way out, and the sender with which it leaves where that is not its own: of what one of our
    /// addresses forwards. Errors: the store's.
    pub(crate) async fn open(
        &self,
        store: &Store,
        job: &Job,
    ) -> Result<(Source, Option<Address>), postroad_store::Error> {
        let source = Source::open(store, job.message.blob, job.via.as_deref()).await?.signed_by(self.signers.clone());
        let sender = match (&self.srs, &job.via) {
            (Some(srs), Some(via)) => srs.sender(&job.message.sender, via).await?,
            (Some(_) | None, _) => None,
        };
        Ok((source, sender))
    }
}

impl std::fmt::Debug for Signing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signing {{ signs: {}, rewrites: {} }}", self.signers.is_some(), self.srs.is_some())
    }
}
