//! What a backup's rows become when they come back: the rules of meaning that a restore must keep.
//!
//! A backup is of a moment. After it, clients saw uids and modseqs that the restored account does not know and will
//! give again, to other messages. RFC 9051 §2.3.1.1: where uids cannot be kept unique, the uidvalidity must change. So
//! every mailbox comes back with a new uidvalidity, above all that the account ever gave, and the messages keep their
//! uids and everything else.

use std::collections::HashMap;

use postroad_store::dump::{Table, Value};
use postroad_store::{AccountId, ModSeq, ReadTx, Timestamp, WriteTx, params};

use crate::accounts::{self, State};
use crate::journal::{self, Note, Operation};
use crate::view::Glance;
use crate::{Address, By, Error, Flags, MailboxId, Result, What, addresses, credentials, domains, pages};

/// Gives mailboxes new uidvalidities on the way in. Rows of `account` come before those of `mailbox`.
#[derive(Debug, Clone)]
pub struct Renewal {
    seconds: i64,
    bases: HashMap<i64, i64>,
}

impl Renewal {
    /// At this moment.
    pub fn new(now: Timestamp) -> Renewal {
        Renewal { seconds: (now.0 / 1_000_000).clamp(0, i64::from(u32::MAX) / 2), bases: HashMap::new() }
    }

