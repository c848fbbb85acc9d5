//! Greylisting that learns (RFC 6647): who came back after a while, and who has done so often enough not to be asked again.
//!
//! Invariants:
//! 1. A *source* is who is believed to send: a domain whose SPF record names the client (`example.org`), or the client's network
//!    (`192.0.2.0/24`, `2001:db8:1:2::/64`). All addresses of a provider's pool are one source.
//! 2. A row of `greylist_try` is a source, a sender and a recipient that was put off. It is of no use after
//!    [`Terms::come_back`] unless mail came in under it, and then after [`Terms::remember`].
//! 3. A source that brought [`Terms::enough`] messages after it had been put off has a row in `greylist_known`, as has one that
//!    an administrator wrote: it is not put off any more, until nothing was heard of it for [`Terms::remember`]. What an
//!    administrator wrote stays until they take it back.
//! 4. Of one source there are at most [`TRIES_OF_A_SOURCE`] rows that wait: what is more takes the place of any of them, so that
//!    neither who never comes back keeps the others of a network out, nor a crowd that comes all at once. Of all there are
//!    [`MAX_TRIES`]: when there is no [`room`], nobody new is put off.
//! 5. Whom an account of ours wrote to (`greylist_written`) may answer it at once.
//!
//! All servers that share the store share what is learned: a client may come back to another one.

use std::time::Duration;

use postroad_store::{AccountId, Migration, Param, ReadTx, Result, Timestamp, WriteTx, params};

/// The tables of this module.
pub const MIGRATION: Migration = Migration { owner: "greylist", version: 1, sql: V1 };

/// `passed` is NULL until mail came in. `times` counts messages that came after they had been put off; `known` is when that was
/// enough, and NULL before.
const V1: &str = "
CREATE TABLE greylist_try (
    source {text} NOT NULL,
    sender {text} NOT NULL,
    recipient {text} NOT NULL,
    first BIGINT NOT NULL,
    seen BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    passed BIGINT,
    PRIMARY KEY (source, sender, recipient)
);
CREATE INDEX greylist_try_seen ON greylist_try (seen);
CREATE INDEX greylist_try_waiting ON greylist_try (seen) WHERE passed IS NULL;
CREATE TABLE greylist_known (
    source {text} PRIMARY KEY,
    times BIGINT NOT NULL,
    known BIGINT,
    seen BIGINT NOT NULL,
    by_hand BIGINT NOT NULL
);
CREATE INDEX greylist_known_seen ON greylist_known (seen);
CREATE TABLE greylist_written (
    account BIGINT NOT NULL,
    address {text} NOT NULL,
    seen BIGINT NOT NULL,
    PRIMARY KEY (account, address)
) {clustered};
CREATE INDEX greylist_written_seen ON greylist_written (seen);
";

/// Rows that wait, of one source.
pub const TRIES_OF_A_SOURCE: u32 = 256;
/// Rows of `greylist_try`; and of the other tables, each, after a sweep.
pub const MAX_TRIES: u64 = 500_000;
/// Rows that a sweep removes at a time.
const SWEPT: u64 = 5_000;
/// A row is written anew only when what it says is older: mail of somebody known costs no write.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);
/// Octets of a name in a key: a longer one is cut, so that it fits into an index.
const NAME_MAX: usize = 300;

/// How long, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Whoever is not known comes back after so long.
    pub wait: Duration,
    /// And before so long.
    pub come_back: Duration,
    /// Who is known, and what came in, is remembered for so long after it was seen last.
    pub remember: Duration,
    /// A source is known after so many messages.
    pub enough: u32,
}

impl Default for Terms {
    fn default() -> Terms {
        let (minute, hour) = (60, 60 * 60);
        Terms {
            wait: Duration::from_secs(5 * minute),
            come_back: Duration::from_secs(48 * hour),
            remember: Duration::from_secs(40 * 24 * hour),
            enough: 5,
        }
    }
}

/// Mail of somebody for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Try {
    /// A domain, or a network in CIDR notation.
    pub source: String,
    /// MAIL FROM.
    pub sender: String,
    /// RCPT TO.
    pub recipient: String,
}

impl Try {
    /// In lower case, and no longer than an index takes.
    pub fn new(source: &str, sender: &str, recipient: &str) -> Try {
        Try { source: key(source), sender: key(sender), recipient: key(recipient) }
    }
}

/// What is known of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is new: [`put_off`] it.
    New,
    /// It came too early, and may come from then on.
    Early(Timestamp),
    /// It came back after its time: this message is let in, and learned from ([`Lesson`]).
    Back,
    /// It was let in before. `stale`: that is to be written again.
    Passed {
        /// Whether it is.
        stale: bool,
    },
    /// Its source is known. `stale`: that is to be written again.
    Known {
        /// Whether it is.
        stale: bool,
    },
    /// The account that it is for wrote to its sender.
    Answer,
}

