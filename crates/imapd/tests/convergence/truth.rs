//! What there really is: read from the database past all sessions.

use std::collections::{BTreeMap, BTreeSet};

use postroad_mail::view::{self, Query};
use postroad_mail::{Mailbox, MailboxId, MailboxName, UidSet, Want, audit, mailboxes};
use postroad_store::AccountId;

use crate::client::{Checked, Client, Followed, Member, Stage, numbers};
use crate::common::World;

/// A mailbox as it is.
pub(crate) struct Truth {
    pub(crate) mailbox: Mailbox,
    /// By uid: flags and modseq.
    pub(crate) rows: BTreeMap<u32, (BTreeSet<String>, u64)>,
}

/// Whose mailbox a name means to somebody, and which.
fn owner<'a>(world: &World, who: &str, name: &'a str) -> (AccountId, &'a str) {
    let name = name.trim_matches('"');
    match name.strip_prefix("Other Users/alice@example.test/") {
        Some(name) => (world.accounts["alice"], name),
        None => (world.accounts[who], name),
    }
}

/// The mailbox with this UIDVALIDITY, of which there is one in an account, whatever its name is by now.
pub(crate) fn with_validity(world: &World, who: &str, name: &str, validity: u32) -> Option<(AccountId, MailboxId)> {
    let (account, _) = owner(world, who, name);
    let listed = world.store.read_blocking(move |tx| mailboxes::list(tx, account)).expect("it is read");
    let mut all = listed.into_iter().filter_map(|listed| listed.mailbox);
    all.find(|row| row.uidvalidity == validity).map(|row| (account, row.id))
}

/// The mailbox that a name means to somebody.
pub(crate) fn place(world: &World, who: &str, name: &str) -> Option<(AccountId, MailboxId)> {
    let (account, name) = owner(world, who, name);
    let name = MailboxName::parse(&name.replace("Gr&APw-n", "Gr\u{fc}n")).ok()?;
    let found = world.store.read_blocking(move |tx| mailboxes::find(tx, account, &name)).expect("it is read");
    found.map(|mailbox| (account, mailbox.id))
}

pub(crate) fn of(world: &World, account: AccountId, mailbox: MailboxId) -> Option<Truth> {
    let read = world.store.read_blocking(move |tx| {
        let Some(row) = mailboxes::by_id(tx, account, mailbox)? else { return Ok::<_, postroad_mail::Error>(None) };
        let query = Query { uids: &UidSet::all(), want: Want::Flags, changed_since: None, limit: usize::MAX };
        Ok(Some((row, view::entries(tx, account, mailbox, &query)?)))
    });
    let (mailbox, entries) = read.expect("it is read")?;
    let row = |entry: postroad_mail::Entry| {
        let system = entry.flags.names().map(str::to_owned);
        let flags = system.chain(entry.keywords.iter().map(str::to_owned)).collect();
        (entry.uid, (flags, entry.modseq.0.unsigned_abs()))
    };
    Some(Truth { mailbox, rows: entries.into_iter().map(row).collect() })
}

/// Everything that is kept is what a recount says.
pub(crate) fn recount(stage: &Stage) -> Checked<()> {
    for account in stage.world.accounts.values() {
        let account = *account;
        let faults = stage.world.store.read_blocking(move |tx| audit::audit(tx, account)).expect("it is read");
        if !faults.is_empty() {
            return Err(format!("{faults:?}"));
        }
    }
    Ok(())
}

