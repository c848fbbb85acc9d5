//! Letter groups: what is kept of a text, and what a text to look for must have of it.
//!
//! Of the skeleton of a text (`fold::skeleton`) each three letters or digits in a row are a group; of scripts without
//! spaces between words (Han, kana, and Hangul taken apart) each character and each two; of other characters beyond ASCII,
//! each. A group is a bit among [`BUCKETS`]. Groups never reach across spaces and punctuation.
//!
//! Texts of the fields that people search by ([`Field`]) have groups of their own besides.
//!
//! Invariant: if one text is a part of another, in any of the ways of comparing that share the skeleton, its groups are
//! among the other's.

use crate::fold::skeleton_of;

/// Bits of a signature.
pub const BUCKETS: usize = 1 << BITS;

const BITS: u32 = 14;
const WORDS: usize = BUCKETS / 64;

/// A field whose text can be asked for by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Subject.
    Subject,
    /// From.
    From,
    /// To.
    To,
    /// Cc.
    Cc,
    /// Bcc.
    Bcc,
}

impl Field {
    /// On-disk format: what tells groups of a field from those of all texts.
    fn salt(self) -> u64 {
        match self {
            Field::Subject => 0x8F1B_BCDC_BFA5_3E0B,
            Field::From => 0xC5A4_31D7_9E22_0B6D,
            Field::To => 0xA3F0_94B2_6C51_7E87,
            Field::Cc => 0xE7D9_1A48_35B6_C2F1,
            Field::Bcc => 0x9B60_5EF3_D814_7A29,
        }
    }
}

/// Which letter groups are in a text.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature(Box<[u64; WORDS]>);

/// The groups that a text to look for consists of; at most [`Grams::MAX`] of them, which is enough to tell texts apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grams(Vec<u16>);

impl Signature {
    /// Octets of all bits.
    const LENGTH: usize = BUCKETS / 8;

    /// Of an empty text.
    pub fn new() -> Signature {
        Signature(Box::new([0; WORDS]))
    }

    /// Of a text that nobody knows: it may have everything.
    pub fn full() -> Signature {
        Signature(Box::new([u64::MAX; WORDS]))
    }

