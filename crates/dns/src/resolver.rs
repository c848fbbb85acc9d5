//! The resolver for real names: asks the configured servers, keeps answers for their time.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{TokioResolver, system_conf};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::{Answer, Caa, Dns, Error, Mx, Reply, Security, Soa, Srv, Tlsa};

/// Whose word is taken for what DNSSEC says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dnssec {
    /// [`Dnssec::TrustAd`] when every server is on this machine, else [`Dnssec::Validate`] for what decides where mail goes,
    /// unless the servers give no DNSSEC.
    #[default]
    Auto,
    /// We check all signatures ourselves.
    Validate,
    /// The servers validate, and the way to them is safe: their AD bit is believed. RFC 4035 §3.2.3.
    TrustAd,
    /// Nobody looks.
    Off,
}

/// Limits of a resolver.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose word is taken for what DNSSEC says.
    pub dnssec: Dnssec,
    /// A file with the root's keys (`. IN DNSKEY …`, a master file); none: those that IANA publishes.
    pub trust_anchor: Option<PathBuf>,
    /// For each packet sent.
    pub timeout: Duration,
    /// How often a question is asked before giving up.
    pub attempts: usize,
    /// For a whole question, aliases and waiting for a place included.
    pub deadline: Duration,
    /// Answers kept.
    pub cached_answers: u64,
    /// Questions on their way at a time; more wait.
    pub questions: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            dnssec: Dnssec::Auto,
            trust_anchor: None,
            timeout: Duration::from_secs(5),
            attempts: 2,
            deadline: Duration::from_secs(20),
            cached_answers: 16_384,
            questions: 256,
        }
    }
}

/// Asks name servers that resolve for us (stub resolver).
#[derive(Debug)]
pub struct Resolver {
    inner: TokioResolver,
    settings: Settings,
    places: Semaphore,
}

impl Resolver {
    /// Asks the servers of `/etc/resolv.conf`.
    pub fn system(settings: Settings) -> Result<Resolver, Error> {
        let (config, options) = system_conf::read_system_conf()
            .map_err(|error| Error::Temporary(format!("/etc/resolv.conf cannot be used: {error}")))?;
        Resolver::build(config.name_servers, options, settings)
    }

    /// Asks these servers.
    pub fn with(servers: &[SocketAddr], settings: Settings) -> Result<Resolver, Error> {
        let servers = servers.iter().map(|server| {
            let mut config = NameServerConfig::udp_and_tcp(server.ip());
            for connection in &mut config.connections {
                connection.port = server.port();
            }
            config
        });
        Resolver::build(servers.collect(), ResolverOpts::default(), settings)
    }

    /// Asks this one server, with the usual limits.
    pub fn at(server: SocketAddr) -> Result<Resolver, Error> {
        Resolver::with(&[server], Settings::default())
    }

    fn build(servers: Vec<NameServerConfig>, mut options: ResolverOpts, settings: Settings) -> Result<Resolver, Error> {
        if servers.is_empty() {
            return Err(Error::Temporary("no name server is configured".into()));
        }
        options.timeout = settings.timeout;
        options.attempts = settings.attempts;
        options.cache_size = settings.cached_answers;
        // TXT and DNSSEC answers are often larger than the 512 bytes of plain UDP.
        options.edns0 = true;
        let config = ResolverConfig::from_name_servers(servers);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let inner = builder.build().map_err(|error| Error::Temporary(error.to_string()))?;
        let places = Semaphore::new(settings.questions);
        Ok(Resolver { inner, settings, places })
    }

    /// Whether the servers answer at all, within a few seconds.
    pub async fn answers(&self) -> Result<(), Error> {
        // The root's servers: a name that exists wherever there is a DNS.
        let asked = timeout(CHECK, self.ask(Ok(Name::root()), RecordType::NS, |_| Some(()))).await;
        match asked {
            // "No" is an answer too.
            Ok(Ok(_) | Err(Error::NoData(_) | Error::NoSuchName(_))) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::Temporary(format!("no answer within {} s", CHECK.as_secs()))),
        }
    }

    async fn ask<T>(
        &self,
        name: Result<Name, Error>,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Result<Answer<T>, Error> {
        let name = name?;
        let asked = timeout(self.settings.deadline, async {
            // Never closed.
            let _place = self.places.acquire().await;
            self.inner.lookup(name.clone(), kind).await
        });
        let found = match asked.await {
            Ok(Ok(lookup)) => answer(&lookup, pick),
            Ok(Err(error)) => Err(failure(&error, &name, kind)),
            Err(_) => Err(Error::Temporary(format!("no answer in time, asked for {name} {kind}"))),
        };
        if let Err(error) = &found
            && error.is_temporary()
        {
            tracing::debug!(%error, "look-up failed");
        }
        found
    }
}

