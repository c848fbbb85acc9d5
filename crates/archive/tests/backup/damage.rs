//! Damage is noticed, named, and costs no more than it must.

use std::fs;
use std::path::Path;

use postroad_archive::backup::{self, Error, Folder, RowsReader, RowsWriter, silent};
use postroad_store::Locks;
use postroad_store::dump::{self, Value};

use crate::account::restore;
use crate::world::{
    Backups, Blank, account, append, audit_all, files, fill, mail_of, mailbox, message, migrations, sqlite,
};

/// Each file in turn, cut short and with a bit flipped at many places.
#[test]
fn whatever_is_changed_is_noticed() {
    let test = sqlite();
    fill(&test.store);
    let backups = Backups::new();
    backups.make(&test.store);
    assert!(backups.verify().is_sound());
    for path in files(&backups.path()) {
        let whole = fs::read(&path).unwrap();
        if path.ends_with("lock") {
            assert!(whole.is_empty(), "it holds nothing that could be damaged");
            continue;
        }
        let mut changed: Vec<Vec<u8>> = [0, whole.len() / 2, whole.len() - 1].map(|end| whole[..end].to_vec()).into();
        let step = (whole.len() / 12).max(1);
        for place in (0..whole.len()).step_by(step).chain([whole.len() - 1]) {
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << (place % 8);
            changed.push(flipped);
        }
        for bytes in changed {
            fs::write(&path, &bytes).unwrap();
            let seen = match Folder::to_read(&backups.path()) {
                Ok(folder) => backup::verify(&folder, None, &migrations(), &silent()).map(|found| found.is_sound()),
                Err(error) => Err(error),
            };
            assert!(!matches!(seen, Ok(true)), "{} with {} bytes", path.display(), bytes.len());
        }
        fs::write(&path, &whole).unwrap();
    }
    for path in files(&backups.path().join("packs")) {
        let whole = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let found = backups.verify();
        assert!(found.lost.iter().any(|(_, one)| one.account == "bob@example.test" && one.mailbox == "INBOX"));
        fs::write(&path, whole).unwrap();
    }
    assert!(backups.verify().is_sound());
}

/// One byte in the middle of a pack, or its end: the rest comes back, what does not is named, and counters are right.
#[test]
fn from_a_damaged_pack_all_comes_back_that_can() {
    let test = sqlite();
    fill(&test.store);
    let backups = Backups::new();
    backups.make(&test.store);
    let pack = files(&backups.path().join("packs")).pop().unwrap();
    let whole = fs::read(&pack).unwrap();
    let before = mail_of(&test.store, "alice@example.test");
    // A byte of some message; the footer; both.
    for (places, lost_max) in
        [(vec![whole.len() / 3], 3), (vec![whole.len() - 100], 0), (vec![40_000, whole.len() - 1], 3)]
    {
        let mut bytes = whole.clone();
        for place in places {
            bytes[place] ^= 0x55;
        }
        fs::write(&pack, &bytes).unwrap();
        let there = Blank::sqlite();
        let restored = backups.restore(&there.store, true).unwrap();
        assert!(restored.lost.len() <= lost_max, "{:?}", restored.lost);
        assert!(!restored.complaints.is_empty() || !restored.lost.is_empty());
        if lost_max == 0 {
            assert_eq!(mail_of(&there.store, "alice@example.test"), before);
            audit_all(&there.store);
        }
        let found = backups.verify();
        assert_eq!(found.lost.len(), restored.lost.len());
        for (_, one) in &found.lost {
            assert!(one.account.ends_with("@example.test") && one.uid > 0, "{one:?}");
        }
    }
    // The next backup stores again what a pack with a damaged footer held.
    let again = backups.make(&test.store);
    assert!(again.manifest.blobs.new_count > 30);
    let there = Blank::sqlite();
    let restored = backups.restore(&there.store, true).unwrap();
    assert!(restored.lost.is_empty());
    assert_eq!(mail_of(&there.store, "alice@example.test"), before);
}

