//! Runs the server: opens what it needs, wires the parts, and stops in order.
//!
//! Order of the start: data folder and its lock, store and tables, certificates, sockets, then everything that
//! serves, then `ready`. Order of the stop: no new connections, sessions end after their running job, then the
//! store is closed.

pub(crate) mod certificates;
mod chores;
mod collect;
mod gate;
mod identity;
mod index;
pub(crate) mod kerberos;
mod listeners;
mod logging;
pub(crate) mod outbound;
pub(crate) mod reports;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use postroad_login::{Clock, Logins};
use postroad_mta::{Checker, Signers, Signing, Srs};
use postroad_net::{
    Bans, Bound, Certificates, Door, Inherited, LimitSettings, Limits, Stop, Times, Tls, bind, ready as notify_ready,
    stopping as notify_stopping, watchdog,
};
use postroad_store::{Store, Timestamp};
use postroad_web::autoconfig::SetUp;
use postroad_web::{About, Recorder, ServiceLine, Site};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::admin::socket;
use crate::place::Lock;
use crate::settings::{ListenerSettings, Service, Settings, TlsMode};
use crate::signing::{self, Tended};
use crate::{offers, place, print};

/// Passwords verified at once, also on a machine with one core: one slow login must not hold up all others.
const HASHES_AT_ONCE_MIN: usize = 2;
/// Certificate files are looked at this often.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(60);

