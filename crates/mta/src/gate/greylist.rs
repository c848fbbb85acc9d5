//! Who is asked to come again, since nobody knows them yet (RFC 6647), and what is learned of who does.
//!
//! What is remembered, and of whom, is `postroad_trust::greylist`'s. Here is who is spared:
//!
//! 1. All whom the gate does not concern, and clients from which somebody logged in with success a short while ago.
//! 2. The null sender: notices about our own mail, and servers that find out whether a sender of ours exists, must not wait.
//! 3. The postmaster, and clients on a list of good ones.
//! 4. With [`GreylistMode::Suspicious`], whoever passes SPF, has an address with a forward-confirmed name, and is on no list.
//!
//! A domain whose SPF record names the client is one source, whichever of its addresses comes again. Where the DNS gives no
//! answer about SPF, the domain counts when it is known already.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postroad_mailauth::{iprev, spf};
use postroad_net::Network;
use postroad_smtp::Reply;
use postroad_store::{AccountId, Locks, Store, Timestamp};
use postroad_trust::greylist::{self, Lesson, Standing, Terms, Try};
use tokio::time::Instant;

use super::Guest;
use super::lists::{ListKind, Listing};
use crate::checks::Envelope;
use crate::inbound::{Inbound, Session};
use crate::replies;
use crate::state::Accepted;

/// Who is asked to come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GreylistMode {
    /// Nobody.
    #[default]
    Off,
    /// Strangers with something against them.
    Suspicious,
    /// All strangers.
    All,
}

/// Whether strangers are asked to come again, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GreylistSettings {
    /// Who.
    pub mode: GreylistMode,
    /// How long, and how often.
    pub terms: Terms,
}

/// It is on.
#[derive(Debug)]
pub(crate) struct Greylist {
    settings: GreylistSettings,
    room: Mutex<Room>,
    put_off: Arc<PutOff>,
}

/// Who was asked to come again and is not written down yet. Nobody waits for that: one transaction takes all who came while the
/// one before was under way, so that a message with many recipients, and many messages, cost a write or two. What is lost when
/// a server breaks off makes somebody wait once more.
#[derive(Debug, Default)]
struct PutOff {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// When each came.
    waiting: HashMap<Try, Timestamp>,
    /// Those that are being written.
    writing: HashMap<Try, Timestamp>,
    /// Somebody writes.
    busy: bool,
}

/// How many new rows this server may write before it counts what there is.
#[derive(Debug, Default)]
struct Room {
    left: u64,
    /// There was none: nobody counts again before.
    full_until: Option<Instant>,
}

/// What a delivery teaches, and how long that is worth something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lessons {
    pub(crate) lessons: Vec<Lesson>,
    pub(crate) terms: Terms,
}

/// Who is believed to send.
struct Source {
    name: String,
    /// Whose name it would be, were the DNS to answer.
    also: Option<String>,
    /// What is against them, in words.
    against: Vec<String>,
}

impl Greylist {
    pub(crate) fn new(settings: GreylistSettings) -> Option<Greylist> {
        match settings.mode {
            GreylistMode::Off => None,
            GreylistMode::Suspicious | GreylistMode::All => {
                Some(Greylist { settings, room: Mutex::default(), put_off: Arc::default() })
            }
        }
    }

    /// One of the rows that there is room for. `None`: that has to be counted.
    fn take(&self, now: Instant) -> Option<bool> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        if room.left > 0 {
            room.left -= 1;
            return Some(true);
        }
        room.full_until.is_some_and(|until| now < until).then_some(false)
    }

    /// It was counted. Says whether there is room for one.
    fn counted(&self, left: u64, now: Instant) -> bool {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.left = left.min(ROOM_AT_ONCE).saturating_sub(1);
        room.full_until = (left == 0).then(|| now + FULL_FOR);
        left > 0
    }
}

