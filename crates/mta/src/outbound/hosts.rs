//! Where mail for a domain is taken: names to hosts to addresses.
//!
//! Every address here was named by the DNS for this domain, written by the sender as an address literal, or fixed by
//! a route; nothing else is ever connected to. What is no place to deliver to (loopback, multicast, ourselves) is
//! left out, and when nothing remains the reason is a verdict.
//!
//! Standards: RFC 5321 §5.1 (MX, preference, ourselves among them, the implicit MX) and §4.1.3 (literals), RFC 7505
//! (null MX), RFC 3463 (codes), RFC 8305 §4 (both families in turn).

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use postroad_dns::{Answer, Dns, Error, Mx};
use tokio::task::JoinSet;

use super::settle::{Verdict, Words};

/// Mail exchangers of a domain that are looked at; those that it likes least are left out.
const MAX_HOSTS: usize = 16;
/// Addresses of one host that are tried.
const MAX_ADDRESSES: usize = 8;

/// A host that takes mail for a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// Its name as the DNS, the route or the literal has it.
    pub(crate) name: String,
    /// Lower is tried first; equal ones in any order.
    pub(crate) preference: u16,
    /// Where it is, in the order in which they are tried; at least one.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) vouched: Vouched,
}

/// What is certain of a host's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Vouched {
    /// It is the domain itself, or a route's or the sender's own word, or DNSSEC vouches for the MX record.
    pub(crate) named: bool,
    /// DNSSEC vouches for the MX record, or that there is none; or a route names it.
    pub(crate) chosen: bool,
    /// DNSSEC vouches for its addresses, and each alias on the way to them.
    pub(crate) placed: bool,
    /// Whose the addresses are, behind aliases.
    pub(crate) canonical: String,
}

/// How hosts are looked for.
pub(crate) struct Search<'a> {
    pub(crate) dns: &'a Arc<dyn Dns>,
    /// Who we are.
    pub(crate) ourselves: &'a Ourselves,
    /// The port that will be connected to.
    pub(crate) port: u16,
    /// Whether the DNS may lead to this machine: for a trial.
    pub(crate) allow_loopback: bool,
    /// Any value, all bits alike: who is first among equals.
    pub(crate) random: u64,
}

/// How to know ourselves.
#[derive(Debug, Clone, Default)]
pub struct Ourselves {
    /// Our names, lower case.
    pub names: Vec<String>,
    /// Where we take mail for our domains.
    pub listeners: Vec<SocketAddr>,
}

impl Ourselves {
    /// Whether a connection there would end at this server.
    fn are_at(&self, at: SocketAddr) -> bool {
        let at = SocketAddr::new(behind(at.ip()), at.port());
        self.listeners.iter().any(|listener| {
            listener.port() == at.port()
                && match listener.ip().is_unspecified() {
                    true => is_of_this_machine(at.ip()),
                    false => listener.ip().to_canonical() == at.ip().to_canonical(),
                }
        })
    }

    /// With the names of the addresses that mail leaves from.
    pub(super) fn also(&self, names: Vec<String>) -> Ourselves {
        Ourselves { names: self.names.iter().cloned().chain(names).collect(), listeners: self.listeners.clone() }
    }

    fn are_called(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }
}

/// Whether the address is one of this machine's: then it is also the one that the system would speak from. Nothing is sent.
fn is_of_this_machine(address: IpAddr) -> bool {
    if address.to_canonical().is_loopback() {
        return true;
    }
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { [0u16; 8].into() };
    let bound = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    bound.is_ok_and(|local| local.ip() == address)
}

