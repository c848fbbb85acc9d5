//! Who has to come back, who came back, and who is known.

use std::time::Duration;

use postroad_store::{AccountId, Locks, Result, Store, Timestamp, WriteTx};
use postroad_testkit::each_store;
use postroad_trust::greylist::{self, Lesson, Standing, TRIES_OF_A_SOURCE, Terms, Try};

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;
const TERMS: Terms = Terms {
    wait: Duration::from_secs(5 * MINUTE),
    come_back: Duration::from_secs(2 * DAY),
    remember: Duration::from_secs(40 * DAY),
    enough: 2,
};

fn at(seconds: u64) -> Timestamp {
    Timestamp(1_795_348_800_000_000).plus(Duration::from_secs(seconds))
}

fn write<R: Send + 'static>(store: &Store, change: impl FnOnce(&mut WriteTx) -> Result<R> + Send + 'static) -> R {
    store.write_blocking(Locks::none(), change).expect("written").value
}

fn of(sender: &str) -> Try {
    Try::new("192.0.2.0/24", sender, "Alice@example.test")
}

fn look(store: &Store, of: &Try, now: Timestamp) -> Standing {
    look_also(store, of, None, now)
}

fn look_also(store: &Store, of: &Try, also: Option<&str>, now: Timestamp) -> Standing {
    let (of, also) = (of.clone(), also.map(str::to_owned));
    store.read_blocking(move |tx| greylist::look(tx, &of, also.as_deref(), &[AccountId(7)], &TERMS, now)).expect("read")
}

fn put_off(store: &Store, of: &Try, now: Timestamp) -> Timestamp {
    let of = of.clone();
    write(store, move |tx| greylist::put_off(tx, &of, &TERMS, now))
}

fn learn(store: &Store, of: &Try, counts: bool, now: Timestamp) -> Vec<String> {
    let lesson = Lesson { of: of.clone(), counts };
    write(store, move |tx| greylist::learn(tx, &[lesson.clone(), lesson], &TERMS, now))
}

#[test]
fn who_comes_back_in_time_is_let_in_and_remembered() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let (store, of) = (&test.store, of("A@x.test"));
        assert_eq!(look(store, &of, at(0)), Standing::New);
        assert_eq!(put_off(store, &of, at(0)), at(5 * MINUTE));
        assert_eq!(look(store, &of, at(MINUTE)), Standing::Early(at(5 * MINUTE)));
        assert_eq!(put_off(store, &of, at(MINUTE)), at(5 * MINUTE), "who hurries does not wait longer");
        assert_eq!(look(store, &of, at(5 * MINUTE)), Standing::Back);
        assert!(learn(store, &of, true, at(6 * MINUTE)).is_empty(), "once is not enough");
        assert_eq!(look(store, &of, at(7 * MINUTE)), Standing::Passed { stale: false });
        assert_eq!(look(store, &of, at(3 * DAY)), Standing::Passed { stale: true });
        assert_eq!(look(store, &of, at(41 * DAY)), Standing::New, "nobody came for long");
        assert_eq!(put_off(store, &of, at(41 * DAY)), at(41 * DAY + 5 * MINUTE), "from the start");
        assert_eq!(look(store, &of, at(41 * DAY + MINUTE)), Standing::Early(at(41 * DAY + 5 * MINUTE)));
    });
}

#[test]
fn who_comes_back_too_late_begins_anew() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let (store, of) = (&test.store, of("a@x.test"));
        put_off(store, &of, at(0));
        assert_eq!(look(store, &of, at(3 * DAY)), Standing::New);
        assert_eq!(put_off(store, &of, at(3 * DAY)), at(3 * DAY + 5 * MINUTE));
    });
}

#[test]
fn a_source_that_came_back_often_enough_is_known() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let store = &test.store;
        let source = || "192.0.2.0/24".to_owned();
        assert!(learn(store, &of("a@x.test"), true, at(0)).is_empty(), "two recipients of one message are one");
        assert_eq!(look(store, &of("c@x.test"), at(1)), Standing::New);
        assert!(learn(store, &of("a@x.test"), false, at(1)).is_empty(), "what was not put off does not count");
        assert_eq!(learn(store, &of("b@x.test"), true, at(2)), [source()]);
        assert_eq!(learn(store, &of("b@x.test"), true, at(3)), [""; 0], "said once");
        assert_eq!(look(store, &of("new@y.test"), at(4)), Standing::Known { stale: false });
        assert_eq!(look(store, &of("new@y.test"), at(2 * DAY)), Standing::Known { stale: true });
        assert_eq!(look(store, &of("new@y.test"), at(41 * DAY)), Standing::New, "forgotten");
        assert!(learn(store, &of("d@x.test"), true, at(41 * DAY)).is_empty(), "and counted from the start");

        // A domain that would be known, were the DNS to answer.
        let far = Try::new("198.51.100.0/24", "x@big.test", "alice@example.test");
        learn(store, &Try::new("Big.test", "x@big.test", "alice@example.test"), true, at(0));
        learn(store, &Try::new("big.test", "y@big.test", "alice@example.test"), true, at(0));
        assert_eq!(look_also(store, &far, Some("big.test"), at(1)), Standing::Known { stale: false });
        assert_eq!(look(store, &far, at(1)), Standing::New);
    });
}

