//! An account that is there gets what it lacks: mail that a mailbox of the backup had and that the mailbox of the same
//! name has not.
//!
//! What is the same is decided by content, as often as it is there: a message that a mailbox had twice is there twice
//! afterwards, and a second restore adds nothing. What comes back is filed as any mail is: new uids above all that the
//! mailbox ever gave, so the uidvalidity stays, and clients see it as new mail with its old flags and date.

use std::collections::{HashMap, HashSet};

use postroad_mail::accounts::{self, Account};
use postroad_mail::imports::{self, Incoming, Source as Origin};
use postroad_mail::metadata::{self, Kept};
use postroad_mail::view::{self, Query, Want};
use postroad_mail::{
    Actor, By, Filing, Flags, Intake, Keyword, Mailbox, MailboxId, MailboxName, Role, UidSet, mailboxes,
};
use postroad_message::Limits;
use postroad_store::dump::{self, BlobRow, Value};
use postroad_store::{BlobId, Locks, Timestamp};

use super::super::pack::{Entry, Key};
use super::super::packs::Packs;
use super::super::{Damaged, Error, Progress, Result, find};
use super::{AccountPlan, AccountRestored, Source};

pub(super) fn merge(plan: &AccountPlan<'_>, source: &Source<'_>, account: &Account) -> Result<AccountRestored> {
    let now = (plan.clock)();
    let blobs = source.blobs()?;
    let ids: HashSet<i64> = blobs.values().copied().collect();
    let rows: HashMap<i64, BlobRow> = source.blob_rows(&ids)?.into_iter().map(|row| (row.id.0, row)).collect();
    let mut work = Merge {
        plan,
        account,
        by: By::new(now, Actor::Admin),
        bytes: Bytes::open(plan, rows)?,
        crlf: with_crlf(source)?,
        blobs,
        received: received(source)?,
        done: AccountRestored {
            backup: source.manifest.id.clone(),
            taken: source.manifest.taken(),
            made: false,
            mailboxes: 0,
            messages: 0,
            present: 0,
            bytes: 0,
            over_quota: false,
            lost: Vec::new(),
            refused: Vec::new(),
        },
        lost: HashSet::new(),
    };
    work.all(source)?;
    let lost: Vec<BlobId> = work.lost.iter().map(|id| BlobId(*id)).collect();
    let mut done = work.done;
    done.lost = find::concerned(plan.folder, source.manifest, source.rows.tables, &lost)?;
    let own = |one: &Damaged| source.text("address") == Some(one.account.as_str());
    done.lost.retain(own);
    done.refused.append(&mut source.missing.take());
    let id = account.id;
    let now = plan.store.read_blocking(move |tx| accounts::by_id(tx, id))?;
    done.over_quota = done.messages > 0 && now.is_some_and(|account| is_over_quota(&account));
    Ok(done)
}

fn is_over_quota(account: &Account) -> bool {
    let over = |used: u64, quota: u64| quota > 0 && used > quota;
    over(account.used_bytes, account.quota_bytes) || over(account.used_messages, account.quota_messages)
}

/// An entry of the backup.
struct Old {
    message: i64,
    flags: i64,
    keywords: String,
}

struct Merge<'a> {
    plan: &'a AccountPlan<'a>,
    account: &'a Account,
    by: By,
    bytes: Bytes,
    /// Messages whose lines ended with CRLF in the files that they were imported from.
    crlf: HashSet<i64>,
    /// Blobs by message.
    blobs: HashMap<i64, i64>,
    received: HashMap<i64, i64>,
    done: AccountRestored,
    lost: HashSet<i64>,
}

