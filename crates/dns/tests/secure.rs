//! What DNSSEC says of answers and denials: real zones of knotd, judged by ourselves and by a real unbound.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use postroad_dns::{Dns, Dnssec, Error, Resolver, Security, Settings};
use postroad_testkit::{DnsServer, Unbound, Zone};

/// The root and `test` are signed; below it zones of each kind.
fn zones() -> Vec<Zone> {
    let small = "@ MX 10 mx\nmx A 192.0.2.1\nother A 192.0.2.2\n_25._tcp.mx TLSA 3 1 1 aabb";
    let signed = "@ MX 10 mx\nmx A 192.0.2.1\n_25._tcp.mx TLSA 3 1 1 aabb\nempty TXT \"nothing else\"\n\
        alias CNAME mx\nout CNAME mx.unsigned.test.\nnowhere CNAME gone\nfar CNAME mx.nsec3.test.\nbad CNAME mx.wrong.test.\n\
        *.wild A 192.0.2.3\nthere.wild A 192.0.2.4\n*.wild TXT \"wild\"\n*.wilder CNAME mx\n_imaps._tcp SRV 0 1 993 mx\n\
        @ CAA 0 issue \"ca.test\"\nlarge TXT \"start\"";
    vec![
        Zone::signed("", ""),
        Zone::signed("test", "a.gap A 192.0.2.9"),
        Zone::signed("signed.test", signed),
        Zone::signed_with_nsec3("nsec3.test", signed),
        Zone::unsigned("unsigned.test", small),
        Zone::unsigned("sub.unsigned.test", small),
        Zone::with_wrong_key("wrong.test", small),
        Zone::stripped("stripped.test", small),
        Zone::tampered("tampered.test", small),
    ]
}

#[derive(Debug, PartialEq)]
enum Is {
    Secure,
    Insecure,
    NoName(Security),
    NoData(Security),
    Bogus,
}

fn is<T>(answer: Result<postroad_dns::Answer<T>, Error>) -> Is {
    match answer.map(|answer| answer.security) {
        Ok(Security::Secure) => Is::Secure,
        Ok(Security::Insecure) => Is::Insecure,
        Ok(Security::Unchecked) => panic!("somebody should have looked"),
        Err(Error::NoSuchName(security)) => Is::NoName(security),
        Err(Error::NoData(security)) => Is::NoData(security),
        Err(Error::Bogus(_)) => Is::Bogus,
        Err(error) => panic!("{error}"),
    }
}

