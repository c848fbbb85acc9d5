//! What happens to mailboxes without any session.

use postroad_mail::{Actor, By, MailboxId, UidSet, expunge, mailboxes, retention, undelete};
use postroad_store::{Locks, Timestamp};

use crate::client::Stage;
use crate::dice::Dice;

/// Something that was removed comes back: where it was, or into INBOX.
pub(crate) fn undelete(stage: &mut Stage, dice: &mut Dice) {
    let world = &stage.world;
    let (account, by) = (world.accounts["alice"], By::new(world.now, Actor::Admin));
    let (which, take) = (dice.roll(1_000), 1 + dice.roll(3));
    // In one transaction: of sessions at the same time another may delete the mailbox in between.
    let done = world.store.write_blocking(Locks::account(account), move |tx| {
        let sources = undelete::sources(tx, account)?;
        let Some(source) = sources.get(which % sources.len().max(1)) else { return Ok(None) };
        let (from, to) = (source.mailbox, if source.is_deleted { MailboxId::INBOX } else { source.mailbox });
        let removed = expunge::removed(tx, account, from, take)?;
        let uids: UidSet = removed.iter().map(|removed| removed.uid).collect();
        expunge::restore(tx, &by, account, from, &uids, to).map(|_| Some(source.name.clone()))
    });
    if let Some(name) = done.expect("it is restored").value {
        stage.trace.push(format!("outside: {take} come back into {name}"));
    }
}

/// The retention passes for what was removed until some moment.
pub(crate) fn forget(stage: &mut Stage, dice: &mut Dice) {
    let account = stage.world.accounts["alice"];
    let back = dice.roll(60) as i64;
    let before = Timestamp(stage.world.now.0 - back * 1_000_000);
    for _ in 0..100 {
        let swept =
            stage.world.store.write_blocking(Locks::account(account), move |tx| retention::sweep(tx, account, before));
        if !swept.expect("it is swept").value.more {
            break;
        }
    }
    stage.trace.push(format!("outside: what was removed up to {back} seconds ago is forgotten"));
}

/// The full-text index catches up.
pub(crate) fn new_index(stage: &mut Stage) {
    stage.world.index("alice");
    stage.trace.push("outside: the index catches up".to_owned());
}

/// Mailboxes that may be gone are there again: for the next steps.
pub(crate) fn furnish(stage: &mut Stage) {
    let (account, by) = (stage.world.accounts["alice"], By::new(stage.world.now, Actor::Admin));
    let name = postroad_mail::MailboxName::parse("Work").expect("a name");
    let made = stage.world.store.write_blocking(Locks::account(account), move |tx| {
        match mailboxes::find(tx, account, &name)? {
            Some(row) if row.selectable => Ok(()),
            Some(_) | None => mailboxes::create(tx, &by, account, &name, None).map(|_| ()),
        }
    });
    made.expect("it is made");
}
