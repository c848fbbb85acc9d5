//! Which hosts are tried: what DNS says, and nothing else.

use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use postroad_testkit::Remote;
use postroad_testkit::remote::{Deed, Manner, Phase};

use crate::town::{Town, message, towns};

/// Sends to this address and waits for the notice; it must have this status.
fn comes_back(town: &Town, to: &str, status: &str) -> String {
    let from = town.account();
    town.submit(&from, &[to], &message(&from, to, "nowhere"));
    let notice = town.wait_for_notice(&from);
    assert!(notice.contains(&format!("\r\nStatus: {status}\r\n")), "{to} is {status}: {notice}");
    notice
}

#[test]
fn the_preferred_host_that_answers_gets_it() {
    for town in towns() {
        let (best, second, third) = (town.host(), town.host(), town.host());
        let domain = town.unknown_domain();
        let mut records = String::new();
        for (preference, host) in [(5, best), (10, second), (20, third)] {
            records += &format!(
                "{domain}. MX {preference} mx{preference}.{domain}.\nmx{preference}.{domain}. A {}\n",
                host.ip()
            );
        }
        town.records(&records);
        let (to, from) = (format!("dave@{domain}"), town.account());
        // The best does not listen, the second is not in the mood.
        let moody = Remote::start(
            second,
            Manner::of(Phase::Connect, Deed::SayAndClose(b"554 5.3.2 no service here\r\n".to_vec())),
        );
        let last = Remote::start(third, Manner::default());
        town.submit(&from, &[&to], &message(&from, &to, "prefers"));
        last.wait_for(1);
        assert_eq!(moody.ledger().connections.len(), 1);
        town.wait_until_gone(&domain);

        let first = Remote::start(best, Manner::default());
        town.submit(&from, &[&to], &message(&from, &to, "prefers-again"));
        postroad_testkit::eventually("the mail", || {
            (first.ledger().received.len() + last.ledger().received.len() == 2).then_some(())
        });
    }
}

#[test]
fn equals_share_the_load() {
    for town in towns() {
        let (one, other, from) = (town.host(), town.host(), town.account());
        let remotes = [Remote::start(one, Manner::default()), Remote::start(other, Manner::default())];
        // Connections are used again, so that only different domains choose anew.
        let mut sent = 0;
        while remotes.iter().any(|remote| remote.ledger().received.is_empty()) {
            assert!(sent < 60, "one of two equal hosts is never chosen");
            let domain = town.unknown_domain();
            town.records(&format!(
                "{domain}. MX 10 a.{domain}.\n{domain}. MX 10 b.{domain}.\na.{domain}. A {}\nb.{domain}. A {}\n",
                one.ip(),
                other.ip()
            ));
            let to = format!("dave@{domain}");
            town.submit(&from, &[&to], &message(&from, &to, &format!("equals-{sent}")));
            sent += 1;
            town.wait_until_gone(&domain);
        }
    }
}

#[test]
fn without_mx_the_domain_itself_is_the_host() {
    for town in towns() {
        let (at, from) = (town.host(), town.account());
        let remote = Remote::start(at, Manner::default());
        let domain = town.unknown_domain();
        town.records(&format!("{domain}. A {}\nalias-{domain}. CNAME {domain}.\n", at.ip()));
        let (plain, by_alias) = (format!("dave@{domain}"), format!("dave@alias-{domain}"));
        town.submit(&from, &[&plain], &message(&from, &plain, "no-mx"));
        remote.wait_for(1);
        town.submit(&from, &[&by_alias], &message(&from, &by_alias, "cname"));
        assert_eq!(remote.wait_for(2)[1].recipients().collect::<Vec<_>>(), [by_alias.as_str()]);
        let literal = format!("dave@[{}]", at.ip());
        town.submit(&from, &[&literal], &message(&from, &literal, "literal"));
        assert_eq!(remote.wait_for(3)[2].recipients().collect::<Vec<_>>(), [literal.as_str()]);
    }
}

#[test]
fn ipv6_is_spoken() {
    let Ok(probe) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        eprintln!("this machine has no IPv6; not tested");
        return;
    };
    drop(probe);
    for town in towns() {
        let remote = Remote::start(SocketAddr::from((Ipv6Addr::LOCALHOST, town.outbound_port())), Manner::default());
        let (domain, from, silent) = (town.unknown_domain(), town.account(), town.host());
        // Nothing listens at the IPv4 address.
        town.records(&format!("{domain}. MX 10 mx.{domain}.\nmx.{domain}. AAAA ::1\nmx.{domain}. A {}\n", silent.ip()));
        let to = format!("dave@{domain}");
        town.submit(&from, &[&to], &message(&from, &to, "six"));
        assert!(remote.wait_for(1)[0].recipients().eq([to.as_str()]));
    }
}

