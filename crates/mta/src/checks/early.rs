//! What depends on the connection and the envelope alone: the client's name and SPF, on its way while the message comes.

use std::net::IpAddr;
use std::sync::Arc;

use postroad_dns::Dns;
use postroad_mailauth::{iprev, spf};
use postroad_store::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::drive::{self, Budget};
use super::{DEADLINE, FOR_POLICY, QUESTIONS};
use crate::inbound::Session;

/// What is known of the connection and the envelope.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) ip: IpAddr,
    /// How the client called itself.
    pub(crate) helo: String,
    /// `None` is the null path.
    pub(crate) mail_from: Option<String>,
    /// Our own name.
    pub(crate) receiver: String,
    pub(crate) now: Timestamp,
}

/// What was found about them.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) iprev: iprev::Verdict,
    /// SPF of MAIL FROM; with the null path, of HELO (RFC 7208 §2.4).
    pub(crate) mail_from: spf::Verdict,
    /// SPF of HELO, where that is another question.
    pub(crate) helo: Option<spf::Verdict>,
}

/// Checks under way; dropping it ends them.
#[derive(Debug)]
pub(crate) struct Early {
    task: JoinHandle<Envelope>,
    /// Somebody has waited for it.
    seen: Option<Option<Envelope>>,
}

impl Drop for Early {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Facts {
    pub(crate) fn of(session: &Session, now: Timestamp) -> Facts {
        Facts {
            ip: session.peer().remote.ip().to_canonical(),
            helo: session.helo().map(|helo| helo.name.clone()).unwrap_or_default(),
            mail_from: session.sender().and_then(|sender| sender.path.as_ref()).map(ToString::to_string),
            receiver: session.settings().hostname.clone(),
            now,
        }
    }

    /// Seconds since 1970.
    pub(crate) fn seconds(&self) -> i64 {
        self.now.0.div_euclid(1_000_000)
    }

    /// SPF of MAIL FROM, or of HELO.
    fn spf(&self, mail_from: Option<&str>) -> spf::Check {
        spf::Check::new(spf::Input {
            ip: self.ip,
            helo: &self.helo,
            mail_from,
            receiver: &self.receiver,
            now: self.seconds(),
            limits: spf::Limits::default(),
        })
    }
}

impl Early {
    /// Starts asking, with a deadline of its own.
    pub(crate) fn start(dns: Arc<dyn Dns>, facts: Facts) -> Early {
        let task = tokio::spawn(async move {
            let (dns, deadline, budget) = (&*dns, Instant::now() + DEADLINE - FOR_POLICY, Budget::of(QUESTIONS));
            let helo = async {
                match facts.mail_from {
                    Some(_) => Some(drive::run_within(facts.spf(None), dns, deadline, &budget).await),
                    None => None,
                }
            };
            let (iprev, mail_from, helo) = tokio::join!(
                drive::run_within(iprev::Check::new(facts.ip), dns, deadline, &budget),
                drive::run_within(facts.spf(facts.mail_from.as_deref()), dns, deadline, &budget),
                helo,
            );
            Envelope { iprev, mail_from, helo }
        });
        Early { task, seen: None }
    }

    /// What was found; `None` when it panicked.
    pub(crate) async fn found(mut self) -> Option<Envelope> {
        self.look().await.cloned()
    }

    /// The same before the end of the message. Dropped while it waits, it can be asked again.
    pub(crate) async fn look(&mut self) -> Option<&Envelope> {
        if self.seen.is_none() {
            let found = (&mut self.task).await.ok();
            self.seen = Some(found);
        }
        self.seen.as_ref().and_then(Option::as_ref)
    }
}
