//! PLAIN, server side. `message = [authzid] UTF8NUL authcid UTF8NUL passwd` (RFC 4616 §2).

use super::{Machine, Move, Moved, text};
use crate::{Error, Evidence, Secret};

pub(crate) struct Plain;

impl Machine for Plain {
    fn begin(&mut self, initial: Option<&[u8]>) -> Moved {
        match initial {
            Some(message) => self.respond(message),
            None => Ok(Move::Challenge(Vec::new())),
        }
    }

    fn respond(&mut self, response: &[u8]) -> Moved {
        let mut fields = response.split(|byte| *byte == 0);
        let (Some(authzid), Some(authcid), Some(password), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(Error::BadMessage);
        };
        // RFC 4616 §2: authcid and passwd are 1*SAFE, only the authzid may be absent.
        if authcid.is_empty() || password.is_empty() {
            return Err(Error::BadMessage);
        }
        let authcid = text(authcid)?;
        let authzid = Some(text(authzid)?).filter(|id| !id.is_empty() && *id != authcid);
        let evidence = Evidence::Password(Secret::new(text(password)?));
        Ok(Move::Ask { authzid, authcid, evidence })
    }
}
