//! One account from a backup into a server that may be running.
//!
//! Two cases. The account is gone: it is made again as it was ([`anew`]), with its credentials, uids, flags and
//! journal, and new uidvalidities. It is there: what it lacks is added ([`merge`]), with new uids, as any mail that comes
//! in; what it has stays as it is, also flags that were changed since. No other account is touched.

mod anew;
mod merge;

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use postroad_mail::accounts::State;
use postroad_mail::{Address, MailboxName, accounts};
use postroad_store::dump::{self, BlobRow, Table, Value};
use postroad_store::{Migration, Store, Timestamp};

use super::find::{Asked, Rows};
use super::make::{BLOBS, blob_row, blob_table, rows_file};
use super::rows::{Readable, RowsReader};
use super::{Damaged, Error, Folder, Manifest, Result, Tell};

/// Whose mail is restored, and where to.
pub struct AccountPlan<'a> {
    /// The store, up to date.
    pub store: &'a Store,
    /// All steps that this program knows.
    pub migrations: &'a [Migration],
    /// The folder, locked.
    pub folder: &'a Folder,
    /// Which backup; the newest without.
    pub backup: Option<&'a str>,
    /// An address of the account in the backup.
    pub address: &'a Address,
    /// The account that gets the mail; the same address without.
    pub to: Option<&'a Address>,
    /// The mailboxes come back below this one.
    pub into: Option<&'a MailboxName>,
    /// The shell's clock.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Who is told.
    pub tell: Tell,
}

/// What a restore did.
#[derive(Debug, Clone)]
pub struct AccountRestored {
    /// The backup.
    pub backup: String,
    /// The moment that it shows.
    pub taken: Timestamp,
    /// The account was gone and is there again.
    pub made: bool,
    /// Mailboxes that were made.
    pub mailboxes: u64,
    /// Messages that came back.
    pub messages: u64,
    /// Messages that were there already.
    pub present: u64,
    /// Plain bytes of what came back.
    pub bytes: u64,
    /// The account holds more than its quota now, so it takes no new mail.
    pub over_quota: bool,
    /// Messages whose bytes are lost.
    pub lost: Vec<Damaged>,
    /// What could not come back, in sentences.
    pub refused: Vec<String>,
}

/// Restores an account. Blocks.
///
/// Errors: `User` when the backup has no such account, or its domain is not one of the server's.
pub fn account(plan: &AccountPlan<'_>) -> Result<AccountRestored> {
    let manifest = plan.folder.manifest(plan.backup)?;
    let steps = dump::as_recorded(plan.migrations, &manifest.versions()).map_err(|error| match error {
        postroad_store::Error::Schema(text) => Error::Newer(text),
        other => Error::Store(other),
    })?;
    let tables = dump::tables(&steps)?;
    let mut source = Source::find(plan, &manifest, &tables)?;
    let target = plan.to.unwrap_or(plan.address).clone();
    let wanted = target.clone();
    let existing = plan.store.read_blocking(move |tx| accounts::find(tx, &wanted).map_err(Error::from))?;
    match existing {
        Some(account) => {
            source.with_gaps = true;
            merge::merge(plan, &source, &account)
        }
        None if plan.into.is_some() => Err(Error::User(format!(
            "there is no account {target} that mail could be put into; without --into it is made again as it was"
        ))),
        None => anew::anew(plan, &source, &target).map_err(|error| match error {
            Error::Damaged(what) => Error::Damaged(format!(
                "{what}; what can be read of the mail comes back when the account is made with `postroad account add \
                 {target}` and the same is run again"
            )),
            other => other,
        }),
    }
}

/// The account in the backup.
struct Source<'a> {
    manifest: &'a Manifest,
    rows: Rows<'a>,
    id: i64,
    table: &'a Table,
    /// Its row.
    row: Vec<Value>,
    /// Its addresses.
    addresses: Vec<Address>,
    /// Rows that cannot be read are named in `missing`, and no error.
    with_gaps: bool,
    missing: RefCell<Vec<String>>,
}

