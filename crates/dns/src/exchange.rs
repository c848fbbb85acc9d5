//! Questions to the name servers: over UDP with EDNS, over TCP when an answer did not fit.
//!
//! It never keeps an answer nor judges one; it only knows which of them answer at all. Each question goes out from a
//! port and with an id of its own, both random.
//!
//! Standards: RFC 1035 §4.2 (transports), RFC 5452 §9 (ids, ports, what an answer must match), RFC 6891 (EDNS),
//! RFC 7766 §5 (truncated answers are asked for over TCP).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::net::NetError;
use hickory_resolver::proto::op::{DnsResponse, Message, Query, ResponseCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};

/// The name servers that resolve for us, in the order in which the administrator likes them.
pub(crate) struct Servers {
    servers: Vec<Server>,
    /// For each message.
    timeout: Duration,
    /// How often each is asked.
    attempts: usize,
}

struct Server {
    address: SocketAddr,
    /// It did not answer lately: the others are asked before it.
    silent_until: Mutex<Option<Instant>>,
}

impl Servers {
    /// At least one server.
    pub(crate) fn new(addresses: &[SocketAddr], timeout: Duration, attempts: usize) -> Servers {
        let server = |address: &SocketAddr| Server { address: *address, silent_until: Mutex::new(None) };
        Servers { servers: addresses.iter().map(server).collect(), timeout, attempts: attempts.max(1) }
    }

    /// Whether all of them are on this machine.
    pub(crate) fn are_local(&self) -> bool {
        self.servers.iter().all(|server| server.address.ip().to_canonical().is_loopback())
    }

    /// Asks one after the other until one answers. An answer that says that the server cannot answer (SERVFAIL, REFUSED)
    /// is given only when no other has a better one.
    pub(crate) async fn ask(&self, question: &Message) -> Result<DnsResponse, NetError> {
        let mut last = Err(NetError::NoConnections);
        for _ in 0..self.attempts {
            for server in self.in_order() {
                match self.ask_one(server.address, question).await {
                    Ok(response) => {
                        server.is_silent_until(None);
                        if matches!(response.response_code, ResponseCode::NoError | ResponseCode::NXDomain) {
                            return Ok(response);
                        }
                        last = Ok(response);
                    }
                    Err(error) => {
                        tracing::debug!(server = %server.address, %error, "a name server does not answer");
                        server.is_silent_until(Some(Instant::now() + SILENCE));
                        if last.is_err() {
                            last = Err(error);
                        }
                    }
                }
            }
            if last.is_ok() {
                break;
            }
        }
        last
    }

    /// Those that answer before those that did not.
    fn in_order(&self) -> Vec<&Server> {
        let now = Instant::now();
        let (silent, speaking): (Vec<&Server>, Vec<&Server>) =
            self.servers.iter().partition(|server| server.was_silent(now));
        speaking.into_iter().chain(silent).collect()
    }

    async fn ask_one(&self, server: SocketAddr, question: &Message) -> Result<DnsResponse, NetError> {
        let response = self.ask_both(server, question).await?;
        // RFC 6891 §7: an old server says so when it does not know EDNS.
        let is_lost = matches!(response.response_code, ResponseCode::FormErr | ResponseCode::NotImp);
        match is_lost && question.edns.is_some() {
            true => {
                let mut plain = question.clone();
                plain.edns = None;
                self.ask_both(server, &plain).await
            }
            false => Ok(response),
        }
    }

    async fn ask_both(&self, server: SocketAddr, question: &Message) -> Result<DnsResponse, NetError> {
        let mut question = question.clone();
        question.metadata.id = Message::query().metadata.id;
        let wire = question.to_vec()?;
        let wanted = Wanted { id: question.metadata.id, query: question.queries.first() };
        let within = |asked| timeout(self.timeout, asked);
        let answered = within(over_udp(server, &wire, &wanted)).await.map_err(|_| NetError::Timeout)??;
        match answered {
            Some(response) => Ok(response),
            None => timeout(self.timeout, over_tcp(server, &wire, &wanted)).await.map_err(|_| NetError::Timeout)?,
        }
    }
}

impl Server {
    fn is_silent_until(&self, until: Option<Instant>) {
        *self.silent_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn was_silent(&self, now: Instant) -> bool {
        self.silent_until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| until > now)
    }
}

/// What an answer must match. RFC 5452 §9.1; the address is the socket's affair.
struct Wanted<'a> {
    id: u16,
    query: Option<&'a Query>,
}

impl Wanted<'_> {
    fn is(&self, response: &DnsResponse) -> bool {
        let about = match (response.queries.first(), self.query) {
            (Some(answered), Some(asked)) => {
                answered.name() == asked.name()
                    && answered.query_type() == asked.query_type()
                    && answered.query_class() == asked.query_class()
            }
            // Some that cannot answer do not repeat the question.
            (None, _) => response.response_code != ResponseCode::NoError,
            (Some(_), None) => false,
        };
        response.metadata.id == self.id && about
    }
}

/// None: it did not fit.
async fn over_udp(server: SocketAddr, wire: &[u8], wanted: &Wanted<'_>) -> Result<Option<DnsResponse>, NetError> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // Connected: the system drops what comes from elsewhere, and tells when nobody listens.
    socket.connect(server).await?;
    socket.send(wire).await?;
    let mut space = vec![0; UDP_MAX];
    loop {
        let length = socket.recv(&mut space).await?;
        let datagram = &space[..length];
        if datagram.get(..2) != Some(&wanted.id.to_be_bytes()) {
            continue;
        }
        // A truncated answer may end anywhere, so that it cannot always be read.
        if datagram.get(2).is_some_and(|flags| flags & TRUNCATED != 0) {
            return Ok(None);
        }
        let response = DnsResponse::from_buffer(datagram.to_vec())?;
        if wanted.is(&response) {
            return Ok(Some(response));
        }
    }
}

async fn over_tcp(server: SocketAddr, wire: &[u8], wanted: &Wanted<'_>) -> Result<DnsResponse, NetError> {
    let answer = tcp(server, wire).await?;
    let response = DnsResponse::from_buffer(answer)?;
    match wanted.is(&response) {
        true => Ok(response),
        false => Err(NetError::from("the answer is to another question")),
    }
}

/// One message and its answer over a connection of their own.
pub(crate) async fn tcp(server: SocketAddr, wire: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(wire.len()).map_err(|_| io::Error::other("the message is too large"))?;
    // In one segment: some servers do not wait for a second one (RFC 7766 §8).
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(wire);
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// How long a server that did not answer is asked after the others.
const SILENCE: Duration = Duration::from_secs(30);
/// Octets of a datagram: more than we say that we take, as some send more.
const UDP_MAX: usize = 4096;
/// The bit TC in the third octet of a message. RFC 1035 §4.1.1.
const TRUNCATED: u8 = 0b10;
