//! What a FETCH comes to: which messages, which rows, which items.

use postroad_imap::Numbering;
use postroad_imap::command::{Fetch, FetchItem, PartialRange, SectionText};
use postroad_mail::view::{self, Query};
use postroad_mail::{Rights, UidSet, Want, changes};
use postroad_store::{ModSeq, ReadTx};

use crate::error::Error;
use crate::fetch::light::Light;
use crate::gmail;
use crate::message_limit::{self, Cut};
use crate::search::answer::nth;
use crate::session::Session;

/// A FETCH, worked out once.
#[derive(Debug)]
pub(super) struct Plan {
    /// The messages meant, as far as they exist.
    targets: UidSet,
    /// Some of those meant are gone.
    pub(super) ghosts: bool,
    /// None of those meant exists.
    pub(super) all_gone: bool,
    /// The items, when all of them are in an entry's own row.
    pub(super) light: Option<Vec<Light>>,
    /// What to tell, in this order.
    pub(super) items: Vec<FetchItem>,
    /// What to tell besides of a message that is `\Seen` only now.
    pub(super) items_when_seen: Vec<FetchItem>,
    /// FLAGS are among what is told.
    pub(super) tells_flags: bool,
    /// Reading these items makes a message `\Seen`.
    pub(super) sets_seen: bool,
    /// The command enables CONDSTORE.
    pub(super) condstore: bool,
    pub(super) changed_since: Option<ModSeq>,
    /// How much of each row.
    pub(super) want: Want,
    /// Rows read at once.
    pub(super) batch: usize,
    /// Octets of the messages are read.
    pub(super) reads_text: bool,
    /// Fewer messages than were named: they are told from the highest to the lowest (RFC 9738 §3.1).
    pub(super) cut: Option<Cut>,
}

impl Plan {
    pub(super) fn new(session: &Session, tx: &ReadTx, fetch: &Fetch) -> Result<Plan, Error> {
        // RFC 7162 §3.2.6: VANISHED needs QRESYNC.
        if fetch.vanished && !session.enabled.qresync {
            return Err(Error::bad("VANISHED needs ENABLE QRESYNC first"));
        }
        gmail::check(session, fetch)?;
        let view = session.view()?;
        let named = view.resolve(&fetch.set, fetch.numbering)?;
        let mut targets = named.difference(&view.ghosts);
        let ghosts = targets.count() != named.count();
        let all_gone = targets.is_empty();
        let changed_since = fetch.changed_since.map(mod_seq);
        if let Some(since) = changed_since
            && let Some(touched) = changes::touched_since(tx, view.account, view.mailbox, since)?
        {
            targets = targets.intersection(&touched);
        }
        if let Some(range) = fetch.partial {
            message_limit::check_partial(session, range)?;
            targets = part(session, tx, &targets, changed_since, range)?;
        }
        let (targets, cut) = message_limit::within(session, targets);
        let has = |item: &FetchItem| fetch.items.contains(item);
        // RFC 7162 §3.1.4.1 and §3.1.5: both enable CONDSTORE, and CHANGEDSINCE implies MODSEQ.
        let condstore = fetch.changed_since.is_some() || has(&FetchItem::ModSeq);
        let mut items = Vec::new();
        // RFC 9051 §6.4.9: UID FETCH implies UID. RFC 7162 §3.2.4: so does QRESYNC, for every response.
        // RFC 9586 §3.3: UIDFETCH has it in front.
        let implied = (fetch.numbering == Numbering::Uid || session.enabled.qresync) && !session.enabled.uid_only;
        if implied && !has(&FetchItem::Uid) {
            items.push(FetchItem::Uid);
        }
        items.extend(fetch.items.iter().cloned());
        if fetch.changed_since.is_some() && !has(&FetchItem::ModSeq) {
            items.push(FetchItem::ModSeq);
        }
        let sets_seen = !view.read_only && view.rights.contains(Rights::SEEN) && items.iter().any(FetchItem::sets_seen);
        let mut items_when_seen = Vec::new();
        if sets_seen && !has(&FetchItem::Flags) {
            items_when_seen.push(FetchItem::Flags);
        }
        if sets_seen && (condstore || session.enabled.condstore) && !items.contains(&FetchItem::ModSeq) {
            items_when_seen.push(FetchItem::ModSeq);
        }
        let utf8 = session.enabled.utf8();
        let want = items.iter().map(|item| want(item, utf8)).max().unwrap_or(Want::Flags);
        let batch = match want {
            Want::Flags => ROWS_FLAGS,
            Want::Facts | Want::Summary if items.iter().any(reads_blob) => ROWS_BODIES,
            Want::Facts => ROWS_FACTS,
            Want::Summary => ROWS_SUMMARIES,
        };
        Ok(Plan {
            ghosts,
            all_gone,
            targets,
            reads_text: items.iter().any(reads_blob),
            light: if cut.is_none() { Light::all(&items) } else { None },
            tells_flags: has(&FetchItem::Flags) || sets_seen,
            items,
            items_when_seen,
            sets_seen,
            condstore,
            changed_since,
            want,
            batch,
            cut,
        })
    }

    /// How many messages are meant.
    pub(super) fn count(&self) -> u64 {
        self.targets.count()
    }

