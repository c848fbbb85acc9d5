//! The course of sending: connections used again, destinations that rest, limits, the stop, and another life.

use std::sync::Arc;

use postroad_dns::Fixed;
use postroad_queue as queue;
use postroad_queue::{Ask, Node, State};
use postroad_store::{Locks, Timestamp};
use postroad_testkit::remote::{Deed, Manner, Phase};
use postroad_testkit::{Remote, SharedPort, TestStore, eventually};

use crate::world::{MESSAGE, MIGRATIONS, World, send};

/// `d1.test` at the first host, and so on.
fn zone(port: &SharedPort) -> Fixed {
    (1..=9).fold(Fixed::new(), |zone, number| {
        let (domain, host) = (format!("d{number}.test"), format!("mx.d{number}.test"));
        zone.with_mx(&domain, 10, &host).with_address(&host, port.address(number).ip())
    })
}

fn world(change: impl FnOnce(&mut postroad_mta::outbound::Settings)) -> World {
    World::new(TestStore::sqlite(MIGRATIONS), zone, change)
}

#[test]
fn what_leaves_is_what_came_without_our_line() {
    let world = world(|_| {});
    let remote = Remote::start(world.port.address(1), Manner::default());
    let body = "x".repeat(60).repeat(10) + "\r\n.dot\r\n..\r\n";
    let long = format!("{MESSAGE}{}", body.repeat(2_000));
    world.send(long.as_bytes(), &["bob@d1.test"], |_| {});
    let received = remote.wait_for(1);
    assert_eq!(received[0].text(), long.split_once("\r\n").expect("a first line").1);
    world.send(MESSAGE.as_bytes(), &["bob@d1.test"], |outgoing| {
        outgoing.recipients[0].via = Some("list@us.test".into());
        outgoing.sender = "alice@us.test".into();
        outgoing.envid = Some("envelope 1".into());
        outgoing.recipients[0].orcpt = Some("rfc822;list@us.test".into());
        outgoing.recipients[0].notify = queue::Notify { success: true, failure: true, delay: false };
    });
    let received = remote.wait_for(2);
    let expected = format!("Delivered-To: list@us.test\r\n{}", MESSAGE.split_once("\r\n").expect("a line").1);
    assert_eq!(received[1].text(), expected);
    assert_eq!(received[1].sender(), "alice@us.test");
    assert!(received[1].mail.contains("ENVID=envelope+201"), "{}", received[1].mail);
    assert!(received[1].rcpt[0].contains("NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;list@us.test"), "{:?}", received[1].rcpt);
}

#[test]
fn a_connection_carries_one_message_after_the_other() {
    let world = world(|settings| settings.connections_per_destination = 1);
    let remote = Remote::start(world.port.address(1), Manner::default());
    let sent: Vec<_> = (0..10).map(|_| world.send(MESSAGE.as_bytes(), &["bob@d1.test"], |_| {})).collect();
    sent.iter().for_each(|sent| assert!(world.story(sent, 1)[1].starts_with("sent"), "{:?}", world.story(sent, 1)));
    assert_eq!(remote.ledger().connections.len(), 1);
}

#[test]
fn a_connection_carries_so_many_messages() {
    let world = world(|settings| {
        settings.connections_per_destination = 1;
        settings.messages_per_connection = 2;
    });
    let remote = Remote::start(world.port.address(1), Manner::default());
    let sent: Vec<_> = (0..6).map(|_| world.send(MESSAGE.as_bytes(), &["bob@d1.test"], |_| {})).collect();
    sent.iter().for_each(|sent| drop(world.story(sent, 1)));
    assert_eq!(remote.ledger().connections.len(), 3);
}

/// The host closes what was kept: nobody is told, and no attempt is lost.
#[test]
fn a_connection_that_has_gone_meanwhile_is_made_again() {
    let world = world(|settings| settings.connections_per_destination = 1);
    let remote = Remote::start(world.port.address(1), Manner::default());
    let first = world.send(MESSAGE.as_bytes(), &["bob@d1.test"], |_| {});
    world.story(&first, 1);
    drop(remote);
    let remote = Remote::start(world.port.address(1), Manner::default());
    let second = world.send(MESSAGE.as_bytes(), &["bob@d1.test"], |_| {});
    assert!(world.story(&second, 1)[1].starts_with("sent"), "{:?}", world.story(&second, 1));
    assert_eq!(remote.ledger().connections.len(), 1);
}

