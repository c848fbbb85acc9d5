//! A few forms of DER, written.
//!
//! Standards: X.690.

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// A value behind its tag and length (§8.1.3: the shortest form of the length).
pub(crate) fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(value.len()) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            let octets = value.len().to_be_bytes();
            let length: Vec<u8> = octets.into_iter().skip_while(|octet| *octet == 0).collect();
            out.push(0x80 | u8::try_from(length.len()).unwrap_or(8));
            out.extend(length);
        }
    }
    out.extend_from_slice(value);
    out
}

/// Parts one after the other under a tag.
pub(crate) fn joined(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(tag, &parts.concat())
}

/// The `[number]` of a constructed value.
pub(crate) fn context(number: u8) -> u8 {
    0xa0 | number
}

/// Parts as DER orders them in a SET OF (§11.6).
pub(crate) fn set_of(tag: u8, mut parts: Vec<Vec<u8>>) -> Vec<u8> {
    parts.sort();
    joined(tag, &parts)
}

/// A small number.
pub(crate) fn small(number: u8) -> Vec<u8> {
    debug_assert!(number < 0x80, "it would be negative");
    tagged(INTEGER, &[number])
}

/// A number whose octets are those of another DER value.
pub(crate) fn integer(octets: &[u8]) -> Vec<u8> {
    tagged(INTEGER, octets)
}

pub(crate) fn octets(value: &[u8]) -> Vec<u8> {
    tagged(OCTETS, value)
}

/// RFC 5652 §11.3: years to 2049 with two digits, later ones with four. `seconds` since 1970.
pub(crate) fn time(seconds: i64) -> Vec<u8> {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = crate::pages::day(days);
    let clock = format!("{month:02}{day:02}{:02}{:02}{:02}Z", second / 3_600, second / 60 % 60, second % 60);
    if (1950..2050).contains(&year) {
        tagged(UTC_TIME, format!("{:02}{clock}", year % 100).as_bytes())
    } else {
        tagged(GENERALIZED_TIME, format!("{year:04}{clock}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_the_shortest() {
        for (length, head) in [
            (0_usize, &[4, 0][..]),
            (127, &[4, 127]),
            (128, &[4, 0x81, 128]),
            (255, &[4, 0x81, 255]),
            (256, &[4, 0x82, 1, 0]),
            (70_000, &[4, 0x83, 1, 0x11, 0x70]),
        ] {
            let written = octets(&vec![7; length]);
            assert_eq!(&written[..head.len()], head, "{length}");
            assert_eq!(written.len(), head.len() + length);
        }
    }

    #[test]
    fn times_have_two_or_four_digits() {
        assert_eq!(time(1_795_363_261), tagged(UTC_TIME, b"261122160101Z"));
        assert_eq!(time(2_524_608_000), tagged(GENERALIZED_TIME, b"20500101000000Z"));
        assert_eq!(set_of(SET, vec![vec![2, 1, 9], vec![2, 1, 3]]), [0x31, 6, 2, 1, 3, 2, 1, 9]);
    }
}
