//! Verifying, in the order of RFC 6376 §6.1: the signature's field, the hashes, the key, the signature.

use aws_lc_rs::digest;
use postroad_message::header::Field;

use super::block::{Block, FIELDS, without_signature};
use super::signature::{Refusal, SIGNATURE_BYTES, Signature, required, required_name, time, unquoted};
use super::{Limits, Outcome, Status};
use crate::ask::{Failure, Machine, Records, Step};
use crate::body::{Canonicalization, Digests, Hashers};
use crate::domain::is_at_or_below;
use crate::key::{Algorithm, KeyAt, Keys, PublicKey, Record};
use crate::tags::{Empty, Tags, shown, without_white_space};

/// The signatures of a message whose body streams.
#[derive(Debug)]
pub struct Verifier {
    entries: Vec<Entry>,
    keys: Keys,
    ignored: usize,
    unsigned_octets: u64,
}

#[derive(Debug)]
struct Entry {
    outcome: Outcome,
    /// What is left to do; nothing if the outcome stands.
    open: Option<Open>,
    /// What kind of text the body is, is not signed: whoever may add to it (`l=`) may also make all of it read as something else.
    kind_is_open: bool,
}

/// A signature whose hash of the header is known.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) key: KeyAt,
    pub(crate) algorithm: Algorithm,
    pub(crate) digest: digest::Digest,
    pub(crate) signature: Vec<u8>,
    pub(crate) body_hash: Vec<u8>,
    pub(crate) body: Canonicalization,
    pub(crate) length: Option<u64>,
}

impl Open {
    /// Hashes what a signature covers, asks for the hash of the body and for the key. `own` is the field of this number
    /// without the signature's value, `name` where the key stands.
    pub(crate) fn hash(
        block: &mut Block<'_>,
        number: usize,
        own: &[u8],
        signature: Signature<'_>,
        name: String,
        keys: &mut Keys,
        body: &mut Hashers,
    ) -> Result<Open, Refusal> {
        let selected = block.select(signature.names(), Some(number));
        let digest = block
            .digest(&selected, own, signature.header)
            .ok_or_else(|| Refusal::new(Status::Policy, "the signatures cover more header than is looked at"))?;
        if !body.want(signature.body, signature.length) {
            return Err(Refusal::new(Status::Policy, "the signatures ask for too many hashes of the body"));
        }
        Ok(Open {
            key: keys.need(name),
            algorithm: signature.algorithm,
            digest,
            signature: signature.signature,
            body_hash: signature.body_hash,
            body: signature.body,
            length: signature.length,
        })
    }
}

/// Seconds that a signature may come from the future.
const CLOCK_SKEW: i64 = 86_400;

/// Fields that a message has once (RFC 5322 §3.6, RFC 2045 §5 and §6) and whose second one deceives who reads it: clients take
/// the first, a signature covers the last. With another Content-Type the same body reads as something else. A second MIME-Version
/// deceives nobody, and lists add one.
const ONCE: [&str; 7] = ["From", "To", "Cc", "Subject", "Date", "Content-Type", "Content-Transfer-Encoding"];

