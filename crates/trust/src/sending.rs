//! How much each account sends, and how much it may.
//!
//! Invariants:
//! 1. What an account sent is counted by hour, in the transaction that takes the message in: what was answered 250 is counted,
//!    and nothing else is. A restart forgets nothing, and all servers that share the store count together.
//! 2. Limits are of an account and not of an address: the clouds of mail programs send for many people from one address, and
//!    whoever has a stolen password sends from many.
//! 3. "Within an hour" is the last sixty minutes, not the hour of the clock: of the hour in which they began, the part counts
//!    that lies within.
//! 4. That an account is near its limit, or at it, is told once in an hour ([`tell`]).

use std::time::Duration;

use postroad_store::{AccountId, Migration, ReadTx, Result, Timestamp, WriteTx, params};

/// The tables of this module.
pub const MIGRATION: Migration = Migration { owner: "sending", version: 1, sql: V1 };

/// Hours are counted from 1970; `told` is a sum of [`Level`]s. In `sending_limit`, NULL is what the settings say and 0 no limit.
const V1: &str = "
CREATE TABLE sending_count (
    account BIGINT NOT NULL,
    hour BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    recipients BIGINT NOT NULL,
    told BIGINT NOT NULL,
    PRIMARY KEY (account, hour)
) {clustered};
CREATE INDEX sending_count_hour ON sending_count (hour);
CREATE TABLE sending_limit (
    account BIGINT PRIMARY KEY,
    messages_per_hour BIGINT,
    messages_per_day BIGINT,
    recipients_per_hour BIGINT,
    recipients_per_day BIGINT
);
";

/// So many; 0 is without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Messages within sixty minutes.
    pub messages_per_hour: u32,
    /// Messages within 24 hours.
    pub messages_per_day: u32,
    /// Recipients of them, within sixty minutes.
    pub recipients_per_hour: u32,
    /// The same within 24 hours.
    pub recipients_per_day: u32,
}

/// What an account has in place of what the settings say; `None` is as they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Own {
    /// As in [`Limits`].
    pub messages_per_hour: Option<u32>,
    /// As in [`Limits`].
    pub messages_per_day: Option<u32>,
    /// As in [`Limits`].
    pub recipients_per_hour: Option<u32>,
    /// As in [`Limits`].
    pub recipients_per_day: Option<u32>,
}

/// Which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Messages within sixty minutes.
    MessagesPerHour,
    /// Messages within 24 hours.
    MessagesPerDay,
    /// Recipients within sixty minutes.
    RecipientsPerHour,
    /// Recipients within 24 hours.
    RecipientsPerDay,
}

/// What an account sent, by hour: those of the last 24 hours, and the one in which they began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sent(Vec<Hour>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hour {
    hour: i64,
    messages: u64,
    recipients: u64,
}

/// More than a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMuch {
    /// Which.
    pub bound: Bound,
    /// How much it allows.
    pub limit: u32,
    /// Until there is room; `None`: so much at once never fits.
    pub wait: Option<Duration>,
}

/// How far an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It has used four fifths of a limit.
    Near,
    /// It was refused.
    Over,
}

impl Level {
    /// The word for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Level::Near => "near",
            Level::Over => "over",
        }
    }

    fn bit(self) -> i64 {
        match self {
            Level::Near => 1,
            Level::Over => 2,
        }
    }
}

impl Bound {
    /// All, the shorter time first.
    pub const ALL: [Bound; 4] =
        [Bound::MessagesPerHour, Bound::RecipientsPerHour, Bound::MessagesPerDay, Bound::RecipientsPerDay];

    /// What it counts.
    pub fn what(self) -> &'static str {
        if self.is_of_messages() { "messages" } else { "recipients" }
    }

    /// Within which time.
    pub fn within(self) -> &'static str {
        match self.hours() {
            1 => "an hour",
            _ => "a day",
        }
    }

    fn is_of_messages(self) -> bool {
        match self {
            Bound::MessagesPerHour | Bound::MessagesPerDay => true,
            Bound::RecipientsPerHour | Bound::RecipientsPerDay => false,
        }
    }

    fn hours(self) -> i64 {
        match self {
            Bound::MessagesPerHour | Bound::RecipientsPerHour => 1,
            Bound::MessagesPerDay | Bound::RecipientsPerDay => 24,
        }
    }
}

