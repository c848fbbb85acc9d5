//! Messages on their way into the store: parsed by several threads, filed in batches by one.

use std::collections::HashSet;
use std::io::Write;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postroad_mail::{Arrival, By, Filing, Flags, Incoming, Intake, Keyword, MailboxId, Source, imports};
use postroad_message::Limits;
use postroad_store::{AccountId, Locks, Store, Timestamp};

use super::places::Target;
use super::{Event, Meta, Options};
use crate::wire::{self, Kind};
use crate::{Error, Result};

/// What all threads of an import share.
pub(super) struct Desk<'a, W> {
    pub(super) store: &'a Store,
    pub(super) account: AccountId,
    pub(super) by: By,
    pub(super) options: &'a Options,
    pub(super) to: Mutex<W>,
}

/// A message as it was read.
pub(super) struct Raw {
    pub(super) meta: Meta,
    /// As they will be stored.
    pub(super) bytes: Vec<u8>,
    pub(super) crlf: bool,
    pub(super) source: Source,
}

/// Messages of one mailbox to be parsed, and where they go then.
pub(super) struct Job {
    pub(super) target: Target,
    pub(super) messages: Vec<Raw>,
    pub(super) reply: SyncSender<Part>,
}

/// Messages of one mailbox that are ready.
pub(super) struct Part {
    pub(super) target: Target,
    pub(super) ready: Vec<Ready>,
    /// Others that were there already.
    pub(super) known: u64,
    /// Messages and bytes that a dry run would have taken.
    pub(super) would: (u64, u64),
}

/// A message that is ready.
pub(super) struct Ready {
    pub(super) label: String,
    pub(super) incoming: Incoming,
}

