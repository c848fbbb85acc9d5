//! Servers under test behind a proxy, so that mail can come from any address, and the DNS that they ask.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use postroad_testkit::{DnsServer, Process, Ran, postgres, run, run_in};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_postroad");
pub(crate) const PASSWORD: &str = "who goes there 3";
const ACCOUNTS: usize = 40;

/// RFC 5737: an address that no domain of the tests names.
pub(crate) const STRANGER: &str = "198.51.100.9";
/// The address that may send for every domain of the tests.
pub(crate) const HOME: &str = "192.0.2.25";
/// The address of a host that sends mail on.
pub(crate) const UNIVERSITY: &str = "203.0.113.40";

/// A running server.
pub(crate) struct Place {
    /// What made the data folder and found the ports; it runs no more.
    quickstart: Mutex<Process>,
    _serve: Process,
    accounts: AtomicUsize,
}

/// The DNS of all tests but those that stop it, and the keys in it.
pub(crate) struct World {
    pub(crate) dns: DnsServer,
    pub(crate) keys: tempfile::TempDir,
}

/// Domains that ask for something: `bank.test` for refusal, `shop.test` for quarantine, `watch.test` for nothing.
pub(crate) fn records() -> String {
    let domain = |name: &str, policy: &str| {
        format!(
            "{name}. TXT \"v=spf1 ip4:{HOME} -all\"\n_dmarc.{name}. TXT \"v=DMARC1; p={policy}; rua=mailto:r@{name}\"\n"
        )
    };
    format!(
        "{}{}{}mail.bank.test. A {HOME}\n25.2.0.192.in-addr.arpa. PTR mail.bank.test.\n\
         9.100.51.198.in-addr.arpa. PTR nine.isp.test.\nnine.isp.test. A {STRANGER}\n\
         40.113.0.203.in-addr.arpa. PTR mx.uni.test.\nmx.uni.test. A {UNIVERSITY}\n",
        domain("bank.test", "reject"),
        domain("shop.test", "quarantine"),
        domain("watch.test", "none"),
    )
}

/// Made once for all tests of this binary. `s` is an RSA key of bank.test made by opendkim, `e` an Ed25519 key made by dkimpy.
pub(crate) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let keys = tempfile::tempdir().expect("a folder");
        run_in(keys.path(), "opendkim-genkey", &["-b", "2048", "-d", "bank.test", "-s", "s"], b"").good();
        run_in(keys.path(), "dknewkey", &["--ktype", "ed25519", "e"], b"").good();
        let read = |name: &str| std::fs::read_to_string(keys.path().join(name)).expect("it was made");
        // The line of a master file, without what stands before and behind the strings.
        let rsa = read("s.txt");
        let rsa = rsa.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).expect("strings in brackets").0;
        let records = format!(
            "{}s._domainkey.bank.test. TXT ({rsa})\ne._domainkey.bank.test. TXT \"{}\"\n",
            records(),
            read("e.dns").trim(),
        );
        World { dns: DnsServer::start(&records), keys }
    })
}

impl Place {
    /// A quickstart with a name server, its port for mail behind a proxy.
    pub(crate) fn start(resolver: Option<&str>, database: Option<&str>) -> Place {
        let accounts = ACCOUNTS.to_string();
        let mut options = vec!["--accounts", &accounts];
        options.extend(resolver.iter().flat_map(|resolver| ["--resolver", resolver]));
        options.extend(database.iter().flat_map(|url| ["--database", url]));
        let mut process = Process::quickstart(PROGRAM, PASSWORD, &options);
        assert!(process.stop().success());
        let file = process.data().join("postroad.toml");
        let text = std::fs::read_to_string(&file).expect("quickstart wrote it");
        let service = "service = \"smtp\"\n";
        assert!(text.contains(service), "{text}");
        let proxied = format!("{service}proxy-from = [\"127.0.0.1\"]\n");
        std::fs::write(&file, text.replace(service, &proxied)).expect("it can be written");
        let serve = Process::start(PROGRAM, &["serve", "--data", &process.data().display().to_string()]);
        Place { quickstart: Mutex::new(process), _serve: serve, accounts: AtomicUsize::new(0) }
    }

    /// The address of the next account.
    pub(crate) fn account(&self) -> String {
        let number = self.accounts.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(number <= ACCOUNTS, "the tests use more accounts than were made");
        format!("u{number:04}@example.test")
    }

