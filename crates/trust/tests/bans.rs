//! Who is shut out, for how long, and who is not any more.

use std::time::Duration;

use postroad_store::{Locks, Result, Store, Timestamp, WriteTx};
use postroad_testkit::each_store;
use postroad_trust::bans::{self, LOCK, Lengths, REMEMBER};

const TEN_MINUTES: Duration = Duration::from_secs(600);
const LENGTHS: Lengths = Lengths { first: TEN_MINUTES, longest: Duration::from_secs(3_600) };
const BAD: &str = "192.0.2.7";

fn at(minutes: u64) -> Timestamp {
    Timestamp(1_795_348_800_000_000).plus(Duration::from_secs(60 * minutes))
}

fn write<R: Send + 'static>(store: &Store, change: impl FnOnce(&mut WriteTx) -> Result<R> + Send + 'static) -> R {
    store.write_blocking(Locks::named(LOCK), change).expect("written").value
}

fn held(store: &Store, now: Timestamp) -> Vec<String> {
    let held = store.read_blocking(move |tx| bans::held(tx, now)).expect("read");
    held.into_iter().map(|ban| ban.network).collect()
}

#[test]
fn whoever_comes_back_is_out_for_longer() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let store = &test.store;
        let count = |now| {
            write(store, move |tx| bans::count(tx, BAD, "passwords", "alice", LENGTHS, now))
                .map(|ban| (ban.times, ban.ends))
        };
        assert_eq!(count(at(0)), Some((1, Some(at(10)))));
        assert_eq!(count(at(5)), None, "another server counted too");
        assert_eq!(held(store, at(9)), [BAD]);
        assert_eq!(held(store, at(10)), [""; 0]);
        assert_eq!(count(at(20)), Some((2, Some(at(40)))));
        assert_eq!(count(at(50)), Some((3, Some(at(90)))));
        assert_eq!(count(at(100)), Some((4, Some(at(160)))), "never longer than the longest");
        assert!(write(store, |tx| bans::lift(tx, BAD)));
        assert!(!write(store, |tx| bans::lift(tx, BAD)));
        assert_eq!(count(at(170)), Some((1, Some(at(180)))), "what was taken back never was");
        let much_later = at(180).plus(REMEMBER).plus(TEN_MINUTES);
        assert_eq!(write(store, move |tx| bans::sweep(tx, much_later)), 1);
    });
}

#[test]
fn what_an_administrator_wrote_stays() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let store = &test.store;
        let mut news = store.hub().subscribe(bans::NEWS);
        write(store, |tx| bans::add(tx, "192.0.2.0/24", "they know why", None, at(0)));
        assert!(news.has_changed().expect("the hub is there"), "servers hear of it");
        news.mark_unchanged();
        let counted = write(store, |tx| bans::count(tx, "192.0.2.0/24", "passwords", "", LENGTHS, at(1)));
        assert_eq!(counted, None);
        let ban = store.read_blocking(|tx| bans::one(tx, "192.0.2.0/24")).expect("read").expect("it is there");
        assert!(ban.by_hand && ban.ends.is_none() && ban.detail == "they know why");
        assert_eq!(write(store, |tx| bans::sweep(tx, at(10_000_000))), 0, "for good");
    });
}

#[test]
fn logins_are_remembered_for_a_while() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let store = &test.store;
        write(store, |tx| bans::welcome(tx, "192.0.2.1", at(0)));
        write(store, |tx| bans::welcome(tx, "192.0.2.2", at(0)));
        write(store, |tx| bans::welcome(tx, "192.0.2.1", at(60)));
        let since = |now| store.read_blocking(move |tx| bans::welcomed(tx, now)).expect("read");
        assert_eq!(since(at(30)), [("192.0.2.1".to_owned(), at(60))]);
        let over = at(30).plus(REMEMBER);
        assert_eq!(write(store, move |tx| bans::sweep(tx, over)), 1);
        assert_eq!(since(Timestamp(0)).len(), 1);
    });
}

#[test]
fn lengths_double_and_do_not_overflow() {
    for (times, minutes) in [(0, 10), (1, 10), (2, 20), (3, 40), (4, 60), (40, 60), (i64::MAX, 60)] {
        assert_eq!(LENGTHS.of(times), Duration::from_secs(60 * minutes), "{times}");
    }
}
