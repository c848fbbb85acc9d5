//! Whose messages are concerned when bytes are damaged: from blobs to accounts, mailboxes and uids, by a backup's rows.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use postroad_store::BlobId;
use postroad_store::dump::{Table, Value};

use super::make::rows_file;
use super::rows::{Readable, RowsReader};
use super::{Error, Folder, Manifest, Result};

/// A message that is damaged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damaged {
    /// Whose: an address, or `the queue`.
    pub account: String,
    /// In which mailbox; `deleted mail` for what can be brought back.
    pub mailbox: String,
    /// Its uid there.
    pub uid: i64,
    /// The blob.
    pub blob: String,
}

/// The messages that need these blobs. Reads the rows of messages, entries and mailboxes; what is damaged of these is
/// left out.
pub(super) fn concerned(
    folder: &Folder,
    manifest: &Manifest,
    tables: &[Table],
    blobs: &[BlobId],
) -> Result<Vec<Damaged>> {
    if blobs.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Rows { backup: folder.backups().join(&manifest.id), tables };
    let blobs: HashSet<i64> = blobs.iter().map(|blob| blob.0).collect();
    let mut found = Vec::new();
    let mut messages: HashMap<(i64, i64), i64> = HashMap::new();
    rows.each("message", &["account", "id", "blob"], |row| {
        if let [Some(account), Some(id), Some(blob)] = row.numbers[..]
            && blobs.contains(&blob)
        {
            messages.insert((account, id), blob);
        }
    })?;
    rows.each("queue_message", &["id", "blob"], |row| {
        if let [Some(id), Some(blob)] = row.numbers[..]
            && blobs.contains(&blob)
        {
            let blob = BlobId(blob).to_string();
            found.push(Damaged { account: "the queue".into(), mailbox: "-".into(), uid: id, blob });
        }
    })?;
    let accounts = rows.names("account", &["id"], "address")?;
    let mailboxes = rows.names("mailbox", &["account", "id"], "name")?;
    for (table, deleted) in [("entry", false), ("expunged", true)] {
        rows.each(table, &["account", "mailbox", "uid", "message"], |row| {
            let [Some(account), Some(mailbox), Some(uid), Some(message)] = row.numbers[..] else { return };
            let Some(blob) = messages.get(&(account, message)) else { return };
            let name = mailboxes.get(&vec![account, mailbox]).cloned().unwrap_or_else(|| mailbox.to_string());
            found.push(Damaged {
                account: accounts.get(&vec![account]).cloned().unwrap_or_else(|| account.to_string()),
                mailbox: if deleted { format!("deleted mail of {name}") } else { name },
                uid,
                blob: BlobId(*blob).to_string(),
            });
        })?;
    }
    found.sort_unstable();
    Ok(found)
}

/// The rows of a backup by table and column.
pub(super) struct Rows<'a> {
    pub(super) backup: PathBuf,
    pub(super) tables: &'a [Table],
}

/// A row and those of its columns that were asked for.
pub(super) struct Asked<'a> {
    pub(super) numbers: Vec<Option<i64>>,
    pub(super) table: &'a Table,
    pub(super) values: Vec<Value>,
}

impl Asked<'_> {
    pub(super) fn text(&self, column: &str) -> Option<&str> {
        self.values.get(self.table.column(column)?)?.text()
    }
}

impl<'a> Rows<'a> {
    pub(super) fn table(&self, name: &str) -> Option<&'a Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Each row of a table that can be read, and what is damaged of it; none when the backup is too old to have it.
    pub(super) fn each(&self, name: &str, columns: &[&str], mut row: impl FnMut(Asked<'_>)) -> Result<Option<Error>> {
        let Some(table) = self.table(name) else { return Ok(None) };
        let places: Vec<Option<usize>> = columns.iter().map(|column| table.column(column)).collect();
        let reader = RowsReader::open(&rows_file(&self.backup, name), table)?;
        let mut damaged = None;
        reader.each_readable(|seen| {
            match seen {
                Readable::Row(values) => {
                    let numbers = places.iter().map(|place| values.get((*place)?)?.int()).collect();
                    row(Asked { numbers, table, values });
                }
                Readable::Gap(error) => damaged = Some(error),
            }
            Ok(true)
        })?;
        Ok(damaged)
    }

    fn names(&self, name: &str, key: &[&str], column: &str) -> Result<HashMap<Vec<i64>, String>> {
        let mut names = HashMap::new();
        self.each(name, key, |row| {
            let key: Option<Vec<i64>> = row.numbers.iter().copied().collect();
            if let (Some(key), Some(text)) = (key, row.text(column)) {
                names.insert(key, text.to_owned());
            }
        })?;
        Ok(names)
    }
}
