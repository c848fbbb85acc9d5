//! A conversation is known as long as one of its messages is there, and no longer.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{NOW, World, by, each, uids};
use postroad_mail::{Flags, MailboxId, expunge, retention};
use postroad_store::{Timestamp, params};

fn mail(id: &str, answers: &str) -> String {
    format!(
        "From: bob@example.test\r\nTo: alice@example.test\r\nSubject: plans\r\nMessage-ID: <{id}@example.test>\r\n\
         References: {answers}\r\n\r\nHello.\r\n"
    )
}

/// Removes entries for good.
fn remove(world: &World, which: &'static str) {
    let alice = world.alice;
    world.write(move |tx| expunge::remove(tx, &by(), alice, MailboxId::INBOX, &uids(which)).map(|_| ())).unwrap();
    let later = Timestamp(NOW.0 + 1);
    assert!(!world.write(move |tx| retention::sweep(tx, alice, later)).unwrap().more);
}

fn keys(world: &World) -> i64 {
    let count = "SELECT count(*) FROM thread_key";
    world.read(move |tx| Ok(tx.one(count, params![], |row| row.int(0))?)).unwrap()
}

#[test]
fn what_leads_to_a_conversation_stays_until_its_last_message_goes() {
    each(|world| {
        let first = world.deliver(MailboxId::INBOX, &mail("first", ""), Flags::default());
        let answer = world.deliver(MailboxId::INBOX, &mail("answer", "<first@example.test>"), Flags::default());
        let other = world.deliver(MailboxId::INBOX, &mail("other", ""), Flags::default());
        assert_eq!((first.thread.0, answer.thread), (first.message.0, first.thread));
        assert_ne!(other.thread, first.thread);
        remove(world, "1");
        let late = world.deliver(MailboxId::INBOX, &mail("late", "<first@example.test>"), Flags::default());
        assert_eq!(late.thread, first.thread, "the answer still holds it");
        let all = keys(world);
        remove(world, "2");
        assert_eq!(keys(world), all, "so does the late one");
        remove(world, "4");
        let left = keys(world);
        assert!(0 < left && left < all, "{left} of {all}: the other conversation's");
        let anew = world.deliver(MailboxId::INBOX, &mail("anew", "<first@example.test>"), Flags::default());
        assert_eq!(anew.thread.0, anew.message.0);
        remove(world, "3,5");
        assert_eq!(keys(world), 0);
        world.audit();
    });
}
