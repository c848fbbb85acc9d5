//! While the server runs: makes keys that are lacking, looks for records when they are due, lets keys go on, and says so.

use std::sync::Arc;
use std::time::Duration;

use postroad_dns::Dns;
use postroad_login::Clock;
use postroad_mta::Srs;
use postroad_net::Stop;
use postroad_store::{Locks, Store, Timestamp};
use postroad_trust::keys::{self, Algorithm, Event, Key, Policy};

use super::look::look;
use super::make::make;
use super::names::ensure_blocking;

/// What is needed for it.
pub(crate) struct Tended {
    pub(crate) store: Store,
    pub(crate) dns: Arc<dyn Dns>,
    pub(crate) policy: Policy,
    pub(crate) hostname: String,
    pub(crate) srs: Arc<Srs>,
    pub(crate) clock: Clock,
}

/// Runs rounds until the stop: at the start, when keys have changed, and each [`EVERY`].
pub(crate) async fn run(tended: Tended, stop: Stop) {
    let mut news = tended.store.hub().subscribe(keys::NEWS);
    let mut since_whole = WHOLE_ROUND;
    loop {
        news.mark_unchanged();
        let now = (tended.clock)();
        if since_whole >= WHOLE_ROUND {
            since_whole = 0;
            whole(&tended, now).await;
        }
        if let Err(error) = round(&tended, now, &stop).await {
            tracing::warn!(%error, "signing keys are looked after again in the next round");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => since_whole += 1,
            _ = news.changed() => tokio::time::sleep(PAUSE).await,
            () = stop.stopped() => return,
        }
    }
}

/// What has to be done seldom.
async fn whole(tended: &Tended, now: Timestamp) {
    let (store, hostname) = (tended.store.clone(), tended.hostname.clone());
    match tokio::task::spawn_blocking(move || ensure_blocking(&store, &hostname, now)).await {
        Ok(Ok(0)) => {}
        Ok(Ok(domains)) => tracing::info!(
            domains,
            next_step = "publish their records: postroad dkim show DOMAIN",
            "signing keys were made for domains that had none"
        ),
        Ok(Err(error)) => tracing::error!("signing keys cannot be made: {error:#}"),
        Err(panic) => tracing::error!(%panic, "making signing keys failed"),
    }
    if let Err(error) = tended.srs.renew().await {
        tracing::warn!(%error, "the secret for rewritten senders is looked after in the next round");
    }
}

/// All domains that are due.
async fn round(tended: &Tended, now: Timestamp, stop: &Stop) -> Result<(), postroad_store::Error> {
    loop {
        let due = tended.store.read(move |tx| keys::due(tx, now, AT_ONCE)).await?;
        let last = due.len() < AT_ONCE as usize;
        for domain in due {
            if stop.is_stopped() {
                return Ok(());
            }
            tend(tended, domain, now).await?;
        }
        if last {
            break;
        }
    }
    let wrong = tended.store.read(keys::alarming).await?.len();
    metrics::gauge!("postroad_signing_keys_unverifiable").set(wrong as f64);
    Ok(())
}

async fn tend(tended: &Tended, domain: String, now: Timestamp) -> Result<(), postroad_store::Error> {
    let name = domain.clone();
    let known = tended.store.read(move |tx| keys::list(tx, Some(&name))).await?;
    let findings = if tended.policy.has_dns { look(&*tended.dns, &known).await } else { Vec::new() };
    let (name, policy) = (domain.clone(), tended.policy);
    let events = tended
        .store
        .write(Locks::named(&keys::lock(&domain)), move |tx| keys::record_look(tx, &name, &findings, &policy, now))
        .await?
        .value;
    for event in events {
        tell(&event);
        if let Event::Aged(algorithms) = event {
            renew(tended, &domain, algorithms, now).await?;
        }
    }
    Ok(())
}

/// The next keys of a domain whose keys have grown old.
async fn renew(
    tended: &Tended,
    domain: &str,
    algorithms: Vec<Algorithm>,
    now: Timestamp,
) -> Result<(), postroad_store::Error> {
    let made = match tokio::task::spawn_blocking(move || make(&algorithms)).await {
        Ok(Ok(made)) => made,
        Ok(Err(error)) => {
            tracing::error!(domain, %error, "the next signing keys cannot be made");
            return Ok(());
        }
        Err(panic) => {
            tracing::error!(domain, %panic, "making signing keys failed");
            return Ok(());
        }
    };
    let name = domain.to_owned();
    let put = move |tx: &mut postroad_store::WriteTx| keys::put(tx, &name, &made, now);
    let put = tended.store.write(Locks::named(&keys::lock(domain)), put).await?.value;
    if !put.is_empty() {
        tracing::info!(
            domain,
            next_step = %format!("publish their records: postroad dkim show {domain}; they sign once they are seen"),
            "signing keys have grown old: others were made to follow them"
        );
    }
    Ok(())
}

