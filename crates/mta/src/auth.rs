//! Logins: candidates out of one look into the store, argon2 on a bounded number of threads outside of it.

use std::sync::Arc;

use postroad_mail::{Authenticated, Candidates, Refused, Service, credentials};
use postroad_sasl::Check;
use postroad_smtp::{Identity, Reply, Verdict};
use postroad_store::Locks;
use tokio::time::{Instant, sleep};

use crate::inbound::{Inbound, Session, connection};
use crate::replies;
use crate::state::Login;
use crate::story::Story;

impl Inbound {
    /// Verifies credentials.
    pub(crate) async fn authenticate(&self, session: &mut Session, check: Check) -> Verdict {
        let mechanism = check.mechanism;
        let remote = session.peer().remote.ip();
        let login = check.authcid.clone();
        match self.verify(check).await {
            Ok(authenticated) => {
                tracing::info!(%remote, login, mechanism, "logged in");
                session.world.logged_in = Some(Login::from(&authenticated));
                let identity = Identity { account: authenticated.account().0, login, mechanism };
                self.touch(authenticated).await;
                Verdict::Authenticated(identity)
            }
            Err(Failed::Refused(refused)) => {
                tracing::info!(%remote, login, mechanism, ?refused, "a login failed");
                metrics::counter!("postroad_logins_failed_total", "service" => "smtp").increment(1);
                let reply = refusal(refused);
                self.tell(session, mechanism, &login, &reply);
                self.punish(session).await.unwrap_or(Verdict::Refuse(reply))
            }
            Err(Failed::Mail(error)) => {
                replies::log(&error, "verifying a login");
                // RFC 4954 §6
                Verdict::Refuse(Reply::new(
                    454,
                    (4, 7, 0),
                    "Logins cannot be verified right now. Please try again later.",
                ))
            }
        }
    }

    /// A failed login is a story of its own: "why can I not send?" is answered by the login's name.
    fn tell(&self, session: &Session, mechanism: &str, login: &str, reply: &Reply) {
        let now = (self.clock)();
        let mut story = Story::begin();
        story.key(login);
        story.note(now, "connected", connection(session));
        story.note(now, "refused", format_args!("AUTH {mechanism} as {login}: {reply}"));
        self.stories.tell(story);
    }

    async fn verify(&self, check: Check) -> Result<Authenticated, Failed> {
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
            .map_err(Failed::Mail)?;
        let authenticated = self.hash(candidates, check.password).await?;
        match same {
            true => Ok(authenticated),
            false => Err(Failed::Refused(Refused::Wrong)),
        }
    }

    /// argon2, with at most so many at a time as the settings allow: the rest waits in line.
    async fn hash(&self, candidates: Candidates, password: postroad_sasl::Secret) -> Result<Authenticated, Failed> {
        let bug = || Failed::Mail(postroad_mail::Error::Corrupt("the password check panicked".to_owned()));
        let place = self.verifiers.clone().acquire_owned().await.map_err(|_| bug())?;
        let (logins, now) = (Arc::clone(&self.logins), (self.clock)());
        let verified = tokio::task::spawn_blocking(move || {
            let _place = place;
            logins.verify(&candidates, password.expose(), Service::Smtp, now)
        });
        verified.await.map_err(|_| bug())?.map_err(Failed::Refused)
    }

    /// Notes the use of a password, which is worth a write but never a failed login.
    async fn touch(&self, login: Authenticated) {
        let now = (self.clock)();
        if !login.should_touch(now) {
            return;
        }
        let written = self.store.write(Locks::none(), move |tx| credentials::touch(tx, &login, now)).await;
        if let Err(error) = written {
            replies::log(&error, "noting when a password was used");
        }
    }

    /// Slows down and shuts out who guesses passwords. Never on loopback.
    async fn punish(&self, session: &mut Session) -> Option<Verdict> {
        session.world.failed_logins += 1;
        let peer = session.peer();
        if peer.is_loopback() {
            return None;
        }
        if let Some(bans) = &self.bans
            && bans.offend(peer.remote.ip(), LOGIN_OFFENCE, Instant::now())
        {
            tracing::warn!(remote = %peer.remote.ip(), "shut out for a while after too many failed logins");
        }
        sleep(self.settings.login_delay).await;
        (session.world.failed_logins >= self.settings.logins_limit)
            .then(|| Verdict::Close(Reply::new(421, (4, 7, 0), "Too many failed logins.")))
    }
}

enum Failed {
    Refused(Refused),
    Mail(postroad_mail::Error),
}

/// Only who knows the right password learns more than "wrong".
fn refusal(refused: Refused) -> Reply {
    match refused {
        Refused::Wrong => Reply::new(535, (5, 7, 8), "User name or password is wrong."),
        Refused::Expired => Reply::new(535, (5, 7, 8), "This app password has expired. Make a new one."),
        Refused::Scope => Reply::new(535, (5, 7, 8), "This app password is not for sending mail. Make one that is."),
        // RFC 5248's registry: 525 goes with X.7.13.
        Refused::Suspended => Reply::new(525, (5, 7, 13), "This account is suspended. Its administrator knows why."),
    }
}

/// Points of a failed login towards being shut out.
const LOGIN_OFFENCE: u32 = 1;
