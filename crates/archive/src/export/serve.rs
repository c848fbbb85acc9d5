//! The side of an export that has the store.

use std::io::{BufWriter, Read, Write};

use postroad_mail::{Entry, Mailbox, MailboxName, MessageId, Query, UidSet, Want, imports, mailboxes, view};
use postroad_message::Summary;
use postroad_store::{AccountId, Store};

use super::{Announced, Event, Have, Meta, Options};
use crate::source::WHOLE_MAX;
use crate::wire::{self, Kind, PIECE};
use crate::{Error, Result};

/// Sends an account's mailboxes. What cannot be read is named and skipped. Blocks on the store; memory: a page.
pub fn serve(store: &Store, account: AccountId, options: &Options, to: impl Write, from: impl Read) -> Result<()> {
    let mut server = Server { store, account, options, to: BufWriter::with_capacity(PIECE, to), from };
    let outcome = server.run();
    if let Err(error) = &outcome {
        // Who has gone need not hear it.
        let _ = server.tell(&Event::Failed { why: error.to_string() }).and_then(|()| server.flush());
    }
    outcome
}

struct Server<'a, W: Write, R> {
    store: &'a Store,
    account: AccountId,
    options: &'a Options,
    to: BufWriter<W>,
    from: R,
}

impl<W: Write, R: Read> Server<'_, W, R> {
    fn run(&mut self) -> Result<()> {
        let mailboxes = self.mailboxes()?;
        // How many came since a day is only known when all have been looked at.
        if self.options.since.is_none() {
            let messages = mailboxes.iter().map(|mailbox| u64::from(mailbox.messages)).sum();
            self.tell(&Event::Coming { messages })?;
        }
        for mailbox in mailboxes {
            let name = mailbox.name.as_str().to_owned();
            let announced = Announced { name, uidvalidity: mailbox.uidvalidity, messages: mailbox.messages };
            wire::write_json(&mut self.to, Kind::Folder, &announced)?;
            self.flush()?;
            let (kind, frame) = wire::read(&mut self.from)?;
            if kind != Kind::Folder {
                return Err(Error::Peer("a frame came where it cannot be".into()));
            }
            let have: Have = wire::parse(&frame)?;
            if !have.skip {
                let uids = UidSet::parse(&have.uids).unwrap_or_default();
                self.mailbox(&mailbox, &uids)?;
            }
        }
        wire::write(&mut self.to, Kind::End, &[])?;
        self.flush()
    }

    fn mailboxes(&self) -> Result<Vec<Mailbox>> {
        let account = self.account;
        let listed = self.store.read_blocking(move |tx| mailboxes::list(tx, account))?;
        let all = listed.into_iter().filter_map(|listed| listed.mailbox).filter(|mailbox| mailbox.selectable);
        let mut all: Vec<Mailbox> = all.collect();
        if self.options.mailboxes.is_empty() {
            return Ok(all);
        }
        let mut wanted = Vec::new();
        for text in &self.options.mailboxes {
            let name = MailboxName::parse(text);
            let found = name.ok().filter(|name| all.iter().any(|mailbox| mailbox.name == *name));
            wanted.push(found.ok_or_else(|| {
                Error::User(format!("there is no mailbox {text}; `postroad mailbox list` shows all"))
            })?);
        }
        all.retain(|mailbox| wanted.contains(&mailbox.name));
        Ok(all)
    }

    fn mailbox(&mut self, mailbox: &Mailbox, have: &UidSet) -> Result<()> {
        let mut next = 1;
        while let Some(page) = self.page(mailbox, next)? {
            let Some(last) = page.last() else { break };
            next = last.uid.saturating_add(1);
            let since = self.options.since.unwrap_or(i64::MIN);
            let page: Vec<Entry> = page
                .into_iter()
                .filter(|entry| entry.facts.as_ref().is_some_and(|facts| facts.received.0 >= since))
                .collect();
            self.entries(mailbox, page, have)?;
        }
        Ok(())
    }

    fn page(&self, mailbox: &Mailbox, next: u32) -> Result<Option<Vec<Entry>>> {
        let (account, id) = (self.account, mailbox.id);
        let page = self.store.read_blocking(move |tx| {
            let uids = UidSet::range(next, u32::MAX);
            let query = Query { uids: &uids, want: Want::Facts, changed_since: None, limit: PAGE };
            view::entries(tx, account, id, &query)
        })?;
        Ok(Some(page).filter(|page| !page.is_empty()))
    }

    fn entries(&mut self, mailbox: &Mailbox, page: Vec<Entry>, have: &UidSet) -> Result<()> {
        let account = self.account;
        let messages: Vec<MessageId> = page.iter().map(|entry| entry.message).collect();
        let crlf = self.store.read_blocking(move |tx| imports::with_crlf(tx, account, &messages))?;
        let meta = |entry: &Entry| Meta {
            uid: entry.uid,
            flags: entry.flags.bits(),
            keywords: entry.keywords.iter().map(str::to_owned).collect(),
            received: entry.facts.as_ref().map_or(0, |facts| facts.received.0),
            was_crlf: crlf.contains(&entry.message),
            ..Meta::default()
        };
        let mut wanted: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        for entry in page {
            if have.contains(entry.uid) {
                self.tell(&Event::Marks(meta(&entry)))?;
                continue;
            }
            if entry.size > WHOLE_MAX {
                self.whole(mailbox, std::mem::take(&mut wanted), &meta)?;
                bytes = 0;
                let meta = meta(&entry);
                self.large(mailbox, &entry, meta)?;
                continue;
            }
            bytes += entry.size;
            wanted.push(entry);
            if bytes >= READ_BYTES {
                self.whole(mailbox, std::mem::take(&mut wanted), &meta)?;
                bytes = 0;
            }
        }
        self.whole(mailbox, wanted, &meta)
    }

    /// Messages that are read together.
    fn whole(&mut self, mailbox: &Mailbox, entries: Vec<Entry>, meta: &impl Fn(&Entry) -> Meta) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let blobs: Vec<_> = entries.iter().filter_map(|entry| entry.facts.as_ref().map(|facts| facts.blob)).collect();
        let read = self.store.read_blocking(move |tx| {
            Ok::<_, postroad_store::Error>(
                blobs.into_iter().map(|blob| tx.blob_read(blob, 0..u64::MAX)).collect::<Vec<_>>(),
            )
        })?;
        for (entry, bytes) in entries.iter().zip(read) {
            match bytes {
                Ok(bytes) => wire::write_message(&mut self.to, &meta(entry), &bytes)?,
                Err(error) => self.damaged(mailbox, entry, &error)?,
            }
        }
        Ok(())
    }

    /// A message that is read piece by piece.
    fn large(&mut self, mailbox: &Mailbox, entry: &Entry, mut meta: Meta) -> Result<()> {
        let Some(blob) = entry.facts.as_ref().map(|facts| facts.blob) else { return Ok(()) };
        let (account, id, uid) = (self.account, mailbox.id, entry.uid);
        let found = self.store.read_blocking(move |tx| {
            let query = Query { uids: &UidSet::single(uid), want: Want::Summary, changed_since: None, limit: 1 };
            view::entries(tx, account, id, &query)
        })?;
        let summary = found.into_iter().next().and_then(|entry| entry.facts).map(|facts| facts.summary);
        // Without a summary that can be read nothing is converted.
        let decoded = summary.and_then(|bytes| Summary::decode(&bytes).ok());
        meta.bare_lf = decoded.is_none_or(|summary| summary.facts.bare_lf);
        meta.size = entry.size;
        wire::write_json(&mut self.to, Kind::Begin, &meta)?;
        let mut at = 0;
        while at < entry.size {
            let end = entry.size.min(at + PIECE as u64);
            let piece = self.store.read_blocking(move |tx| tx.blob_read(blob, at..end));
            match piece {
                Ok(piece) if piece.len() as u64 == end - at => wire::write(&mut self.to, Kind::Piece, &[&piece])?,
                Ok(_) => {
                    wire::write(&mut self.to, Kind::Abandon, &[])?;
                    return self.damaged(mailbox, entry, &postroad_store::Error::Corrupt("it is cut short".into()));
                }
                Err(error) => {
                    wire::write(&mut self.to, Kind::Abandon, &[])?;
                    return self.damaged(mailbox, entry, &error);
                }
            }
            at = end;
        }
        wire::write(&mut self.to, Kind::Complete, &[])
    }

    fn damaged(&mut self, mailbox: &Mailbox, entry: &Entry, error: &postroad_store::Error) -> Result<()> {
        let label = format!("{} uid {}", mailbox.name, entry.uid);
        self.tell(&Event::Damaged { label, why: format!("{error}: {}", error.next_step()) })
    }

    fn tell(&mut self, event: &Event) -> Result<()> {
        wire::write_json(&mut self.to, Kind::Event, event)
    }

    fn flush(&mut self) -> Result<()> {
        self.to.flush().map_err(|error| Error::Peer(error.to_string()))
    }
}

/// Entries that are looked up together.
const PAGE: usize = 500;
/// Bytes of messages that are read together.
const READ_BYTES: u64 = 1024 * 1024;
