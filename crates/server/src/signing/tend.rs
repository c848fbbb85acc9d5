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

fn tell(event: &Event) {
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