    /// Of a text.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Signature {
        let mut signature = Signature::new();
        signature.add(text);
        signature
    }

    /// Adds a text. Groups do not reach from one call to the next: give what overlaps.
    pub fn add(&mut self, text: &str) {
        self.add_salted(text, 0);
    }

    /// Adds the text of a field: as such and as text.
    pub fn add_field(&mut self, field: Field, text: &str) {
        self.add(text);
        self.add_salted(text, field.salt());
    }

    fn add_salted(&mut self, text: &str, salt: u64) {
        if text.is_ascii() {
            return self.add_ascii(text.as_bytes(), salt);
        }
        let mut reader = Reader { salt, ..Reader::default() };
        let bits = &mut self.0;
        let mut set = |bucket: u16| bits[usize::from(bucket >> 6)] |= 1 << (bucket & 63);
        for c in text.chars() {
            match u8::try_from(c) {
                Ok(byte) if byte < 128 => reader.ascii(byte, &mut set),
                Ok(_) | Err(_) => skeleton_of(c, &mut |c| reader.character(c, &mut set)),
            }
        }
    }

    /// What [`Reader`] makes of ASCII, without a branch for each end of a word.
    fn add_ascii(&mut self, text: &[u8], salt: u64) {
        // The last three characters, and a bit for each that is a letter.
        let (mut group, mut letters) = (0u64, 0u8);
        for byte in text {
            let letter = LETTERS[usize::from(byte & 127)];
            group = (group << CHAR_BITS | u64::from(letter)) & GROUP_MASK;
            letters = (letters << 1 | u8::from(letter != 0)) & 7;
            let bucket = bucket(group, salt);
            self.0[usize::from(bucket >> 6)] |= u64::from(letters == 7) << (bucket & 63);
        }
    }

    /// Whether a text that consists of these groups could be in it.
    pub fn may_have(&self, grams: &Grams) -> bool {
        grams.0.iter().all(|bucket| self.has(*bucket))
    }

    pub(crate) fn has(&self, bucket: u16) -> bool {
        self.0[usize::from(bucket >> 6)] >> (bucket & 63) & 1 == 1
    }

    pub(crate) fn words(&self) -> &[u64; WORDS] {
        &self.0
    }

    /// As it is stored: the octets that are not zero, behind a bit for each octet that says which those are; or, where that is
    /// no shorter, all octets.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut all = [0; Signature::LENGTH];
        for (octets, word) in all.chunks_exact_mut(8).zip(self.0.iter()) {
            octets.copy_from_slice(&word.to_le_bytes());
        }
        let mut bytes = vec![0; MAP];
        for (at, eight) in all.chunks_exact(8).enumerate() {
            for (bit, octet) in eight.iter().enumerate() {
                bytes[at] |= u8::from(*octet != 0) << bit;
            }
            bytes.extend(eight.iter().filter(|octet| **octet != 0));
        }
        if bytes.len() < Signature::LENGTH { bytes } else { all.to_vec() }
    }

    /// As it was stored; `None` when it was something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Signature> {
        let mut all = [0; Signature::LENGTH];
        match Stored::of(bytes)? {
            Stored::All(bytes) => all.copy_from_slice(bytes),
            Stored::Some(map, mut rest) => {
                for (_, octet) in all.iter_mut().enumerate().filter(|(at, _)| has_bit(map, *at)) {
                    (*octet, rest) = rest.split_first().map(|(first, rest)| (*first, rest))?;
                }
            }
        }
        let mut signature = Signature::new();
        for (word, octets) in signature.0.iter_mut().zip(all.chunks_exact(8)) {
            *word = u64::from_le_bytes(octets.try_into().ok()?);
        }
        Some(signature)
    }

    /// Whether stored bytes could have the groups, without reading all of them. Bytes of another form may have all.
    pub fn bytes_may_have(bytes: &[u8], grams: &Grams) -> bool {
        let Some(stored) = Stored::of(bytes) else { return true };
        grams.0.iter().all(|bucket| stored.octet(usize::from(bucket >> 3)) >> (bucket & 7) & 1 == 1)
    }
}

/// What [`Signature::to_bytes`] wrote.
enum Stored<'a> {
    /// All octets.
    All(&'a [u8]),
    /// Which octets are not zero, and those.
    Some(&'a [u8], &'a [u8]),
}

impl<'a> Stored<'a> {
    fn of(bytes: &'a [u8]) -> Option<Stored<'a>> {
        if bytes.len() == Signature::LENGTH {
            return Some(Stored::All(bytes));
        }
        let (map, octets) = bytes.split_at_checked(MAP)?;
        (ones(map) == octets.len()).then_some(Stored::Some(map, octets))
    }

    fn octet(&self, at: usize) -> u8 {
        match self {
            Stored::All(octets) => octets[at],
            Stored::Some(map, _) if !has_bit(map, at) => 0,
            Stored::Some(map, octets) => {
                let own = (map[at / 8] & ((1 << (at % 8)) - 1)).count_ones() as usize;
                octets[ones(&map[..at / 8]) + own]
            }
        }
    }
}

fn has_bit(map: &[u8], at: usize) -> bool {
    map[at / 8] >> (at % 8) & 1 == 1
}

fn ones(octets: &[u8]) -> usize {
    octets.iter().map(|octet| octet.count_ones() as usize).sum()
}

impl Default for Signature {
    fn default() -> Signature {
        Signature::new()
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signature({} of {BUCKETS})", self.0.iter().map(|word| word.count_ones()).sum::<u32>())
    }
}

impl Grams {
    /// Most groups that are asked about.
    pub const MAX: usize = 24;

    /// Of a text to look for. Long texts are asked about by groups from all over them.
    pub fn of(text: &str) -> Grams {
        Grams::salted(text, 0)
    }