#[test]
fn what_dns_denies_comes_back_at_once() {
    for town in towns() {
        let null = town.unknown_domain();
        town.records(&format!("{null}. MX 0 .\n"));
        let notice = comes_back(town, &format!("dave@{null}"), "5.1.10");
        assert!(notice.contains("takes no mail"), "{notice}");
        comes_back(town, &format!("dave@{}", town.unknown_domain()), "5.1.2");
        let hostless = town.unknown_domain();
        town.records(&format!("{hostless}. MX 10 nowhere.{hostless}.\n"));
        comes_back(town, &format!("dave@{hostless}"), "5.4.4");
        let multicast = town.unknown_domain();
        town.records(&format!("{multicast}. MX 10 mx.{multicast}.\nmx.{multicast}. A 224.0.0.25\n"));
        comes_back(town, &format!("dave@{multicast}"), "5.4.4");
    }
}

#[test]
fn a_domain_whose_mx_is_this_server_ends_in_a_notice() {
    for town in towns() {
        // Its own name (a quickstart on loopback calls itself localhost).
        let domain = town.unknown_domain();
        town.records(&format!("{domain}. MX 10 localhost.\nlocalhost. A 127.0.0.1\n"));
        let notice = comes_back(town, &format!("dave@{domain}"), "5.3.5");
        assert!(notice.contains(&domain), "{notice}");
        // Only better hosts than ourselves may be tried.
        let (better, worse, domain) = (town.host(), town.host(), town.unknown_domain());
        town.records(&format!(
            "{domain}. MX 5 a.{domain}.\n{domain}. MX 10 localhost.\n{domain}. MX 20 b.{domain}.\n\
             a.{domain}. A {}\nb.{domain}. A {}\n",
            better.ip(),
            worse.ip()
        ));
        let (good, bad) = (Remote::start(better, Manner::default()), Remote::start(worse, Manner::default()));
        let (from, to) = (town.account(), format!("dave@{domain}"));
        town.submit(&from, &[&to], &message(&from, &to, "better"));
        good.wait_for(1);
        assert!(bad.ledger().connections.is_empty());
    }
}

#[test]
fn while_dns_is_broken_mail_waits() {
    for town in towns() {
        let from = town.account();
        let to = format!("dave@sub{}.broken.test", from.len());
        town.submit(&from, &[&to], &message(&from, &to, "broken"));
        let domain = to.rsplit('@').next().expect("a domain").to_owned();
        let shown = town.wait_for_deferral(&domain, "cannot be looked up");
        assert!(shown.contains(&to), "{shown}");
        assert!(crate::talk::messages(town.at(143), &from, "INBOX").is_empty(), "nothing is told yet");
        town.cli(&["queue", "cancel", "--domain", &domain, "--yes"]);
    }
}

#[test]
fn without_a_resolver_mail_waits_and_goes_when_there_is_one() {
    let mut dns = postroad_testkit::DnsServer::start("");
    let port = postroad_testkit::SharedPort::find();
    let resolver = dns.address().to_string();
    let outbound = port.number().to_string();
    dns.stop();
    let town = postroad_testkit::Process::quickstart(
        crate::town::PROGRAM,
        crate::town::PASSWORD,
        &["--resolver", &resolver, "--outbound-port", &outbound],
    );
    let data = town.data().display().to_string();
    let cli = |arguments: &[&str]| {
        postroad_testkit::run(crate::town::PROGRAM, &[arguments, &["--data", &data]].concat(), b"").good()
    };
    let (from, to) = ("alice@example.test", "dave@there.test");
    crate::talk::submit(
        town.address(587),
        from,
        &format!("<{from}>"),
        &[&format!("<{to}>")],
        message(from, to, "dark").as_bytes(),
    );
    postroad_testkit::eventually("the reason in the queue", || {
        cli(&["queue", "list", "--json"]).contains("cannot be looked up").then_some(())
    });
    dns.start_again();
    dns.replace(&format!("there.test. MX 10 mx.there.test.\nmx.there.test. A {}", port.address(1).ip()));
    let remote = Remote::start(port.address(1), Manner::default());
    // That nobody answered is remembered for some seconds (RFC 9520).
    postroad_testkit::eventually("the mail", || {
        cli(&["queue", "retry", "--all"]);
        remote.look(|ledger| !ledger.received.is_empty()).then_some(())
    });
    remote.wait_for(1);
}
