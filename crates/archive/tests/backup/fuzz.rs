//! Folders of backups made by somebody else: no panic, no path out of the folder, no memory beyond the file.

use std::fs;

use postroad_archive::backup::{Folder, Manifest, PackReader, PackWriter, RowsReader, RowsWriter, Step};
use postroad_store::BlobId;
use postroad_store::dump::{BlobRow, Column, Kind, Table, Value};

fn table() -> Table {
    let column = |(name, kind): (&str, Kind)| Column { name: name.into(), kind };
    Table {
        name: "t".into(),
        columns: [("a", Kind::Int), ("b", Kind::Text), ("c", Kind::Bytes)].map(column).into(),
        key: vec![0],
        counter: None,
    }
}

fn sound_rows(folder: &std::path::Path) -> Vec<u8> {
    let path = folder.join("sound.rows");
    let mut writer = RowsWriter::create(&path, &table()).unwrap();
    for number in 0..50 {
        writer.push(&[Value::Int(number), Value::Text("text".into()), Value::Bytes(vec![7; 30])]).unwrap();
    }
    writer.finish().unwrap();
    fs::read(path).unwrap()
}

fn sound_pack(folder: &std::path::Path) -> Vec<u8> {
    let path = folder.join("sound.pack");
    let mut writer = PackWriter::create(&folder.join("draft"), &path).unwrap();
    for number in 0..5u8 {
        let data = vec![number; 40];
        let row = BlobRow {
            id: BlobId(1),
            size: 40,
            stored_size: 40,
            encoding: 0,
            in_row: true,
            hash: *blake3::hash(&data).as_bytes(),
            name: None,
        };
        writer.add(&row, &data).unwrap();
    }
    writer.finish().unwrap();
    fs::read(path).unwrap()
}

/// The sound bytes with some overwritten: (place, byte) pairs.
fn mangled(sound: &[u8], changes: &[(u16, u8)], cut: u16) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for (place, byte) in changes {
        let place = usize::from(*place) % bytes.len();
        bytes[place] = *byte;
    }
    if cut.is_multiple_of(3) {
        bytes.truncate(usize::from(cut) % (sound.len() + 1));
    }
    bytes
}

#[test]
fn fuzz_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (sound, path) = (sound_rows(folder.path()), folder.path().join("x.rows"));
    postroad_fuzz::check!(1000).with_type::<(Vec<(u16, u8)>, u16, Vec<u8>)>().for_each(|(changes, cut, any)| {
        for bytes in [mangled(&sound, changes, *cut), any.clone(), [b"PRROWS01", any.as_slice()].concat()] {
            let changed = bytes != sound;
            fs::write(&path, &bytes).unwrap();
            let mut count = 0;
            let read = RowsReader::open(&path, &table()).and_then(|reader| {
                reader.each(|_| {
                    count += 1;
                    Ok(true)
                })
            });
            assert!(!changed || read.is_err(), "a change was not noticed");
        }
    });
}

#[test]
fn fuzz_packs() {
    let folder = tempfile::tempdir().unwrap();
    let (sound, path) = (sound_pack(folder.path()), folder.path().join("x.pack"));
    postroad_fuzz::check!(1000).with_type::<(Vec<(u16, u8)>, u16, Vec<u8>)>().for_each(|(changes, cut, any)| {
        for bytes in [mangled(&sound, changes, *cut), any.clone(), [b"PRPACK01", any.as_slice()].concat()] {
            let changed = bytes != sound;
            fs::write(&path, &bytes).unwrap();
            let whole = PackReader::open(&path).and_then(|pack| {
                for entry in pack.entries() {
                    let _ = pack.check(entry);
                }
                pack.is_sound()
            });
            assert!(!changed || !matches!(whole, Ok(true)), "a change was not noticed");
            let recovered = PackReader::recover(&path).unwrap();
            for entry in recovered.entries() {
                let _ = recovered.check(entry);
            }
        }
    });
}

#[test]
fn fuzz_manifests() {
    let manifest = Manifest {
        form: 1,
        note: String::new(),
        id: "20261122T063105Z-4f2a".into(),
        program: "0".into(),
        database: "SQLite".into(),
        taken: 1,
        finished: 2,
        schema: vec![Step { owner: "store".into(), version: 1, hash: String::new() }],
        tables: Vec::new(),
        blobs: Default::default(),
        damaged: Vec::new(),
    };
    let text = manifest.text();
    assert_eq!(Manifest::parse(text.as_bytes()), Ok(manifest));
    postroad_fuzz::check!(2000).with_type::<(Vec<(u16, u8)>, u16, Vec<u8>)>().for_each(|(changes, cut, any)| {
        let bytes = mangled(text.as_bytes(), changes, *cut);
        assert!(bytes == text.as_bytes() || Manifest::parse(&bytes).is_err());
        assert!(Manifest::parse(any).is_err());
        // With a checksum that fits, as one who means harm would write it.
        let harm = format!("\nBLAKE3 {}\n", blake3::hash(any).to_hex());
        let _ = Manifest::parse(&[any.as_slice(), harm.as_bytes()].concat());
    });
}

/// Ids and names of packs are names in their folders, whatever is asked for.
#[test]
fn no_name_leads_out_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("backups");
    drop(Folder::to_write(&root).unwrap());
    fs::create_dir_all(folder.path().join("elsewhere")).unwrap();
    fs::write(root.join("packs/..pack"), b"").unwrap();
    let folder = Folder::to_read(&root).unwrap();
    for id in ["../../elsewhere", "..", ".", "", "/etc", "a/b", "a\0b"] {
        assert!(folder.manifest(Some(id)).is_err(), "{id:?}");
    }
    assert!(folder.ids().unwrap().is_empty());
}