/// What a message that was let in teaches, to be written with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// Whose it is.
    pub of: Try,
    /// It had been put off, and counts for its source.
    pub counts: bool,
}

/// A source that is known, or is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// A domain or a network.
    pub source: String,
    /// Messages that came after they had been put off.
    pub times: i64,
    /// Since when it is known; `None`: not yet.
    pub known: Option<Timestamp>,
    /// When mail came last.
    pub seen: Timestamp,
    /// An administrator wrote it.
    pub by_hand: bool,
}

/// Somebody who was put off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Who.
    pub of: Try,
    /// When they came first.
    pub first: Timestamp,
    /// When they came last.
    pub seen: Timestamp,
    /// How often.
    pub tries: i64,
}

/// What is known of a try. One statement for each table at most. `accounts`: whom the recipient leads to. `also`: a source that
/// would be known, were the DNS to answer; it counts when it is, and nothing is written of it.
pub fn look(
    tx: &ReadTx,
    of: &Try,
    also: Option<&str>,
    accounts: &[AccountId],
    terms: &Terms,
    now: Timestamp,
) -> Result<Standing> {
    let sources: Vec<String> = [Some(of.source.clone()), also.map(key)].into_iter().flatten().collect();
    let oldest = now.minus(terms.remember);
    let sql = "SELECT source, seen, by_hand FROM greylist_known
               WHERE source {in:$1} AND known IS NOT NULL AND (seen > $2 OR by_hand = 1)";
    let known = tx.rows(sql, params![&sources, oldest], |row| Ok((row.text(0)?, row.id(1)?, row.bool(2)?)))?;
    if !known.is_empty() {
        let stale = |(source, seen, _): &(String, Timestamp, bool)| *source == of.source && is_stale(*seen, now);
        return Ok(Standing::Known { stale: known.iter().any(stale) });
    }
    let row = tx.row(
        "SELECT first, seen, passed FROM greylist_try WHERE source = $1 AND sender = $2 AND recipient = $3",
        params![&of.source, &of.sender, &of.recipient],
        |row| Ok((row.id::<Timestamp>(0)?, row.id::<Timestamp>(1)?, row.int_or_null(2)?)),
    )?;
    let standing = match row {
        Some((_, seen, Some(_))) if seen > oldest => Standing::Passed { stale: is_stale(seen, now) },
        Some((first, seen, None)) if seen > now.minus(terms.come_back) => match first.plus(terms.wait) {
            due if now < due => Standing::Early(due),
            _ => Standing::Back,
        },
        Some(_) | None => Standing::New,
    };
    match standing {
        Standing::New | Standing::Early(_) if wrote_to(tx, accounts, &of.sender, oldest)? => Ok(Standing::Answer),
        Standing::New
        | Standing::Early(_)
        | Standing::Back
        | Standing::Passed { .. }
        | Standing::Known { .. }
        | Standing::Answer => Ok(standing),
    }
}

fn wrote_to(tx: &ReadTx, accounts: &[AccountId], address: &str, oldest: Timestamp) -> Result<bool> {
    if accounts.is_empty() {
        return Ok(false);
    }
    let accounts: Vec<i64> = accounts.iter().map(|account| account.0).collect();
    let sql = "SELECT 1 FROM greylist_written WHERE account {in:$1} AND address = $2 AND seen > $3 LIMIT 1";
    Ok(tx.row(sql, params![&accounts, address, oldest], |row| row.int(0))?.is_some())
}

/// Somebody came who has to come back. Says from when on; who came before keeps their time.
pub fn put_off(tx: &mut WriteTx, of: &Try, terms: &Terms, now: Timestamp) -> Result<Timestamp> {
    let stale = now.minus(terms.come_back);
    let known = tx.returning(
        "UPDATE greylist_try SET tries = tries + 1, seen = $4,
                first = CASE WHEN seen > $5 AND passed IS NULL THEN first ELSE $4 END,
                passed = NULL
         WHERE source = $1 AND sender = $2 AND recipient = $3 RETURNING first",
        params![&of.source, &of.sender, &of.recipient, now, stale],
        |row| row.id::<Timestamp>(0),
    )?;
    if let Some(first) = known.first() {
        return Ok(first.plus(terms.wait));
    }
    let waiting = tx.one(
        "SELECT CAST(count(*) AS BIGINT) FROM (SELECT 1 AS one FROM greylist_try
         WHERE source = $1 AND passed IS NULL LIMIT $2) AS few",
        params![&of.source, i64::from(TRIES_OF_A_SOURCE)],
        |row| row.int(0),
    )?;
    if waiting >= i64::from(TRIES_OF_A_SOURCE) {
        tx.execute(
            "DELETE FROM greylist_try WHERE source = $1 AND (sender, recipient) IN
                (SELECT sender, recipient FROM greylist_try WHERE source = $1 AND passed IS NULL
                 ORDER BY sender, recipient LIMIT 1 OFFSET $2)",
            params![&of.source, any_place(of, now)],
        )?;
    }
    tx.execute(
        "INSERT INTO greylist_try (source, sender, recipient, first, seen, tries) VALUES ($1, $2, $3, $4, $4, 1)
         ON CONFLICT (source, sender, recipient) DO UPDATE SET tries = greylist_try.tries + 1, seen = excluded.seen",
        params![&of.source, &of.sender, &of.recipient, now],
    )?;
    Ok(now.plus(terms.wait))
}

