//! Names to records: the resolver behind a trait of ours, and the fixed zone for tests.
//!
//! It never decides what an answer means for mail: callers get typed records or a typed reason why there are none, and
//! with both whether DNSSEC vouches for them ([`Security`]). [`update`] changes zones.
//!
//! Standards: RFC 1034 and 1035, RFC 2308 (no name, no data), RFC 3596 (AAAA), RFC 4033 to 4035 (DNSSEC), RFC 6698 (TLSA),
//! RFC 6891 (EDNS), RFC 7505 (null MX), RFC 8659 (CAA), RFC 9520 (failures are kept too).

mod ability;
mod cache;
mod chain;
mod error;
mod exchange;
mod fixed;
mod read;
pub mod records;
mod resolver;
mod settings;
mod unset;
pub mod update;
mod validate;
mod write;
mod zone;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::time::Duration;

pub use error::Error;
pub use fixed::Fixed;
pub use records::{Caa, Mx, Soa, Srv, Tlsa};
pub use resolver::Resolver;
pub use settings::{Dnssec, Settings};
pub use unset::Unset;
pub use zone::zone_of;

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

    /// What a server's certificate must be. RFC 6698; the name has its port and protocol: `_25._tcp.mx.example.org`.
    fn tlsa<'a>(&'a self, name: &'a str) -> Reply<'a, Tlsa>;

    /// Where a service is. RFC 2782; `_imaps._tcp.example.org`.
    fn srv<'a>(&'a self, name: &'a str) -> Reply<'a, Srv>;

    /// Who may issue certificates for this very name; climbing to its parents is the caller's. RFC 8659 §3.
    fn caa<'a>(&'a self, name: &'a str) -> Reply<'a, Caa>;

    /// The name servers of a zone; `NoData` for a name that is not the top of one.
    fn ns<'a>(&'a self, name: &'a str) -> Reply<'a, String>;

    /// The alias itself: what the name stands for, not followed. Lower case, ASCII, without the final dot.
    fn cname<'a>(&'a self, name: &'a str) -> Reply<'a, String>;

    /// The start of authority of a zone; `NoData` for a name that is not the top of one.
    fn soa<'a>(&'a self, name: &'a str) -> Reply<'a, Soa>;

    /// Addresses of both families, asked for at once, IPv6 first. An answer for one family is an answer.
    fn addresses<'a>(&'a self, name: &'a str) -> Reply<'a, IpAddr> {
        Box::pin(async move {
            let (six, four) = tokio::join!(self.ipv6(name), self.ipv4(name));
            match (six, four) {
                (Ok(six), Ok(four)) => {
                    let ttl = six.ttl.min(four.ttl);
                    let security = six.security.weaker(four.security);
                    let records = six.records.into_iter().map(IpAddr::V6);
                    let records = records.chain(four.records.into_iter().map(IpAddr::V4)).collect();
                    Ok(Answer { records, ttl, security, name: four.name })
                }
                (Ok(six), Err(_)) => Ok(six.map(IpAddr::V6)),
                (Err(_), Ok(four)) => Ok(four.map(IpAddr::V4)),
                (Err(six), Err(four)) => Err(six.or_graver(four)),
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
    /// What DNSSEC says of them, and of each alias that led to them.
    pub security: Security,
    /// Whose records they are: the name that was asked for, or what its aliases (CNAME) led to. Lower case, ASCII,
    /// without the final dot.
    pub name: String,
}

impl<T> Answer<T> {
    fn map<U>(self, to: impl FnMut(T) -> U) -> Answer<U> {
        let Answer { records, ttl, security, name } = self;
        Answer { records: records.into_iter().map(to).collect(), ttl, security, name }
    }
}

/// What DNSSEC says of an answer, or of a denial. What it calls forged ("bogus") is never an answer: [`Error::Bogus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Security {
    /// Signed, and the signatures lead to the trust anchor. RFC 4035 §4.3.
    Secure,
    /// Proven to be in a zone that is not signed.
    Insecure,
    /// Nobody looked: the name servers give no DNSSEC, or it is switched off. To be treated like [`Security::Insecure`].
    Unchecked,
}

impl Security {
    /// Whether DNSSEC vouches for it.
    pub fn is_secure(self) -> bool {
        self == Security::Secure
    }

    /// Of both together.
    pub fn weaker(self, other: Security) -> Security {
        match (self, other) {
            (Security::Unchecked, _) | (_, Security::Unchecked) => Security::Unchecked,
            (Security::Insecure, _) | (_, Security::Insecure) => Security::Insecure,
            (Security::Secure, Security::Secure) => Security::Secure,
        }
    }
}
