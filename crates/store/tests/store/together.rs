//! Blobs that are read together are the same as those that are read one by one.

use crate::blobs::{LARGE, prepare, put};
use crate::bytes::{compressible, noise};
use crate::each;
use postroad_store::{BlobId, Error, Locks, ReadTx, params};

#[test]
fn many_are_read_by_one_statement_and_each_is_its_own() {
    each(|test| {
        let bodies: Vec<Vec<u8>> = (0..40)
            .map(|number| if number % 3 == 0 { noise(number * 50) } else { compressible(number * 200) })
            .chain([compressible(70_000), noise(100_000), compressible(LARGE), compressible(3_000)])
            .collect();
        let blobs: Vec<(BlobId, u64)> = bodies
            .iter()
            .map(|body| (put(&test.store, &prepare(&test.store, b"head", &[body])), body.len() as u64 + 4))
            .collect();
        let damaged = blobs[43].0;
        let spoil = test.store.write_blocking(Locks::none(), move |tx| {
            tx.execute("UPDATE blob SET data = $2 WHERE id = $1", params![damaged, &b"something else"[..]])
        });
        spoil.expect("it commits");
        // One is asked for twice, one is not there; in no order.
        let mut asked = blobs.clone();
        asked.reverse();
        asked.extend([blobs[7], (BlobId(1), 10)]);
        let expected: Vec<Option<Vec<u8>>> = asked
            .iter()
            .map(|(blob, _)| {
                let number = blobs.iter().position(|(one, _)| one == blob).filter(|number| *number < 42)?;
                Some([b"head", &bodies[number][..]].concat())
            })
            .collect();
        let small = blobs[..40].to_vec();
        let look = move |tx: &ReadTx| {
            let before = tx.statements();
            let found = tx.blobs_whole(&asked, u64::MAX)?;
            assert_eq!(tx.statements() - before, 1);
            for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert!(found.as_deref() == expected.as_deref(), "{place}");
            }
            // They are at hand now, one by one and together.
            let before = tx.statements();
            let again = tx.blobs_whole(&small, 0)?;
            assert!(again.iter().all(Option::is_some));
            assert_eq!(again[5], Some(tx.blob_whole(small[5].0)?));
            assert_eq!(tx.statements(), before);
            assert!(matches!(tx.blob_whole(damaged), Err(Error::Corrupt(_))));
            Ok::<_, Error>(())
        };
        test.store.read_blocking(look).expect("they are read");
    });
}

#[test]
fn only_as_many_as_there_is_room_for_are_read() {
    each(|test| {
        let blobs: Vec<(BlobId, u64)> =
            (0..4).map(|_| (put(&test.store, &prepare(&test.store, b"", &[&compressible(1_000)])), 1_000)).collect();
        let look = move |tx: &ReadTx| {
            let there = |found: Vec<Option<_>>| found.iter().map(Option::is_some).collect::<Vec<_>>();
            let none = tx.blobs_whole(&blobs, 1_999)?;
            assert_eq!(there(none), [false; 4], "one alone is read by itself");
            assert_eq!(there(tx.blobs_whole(&blobs, 3_500)?), [true, true, true, false]);
            assert!(tx.blobs_whole(&[], 3_500)?.is_empty());
            Ok::<_, Error>(())
        };
        test.store.read_blocking(look).expect("they are read");
    });
}
