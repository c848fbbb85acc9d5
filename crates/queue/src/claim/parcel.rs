//! Recipients that go together, and how they change hands.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use postroad_store::{Timestamp, WriteTx, params};

use crate::destination::Destination;
use crate::{Due, Job, Node, Notify, Purpose, Result, look};

/// A recipient that could be handed out.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) message: i64,
    pub(super) number: i64,
    pub(super) domain: String,
    pub(super) via: Option<String>,
    pub(super) due: i64,
    pub(super) priority: i64,
}

impl Key {
    /// Its place among others: what is urgent goes before what became due shortly before it. As time goes on whatever is
    /// due passes what comes in later, however urgent: nobody starves.
    pub(super) fn order(&self) -> (i64, i64, i64) {
        (self.due.saturating_sub(self.priority * HEAD_START), self.message, self.number)
    }
}

/// What each level of priority is worth, in microseconds of waiting.
const HEAD_START: i64 = 60 * 1_000_000;

/// Recipients of one message, destination and forwarding address.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) message: i64,
    pub(super) domain: String,
    pub(super) via: Option<String>,
    /// Numbers and dues, at least one.
    pub(super) rows: Vec<(i64, i64)>,
}

/// Columns of a [`Key`].
pub(super) const KEY: &str = "message, number, domain, via, due, priority";

pub(super) fn read_key(row: &postroad_store::Row<'_>) -> postroad_store::Result<Key> {
    Ok(Key {
        message: row.int(0)?,
        number: row.int(1)?,
        domain: row.text(2)?,
        via: row.text_or_null(3)?,
        due: row.int(4)?,
        priority: row.int(5)?,
    })
}

/// Puts together what goes together, in the order of the first recipient of each.
pub(super) fn gather(keys: Vec<Key>, per_job: usize) -> Vec<Parcel> {
    let mut parcels: Vec<Parcel> = Vec::new();
    let mut open: HashMap<(i64, String, Option<String>), usize> = HashMap::new();
    for key in keys {
        let row = (key.number, key.due);
        let place = open.entry((key.message, key.domain.clone(), key.via.clone())).or_insert(usize::MAX);
        match parcels.get_mut(*place) {
            Some(parcel) if parcel.rows.len() < per_job => parcel.rows.push(row),
            Some(_) | None => {
                *place = parcels.len();
                parcels.push(Parcel { message: key.message, domain: key.domain, via: key.via, rows: vec![row] });
            }
        }
    }
    parcels
}

/// `[[message,number],[message,number]]` for `{numbers:..}`.
fn pairs(parcels: &[Parcel]) -> String {
    list(parcels.iter().flat_map(|parcel| parcel.rows.iter().map(|(number, _)| [parcel.message, *number])))
}

/// `[[1,2],[3,4]]`.
pub(crate) fn list<const N: usize>(rows: impl Iterator<Item = [i64; N]>) -> String {
    let mut text = String::from("[");
    for row in rows {
        text.push_str(if text.len() == 1 { "[" } else { ",[" });
        for (place, number) in row.iter().enumerate() {
            // Writing into a string does not fail.
            let _ = write!(text, "{}{number}", if place == 0 { "" } else { "," });
        }
        text.push(']');
    }
    text.push(']');
    text
}

/// The parcels are the node's from now on. Two statements. `known` are destinations that had failed before.
pub(super) fn hand_out(
    tx: &mut WriteTx,
    node: &Node,
    parcels: Vec<Parcel>,
    purpose: Purpose,
    now: Timestamp,
    known: &HashMap<String, Destination>,
) -> Result<Vec<Job>> {
    if parcels.is_empty() {
        return Ok(Vec::new());
    }
    // What was parked had become due before it got there; its order is of no use any more.
    let rows = tx.returning(
        "UPDATE queue_recipient SET state = 'claimed', node = $2, life = $3, again = 0,
                due = CASE WHEN state = 'waiting' THEN due ELSE {least:due, $4} END
         FROM {numbers:$1} AS n
         WHERE message = n.a AND number = n.b AND state IN ('waiting', 'parked', 'backlog')
         RETURNING message, number, address, notify, orcpt, attempts, delay_told, last_reply, valid_since",
        params![&pairs(&parcels), node.name(), node.life(), now],
        |row| {
            let due = Due {
                number: row.int(1)?,
                address: row.text(2)?,
                notify: Notify::from_bits(row.int(3)?),
                orcpt: row.text_or_null(4)?,
                attempts: u32::try_from(row.int(5)?).unwrap_or(u32::MAX),
                delay_told: row.bool(6)?,
                last_reply: row.text_or_null(7)?,
                valid_since: row.text_or_null(8)?,
            };
            Ok(((row.int(0)?, due.number), due))
        },
    )?;
    let mut rows: HashMap<(i64, i64), Due> = rows.into_iter().collect();
    let ids: BTreeSet<i64> = parcels.iter().map(|parcel| parcel.message).collect();
    let messages = look::messages(tx, &ids.into_iter().collect::<Vec<_>>())?;
    let jobs = parcels.into_iter().filter_map(|parcel| {
        let message = messages.get(&parcel.message)?.clone();
        let recipients: Vec<Due> =
            parcel.rows.iter().filter_map(|(number, _)| rows.remove(&(parcel.message, *number))).collect();
        let failures = known.get(&parcel.domain).map_or(0, |known| known.failures);
        let (domain, via, node) = (parcel.domain, parcel.via, node.clone());
        let probe = failures > 0 && purpose == Purpose::Send;
        let job = Job { purpose, message, domain, via, recipients, failures, probe, node };
        (!job.recipients.is_empty()).then_some(job)
    });
    Ok(jobs.collect())
}

/// Parks recipients behind their destinations, whose rows this transaction has.
pub(super) fn park(tx: &mut WriteTx, parcels: &[Parcel]) -> Result<()> {
    put(tx, PARK, parcels)
}

/// Puts recipients behind the others.
pub(super) fn set_back(tx: &mut WriteTx, parcels: &[Parcel]) -> Result<()> {
    put(tx, SET_BACK, parcels)
}

fn put(tx: &mut WriteTx, sql: &str, parcels: &[Parcel]) -> Result<()> {
    if !parcels.is_empty() {
        let rows =
            parcels.iter().flat_map(|parcel| parcel.rows.iter().map(|(number, due)| [parcel.message, *number, *due]));
        tx.execute(sql, params![&list(rows)])?;
    }
    Ok(())
}

/// `$1` messages, numbers and the order they get.
pub(super) const PARK: &str = "UPDATE queue_recipient SET state = 'parked', due = n.c FROM {numbers:$1} AS n
     WHERE message = n.a AND number = n.b";
const SET_BACK: &str = "UPDATE queue_recipient SET state = 'backlog', due = n.c FROM {numbers:$1} AS n
     WHERE message = n.a AND number = n.b";
