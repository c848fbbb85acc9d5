//! The jobs of a session, as the world carries them out in a transaction.

use postroad_mail::accounts::{self, State};
use postroad_mail::{By, expunge};
use postroad_store::{AccountId, ReadTx, Timestamp, WriteTx};

use crate::error::Error;
use crate::maildrop::Maildrop;
use crate::session::{Opening, Phase, Session};
use crate::settings::CHUNK;
use crate::transfer::Transfer;

impl Session {
    /// The session's part of [`crate::Job::Read`]. `now` is the shell's clock. After an error the world calls
    /// [`Session::read_done`] with it.
    pub fn run_read(&mut self, tx: &ReadTx, now: Timestamp) -> Result<(), Error> {
        let _ = now;
        self.staged.clear();
        let Session { phase, login, staged, ahead, maildrop, .. } = self;
        match phase {
            Phase::Opening(opening) => {
                let login = login.as_ref().ok_or_else(|| Error::bug("a maildrop before login"))?;
                opening.read_on(tx, login.account(), staged)
            }
            Phase::Sending(transfer) => {
                transfer.read_on(tx, staged)?;
                if let (true, true, Some(maildrop)) = (transfer.done, transfer.reads_ahead, maildrop) {
                    ahead.fill(tx, maildrop, transfer.number);
                }
                Ok(())
            }
            Phase::Greeting
            | Phase::Ready
            | Phase::Authenticating(_)
            | Phase::LoggingIn(_)
            | Phase::Penalty(..)
            | Phase::Listing(_)
            | Phase::Updating
            | Phase::StartTls
            | Phase::Closing => Ok(()),
        }
    }

    /// The session's part of [`crate::Job::Write`]: QUIT removes what is marked. After an error the
    /// transaction is undone and the world calls [`Session::write_done`] with it.
    pub fn run_write(&mut self, tx: &mut WriteTx, now: Timestamp) -> Result<(), Error> {
        self.staged.clear();
        let (Some(login), Some(maildrop)) = (&self.login, &self.maildrop) else {
            return Err(Error::bug("an update before login"));
        };
        let (account, inbox, uids) = maildrop.marked();
        // What another session removed in the meantime is not there any more, which is fine.
        expunge::remove(tx, &By::new(now, login.actor()), account, inbox, &uids)?;
        self.staged.extend_from_slice(b"+OK what was deleted is gone; goodbye\r\n");
        Ok(())
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
            Phase::Opening(Opening { maildrop: Some(maildrop), complete: true }) => {
                self.maildrop = Some(maildrop);
                Phase::Ready
            }
            Phase::Sending(transfer) if transfer.done => Phase::Ready,
            Phase::Sending(transfer) => Phase::Sending(Box::new(Transfer { said: true, ..*transfer })),
            Phase::Updating => Phase::Closing,
            other => other,
        };
    }

    fn failed(&mut self, error: &Error) {
        match &self.phase {
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
            | Phase::LoggingIn(_)
            | Phase::Penalty(..)
            | Phase::Listing(_)
            | Phase::StartTls
            | Phase::Closing => self.err(error.reply()),
        }
    }
}

impl Opening {
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
    fn read_on(&mut self, tx: &ReadTx, staged: &mut Vec<u8>) -> Result<(), Error> {
        let end = self.offset.saturating_add(CHUNK).min(self.size);
        let bytes = tx.blob_read(self.blob, self.offset..end)?;
        if self.offset == 0 {
            staged.extend_from_slice(format!("+OK {} octets\r\n", self.size).as_bytes());
        }
        self.encoder.encode(&bytes, staged);
        self.offset = end;
        // A blob shorter than its row says would otherwise be read for ever.
        self.done = end == self.size || bytes.is_empty() || self.encoder.is_full();
        if self.done {
            self.encoder.finish(staged);
        }
        Ok(())
    }
}
