//! Disks with what nobody expects on them.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use postroad_archive::import;
use postroad_archive::source::{Format, Reading, Source};

use crate::world::{All, message, on_each_store, put, shown};

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_taken() {
    on_each_store(|world| {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, "", "1.good:2,S", &message(1), 5);
        symlink("nowhere", root.join("cur/2.dangling:2,")).unwrap();
        fs::create_dir(root.join("cur/3.folder:2,")).unwrap();
        let pipe = root.join("cur/4.pipe:2,");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        put(root, "", "5.unreadable:2,", &message(5), 5);
        fs::set_permissions(root.join("cur/5.unreadable:2,"), fs::Permissions::from_mode(0o000)).unwrap();
        // What was kept elsewhere is kept here, whatever its header is.
        put(root, "", "6.endless:2,", &vec![b'x'; 1_500_000], 5);
        put(root, "", "7.header:2,", &b"A: b\n".repeat(300_000), 5);
        let odd = Path::new(std::ffi::OsStr::from_bytes(b"8.\x1b[31m\n\xff:2,FS"));
        put(root, "", "8.plain:2,", &message(8), 5);
        fs::rename(root.join("cur/8.plain:2,"), root.join("cur").join(odd)).unwrap();
        fs::write(root.join("cur/.hidden"), "not mail").unwrap();
        // The tree leads back into itself.
        symlink(root, root.join("loop")).unwrap();
        symlink("..", root.join("cur/9.up:2,")).unwrap();
        let mut deep = root.to_owned();
        for _ in 0..70 {
            deep.push("d");
        }
        fs::create_dir_all(deep.join("cur")).unwrap();
        put(root, ".a\u{7}b..c", "1.x:2,", &message(20), 5);
        put(root, ".\u{1}", "1.x:2,", &message(21), 5);

        let (report, result) = world.import(world.alice, root, &import::Options::default());
        result.unwrap();
        let root_reads_everything = fs::read(root.join("cur/5.unreadable:2,")).is_ok();
        assert_eq!(report.taken, if root_reads_everything { 7 } else { 6 });
        let named = |part: &str| report.problems.iter().filter(|problem| problem.label.contains(part)).count();
        for part in ["2.dangling", "3.folder", "4.pipe", "9.up", "loop", "/d/d/d"] {
            assert_eq!(named(part), 1, "{part} in {:?}", report.problems);
        }
        assert!(report.problems.iter().all(|problem| !problem.label.contains(['\u{1b}', '\n'])));
        let names: Vec<String> = world.counts(world.alice).into_keys().collect();
        assert_eq!(names, ["INBOX", "_", "a_b/_/c"]);
    });
}

fn read_mbox(text: &[u8]) -> (Vec<String>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("box");
    fs::write(&path, text).unwrap();
    let source = Source::find(&path, Reading { format: Some(Format::Mbox), ..Reading::default() }).unwrap();
    let mut all = All::default();
    source.visit(&mut all).unwrap();
    (all.messages.iter().map(|shown| String::from_utf8_lossy(&shown.1).into_owned()).collect(), all.problems.len())
}

