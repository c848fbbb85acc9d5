//! Links that others put into a tree to be imported, or into a folder to be exported to: who imports and exports may read
//! and write more than they.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use postroad_archive::source::{Format, Reading, Source};
use postroad_archive::wire::{self, Kind};
use postroad_archive::{Result, export};
use serde_json::json;

use crate::world::{message, put, shown};

#[test]
fn nothing_is_read_that_a_link_names_outside() {
    let folder = tempfile::tempdir().unwrap();
    let (outside, root) = (folder.path().join("outside"), folder.path().join("tree"));
    put(&outside, "", "1.secret:2,", &message(1), 5);
    fs::write(outside.join("dovecot-keywords"), "0 Secret\n").unwrap();
    fs::write(outside.join("list"), [b"From a@b Tue Mar  5 10:10:10 2019\n".to_vec(), message(2)].concat()).unwrap();
    fs::write(outside.join("3.eml"), message(3)).unwrap();

    put(&root, "", "9.own:2,a", &message(9), 5);
    put(&root, "Work", "9.own:2,", &message(8), 5);
    symlink(outside.join("cur/1.secret:2,"), root.join("cur/1.link:2,")).unwrap();
    symlink(&outside, root.join("Folder")).unwrap();
    symlink("../outside", root.join(".Dotted")).unwrap();
    fs::create_dir_all(root.join("Half")).unwrap();
    symlink(outside.join("cur"), root.join("Half/cur")).unwrap();
    symlink(outside.join("dovecot-keywords"), root.join("dovecot-keywords")).unwrap();
    // Inside it may lead where it likes.
    symlink("../Work/cur/9.own:2,", root.join("cur/8.inside:2,")).unwrap();
    let (messages, problems) = shown(&root);
    let mut bodies: Vec<&[u8]> = messages.iter().map(|one| one.1.as_slice()).collect();
    bodies.sort();
    assert_eq!(bodies, [message(8), message(8), message(9)]);
    assert!(messages.iter().all(|one| !one.2.contains(&"Secret".to_owned())));
    for part in ["1.link", "tree/Folder", ".Dotted", "Half/cur"] {
        let about = problems.iter().filter(|problem| problem.label.contains(part));
        assert_eq!(about.filter(|problem| problem.why.contains("leads out")).count(), 1, "{part}: {problems:?}");
    }

    for (name, target, format) in [("box", "list", Format::Mbox), ("3.eml", "3.eml", Format::Eml)] {
        let tree = tempfile::tempdir().unwrap();
        fs::write(tree.path().join("own.eml"), message(9)).unwrap();
        symlink(outside.join(target), tree.path().join(name)).unwrap();
        match Source::find(tree.path(), Reading { format: Some(format), ..Reading::default() }) {
            Ok(source) => {
                let mut all = crate::world::All::default();
                source.visit(&mut all).unwrap();
                assert_eq!(all.messages.len(), 1, "the own one");
                assert_eq!(all.problems.len(), 1, "{:?}", all.problems);
            }
            Err(error) => assert!(format == Format::Mbox && error.to_string().contains("no mbox file"), "{error}"),
        }
    }
    // What is named by the one who imports may be a link.
    let named = folder.path().join("named");
    symlink(&root, &named).unwrap();
    assert_eq!(shown(&named).0.len(), 3);
}

/// An export of a mailbox with one message.
fn exported(path: &Path, format: Format, mailbox: &str) -> Result<()> {
    let mut frames = Vec::new();
    let folder = json!({ "name": mailbox, "uidvalidity": 7, "messages": 1 });
    wire::write_json(&mut frames, Kind::Folder, &folder).unwrap();
    let meta = json!({ "uid": 1, "flags": 0, "keywords": ["a"], "received": 5_000_000, "was_crlf": false, "bare_lf": false, "size": 0 });
    wire::write_message(&mut frames, &meta, &message(1)).unwrap();
    wire::write(&mut frames, Kind::End, &[]).unwrap();
    export::write(path, format, export::Newline::Kept, frames.as_slice(), std::io::sink(), &mut |_| {}).1
}

fn everything_below(path: &Path, found: &mut Vec<(String, u32, bool)>) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        found.push((path.display().to_string(), metadata.permissions().mode() & 0o777, metadata.is_dir()));
        if metadata.is_dir() {
            everything_below(&path, found);
        }
    }
}

#[test]
fn an_export_is_for_its_owner_alone() {
    for format in [Format::Maildir, Format::Mbox] {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("to");
        exported(&to, format, "INBOX").unwrap();
        exported(&to, format, "Work/2019").unwrap();
        let mut found = Vec::new();
        everything_below(folder.path(), &mut found);
        assert!(found.len() > 3);
        for (path, mode, is_folder) in found {
            assert_eq!(mode, if is_folder { 0o700 } else { 0o600 }, "{path}");
        }
    }
}

#[test]
fn nothing_is_written_through_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let precious = outside.join("precious");
    fs::write(&precious, "precious").unwrap();
    let cases: [(&str, Format, &str, &str, bool); 7] = [
        ("INBOX", Format::Mbox, "INBOX.mbox.part", "precious", true),
        ("Work/2019", Format::Mbox, "Work", "", false),
        ("INBOX", Format::Maildir, "cur", "", false),
        ("INBOX", Format::Maildir, "tmp/5.V7U1.postroad", "precious", true),
        ("INBOX", Format::Maildir, "tmp/dovecot-keywords", "precious", true),
        ("Work", Format::Maildir, ".Work", "", false),
        ("Work", Format::Maildir, ".Work/maildirfolder", "precious", true),
    ];
    for (number, (mailbox, format, link, target, goes_on)) in cases.into_iter().enumerate() {
        let to = folder.path().join(format!("to {number}"));
        let link = to.join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(outside.join(target), &link).unwrap();
        assert_eq!(exported(&to, format, mailbox).is_ok(), goes_on, "{}", link.display());
        assert_eq!(fs::read(&precious).unwrap(), b"precious", "{}", link.display());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "{}", link.display());
    }
}

#[test]
fn no_name_of_a_mailbox_leads_out() {
    for mailbox in ["../up", "..", "a/../../up", ".", "/up", "a//up", ""] {
        for format in [Format::Maildir, Format::Mbox] {
            let folder = tempfile::tempdir().unwrap();
            let to = folder.path().join("deep/to");
            // Whether it can be written or not: nowhere else.
            let _ = exported(&to, format, mailbox);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{mailbox:?}");
            assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 1, "{mailbox:?}");
            assert!(!Path::new("/up").exists() && !Path::new("/up.mbox").exists(), "{mailbox:?}");
        }
    }
}
