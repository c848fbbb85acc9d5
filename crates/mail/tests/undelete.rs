//! What was deleted is found again, also after its mailbox is gone.
#![allow(clippy::unwrap_used)]

mod common;

use common::{by, each, name, uids};
use postroad_mail::{MailboxId, UidSet, accounts, copy, expunge, mailboxes, retention, undelete, view};
use postroad_message::SummaryView;

const INBOX: MailboxId = MailboxId::INBOX;

#[test]
fn a_deleted_mailbox_is_found_by_its_former_name_and_emptied_into_another() {
    each(|world| {
        let alice = world.alice;
        world.fill(4);
        let gone = world
            .write(move |tx| {
                let made = mailboxes::create(tx, &by(), alice, &name("Projects/Old"), None)?;
                copy::move_to(tx, &by(), alice, INBOX, &uids("1:3"), made.id)?;
                expunge::remove(tx, &by(), alice, INBOX, &uids("4"))?;
                mailboxes::delete(tx, &by(), alice, &name("Projects/Old"))?;
                Ok(made.id)
            })
            .unwrap();
        let sources = world.read(move |tx| undelete::sources(tx, alice)).unwrap();
        let told: Vec<_> = sources
            .iter()
            .map(|source| (source.mailbox, source.name.as_str().to_owned(), source.is_deleted, source.messages))
            .collect();
        assert!(told.contains(&(gone, "Projects/Old".into(), true, 3)), "{told:?}");
        assert!(told.contains(&(INBOX, "INBOX".into(), false, 1)), "{told:?}");
        assert_eq!(told.len(), 2);

        let listed = world.read(move |tx| undelete::removed(tx, alice, gone, 10)).unwrap();
        assert_eq!(listed.iter().map(|(entry, _)| entry.uid).collect::<Vec<_>>(), [3, 2, 1]);
        assert!(listed.iter().all(|(_, summary)| SummaryView::new(summary).is_ok()));

        world.write(move |tx| expunge::restore(tx, &by(), alice, gone, &UidSet::all(), INBOX)).unwrap();
        let (back, left) =
            world.read(move |tx| Ok((view::uids(tx, alice, INBOX)?, undelete::sources(tx, alice)?))).unwrap();
        assert_eq!(back, [5, 6, 7]);
        assert_eq!(left.len(), 1);
        world.audit();
    });
}

#[test]
fn who_fills_and_empties_in_turn_keeps_only_so_much() {
    each(|world| {
        let alice = world.alice;
        world.fill(6);
        let size = world.read(move |tx| Ok(accounts::by_id(tx, alice)?.unwrap().used_bytes)).unwrap() / 6;
        world.write(move |tx| copy::copy(tx, &by(), alice, INBOX, &uids("6"), INBOX)).unwrap();
        for uid in ["1", "2", "3", "4", "6"] {
            world.write(move |tx| expunge::remove(tx, &by(), alice, INBOX, &uids(uid))).unwrap();
        }
        // The sixth has another entry: it takes no room of its own.
        let kept = world.read(move |tx| retention::kept_octets(tx, alice)).unwrap();
        assert!((4 * size..=4 * size + 4).contains(&kept), "{kept} of {size} each");
        let spared = |limit: u64| {
            let mut entries = 0;
            loop {
                let swept = world.write(move |tx| retention::spare(tx, alice, limit)).unwrap();
                entries += swept.entries;
                if !swept.more {
                    return (entries, world.read(move |tx| retention::kept_octets(tx, alice)).unwrap());
                }
            }
        };
        assert_eq!(spared(kept), (0, kept), "exactly so much is not too much");
        let (entries, now) = spared(kept - 1);
        assert!(entries >= 1 && now < kept, "{entries} entries went, {now} octets stay");
        let (_, now) = spared(2 * size + 2);
        assert!(now <= 2 * size + 2, "{now}");
        let (_, now) = spared(0);
        assert_eq!(now, 0);
        assert_eq!(world.read(move |tx| view::uids(tx, alice, INBOX)).unwrap(), [5, 7], "what is there stays");
        world.audit();
    });
}
