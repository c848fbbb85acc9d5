//! The selected mailbox as one client knows it.
//!
//! Invariants:
//! 1. What the client can work out from the untagged responses it got is what the view says: `exists` is
//!    the last EXISTS minus the EXPUNGEs since, and sequence numbers are those of `map`.
//! 2. A message that is gone but not yet reported is a *ghost*: still in the map, so that the numbers of
//!    the others stay (RFC 9051 §7.5.1: no EXPUNGE while no command is in progress or during FETCH, STORE
//!    and SEARCH).
//! 3. All changes up to `mark` are in the view. The map is loaded only when first needed; it is then the
//!    mailbox as of `mark` plus the ghosts.
//! 4. A view is cheap to copy: a job that fails goes back to the copy from before.
//!
//! What it never does: look at the database.

use std::sync::Arc;

use postroad_imap::{MessageSet, NumberSet, Numbering, ResponseCode, Status};
use postroad_mail::changes::Mark;
use postroad_mail::{MailboxId, Rights, UidSet, urlauth};
use postroad_store::AccountId;

use crate::context::Context;
use crate::error::{Error, Reply};
use crate::seqmap::SeqMap;

/// The selected mailbox.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// Whose mailbox it is: perhaps not the account that logged in.
    pub(crate) account: AccountId,
    /// What this login may do in it; [`Rights::ALL`] in a mailbox of its own.
    pub(crate) rights: Rights,
    /// Which mailbox.
    pub(crate) mailbox: MailboxId,
    /// Its UIDVALIDITY.
    pub(crate) uid_validity: u32,
    /// Opened by EXAMINE.
    pub(crate) examined: bool,
    /// Nothing may change: opened by EXAMINE, or without a right to change anything.
    pub(crate) read_only: bool,
    /// Recent messages are this session's to claim: not somebody else's, who would see them as old then.
    pub(crate) claims: bool,
    /// Changes up to here are in the view.
    pub(crate) mark: Mark,
    /// Changes up to here were told when the last command ended: what is gone too.
    pub(crate) told: Mark,
    /// Messages from this UID on are not in the view yet.
    pub(crate) uid_next: u32,
    /// What is recent to this session (RFC 3501 §2.3.2), perhaps with messages that are not in the view.
    pub(crate) recent_uids: Arc<UidSet>,
    /// This login's key for URLs of a mailbox of somebody else, as the client last heard of it; nothing in one's own.
    pub(crate) url_key: Option<urlauth::Mark>,
    /// Messages came since SELECT that the mailbox's row does not have as announced: see `recent.rs`.
    pub(crate) unclaimed: bool,
    /// How many of the messages in the view are recent.
    pub(crate) recent: u32,
    /// The keywords the client heard of in FLAGS.
    pub(crate) keywords: Arc<Vec<String>>,
    /// The number the client knows from EXISTS and EXPUNGE.
    pub(crate) exists: u32,
    /// The map, when it was needed before.
    pub(crate) map: Option<Arc<SeqMap>>,
    /// Messages that are gone but not reported.
    pub(crate) ghosts: Arc<UidSet>,
    /// The result of the last SEARCH RETURN (SAVE): `$` (RFC 9051 §6.4.4.1).
    pub(crate) saved: Arc<UidSet>,
    /// Messages whose changes of flags were not told, since the client did not want to hear of such (RFC 5465).
    pub(crate) kept_flags: Arc<UidSet>,
    /// Messages that others brought, until the results that are followed have been looked at.
    pub(crate) came: Arc<UidSet>,
    /// Results that are followed (RFC 5267).
    pub(crate) contexts: Arc<Vec<Context>>,
    /// What this session changed since these results were looked at.
    pub(crate) touched: Arc<UidSet>,
}

impl View {
    /// The map. Commands that take message numbers get here after the session has loaded it.
    pub(crate) fn map(&self) -> &SeqMap {
        self.map.as_deref().unwrap_or(&EMPTY)
    }

    /// Whether a message is recent to this session.
    pub(crate) fn is_recent(&self, uid: u32) -> bool {
        self.recent_uids.contains(uid)
    }

