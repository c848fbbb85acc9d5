//! NULs, which BODY[] cannot have: literals have none (RFC 9051 §4.3), and Dovecot and Postroad show 0x80 in place of each.
//!
//! Where the other server has BINARY (RFC 3516), BINARY[] of a whole message has them, in a `literal8`. Postroad's is the
//! message as it is. Dovecot's is that only when no part has a transfer encoding; else such parts come decoded, and what
//! stands before the first and behind the last of them comes as it is. So a message that may have NULs (an octet 0x80 that
//! belongs to no letter of UTF-8) is asked for a second time, and what both answers share decides. Of what neither
//! tells, nobody can know: [`Exact::certain`] is false.

use memchr::memchr;
use postroad_imap::NumberSet;
use postroad_imap::client::{Event, Line, Response, Status};

use crate::connection::{Connection, goodbye, succeeded};
use crate::{Error, Result};

/// What is asked for.
pub(crate) const BODY: &str = "(UID BODY.PEEK[])";
/// The same with NULs.
pub(crate) const BINARY: &str = "(UID BINARY.PEEK[])";

/// Whether the other server gives and takes NULs.
pub(crate) fn has_binary(line: &Connection) -> bool {
    line.session.has("BINARY") || line.session.has("IMAP4rev2")
}

/// What a message is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exact {
    pub(crate) octets: Vec<u8>,
    /// No octet 0x80 of it may have been a NUL.
    pub(crate) certain: bool,
}

/// What octets are that come in pieces.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    hasher: blake3::Hasher,
    /// Since the first NUL: over the octets with 0x80 for each, as BODY[] would have them.
    shown: Option<blake3::Hasher>,
    letters: Letters,
}

/// What they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Looked {
    pub(crate) hash: blake3::Hash,
    /// The checksum of BODY[].
    pub(crate) shown: blake3::Hash,
    /// There is a NUL.
    pub(crate) nul: bool,
    /// There is none, and an octet that may stand for one.
    pub(crate) doubtful: bool,
}

impl Look {
    pub(crate) fn feed(&mut self, octets: &[u8]) {
        if self.shown.is_none() && memchr(0, octets).is_some() {
            self.shown = Some(self.hasher.clone());
        }
        self.hasher.update(octets);
        match &mut self.shown {
            Some(shown) => {
                let show = |octet: &u8| if *octet == 0 { STANDS_FOR_NUL } else { *octet };
                shown.update(&octets.iter().map(show).collect::<Vec<u8>>());
            }
            // Once there is a NUL, nothing is in doubt.
            None => self.letters.feed(octets),
        }
    }

    pub(crate) fn end(self) -> Looked {
        let (hash, nul) = (self.hasher.finalize(), self.shown.is_some());
        let shown = self.shown.map_or(hash, |shown| shown.finalize());
        Looked { hash, shown, nul, doubtful: !nul && self.letters.end() }
    }
}

/// Looks for octets 0x80 that belong to no letter of UTF-8.
#[derive(Debug, Clone, Default)]
struct Letters {
    found: bool,
    /// The beginning of a letter.
    open: Vec<u8>,
}

impl Letters {
    fn feed(&mut self, octets: &[u8]) {
        if self.found || (self.open.is_empty() && memchr(STANDS_FOR_NUL, octets).is_none() && ends_a_letter(octets)) {
            return;
        }
        let mut octets = octets;
        // A letter that was cut is put together octet by octet.
        while !self.open.is_empty() {
            let Some((first, rest)) = octets.split_first() else { return };
            self.open.push(*first);
            octets = rest;
            let open = std::mem::take(&mut self.open);
            self.whole(&open);
        }
        self.whole(octets);
    }

    fn whole(&mut self, mut octets: &[u8]) {
        while let Err(error) = std::str::from_utf8(octets) {
            let rest = &octets[error.valid_up_to()..];
            let Some(length) = error.error_len() else {
                self.open = rest.to_vec();
                return;
            };
            self.found |= rest[..length].contains(&STANDS_FOR_NUL);
            octets = &rest[length..];
        }
    }

    fn end(self) -> bool {
        self.found || self.open.contains(&STANDS_FOR_NUL)
    }
}

