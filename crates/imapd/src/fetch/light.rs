//! FETCH of what an entry's own row has: UID, FLAGS, RFC822.SIZE, MODSEQ.
//!
//! What a client asks of a whole mailbox each time that it opens it. Written straight from the rows, or from what is
//! [`remembered`](crate::fetch::remembered) of them.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use postroad_imap::command::FetchItem;
use postroad_mail::view::{self, Glance, Query};
use postroad_mail::{Flags, Mailbox, UidSet, Want, mailboxes};
use postroad_store::{ModSeq, ReadTx};

use crate::error::Error;
use crate::fetch::Cursor;
use crate::fetch::plan::Plan;
use crate::fetch::remembered::Listing;
use crate::flags;
use crate::session::Session;
use crate::settings::OUTPUT_BUDGET;
use crate::sync;

/// An item that an entry's own row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Light {
    Uid,
    Flags,
    Size,
    ModSeq,
}

impl Light {
    /// All of a FETCH that is of this kind.
    pub(super) fn all(items: &[FetchItem]) -> Option<Vec<Light>> {
        items.iter().map(Light::of).collect()
    }

    fn of(item: &FetchItem) -> Option<Light> {
        match item {
            FetchItem::Uid => Some(Light::Uid),
            FetchItem::Flags => Some(Light::Flags),
            FetchItem::Size => Some(Light::Size),
            FetchItem::ModSeq => Some(Light::ModSeq),
            FetchItem::InternalDate
            | FetchItem::Envelope
            | FetchItem::Body
            | FetchItem::BodyStructure
            | FetchItem::Rfc822
            | FetchItem::Rfc822Header
            | FetchItem::Rfc822Text
            | FetchItem::Section { .. }
            | FetchItem::Binary { .. }
            | FetchItem::BinarySize { .. }
            | FetchItem::EmailId
            | FetchItem::ThreadId
            | FetchItem::SaveDate
            | FetchItem::Preview
            | FetchItem::GmailMessage
            | FetchItem::GmailThread
            | FetchItem::Labels => None,
        }
    }
}

/// A listing that is made while a whole mailbox is told.
#[derive(Debug)]
pub(super) struct Collecting {
    modseq: ModSeq,
    listing: Listing,
}

/// The responses for the messages that are left. False: there are more, for the next job.
pub(super) fn tell(
    session: &mut Session,
    tx: &ReadTx,
    plan: &Plan,
    items: &[Light],
    cursor: &mut Cursor,
) -> Result<bool, Error> {
    let place = session.place()?;
    let now = match &session.looked {
        Some(looked) => Mailbox::clone(looked),
        None => mailboxes::by_id(tx, place.account, place.mailbox)?.ok_or(Error::Deselected)?,
    };
    let remembered = Arc::clone(&session.settings.remembered);
    if let Some(listing) = remembered.find(tx, place, &now)? {
        cursor.collecting = None;
        return from_memory(session, tx, (plan, items), cursor, &listing);
    }
    begin_collecting(session, plan, cursor, &now)?;
    let all = from_rows(session, tx, (plan, items), cursor)?;
    if all && let Some(collecting) = cursor.collecting.take() {
        remembered.keep(place, &now, Some(collecting.listing));
    }
    Ok(all)
}

/// A listing can be made of a FETCH of all messages, as long as nothing changes meanwhile.
fn begin_collecting(session: &Session, plan: &Plan, cursor: &mut Cursor, now: &Mailbox) -> Result<(), Error> {
    let whole =
        plan.changed_since.is_none() && now.messages >= WORTH_REMEMBERING && plan.count() >= now.messages.into();
    if cursor.last == 0 && whole && session.view()?.ghosts.is_empty() {
        cursor.collecting = Some(Collecting { modseq: now.highest_modseq, listing: Listing::default() });
    }
    if cursor.collecting.as_ref().is_some_and(|collecting| collecting.modseq != now.highest_modseq) {
        cursor.collecting = None;
    }
    Ok(())
}

fn from_memory(
    session: &mut Session,
    tx: &ReadTx,
    (plan, items): (&Plan, &[Light]),
    cursor: &mut Cursor,
    listing: &Listing,
) -> Result<bool, Error> {
    let rest = plan.rest(cursor.last, u32::MAX);
    let mut lines = Lines::new(session, items);
    for &(low, high) in rest.ranges() {
        for line in listing.between(low, high) {
            let entry = listing.entry(line);
            if plan.changed_since.is_some_and(|since| entry.modseq <= since) {
                continue;
            }
            if lines.is_news(&entry) {
                lines.hear(session, tx, entry.keywords)?;
            }
            lines.write(session, items, &entry)?;
            cursor.last = entry.uid;
            if session.staged.len() >= OUTPUT_BUDGET {
                return Ok(false);
            }
        }
    }
    cursor.last = u32::MAX;
    Ok(true)
}

