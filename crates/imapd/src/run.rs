//! The jobs of a session, as the world carries them out: in a transaction, or on the disk.

use postroad_imap::{Body, ResponseCode, Status, Tag};
use postroad_mail::accounts::{self, State};
use postroad_store::{AccountId, ModSeq, ReadTx, Timestamp, WriteTx};

use crate::annotations;
use crate::commands;
use crate::error::{Error, Reply};
use crate::notify;
use crate::recent;
use crate::session::{Before, Flow, Session};
use crate::settings::PROGRESS_EVERY;
use crate::steps::{Idle, Phase, Running, Stage};
use crate::sync;

/// The transaction of a job.
pub(crate) enum Tx<'a> {
    /// A look.
    Read(&'a ReadTx),
    /// A change.
    Write(&'a mut WriteTx),
}

impl Tx<'_> {
    pub(crate) fn read(&self) -> &ReadTx {
        match self {
            Tx::Read(tx) => tx,
            Tx::Write(tx) => tx,
        }
    }
}

impl Session {
    /// The session's part of [`crate::Job::Read`] and [`crate::Job::Idle`]. `now` is the shell's clock.
    /// After an error the world calls [`Session::read_done`] with it.
    pub fn run_read(&mut self, tx: &ReadTx, now: Timestamp) -> Result<(), Error> {
        self.run(&mut Tx::Read(tx), now)
    }

    /// The session's part of [`crate::Job::Write`]. After an error the transaction is undone and the world
    /// calls [`Session::write_done`] with it.
    pub fn run_write(&mut self, tx: &mut WriteTx, now: Timestamp) -> Result<(), Error> {
        self.run(&mut Tx::Write(tx), now)
    }

    fn run(&mut self, tx: &mut Tx<'_>, now: Timestamp) -> Result<(), Error> {
        self.now = now;
        self.writing = matches!(tx, Tx::Write(_));
        self.looked = None;
        self.staged.clear();
        self.before = Some(Before {
            view: self.view.clone(),
            enabled: self.enabled,
            notify: self.notify.clone(),
            fresh: self.fresh.clone(),
            selecting: self.selecting(),
            tag: self.tag().cloned(),
            claiming: self.claims_next,
        });
        if self.claims_next
            && let Tx::Write(tx) = tx
        {
            return recent::claim(self, tx);
        }
        // Their answers have what they removed, brought or asked for, also where nothing else is told (RFC 5465 §3.1).
        self.thawed = match &self.phase {
            Phase::Working(running) => matches!(running.body, Body::Expunge(_) | Body::Move(_) | Body::Notify(_)),
            Phase::Appending(_) => true,
            Phase::Idle(_)
            | Phase::Greeting
            | Phase::Ready
            | Phase::Authenticating(_)
            | Phase::LoggingIn(..)
            | Phase::Penalty(..)
            | Phase::StartTls
            | Phase::Closing => false,
        };
        if self.writing {
            self.begin_own(tx.read())?;
        }
        let ran = self.run_phase(tx);
        self.looked = None;
        if self.writing && ran.is_ok() {
            self.end_own(tx.read())?;
        }
        ran
    }

    fn run_phase(&mut self, tx: &mut Tx<'_>) -> Result<(), Error> {
        match std::mem::take(&mut self.phase) {
            Phase::Working(mut running) => {
                let worked = self.work(tx, &mut running);
                if !matches!(worked, Ok(Worked::Finished)) {
                    if worked.is_ok() {
                        self.tell_progress(&mut running);
                    }
                    self.phase = Phase::Working(running);
                }
                worked.map(|_| ())
            }
            Phase::Idle(mut idle) => {
                let looked = self.look(tx, &mut idle);
                if !matches!(self.phase, Phase::Closing) {
                    self.phase = Phase::Idle(idle);
                }
                looked
            }
            Phase::Appending(mut appending) => {
                let ran = self.append_job(tx, &mut appending);
                self.phase = Phase::Appending(appending);
                ran
            }
            Phase::Ready => {
                let more = self.look_between(tx)?;
                if let Some(notify) = &mut self.notify {
                    (notify.more, notify.deaf) = (more, false);
                }
                Ok(())
            }
            other @ (Phase::Greeting
            | Phase::Authenticating(_)
            | Phase::LoggingIn(..)
            | Phase::Penalty(..)
            | Phase::StartTls
            | Phase::Closing) => {
                self.phase = other;
                Ok(())
            }
        }
    }

    /// Between commands: what a client that said NOTIFY is told.
    fn look_between(&mut self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let account = accounts::by_id(tx.read(), self.account()?)?;
        if account.is_none_or(|account| account.state != State::Active) {
            self.say_suspended();
            return Ok(false);
        }
        notify::look(self, tx.read(), false)
    }

