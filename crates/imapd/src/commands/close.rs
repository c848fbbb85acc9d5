//! CLOSE and UNSELECT (RFC 9051 §6.4.1-6.4.2).

use postroad_mail::{Rights, expunge, mailboxes};
use postroad_store::{ReadTx, WriteTx};

use crate::error::{Error, Reply};
use crate::session::{Flow, Place, Session};
use crate::sync;

/// CLOSE: only a mailbox with something to expunge, or recent messages to claim, needs a write.
pub(crate) fn read(session: &mut Session, tx: &ReadTx) -> Result<Flow, Error> {
    sync::refresh_rights(session, tx)?;
    let view = session.view()?;
    if view.unclaimed {
        return Ok(Flow::Write);
    }
    // RFC 4314 §4: without `e` the mailbox is closed all the same.
    if !view.read_only && view.rights.contains(Rights::EXPUNGE) {
        let mailbox = mailboxes::by_id(tx, view.account, view.mailbox)?;
        if mailbox.is_some_and(|mailbox| mailbox.deleted > 0) {
            return Ok(Flow::Write);
        }
    }
    session.view = None;
    Ok(Flow::Done(Reply::ok("CLOSE done")))
}

/// CLOSE with something to expunge: without untagged EXPUNGE responses.
pub(crate) fn write(session: &mut Session, tx: &mut WriteTx) -> Result<Flow, Error> {
    sync::refresh_rights(session, tx)?;
    sync::claim_recent(session, tx)?;
    let (by, Place { account, mailbox }) = (session.by()?, session.place()?);
    let view = session.view()?;
    if !view.read_only && view.rights.contains(Rights::EXPUNGE) {
        expunge::expunge(tx, &by, account, mailbox, None)?;
    }
    session.view = None;
    Ok(Flow::Done(Reply::ok("CLOSE done")))
}

/// UNSELECT: nothing is expunged.
pub(crate) fn unselect(session: &mut Session) -> Result<Flow, Error> {
    if session.view()?.unclaimed {
        return Ok(Flow::Write);
    }
    session.view = None;
    Ok(Flow::Done(Reply::ok("UNSELECT done")))
}

/// UNSELECT with recent messages to claim.
pub(crate) fn unselect_claiming(session: &mut Session, tx: &mut WriteTx) -> Result<Flow, Error> {
    sync::claim_recent(session, tx)?;
    session.view = None;
    Ok(Flow::Done(Reply::ok("UNSELECT done")))
}
