//! The jobs of a session, as the world carries them out in a transaction.

use postroad_mail::accounts::{self, State};
use postroad_mail::maildrop::{self, Opened, Terms};
use postroad_mail::{By, expunge};
use postroad_store::{AccountId, ReadTx, Timestamp, WriteTx};

use crate::error::Error;
use crate::maildrop::Maildrop;
use crate::session::{Hold, Opening, Phase, Session};
use crate::settings::{CHUNK, LEASE_BEYOND_PATIENCE, LEASE_PARTS, QUICK_OCTETS_MAX};
use crate::transfer::{self, Transfer};

impl Session {
    /// The session's part of [`crate::Job::Read`]. `now` is the shell's clock. After an error the world calls
    /// [`Session::read_done`] with it.
    pub fn run_read(&mut self, tx: &ReadTx, now: Timestamp) -> Result<(), Error> {
        self.staged.clear();
        let lease = self.lease();
        if let Some(held) = &mut self.held {
            held.due |= now.0 >= held.since.0.saturating_add(lease / LEASE_PARTS);
        }
        let Session { phase, login, staged, ahead, maildrop, .. } = self;
        match phase {
            Phase::Opening(opening) => {
                let login = login.as_ref().ok_or_else(|| Error::bug("a maildrop before login"))?;
                opening.read_on(tx, login.account(), staged)
            }
            Phase::Sending(transfer) => {
                transfer.read_on(tx, maildrop.as_ref(), staged)?;
                if let (true, true, Some(maildrop)) = (transfer.done, transfer.reads_ahead, maildrop) {
                    ahead.fill(tx, maildrop, transfer.number);
                }
                Ok(())
            }
            Phase::Greeting
            | Phase::Ready
            | Phase::Authenticating(_)
            | Phase::LoggingIn(..)
            | Phase::Penalty(..)
            | Phase::Listing(_)
            | Phase::Holding
            | Phase::Updating
            | Phase::StartTls
            | Phase::Closing => Ok(()),
        }
    }

    /// The session's part of [`crate::Job::Write`]: QUIT removes what is marked; a policy lets a maildrop be opened, or one
    /// session has it alone. After an error the transaction is undone and the world calls [`Session::write_done`] with it.
    pub fn run_write(&mut self, tx: &mut WriteTx, now: Timestamp) -> Result<(), Error> {
        self.staged.clear();
        let lease = self.lease();
        let login = self.login.as_ref().ok_or_else(|| Error::bug("an update before login"))?;
        let account = login.account();
        match &mut self.phase {
            Phase::Opening(opening) => {
                let interval = i64::try_from(self.settings.login_interval.as_micros()).unwrap_or(i64::MAX);
                let terms = Terms { interval, lease: self.settings.exclusive.then_some(lease) };
                let opened = maildrop::open(tx, account, now, terms)?;
                opening.ask(opened);
                if let Opened::Open(Some(holder)) = opened {
                    self.held = Some(Hold { holder, since: now, due: false });
                }
                Ok(())
            }
            Phase::Holding => {
                if let Some(held) = &mut self.held {
                    // Whoever has it by now: what this session removes is removed by uid.
                    maildrop::hold(tx, account, held.holder, Timestamp(now.0.saturating_add(lease)))?;
                    held.since = now;
                }
                Ok(())
            }
            Phase::Updating => {
                let by = By::new(now, login.actor());
                self.update(tx, &by)?;
                self.release(tx)
            }
            Phase::Closing => self.release(tx),
            Phase::Greeting
            | Phase::Ready
            | Phase::Authenticating(_)
            | Phase::LoggingIn(..)
            | Phase::Penalty(..)
            | Phase::Sending(_)
            | Phase::Listing(_)
            | Phase::StartTls => Err(Error::bug("a write that nothing asked for")),
        }
    }

    /// RFC 1939 §6. What another session removed in the meantime is not there any more, which is fine.
    fn update(&mut self, tx: &mut WriteTx, by: &By) -> Result<(), Error> {
        let maildrop = self.maildrop.as_ref().ok_or_else(|| Error::bug("an update without a maildrop"))?;
        let (account, inbox, mut uids) = maildrop.marked();
        match self.settings.expire_days {
            None => {}
            // RFC 2449 §6.7: with EXPIRE 0 nothing that was fetched is left.
            Some(0) => uids = uids.union(&maildrop.fetched()),
            Some(_) => maildrop::fetched(tx, account, inbox, &maildrop.fetched(), by.now)?,
        }
        expunge::remove(tx, by, account, inbox, &uids)?;
        self.staged.extend_from_slice(match uids.is_empty() {
            true => b"+OK goodbye\r\n".as_slice(),
            false => b"+OK what was deleted is gone; goodbye\r\n",
        });
        Ok(())
    }

    fn release(&self, tx: &mut WriteTx) -> Result<(), Error> {
        let (Some(held), Some(login)) = (&self.held, &self.login) else { return Ok(()) };
        Ok(maildrop::release(tx, login.account(), held.holder)?)
    }

    /// For how long one session has a maildrop alone, in microseconds.
    fn lease(&self) -> i64 {
        let lease = self.settings.patience + LEASE_BEYOND_PATIENCE;
        i64::try_from(lease.as_micros()).unwrap_or(i64::MAX)
    }

