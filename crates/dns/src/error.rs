//! Why there are no records.

use std::fmt;

use crate::Security;

/// Why there are no records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The name does not exist (NXDOMAIN, RFC 2308 §2.1), and whether DNSSEC proves it.
    NoSuchName(Security),
    /// The name exists, but not with records of that type (RFC 2308 §2.2), and whether DNSSEC proves it.
    NoData(Security),
    /// No answer now: ask again later. The text is for logs and traces.
    Temporary(String),
    /// DNSSEC says that the answer is forged or the zone is broken: as good as no answer, but worth telling.
    /// The text says what is known of the reason.
    Bogus(String),
    /// What was asked for is not a name.
    BadName(String),
}

impl Error {
    /// Whether the same question may be answered later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Error::Temporary(_) | Error::Bogus(_) => true,
            Error::NoSuchName(_) | Error::NoData(_) | Error::BadName(_) => false,
        }
    }

    /// Whether the DNS answered that there are no such records: the name is missing, or only these records.
    pub fn is_denial(&self) -> bool {
        match self {
            Error::NoSuchName(_) | Error::NoData(_) => true,
            Error::Temporary(_) | Error::Bogus(_) | Error::BadName(_) => false,
        }
    }

    /// What DNSSEC says of a denial; [`Security::Unchecked`] for what is none.
    pub fn security(&self) -> Security {
        match self {
            Error::NoSuchName(security) | Error::NoData(security) => *security,
            Error::Temporary(_) | Error::Bogus(_) | Error::BadName(_) => Security::Unchecked,
        }
    }

    /// Of two failures for one name the one that must not be overlooked; of two alike, what both vouch for.
    pub(crate) fn or_graver(self, other: Error) -> Error {
        match (self, other) {
            (Error::NoSuchName(one), Error::NoSuchName(other)) => Error::NoSuchName(one.weaker(other)),
            (Error::NoData(one), Error::NoData(other)) => Error::NoData(one.weaker(other)),
            (one, other) if one.gravity() >= other.gravity() => one,
            (_, other) => other,
        }
    }

    fn gravity(&self) -> u8 {
        match self {
            Error::Bogus(_) => 4,
            Error::Temporary(_) => 3,
            Error::BadName(_) => 2,
            Error::NoData(_) => 1,
            Error::NoSuchName(_) => 0,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoSuchName(_) => f.write_str("the name does not exist"),
            Error::NoData(_) => f.write_str("the name has no such record"),
            Error::Temporary(why) => write!(f, "the DNS does not answer: {why}"),
            Error::Bogus(why) => write!(f, "the DNS answer is not to be trusted: {why}"),
            Error::BadName(name) => write!(f, "not a domain name: {name:?}"),
        }
    }
}

impl std::error::Error for Error {}
