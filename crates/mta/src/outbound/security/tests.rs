//! Worlds of DNS and policies, and how a host has to be spoken with in them.

use std::net::IpAddr;
use std::time::Duration;

use postroad_dns::{Fixed, Security, Tlsa};
use postroad_login::Clock;
use postroad_queue::RouteTls;
use postroad_store::{Locks, Timestamp};
use postroad_testkit::TestStore;
use postroad_trust::sts as kept;

use super::*;
use crate::outbound::hosts::{Ourselves, Search};
use crate::outbound::tls::Tls;

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

fn record(usage: u8) -> Tlsa {
    Tlsa { usage, selector: 1, matching: 1, data: vec![7; 32] }
}

/// A signed domain with a host that has TLSA records, and its neighbours, each with one thing that is different.
fn zone() -> Fixed {
    let address: IpAddr = "192.0.2.1".parse().expect("an address");
    let good = |zone: Fixed, domain: &str| {
        zone.with_mx(domain, 10, &format!("mx.{domain}"))
            .with_address(&format!("mx.{domain}"), address)
            .with_security(domain, Security::Secure)
    };
    let owner = |domain: &str| format!("_25._tcp.mx.{domain}");
    let mut zone = Fixed::new();
    for domain in ["good.test", "old.test", "plain.test", "forged.test", "away.test", "unproven.test"] {
        zone = good(zone, domain);
    }
    zone = zone
        .with_tlsa(&owner("good.test"), record(3))
        .with_tlsa(&owner("old.test"), record(1))
        .with_failure(&owner("forged.test"), Error::Bogus("the signature is not right".into()))
        .with_failure(&owner("away.test"), Error::Temporary("no answer".into()))
        .with_tlsa(&owner("unproven.test"), record(3))
        .with_security(&owner("unproven.test"), Security::Insecure);
    // The MX is not signed: whoever changes it names a host of their own.
    zone = zone.with_mx("unsigned.test", 10, "mx.good.test").with_security("unsigned.test", Security::Insecure);
    // A signed MX that leads to a zone that is not.
    zone = good(zone, "outer.test").with_security("mx.outer.test", Security::Insecure);
    zone = zone.with_tlsa(&owner("outer.test"), record(3));
    // Aliases: to a host with records; with records of its own; out of what is signed, with and without records.
    for domain in ["alias.test", "own.test", "leaves.test", "drops.test"] {
        zone = zone.with_mx(domain, 10, &format!("mx.{domain}")).with_security(domain, Security::Secure);
    }
    zone = zone.with_alias("mx.alias.test", "mx.good.test");
    zone = zone.with_alias("mx.own.test", "mx.plain.test").with_tlsa(&owner("own.test"), record(3));
    zone = zone.with_address("far.unsigned.test", address);
    zone = zone.with_alias("mx.leaves.test", "far.unsigned.test").with_tlsa(&owner("leaves.test"), record(3));
    zone = zone.with_alias("mx.drops.test", "far.unsigned.test");
    // No MX at all.
    zone = zone.with_address("bare.test", address).with_security("bare.test", Security::Secure);
    zone.with_tlsa("_25._tcp.bare.test", record(2))
        .with_mx("quiet.test", 10, "mx.quiet.test")
        .with_address("mx.quiet.test", address)
}

struct World {
    dns: Arc<dyn Dns>,
    guard: Guard,
    _test: TestStore,
}

impl World {
    fn new(policies: &[(&str, &str)]) -> World {
        let test = TestStore::memory(&[postroad_trust::MIGRATIONS]);
        for (domain, text) in policies {
            let policy = kept::Policy::parse(text.as_bytes()).expect("a policy");
            let cached = kept::Cached::new(*domain, "1", policy, NOW);
            let written = test.store.write_blocking(Locks::none(), move |tx| kept::keep(tx, &cached));
            written.expect("it is kept");
        }
        let dns: Arc<dyn Dns> = Arc::new(zone());
        let clock: Clock = Arc::new(|| NOW.plus(Duration::from_secs(60)));
        let tls = Tls::new(None).expect("TLS");
        let https = crate::outbound::https::Https {
            dns: Arc::clone(&dns),
            tls,
            port: 443,
            allow_loopback: true,
            sources: Vec::new(),
        };
        let sts = Arc::new(Sts::new(test.store.clone(), Arc::clone(&dns), https, clock));
        let guard = Guard { dns: Arc::clone(&dns), sts, follow: Follow::default() };
        World { dns, guard, _test: test }
    }

