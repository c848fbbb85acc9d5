//! Telling the service manager how we are (`sd_notify`). Without a service manager all of it does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::Stop;

/// All listeners accept.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The stop has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Feeds the watchdog until the stop, if the service manager asked for it (`WatchdogSec=`). It runs on the same
/// runtime as the connections, so a runtime that hangs is noticed.
pub async fn watchdog(stop: Stop) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    // Half the time, as sd_watchdog_enabled(3) advises; never in a busy loop.
    let mut beat = tokio::time::interval((limit / 2).max(SHORTEST_BEAT));
    loop {
        tokio::select! {
            _ = beat.tick() => tell(&[NotifyState::Watchdog]),
            () = stop.stopped() => return,
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told our state");
    }
}

const SHORTEST_BEAT: Duration = Duration::from_millis(100);
