//! Logins on submission: what a client hears of them, and the story of those that fail.

use std::fmt::Display;

use postroad_mail::{Refused, Service};
use postroad_protocol::SignedIn;
use postroad_sasl::{Answer, Ask, Evidence};
use postroad_smtp::{Identity, Rejection, Reply, Verdict};
use tokio::time::sleep;

use crate::inbound::{Inbound, Session, connection};
use crate::state::Login;
use crate::story::Story;

impl Inbound {
    /// Has what a client shows of itself looked at.
    pub(crate) async fn authenticate(&self, session: &mut Session, ask: Ask) -> Verdict {
        let mechanism = ask.mechanism;
        let remote = session.peer().remote.ip();
        let login = ask.authcid.clone();
        let malformed = if let Evidence::Malformed(error) = &ask.evidence { Some(*error) } else { None };
        let answer = match self.logins.verify(ask, remote, Service::Smtp).await {
            Answer::Granted { who, last } => {
                session.world.logged_in = Some(Login::from(&who));
                session.sign_in(SignedIn { account: who.holder().0, by: who.credential(), into: who.account().0 });
                let login = if login.is_empty() { who.login().to_owned() } else { login };
                let identity = Identity { account: who.account().0, login, mechanism };
                Answer::Granted { who: identity, last }
            }
            Answer::Refused { why, last } => {
                let reply = refusal(why, mechanism);
                match malformed {
                    Some(error) => self.tell(session, mechanism, &login, &error),
                    None => self.tell(session, mechanism, &login, &reply),
                }
                let punished = self.punish(session).await;
                Answer::Refused { why: punished.unwrap_or(Rejection { reply, close: false }), last }
            }
            // RFC 4954 §6
            Answer::Unavailable => {
                return Verdict::Refuse(Reply::new(
                    454,
                    (4, 7, 0),
                    "Logins cannot be verified right now. Please try again later.",
                ));
            }
            Answer::Scram(offer) => Answer::Scram(offer),
            Answer::Challenge(bytes) => Answer::Challenge(bytes),
            Answer::Gss(step) => Answer::Gss(step),
        };
        Verdict::Sasl(Box::new(answer))
    }

    /// A failed login is a story of its own: "why can I not send?" is answered by the login's name.
    fn tell(&self, session: &Session, mechanism: &str, login: &str, why: &dyn Display) {
        let now = (self.clock)();
        let mut story = Story::begin();
        story.key(login);
        story.note(now, "connected", connection(session));
        story.note(now, "refused", format_args!("AUTH {mechanism} as {login}: {why}"));
        self.stories.tell(story);
    }

    /// Slows down who guesses passwords. Never on loopback.
    async fn punish(&self, session: &mut Session) -> Option<Rejection> {
        session.world.failed_logins += 1;
        let peer = session.peer();
        if peer.is_loopback() {
            return None;
        }
        sleep(self.settings.login_delay).await;
        (session.world.failed_logins >= self.settings.logins_limit)
            .then(|| Rejection { reply: Reply::new(421, (4, 7, 0), "Too many failed logins."), close: true })
    }
}

/// Only who knows the right password learns more than "wrong".
fn refusal(refused: Refused, mechanism: &str) -> Reply {
    match refused {
        // [MS-SMTPNTLM] §4.1: clients of Exchange know it by these words.
        Refused::Wrong if mechanism == "NTLM" => Reply::new(535, (5, 7, 3), "Authentication unsuccessful"),
        Refused::Wrong => Reply::new(535, (5, 7, 8), "User name or password is wrong."),
        Refused::Expired => Reply::new(535, (5, 7, 8), "This password, token or ticket has expired."),
        Refused::Scope => Reply::new(535, (5, 7, 8), "This app password is not for sending mail. Make one that is."),
        // RFC 5248's registry: 525 goes with X.7.13.
        Refused::Suspended => Reply::new(525, (5, 7, 13), "This account is suspended. Its administrator knows why."),
        // RFC 4954 §6: a password alone is too weak; large providers answer so, and clients show it.
        Refused::SecondStep => Reply::new(
            534,
            (5, 7, 9),
            "This account has a second step. Make an app password for this program on the account's page.",
        ),
    }
}
