//! The keys as a tree, asked with what is known of a message.

use std::cell::OnceCell;
use std::ops::Range;

use postroad_mail::{Entry, Flags, UidSet};
use postroad_message::{Envelope, Fields, HeaderDate, Part, SummaryView, decode};
use postroad_search::fuzzy::Score;
use postroad_search::walk::address_text;
use postroad_search::{Field, Grams};
use postroad_store::ModSeq;

use crate::search::deep::Wanted;
use crate::search::plan::Asked;
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
    /// When it came into this mailbox, in microseconds.
    Saved(Range<i64>),
    /// Its Date field's day, in its own zone; days since 1970.
    Sent(Range<i64>),
    /// One of its addresses.
    Address(Who, Needle),
    /// Its subject.
    Subject(Needle),
    /// It has an attachment.
    Attachment,
    /// The file name of one of its parts.
    FileName(Needle),
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
    /// What its text says so far, and how well it matches.
    texts: &'a [Option<bool>],
    scores: &'a [Score],
}

impl<'a> Known<'a> {
    /// Its row, and its summary if it was read. A damaged summary says nothing that would match.
    pub(super) fn of_entry(entry: &'a Entry) -> Known<'a> {
        let bytes = entry.facts.as_ref().map_or(&[][..], |facts| &facts.summary);
        let summary = SummaryView::new(bytes).ok();
        Known { entry, summary, envelope: OnceCell::new(), fields: OnceCell::new(), texts: &[], scores: &[] }
    }

    /// And what its text says so far.
    pub(super) fn of_texts(entry: &'a Entry, texts: &'a [Option<bool>], scores: &'a [Score]) -> Known<'a> {
        Known { texts, scores, ..Known::of_entry(entry) }
    }

    /// Its uid and modseq.
    pub(super) fn message(&self) -> (u32, ModSeq) {
        (self.entry.uid, self.entry.modseq)
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
            Node::Saved(range) => Some(range.contains(&known.entry.saved.0)),
            Node::Received(range) => known.received().map(|received| range.contains(&received)),
            Node::Sent(range) => sent(known).map(|day| range.contains(&day)),
            Node::Address(who, needle) => {
                known.envelope().map(|envelope| who.of(envelope).any(|one| needle.is_in(&one)))
            }
            Node::Subject(needle) => known.envelope().map(|envelope| needle.is_in(&envelope.subject_text())),
            Node::Attachment => known.summary.as_ref().map(|summary| summary.has_attachment),
            Node::FileName(needle) => {
                known.summary.as_ref().map(|summary| summary.structure().is_ok_and(|part| has_file_name(&part, needle)))
            }
            Node::Header(name, needle, place) => header(known, name, needle, *place),
            Node::Text(place) => known.text(*place),
        }
    }
}

impl Node {
    /// The texts that it asks for, in order; with [`Node::narrowed`] in the same order.
    pub(super) fn texts(&self, wanted: &[Wanted], out: &mut Vec<Asked>) {
        match self {
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().for_each(|node| node.texts(wanted, out)),
            Node::Not(node) => node.texts(wanted, out),
            Node::Address(who, needle) => out.push(Asked { grams: needle.grams_in(who.field()), deep: false }),
            Node::Subject(needle) => out.push(Asked { grams: needle.grams_in(Field::Subject), deep: false }),
            Node::Header(_, needle, _) => out.push(Asked { grams: needle.grams(), deep: false }),
            Node::Text(place) => {
                let grams = wanted.get(*place).map(|wanted| wanted.needle.grams());
                out.push(Asked { grams: grams.unwrap_or_else(|| Grams::of("")), deep: true });
            }
            Node::All
            | Node::Uids(_)
            | Node::Flag(_)
            | Node::Keyword(_)
            | Node::Larger(_)
            | Node::Smaller(_)
            | Node::ModSeq(_)
            | Node::EmailId(_)
            | Node::ThreadId(_)
            | Node::Received(_)
            | Node::Saved(_)
            | Node::Sent(_)
            | Node::Attachment
            | Node::FileName(_) => {}
        }
    }

