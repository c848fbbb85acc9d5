//! THREAD and UID THREAD (RFC 5256 §3; REFS by draft-ietf-morg-inthread §4).
//!
//! What it is: what SEARCH finds, as trees. What links messages comes from stored summaries, by the same
//! columns as the keys of SORT.
//!
//! What it never does: read or parse a message, or call itself for a child: a thread may be as deep as a
//! mailbox is large.

mod references;
mod subject;
#[cfg(test)]
mod tests;

use postroad_imap::command::{Search, SortKey, Thread, ThreadAlgorithm};
use postroad_imap::encode::ThreadPiece;
use postroad_store::ReadTx;

use crate::error::{Error, Reply};
use crate::message_limit;
use crate::search;
use crate::session::{Flow, Session};
use crate::sort::column::{Kind, Link};
use crate::sort::load::Loading;

/// What THREAD keeps between its jobs.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    search: search::Cursor,
    found: Option<(Vec<u32>, Loading)>,
}

/// A message that is threaded. They come in the order of the mailbox.
#[derive(Debug, Clone, Copy)]
struct Message<'a> {
    /// Sent date (RFC 5256 §2.2).
    sent: i64,
    /// Internal date.
    received: i64,
    /// Base subject, as it is compared.
    subject: &'a [u8],
    link: Link,
    /// The ids of the messages that it follows, the nearest last.
    parents: &'a [u64],
}

/// Trees of messages, which are numbers of a list; as they stand in an answer.
type Pieces = Vec<ThreadPiece>;

/// One job of THREAD.
pub(crate) fn read(session: &mut Session, tx: &ReadTx, thread: &Thread, cursor: &mut Cursor) -> Result<Flow, Error> {
    let subject = Kind::Text(SortKey::Subject, session.collation);
    let (sent, received) = (Kind::Number(SortKey::Date), Kind::Number(SortKey::Arrival));
    if cursor.found.is_none() {
        cursor.search.most = message_limit::of_search(session);
        let search = Search { numbering: thread.numbering, returns: None, key: thread.key.clone(), push: Vec::new() };
        let Some(found) = search::find(session, tx, &search, false, &mut cursor.search)? else { return Ok(Flow::More) };
        let uids = found.uids();
        message_limit::check_thread(session, uids.count(), found.cut)?;
        let kinds: &[Kind] = match thread.algorithm {
            ThreadAlgorithm::OrderedSubject => &[subject, sent],
            ThreadAlgorithm::References => &[subject, sent, Kind::Links],
            ThreadAlgorithm::Refs => &[received, sent, Kind::Links],
        };
        cursor.found = Some((uids.iter().collect(), Loading::new(session, kinds, Some(&uids))?));
    }
    if let Some((_, loading)) = &mut cursor.found
        && !loading.go_on(session, tx)?
    {
        return Ok(Flow::More);
    }
    let Some((uids, loading)) = cursor.found.take() else { return Err(Error::bug("THREAD found nothing to thread")) };
    let sent = loading.column(sent).numbers(&uids);
    let received = loading.column(received).numbers(&uids);
    let subjects = loading.column(subject).texts(&uids);
    let links = loading.column(Kind::Links).links(&uids);
    let messages: Vec<Message<'_>> = links
        .enumerate()
        .map(|(at, (link, parents))| Message {
            sent: sent[at],
            received: received[at],
            subject: subjects[at],
            link,
            parents,
        })
        .collect();
    let pieces = match thread.algorithm {
        ThreadAlgorithm::OrderedSubject => subject::thread(&messages),
        ThreadAlgorithm::References => references::thread(&messages),
        ThreadAlgorithm::Refs => references::thread_refs(&messages),
    };
    write(session, thread, &uids, pieces)?;
    Ok(Flow::Done(Reply::ok("THREAD done")))
}

fn write(session: &mut Session, thread: &Thread, uids: &[u32], pieces: Pieces) -> Result<(), Error> {
    let view = session.view()?;
    let pieces: Pieces = pieces
        .into_iter()
        .map(|piece| match piece {
            ThreadPiece::Number(at) => {
                let uid = uids[at as usize];
                let number = search::answer::numbered(view, thread.numbering, uid).unwrap_or(uid);
                ThreadPiece::Number(number)
            }
            ThreadPiece::Open | ThreadPiece::Close => piece,
        })
        .collect();
    session.writer().thread(pieces);
    Ok(())
}
