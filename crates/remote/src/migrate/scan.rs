//! What a folder has there, compared with what is known of it.

use std::collections::{HashMap, HashSet};

use postroad_imap::client::{Code, Fetched, Line, Response};

use super::folders::Folder;
use crate::connection::Connection;
use crate::desk::{Answer, Desk, FolderState, Meta, Request};
use crate::frame::unexpected;
use crate::{Error, Result};

/// What a mailbox says when it is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) messages: u32,
    pub(super) uidvalidity: u32,
    pub(super) uidnext: u32,
    pub(super) modseq: u64,
}

/// A folder that was looked through.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) opened: Opened,
    /// Messages that are not known, by uid.
    pub(super) new: Vec<Meta>,
    /// Messages with other flags.
    pub(super) changed: Vec<Meta>,
    /// Uids that are gone.
    pub(super) gone: Vec<u32>,
    /// Gmail's All Mail: messages that have a label, so that they are somewhere else too.
    pub(super) labelled: HashSet<u32>,
    /// All Mail: known messages without an entry of their own that lost their last label.
    pub(super) homeless: Vec<Meta>,
    /// All Mail: known messages with an entry of their own that got a label.
    pub(super) housed: Vec<Meta>,
    /// Nothing changed since the last run: it was not looked through.
    pub(super) same: bool,
}

/// Opens a mailbox for looking only.
pub(super) async fn examine(connection: &mut Connection, folder: &Folder) -> Result<Opened> {
    let mut opened = Opened::default();
    let condstore = connection.session.has("CONDSTORE") || connection.session.has("QRESYNC");
    let line = Line::new("EXAMINE").string(&folder.wire_in(connection.session.names()));
    let line = if condstore { line.word("(CONDSTORE)") } else { line };
    connection
        .must(line, |response| match response {
            Response::Exists(messages) => opened.messages = messages,
            Response::Word(word) => match word.code {
                Some(Code::UidValidity(uidvalidity)) => opened.uidvalidity = uidvalidity,
                Some(Code::UidNext(uidnext)) => opened.uidnext = uidnext,
                Some(Code::HighestModSeq(modseq)) => opened.modseq = modseq,
                _ => {}
            },
            _ => {}
        })
        .await?;
    if opened.uidvalidity == 0 {
        return Err(Error::Peer(format!("{} has no uidvalidity", folder.name())));
    }
    Ok(opened)
}

/// What can be asked of a message besides its octets.
pub(super) fn items(connection: &Connection) -> &'static str {
    let has = |name: &str| connection.session.has(name);
    if has("X-GM-EXT-1") {
        "(UID FLAGS INTERNALDATE RFC822.SIZE X-GM-MSGID X-GM-LABELS)"
    } else if has("OBJECTID") {
        "(UID FLAGS INTERNALDATE RFC822.SIZE EMAILID)"
    } else {
        "(UID FLAGS INTERNALDATE RFC822.SIZE)"
    }
}

/// Looks through a folder.
pub(super) async fn scan(
    connection: &mut Connection,
    desk: &Desk,
    folder: &Folder,
    state: &FolderState,
) -> Result<Scan> {
    let opened = examine(connection, folder).await?;
    let mut scan = Scan { opened, ..Scan::default() };
    let valid = state.uidvalidity == opened.uidvalidity;
    if valid && opened.modseq > 0 && opened.modseq == state.modseq {
        scan.same = true;
        return Ok(scan);
    }
    let mut known = if valid { known(desk, state.id).await? } else { HashMap::new() };
    let mut seen: HashSet<u32> = HashSet::new();
    if opened.messages > 0 {
        let line = Line::new("UID FETCH 1:*").word(items(connection));
        let mut too_many = false;
        let word = connection
            .run(line, |response| {
                let Response::Fetch(found) = response else { return };
                if let Some(meta) = meta(&found) {
                    too_many |= seen.len() >= MESSAGES_MAX;
                    // An unasked FETCH may tell of a message twice.
                    if !too_many && seen.insert(meta.uid) {
                        sort(&mut scan, known.remove(&meta.uid), meta, folder.all, labelled(&found));
                    }
                }
            })
            .await?;
        crate::connection::succeeded(word)?;
        if too_many {
            return Err(Error::Refused(format!("{} has more than {MESSAGES_MAX} messages", folder.name())));
        }
    }
    scan.gone = known.into_keys().collect();
    scan.gone.sort_unstable();
    scan.new.sort_unstable_by_key(|meta| meta.uid);
    Ok(scan)
}

fn sort(scan: &mut Scan, known: Option<(String, u32)>, meta: Meta, all: bool, labelled: bool) {
    let Some((marks, other)) = known else {
        if all && labelled {
            scan.labelled.insert(meta.uid);
        }
        return scan.new.push(meta);
    };
    match (all, labelled, other > 0) {
        (true, false, false) => scan.homeless.push(meta),
        (true, true, true) => scan.housed.push(meta),
        (true | false, _, _) if marks != meta.marks => scan.changed.push(meta),
        (true | false, _, _) => {}
    }
}

/// Uids that are known, with their flags as last seen and their uids here.
async fn known(desk: &Desk, folder: i64) -> Result<HashMap<u32, (String, u32)>> {
    let mut all = HashMap::new();
    let mut from = 1;
    loop {
        let answer = desk.ask(Request::Known { folder, from }).await?;
        let Answer::Known { rows, next } = answer else { return Err(unexpected()) };
        for row in rows {
            if let Ok(uid) = u32::try_from(row.uid) {
                all.insert(uid, (row.marks, row.other));
            }
        }
        match next {
            Some(next) => from = next,
            None => return Ok(all),
        }
    }
}

/// What is filed with a message. None without a uid, or with nothing that was asked for (an unasked FETCH).
fn meta(found: &Fetched) -> Option<Meta> {
    let flags = found.flags.clone()?;
    let important = found.labels.iter().flatten().any(|label| label.eq_ignore_ascii_case(b"\\Important"));
    let important = important.then(|| "$Important".to_owned());
    Some(Meta {
        uid: found.uid?,
        marks: super::marks(flags.into_iter().chain(important)),
        date: found.date.map(|date| date.seconds.saturating_mul(1_000_000)),
        identity: found.identity.clone().unwrap_or_default(),
        size: found.size.unwrap_or(0),
        doubtful: false,
    })
}

/// Whether a message of All Mail has a label that is a folder.
fn labelled(found: &Fetched) -> bool {
    const NO_FOLDER: [&[u8]; 3] = [b"\\Important", b"\\Starred", b"\\Muted"];
    let folder = |label: &Vec<u8>| !NO_FOLDER.iter().any(|own| own.eq_ignore_ascii_case(label));
    found.labels.iter().flatten().any(folder)
}

/// Messages of one folder.
const MESSAGES_MAX: usize = 10_000_000;
