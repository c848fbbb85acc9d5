//! What is owed for a day: to whom it goes, once, and never about itself.

use std::sync::Arc;

use postroad_dns::Fixed;
use postroad_login::Clock;
use postroad_mail::Error;
use postroad_mailauth::dmarc;
use postroad_mailauth::report::aggregate::{Disposition, Published, Record};
use postroad_mailauth::report::feedback::Feedback;
use postroad_store::{Locks, Migration, Store, Timestamp};
use postroad_testkit::certificates::Authority;
use postroad_testkit::{PolicyHost, TestStore};
use postroad_trust::dmarc_results::{self, Seen};
use postroad_trust::failures::{self, Waiting};
use postroad_trust::tls_results::{self, Day, Policy, PolicyKind, Tally};

use super::tls::LETTERS_ELSEWHERE_MAX;
use super::{FIRST, Put, Reporter, SPREAD, Settings, delay};
use crate::sign::Signing;

/// Some days later.
const NOW: Timestamp = Timestamp(10 * 86_400 * 1_000_000);
const DAY: Day = Day(9);

const TABLES: &[&[Migration]] = &[postroad_mail::MIGRATIONS, postroad_queue::MIGRATIONS, postroad_trust::MIGRATIONS];

fn store() -> Store {
    let store = Store::open(postroad_store::Settings::memory()).expect("a store");
    store.migrate(&[&[postroad_store::MIGRATIONS], TABLES].concat().concat()).expect("tables");
    store
}

