//! Names and headers that are not ASCII, from and to servers with UTF8=ACCEPT (RFC 6855) and without.

use postroad_remote::migrate::Report;
use postroad_remote::mirror;

use super::fake::{Dialect, EIGHT_BIT, Fake, Folder, Kept};
use super::world::{World, access, outwards, proved, taken, wish};

const PLAIN: &str = "IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS NAMESPACE LITERAL+";
const ACCEPT: &str = "IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS NAMESPACE LITERAL+ ENABLE UTF8=ACCEPT";

fn dialect(capabilities: &'static str, takes: Option<&'static str>) -> Dialect {
    let (wrong_sizes, uid_last, refuse_once, broken) = (false, false, None, None);
    Dialect { greeting: "* OK hello", capabilities, wrong_sizes, uid_last, refuse_once, broken, takes }
}

fn folder(name: &'static str, messages: &[&[u8]]) -> Folder {
    let one = |(uid, octets): (u32, &&[u8])| Kept { uid, octets: octets.to_vec(), ..Kept::default() };
    Folder { name, attributes: "", uidvalidity: 4, mails: (1..).zip(messages).map(one).collect() }
}

const ASCII: &[u8] = b"Subject: plain\r\n\r\nx\r\n";
const UTF8: &[u8] = b"Subject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nx\r\n";
const LATIN: &[u8] = b"Subject: Gr\xfc\xdfe\r\n\r\nx\r\n";

#[test]
fn names_are_read_as_they_are_written() {
    for (capabilities, names) in [(PLAIN, ["B&APw-cher", "R&-D", "&-APw-"]), (ACCEPT, ["Bücher", "R&D", "&APw-"])] {
        let folders = ["INBOX"].into_iter().chain(names).map(|name| folder(name, &[ASCII, UTF8, LATIN])).collect();
        let fake = Fake::start(dialect(capabilities, None), folders);
        let (world, access) = (World::new(), access("alice", fake.port));
        let all = wish();
        let report = world.migrate(&access, &all);
        proved(&report);
        assert_eq!(taken(&report), 12);
        for name in ["Bücher", "R&D", "&APw-"] {
            let octets: Vec<Vec<u8>> = world.mails(name).into_iter().map(|mail| mail.octets).collect();
            assert_eq!(octets, [ASCII, UTF8, LATIN], "{name}");
        }
        let heard = fake.heard();
        let asked = |line: &str| heard.iter().any(|own| own.contains(line));
        assert_eq!(asked("ENABLE UTF8=ACCEPT"), capabilities == ACCEPT);
        assert!(asked(&format!("EXAMINE \"{}\"", names[0])), "{heard:?}");
        assert_eq!(taken(&world.migrate(&access, &all)), 0);
    }
}

/// An account with the three messages, mirrored to a server of this dialect; whether it was proved.
fn mirrored(capabilities: &'static str, takes: &'static str) -> (Report, Fake) {
    let source = Fake::start(dialect(PLAIN, None), vec![folder("INBOX", &[ASCII, UTF8, LATIN])]);
    let world = World::new();
    proved(&world.migrate(&access("alice", source.port), &wish()));
    let target = Fake::start(dialect(capabilities, Some(takes)), vec![folder("INBOX", &[])]);
    let only = mirror::Wish { only: vec!["INBOX".into()], ..outwards() };
    (world.mirror(&access("bob", target.port), &only), target)
}

fn appends(fake: &Fake) -> Vec<bool> {
    let heard = fake.heard();
    heard.iter().filter(|line| line.contains(" APPEND ")).map(|line| line.contains("UTF8 (~{")).collect()
}

#[test]
fn headers_go_as_the_other_server_takes_them() {
    // UTF-8 with UTF8 (..), where that is enabled; all else without.
    for (capabilities, expected) in [(ACCEPT, [false, true, false]), (PLAIN, [false; 3])] {
        let (report, target) = mirrored(capabilities, "nothing of the kind");
        proved(&report);
        assert_eq!((taken(&report), appends(&target)), (3, expected.to_vec()));
        let there: Vec<Vec<u8>> =
            target.folders.lock().unwrap()[0].mails.iter().map(|mail| mail.octets.clone()).collect();
        assert_eq!(there, [ASCII, UTF8, LATIN]);
    }
    // One that takes nothing 8-bit but so gets the last one so.
    let (report, target) = mirrored(ACCEPT, EIGHT_BIT);
    proved(&report);
    assert_eq!((taken(&report), appends(&target)), (3, vec![false, true, false, true]));
    // One that never does is named with its words, for each message; the others go.
    let (report, target) = mirrored(PLAIN, EIGHT_BIT);
    assert!(report.complete && !report.is_proved(), "{report:?}");
    assert_eq!((taken(&report), appends(&target)), (1, vec![false; 3]));
    let told: Vec<(u32, bool)> = report.folders[0]
        .differences
        .iter()
        .map(|one| (one.uid, one.why.ends_with("the other server does not take it: no 8-bit octets")))
        .collect();
    assert_eq!(told, [(2, true), (3, true)], "{report:?}");
}
