//! `postroad dns`: what it prints is a zone that a real name server serves, and what it publishes stands there signed.

use std::net::SocketAddr;

use postroad_dns::{Dns, Dnssec, Resolver, Settings};
use postroad_testkit::dns_server::UPDATE_KEY;
use postroad_testkit::{DnsServer, Process, Ran, Zone, run, wait};

const PROGRAM: &str = env!("CARGO_BIN_EXE_postroad");

/// The program for example.test, and a folder for keys.
struct Place {
    server: Process,
    folder: tempfile::TempDir,
}

impl Place {
    fn new(dns: &DnsServer) -> Place {
        let resolver = dns.address().to_string();
        let server = Process::quickstart(PROGRAM, "password-1", &["example.test", "--resolver", &resolver]);
        Place { server, folder: tempfile::tempdir().expect("a folder") }
    }

    fn dns(&self, arguments: &[&str]) -> Ran {
        let data = self.server.data().display().to_string();
        run(PROGRAM, &[&["dns", "example.test", "--data", &data], arguments].concat(), b"")
    }

    /// Publishes to a name server, with its key.
    fn publish(&self, at: SocketAddr, more: &[&str]) -> Ran {
        self.publish_with(UPDATE_KEY, at, more)
    }

    fn publish_with(&self, key: &str, at: SocketAddr, more: &[&str]) -> Ran {
        let file = self.folder.path().join("key");
        std::fs::write(&file, key).expect("the folder can be written");
        let (at, file) = (at.to_string(), file.display().to_string());
        self.dns(&[&["--publish", "--server", &at, "--key", &file], more].concat())
    }
}

fn zones(records: &str) -> DnsServer {
    DnsServer::serve(vec![Zone::signed("", ""), Zone::signed("example.test", records).updatable()])
}

fn validating(server: &DnsServer) -> Resolver {
    let trust_anchor = Some(server.trust_anchor().to_owned());
    let settings = Settings { dnssec: Dnssec::Validate, trust_anchor, ..Settings::default() };
    Resolver::with(&[server.address()], settings).expect("a resolver")
}

/// What must be found there, whichever way it came.
fn check(server: &DnsServer) {
    let dns = validating(server);
    wait(async {
        let mx = dns.mx("example.test").await.expect("an exchanger");
        assert!(mx.security.is_secure());
        assert_eq!(mx.records[0].exchange, "mail.example.test");
        let texts = |name: &'static str| async {
            let records = dns.txt(name).await.expect(name).records;
            records.into_iter().map(|text| String::from_utf8(text).expect("text")).collect::<Vec<_>>()
        };
        assert!(texts("example.test").await.contains(&"v=spf1 mx -all".to_owned()));
        assert_eq!(texts("_dmarc.example.test").await, ["v=DMARC1; p=none; rua=mailto:postmaster@example.test"]);
        assert_eq!(texts("_smtp._tls.example.test").await.len(), 1);
        assert!(texts("_mta-sts.example.test").await[0].starts_with("v=STSv1; id="));
        assert_eq!(dns.cname("mta-sts.example.test").await.expect("an alias").records, ["mail.example.test"]);
        let tlsa = dns.tlsa("_25._tcp.mail.example.test").await.expect("a key").records;
        assert_eq!((tlsa[0].usage, tlsa[0].selector, tlsa[0].matching, tlsa[0].data.len()), (3, 1, 1, 32));
        for service in ["submissions", "submission", "imaps", "imap", "pop3s", "pop3", "autodiscover"] {
            let srv = dns.srv(&format!("_{service}._tcp.example.test")).await.expect(service).records;
            assert_eq!(srv[0].target, "mail.example.test", "{service}");
        }
    });
}

/// Names and whole texts of the records, as the program says them.
fn printed(place: &Place) -> Vec<(String, String)> {
    let json: serde_json::Value = serde_json::from_str(&place.dns(&["--json"]).good()).expect("JSON");
    let text = |record: &serde_json::Value, key: &str| record[key].as_str().unwrap_or_default().to_owned();
    json.as_array().expect("records").iter().map(|record| (text(record, "name"), text(record, "text"))).collect()
}

