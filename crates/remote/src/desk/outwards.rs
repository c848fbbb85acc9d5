//! What a mirror outwards asks: mailboxes, messages, and writing down where they are there.

use std::collections::HashMap;

use postroad_mail::labels::{self, Own};
use postroad_mail::remote::{self, Folder, Known, Place};
use postroad_mail::{Mailbox, MessageId, Query, Role, UidSet, Want, mailboxes, view};
use postroad_store::{BlobId, ReadTx};

use super::local::{Local, row, state};
use super::mapping::marks_of;
use super::{Answer, Elsewhere, Entry, MailboxState, PIECE, READ_OCTETS, Sent};
use crate::{Error, Result};

impl Local {
    /// All mailboxes; each has a folder in the link from now on.
    pub(super) fn mailboxes(&mut self) -> Result<Answer> {
        if !self.outwards {
            return Err(Error::Here("this link leads inwards".into()));
        }
        let (account, link) = (self.account, self.link);
        let listed = self.store.read_blocking(move |tx| mailboxes::list(tx, account))?;
        let mut boxes = Vec::new();
        for listed in listed {
            let Some(mailbox) = listed.mailbox.filter(|mailbox| mailbox.selectable) else { continue };
            let name = mailbox.name.as_str().to_owned();
            let known = self.folders.values().find(|folder| folder.mailbox == mailbox.id).cloned();
            let folder = match known {
                Some(known) => known,
                None => {
                    let (name, mailbox) = (name.clone(), mailbox.id);
                    let mut new = Folder { id: 0, name, mailbox, uidvalidity: 0, modseq: 0, marker: 0 };
                    self.write(move |tx| {
                        remote::keep_folder(tx, account, link, &mut new)?;
                        Ok(new)
                    })?
                }
            };
            boxes.push(shown(&mailbox, &folder, listed.subscribed));
            self.folders.insert(folder.id, folder);
        }
        Ok(Answer::Mailboxes(boxes))
    }

    pub(super) fn entries(&self, folder: i64, from: u32) -> Result<Answer> {
        let place = self.at(folder)?;
        let page = self.store.read_blocking(move |tx| {
            let uids = UidSet::range(from.max(1), u32::MAX);
            let query = Query { uids: &uids, want: Want::Facts, changed_since: None, limit: PAGE };
            let page = view::entries(tx, place.account, place.mailbox, &query)?;
            let mailbox = mailboxes::by_id(tx, place.account, place.mailbox)?;
            let shown = match mailbox.and_then(|mailbox| mailbox.role) == Some(Role::All) {
                true => alone(tx, place, &page)?,
                false => page.iter().map(|entry| entry.uid).collect(),
            };
            Ok::<_, postroad_mail::Error>((page, shown))
        })?;
        let (page, shown): (_, UidSet) = page;
        let next = page.last().filter(|_| page.len() == PAGE).and_then(|last| last.uid.checked_add(1));
        let entry = |entry: postroad_mail::Entry| Entry {
            uid: entry.uid,
            marks: marks_of(entry.flags, &entry.keywords),
            date: entry.facts.as_ref().map_or(0, |facts| facts.received.0),
            size: entry.size,
            message: entry.message.0,
        };
        let page = page.into_iter().filter(|entry| shown.contains(entry.uid));
        Ok(Answer::Entries { entries: page.map(entry).collect(), next })
    }

    /// Octets of a message, at most [`PIECE`].
    pub(super) fn read(&self, folder: i64, uid: u32, from: u64) -> Result<(Answer, Vec<u8>)> {
        let place = self.at(folder)?;
        let octets = self.store.read_blocking(move |tx| {
            let query = Query { uids: &UidSet::single(uid), want: Want::Facts, changed_since: None, limit: 1 };
            let found = view::entries(tx, place.account, place.mailbox, &query)?;
            let blob = found.into_iter().next().and_then(|entry| entry.facts).map(|facts| facts.blob);
            let blob = blob.ok_or(postroad_mail::Error::NotFound(postroad_mail::What::Mailbox))?;
            Ok::<_, postroad_mail::Error>(tx.blob_read(blob, from..from + PIECE as u64)?)
        })?;
        Ok((Answer::Octets, octets))
    }

