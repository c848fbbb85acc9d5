//! A zone in memory, for tests: the same answers each time, and failures where they are wanted.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::{Answer, Caa, Dns, Error, Mx, Reply, Security, Soa, Srv, Tlsa};

/// Built up record by record. What was not put in does not exist.
#[derive(Debug, Clone, Default)]
pub struct Fixed {
    names: HashMap<String, Records>,
    security: HashMap<String, Security>,
}

#[derive(Debug, Clone, Default)]
struct Records {
    fails: Option<Error>,
    alias: Option<String>,
    mx: Vec<Mx>,
    ipv4: Vec<Ipv4Addr>,
    ipv6: Vec<Ipv6Addr>,
    ptr: Vec<String>,
    txt: Vec<Vec<u8>>,
    tlsa: Vec<Tlsa>,
    srv: Vec<Srv>,
    caa: Vec<Caa>,
    ns: Vec<String>,
    soa: Vec<Soa>,
}

impl Fixed {
    /// An empty zone.
    pub fn new() -> Fixed {
        Fixed::default()
    }

    /// Adds a mail exchanger; `""` or `"."` makes it a null MX.
    pub fn with_mx(mut self, name: &str, preference: u16, exchange: &str) -> Fixed {
        self.at(name).mx.push(Mx { preference, exchange: key(exchange) });
        self
    }

    /// Adds an address.
    pub fn with_address(mut self, name: &str, address: impl Into<IpAddr>) -> Fixed {
        match address.into() {
            IpAddr::V4(address) => self.at(name).ipv4.push(address),
            IpAddr::V6(address) => self.at(name).ipv6.push(address),
        }
        self
    }

    /// Adds a name that an address claims.
    pub fn with_ptr(mut self, address: impl Into<IpAddr>, name: &str) -> Fixed {
        self.at(&reverse(address.into())).ptr.push(key(name));
        self
    }

    /// Adds a TXT record.
    pub fn with_txt(mut self, name: &str, text: impl Into<Vec<u8>>) -> Fixed {
        self.at(name).txt.push(text.into());
        self
    }

    /// Adds a TLSA record; the name has its port: `_25._tcp.mx.example.test`.
    pub fn with_tlsa(mut self, name: &str, tlsa: Tlsa) -> Fixed {
        self.at(name).tlsa.push(tlsa);
        self
    }

    /// Adds a place of a service.
    pub fn with_srv(mut self, name: &str, srv: Srv) -> Fixed {
        self.at(name).srv.push(srv);
        self
    }

    /// Adds who may issue certificates.
    pub fn with_caa(mut self, name: &str, caa: Caa) -> Fixed {
        self.at(name).caa.push(caa);
        self
    }

    /// Adds a name server.
    pub fn with_ns(mut self, name: &str, server: &str) -> Fixed {
        self.at(name).ns.push(key(server));
        self
    }

    /// Makes the name the top of a zone.
    pub fn with_soa(mut self, name: &str, soa: Soa) -> Fixed {
        self.at(name).soa.push(soa);
        self
    }

    /// What DNSSEC says of answers and denials for this name and all below it, unless a name below says otherwise;
    /// `""` is the root. Without it: [`Security::Unchecked`]. The name itself need not exist for that.
    pub fn with_security(mut self, name: &str, security: Security) -> Fixed {
        self.security.insert(key(name), security);
        self
    }

    /// Makes the name an alias (CNAME).
    pub fn with_alias(mut self, name: &str, target: &str) -> Fixed {
        self.at(name).alias = Some(key(target));
        self
    }

    /// Questions about the name fail.
    pub fn with_failure(mut self, name: &str, error: Error) -> Fixed {
        self.at(name).fails = Some(error);
        self
    }

    /// Questions about the address fail.
    pub fn with_ptr_failure(self, address: impl Into<IpAddr>, error: Error) -> Fixed {
        self.with_failure(&reverse(address.into()), error)
    }

    fn at(&mut self, name: &str) -> &mut Records {
        self.names.entry(key(name)).or_default()
    }

    fn ask<T: Clone>(&self, name: &str, of: impl Fn(&Records) -> &Vec<T>) -> Result<Answer<T>, Error> {
        let mut name = checked(name)?;
        let mut security = self.security_of(&name);
        for _ in 0..MAX_ALIASES {
            let records = self.records(&name, security)?;
            if let Some(target) = &records.alias {
                name.clone_from(target);
                security = security.weaker(self.security_of(&name));
                continue;
            }
            let records = of(records).clone();
            return match records.is_empty() {
                true => Err(Error::NoData(security)),
                false => Ok(Answer { records, ttl: TTL, security, name }),
            };
        }
        Err(Error::Temporary("the aliases go in circles".into()))
    }

    fn alias(&self, name: &str) -> Result<Answer<String>, Error> {
        let name = checked(name)?;
        let security = self.security_of(&name);
        let target = self.records(&name, security)?.alias.clone().ok_or(Error::NoData(security))?;
        Ok(Answer { records: vec![target], ttl: TTL, security, name })
    }

    fn records(&self, name: &str, security: Security) -> Result<&Records, Error> {
        let Some(records) = self.names.get(name) else {
            let below = format!(".{name}");
            // A name with names below it exists, without records of its own (RFC 8020).
            let exists = self.names.keys().any(|known| known.ends_with(&below));
            return Err(if exists { Error::NoData(security) } else { Error::NoSuchName(security) });
        };
        records.fails.clone().map_or(Ok(records), Err)
    }

    /// The status of the nearest name above that has one.
    fn security_of(&self, name: &str) -> Security {
        let mut at = name;
        loop {
            if let Some(security) = self.security.get(at) {
                return *security;
            }
            at = match at.split_once('.') {
                Some((_, above)) => above,
                None if at.is_empty() => return Security::Unchecked,
                None => "",
            };
        }
    }
}

