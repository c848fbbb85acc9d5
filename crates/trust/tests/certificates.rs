//! Certificates, their keys and their orders: who has a line, what survives whom, and what is shown.

use std::time::Duration;

use postroad_store::{Locks, Store, Timestamp, WriteTx};
use postroad_testkit::each_store;
use postroad_trust::certificates::{
    self, Account, Answer, CertificateState, Challenge, Error, Failed, KeyRole, NewCertificate, NewKey, Origin, Secret,
    Wish,
};

const LEASE: Duration = Duration::from_secs(120);
const HOST: &str = "mail.example.test";

fn at(seconds: i64) -> Timestamp {
    Timestamp(1_795_348_800_000_000 + seconds * 1_000_000)
}

fn write<R: Send + 'static>(
    store: &Store,
    change: impl FnOnce(&mut WriteTx) -> certificates::Result<R> + Send + 'static,
) -> certificates::Result<R> {
    store.write_blocking(Locks::named("certificates"), change).map(|stored| stored.value)
}

fn key(sign: u8) -> NewKey {
    NewKey { algorithm: "ecdsa-p256".into(), pkcs8: Secret::new(vec![sign; 3]), spki: vec![sign; 32] }
}

fn certificate(serial: &str) -> NewCertificate {
    NewCertificate {
        names: vec![HOST.into(), "mx.example.test".into()],
        chain: format!("chain {serial}"),
        origin: Origin::Acme,
        directory: "https://ca.test/dir".into(),
        serial: serial.into(),
        not_before: at(0),
        not_after: at(90 * 86_400),
    }
}

fn names() -> Vec<String> {
    vec![HOST.into(), "mx.example.test".into()]
}

/// A line that node one holds, with both keys; the number of the current one.
fn held(store: &Store) -> i64 {
    write(store, |tx| {
        assert!(certificates::want(tx, HOST, &names(), false)?);
        assert!(!certificates::want(tx, HOST, &names(), false)?, "nothing new");
        certificates::add_key(tx, HOST, KeyRole::Current, &key(1), at(0))?;
        certificates::add_key(tx, HOST, KeyRole::Next, &key(2), at(0))?;
        certificates::add_key(tx, HOST, KeyRole::Next, &key(3), at(0))?;
        assert!(certificates::take(tx, HOST, "one", at(0), LEASE)?.is_some());
        let keys = certificates::keys(tx, Some(HOST))?;
        assert_eq!(
            keys.iter().map(|key| (key.role, key.spki[0])).collect::<Vec<_>>(),
            [(KeyRole::Current, 1), (KeyRole::Next, 2)]
        );
        Ok(keys[0].id)
    })
    .expect("the line is held")
}

#[test]
fn one_node_orders_at_a_time() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let key = held(&test.store);
        write(&test.store, move |tx| {
            assert!(certificates::take(tx, HOST, "two", at(119), LEASE)?.is_none());
            assert!(matches!(certificates::hold(tx, HOST, "two", at(1), LEASE), Err(Error::Lost)));
            certificates::hold(tx, HOST, "one", at(60), LEASE)?;
            certificates::ordered(tx, HOST, "one", ("https://ca.test/1", "https://ca.test/dir", key), at(61))?;
            assert!(certificates::take(tx, HOST, "two", at(179), LEASE)?.is_none());
            // It is silent for a lease: the other one goes on with the same order.
            let taken = certificates::take(tx, HOST, "two", at(180), LEASE)?.expect("it is free");
            let (url, _, of) = taken.order.expect("the order");
            assert_eq!((url.as_str(), of), ("https://ca.test/1", key));
            Ok(())
        })
        .expect("as it should be");
        for late in [
            write(&test.store, move |tx| {
                certificates::issued(tx, HOST, "one", key, &certificate("aa"), at(181)).map(|_| ())
            }),
            write(&test.store, |tx| {
                let failed =
                    Failed { problem: "x".into(), next_step: String::new(), not_before: at(0), is_order_over: true };
                certificates::failed(tx, HOST, "one", &failed, at(181))
            }),
        ] {
            assert!(matches!(late, Err(Error::Lost)), "{late:?}");
        }
        // A line that was let go of is free at once.
        write(&test.store, |tx| {
            certificates::left(tx, HOST, "two")?;
            assert!(certificates::take(tx, HOST, "three", at(182), LEASE)?.is_some());
            Ok(())
        })
        .expect("free");
    });
}

