//! Frames between the side that reads or writes files and the side that has the store: a kind, a length, bytes.
//!
//! Both sides are the same program, and only the server's own user can open the socket between them; still every
//! length is bounded and what cannot be understood ends the connection, nothing else.

use std::io::{Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Longest frame in bytes.
pub const FRAME_MAX: usize = 4 * 1024 * 1024;
/// Pieces in which large messages flow.
pub const PIECE: usize = 256 * 1024;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// JSON: a folder; what follows is in it.
    Folder = 1,
    /// A message whole: the length of its JSON (4 bytes), the JSON, its bytes.
    Message = 2,
    /// JSON: a large message begins.
    Begin = 3,
    /// A piece of it.
    Piece = 4,
    /// It is complete.
    Complete = 5,
    /// It could not be read to its end: it is not to be taken.
    Abandon = 6,
    /// JSON: what has happened.
    Event = 7,
    /// Nothing more comes.
    End = 8,
}

impl Kind {
    const ALL: [Kind; 8] =
        [Kind::Folder, Kind::Message, Kind::Begin, Kind::Piece, Kind::Complete, Kind::Abandon, Kind::Event, Kind::End];
}

/// Writes a frame made of parts. Buffer and flush the writer.
pub fn write(out: &mut impl Write, kind: Kind, parts: &[&[u8]]) -> Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).ok().filter(|length| *length as usize <= FRAME_MAX);
    let length = length.ok_or_else(|| Error::Peer("a frame is too long".into()))?;
    let broken = |error: std::io::Error| Error::Peer(error.to_string());
    out.write_all(&[kind as u8]).map_err(broken)?;
    out.write_all(&length.to_le_bytes()).map_err(broken)?;
    parts.iter().try_for_each(|part| out.write_all(part)).map_err(broken)
}

/// Writes a frame of JSON.
pub fn write_json(out: &mut impl Write, kind: Kind, value: &impl Serialize) -> Result<()> {
    write(out, kind, &[&json(value)?])
}

/// Writes a message whole.
pub fn write_message(out: &mut impl Write, meta: &impl Serialize, bytes: &[u8]) -> Result<()> {
    let meta = json(meta)?;
    let length = u32::try_from(meta.len()).unwrap_or(u32::MAX).to_le_bytes();
    write(out, Kind::Message, &[&length, &meta, bytes])
}

/// Reads a frame. A connection that ends without [`Kind::End`] is broken.
pub fn read(from: &mut impl Read) -> Result<(Kind, Vec<u8>)> {
    let broken = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::Peer("it was closed".into()),
        _ => Error::Peer(error.to_string()),
    };
    let mut head = [0; 5];
    from.read_exact(&mut head).map_err(broken)?;
    let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == head[0]);
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let (Some(kind), true) = (kind, length <= FRAME_MAX) else {
        return Err(Error::Peer("the other side says what is not understood; is it the same version?".into()));
    };
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).map_err(broken)?;
    Ok((kind, bytes))
}

/// Splits what [`write_message`] put together.
pub fn split_message<T: DeserializeOwned>(frame: &[u8]) -> Result<(T, &[u8])> {
    let (length, rest) = frame.split_first_chunk::<4>().ok_or_else(unclear)?;
    let (meta, bytes) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(unclear)?;
    Ok((parse(meta)?, bytes))
}

/// Reads JSON.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|_| unclear())
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Peer(error.to_string()))
}

fn unclear() -> Error {
    Error::Peer("a frame cannot be read".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in() {
        let mut wire = Vec::new();
        write_message(&mut wire, &"meta", b"bytes").expect("fits");
        write(&mut wire, Kind::End, &[]).expect("fits");
        let mut from = wire.as_slice();
        let (kind, frame) = read(&mut from).expect("is there");
        assert_eq!(kind, Kind::Message);
        assert_eq!(split_message::<String>(&frame).expect("well formed"), ("meta".to_owned(), &b"bytes"[..]));
        assert_eq!(read(&mut from).expect("is there").0, Kind::End);
        for broken in [&b""[..], b"\x01", b"\x63\0\0\0\0", b"\x01\xff\xff\xff\xff", b"\x01\x02\0\0\0x"] {
            assert!(read(&mut &broken[..]).is_err(), "{broken:?}");
        }
        for broken in [&b""[..], b"\x09\0\0\0x", b"\x01\0\0\0{"] {
            assert!(split_message::<String>(broken).is_err(), "{broken:?}");
        }
    }
}
