//! Which messages of a mailbox could have certain texts.

use std::collections::HashMap;
use std::ops::ControlFlow;

use postroad_search::slices::{self, DOCUMENTS, Slice};
use postroad_search::{Grams, Signature, VERSION};
use postroad_store::{AccountId, ReadTx, params};

use super::read_ids;
use crate::{MailboxId, Result, UidSet, sql};

/// Most texts that are asked about at once.
const TEXTS_MAX: usize = 64;

/// For each of `texts` the messages among `uids` that could have it: all that the index does not know, and those whose
/// signature does not exclude it. Texts beyond `TEXTS_MAX` are not asked about. Four statements.
pub fn may_have(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    texts: &[Grams],
) -> Result<Vec<UidSet>> {
    let asked = &texts[..texts.len().min(TEXTS_MAX)];
    let known = documents(tx, account, asked)?;
    let mut found = vec![UidSetBuilder::default(); asked.len()];
    let (Some(first), Some(last)) = (uids.first(), uids.last()) else { return Ok(vec![UidSet::new(); texts.len()]) };
    let mut wanted = Within::new(uids);
    let mut at = 0;
    tx.each(
        "SELECT uid, message FROM entry WHERE account = $1 AND mailbox = $2 AND uid BETWEEN $3 AND $4 ORDER BY uid",
        params![account, mailbox, first, last],
        |row| {
            let uid = sql::small(row, 0)?;
            if wanted.has(uid) {
                let mask = known.mask(row.int(1)?, &mut at);
                for (text, found) in found.iter_mut().enumerate() {
                    if mask >> text & 1 == 1 {
                        found.push(uid);
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    let mut all: Vec<UidSet> = found.into_iter().map(|set| UidSet::from_ranges(set.0)).collect();
    all.resize(texts.len(), uids.clone());
    Ok(all)
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

fn documents(tx: &ReadTx, account: AccountId, texts: &[Grams]) -> Result<Documents> {
    let mut documents = Vec::new();
    tx.each(
        "SELECT message, signature FROM search_recent WHERE account = $1 AND version = $2",
        params![account, VERSION],
        |row| {
            let signature = row.bytes(1)?;
            let may = texts.iter().map(|grams| Signature::bytes_may_have(&signature, grams));
            documents.push((row.int(0)?, may.enumerate().fold(0, |mask, (text, may)| mask | u64::from(may) << text)));
            Ok(ControlFlow::Continue(()))
        },
    )?;
    let segments = tx.rows(
        "SELECT segment, messages FROM search_segment WHERE account = $1 AND version = $2",
        params![account, VERSION],
        |row| Ok((row.int(0)?, read_ids(&row.bytes(1)?))),
    )?;
    let slices = slices_of(tx, account, texts, &segments)?;
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

/// For each segment, for each text, the documents that could have it.
fn slices_of(
    tx: &ReadTx,
    account: AccountId,
    texts: &[Grams],
    segments: &[(i64, Vec<i64>)],
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
    tx.each(
        "SELECT page, segment, slices FROM search_page WHERE account = $1 AND page {in:$2}",
        params![account, &pages],
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