/// After a NOOP a client knows what a fresh look shows.
pub(crate) fn compare(stage: &mut Stage, client: &mut Client) -> Checked<()> {
    client.listen(stage)?;
    elsewhere(stage, client)?;
    if client.session.is_none() || client.open.is_none() {
        return Ok(());
    }
    client.command(stage, "NOOP", None)?;
    client.fill(stage)?;
    let Some(open) = &client.open else { return Ok(()) };
    let truth = of(&stage.world, open.account, open.mailbox).ok_or("a client sees a mailbox that is gone")?;
    let who = format!("client {} in {}", client.number, open.name);
    let mut known = BTreeMap::new();
    for (place, slot) in (1..).zip(&open.slots) {
        let one = slot.known.as_ref().ok_or_else(|| format!("{who}: FETCH told nothing of message {place}"))?;
        known.insert(one.uid, one);
    }
    let uids: Vec<u32> = open.slots.iter().filter_map(|slot| slot.known.as_ref().map(|known| known.uid)).collect();
    let real: Vec<u32> = truth.rows.keys().copied().collect();
    if uids != real {
        return Err(format!("{who} knows the uids {uids:?}, but there are {real:?}"));
    }
    for (uid, (flags, modseq)) in &truth.rows {
        let one = known[uid];
        if one.flags != *flags {
            return Err(format!("{who} knows {uid} with {:?}, but it has {flags:?}", one.flags));
        }
        if client.enabled.condstore && one.modseq.is_some_and(|told| told != *modseq) {
            return Err(format!("{who} knows {uid} with modseq {:?}, but it has {modseq}", one.modseq));
        }
    }
    open.shows_alone(stage)?;
    let highest = truth.mailbox.highest_modseq.0.unsigned_abs();
    if open.highest > highest {
        return Err(format!("{who} was told of modseq {}, but there is {highest}", open.highest));
    }
    if open.uidnext > truth.mailbox.uidnext {
        return Err(format!("{who} was told of uidnext {}, but there is {}", open.uidnext, truth.mailbox.uidnext));
    }
    let recent = u32::try_from(known.values().filter(|known| known.recent).count()).unwrap_or(u32::MAX);
    if !client.enabled.rev2 && open.recent.is_some_and(|told| told != recent) {
        return Err(format!("{who} was told of {:?} recent messages, and sees {recent}", open.recent));
    }
    let saved: BTreeSet<u32> =
        open.slots.iter().filter(|slot| open.saved.contains(&slot.id)).filter_map(uid_of).collect();
    let followed: Vec<(String, Followed)> = open.followed.clone().into_iter().collect();
    results(stage, client, saved, followed)
}

/// What NOTIFY told of mailboxes that are not selected is what they have.
fn elsewhere(stage: &Stage, client: &Client) -> Checked<()> {
    if !client.notified || client.session.is_none() || !stage.alone {
        return Ok(());
    }
    let selected = client.open.as_ref().map(|open| (open.account, open.mailbox));
    for (name, told) in &client.elsewhere {
        let Some(place) = place(&stage.world, client.who, name).filter(|place| Some(*place) != selected) else {
            continue;
        };
        let Some(truth) = of(&stage.world, place.0, place.1) else { continue };
        let real = (truth.rows.len() as u64, u64::from(truth.mailbox.uidnext));
        if *told != real {
            return Err(format!("client {} was told {told:?} of {name}, but there is {real:?}", client.number));
        }
    }
    Ok(())
}

/// Which messages a key of [`crate::random::KEYS`] means, by what the rows say.
pub(crate) fn meant(truth: &Truth, key: &str) -> Option<Vec<u32>> {
    let having = |flag: &str, has: bool| -> Vec<u32> {
        truth.rows.iter().filter(|(_, (flags, _))| flags.contains(flag) == has).map(|(uid, _)| *uid).collect()
    };
    Some(match key {
        "ALL" => truth.rows.keys().copied().collect(),
        "UNSEEN" => having("\\Seen", false),
        "DELETED" => having("\\Deleted", true),
        "FLAGGED" => having("\\Flagged", true),
        "KEYWORD blue" => having("blue", true),
        "NOT DELETED" => having("\\Deleted", false),
        _ => return None,
    })
}

fn uid_of(slot: &crate::client::Slot) -> Option<u32> {
    slot.known.as_ref().map(|known| known.uid)
}

/// What is followed and saved is what a new search finds.
fn results(
    stage: &mut Stage,
    client: &mut Client,
    saved: BTreeSet<u32>,
    followed: Vec<(String, Followed)>,
) -> Checked<()> {
    let who = client.number;
    for (tag, followed) in followed {
        let answer = client.command(stage, &followed.again, None)?;
        if !answer.ok {
            return Ok(());
        }
        let found = numbers(&answer.tag, &answer.heard)?;
        let Some(open) = &client.open else { return Ok(()) };
        let uid = |member: &Member| match member {
            Member::Uid(uid) => Some(*uid),
            Member::Slot(id) => open.slots.iter().find(|slot| slot.id == *id).and_then(uid_of),
        };
        let mut members: Vec<u32> = followed.members.iter().filter_map(uid).collect();
        if !followed.sorted {
            members.sort_unstable();
        }
        if members != found {
            return Err(format!("client {who} knows the result of {tag} as {members:?}, but it is {found:?}"));
        }
    }
    if !saved.is_empty() {
        let answer = client.command(stage, "UID SEARCH RETURN (ALL) $", None)?;
        let found: BTreeSet<u32> = numbers(&answer.tag, &answer.heard)?.into_iter().collect();
        if found != saved {
            return Err(format!("client {who} saved {saved:?}, but $ is {found:?}"));
        }
    }
    Ok(())
}