/// What every judge must find.
async fn check(dns: &dyn Dns) {
    use Security::{Insecure, Secure};
    for zone in ["signed.test", "nsec3.test"] {
        let at = |name: &str| format!("{name}.{zone}");
        let mx = dns.mx(zone).await.expect("an exchanger");
        assert_eq!((mx.security, mx.name.as_str()), (Secure, zone));
        for (name, expected) in [
            ("mx", Is::Secure),
            ("alias", Is::Secure),
            ("far", Is::Secure),
            ("out", Is::Insecure),
            ("bad", Is::Bogus),
            ("nowhere", Is::NoName(Secure)),
            ("gone", Is::NoName(Secure)),
            ("empty", Is::NoData(Secure)),
            ("_tcp.mx", Is::NoData(Secure)),
            // Expanded from wildcards.
            ("some.wild", Is::Secure),
            ("some.more.wild", Is::Secure),
            ("there.wild", Is::Secure),
            ("some.wilder", Is::Secure),
            ("below.there.wild", Is::NoName(Secure)),
        ] {
            assert_eq!(is(dns.ipv4(&at(name)).await), expected, "{name}.{zone}");
        }
        assert_eq!(is(dns.tlsa(&at("_25._tcp.mx")).await), Is::Secure);
        assert_eq!(is(dns.tlsa(&at("_26._tcp.mx")).await), Is::NoName(Secure));
        assert_eq!(is(dns.tlsa(&at("some.wild")).await), Is::NoData(Secure));
        assert_eq!(is(dns.ipv6(&at("alias")).await), Is::NoData(Secure), "at the end of an alias");
        assert_eq!(is(dns.ipv6(&at("far")).await), Is::NoData(Secure), "at the end of an alias into another zone");
        assert_eq!(is(dns.ipv6(&at("out")).await), Is::NoData(Insecure));
        // An alias is vouched for although what it leads to is not.
        let alias = dns.cname(&at("out")).await.expect("an alias");
        assert_eq!((alias.security, alias.records[0].as_str()), (Secure, "mx.unsigned.test"));
        assert_eq!(dns.ipv4(&at("out")).await.expect("an address").name, "mx.unsigned.test");
        assert_eq!(is(dns.srv(&at("_imaps._tcp")).await), Is::Secure);
        assert_eq!(is(dns.caa(zone).await), Is::Secure);
        assert_eq!(is(dns.soa(zone).await), Is::Secure);
        assert_eq!(is(dns.ns(zone).await), Is::Secure);
        assert_eq!(is(dns.txt(&at("empty")).await), Is::Secure);
    }
    assert_eq!(is(dns.ipv4("gap.test").await), Is::NoData(Secure), "a name that only has names below it");
    assert_eq!(is(dns.mx("other.test").await), Is::NoName(Secure));
    for zone in ["unsigned.test", "sub.unsigned.test"] {
        assert_eq!(is(dns.mx(zone).await), Is::Insecure, "{zone}");
        assert_eq!(is(dns.ipv4(&format!("mx.{zone}")).await), Is::Insecure, "{zone}");
        assert_eq!(is(dns.tlsa(&format!("_25._tcp.mx.{zone}")).await), Is::Insecure, "{zone}");
        assert_eq!(is(dns.ipv4(&format!("gone.{zone}")).await), Is::NoName(Insecure), "{zone}");
        assert_eq!(is(dns.ipv6(&format!("mx.{zone}")).await), Is::NoData(Insecure), "{zone}");
    }
    for zone in ["wrong.test", "stripped.test"] {
        assert_eq!(is(dns.mx(zone).await), Is::Bogus, "{zone}");
        assert_eq!(is(dns.tlsa(&format!("_25._tcp.mx.{zone}")).await), Is::Bogus, "{zone}");
        assert_eq!(is(dns.ipv4(&format!("gone.{zone}")).await), Is::Bogus, "{zone}");
    }
    assert_eq!(is(dns.ipv4("mx.tampered.test").await), Is::Bogus);
    assert_eq!(is(dns.ipv4("other.tampered.test").await), Is::Secure, "the other records are as they were");
}

fn with(server: SocketAddr, dnssec: Dnssec, anchors: Option<&DnsServer>) -> Resolver {
    let trust_anchor = anchors.map(|server| server.trust_anchor().to_owned());
    Resolver::with(&[server], Settings { dnssec, trust_anchor, ..Settings::default() }).expect("a resolver")
}

#[tokio::test]
async fn our_own_validation() {
    let server = DnsServer::serve(zones());
    let dns = with(server.address(), Dnssec::Validate, Some(&server));
    check(&dns).await;
    assert!(dns.has_dnssec().await);
    // With another key at the root nothing holds: IANA's did not sign here.
    let other = with(server.address(), Dnssec::Validate, None);
    assert!(matches!(other.mx("signed.test").await, Err(Error::Bogus(_))));
    assert!(!other.has_dnssec().await);
}

#[tokio::test]
async fn a_validating_resolver_on_this_machine() {
    let server = DnsServer::serve(zones());
    let unbound = Unbound::validating(&server);
    let dns = with(unbound.address(), Dnssec::Auto, None);
    check(&dns).await;
    assert!(dns.has_dnssec().await);
    // Our own validation through a resolver that validates too.
    check(&with(unbound.address(), Dnssec::Validate, Some(&server))).await;
}

