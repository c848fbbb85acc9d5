//! NTLM, server side ([MS-NLMP] §3.2.5.1): NEGOTIATE, CHALLENGE, AUTHENTICATE.
//!
//! A challenge is made for one exchange and is gone with its answer, whatever that was.

use super::{Machine, Move, Moved};
use crate::exchange::Channel;
use crate::ntlm::{self, Proof};
use crate::{Error, Evidence};

pub(crate) struct Ntlm {
    end_point: Option<Vec<u8>>,
    state: State,
}

enum State {
    /// NEGOTIATE is due.
    Negotiate,
    /// The caller makes a challenge.
    Challenge { negotiate: Vec<u8> },
    /// AUTHENTICATE is due.
    Authenticate { negotiate: Vec<u8>, challenge: Vec<u8> },
    /// Nothing more is due.
    Over,
}

impl Ntlm {
    pub(crate) fn new(channel: Channel<'_>) -> Ntlm {
        Ntlm { end_point: channel.tls.and_then(|tls| tls.bindings.end_point.clone()), state: State::Negotiate }
    }
}

impl Machine for Ntlm {
    fn begin(&mut self, initial: Option<&[u8]>) -> Moved {
        match initial {
            Some(message) => self.respond(message),
            None => Ok(Move::Challenge(Vec::new())),
        }
    }

    fn respond(&mut self, response: &[u8]) -> Moved {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Negotiate => {
                let flags = ntlm::negotiate(response)?;
                self.state = State::Challenge { negotiate: response.to_vec() };
                Ok(Move::Ask { authzid: None, authcid: String::new(), evidence: Evidence::NtlmFlags(flags) })
            }
            State::Authenticate { negotiate, challenge } => {
                let proof = Proof::read(&negotiate, &challenge, response, self.end_point.as_deref())?;
                Ok(Move::Ask { authzid: None, authcid: proof.login(), evidence: Evidence::NtlmProof(Box::new(proof)) })
            }
            State::Challenge { .. } | State::Over => Err(Error::BadMessage),
        }
    }

    fn challenged(&mut self, challenge: Vec<u8>) -> Moved {
        let State::Challenge { negotiate } = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Error::BadMessage);
        };
        self.state = State::Authenticate { negotiate, challenge: challenge.clone() };
        Ok(Move::Challenge(challenge))
    }
}
