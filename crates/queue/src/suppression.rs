//! Recipients that are not written to any more: they do not exist, or they complained.
//!
//! 1. An entry belongs to a scope: the address of a sender (who was complained of), the domain of senders (whose mail came
//!    back), or everybody (what an administrator entered). Nobody's mail suffers from what became of somebody else's.
//! 2. One refusal says little: a typing error at the other end, a server that was set up anew. An address is suppressed
//!    after as many refusals, as far apart, as the scope's [`Rule`] says; mail that gets through begins the count anew. Who
//!    sends in bulk sets the rule to one.
//! 3. Role addresses (postmaster, abuse) are never suppressed: whoever has trouble must be reached.
//! 4. Everything ends by itself, and an administrator can take it back.
//!
//! Standards: RFC 5321 §4.5.1 (postmaster), RFC 2142 (abuse).

use std::time::Duration;

use postroad_store::{Migration, ReadTx, Row, Timestamp, WriteTx, params};

use crate::Result;

/// Entries, counted refusals, and the rules.
pub(crate) const V1: Migration = Migration {
    owner: "suppression",
    version: 1,
    sql: "
CREATE TABLE suppression (
    address {text} NOT NULL,
    scope {text} NOT NULL,
    active BIGINT NOT NULL,
    reason {text} NOT NULL,
    source {text} NOT NULL,
    said {text} NOT NULL,
    failures BIGINT NOT NULL,
    since BIGINT NOT NULL,
    last BIGINT NOT NULL,
    expires BIGINT,
    PRIMARY KEY (address, scope)
) {clustered};
CREATE INDEX suppression_expires ON suppression (expires);
CREATE TABLE suppression_rule (
    scope {text} PRIMARY KEY,
    failures BIGINT NOT NULL,
    apart BIGINT NOT NULL,
    lasts BIGINT NOT NULL
);
",
};

/// The scope of everybody.
pub const EVERYBODY: &str = "*";

/// Why an address is suppressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its host says that it does not exist.
    UnknownUser,
    /// Its owner complained.
    Complaint,
    /// The administrator entered it.
    Manual,
    /// It came with a list.
    Imported,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 4] = [Reason::UnknownUser, Reason::Complaint, Reason::Manual, Reason::Imported];

    /// As it is stored, shown and typed.
    pub fn name(self) -> &'static str {
        match self {
            Reason::UnknownUser => "unknown-user",
            Reason::Complaint => "complaint",
            Reason::Manual => "manual",
            Reason::Imported => "imported",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// One suppressed address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// In its canonical form, [`canonical`].
    pub address: String,
    /// For whose mail: an address, a domain, or [`EVERYBODY`].
    pub scope: String,
    /// Why.
    pub reason: Reason,
    /// Where it comes from: a queue id, a report, a file, who entered it.
    pub source: String,
    /// The words of its host, or of who entered it.
    pub said: String,
    /// Refusals so far.
    pub failures: u32,
    /// Since when.
    pub since: Timestamp,
    /// What was heard last.
    pub last: Timestamp,
    /// Until when; `None`: until it is taken back.
    pub expires: Option<Timestamp>,
    /// False: refusals are counted, and mail still goes.
    pub active: bool,
}

/// After what an address is suppressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// After so many refusals in a row; 0: never.
    pub failures: u32,
    /// The first and the last of them at least so far apart.
    pub apart: Duration,
    /// For so long.
    pub lasts: Duration,
}

/// For people: a mistake, theirs or the other host's, has a day to be put right.
impl Default for Rule {
    fn default() -> Rule {
        Rule { failures: 2, apart: DAY, lasts: 90 * DAY }
    }
}

/// What a refusal came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Nothing: a role address, a sender without a domain, a rule that says never.
    Ignored,
    /// It is counted; so many so far.
    Counted(u32),
    /// From now on it is suppressed.
    Suppressed(Entry),
}

/// The address as it is compared: in lower case, as nearly all hosts do.
pub fn canonical(address: &str) -> String {
    address.trim().to_lowercase()
}

/// Whether an address is one that must be reached.
pub fn is_role(address: &str) -> bool {
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
    ROLES.iter().any(|role| local.eq_ignore_ascii_case(role))
}

/// Whether mail of this sender to this recipient is not to be taken.
pub fn check(tx: &ReadTx, sender: &str, recipient: &str, now: Timestamp) -> Result<Option<Entry>> {
    if sender.is_empty() || is_role(recipient) {
        return Ok(None);
    }
    let (sender, recipient) = (canonical(sender), canonical(recipient));
    let domain = domain_of(&sender);
    let sql = format!(
        "SELECT {COLUMNS} FROM suppression
         WHERE address = $1 AND scope IN ($2, $3, '*') AND active = 1 AND (expires IS NULL OR expires > $4)
         ORDER BY scope LIMIT 1"
    );
    Ok(tx.row(&sql, params![&recipient, &sender, domain, now], read)?)
}