#[tokio::test]
async fn a_resolver_that_does_not_validate_vouches_for_nothing() {
    let server = DnsServer::serve(zones());
    let unbound = Unbound::plain(&server);
    let dns = with(unbound.address(), Dnssec::Auto, None);
    assert_eq!(dns.mx("signed.test").await.expect("an exchanger").security, Security::Unchecked);
    assert_eq!(dns.mx("gone.test").await, Err(Error::NoSuchName(Security::Unchecked)));
    assert_eq!(dns.mx("wrong.test").await.expect("an exchanger").security, Security::Unchecked);
    assert!(!dns.has_dnssec().await);
    let off = with(server.address(), Dnssec::Off, None);
    assert_eq!(off.mx("signed.test").await.expect("an exchanger").security, Security::Unchecked);
}

#[tokio::test]
async fn answers_that_do_not_fit_come_over_tcp() {
    let lines: String = (0..100).map(|n| format!("large TXT \"{n:03}-{}\"\n", "x".repeat(200))).collect();
    let server = DnsServer::serve(vec![Zone::signed("", ""), Zone::signed("test", &lines)]);
    for dnssec in [Dnssec::Validate, Dnssec::Off] {
        let dns = with(server.address(), dnssec, Some(&server));
        assert_eq!(dns.txt("large.test").await.expect("all of them").records.len(), 100, "{dnssec:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_dead_is_no_denial() {
    let mut server = DnsServer::serve(zones());
    let unbound = Unbound::validating(&server);
    let quick = |server: SocketAddr, dnssec, anchor: &DnsServer| {
        let trust_anchor = Some(anchor.trust_anchor().to_owned());
        let timeout = Duration::from_millis(300);
        Resolver::with(&[server], Settings { dnssec, trust_anchor, timeout, ..Settings::default() })
            .expect("a resolver")
    };
    let ours = quick(server.address(), Dnssec::Validate, &server);
    let theirs = quick(unbound.address(), Dnssec::TrustAd, &server);
    let nobody = quick(server.address(), Dnssec::Off, &server);
    assert!(ours.answers().await.is_ok() && theirs.answers().await.is_ok());
    server.stop();
    for (dns, who) in [(&ours, "ours"), (&theirs, "theirs"), (&nobody, "nobody")] {
        for name in ["signed.test", "unsigned.test", "gone.test"] {
            let error = dns.mx(name).await.expect_err("nobody answers");
            assert!(matches!(error, Error::Temporary(_)), "{who} {name}: {error:?}");
        }
    }
    server.start_again();
    let again = quick(server.address(), Dnssec::Validate, &server);
    assert_eq!(again.ipv4("mx.signed.test").await.expect("it is back").records, [Ipv4Addr::new(192, 0, 2, 1)]);
}

#[tokio::test]
async fn another_server_is_asked_when_one_is_dead_or_cannot_answer() {
    let server = DnsServer::serve(vec![Zone::unsigned("", "there.test. MX 10 mx.there.test.")]);
    let broken = DnsServer::start_with_broken("", &["there.test"]);
    let mut dead = DnsServer::start("");
    dead.stop();
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let silent = silent.local_addr().expect("it is bound");
    let settings = Settings { timeout: Duration::from_millis(300), dnssec: Dnssec::Off, ..Settings::default() };
    for servers in [
        [broken.address(), server.address()],
        [dead.address(), server.address()],
        [silent, server.address()],
        [server.address(), dead.address()],
    ] {
        let dns = Resolver::with(&servers, settings.clone()).expect("a resolver");
        assert_eq!(dns.mx("there.test").await.expect("one answers").records.len(), 1, "{servers:?}");
    }
    let dns = Resolver::with(&[broken.address(), dead.address()], settings).expect("a resolver");
    let error = dns.mx("there.test").await.expect_err("none answers");
    assert!(matches!(&error, Error::Temporary(why) if why.contains("Server Failure")), "{error:?}");
}
