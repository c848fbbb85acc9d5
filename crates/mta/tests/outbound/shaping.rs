//! How fast and from where mail leaves: what was set holds for all hosts of a group, and what hosts say is heard.

use std::collections::BTreeSet;
use std::time::Duration;

use postroad_dns::Fixed;
use postroad_queue as queue;
use postroad_queue::shaping::{self, By, Choice, Egress, Limit};
use postroad_queue::suppression::{self, Rule};
use postroad_store::{AccountId, Locks, Timestamp, WriteTx};
use postroad_testkit::remote::{Manner, Phase};
use postroad_testkit::{Remote, TestStore, eventually};

use crate::world::{MESSAGE, MIGRATIONS, World};

/// Nine domains at one provider, whose hosts are `mx1.big.test` and so on.
fn world() -> World {
    let zone = |port: &postroad_testkit::SharedPort| {
        (1..=9).fold(Fixed::new(), |zone, number| {
            let (domain, host) = (format!("d{number}.test"), format!("mx{number}.big.test"));
            zone.with_mx(&domain, 10, &host).with_address(&host, port.address(number).ip())
        })
    };
    World::new(TestStore::sqlite(MIGRATIONS), zone, |_| {})
}

fn write(world: &World, change: impl FnOnce(&mut WriteTx) -> queue::Result<()> + Send + 'static) {
    world.test.store.write_blocking(Locks::none(), change).expect("it is written");
}

fn limit(pattern: &str) -> Limit {
    Limit { pattern: pattern.into(), connections: None, per_connection: None, per_minute: None, recipients: None }
}

fn egress(address: &str, pool: &str, helo: Option<&str>) -> Egress {
    let address = address.parse().expect("an address");
    let (helo, added) = (helo.map(str::to_owned), Timestamp::now());
    Egress { address, pool: pool.into(), weight: 1, helo, warm_since: None, added }
}

#[test]
fn what_is_set_for_hosts_holds_for_their_domains() {
    let world = world();
    let limit = Limit { per_connection: Some(2), recipients: Some(1), ..limit(".big.test") };
    write(&world, move |tx| shaping::set_limit(tx, &limit));
    let remote = Remote::start(world.port.address(1), Manner::default());
    let sent = world.send(MESSAGE.as_bytes(), &["a@d1.test", "b@d1.test", "c@d1.test"], |_| {});
    world.story(&sent, 3);
    let ledger = remote.ledger();
    assert_eq!(ledger.received.iter().map(|one| one.rcpt.len()).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(ledger.connections.len(), 2);
}

#[test]
fn mail_leaves_from_the_pool_of_its_sender_under_its_name() {
    let world = world();
    write(&world, |tx| {
        shaping::set_egress(tx, &egress("127.77.0.1", "default", None))?;
        shaping::set_egress(tx, &egress("127.77.0.2", "bulk", Some("two.us.test")))?;
        shaping::set_egress(tx, &egress("127.77.0.3", "bulk", Some("two.us.test")))?;
        shaping::set_choice(tx, &Choice { by: By::Domain, name: "news.test".into(), pool: "bulk".into() })
    });
    let remote = Remote::start(world.port.address(1), Manner::default());
    let sent = world.send(MESSAGE.as_bytes(), &["bob@d1.test"], |_| {});
    assert!(world.story(&sent, 1).iter().any(|line| line.contains("it leaves from 127.77.0.1 (pool default)")));
    for _ in 0..12 {
        let bulk = |outgoing: &mut queue::Outgoing| outgoing.sender = "list@news.test".into();
        world.story(&world.send(MESSAGE.as_bytes(), &["bob@d1.test"], bulk), 1);
    }
    let ledger = remote.ledger();
    let from = |number: usize| ledger.connections[number].from.expect("an address").ip().to_string();
    assert_eq!(from(0), "127.77.0.1");
    let others: BTreeSet<String> = (1..ledger.connections.len()).map(from).collect();
    assert!(others.iter().all(|one| one == "127.77.0.2" || one == "127.77.0.3"), "{others:?}");
    let hello = ledger.connections[1].commands.iter().find(|line| line.starts_with("EHLO")).expect("EHLO");
    assert_eq!(hello, "EHLO two.us.test");
}

#[test]
fn a_host_that_has_too_much_is_left_alone_by_all_of_its_domains() {
    let world = world();
    let limit = Limit { connections: Some(9), ..limit(".big.test") };
    write(&world, move |tx| shaping::set_limit(tx, &limit));
    let _full = Remote::start(world.port.address(1), Manner::saying(Phase::Mail, "450 4.7.28 Too much mail from you"));
    let other = Remote::start(world.port.address(2), Manner::default());
    let told = world.story(&world.send(MESSAGE.as_bytes(), &["bob@d1.test"], |_| {}), 1);
    assert!(told.iter().any(|line| line.contains("is spoken with more slowly now")), "{told:?}");
    world.send(MESSAGE.as_bytes(), &["bob@d2.test"], |_| {});
    let resting =
        eventually("the other domain waits", || world.destinations().into_iter().find(|one| one.domain == "d2.test"));
    assert!(resting.failures == 0 && resting.not_before > Timestamp::now(), "{resting:?}");
    assert_eq!(other.ledger().received.len(), 0, "the same provider");
}

#[test]
fn who_does_not_exist_is_remembered_for_who_wrote() {
    let world = world();
    let rule = Rule { failures: 1, apart: Duration::ZERO, lasts: Duration::from_secs(3600) };
    write(&world, move |tx| suppression::set_rule(tx, "us.test", Some(rule)));
    let refusing = Manner::default().refusing("gone@d1.test", "550 5.1.1 No such user here");
    let _remote = Remote::start(world.port.address(1), refusing);
    let ours = |outgoing: &mut queue::Outgoing| {
        outgoing.sender = "alice@us.test".into();
        outgoing.account = Some(AccountId(7));
    };
    let known = |address: &'static str| {
        let looked = world.test.store.read_blocking(move |tx| suppression::show(tx, address));
        looked.expect("it can be read").len()
    };
    let forwarded = world.send(MESSAGE.as_bytes(), &["gone@d1.test"], |outgoing| {
        ours(outgoing);
        outgoing.recipients[0].via = Some("list@us.test".into());
    });
    world.story(&forwarded, 1);
    assert_eq!(known("gone@d1.test"), 0, "what is forwarded is not written by us");
    let sent = world.send(MESSAGE.as_bytes(), &["gone@d1.test", "bob@d1.test"], ours);
    let told = world.story(&sent, 2);
    assert!(told.iter().any(|line| line.starts_with("suppressed: gone@d1.test")), "{told:?}");
    assert_eq!((known("gone@d1.test"), known("bob@d1.test")), (1, 0));
}

