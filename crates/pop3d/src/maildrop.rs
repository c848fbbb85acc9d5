//! The maildrop: what lay in INBOX at login, and what is marked as deleted.
//!
//! Invariants:
//! 1. Numbers, sizes and unique ids never change once the maildrop is open (RFC 1939 §4).
//! 2. `live` and `octets` count the messages that are not marked.

use postroad_mail::view::{self, Query, Want};
use postroad_mail::{MailboxId, MailboxName, UidSet, What, mailboxes};
use postroad_store::{AccountId, BlobId, ReadTx};

use crate::error::Error;
use crate::settings::{MESSAGES_MAX, MESSAGES_PER_JOB};

/// A session's view of INBOX.
#[derive(Debug)]
pub(crate) struct Maildrop {
    account: AccountId,
    inbox: MailboxId,
    uidvalidity: u32,
    /// Messages from this uid on came after the login.
    uidnext: u32,
    messages: Vec<Message>,
    live: usize,
    octets: u64,
}

/// A message of the maildrop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    pub(crate) uid: u32,
    deleted: bool,
    /// It was sent as a whole.
    fetched: bool,
    /// Octets as stored, which for lines that end with CR LF are those that are sent (RFC 1939 §11).
    pub(crate) size: u64,
    /// The content, which stays readable when another session expunges the message.
    pub(crate) blob: BlobId,
}

/// Why a message number is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoMessage {
    /// It is no number, zero, or beyond the last.
    Unknown,
    /// It is marked as deleted.
    Deleted,
}

impl Maildrop {
    /// An account's INBOX, no message read yet: call [`Maildrop::read_on`] until it says so.
    pub(crate) fn open(tx: &ReadTx, account: AccountId) -> Result<Maildrop, Error> {
        let inbox = mailboxes::find(tx, account, &MailboxName::inbox())?
            .ok_or(postroad_mail::Error::NotFound(What::Mailbox))?;
        Ok(Maildrop {
            account,
            inbox: inbox.id,
            uidvalidity: inbox.uidvalidity,
            uidnext: inbox.uidnext,
            messages: Vec::with_capacity((inbox.messages as usize).min(MESSAGES_MAX)),
            live: 0,
            octets: 0,
        })
    }

    /// Reads the next messages; `true` when all are there.
    pub(crate) fn read_on(&mut self, tx: &ReadTx) -> Result<bool, Error> {
        let low = self.messages.last().map_or(1, |last| last.uid.saturating_add(1));
        let room = (MESSAGES_MAX - self.messages.len()).min(MESSAGES_PER_JOB);
        if low >= self.uidnext || room == 0 {
            return Ok(true);
        }
        let uids = UidSet::range(low, self.uidnext - 1);
        let query = Query { uids: &uids, want: Want::Facts, changed_since: None, limit: room };
        let entries = view::entries(tx, self.account, self.inbox, &query)?;
        let found = entries.len();
        for entry in entries {
            let facts = entry.facts.ok_or_else(|| Error::bug("an entry without its facts"))?;
            self.live += 1;
            self.octets = self.octets.saturating_add(entry.size);
            self.messages.push(Message {
                uid: entry.uid,
                deleted: false,
                fetched: false,
                size: entry.size,
                blob: facts.blob,
            });
        }
        Ok(found < room)
    }

    /// Messages that are not marked, and the sum of their octets.
    pub(crate) fn totals(&self) -> (usize, u64) {
        (self.live, self.octets)
    }

    /// The message of a number, as the client writes it.
    pub(crate) fn message(&self, number: &str) -> Result<(usize, Message), NoMessage> {
        let index = self.index(number)?;
        match self.messages[index] {
            Message { deleted: true, .. } => Err(NoMessage::Deleted),
            message => Ok((index + 1, message)),
        }
    }

    /// Marks a message.
    pub(crate) fn delete(&mut self, number: &str) -> Result<usize, NoMessage> {
        let (number, message) = self.message(number)?;
        self.messages[number - 1].deleted = true;
        self.live -= 1;
        self.octets -= message.size;
        Ok(number)
    }

    /// Unmarks all (RSET).
    pub(crate) fn undelete(&mut self) {
        for message in &mut self.messages {
            message.deleted = false;
        }
        self.live = self.messages.len();
        self.octets = self.messages.iter().map(|message| message.size).sum();
    }

