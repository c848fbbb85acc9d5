//! What listings of flags are made of, remembered for all sessions.
//!
//! Invariants:
//! 1. A listing is the whole mailbox as of one modseq of it, and is used only where the transaction that asks sees the
//!    mailbox at exactly that modseq: every change of an entry raises it, so nobody is told what is not in the database.
//! 2. All listings together take at most [`REMEMBERED_MAX`] octets and are at most [`LISTINGS_MAX`]; the one that was not used for longest goes first.
//!
//! SEARCH for flags in a large mailbox looks here, too.
//!
//! What it never does: decide what a client is told, or answer without a look at the mailbox's row.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use postroad_mail::changes::{self, Mark};
use postroad_mail::view::{self, Glance, Query};
use postroad_mail::{Flags, Mailbox, UidSet, Want};
use postroad_store::{ModSeq, ReadTx};

use crate::error::Error;
use crate::session::Place;

/// An entry of a listing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) uid: u32,
    size: u32,
    modseq: ModSeq,
    flags: u8,
    /// Which of the listing's keywords.
    keywords: u16,
}

/// All entries of a mailbox, by uid.
#[derive(Debug, Clone, Default)]
pub(super) struct Listing {
    pub(super) lines: Vec<Line>,
    /// Each combination of keywords that an entry has, as it is stored; the first is none.
    keywords: Vec<Box<str>>,
}

impl Listing {
    /// Adds an entry behind the others. False: it does not fit the form, and there can be no listing.
    pub(super) fn push(&mut self, entry: Glance<'_>) -> bool {
        let Some(line) = self.line(entry) else { return false };
        self.lines.push(line);
        true
    }

    fn line(&mut self, entry: Glance<'_>) -> Option<Line> {
        if self.keywords.is_empty() {
            self.keywords.push("".into());
        }
        let known = match entry.keywords {
            "" => Some(0),
            some => self.keywords.iter().position(|known| **known == *some),
        };
        let keywords = known.unwrap_or_else(|| {
            self.keywords.push(entry.keywords.into());
            self.keywords.len() - 1
        });
        if keywords > COMBINATIONS_MAX {
            return None;
        }
        Some(Line {
            uid: entry.uid,
            size: u32::try_from(entry.size).ok()?,
            modseq: entry.modseq,
            flags: u8::try_from(entry.flags.bits()).ok()?,
            keywords: u16::try_from(keywords).ok()?,
        })
    }

    /// A line as it came from the database.
    pub(super) fn entry(&self, line: &Line) -> Glance<'_> {
        Glance {
            uid: line.uid,
            flags: Flags::from_bits(line.flags.into()),
            keywords: self.keywords.get(usize::from(line.keywords)).map_or("", |known| known),
            modseq: line.modseq,
            size: line.size.into(),
        }
    }

    /// The lines of the uids from `low` to `high`.
    pub(super) fn between(&self, low: u32, high: u32) -> &[Line] {
        let start = self.lines.partition_point(|line| line.uid < low);
        let end = self.lines.partition_point(|line| line.uid <= high);
        &self.lines[start..end.max(start)]
    }

    fn octets(&self) -> usize {
        let words: usize = self.keywords.iter().map(|known| known.len() + size_of::<Box<str>>()).sum();
        self.lines.capacity() * size_of::<Line>() + words
    }

    /// The listing after what happened since.
    fn after(&self, gone: &UidSet, changed: &[postroad_mail::Entry]) -> Option<Listing> {
        let mut next =
            Listing { lines: Vec::with_capacity(self.lines.len() + changed.len()), keywords: self.keywords.clone() };
        let mut news = changed.iter().peekable();
        let mut old = self.lines.iter().filter(|line| !gone.contains(line.uid)).peekable();
        loop {
            let from_news = match (old.peek(), news.peek()) {
                (None, None) => return Some(next),
                (Some(line), Some(entry)) => entry.uid <= line.uid,
                (None, Some(_)) => true,
                (Some(_), None) => false,
            };
            if !from_news {
                next.lines.extend(old.next());
                continue;
            }
            let entry = news.next()?;
            if old.peek().is_some_and(|line| line.uid == entry.uid) {
                old.next();
            }
            let stored = entry.keywords.as_stored();
            let entry =
                Glance { uid: entry.uid, flags: entry.flags, keywords: stored, modseq: entry.modseq, size: entry.size };
            if !next.push(entry) {
                return None;
            }
        }
    }
}

