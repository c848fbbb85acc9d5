//! Verifying a name and a password for the reading services.

use std::net::IpAddr;
use std::sync::Arc;

use postroad_mail::{Authenticated, Error, LoginCache, Refused, Service, credentials};
use postroad_net::Bans;
use postroad_sasl::Check;
use postroad_store::{Locks, Store, Timestamp};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Logins hashed at once; each takes a core and 19 MiB for some 30 ms.
const HASHED_AT_ONCE: usize = 4;
/// Points of a failed login towards being shut out.
const LOGIN_OFFENCE: u32 = 1;

/// Verifies logins; clones share the cache, the bound and the bans.
#[derive(Clone)]
pub(crate) struct Logins {
    store: Store,
    cache: Arc<LoginCache>,
    hashing: Arc<Semaphore>,
    bans: Arc<Bans>,
}

/// Why somebody may not come in.
pub(crate) enum Denied {
    /// The reason that the client may know.
    Refused(Refused),
    /// Nobody could look.
    Unavailable,
}

impl Logins {
    pub(crate) fn new(store: Store, cache: Arc<LoginCache>, bans: Arc<Bans>) -> Logins {
        Logins { store, cache, hashing: Arc::new(Semaphore::new(HASHED_AT_ONCE)), bans }
    }

    /// Looks the login up, verifies the password outside of any transaction, and notes the use.
    pub(crate) async fn verify(&self, check: Check, from: IpAddr, service: Service) -> Result<Authenticated, Denied> {
        let login = check.authcid.clone();
        let now = Timestamp::now();
        match self.verified(check, service, now).await {
            Ok(authenticated) => {
                tracing::info!(login, %service, "logged in");
                self.touch(&authenticated, now).await;
                Ok(authenticated)
            }
            Err(Denied::Refused(refused)) => {
                tracing::info!(login, %service, ?refused, "a login failed");
                metrics::counter!("postroad_logins_failed_total", "service" => service.name()).increment(1);
                if self.bans.offend(from, LOGIN_OFFENCE, Instant::now()) {
                    tracing::warn!(remote = %from, "shut out for a while after too many failed logins");
                }
                Err(Denied::Refused(refused))
            }
            Err(Denied::Unavailable) => Err(Denied::Unavailable),
        }
    }

    async fn verified(&self, check: Check, service: Service, now: Timestamp) -> Result<Authenticated, Denied> {
        let (authcid, authzid) = (check.authcid, check.authzid);
        let (candidates, same) = self
            .store
            .read(move |tx| {
                let candidates = credentials::candidates(tx, &authcid)?;
                // Nobody acts for another; but many clients name the same account twice, in two ways.
                let same = match authzid.filter(|authzid| !authzid.is_empty() && *authzid != authcid) {
                    None => true,
                    Some(authzid) => {
                        let wanted = credentials::candidates(tx, &authzid)?.account();
                        wanted.is_some() && wanted == candidates.account()
                    }
                };
                Ok((candidates, same))
            })
            .await
            .map_err(unavailable)?;
        let Ok(_turn) = self.hashing.acquire().await else { return Err(Denied::Unavailable) };
        let cache = Arc::clone(&self.cache);
        let password = check.password;
        let work = move || cache.verify(&candidates, password.expose(), service, now);
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(authenticated)) if same => Ok(authenticated),
            Ok(Ok(_)) => Err(Denied::Refused(Refused::Wrong)),
            Ok(Err(refused)) => Err(Denied::Refused(refused)),
            Err(error) => {
                tracing::error!(%error, "verifying a password failed");
                Err(Denied::Unavailable)
            }
        }
    }

    /// Notes the use of a password, which is worth a write but never a failed login.
    async fn touch(&self, login: &Authenticated, now: Timestamp) {
        if !login.should_touch(now) {
            return;
        }
        let used = login.clone();
        let noted = self.store.write(Locks::none(), move |tx| credentials::touch(tx, &used, now)).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "the last use of a password could not be noted");
        }
    }
}

fn unavailable(error: Error) -> Denied {
    match &error {
        Error::Store(store) => tracing::error!(%error, next_step = store.next_step(), "a login could not be looked up"),
        other => tracing::error!(error = %other, "a login could not be looked up"),
    }
    Denied::Unavailable
}