/// Whether a letter is not cut at the end.
fn ends_a_letter(octets: &[u8]) -> bool {
    octets.iter().rev().take(3).all(u8::is_ascii)
}

fn is_doubtful(octets: &[u8]) -> bool {
    let mut letters = Letters::default();
    letters.feed(octets);
    letters.end()
}

/// What a message is whose BODY[] came as `body`, and BINARY[], where it came, as `binary`.
pub(crate) fn restore(mut body: Vec<u8>, binary: Option<&[u8]>) -> Exact {
    let same = |(shown, told): &(&u8, &u8)| shown == told || (**told == 0 && **shown == STANDS_FOR_NUL);
    let binary = binary.unwrap_or_default();
    let begin = body.iter().zip(binary).take_while(same).count();
    // What is no answer to this question says nothing: its first line is not that of the message.
    if begin <= memchr(b'\n', &body).unwrap_or(0) && begin < body.len() {
        let certain = !is_doubtful(&body);
        return Exact { octets: body, certain };
    }
    if memchr(0, binary).is_none() {
        return Exact { octets: body, certain: true };
    }
    body[..begin].copy_from_slice(&binary[..begin]);
    let (rest, told) = (&mut body[begin..], &binary[begin..]);
    let end = rest.iter().rev().zip(told.iter().rev()).take_while(same).count();
    let (middle, own) = rest.split_at_mut(rest.len() - end);
    own.copy_from_slice(&told[told.len() - end..]);
    let certain = !is_doubtful(middle);
    Exact { octets: body, certain }
}

/// A message that may have NULs, whose two answers differ in more than these. None when it is gone, or is too large
/// to be kept.
pub(crate) async fn fetch(line: &mut Connection, uid: u32) -> Result<Option<Exact>> {
    let Some(body) = whole(line, uid, BODY).await? else { return Ok(None) };
    let binary = whole(line, uid, BINARY).await?;
    Ok(Some(restore(body, binary.as_deref())))
}

/// One answer. None when there is none, or it is too large.
async fn whole(line: &mut Connection, uid: u32, item: &str) -> Result<Option<Vec<u8>>> {
    let tag = line.session.send(Line::new("UID FETCH").set(&NumberSet::from_unsorted([uid])).word(item))?;
    let (mut octets, mut fits, mut came) = (Vec::new(), true, false);
    loop {
        match line.event().await? {
            Event::Begin(size) => fits = size <= KEPT_MAX,
            Event::Piece(piece) if fits => octets.extend_from_slice(&piece),
            Event::Response(Response::Fetch(found)) if found.uid == Some(uid) && !found.no_body => {
                came |= found.body.is_some();
                octets.extend(found.body.unwrap_or_default());
            }
            Event::Response(Response::Word(word)) if word.status == Status::Bye => return Err(goodbye(&word)),
            Event::Done(done) if done.tag == tag => {
                return match succeeded(done.word) {
                    Ok(_) => Ok(Some(octets).filter(|_| came && fits)),
                    // Dovecot: an encoding that is broken.
                    Err(Error::Refused(_)) => Ok(None),
                    Err(error) => Err(error),
                };
            }
            Event::Piece(_)
            | Event::Response(_)
            | Event::Done(_)
            | Event::Greeting(_)
            | Event::End
            | Event::Send
            | Event::Handshake => {}
        }
    }
}

