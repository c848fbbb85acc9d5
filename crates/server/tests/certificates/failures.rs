//! What an authority does not believe.

use postroad_store::Locks;
use postroad_trust::certificates::{self, Wish};
use postroad_web::acme::{Challenge, LOCK, Wanted};

use crate::world::{DAY, HOST, World, go, in_use, line, only_host, sqlite};

#[test]
fn a_name_that_leads_elsewhere_is_told_and_left_out() {
    go(async {
        // Nobody listens at the second name.
        let records = format!("{HOST}. A 127.0.0.1\nelsewhere.example.test. A 127.99.99.99\n");
        let mut world = World::with(&records, |_| {});
        let test = sqlite();
        let _server = world.server(&test.store);
        let wanted = Wanted { more: vec!["elsewhere.example.test".into()], ..only_host() };
        let keeper = world.keeper(&test.store, world.settings(&[Challenge::Http]), wanted, "one");
        let round = keeper.round().await.expect("a round");
        assert_eq!(round.issued, [""; 0]);
        let failed = line(&test.store, HOST);
        assert!(failed.problem.contains("elsewhere.example.test: ") && !failed.problem.contains(HOST), "{failed:?}");
        assert!(failed.next_step.contains("port 80"), "{failed:?}");
        assert_eq!((failed.failures, failed.order.is_none(), failed.held.is_none()), (1, true, true));
        assert!(in_use(&test.store, HOST).is_none());
        // Not at once again: authorities count.
        let round = keeper.round().await.expect("a round");
        assert_eq!((round.issued.len(), round.failed.len()), (0, 0));
        assert_eq!(round.next, Some(failed.not_before));

        world.moved.on(DAY / 24);
        assert_eq!(keeper.round().await.expect("a round").issued, [HOST], "{}", world.pebble.printed());
        assert_eq!(in_use(&test.store, HOST).expect("a certificate").names, [HOST]);
        // Which is no reason to ask again each time.
        let round = keeper.round().await.expect("a round");
        assert_eq!((round.issued.len(), round.failed.len()), (0, 0), "{round:?}");
        // Half a day later it is tried with all names again, now that it leads here.
        world.dns.replace("*.example.test. A 127.0.0.1\n");
        world.moved.on(DAY);
        assert_eq!(keeper.round().await.expect("a round").issued, [HOST]);
        assert_eq!(in_use(&test.store, HOST).expect("a certificate").names.len(), 2);
    });
}

#[test]
fn a_name_without_an_address_is_not_asked_for() {
    go(async {
        let mut world = World::with("example.test. A 127.0.0.1\n", |_| {});
        let test = sqlite();
        let _server = world.server(&test.store);
        let keeper = world.keeper(&test.store, world.settings(&[Challenge::Alpn]), only_host(), "one");
        assert_eq!(keeper.round().await.expect("a round").failed.len(), 1);
        let failed = line(&test.store, HOST);
        assert!(failed.problem.contains("no address in DNS") && failed.next_step.contains("renew"), "{failed:?}");
        assert!(!world.pebble.printed().contains("orders in the db"), "{}", world.pebble.printed());
        world.dns.replace(&format!("{HOST}. A 127.0.0.1\n"));
        let hurry = |tx: &mut postroad_store::WriteTx| certificates::hurry(tx, HOST, Wish::Usual);
        test.store.write_blocking(Locks::named(LOCK), hurry).expect("wished for");
        assert_eq!(keeper.round().await.expect("a round").issued, [HOST], "{}", world.pebble.printed());
    });
}

#[test]
fn after_a_failure_another_way_is_tried() {
    go(async {
        let mut world = World::new();
        let test = sqlite();
        let _server = world.server(&test.store);
        // DNS cannot be changed, so this way leads nowhere.
        let ways = [Challenge::Dns, Challenge::Alpn];
        let keeper = world.keeper(&test.store, world.settings(&ways), only_host(), "one");
        let round = keeper.round().await.expect("a round");
        assert!(round.failed[0].1.contains("DNS-01"), "{round:?}");
        world.moved.on(DAY / 24);
        assert_eq!(keeper.round().await.expect("a round").issued, [HOST], "{}", world.pebble.printed());
    });
}

#[test]
fn an_authority_that_is_away_is_waited_for() {
    go(async {
        let mut world = World::new();
        let test = sqlite();
        let _server = world.server(&test.store);
        let keeper = world.keeper(&test.store, world.settings(&[Challenge::Http]), only_host(), "one");
        world.pebble.stop();
        let mut pauses = Vec::new();
        for _ in 0..3 {
            let now = world.moved.now();
            let round = keeper.round().await.expect("a round");
            assert_eq!(round.failed.len(), 1, "{round:?}");
            let line = line(&test.store, HOST);
            assert!(line.next_step.contains("acme.directory"), "{line:?}");
            pauses.push((line.not_before.0 - now.0) / 60_000_000);
            world.moved.on(DAY);
        }
        assert_eq!(pauses, [15, 30, 60]);
        let accounts = test.store.read_blocking({
            let directory = world.pebble.directory().to_owned();
            move |tx| certificates::account(tx, &directory)
        });
        assert!(accounts.expect("the tables").is_none());
    });
}