    /// What the world says of a job.
    pub(crate) fn settle(&mut self, outcome: Result<(), Error>) {
        match outcome {
            Ok(()) => {
                self.out.append(&mut self.staged);
                self.proceed();
            }
            Err(error) => {
                self.staged.clear();
                self.failed(&error);
            }
        }
    }

    fn proceed(&mut self) {
        self.phase = match std::mem::take(&mut self.phase) {
            Phase::Opening(Opening { denied: Some(why), .. }) => {
                self.login = None;
                self.err(why);
                Phase::Ready
            }
            Phase::Opening(Opening { maildrop: Some(maildrop), complete: true, .. }) => {
                self.maildrop = Some(maildrop);
                Phase::Ready
            }
            Phase::Holding => {
                self.held = self.held.map(|held| Hold { due: false, ..held });
                Phase::Ready
            }
            Phase::Sending(transfer) if transfer.done => {
                if let (true, Some(maildrop)) = (transfer.whole, &mut self.maildrop) {
                    maildrop.sent(transfer.number);
                }
                Phase::Ready
            }
            Phase::Sending(transfer) => Phase::Sending(Box::new(Transfer { said: true, ..*transfer })),
            Phase::Updating | Phase::Closing => {
                self.held = None;
                Phase::Closing
            }
            other => other,
        };
    }

    fn failed(&mut self, error: &Error) {
        match &self.phase {
            // It is let go on the way out.
            Phase::Opening(_) if self.held.is_some() => self.hang_up(error.reply()),
            Phase::Opening(_) => {
                // RFC 1939 §4: the session stays in the AUTHORIZATION state.
                self.login = None;
                self.phase = Phase::Ready;
                self.err(error.reply());
            }
            // The message is half said: only a broken connection tells the client so.
            Phase::Sending(transfer) if transfer.said => self.phase = Phase::Closing,
            Phase::Sending(_) => {
                self.phase = Phase::Ready;
                self.err(error.reply());
            }
            // RFC 1939 §6: the client learns that messages were not removed.
            Phase::Updating => self.hang_up(error.reply()),
            Phase::Greeting
            | Phase::Ready
            | Phase::Authenticating(_)
            | Phase::LoggingIn(..)
            | Phase::Penalty(..)
            | Phase::Listing(_)
            | Phase::StartTls => self.err(error.reply()),
            // The next renewal may go well; until then there is time.
            Phase::Holding => {
                self.held = self.held.map(|held| Hold { due: false, ..held });
                self.phase = Phase::Ready;
            }
            // The lease ends by itself.
            Phase::Closing => self.held = None,
        }
    }
}

impl Opening {
    /// What the policy says.
    fn ask(&mut self, opened: Opened) {
        match opened {
            Opened::Open(_) => self.admitted = true,
            // RFC 2449 §8.1.1 and §8.1.2: the client is not to ask its user for the password.
            Opened::InUse => self.denied = Some("[IN-USE] another session has the maildrop; try again later"),
            Opened::TooSoon => self.denied = Some("[LOGIN-DELAY] the last login was a moment ago; try again later"),
        }
    }

    /// Reads the maildrop, a part per job.
    fn read_on(&mut self, tx: &ReadTx, account: AccountId, staged: &mut Vec<u8>) -> Result<(), Error> {
        let maildrop = match &mut self.maildrop {
            Some(maildrop) => maildrop,
            empty @ None => {
                let state = accounts::by_id(tx, account)?.map(|account| account.state);
                if state != Some(State::Active) {
                    return Err(postroad_mail::Error::Suspended.into());
                }
                empty.insert(Maildrop::open(tx, account)?)
            }
        };
        self.complete = maildrop.read_on(tx)?;
        if self.complete {
            let (messages, octets) = maildrop.totals();
            let welcome = format!("+OK maildrop has {messages} messages ({octets} octets)\r\n");
            staged.extend_from_slice(welcome.as_bytes());
        }
        Ok(())
    }
}

impl Transfer {
    /// Reads the message, a chunk per job.
    fn read_on(&mut self, tx: &ReadTx, maildrop: Option<&Maildrop>, staged: &mut Vec<u8>) -> Result<(), Error> {
        let end = self.offset.saturating_add(CHUNK).min(self.size);
        let (whole, part);
        let bytes: &[u8] = match self.size <= QUICK_OCTETS_MAX {
            true => {
                whole = tx.blob_whole(self.blob)?;
                &whole
            }
            false => {
                part = tx.blob_read(self.blob, self.offset..end)?;
                &part
            }
        };
        if self.offset == 0 {
            staged.extend_from_slice(format!("+OK {} octets\r\n", self.size).as_bytes());
            if !self.utf8 {
                self.told = transfer::in_ascii(tx, maildrop, (self.number, self.size), (self.blob, bytes))?;
            }
        }
        self.encoder.encode(&self.told.rewrite(self.offset, bytes), staged);
        self.offset = end;
        // A blob shorter than its row says would otherwise be read for ever.
        self.done = end == self.size || bytes.is_empty() || self.encoder.is_full();
        if self.done {
            self.encoder.finish(staged);
        }
        Ok(())
    }
}