impl<'a> Source<'a> {
    fn find(plan: &AccountPlan<'_>, manifest: &'a Manifest, tables: &'a [Table]) -> Result<Source<'a>> {
        let rows = Rows { backup: plan.folder.backups().join(&manifest.id), tables };
        let mut domain = plan.address.domain().as_str().to_owned();
        let damaged = rows.each("domain_alias", &[], |row| {
            if row.text("alias") == Some(plan.address.domain().as_str()) {
                domain = row.text("domain").unwrap_or(&domain).to_owned();
            }
        })?;
        let (mut owner, mut addresses) = (None, Vec::new());
        let in_addresses = rows.each("address", &["account"], |row| {
            let account = row.numbers[0].filter(|_| row.text("kind") == Some("account"));
            let key = (row.text("domain"), row.text("local"));
            if key == (Some(domain.as_str()), Some(plan.address.key().as_str())) {
                owner = account.or(owner);
            }
            addresses.extend(account.and_then(|account| Some((account, shown_address(&row)?))));
        })?;
        // What is damaged elsewhere does not matter once the account is found.
        let id = owner.ok_or_else(|| {
            let none = Error::User(format!("the backup {} has no account {}", manifest.id, plan.address));
            damaged.or(in_addresses).unwrap_or(none)
        })?;
        let addresses = addresses.into_iter().filter(|(account, _)| *account == id).map(|(_, address)| address);
        let mut found = None;
        let damaged = rows.each("account", &["id"], |row| {
            if row.numbers[0] == Some(id) {
                found = Some(row.values);
            }
        })?;
        let missing = || Error::Damaged(format!("the backup {} has no row of the account {id}", manifest.id));
        let row = found.ok_or_else(|| damaged.unwrap_or_else(missing))?;
        let (table, addresses) = (rows.table("account").ok_or_else(missing)?, addresses.collect());
        Ok(Source { manifest, rows, id, table, row, addresses, with_gaps: false, missing: RefCell::default() })
    }

    /// What is said of the account itself.
    fn text(&self, column: &str) -> Option<&str> {
        self.row.get(self.table.column(column)?)?.text()
    }

    /// Its state in the backup; whoever was suspended comes back suspended.
    fn state(&self) -> State {
        if self.text("state") == Some("active") { State::Active } else { State::Suspended }
    }

    /// Shows the account's rows of a table that begins with the account, until `false`. Rows are in the order of the
    /// key, so what follows them is not read, and what is damaged among those of others does not matter.
    fn each(&self, table: &str, mut row: impl FnMut(&Table, Vec<Value>) -> Result<bool>) -> Result<()> {
        let Some(table) = self.rows.table(table) else { return Ok(()) };
        let reader = RowsReader::open(&rows_file(&self.rows.backup, &table.name), table)?;
        let (mut before, mut gap): (Option<i64>, Option<Error>) = (None, None);
        reader.each_readable(|seen| {
            let values = match seen {
                Readable::Row(values) => values,
                Readable::Gap(error) => {
                    gap = gap.take().or(Some(error));
                    return Ok(true);
                }
            };
            let Some(account) = values.first().and_then(Value::int) else { return Ok(false) };
            if let Some(error) = gap.take().filter(|_| account >= self.id) {
                self.missing(before, error)?;
            }
            before = Some(account);
            match account.cmp(&self.id) {
                Ordering::Less => Ok(true),
                Ordering::Equal => row(table, values),
                Ordering::Greater => Ok(false),
            }
        })?;
        gap.map_or(Ok(()), |error| self.missing(before, error))
    }

    /// Rows are missing behind those of the account `before`: they may have been of this one.
    fn missing(&self, before: Option<i64>, error: Error) -> Result<()> {
        if before.is_some_and(|before| before > self.id) {
            return Ok(());
        }
        if !self.with_gaps {
            return Err(error);
        }
        let what = format!("{error}; what cannot be read of the account's mail is missing");
        let mut missing = self.missing.borrow_mut();
        if !missing.contains(&what) {
            missing.push(what);
        }
        Ok(())
    }

    /// The account's messages: blob by message.
    fn blobs(&self) -> Result<HashMap<i64, i64>> {
        let mut blobs = HashMap::new();
        self.each("message", |table, row| {
            let number = |name: &str| row.get(table.column(name)?)?.int();
            if let (Some(id), Some(blob)) = (number("id"), number("blob")) {
                blobs.insert(id, blob);
            }
            Ok(true)
        })?;
        Ok(blobs)
    }

    /// The rows of these blobs. Of those that are damaged the bytes are lost, whether they are there or not.
    fn blob_rows(&self, ids: &HashSet<i64>) -> Result<Vec<BlobRow>> {
        let path = rows_file(&self.rows.backup, BLOBS);
        let mut rows = Vec::with_capacity(ids.len());
        RowsReader::open(&path, &blob_table())?.each_readable(|seen| {
            let Readable::Row(values) = seen else { return Ok(true) };
            let row = blob_row(&values).ok_or_else(|| Error::damaged(&path, "a row cannot be read"))?;
            if ids.contains(&row.id.0) {
                rows.push(row);
            }
            Ok(true)
        })?;
        Ok(rows)
    }
}

fn shown_address(row: &Asked<'_>) -> Option<Address> {
    Address::new(row.text("shown")?, row.text("domain")?).ok()
}
