//! Parts of messages for whoever puts them into others: CATENATE (RFC 4469), URLFETCH (RFC 4467), BURL (RFC 4468).

use std::ops::Range;

use postroad_message::{Part, SectionKind, SummaryView, header};
use postroad_store::{AccountId, BlobId, ReadTx};

use crate::view::{self, Query, Want};
use crate::{Entry, Error, MailboxId, Result, UidSet};

/// Which octets of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The part's path, counted from 1; empty is the message itself.
    pub path: Vec<u32>,
    /// What of it.
    pub text: Text,
    /// Only from this octet on, and at most so many.
    pub range: Option<(u64, Option<u64>)>,
}

/// What of a part (RFC 9051 §6.4.5 `section-text`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// Its content; the whole message for an empty path.
    Content,
    /// `HEADER`.
    Header,
    /// `HEADER.FIELDS (..)`.
    Fields(Vec<String>),
    /// `HEADER.FIELDS.NOT (..)`.
    FieldsNot(Vec<String>),
    /// `TEXT`.
    Text,
    /// `MIME`.
    Mime,
}

/// Where the octets are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Octets {
    /// In a message's bytes: read with `tx.blob_read`.
    Stored {
        /// The message's bytes.
        blob: BlobId,
        /// How many the message has.
        size: u64,
        /// Those that are meant.
        range: Range<u64>,
    },
    /// Here.
    Made(Vec<u8>),
}

impl Octets {
    /// How many there are.
    pub fn count(&self) -> u64 {
        match self {
            Octets::Stored { range, .. } => range.end.saturating_sub(range.start),
            Octets::Made(octets) => octets.len() as u64,
        }
    }

    /// At most `most` octets from the place `from` on. One statement at most.
    pub fn read(&self, tx: &ReadTx, from: u64, most: u64) -> Result<Vec<u8>> {
        match self {
            Octets::Stored { blob, range, .. } => {
                let start = range.start.saturating_add(from).min(range.end);
                let end = start.saturating_add(most).min(range.end);
                if start == end { Ok(Vec::new()) } else { Ok(tx.blob_read(*blob, start..end)?) }
            }
            Octets::Made(octets) => {
                let range = within(0..octets.len() as u64, Some((from, Some(most))));
                let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(octets.len());
                Ok(octets[index(range.start)..index(range.end)].to_vec())
            }
        }
    }
}

/// The message with this uid, with its summary. One statement.
pub fn message(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uid: u32) -> Result<Option<Entry>> {
    let uids = UidSet::single(uid);
    let query = Query { uids: &uids, want: Want::Summary, changed_since: None, limit: 1 };
    Ok(view::entries(tx, account, mailbox, &query)?.pop())
}

/// The octets of a message that are meant; `None` when it has no such part.
///
/// Errors: `Corrupt` for a damaged summary, `Store`.
pub fn octets(tx: &ReadTx, entry: &Entry, wanted: &Wanted) -> Result<Option<Octets>> {
    let facts = entry.facts.as_ref().ok_or_else(|| Error::Corrupt("an entry without its content".into()))?;
    let damaged = |_| Error::Corrupt("the stored summary of a message is damaged".into());
    let summary = SummaryView::new(&facts.summary).map_err(damaged)?;
    let kind = match &wanted.text {
        Text::Content => SectionKind::Body,
        Text::Header | Text::Fields(_) | Text::FieldsNot(_) => SectionKind::Header,
        Text::Text => SectionKind::Text,
        Text::Mime => SectionKind::Mime,
    };
    let range = match (wanted.path.as_slice(), kind) {
        ([], SectionKind::Body) => Some(0..entry.size),
        ([], SectionKind::Header) => Some(0..summary.body_start),
        ([], SectionKind::Text) => Some(summary.body_start..entry.size),
        ([], SectionKind::Mime) => None,
        (path, kind) => {
            let structure: Part = summary.structure().map_err(damaged)?;
            structure.section(path, kind)
        }
    };
    let Some(range) = range else { return Ok(None) };
    let select = match &wanted.text {
        Text::Fields(names) => (names, header::select as fn(&[u8], &[&str]) -> Vec<u8>),
        Text::FieldsNot(names) => (names, header::select_not as fn(&[u8], &[&str]) -> Vec<u8>),
        Text::Content | Text::Header | Text::Text | Text::Mime => {
            let range = within(range, wanted.range);
            return Ok(Some(Octets::Stored { blob: facts.blob, size: entry.size, range }));
        }
    };
    let block = tx.blob_read(facts.blob, range.start..range.end.min(range.start.saturating_add(HEADER_MAX)))?;
    let names: Vec<&str> = select.0.iter().map(String::as_str).collect();
    let whole = Octets::Made(select.1(&block, &names));
    Ok(Some(match wanted.range {
        None => whole,
        Some((from, most)) => Octets::Made(whole.read(tx, from, most.unwrap_or(u64::MAX))?),
    }))
}

/// A range of a range: beyond the end it is cut.
fn within(range: Range<u64>, part: Option<(u64, Option<u64>)>) -> Range<u64> {
    let Some((from, most)) = part else { return range };
    let start = range.start.saturating_add(from).min(range.end);
    let end = most.map_or(range.end, |most| start.saturating_add(most).min(range.end));
    start..end
}

/// Octets of a header block that fields are selected from. The parser interprets no more of it either.
const HEADER_MAX: u64 = 1024 * 1024;
