//! The three messages ([MS-NLMP] §2.2.1): all integers with the low octet first, and texts where a field says.
//!
//! ```text
//! NEGOTIATE    = "NTLMSSP" %x00 type(1) flags ...
//! CHALLENGE    = "NTLMSSP" %x00 type(2) target flags challenge(8) zeros(8) information [version] payload
//! AUTHENTICATE = "NTLMSSP" %x00 type(3) lm nt domain user workstation key flags [version] [code(16)] payload
//! field        = length:u16 room:u16 offset:u32          ; from the begin of the message
//! ```
//! Invariant: nothing is read where a field points to before the field lies within the message.

use super::pairs::{self, Pairs};
use crate::Error;

/// Longest message, in octets: Windows sends some 500.
pub const MESSAGE_LIMIT: usize = 8_192;

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

/// [MS-NLMP] §2.2.2.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) u32);

impl Flags {
    pub(crate) const UNICODE: u32 = 0x1;
    pub(crate) const OEM: u32 = 0x2;
    pub(crate) const REQUEST_TARGET: u32 = 0x4;
    pub(crate) const SIGN: u32 = 0x10;
    pub(crate) const SEAL: u32 = 0x20;
    pub(crate) const NTLM: u32 = 0x200;
    pub(crate) const ANONYMOUS: u32 = 0x800;
    pub(crate) const ALWAYS_SIGN: u32 = 0x8000;
    pub(crate) const TARGET_TYPE_SERVER: u32 = 0x2_0000;
    pub(crate) const EXTENDED_SECURITY: u32 = 0x8_0000;
    pub(crate) const TARGET_INFO: u32 = 0x80_0000;
    pub(crate) const VERSION: u32 = 0x200_0000;
    pub(crate) const BITS_128: u32 = 0x2000_0000;
    pub(crate) const KEY_EXCHANGE: u32 = 0x4000_0000;
    pub(crate) const BITS_56: u32 = 0x8000_0000;

    pub(crate) fn has(self, bits: u32) -> bool {
        self.0 & bits == bits
    }
}

/// What the server calls itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    host: String,
}

impl Names {
    /// By its name in the DNS; the short name that old clients show is its first label in capitals.
    pub fn new(host: &str) -> Names {
        Names { host: host.trim_end_matches('.').to_ascii_lowercase() }
    }

    /// A NetBIOS name: of at most 15 octets.
    fn short(label: &str) -> String {
        label.to_ascii_uppercase().chars().take(NETBIOS_MAX).collect()
    }

    fn information(&self, filetime: u64) -> Vec<u8> {
        let (label, domain) = self.host.split_once('.').unwrap_or((&self.host, &self.host));
        let home = domain.split('.').next().unwrap_or_default();
        let mut pairs = Pairs::of(&[
            (pairs::DOMAIN, utf16(&Names::short(home))),
            (pairs::COMPUTER, utf16(&Names::short(label))),
            (pairs::DNS_DOMAIN, utf16(domain)),
            (pairs::DNS_COMPUTER, utf16(&self.host)),
        ]);
        // With the time, clients that can compute an integrity code do so (§3.1.5.1.2).
        pairs.set_timestamp(filetime);
        pairs.write()
    }
}

/// The CHALLENGE to a NEGOTIATE with these flags ([MS-NLMP] §3.2.5.1.1): `number` is random and used once, `unix_micros` the time.
pub fn challenge(offered: u32, names: &Names, number: [u8; 8], unix_micros: i64) -> Vec<u8> {
    let offered = Flags(offered);
    let always = Flags::NTLM | Flags::ALWAYS_SIGN | Flags::REQUEST_TARGET | Flags::TARGET_INFO;
    let echoed =
        Flags::EXTENDED_SECURITY | Flags::SIGN | Flags::SEAL | Flags::BITS_128 | Flags::BITS_56 | Flags::KEY_EXCHANGE;
    let alphabet = if offered.has(Flags::UNICODE) { Flags::UNICODE } else { Flags::OEM };
    let flags = always | Flags::TARGET_TYPE_SERVER | alphabet | (offered.0 & echoed);
    let target = Names::short(names.host.split('.').next().unwrap_or_default());
    let target = if alphabet == Flags::UNICODE { utf16(&target) } else { target.into_bytes() };
    let information = names.information(filetime(unix_micros));
    let mut out = Vec::with_capacity(CHALLENGE_HEAD + target.len() + information.len());
    out.extend_from_slice(SIGNATURE);
    out.extend(2u32.to_le_bytes());
    out.extend(Field::octets(target.len(), CHALLENGE_HEAD));
    out.extend(flags.to_le_bytes());
    out.extend(number);
    out.extend([0; 8]);
    out.extend(Field::octets(information.len(), CHALLENGE_HEAD + target.len()));
    // The version is of interest to nobody.
    out.extend([0; 8]);
    out.extend(target);
    out.extend(information);
    out
}

/// 100-nanosecond steps since 1601.
fn filetime(unix_micros: i64) -> u64 {
    u64::try_from(unix_micros).unwrap_or(0).saturating_mul(10).saturating_add(EPOCH)
}

/// The flags of a NEGOTIATE. Its names are not looked at.
pub(crate) fn negotiate(message: &[u8]) -> Result<u32, Error> {
    kind(message, 1)?;
    let flags = Flags(u32::from_le_bytes(array(message, 12)?));
    // §3.2.5.1.1: with neither alphabet there is nothing to talk in.
    if !flags.has(Flags::UNICODE) && !flags.has(Flags::OEM) {
        return Err(Error::BadMessage);
    }
    Ok(flags.0)
}