    fn say_suspended(&mut self) {
        self.writer().untagged(Status::Bye, Some(&ResponseCode::ContactAdmin), "the account is suspended");
        self.phase = Phase::Closing;
    }

    /// The command under way.
    fn tag(&self) -> Option<&Tag> {
        match &self.phase {
            Phase::Working(running) => Some(&running.tag),
            Phase::Appending(appending) => appending.tag(),
            Phase::LoggingIn(authenticating, _) => Some(authenticating.tag()),
            Phase::Penalty(tag, _, _) => Some(tag),
            Phase::Idle(_)
            | Phase::Greeting
            | Phase::Ready
            | Phase::Authenticating(_)
            | Phase::StartTls
            | Phase::Closing => None,
        }
    }

    fn selecting(&self) -> bool {
        match &self.phase {
            Phase::Working(running) => matches!(running.body, Body::Select(_) | Body::Examine(_)),
            _ => false,
        }
    }

    fn leaving(&self) -> bool {
        match &self.phase {
            Phase::Working(running) => matches!(running.body, Body::Logout),
            _ => false,
        }
    }

    fn work(&mut self, tx: &mut Tx<'_>, running: &mut Running) -> Result<Worked, Error> {
        let (numbers, expunges) = {
            let row = commands::row(&running.body);
            (row.numbers, row.expunges)
        };
        let goes_on = matches!(running.stage, Stage::Main);
        if let Stage::Before = running.stage {
            // What names no message tells what happened at its end.
            if numbers {
                if sync::gather(self, tx.read())? == sync::Gathered::Part {
                    return Ok(Worked::Unfinished);
                }
                sync::load_map(self, tx.read())?;
            }
            running.stage = Stage::Main;
        }
        if let Stage::Main = running.stage {
            // RFC 4314 §4: what began with the right to read goes on only with it.
            if goes_on && numbers && !sync::may_read(self, tx.read())? {
                let in_literal = running.cursor.is_in_literal();
                return Err(if in_literal { Error::Withdrawn.cut() } else { Error::Withdrawn });
            }
            match commands::run(self, tx, running)? {
                Flow::Done(reply) => running.stage = Stage::After(reply),
                Flow::More => {
                    running.writes = false;
                    return Ok(Worked::Unfinished);
                }
                Flow::Write => {
                    self.go_back();
                    running.writes = true;
                    running.stage = Stage::Before;
                    return Ok(Worked::Unfinished);
                }
            }
        }
        let Stage::After(reply) = &running.stage else { return Ok(Worked::Unfinished) };
        let reply = reply.clone();
        if self.view.is_some() {
            if let Tx::Write(tx) = tx {
                recent::claim(self, tx)?;
            }
            if sync::gather(self, tx.read())? == sync::Gathered::Part {
                running.writes = false;
                return Ok(Worked::Unfinished);
            }
            if let Tx::Write(tx) = tx {
                sync::claim_recent(self, tx)?;
            }
            if expunges && sync::tell_expunged(self)? == sync::Gathered::Part {
                running.writes = false;
                return Ok(Worked::Unfinished);
            }
        }
        if self.notify_freezes() && self.view.is_some() {
            // From here on the view stays behind, and its map cannot be loaded any more.
            sync::load_map(self, tx.read())?;
        }
        annotations::tell(self, tx.read())?;
        sync::tell_held_back(self);
        let reply = self.with_code(&running.body, reply);
        self.writer().tagged(&running.tag, reply.status, reply.code.as_ref(), &reply.text);
        self.bad_commands = 0;
        Ok(Worked::Finished)
    }

    /// RFC 9585: a command that goes on for long says how far it is, between two messages.
    fn tell_progress(&mut self, running: &mut Running) {
        let Some(at) = running.progress_at else {
            running.progress_at = Some(self.now);
            return;
        };
        if self.now < at.plus(PROGRESS_EVERY) || running.cursor.is_in_literal() {
            return;
        }
        running.progress_at = Some(self.now);
        let state = running.cursor.progress();
        // §4: what is done is less than the goal. Where it is not, the answer comes next.
        if state.is_some_and(|(done, goal)| done >= goal) {
            return;
        }
        let code = ResponseCode::InProgress(running.tag.clone(), state);
        self.writer().untagged(Status::Ok, Some(&code), "still at it");
    }

    /// Drops what the job under way did to the session.
    pub(crate) fn go_back(&mut self) {
        self.staged.clear();
        self.claims_next = false;
        let Some(before) = &self.before else { return };
        let claimed = std::mem::replace(&mut self.view, before.view.clone());
        self.enabled = before.enabled;
        self.notify.clone_from(&before.notify);
        self.fresh.clone_from(&before.fresh);
        recent::keep(self, claimed);
    }

