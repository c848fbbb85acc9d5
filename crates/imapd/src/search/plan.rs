//! What a SEARCH comes to: the messages in question, and what must be asked of them.

use std::ops::Range;

use postroad_imap::command::SearchKey;
use postroad_imap::{Date, MessageSet, Numbering};
use postroad_mail::{Flags, UidSet, Want, index, mailboxes, view};
use postroad_search::Grams;
use postroad_store::{ModSeq, ReadTx};

use crate::collation::Collation;
use crate::error::Error;
use crate::message_limit::{self, Cut};
use crate::search::deep::{Scope, Wanted};
use crate::search::key::{Known, MICROS_PER_DAY, MICROS_PER_SECOND, Node, Who};
use crate::search::text::Needle;
use crate::session::{Place, Session};
use crate::view::{View, uid_set};

/// A SEARCH, worked out once.
#[derive(Debug)]
pub(super) struct Plan {
    /// Where.
    pub(super) place: Place,
    /// Only these can match; all of them exist, and the client sees them where the mailbox is selected.
    pub(super) candidates: UidSet,
    /// What each of them must match besides.
    pub(super) rest: Vec<Node>,
    /// What is asked of texts.
    pub(super) wanted: Vec<Wanted>,
    /// A MODSEQ key: CONDSTORE is enabled and the answer has MODSEQ.
    pub(super) condstore: bool,
    /// How much of each row.
    pub(super) want: Want,
    /// Rows looked at together.
    pub(super) batch: usize,
    /// How well messages match is asked too.
    pub(super) scored: bool,
    /// The client names more messages than are looked at.
    pub(super) cut: Option<Cut>,
}

impl Plan {
    /// `scored`: how well messages match is asked too (RFC 6203 RELEVANCY).
    pub(super) fn new(
        session: &Session,
        tx: &ReadTx,
        place: Place,
        key: &SearchKey,
        scored: bool,
    ) -> Result<Plan, Error> {
        let selected =
            session.view.as_ref().filter(|view| view.account == place.account && view.mailbox == place.mailbox);
        let all = match selected {
            Some(view) if view.map.is_some() => view.map().uids().difference(&view.ghosts),
            Some(_) | None => view::uids(tx, place.account, place.mailbox)?.into_iter().collect(),
        };
        let mut keys = Keys {
            view: selected.filter(|view| view.map.is_some()),
            last: all.last(),
            now: session.now.0,
            collation: session.collation,
            fuzzy: false,
            wanted: Vec::new(),
            want: Want::Flags,
            condstore: false,
        };
        let mut nodes = Vec::new();
        keys.conjunction(key, &mut nodes)?;
        let Keys { wanted, want, condstore, .. } = keys;
        let mut candidates = all;
        nodes.retain(|node| {
            if let Node::Uids(uids) = node {
                candidates = candidates.intersection(uids);
            }
            !matches!(node, Node::All | Node::Uids(_))
        });
        if candidates.count() > FEW {
            narrow(session, tx, place, &mut candidates, &mut nodes)?;
        }
        propose(tx, place, &mut candidates, &mut nodes, &wanted)?;
        let batch = match want {
            Want::Summary if wanted.iter().any(|wanted| !matches!(wanted.scope, Scope::Field(_))) => ROWS_TEXTS,
            Want::Summary => ROWS_SUMMARIES,
            Want::Flags | Want::Facts => ROWS,
        };
        // Where the rows may decide, summaries are read only of what they leave open.
        let want = if nodes.iter().any(Node::is_of_rows) { want.min(Want::Facts) } else { want };
        let scored = scored && nodes.iter().any(|node| node.is_fuzzy(&wanted));
        Ok(Plan { place, candidates, rest: nodes, wanted, condstore, want, batch, scored, cut: None })
    }

    /// Looks at no more messages one by one than these (RFC 9738).
    pub(super) fn limit(&mut self, most: Option<u32>) {
        if !self.rest.is_empty() {
            (self.candidates, self.cut) = message_limit::cut(most, std::mem::take(&mut self.candidates));
        }
    }

    /// How many messages are looked at one by one.
    pub(super) fn looked(&self) -> u64 {
        if self.rest.is_empty() { 0 } else { self.candidates.count() }
    }

