//! Verifying who signs in, for every protocol in one place: the stored hashes come out of one look into the store,
//! the slow hash runs outside of any transaction on a bounded number of threads, failures count towards a ban, and
//! the use of a password is noted.
//!
//! What it never does: decide the words that a client hears, hold a session, keep a password.
//!
//! Standards: RFC 4616 §2 and RFC 4422 §3.4.1 (authorization identities), RFC 5802 §9 and RFC 7677 §4 (what is kept), RFC 7628
//! §3.2 (what is said of a token), [MS-NLMP] §3.2.5 (NTLM), RFC 2195 (CRAM-MD5), RFC 1939 §7 (APOP), RFC 4752 (GSSAPI).

mod digest;
mod kerberos;
mod ntlm;
mod scram;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use postroad_mail::credentials::{self, Principal, ServerSecret};
use postroad_mail::{Authenticated, Candidates, Error, LoginCache, Refused, Service};
use postroad_net::{Bans, Offence};
use postroad_sasl::{Answer, Ask, ClientCertificate, Evidence, Secret};
use postroad_store::{AccountId, Locks, ReadTx, Store, Timestamp};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

pub use digest::DigestSealer;
pub use ntlm::NtlmSealer;
/// The tables that are looked into, beside those of mail.
pub use postroad_identity::MIGRATIONS;

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
    secret: Arc<OnceCell<ServerSecret>>,
    keeps_keys: bool,
    configuration: Option<Arc<str>>,
    ntlm: Option<Arc<ntlm::Ntlm>>,
    digests: Option<Arc<digest::Digests>>,
    statements: Arc<AtomicU64>,
    kerberos: Option<Arc<kerberos::Kerberos>>,
}

/// What it costs to look at what clients show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Statements of looks into the store.
    pub statements: u64,
    /// Passwords hashed slowly.
    pub hashes: u64,
    /// Sealed keys opened.
    pub opened: u64,
}

/// Who somebody says to be.
pub(crate) struct Who {
    authcid: String,
    authzid: Option<String>,
}

/// Whom somebody may act as who has shown who they are.
pub(crate) enum Acts {
    /// As themselves.
    Itself,
    /// As another, who let them.
    For(Box<Principal>),
    /// As nobody that they asked for.
    Nobody,
}

impl Acts {
    pub(crate) fn of(self, login: Authenticated) -> Result<Authenticated, Denied> {
        match self {
            Acts::Itself => Ok(login),
            Acts::For(principal) => login.acting_for(*principal).map_err(Denied::Refused),
            Acts::Nobody => Err(Denied::Refused(Refused::Wrong)),
        }
    }
}

impl Who {
    /// [MS-OXIMAP4] §2.2.2: who says both names in one. Pages are the owner's: a delegate reads and sends mail.
    fn told_apart(self, tx: &ReadTx, service: Service) -> Result<Who, Error> {
        if self.authzid.is_some() || !matches!(service, Service::Smtp | Service::Imap | Service::Pop3 | Service::Sieve)
        {
            return Ok(self);
        }
        let both = credentials::delegate_and_principal(tx, &self.authcid)?;
        Ok(both.map_or(self, |(authcid, authzid)| Who { authcid, authzid: Some(authzid) }))
    }

    /// Many clients name the same account twice, in two ways; another's is for its delegates.
    fn acts(&self, tx: &ReadTx, account: Option<AccountId>) -> Result<Acts, Error> {
        let Some(authzid) = self.authzid.as_ref().filter(|authzid| !authzid.is_empty() && **authzid != self.authcid)
        else {
            return Ok(Acts::Itself);
        };
        let wanted = credentials::candidates(tx, authzid)?.account();
        if wanted.is_some() && wanted == account {
            return Ok(Acts::Itself);
        }
        let principal = credentials::principal(tx, account.unwrap_or(AccountId(0)), authzid)?;
        Ok(principal.map_or(Acts::Nobody, |principal| Acts::For(Box::new(principal))))
    }
}

