//! A realm of its own: a KDC on a free port, with its database, keytab, tickets and servers in a temporary folder.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use postroad_testkit::{Process, postgres};
use tempfile::TempDir;

use super::program::{PASSWORD, Ran, run, run_in};

pub(crate) const REALM: &str = "EXAMPLE.TEST";
const MASTER: &str = "a master key";
/// A server and what its accounts are called: quickstart makes alice and bob.
pub(crate) struct Realm {
    folder: TempDir,
    kdc: Option<Process>,
}

impl Realm {
    /// A realm with these principals, whose password is [`PASSWORD`], and a keytab of the services of localhost. Its clock stands
    /// `hours` behind.
    pub(crate) fn start(principals: &[&str], hours: u32) -> Realm {
        let made = tempfile::Builder::new().prefix("postroad-realm-").tempdir().expect("a folder");
        let mut realm = Realm { folder: made, kdc: None };
        let mut orders = String::new();
        for principal in principals {
            orders += &format!("addprinc -pw \"{PASSWORD}\" {principal}\n");
        }
        for service in ["smtp", "imap", "pop"] {
            orders += &format!(
                "addprinc -randkey {service}/localhost\nktadd -k {} {service}/localhost\n",
                realm.file("keytab")
            );
        }
        realm.configure(0);
        realm.tool(0, "kdb5_util", &["create", "-s", "-r", REALM, "-P", MASTER], "").good();
        realm.tool(0, "kadmin.local", &[], &orders).good();
        // Another may take a port that was free a moment ago: its KDC then ends at once.
        let started = (0..PORTS_TRIED).find_map(|_| {
            let port = free_port();
            realm.configure(port);
            let late = format!("-{hours}h");
            let clock: &[&str] = if hours == 0 { &[] } else { &["faketime", "-f", &late] };
            let words = "\"$@\" 2>&1 | sed -u 's/.*starting.*/ready/'";
            let (config, profile) =
                (realm.variable("KRB5_CONFIG", "krb5.conf"), realm.variable("KRB5_KDC_PROFILE", "kdc.conf"));
            let kdc = ["setpriv", "--pdeathsig", "KILL", "--", "krb5kdc", "-n"];
            let ours = ["/bin/sh", "-c", words, "sh", "setpriv", "--pdeathsig", "KILL", "--", "env", &config, &profile];
            let arguments = [&ours[1..], clock, &kdc].concat();
            std::panic::catch_unwind(|| Process::start(ours[0], &arguments)).ok()
        });
        realm.kdc = Some(started.expect("krb5kdc starts; run `cargo xtask test`, which installs it"));
        realm
    }