    async fn host(&self, domain: &str) -> Host {
        let ourselves = Ourselves::default();
        let search = Search { dns: &self.dns, ourselves: &ourselves, port: 25, allow_loopback: true, random: 0 };
        search.domain(domain).await.expect("a host").remove(0)
    }

    /// How the host of a domain is spoken with, in a line.
    async fn line(&self, domain: &str, requiretls: bool, relaxed: bool) -> String {
        let rules = self.guard.rules(domain, 25, None, requiretls, relaxed).await;
        told(self.guard.terms(&rules, &self.host(domain).await).await)
    }
}

fn told(terms: Result<Terms, Box<Refusal>>) -> String {
    match terms {
        Ok(terms) => {
            let how = match &terms.protection {
                Protection::Dane(records) => format!("dane at {}", records.base),
                other => format!("{other:?}").to_lowercase(),
            };
            let notes: String = terms.notes.iter().map(|note| format!(" [{note}]")).collect();
            format!("{how}: {}{notes}", terms.because)
        }
        Err(refusal) => {
            let (kind, words) = match &refusal.verdict {
                Verdict::Deferred(words) => ("deferred", words),
                Verdict::Failed(words) => ("failed", words),
                other => panic!("{other:?}"),
            };
            let counted = refusal.count.as_ref().map_or("nothing", |(_, failure)| failure.kind.name());
            format!("{kind} {} counted as {counted}: {}", words.enhanced, words.text)
        }
    }
}

#[tokio::test]
async fn dane_holds_where_dnssec_vouches_for_all_of_it() {
    let world = World::new(&[]);
    for (domain, expected) in [
        ("good.test", "dane at mx.good.test: DANE (3 1 1)"),
        ("old.test", "required: DANE (no record that can be used) [mx.old.test has TLSA records of which none"),
        ("plain.test", "opportunistic: no policy"),
        (
            "forged.test",
            "deferred 4.7.5 counted as dnssec-invalid: mx.forged.test cannot be spoken with safely: its TLSA",
        ),
        ("away.test", "deferred 4.7.5 counted as dnssec-invalid: mx.away.test cannot be spoken with safely"),
        ("unproven.test", "opportunistic: no policy"),
        ("unsigned.test", "opportunistic: no policy"),
        ("outer.test", "opportunistic: no policy"),
        ("alias.test", "dane at mx.good.test: DANE (3 1 1)"),
        ("own.test", "dane at mx.own.test: DANE (3 1 1)"),
        ("leaves.test", "dane at mx.leaves.test: DANE (3 1 1)"),
        ("drops.test", "opportunistic: no policy"),
        ("bare.test", "dane at bare.test: DANE (2 1 1)"),
        ("quiet.test", "opportunistic: no policy"),
    ] {
        let line = world.line(domain, false, false).await;
        assert!(line.starts_with(expected), "{domain}: {line}");
    }
    let off = World::new(&[]);
    let guard = Guard { follow: Follow { dane: false, ..Follow::default() }, ..off.guard };
    let rules = guard.rules("good.test", 25, None, false, false).await;
    assert_eq!(told(guard.terms(&rules, &world.host("good.test").await).await), "opportunistic: no policy");
}

#[tokio::test]
async fn mta_sts_holds_beside_dane_and_below_it() {
    let policy = |mode: &str, mx: &str| format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 3600\n");
    let (strict, wild) = (policy("enforce", "mx.quiet.test"), policy("enforce", "*.quiet.test"));
    let (other, trial) = (policy("enforce", "mx.elsewhere.test"), policy("testing", "mx.quiet.test"));
    let none = "version: STSv1\nmode: none\nmax_age: 3600\n".to_owned();
    for (domain, policy, expected) in [
        ("quiet.test", &strict, "verified: MTA-STS (enforce, id 1)"),
        ("quiet.test", &wild, "verified: MTA-STS (enforce, id 1)"),
        (
            "quiet.test",
            &other,
            "deferred 4.7.5 counted as validation-failure: mx.quiet.test is a mail exchanger of quiet.test \
          that the domain's MTA-STS policy does not name (mx.elsewhere.test)",
        ),
        ("quiet.test", &trial, "watched: MTA-STS (testing, id 1)"),
        ("quiet.test", &none, "opportunistic: no policy"),
        // DANE decides; what MTA-STS says otherwise is told.
        (
            "good.test",
            &other,
            "dane at mx.good.test: DANE (3 1 1) [mx.good.test: DANE decides, although the MTA-STS policy \
          (enforce) does not name the host",
        ),
        ("good.test", &none, "dane at mx.good.test: DANE (3 1 1)"),
        // A host that DANE keeps mail from is not reached by way of MTA-STS.
        ("forged.test", &policy("enforce", "mx.forged.test"), "deferred 4.7.5 counted as dnssec-invalid"),
        // Records that cannot be used leave it to MTA-STS to ask for more.
        ("old.test", &policy("enforce", "mx.old.test"), "verified: MTA-STS (enforce, id 1)"),
        ("old.test", &policy("testing", "mx.old.test"), "required: DANE (no record that can be used)"),
    ] {
        let line = World::new(&[(domain, policy)]).line(domain, false, false).await;
        assert!(line.starts_with(expected), "{domain}: {line}");
    }
}

