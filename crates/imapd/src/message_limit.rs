//! How many messages one command may be about: MESSAGELIMIT and SAVELIMIT (RFC 9738).
//!
//! The highest UIDs are dealt with, and the client is told the lowest of them: it goes on below. COPY and APPEND do all or
//! nothing. EXPUNGE, CLOSE and STATUS know no limit (RFC 9738 §3.1). SEARCH is limited in what it looks at one by one: what
//! sets, flags and the index leave out costs nothing and counts nothing.
//!
//! | | over the limit |
//! |---|---|
//! | SEARCH with UPDATE (RFC 5267) | as SEARCH, and NOUPDATE: half a result is not followed |
//! | ESEARCH of the selected mailbox | as SEARCH |
//! | ESEARCH in several mailboxes | all together look at so many messages; `OK [LIMIT]` (RFC 7377 §2.4): a UID says nothing there |
//! | THREAD | refused: half a conversation is none (RFC 9738 §3.3) |
//! | SORT | no limit: what messages are ordered by is kept ready (RFC 9738 §3.3) |
//!
//! What it never does: limit unless an administrator wants it. Most clients do not know of it and believe what they get to
//! be everything (RFC 9738 §4.2).

use postroad_imap::command::PartialRange;
use postroad_imap::{ResponseCode, Status};
use postroad_mail::UidSet;

use crate::error::{Error, Reply};
use crate::search::answer::nth;
use crate::session::Session;

/// What an administrator chose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MessageLimit {
    /// No limit.
    #[default]
    None,
    /// `SAVELIMIT`: COPY and APPEND take no more messages than this.
    Saving(u32),
    /// `MESSAGELIMIT`: neither do FETCH, SEARCH, STORE, MOVE and UID EXPUNGE.
    All(u32),
}

/// RFC 9738 §3: no limit should be lower.
pub const MESSAGE_LIMIT_MIN: u32 = 1_000;

impl MessageLimit {
    /// What is advertised.
    pub(crate) fn capability(self) -> Option<String> {
        match self {
            MessageLimit::None => None,
            MessageLimit::Saving(most) => Some(format!("SAVELIMIT={most}")),
            MessageLimit::All(most) => Some(format!("MESSAGELIMIT={most}")),
        }
    }

    /// Messages of one COPY or APPEND.
    pub(crate) fn of_saving(self) -> Option<u32> {
        match self {
            MessageLimit::None => None,
            MessageLimit::Saving(most) | MessageLimit::All(most) => Some(most),
        }
    }

    /// Messages of any other command.
    fn of_others(self) -> Option<u32> {
        match self {
            MessageLimit::None | MessageLimit::Saving(_) => None,
            MessageLimit::All(most) => Some(most),
        }
    }
}

/// A command was about more messages than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    most: u32,
    lowest: u32,
}

/// The messages that a command deals with, and what to tell when they are not all.
pub(crate) fn within(session: &Session, uids: UidSet) -> (UidSet, Option<Cut>) {
    cut(session.settings.message_limit.of_others(), uids)
}

/// How many messages a SEARCH may look at; `None`: any number.
pub(crate) fn of_search(session: &Session) -> Option<u32> {
    session.settings.message_limit.of_others()
}

/// Fails when a THREAD is about more messages than it may be (RFC 9738 §3.3).
pub(crate) fn check_thread(session: &Session, found: u64, searched: Option<Cut>) -> Result<(), Error> {
    match of_search(session) {
        Some(most) if searched.is_some() || found > u64::from(most) => {
            Err(Error::no(ResponseCode::MessageLimit(most, None), "too many messages to thread at once; name fewer"))
        }
        Some(_) | None => Ok(()),
    }
}

/// The highest of these messages, no more than `most`, and what to tell when they are not all.
pub(crate) fn cut(most: Option<u32>, uids: UidSet) -> (UidSet, Option<Cut>) {
    match most {
        Some(most) if uids.count() > u64::from(most) => {
            let highest = highest(&uids, most as usize);
            let lowest = highest.first().unwrap_or(1);
            (highest, Some(Cut { most, lowest }))
        }
        Some(_) | None => (uids, None),
    }
}

/// The highest uids of a set, so many.
pub(crate) fn highest(uids: &UidSet, most: usize) -> UidSet {
    let count = usize::try_from(uids.count()).unwrap_or(usize::MAX);
    nth(uids, count.saturating_sub(most)..count)
}

/// Fails when a COPY is about more than it may be (RFC 9738 §3.1: no messages are copied).
pub(crate) fn check_copy(session: &Session, uids: &UidSet) -> Result<(), Error> {
    match cut(session.settings.message_limit.of_saving(), uids.clone()).1 {
        None => Ok(()),
        Some(cut) => Err(Error::no(cut.code(), "too many messages to copy at once; name fewer")),
    }
}

/// Fails when a FETCH wants a longer part than it may be about (RFC 9738 §3.1).
pub(crate) fn check_partial(session: &Session, range: PartialRange) -> Result<(), Error> {
    let length = u64::from(range.from.abs_diff(range.to)) + 1;
    match session.settings.message_limit.of_others() {
        Some(most) if length > u64::from(most) => {
            Err(Error::no(ResponseCode::MessageLimit(most, None), "PARTIAL names more messages than one command may"))
        }
        Some(_) | None => Ok(()),
    }
}

impl Cut {
    fn code(self) -> ResponseCode {
        ResponseCode::MessageLimit(self.most, Some(self.lowest))
    }
}

/// The reply to a command, with the code when it was about fewer messages than the client named. RFC 9738 §3.1: where the
/// tagged response has another code already, an untagged NO has this one.
pub(crate) fn reply(session: &mut Session, cut: Option<Cut>, reply: Reply) -> Reply {
    let Some(cut) = cut else { return reply };
    let text = CUT;
    if reply.code.is_some() || reply.status != Status::Ok {
        session.writer().untagged(Status::No, Some(&cut.code()), text);
        return reply;
    }
    Reply::ok_with(cut.code(), text)
}

/// The same of a command that removes messages: with QRESYNC its tagged response has the new HIGHESTMODSEQ (RFC 7162 §3.2.7).
pub(crate) fn reply_removing(session: &mut Session, cut: Option<Cut>, done: Reply) -> Reply {
    match cut.filter(|_| session.enabled.qresync) {
        Some(cut) => {
            session.writer().untagged(Status::No, Some(&cut.code()), CUT);
            done
        }
        None => reply(session, cut, done),
    }
}

const CUT: &str = "so many messages are dealt with by one command, the highest first; go on below";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_are_kept() {
        for (ranges, most, expected) in [
            (vec![(1, 10)], Some(3), (vec![(8, 10)], Some(8))),
            (vec![(1, 2), (5, 5), (9, 9)], Some(3), (vec![(2, 2), (5, 5), (9, 9)], Some(2))),
            (vec![(1, 3)], Some(3), (vec![(1, 3)], None)),
            (vec![(1, 3)], None, (vec![(1, 3)], None)),
            (vec![], Some(3), (vec![], None)),
        ] {
            let (kept, cut) = cut(most, UidSet::from_ranges(ranges));
            assert_eq!((kept.ranges().to_vec(), cut.map(|cut| cut.lowest)), expected);
        }
    }
}
