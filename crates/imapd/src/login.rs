//! LOGIN and AUTHENTICATE (RFC 9051 §6.2.2-6.2.3, RFC 4959).
//!
//! The session never verifies: it hands a [`Login`] to the world and takes the outcome.

use std::time::Duration;

use postroad_imap::command::Secret as Bytes;
use postroad_imap::{Limits, ResponseCode, Tag};
use postroad_mail::{Authenticated, Refused};
use postroad_sasl::{Ask, Channel, Evidence, Secret, Turn, Unusable};

use crate::capability;
use crate::error::Reply;
use crate::job::{Login, Outcome};
use crate::session::Session;
use crate::settings::{FAILED_LOGINS_MAX, LOGIN_DELAY_MAX};
use crate::steps::Phase;

/// A SASL exchange of a client.
pub(crate) type Exchange = postroad_sasl::Exchange<Authenticated, Refused>;

/// A login under way.
#[derive(Debug)]
pub(crate) struct Authenticating {
    tag: Tag,
    exchange: Exchange,
}

impl Authenticating {
    pub(crate) fn tag(&self) -> &Tag {
        &self.tag
    }
}

/// `LOGIN user password`.
pub(crate) fn login(session: &mut Session, tag: &Tag, user: &str, password: &Bytes) -> Option<Reply> {
    if !session.may_send_password() {
        return Some(privacy());
    }
    let (exchange, turn) = match String::from_utf8(password.0.clone()) {
        Ok(password) => Exchange::password("LOGIN", user.to_owned(), Secret::new(password)),
        Err(_) => {
            let evidence = Evidence::Malformed(postroad_sasl::Error::NotUtf8);
            Exchange::command("LOGIN", user.to_owned(), evidence)
        }
    };
    session.turn(Authenticating { tag: tag.clone(), exchange }, turn)
}

/// `AUTHENTICATE mechanism [initial]`.
pub(crate) fn authenticate(
    session: &mut Session,
    tag: &Tag,
    mechanism: &str,
    initial: Option<&Bytes>,
) -> Option<Reply> {
    let clear = session.may_send_password();
    let mechanism = match postroad_sasl::usable(&session.settings.mechanisms, mechanism, session.tls.as_ref(), clear) {
        Ok(mechanism) => mechanism,
        Err(Unusable::Privacy) => return Some(privacy()),
        // RFC 5530 §3: what is missing is privacy.
        Err(why @ Unusable::Clear) => return Some(Reply::no(ResponseCode::PrivacyRequired, why.words())),
        Err(why @ (Unusable::Unknown | Unusable::Certificate | Unusable::Binding)) => {
            return Some(Reply::no(ResponseCode::Cannot, why.words()));
        }
    };
    let channel = Channel { tls: session.tls.as_ref(), offered: &session.mechanisms() };
    let (exchange, turn) = Exchange::begin(mechanism, initial.map(|text| text.0.as_slice()), channel);
    session.turn(Authenticating { tag: tag.clone(), exchange }, turn)
}

/// RFC 9051 §6.2.2: a cancelled exchange and bad base64 are answered with BAD.
fn failed(error: postroad_sasl::Error) -> Reply {
    use postroad_sasl::Error;
    match error {
        Error::BadMessage | Error::NotUtf8 => {
            Reply::no(ResponseCode::AuthenticationFailed, "that is not what the mechanism asks for")
        }
        Error::BadBinding | Error::NotTheServer => Reply::no(ResponseCode::AuthenticationFailed, error.to_string()),
        // RFC 4959 §3: who speaks first where the server does.
        Error::TooEarly | Error::Cancelled | Error::BadBase64 | Error::TooLong => Reply::bad(error.to_string()),
    }
}

fn privacy() -> Reply {
    Reply::no(ResponseCode::PrivacyRequired, "a password is taken only under TLS: use STARTTLS or port 993")
}

impl Session {
    /// The client's next line in AUTHENTICATE.
    pub(crate) fn authenticate_line(&mut self, mut authenticating: Authenticating, line: &[u8]) {
        let turn = authenticating.exchange.answer(line);
        let tag = authenticating.tag.clone();
        if let Some(reply) = self.turn(authenticating, turn) {
            self.complain(Some(&tag), &reply);
        }
    }

