//! Signing anew what had to be converted on its way out: what we signed at intake does not hold any more.
//!
//! Only what we put there ourselves is taken out and made again: fields above the first Received field, which is ours in
//! every message that others brought. A signature of ours further down came with the message, and to make it anew would
//! be to vouch for what somebody else may have changed.

use postroad_mailauth::arc;
use postroad_mailauth::body::{Canonicalization, Digest, Hashers};
use postroad_message::header::{Field, fields};

use super::Signers;

/// A converted message that streams by.
pub(crate) struct Anew {
    header: Vec<u8>,
    /// Where the search for the end of the header goes on.
    seen: usize,
    hashers: Option<Hashers>,
    /// The header is too long to be looked at.
    gave_up: bool,
}

/// A header in place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replaced {
    /// So many octets at the beginning go.
    pub(crate) old: u64,
    /// And these come in their place.
    pub(crate) new: Vec<u8>,
}

impl Anew {
    pub(crate) fn new() -> Anew {
        Anew { header: Vec::new(), seen: 0, hashers: None, gave_up: false }
    }

    /// The next octets of the converted message.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if let Some(hashers) = &mut self.hashers {
            return hashers.update(bytes);
        }
        if self.gave_up {
            return;
        }
        self.header.extend_from_slice(bytes);
        let from = self.seen.saturating_sub(3);
        match self.header[from..].windows(4).position(|four| four == b"\r\n\r\n") {
            Some(at) => {
                let mut hashers = Hashers::new();
                hashers.want(Canonicalization::Relaxed, None);
                hashers.update(&self.header[from + at + 4..]);
                self.header.truncate(from + at + 4);
                self.hashers = Some(hashers);
            }
            None => self.gave_up = self.header.len() > HEADER_MAX,
        }
        self.seen = self.header.len();
    }

    /// The header with new signatures; `None` when there were none of ours. Errors: the database's.
    pub(crate) async fn finish(self, signers: &Signers) -> Result<Option<Replaced>, postroad_store::Error> {
        let Some(hashers) = self.hashers else { return Ok(None) };
        let Some(body) = hashers.finish().get(Canonicalization::Relaxed, None) else { return Ok(None) };
        let ours = Ours::of(&self.header);
        if ours.signed.is_empty() && ours.sealed.is_none() {
            return Ok(None);
        }
        let mut new = Vec::new();
        for domain in &ours.signed {
            if let Some(identity) = signers.of(domain).await? {
                new.extend(identity.sign(&ours.rest, &body, signers.now()).0);
            }
        }
        if let Some(seal) = &ours.sealed {
            new.extend(sealed(signers, seal, &ours.rest, &body).await?);
        }
        new.extend_from_slice(&ours.rest);
        Ok(Some(Replaced { old: self.header.len() as u64, new }))
    }
}

async fn sealed(
    signers: &Signers,
    seal: &Seal,
    header: &[u8],
    body: &Digest,
) -> Result<Vec<u8>, postroad_store::Error> {
    let Some(identity) = signers.of(&seal.domain).await? else { return Ok(Vec::new()) };
    Ok(identity.seal(header, body, &seal.results, seal.cv, signers.now()).unwrap_or_default())
}

/// What we put before a message.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ours {
    /// The domains that signed.
    signed: Vec<String>,
    sealed: Option<Seal>,
    /// The header without it.
    rest: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
struct Seal {
    domain: String,
    /// What ARC-Authentication-Results says behind its instance.
    results: String,
    cv: arc::Validation,
}

