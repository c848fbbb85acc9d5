//! Names to records: the resolver behind a trait of ours, and the fixed zone for tests.
//!
//! It never decides what an answer means for mail: callers get typed records or a typed reason why there are none.
//! DNSSEC is not looked at yet; [`Answer`] is where its status will stand.
//!
//! Standards: RFC 1034 and 1035, RFC 2308 (no name, no data), RFC 3596 (AAAA), RFC 6891 (EDNS), RFC 7505 (null MX).

mod fixed;
mod resolver;
mod unset;

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::time::Duration;

pub use fixed::Fixed;
pub use resolver::{Resolver, Settings};
pub use unset::Unset;

/// Asks for records. Names are host names in ASCII or Unicode, with or without the final dot; they are always
/// complete: no search list is applied. Object-safe, so that callers hold an `Arc<dyn Dns>`.
pub trait Dns: Send + Sync + 'static {
    /// The mail exchangers of a domain, in no particular order. RFC 5321 §5.1.
    fn mx<'a>(&'a self, name: &'a str) -> Reply<'a, Mx>;

    /// IPv4 addresses.
    fn ipv4<'a>(&'a self, name: &'a str) -> Reply<'a, Ipv4Addr>;

    /// IPv6 addresses.
    fn ipv6<'a>(&'a self, name: &'a str) -> Reply<'a, Ipv6Addr>;

    /// The names that an address claims for itself; lower case, ASCII, without the final dot.
    fn ptr(&self, address: IpAddr) -> Reply<'_, String>;

    /// TXT records, the strings of each joined without a separator. RFC 7208 §3.3.
    fn txt<'a>(&'a self, name: &'a str) -> Reply<'a, Vec<u8>>;

    /// Addresses of both families, asked for at once, IPv6 first. An answer for one family is an answer.
    fn addresses<'a>(&'a self, name: &'a str) -> Reply<'a, IpAddr> {
        Box::pin(async move {
            let (six, four) = tokio::join!(self.ipv6(name), self.ipv4(name));
            match (six, four) {
                (Ok(six), Ok(four)) => {
                    let ttl = six.ttl.min(four.ttl);
                    let records = six.records.into_iter().map(IpAddr::V6);
                    Ok(Answer { records: records.chain(four.records.into_iter().map(IpAddr::V4)).collect(), ttl })
                }
                (Ok(six), Err(_)) => Ok(six.map(IpAddr::V6)),
                (Err(_), Ok(four)) => Ok(four.map(IpAddr::V4)),
                (Err(six), Err(four)) => Err(graver(six, four)),
            }
        })
    }
}

/// An answer on its way.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<Answer<T>, Error>> + Send + 'a>>;

/// Records of one type, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// The records.
    pub records: Vec<T>,
    /// How long they may be kept.
    pub ttl: Duration,
}

impl<T> Answer<T> {
    fn map<U>(self, to: impl FnMut(T) -> U) -> Answer<U> {
        Answer { records: self.records.into_iter().map(to).collect(), ttl: self.ttl }
    }
}

/// A mail exchanger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// The host; lower case, ASCII, without the final dot. Empty in a null MX.
    pub exchange: String,
}

impl Mx {
    /// RFC 7505 §3: `MX 0 .`, alone, says that the domain takes no mail.
    pub fn is_null(&self) -> bool {
        self.exchange.is_empty()
    }
}

/// Why there are no records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The name does not exist (NXDOMAIN). RFC 2308 §2.1.
    NoSuchName,
    /// The name exists, but not with records of that type. RFC 2308 §2.2.
    NoData,
    /// No answer now: ask again later. The text is for logs and traces.
    Temporary(String),
    /// DNSSEC says that the answer is forged or the zone is broken: as good as no answer, but worth telling.
    Bogus(String),
    /// What was asked for is not a name.
    BadName(String),
}

impl Error {
    /// Whether the same question may be answered later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Error::Temporary(_) | Error::Bogus(_) => true,
            Error::NoSuchName | Error::NoData | Error::BadName(_) => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoSuchName => f.write_str("the name does not exist"),
            Error::NoData => f.write_str("the name has no such record"),
            Error::Temporary(why) => write!(f, "the DNS does not answer: {why}"),
            Error::Bogus(why) => write!(f, "the DNS answer is not to be trusted: {why}"),
            Error::BadName(name) => write!(f, "not a domain name: {name:?}"),
        }
    }
}

impl std::error::Error for Error {}

/// Of two failures for one name the one that must not be overlooked.
fn graver(one: Error, other: Error) -> Error {
    let gravity = |error: &Error| match error {
        Error::Bogus(_) => 4,
        Error::Temporary(_) => 3,
        Error::BadName(_) => 2,
        Error::NoData => 1,
        Error::NoSuchName => 0,
    };
    if gravity(&one) >= gravity(&other) { one } else { other }
}
