//! What messages are sorted and threaded by: columns of keys by uid, taken from stored summaries.
//!
//! A message never changes and a uid is never given twice, so a key that was made once stays right. A column
//! is a list of chunks that never change once they are there: several sessions share them, and a message more
//! is a small chunk more.
//!
//! What it never does: look at the database, or at a message's text.

use std::cell::OnceCell;
use std::sync::Arc;

use postroad_imap::command::SortKey;
use postroad_mail::Entry;
use postroad_message::address::Address;
use postroad_message::{Envelope, HeaderDate, SummaryView, header, thread};

use crate::collation::Collation;
use crate::sort::subject::{BaseSubject, base_subject};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Seconds since 1970, or octets.
    Number(SortKey),
    /// Texts, as the comparator compares them.
    Text(SortKey, Collation),
    /// What threads are made of.
    Links,
}

impl Kind {
    /// What a sort key needs; `None`: nothing of the messages (RELEVANCY).
    pub(crate) fn of(key: SortKey, collation: Collation) -> Option<Kind> {
        Some(match key {
            SortKey::Relevancy => return None,
            SortKey::Arrival | SortKey::Date | SortKey::Size => Kind::Number(key),
            SortKey::Cc
            | SortKey::DisplayFrom
            | SortKey::DisplayTo
            | SortKey::From
            | SortKey::Subject
            | SortKey::To => Kind::Text(key, collation),
        })
    }
}

/// Keys of messages whose uids rise.
#[derive(Debug)]
pub(crate) struct Chunk {
    uids: Vec<u32>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Numbers(Vec<i64>),
    Texts(Pieces<u8>),
    Links(Vec<Link>, Pieces<u64>),
}

/// One after the other, with where each ends.
#[derive(Debug, Default)]
struct Pieces<T> {
    ends: Vec<u32>,
    all: Vec<T>,
}

/// What links a message to others. Message ids are told apart by a hash of 64 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its own id; 0: it has none.
    pub(crate) id: u64,
    /// Its subject is that of a reply or a forward.
    pub(crate) is_reply: bool,
}

/// All that is known of a mailbox's messages up to a uid.
#[derive(Debug, Clone, Default)]
pub(crate) struct Column {
    /// Every message with a uid up to this is in it.
    pub(crate) through: u32,
    chunks: Vec<Arc<Chunk>>,
}

impl<T: Copy> Pieces<T> {
    fn push(&mut self, piece: &[T]) {
        self.all.extend_from_slice(piece);
        self.ends.push(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
    }

    fn get(&self, at: usize) -> &[T] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[start as usize..self.ends[at] as usize]
    }
}

impl Chunk {
    /// The keys of entries that were read with what the kind needs, by uid.
    pub(crate) fn of(kind: Kind, entries: &[&Known<'_>]) -> Chunk {
        let uids = entries.iter().map(|known| known.entry.uid).collect();
        let values = match kind {
            Kind::Number(key) => Values::Numbers(entries.iter().map(|entry| number(key, entry)).collect()),
            Kind::Text(key, collation) => {
                let mut texts = Pieces::default();
                for entry in entries {
                    texts.push(text(key, collation, entry).as_bytes());
                }
                Values::Texts(texts)
            }
            Kind::Links => {
                let (mut links, mut parents) = (Vec::with_capacity(entries.len()), Pieces::default());
                for entry in entries {
                    let (link, ids) = link(entry);
                    links.push(link);
                    parents.push(&ids);
                }
                Values::Links(links, parents)
            }
        };
        Chunk { uids, values }
    }

    /// One after the other. Both are of one kind.
    fn joined(&self, next: &Chunk) -> Chunk {
        fn join<T: Copy>(a: &Pieces<T>, b: &Pieces<T>) -> Pieces<T> {
            let mut all = Pieces { ends: a.ends.clone(), all: a.all.clone() };
            (0..b.ends.len()).for_each(|at| all.push(b.get(at)));
            all
        }
        let values = match (&self.values, &next.values) {
            (Values::Numbers(a), Values::Numbers(b)) => Values::Numbers([a.as_slice(), b].concat()),
            (Values::Texts(a), Values::Texts(b)) => Values::Texts(join(a, b)),
            (Values::Links(a, ids_a), Values::Links(b, ids_b)) => {
                Values::Links([a.as_slice(), b].concat(), join(ids_a, ids_b))
            }
            (Values::Numbers(_) | Values::Texts(_) | Values::Links(..), _) => unreachable!("of one kind"),
        };
        Chunk { uids: [self.uids.as_slice(), &next.uids].concat(), values }
    }

    /// About how much memory it takes, in octets.
    fn octets(&self) -> usize {
        let values = match &self.values {
            Values::Numbers(numbers) => numbers.len() * 8,
            Values::Texts(texts) => texts.ends.len() * 4 + texts.all.len(),
            Values::Links(links, ids) => links.len() * 20 + ids.all.len() * 8,
        };
        self.uids.len() * 4 + values
    }
}

impl Column {
    /// Nothing.
    pub(crate) const EMPTY: Column = Column { through: 0, chunks: Vec::new() };