#[tokio::test]
async fn what_the_sender_wants_makes_it_stricter_or_sets_policies_aside() {
    let strict = "version: STSv1\nmode: enforce\nmx: mx.quiet.test\nmax_age: 3600\n";
    let (without, with) = (World::new(&[]), World::new(&[("quiet.test", strict)]));
    for (world, domain, requiretls, relaxed, expected) in [
        (&without, "good.test", true, false, "dane at mx.good.test: DANE (3 1 1), and REQUIRETLS"),
        // RFC 8689 §4.1: the option outweighs the header field.
        (&without, "good.test", true, true, "dane at mx.good.test: DANE (3 1 1), and REQUIRETLS"),
        (&without, "plain.test", true, false, "verified: REQUIRETLS; no policy"),
        (&with, "quiet.test", true, false, "verified: MTA-STS (enforce, id 1), and REQUIRETLS"),
        (
            &without,
            "quiet.test",
            true,
            false,
            "failed 5.7.30 counted as nothing: The message requires TLS on its whole way",
        ),
        (&without, "unsigned.test", true, false, "failed 5.7.30"),
        (&without, "good.test", false, true, "opportunistic: TLS-Required: No"),
        (&without, "forged.test", false, true, "opportunistic: TLS-Required: No"),
        (&with, "quiet.test", false, true, "opportunistic: TLS-Required: No"),
    ] {
        let line = world.line(domain, requiretls, relaxed).await;
        assert!(line.starts_with(expected), "{domain} {requiretls} {relaxed}: {line}");
    }
}

#[tokio::test]
async fn settings_and_routes_hold_whatever_is_published() {
    let world = World::new(&[]);
    let host = world.host("quiet.test").await;
    for (floor, relaxed, expected) in [
        (Floor::Required, false, "required: no policy; this server's settings (outbound.tls)"),
        (Floor::Verified, false, "verified: no policy; this server's settings (outbound.tls)"),
        (Floor::Verified, true, "verified: TLS-Required: No; this server's settings (outbound.tls)"),
    ] {
        let guard = Guard {
            dns: Arc::clone(&world.guard.dns),
            sts: Arc::clone(&world.guard.sts),
            follow: Follow { floor, ..Follow::default() },
        };
        let rules = guard.rules("quiet.test", 25, None, false, relaxed).await;
        assert_eq!(told(guard.terms(&rules, &host).await), expected);
    }
    let ourselves = Ourselves::default();
    let search = Search { dns: &world.dns, ourselves: &ourselves, port: 25, allow_loopback: true, random: 0 };
    for (host, tls, requiretls, expected) in [
        ("mx.good.test", RouteTls::Dane, false, "dane at mx.good.test: the route (dane)"),
        ("mx.good.test", RouteTls::Opportunistic, false, "opportunistic: the route (opportunistic)"),
        ("mx.good.test", RouteTls::Opportunistic, true, "verified: REQUIRETLS; the route (opportunistic)"),
        (
            "mx.plain.test",
            RouteTls::Dane,
            false,
            "deferred 4.7.5 counted as nothing: The route to mx.plain.test wants DANE",
        ),
        (
            "mx.forged.test",
            RouteTls::Dane,
            false,
            "deferred 4.7.5 counted as nothing: DANE of mx.forged.test: the DNS answer",
        ),
    ] {
        let route = Route { domain: "x.test".into(), host: host.into(), port: 25, tls, ca: None, login: None };
        let rules = world.guard.rules("x.test", 25, Some(Arc::new(route)), requiretls, false).await;
        let found = search.fixed(host).await.expect("a host").remove(0);
        let line = told(world.guard.terms(&rules, &found).await);
        assert!(line.starts_with(expected), "{host}: {line}");
    }
}
