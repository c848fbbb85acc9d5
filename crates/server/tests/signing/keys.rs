//! Keys by the command line: made with the domain, brought along, taken back, and carried by backups.

use postroad_testkit::remote::Manner;
use postroad_testkit::{Process, Remote, run};

use crate::submitted::{published, verified};
use crate::town::{PROGRAM, message, towns};

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn states(listed: &serde_json::Value) -> Vec<String> {
    let text = |key: &serde_json::Value, name: &str| key[name].as_str().unwrap_or_default().to_owned();
    let list = listed.as_array().expect("a list");
    list.iter().map(|key| format!("{} {}", text(key, "algorithm"), text(key, "state"))).collect()
}

#[test]
fn each_name_has_its_keys_from_its_beginning_to_its_end() {
    for town in towns() {
        let (domain, alias) = (town.unknown_domain(), town.unknown_domain());
        let listed = |name: &str| json(&town.cli(&["dkim", "list", name, "--json"]));
        assert!(town.cli(&["domain", "add", &domain]).contains("postroad dns"));
        town.cli(&["domain", "alias", &alias, &domain]);
        for name in [&domain, &alias] {
            assert_eq!(states(&listed(name)), ["rsa made", "ed25519 made"]);
            published(town, name);
            assert_eq!(states(&listed(name)), ["rsa active", "ed25519 active"]);
        }

        // New keys wait beside the old ones, and no further ones are made meanwhile.
        let made = town.cli(&["dkim", "rotate", &domain]);
        assert!(made.contains("-1._domainkey"), "{made}");
        assert_eq!(states(&listed(&domain)), ["rsa active", "ed25519 active", "rsa made", "ed25519 made"]);
        assert!(!town.try_cli(&["dkim", "rotate", &domain]).success);
        town.records(
            &made
                .lines()
                .skip_while(|line| !line.contains("_domainkey"))
                .map(|line| format!("{line}\n"))
                .collect::<String>(),
        );
        town.cli(&["dkim", "check", &domain]);
        assert_eq!(states(&listed(&domain)), ["rsa active", "ed25519 active", "rsa published", "ed25519 published"]);

        // What leaked is gone at once, and so is what leaks with a domain.
        let selector = listed(&domain)[0]["selector"].as_str().expect("a selector").to_owned();
        let said = town.cli(&["dkim", "retire", &domain, &selector, "--leaked"]);
        assert!(said.contains("\"v=DKIM1; p=\""), "{said}");
        assert!(!town.try_cli(&["dkim", "export", &domain, &selector]).success);
        town.cli(&["domain", "unalias", &alias]);
        assert!(town.cli(&["dkim", "list", &alias]).contains("no signing key"));
        town.cli(&["domain", "remove", &domain]);
        assert!(town.cli(&["dkim", "list", &domain]).contains("no signing key"));
        assert!(!town.try_cli(&["dkim", "rotate", &domain]).success, "it is none of ours");
    }
}

#[test]
fn keys_of_another_server_are_brought_along() {
    for town in towns() {
        let (domain, at, from) = (town.unknown_domain(), town.host(), town.account());
        town.cli(&["domain", "add", &domain]);
        town.cli(&["alias", "add", &format!("team@{domain}"), &from]);
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str| folder.path().join(name).display().to_string();
        run("/usr/sbin/opendkim-genkey", &["-b", "2048", "-s", "old", "-d", &domain, "-D", &place("")], b"").good();
        run("openssl", &["genpkey", "-algorithm", "ed25519", "-out", &place("ed.pem")], b"").good();
        town.cli(&["dkim", "import", &domain, "old", &place("old.private")]);
        town.cli(&["dkim", "import", &domain, "older", &place("ed.pem")]);
        let taken = town.try_cli(&["dkim", "import", &domain, "old", &place("ed.pem")]);
        assert!(taken.err.contains("has a key old already"), "{taken:?}");
        std::fs::write(place("none"), "no key\n").expect("written");
        assert!(!town.try_cli(&["dkim", "import", &domain, "none", &place("none")]).success);
        published(town, &domain);
        let remote = Remote::start(at, Manner::default());
        let (author, to) = (format!("team@{domain}"), format!("dave@{}", town.domain_at(at)));
        town.submit(&from, &[&to], &message(&author, &to, "brought"));
        let received = remote.wait_for(1).remove(0);
        let expect = [format!("rsa-sha256 {domain} True"), format!("ed25519-sha256 {domain} True")];
        assert_eq!(verified(town, &received.bytes), expect, "{}", received.text());
        assert!(received.text().contains("s=old;"), "{}", received.text());
        // What comes out again is the same key.
        std::fs::write(place("out.pem"), town.cli(&["dkim", "export", &domain, "old"])).expect("written");
        let public = |file: &str| run("openssl", &["pkey", "-in", &place(file), "-pubout"], b"").good();
        assert_eq!(public("out.pem"), public("old.private"));
    }
}

#[test]
fn a_record_that_is_not_ours_is_told_everywhere() {
    for town in towns() {
        let domain = town.unknown_domain();
        town.cli(&["domain", "add", &domain]);
        let selector =
            json(&town.cli(&["dkim", "list", &domain, "--json"]))[0]["selector"].as_str().expect("one").to_owned();
        town.cli(&["dkim", "activate", &domain, &selector]);
        town.records(&format!("{selector}._domainkey.{domain}. TXT \"v=DKIM1; p=MIIB\"\n"));
        let checked = town.try_cli(&["dkim", "check", &domain]);
        assert!(!checked.success && checked.out.contains("active (ALARM)"), "{checked:?}");
        assert!(checked.out.contains("differs"), "{checked:?}");
        let all = town.try_cli(&["check"]).out;
        let line =
            all.lines().find(|line| line.starts_with("BAD") && line.contains(&selector) && line.contains(&domain));
        assert!(line.is_some_and(|line| line.contains("postroad dkim show")), "{all}");
        town.cli(&["domain", "remove", &domain]);
    }
}

#[test]
fn a_backup_carries_the_keys() {
    let server = Process::quickstart(PROGRAM, "correct horse 9", &[]);
    let data = server.data().display().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name).display().to_string();
    let cli = |arguments: &[&str]| run(PROGRAM, arguments, b"").good();
    let exported = |data: &str| {
        let listed = json(&cli(&["dkim", "list", "example.test", "--json", "--data", data]));
        let selector = listed[0]["selector"].as_str().expect("a key").to_owned();
        (states(&listed), cli(&["dkim", "export", "example.test", &selector, "--data", data]))
    };
    let before = exported(&data);
    assert!(before.1.starts_with("-----BEGIN PRIVATE KEY-----"), "{before:?}");
    cli(&["backup", &place("backups"), "--data", &data]);
    cli(&["restore", &place("backups"), "--data", &place("again")]);
    assert_eq!(exported(&place("again")), before);
}
