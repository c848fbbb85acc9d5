//! Several nodes, and nodes that die.

use std::sync::Arc;

use postroad_store::Store;
use postroad_testkit::{TestStore, eventually};
use postroad_trust::certificates;
use postroad_web::acme::{Challenge, Settings};

use crate::world::{DAY, HOST, World, go, in_use, line, only_host, sqlite, wait_until_shown};

fn orders(world: &World) -> usize {
    world.pebble.printed().lines().filter(|line| line.contains("orders in the db")).count()
}

#[test]
fn of_two_nodes_on_postgresql_one_orders_and_both_show() {
    let tables = [postroad_mail::MIGRATIONS, postroad_queue::MIGRATIONS, postroad_trust::MIGRATIONS];
    let test = TestStore::postgres(&tables);
    let other = Store::open(test.settings()).expect("a second node");
    go(async {
        let mut world = World::new();
        // The authority looks at one node, also when the other orders.
        let first = world.server(&test.store);
        let second = world.node(&other);
        let settings = world.settings(&[Challenge::Alpn]);
        let one = world.keeper(&test.store, settings.clone(), only_host(), "one");
        let two = world.keeper(&other, settings, only_host(), "two");
        let (one, two) = tokio::join!(one.round(), two.round());
        let (one, two) = (one.expect("a round"), two.expect("a round"));
        assert_eq!(one.issued.len() + two.issued.len(), 1, "{one:?} {two:?}\n{}", world.pebble.printed());
        assert!(one.failed.is_empty() && two.failed.is_empty(), "{one:?} {two:?}");
        assert_eq!(orders(&world), 1, "{}", world.pebble.printed());
        let current = in_use(&first.store, HOST).expect("a certificate");
        wait_until_shown(world.tls, HOST, &current.serial);
        eventually("the certificate on the other node", || {
            let facts = second.certificates.facts(std::time::SystemTime::now());
            facts.first().is_some_and(|facts| facts.names == [HOST]).then_some(())
        });
    });
    other.close();
}

/// Dies once the order is known, before anything came of it: the next life, or another node, goes on with that order.
#[test]
fn an_order_outlives_who_made_it() {
    for (heir, waits) in [("one", false), ("two", true)] {
        go(async {
            let mut world = World::new();
            let test = sqlite();
            // Nobody serves the socket yet: the authority waits for its answer.
            let settings = world.settings(&[Challenge::Http]);
            let dies = Arc::new(world.keeper(&test.store, settings.clone(), only_host(), "one"));
            let task = tokio::spawn({
                let dies = Arc::clone(&dies);
                async move { dies.round().await }
            });
            let store = test.store.clone();
            let looked = tokio::task::spawn_blocking(move || {
                eventually("an order", || {
                    let lines = store.read_blocking(certificates::lines).expect("the tables");
                    lines.into_iter().find_map(|line| line.order)
                })
            });
            let (url, ..) = looked.await.expect("an order");
            task.abort();
            let _ = task.await;
            assert!(in_use(&test.store, HOST).is_none(), "it died too late");
            assert_eq!(line(&test.store, HOST).held.map(|(node, _)| node).as_deref(), Some("one"));

            let _server = world.server(&test.store);
            let next = world.keeper(&test.store, settings.clone(), only_host(), heir);
            if waits {
                let round = next.round().await.expect("a round");
                assert_eq!(round.elsewhere, [HOST], "the dead one may live");
                world.moved.on(Settings::new("").lease + std::time::Duration::from_secs(1));
            }
            let round = next.round().await.expect("a round");
            assert_eq!(round.issued, [HOST], "{round:?}\n{}", world.pebble.printed());
            assert_eq!(orders(&world), 1, "{url} was gone on with\n{}", world.pebble.printed());
            world.moved.on(DAY);
            assert_eq!(next.round().await.expect("a round").issued, [""; 0]);
        });
    }
}
