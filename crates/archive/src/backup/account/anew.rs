//! An account that is gone is made again, as it was.
//!
//! In the order that survives a crash anywhere: an account that nobody can reach; the bytes of its mail, which are
//! referred to by nobody yet and kept by a pin; its rows, each batch with its references; at last its addresses and its
//! state, in one transaction. What a crash leaves is removed in the background, by the next try or by the sweeper.

use std::collections::{HashMap, HashSet};

use postroad_mail::accounts::DIRECTORY_LOCK;
use postroad_mail::restored::{self, Renewal};
use postroad_mail::{Actor, Address, By};
use postroad_store::dump::{self, BlobRow, Body, LoadedBlob, Pin, StoredBlob, Table, Value};
use postroad_store::{AccountId, BlobId, Locks, new_id};

use super::super::packs::{Packs, Wanted};
use super::super::{Error, Progress, Result, find, whole};
use super::{AccountPlan, AccountRestored, Source};

pub(super) fn anew(plan: &AccountPlan<'_>, source: &Source<'_>, target: &Address) -> Result<AccountRestored> {
    let now = (plan.clock)();
    let by = By::new(now, Actor::Admin);
    let pin = Pin::new(plan.store, now)?;
    let mut renewal = Renewal::new(now);
    let mut row = source.row.clone();
    renewal.reshape(source.table, &mut row)?;
    let (address, table) = (target.clone(), source.table.clone());
    let begun = plan.store.write_blocking(Locks::named(DIRECTORY_LOCK), move |tx| {
        restored::begin(tx, &address, &table, &row).map_err(Error::from)
    });
    let id = begun.map_err(|error| no_domain(error, target))?.value;
    let mut work = Anew {
        plan,
        source,
        id,
        renewal,
        pin,
        blobs: HashMap::new(),
        messages: 0,
        mailboxes: 0,
        bytes: 0,
        pinned: Vec::new(),
    };
    let done = work.all().and_then(|lost| {
        // Under another name it does not take the addresses of the account that it was.
        let others = if plan.to.is_none() { source.addresses.clone() } else { Vec::new() };
        let state = source.state();
        let locks = Locks::named(DIRECTORY_LOCK).and(Locks::account(id));
        let finished = plan
            .store
            .write_blocking(locks, move |tx| restored::finish(tx, &by, id, &others, state).map_err(Error::from))?;
        Ok((lost, finished.value))
    });
    let (lost, taken) = match done {
        Ok(done) => done,
        Err(error) => {
            // If this fails as well, the next try does it.
            let _ =
                plan.store.write_blocking(Locks::account(id), move |tx| restored::discard(tx, id).map_err(Error::from));
            return Err(error);
        }
    };
    let refused = taken.iter().map(|other| format!("the address {other} belongs to somebody else now"));
    let pins = work.pinned.iter().map(|name| format!("the {name} opens somebody else's account now"));
    Ok(AccountRestored {
        backup: source.manifest.id.clone(),
        taken: source.manifest.taken(),
        made: true,
        mailboxes: work.mailboxes,
        messages: work.messages,
        present: 0,
        bytes: work.bytes,
        // As it was in the backup.
        over_quota: false,
        lost,
        refused: refused.chain(pins).collect(),
    })
}

fn no_domain(error: Error, target: &Address) -> Error {
    match error {
        Error::Mail(postroad_mail::Error::NotFound(_)) => Error::User(format!(
            "{} is not a domain of this server; add it with `postroad domain add`",
            target.domain().as_str()
        )),
        Error::Mail(postroad_mail::Error::Exists(_)) => {
            Error::User(format!("{target} is no account but another kind of address here; remove that first"))
        }
        other => other,
    }
}

