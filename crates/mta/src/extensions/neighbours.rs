//! The stages of neighbours: whom a trusted proxy speaks for (XCLIENT), and a node that wants its mail now (ETRN).
//!
//! Both were offered to addresses that the settings name. What is claimed is looked up like anything else that comes from
//! outside, is called claimed in the story, and gives no more than a client who came by itself would have.

use postroad_mail::{Address, accounts};
use postroad_queue as queue;
use postroad_smtp::{Claim, Claimed, Etrn, Identity, Reply, Verdict};
use postroad_store::Locks;

use super::Facts;
use crate::inbound::{Inbound, Session, role_name};
use crate::policy::connect;
use crate::state::{self, Login};

/// How a login by XCLIENT is called where the mechanism stands.
const MECHANISM: &str = "XCLIENT";

impl Inbound {
    /// Whom the session is with now.
    pub(crate) fn facts(&self, session: &Session) -> Facts {
        Facts {
            role: session.role(),
            connected: session.connected().remote.ip(),
            client: session.peer().remote.ip(),
            logged_in: state::login(session).is_some(),
            now: (self.clock)(),
        }
    }

    /// The session offers what its client may have.
    pub(crate) fn renew_offer(&self, session: &mut Session) {
        let offer = self.settings.extensions.offer(&self.facts(session));
        session.set_offer(offer);
    }

    /// A neighbour speaks for somebody else.
    pub(crate) async fn claimed(&self, session: &mut Session, claim: &Claim) -> Verdict {
        session.world.logged_in = None;
        // What one client guessed is not another's fault.
        (session.world.unknown, session.world.failed_logins) = (0, 0);
        self.renew_offer(session);
        let (connected, client) = (session.connected().remote, session.peer().remote);
        metrics::counter!("postroad_smtp_claims_total", "role" => role_name(session.role())).increment(1);
        tracing::debug!(%connected, %client, "a neighbour speaks for another client");
        if let Err(reply) = connect::decide(session.role(), client.ip(), &self.settings.lmtp_clients) {
            return Verdict::Refuse(reply);
        }
        let Some(name) = claim.login.as_ref().and_then(Claimed::known) else { return Verdict::Accept };
        let refused = || Verdict::Refuse(Reply::new(550, (5, 7, 0), format!("There is no login {name} here.")));
        let Ok(address) = Address::parse(name) else { return refused() };
        let found = self.look(move |tx| accounts::find(tx, &address)).await;
        match found {
            Err(reply) => Verdict::Refuse(reply),
            Ok(Some(account)) if account.state == accounts::State::Active => {
                let login = Login { account: account.id, address: account.address, name: name.clone() };
                session.world.logged_in = Some(login);
                Verdict::Authenticated(Identity { account: account.id.0, login: name.clone(), mechanism: MECHANISM })
            }
            Ok(Some(_) | None) => refused(),
        }
    }

    /// A node wants what waits for it (RFC 1985 §5.3).
    pub(crate) async fn start_queue(&self, etrn: &Etrn) -> Verdict {
        let domains = match etrn {
            Etrn::Queue(name) => {
                return Verdict::Refuse(Reply::new(459, (4, 7, 0), format!("There is no queue #{name} here.")));
            }
            Etrn::Domain(domain) => vec![domain.clone()],
            Etrn::Below(domain) => {
                let below = domain.clone();
                match self.store.read(move |tx| queue::waiting_below(tx, &below)).await {
                    Ok(domains) => domains,
                    Err(error) => return unable(&error),
                }
            }
        };
        let now = (self.clock)();
        let mut messages = 0;
        for domain in domains {
            let which = queue::Which::Domain(domain);
            let counted = which.clone();
            match self.store.read(move |tx| queue::count(tx, &counted)).await {
                Ok((0, _)) => continue,
                Ok((count, _)) => messages += count,
                Err(error) => return unable(&error),
            }
            let mut after = None;
            loop {
                let (which, from) = (which.clone(), after);
                let part = self.store.write(Locks::none(), move |tx| queue::retry(tx, &which, from, now)).await;
                match part {
                    Ok(part) => after = part.value.next,
                    Err(error) => return unable(&error),
                }
                if after.is_none() {
                    break;
                }
            }
        }
        metrics::counter!("postroad_smtp_etrn_total").increment(1);
        Verdict::AcceptWith(match messages {
            0 => Reply::new(251, (2, 0, 0), "Nothing waits for it."),
            1 => Reply::new(253, (2, 0, 0), "1 pending message is sent now."),
            many => Reply::new(253, (2, 0, 0), format!("{many} pending messages are sent now.")),
        })
    }
}

fn unable(error: &queue::Error) -> Verdict {
    tracing::error!(%error, "what waits for a node could not be looked for; it was told to ask again");
    Verdict::Refuse(Reply::new(458, (4, 3, 0), "The queue cannot be started right now. Please try again later."))
}