impl Merge<'_> {
    fn all(&mut self, source: &Source<'_>) -> Result<()> {
        let mut subscribed = HashSet::new();
        source.each("subscription", |table, row| {
            let name = table.column("name").and_then(|place| row[place].text());
            subscribed.extend(name.map(str::to_owned));
            Ok(true)
        })?;
        let mut boxes: Vec<(i64, String, Option<Role>)> = Vec::new();
        source.each("mailbox", |table, row| {
            let at = |name: &str| table.column(name).and_then(|place| row.get(place));
            let selectable = at("selectable").and_then(|value| value.int()) == Some(1);
            if let (true, Some(id), Some(name)) =
                (selectable, at("id").and_then(|value| value.int()), at("name").and_then(|value| value.text()))
            {
                let role = at("role").and_then(|value| value.text()).and_then(Role::from_name);
                boxes.push((id, name.to_owned(), role));
            }
            Ok(true)
        })?;
        let mut entries: HashMap<i64, Vec<Old>> = HashMap::new();
        let mut marks = marks(source)?;
        source.each("entry", |table, row| {
            let at = |name: &str| table.column(name).and_then(|place| row.get(place));
            let number = |name: &str| at(name).and_then(|value| value.int());
            if let (Some(mailbox), Some(uid), Some(message)) = (number("mailbox"), number("uid"), number("message")) {
                // Backups from before there were pages have flags in the entries.
                let (flags, keywords) = match number("flags") {
                    Some(flags) => {
                        (flags, at("keywords").and_then(|value| value.text()).unwrap_or_default().to_owned())
                    }
                    None => marks.remove(&(mailbox, uid)).unwrap_or_default(),
                };
                entries.entry(mailbox).or_default().push(Old { message, flags, keywords });
            }
            Ok(true)
        })?;
        let mut annotations = annotations(source)?;
        if self.plan.into.is_none() {
            self.annotate(None, annotations.remove(&0).unwrap_or_default())?;
        }
        for (id, name, role) in boxes {
            let target = match self.plan.into {
                Some(above) => MailboxName::parse(&format!("{above}/{name}")),
                None => MailboxName::parse(&name),
            };
            let Ok(target) = target else {
                self.done.refused.push(format!("{name} cannot be the name of a mailbox there"));
                continue;
            };
            let old = entries.remove(&id).unwrap_or_default();
            let role = role.filter(|_| self.plan.into.is_none());
            let target = self.mailbox(&target, role, subscribed.contains(&name))?;
            self.annotate(Some(target), annotations.remove(&id).unwrap_or_default())?;
            self.fill(target, old)?;
        }
        Ok(())
    }

    /// Brings back annotations that are not there; those that are stay as they are.
    fn annotate(&mut self, mailbox: Option<MailboxId>, kept: Vec<Kept>) -> Result<()> {
        if kept.is_empty() {
            return Ok(());
        }
        let (account, by) = (self.account.id, self.by.clone());
        let place = metadata::Place { account, mailbox };
        let added = self.plan.store.write_blocking(Locks::account(account), move |tx| {
            metadata::add(tx, &by, place, &kept).map(|_| ()).map_err(Error::from)
        });
        match added {
            Err(Error::Mail(postroad_mail::Error::Store(error))) => Err(Error::Store(error)),
            // There is no room for them.
            Err(Error::Mail(error)) => {
                self.done.refused.push(format!("annotations: {error}"));
                Ok(())
            }
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// The mailbox of that name, made when it is not there.
    fn mailbox(&mut self, name: &MailboxName, role: Option<Role>, subscribe: bool) -> Result<MailboxId> {
        let (id, wanted, by) = (self.account.id, name.clone(), self.by.clone());
        let stored = self.plan.store.write_blocking(Locks::account(id), move |tx| {
            if let Some(Mailbox { id: found, selectable: true, .. }) = mailboxes::find(tx, id, &wanted)? {
                return Ok((found, false));
            }
            let taken = match role {
                Some(role) => mailboxes::by_role(tx, id, role)?.is_some(),
                None => true,
            };
            let made = mailboxes::create(tx, &by, id, &wanted, role.filter(|_| !taken))?;
            if subscribe {
                mailboxes::subscribe(tx, &by, id, &wanted)?;
            }
            Ok::<_, Error>((made.id, true))
        })?;
        let (mailbox, made) = stored.value;
        self.done.mailboxes += u64::from(made);
        Ok(mailbox)
    }

    /// What the mailbox has, by content, and how often.
    fn present(&self, mailbox: MailboxId) -> Result<HashMap<Key, u64>> {
        let (id, mut next, mut present) = (self.account.id, 1u32, HashMap::new());
        loop {
            let from = next;
            let (found, last) = self.plan.store.read_blocking(move |tx| {
                let uids = UidSet::range(from, u32::MAX);
                let query = Query { uids: &uids, want: Want::Facts, changed_since: None, limit: PAGE };
                let entries = view::entries(tx, id, mailbox, &query)?;
                let last = entries.last().map(|entry| entry.uid);
                let blobs: Vec<BlobId> = entries.iter().filter_map(|entry| Some(entry.facts.as_ref()?.blob)).collect();
                let mut keys = HashMap::new();
                for (blob, in_row, hash) in tx.blob_hashes(&blobs)? {
                    let hash = match in_row {
                        true => <[u8; 32]>::try_from(hash).ok(),
                        false => tx.blob_chunks(blob)?.and_then(|(_, chunks)| dump::content_of(&chunks).ok()),
                    };
                    keys.extend(hash.map(|hash| (blob, Key { hash, in_row })));
                }
                let keys: Vec<Key> = blobs.iter().filter_map(|blob| keys.get(blob).copied()).collect();
                Ok::<_, Error>((keys, last))
            })?;
            for key in found {
                *present.entry(key).or_default() += 1;
            }
            match last {
                Some(last) if last < u32::MAX => next = last + 1,
                Some(_) | None => return Ok(present),
            }
        }
    }

    fn fill(&mut self, mailbox: MailboxId, old: Vec<Old>) -> Result<()> {
        let mut present = self.present(mailbox)?;
        let (mut batch, mut weight) = (Vec::new(), 0);
        let mut seen: HashMap<Key, u64> = HashMap::new();
        for one in old {
            let Some(blob) = self.blobs.get(&one.message).copied() else { continue };
            let content = match self.bytes.content(blob) {
                Ok(content) => content,
                Err(Error::Damaged(_)) => {
                    self.lost.insert(blob);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let occurrence = seen.entry(content).or_default();
            *occurrence += 1;
            if let Some(left) = present.get_mut(&content).filter(|left| **left > 0) {
                *left -= 1;
                self.done.present += 1;
                continue;
            }
            let origin = origin(self.done.taken, mailbox, &content, *occurrence);
            match self.incoming(&one, blob, origin) {
                Ok(incoming) => {
                    weight += incoming.arrival.size;
                    batch.push(incoming);
                }
                Err(Error::Damaged(_)) => {
                    self.lost.insert(blob);
                }
                Err(Error::Mail(error)) => self.done.refused.push(format!("message {}: {error}", one.message)),
                Err(error) => return Err(error),
            }
            if batch.len() >= BATCH || weight >= BATCH_BYTES {
                weight = 0;
                self.deliver(mailbox, std::mem::take(&mut batch))?;
            }
        }
        self.deliver(mailbox, batch)
    }

    fn incoming(&self, old: &Old, blob: i64, source: Origin) -> Result<Incoming> {
        let mut intake = Intake::new(self.plan.store.upload(), Limits::default());
        self.bytes.each_plain(blob, |plain| Ok(intake.feed(plain).map(|_| ())?))?;
        let arrival = intake.finish(Vec::new())?;
        let keywords = old.keywords.split_ascii_whitespace().filter_map(Keyword::parse).collect();
        let received = self.received.get(&old.message).copied().map(Timestamp);
        let filing = Filing { flags: Flags::from_bits(old.flags), keywords, received, trace: None };
        Ok(Incoming { arrival, filing, source, crlf: self.crlf.contains(&old.message) })
    }

    fn deliver(&mut self, mailbox: MailboxId, batch: Vec<Incoming>) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let (id, by) = (self.account.id, self.by.clone());
        self.done.messages += batch.len() as u64;
        self.done.bytes += batch.iter().map(|one| one.arrival.size).sum::<u64>();
        // What was theirs comes back, also above a quota that is smaller now.
        self.plan.store.write_blocking(Locks::account(id), move |tx| {
            let batch: Vec<&Incoming> = batch.iter().collect();
            imports::deliver_all(tx, &by, id, mailbox, &batch, false).map_err(Error::from)
        })?;
        let (done, total) = (self.done.messages, self.received.len() as u64);
        (self.plan.tell)(Progress { stage: "messages", done, total, bytes: self.done.bytes });
        Ok(())
    }
}

/// What a message is remembered by, so that the same restore never files it twice.
fn origin(taken: Timestamp, mailbox: MailboxId, content: &Key, occurrence: u64) -> Origin {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"restore");
    hasher.update(&taken.0.to_le_bytes());
    hasher.update(mailbox.to_string().as_bytes());
    hasher.update(&content.hash);
    hasher.update(&occurrence.to_le_bytes());
    let mut source = [0; 16];
    source.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Origin(source)
}

/// When messages were received, by message.
fn received(source: &Source<'_>) -> Result<HashMap<i64, i64>> {
    let mut received = HashMap::new();
    source.each("message", |table, row| {
        let number = |name: &str| row.get(table.column(name)?)?.int();
        if let (Some(id), Some(at)) = (number("id"), number("received")) {
            received.insert(id, at);
        }
        Ok(true)
    })?;
    Ok(received)
}

/// Flags and keywords of entries, by mailbox and uid.
fn marks(source: &Source<'_>) -> Result<HashMap<(i64, i64), (i64, String)>> {
    let mut found = HashMap::new();
    source.each("entry_page", |table, row| {
        let at = |name: &str| row.get(table.column(name)?);
        let number = |name: &str| at(name)?.int();
        let text = |name: &str| at(name)?.text();
        if let (Some(mailbox), Some(page), Some(runs), Some(sizes)) =
            (number("mailbox"), number("page"), text("runs"), text("sizes"))
        {
            let page = u32::try_from(page).unwrap_or(u32::MAX);
            let read = postroad_mail::read_page(page, runs, sizes, |entry| {
                found.insert((mailbox, entry.uid.into()), (entry.flags.bits(), entry.keywords.to_owned()));
            });
            read.map_err(|error| Error::Damaged(error.to_string()))?;
        }
        Ok(true)
    })?;
    Ok(found)
}

/// Annotations by mailbox; 0 is the account itself.
fn annotations(source: &Source<'_>) -> Result<HashMap<i64, Vec<Kept>>> {
    let mut found: HashMap<i64, Vec<Kept>> = HashMap::new();
    source.each("metadata", |table, row| {
        let at = |name: &str| row.get(table.column(name)?);
        let text = |name: &str| at(name)?.text().map(str::to_owned);
        let value = match at("value") {
            Some(Value::Bytes(bytes)) => Some(bytes.clone()),
            Some(_) | None => None,
        };
        if let (Some(mailbox), Some(whose), Some(entry), Some(value)) =
            (at("mailbox").and_then(Value::int), text("whose"), text("entry"), value)
        {
            found.entry(mailbox).or_default().push((whose, entry, value));
        }
        Ok(true)
    })?;
    Ok(found)
}

fn with_crlf(source: &Source<'_>) -> Result<HashSet<i64>> {
    let mut found = HashSet::new();
    source.each("imported", |table, row| {
        let number = |name: &str| row.get(table.column(name)?)?.int();
        if let (Some(message), Some(1)) = (number("message"), number("crlf")) {
            found.insert(message);
        }
        Ok(true)
    })?;
    Ok(found)
}

/// The bytes of the account's messages in the packs.
struct Bytes {
    packs: Packs,
    rows: HashMap<i64, BlobRow>,
    /// Which pack has an object, and where.
    places: HashMap<Key, Vec<(usize, Entry)>>,
}

impl Bytes {
    fn open(plan: &AccountPlan<'_>, rows: HashMap<i64, BlobRow>) -> Result<Bytes> {
        let packs = Packs::open(plan.folder)?;
        let wanted: HashSet<Key> = rows.values().map(Key::of).collect();
        let mut places: HashMap<Key, Vec<(usize, Entry)>> = HashMap::new();
        for (number, pack) in packs.readers.iter().enumerate() {
            for entry in pack.entries().iter().filter(|entry| wanted.contains(&entry.key)) {
                places.entry(entry.key).or_default().push((number, *entry));
            }
        }
        Ok(Bytes { packs, rows, places })
    }

    /// What the content of a blob is recognised by. Errors: `Damaged`.
    fn content(&self, blob: i64) -> Result<Key> {
        let row = self.row(blob)?;
        if row.in_row {
            return Ok(Key::of(row));
        }
        self.first_sound(row, |number, entry| {
            let object = self.packs.readers[number].object(entry)?;
            let hash = dump::content_of(&object.chunks).map_err(|error| Error::Damaged(error.to_string()))?;
            Ok(Key { hash, in_row: false })
        })
    }

    /// Shows the plain bytes of a blob. Errors: `Damaged`, before anything was shown or in between.
    fn each_plain(&self, blob: i64, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let row = self.row(blob)?;
        // Looked through before it is shown: of a damaged one there may be a sound copy.
        let (number, entry) = self.first_sound(row, |number, entry| {
            self.packs.readers[number].check(entry)?;
            Ok((number, *entry))
        })?;
        let pack = &self.packs.readers[number];
        let object = pack.object(&entry)?;
        if object.row.in_row {
            return each(&pack.row_bytes(&object)?.1);
        }
        each(&object.head)?;
        pack.chunks(&object, |_, plain| each(plain))
    }

    fn row(&self, blob: i64) -> Result<&BlobRow> {
        self.rows.get(&blob).ok_or_else(|| Error::Damaged(format!("the backup has nothing of the blob {blob}")))
    }

    fn first_sound<T>(&self, row: &BlobRow, look: impl Fn(usize, &Entry) -> Result<T>) -> Result<T> {
        let mut failed = Error::Damaged(format!("no pack has the bytes of the blob {}", row.id));
        for (number, entry) in self.places.get(&Key::of(row)).into_iter().flatten() {
            match look(*number, entry) {
                Err(error @ Error::Damaged(_)) => failed = error,
                other => return other,
            }
        }
        Err(failed)
    }
}

/// Entries that are looked at in one read.
const PAGE: usize = 1_000;
/// Messages, and plain bytes, in one transaction.
const BATCH: usize = 100;
const BATCH_BYTES: u64 = 4 << 20;
