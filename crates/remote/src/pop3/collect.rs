//! One look at a place: what is new comes in, and what may go is removed there.
//!
//! 1. A message is removed there only when COMMIT has said that it is here, and its row with it: what breaks in between is
//!    neither lost nor taken twice.
//! 2. Where the server has no names for messages (UIDL), their octets tell them apart.
//! 3. A look is bounded in messages, octets and time; what is left comes with the next one.
//!
//! The mail was checked where it arrived: no SMTP check is made here; where it came from is its first Received line.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use postroad_mail::remote::collect::{self, Collect, Seen};
use postroad_mail::{Actor, By, Filing, Intake, MailboxId};
use postroad_message::date::DateTime;
use postroad_store::seal::Sealer;
use postroad_store::trace::TraceEvent;
use postroad_store::{Locks, Store, Timestamp, TraceId, new_id};

use super::connection::{Connection, Listed, Shown};
use crate::desk::{choose, find_or_make};
use crate::place::{Place, Security};
use crate::tls::Trust;
use crate::{Error, Result};

/// How much one look may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// New messages.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// Octets of one message; a larger one stays there.
    pub message_octets: u64,
    /// The longest silence of the server.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            messages: 1_000,
            octets: 1024 * 1024 * 1024,
            message_octets: 150 * 1024 * 1024,
            patience: Duration::from_secs(120),
        }
    }
}

/// What a look brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Messages that are here now.
    pub taken: u64,
    /// Messages that were removed there.
    pub removed: u64,
    /// Messages that stay there: too large, or not to be had.
    pub left: u64,
    /// There is more.
    pub more: bool,
}

/// What secrets of a place are sealed for.
pub fn purpose(account: i64, id: i64) -> String {
    format!("collect:{account}:{id}")
}

/// What is sealed in place of a password when tokens are shown, which are kept elsewhere. No password has a NUL.
pub const BY_GRANT: &str = "\0by grant";

/// The password of a place; `None` when tokens are shown.
pub fn password(sealer: &Sealer, place: &Collect) -> Result<Option<String>> {
    let secret = sealer.unseal(&purpose(place.account.0, place.id), &place.secret)?;
    let password = String::from_utf8(secret).map_err(|_| Error::Here("the stored password is no text".into()))?;
    Ok(Some(password).filter(|password| password != BY_GRANT))
}

/// Looks at a place. Blocks on the store between awaits: for a thread of its own. `taken` counts also when it fails in the end.
pub async fn collect(
    store: &Store,
    shown: &Shown,
    place: &Collect,
    hostname: &str,
    limits: &Limits,
    now: impl Fn() -> Timestamp,
    done: &mut Done,
) -> Result<()> {
    let at = Place::parse_pop(&place.place)?;
    let trust = place.ca.clone().map_or(Trust::System, Trust::Pem);
    let mut connection = Connection::open(&at, shown, &trust, limits.patience).await?;
    let listed = connection.list().await?;
    let (account, id) = (place.account, place.id);
    let seen = store.read_blocking(move |tx| collect::seen(tx, account, id))?;
    let mailbox = mailbox(store, place, now())?;
    let mut look = Look {
        store,
        place,
        at: &at,
        hostname,
        limits,
        seen,
        mailbox,
        names: Vec::new(),
        going: Vec::new(),
        octets: 0,
    };
    look.all(&mut connection, &listed, &now, done).await?;
    let (names, at) = (std::mem::take(&mut look.names), now());
    let before = Timestamp(at.0 - i64::try_from(FORGOTTEN.as_micros()).unwrap_or(i64::MAX));
    store.write_blocking(Locks::account(account), move |tx| collect::listed(tx, (account, id), &names, at, before))?;
    // What is removed there is here: each was filed before it was marked.
    done.removed += connection.delete(&look.going).await?;
    connection.quit().await
}

/// The mailbox that the mail goes to; made when it is gone.
fn mailbox(store: &Store, place: &Collect, now: Timestamp) -> Result<MailboxId> {
    let (account, name) = (place.account, place.mailbox.clone());
    let found = store.write_blocking(Locks::account(account), move |tx| {
        let name = choose(tx, account, &[], None, Some(&name))?;
        find_or_make(tx, &By::new(now, Actor::System), account, &name, None, true)
    });
    Ok(found?.value.0.id)
}

struct Look<'a> {
    store: &'a Store,
    place: &'a Collect,
    at: &'a Place,
    hostname: &'a str,
    limits: &'a Limits,
    seen: HashMap<String, Seen>,
    mailbox: MailboxId,
    /// Octets of new messages.
    octets: u64,
    /// What the listed ones are told from others by.
    names: Vec<String>,
    /// Messages that are to be removed there.
    going: Vec<u32>,
}

