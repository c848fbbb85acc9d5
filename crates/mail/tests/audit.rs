//! The audit finds each kind of contradiction, and nothing in a sound account.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{by, each, uids};
use postroad_mail::{MailboxId, audit, copy, expunge};

#[test]
fn every_check_can_fail() {
    let damages = [
        ("messages of a mailbox", "UPDATE mailbox SET messages = messages + 1 WHERE id = 1"),
        ("unseen of a mailbox", "UPDATE mailbox SET unseen = 0 WHERE id = 1"),
        ("deleted of a mailbox", "UPDATE mailbox SET deleted = 9 WHERE id = 2"),
        ("size of a mailbox", "UPDATE mailbox SET size = 1 WHERE id = 1"),
        ("uidnext of a mailbox and its highest uid", "UPDATE mailbox SET uidnext = 3 WHERE id = 1"),
        ("highest modseq of a mailbox and that of its entries", "UPDATE mailbox SET highest_modseq = 1 WHERE id = 1"),
        ("modseq of the account and of a mailbox", "UPDATE mailbox SET highest_modseq = 999 WHERE id = 3"),
        ("journal rows and modseq of the account", "DELETE FROM journal WHERE modseq = 3"),
        ("journal rows and modseq of the account", "UPDATE account SET modseq = modseq + 1"),
        ("an entry in no selectable mailbox", "UPDATE mailbox SET selectable = 0 WHERE id = 2"),
        ("a page of entries in no selectable mailbox", "UPDATE mailbox SET selectable = 0 WHERE id = 2"),
        ("an entry without its content", "DELETE FROM message WHERE id = (SELECT min(message) FROM entry)"),
        ("a content that nothing refers to", "DELETE FROM expunged"),
        ("used messages of the account", "UPDATE account SET used_messages = 77"),
        ("used bytes of the account", "UPDATE account SET used_bytes = 0"),
        ("a uid both present and removed", "UPDATE expunged SET uid = 2"),
        ("an entry and its page", "UPDATE entry SET size = size + 1 WHERE uid = 2 AND mailbox = 1"),
        ("an entry and its page", "DELETE FROM entry WHERE uid = 5"),
        ("messages of a mailbox", "DELETE FROM entry_page WHERE mailbox = 2"),
        ("counters of a page", "UPDATE entry_page SET unseen = unseen - 1"),
        ("uidvalidity of a mailbox and the last one given", "UPDATE account SET next_mailbox = 2"),
    ];
    each(|world| {
        let alice = world.alice;
        world.fill(5);
        world
            .write(move |tx| {
                copy::copy(tx, &by(), alice, MailboxId::INBOX, &uids("2"), MailboxId(2))?;
                expunge::remove(tx, &by(), alice, MailboxId::INBOX, &uids("4"))
            })
            .unwrap();
        world.audit();
        for (what, damage) in damages {
            let faults = world.write(move |tx| {
                tx.execute(damage, &[])?;
                let faults = audit::audit(tx, alice)?;
                // Undone by the error, for the next damage.
                Err::<(), _>(postroad_mail::Error::Corrupt(format!("{faults:?}")))
            });
            let text = faults.unwrap_err().to_string();
            assert!(text.contains(&format!("what: \"{what}: of ")), "{damage}: {text}");
        }
        world.audit();
    });
}
