//! The keys as a tree, asked with what is known of a message.

use std::cell::OnceCell;
use std::ops::Range;

use postroad_mail::{Entry, Flags, UidSet};
use postroad_message::address::{self, Address};
use postroad_message::{Envelope, Fields, HeaderDate, SummaryView, decode};
use postroad_store::ModSeq;

use crate::search::text::Needle;

/// A key.
#[derive(Debug)]
pub(super) enum Node {
    /// All messages.
    All,
    /// All of these.
    And(Vec<Node>),
    /// Any of these.
    Or(Vec<Node>),
    /// Not this.
    Not(Box<Node>),
    /// One of these messages.
    Uids(UidSet),
    /// It has the flag.
    Flag(Flags),
    /// It has the keyword.
    Keyword(String),
    /// More octets than this.
    Larger(u64),
    /// Fewer octets than this.
    Smaller(u64),
    /// Changed at or after this.
    ModSeq(ModSeq),
    /// Its object id.
    EmailId(String),
    /// Its conversation's object id.
    ThreadId(String),
    /// Its internal date, in microseconds.
    Received(Range<i64>),
    /// Its Date field's day, in its own zone; days since 1970.
    Sent(Range<i64>),
    /// One of its addresses.
    Address(Who, Needle),
    /// Its subject.
    Subject(Needle),
    /// A field of its header. Where the summary does not have it, the text at this place decides.
    Header(String, Needle, usize),
    /// The text at this place of the plan's list decides.
    Text(usize),
}

/// A field with addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    From,
    To,
    Cc,
    Bcc,
}

/// What is known of a message.
pub(super) struct Known<'a> {
    entry: &'a Entry,
    summary: Option<SummaryView<'a>>,
    envelope: OnceCell<Envelope>,
    fields: OnceCell<Fields>,
    /// What its text says so far.
    texts: &'a [Option<bool>],
}

impl<'a> Known<'a> {
    /// Its row, and its summary if it was read. A damaged summary says nothing that would match.
    pub(super) fn of_entry(entry: &'a Entry) -> Known<'a> {
        let bytes = entry.facts.as_ref().map_or(&[][..], |facts| &facts.summary);
        let summary = SummaryView::new(bytes).ok();
        Known { entry, summary, envelope: OnceCell::new(), fields: OnceCell::new(), texts: &[] }
    }

    /// And what its text says so far.
    pub(super) fn of_texts(entry: &'a Entry, texts: &'a [Option<bool>]) -> Known<'a> {
        Known { texts, ..Known::of_entry(entry) }
    }

    fn envelope(&self) -> Option<&Envelope> {
        let summary = self.summary.as_ref()?;
        Some(self.envelope.get_or_init(|| summary.envelope().unwrap_or_default()))
    }

    fn fields(&self) -> Option<&Fields> {
        let summary = self.summary.as_ref()?;
        Some(self.fields.get_or_init(|| summary.fields().unwrap_or_default()))
    }

    fn text(&self, place: usize) -> Option<bool> {
        self.texts.get(place).copied().flatten()
    }

    fn received(&self) -> Option<i64> {
        self.entry.facts.as_ref().map(|facts| facts.received.0)
    }
}

impl Node {
    /// Whether the message matches; `None`: more must be known.
    pub(super) fn decide(&self, known: &Known<'_>) -> Option<bool> {
        match self {
            Node::All => Some(true),
            Node::And(nodes) => all(nodes, known, false),
            Node::Or(nodes) => all(nodes, known, true),
            Node::Not(node) => node.decide(known).map(|matches| !matches),
            Node::Uids(uids) => Some(uids.contains(known.entry.uid)),
            Node::Flag(flag) => Some(known.entry.flags.contains(*flag)),
            Node::Keyword(keyword) => Some(known.entry.keywords.contains(keyword)),
            Node::Larger(size) => Some(known.entry.size > *size),
            Node::Smaller(size) => Some(known.entry.size < *size),
            Node::ModSeq(modseq) => Some(known.entry.modseq >= *modseq),
            Node::EmailId(id) => Some(known.entry.message.to_string() == *id),
            Node::ThreadId(id) => known.entry.facts.as_ref().map(|facts| facts.thread.to_string() == *id),
            Node::Received(range) => known.received().map(|received| range.contains(&received)),
            Node::Sent(range) => sent(known).map(|day| range.contains(&day)),
            Node::Address(who, needle) => {
                known.envelope().map(|envelope| who.of(envelope).any(|one| needle.is_in(&one)))
            }
            Node::Subject(needle) => known.envelope().map(|envelope| needle.is_in(&envelope.subject_text())),
            Node::Header(name, needle, place) => header(known, name, needle, *place),
            Node::Text(place) => known.text(*place),
        }
    }
}

impl Node {
    /// Whether the message's row may decide it.
    pub(super) fn is_of_rows(&self) -> bool {
        match self {
            Node::And(nodes) => nodes.iter().any(Node::is_of_rows),
            Node::Or(nodes) => nodes.iter().all(Node::is_of_rows),
            Node::Not(node) => node.is_of_rows(),
            Node::All
            | Node::Uids(_)
            | Node::Flag(_)
            | Node::Keyword(_)
            | Node::Larger(_)
            | Node::Smaller(_)
            | Node::ModSeq(_)
            | Node::EmailId(_)
            | Node::ThreadId(_)
            | Node::Received(_) => true,
            Node::Sent(_) | Node::Address(..) | Node::Subject(_) | Node::Header(..) | Node::Text(_) => false,
        }
    }
}

/// Whether no node is `stop`. With `stop` false: all match; with `stop` true: it is turned around, any matches.
fn all(nodes: &[Node], known: &Known<'_>, stop: bool) -> Option<bool> {
    let mut open = false;
    for node in nodes {
        match node.decide(known) {
            Some(matches) if matches == stop => return Some(stop),
            Some(_) => {}
            None => open = true,
        }
    }
    if open { None } else { Some(!stop) }
}

/// The day of the Date field. RFC 5256 §2.2: what has none was sent when it was received.
fn sent(known: &Known<'_>) -> Option<i64> {
    match known.summary.as_ref()?.date {
        HeaderDate::Valid(time) => Some(time.local_date().days()),
        HeaderDate::Missing | HeaderDate::Invalid => {
            known.received().map(|received| received.div_euclid(MICROS_PER_DAY))
        }
    }
}

/// RFC 9051 §6.4.4: the field is there and has the text; with no text, the field is there.
fn header(known: &Known<'_>, name: &str, needle: &Needle, place: usize) -> Option<bool> {
    let fields = known.fields()?;
    if !fields.covers(name) {
        return known.text(place);
    }
    Some(fields.values(name).iter().any(|value| needle.is_in(&decode::header(value))))
}

impl Who {
    /// Each address as it is looked through: `Name <local@host>`, the name decoded.
    fn of(self, envelope: &Envelope) -> impl Iterator<Item = String> + '_ {
        let list = match self {
            Who::From => &envelope.from,
            Who::To => &envelope.to,
            Who::Cc => &envelope.cc,
            Who::Bcc => &envelope.bcc,
        };
        list.iter().map(|one| match one {
            Address::Mailbox(mailbox) => whole(mailbox),
            Address::GroupStart(name) => decode::header(name.as_bytes()),
            Address::GroupEnd => String::new(),
        })
    }
}

fn whole(mailbox: &address::Mailbox) -> String {
    match mailbox.display_name() {
        Some(name) => format!("{name} <{}>", mailbox.addr_spec()),
        None => mailbox.addr_spec(),
    }
}

/// Microseconds of a day.
pub(super) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Microseconds of a second.
pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
