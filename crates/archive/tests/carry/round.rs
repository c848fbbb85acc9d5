//! What goes in comes out: bytes, flags, keywords, dates, folders.

use std::path::Path;

use postroad_archive::import;
use postroad_archive::source::Format;

use crate::world::{message, on_each_store, put, shown};

/// Messages that are hard to keep as they are.
fn awkward() -> Vec<Vec<u8>> {
    let long = |newline: &str| {
        let mut bytes = format!("Subject: large{newline}{newline}").into_bytes();
        for number in 0..30_000 {
            bytes.extend_from_slice(format!("From line {number} of a message for no memory{newline}").as_bytes());
        }
        bytes
    };
    let mut all: Vec<Vec<u8>> = [
        &b""[..],
        b"\n",
        b"\r\n",
        b"no header, no newline",
        b"Subject: no body\n",
        b"Subject: no newline\n\nat the end",
        b"Subject: crlf\r\n\r\nbody\r\n",
        b"Subject: mixed\r\n\nbody\n\r\n",
        b"Subject: bare cr\n\na\rb\n\rc\r\r\n",
        b"Subject: cr at the end\n\nbody\r",
        b"Subject: nul\n\na\0b\n\xff\xfe\x80\n",
        b"Subject: \xc3\xa4\xff raw\n\nbody\n",
        b"From a@b Tue Mar  5 10:10:10 2019\nSubject: From_ inside\n\nbody\n",
        b"Subject: quoted\n\nFrom me\n>From you\n>>From all\n\nFrom a@b Tue Mar  5 10:10:10 2019\nX: y\n\n",
        b"Status: RO\nX-Keywords: own\n\nbody\n",
        b"A: b\nStatus: RO\n\nbody\n",
        b" begins with a blank\n\nbody\n",
        b"Content-Length: 3\n\nbody that is longer\n",
        b"X-Mozilla-Status: 0001\nA: b\n\nbody\n\n\n\n",
        b"A: b\n\n\n\n",
        b"\n\n\n",
    ]
    .map(<[u8]>::to_vec)
    .into();
    all.push([b"Subject: one line\n\n".to_vec(), vec![b'x'; 900_000]].concat());
    all.extend([
        long("\n"),
        long("\r\n"),
        [long("\n"), b"mixed\r\n".to_vec()].concat(),
        [long("\n"), b"end".to_vec()].concat(),
    ]);
    all
}

fn tree(root: &Path) -> usize {
    let folders = ["", ".Work", ".Work.2019", ".Entw&APw-rfe", ".a&AC4-b", ".&ZeVnLIqe-", ".Sent"];
    std::fs::create_dir_all(root).unwrap();
    std::fs::create_dir_all(root.join(".Work")).unwrap();
    std::fs::write(root.join(".Work/dovecot-keywords"), "0 $Label1\n1 $Label2\n2 work\n").unwrap();
    let mut count = 0;
    for (number, folder) in folders.iter().enumerate() {
        for letters in ["", "S", "FRS", "DFPRST", "Sac", "b"] {
            count += 1;
            let name = format!("{}.M{count}.host:2,{letters}", 1_500_000_000 + count);
            put(root, folder, &name, &message(count), 1_500_000_000 + 7 * count as u64 + number as u64);
        }
    }
    for bytes in awkward() {
        count += 1;
        put(
            root,
            ".Work",
            &format!("{}.M{count}.host:2,S", 1_500_000_000 + count),
            &bytes,
            1_400_000_000 + count as u64,
        );
    }
    // The same message twice is two messages.
    for _ in 0..2 {
        count += 1;
        put(root, "", &format!("{}.M{count}.host:2,", 1_500_000_000 + count), b"A: b\n\ntwin\n", 1_300_000_000);
    }
    count
}

