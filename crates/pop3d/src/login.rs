//! USER, PASS and AUTH (RFC 1939 §7, RFC 5034).
//!
//! The session never verifies: it hands a [`Login`] to the world and takes the outcome.

use std::time::Duration;

use postroad_mail::Refused;
use postroad_sasl::{Check, Exchange, Secret, Turn, wipe};

use crate::capability;
use crate::job::{Login, Outcome};
use crate::session::{Opening, Phase, Session};
use crate::settings::{FAILED_LOGINS_MAX, LOGIN_DELAY_MAX};

/// `USER name`. The answer does not tell whether there is such a user.
pub(crate) fn user(session: &mut Session, name: &str) {
    session.user = None;
    if !session.may_send_password() {
        return session.err(PRIVACY);
    }
    if name.is_empty() {
        return session.err("USER needs a name");
    }
    session.user = Some(name.to_owned());
    session.ok("now the password");
}

/// `PASS password`: all behind the blank, blanks included.
pub(crate) fn pass(session: &mut Session, password: &str) {
    let Some(authcid) = session.user.take() else {
        return session.err("USER first");
    };
    if password.is_empty() {
        return session.err("[AUTH] PASS needs a password");
    }
    let password = Secret::new(password.to_owned());
    session.verify(Check { mechanism: "USER", authzid: None, authcid, password });
}

/// `AUTH`, `AUTH mechanism`, `AUTH mechanism initial-response`.
pub(crate) fn auth(session: &mut Session, arguments: &str) {
    let mut words = arguments.split_ascii_whitespace();
    let Some(name) = words.next() else {
        return list_mechanisms(session);
    };
    let initial = words.next();
    let Some(row) = postroad_sasl::find(name).filter(|_| words.next().is_none()) else {
        return session.err("this mechanism is not offered; CAPA lists those that are");
    };
    if row.sends_secret && !session.may_send_password() {
        return session.err(PRIVACY);
    }
    let (exchange, turn) = Exchange::begin(row, initial.map(str::as_bytes));
    session.turn(exchange, turn);
}

/// [MS-POP3] §2.2.1: Outlook probes with a bare AUTH.
fn list_mechanisms(session: &mut Session) {
    session.ok("mechanisms follow");
    let names: Vec<&str> = capability::mechanisms(session).collect();
    for name in names {
        session.out.extend_from_slice(name.as_bytes());
        session.out.extend_from_slice(b"\r\n");
    }
    session.out.extend_from_slice(b".\r\n");
}

impl Session {
    /// The client's next line in AUTH.
    pub(crate) fn exchange_line(&mut self, mut exchange: Exchange, mut line: Vec<u8>) {
        let turn = exchange.answer(&line);
        wipe(&mut line);
        self.turn(exchange, turn);
    }

    fn turn(&mut self, exchange: Exchange, turn: Turn) {
        match turn {
            Turn::Challenge(text) => {
                self.out.extend_from_slice(format!("+ {text}\r\n").as_bytes());
                self.phase = Phase::Authenticating(exchange);
            }
            Turn::Check(check) => self.verify(check),
            Turn::Failed(error) => self.err(&error.to_string()),
        }
    }

    fn verify(&mut self, check: Check) {
        let login = Login { check, secure: self.tls.is_some() };
        self.phase = Phase::LoggingIn(Some(Box::new(login)));
    }

    /// The outcome of [`crate::Job::Login`].
    pub fn logged_in(&mut self, outcome: Outcome) {
        let Phase::LoggingIn(_) = self.phase else { return };
        self.phase = Phase::Ready;
        let refused = match outcome {
            Outcome::Granted(login) => {
                self.login = Some(login);
                self.phase = Phase::Opening(self.opening());
                return;
            }
            Outcome::Unavailable => {
                return self.err("[SYS/TEMP] logins cannot be checked now; try again later");
            }
            Outcome::Refused(refused) => refused,
        };
        // RFC 3206 §4: AUTH says that the client should ask its user for the password.
        let text = match refused {
            Refused::Wrong => "[AUTH] name or password are wrong",
            Refused::Expired => "[AUTH] this app password has expired",
            Refused::Scope => "[AUTH] this app password is not for POP3",
            Refused::Suspended => "[SYS/PERM] the account is suspended; ask the administrator",
        };
        self.failed_logins += 1;
        match self.login_delay() {
            Duration::ZERO => self.login_refused(text),
            delay => self.phase = Phase::Penalty(text, delay),
        }
    }

    /// Without a policy there is nothing to be asked or written.
    fn opening(&self) -> Opening {
        let policy = self.settings.exclusive || !self.settings.login_interval.is_zero();
        Opening { admitted: !policy, ..Opening::default() }
    }

    pub(crate) fn login_refused(&mut self, text: &'static str) {
        self.err(text);
        if self.failed_logins >= FAILED_LOGINS_MAX {
            self.phase = Phase::Closing;
        }
    }

    /// How long a failed login is held back: doubled with each failure.
    fn login_delay(&self) -> Duration {
        if self.settings.no_delay_on_loopback && self.peer.is_loopback() {
            return Duration::ZERO;
        }
        let doublings = self.failed_logins.saturating_sub(1).min(10);
        self.settings.login_delay.saturating_mul(1 << doublings).min(LOGIN_DELAY_MAX)
    }
}

const PRIVACY: &str = "a password is taken only under TLS: use STLS or port 995";
