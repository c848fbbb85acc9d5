//! Servers under test, the DNS that they ask, and addresses for the remote servers of tests.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use postroad_queue::{self as queue, Filter, Listed, State};
use postroad_store::{BlobPlace, Database, Settings, Store};
use postroad_testkit::{DnsServer, Process, Ran, SharedPort, eventually, in_time, postgres, run};

use crate::talk;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_postroad");
pub(crate) const PASSWORD: &str = "outward bound 7";
const ACCOUNTS: usize = 99;

/// A running server, with the world that it sees.
pub(crate) struct Town {
    process: Mutex<Process>,
    dns: Mutex<(DnsServer, String)>,
    port: SharedPort,
    accounts: AtomicUsize,
    domains: AtomicUsize,
    hosts: AtomicU8,
    store: Store,
}

impl Town {
    /// A quickstart of its own that asks a name server of its own.
    fn start(database: Option<&str>) -> Town {
        let dns = DnsServer::start_with_broken("", &["broken.test"]);
        let port = SharedPort::find();
        let (resolver, outbound, accounts) =
            (dns.address().to_string(), port.number().to_string(), ACCOUNTS.to_string());
        let mut options = vec!["--resolver", &resolver, "--outbound-port", &outbound, "--accounts", &accounts];
        options.extend(database.iter().flat_map(|url| ["--database", url]));
        let process = Process::quickstart(PROGRAM, PASSWORD, &options);
        let database = match database {
            Some(url) => Database::Postgres(url.to_owned()),
            None => Database::Sqlite(process.data().join("postroad.sqlite")),
        };
        let settings = Settings::new(database, BlobPlace::Folder(process.data().join("blobs")));
        Town {
            store: Store::open(settings).expect("the database opens beside the server"),
            process: Mutex::new(process),
            dns: Mutex::new((dns, String::new())),
            port,
            accounts: AtomicUsize::new(0),
            domains: AtomicUsize::new(0),
            hosts: AtomicU8::new(0),
        }
    }

    /// One on SQLite in whose settings each of these lines is replaced by the other.
    pub(crate) fn with_settings(changes: &[(&str, &str)]) -> Town {
        let town = Town::start(None);
        let mut process = town.process();
        assert!(process.stop().success());
        let file = process.data().join("postroad.toml");
        let text = std::fs::read_to_string(&file).expect("quickstart wrote it");
        let changed = changes.iter().fold(text, |text, (usual, other)| {
            assert!(text.contains(usual), "{usual} is in the settings");
            text.replace(usual, other)
        });
        std::fs::write(&file, changed).expect("it can be written");
        process.start_again();
        drop(process);
        town
    }

    /// The address of the next account.
    pub(crate) fn account(&self) -> String {
        let number = self.accounts.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(number <= ACCOUNTS, "the tests use more accounts than were made");
        format!("u{number:04}@example.test")
    }

