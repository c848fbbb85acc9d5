//! Delivery, flags, copies, moves, removal: what they answer, what they cost, what they leave behind.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::ops::ControlFlow;

use common::{World, by, each, keyword, mail, name, uids};
use postroad_mail::changes::{self, Mark, changes_since};
use postroad_mail::view::{self, Query, Want};
use postroad_mail::{
    Actor, By, Error, Filing, FlagChange, Flags, Kept, Keyword, MailboxId, Role, UidSet, accounts, copy, deliver,
    expunge, flags, history, journal, mailboxes, quota, retention,
};
use postroad_store::{ModSeq, Timestamp, TraceId, params};

const INBOX: MailboxId = MailboxId::INBOX;

#[test]
fn a_message_is_filed_with_uid_flags_and_summary() {
    each(|world| {
        let alice = world.alice;
        let first = world.deliver(INBOX, &mail(1), Flags::NONE);
        let second = world.deliver(INBOX, &mail(2), Flags::SEEN | Flags::FLAGGED);
        assert_eq!((first.uid, second.uid), (1, 2));
        assert_eq!(second.modseq, ModSeq(first.modseq.0 + 1));
        assert_eq!(first.uidvalidity, second.uidvalidity);
        let (entries, row, quota) = world
            .read(move |tx| {
                let query = Query { uids: &UidSet::all(), want: Want::Summary, changed_since: None, limit: 10 };
                let entries = view::entries(tx, alice, INBOX, &query)?;
                let body = tx.blob_read(entries[0].facts.as_ref().unwrap().blob, 0..u64::MAX)?;
                assert_eq!(String::from_utf8(body).unwrap(), mail(1));
                Ok((entries, mailboxes::by_id(tx, alice, INBOX)?.unwrap(), quota::of(tx, alice)?))
            })
            .unwrap();
        assert_eq!(entries.iter().map(|entry| entry.uid).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(entries[1].flags, Flags::SEEN | Flags::FLAGGED);
        let summary = postroad_message::Summary::decode(&entries[0].facts.as_ref().unwrap().summary).unwrap();
        assert_eq!(summary.envelope.subject.as_deref(), Some("number 1"));
        let size = (mail(1).len() + mail(2).len()) as u64;
        assert_eq!((row.messages, row.unseen, row.uidnext, row.size), (2, 1, 3, size));
        assert_eq!(row.highest_modseq, second.modseq);
        assert_eq!((quota.used_messages, quota.used_bytes), (2, size));
        world.audit();
    });
}

#[test]
fn several_accounts_share_one_blob_and_differ_in_outcome() {
    each(|world| {
        let alice = world.alice;
        let arrival = world.arrival(&mail(7));
        let (bob, full) = world
            .write(|tx| {
                let bob = common::account(tx, "bob@example.test")?;
                let full = common::account(tx, "full@example.test")?;
                accounts::set_quota(tx, &by(), full, 10, 0)?;
                Ok((bob, full))
            })
            .unwrap();
        let outcomes = world
            .write(move |tx| {
                let mut kept = Kept::put(tx, &arrival)?;
                let filing = Filing::default();
                let outcomes = [alice, full, bob].map(|account| {
                    deliver::deliver(tx, &by(), account, INBOX, &mut kept, &filing).map(|delivered| delivered.uid)
                });
                kept.finish(tx)?;
                Ok(outcomes)
            })
            .unwrap();
        assert!(matches!(outcomes[0], Ok(1)));
        assert!(matches!(outcomes[1], Err(Error::OverQuota)), "{:?}", outcomes[1]);
        assert!(matches!(outcomes[2], Ok(1)));
        let blobs = world
            .read(move |tx| {
                let query = Query { uids: &UidSet::all(), want: Want::Facts, changed_since: None, limit: 10 };
                let blob = |account| -> Result<_, Error> {
                    Ok(view::entries(tx, account, INBOX, &query)?.pop().and_then(|entry| entry.facts).map(|f| f.blob))
                };
                Ok((blob(alice)?, blob(bob)?, blob(full)?))
            })
            .unwrap();
        assert!(blobs.0.is_some());
        assert_eq!(blobs.0, blobs.1);
        assert_eq!(blobs.2, None);
        world.audit();
    });
}

#[test]
fn flags_change_only_where_they_change() {
    each(|world| {
        let alice = world.alice;
        world.fill(3);
        world.deliver(INBOX, &mail(4), Flags::SEEN);
        let change = move |world: &World, set: &str, how: FlagChange, since: Option<ModSeq>| {
            let set = uids(set);
            world.write(move |tx| flags::change(tx, &by(), alice, INBOX, &set, &how, since)).unwrap()
        };
        let first = change(world, "1:9", FlagChange::Add(Flags::SEEN, vec![keyword("Work"), keyword("$junk")]), None);
        assert_eq!(first.changed.len(), 4);
        assert_eq!(first.changed[0].keywords.iter().collect::<Vec<_>>(), ["Work", "$Junk"]);
        // Spelled otherwise it is the same keyword: nothing changes, no operation.
        let again = change(world, "2", FlagChange::Add(Flags::SEEN, vec![keyword("WORK")]), None);
        assert_eq!((again.modseq, again.unchanged), (None, uids("2")));
        let removed = change(world, "2:3", FlagChange::Remove(Flags::SEEN, vec![keyword("work"), keyword("x")]), None);
        assert_eq!(removed.changed[0].keywords.iter().collect::<Vec<_>>(), ["$Junk"]);
        let stale = change(world, "1:4", FlagChange::Add(Flags::DELETED, vec![]), first.modseq);
        assert_eq!(stale.modified, uids("2:3"));
        assert_eq!(stale.changed.iter().map(|entry| entry.uid).collect::<Vec<_>>(), [1, 4]);
        let replaced = change(world, "1", FlagChange::Replace(Flags::DRAFT, vec![keyword("b"), keyword("a")]), None);
        assert_eq!(replaced.changed[0].flags, Flags::DRAFT);
        change(world, "3", FlagChange::Remove(Flags::NONE, vec![keyword("$Junk")]), None);
        let (entries, names, row) = world
            .read(move |tx| {
                let query = Query { uids: &UidSet::all(), want: Want::Flags, changed_since: None, limit: 10 };
                let entries = view::entries(tx, alice, INBOX, &query)?;
                Ok((entries, view::keywords(tx, alice, INBOX)?, mailboxes::by_id(tx, alice, INBOX)?.unwrap()))
            })
            .unwrap();
        let texts: Vec<String> = entries.iter().map(|e| e.keywords.iter().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(texts, ["b a", "$Junk", "", "Work $Junk"]);
        let mut names_sorted = names;
        names_sorted.sort();
        assert_eq!(names_sorted, ["$Junk", "Work", "a", "b"]);
        assert_eq!((row.unseen, row.deleted), (3, 1));
        world.audit();
    });
}

#[test]
fn copies_and_moves_keep_order_flags_and_content() {
    each(|world| {
        let alice = world.alice;
        world.fill(4);
        let (archive, copied, moved) = world
            .write(move |tx| {
                let archive = mailboxes::by_role(tx, alice, Role::Archive)?.unwrap().id;
                let add = FlagChange::Add(Flags::SEEN, vec![keyword("Blue")]);
                flags::change(tx, &by(), alice, INBOX, &uids("2"), &add, None)?;
                let copied = copy::copy(tx, &by(), alice, INBOX, &uids("2,4,9"), archive)?;
                let moved = copy::move_to(tx, &by(), alice, INBOX, &uids("1,4"), archive)?;
                Ok((archive, copied, moved))
            })
            .unwrap();
        assert_eq!((copied.source, copied.target), (uids("2,4"), uids("1:2")));
        assert_eq!((moved.source.clone(), moved.target), (uids("1,4"), uids("3:4")));
        let (inbox, there, names, used) = world
            .read(move |tx| {
                let query = Query { uids: &UidSet::all(), want: Want::Facts, changed_since: None, limit: 10 };
                let inbox = view::uids(tx, alice, INBOX)?;
                let there = view::entries(tx, alice, archive, &query)?;
                Ok((inbox, there, view::keywords(tx, alice, archive)?, quota::of(tx, alice)?))
            })
            .unwrap();
        assert_eq!(inbox, [2, 3]);
        assert_eq!(there.len(), 4);
        assert!(there[0].keywords.contains("blue") && there[0].flags == Flags::SEEN);
        assert_eq!(there[1].message, there[3].message);
        assert_eq!(names, ["Blue"]);
        assert_eq!(used.used_messages, 4);
        let gone = world.write(move |tx| expunge::removed(tx, alice, INBOX, 10)).unwrap();
        assert_eq!(gone, [], "what moved is not restorable");
        // Into the same mailbox: new places for the same messages.
        let same = world.write(move |tx| copy::move_to(tx, &by(), alice, archive, &uids("1:2"), archive)).unwrap();
        assert_eq!(same.target, uids("5:6"));
        let nothing = world.write(move |tx| copy::copy(tx, &by(), alice, INBOX, &uids("77"), archive)).unwrap();
        assert_eq!(nothing.modseq, None);
        let nowhere = world.write(move |tx| copy::copy(tx, &by(), alice, INBOX, &uids("2"), MailboxId(99)));
        assert!(matches!(nowhere, Err(Error::NotFound(_))));
        world.audit();
    });
}

#[test]
fn expunged_messages_leave_the_quota_and_can_be_restored() {
    each(|world| {
        let alice = world.alice;
        world.fill(5);
        let (gone, rest) = world
            .write(move |tx| {
                let trash = mailboxes::by_role(tx, alice, Role::Trash)?.unwrap().id;
                copy::copy(tx, &by(), alice, INBOX, &uids("2"), trash)?;
                let add = FlagChange::Add(Flags::DELETED, vec![keyword("Old")]);
                flags::change(tx, &by(), alice, INBOX, &uids("1:3"), &add, None)?;
                let gone = expunge::expunge(tx, &by(), alice, INBOX, Some(&uids("2:5")))?;
                Ok((gone, expunge::expunge(tx, &by(), alice, INBOX, None)?))
            })
            .unwrap();
        assert_eq!((gone.uids, rest.uids), (uids("2:3"), uids("1")));
        let used = world.read(move |tx| quota::of(tx, alice)).unwrap();
        assert_eq!(used.used_messages, 3, "the copy in Trash still counts");
        let removed = world.read(move |tx| expunge::removed(tx, alice, INBOX, 10)).unwrap();
        assert_eq!(removed.iter().map(|entry| entry.uid).collect::<Vec<_>>(), [1, 3, 2]);
        let back = world.write(move |tx| expunge::restore(tx, &by(), alice, INBOX, &uids("1:3"), INBOX)).unwrap();
        assert_eq!((back.source, back.target), (uids("1:3"), uids("6:8")));
        let again = world.write(move |tx| expunge::restore(tx, &by(), alice, INBOX, &uids("1:3"), INBOX)).unwrap();
        assert_eq!(again.modseq, None);
        let (all, used) = world.read(move |tx| Ok((view::uids(tx, alice, INBOX)?, quota::of(tx, alice)?))).unwrap();
        assert_eq!(all, [4, 5, 6, 7, 8]);
        assert_eq!(used.used_messages, 5);
        world.audit();
    });
}

#[test]
fn an_operation_on_a_thousand_entries_costs_the_statements_of_one() {
    each(|world| {
        let alice = world.alice;
        world.fill(1_000);
        type Op = fn(&mut postroad_store::WriteTx, postroad_store::AccountId, &UidSet) -> Result<(), Error>;
        let operations: [(&str, Op); 5] = [
            ("store", |tx, alice, set| {
                let change = FlagChange::Add(Flags::DELETED, vec![]);
                flags::change(tx, &by(), alice, INBOX, set, &change, None).map(drop)
            }),
            ("store keywords", |tx, alice, set| {
                let change = FlagChange::Add(Flags::NONE, vec![keyword("k"), keyword("l")]);
                flags::change(tx, &by(), alice, INBOX, set, &change, None).map(drop)
            }),
            ("copy", |tx, alice, set| copy::copy(tx, &by(), alice, INBOX, set, MailboxId(2)).map(drop)),
            ("expunge", |tx, alice, set| expunge::expunge(tx, &by(), alice, INBOX, Some(set)).map(drop)),
            ("move", |tx, alice, _| copy::move_to(tx, &by(), alice, MailboxId(2), &UidSet::all(), INBOX).map(drop)),
        ];
        for (what, operation) in operations {
            let cost = |set: UidSet| {
                world
                    .write(move |tx| {
                        let before = tx.statements();
                        operation(tx, alice, &set)?;
                        Ok(tx.statements() - before)
                    })
                    .unwrap()
            };
            if what == "move" {
                // First all thousand, then one of them back and forth.
                let many = cost(UidSet::all());
                world
                    .write(move |tx| copy::copy(tx, &by(), alice, INBOX, &UidSet::single(1_001), MailboxId(2)))
                    .unwrap();
                // Pages go to PostgreSQL in sets whose sizes are powers of two.
                let one = cost(UidSet::all());
                assert!(one <= many && many <= 14, "{what}: {one} {many}");
                continue;
            }
            let one = cost(uids("1"));
            let many = cost(uids("2:1000"));
            // The first use of a keyword makes the mailbox know it.
            let first = u64::from(what == "store keywords");
            assert_eq!(one, many + first, "{what}");
            assert!(many <= 10, "{what}: {many}");
        }
        world.audit();
    });
}

#[test]
fn looking_and_delivering_cost_a_constant_number_of_statements() {
    each(|world| {
        let alice = world.alice;
        world.fill(300);
        let arrival = world.arrival(&mail(1_000));
        let costs = world
            .write(move |tx| {
                let mut kept = Kept::put(tx, &arrival)?;
                let mut costs = Vec::new();
                let mut last = tx.statements();
                let mut paid = |tx: &postroad_store::WriteTx, what| {
                    costs.push((what, tx.statements() - last));
                    last = tx.statements();
                };
                deliver::deliver(tx, &by(), alice, INBOX, &mut kept, &Filing::default())?;
                paid(tx, "deliver");
                kept.finish(tx)?;
                paid(tx, "finish");
                let row = mailboxes::by_id(tx, alice, INBOX)?.unwrap();
                paid(tx, "select");
                view::first_unseen(tx, alice, &row)?;
                paid(tx, "first unseen");
                changes_since(tx, alice, INBOX, Mark::at(row.highest_modseq), 100)?;
                paid(tx, "no changes");
                changes_since(tx, alice, INBOX, Mark::at(ModSeq(1)), 1_000)?;
                paid(tx, "changes");
                let query = Query { uids: &UidSet::all(), want: Want::Summary, changed_since: None, limit: 1_000 };
                view::entries(tx, alice, INBOX, &query)?;
                paid(tx, "fetch");
                Ok(costs)
            })
            .unwrap();
        let expected = [
            ("deliver", 8),
            ("finish", 0),
            ("select", 1),
            ("first unseen", 1),
            ("no changes", 1),
            ("changes", 5),
            ("fetch", 2),
        ];
        assert_eq!(costs, expected);
    });
}

#[test]
fn changes_are_told_in_pieces_and_across_the_retention() {
    each(|world| {
        let alice = world.alice;
        world.fill(20);
        let start = world.read(move |tx| Ok(mailboxes::by_id(tx, alice, INBOX)?.unwrap().highest_modseq)).unwrap();
        let quiet = world.read(move |tx| changes_since(tx, alice, INBOX, Mark::at(start), 5)).unwrap();
        assert!(quiet.changed.is_empty() && quiet.vanished.is_empty() && !quiet.more);
        world
            .write(move |tx| {
                let seen = FlagChange::Add(Flags::SEEN, vec![]);
                flags::change(tx, &by(), alice, INBOX, &uids("1:12"), &seen, None)?;
                expunge::remove(tx, &by(), alice, INBOX, &uids("3,19:20"))?;
                Ok(())
            })
            .unwrap();
        let (mut mark, mut told, mut pieces) = (Mark::at(start), Vec::new(), 0);
        loop {
            let changes = world.read(move |tx| changes_since(tx, alice, INBOX, mark, 5)).unwrap();
            assert_eq!(changes.vanished, if pieces == 0 { uids("3,19:20") } else { changes.vanished.clone() });
            assert!(changes.changed.len() <= 5);
            told.extend(changes.changed.iter().map(|entry| entry.uid));
            mark = changes.mark;
            pieces += 1;
            if !changes.more {
                break;
            }
        }
        assert_eq!(told, [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(pieces, 3);
        let swept = world
            .write(move |tx| {
                assert_eq!(retention::due(tx, Timestamp(common::NOW.0 + 1), 10)?, [alice]);
                retention::sweep(tx, alice, Timestamp(common::NOW.0 + 1))
            })
            .unwrap();
        assert_eq!((swept.entries, swept.messages, swept.more), (3, 3, false));
        let forgotten = world.read(move |tx| changes_since(tx, alice, INBOX, Mark::at(start), 50)).unwrap();
        assert_eq!(forgotten.vanished, uids("3,19:20"), "told from the journal");
        world.audit();
    });
}

#[test]
fn entries_are_read_in_sets_with_limits() {
    each(|world| {
        let alice = world.alice;
        world.fill(30);
        world.write(move |tx| expunge::remove(tx, &by(), alice, INBOX, &uids("5:9"))).unwrap();
        let cases: [(&str, usize, &str); 6] = [
            ("1:4294967295", 100, "1:4,10:30"),
            ("1:4294967295", 6, "1:4,10:11"),
            ("3:6,9:11,20:4294967295", 100, "3:4,10:11,20:30"),
            ("3:6,9:11,20:4294967295", 5, "3:4,10:11,20"),
            ("5:8,100:200", 5, ""),
            ("2,4,6,8,10,12", 4, "2,4,10,12"),
        ];
        for (set, limit, expected) in cases {
            for want in [Want::Flags, Want::Facts, Want::Summary] {
                let set = uids(set);
                let got: UidSet = world
                    .read(move |tx| {
                        let query = Query { uids: &set, want, changed_since: None, limit };
                        Ok(view::entries(tx, alice, INBOX, &query)?.iter().map(|entry| entry.uid).collect())
                    })
                    .unwrap();
                assert_eq!(got.to_string(), expected);
            }
        }
        let changed: UidSet = world
            .write(move |tx| {
                let add = FlagChange::Add(Flags::SEEN, vec![]);
                let since = mailboxes::by_id(tx, alice, INBOX)?.unwrap().highest_modseq;
                flags::change(tx, &by(), alice, INBOX, &uids("2,12,30"), &add, None)?;
                let all = UidSet::all();
                let query = Query { uids: &all, want: Want::Flags, changed_since: Some(since), limit: 100 };
                let mut got = view::entries(tx, alice, INBOX, &query)?;
                let some = uids("1:5,7:12");
                got.extend(view::entries(tx, alice, INBOX, &Query { uids: &some, ..query })?);
                assert_eq!(got.len(), 5);
                let row = mailboxes::by_id(tx, alice, INBOX)?.unwrap();
                assert_eq!(view::first_unseen(tx, alice, &row)?, Some(1));
                assert_eq!(changes::touched_since(tx, alice, INBOX, since)?, Some(uids("2,12,30")));
                assert_eq!(view::uids_by_flags(tx, alice, INBOX, Flags::SEEN, Flags::NONE)?, uids("2,12,30"));
                assert_eq!(view::uids_by_flags(tx, alice, INBOX, Flags::NONE, Flags::SEEN)?.count(), 22);
                assert_eq!(view::entries_before(tx, alice, INBOX, 12)?, 6);
                assert_eq!(view::claim_recent(tx, alice, INBOX)?, 1);
                assert_eq!(view::claim_recent(tx, alice, INBOX)?, 31);
                Ok(got.iter().map(|entry| entry.uid).collect())
            })
            .unwrap();
        assert_eq!(changed, uids("2,12,30"));
    });
}

#[test]
fn replies_join_the_conversation() {
    each(|world| {
        let reply = |id: &str, to: &str| {
            format!("Message-ID: <{id}@x>\r\nIn-Reply-To: <{to}@x>\r\nSubject: Re: a\r\n\r\nhi\r\n")
        };
        let a = world.deliver(INBOX, "Message-ID: <a@x>\r\nSubject: a\r\n\r\nhi\r\n", Flags::NONE);
        let b = world.deliver(INBOX, &reply("b", "a"), Flags::NONE);
        let other = world.deliver(INBOX, &reply("c", "z"), Flags::NONE);
        let late = world.deliver(MailboxId(2), &reply("d", "b"), Flags::NONE);
        assert_eq!(a.thread, b.thread);
        assert_eq!(a.thread, late.thread);
        assert_ne!(a.thread, other.thread);
    });
}

#[test]
fn every_operation_is_one_row_of_the_journal() {
    each(|world| {
        let alice = world.alice;
        world.fill(2);
        world
            .write(move |tx| {
                let add = FlagChange::Add(Flags::SEEN, vec![]);
                flags::change(tx, &by(), alice, INBOX, &uids("1:2"), &add, None)?;
                mailboxes::create(tx, &by(), alice, &name("a/b"), None)?;
                copy::move_to(tx, &by(), alice, INBOX, &uids("2"), MailboxId(2))?;
                expunge::remove(tx, &by(), alice, INBOX, &uids("1"))?;
                Ok(())
            })
            .unwrap();
        let rows = world.read(move |tx| journal::changes(tx, alice, ModSeq(0), 100)).unwrap();
        let names: Vec<&str> = rows.iter().map(|row| row.operation.name()).collect();
        assert_eq!(names, ["account", "append", "append", "flags", "create", "move", "expunge"]);
        assert_eq!(rows.iter().map(|row| row.modseq.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(rows[3].before, b"0\t\t1:2\n");
        assert_eq!((rows[5].uids.clone(), rows[5].other_uids.clone()), (uids("2"), uids("1")));
        assert_eq!(rows[6].actor, "admin");
    });
}

#[test]
fn keywords_have_limits_and_valid_forms() {
    for bad in ["", "\\Seen", "a b", "a(b", "a\"b", "ü", "a]b", &"k".repeat(256)] {
        assert_eq!(Keyword::parse(bad), None, "{bad}");
    }
    assert_eq!(Keyword::parse("$FORWARDED").unwrap().as_str(), "$Forwarded");
    each(|world| {
        let alice = world.alice;
        world.fill(1);
        let many: Vec<Keyword> = (0..=flags::MAX_NAMED).map(|i| keyword(&format!("k{i}"))).collect();
        let few = many[..flags::MAX_NAMED].to_vec();
        let too_many = world.write(move |tx| {
            flags::change(tx, &by(), alice, INBOX, &uids("1"), &FlagChange::Add(Flags::NONE, many), None)
        });
        assert!(matches!(too_many, Err(Error::Limit(_))));
        let enough = world
            .write(move |tx| {
                let add = FlagChange::Add(Flags::NONE, few.clone());
                flags::change(tx, &by(), alice, INBOX, &uids("1"), &add, None)?;
                let remove = FlagChange::Remove(Flags::NONE, few);
                flags::change(tx, &by(), alice, INBOX, &uids("1"), &remove, None)
            })
            .unwrap();
        assert!(enough.changed[0].keywords.is_empty());
    });
}

#[test]
fn sets_too_large_to_list_are_looked_at_as_a_whole() {
    each(|world| {
        let alice = world.alice;
        world.fill(400);
        let (changed, gone, all) = world
            .write(move |tx| {
                // Each copy doubles the mailbox: 25,600 entries.
                for _ in 0..6 {
                    copy::copy(tx, &by(), alice, INBOX, &UidSet::all(), INBOX)?;
                }
                let add = FlagChange::Add(Flags::FLAGGED, vec![]);
                let set = uids("2:3,7,101:25000,25599:4294967295");
                let changed = flags::change(tx, &by(), alice, INBOX, &set, &add, None)?;
                let open = uids("1,25000,25600:4294967295");
                let gone = expunge::remove(tx, &by(), alice, INBOX, &open)?;
                let query = Query {
                    uids: &uids("1:9,11:4294967295"),
                    want: Want::Flags,
                    changed_since: None,
                    limit: usize::MAX,
                };
                let all: UidSet = view::entries(tx, alice, INBOX, &query)?.iter().map(|entry| entry.uid).collect();
                Ok((changed, gone, all))
            })
            .unwrap();
        let changed: UidSet = changed.changed.iter().map(|entry| entry.uid).collect();
        assert_eq!(changed.to_string(), "2:3,7,101:25000,25599:25600");
        assert_eq!(gone.uids.to_string(), "1,25000,25600");
        assert_eq!(all.to_string(), "2:9,11:24999,25001:25599");
        world.audit();
    });
}

#[test]
fn the_places_of_a_message_are_told() {
    each(|world| {
        let alice = world.alice;
        let trace = TraceId(77);
        let arrival = world.arrival(&mail(1));
        world
            .write(move |tx| {
                let filing = Filing { trace: Some(trace), ..Filing::default() };
                deliver::append(tx, &by(), alice, INBOX, &arrival, &filing)?;
                copy::move_to(tx, &by(), alice, INBOX, &uids("1"), MailboxId(4))?;
                let later = By::new(Timestamp(common::NOW.0 + 1), Actor::System);
                copy::copy(tx, &later, alice, MailboxId(4), &uids("1"), INBOX)?;
                expunge::remove(tx, &later, alice, INBOX, &uids("2"))?;
                Ok(())
            })
            .unwrap();
        let places = world.read(move |tx| history::places(tx, trace)).unwrap();
        let told: Vec<String> = places.iter().map(ToString::to_string).collect();
        let expected = [
            "moved from INBOX of alice@example.test, uid 1, to Archive (admin)",
            "is in Archive of alice@example.test, uid 1",
            "removed from INBOX of alice@example.test, uid 2 (system)",
        ];
        assert_eq!(told, expected);
        assert_eq!(world.read(|tx| history::places(tx, TraceId(78))).unwrap(), []);
    });
}

#[test]
fn moves_of_many_are_followed_back_to_where_each_began() {
    each(|world| {
        let alice = world.alice;
        world.fill(5);
        let trace = TraceId(79);
        let arrival = world.arrival(&mail(9));
        world
            .write(move |tx| {
                let filing = Filing { trace: Some(trace), ..Filing::default() };
                deliver::append(tx, &by(), alice, INBOX, &arrival, &filing)?;
                let at = |after| By::new(Timestamp(common::NOW.0 + after), Actor::Admin);
                copy::move_to(tx, &at(1), alice, INBOX, &uids("2,4:6"), MailboxId(4))?;
                copy::move_to(tx, &at(2), alice, MailboxId(4), &uids("1:2,4"), MailboxId(5))?;
                copy::move_to(tx, &at(3), alice, MailboxId(5), &uids("3"), MailboxId(5))?;
                expunge::remove(tx, &at(4), alice, MailboxId(5), &uids("4"))?;
                Ok(())
            })
            .unwrap();
        let places = world.read(move |tx| history::places(tx, trace)).unwrap();
        let told: Vec<String> = places.iter().map(ToString::to_string).collect();
        let expected = [
            "moved from INBOX of alice@example.test, uid 6, to Archive (admin)",
            "moved from Archive of alice@example.test, uid 4, to Junk (admin)",
            "moved from Junk of alice@example.test, uid 3, to Junk (admin)",
            "removed from Junk of alice@example.test, uid 4 (admin)",
        ];
        assert_eq!(told, expected);
        let since: Vec<i64> = places.iter().map(|place| place.since.0 - common::NOW.0).collect();
        assert_eq!(since, [0, 1, 2, 3]);
        world.audit();
    });
}

#[test]
fn deleted_messages_are_found_among_others() {
    each(|world| {
        world.fill(30);
        let alice = world.alice;
        let only = uids("4:29");
        world
            .write(move |tx| {
                let deleted = FlagChange::Add(Flags::DELETED, vec![]);
                flags::change(tx, &by(), alice, INBOX, &uids("3,7,28,30"), &deleted, None)?;
                let found = view::uids_by_flags(tx, alice, INBOX, Flags::DELETED, Flags::SEEN)?;
                assert_eq!(found.to_string(), "3,7,28,30");
                let gone = expunge::expunge(tx, &by(), alice, INBOX, Some(&only))?;
                assert_eq!(gone.uids.to_string(), "7,28");
                let gone = expunge::expunge(tx, &by(), alice, INBOX, None)?;
                assert_eq!(gone.uids.to_string(), "3,30");
                Ok(())
            })
            .unwrap();
        world.audit();
    });
}

/// A range of uids is changed as a range, whichever of it have the flag already.
#[test]
fn of_a_range_only_what_changes_gets_the_new_modseq() {
    each(|world| {
        world.fill(9);
        let alice = world.alice;
        let (first, second, entries) = world
            .write(move |tx| {
                let add = FlagChange::Add(Flags::SEEN | Flags::FLAGGED, vec![]);
                let seen = FlagChange::Add(Flags::SEEN, vec![]);
                flags::change(tx, &by(), alice, INBOX, &uids("2,5"), &seen, None)?;
                let first = flags::change(tx, &by(), alice, INBOX, &uids("4:6,8"), &add, None)?;
                let second = flags::change(tx, &by(), alice, INBOX, &uids("1:8"), &add, None)?;
                let query = Query { uids: &UidSet::all(), want: Want::Flags, changed_since: None, limit: 20 };
                Ok((first, second, view::entries(tx, alice, INBOX, &query)?))
            })
            .unwrap();
        let changed: Vec<u32> = second.changed.iter().map(|entry| entry.uid).collect();
        assert_eq!((changed, second.unchanged.to_string()), (vec![1, 2, 3, 7], "4:6,8".to_owned()));
        for entry in entries {
            let (flags, modseq) = match entry.uid {
                1..=3 | 7 => (Flags::SEEN | Flags::FLAGGED, second.modseq),
                4..=6 | 8 => (Flags::SEEN | Flags::FLAGGED, first.modseq),
                _ => (Flags::NONE, Some(entry.modseq)),
            };
            assert_eq!((entry.flags, Some(entry.modseq)), (flags, modseq), "uid {}", entry.uid);
        }
        world.audit();
    });
}

/// More pages than one statement reads: nothing is left out, nothing told twice.
#[test]
fn mailboxes_of_many_pages_are_read_to_their_end() {
    each(|world| {
        let alice = world.alice;
        let uid = |number: u32| number * 1_280 + 5;
        world
            .write(move |tx| {
                for number in 0..700 {
                    // Every other one is deleted and was never read.
                    let odd = i64::from(number % 2);
                    let runs = if odd == 1 { "5 8 1\n" } else { "5 1 1\n" };
                    tx.execute(
                        "INSERT INTO entry_page (account, mailbox, page, runs, sizes, entries, unseen, deleted)
                         VALUES ($1, 1, $2, $3, '7 ', 1, $4, $4)",
                        params![alice, uid(number) / 128, runs, odd],
                    )?;
                }
                Ok(())
            })
            .unwrap();
        let all: Vec<u32> = (0..700).map(uid).collect();
        let odd: UidSet = (0..700).filter(|number| number % 2 == 1).map(uid).collect();
        world
            .read(move |tx| {
                assert_eq!(view::uids(tx, alice, INBOX)?, all);
                for (limit, from, count) in [(10_000, 0, 700), (600, 0, 600), (256, 0, 256), (10_000, 100, 600)] {
                    let set = UidSet::range(uid(from), u32::MAX);
                    let query = Query { uids: &set, want: Want::Flags, changed_since: None, limit };
                    let mut told = Vec::new();
                    view::glance(tx, alice, INBOX, &query, |entry| {
                        told.push(entry.uid);
                        ControlFlow::Continue(())
                    })?;
                    assert_eq!(told, all[from as usize..][..count], "{limit} from {from}");
                }
                assert_eq!(view::uids_by_flags(tx, alice, INBOX, Flags::DELETED, Flags::NONE)?, odd);
                assert_eq!(view::uids_by_flags(tx, alice, INBOX, Flags::NONE, Flags::SEEN)?, odd);
                assert_eq!(view::entries_before(tx, alice, INBOX, uid(650))?, 650);
                let last: UidSet = odd.iter().skip(340).collect();
                assert_eq!(view::unseen_from(tx, alice, INBOX, 1, 10)?, last);
                Ok(())
            })
            .unwrap();
    });
}
