//! Tables of earlier versions become those of today: no flag, keyword or modseq is lost on the way.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::ops::ControlFlow;

use common::{World, by};
use postroad_mail::view::{self, Query, Want};
use postroad_mail::{Flags, MailboxId, UidSet, restored};
use postroad_store::dump::{self, Value};
use postroad_store::{Locks, Migration, ModSeq, ReadTx, params};
use postroad_testkit::{TestStore, each_store};

/// What an entry has: uid, flags' bits, keywords as stored, modseq, size.
type Marks = (u32, i64, String, i64, u64);

/// The tables as they were when entries still had their flags in their own rows.
fn before_pages() -> Vec<Migration> {
    let is_older = |one: &&Migration| one.owner != "mail" || one.version < 7;
    postroad_mail::MIGRATIONS.iter().filter(is_older).copied().collect()
}

/// Entries with gaps between their uids, on both sides of the ends of pages.
fn expected(last_modseq: i64) -> Vec<Marks> {
    let uids = (1..400).filter(|uid| uid % 7 != 3).chain([1_023, 1_024, 4_000_000_000]);
    let words = ["", "", " $Junk ", " $Junk later "];
    uids.map(|uid| {
        let number = u64::from(uid);
        let word = words[usize::try_from(uid / 50 % 4).unwrap()].to_owned();
        (uid, i64::from(uid / 20 % 32), word, 1 + i64::from(uid / 90) % last_modseq, 100 + number % 13)
    })
    .collect()
}

/// Fills INBOX of an account of `before_pages` as that version did. Answers with what its entries have.
fn fill(test: &TestStore, world: &World) -> Vec<Marks> {
    let alice = world.alice;
    let modseq = test
        .store
        .read_blocking(move |tx| tx.one("SELECT modseq FROM account WHERE id = $1", params![alice], |row| row.int(0)));
    let modseq = modseq.unwrap();
    let entries = expected(modseq);
    let rows = entries.clone();
    let filled = test.store.write_blocking(Locks::account(alice), move |tx| {
        for (uid, flags, keywords, modseq, size) in &rows {
            let size = i64::try_from(*size).unwrap();
            tx.execute(
                "INSERT INTO message (account, id, blob, size, received, thread, trace, summary)
                 VALUES ($1, $2, 1, $3, 1, $2, NULL, $4)",
                params![alice, i64::from(*uid), size, &b""[..]],
            )?;
            tx.execute(
                "INSERT INTO entry (account, mailbox, uid, message, flags, keywords, modseq, saved, size)
                 VALUES ($1, 1, $2, $2, $3, $4, $5, 1, $6)",
                params![alice, i64::from(*uid), *flags, keywords, *modseq, size],
            )?;
        }
        tx.execute(
            "UPDATE mailbox SET uidnext = 4000000001, messages = e.n, unseen = e.unseen, deleted = e.deleted, size = e.size,
                                highest_modseq = $2
             FROM (SELECT CAST(count(*) AS BIGINT) AS n, CAST(sum(size) AS BIGINT) AS size,
                          CAST(sum(CASE WHEN (flags & 1) = 0 THEN 1 ELSE 0 END) AS BIGINT) AS unseen,
                          CAST(sum(CASE WHEN (flags & 8) = 8 THEN 1 ELSE 0 END) AS BIGINT) AS deleted
                   FROM entry) AS e
             WHERE account = $1 AND id = 1",
            params![alice, modseq],
        )?;
        tx.execute(
            "UPDATE account SET used_messages = (SELECT count(*) FROM entry),
                                used_bytes = (SELECT CAST(sum(size) AS BIGINT) FROM entry) WHERE id = $1",
            params![alice],
        )
    });
    filled.unwrap();
    entries
}

fn marks(tx: &ReadTx, world: &World) -> Vec<Marks> {
    let query = Query { uids: &UidSet::all(), want: Want::Flags, changed_since: None, limit: 10_000 };
    let mut found = Vec::new();
    view::glance(tx, world.alice, MailboxId::INBOX, &query, |entry| {
        found.push((entry.uid, entry.flags.bits(), entry.keywords.to_owned(), entry.modseq.0, entry.size));
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

#[test]
fn flags_in_entries_become_pages() {
    each_store(&[&before_pages()], |test| {
        let world = World::new(test);
        let entries = fill(test, &world);
        let all: Vec<Migration> = postroad_store::MIGRATIONS.iter().chain(postroad_mail::MIGRATIONS).copied().collect();
        test.store.migrate(&all).unwrap();
        world.audit();
        let world_alice = World { store: world.store.clone(), alice: world.alice };
        let found = world.read(move |tx| Ok(marks(tx, &world_alice))).unwrap();
        assert_eq!(found, entries);
        let alice = world.alice;
        let change = postroad_mail::FlagChange::Add(Flags::SEEN, Vec::new());
        let all = UidSet::all();
        let changed = world
            .write(move |tx| postroad_mail::flags::change(tx, &by(), alice, MailboxId::INBOX, &all, &change, None));
        assert!(changed.unwrap().modseq > Some(ModSeq(1)));
        world.audit();
    });
}

#[test]
fn entries_of_an_older_backup_become_pages() {
    let older = TestStore::sqlite(&[&before_pages()]);
    let entries = fill(&older, &World::new(&older));
    let steps: Vec<Migration> = postroad_store::MIGRATIONS.iter().copied().chain(before_pages()).collect();
    let table = dump::tables(&steps).unwrap().into_iter().find(|table| table.name == "entry").unwrap();
    let of = table.clone();
    let rows: Vec<Vec<Value>> = older.store.read_blocking(move |tx| dump::page(tx, &of, None)).unwrap();
    each_store(&[postroad_mail::MIGRATIONS], |test| {
        let world = World::new(test);
        let (mut table, mut rows, alice) = (table.clone(), rows.clone(), world.alice);
        // In two batches, the second of which goes on in the middle of a page.
        let mut second = rows.split_off(100);
        world
            .write(move |tx| {
                let mut same = table.clone();
                restored::into_pages(tx, alice, &mut same, &mut rows)?;
                dump::load(tx, &same, &rows)?;
                restored::into_pages(tx, alice, &mut table, &mut second)?;
                Ok(dump::load(tx, &table, &second)?)
            })
            .unwrap();
        let again = World { store: world.store.clone(), alice: world.alice };
        assert_eq!(world.read(move |tx| Ok(marks(tx, &again))).unwrap(), entries);
    });
}
