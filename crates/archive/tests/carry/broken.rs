//! Imports that end early go on later without doubles.

use std::io::{self, Read};

use postroad_archive::source::{Reading, Source};
use postroad_archive::{export, import};
use postroad_mail::{Actor, By, MailboxName, UidSet, accounts, expunge, mailboxes};
use postroad_store::Locks;

use crate::world::{NOW, World, message, on_each_store, put};

/// What one import says on the wire.
fn recorded(path: &std::path::Path) -> Vec<u8> {
    let source = Source::find(path, Reading::default()).unwrap();
    let mut wire = Vec::new();
    // Nobody answers: what was said is all that is wanted.
    let _ = import::send(&source, &mut wire, io::empty(), || {}, &mut |_| {});
    wire
}

fn receive(world: &World, wire: &[u8], options: &import::Options) -> postroad_archive::Result<()> {
    import::receive(&world.store, world.alice, options, NOW, wire, io::sink())
}

#[test]
fn whenever_the_connection_breaks_the_next_import_completes_it() {
    on_each_store(|world| {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..40 {
            let name = ["", ".Work"][number % 2];
            put(folder.path(), name, &format!("{number}.x:2,S"), &message(number), 5);
        }
        put(folder.path(), "", "50.x:2,", &[b"A: b\n\n".to_vec(), vec![b'\n'; 1_200_000]].concat(), 5);
        let wire = recorded(folder.path());
        let cuts = (0..30).map(|part| wire.len() / 30 * part).chain([3, 40, wire.len() - 1]);
        for cut in cuts {
            assert!(receive(world, &wire[..cut], &import::Options::default()).is_err(), "cut at {cut}");
            let inbox = world.counts(world.alice).values().sum::<u32>();
            assert!(inbox <= 41, "cut at {cut}");
            world.audit();
        }
        receive(world, &wire, &import::Options::default()).unwrap();
        assert_eq!(world.counts(world.alice).values().sum::<u32>(), 41);
        receive(world, &wire, &import::Options::default()).unwrap();
        assert_eq!(world.counts(world.alice).values().sum::<u32>(), 41);
        world.audit();
    });
}

#[test]
fn two_imports_at_the_same_time_file_each_message_once() {
    on_each_store(|world| {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..200 {
            put(folder.path(), "", &format!("{number}.x:2,S"), &message(number), 5);
        }
        let wire = recorded(folder.path());
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| receive(world, &wire, &import::Options::default()).unwrap());
            }
        });
        assert_eq!(world.counts(world.alice)["INBOX"], 200);
        world.audit();
    });
}

#[test]
fn garbage_on_the_wire_is_refused() {
    on_each_store(|world| {
        let wires: [&[u8]; 6] = [
            b"",
            b"\x02\x06\0\0\0\x02\0\0\0{}",
            b"\x04\0\0\0\0",
            b"\xff\0\0\0\0",
            b"\x01\x02\0\0\0[]",
            b"\x01\x13\0\0\0{\"levels\":[\"a\",\"b\"]}",
        ];
        for wire in wires {
            assert!(receive(world, wire, &import::Options::default()).is_err(), "{wire:?}");
        }
        let answer = export::serve(&world.store, world.alice, &export::Options::default(), io::sink(), io::empty());
        assert!(answer.is_err());
        let (_, result) = export::write(
            tempfile::tempdir().unwrap().path(),
            postroad_archive::source::Format::Maildir,
            export::Newline::Kept,
            io::repeat(7).take(100),
            io::sink(),
            &mut |_| {},
        );
        assert!(result.is_err());
    });
}

#[test]
fn a_full_account_takes_what_fits_and_goes_on_later() {
    on_each_store(|world| {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..60 {
            put(folder.path(), "", &format!("{number:02}.x:2,"), &message(number), 5);
        }
        let alice = world.alice;
        let quota = move |messages| {
            let by = By::new(NOW, Actor::Admin);
            let locks = Locks::named(accounts::DIRECTORY_LOCK).and(Locks::account(alice));
            world.store.write_blocking(locks, move |tx| accounts::set_quota(tx, &by, alice, 0, messages)).unwrap();
        };
        quota(37);
        let (report, result) = world.import(alice, folder.path(), &import::Options::default());
        assert!(result.unwrap_err().to_string().contains("quota is used up"));
        assert_eq!(report.taken, 37);
        assert_eq!(world.counts(alice)["INBOX"], 37);
        quota(50);
        let (report, result) = world.import(alice, folder.path(), &import::Options::default());
        assert!(result.is_err());
        assert_eq!((report.taken, report.known), (13, 37));
        let ignore = import::Options { ignore_quota: true, ..import::Options::default() };
        let (report, result) = world.import(alice, folder.path(), &ignore);
        result.unwrap();
        assert_eq!((report.taken, report.known), (10, 50));
    });
}

#[test]
fn what_was_removed_here_comes_back_only_when_asked_for() {
    on_each_store(|world| {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..4 {
            put(folder.path(), "", &format!("{number}.x:2,"), &message(number), 5);
        }
        world.imported(world.alice, folder.path());
        let alice = world.alice;
        let removed = world.store.write_blocking(Locks::account(alice), move |tx| {
            let inbox = mailboxes::find(tx, alice, &MailboxName::inbox())?.unwrap();
            expunge::remove(tx, &By::new(NOW, Actor::Admin), alice, inbox.id, &UidSet::range(2, 3))
        });
        removed.unwrap();
        assert_eq!(world.imported(alice, folder.path()).known, 4);
        let again = import::Options { again: true, ..import::Options::default() };
        let (report, result) = world.import(alice, folder.path(), &again);
        result.unwrap();
        assert_eq!((report.taken, report.known), (2, 2));
        assert_eq!(world.counts(alice)["INBOX"], 4);
        let (report, _) = world.import(alice, folder.path(), &again);
        assert_eq!((report.taken, report.known), (0, 4));
    });
}