/// A CHALLENGE as a client reads it.
#[derive(Debug)]
pub(crate) struct Challenge {
    pub(crate) flags: Flags,
    pub(crate) number: [u8; 8],
    pub(crate) information: Pairs,
}

impl Challenge {
    pub(crate) fn read(message: &[u8]) -> Result<Challenge, Error> {
        kind(message, 2)?;
        let flags = Flags(u32::from_le_bytes(array(message, 20)?));
        let number = array(message, 24)?;
        let information = match flags.has(Flags::TARGET_INFO) {
            true => Pairs::read(Field::at(message, 40)?.of(message)?)?,
            false => Pairs::default(),
        };
        Ok(Challenge { flags, number, information })
    }
}

/// An AUTHENTICATE.
#[derive(Debug)]
pub(crate) struct Authenticate<'a> {
    /// The response of version 2: the proof, and what it is made over.
    pub(crate) nt: &'a [u8],
    pub(crate) domain: String,
    pub(crate) user: String,
    pub(crate) key: &'a [u8],
    pub(crate) flags: Flags,
    /// Where the payload begins.
    payload: usize,
}

impl<'a> Authenticate<'a> {
    pub(crate) fn read(message: &'a [u8]) -> Result<Authenticate<'a>, Error> {
        kind(message, 3)?;
        let flags = Flags(u32::from_le_bytes(array(message, 60)?));
        let mut fields = [Field::default(); 6];
        for (number, field) in fields.iter_mut().enumerate() {
            *field = Field::at(message, 12 + 8 * number)?;
        }
        let mut parts = [&message[..0]; 6];
        for (part, field) in parts.iter_mut().zip(&fields) {
            *part = field.of(message)?;
        }
        let starts = fields.iter().filter(|field| field.length > 0).map(|field| field.offset);
        let payload = starts.min().unwrap_or(message.len());
        if payload < AUTHENTICATE_HEAD {
            return Err(Error::BadMessage);
        }
        let [_, nt, domain, user, _, key] = parts;
        let text = |octets| if flags.has(Flags::UNICODE) { of_utf16(octets) } else { of_ascii(octets) };
        Ok(Authenticate { nt, domain: text(domain)?, user: text(user)?, key, flags, payload })
    }

    /// The integrity code, where there is room for one before the payload.
    pub(crate) fn code(&self, message: &[u8]) -> Option<[u8; 16]> {
        if self.payload < CODE_AT + 16 { None } else { array(message, CODE_AT).ok() }
    }

    /// The message as the code is computed over it.
    pub(crate) fn without_code(message: &[u8]) -> Vec<u8> {
        let mut message = message.to_vec();
        if let Some(code) = message.get_mut(CODE_AT..CODE_AT + 16) {
            code.fill(0);
        }
        message
    }
}

/// Where a text or a blob is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Field {
    length: usize,
    offset: usize,
}

impl Field {
    fn at(message: &[u8], at: usize) -> Result<Field, Error> {
        let length = usize::from(u16::from_le_bytes(array(message, at)?));
        let offset = u32::from_le_bytes(array(message, at + 4)?);
        Ok(Field { length, offset: usize::try_from(offset).map_err(|_| Error::BadMessage)? })
    }

    /// What it points to; an empty one points nowhere.
    fn of<'a>(&self, message: &'a [u8]) -> Result<&'a [u8], Error> {
        if self.length == 0 {
            return Ok(&[]);
        }
        let end = self.offset.checked_add(self.length).ok_or(Error::BadMessage)?;
        message.get(self.offset..end).ok_or(Error::BadMessage)
    }

    pub(crate) fn octets(length: usize, offset: usize) -> [u8; 8] {
        let length = u16::try_from(length).unwrap_or(0).to_le_bytes();
        let offset = u32::try_from(offset).unwrap_or(0).to_le_bytes();
        let mut out = [0; 8];
        out[..2].copy_from_slice(&length);
        out[2..4].copy_from_slice(&length);
        out[4..].copy_from_slice(&offset);
        out
    }
}

/// Signature and number of a message that is not too long.
fn kind(message: &[u8], number: u32) -> Result<(), Error> {
    if message.len() > MESSAGE_LIMIT {
        return Err(Error::TooLong);
    }
    match message.starts_with(SIGNATURE) && array(message, 8)? == number.to_le_bytes() {
        true => Ok(()),
        false => Err(Error::BadMessage),
    }
}

fn array<const N: usize>(message: &[u8], at: usize) -> Result<[u8; N], Error> {
    message.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(Error::BadMessage)
}

pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn of_utf16(octets: &[u8]) -> Result<String, Error> {
    let (units, []) = octets.as_chunks::<2>() else { return Err(Error::BadMessage) };
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    proper(text.map_err(|_| Error::BadMessage)?)
}

/// Which of the many alphabets of old an octet above 127 is meant in, nobody says.
fn of_ascii(octets: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(octets).ok().filter(|text| text.is_ascii());
    proper(text.ok_or(Error::BadMessage)?.to_owned())
}

fn proper(text: String) -> Result<String, Error> {
    if text.contains(char::is_control) { Err(Error::BadMessage) } else { Ok(text) }
}

/// Octets of a CHALLENGE before its payload.
const CHALLENGE_HEAD: usize = 56;
/// Octets of an AUTHENTICATE before its payload, at least: old clients have neither version nor code.
const AUTHENTICATE_HEAD: usize = 64;
/// Where the integrity code is, when there is one.
const CODE_AT: usize = 72;
/// Longest NetBIOS name.
const NETBIOS_MAX: usize = 15;
/// 1970 as a FILETIME.
const EPOCH: u64 = 116_444_736_000_000_000;
