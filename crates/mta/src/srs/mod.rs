//! Senders of forwarded mail, rewritten so that SPF passes at the next host (SRS).
//!
//! A message that one of our addresses forwards leaves with a sender in that address's domain: the next host asks that
//! domain who may send, and we may. What comes back to the rewritten sender is a notice, and goes on to the one who sent
//! first. Rewritten is only what is somebody else's: the null sender stays null (RFC 5321 §4.5.5), and a domain of ours
//! names us already.
//!
//! Never an open relay: what leads back was signed with a secret of this installation, is good for three weeks, leads to
//! one address, and takes mail with the null sender alone. `docs/decisions/020-rewritten-senders.md` says why.

mod inbound;
mod words;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use postroad_login::Clock;
use postroad_mail::{Domain, domains};
use postroad_smtp::Address;
use postroad_store::{Error, Locks, Store, Timestamp};
use postroad_trust::srs;

use words::{Forward, Reverse};

/// Rewrites senders and reads them back.
pub struct Srs {
    store: Store,
    /// Senders are rewritten; what was rewritten before is read back in any case.
    enabled: bool,
    clock: Clock,
    known: Mutex<Known>,
}

/// Secrets in memory.
#[derive(Default)]
struct Known {
    keys: Vec<hmac::Key>,
    /// When they were read.
    at: Option<Timestamp>,
}

/// What a recipient at a domain of ours is, among rewritten senders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WayBack {
    /// None of them: an address like others.
    Ordinary,
    /// It leads to who sent first.
    To(Address),
    /// It looks like one, and leads nowhere; why.
    Nowhere(&'static str),
}

impl Srs {
    /// With the secrets of a store. `enabled`: senders are rewritten from now on.
    pub fn new(store: Store, enabled: bool, clock: Clock) -> Srs {
        Srs { store, enabled, clock, known: Mutex::default() }
    }

    /// The sender with which mail leaves that `via`, an address of ours, forwards; `None`: as it came. Errors: the
    /// database's.
    pub(crate) async fn sender(&self, sender: &str, via: &str) -> Result<Option<Address>, Error> {
        let now = (self.clock)();
        let (Ok(sender), Some((_, via))) = (sender.parse::<Address>(), via.rsplit_once('@')) else { return Ok(None) };
        if !self.enabled || self.is_ours(&sender).await? {
            return Ok(None);
        }
        let Some(key) = self.keys(now, FRESH).await?.into_iter().next() else { return Ok(None) };
        let rewritten = words::forward(&sender, via, &key, day(now));
        if rewritten != Forward::No {
            metrics::counter!("postroad_rewritten_senders_total", "way" => "out").increment(1);
        }
        Ok(match rewritten {
            Forward::As(address) => Some(address),
            Forward::Kept { address, token } => {
                let text = sender.to_string();
                self.store.write(Locks::none(), move |tx| srs::keep(tx, &token, &text, now)).await?;
                Some(address)
            }
            Forward::No => None,
        })
    }

    /// Where mail for `recipient` goes if that is a sender that was rewritten here. `domain`: the recipient's, by its real
    /// name. Errors: the database's.
    pub(crate) async fn way_back(&self, recipient: &Address, domain: &str) -> Result<WayBack, Error> {
        let now = (self.clock)();
        let mut found = words::reverse(recipient, domain, &self.keys(now, FRESH).await?, day(now));
        if found == Reverse::Forged {
            // Another node may have begun with a new secret since ours were read.
            found = words::reverse(recipient, domain, &self.keys(now, AGAIN).await?, day(now));
        }
        Ok(match found {
            Reverse::No => WayBack::Ordinary,
            Reverse::To(address) => WayBack::To(address),
            Reverse::Kept(token) => {
                let kept = self.store.read(move |tx| srs::kept(tx, &token)).await?;
                match kept.and_then(|sender| sender.parse().ok()) {
                    Some(address) => WayBack::To(address),
                    None => WayBack::Nowhere("it is too old"),
                }
            }
            Reverse::Expired => WayBack::Nowhere("it is too old"),
            Reverse::Forged => WayBack::Nowhere("it was not made here"),
        })
    }

    async fn is_ours(&self, sender: &Address) -> Result<bool, Error> {
        let Some(Ok(domain)) = sender.domain().map(Domain::parse) else { return Ok(false) };
        let found = self.store.read(move |tx| domains::ours(tx, &domain)).await;
        match found {
            Ok(found) => Ok(found.is_some()),
            Err(postroad_mail::Error::Store(error)) => Err(error),
            Err(other) => Err(Error::Corrupt(other.to_string())),
        }
    }

    /// The secrets, the newest first, read again when they are older than `fresh`. The first time one is made.
    async fn keys(&self, now: Timestamp, fresh: Duration) -> Result<Vec<hmac::Key>, Error> {
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.at.is_some_and(|at| now < at.plus(fresh)) {
                return Ok(known.keys.clone());
            }
        }
        let mut secrets = self.store.read(srs::secrets).await?;
        if secrets.0.is_empty() {
            self.renew().await?;
            secrets = self.store.read(srs::secrets).await?;
        }
        let keys: Vec<hmac::Key> = secrets.0.iter().map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret)).collect();
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known { keys: keys.clone(), at: Some(now) };
        Ok(keys)
    }

    /// Makes a new secret if it is time, and forgets what cannot come back any more. Errors: the database's, and
    /// `Temporary` when the system has no random numbers.
    pub async fn renew(&self) -> Result<(), Error> {
        let now = (self.clock)();
        let mut fresh = [0u8; srs::SECRET_BYTES];
        getrandom::fill(&mut fresh).map_err(|error| Error::Temporary(format!("no random numbers: {error}")))?;
        let job = move |tx: &mut postroad_store::WriteTx| {
            srs::sweep(tx, now)?;
            srs::renew(tx, &fresh, now)
        };
        self.store.write(Locks::named(srs::LOCK), job).await.map(|_| ())
    }
}

fn day(now: Timestamp) -> words::Day {
    now.0.div_euclid(24 * 60 * 60 * 1_000_000)
}

/// Secrets are read again after so long.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// And after so long where that may explain why an address is not known: strangers cannot make it more often.
const AGAIN: Duration = Duration::from_secs(10);
