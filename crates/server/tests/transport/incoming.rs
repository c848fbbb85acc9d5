//! Mail that comes in from a Postfix that demands DANE: our certificate, and the TLSA record of it.

use postroad_testkit::certificates::Pair;
use postroad_testkit::eventually;
use postroad_testkit::postfix::{Postfix, Setup, can_have_a_resolver};

use crate::harbour::{by_key, harbour};
use crate::talk;

#[test]
fn postfix_that_demands_dane_delivers_when_the_record_is_ours() {
    let Some(harbour) = harbour().filter(|_| can_have_a_resolver()) else {
        eprintln!("a Postfix with a resolver of its own wants root; not tested");
        return;
    };
    let (at, who) = (harbour.at(25), harbour.account());
    let (good, bad) = ("mx.ours.test", "mx.notours.test");
    let folder = harbour.process().data().join("tls");
    let pem = std::fs::read_dir(folder).expect("the certificate of its own").flatten();
    let pem = pem.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    let chain = pem.into_iter().find(|text| text.contains("BEGIN CERTIFICATE")).expect("a certificate");
    let ours = by_key(&Pair { chain, key: String::new() });
    let other = by_key(&harbour.known.issue(&["other.test"]));
    for (host, record) in [(good, &ours), (bad, &other)] {
        let port = at.port();
        harbour.records(&format!("{host}. A {}\n_{port}._tcp.{host}. TLSA {record}\n", at.ip()));
    }
    let sender = |host: &str| {
        let more = format!(
            "relayhost = [{host}]:{}\nsmtp_dns_support_level = dnssec\nsmtp_tls_security_level = dane-only\n\
             smtp_tls_loglevel = 1\nsmtp_host_lookup = dns\n",
            at.port()
        );
        let resolver = Some(harbour.resolver.address().ip());
        Postfix::start(&Setup { hostname: "mx.sender.test", resolver, more: &more, ..Setup::default() })
    };
    let text = |id: &str| format!("From: dave@sender.test\r\nTo: {who}\r\nSubject: {id}\r\n\r\nHello\r\n");
    let trusting = sender(good);
    trusting.sendmail("dave@sender.test", &who, &text("by the record"));
    let inbox = eventually("the mail of Postfix", || {
        assert!(!trusting.log().contains("status=bounced"), "{}", trusting.log());
        Some(talk::messages(harbour.at(143), &who, "INBOX")).filter(|mail| !mail.is_empty())
    });
    assert!(inbox[0].contains("Subject: by the record"), "{inbox:?}");
    assert!(trusting.log().contains("Verified TLS connection established"), "{}", trusting.log());
    let doubting = sender(bad);
    doubting.sendmail("dave@sender.test", &who, &text("by another record"));
    eventually("the doubt of Postfix", || doubting.log().contains("status=deferred").then_some(()));
    assert_eq!(talk::messages(harbour.at(143), &who, "INBOX").len(), 1, "{}", doubting.log());
}