/// Why somebody may not come in.
#[derive(Debug)]
pub(crate) enum Denied {
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
        let turns = Arc::new(Semaphore::new(at_once));
        Ok(Logins {
            store,
            cache,
            turns,
            bans,
            clock,
            secret: Arc::default(),
            keeps_keys: true,
            configuration: None,
            ntlm: None,
            digests: None,
            statements: Arc::default(),
            kerberos: None,
        })
    }

    /// Keys for SCRAM are made of passwords that are seen, or not: where SCRAM is not offered they only help who steals them.
    #[must_use]
    pub fn keeping_keys(self, keeps_keys: bool) -> Logins {
        Logins { keeps_keys, ..self }
    }

    /// Where clients whose token is refused learn how to get one (RFC 7628 §3.2.2, `openid-configuration`).
    #[must_use]
    pub fn with_configuration(self, url: Option<&str>) -> Logins {
        Logins { configuration: url.map(Arc::from), ..self }
    }

    /// What it has cost so far to look at what clients showed. A refusal costs as much whether there is such an account or not.
    pub fn work(&self) -> Work {
        let opened = self.ntlm.as_ref().map_or(0, |ntlm| ntlm.sealer.opened());
        let opened = opened + self.digests.as_ref().map_or(0, |digests| digests.sealer.opened());
        Work { statements: self.statements.load(Ordering::Relaxed), hashes: self.cache.hashes(), opened }
    }

    /// A look into the store, which is counted.
    pub(crate) async fn look<R: Send + 'static>(
        &self,
        look: impl FnOnce(&ReadTx) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        let statements = Arc::clone(&self.statements);
        let counted = move |tx: &ReadTx| {
            let before = tx.statements();
            let found = look(tx);
            statements.fetch_add(tx.statements().saturating_sub(before), Ordering::Relaxed);
            found
        };
        self.store.read(counted).await
    }

    /// Answers what a session asks of a client at `from` for `service`. The password of an account with a second step is
    /// refused here: a protocol has nothing to ask for the second step with.
    pub async fn verify(&self, ask: Ask, from: IpAddr, service: Service) -> Answer<Authenticated, Refused> {
        self.answered(ask, from, service, false).await
    }

    /// The same for whoever asks for the second step by itself.
    pub async fn first_step(&self, ask: Ask, from: IpAddr, service: Service) -> Answer<Authenticated, Refused> {
        self.answered(ask, from, service, true).await
    }

    /// A second step failed: it counts as a wrong password does.
    pub fn second_step_failed(&self, login: &str, from: IpAddr, service: Service) {
        tracing::info!(remote = %from, login, %service, "a second step failed");
        self.offended(login, from, service);
    }

    /// The pages have looked at a passkey and it was right: where it came from is no stranger any more.
    pub fn passkey_shown(&self, login: &str, from: IpAddr, service: Service) {
        tracing::info!(remote = %from, login, mechanism = "passkey", %service, "logged in");
        if let Some(bans) = &self.bans {
            bans.welcome(from, Instant::now());
        }
    }

    /// It was wrong, or nobody's: it counts as a wrong password does. `login` is empty where nobody is named.
    pub fn passkey_failed(&self, login: &str, from: IpAddr, service: Service) {
        tracing::info!(remote = %from, login, mechanism = "passkey", %service, "a login failed");
        self.offended(login, from, service);
    }

    fn offended(&self, login: &str, from: IpAddr, service: Service) {
        metrics::counter!("postroad_logins_failed_total", "service" => service.name()).increment(1);
        if let Some(bans) = &self.bans
            && bans.offend(from, Offence::Passwords, OFFENCE, login, Instant::now())
        {
            tracing::warn!(remote = %from, "shut out for a while after too many failed logins");
        }
    }

    async fn answered(
        &self,
        ask: Ask,
        from: IpAddr,
        service: Service,
        second_follows: bool,
    ) -> Answer<Authenticated, Refused> {
        let (login, mechanism) = (ask.authcid.clone(), ask.mechanism);
        match self.verified(ask, service, second_follows).await {
            Ok(answer) => {
                if let Answer::Granted { who, .. } = &answer {
                    tracing::info!(remote = %from, login, mechanism, %service, "logged in");
                    if let Some(bans) = &self.bans {
                        bans.welcome(from, Instant::now());
                    }
                    self.touch(who).await;
                }
                answer
            }
            Err((Denied::Refused(refused), last)) => {
                tracing::info!(remote = %from, login, mechanism, %service, ?refused, "a login failed");
                // Whoever has the right password guesses none.
                if refused != Refused::SecondStep {
                    self.offended(&login, from, service);
                }
                Answer::Refused { why: refused, last }
            }
            Err((Denied::Unavailable, _)) => Answer::Unavailable,
        }
    }

    async fn verified(
        &self,
        ask: Ask,
        service: Service,
        second_follows: bool,
    ) -> Result<Answer<Authenticated, Refused>, (Denied, Option<Vec<u8>>)> {
        let mechanism = ask.mechanism;
        // A certificate is a thing that somebody has; a token came out of the pages, where all steps were asked for; what is
        // asked before a ticket is given is for the realm to say.
        let by_password = !matches!(ask.evidence, Evidence::Certificate(_) | Evidence::Token(_) | Evidence::Gss(_));
        let who = Who { authcid: ask.authcid, authzid: ask.authzid };
        let answered = match ask.evidence {
            Evidence::Password(password) => self.password(who, password, service).await,
            Evidence::ScramKeys(hash) => self.scram_keys(who, hash).await,
            Evidence::ScramProof(proof) => self.scram_proof(who, proof, service).await,
            Evidence::NtlmFlags(flags) => self.ntlm_challenge(flags),
            Evidence::NtlmProof(proof) => self.ntlm_proof(who, *proof, service).await,
            Evidence::DigestChallenge => self.digest_challenge(),
            Evidence::DigestProof(proof) => self.digest_proof(who, proof, service).await,
            Evidence::Gss(question) => self.gss(*question, service).await,
            Evidence::Malformed(error) => {
                tracing::info!(mechanism, %service, %error, "a client does not follow its mechanism");
                Err(Denied::Refused(Refused::Wrong))
            }
            Evidence::Certificate(certificate) => self.certificate(who, certificate, service).await,
            Evidence::Token(token) => return self.token(who, mechanism, token, service).await,
        };
        let answered = answered.map_err(|denied| (denied, None))?;
        if let Answer::Granted { who, .. } = &answered
            && by_password
            && who.app().is_none()
            && !second_follows
        {
            let account = who.holder();
            let closed = self.look(move |tx| postroad_identity::second::keeps_programs_out(tx, account)).await;
            if closed.map_err(|error| (unavailable(error), None))? {
                return Err((Denied::Refused(Refused::SecondStep), None));
            }
        }
        Ok(answered)
    }

    async fn password(
        &self,
        who: Who,
        password: Secret,
        service: Service,
    ) -> Result<Answer<Authenticated, Refused>, Denied> {
        let look = self.look(move |tx| {
            let who = who.told_apart(tx, service)?;
            let candidates = credentials::candidates(tx, &who.authcid)?;
            let acts = who.acts(tx, candidates.account())?;
            Ok((candidates, acts))
        });
        let (candidates, acts) = look.await.map_err(unavailable)?;
        let (authenticated, password) = self.hashed(candidates, password, service).await?;
        self.keep_keys(&authenticated, password.expose()).await;
        self.keep_ntlm(&authenticated, password.expose()).await;
        self.keep_digests(&authenticated, password.expose()).await;
        acts.of(authenticated).map(Answer::granted)
    }

    async fn certificate(
        &self,
        who: Who,
        certificate: ClientCertificate,
        service: Service,
    ) -> Result<Answer<Authenticated, Refused>, Denied> {
        let look = self.look(move |tx| credentials::by_certificate(tx, &who.authcid, &certificate, service));
        look.await.map_err(unavailable)?.map(Answer::granted).map_err(Denied::Refused)
    }

    /// The slow hash, in its turn; who is remembered waits for nobody's.
    async fn hashed(
        &self,
        candidates: Candidates,
        password: Secret,
        service: Service,
    ) -> Result<(Authenticated, Secret), Denied> {
        let now = (self.clock)();
        if let Some(known) = self.cache.known(&candidates, password.expose(), service, now) {
            return known.map(|known| (known, password)).map_err(Denied::Refused);
        }
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else { return Err(Denied::Unavailable) };
        let cache = Arc::clone(&self.cache);
        let work = move || {
            let _turn = turn;
            let outcome = cache.verify(&candidates, password.expose(), service, now);
            outcome.map(|authenticated| (authenticated, password))
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

/// Numbers that nobody has had before.
pub(crate) fn random<const OCTETS: usize>() -> Result<[u8; OCTETS], Denied> {
    let mut random = [0; OCTETS];
    match getrandom::fill(&mut random) {
        Ok(()) => Ok(random),
        Err(error) => {
            tracing::error!(%error, "the system gives no random numbers");
            Err(Denied::Unavailable)
        }
    }
}

pub(crate) fn unavailable(error: Error) -> Denied {
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
        each_store(&[postroad_mail::MIGRATIONS, postroad_identity::MIGRATIONS], |test| {
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
            let login = |password: &str| Ask {
                mechanism: "PLAIN",
                authzid: None,
                authcid: "alice@example.test".into(),
                evidence: Evidence::Password(Secret::new(password.into())),
            };
            let from: IpAddr = [192, 0, 2, 7].into();
            assert!(matches!(wait(logins.verify(login("right"), from, Service::Imap)), Answer::Granted { .. }));
            // With every turn taken, whoever must wait for one would wait for ever; without turns, is sent away.
            let turns = Arc::clone(&logins.turns).try_acquire_owned().expect("nobody hashes now");
            assert!(matches!(wait(logins.verify(login("right"), from, Service::Pop3)), Answer::Granted { .. }));
            logins.turns.close();
            assert!(matches!(wait(logins.verify(login("wrong"), from, Service::Imap)), Answer::Unavailable));
            drop(turns);
        });
    }
}