    /// The messages of the view that a command means, ghosts included. UIDs that are not there mean
    /// nothing. [`Error::Refused`] with `BAD` when a sequence number is beyond the last message.
    pub(crate) fn resolve(&self, set: &MessageSet, numbering: Numbering) -> Result<UidSet, Error> {
        if let (MessageSet::Set(set), Numbering::Sequence) = (set, numbering) {
            // RFC 9051 §9 seq-number: a number beyond the last message is answered with BAD. A range
            // with `*` is cut instead: clients send `1:*` and `n:*` without looking at EXISTS.
            if !set.has_star() && set.largest_named().is_some_and(|largest| largest > self.map().len()) {
                let code = Some(ResponseCode::ClientBug);
                let text = "there are not so many messages in this mailbox";
                return Err(Error::Refused(Reply::new(Status::Bad, code, text)));
            }
        }
        Ok(self.matching(set, numbering))
    }

    /// The messages of the view that are in a set, ghosts included. What is not there matches nothing.
    pub(crate) fn matching(&self, set: &MessageSet, numbering: Numbering) -> UidSet {
        let map = self.map();
        match (set, numbering) {
            (MessageSet::Saved, _) => map.within(&self.saved),
            (MessageSet::Set(set), Numbering::Uid) => {
                map.within(&uid_set(&set.resolve(Some(map.last_uid()).filter(|uid| *uid > 0))))
            }
            (MessageSet::Set(set), Numbering::Sequence) => {
                map.uids_of(&set.resolve(Some(map.len()).filter(|last| *last > 0)))
            }
        }
    }

    /// Takes in messages that arrived. Those the view has already are ignored.
    pub(crate) fn arrived(&mut self, uids: &UidSet) {
        let new = match self.uid_next {
            0 => uids.clone(),
            next => uids.intersection(&UidSet::range(next, u32::MAX)),
        };
        let Some(last) = new.last() else { return };
        self.uid_next = last.saturating_add(1);
        let count = u32::try_from(new.count()).unwrap_or(u32::MAX);
        self.exists += count;
        let recent = new.intersection(&self.recent_uids).count();
        self.recent = self.recent.saturating_add(u32::try_from(recent).unwrap_or(u32::MAX));
        if let Some(map) = &self.map {
            let map = SeqMap::from_set(&map.uids().union(&new));
            self.exists = map.len();
            self.map = Some(Arc::new(map));
        }
    }

    /// Takes in messages that are gone: from now on ghosts. Needs the map.
    pub(crate) fn vanished(&mut self, uids: &UidSet) {
        let known = self.map().within(uids);
        if !known.is_empty() {
            self.ghosts = Arc::new(self.ghosts.union(&known));
        }
    }

    /// Takes ghosts out of the map, the lowest first, at most `limit`. Returns their UIDs and the numbers they
    /// had, both rising.
    pub(crate) fn lay_ghosts(&mut self, limit: usize) -> (UidSet, Vec<u32>) {
        let laid: UidSet = self.ghosts.iter().take(limit).collect();
        if laid.is_empty() {
            return (laid, Vec::new());
        }
        self.ghosts = Arc::new(self.ghosts.difference(&laid));
        let (map, seqs) = self.map().without(&laid);
        let recent = laid.intersection(&self.recent_uids).count();
        self.recent = self.recent.saturating_sub(u32::try_from(recent).unwrap_or(u32::MAX));
        self.exists = map.len();
        self.map = Some(Arc::new(map));
        // RFC 9051 §6.4.4.1: an expunged message leaves the saved result.
        if !self.saved.intersection(&laid).is_empty() {
            self.saved = Arc::new(self.saved.difference(&laid));
        }
        (laid, seqs)
    }
}

static EMPTY: SeqMap = SeqMap::EMPTY;

/// A set of numbers as a set of UIDs.
pub(crate) fn uid_set(numbers: &NumberSet) -> UidSet {
    UidSet::from_ranges(numbers.ranges().map(|range| (*range.start(), *range.end())))
}

/// A set of UIDs as a set of numbers, to be written.
pub(crate) fn number_set(uids: &UidSet) -> NumberSet {
    NumberSet::from_ranges(uids.ranges().iter().map(|&(low, high)| low..=high))
}
