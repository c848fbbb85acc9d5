//! A batch is what single deliveries are.

use postroad_mail::deliver::{self, Filing};
use postroad_mail::{
    Actor, By, Flags, Incoming, Intake, Keyword, MailboxId, MailboxName, Source, UidSet, Want, imports, mailboxes, view,
};
use postroad_message::Limits;
use postroad_store::{AccountId, Locks};

use crate::world::{NOW, World, on_each_store};

fn incoming(world: &World) -> Vec<Incoming> {
    let messages = [
        ("Message-ID: <1@x>\r\nSubject: a\r\n\r\n", Flags::NONE, vec!["$Forwarded", "one"]),
        ("Message-ID: <2@x>\r\nReferences: <1@x>\r\nSubject: Re: a\r\n\r\n", Flags::SEEN, vec![]),
        ("Message-ID: <3@x>\r\nReferences: <9@x>\r\nSubject: b\r\n\r\n", Flags::SEEN | Flags::DELETED, vec!["ONE"]),
        ("Message-ID: <9@x>\r\nSubject: b\r\n\r\n", Flags::FLAGGED, vec!["two"]),
        ("no header at all", Flags::ALL, vec![]),
    ];
    let one = |(number, (text, flags, keywords)): (usize, (&str, Flags, Vec<&str>))| {
        let mut intake = Intake::new(world.store.upload(), Limits::default());
        intake.feed(text.as_bytes()).unwrap();
        let keywords = keywords.into_iter().filter_map(Keyword::parse).collect();
        let filing = Filing { flags, keywords, received: None, trace: None };
        let arrival = intake.finish(Vec::new()).unwrap();
        Incoming { arrival, filing, source: Source([number as u8; 16]), crlf: number == 1 }
    };
    messages.into_iter().enumerate().map(one).collect()
}

/// Uids, flags, keywords, and which entries share a conversation.
fn entries(world: &World, account: AccountId) -> Vec<(u32, Flags, String, usize)> {
    let entries = world.store.read_blocking(move |tx| {
        let query = view::Query { uids: &UidSet::all(), want: Want::Facts, changed_since: None, limit: 100 };
        view::entries(tx, account, MailboxId::INBOX, &query)
    });
    let entries = entries.unwrap();
    let threads: Vec<_> = entries.iter().map(|entry| entry.facts.as_ref().unwrap().thread).collect();
    let first = |at: usize| threads.iter().position(|thread| *thread == threads[at]).unwrap();
    let row = |(at, entry): (usize, &view::Entry)| {
        (entry.uid, entry.flags, entry.keywords.iter().collect::<Vec<_>>().join(" "), first(at))
    };
    entries.iter().enumerate().map(row).collect()
}

#[test]
fn a_batch_files_what_single_deliveries_file() {
    on_each_store(|world| {
        let (alice, bob) = (world.alice, world.bob);
        let (batch, single) = (incoming(world), incoming(world));
        let by = By::new(NOW, Actor::Admin);
        let uids = world.store.write_blocking(Locks::account(alice), {
            let by = by.clone();
            move |tx| imports::deliver_all(tx, &by, alice, MailboxId::INBOX, &batch, true)
        });
        assert_eq!(uids.unwrap().value, UidSet::range(1, 5));
        for one in single {
            let by = by.clone();
            let delivered = world.store.write_blocking(Locks::account(bob), move |tx| {
                deliver::append(tx, &by, bob, MailboxId::INBOX, &one.arrival, &one.filing)
            });
            delivered.unwrap();
        }
        assert_eq!(entries(world, alice), entries(world, bob));
        let inbox = |account| {
            let inbox = world.store.read_blocking(move |tx| mailboxes::find(tx, account, &MailboxName::inbox()));
            let inbox = inbox.unwrap().unwrap();
            (inbox.uidnext, inbox.messages, inbox.unseen, inbox.deleted, inbox.size)
        };
        assert_eq!(inbox(alice), inbox(bob));
        world.audit();
    });
}

#[test]
fn a_batch_costs_a_constant_number_of_statements_on_postgresql() {
    on_each_store(|world| {
        let alice = world.alice;
        let batch = incoming(world);
        let by = By::new(NOW, Actor::Admin);
        let cost = world.store.write_blocking(Locks::account(alice), move |tx| {
            let before = tx.statements();
            imports::deliver_all(tx, &by, alice, MailboxId::INBOX, &batch, true)?;
            Ok::<_, postroad_mail::Error>((tx.is_postgres(), tx.statements() - before))
        });
        let (_, statements) = cost.unwrap().value;
        // Sets are inserted in powers of two: five rows are two statements.
        assert!(statements <= 20, "{statements} statements for five messages");
    });
}
