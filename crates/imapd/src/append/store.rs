//! The transaction: what came is filed and answered.

use postroad_imap::{NumberSet, ResponseCode, Status};
use postroad_mail::batch::{self, Filed, One};
use postroad_mail::{Error as MailError, Rights, UidSet, accounts, expunge};
use postroad_store::WriteTx;

use super::{Appending, Command};
use crate::commands::{strip_unpermitted, warn_of_quota};
use crate::error::{Error, Reply};
use crate::recent;
use crate::session::{Place, Session};
use crate::sync;
use crate::target;
use crate::view::number_set;

/// What became of a command.
type Outcome = Result<ResponseCode, Error>;

impl Session {
    /// Files the commands that are over, from the front to the first that failed, and answers them.
    pub(super) fn append_store(&mut self, tx: &mut WriteTx, appending: &mut Appending) -> Result<(), Error> {
        let ready = appending.commands.iter().take_while(|command| command.ended && command.failed.is_none()).count();
        let commands: Vec<&Command> = appending.commands.iter().take(ready).collect();
        let answers = match self.append_file(tx, &commands) {
            // The job begins again with more locks, and answers nothing now.
            Err(error @ Error::Unlocked(_)) => return Err(error),
            Err(error) => {
                appending.filed = ready;
                return Err(error);
            }
            Ok(answers) => answers,
        };
        let replaces = commands.iter().any(|command| command.append.replaces.is_some());
        // RFC 8508 §4.3: APPENDUID before the EXPUNGE.
        if replaces && let Some(Ok(code)) = answers.first() {
            self.writer().untagged(Status::Ok, Some(code), "the new message is there");
        }
        recent::claim(self, tx)?;
        if sync::gather(self, tx)? == sync::Gathered::All {
            sync::claim_recent(self, tx)?;
            sync::tell_expunged(self)?;
        }
        let own = self.account()?;
        if answers.iter().any(Result::is_ok)
            && let Some(account) = accounts::by_id(tx, own)?
        {
            warn_of_quota(self, &account);
        }
        for (command, answer) in commands.iter().zip(answers) {
            let reply = match answer {
                Ok(_) if replaces => self.replaced_reply(),
                Ok(code) => Reply::ok_with(code, "APPEND done"),
                Err(error) => error.reply(),
            };
            self.writer().tagged(&command.append.tag, reply.status, reply.code.as_ref(), &reply.text);
        }
        self.bad_commands = 0;
        appending.filed = ready;
        Ok(())
    }

    /// RFC 7162 §3.2.7: with QRESYNC what removes messages tells the new HIGHESTMODSEQ.
    fn replaced_reply(&self) -> Reply {
        match &self.view {
            Some(view) if self.enabled.qresync => {
                Reply::ok_with(ResponseCode::HighestModSeq(view.mark.modseq.0.unsigned_abs()), "REPLACE done")
            }
            Some(_) | None => Reply::ok("REPLACE done"),
        }
    }

    /// Files each command for itself. `Err` is about all of them.
    fn append_file(&mut self, tx: &mut WriteTx, commands: &[&Command]) -> Result<Vec<Outcome>, Error> {
        let mut answers: Vec<Outcome> = Vec::with_capacity(commands.len());
        let places = self.append_places(tx, commands)?;
        let mut from = 0;
        while from < commands.len() {
            let Some(place) = places[from].as_ref().ok().copied() else {
                answers.push(Err(Error::Refused(places[from].as_ref().err().map_or_else(none, Error::reply))));
                from += 1;
                continue;
            };
            let same = |at: &usize| places[*at].as_ref().is_ok_and(|other| *other == place);
            let to = (from..commands.len()).take_while(same).last().map_or(from, |last| last) + 1;
            answers.extend(self.append_run(tx, place, &commands[from..to])?);
            from = to;
        }
        Ok(answers)
    }