/// Says in the log what came of a look.
pub(crate) fn tell(event: &Event) {
    let name = |key: &Key| key.name();
    match event {
        Event::Published(key) => tracing::info!(record = name(key), "the record of a signing key is in the DNS"),
        Event::Active(key) => tracing::info!(record = name(key), "a key signs from now on"),
        Event::Retired(key) => {
            tracing::info!(
                record = name(key),
                "a key signs no more; its record is wanted until `dkim list` says otherwise"
            );
        }
        Event::Gone(key) => tracing::info!(
            record = name(key),
            next_step = "take its record out of the DNS",
            "nobody needs this signing key any more"
        ),
        Event::Wrong(key) => tracing::warn!(
            record = name(key),
            found = %super::found_words(&key.found),
            next_step = %format!("publish what `postroad dkim show {}` prints", key.domain),
            "mail is signed with a key that nobody can verify"
        ),
        Event::Right(key) => tracing::info!(record = name(key), "the record of a signing key is right again"),
        Event::Aged(_) => {}
    }
}

/// Between two looks at what is due.
const EVERY: Duration = Duration::from_secs(60);
/// So many of these, and all domains are looked through for keys that are lacking.
const WHOLE_ROUND: u32 = 15;
/// Changes come in groups.
const PAUSE: Duration = Duration::from_secs(1);
/// Domains looked at between two questions what is due.
const AT_ONCE: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    use postroad_dns::Fixed;
    use postroad_mail::{Actor, By, Domain, Error, domains};
    use postroad_trust::keys::State;

    const START: i64 = 1_795_305_600_000_000;
    const HOUR: i64 = 60 * 60 * 1_000_000;
    const DAY: i64 = 24 * HOUR;

    struct World {
        clock: Arc<AtomicI64>,
        tended: Tended,
    }

    impl World {
        fn new() -> World {
            let store = Store::open(postroad_store::Settings::memory()).expect("a store");
            let tables = [postroad_store::MIGRATIONS, postroad_mail::MIGRATIONS, postroad_trust::MIGRATIONS].concat();
            store.migrate(&tables).expect("tables");
            let made = store.write_blocking(Locks::none(), |tx| {
                let by = By::new(Timestamp(START), Actor::Admin);
                domains::create(tx, &by, &Domain::parse("example.test").map_err(Error::AddressInvalid)?)
            });
            made.expect("a domain");
            let time = Arc::new(AtomicI64::new(START));
            let clock: Clock = {
                let time = Arc::clone(&time);
                Arc::new(move || Timestamp(time.load(Ordering::SeqCst)))
            };
            let tended = Tended {
                srs: Arc::new(Srs::new(store.clone(), true, Arc::clone(&clock))),
                store,
                dns: Arc::new(Fixed::new()),
                policy: Policy::default(),
                hostname: "mx.example.test".into(),
                clock,
            };
            World { clock: time, tended }
        }

        /// What runs once the time has come, and what the keys are then.
        async fn after(&self, micros: i64) -> Vec<(String, State)> {
            self.clock.fetch_add(micros, Ordering::SeqCst);
            let now = (self.tended.clock)();
            whole(&self.tended, now).await;
            round(&self.tended, now, &Stop::new()).await.expect("a round");
            self.keys().into_iter().map(|key| (key.selector, key.state)).collect()
        }

        fn keys(&self) -> Vec<Key> {
            self.tended.store.read_blocking(|tx| keys::list(tx, None)).expect("they can be read")
        }

        /// The DNS has the records of all keys from now on.
        fn publish(&mut self) {
            let known = self.keys();
            let dns = known.iter().fold(Fixed::new(), |dns, key| dns.with_txt(&key.name(), key.record.clone()));
            self.tended.dns = Arc::new(dns);
        }
    }

    fn states(keys: &[(String, State)]) -> Vec<&'static str> {
        keys.iter().map(|(_, state)| state.name()).collect()
    }

    #[tokio::test]
    async fn keys_are_made_seen_followed_and_forgotten_by_themselves() {
        let mut world = World::new();
        assert_eq!(
            states(&world.after(0).await),
            ["made", "made"],
            "no key of the host's own name: a domain is above it"
        );
        assert_eq!(states(&world.after(HOUR).await), ["made", "made"]);
        world.publish();
        assert_eq!(states(&world.after(HOUR).await), ["active", "active"]);
        let old = world.after(181 * DAY).await;
        assert_eq!(states(&old), ["active", "active", "made", "made"]);
        assert_eq!(world.after(DAY).await, old, "none beside those that wait");
        world.publish();
        assert_eq!(states(&world.after(HOUR).await), ["active", "active", "published", "published"]);
        assert_eq!(states(&world.after(HOUR).await), ["retired", "retired", "active", "active"]);
        assert_eq!(states(&world.after(14 * DAY).await), ["gone", "gone", "active", "active"]);
        world.tended.dns = Arc::new(Fixed::new());
        world.after(HOUR).await;
        let alarming = world.tended.store.read_blocking(keys::alarming).expect("they can be read");
        assert_eq!(alarming.len(), 2, "what signs is gone from the DNS");
    }
}
