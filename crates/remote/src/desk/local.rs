//! Requests answered with the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use postroad_mail::flags::{self, FlagChange};
use postroad_mail::remote::{self, Direction, Folder, Found, Known, Place, Taken};
use postroad_mail::{Actor, By, Filing, Intake, Role, UidSet, expunge, mailboxes, quota};
use postroad_message::Limits;
use postroad_store::{AccountId, Locks, Store, Timestamp, WriteTx};

use super::mapping::{choose, find_or_make, flags_of, inverted};
use super::{Answer, FolderState, Meta, Opening, PAGE, Request, Row};
use crate::{Error, Result};

/// The store's side of one run.
pub struct Local {
    pub(super) store: Store,
    pub(super) account: AccountId,
    pub(super) link: i64,
    quota: bool,
    dry: bool,
    pub(super) outwards: bool,
    pub(super) folders: BTreeMap<i64, Folder>,
    /// By folder: checksums of messages whose uid is void, with that uid.
    orphans: HashMap<i64, HashMap<[u8; 32], Vec<i64>>>,
    large: Option<Large>,
}

/// A message that comes in pieces.
struct Large {
    intake: Intake,
    hasher: blake3::Hasher,
    refused: Option<&'static str>,
}

impl Local {
    /// Opens a link, which is made when it is new.
    pub fn open(store: &Store, account: AccountId, opening: &Opening, now: Timestamp) -> Result<(Local, Answer)> {
        let direction = if opening.outwards { Direction::Out } else { Direction::In };
        let (place, dry) = (opening.place.clone(), opening.dry);
        let (link, folders, names) = store
            .write_blocking(Locks::account(account), move |tx| {
                let link = match dry {
                    true => {
                        remote::find_link(tx, account, direction, &place)?.unwrap_or(remote::Link { id: 0, cut: None })
                    }
                    false => remote::link(tx, account, direction, &place, now)?,
                };
                let folders = remote::folders(tx, account, link.id)?;
                let ids: Vec<i64> = folders.iter().map(|folder| folder.mailbox.0).collect();
                let names = mailboxes::by_ids(tx, account, &ids)?;
                Ok::<_, postroad_mail::Error>((link, folders, names))
            })?
            .value;
        // A folder whose mailbox was removed here begins anew.
        let name = |folder: &Folder| {
            let own = names.iter().find(|mailbox| mailbox.id == folder.mailbox && mailbox.selectable);
            own.map(|mailbox| mailbox.name.as_str().to_owned())
        };
        let known = folders.iter().filter_map(|folder| name(folder).map(|name| state(folder, name, false))).collect();
        let folders = folders.into_iter().map(|folder| (folder.id, folder)).collect();
        let answer = Answer::Opened { folders: known, cut: link.cut.is_some() };
        let local = Local {
            store: store.clone(),
            account,
            link: link.id,
            quota: !opening.ignore_quota,
            dry,
            outwards: opening.outwards,
            folders,
            orphans: HashMap::new(),
            large: None,
        };
        Ok((local, answer))
    }

