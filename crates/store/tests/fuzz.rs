//! Anything goes in, the same comes out.

use postroad_store::{BlobPlace, Database, Locks, MIGRATIONS, Settings, Store, TraceId};

/// Bodies in pieces of any sizes, blown up so that they cross chunks; any range read back.
#[test]
fn fuzz_blobs() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut settings = Settings::new(Database::Memory, BlobPlace::Folder(folder.path().join("blobs")));
    settings.inline_limit = 300;
    let store = Store::open(settings).expect("it opens");
    store.migrate(MIGRATIONS).expect("tables are made");
    postroad_fuzz::check!(300).with_type::<(Vec<Vec<u8>>, u16, Vec<u8>, u32, u32)>().for_each(
        |(pieces, repeat, head, start, length)| {
            let mut whole = head.clone();
            let mut upload = store.upload();
            for _ in 0..=repeat % 400 {
                for piece in pieces {
                    upload.write(piece).expect("there is room");
                    whole.extend_from_slice(piece);
                }
            }
            let prepared = upload.finish(head.clone()).expect("it is made safe");
            let start = u64::from(*start) % (whole.len() as u64 + 10);
            let end = start + u64::from(*length) % (whole.len() as u64 + 10);
            let read = store.write_blocking(Locks::none(), move |tx| {
                let blob = tx.blob_put(&prepared)?;
                assert_eq!(tx.blob_size(blob)?, tx.blob_read(blob, 0..u64::MAX)?.len() as u64);
                let bytes = tx.blob_read(blob, start..end)?;
                tx.blob_release(blob, 1)?;
                Ok::<_, postroad_store::Error>(bytes)
            });
            let (from, to) = ((start as usize).min(whole.len()), (end as usize).min(whole.len()));
            assert!(read.expect("it is read").value == whole[from..to]);
        },
    );
}

#[test]
fn fuzz_ids() {
    postroad_fuzz::check!(2000).with_type::<Vec<u8>>().for_each(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(id) = text.parse::<TraceId>() {
            assert!(id.0 >= 0);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    });
    postroad_fuzz::check!(2000).with_type::<i64>().for_each(|number| {
        let id = TraceId(number & i64::MAX);
        assert_eq!(id.to_string().parse(), Ok(id));
    });
}
