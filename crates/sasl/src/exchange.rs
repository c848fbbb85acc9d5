//! The server side of an exchange, line by line, in base64.
//!
//! Invariant: [`Turn::Done`] follows only an [`Answer::Granted`] of this exchange, and nothing that a client says
//! makes anything else of an [`Answer::Refused`].

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postroad_protocol::TlsFacts;

use crate::base64_line::decode;
use crate::secret::wipe;
use crate::server::{Machine, Move, Moved};
use crate::{Answer, Ask, Error, Evidence, Mechanism, Secret};

/// The connection that an exchange is on.
#[derive(Debug, Clone, Copy)]
pub struct Channel<'a> {
    /// What TLS established; `None` in clear.
    pub tls: Option<&'a TlsFacts>,
    /// The mechanisms that the client was told of on this connection.
    pub offered: &'a [&'static Mechanism],
}

/// What comes next in an exchange.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn<W, R> {
    /// Send this base64 text (after `334 ` or `+ `; it may be empty) and give the next line to
    /// [`Exchange::answer`].
    Challenge(String),
    /// Have this verified and give what became of it to [`Exchange::answered`].
    Ask(Ask),
    /// The client is who it says. The exchange is over.
    Done(W),
    /// It is not. The exchange is over.
    Refused(R),
    /// Nobody could look. The exchange is over.
    Unavailable,
    /// The client did not follow the mechanism, which counts as a wrong password does: the world was asked
    /// ([`Evidence::Malformed`]), and said this. The exchange is over.
    Malformed(Error, R),
    /// The client cancelled, or did not follow the mechanism and nobody could count that. The exchange is over.
    Failed(Error),
}

/// A running exchange. `W` is what the caller knows of who came in, `R` why somebody did not.
pub struct Exchange<W, R> {
    mechanism: &'static str,
    invitation: Option<&'static str>,
    machine: Box<dyn Machine>,
    verdict: Option<Result<W, R>>,
    /// What the client did wrong, while the world counts it.
    complaint: Option<Error>,
}

impl<W, R> Exchange<W, R> {
    /// Starts with the initial response as it stands in the command (`=` means an empty one, RFC 4954
    /// §4), or `None` when there was none.
    pub fn begin(
        mechanism: &'static Mechanism,
        initial: Option<&[u8]>,
        channel: Channel<'_>,
    ) -> (Exchange<W, R>, Turn<W, R>) {
        let machine = (mechanism.start)(channel);
        let invitation = initial.map_or(mechanism.invitation, |_| None);
        let mut exchange = Exchange { mechanism: mechanism.name, invitation, machine, verdict: None, complaint: None };
        let decoded = match initial {
            None => Ok(None),
            Some(b"=") => Ok(Some(Vec::new())),
            Some(line) => decode(line).map(Some),
        };
        let turn = match decoded {
            Err(error) => exchange.malformed(error),
            Ok(mut message) => {
                let moved = exchange.machine.begin(message.as_deref());
                if let Some(bytes) = &mut message {
                    wipe(bytes);
                }
                exchange.turn(moved)
            }
        };
        (exchange, turn)
    }

    /// A name and a password that came without SASL: IMAP's `LOGIN`, POP3's `USER` and `PASS`.
    pub fn password(command: &'static str, authcid: String, password: Secret) -> (Exchange<W, R>, Turn<W, R>) {
        Exchange::command(command, authcid, Evidence::Password(password))
    }

    /// A name and what there is to show that came without SASL, in one command: POP3's `APOP`.
    pub fn command(name: &'static str, authcid: String, evidence: Evidence) -> (Exchange<W, R>, Turn<W, R>) {
        let machine: Box<dyn Machine> = Box::new(crate::server::plain::Plain);
        let complaint = if let Evidence::Malformed(error) = &evidence { Some(*error) } else { None };
        let exchange = Exchange { mechanism: name, invitation: None, machine, verdict: None, complaint };
        (exchange, Turn::Ask(Ask { mechanism: name, authzid: None, authcid, evidence }))
    }

    /// Takes the client's next line, without its CRLF. `*` cancels, with or without blanks after it.
    pub fn answer(&mut self, line: &[u8]) -> Turn<W, R> {
        // RFC 7628 §3.2.3: whatever the client says to the reasons, it is refused.
        if let Some(Err(_)) = &self.verdict {
            return self.turn(Ok(Move::Over));
        }
        if line.trim_ascii_end() == b"*" {
            return Turn::Failed(Error::Cancelled);
        }
        match decode(line) {
            Err(error) => self.malformed(error),
            Ok(mut message) => {
                let moved = self.machine.respond(&message);
                wipe(&mut message);
                self.turn(moved)
            }
        }
    }

    /// Takes what became of the [`Ask`].
    pub fn answered(&mut self, answer: Answer<W, R>) -> Turn<W, R> {
        if let Some(error) = self.complaint.take() {
            return match answer {
                Answer::Refused { why, .. } => Turn::Malformed(error, why),
                Answer::Scram(_)
                | Answer::Challenge(_)
                | Answer::Gss(_)
                | Answer::Granted { .. }
                | Answer::Unavailable => Turn::Failed(error),
            };
        }
        let moved = match answer {
            Answer::Scram(offer) => self.machine.offered(&offer),
            Answer::Challenge(bytes) => self.machine.challenged(bytes),
            Answer::Gss(step) => self.machine.stepped(step),
            Answer::Granted { who, last } => {
                self.verdict = Some(Ok(who));
                self.machine.granted(last)
            }
            Answer::Refused { why, last } => {
                self.verdict = Some(Err(why));
                Ok(self.machine.refused(last))
            }
            Answer::Unavailable => return Turn::Unavailable,
        };
        self.turn(moved)
    }

    /// The client did not follow the mechanism, as the exchange or its caller (a line that is too long) found: whatever was
    /// begun is over, and the world is asked to count it.
    pub fn malformed(&mut self, error: Error) -> Turn<W, R> {
        self.verdict = None;
        self.complaint = Some(error);
        let evidence = Evidence::Malformed(error);
        Turn::Ask(Ask { mechanism: self.mechanism, authzid: None, authcid: String::new(), evidence })
    }

    /// The name of the mechanism at work.
    pub fn mechanism(&self) -> &'static str {
        self.mechanism
    }

    /// The words that SMTP writes once in place of an empty first challenge, where old clients want some
    /// ([MS-SMTPNTLM] §2.2.1): to be taken after the first [`Turn::Challenge`].
    pub fn invitation(&mut self) -> Option<&'static str> {
        self.invitation.take()
    }

    fn turn(&mut self, moved: Moved) -> Turn<W, R> {
        match moved {
            Err(error) => self.malformed(error),
            Ok(Move::Challenge(bytes)) => Turn::Challenge(BASE64_STANDARD.encode(bytes)),
            Ok(Move::Ask { authzid, authcid, evidence }) => {
                Turn::Ask(Ask { mechanism: self.mechanism, authzid, authcid, evidence })
            }
            Ok(Move::Over) => match self.verdict.take() {
                Some(Ok(who)) => Turn::Done(who),
                Some(Err(why)) => Turn::Refused(why),
                // A machine that ends without having asked lets nobody in.
                None => self.malformed(Error::BadMessage),
            },
        }
    }
}

impl<W, R> fmt::Debug for Exchange<W, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}