    /// Answers a request; octets may come and go with it.
    pub fn answer(&mut self, now: Timestamp, request: Request, octets: &[u8]) -> Result<(Answer, Vec<u8>)> {
        let by = By::new(now, Actor::Admin);
        let answer = match request {
            Request::Place { name, levels, role, to, subscribe, dry } => {
                self.place(&by, name, levels, role, to, subscribe, dry || self.dry)?
            }
            Request::Known { folder, from } => self.known(folder, from)?,
            Request::Like { identities } => self.like(identities)?,
            Request::Validity { folder, uidvalidity } => self.validity(folder, uidvalidity)?,
            Request::File { folder, messages } => self.file(&by, folder, messages, octets)?,
            Request::Begin => {
                let intake = Intake::as_it_is(self.store.upload(), Limits::default());
                self.large = Some(Large { intake, hasher: blake3::Hasher::new(), refused: None });
                Answer::Done
            }
            Request::Piece => self.piece(octets)?,
            Request::Complete { folder, message } => self.complete(&by, folder, message)?,
            Request::Abandon => {
                self.large = None;
                Answer::Done
            }
            Request::Again { folder, messages } => self.again(&by, folder, messages)?,
            Request::Note { folder, messages } => self.note(folder, messages)?,
            Request::Housed { folder, messages } => self.housed(&by, folder, messages)?,
            Request::Marks { folder, messages } => self.marks(&by, folder, messages)?,
            Request::Gone { folder, uids } => self.gone(&by, folder, uids)?,
            Request::Finish { folder, uidvalidity, modseq } => self.finish(&by, folder, uidvalidity, modseq)?,
            Request::Room => self.room()?,
            Request::CutOver => {
                let (account, link) = (self.account, self.link);
                self.write(move |tx| remote::cut_over(tx, account, link, now))?;
                Answer::Done
            }
            Request::Token | Request::Granted => return Err(Error::Here("tokens are not the store's".into())),
            Request::Prove { folder, from } => self.prove(folder, from)?,
            Request::Mailboxes => self.mailboxes()?,
            Request::Entries { folder, from } => self.entries(folder, from)?,
            Request::Read { folder, uid, from } => return self.read(folder, uid, from),
            Request::ReadAll { folder, uids } => return self.read_all(folder, uids),
            Request::Elsewhere { folder, messages } => self.elsewhere(folder, &messages)?,
            Request::Sent { folder, messages } => self.sent(folder, messages)?,
            Request::Mark { folder, marker } => self.mark(folder, marker)?,
            Request::Forget { folder, uids } => self.forget(folder, uids)?,
        };
        Ok((answer, Vec::new()))
    }

