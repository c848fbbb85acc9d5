//! A real name server for tests: knotd from Debian's package `knot`, on a free loopback port.
//!
//! It serves one zone, the root, or several with and without signatures ([`Zone`]): what the test says is there, every
//! other name does not exist. Names of whole zones can be broken, which look-ups see as SERVFAIL. Standards: RFC 1035
//! (master files), RFC 2308, RFC 4035 (signed zones), RFC 2136 (updates, with [`UPDATE_KEY`]).

mod zone;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::janitor::Janitor;
use crate::process::Process;
use crate::run::{eventually, run};

pub use zone::Zone;

/// A running name server. It ends when the value is dropped or the process ends.
#[derive(Debug)]
pub struct DnsServer {
    process: Process,
    address: SocketAddr,
    folder: PathBuf,
    _janitor: Janitor,
    zones: Vec<Zone>,
    trust_anchor: Option<PathBuf>,
    serial: u32,
}

impl DnsServer {
    /// Serves these records: lines of a master file with absolute names,
    /// `there.test. MX 10 mx.there.test.`. Their TTL is 0, so that a change is seen at once.
    ///
    /// # Panics
    /// When knotd is not installed or refuses the records.
    pub fn start(records: &str) -> DnsServer {
        DnsServer::start_with_broken(records, &[])
    }

    /// The same; for names in `broken` (`broken.test`), and below them, it answers SERVFAIL.
    pub fn start_with_broken(records: &str, broken: &[&str]) -> DnsServer {
        DnsServer::start_zones(vec![Zone::unsigned("", records)], broken)
    }

    /// Serves these zones; one of them must be the root (`""`), and each that lies below another is delegated by it.
    ///
    /// # Panics
    /// When knotd is not installed or refuses the records.
    pub fn serve(zones: Vec<Zone>) -> DnsServer {
        DnsServer::start_zones(zones, &[])
    }

    fn start_zones(zones: Vec<Zone>, broken: &[&str]) -> DnsServer {
        assert!(Path::new(KNOTD).exists(), "{HOW_TO_INSTALL}");
        let folder = tempfile::Builder::new().prefix("postroad-dns-").tempdir().expect("a folder").keep();
        let janitor = Janitor::of(&folder);
        let settings = folder.join("knot.conf");
        let write = |address: SocketAddr, zones: &str| {
            std::fs::write(&settings, server_settings(&folder, address) + zones).expect("the folder can be written");
        };
        for inner in ["database", "signed"] {
            std::fs::create_dir(folder.join(inner)).expect("the folder can be written");
        }
        write((HOST, 53).into(), &zone::settings(&zones, broken));
        let trust_anchor = zone::make_keys(&settings, &zones).map(|key| {
            let file = folder.join("trust-anchor");
            std::fs::write(&file, key).expect("the folder can be written");
            file
        });
        for zone in &zones {
            let text = zone::master_file(&settings, zone, &zones, 1);
            std::fs::write(folder.join(zone.file()), text).expect("the folder can be written");
        }
        let to_tamper = zone::names_to_tamper(&zones);
        if !to_tamper.is_empty() {
            let (_, mut process) = start_knotd(&settings, |address| write(address, &zone::signing_settings(&zones)));
            for name in &to_tamper {
                knotc(&settings, &["zone-flush", name, "+outdir", &folder.join("signed").display().to_string()]);
            }
            process.kill();
            zone::tampered(&zones, &folder);
        }
        let (address, process) = start_knotd(&settings, |address| write(address, &zone::settings(&zones, broken)));
        DnsServer { process, address, folder, _janitor: janitor, zones, trust_anchor, serial: 1 }
    }

    /// The file with the root's key, which validators must trust.
    ///
    /// # Panics
    /// When the root is not signed.
    pub fn trust_anchor(&self) -> &Path {
        self.trust_anchor.as_deref().expect("the root is signed")
    }

    /// Where it listens, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves other records from now on, in the root zone.
    pub fn replace(&mut self, records: &str) {
        self.replace_in("", records);
    }

    /// Serves other records of one of its zones from now on.
    pub fn replace_in(&mut self, name: &str, records: &str) {
        // The server counts on by itself when it signs.
        self.serial += SERIAL_STEP;
        let settings = self.folder.join("knot.conf");
        let zone = self.zones.iter_mut().find(|zone| zone.name() == name).expect("a zone of this server");
        zone.replace(records);
        let zone = zone.clone();
        let text = zone::master_file(&settings, &zone, &self.zones, self.serial);
        std::fs::write(self.folder.join(zone.file()), text).expect("the folder can be written");
        knotc(&settings, &["zone-reload", &format!("{name}.")]);
    }

    /// Ends it: nobody answers there any more.
    pub fn stop(&mut self) {
        self.process.kill();
    }

    /// Starts it again after [`DnsServer::stop`], on the same port.
    pub fn start_again(&mut self) {
        self.process.start_again();
        assert!(answers(self.address, &mut self.process), "{}", self.process.printed());
    }
}

