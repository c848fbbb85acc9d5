//! Keys in memory follow those in the database, on all nodes.

use std::sync::Arc;

use postroad_mailauth::key::SigningKey;
use postroad_mta::Signers;
use postroad_store::{Locks, Store, Timestamp};
use postroad_testkit::{TestStore, in_time};
use postroad_trust::keys::{self, Algorithm, NewKey};

const DOMAIN: &str = "example.test";

fn add(store: &Store) -> String {
    let key = SigningKey::ed25519().expect("a key");
    let new = NewKey {
        algorithm: Algorithm::Ed25519,
        pkcs8: key.to_pkcs8().expect("it can be written"),
        record: key.record(),
    };
    let now = Timestamp::now();
    let put = store.write_blocking(Locks::named(&keys::lock(DOMAIN)), move |tx| {
        let key = keys::put(tx, DOMAIN, &[new], now)?.remove(0);
        keys::activate(tx, &key, now)?;
        Ok::<_, postroad_store::Error>(key.selector)
    });
    put.expect("it signs").value
}

fn signs(runtime: &tokio::runtime::Runtime, signers: &Signers) -> Option<String> {
    let found = runtime.block_on(signers.of(DOMAIN)).expect("the database answers");
    found.map(|identity| format!("{identity:?}"))
}

#[test]
fn a_change_is_known_to_all_nodes() {
    for test in [TestStore::sqlite(&[postroad_trust::MIGRATIONS]), TestStore::postgres(&[postroad_trust::MIGRATIONS])] {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let other = match test.name {
            "postgres" => Store::open(test.settings()).expect("another node"),
            _ => test.store.clone(),
        };
        // A clock that stands still: what is learned is learned by news.
        let [here, there] = [&test.store, &other].map(|store| Signers::new(store.clone(), Arc::new(|| Timestamp(1))));
        assert_eq!((signs(&runtime, &here), signs(&runtime, &there)), (None, None));
        for _ in 0..2 {
            let selector = add(&test.store);
            let expect = format!("Identity {{ domain: \"{DOMAIN}\", selectors: [\"{selector}\"] }}");
            assert_eq!(signs(&runtime, &here).as_ref(), Some(&expect), "who wrote it knows at once");
            let learned = in_time(|| (signs(&runtime, &there).as_ref() == Some(&expect)).then_some(()));
            assert!(learned.is_some(), "{}: the other node has {:?}", test.name, signs(&runtime, &there));
        }
        let above = runtime.block_on(there.of_or_above("mx.deep.example.test")).expect("the database answers");
        assert!(above.is_some_and(|identity| identity.domain() == DOMAIN));
        let none = runtime.block_on(there.of_or_above("notexample.test")).expect("the database answers");
        assert!(none.is_none());
    }
}
