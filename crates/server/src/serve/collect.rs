//! Collecting by POP3: places whose time has come are looked at, each by one server of all, a few at a time.

use std::time::Duration;

use postroad_mail::remote::collect::{self, Collect};
use postroad_net::Stop;
use postroad_oauth::{Http, Tokens};
use postroad_remote::Error;
use postroad_remote::pop3::{self, Done, Limits, Shown};
use postroad_store::seal::Sealer;
use postroad_store::{Locks, Store, Timestamp};
use tokio::task::JoinSet;

use crate::settings::Settings;
use crate::{elsewhere, place};

/// Between two looks at whose time has come.
const EVERY: Duration = Duration::from_secs(5);
/// Places at a time.
const AT_ONCE: usize = 4;
/// One look takes no longer; what is left comes with the next.
const WITHIN: Duration = Duration::from_secs(14 * 60);
/// Nobody else looks for so long after the last beat: a server that was killed holds nothing up.
const CLAIM: Duration = Duration::from_secs(90);
/// While it looks, its claim is made longer as often.
const BEAT: Duration = Duration::from_secs(20);
/// After failures, the longest wait.
const WAIT_MAX: Duration = Duration::from_secs(6 * 60 * 60);
/// The wait doubles with each failure, so many times.
const DOUBLINGS: u32 = 6;

/// What looks need.
#[derive(Clone)]
struct Collector {
    store: Store,
    sealer: Sealer,
    tokens: Tokens,
    hostname: String,
}

/// Starts collecting, where secrets can be unsealed.
pub(super) fn start(running: &mut JoinSet<()>, settings: &Settings, store: &Store, stop: &Stop) {
    match secrets(settings, store) {
        Ok((sealer, tokens)) => {
            let (store, hostname) = (store.clone(), settings.hostname.clone());
            running.spawn(Collector { store, sealer, tokens, hostname }.run(stop.clone()));
        }
        Err(error) => tracing::warn!(%error, "no mail is collected by POP3: passwords cannot be unsealed"),
    }
}

/// What passwords and tokens are unsealed with.
fn secrets(settings: &Settings, store: &Store) -> anyhow::Result<(Sealer, Tokens)> {
    let sealer = Sealer::open(&place::secret_key(settings))?;
    let http = Http::new(settings.outbound.authorities.as_deref())?;
    let tokens = Tokens::new(store.clone(), sealer.clone(), http, std::sync::Arc::new(Timestamp::now));
    Ok((sealer, tokens))
}

impl Collector {
    /// Looks until the stop.
    async fn run(self, stop: Stop) {
        // Whoever holds a claim on SQLite was this server before it was killed.
        let freed = self.store.write(Locks::none(), |tx| if tx.is_postgres() { Ok(()) } else { collect::free(tx) });
        if let Err(error) = freed.await {
            tracing::warn!(%error, "where mail is collected from is not free yet");
        }
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.stopped() => break,
            }
            while running.try_join_next().is_some() {}
            let free: usize = AT_ONCE.saturating_sub(running.len());
            if free == 0 {
                continue;
            }
            match self.claimed(free).await {
                Ok(places) => {
                    for place in places {
                        let (collector, stop) = (self.clone(), stop.clone());
                        let runtime = tokio::runtime::Handle::current();
                        // The store is written to between awaits.
                        running.spawn_blocking(move || runtime.block_on(collector.look(place, &stop)));
                    }
                }
                Err(error) => tracing::warn!(%error, "where to collect mail from cannot be read; it is tried again"),
            }
        }
        while running.join_next().await.is_some() {}
    }

    /// Places whose time has come, and that are ours now.
    async fn claimed(&self, free: usize) -> Result<Vec<Collect>, postroad_mail::Error> {
        let now = Timestamp::now();
        let due = self.store.read(move |tx| collect::due(tx, now, free)).await?;
        if due.is_empty() {
            return Ok(due);
        }
        let claimed = self.store.write(Locks::none(), move |tx| {
            let mut ours = Vec::new();
            for place in due {
                if collect::claim(tx, place.account, place.id, now, now.plus(CLAIM))? {
                    ours.push(place);
                }
            }
            Ok::<_, postroad_mail::Error>(ours)
        });
        Ok(claimed.await?.value)
    }

    /// What is shown at a place.
    async fn shown(&self, place: &Collect) -> Result<Shown, Error> {
        match pop3::collect::password(&self.sealer, place)? {
            Some(password) => Ok(Shown::Password(password)),
            None => {
                let token = self.tokens.token(&elsewhere::of_collect(place.account, place.id)).await;
                token.map(|token| Shown::Token(token.text)).map_err(|error| elsewhere::no_token(&error))
            }
        }
    }

    /// Nobody else looks for a while more.
    async fn beat(&self, place: &Collect) {
        let (account, id, until) = (place.account, place.id, Timestamp::now().plus(CLAIM));
        let held = self.store.write(Locks::none(), move |tx| collect::hold(tx, account, id, until));
        if let Err(error) = held.await {
            tracing::debug!(%error, "a claim is not made longer");
        }
    }

    async fn look(&self, place: Collect, stop: &Stop) {
        let (mut done, limits) = (Done::default(), Limits::default());
        let outcome = {
            let looking = async {
                let shown = self.shown(&place).await?;
                pop3::collect(&self.store, &shown, &place, &self.hostname, &limits, Timestamp::now, &mut done).await
            };
            let looking = tokio::time::timeout(WITHIN, looking);
            tokio::pin!(looking);
            let mut beats = tokio::time::interval(BEAT);
            loop {
                tokio::select! {
                    outcome = &mut looking => break outcome.unwrap_or_else(|_| {
                        Err(Error::Network("it is too slow; the rest comes with the next look".into()))
                    }),
                    _ = beats.tick() => self.beat(&place).await,
                    () = stop.stopped() => break Err(Error::Network("this server stopped in the middle of it".into())),
                }
            }
        };
        let now = Timestamp::now();
        let (account, id, from) = (place.account, place.id, place.place.clone());
        let next = now.plus(wait(&place, &outcome, &done));
        let trouble = match &outcome {
            Ok(()) if done.left > 0 => Some(format!("{} messages stay there: too large, or not to be had", done.left)),
            Ok(()) => None,
            Err(error) => Some(error.to_string()),
        };
        match &outcome {
            Ok(()) => tracing::info!(
                account = account.0,
                from,
                taken = done.taken,
                removed = done.removed,
                "mail was collected"
            ),
            Err(error) => tracing::warn!(
                account = account.0, from, taken = done.taken, %error,
                "collecting mail failed and is tried again; `postroad collect list` tells more"
            ),
        }
        let failed = outcome.is_err();
        let noted = self.store.write(Locks::none(), move |tx| {
            collect::looked(tx, (account, id), now, next, (trouble.as_deref(), failed), done.taken)
        });
        if let Err(error) = noted.await {
            tracing::warn!(%error, "how collecting went is not noted; it goes on when its claim has ended");
        }
    }
}

/// Until the next look.
fn wait(place: &Collect, outcome: &Result<(), Error>, done: &Done) -> Duration {
    let every = Duration::from_secs(u64::from(place.every));
    match outcome {
        Ok(()) if done.more => Duration::ZERO,
        Ok(()) => every,
        Err(_) => (every * 2_u32.pow(place.failures.min(DOUBLINGS))).min(WAIT_MAX.max(every)),
    }
}
