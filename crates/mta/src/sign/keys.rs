//! Keys in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postroad_login::Clock;
use postroad_mailauth::body::Digest;
use postroad_mailauth::{arc, dkim, key};
use postroad_store::{ModSeq, Store, Timestamp};
use postroad_trust::keys::{self, Algorithm};
use tokio::sync::watch;

/// The keys of the domains that send, read when first needed and again when keys have changed.
pub struct Signers {
    store: Store,
    clock: Clock,
    news: Mutex<watch::Receiver<ModSeq>>,
    known: Mutex<Shelf>,
}

/// What is in memory. `generation` tells what was read before the last change from what was read after.
#[derive(Default)]
struct Shelf {
    generation: u64,
    domains: HashMap<String, Known>,
}

struct Known {
    identity: Option<Arc<Identity>>,
    at: Timestamp,
}

/// A domain that signs.
pub struct Identity {
    /// Its name, in A-labels and lower case.
    domain: String,
    /// RSA first.
    keys: Vec<Signer>,
}

struct Signer {
    selector: String,
    algorithm: Algorithm,
    key: key::SigningKey,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let selectors: Vec<&str> = self.keys.iter().map(|key| key.selector.as_str()).collect();
        f.debug_struct("Identity").field("domain", &self.domain).field("selectors", &selectors).finish()
    }
}

impl Signers {
    /// The keys of a store.
    pub fn new(store: Store, clock: Clock) -> Signers {
        let news = Mutex::new(store.hub().subscribe(keys::NEWS));
        Signers { store, clock, news, known: Mutex::default() }
    }

    /// Who signs for a domain, in A-labels and lower case; `None` when it has no key that signs. Errors: the database's.
    pub async fn of(&self, domain: &str) -> Result<Option<Arc<Identity>>, postroad_store::Error> {
        let now = self.now();
        let generation = match self.recall(domain, now) {
            Ok(known) => return Ok(known),
            Err(generation) => generation,
        };
        let name = domain.to_owned();
        let secrets = self.store.read(move |tx| keys::signing(tx, &name)).await?;
        let identity = Identity::new(domain, secrets).map(Arc::new);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.generation == generation {
            if known.domains.len() >= KNOWN_MAX {
                known.domains.clear();
            }
            known.domains.insert(domain.to_owned(), Known { identity: identity.clone(), at: now });
        }
        Ok(identity)
    }

    /// Who signs for a domain or, where that has no key, for the nearest domain above it: relaxed alignment (RFC 9989
    /// §4.4) takes it for the same.
    pub async fn of_or_above(&self, domain: &str) -> Result<Option<Arc<Identity>>, postroad_store::Error> {
        let mut name = domain;
        for _ in 0..LEVELS {
            if let Some(identity) = self.of(name).await? {
                return Ok(Some(identity));
            }
            match name.split_once('.') {
                Some((_, above)) if above.contains('.') => name = above,
                Some(_) | None => break,
            }
        }
        Ok(None)
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// What is known of a domain; the error is the generation in which it is to be read.
    fn recall(&self, domain: &str, now: Timestamp) -> Result<Option<Arc<Identity>>, u64> {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = news.has_changed().unwrap_or(true);
        if changed {
            news.mark_unchanged();
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if changed {
            known.generation += 1;
            known.domains.clear();
        }
        let found = known.domains.get(domain).filter(|found| now < found.at.plus(FRESH));
        found.map(|found| found.identity.clone()).ok_or(known.generation)
    }
}

impl Identity {
    /// Keys that cannot be read are left out, and said.
    fn new(domain: &str, secrets: Vec<keys::Secret>) -> Option<Identity> {
        let mut signers = Vec::new();
        for secret in secrets {
            let keys::Secret { selector, algorithm, pkcs8 } = secret;
            match key::SigningKey::from_pkcs8(&pkcs8) {
                Ok(key) => signers.push(Signer { selector, algorithm, key }),
                Err(error) => tracing::error!(
                    domain, selector, %error,
                    next_step = "make another key: postroad dkim rotate",
                    "a signing key cannot be used"
                ),
            }
        }
        (!signers.is_empty()).then(|| Identity { domain: domain.to_owned(), keys: signers })
    }

    /// The domain that vouches.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The `DKIM-Signature` fields to put before `header`, RSA first, and what the story says of them. `body` is the relaxed
    /// hash of the whole body.
    pub(crate) fn sign(&self, header: &[u8], body: &Digest, now: Timestamp) -> (Vec<u8>, String) {
        let (mut fields, mut words) = (Vec::new(), Vec::new());
        for signer in &self.keys {
            let signing =
                dkim::Signing { domain: &self.domain, selector: &signer.selector, now: seconds(now), valid_for: None };
            match dkim::sign(&signer.key, &signing, header, body) {
                Ok(field) => {
                    fields.extend_from_slice(field.as_bytes());
                    words.push(format!("{}._domainkey.{} ({})", signer.selector, self.domain, signer.algorithm.name()));
                    metrics::counter!("postroad_signatures_total", "algorithm" => signer.algorithm.name()).increment(1);
                }
                Err(error) => tracing::error!(
                    domain = self.domain, selector = signer.selector, %error,
                    next_step = "make another key: postroad dkim rotate",
                    "a message goes without one of its signatures"
                ),
            }
        }
        (fields, words.join(" and "))
    }

    /// The three ARC fields to put before `header`; `None` where nobody may seal, or there is no RSA key: RFC 8617 §4.1.2 knows
    /// no other. `results` is what our Authentication-Results says, `cv` what the chain was found to be.
    pub(crate) fn seal(
        &self,
        header: &[u8],
        body: &Digest,
        results: &str,
        cv: arc::Validation,
        now: Timestamp,
    ) -> Option<Vec<u8>> {
        let signer = self.keys.iter().find(|signer| signer.algorithm == Algorithm::Rsa)?;
        let sealing = arc::Sealing { domain: &self.domain, selector: &signer.selector, now: seconds(now), results, cv };
        match arc::seal(&signer.key, &sealing, header, body) {
            Ok(fields) => {
                metrics::counter!("postroad_seals_total").increment(u64::from(fields.is_some()));
                fields.map(String::into_bytes)
            }
            Err(error) => {
                tracing::error!(
                    domain = self.domain, selector = signer.selector, %error,
                    next_step = "make another key: postroad dkim rotate",
                    "a forwarded message goes without a seal"
                );
                None
            }
        }
    }
}

fn seconds(now: Timestamp) -> i64 {
    now.0.div_euclid(1_000_000)
}

/// Keys are read again after so long, whatever the news: a hint may be lost.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// Domains kept in memory.
const KNOWN_MAX: usize = 10_000;
/// Names above a name that are asked for a key.
const LEVELS: usize = 8;
