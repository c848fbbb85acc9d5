//! The server side of an exchange, line by line, in base64.

use std::fmt;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, prelude::BASE64_STANDARD};

use crate::mechanism::Answer;
use crate::secret::wipe;
use crate::{Error, Mechanism, Secret};

/// Longest base64 line, without CRLF, in octets (RFC 4954 §4.5 asks for at least 12288 in all).
pub const LINE_LIMIT: usize = 12_288;

/// What the caller verifies against its accounts.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// The mechanism's name, for the log and the Received line.
    pub mechanism: &'static str,
    /// Whom the client wants to act as; `None` when it is the one it authenticates as.
    pub authzid: Option<String>,
    /// Whose password it is.
    pub authcid: String,
    /// The password, as sent: UTF-8, not empty, without NUL.
    pub password: Secret,
}

/// What comes next in an exchange.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Send this base64 text (after `334 ` or `+ `; it may be empty) and give the next line to
    /// [`Exchange::answer`].
    Challenge(String),
    /// The client has said all: verify it. The exchange is over.
    Check(Check),
    /// The exchange is over without success.
    Failed(Error),
}

/// A running exchange.
pub struct Exchange {
    mechanism: &'static Mechanism,
    machine: Box<dyn Machine>,
}

/// What a mechanism does with a decoded message.
pub(crate) enum Move {
    Challenge(Vec<u8>),
    Done { authzid: Option<String>, authcid: String, password: Secret },
}

/// The server side of a mechanism: decoded messages in, moves out.
pub(crate) trait Machine: Send {
    /// Called once; `None` when the client gave no initial response.
    fn begin(&mut self, initial: Option<&[u8]>) -> Answer;
    /// Called for each later response.
    fn respond(&mut self, response: &[u8]) -> Answer;
}

impl Exchange {
    /// Starts with the initial response as it stands in the command (`=` means an empty one, RFC 4954
    /// §4), or `None` when there was none.
    pub fn begin(mechanism: &'static Mechanism, initial: Option<&[u8]>) -> (Exchange, Turn) {
        let mut exchange = Exchange { mechanism, machine: (mechanism.start)() };
        let decoded = match initial {
            None => Ok(None),
            Some(b"=") => Ok(Some(Vec::new())),
            Some(line) => decode(line).map(Some),
        };
        let turn = match decoded {
            Err(error) => Turn::Failed(error),
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

    /// Takes the client's next line, without its CRLF. `*` cancels, with or without blanks after it.
    pub fn answer(&mut self, line: &[u8]) -> Turn {
        if line.trim_ascii_end() == b"*" {
            return Turn::Failed(Error::Cancelled);
        }
        match decode(line) {
            Err(error) => Turn::Failed(error),
            Ok(mut message) => {
                let moved = self.machine.respond(&message);
                wipe(&mut message);
                self.turn(moved)
            }
        }
    }

    /// The mechanism at work.
    pub fn mechanism(&self) -> &'static Mechanism {
        self.mechanism
    }

    fn turn(&self, moved: Answer) -> Turn {
        match moved {
            Err(error) => Turn::Failed(error),
            Ok(Move::Challenge(bytes)) => Turn::Challenge(BASE64_STANDARD.encode(bytes)),
            Ok(Move::Done { authzid, authcid, password }) => {
                Turn::Check(Check { mechanism: self.mechanism.name, authzid, authcid, password })
            }
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("mechanism", &self.mechanism.name).finish_non_exhaustive()
    }
}

/// Padding is required by RFC 4648 §3.2 but several device firmwares leave it out; nothing is
/// ambiguous without it.
const BASE64_LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn decode(line: &[u8]) -> Result<Vec<u8>, Error> {
    if line.len() > LINE_LIMIT {
        return Err(Error::TooLong);
    }
    BASE64_LENIENT.decode(line.trim_ascii_end()).map_err(|_| Error::BadBase64)
}

/// Text of a message: UTF-8 without NUL. SASLprep (RFC 4013) and PRECIS are left to the account
/// data's side, which knows how the stored form was prepared.
pub(crate) fn text(bytes: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::NotUtf8)?;
    if text.contains('\0') {
        return Err(Error::BadMessage);
    }
    Ok(text.to_owned())
}
