//! Which messages of a mailbox could have certain texts.

use std::collections::HashMap;
use std::ops::ControlFlow;

use postroad_search::slices::{self, DOCUMENTS, Slice};
use postroad_search::{Grams, Signature, VERSION};
use postroad_store::{AccountId, ReadTx, Row, params};

use super::read_ids;
use crate::selected::{LIST_MAX, Place};
use crate::{MailboxId, Result, UidSet, sql};

/// Most texts that are asked about at once.
const TEXTS_MAX: usize = 64;
/// The index is asked about so many messages by their names; about more by reading all of it.
const NAMED_MAX: usize = 100_000;

/// For each of `texts` the messages among `uids` that could have it: all that the index does not know, and those whose
/// signature does not exclude it. Texts beyond `TEXTS_MAX` are not asked about. At most five statements; of the index no more is
/// read than there is about these messages, unless they are more than [`NAMED_MAX`].
pub fn may_have(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    texts: &[Grams],
) -> Result<Vec<UidSet>> {
    let asked = &texts[..texts.len().min(TEXTS_MAX)];
    let mut proposed = Proposed { found: vec![UidSetBuilder::default(); asked.len()], at: 0 };
    if uids.count() <= NAMED_MAX as u64 {
        let mut named = Vec::new();
        each_message(tx, account, mailbox, uids, |uid, message| named.push((uid, message)))?;
        let mut messages: Vec<i64> = named.iter().map(|(_, message)| *message).collect();
        messages.sort_unstable();
        let known = documents(tx, account, asked, Some(&messages))?;
        named.iter().for_each(|(uid, message)| proposed.add(&known, *uid, *message));
    } else {
        let known = documents(tx, account, asked, None)?;
        each_message(tx, account, mailbox, uids, |uid, message| proposed.add(&known, uid, message))?;
    }
    let mut all: Vec<UidSet> = proposed.found.into_iter().map(|set| UidSet::from_ranges(set.0)).collect();
    all.resize(texts.len(), uids.clone());
    Ok(all)
}

