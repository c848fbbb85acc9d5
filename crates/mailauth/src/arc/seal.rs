//! Sealing: the next set of a chain.
//!
//! Tags stand in the order of the alphabet, as the published suite has them. Standards: RFC 8617 §4.1, §5.1.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postroad_message::header::Field;

use super::sets::{Found, collect, read_seal};
use super::{INSTANCES, Validation};
use crate::body::{Canonicalization, Digest};
use crate::canonical;
use crate::dkim::{BASE64_WIDTH, Block, Folded, covered};
use crate::key::{Error, SigningKey};
use crate::sha256::Sha256;

/// What a seal of ours says.
#[derive(Debug, Clone)]
pub struct Sealing<'a> {
    /// `d=`, in A-labels.
    pub domain: &'a str,
    /// `s=`
    pub selector: &'a str,
    /// `t=`, seconds since 1970.
    pub now: i64,
    /// What our Authentication-Results says: authserv-id, `;`, results. Folded or not, without the name of the field.
    pub results: &'a str,
    /// What [`super::Check`] said about the chain as it came in.
    pub cv: Validation,
}

/// The three fields of the next instance, `ARC-Seal` first, folded, each ended by CRLF, to be put before the header. `None`: nobody
/// may seal this (RFC 8617 §5.1.2: a chain that somebody sealed as broken, or §4.2.1: one with the highest instance already).
/// `body`: relaxed, no length, of what is sent on; `header`: likewise. Errors: [`Error::Signing`].
pub fn seal(key: &SigningKey, sealing: &Sealing<'_>, header: &[u8], body: &Digest) -> Result<Option<String>, Error> {
    let sign = |digest: &digest::Digest| key.sign(digest);
    let (names, fields) = covered(header, &["DKIM-Signature"]);
    let hand = Hand { algorithm: key.algorithm().name(), sign: &sign, width: BASE64_WIDTH };
    seal_with(&hand, sealing, header, (names, fields), body)
}

/// Who signs.
pub(super) struct Hand<'s> {
    pub(super) algorithm: &'s str,
    pub(super) sign: &'s dyn Fn(&digest::Digest) -> Result<Vec<u8>, Error>,
    /// Columns of a line of base64.
    pub(super) width: usize,
}

/// The same with a choice of what is covered.
pub(super) fn seal_with(
    hand: &Hand<'_>,
    sealing: &Sealing<'_>,
    header: &[u8],
    (names, fields): (Vec<&str>, Vec<Field<'_>>),
    body: &Digest,
) -> Result<Option<String>, Error> {
    let Some(chain) = Before::of(header, sealing.cv) else {
        return Ok(None);
    };
    let instance = chain.instance.to_string();
    let results = results_field(&instance, sealing.results);

    let mut message = Folded::new("ARC-Message-Signature");
    message.tag("a", hand.algorithm);
    let at = message.signature("b");
    message.tag("bh", &STANDARD.encode(body.sha256));
    message.tag("c", "relaxed/relaxed");
    message.tag("d", sealing.domain);
    message.names("h", &names);
    message.tag("i", &instance);
    message.tag("s", sealing.selector);
    message.tag("t", &sealing.now.to_string());
    let raw = fields.iter().map(|field| field.raw);
    let digest = crate::dkim::digest_fields(raw, message.as_bytes(), Canonicalization::Relaxed);
    let message = message.finish(at, &STANDARD.encode((hand.sign)(&digest)?), hand.width);

    let mut seal = Folded::new("ARC-Seal");
    seal.tag("a", hand.algorithm);
    let at = seal.signature("b");
    seal.tag("cv", chain.cv.as_str());
    seal.tag("d", sealing.domain);
    seal.tag("i", &instance);
    seal.tag("s", sealing.selector);
    seal.tag("t", &sealing.now.to_string());
    let mut hash = chain.hash;
    let mut buffer = Vec::new();
    canonical::field(&mut buffer, results.as_bytes(), Canonicalization::Relaxed);
    canonical::field(&mut buffer, message.as_bytes(), Canonicalization::Relaxed);
    canonical::field(&mut buffer, seal.as_bytes(), Canonicalization::Relaxed);
    hash.update(&buffer[..buffer.len() - 2]);
    let seal = seal.finish(at, &STANDARD.encode((hand.sign)(&hash.digest())?), hand.width);
    Ok(Some(seal + &message + &results))
}

/// What stands before a new set.
struct Before {
    instance: u8,
    cv: Validation,
    /// The sets that the new seal covers.
    hash: Sha256,
}

impl Before {
    fn of(header: &[u8], cv: Validation) -> Option<Before> {
        let block = Block::new(header)?;
        let (highest, sets) = match collect(&block) {
            Found::Nothing => (0, Vec::new()),
            Found::Broken { why: _, highest } => (highest, Vec::new()),
            Found::Chain(sets) => (sets.len() as u8, sets),
        };
        let was_broken =
            sets.last().is_some_and(|set| read_seal(&set.seal).is_ok_and(|seal| seal.cv == Validation::Fail));
        if highest >= INSTANCES || was_broken {
            return None;
        }
        // A chain that cannot even be put together has failed, whoever says what.
        let cv = match (highest, sets.is_empty()) {
            (0, _) => Validation::None,
            (_, true) => Validation::Fail,
            (_, false) if cv == Validation::Pass => Validation::Pass,
            (_, false) => Validation::Fail,
        };
        let mut hash = Sha256::new();
        // RFC 8617 §5.1.2: the seal of a broken chain covers its own set alone.
        if cv == Validation::Pass {
            let mut buffer = Vec::new();
            for field in sets.iter().flat_map(|set| [set.results, set.message, set.seal]) {
                canonical::field(&mut buffer, field.raw, Canonicalization::Relaxed);
            }
            hash.update(&buffer);
        }
        Some(Before { instance: highest + 1, cv, hash })
    }
}

/// ARC-Authentication-Results, folded where the results are.
fn results_field(instance: &str, results: &str) -> String {
    let mut field = format!("ARC-Authentication-Results: i={instance}; ");
    // Only what follows a line end as white space is a fold: nothing that is given can begin a field of its own.
    for (number, line) in results.trim().lines().filter(|line| !line.trim().is_empty()).enumerate() {
        if number > 0 {
            field.push_str("\r\n ");
        }
        field.push_str(line.trim());
    }
    field.push_str("\r\n");
    field
}
