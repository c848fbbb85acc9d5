//! The world of IMAP sessions.

use std::future::Future;
use std::task::Poll;

use postroad_imapd::{Job, Session};
use postroad_login::Logins;
use postroad_mail::Service;
use postroad_net::{Fatal, World};
use postroad_store::{ReadTx, Store, Timestamp};

/// Performs the jobs of IMAP sessions.
pub(crate) struct ImapWorld {
    store: Store,
    logins: Logins,
}

impl ImapWorld {
    pub(crate) fn new(store: Store, logins: Logins) -> ImapWorld {
        ImapWorld { store, logins }
    }
}

impl World<Session> for ImapWorld {
    async fn perform(&self, mut session: Session, job: Job) -> Result<Session, Fatal> {
        let now = Timestamp::now();
        if let Some(client) = session.client_news() {
            // What a client says of itself: nothing depends on it, but it helps to find out who does what.
            let login = session.login().map(|login| login.address().to_string()).unwrap_or_default();
            tracing::info!(login, "imap: the client says it is {client}");
        }
        match job {
            Job::Read(_) | Job::Idle { .. } => {
                let look = move |tx: &ReadTx, session: &mut Box<Session>| session.run_read(tx, now);
                let quick = session.is_quick();
                // It changes hands a dozen times on its way to the database and back.
                let session = Box::new(session);
                let (session, result) = match quick {
                    true => self.store.read_quick_with(session, look).await,
                    false => self.store.read_with(session, look).await,
                };
                let mut session = session.ok_or_else(lost)?;
                log(&result);
                session.read_done(result);
                Ok(*session)
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
            Job::Disk => {
                let store = self.store.clone();
                let quick = session.is_disk_quick(store.upload().room());
                let work = move || {
                    let mut session = session;
                    let line = session.run_disk(|| store.upload());
                    (session, line)
                };
                let (session, line) = match quick {
                    true => work(),
                    false => tokio::task::spawn_blocking(work).await.map_err(|_| lost())?,
                };
                // Here, where the log knows the connection.
                if let Some(line) = line {
                    tracing::error!("imap: {line}");
                }
                Ok(session)
            }
            Job::Login(login) => {
                let outcome = self.logins.verify(login.ask, session.peer().remote.ip(), Service::Imap).await;
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
        let mut ears = match job {
            Job::Idle { accounts } => {
                accounts.iter().map(|(account, since)| (self.store.hub().subscribe(*account), *since)).collect()
            }
            Job::Read(_) | Job::Write(..) | Job::Disk | Job::Login(_) | Job::Pause(_) => Vec::new(),
        };
        async move {
            // The hub lives as long as the store, so a wait ends with news.
            let mut waits: Vec<_> = ears
                .iter_mut()
                .map(|(ear, since)| {
                    let since = *since;
                    Box::pin(async move {
                        if ear.wait_for(|modseq| *modseq > since).await.is_err() {
                            std::future::pending::<()>().await;
                        }
                    })
                })
                .collect();
            std::future::poll_fn(|context| {
                let heard = waits.iter_mut().any(|wait| wait.as_mut().poll(context).is_ready());
                if heard { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }

    fn label(&self, job: &Job) -> &'static str {
        job.label()
    }
}

/// What the administrator should read of a failed job; the client is told by its session.
fn log<T>(result: &Result<T, postroad_imapd::Error>) {
    if let Err(error) = result
        && let Some(line) = error.log()
    {
        tracing::error!("imap: {line}");
    }
}

fn lost() -> Fatal {
    Fatal::new("the session's job panicked")
}