    pub(super) fn write<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut WriteTx) -> postroad_mail::Result<R> + Send + 'static,
    ) -> Result<R> {
        assert!(!self.dry, "a dry run writes nothing");
        Ok(self.store.write_blocking(Locks::account(self.account), job)?.value)
    }

    /// A folder by its number, and where it is.
    pub(super) fn at(&self, folder: i64) -> Result<Place> {
        let found = self.folders.get(&folder).ok_or_else(|| Error::Here("a folder that nobody placed".into()))?;
        Ok(Place { account: self.account, link: self.link, folder, mailbox: found.mailbox })
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one request")]
    fn place(
        &mut self,
        by: &By,
        name: String,
        levels: Vec<String>,
        role: Option<String>,
        to: Option<String>,
        subscribe: bool,
        dry: bool,
    ) -> Result<Answer> {
        let role = role.as_deref().and_then(Role::from_name);
        let account = self.account;
        let known = self.folders.values().find(|folder| folder.name == name).cloned();
        if dry {
            let mailbox = self.store.read_blocking(move |tx| {
                let name = choose(tx, account, &levels, role, to.as_deref())?;
                let there = mailboxes::find(tx, account, &name)?.is_some_and(|mailbox| mailbox.selectable);
                Ok::<_, postroad_mail::Error>((name, there))
            })?;
            let (id, uidvalidity, modseq) = known.map_or((0, 0, 0), |own| (own.id, own.uidvalidity, own.modseq));
            let (mailbox, new) = (mailbox.0.as_str().to_owned(), !mailbox.1);
            return Ok(Answer::Placed(FolderState { id, name, mailbox, new, uidvalidity, modseq, marker: 0 }));
        }
        let (by, link) = (by.clone(), self.link);
        let (folder, mailbox, new) = self.write(move |tx| {
            if let Some(known) = known {
                let own = mailboxes::by_id(tx, account, known.mailbox)?.filter(|mailbox| mailbox.selectable);
                if let Some(own) = own {
                    return Ok((known, own, false));
                }
                // Its mailbox was removed here: what was in it is forgotten, and comes anew.
                let place = Place { account, link, folder: known.id, mailbox: known.mailbox };
                loop {
                    let page = remote::known(tx, place, i64::MIN, PAGE)?;
                    if page.is_empty() {
                        break;
                    }
                    remote::forget(tx, place, &page.iter().map(|row| row.uid).collect::<Vec<_>>())?;
                }
                let target = choose(tx, account, &levels, role, to.as_deref())?;
                let (mailbox, new) = find_or_make(tx, &by, account, &target, role, subscribe)?;
                let mut folder = Folder { mailbox: mailbox.id, uidvalidity: 0, modseq: 0, marker: 0, ..known };
                remote::keep_folder(tx, account, link, &mut folder)?;
                return Ok((folder, mailbox, new));
            }
            let target = choose(tx, account, &levels, role, to.as_deref())?;
            let (mailbox, new) = find_or_make(tx, &by, account, &target, role, subscribe)?;
            let mut folder = Folder { id: 0, name, mailbox: mailbox.id, uidvalidity: 0, modseq: 0, marker: 0 };
            remote::keep_folder(tx, account, link, &mut folder)?;
            Ok((folder, mailbox, new))
        })?;
        let placed = state(&folder, mailbox.name.as_str().to_owned(), new);
        self.folders.insert(folder.id, folder);
        Ok(Answer::Placed(placed))
    }

    fn known(&self, folder: i64, from: i64) -> Result<Answer> {
        if folder == 0 {
            return Ok(Answer::Known { rows: Vec::new(), next: None });
        }
        let place = self.at(folder)?;
        let rows = self.store.read_blocking(move |tx| remote::known(tx, place, from, PAGE))?;
        let next = rows.last().filter(|_| rows.len() == PAGE).map(|row| row.uid + 1);
        Ok(Answer::Known { rows: rows.into_iter().map(row).collect(), next })
    }

    fn like(&self, identities: Vec<String>) -> Result<Answer> {
        let (account, link) = (self.account, self.link);
        let found = self.store.read_blocking(move |tx| {
            let wanted: Vec<&str> = identities.iter().map(String::as_str).collect();
            remote::like(tx, account, link, &wanted, None)
        })?;
        Ok(Answer::Like(found.into_keys().collect()))
    }

    fn validity(&mut self, folder: i64, uidvalidity: u32) -> Result<Answer> {
        let (account, link) = (self.account, self.link);
        let place = self.at(folder)?;
        let mut kept = self.folders.get(&folder).cloned().ok_or_else(|| Error::Here("no such folder".into()))?;
        if kept.uidvalidity != uidvalidity {
            let void = kept.uidvalidity != 0;
            (kept.uidvalidity, kept.modseq) = (uidvalidity, 0);
            kept = self.write(move |tx| {
                if void {
                    remote::orphan(tx, account, link, folder)?;
                }
                remote::keep_folder(tx, account, link, &mut kept)?;
                Ok(kept)
            })?;
            self.folders.insert(folder, kept);
        }
        let mut orphans: HashMap<[u8; 32], Vec<i64>> = HashMap::new();
        let mut from = i64::MIN;
        loop {
            let page = self.store.read_blocking(move |tx| remote::known(tx, place, from, PAGE))?;
            let void = page.iter().take_while(|row| row.uid < 0);
            void.for_each(|row| orphans.entry(row.hash).or_default().push(row.uid));
            match page.last() {
                Some(last) if last.uid < 0 && page.len() == PAGE => from = last.uid + 1,
                Some(_) | None => break,
            }
        }
        self.orphans.insert(folder, orphans);
        Ok(Answer::Done)
    }

    fn file(&mut self, by: &By, folder: i64, messages: Vec<Meta>, octets: &[u8]) -> Result<Answer> {
        let place = self.at(folder)?;
        let (mut refused, mut taken, mut adopted) = (Vec::new(), Vec::new(), Vec::new());
        let mut rest = octets;
        for meta in messages {
            let size = usize::try_from(meta.size).unwrap_or(usize::MAX);
            let (own, after) = rest.split_at_checked(size).ok_or_else(|| Error::Here("octets are missing".into()))?;
            rest = after;
            let hash = known_by(&meta, blake3::hash(own));
            if let Some(void) = self.orphan(folder, &hash) {
                adopted.push((void, meta.uid, meta.marks));
                continue;
            }
            let mut intake = Intake::as_it_is(self.store.upload(), Limits::default());
            match intake.feed(own) {
                Ok(_) => taken.push(ready(meta, intake, hash)?),
                Err(postroad_mail::Error::Message(why)) => refused.push((meta.uid, why.to_owned())),
                Err(error) => return Err(error.into()),
            }
        }
        self.commit(by, place, taken, adopted, refused)
    }

    /// A message whose uid was void, with these octets.
    fn orphan(&mut self, folder: i64, hash: &[u8; 32]) -> Option<i64> {
        self.orphans.get_mut(&folder)?.get_mut(hash)?.pop()
    }

    fn piece(&mut self, octets: &[u8]) -> Result<Answer> {
        let large = self.large.as_mut().ok_or_else(|| Error::Here("a piece of nothing".into()))?;
        large.hasher.update(octets);
        if large.refused.is_none() {
            match large.intake.feed(octets) {
                Ok(_) => {}
                Err(postroad_mail::Error::Message(why)) => large.refused = Some(why),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Answer::Done)
    }

    fn complete(&mut self, by: &By, folder: i64, meta: Meta) -> Result<Answer> {
        let place = self.at(folder)?;
        let Large { intake, hasher, refused } =
            self.large.take().ok_or_else(|| Error::Here("the end of nothing".into()))?;
        if let Some(why) = refused {
            return Ok(Answer::Filed { filed: 0, adopted: 0, refused: vec![(meta.uid, why.to_owned())] });
        }
        let hash = known_by(&meta, hasher.finalize());
        if let Some(void) = self.orphan(folder, &hash) {
            return self.commit(by, place, Vec::new(), vec![(void, meta.uid, meta.marks)], Vec::new());
        }
        let taken = vec![ready(meta, intake, hash)?];
        self.commit(by, place, taken, Vec::new(), Vec::new())
    }

    fn commit(
        &self,
        by: &By,
        place: Place,
        taken: Vec<Taken>,
        adopted: Vec<(i64, u32, String)>,
        mut refused: Vec<(u32, String)>,
    ) -> Result<Answer> {
        let recognised = adopted.len() as u64;
        if !adopted.is_empty() {
            self.write(move |tx| {
                adopted.iter().try_for_each(|(void, uid, marks)| remote::adopt(tx, place, *void, *uid, marks))
            })?;
        }
        let taken = Arc::new(taken);
        let mut filed = 0;
        let all = 0..taken.len();
        let mut todo = Vec::from([all]);
        while let Some(range) = todo.pop() {
            if range.is_empty() {
                continue;
            }
            let (batch, by, quota, part) = (Arc::clone(&taken), by.clone(), self.quota, range.clone());
            let done = self.store.write_blocking(Locks::account(self.account), move |tx| {
                let batch: Vec<&Taken> = batch[part].iter().collect();
                remote::deliver(tx, &by, place, &batch, quota)
            });
            match done {
                Ok(stored) => filed += stored.value.len() as u64,
                // What fits is taken: halves, the first one first.
                Err(postroad_mail::Error::OverQuota | postroad_mail::Error::Limit(_)) if range.len() > 1 => {
                    let middle = range.start + range.len() / 2;
                    todo.extend([middle..range.end, range.start..middle]);
                }
                Err(postroad_mail::Error::OverQuota) => {
                    return Err(Error::Here(
                        "the account's quota is used up; raise it with `postroad account quota` or add --ignore-quota, \
                         then run the same command again to go on"
                            .into(),
                    ));
                }
                Err(error @ postroad_mail::Error::Limit(_)) => {
                    refused.push((taken[range.start].uid, error.to_string()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Answer::Filed { filed, adopted: recognised, refused })
    }

    /// Messages that another folder brought.
    fn again(&self, by: &By, folder: i64, messages: Vec<Meta>) -> Result<Answer> {
        let (place, by) = (self.at(folder)?, by.clone());
        let missing = self.write(move |tx| {
            let identities: Vec<&str> = messages.iter().map(|meta| meta.identity.as_str()).collect();
            let known = remote::like(tx, place.account, place.link, &identities, None)?;
            let mut missing: Vec<u32> = Vec::new();
            let mut found: Vec<Found> = Vec::new();
            for meta in messages {
                match known.get(&meta.identity) {
                    Some(known) => {
                        let filing = filing(&meta);
                        found.push(Found { known: known.clone(), uid: meta.uid, filing, marks: meta.marks });
                    }
                    None => missing.push(meta.uid),
                }
            }
            let placed = remote::copy(tx, &by, place, &found)?;
            missing.extend(found.iter().zip(placed).filter(|(_, placed)| placed.is_none()).map(|(one, _)| one.uid));
            Ok(missing)
        })?;
        Ok(Answer::Missing(missing))
    }

    /// Messages that need no entry for this folder (Gmail's All Mail).
    fn note(&self, folder: i64, messages: Vec<Meta>) -> Result<Answer> {
        let place = self.at(folder)?;
        let missing = self.write(move |tx| {
            let identities: Vec<&str> = messages.iter().map(|meta| meta.identity.as_str()).collect();
            let known = remote::like(tx, place.account, place.link, &identities, None)?;
            let (mut missing, mut rows) = (Vec::new(), Vec::new());
            for meta in messages {
                match known.get(&meta.identity) {
                    Some(known) => {
                        rows.push(Known { uid: i64::from(meta.uid), other: 0, marks: meta.marks, ..known.clone() })
                    }
                    None => missing.push(meta.uid),
                }
            }
            remote::remember(tx, place, &rows)?;
            Ok(missing)
        })?;
        Ok(Answer::Missing(missing))
    }

    /// Messages with an entry of their own that another folder has by now: they need it no more.
    fn housed(&self, by: &By, folder: i64, messages: Vec<Meta>) -> Result<Answer> {
        let (place, by) = (self.at(folder)?, by.clone());
        self.write(move |tx| {
            let identities: Vec<&str> = messages.iter().map(|meta| meta.identity.as_str()).collect();
            let elsewhere = remote::like(tx, place.account, place.link, &identities, Some(folder))?;
            let (mut here, mut rows) = (UidSet::new(), Vec::new());
            for meta in messages.iter().filter(|meta| elsewhere.contains_key(&meta.identity)) {
                let row = remote::known(tx, place, i64::from(meta.uid), 1)?;
                let row = row.into_iter().find(|row| row.uid == i64::from(meta.uid));
                here_of(&mut here, row.as_ref());
                rows.extend(row.map(|row| Known { other: 0, ..row }));
            }
            expunge::remove(tx, &by, place.account, place.mailbox, &here)?;
            remote::remember(tx, place, &rows)
        })?;
        Ok(Answer::Done)
    }

    /// What was added and taken away there is added and taken away here; what the owner changed here stays.
    fn marks(&self, by: &By, folder: i64, messages: Vec<Meta>) -> Result<Answer> {
        let (place, by) = (self.at(folder)?, by.clone());
        self.write(move |tx| {
            let mut groups: BTreeMap<(String, String), UidSet> = BTreeMap::new();
            for meta in &messages {
                let row = remote::known(tx, place, i64::from(meta.uid), 1)?;
                let Some(row) = row.into_iter().find(|row| row.uid == i64::from(meta.uid)) else { continue };
                if row.other > 0 {
                    groups.entry((row.marks, meta.marks.clone())).or_default().insert(row.other);
                }
            }
            for ((before, after), uids) in groups {
                let (added, removed) = (without(&after, &before), without(&before, &after));
                for (words, change) in [(removed, false), (added, true)] {
                    let (flags, keywords) = flags_of(&words);
                    let change =
                        if change { FlagChange::Add(flags, keywords) } else { FlagChange::Remove(flags, keywords) };
                    if !words.is_empty() {
                        flags::change(tx, &by, place.account, place.mailbox, &uids, &change, None)?;
                    }
                }
            }
            let marks: Vec<(u32, String)> = messages.into_iter().map(|meta| (meta.uid, meta.marks)).collect();
            remote::set_marks(tx, place, &marks)
        })?;
        Ok(Answer::Done)
    }

    /// Entries go the way of everything that is deleted: they can be brought back until the retention has passed.
    fn gone(&self, by: &By, folder: i64, uids: Vec<u32>) -> Result<Answer> {
        let (place, by) = (self.at(folder)?, by.clone());
        self.write(move |tx| {
            let mut here = UidSet::new();
            for uid in &uids {
                let row = remote::known(tx, place, i64::from(*uid), 1)?;
                here_of(&mut here, row.first().filter(|row| row.uid == i64::from(*uid)));
            }
            expunge::remove(tx, &by, place.account, place.mailbox, &here)?;
            remote::forget(tx, place, &uids.iter().copied().map(i64::from).collect::<Vec<_>>())
        })?;
        Ok(Answer::Done)
    }

    fn finish(&mut self, by: &By, folder: i64, uidvalidity: u32, modseq: u64) -> Result<Answer> {
        let place = self.at(folder)?;
        let left: Vec<i64> = self.orphans.remove(&folder).unwrap_or_default().into_values().flatten().collect();
        let mut kept = self.folders.get(&folder).cloned().ok_or_else(|| Error::Here("no such folder".into()))?;
        (kept.uidvalidity, kept.modseq) = (uidvalidity, modseq);
        let by = by.clone();
        let kept = self.write(move |tx| {
            // What was not seen again under the new uidvalidity is gone there.
            let mut here = UidSet::new();
            for uid in &left {
                here_of(&mut here, remote::known(tx, place, *uid, 1)?.first().filter(|row| row.uid == *uid));
            }
            expunge::remove(tx, &by, place.account, place.mailbox, &here)?;
            remote::forget(tx, place, &left)?;
            remote::keep_folder(tx, place.account, place.link, &mut kept)?;
            Ok(kept)
        })?;
        self.folders.insert(folder, kept);
        Ok(Answer::Done)
    }

    fn room(&self) -> Result<Answer> {
        let account = self.account;
        let quota = self.store.read_blocking(move |tx| quota::of(tx, account))?;
        let left = |limit: Option<u64>, used: u64| limit.map(|limit| limit.saturating_sub(used));
        Ok(Answer::Room {
            bytes: left(quota.limit_bytes, quota.used_bytes).filter(|_| self.quota),
            messages: left(quota.limit_messages, quota.used_messages).filter(|_| self.quota),
        })
    }
}

pub(super) fn state(folder: &Folder, mailbox: String, new: bool) -> FolderState {
    let Folder { id, name, uidvalidity, modseq, marker, .. } = folder.clone();
    FolderState { id, name, mailbox, new, uidvalidity, modseq, marker }
}

pub(super) fn row(known: Known) -> Row {
    Row { uid: known.uid, other: known.other, marks: known.marks, hash: hex(&known.hash), size: known.size }
}

fn here_of(here: &mut UidSet, row: Option<&Known>) {
    if let Some(row) = row.filter(|row| row.other > 0) {
        here.insert(row.other);
    }
}

fn ready(meta: Meta, intake: Intake, hash: [u8; 32]) -> Result<Taken> {
    let arrival = intake.finish(Vec::new())?;
    let mut filing = filing(&meta);
    if filing.received.is_none() {
        let of_header = arrival.summary.date.time().map(|date| date.micros);
        filing.received = of_header.map(|micros| Timestamp(micros.clamp(0, LATEST)));
    }
    Ok(Taken { arrival, filing, uid: meta.uid, identity: meta.identity, hash, marks: meta.marks })
}

/// What is written down as a message's checksum.
fn known_by(meta: &Meta, hash: blake3::Hash) -> [u8; 32] {
    if meta.doubtful { inverted(hash.as_bytes()) } else { *hash.as_bytes() }
}

fn filing(meta: &Meta) -> Filing {
    let (flags, keywords) = flags_of(&meta.marks);
    let received = meta.date.map(|micros| Timestamp(micros.clamp(0, LATEST)));
    Filing { flags, keywords, received, trace: None }
}

/// Words of `all` that are not in `other`.
fn without(all: &str, other: &str) -> String {
    let other: Vec<&str> = other.split_ascii_whitespace().collect();
    let left: Vec<&str> = all.split_ascii_whitespace().filter(|word| !other.contains(word)).collect();
    left.join(" ")
}

/// Digits of base 16.
pub(super) fn hex(hash: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

/// The end of the year 9999: dates of IMAP have four digits.
const LATEST: i64 = 253_402_300_799_000_000;
