//! Signing keys from their making to their end, by a clock that the test turns, on both databases.

use std::time::Duration;

use postroad_store::{Locks, Store, Timestamp};
use postroad_testkit::TestStore;
use postroad_trust::keys::{self, Algorithm, Event, Finding, Found, Key, NewKey, Policy, State};

const DOMAIN: &str = "example.test";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// 2026-11-22.
const START: Timestamp = Timestamp(1_795_305_600_000_000);

fn stores() -> [TestStore; 2] {
    [TestStore::sqlite(&[postroad_trust::MIGRATIONS]), TestStore::postgres(&[postroad_trust::MIGRATIONS])]
}

fn new_key(algorithm: Algorithm, number: u8) -> NewKey {
    NewKey { algorithm, pkcs8: vec![number; 8], record: format!("v=DKIM1; k={}; p=AAA{number}", algorithm.name()) }
}

fn put(store: &Store, keys: Vec<NewKey>, now: Timestamp) -> Vec<Key> {
    let job = move |tx: &mut postroad_store::WriteTx| keys::put(tx, DOMAIN, &keys, now);
    store.write_blocking(Locks::named(&keys::lock(DOMAIN)), job).expect("they are put").value
}

/// Looks at all keys; the DNS has the records of those selectors.
fn look(store: &Store, published: &[&str], policy: Policy, now: Timestamp) -> Vec<String> {
    let findings: Vec<Finding> = all(store)
        .iter()
        .filter(|key| key.state.wants_record())
        .map(|key| {
            let found = if published.contains(&key.selector.as_str()) { Found::Good } else { Found::Missing };
            Finding { key: key.id, found }
        })
        .collect();
    write_down(store, findings, policy, now)
}

fn write_down(store: &Store, findings: Vec<Finding>, policy: Policy, now: Timestamp) -> Vec<String> {
    let job = move |tx: &mut postroad_store::WriteTx| keys::record_look(tx, DOMAIN, &findings, &policy, now);
    let events = store.write_blocking(Locks::named(&keys::lock(DOMAIN)), job).expect("it is recorded").value;
    let words = |event: &Event| match event {
        Event::Published(key) => format!("published {}", key.selector),
        Event::Active(key) => format!("active {}", key.selector),
        Event::Retired(key) => format!("retired {}", key.selector),
        Event::Gone(key) => format!("gone {}", key.selector),
        Event::Wrong(key) => format!("wrong {}", key.selector),
        Event::Right(key) => format!("right {}", key.selector),
        Event::Aged(algorithms) => format!("aged {algorithms:?}"),
    };
    events.iter().map(words).collect()
}

fn all(store: &Store) -> Vec<Key> {
    store.read_blocking(|tx| keys::list(tx, Some(DOMAIN))).expect("they can be read")
}

fn states(store: &Store) -> String {
    let line = |key: &Key| format!("{} {}", key.selector, key.state.name());
    all(store).iter().map(line).collect::<Vec<_>>().join(", ")
}

fn signing(store: &Store) -> Vec<String> {
    let secrets = store.read_blocking(|tx| keys::signing(tx, DOMAIN)).expect("they can be read");
    secrets.into_iter().map(|secret| secret.selector).collect()
}

fn is_due(store: &Store, now: Timestamp) -> bool {
    store.read_blocking(move |tx| keys::due(tx, now, 10)).expect("it can be read").contains(&DOMAIN.to_owned())
}

fn both(number: u8) -> Vec<NewKey> {
    Algorithm::ALL.map(|algorithm| new_key(algorithm, number)).into()
}

