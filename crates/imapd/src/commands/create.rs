//! CREATE (RFC 9051 §6.3.4), with special uses (RFC 6154 §3) and MAILBOXID (RFC 8474 §4.2).

use postroad_imap::{MailboxName, ResponseCode, SpecialUse};
use postroad_mail::{Rights, Role, acl, mailboxes};
use postroad_store::WriteTx;

use crate::error::{Error, Reply};
use crate::session::{Flow, Session};
use crate::target::{self, Named, Target};

pub(crate) fn run(
    session: &mut Session,
    tx: &mut WriteTx,
    name: &MailboxName,
    uses: &[SpecialUse],
) -> Result<Flow, Error> {
    // RFC 9051 §6.3.4: a trailing separator says that names below will follow; the mailbox is made all the same.
    let (Named { account, name, owner }, list_of) = target::may_create(session, tx, name)?;
    let role = match uses {
        [] => None,
        // The uses of an account's mailboxes are its owner's to choose.
        _ if owner.is_some() => return Err(unknown_use()),
        [one] => Some(Role::from_attribute(one.as_str()).ok_or_else(unknown_use)?),
        // RFC 6154 §3: USEATTR when the use, or this number of them, is not to be had.
        _ => return Err(Error::no(ResponseCode::UseAttr, "a mailbox has one special use here")),
    };
    let by = session.by()?;
    if let Some(role) = role
        && mailboxes::by_role(tx, account, role)?.is_some()
    {
        return Err(Error::no(ResponseCode::UseAttr, "another mailbox has this special use"));
    }
    let mailbox = mailboxes::create(tx, &by, account, &name, role)?;
    if let Some(list_of) = list_of {
        acl::inherit(tx, account, list_of, &[mailbox.id])?;
    }
    let target = Target { account, mailbox, rights: Rights::ALL, owner };
    let code = ResponseCode::MailboxId(target.object_id());
    Ok(Flow::Done(Reply::ok_with(code, "CREATE done")))
}

fn unknown_use() -> Error {
    Error::no(ResponseCode::UseAttr, "this special use cannot be had here")
}
