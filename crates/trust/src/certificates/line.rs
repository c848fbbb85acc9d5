//! Lines: names that share a certificate, and how far their order is.

use std::time::Duration;

use postroad_store::{ReadTx, Row, Timestamp, WriteTx, params};

use super::kept::{self, NewCertificate};
use super::{Error, Result, joined, news, split, storable};

/// Names that share a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// The names that are wanted.
    pub names: Vec<String>,
    /// Asked for by the administrator, not derived from settings and domains.
    pub is_asked: bool,
    /// The order that is under way: its URL, its authority's directory and the number of the key it is for.
    pub order: Option<(String, String, i64)>,
    /// Orders that failed in a row.
    pub failures: u32,
    /// No try before this.
    pub not_before: Timestamp,
    /// Wanted now, whatever the time of renewal is.
    pub is_hurried: bool,
    /// How its next certificate's key is chosen.
    pub wish: Wish,
    /// What was wrong with the last order; empty when nothing was.
    pub problem: String,
    /// What to do about it.
    pub next_step: String,
    /// When it was last tried; 0 for never.
    pub tried: Timestamp,
    /// Who orders, and until when the others believe it.
    pub held: Option<(String, Timestamp)>,
}

/// How the key of the next certificate is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// As the settings say.
    Usual,
    /// The next key, as soon as DNS allows.
    NewKey,
    /// A new key at once, whatever DNS says: the current one is lost to somebody.
    NewKeyNow,
}

impl Wish {
    fn stored(self) -> i64 {
        match self {
            Wish::Usual => 0,
            Wish::NewKey => 1,
            Wish::NewKeyNow => 2,
        }
    }
}

/// A name that the authority did not believe to be ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The name.
    pub name: String,
    /// Times in a row.
    pub failures: u32,
    /// Not ordered for before this.
    pub until: Timestamp,
    /// What was said.
    pub why: String,
}

/// What came of an order that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What was wrong.
    pub problem: String,
    /// What to do.
    pub next_step: String,
    /// No try before this.
    pub not_before: Timestamp,
    /// The order itself is lost: the next try makes another.
    pub is_order_over: bool,
}

const COLUMNS: &str =
    "name, names, asked, order_url, order_directory, order_key, failures, not_before, hurried, new_key,
    problem, next_step, tried, holder, held_until";

fn read(row: &Row<'_>) -> postroad_store::Result<Line> {
    let order = row.text_or_null(3)?.zip(row.text_or_null(4)?).zip(row.int_or_null(5)?);
    let until = Timestamp(row.int(14)?);
    Ok(Line {
        name: row.text(0)?,
        names: split(&row.text(1)?),
        is_asked: row.bool(2)?,
        order: order.map(|((url, directory), key)| (url, directory, key)),
        failures: u32::try_from(row.int(6)?).unwrap_or(u32::MAX),
        not_before: row.id(7)?,
        is_hurried: row.bool(8)?,
        wish: match row.int(9)? {
            0 => Wish::Usual,
            1 => Wish::NewKey,
            _ => Wish::NewKeyNow,
        },
        problem: row.text(10)?,
        next_step: row.text(11)?,
        tried: row.id(12)?,
        held: row.text_or_null(13)?.map(|holder| (holder, until)),
    })
}

/// All lines, by name.
pub fn lines(tx: &ReadTx) -> Result<Vec<Line>> {
    Ok(tx.rows(&format!("SELECT {COLUMNS} FROM certificate_line ORDER BY name"), params![], read)?)
}

/// A line by its name.
pub fn line(tx: &ReadTx, name: &str) -> Result<Option<Line>> {
    Ok(tx.row(&format!("SELECT {COLUMNS} FROM certificate_line WHERE name = $1"), params![name], read)?)
}

/// These names are wanted, sharing a certificate called `name`. A line that had other names is tried again soon. Says whether
/// anything changed.
pub fn want(tx: &mut WriteTx, name: &str, names: &[String], is_asked: bool) -> Result<bool> {
    let changed = tx.execute(
        "INSERT INTO certificate_line (name, names, asked, failures, not_before, hurried, new_key, problem, next_step,
                                       tried, held_until)
         VALUES ($1, $2, $3, 0, 0, $3, 0, '', '', 0, 0)
         ON CONFLICT (name) DO UPDATE SET names = excluded.names, failures = 0, not_before = 0,
             asked = {greatest:certificate_line.asked,excluded.asked},
             hurried = {greatest:certificate_line.hurried,excluded.asked}
         WHERE certificate_line.names <> excluded.names OR excluded.asked = 1",
        params![name, &joined(names), is_asked],
    )?;
    if changed > 0 {
        news(tx);
    }
    Ok(changed > 0)
}

/// Nobody wants these names any more; their certificates stay in use until they run out.
pub fn forget_line(tx: &mut WriteTx, name: &str) -> Result<()> {
    tx.execute("DELETE FROM certificate_line WHERE name = $1", params![name])?;
    Ok(())
}