#[test]
fn a_key_signs_once_it_is_seen_and_is_followed_in_time() {
    for test in stores() {
        let (store, policy) = (&test.store, Policy::default());
        let lacking = store.read_blocking(|tx| keys::lacking(tx, &[DOMAIN])).expect("it can be read");
        assert_eq!(lacking.len(), 2);
        put(store, both(1), START);
        assert!(put(store, both(2), START).is_empty(), "those that wait are enough");
        assert_eq!(states(store), "r20261122 made, e20261122 made");
        assert!(signing(store).is_empty() && is_due(store, START));

        // Nothing is published: it is looked for again soon, and nothing signs.
        assert!(look(store, &[], policy, START).is_empty());
        assert!(!is_due(store, START) && is_due(store, START.plus(Duration::from_secs(60))));
        assert!(signing(store).is_empty());
        let now = START.plus(HOUR);
        assert_eq!(look(store, &["r20261122"], policy, now), ["published r20261122", "active r20261122"]);
        assert_eq!(signing(store), ["r20261122"]);
        let now = now.plus(HOUR);
        assert_eq!(look(store, &["r20261122", "e20261122"], policy, now), ["published e20261122", "active e20261122"]);
        assert_eq!(signing(store), ["r20261122", "e20261122"], "RSA first");

        // Half a year later they are old; the next ones wait for their records, however long that takes.
        let published = ["r20261122", "e20261122"];
        let now = START.plus(179 * DAY);
        assert!(look(store, &published, policy, now).is_empty());
        let now = START.plus(180 * DAY);
        assert_eq!(look(store, &published, policy, now), ["aged [Rsa, Ed25519]"]);
        let next = put(store, both(3), now);
        assert_eq!(next.iter().map(|key| key.selector.as_str()).collect::<Vec<_>>(), ["r20270521", "e20270521"]);
        let now = now.plus(30 * DAY);
        assert!(look(store, &published, policy, now).is_empty(), "the old ones go on");
        assert_eq!(signing(store), published);

        // Seen, they wait until all name servers of the zone must have them.
        let published = ["r20261122", "e20261122", "r20270521", "e20270521"];
        assert_eq!(look(store, &published, policy, now), ["published r20270521", "published e20270521"]);
        assert!(look(store, &published, policy, now.plus(HOUR / 2)).is_empty());
        assert_eq!(signing(store), ["r20261122", "e20261122"]);
        let now = now.plus(HOUR);
        assert_eq!(
            look(store, &published, policy, now),
            ["retired r20261122", "active r20270521", "retired e20261122", "active e20270521"]
        );
        assert_eq!(signing(store), ["r20270521", "e20270521"]);

        // The old records are wanted while mail is under way, and then nothing of the old keys stays.
        assert!(look(store, &published, policy, now.plus(13 * DAY)).is_empty());
        let now = now.plus(14 * DAY);
        assert!(is_due(store, now));
        assert_eq!(look(store, &published, policy, now), ["gone r20261122", "gone e20261122"]);
        assert_eq!(states(store), "r20261122 gone, e20261122 gone, r20270521 active, e20270521 active");
        let secret = store.read_blocking(|tx| keys::secret(tx, DOMAIN, "r20261122")).expect("it can be read");
        assert_eq!(secret, None);
        let erased = store.read_blocking(|tx| {
            let sql = "SELECT count(*) FROM signing_key WHERE state = 'gone' AND secret <> $1";
            tx.one(sql, postroad_store::params![&[0u8; 0]], |row| row.int(0))
        });
        assert_eq!(erased.expect("it can be read"), 0, "erased, not only marked");
    }
}

#[test]
fn a_record_that_is_not_right_is_an_alarm_once_a_day() {
    for test in stores() {
        let (store, policy) = (&test.store, Policy::default());
        put(store, vec![new_key(Algorithm::Rsa, 1)], START);
        look(store, &["r20261122"], policy, START);
        let key = all(store).remove(0);
        let found = |found: Found, now| write_down(store, vec![Finding { key: key.id, found }], policy, now);
        let alarms = || store.read_blocking(keys::alarming).expect("they can be read").len();
        let now = START.plus(HOUR);
        assert!(found(Found::Failed("no answer".into()), now).is_empty(), "a DNS that does not answer is no alarm");
        assert_eq!(all(store)[0].found, Found::Good, "what was known still holds");
        assert_eq!(found(Found::Differs("it has another key".into()), now), ["wrong r20261122"]);
        assert_eq!(alarms(), 1);
        assert!(found(Found::Missing, now.plus(HOUR)).is_empty(), "it was told");
        assert!(found(Found::Failed("no answer".into()), now.plus(2 * HOUR)).is_empty());
        assert_eq!(alarms(), 1, "and is not forgotten because nobody answers");
        assert_eq!(found(Found::Missing, now.plus(DAY)), ["wrong r20261122"], "it is told again");
        assert_eq!(signing(store), ["r20261122"], "it signs on: an administrator decides");
        assert_eq!(found(Found::Good, now.plus(DAY + HOUR)), ["right r20261122"]);
        assert_eq!(alarms(), 0);
    }
}

#[test]
fn without_anybody_to_ask_keys_sign_unseen() {
    for test in stores() {
        let store = &test.store;
        put(store, both(1), START);
        let policy = Policy { has_dns: false, ..Policy::default() };
        assert_eq!(write_down(store, Vec::new(), policy, START), ["active r20261122", "active e20261122"]);
    }
}

#[test]
fn a_record_that_is_taken_away_before_it_is_used_is_waited_for() {
    for test in stores() {
        let (store, policy) = (&test.store, Policy::default());
        put(store, vec![new_key(Algorithm::Rsa, 1)], START);
        look(store, &["r20261122"], policy, START);
        put(store, vec![new_key(Algorithm::Rsa, 2)], START);
        assert_eq!(states(store), "r20261122 active, r20261122-1 made");
        look(store, &["r20261122", "r20261122-1"], policy, START);
        assert_eq!(states(store), "r20261122 active, r20261122-1 published");
        look(store, &["r20261122"], policy, START.plus(2 * HOUR));
        assert_eq!(states(store), "r20261122 active, r20261122-1 made");
    }
}