/// Shows the entries of `uids` that exist, by uid, and their messages. One statement.
fn each_message(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    mut each: impl FnMut(u32, i64),
) -> Result<()> {
    let (Some(first), Some(last)) = (uids.first(), uids.last()) else { return Ok(()) };
    // A few far from each other are looked up one by one.
    let place = match uids.count() <= LIST_MAX as u64 && u64::from(last - first) > uids.count() * 8 {
        true => Place::of(uids),
        false => Place::Range(first, last),
    };
    let text = format!(
        "SELECT uid, message FROM entry WHERE account = $1 AND mailbox = $2 AND {} ORDER BY uid",
        place.clause("uid", 3)
    );
    let mut wanted = Within::new(uids);
    tx.each(&text, &place.params(vec![account.into(), mailbox.into()]), |row| {
        let uid = sql::small(row, 0)?;
        if wanted.has(uid) {
            each(uid, row.int(1)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(())
}

/// The proposals for each text.
struct Proposed {
    found: Vec<UidSetBuilder>,
    /// Where in the index the last message was.
    at: usize,
}

impl Proposed {
    fn add(&mut self, known: &Documents, uid: u32, message: i64) {
        let mask = known.mask(message, &mut self.at);
        for (text, found) in self.found.iter_mut().enumerate() {
            if mask >> text & 1 == 1 {
                found.push(uid);
            }
        }
    }
}

/// What the index knows of an account's messages, by id: a bit for each text that could be in it.
struct Documents(Vec<(i64, u64)>);

impl Documents {
    /// `at`: where to look first; messages mostly come in the order of their ids.
    fn mask(&self, message: i64, at: &mut usize) -> u64 {
        if self.0.get(*at).is_none_or(|(id, _)| *id != message) {
            *at = self.0.partition_point(|(id, _)| *id < message);
        }
        match self.0.get(*at) {
            Some((id, mask)) if *id == message => {
                *at += 1;
                *mask
            }
            Some(_) | None => u64::MAX,
        }
    }
}

/// `about`: rising ids of messages; of others nothing need be known.
fn documents(tx: &ReadTx, account: AccountId, texts: &[Grams], about: Option<&[i64]>) -> Result<Documents> {
    let mut documents = Vec::new();
    let (first, last) = match about {
        Some(about) => match (about.first(), about.last()) {
            (Some(first), Some(last)) => (*first, *last),
            (_, _) => return Ok(Documents(documents)),
        },
        None => (i64::MIN, i64::MAX),
    };
    tx.each(
        "SELECT message, signature FROM search_recent
         WHERE account = $1 AND version = $2 AND message BETWEEN $3 AND $4",
        params![account, VERSION, first, last],
        |row| {
            let signature = row.bytes(1)?;
            let may = texts.iter().map(|grams| Signature::bytes_may_have(&signature, grams));
            documents.push((row.int(0)?, may.enumerate().fold(0, |mask, (text, may)| mask | u64::from(may) << text)));
            Ok(ControlFlow::Continue(()))
        },
    )?;
    let (segments, some) = segments(tx, account, about)?;
    let slices = slices_of(tx, account, texts, &segments, some)?;
    for ((_, ids), slices) in segments.iter().zip(slices) {
        for (document, id) in ids.iter().enumerate() {
            let mask =
                slices.iter().enumerate().fold(0, |mask, (text, slice)| mask | u64::from(slice.has(document)) << text);
            documents.push((*id, mask));
        }
    }
    documents.sort_unstable();
    // Of two signatures of a message (it was being moved) both are right.
    documents.dedup_by_key(|(id, _)| *id);
    Ok(Documents(documents))
}

/// A segment's number and the ids of its messages.
type Segment = (i64, Vec<i64>);

/// Segments, and the messages in each: all of them, or those that lie where the messages in question are, where that is less than
/// half. Whether it is some.
fn segments(tx: &ReadTx, account: AccountId, about: Option<&[i64]>) -> Result<(Vec<Segment>, bool)> {
    let (mut chosen, mut count, mut after) = (Vec::new(), 0, i64::MIN);
    if let Some(about) = about {
        // A segment has what came after the one before it. What came late may be in a later one: it is proposed then, as what
        // the index does not know.
        tx.each(
            "SELECT segment, last FROM search_segment WHERE account = $1 AND version = $2 ORDER BY last",
            params![account, VERSION],
            |row| {
                let (segment, last) = (row.int(0)?, row.int(1)?);
                let first = about.partition_point(|message| *message <= after);
                if about.get(first).is_some_and(|message| *message <= last) {
                    chosen.push(segment);
                }
                (count, after) = (count + 1, last);
                Ok(ControlFlow::Continue(()))
            },
        )?;
    }
    let read = |row: &Row<'_>| Ok((row.int(0)?, read_ids(&row.bytes(1)?)));
    let some = about.is_some() && chosen.len() < count / 2;
    let found = match some {
        true => tx.rows(
            "SELECT segment, messages FROM search_segment WHERE account = $1 AND version = $2 AND segment {in:$3}",
            params![account, VERSION, &chosen],
            read,
        )?,
        false => tx.rows(
            "SELECT segment, messages FROM search_segment WHERE account = $1 AND version = $2",
            params![account, VERSION],
            read,
        )?,
    };
    Ok((found, some))
}

/// For each segment, for each text, the documents that could have it.
fn slices_of(
    tx: &ReadTx,
    account: AccountId,
    texts: &[Grams],
    segments: &[Segment],
    some: bool,
) -> Result<Vec<Vec<Slice>>> {
    let mut all = vec![vec![Slice::ALL; texts.len()]; segments.len()];
    if segments.is_empty() {
        return Ok(all);
    }
    let place: HashMap<i64, usize> =
        segments.iter().enumerate().map(|(place, (segment, _))| (*segment, place)).collect();
    let mut asked: HashMap<i64, Vec<(u16, usize)>> = HashMap::new();
    for (text, grams) in texts.iter().enumerate() {
        for bucket in grams.buckets() {
            asked.entry(slices::page_of(*bucket)).or_default().push((*bucket, text));
        }
    }
    let mut pages: Vec<i64> = asked.keys().copied().collect();
    pages.sort_unstable();
    let numbers: Vec<i64> = segments.iter().map(|(segment, _)| *segment).collect();
    let (only, params) = match some {
        true => ("AND segment {in:$3}", params![account, &pages, &numbers]),
        false => ("", params![account, &pages]),
    };
    tx.each(
        &format!("SELECT page, segment, slices FROM search_page WHERE account = $1 AND page {{in:$2}} {only}"),
        params,
        |row| {
            let (page, segment) = (row.int(0)?, row.int(1)?);
            if let (Some(asked), Some(place)) = (asked.get(&page), place.get(&segment)) {
                let bytes = row.bytes(2)?;
                let count = segments[*place].1.len().min(DOCUMENTS);
                for (bucket, text) in asked {
                    all[*place][*text].keep(&slices::slice(&bytes, *bucket, count));
                }
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(all)
}

/// Whether rising uids are in a set, by walking along it.
struct Within<'a>(&'a [(u32, u32)]);

impl<'a> Within<'a> {
    fn new(uids: &'a UidSet) -> Within<'a> {
        Within(uids.ranges())
    }

    fn has(&mut self, uid: u32) -> bool {
        while let Some(((_, high), rest)) = self.0.split_first() {
            if uid <= *high {
                break;
            }
            self.0 = rest;
        }
        self.0.first().is_some_and(|(low, _)| *low <= uid)
    }
}

/// A set made of rising uids.
#[derive(Debug, Clone, Default)]
struct UidSetBuilder(Vec<(u32, u32)>);

impl UidSetBuilder {
    fn push(&mut self, uid: u32) {
        match self.0.last_mut() {
            Some((_, high)) if high.checked_add(1) == Some(uid) => *high = uid,
            Some(_) | None => self.0.push((uid, uid)),
        }
    }
}
