//! Gmail's dialect, by a server that speaks it as Google's description of its extensions and captured sessions have it.

use super::fake::{Dialect, Fake, Folder, Kept};
use super::world::{World, access, proved, taken, wish};

fn gmail() -> Dialect {
    Dialect {
        greeting: "* OK Gimap ready for requests from 192.0.2.7 abc",
        capabilities: "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS ENABLE MOVE ESEARCH \
                       UTF8=ACCEPT LIST-EXTENDED LIST-STATUS LITERAL- SPECIAL-USE APPENDLIMIT=35651584",
        wrong_sizes: false,
        uid_last: false,
        refuse_once: None,
        broken: None,
        takes: None,
    }
}

fn mail(uid: u32, id: u64, flags: &'static str, labels: &'static str) -> Kept {
    let octets = format!("Subject: m{id}\r\nMessage-ID: <{id}@mail.gmail.test>\r\n\r\nbody {id}\r\n").into_bytes();
    Kept { uid, flags, id, labels, octets }
}

fn folders() -> Vec<Folder> {
    let folder = |name, attributes, mails| Folder { name, attributes, uidvalidity: 7, mails };
    vec![
        folder(
            "INBOX",
            "\\HasNoChildren",
            vec![mail(1, 11, "\\Seen", "Work"), mail(2, 12, "\\Flagged", "\\Important")],
        ),
        folder("Work", "\\HasNoChildren", vec![mail(5, 11, "\\Seen", "\\Inbox"), mail(6, 13, "", "")]),
        folder("[Gmail]", "\\HasChildren \\Noselect", vec![]),
        folder(
            "[Gmail]/Alle Nachrichten",
            "\\All \\HasNoChildren",
            vec![
                mail(21, 11, "\\Seen", "\\Inbox Work"),
                mail(22, 12, "\\Flagged", "\\Inbox \\Important"),
                mail(23, 13, "", "Work"),
                mail(24, 14, "\\Seen", ""),
                mail(25, 15, "\\Seen", "\\Sent"),
                mail(26, 16, "\\Seen", "Hidden"),
            ],
        ),
        folder("[Gmail]/Gesendet", "\\HasNoChildren \\Sent", vec![mail(31, 15, "\\Seen", "")]),
        folder("[Gmail]/Markiert", "\\Flagged \\HasNoChildren", vec![mail(41, 12, "\\Flagged", "\\Inbox")]),
        folder("[Gmail]/Papierkorb", "\\HasNoChildren \\Trash", vec![mail(51, 17, "", "")]),
        folder("[Gmail]/Spam", "\\HasNoChildren \\Junk", vec![mail(61, 18, "", "")]),
    ]
}

#[test]
fn a_message_of_gmail_comes_once_and_has_an_entry_for_each_label() {
    let fake = Fake::start(gmail(), folders());
    let world = World::new();
    let access = access("alice", fake.port);
    let report = world.migrate(&access, &wish());
    proved(&report);
    assert_eq!(taken(&report), 8, "each of the messages once: {report:?}");
    assert_eq!(world.subjects("INBOX"), ["m11", "m12"]);
    assert_eq!(world.subjects("Work"), ["m11", "m13"]);
    assert_eq!(world.subjects("Sent"), ["m15"]);
    assert_eq!(world.subjects("Trash"), ["m17"]);
    assert_eq!(world.subjects("Junk"), ["m18"]);
    assert_eq!(world.subjects("Archive"), ["m14", "m16"], "what no folder shows is not lost");
    assert!(world.mails("INBOX").iter().any(|mail| mail.marks == "$Important \\Flagged"));
    assert_eq!(world.mails("INBOX")[0].date, 1_563_324_265);
    let heard = fake.heard();
    assert!(heard.iter().all(|line| !line.contains("CHARSET") && !line.contains("SELECT")), "{heard:?}");

    // Archived there: it loses its label, and has a place here.
    {
        let mut folders = fake.folders.lock().unwrap();
        folders[0].mails.retain(|mail| mail.id != 12);
        folders[3].mails[1].labels = "\\Important";
    }
    let second = world.migrate(&access, &wish());
    proved(&second);
    assert_eq!((taken(&second), world.subjects("INBOX")), (0, vec!["m11".to_owned()]));
    assert_eq!(world.subjects("Archive"), ["m12", "m14", "m16"]);
}

#[test]
fn gmail_s_wish_to_wait_is_granted() {
    let dialect =
        Dialect { refuse_once: Some("NO [THROTTLED] Account exceeded command or bandwidth limits."), ..gmail() };
    let fake = Fake::start(dialect, folders());
    let report = World::new().migrate(&access("alice", fake.port), &wish());
    proved(&report);
    assert_eq!(report.reconnected, 1);
}
