//! One look at a place: what is new comes in, and what may go is removed there.
//!
//! 1. A message is removed there only when COMMIT has said that it is here, and its row with it: what breaks in between is
//!    neither lost nor taken twice.
//! 2. Where the server has no names for messages (UIDL), their octets tell them apart.
//! 3. A look is bounded in messages, octets and time; what is left comes with the next one.
//!
//! The mail was checked where it arrived: no SMTP check is made here; where it came from is its first Received line.

use std::collections::HashMap;
use std::time::Duration;

use postroad_mail::remote::collect::{self, Collect, Seen};
use postroad_mail::{Actor, By, Filing, Intake, MailboxId};
use postroad_message::date::DateTime;
use postroad_store::seal::Sealer;
use postroad_store::trace::TraceEvent;
use postroad_store::{Locks, Store, Timestamp, TraceId, new_id};

use super::connection::{Connection, Listed};
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

/// Looks at a place. Blocks on the store between awaits: for a thread of its own. `taken` counts also when it fails in the end.
pub async fn collect(
    store: &Store,
    sealer: &Sealer,
    place: &Collect,
    hostname: &str,
    limits: &Limits,
    now: impl Fn() -> Timestamp,
    done: &mut Done,
) -> Result<()> {
    let at = Place::parse_pop(&place.place)?;
    let secret = sealer.unseal(&purpose(place.account.0, place.id), &place.secret)?;
    let password = String::from_utf8(secret).map_err(|_| Error::Here("the stored password is no text".into()))?;
    let trust = place.ca.clone().map_or(Trust::System, Trust::Pem);
    let mut connection = Connection::open(&at, &password, &trust, limits.patience).await?;
    let listed = connection.list().await?;
    let (account, id) = (place.account, place.id);
    let seen = store.read_blocking(move |tx| collect::seen(tx, account, id))?;
    let mailbox = mailbox(store, place, now())?;
    let mut look = Look { store, place, at: &at, hostname, limits, seen, mailbox, octets: 0, names: Vec::new() };
    for one in &listed {
        look.one(&mut connection, one, &now, done).await?;
    }
    let (names, at) = (std::mem::take(&mut look.names), now());
    let before = Timestamp(at.0 - i64::try_from(FORGOTTEN.as_micros()).unwrap_or(i64::MAX));
    store.write_blocking(Locks::account(account), move |tx| collect::listed(tx, (account, id), &names, at, before))?;
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
    octets: u64,
    /// What the listed ones are told from others by.
    names: Vec<String>,
}

impl Look<'_> {
    async fn one(
        &mut self,
        connection: &mut Connection,
        one: &Listed,
        now: &impl Fn() -> Timestamp,
        done: &mut Done,
    ) -> Result<()> {
        if let Some(name) = &one.uidl {
            self.names.push(name.clone());
            if let Some(seen) = self.seen.get(name).copied() {
                return self.known(connection, one, seen, now(), done).await;
            }
        }
        if done.taken >= self.limits.messages || self.octets >= self.limits.octets {
            done.more = true;
            return Ok(());
        }
        if one.size > self.limits.message_octets {
            done.left += 1;
            return Ok(());
        }
        let mut intake = Intake::as_it_is(self.store.upload(), postroad_message::Limits::default());
        let (mut hasher, mut size, most) = (blake3::Hasher::new(), 0_u64, self.limits.message_octets);
        let given = connection.fetch(one.number, |piece| {
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
        self.octets += size;
        let name = match &one.uidl {
            Some(name) => name.clone(),
            None => format!("blake3 {}", hasher.finalize().to_hex()),
        };
        if one.uidl.is_none() {
            self.names.push(name.clone());
            if let Some(seen) = self.seen.get(&name).copied() {
                self.octets -= size;
                return self.known(connection, one, seen, now(), done).await;
            }
        }
        let at = now();
        self.file(intake, &name, at)?;
        done.taken += 1;
        let seen = Seen { taken: true, first: at };
        self.seen.insert(name, seen);
        self.known(connection, one, seen, now(), done).await
    }

    /// One that is here: it is removed there, when it is time.
    async fn known(
        &self,
        connection: &mut Connection,
        one: &Listed,
        seen: Seen,
        now: Timestamp,
        done: &mut Done,
    ) -> Result<()> {
        let Some(after) = self.place.delete_after else { return Ok(()) };
        let is_time = now >= seen.first.plus(Duration::from_secs(u64::from(after)));
        if seen.taken && is_time && connection.delete(one.number).await? {
            done.removed += 1;
        }
        Ok(())
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

/// What was not listed for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const WORD_MAX: usize = 255;
