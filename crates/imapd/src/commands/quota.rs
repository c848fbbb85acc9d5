//! GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208): one root, the account, named by the empty string.

use postroad_imap::encode::QuotaResource;
use postroad_imap::{MailboxName, ResponseCode};
use postroad_mail::{Rights, quota};
use postroad_store::ReadTx;

use crate::error::{Error, Reply};
use crate::session::{Flow, Session};
use crate::target;

/// The account's quota root.
const ROOT: &str = "";

pub(crate) fn get(session: &mut Session, tx: &ReadTx, root: &str) -> Result<Flow, Error> {
    if root != ROOT {
        return Err(Error::no(ResponseCode::NonExistent, "there is no such quota root"));
    }
    tell(session, tx)?;
    Ok(Flow::Done(Reply::ok("GETQUOTA done")))
}

pub(crate) fn get_root(session: &mut Session, tx: &ReadTx, wire_name: &MailboxName) -> Result<Flow, Error> {
    target::find(session, tx, wire_name, Rights::READ)?;
    session.writer().quota_root(&wire_name.without_trailing_separator(), &[ROOT]);
    tell(session, tx)?;
    Ok(Flow::Done(Reply::ok("GETQUOTAROOT done")))
}

/// SETQUOTA: quotas are the administrator's.
pub(crate) fn set() -> Reply {
    Reply::no(ResponseCode::NoPerm, "quotas are set by the administrator")
}

fn tell(session: &mut Session, tx: &ReadTx) -> Result<(), Error> {
    let quota = quota::of(tx, session.account()?)?;
    let mut resources = Vec::new();
    if let Some(limit) = quota.limit_bytes {
        // STORAGE counts in units of 1024 octets.
        let usage = quota.used_bytes.div_ceil(1024);
        resources.push(QuotaResource { name: "STORAGE", usage, limit: limit / 1024 });
    }
    if let Some(limit) = quota.limit_messages {
        resources.push(QuotaResource { name: "MESSAGE", usage: quota.used_messages, limit });
    }
    session.writer().quota(ROOT, &resources);
    Ok(())
}