/// Of these recipients those whom mail of this sender is not to go to, each once. One statement.
pub fn among(tx: &ReadTx, sender: &str, recipients: &[String], now: Timestamp) -> Result<Vec<Entry>> {
    let recipients: Vec<String> =
        recipients.iter().filter(|recipient| !is_role(recipient)).map(|recipient| canonical(recipient)).collect();
    if sender.is_empty() || recipients.is_empty() {
        return Ok(Vec::new());
    }
    let sender = canonical(sender);
    let domain = domain_of(&sender);
    let sql = format!(
        "SELECT {COLUMNS} FROM suppression
         WHERE address {{in:$1}} AND scope IN ($2, $3, '*') AND active = 1 AND (expires IS NULL OR expires > $4)
         ORDER BY address, scope"
    );
    let mut entries = tx.rows(&sql, params![&recipients, &sender, domain, now], read)?;
    entries.dedup_by(|one, before| one.address == before.address);
    Ok(entries)
}

/// The host of a recipient said for good that it does not exist. `source` is where that stands: a queue id.
pub fn refused(
    tx: &mut WriteTx,
    sender: &str,
    recipient: &str,
    said: &str,
    source: &str,
    now: Timestamp,
) -> Result<Heard> {
    let (sender, address) = (canonical(sender), canonical(recipient));
    let scope = domain_of(&sender);
    let rule = rule(tx, scope)?;
    if scope.is_empty() || is_role(&address) || rule.failures == 0 {
        return Ok(Heard::Ignored);
    }
    let forgotten = now.minus(FORGOTTEN_AFTER);
    let sql = format!(
        "INSERT INTO suppression (address, scope, active, reason, source, said, failures, since, last, expires)
         VALUES ($1, $2, 0, 'unknown-user', $3, $4, 1, $5, $5, $6)
         ON CONFLICT (address, scope) DO UPDATE SET
            said = CASE WHEN suppression.active = 1 THEN suppression.said ELSE excluded.said END,
            source = CASE WHEN suppression.active = 1 THEN suppression.source ELSE excluded.source END,
            failures = CASE WHEN suppression.active = 0 AND suppression.last < $7 THEN 1
                            ELSE suppression.failures + 1 END,
            since = CASE WHEN suppression.active = 0 AND suppression.last < $7 THEN $5 ELSE suppression.since END,
            last = $5,
            expires = CASE WHEN suppression.active = 1 THEN suppression.expires ELSE excluded.expires END
         RETURNING {COLUMNS}"
    );
    let source = crate::storable(source);
    let said = crate::storable(said);
    let ends = now.plus(FORGOTTEN_AFTER);
    let found = tx.returning(&sql, params![&address, scope, &*source, &*said, now, ends, forgotten], read)?;
    let Some(mut entry) = found.into_iter().next() else { return Ok(Heard::Ignored) };
    let is_enough = entry.failures >= rule.failures && now >= entry.since.plus(rule.apart);
    if entry.active || !is_enough {
        return Ok(Heard::Counted(entry.failures));
    }
    let expires = now.plus(rule.lasts);
    tx.execute(
        "UPDATE suppression SET active = 1, expires = $3 WHERE address = $1 AND scope = $2",
        params![&address, scope, expires],
    )?;
    (entry.active, entry.expires) = (true, Some(expires));
    Ok(Heard::Suppressed(entry))
}

/// Mail got through to these: refusals that were counted mean nothing any more.
pub fn reached(tx: &mut WriteTx, recipients: &[&str]) -> Result<()> {
    let addresses: Vec<String> = recipients.iter().map(|address| canonical(address)).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    if !addresses.is_empty() {
        tx.execute("DELETE FROM suppression WHERE address {in:$1} AND active = 0", params![&addresses])?;
    }
    Ok(())
}

/// A recipient complained of mail of this sender, who writes to it no more. `source` names the report.
pub fn complained(tx: &mut WriteTx, sender: &str, recipient: &str, source: &str, now: Timestamp) -> Result<bool> {
    if sender.is_empty() || is_role(recipient) {
        return Ok(false);
    }
    let entry = Entry {
        address: canonical(recipient),
        scope: canonical(sender),
        reason: Reason::Complaint,
        source: source.to_owned(),
        said: "the recipient reported mail of this sender as unwanted".to_owned(),
        failures: 0,
        since: now,
        last: now,
        expires: Some(now.plus(COMPLAINT_LASTS)),
        active: true,
    };
    put(tx, std::slice::from_ref(&entry))?;
    Ok(true)
}

/// Enters what an administrator or a list says, over what there was. Says how many there were, role addresses left out.
pub fn put(tx: &mut WriteTx, entries: &[Entry]) -> Result<u64> {
    let mut count = 0;
    for entry in entries.iter().filter(|entry| !is_role(&entry.address)) {
        let (source, said) = (crate::storable(&entry.source), crate::storable(&entry.said));
        count += tx.execute(
            "INSERT INTO suppression (address, scope, active, reason, source, said, failures, since, last, expires)
             VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (address, scope) DO UPDATE SET active = 1, reason = excluded.reason, source = excluded.source,
                said = excluded.said, last = excluded.last, expires = excluded.expires",
            params![
                &canonical(&entry.address),
                &canonical(&entry.scope),
                entry.reason.name(),
                &*source,
                &*said,
                i64::from(entry.failures),
                entry.since,
                entry.last,
                entry.expires,
            ],
        )?;
    }
    Ok(count)
}

