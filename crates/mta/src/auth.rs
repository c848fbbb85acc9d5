//! Logins on submission: what a client hears of them, and the story of those that fail.

use postroad_login::Denied;
use postroad_mail::{Refused, Service};
use postroad_sasl::Check;
use postroad_smtp::{Identity, Reply, Verdict};
use tokio::time::sleep;

use crate::inbound::{Inbound, Session, connection};
use crate::state::Login;
use crate::story::Story;

impl Inbound {
    /// Verifies credentials.
    pub(crate) async fn authenticate(&self, session: &mut Session, check: Check) -> Verdict {
        let mechanism = check.mechanism;
        let remote = session.peer().remote.ip();
        let login = check.authcid.clone();
        match self.logins.verify(check, remote, Service::Smtp).await {
            Ok(authenticated) => {
                session.world.logged_in = Some(Login::from(&authenticated));
                let identity = Identity { account: authenticated.account().0, login, mechanism };
                Verdict::Authenticated(identity)
            }
            Err(Denied::Refused(refused)) => {
                let reply = refusal(refused);
                self.tell(session, mechanism, &login, &reply);
                self.punish(session).await.unwrap_or(Verdict::Refuse(reply))
            }
            // RFC 4954 §6
            Err(Denied::Unavailable) => Verdict::Refuse(Reply::new(
                454,
                (4, 7, 0),
                "Logins cannot be verified right now. Please try again later.",
            )),
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

    /// Slows down who guesses passwords. Never on loopback.
    async fn punish(&self, session: &mut Session) -> Option<Verdict> {
        session.world.failed_logins += 1;
        let peer = session.peer();
        if peer.is_loopback() {
            return None;
        }
        sleep(self.settings.login_delay).await;
        (session.world.failed_logins >= self.settings.logins_limit)
            .then(|| Verdict::Close(Reply::new(421, (4, 7, 0), "Too many failed logins.")))
    }
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