#[test]
fn so_many_connections_to_a_destination_and_no_more() {
    let world = world(|settings| settings.connections_per_destination = 3);
    let stalling = Remote::start(world.port.address(1), Manner::of(Phase::Mail, Deed::Stall));
    let moving = Remote::start(world.port.address(2), Manner::default());
    for _ in 0..20 {
        world.send(MESSAGE.as_bytes(), &["bob@d1.test"], |_| {});
    }
    stalling.wait_for_connections(3);
    for _ in 0..5 {
        let sent = world.send(MESSAGE.as_bytes(), &["bob@d2.test"], |_| {});
        assert!(world.story(&sent, 1)[1].starts_with("sent"));
    }
    assert_eq!(moving.ledger().received.len(), 5, "others go on");
    assert_eq!(stalling.ledger().connections.len(), 3);
}

#[test]
fn a_destination_that_is_down_rests_and_comes_back() {
    let world = world(|_| {});
    let first = world.send(MESSAGE.as_bytes(), &["bob@d1.test"], |_| {});
    assert!(world.story(&first, 1)[1].contains("connection refused"));
    let blocked = world.destinations();
    assert_eq!((blocked.len(), blocked[0].domain.as_str(), blocked[0].failures), (1, "d1.test", 1));
    // What comes now is not tried: it waits behind the destination.
    let second = world.send(MESSAGE.as_bytes(), &["bob@d1.test"], |_| {});
    let remote = Remote::start(world.port.address(1), Manner::default());
    let order = |tx: &mut postroad_store::WriteTx| queue::retry(tx, &queue::Which::All, None, Timestamp::now());
    eventually("both", || {
        world.test.store.write_blocking(Locks::none(), order).expect("an order");
        (remote.ledger().received.len() == 2).then_some(())
    });
    assert!(world.story(&second, 1).last().is_some_and(|line| line.starts_with("sent")));
    eventually("the recovery", || world.destinations().is_empty().then_some(()));
    eventually("the end", || (world.waiting() == 0).then_some(()));
}

/// RFC 5321 §4.5.3.2.6: what was begun may end; what cannot is given back, and the next life takes it up.
#[test]
fn a_stop_ends_what_it_can_and_gives_the_rest_back() {
    let mut first = world(|_| {});
    let stalling = Remote::start(first.port.address(1), Manner::of(Phase::Data, Deed::Stall));
    let sent = first.send(MESSAGE.as_bytes(), &["bob@d1.test"], |_| {});
    stalling.wait_for_connections(1);
    eventually("MAIL", || stalling.look(|ledger| ledger.connections[0].commands.len() > 3).then_some(()));
    first.stop();
    let store = first.test.store.clone();
    let id = sent.id;
    let shown = store.read_blocking(move |tx| queue::show(tx, id)).expect("it can be read").expect("it is there");
    assert_eq!((shown.recipients[0].state, shown.recipients[0].attempts), (State::Waiting, 0));
    drop(stalling);
}

/// What an earlier life of the node has claimed and did not record is tried again, at once.
#[test]
fn what_a_crash_cut_off_is_tried_again() {
    let test = TestStore::sqlite(MIGRATIONS);
    let sent = send(&test, MESSAGE.as_bytes(), &["bob@d1.test"], |_| {});
    let claimed = test.store.write_blocking(Locks::none(), |tx| {
        let (node, now) = (Node::new("node"), Timestamp::now());
        queue::recover(tx, &node, now)?;
        let ask =
            Ask { node: &node, now, jobs: 10, jobs_per_destination: 10, recipients_per_job: 10, crowded: &[], turn: 0 };
        queue::claim(tx, &ask)
    });
    assert_eq!(claimed.expect("a claim").value.len(), 1);
    let port = SharedPort::find();
    let remote = Remote::start(port.address(1), Manner::default());
    let dns = Arc::new(zone(&port));
    let world = World::with(test, port, dns, |_| {});
    remote.wait_for(1);
    assert!(world.story(&sent, 1)[1].starts_with("sent"));
}

