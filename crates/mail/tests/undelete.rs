//! What was deleted is found again, also after its mailbox is gone.
#![allow(clippy::unwrap_used)]

mod common;

use common::{by, each, name, uids};
use postroad_mail::{MailboxId, UidSet, copy, expunge, mailboxes, undelete, view};
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
