//! An account's mailboxes.

use postroad_mail::MailboxName;
use postroad_mail::mailboxes::{self, Listed};

use super::{Desk, Outcome, Refusal, about, size};
use crate::admin::Answer;

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

pub(super) fn named(name: &str) -> Outcome<MailboxName> {
    MailboxName::parse(name).map_err(|error| Refusal(format!("{name:?} cannot be a mailbox's name: {error}")))
}