    /// Where the commands go.
    fn append_places(&mut self, tx: &mut WriteTx, commands: &[&Command]) -> Result<Vec<Result<Place, Error>>, Error> {
        let mut places: Vec<Result<Place, Error>> = Vec::with_capacity(commands.len());
        for (at, command) in commands.iter().enumerate() {
            let before = at.checked_sub(1).filter(|before| commands[*before].append.mailbox == command.append.mailbox);
            let place = match before.and_then(|before| places[before].as_ref().ok().copied()) {
                Some(place) => Ok(place),
                None => target::destination(self, tx, &command.append.mailbox).map(|target| target.place()),
            };
            match place {
                Err(error @ Error::Unlocked(_)) => return Err(error),
                Err(error) if error.log().is_some() => return Err(error),
                place => places.push(place),
            }
        }
        Ok(places)
    }

    /// Commands to one place: all at once, or, when that cannot be, one after the other.
    fn append_run(&mut self, tx: &mut WriteTx, place: Place, commands: &[&Command]) -> Result<Vec<Outcome>, Error> {
        if let [one] = commands {
            return self.append_one(tx, place, one).map(|outcome| vec![outcome]);
        }
        let by = self.by()?;
        let all: Vec<One<'_>> = commands.iter().flat_map(|command| command.ones()).collect();
        let filed = tx.attempt(|tx| {
            let filed = batch::append_all(tx, &by, place.account, place.mailbox, &all)?;
            strip_unpermitted(self, tx, place, &filed.uids)?;
            Ok::<_, MailError>(filed)
        });
        match filed {
            Ok(filed) => {
                let mut uids = filed.uids.iter();
                let codes = commands.iter().map(|command| {
                    let own: UidSet = uids.by_ref().take(command.messages.len()).collect();
                    Ok(ResponseCode::AppendUid(filed.uidvalidity, number_set(&own)))
                });
                Ok(codes.collect())
            }
            Err(error @ MailError::Store(_)) => Err(error.into()),
            Err(_) => commands.iter().map(|command| self.append_one(tx, place, command)).collect(),
        }
    }

    /// One command: all its messages or none.
    fn append_one(&mut self, tx: &mut WriteTx, place: Place, command: &Command) -> Result<Outcome, Error> {
        let by = self.by()?;
        let all: Vec<One<'_>> = command.ones().collect();
        let from = command.append.replaces.map(|_| self.place()).transpose()?;
        if let Some(from) = from {
            self.locked(from.account)?;
            // The client took its time to bring the message: the rights of then may be gone.
            sync::refresh_rights(self, tx)?;
            if !self.view()?.rights.contains(Rights::DELETE_OR_EXPUNGE_MESSAGES) {
                return Ok(Err(target::lacking()));
            }
        }
        let filed = tx.attempt(|tx| -> postroad_mail::Result<Filed> {
            if let (Some(from), Some(uid)) = (from, command.replaced) {
                // RFC 8508 §3.4: the old message goes first, so that the quota sees only the difference.
                let gone = expunge::remove(tx, &by, from.account, from.mailbox, &UidSet::single(uid))?;
                if gone.uids.is_empty() {
                    return Err(MailError::NotFound(postroad_mail::What::Message));
                }
            }
            let filed = batch::append_all(tx, &by, place.account, place.mailbox, &all)?;
            strip_unpermitted(self, tx, place, &filed.uids)?;
            Ok(filed)
        });
        match filed {
            Ok(filed) => {
                let uids: NumberSet = number_set(&filed.uids);
                Ok(Ok(ResponseCode::AppendUid(filed.uidvalidity, uids)))
            }
            Err(error @ MailError::Store(_)) => Err(error.into()),
            Err(error) => Ok(Err(error.into())),
        }
    }
}

fn none() -> Reply {
    Reply::no(ResponseCode::TryCreate, "there is no such mailbox; create it first")
}

impl Command {
    /// Its messages, all of them safe.
    fn ones(&self) -> impl Iterator<Item = One<'_>> {
        self.messages.iter().filter_map(|message| {
            let arrival = message.arrival.as_deref()?;
            Some(One { arrival, filing: &message.filing })
        })
    }
}
