//! A name server of ours: real DNS messages over UDP and TCP, and every misbehaviour a test wants.
//!
//! A real one ([`crate::dns_server`]) keeps to the rules; this one holds what no real server would load (names with any octets,
//! obsolete types), says nothing where it is told to, and writes down what it was asked. It answers by itself, without recursion,
//! for every name there is. Standards: RFC 1035 §4 (messages), RFC 2308 (denials), RFC 6891 (EDNS), RFC 7766 (TCP).

mod message;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use message::{Answer, Query, name};

/// What a [`DnsWire`] knows. Names are in text, with any octets; case and the final dot do not matter.
#[derive(Debug, Clone, Default)]
pub struct WireZone {
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug, Clone, Default)]
struct Node {
    records: Vec<(u16, Vec<u8>)>,
    manner: Option<Manner>,
}

/// How questions are treated that a name's records do not answer; with [`Manner::Always`], all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// No answer.
    Silent,
    /// An answer with this code: 2 SERVFAIL, 5 REFUSED.
    Code(u8),
    /// The same for what its records would answer.
    Always(Fault),
}

/// What is wrong with an answer that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// None comes.
    Silent,
    /// Over UDP it is said to be too large, so that TCP is needed.
    Truncated,
    /// It carries another number than the question.
    WrongNumber,
    /// It ends in the middle of a record.
    Cut,
    /// It is not DNS.
    Noise,
}

/// Types of records. RFC 1035 §3.2.2, RFC 3596, RFC 7208 §13.1.
pub const A: u16 = 1;
/// See [`A`].
pub const CNAME: u16 = 5;
/// See [`A`].
pub const PTR: u16 = 12;
/// See [`A`].
pub const MX: u16 = 15;
/// See [`A`].
pub const TXT: u16 = 16;
/// See [`A`].
pub const AAAA: u16 = 28;
/// The obsolete type of SPF.
pub const SPF: u16 = 99;

impl WireZone {
    /// An empty zone.
    pub fn new() -> WireZone {
        WireZone::default()
    }

    /// Adds a record by its octets.
    pub fn with(mut self, owner: &str, kind: u16, data: Vec<u8>) -> WireZone {
        self.node(owner).records.push((kind, data));
        self
    }

    /// Adds a TXT record of one text, cut into strings of 255 octets.
    pub fn with_txt(self, owner: &str, text: impl AsRef<[u8]>) -> WireZone {
        let strings: Vec<&[u8]> = text.as_ref().chunks(255).collect();
        self.with_strings(owner, TXT, &strings)
    }

    /// Adds a TXT (or [`SPF`]) record of these strings, each of at most 255 octets.
    pub fn with_strings(self, owner: &str, kind: u16, strings: &[&[u8]]) -> WireZone {
        let mut data = Vec::new();
        for string in strings {
            data.push(u8::try_from(string.len()).expect("a string of at most 255 octets"));
            data.extend_from_slice(string);
        }
        if data.is_empty() {
            data.push(0);
        }
        self.with(owner, kind, data)
    }

    /// Adds an address.
    pub fn with_address(self, owner: &str, address: impl Into<IpAddr>) -> WireZone {
        match address.into() {
            IpAddr::V4(address) => self.with(owner, A, address.octets().to_vec()),
            IpAddr::V6(address) => self.with(owner, AAAA, address.octets().to_vec()),
        }
    }

    /// Adds a mail exchanger; `""` makes it a null MX.
    pub fn with_mx(self, owner: &str, preference: u16, exchange: &str) -> WireZone {
        let data = [preference.to_be_bytes().to_vec(), name(exchange)].concat();
        self.with(owner, MX, data)
    }

    /// Adds a PTR record at a name below `arpa`.
    pub fn with_ptr(self, owner: &str, target: &str) -> WireZone {
        self.with(owner, PTR, name(target))
    }

    /// Makes the name an alias.
    pub fn with_alias(self, owner: &str, target: &str) -> WireZone {
        self.with(owner, CNAME, name(target))
    }

    /// How the name misbehaves.
    pub fn with_manner(mut self, owner: &str, manner: Manner) -> WireZone {
        self.node(owner).manner = Some(manner);
        self
    }