/// A message whose file the disk lost: the backup names it and has all others.
#[test]
fn a_damaged_message_does_not_stop_a_backup() {
    let test = sqlite();
    fill(&test.store);
    let blobs: Vec<_> = files(&test.folder().join("blobs"))
        .into_iter()
        .filter(|path| path.metadata().unwrap().len() > 10_000)
        .collect();
    let mut bytes = fs::read(&blobs[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&blobs[0], bytes).unwrap();
    let backups = Backups::new();
    let made = backups.make(&test.store);
    assert_eq!(made.manifest.damaged.len(), 1);
    let there = Blank::sqlite();
    let restored = backups.restore(&there.store, true).unwrap();
    assert_eq!(restored.lost.len(), 1);
    assert_eq!(restored.lost[0].mailbox, "Projects/Übung");
}

/// What a crash leaves is cleared away, and packs that were done are made use of.
#[test]
fn what_a_crash_left_does_no_harm() {
    let test = sqlite();
    fill(&test.store);
    let backups = Backups::new();
    let first = backups.make(&test.store);
    // As if it had been killed before the last rename: packs, a draft, half a pack.
    let id = &first.manifest.id;
    fs::rename(backups.path().join("backups").join(id), backups.path().join("tmp").join(id)).unwrap();
    fs::write(backups.path().join("tmp/0123456789abc.pack"), b"PRPACK01 half").unwrap();
    let folder = Folder::to_read(&backups.path()).unwrap();
    assert!(folder.ids().unwrap().is_empty());
    drop(folder);
    let again = backups.make(&test.store);
    assert_eq!(again.manifest.blobs.new_count, 0);
    assert!(files(&backups.path().join("tmp")).is_empty());
    assert!(backups.verify().is_sound());
}

/// A damaged block of rows costs what is in it. Whose rows are elsewhere comes back as if nothing were damaged.
#[test]
fn a_damaged_table_keeps_nobody_elses_account_from_coming_back() {
    let test = sqlite();
    let store = &test.store;
    fill(store);
    let carol = store.write_blocking(Locks::none(), |tx| account(tx, "carol@example.test")).unwrap().value;
    append(store, carol, mailbox(store, carol, "INBOX"), &message(6, 300), Default::default(), &[]);
    let backups = Backups::new();
    let made = backups.make(store);
    let file = backups.path().join("backups").join(&made.manifest.id).join("message.rows");
    in_blocks_by_account(&file);
    let whole = fs::read(&file).unwrap();
    let length = |at: usize| 40 + u32::from_le_bytes(whole[at + 4..at + 8].try_into().unwrap()) as usize;
    let alices = 8 + length(8);
    let bobs = alices + length(alices);
    let carols = bobs + length(bobs);
    let [alice, bob, carol] = ["alice@example.test", "bob@example.test", "carol@example.test"];
    for (place, sound, concerned) in [
        (alices + 50, carol, alice),
        // Its length: nothing that follows can be found.
        (bobs + 5, "", bob),
        (bobs + 50, "", bob),
        (carols + 50, alice, carol),
    ] {
        let mut flipped = whole.clone();
        flipped[place] ^= 1;
        fs::write(&file, flipped).unwrap();
        if !sound.is_empty() {
            let done = restore(&backups, store, sound, None, None).unwrap();
            assert!(done.present > 0 && done.messages == 0 && done.refused.is_empty(), "{done:?}");
        }
        // What can be read is looked at; that something cannot is said.
        let done = restore(&backups, store, concerned, None, None).unwrap();
        assert_eq!((done.messages, done.present), (0, 0));
        assert!(matches!(done.refused.as_slice(), [what] if what.contains("message.rows")), "{done:?}");
        // Made anew, half of an account would be a state that never was.
        let refused = restore(&backups, store, concerned, Some("new@example.test"), None).unwrap_err();
        assert!(matches!(&refused, Error::Damaged(what) if what.contains("account add")), "{refused}");
        let refused = backups.restore(&Blank::sqlite().store, false).unwrap_err();
        assert!(refused.to_string().contains("--account"), "{refused}");
    }
    audit_all(store);
}

/// Writes the rows of messages again, so that a block ends where an account does.
fn in_blocks_by_account(file: &Path) {
    let tables = dump::tables(&migrations()).unwrap();
    let table = tables.into_iter().find(|table| table.name == "message").unwrap();
    let mut rows = Vec::new();
    RowsReader::open(file, &table)
        .unwrap()
        .each(|row| {
            rows.push(row);
            Ok(true)
        })
        .unwrap();
    fs::remove_file(file).unwrap();
    let mut writer = RowsWriter::create(file, &table).unwrap();
    for (number, row) in rows.iter().enumerate() {
        let mut row = row.clone();
        if rows.get(number + 1).is_none_or(|next| next[0] != row[0]) {
            row[table.column("summary").unwrap()] = Value::Bytes(vec![7; 600_000]);
        }
        writer.push(&row).unwrap();
    }
    writer.finish().unwrap();
}
