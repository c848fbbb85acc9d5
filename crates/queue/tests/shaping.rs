//! Limits, addresses to send from, and what is remembered of them.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{MIGRATIONS, NOW, after};
use postroad_queue::Result;
use postroad_queue::shaping::{self, By, Choice, Egress, Limit, Noted};
use postroad_store::{Locks, Store, Timestamp, WriteTx};
use postroad_testkit::each_store;

fn write<R: Send + 'static>(store: &Store, f: impl FnOnce(&mut WriteTx) -> Result<R> + Send + 'static) -> R {
    store.write_blocking(Locks::none(), f).map(|stored| stored.value).unwrap()
}

#[test]
fn rules_are_what_was_set_last() {
    each_store(MIGRATIONS, |test| {
        let limit = |connections| Limit {
            pattern: ".far.test".to_owned(),
            connections,
            per_connection: Some(7),
            per_minute: None,
            recipients: None,
        };
        let egress = |weight, helo: Option<&str>| Egress {
            address: "192.0.2.7".parse().unwrap(),
            pool: "bulk".to_owned(),
            weight,
            helo: helo.map(str::to_owned),
            warm_since: Some(NOW),
            added: NOW,
        };
        let choice = |pool: &str| Choice { by: By::Domain, name: "Ours.test".to_owned(), pool: pool.to_owned() };
        for (one, two, three) in [
            (limit(Some(3)), egress(1, None), choice("other")),
            (limit(None), egress(5, Some("out.ours.test")), choice("bulk")),
        ] {
            write(&test.store, move |tx| {
                shaping::set_limit(tx, &one)?;
                shaping::set_egress(tx, &two)?;
                shaping::set_choice(tx, &three)
            });
        }
        let rules = test.store.read_blocking(shaping::rules).unwrap();
        assert_eq!(rules.limits, [limit(None)]);
        assert_eq!(rules.egress, [egress(5, Some("out.ours.test"))]);
        assert_eq!(rules.choices, [Choice { name: "ours.test".to_owned(), ..choice("bulk") }]);
        write(&test.store, move |tx| shaping::set_choice(tx, &choice("")));
        assert_eq!(test.store.read_blocking(shaping::choices).unwrap(), []);
        assert!(write(&test.store, |tx| shaping::remove_limit(tx, ".far.test")));
        assert!(!write(&test.store, |tx| shaping::remove_limit(tx, ".far.test")));
        assert!(write(&test.store, |tx| shaping::remove_egress(tx, "192.0.2.7".parse().unwrap())));
        assert_eq!(test.store.read_blocking(shaping::rules).unwrap(), shaping::Rules::default());
    });
}

#[test]
fn what_nodes_count_adds_up_for_a_day() {
    each_store(MIGRATIONS, |test| {
        let noted = |day, sent, until: Timestamp| Noted {
            egress: "192.0.2.7".to_owned(),
            hosts: ".far.test".to_owned(),
            day,
            sent,
            rest_until: until,
            why: Some("slow".to_owned()),
        };
        let note = |one: Noted, at| write(&test.store, move |tx| shaping::note(tx, &[one], at));
        note(noted(1, 3, NOW), NOW);
        note(noted(1, 4, after(60)), NOW);
        assert_eq!(test.store.read_blocking(shaping::noted).unwrap(), [noted(1, 7, after(60))]);
        note(noted(2, 1, NOW), NOW);
        assert_eq!(test.store.read_blocking(shaping::noted).unwrap(), [noted(2, 1, NOW)]);
        let other = Noted { hosts: ".other.test".to_owned(), ..noted(9, 1, NOW) };
        note(other.clone(), after(8 * 24 * 60 * 60));
        assert_eq!(test.store.read_blocking(shaping::noted).unwrap(), [other], "what is old is forgotten");
    });
}
