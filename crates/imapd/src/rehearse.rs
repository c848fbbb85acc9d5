//! What the first client would wait for, done before there is one.
//!
//! A connection to the database reads the schema when it is first asked something, and works each statement out the first time:
//! ten times the work of a SELECT that finds both done.

use postroad_mail::view::{self, Query};
use postroad_mail::{Mailbox, MailboxId, MailboxName, Result, UidSet, Want, mailboxes};
use postroad_store::{AccountId, BlobId, ModSeq, ReadTx};

/// Asks what SELECT, NOOP and FETCH of a few messages ask, of an account that nobody has.
pub fn rehearse(tx: &ReadTx) -> Result<()> {
    let (account, name) = (AccountId(0), MailboxName::inbox());
    mailboxes::find(tx, account, &name)?;
    mailboxes::by_id(tx, account, MailboxId::INBOX)?;
    view::keywords(tx, account, MailboxId::INBOX)?;
    let mailbox = Mailbox {
        id: MailboxId::INBOX,
        name,
        role: None,
        selectable: true,
        uidvalidity: 1,
        uidnext: 3,
        first_recent: 1,
        highest_modseq: ModSeq(1),
        messages: 2,
        unseen: 1,
        deleted: 0,
        size: 0,
        created: ModSeq(1),
    };
    for unseen in [1, 2] {
        view::first_unseen(tx, account, &Mailbox { unseen, ..mailbox.clone() })?;
    }
    let uids = UidSet::range(1, 1);
    for want in [Want::Flags, Want::Facts, Want::Summary] {
        view::entries(tx, account, MailboxId::INBOX, &Query { uids: &uids, want, changed_since: None, limit: 1 })?;
    }
    tx.blobs_whole(&[(BlobId(0), 0), (BlobId(1), 0)], 0)?;
    Ok(())
}