    /// Whether a message matches; `None`: more must be known of it.
    pub(super) fn decide(&self, known: &Known<'_>) -> Option<bool> {
        let mut open = false;
        for node in &self.rest {
            match node.decide(known) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => open = true,
            }
        }
        if open { None } else { Some(true) }
    }
}

/// Flags that every message must have or lack are asked of the database at once, or of what is remembered of it.
fn narrow(
    session: &Session,
    tx: &ReadTx,
    place: Place,
    candidates: &mut UidSet,
    nodes: &mut Vec<Node>,
) -> Result<(), Error> {
    let (mut with, mut without) = (Flags::NONE, Flags::NONE);
    for node in nodes.iter() {
        match flag(node) {
            Some((flags, true)) => with = with | flags,
            Some((flags, false)) => without = without | flags,
            None => {}
        }
    }
    if with.is_empty() && without.is_empty() {
        return Ok(());
    }
    let uids = flagged(session, tx, place, (with, without))?;
    *candidates = candidates.intersection(&uids);
    nodes.retain(|node| flag(node).is_none());
    Ok(())
}

/// The messages with all of some flags and none of others.
fn flagged(session: &Session, tx: &ReadTx, place: Place, (with, without): (Flags, Flags)) -> Result<UidSet, Error> {
    let Place { account, mailbox } = place;
    let asked = || view::uids_by_flags(tx, account, mailbox, with, without);
    let now = mailboxes::by_id(tx, account, mailbox)?.filter(|now| now.messages >= MANY);
    let Some(now) = now.filter(|_| !with.contains(Flags::DELETED)) else { return Ok(asked()?) };
    if with.is_empty() && without == Flags::SEEN && now.unseen < now.messages / 2 {
        // The unseen ones are the latest, as a rule; where one of them is old, all that came since would be read each time.
        let latest = view::unseen_from(tx, account, mailbox, now.uidnext.saturating_sub(MANY), now.unseen)?;
        if latest.count() == u64::from(now.unseen) {
            return Ok(latest);
        }
    }
    match session.settings.remembered.by_flags(tx, place, &now, (with, without))? {
        Some(uids) => Ok(uids),
        None => Ok(asked()?),
    }
}

/// A flag that must be there, or must not.
fn flag(node: &Node) -> Option<(Flags, bool)> {
    if let Node::Flag(flag) = node {
        return Some((*flag, true));
    }
    let Node::Not(inner) = node else { return None };
    if let Node::Flag(flag) = **inner { Some((flag, false)) } else { None }
}

/// Asks the index which messages could have the texts, where that is cheaper than looking at them. What it leaves out
/// of one text of several keys (OR, NOT) becomes a key of its own beside that text's.
fn propose(
    tx: &ReadTx,
    place: Place,
    candidates: &mut UidSet,
    nodes: &mut Vec<Node>,
    wanted: &[Wanted],
) -> Result<(), Error> {
    let mut texts = Vec::new();
    nodes.iter().for_each(|node| node.texts(wanted, &mut texts));
    let few = if texts.iter().any(|text| text.deep) { FEW_TEXTS } else { FEW_SUMMARIES };
    if candidates.count() <= few || texts.iter().all(|text| text.grams.is_empty()) {
        return Ok(());
    }
    let grams: Vec<Grams> = texts.into_iter().map(|text| text.grams).collect();
    let mut sets = index::may_have(tx, place.account, place.mailbox, candidates, &grams)?.into_iter();
    for node in std::mem::take(nodes) {
        match node.narrowed(&mut sets) {
            Node::And(mut both) if matches!(both.first(), Some(Node::Uids(_))) => {
                if let Node::Uids(uids) = both.remove(0) {
                    *candidates = candidates.intersection(&uids);
                }
                nodes.append(&mut both);
            }
            node => nodes.push(node),
        }
    }
    Ok(())
}

/// A text that a node asks for, as the index is asked.
pub(super) struct Asked {
    pub(super) grams: Grams,
    /// A summary does not have it.
    pub(super) deep: bool,
}

/// Keys on their way to nodes.
struct Keys<'a> {
    /// The mailbox is selected: its numbers mean something.
    view: Option<&'a View>,
    last: Option<u32>,
    now: i64,
    collation: Collation,
    /// Within FUZZY.
    fuzzy: bool,
    wanted: Vec<Wanted>,
    want: Want,
    condstore: bool,
}

