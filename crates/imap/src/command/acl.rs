//! SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 §3 and §7).

use crate::command::Body;
use crate::cursor::{Cursor, Rule};
use crate::mailbox::MailboxName;

/// What the commands about rights ask. Identifiers and rights are as the client wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acl {
    /// SETACL (§3.1).
    Set {
        /// The mailbox.
        mailbox: MailboxName,
        /// To whom, UTF-8; with a `-` before it, whom the rights are taken from.
        identifier: String,
        /// `mod-rights`: letters, perhaps with `+` or `-` before them.
        rights: String,
    },
    /// DELETEACL (§3.2).
    Delete {
        /// The mailbox.
        mailbox: MailboxName,
        /// Whose entry goes.
        identifier: String,
    },
    /// GETACL (§3.3).
    Get(MailboxName),
    /// LISTRIGHTS (§3.4).
    ListRights {
        /// The mailbox.
        mailbox: MailboxName,
        /// Whose possible rights are asked for.
        identifier: String,
    },
    /// MYRIGHTS (§3.5).
    MyRights(MailboxName),
}

/// `setacl = "SETACL" SP mailbox SP identifier SP mod-rights`.
pub(super) fn set(cursor: &mut Cursor<'_>) -> Rule<Body> {
    let (mailbox, identifier) = mailbox_and_identifier(cursor)?;
    cursor.space()?;
    let rights = cursor.text("rights")?;
    Ok(Body::Acl(Acl::Set { mailbox, identifier, rights }))
}

/// `deleteacl = "DELETEACL" SP mailbox SP identifier`.
pub(super) fn delete(cursor: &mut Cursor<'_>) -> Rule<Body> {
    let (mailbox, identifier) = mailbox_and_identifier(cursor)?;
    Ok(Body::Acl(Acl::Delete { mailbox, identifier }))
}

/// `getacl = "GETACL" SP mailbox`.
pub(super) fn get(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    cursor.mailbox().map(|mailbox| Body::Acl(Acl::Get(mailbox)))
}

/// `listrights = "LISTRIGHTS" SP mailbox SP identifier`.
pub(super) fn list_rights(cursor: &mut Cursor<'_>) -> Rule<Body> {
    let (mailbox, identifier) = mailbox_and_identifier(cursor)?;
    Ok(Body::Acl(Acl::ListRights { mailbox, identifier }))
}

/// `myrights = "MYRIGHTS" SP mailbox`.
pub(super) fn my_rights(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    cursor.mailbox().map(|mailbox| Body::Acl(Acl::MyRights(mailbox)))
}

fn mailbox_and_identifier(cursor: &mut Cursor<'_>) -> Rule<(MailboxName, String)> {
    cursor.space()?;
    let mailbox = cursor.mailbox()?;
    cursor.space()?;
    Ok((mailbox, cursor.text("an identifier")?))
}
