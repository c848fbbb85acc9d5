//! Policies in time: fetched once, kept, expired, renewed, and not asked for again and again.

use std::sync::atomic::{AtomicI64, Ordering};

use postroad_dns::Fixed;
use postroad_store::Timestamp;
use postroad_testkit::certificates::Authority;
use postroad_testkit::{PolicyHost, TestStore};
use postroad_trust::tls_results::FailureKind;

use super::*;
use crate::outbound::tls::Tls;

const HOUR: i64 = 60 * 60 * 1_000_000;
const DAY: i64 = 24 * HOUR;

/// A domain with its web server, on a clock of the test's own.
struct World {
    test: TestStore,
    web: PolicyHost,
    now: Arc<AtomicI64>,
    folder: tempfile::TempDir,
}

impl World {
    fn new(max_age: u32) -> World {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("written");
        let any = "127.0.0.1:0".parse().expect("an address");
        let file = format!("version: STSv1\nmode: enforce\nmx: mx.there.test\nmax_age: {max_age}\n");
        let web = PolicyHost::start(any, &authority.issue(&["mta-sts.there.test"]), &file);
        let test = TestStore::memory(&[postroad_trust::MIGRATIONS]);
        World { test, web, now: Arc::new(AtomicI64::new(1_800_000_000_000_000)), folder }
    }

    /// A node that sees this id in the DNS.
    fn node(&self, id: Option<&str>) -> Sts {
        let mut zone = Fixed::new().with_address("mta-sts.there.test", self.web.address().ip());
        if let Some(id) = id {
            zone = zone.with_txt("_mta-sts.there.test", format!("v=STSv1; id={id};"));
        }
        let dns: Arc<dyn Dns> = Arc::new(zone);
        let now = Arc::clone(&self.now);
        let clock: Clock = Arc::new(move || Timestamp(now.load(Ordering::Relaxed)));
        let https = Https {
            dns: Arc::clone(&dns),
            tls: Tls::new(Some(&self.folder.path().join("ca.pem"))).expect("TLS"),
            port: self.web.address().port(),
            allow_loopback: true,
            sources: Vec::new(),
        };
        Sts::new(self.test.store.clone(), dns, https, clock)
    }

    fn pass(&self, micros: i64) {
        self.now.fetch_add(micros, Ordering::Relaxed);
    }

    fn fetches(&self) -> usize {
        self.web.asked().len()
    }
}

/// The id of the policy that holds, and what went wrong.
async fn holds(sts: &Sts) -> (Option<String>, Option<FailureKind>) {
    let Found { policy, trouble } = sts.find("there.test").await;
    (policy.map(|policy| policy.id.clone()), trouble.map(|broken| broken.kind))
}

fn held(id: &str) -> (Option<String>, Option<FailureKind>) {
    (Some(id.to_owned()), None)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_a_time_fetch_once_and_so_do_many_nodes() {
    let world = World::new(86_400);
    let sts = Arc::new(world.node(Some("1")));
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let sts = Arc::clone(&sts);
        asking.spawn(async move { holds(&sts).await });
    }
    assert!(asking.join_all().await.iter().all(|found| *found == held("1")));
    assert_eq!(holds(&world.node(Some("1"))).await, held("1"));
    assert_eq!(world.fetches(), 1);
    assert_eq!(holds(&world.node(Some("2"))).await, held("2"));
    assert_eq!(world.fetches(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_policy_holds_no_more() {
    let world = World::new(3_600);
    assert_eq!(holds(&world.node(Some("1"))).await, held("1"));
    let (same, other) = (world.node(None), world.node(Some("2")));
    world.web.serve_so("404 Not Found", "text/plain", "");
    world.pass(HOUR - 1);
    assert_eq!(holds(&same).await, held("1"), "to its last moment, without a record");
    assert_eq!(holds(&other).await, (Some("1".into()), Some(FailureKind::StsPolicyFetchError)));
    world.pass(1);
    assert_eq!(holds(&same).await, (None, None));
    assert_eq!(holds(&other).await, (None, Some(FailureKind::StsPolicyFetchError)));
    assert_eq!(holds(&world.node(None)).await, (None, None), "nor for a node that has just started");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_not_asked_for_again_at_once() {
    let world = World::new(3_600);
    let sts = world.node(Some("1"));
    for (status, kind, file, expected) in [
        ("404 Not Found", "text/plain", "", FailureKind::StsPolicyFetchError),
        ("301 Moved", "text/plain", "", FailureKind::StsPolicyFetchError),
        ("200 OK", "text/html", "version: STSv1\nmode: none\nmax_age: 1\n", FailureKind::StsPolicyFetchError),
        ("200 OK", "text/plain", "<html>", FailureKind::StsPolicyInvalid),
    ] {
        world.web.serve_so(status, kind, file);
        let (sts, before) = (world.node(Some("1")), world.fetches());
        for _ in 0..3 {
            assert_eq!(holds(&sts).await, (None, Some(expected)), "{status} {kind}");
        }
        assert_eq!(world.fetches(), before + 1, "{status} {kind}");
    }
    let long = "a".repeat(2 * sts::FILE_MAX);
    world.web.serve(&long);
    assert_eq!(holds(&sts).await, (None, Some(FailureKind::StsPolicyInvalid)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_is_renewed_before_it_expires() {
    let world = World::new(86_400);
    let sts = world.node(Some("1"));
    assert_eq!(holds(&sts).await, held("1"));
    sts.renew().await;
    assert_eq!(world.fetches(), 1, "it is fresh");
    for days in 1..=20 {
        world.pass(DAY / 2 + HOUR);
        sts.renew().await;
        assert_eq!(world.fetches(), 1 + days);
    }
    assert_eq!(holds(&world.node(None)).await, held("1"), "ten days later");
    // A host that is away for a while: what is kept holds.
    world.web.serve_so("500 Oops", "text/plain", "");
    world.pass(DAY / 2 + HOUR);
    sts.renew().await;
    assert_eq!(holds(&world.node(None)).await, held("1"));
    // Where no mail goes any more, it is left to expire.
    let idle = World::new(31_557_600);
    let sts = idle.node(Some("1"));
    assert_eq!(holds(&sts).await, held("1"));
    idle.pass(31 * DAY);
    sts.renew().await;
    assert_eq!(idle.fetches(), 1);
}