impl PutOff {
    /// Keeps one. `None`: too many wait to be written. Says whether somebody must begin to write.
    fn keep(&self, of: Try, now: Timestamp) -> Option<bool> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.waiting.len() >= PUT_OFF_MAX {
            return None;
        }
        kept.waiting.entry(of).or_insert(now);
        Some(!std::mem::replace(&mut kept.busy, true))
    }

    /// When somebody came who is not written down yet.
    fn since(&self, of: &Try) -> Option<Timestamp> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.writing.get(of).or_else(|| kept.waiting.get(of)).copied()
    }

    /// The next to be written; none, when nobody writes any more.
    fn next(&self) -> Vec<(Try, Timestamp)> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let next: Vec<Try> = kept.waiting.keys().take(PUT_OFF_AT_ONCE).cloned().collect();
        kept.writing = next.into_iter().filter_map(|of| kept.waiting.remove_entry(&of)).collect();
        kept.busy = !kept.writing.is_empty();
        kept.writing.iter().map(|(of, at)| (of.clone(), *at)).collect()
    }

    /// Writes until nobody waits.
    async fn write_all(self: Arc<Self>, store: Store, terms: Terms) {
        loop {
            let next = self.next();
            if next.is_empty() {
                return;
            }
            let written = store.write(Locks::none(), move |tx| {
                for (of, at) in &next {
                    greylist::put_off(tx, of, &terms, *at)?;
                }
                Ok::<_, postroad_mail::Error>(())
            });
            if let Err(error) = written.await {
                replies::log(&error, "writing down who is to come again");
            }
        }
    }
}

impl Guest {
    /// On a list of good clients, as far as the lists have answered.
    fn is_recommended(&self) -> bool {
        self.listings.iter().flatten().any(|listing| listing.kind == ListKind::Allow)
    }
}

impl Inbound {
    /// Whether mail of this stranger for this recipient may come in now. Lists have been asked before.
    pub(super) async fn greylist_recipient(
        &self,
        session: &mut Session,
        name: &str,
        accepted: &Accepted,
    ) -> Result<(), Reply> {
        let Some(greylist) = &self.gate.greylist else { return Ok(()) };
        let Some(sender) = session.sender().and_then(|sender| sender.path.as_ref()).map(ToString::to_string) else {
            return Ok(());
        };
        let client = session.peer().remote.ip();
        let welcome = self.gate.bans.as_ref().is_some_and(|bans| bans.is_welcome(client, Instant::now()));
        if welcome || session.world.guest.is_recommended() {
            return Ok(());
        }
        let Some(source) = self.source_of(session, greylist.settings.mode, &sender).await else { return Ok(()) };
        let terms = greylist.settings.terms;
        let (of, now) = (Try::new(&source.name, &sender, name), (self.clock)());
        let accounts: Vec<AccountId> = accepted.targets.iter().map(|target| target.account).collect();
        let (asked, also) = (of.clone(), source.also.clone());
        // Who came a moment ago may not be written down yet.
        let unwritten = greylist.put_off.since(&of);
        let standing =
            self.look(move |tx| Ok(greylist::look(tx, &asked, also.as_deref(), &accounts, &terms, now)?)).await?;
        let standing = match (standing, unwritten) {
            (Standing::New, Some(since)) => match since.plus(terms.wait) {
                due if now < due => Standing::Early(due),
                _ => Standing::Back,
            },
            (standing, _) => standing,
        };
        let (word, lesson) = match standing {
            Standing::New if !self.has_room(greylist).await? => {
                tracing::warn!("more strangers wait to come again than are remembered: nobody new is asked to");
                ("full", None)
            }
            Standing::New => return Err(self.put_off(session, of, terms, &source, None).await?),
            Standing::Early(due) => return Err(self.put_off(session, of, terms, &source, Some(due)).await?),
            Standing::Back => ("back", Some(true)),
            Standing::Passed { stale } => ("passed", stale.then_some(false)),
            Standing::Known { stale } => ("known", stale.then_some(false)),
            Standing::Answer => ("answer", None),
        };
        metrics::counter!("postroad_greylist_total", "outcome" => word).increment(1);
        self.note_standing(session, standing, &of);
        session.world.guest.lessons.extend(lesson.map(|counts| Lesson { of, counts }));
        Ok(())
    }

    fn note_standing(&self, session: &mut Session, standing: Standing, of: &Try) {
        let words = match standing {
            Standing::Back => format!("{} came back, as it was asked to", of.source),
            Standing::Answer => format!("{} may answer whom it was written to by", of.sender),
            Standing::New => "too many strangers wait to come again: this one is let in".to_owned(),
            Standing::Early(_) | Standing::Passed { .. } | Standing::Known { .. } => return,
        };
        if let Some(story) = &mut session.world.story {
            story.note((self.clock)(), "greylist", words);
        }
    }

