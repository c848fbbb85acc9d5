//! LOGIN and AUTHENTICATE (RFC 9051 §6.2.2-6.2.3, RFC 4959).
//!
//! The session never verifies: it hands a [`Login`] to the world and takes the outcome.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postroad_imap::command::Secret as Bytes;
use postroad_imap::{Limits, ResponseCode, Tag};
use postroad_mail::Refused;
use postroad_sasl::{Check, Exchange, Secret, Turn};

use crate::capability;
use crate::error::Reply;
use crate::job::{Login, Outcome};
use crate::session::Session;
use crate::settings::{FAILED_LOGINS_MAX, LOGIN_DELAY_MAX};
use crate::steps::Phase;

/// An AUTHENTICATE that asked the client something.
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
    let Ok(password) = String::from_utf8(password.0.clone()) else {
        return Some(Reply::no(ResponseCode::AuthenticationFailed, "the password is not UTF-8"));
    };
    let (authcid, password) = (user.to_owned(), Secret::new(password));
    verify(session, tag, Check { mechanism: "LOGIN", authzid: None, authcid, password });
    None
}

/// `AUTHENTICATE mechanism [initial]`.
pub(crate) fn authenticate(
    session: &mut Session,
    tag: &Tag,
    mechanism: &str,
    initial: Option<&Bytes>,
) -> Option<Reply> {
    let Some(mechanism) = postroad_sasl::find(mechanism) else {
        return Some(Reply::no(ResponseCode::Cannot, "this mechanism is not offered"));
    };
    if mechanism.sends_secret && !session.may_send_password() {
        return Some(privacy());
    }
    let initial = initial.map(|bytes| match bytes.0.as_slice() {
        [] => "=".to_owned(),
        bytes => BASE64_STANDARD.encode(bytes),
    });
    let (exchange, turn) = Exchange::begin(mechanism, initial.as_deref().map(str::as_bytes));
    session.turn(Authenticating { tag: tag.clone(), exchange }, turn)
}

fn privacy() -> Reply {
    Reply::no(ResponseCode::PrivacyRequired, "a password is taken only under TLS: use STARTTLS or port 993")
}

fn verify(session: &mut Session, tag: &Tag, check: Check) {
    let login = Login { check, secure: session.tls.is_some() };
    session.phase = Phase::LoggingIn(tag.clone(), Some(Box::new(login)));
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

    fn turn(&mut self, authenticating: Authenticating, turn: Turn) -> Option<Reply> {
        match turn {
            Turn::Challenge(text) => {
                // The text is base64 already, and may be empty: `+ ` and nothing.
                self.now_writer().raw(format!("+ {text}\r\n").as_bytes());
                self.framer.expect_line();
                self.phase = Phase::Authenticating(authenticating);
                None
            }
            Turn::Check(check) => {
                verify(self, &authenticating.tag, check);
                None
            }
            // RFC 9051 §6.2.2: a cancelled exchange and bad base64 are answered with BAD.
            Turn::Failed(postroad_sasl::Error::BadMessage | postroad_sasl::Error::NotUtf8) => {
                Some(Reply::no(ResponseCode::AuthenticationFailed, "that is not what the mechanism asks for"))
            }
            Turn::Failed(error) => Some(Reply::bad(error.to_string())),
        }
    }

    /// The outcome of [`crate::Job::Login`].
    pub fn logged_in(&mut self, outcome: Outcome) {
        let Phase::LoggingIn(tag, _) = &self.phase else { return };
        let tag = tag.clone();
        self.phase = Phase::Ready;
        let refused = match outcome {
            Outcome::Granted(login) => {
                self.login = Some(login);
                self.failed_logins = 0;
                let append = self.settings.message_size_max;
                let limits = Limits { append, ..Limits::default() };
                let messages = self.settings.message_limit.of_saving().map_or(limits.messages, |most| most as usize);
                let messages = messages.min(limits.messages);
                self.framer.syntax_mut().limits = Limits { messages, ..limits };
                let code = ResponseCode::Capability(capability::list(self).join(" "));
                return self.answer(&tag, &Reply::ok_with(code, "welcome"));
            }
            Outcome::Unavailable => {
                let text = "logins cannot be checked now; try again later";
                return self.answer(&tag, &Reply::no(ResponseCode::Unavailable, text));
            }
            Outcome::Refused(refused) => refused,
        };
        let reply = match refused {
            Refused::Wrong => Reply::no(ResponseCode::AuthenticationFailed, "name or password are wrong"),
            Refused::Expired => Reply::no(ResponseCode::Expired, "this app password has expired"),
            Refused::Scope => Reply::no(ResponseCode::AuthorizationFailed, "this app password is not for IMAP"),
            Refused::Suspended => Reply::no(ResponseCode::ContactAdmin, "the account is suspended"),
        };
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
