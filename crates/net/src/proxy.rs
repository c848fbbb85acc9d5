//! The PROXY protocol, versions 1 and 2 (receiver's side): what a proxy in front of us says about the client.
//!
//! A pure parser over the first bytes, and its reader, which takes not one byte beyond the header. It never decides
//! whom to believe: that is the listener's `proxy` setting.
//! Standard: "The PROXY protocol", Willy Tarreau, HAProxy, revision 2020/03/05.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use tokio::io::{AsyncRead, AsyncReadExt};

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The proxy speaks for itself (health checks) or does not know: the connection's own addresses hold.
    Own,
    /// The client and the address it reached.
    Forwarded {
        /// The client.
        source: SocketAddr,
        /// The address that the client reached.
        destination: SocketAddr,
    },
}

/// The outcome of looking at the first bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// So far so good; so many more bytes belong to the header for certain.
    More(usize),
    /// A whole header of so many bytes.
    Header(Header, usize),
    /// Not a header. The connection is to be closed.
    Malformed(&'static str),
}

/// Looks at the first bytes of a connection.
pub fn parse(bytes: &[u8]) -> Parsed {
    let begins = |prefix: &[u8]| {
        let shown = bytes.len().min(prefix.len());
        bytes[..shown] == prefix[..shown]
    };
    match (begins(SIGNATURE), begins(PREFIX)) {
        (false, false) => Parsed::Malformed("the connection does not begin with a PROXY header"),
        // No header of either version is shorter than the signature.
        _ if bytes.len() < SIGNATURE.len() => Parsed::More(SIGNATURE.len() - bytes.len()),
        (true, _) => version_2(bytes),
        (false, true) => version_1(bytes),
    }
}

