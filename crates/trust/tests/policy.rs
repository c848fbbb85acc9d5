//! What domains choose and whom the server believes, on each store.

use postroad_store::{Locks, Timestamp};
use postroad_testkit::each_store;
use postroad_trust::policy::{self, Key, Policy, Treatment, Trusted, TrustedKind, Unsure};

#[test]
fn what_is_chosen_is_kept_and_the_rest_is_as_usual() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let choose = |domain: &'static str, choices: &'static [(Key, Option<&'static str>)]| {
            let change = move |tx: &mut postroad_store::WriteTx| policy::choose(tx, domain, choices);
            test.store.write_blocking(Locks::none(), change).expect("it is written");
        };
        let read = |domain: &'static str| -> Policy {
            test.store.read_blocking(move |tx| policy::of(tx, domain)).expect("it is read")
        };
        assert_eq!(read("a.test"), Policy::default());
        choose("a.test", &[(Key::DmarcReject, Some("junk")), (Key::Unsure, Some("tag")), (Key::SpfFail, Some("odd"))]);
        let chosen = Policy { dmarc_reject: Treatment::Junk, unsure: Unsure::Tag, ..Policy::default() };
        assert_eq!(read("a.test"), chosen, "what this version does not know is as if it were not there");
        assert_eq!(read("b.test"), Policy::default());
        choose("a.test", &[(Key::DmarcReject, Some("tag")), (Key::Unsure, None)]);
        assert_eq!(read("a.test"), Policy { dmarc_reject: Treatment::Tag, ..Policy::default() });
        let domains = || test.store.read_blocking(policy::domains).expect("they are read");
        assert_eq!(domains(), ["a.test"]);
        test.store.write_blocking(Locks::none(), |tx| policy::forget(tx, "a.test")).expect("it is forgotten");
        assert!(domains().is_empty());
    });
}

#[test]
fn keys_and_values_are_read_as_they_are_written() {
    for key in Key::ALL {
        assert_eq!(Key::from_name(key.name()), Some(key));
        for value in key.choices() {
            let mut policy = Policy::default();
            assert!(policy.set(key, value), "{key}={value}");
            assert_eq!(policy.value(key), *value);
        }
        let mut policy = Policy::default();
        assert!(!policy.set(key, "odd") && policy == Policy::default(), "{key}");
        assert!(key.choices().contains(&policy.value(key)), "{key}");
    }
    for kind in TrustedKind::ALL {
        assert_eq!(TrustedKind::from_name(kind.name()), Some(kind));
    }
}

#[test]
fn who_is_believed_is_listed_once() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let entry = |kind, note: &str| {
            let (name, note) = ("a.test".to_owned(), note.to_owned());
            Trusted { kind, name, note, since: Timestamp(7) }
        };
        let write = |entry: Trusted| {
            let trusted = move |tx: &mut postroad_store::WriteTx| policy::trust(tx, &entry);
            test.store.write_blocking(Locks::none(), trusted).expect("it is written").value
        };
        assert!(write(entry(TrustedKind::List, "first")) && write(entry(TrustedKind::ArcSealer, "")));
        assert!(write(entry(TrustedKind::List, "second")));
        let all = || test.store.read_blocking(policy::trusted).expect("they are read");
        assert_eq!(all(), [entry(TrustedKind::ArcSealer, ""), entry(TrustedKind::List, "second")]);
        let gone = |kind| {
            let distrust = move |tx: &mut postroad_store::WriteTx| policy::distrust(tx, kind, "a.test");
            test.store.write_blocking(Locks::none(), distrust).expect("it is written").value
        };
        assert!(!gone(TrustedKind::Forwarder) && gone(TrustedKind::List) && !gone(TrustedKind::List));
        assert_eq!(all().len(), 1);
    });
}
