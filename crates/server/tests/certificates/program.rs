//! The program as users run it.

use postroad_testkit::certificates::Authority;
use postroad_testkit::pebble::Habits;
use postroad_testkit::{DnsServer, Pebble, Process, Ran, eventually, run};

use postroad_web::acme::tlsa_of;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::world::{HOST, shown, wait_until_shown};

const PROGRAM: &str = env!("CARGO_BIN_EXE_postroad");

const RECORDS: &str = "*.example.test. A 127.0.0.1\nexample.test. A 127.0.0.1\n";

fn cli(process: &Process, arguments: &[&str]) -> Ran {
    let data = process.data().display().to_string();
    run(PROGRAM, &[arguments, &["--data", &data]].concat(), b"")
}

/// A quickstart that goes on with these settings in place of, and after, its own.
fn with_settings(process: &mut Process, host: &str, more: &str) {
    assert!(process.stop().success());
    let file = process.data().join("postroad.toml");
    let text = std::fs::read_to_string(&file).expect("quickstart wrote it");
    let start = text.find("[acme]").expect("its section");
    let end = text[start + 1..].find("\n[").map_or(text.len(), |end| start + 1 + end);
    let text = format!("{}{more}{}", &text[..start], &text[end..]);
    let changed = text.replace("hostname = \"localhost\"", &format!("hostname = \"{host}\""));
    std::fs::write(&file, changed).expect("it can be written");
    process.start_again();
}

#[test]
fn a_server_gets_its_certificate_shows_it_and_brings_others() {
    let mut dns = DnsServer::start(RECORDS);
    let resolver = dns.address().to_string();
    let mut process = Process::quickstart(PROGRAM, "certified 5", &["--resolver", &resolver]);
    let refused = cli(&process, &["certificate", "order", "other.example.test"]);
    assert!(!refused.success && refused.err.contains("acme.terms-agreed"), "{refused:?}");
    let (http, tls) = (process.address(80), process.address(443));
    let pebble = Pebble::start(dns.address(), &Habits::looking_at(http.port(), tls.port()));
    let acme = format!(
        "[acme]\nterms-agreed = true\ndirectory = \"{}\"\nauthorities = \"{}\"\ncontact = \"postmaster@example.test\"\n",
        pebble.directory(),
        pebble.root().display()
    );
    let stand_in = shown(tls, HOST).expect("one of its own making");
    // Senders know the first key by its TLSA record.
    let own = std::fs::read(process.data().join("tls/self-made.pem")).expect("one of its own making");
    let own = CertificateDer::from_pem_slice(&own).expect("PEM");
    let known: String = tlsa_of(&own).expect("a key").data.iter().map(|octet| format!("{octet:02x}")).collect();
    // With a name below it the host is there itself, and the wildcard is not for it any more (RFC 4592 §2.2.2).
    dns.replace(&format!("{RECORDS}{HOST}. A 127.0.0.1\n_25._tcp.{HOST}. TLSA 3 1 1 {known}\n"));
    with_settings(&mut process, HOST, &acme);

    let data: serde_json::Value = eventually("a certificate", || {
        let said = cli(&process, &["certificate", "show", HOST, "--json"]);
        let data: serde_json::Value = serde_json::from_str(&said.out).ok()?;
        data["serial"].is_string().then_some(data)
    });
    let serial = data["serial"].as_str().expect("text").to_owned();
    wait_until_shown(tls, HOST, &serial);
    assert_ne!(serial, stand_in);
    assert_eq!(data["tlsa"][0]["key"], "current", "{data}");
    assert!(data["tlsa"][0]["record"].as_str().expect("text").to_lowercase().contains(&known), "{data}");
    // The same to who speaks IMAP, and those names of the domain that lead here have one too.
    wait_until_shown(process.address(993), HOST, &serial);
    let listed = eventually("all certificates", || {
        let listed = cli(&process, &["certificate", "list", "--json"]).good();
        let rows: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
        let rows = rows.as_array().expect("rows").clone();
        rows.iter().all(|row| row["is"] == "ok").then_some(rows).filter(|rows| rows.len() == 2)
    });
    let domain = listed.iter().find(|row| row["certificate"] == "example.test").expect("the domain's");
    assert!(domain["names"].as_str().expect("text").contains("mta-sts.example.test"), "{domain}");
    let checked = cli(&process, &["check"]);
    assert!(checked.out.contains("days left"), "{checked:?}");

    // A renewal on order.
    cli(&process, &["certificate", "renew", HOST]).good();
    eventually("another certificate", || shown(tls, HOST).filter(|now| *now != serial && *now != stand_in));

    // One that is brought takes its place, and outlives the process.
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Authority::new().issue(&[HOST]);
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    std::fs::write(&chain, &pair.chain).expect("written");
    std::fs::write(&key, &pair.key).expect("written");
    let [chain, key] = [&chain, &key].map(|file| file.display().to_string());
    cli(&process, &["certificate", "import", &chain, &key]).good();
    let said = cli(&process, &["certificate", "show", HOST, "--json"]).good();
    let brought: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    wait_until_shown(tls, HOST, brought["serial"].as_str().expect("text"));
    process.kill();
    process.start_again();
    wait_until_shown(tls, HOST, brought["serial"].as_str().expect("text"));
    let other = Authority::new().issue(&[HOST]);
    std::fs::write(&key, other.key).expect("written");
    let wrong = cli(&process, &["certificate", "import", &chain, &key]);
    assert!(!wrong.success && wrong.err.contains("does not belong"), "{wrong:?}");

    // A backup has them, with their keys.
    let backups = folder.path().join("backups").display().to_string();
    cli(&process, &["backup", &backups]).good();
    let elsewhere = folder.path().join("elsewhere").display().to_string();
    run(PROGRAM, &["restore", &backups, "--data", &elsewhere], b"").good();
    let said = run(PROGRAM, &["certificate", "show", HOST, "--json", "--data", &elsewhere], b"").good();
    let restored: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&restored["serial"], &restored["tlsa"]), (&brought["serial"], &brought["tlsa"]));

    // No key is ever said.
    let printed = process.printed();
    assert!(!printed.contains("PRIVATE KEY") && !printed.contains("key_pkcs8"), "{printed}");
}