/// Reads one header, to its last byte and no further. The caller limits the time.
pub async fn read(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<Header> {
    let mut bytes = Vec::new();
    loop {
        match parse(&bytes) {
            Parsed::Header(header, _) => return Ok(header),
            Parsed::Malformed(what) => return Err(io::Error::new(io::ErrorKind::InvalidData, what)),
            Parsed::More(count) => {
                let read = bytes.len();
                bytes.resize(read + count, 0);
                socket.read_exact(&mut bytes[read..]).await?;
            }
        }
    }
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 25` CRLF.
fn version_1(bytes: &[u8]) -> Parsed {
    let line = &bytes[..bytes.len().min(LINE_MAX)];
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < LINE_MAX { Parsed::More(1) } else { Parsed::Malformed("the line is too long") };
    };
    match line_1(&line[PREFIX.len()..end]) {
        Some(header) => Parsed::Header(header, end + 2),
        None => Parsed::Malformed("the line is not as version 1 has it"),
    }
}

fn line_1(line: &[u8]) -> Option<Header> {
    let line = str::from_utf8(line).ok()?;
    // "PROXY UNKNOWN": what follows up to CRLF is to be ignored.
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Some(Header::Own);
    }
    let mut words = line.split(' ');
    let family = words.next()?;
    let (source, destination) = (words.next()?, words.next()?);
    let (source_port, destination_port) = (port(words.next()?)?, port(words.next()?)?);
    if words.next().is_some() {
        return None;
    }
    fn addresses<A: FromStr + Into<IpAddr>>(source: &str, destination: &str) -> Option<(IpAddr, IpAddr)> {
        Some((source.parse::<A>().ok()?.into(), destination.parse::<A>().ok()?.into()))
    }
    let (source, destination) = match family {
        "TCP4" => addresses::<Ipv4Addr>(source, destination)?,
        "TCP6" => addresses::<Ipv6Addr>(source, destination)?,
        _ => return None,
    };
    Some(Header::Forwarded {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    })
}

/// Decimal digits without leading zeros.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    if plain { word.parse().ok() } else { None }
}

fn version_2(bytes: &[u8]) -> Parsed {
    let Some((head, _)) = bytes.split_first_chunk::<HEAD>() else {
        return Parsed::More(HEAD - bytes.len());
    };
    let [.., version_command, family, high, low] = *head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if version_command >> 4 != 2 {
        return Parsed::Malformed("the version is neither 1 nor 2");
    }
    if length > BODY_MAX {
        return Parsed::Malformed("the header is too long");
    }
    let body = &bytes[HEAD..];
    if body.len() < length {
        return Parsed::More(length - body.len());
    }
    // What follows the addresses are type-length-value extras, of which we use none.
    let body = &body[..length];
    let header = match (version_command & 0x0f, family) {
        // LOCAL: "the receiver must use the real connection endpoints", whatever family is named.
        (0, _) => Some(Header::Own),
        // PROXY of an unspecified family or of Unix sockets: no address that we could use.
        (1, 0x00 | 0x31) => Some(Header::Own),
        (1, 0x11) => forwarded::<4>(body),
        (1, 0x21) => forwarded::<16>(body),
        // Datagrams, and values that are not assigned ("must be rejected").
        _ => None,
    };
    match header {
        Some(header) => Parsed::Header(header, HEAD + length),
        None => Parsed::Malformed("the command, the family or the length is not as version 2 has it"),
    }
}

fn forwarded<const N: usize>(body: &[u8]) -> Option<Header>
where
    IpAddr: From<[u8; N]>,
{
    let (source, body) = body.split_first_chunk::<N>()?;
    let (destination, body) = body.split_first_chunk::<N>()?;
    let (source_port, body) = body.split_first_chunk::<2>()?;
    let (destination_port, _) = body.split_first_chunk::<2>()?;
    Some(Header::Forwarded {
        source: SocketAddr::new(IpAddr::from(*source), u16::from_be_bytes(*source_port)),
        destination: SocketAddr::new(IpAddr::from(*destination), u16::from_be_bytes(*destination_port)),
    })
}

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const PREFIX: &[u8] = b"PROXY ";

/// Signature, version and command, family, length.
const HEAD: usize = 16;

/// The longest line of version 1, CRLF included.
const LINE_MAX: usize = 107;

/// The longest body of version 2 that we take: addresses and a generous amount of extras.
const BODY_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(version_command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([version_command, family]);
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn forwarded(source: &str, destination: &str) -> Header {
        let parse = |text: &str| text.parse().expect("an address");
        Header::Forwarded { source: parse(source), destination: parse(destination) }
    }

    fn good() -> Vec<(Vec<u8>, Header)> {
        let four = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0, 25];
        let mut with_extras = four.to_vec();
        with_extras.extend([0x04, 0, 3, 1, 2, 3, 0x20, 0, 0]);
        let mut six = [0; 36];
        (six[15], six[31], six[33], six[35]) = (1, 2, 7, 25);
        vec![
            (
                b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n".to_vec(),
                forwarded("192.0.2.1:56324", "198.51.100.2:25"),
            ),
            (
                b"PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n".to_vec(),
                forwarded("[2001:db8::1]:0", "[2001:db8::2]:65535"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), Header::Own),
            (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(), Header::Own),
            (v2(0x21, 0x11, &four), forwarded("192.0.2.1:56324", "198.51.100.2:25")),
            (v2(0x21, 0x11, &with_extras), forwarded("192.0.2.1:56324", "198.51.100.2:25")),
            (v2(0x21, 0x21, &six), forwarded("[::1]:7", "[::2]:25")),
            (v2(0x20, 0x00, b""), Header::Own),
            (v2(0x20, 0x11, &four), Header::Own),
            (v2(0x21, 0x00, b"whatever"), Header::Own),
            (v2(0x21, 0x31, &[0; 216]), Header::Own),
        ]
    }

    #[test]
    fn headers_are_read_to_their_last_byte() {
        for (bytes, header) in good() {
            let mut more = bytes.clone();
            more.extend(b"EHLO client.example\r\n");
            assert_eq!(parse(&more), Parsed::Header(header, bytes.len()), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_part_of_a_header_asks_for_no_more_than_the_rest() {
        for (bytes, _) in good() {
            for end in 0..bytes.len() {
                match parse(&bytes[..end]) {
                    Parsed::More(count) => assert!((1..=bytes.len() - end).contains(&count), "{end}"),
                    other => panic!("{other:?} after {end} bytes of {}", bytes.escape_ascii()),
                }
            }
        }
    }

    #[test]
    fn what_is_not_a_header_is_refused() {
        let mut long = b"PROXY UNKNOWN ".to_vec();
        long.resize(LINE_MAX, b'x');
        let bad: Vec<Vec<u8>> = vec![
            b"EHLO client.example\r\n".to_vec(),
            b"PROXY".to_vec().into_iter().chain(*b"\r\n").collect(),
            b"PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 25 \r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1  198.51.100.2 56324 25\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 65536\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.2 +5 25\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.2 05 25\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.256 198.51.100.2 5 25\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 2001:db8::2 5 25\r\n".to_vec(),
            b"PROXY TCP6 192.0.2.1 198.51.100.2 5 25\r\n".to_vec(),
            b"PROXY TCP5 192.0.2.1 198.51.100.2 5 25\r\n".to_vec(),
            b"PROXY UNKNOWNS\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1\xff 198.51.100.2 5 25\r\n".to_vec(),
            long,
            v2(0x11, 0x11, &[0; 12]),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x12, &[0; 12]),
            v2(0x21, 0x41, &[0; 12]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x21, &[0; 35]),
            v2(0x21, 0x11, &[0; BODY_MAX + 1]),
        ];
        for bytes in bad {
            assert!(matches!(parse(&bytes), Parsed::Malformed(_)), "{}", bytes.escape_ascii());
        }
    }

    #[tokio::test]
    async fn the_reader_leaves_what_follows() {
        for (bytes, header) in good() {
            let mut whole = bytes.clone();
            whole.extend(b"rest");
            let mut socket = whole.as_slice();
            assert_eq!(read(&mut socket).await.expect("a header"), header);
            assert_eq!(socket, b"rest");
        }
        let mut cut: &[u8] = b"PROXY TCP4 192.0";
        assert_eq!(read(&mut cut).await.expect_err("cut").kind(), io::ErrorKind::UnexpectedEof);
    }
}
