//! What the database has is what clients are shown: on every node, from the moment it is there.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use postroad_net::{Certificates, Challenges, Kept, Stop};
use postroad_store::Store;
use postroad_trust::certificates;

use super::Clock;

/// Puts the certificates of the database into TLS.
pub struct Shown {
    store: Store,
    certificates: Arc<Certificates>,
    /// The default, for clients that ask for no name, is its certificate.
    host: String,
}

impl Shown {
    /// Of this store, in these certificates, of a server with this name.
    pub fn new(store: Store, certificates: Arc<Certificates>, host: impl Into<String>) -> Shown {
        Shown { store, certificates, host: host.into() }
    }

    /// Shows what there is now; how many certificates that are.
    pub async fn load(&self) -> Result<usize, certificates::Error> {
        let mut there = self.store.read(certificates::in_use).await?;
        // The server's own first; of the others those that last longest.
        there.sort_by_key(|(one, _)| (!one.names.contains(&self.host), -one.not_after.0));
        let kept: Vec<Kept> =
            there.iter().map(|(one, key)| Kept { chain: one.chain.clone(), key: key.pkcs8.expose().clone() }).collect();
        let shown = Arc::clone(&self.certificates);
        let wrong = tokio::task::spawn_blocking(move || shown.keep(&kept)).await.unwrap_or_default();
        for (place, error) in &wrong {
            let line = there.get(*place).map(|(one, _)| one.line.as_str());
            tracing::error!(line, %error, "a kept certificate cannot be used: order or import it again");
        }
        self.measure();
        Ok(there.len() - wrong.len())
    }

    /// Shows in the metrics how long each certificate is valid, those of files included.
    fn measure(&self) {
        let now = SystemTime::now();
        // Of several for a name that is measured which is shown, the first: the stand-in comes last.
        for facts in self.certificates.facts(now).into_iter().rev() {
            let left = match facts.not_after.duration_since(now) {
                Ok(left) => left.as_secs_f64(),
                Err(over) => -over.duration().as_secs_f64(),
            };
            let name = facts.names.first().cloned().unwrap_or_default();
            metrics::gauge!("postroad_certificate_expiry_seconds", "name" => name).set(left.floor());
        }
    }

    /// Shows what changes, until the stop.
    pub async fn follow(self, stop: Stop) {
        let mut news = self.store.hub().subscribe(certificates::NEWS);
        loop {
            news.borrow_and_update();
            match self.load().await {
                Ok(count) => tracing::debug!(count, "certificates of the database are shown"),
                Err(error) => {
                    tracing::warn!(%error, "the certificates in the database cannot be read; it is tried again")
                }
            }
            let told = async {
                if news.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = told => {}
                // News may be lost.
                () = tokio::time::sleep(EVERY) => {}
                () = stop.stopped() => return,
            }
        }
    }
}

/// What authorities that look over TLS are shown: whatever node ordered, each can answer.
pub struct Answers {
    store: Store,
    clock: Clock,
}

impl Answers {
    /// The answers in this store.
    pub fn new(store: Store, clock: Clock) -> Answers {
        Answers { store, clock }
    }
}

impl Challenges for Answers {
    fn answer<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = Option<[u8; 32]>> + Send + 'a>> {
        Box::pin(async move {
            let (name, now) = (name.to_owned(), (self.clock)());
            let found = self.store.read(move |tx| certificates::alpn_answer(tx, &name, now)).await;
            found
                .inspect_err(|error| tracing::warn!(%error, "an authority's question (TLS-ALPN-01) cannot be answered"))
                .ok()
                .flatten()
        })
    }
}

const EVERY: Duration = Duration::from_secs(5 * 60);