const STANDS_FOR_NUL: u8 = 0x80;
/// Larger messages are not compared octet by octet.
const KEPT_MAX: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(octets: &[u8]) -> Vec<u8> {
        octets.iter().map(|octet| if *octet == 0 { 0x80 } else { *octet }).collect()
    }

    #[test]
    fn octets_that_may_have_been_nul_are_found() {
        for (octets, expected) in [
            (&b"plain"[..], false),
            ("\u{201c}quoted\u{201d} \u{80}\u{1f600}".as_bytes(), false),
            (b"a\x80b", true),
            (b"\x80", true),
            (b"\xe2\x80", true),
            (b"\xe2\x82\xac \xe2\x80z", true),
            // GBK, Latin-1 without it.
            (b"\xc4\xe3\x80\xe3", true),
            (b"caf\xe9", false),
            // One that is there says that the others are what they are.
            (b"\x00 \x80", false),
        ] {
            for cut in 1..=octets.len() {
                let mut look = Look::default();
                octets.chunks(cut).for_each(|piece| look.feed(piece));
                let looked = look.end();
                assert_eq!(looked.doubtful, expected, "{octets:?} by {cut}");
                assert_eq!(looked.hash, blake3::hash(octets));
                assert_eq!(looked.shown, blake3::hash(&shown(octets)), "{octets:?} by {cut}");
            }
        }
    }

    #[test]
    fn fuzz_a_message_that_is_told_as_it_is_comes_back() {
        postroad_fuzz::check!(2_000).with_type::<(Vec<u8>, Vec<u8>, u8)>().for_each(|(message, other, cut)| {
            let restored = restore(shown(message), Some(message));
            assert_eq!(restored, Exact { octets: message.clone(), certain: true });
            // Whatever else is told: it is the same but for its NULs.
            let restored = restore(shown(message), Some(other));
            assert_eq!(shown(&restored.octets), shown(message));
            let mut look = Look::default();
            message.chunks(usize::from(*cut).max(1)).for_each(|piece| look.feed(piece));
            let looked = look.end();
            assert_eq!((looked.hash, looked.shown), (blake3::hash(message), blake3::hash(&shown(message))));
            assert_eq!(looked.doubtful, !looked.nul && is_doubtful(message));
        });
    }

    /// What Dovecot answers for parts that are encoded (2.3).
    #[test]
    fn both_answers_together_give_the_message() {
        let check = |message: &[u8], binary: Option<&[u8]>, expected: &[u8], certain: bool| {
            let restored = restore(shown(message), binary);
            assert_eq!(restored, Exact { octets: expected.to_vec(), certain }, "{message:?}");
        };
        // Nothing is encoded.
        for message in [&b"S: a\x00\x80\r\n\r\nx\x00\r\n"[..], b"\x00\x00", b"no end\x00", b"\x80\r\n\x00"] {
            check(message, Some(message), message, true);
        }
        // A part is encoded: before it, behind it, and in between.
        let encoded = |before: &str, middle: &str, after: &str| {
            format!(
                "S: x{before}\r\n\r\n--X\r\nCTE: base64\r\n\r\nAAECIGhl\r\n{middle}--X\r\nCTE: base64\r\n\r\nAAE=\r\n{after}"
            )
        };
        let decoded = |before: &str, middle: &str, after: &str| {
            format!(
                "S: x{before}\r\n\r\n--X\r\nCTE: binary\r\n\r\n\0\u{1}\u{2} he\r\n{middle}--X\r\nCTE: binary\r\n\r\n\0\u{1}\r\n{after}"
            )
        };
        for (before, middle, after, certain) in
            [("\0", "", "", true), ("", "", "\0y", true), ("\0", "\u{20ac}", "\0", true), ("", "a\0b", "\0", false)]
        {
            let (message, binary) = (encoded(before, middle, after), decoded(before, middle, after));
            let expected = encoded(before, &middle.replace('\0', "\u{1}"), after).into_bytes();
            let expected: Vec<u8> =
                expected.into_iter().map(|octet| if octet == 1 { STANDS_FOR_NUL } else { octet }).collect();
            check(message.as_bytes(), Some(binary.as_bytes()), &expected, certain);
        }
        // No NUL in the second answer: none in the first.
        check(b"S: x\r\n\r\n\x80\r\nSGVs", Some(b"S: x\r\n\r\n\x80\r\nHel"), b"S: x\r\n\r\n\x80\r\nSGVs", true);
        // No second answer, or none to this question.
        for binary in [None, Some(&b""[..]), Some(b"S: y\r\n\r\n"), Some(b"S: x")] {
            check(b"S: x\r\n\r\na\x00", binary, b"S: x\r\n\r\na\x80", false);
            check("S: x\r\n\r\n\u{201c}".as_bytes(), binary, "S: x\r\n\r\n\u{201c}".as_bytes(), true);
        }
    }
}
