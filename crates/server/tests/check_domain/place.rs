//! A server, its signed zone, and what `postroad check` says of both.

use std::path::PathBuf;

use postroad_testkit::certificates::{Authority, Pair};
use postroad_testkit::{DnsServer, Process, Ran, Zone, run};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_postroad");
/// Where the server is, for the DNS: loopback, but none of the test entries of lists.
pub(crate) const HOST: &str = "127.0.0.5";
/// What the root zone has: the address's name, and a list of bad addresses that works.
const ROOT: &str = "5.0.0.127.in-addr.arpa. PTR mail.example.test.\n2.0.0.127.bl.test. A 127.0.0.2\n";

/// A healthy domain.
pub(crate) struct Place {
    pub(crate) server: Process,
    pub(crate) dns: DnsServer,
    pub(crate) authority: Authority,
    /// Its zone, and the root's records.
    pub(crate) zone: String,
    pub(crate) root: String,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place::in_zone(Zone::signed("example.test", ""))
    }

    /// With this zone for the domain.
    pub(crate) fn in_zone(zone: Zone) -> Place {
        let dns = DnsServer::serve(vec![Zone::signed("", ROOT), zone]);
        let resolver = dns.address().to_string();
        let mut server = Process::quickstart(PROGRAM, "password-1", &["example.test", "--resolver", &resolver]);
        assert!(server.stop().success());
        let authority = Authority::new();
        let data = server.data().to_owned();
        std::fs::write(data.join("ca.pem"), authority.pem()).expect("the folder can be written");
        let file = data.join("postroad.toml");
        let mut text = std::fs::read_to_string(&file).expect("quickstart wrote it");
        let place = |name: &str| data.join(name).display().to_string();
        for (usual, other) in [
            ("mta-sts-port = 443", format!("mta-sts-port = 443\nauthorities = {:?}", place("ca.pem"))),
            ("dnssec = \"auto\"", format!("dnssec = \"validate\"\ntrust-anchor = {:?}", dns.trust_anchor())),
        ] {
            assert!(text.contains(usual), "{usual} is not in:\n{text}");
            text = text.replace(usual, &other);
        }
        text += &format!("\n[[certificate]]\nchain = {:?}\nkey = {:?}\n", place("chain"), place("key"));
        std::fs::write(&file, text).expect("the folder can be written");
        let mut place = Place { server, authority, zone: String::new(), root: ROOT.to_owned(), dns };
        place.certificate(&["mail.example.test", "mta-sts.example.test", "autoconfig.example.test"]);
        place.server.start_again();
        let printed = place.postroad(&["dns", "example.test", "--zone"]).good();
        place.zone = format!("{printed}\nmail.example.test. A {HOST}\n");
        place.dns.replace_in("example.test", &place.zone);
        place
    }

    /// Puts a certificate for these names in the files that the settings name.
    pub(crate) fn certificate(&self, names: &[&str]) {
        self.shows(self.authority.issue(names));
    }

    /// Puts a certificate in the files that the settings name.
    pub(crate) fn shows(&self, pair: Pair) {
        std::fs::write(self.data().join("chain"), pair.chain).expect("the folder can be written");
        std::fs::write(self.data().join("key"), pair.key).expect("the folder can be written");
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.server.data().to_owned()
    }

    pub(crate) fn postroad(&self, arguments: &[&str]) -> Ran {
        let data = self.data().display().to_string();
        run(PROGRAM, &[arguments, &["--data", &data]].concat(), b"")
    }

    /// Runs it with more options.
    pub(crate) fn check(&self, more: &[&str]) -> Ran {
        let offset = (self.server.address(25).port() - 25).to_string();
        let usual = ["check", "example.test", "--port-offset", &offset, "--list", "bl.test"];
        self.postroad(&[&usual, more].concat())
    }

    /// What it says, and whether nothing had to be put right.
    pub(crate) fn said(&self, more: &[&str]) -> (bool, Vec<Value>) {
        let ran = self.check(&[&["--json"], more].concat());
        let json: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        (ran.success, json["lines"].as_array().expect("lines").clone())
    }

    /// The zone without the lines that have these words, and with others.
    pub(crate) fn publish(&mut self, without: &str, with: &str, root: &str) {
        let kept = |line: &&str| without.is_empty() || !line.contains(without);
        let zone: String = self.zone.lines().filter(kept).map(|line| format!("{line}\n")).collect();
        self.dns.replace_in("example.test", &(zone + with));
        let base: String = self.root.lines().filter(kept).map(|line| format!("{line}\n")).collect();
        self.dns.replace_in("", &(base + root));
    }
}

/// Whether a line is of this kind and has these words, in what it found and in what is to be done.
pub(crate) fn is_said(lines: &[Value], expected: &Expected) -> bool {
    lines.iter().any(|line| {
        let text = |key: &str| line[key].as_str().unwrap_or_default();
        let todo = format!("{} {}", text("remedy"), line["records"]);
        text("is") == expected.is
            && text("what") == expected.what
            && text("fact").contains(expected.fact)
            && todo.contains(expected.todo)
            && !text("meaning").is_empty()
    })
}

/// A line that is wanted.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) is: &'static str,
    pub(crate) what: &'static str,
    pub(crate) fact: &'static str,
    /// In the remedy or the records.
    pub(crate) todo: &'static str,
}
