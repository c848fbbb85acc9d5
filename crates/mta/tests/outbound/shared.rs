//! Many domains at one host: they share its connections, their number, and what is known of it.

use std::sync::Arc;
use std::time::Duration;

use postroad_dns::Fixed;
use postroad_mta::outbound::Settings;
use postroad_queue as queue;
use postroad_queue::{RouteTls, State};
use postroad_store::{Locks, Timestamp};
use postroad_testkit::remote::{Deed, Manner, Phase};
use postroad_testkit::{Remote, SharedPort, TestStore, eventually};

use crate::world::{MESSAGE, MIGRATIONS, Sent, World, send};

const DOMAINS: usize = 100;

/// `c0.test` and so on at the first host, each by a name of its own; `other.test` at the second; `backed.test` at the first
/// and, liked less, at the third.
fn zone(port: &SharedPort) -> Fixed {
    let zone = (0..DOMAINS).fold(Fixed::new(), |zone, number| {
        let (domain, host) = (format!("c{number}.test"), format!("c{number}.provider.test"));
        zone.with_mx(&domain, 10, &host).with_address(&host, port.address(1).ip())
    });
    zone.with_mx("other.test", 10, "mx.other.test")
        .with_address("mx.other.test", port.address(2).ip())
        .with_mx("backed.test", 10, "first.backed.test")
        .with_mx("backed.test", 20, "second.backed.test")
        .with_address("first.backed.test", port.address(1).ip())
        .with_address("second.backed.test", port.address(3).ip())
}

/// A message for each domain, which wait already when sending begins.
fn waiting_world(manner: Option<Manner>, change: impl FnOnce(&mut Settings)) -> (World, Option<Remote>, Vec<Sent>) {
    let test = TestStore::sqlite(MIGRATIONS);
    let sent = (0..DOMAINS).map(|number| send(&test, MESSAGE.as_bytes(), &[&format!("bob@c{number}.test")], |_| {}));
    let sent = sent.collect();
    let port = SharedPort::find();
    let remote = manner.map(|manner| Remote::start(port.address(1), manner));
    let dns = Arc::new(zone(&port));
    (World::with(test, port, dns, change), remote, sent)
}

fn attempts(world: &World, sent: &[Sent]) -> Vec<u64> {
    let ids: Vec<_> = sent.iter().map(|sent| sent.id).collect();
    let shown = world
        .test
        .store
        .read_blocking(move |tx| ids.iter().map(|id| queue::show(tx, *id)).collect::<Result<Vec<_>, queue::Error>>());
    shown.expect("it can be read").into_iter().flatten().map(|shown| shown.recipients[0].attempts).collect()
}

fn retry_all(world: &World) {
    let order = |tx: &mut postroad_store::WriteTx| queue::retry(tx, &queue::Which::All, None, Timestamp::now());
    world.test.store.write_blocking(Locks::none(), order).expect("an order");
}

#[test]
fn a_host_has_so_many_connections_whatever_domains_it_is_for() {
    let (world, remote, _) = waiting_world(Some(Manner::default()), |settings| settings.connections_per_host = 3);
    let remote = remote.expect("it was started");
    remote.wait_for(DOMAINS);
    eventually("the end", || (world.waiting() == 0).then_some(()));
    // They use each other's connections, which were made for other names at the same address.
    let connections = remote.ledger().connections.len();
    assert!(connections <= 3, "{connections} connections");
}

/// Many domains at one provider that is stuck: a few find that out, and the others neither take its places nor are
/// charged an attempt.
#[test]
fn a_host_that_is_stuck_is_tried_by_a_few_for_all_of_its_domains() {
    let (world, remote, sent) = waiting_world(Some(Manner::of(Phase::Connect, Deed::Stall)), |settings| {
        (settings.concurrency, settings.connections_per_destination) = (8, 2);
        settings.patience.greeting = Duration::from_secs(2);
    });
    let remote = remote.expect("it was started");
    remote.wait_for_connections(2);
    let other = Remote::start(world.port.address(2), Manner::default());
    let quick = world.send(MESSAGE.as_bytes(), &["bob@other.test"], |_| {});
    assert!(world.story(&quick, 1)[1].starts_with("sent"), "others go on");
    eventually("a rest of all", || (world.destinations().len() == DOMAINS).then_some(()));
    let asked = remote.ledger().connections.len();
    // Five at a time until three have failed: who comes in between takes the place of one that has.
    assert!(asked <= 5 + 2, "{asked} connections");
    let attempts = attempts(&world, &sent);
    assert_eq!((attempts.len(), attempts.iter().sum::<u64>()), (DOMAINS, asked as u64));
    drop(other);
}