#[test]
fn the_zone_file_is_one() {
    let first = zones("");
    let place = Place::new(&first);
    let zone = place.dns(&["--zone"]).good();
    assert!(zone.lines().all(|line| line.starts_with(';') || line.split(' ').nth(2) == Some("IN")), "{zone}");
    let server = DnsServer::serve(vec![Zone::signed("", ""), Zone::signed("example.test", &zone)]);
    check(&server);
    // Long texts come back in one piece.
    let keys: Vec<(String, String)> =
        printed(&place).into_iter().filter(|(name, _)| name.contains("._domainkey.")).collect();
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().any(|(_, text)| text.len() > 255));
    let dns = validating(&server);
    for (name, text) in keys {
        assert_eq!(wait(dns.txt(&name)).expect("a key").records, [text.as_bytes()], "{name}");
    }
    // The table and the greeting of quickstart say the same.
    let table = place.dns(&[]).good();
    for (name, text) in printed(&place) {
        assert!(table.contains(&name) && table.contains(&text), "{name} is not in:\n{table}");
    }
    let greeting = place.server.printed();
    for line in table.lines().filter(|line| !line.is_empty()) {
        assert!(greeting.contains(line), "{line:?} is not in:\n{greeting}");
    }
    let data = place.server.data().display().to_string();
    let other = run(PROGRAM, &["dns", "elsewhere.test", "--data", &data], b"");
    assert!(!other.success && other.err.contains("postroad domain add"), "{other:?}");
}

#[test]
fn published_records_stand_in_the_zone() {
    let mut server = zones("@ TXT \"site-verification=1\"");
    let place = Place::new(&server);
    let at = server.address();
    let dry = place.publish(at, &["--dry-run"]).good();
    assert!(dry.contains("+ example.test. 3600 IN MX 10 mail.example.test.\n"), "{dry}");
    assert!(wait(validating(&server).mx("example.test")).is_err(), "nothing was sent");
    let told = place.publish(at, &[]).good();
    assert_eq!(told.lines().filter(|line| line.starts_with('+')).count(), printed(&place).len(), "{told}");
    check(&server);
    let again = place.publish(at, &[]).good();
    assert!(again.contains("nothing has to be changed") && !again.lines().any(|line| line.starts_with('+')), "{again}");
    let texts = wait(validating(&server).txt("example.test")).expect("texts").records;
    assert!(texts.contains(&b"site-verification=1".to_vec()), "others' texts stay");

    // The administrator's own words stay; what only the server knows is put right.
    server.replace_in(
        "example.test",
        "@ TXT \"v=spf1 -all\"\n@ TXT \"site-verification=1\"\n_mta-sts TXT \"v=STSv1; id=old;\"\nmta-sts A 192.0.2.9\n\
         _25._tcp.mail TLSA 3 1 1 00",
    );
    let kept = place.publish(at, &[]);
    assert!(!kept.success, "something was left");
    assert!(kept.out.contains("there is example.test. 3600 IN TXT \"v=spf1 -all\""), "{}", kept.out);
    let dns = validating(&server);
    assert!(wait(dns.txt("example.test")).expect("texts").records.contains(&b"v=spf1 -all".to_vec()));
    assert_ne!(wait(dns.txt("_mta-sts.example.test")).expect("an id").records, [b"v=STSv1; id=old;"]);
    assert_eq!(wait(dns.tlsa("_25._tcp.mail.example.test")).expect("one").records.len(), 1);
    assert!(wait(dns.cname("mta-sts.example.test")).is_err(), "a name with addresses becomes no alias");
    let replaced = place.publish(at, &["--replace", "--json"]);
    assert!(replaced.out.contains("\"kept\"") && replaced.out.contains("\"done\""), "{}", replaced.out);
    let texts = wait(validating(&server).txt("example.test")).expect("texts").records;
    assert!(texts.contains(&b"v=spf1 mx -all".to_vec()) && texts.contains(&b"site-verification=1".to_vec()));
    assert_eq!(texts.len(), 2);
}

#[test]
fn what_cannot_be_published_says_why() {
    let mut server = zones("");
    let place = Place::new(&server);
    let at = server.address();
    let wrong = place.publish_with("hmac-sha256:updater:AAAA", at, &[]);
    assert!(!wrong.success && wrong.err.contains("another secret"), "{wrong:?}");
    let unread = place.publish_with("nonsense", at, &[]);
    assert!(!unread.success && unread.err.contains("ALGORITHM:NAME:BASE64"), "{unread:?}");
    let none = place.dns(&["--publish"]);
    assert!(!none.success && none.err.contains("--server"), "{none:?}");
    server.stop();
    let dead = place.publish(at, &[]);
    assert!(!dead.success && dead.out.contains("not published through this server"), "{dead:?}");
}
