//! Reports: what others send is read, and what is owed to them goes out each night.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use postroad_dns::Dns;
use postroad_login::Clock;
use postroad_mta::reports::{Reporter, Settings as Reporting};
use postroad_mta::{Signers, Signing, Srs};
use postroad_net::Stop;
use postroad_store::{Store, Timestamp};
use tokio::task::JoinSet;

use super::outbound::Names;
use crate::settings::Settings;

/// Who reads and writes reports; `shared` is what a running server has already.
pub(crate) fn reporter(
    settings: &Settings,
    store: &Store,
    shared: Option<(Arc<dyn Dns>, Signing, Clock)>,
) -> Result<Reporter> {
    let (dns, signing, clock) = match shared {
        Some(shared) => shared,
        None => {
            let clock: Clock = Arc::new(Timestamp::now);
            let srs = Arc::new(Srs::new(store.clone(), settings.outbound.rewrite_senders, Arc::clone(&clock)));
            let signing = Signing::new(Arc::new(Signers::new(store.clone(), Arc::clone(&clock))), srs);
            (Names::of(settings)?.dns(), signing, clock)
        }
    };
    let reporting = Reporting {
        hostname: settings.hostname.clone(),
        dmarc: settings.reports.dmarc,
        tls: settings.reports.tls,
        failures_per_day: settings.reports.failures_per_day,
        authorities: settings.outbound.authorities.clone(),
        https_port: HTTPS,
        allow_loopback: settings.outbound.allow_loopback,
    };
    Reporter::new(store.clone(), reporting, dns, signing, clock).context("TLS for reports cannot be set up")
}

/// Starts it.
pub(super) fn start(
    running: &mut JoinSet<()>,
    settings: &Settings,
    store: &Store,
    shared: (Arc<dyn Dns>, Signing, Clock),
    stop: &Stop,
) -> Result<()> {
    let reporter = reporter(settings, store, Some(shared))?;
    let seed = getrandom::u64().map_err(|error| anyhow!("the system gives no random numbers: {error}"))?;
    running.spawn(reporter.run(seed, stop.clone()));
    Ok(())
}

/// The port that reports are put to.
const HTTPS: u16 = 443;
