//! Body hashes of one message, computed while it streams: each way of hashing once, however many signatures ask for it.
//!
//! Never keeps the body. Standards: RFC 6376 §3.4.3, §3.4.4, §3.4.5, §3.7; RFC 8301 (SHA-256 alone).

use crate::canonical::{Body, Sink};
use crate::sha256::Sha256;

/// How a header field or a body is brought into one form before it is hashed (RFC 6376 §3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Canonicalization {
    /// As it is.
    Simple,
    /// White space does not count.
    Relaxed,
}

/// The SHA-256 of a body in one canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// The hash.
    pub sha256: [u8; 32],
    /// Octets that went into the hash.
    pub hashed: u64,
    /// Octets of the whole body in this form, those after a length limit included.
    pub total: u64,
    /// What stands after a length limit is white space alone, or nothing.
    pub tail_is_blank: bool,
}

/// All the ways in which the body of one message is to be hashed. Ask with [`Hashers::want`], feed, then [`Hashers::finish`].
#[derive(Debug, Default)]
pub struct Hashers {
    simple: Option<Body<Hashes>>,
    relaxed: Option<Body<Hashes>>,
    ways: usize,
}

/// What [`Hashers::finish`] gives.
#[derive(Debug, Clone, Default)]
pub struct Digests {
    all: Vec<(Canonicalization, Option<u64>, Digest)>,
}

/// Ways to hash one body. Two canonical forms are usual; a signature with `l=` asks for one more.
pub const HASHERS: usize = 8;

impl Hashers {
    /// Nothing is asked for yet; hashing nothing costs nothing.
    pub fn new() -> Hashers {
        Hashers::default()
    }

    /// Asks for one more way, before the first [`Hashers::update`]: `length` is the `l=` of a signature, in octets of the canonical
    /// body. `false` if there are too many ways ([`HASHERS`]).
    pub fn want(&mut self, canonicalization: Canonicalization, length: Option<u64>) -> bool {
        let form = match canonicalization {
            Canonicalization::Simple => &mut self.simple,
            Canonicalization::Relaxed => &mut self.relaxed,
        };
        if form.as_mut().is_some_and(|form| form.sink_mut().has(length)) {
            return true;
        }
        if self.ways >= HASHERS {
            return false;
        }
        self.ways += 1;
        form.get_or_insert_with(|| Body::new(canonicalization, Hashes::default())).sink_mut().add(length);
        true
    }

    /// The next octets of the body as it is on the wire (dot-unstuffed), in pieces of any size.
    pub fn update(&mut self, bytes: &[u8]) {
        for form in [&mut self.simple, &mut self.relaxed].into_iter().flatten() {
            form.feed(bytes);
        }
    }

    /// The end of the message.
    pub fn finish(self) -> Digests {
        let mut all = Vec::with_capacity(self.ways);
        let forms = [(Canonicalization::Simple, self.simple), (Canonicalization::Relaxed, self.relaxed)];
        for (canonicalization, form) in forms {
            for (length, digest) in form.map(|form| form.finish().finish()).unwrap_or_default() {
                all.push((canonicalization, length, digest));
            }
        }
        Digests { all }
    }
}

impl Digests {
    /// The hash that was asked for in this way; `None` if nobody did.
    pub fn get(&self, canonicalization: Canonicalization, length: Option<u64>) -> Option<Digest> {
        self.all
            .iter()
            .find(|(form, limit, _)| (*form, *limit) == (canonicalization, length))
            .map(|(_, _, digest)| *digest)
    }
}

/// The hashes of one canonical form: the whole, and beginnings of it.
#[derive(Debug, Default)]
struct Hashes {
    total: u64,
    all: Vec<Hash>,
}

#[derive(Debug)]
struct Hash {
    length: Option<u64>,
    context: Sha256,
    hashed: u64,
    tail_is_blank: bool,
}

impl Hashes {
    fn has(&self, length: Option<u64>) -> bool {
        self.all.iter().any(|hash| hash.length == length)
    }

