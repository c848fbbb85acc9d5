//! Signing what this server writes itself.

use postroad_mail::Domain;
use postroad_mailauth::body::{Canonicalization, Hashers};

use super::Signers;
use crate::header;

impl Signers {
    /// The signatures to put before a whole message that this server wrote, CRLF at each line's end: of the domain in From, or
    /// of one above it; nothing when no key signs. Errors: the database's.
    pub async fn own_message(&self, message: &[u8]) -> Result<Vec<u8>, postroad_store::Error> {
        let end = message.windows(4).position(|four| four == b"\r\n\r\n").map_or(message.len(), |end| end + 4);
        let (head, body) = message.split_at(end);
        let author = header::review(head).from.into_iter().next();
        let identity = match author.and_then(|author| Domain::parse(&author.domain).ok()) {
            Some(domain) => self.of_or_above(domain.as_str()).await?,
            None => None,
        };
        let Some(identity) = identity else { return Ok(Vec::new()) };
        let mut hashers = Hashers::new();
        hashers.want(Canonicalization::Relaxed, None);
        hashers.update(body);
        let digest = hashers.finish().get(Canonicalization::Relaxed, None);
        Ok(digest.map(|digest| identity.sign(head, &digest, self.now()).0).unwrap_or_default())
    }
}
