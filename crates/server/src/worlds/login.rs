//! Verifying a name and a password for the reading services.

use std::sync::Arc;

use postroad_mail::{Authenticated, Error, LoginCache, Refused, Service, credentials};
use postroad_store::{Locks, Store, Timestamp};
use tokio::sync::Semaphore;

/// Logins hashed at once; each takes a core and 19 MiB for some 30 ms.
const HASHED_AT_ONCE: usize = 4;

/// Verifies logins; clones share the cache and the bound.
#[derive(Clone)]
pub(crate) struct Logins {
    store: Store,
    cache: Arc<LoginCache>,
    hashing: Arc<Semaphore>,
}

/// Why somebody may not come in.
pub(crate) enum Denied {
    /// The reason that the client may know.
    Refused(Refused),
    /// Nobody could look.
    Unavailable,
}

impl Logins {
    pub(crate) fn new(store: Store) -> std::io::Result<Logins> {
        let hashing = Arc::new(Semaphore::new(HASHED_AT_ONCE));
        Ok(Logins { store, cache: Arc::new(LoginCache::new()?), hashing })
    }

    /// Looks the login up, verifies the password outside of any transaction, and notes the use.
    pub(crate) async fn verify(&self, login: String, password: String, service: Service) -> Result<Authenticated, Denied> {
        let name = login.clone();
        let candidates = self.store.read(move |tx| credentials::candidates(tx, &name)).await.map_err(unavailable)?;
        let Ok(_turn) = self.hashing.acquire().await else { return Err(Denied::Unavailable) };
        let cache = Arc::clone(&self.cache);
        let now = Timestamp::now();
        let verified = tokio::task::spawn_blocking(move || cache.verify(&candidates, &password, service, now)).await;
        let authenticated = match verified {
            Ok(outcome) => outcome.map_err(Denied::Refused)?,
            Err(error) => {
                tracing::error!(%error, "verifying a password failed");
                return Err(Denied::Unavailable);
            }
        };
        if authenticated.should_touch(now) {
            let used = authenticated.clone();
            let noted = self.store.write(Locks::none(), move |tx| credentials::touch(tx, &used, now)).await;
            if let Err(error) = noted {
                // A full disk must not keep people from reading.
                tracing::warn!(%error, "the last use of a password could not be noted");
            }
        }
        Ok(authenticated)
    }
}

fn unavailable(error: Error) -> Denied {
    match &error {
        Error::Store(store) => tracing::error!(%error, next_step = store.next_step(), "a login could not be looked up"),
        other => tracing::error!(error = %other, "a login could not be looked up"),
    }
    Denied::Unavailable
}
