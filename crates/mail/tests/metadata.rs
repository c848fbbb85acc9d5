//! Annotations and the limits that are not of mail.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{World, account, by, each, name};
use postroad_mail::acl::Who;
use postroad_mail::metadata::{self, Entry, MAX_ENTRIES, MAX_VALUE, Place, SPECIAL_USE};
use postroad_mail::quota::{self, Limits};
use postroad_mail::{Bound, Error, MailboxId, Role, accounts, audit, mailboxes, retention};
use postroad_store::{AccountId, Locks, ModSeq, ReadTx, Timestamp, WriteTx, params};

const INBOX: MailboxId = MailboxId::INBOX;

fn who(tx: &ReadTx, account: AccountId) -> Who {
    Who::new(account, &accounts::by_id(tx, account).unwrap().unwrap().address)
}

fn at(account: AccountId, mailbox: MailboxId) -> Place {
    Place { account, mailbox: Some(mailbox) }
}

fn entry(text: &str) -> Entry {
    let (private, path) = match text.strip_prefix('-') {
        Some(path) => (true, path),
        None => (false, text),
    };
    Entry { private, path: path.to_owned() }
}

/// `-` before the path: private.
fn set(tx: &mut WriteTx, place: Place, user: AccountId, values: &[(&str, Option<&str>)]) -> Result<bool, Error> {
    let values: Vec<_> =
        values.iter().map(|(path, value)| (entry(path), value.map(|value| value.as_bytes().to_vec()))).collect();
    let user = who(tx, user);
    metadata::set(tx, &by(), place, &user, &values).map(|done| done.is_some())
}

fn seen(tx: &ReadTx, place: Place, user: AccountId) -> String {
    let all = metadata::all(tx, place, &who(tx, user)).unwrap();
    let line = |one: &metadata::Annotation| {
        let sign = if one.entry.private { "-" } else { "" };
        format!("{sign}{}={}", one.entry.path, String::from_utf8_lossy(&one.value))
    };
    all.iter().map(line).collect::<Vec<_>>().join(" ")
}

#[test]
fn private_entries_are_of_whoever_set_them() {
    each(|world: &World| {
        let alice = world.alice;
        let bob = world.write(|tx| account(tx, "Bob@example.test")).unwrap();
        world
            .write(move |tx| {
                let (inbox, server) = (at(alice, INBOX), Place { account: alice, mailbox: None });
                assert!(set(tx, inbox, alice, &[("/comment", Some("all")), ("-/comment", Some("mine"))])?);
                assert!(set(tx, inbox, bob, &[("-/comment", Some("bob's")), ("/b", Some(""))])?);
                assert!(set(tx, server, alice, &[("-/comment", Some("the server"))])?);
                assert_eq!(seen(tx, inbox, alice), "/b= /comment=all -/comment=mine");
                assert_eq!(seen(tx, inbox, bob), "/b= /comment=all -/comment=bob's");
                assert_eq!(seen(tx, server, alice), "-/comment=the server");
                // What changes nothing is no operation.
                let before = accounts::by_id(tx, alice)?.unwrap().modseq;
                assert!(!set(tx, inbox, alice, &[("/comment", Some("all")), ("/none", None)])?);
                assert_eq!(accounts::by_id(tx, alice)?.unwrap().modseq, before);
                assert!(set(tx, inbox, alice, &[("/b", None), ("-/comment", None), ("/comment", Some("\u{e4}"))])?);
                assert_eq!(seen(tx, inbox, alice), "/comment=\u{e4}");
                assert_eq!(seen(tx, inbox, bob), "/comment=\u{e4} -/comment=bob's");
                Ok(())
            })
            .unwrap();
        world.audit();
        // Whoever has Bob's address next does not find what he wrote.
        world
            .write(move |tx| {
                accounts::delete(tx, &by(), bob)?;
                let left = tx.rows("SELECT whose FROM metadata", params![], |row| row.text(0))?;
                assert!(!left.iter().any(|whose| whose.contains("bob")), "{left:?}");
                Ok(())
            })
            .unwrap();
    });
}