    /// Changes a row of `account` or `mailbox`; any other stays. Errors: `Corrupt` for a row that cannot be ours.
    pub fn reshape(&mut self, table: &Table, row: &mut [Value]) -> Result<()> {
        let bad = || Error::Corrupt(format!("a row of {} has no numbers where they belong", table.name));
        let place = |name: &str| table.column(name).filter(|place| *place < row.len()).ok_or_else(bad);
        match table.name.as_str() {
            "account" => {
                let (id, next, last) = (place("id")?, place("next_mailbox")?, place("last_uidvalidity")?);
                let number = |at: usize| row[at].int().ok_or_else(bad);
                let base = number(last)?.max(self.seconds);
                self.bases.insert(number(id)?, base);
                row[last] = Value::Int(base.checked_add(number(next)?).ok_or_else(bad)?);
            }
            "mailbox" => {
                let (account, id, uidvalidity) = (place("account")?, place("id")?, place("uidvalidity")?);
                let number = |at: usize| row[at].int().ok_or_else(bad);
                let base = self.bases.get(&number(account)?).ok_or_else(bad)?;
                row[uidvalidity] = Value::Int(base.checked_add(number(id)?).ok_or_else(bad)?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Makes the account that a backup's rows will be loaded for: nobody can reach it yet, for it has no address and is
/// suspended. `row` is its row in the backup. Answers with its new number. Locks: [`accounts::DIRECTORY_LOCK`].
///
/// One that an earlier try left is removed in the background.
pub fn begin(tx: &mut WriteTx, address: &Address, table: &Table, row: &[Value]) -> Result<AccountId> {
    let domain = domains::ours(tx, address.domain())?.ok_or(Error::NotFound(What::Domain))?;
    if addresses::find(tx, address)?.is_some() {
        return Err(Error::Exists(What::Address));
    }
    let left = tx.rows(
        "SELECT a.id FROM account AS a WHERE a.address = $1 AND a.state = 'suspended'
         AND NOT EXISTS (SELECT 1 FROM address AS d WHERE d.account = a.id)",
        params![&address.to_string()],
        |row| row.id::<AccountId>(0),
    )?;
    for one in left {
        discard(tx, one)?;
    }
    let missing = || Error::Corrupt("the backup's row of the account".into());
    let value = |name: &str| table.column(name).and_then(|place| row.get(place)).ok_or_else(missing);
    let number = |name: &str| value(name).and_then(|value| value.int().ok_or_else(missing));
    let shown = Address::new(address.local(), domain.as_str()).map_err(Error::AddressInvalid)?;
    let id = tx.returning(
        "INSERT INTO account (address, display_name, state, quota_bytes, quota_messages, used_bytes,
                              used_messages, modseq, next_mailbox, last_uidvalidity, created)
         VALUES ($1, $2, 'suspended', $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
        params![
            &shown.to_string(),
            value("display_name")?.text().ok_or_else(missing)?,
            number("quota_bytes")?,
            number("quota_messages")?,
            number("used_bytes")?,
            number("used_messages")?,
            number("modseq")?,
            number("next_mailbox")?,
            number("last_uidvalidity")?,
            number("created")?,
        ],
        |row| row.id(0),
    )?;
    id.into_iter().next().ok_or(Error::NotFound(What::Account))
}

/// Takes what opens somebody else's account meanwhile out of rows to be loaded: certificates, principals of Kerberos. Answers with
/// what they are called. Rows of other tables stay.
pub fn without_taken(tx: &ReadTx, table: &Table, rows: &mut Vec<Vec<Value>>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let (word, key) = match table.name.as_str() {
        "login_certificate" => ("certificate", "fingerprint"),
        "login_principal" => ("principal", "name"),
        _ => return Ok(names),
    };
    let (Some(key), Some(name)) = (table.column(key), table.column("name")) else {
        return Ok(names);
    };
    for row in std::mem::take(rows) {
        let taken = match row.get(key) {
            Some(Value::Bytes(fingerprint)) => credentials::is_pinned(tx, fingerprint)?,
            Some(Value::Text(name)) => credentials::is_named(tx, name)?,
            Some(_) | None => return Err(Error::Corrupt(format!("a row of {} names nothing", table.name))),
        };
        match taken {
            true => names.extend(row.get(name).and_then(Value::text).map(|name| format!("{word} {name}"))),
            false => rows.push(row),
        }
    }
    Ok(names)
}

/// Entries as backups had them before there were pages (version 7 of the schema): what lies in pages now goes there, and out of the
/// rows. They come in the order of their key. One statement for each mailbox.
pub fn into_pages(tx: &mut WriteTx, id: AccountId, table: &mut Table, rows: &mut [Vec<Value>]) -> Result<()> {
    const MOVED: [&str; 3] = ["flags", "keywords", "modseq"];
    if table.name != "entry" || table.column("flags").is_none() {
        return Ok(());
    }
    let bad = || Error::Corrupt("a row of entry without what every entry has".into());
    let place = |name: &str| table.column(name).ok_or_else(bad);
    let (mailbox, uid, flags, keywords, modseq, size) =
        (place("mailbox")?, place("uid")?, place("flags")?, place("keywords")?, place("modseq")?, place("size")?);
    let number = |row: &[Value], at: usize| row.get(at).and_then(Value::int).ok_or_else(bad);
    for alike in rows.chunk_by(|a, b| a.get(mailbox) == b.get(mailbox)) {
        let entries = alike.iter().map(|row| {
            Ok(Glance {
                uid: u32::try_from(number(row, uid)?).map_err(|_| bad())?,
                flags: Flags::from_bits(number(row, flags)?),
                keywords: row.get(keywords).and_then(Value::text).ok_or_else(bad)?,
                modseq: ModSeq(number(row, modseq)?),
                size: u64::try_from(number(row, size)?).map_err(|_| bad())?,
            })
        });
        let entries = entries.collect::<Result<Vec<_>>>()?;
        let first = alike.first().ok_or_else(bad)?;
        pages::append(tx, (id, MailboxId(number(first, mailbox)?)), entries.into_iter())?;
    }
    let kept: Vec<bool> = table.columns.iter().map(|column| !MOVED.contains(&column.name.as_str())).collect();
    for row in rows {
        let mut kept = kept.iter();
        row.retain(|_| kept.next().copied().unwrap_or(true));
    }
    table.columns.retain(|column| !MOVED.contains(&column.name.as_str()));
    Ok(())
}

/// Its rows are loaded: gives it its address and those of `others` that are free, and the state that it had. One
/// operation of the account. Locks: the account's and [`accounts::DIRECTORY_LOCK`].
///
/// Answers with the addresses that somebody else has now.
pub fn finish(tx: &mut WriteTx, by: &By, id: AccountId, others: &[Address], state: State) -> Result<Vec<Address>> {
    let account = accounts::existing(tx, id)?;
    addresses::insert(tx, &account.address, "account", Some(id))?;
    let mut taken = Vec::new();
    for other in others.iter().filter(|other| **other != account.address) {
        let ours = domains::ours(tx, other.domain())?.is_some();
        if ours && addresses::find(tx, other)?.is_none() {
            addresses::insert(tx, other, "account", Some(id))?;
        } else {
            taken.push(other.clone());
        }
    }
    let modseq = journal::begin(tx, id)?;
    tx.execute("UPDATE account SET state = $2 WHERE id = $1", params![id, state.name()])?;
    journal::end(tx, by, id, modseq, &Note { before: b"restored\n", ..Note::plain(Operation::Account) })?;
    Ok(taken)
}

/// Gives an account up that was begun: it is removed in the background. Locks: the account's.
pub fn discard(tx: &mut WriteTx, id: AccountId) -> Result<()> {
    // Its journal may have only begun to come back, so no operation can be added to it: it goes as it is.
    tx.execute("UPDATE account SET state = 'deleted' WHERE id = $1 AND state = 'suspended'", params![id])?;
    tx.execute("DELETE FROM credential WHERE account = $1", params![id])?;
    crate::credentials::prune_keys(tx, id)?;
    crate::credentials::forget_certificates(tx, id)?;
    crate::credentials::forget_principals(tx, id)?;
    crate::credentials::forget_ntlm(tx, id)?;
    crate::credentials::forget_digests(tx, id)?;
    crate::credentials::forget_delegates(tx, id)?;
    Ok(())
}
