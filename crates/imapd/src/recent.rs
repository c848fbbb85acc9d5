//! Who shows a message as `\Recent`: at most one session ever does (RFC 3501 §2.3.2).
//!
//! A mailbox's row has the uid from which on no session was told of its messages. SELECT raises it, in the transaction that it
//! needs anyway. Mail that comes while sessions watch is told of by looks that write nothing, and two of them would both
//! take it for theirs:
//!
//! 1. Where one process serves all sessions ([`RecentClaims::of_this_process`]), what was claimed is noted here and gets into
//!    the database with the session's next write, or when it leaves the mailbox: a write for each arrival would be dear.
//! 2. Where several do ([`RecentClaims::of_the_database`]), the row alone decides: a look that finds mail that nobody was
//!    told of stops, a small write claims it, and the look is done again. One write for each arrival in a mailbox that somebody watches.
//!
//! EXAMINE, and sessions in mailboxes of others, see what is recent and claim nothing (RFC 3501 §6.3.2).
//!
//! What it never does: make a message old that nobody was told of.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use postroad_mail::{Mailbox, UidSet, view};
use postroad_store::WriteTx;

use crate::error::Error;
use crate::session::{Place, Session};
use crate::view::View;

/// What sessions claimed, for all sessions of a process.
#[derive(Debug)]
pub struct RecentClaims(Option<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    claims: HashMap<Place, Claim>,
    /// Rises with each claim.
    clock: u64,
}

/// Messages of a mailbox below `through` are some session's.
#[derive(Debug, Clone, Copy)]
struct Claim {
    uid_validity: u32,
    through: u32,
    at: u64,
}

impl RecentClaims {
    /// All sessions on the store are this process's.
    pub fn of_this_process() -> RecentClaims {
        RecentClaims(Some(Mutex::default()))
    }

    /// Other processes have sessions on the store too.
    pub fn of_the_database() -> RecentClaims {
        RecentClaims(None)
    }

    fn are_in_database(&self) -> bool {
        self.0.is_none()
    }

    /// From which uid on no session claimed the messages of a mailbox.
    pub(crate) fn first_unclaimed(&self, place: Place, mailbox: &Mailbox) -> u32 {
        let Some(shelf) = &self.0 else { return mailbox.first_recent };
        let shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shelf.claims.get(&place).filter(|claim| claim.uid_validity == mailbox.uidvalidity);
        known.map_or(mailbox.first_recent, |claim| claim.through.max(mailbox.first_recent))
    }

    /// All that nobody claimed is the caller's from now on. Nothing where the database decides.
    pub(crate) fn take(&self, place: Place, mailbox: &Mailbox) -> UidSet {
        let Some(shelf) = &self.0 else { return UidSet::EMPTY };
        let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shelf.claims.get(&place).filter(|claim| claim.uid_validity == mailbox.uidvalidity);
        let first = known.map_or(mailbox.first_recent, |claim| claim.through.max(mailbox.first_recent));
        if first >= mailbox.uidnext {
            return UidSet::EMPTY;
        }
        shelf.clock += 1;
        let at = shelf.clock;
        if shelf.claims.len() >= CLAIMS_MAX && !shelf.claims.contains_key(&place) {
            shelf.make_room();
        }
        shelf.claims.insert(place, Claim { uid_validity: mailbox.uidvalidity, through: mailbox.uidnext, at });
        between(first, mailbox.uidnext)
    }
}

impl Default for RecentClaims {
    fn default() -> RecentClaims {
        RecentClaims::of_this_process()
    }
}

impl Shelf {
    /// The older half goes. Its messages are as the database has them: at worst recent once more, as RFC 3501 §2.3.2 wants
    /// where it is not known.
    fn make_room(&mut self) {
        let mut ages: Vec<u64> = self.claims.values().map(|claim| claim.at).collect();
        let middle = ages.len() / 2;
        let (_, &mut median, _) = ages.select_nth_unstable(middle);
        self.claims.retain(|_, claim| claim.at > median);
    }
}

/// The uids from `first` to the one before `end`.
pub(crate) fn between(first: u32, end: u32) -> UidSet {
    if first < end { UidSet::range(first.max(1), end - 1) } else { UidSet::EMPTY }
}

/// Looks whose the messages are that arrived, before they are told. False: a write has to claim them first.
pub(crate) fn arriving(session: &mut Session, mailbox: &Mailbox) -> Result<bool, Error> {
    let (place, claims) = (session.place()?, Arc::clone(&session.settings.recent));
    let shows = !session.enabled.rev2;
    let tried = std::mem::take(&mut session.claims_tried);
    let view = session.view_mut()?;
    if view.recent_uids.ranges().len() >= RECENT_RANGES_MAX {
        return Ok(true);
    }
    if !view.claims {
        let first = claims.first_unclaimed(place, mailbox).max(view.uid_next);
        view.recent_uids = Arc::new(view.recent_uids.union(&between(first, mailbox.uidnext)));
        return Ok(true);
    }
    if !claims.are_in_database() {
        view.unclaimed = true;
        view.recent_uids = Arc::new(view.recent_uids.union(&claims.take(place, mailbox)));
        return Ok(true);
    }
    if !shows {
        // RFC 9051 has no such flag: the next write will do.
        view.unclaimed = true;
        return Ok(true);
    }
    if mailbox.first_recent >= mailbox.uidnext || tried >= CLAIM_TRIES_MAX {
        return Ok(true);
    }
    session.claims_tried = tried + 1;
    session.claims_next = true;
    Ok(false)
}