fn from_rows(
    session: &mut Session,
    tx: &ReadTx,
    (plan, items): (&Plan, &[Light]),
    cursor: &mut Cursor,
) -> Result<bool, Error> {
    let place = session.place()?;
    let mut lines = Lines::new(session, items);
    let mut looked = 0;
    loop {
        let rest: UidSet = plan.rest(cursor.last, u32::MAX);
        if rest.is_empty() {
            return Ok(true);
        }
        let query = Query { uids: &rest, want: Want::Flags, changed_since: plan.changed_since, limit: ROWS_PER_JOB };
        let (mut news, mut outcome) = (None::<Box<str>>, Ok(()));
        let all = view::glance(tx, place.account, place.mailbox, &query, |entry| {
            if lines.is_news(&entry) {
                news = Some(entry.keywords.into());
                return ControlFlow::Break(());
            }
            looked += 1;
            if let Some(collecting) = &mut cursor.collecting
                && !collecting.listing.push(entry)
            {
                cursor.collecting = None;
            }
            cursor.last = entry.uid;
            outcome = lines.write(session, items, &entry);
            match outcome.is_err() || looked >= ROWS_PER_JOB || session.staged.len() >= OUTPUT_BUDGET {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        outcome?;
        if let Some(keywords) = news {
            lines.hear(session, tx, &keywords)?;
            continue;
        }
        if all {
            cursor.last = u32::MAX;
        }
        return Ok(all || !plan.goes_beyond(cursor.last));
    }
}

/// What STORE tells of these messages, by uid: their flags, if `flags`, and their UIDs, if `uid`, besides what the session is always
/// told. At most `limit` of them; the last one, when there may be more.
pub(crate) fn tell_changed(
    session: &mut Session,
    tx: &ReadTx,
    uids: &UidSet,
    (flags, uid): (bool, bool),
    limit: usize,
) -> Result<Option<u32>, Error> {
    let enabled = session.enabled;
    // RFC 7162 §3.2.4: with QRESYNC every FETCH response has the UID. UIDFETCH has it in front.
    let with_uid = (uid || enabled.qresync || enabled.rev2) && !enabled.uid_only;
    let items = [(with_uid, Light::Uid), (flags, Light::Flags), (enabled.condstore, Light::ModSeq)];
    let items: Vec<Light> = items.into_iter().filter_map(|(told, item)| told.then_some(item)).collect();
    // Of new keywords it is told also where flags are not.
    let mut lines = Lines { tells_flags: true, ..Lines::new(session, &items) };
    let place = session.place()?;
    let (mut last, mut told) = (0u32, 0);
    loop {
        let rest = uids.intersection(&UidSet::range(last.saturating_add(1), u32::MAX));
        if rest.is_empty() || told == limit {
            return Ok(Some(last).filter(|_| told == limit));
        }
        let query = Query { uids: &rest, want: Want::Flags, changed_since: None, limit: limit - told };
        let (mut news, mut outcome) = (None::<Box<str>>, Ok(()));
        view::glance(tx, place.account, place.mailbox, &query, |entry| {
            if lines.is_news(&entry) {
                news = Some(entry.keywords.into());
                return ControlFlow::Break(());
            }
            (last, told) = (entry.uid, told + 1);
            outcome = lines.write(session, &items, &entry);
            if outcome.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        outcome?;
        match news {
            Some(keywords) => lines.hear(session, tx, &keywords)?,
            None => return Ok(Some(last).filter(|_| told == limit)),
        }
    }
}

/// Writes lines, and remembers how flags were written last.
struct Lines {
    tells_flags: bool,
    /// Keywords that the client was told of, as they stand in rows: each combination once.
    heard: HashSet<Box<str>>,
    last: Option<(Flags, Box<str>, bool)>,
    written: Vec<u8>,
    recent_counts: bool,
}

impl Lines {
    fn new(session: &Session, items: &[Light]) -> Lines {
        Lines {
            tells_flags: items.contains(&Light::Flags),
            heard: HashSet::new(),
            last: None,
            written: Vec::new(),
            recent_counts: !session.enabled.rev2,
        }
    }

    /// Whether an entry has keywords that were not looked at yet.
    fn is_news(&mut self, entry: &Glance<'_>) -> bool {
        self.tells_flags && !entry.keywords.is_empty() && !self.heard.contains(entry.keywords)
    }

    /// Tells keywords that the client does not know, before a message appears with them.
    fn hear(&mut self, session: &mut Session, tx: &ReadTx, keywords: &str) -> Result<(), Error> {
        sync::tell_keywords_of(session, tx, keywords.split_ascii_whitespace())?;
        self.heard.insert(keywords.into());
        Ok(())
    }

    fn write(&mut self, session: &mut Session, items: &[Light], entry: &Glance<'_>) -> Result<(), Error> {
        let view = session.view()?;
        let Some(sequence) = view.map().seq(entry.uid) else { return Ok(()) };
        let recent = self.recent_counts && view.is_recent(entry.uid);
        let same = self.last.as_ref().is_some_and(|(flags, keywords, was)| {
            // Mostly both are empty, and comparing nothing with nothing is not free (masked loads from nowhere).
            let alike =
                keywords.len() == entry.keywords.len() && (keywords.is_empty() || **keywords == *entry.keywords);
            *flags == entry.flags && *was == recent && alike
        });
        if !same {
            self.written.clear();
            let mut writer = postroad_imap::Writer::new(&mut self.written, false);
            writer.flags_item(&flags::of_stored(entry.flags, entry.keywords), recent);
            self.last = Some((entry.flags, entry.keywords.into(), recent));
        }
        let mut writer = session.begin_fetch(sequence, entry.uid);
        for item in items {
            match item {
                Light::Uid => writer.fetch_uid(entry.uid),
                Light::Flags => writer.fetch_item(&self.written),
                Light::Size => writer.fetch_size(entry.size),
                Light::ModSeq => writer.fetch_mod_seq(entry.modseq.0.unsigned_abs()),
            }
        }
        writer.fetch_end();
        Ok(())
    }
}

/// Rows that one job reads.
const ROWS_PER_JOB: usize = 10_000;
/// A smaller mailbox is read as fast as it is remembered.
const WORTH_REMEMBERING: u32 = 16;
