//! Messages of several mailboxes go outwards once, and are copied there.

use super::fake::{Dialect, Fake, Folder, Kept};
use super::world::{World, access, outwards, proved, taken, wish};
use postroad_remote::migrate::Report;
use postroad_testkit::Dovecot;

fn mail(uid: u32, id: u64, flags: &'static str, labels: &'static str) -> Kept {
    let octets = format!("Subject: m{id}\r\nMessage-ID: <{id}@gmail.test>\r\n\r\nbody {id}\r\n").into_bytes();
    Kept { uid, flags, id, labels, octets }
}

fn folder(name: &'static str, mails: Vec<Kept>) -> Folder {
    Folder { name, attributes: "\\HasNoChildren", uidvalidity: 7, mails }
}

/// A server whose messages have labels.
fn labelled(folders: Vec<Folder>) -> Fake {
    let capabilities = "IMAP4rev1 AUTH=PLAIN SASL-IR NAMESPACE X-GM-EXT-1 UIDPLUS LITERAL+";
    let (wrong_sizes, uid_last, refuse_once, broken, takes) = (false, false, None, None, None);
    let greeting = "* OK Gimap ready";
    Fake::start(Dialect { greeting, capabilities, wrong_sizes, uid_last, refuse_once, broken, takes }, folders)
}

fn entries(report: &Report) -> u64 {
    report.folders.iter().map(|folder| folder.entries).sum()
}

#[test]
fn a_message_of_several_mailboxes_is_sent_once() {
    let inbox = vec![mail(1, 11, "\\Seen", ""), mail(2, 12, "", ""), mail(3, 13, "\\Flagged", "")];
    let work = vec![mail(5, 11, "\\Seen", ""), mail(6, 14, "", ""), mail(7, 13, "\\Flagged", "")];
    let source =
        labelled(vec![folder("INBOX", inbox), folder("Work", work), folder("Archive", vec![mail(4, 11, "", "")])]);
    let world = World::new();
    let from = access("alice", source.port);
    proved(&world.migrate(&from, &wish()));
    let dovecot = Dovecot::start();
    let bob = access("bob", dovecot.port(143));
    let report = world.mirror(&bob, &outwards());
    proved(&report);
    // 11 is in three, 13 in two.
    assert_eq!((taken(&report), entries(&report)), (4, 3), "{report:?}");
    let counts = |dovecot: &Dovecot| ["INBOX", "Work", "Archive"].map(|folder| dovecot.count("bob", folder));
    assert_eq!(counts(&dovecot), [3, 3, 1]);
    let second = World::new();
    proved(&second.migrate(&bob, &wish()));
    for name in ["INBOX", "Work", "Archive"] {
        let here = |world: &World| {
            let mut all: Vec<_> =
                world.mails(name).into_iter().map(|mail| (mail.octets, mail.marks, mail.date)).collect();
            all.sort();
            all
        };
        assert_eq!(here(&second), here(&world), "{name}: octets, flags, dates");
    }

    // Later it gets another one, in a folder that comes before and is new there; and one goes.
    {
        let mut folders = source.folders.lock().unwrap();
        folders.push(folder("A", vec![mail(1, 14, "", ""), mail(2, 12, "", "")]));
        folders[1].mails.retain(|mail| mail.id != 13);
    }
    proved(&world.migrate(&from, &wish()));
    let report = world.mirror(&bob, &outwards());
    proved(&report);
    assert_eq!((taken(&report), entries(&report)), (0, 2), "{report:?}");
    assert_eq!((counts(&dovecot), dovecot.count("bob", "A")), ([3, 2, 1], 2));

    // What it would be copied from was taken away there: it is sent.
    dovecot.remove("bob", "A", "Subject: m12");
    dovecot.remove("bob", "INBOX", "Subject: m12");
    source.folders.lock().unwrap().push(folder("B", vec![mail(1, 12, "", "")]));
    proved(&world.migrate(&from, &wish()));
    let report = world.mirror(&bob, &outwards());
    assert!(report.complete, "{report:?}");
    assert_eq!((taken(&report), entries(&report)), (1, 0), "{report:?}");
    assert_eq!(dovecot.count("bob", "B"), 1);
}