impl Own {
    /// The limits that hold, given those of the settings.
    pub fn over(&self, usual: &Limits) -> Limits {
        Limits {
            messages_per_hour: self.messages_per_hour.unwrap_or(usual.messages_per_hour),
            messages_per_day: self.messages_per_day.unwrap_or(usual.messages_per_day),
            recipients_per_hour: self.recipients_per_hour.unwrap_or(usual.recipients_per_hour),
            recipients_per_day: self.recipients_per_day.unwrap_or(usual.recipients_per_day),
        }
    }
}

impl Limits {
    /// How much of it.
    pub fn of(&self, bound: Bound) -> u32 {
        match bound {
            Bound::MessagesPerHour => self.messages_per_hour,
            Bound::MessagesPerDay => self.messages_per_day,
            Bound::RecipientsPerHour => self.recipients_per_hour,
            Bound::RecipientsPerDay => self.recipients_per_day,
        }
    }

    /// Whether so much more is too much.
    pub fn check(&self, sent: &Sent, messages: u64, recipients: u64, now: Timestamp) -> Result<(), TooMuch> {
        for bound in Bound::ALL {
            let (limit, more) = (self.of(bound), if bound.is_of_messages() { messages } else { recipients });
            let fits = |now| sent.within(bound, now).saturating_add(more) <= u64::from(limit);
            if limit == 0 || fits(now) {
                continue;
            }
            // Nothing else goes out meanwhile: then by the end of a window all of it is free.
            let wait = (1..=(bound.hours() as u64 + 1) * 60).map(|minutes| Duration::from_secs(60 * minutes));
            let wait = wait.into_iter().find(|wait| fits(now.plus(*wait)));
            return Err(TooMuch { bound, limit, wait });
        }
        Ok(())
    }

    /// The limit of which most is used, when that is four fifths of it at least, and how much is.
    pub fn near(&self, sent: &Sent, now: Timestamp) -> Option<(Bound, u64)> {
        let used = Bound::ALL.map(|bound| (bound, sent.within(bound, now), u64::from(self.of(bound))));
        let near = used.into_iter().filter(|(_, used, limit)| *limit > 0 && used * 5 >= limit * 4);
        near.max_by_key(|(_, used, limit)| used * 1_000 / limit).map(|(bound, used, _)| (bound, used))
    }
}

impl Sent {
    /// How much that was.
    pub fn within(&self, bound: Bound, now: Timestamp) -> u64 {
        let (hour, first) = (hour_of(now), hour_of(now) - bound.hours());
        let left = (HOUR - now.0.rem_euclid(HOUR)).unsigned_abs();
        let count = |row: &Hour| if bound.is_of_messages() { row.messages } else { row.recipients };
        let part = |row: &Hour| match row.hour {
            // A row of a clock that went ahead counts as if it were now.
            at if at > first || at > hour => count(row),
            at if at == first => count(row).saturating_mul(left).div_ceil(HOUR.unsigned_abs()),
            _ => 0,
        };
        self.0.iter().map(part).sum()
    }
}

/// What an account sent within a day.
pub fn sent(tx: &ReadTx, account: AccountId, now: Timestamp) -> Result<Sent> {
    let sql =
        "SELECT hour, messages, recipients FROM sending_count WHERE account = $1 AND hour >= $2 ORDER BY hour LIMIT $3";
    let rows = tx.rows(sql, params![account, hour_of(now) - 24, HOURS_MAX], |row| {
        Ok(Hour { hour: row.int(0)?, messages: row.int(1)?.unsigned_abs(), recipients: row.int(2)?.unsigned_abs() })
    })?;
    Ok(Sent(rows))
}