impl Search<'_> {
    /// The hosts of a domain in the order in which they are tried, at least one; else what became of the mail.
    pub(crate) async fn domain(&self, domain: &str) -> Result<Vec<Host>, Verdict> {
        if let Some(literal) = domain.strip_prefix('[') {
            return self.literal(literal.trim_end_matches(']'));
        }
        let (exchangers, named, security) = match self.dns.mx(domain).await {
            Ok(answer) => (exchangers(answer.records, domain)?, answer.security.is_secure(), answer.security),
            // RFC 5321 §5.1: without an MX the domain is its own, with preference 0.
            Err(Error::NoData(security)) => (vec![Mx { preference: 0, exchange: domain.to_owned() }], true, security),
            Err(error) => return Err(no_domain(domain, &error)),
        };
        let vouched = Vouched { named, chosen: security.is_secure(), ..Vouched::default() };
        let exchangers = ordered(exchangers, self.random);
        let looked_up = self.look_up(&exchangers).await;
        let mut found = Found::default();
        for (mx, addresses) in exchangers.into_iter().zip(looked_up) {
            // RFC 5321 §5.1: ourselves and all that are liked no better are left out.
            if found.ourselves.is_some_and(|preference| mx.preference >= preference) {
                continue;
            }
            match addresses {
                Ok(answer) => {
                    let placed = answer.security.is_secure();
                    let vouched = Vouched { placed, canonical: answer.name, ..vouched.clone() };
                    self.take(&mut found, mx, answer.records, vouched);
                }
                Err(error) => found.errors.push((mx.exchange, error)),
            }
        }
        found.verdict(domain)
    }

    /// The host that a route names: its own addresses, whatever they are.
    pub(crate) async fn fixed(&self, host: &str) -> Result<Vec<Host>, Verdict> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let (addresses, placed, canonical) = match parse_literal(bare) {
            Some(address) => (vec![address], false, bare.to_owned()),
            None => match self.dns.addresses(host).await {
                Ok(answer) => (answer.records, answer.security.is_secure(), answer.name),
                Err(error) if error.is_temporary() => return Err(not_now(host, &error)),
                // The administrator's mistake is put right by them: the mail waits.
                Err(error) => {
                    return Err(Verdict::Deferred(ours((4, 4, 4), format!("The route's host {host}: {error}"))));
                }
            },
        };
        if addresses.iter().any(|address| self.ourselves.are_at(SocketAddr::new(*address, self.port))) {
            let text = format!("The route's host {host} is this server itself");
            return Err(Verdict::Deferred(ours((4, 4, 6), text)));
        }
        let vouched = Vouched { named: true, chosen: true, placed, canonical };
        Ok(vec![Host { name: host.to_owned(), preference: 0, addresses: in_turn(addresses, self.random), vouched }])
    }

    /// RFC 5321 §4.1.3: the sender wrote where to.
    fn literal(&self, text: &str) -> Result<Vec<Host>, Verdict> {
        let Some(address) = parse_literal(text) else {
            return Err(Verdict::Failed(ours((5, 1, 2), format!("[{text}] is no address of a host"))));
        };
        let mut found = Found::default();
        let mx = Mx { preference: 0, exchange: format!("[{text}]") };
        self.take(&mut found, mx, vec![address], Vouched { named: true, ..Vouched::default() });
        found.verdict(&format!("[{text}]"))
    }

    /// All at once: a slow name server must not be waited for host by host.
    async fn look_up(&self, exchangers: &[Mx]) -> Vec<Result<Answer<IpAddr>, Error>> {
        let mut asked = JoinSet::new();
        for (index, mx) in exchangers.iter().enumerate() {
            let (dns, name) = (Arc::clone(self.dns), mx.exchange.clone());
            asked.spawn(async move {
                // RFC 5321 §5.1 wants a name; some write an address, which is what it is meant to be.
                let answer = match parse_literal(&name) {
                    Some(_) => Err(Error::BadName(name)),
                    None => dns.addresses(&name).await,
                };
                (index, answer)
            });
        }
        let mut answers = vec![Err(Error::Temporary("the look-up was lost".into())); exchangers.len()];
        while let Some(answer) = asked.join_next().await {
            if let Ok((index, answer)) = answer {
                answers[index] = answer;
            }
        }
        answers
    }

    /// Puts a host with what is good of its addresses to the others.
    fn take(&self, found: &mut Found, mx: Mx, addresses: Vec<IpAddr>, vouched: Vouched) {
        let at = |address: &IpAddr| SocketAddr::new(*address, self.port);
        if self.ourselves.are_called(&mx.exchange) || addresses.iter().any(|address| self.ourselves.are_at(at(address)))
        {
            found.ourselves = Some(mx.preference);
            found.hosts.retain(|host| host.preference < mx.preference);
            return;
        }
        let good: Vec<IpAddr> =
            addresses.into_iter().filter(|address| is_a_place(*address, self.allow_loopback)).collect();
        match good.is_empty() {
            true => found.refused.push(mx.exchange),
            false => found.hosts.push(Host {
                name: mx.exchange,
                preference: mx.preference,
                addresses: in_turn(good, self.random),
                vouched,
            }),
        }
    }
}

/// What the look-ups gave.
#[derive(Default)]
struct Found {
    hosts: Vec<Host>,
    /// The preference that we have ourselves.
    ourselves: Option<u16>,
    /// Hosts that are nowhere that mail is sent to.
    refused: Vec<String>,
    errors: Vec<(String, Error)>,
}

impl Found {
    fn verdict(self, domain: &str) -> Result<Vec<Host>, Verdict> {
        if !self.hosts.is_empty() {
            return Ok(self.hosts);
        }
        if let Some((name, error)) = self.errors.iter().find(|(_, error)| error.is_temporary()) {
            return Err(not_now(name, error));
        }
        if self.ourselves.is_some() {
            let text = format!("The mail exchanger of {domain} is this server, which does not take mail for it");
            return Err(Verdict::Failed(ours((5, 3, 5), text)));
        }
        if let Some(name) = self.refused.first() {
            let text = format!("{name} has only addresses that no mail can be sent to");
            return Err(Verdict::Failed(ours((5, 4, 4), text)));
        }
        let text = match self.errors.first() {
            Some((name, _)) if name == domain => {
                return Err(Verdict::Failed(ours(
                    (5, 1, 2),
                    format!("{domain} takes no mail: it has no mail exchanger and no address"),
                )));
            }
            Some((name, error)) => format!("The mail exchanger of {domain} cannot be found: {name}: {error}"),
            None => format!("{domain} has no mail exchanger"),
        };
        Err(Verdict::Failed(ours((5, 4, 4), text)))
    }
}

