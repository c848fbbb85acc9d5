//! Messages with NULs, which BODY[] shows as 0x80: over from a real Dovecot with BINARY, and back.

use postroad_remote::migrate::Wish;

use super::fake::{Dialect, Fake, Folder, Kept};
use super::world::{World, access, outwards, proved, taken, wish};
use postroad_testkit::Dovecot;

/// A message of parts: a text as it is, and one that is encoded.
fn parts(subject: &str, all: &[&[u8]]) -> Vec<u8> {
    let mut message =
        format!("Subject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=X\r\n\r\n")
            .into_bytes();
    for part in all {
        message.extend_from_slice(b"--X\r\n");
        message.extend_from_slice(part);
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b"--X--\r\n");
    message
}

const TEXT: &[u8] = b"Content-Type: text/plain\r\n\r\na\x00b\x80c\r\n";
/// NULs, once it is decoded.
const BASE64: &[u8] = b"Content-Type: application/x-data\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECIGhlbGxv";
const GBK: &[u8] = b"Content-Type: text/plain; charset=gbk\r\n\r\n\xc4\xe3\x81\x80\xba\xc3\r\n";

/// Messages that can come as they are.
fn certain() -> Vec<Vec<u8>> {
    let text = |octets: &[u8]| [octets, b"\r\n"].concat();
    let wide = |octets: &[u8]| [octets, b"\r\n"].concat().repeat(40_000);
    vec![
        text(b"Subject: body\r\n\r\na\x00b\x80c"),
        text(b"Subject: head\x00er\r\n\r\nplain"),
        text(b"Subject: header\x00alone\r\n"),
        text(b"Subject: 1252\r\n\r\n5 \x80"),
        text("Subject: utf8\r\n\r\n\u{201c}quoted\u{201d}".as_bytes()),
        parts("first part", &[TEXT, BASE64]),
        parts("last part", &[BASE64, TEXT]),
        parts("around", &[TEXT, BASE64, GBK, TEXT]),
        parts("binary", &[b"Content-Transfer-Encoding: binary\r\n\r\n\x00\x01\x02\x80", TEXT]),
        parts("gbk", &[GBK, BASE64]),
        parts("no nul", &[BASE64.strip_suffix(b"AAECIGhlbGxv").unwrap(), b"\r\n\r\n\x80"]),
        b"Subject: nested\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\x00ner\r\n\r\nx\x00y\r\n".to_vec(),
        // Handed over in pieces: as it is, and with a part that is encoded.
        [&b"Subject: large\r\n\r\n"[..], &wide(b"a long line with \x80 and \x00 and so on")].concat(),
        parts("large parts", &[&[TEXT, &wide(b"another \x00 of many lines")].concat(), BASE64]),
    ]
}

/// One part between two that are encoded, and an encoding that is broken.
fn uncertain() -> [Vec<u8>; 2] {
    let broken = b"Subject: broken\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=\x00b\r\n";
    [parts("between", &[BASE64, TEXT, BASE64]), broken.to_vec()]
}

fn put(dovecot: &Dovecot, folder: &str, all: Vec<Vec<u8>>) {
    let dated: Vec<_> = (1_500_000_000..).zip(all).map(|(at, octets)| ("", at, octets)).collect();
    dovecot.put("alice", folder, &dated);
}

fn octets(world: &World, name: &str) -> Vec<Vec<u8>> {
    let mut mails = world.mails(name);
    mails.sort_by_key(|mail| mail.date);
    mails.into_iter().map(|mail| mail.octets).collect()
}

/// Which differ, by their first lines: they are too long to be shown.
fn same(here: &[Vec<u8>], there: &[Vec<u8>]) {
    let differ: Vec<String> = here
        .iter()
        .zip(there)
        .filter(|(here, there)| here != there)
        .map(|(here, there)| {
            format!("{}\n{}", here[..here.len().min(300)].escape_ascii(), there[..there.len().min(300)].escape_ascii())
        })
        .collect();
    assert!(differ.is_empty() && here.len() == there.len(), "{} {} {differ:#?}", here.len(), there.len());
}