    /// Who is believed to send; `None` when nothing is against them, or nothing can be known.
    async fn source_of(&self, session: &mut Session, mode: GreylistMode, sender: &str) -> Option<Source> {
        self.check_early(session);
        let client = session.peer().remote.ip().to_canonical();
        let network = {
            let prefix = if client.is_ipv4() { 24 } else { 64 };
            Network::new(client, prefix).unwrap_or_else(|| Network::of_one_client(client)).to_string()
        };
        let listed = listed(session.world.guest.listings.as_deref().unwrap_or_default());
        let envelope = match &mut session.world.early {
            Some(early) => early.look().await,
            None => None,
        };
        let Some(envelope) = envelope else {
            // Without the DNS everybody would be suspicious.
            return (mode == GreylistMode::All || !listed.is_empty()).then_some(Source {
                name: network,
                also: None,
                against: listed,
            });
        };
        let mut against = against(envelope);
        against.extend(listed);
        let spf = &envelope.mail_from;
        let (name, also) = match spf.result {
            spf::Result::Pass if !spf.domain.is_empty() => (spf.domain.clone(), None),
            spf::Result::TempError => (network, sender.rsplit_once('@').map(|(_, domain)| domain.to_owned())),
            spf::Result::Pass
            | spf::Result::None
            | spf::Result::Neutral
            | spf::Result::Fail
            | spf::Result::SoftFail
            | spf::Result::PermError => (network, None),
        };
        let wanted = match mode {
            GreylistMode::Off => false,
            GreylistMode::Suspicious => !against.is_empty(),
            GreylistMode::All => true,
        };
        wanted.then_some(Source { name, also, against })
    }

    async fn has_room(&self, greylist: &Greylist) -> Result<bool, Reply> {
        match greylist.take(Instant::now()) {
            Some(has) => Ok(has),
            None => {
                let left = self.look(|tx| Ok(greylist::room(tx)?)).await?;
                Ok(greylist.counted(left, Instant::now()))
            }
        }
    }

    /// Sees to it that it is written down that somebody was asked to come again, and asks them to. `due`: when they may, if they have been
    /// asked before.
    async fn put_off(
        &self,
        session: &mut Session,
        of: Try,
        terms: Terms,
        source: &Source,
        due: Option<Timestamp>,
    ) -> Result<Reply, Reply> {
        let word = if due.is_some() { "early" } else { "new" };
        metrics::counter!("postroad_greylist_total", "outcome" => word).increment(1);
        let now = (self.clock)();
        let due = match self
            .gate
            .greylist
            .as_ref()
            .and_then(|greylist| Some((greylist, greylist.put_off.keep(of.clone(), now)?)))
        {
            Some((greylist, begins)) => {
                if begins {
                    tokio::spawn(Arc::clone(&greylist.put_off).write_all(self.store.clone(), terms));
                }
                due.unwrap_or_else(|| now.plus(terms.wait))
            }
            // The database does not keep up: whoever comes waits for it.
            None => {
                let kept = of.clone();
                let written = self.store.write(Locks::none(), move |tx| {
                    Ok::<_, postroad_mail::Error>(greylist::put_off(tx, &kept, &terms, now)?)
                });
                let written = written.await.map_err(|error| {
                    replies::log(&error, "writing down who is to come again");
                    replies::mail_failed(&error, self.settings.full_mailbox)
                })?;
                written.value
            }
        };
        if let Some(story) = &mut session.world.story {
            let because = match source.against.as_slice() {
                [] => String::new(),
                several => format!(" ({})", several.join("; ")),
            };
            story.note(now, "greylist", format_args!("{} is not known here yet{because}", of.source));
        }
        Ok(greylisted(wait(due, now)))
    }

    /// What the message under way teaches once it is delivered.
    pub(crate) fn lessons(&self, session: &mut Session) -> Option<Lessons> {
        let terms = self.gate.greylist.as_ref()?.settings.terms;
        Some(Lessons { lessons: std::mem::take(&mut session.world.guest.lessons), terms })
    }
}

