//! Addresses that are not written to any more.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::Duration;

use common::{MIGRATIONS, NOW, after};
use postroad_queue::Result;
use postroad_queue::suppression::{self, EVERYBODY, Entry, Heard, Reason, Rule};
use postroad_store::{Locks, Store, Timestamp, WriteTx};
use postroad_testkit::each_store;

const DAY: u64 = 24 * 60 * 60;
const US: &str = "Anna@ours.test";

fn write<R: Send + 'static>(store: &Store, f: impl FnOnce(&mut WriteTx) -> Result<R> + Send + 'static) -> R {
    store.write_blocking(Locks::none(), f).map(|stored| stored.value).unwrap()
}

fn refuse(store: &Store, to: &'static str, now: Timestamp) -> Heard {
    write(store, move |tx| suppression::refused(tx, US, to, "550 5.1.1 No such user", "Q1", now))
}

fn check(store: &Store, from: &'static str, to: &'static str, now: Timestamp) -> Option<Entry> {
    store.read_blocking(move |tx| suppression::check(tx, from, to, now)).unwrap()
}

#[test]
fn people_are_given_a_day_before_an_address_is_suppressed() {
    each_store(MIGRATIONS, |test| {
        let store = &test.store;
        assert_eq!(refuse(store, "gone@far.test", NOW), Heard::Counted(1));
        assert_eq!(refuse(store, "Gone@Far.test", after(60)), Heard::Counted(2));
        assert_eq!(check(store, US, "gone@far.test", after(60)), None, "twice in a minute is one mistake");
        let Heard::Suppressed(entry) = refuse(store, "gone@far.test", after(DAY)) else { panic!("a day has passed") };
        assert_eq!((entry.scope.as_str(), entry.failures, entry.since), ("ours.test", 3, NOW));
        assert_eq!(entry.expires, Some(after(91 * DAY)));
        assert!(check(store, "bob@OURS.test", "GONE@far.test", after(DAY)).is_some());
        assert_eq!(check(store, "bob@others.test", "gone@far.test", after(DAY)), None, "not for others");
        assert_eq!(check(store, "", "gone@far.test", after(DAY)), None, "notices go");
        assert_eq!(check(store, US, "gone@far.test", after(91 * DAY)), None, "it ends by itself");
        assert_eq!(write(store, |tx| suppression::sweep(tx, after(91 * DAY))), 1);
    });
}

#[test]
fn mail_that_gets_through_begins_the_count_anew() {
    each_store(MIGRATIONS, |test| {
        let store = &test.store;
        assert_eq!(refuse(store, "x@far.test", NOW), Heard::Counted(1));
        write(store, |tx| suppression::reached(tx, &["X@far.test", "y@far.test"]));
        assert_eq!(refuse(store, "x@far.test", after(2 * DAY)), Heard::Counted(1));
        assert_eq!(refuse(store, "x@far.test", after(70 * DAY)), Heard::Counted(1), "long ago is forgotten");
        let Heard::Suppressed(_) = refuse(store, "x@far.test", after(71 * DAY)) else { panic!("twice") };
        write(store, |tx| suppression::reached(tx, &["x@far.test"]));
        assert!(check(store, US, "x@far.test", after(71 * DAY)).is_some(), "what is decided stays");
    });
}

#[test]
fn who_sends_in_bulk_sets_a_rule() {
    each_store(MIGRATIONS, |test| {
        let store = &test.store;
        let at_once = Rule { failures: 1, apart: Duration::ZERO, lasts: Duration::from_secs(30 * DAY) };
        write(store, move |tx| suppression::set_rule(tx, "ours.test", Some(at_once)));
        let Heard::Suppressed(entry) = refuse(store, "gone@far.test", NOW) else { panic!("once is enough") };
        assert_eq!(entry.expires, Some(after(30 * DAY)));
        assert_eq!(refuse(store, "postmaster@far.test", NOW), Heard::Ignored);
        assert_eq!(refuse(store, "Abuse@far.test", NOW), Heard::Ignored);
        let never = Rule { failures: 0, ..Rule::default() };
        write(store, move |tx| suppression::set_rule(tx, EVERYBODY, Some(never)));
        assert!(matches!(refuse(store, "other@far.test", NOW), Heard::Suppressed(_)), "its own comes first");
        write(store, move |tx| suppression::set_rule(tx, "ours.test", None));
        assert_eq!(refuse(store, "third@far.test", NOW), Heard::Ignored);
        assert_eq!(store.read_blocking(suppression::rules).unwrap(), [("*".to_owned(), never)]);
    });
}

