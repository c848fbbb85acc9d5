//! The full-text index proposes all messages that have a text, at every moment of its making.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{NOW, World, by, each, uids};
use postroad_mail::index::{self, build};
use postroad_mail::{Flags, MailboxId, UidSet, expunge, retention};
use postroad_search::Grams;
use postroad_store::{Locks, Timestamp, params};

fn mail(subject: &str, body: &str) -> String {
    format!("From: Bob <bob@example.test>\r\nTo: alice@example.test\r\nSubject: {subject}\r\n\r\n{body}\r\n")
}

/// Does what the server does in the background, until `steps` are done or nothing is left. Whether something is left.
fn build(world: &World, mut steps: usize) -> bool {
    let alice = world.alice;
    let lock = || Locks::named(index::LOCK);
    loop {
        if steps == 0 {
            return true;
        }
        steps -= 1;
        let gathered = world.read(move |tx| build::gather(tx, alice, None)).unwrap();
        if gathered.stale {
            world.store.write_blocking(lock(), move |tx| build::clear(tx, alice)).unwrap();
            continue;
        }
        let more = gathered.more;
        world.store.write_blocking(lock(), move |tx| build::file(tx, &gathered)).unwrap();
        if let Some(packed) = world.read(move |tx| build::pack(tx, alice)).unwrap() {
            world.store.write_blocking(lock(), move |tx| build::file_packed(tx, &packed)).unwrap();
            continue;
        }
        if !more {
            return false;
        }
    }
}

fn proposed(world: &World, text: &'static str) -> UidSet {
    let alice = world.alice;
    let sets = world.read(move |tx| {
        index::may_have(tx, alice, MailboxId::INBOX, &UidSet::range(1, u32::MAX - 1), &[Grams::of(text), Grams::of("")])
    });
    let sets = sets.unwrap();
    assert_eq!(sets.len(), 2);
    sets.into_iter().next().unwrap()
}

/// What of some messages is proposed, which the index is asked about by their names.
fn proposed_among(world: &World, among: &str, text: &'static str) -> UidSet {
    let (alice, among) = (world.alice, uids(among));
    let sets = world.read(move |tx| index::may_have(tx, alice, MailboxId::INBOX, &among, &[Grams::of(text)]));
    sets.unwrap().remove(0)
}

fn indexed(world: &World) -> (u64, u64, u64) {
    let alice = world.alice;
    let status = world.read(move |tx| index::status(tx, alice)).unwrap();
    (status.messages, status.indexed, status.segments)
}

#[test]
fn messages_are_proposed_by_their_text() {
    each(|world| {
        let alice = world.alice;
        assert_eq!(world.read(|tx| build::due(tx, 10)).unwrap(), [alice], "never looked at");
        world.deliver(MailboxId::INBOX, &mail("plans", "Let us meet in Köln."), Flags::default());
        world.deliver(MailboxId::INBOX, &mail("=?utf-8?B?5pel5pys6Kqe?=", "nothing"), Flags::default());
        world.deliver(MailboxId::INBOX, &mail("other", "<p>koln"), Flags::default());
        assert_eq!(proposed(world, "anything"), uids("1:3"), "nobody knows yet");
        assert!(!build(world, 100));
        assert!(world.read(|tx| build::due(tx, 10)).unwrap().is_empty());
        assert_eq!(indexed(world), (3, 3, 0));
        assert_eq!(proposed(world, "anything"), UidSet::new());
        assert_eq!(proposed(world, "meet in"), uids("1"));
        assert_eq!(proposed(world, "KÖLN"), uids("1,3"), "the text tells them apart");
        assert_eq!(proposed(world, "本語"), uids("2"));
        assert_eq!(proposed(world, "Bob <bob@"), uids("1:3"));
        assert_eq!(proposed(world, "ab"), uids("1:3"), "too short to be asked");
        world.deliver(MailboxId::INBOX, &mail("new", "nothing"), Flags::default());
        assert_eq!(world.read(|tx| build::due(tx, 10)).unwrap(), [alice]);
        assert_eq!(proposed(world, "meet in"), uids("1,4"), "what is new is not known yet");
        assert!(!build(world, 100));
        assert_eq!(proposed(world, "meet in"), uids("1"));
    });
}