    fn add(&mut self, length: Option<u64>) {
        self.all.push(Hash { length, context: Sha256::new(), hashed: 0, tail_is_blank: true });
    }

    fn finish(self) -> Vec<(Option<u64>, Digest)> {
        let total = self.total;
        let digest = |hash: Hash| Digest {
            sha256: hash.context.finish(),
            hashed: hash.hashed,
            total,
            tail_is_blank: hash.tail_is_blank,
        };
        self.all.into_iter().map(|hash| (hash.length, digest(hash))).collect()
    }
}

impl Sink for Hashes {
    fn take(&mut self, canonical: &[u8]) {
        self.total += canonical.len() as u64;
        for hash in &mut self.all {
            let room = hash.length.map_or(u64::MAX, |length| length - hash.hashed);
            let take = usize::try_from(room).map_or(canonical.len(), |room| room.min(canonical.len()));
            hash.context.update(&canonical[..take]);
            hash.hashed += take as u64;
            hash.tail_is_blank = hash.tail_is_blank && canonical[take..].iter().all(u8::is_ascii_whitespace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;

    #[test]
    fn hashes_of_nothing_are_those_of_the_standard() {
        let mut hashers = Hashers::new();
        assert!(hashers.want(Canonicalization::Simple, None));
        assert!(hashers.want(Canonicalization::Relaxed, None));
        let digests = hashers.finish();
        let encoded = |canonicalization| {
            let digest = digests.get(canonicalization, None).expect("wanted");
            base64::engine::general_purpose::STANDARD.encode(digest.sha256)
        };
        // RFC 6376 §3.4.3, §3.4.4.
        assert_eq!(encoded(Canonicalization::Simple), "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=");
        assert_eq!(encoded(Canonicalization::Relaxed), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(digests.get(Canonicalization::Relaxed, Some(0)), None);
    }

    #[test]
    fn a_length_hashes_a_beginning() {
        let mut hashers = Hashers::new();
        for length in [None, Some(3), Some(0), Some(1_000)] {
            assert!(hashers.want(Canonicalization::Relaxed, length));
        }
        hashers.update(b"abc");
        hashers.update(b"def\r\n");
        let digests = hashers.finish();
        let get = |length| digests.get(Canonicalization::Relaxed, length).expect("wanted");
        assert_eq!(get(Some(3)).sha256, crate::sha256::of(b"abc"));
        assert_eq!(get(None).sha256, crate::sha256::of(b"abcdef\r\n"));
        assert_eq!((get(Some(0)).hashed, get(Some(0)).total), (0, 8));
        assert_eq!((get(Some(1_000)).hashed, get(None).hashed), (8, 8));
        assert!(!get(Some(3)).tail_is_blank && get(None).tail_is_blank);
    }

    #[test]
    fn a_tail_of_white_space_is_told_from_words() {
        for (body, blank) in [
            (&["abc\r\n"][..], true),
            (&["abc", " \t\r\n", "\r\n \r\n."], false),
            (&["abc", " \t\r\n", "\r\n \t\r\n"], true),
            (&["abcd\r\n"], false),
        ] {
            let mut hashers = Hashers::new();
            assert!(hashers.want(Canonicalization::Simple, Some(3)));
            body.iter().for_each(|piece| hashers.update(piece.as_bytes()));
            let digest = hashers.finish().get(Canonicalization::Simple, Some(3)).expect("wanted");
            assert_eq!(digest.tail_is_blank, blank, "{body:?}");
        }
    }

    #[test]
    fn the_ways_to_hash_are_shared_and_limited() {
        let mut hashers = Hashers::new();
        for length in 0..HASHERS as u64 {
            assert!(hashers.want(Canonicalization::Simple, Some(length)));
            assert!(hashers.want(Canonicalization::Simple, Some(length)));
        }
        assert!(!hashers.want(Canonicalization::Relaxed, None));
        assert!(hashers.want(Canonicalization::Simple, Some(0)));
    }
}
