//! Annotations that others change: untagged METADATA responses for clients that said ENABLE METADATA (RFC 5464 §4.4.2).
//!
//! Told are the annotations of one's own account and its mailboxes, and those of the selected mailbox when it is somebody
//! else's. What this session changed itself is not told. The server's shared entries change only while it stands still.
//!
//! What it never does: tell a value, or cost anything to those who did not ask.

use std::collections::BTreeMap;

use postroad_imap::MailboxName as WireName;
use postroad_mail::acl::{self, Owner};
use postroad_mail::metadata::{self, Changed, Heard};
use postroad_mail::{MailboxId, Rights, accounts, mailboxes};
use postroad_store::{AccountId, ModSeq, ReadTx};

use crate::commands::entry_name;
use crate::error::Error;
use crate::names;
use crate::session::Session;
use crate::target;

/// How far a client that asked has heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Following {
    /// Only the server's own annotations (METADATA-SERVER), not those of mailboxes.
    pub(crate) server_only: bool,
    own: ModSeq,
    /// The owner of the selected mailbox, when that is not this login.
    other: Option<(AccountId, ModSeq)>,
}

/// From now on the client is told. `server_only` does not take away what was asked for before.
pub(crate) fn follow(session: &mut Session, tx: &ReadTx, server_only: bool) -> Result<(), Error> {
    // What changed before is told as it was asked for.
    tell(session, tx)?;
    let own = modseq(tx, session.account()?)?;
    let before = session.enabled.annotations;
    session.enabled.annotations = Some(match before {
        Some(following) => Following { server_only: following.server_only && server_only, own, ..following },
        None => Following { server_only, own, other: None },
    });
    Ok(())
}

/// Whether [`tell`] tells of this mailbox.
pub(crate) fn tells_of(session: &Session, account: AccountId, mailbox: MailboxId) -> bool {
    let follows = session.enabled.annotations.is_some_and(|following| !following.server_only);
    let own = session.account().is_ok_and(|own| own == account);
    follows && (own || session.place().is_ok_and(|place| place.account == account && place.mailbox == mailbox))
}

/// The last operation of this account is of this session: it is not to be told.
pub(crate) fn own_change(session: &mut Session, account: AccountId, modseq: ModSeq) {
    let is_own = session.account().is_ok_and(|own| own == account);
    let Some(following) = &mut session.enabled.annotations else { return };
    match (is_own, &mut following.other) {
        (true, _) => following.own = modseq,
        (false, Some((other, heard))) if *other == account => *heard = modseq,
        (false, Some(_) | None) => {}
    }
}

/// Tells what changed since the client last heard. No statement for who did not ask, two when nothing changed.
pub(crate) fn tell(session: &mut Session, tx: &ReadTx) -> Result<(), Error> {
    let Some(mut following) = session.enabled.annotations else { return Ok(()) };
    let login = session.account()?;
    let heard;
    (heard, following.own) = hear(session, tx, login, following.own)?;
    tell_own(session, tx, login, &heard, following.server_only)?;
    let selected = session.view.as_ref().filter(|view| view.account != login && !following.server_only);
    following.other = match (selected.map(|view| (view.account, view.mailbox)), following.other) {
        (None, _) => None,
        (Some((account, mailbox)), Some((known, since))) if known == account => {
            let (heard, until) = hear(session, tx, account, since)?;
            tell_other(session, tx, account, mailbox, &heard)?;
            Some((account, until))
        }
        (Some((account, _)), Some(_) | None) => Some((account, modseq(tx, account)?)),
    };
    session.enabled.annotations = Some(following);
    Ok(())
}

/// What changed in an account, and up to where that is.
fn hear(session: &Session, tx: &ReadTx, account: AccountId, since: ModSeq) -> Result<(Heard, ModSeq), Error> {
    // Before the look, so that nothing is passed over.
    let now = modseq(tx, account)?;
    if now == since {
        return Ok((Heard::default(), since));
    }
    let heard = metadata::changes(tx, account, &target::who(session)?, since, OPERATIONS_PER_LOOK)?;
    let until = heard.until.filter(|_| heard.more).unwrap_or(now);
    Ok((heard, until))
}

fn tell_own(
    session: &mut Session,
    tx: &ReadTx,
    account: AccountId,
    heard: &Heard,
    server_only: bool,
) -> Result<(), Error> {
    let ids: Vec<i64> = heard.changed.iter().filter_map(|changed| changed.mailbox).collect();
    let of_mailboxes = match ids.is_empty() || server_only {
        true => Vec::new(),
        false => mailboxes::by_ids(tx, account, &ids)?,
    };
    let names: BTreeMap<i64, WireName> = of_mailboxes
        .into_iter()
        .filter_map(|mailbox| Some((mailbox.id.0, names::to_wire(mailbox.name.as_str())?)))
        .collect();
    say(session, None, heard.changed.iter().filter(|changed| changed.mailbox.is_none()));
    for (id, name) in &names {
        say(session, Some(name), heard.changed.iter().filter(|changed| changed.mailbox == Some(*id)));
    }
    Ok(())
}

fn tell_other(
    session: &mut Session,
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    heard: &Heard,
) -> Result<(), Error> {
    let changed: Vec<&Changed> = heard.changed.iter().filter(|changed| changed.mailbox() == Some(mailbox)).collect();
    if changed.is_empty() || !session.view()?.rights.contains(Rights::LOOKUP) {
        return Ok(());
    }
    let (Some(row), Some(owner)) = (mailboxes::by_id(tx, account, mailbox)?, accounts::by_id(tx, account)?) else {
        return Ok(());
    };
    let is_shared = acl::is_shared_account(tx, account)?;
    let owner = Owner { account, address: owner.address, is_shared };
    if let Some(name) = names::to_wire(&target::shown(Some(&owner), &row.name)) {
        say(session, Some(&name), changed.into_iter());
    }
    Ok(())
}

fn say<'a>(session: &mut Session, name: Option<&WireName>, changed: impl Iterator<Item = &'a Changed>) {
    let entries: Vec<String> = changed.map(|changed| entry_name(&changed.entry)).collect();
    if !entries.is_empty() {
        session.writer().metadata_changed(name, entries.iter().map(String::as_str));
    }
}

fn modseq(tx: &ReadTx, account: AccountId) -> Result<ModSeq, Error> {
    Ok(accounts::by_id(tx, account)?.map_or(ModSeq(0), |account| account.modseq))
}

/// Operations that one look tells of; of more, the next.
const OPERATIONS_PER_LOOK: usize = 1_000;
