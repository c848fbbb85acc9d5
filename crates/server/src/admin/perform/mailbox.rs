//! An account's mailboxes, and bringing deleted mail back.

use postroad_mail::accounts::Account;
use postroad_mail::mailboxes::{self, Listed, Mailbox};
use postroad_mail::{MailboxName, UidSet, expunge};

use super::{Desk, Outcome, Refusal, about, size};
use crate::admin::Answer;
use crate::admin::time::shown;

/// Deleted messages listed at once.
const DELETED_MAX: usize = 1_000;

pub(super) fn list(desk: &Desk<'_>, text: &str) -> Outcome {
    let id = desk.account(text)?.id;
    let found = desk.read(move |tx| mailboxes::list(tx, id))?;
    let row = |listed: &Listed| {
        let mailbox = listed.mailbox.as_ref()?;
        let role = mailbox.role.map(|role| role.name()).unwrap_or_default();
        Some(vec![
            listed.name.to_string(),
            role.into(),
            mailbox.messages.to_string(),
            mailbox.unseen.to_string(),
            size(mailbox.size),
            if listed.subscribed { "yes" } else { "no" }.into(),
        ])
    };
    let rows = found.iter().filter_map(row).collect();
    Ok(Answer::table(&["MAILBOX", "ROLE", "MESSAGES", "UNSEEN", "SIZE", "SUBSCRIBED"], rows, "no mailbox"))
}

pub(super) fn create(desk: &Desk<'_>, text: &str, name: &str) -> Outcome {
    let account = desk.account(text)?;
    let (id, wanted) = (account.id, named(name)?);
    desk.of_account(&account, move |tx, by| {
        let made = mailboxes::create(tx, by, id, &wanted, None)?;
        mailboxes::subscribe(tx, by, id, &made.name)
    })
    .map_err(about(name))?;
    Ok(Answer::done(format!("{text} has a mailbox {name}")))
}

pub(super) fn rename(desk: &Desk<'_>, text: &str, from: &str, to: &str) -> Outcome {
    let account = desk.account(text)?;
    let (id, old, new) = (account.id, named(from)?, named(to)?);
    desk.of_account(&account, move |tx, by| mailboxes::rename(tx, by, id, &old, &new)).map_err(about(from))?;
    Ok(Answer::done(format!("{from} of {text} is now {to}")))
}

pub(super) fn delete(desk: &Desk<'_>, text: &str, name: &str) -> Outcome {
    let account = desk.account(text)?;
    let (id, wanted) = (account.id, named(name)?);
    desk.of_account(&account, move |tx, by| mailboxes::delete(tx, by, id, &wanted)).map_err(about(name))?;
    Ok(Answer::done(format!("{name} of {text} is deleted; its mail can be brought back within the retention")))
}

pub(super) fn deleted(desk: &Desk<'_>, text: &str, name: &str) -> Outcome {
    let account = desk.account(text)?;
    let mailbox = mailbox(desk, &account, name)?;
    let found = desk.read(move |tx| expunge::removed(tx, account.id, mailbox.id, DELETED_MAX))?;
    let row = |removed: &expunge::Removed| vec![removed.uid.to_string(), shown(removed.at), size(removed.size)];
    let rows = found.iter().map(row).collect();
    Ok(Answer::table(&["NUMBER", "DELETED", "SIZE"], rows, "nothing was deleted here within the retention"))
}

pub(super) fn restore(desk: &Desk<'_>, text: &str, name: &str, uids: &str) -> Outcome {
    let account = desk.account(text)?;
    let mailbox = mailbox(desk, &account, name)?;
    let set = UidSet::parse(uids).ok_or_else(|| Refusal(format!("{uids} are no numbers; write them as 4,7:9")))?;
    let id = account.id;
    let copied = desk.of_account(&account, move |tx, by| expunge::restore(tx, by, id, mailbox.id, &set, mailbox.id))?;
    Ok(Answer::done(format!("{} messages are back in {name} of {text}", copied.target.count())))
}

fn named(name: &str) -> Outcome<MailboxName> {
    MailboxName::parse(name).map_err(|error| Refusal(format!("{name:?} cannot be a mailbox's name: {error}")))
}

fn mailbox(desk: &Desk<'_>, account: &Account, name: &str) -> Outcome<Mailbox> {
    let (id, wanted) = (account.id, named(name)?);
    let found = desk.read(move |tx| mailboxes::find(tx, id, &wanted))?;
    found.ok_or_else(|| {
        Refusal(format!("there is no mailbox {name}; `postroad mailbox list {}` shows all", account.address))
    })
}