/// Names of folders with a role are kept for these tests.
/// What changed in the source since it was taken is not what is here, and is said; what is here is.
#[test]
fn a_proof_fails_for_what_is_not_here_as_it_is_there() {
    on_each_store(|world| {
        let folder = tempfile::tempdir().unwrap();
        let large = [b"Subject: large\n\n".to_vec(), b"some line of it\n".repeat(200_000)].concat();
        for (number, octets) in [(1, message(1)), (2, message(2)), (3, message(2)), (4, large)] {
            put(folder.path(), ".Work", &format!("{number}.M.host:2,S"), &octets, 1_500_000_000);
        }
        let prove = import::Options { prove: true, ..import::Options::default() };
        let (before, result) = world.import(world.alice, folder.path(), &prove);
        result.unwrap();
        assert_eq!((before.is_proved(), before.there, before.equal, before.problem_count), (false, 4, 0, 4));
        assert!(world.counts(world.alice).is_empty(), "a proof makes nothing");

        world.imported(world.alice, folder.path());
        let (proof, result) = world.import(world.alice, folder.path(), &prove);
        result.unwrap();
        assert_eq!((proof.is_proved(), proof.there, proof.equal, proof.removed), (true, 4, 4, 0), "{proof:?}");

        put(folder.path(), ".Work", "1.M.host:2,S", b"Subject: another\n\n", 1_500_000_000);
        let (proof, result) = world.import(world.alice, folder.path(), &prove);
        result.unwrap();
        assert_eq!((proof.is_proved(), proof.equal), (false, 3));
        assert!(proof.problems[0].label.contains("1.M.host") && proof.problems[0].why == "is not here", "{proof:?}");
    });
}

fn keep_names() -> import::Options {
    import::Options { keep_names: true, ..import::Options::default() }
}

#[test]
fn a_maildir_comes_out_byte_for_byte() {
    on_each_store(|world| {
        let folder = tempfile::tempdir().unwrap();
        let (before, after) = (folder.path().join("before"), folder.path().join("after"));
        let count = tree(&before);
        let (report, result) = world.import(world.alice, &before, &keep_names());
        result.unwrap();
        assert_eq!((report.taken, report.known, report.problems.as_slice()), (count as u64, 0, &[][..]));
        let written = world.export(world.alice, &after, Format::Maildir);
        assert_eq!((written.written, written.known, written.problems.as_slice()), (count as u64, 0, &[][..]));
        let (expected, found) = (shown(&before), shown(&after));
        assert_eq!(expected.1, []);
        assert_eq!(expected.0.len(), found.0.len());
        for (expected, found) in expected.0.iter().zip(&found.0) {
            assert_eq!(
                String::from_utf8_lossy(&found.1[..found.1.len().min(200)]),
                String::from_utf8_lossy(&expected.1[..expected.1.len().min(200)])
            );
            assert!(found == expected, "{:?} {:?} and {:?} {:?}", expected.2, expected.3, found.2, found.3);
        }

        // Once more, both ways: nothing is doubled.
        let (again, result) = world.import(world.alice, &before, &keep_names());
        result.unwrap();
        assert_eq!((again.taken, again.known), (0, count as u64));
        let again = world.export(world.alice, &after, Format::Maildir);
        assert_eq!((again.written, again.known), (0, count as u64));
        assert!(shown(&after).0 == expected.0);
    });
}

#[test]
fn an_mbox_in_between_loses_nothing() {
    on_each_store(|world| {
        let folder = tempfile::tempdir().unwrap();
        let (before, mbox, after) =
            (folder.path().join("before"), folder.path().join("mbox"), folder.path().join("after"));
        let count = tree(&before) as u64;
        world.import(world.alice, &before, &keep_names()).1.unwrap();
        let written = world.export(world.alice, &mbox, Format::Mbox);
        assert_eq!((written.written, written.problems.as_slice()), (count, &[][..]));
        let (report, result) = world.import(world.bob, &mbox, &keep_names());
        result.unwrap();
        assert_eq!((report.taken, report.problems.as_slice()), (count, &[][..]));
        for mailbox in world.counts(world.alice).keys() {
            let mut expected = world.stored(world.alice, mailbox);
            let mut found = world.stored(world.bob, mailbox);
            expected.sort();
            found.sort();
            assert!(expected == found, "the same bytes are stored in {mailbox}");
        }
        world.export(world.bob, &after, Format::Maildir);
        assert!(shown(&before).0 == shown(&after).0);
        // What is there is not overwritten.
        let again = world.export(world.alice, &mbox, Format::Mbox);
        assert_eq!(again.written, 0);
        assert!(again.problems.iter().all(|problem| problem.why.contains("is there already")));
    });
}

