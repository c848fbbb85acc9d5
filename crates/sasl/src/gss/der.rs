//! As much of DER (X.690) as the frames of tokens need: one element after the other, nothing allocated, nothing read twice.

/// The elements of some octets, from the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Elements<'a> {
    /// The content of the next element if it has this tag, and all of it is there.
    pub(super) fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        let (length, rest) = length(rest)?;
        if *found != tag || length > rest.len() {
            return None;
        }
        let (content, rest) = rest.split_at(length);
        self.0 = rest;
        Some(content)
    }

    /// Nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A length in its short form, or in the long one of at most four octets; Windows does not always write the shortest.
fn length(octets: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = octets.split_first()?;
    match usize::from(*first) {
        short @ 0..=0x7f => Some((short, rest)),
        long @ 0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(long - 0x80)?;
            let length = digits.iter().try_fold(0_usize, |sum, digit| {
                sum.checked_mul(256).and_then(|sum| sum.checked_add(usize::from(*digit)))
            })?;
            Some((length, rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_within() {
        let long = [&[4, 0x82, 0, 3][..], b"abc"].concat();
        for (octets, expected) in [
            (&b"\x04\x03abc"[..], Some(&b"abc"[..])),
            (&long, Some(b"abc")),
            (b"\x04\x00", Some(b"")),
            (b"\x04\x04abc", None),
            (b"\x04\x80abc", None),
            (b"\x04\x85\0\0\0\0\x03abc", None),
            (b"\x04\x84\xff\xff\xff\xffabc", None),
            (b"\x04\x82\0", None),
            (b"\x04", None),
            (b"\x05\x03abc", None),
            (b"", None),
        ] {
            assert_eq!(Elements(octets).next(4), expected, "{octets:?}");
        }
    }
}
