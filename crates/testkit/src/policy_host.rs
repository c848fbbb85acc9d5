//! A web server of our own that serves one page over HTTPS, good or bad: the policies of MTA-STS. It takes what is put there, too,
//! as reports about TLS are.
//!
//! Nothing of the programs under test is used here. A thread for each connection; what was asked for is kept.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::Pair;
use crate::run::{PATIENCE, in_time};

/// A running web server. It ends when the value is dropped.
pub struct PolicyHost {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
}

struct State {
    config: Arc<ServerConfig>,
    /// The whole answer, its header included; nothing is said without one.
    answer: Vec<u8>,
    /// Host and path of each request.
    asked: Vec<String>,
    /// Those that put something.
    put: Vec<Put>,
    /// Requests are read, and nothing is said.
    is_mute: bool,
    ended: bool,
}

/// Something that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// `POST /path HTTP/1.1`.
    pub line: String,
    /// The header's lines, without that one.
    pub fields: Vec<String>,
    /// As many octets as the header announces.
    pub body: Vec<u8>,
}

impl PolicyHost {
    /// Listens at `address` with this certificate and serves this file as text.
    ///
    /// # Panics
    /// When the address is taken.
    pub fn start(address: SocketAddr, certificate: &Pair, file: &str) -> PolicyHost {
        let listener = in_time(|| TcpListener::bind(address).ok()).expect("the address of the web server is free");
        let address = listener.local_addr().expect("it is bound");
        let (config, answer) = (certificate.server(), answer("200 OK", "text/plain", file));
        let state = State { config, answer, asked: Vec::new(), put: Vec::new(), is_mute: false, ended: false };
        let shared = Arc::new(Shared { state: Mutex::new(state) });
        let acceptor = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept(&listener, &shared))
        };
        PolicyHost { address, shared, acceptor: Some(acceptor) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves this file from now on.
    pub fn serve(&self, file: &str) {
        self.shared.state().answer = answer("200 OK", "text/plain", file);
    }

    /// Serves this from now on, of this kind and with this status: `302 Found`.
    pub fn serve_so(&self, status: &str, kind: &str, file: &str) {
        self.shared.state().answer = answer(status, kind, file);
    }

    /// Says nothing from now on, or something again.
    pub fn mute(&self, is_mute: bool) {
        self.shared.state().is_mute = is_mute;
    }

    /// What was put so far.
    pub fn put(&self) -> Vec<Put> {
        self.shared.state().put.clone()
    }

    /// Has this certificate from now on.
    pub fn present(&self, certificate: &Pair) {
        self.shared.state().config = certificate.server();
    }

    /// Host and path of each request so far.
    pub fn asked(&self) -> Vec<String> {
        self.shared.state().asked.clone()
    }
}

impl std::fmt::Debug for PolicyHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PolicyHost at {}", self.address)
    }
}

impl Drop for PolicyHost {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        // Wakes the acceptor, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    /// A test that panicked must not hide why from the others.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.state().ended {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // Who goes in the middle is not our concern.
            let _ = one(stream, &shared);
        });
    }
}

fn one(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let config = Arc::clone(&shared.state().config);
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream);
    let mut request = Vec::new();
    let mut octet = [0];
    while !request.ends_with(b"\r\n\r\n") && request.len() < REQUEST_MAX {
        tls.read_exact(&mut octet)?;
        request.push(octet[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let host = request.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("host: ").map(str::to_owned));
    let length =
        request.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0).min(BODY_MAX)];
    tls.read_exact(&mut body)?;
    let (answer, is_mute) = {
        let mut state = shared.state();
        state.asked.push(format!("{}{path}", host.unwrap_or_default()));
        if length.is_some() {
            let mut lines = request.lines().filter(|line| !line.is_empty()).map(str::to_owned);
            let line = lines.next().unwrap_or_default();
            state.put.push(Put { line, fields: lines.collect(), body });
        }
        (state.answer.clone(), state.is_mute)
    };
    if is_mute {
        // Until whoever asked goes away.
        while tls.read(&mut octet)? > 0 {}
        return Ok(());
    }
    tls.write_all(&answer)?;
    tls.conn.send_close_notify();
    tls.flush()?;
    tls.sock.shutdown(Shutdown::Write)
}

fn answer(status: &str, kind: &str, file: &str) -> Vec<u8> {
    let length = file.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nLocation: /\r\n\r\n{file}").into()
}

/// Octets of what is put.
const BODY_MAX: usize = 16 << 20;
/// Octets of a request.
const REQUEST_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::Authority;
    use crate::run;

    #[test]
    fn curl_gets_what_is_served() {
        let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, authority.pem()).expect("written");
        let any = "127.0.0.1:0".parse().expect("an address");
        let host = PolicyHost::start(any, &authority.issue(&["mta-sts.there.test"]), "version: STSv1\n");
        let (at, ca) = (host.address.port().to_string(), ca.display().to_string());
        let url = format!("https://mta-sts.there.test:{at}/.well-known/mta-sts.txt");
        let resolve = format!("mta-sts.there.test:{at}:127.0.0.1");
        let get = || run("curl", &["-sS", "--cacert", &ca, "--resolve", &resolve, &url], b"");
        assert_eq!(get().good(), "version: STSv1\n");
        assert_eq!(host.asked(), [format!("mta-sts.there.test:{at}/.well-known/mta-sts.txt")]);
        host.present(&Authority::new().issue(&["mta-sts.there.test"]));
        assert!(!get().success);
    }
}