#[test]
fn segments_propose_what_signatures_did() {
    each(|world| {
        for number in 0..1_100u32 {
            let word = format!("word{}", number % 50);
            world.deliver(MailboxId::INBOX, &mail("s", &word), Flags::default());
            // The builder is interrupted now and then, in the middle of what it does.
            if number % 400 == 399 {
                build(world, 1);
            }
            if number == 500 {
                assert_eq!(proposed(world, "word7"), expected(number + 1, 7, 450), "half of it");
            }
        }
        assert!(!build(world, 1_000));
        assert_eq!(indexed(world), (1_100, 1_100, 1));
        assert_eq!(proposed(world, "word7"), expected(1_100, 7, 1_100));
        // Of a part of the messages the index says what it says of them among all; also where most segments have none of them.
        let parts = ["5:40", "57", "1:1100", "8,58,900:1099", "1020:1030", "1:2000000"];
        let right = |part: &str| {
            assert_eq!(proposed_among(world, part, "word7"), uids(part).intersection(&expected(1_100, 7, 1_100)))
        };
        parts.into_iter().for_each(right);
        let alice = world.alice;
        let others = move |tx: &mut postroad_store::WriteTx| {
            let sql = "INSERT INTO search_segment (account, segment, version, last, messages)
                       SELECT account, CAST($2 AS BIGINT), version, CAST($3 AS BIGINT), CAST($4 AS {bytes})
                       FROM search_segment WHERE account = $1 ORDER BY segment DESC LIMIT 1";
            let empty: &[u8] = b"";
            [2, 4, 6, i64::MAX - 3, i64::MAX - 1]
                .into_iter()
                .try_for_each(|last: i64| tx.execute(sql, params![alice, last / 2, last, empty]).map(drop))
        };
        world.store.write_blocking(Locks::named(index::LOCK), others).unwrap();
        assert_eq!(indexed(world).2, 6);
        parts.into_iter().for_each(right);
        // Begun anew, it is right at every step.
        let alice = world.alice;
        world.store.write_blocking(Locks::named(index::LOCK), move |tx| index::rebuild(tx, alice)).unwrap();
        assert_eq!(indexed(world), (1_100, 0, 0));
        let mut steps = 0;
        while build(world, 1) {
            steps += 1;
            let found = proposed(world, "word7");
            assert!(expected(1_100, 7, 1_100).difference(&found).is_empty(), "after {steps} steps");
        }
        assert!(steps > 3);
        assert_eq!(indexed(world), (1_100, 1_100, 1));
        assert_eq!(proposed(world, "word7"), expected(1_100, 7, 1_100));
        world.audit();
    });
}

/// Two nodes that share the database find the same account at the same time.
#[test]
fn what_two_nodes_build_is_there_once() {
    each(|world| {
        for number in 0..1_030u32 {
            world.deliver(MailboxId::INBOX, &mail("s", &format!("word{}", number % 50)), Flags::default());
        }
        let alice = world.alice;
        let lock = || Locks::named(index::LOCK);
        let gather = || {
            let mut all = world.read(move |tx| build::gather(tx, alice, None)).unwrap();
            while all.more && !all.is_full() {
                let (behind, next) = world
                    .read(move |tx| {
                        let next = build::gather(tx, alice, Some(&all))?;
                        Ok::<_, postroad_mail::Error>((all, next))
                    })
                    .unwrap();
                all = behind;
                all.and(next);
            }
            all
        };
        let (one, other) = (gather(), gather());
        world.store.write_blocking(lock(), move |tx| build::file(tx, &one)).unwrap();
        let alone = indexed(world);
        world.store.write_blocking(lock(), move |tx| build::file(tx, &other)).unwrap();
        assert_eq!(indexed(world), alone);
        assert!(!build(world, 100));
        assert_eq!(indexed(world), (1_030, 1_030, 1));
        assert_eq!(proposed(world, "word7"), expected(1_030, 7, 1_030));
    });
}

/// Messages with `word7`, and all that are not indexed yet.
fn expected(count: u32, word: u32, known: u32) -> UidSet {
    // 256 at a step.
    let known = if known < 1_000 { 256 } else { known };
    (0..count)
        .filter(|number| number % 50 == word || number % 50 / 10 == word || *number >= known)
        .map(|n| n + 1)
        .collect()
}

#[test]
fn what_goes_is_forgotten_and_what_comes_back_is_known() {
    each(|world| {
        let alice = world.alice;
        for text in ["first", "second", "third"] {
            world.deliver(MailboxId::INBOX, &mail("s", text), Flags::default());
        }
        assert!(!build(world, 10));
        world.write(move |tx| expunge::remove(tx, &by(), alice, MailboxId::INBOX, &uids("1:2")).map(|_| ())).unwrap();
        assert_eq!(indexed(world), (3, 3, 0), "they may come back");
        world
            .write(move |tx| {
                expunge::restore(tx, &by(), alice, MailboxId::INBOX, &uids("1"), MailboxId::INBOX).map(|_| ())
            })
            .unwrap();
        assert_eq!(proposed(world, "first").count(), 1);
        assert!(proposed(world, "second").is_empty());
        let later = Timestamp(NOW.0 + 1);
        assert!(!world.write(move |tx| retention::sweep(tx, alice, later)).unwrap().more);
        assert_eq!(indexed(world), (2, 2, 0));
        let rows = world.read(|tx| Ok(tx.one("SELECT count(*) FROM search_recent", params![], |row| row.int(0))?));
        assert_eq!(rows.unwrap(), 2);
    });
}

#[test]
fn damage_proposes_everything() {
    each(|world| {
        world.deliver(MailboxId::INBOX, &mail("s", "first"), Flags::default());
        assert!(!build(world, 10));
        assert!(proposed(world, "second").is_empty());
        world.write(|tx| Ok(tx.execute("UPDATE search_recent SET signature = $1", params![&[1u8; 5]])?)).unwrap();
        assert_eq!(proposed(world, "second"), uids("1"));
        world.write(|tx| Ok(tx.execute("UPDATE message SET summary = $1", params![&[9u8; 5]])?)).unwrap();
        world.write(|tx| Ok(tx.execute("UPDATE search_state SET version = 0", params![])?)).unwrap();
        world.write(|tx| Ok(tx.execute("UPDATE search_recent SET version = 0", params![])?)).unwrap();
        assert!(!build(world, 10), "a damaged summary stops nobody");
        assert_eq!(proposed(world, "second"), uids("1"));
    });
}
