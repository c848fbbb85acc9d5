//! SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314).
//!
//! All but MYRIGHTS need `a`; without `l` a mailbox is not there at all (§6).

use postroad_imap::command::Acl;
use postroad_imap::{MailboxName as WireName, ResponseCode};
use postroad_mail::accounts::{self, Account};
use postroad_mail::acl::{self, Change, Grantee, Who};
use postroad_mail::{Error as MailError, Rights, What};
use postroad_store::{AccountId, ReadTx, WriteTx};

use crate::error::{Error, Reply};
use crate::session::{Flow, Session};
use crate::target::{self, Target};

/// What only looks.
pub(crate) fn read(session: &mut Session, tx: &ReadTx, command: &Acl) -> Result<Flow, Error> {
    match command {
        Acl::Get(mailbox) => get(session, tx, mailbox),
        Acl::ListRights { mailbox, identifier } => list_rights(session, tx, mailbox, identifier),
        Acl::MyRights(mailbox) => my_rights(session, tx, mailbox),
        Acl::Set { .. } | Acl::Delete { .. } => Ok(Flow::Write),
    }
}

/// What changes a list.
pub(crate) fn write(session: &mut Session, tx: &mut WriteTx, command: &Acl) -> Result<Flow, Error> {
    match command {
        Acl::Set { mailbox, identifier, rights } => set(session, tx, mailbox, identifier, rights),
        Acl::Delete { mailbox, identifier } => delete(session, tx, mailbox, identifier),
        Acl::Get(_) | Acl::ListRights { .. } | Acl::MyRights(_) => read(session, tx, command),
    }
}

/// The command's name, for metrics.
pub(crate) fn name(command: &Acl) -> &'static str {
    match command {
        Acl::Set { .. } => "setacl",
        Acl::Delete { .. } => "deleteacl",
        Acl::Get(_) => "getacl",
        Acl::ListRights { .. } => "listrights",
        Acl::MyRights(_) => "myrights",
    }
}

/// Rights as ACL and MYRIGHTS responses show them: §2.1.1, with `c` where there is `k` or `x` and `d` where there is
/// `t` or `e`, for clients of RFC 2086.
pub(crate) fn shown(rights: Rights) -> String {
    let mut letters = rights.to_string();
    for (letter, members) in VIRTUAL {
        if rights.intersects(members) {
            letters.push(letter);
        }
    }
    letters
}

fn set(
    session: &mut Session,
    tx: &mut WriteTx,
    name: &WireName,
    identifier: &str,
    letters: &str,
) -> Result<Flow, Error> {
    let (change, letters) = match letters.strip_prefix(['+', '-']) {
        Some(rest) if letters.starts_with('+') => (Change::Add, rest),
        Some(rest) => (Change::Remove, rest),
        None => (Change::Replace, letters),
    };
    // §3.1: what is no right is BAD, and so are capital letters. §2.1.1: in a list, `c` and `d` are all their members.
    let rights = Rights::parse(letters).map_err(|letter| Error::bad(format!("{letter:?} is no right here")))?;
    let (identifier, negative) = signed(identifier)?;
    let target = target::find(session, tx, name, Rights::ADMINISTER)?;
    if !target.mailbox.selectable {
        return Err(Error::no(ResponseCode::Cannot, "this name holds no messages, only other mailboxes"));
    }
    let owner = owner(tx, target.account)?;
    let grantee = acl::grantee(tx, &owner.address, identifier)?;
    let by = session.by()?;
    acl::set(tx, &by, target.account, target.mailbox.id, (&grantee, negative), change, rights)?;
    Ok(Flow::Done(Reply::ok("SETACL done")))
}

fn delete(session: &mut Session, tx: &mut WriteTx, name: &WireName, identifier: &str) -> Result<Flow, Error> {
    let (identifier, negative) = signed(identifier)?;
    let target = target::find(session, tx, name, Rights::ADMINISTER)?;
    let owner = owner(tx, target.account)?;
    let grantee = known(tx, &owner, identifier)?;
    let by = session.by()?;
    acl::delete(tx, &by, target.account, target.mailbox.id, (&grantee, negative))?;
    Ok(Flow::Done(Reply::ok("DELETEACL done")))
}

