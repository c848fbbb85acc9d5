//! Worlds of DNS, and where mail for a domain goes in them.

use postroad_dns::Fixed;

use super::*;

/// What came of a search, in a line: `mx1: addresses; mx2: addresses`, or the verdict.
fn line(found: Result<Vec<Host>, Verdict>) -> String {
    let words = |kind: &str, words: &Words| format!("{kind} {} {}", words.enhanced, words.text);
    match found {
        Ok(hosts) => {
            let one = |host: &Host| {
                let addresses: Vec<String> = host.addresses.iter().map(ToString::to_string).collect();
                format!("{}: {}", host.name, addresses.join(" "))
            };
            hosts.iter().map(one).collect::<Vec<_>>().join("; ")
        }
        Err(Verdict::Failed(why)) => words("failed", &why),
        Err(Verdict::Deferred(why)) => words("deferred", &why),
        Err(other) => format!("{other:?}"),
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

async fn search(zone: Fixed, domain: &str, change: impl FnOnce(&mut Search<'_>)) -> String {
    let dns: Arc<dyn Dns> = Arc::new(zone);
    let ourselves =
        Ourselves { names: vec!["us.test".into()], listeners: vec!["192.0.2.99:25".parse().expect("an address")] };
    let mut search = Search { dns: &dns, ourselves: &ourselves, port: 25, allow_loopback: false, random: 0 };
    change(&mut search);
    line(search.domain(domain).await)
}

fn zone() -> Fixed {
    let down = || Error::Temporary("the server is down".into());
    Fixed::new()
        .with_mx("two.test", 20, "b.test")
        .with_mx("two.test", 10, "a.test")
        .with_address("a.test", address("192.0.2.1"))
        .with_address("a.test", address("2001:db8::1"))
        .with_address("a.test", address("192.0.2.11"))
        .with_address("b.test", address("192.0.2.2"))
        .with_address("bare.test", address("192.0.2.3"))
        .with_txt("nothing.test", "neither mail nor host")
        .with_mx("null.test", 0, ".")
        .with_mx("odd.test", 0, ".")
        .with_mx("odd.test", 10, "b.test")
        .with_failure("down.test", down())
        .with_failure("forged.test", Error::Bogus("DNSSEC".into()))
        .with_mx("half.test", 10, "down.test")
        .with_mx("half.test", 20, "b.test")
        .with_mx("halfless.test", 10, "down.test")
        .with_mx("halfless.test", 20, "gone.test")
        .with_mx("gone-mx.test", 10, "gone.invalid")
        .with_mx("numbers.test", 10, "192.0.2.1")
        .with_mx("ours.test", 10, "us.test")
        .with_address("us.test", address("192.0.2.98"))
        .with_mx("backup.test", 10, "a.test")
        .with_mx("backup.test", 20, "us.test")
        .with_mx("backup.test", 20, "c.test")
        .with_mx("backup.test", 30, "b.test")
        .with_address("c.test", address("192.0.2.4"))
        .with_mx("by-address.test", 10, "alias-of-us.test")
        .with_address("alias-of-us.test", address("192.0.2.99"))
        .with_mx("local.test", 10, "localhost.test")
        .with_address("localhost.test", address("127.0.0.1"))
        .with_address("localhost.test", address("::1"))
        .with_mx("mixed.test", 10, "mixed-host.test")
        .with_address("mixed-host.test", address("127.0.0.1"))
        .with_address("mixed-host.test", address("192.0.2.5"))
        .with_alias("cname.test", "two.test")
        .with_mx("to-cname.test", 10, "www.test")
        .with_alias("www.test", "b.test")
}

#[tokio::test]
async fn worlds_and_where_mail_goes() {
    let a = "a.test: 2001:db8::1 192.0.2.1 192.0.2.11";
    for (domain, expected) in [
        // RFC 5321 §5.1: by preference; both families, IPv6 first, in turn.
        ("two.test", format!("{a}; b.test: 192.0.2.2")),
        ("cname.test", format!("{a}; b.test: 192.0.2.2")),
        ("to-cname.test", "www.test: 192.0.2.2".into()),
        ("bare.test", "bare.test: 192.0.2.3".into()),
        ("nothing.test", "failed 5.1.2 nothing.test takes no mail: it has no mail exchanger and no address".into()),
        ("nowhere.invalid", "failed 5.1.2 The domain nowhere.invalid does not exist".into()),
        ("a..b", "failed 5.1.2 a..b is no domain that mail can be sent to: not a domain name: \"a..b\"".into()),
        // RFC 7505.
        ("null.test", "failed 5.1.10 null.test takes no mail (null MX)".into()),
        ("odd.test", "b.test: 192.0.2.2".into()),
        // The DNS does not answer: for the domain, or for some of its hosts.
        (
            "down.test",
            "deferred 4.4.3 down.test cannot be looked up now: the DNS does not answer: the server is down".into(),
        ),
        (
            "forged.test",
            "deferred 4.4.3 forged.test cannot be looked up now: the DNS answer is not to be trusted: DNSSEC".into(),
        ),
        ("half.test", "b.test: 192.0.2.2".into()),
        (
            "halfless.test",
            "deferred 4.4.3 down.test cannot be looked up now: the DNS does not answer: the server is down".into(),
        ),
        (
            "gone-mx.test",
            "failed 5.4.4 The mail exchanger of gone-mx.test cannot be found: gone.invalid: the name does not exist"
                .into(),
        ),
        (
            "numbers.test",
            "failed 5.4.4 The mail exchanger of numbers.test cannot be found: 192.0.2.1: not a domain name: \
             \"192.0.2.1\""
                .into(),
        ),
        // Ourselves: only what is liked better remains.
        (
            "ours.test",
            "failed 5.3.5 The mail exchanger of ours.test is this server, which does not take mail for it".into(),
        ),
        (
            "by-address.test",
            "failed 5.3.5 The mail exchanger of by-address.test is this server, which does not take mail for it".into(),
        ),
        ("backup.test", a.into()),
        // Where no mail is sent to.
        ("local.test", "failed 5.4.4 localhost.test has only addresses that no mail can be sent to".into()),
        ("mixed.test", "mixed-host.test: 192.0.2.5".into()),
        // Literals.
        ("[192.0.2.7]", "[192.0.2.7]: 192.0.2.7".into()),
        ("[ipv6:2001:db8::7]", "[ipv6:2001:db8::7]: 2001:db8::7".into()),
        ("[127.0.0.1]", "failed 5.4.4 [127.0.0.1] has only addresses that no mail can be sent to".into()),
        (
            "[IPv6:64:ff9b::192.0.2.99]",
            "failed 5.3.5 The mail exchanger of [IPv6:64:ff9b::192.0.2.99] is this server, which does not take mail for it"
                .into(),
        ),
        (
            "[192.0.2.99]",
            "failed 5.3.5 The mail exchanger of [192.0.2.99] is this server, which does not take mail for it".into(),
        ),
        ("[nobody]", "failed 5.1.2 [nobody] is no address of a host".into()),
    ] {
        assert_eq!(search(zone(), domain, |_| {}).await, expected, "{domain}");
    }
    let allowed = search(zone(), "local.test", |search| search.allow_loopback = true).await;
    assert_eq!(allowed, "localhost.test: ::1 127.0.0.1", "in a trial");
    let elsewhere = search(zone(), "by-address.test", |search| search.port = 2525).await;
    assert_eq!(elsewhere, "alias-of-us.test: 192.0.2.99", "another port of ours is somebody else's");
}

#[tokio::test]
async fn a_route_names_its_host_and_nothing_else_is_asked() {
    let dns: Arc<dyn Dns> = Arc::new(zone());
    let ourselves = Ourselves { names: Vec::new(), listeners: vec!["0.0.0.0:2525".parse().expect("an address")] };
    for (host, port, expected) in [
        ("two.test", 25, "deferred 4.4.4 The route's host two.test: the name has no such record"),
        ("a.test", 25, "a.test: 2001:db8::1 192.0.2.1 192.0.2.11"),
        ("127.0.0.1", 25, "127.0.0.1: 127.0.0.1"),
        ("[IPv6:::1]", 25, "[IPv6:::1]: ::1"),
        ("::1", 25, "::1: ::1"),
        (
            "down.test",
            25,
            "deferred 4.4.3 down.test cannot be looked up now: the DNS does not answer: the server is down",
        ),
        ("127.0.0.1", 2525, "deferred 4.4.6 The route's host 127.0.0.1 is this server itself"),
    ] {
        let search = Search { dns: &dns, ourselves: &ourselves, port, allow_loopback: false, random: 0 };
        assert_eq!(line(search.fixed(host).await), expected, "{host}");
    }
}

#[test]
fn equals_take_turns_and_order_is_kept_among_others() {
    let mx = |preference, name: &str| Mx { preference, exchange: name.into() };
    let exchangers = vec![mx(10, "a"), mx(5, "first"), mx(10, "b"), mx(10, "c"), mx(20, "last")];
    let mut firsts = std::collections::HashMap::new();
    for random in 0..300 {
        let ordered = ordered(exchangers.clone(), random);
        let names: Vec<&str> = ordered.iter().map(|mx| mx.exchange.as_str()).collect();
        assert_eq!((names[0], names[4]), ("first", "last"), "{names:?}");
        *firsts.entry(names[1].to_owned()).or_insert(0) += 1;
    }
    assert_eq!(firsts.len(), 3);
    assert!(firsts.values().all(|times| (50..150).contains(times)), "{firsts:?}");
    let many: Vec<Mx> = (0..100).map(|number| mx(number, "x")).collect();
    assert_eq!(ordered(many, 1).len(), MAX_HOSTS);
}

#[test]
fn places_where_no_mail_is() {
    for (text, expected) in [
        ("192.0.2.1", true),
        ("10.1.2.3", true),
        ("fd00::1", true),
        ("2001:db8::1", true),
        ("0.0.0.0", false),
        ("0.1.2.3", false),
        ("127.9.9.9", false),
        ("::1", false),
        ("::ffff:127.0.0.1", false),
        ("::", false),
        ("::7f00:1", false),
        ("169.254.1.1", false),
        ("fe80::1", false),
        ("224.0.0.1", false),
        ("ff02::1", false),
        ("240.0.0.1", false),
        ("255.255.255.255", false),
        // IPv4 in IPv6: by translators (well-known and local prefixes), 6to4, Teredo.
        ("64:ff9b::127.0.0.1", false),
        ("64:ff9b::a9fe:a9fe", false),
        ("64:ff9b::192.0.2.1", true),
        ("64:ff9b:1::7f00:1", false),
        ("::ffff:0:127.0.0.1", false),
        ("2002:7f00:1::1", false),
        ("2002:a9fe:a9fe::1", false),
        ("2002:c000:201::1", true),
        ("2001::53aa:64c:0:7a7e:c000:201", false),
        ("fec0::1", false),
        ("100::1", false),
    ] {
        assert_eq!(is_a_place(address(text), false), expected, "{text}");
    }
    assert!(is_a_place(address("127.0.0.1"), true) && is_a_place(address("::1"), true));
    assert!(!is_a_place(address("0.0.0.0"), true));
    assert!(!is_a_place(address("64:ff9b::127.0.0.1"), true));
}