/// One of the places of a source, as good as by chance. The oldest would be wrong: where more come at once than there are
/// places, all would be gone before they come back.
fn any_place(of: &Try, now: Timestamp) -> i64 {
    let octets = of.sender.bytes().chain(of.recipient.bytes()).chain(now.0.to_le_bytes());
    // FNV-1a.
    let hash = octets
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3));
    ((hash >> 32) % u64::from(TRIES_OF_A_SOURCE)).cast_signed()
}

/// How many more rows there is room for: asked now and then, not with each.
pub fn room(tx: &ReadTx) -> Result<u64> {
    let rows = tx.one("SELECT CAST(count(*) AS BIGINT) FROM greylist_try", params![], |row| row.int(0))?;
    Ok(MAX_TRIES.saturating_sub(rows.unsigned_abs()))
}

/// Mail came in. Says which sources are known from now on. Belongs into the transaction that files the mail.
pub fn learn(tx: &mut WriteTx, lessons: &[Lesson], terms: &Terms, now: Timestamp) -> Result<Vec<String>> {
    // In one order, so that two deliveries do not wait for each other.
    let mut lessons: Vec<&Lesson> = lessons.iter().collect();
    lessons.sort_by(|a, b| key_of(a).cmp(&key_of(b)));
    for lesson in &lessons {
        let Try { source, sender, recipient } = &lesson.of;
        tx.execute(
            "UPDATE greylist_try SET passed = coalesce(passed, $4), seen = $4
             WHERE source = $1 AND sender = $2 AND recipient = $3",
            params![source, sender, recipient, now],
        )?;
    }
    let mut fresh = Vec::new();
    let mut sources: Vec<(&str, bool)> = Vec::new();
    for lesson in &lessons {
        match sources.last_mut() {
            // One message for several recipients is one message.
            Some((source, counts)) if *source == lesson.of.source => *counts |= lesson.counts,
            Some(_) | None => sources.push((&lesson.of.source, lesson.counts)),
        }
    }
    for (source, counts) in sources {
        let times = tx.returning(
            "INSERT INTO greylist_known (source, times, known, seen, by_hand) VALUES ($1, $2, NULL, $3, 0)
             ON CONFLICT (source) DO UPDATE SET seen = excluded.seen, times = CASE
                WHEN greylist_known.seen > $4 OR greylist_known.by_hand = 1 THEN greylist_known.times + excluded.times
                ELSE excluded.times END, known = CASE
                WHEN greylist_known.seen > $4 OR greylist_known.by_hand = 1 THEN greylist_known.known ELSE NULL END
             RETURNING times, known",
            params![source, i64::from(counts), now, now.minus(terms.remember)],
            |row| Ok((row.int(0)?, row.int_or_null(1)?)),
        )?;
        if let Some((times, None)) = times.first()
            && *times >= i64::from(terms.enough)
        {
            tx.execute("UPDATE greylist_known SET known = $2 WHERE source = $1", params![source, now])?;
            fresh.push(source.to_owned());
        }
    }
    Ok(fresh)
}

fn key_of(lesson: &Lesson) -> (&str, &str, &str) {
    (&lesson.of.source, &lesson.of.sender, &lesson.of.recipient)
}

/// An account wrote to these addresses, whose answers are not put off.
pub fn wrote(tx: &mut WriteTx, account: AccountId, addresses: &[&str], now: Timestamp) -> Result<()> {
    let mut keys: Vec<String> = addresses.iter().take(WRITTEN_AT_ONCE).map(|address| key(address)).collect();
    keys.sort_unstable();
    keys.dedup();
    let rows: Vec<[Param<'_>; 3]> =
        keys.iter().map(|address| [account.0.into(), address.as_str().into(), now.into()]).collect();
    if !rows.is_empty() {
        tx.insert_rows(
            "INSERT INTO greylist_written (account, address, seen)",
            &rows,
            "ON CONFLICT (account, address) DO UPDATE SET seen = excluded.seen",
        )?;
    }
    Ok(())
}

/// An administrator lets a source in from now on, whatever was counted.
pub fn forgive(tx: &mut WriteTx, source: &str, now: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO greylist_known (source, times, known, seen, by_hand) VALUES ($1, 0, $2, $2, 1)
         ON CONFLICT (source) DO UPDATE SET known = excluded.known, seen = excluded.seen, by_hand = 1",
        params![&key(source), now],
    )?;
    tx.execute("DELETE FROM greylist_try WHERE source = $1 AND passed IS NULL", params![&key(source)])?;
    Ok(())
}