/// The write that claims what arrived, where the database decides. One statement, two when there is something to be claimed.
pub(crate) fn claim(session: &mut Session, tx: &mut WriteTx) -> Result<(), Error> {
    let by_database = session.settings.recent.are_in_database() && !session.enabled.rev2;
    let Some(view) = session.view.as_mut().filter(|view| by_database && view.claims) else { return Ok(()) };
    let Some(mailbox) = postroad_mail::mailboxes::by_id(tx, view.account, view.mailbox)? else { return Ok(()) };
    let ours = mailbox.uidvalidity == view.uid_validity && mailbox.has_recent();
    if ours && view.recent_uids.ranges().len() < RECENT_RANGES_MAX {
        // What this session told of as not recent stays that: the client counts.
        let first = view::claim_recent(tx, view.account, view.mailbox)?.max(view.uid_next);
        view.recent_uids = Arc::new(view.recent_uids.union(&between(first, mailbox.uidnext)));
    }
    Ok(())
}

impl Session {
    /// Whether the job that came back was the write that claims what arrived.
    pub(crate) fn claiming(&self) -> bool {
        self.claims_next && self.before.as_ref().is_none_or(|before| before.claiming)
    }

    /// It failed: what arrived is told all the same, as recent to somebody else.
    pub(crate) fn claim_failed(&mut self) {
        self.go_back();
        self.before = None;
        self.claims_tried = CLAIM_TRIES_MAX;
    }
}

/// After a job that failed or begins again: what was taken in this process stays taken, and nobody else would show it.
pub(crate) fn keep(session: &mut Session, claimed: Option<View>) {
    let (Some(claimed), Some(view)) = (claimed, &mut session.view) else { return };
    let same =
        (claimed.account, claimed.mailbox, claimed.uid_validity) == (view.account, view.mailbox, view.uid_validity);
    if same && claimed.claims && view.claims && !session.settings.recent.are_in_database() {
        view.unclaimed |= claimed.unclaimed;
        view.recent_uids = Arc::new(view.recent_uids.union(&claimed.recent_uids));
    }
}

/// Mailboxes whose claims are kept in mind; of more, the older half is forgotten.
const CLAIMS_MAX: usize = 65_536;
/// Stretches of messages that are recent to one session. Where two sessions get new mail in turn for days, the one that has
/// so many leaves what comes to the other.
const RECENT_RANGES_MAX: usize = 1_000;
/// A look that has to be done again because more mail came meanwhile tells, after so many times, what came as not recent.
const CLAIM_TRIES_MAX: u32 = 3;

#[cfg(test)]
mod tests {
    use postroad_mail::{MailboxId, MailboxName};
    use postroad_store::{AccountId, ModSeq};

    use super::*;

    fn mailbox(uidvalidity: u32, first_recent: u32, uidnext: u32) -> Mailbox {
        Mailbox {
            id: MailboxId(1),
            name: MailboxName::parse("INBOX").expect("a name"),
            role: None,
            selectable: true,
            uidvalidity,
            uidnext,
            first_recent,
            highest_modseq: ModSeq(1),
            messages: 0,
            unseen: 0,
            deleted: 0,
            size: 0,
            created: ModSeq(1),
        }
    }

    fn place(number: i64) -> Place {
        Place { account: AccountId(number), mailbox: MailboxId(1) }
    }

    #[test]
    fn what_one_took_nobody_else_gets() {
        let claims = RecentClaims::of_this_process();
        // uidvalidity, first_recent and uidnext of the row as a look sees it, and what it gets.
        for (validity, first, next, expected) in [
            (1, 5, 8, between(5, 8)),
            (1, 5, 8, UidSet::EMPTY),
            (1, 5, 10, between(8, 10)),
            // An older look, and one after the row was raised.
            (1, 5, 9, UidSet::EMPTY),
            (1, 10, 11, between(10, 11)),
            (1, 14, 15, between(14, 15)),
            // Another mailbox of that name.
            (2, 1, 3, between(1, 3)),
            (2, 1, 4, between(3, 4)),
        ] {
            let row = mailbox(validity, first, next);
            assert_eq!(claims.take(place(1), &row), expected, "{row:?}");
            assert!(claims.first_unclaimed(place(1), &row) >= next);
        }
        assert_eq!(claims.take(place(2), &mailbox(1, 1, 2)), between(1, 2), "another account's mailbox");
        assert_eq!(RecentClaims::of_the_database().take(place(1), &mailbox(1, 1, 2)), UidSet::EMPTY);
    }

    #[test]
    fn claims_are_kept_of_so_many_mailboxes() {
        let claims = RecentClaims::of_this_process();
        for number in 0..=i64::try_from(CLAIMS_MAX).expect("fits") {
            claims.take(place(number), &mailbox(1, 1, 2));
        }
        let kept = |claims: &RecentClaims| {
            claims.0.as_ref().expect("of this process").lock().expect("nobody panicked").claims.len()
        };
        assert_eq!(kept(&claims), CLAIMS_MAX / 2);
        assert_eq!(claims.take(place(0), &mailbox(1, 1, 2)), between(1, 2), "the oldest is forgotten");
        let last = place(i64::try_from(CLAIMS_MAX).expect("fits"));
        assert_eq!(claims.take(last, &mailbox(1, 1, 2)), UidSet::EMPTY, "the newest is not");
    }
}