    /// Of a text to look for in a field: what [`Signature::add_field`] added.
    pub fn in_field(field: Field, text: &str) -> Grams {
        Grams::salted(text, field.salt())
    }

    fn salted(text: &str, salt: u64) -> Grams {
        let mut all = Vec::new();
        let mut reader = Reader { salt, ..Reader::default() };
        let mut add = |bucket| all.push(bucket);
        for c in text.chars() {
            skeleton_of(c, &mut |c| reader.character(c, &mut add));
        }
        all.sort_unstable();
        all.dedup();
        let step = all.len().div_ceil(Grams::MAX).max(1);
        Grams(all.into_iter().step_by(step).collect())
    }

    /// These and those: what must have both.
    #[must_use]
    pub fn and(&self, other: &Grams) -> Grams {
        let mut all: Vec<u16> = self.0.iter().chain(&other.0).copied().collect();
        all.sort_unstable();
        all.dedup();
        let step = all.len().div_ceil(Grams::MAX).max(1);
        Grams(all.into_iter().step_by(step).collect())
    }

    /// Nothing can be said about such a text: it is too short, or has no letters.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bits that must be set.
    pub fn buckets(&self) -> &[u16] {
        &self.0
    }
}

/// The last characters of the current run.
#[derive(Default)]
struct Reader {
    /// What all groups are told apart by.
    salt: u64,
    /// Of a run of letters: the last two, 21 bits each, and how many there were.
    last: u64,
    run: u32,
    /// Of a run of ideographs: the last.
    previous: Option<char>,
}

impl Reader {
    fn ascii(&mut self, byte: u8, set: &mut impl FnMut(u16)) {
        self.previous = None;
        if byte.is_ascii_alphanumeric() {
            self.letter(u32::from(byte.to_ascii_lowercase()), set);
        } else {
            self.run = 0;
        }
    }

    /// A character of a skeleton.
    fn character(&mut self, c: char, set: &mut impl FnMut(u16)) {
        if is_ideograph(c) {
            self.run = 0;
            set(self.bucket(u64::from(u32::from(c))));
            if let Some(previous) = self.previous.replace(c) {
                set(self.bucket(pair(previous, c)));
            }
            return;
        }
        self.previous = None;
        if c.is_alphanumeric() {
            return self.letter(u32::from(c), set);
        }
        self.run = 0;
        if !c.is_ascii() && !c.is_whitespace() && !c.is_control() {
            set(self.bucket(u64::from(u32::from(c))));
        }
    }

    fn bucket(&self, group: u64) -> u16 {
        bucket(group, self.salt)
    }

    fn letter(&mut self, letter: u32, set: &mut impl FnMut(u16)) {
        let group = self.last << CHAR_BITS | u64::from(letter);
        self.last = group & PAIR_MASK;
        self.run += 1;
        if self.run >= 3 {
            set(self.bucket(group));
        }
    }
}

/// On-disk format: a change is a new [`crate::VERSION`].
fn bucket(group: u64, salt: u64) -> u16 {
    let mixed = (group ^ salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (mixed >> (64 - BITS)) as u16
}

fn pair(first: char, second: char) -> u64 {
    u64::from(u32::from(first)) << CHAR_BITS | u64::from(u32::from(second))
}

/// Octets that say which octets of a signature are not zero.
const MAP: usize = BUCKETS / 64;

/// Letters and digits of ASCII as they are in a skeleton; 0 for what is neither.
const LETTERS: [u8; 128] = {
    let mut letters = [0; 128];
    let mut at = 0;
    while at < letters.len() {
        let byte = at as u8;
        if byte.is_ascii_alphanumeric() {
            letters[at] = byte.to_ascii_lowercase();
        }
        at += 1;
    }
    letters
};

const CHAR_BITS: u32 = 21;
const PAIR_MASK: u64 = (1 << (2 * CHAR_BITS)) - 1;
const GROUP_MASK: u64 = (1 << (3 * CHAR_BITS)) - 1;

/// Scripts whose words are written without spaces, and of which two characters say a lot. Hangul comes taken apart.
fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c),
        0x1100..=0x11FF | 0x2E80..=0x2FDF | 0x3005..=0x3007 | 0x3040..=0x312F | 0x31A0..=0x31BF | 0x31F0..=0x31FF
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x1B000..=0x1B16F | 0x20000..=0x3FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_proposed_and_others_are_not() {
        for (text, part, proposed) in [
            ("Hello World", "ello wor", true),
            ("Hello World", "HELLO", true),
            ("Hello World", "hells", false),
            ("Hello World", "he wo", true),
            ("Grüße aus Köln", "köln", true),
            ("Grüße aus Köln", "koln", true),
            ("gru\u{308}n", "GRÜN", true),
            ("日本語の文章", "本語", true),
            ("日本語の文章", "本文", false),
            ("日本語の文章", "文", true),
            ("日本語の文章", "人", false),
            ("서울에서", "울에", true),
            ("서울에서", "부산", false),
            ("it costs 5 €", "€", true),
            ("it costs 5 $", "€", false),
            ("", "", true),
        ] {
            assert_eq!(Signature::of(text).may_have(&Grams::of(part)), proposed, "{part} in {text}");
        }
    }

