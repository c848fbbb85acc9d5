//! Folders of backups made by who means harm: with checksums that fit.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use postroad_archive::backup::{self, AccountPlan, Folder, PackReader, RowsReader, silent};
use postroad_store::dump::{Column, Kind, Table};
use postroad_store::{AccountId, BlobId, Store};

use crate::world::{Backups, address, each_database, files, fill, gone, mail_of, migrations, sqlite};

/// A block of rows as [`RowsReader`] reads it.
fn block(plain: &[u8]) -> Vec<u8> {
    let packed = zstd_of_zeros(plain);
    let mut block = (plain.len() as u32).to_le_bytes().to_vec();
    block.extend_from_slice(&(packed.len() as u32).to_le_bytes());
    block.extend_from_slice(blake3::hash(plain).as_bytes());
    block.extend_from_slice(&packed);
    block
}

/// A zstd frame of one run-length block for each 128 KiB of zeros (RFC 8878 §3.1.1.2.2), or of raw blocks.
fn zstd_of_zeros(plain: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    let mut pieces = plain.chunks(128 * 1024).peekable();
    while let Some(piece) = pieces.next() {
        let last = u32::from(pieces.peek().is_none());
        let all_zero = piece.iter().all(|byte| *byte == 0);
        let kind: u32 = if all_zero { 1 } else { 0 };
        let head = last | kind << 1 | (piece.len() as u32) << 3;
        frame.extend_from_slice(&head.to_le_bytes()[..3]);
        if all_zero { frame.push(0) } else { frame.extend_from_slice(piece) }
    }
    frame
}

#[test]
fn a_few_bytes_do_not_become_millions_of_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.rows");
    let column = Column { name: "a".into(), kind: Kind::Int };
    let table = Table { name: "t".into(), columns: vec![column], key: vec![0], counter: None };
    // The table's name and column, as texts.
    let head = [&[2, 1, b't', 2, 5][..], b"a int"].concat();
    for (rows, expected) in [(1_000, true), (200 << 20, false)] {
        // NULLs, a byte each.
        let bomb = [b"PRROWS01".to_vec(), block(&head), block(&vec![0; rows])].concat();
        assert!(bomb.len() < 10_000);
        fs::write(&path, bomb).unwrap();
        let mut reader = RowsReader::open(&path, &table).unwrap();
        let read = reader.next_rows().map(|rows| rows.len());
        let complaint = read.as_ref().err().map(ToString::to_string).unwrap_or_default();
        assert_eq!(read.is_ok() || complaint.contains("a row cannot be read"), expected, "{complaint}");
    }
}

#[test]
fn what_a_sparse_file_says_of_lengths_costs_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pack");
    // The head of an object, each of whose parts says that it has gigabytes, in a file that is as long.
    let mut object = b"PROBJ_01".to_vec();
    object.extend_from_slice(&[1, 0]);
    object.extend_from_slice(&(9u64 << 30).to_le_bytes());
    object.extend_from_slice(&(9u64 << 30).to_le_bytes());
    object.extend_from_slice(&[7; 32]);
    object.extend_from_slice(&(3u32 << 30).to_le_bytes());
    object.extend_from_slice(&(3u32 << 30).to_le_bytes());
    object.extend_from_slice(&(1u64 << 40).to_le_bytes());
    let check = blake3::hash(&object);
    object.extend_from_slice(&check.as_bytes()[..16]);
    let head = [b"PRPACK01".as_slice(), &object].concat();
    fs::write(&path, &head).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(head.len() as u64 + (2 << 40)).unwrap();
    // It ends as a pack does, with a footer of a terabyte.
    let mut trailer = (1u64 << 40).to_le_bytes().to_vec();
    trailer.extend_from_slice(&[0; 64]);
    trailer.extend_from_slice(b"PRPEND01");
    std::os::unix::fs::FileExt::write_all_at(&file, &trailer, head.len() as u64 + (2 << 40)).unwrap();
    assert!(matches!(PackReader::open(&path), Err(backup::Error::Damaged(_))));
    file.set_len(head.len() as u64 + 1).unwrap();
    assert!(PackReader::recover(&path).unwrap().entries().is_empty());
}