    /// What is stored beside the message of a number; `None`: it is gone from INBOX. One statement.
    pub(crate) fn summary(&self, tx: &ReadTx, number: usize) -> Result<Option<Vec<u8>>, Error> {
        let message = number.checked_sub(1).and_then(|index| self.messages.get(index));
        let Some(message) = message else { return Ok(None) };
        let uids = UidSet::single(message.uid);
        let query = Query { uids: &uids, want: Want::Summary, changed_since: None, limit: 1 };
        let found = view::entries(tx, self.account, self.inbox, &query)?.pop();
        Ok(found.and_then(|entry| entry.facts).map(|facts| facts.summary))
    }

    /// The first message that is not marked, from `index` on, with its number.
    pub(crate) fn next_live(&self, index: usize) -> Option<(usize, Message)> {
        let rest = self.messages.get(index..)?;
        let offset = rest.iter().position(|message| !message.deleted)?;
        Some((index + offset + 1, rest[offset]))
    }

    /// What the marks say to remove: account, mailbox, uids.
    pub(crate) fn marked(&self) -> (AccountId, MailboxId, UidSet) {
        let uids = self.messages.iter().filter(|message| message.deleted).map(|message| message.uid);
        (self.account, self.inbox, uids.collect())
    }

    /// A message was sent as a whole.
    pub(crate) fn sent(&mut self, number: usize) {
        if let Some(message) = number.checked_sub(1).and_then(|index| self.messages.get_mut(index)) {
            message.fetched = true;
        }
    }

    /// What was sent as a whole, and is not marked.
    pub(crate) fn fetched(&self) -> UidSet {
        self.messages.iter().filter(|message| message.fetched && !message.deleted).map(|message| message.uid).collect()
    }

    /// RFC 1939 §7: 1 to 70 characters, never given to another message. Uids never repeat within a
    /// uidvalidity, and that never repeats within an account.
    pub(crate) fn unique_id(&self, message: Message) -> String {
        format!("{}.{}", self.uidvalidity, message.uid)
    }

    fn index(&self, number: &str) -> Result<usize, NoMessage> {
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoMessage::Unknown);
        }
        match number.parse::<usize>() {
            Ok(number) if (1..=self.messages.len()).contains(&number) => Ok(number - 1),
            Ok(_) | Err(_) => Err(NoMessage::Unknown),
        }
    }
}

#[cfg(test)]
impl Maildrop {
    /// Messages that lie in no store.
    pub(crate) fn of_sizes(sizes: impl IntoIterator<Item = u64>) -> Maildrop {
        let message = |(index, size): (u32, u64)| Message {
            uid: index + 1,
            deleted: false,
            fetched: false,
            size,
            blob: BlobId(1),
        };
        let messages: Vec<Message> = (0..).zip(sizes).map(message).collect();
        Maildrop {
            account: AccountId(1),
            inbox: MailboxId(1),
            uidvalidity: u32::MAX,
            uidnext: u32::MAX,
            live: messages.len(),
            octets: messages.iter().map(|message| message.size).sum(),
            messages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Maildrop, NoMessage};

    #[test]
    fn numbers_are_strict_and_marks_are_counted() {
        let mut drop = Maildrop::of_sizes([10, 20, 30]);
        for number in ["", "0", "4", "-1", "+1", "1x", "1 2", "99999999999999999999", "\u{661}"] {
            assert_eq!(drop.message(number).map(|found| found.0), Err(NoMessage::Unknown), "{number:?}");
        }
        assert_eq!(drop.delete("002"), Ok(2));
        assert_eq!(drop.delete("2"), Err(NoMessage::Deleted));
        assert_eq!(drop.totals(), (2, 40));
        assert_eq!(drop.next_live(1).map(|found| found.0), Some(3));
        assert_eq!(drop.marked().2.to_string(), "2");
        drop.undelete();
        assert_eq!((drop.totals(), drop.marked().2.is_empty()), ((3, 60), true));
    }

    #[test]
    fn unique_ids_are_short_and_printable() {
        let drop = Maildrop::of_sizes([1]);
        let (_, mut message) = drop.next_live(0).expect("one");
        message.uid = u32::MAX;
        let id = drop.unique_id(message);
        assert!(id.len() <= 70 && id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{id}");
    }
}