    fn node(&mut self, owner: &str) -> &mut Node {
        self.nodes.entry(key(owner)).or_default()
    }

    /// What a question gets: the octets, or nothing.
    fn answer(&self, query: &Query, over_tcp: bool) -> Option<Vec<u8>> {
        let mut answer = Answer::to(query);
        let mut owner = query.name.clone();
        for _ in 0..MAX_ALIASES {
            let Some(node) = self.nodes.get(&owner) else {
                let below = format!(".{owner}");
                // A name with names below it exists (RFC 8020).
                let exists = owner.is_empty() || self.nodes.keys().any(|known| known.ends_with(&below));
                return Some(if exists { answer.finish(over_tcp) } else { answer.code(3).finish(over_tcp) });
            };
            let found = node.records.iter().filter(|(kind, _)| *kind == query.kind || *kind == CNAME);
            let before = answer.len();
            found.for_each(|(kind, data)| answer.add(&owner, *kind, data));
            match node.manner {
                Some(Manner::Always(fault)) => return with_fault(answer, fault, over_tcp),
                Some(Manner::Silent) if answer.len() == before => return None,
                Some(Manner::Code(code)) if answer.len() == before => return Some(answer.code(code).finish(over_tcp)),
                Some(Manner::Silent | Manner::Code(_)) | None => {}
            }
            match node.records.iter().find(|(kind, _)| *kind == CNAME && query.kind != CNAME) {
                Some((_, target)) => owner = message::text(target),
                None => break,
            }
        }
        Some(answer.finish(over_tcp))
    }
}

fn with_fault(answer: Answer, fault: Fault, over_tcp: bool) -> Option<Vec<u8>> {
    match fault {
        Fault::Silent => None,
        Fault::Truncated if over_tcp => Some(answer.finish(true)),
        Fault::Truncated => Some(answer.truncated()),
        Fault::WrongNumber => {
            let mut octets = answer.finish(over_tcp);
            octets[0] ^= 0xff;
            Some(octets)
        }
        Fault::Cut => {
            let mut octets = answer.finish(over_tcp);
            octets.truncate(octets.len() - 5);
            Some(octets)
        }
        Fault::Noise => Some(b"\0\0this is no message".to_vec()),
    }
}

/// The server. It ends when this is dropped.
#[derive(Debug)]
pub struct DnsWire {
    address: SocketAddr,
    shared: Shared,
}

/// What its threads have in common.
#[derive(Debug, Clone, Default)]
struct Shared {
    zone: Arc<Mutex<WireZone>>,
    asked: Arc<Mutex<Vec<(String, u16)>>>,
    ends: Arc<AtomicBool>,
}

impl DnsWire {
    /// Starts a server on a free port of loopback.
    pub fn start(zone: WireZone) -> DnsWire {
        let (udp, tcp) = sockets();
        let address = udp.local_addr().expect("a bound socket has an address");
        let shared = Shared { zone: Arc::new(Mutex::new(zone)), ..Shared::default() };
        let (on_udp, on_tcp) = (shared.clone(), shared.clone());
        std::thread::spawn(move || on_udp.serve_udp(&udp));
        std::thread::spawn(move || on_tcp.serve_tcp(&tcp));
        DnsWire { address, shared }
    }

    /// Where it listens, for UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, other records.
    pub fn replace(&self, zone: WireZone) {
        *lock(&self.shared.zone) = zone;
    }

    /// The questions so far: names in lower case without the final dot, and types.
    pub fn asked(&self) -> Vec<(String, u16)> {
        lock(&self.shared.asked).clone()
    }
}

