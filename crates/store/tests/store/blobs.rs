//! Blobs: what was written is what is read, or an error that names the blob.

use crate::bytes::{compressible, noise};
use crate::each;
use postroad_store::{
    BLOB_INLINE_MAX, BlobId, BlobPlace, Error, Locks, MIGRATIONS, Prepared, Settings, Store, Swept, Timestamp, new_id,
    params,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// More than lies in the database.
pub(crate) const LARGE: usize = BLOB_INLINE_MAX + 10_000;

pub(crate) fn prepare(store: &Store, head: &[u8], pieces: &[&[u8]]) -> Prepared {
    let mut upload = store.upload();
    for piece in pieces {
        upload.write(piece).expect("there is room");
    }
    assert_eq!(upload.size(), pieces.iter().map(|piece| piece.len() as u64).sum::<u64>());
    upload.finish(head.to_vec()).expect("it is made safe")
}

pub(crate) fn put(store: &Store, prepared: &Prepared) -> BlobId {
    let prepared = prepared.clone();
    store.write_blocking(Locks::none(), move |tx| tx.blob_put(&prepared)).expect("it is stored").value
}

pub(crate) fn read(store: &Store, blob: BlobId, start: u64, end: u64) -> Result<Vec<u8>, Error> {
    store.read_blocking(move |tx| tx.blob_read(blob, start..end))
}

/// Writes bodies of many sizes and reads ranges of them back.
pub(crate) fn round_trips(store: &Store, sizes: &[usize]) {
    let sizes = sizes.iter().copied();
    for (size, make) in sizes.flat_map(|size| [(size, compressible as fn(usize) -> Vec<u8>), (size, noise)]) {
        for head in [&b""[..], b"Received: from somewhere\r\n"] {
            let body = make(size);
            let (first, rest) = body.split_at(size / 3);
            let prepared = prepare(store, head, &[first, b"", rest]);
            let whole = [head, &body].concat();
            assert_eq!(prepared.size(), whole.len() as u64);
            let blob = put(store, &prepared);
            assert_eq!(blob, prepared.id());
            assert_eq!(store.read_blocking(move |tx| tx.blob_size(blob)), Ok(whole.len() as u64));
            let all = whole.len() as u64;
            let edges = [0, 1, head.len() as u64, head.len() as u64 + 3, 262_143, 262_144, 262_200, 524_288, all];
            for start in edges {
                for end in edges.into_iter().chain([u64::MAX]) {
                    let from = start.min(all) as usize;
                    let to = (end.min(all) as usize).max(from);
                    assert_eq!(
                        read(store, blob, start, end).as_deref(),
                        Ok(&whole[from..to]),
                        "{size}: {start}..{end}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_is_written_is_read() {
    let sizes = [
        0,
        1,
        511,
        512,
        BLOB_INLINE_MAX - 1,
        BLOB_INLINE_MAX,
        BLOB_INLINE_MAX + 1,
        262_143,
        262_144,
        262_145,
        600_000,
        1_048_576,
    ];
    each(|test| round_trips(&test.store, &sizes));
}

#[test]
fn the_limit_may_be_larger_than_a_chunk() {
    let test = postroad_testkit::TestStore::sqlite(&[]);
    let mut settings = test.settings();
    settings.inline_limit = 700_000;
    round_trips(&Store::open(settings).expect("it opens"), &[600_000, 700_001, 1_500_000]);
}

#[test]
fn a_place_that_is_not_the_settings_is_said() {
    let test = postroad_testkit::TestStore::sqlite(&[]);
    let blob = put(&test.store, &prepare(&test.store, b"head", &[&noise(LARGE)]));
    let mut settings = test.settings();
    settings.blobs = BlobPlace::Inline;
    let other = Store::open(settings).expect("it opens");
    assert!(matches!(read(&other, blob, 0, 10), Err(Error::Settings(_))));
    let released = other.write_blocking(Locks::none(), move |tx| tx.blob_release(blob, 1));
    released.expect("released");
    assert_eq!(sweep(&other, Timestamp::now(), Duration::ZERO), (0, 0), "its file could not be removed");
    assert_eq!(sweep(&test.store, Timestamp::now(), Duration::ZERO), (1, 1));
}

#[test]
fn compression_where_it_pays() {
    each(|test| {
        for (body, worth) in [
            (compressible(20_000), true),
            (noise(20_000), false),
            (compressible(900_000), true),
            (noise(900_000), false),
        ] {
            let blob = put(&test.store, &prepare(&test.store, b"", &[&body]));
            let (size, stored) = test
                .store
                .read_blocking(move |tx| {
                    tx.one("SELECT size, stored_size FROM blob WHERE id = $1", params![blob], |row| {
                        Ok((row.int(0)?, row.int(1)?))
                    })
                })
                .expect("the row is there");
            assert_eq!(size as usize, body.len());
            assert_eq!(stored < size, worth, "{size} bytes became {stored}");
        }
    });
}

/// The files of large blobs under a folder, temporary ones too.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with("postroad-home") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn a_damaged_file_is_never_read_as_if_it_were_whole() {
    each(|test| {
        for body in [compressible(900_000), noise(900_000)] {
            let blob = put(&test.store, &prepare(&test.store, b"head", &[&body]));
            let folder = test.folder().join("blobs");
            let [file] = &files(&folder)[..] else { panic!("one file in {folder:?}") };
            let good = std::fs::read(file).expect("it can be read");
            let name = file.file_name().expect("it has a name").to_string_lossy().into_owned();
            let corrupt = |what: &str, start, end| match read(&test.store, blob, start, end) {
                Err(Error::Corrupt(text)) if text.contains(&blob.to_string()) && text.contains(&name) => {}
                other => panic!("{what}: {:?}", other.map(|bytes| bytes.len())),
            };
            for place in [0, 5, good.len() / 2, good.len() - 1] {
                let mut bad = good.clone();
                bad[place] ^= 1;
                std::fs::write(file, &bad).expect("it can be written");
                corrupt("a flipped bit", 0, u64::MAX);
                if place == good.len() - 1 {
                    let fine = read(&test.store, blob, 4, 200_004);
                    assert_eq!(fine.as_deref(), Ok(&body[..200_000]), "the chunks before it are good");
                }
            }
            std::fs::write(file, &good[..good.len() - 1]).expect("it can be written");
            corrupt("cut short", 800_000, 900_000);
            std::fs::remove_file(file).expect("it can be removed");
            corrupt("missing", 0, 10);
            assert_eq!(read(&test.store, blob, 0, 4).as_deref(), Ok(&b"head"[..]), "the head is in the row");
        }
    });
}

#[test]
fn a_damaged_row_is_never_read_as_if_it_were_whole() {
    each(|test| {
        let small = put(&test.store, &prepare(&test.store, b"", &[&noise(1000)]));
        let packed = put(&test.store, &prepare(&test.store, b"", &[&compressible(1000)]));
        let large = put(&test.store, &prepare(&test.store, b"head", &[&noise(300_000)]));
        let changes = [
            (small, "UPDATE blob SET data = $2 WHERE id = $1"),
            (packed, "UPDATE blob SET data = $2 WHERE id = $1"),
            (large, "UPDATE blob SET head = $2 WHERE id = $1"),
            (large, "UPDATE blob SET chunks = $2 WHERE id = $1"),
            (large, "UPDATE blob SET encoding = 9, data = $2 WHERE id = $1"),
        ];
        for (blob, sql) in changes {
            let changed =
                test.store.write_blocking(Locks::none(), move |tx| tx.execute(sql, params![blob, &noise(999)]));
            assert_eq!(changed.expect("it is changed").value, 1);
            let error = read(&test.store, blob, 0, 10).expect_err("it is noticed");
            assert!(matches!(error, Error::Corrupt(_)), "{sql}: {error:?}");
        }
        let nothing = read(&test.store, BlobId(new_id()), 0, 1);
        assert!(matches!(nothing, Err(Error::Missing(_))));
    });
}

fn sweep(store: &Store, now: Timestamp, grace: Duration) -> (u64, u64) {
    let mut total = Swept::default();
    loop {
        let swept = store.sweep_blobs(now, grace).expect("it sweeps");
        total.rows += swept.rows;
        total.objects += swept.objects;
        if !swept.more {
            return (total.rows, total.objects);
        }
    }
}

/// Retains, releases and sweeps; `stored` counts the files or objects that are there.
pub(crate) fn references(store: &Store, stored: impl Fn() -> usize) {
    let bodies = [noise(100), noise(2 * LARGE), noise(100), noise(2 * LARGE)];
    let blobs: Vec<BlobId> = bodies.iter().map(|body| put(store, &prepare(store, b"", &[body]))).collect();
    let (small, large) = (blobs[0], blobs[1]);
    let (other_small, other_large) = (blobs[2], blobs[3]);
    assert_eq!(stored(), 2);
    let hour = Duration::from_secs(3600);
    let now = Timestamp::now();
    let change = move |store: &Store, blob: BlobId, n: i64| {
        let changed = store.write_blocking(Locks::none(), move |tx| {
            if n > 0 { tx.blob_retain(blob, n) } else { tx.blob_release(blob, -n) }
        });
        changed.map(|_| ())
    };
    change(store, large, 2).expect("retained");
    change(store, large, -2).expect("released");
    assert_eq!(sweep(store, now, hour), (0, 0), "each has its reference");
    change(store, large, -1).expect("released");
    change(store, small, -1).expect("released");
    assert_eq!(sweep(store, now, hour), (0, 0), "the grace begins now");
    assert_eq!(read(store, large, 0, 10).as_deref(), Ok(&bodies[1][..10]), "a snapshot that still sees it can read it");
    change(store, small, 1).expect("wanted again");
    change(store, small, -1).expect("and not");
    assert_eq!(sweep(store, now.plus(hour), hour), (1, 1), "the large one; the small one's grace began anew");
    assert_eq!(sweep(store, now.plus(hour * 2), hour), (1, 0));
    assert_eq!(stored(), 1);
    assert!(matches!(change(store, large, 1), Err(Error::Missing(_))));
    assert!(matches!(read(store, large, 0, 10), Err(Error::Missing(_))));
    let many = store.write_blocking(Locks::none(), move |tx| {
        tx.blob_retain_all(&[other_small, other_large, other_small])?;
        tx.blob_release_all(&[other_small, other_small, other_small, other_large])
    });
    many.expect("counted");
    assert_eq!(sweep(store, now.plus(hour * 3), Duration::ZERO), (1, 0), "the small one, at once");
    assert_eq!(read(store, other_large, 0, 10).as_deref(), Ok(&bodies[3][..10]));
    assert_eq!(stored(), 1);
}

#[test]
fn what_nobody_needs_is_swept_after_its_grace() {
    each(|test| references(&test.store, || files(&test.folder().join("blobs")).len()));
}

#[test]
fn files_lie_in_one_level_of_folders_and_older_ones_where_they_were() {
    let test = postroad_testkit::TestStore::sqlite(&[]);
    let folder = test.folder().join("blobs");
    let folders = std::fs::read_dir(&folder).expect("it can be read").filter(|entry| {
        let name = entry.as_ref().expect("it can be read").file_name();
        name.len() == 2
    });
    assert_eq!(folders.count(), 256, "made at the start");
    let (old, new) = (noise(LARGE), noise(LARGE + 1));
    let [old_blob, new_blob] = [&old, &new].map(|body| put(&test.store, &prepare(&test.store, b"head", &[body])));
    let of_blob = |blob: BlobId| {
        let all = files(&folder);
        let found = all.iter().find(|path| path.to_string_lossy().contains(&blob.to_string()));
        found.expect("it has a file").clone()
    };
    // As it was before: two levels, by the last digits of the name.
    let file = of_blob(old_blob);
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    let above = folder.join(&name[name.len() - 4..name.len() - 2]).join(&name[name.len() - 2..]);
    std::fs::create_dir_all(&above).expect("it can be made");
    std::fs::rename(&file, above.join(&name)).expect("it can be moved");
    assert_eq!(of_blob(new_blob).parent().and_then(Path::parent), Some(&*folder));
    std::fs::create_dir_all(folder.join("00/ff")).expect("it can be made");
    std::fs::write(folder.join("00/ff/0123456789abc-00ff00ff"), b"left by a crash").expect("it can be written");
    assert_eq!(read(&test.store, old_blob, 4, u64::MAX), Ok(old));
    assert_eq!(read(&test.store, new_blob, 4, u64::MAX), Ok(new));
    let (now, day) = (Timestamp::now(), Duration::from_secs(24 * 60 * 60));
    assert_eq!(sweep(&test.store, now.plus(day * 2), Duration::ZERO), (0, 1), "an orphan of the older form");
    let released = test.store.write_blocking(Locks::none(), move |tx| tx.blob_release(old_blob, 1));
    released.expect("released");
    assert_eq!(sweep(&test.store, now.plus(day * 3), Duration::ZERO), (1, 1));
    assert_eq!(files(&folder), [of_blob(new_blob)]);
}

/// Files or objects whose rows never came.
pub(crate) fn orphans(store: &Store, stored: impl Fn() -> usize) {
    let kept = noise(300_000);
    let blob = put(store, &prepare(store, b"", &[&kept]));
    for _ in 0..5 {
        // As when the machine loses its power now.
        std::mem::forget(prepare(store, b"", &[&noise(LARGE)]));
    }
    let prepared = prepare(store, b"", &[&noise(LARGE)]);
    let undone = store.write_blocking(Locks::none(), move |tx| {
        tx.blob_put(&prepared)?;
        Err::<(), _>(Error::Missing("changed my mind".into()))
    });
    assert!(undone.is_err());
    let mut upload = store.upload();
    upload.write(&noise(LARGE)).expect("there is room");
    drop(upload);
    assert_eq!(stored(), 7, "a broken-off upload leaves nothing, a prepared one its file");
    let (now, day) = (Timestamp::now(), Duration::from_secs(24 * 60 * 60));
    assert_eq!(sweep(store, now, Duration::ZERO), (0, 0), "they may still get their rows");
    assert_eq!(sweep(store, now.plus(day * 2), Duration::ZERO), (0, 6));
    assert_eq!(stored(), 1);
    assert_eq!(read(store, blob, 0, u64::MAX), Ok(kept));
}

#[test]
fn what_has_no_row_is_swept_after_a_day() {
    each(|test| {
        let folder = test.folder().join("blobs");
        orphans(&test.store, || files(&folder).len());
        // What a crash leaves among the arriving, and what is not ours.
        std::fs::write(folder.join("tmp").join("0123456789abc-00ff00ff"), b"half").expect("it can be written");
        std::fs::create_dir_all(folder.join("ab/cd")).expect("it can be made");
        std::fs::write(folder.join("ab/cd/README"), b"mine").expect("it can be written");
        let later = Timestamp::now().plus(Duration::from_secs(3 * 24 * 60 * 60));
        assert_eq!(sweep(&test.store, later, Duration::ZERO), (0, 1));
        assert!(folder.join("ab/cd/README").exists());
        // Another database that is told to use the same folder does not take these blobs for orphans.
        let mut settings = Settings::memory();
        settings.blobs = BlobPlace::Folder(folder.clone());
        let other = Store::open(settings).expect("it opens");
        let before = files(&folder);
        assert!(matches!(other.migrate(MIGRATIONS), Err(Error::Settings(_))));
        assert!(matches!(other.sweep_blobs(later, Duration::ZERO), Err(Error::Settings(_))));
        assert_eq!(files(&folder), before);
    });
}