/// Serves until a signal. `ready` is called when all listeners accept. The lock is held until the end.
pub(crate) fn run(settings: &Settings, _lock: Lock, ready: impl FnOnce() + Send) -> Result<()> {
    logging::start(&settings.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let store = place::open_store(settings)?;
    let outcome = runtime.block_on(serve(settings, &store, ready));
    // What still waits in the store is finished before the process ends.
    runtime.shutdown_timeout(Duration::from_secs(1));
    store.close();
    outcome
}

async fn serve(settings: &Settings, store: &Store, ready: impl FnOnce() + Send) -> Result<()> {
    let stop = Stop::new();
    let clock: Clock = Arc::new(Timestamp::now);
    let certificates = certificates::load(settings)?;
    let (bans, told) = gate::bans(settings)?;
    let bans = Arc::new(bans);
    gate::read(store, &bans).await?;
    let tls = certificates::tls(&certificates, store, &clock)?;
    let door = door(settings, tls, Arc::clone(&bans), stop.clone())?;
    let mut inherited = Inherited::from_environment();
    let bound = bind_all(&settings.listener, &mut inherited)?;

    let mut running = JoinSet::new();
    let (stories, scribe) = postroad_mta::scribe(store.clone());
    let at_once = std::thread::available_parallelism().map_or(HASHES_AT_ONCE_MIN, usize::from).max(HASHES_AT_ONCE_MIN);
    let logins = Logins::new(store.clone(), Arc::clone(&clock), Some(Arc::clone(&bans)), at_once)?;
    let logins = logins.keeping_keys(settings.offers_scram()).with_configuration(settings.configuration().as_deref());
    let logins = identity::with_sealed_keys(settings, logins)?;
    let logins = kerberos::with_kerberos(settings, logins)?;
    let site = site(settings, store, &certificates, logins.clone(), Arc::clone(&clock))?;
    running.spawn(identity::keep(store.clone(), door.cuts.clone(), Arc::clone(&clock), stop.clone()));
    running.spawn(gate::keep(store.clone(), Arc::clone(&bans), told, gate::lengths(settings), stop.clone()));
    let names = outbound::Names::of(settings)?;
    let srs = Arc::new(Srs::new(store.clone(), settings.outbound.rewrite_senders, Arc::clone(&clock)));
    let signing = Signing::new(Arc::new(Signers::new(store.clone(), Arc::clone(&clock))), Arc::clone(&srs));
    let gate = gate::gate(settings, bans, names.asked())?;
    let trust = listeners::Trust { checker: checker(settings, &names), signing: signing.clone(), gate };
    let parts = listeners::Parts::new(settings, store, logins, Arc::clone(&clock), stories, trust, site)?;
    let tended = Tended {
        store: store.clone(),
        dns: names.dns(),
        policy: settings.signing().policy(names.asked().is_some()),
        hostname: settings.hostname.clone(),
        srs,
        clock: Arc::clone(&clock),
    };
    running.spawn(signing::run(tended, stop.clone()));
    certificates::start(&mut running, settings, &certificates, store, names.dns(), Arc::clone(&clock), &stop).await?;
    // Here it costs a start a millisecond or two, and nobody waits for it.
    if let Err(error) = store.read_quick_with((), |tx, ()| postroad_imapd::rehearse(tx)).await.1 {
        tracing::warn!(%error, "the database does not answer as it should");
    }
    for (service, bound) in bound {
        parts.serve(&mut running, service, bound, door.clone())?;
    }
    // What is left of the parts lives in the listeners' tasks, so that the scribe ends with the last of them.
    drop(parts);
    running.spawn(scribe.run());
    reports::start(&mut running, settings, store, (names.dns(), signing.clone(), Arc::clone(&clock)), &stop)?;
    outbound::start(&mut running, settings, names, store, signing, clock, &stop)?;
    let kept = chores::Kept {
        retention: settings.retention.clone(),
        greylist: settings.gate.greylist.terms(),
        expire_days: settings.pop3.expire_days,
    };
    running.spawn(chores::run(store.clone(), kept, stop.clone()));
    running.spawn(index::run(store.clone(), stop.clone()));
    collect::start(&mut running, settings, store, &stop);
    running.spawn(watchdog(stop.clone()));
    {
        let (certificates, stop) = (Arc::clone(&certificates), stop.clone());
        running.spawn(async move { certificates.watch(CERTIFICATES_EVERY, stop).await });
    }
    running.spawn(look_again(certificates, signal(SignalKind::hangup())?, stop.clone()));
    {
        let (data, store, stop) = (settings.data.clone(), store.clone(), stop.clone());
        running.spawn(async move {
            if let Err(error) = socket::serve(&data, store, stop).await {
                tracing::error!("the command line cannot act through this server: {error:#}");
            }
        });
    }

    // Before anybody can know that this server runs: until then a signal to stop would end it at once.
    let mut signals = Signals::new()?;
    notify_ready();
    ready();
    tracing::info!(listeners = settings.listener.len(), data = %settings.data.display(), "serving");
    signals.stop().await;
    tracing::info!("stopping: running jobs are finished, clients are told");
    notify_stopping();
    stop.stop();
    // A second signal ends at once; the store loses nothing by it.
    tokio::select! {
        () = async { while running.join_next().await.is_some() {} } => tracing::info!("stopped"),
        () = signals.stop() => tracing::warn!("stopped at once"),
    }
    Ok(())
}

/// The sockets of all listeners, those that systemd handed over among them.
fn bind_all(listeners: &[ListenerSettings], inherited: &mut Inherited) -> Result<Vec<(Service, Bound)>> {
    let mut bound = Vec::with_capacity(listeners.len());
    for listener in listeners {
        bound.push((listener.service, bind(listeners::listener(listener), inherited)?));
    }
    for left in inherited.left() {
        tracing::warn!(socket = left, "systemd handed over a socket that no listener is named after");
    }
    Ok(bound)
}

/// What looks at the mail of strangers.
fn checker(settings: &Settings, names: &outbound::Names) -> Checker {
    let checker = names.asked().map_or_else(Checker::none, Checker::asking);
    checker.recording(postroad_mta::reports::record).telling(settings.reports.failures.into())
}

/// What the pages over HTTP show.
fn site(
    settings: &Settings,
    store: &Store,
    certificates: &Arc<Certificates>,
    logins: Logins,
    clock: Clock,
) -> Result<Site> {
    let recorder = Recorder::default();
    recorder.install();
    let services = settings
        .listener
        .iter()
        .map(|listener| ServiceLine {
            name: listener.name.clone(),
            address: listener.address,
            security: match listener.tls {
                TlsMode::None => "in clear".into(),
                TlsMode::Starttls => "STARTTLS".into(),
                TlsMode::Implicit => "TLS".into(),
            },
        })
        .collect();
    let insiders = listeners::networks("http.insiders", &settings.http.insiders)?;
    let version = env!("CARGO_PKG_VERSION").to_string();
    let in_tls = |listener: &&ListenerSettings| listener.service == Service::Http && listener.tls == TlsMode::Implicit;
    let https = settings.listener.iter().find(in_tls).map(ListenerSettings::port_outside);
    let about = About { host: settings.hostname.clone(), version, services, insiders, https };
    let (shown, host) = (Arc::clone(certificates), settings.hostname.clone());
    let set_up = SetUp::new(offers::of(settings), Arc::new(move || shown.key_of(&host)));
    let site = Site::new(store.clone(), recorder, about).with_set_up(set_up);
    Ok(match identity::provider(settings, store, logins, clock)? {
        Some(provider) => site.with_provider(provider),
        None => site,
    })
}

fn door(settings: &Settings, tls: Tls, bans: Arc<Bans>, stop: Stop) -> Result<Door> {
    let limits = LimitSettings {
        total: settings.limits.connections,
        per_listener: settings.limits.connections,
        per_client: settings.limits.connections_per_address,
        exempt: gate::spared(settings)?,
    };
    let times = Times { grace: Duration::from_secs(settings.limits.stop_seconds), ..Times::default() };
    let seed = u64::try_from(Timestamp::now().0).unwrap_or_default();
    Ok(Door::new(Limits::new(limits, Some(bans)), Some(tls), stop, times, seed))
}

/// On SIGHUP the certificate files are looked at now: whoever renews them need not wait.
async fn look_again(certificates: Arc<Certificates>, mut hangup: Signal, stop: Stop) {
    loop {
        tokio::select! {
            _ = hangup.recv() => {}
            () = stop.stopped() => return,
        }
        let files = Arc::clone(&certificates);
        match tokio::task::spawn_blocking(move || files.reload()).await {
            Ok(renewed) => tracing::info!(renewed, "looked for new certificates"),
            Err(error) => tracing::error!(%error, "looking for new certificates failed"),
        }
    }
}

/// The signals that stop this server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Signals> {
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => print::complaint("stopping; once more ends at once"),
        }
    }
}
