//! Verifying a chain, in the order of RFC 8617 §5.2: the structure, what the seals say of each other, the newest message signature,
//! the seals.
//!
//! The newest set is asked for first: the keys of a chain that is broken there are not.

use aws_lc_rs::digest;

use super::sets::{Found, RawSet, Seal, collect, read_seal, split_results};
use super::{Set, Validation, Verdict};
use crate::ask::{Failure, Machine, Records, Step};
use crate::body::{Canonicalization, Digests, Hashers};
use crate::canonical;
use crate::dkim::{
    self, Block, FIELDS, Open, Refusal, Signature, Status, check_once, compare_body, required_name, time,
    without_signature,
};
use crate::key::{Algorithm, KeyAt, Keys, Record};
use crate::sha256::Sha256;
use crate::tags::{Empty, Tags};

/// The chain of a message whose body streams.
#[derive(Debug)]
pub struct Verifier {
    chain: Result<Chain, Verdict>,
    unsigned_octets: u64,
}

#[derive(Debug)]
struct Chain {
    /// From the first.
    links: Vec<Link>,
    keys: Keys,
}

#[derive(Debug)]
struct Link {
    set: Set,
    message: Result<Open, Refusal>,
    seal: Sealed,
}

/// A seal whose hash is known.
#[derive(Debug)]
struct Sealed {
    key: KeyAt,
    algorithm: Algorithm,
    digest: digest::Digest,
    signature: Vec<u8>,
}

impl Verifier {
    /// Looks at the header block and asks `body` for the hashes that the chain needs.
    pub fn new(header: &[u8], now: i64, limits: &dkim::Limits, body: &mut Hashers) -> Verifier {
        let chain = match Block::new(header) {
            Some(mut block) => read(&mut block, now, limits, body),
            None => Err(failed(format!("the header has more than {FIELDS} fields"))),
        };
        Verifier { chain, unsigned_octets: limits.unsigned_octets }
    }

    /// The body has ended.
    pub fn finish(self, body: &Digests) -> Check {
        let mut chain = match self.chain {
            Ok(chain) => chain,
            Err(verdict) => return Check { state: State::Known(verdict) },
        };
        for link in &mut chain.links {
            let changed = link.message.as_ref().ok().and_then(|open| {
                // A chain is believed instead of the author: nobody may have put words behind what its sealer saw.
                let is_blank = body.get(open.body, open.length).is_none_or(|digest| digest.tail_is_blank);
                compare_body(open, body, if is_blank { self.unsigned_octets } else { 0 }).err()
            });
            if let Some((refusal, _)) = changed {
                link.message = Err(refusal);
            }
        }
        Check { state: State::Newest(chain) }
    }
}

fn failed(why: String) -> Verdict {
    Verdict { cv: Validation::Fail, temporary: false, sets: Vec::new(), oldest_pass: None, why }
}

fn read(block: &mut Block<'_>, now: i64, limits: &dkim::Limits, body: &mut Hashers) -> Result<Chain, Verdict> {
    let sets = match collect(block) {
        Found::Nothing => return Err(Verdict { cv: Validation::None, why: String::new(), ..failed(String::new()) }),
        Found::Broken { why, highest: _ } => return Err(failed(why)),
        Found::Chain(sets) => sets,
    };
    let mut seals = Vec::with_capacity(sets.len());
    for (index, set) in sets.iter().enumerate() {
        let seal = read_seal(&set.seal).map_err(|refusal| failed(format!("seal {}: {}", index + 1, refusal.why)))?;
        seals.push(seal);
    }
    let plain: Vec<Set> = sets.iter().zip(&seals).enumerate().map(|(at, (raw, seal))| plain(at, raw, seal)).collect();
    check_order(&seals).map_err(|why| Verdict { sets: plain.clone(), ..failed(why) })?;
    let mut keys = Keys::new(limits.rsa_bits);
    let digests = seal_digests(&sets);
    // The newest first: it gets its share of what may be hashed.
    let mut messages: Vec<Result<Open, Refusal>> =
        sets.iter().rev().map(|set| open(block, set, now, &mut keys, body)).collect();
    messages.reverse();
    let mut links = Vec::with_capacity(sets.len());
    for (((set, seal), digest), message) in plain.into_iter().zip(seals).zip(digests).zip(messages) {
        let Some(name) = Record::name(&seal.selector, &seal.domain) else {
            return Err(failed(format!("seal {}: s= and d= make no name", set.instance)));
        };
        let sealed = Sealed { key: keys.need(name), algorithm: seal.algorithm, digest, signature: seal.signature };
        links.push(Link { set, message, seal: sealed });
    }
    Ok(Chain { links, keys })
}

