//! Tickets of Kerberos: the library's calls on threads that may block, and whose account a principal opens.

use std::collections::BTreeMap;
use std::sync::Arc;

use postroad_mail::credentials;
use postroad_mail::{Authenticated, Refused, Service};
use postroad_sasl::Answer;
use postroad_sasl::gss::{Acceptor, Choice, Fault, Question};
use tokio::sync::Semaphore;

use crate::{Denied, Logins, Who, unavailable};

/// What Kerberos needs beside the accounts.
#[derive(Debug)]
pub(crate) struct Kerberos {
    acceptor: Arc<dyn Acceptor>,
    /// Domains by realms.
    realms: BTreeMap<String, String>,
    turns: Arc<Semaphore>,
}

impl Logins {
    /// With Kerberos: who looks at tickets, and the domains of realms, whose principals of one part (`alice@REALM`) are the
    /// accounts of that name. Without this every ticket is refused.
    #[must_use]
    pub fn with_kerberos(self, acceptor: Arc<dyn Acceptor>, realms: BTreeMap<String, String>) -> Logins {
        let turns = Arc::new(Semaphore::new(TICKETS_AT_ONCE));
        Logins { kerberos: Some(Kerberos { acceptor, realms, turns }.into()), ..self }
    }

    /// A token, or what follows when its context stands.
    pub(crate) async fn gss(
        &self,
        question: Question,
        service: Service,
    ) -> Result<Answer<Authenticated, Refused>, Denied> {
        let kerberos = self.kerberos.clone().ok_or(Denied::Refused(Refused::Wrong))?;
        match question {
            Question::Token { context, form, token, end_point } => {
                let look = move |acceptor: &dyn Acceptor| {
                    acceptor.step(context.as_ref(), form, &token, services(service), end_point.as_deref())
                };
                kerberos.look(look).await.map(Answer::Gss)
            }
            Question::Choice { context, wrapped } => {
                let look = move |acceptor: &dyn Acceptor| {
                    let opened = acceptor.unwrap(&context, &wrapped)?;
                    let choice = Choice::read(&opened)
                        .map_err(|error| Fault::Refused(format!("no choice of a security layer: {error}")))?;
                    Ok((acceptor.peer(&context)?, choice.authzid))
                };
                let (peer, authzid) = kerberos.look(look).await?;
                self.principal(kerberos, peer, authzid, service).await
            }
            Question::Peer { context } => {
                let peer = kerberos.look(move |acceptor| acceptor.peer(&context)).await?;
                self.principal(kerberos, peer, None, service).await
            }
        }
    }

    /// Whose account it is that a principal opens, who is known to be there.
    async fn principal(
        &self,
        kerberos: Arc<Kerberos>,
        peer: String,
        authzid: Option<String>,
        service: Service,
    ) -> Result<Answer<Authenticated, Refused>, Denied> {
        // curl and others say the principal once more, for whom to act as.
        let who = Who { authcid: peer, authzid };
        let look = self.look(move |tx| {
            let domain_of = |realm: &str| kerberos.realms.get(realm).cloned();
            let candidates = credentials::principal_candidates(tx, &who.authcid, domain_of)?;
            let acts = who.acts(tx, candidates.account())?;
            Ok((candidates, acts))
        });
        let (candidates, acts) = look.await.map_err(unavailable)?;
        let opened = candidates.open(service).map_err(Denied::Refused)?;
        acts.of(opened).map(Answer::granted)
    }
}

impl Kerberos {
    /// Has the library do something, in its turn.
    async fn look<R: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Acceptor) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Denied> {
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else { return Err(Denied::Unavailable) };
        let acceptor = Arc::clone(&self.acceptor);
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(acceptor.as_ref())
        });
        match done.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(Fault::Refused(why))) => {
                tracing::info!(why, "a ticket was refused");
                Err(Denied::Refused(Refused::Wrong))
            }
            Ok(Err(Fault::Expired(why))) => {
                tracing::info!(why, "a ticket was refused");
                Err(Denied::Refused(Refused::Expired))
            }
            Ok(Err(Fault::Unavailable(why))) => {
                tracing::error!(why, next_step = NEXT_STEP, "tickets cannot be looked at");
                Err(Denied::Unavailable)
            }
            Err(error) => {
                tracing::error!(%error, "looking at a ticket failed; please report this");
                Err(Denied::Unavailable)
            }
        }
    }
}

/// The first parts of the principals that clients of a service have tickets for: of the registry (RFC 4422 §8, the names of
/// services in GSSAPI), and as Windows writes them.
fn services(service: Service) -> &'static [&'static str] {
    match service {
        Service::Smtp => &["smtp", "smtpsvc"],
        Service::Imap => &["imap"],
        Service::Pop3 => &["pop", "pop3"],
        Service::Sieve => &["sieve"],
        // Nobody asks these for a mechanism of SASL.
        Service::Jmap | Service::Api => &[],
    }
}

/// Tickets looked at in one moment: some files are read and written for each, in far less than a millisecond.
const TICKETS_AT_ONCE: usize = 4;
const NEXT_STEP: &str = "see that the keytab of login.keytab is readable, and that the replay cache can be written (KRB5RCACHEDIR, or /var/tmp)";
