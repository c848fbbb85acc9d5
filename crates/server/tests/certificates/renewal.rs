//! Certificates run out, are revoked, and get new keys.

use postroad_store::Locks;
use postroad_trust::certificates::{self, CertificateState, Wish};
use postroad_web::acme::{Challenge, LOCK, renew_at, tlsa};

use crate::world::{DAY, HOST, World, go, in_use, only_host, spki, sqlite, wait_until_shown};

#[test]
fn renewed_when_a_third_is_left_with_the_same_key_and_shown_at_once() {
    go(async {
        let mut world = World::new();
        let test = sqlite();
        let _server = world.server(&test.store);
        let keeper = world.keeper(&test.store, world.settings(&[Challenge::Alpn]), only_host(), "one");
        keeper.round().await.expect("a round");
        let first = in_use(&test.store, HOST).expect("a certificate");
        let keys = spki(&test.store, HOST);
        wait_until_shown(world.tls, HOST, &first.serial);

        world.moved.on(DAY * 56);
        assert_eq!(keeper.round().await.expect("a round").issued, [""; 0], "it is not time yet");
        assert!(renew_at(&first) > world.moved.now());
        world.moved.on(DAY * 4);
        assert_eq!(keeper.round().await.expect("a round").issued, [HOST]);
        let second = in_use(&test.store, HOST).expect("a certificate");
        assert_ne!(second.serial, first.serial);
        assert_eq!(spki(&test.store, HOST), keys, "TLSA records stay as they are");
        wait_until_shown(world.tls, HOST, &second.serial);
    });
}

#[test]
fn a_revoked_one_is_replaced() {
    go(async {
        let mut world = World::new();
        let test = sqlite();
        let _server = world.server(&test.store);
        let keeper = world.keeper(&test.store, world.settings(&[Challenge::Http]), only_host(), "one");
        keeper.round().await.expect("a round");
        let first = in_use(&test.store, HOST).expect("a certificate");
        let keys = spki(&test.store, HOST);
        assert_eq!(world.pebble.status(&first.serial), "Valid");

        let id = first.id;
        let compromise = 1;
        test.store
            .write_blocking(Locks::named(LOCK), move |tx| certificates::revoke(tx, id, compromise))
            .expect("marked");
        let round = keeper.round().await.expect("a round");
        assert_eq!((round.revoked, round.issued), (1, vec![HOST.to_owned()]), "{}", world.pebble.printed());
        assert_eq!(world.pebble.status(&first.serial), "Revoked");
        let second = in_use(&test.store, HOST).expect("a certificate");
        let there = test.store.read_blocking(certificates::certificates).expect("the tables");
        let states: Vec<_> = there.iter().map(|one| (one.serial.clone(), one.state)).collect();
        assert!(states.contains(&(first.serial.clone(), CertificateState::Revoked)), "{states:?}");
        wait_until_shown(world.tls, HOST, &second.serial);
        // The key that others may have is used no more: the next one, whose record was published before, is.
        assert_eq!(spki(&test.store, HOST)[0], keys[1]);
    });
}

#[test]
fn one_that_has_run_out_is_replaced() {
    go(async {
        let mut world = World::with("*.example.test. A 127.0.0.1\n", |habits| habits.valid_seconds = 60);
        let test = sqlite();
        let _server = world.server(&test.store);
        let keeper = world.keeper(&test.store, world.settings(&[Challenge::Http]), only_host(), "one");
        keeper.round().await.expect("a round");
        let first = in_use(&test.store, HOST).expect("a certificate");
        world.moved.on(DAY);
        assert!(first.not_after < world.moved.now());
        let round = keeper.round().await.expect("a round");
        assert_eq!(round.issued, [HOST], "{round:?}");
        assert_ne!(in_use(&test.store, HOST).expect("a certificate").serial, first.serial);
    });
}

/// RFC 7671 §8.4: senders that go by TLSA records never meet a key that they have not heard of.
#[test]
fn a_new_key_waits_until_dns_shows_it() {
    go(async {
        let mut world = World::new();
        let test = sqlite();
        let _server = world.server(&test.store);
        let keeper = world.keeper(&test.store, world.settings(&[Challenge::Http]), only_host(), "one");
        keeper.round().await.expect("a round");
        keeper.round().await.expect("the next key is made");
        let records = test.store.read_blocking(|tx| tlsa(tx, HOST)).expect("keys");
        let [current, next] = &spki(&test.store, HOST)[..] else { panic!("two keys: {records:?}") };
        assert_eq!(records.iter().map(|one| &one.data).collect::<Vec<_>>(), [current, next]);
        assert!(records.iter().all(|one| (one.usage, one.selector, one.matching) == (3, 1, 1)));

        let publish = |world: &mut World, keys: &[&Vec<u8>], ttl: u32| {
            let hex = |key: &Vec<u8>| key.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let lines: Vec<String> =
                keys.iter().map(|key| format!("_25._tcp.{HOST}. {ttl} TLSA 3 1 1 {}\n", hex(key))).collect();
            world.dns.replace(&format!("{HOST}. A 127.0.0.1\n{}", lines.concat()));
        };
        let wish = || {
            let hurry = |tx: &mut postroad_store::WriteTx| certificates::hurry(tx, HOST, Wish::NewKey);
            test.store.write_blocking(Locks::named(LOCK), hurry).expect("wished for");
        };
        // Only the current one is published: it stays, and the certificate is renewed with it.
        publish(&mut world, &[current], 0);
        wish();
        assert_eq!(keeper.round().await.expect("a round").issued, [HOST]);
        assert_eq!(&spki(&test.store, HOST)[0], current);
        // Both are, but those who keep answers have not seen it.
        publish(&mut world, &[current, next], 3600);
        wish();
        assert_eq!(keeper.round().await.expect("a round").issued, [HOST]);
        assert_eq!(&spki(&test.store, HOST)[0], current);
        // Twice the records' lifetime has passed.
        world.moved.on(DAY / 10);
        wish();
        assert_eq!(keeper.round().await.expect("a round").issued, [HOST]);
        assert_eq!(&spki(&test.store, HOST)[0], next);
    });
}
