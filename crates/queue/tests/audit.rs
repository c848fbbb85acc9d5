//! The audit finds a sound queue sound, and each kind of contradiction.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{MIGRATIONS, NOW, Post, ask, node, to};
use postroad_queue::{self as queue, audit, claim, recover};
use postroad_store::{Locks, params};
use postroad_testkit::each_store;

/// What breaks an invariant, and what the audit calls it.
const DAMAGE: &[(&str, &str)] = &[
    ("UPDATE queue_message SET open = open + 1", "open recipients of a message"),
    ("DELETE FROM queue_recipient WHERE number = 1", "open recipients of a message"),
    ("DELETE FROM queue_message", "a recipient without its message"),
    ("UPDATE queue_tally SET messages = messages + 1", "messages in all"),
    ("UPDATE queue_tally SET recipients = recipients - 1", "open recipients in all"),
    ("UPDATE queue_recipient SET node = NULL, life = NULL WHERE state = 'claimed'", "claimed by nobody"),
    ("UPDATE queue_recipient SET node = 'a' WHERE state = 'waiting'", "claimed by nobody"),
    ("UPDATE queue_recipient SET state = 'parked' WHERE state = 'waiting'", "parked and will not be looked for"),
];

#[test]
fn each_contradiction_is_found() {
    each_store(MIGRATIONS, |test| {
        let post = Post::new(test);
        let store = &test.store;
        post.put(NOW, vec![to("a@there.test"), to("b@there.test")]);
        let node = node("one");
        let claimed = store.write_blocking(Locks::none(), move |tx| -> queue::Result<usize> {
            recover(tx, &node, NOW)?;
            let jobs = claim(tx, &ask(&node, NOW))?;
            Ok(jobs.len())
        });
        assert_eq!(claimed.unwrap().value, 1);
        post.put(NOW, vec![to("c@elsewhere.test")]);
        assert_eq!(store.read_blocking(audit).unwrap(), Vec::<String>::new());
        for (damage, name) in DAMAGE {
            // Undone when it has been looked at.
            let found = store.write_blocking(Locks::none(), move |tx| -> Result<(), queue::Error> {
                tx.execute(damage, params![])?;
                Err(queue::Error::Corrupt(audit(tx)?.join("\n")))
            });
            let Err(queue::Error::Corrupt(faults)) = found else { panic!("{damage} is not undone") };
            assert!(faults.contains(name), "{damage}: {faults}");
        }
        assert_eq!(store.read_blocking(audit).unwrap(), Vec::<String>::new());
    });
}
