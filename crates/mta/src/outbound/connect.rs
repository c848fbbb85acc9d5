//! From addresses to a connection: the next address is tried when one fails or is slow to answer.
//!
//! Standards: RFC 8305 §5 (staggered attempts), RFC 5321 §5.1 (all addresses of a host are tried).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// RFC 8305 §5: an address that is silent for so long gets company.
const STAGGER: Duration = Duration::from_millis(250);

/// The first of the addresses that accepts, within `within` for all together. The error names each address with what
/// went wrong there.
pub(crate) async fn connect(
    addresses: &[SocketAddr],
    sources: &[IpAddr],
    within: Duration,
) -> Result<(TcpStream, SocketAddr), String> {
    let deadline = Instant::now() + within;
    let mut waiting = addresses.iter().copied();
    let mut trying: JoinSet<(SocketAddr, io::Result<TcpStream>)> = JoinSet::new();
    let mut failures: Vec<String> = Vec::new();
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
                None if trying.is_empty() => return Err(failures.join("; ")),
                None => next_at = deadline,
            }
        }
        let joined = timeout_at(next_at.min(deadline), trying.join_next()).await;
        match joined {
            Ok(Some(Ok((address, Ok(stream))))) => return Ok((stream, address)),
            Ok(Some(Ok((address, Err(error))))) => {
                silent.retain(|other| *other != address);
                failures.push(format!("{address}: {}", words(&error)));
                next_at = Instant::now();
            }
            Ok(Some(Err(_)) | None) => next_at = Instant::now(),
            Err(_) if Instant::now() >= deadline => {
                let seconds = within.as_secs();
                failures.extend(silent.iter().map(|address| format!("{address}: no answer within {seconds} s")));
                return Err(failures.join("; "));
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
        let (_, address) = connect(&[dead, alive, dead], &[], WITHIN).await.expect("one accepts");
        assert_eq!(address, alive);
        let error = connect(&[dead, dead], &[], WITHIN).await.expect_err("nobody accepts");
        assert_eq!(error, format!("{dead}: connection refused; {dead}: connection refused"));
        let source: IpAddr = "127.0.0.9".parse().expect("an address");
        let (stream, _) = connect(&[alive], &[source], WITHIN).await.expect("it accepts");
        assert_eq!(stream.local_addr().expect("it is bound").ip(), source);
        let foreign: IpAddr = "192.0.2.1".parse().expect("an address");
        let error = connect(&[alive], &[foreign], WITHIN).await.expect_err("not our address");
        assert_eq!(error, format!("{alive}: the source address is not one of this machine's"));
        assert_eq!(connect(&[], &[], WITHIN).await.expect_err("nowhere"), "");
    }
}
