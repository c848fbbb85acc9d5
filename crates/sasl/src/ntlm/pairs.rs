//! AV_PAIR lists ([MS-NLMP] §2.2.2.1): `*(AvId:u16 AvLen:u16 value) MsvAvEOL`.

use crate::Error;

/// Server's computer, domain, and both in DNS.
pub(super) const COMPUTER: u16 = 1;
pub(super) const DOMAIN: u16 = 2;
pub(super) const DNS_COMPUTER: u16 = 3;
pub(super) const DNS_DOMAIN: u16 = 4;
/// Flags, 32 bits: [`INTEGRITY`] is of interest.
const FLAGS: u16 = 6;
/// The server's time as a FILETIME.
const TIMESTAMP: u16 = 7;
/// What the client is bound to.
const BINDINGS: u16 = 10;
const END: u16 = 0;

/// The client says that its message has an integrity code.
const INTEGRITY: u32 = 2;

/// Most pairs of a list: there are eleven kinds.
const PAIRS_MAX: usize = 32;

/// A list, read as far as its end; what is behind that belongs to nobody ([MS-NLMP] appendix A <30>).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Pairs(Vec<(u16, Vec<u8>)>);

impl Pairs {
    pub(crate) fn read(mut octets: &[u8]) -> Result<Pairs, Error> {
        let mut pairs = Vec::new();
        loop {
            let (id, rest) = octets.split_first_chunk::<2>().ok_or(Error::BadMessage)?;
            let (length, rest) = rest.split_first_chunk::<2>().ok_or(Error::BadMessage)?;
            let (id, length) = (u16::from_le_bytes(*id), usize::from(u16::from_le_bytes(*length)));
            if id == END {
                return Ok(Pairs(pairs));
            }
            let (value, rest) = rest.split_at_checked(length).ok_or(Error::BadMessage)?;
            if pairs.len() == PAIRS_MAX || pairs.iter().any(|(other, _)| *other == id) {
                return Err(Error::BadMessage);
            }
            pairs.push((id, value.to_vec()));
            octets = rest;
        }
    }

    pub(super) fn of(pairs: &[(u16, Vec<u8>)]) -> Pairs {
        Pairs(pairs.to_vec())
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (id, value) in &self.0 {
            out.extend(id.to_le_bytes());
            out.extend(u16::try_from(value.len()).unwrap_or(0).to_le_bytes());
            out.extend(value);
        }
        out.extend([0; 4]);
        out
    }

    fn value<const N: usize>(&self, id: u16) -> Result<Option<[u8; N]>, Error> {
        match self.0.iter().find(|(other, _)| *other == id) {
            None => Ok(None),
            Some((_, value)) => value.as_slice().try_into().map(Some).map_err(|_| Error::BadMessage),
        }
    }

    /// Whether the client promises an integrity code.
    pub(crate) fn promises_integrity(&self) -> Result<bool, Error> {
        let flags = self.value(FLAGS)?.map_or(0, u32::from_le_bytes);
        Ok(flags & INTEGRITY != 0)
    }

    /// The time, if it is there.
    pub(crate) fn timestamp(&self) -> Result<Option<[u8; 8]>, Error> {
        self.value(TIMESTAMP)
    }

    /// What the client is bound to; zeros are nothing.
    pub(crate) fn bindings(&self) -> Result<Option<[u8; 16]>, Error> {
        Ok(self.value(BINDINGS)?.filter(|hash| *hash != [0; 16]))
    }

    /// With the server's time.
    pub(super) fn set_timestamp(&mut self, filetime: u64) {
        self.set(TIMESTAMP, filetime.to_le_bytes().to_vec());
    }

    /// With the promise of an integrity code.
    pub(crate) fn promise_integrity(&mut self) -> Result<(), Error> {
        let flags = self.value(FLAGS)?.map_or(0, u32::from_le_bytes) | INTEGRITY;
        self.set(FLAGS, flags.to_le_bytes().to_vec());
        Ok(())
    }

    /// With what the client is bound to.
    pub(crate) fn bind(&mut self, hash: &[u8; 16]) {
        self.set(BINDINGS, hash.to_vec());
    }

    fn set(&mut self, id: u16, value: Vec<u8>) {
        self.0.retain(|(other, _)| *other != id);
        self.0.push((id, value));
    }
}
