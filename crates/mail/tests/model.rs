//! Random operations against a simple model: entries, uids, flags, modseqs, counters, and what
//! `changes_since` tells equals the difference of two looks.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{NOW, World, by, keyword, mail, name};
use postroad_mail::changes::{Mark, changes_since};
use postroad_mail::deliver::{self, Filing};
use postroad_mail::view::{self, Query, Want};
use postroad_mail::{
    FlagChange, Flags, MailboxId, MessageId, UidSet, accounts, audit, copy, expunge, flags, mailboxes, retention,
};
use postroad_store::{ModSeq, Timestamp};
use postroad_testkit::TestStore;

/// Small, seeded, the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    fn flags(&mut self) -> Flags {
        Flags::from_bits(i64::try_from(self.below(32)).unwrap())
    }

    fn keywords(&mut self) -> Vec<&'static str> {
        (0..self.below(3)).map(|_| self.pick(&["a", "ab", "b", "$Junk", "A"])).collect()
    }

    fn uids(&mut self, next: u32) -> UidSet {
        (0..=self.below(3))
            .map(|_| {
                let low = u32::try_from(self.below(u64::from(next) + 2)).unwrap();
                (low, low + u32::try_from(self.below(4)).unwrap())
            })
            .fold(UidSet::new(), |set, (low, high)| set.union(&UidSet::range(low, high)))
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    message: MessageId,
    flags: Flags,
    keywords: BTreeSet<String>,
    modseq: i64,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Box_ {
    next: u32,
    entries: BTreeMap<u32, Entry>,
    restorable: BTreeMap<u32, Entry>,
}

#[derive(Debug, Clone)]
struct Model {
    modseq: i64,
    boxes: BTreeMap<i64, Box_>,
    next_box: i64,
    used: BTreeSet<i64>,
}

impl Model {
    fn put(&mut self, to: i64, entries: Vec<Entry>) {
        let modseq = self.modseq;
        let target = self.boxes.get_mut(&to).unwrap();
        for mut entry in entries {
            entry.modseq = modseq;
            target.entries.insert(target.next, entry);
            target.next += 1;
        }
    }

    fn chosen(&self, id: i64, set: &UidSet) -> Vec<(u32, Entry)> {
        let all = self.boxes[&id].entries.iter();
        all.filter(|(uid, _)| set.contains(**uid)).map(|(uid, entry)| (*uid, entry.clone())).collect()
    }
}

/// The folded keywords after a change, as the RFC says.
fn applied(entry: &Entry, change: &FlagChange) -> (Flags, BTreeSet<String>) {
    let fold = |keywords: &[postroad_mail::Keyword]| keywords.iter().map(|k| k.folded()).collect::<BTreeSet<_>>();
    match change {
        FlagChange::Add(flags, keywords) => (entry.flags | *flags, &entry.keywords | &fold(keywords)),
        FlagChange::Remove(flags, keywords) => (entry.flags.without(*flags), &entry.keywords - &fold(keywords)),
        FlagChange::Replace(flags, keywords) => (*flags, fold(keywords)),
    }
}

fn step(world: &World, dice: &mut Dice, model: &mut Model, number: usize) {
    let alice = world.alice;
    let ids: Vec<i64> = model.boxes.keys().copied().collect();
    let (at, to) = (dice.pick(&ids), dice.pick(&ids));
    let (from, target) = (MailboxId(at), MailboxId(to));
    let set = dice.uids(model.boxes[&at].next);
    let keywords = dice.keywords();
    match dice.below(12) {
        0..=3 => {
            let filing = Filing {
                flags: dice.flags(),
                keywords: keywords.iter().map(|text| keyword(text)).collect(),
                ..Filing::default()
            };
            let folded = filing.keywords.iter().map(|k| k.folded()).collect();
            let flags = filing.flags;
            let arrival = world.arrival(&mail(number));
            let got = world.write(move |tx| deliver::append(tx, &by(), alice, from, &arrival, &filing)).unwrap();
            model.modseq += 1;
            assert_eq!((got.uid, got.modseq.0), (model.boxes[&at].next, model.modseq));
            model.put(at, vec![Entry { message: got.message, flags, keywords: folded, modseq: 0 }]);
        }
        4 | 5 => change_flags(world, dice, model, at, &set, &keywords),
        6 => {
            let chosen = model.chosen(at, &set);
            let got = world.write(move |tx| copy::copy(tx, &by(), alice, from, &set, target)).unwrap();
            assert_eq!(got.source, chosen.iter().map(|(uid, _)| *uid).collect());
            if !chosen.is_empty() {
                model.modseq += 1;
                model.put(to, chosen.into_iter().map(|(_, entry)| entry).collect());
            }
        }
        7 => {
            let chosen = model.chosen(at, &set);
            let got = world.write(move |tx| copy::move_to(tx, &by(), alice, from, &set, target)).unwrap();
            assert_eq!(got.target.count(), chosen.len() as u64);
            if !chosen.is_empty() {
                model.modseq += 1;
                for (uid, _) in &chosen {
                    model.boxes.get_mut(&at).unwrap().entries.remove(uid);
                }
                model.put(to, chosen.into_iter().map(|(_, entry)| entry).collect());
            }
        }
        8 | 9 => {
            let only_deleted = dice.below(2) == 0;
            let mut chosen = model.chosen(at, &set);
            if only_deleted {
                chosen.retain(|(_, entry)| entry.flags.contains(Flags::DELETED));
            }
            let got = world
                .write(move |tx| match only_deleted {
                    true => expunge::expunge(tx, &by(), alice, from, Some(&set)),
                    false => expunge::remove(tx, &by(), alice, from, &set),
                })
                .unwrap();
            assert_eq!(got.uids, chosen.iter().map(|(uid, _)| *uid).collect());
            model.modseq += i64::from(!chosen.is_empty());
            for (uid, entry) in chosen {
                let own = model.boxes.get_mut(&at).unwrap();
                own.entries.remove(&uid);
                own.restorable.insert(uid, entry);
            }
        }
        10 => {
            let own = model.boxes.get_mut(&at).unwrap();
            let chosen: Vec<u32> = own.restorable.keys().copied().filter(|uid| set.contains(*uid)).collect();
            let mut back: Vec<Entry> = chosen.iter().filter_map(|uid| own.restorable.remove(uid)).collect();
            let got = world.write(move |tx| expunge::restore(tx, &by(), alice, from, &set, target)).unwrap();
            assert_eq!(got.source, chosen.into_iter().collect());
            if !back.is_empty() {
                model.modseq += 1;
                back.iter_mut().for_each(|entry| entry.flags = entry.flags.without(Flags::DELETED));
                model.put(to, back);
            }
        }
        _ => rare(world, dice, model, at),
    }
}

fn change_flags(world: &World, dice: &mut Dice, model: &mut Model, at: i64, set: &UidSet, keywords: &[&str]) {
    let alice = world.alice;
    let (bits, keywords) = (dice.flags(), keywords.iter().map(|text| keyword(text)).collect());
    let change = match dice.below(3) {
        0 => FlagChange::Add(bits, keywords),
        1 => FlagChange::Remove(bits, keywords),
        _ => FlagChange::Replace(bits, keywords),
    };
    let since = (dice.below(3) == 0).then(|| ModSeq(i64::try_from(dice.below(model.modseq as u64 + 1)).unwrap()));
    let (mut changed, mut modified) = (BTreeMap::new(), UidSet::new());
    for (uid, entry) in model.chosen(at, set) {
        if since.is_some_and(|since| entry.modseq > since.0) {
            modified.insert(uid);
            continue;
        }
        let (flags, keywords) = applied(&entry, &change);
        if (flags, &keywords) != (entry.flags, &entry.keywords) {
            changed.insert(uid, Entry { flags, keywords, modseq: model.modseq + 1, ..entry });
        }
    }
    let set = set.clone();
    let got = world.write(move |tx| flags::change(tx, &by(), alice, MailboxId(at), &set, &change, since)).unwrap();
    assert_eq!(got.modified, modified);
    assert_eq!(
        got.changed.iter().map(|entry| entry.uid).collect::<Vec<_>>(),
        changed.keys().copied().collect::<Vec<_>>()
    );
    model.modseq += i64::from(!changed.is_empty());
    model.boxes.get_mut(&at).unwrap().entries.extend(changed);
}

/// Mailboxes come and go; the retention passes.
fn rare(world: &World, dice: &mut Dice, model: &mut Model, at: i64) {
    let alice = world.alice;
    match dice.below(3) {
        0 if model.boxes.len() < 6 => {
            let name = name(&format!("box{}", model.next_box));
            let made = world.write(move |tx| mailboxes::create(tx, &by(), alice, &name, None)).unwrap();
            assert_eq!(made.id.0, model.next_box);
            model.modseq += 1;
            model.next_box += 1;
            model.boxes.insert(made.id.0, Box_ { next: 1, ..Box_::default() });
        }
        1 if at > 6 => {
            world
                .write(move |tx| {
                    let name = mailboxes::by_id(tx, alice, MailboxId(at))?.unwrap().name;
                    mailboxes::delete(tx, &by(), alice, &name)
                })
                .unwrap();
            model.modseq += 1;
            model.boxes.remove(&at);
        }
        _ => {
            while world.write(move |tx| retention::sweep(tx, alice, Timestamp(NOW.0 + 1))).unwrap().more {}
            for own in model.boxes.values_mut() {
                own.restorable.clear();
            }
        }
    }
}

/// Compares everything with the model.
fn look(world: &World, model: &mut Model) {
    let alice = world.alice;
    let ids: Vec<i64> = model.boxes.keys().copied().collect();
    let (account, faults, found) = world
        .read(move |tx| {
            let mut found = BTreeMap::new();
            for id in ids {
                let query = Query { uids: &UidSet::all(), want: Want::Flags, changed_since: None, limit: usize::MAX };
                let row = mailboxes::by_id(tx, alice, MailboxId(id))?.unwrap();
                found.insert(id, (row, view::entries(tx, alice, MailboxId(id), &query)?));
            }
            Ok((accounts::by_id(tx, alice)?.unwrap(), audit::audit(tx, alice)?, found))
        })
        .unwrap();
    assert_eq!(faults, []);
    assert_eq!(account.modseq.0, model.modseq);
    model.used.clear();
    for (id, (row, entries)) in found {
        let own = &model.boxes[&id];
        assert_eq!(row.uidnext, own.next);
        let got: BTreeMap<u32, Entry> = entries
            .into_iter()
            .map(|entry| {
                let keywords = entry.keywords.iter().map(str::to_ascii_lowercase).collect();
                let (flags, modseq) = (entry.flags, entry.modseq.0);
                (entry.uid, Entry { message: entry.message, flags, keywords, modseq })
            })
            .collect();
        assert_eq!(got, own.entries);
        model.used.extend(own.entries.values().map(|entry| entry.message.0));
    }
    assert_eq!(account.used_messages, model.used.len() as u64);
}

/// What `changes_since` tells since an earlier look is the difference.
fn told(world: &World, dice: &mut Dice, old: &Model, new: &Model) {
    let alice = world.alice;
    for (id, was) in &old.boxes {
        let (id, limit) = (*id, 1 + dice.below(5) as usize);
        let mut mark = Mark::at(ModSeq(old.modseq));
        let (mut changed, mut vanished) = (BTreeSet::new(), UidSet::new());
        let gone = loop {
            let changes = world.read(move |tx| changes_since(tx, alice, MailboxId(id), mark, limit)).unwrap();
            changed.extend(changes.changed.iter().map(|entry| entry.uid));
            vanished = vanished.union(&changes.vanished);
            mark = changes.mark;
            if !changes.more {
                break changes.mailbox.is_none();
            }
        };
        let Some(now) = new.boxes.get(&id) else {
            assert!(gone);
            continue;
        };
        let expected: BTreeSet<u32> =
            now.entries.iter().filter(|(_, entry)| entry.modseq > old.modseq).map(|(uid, _)| *uid).collect();
        assert_eq!(changed, expected);
        for uid in was.entries.keys() {
            assert_eq!(vanished.contains(*uid), !now.entries.contains_key(uid), "uid {uid} of {id}");
        }
        assert!(now.entries.keys().all(|uid| !vanished.contains(*uid)));
    }
}

fn run(test: &TestStore, seed: u64, steps: usize) {
    let world = World::new(test);
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let first = (1..=6).map(|id| (id, Box_ { next: 1, ..Box_::default() })).collect();
    let mut model = Model { modseq: 1, boxes: first, next_box: 7, used: BTreeSet::new() };
    let mut old = model.clone();
    for number in 0..steps {
        step(&world, &mut dice, &mut model, number);
        if number % 4 == 0 {
            look(&world, &mut model);
            told(&world, &mut dice, &old, &model);
        }
        if dice.below(8) == 0 {
            old = model.clone();
        }
    }
    look(&world, &mut model);
}

#[test]
fn random_operations_agree_with_the_model_in_memory() {
    for seed in 1..=12 {
        run(&TestStore::memory(&[postroad_mail::MIGRATIONS]), seed, 150);
    }
}

#[test]
fn random_operations_agree_with_the_model_on_sqlite() {
    run(&TestStore::sqlite(&[postroad_mail::MIGRATIONS]), 101, 200);
}

#[test]
fn random_operations_agree_with_the_model_on_postgresql() {
    run(&TestStore::postgres(&[postroad_mail::MIGRATIONS]), 202, 200);
}