/// Nobody listens: it is known after three, the rest hear why, and when it is back one finds out for all.
#[test]
fn what_a_host_that_is_down_said_is_told_to_all_and_one_finds_out_that_it_is_back() {
    let (world, _, sent) = waiting_world(None, |settings| settings.concurrency = 4);
    eventually("a rest of all", || (world.destinations().len() == DOMAINS).then_some(()));
    let tried = attempts(&world, &sent).iter().filter(|attempts| **attempts > 0).count();
    assert!((3..=5).contains(&tried), "{tried} tried");
    for destination in world.destinations() {
        assert!(destination.why.is_some_and(|why| why.contains("connection refused")));
    }
    for sent in &sent {
        let story = world.story(sent, 1);
        assert!(story.last().is_some_and(|line| line.contains("connection refused")), "{story:?}");
    }
    // Liked less, but it works: it is asked without a try at the first.
    let second = Remote::start(world.port.address(3), Manner::default());
    let backed = world.send(MESSAGE.as_bytes(), &["bob@backed.test"], |_| {});
    let story = world.story(&backed, 1);
    assert!(story[0].contains("second.backed.test at ") && story[1].starts_with("sent"), "{story:?}");
    drop(second);
}

#[test]
fn a_host_that_gets_through_again_gets_the_mail_of_all() {
    let (world, remote, _) = waiting_world(Some(Manner::saying(Phase::Mail, "421 4.3.2 later")), |settings| {
        settings.concurrency = 4;
    });
    let remote = remote.expect("it was started");
    eventually("a few tries", || remote.look(|ledger| ledger.connections.len() > 3).then_some(()));
    remote.behave(Manner::default());
    eventually("all of it", || {
        retry_all(&world);
        (world.waiting() == 0).then_some(())
    });
    assert_eq!(remote.ledger().received.len(), DOMAINS);
}

/// A route for everything has what its host may have, and not what a destination may.
#[test]
fn a_route_gets_the_throughput_of_its_host() {
    let test = TestStore::sqlite(MIGRATIONS);
    let world = World::new(test, zone, |settings| {
        (settings.connections_per_destination, settings.connections_per_host) = (1, 4);
    });
    let remote = Remote::start(world.port.address(1), Manner::default());
    world.route("*", world.port.address(1).ip().to_string(), RouteTls::None, |_| {});
    world.send(MESSAGE.as_bytes(), &["bob@behind.test"], |_| {});
    remote.wait_for(1);
    remote.behave(Manner::of(Phase::Mail, Deed::Stall));
    for _ in 0..12 {
        world.send(MESSAGE.as_bytes(), &["bob@behind.test"], |_| {});
    }
    remote.wait_for_connections(4);
    let other = Remote::start(world.port.address(2), Manner::default());
    world.route("other.test", world.port.address(2).ip().to_string(), RouteTls::None, |_| {});
    let sent = world.send(MESSAGE.as_bytes(), &["bob@other.test"], |_| {});
    assert!(world.story(&sent, 1)[1].starts_with("sent"), "others go on");
    assert_eq!(remote.ledger().connections.len(), 4);
    drop(other);
}

/// Another protection is another connection, and one that is in the way is ended for it.
#[test]
fn what_is_asked_of_a_connection_is_not_shared() {
    let test = TestStore::sqlite(MIGRATIONS);
    let world = World::new(test, zone, |settings| {
        settings.connections_per_host = 1;
        settings.idle = Duration::from_secs(60);
    });
    let remote = Remote::start(world.port.address(1), Manner::default());
    let host = || world.port.address(1).ip().to_string();
    world.route("c1.test", host(), RouteTls::None, |_| {});
    world.route("c2.test", host(), RouteTls::None, |_| {});
    world.route("c3.test", host(), RouteTls::Opportunistic, |_| {});
    for (domain, connections) in [("c1.test", 1), ("c2.test", 1), ("c3.test", 2), ("c1.test", 3)] {
        let sent = world.send(MESSAGE.as_bytes(), &[&format!("bob@{domain}")], |_| {});
        assert!(world.story(&sent, 1)[1].starts_with("sent"), "{domain}");
        assert_eq!(remote.ledger().connections.len(), connections, "{domain}");
    }
}

/// An order that comes while an attempt is being made is not lost.
#[test]
fn retry_is_meant_for_what_is_being_sent_too() {
    let test = TestStore::sqlite(MIGRATIONS);
    let world = World::new(test, zone, |settings| settings.patience.command = Duration::from_secs(2));
    let remote = Remote::start(world.port.address(2), Manner::default());
    remote.behave_next([Manner::of(Phase::Mail, Deed::Stall)]);
    let sent = world.send(MESSAGE.as_bytes(), &["bob@other.test"], |_| {});
    remote.wait_for_connections(1);
    let id = sent.id;
    eventually("the claim", || {
        let shown = world.test.store.read_blocking(move |tx| queue::show(tx, id)).expect("it can be read")?;
        (shown.recipients[0].state == State::Claimed).then_some(())
    });
    retry_all(&world);
    let story = world.story(&sent, 2);
    assert!(story[1].starts_with("deferred") && story.last().is_some_and(|line| line.starts_with("sent")), "{story:?}");
}