fn plain(index: usize, raw: &RawSet<'_>, seal: &Seal) -> Set {
    let signer = Tags::parse(raw.message.value, Empty::Refuse).ok().and_then(|tags| required_name(&tags, "d").ok());
    Set {
        instance: index as u8 + 1,
        domain: seal.domain.clone(),
        selector: seal.selector.clone(),
        signer: signer.unwrap_or_default(),
        results: split_results(raw.results.value).map(|(_, rest)| rest.trim_ascii().to_vec()).unwrap_or_default(),
        cv: seal.cv,
        signature: None,
    }
}

/// RFC 8617 §5.2 steps 2 and 3: the newest seal does not say "fail", the first says "none", all others "pass".
fn check_order(seals: &[Seal]) -> Result<(), String> {
    if seals.last().is_some_and(|seal| seal.cv == Validation::Fail) {
        return Err("the last hop found the chain broken".to_owned());
    }
    for (index, seal) in seals.iter().enumerate() {
        let expected = if index == 0 { Validation::None } else { Validation::Pass };
        if seal.cv != expected {
            return Err(format!("seal {} says cv={}", index + 1, seal.cv.as_str()));
        }
    }
    Ok(())
}

/// RFC 8617 §5.1.1: each seal is over all sets up to its own, relaxed; its own without the signature and the last line end. What is
/// before a seal is hashed once for all.
fn seal_digests(sets: &[RawSet<'_>]) -> Vec<digest::Digest> {
    let mut before = Sha256::new();
    let mut digests = Vec::with_capacity(sets.len());
    let mut buffer = Vec::new();
    for set in sets {
        buffer.clear();
        canonical::field(&mut buffer, set.results.raw, Canonicalization::Relaxed);
        canonical::field(&mut buffer, set.message.raw, Canonicalization::Relaxed);
        before.update(&buffer);
        let range = Tags::parse(set.seal.value, Empty::Refuse).ok().and_then(|tags| tags.range("b"));
        let own = without_signature(&set.seal, range.unwrap_or_default());
        buffer.clear();
        canonical::field(&mut buffer, &own, Canonicalization::Relaxed);
        let mut this = before.clone();
        this.update(&buffer[..buffer.len() - 2]);
        digests.push(this.digest());
        buffer.clear();
        canonical::field(&mut buffer, set.seal.raw, Canonicalization::Relaxed);
        before.update(&buffer);
    }
    digests
}

/// Reads a message signature and hashes what it covers.
fn open(
    block: &mut Block<'_>,
    set: &RawSet<'_>,
    now: i64,
    keys: &mut Keys,
    body: &mut Hashers,
) -> Result<Open, Refusal> {
    let tags = Tags::parse(set.message.value, Empty::Refuse).map_err(Refusal::permanent)?;
    let (domain, selector) = (required_name(&tags, "d")?, required_name(&tags, "s")?);
    let signature = Signature::read(&tags, Canonicalization::Relaxed)?;
    time(&tags, "t")?;
    if time(&tags, "x")?.is_some_and(|expires| expires < now) {
        return Err(Refusal::new(Status::Fail, "the signature has expired"));
    }
    // RFC 8617 §4.1.2: MUST NOT cover seals.
    if signature.signs("ARC-Seal") > 0 {
        return Err(Refusal::permanent("h= has ARC-Seal"));
    }
    check_once(block, &signature)?;
    let name = Record::name(&selector, &domain).ok_or_else(|| Refusal::permanent("s= and d= make no name"))?;
    let own = without_signature(&set.message, tags.range("b").unwrap_or_default());
    Open::hash(block, set.message_number, &own, signature, name, keys, body)
}

/// Asks for the keys, each once, in two steps: those of the newest set, then those of the other seals.
#[derive(Debug)]
pub struct Check {
    state: State,
}

#[derive(Debug)]
enum State {
    Newest(Chain),
    Rest(Chain),
    Known(Verdict),
}

impl Machine for Check {
    type Verdict = Verdict;

    fn step(&mut self) -> Step<Verdict> {
        loop {
            let state = std::mem::replace(&mut self.state, State::Known(failed("it was asked for twice".to_owned())));
            let (mut chain, is_newest) = match state {
                State::Known(verdict) => return Step::Done(verdict),
                State::Newest(chain) => (chain, true),
                State::Rest(chain) => (chain, false),
            };
            let questions = if is_newest { chain.ask_newest() } else { chain.ask_rest() };
            if !questions.is_empty() {
                self.state = if is_newest { State::Newest(chain) } else { State::Rest(chain) };
                return Step::Ask(questions);
            }
            self.state = match is_newest {
                true => match chain.check_newest() {
                    Ok(()) => State::Rest(chain),
                    Err(refusal) => State::Known(chain.refused(refusal)),
                },
                false => State::Known(chain.conclude()),
            };
        }
    }

    fn answer(&mut self, answer: Result<Records, Failure>) {
        match &mut self.state {
            State::Newest(chain) | State::Rest(chain) => chain.keys.answer(answer),
            State::Known(_) => {}
        }
    }
}

impl Chain {
    fn ask_newest(&mut self) -> Vec<crate::Question> {
        let newest = self.links.last();
        // A message signature that is broken already needs no key, and then the chain does not either.
        let open = newest.and_then(|link| link.message.as_ref().ok().map(|open| [open.key, link.seal.key]));
        self.keys.ask(open.into_iter().flatten())
    }

    fn ask_rest(&mut self) -> Vec<crate::Question> {
        self.keys.ask(self.links.iter().map(|link| link.seal.key))
    }

    fn check_newest(&mut self) -> Result<(), Refusal> {
        let Some(link) = self.links.last_mut() else {
            return Ok(());
        };
        let result = check_message(&self.keys, link);
        link.set.signature = Some(result.as_ref().map_or_else(|refusal| refusal.status, |()| Status::Pass));
        let instance = link.set.instance;
        result
            .map_err(|refusal| Refusal { why: format!("message signature {instance}: {}", refusal.why), ..refusal })?;
        check_seal(&self.keys, link)
    }

    /// The seals from the newest to the first, and what older message signatures say.
    fn conclude(mut self) -> Verdict {
        let older = self.links.len().saturating_sub(1);
        let broken = self.links[..older].iter().rev().find_map(|link| check_seal(&self.keys, link).err());
        if let Some(refusal) = broken {
            return self.refused(refusal);
        }
        let mut oldest_pass = 0;
        for link in self.links[..older].iter_mut().rev() {
            let asked = link.message.as_ref().map_or(true, |open| self.keys.was_asked(open.key));
            link.set.signature =
                asked.then(|| check_message(&self.keys, link).map_or_else(|refusal| refusal.status, |()| Status::Pass));
            if link.set.signature != Some(Status::Pass) && oldest_pass == 0 {
                oldest_pass = link.set.instance + 1;
            }
        }
        let sets: Vec<Set> = self.links.into_iter().map(|link| link.set).collect();
        let hops = sets.len();
        let why = format!("{hops} {}", if hops == 1 { "hop" } else { "hops" });
        Verdict { cv: Validation::Pass, temporary: false, sets, oldest_pass: Some(oldest_pass), why }
    }

    fn refused(self, refusal: Refusal) -> Verdict {
        let sets = self.links.into_iter().map(|link| link.set).collect();
        Verdict { temporary: refusal.status == Status::TempError, sets, ..failed(refusal.why) }
    }
}

fn check_message(keys: &Keys, link: &Link) -> Result<(), Refusal> {
    let open = link.message.as_ref().map_err(Refusal::clone)?;
    check(keys, open.key, open.algorithm, &open.digest, &open.signature)
}

fn check_seal(keys: &Keys, link: &Link) -> Result<(), Refusal> {
    let seal = &link.seal;
    check(keys, seal.key, seal.algorithm, &seal.digest, &seal.signature)
        .map_err(|refusal| Refusal { why: format!("seal {}: {}", link.set.instance, refusal.why), ..refusal })
}

fn check(
    keys: &Keys,
    key: KeyAt,
    algorithm: Algorithm,
    digest: &digest::Digest,
    signature: &[u8],
) -> Result<(), Refusal> {
    let candidates = keys.get(key, algorithm).map_err(|unusable| Refusal::new(unusable.status, unusable.why))?;
    if candidates.iter().any(|key| key.verifies(digest, signature)) {
        Ok(())
    } else {
        Err(Refusal::new(Status::Fail, "the signature does not match"))
    }
}
