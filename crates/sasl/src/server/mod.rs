//! The server sides, one file each: decoded messages in, moves out.

pub(crate) mod bearer;
pub(crate) mod cram;
pub(crate) mod external;
pub(crate) mod gss;
pub(crate) mod login;
pub(crate) mod ntlm;
pub(crate) mod plain;
pub(crate) mod scram;

use crate::gss::Step;
use crate::scram::Offer;
use crate::{Error, Evidence};

/// What a mechanism does next.
pub(crate) enum Move {
    Challenge(Vec<u8>),
    Ask {
        authzid: Option<String>,
        authcid: String,
        evidence: Evidence,
    },
    /// It has nothing more to say: the verdict counts.
    Over,
}

pub(crate) type Moved = Result<Move, Error>;

/// The server side of a mechanism.
pub(crate) trait Machine: Send {
    /// Called once; `None` when the client gave no initial response.
    fn begin(&mut self, initial: Option<&[u8]>) -> Moved;

    /// Called for each later response.
    fn respond(&mut self, response: &[u8]) -> Moved;

    /// [`crate::Answer::Scram`].
    fn offered(&mut self, _offer: &Offer) -> Moved {
        Err(Error::BadMessage)
    }

    /// [`crate::Answer::Challenge`].
    fn challenged(&mut self, _challenge: Vec<u8>) -> Moved {
        Err(Error::BadMessage)
    }

    /// [`crate::Answer::Gss`].
    fn stepped(&mut self, _step: Step) -> Moved {
        Err(Error::BadMessage)
    }

    /// [`crate::Answer::Granted`], which the exchange remembers.
    fn granted(&mut self, _last: Vec<u8>) -> Moved {
        Ok(Move::Over)
    }

    /// [`crate::Answer::Refused`], which the exchange remembers.
    fn refused(&mut self, _last: Option<Vec<u8>>) -> Move {
        Move::Over
    }
}

/// Text of a message: UTF-8 without NUL. What it is prepared by (PRECIS, SASLprep) is left to who knows how the stored
/// form was.
pub(crate) fn text(bytes: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::NotUtf8)?;
    if text.contains('\0') {
        return Err(Error::BadMessage);
    }
    Ok(text.to_owned())
}