#[test]
fn annotations_stay_with_a_mailbox_and_go_with_it() {
    each(|world: &World| {
        let alice = world.alice;
        world
            .write(move |tx| {
                let made = mailboxes::create(tx, &by(), alice, &name("Work/Plans"), None)?;
                set(tx, at(alice, made.id), alice, &[("/comment", Some("x"))])?;
                mailboxes::rename(tx, &by(), alice, &name("Work"), &name("Job"))?;
                let found = mailboxes::find(tx, alice, &name("Job/Plans"))?.unwrap();
                assert_eq!(seen(tx, at(alice, found.id), alice), "/comment=x");
                mailboxes::delete(tx, &by(), alice, &name("Job/Plans"))?;
                assert_eq!(seen(tx, at(alice, found.id), alice), "");
                assert_eq!(quota::rest(tx, alice)?.used_annotations, 0);
                assert!(audit::audit(tx, alice)?.is_empty());
                set(tx, at(alice, INBOX), alice, &[("/comment", Some("x"))])?;
                quota::set(tx, &by(), alice, &Limits { mailboxes: Some(20), ..Limits::default() })?;
                Ok(())
            })
            .unwrap();
        let locks = Locks::named(accounts::DIRECTORY_LOCK).and(Locks::account(alice));
        let gone = world.store.write_blocking(locks, move |tx| {
            accounts::delete(tx, &by(), alice)?;
            while retention::sweep(tx, alice, Timestamp(i64::MAX))?.more {}
            let left = |tx: &ReadTx, table: &str| {
                tx.one(&format!("SELECT CAST(count(*) AS BIGINT) FROM {table}"), params![], |row| row.int(0))
            };
            Ok::<_, Error>((left(tx, "metadata")?, left(tx, "quota_limit")?))
        });
        assert_eq!(gone.unwrap().value, (0, 0));
    });
}

#[test]
fn there_is_room_for_so_much() {
    each(|world: &World| {
        let alice = world.alice;
        world
            .write(move |tx| {
                let inbox = at(alice, INBOX);
                let long = "x".repeat(MAX_VALUE);
                assert!(set(tx, inbox, alice, &[("/long", Some(&long))])?);
                let longer = format!("{long}x");
                let refused = set(tx, inbox, alice, &[("/ok", Some("x")), ("/long", Some(&longer))]).unwrap_err();
                assert!(matches!(refused, Error::Limit(Bound::Annotation)), "{refused}");
                assert!(set(tx, inbox, alice, &[("/long", None)])?);
                let names: Vec<String> = (0..MAX_ENTRIES).map(|number| format!("/n{number}")).collect();
                let values: Vec<(&str, Option<&str>)> = names.iter().map(|name| (name.as_str(), Some("v"))).collect();
                assert!(set(tx, inbox, alice, &values)?);
                let refused = set(tx, inbox, alice, &[("-/one-more", Some("v"))]).unwrap_err();
                assert!(matches!(refused, Error::Limit(Bound::Annotations)), "{refused}");
                assert!(set(tx, inbox, alice, &[("/n0", None), ("-/one-more", Some("v"))])?);
                // The limit of the account; what is there stays, and may get smaller.
                quota::set(tx, &by(), alice, &Limits { annotations: Some(10), ..Limits::default() })?;
                let refused = set(tx, inbox, alice, &[("/n1", Some("vv"))]).unwrap_err();
                assert!(matches!(refused, Error::OverQuota), "{refused}");
                assert!(set(tx, inbox, alice, &[("/n1", Some(""))])?);
                assert!(set(tx, inbox, alice, &[("/n2", None)])?);
                let recount = tx.one(
                    "SELECT CAST(sum(length(entry) + length(value)) AS BIGINT) FROM metadata",
                    params![],
                    |row| row.int(0),
                )?;
                assert_eq!(quota::rest(tx, alice)?.used_annotations, u64::try_from(recount).unwrap());
                Ok(())
            })
            .unwrap();
        world.audit();
    });
}