    /// Adds keys of messages behind all that are in it.
    pub(crate) fn push(&mut self, chunk: Chunk) {
        if chunk.uids.is_empty() {
            return;
        }
        match self.chunks.last_mut() {
            Some(last) if last.uids.len() + chunk.uids.len() <= CHUNK => *last = Arc::new(last.joined(&chunk)),
            Some(_) | None => self.chunks.push(Arc::new(chunk)),
        }
    }

    /// About how much memory it takes, in octets.
    pub(crate) fn octets(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.octets()).sum()
    }

    fn place(&self, uid: u32) -> Option<(&Chunk, usize)> {
        let at = self.chunks.partition_point(|chunk| chunk.uids[0] <= uid).checked_sub(1)?;
        let chunk = &self.chunks[at];
        chunk.uids.binary_search(&uid).ok().map(|index| (&**chunk, index))
    }

    /// The keys of `uids`, which rise: `None` for those that are not in it. Costs one walk along both.
    fn walk<'a>(&'a self, uids: &'a [u32]) -> impl Iterator<Item = Option<(&'a Chunk, usize)>> + 'a {
        let (mut at, mut index) = (0, 0);
        uids.iter().map(move |&uid| {
            while let Some(chunk) = self.chunks.get(at) {
                if chunk.uids.last().is_some_and(|&last| last >= uid) {
                    if chunk.uids[index] < uid {
                        // Mostly the next one.
                        index += 1;
                        if chunk.uids[index] < uid {
                            index += chunk.uids[index..].partition_point(|&other| other < uid);
                        }
                    }
                    return (chunk.uids[index] == uid).then_some((&**chunk, index));
                }
                (at, index) = (at + 1, 0);
            }
            None
        })
    }

    /// Numbers of messages whose uids rise; 0 for what is gone.
    pub(crate) fn numbers(&self, uids: &[u32]) -> Vec<i64> {
        self.walk(uids).map(|place| place.map_or(0, number_at)).collect()
    }

    /// Texts of messages whose uids rise; empty for what is gone.
    pub(crate) fn texts<'a>(&'a self, uids: &'a [u32]) -> Vec<&'a [u8]> {
        self.walk(uids).map(|place| place.map_or(&[][..], text_at)).collect()
    }

    /// Links of messages whose uids rise, and the ids of the messages that they follow, the nearest last.
    pub(crate) fn links<'a>(&'a self, uids: &'a [u32]) -> impl Iterator<Item = (Link, &'a [u64])> + 'a {
        self.walk(uids).map(|place| match place.map(|(chunk, index)| (&chunk.values, index)) {
            Some((Values::Links(links, ids), index)) => (links[index], ids.get(index)),
            Some((Values::Numbers(_) | Values::Texts(_), _)) | None => (Link::default(), &[][..]),
        })
    }

    /// The number of one message.
    pub(crate) fn number(&self, uid: u32) -> i64 {
        self.place(uid).map_or(0, number_at)
    }

    /// The text of one message.
    pub(crate) fn text(&self, uid: u32) -> &[u8] {
        self.place(uid).map_or(&[], text_at)
    }
}

fn number_at((chunk, index): (&Chunk, usize)) -> i64 {
    match &chunk.values {
        Values::Numbers(numbers) => numbers[index],
        Values::Texts(_) | Values::Links(..) => 0,
    }
}

fn text_at((chunk, index): (&Chunk, usize)) -> &[u8] {
    match &chunk.values {
        Values::Texts(texts) => texts.get(index),
        Values::Numbers(_) | Values::Links(..) => &[],
    }
}

/// An entry, of whose summary each part is read once, however many columns want it.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    pub(crate) entry: &'a Entry,
    summary: Option<SummaryView<'a>>,
    envelope: OnceCell<Envelope>,
    base: OnceCell<BaseSubject>,
}