impl Ours {
    fn of(header: &[u8]) -> Ours {
        let mut ours = Ours::default();
        let (mut seal, mut results, mut end, mut above) = (None, None, 0, true);
        for field in fields(header) {
            end = field.start + field.raw.len();
            above &= !field.is("Received");
            if above && field.is("DKIM-Signature") {
                if let Some(domain) = tag(&field, "d").filter(|domain| !ours.signed.contains(domain)) {
                    ours.signed.push(domain);
                }
            } else if above && field.is("ARC-Seal") {
                seal = Some((tag(&field, "d").unwrap_or_default(), tag(&field, "cv").unwrap_or_default()));
            } else if above && field.is("ARC-Authentication-Results") {
                let text = String::from_utf8_lossy(field.value);
                results = text.split_once(';').map(|(_, results)| results.trim().to_owned());
            } else if !(above && field.is("ARC-Message-Signature")) {
                ours.rest.extend_from_slice(field.raw);
            }
        }
        ours.rest.extend_from_slice(&header[end..]);
        ours.sealed = seal.zip(results).map(|((domain, cv), results)| Seal {
            domain,
            results,
            cv: match cv.as_str() {
                "none" => arc::Validation::None,
                "pass" => arc::Validation::Pass,
                _ => arc::Validation::Fail,
            },
        });
        ours
    }
}

/// A tag of a field that we wrote.
fn tag(field: &Field<'_>, name: &str) -> Option<String> {
    let text = std::str::from_utf8(field.value).ok()?;
    let found = text.split(';').filter_map(|part| part.split_once('=')).find(|(tag, _)| tag.trim() == name)?;
    Some(found.1.chars().filter(|c| !c.is_whitespace()).collect())
}

/// Longest header that is signed anew. A longer one leaves with signatures that do not hold.
const HEADER_MAX: usize = postroad_mail::intake::MAX_HEADER_BYTES + 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_put_there_goes() {
        let header = b"Delivered-To: list@here.test\r\nDKIM-Signature: v=1; a=rsa-sha256; d=here.test;\r\n s=r1; b=x\r\n\
            DKIM-Signature: v=1; a=ed25519-sha256; d=here.test; s=e1; b=x\r\nAuthentication-Results: here.test; none\r\n\
            Received: by here.test\r\nDKIM-Signature: v=1; d=here.test; s=r1; b=forged\r\nFrom: a@here.test\r\n\r\n";
        let ours = Ours::of(header);
        assert_eq!(ours.signed, ["here.test"]);
        assert_eq!(
            String::from_utf8_lossy(&ours.rest),
            "Delivered-To: list@here.test\r\nAuthentication-Results: here.test; none\r\nReceived: by here.test\r\n\
             DKIM-Signature: v=1; d=here.test; s=r1; b=forged\r\nFrom: a@here.test\r\n\r\n"
        );
        assert!(ours.sealed.is_none());
    }

    #[test]
    fn a_seal_of_ours_is_read() {
        let header =
            b"ARC-Seal: i=2; a=rsa-sha256; cv=pass; d=here.test; s=r1; b=x\r\nARC-Message-Signature: i=2; b=x\r\n\
            ARC-Authentication-Results: i=2; here.test;\r\n spf=pass smtp.mailfrom=a.test\r\nReceived: by here.test\r\n\
            ARC-Seal: i=1; cv=none; d=other.test\r\nFrom: a@a.test\r\n\r\n";
        let ours = Ours::of(header);
        let expect = Seal {
            domain: "here.test".into(),
            results: "here.test;\r\n spf=pass smtp.mailfrom=a.test".into(),
            cv: arc::Validation::Pass,
        };
        assert_eq!(ours.sealed, Some(expect));
        assert!(ours.rest.starts_with(b"Received: by here.test\r\nARC-Seal: i=1"));
        assert!(ours.signed.is_empty());
    }

    #[test]
    fn the_header_ends_where_it_ends_however_it_comes() {
        for size in 1..12 {
            let mut anew = Anew::new();
            for piece in b"A: b\r\nC: d\r\n\r\nbody\r\n\r\n".chunks(size) {
                anew.feed(piece);
            }
            assert_eq!(anew.header, b"A: b\r\nC: d\r\n\r\n", "{size}");
            assert!(anew.hashers.is_some());
        }
    }
}