/// RFC 6647 §5: the text says what it is about, to who reads the log of the other side.
fn greylisted(wait: Duration) -> Reply {
    let minutes = wait.as_secs().div_ceil(60).max(1);
    let text = format!(
        "Greylisted: your server is not known here yet. It tries again by itself, and the message is taken from {minutes} \
         {} on; nobody has to do anything.",
        if minutes == 1 { "minute" } else { "minutes" }
    );
    Reply::new(451, (4, 7, 1), text)
}

fn wait(due: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(due.0.saturating_sub(now.0).max(0).unsigned_abs())
}

/// What SPF and the client's name have against it.
fn against(envelope: &Envelope) -> Vec<String> {
    let mut against = Vec::new();
    let spf = &envelope.mail_from;
    if spf.result != spf::Result::Pass {
        let domain = if spf.domain.is_empty() { "its sender" } else { &spf.domain };
        against.push(format!("SPF is {} for {domain}", spf.result));
    }
    match envelope.iprev.result {
        iprev::Result::Pass => {}
        iprev::Result::Fail | iprev::Result::PermError => {
            against.push("its address has no name that leads back to it".to_owned());
        }
        iprev::Result::TempError => against.push("the name of its address is not known now".to_owned()),
    }
    against
}

fn listed(listings: &[Listing]) -> Vec<String> {
    let bad = |listing: &&Listing| match listing.kind {
        ListKind::Block | ListKind::Domain => true,
        ListKind::Allow => false,
    };
    listings.iter().filter(bad).map(|listing| format!("it is on the list {}", listing.zone)).collect()
}

/// Who is put off and waits to be written down.
const PUT_OFF_MAX: usize = 1_000;
/// And is written in one transaction.
const PUT_OFF_AT_ONCE: usize = 100;
/// Rows that are written between two counts.
const ROOM_AT_ONCE: u64 = 1_000;
/// When there is no room, it is counted again after this.
const FULL_FOR: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use postroad_testkit::TestStore;

    /// Who comes while others are being written waits for the next write, and is known of meanwhile.
    #[tokio::test]
    async fn recipients_of_a_message_are_written_together() {
        let test = TestStore::memory(&[postroad_mail::MIGRATIONS, postroad_trust::MIGRATIONS]);
        let (put_off, terms, now) = (Arc::new(PutOff::default()), Terms::default(), Timestamp(1_000_000));
        let of = |number: usize| Try::new("192.0.2.0/24", "a@far.test", &format!("{number}@here.test"));
        assert_eq!(put_off.keep(of(0), now), Some(true), "the first begins to write");
        assert_eq!(put_off.next(), [(of(0), now)]);
        for number in 1..=30 {
            assert_eq!(put_off.keep(of(number), now.plus(Duration::from_secs(1))), Some(false), "somebody writes");
        }
        assert_eq!(put_off.since(&of(0)), Some(now), "it is not written yet");
        assert_eq!(put_off.since(&of(30)), Some(now.plus(Duration::from_secs(1))));
        assert_eq!(put_off.since(&of(31)), None);
        Arc::clone(&put_off).write_all(test.store.clone(), terms).await;
        let waiting = test.store.read_blocking(move |tx| greylist::waiting(tx, &terms, now, 100)).expect("read");
        assert_eq!(waiting.len(), 30, "all that waited, in one transaction");
        assert!((0..=30).all(|number| put_off.since(&of(number)).is_none()));
        assert_eq!(put_off.keep(of(31), now), Some(true), "nobody writes any more");
    }

    #[test]
    fn there_is_an_end_to_who_waits_to_be_written() {
        let (put_off, now) = (PutOff::default(), Timestamp(0));
        let of = |number: usize| Try::new("192.0.2.0/24", "a@far.test", &number.to_string());
        assert!((0..PUT_OFF_MAX).all(|number| put_off.keep(of(number), now).is_some()));
        assert_eq!(put_off.keep(of(PUT_OFF_MAX), now), None);
        assert_eq!(put_off.next().len(), PUT_OFF_AT_ONCE);
        assert_eq!(put_off.keep(of(PUT_OFF_MAX), now), Some(false));
    }
}
