//! APPEND (RFC 9051 §6.3.12): the message streams through, from the framer to the disk, and is filed in
//! one transaction.
//!
//! Stages: *check* (is the mailbox there, is there room: before a client that waits for `+` sends
//! megabytes), *receive* (octets to the disk, in chunks), *store* (the transaction).

use postroad_imap::{AppendStart, NumberSet, ResponseCode, Tag};
use postroad_mail::deliver::{self, Filing};
use postroad_mail::{Arrival, Intake};
use postroad_store::{Timestamp, Upload};

use crate::error::{Error, Reply};
use crate::flags;
use crate::run::Tx;
use crate::session::{Place, Session};
use crate::settings::APPEND_CHUNK;
use crate::steps::Phase;
use crate::sync;
use crate::target;

/// An APPEND under way.
pub(crate) struct Appending {
    start: AppendStart,
    stage: Stage,
    /// Octets that the disk has not taken yet.
    buffer: Vec<u8>,
    /// All octets came.
    ended: bool,
    intake: Option<Intake>,
}

enum Stage {
    Check,
    Receive,
    Store(Box<Arrival>),
}

/// What an APPEND needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Disk,
    Write,
}

impl Appending {
    pub(crate) fn tag(&self) -> &Tag {
        &self.start.append.tag
    }

    /// Whether the next step is a job, not more octets.
    pub(crate) fn wants_job(&self) -> bool {
        match self.stage {
            Stage::Check | Stage::Store(_) => true,
            Stage::Receive => self.ended || self.buffer.len() >= APPEND_CHUNK,
        }
    }

    pub(crate) fn access(&self) -> Access {
        match self.stage {
            Stage::Check => Access::Read,
            Stage::Receive => Access::Disk,
            Stage::Store(_) => Access::Write,
        }
    }

    pub(crate) fn chunk(&mut self, chunk: Vec<u8>) {
        match self.buffer.is_empty() {
            true => self.buffer = chunk,
            false => self.buffer.extend_from_slice(&chunk),
        }
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
    }
}

impl std::fmt::Debug for Appending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appending").field("start", &self.start).field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Session {
    /// The framer announced a message.
    pub(crate) fn append_start(&mut self, start: AppendStart) {
        if self.login.is_none() {
            let close = self.framer.refuse_append();
            self.complain(Some(&start.append.tag), &Reply::bad("log in first"));
            if close {
                self.say_bye(None, "too much to throw away");
            }
            return;
        }
        self.more_locks.clear();
        let appending = Appending { start, stage: Stage::Check, buffer: Vec::new(), ended: false, intake: None };
        self.phase = Phase::Appending(Box::new(appending));
    }

    /// A job of APPEND in a transaction; true when the command is done.
    pub(crate) fn append_job(&mut self, tx: &mut Tx<'_>, appending: &mut Appending) -> Result<bool, Error> {
        let append = &appending.start.append;
        let target = target::destination(self, tx.read(), &append.mailbox)?;
        let Place { account, mailbox } = target.place();
        let (system, keywords) = flags::split(&append.flags)?;
        let Stage::Store(arrival) = &appending.stage else {
            deliver::would_take(tx.read(), account, appending.start.size)?;
            if self.framer.accept_append() {
                self.writer().continuation("OK");
            }
            self.lock_also(account);
            appending.stage = Stage::Receive;
            return Ok(false);
        };
        let Tx::Write(tx) = tx else { return Err(Error::bug("APPEND needs a write")) };
        let received = append.date.map(|date| Timestamp(date.seconds.saturating_mul(1_000_000)));
        let filing = Filing { flags: system, keywords, received, trace: None };
        let delivered = deliver::append(tx, &self.by()?, account, mailbox, arrival, &filing)?;
        let uid = NumberSet::from_sorted([delivered.uid]);
        let code = ResponseCode::AppendUid(delivered.uidvalidity, uid);
        if sync::gather(self, tx)? == sync::Gathered::All {
            sync::claim_recent(self, tx)?;
            sync::tell_expunged(self);
        }
        let reply = Reply::ok_with(code, "APPEND done");
        self.writer().tagged(&append.tag, reply.status, reply.code.as_ref(), &reply.text);
        Ok(true)
    }

    /// The session's part of [`crate::Job::Disk`]: octets of an APPEND go to the blob store, and at its end
    /// it is made safe. Blocks. `upload` is called at most once: `|| store.upload()`. When it fails the client
    /// is told, and what comes back is for the log.
    pub fn run_disk(&mut self, upload: impl FnOnce() -> Upload) -> Option<String> {
        let Phase::Appending(appending) = &mut self.phase else { return None };
        let error = take(appending, upload).err()?;
        self.failed(&error);
        error.log()
    }

    /// The APPEND is not taken: what still comes of it is thrown away.
    pub(crate) fn append_failed(&mut self, appending: &Appending) -> bool {
        // The framer still expects octets unless it has told their end.
        !appending.ended && self.framer.refuse_append()
    }
}

fn take(appending: &mut Appending, upload: impl FnOnce() -> Upload) -> Result<(), Error> {
    let limits = postroad_message::Limits::default();
    let intake = appending.intake.get_or_insert_with(|| Intake::new(upload(), limits));
    let octets = std::mem::take(&mut appending.buffer);
    if !octets.is_empty() {
        intake.feed(&octets)?;
    }
    if appending.ended
        && let Some(intake) = appending.intake.take()
    {
        appending.stage = Stage::Store(Box::new(intake.finish(Vec::new())?));
    }
    Ok(())
}