/// The listings of all sessions.
#[derive(Debug, Default)]
pub struct Remembered(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    slots: HashMap<Place, Slot>,
    octets: usize,
    /// Rises with each use.
    clock: u64,
}

#[derive(Debug)]
struct Slot {
    listing: Arc<Listing>,
    modseq: ModSeq,
    used: u64,
}

impl Remembered {
    /// The uids of entries that have all of `with` and none of `without`, from the listing, which is made where there is none;
    /// `None`: there can be none.
    pub(crate) fn by_flags(
        &self,
        tx: &ReadTx,
        place: Place,
        now: &Mailbox,
        (with, without): (Flags, Flags),
    ) -> Result<Option<UidSet>, Error> {
        let listing = match self.find(tx, place, now)? {
            Some(listing) => Some(listing),
            None => self.make(tx, place, now)?,
        };
        let Some(listing) = listing else { return Ok(None) };
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for line in &listing.lines {
            let flags = Flags::from_bits(line.flags.into());
            if !flags.contains(with) || flags.intersects(without) {
                continue;
            }
            match ranges.last_mut() {
                Some((_, high)) if *high + 1 == line.uid => *high = line.uid,
                Some(_) | None => ranges.push((line.uid, line.uid)),
            }
        }
        Ok(Some(UidSet::from_ranges(ranges)))
    }

    fn make(&self, tx: &ReadTx, place: Place, now: &Mailbox) -> Result<Option<Arc<Listing>>, Error> {
        let uids = UidSet::range(1, now.uidnext.saturating_sub(1));
        let query = Query { uids: &uids, want: Want::Flags, changed_since: None, limit: now.messages as usize };
        let mut listing = Listing::default();
        let whole = view::glance(tx, place.account, place.mailbox, &query, |entry| match listing.push(entry) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })?;
        Ok(self.keep(place, now, whole.then_some(listing)))
    }

    /// The listing of a mailbox as `tx` sees it, whose row `now` is. One that is older is brought up to date where little
    /// happened.
    pub(super) fn find(&self, tx: &ReadTx, place: Place, now: &Mailbox) -> Result<Option<Arc<Listing>>, Error> {
        let Some((listing, modseq)) = self.look(place) else { return Ok(None) };
        if modseq == now.highest_modseq {
            return Ok(Some(listing));
        }
        // A transaction that began earlier than the one that the listing is from.
        if modseq > now.highest_modseq {
            return Ok(None);
        }
        let changes = changes::changes_since(tx, place.account, place.mailbox, Mark::at(modseq), CATCH_UP_MAX)?;
        let fits = !changes.more && changes.mark == Mark::at(now.highest_modseq);
        let next = if fits { listing.after(&changes.vanished, &changes.changed) } else { None };
        Ok(self.keep(place, now, next))
    }

    /// Keeps a listing that is the mailbox as its row `now` says, and gives it back; without one, or when it is not all of the
    /// mailbox or too large, what was kept is forgotten.
    pub(super) fn keep(&self, place: Place, now: &Mailbox, listing: Option<Listing>) -> Option<Arc<Listing>> {
        let whole = listing.filter(|listing| listing.lines.len() == now.messages as usize);
        let kept = whole.filter(|listing| listing.octets() <= REMEMBERED_MAX / 2).map(Arc::new);
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = shelf.slots.get(&place).is_some_and(|slot| slot.modseq > now.highest_modseq);
        if newer {
            return kept;
        }
        shelf.remove(place);
        if let Some(listing) = &kept {
            shelf.octets += listing.octets();
            shelf.clock += 1;
            let used = shelf.clock;
            shelf.slots.insert(place, Slot { listing: Arc::clone(listing), modseq: now.highest_modseq, used });
            while (shelf.octets > REMEMBERED_MAX || shelf.slots.len() > LISTINGS_MAX)
                && let Some(oldest) = shelf.slots.iter().min_by_key(|(_, slot)| slot.used).map(|(place, _)| *place)
            {
                shelf.remove(oldest);
            }
        }
        kept
    }

    fn look(&self, place: Place) -> Option<(Arc<Listing>, ModSeq)> {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.clock += 1;
        let clock = shelf.clock;
        let slot = shelf.slots.get_mut(&place)?;
        slot.used = clock;
        Some((Arc::clone(&slot.listing), slot.modseq))
    }
}

