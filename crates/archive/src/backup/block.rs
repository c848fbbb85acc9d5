//! Rows as bytes, and blocks of them: compressed, hashed, bounded.
//!
//! ```text
//! value = 0 (NULL) | 1 zigzag-varint | 2 varint-length UTF-8 | 3 varint-length bytes
//! block = plain-length:u32 packed-length:u32 BLAKE3(plain):32 packed (zstd)
//! end   = 0:u32 8:u32 BLAKE3(count):32 count:u64
//! ```
//! All numbers are little-endian. The values of a row follow each other without a count: the table says how many.

use std::io::Read;

use postroad_store::dump::Value;

/// Adds a row's values.
pub(super) fn encode_row(row: &[Value], out: &mut Vec<u8>) {
    for value in row {
        match value {
            Value::Null => out.push(0),
            Value::Int(number) => {
                out.push(1);
                varint(((number << 1) ^ (number >> 63)).cast_unsigned(), out);
            }
            Value::Text(text) => {
                out.push(2);
                varint(text.len() as u64, out);
                out.extend_from_slice(text.as_bytes());
            }
            Value::Bytes(bytes) => {
                out.push(3);
                varint(bytes.len() as u64, out);
                out.extend_from_slice(bytes);
            }
        }
    }
}

/// Takes a row of `columns` values off the front; `None` when there is none.
pub(super) fn decode_row(rest: &mut &[u8], columns: usize) -> Option<Vec<Value>> {
    let mut row = Vec::with_capacity(columns);
    for _ in 0..columns {
        let (tag, after) = rest.split_first()?;
        *rest = after;
        row.push(match tag {
            0 => Value::Null,
            1 => {
                let number = take_varint(rest)?;
                Value::Int((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
            }
            2 => Value::Text(String::from_utf8(take_bytes(rest)?.to_vec()).ok()?),
            3 => Value::Bytes(take_bytes(rest)?.to_vec()),
            _ => return None,
        });
    }
    Some(row)
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for place in 0..10 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        let part = u64::from(byte & 0x7f);
        if place == 9 && part > 1 {
            return None;
        }
        number |= part << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_varint(rest)?).ok()?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

/// A block of rows, ready to be written.
pub(super) fn pack(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let packed = zstd::bulk::compress(plain, LEVEL)?;
    let mut block = head(plain.len(), packed.len(), plain);
    block.extend_from_slice(&packed);
    Ok(block)
}

/// The end of all blocks.
pub(super) fn end(count: u64) -> Vec<u8> {
    let count = count.to_le_bytes();
    let mut block = head(0, count.len(), &count);
    block.extend_from_slice(&count);
    block
}

fn head(plain: usize, packed: usize, hashed: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(HEAD + packed);
    block.extend_from_slice(&(plain as u32).to_le_bytes());
    block.extend_from_slice(&(packed as u32).to_le_bytes());
    block.extend_from_slice(blake3::hash(hashed).as_bytes());
    block
}

/// What a file has next.
pub(super) enum Next {
    /// The plain bytes of some rows.
    Rows(Vec<u8>),
    /// There were so many rows.
    End(u64),
}

/// Reads a block. An error is a sentence about what is wrong with it.
pub(super) fn next(from: &mut impl Read) -> Result<Next, String> {
    let short = |_| "it is cut short".to_owned();
    let mut head = [0; HEAD];
    from.read_exact(&mut head).map_err(short)?;
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
    let (plain, packed, hash) = (number(0), number(4), &head[8..]);
    if plain > PLAIN_MAX || packed > PLAIN_MAX + PLAIN_MAX / 100 + 1024 {
        return Err("a block claims to be too large".into());
    }
    // Grows with what is really there, not with what the file says.
    let mut bytes = Vec::new();
    from.by_ref().take(packed as u64).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() != packed {
        return Err("it is cut short".into());
    }
    if plain == 0 {
        let count = <[u8; 8]>::try_from(bytes.as_slice()).map_err(|_| "its end cannot be read".to_owned())?;
        return match blake3::hash(&count).as_bytes()[..] == *hash {
            true => Ok(Next::End(u64::from_le_bytes(count))),
            false => Err("its end does not match its checksum".into()),
        };
    }
    let unpacked = unpack(&bytes, plain).map_err(|error| format!("a block cannot be unpacked: {error}"))?;
    if unpacked.len() != plain || blake3::hash(&unpacked).as_bytes()[..] != *hash {
        return Err("a block does not match its checksum".into());
    }
    Ok(Next::Rows(unpacked))
}

fn unpack(packed: &[u8], plain: usize) -> std::io::Result<Vec<u8>> {
    if plain <= TARGET * 4 {
        return zstd::bulk::decompress(packed, plain);
    }
    let mut unpacked = Vec::new();
    zstd::stream::read::Decoder::new(packed)?.take(plain as u64 + 1).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

const HEAD: usize = 8 + 32;
const LEVEL: i32 = 3;
/// A block is written when it has this many plain bytes.
pub(super) const TARGET: usize = 512 * 1024;
/// No block has more plain bytes: a row is not larger.
pub(super) const PLAIN_MAX: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_back() {
        let row = vec![
            Value::Null,
            Value::Int(0),
            Value::Int(-1),
            Value::Int(i64::MAX),
            Value::Int(i64::MIN),
            Value::Text("ä".into()),
            Value::Bytes(vec![0, 255]),
            Value::Text(String::new()),
        ];
        let mut bytes = Vec::new();
        encode_row(&row, &mut bytes);
        let mut rest = bytes.as_slice();
        assert_eq!(decode_row(&mut rest, row.len()), Some(row));
        assert!(rest.is_empty());
    }

    #[test]
    fn any_row_and_back() {
        postroad_fuzz::check!(2000).with_type::<Vec<(u8, i64, Vec<u8>)>>().for_each(|parts| {
            let value = |(kind, number, bytes): &(u8, i64, Vec<u8>)| match kind % 4 {
                0 => Value::Null,
                1 => Value::Int(*number),
                2 => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
                _ => Value::Bytes(bytes.clone()),
            };
            let row: Vec<Value> = parts.iter().map(value).collect();
            let mut bytes = Vec::new();
            encode_row(&row, &mut bytes);
            assert_eq!(decode_row(&mut bytes.as_slice(), row.len()), Some(row));
        });
    }
}
