//! A server, the signed DNS that it asks, and the hosts of other domains: those that are as published, and others.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use postroad_testkit::certificates::{Authority, Pair};
use postroad_testkit::{DnsServer, Process, SharedPort, Unbound, Zone, eventually, run};

use crate::talk;
use crate::town::{PASSWORD, PROGRAM, message};

const ACCOUNTS: usize = 30;

/// Everything that the tests of this binary share.
pub(crate) struct Harbour {
    process: Mutex<Process>,
    dns: Mutex<(DnsServer, String)>,
    pub(crate) resolver: Unbound,
    pub(crate) port: SharedPort,
    pub(crate) web: SharedPort,
    /// Whom the server trusts.
    pub(crate) known: Authority,
    /// Whom nobody trusts.
    pub(crate) unknown: Authority,
    accounts: AtomicUsize,
    hosts: AtomicUsize,
}

impl Harbour {
    fn start() -> Harbour {
        let (port, web) = (SharedPort::find(), SharedPort::find());
        let dns = DnsServer::serve(vec![
            Zone::signed("", ""),
            // What nobody vouches for.
            Zone::unsigned("plain.test", &plain(&port, &web)),
            // Records that are not what was signed: the domain is good, and what is said of its host is not.
            Zone::with_wrong_key("_tcp.mx.forged.test", &format!("_{} TLSA 3 1 1 {}", port.number(), "00".repeat(32))),
        ]);
        let resolver = Unbound::validating_at_53(&dns);
        let known = Authority::new();
        let process = start(&resolver, &port, &web, &known);
        let harbour = Harbour {
            process: Mutex::new(process),
            dns: Mutex::new((dns, String::new())),
            resolver,
            port,
            web,
            known,
            unknown: Authority::new(),
            accounts: AtomicUsize::new(0),
            hosts: AtomicUsize::new(PLAIN_HOSTS),
        };
        let forged = harbour.host();
        harbour.records(&format!("forged.test. MX 10 mx.forged.test.\nmx.forged.test. A {}\n", forged.ip()));
        harbour
    }

    /// An address for a host that no other test uses.
    pub(crate) fn host(&self) -> SocketAddr {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed) + 1;
        self.port.address(u8::try_from(number).expect("few hosts"))
    }

    /// A signed domain whose host is there, with these TLSA records of it: `3 1 1 …`.
    pub(crate) fn signed(&self, domain: &str, at: SocketAddr, records: &[String]) {
        let owner = format!("_{}._tcp.mx.{domain}.", self.port.number());
        let tlsa: String = records.iter().map(|record| format!("{owner} TLSA {record}\n")).collect();
        self.records(&format!("{domain}. MX 10 mx.{domain}.\nmx.{domain}. A {}\n{tlsa}", at.ip()));
    }

    /// Adds records to the root zone, which is signed.
    pub(crate) fn records(&self, more: &str) {
        let mut dns = self.dns.lock().unwrap_or_else(PoisonError::into_inner);
        dns.1 += more;
        let all = dns.1.clone();
        dns.0.replace(&all);
    }

    pub(crate) fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the service with this standard port listens.
    pub(crate) fn at(&self, standard: u16) -> SocketAddr {
        self.process().address(standard)
    }

    /// The address of the next account.
    pub(crate) fn account(&self) -> String {
        let number = self.accounts.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(number <= ACCOUNTS, "the tests use more accounts than were made");
        format!("u{number:04}@example.test")
    }

    /// Runs a command line of the program to its good end; what it printed.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let data = self.process().data().display().to_string();
        run(PROGRAM, &[arguments, &["--data", &data]].concat(), b"").good()
    }

    /// Hands a small message in for a new account; whose.
    pub(crate) fn submit(&self, to: &str, id: &str) -> String {
        let from = self.account();
        let text = message(&from, to, id);
        talk::submit(self.at(587), &from, &format!("<{from}>"), &[&format!("<{to}>")], text.as_bytes());
        from
    }

    /// What `trace` prints of mail to this address once it has these words.
    pub(crate) fn wait_for_story(&self, to: &str, words: &str) -> String {
        eventually(&format!("{words:?} in the story of {to}"), || {
            Some(self.cli(&["trace", to])).filter(|story| story.contains(words))
        })
    }

    /// Tells the queue to try this domain now.
    pub(crate) fn retry(&self, domain: &str) {
        self.cli(&["queue", "retry", "--domain", domain]);
    }
}

/// A server that asks this resolver, trusts this authority and looks for policies at this port.
fn start(resolver: &Unbound, port: &SharedPort, web: &SharedPort, known: &Authority) -> Process {
    let (dns, smtp, accounts) = (resolver.address().to_string(), port.number().to_string(), ACCOUNTS.to_string());
    let options = ["--resolver", &dns, "--outbound-port", &smtp, "--accounts", &accounts];
    let mut process = Process::quickstart(PROGRAM, PASSWORD, &options);
    assert!(process.stop().success());
    let ca = process.data().join("known.pem");
    std::fs::write(&ca, known.pem()).expect("written");
    let file = process.data().join("postroad.toml");
    let text = std::fs::read_to_string(&file).expect("quickstart wrote it");
    let usual = "mta-sts-port = 443";
    assert!(text.contains(usual), "{text}");
    let changed = text.replace(usual, &format!("mta-sts-port = {}\nauthorities = {ca:?}", web.number()));
    std::fs::write(&file, changed).expect("written");
    process.start_again();
    process
}

/// Domains in the zone that is not signed: `d1.plain.test` has its host at the first address, and so on; each announces a
/// policy. `lost.plain.test`, at the last, does not.
fn plain(port: &SharedPort, web: &SharedPort) -> String {
    let lost = port.address(u8::try_from(PLAIN_HOSTS).expect("few hosts")).ip();
    (1..PLAIN_HOSTS)
        .map(|number| {
            let at = |shared: &SharedPort| shared.address(u8::try_from(number).expect("few hosts")).ip();
            format!(
                "d{number} MX 10 mx.d{number}\nmx.d{number} A {}\n_mta-sts.d{number} TXT \"v=STSv1; id=1;\"\n\
                 mta-sts.d{number} A {}\n",
                at(port),
                at(web)
            )
        })
        .chain([format!("lost MX 10 mx.lost\nmx.lost A {lost}\n")])
        .collect()
}

/// Domains whose hosts have the first addresses.
const PLAIN_HOSTS: usize = 7;

/// `3 1 1` and the digest of a certificate's key.
pub(crate) fn by_key(pair: &Pair) -> String {
    format!("3 1 1 {}", hex(&pair.key_digest()))
}

/// `2 0 1` and the digest of who signed it.
pub(crate) fn by_authority(pair: &Pair) -> String {
    format!("2 0 1 {}", hex(&pair.authority_digest()))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// One for all tests of this binary; none where Postfix cannot be run, or port 53 not be had.
pub(crate) fn harbour() -> Option<&'static Harbour> {
    static HARBOUR: OnceLock<Option<Harbour>> = OnceLock::new();
    let one = HARBOUR.get_or_init(|| postroad_testkit::postfix::can_run().then(Harbour::start));
    if one.is_none() {
        eprintln!("Postfix and port 53 want root; not tested");
    }
    one.as_ref()
}
