//! CRAM-MD5, server side (RFC 2195 §2): `challenge`, then `name SP 32HEXDIG`.
//!
//! A challenge is made for one exchange and is gone with its answer, whatever that was.

use super::{Machine, Move, Moved, text};
use crate::digest::{Digest, Proof};
use crate::{Error, Evidence};

#[derive(Default)]
pub(crate) struct Cram {
    /// The client has it and answers.
    challenge: Option<Vec<u8>>,
}

impl Machine for Cram {
    fn begin(&mut self, initial: Option<&[u8]>) -> Moved {
        match initial {
            // RFC 4954 §4, RFC 4959 §3, RFC 5034 §4
            Some(_) => Err(Error::TooEarly),
            None => Ok(Move::Ask { authzid: None, authcid: String::new(), evidence: Evidence::DigestChallenge }),
        }
    }

    fn respond(&mut self, response: &[u8]) -> Moved {
        let challenge = self.challenge.take().ok_or(Error::BadMessage)?;
        let response = text(response)?;
        // RFC 2195 §2: the digest has no blank, a name may.
        let (name, digits) = response.rsplit_once(' ').ok_or(Error::BadMessage)?;
        let proof = Proof::read(Digest::CramMd5, &challenge, digits).ok_or(Error::BadMessage)?;
        if name.is_empty() {
            return Err(Error::BadMessage);
        }
        Ok(Move::Ask { authzid: None, authcid: name.to_owned(), evidence: Evidence::DigestProof(proof) })
    }

    fn challenged(&mut self, challenge: Vec<u8>) -> Moved {
        self.challenge = Some(challenge.clone());
        Ok(Move::Challenge(challenge))
    }
}
