//! A real validating resolver for tests: unbound from Debian's package, in front of a name server of the test's own.
//!
//! It keeps nothing, so that each question reaches the name server. Standards: RFC 4035 §4.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use crate::dns_server::{DnsServer, free_port};
use crate::janitor::Janitor;
use crate::process::Process;
use crate::run::eventually;

/// A running resolver. It ends when the value is dropped or the process ends.
#[derive(Debug)]
pub struct Unbound {
    process: Process,
    address: SocketAddr,
    _janitor: Janitor,
}

impl Unbound {
    /// Resolves by asking this name server, whose root is signed, and validates.
    ///
    /// # Panics
    /// When unbound is not installed.
    pub fn validating(server: &DnsServer) -> Unbound {
        let anchor = format!(
            "trust-anchor-file: \"{}\"\n    module-config: \"validator iterator\"",
            server.trust_anchor().display()
        );
        Unbound::start(server, &anchor, free_port)
    }

    /// The same at port 53 of a loopback address of its own, for programs that know no other port.
    ///
    /// # Panics
    /// When unbound is not installed, or this is not root.
    pub fn validating_at_53(server: &DnsServer) -> Unbound {
        let anchor = format!(
            "trust-anchor-file: \"{}\"\n    module-config: \"validator iterator\"",
            server.trust_anchor().display()
        );
        let free = || {
            let found = (0..ADDRESS_ATTEMPTS).find_map(|_| {
                let [a, b, ..] = some_octets();
                let address = SocketAddr::from(([127, 200 + a % 50, b, 53], 53));
                UdpSocket::bind(address).is_ok().then_some(address)
            });
            found.expect(
                "port 53 of a loopback address can be bound: that takes root, and nobody at port 53 of all addresses",
            )
        };
        Unbound::start(server, &anchor, free)
    }

    /// Resolves by asking this name server, without looking at signatures.
    ///
    /// # Panics
    /// When unbound is not installed.
    pub fn plain(server: &DnsServer) -> Unbound {
        Unbound::start(server, "module-config: \"iterator\"", free_port)
    }

    fn start(server: &DnsServer, more: &str, free: impl Fn() -> SocketAddr) -> Unbound {
        assert!(Path::new(UNBOUND).exists(), "{HOW_TO_INSTALL}");
        let folder = tempfile::Builder::new().prefix("postroad-unbound-").tempdir().expect("a folder").keep();
        let janitor = Janitor::of(&folder);
        let file = folder.join("unbound.conf");
        for _ in 0..PORT_ATTEMPTS {
            let address = free();
            let text = settings(&folder, address, server.address(), more);
            std::fs::write(&file, text).expect("the folder can be written");
            let mut process = Process::spawn(UNBOUND, &["-d", "-d", "-c", &file.display().to_string()]);
            if answers(address, &mut process) {
                return Unbound { process, address, _janitor: janitor };
            }
            let printed = process.printed();
            assert!(
                printed.contains("can't bind") || printed.contains("could not open ports"),
                "unbound ended:\n{printed}"
            );
        }
        panic!("unbound found no free port in {PORT_ATTEMPTS} attempts");
    }

    /// Where it listens, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: nobody answers there any more.
    pub fn stop(&mut self) {
        self.process.kill();
    }
}

fn settings(folder: &Path, own: SocketAddr, server: SocketAddr, more: &str) -> String {
    let folder = folder.display();
    format!(
        "server:\n    directory: \"{folder}\"\n    chroot: \"\"\n    username: \"\"\n    pidfile: \"{folder}/pid\"\n    \
         use-syslog: no\n    logfile: \"\"\n    interface: {}@{}\n    num-threads: 1\n    do-not-query-localhost: no\n    \
         cache-max-ttl: 0\n    cache-max-negative-ttl: 0\n    val-bogus-ttl: 0\n    infra-host-ttl: 0\n    \
         val-log-level: 2\n    local-zone: \"test.\" nodefault\n    unblock-lan-zones: yes\n    {more}\n\
         remote-control:\n    control-enable: no\n\
         forward-zone:\n    name: \".\"\n    forward-addr: {}@{}\n",
        own.ip(),
        own.port(),
        server.ip(),
        server.port()
    )
}

/// Different at each call, and in each process.
fn some_octets() -> [u8; 8] {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0).to_be_bytes()
}

/// Whether it answers at all: not when it ends.
fn answers(address: SocketAddr, process: &mut Process) -> bool {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket option");
    eventually("an answer of unbound", || {
        if process.has_ended() {
            return Some(false);
        }
        let mut answer = [0; 512];
        let _ = socket.send_to(QUESTION, address);
        let (length, _) = socket.recv_from(&mut answer).ok()?;
        Some(length >= QUESTION.len())
    })
}

/// Loopback addresses that are tried.
const ADDRESS_ATTEMPTS: usize = 100;
/// `. SOA` with the id 1, recursion desired (RFC 1035 §4.1).
const QUESTION: &[u8] = &[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1];

const UNBOUND: &str = "/usr/sbin/unbound";
const PORT_ATTEMPTS: u32 = 5;

/// What to run when unbound is missing.
pub const HOW_TO_INSTALL: &str =
    "unbound is not installed, and the tests need it. Run: apt-get install --no-install-recommends unbound";