#[test]
fn what_was_issued_is_in_use_and_the_one_before_is_not() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let store = &test.store;
        let mut news = store.hub().subscribe(certificates::NEWS);
        let first = held(store);
        news.borrow_and_update();
        write(store, move |tx| {
            let new = Answer { challenge: Challenge::Http, name: "token".into(), answer: "token.thumb".into() };
            certificates::answer(tx, HOST, &new, at(600))?;
            certificates::refuse(tx, "mx.example.test", at(900), "no\0 answer")?;
            certificates::issued(tx, HOST, "one", first, &certificate("aa"), at(5))
        })
        .expect("issued");
        assert!(news.has_changed().expect("the hub is there"), "all nodes hear of it");
        // With the next key, which is the current one from then on.
        write(store, |tx| {
            assert!(certificates::refused(tx)?.is_empty(), "it was believed after all");
            assert_eq!(certificates::http_answer(tx, "token", at(6))?, None, "answers go with the order");
            let next = certificates::keys(tx, Some(HOST))?[1].id;
            certificates::hurry(tx, HOST, Wish::NewKey)?;
            assert!(certificates::take(tx, HOST, "one", at(7), LEASE)?.is_some_and(|line| line.wish == Wish::NewKey));
            certificates::issued(tx, HOST, "one", next, &certificate("bb"), at(8))
        })
        .expect("issued again");
        let (shown, keys, all, line) = store
            .read_blocking(|tx| {
                Ok::<_, Error>((
                    certificates::in_use(tx)?,
                    certificates::keys(tx, None)?,
                    certificates::certificates(tx)?,
                    certificates::line(tx, HOST)?.expect("the line"),
                ))
            })
            .expect("readable");
        assert_eq!(shown.len(), 1);
        assert_eq!((shown[0].0.serial.as_str(), shown[0].1.spki[0], shown[0].1.pkcs8.expose()), ("bb", 2, &vec![2; 3]));
        assert_eq!(keys.iter().map(|key| (key.role, key.spki[0])).collect::<Vec<_>>(), [(KeyRole::Current, 2)]);
        let states: Vec<_> = all.iter().map(|one| (one.serial.as_str(), one.state)).collect();
        assert_eq!(states, [("bb", CertificateState::InUse), ("aa", CertificateState::Old)]);
        assert_eq!((line.is_hurried, line.wish, line.order, line.failures), (false, Wish::Usual, None, 0));

        // Of a line only the latest few are kept, and the keys that they have.
        for serial in ["c1", "c2", "c3", "c4", "c5", "c6"] {
            let sign = serial.as_bytes()[1];
            write(store, move |tx| {
                certificates::use_certificate(tx, HOST, &key(sign), &certificate(serial), at(i64::from(sign)))
            })
            .expect("imported");
        }
        let all = store.read_blocking(certificates::certificates).expect("readable");
        assert_eq!(all.iter().map(|one| one.serial.as_str()).collect::<Vec<_>>(), ["c6", "c5", "c4", "c3"]);
    });
}

#[test]
fn a_failure_waits_and_is_forgotten_by_who_is_in_a_hurry() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let store = &test.store;
        let key = held(store);
        write(store, move |tx| {
            certificates::ordered(tx, HOST, "one", ("https://ca.test/1", "https://ca.test/dir", key), at(1))?;
            let failed = Failed {
                problem: "so it is ".repeat(1_000),
                next_step: "look".into(),
                not_before: at(900),
                is_order_over: false,
            };
            certificates::failed(tx, HOST, "one", &failed, at(2))?;
            certificates::refuse(tx, "mx.example.test", at(900), "why")?;
            certificates::refuse(tx, "mx.example.test", at(1_800), "why\0not")?;
            Ok(())
        })
        .expect("failed");
        write(store, |tx| {
            let line = certificates::line(tx, HOST)?.expect("the line");
            assert!(line.problem.len() <= 2_000 && line.order.is_some() && line.failures == 1, "{line:?}");
            assert!(certificates::take(tx, HOST, "one", at(899), LEASE)?.is_none());
            let refused = certificates::refused(tx)?;
            assert_eq!((refused[0].failures, refused[0].until, refused[0].why.as_str()), (2, at(1_800), "why not"));
            certificates::hurry(tx, HOST, Wish::Usual)?;
            assert!(certificates::refused(tx)?.is_empty());
            assert!(certificates::take(tx, HOST, "one", at(3), LEASE)?.is_some());
            assert!(matches!(certificates::hurry(tx, "nobody.test", Wish::Usual), Err(Error::Missing)));
            // Other names: what failed says nothing of them.
            assert!(certificates::want(tx, HOST, &[HOST.into()], false)?);
            assert_eq!(certificates::line(tx, HOST)?.map(|line| line.failures), Some(0));
            certificates::forget_line(tx, HOST)?;
            assert!(certificates::lines(tx)?.is_empty());
            Ok(())
        })
        .expect("as it should be");
    });
}

