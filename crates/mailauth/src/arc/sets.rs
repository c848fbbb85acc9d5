//! The fields of a chain, put together by instance.
//!
//! Standards: RFC 8617 §4.1, §4.2, §5.2 step 3.

use postroad_message::header::Field;

use super::{INSTANCES, Validation};
use crate::dkim::{Block, Refusal, SIGNATURE_BYTES, algorithm, digits, required, required_name, time};
use crate::key::Algorithm;
use crate::tags::{Empty, Tags, base64};

/// The three fields of one instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawSet<'a> {
    pub(crate) results: Field<'a>,
    pub(crate) message: Field<'a>,
    /// The number of the message signature among the fields of the block.
    pub(crate) message_number: usize,
    pub(crate) seal: Field<'a>,
}

/// What there is of a chain.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Nothing,
    /// Not three fields of each instance from 1 on.
    Broken {
        why: String,
        /// The highest instance that is named.
        highest: u8,
    },
    /// From 1.
    Chain(Vec<RawSet<'a>>),
}

/// What a seal says.
#[derive(Debug)]
pub(crate) struct Seal {
    pub(crate) algorithm: Algorithm,
    pub(crate) signature: Vec<u8>,
    pub(crate) cv: Validation,
    pub(crate) domain: String,
    pub(crate) selector: String,
}

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Results,
    Message,
    Seal,
}

const PARTS: [(&str, Part); 3] =
    [("ARC-Authentication-Results", Part::Results), ("ARC-Message-Signature", Part::Message), ("ARC-Seal", Part::Seal)];

#[derive(Debug, Clone, Copy, Default)]
struct Slot<'a> {
    results: Option<Field<'a>>,
    message: Option<(usize, Field<'a>)>,
    seal: Option<Field<'a>>,
}

/// The chain in a block.
pub(crate) fn collect<'a>(block: &Block<'a>) -> Found<'a> {
    let mut slots: Vec<Slot<'a>> = Vec::new();
    let mut broken = None;
    for (number, field) in block.fields().iter().enumerate() {
        let Some((name, part)) = PARTS.iter().find(|(name, _)| field.is(name)) else {
            continue;
        };
        match place(&mut slots, number, *field, *part) {
            Ok(()) => {}
            Err(why) => broken = broken.or(Some(format!("{name}: {why}"))),
        }
    }
    let highest = slots.len() as u8;
    if let Some(why) = broken {
        return Found::Broken { why, highest };
    }
    if slots.is_empty() {
        return Found::Nothing;
    }
    let set = |slot: &Slot<'a>| {
        let (message_number, message) = slot.message?;
        Some(RawSet { results: slot.results?, message, message_number, seal: slot.seal? })
    };
    match slots.iter().position(|slot| set(slot).is_none()) {
        Some(at) => Found::Broken { why: format!("instance {} lacks one of its three fields", at + 1), highest },
        None => Found::Chain(slots.iter().filter_map(set).collect()),
    }
}

fn place<'a>(slots: &mut Vec<Slot<'a>>, number: usize, field: Field<'a>, part: Part) -> Result<(), String> {
    if field.raw.len() > SIGNATURE_BYTES {
        return Err(format!("longer than {SIGNATURE_BYTES} octets"));
    }
    let instance = match part {
        Part::Results => split_results(field.value).map(|(instance, _)| instance),
        Part::Message | Part::Seal => {
            let tags = Tags::parse(field.value, Empty::Refuse)?;
            tags.get("i").and_then(instance_of)
        }
    };
    let instance = instance.ok_or("i= is no instance")?;
    if slots.len() < usize::from(instance) {
        slots.resize_with(usize::from(instance), Slot::default);
    }
    let Some(slot) = slots.get_mut(usize::from(instance) - 1) else {
        return Ok(());
    };
    let twice = match part {
        Part::Results => slot.results.replace(field).is_some(),
        Part::Message => slot.message.replace((number, field)).is_some(),
        Part::Seal => slot.seal.replace(field).is_some(),
    };
    if twice { Err(format!("instance {instance} is there twice")) } else { Ok(()) }
}

/// RFC 8617 §4.2.1: 1 to 50.
fn instance_of(value: &[u8]) -> Option<u8> {
    let number = digits(value).filter(|&number| number >= 1)?;
    u8::try_from(number).ok().filter(|&instance| instance <= INSTANCES)
}

/// `i=N;` at the start of ARC-Authentication-Results, and what follows (RFC 8617 §4.1.1).
pub(crate) fn split_results(value: &[u8]) -> Option<(u8, &[u8])> {
    let semicolon = memchr::memchr(b';', value)?;
    let tag = value[..semicolon].trim_ascii();
    let (name, number) = tag.split_at_checked(memchr::memchr(b'=', tag)?)?;
    if name.trim_ascii() != b"i" {
        return None;
    }
    Some((instance_of(number[1..].trim_ascii())?, &value[semicolon + 1..]))
}

/// Reads a seal (RFC 8617 §4.1.3).
pub(crate) fn read_seal(field: &Field<'_>) -> Result<Seal, Refusal> {
    let tags = Tags::parse(field.value, Empty::Refuse).map_err(Refusal::permanent)?;
    // RFC 8617 §4.1.3: a seal with h= MUST fail.
    if tags.get("h").is_some() {
        return Err(Refusal::permanent("a seal has h="));
    }
    time(&tags, "t")?;
    let cv = match required(&tags, "cv")?.to_ascii_lowercase().as_slice() {
        b"none" => Validation::None,
        b"pass" => Validation::Pass,
        b"fail" => Validation::Fail,
        _ => return Err(Refusal::permanent("cv= is not known")),
    };
    Ok(Seal {
        algorithm: algorithm(required(&tags, "a")?)?,
        signature: base64(required(&tags, "b")?).ok_or_else(|| Refusal::permanent("b= is no base64"))?,
        cv,
        domain: required_name(&tags, "d")?,
        selector: required_name(&tags, "s")?,
    })
}
