//! Search keys of X-GM-EXT-1: what they mean in a mailbox, as a set of its messages.
//!
//! Asked when the search begins, each in a statement or two, however many messages there are.

use std::borrow::Cow;

use postroad_imap::command::{Label, SearchKey};
use postroad_mail::labels::{self, Named};
use postroad_mail::{Mailbox, MessageId, ThreadId, UidSet, mailboxes};
use postroad_store::ReadTx;

use super::{is_on, is_own, of_wire, unknown};
use crate::context;
use crate::error::Error;
use crate::session::{Place, Session};
use crate::target;

/// A key whose parts of this extension are sets of messages. No statement without such.
///
/// Errors: `BAD` where the account has no labels, `NO` for more of them than [`KEYS_MAX`].
pub(crate) fn expanded<'k>(
    session: &Session,
    tx: &ReadTx,
    place: Place,
    key: Cow<'k, SearchKey>,
) -> Result<Cow<'k, SearchKey>, Error> {
    let count = count(&key);
    if count == 0 {
        return Ok(key);
    }
    if !is_on(session) {
        return Err(unknown());
    }
    if count > KEYS_MAX {
        return Err(Error::no(postroad_imap::ResponseCode::Limit, "too many labels and ids in one search"));
    }
    let me = target::who(session)?.address().to_owned();
    let mut looking = Looking { tx, place, own: is_own(session, place)?, raw: false, me, names: None };
    looking.key(&key).map(Cow::Owned)
}

/// How many keys of this extension there are that ask the database.
fn count(key: &SearchKey) -> usize {
    match key {
        SearchKey::And(keys) => keys.iter().map(count).sum(),
        SearchKey::Or(first, second) => count(first) + count(second),
        SearchKey::Not(inner) | SearchKey::Fuzzy(inner) => count(inner),
        SearchKey::GmailRaw(inner) => count(inner) + 1,
        other => usize::from(matches!(
            other,
            SearchKey::GmailMessage(_)
                | SearchKey::GmailThread(_)
                | SearchKey::Label(_)
                | SearchKey::LabelLike(_)
                | SearchKey::UserLabels
                | SearchKey::Near(_)
                | SearchKey::HasAttachment
                | SearchKey::FileName(_)
        )),
    }
}

struct Looking<'a> {
    tx: &'a ReadTx,
    place: Place,
    /// The mailbox is of an account whose labels this login may know.
    own: bool,
    /// Within X-GM-RAW.
    raw: bool,
    /// The address that logged in.
    me: String,
    /// The mailboxes, once they were needed.
    names: Option<Vec<Mailbox>>,
}

impl Looking<'_> {
    fn key(&mut self, key: &SearchKey) -> Result<SearchKey, Error> {
        let Place { account, mailbox } = self.place;
        let uids = match key {
            SearchKey::And(keys) => {
                return Ok(SearchKey::And(keys.iter().map(|inner| self.key(inner)).collect::<Result<_, _>>()?));
            }
            SearchKey::Or(first, second) => {
                return Ok(SearchKey::Or(Box::new(self.key(first)?), Box::new(self.key(second)?)));
            }
            SearchKey::GmailRaw(inner) => {
                let outside = std::mem::replace(&mut self.raw, true);
                let key = self.key(inner);
                self.raw = outside;
                return key;
            }
            SearchKey::From(who) if self.is_me(who) => return Ok(SearchKey::From(self.me.clone())),
            SearchKey::To(who) if self.is_me(who) => return Ok(SearchKey::To(self.me.clone())),
            SearchKey::Cc(who) if self.is_me(who) => return Ok(SearchKey::Cc(self.me.clone())),
            SearchKey::Bcc(who) if self.is_me(who) => return Ok(SearchKey::Bcc(self.me.clone())),
            SearchKey::Not(inner) => return Ok(SearchKey::Not(Box::new(self.key(inner)?))),
            SearchKey::Fuzzy(inner) => return Ok(SearchKey::Fuzzy(Box::new(self.key(inner)?))),
            SearchKey::GmailMessage(id) => match i64::try_from(*id) {
                Ok(id) => labels::of_message(self.tx, account, mailbox, MessageId(id))?,
                Err(_) => UidSet::new(),
            },
            SearchKey::GmailThread(id) => match i64::try_from(*id) {
                Ok(id) => labels::of_thread(self.tx, account, mailbox, ThreadId(id))?,
                Err(_) => UidSet::new(),
            },
            SearchKey::Label(label) => self.label(label)?,
            SearchKey::LabelLike(name) => self.like(name)?,
            SearchKey::UserLabels => self.labelled()?,
            other => return Ok(other.clone()),
        };
        Ok(context::these(&uids))
    }

    fn label(&self, label: &Label) -> Result<UidSet, Error> {
        if !self.own {
            return Ok(UidSet::new());
        }
        let account = self.place.account;
        let found = match of_wire(label)? {
            Named::Own(own) => mailboxes::by_role(self.tx, account, own.role())?,
            Named::Name(name) => mailboxes::find(self.tx, account, &name)?,
        };
        match found {
            Some(row) => self.with(&row),
            None => Ok(UidSet::new()),
        }
    }

    /// As Gmail's `label:`, where a space or a `/` in a name may be written `-`.
    fn like(&mut self, name: &str) -> Result<UidSet, Error> {
        if !self.own {
            return Ok(UidSet::new());
        }
        let wanted = loosely(name);
        self.read_names()?;
        let rows = self.names.iter().flatten().filter(|row| row.selectable && loosely(row.name.as_str()) == wanted);
        let mut found = UidSet::new();
        for row in rows.take(LIKE_MAX) {
            found = found.union(&self.with(row)?);
        }
        Ok(found)
    }

    /// The messages with a label that somebody made.
    fn labelled(&mut self) -> Result<UidSet, Error> {
        if !self.own {
            return Ok(UidSet::new());
        }
        self.read_names()?;
        let made = |row: &&Mailbox| row.selectable && row.role.is_none() && !row.name.is_inbox();
        let rows: Vec<&Mailbox> = self.names.iter().flatten().filter(made).collect();
        if rows.len() > MADE_MAX {
            let text = "these are too many labels to ask for all at once";
            return Err(Error::no(postroad_imap::ResponseCode::Limit, text));
        }
        rows.into_iter().try_fold(UidSet::new(), |found, row| Ok(found.union(&self.with(row)?)))
    }

    fn read_names(&mut self) -> Result<(), Error> {
        if self.names.is_none() {
            let all = mailboxes::list(self.tx, self.place.account)?.into_iter();
            self.names = Some(all.filter_map(|listed| listed.mailbox).collect());
        }
        Ok(())
    }

    /// `from:me` within X-GM-RAW.
    fn is_me(&self, who: &str) -> bool {
        self.raw && who.eq_ignore_ascii_case("me")
    }

    /// The messages of this mailbox that are also in that one: all of them when it is the same.
    fn with(&self, label: &Mailbox) -> Result<UidSet, Error> {
        match label.id == self.place.mailbox {
            true => Ok(UidSet::all()),
            false => Ok(labels::with(self.tx, self.place.account, self.place.mailbox, label.id)?),
        }
    }
}

fn loosely(name: &str) -> String {
    name.to_lowercase().replace([' ', '/'], "-")
}

/// Keys of one search that ask the database.
const KEYS_MAX: usize = 100;
/// Labels that `has:userlabels` asks for, each in a statement.
const MADE_MAX: usize = 100;
/// Mailboxes that one `label:` may mean.
const LIKE_MAX: usize = 16;
