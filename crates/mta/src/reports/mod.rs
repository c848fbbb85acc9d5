//! Reports about mail: those that others send are read, and what they are owed of ours is written.
//!
//! 1. A letter that may carry reports is delivered like any other, and in the same transaction waits to be read. Who reads it
//!    ([`take`]) does so outside of any session: nothing that a stranger packs holds up mail.
//! 2. A day that is over is reported on at a random moment of the night ([`Reporter::run`]). A domain's report is marked as sent in
//!    the transaction that queues it, so that of several nodes one sends it, once.
//! 3. Reports make no reports: verified letters with reports are not counted for DMARC, and a day on which nothing but our own
//!    reports went to a domain is not reported on to it. They go out with the null sender, so that nothing comes back.
//! 4. Who wants to hear of single messages is told soon after, so often in a day ([`failures`]), when the settings allow it.
//! 5. Reports go only to who agreed to get them: elsewhere than at the domain itself, its DNS must say so.
//!
//! Standards: RFC 9990 (aggregate reports), RFC 9991 and 6591 (failures), RFC 8460 (TLS), RFC 5965 (complaints, taken in).

mod dmarc;
mod failures;
mod places;
mod seen;
mod send;
mod take;
#[cfg(test)]
mod tests;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postroad_dns::Dns;
use postroad_login::Clock;
use postroad_mail::Error;
use postroad_net::Stop;
use postroad_store::Store;
use postroad_trust::tls_results::Day;

use crate::outbound::https::Https;
use crate::outbound::post;
use crate::outbound::tls::Tls;
use crate::sign::Signing;

pub use seen::record;
pub use send::Line;
pub use take::Complaint;
pub use tls::Put;

/// What the server does about reports.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our name: who reports, and the domain of the letters.
    pub hostname: String,
    /// Aggregate reports of DMARC are sent.
    pub dmarc: bool,
    /// Reports about TLS are sent.
    pub tls: bool,
    /// Reports about single messages to one address in a day; what may be told at all was decided when they came in.
    pub failures_per_day: u32,
    /// Where reports may be put by HTTPS: the authorities that are believed; `None` are the system's.
    pub authorities: Option<PathBuf>,
    /// The port of HTTPS: 443, but in tests.
    pub https_port: u16,
    /// Whether the DNS may lead to this machine: for a trial.
    pub allow_loopback: bool,
}

/// Reads and writes reports.
pub struct Reporter {
    store: Store,
    settings: Settings,
    dns: Arc<dyn Dns>,
    signing: Signing,
    clock: Clock,
    https: Https,
    /// How long putting a report somewhere may take.
    put_within: Duration,
}

impl Reporter {
    /// Errors: TLS cannot be set up.
    pub fn new(
        store: Store,
        settings: Settings,
        dns: Arc<dyn Dns>,
        signing: Signing,
        clock: Clock,
    ) -> Result<Reporter, rustls::Error> {
        let https = Https {
            dns: Arc::clone(&dns),
            tls: Tls::new(settings.authorities.as_deref())?,
            port: settings.https_port,
            allow_loopback: settings.allow_loopback,
            sources: Vec::new(),
        };
        Ok(Reporter { store, settings, dns, signing, clock, https, put_within: post::WITHIN })
    }

    /// Reads what comes, and reports on each day that is over, until the stop. `seed`: any value, all bits alike.
    pub async fn run(self, seed: u64, stop: Stop) {
        let mut reported: Option<Day> = None;
        loop {
            if let Err(error) = self.take_all(&stop).await {
                tracing::warn!(%error, "reports of others are read in the next round");
            }
            if let Err(error) = self.tell_all(&stop).await {
                tracing::warn!(%error, "failures are told in the next round");
            }
            if let Err(error) = self.put_all(&stop).await {
                tracing::warn!(%error, "reports are put where they are wanted in the next round");
            }
            let now = (self.clock)();
            let yesterday = Day(Day::of(now).0 - 1);
            let due = Day::of(now).begins().plus(delay(seed, yesterday));
            if reported != Some(yesterday) && now >= due {
                match self.night(yesterday, &stop).await {
                    Ok(()) => reported = Some(yesterday),
                    Err(error) => tracing::warn!(%error, "reports are sent in the next round"),
                }
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.stopped() => return,
            }
        }
    }

    /// Reports on a day, and on those before it that were missed.
    async fn night(&self, yesterday: Day, stop: &Stop) -> Result<(), Error> {
        for back in (0..DAYS_BACK).rev() {
            if stop.is_stopped() {
                return Ok(());
            }
            for line in self.send(Day(yesterday.0 - back), false).await? {
                tracing::info!(kind = line.kind, domain = line.domain, said = line.said, "a day was reported on");
            }
        }
        Ok(())
    }

    /// Reports on a day now; without `dry`, what is sent is not sent again. With it, nothing is sent or marked. Errors: the
    /// database's.
    pub async fn send(&self, day: Day, dry: bool) -> Result<Vec<Line>, Error> {
        let mut lines = Vec::new();
        if self.settings.dmarc {
            self.send_dmarc(day, dry, &mut lines).await?;
        }
        if self.settings.tls {
            self.send_tls(day, dry, &mut lines).await?;
        }
        Ok(lines)
    }
}

/// How long after midnight: not all receivers at the same moment (RFC 8460 §4.1).
fn delay(seed: u64, day: Day) -> Duration {
    let mixed = (seed ^ day.0.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    FIRST + Duration::from_secs(mixed % SPREAD.as_secs())
}

/// Letters are looked for this often.
const EVERY: Duration = Duration::from_secs(3);
/// What was counted in memory at midnight is written by then.
const FIRST: Duration = Duration::from_secs(5 * 60);
/// Within this time after it.
const SPREAD: Duration = Duration::from_secs(4 * 60 * 60);
/// A server that was down sends what it owes of so many days.
const DAYS_BACK: i64 = 3;