struct Anew<'a> {
    plan: &'a AccountPlan<'a>,
    source: &'a Source<'a>,
    id: AccountId,
    renewal: Renewal,
    pin: Pin,
    /// What the blobs of the backup are called here.
    blobs: HashMap<i64, i64>,
    messages: u64,
    mailboxes: u64,
    bytes: u64,
    /// Certificates that are somebody else's now.
    pinned: Vec<String>,
}

impl Anew<'_> {
    fn all(&mut self) -> Result<Vec<super::Damaged>> {
        let ids: HashSet<i64> = self.source.blobs()?.into_values().collect();
        let mut rows = self.source.blob_rows(&ids)?;
        // What the backup says nothing of is lost, and stands for itself: as it is numbered here, it could be somebody else's.
        let known: HashSet<i64> = rows.iter().map(|row| row.id.0).collect();
        rows.extend(ids.iter().filter(|id| !known.contains(id)).map(|id| nothing(BlobId(*id))));
        let lost = self.load_blobs(rows)?;
        let of_accounts = |table: &&Table| {
            let first = table.key.first().and_then(|place| table.columns.get(*place));
            first.is_some_and(|column| column.name == "account")
                && table.columns[0].name == "account"
                && !OF_THE_NUMBER.contains(&table.name.as_str())
        };
        let mut tables: Vec<&Table> = self.source.rows.tables.iter().filter(of_accounts).collect();
        // The sweeper looks there for what is old, and must find all of it.
        tables.sort_by_key(|table| table.name == "expunged");
        for table in tables {
            self.load_rows(&table.name)?;
        }
        find::concerned(self.plan.folder, self.source.manifest, self.source.rows.tables, &lost).map(|mut lost| {
            lost.retain(|one| self.source.text("address") == Some(one.account.as_str()));
            lost
        })
    }

    /// Brings the bytes in, without references; answers with those that are lost, which get rows without bytes.
    fn load_blobs(&mut self, rows: Vec<BlobRow>) -> Result<Vec<BlobId>> {
        let mut wanted = Wanted::default();
        let mut old: HashMap<i64, i64> = HashMap::new();
        let total = rows.len() as u64;
        for batch in rows.chunks(BATCH) {
            let ids: Vec<BlobId> = batch.iter().map(|row| row.id).collect();
            let here = self.plan.store.read_blocking(move |tx| tx.blob_hashes(&ids).map_err(Error::from))?;
            let here: HashMap<i64, (bool, Vec<u8>)> =
                here.into_iter().map(|(id, in_row, hash)| (id.0, (in_row, hash))).collect();
            for row in batch {
                let same = here.get(&row.id.0).is_some_and(|(in_row, hash)| *in_row == row.in_row && *hash == row.hash);
                self.bytes += row.size;
                if same {
                    self.blobs.insert(row.id.0, row.id.0);
                } else {
                    let id = BlobId(new_id());
                    old.insert(id.0, row.id.0);
                    wanted.add(BlobRow { id, name: None, ..row.clone() });
                }
            }
        }
        let packs = Packs::open(self.plan.folder)?;
        for pack in &packs.readers {
            let (mut batch, mut weight) = (Vec::new(), 0);
            for entry in pack.entries() {
                let Some(rows) = wanted.take(&entry.key) else { continue };
                match whole::bodies(self.plan.store, pack, entry, &rows) {
                    Ok(bodies) => {
                        weight += bodies.iter().map(|blob| blob.row.stored_size).sum::<u64>();
                        batch.extend(bodies.into_iter().map(|blob| LoadedBlob { blob, refs: 0 }));
                    }
                    Err(Error::Damaged(_)) => wanted.put_back(entry.key, rows),
                    Err(error) => return Err(error),
                }
                if weight >= BATCH_BYTES || batch.len() >= BATCH {
                    self.put(std::mem::take(&mut batch), &old, total)?;
                    weight = 0;
                }
            }
            self.put(batch, &old, total)?;
        }
        let rest = wanted.rest();
        let lost = rest.iter().filter_map(|row| old.get(&row.id.0)).map(|id| BlobId(*id)).collect();
        let empty = rest.into_iter().map(|row| LoadedBlob { blob: StoredBlob { row, body: Body::Lost }, refs: 0 });
        self.put(empty.collect(), &old, total)?;
        Ok(lost)
    }

    fn put(&mut self, batch: Vec<LoadedBlob>, old: &HashMap<i64, i64>, total: u64) -> Result<()> {
        self.pin.renew((self.plan.clock)())?;
        for LoadedBlob { blob, .. } in &batch {
            if let Some(id) = old.get(&blob.row.id.0) {
                self.blobs.insert(*id, blob.row.id.0);
            }
        }
        self.plan.store.write_blocking(Locks::none(), move |tx| dump::load_blobs(tx, &batch).map_err(Error::from))?;
        (self.plan.tell)(Progress { stage: "blobs", done: self.blobs.len() as u64, total, bytes: self.bytes });
        Ok(())
    }

    fn load_rows(&mut self, name: &str) -> Result<()> {
        let (source, mut batch, mut weight) = (self.source, Vec::new(), 0);
        let mut table = None;
        source.each(name, |of, mut row| {
            table = Some(of.clone());
            self.renewal.reshape(of, &mut row)?;
            weight += row.iter().map(Value::weight).sum::<usize>();
            batch.push(row);
            if batch.len() >= BATCH || weight >= BATCH_BYTES as usize {
                weight = 0;
                self.add(of, std::mem::take(&mut batch))?;
            }
            Ok(true)
        })?;
        table.map_or(Ok(()), |table| self.add(&table, batch))
    }

    fn add(&mut self, table: &Table, mut rows: Vec<Vec<Value>>) -> Result<()> {
        self.pin.renew((self.plan.clock)())?;
        let blob = table.column("blob");
        let mut references = Vec::new();
        for row in &mut rows {
            row[0] = Value::Int(self.id.0);
            if let Some(place) = blob
                && let Some(id) = row[place].int()
            {
                // Only what was brought in for this account is referred to.
                let Some(here) = self.blobs.get(&id) else {
                    return Err(Error::Damaged(format!("the table {} names a message of nobody", table.name)));
                };
                row[place] = Value::Int(*here);
                references.push(BlobId(*here));
            }
        }
        match table.name.as_str() {
            "mailbox" => self.mailboxes += rows.len() as u64,
            "message" => self.messages += rows.len() as u64,
            _ => {}
        }
        let (mut table, id) = (table.clone(), self.id);
        let written = self.plan.store.write_blocking(Locks::account(self.id), move |tx| {
            tx.blob_retain_all(&references)?;
            let pinned = restored::without_taken(tx, &table, &mut rows)?;
            restored::into_pages(tx, id, &mut table, &mut rows)?;
            dump::load(tx, &table, &rows)?;
            Ok::<_, Error>(pinned)
        })?;
        self.pinned.extend(written.value);
        (self.plan.tell)(Progress { stage: "rows", done: self.messages, total: 0, bytes: self.bytes });
        Ok(())
    }
}

/// In the place of a row that the backup does not have: no bytes have its hash.
fn nothing(id: BlobId) -> BlobRow {
    BlobRow { id, size: 0, stored_size: 0, encoding: 0, in_row: true, hash: [0; 32], name: None }
}

/// What is sealed for, or handed out with, the number that the account had, and opens nothing under another: the keys of NTLM and of
/// digests are made when the password is next seen, programs and browsers are let in anew. And the delegates of an account are numbers, too,
/// which elsewhere may be somebody else's.
const OF_THE_NUMBER: [&str; 7] =
    ["digest_key", "login_delegate", "ntlm_key", "oauth_access", "oauth_code", "oauth_grant", "web_session"];
/// Rows, and bytes, in one transaction: others wait no longer than that.
const BATCH: usize = 500;
const BATCH_BYTES: u64 = 2 << 20;