#[test]
fn changes_are_told_to_whom_they_concern() {
    each(|world: &World| {
        let alice = world.alice;
        let bob = world.write(|tx| account(tx, "Bob@example.test")).unwrap();
        world
            .write(move |tx| {
                let inbox = at(alice, INBOX);
                let since = accounts::by_id(tx, alice)?.unwrap().modseq;
                set(tx, inbox, alice, &[("/comment", Some("x")), ("-/comment", Some("y"))])?;
                set(tx, inbox, bob, &[("-/comment", Some("z"))])?;
                set(tx, inbox, alice, &[("/comment", None)])?;
                set(tx, Place { account: alice, mailbox: None }, alice, &[("-/c", Some("x"))])?;
                let drafts = mailboxes::by_role(tx, alice, Role::Drafts)?.unwrap().id;
                let sent = mailboxes::by_role(tx, alice, Role::Sent)?.unwrap().id;
                mailboxes::set_role(tx, &by(), alice, drafts, Some(Role::Sent))?;
                let heard = |user, limit| metadata::changes(tx, alice, &who(tx, user), since, limit).unwrap();
                let lines = |heard: &metadata::Heard| -> Vec<(Option<i64>, bool, String)> {
                    let line = |one: &metadata::Changed| (one.mailbox, one.entry.private, one.entry.path.clone());
                    heard.changed.iter().map(line).collect()
                };
                let line = |mailbox: Option<i64>, private, path: &str| (mailbox, private, path.to_owned());
                let all = heard(alice, 100);
                assert_eq!(
                    lines(&all),
                    [
                        line(None, true, "/c"),
                        line(Some(1), false, "/comment"),
                        line(Some(1), true, "/comment"),
                        line(Some(drafts.0), true, SPECIAL_USE),
                        line(Some(sent.0), true, SPECIAL_USE),
                    ]
                );
                assert!(!all.more && all.until == Some(accounts::by_id(tx, alice)?.unwrap().modseq));
                assert_eq!(
                    lines(&heard(bob, 100)),
                    [line(Some(1), false, "/comment"), line(Some(1), true, "/comment")]
                );
                let first = heard(alice, 1);
                assert!(first.more && first.until == Some(ModSeq(since.0 + 1)), "{first:?}");
                Ok(())
            })
            .unwrap();
    });
}

#[test]
fn limits_are_set_all_at_once() {
    each(|world: &World| {
        let alice = world.alice;
        world
            .write(move |tx| {
                let all = Limits { bytes: Some(0), messages: Some(3), mailboxes: Some(7), annotations: Some(2048) };
                quota::set(tx, &by(), alice, &all)?;
                let (mail, rest) = (quota::of(tx, alice)?, quota::rest(tx, alice)?);
                assert_eq!((mail.limit_bytes, mail.limit_messages), (Some(1), Some(3)));
                assert_eq!((rest.used_mailboxes, rest.limit_mailboxes, rest.limit_annotations), (6, 7, 2048));
                let made = mailboxes::create(tx, &by(), alice, &name("A/B"), None).unwrap_err();
                assert!(matches!(made, Error::OverQuota), "{made}");
                mailboxes::create(tx, &by(), alice, &name("A"), None)?;
                let renamed = mailboxes::rename(tx, &by(), alice, &name("A"), &name("B/C")).unwrap_err();
                assert!(matches!(renamed, Error::OverQuota), "{renamed}");
                quota::set(tx, &by(), alice, &Limits::default())?;
                let (mail, rest) = (quota::of(tx, alice)?, quota::rest(tx, alice)?);
                assert_eq!((mail.limit_bytes, mail.limit_messages), (None, None));
                assert_eq!((rest.limit_mailboxes, rest.limit_annotations), (5000, quota::ANNOTATIONS_DEFAULT));
                for refused in [
                    Limits { messages: Some(0), ..Limits::default() },
                    Limits { mailboxes: Some(5001), ..Limits::default() },
                    Limits { annotations: Some(u64::MAX), ..Limits::default() },
                ] {
                    assert!(matches!(quota::set(tx, &by(), alice, &refused), Err(Error::Refused(_))), "{refused:?}");
                }
                let missing = quota::set(tx, &by(), AccountId(999), &Limits::default()).unwrap_err();
                assert!(matches!(missing, Error::NotFound(_)), "{missing}");
                Ok(())
            })
            .unwrap();
        world.audit();
    });
}
