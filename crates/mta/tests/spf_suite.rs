//! The published suite of RFC 7208 over real DNS messages: a server on loopback that holds a scenario's zone, the resolver, the
//! driver. From memory: `crates/mailauth/tests/spf_suite.rs`.

#[path = "../../mailauth/tests/suite/mod.rs"]
mod suite;

use std::time::Duration;

use postroad_dns::{Resolver, Settings};
use postroad_mailauth::spf::{Check, Input, Limits};
use postroad_mta::checks::drive;
use postroad_testkit::dns_wire::{Manner, SPF, TXT};
use postroad_testkit::{DnsWire, WireZone};
use suite::{Data, Scenario};
use tokio::time::Instant;

/// A scenario's zone as a server holds it.
fn zone(scenario: &Scenario) -> WireZone {
    let mut zone = WireZone::new();
    for (name, node) in &scenario.zone {
        for record in &node.records {
            let strings = |strings: &[Vec<u8>], zone: WireZone, kind| {
                let strings: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
                zone.with_strings(name, kind, &strings)
            };
            zone = match record {
                Data::Txt(texts) => strings(texts, zone, TXT),
                Data::Spf(texts) => strings(texts, zone, SPF),
                Data::A(address) => zone.with_address(name, *address),
                Data::Aaaa(address) => zone.with_address(name, *address),
                Data::Mx(preference, host) => zone.with_mx(name, *preference, host),
                Data::Ptr(target) => zone.with_ptr(name, target),
                Data::Cname(target) => zone.with_alias(name, target),
            };
        }
        if node.is_silent {
            zone = zone.with_manner(name, Manner::Silent);
        }
    }
    zone
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_the_published_suite_passes_over_the_wire() {
    let scenarios = suite::scenarios(include_str!("../../mailauth/tests/data/spf/rfc7208-tests.yml"));
    let mut wrong = Vec::new();
    let (mut cases, mut asked) = (0, 0);
    for scenario in &scenarios {
        let server = DnsWire::start(zone(scenario));
        // Who does not answer is found out quickly.
        let settings = Settings { timeout: Duration::from_millis(800), attempts: 1, ..Settings::default() };
        let resolver = Resolver::with(&[server.address()], settings).expect("a resolver");
        for case in &scenario.cases {
            let check = Check::new(Input {
                ip: case.host,
                helo: &case.helo,
                mail_from: Some(&case.mail_from),
                receiver: "mx.postroad.test",
                now: 0,
                limits: Limits::default(),
            });
            let verdict = drive::run(check, &resolver, Instant::now() + Duration::from_secs(20)).await;
            cases += 1;
            if let Some(what) = case.disagrees(verdict.result.as_str(), verdict.explanation.as_deref()) {
                wrong.push(format!("{}/{}: {what} ({})", scenario.description, case.name, verdict.why));
            }
        }
        let questions = server.asked();
        assert!(questions.iter().all(|(_, kind)| *kind != SPF), "RFC 7208 §3.1: only TXT");
        asked += questions.len();
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!((scenarios.len(), cases), (suite::SCENARIOS, suite::CASES), "all of it was run");
    assert!(asked > cases, "the server was asked: {asked} questions");
}