impl Dns for Resolver {
    fn mx<'a>(&'a self, name: &'a str) -> Reply<'a, Mx> {
        Box::pin(self.ask(parse(name), RecordType::MX, |data| match data {
            RData::MX(mx) => Some(Mx { preference: mx.preference, exchange: host(&mx.exchange) }),
            _ => None,
        }))
    }

    fn ipv4<'a>(&'a self, name: &'a str) -> Reply<'a, Ipv4Addr> {
        Box::pin(self.ask(parse(name), RecordType::A, |data| match data {
            RData::A(address) => Some(address.0),
            _ => None,
        }))
    }

    fn ipv6<'a>(&'a self, name: &'a str) -> Reply<'a, Ipv6Addr> {
        Box::pin(self.ask(parse(name), RecordType::AAAA, |data| match data {
            RData::AAAA(address) => Some(address.0),
            _ => None,
        }))
    }

    fn ptr(&self, address: IpAddr) -> Reply<'_, String> {
        let name = Name::from(address.to_canonical());
        Box::pin(self.ask(Ok(name), RecordType::PTR, |data| match data {
            RData::PTR(name) => Some(host(&name.0)).filter(|name| !name.is_empty()),
            _ => None,
        }))
    }

    fn txt<'a>(&'a self, name: &'a str) -> Reply<'a, Vec<u8>> {
        Box::pin(self.ask(parse(name), RecordType::TXT, |data| match data {
            RData::TXT(text) => Some(text.txt_data.concat()),
            _ => None,
        }))
    }

    fn tlsa<'a>(&'a self, name: &'a str) -> Reply<'a, Tlsa> {
        Box::pin(self.ask(parse(name), RecordType::TLSA, |_| None))
    }

    fn srv<'a>(&'a self, name: &'a str) -> Reply<'a, Srv> {
        Box::pin(self.ask(parse(name), RecordType::SRV, |_| None))
    }

    fn caa<'a>(&'a self, name: &'a str) -> Reply<'a, Caa> {
        Box::pin(self.ask(parse(name), RecordType::CAA, |_| None))
    }

    fn ns<'a>(&'a self, name: &'a str) -> Reply<'a, String> {
        Box::pin(self.ask(parse(name), RecordType::NS, |_| None))
    }

    fn cname<'a>(&'a self, name: &'a str) -> Reply<'a, String> {
        Box::pin(self.ask(parse(name), RecordType::CNAME, |_| None))
    }

    fn soa<'a>(&'a self, name: &'a str) -> Reply<'a, Soa> {
        Box::pin(self.ask(parse(name), RecordType::SOA, |_| None))
    }
}

fn parse(text: &str) -> Result<Name, Error> {
    let bad = || Error::BadName(text.to_owned());
    // ASCII is taken as it is: `_dmarc` is a name although no host may be called so.
    let parsed = if text.is_ascii() { Name::from_ascii(text) } else { Name::from_utf8(text) };
    let mut name = parsed.map_err(|_| bad())?;
    if name.num_labels() == 0 {
        return Err(bad());
    }
    name.set_fqdn(true);
    Ok(name)
}

fn host(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

fn answer<T>(lookup: &Lookup, pick: impl Fn(&RData) -> Option<T>) -> Result<Answer<T>, Error> {
    // Aliases are among the answers too; the type tells them from what was asked for.
    let records: Vec<T> = lookup.answers().iter().filter_map(|record| pick(&record.data)).take(MAX_RECORDS).collect();
    if records.is_empty() {
        return Err(Error::NoData(Security::Unchecked));
    }
    let ttl = lookup.valid_until().saturating_duration_since(Instant::now());
    Ok(Answer { records, ttl, security: Security::Unchecked, name: String::new() })
}

fn failure(error: &NetError, name: &Name, kind: RecordType) -> Error {
    let temporary = |what: &dyn std::fmt::Display| Error::Temporary(format!("{what}, asked for {name} {kind}"));
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Error::NoSuchName(Security::Unchecked),
            ResponseCode::NoError => Error::NoData(Security::Unchecked),
            code => temporary(&format_args!("the name server says {code}")),
        },
        NetError::Dns(DnsError::ResponseCode(ResponseCode::NXDomain)) => Error::NoSuchName(Security::Unchecked),
        NetError::Dns(DnsError::ResponseCode(code)) => temporary(&format_args!("the name server says {code}")),
        NetError::Dns(DnsError::DnssecBogus) => Error::Bogus(format!("DNSSEC of {name} {kind}")),
        NetError::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            temporary(&"the name server refuses connections")
        }
        other => temporary(other),
    }
}

/// More records of one type than this are not looked at.
const MAX_RECORDS: usize = 200;

/// How long [`Resolver::answers`] takes at most.
const CHECK: Duration = Duration::from_secs(5);