#[test]
fn administrators_have_the_last_word() {
    for test in stores() {
        let store = &test.store;
        put(store, both(1), START);
        let key = |selector: &'static str| {
            store.read_blocking(move |tx| keys::find(tx, DOMAIN, selector)).expect("read").expect("it is there")
        };
        let rsa = key("r20261122");
        store.write_blocking(Locks::none(), move |tx| keys::activate(tx, &rsa, START)).expect("it signs");
        assert_eq!(signing(store), ["r20261122"]);

        // One that was brought along takes the place of those that nobody has seen, and keeps its name.
        let brought = new_key(Algorithm::Ed25519, 7);
        let put_named = |key: NewKey| {
            let job = move |tx: &mut postroad_store::WriteTx| keys::put_named(tx, DOMAIN, "mail", &key, START);
            store.write_blocking(Locks::none(), job).expect("it is put").value
        };
        assert_eq!(put_named(brought.clone()).map(|key| key.selector).as_deref(), Some("mail"));
        assert_eq!(put_named(brought), None, "the name is taken");
        assert_eq!(states(store), "r20261122 active, mail made");
        assert_eq!(look(store, &["r20261122", "mail"], Policy::default(), START), ["published mail", "active mail"]);

        // A key that leaked is gone at once.
        let leaked = key("mail");
        store.write_blocking(Locks::none(), move |tx| keys::revoke(tx, &leaked, START)).expect("it is gone");
        assert_eq!(signing(store), ["r20261122"]);
        let again = key("mail");
        assert_eq!(again.state, State::Gone);
        store.write_blocking(Locks::none(), move |tx| keys::activate(tx, &again, START)).expect("nothing happens");
        assert_eq!(signing(store), ["r20261122"], "what is gone does not come back");
        store.write_blocking(Locks::none(), |tx| keys::erase_domain(tx, DOMAIN)).expect("they are gone");
        assert!(all(store).is_empty());
    }
}

#[test]
fn secrets_of_rewritten_senders_are_followed_and_forgotten() {
    use postroad_trust::srs;
    for test in stores() {
        let store = &test.store;
        let renew = |byte: u8, now| {
            store.write_blocking(Locks::named(srs::LOCK), move |tx| srs::renew(tx, &[byte; 32], now)).expect("ok").value
        };
        let secrets = || -> Vec<u8> {
            let secrets = store.read_blocking(srs::secrets).expect("they can be read");
            secrets.0.iter().map(|secret| secret[0]).collect()
        };
        assert!(renew(1, START) && !renew(2, START.plus(DAY)));
        assert_eq!(secrets(), [1]);
        let second = START.plus(srs::RENEW);
        assert!(renew(3, second));
        assert_eq!(secrets(), [3, 1], "what the first signed may still come back");
        renew(4, second.plus(29 * DAY));
        assert_eq!(secrets(), [3, 1]);
        renew(4, second.plus(srs::KEEP));
        assert_eq!(secrets(), [3]);

        let keep = |token: &'static str, now| {
            store.write_blocking(Locks::none(), move |tx| srs::keep(tx, token, "a@b.test", now)).expect("kept");
        };
        keep("one", START);
        keep("two", START);
        keep("two", START.plus(20 * DAY));
        let swept =
            store.write_blocking(Locks::none(), |tx| srs::sweep(tx, START.plus(31 * DAY))).expect("swept").value;
        assert_eq!(swept, 1);
        let kept = |token: &'static str| store.read_blocking(move |tx| srs::kept(tx, token)).expect("read");
        assert_eq!((kept("one"), kept("two").as_deref()), (None, Some("a@b.test")));
    }
}

#[test]
fn nothing_that_is_shown_has_a_private_half() {
    let test = TestStore::memory(&[postroad_trust::MIGRATIONS]);
    let new = NewKey { algorithm: Algorithm::Rsa, pkcs8: b"mine alone".to_vec(), record: "v=DKIM1; p=AAAA".into() };
    let shown = format!("{new:?}");
    put(&test.store, vec![new], START);
    let secret =
        test.store.read_blocking(|tx| keys::secret(tx, DOMAIN, "r20261122")).expect("read").expect("it is there");
    assert_eq!(secret.pkcs8, b"mine alone");
    let secrets = postroad_trust::srs::Secrets(vec![*b"mine alone mine alone mine alone"]);
    for shown in [shown, format!("{secret:?}"), format!("{:?}", all(&test.store)), format!("{secrets:?}")] {
        // As text, and as Rust writes octets.
        assert!(!shown.contains("mine") && !shown.contains("109, 105"), "{shown}");
    }
}