/// Messages that wait already when sending begins, and the host that they are for.
fn waiting_world(
    manner: Manner,
    to: &[String],
    zone: impl FnOnce(&SharedPort) -> Fixed,
    change: impl FnOnce(&mut postroad_mta::outbound::Settings),
) -> (World, Remote) {
    let test = TestStore::sqlite(MIGRATIONS);
    for to in to {
        send(&test, MESSAGE.as_bytes(), &[to], |_| {});
    }
    let port = SharedPort::find();
    let remote = Remote::start(port.address(1), manner);
    let dns = Arc::new(zone(&port));
    (World::with(test, port, dns, change), remote)
}

/// However much waits for it: a destination that does not work is asked by a few, and then rests.
#[test]
fn a_destination_that_does_not_work_is_not_asked_again_and_again() {
    let busy = Manner::of(Phase::Connect, Deed::SayAndClose(b"421 4.3.2 busy\r\n".to_vec()));
    let to = vec!["bob@d1.test".to_owned(); 60];
    let (world, remote) = waiting_world(busy, &to, zone, |settings| settings.connections_per_destination = 2);
    eventually("a rest", || world.destinations().iter().any(|destination| destination.failures > 0).then_some(()));
    // Mail for others is what the dispatcher has gone round with.
    let other = Remote::start(world.port.address(2), Manner::default());
    for _ in 0..5 {
        let sent = world.send(MESSAGE.as_bytes(), &["bob@d2.test"], |_| {});
        assert!(world.story(&sent, 1)[1].starts_with("sent"));
    }
    drop(other);
    let asked = remote.ledger().connections.len();
    assert!(asked <= 4, "{asked} connections");
}

/// Hosts that have had enough of a connection say so when the next message comes: 421 to MAIL. No attempt is lost.
#[test]
fn a_kept_connection_that_has_carried_enough_is_made_again() {
    let world = world(|settings| settings.connections_per_destination = 1);
    let remote = Remote::start(world.port.address(1), Manner::default());
    let first = world.send(MESSAGE.as_bytes(), &["bob@d1.test"], |_| {});
    world.story(&first, 1);
    remote.behave_next([Manner::default()]);
    remote.behave(Manner::of(Phase::Mail, Deed::SayAndClose(b"421 4.7.0 too many messages\r\n".to_vec())));
    let second = world.send(MESSAGE.as_bytes(), &["bob@d1.test"], |_| {});
    assert!(world.story(&second, 1)[1].starts_with("sent"), "{:?}", world.story(&second, 1));
    assert_eq!(remote.ledger().connections.len(), 2);
}

/// A host that takes one message for each connection, a few recipients at a time: the others' turn comes at once, and at
/// the same host.
#[test]
fn a_host_that_takes_little_at_a_time_gets_it_all_in_one_attempt() {
    let zone = |port: &SharedPort| zone(port).with_mx("d1.test", 20, "mx.d2.test");
    let world = World::new(TestStore::sqlite(MIGRATIONS), zone, |_| {});
    let remote = Remote::start(world.port.address(1), Manner::default().offering(&["LIMITS MAILMAX=1 RCPTMAX=2"]));
    let other = Remote::start(world.port.address(2), Manner::default());
    let to: Vec<String> = (0..5).map(|number| format!("bob{number}@d1.test")).collect();
    let sent = world.send(MESSAGE.as_bytes(), &to.iter().map(String::as_str).collect::<Vec<_>>(), |_| {});
    let story = world.story(&sent, 5);
    let kinds: Vec<&str> = story.iter().map(|line| line.split(':').next().unwrap_or_default()).collect();
    assert_eq!(kinds, ["attempt", "sent", "sent", "sent", "sent", "sent"], "{story:?}");
    assert_eq!((remote.ledger().connections.len(), other.ledger().connections.len()), (3, 0));
}
