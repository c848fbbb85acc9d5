//! A real certificate authority for tests: pebble from Debian's package of that name, on free loopback ports.
//!
//! It looks for its answers where the test says: names are resolved by the test's name server, ports are the test's.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use crate::certificates::Authority;
use crate::janitor::Janitor;
use crate::process::Process;
use crate::run::{eventually, run};

/// A running authority. It ends when the value is dropped or the process ends.
#[derive(Debug)]
pub struct Pebble {
    process: Process,
    directory: String,
    management: SocketAddr,
    folder: PathBuf,
    authority: Authority,
    _janitor: Janitor,
}

/// What an authority does otherwise than usual.
#[derive(Debug, Clone)]
pub struct Habits {
    /// Where it looks for answers by HTTP-01.
    pub http: u16,
    /// Where it looks for answers by TLS-ALPN-01.
    pub tls: u16,
    /// Seconds that its certificates are valid.
    pub valid_seconds: u64,
    /// The id and the MAC key (Base64, URL-safe) of the only account that may be opened.
    pub external: Option<(String, String)>,
}

impl Habits {
    /// Looks there, at once, and gives certificates for ninety days to everybody.
    pub fn looking_at(http: u16, tls: u16) -> Habits {
        Habits { http, tls, valid_seconds: 90 * 24 * 3600, external: None }
    }
}

impl Pebble {
    /// Starts one that asks this name server.
    ///
    /// # Panics
    /// When pebble is not installed or does not start.
    pub fn start(dns: SocketAddr, habits: &Habits) -> Pebble {
        assert!(Path::new(PEBBLE).exists(), "{HOW_TO_INSTALL}");
        let folder = tempfile::Builder::new().prefix("postroad-pebble-").tempdir().expect("a folder").keep();
        let janitor = Janitor::of(&folder);
        let authority = Authority::new();
        let pair = authority.issue(&["localhost", "127.0.0.1"]);
        for (file, text) in [("root.pem", authority.pem()), ("cert.pem", pair.chain), ("key.pem", pair.key)] {
            std::fs::write(folder.join(file), text).expect("the folder can be written");
        }
        // Another process can take a port between our look and pebble's bind: then try others.
        for _ in 0..PORT_ATTEMPTS {
            let (acme, management) = (free_port(), free_port());
            let settings = settings(&folder, acme, management, habits);
            std::fs::write(folder.join("pebble.json"), settings).expect("the folder can be written");
            let mut process = spawn(&folder, dns);
            let listens = eventually("pebble", || {
                let both = TcpStream::connect(acme).is_ok() && TcpStream::connect(management).is_ok();
                if process.has_ended() { Some(false) } else { both.then_some(true) }
            });
            if listens {
                let directory = format!("https://localhost:{}/dir", acme.port());
                return Pebble { process, directory, management, folder, authority, _janitor: janitor };
            }
            let printed = process.printed();
            assert!(printed.contains("address already in use"), "pebble does not start:\n{printed}");
        }
        panic!("pebble found no free ports in {PORT_ATTEMPTS} attempts");
    }

    /// The URL of its directory.
    pub fn directory(&self) -> &str {
        &self.directory
    }

    /// PEM: who vouches for the directory's own certificate.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root.pem")
    }

    /// The same as a value, to vouch for others too.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What it has said so far.
    pub fn printed(&self) -> String {
        self.process.printed()
    }

    /// PEM: who vouches for the certificates that it gives.
    pub fn issuer(&self) -> String {
        self.ask("/roots/0")
    }

    /// `Valid` or `Revoked`: what it says of a certificate by its serial number, in hexadecimal.
    pub fn status(&self, serial: &str) -> String {
        let answer = self.ask(&format!("/cert-status-by-serial/{serial}"));
        let status = answer.split("\"Status\":").nth(1).and_then(|rest| rest.split('"').nth(1));
        status.unwrap_or_else(|| panic!("pebble does not know {serial}: {answer}")).to_owned()
    }

    /// Ends it: nobody answers there any more.
    pub fn stop(&mut self) {
        self.process.kill();
    }

    fn ask(&self, path: &str) -> String {
        let url = format!("https://localhost:{}{path}", self.management.port());
        run("curl", &["--silent", "--insecure", &url], b"").good()
    }
}

fn spawn(folder: &Path, dns: SocketAddr) -> Process {
    let line = format!(
        "echo ready; PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=5 PEBBLE_AUTHZREUSE=0 exec {PEBBLE} -config {}/pebble.json -dnsserver {dns}",
        folder.display()
    );
    Process::start("/bin/sh", &["-c", &line])
}

fn settings(folder: &Path, acme: SocketAddr, management: SocketAddr, habits: &Habits) -> String {
    let folder = folder.display();
    let external = habits.external.as_ref().map_or(String::new(), |(id, key)| {
        format!(", \"externalAccountBindingRequired\": true, \"externalAccountMACKeys\": {{\"{id}\": \"{key}\"}}")
    });
    format!(
        "{{\"pebble\": {{\"listenAddress\": \"{acme}\", \"managementListenAddress\": \"{management}\", \
         \"certificate\": \"{folder}/cert.pem\", \"privateKey\": \"{folder}/key.pem\", \"httpPort\": {}, \
         \"tlsPort\": {}, \"ocspResponderURL\": \"\", \"certificateValidityPeriod\": {}{external}}}}}",
        habits.http, habits.tls, habits.valid_seconds
    )
}

fn free_port() -> SocketAddr {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    socket.local_addr().expect("it is bound")
}

const PEBBLE: &str = "/usr/bin/pebble";
const PORT_ATTEMPTS: u32 = 5;

/// What to run when pebble is missing.
pub const HOW_TO_INSTALL: &str =
    "pebble is not installed, and the tests need it. Run: apt-get install --no-install-recommends pebble";