impl Verifier {
    /// Looks at the header block (with or without its blank line) and asks `body` for the hashes that the signatures need. `now` in
    /// seconds since 1970.
    pub fn new(header: &[u8], now: i64, limits: &Limits, body: &mut Hashers) -> Verifier {
        let mut verifier = Verifier {
            entries: Vec::new(),
            keys: Keys::new(limits.rsa_bits),
            ignored: 0,
            unsigned_octets: limits.unsigned_octets,
        };
        let Some(mut block) = Block::new(header) else {
            let why = format!("the header has more than {FIELDS} fields: no signature was looked at");
            let outcome = Outcome { status: Status::Policy, why, ..nothing_known() };
            verifier.entries.push(Entry { outcome, open: None, kind_is_open: false });
            return verifier;
        };
        let own: Vec<(usize, Field<'_>)> =
            block.fields().iter().copied().enumerate().filter(|(_, field)| field.is("DKIM-Signature")).collect();
        verifier.ignored = own.len().saturating_sub(limits.signatures);
        for (number, field) in own.into_iter().take(limits.signatures) {
            let mut outcome = nothing_known();
            let mut kind_is_open = false;
            let open = match open(&mut block, number, &field, now, &mut verifier.keys, body, &mut outcome) {
                Ok((open, kind)) => {
                    kind_is_open = kind;
                    Some(open)
                }
                Err(refusal) => {
                    outcome.status = refusal.status;
                    outcome.why = refusal.why;
                    None
                }
            };
            verifier.entries.push(Entry { outcome, open, kind_is_open });
        }
        verifier
    }

    /// Signatures beyond [`Limits::signatures`], which nobody looked at.
    pub fn ignored(&self) -> usize {
        self.ignored
    }

    /// The body has ended.
    pub fn finish(mut self, body: &Digests) -> Check {
        for entry in &mut self.entries {
            let Some(open) = &entry.open else {
                continue;
            };
            let unsigned_octets = if entry.kind_is_open { 0 } else { self.unsigned_octets };
            entry.outcome.tail_is_blank = body.get(open.body, open.length).is_none_or(|digest| digest.tail_is_blank);
            match compare_body(open, body, unsigned_octets) {
                Ok(unsigned) => entry.outcome.unsigned_octets = unsigned,
                Err((refusal, unsigned)) => {
                    entry.outcome.unsigned_octets = unsigned;
                    entry.outcome.status = refusal.status;
                    entry.outcome.why = refusal.why;
                    entry.open = None;
                }
            }
        }
        Check { entries: self.entries, keys: self.keys }
    }
}

fn nothing_known() -> Outcome {
    Outcome {
        status: Status::Neutral,
        domain: String::new(),
        selector: String::new(),
        identity: String::new(),
        algorithm: String::new(),
        key_bits: None,
        b: String::new(),
        testing: false,
        unsigned_octets: 0,
        tail_is_blank: true,
        signed_at: None,
        expires_at: None,
        why: String::new(),
    }
}

/// Reads one field and hashes what it covers; beside it whether there is a Content-Type that it does not cover. What is known goes
/// into the outcome also when the signature is refused.
fn open(
    block: &mut Block<'_>,
    number: usize,
    field: &Field<'_>,
    now: i64,
    keys: &mut Keys,
    body: &mut Hashers,
    outcome: &mut Outcome,
) -> Result<(Open, bool), Refusal> {
    if field.raw.len() > SIGNATURE_BYTES {
        return Err(Refusal::new(Status::Policy, format!("the signature is longer than {SIGNATURE_BYTES} octets")));
    }
    let tags = Tags::parse(field.value, Empty::Refuse).map_err(Refusal::permanent)?;
    facts(&tags, outcome);
    if required(&tags, "v")? != b"1" {
        return Err(Refusal::new(Status::Neutral, "a version of signatures that is not known"));
    }
    outcome.domain = required_name(&tags, "d")?;
    outcome.selector = required_name(&tags, "s")?;
    if outcome.identity.is_empty() {
        outcome.identity = format!("@{}", outcome.domain);
    }
    let signature = Signature::read(&tags, Canonicalization::Simple)?;
    check_identity(&outcome.identity, &outcome.domain)?;
    check_query(&tags)?;
    check_times(&tags, now, outcome)?;
    check_covered(block, &signature)?;
    let name =
        Record::name(&outcome.selector, &outcome.domain).ok_or_else(|| Refusal::permanent("s= and d= make no name"))?;
    let own = without_signature(field, tags.range("b").unwrap_or_default());
    let kind_is_open = signature.signs("Content-Type") < block.count(b"Content-Type");
    Ok((Open::hash(block, number, &own, signature, name, keys, body)?, kind_is_open))
}

/// What is told of a signature whatever becomes of it.
fn facts(tags: &Tags<'_>, outcome: &mut Outcome) {
    /// RFC 6008 §2: at least eight characters.
    const B: usize = 8;
    let text = |tag| tags.get(tag).map(shown).unwrap_or_default();
    outcome.algorithm = text("a").to_ascii_lowercase();
    outcome.domain = text("d").to_ascii_lowercase();
    outcome.selector = text("s").to_ascii_lowercase();
    outcome.identity = tags
        .get("i")
        .map(|i| String::from_utf8_lossy(&unquoted(i)).chars().filter(|c| !c.is_control()).collect())
        .unwrap_or_default();
    outcome.b =
        tags.get("b").map(without_white_space).unwrap_or_default().iter().take(B).map(|&b| char::from(b)).collect();
}

/// RFC 6376 §3.5, `i=`: the domain is that of `d=` or below it.
fn check_identity(identity: &str, domain: &str) -> Result<(), Refusal> {
    if identity_domain(identity).is_some_and(|own| is_at_or_below(&own, domain)) {
        Ok(())
    } else {
        Err(Refusal::permanent("i= is not of the domain in d="))
    }
}

fn identity_domain(identity: &str) -> Option<String> {
    crate::tags::name(identity.rsplit_once('@')?.1.as_bytes())
}

/// RFC 6376 §3.5, `q=`: one of the ways must be the DNS.
fn check_query(tags: &Tags<'_>) -> Result<(), Refusal> {
    let Some(ways) = tags.get("q") else {
        return Ok(());
    };
    let is_dns = |way: &[u8]| without_white_space(way).eq_ignore_ascii_case(b"dns/txt");
    if ways.split(|&b| b == b':').any(is_dns) {
        Ok(())
    } else {
        Err(Refusal::new(Status::Neutral, "the key is to be asked for in a way that is not known"))
    }
}

fn check_times(tags: &Tags<'_>, now: i64, outcome: &mut Outcome) -> Result<(), Refusal> {
    outcome.signed_at = time(tags, "t")?;
    outcome.expires_at = time(tags, "x")?;
    if let (Some(signed), Some(expires)) = (outcome.signed_at, outcome.expires_at)
        && expires <= signed
    {
        return Err(Refusal::permanent("it expires before it was made"));
    }
    if outcome.expires_at.is_some_and(|expires| expires < now) {
        return Err(Refusal::new(Status::Fail, "the signature has expired"));
    }
    if outcome.signed_at.is_some_and(|signed| signed > now.saturating_add(CLOCK_SKEW)) {
        return Err(Refusal::new(Status::Policy, "the signature is from the future"));
    }
    Ok(())
}

/// RFC 6376 §3.5, `h=`: From is signed. §8.15: and no other From, or another field of which there is one, stands beside what is signed.
fn check_covered(block: &Block<'_>, signature: &Signature<'_>) -> Result<(), Refusal> {
    if signature.signs("From") == 0 {
        return Err(Refusal::permanent("From is not signed"));
    }
    check_once(block, signature)
}

/// No second one stands beside a field of which there is one, where that is signed.
pub(crate) fn check_once(block: &Block<'_>, signature: &Signature<'_>) -> Result<(), Refusal> {
    for name in ONCE {
        let (signed, present) = (signature.signs(name), block.count(name.as_bytes()));
        if signed > 0 && present > signed {
            let why = format!("{name} is there {present} times and signed {signed} times");
            return Err(Refusal::new(Status::Policy, why));
        }
    }
    Ok(())
}

/// Octets after the signed part of the body, if its hash is right.
pub(crate) fn compare_body(open: &Open, body: &Digests, unsigned_limit: u64) -> Result<u64, (Refusal, u64)> {
    let Some(digest) = body.get(open.body, open.length) else {
        return Err((Refusal::new(Status::Neutral, "the body was not hashed"), 0));
    };
    let unsigned = digest.total - digest.hashed;
    // RFC 6376 §3.5, `l=`: MUST NOT be larger than the body.
    if open.length.is_some_and(|length| length > digest.hashed) {
        return Err((Refusal::new(Status::Fail, "l= is more than the body has"), 0));
    }
    if open.body_hash != digest.sha256 {
        return Err((Refusal::new(Status::Fail, "the body was changed (bh= does not match)"), unsigned));
    }
    // RFC 6376 §8.2: what follows may be anybody's. A signature of none of the body, or with a long tail, says nothing about what is read.
    if unsigned > unsigned_limit || (digest.hashed == 0 && unsigned > 0) {
        let why = format!("{unsigned} octets follow the part of the body that is signed (l=)");
        return Err((Refusal::new(Status::Policy, why), unsigned));
    }
    Ok(unsigned)
}

/// Asks for the keys, each once, all in one step.
#[derive(Debug)]
pub struct Check {
    entries: Vec<Entry>,
    keys: Keys,
}

impl Machine for Check {
    /// In the order of the message; empty: not signed.
    type Verdict = Vec<Outcome>;