/// A certificate is wanted now, whatever the schedule says, with the key wished for. [`Error::Missing`] without a line of this name.
pub fn hurry(tx: &mut WriteTx, name: &str, wish: Wish) -> Result<()> {
    let found = tx.execute(
        "UPDATE certificate_line SET hurried = 1, failures = 0, not_before = 0, new_key = {greatest:new_key,$2}
         WHERE name = $1",
        params![name, wish.stored()],
    )?;
    if let Some(line) = line(tx, name)? {
        tx.execute("DELETE FROM certificate_refusal WHERE name {in:$1}", params![&line.names])?;
    }
    news(tx);
    if found == 0 { Err(Error::Missing) } else { Ok(()) }
}

/// A node takes a line to order for it; `None` when another one has it, or it is not to be tried yet.
pub fn take(tx: &mut WriteTx, name: &str, node: &str, now: Timestamp, lease: Duration) -> Result<Option<Line>> {
    let sql = format!(
        "UPDATE certificate_line SET holder = $2, held_until = $4, tried = $3
         WHERE name = $1 AND not_before <= $3 AND (holder IS NULL OR holder = $2 OR held_until <= $3) RETURNING {COLUMNS}"
    );
    Ok(tx.returning(&sql, params![name, node, now, now.plus(lease)], read)?.into_iter().next())
}

/// The node still has it, and for another lease.
pub fn hold(tx: &mut WriteTx, name: &str, node: &str, now: Timestamp, lease: Duration) -> Result<()> {
    let held = tx.execute(
        "UPDATE certificate_line SET held_until = $4 WHERE name = $1 AND holder = $2 AND held_until > $3",
        params![name, node, now, now.plus(lease)],
    )?;
    if held == 0 { Err(Error::Lost) } else { Ok(()) }
}

/// An order was made: whoever goes on with it, this node or another, knows where it is and for which key.
pub fn ordered(
    tx: &mut WriteTx,
    name: &str,
    node: &str,
    (url, directory, key): (&str, &str, i64),
    now: Timestamp,
) -> Result<()> {
    let held = tx.execute(
        "UPDATE certificate_line SET order_url = $4, order_directory = $5, order_key = $6
         WHERE name = $1 AND holder = $2 AND held_until > $3",
        params![name, node, now, url, directory, key],
    )?;
    if held == 0 { Err(Error::Lost) } else { Ok(()) }
}

/// The certificate came: it is in use from COMMIT on, on all nodes; its number.
pub fn issued(tx: &mut WriteTx, name: &str, node: &str, key: i64, new: &NewCertificate, now: Timestamp) -> Result<i64> {
    let held = tx.execute(
        "UPDATE certificate_line SET holder = NULL, held_until = 0, order_url = NULL, order_directory = NULL,
             order_key = NULL, failures = 0, not_before = 0, hurried = 0, new_key = 0, problem = '', next_step = ''
         WHERE name = $1 AND holder = $2 AND held_until > $3",
        params![name, node, now],
    )?;
    if held == 0 {
        return Err(Error::Lost);
    }
    for name in &new.names {
        tx.execute("DELETE FROM certificate_refusal WHERE name = $1", params![name])?;
    }
    let id = kept::insert(tx, name, key, new, now)?;
    super::forget_answers(tx, name, now)?;
    news(tx);
    Ok(id)
}

/// The order failed; the lease ends.
pub fn failed(tx: &mut WriteTx, name: &str, node: &str, failed: &Failed, now: Timestamp) -> Result<()> {
    let held = tx.execute(
        "UPDATE certificate_line SET holder = NULL, held_until = 0, failures = failures + 1, not_before = $4,
             problem = $5, next_step = $6
         WHERE name = $1 AND holder = $2 AND held_until > $3",
        params![name, node, now, failed.not_before, &storable(&failed.problem), &storable(&failed.next_step)],
    )?;
    if held == 0 {
        return Err(Error::Lost);
    }
    if failed.is_order_over {
        tx.execute(
            "UPDATE certificate_line SET order_url = NULL, order_directory = NULL, order_key = NULL WHERE name = $1",
            params![name],
        )?;
        super::forget_answers(tx, name, now)?;
    }
    news(tx);
    Ok(())
}

/// The node lets go of a line without a result; another may go on at once.
pub fn left(tx: &mut WriteTx, name: &str, node: &str) -> Result<()> {
    tx.execute(
        "UPDATE certificate_line SET holder = NULL, held_until = 0 WHERE name = $1 AND holder = $2",
        params![name, node],
    )?;
    Ok(())
}

/// The authority did not believe that a name is ours: it is left out until a moment.
pub fn refuse(tx: &mut WriteTx, name: &str, until: Timestamp, why: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO certificate_refusal (name, failures, until, why) VALUES ($1, 1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET failures = certificate_refusal.failures + 1, until = excluded.until,
             why = excluded.why",
        params![name, until, &storable(why)],
    )?;
    Ok(())
}

/// Names that were not believed to be ours.
pub fn refused(tx: &ReadTx) -> Result<Vec<Refused>> {
    Ok(tx.rows("SELECT name, failures, until, why FROM certificate_refusal ORDER BY name", params![], |row| {
        Ok(Refused {
            name: row.text(0)?,
            failures: u32::try_from(row.int(1)?).unwrap_or(u32::MAX),
            until: row.id(2)?,
            why: row.text(3)?,
        })
    })?)
}