    /// The mechanisms that the client is told of now.
    pub(crate) fn mechanisms(&self) -> Vec<&'static postroad_sasl::Mechanism> {
        postroad_sasl::offered(&self.settings.mechanisms, self.tls.as_ref(), self.may_send_password())
    }

    fn turn(&mut self, authenticating: Authenticating, turn: Turn<Authenticated, Refused>) -> Option<Reply> {
        match turn {
            Turn::Challenge(text) => {
                // The text is base64 already, and may be empty: `+ ` and nothing.
                self.now_writer().raw(format!("+ {text}\r\n").as_bytes());
                self.framer.expect_line();
                self.phase = Phase::Authenticating(authenticating);
                None
            }
            Turn::Ask(ask) => {
                self.ask(authenticating, ask);
                None
            }
            Turn::Done(login) => {
                self.phase = Phase::Ready;
                self.login = Some(login);
                self.failed_logins = 0;
                let append = self.settings.message_size_max;
                let limits = Limits { append, ..Limits::default() };
                let messages = self.settings.message_limit.of_saving().map_or(limits.messages, |most| most as usize);
                let messages = messages.min(limits.messages);
                self.framer.syntax_mut().limits = Limits { messages, ..limits };
                let code = ResponseCode::Capability(capability::list(self).join(" "));
                Some(Reply::ok_with(code, "welcome"))
            }
            Turn::Refused(refused) => {
                self.denied(authenticating.tag, refused);
                None
            }
            Turn::Unavailable => {
                let text = "logins cannot be checked now; try again later";
                Some(Reply::no(ResponseCode::Unavailable, text))
            }
            Turn::Malformed(error, _) => {
                self.held_back(authenticating.tag, failed(error));
                None
            }
            Turn::Failed(error) => Some(failed(error)),
        }
    }

    fn ask(&mut self, authenticating: Authenticating, ask: Ask) {
        let login = Login { ask, secure: self.tls.is_some() };
        self.phase = Phase::LoggingIn(Box::new(authenticating), Some(Box::new(login)));
    }

    /// The outcome of [`crate::Job::Login`].
    pub fn logged_in(&mut self, outcome: Outcome) {
        let Phase::LoggingIn(..) = &self.phase else { return };
        let Phase::LoggingIn(mut authenticating, _) = std::mem::take(&mut self.phase) else { return };
        let (tag, turn) = (authenticating.tag.clone(), authenticating.exchange.answered(outcome));
        if let Some(reply) = self.turn(*authenticating, turn) {
            self.answer(&tag, &reply);
        }
    }

    /// Tells of a failed login, after a while.
    fn denied(&mut self, tag: Tag, refused: Refused) {
        let reply = match refused {
            Refused::Wrong => Reply::no(ResponseCode::AuthenticationFailed, "name or password are wrong"),
            Refused::Expired => Reply::no(ResponseCode::Expired, "this password, token or ticket has expired"),
            Refused::Scope => Reply::no(ResponseCode::AuthorizationFailed, "this app password is not for IMAP"),
            Refused::Suspended => Reply::no(ResponseCode::ContactAdmin, "the account is suspended"),
            Refused::SecondStep => Reply::no(
                ResponseCode::AuthorizationFailed,
                "this account has a second step: make an app password for this program on the account's page",
            ),
        };
        self.held_back(tag, reply);
    }

    /// Counts a failed login and tells of it, after a while.
    fn held_back(&mut self, tag: Tag, reply: Reply) {
        self.failed_logins += 1;
        match self.login_delay() {
            Duration::ZERO => self.login_refused(&tag, &reply),
            delay => self.phase = Phase::Penalty(tag, reply, delay),
        }
    }

    /// The outcome of [`crate::Job::Pause`].
    pub fn resumed(&mut self) {
        let Phase::Penalty(tag, reply, _) = &self.phase else { return };
        let (tag, reply) = (tag.clone(), reply.clone());
        self.phase = Phase::Ready;
        self.login_refused(&tag, &reply);
    }

    fn login_refused(&mut self, tag: &Tag, reply: &Reply) {
        self.answer(tag, reply);
        if self.failed_logins >= FAILED_LOGINS_MAX {
            self.say_bye(None, "too many failed logins");
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
