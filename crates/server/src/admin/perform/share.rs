//! Who else may do what with an account's mailboxes.

use postroad_mail::accounts::{self, Account, NewAccount};
use postroad_mail::acl::{self, Change};
use postroad_mail::mailboxes::{self, Mailbox};
use postroad_mail::{MailboxId, Rights};

use super::{Desk, Outcome, Refusal, about, address, mailbox};
use crate::admin::Answer;

/// Stands for all mailboxes of an account.
const ALL: &str = "*";

pub(super) fn share(desk: &Desk<'_>, text: &str, name: &str, who: &str, rights: &str) -> Outcome {
    let account = desk.account(text)?;
    let (change, wanted) = parse(rights)?;
    let mailboxes: Vec<MailboxId> = chosen(desk, &account, name)?.iter().map(|mailbox| mailbox.id).collect();
    let (id, owner, identifier) = (account.id, account.address.clone(), who.to_owned());
    let (plain, negative) = signed(&identifier);
    let plain = plain.to_owned();
    let now = desk
        .of_account(&account, move |tx, by| {
            let grantee = acl::grantee(tx, &owner, &plain)?;
            let mut now = Rights::NONE;
            for mailbox in mailboxes {
                now = acl::set(tx, by, id, mailbox, (&grantee, negative), change, wanted)?;
            }
            Ok(now)
        })
        .map_err(about(who))?;
    let what = if name == ALL { "all mailboxes".to_owned() } else { name.to_owned() };
    Ok(Answer::done(match (now.is_empty(), negative) {
        (true, _) => format!("{who} has no entry for {what} of {text}"),
        (false, false) => format!("{who} may do {now} with {what} of {text}"),
        (false, true) => format!("{plain} may not do {now} with {what} of {text}", plain = signed(who).0),
    }))
}

pub(super) fn unshare(desk: &Desk<'_>, text: &str, name: &str, who: &str) -> Outcome {
    let account = desk.account(text)?;
    let mailboxes: Vec<MailboxId> = chosen(desk, &account, name)?.iter().map(|mailbox| mailbox.id).collect();
    let (id, owner, identifier) = (account.id, account.address.clone(), who.to_owned());
    desk.of_account(&account, move |tx, by| {
        let (plain, negative) = signed(&identifier);
        let grantee = match acl::grantee(tx, &owner, plain) {
            // Also whoever is not there any more.
            Err(postroad_mail::Error::NotFound(_)) => acl::stored_grantee(&owner, plain),
            other => other?,
        };
        for mailbox in mailboxes {
            acl::delete(tx, by, id, mailbox, (&grantee, negative))?;
        }
        Ok(())
    })
    .map_err(about(who))?;
    Ok(Answer::done(format!("{who} has no entry there any more")))
}

pub(super) fn shares(desk: &Desk<'_>, text: &str) -> Outcome {
    let account = desk.account(text)?;
    let mut rows = Vec::new();
    for mailbox in chosen(desk, &account, ALL)? {
        let id = account.id;
        for grant in desk.read(move |tx| acl::of(tx, id, mailbox.id))? {
            let sign = if grant.negative { "-" } else { "" };
            let who = format!("{sign}{}", grant.grantee.identifier(&account.address));
            rows.push(vec![mailbox.name.to_string(), who, grant.rights.to_string()]);
        }
    }
    let empty = format!("{text} shares nothing; `postroad mailbox share {text} MAILBOX WHO RIGHTS` does");
    Ok(Answer::table(&["MAILBOX", "WHO", "RIGHTS"], rows, &empty))
}

pub(super) fn add_account(desk: &Desk<'_>, text: &str, display_name: String, quota: Option<u64>) -> Outcome {
    let new = NewAccount {
        address: address(text)?,
        display_name,
        password: None,
        quota_bytes: quota.unwrap_or(0),
        quota_messages: 0,
    };
    desk.directory(move |tx, by| {
        let id = accounts::create(tx, by, &new)?;
        acl::set_shared_account(tx, by, id, true)
    })
    .map_err(about(text))?;
    Ok(Answer::done(format!(
        "{text} has a shared account; give others rights with `postroad mailbox share {text} INBOX WHO RIGHTS`"
    )))
}

/// The mailbox of this name, or all of them.
fn chosen(desk: &Desk<'_>, account: &Account, name: &str) -> Outcome<Vec<Mailbox>> {
    let id = account.id;
    if name == ALL {
        let all = desk.read(move |tx| mailboxes::list(tx, id))?;
        return Ok(all.into_iter().filter_map(|listed| listed.mailbox).filter(|mailbox| mailbox.selectable).collect());
    }
    let wanted = mailbox::named(name)?;
    let found = desk.read(move |tx| mailboxes::find(tx, id, &wanted))?;
    let missing = || Refusal(format!("{} has no mailbox {name}", account.address));
    found.filter(|mailbox| mailbox.selectable).map(|mailbox| vec![mailbox]).ok_or_else(missing)
}

fn signed(identifier: &str) -> (&str, bool) {
    identifier.strip_prefix('-').map_or((identifier, false), |plain| (plain, true))
}

/// Letters, with `+` or `-` before them a change of what is there; or a word for what people mostly want.
fn parse(text: &str) -> Outcome<(Change, Rights)> {
    let (change, letters) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(letters), _) => (Change::Add, letters),
        (None, Some(letters)) => (Change::Remove, letters),
        (None, None) => (Change::Replace, text),
    };
    let letters = WORDS.iter().find(|(word, _)| *word == letters).map_or(letters, |(_, letters)| letters);
    match Rights::parse(letters) {
        Ok(rights) => Ok((change, rights)),
        Err(letter) => Err(Refusal(format!(
            "{letter:?} is no right: there are lrswipkxtea (RFC 4314), and the words none, read, write and full"
        ))),
    }
}

/// Words for rights: to read and know what was read; all that people do with mail; and with mailboxes and rights too.
const WORDS: [(&str, &str); 4] = [("none", ""), ("read", "lrs"), ("write", "lrswite"), ("full", "lrswipkxtea")];
