//! GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208): one root for each account, one's own named by the empty string, that of
//! somebody who shares a mailbox by their address.

use postroad_imap::encode::QuotaResource;
use postroad_imap::{MailboxName, ResponseCode};
use postroad_mail::{Address, Rights, acl, quota};
use postroad_store::{AccountId, ReadTx};

use crate::error::{Error, Reply};
use crate::session::{Flow, Session};
use crate::target;

/// The account's quota root.
const ROOT: &str = "";

pub(crate) fn get(session: &mut Session, tx: &ReadTx, root: &str) -> Result<Flow, Error> {
    let account = match root {
        ROOT => session.account()?,
        // RFC 9208 §3.1.1 leaves to the server who may ask; here whoever may read a mailbox that counts there.
        address => {
            let missing = || Error::no(ResponseCode::NonExistent, "there is no such quota root");
            let address = Address::parse(address).map_err(|_| missing())?;
            let owner = acl::owner(tx, &address)?.ok_or_else(missing)?.account;
            let may = owner != session.account()? && acl::shares_any(tx, &target::who(session)?, owner, Rights::READ)?;
            if may { owner } else { return Err(missing()) }
        }
    };
    tell(session, tx, root, account)?;
    Ok(Flow::Done(Reply::ok("GETQUOTA done")))
}

pub(crate) fn get_root(session: &mut Session, tx: &ReadTx, wire_name: &MailboxName) -> Result<Flow, Error> {
    let target = target::find(session, tx, wire_name, Rights::READ)?;
    let root = target.owner.as_ref().map_or_else(|| ROOT.to_owned(), |owner| owner.address.to_string());
    session.writer().quota_root(&wire_name.without_trailing_separator(), &[&root]);
    tell(session, tx, &root, target.account)?;
    Ok(Flow::Done(Reply::ok("GETQUOTAROOT done")))
}

/// SETQUOTA: quotas are the administrator's.
pub(crate) fn set() -> Reply {
    Reply::no(ResponseCode::NoPerm, "quotas are set by the administrator")
}

fn tell(session: &mut Session, tx: &ReadTx, root: &str, account: AccountId) -> Result<(), Error> {
    let quota = quota::of(tx, account)?;
    let mut resources = Vec::new();
    if let Some(limit) = quota.limit_bytes {
        // STORAGE counts in units of 1024 octets.
        let usage = quota.used_bytes.div_ceil(1024);
        resources.push(QuotaResource { name: "STORAGE", usage, limit: limit / 1024 });
    }
    if let Some(limit) = quota.limit_messages {
        resources.push(QuotaResource { name: "MESSAGE", usage: quota.used_messages, limit });
    }
    session.writer().quota(root, &resources);
    Ok(())
}