#[test]
fn nuls_come_over_and_go_back() {
    let dovecot = Dovecot::start();
    put(&dovecot, "INBOX", certain());
    let world = World::new();
    let alice = access("alice", dovecot.port(143));
    let report = world.migrate(&alice, &Wish { prove: true, ..wish() });
    proved(&report);
    assert_eq!(
        (taken(&report), report.folders[0].fetched_again),
        (certain().len() as u64, Some(certain().len() as u64))
    );
    same(&octets(&world, "INBOX"), &certain());
    assert_eq!(taken(&world.migrate(&alice, &wish())), 0);

    // RFC 3516 §4.4 lets a server encode what came in a literal8, and Dovecot does that to parts that say they are binary:
    // it is named. The others go back as they are.
    let is_binary = |octets: &[u8]| octets.starts_with(b"Subject: binary");
    let bob = access("bob", dovecot.port(143));
    let report = world.mirror(&bob, &outwards());
    assert!(report.complete && taken(&report) == certain().len() as u64, "{report:?}");
    let named: Vec<u32> = report.folders.iter().flat_map(|folder| &folder.differences).map(|one| one.uid).collect();
    let [binary] = named.as_slice() else { panic!("{report:?}") };
    assert!(is_binary(&world.mails("INBOX")[*binary as usize - 1].octets), "{report:?}");
    assert_eq!(taken(&world.mirror(&bob, &outwards())), 0);
    let second = World::new();
    proved(&second.migrate(&bob, &wish()));
    let but_binary = |all: Vec<Vec<u8>>| -> Vec<Vec<u8>> { all.into_iter().filter(|one| !is_binary(one)).collect() };
    same(&but_binary(octets(&second, "INBOX")), &but_binary(certain()));
}

#[test]
fn what_nobody_tells_is_named_in_each_report() {
    let dovecot = Dovecot::start();
    put(&dovecot, "INBOX", certain().into_iter().take(3).chain(uncertain()).collect());
    let world = World::new();
    let alice = access("alice", dovecot.port(143));
    for wish in [wish(), wish(), Wish { prove: true, ..wish() }] {
        let report = world.migrate(&alice, &wish);
        assert!(report.complete && !report.is_proved(), "{report:?}");
        let told: Vec<(u32, bool)> = report.folders[0]
            .differences
            .iter()
            .map(|one| (one.uid, one.why.contains("its octets 0x80 may be NULs there")))
            .collect();
        assert_eq!(told, [(4, true), (5, true)], "{report:?}");
        assert_eq!((report.folders[0].equal, report.folders[0].fetched_again), (3, wish.prove.then_some(5)));
    }
    // They are here, as they were shown.
    let shown = uncertain().map(|octets| octets.iter().map(|octet| if *octet == 0 { 0x80 } else { *octet }).collect());
    same(&octets(&world, "INBOX")[3..], &shown);
}

/// A server without BINARY that shows what it has.
#[test]
fn without_binary_what_comes_is_what_is_there() {
    let mail = |uid, octets: &[u8]| Kept { uid, octets: octets.to_vec(), ..Kept::default() };
    let messages = [&b"Subject: a\r\n\r\n\x80\r\n"[..], b"Subject: b\r\n\r\n\x00\r\n"];
    let inbox = Folder {
        name: "INBOX",
        attributes: "",
        uidvalidity: 3,
        mails: (1..).zip(messages).map(|(uid, octets)| mail(uid, octets)).collect(),
    };
    let (wrong_sizes, uid_last, refuse_once, broken, takes) = (false, false, None, None, None);
    let capabilities = "IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS NAMESPACE";
    let greeting = "* OK hello";
    let dialect = Dialect { greeting, capabilities, wrong_sizes, uid_last, refuse_once, broken, takes };
    let fake = Fake::start(dialect, vec![inbox]);
    let world = World::new();
    proved(&world.migrate(&access("alice", fake.port), &wish()));
    let here: Vec<Vec<u8>> = world.mails("INBOX").into_iter().map(|mail| mail.octets).collect();
    assert_eq!(here, messages);
    assert!(fake.heard().iter().all(|line| !line.contains("BINARY")));
}
