//! Random texts: what is a part is proposed, and nothing panics.

use postroad_message::{Limits, Parser};
use postroad_search::fold::{folded, skeleton};
use postroad_search::fuzzy::{Query, Score};
use postroad_search::office::{self, Office};
use postroad_search::{Grams, Signature, Walk, slices};

const INPUTS: u64 = 2_000;

/// Letters that comparisons treat in their own ways.
const LETTERS: &[&str] = &[
    "a",
    "b",
    "I",
    "i",
    "İ",
    "ı",
    "ß",
    "ẞ",
    "ſ",
    "s",
    "e",
    "é",
    "E\u{301}",
    "\u{308}",
    "u",
    "Ü",
    "ς",
    "σ",
    "Σ",
    "ᾳ",
    "α\u{345}",
    "\u{345}",
    "日",
    "本",
    "カ",
    "ガ",
    "ｶﾞ",
    "か\u{3099}",
    "서",
    "\u{1109}\u{1165}",
    "울",
    "ﬁ",
    "½",
    "Ω",
    "Ω",
    "K",
    " ",
    ".",
    "-",
    "€",
    "\u{fffd}",
    "क\u{93c}\u{94d}",
    "ो",
    "ே\u{bbe}",
    "ท",
    "ำ",
    "1",
    "2",
];

fn text(seed: &[u8]) -> String {
    seed.iter().map(|byte| LETTERS[usize::from(*byte) % LETTERS.len()]).collect()
}

fn signature(text: &str) -> Signature {
    let mut signature = Signature::new();
    signature.add(text);
    signature
}

#[test]
fn fuzz_parts_are_proposed() {
    postroad_fuzz::check!(INPUTS).with_type::<(Vec<u8>, u8, u8)>().for_each(|(seed, from, length)| {
        let whole = text(seed);
        let whole_folded = folded(&whole);
        let signature = signature(&whole);
        let letters: Vec<char> = whole.chars().collect();
        let from = usize::from(*from) % (letters.len() + 1);
        let until = (from + usize::from(*length) % 12).min(letters.len());
        let part: String = letters[from..until].iter().collect();
        assert!(signature.may_have(&Grams::of(&part)), "{part:?} of {whole:?}");
        // What the comparison without case finds is proposed, also when it was typed otherwise.
        for typed in [folded(&part), part.to_uppercase(), part.to_lowercase(), skeleton(&part)] {
            if whole_folded.contains(&folded(&typed)) {
                assert!(signature.may_have(&Grams::of(&typed)), "{typed:?} of {whole:?}");
            }
        }
        let (query, mut score) = (Query::new(&part), Score::default());
        query.look(&whole, &mut score);
        if score.is_match() {
            assert!(signature.may_have(&query.grams()), "{part:?} of {whole:?}");
        }
    });
}

#[test]
fn fuzz_folding_is_of_one_skeleton() {
    postroad_fuzz::check!(INPUTS).with_type::<Vec<u8>>().for_each(|seed| {
        let text = text(seed);
        assert_eq!(skeleton(&folded(&text)), skeleton(&text), "{text:?}");
    });
}

#[test]
fn fuzz_slices_of_anything() {
    postroad_fuzz::check!(INPUTS).with_type::<(Vec<u8>, u16, u16)>().for_each(|(page, bucket, count)| {
        let count = usize::from(*count) % slices::DOCUMENTS + 1;
        let _ = slices::slice(page, *bucket, count);
    });
}

#[test]
fn fuzz_slices_hold_what_signatures_held() {
    postroad_fuzz::check!(20).with_type::<Vec<Vec<u8>>>().for_each(|seeds| {
        let texts: Vec<String> = seeds.iter().map(|seed| text(seed)).take(slices::DOCUMENTS).collect();
        let signatures: Vec<Signature> = texts.iter().map(|text| signature(text)).collect();
        let pages = slices::pages(&signatures.iter().collect::<Vec<_>>());
        for (document, text) in texts.iter().enumerate() {
            for bucket in Grams::of(text).buckets() {
                let slice = slices::slice(&pages[slices::page_of(*bucket) as usize], *bucket, texts.len());
                assert!(slice.has(document));
            }
        }
    });
}

#[test]
fn fuzz_archives() {
    postroad_fuzz::check!(INPUTS).with_type::<Vec<u8>>().for_each(|octets| {
        let mut archive = b"PK\x03\x04".to_vec();
        archive.extend(octets);
        archive.extend(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0");
        archive.extend(octets.get(..4).unwrap_or(&[0; 4]));
        archive.extend(b"\0\0");
        for office in [Office::Ooxml, Office::OpenDocument] {
            let _ = office::text(office, octets, &mut 1_000_000);
            let _ = office::text(office, &archive, &mut 1_000_000);
        }
    });
}

/// The text does not depend on how much is kept between pieces.
#[test]
fn fuzz_walks() {
    postroad_fuzz::check!(INPUTS).with_type::<Vec<u8>>().for_each(|octets| {
        let heads: [&[u8]; 4] = [
            b"",
            b"Content-Type: text/html\r\n\r\n",
            b"Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n",
        ];
        let message = [heads[usize::from(octets.first().copied().unwrap_or(0)) % heads.len()], &octets[..]].concat();
        let mut parser = Parser::new(Limits::default());
        parser.feed(&message);
        let root = parser.finish().summary.structure;
        let texts = |keep| {
            let mut walk = Walk::new(&root, true, true, keep);
            let mut texts = Vec::new();
            while let Some(range) = walk.wants() {
                walk.take(&message[range.start as usize..range.end as usize], &mut |_, text| {
                    texts.push(text.to_owned())
                });
            }
            texts
        };
        assert_eq!(texts(0), texts(1_000));
    });
}