    fn step(&mut self) -> Step<Vec<Outcome>> {
        let needed = self.entries.iter().filter_map(|entry| entry.open.as_ref().map(|open| open.key));
        let questions = self.keys.ask(needed);
        if !questions.is_empty() {
            return Step::Ask(questions);
        }
        let entries = std::mem::take(&mut self.entries);
        Step::Done(entries.into_iter().map(|entry| concluded(entry, &self.keys)).collect())
    }

    fn answer(&mut self, answer: Result<Records, Failure>) {
        self.keys.answer(answer);
    }
}

fn concluded(entry: Entry, keys: &Keys) -> Outcome {
    let mut outcome = entry.outcome;
    let Some(open) = entry.open else {
        return outcome;
    };
    let result = keys.get(open.key, open.algorithm);
    let (status, why) = match result {
        Err(unusable) => {
            outcome.key_bits = unusable.bits;
            (unusable.status, unusable.why)
        }
        Ok(candidates) => with_keys(&open, &candidates, &mut outcome),
    };
    outcome.status = status;
    outcome.why = why;
    outcome
}

fn with_keys(open: &Open, candidates: &[&PublicKey], outcome: &mut Outcome) -> (Status, String) {
    let right = candidates.iter().copied().find(|key| key.verifies(&open.digest, &open.signature));
    if let Some(key) = right.or(candidates.first().copied()) {
        outcome.key_bits = Some(key.bits);
        outcome.testing = key.testing;
    }
    match right {
        None => {
            (Status::Fail, "the signature does not match: the header was changed, or another key signed".to_owned())
        }
        // RFC 6376 §3.6.1, `t=s`: i= must be of the very domain.
        Some(key) if key.strict && identity_domain(&outcome.identity).as_deref() != Some(&*outcome.domain) => {
            (Status::PermError, "i= is of a subdomain, which the key does not allow (t=s)".to_owned())
        }
        Some(_) if outcome.unsigned_octets > 0 && outcome.tail_is_blank => {
            let why =
                format!("{} octets of white space at the end of the body are not signed (l=)", outcome.unsigned_octets);
            (Status::Pass, why)
        }
        Some(_) if outcome.unsigned_octets > 0 => {
            let unsigned = outcome.unsigned_octets;
            let why =
                format!("{unsigned} octets at the end of the body are not signed (l=): it does not count for DMARC");
            (Status::Pass, why)
        }
        Some(_) => (Status::Pass, String::new()),
    }
}