/// Where a file is to be there is a pipe, which would be waited for, or a device that never ends.
#[test]
fn what_is_no_file_is_not_opened() {
    let test = sqlite();
    fill(&test.store);
    let backups = Backups::new();
    backups.make(&test.store);
    let pipe = |path: &Path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    for path in files(&backups.path()) {
        let whole = fs::read(&path).unwrap();
        for endless in [true, false] {
            fs::remove_file(&path).unwrap();
            if endless {
                symlink("/dev/zero", &path).unwrap()
            } else {
                pipe(&path)
            }
            let seen = Folder::to_read(&backups.path()).and_then(|folder| {
                backup::verify(&folder, None, &migrations(), &silent()).map(|found| found.is_sound())
            });
            assert!(path.ends_with("lock") || !matches!(seen, Ok(true)), "{}", path.display());
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, whole).unwrap();
    }
}

/// A backup that names a message of somebody else on the server that it is restored into: it is lost, and not theirs.
#[test]
fn a_restored_account_gets_no_mail_of_others() {
    each_database(|test| {
        let store = &test.store;
        let alice = fill(store);
        let bob = AccountId(alice.0 + 1);
        let before = blobs_of_messages(store);
        let theirs = mail_of(store, "alice@example.test");
        let backups = Backups::new();
        backups.make(store);
        gone(store, bob);
        // The list of blobs is one of nothing: as from a server on which all ids are others'.
        let list = files(&backups.path()).into_iter().find(|path| path.ends_with("blob.rows")).unwrap();
        let bytes = fs::read(&list).unwrap();
        let head = 8 + 40 + u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]) as usize;
        let mut none = bytes[..head].to_vec();
        none.extend_from_slice(&[0, 0, 0, 0, 8, 0, 0, 0]);
        none.extend_from_slice(blake3::hash(&[0; 8]).as_bytes());
        none.extend_from_slice(&[0; 8]);
        fs::write(&list, none).unwrap();
        let folder = Folder::to_read(&backups.path()).unwrap();
        let done = backup::account(&AccountPlan {
            store,
            migrations: &migrations(),
            folder: &folder,
            backup: None,
            address: &address("bob@example.test"),
            to: None,
            into: None,
            clock: backups.clock(),
            tell: silent(),
        })
        .unwrap();
        assert!(done.made && done.lost.len() == 1, "{done:?}");
        let after = blobs_of_messages(store);
        let new: Vec<&(BlobId, i64)> =
            after.iter().filter(|(blob, _)| !before.iter().any(|one| one.0 == *blob)).collect();
        assert_eq!(new.len(), 1, "bob's message has bytes of its own, which are lost");
        assert!(after.iter().all(|(_, references)| *references > 0));
        assert_eq!(mail_of(store, "alice@example.test"), theirs);
    });
}

/// What the messages of all accounts refer to, and how many references that counts.
fn blobs_of_messages(store: &Store) -> Vec<(BlobId, i64)> {
    let sql = "SELECT m.blob, b.refs FROM message AS m JOIN blob AS b ON b.id = m.blob";
    let found = store.read_blocking(|tx| tx.rows(sql, &[], |row| Ok((BlobId(row.int(0)?), row.int(1)?))));
    found.unwrap()
}

/// What is in the folder for drafts is removed before a backup; a link in its place leads to what is not ours.
#[test]
fn nothing_is_removed_behind_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (root, other) = (folder.path().join("backups"), folder.path().join("other"));
    for part in ["tmp", "packs", "backups"] {
        drop(Folder::to_write(&root).unwrap());
        fs::create_dir(&other).unwrap();
        fs::write(other.join("precious"), "precious").unwrap();
        fs::remove_dir(root.join(part)).unwrap();
        symlink(&other, root.join(part)).unwrap();
        assert!(matches!(Folder::to_write(&root), Err(backup::Error::User(_))), "{part}");
        assert!(other.join("precious").exists(), "{part}");
        fs::remove_dir_all(&root).unwrap();
        fs::remove_dir_all(&other).unwrap();
    }
}
