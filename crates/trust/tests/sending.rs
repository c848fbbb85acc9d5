//! What accounts send, and when that is too much.

use std::time::Duration;

use postroad_store::{AccountId, Locks, Result, Store, Timestamp, WriteTx};
use postroad_testkit::each_store;
use postroad_trust::sending::{self, Bound, Level, Limits, Own, Sent, TooMuch};

const ALICE: AccountId = AccountId(7);

/// An hour of the clock begins at 0.
fn at(minutes: u64) -> Timestamp {
    Timestamp(1_795_348_800_000_000).plus(Duration::from_secs(60 * minutes))
}

fn write<R: Send + 'static>(store: &Store, change: impl FnOnce(&mut WriteTx) -> Result<R> + Send + 'static) -> R {
    store.write_blocking(Locks::none(), change).expect("written").value
}

fn sent(store: &Store, now: Timestamp) -> Sent {
    store.read_blocking(move |tx| sending::sent(tx, ALICE, now)).expect("read")
}

#[test]
fn what_was_sent_leaves_the_window_evenly() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let store = &test.store;
        for _ in 0..60 {
            write(store, |tx| sending::count(tx, ALICE, 2, at(30)));
        }
        write(store, |tx| sending::count(tx, AccountId(8), 100, at(30)));
        for (minutes, hour, day) in [(30, 60, 60), (59, 60, 60), (60, 60, 60), (90, 30, 60), (119, 1, 60), (120, 0, 60)]
        {
            let (sent, now) = (sent(store, at(minutes)), at(minutes));
            assert_eq!(sent.within(Bound::MessagesPerHour, now), hour, "{minutes}");
            assert_eq!(sent.within(Bound::RecipientsPerHour, now), 2 * hour, "{minutes}");
            assert_eq!(sent.within(Bound::MessagesPerDay, now), day, "{minutes}");
        }
        let now = at(24 * 60 + 30);
        assert_eq!(sent(store, now).within(Bound::RecipientsPerDay, now), 60, "half of what the first hour had");
        assert_eq!(sent(store, at(25 * 60)).within(Bound::RecipientsPerDay, at(25 * 60)), 0);
        assert_eq!(write(store, |tx| sending::sweep(tx, at(25 * 60))), 0);
        assert_eq!(write(store, |tx| sending::sweep(tx, at(9 * 24 * 60))), 2);
    });
}

#[test]
fn too_much_says_what_and_until_when() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let store = &test.store;
        for _ in 0..10 {
            write(store, |tx| sending::count(tx, ALICE, 5, at(0)));
        }
        let check = |limits: Limits, messages, recipients| {
            limits
                .check(&sent(store, at(0)), messages, recipients, at(0))
                .err()
                .map(|TooMuch { bound, limit, wait }| (bound, limit, wait.map(|wait| wait.as_secs() / 60)))
        };
        let none = Limits::default();
        assert_eq!(check(none, 1_000_000, 1_000_000), None);
        let messages = Limits { messages_per_hour: 10, ..none };
        assert_eq!(check(messages, 0, 1), None);
        // All ten lie in the hour that ends in sixty minutes; then they leave, one in six minutes.
        assert_eq!(check(messages, 1, 1), Some((Bound::MessagesPerHour, 10, Some(66))));
        assert_eq!(
            check(Limits { messages_per_day: 10, ..none }, 1, 1),
            Some((Bound::MessagesPerDay, 10, Some(24 * 60 + 6)))
        );
        let recipients = Limits { recipients_per_hour: 50, messages_per_hour: 100, ..none };
        assert_eq!(check(recipients, 1, 1), Some((Bound::RecipientsPerHour, 50, Some(62))));
        assert_eq!(check(recipients, 1, 51), Some((Bound::RecipientsPerHour, 50, None)), "never at once");
    });
}

#[test]
fn an_account_may_have_limits_of_its_own() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let store = &test.store;
        let usual =
            Limits { messages_per_hour: 10, messages_per_day: 20, recipients_per_hour: 30, recipients_per_day: 40 };
        let own = || store.read_blocking(|tx| sending::own(tx, ALICE)).expect("read");
        assert_eq!(own().over(&usual), usual);
        let more = Own { messages_per_hour: Some(0), recipients_per_day: Some(4_000), ..Own::default() };
        write(store, move |tx| sending::set_own(tx, ALICE, &more));
        assert_eq!(own(), more);
        assert_eq!(own().over(&usual), Limits { messages_per_hour: 0, recipients_per_day: 4_000, ..usual });
        write(store, |tx| sending::set_own(tx, ALICE, &Own::default()));
        assert_eq!(own(), Own::default());
    });
}

#[test]
fn who_is_near_is_told_once_in_an_hour() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let store = &test.store;
        let limits = Limits { messages_per_hour: 5, recipients_per_day: 100, ..Limits::default() };
        let near: Vec<_> =
            (0..5).map(|_| limits.near(&write(store, |tx| sending::count(tx, ALICE, 1, at(0))), at(0))).collect();
        let of = |used| Some((Bound::MessagesPerHour, used));
        assert_eq!(near, [None, None, None, of(4), of(5)]);
        let tell = |level, now| write(store, move |tx| sending::tell(tx, ALICE, level, now));
        let table = [(Level::Near, 0, true), (Level::Near, 1, false), (Level::Over, 1, true), (Level::Over, 2, false)];
        for (level, minutes, expect) in table {
            assert_eq!(tell(level, at(minutes)), expect, "{level:?} {minutes}");
        }
        assert!(tell(Level::Near, at(60)), "the next hour");
        let told = |now| store.read_blocking(move |tx| sending::told(tx, 24, now)).expect("read");
        assert_eq!(told(at(61)), [(ALICE, Level::Over)]);
        assert_eq!(told(at(24 * 60)), [(ALICE, Level::Near)]);
        assert_eq!(sent(store, at(61)).within(Bound::MessagesPerDay, at(61)), 5, "telling is not sending");
    });
}