#[test]
fn mbox_files_of_many_programs_are_read() {
    const F: &str = "From a@b Tue Mar  5 10:10:10 2019";
    let cases: Vec<(String, Vec<&str>)> = vec![
        (String::new(), vec![]),
        (format!("{F}\nA: b\n\nbody\n"), vec!["A: b\n\nbody\n"]),
        (format!("{F}\nA: b\n\nbody\n\n{F}\nA: c\n\nmore\n\n"), vec!["A: b\n\nbody\n", "A: c\n\nmore\n"]),
        (format!("{F}\r\nA: b\r\n\r\nbody\r\n\r\n{F}\r\nA: c\r\n\r\n\r\n"), vec!["A: b\r\n\r\nbody\r\n", "A: c\r\n\r\n"]),
        // Without a blank line or a date it is text.
        (format!("{F}\nA: b\n\nbody\n{F}\n\nFrom here on\n"), vec!["A: b\n\nbody\nFrom a@b Tue Mar  5 10:10:10 2019\n\nFrom here on\n"]),
        (format!("{F}\nA: b\n\n>From me\n>>From you\n"), vec!["A: b\n\nFrom me\n>From you\n"]),
        // A length that proves right, with a From_ line inside; and ones that do not.
        (
            format!("{F}\nContent-Length: 41\n\nx\n\n{F}\n>From y\n\n{F}\nA: c\n\nz\n").replace("41", &(F.len() + 12).to_string()),
            vec!["\nx\n\nFrom a@b Tue Mar  5 10:10:10 2019\n>From y\n", "A: c\n\nz\n"],
        ),
        (format!("{F}\nContent-Length: 3\n\nlonger\n\n{F}\nA: c\n\nz\n"), vec!["\nlonger\n", "A: c\n\nz\n"]),
        (format!("{F}\nContent-Length: 999999999999999999999\n\nx\n"), vec!["\nx\n"]),
        (format!("{F}\nContent-Length: 18446744073709551615\n\nx\n"), vec!["\nx\n"]),
        // The folder's own data, and what was deleted and not yet taken out.
        (
            format!("{F}\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\nx\n\n{F}\nA: c\n\nz\n"),
            vec!["A: c\n\nz\n"],
        ),
        ("From - Tue Mar 05 10:10:10 2019\nX-Mozilla-Status: 0009\nA: b\n\nx\n\nFrom - Tue Mar 05 10:10:11 2019\nX-Mozilla-Status: 0001\nX-Mozilla-Status2: 00000000\nA: c\n\nz\n".into(), vec!["A: c\n\nz\n"]),
        (format!("\n\n{F}\n\n\n{F}\n\n{F}\nno header"), vec!["\n", "", "no header"]),
    ];
    for (text, expected) in cases {
        assert_eq!(read_mbox(text.as_bytes()), (expected.into_iter().map(String::from).collect(), 0), "{text:?}");
    }
    // A report counts what is left out.
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{F}\nSubject: DON'T DELETE THIS MESSAGE\n\nx\n\n{F}\nX-Mozilla-Status: 0009\n\nx\n\n{F}\nX-Mozilla-Status: 0009\n\ny\n"
    );
    fs::write(folder.path().join("box"), text).unwrap();
    on_each_store(|world| {
        let report = world.imported(world.alice, &folder.path().join("box"));
        assert_eq!((report.taken, report.internal, report.deleted), (0, 1, 2));
    });
    assert_eq!(read_mbox(b"Subject: no mbox\n\nbody\n"), (vec![], 1));
    let long = [b"From a@b Tue Mar  5 10:10:10 2019\n\n".to_vec(), vec![b'F'; 700_000], b"\n".to_vec()].concat();
    assert_eq!(read_mbox(&long).0[0].len(), 700_002);
}

#[test]
fn trees_of_other_programs_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mbox = "From - Tue Mar 05 10:10:10 2019\nA: b\n\nx\n";
    for file in ["Inbox", "Work.sbd/2019", "Work", "Apple.mbox/mbox", "sub/x.mbox"] {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, mbox).unwrap();
    }
    fs::write(root.join("Inbox.msf"), "// index").unwrap();
    let folders: Vec<String> = shown(root).0.into_iter().map(|shown| shown.0).collect();
    assert_eq!(folders, ["Apple", "Inbox", "Work", "Work/2019", "sub/x"]);

    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put(root, "INBOX", "1.x:2,", &message(1), 5);
    put(root, "Work/2019", "1.x:2,", &message(1), 5);
    put(root, "Work", "1.x:2,", &message(1), 5);
    let folders: Vec<String> = shown(root).0.into_iter().map(|shown| shown.0).collect();
    assert_eq!(folders, ["INBOX", "Work", "Work/2019"]);

    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let list = "<plist><dict><key>date-received</key><integer>1551780610</integer><key>flags</key><integer>17</integer></dict></plist>";
    for (file, bytes) in [
        ("a.eml", "A: b\n\nx\n".to_owned()),
        ("Work/b.EML", "A: b\n\ny\n".to_owned()),
        (
            "V2/0A0B0C0D-0000-0000-0000-000000000000/INBOX.mbox/Data/Messages/1.emlx",
            format!("8        \nA: b\n\nz\n{list}"),
        ),
        ("notes.txt", "not mail".to_owned()),
    ] {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let (found, problems) = shown(root);
    assert_eq!(problems, []);
    let brief: Vec<(&str, &[u8])> = found.iter().map(|shown| (shown.0.as_str(), shown.1.as_slice())).collect();
    assert_eq!(brief, [("", &b"A: b\n\nx\n"[..]), ("V2/INBOX", b"A: b\n\nz\n"), ("Work", b"A: b\n\ny\n")]);
    assert_eq!(found[1].2, ["\\Flagged", "\\Seen"]);
    assert_eq!(found[1].3, Some(1_551_780_610_000_000));
}
