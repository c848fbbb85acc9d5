//! What became of a message after it was filed: where it lies, and when, by whom and whereto it was taken
//! away. Read from the entries and the journal; nothing is written for it (the end of a trace, DESIGN §7).

use std::fmt;

use postroad_store::{AccountId, ReadTx, Timestamp, TraceId, params};

use crate::journal::Operation;
use crate::{Address, Error, Result, sql};

/// Most places that one story tells of.
pub const MAX_PLACES: usize = 1_000;

/// A place that a message was or is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose.
    pub account: AccountId,
    /// The account's primary address.
    pub address: Address,
    /// The mailbox's name now; `None`: it was deleted.
    pub mailbox: Option<String>,
    /// The uid there.
    pub uid: u32,
    /// When the message came there.
    pub since: Timestamp,
    /// How it left; `None`: it is there.
    pub left: Option<Left>,
}

/// How a message left a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// When.
    pub at: Timestamp,
    /// By what: move, expunge, delete or rename (of INBOX).
    pub operation: Operation,
    /// Who did it.
    pub actor: String,
    /// The name of the mailbox it went to.
    pub to: Option<String>,
}

/// The places of all messages that came in under `trace`, in the order in which something happened there.
/// Two statements.
pub fn places(tx: &ReadTx, trace: TraceId) -> Result<Vec<Place>> {
    let mut places = tx.rows(
        "SELECT m.account, a.address, b.name, e.uid, e.saved
         FROM message AS m JOIN account AS a ON a.id = m.account
         JOIN entry AS e {by:entry_message} ON e.account = m.account AND e.message = m.id
         LEFT JOIN mailbox AS b ON b.account = e.account AND b.id = e.mailbox
         WHERE m.trace = $1 LIMIT $2",
        params![trace, sql::limit(MAX_PLACES)],
        place,
    )?;
    let gone = tx.rows(
        "SELECT m.account, a.address, b.name, x.uid, x.saved, x.at, j.what, j.actor, t.name
         FROM message AS m JOIN account AS a ON a.id = m.account
         JOIN expunged AS x {by:expunged_message} ON x.account = m.account AND x.message = m.id
         JOIN journal AS j ON j.account = x.account AND j.modseq = x.modseq
         LEFT JOIN mailbox AS b ON b.account = x.account AND b.id = x.mailbox
         LEFT JOIN mailbox AS t ON t.account = j.account AND t.id = j.other
         WHERE m.trace = $1 LIMIT $2",
        params![trace, sql::limit(MAX_PLACES)],
        |row| Ok((place(row)?, row.id(5)?, row.text(6)?, row.text(7)?, row.text_or_null(8)?)),
    )?;
    for (place, at, what, actor, to) in gone {
        let operation =
            Operation::from_name(&what).ok_or_else(|| Error::Corrupt(format!("journal operation {what}")))?;
        places.push(Place { left: Some(Left { at, operation, actor, to }), ..place });
    }
    places.sort_by_key(|place| (place.at(), place.left.is_none()));
    Ok(places)
}

fn place(row: &postroad_store::Row<'_>) -> postroad_store::Result<Place> {
    Ok(Place {
        account: row.id(0)?,
        address: Address::stored(&row.text(1)?),
        mailbox: row.text_or_null(2)?,
        uid: sql::small(row, 3)?,
        since: row.id(4)?,
        left: None,
    })
}

impl Place {
    /// When the last thing happened there.
    pub fn at(&self) -> Timestamp {
        self.left.as_ref().map_or(self.since, |left| left.at)
    }
}

impl fmt::Display for Place {
    /// A sentence: `is in INBOX of alice@example.test, uid 5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mailbox = self.mailbox.as_deref().unwrap_or("a mailbox that is gone");
        let (address, uid) = (&self.address, self.uid);
        let Some(left) = &self.left else {
            return write!(f, "is in {mailbox} of {address}, uid {uid}");
        };
        let how = match left.operation {
            Operation::Move | Operation::Rename => "moved",
            Operation::Delete => "removed with its mailbox",
            Operation::Account
            | Operation::Credential
            | Operation::Create
            | Operation::Role
            | Operation::Subscription
            | Operation::Append
            | Operation::Flags
            | Operation::Copy
            | Operation::Expunge
            | Operation::Restore
            | Operation::Acl
            | Operation::Metadata => "removed",
        };
        write!(f, "{how} from {mailbox} of {address}, uid {uid}")?;
        if let Some(to) = &left.to {
            write!(f, ", to {to}")?;
        }
        write!(f, " ({})", left.actor)
    }
}