    /// The write of a command was undone because it needs this account's lock too: it begins again.
    pub(crate) fn again_with(&mut self, account: AccountId) {
        self.go_back();
        self.before = None;
        self.more_locks.push(account);
        if let Phase::Working(running) = &mut self.phase {
            running.writes = true;
            running.stage = Stage::Before;
        }
    }

    /// What a client in IDLE is told.
    fn look(&mut self, tx: &mut Tx<'_>, idle: &mut Idle) -> Result<(), Error> {
        idle.more = false;
        // The account's modseq is read before its changes: a change between the two is news again.
        let account = accounts::by_id(tx.read(), self.account()?)?;
        let heard = match self.place() {
            Ok(place) if place.account != self.account()? => accounts::by_id(tx.read(), place.account)?,
            Ok(_) | Err(_) => account.clone(),
        };
        let heard = heard.map_or(ModSeq(0), |account| account.modseq);
        let heard_login = account.as_ref().map_or(ModSeq(0), |account| account.modseq);
        if account.as_ref().is_none_or(|account| account.state != State::Active) {
            self.say_suspended();
            return Ok(());
        }
        if let Some(account) = &account {
            commands::warn_of_quota(self, account);
        }
        if self.notify.is_some() || self.pushing.is_some() || !self.fresh.is_empty() {
            idle.more = notify::look(self, tx.read(), true)?;
            if self.notify.is_some() || idle.more {
                return Ok(());
            }
        }
        annotations::tell(self, tx.read())?;
        idle.more = sync::gather(self, tx.read())? == sync::Gathered::Part;
        if !idle.more {
            idle.more = sync::tell_expunged(self)? == sync::Gathered::Part;
            (idle.heard, idle.heard_login) = (heard, heard_login);
        }
        Ok(())
    }

    /// A job failed: its output is dropped, the view is that of before, the client is told.
    pub(crate) fn failed(&mut self, error: &Error) {
        let tag = self.before.as_ref().map_or_else(|| self.tag().cloned(), |before| before.tag.clone());
        let selecting = self.before.as_ref().map_or_else(|| self.selecting(), |before| before.selecting);
        self.go_back();
        self.before = None;
        if selecting {
            // RFC 9051 §6.3.2: a SELECT that fails leaves no mailbox selected.
            self.view = None;
        }
        if let Error::Deselected | Error::Withdrawn | Error::OutOfStep = error {
            // RFC 9051 §6.3.5 is silent; clients survive the loss of a connection, not of a mailbox.
            return self.say_bye(None, &error.reply().text);
        }
        // In the middle of a literal every word would be taken for a part of the message.
        let in_literal = matches!(&self.phase, Phase::Working(running) if running.cursor.is_in_literal())
            || self.pushing.as_ref().is_some_and(|pushing| pushing.is_in_literal());
        if in_literal || matches!(error, Error::Cut(_)) {
            self.phase = Phase::Closing;
            return;
        }
        if tag.is_none() {
            self.stop_listening();
        }
        let close = self.leaving();
        match std::mem::take(&mut self.phase) {
            Phase::Idle(mut idle) => {
                // Tried again at the next tick, not at once: the store may be away for a while.
                idle.more = false;
                (idle.heard, idle.heard_login) = (ModSeq(i64::MAX), ModSeq(i64::MAX));
                self.phase = Phase::Idle(idle);
                return;
            }
            Phase::Appending(appending) => return self.append_failed(appending, error),
            Phase::Closing => self.phase = Phase::Closing,
            Phase::Greeting
            | Phase::Ready
            | Phase::Working(_)
            | Phase::Authenticating(_)
            | Phase::LoggingIn(..)
            | Phase::Penalty(..)
            | Phase::StartTls => {}
        }
        if let Some(tag) = tag {
            let reply = error.reply();
            self.complain(Some(&tag), &reply);
        }
        if close {
            self.say_bye(None, "goodbye");
        }
    }

    /// The code of a command's end, where the view has something to say with it.
    fn with_code(&self, body: &Body, reply: Reply) -> Reply {
        let Some(view) = self.view.as_ref().filter(|_| reply.code.is_none()) else { return reply };
        // RFC 7162 §3.2.7-3.2.8, RFC 6851 §4.4: with QRESYNC, EXPUNGE and MOVE tell the new HIGHESTMODSEQ.
        if matches!(body, Body::Expunge(_) | Body::Move(_)) && self.enabled.qresync {
            return Reply { code: Some(ResponseCode::HighestModSeq(view.mark.modseq.0.unsigned_abs())), ..reply };
        }
        // RFC 5530: messages that the client still counts are not in the answer, since they are gone.
        if matches!(body, Body::Search(_) | Body::Sort(_) | Body::Thread(_)) && !view.ghosts.is_empty() {
            return Reply { code: Some(ResponseCode::ExpungeIssued), ..reply };
        }
        reply
    }
}

/// What a job of a command came to.
enum Worked {
    Finished,
    Unfinished,
}
