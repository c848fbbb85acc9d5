//! Exchange Online's dialect, by a server that speaks it as captured sessions have it, and servers that are merely odd.

use super::fake::{Dialect, Fake, Folder, Kept};
use super::world::{World, access, outwards, proved, taken, wish};
use postroad_remote::mirror;

fn exchange() -> Dialect {
    Dialect {
        greeting: "* OK The Microsoft Exchange IMAP4 service is ready. [TABWADIAUABSADAANgA=]",
        capabilities: "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE \
                       LITERAL+",
        wrong_sizes: true,
        uid_last: true,
        refuse_once: None,
        broken: None,
        takes: None,
    }
}

fn mails(count: u32) -> Vec<Kept> {
    let one = |uid: u32| Kept {
        uid,
        flags: if uid.is_multiple_of(2) { "\\Seen \\Recent" } else { "$MDNSent" },
        octets: format!("Subject: m{uid}\r\nMessage-ID: <{uid}@x.test>\r\n\r\n{}\r\n", "z".repeat(uid as usize))
            .into_bytes(),
        ..Kept::default()
    };
    (1..=count).map(one).collect()
}

fn folders() -> Vec<Folder> {
    let folder = |name, mails| Folder { name, attributes: "\\HasNoChildren", uidvalidity: 14, mails };
    vec![
        folder("INBOX", mails(250)),
        folder("Sent Items", mails(3)),
        folder("Deleted Items", mails(2)),
        folder("Junk Email", mails(1)),
        folder("Entw&APw-rfe", Vec::new()),
    ]
}

#[test]
fn an_account_of_exchange_comes_over() {
    let fake = Fake::start(exchange(), folders());
    let world = World::new();
    let report = world.migrate(&access("alice", fake.port), &wish());
    proved(&report);
    assert_eq!(taken(&report), 256);
    // It has no SPECIAL-USE: its own names say what folders are for.
    assert_eq!((world.mails("Sent").len(), world.mails("Trash").len(), world.mails("Junk").len()), (3, 2, 1));
    assert_eq!(world.mails("INBOX")[0].marks, "$MDNSent");
    let heard = fake.heard();
    assert!(heard.iter().any(|line| line.contains("AUTHENTICATE PLAIN ")), "the first words come with the command");
    assert!(heard.iter().all(|line| !line.contains("CHARSET") && !line.contains("CONDSTORE")), "{heard:?}");
}

#[test]
fn a_message_that_cannot_be_had_is_named_and_keeps_no_other_back() {
    let fake = Fake::start(Dialect { broken: Some(77), ..exchange() }, folders());
    let world = World::new();
    let report = world.migrate(&access("alice", fake.port), &wish());
    assert!(report.complete && !report.is_proved(), "{report:?}");
    assert_eq!((taken(&report), world.mails("INBOX").len()), (255, 249));
    let named: Vec<u32> =
        report.folders.iter().flat_map(|folder| &folder.differences).map(|difference| difference.uid).collect();
    assert_eq!(named, [77]);
}

#[test]
fn a_new_uidvalidity_brings_nothing_twice() {
    let fake = Fake::start(exchange(), folders());
    let (world, access) = (World::new(), access("alice", fake.port));
    proved(&world.migrate(&access, &wish()));
    {
        let mut folders = fake.folders.lock().unwrap();
        folders[0].uidvalidity = 15;
        folders[0].mails.remove(9);
        for mail in &mut folders[0].mails {
            mail.uid += 5_000;
        }
    }
    let report = world.migrate(&access, &wish());
    proved(&report);
    assert_eq!((taken(&report), world.mails("INBOX").len()), (0, 249));
    assert!(!world.subjects("INBOX").contains(&"m10".to_owned()), "what is gone there went");
}

#[test]
fn an_odd_greeting_is_no_imap() {
    let fake = Fake::start(Dialect { greeting: "220 mail.test ESMTP", ..exchange() }, folders());
    let report = World::new().migrate(&access("alice", fake.port), &wish());
    assert!(report.error.unwrap().contains("cannot be understood"));
}

#[test]
fn one_message_that_is_refused_keeps_no_other_of_its_command_back() {
    let source = Fake::start(exchange(), folders());
    let world = World::new();
    proved(&world.migrate(&access("alice", source.port), &wish()));
    let capabilities = "IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS NAMESPACE LITERAL+ MULTIAPPEND";
    let inbox = Folder { name: "INBOX", attributes: "", uidvalidity: 3, mails: Vec::new() };
    let target = Fake::start(Dialect { capabilities, takes: Some("Subject: m77\r\n"), ..exchange() }, vec![inbox]);
    let only = mirror::Wish { only: vec!["INBOX".into()], ..outwards() };
    let report = world.mirror(&access("bob", target.port), &only);
    assert!(report.complete && !report.is_proved(), "{report:?}");
    assert_eq!(taken(&report), 249);
    let folder = &report.folders[0];
    assert_eq!((folder.equal, folder.differences.len()), (249, 1), "{folder:?}");
    assert!(folder.differences[0].why.contains("not to our taste"), "{folder:?}");
    let there = target.folders.lock().unwrap()[0].mails.len();
    assert_eq!(there, 249, "each once");
    // Two commands of a hundred, one of fifty; the refused one's messages one by one.
    let appends = target.heard().iter().filter(|line| line.contains(" APPEND ")).count();
    assert_eq!(appends, 3 + 100);
}