impl<W: Write> Desk<'_, W> {
    /// Tells the other side.
    pub(super) fn tell(&self, event: &Event) -> Result<()> {
        let mut to: MutexGuard<'_, W> = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        wire::write_json(&mut *to, Kind::Event, event)?;
        to.flush().map_err(|error| Error::Peer(error.to_string()))
    }

    /// Those of `sources` that are there already.
    pub(super) fn known(&self, mailbox: Option<MailboxId>, sources: Vec<Source>) -> Result<HashSet<Source>> {
        let Some(mailbox) = mailbox else { return Ok(HashSet::new()) };
        let (account, present) = (self.account, self.options.again);
        Ok(self.store.read_blocking(move |tx| imports::known(tx, account, mailbox, &sources, present))?)
    }

    /// Parses jobs until there are no more.
    pub(super) fn parse(&self, jobs: &Arc<Mutex<Receiver<Job>>>) -> Result<()> {
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Job { target, messages, reply }) = job else { return Ok(()) };
            let sources = messages.iter().map(|raw| raw.source).collect();
            let known = self.known(target.mailbox, sources)?;
            let mut part = Part { target, ready: Vec::new(), known: 0, would: (0, 0) };
            for raw in messages {
                if known.contains(&raw.source) {
                    part.known += 1;
                    continue;
                }
                let size = raw.bytes.len() as u64;
                let mut intake = Intake::as_it_is(self.store.upload(), Limits::default());
                match intake.feed(&raw.bytes) {
                    Ok(_) if self.options.dry_run => part.would = (part.would.0 + 1, part.would.1 + size),
                    Ok(_) => part.ready.push(ready(raw.meta, intake.finish(Vec::new())?, raw.crlf, raw.source)),
                    Err(postroad_mail::Error::Message(why)) => {
                        self.tell(&Event::Refused { label: raw.meta.label, why: why.into() })?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if reply.send(part).is_err() {
                return Ok(());
            }
        }
    }

    /// Files parts in the order in which they were read.
    pub(super) fn file(&self, parts: &Receiver<Receiver<Part>>) -> Result<()> {
        let mut batch: Vec<Ready> = Vec::new();
        let mut bytes = 0;
        let mut target: Option<Target> = None;
        while let Ok(part) = parts.recv() {
            // The thread that parses it gave up: its own error is told.
            let Ok(part) = part.recv() else { break };
            if part.known > 0 || part.would.0 > 0 {
                self.tell(&Event::Taken { messages: part.would.0, known: part.known, bytes: part.would.1 })?;
            }
            if target.as_ref() != Some(&part.target) {
                self.commit(target.as_ref(), std::mem::take(&mut batch))?;
                bytes = 0;
                target = Some(part.target);
            }
            for ready in part.ready {
                bytes += ready.incoming.arrival.size;
                batch.push(ready);
                if batch.len() >= BATCH_MESSAGES || bytes >= BATCH_BYTES {
                    self.commit(target.as_ref(), std::mem::take(&mut batch))?;
                    bytes = 0;
                }
            }
        }
        self.commit(target.as_ref(), batch)
    }

    fn commit(&self, target: Option<&Target>, batch: Vec<Ready>) -> Result<()> {
        let Some(mailbox) = target.and_then(|target| target.mailbox).filter(|_| !batch.is_empty()) else {
            return Ok(());
        };
        let batch = Arc::new(batch);
        let mut todo: Vec<Range<usize>> = std::iter::once(0..batch.len()).collect();
        while let Some(range) = todo.pop() {
            match self.try_commit(mailbox, &batch, range.clone()) {
                Ok((messages, known, bytes)) => self.tell(&Event::Taken { messages, known, bytes })?,
                // What fits is taken: halves, the first one first.
                Err(postroad_mail::Error::OverQuota | postroad_mail::Error::Limit(_)) if range.len() > 1 => {
                    let middle = range.start + range.len() / 2;
                    todo.extend([middle..range.end, range.start..middle]);
                }
                Err(postroad_mail::Error::OverQuota) => {
                    return Err(Error::Told(format!(
                        "the account's quota is used up at {}; raise it with `postroad account quota` or add \
                         --ignore-quota, then run the same command again to go on",
                        batch[range.start].label
                    )));
                }
                Err(error @ postroad_mail::Error::Limit(_)) => {
                    self.tell(&Event::Refused { label: batch[range.start].label.clone(), why: error.to_string() })?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// One transaction: messages taken, messages that were there already, bytes taken.
    fn try_commit(
        &self,
        mailbox: MailboxId,
        batch: &Arc<Vec<Ready>>,
        range: Range<usize>,
    ) -> postroad_mail::Result<(u64, u64, u64)> {
        let (by, account, batch) = (self.by.clone(), self.account, Arc::clone(batch));
        let (quota, present) = (!self.options.ignore_quota, self.options.again);
        let stored = self.store.write_blocking(Locks::account(account), move |tx| {
            let batch = &batch[range];
            // Another import of the same files may have been faster.
            let sources: Vec<Source> = batch.iter().map(|ready| ready.incoming.source).collect();
            let mut there = imports::known(tx, account, mailbox, &sources, present)?;
            let incoming: Vec<&Incoming> =
                batch.iter().map(|ready| &ready.incoming).filter(|incoming| there.insert(incoming.source)).collect();
            imports::deliver_all(tx, &by, account, mailbox, &incoming, quota)?;
            let bytes = incoming.iter().map(|incoming| incoming.arrival.size).sum();
            let known = batch.len() - incoming.len();
            Ok::<_, postroad_mail::Error>((incoming.len() as u64, known as u64, bytes))
        })?;
        Ok(stored.value)
    }
}

/// A message with everything that is filed with it.
pub(super) fn ready(meta: Meta, arrival: Arrival, crlf: bool, source: Source) -> Ready {
    let of_header = || arrival.summary.date.time().map(|date| date.micros);
    let received =
        if meta.prefer_header_date { of_header().or(meta.received) } else { meta.received.or_else(of_header) };
    let filing = Filing {
        flags: Flags::from_bits(meta.flags),
        keywords: meta.keywords.iter().filter_map(|text| Keyword::parse(text)).collect(),
        received: received.map(|micros| Timestamp(micros.clamp(0, LATEST))),
        trace: None,
    };
    Ready { label: meta.label, incoming: Incoming { arrival, filing, source, crlf } }
}

/// Messages of one transaction: sessions of the account get their turn between two.
const BATCH_MESSAGES: usize = 250;
/// Bytes of one transaction.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;
/// The end of the year 9999: dates of IMAP have four digits.
const LATEST: i64 = 253_402_300_799_000_000;
