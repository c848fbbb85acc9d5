//! What a client asks for, and what the answer must be by what the rows in the database say.

use postroad_mail::MailboxId;

use crate::client::{Checked, Client, Stage};
use crate::dice::Dice;
use crate::heard::Heard;
use crate::random::{KEYS, STATUS_ITEMS, mailbox, told_is_true};
use crate::truth;

/// SEARCH finds what is there.
pub(crate) fn found(stage: &mut Stage, client: &mut Client, dice: &mut Dice) -> Checked<()> {
    up_to_date(stage, client)?;
    let key = dice.pick(&KEYS);
    let answer = client.command(stage, &format!("UID SEARCH RETURN (ALL) {key}"), None)?;
    if !answer.ok {
        return Ok(());
    }
    let found = crate::client::numbers(&answer.tag, &answer.heard)?;
    is_all(stage, client, key, &format!("UID SEARCH {key}"), found)
}

/// What the client was not told of yet is in no answer about the selected mailbox.
fn up_to_date(stage: &mut Stage, client: &mut Client) -> Checked<()> {
    client.command(stage, "NOOP", None).map(|_| ())
}

/// THREAD has each message once.
pub(crate) fn threads(stage: &mut Stage, client: &mut Client, dice: &mut Dice) -> Checked<()> {
    up_to_date(stage, client)?;
    let (key, algorithm) = (dice.pick(&KEYS), dice.pick(&["ORDEREDSUBJECT", "REFERENCES", "REFS"]));
    let command = format!("UID THREAD {algorithm} UTF-8 {key}");
    let answer = client.command(stage, &command, None)?;
    let threads = answer.heard.iter().find_map(|one| match one {
        Heard::Thread(numbers) => Some(numbers.clone()),
        _ => None,
    });
    let Some(mut found) = threads.filter(|_| answer.ok) else { return Ok(()) };
    found.sort_unstable();
    is_all(stage, client, key, &command, found)
}

fn is_all(stage: &Stage, client: &Client, key: &str, command: &str, found: Vec<u32>) -> Checked<()> {
    let Some(open) = client.open.as_ref().filter(|_| stage.alone) else { return Ok(()) };
    let meant = truth::of(&stage.world, open.account, open.mailbox).and_then(|truth| truth::meant(&truth, key));
    match meant {
        Some(meant) if meant != found => Err(format!("{command} found {found:?}, but there is {meant:?}")),
        Some(_) | None => Ok(()),
    }
}

/// ESEARCH in several mailboxes (RFC 7377).
pub(crate) fn in_mailboxes(stage: &mut Stage, client: &mut Client, dice: &mut Dice) -> Checked<()> {
    up_to_date(stage, client)?;
    let key = dice.pick(&KEYS[..6]);
    let command = match (client.who, dice.roll(2)) {
        ("alice", 0) => format!("ESEARCH IN (MAILBOXES (INBOX Work Work/Deep)) RETURN (ALL) {key}"),
        _ => format!("ESEARCH IN (PERSONAL) RETURN (ALL) {key}"),
    };
    let answer = client.command(stage, &command, None)?;
    for heard in answer.heard.iter().filter(|_| answer.ok && stage.alone) {
        let Heard::InMailbox { tag, validity, uids } = heard else { continue };
        if *tag != answer.tag {
            return Err(format!("{command} was answered with the tag {tag}"));
        }
        let account = stage.world.accounts[client.who];
        let there: Option<MailboxId> =
            truth::with_validity(&stage.world, client.who, "INBOX", *validity).map(|(_, mailbox)| mailbox);
        let there = there.ok_or_else(|| format!("{command}: there is no mailbox {validity}"))?;
        let truth = truth::of(&stage.world, account, there).ok_or("the mailbox is gone")?;
        if truth::meant(&truth, key).is_some_and(|meant| meant != *uids) {
            return Err(format!("{command} found {uids:?} in {}", truth.mailbox.name));
        }
    }
    Ok(())
}

/// LIST RETURN (STATUS ..) tells what STATUS does.
pub(crate) fn list_status(stage: &mut Stage, client: &mut Client, dice: &mut Dice) -> Checked<()> {
    client.enabled.condstore = true;
    let pattern = if dice.once_in(2) { "*".to_owned() } else { client.spelled(mailbox(client, dice)) };
    let answer = client.command(stage, &format!("LIST \"\" {pattern} RETURN (STATUS ({STATUS_ITEMS}))"), None)?;
    told_is_true(stage, client, &answer, None)
}

/// NOTIFY: from now on the client is told between commands too, or not any more.
pub(crate) fn notify(stage: &mut Stage, client: &mut Client, dice: &mut Dice) -> Checked<()> {
    let selected = dice.pick(&["selected", "selected-delayed"]);
    let fetch = dice.pick(&["", " (UID FLAGS)", " (UID FLAGS BODY.PEEK[TEXT])"]);
    client.enabled.condstore = true;
    let command = format!(
        "NOTIFY SET STATUS ({selected} (MessageNew{fetch} MessageExpunge FlagChange)) (personal (MessageNew MessageExpunge))"
    );
    let before = std::mem::replace(&mut client.notified, true);
    let answer = client.command(stage, &command, None)?;
    client.notified = before || answer.ok;
    Ok(())
}