/// Starts it on a free port, for which `write` writes the settings.
fn start_knotd(settings: &Path, write: impl Fn(SocketAddr)) -> (SocketAddr, Process) {
    // Another process can take the port between our look and knotd's bind: then try the next.
    for _ in 0..PORT_ATTEMPTS {
        let address = free_port();
        write(address);
        let mut process = Process::spawn(KNOTD, &["-c", &settings.display().to_string()]);
        if answers(address, &mut process) {
            return (address, process);
        }
        let printed = process.printed();
        assert!(printed.contains("cannot bind"), "knotd does not serve these records:\n{printed}");
    }
    panic!("knotd found no free port in {PORT_ATTEMPTS} attempts");
}

fn knotc(settings: &Path, arguments: &[&str]) {
    let settings = settings.display().to_string();
    run("/usr/sbin/knotc", &[&["-c", &settings, "-b"], arguments].concat(), b"").good();
}

fn server_settings(folder: &Path, address: SocketAddr) -> String {
    let folder = folder.display();
    let policy = |name: &str, nsec3: &str| {
        format!(
            "  - id: {name}\n    manual: on\n    algorithm: ecdsap256sha256\n    nsec3: {nsec3}\n    nsec3-iterations: 0\n"
        )
    };
    format!(
        "server:\n    listen: {}@{}\n    rundir: \"{folder}\"\n    udp-workers: 1\n    tcp-workers: 1\n    \
         background-workers: 1\n\
         log:\n  - target: stdout\n    any: info\n\
         database:\n    storage: \"{folder}/database\"\n\
         key:\n  - id: {UPDATE_KEY_NAME}\n    algorithm: hmac-sha256\n    secret: {UPDATE_SECRET}\n\
         acl:\n  - id: update\n    key: {UPDATE_KEY_NAME}\n    action: update\n\
         policy:\n{}{}\
         template:\n  - id: default\n    storage: \"{folder}\"\n    zonefile-load: whole\n    \
         journal-content: none\n    zonefile-sync: -1\n    semantic-checks: off\n",
        address.ip(),
        address.port(),
        policy("nsec", "off"),
        policy("nsec3", "on"),
    )
}

/// Not 127.0.0.1: connections that leave from there may have any port, so that one could be taken while the server is
/// stopped.
const HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 53, 1);

/// A port that is free for UDP and TCP.
pub(crate) fn free_port() -> SocketAddr {
    loop {
        let tcp = TcpListener::bind((HOST, 0)).expect("loopback has a free port");
        let address = tcp.local_addr().expect("it is bound");
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

/// Whether it answers for the root zone: not when it ends, and not from records that it could not read.
fn answers(address: SocketAddr, process: &mut Process) -> bool {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket option");
    eventually("an answer of knotd", || {
        if process.has_ended() {
            return Some(false);
        }
        let mut answer = [0; 512];
        let _ = socket.send_to(QUESTION, address);
        let (length, _) = socket.recv_from(&mut answer).ok()?;
        // The low four bits of the fourth octet are the RCODE.
        Some(length > QUESTION.len() && answer[3] & 0x0F == 0)
    })
}

/// `. SOA` with the id 1 (RFC 1035 §4.1).
const QUESTION: &[u8] = &[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1];

const KNOTD: &str = "/usr/sbin/knotd";
const PORT_ATTEMPTS: u32 = 5;
const SERIAL_STEP: u32 = 1_000;

/// The key for updates of zones that are updatable, as `nsupdate -y` has it.
pub const UPDATE_KEY: &str = "hmac-sha256:updater:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const UPDATE_KEY_NAME: &str = "updater";
const UPDATE_SECRET: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// What to run when knotd is missing.
pub const HOW_TO_INSTALL: &str =
    "knotd is not installed, and the tests need it. Run: apt-get install --no-install-recommends knot";

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for the MX of a name: the RCODE and how many answers.
    fn mx(server: &DnsServer, name: &str) -> (u8, u8) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket option");
        let mut question = vec![0, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            question.push(u8::try_from(label.len()).expect("a short label"));
            question.extend(label.as_bytes());
        }
        question.extend([0, 0, 15, 0, 1]);
        socket.send_to(&question, server.address()).expect("sent");
        let mut answer = [0; 512];
        socket.recv_from(&mut answer).expect("an answer");
        (answer[3] & 0x0F, answer[7])
    }

    #[test]
    fn it_knows_what_the_test_says_and_nothing_else() {
        let mut server = DnsServer::start_with_broken("there.test. MX 10 mx.there.test.", &["broken.test"]);
        assert_eq!(mx(&server, "there.test"), (0, 1));
        assert_eq!(mx(&server, "elsewhere.test"), (3, 0));
        assert_eq!(mx(&server, "sub.broken.test"), (2, 0));
        server.replace("elsewhere.test. MX 10 a.test.\nelsewhere.test. MX 20 b.test.");
        assert_eq!(mx(&server, "there.test"), (3, 0));
        assert_eq!(mx(&server, "elsewhere.test"), (0, 2));
        server.stop();
        server.start_again();
        assert_eq!(mx(&server, "elsewhere.test"), (0, 2));
        let refused = std::panic::catch_unwind(|| DnsServer::start("there.test. MX what"));
        assert!(refused.is_err(), "records that are none are not served");
    }
}
