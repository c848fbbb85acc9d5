//! USER, PASS, APOP (RFC 1939 §7) and AUTH (RFC 5034).
//!
//! The session never verifies: it hands a [`Login`] to the world and takes the outcome.

use std::time::Duration;

use postroad_mail::{Authenticated, Refused};
use postroad_sasl::digest::{Digest, Proof};
use postroad_sasl::{Ask, Channel, Evidence, Mechanism, Secret, Turn, Unusable, wipe};

use crate::job::{Login, Outcome};
use crate::session::{Opening, Phase, Session};
use crate::settings::{FAILED_LOGINS_MAX, LOGIN_DELAY_MAX};

/// A SASL exchange of a client.
pub(crate) type Exchange = postroad_sasl::Exchange<Authenticated, Refused>;

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
    let (exchange, turn) = Exchange::password("USER", authcid, Secret::new(password.to_owned()));
    session.turn(exchange, turn);
}

/// `APOP name digest` (RFC 1939 §7).
pub(crate) fn apop(session: &mut Session, arguments: &str) {
    let Some(timestamp) = &session.timestamp else {
        return session.err("APOP is not offered: the greeting has no timestamp; use AUTH or USER");
    };
    let (name, digits) = arguments.trim_end().rsplit_once(' ').unwrap_or((arguments, ""));
    let evidence = match Proof::read(Digest::Apop, timestamp.as_bytes(), digits) {
        Some(proof) if !name.is_empty() => Evidence::DigestProof(proof),
        Some(_) | None => Evidence::Malformed(postroad_sasl::Error::BadMessage),
    };
    let (exchange, turn) = Exchange::command(Digest::Apop.name(), name.to_owned(), evidence);
    session.turn(exchange, turn);
}

/// `AUTH`, `AUTH mechanism`, `AUTH mechanism initial-response`.
pub(crate) fn auth(session: &mut Session, arguments: &str) {
    let mut words = arguments.split_ascii_whitespace();
    let Some(name) = words.next() else {
        return list_mechanisms(session);
    };
    let initial = words.next();
    let unknown = "this mechanism is not offered; CAPA lists those that are";
    if words.next().is_some() {
        return session.err(unknown);
    }
    let clear = session.may_send_password();
    let row = match postroad_sasl::usable(&session.settings.mechanisms, name, session.tls.as_ref(), clear) {
        Ok(row) => row,
        Err(Unusable::Unknown) => return session.err(unknown),
        Err(Unusable::Privacy) => return session.err(PRIVACY),
        Err(why @ (Unusable::Clear | Unusable::Certificate | Unusable::Binding)) => return session.err(why.words()),
    };
    let channel = Channel { tls: session.tls.as_ref(), offered: &session.mechanisms() };
    let (exchange, turn) = Exchange::begin(row, initial.map(str::as_bytes), channel);
    session.turn(exchange, turn);
}

/// [MS-POP3] §2.2.1: Outlook probes with a bare AUTH.
fn list_mechanisms(session: &mut Session) {
    session.ok("mechanisms follow");
    for row in session.mechanisms() {
        session.out.extend_from_slice(row.name.as_bytes());
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

    /// The mechanisms that the client is told of now.
    pub(crate) fn mechanisms(&self) -> Vec<&'static Mechanism> {
        postroad_sasl::offered(&self.settings.mechanisms, self.tls.as_ref(), self.may_send_password())
    }

    fn turn(&mut self, exchange: Exchange, turn: Turn<Authenticated, Refused>) {
        match turn {
            Turn::Challenge(text) => {
                self.out.extend_from_slice(format!("+ {text}\r\n").as_bytes());
                self.phase = Phase::Authenticating(exchange);
            }
            Turn::Ask(ask) => self.ask(exchange, ask),
            Turn::Done(login) => {
                self.login = Some(login);
                self.phase = Phase::Opening(self.opening());
            }
            Turn::Refused(refused) => self.denied(refused),
            Turn::Unavailable => self.err("[SYS/TEMP] logins cannot be checked now; try again later"),
            Turn::Malformed(error, _) => self.held_back(error.words()),
            Turn::Failed(error) => self.err(error.words()),
        }
    }

    fn ask(&mut self, exchange: Exchange, ask: Ask) {
        let login = Login { ask, secure: self.tls.is_some() };
        self.phase = Phase::LoggingIn(exchange, Some(Box::new(login)));
    }

    /// The outcome of [`crate::Job::Login`].
    pub fn logged_in(&mut self, outcome: Outcome) {
        let Phase::LoggingIn(..) = self.phase else { return };
        let Phase::LoggingIn(mut exchange, _) = std::mem::take(&mut self.phase) else { return };
        let turn = exchange.answered(outcome);
        self.turn(exchange, turn);
    }

    fn denied(&mut self, refused: Refused) {
        // RFC 3206 §4: AUTH says that the client should ask its user for the password.
        let text = match refused {
            Refused::Wrong => "[AUTH] name or password are wrong",
            Refused::Expired => "[AUTH] this password, token or ticket has expired",
            Refused::Scope => "[AUTH] this app password is not for POP3",
            Refused::Suspended => "[SYS/PERM] the account is suspended; ask the administrator",
            Refused::SecondStep => "[AUTH] this account has a second step: make an app password on the account's page",
        };
        self.held_back(text);
    }

    /// Counts a failed login and tells of it, after a while.
    fn held_back(&mut self, text: &'static str) {
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
