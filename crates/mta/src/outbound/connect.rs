//! From addresses to a connection: the next address is tried when one fails or is slow to answer.
//!
//! Standards: RFC 8305 §5 (staggered attempts), RFC 5321 §5.1 (all addresses of a host are tried).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// RFC 8305 §5: an address that is silent for so long gets company.
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses that did not accept, with what went wrong there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusals(pub(crate) Vec<(SocketAddr, String)>);

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<String> = self.0.iter().map(|(address, why)| format!("{address}: {why}")).collect();
        f.write_str(&each.join("; "))
    }
}

/// The first of the addresses that accepts, within `within` for all together. What the others did is added to `refusals`.
pub(crate) async fn connect(
    addresses: &[SocketAddr],
    sources: &[IpAddr],
    within: Duration,
    refusals: &mut Refusals,
) -> Option<(TcpStream, SocketAddr)> {
    let deadline = Instant::now() + within;
    let mut waiting = addresses.iter().copied();
    let mut trying: JoinSet<(SocketAddr, io::Result<TcpStream>)> = JoinSet::new();
    let mut next_at = Instant::now();
    let mut silent: Vec<SocketAddr> = Vec::new();
    loop {
        if Instant::now() >= next_at || trying.is_empty() {
            match waiting.next() {
                Some(address) => {
                    silent.push(address);
                    let source = sources.iter().copied().find(|source| source.is_ipv4() == address.is_ipv4());
                    trying.spawn(async move { (address, one(address, source).await) });
                    next_at = Instant::now() + STAGGER;
                }
                None if trying.is_empty() => return None,
                None => next_at = deadline,
            }
        }
        let joined = timeout_at(next_at.min(deadline), trying.join_next()).await;
        match joined {
            Ok(Some(Ok((address, Ok(stream))))) => return Some((stream, address)),
            Ok(Some(Ok((address, Err(error))))) => {
                silent.retain(|other| *other != address);
                refusals.0.push((address, words(&error)));
                next_at = Instant::now();
            }
            Ok(Some(Err(_)) | None) => next_at = Instant::now(),
            Err(_) if Instant::now() >= deadline => {
                let why = format!("no answer within {} s", within.as_secs());
                refusals.0.extend(silent.iter().map(|address| (*address, why.clone())));
                return None;
            }
            Err(_) => {}
        }
    }
}

async fn one(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(address).await?;
    // Commands are written whole; waiting for more to come only costs time.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// An error of the system without its number.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::TimedOut => "no answer".into(),
        io::ErrorKind::HostUnreachable => "host unreachable".into(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".into(),
        io::ErrorKind::AddrNotAvailable => "the source address is not one of this machine's".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn the_first_that_accepts_is_taken_and_failures_are_named() {
        let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let dead = closed.local_addr().expect("it is bound");
        drop(closed);
        let open = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let alive = open.local_addr().expect("it is bound");
        let mut refused = Refusals::default();
        let (_, address) = connect(&[dead, alive, dead], &[], WITHIN, &mut refused).await.expect("one accepts");
        assert_eq!((address, refused.to_string()), (alive, format!("{dead}: connection refused")));
        assert!(connect(&[dead], &[], WITHIN, &mut refused).await.is_none());
        assert_eq!(refused.to_string(), format!("{dead}: connection refused; {dead}: connection refused"));
        let source: IpAddr = "127.0.0.9".parse().expect("an address");
        let (stream, _) = connect(&[alive], &[source], WITHIN, &mut refused).await.expect("it accepts");
        assert_eq!(stream.local_addr().expect("it is bound").ip(), source);
        let (foreign, mut refused): (IpAddr, _) = ("192.0.2.1".parse().expect("an address"), Refusals::default());
        assert!(connect(&[alive], &[foreign], WITHIN, &mut refused).await.is_none());
        assert_eq!(refused.to_string(), format!("{alive}: the source address is not one of this machine's"));
        let mut refused = Refusals::default();
        assert!(connect(&[], &[], WITHIN, &mut refused).await.is_none() && refused.0.is_empty());
    }
}
