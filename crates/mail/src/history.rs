//! What became of a message after it was filed: where it lies, and when, by whom and whereto it was taken
//! away. Read from the entries and the journal; nothing is written for it (the end of a trace, DESIGN §7).

use std::fmt;
use std::ops::ControlFlow;

use postroad_store::{AccountId, Param, ReadTx, Timestamp, TraceId, params};

use crate::journal::Operation;
use crate::{Address, Error, MailboxId, Result, UidSet, sql};

/// Most places that one story tells of.
pub const MAX_PLACES: usize = 1_000;

/// Most operations of a mailbox, the latest first, that are looked at to find when a message came to a place that it left.
pub const MAX_OPERATIONS: usize = 100_000;

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
///
/// Where a message was before it was moved is in no row but the journal's: it is followed from where it lies now, one or two
/// statements for each place, which look at so many operations of a mailbox at most ([`MAX_OPERATIONS`]).
pub fn places(tx: &ReadTx, trace: TraceId) -> Result<Vec<Place>> {
    let mut found = tx.rows(
        "SELECT m.account, a.address, b.name, e.uid, e.saved, e.mailbox
         FROM message AS m JOIN account AS a ON a.id = m.account
         JOIN entry AS e {by:entry_message} ON e.account = m.account AND e.message = m.id
         LEFT JOIN mailbox AS b ON b.account = e.account AND b.id = e.mailbox
         WHERE m.trace = $1 LIMIT $2",
        params![trace, sql::limit(MAX_PLACES)],
        |row| Ok((place(row)?, MailboxId(row.int(5)?))),
    )?;
    // A move within the account is followed below; rows from before the journal was asked are passed over.
    let gone = tx.rows(
        "SELECT m.account, a.address, b.name, x.uid, x.saved, x.mailbox, x.at, j.what, j.actor
         FROM message AS m JOIN account AS a ON a.id = m.account
         JOIN expunged AS x {by:expunged_message} ON x.account = m.account AND x.message = m.id
         JOIN journal AS j ON j.account = x.account AND j.modseq = x.modseq
         LEFT JOIN mailbox AS b ON b.account = x.account AND b.id = x.mailbox
         WHERE m.trace = $1 AND (j.what NOT IN ('move', 'rename') OR j.other IS NULL) LIMIT $2",
        params![trace, sql::limit(MAX_PLACES)],
        |row| Ok((place(row)?, MailboxId(row.int(5)?), row.id(6)?, row.text(7)?, row.text(8)?)),
    )?;
    for (place, mailbox, at, what, actor) in gone {
        let left = Left { at, operation: operation(&what)?, actor, to: None };
        found.push((Place { left: Some(left), ..place }, mailbox));
    }
    let mut places = Vec::with_capacity(found.len());
    for (place, mailbox) in found {
        follow(tx, place, mailbox, &mut places)?;
    }
    places.sort_by_key(|place| (place.at(), place.left.is_none()));
    Ok(places)
}

/// Adds a place, and those from which the message was moved there.
fn follow(tx: &ReadTx, place: Place, mailbox: MailboxId, places: &mut Vec<Place>) -> Result<()> {
    let mut step = came(tx, place.account, mailbox, place.uid, Some(place.since))?;
    places.push(place);
    while let Some(came) = step
        && places.len() < MAX_PLACES
    {
        let Some((mailbox, uid)) = came.from else { return Ok(()) };
        let Some(last) = places.last() else { return Ok(()) };
        let (account, address, to) = (last.account, last.address.clone(), last.mailbox.clone());
        let left = Left { at: came.at, operation: came.operation, actor: came.actor, to };
        let before = self::came(tx, account, mailbox, uid, None)?;
        let name = crate::mailboxes::by_id(tx, account, mailbox)?.map(|row| row.name.to_string());
        let since = before.as_ref().map_or(left.at, |before| before.at);
        places.push(Place { account, address, mailbox: name, uid, since, left: Some(left) });
        step = before;
    }
    Ok(())
}

/// How an entry came to its place.
struct Came {
    at: Timestamp,
    operation: Operation,
    actor: String,
    /// Where it was before, when it was moved.
    from: Option<(MailboxId, u32)>,
}

/// The operation that put an entry into a mailbox, when known by its time. One statement, two when it came from outside of the
/// account.
fn came(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uid: u32, at: Option<Timestamp>) -> Result<Option<Came>> {
    let timed = if at.is_some() { "AND at = $4" } else { "" };
    let mut values = vec![account.into(), mailbox.into(), sql::limit(MAX_OPERATIONS).into()];
    values.extend(at.map(Param::from));
    let mut found = None;
    let text = format!(
        "SELECT at, what, actor, mailbox, uids, other_uids FROM journal {{by:journal_other}}
         WHERE account = $1 AND other = $2 {timed} ORDER BY modseq DESC LIMIT $3"
    );
    tx.each(&text, &values, |row| {
        let placed = UidSet::parse(&row.text(5)?).unwrap_or_default();
        if !placed.contains(uid) {
            return Ok(ControlFlow::Continue(()));
        }
        // RFC 4315: the n-th uid became the n-th.
        let rank = placed.intersection(&UidSet::range(1, uid)).count();
        let uids = UidSet::parse(&row.text(4)?).unwrap_or_default();
        let source = usize::try_from(rank - 1).ok().and_then(|rank| uids.iter().nth(rank));
        let from = row.int_or_null(3)?.map(MailboxId).zip(source);
        found = Some((row.id(0)?, row.text(1)?, row.text(2)?, from));
        Ok(ControlFlow::Break(()))
    })?;
    if let Some((at, what, actor, from)) = found {
        let operation = operation(&what)?;
        let moved = matches!(operation, Operation::Move | Operation::Rename);
        return Ok(Some(Came { at, operation, actor, from: from.filter(|_| moved) }));
    }
    if at.is_some() {
        return Ok(None);
    }
    let mut found = None;
    tx.each(
        "SELECT at, actor, uids FROM journal {by:journal_mailbox}
         WHERE account = $1 AND mailbox = $2 AND what = 'append' ORDER BY modseq DESC LIMIT $3",
        &values,
        |row| {
            if !UidSet::parse(&row.text(2)?).unwrap_or_default().contains(uid) {
                return Ok(ControlFlow::Continue(()));
            }
            found = Some(Came { at: row.id(0)?, operation: Operation::Append, actor: row.text(1)?, from: None });
            Ok(ControlFlow::Break(()))
        },
    )?;
    Ok(found)
}

fn operation(what: &str) -> Result<Operation> {
    Operation::from_name(what).ok_or_else(|| Error::Corrupt(format!("journal operation {what}")))
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