/// Nothing was learned of a source. Says whether there was anything.
pub fn forget(tx: &mut WriteTx, source: &str) -> Result<bool> {
    let known = tx.execute("DELETE FROM greylist_known WHERE source = $1", params![&key(source)])?;
    Ok(known + tx.execute("DELETE FROM greylist_try WHERE source = $1", params![&key(source)])? > 0)
}

/// Sources that are known or on their way, the latest first.
pub fn known(tx: &ReadTx, terms: &Terms, now: Timestamp, limit: usize) -> Result<Vec<Known>> {
    tx.rows(
        "SELECT source, times, known, seen, by_hand FROM greylist_known WHERE seen > $1 OR by_hand = 1
         ORDER BY seen DESC, source LIMIT $2",
        params![now.minus(terms.remember), i64::try_from(limit).unwrap_or(i64::MAX)],
        |row| {
            Ok(Known {
                source: row.text(0)?,
                times: row.int(1)?,
                known: row.int_or_null(2)?.map(Timestamp),
                seen: row.id(3)?,
                by_hand: row.bool(4)?,
            })
        },
    )
}

/// Who was put off and has not come in since, the latest first.
pub fn waiting(tx: &ReadTx, terms: &Terms, now: Timestamp, limit: usize) -> Result<Vec<Waiting>> {
    tx.rows(
        "SELECT source, sender, recipient, first, seen, tries FROM greylist_try WHERE seen > $1 AND passed IS NULL
         ORDER BY seen DESC, source, sender, recipient LIMIT $2",
        params![now.minus(terms.come_back), i64::try_from(limit).unwrap_or(i64::MAX)],
        |row| {
            Ok(Waiting {
                of: Try { source: row.text(0)?, sender: row.text(1)?, recipient: row.text(2)? },
                first: row.id(3)?,
                seen: row.id(4)?,
                tries: row.int(5)?,
            })
        },
    )
}

/// Forgets what is of no use any more, and the oldest of what is too much: a part at a time. Says whether there may be more.
pub fn sweep(tx: &mut WriteTx, terms: &Terms, now: Timestamp) -> Result<bool> {
    let (unused, remembered) = (now.minus(terms.come_back), now.minus(terms.remember));
    let (most, part) = (i64::try_from(MAX_TRIES).unwrap_or(i64::MAX), i64::try_from(SWEPT).unwrap_or(i64::MAX));
    let mut more = tx.execute(
        "DELETE FROM greylist_try WHERE (source, sender, recipient) IN
            (SELECT source, sender, recipient FROM greylist_try WHERE passed IS NULL AND seen < $1 ORDER BY seen LIMIT $2)",
        params![unused, part],
    )? >= SWEPT;
    for (table, key, kept) in [
        ("greylist_try", "source, sender, recipient", ""),
        ("greylist_known", "source", " AND by_hand = 0"),
        ("greylist_written", "account, address", ""),
    ] {
        // The moment of the newest row that is too much.
        let sql = format!("SELECT seen FROM {table} ORDER BY seen DESC LIMIT 1 OFFSET $1");
        let over = tx.row(&sql, params![most], |row| row.id::<Timestamp>(0))?;
        let before = over.map_or(remembered, |over| Timestamp(over.0 + 1).max(remembered));
        let sql = format!(
            "DELETE FROM {table} WHERE ({key}) IN
                (SELECT {key} FROM {table} WHERE seen < $1{kept} ORDER BY seen LIMIT $2)"
        );
        more |= tx.execute(&sql, params![before, part])? >= SWEPT;
    }
    Ok(more)
}

fn is_stale(seen: Timestamp, now: Timestamp) -> bool {
    seen.plus(FRESH) < now
}

/// In lower case, without what a text column does not take, and not longer than an index takes.
fn key(text: &str) -> String {
    let mut key: String = text.trim().chars().filter(|c| !c.is_control()).flat_map(char::to_lowercase).collect();
    key.truncate(key.floor_char_boundary(NAME_MAX));
    key
}

/// Addresses of one message that are remembered.
const WRITTEN_AT_ONCE: usize = 100;
