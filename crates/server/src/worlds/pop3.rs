//! The world of POP3 sessions.

use postroad_login::Logins;
use postroad_mail::Service;
use postroad_net::{Fatal, World};
use postroad_pop3d::{Error, Job, Session};
use postroad_store::{ReadTx, Store, Timestamp};

/// Performs the jobs of POP3 sessions.
pub(crate) struct Pop3World {
    store: Store,
    logins: Logins,
}

impl Pop3World {
    pub(crate) fn new(store: Store, logins: Logins) -> Pop3World {
        Pop3World { store, logins }
    }
}

impl World<Session> for Pop3World {
    async fn perform(&self, mut session: Session, job: Job) -> Result<Session, Fatal> {
        let now = Timestamp::now();
        match job {
            Job::Read(_) => {
                let look = move |tx: &ReadTx, session: &mut Session| session.run_read(tx, now);
                let (session, result) = match session.is_quick() {
                    true => self.store.read_quick_with(session, look).await,
                    false => self.store.read_with(session, look).await,
                };
                let mut session = session.ok_or_else(lost)?;
                log(&result);
                session.read_done(result);
                Ok(session)
            }
            Job::Write(locks, _) => {
                let (session, result) = self
                    .store
                    .write_with(locks, session, move |tx, session: &mut Session| session.run_write(tx, now))
                    .await;
                let mut session = session.ok_or_else(lost)?;
                log(&result);
                session.write_done(result.map(|stored| stored.receipt));
                Ok(session)
            }
            Job::Login(login) => {
                let outcome = self.logins.verify(login.ask, session.peer().remote.ip(), Service::Pop3).await;
                session.logged_in(outcome);
                Ok(session)
            }
            Job::Pause(duration) => {
                tokio::time::sleep(duration).await;
                session.resumed();
                Ok(session)
            }
        }
    }

    fn label(&self, job: &Job) -> &'static str {
        job.label()
    }
}

/// Says what the administrator should read of a failed job.
fn log<R>(result: &Result<R, Error>) {
    if let Some(line) = result.as_ref().err().and_then(Error::log) {
        tracing::error!("pop3: {line}");
    }
}

fn lost() -> Fatal {
    Fatal::new("the session's job panicked")
}