    /// Octets of whole messages, in the order of the uids.
    pub(super) fn read_all(&self, folder: i64, uids: Vec<u32>) -> Result<(Answer, Vec<u8>)> {
        let place = self.at(folder)?;
        let octets = self.store.read_blocking(move |tx| {
            let set: UidSet = uids.iter().copied().collect();
            let query = Query { uids: &set, want: Want::Facts, changed_since: None, limit: uids.len() };
            let found = view::entries(tx, place.account, place.mailbox, &query)?;
            let blobs: HashMap<u32, (BlobId, u64)> = found
                .into_iter()
                .filter_map(|entry| entry.facts.map(|facts| (entry.uid, (facts.blob, entry.size))))
                .collect();
            let mut octets = Vec::new();
            for uid in uids {
                // One that is gone by now is missed by who asked.
                let Some((blob, size)) = blobs.get(&uid) else { break };
                if octets.len() as u64 + size > READ_OCTETS {
                    break;
                }
                octets.extend(tx.blob_read(*blob, 0..*size)?);
            }
            Ok::<_, postroad_mail::Error>(octets)
        })?;
        Ok((Answer::Octets, octets))
    }

    /// Where contents are there in other folders.
    pub(super) fn elsewhere(&self, folder: i64, messages: &[i64]) -> Result<Answer> {
        let (account, link) = (self.account, self.link);
        let identities: HashMap<String, i64> = messages.iter().map(|message| (identity(*message), *message)).collect();
        let names: Vec<String> = identities.keys().filter(|name| !name.is_empty()).cloned().collect();
        let found = self.store.read_blocking(move |tx| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            remote::elsewhere(tx, account, link, &names, folder)
        })?;
        let mut all: HashMap<i64, Elsewhere> = HashMap::new();
        for (folder, known) in found {
            if let Some(message) = identities.get(&known.identity) {
                let one = Elsewhere { message: *message, folder, row: row(known) };
                all.entry(*message).or_insert(one);
            }
        }
        Ok(Answer::Elsewhere(all.into_values().collect()))
    }

    pub(super) fn sent(&self, folder: i64, messages: Vec<Sent>) -> Result<Answer> {
        let place = self.at(folder)?;
        let mut rows = Vec::new();
        for sent in messages {
            let hash = blake3::Hash::from_hex(&sent.hash).map_err(|_| Error::Here("no checksum".into()))?;
            rows.push(Known {
                uid: i64::from(sent.uid),
                other: sent.other,
                message: MessageId(0),
                hash: *hash.as_bytes(),
                size: sent.size,
                marks: sent.marks,
                identity: identity(sent.message),
            });
        }
        self.write(move |tx| remote::remember(tx, place, &rows))?;
        Ok(Answer::Done)
    }

    pub(super) fn mark(&mut self, folder: i64, marker: u32) -> Result<Answer> {
        let (account, link) = (self.account, self.link);
        let mut kept = self.folders.get(&folder).cloned().ok_or_else(|| Error::Here("no such folder".into()))?;
        kept.marker = marker;
        let kept = self.write(move |tx| {
            remote::keep_folder(tx, account, link, &mut kept)?;
            Ok(kept)
        })?;
        self.folders.insert(folder, kept);
        Ok(Answer::Done)
    }

    pub(super) fn forget(&self, folder: i64, uids: Vec<u32>) -> Result<Answer> {
        let place = self.at(folder)?;
        self.write(move |tx| remote::forget(tx, place, &uids.into_iter().map(i64::from).collect::<Vec<_>>()))?;
        Ok(Answer::Done)
    }
}

/// What the rows of a content have in common; nothing for those that an older version wrote.
fn identity(message: i64) -> String {
    if message > 0 { message.to_string() } else { String::new() }
}

/// Entries of All Mail whose messages are in no other mailbox: the others go with theirs.
fn alone(tx: &ReadTx, place: Place, page: &[postroad_mail::Entry]) -> postroad_mail::Result<UidSet> {
    let uids: UidSet = page.iter().map(|entry| entry.uid).collect();
    let labels = labels::of(tx, place.account, place.mailbox, &uids)?;
    let is_label = |own: Option<Own>| !matches!(own, Some(Own::Important | Own::Starred));
    let has_none = |uid: &u32| !labels.of(*uid).iter().any(|(own, _)| is_label(*own));
    Ok(uids.iter().filter(has_none).collect())
}

fn shown(mailbox: &Mailbox, folder: &Folder, subscribed: bool) -> MailboxState {
    let name = mailbox.name.as_str().to_owned();
    MailboxState {
        role: mailbox.role.map(|role| role.name().to_owned()),
        subscribed,
        messages: mailbox.messages,
        folder: state(folder, name.clone(), false),
        name,
    }
}

/// Entries in one answer.
const PAGE: usize = 2_000;
