//! Fixed next hosts by domain: host, port, TLS, login.

use postroad_testkit::certificates::Authority;
use postroad_testkit::postfix::{Postfix, Setup, can_run};
use postroad_testkit::remote::Manner;
use postroad_testkit::{Process, Remote};

use crate::talk;
use crate::town::{PASSWORD, PROGRAM, message, towns};

#[test]
fn a_route_leads_where_dns_does_not() {
    for town in towns() {
        let (from, domain) = (town.account(), town.unknown_domain());
        // Also a port of its own.
        let remote = Remote::start(([127, 0, 0, 1], 0).into(), Manner::default());
        let at = remote.address();
        town.cli(&["route", "add", &domain, "127.0.0.1", "--port", &at.port().to_string()]);
        assert!(town.cli(&["route", "list"]).contains(&domain));
        let to = format!("dave@{domain}");
        town.submit(&from, &[&to], &message(&from, &to, "routed"));
        remote.wait_for(1);
        town.wait_until_gone(&domain);
        town.cli(&["route", "remove", &domain]);
        town.submit(&from, &[&to], &message(&from, &to, "unrouted"));
        assert!(town.wait_for_notice(&from).contains("\r\nStatus: 5.1.2\r\n"), "DNS knows nothing of it");
    }
}

#[test]
fn tls_that_is_required_is_not_done_without() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem").display().to_string();
    std::fs::write(&ca, authority.pem()).expect("written");
    let (good, wrong) = (authority.issue(&["relay.there.test"]), authority.issue(&["other.there.test"]));
    for town in towns() {
        let from = town.account();
        let at = town.host();
        town.records(&format!("relay.there.test. A {}\n", at.ip()));
        let port = at.port().to_string();
        // The way, what the host offers, whether the mail may go.
        let cases = [
            ("required", Manner::default(), false),
            ("required", Manner::default().secured(&wrong), true),
            ("verified", Manner::default(), false),
            ("verified", Manner::default().secured(&wrong), false),
            ("verified", Manner::default().secured(&good), true),
        ];
        for (number, (tls, manner, goes)) in cases.into_iter().enumerate() {
            let domain = town.unknown_domain();
            let to = format!("dave@{domain}");
            let mut route = vec!["route", "add", &domain, "relay.there.test", "--port", &port, "--tls", tls];
            if tls == "verified" {
                route.extend(["--ca", &ca]);
            }
            town.cli(&route);
            let remote = Remote::start(at, manner);
            town.submit(&from, &[&to], &message(&from, &to, &format!("tls-{number}")));
            if goes {
                assert!(remote.wait_for(1)[0].tls, "case {number}");
                town.wait_until_gone(&domain);
            } else {
                let shown = town.wait_for_deferral(&domain, "");
                assert!(shown.contains("TLS") || shown.contains("certificate"), "case {number}: {shown}");
                assert!(remote.ledger().received.is_empty(), "case {number}");
                let heard = remote.ledger().connections.iter().flat_map(|one| one.commands.clone()).collect::<Vec<_>>();
                assert!(!heard.iter().any(|line| line.starts_with("MAIL")), "case {number}: {heard:?}");
                town.cli(&["queue", "cancel", "--domain", &domain, "--yes"]);
            }
        }
    }
}

#[test]
fn postfix_is_logged_in_to() {
    if !can_run() {
        eprintln!("Postfix wants to be started as root; not tested");
        return;
    }
    let pair = Authority::new().issue(&["relay.there.test"]);
    for town in towns() {
        let (from, at, implicit) = (town.account(), town.host(), town.host());
        let domain = town.unknown_domain();
        let to = format!("dave@{domain}");
        let postfix = Postfix::start(&Setup {
            listen: Some(at),
            listen_tls: Some(implicit),
            certificate: Some(&pair),
            login: Some(("relay", "s3cret")),
            mailboxes: &[&to],
            ..Setup::default()
        });
        let (host, port) = (at.ip().to_string(), at.port().to_string());
        let route = ["route", "add", &domain, &host, "--port", &port, "--tls", "required", "--user", "relay"];
        town.cli(&[&route[..], &["--password", "wrong"]].concat());
        town.submit(&from, &[&to], &message(&from, &to, "login"));
        // A wrong password is the administrator's to mend, not the sender's: the mail waits.
        town.wait_for_deferral(&domain, "535");
        town.cli(&["route", "remove", &domain]);
        town.cli(&[&route[..], &["--password", "s3cret"]].concat());
        town.cli(&["queue", "retry", "--domain", &domain]);
        postfix.wait_for_mail(&to, 1);
        town.wait_until_gone(&domain);
        assert!(!town.cli(&["route", "list"]).contains("s3cret"), "passwords are not shown");
        assert!(!town.cli(&["route", "list", "--json"]).contains("s3cret"), "passwords are not shown");
    }
}

#[test]
fn another_postroad_takes_what_is_logged_in() {
    let other = Process::quickstart(PROGRAM, PASSWORD, &[]);
    for town in towns() {
        let (from, domain) = (town.account(), town.unknown_domain());
        let port = other.address(587).port().to_string();
        // The other has alice and bob at the same domain name; who logs in there as Alice may send as Alice only.
        let route = [
            "route",
            "add",
            &domain,
            "127.0.0.1",
            "--port",
            &port,
            "--tls",
            "required",
            "--user",
            "alice@example.test",
            "--password",
            PASSWORD,
        ];
        town.cli(&route);
        let to = format!("dave@{domain}");
        town.submit(&from, &[&to], &message(&from, &to, "foreign"));
        let notice = town.wait_for_notice(&from);
        assert!(notice.contains("5.7.1"), "{notice}");
        let text = message("alice@example.test", &to, &format!("own-{domain}"));
        talk::submit(
            town.at(587),
            "alice@example.test",
            "<alice@example.test>",
            &[&format!("<{to}>")],
            text.as_bytes(),
        );
        town.wait_until_gone(&domain);
        let story = town.cli(&["trace", &to]);
        assert!(story.contains("250 2.0.0"), "{story}");
    }
}