    fn quickstart(&self) -> MutexGuard<'_, Process> {
        self.quickstart.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn port(&self, standard: u16) -> u16 {
        self.quickstart().address(standard).port()
    }

    /// Runs a command line of the program beside the server, to its good end.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let data = self.quickstart().data().display().to_string();
        run(PROGRAM, &[arguments, &["--data", &data]].concat(), b"").good()
    }

    /// Hands a message in with swaks, as a host with this address.
    pub(crate) fn bring(&self, address: &str, from: &str, to: &str, message: &[u8]) -> Ran {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), message).expect("it can be written");
        let server = format!("127.0.0.1:{}", self.port(25));
        let proxied = format!("TCP4 {address} 127.0.0.1 40000 25");
        let data = format!("@{}", file.path().display());
        let arguments = [
            "--server",
            &server,
            "--proxy",
            &proxied,
            "--helo",
            "mail.bank.test",
            "--from",
            from,
            "--to",
            to,
            "--data",
            &data,
        ];
        run("swaks", &arguments, b"")
    }

    /// The only message of a mailbox, as curl reads it over IMAP.
    pub(crate) fn read(&self, who: &str, mailbox: &str) -> String {
        let url = format!("imap://127.0.0.1:{}/{mailbox};UID=1", self.port(143));
        run("curl", &["-sS", &url, "-u", &format!("{who}:{PASSWORD}")], b"").good()
    }

    /// How many messages a mailbox has, and how many of them are unseen.
    pub(crate) fn count(&self, who: &str, mailbox: &str) -> (String, String) {
        let url = format!("imap://127.0.0.1:{}/", self.port(143));
        let command = format!("STATUS {mailbox} (MESSAGES UNSEEN)");
        let said = run("curl", &["-sS", &url, "-u", &format!("{who}:{PASSWORD}"), "-X", &command], b"").good();
        let number = |word: &str| {
            let rest = said.split_once(word).unwrap_or_else(|| panic!("{said}")).1;
            rest.trim_start().split(|c: char| !c.is_ascii_digit()).next().expect("a number").to_owned()
        };
        (number("MESSAGES"), number("UNSEEN"))
    }
}

/// A server on each database, started once for all tests of this binary.
pub(crate) fn places() -> [&'static Place; 2] {
    static SQLITE: OnceLock<Place> = OnceLock::new();
    static POSTGRES: OnceLock<Place> = OnceLock::new();
    let resolver = world().dns.address().to_string();
    [
        SQLITE.get_or_init(|| Place::start(Some(&resolver), None)),
        POSTGRES.get_or_init(|| Place::start(Some(&resolver), Some(&postgres::fresh_database()))),
    ]
}

/// A small message with lines that end in LF, as the signing programs and swaks like them.
pub(crate) fn message(from: &str, to: &str, id: &str) -> String {
    format!(
        "From: {from}\nTo: {to}\nSubject: {id}\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <{id}.{to}>\n\n\
         First line.\n\nLast line, with  blanks \n"
    )
}

/// Signed by opendkim as it would by its own settings: the field that it tells its mail server to insert.
pub(crate) fn signed_by_opendkim(message: &str, folder: &Path) -> String {
    let work = tempfile::tempdir().expect("a folder");
    let (settings, file) = (work.path().join("opendkim.conf"), work.path().join("message"));
    let text = format!(
        "Domain bank.test\nSelector s\nKeyFile {}/s.private\nCanonicalization relaxed/simple\nMode s\n\
         RequireSafeKeys no\nOversignHeaders From\n",
        folder.display()
    );
    std::fs::write(&settings, text).expect("it can be written");
    std::fs::write(&file, message.replace('\n', "\r\n")).expect("it can be written");
    let arguments = ["-x", &settings.display().to_string(), "-t", &file.display().to_string(), "-vvv"];
    let said = run("/usr/sbin/opendkim", &arguments, b"").good();
    let value = said.split_once("hname='DKIM-Signature' hvalue='").unwrap_or_else(|| panic!("{said}")).1;
    let value = value.split_once('\'').expect("the end of the value").0;
    format!("DKIM-Signature: {value}\n{message}")
}

/// Signed by dkimpy with its Ed25519 key.
pub(crate) fn signed_by_dkimpy(message: &str, folder: &Path) -> String {
    let key = folder.join("e.key").display().to_string();
    let arguments = ["--signalg", "ed25519-sha256", "e", "bank.test", &key];
    run("dkimsign", &arguments, message.replace('\n', "\r\n").as_bytes()).good().replace('\r', "")
}
