//! The CBOR that authenticators write: whole numbers, octets, texts, lists, maps, yes and no. Nothing with an open length, no tags,
//! no floats (CTAP 2.1 §8: canonical CBOR has none where keys and attestations are).
//!
//! Standards: RFC 8949 §3 and §4.2.

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// Octets.
    Bytes(Vec<u8>),
    /// A text.
    Text(String),
    /// A list.
    Array(Vec<Value>),
    /// A map, in the order that it was written in.
    Map(Vec<(Value, Value)>),
    /// Yes or no.
    Bool(bool),
}

impl Value {
    /// What a map has under a number.
    pub fn at(&self, key: i64) -> Option<&Value> {
        self.entry(&Value::Int(key))
    }

    /// What a map has under a name.
    pub fn named(&self, name: &str) -> Option<&Value> {
        self.entry(&Value::Text(name.to_owned()))
    }

    fn entry(&self, key: &Value) -> Option<&Value> {
        match self {
            Value::Map(pairs) => pairs.iter().find(|(known, _)| known == key).map(|(_, value)| value),
            Value::Int(_) | Value::Bytes(_) | Value::Text(_) | Value::Array(_) | Value::Bool(_) => None,
        }
    }

    /// The octets of a string of them.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(octets) => Some(octets),
            Value::Int(_) | Value::Text(_) | Value::Array(_) | Value::Map(_) | Value::Bool(_) => None,
        }
    }

    /// A whole number.
    pub fn int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            Value::Bytes(_) | Value::Text(_) | Value::Array(_) | Value::Map(_) | Value::Bool(_) => None,
        }
    }
}

/// Reads one value; also what comes behind it. `None` for what is none, too deep, too much, or a map with a key twice.
pub fn read(octets: &[u8]) -> Option<(Value, &[u8])> {
    if octets.len() > LENGTH_MAX {
        return None;
    }
    let mut left = VALUES_MAX;
    value(octets, 0, &mut left)
}

fn value<'a>(octets: &'a [u8], depth: usize, left: &mut usize) -> Option<(Value, &'a [u8])> {
    if depth > DEPTH_MAX || *left == 0 {
        return None;
    }
    *left -= 1;
    let (kind, number, mut rest) = head(octets)?;
    match kind {
        0 => Some((Value::Int(i64::try_from(number).ok()?), rest)),
        1 => Some((Value::Int(-1 - i64::try_from(number).ok()?), rest)),
        2 => {
            let (own, rest) = rest.split_at_checked(usize::try_from(number).ok()?)?;
            Some((Value::Bytes(own.to_vec()), rest))
        }
        3 => {
            let (own, rest) = rest.split_at_checked(usize::try_from(number).ok()?)?;
            Some((Value::Text(std::str::from_utf8(own).ok()?.to_owned()), rest))
        }
        4 => {
            let mut list = Vec::new();
            for _ in 0..number {
                let (item, behind) = value(rest, depth + 1, left)?;
                list.push(item);
                rest = behind;
            }
            Some((Value::Array(list), rest))
        }
        5 => {
            let mut pairs: Vec<(Value, Value)> = Vec::new();
            for _ in 0..number {
                let (key, behind) = value(rest, depth + 1, left)?;
                let (item, behind) = value(behind, depth + 1, left)?;
                if pairs.iter().any(|(known, _)| *known == key) {
                    return None;
                }
                pairs.push((key, item));
                rest = behind;
            }
            Some((Value::Map(pairs), rest))
        }
        7 if octets[0] == 0xf4 => Some((Value::Bool(false), rest)),
        7 if octets[0] == 0xf5 => Some((Value::Bool(true), rest)),
        _ => None,
    }
}

/// Major type, number, and what comes behind; the shortest form of the number alone (RFC 8949 §4.2.1).
fn head(octets: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (first, rest) = octets.split_first()?;
    let (kind, short) = (first >> 5, first & 31);
    let width = match short {
        0..=23 => return Some((kind, u64::from(short), rest)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let (number, rest) = rest.split_at_checked(width)?;
    let number = number.iter().fold(0u64, |sum, octet| sum << 8 | u64::from(*octet));
    let least = match width {
        1 => 24,
        2 => 1 << 8,
        4 => 1 << 16,
        _ => 1 << 32,
    };
    (number >= least).then_some((kind, number, rest))
}

/// Octets of all of it.
const LENGTH_MAX: usize = 16 * 1024;
/// Values in all: a list that says it has millions ends there.
const VALUES_MAX: usize = 256;
/// Levels; an attestation has three, keys one.
const DEPTH_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_rfc() {
        let text = |text: &str| Value::Text(text.into());
        for (octets, value) in [
            (&[0x00][..], Value::Int(0)),
            (&[0x17], Value::Int(23)),
            (&[0x18, 0x18], Value::Int(24)),
            (&[0x19, 0x03, 0xe8], Value::Int(1000)),
            (&[0x20], Value::Int(-1)),
            (&[0x39, 0x01, 0x00], Value::Int(-257)),
            (&[0x44, 1, 2, 3, 4], Value::Bytes(vec![1, 2, 3, 4])),
            (&[0x62, 0xc3, 0xbc], text("ü")),
            (&[0x83, 1, 2, 3], Value::Array(vec![Value::Int(1), Value::Int(2), Value::Int(3)])),
            (&[0xa1, 0x61, b'a', 0xf5], Value::Map(vec![(text("a"), Value::Bool(true))])),
        ] {
            assert_eq!(read(octets), Some((value, &[][..])), "{octets:02x?}");
        }
        assert_eq!(read(&[0x01, 0x02]).map(|(_, rest)| rest), Some(&[0x02][..]));
    }

    #[test]
    fn what_lies_or_has_no_end_is_none() {
        let deep = [0x81; 10];
        let wide = [&[0x99, 0xff, 0xff][..], &[0u8; 1_000]].concat();
        for octets in [
            &[][..],
            &[0x18],
            &[0x18, 0x17],
            &[0x19, 0x00, 0xff],
            &[0x44, 1, 2, 3],
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x61, 0xff],
            &[0xa2, 1, 1, 1, 2],
            &[0x9f, 0x01, 0xff],
            &[0xc1, 0x01],
            &[0xf9, 0, 0],
            &[0xf6],
            &[0xff],
            &deep,
            &wide,
        ] {
            assert_eq!(read(octets), None, "{octets:02x?}");
        }
        assert_eq!(read(&vec![0; LENGTH_MAX + 1]), None);
    }
}
