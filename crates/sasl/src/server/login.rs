//! LOGIN, server side, with the prompts of [MS-XLOGIN] §2.2: Outlook fails with the ones of
//! draft-murchison-sasl-login ("User Name\0").

use super::{Machine, Move, Moved, text};
use crate::{Error, Evidence, Secret};

#[derive(Default)]
pub(crate) struct Login {
    user: Option<String>,
}

impl Machine for Login {
    fn begin(&mut self, initial: Option<&[u8]>) -> Moved {
        match initial {
            // Outlook for Mac sends the user name as an initial response.
            Some(user) => self.respond(user),
            None => Ok(Move::Challenge(USERNAME.to_vec())),
        }
    }

    fn respond(&mut self, response: &[u8]) -> Moved {
        // Some clients end both answers with NUL, as the draft's prompts do.
        let value = text(response.strip_suffix(b"\0").unwrap_or(response))?;
        if value.is_empty() {
            return Err(Error::BadMessage);
        }
        match self.user.take() {
            None => {
                self.user = Some(value);
                Ok(Move::Challenge(PASSWORD.to_vec()))
            }
            Some(authcid) => {
                let evidence = Evidence::Password(Secret::new(value));
                Ok(Move::Ask { authzid: None, authcid, evidence })
            }
        }
    }
}

/// `VXNlcm5hbWU6` on the wire.
const USERNAME: &[u8] = b"Username:";
/// `UGFzc3dvcmQ6` on the wire.
const PASSWORD: &[u8] = b"Password:";
