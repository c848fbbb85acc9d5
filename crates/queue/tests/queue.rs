//! What is enqueued is listed and counted as it was given.
#![allow(clippy::unwrap_used, missing_docs)]

use postroad_queue::{Body, Error, LIFETIME, Notify, Outgoing, Recipient, Ret, State, depth, enqueue, list};
use postroad_store::{AccountId, BlobId, Locks, Store, Timestamp, TraceId};
use postroad_testkit::each_store;

const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

fn to(address: &str) -> Recipient {
    let domain = address.rsplit_once('@').unwrap().1.to_owned();
    Recipient { address: address.to_owned(), domain, notify: Notify::default(), orcpt: None }
}

fn outgoing(blob: BlobId, recipients: Vec<Recipient>) -> Outgoing {
    Outgoing {
        blob,
        size: 5,
        sender: "alice@example.test".to_owned(),
        account: Some(AccountId(1)),
        envid: Some("e 1".to_owned()),
        ret: Some(Ret::Headers),
        body: Body::EightBitMime,
        smtputf8: false,
        requiretls: false,
        trace: Some(TraceId(9)),
        hold_until: None,
        recipients,
    }
}

fn put(store: &Store, recipients: Vec<Recipient>, hold: Option<Timestamp>, now: Timestamp) -> Result<(), Error> {
    let mut upload = store.upload();
    upload.write(b"hello").unwrap();
    let prepared = upload.finish(Vec::new()).unwrap();
    let done = store.write_blocking(Locks::none(), move |tx| {
        let blob = tx.blob_put(&prepared)?;
        let message = Outgoing { hold_until: hold, ..outgoing(blob, recipients) };
        enqueue(tx, &message, now)?;
        // The reference of the delivery that was not: the queue holds its own.
        tx.blob_release(blob, 1)?;
        Ok(())
    });
    done.map(|_| ())
}

#[test]
fn messages_are_listed_as_they_were_enqueued() {
    each_store(&[postroad_queue::MIGRATIONS], |test| {
        let store = &test.store;
        assert_eq!(store.read_blocking(depth).unwrap(), postroad_queue::Depth::default());
        let exact = Recipient {
            notify: Notify { success: true, failure: false, delay: true },
            orcpt: Some("rfc822;x@away.test".to_owned()),
            ..to("x@away.test")
        };
        put(store, vec![exact, to("y@far.test")], None, NOW).unwrap();
        let later = Timestamp(NOW.0 + 1_000);
        let held = Timestamp(NOW.0 + 5_000_000);
        put(store, vec![to("z@far.test")], Some(held), later).unwrap();
        let (depth, first, rest) = store
            .read_blocking(|tx| {
                let first = list(tx, None, 1)?;
                let rest = list(tx, Some(first[0].id), 10)?;
                Ok::<_, Error>((depth(tx)?, first, rest))
            })
            .unwrap();
        assert_eq!((depth.messages, depth.recipients, depth.oldest), (2, 3, Some(NOW)));
        assert_eq!((first.len(), rest.len()), (1, 1));
        let message = &first[0];
        assert_eq!((message.sender.as_str(), message.trace), ("alice@example.test", Some(TraceId(9))));
        assert_eq!(message.expires, NOW.plus(LIFETIME));
        let recipients = &message.recipients;
        assert_eq!(recipients[0].address, "x@away.test");
        assert_eq!(recipients[0].notify, Notify { success: true, failure: false, delay: true });
        assert_eq!(recipients[1].notify, Notify::default());
        assert!(recipients.iter().all(|one| one.state == State::Waiting && one.due == NOW && one.attempts == 0));
        assert_eq!(rest[0].recipients[0].due, held);
        let blob = message.blob;
        let bytes = store.read_blocking(move |tx| tx.blob_read(blob, 0..100)).unwrap();
        assert_eq!(bytes, b"hello");
    });
}

#[test]
fn a_message_has_recipients() {
    each_store(&[postroad_queue::MIGRATIONS], |test| {
        assert!(matches!(put(&test.store, Vec::new(), None, NOW), Err(Error::Recipients)));
        let many = vec![to("x@far.test"); 3_000];
        put(&test.store, many, None, NOW).unwrap();
        assert_eq!(test.store.read_blocking(depth).unwrap().recipients, 3_000);
    });
}
