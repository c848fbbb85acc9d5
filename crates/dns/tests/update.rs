//! Dynamic updates to a real knotd, with and without the right key.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use postroad_dns::records::{Data, Record, Type};
use postroad_dns::update::{Algorithm, Error, Key, Update};
use postroad_dns::{Caa, Dns, Dnssec, Mx, Resolver, Settings, Srv, Tlsa, zone_of};
use postroad_testkit::dns_server::UPDATE_KEY;
use postroad_testkit::{DnsServer, Zone};

const WITHIN: Duration = Duration::from_secs(10);

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
}

fn record(name: &str, data: Data) -> Record {
    Record { name: name.to_owned(), ttl: 0, data }
}

fn txt(text: &str) -> Data {
    Data::Txt(text.as_bytes().to_vec())
}

fn server() -> (DnsServer, Resolver, Key) {
    let zones = vec![
        Zone::signed("", ""),
        Zone::signed("test", "@ MX 10 old").updatable(),
        Zone::signed("fixed.test", "a A 192.0.2.1"),
    ];
    let server = DnsServer::serve(zones);
    let settings = Settings {
        dnssec: Dnssec::Validate,
        trust_anchor: Some(server.trust_anchor().to_owned()),
        ..Settings::default()
    };
    let dns = Resolver::with(&[server.address()], settings).expect("a resolver");
    (server, dns, Key::parse(UPDATE_KEY).expect("a key"))
}

#[tokio::test]
async fn records_are_added_replaced_and_deleted() {
    let (server, dns, key) = server();
    let send = |update: Update| {
        let (address, key) = (server.address(), key.clone());
        async move { update.send(address, Some(&key), now(), WITHIN).await.expect("the server does it") }
    };
    let long = "k".repeat(700);
    let tlsa = Tlsa { usage: 3, selector: 1, matching: 1, data: vec![0xab; 32] };
    let caa = Caa { is_critical: true, tag: "issue".into(), value: b"ca.test; a=b".to_vec() };
    let srv = Srv { priority: 0, weight: 1, port: 993, target: "mx.test".into() };
    let nowhere = Srv { priority: 0, weight: 0, port: 0, target: String::new() };
    let all = Update::of("test")
        .add(record("_acme-challenge.test", txt("one")))
        .add(record("_acme-challenge.test", txt("two")))
        .add(record("long.test", txt(&long)))
        .add(record("_25._tcp.mx.test", Data::Tlsa(tlsa.clone())))
        .add(record("test", Data::Caa(caa.clone())))
        .add(record("_imaps._tcp.test", Data::Srv(srv.clone())))
        .add(record("_pop3s._tcp.test", Data::Srv(nowhere.clone())))
        .add(record("mx.test", Data::A(Ipv4Addr::new(192, 0, 2, 7))))
        .add(record("mx.test", Data::Aaaa("2001:db8::7".parse().expect("an address"))))
        .add(record("alias.test", Data::Cname("mx.test".into())))
        .replace(vec![record("test", Data::Mx(Mx { preference: 5, exchange: "mx.test".into() }))]);
    send(all.clone()).await;
    // Once more changes nothing.
    send(all).await;
    let texts = dns.txt("_acme-challenge.test").await.expect("both");
    assert!(texts.security.is_secure(), "the server signs what came by update");
    let mut texts = texts.records;
    texts.sort();
    assert_eq!(texts, [b"one", b"two"]);
    assert_eq!(dns.txt("long.test").await.expect("one").records, [long.as_bytes()]);
    assert_eq!(dns.tlsa("_25._tcp.mx.test").await.expect("one").records, [tlsa]);
    assert_eq!(dns.caa("test").await.expect("one").records, [caa]);
    assert_eq!(dns.srv("_imaps._tcp.test").await.expect("one").records, [srv]);
    assert_eq!(dns.srv("_pop3s._tcp.test").await.expect("one").records, [nowhere]);
    assert_eq!(dns.mx("test").await.expect("one").records, [Mx { preference: 5, exchange: "mx.test".into() }]);
    assert_eq!(dns.addresses("alias.test").await.expect("both").records.len(), 2);
    send(Update::of("test").delete_record(record("_acme-challenge.test", txt("one"))).delete("long.test", Type::Txt))
        .await;
    assert_eq!(dns.txt("_acme-challenge.test").await.expect("the other").records, [b"two"]);
    assert!(dns.txt("long.test").await.expect_err("it is gone").is_denial());
    // Nothing to do is done without asking.
    let nothing = Update::of("test");
    assert!(nothing.is_empty());
    assert_eq!(nothing.send((Ipv4Addr::LOCALHOST, 1).into(), Some(&key), now(), WITHIN).await, Ok(()));
}

#[tokio::test]
async fn refusals_say_why() {
    let (mut server, _, key) = server();
    let update = Update::of("test").add(record("new.test", txt("new")));
    let at = server.address();
    let why = |result: Result<(), Error>| result.expect_err("it is refused");
    let other_secret = Key::new("updater", Algorithm::HmacSha256, b"another".to_vec());
    let other_name = Key::new("stranger", Algorithm::HmacSha256, b"another".to_vec());
    let cases = [
        ("another secret", why(update.send(at, Some(&other_secret), now(), WITHIN).await)),
        ("does not know the key", why(update.send(at, Some(&other_name), now(), WITHIN).await)),
        ("", why(update.send(at, None, now(), WITHIN).await)),
    ];
    for (expected, error) in cases {
        assert!(matches!(&error, Error::Refused(why) if why.contains(expected)), "{expected}: {error:?}");
    }
    assert!(matches!(update.send(at, Some(&key), now() - 3_600, WITHIN).await, Err(Error::Clock(_))));
    let elsewhere = Update::of("fixed.test").add(record("new.fixed.test", txt("new")));
    assert!(matches!(elsewhere.send(at, Some(&key), now(), WITHIN).await, Err(Error::Refused(_))));
    let outside = Update::of("test").add(record("new.example", txt("new")));
    assert!(matches!(outside.send(at, Some(&key), now(), WITHIN).await, Err(Error::Refused(_))));
    let bad = Update::of("test").add(record("a..test", txt("new")));
    assert!(matches!(bad.send(at, Some(&key), now(), WITHIN).await, Err(Error::Bad(_))));
    server.stop();
    assert!(matches!(update.send(at, Some(&key), now(), WITHIN).await, Err(Error::Temporary(_))));
}

#[tokio::test]
async fn the_zone_of_a_name() {
    let (_server, dns, _) = server();
    for (name, zone) in [
        ("_acme-challenge.mx.test", "test"),
        ("test.", "test"),
        ("A.Fixed.Test", "fixed.test"),
        ("_acme-challenge.fixed.test", "fixed.test"),
    ] {
        assert_eq!(zone_of(&dns, name).await.as_deref(), Ok(zone), "{name}");
    }
}
