//! Mail that goes round ends, with one notice.

use postroad_testkit::remote::Manner;
use postroad_testkit::{DnsServer, PortOffset, Process, Remote, SharedPort, eventually, run};

use crate::talk;
use crate::town::{PASSWORD, PROGRAM, message};

/// Two servers that send each other everything for one address.
#[test]
fn two_servers_that_forward_to_each_other_end_in_one_notice() {
    let _ = (PortOffset::find, SharedPort::find);
    let dns = DnsServer::start("");
    let resolver = dns.address().to_string();
    let servers = [
        Process::quickstart(PROGRAM, PASSWORD, &["--resolver", &resolver]),
        Process::quickstart(PROGRAM, PASSWORD, &["--resolver", &resolver]),
    ];
    let cli = |server: usize, arguments: &[&str]| {
        let data = servers[server].data().display().to_string();
        run(PROGRAM, &[arguments, &["--data", &data]].concat(), b"").good()
    };
    // Each serves a domain that the other sends to it by a route: one.test here, two.test there.
    for (server, own, other) in [(0, "one.test", "two.test"), (1, "two.test", "one.test")] {
        cli(server, &["domain", "add", own]);
        let port = servers[1 - server].address(25).port().to_string();
        cli(server, &["route", "add", other, "127.0.0.1", "--port", &port]);
        cli(server, &["alias", "add", &format!("round@{own}"), &format!("round@{other}")]);
    }
    let from = "alice@example.test";
    let text = message(from, "round@one.test", "round");
    talk::submit(servers[0].address(587), from, &format!("<{from}>"), &["<round@one.test>"], text.as_bytes());
    // The notice of the second server leads to example.test, which both have; the first one's alice wrote.
    let notices = || {
        let inboxes = servers.iter().map(|server| talk::messages(server.address(143), from, "INBOX"));
        inboxes.flatten().collect::<Vec<_>>()
    };
    eventually("a notice", || (!notices().is_empty()).then_some(()));
    eventually("the end", || {
        [0, 1].iter().all(|server| !cli(*server, &["queue", "list", "--json"]).contains("round@")).then_some(())
    });
    let notices = notices();
    assert_eq!(notices.len(), 1, "{notices:#?}");
    assert!(notices[0].contains("5.4.6"), "{}", notices[0]);
}

/// A message that went through a hundred servers goes no further.
#[test]
fn too_many_received_lines_are_refused() {
    for town in crate::town::towns() {
        let (from, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        let remote = Remote::start(at, Manner::default());
        let alias = format!("hops-{domain}@example.test");
        town.cli(&["alias", "add", &alias, &format!("far@{domain}")]);
        let hop = "Received: from a.test by b.test; Sun, 22 Nov 2026 10:00:00 +0000\r\n";
        let text = hop.repeat(200) + &message("carol@elsewhere.test", &alias, "hops");
        let mut talk = talk::Talk::with(town.at(25));
        talk.reply();
        for command in
            ["EHLO mx.elsewhere.test", "MAIL FROM:<carol@elsewhere.test>", &format!("RCPT TO:<{alias}>"), "DATA"]
        {
            let answer = talk.ask(command);
            assert!(answer.starts_with(['2', '3']), "{command}: {answer}");
        }
        talk.say(text.replace("\r\n.", "\r\n..").as_bytes());
        let answer = talk.ask(".");
        assert!(answer.starts_with("554 5.4.6"), "{answer}");
        assert!(remote.ledger().connections.is_empty());
        let _ = from;
    }
}