impl Drop for DnsWire {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // Something arrives, so that both threads look whether they shall end.
        if let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
            let _ = socket.send_to(&[], self.address);
        }
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn ends(&self) -> bool {
        self.ends.load(Ordering::SeqCst)
    }

    fn reply(&self, octets: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
        let query = Query::parse(octets)?;
        lock(&self.asked).push((query.name.clone(), query.kind));
        lock(&self.zone).answer(&query, over_tcp)
    }

    fn serve_udp(&self, socket: &UdpSocket) {
        let mut buffer = [0; MAX_QUERY];
        while !self.ends() {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            if let Some(reply) = self.reply(&buffer[..length], false) {
                // Whoever asked may be gone.
                let _ = socket.send_to(&reply, from);
            }
        }
    }

    fn serve_tcp(&self, listener: &TcpListener) {
        while !self.ends() {
            let Ok((stream, _)) = listener.accept() else { continue };
            let shared = self.clone();
            std::thread::spawn(move || shared.serve_stream(stream));
        }
    }

    /// RFC 1035 §4.2.2: two octets of length before each message.
    fn serve_stream(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_read_timeout(Some(IDLE)).ok()?;
        while !self.ends() {
            let mut length = [0; 2];
            stream.read_exact(&mut length).ok()?;
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query).ok()?;
            if let Some(reply) = self.reply(&query, true) {
                let length = u16::try_from(reply.len()).ok()?;
                stream.write_all(&[&length.to_be_bytes(), reply.as_slice()].concat()).ok()?;
            }
        }
        Some(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// UDP and TCP on one port that nobody has.
fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..MAX_PORTS {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let port = udp.local_addr().expect("a bound socket has an address").port();
        if let Ok(tcp) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return (udp, tcp);
        }
    }
    panic!("no port of loopback is free for UDP and TCP")
}

fn key(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Aliases that are followed for one question; a chain in a circle ends there, and says so by its length.
const MAX_ALIASES: usize = 8;

/// The largest question over UDP.
const MAX_QUERY: usize = 4096;

/// Ports that are tried.
const MAX_PORTS: usize = 100;

/// A connection on which nothing is asked for so long is closed.
const IDLE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    /// `name` and type as a question with the number 7.
    fn question(owner: &str, kind: u16) -> Vec<u8> {
        let header = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        [header.to_vec(), name(owner), kind.to_be_bytes().to_vec(), vec![0, 1]].concat()
    }

    fn over_udp(server: &DnsWire, question: &[u8]) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        socket.send_to(question, server.address()).expect("it is sent");
        let mut buffer = [0; MAX_QUERY];
        let length = socket.recv(&mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    }

    #[test]
    fn it_answers_denies_and_misbehaves() {
        let zone = WireZone::new()
            .with_txt("A.test.", "x".repeat(300))
            .with_alias("alias.test", "a.test")
            .with_address("deep.under.test", Ipv4Addr::LOCALHOST)
            .with_txt("huge.test", "y".repeat(5000))
            .with_manner("a.test", Manner::Silent)
            .with_manner("broken.test", Manner::Code(2))
            .with_manner("mad.test", Manner::Always(Fault::WrongNumber));
        let server = DnsWire::start(zone);
        // Flags, code, answers.
        let ask = |owner: &str, kind| {
            let reply = over_udp(&server, &question(owner, kind))?;
            Some((reply[1], reply[2] & 2, reply[3] & 15, reply[7]))
        };
        assert_eq!(ask("a.TEST", TXT), Some((7, 0, 0, 1)));
        assert_eq!(ask("a.test", A), None);
        assert_eq!(ask("alias.test", TXT), Some((7, 0, 0, 2)));
        assert_eq!(ask("under.test", A), Some((7, 0, 0, 0)));
        assert_eq!(ask("none.test", A), Some((7, 0, 3, 0)));
        assert_eq!(ask("broken.test", A), Some((7, 0, 2, 0)));
        assert_eq!(ask("mad.test", A).map(|reply| reply.0), Some(7));
        assert_eq!(ask("huge.test", TXT), Some((7, 2, 0, 0)), "too large for UDP");
        let mut stream = TcpStream::connect(server.address()).expect("it listens");
        let query = question("huge.test", TXT);
        stream
            .write_all(&[&[0, u8::try_from(query.len()).expect("short")], query.as_slice()].concat())
            .expect("it is sent");
        let mut length = [0; 2];
        stream.read_exact(&mut length).expect("an answer");
        assert!(u16::from_be_bytes(length) > 5000);
        assert_eq!(server.asked()[0], ("a.test".to_owned(), TXT));
        assert!(over_udp(&server, b"x").is_none(), "what is no question has no answer");
    }
}
