//! Zones made to cost: over real DNS messages, each ends soon, with few questions and a verdict.

use std::net::Ipv4Addr;
use std::time::Duration;

use postroad_dns::{Resolver, Settings};
use postroad_mailauth::spf::{Check, Input, Limits, Result};
use postroad_mta::checks::drive;
use postroad_testkit::dns_wire::{Fault, Manner};
use postroad_testkit::{DnsWire, WireZone};
use tokio::time::Instant;

/// Questions that one check may ask: ten terms with a look-up and ten hosts each, the names of the address, an explanation.
const MOST: usize = 10 * 11 + 11 + 2;

fn zone() -> WireZone {
    let many_terms = " exists:%{i}.%{l}.x.test".repeat(500);
    let mut zone = WireZone::new()
        .with_txt("bomb.test", format!("v=spf1 exists:{}.x.test -all", "%{l}".repeat(60)))
        .with_txt("larger-bomb.test", format!("v=spf1 exists:{}.x.test -all", "%{s}".repeat(3000)))
        .with_txt("huge.test", format!("v=spf1{} -all", " ip4:198.51.100.1".repeat(3500)))
        .with_txt("terms.test", format!("v=spf1{many_terms} -all"))
        .with_txt("self.test", "v=spf1 include:self.test include:self.test -all")
        .with_txt("ring.test", "v=spf1 redirect=ring2.test")
        .with_txt("ring2.test", "v=spf1 include:ring.test redirect=ring.test")
        .with_alias("circle.test", "circle2.test")
        .with_alias("circle2.test", "circle.test")
        .with_txt("to-circle.test", "v=spf1 a:circle.test mx:circle.test include:circle.test -all")
        .with_txt("crowd.test", "v=spf1 mx -all")
        .with_txt("names.test", "v=spf1 ptr exists:%{p}.x.test -all")
        .with_txt("cut.test", "v=spf1 +all")
        .with_manner("cut.test", Manner::Always(Fault::Cut))
        .with_txt("noise.test", "v=spf1 +all")
        .with_manner("noise.test", Manner::Always(Fault::Noise))
        .with_txt("forged.test", "v=spf1 +all")
        .with_manner("forged.test", Manner::Always(Fault::WrongNumber));
    for n in 0..1000 {
        zone = zone
            .with_mx("crowd.test", 1, &format!("mx{n}.test"))
            .with_ptr("1.2.0.192.in-addr.arpa", &format!("n{n}.test"));
    }
    zone
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_zones_end_soon() {
    let server = DnsWire::start(zone());
    let settings = Settings { timeout: Duration::from_millis(800), attempts: 1, ..Settings::default() };
    let local = "a.".repeat(30) + "b";
    for (domain, expected) in [
        ("bomb.test", &[Result::Fail][..]),
        ("larger-bomb.test", &[Result::PermError]),
        ("huge.test", &[Result::PermError]),
        ("terms.test", &[Result::PermError]),
        ("self.test", &[Result::PermError]),
        ("ring.test", &[Result::PermError]),
        ("circle.test", &[Result::None, Result::TempError]),
        ("to-circle.test", &[Result::PermError, Result::TempError]),
        ("crowd.test", &[Result::PermError]),
        ("names.test", &[Result::Fail]),
        // What is no answer lets nobody in.
        ("cut.test", &[Result::TempError]),
        ("noise.test", &[Result::TempError]),
        ("forged.test", &[Result::TempError]),
    ] {
        let resolver = Resolver::with(&[server.address()], settings.clone()).expect("a resolver");
        let check = Check::new(Input {
            ip: Ipv4Addr::new(192, 0, 2, 1).into(),
            helo: "h.test",
            mail_from: Some(&format!("{local}@{domain}")),
            receiver: "mx.test",
            now: 0,
            limits: Limits::default(),
        });
        let (begun, before) = (Instant::now(), server.asked().len());
        let verdict = drive::run(check, &resolver, begun + Duration::from_secs(20)).await;
        assert!(expected.contains(&verdict.result), "{domain}: {} ({})", verdict.result, verdict.why);
        let asked = server.asked().len() - before;
        assert!(asked <= MOST, "{domain}: {asked} questions");
        assert!(begun.elapsed() < Duration::from_secs(10), "{domain}: {:?}", begun.elapsed());
        assert!(verdict.why.len() < 500, "{domain}: {}", verdict.why);
    }
}