fn reporter(store: &Store, records: &[(&str, &str)]) -> Reporter {
    let dns = records.iter().fold(Fixed::new(), |dns, (name, text)| dns.with_txt(name, *text));
    let settings = Settings {
        hostname: "mx.here.test".into(),
        dmarc: true,
        tls: true,
        failures_per_day: 2,
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

/// Anybody may name an address of anybody else in a record: whoever it is hears so often in a day and not more often.
#[tokio::test]
async fn nobody_is_flooded_with_reports_about_tls() {
    let store = store();
    for domain in ["first.test", "second.test", "victim.test"] {
        sessions(&store, domain, 2).await;
    }
    let counted = store.write(Locks::none(), |tx| {
        (1..LETTERS_ELSEWHERE_MAX)
            .try_for_each(|_| dmarc_results::count_letter(tx, Day::of(NOW), "victim.test"))
            .map_err(Error::from)
    });
    counted.await.expect("counted");
    let records = [
        ("_smtp._tls.first.test", "v=TLSRPTv1; rua=mailto:you@victim.test"),
        ("_smtp._tls.second.test", "v=TLSRPTv1; rua=mailto:you@victim.test"),
        ("_smtp._tls.victim.test", "v=TLSRPTv1; rua=mailto:us@victim.test"),
    ];
    let lines = reporter(&store, &records).send(DAY, false).await.expect("sent");
    let said: Vec<(&str, bool, &str)> =
        lines.iter().map(|line| (line.domain.as_str(), line.is_sent, line.said.as_str())).collect();
    let expected = [
        ("first.test", true, "2 good and 0 bad sessions, to you@victim.test"),
        ("second.test", false, "you@victim.test had as many letters today as one place gets"),
        ("victim.test", true, "2 good and 0 bad sessions, to us@victim.test"),
    ];
    assert_eq!(said, expected);
    assert_eq!(queued(&store).await, 2);
    assert!(reporter(&store, &records).send(DAY, false).await.expect("looked").is_empty(), "it was decided");
}

#[tokio::test]
async fn nobody_is_written_to_who_did_not_agree() {
    let store = store();
    let seen = seen_at;
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

fn seen_at(domain: &str, rua: &str) -> Seen {
    Seen {
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
    }
}

/// To whom a report goes: `said`, for a domain with this `rua` in this DNS.
async fn told(rua: &str, records: &[(&str, &str)]) -> String {
    // A store is opened without a runtime; what a task may do before it yields is not for several of them.
    tokio::task::yield_now().await;
    let store = store();
    let seen = seen_at("own.test", "");
    let seen = Seen { rua: rua.split(',').map(str::to_owned).collect(), ..seen };
    let written = store.write(Locks::none(), move |tx| dmarc_results::record(tx, &seen).map_err(Error::from));
    written.await.expect("written");
    let reporter = reporter(&store, records);
    let dry = reporter.send(DAY, true).await.expect("told").remove(0);
    let line = reporter.send(DAY, false).await.expect("sent").remove(0);
    // Two reports have different names, and so may pack differently.
    let without_size = |said: &str| said.replace(|c: char| c.is_ascii_digit(), "");
    assert_eq!(without_size(&dry.said), without_size(&line.said), "what would be done is done");
    assert_eq!(dry.is_sent, line.is_sent);
    assert_eq!(queued(&store).await, u64::from(line.is_sent));
    line.said.strip_prefix("1 messages, ").expect("how many").to_owned()
}

/// RFC 7489 §7.1: who takes less than the report has gets nothing.
#[tokio::test]
async fn nobody_gets_more_than_they_take() {
    assert_eq!(told("mailto:r@own.test!10m", &[]).await, "to r@own.test");
    assert_eq!(told("mailto:r@own.test!10485760", &[]).await, "to r@own.test");
    let small = told("mailto:r@own.test!1k,mailto:s@own.test", &[]).await;
    assert!(small.starts_with("to s@own.test; not to r@own.test: the report has 1"), "{small}");
    assert!(small.ends_with(" octets, it takes 1024"), "{small}");
    let none = told("mailto:r@own.test!1", &[]).await;
    assert!(none.starts_with("reported to nobody; not to r@own.test: the report has "), "{none}");
}

/// RFC 7489 §7.1: who takes reports about others says where it wants them, at the same host.
#[tokio::test]
async fn who_agrees_says_where() {
    let name = "own.test._report._dmarc.service.test";
    for (record, said) in [
        ("v=DMARC1;", "to r@service.test"),
        ("v=DMARC1; rua=mailto:other@service.test", "to other@service.test"),
        ("v=DMARC1; rua=mailto:a@service.test,mailto:victim@else.test", "to a@service.test"),
        (
            "v=DMARC1; rua=mailto:victim@else.test",
            "reported to nobody: r@service.test: mailto:victim@else.test is wanted instead, and not at service.test",
        ),
        (
            "v=spf1 -all",
            "reported to nobody: r@service.test: own.test._report._dmarc.service.test does not say that it wants them",
        ),
    ] {
        assert_eq!(told("mailto:r@service.test", &[(name, record)]).await, said, "{record}");
    }
    let small = told("mailto:r@service.test", &[(name, "v=DMARC1; rua=mailto:other@service.test!1")]).await;
    assert!(small.starts_with("reported to nobody; not to other@service.test: the report has "), "{small}");
}

/// RFC 8460 §3, §5.4, §5.5: what is put by HTTPS gets there, once, or is tried again for a day.
#[tokio::test(flavor = "multi_thread")]
async fn reports_about_tls_are_put_where_it_is_wanted() {
    let authority = Authority::new();
    let host = PolicyHost::start("127.0.0.1:0".parse().expect("an address"), &authority.issue(&["in.there.test"]), "");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).expect("written");
    for test in [TestStore::memory(TABLES), TestStore::postgres(TABLES)] {
        let now = Arc::new(std::sync::atomic::AtomicI64::new(NOW.0));
        let clock: Clock = {
            let now = Arc::clone(&now);
            Arc::new(move || Timestamp(now.load(std::sync::atomic::Ordering::Relaxed)))
        };
        let dns = Fixed::new()
            .with_txt("_smtp._tls.there.test", "v=TLSRPTv1; rua=https://in.there.test/v1?x=1,mailto:t@there.test")
            .with_address("in.there.test", std::net::Ipv4Addr::LOCALHOST);
        let settings = Settings {
            hostname: "mx.here.test".into(),
            dmarc: true,
            tls: true,
            failures_per_day: 2,
            authorities: Some(file.clone()),
            https_port: host.address().port(),
            allow_loopback: true,
        };
        let reporter = Reporter::new(test.store.clone(), settings, Arc::new(dns), Signing::default(), clock);
        let mut reporter = reporter.expect("TLS");
        reporter.put_within = std::time::Duration::from_secs(2);
        sessions(&test.store, "there.test", 2).await;
        let lines = reporter.send(DAY, false).await.expect("sent");
        assert_eq!(lines[0].said, "2 good and 0 bad sessions, to https://in.there.test/v1?x=1, t@there.test");
        assert_eq!(queued(&test.store).await, 1, "and by mail");

        let before = host.put().len();
        let hours = |from: i64, to: i64| (to - from) / 3_600_000_000;
        // No answer, one that may be better later, a stranger's certificate, none at all: later, each time.
        host.mute(true);
        assert!(
            matches!(reporter.put_one().await, Ok(Some(Put::Later(why))) if why.contains("did not answer within 2 s"))
        );
        assert_eq!(reporter.put_one().await.expect("looked"), None, "not before its time");
        host.mute(false);
        let later = |minutes: i64| now.fetch_add(minutes * 60_000_000, std::sync::atomic::Ordering::Relaxed);
        for (status, minutes) in [("503 Busy", 5), ("429 Too Many", 15), ("408 Late", 45)] {
            host.serve_so(status, "text/plain", "");
            later(minutes);
            let put = reporter.put_one().await.expect("tried");
            assert!(matches!(&put, Some(Put::Later(why)) if why.contains(&status[..3])), "{put:?}");
        }
        host.present(&Authority::new().issue(&["in.there.test"]));
        later(135);
        let put = reporter.put_one().await.expect("tried");
        assert!(matches!(&put, Some(Put::Later(why)) if why.contains("cannot be believed")), "{put:?}");
        host.present(&authority.issue(&["in.there.test"]));
        host.serve_so("201 Created", "text/plain", "thank you");
        later(240);
        assert_eq!(reporter.put_one().await.expect("tried"), Some(Put::There));
        later(24 * 60);
        assert_eq!(reporter.put_one().await.expect("looked"), None, "once");
        let put = host.put().split_off(before);
        assert_eq!(put.len(), 5, "{put:?}");
        let last = put.last().expect("one");
        assert_eq!(last.line, "POST /v1?x=1 HTTP/1.1");
        assert!(
            last.fields.iter().any(|field| field.eq_ignore_ascii_case("content-type: application/tlsrpt+gzip")),
            "{last:?}"
        );
        let files = postroad_mailauth::report::unpack::unpack(&last.body, &Default::default()).expect("gzip");
        let report = postroad_mailauth::report::tls::Report::read(&files[0], &Default::default()).expect("a report");
        assert_eq!((report.policies[0].domain.as_str(), report.policies[0].successes), ("there.test", 2));
        assert!(put.iter().all(|one| one.body == last.body), "always the same report");

        // What is wrong stays wrong: it is not tried again. What is tried for a day is given up.
        for (status, told) in [("410 Gone", "410"), ("302 Found", "302"), ("400 Bad", "400")] {
            host.serve_so(status, "text/plain", "");
            let at = Timestamp(now.load(std::sync::atomic::Ordering::Relaxed));
            put_by_hand(&test.store, "https://in.there.test/", at).await;
            let put = reporter.put_one().await.expect("tried");
            assert!(matches!(&put, Some(Put::Never(why)) if why.contains(told)), "{put:?}");
            assert_eq!(reporter.put_one().await.expect("looked"), None);
        }
        let begun = now.load(std::sync::atomic::Ordering::Relaxed);
        put_by_hand(&test.store, "https://nowhere.test/", Timestamp(begun)).await;
        let mut tries = 0;
        loop {
            match reporter.put_one().await.expect("tried") {
                Some(Put::Later(_)) => tries += 1,
                Some(Put::Never(_)) => break,
                Some(Put::There) => panic!("there is no such host"),
                None => drop(later(5)),
            }
        }
        let spent = hours(begun, now.load(std::sync::atomic::Ordering::Relaxed));
        assert_eq!((tries, spent), (9, 23), "for a day");
    }
}

async fn put_by_hand(store: &Store, url: &'static str, now: Timestamp) {
    let put = store.write(Locks::none(), move |tx| {
        Ok::<_, Error>(postroad_trust::tls_posts::put(tx, "there.test", url, b"packed", now)?)
    });
    assert!(put.await.expect("written").value);
}

/// A failure is told to who asked for it and agreed, in its own words, so often in a day, and to nobody else.
#[tokio::test]
async fn failures_are_told_bounded_and_to_who_agreed() {
    let store = store();
    let waiting = |domain: &str, ruf: &str| Waiting {
        at: NOW,
        domain: domain.into(),
        ruf: ruf.split(',').filter_map(dmarc::Place::parse).collect(),
        feedback: Feedback {
            kind: "auth-failure".into(),
            failure: "dmarc".into(),
            incidents: 1,
            ..Feedback::default()
        },
        original: b"From: boss@own.test\r\n".to_vec(),
        redacted: true,
    };
    let all = [
        waiting("own.test", "mailto:f@own.test"),
        waiting("own.test", "mailto:f@own.test,mailto:victim@else.test"),
        waiting("own.test", "mailto:F@own.test"),
        waiting("evil.test", "mailto:victim@else.test"),
        waiting("agreed.test", "mailto:f@service.test"),
        waiting("small.test", "mailto:f@small.test!10"),
    ];
    let written = store.write(Locks::none(), move |tx| {
        all.iter()
            .try_for_each(|one| failures::wait(tx, one, &[1; failures::SECRET_BYTES]).map(drop))
            .map_err(Error::from)
    });
    written.await.expect("written");
    let reporter = reporter(&store, &[("agreed.test._report._dmarc.service.test", "v=DMARC1")]);
    let mut said = Vec::new();
    while let Some(line) = reporter.tell_one().await.expect("told") {
        said.push(format!("{} {}", line.domain, line.said));
    }
    said.sort();
    let expected = [
        "agreed.test told f@service.test",
        "evil.test told nobody: victim@else.test: evil.test._report._dmarc.else.test does not say that it wants them",
        "own.test told f@own.test",
        "own.test told f@own.test",
        "own.test told nobody: it was told of enough today",
    ];
    assert!(said[5].starts_with("small.test told nobody: who takes less than "), "{said:?}");
    assert_eq!(said[..5], expected);
    assert_eq!(queued(&store).await, 3);
}

#[test]
fn nodes_report_at_different_times() {
    let delays: std::collections::BTreeSet<std::time::Duration> =
        (0..50).map(|seed| delay(seed * 0x1234_5678_9abc, Day(20_000))).collect();
    assert!(delays.len() > 40, "{delays:?}");
    assert!(delays.iter().all(|delay| *delay >= FIRST && *delay < FIRST + SPREAD));
}
