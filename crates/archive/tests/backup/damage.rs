//! Damage is noticed, named, and costs no more than it must.

use std::fs;

use postroad_archive::backup::{self, Folder, silent};

use crate::world::{Backups, Blank, audit_all, files, fill, mail_of, migrations, sqlite};

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