impl Shelf {
    fn remove(&mut self, place: Place) {
        if let Some(slot) = self.slots.remove(&place) {
            self.octets = self.octets.saturating_sub(slot.listing.octets());
        }
    }
}

/// Octets of all listings together: some two and a half million entries.
const REMEMBERED_MAX: usize = 64 << 20;
/// Listings together, whatever their size.
const LISTINGS_MAX: usize = 4_096;
/// Changed entries that are worth bringing a listing up to date.
const CATCH_UP_MAX: usize = 20_000;
/// Combinations of keywords in one listing.
const COMBINATIONS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use postroad_mail::MailboxId;
    use postroad_store::AccountId;

    fn glance(uid: u32, keywords: &str) -> Glance<'_> {
        Glance { uid, flags: Flags::SEEN, keywords, modseq: ModSeq(i64::from(uid)), size: 7 }
    }

    fn listing(uids: impl Iterator<Item = u32>) -> Listing {
        let mut listing = Listing::default();
        for uid in uids {
            assert!(listing.push(glance(uid, if uid % 2 == 0 { " $Junk " } else { "" })));
        }
        listing
    }

    #[test]
    fn lines_come_back_as_they_were() {
        let listing = listing(1..=10);
        let all: Vec<_> = listing.between(3, 5).iter().map(|line| listing.entry(line)).collect();
        let seen: Vec<_> = all.iter().map(|one| (one.uid, one.keywords, one.size)).collect();
        assert_eq!(seen, [(3, "", 7), (4, " $Junk ", 7), (5, "", 7)]);
        assert!(listing.between(11, 20).is_empty() && listing.between(9, 3).is_empty());
        let mut full = Listing::default();
        let words: Vec<String> = (0..=COMBINATIONS_MAX).map(|n| format!(" k{n} ")).collect();
        assert!(words[..COMBINATIONS_MAX].iter().all(|word| full.push(glance(1, word))));
        assert!(!full.push(glance(2, &words[COMBINATIONS_MAX])));
    }

    #[test]
    fn only_whole_listings_are_kept_and_the_oldest_goes() {
        let remembered = Remembered::default();
        let place = |number| Place { account: AccountId(1), mailbox: MailboxId(number) };
        let row = |messages, modseq| Mailbox { messages, highest_modseq: ModSeq(modseq), ..common(messages) };
        assert!(remembered.keep(place(1), &row(9, 5), Some(listing(1..=10))).is_none(), "not all of it");
        assert!(remembered.keep(place(1), &row(10, 5), Some(listing(1..=10))).is_some());
        assert!(remembered.look(place(1)).is_some_and(|(_, modseq)| modseq == ModSeq(5)));
        remembered.keep(place(1), &row(10, 4), Some(listing(1..=10)));
        assert!(remembered.look(place(1)).is_some_and(|(_, modseq)| modseq == ModSeq(5)), "the newer stays");
        let large = u32::try_from(REMEMBERED_MAX / 3 / size_of::<Line>()).expect("fits");
        for number in 2..=5 {
            let lines = listing(1..=large);
            remembered.keep(place(number), &row(large, 1), Some(lines));
        }
        let shelf = remembered.0.lock().expect("nobody panicked");
        assert!(shelf.octets <= REMEMBERED_MAX && !shelf.slots.contains_key(&place(1)));
        assert!(shelf.slots.contains_key(&place(5)));
        assert_eq!(shelf.octets, shelf.slots.values().map(|slot| slot.listing.octets()).sum::<usize>());
    }

    fn common(messages: u32) -> Mailbox {
        Mailbox {
            id: MailboxId(1),
            name: postroad_mail::MailboxName::parse("INBOX").expect("a name"),
            role: None,
            selectable: true,
            uidvalidity: 1,
            uidnext: messages + 1,
            first_recent: 1,
            highest_modseq: ModSeq(1),
            messages,
            unseen: 0,
            deleted: 0,
            size: 0,
            created: ModSeq(1),
        }
    }
}