#[test]
fn who_complains_hears_no_more_from_that_sender() {
    each_store(MIGRATIONS, |test| {
        let store = &test.store;
        assert!(write(store, |tx| suppression::complained(tx, US, "Tired@far.test", "report 7", NOW)));
        assert!(!write(store, |tx| suppression::complained(tx, US, "abuse@far.test", "report 8", NOW)));
        let entry = check(store, US, "tired@far.test", NOW).unwrap();
        assert_eq!((entry.reason, entry.source.as_str()), (Reason::Complaint, "report 7"));
        assert_eq!(check(store, "bob@ours.test", "tired@far.test", NOW), None, "the rest of the family may write");
    });
}

#[test]
fn entries_are_listed_in_parts_and_taken_back() {
    each_store(MIGRATIONS, |test| {
        let store = &test.store;
        let entry = |address: &str, scope: &str| Entry {
            address: address.to_owned(),
            scope: scope.to_owned(),
            reason: Reason::Manual,
            source: "the administrator".to_owned(),
            said: String::new(),
            failures: 0,
            since: NOW,
            last: NOW,
            expires: None,
            active: true,
        };
        let entries = [entry("A@x.test", EVERYBODY), entry("a@x.test", "ours.test"), entry("postmaster@x.test", "*")];
        assert_eq!(write(store, move |tx| suppression::put(tx, &entries)), 2);
        refuse(store, "counted@x.test", NOW);
        let list = |after: Option<(&'static str, &'static str)>, limit| -> Vec<(String, String)> {
            let found = store.read_blocking(move |tx| suppression::list(tx, after, NOW, limit)).unwrap();
            found.into_iter().map(|entry| (entry.address, entry.scope)).collect()
        };
        assert_eq!(list(None, 1), [("a@x.test".to_owned(), "*".to_owned())]);
        assert_eq!(list(Some(("a@x.test", "*")), 5), [("a@x.test".to_owned(), "ours.test".to_owned())]);
        let known = store.read_blocking(|tx| suppression::show(tx, "Counted@x.test")).unwrap();
        assert!(matches!(known.as_slice(), [one] if !one.active && one.failures == 1));
        assert_eq!(write(store, |tx| suppression::remove(tx, "a@X.test", Some("ours.test"))), 1);
        assert!(check(store, US, "a@x.test", NOW).is_some(), "everybody's stays");
        assert_eq!(write(store, |tx| suppression::remove(tx, "a@x.test", None)), 1);
        assert_eq!(check(store, US, "a@x.test", NOW), None);
    });
}

#[test]
fn of_many_recipients_those_who_are_suppressed_are_named_once() {
    each_store(MIGRATIONS, |test| {
        let store = &test.store;
        let rule = Rule { failures: 1, apart: Duration::ZERO, lasts: Duration::from_secs(DAY) };
        write(store, move |tx| suppression::set_rule(tx, "ours.test", Some(rule)));
        refuse(store, "gone@far.test", NOW);
        write(store, |tx| suppression::complained(tx, US, "gone@far.test", "a report", NOW));
        write(store, |tx| suppression::complained(tx, US, "angry@far.test", "a report", NOW));
        let among = |from: &'static str, to: &[&str], now: Timestamp| -> Vec<String> {
            let to: Vec<String> = to.iter().map(|one| (*one).to_owned()).collect();
            let found = store.read_blocking(move |tx| suppression::among(tx, from, &to, now)).unwrap();
            found.into_iter().map(|entry| entry.address).collect()
        };
        let all = ["Gone@far.test", "bob@far.test", "angry@far.test", "postmaster@far.test"];
        assert_eq!(among(US, &all, after(1)), ["angry@far.test", "gone@far.test"]);
        assert_eq!(among("bob@ours.test", &all, after(1)), ["gone@far.test"], "complaints are of one sender");
        assert!(among("", &all, after(1)).is_empty() && among(US, &[], after(1)).is_empty());
        assert_eq!(among("bob@ours.test", &all, after(2 * DAY)), [""; 0], "it ends by itself");
    });
}
