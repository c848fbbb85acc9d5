//! Thunderbird finds our settings from an address, by its own ways, and reads what is there.

use postroad_testkit::Thunderbird;
use postroad_testkit::certificates::Authority;
use serde_json::{Value, json};

use super::program::{PASSWORD, Server, message, run};

/// What its window for new accounts does, step by step, by the modules that do it: the window itself changes each year.
const SET_UP: &str = include_str!("thunderbird.js");
/// With certificates for what it asks: the settings' host, and the server's own.
const NAMES: [&str; 3] = ["mail.example.test", "autoconfig.example.test", "example.test"];

#[test]
fn thunderbird_sets_itself_up_from_address_and_password_and_reads() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let pair = authority.issue(&NAMES);
    let (chain, key) = (file("chain.pem", &pair.chain), file("key.pem", &pair.key));
    let server = Server::changed(&[], |text, _| {
        let text = text.replacen("hostname = \"localhost\"", "hostname = \"mail.example.test\"", 1);
        format!("{text}\n[[certificate]]\nchain = \"{chain}\"\nkey = \"{key}\"\n")
    });
    let who = server.account();
    let url = format!("smtp://127.0.0.1:{}", server.port(587));
    let login = format!("{who}:{PASSWORD}");
    let words = ["-sS", &url, "-u", &login, "--mail-from", &who, "--mail-rcpt", &who, "-T", "-"];
    run("curl", &words, message(&who, &who, "for-thunderbird").as_bytes()).good();

    let mut thunderbird = Thunderbird::start(&[(443, server.port(443))]);
    let pem: String = authority.pem().lines().filter(|line| !line.starts_with("-----")).collect();
    let done = thunderbird.run(SET_UP, &[&pem, &who, PASSWORD]);
    assert_eq!(done["failed"], Value::Null, "{done:#}\n{}", server.printed());
    // TLS from the first octet (3), the password as it is (3): on the ports that our listeners have.
    let host = |port: u16| json!({ "host": "mail.example.test", "port": port, "tls": 3, "sign-in": 3, "user": who });
    assert_eq!((&done["incoming"], &done["outgoing"]), (&host(server.port(993)), &host(server.port(465))), "{done:#}");
    // Each mailbox is what it is for.
    let roles = ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"].map(|name| json!([name, name]));
    assert_eq!(done["mailboxes"], json!(roles), "{done:#}");
    assert_eq!(done["subjects"], json!(["for-thunderbird"]), "{done:#}");
    let log = server.printed();
    let told = |line: &str| line.contains("name=\"Thunderbird\"") && line.contains(&who);
    assert!(log.lines().any(told), "{log}");
    assert_eq!(server.complaints(), "");
}