    /// Whether there are messages after the UID `last`.
    pub(super) fn goes_beyond(&self, last: u32) -> bool {
        match self.cut {
            None => self.targets.last().is_some_and(|highest| highest > last),
            Some(_) => self.targets.first().is_some_and(|lowest| last == 0 || lowest < last),
        }
    }

    /// What stands for the end of all messages.
    pub(super) fn end(&self) -> u32 {
        if self.cut.is_none() { u32::MAX } else { 1 }
    }

    /// Whether a UID comes after `through`, or nothing is through.
    pub(super) fn is_after(&self, uid: u32, through: u32) -> bool {
        if self.cut.is_none() { uid > through } else { through == 0 || uid < through }
    }

    /// The next of the messages after the UID `last` up to the UID `end`, at most `limit` where they come from the end.
    pub(super) fn next(&self, last: u32, end: u32, limit: usize) -> UidSet {
        let rest = self.rest(last, end);
        if self.cut.is_none() { rest } else { message_limit::highest(&rest, limit) }
    }

    /// The messages after the UID `last` up to the UID `end`. 0 is before all.
    pub(super) fn rest(&self, last: u32, end: u32) -> UidSet {
        if self.cut.is_some() {
            return match last {
                0 => self.targets.intersection(&UidSet::range(end.max(1), u32::MAX)),
                last if last > end => self.targets.intersection(&UidSet::range(end.max(1), last - 1)),
                _ => UidSet::new(),
            };
        }
        match last.checked_add(1) {
            Some(first) if first <= end => self.targets.intersection(&UidSet::range(first, end)),
            Some(_) | None => UidSet::new(),
        }
    }
}

/// RFC 9394 §3.3: these places of what would be told. With CHANGEDSINCE that is what changed.
fn part(
    session: &Session,
    tx: &ReadTx,
    targets: &UidSet,
    changed_since: Option<ModSeq>,
    range: PartialRange,
) -> Result<UidSet, Error> {
    let place = session.place()?;
    let changed = match changed_since {
        None => targets.clone(),
        Some(_) => {
            let limit = usize::try_from(targets.count()).unwrap_or(usize::MAX);
            let query = Query { uids: targets, want: Want::Flags, changed_since, limit };
            view::entries(tx, place.account, place.mailbox, &query)?.iter().map(|entry| entry.uid).collect()
        }
    };
    let count = usize::try_from(changed.count()).unwrap_or(usize::MAX);
    Ok(nth(&changed, range.of(count)))
}

/// A modification sequence as the store counts them.
pub(super) fn mod_seq(value: u64) -> ModSeq {
    ModSeq(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Whether an item may need the message's bytes. HEADER.FIELDS are mostly in the summary.
fn reads_blob(item: &FetchItem) -> bool {
    match item {
        FetchItem::Section { section, .. } => {
            !(section.part.is_empty() && matches!(section.text, Some(SectionText::HeaderFields(_))))
        }
        FetchItem::Binary { .. }
        | FetchItem::BinarySize { .. }
        | FetchItem::Rfc822
        | FetchItem::Rfc822Header
        | FetchItem::Rfc822Text => true,
        FetchItem::Uid
        | FetchItem::Flags
        | FetchItem::InternalDate
        | FetchItem::Size
        | FetchItem::Envelope
        | FetchItem::Body
        | FetchItem::BodyStructure
        | FetchItem::ModSeq
        | FetchItem::EmailId
        | FetchItem::ThreadId
        | FetchItem::SaveDate
        | FetchItem::Preview
        | FetchItem::GmailMessage
        | FetchItem::GmailThread
        | FetchItem::Labels => false,
    }
}

/// How much of a row an item needs. A whole message is told as it lies there, unless its header has to be looked at for a client
/// without `utf8`: the summary knows whether.
fn want(item: &FetchItem, utf8: bool) -> Want {
    let whole = if utf8 { Want::Facts } else { Want::Summary };
    match item {
        FetchItem::Uid
        | FetchItem::Flags
        | FetchItem::Size
        | FetchItem::ModSeq
        | FetchItem::EmailId
        | FetchItem::SaveDate
        | FetchItem::GmailMessage
        | FetchItem::Labels => Want::Flags,
        FetchItem::InternalDate | FetchItem::ThreadId | FetchItem::GmailThread => Want::Facts,
        FetchItem::Rfc822 => whole,
        FetchItem::Section { section, .. } if section.part.is_empty() && section.text.is_none() => whole,
        FetchItem::Envelope
        | FetchItem::Body
        | FetchItem::BodyStructure
        | FetchItem::Preview
        | FetchItem::Rfc822Header
        | FetchItem::Rfc822Text
        | FetchItem::Section { .. }
        | FetchItem::Binary { .. }
        | FetchItem::BinarySize { .. } => Want::Summary,
    }
}

/// Rows read at once when nothing but the entries is needed.
const ROWS_FLAGS: usize = 2_000;
/// Rows read at once when they are joined with their content.
const ROWS_FACTS: usize = 1_000;
/// Rows read at once with summaries: about as many as fill a job's output.
const ROWS_SUMMARIES: usize = 200;
/// Rows read at once when each message's bytes are read too.
const ROWS_BODIES: usize = 32;