#[test]
fn answers_are_given_until_their_time_is_over() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        write(&test.store, |tx| {
            let digest = "0a".repeat(32);
            for (challenge, name, answer) in [
                (Challenge::Http, "token", "token.thumb"),
                (Challenge::Alpn, HOST, digest.as_str()),
                (Challenge::Alpn, "bad.test", "xyz"),
            ] {
                let new = Answer { challenge, name: name.into(), answer: answer.into() };
                certificates::answer(tx, HOST, &new, at(60))?;
            }
            for (seconds, is_given) in [(0, true), (59, true), (60, false)] {
                let http = certificates::http_answer(tx, "token", at(seconds))?;
                assert_eq!(http.as_deref(), is_given.then_some("token.thumb"));
                let alpn = certificates::alpn_answer(tx, "MAIL.example.test", at(seconds))?;
                assert_eq!(alpn, is_given.then_some([0x0a; 32]));
            }
            assert_eq!(certificates::http_answer(tx, HOST, at(0))?, None, "each kind has its own names");
            assert_eq!(certificates::alpn_answer(tx, "bad.test", at(0))?, None);
            certificates::forget_answers(tx, HOST, at(0))?;
            assert_eq!(certificates::http_answer(tx, "token", at(0))?, None);
            Ok(())
        })
        .expect("as it should be");
    });
}

#[test]
fn one_account_for_all_nodes_and_revocations_reach_the_authority() {
    each_store(&[postroad_trust::MIGRATIONS], |test| {
        let store = &test.store;
        let account = |secret: &str| Account {
            directory: "https://ca.test/dir".into(),
            credentials: Secret::new(secret.to_owned()),
            contact: String::new(),
            created: at(0),
        };
        assert!(!format!("{:?}", account("s3cret")).contains("s3cret"));
        let (one, two) = (account("one"), account("two"));
        write(store, move |tx| {
            assert_eq!(certificates::keep_account(tx, &one)?.credentials.expose(), "one");
            assert_eq!(certificates::keep_account(tx, &two)?.credentials.expose(), "one");
            certificates::forget_account(tx, &one.directory)?;
            assert_eq!(certificates::keep_account(tx, &two)?.credentials.expose(), "two");
            Ok(())
        })
        .expect("accounts");

        let key = held(store);
        let id = write(store, move |tx| certificates::issued(tx, HOST, "one", key, &certificate("aa"), at(1)));
        let id = id.expect("issued");
        write(store, move |tx| {
            certificates::revoke(tx, id, 1)?;
            let [(found, reason)] = &certificates::to_revoke(tx)?[..] else { panic!("one") };
            assert_eq!((found.id, *reason), (id, 1));
            certificates::revoked(tx, found, true)?;
            assert!(certificates::to_revoke(tx)?.is_empty() && certificates::in_use(tx)?.is_empty());
            let line = certificates::line(tx, HOST)?.expect("the line");
            assert!(line.is_hurried && line.wish == Wish::NewKeyNow, "{line:?}");
            assert!(matches!(certificates::revoke(tx, id, 1), Err(Error::Missing)), "once is enough");
            let window = Some((at(5), at(6)));
            certificates::keep_window(tx, id, window, at(7))?;
            assert_eq!(certificates::certificates(tx)?[0].window, window);
            Ok(())
        })
        .expect("revoked");
    });
}