#[test]
fn lines_end_with_crlf_in_the_store_where_that_can_be_undone() {
    on_each_store(|world| {
        let folder = tempfile::tempdir().unwrap();
        for (number, bytes) in [&b"A: lf\n\nb\n"[..], b"A: crlf\r\n\r\nb\r\n", b"A: mixed\r\n\nb\n"].iter().enumerate()
        {
            put(folder.path(), "", &format!("{number}.x:2,"), bytes, 5);
        }
        world.imported(world.alice, folder.path());
        let expected = [&b"A: lf\r\n\r\nb\r\n"[..], b"A: crlf\r\n\r\nb\r\n", b"A: mixed\r\n\nb\n"];
        assert_eq!(world.stored(world.alice, "INBOX"), expected);
    });
}

#[test]
fn folders_with_a_role_find_their_mailbox() {
    on_each_store(|world| {
        let folder = tempfile::tempdir().unwrap();
        for (number, name) in
            [".Sent Items", ".Sent Items.2019", ".Gel&APY-schte Elemente", ".Junk", ".INBOX.Work"].iter().enumerate()
        {
            put(folder.path(), name, "1.x:2,", &message(number), 5);
        }
        world.imported(world.alice, folder.path());
        let names: Vec<String> = world.counts(world.alice).into_keys().collect();
        assert_eq!(names, ["Junk", "Sent", "Sent/2019", "Trash", "Work"]);
        let (report, result) = world.import(
            world.bob,
            folder.path(),
            &import::Options { into: Some("Old/Mail".into()), ..import::Options::default() },
        );
        result.unwrap();
        assert_eq!(report.taken, 5);
        assert!(world.counts(world.bob).keys().all(|name| name.starts_with("Old/Mail")));
    });
}

#[test]
fn a_dry_run_writes_nothing() {
    on_each_store(|world| {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), ".Work", "1.x:2,", &message(1), 5);
        let dry = import::Options { dry_run: true, ..import::Options::default() };
        let (report, result) = world.import(world.alice, folder.path(), &dry);
        result.unwrap();
        assert_eq!((report.taken, report.folders), (1, vec![("Work".into(), "Work".into(), true)]));
        assert!(world.counts(world.alice).is_empty());
        world.imported(world.alice, folder.path());
        let (report, _) = world.import(world.alice, folder.path(), &dry);
        assert_eq!((report.taken, report.known), (0, 1));
    });
}

#[test]
fn two_folders_stay_two_or_lose_nothing_in_one() {
    on_each_store(|world| {
        let folder = tempfile::tempdir().unwrap();
        // The same message in each.
        let names =
            ["", ".INBOX", ".Gesendet", ".Sent", ".Sent.2019", ".Sent Items", ".Papierkorb", ".a_b", ".a&AC8-b"];
        for name in names {
            put(folder.path(), name, "1.x:2,", &message(1), 5);
        }
        for taken in [names.len() as u64, 0] {
            assert_eq!(world.imported(world.alice, folder.path()).taken, taken);
            let counts: Vec<(String, u32)> = world.counts(world.alice).into_iter().collect();
            let expected = [
                // Two folders for sent mail: both keep their names. One for deleted mail: it goes where that is.
                ("Gesendet", 1),
                ("INBOX", 2),
                ("Sent", 1),
                ("Sent Items", 1),
                ("Sent/2019", 1),
                ("Trash", 1),
                ("a_b", 2),
            ];
            assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)));
        }
    });
}