/// Takes out null exchangers. RFC 7505 §3: alone, one says that the domain takes no mail; beside others it says nothing.
fn exchangers(mut records: Vec<Mx>, domain: &str) -> Result<Vec<Mx>, Verdict> {
    records.retain(|mx| !mx.is_null());
    match records.is_empty() {
        true => Err(Verdict::Failed(ours((5, 1, 10), format!("{domain} takes no mail (null MX)")))),
        false => Ok(records),
    }
}

fn no_domain(domain: &str, error: &Error) -> Verdict {
    match error {
        Error::NoSuchName(_) => Verdict::Failed(ours((5, 1, 2), format!("The domain {domain} does not exist"))),
        Error::NoData(_) | Error::BadName(_) => {
            Verdict::Failed(ours((5, 1, 2), format!("{domain} is no domain that mail can be sent to: {error}")))
        }
        Error::Temporary(_) | Error::Bogus(_) => not_now(domain, error),
    }
}

fn not_now(name: &str, error: &Error) -> Verdict {
    Verdict::Deferred(ours((4, 4, 3), format!("{name} cannot be looked up now: {error}")))
}

fn ours(enhanced: (u8, u16, u16), text: String) -> Words {
    Words::ours(enhanced, text, "looking for the next host")
}

/// By preference, and in any order among equals (RFC 5321 §5.1: to spread the load).
fn ordered(mut exchangers: Vec<Mx>, random: u64) -> Vec<Mx> {
    let mut seed = random;
    let mut keyed: Vec<(u16, u64, Mx)> =
        exchangers.drain(..).map(|mx| (mx.preference, next_random(&mut seed), mx)).collect();
    keyed.sort_by_key(|(preference, key, _)| (*preference, *key));
    keyed.into_iter().map(|(_, _, mx)| mx).take(MAX_HOSTS).collect()
}

/// IPv6 and IPv4 in turn, IPv6 first, so that a family that does not work costs one try and not all.
fn in_turn(addresses: Vec<IpAddr>, random: u64) -> Vec<IpAddr> {
    let (mut six, mut four): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.into_iter().map(|address| address.to_canonical()).partition(IpAddr::is_ipv6);
    for family in [&mut six, &mut four] {
        family.sort();
        family.dedup();
        if !family.is_empty() {
            // The remainder is smaller than the length.
            let by = (random % family.len() as u64) as usize;
            family.rotate_left(by);
        }
    }
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut mixed = Vec::new();
    while mixed.len() < MAX_ADDRESSES {
        match (six.next(), four.next()) {
            (None, None) => break,
            (one, other) => mixed.extend(one.into_iter().chain(other)),
        }
    }
    mixed.truncate(MAX_ADDRESSES);
    mixed
}

/// Where a packet to this address ends: an IPv4 address can be written as an IPv6 one, for translators (RFC 6052 §2.1) and
/// tunnels (RFC 3056 §2) too.
fn behind(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address.to_canonical() else { return address.to_canonical() };
    let four = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match six.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => four(high, low),
        _ => IpAddr::V6(six),
    }
}

/// Whether mail for others can be at this address at all.
pub(crate) fn is_a_place(address: IpAddr, allow_loopback: bool) -> bool {
    if behind(address) != address.to_canonical() && !is_a_place(behind(address), false) {
        return false;
    }
    let address = address.to_canonical();
    if address.is_loopback() {
        return allow_loopback;
    }
    match address {
        IpAddr::V4(four) => {
            let [first, ..] = four.octets();
            // RFC 1122 §3.2.1.3 (0/8: this network), RFC 1112 §4 (240/4).
            first != 0 && first < 240 && !four.is_multicast() && !four.is_link_local()
        }
        IpAddr::V6(six) => {
            let is_special = match six.segments() {
                // `::/96` was once IPv4 in IPv6, `::ffff:0:0:0/96` is for translators alone (RFC 2765 §2.1).
                [0, 0, 0, 0, 0 | 0xffff, 0, _, _] => true,
                // RFC 8215 §5: a translator's own. RFC 4380 §2.6: Teredo. RFC 6666: discarded.
                [0x64, 0xff9b, 1, ..] | [0x2001, 0, ..] | [0x100, 0, 0, 0, ..] => true,
                // RFC 3879 §4: site-local.
                [first, ..] => first & 0xffc0 == 0xfec0,
            };
            !six.is_multicast() && !six.is_unicast_link_local() && !is_special
        }
    }
}

/// The inside of an address literal, or a bare address as routes have it.
fn parse_literal(text: &str) -> Option<IpAddr> {
    match text.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => text[5..].parse().ok().filter(IpAddr::is_ipv6),
        _ => text.parse().ok(),
    }
}

/// Splitmix64: good enough to spread load, and the same for the same seed.
pub(crate) fn next_random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