    fn file(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn variable(&self, name: &str, file: &str) -> String {
        format!("{name}={}", self.file(file))
    }

    fn configure(&self, port: u16) {
        let krb5 = format!(
            "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\ndns_lookup_realm = false\n\
             dns_canonicalize_hostname = false\nrdns = false\nudp_preference_limit = 1\n\
             [realms]\n{REALM} = {{\nkdc = 127.0.0.1:{port}\n}}\n[domain_realm]\nlocalhost = {REALM}\n"
        );
        let kdc = format!(
            "[kdcdefaults]\nkdc_listen = 127.0.0.1:{port}\nkdc_tcp_listen = 127.0.0.1:{port}\n\
             [realms]\n{REALM} = {{\ndatabase_name = {}\nkey_stash_file = {}\nacl_file = {}\nmax_life = 1h\n}}\n\
             [logging]\nkdc = FILE:{}\n",
            self.file("principal"),
            self.file("stash"),
            self.file("acl"),
            self.file("kdc.log"),
        );
        std::fs::write(self.path("krb5.conf"), krb5).expect("a file");
        std::fs::write(self.path("kdc.conf"), kdc).expect("a file");
    }

    /// Runs a program with the realm's settings, and the tickets of the last [`Realm::ticket`].
    pub(crate) fn tool(&self, hours: u32, program: &str, arguments: &[&str], input: &str) -> Ran {
        let variables = [
            self.variable("KRB5_CONFIG", "krb5.conf"),
            self.variable("KRB5_KDC_PROFILE", "kdc.conf"),
            self.variable("KRB5CCNAME", "tickets"),
        ];
        let late = format!("-{hours}h");
        let clock: &[&str] = if hours == 0 { &[] } else { &["faketime", "-f", &late] };
        let mut all: Vec<&str> = variables.iter().map(String::as_str).collect();
        all.extend(clock);
        // Some are where only the administrator looks.
        let place = ["/usr/sbin", "/usr/bin"].map(|folder| format!("{folder}/{program}"));
        let found = place.iter().find(|path| Path::new(path).exists()).unwrap_or_else(|| {
            panic!("{program} is not there; run `cargo xtask test`, which installs it");
        });
        all.push(found);
        all.extend(arguments);
        run_in(self.folder(), "env", &all, input.as_bytes())
    }

    /// Gets a ticket for somebody.
    pub(crate) fn ticket(&self, principal: &str) {
        self.tool(0, "kinit", &[principal], &format!("{PASSWORD}\n")).good();
    }
}

/// A server in a realm, with accounts for alice and bob of example.test.
pub(crate) struct Server {
    process: std::sync::Mutex<Process>,
    pub(crate) realm: Realm,
}

impl Server {
    /// With tickets of a realm like this, the realm's domain, and more options of quickstart.
    pub(crate) fn start(realm: Realm, realms: &str, more: &[&str]) -> Server {
        // The realm's settings come in by the environment, as they would on a machine of its own.
        let script = realm.path("postroad");
        let caches = realm.path("caches");
        std::fs::create_dir_all(&caches).expect("a folder");
        let text = format!(
            "#!/bin/sh\nexport KRB5_CONFIG={} KRB5RCACHEDIR={}\nexec {} \"$@\"\n",
            realm.file("krb5.conf"),
            caches.display(),
            env!("CARGO_BIN_EXE_postroad"),
        );
        std::fs::write(&script, text).expect("a file");
        run("chmod", &["+x", &script.display().to_string()], b"").good();
        let mut process = Process::quickstart(&script, PASSWORD, more);
        assert!(process.stop().success());
        let file = process.data().join("postroad.toml");
        let text = std::fs::read_to_string(&file).expect("quickstart wrote it");
        let ours = format!("\nkeytab = \"{}\"\nrealms = [{realms}]\n", realm.file("keytab"));
        let text = text.replacen("\nrealms = []\n", &ours, 1);
        assert!(text.contains(&ours), "the setting is there");
        std::fs::write(&file, text).expect("it can be written");
        process.start_again();
        Server { process: std::sync::Mutex::new(process), realm }
    }

    pub(crate) fn port(&self, standard: u16) -> u16 {
        self.process.lock().expect("no test panics with it").address(standard).port()
    }

    pub(crate) fn printed(&self) -> String {
        self.process.lock().expect("no test panics with it").printed()
    }

    /// The program under test as a command.
    pub(crate) fn postroad(&self, arguments: &[&str]) -> Ran {
        let data = self.process.lock().expect("no test panics with it").data().display().to_string();
        run(env!("CARGO_BIN_EXE_postroad"), &[arguments, &["--data", &data]].concat(), b"")
    }
}

/// A server on each database, each with a realm and alice's ticket.
pub(crate) fn servers() -> [&'static Server; 2] {
    static SQLITE: OnceLock<Server> = OnceLock::new();
    static POSTGRES: OnceLock<Server> = OnceLock::new();
    let start = |more: &[&str]| {
        let realm = Realm::start(&["alice"], 0);
        realm.ticket("alice");
        Server::start(realm, "[\"EXAMPLE.TEST\", \"example.test\"]", more)
    };
    [SQLITE.get_or_init(|| start(&[])), POSTGRES.get_or_init(|| start(&["--database", &postgres::fresh_database()]))]
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("bound").port()
}

const PORTS_TRIED: usize = 5;