/// Takes an address back, in one scope or in all. Says how many entries went.
pub fn remove(tx: &mut WriteTx, address: &str, scope: Option<&str>) -> Result<u64> {
    let scope = scope.map(canonical);
    Ok(tx.execute(
        "DELETE FROM suppression WHERE address = $1 AND ($2 = '' OR scope = $2)",
        params![&canonical(address), scope.as_deref().unwrap_or("")],
    )?)
}

/// All that is known of an address, counted refusals as well.
pub fn show(tx: &ReadTx, address: &str) -> Result<Vec<Entry>> {
    let sql = format!("SELECT {COLUMNS} FROM suppression WHERE address = $1 ORDER BY scope");
    Ok(tx.rows(&sql, params![&canonical(address)], read)?)
}

/// Suppressed addresses after `after` (address and scope), at most so many.
pub fn list(tx: &ReadTx, after: Option<(&str, &str)>, now: Timestamp, limit: usize) -> Result<Vec<Entry>> {
    let (address, scope) = after.unwrap_or(("", ""));
    let sql = format!(
        "SELECT {COLUMNS} FROM suppression
         WHERE (address > $1 OR (address = $1 AND scope > $2)) AND active = 1 AND (expires IS NULL OR expires > $3)
         ORDER BY address, scope LIMIT $4"
    );
    Ok(tx.rows(&sql, params![address, scope, now, i64::try_from(limit).unwrap_or(i64::MAX)], read)?)
}

/// Forgets what is over, a bounded part. Says how many.
pub fn sweep(tx: &mut WriteTx, now: Timestamp) -> Result<u64> {
    let rows = tx.rows(
        "SELECT address, scope FROM suppression {by:suppression_expires} WHERE expires <= $1 ORDER BY expires LIMIT $2",
        params![now, SWEPT_MAX],
        |row| Ok((row.text(0)?, row.text(1)?)),
    )?;
    let mut count = 0;
    for (address, scope) in &rows {
        count += tx.execute(
            "DELETE FROM suppression WHERE address = $1 AND scope = $2 AND expires <= $3",
            params![address, scope, now],
        )?;
    }
    Ok(count)
}

/// The rule of a scope: its own, that of everybody, else the usual one.
pub fn rule(tx: &ReadTx, scope: &str) -> Result<Rule> {
    let sql =
        "SELECT failures, apart, lasts FROM suppression_rule WHERE scope IN ($1, '*') ORDER BY scope DESC LIMIT 1";
    Ok(tx.row(sql, params![scope], |row| read_rule(row, 0))?.unwrap_or_default())
}

/// All rules that were set, `*` first.
pub fn rules(tx: &ReadTx) -> Result<Vec<(String, Rule)>> {
    Ok(tx.rows("SELECT scope, failures, apart, lasts FROM suppression_rule ORDER BY scope", params![], |row| {
        Ok((row.text(0)?, read_rule(row, 1)?))
    })?)
}

/// Sets the rule of a domain of senders, or of [`EVERYBODY`]; `None`: the usual one again.
pub fn set_rule(tx: &mut WriteTx, scope: &str, rule: Option<Rule>) -> Result<()> {
    tx.execute("DELETE FROM suppression_rule WHERE scope = $1", params![scope])?;
    if let Some(rule) = rule {
        tx.execute(
            "INSERT INTO suppression_rule (scope, failures, apart, lasts) VALUES ($1, $2, $3, $4)",
            params![scope, i64::from(rule.failures), seconds(rule.apart), seconds(rule.lasts)],
        )?;
    }
    Ok(())
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn read_rule(row: &Row<'_>, at: usize) -> postroad_store::Result<Rule> {
    let duration = |value: i64| Duration::from_secs(value.unsigned_abs());
    Ok(Rule {
        failures: u32::try_from(row.int(at)?).unwrap_or(u32::MAX),
        apart: duration(row.int(at + 1)?),
        lasts: duration(row.int(at + 2)?),
    })
}

fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

fn read(row: &Row<'_>) -> postroad_store::Result<Entry> {
    Ok(Entry {
        address: row.text(0)?,
        scope: row.text(1)?,
        active: row.bool(2)?,
        // What a later version wrote is somebody's decision all the same.
        reason: Reason::from_name(&row.text(3)?).unwrap_or(Reason::Manual),
        source: row.text(4)?,
        said: row.text(5)?,
        failures: u32::try_from(row.int(6)?).unwrap_or(u32::MAX),
        since: row.id(7)?,
        last: row.id(8)?,
        expires: row.int_or_null(9)?.map(Timestamp),
    })
}

const COLUMNS: &str = "address, scope, active, reason, source, said, failures, since, last, expires";
/// Who is never suppressed.
const ROLES: [&str; 2] = ["postmaster", "abuse"];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A counted refusal means nothing after so long.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 24 * 60 * 60);
/// For how long a complaint holds.
const COMPLAINT_LASTS: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Entries forgotten at a time.
const SWEPT_MAX: i64 = 1000;
