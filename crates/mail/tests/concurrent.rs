//! Several threads work on one account at a time: nothing is lost, given twice or miscounted.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::thread;

use common::{by, each, mail, uids};
use postroad_mail::{FlagChange, Flags, MailboxId, UidSet, copy, expunge, flags, journal, view};
use postroad_store::ModSeq;

#[test]
fn uids_and_modseqs_are_given_once_and_all_operations_count() {
    each(|world| {
        let alice = world.alice;
        world.fill(20);
        let given: Vec<(u32, i64)> = thread::scope(|scope| {
            let senders: Vec<_> = (0..4)
                .map(|thread| {
                    scope.spawn(move || {
                        let mine = (0..15).map(|i| {
                            let delivered = world.deliver(MailboxId::INBOX, &mail(100 * thread + i), Flags::NONE);
                            (delivered.uid, delivered.modseq.0)
                        });
                        mine.collect::<Vec<_>>()
                    })
                })
                .collect();
            let reader = scope.spawn(move || {
                for round in 0..15u32 {
                    let set = UidSet::range(1, 20 + round);
                    let change = match round % 2 {
                        0 => FlagChange::Add(Flags::SEEN, vec![common::keyword("k")]),
                        _ => FlagChange::Remove(Flags::SEEN, vec![]),
                    };
                    world
                        .write(move |tx| {
                            flags::change(tx, &by(), alice, MailboxId::INBOX, &set, &change, None)?;
                            copy::move_to(tx, &by(), alice, MailboxId::INBOX, &uids("2:6"), MailboxId(3))?;
                            copy::copy(tx, &by(), alice, MailboxId(3), &UidSet::single(round), MailboxId::INBOX)?;
                            expunge::remove(tx, &by(), alice, MailboxId::INBOX, &UidSet::single(7 + round))
                        })
                        .unwrap();
                }
            });
            reader.join().unwrap();
            senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
        });
        let uids: BTreeSet<u32> = given.iter().map(|(uid, _)| *uid).collect();
        let modseqs: BTreeSet<i64> = given.iter().map(|(_, modseq)| *modseq).collect();
        assert_eq!((uids.len(), modseqs.len()), (60, 60));
        // In the order of the modseqs the uids rise.
        let mut by_modseq: Vec<(i64, u32)> = given.into_iter().map(|(uid, modseq)| (modseq, uid)).collect();
        by_modseq.sort_unstable();
        assert!(by_modseq.windows(2).all(|pair| pair[0].1 < pair[1].1));
        let (rows, there) = world
            .read(move |tx| {
                Ok((journal::changes(tx, alice, ModSeq(0), 10_000)?, view::uids(tx, alice, MailboxId::INBOX)?))
            })
            .unwrap();
        assert!(rows.windows(2).all(|pair| pair[0].modseq.0 + 1 == pair[1].modseq.0));
        assert!(there.windows(2).all(|pair| pair[0] < pair[1]));
        world.audit();
    });
}
