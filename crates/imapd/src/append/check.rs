//! The look before a client that waits for `+` sends its message: is the mailbox there, is there room, and which
//! message does REPLACE mean.

use postroad_imap::ResponseCode;
use postroad_imap::command::Replaced;
use postroad_imap::{MessageSet, Numbering, SequenceSet};
use postroad_mail::{Rights, batch};
use postroad_store::ReadTx;

use super::{Appending, Feed};
use crate::error::{Error, Reply};
use crate::session::Session;
use crate::sync;
use crate::target;

impl Session {
    /// A job of APPENDs that only looks.
    pub(super) fn append_look(&mut self, tx: &ReadTx, appending: &mut Appending) -> Result<(), Error> {
        let wanted = appending.commands.iter().position(|command| command.wants_look());
        if let Some(at) = wanted {
            let command = &appending.commands[at];
            let looked = match (command.append.replaces, command.replaced, command.feeds.front()) {
                (Some(replaces), None, _) => self.append_replaced(tx, appending, at, replaces),
                (_, _, Some(Feed::Url(_))) => self.append_url(tx, appending, at),
                (_, _, _) => Ok(()),
            };
            return self.append_looked(appending, at, looked);
        }
        if appending.asked.take().is_none() || appending.coming().is_none() {
            return Ok(());
        }
        let at = appending.commands.len() - 1;
        let checked = self.append_check(tx, appending, at);
        if checked.is_ok() && self.framer.accept_append() {
            self.writer().continuation("OK");
        }
        self.append_looked(appending, at, checked)
    }

    /// A command that may not go on is answered; what the administrator should read of it goes on.
    fn append_looked(&mut self, appending: &mut Appending, at: usize, looked: Result<(), Error>) -> Result<(), Error> {
        let Err(error) = looked else { return Ok(()) };
        if let Error::Deselected | Error::Withdrawn | Error::OutOfStep = error {
            return Err(error);
        }
        self.append_fails_at(appending, at, &error);
        appending.job = None;
        match error.log() {
            Some(_) => Err(error),
            None => Ok(()),
        }
    }

    /// Where to, and is there room for all that was announced.
    fn append_check(&mut self, tx: &ReadTx, appending: &Appending, at: usize) -> Result<(), Error> {
        let command = &appending.commands[at];
        let target = target::destination(self, tx, &command.append.mailbox)?;
        let place = target.place();
        self.lock_also(place.account);
        // What REPLACE takes away makes room (RFC 8508 §3.4): that is found out when it is filed.
        if command.append.replaces.is_none() {
            batch::would_take(tx, place.account, command.messages.len() as u64, command.octets)?;
        }
        Ok(())
    }

    /// Which message REPLACE takes away.
    fn append_replaced(
        &mut self,
        tx: &ReadTx,
        appending: &mut Appending,
        at: usize,
        replaces: Replaced,
    ) -> Result<(), Error> {
        if self.enabled.uid_only && replaces.numbering == Numbering::Sequence {
            let text = "after ENABLE UIDONLY messages are named by UID";
            return Err(Error::Refused(Reply::new(postroad_imap::Status::Bad, Some(ResponseCode::UidRequired), text)));
        }
        // What happened is told first, with the rights that there are now; much of it in several jobs.
        if sync::gather(self, tx)? == sync::Gathered::Part {
            return Ok(());
        }
        // RFC 8508 §4.1: as for UID STORE and UID EXPUNGE.
        if !self.view()?.rights.contains(Rights::DELETE_OR_EXPUNGE_MESSAGES) {
            return Err(target::lacking());
        }
        sync::load_map(self, tx)?;
        let text = replaces.number.map_or_else(|| "*".to_owned(), |number| number.to_string());
        let set = SequenceSet::parse(text.as_bytes(), 1).map_err(|_| Error::bug("a number is a set"))?;
        let view = self.view()?;
        let found = view.resolve(&MessageSet::Set(set), replaces.numbering)?.difference(&view.ghosts);
        let missing = match replaces.numbering {
            Numbering::Uid => Error::no(ResponseCode::NonExistent, "there is no such message"),
            // RFC 5530.
            Numbering::Sequence => Error::no(ResponseCode::ExpungeIssued, "this message has been deleted elsewhere"),
        };
        // `*` in an empty mailbox is nobody.
        let none = view.exists == 0;
        let uid =
            found.first().ok_or(if none { Error::Refused(Reply::bad("the mailbox is empty")) } else { missing })?;
        appending.commands[at].replaced = Some(uid);
        let account = self.place()?.account;
        self.lock_also(account);
        Ok(())
    }
}
