//! Bringing deleted mail back.

use postroad_mail::accounts::Account;
use postroad_mail::undelete::{self, Source};
use postroad_mail::{MailboxName, UidSet, expunge, mailboxes};
use postroad_message::{SummaryView, address, header};

use super::mailbox::named;
use super::{Desk, Outcome, Refusal, size};
use crate::admin::Answer;
use crate::admin::time::shown;

/// Deleted messages listed at once.
const LISTED_MAX: usize = 1_000;
/// Letters of a subject or sender in a listing.
const SHOWN_MAX: usize = 40;

/// The mailboxes from which messages can be brought back.
pub(super) fn sources(desk: &Desk<'_>, text: &str) -> Outcome {
    let account = desk.account(text)?;
    let row = |source: &Source| {
        vec![
            source.mailbox.to_string(),
            source.name.to_string(),
            if source.is_deleted { "deleted" } else { "there" }.into(),
            source.messages.to_string(),
            size(source.size),
            shown(source.latest),
        ]
    };
    let rows = found(desk, &account)?.iter().map(row).collect();
    let columns = ["ID", "MAILBOX", "STATE", "MESSAGES", "SIZE", "LAST DELETED"];
    Ok(Answer::table(&columns, rows, "nothing was deleted within the retention"))
}

/// The messages that can be brought back into or from a mailbox.
pub(super) fn messages(desk: &Desk<'_>, text: &str, mailbox: &str) -> Outcome {
    let account = desk.account(text)?;
    let Some(source) = source(desk, &account, mailbox)? else {
        return Ok(Answer::done(format!("nothing was deleted from {mailbox} within the retention")));
    };
    let listed = desk.read(move |tx| undelete::removed(tx, account.id, source.mailbox, LISTED_MAX))?;
    let row = |(removed, summary): &(expunge::Removed, Vec<u8>)| {
        let (from, subject) = told(summary);
        vec![removed.uid.to_string(), shown(removed.at), size(removed.size), from, subject]
    };
    let rows = listed.iter().map(row).collect();
    Ok(Answer::table(&["NUMBER", "DELETED", "SIZE", "FROM", "SUBJECT"], rows, "nothing"))
}

/// Puts messages back.
pub(super) fn restore(
    desk: &Desk<'_>,
    text: &str,
    mailbox: &str,
    numbers: Option<&str>,
    into: Option<&str>,
) -> Outcome {
    let account = desk.account(text)?;
    let wrong = |numbers: &str| Refusal(format!("{numbers} are no numbers; write them as 4,7:9"));
    let uids = match numbers {
        Some(numbers) => UidSet::parse(numbers).ok_or_else(|| wrong(numbers))?,
        None => UidSet::all(),
    };
    let Some(source) = source(desk, &account, mailbox)? else {
        return Ok(Answer::done(format!("nothing was deleted from {mailbox} within the retention")));
    };
    let name: MailboxName = into.map(named).transpose()?.unwrap_or(source.name);
    let (id, goes_to) = (account.id, name.clone());
    let copied = desk.of_account(&account, move |tx, by| {
        let target = match mailboxes::find(tx, id, &goes_to)? {
            Some(target) if target.selectable => target,
            Some(_) | None => mailboxes::create(tx, by, id, &goes_to, None)?,
        };
        expunge::restore(tx, by, id, source.mailbox, &uids, target.id)
    })?;
    Ok(Answer::done(format!("{} messages are back in {name} of {text}", copied.target.count())))
}

fn found(desk: &Desk<'_>, account: &Account) -> Outcome<Vec<Source>> {
    let id = account.id;
    Ok(desk.read(move |tx| undelete::sources(tx, id))?)
}

/// A source by its id, or by its name: the mailbox that has it now, else the one that had it last.
fn source(desk: &Desk<'_>, account: &Account, wanted: &str) -> Outcome<Option<Source>> {
    let mut sources = found(desk, account)?;
    if let Some(place) = sources.iter().position(|source| source.mailbox.to_string() == wanted) {
        return Ok(Some(sources.swap_remove(place)));
    }
    let name = named(wanted)?;
    sources.retain(|source| source.name == name);
    sources.sort_by_key(|source| source.is_deleted);
    Ok(sources.into_iter().next())
}

/// Sender and subject, decoded and cut.
fn told(summary: &[u8]) -> (String, String) {
    let Ok(view) = SummaryView::new(summary) else { return Default::default() };
    let Ok(envelope) = view.envelope() else { return Default::default() };
    let from = address::mailboxes(&envelope.from).next().map(|sender| sender.addr_spec()).unwrap_or_default();
    let subject = envelope.subject.as_deref().map(|raw| header::decode(raw.as_bytes())).unwrap_or_default();
    (cut(&from), cut(&subject))
}

fn cut(text: &str) -> String {
    let plain: String = text.chars().filter(|letter| !letter.is_control()).take(SHOWN_MAX + 1).collect();
    if plain.chars().count() > SHOWN_MAX { plain.chars().take(SHOWN_MAX).chain(['…']).collect() } else { plain }
}