    /// With the messages that could have each text beside the node that asks for it.
    pub(super) fn narrowed(self, sets: &mut impl Iterator<Item = UidSet>) -> Node {
        match self {
            Node::And(nodes) => Node::And(nodes.into_iter().map(|node| node.narrowed(sets)).collect()),
            Node::Or(nodes) => Node::Or(nodes.into_iter().map(|node| node.narrowed(sets)).collect()),
            Node::Not(node) => Node::Not(Box::new(node.narrowed(sets))),
            node @ (Node::Address(..) | Node::Subject(_) | Node::Header(..) | Node::Text(_)) => match sets.next() {
                Some(uids) => Node::And(vec![Node::Uids(uids), node]),
                None => node,
            },
            node @ (Node::All
            | Node::Uids(_)
            | Node::Flag(_)
            | Node::Keyword(_)
            | Node::Larger(_)
            | Node::Smaller(_)
            | Node::ModSeq(_)
            | Node::EmailId(_)
            | Node::ThreadId(_)
            | Node::Received(_)
            | Node::Saved(_)
            | Node::Sent(_)
            | Node::Attachment
            | Node::FileName(_)) => node,
        }
    }

    /// Whether it has a fuzzy key, outside of NOT.
    pub(super) fn is_fuzzy(&self, wanted: &[Wanted]) -> bool {
        match self {
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().any(|node| node.is_fuzzy(wanted)),
            Node::Address(_, needle) | Node::Subject(needle) | Node::Header(_, needle, _) => needle.is_fuzzy(),
            Node::Text(place) => wanted.get(*place).is_some_and(|wanted| wanted.needle.is_fuzzy()),
            Node::Not(_)
            | Node::All
            | Node::Uids(_)
            | Node::Flag(_)
            | Node::Keyword(_)
            | Node::Larger(_)
            | Node::Smaller(_)
            | Node::ModSeq(_)
            | Node::EmailId(_)
            | Node::ThreadId(_)
            | Node::Received(_)
            | Node::Saved(_)
            | Node::Sent(_)
            | Node::Attachment
            | Node::FileName(_) => false,
        }
    }

    /// How well the fuzzy keys match, each that does (RFC 6203 §4).
    pub(super) fn relevancies(&self, known: &Known<'_>, out: &mut Vec<u8>) {
        match self {
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().for_each(|node| node.relevancies(known, out)),
            Node::Address(who, needle) if needle.is_fuzzy() => {
                let best =
                    known.envelope().and_then(|envelope| who.of(envelope).filter_map(|one| needle.score(&one)).max());
                out.extend(best);
            }
            Node::Subject(needle) if needle.is_fuzzy() => {
                out.extend(known.envelope().and_then(|envelope| needle.score(&envelope.subject_text())));
            }
            Node::Header(name, needle, _) if needle.is_fuzzy() => {
                let values = known.fields().map(|fields| fields.values(name)).unwrap_or_default();
                out.extend(values.iter().filter_map(|value| needle.score(&decode::header(value))).max());
            }
            Node::Text(place) => {
                out.extend(known.scores.get(*place).filter(|score| score.is_of_words()).map(Score::relevancy));
            }
            Node::All
            | Node::Not(_)
            | Node::Uids(_)
            | Node::Flag(_)
            | Node::Keyword(_)
            | Node::Larger(_)
            | Node::Smaller(_)
            | Node::ModSeq(_)
            | Node::EmailId(_)
            | Node::ThreadId(_)
            | Node::Received(_)
            | Node::Saved(_)
            | Node::Sent(_)
            | Node::Address(..)
            | Node::Subject(_)
            | Node::Attachment
            | Node::FileName(_)
            | Node::Header(..) => {}
        }
    }

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
            | Node::Received(_)
            | Node::Saved(_) => true,
            Node::Sent(_)
            | Node::Address(..)
            | Node::Subject(_)
            | Node::Attachment
            | Node::FileName(_)
            | Node::Header(..)
            | Node::Text(_) => false,
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

/// Whether a part, at any depth, has a file name with the text. Depth is bounded by the parser.
fn has_file_name(part: &Part, needle: &Needle) -> bool {
    let own = part.file_name().is_some_and(|name| needle.is_in(&name));
    own || part.children().iter().any(|child| has_file_name(child, needle))
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
    fn field(self) -> Field {
        match self {
            Who::From => Field::From,
            Who::To => Field::To,
            Who::Cc => Field::Cc,
            Who::Bcc => Field::Bcc,
        }
    }

    /// Each address as it is looked through: `Name <local@host>`, the name decoded.
    fn of(self, envelope: &Envelope) -> impl Iterator<Item = String> + '_ {
        let list = match self {
            Who::From => &envelope.from,
            Who::To => &envelope.to,
            Who::Cc => &envelope.cc,
            Who::Bcc => &envelope.bcc,
        };
        list.iter().map(address_text)
    }
}

/// Microseconds of a day.
pub(super) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Microseconds of a second.
pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
