//! Certificates by ACME: ordering them, renewing them in time, and having them shown.
//!
//! A [`Keeper`] looks in rounds at what is wanted and what is there ([`postroad_trust::certificates`]), and orders what is
//! missing or runs out. Nodes that share a database share everything: one orders, all answer the authority's questions and all
//! show what came ([`Shown`]).
//!
//! It never writes a private key anywhere but into the database, and never to a log.
//!
//! Standards: RFC 8555 (ACME: HTTP-01, DNS-01, external accounts), RFC 8737 (TLS-ALPN-01), RFC 9773 (when to renew), RFC 2136
//! (updates of DNS), RFC 6698, 7671 and 7672 (TLSA records of our keys).

mod authority;
mod chain;
mod dane;
mod keys;
mod names;
mod order;
mod problem;
mod renewal;
mod shown;
mod takers;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postroad_dns::{Dns, update};
use postroad_net::Stop;
use postroad_store::{Locks, Store, Timestamp};
use postroad_trust::certificates::{self, Certificate, CertificateState, Line, Origin, Refused, Secret, Wish};

pub use chain::{facts, import, parse};
pub use dane::{Tlsa, matches as tlsa_matches, of_certificate as tlsa_of, tlsa};
pub use keys::{Algorithm, import_key, make_key};
pub use names::{Wanted, wanted};
pub use problem::Failure;
pub use renewal::renew_at;
pub use shown::{Answers, Shown};
pub use takers::Watch;

/// The time of day, or a test's.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How an authority looks whether a name is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// Over port 80. RFC 8555 §8.3.
    Http,
    /// Over port 443, in the TLS handshake. RFC 8737.
    Alpn,
    /// In DNS, through updates of the zone. RFC 8555 §8.4.
    Dns,
}

/// An authority, and how it is dealt with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory's URL.
    pub directory: String,
    /// Whom the authority writes to: `mailto:` URLs; may be empty.
    pub contact: Vec<String>,
    /// PEM: the authority behind the directory's own certificate; `None`: those of the system.
    pub authorities: Option<PathBuf>,
    /// An account with the authority outside of ACME: its id and its MAC key. RFC 8555 §7.3.4.
    pub external: Option<(String, Secret<Vec<u8>>)>,
    /// The kind of certificate to ask for, when the authority has several.
    pub profile: Option<String>,
    /// What may be answered, the best first. After a failure the next one is tried.
    pub challenges: Vec<Challenge>,
    /// Of new keys.
    pub algorithm: Algorithm,
    /// How long a key is used; `None`: until told otherwise, so that TLSA records stay as they are.
    pub key_lifetime: Option<Duration>,
    /// PEM: the key that is shown until there is a certificate. It stays where TLSA records name it.
    pub stand_in: Option<PathBuf>,
    /// Whether TLSA records are published through [`Settings::zone`].
    pub publishes_tlsa: bool,
    /// The port whose TLSA records are looked at.
    pub tlsa_port: u16,
    /// Where DNS can be changed.
    pub zone: Option<Zone>,
    /// How long the other nodes leave an order to this one that is not heard of.
    pub lease: Duration,
    /// How long an order may take.
    pub patience: Duration,
}

/// A name server that takes updates.
#[derive(Debug, Clone)]
pub struct Zone {
    /// Where it listens.
    pub server: SocketAddr,
    /// The key shared with it.
    pub key: Option<update::Key>,
    /// The zone; `None`: found by its SOA record.
    pub name: Option<String>,
    /// Until all servers of the zone have a change.
    pub settles_within: Duration,
}

impl Settings {
    /// The usual ways with this authority.
    pub fn new(directory: impl Into<String>) -> Settings {
        Settings {
            directory: directory.into(),
            contact: Vec::new(),
            authorities: None,
            external: None,
            profile: None,
            challenges: vec![Challenge::Alpn, Challenge::Http],
            algorithm: Algorithm::EcdsaP256,
            key_lifetime: None,
            stand_in: None,
            publishes_tlsa: false,
            tlsa_port: 25,
            zone: None,
            lease: LEASE,
            patience: PATIENCE,
        }
    }
}

/// Orders certificates and renews them.
pub struct Keeper {
    store: Store,
    settings: Settings,
    wanted: Wanted,
    dns: Arc<dyn Dns>,
    clock: Clock,
    /// This server's name among those that share the database.
    node: String,
}

/// What a round did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// Lines that got a certificate.
    pub issued: Vec<String>,
    /// Lines whose order failed, and what was wrong.
    pub failed: Vec<(String, String)>,
    /// Lines that another node orders for.
    pub elsewhere: Vec<String>,
    /// Certificates that the authority was told not to believe any more.
    pub revoked: usize,
    /// When there is something to do again.
    pub next: Option<Timestamp>,
}