impl Dns for Fixed {
    fn mx<'a>(&'a self, name: &'a str) -> Reply<'a, Mx> {
        Box::pin(std::future::ready(self.ask(name, |records| &records.mx)))
    }

    fn ipv4<'a>(&'a self, name: &'a str) -> Reply<'a, Ipv4Addr> {
        Box::pin(std::future::ready(self.ask(name, |records| &records.ipv4)))
    }

    fn ipv6<'a>(&'a self, name: &'a str) -> Reply<'a, Ipv6Addr> {
        Box::pin(std::future::ready(self.ask(name, |records| &records.ipv6)))
    }

    fn ptr(&self, address: IpAddr) -> Reply<'_, String> {
        Box::pin(std::future::ready(self.ask(&reverse(address), |records| &records.ptr)))
    }

    fn txt<'a>(&'a self, name: &'a str) -> Reply<'a, Vec<u8>> {
        Box::pin(std::future::ready(self.ask(name, |records| &records.txt)))
    }

    fn tlsa<'a>(&'a self, name: &'a str) -> Reply<'a, Tlsa> {
        Box::pin(std::future::ready(self.ask(name, |records| &records.tlsa)))
    }

    fn srv<'a>(&'a self, name: &'a str) -> Reply<'a, Srv> {
        Box::pin(std::future::ready(self.ask(name, |records| &records.srv)))
    }

    fn caa<'a>(&'a self, name: &'a str) -> Reply<'a, Caa> {
        Box::pin(std::future::ready(self.ask(name, |records| &records.caa)))
    }

    fn ns<'a>(&'a self, name: &'a str) -> Reply<'a, String> {
        Box::pin(std::future::ready(self.ask(name, |records| &records.ns)))
    }

    fn cname<'a>(&'a self, name: &'a str) -> Reply<'a, String> {
        Box::pin(std::future::ready(self.alias(name)))
    }

    fn soa<'a>(&'a self, name: &'a str) -> Reply<'a, Soa> {
        Box::pin(std::future::ready(self.ask(name, |records| &records.soa)))
    }
}

fn checked(name: &str) -> Result<String, Error> {
    let name = key(name);
    match name.is_empty() || name.split('.').any(|label| label.is_empty() || label.len() > 63) {
        true => Err(Error::BadName(name)),
        false => Ok(name),
    }
}

fn key(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_lowercase()
}

/// The name that PTR records stand at. RFC 1035 §3.5, RFC 3596 §2.5.
fn reverse(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}

const TTL: Duration = Duration::from_secs(300);
const MAX_ALIASES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> Fixed {
        Fixed::new()
            .with_mx("Example.TEST", 10, "mx.example.test.")
            .with_mx("nomail.test", 0, ".")
            .with_address("mx.example.test", Ipv4Addr::new(192, 0, 2, 1))
            .with_address("mx.example.test", Ipv6Addr::LOCALHOST)
            .with_address("four.example.test", Ipv4Addr::new(192, 0, 2, 4))
            .with_txt("_dmarc.example.test", "v=DMARC1; p=none")
            .with_ptr(Ipv4Addr::new(192, 0, 2, 1), "MX.example.test.")
            .with_ptr(Ipv6Addr::LOCALHOST, "six.example.test")
            .with_alias("www.example.test", "mx.example.test")
            .with_alias("loop.test", "loop.test")
            .with_failure("broken.test", Error::Temporary("the server is down".into()))
    }

    #[tokio::test]
    async fn records_are_found_where_they_were_put() {
        let dns: Box<dyn Dns> = Box::new(zone());
        let mx = dns.mx("example.test.").await.expect("records").records;
        assert_eq!(mx, [Mx { preference: 10, exchange: "mx.example.test".into() }]);
        assert!(dns.mx("nomail.test").await.expect("records").records[0].is_null());
        let both: [IpAddr; 2] = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::new(192, 0, 2, 1).into()];
        assert_eq!(dns.addresses("MX.example.test").await.expect("records").records, both);
        assert_eq!(dns.addresses("www.example.test").await.expect("records").records, both);
        assert_eq!(dns.addresses("four.example.test").await.expect("one family").records.len(), 1);
        assert_eq!(dns.txt("_dmarc.example.test").await.expect("records").records, [b"v=DMARC1; p=none"]);
        assert_eq!(
            dns.ptr("::ffff:192.0.2.1".parse().expect("an address")).await.expect("records").records,
            ["mx.example.test"]
        );
        assert_eq!(dns.ptr(Ipv6Addr::LOCALHOST.into()).await.expect("records").records, ["six.example.test"]);
    }

    #[tokio::test]
    async fn what_is_not_there_says_how() {
        let dns = zone();
        assert_eq!(dns.mx("other.test").await, Err(Error::NoSuchName(Security::Unchecked)));
        assert_eq!(dns.mx("mx.example.test").await, Err(Error::NoData(Security::Unchecked)));
        assert_eq!(dns.ipv4("test").await, Err(Error::NoData(Security::Unchecked)), "names below it exist");
        assert_eq!(dns.addresses("other.test").await, Err(Error::NoSuchName(Security::Unchecked)));
        assert_eq!(dns.addresses("example.test").await, Err(Error::NoData(Security::Unchecked)));
        assert!(dns.addresses("broken.test").await.expect_err("it fails").is_temporary());
        assert!(dns.mx("loop.test").await.expect_err("it fails").is_temporary());
        assert_eq!(dns.txt("a..test").await, Err(Error::BadName("a..test".into())));
        assert_eq!(dns.ptr(Ipv4Addr::LOCALHOST.into()).await, Err(Error::NoSuchName(Security::Unchecked)));
    }
}