impl Keys<'_> {
    /// The keys that must all hold, one by one.
    fn conjunction(&mut self, key: &SearchKey, nodes: &mut Vec<Node>) -> Result<(), Error> {
        if let SearchKey::And(keys) = key {
            return keys.iter().try_for_each(|key| self.conjunction(key, nodes));
        }
        nodes.push(self.node(key)?);
        Ok(())
    }

    fn node(&mut self, key: &SearchKey) -> Result<Node, Error> {
        Ok(match key {
            SearchKey::All => Node::All,
            SearchKey::And(keys) => Node::And(keys.iter().map(|key| self.node(key)).collect::<Result<_, _>>()?),
            SearchKey::Or(first, second) => Node::Or(vec![self.node(first)?, self.node(second)?]),
            SearchKey::Not(key) => Node::Not(Box::new(self.node(key)?)),
            SearchKey::Fuzzy(key) => {
                let outside = std::mem::replace(&mut self.fuzzy, true);
                let node = self.node(key)?;
                self.fuzzy = outside;
                node
            }
            SearchKey::Filter(_) => return Err(Error::bug("a named search that was not looked up")),
            SearchKey::Sequence(set) => self.messages(set, Numbering::Sequence)?,
            SearchKey::Uid(set) => self.messages(set, Numbering::Uid)?,
            SearchKey::UidAfter(uid) => Node::Uids(match uid.checked_add(1) {
                Some(next) => UidSet::range(next, u32::MAX),
                None => UidSet::new(),
            }),
            SearchKey::UidBefore(uid) => Node::Uids(match uid.checked_sub(1).filter(|last| *last > 0) {
                Some(last) => UidSet::range(1, last),
                None => UidSet::new(),
            }),
            SearchKey::Answered => Node::Flag(Flags::ANSWERED),
            SearchKey::Deleted => Node::Flag(Flags::DELETED),
            SearchKey::Draft => Node::Flag(Flags::DRAFT),
            SearchKey::Flagged => Node::Flag(Flags::FLAGGED),
            SearchKey::Seen => Node::Flag(Flags::SEEN),
            SearchKey::Recent => Node::Uids(match self.view {
                Some(view) => view.recent_uids.as_ref().clone(),
                None => UidSet::new(),
            }),
            SearchKey::Keyword(keyword) => Node::Keyword(keyword.as_str().to_owned()),
            SearchKey::Bcc(text) => self.address(Who::Bcc, text),
            SearchKey::Cc(text) => self.address(Who::Cc, text),
            SearchKey::From(text) => self.address(Who::From, text),
            SearchKey::To(text) => self.address(Who::To, text),
            SearchKey::Subject(text) => self.of_summary(Node::Subject(self.needle(text))),
            SearchKey::Body(text) => self.text(Scope::Body, text),
            SearchKey::Text(text) => self.text(Scope::All, text),
            SearchKey::Header(name, text) => {
                let place = self.place(Scope::Field(name.clone()), text);
                self.of_summary(Node::Header(name.clone(), self.needle(text), place))
            }
            SearchKey::Before(date) => self.received(i64::MIN..start(*date)),
            SearchKey::On(date) => self.received(start(*date)..start(next(*date))),
            SearchKey::Since(date) => self.received(start(*date)..i64::MAX),
            SearchKey::SavedBefore(date) => Node::Saved(i64::MIN..start(*date)),
            SearchKey::SavedOn(date) => Node::Saved(start(*date)..start(next(*date))),
            SearchKey::SavedSince(date) => Node::Saved(start(*date)..i64::MAX),
            SearchKey::SentBefore(date) => self.of_summary(Node::Sent(i64::MIN..date.days)),
            SearchKey::SentOn(date) => self.of_summary(Node::Sent(date.days..date.days + 1)),
            SearchKey::SentSince(date) => self.of_summary(Node::Sent(date.days..i64::MAX)),
            SearchKey::HasAttachment => self.of_summary(Node::Attachment),
            SearchKey::FileName(text) => self.of_summary(Node::FileName(self.needle(text))),
            SearchKey::Near(near) => {
                let needle = Needle::near(self.collation, near);
                self.wanted.push(Wanted { scope: Scope::All, needle });
                self.of_summary(Node::Text(self.wanted.len() - 1))
            }
            SearchKey::GmailRaw(_)
            | SearchKey::GmailMessage(_)
            | SearchKey::GmailThread(_)
            | SearchKey::Label(_)
            | SearchKey::LabelLike(_)
            | SearchKey::UserLabels => {
                return Err(Error::bug("a label that was not looked up"));
            }
            SearchKey::Larger(size) => Node::Larger(*size),
            SearchKey::Smaller(size) => Node::Smaller(*size),
            // RFC 5032 §3: both include the very second.
            SearchKey::Older(seconds) => self.received(i64::MIN..self.ago(*seconds).saturating_add(1)),
            SearchKey::Younger(seconds) => self.received(self.ago(*seconds)..i64::MAX),
            SearchKey::ModSeq(value) => {
                self.condstore = true;
                Node::ModSeq(ModSeq(i64::try_from(*value).unwrap_or(i64::MAX)))
            }
            SearchKey::EmailId(id) => Node::EmailId(id.clone()),
            SearchKey::ThreadId(id) => {
                self.want = self.want.max(Want::Facts);
                Node::ThreadId(id.clone())
            }
        })
    }

    /// A number beyond the last message matches nothing: here it is a question, not a mistake.
    fn messages(&self, set: &MessageSet, numbering: Numbering) -> Result<Node, Error> {
        match (self.view, set, numbering) {
            (Some(view), _, _) => Ok(Node::Uids(view.matching(set, numbering))),
            (None, MessageSet::Set(set), Numbering::Uid) => Ok(Node::Uids(uid_set(&set.resolve(self.last)))),
            // RFC 7377 §2.1: numbers and `$` mean nothing in a mailbox that is not selected.
            (None, MessageSet::Set(_) | MessageSet::Saved, _) => {
                Err(Error::bad("message numbers and $ are those of the selected mailbox"))
            }
        }
    }

    fn needle(&self, text: &str) -> Needle {
        // A field that is only to be there, and a text without words, are asked for as they are.
        match self.fuzzy && text.chars().any(char::is_alphanumeric) {
            true => Needle::fuzzy(text),
            false => Needle::exact(self.collation, text),
        }
    }

    fn received(&mut self, range: Range<i64>) -> Node {
        self.want = self.want.max(Want::Facts);
        Node::Received(range)
    }

    fn ago(&self, seconds: u32) -> i64 {
        self.now.saturating_sub(i64::from(seconds) * MICROS_PER_SECOND)
    }

    fn address(&mut self, who: Who, text: &str) -> Node {
        let needle = self.needle(text);
        self.of_summary(Node::Address(who, needle))
    }

    fn of_summary(&mut self, node: Node) -> Node {
        self.want = Want::Summary;
        node
    }

    fn text(&mut self, scope: Scope, text: &str) -> Node {
        let place = self.place(scope, text);
        self.of_summary(Node::Text(place))
    }

    fn place(&mut self, scope: Scope, text: &str) -> usize {
        let needle = self.needle(text);
        self.wanted.push(Wanted { scope, needle });
        self.wanted.len() - 1
    }
}

/// RFC 9051 §6.4.4: dates disregard time and zone; internal dates are kept in UTC.
fn start(date: Date) -> i64 {
    date.days.saturating_mul(MICROS_PER_DAY)
}

fn next(date: Date) -> Date {
    Date { days: date.days + 1 }
}

/// Up to so many messages are cheaper looked at one by one than asked for by their flags.
const FEW: u64 = 2_000;
/// In a mailbox of so many messages flags are looked for in what is remembered of it; and so many of the latest are looked at before
/// that.
const MANY: u32 = 10_000;
/// The same, when texts decide: those of so many messages are read as soon as the index is.
const FEW_TEXTS: u64 = 64;
/// The same, when summaries decide.
const FEW_SUMMARIES: u64 = 500;
/// Rows looked at together.
const ROWS: usize = 2_000;
/// Rows looked at together when summaries may be needed.
const ROWS_SUMMARIES: usize = 500;
/// Rows looked at together when texts may be needed: their summaries wait for it.
const ROWS_TEXTS: usize = 100;