impl Keeper {
    /// A keeper of what `wanted` says, under this node's name.
    pub fn new(
        store: Store,
        settings: Settings,
        wanted: Wanted,
        dns: Arc<dyn Dns>,
        clock: Clock,
        node: impl Into<String>,
    ) -> Keeper {
        Keeper { store, settings, wanted, dns, clock, node: node.into() }
    }

    /// Rounds until the stop: when something is due, when somebody asks for something, and now and then.
    pub async fn run(self, stop: Stop) {
        let mut news = self.store.hub().subscribe(certificates::NEWS);
        loop {
            // What is said from here on is not overlooked.
            news.borrow_and_update();
            let round = tokio::select! {
                round = self.round() => round,
                // An order that is broken off is gone on with, by this node or another.
                () = stop.stopped() => return,
            };
            let pause = match round {
                Ok(round) => {
                    let until = round.next.map_or(EVERY, |next| self.until(next));
                    until.clamp(AGAIN, EVERY)
                }
                Err(error) => {
                    tracing::warn!(%error, "certificates are looked after again in a while");
                    AGAIN
                }
            };
            let told = async {
                if news.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                // Several changes in a row are one reason to look.
                tokio::time::sleep(SETTLE).await;
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = told => {}
                () = stop.stopped() => return,
            }
        }
    }

    /// Does what is due now.
    pub async fn round(&self) -> Result<Round, certificates::Error> {
        let mut round = Round::default();
        self.want().await?;
        self.revocations(&mut round).await?;
        self.windows().await?;
        let (lines, there, refused) = self
            .store
            .read(|tx| {
                Ok::<_, certificates::Error>((
                    certificates::lines(tx)?,
                    certificates::certificates(tx)?,
                    certificates::refused(tx)?,
                ))
            })
            .await?;
        let in_use: HashMap<&str, &Certificate> = there
            .iter()
            .filter(|one| one.state == CertificateState::InUse)
            .map(|one| (one.line.as_str(), one))
            .collect();
        for line in &lines {
            let current = in_use.get(line.name.as_str()).copied();
            self.dane(line, current).await?;
            let due = self.due(line, current, &refused);
            if due > self.now() {
                round.looks_again_at(due);
                continue;
            }
            self.order(line, current, &refused, &mut round).await?;
        }
        Ok(round)
    }

    /// When something is to be done for a line. A name that was not believed lately is no reason.
    fn due(&self, line: &Line, current: Option<&Certificate>, refused: &[Refused]) -> Timestamp {
        let names = names::believed(line, refused, self.now());
        let has_all = current.is_some_and(|current| names.iter().all(|name| current.names.contains(name)));
        match current {
            _ if line.is_hurried || line.order.is_some() => line.not_before,
            Some(current) if current.origin == Origin::Imported => Timestamp(i64::MAX),
            Some(current) if has_all => renew_at(current).max(line.not_before),
            Some(_) | None => line.not_before,
        }
    }

    async fn order(
        &self,
        line: &Line,
        current: Option<&Certificate>,
        refused: &[Refused],
        round: &mut Round,
    ) -> Result<(), certificates::Error> {
        let (name, node, now, lease) = (line.name.clone(), self.node.clone(), self.now(), self.settings.lease);
        let taken = self.write(move |tx| certificates::take(tx, &name, &node, now, lease)).await?;
        let Some(taken) = taken else {
            round.elsewhere.push(line.name.clone());
            round.looks_again_at(now.plus(lease));
            return Ok(());
        };
        // What another node did since we looked is done.
        let latest = self.current(&line.name).await?;
        if latest.as_ref().map(|latest| latest.id) != current.map(|current| current.id)
            && self.due(&taken, latest.as_ref(), refused) > now
        {
            let (name, node) = (line.name.clone(), self.node.clone());
            self.write(move |tx| certificates::left(tx, &name, &node)).await?;
            return Ok(());
        }
        match self.work(&taken, latest.as_ref()).await {
            Ok(()) => round.issued.push(taken.name),
            Err(failure) => {
                let again = self.fail(&taken, &failure, refused).await?;
                round.failed.push((taken.name, failure.problem));
                round.looks_again_at(again);
            }
        }
        Ok(())
    }

    async fn current(&self, line: &str) -> Result<Option<Certificate>, certificates::Error> {
        let there = self.store.read(certificates::certificates).await?;
        Ok(there.into_iter().find(|one| one.line == line && one.state == CertificateState::InUse))
    }