/// What was taken in before is not tried any more when its recipient comes onto the list; the others of the message are.
#[test]
fn what_waits_for_who_is_suppressed_meanwhile_is_not_tried() {
    let world = world();
    write(&world, |tx| {
        let rule = Rule { failures: 1, apart: Duration::ZERO, lasts: Duration::from_secs(3600) };
        suppression::set_rule(tx, "us.test", Some(rule))?;
        let now = Timestamp::now();
        suppression::refused(tx, "news@us.test", "gone@d1.test", "550 5.1.1 No such user", "q1", now).map(|_| ())
    });
    let remote = Remote::start(world.port.address(1), Manner::default());
    let ours = |outgoing: &mut queue::Outgoing| {
        (outgoing.sender, outgoing.account) = ("news@us.test".into(), Some(AccountId(1)));
    };
    let sent = world.send(MESSAGE.as_bytes(), &["Gone@d1.test", "bob@d1.test"], ours);
    let told = world.story(&sent, 2);
    let failed = told.iter().find(|line| line.starts_with("failed: Gone@d1.test")).expect("it is told");
    assert!(
        failed.contains("does not exist") && failed.contains("postroad suppression remove gone@d1.test"),
        "{failed}"
    );
    assert!(told.iter().any(|line| line.starts_with("sent: bob@d1.test")), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("notice: ")), "its sender is told: {told:?}");
    // What another domain sends, what is forwarded and what nobody of ours wrote goes on.
    let others: [fn(&mut queue::Outgoing); 3] = [
        |outgoing| (outgoing.sender, outgoing.account) = ("a@them.test".into(), Some(AccountId(2))),
        |outgoing| {
            (outgoing.sender, outgoing.account) = ("news@us.test".into(), Some(AccountId(1)));
            outgoing.recipients[0].via = Some("list@us.test".into());
        },
        |outgoing| outgoing.sender = "news@us.test".into(),
    ];
    for change in others {
        let told = world.story(&world.send(MESSAGE.as_bytes(), &["gone@d1.test"], change), 1);
        assert!(told.iter().any(|line| line.starts_with("sent: gone@d1.test")), "{told:?}");
    }
    let rcpt: Vec<usize> = remote.ledger().received.iter().map(|one| one.rcpt.len()).collect();
    assert_eq!(rcpt, [1, 1, 1, 1]);
    let alone = world.send(MESSAGE.as_bytes(), &["gone@d1.test"], ours);
    assert!(world.story(&alone, 1).iter().any(|line| line.starts_with("failed: gone@d1.test")));
    assert_eq!(remote.ledger().received.len(), 4);
}

/// A domain whose exchanger has the name of one of our addresses leads back to us, whatever address that name has.
#[test]
fn names_of_egress_addresses_are_our_own() {
    let zone = |port: &postroad_testkit::SharedPort| {
        Fixed::new().with_mx("loop.test", 10, "out2.us.test").with_address("out2.us.test", port.address(1).ip())
    };
    let world = World::new(TestStore::sqlite(MIGRATIONS), zone, |_| {});
    write(&world, |tx| shaping::set_egress(tx, &egress("127.77.0.1", "default", Some("Out2.us.test"))));
    let remote = Remote::start(world.port.address(1), Manner::default());
    let told = world.story(&world.send(MESSAGE.as_bytes(), &["bob@loop.test"], |_| {}), 1);
    assert!(
        told.iter().any(|line| line.starts_with("failed: bob@loop.test") && line.contains("this server")),
        "{told:?}"
    );
    assert!(remote.ledger().connections.is_empty());
}
