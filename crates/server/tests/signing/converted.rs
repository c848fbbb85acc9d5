//! A host that takes seven bits only gets a message whose signatures hold.

use postroad_testkit::Remote;
use postroad_testkit::remote::Manner;

use crate::submitted::{BOTH, published, verified};
use crate::town::towns;
use crate::{talk, verdict};

fn eight_bits(from: &str, to: &str) -> String {
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: eight\r\nMessage-ID: <eight@there.test>\r\n\
         Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße aus Köln\r\n"
    )
}

#[test]
fn what_is_converted_is_signed_anew() {
    for town in towns() {
        let (from, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        published(town, "example.test");
        let to = format!("dave@{domain}");
        let remote = Remote::start(at, Manner::default().offering(&["PIPELINING"]));
        let text = eight_bits(&from, &to);
        let sender = format!("<{from}> BODY=8BITMIME");
        talk::submit(town.at(587), &from, &sender, &[&format!("<{to}>")], text.as_bytes());
        let received = remote.wait_for(1).remove(0);
        assert!(received.bytes.is_ascii(), "{}", received.text());
        assert_eq!(verified(town, &received.bytes), BOTH, "{}", received.text());
    }
}

#[test]
fn what_is_forwarded_and_converted_is_sealed_anew() {
    for town in towns() {
        let (to, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        published(town, "example.test");
        town.cli(&["forward", "set", &to, &format!("dave@{domain}")]);
        let remote = Remote::start(at, Manner::default().offering(&["PIPELINING"]));
        crate::forwarded::arrive(town, "alice@there.test", &to, &eight_bits("alice@there.test", &to));
        let received = remote.wait_for(1).remove(0);
        assert!(received.bytes.is_ascii(), "{}", received.text());
        let chain = verdict::arc(town.name_server(), &received.bytes);
        assert!(chain.starts_with("pass 1 "), "{chain}: {}", received.text());
    }
}
