//! Which mailbox a folder goes to.

use postroad_mail::{By, Mailbox, MailboxName, Role, mailboxes};
use postroad_store::{AccountId, Locks, Store, WriteTx};

use super::{Announced, Event, Options};
use crate::Result;
use crate::folder::{mailbox_name, role_of};

/// A mailbox of this import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// `None` in a dry run when it would be made.
    pub(super) mailbox: Option<postroad_mail::MailboxId>,
    pub(super) name: String,
}

/// Finds or makes the mailbox for a folder.
pub(super) fn place(
    store: &Store,
    by: &By,
    account: AccountId,
    options: &Options,
    folder: Announced,
) -> Result<(Target, Event)> {
    let Announced { levels, keep_name } = folder;
    let folder = if levels.is_empty() { "INBOX".to_owned() } else { levels.join("/") };
    let (by, mut options) = (by.clone(), options.clone());
    options.keep_names |= keep_name;
    let (mailbox, name) = store
        .write_blocking(Locks::account(account), move |tx| {
            let name = choose(tx, account, &options, levels)?;
            let there = mailboxes::find(tx, account, &name)?.filter(|mailbox| mailbox.selectable);
            match there {
                Some(mailbox) => Ok((Some((mailbox.id, false)), name)),
                None if !options.writes() => Ok((None, name)),
                None => {
                    let mailbox = make(tx, &by, account, &name)?;
                    Ok::<_, postroad_mail::Error>((Some((mailbox.id, true)), name))
                }
            }
        })?
        .value;
    let new = mailbox.is_none_or(|(_, new)| new);
    let name = name.as_str().to_owned();
    let target = Target { mailbox: mailbox.map(|(id, _)| id), name: name.clone() };
    Ok((target, Event::Folder { folder, mailbox: name, new }))
}

/// A mailbox that clients show: they look at subscriptions.
fn make(tx: &mut WriteTx, by: &By, account: AccountId, name: &MailboxName) -> postroad_mail::Result<Mailbox> {
    let mailbox = mailboxes::create(tx, by, account, name, None)?;
    mailboxes::subscribe(tx, by, account, name)?;
    Ok(mailbox)
}

fn choose(
    tx: &postroad_store::ReadTx,
    account: AccountId,
    options: &Options,
    mut levels: Vec<String>,
) -> postroad_mail::Result<MailboxName> {
    if let Some(into) = &options.into {
        let mut all: Vec<String> = into.split(MailboxName::SEPARATOR).map(str::to_owned).collect();
        if levels.first().is_some_and(|level| level.eq_ignore_ascii_case("INBOX")) {
            levels.remove(0);
        }
        all.extend(levels);
        return Ok(mailbox_name(&all).0);
    }
    let (plain, _) = mailbox_name(&levels);
    let role = levels.first().and_then(|level| role_of(level)).filter(|_| !options.keep_names);
    let Some(role) = role else { return Ok(plain) };
    // A mailbox that has the folder's name already, or that of the one at the top, is meant, whatever it is for.
    for name in [plain.clone(), mailbox_name(&levels[..1]).0] {
        if mailboxes::find(tx, account, &name)?.is_some_and(|mailbox| mailbox.selectable) {
            return Ok(plain);
        }
    }
    let Some(own) = mailboxes::by_role(tx, account, role)? else { return Ok(plain) };
    debug_assert_ne!(role, Role::Inbox);
    levels[0] = own.name.as_str().to_owned();
    let moved: Vec<String> =
        levels.iter().flat_map(|level| level.split(MailboxName::SEPARATOR)).map(String::from).collect();
    Ok(mailbox_name(&moved).0)
}
