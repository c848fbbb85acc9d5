//! A message of several mailboxes, as those with labels are: it is appended there once, and copied into the other folders, so that
//! a server with labels (Gmail) has it once too, and octets go over the wire once.

use std::collections::{BTreeMap, HashMap, VecDeque};

use postroad_imap::NumberSet;
use postroad_imap::client::{Code, Event, Line, Response, Status, Tag, Word};

use super::folder::Mirrored;
use crate::connection::{Connection, goodbye, succeeded};
use crate::desk::{Answer, BATCH_MESSAGES, Elsewhere, Entry, MailboxState, Request, Sent};
use crate::frame::unexpected;
use crate::{Error, Result};

/// An entry here, and where the same message is there.
type Pair = (Entry, Elsewhere);

impl Mirrored<'_> {
    /// Copies what is in another folder there; the others are given back. The folder that was open is open afterwards.
    pub(super) async fn copy(&mut self, line: &mut Connection, new: Vec<Entry>) -> Result<Vec<Entry>> {
        // RFC 4315: without it nobody says where a copy is.
        if !line.session.has("UIDPLUS") && !line.session.has("IMAP4rev2") {
            return Ok(new);
        }
        let (mut left, mut found) = (Vec::new(), BTreeMap::<i64, Vec<Pair>>::new());
        for page in new.chunks(BATCH_MESSAGES) {
            let messages = page.iter().map(|entry| entry.message).collect();
            let Answer::Elsewhere(all) = self.desk.ask(Request::Elsewhere { folder: self.id, messages }).await? else {
                return Err(unexpected());
            };
            let mut all: HashMap<i64, Elsewhere> = all.into_iter().map(|one| (one.message, one)).collect();
            for entry in page {
                match all.remove(&entry.message) {
                    // Numbers of messages are new ones after a restore: only the octets say which it is.
                    Some(one) if super::append::hash(self.desk, self.id, entry).await? == one.row.hash => {
                        found.entry(one.folder).or_default().push((entry.clone(), one));
                    }
                    Some(_) | None => left.push(entry.clone()),
                }
            }
        }
        if found.is_empty() {
            return Ok(left);
        }
        let Answer::Mailboxes(boxes) = self.desk.ask(Request::Mailboxes).await? else { return Err(unexpected()) };
        for (folder, pairs) in found {
            match boxes.iter().find(|own| own.folder.id == folder) {
                Some(own) => left.extend(self.copy_from(line, own, pairs).await?),
                None => left.extend(pairs.into_iter().map(|(entry, _)| entry)),
            }
        }
        self.select(line).await?;
        left.sort_unstable_by_key(|entry| entry.uid);
        Ok(left)
    }

    /// Copies from one folder; what is no longer there is given back.
    async fn copy_from(&mut self, line: &mut Connection, own: &MailboxState, pairs: Vec<Pair>) -> Result<Vec<Entry>> {
        let entries = |pairs: Vec<Pair>| pairs.into_iter().map(|(entry, _)| entry).collect();
        let mut uidvalidity = 0;
        let open = Line::new("EXAMINE").string(&self.layout.wire(own, self.wish.into.as_deref()));
        let opened = line.run(open, |response| {
            if let Response::Word(Word { code: Some(Code::UidValidity(found)), .. }) = response {
                uidvalidity = found;
            }
        });
        match succeeded(opened.await?) {
            Ok(_) if uidvalidity == own.folder.uidvalidity => {}
            Ok(_) | Err(Error::Refused(_)) => return Ok(entries(pairs)),
            Err(error) => return Err(error),
        }
        let (mut left, mut placed) = (Vec::new(), Vec::new());
        let mut pairs = VecDeque::from(pairs);
        let mut pending: VecDeque<(Tag, Pair)> = VecDeque::new();
        loop {
            // One command for each: that is what says which copy is of which.
            while pending.len() < PENDING_MAX
                && let Some(pair) = pairs.pop_front()
            {
                let command = Line::new("UID COPY").set(&NumberSet::from_unsorted([pair.1.row.other]));
                pending.push_back((line.session.send(command.string(&self.wire))?, pair));
            }
            if pending.is_empty() {
                break;
            }
            match line.event().await? {
                Event::Response(Response::Word(word)) if word.status == Status::Bye => return Err(goodbye(&word)),
                Event::Done(done) => {
                    let Some(at) = pending.iter().position(|(tag, _)| *tag == done.tag) else { continue };
                    let Some((_, (entry, one))) = pending.remove(at) else { continue };
                    match succeeded(done.word) {
                        Ok(Word { code: Some(Code::CopyUid(_, _, uids)), .. }) if uids.count() == 1 => {
                            placed.extend(uids.iter().map(|other| sent(&entry, &one, other)));
                        }
                        Ok(_) | Err(Error::Refused(_)) => left.push(entry),
                        Err(error) => return Err(error),
                    }
                }
                Event::Response(_)
                | Event::Greeting(_)
                | Event::Begin(_)
                | Event::Piece(_)
                | Event::End
                | Event::Send
                | Event::Handshake => {}
            }
            if placed.len() >= BATCH_MESSAGES {
                self.copied(std::mem::take(&mut placed)).await?;
            }
        }
        self.copied(placed).await?;
        Ok(left)
    }

    async fn copied(&mut self, placed: Vec<Sent>) -> Result<()> {
        if placed.is_empty() {
            return Ok(());
        }
        self.report.entries += placed.len() as u64;
        self.desk.ask(Request::Sent { folder: self.id, messages: placed.clone() }).await?;
        self.know(placed);
        Ok(())
    }
}

/// A copy has the flags of what it was copied from (RFC 9051 §6.4.7); its own follow.
fn sent(entry: &Entry, one: &Elsewhere, other: u32) -> Sent {
    let (hash, marks) = (one.row.hash.clone(), one.row.marks.clone());
    Sent { uid: entry.uid, other, hash, size: one.row.size, marks, message: entry.message }
}

/// COPYs without an answer.
const PENDING_MAX: usize = 32;