#[test]
fn an_administrator_lets_in_and_takes_back() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let (store, of) = (&test.store, of("a@x.test"));
        put_off(store, &of, at(0));
        let waiting = |now| store.read_blocking(move |tx| greylist::waiting(tx, &TERMS, now, 10)).expect("read");
        assert_eq!(waiting(at(1)).into_iter().map(|one| (one.of, one.tries)).collect::<Vec<_>>(), [(of.clone(), 1)]);
        write(store, |tx| greylist::forgive(tx, "192.0.2.0/24", at(1)));
        assert!(waiting(at(2)).is_empty());
        assert_eq!(look(store, &of, at(400 * DAY)), Standing::Known { stale: true }, "for good");
        assert!(!write(store, |tx| greylist::sweep(tx, &TERMS, at(400 * DAY))));
        let known = store.read_blocking(|tx| greylist::known(tx, &TERMS, at(400 * DAY), 10)).expect("read");
        assert!(matches!(known.as_slice(), [one] if one.by_hand && one.source == "192.0.2.0/24"), "{known:?}");
        assert!(write(store, |tx| greylist::forget(tx, "192.0.2.0/24")));
        assert!(!write(store, |tx| greylist::forget(tx, "192.0.2.0/24")));
        assert_eq!(look(store, &of, at(2)), Standing::New);
    });
}

#[test]
fn whom_we_wrote_to_may_answer() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let (store, of) = (&test.store, of("Friend@far.test"));
        write(store, |tx| greylist::wrote(tx, AccountId(7), &["friend@FAR.test", "friend@far.test"], at(0)));
        write(store, |tx| greylist::wrote(tx, AccountId(8), &["other@far.test"], at(0)));
        assert_eq!(look(store, &of, at(1)), Standing::Answer);
        assert_eq!(look(store, &self::of("other@far.test"), at(1)), Standing::New, "to somebody else");
        assert_eq!(look(store, &of, at(41 * DAY)), Standing::New);
    });
}

#[test]
fn what_waits_is_bounded_and_goes() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let store = &test.store;
        let before = store.read_blocking(greylist::room).expect("read");
        write(store, |tx| {
            for n in 0..TRIES_OF_A_SOURCE + 20 {
                greylist::put_off(tx, &of(&format!("{n}@x.test")), &TERMS, at(0))?;
            }
            greylist::put_off(tx, &Try::new("198.51.100.0/24", "a@x.test", "b@example.test"), &TERMS, at(0))
        });
        let room = || store.read_blocking(greylist::room).expect("read");
        assert_eq!(before - room(), u64::from(TRIES_OF_A_SOURCE) + 1, "no more of one source");
        learn(store, &of(&format!("{}@x.test", TRIES_OF_A_SOURCE + 19)), true, at(0));
        assert!(!write(store, |tx| greylist::sweep(tx, &TERMS, at(DAY))));
        assert_eq!(before - room(), u64::from(TRIES_OF_A_SOURCE) + 1, "they may still come back");
        write(store, |tx| greylist::sweep(tx, &TERMS, at(3 * DAY)));
        assert_eq!(before - room(), 1, "who came in is remembered");
        write(store, |tx| greylist::sweep(tx, &TERMS, at(50 * DAY)));
        assert_eq!(before - room(), 0);
    });
}

/// A neighbour in the same network who never comes back must not keep everybody else of it out.
#[test]
fn who_takes_all_places_keeps_nobody_out() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let store = &test.store;
        write(store, |tx| {
            for n in 0..TRIES_OF_A_SOURCE {
                greylist::put_off(tx, &of(&format!("{n}@spam.test")), &TERMS, at(0))?;
            }
            Ok(())
        });
        let honest = of("honest@x.test");
        assert_eq!(put_off(store, &honest, at(MINUTE)), at(6 * MINUTE));
        assert_eq!(look(store, &honest, at(6 * MINUTE)), Standing::Back);
        // And of a crowd that has no room all at once, enough come back in time.
        let back = write(store, |tx| {
            let names: Vec<String> = (0..2 * TRIES_OF_A_SOURCE).map(|n| format!("{n}@crowd.test")).collect();
            for name in &names {
                greylist::put_off(tx, &of(name), &TERMS, at(7 * MINUTE))?;
            }
            let mut back = 0;
            for name in &names {
                let standing = greylist::look(tx, &of(name), None, &[], &TERMS, at(12 * MINUTE))?;
                back += usize::from(standing == Standing::Back);
            }
            Ok(back)
        });
        assert!(back > 100, "{back}");
    });
}

#[test]
fn whatever_a_stranger_calls_themselves_fits() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let long = format!("{}\0\u{fffd}@x.test", "\u{e4}".repeat(5_000));
        let of = Try::new(&long, &long, &long);
        put_off(&test.store, &of, at(0));
        assert_eq!(look(&test.store, &of, at(1)), Standing::Early(at(5 * MINUTE)));
    });
}