    #[test]
    fn fields_are_told_apart() {
        let mut signature = Signature::of("all about plans");
        signature.add_field(Field::From, "Bob");
        signature.add_field(Field::Subject, "日本 meeting");
        for (field, text, proposed) in [
            (Field::From, "bob", true),
            (Field::To, "bob", false),
            (Field::Subject, "plans", false),
            (Field::Subject, "EETIN", true),
            (Field::Subject, "本", true),
            (Field::Cc, "x", true),
        ] {
            assert_eq!(signature.may_have(&Grams::in_field(field, text)), proposed, "{text} in {field:?}");
        }
        assert!(signature.may_have(&Grams::of("bob")));
    }

    #[test]
    fn stored_forms() {
        let whole = Signature::of("some text, and 日本");
        let plain: Vec<u8> = whole.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        assert!(whole.to_bytes().len() < MAP + 64, "what is mostly zero is short");
        for stored in [whole.to_bytes(), plain] {
            assert_eq!(Signature::from_bytes(&stored), Some(whole.clone()));
            assert_eq!(Signature::from_bytes(&stored[1..]), None);
            assert!(Signature::bytes_may_have(&stored, &Grams::of("some")));
            assert!(!Signature::bytes_may_have(&stored, &Grams::of("other")));
            assert!(Signature::bytes_may_have(&stored[1..], &Grams::of("other")), "who knows");
        }
        assert_eq!(Signature::from_bytes(b"short"), None);
        assert!(Signature::bytes_may_have(b"damaged", &Grams::of("other")), "who knows");
        let full = Signature::full();
        assert!(full.may_have(&Grams::of("some")) && full.to_bytes().len() == Signature::LENGTH);
        assert_eq!(Signature::from_bytes(&full.to_bytes()), Some(full));
    }

    #[test]
    fn ascii_has_the_groups_that_other_texts_have() {
        let text = "Hello, World! x2 ab abc; a-b-c ABCdef 12345 the_end";
        // What is no ASCII stands alone at the end.
        let other = Signature::of(&format!("{text} \u{e9}"));
        assert_eq!(Signature::of(text), other);
        let mut salted = [Signature::new(), Signature::new()];
        salted[0].add_field(Field::To, text);
        salted[1].add_field(Field::To, &format!("{text} \u{e9}"));
        assert_eq!(salted[0], salted[1]);
    }

    #[test]
    fn long_texts_ask_for_few_groups() {
        let text: String = (0..10_000u32).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
        let grams = Grams::of(&text);
        assert!(!grams.is_empty() && grams.buckets().len() <= Grams::MAX);
        assert!(Signature::of(&text).may_have(&grams));
    }
}