/// Whom an identifier means, also one that nobody has any more.
fn known(tx: &ReadTx, owner: &Account, identifier: &str) -> Result<Grantee, Error> {
    match acl::grantee(tx, &owner.address, identifier) {
        Err(MailError::NotFound(What::Address)) => Ok(acl::stored_grantee(&owner.address, identifier)),
        other => Ok(other?),
    }
}

fn get(session: &mut Session, tx: &ReadTx, name: &WireName) -> Result<Flow, Error> {
    let target = target::find(session, tx, name, Rights::ADMINISTER)?;
    let owner = owner(tx, target.account)?;
    let mut entries = Vec::new();
    if !acl::is_shared_account(tx, target.account)? {
        entries.push((owner.address.to_string(), shown(Rights::ALL)));
    }
    for grant in acl::of(tx, target.account, target.mailbox.id)? {
        let sign = if grant.negative { "-" } else { "" };
        entries.push((format!("{sign}{}", grant.grantee.identifier(&owner.address)), shown(grant.rights)));
    }
    session.writer().acl(&name.without_trailing_separator(), &entries);
    Ok(Flow::Done(Reply::ok("GETACL done")))
}

fn list_rights(session: &mut Session, tx: &ReadTx, name: &WireName, identifier: &str) -> Result<Flow, Error> {
    let (plain, negative) = signed(identifier)?;
    let target = target::find(session, tx, name, Rights::ADMINISTER)?;
    let owner = owner(tx, target.account)?;
    let grantee = acl::grantee(tx, &owner.address, plain)?;
    let is_owner = Who::new(owner.id, &owner.address).is(&grantee);
    let all = shown(Rights::ALL);
    let each: Vec<String> = all.chars().map(String::from).collect();
    let optional: Vec<&str> = each.iter().map(String::as_str).collect();
    let name = name.without_trailing_separator();
    match (is_owner, negative) {
        // What the owner has cannot be given or taken.
        (true, false) => session.writer().list_rights(&name, identifier, &all, &[]),
        (true, true) => session.writer().list_rights(&name, identifier, "", &[]),
        // No right is tied to another; the obsolete ones stand by themselves (§2.1.1).
        (false, _) => session.writer().list_rights(&name, identifier, "", &optional),
    }
    Ok(Flow::Done(Reply::ok("LISTRIGHTS done")))
}

fn my_rights(session: &mut Session, tx: &ReadTx, name: &WireName) -> Result<Flow, Error> {
    let target: Target = target::find(session, tx, name, Rights::NONE)?;
    session.writer().my_rights(&name.without_trailing_separator(), &shown(target.rights));
    Ok(Flow::Done(Reply::ok("MYRIGHTS done")))
}

/// An identifier without its `-`, and whether it had one (§2). An empty one is BAD (§3).
fn signed(identifier: &str) -> Result<(&str, bool), Error> {
    let (plain, negative) = match identifier.strip_prefix('-') {
        Some(plain) => (plain, true),
        None => (identifier, false),
    };
    match plain.trim().is_empty() || plain.chars().any(char::is_control) {
        true => Err(Error::bad("an identifier is a name")),
        false => Ok((plain, negative)),
    }
}

fn owner(tx: &ReadTx, account: AccountId) -> Result<Account, Error> {
    accounts::by_id(tx, account)?.ok_or(Error::Mail(MailError::NotFound(What::Mailbox)))
}

/// The obsolete rights and what is in them (§2.1.1).
const VIRTUAL: [(char, Rights); 2] =
    [('c', Rights::CREATE_OR_DELETE_MAILBOX), ('d', Rights::DELETE_OR_EXPUNGE_MESSAGES)];
