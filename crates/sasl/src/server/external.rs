//! EXTERNAL, server side (RFC 4422 appendix A): what TLS has shown already counts. `[authzid]` is the whole message.

use postroad_protocol::ClientCertificate;

use super::{Machine, Move, Moved, text};
use crate::exchange::Channel;
use crate::{Error, Evidence};

pub(crate) struct External {
    certificate: Option<ClientCertificate>,
}

impl External {
    pub(crate) fn new(channel: Channel<'_>) -> External {
        External { certificate: channel.tls.and_then(|tls| tls.client.as_deref()).cloned() }
    }
}

impl Machine for External {
    fn begin(&mut self, initial: Option<&[u8]>) -> Moved {
        match initial {
            Some(message) => self.respond(message),
            None => Ok(Move::Challenge(Vec::new())),
        }
    }

    fn respond(&mut self, response: &[u8]) -> Moved {
        let authcid = text(response)?;
        let certificate = self.certificate.take().ok_or(Error::BadMessage)?;
        Ok(Move::Ask { authzid: None, authcid, evidence: Evidence::Certificate(certificate) })
    }
}
