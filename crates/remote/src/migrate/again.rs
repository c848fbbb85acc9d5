//! Everything is fetched once more and compared with what is written down: the other server still says the same.

use std::collections::{HashMap, VecDeque};

use postroad_imap::NumberSet;
use postroad_imap::client::{Event, Line, Response, Status, Tag};

use super::FolderReport;
use super::folders::Folder;
use super::scan::examine;
use crate::connection::{Connection, goodbye, succeeded};
use crate::desk::{Answer, Desk, Difference, Request, doubtful};
use crate::exact::{self, Look, Looked};
use crate::frame::unexpected;
use crate::{Access, Error, Result};

/// Compares a folder. After an error nothing of it is in the report.
pub(super) async fn fetch_again(
    access: &Access,
    desk: &Desk,
    id: i64,
    folder: &Folder,
    report: &mut FolderReport,
) -> Result<()> {
    let mut line = access.open().await?;
    examine(&mut line, folder).await?;
    let (mut from, mut equal, mut differences) = (1, 0, Vec::new());
    loop {
        let Answer::Known { rows, next } = desk.ask(Request::Known { folder: id, from }).await? else {
            return Err(unexpected());
        };
        let expected: HashMap<u32, String> =
            rows.into_iter().filter_map(|row| u32::try_from(row.uid).ok().map(|uid| (uid, row.hash))).collect();
        let mut uids: Vec<u32> = expected.keys().copied().collect();
        uids.sort_unstable();
        let hashes = hashes(&mut line, &uids).await?;
        for uid in uids {
            let why = match hashes.get(&uid) {
                Some(hash) if expected.get(&uid).is_some_and(|known| *known == *hash || *known == doubtful(hash)) => {
                    equal += 1;
                    continue;
                }
                Some(_) => "the other server gives other octets than before",
                None => "the other server does not give it a second time",
            };
            differences.push(Difference { uid, message_id: None, why: why.into() });
        }
        match next {
            Some(next) => from = next,
            None => break,
        }
    }
    report.fetched_again = Some(equal);
    report.differences.extend(differences);
    report.differences.truncate(DIFFERENCES_MAX);
    line.logout().await;
    Ok(())
}

/// BLAKE3 of messages, by uid, in hexadecimal: with their NULs, where the other server tells of them.
pub(crate) async fn hashes(line: &mut Connection, uids: &[u32]) -> Result<HashMap<u32, String>> {
    let mut first = look(line, uids, exact::BODY).await?;
    if exact::has_binary(line) {
        let mut aside: Vec<u32> = first.iter().filter(|(_, looked)| looked.doubtful).map(|(uid, _)| *uid).collect();
        aside.sort_unstable();
        let second = look(line, &aside, exact::BINARY).await?;
        for uid in aside {
            let Some(shown) = first.get_mut(&uid) else { continue };
            match second.get(&uid) {
                Some(told) if told.shown == shown.shown => shown.hash = told.hash,
                Some(_) | None => {
                    if let Some(exact) = exact::fetch(line, uid).await? {
                        shown.hash = blake3::hash(&exact.octets);
                    }
                }
            }
        }
    }
    Ok(first.into_iter().map(|(uid, looked)| (uid, looked.hash.to_hex().to_string())).collect())
}

/// What messages are like, by uid. The next windows are asked for before one has come. With BINARY those are left out that
/// the other server refuses.
async fn look(line: &mut Connection, uids: &[u32], item: &str) -> Result<HashMap<u32, Looked>> {
    let mut found_all = HashMap::new();
    let mut coming: Option<Look> = None;
    let mut windows = uids.chunks(WINDOW);
    let mut sent: VecDeque<Tag> = VecDeque::new();
    loop {
        while sent.len() < WINDOWS_MAX
            && let Some(window) = windows.next()
        {
            let set = NumberSet::from_unsorted(window.iter().copied());
            sent.push_back(line.session.send(Line::new("UID FETCH").set(&set).word(item))?);
        }
        if sent.is_empty() {
            return Ok(found_all);
        }
        match line.event().await? {
            Event::Begin(_) => coming = Some(Look::default()),
            Event::Piece(octets) => {
                if let Some(look) = &mut coming {
                    look.feed(&octets);
                }
            }
            Event::Response(Response::Fetch(found)) => {
                let look = coming.take().or_else(|| {
                    let mut look = Look::default();
                    look.feed(found.body.as_ref()?);
                    Some(look)
                });
                if let (Some(uid), Some(look)) = (found.uid, look) {
                    found_all.insert(uid, look.end());
                }
            }
            Event::Response(Response::Word(word)) if word.status == Status::Bye => return Err(goodbye(&word)),
            Event::Done(done) => {
                match succeeded(done.word) {
                    Err(Error::Refused(_)) if item == exact::BINARY => {}
                    outcome => drop(outcome?),
                }
                sent.retain(|tag| *tag != done.tag);
            }
            Event::Response(_) | Event::Greeting(_) | Event::End | Event::Send | Event::Handshake => {}
        }
    }
}

const WINDOW: usize = 100;
/// Commands on their way at once.
const WINDOWS_MAX: usize = 3;
/// Differences of one folder that are named.
const DIFFERENCES_MAX: usize = 10_000;