impl<'a> Known<'a> {
    /// A damaged summary, and one that was not read, says nothing.
    pub(crate) fn new(entry: &'a Entry) -> Known<'a> {
        let summary = entry.facts.as_ref().and_then(|facts| SummaryView::new(&facts.summary).ok());
        Known { entry, summary, envelope: OnceCell::new(), base: OnceCell::new() }
    }

    fn envelope(&self) -> &Envelope {
        let read = || self.summary.as_ref().and_then(|view| view.envelope().ok()).unwrap_or_default();
        self.envelope.get_or_init(read)
    }

    fn base(&self) -> &BaseSubject {
        self.base.get_or_init(|| base_subject(&self.envelope().subject_text()))
    }
}

fn number(key: SortKey, known: &Known<'_>) -> i64 {
    let entry = known.entry;
    let received = entry.facts.as_ref().map_or(0, |facts| facts.received.0.div_euclid(MICROS_PER_SECOND));
    match key {
        SortKey::Size => i64::try_from(entry.size).unwrap_or(i64::MAX),
        // RFC 5256 §2.2: without a date that can be understood, the internal date.
        SortKey::Date => match known.summary.as_ref().map(|view| view.date) {
            Some(HeaderDate::Valid(time)) => time.micros.div_euclid(MICROS_PER_SECOND),
            Some(HeaderDate::Missing | HeaderDate::Invalid) | None => received,
        },
        SortKey::Arrival
        | SortKey::Cc
        | SortKey::DisplayFrom
        | SortKey::DisplayTo
        | SortKey::From
        | SortKey::Relevancy
        | SortKey::Subject
        | SortKey::To => received,
    }
}

fn text(key: SortKey, collation: Collation, known: &Known<'_>) -> String {
    let envelope = known.envelope();
    let text = match key {
        SortKey::Subject => known.base().text.clone(),
        SortKey::From => mailbox(&envelope.from),
        SortKey::To => mailbox(&envelope.to),
        SortKey::Cc => mailbox(&envelope.cc),
        SortKey::DisplayFrom => display(&envelope.from),
        SortKey::DisplayTo => display(&envelope.to),
        SortKey::Arrival | SortKey::Date | SortKey::Relevancy | SortKey::Size => String::new(),
    };
    let mut key = collation.key(&text).into_owned();
    let end = (0..=TEXT_MAX.min(key.len())).rev().find(|&end| key.is_char_boundary(end)).unwrap_or(0);
    key.truncate(end);
    key
}

/// RFC 5256 §3: addr-mailbox of the first address; of a group, its name.
fn mailbox(list: &[Address]) -> String {
    match list.first() {
        Some(Address::Mailbox(mailbox)) => mailbox.local.clone(),
        Some(Address::GroupStart(name)) => name.clone(),
        Some(Address::GroupEnd) | None => String::new(),
    }
}

/// RFC 5957 §3: the name, decoded; else the address; of a group, its name.
fn display(list: &[Address]) -> String {
    match list.first() {
        Some(Address::Mailbox(mailbox)) => match mailbox.display_name() {
            Some(name) if !name.is_empty() => name,
            Some(_) | None => mailbox.addr_spec(),
        },
        Some(Address::GroupStart(name)) => header::decode(name.as_bytes()),
        Some(Address::GroupEnd) | None => String::new(),
    }
}

/// RFC 5256 §3, REFERENCES: the ids of References; without any, the first of In-Reply-To.
fn link(known: &Known<'_>) -> (Link, Vec<u64>) {
    let envelope = known.envelope();
    let ids = |value: &[u8], limit| thread::message_ids(value, limit).iter().map(|id| id_hash(id)).collect();
    let own: Vec<u64> =
        envelope.message_id.as_deref().map(|value| ids(value.as_bytes(), usize::MAX)).unwrap_or_default();
    let fields = known.summary.as_ref().and_then(|view| view.fields().ok()).unwrap_or_default();
    let mut parents: Vec<u64> = fields.value("References").map(|value| ids(value, REFERENCES_MAX)).unwrap_or_default();
    if parents.is_empty() {
        parents = envelope.in_reply_to.as_deref().map(|value| ids(value.as_bytes(), usize::MAX)).unwrap_or_default();
        parents.truncate(1);
    }
    (Link { id: own.first().copied().unwrap_or(0), is_reply: known.base().is_reply }, parents)
}

/// The hash of an id in its normal form: `"a"@b` is `a@b` (RFC 5256 §3). Never 0.
fn id_hash(id: &str) -> u64 {
    let hash = match id.contains(['"', '\\']) {
        false => thread::hash(id.as_bytes()),
        true => thread::hash(id.replace(['"', '\\'], "").as_bytes()),
    };
    hash.max(1)
}

/// Messages of a chunk to which later ones are added.
const CHUNK: usize = 2_048;
/// Octets of a text that count when texts are compared.
pub(crate) const TEXT_MAX: usize = 512;
/// References of a message that count: the last ones, which are the nearest.
pub(crate) const REFERENCES_MAX: usize = 1_000;
const MICROS_PER_SECOND: i64 = 1_000_000;