/// A message was taken in. Says what was sent by now, this one with it. Two deliveries of one account wait for each other here
/// until COMMIT, so that neither overlooks the other: ask late in a transaction.
pub fn count(tx: &mut WriteTx, account: AccountId, recipients: u64, now: Timestamp) -> Result<Sent> {
    tx.execute(
        "INSERT INTO sending_count (account, hour, messages, recipients, told) VALUES ($1, $2, 1, $3, 0)
         ON CONFLICT (account, hour) DO UPDATE SET messages = sending_count.messages + 1,
            recipients = sending_count.recipients + excluded.recipients",
        params![account, hour_of(now), i64::try_from(recipients).unwrap_or(i64::MAX)],
    )?;
    sent(tx, account, now)
}

/// Whether this is to be told now, which is once in an hour.
pub fn tell(tx: &mut WriteTx, account: AccountId, level: Level, now: Timestamp) -> Result<bool> {
    let told = tx.execute(
        "INSERT INTO sending_count (account, hour, messages, recipients, told) VALUES ($1, $2, 0, 0, $3)
         ON CONFLICT (account, hour) DO UPDATE SET told = sending_count.told + $3 WHERE sending_count.told / $3 % 2 = 0",
        params![account, hour_of(now), level.bit()],
    )?;
    Ok(told > 0)
}

/// What an account has of its own.
pub fn own(tx: &ReadTx, account: AccountId) -> Result<Own> {
    let sql = "SELECT messages_per_hour, messages_per_day, recipients_per_hour, recipients_per_day
               FROM sending_limit WHERE account = $1";
    let found = tx.row(sql, params![account], |row| {
        let number = |at| Ok::<_, postroad_store::Error>(row.int_or_null(at)?.and_then(|n| u32::try_from(n).ok()));
        Ok(Own {
            messages_per_hour: number(0)?,
            messages_per_day: number(1)?,
            recipients_per_hour: number(2)?,
            recipients_per_day: number(3)?,
        })
    })?;
    Ok(found.unwrap_or_default())
}

/// Gives an account limits of its own, in place of those that it had.
pub fn set_own(tx: &mut WriteTx, account: AccountId, own: &Own) -> Result<()> {
    tx.execute("DELETE FROM sending_limit WHERE account = $1", params![account])?;
    if *own != Own::default() {
        let number = |value: Option<u32>| value.map(i64::from);
        tx.execute(
            "INSERT INTO sending_limit (account, messages_per_hour, messages_per_day, recipients_per_hour, recipients_per_day)
             VALUES ($1, $2, $3, $4, $5)",
            params![
                account,
                number(own.messages_per_hour),
                number(own.messages_per_day),
                number(own.recipients_per_hour),
                number(own.recipients_per_day)
            ],
        )?;
    }
    Ok(())
}

/// Accounts of which something was told within the last hours, and whether they were refused; the latest first.
pub fn told(tx: &ReadTx, hours: u32, now: Timestamp) -> Result<Vec<(AccountId, Level)>> {
    let sql = "SELECT account, CAST(max(told) AS BIGINT) FROM sending_count WHERE hour > $1 AND told > 0
               GROUP BY account ORDER BY max(hour) DESC, account LIMIT $2";
    tx.rows(sql, params![hour_of(now) - i64::from(hours), TOLD_MAX], |row| {
        let level = if row.int(1)? >= Level::Over.bit() { Level::Over } else { Level::Near };
        Ok((row.id(0)?, level))
    })
}

/// Forgets what no limit asks about any more.
pub fn sweep(tx: &mut WriteTx, now: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM sending_count WHERE hour < $1", params![hour_of(now) - KEPT_HOURS])
}

fn hour_of(now: Timestamp) -> i64 {
    now.0.div_euclid(HOUR)
}

/// Microseconds.
const HOUR: i64 = 3_600_000_000;
/// Rows of one account that are read: more there are only when a clock went ahead.
const HOURS_MAX: i64 = 100;
/// Accounts that are named.
const TOLD_MAX: i64 = 1_000;
/// A week is shown.
const KEPT_HOURS: i64 = 7 * 24;
