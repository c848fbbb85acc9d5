//! `postroad migrate` and `postroad mirror` as they are run, from and to a real Dovecot: with a server and without, while
//! mail comes in, in TLS, killed in between, on SQLite and PostgreSQL.

mod collect;
mod files;
mod gmail;
mod killed;
mod many;
mod nul;
mod tls;
mod tokens;
mod utf8;
mod whole;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, SystemTime};

use postroad_testkit::run::PATIENCE;
use postroad_testkit::{Dovecot, Process};
use serde_json::Value;

use crate::program::{ALICE, Ran, contents, run};

/// Messages of a Maildir by folder, date and letters.
type Contents = BTreeMap<(String, SystemTime, String), Vec<Vec<u8>>>;

/// The password of our own accounts.
pub(crate) const OURS: &str = "correct horse 9";

/// Whom a run is from or to.
pub(crate) fn place(user: &str, dovecot: &Dovecot) -> String {
    format!("imap+insecure://{user}@127.0.0.1:{}", dovecot.port(143))
}

pub(crate) fn migrate(data: &Path, from: &str, more: &[&str]) -> Ran {
    run(data, &[&["migrate", ALICE, "--from", from], more].concat())
}

pub(crate) fn mirror(data: &Path, to: &str, more: &[&str]) -> Ran {
    run(data, &[&["mirror", ALICE, "--to", to], more].concat())
}

/// The report of a run that proved everything.
pub(crate) fn proved(ran: Ran) -> Value {
    let report = ran.with_code(0);
    assert_eq!(report["proved"], true, "{report:#}");
    report
}

/// A number of all folders together.
pub(crate) fn sum(report: &Value, name: &str) -> u64 {
    let folders = report["folders"].as_array().expect("folders");
    folders.iter().filter_map(|folder| folder[name].as_u64()).sum()
}

/// What alice has here, as Dovecot would keep it.
pub(crate) fn here(data: &Path) -> Contents {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let to = folder.path().join("out");
    run(data, &["export", ALICE, to.to_str().expect("plain"), "--newline", "lf"]).with_code(0);
    // IMAP tells seconds.
    let whole = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
    };
    let mut all = Contents::new();
    for ((folder, time, letters), octets) in contents(&to) {
        all.entry((folder, whole(time), letters)).or_default().extend(octets);
    }
    all.values_mut().for_each(|octets| octets.sort());
    all
}

/// What is there.
pub(crate) fn there(dovecot: &Dovecot, user: &str) -> Contents {
    contents(&dovecot.folder(user, "INBOX"))
}

/// The first differences between two, in words.
pub(crate) fn same(here: &Contents, there: &Contents, what: &str) {
    let short = |contents: &Contents| -> Vec<String> {
        contents.iter().map(|(key, octets)| format!("{key:?}: {} messages", octets.len())).collect()
    };
    let (ours, theirs) = (short(here), short(there));
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|one| !those.contains(one)).take(5).cloned().collect()
    };
    let (left, right) = (only(&ours, &theirs), only(&theirs, &ours));
    assert!(left.is_empty() && right.is_empty(), "{what}: here {left:#?}, there {right:#?}");
    assert!(here == there, "{what}: octets differ");
}

/// What a server answers to commands of IMAP, up to the last one's end.
pub(crate) fn imap(server: &Process, user: &str, commands: &[String]) -> String {
    let mut socket = TcpStream::connect(server.address(143)).expect("the server listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    let mut lines = BufReader::new(socket.try_clone().expect("a socket")).lines();
    let mut heard = String::new();
    let login = format!("LOGIN {user} \"{OURS}\"");
    for (number, command) in std::iter::once(&login).chain(commands).enumerate() {
        socket.write_all(format!("t{number} {command}\r\n").as_bytes()).expect("it reads");
        loop {
            let line = lines.next().expect("it answers").expect("it answers");
            let last = line.starts_with(&format!("t{number} "));
            assert!(!last || line.contains(" OK "), "{command}: {line}");
            heard += &format!("{line}\n");
            if last {
                break;
            }
        }
    }
    heard
}
