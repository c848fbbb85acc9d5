//! The world of IMAP sessions.

use std::future::Future;

use postroad_imapd::{Job, Login, Outcome, Session, User};
use postroad_mail::{Refused, Service};
use postroad_net::{Fatal, World};
use postroad_store::{Store, Timestamp};

use super::login::{Denied, Logins};

/// Performs the jobs of IMAP sessions.
pub(crate) struct ImapWorld {
    store: Store,
    logins: Logins,
}

impl ImapWorld {
    pub(crate) fn new(store: Store, logins: Logins) -> ImapWorld {
        ImapWorld { store, logins }
    }

    async fn verify(&self, login: Login) -> Outcome {
        let Login { check, .. } = login;
        match self.logins.verify(check.authcid, check.password.reveal().to_string(), Service::Imap).await {
            Ok(who) => Outcome::Granted(User {
                account: who.account(),
                login: who.login().to_string(),
                device: who.app().map(str::to_string),
            }),
            Err(Denied::Refused(Refused::Wrong)) => Outcome::Denied,
            Err(Denied::Refused(Refused::Expired)) => Outcome::Refused("this app password has expired".into()),
            Err(Denied::Refused(Refused::Scope)) => Outcome::Refused("this app password is not for IMAP".into()),
            Err(Denied::Refused(Refused::Suspended)) => Outcome::Refused("this account is suspended".into()),
            Err(Denied::Unavailable) => Outcome::Unavailable,
        }
    }
}

impl World<Session> for ImapWorld {
    async fn perform(&self, session: Session, job: Job) -> Result<Session, Fatal> {
        let now = Timestamp::now();
        match job {
            Job::Read | Job::Idle { .. } => {
                let (session, result) =
                    self.store.read_with(session, move |tx, session: &mut Session| session.run_read(tx, now)).await;
                let mut session = session.ok_or_else(lost)?;
                session.read_done(result);
                Ok(session)
            }
            Job::Write(locks) => {
                let (session, result) = self
                    .store
                    .write_with(locks, session, move |tx, session: &mut Session| session.run_write(tx, now))
                    .await;
                let mut session = session.ok_or_else(lost)?;
                session.write_done(result.map(|stored| stored.receipt));
                Ok(session)
            }
            Job::Disk => {
                let store = self.store.clone();
                let work = move || {
                    let mut session = session;
                    session.run_disk(|| store.upload());
                    session
                };
                tokio::task::spawn_blocking(work).await.map_err(|_| lost())
            }
            Job::Login(login) => {
                let outcome = self.verify(login).await;
                let mut session = session;
                session.logged_in(outcome);
                Ok(session)
            }
            Job::Pause(duration) => {
                tokio::time::sleep(duration).await;
                let mut session = session;
                session.resumed();
                Ok(session)
            }
        }
    }

    fn news(&self, _session: &Session, job: &Job) -> impl Future<Output = ()> + Send {
        let ear = match job {
            Job::Idle { account, since } => Some((self.store.hub().subscribe(*account), *since)),
            Job::Read | Job::Write(_) | Job::Disk | Job::Login(_) | Job::Pause(_) => None,
        };
        async move {
            match ear {
                // The hub lives as long as the store, so the wait ends with news.
                Some((mut ear, since)) if ear.wait_for(|modseq| *modseq > since).await.is_ok() => {}
                Some(_) | None => std::future::pending().await,
            }
        }
    }

    fn label(&self, job: &Job) -> &'static str {
        job.label()
    }
}

fn lost() -> Fatal {
    Fatal::new("the session's job panicked")
}