impl Look<'_> {
    /// All that are listed: what is known may go, what is new comes, the next ones asked for before one is here.
    async fn all(
        &mut self,
        connection: &mut Connection,
        listed: &[Listed],
        now: &impl Fn() -> Timestamp,
        done: &mut Done,
    ) -> Result<()> {
        let mut todo = VecDeque::new();
        for one in listed {
            if let Some(name) = &one.uidl {
                self.names.push(name.clone());
                if let Some(seen) = self.seen.get(name).copied() {
                    self.known(one, seen, now());
                    continue;
                }
            }
            match one.size > self.limits.message_octets {
                true => done.left += 1,
                false => todo.push_back(one),
            }
        }
        let mut asked: VecDeque<&Listed> = VecDeque::new();
        loop {
            while let Some(one) = todo.front().filter(|_| asked.len() < ASKED_MAX) {
                let coming = asked.iter().fold(self.octets, |sum, one| sum.saturating_add(one.size));
                if done.taken + asked.len() as u64 >= self.limits.messages || coming >= self.limits.octets {
                    done.more = true;
                    todo.clear();
                } else if connection.ask(one.number)? {
                    asked.extend(todo.pop_front());
                } else {
                    break;
                }
            }
            let Some(one) = asked.pop_front() else { return Ok(()) };
            self.fetch(connection, one, now, done).await?;
        }
    }

    async fn fetch(
        &mut self,
        connection: &mut Connection,
        one: &Listed,
        now: &impl Fn() -> Timestamp,
        done: &mut Done,
    ) -> Result<()> {
        let mut intake = Intake::as_it_is(self.store.upload(), postroad_message::Limits::default());
        let (mut hasher, mut size, most) = (blake3::Hasher::new(), 0_u64, self.limits.message_octets);
        let given = connection.fetched(|piece| {
            size += piece.len() as u64;
            // What it said of the size was not true; the connection cannot be brought to the end of this.
            if size > most {
                return Err(Error::Peer(format!("message {} is larger than it was said to be", one.number)));
            }
            hasher.update(piece);
            intake.feed(piece)?;
            Ok(())
        });
        if !given.await? {
            done.left += 1;
            return Ok(());
        }
        let name = match &one.uidl {
            Some(name) => name.clone(),
            None => format!("blake3 {}", hasher.finalize().to_hex()),
        };
        if one.uidl.is_none() {
            self.names.push(name.clone());
            if let Some(seen) = self.seen.get(&name).copied() {
                self.known(one, seen, now());
                return Ok(());
            }
        }
        let at = now();
        self.file(intake, &name, at)?;
        self.octets = self.octets.saturating_add(size);
        done.taken += 1;
        let seen = Seen { taken: true, first: at };
        self.seen.insert(name, seen);
        self.known(one, seen, now());
        Ok(())
    }

    /// One that is here: it is removed there, when it is time.
    fn known(&mut self, one: &Listed, seen: Seen, now: Timestamp) {
        let Some(after) = self.place.delete_after else { return };
        if seen.taken && now >= seen.first.plus(Duration::from_secs(u64::from(after))) {
            self.going.push(one.number);
        }
    }

    /// Files a message and remembers it: after this it is on disk, or there is an error.
    fn file(&self, intake: Intake, name: &str, now: Timestamp) -> Result<()> {
        let id = TraceId(new_id());
        let arrival = intake.finish(self.received(id, now).into_bytes())?;
        let (account, place, mailbox) = (self.place.account, self.place.id, self.mailbox);
        let (name, told) = (name.to_owned(), format!("collected from {} by POP3, where it is called {name}", self.at));
        let filed = self.store.write_blocking(Locks::account(account), move |tx| {
            let filing = Filing { trace: Some(id), ..Filing::default() };
            let by = By::new(now, Actor::System);
            let new = collect::file(tx, &by, (account, place), mailbox, &name, &arrival, &filing)?;
            if new {
                let keys: Vec<&str> = arrival.message_id.iter().map(String::as_str).collect();
                tx.trace(id, now, &TraceEvent { kind: "collected", detail: &told }, &keys)?;
            }
            Ok::<_, postroad_mail::Error>(())
        });
        filed?;
        Ok(())
    }

    /// Where it came from. `with POP3` is what programs that collect write; RFC 5321 §4.4 has no word for it.
    fn received(&self, id: TraceId, now: Timestamp) -> String {
        let fit = |text: &str| -> String {
            text.chars().filter(|c| c.is_ascii_graphic() && !"()<>\\;".contains(*c)).take(WORD_MAX).collect()
        };
        let (host, user, by) = (fit(&self.at.host), fit(&self.at.user), fit(self.hostname));
        let with = if self.at.security == Security::None { "POP3" } else { "POP3S" };
        let date = DateTime::utc(now.0).format();
        format!("Received: from {host} (account {user})\r\n\tby {by} with {with} id {id};\r\n\t{date}\r\n")
    }
}

/// Messages that are asked for before one is here.
const ASKED_MAX: usize = 4;
/// What was not listed for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const WORD_MAX: usize = 255;