    /// A domain that no other test uses; DNS does not know it.
    pub(crate) fn unknown_domain(&self) -> String {
        format!("d{}.test", self.domains.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// An address for a remote server that no other test uses.
    pub(crate) fn host(&self) -> SocketAddr {
        self.port.address(self.hosts.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A domain that no other test uses, whose MX leads to this address.
    pub(crate) fn domain_at(&self, at: SocketAddr) -> String {
        let domain = self.unknown_domain();
        self.records(&format!("{domain}. MX 10 mx.{domain}.\nmx.{domain}. A {}\n", at.ip()));
        domain
    }

    /// Adds records to the DNS.
    pub(crate) fn records(&self, more: &str) {
        let mut dns = self.dns.lock().unwrap_or_else(PoisonError::into_inner);
        dns.1 += more;
        let all = dns.1.clone();
        dns.0.replace(&all);
    }

    /// The name server that it asks. For the tests of signing, which share this file.
    #[allow(dead_code)]
    pub(crate) fn name_server(&self) -> SocketAddr {
        self.dns.lock().unwrap_or_else(PoisonError::into_inner).0.address()
    }

    /// The port that remote servers share.
    pub(crate) fn outbound_port(&self) -> u16 {
        self.port.number()
    }

    /// Where the service with this standard port listens.
    pub(crate) fn at(&self, standard: u16) -> SocketAddr {
        self.process().address(standard)
    }

    /// The program.
    pub(crate) fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a command line of the program beside the server.
    pub(crate) fn try_cli(&self, arguments: &[&str]) -> Ran {
        let data = self.process().data().display().to_string();
        run(PROGRAM, &[arguments, &["--data", &data]].concat(), b"")
    }

    /// Runs a command line of the program to its good end; what it printed.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        self.try_cli(arguments).good()
    }

    /// Hands a message in for this account: see [`talk::submit`].
    pub(crate) fn submit(&self, from: &str, to: &[&str], text: &str) -> String {
        let to: Vec<String> = to.iter().map(|to| format!("<{to}>")).collect();
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        talk::submit(self.at(587), from, &format!("<{from}>"), &to, text.as_bytes())
    }

    /// Waits for so many messages in the INBOX of this account.
    pub(crate) fn wait_for_inbox(&self, who: &str, count: usize) -> Vec<String> {
        let enough = || Some(talk::messages(self.at(143), who, "INBOX")).filter(|mail| mail.len() >= count);
        in_time(enough)
            .unwrap_or_else(|| panic!("message {count} of {who} does not come:\n{}", self.cli(&["trace", who])))
    }

    /// Waits for the one notice in the INBOX of this account.
    pub(crate) fn wait_for_notice(&self, who: &str) -> String {
        let mut inbox = self.wait_for_inbox(who, 1);
        assert_eq!(inbox.len(), 1, "one notice: {inbox:#?}");
        inbox.remove(0)
    }

    /// Waits until the queue holds nothing for this domain.
    pub(crate) fn wait_until_gone(&self, domain: &str) {
        eventually(&format!("the end of {domain} in the queue"), || self.queued(domain).is_empty().then_some(()));
    }

    /// What is queued for this domain, the oldest first: as it lies in the database.
    pub(crate) fn waiting(&self, domain: &str) -> Vec<Listed> {
        let filter = Filter { domain: Some(domain.to_owned()), ..Filter::default() };
        let listed = self.store.read_blocking(move |tx| queue::list(tx, &filter, None, PAGE));
        listed.expect("the queue can be read while the server runs")
    }

    /// Tells the queue to try this domain until nothing of it is left: what is being sent at an order is left alone.
    pub(crate) fn retry_until_gone(&self, domain: &str) {
        eventually(&format!("the end of {domain} in the queue"), || {
            self.cli(&["queue", "retry", "--domain", domain]);
            self.waiting(domain).is_empty().then_some(())
        });
    }

    /// The ids of the queued messages for this domain, the oldest first, as the command line takes them.
    pub(crate) fn queued(&self, domain: &str) -> Vec<String> {
        self.waiting(domain).iter().map(|listed| listed.message.id.to_string()).collect()
    }

    /// Waits until an attempt for this domain has failed for now with these words; how the queue shows it.
    pub(crate) fn wait_for_deferral(&self, domain: &str, words: &str) -> String {
        let is_told = |listed: &Listed| {
            let mut open = listed.recipients.iter().filter(|recipient| recipient.state != State::Claimed);
            open.any(|recipient| recipient.last_reply.as_deref().is_some_and(|reply| reply.contains(words)))
        };
        let id = eventually(&format!("{words:?} in the queue of {domain}"), || {
            self.waiting(domain).iter().find(|listed| is_told(listed)).map(|listed| listed.message.id.to_string())
        });
        self.cli(&["queue", "show", &id])
    }
}

/// More than any test has waiting for one domain.
const PAGE: usize = 1_000;

/// A server on each database, started once for all tests of this binary.
pub(crate) fn towns() -> [&'static Town; 2] {
    static SQLITE: OnceLock<Town> = OnceLock::new();
    static POSTGRES: OnceLock<Town> = OnceLock::new();
    [SQLITE.get_or_init(|| Town::start(None)), POSTGRES.get_or_init(|| Town::start(Some(&postgres::fresh_database())))]
}

/// A small message with a body of its own.
pub(crate) fn message(from: &str, to: &str, id: &str) -> String {
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: {id}\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{id}@example.test>\r\n\r\nFirst line.\r\n.A line with a dot.\r\n..\r\nTabs\tand  blanks  \r\n"
    )
}
