//! The resolver for real names: asks the configured servers, follows aliases, says what DNSSEC says, keeps outcomes.
//!
//! It is a stub: the servers resolve. What DNSSEC says comes from our own validation or from a server whose AD bit is
//! believed ([`Dnssec`]). A server that is dead or cannot answer is [`Error::Temporary`], never a denial.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::net::NetError;
use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::op::{DnsResponse, Edns, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::ability::{Ability, Shown};
use crate::cache::{Cache, Found, Limits, Outcome};
use crate::chain::Chain;
use crate::exchange::Servers;
use crate::read::{self, ALIASES_MAX, Read, Says, host, read};
use crate::settings::{Dnssec, Settings};
use crate::validate::{Checked, Validator};
use crate::{Answer, Caa, Dns, Error, Mx, Reply, Security, Soa, Srv, Tlsa};

/// Asks name servers that resolve for us (stub resolver).
pub struct Resolver {
    servers: Arc<Servers>,
    validator: Validator,
    settings: Settings,
    cache: Cache,
    places: Semaphore,
    /// Whether the servers give what validation needs.
    validates: Ability,
    /// Whether the servers validate.
    vouches: Ability,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Who says what DNSSEC says of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judge {
    Nobody,
    /// The name servers, by their AD bit.
    Servers,
    Ourselves,
}

impl Resolver {
    /// Asks the servers of `/etc/resolv.conf`.
    pub fn system(settings: Settings) -> Result<Resolver, Error> {
        let (config, _) = system_conf::read_system_conf()
            .map_err(|error| Error::Temporary(format!("/etc/resolv.conf cannot be used: {error}")))?;
        let servers: Vec<SocketAddr> =
            config.name_servers().iter().map(|server| SocketAddr::new(server.ip, DNS_PORT)).collect();
        Resolver::with(&servers, settings)
    }

    /// Asks these servers.
    pub fn with(servers: &[SocketAddr], settings: Settings) -> Result<Resolver, Error> {
        if servers.is_empty() {
            return Err(Error::Temporary("no name server is configured".into()));
        }
        let anchors = match &settings.trust_anchor {
            None => TrustAnchors::default(),
            Some(path) => TrustAnchors::from_file(path).map_err(|error| {
                Error::Temporary(format!("the trust anchor {} cannot be used: {error}", path.display()))
            })?,
        };
        let servers = Arc::new(Servers::new(servers, settings.timeout, settings.attempts));
        let limits = Limits { outcomes: settings.cached_answers, octets: settings.cached_octets };
        Ok(Resolver {
            validator: Validator::new(Chain::of(Arc::clone(&servers)), anchors),
            servers,
            cache: Cache::new(limits),
            places: Semaphore::new(settings.questions.max(1)),
            settings,
            validates: Ability::default(),
            vouches: Ability::default(),
        })
    }

    /// Asks this one server, with the usual limits.
    pub fn at(server: SocketAddr) -> Result<Resolver, Error> {
        Resolver::with(&[server], Settings::default())
    }

    /// Whether the servers answer at all, within a few seconds.
    pub async fn answers(&self) -> Result<(), Error> {
        // The root's servers: a name that exists wherever there is a DNS.
        match timeout(CHECK, self.plain(&Name::root(), RecordType::NS, Ask::Plainly)).await {
            Ok(Ok(response)) => match read(&response, &Name::root(), RecordType::NS).says {
                // "No" is an answer too.
                Says::Records(_) | Says::Alias | Says::NoSuchName | Says::NoData => Ok(()),
                Says::Nothing(why) => Err(Error::Temporary(why)),
            },
            Ok(Err(error)) => Err(lost(&error, &Name::root(), RecordType::NS)),
            Err(_) => Err(Error::Temporary(format!("no answer within {} s", CHECK.as_secs()))),
        }
    }

    /// Whether answers about where mail goes can be secure: without that there is no DANE.
    pub async fn has_dnssec(&self) -> bool {
        match self.judge(RecordType::TLSA).await {
            Judge::Nobody => false,
            Judge::Ourselves => self.do_they_sign().await,
            Judge::Servers => self.do_they_vouch().await,
        }
    }

    async fn ask<T>(
        &self,
        name: Result<Name, Error>,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Result<Answer<T>, Error> {
        let name = name?;
        let question = (name.to_ascii().to_ascii_lowercase(), kind);
        let outcome = self.cache.outcome(&question, async {
            let asked = timeout(self.settings.deadline, async {
                // Never closed.
                let _place = self.places.acquire().await;
                self.resolve(&name, kind).await
            });
            let outcome = asked.await.unwrap_or_else(|_| {
                Outcome::failed(Error::Temporary(format!("no answer in time, asked for {name} {kind}")))
            });
            if let Err(error) = &outcome.found
                && error.is_temporary()
            {
                tracing::debug!(%error, "look-up failed");
            }
            outcome
        });
        let found = outcome.await.found?;
        let records: Vec<T> = found.records.iter().filter_map(pick).collect();
        match records.is_empty() {
            true => Err(Error::NoData(found.security)),
            false => Ok(Answer {
                records,
                ttl: found.until.saturating_duration_since(Instant::now()),
                security: found.security,
                name: found.name.clone(),
            }),
        }
    }

    /// Asks, and asks again for what aliases lead to.
    async fn resolve(&self, name: &Name, kind: RecordType) -> Outcome {
        let judge = self.judge(kind).await;
        let (mut at, mut security, mut ttl) = (name.clone(), None, Duration::MAX);
        let (mut octets, mut aliases) = (0, 0);
        while aliases <= ALIASES_MAX {
            let (response, here) = match self.step(&at, kind, judge).await {
                Ok(answered) => answered,
                Err(error) => return Outcome::failed(error),
            };
            let security_so_far = security.map_or(here, |before: Security| before.weaker(here));
            security = Some(security_so_far);
            let Read { name: found, says, ttl: here, aliases: followed } = read(&response, &at, kind);
            ttl = ttl.min(here);
            octets += response.as_buffer().len();
            aliases += followed;
            let found = match says {
                Says::Alias => {
                    at = found;
                    continue;
                }
                Says::Records(records) => {
                    let until = Instant::now() + ttl;
                    Ok(Arc::new(Found { records, name: host(&found), security: security_so_far, until }))
                }
                Says::NoSuchName => Err(Error::NoSuchName(security_so_far)),
                Says::NoData => Err(Error::NoData(security_so_far)),
                Says::Nothing(why) => Err(Error::Temporary(format!("{why}, asked for {at} {kind}"))),
            };
            return Outcome { found, ttl, octets };
        }
        Outcome::failed(Error::Temporary(format!("too many aliases, asked for {name} {kind}")))
    }

    /// One question, with what DNSSEC says of the answer.
    async fn step(&self, name: &Name, kind: RecordType, judge: Judge) -> Result<(DnsResponse, Security), Error> {
        let lost = |error: NetError| lost(&error, name, kind);
        match judge {
            Judge::Nobody => Ok((self.plain(name, kind, Ask::Plainly).await.map_err(lost)?, Security::Unchecked)),
            Judge::Servers => self.vouched(name, kind).await,
            Judge::Ourselves => self.validator.ask(name, kind).await.map_err(|checked| match checked {
                Checked::Failed(error) => error,
                Checked::Lost(error) => lost(error),
            }),
        }
    }

    async fn vouched(&self, name: &Name, kind: RecordType) -> Result<(DnsResponse, Security), Error> {
        let lost = |error: NetError| lost(&error, name, kind);
        let response = self.plain(name, kind, Ask::WhetherItIsSecure).await.map_err(lost)?;
        if response.response_code == ResponseCode::ServFail {
            // RFC 4035 §5.5: that is also how a resolver says that an answer is bogus. Without checking it would give it.
            let unchecked = self.plain(name, kind, Ask::WithoutChecking).await;
            let is_there =
                unchecked.is_ok_and(|one| matches!(one.response_code, ResponseCode::NoError | ResponseCode::NXDomain));
            return match is_there {
                true => Err(Error::Bogus(format!("the name server's validation of {name} {kind} fails"))),
                false => Ok((response, Security::Unchecked)),
            };
        }
        let security = match response.authentic_data {
            true => {
                self.vouches.is_proven();
                Security::Secure
            }
            false if self.do_they_vouch().await => Security::Insecure,
            false => Security::Unchecked,
        };
        Ok((response, security))
    }

    async fn plain(&self, name: &Name, kind: RecordType, ask: Ask) -> Result<DnsResponse, NetError> {
        let mut question = Message::query();
        question.add_query(Query::query(name.clone(), kind));
        question.metadata.recursion_desired = true;
        // RFC 6840 §5.7: so says who asks that the bit will be understood.
        question.metadata.authentic_data = ask == Ask::WhetherItIsSecure;
        question.metadata.checking_disabled = ask == Ask::WithoutChecking;
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        question.edns = Some(edns);
        self.servers.ask(&question).await
    }

    async fn judge(&self, kind: RecordType) -> Judge {
        let decides =
            matches!(kind, RecordType::MX | RecordType::A | RecordType::AAAA | RecordType::CNAME | RecordType::TLSA);
        match self.settings.dnssec {
            Dnssec::Off => Judge::Nobody,
            Dnssec::TrustAd => Judge::Servers,
            Dnssec::Validate => Judge::Ourselves,
            Dnssec::Auto if self.servers.are_local() => Judge::Servers,
            Dnssec::Auto if decides && self.do_they_sign().await => Judge::Ourselves,
            Dnssec::Auto => Judge::Nobody,
        }
    }

    /// Whether the servers hand on what signatures need: the root is signed.
    async fn do_they_sign(&self) -> bool {
        let find = async {
            match self.validator.ask(&Name::root(), RecordType::SOA).await {
                Ok((_, Security::Secure)) => Shown::Yes,
                Ok((_, Security::Insecure | Security::Unchecked)) => Shown::No("the root is not signed there".into()),
                Err(Checked::Failed(error)) => Shown::No(error.to_string()),
                Err(Checked::Lost(_)) => Shown::Nothing,
            }
        };
        self.validates.is_there(find, "the name servers give no DNSSEC: nothing is verified by DANE").await
    }

    /// Whether the servers validate: the root is signed.
    async fn do_they_vouch(&self) -> bool {
        let find = async {
            match self.plain(&Name::root(), RecordType::SOA, Ask::WhetherItIsSecure).await {
                Ok(response) if response.authentic_data => Shown::Yes,
                Ok(_) => Shown::No("their answers about the root are without the AD bit".into()),
                Err(_) => Shown::Nothing,
            }
        };
        self.vouches
            .is_there(find, "the name servers on this machine do not validate: nothing is verified by DANE")
            .await
    }
}

/// What is asked beside the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Plainly,
    WhetherItIsSecure,
    WithoutChecking,
}

impl Dns for Resolver {
    fn mx<'a>(&'a self, name: &'a str) -> Reply<'a, Mx> {
        Box::pin(self.ask(parse(name), RecordType::MX, read::mx))
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
        Box::pin(self.ask(parse(name), RecordType::TLSA, read::tlsa))
    }

    fn srv<'a>(&'a self, name: &'a str) -> Reply<'a, Srv> {
        Box::pin(self.ask(parse(name), RecordType::SRV, read::srv))
    }

    fn caa<'a>(&'a self, name: &'a str) -> Reply<'a, Caa> {
        Box::pin(self.ask(parse(name), RecordType::CAA, read::caa))
    }

    fn ns<'a>(&'a self, name: &'a str) -> Reply<'a, String> {
        Box::pin(self.ask(parse(name), RecordType::NS, |data| match data {
            RData::NS(name) => Some(host(&name.0)),
            _ => None,
        }))
    }

    fn cname<'a>(&'a self, name: &'a str) -> Reply<'a, String> {
        Box::pin(self.ask(parse(name), RecordType::CNAME, |data| match data {
            RData::CNAME(name) => Some(host(&name.0)),
            _ => None,
        }))
    }

    fn soa<'a>(&'a self, name: &'a str) -> Reply<'a, Soa> {
        Box::pin(self.ask(parse(name), RecordType::SOA, read::soa))
    }
}

/// A name as it is asked for.
pub(crate) fn parse(text: &str) -> Result<Name, Error> {
    let bad = || Error::BadName(text.to_owned());
    // ASCII is taken as it is, whatever its octets: `_dmarc` is a name although no host may be called so, and policies
    // make names of what senders wrote. Nothing is an escape.
    let labels = || text.strip_suffix('.').unwrap_or(text).split('.').map(str::as_bytes);
    let parsed = match text.is_ascii() {
        true if labels().any(<[u8]>::is_empty) => return Err(bad()),
        true => Name::from_labels(labels()),
        false => Name::from_utf8(text),
    };
    let mut name = parsed.map_err(|_| bad())?;
    if name.num_labels() == 0 {
        return Err(bad());
    }
    name.set_fqdn(true);
    Ok(name)
}

fn lost(error: &NetError, name: &Name, kind: RecordType) -> Error {
    let why = match error {
        NetError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            "the name server refuses connections".to_owned()
        }
        NetError::Timeout | NetError::NoConnections => "no answer in time".to_owned(),
        other => other.to_string(),
    };
    Error::Temporary(format!("{why}, asked for {name} {kind}"))
}

/// How long [`Resolver::answers`] takes at most.
const CHECK: Duration = Duration::from_secs(5);
/// What we take in one datagram: fits every network unbroken (the size that was agreed on DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;
const DNS_PORT: u16 = 53;
