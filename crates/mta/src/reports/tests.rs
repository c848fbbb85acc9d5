//! What is owed for a day: to whom it goes, once, and never about itself.

use std::sync::Arc;

use postroad_dns::Fixed;
use postroad_login::Clock;
use postroad_mail::Error;
use postroad_mailauth::report::aggregate::{Disposition, Published, Record};
use postroad_store::{Locks, Store, Timestamp};
use postroad_trust::dmarc_results::{self, Seen};
use postroad_trust::tls_results::{self, Day, Policy, PolicyKind, Tally};

use super::{FIRST, Reporter, SPREAD, Settings, delay};
use crate::sign::Signing;

/// Some days later.
const NOW: Timestamp = Timestamp(10 * 86_400 * 1_000_000);
const DAY: Day = Day(9);

fn store() -> Store {
    let store = Store::open(postroad_store::Settings::memory()).expect("a store");
    let tables =
        [postroad_store::MIGRATIONS, postroad_mail::MIGRATIONS, postroad_queue::MIGRATIONS, postroad_trust::MIGRATIONS];
    store.migrate(&tables.concat()).expect("tables");
    store
}

fn reporter(store: &Store, records: &[(&str, &str)]) -> Reporter {
    let dns = records.iter().fold(Fixed::new(), |dns, (name, text)| dns.with_txt(name, *text));
    let settings = Settings {
        hostname: "mx.here.test".into(),
        dmarc: true,
        tls: true,
        authorities: None,
        https_port: 443,
        allow_loopback: false,
    };
    let clock: Clock = Arc::new(|| NOW);
    Reporter::new(store.clone(), settings, Arc::new(dns), Signing::default(), clock).expect("TLS")
}

async fn sessions(store: &Store, domain: &str, successes: u64) {
    let policy =
        Policy { kind: PolicyKind::NoPolicyFound, domain: domain.into(), lines: Vec::new(), hosts: Vec::new() };
    let tally = Tally { day: DAY, policy, successes, failures: 0, details: Vec::new() };
    let written = store.write(Locks::none(), move |tx| Ok::<_, Error>(tls_results::record(tx, &[tally])?));
    written.await.expect("written");
}

async fn queued(store: &Store) -> u64 {
    let depth = store.read(postroad_queue::depth);
    depth.await.expect("counted").messages
}

#[tokio::test]
async fn sessions_are_reported_where_it_is_wanted_and_once() {
    let store = store();
    for domain in ["there.test", "silent.test", "echo.test"] {
        sessions(&store, domain, 2).await;
    }
    let counted = store.write(Locks::none(), |tx| {
        dmarc_results::count_letter(tx, DAY, "echo.test")?;
        Ok::<_, Error>(dmarc_results::count_letter(tx, DAY, "echo.test")?)
    });
    counted.await.expect("counted");
    let records = [
        ("_smtp._tls.there.test", "v=TLSRPTv1; rua=mailto:t@there.test"),
        ("_smtp._tls.echo.test", "v=TLSRPTv1; rua=mailto:t@echo.test"),
    ];
    let (one, other) = (reporter(&store, &records), reporter(&store, &records));
    let dry = one.send(DAY, true).await.expect("told");
    assert_eq!(dry.len(), 1, "nothing but our own reports went to echo.test: {dry:?}");
    assert_eq!(queued(&store).await, 0);
    let (first, second) = tokio::join!(one.send(DAY, false), other.send(DAY, false));
    let lines = [first.expect("sent"), second.expect("sent")].concat();
    assert_eq!(lines.len(), 1, "two nodes, one report: {lines:?}");
    assert_eq!(lines[0].said, "2 good and 0 bad sessions, to t@there.test");
    assert_eq!(queued(&store).await, 1);
    assert!(other.send(DAY, false).await.expect("looked").is_empty());
}

#[tokio::test]
async fn nobody_is_written_to_who_did_not_agree() {
    let store = store();
    let seen = |domain: &str, rua: &str| Seen {
        at: DAY.begins(),
        published: Published { domain: domain.into(), ..Published::default() },
        rua: vec![rua.into()],
        record: Record {
            source: "192.0.2.1".parse().expect("an address"),
            count: 1,
            disposition: Disposition::None,
            dkim: false,
            spf: true,
            reasons: Vec::new(),
            header_from: domain.into(),
            envelope_from: domain.into(),
            envelope_to: String::new(),
            signatures: Vec::new(),
            senders: Vec::new(),
        },
    };
    let all = [
        seen("own.test", "mailto:r@mail.own.test"),
        seen("evil.test", "mailto:victim@else.test"),
        seen("agreed.test", "mailto:r@service.test"),
        seen("sub.org.test", "mailto:r@org.test"),
        seen("odd.test", "https://odd.test/"),
    ];
    let written = store.write(Locks::none(), move |tx| {
        all.iter().try_for_each(|seen| dmarc_results::record(tx, seen)).map_err(Error::from)
    });
    written.await.expect("written");
    let records =
        [("agreed.test._report._dmarc.service.test", "v=DMARC1;"), ("_dmarc.org.test", "v=DMARC1; p=none; psd=n")];
    let lines = reporter(&store, &records).send(DAY, false).await.expect("sent");
    let sent: Vec<(&str, bool)> = lines.iter().map(|line| (line.domain.as_str(), line.is_sent)).collect();
    let expected =
        [("agreed.test", true), ("evil.test", false), ("odd.test", false), ("own.test", true), ("sub.org.test", true)];
    assert_eq!(sent, expected, "{lines:?}");
    assert_eq!(queued(&store).await, 3);
}

#[test]
fn nodes_report_at_different_times() {
    let delays: std::collections::BTreeSet<std::time::Duration> =
        (0..50).map(|seed| delay(seed * 0x1234_5678_9abc, Day(20_000))).collect();
    assert!(delays.len() > 40, "{delays:?}");
    assert!(delays.iter().all(|delay| *delay >= FIRST && *delay < FIRST + SPREAD));
}