    /// Writes down that an order failed; when it is tried again.
    async fn fail(
        &self,
        line: &Line,
        failure: &Failure,
        refused: &[Refused],
    ) -> Result<Timestamp, certificates::Error> {
        metrics::counter!("postroad_certificate_failures_total").increment(1);
        let now = self.now();
        let pause = failure.pause(line.failures);
        let not_before = now.plus(pause);
        tracing::warn!(
            line = line.name,
            problem = failure.problem,
            next_step = failure.next_step,
            again_in_minutes = pause.as_secs() / 60,
            "no certificate yet"
        );
        let (name, node, failure) = (line.name.clone(), self.node.clone(), failure.clone());
        let directory = self.settings.directory.clone();
        let told = certificates::Failed {
            problem: failure.problem.clone(),
            next_step: failure.next_step.clone(),
            not_before,
            is_order_over: failure.is_order_over,
        };
        let before = refused.to_vec();
        let written = self
            .write(move |tx| {
                certificates::failed(tx, &name, &node, &told, now)?;
                if failure.is_account_gone {
                    certificates::forget_account(tx, &directory)?;
                }
                for (name, why) in &failure.refused {
                    let times = before.iter().find(|one| one.name == *name).map_or(0, |one| one.failures);
                    let rest = REFUSED_FOR.saturating_mul(1 << times.min(8)).min(REFUSED_LONGEST);
                    certificates::refuse(tx, name, now.plus(rest), why)?;
                }
                Ok(())
            })
            .await;
        match written {
            // Another node goes on with it.
            Ok(()) | Err(certificates::Error::Lost) => Ok(not_before),
            Err(error) => Err(error),
        }
    }

    async fn want(&self) -> Result<(), certificates::Error> {
        let found = names::find(&self.store, &self.wanted, &self.dns).await?;
        let known = self.store.read(certificates::lines).await?;
        let changed: Vec<names::Found> = found
            .into_iter()
            .filter(|found| !known.iter().any(|line| line.name == found.line && line.names == found.names))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        self.write(move |tx| {
            for found in &changed {
                match found.names.is_empty() {
                    true => certificates::forget_line(tx, &found.line)?,
                    false => {
                        certificates::want(tx, &found.line, &found.names, false)?;
                    }
                }
            }
            Ok(())
        })
        .await
    }

    /// Tells the authority of certificates that are not to be believed any more.
    async fn revocations(&self, round: &mut Round) -> Result<(), certificates::Error> {
        for (certificate, reason) in self.store.read(certificates::to_revoke).await? {
            match self.tell_revoked(&certificate, reason).await {
                Ok(()) => {
                    tracing::info!(line = certificate.line, serial = certificate.serial, "certificate revoked");
                    let is_key_lost = reason == KEY_COMPROMISE;
                    self.write(move |tx| certificates::revoked(tx, &certificate, is_key_lost)).await?;
                    round.revoked += 1;
                }
                Err(failure) => {
                    tracing::warn!(
                        serial = certificate.serial,
                        problem = failure.problem,
                        next_step = failure.next_step,
                        "the certificate is not revoked yet; it is tried again"
                    );
                    round.looks_again_at(self.now().plus(EVERY));
                }
            }
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn until(&self, moment: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(moment.0.saturating_sub(self.now().0)).unwrap_or(0))
    }

    async fn write<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut postroad_store::WriteTx) -> certificates::Result<R> + Send + 'static,
    ) -> certificates::Result<R> {
        self.store.write(Locks::named(LOCK), change).await.map(|stored| stored.value)
    }

    fn wants_new_key(&self, line: &Line, since: Timestamp) -> bool {
        match line.wish {
            Wish::NewKey | Wish::NewKeyNow => true,
            Wish::Usual => self.settings.key_lifetime.is_some_and(|lifetime| since.plus(lifetime) <= self.now()),
        }
    }
}

impl Round {
    fn looks_again_at(&mut self, moment: Timestamp) {
        self.next = Some(self.next.map_or(moment, |next| next.min(moment)));
    }
}

/// What changes certificates is done one after the other.
pub const LOCK: &str = "certificates";
/// RFC 5280 §5.3.1.
const KEY_COMPROMISE: u32 = 1;
/// Names are looked up, and DNS is compared with our keys, at least so often.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// And no more often than this by ourselves.
const AGAIN: Duration = Duration::from_secs(5);
/// After news, until those that follow at once have come too.
const SETTLE: Duration = Duration::from_millis(100);
/// A name that was not believed to be ours is left out for so long, twice as long each time.
const REFUSED_FOR: Duration = Duration::from_secs(12 * 60 * 60);
const REFUSED_LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const LEASE: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(10 * 60);
