//! GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208): one root for each account, one's own named by the empty string, that of
//! somebody who shares a mailbox by their address. Administrators, whom the settings name, may ask for every root by its
//! address and set its limits.

use postroad_imap::encode::QuotaResource;
use postroad_imap::{MailboxName, ResponseCode, Status};
use postroad_mail::accounts::Account;
use postroad_mail::quota::{Limits, Quota};
use postroad_mail::{Address, Rights, accounts, acl, quota};
use postroad_store::{AccountId, ReadTx, WriteTx};

use crate::error::{Error, Reply};
use crate::session::{Flow, Session};
use crate::target;

/// The account's quota root.
const ROOT: &str = "";

pub(crate) fn get(session: &mut Session, tx: &ReadTx, root: &str) -> Result<Flow, Error> {
    let account = root_of(session, tx, root)?;
    tell(session, tx, root, account)?;
    Ok(Flow::Done(Reply::ok("GETQUOTA done")))
}

/// Whose root it is. RFC 9208 §3.1.1 leaves to the server who may ask; here whoever may read a mailbox that counts there,
/// and administrators.
fn root_of(session: &Session, tx: &ReadTx, root: &str) -> Result<AccountId, Error> {
    let own = session.account()?;
    if root == ROOT {
        return Ok(own);
    }
    let missing = || Error::no(ResponseCode::NonExistent, "there is no such quota root");
    let address = Address::parse(root).map_err(|_| missing())?;
    if session.is_administrator() {
        return accounts::find(tx, &address)?.map(|account| account.id).ok_or_else(missing);
    }
    let owner = acl::owner(tx, &address)?.ok_or_else(missing)?.account;
    let may = owner != own && acl::shares_any(tx, &target::who(session)?, owner, Rights::READ)?;
    if may { Ok(owner) } else { Err(missing()) }
}

pub(crate) fn get_root(session: &mut Session, tx: &ReadTx, wire_name: &MailboxName) -> Result<Flow, Error> {
    let target = target::find(session, tx, wire_name, Rights::READ)?;
    let root = target.owner.as_ref().map_or_else(|| ROOT.to_owned(), |owner| owner.address.to_string());
    session.writer().quota_root(&wire_name.without_trailing_separator(), &[&root]);
    tell(session, tx, &root, target.account)?;
    Ok(Flow::Done(Reply::ok("GETQUOTAROOT done")))
}

/// SETQUOTA (§4.1.3): the limits that are named, and no others.
pub(crate) fn set(
    session: &mut Session,
    tx: &mut WriteTx,
    root: &str,
    limits: &[(String, u64)],
) -> Result<Flow, Error> {
    if !session.is_administrator() {
        return Err(Error::no(ResponseCode::NoPerm, "quotas are set by the administrator"));
    }
    let mut new = Limits::default();
    for (resource, limit) in limits {
        let octets = limit.saturating_mul(UNIT);
        match resource.as_str() {
            "STORAGE" => new.bytes = Some(octets),
            "MESSAGE" => new.messages = Some(*limit),
            "MAILBOX" => new.mailboxes = Some(*limit),
            "ANNOTATION-STORAGE" => new.annotations = Some(octets),
            other => return Err(Error::no(ResponseCode::Cannot, format!("the resource {other} is not limited here"))),
        }
    }
    let account = root_of(session, tx, root)?;
    session.locked(account)?;
    let by = session.by()?;
    quota::set(tx, &by, account, &new)?;
    tell(session, tx, root, account)?;
    Ok(Flow::Done(Reply::ok("SETQUOTA done")))
}

fn tell(session: &mut Session, tx: &ReadTx, root: &str, account: AccountId) -> Result<(), Error> {
    let quota = quota::of(tx, account)?;
    let rest = quota::rest(tx, account)?;
    let mut resources = Vec::new();
    if let Some(limit) = quota.limit_bytes {
        let usage = quota.used_bytes.div_ceil(UNIT);
        resources.push(QuotaResource { name: "STORAGE", usage, limit: limit / UNIT });
    }
    if let Some(limit) = quota.limit_messages {
        resources.push(QuotaResource { name: "MESSAGE", usage: quota.used_messages, limit });
    }
    resources.push(QuotaResource { name: "MAILBOX", usage: rest.used_mailboxes, limit: rest.limit_mailboxes });
    let (usage, limit) = (rest.used_annotations.div_ceil(UNIT), rest.limit_annotations / UNIT);
    resources.push(QuotaResource { name: "ANNOTATION-STORAGE", usage, limit });
    session.writer().quota(root, &resources);
    Ok(())
}

/// RFC 9208 §4.3: `* NO [OVERQUOTA]` when one's own account gets full, once for each level that it comes to.
pub(crate) fn warn(session: &mut Session, account: &Account) {
    let percent = Quota::of(account).percent();
    let level = LEVELS.iter().copied().filter(|level| percent >= *level).max().unwrap_or(0);
    let before = std::mem::replace(&mut session.warned, level);
    if level > before {
        let text = match percent {
            100.. => "your quota is used up: no more mail can come in".to_owned(),
            percent => format!("{percent} percent of your quota are used"),
        };
        session.writer().untagged(Status::No, Some(&ResponseCode::OverQuota), &text);
    }
}

/// STORAGE and ANNOTATION-STORAGE count in units of so many octets (§5.1, §5.4).
const UNIT: u64 = 1024;
/// Percentages of the quota at which its owner is warned.
const LEVELS: [u64; 3] = [90, 95, 100];
