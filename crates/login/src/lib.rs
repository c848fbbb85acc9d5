//! Verifying who signs in, for every protocol in one place: the stored hashes come out of one look into the store,
//! the slow hash runs outside of any transaction on a bounded number of threads, failures count towards a ban, and
//! the use of a password is noted.
//!
//! What it never does: decide the words that a client hears, hold a session, keep a password.
//!
//! Standards: RFC 4616 §2 and RFC 4422 §3.4.1 (authorization identities).

use std::net::IpAddr;
use std::sync::Arc;

use postroad_mail::{Authenticated, Candidates, Error, LoginCache, Refused, Service, credentials};
use postroad_net::{Bans, Offence};
use postroad_sasl::{Check, Secret};
use postroad_store::{Locks, Store, Timestamp};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// What the time is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Verifies logins. Clones share the cache, the bound and the bans.
#[derive(Clone)]
pub struct Logins {
    store: Store,
    cache: Arc<LoginCache>,
    turns: Arc<Semaphore>,
    bans: Option<Arc<Bans>>,
    clock: Clock,
}

/// Why somebody may not come in.
#[derive(Debug)]
pub enum Denied {
    /// The reason that the client may know.
    Refused(Refused),
    /// Nobody could look; it has been logged with what to do.
    Unavailable,
}

impl Logins {
    /// Logins of the accounts in `store`; at most `at_once` slow hashes run at a time, each on a core with 19 MiB for
    /// some 30 ms. Errors: the system gives no random numbers.
    pub fn new(store: Store, clock: Clock, bans: Option<Arc<Bans>>, at_once: usize) -> Result<Logins, Error> {
        let cache = Arc::new(LoginCache::new()?);
        Ok(Logins { store, cache, turns: Arc::new(Semaphore::new(at_once)), bans, clock })
    }

    /// Verifies what a client at `from` sent for `service`.
    pub async fn verify(&self, check: Check, from: IpAddr, service: Service) -> Result<Authenticated, Denied> {
        let (login, mechanism) = (check.authcid.clone(), check.mechanism);
        match self.verified(check, service).await {
            Ok(authenticated) => {
                tracing::info!(remote = %from, login, mechanism, %service, "logged in");
                if let Some(bans) = &self.bans {
                    bans.welcome(from, Instant::now());
                }
                self.touch(&authenticated).await;
                Ok(authenticated)
            }
            Err(Denied::Refused(refused)) => {
                tracing::info!(remote = %from, login, mechanism, %service, ?refused, "a login failed");
                metrics::counter!("postroad_logins_failed_total", "service" => service.name()).increment(1);
                if let Some(bans) = &self.bans
                    && bans.offend(from, Offence::Passwords, OFFENCE, &login, Instant::now())
                {
                    tracing::warn!(remote = %from, "shut out for a while after too many failed logins");
                }
                Err(Denied::Refused(refused))
            }
            Err(Denied::Unavailable) => Err(Denied::Unavailable),
        }
    }

    async fn verified(&self, check: Check, service: Service) -> Result<Authenticated, Denied> {
        let (authcid, authzid) = (check.authcid, check.authzid);
        let look = self.store.read(move |tx| {
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
        });
        let (candidates, same) = look.await.map_err(unavailable)?;
        let authenticated = self.hashed(candidates, check.password, service).await?;
        if same { Ok(authenticated) } else { Err(Denied::Refused(Refused::Wrong)) }
    }

    /// The slow hash, in its turn; who is remembered waits for nobody's.
    async fn hashed(
        &self,
        candidates: Candidates,
        password: Secret,
        service: Service,
    ) -> Result<Authenticated, Denied> {
        let now = (self.clock)();
        if let Some(known) = self.cache.known(&candidates, password.expose(), service, now) {
            return known.map_err(Denied::Refused);
        }
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else { return Err(Denied::Unavailable) };
        let cache = Arc::clone(&self.cache);
        let work = move || {
            let _turn = turn;
            cache.verify(&candidates, password.expose(), service, now)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => outcome.map_err(Denied::Refused),
            Err(error) => {
                tracing::error!(%error, "verifying a password failed; please report this");
                Err(Denied::Unavailable)
            }
        }
    }

    /// Notes the use of a password, which is worth a write but never a failed login: a full disk must not keep
    /// people from reading.
    async fn touch(&self, login: &Authenticated) {
        let now = (self.clock)();
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

/// Points of a failed login towards being shut out.
const OFFENCE: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use postroad_mail::accounts::{self, DIRECTORY_LOCK, NewAccount};
    use postroad_mail::password::PasswordHash;
    use postroad_mail::{Actor, Address, By, Domain, domains};
    use postroad_testkit::{each_store, wait};

    #[test]
    fn who_is_remembered_waits_for_no_turn() {
        each_store(&[postroad_mail::MIGRATIONS], |test| {
            let hash = PasswordHash::of_password("right").expect("a hash");
            let made = test.store.write_blocking(Locks::named(DIRECTORY_LOCK), move |tx| -> Result<(), Error> {
                let by = By::new(Timestamp(1), Actor::Admin);
                domains::create(tx, &by, &Domain::parse("example.test").map_err(Error::AddressInvalid)?)?;
                let address = Address::new("alice", "example.test").map_err(Error::AddressInvalid)?;
                let (display_name, password) = (String::new(), Some(hash));
                let new = NewAccount { address, display_name, password, quota_bytes: 0, quota_messages: 0 };
                accounts::create(tx, &by, &new).map(|_| ())
            });
            made.expect("an account");
            let logins = Logins::new(test.store.clone(), Arc::new(|| Timestamp(1)), None, 1).expect("random numbers");
            let login = |password: &str| Check {
                mechanism: "PLAIN",
                authzid: None,
                authcid: "alice@example.test".into(),
                password: Secret::new(password.into()),
            };
            let from: IpAddr = [192, 0, 2, 7].into();
            assert!(wait(logins.verify(login("right"), from, Service::Imap)).is_ok());
            // With every turn taken, whoever must wait for one would wait for ever; without turns, is sent away.
            let turns = Arc::clone(&logins.turns).try_acquire_owned().expect("nobody hashes now");
            assert!(wait(logins.verify(login("right"), from, Service::Pop3)).is_ok());
            logins.turns.close();
            assert!(matches!(wait(logins.verify(login("wrong"), from, Service::Imap)), Err(Denied::Unavailable)));
            drop(turns);
        });
    }
}
