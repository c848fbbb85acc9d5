//! Who gets to the policy at all: silence before the greeting, lists in the DNS, rates, and bans.
//!
//! What stands here concerns strangers at the relay: nobody whom the settings trust, and nobody who logged in (the clouds of large
//! providers send for many people from one address). Everything is bounded: connections that wait, buckets, questions, what is
//! remembered of clients.
//!
//! Postmaster can always be written to (RFC 5321 §4.5.1), so lists refuse recipients and not connections.
//!
//! Standards: RFC 5782 (lists in the DNS), RFC 6647 (greylisting), RFC 5321 §3.1 (the server speaks first), §4.5.3 (limits are transient).

mod greylist;
mod lists;
mod rates;
mod sending;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postroad_dns::Dns;
use postroad_net::{Bans, Network, Offence};
use postroad_smtp::{Abuse, ForwardPath, Hush, MailFrom, Reply, Role};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::checks::Filed;
use crate::inbound::{Inbound, Session};
use crate::state::{Accepted, login};

pub use greylist::{GreylistMode, GreylistSettings};
pub use lists::{ListAction, ListKind, ListSettings, Scores};
pub use rates::RateSettings;

use greylist::Greylist;
pub(crate) use greylist::Lessons;
use lists::{Listing, Lists, Ruling};
use rates::{Rates, Subject, TooMuch};
pub(crate) use sending::Allowance;

/// What stands before the policy. [`Gate::default`] lets everybody through.
#[derive(Debug, Default)]
pub struct Gate {
    trusted: Vec<Network>,
    bans: Option<Arc<Bans>>,
    hush: HushSettings,
    waiting: Arc<AtomicUsize>,
    rates: Rates,
    lists: Option<Arc<Lists>>,
    greylist: Option<Greylist>,
}

/// The silence before the greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HushSettings {
    /// How long; zero: none.
    pub wait: Duration,
    /// Connections that may wait at a time; others are greeted at once.
    pub at_once: usize,
    /// Who speaks is let in all the same, and the story says so.
    pub lenient: bool,
}

impl Gate {
    /// A gate that nobody of `trusted` has to pass.
    pub fn new(trusted: Vec<Network>) -> Gate {
        Gate { trusted, ..Gate::default() }
    }

    /// The same, shutting out who misbehaves.
    #[must_use]
    pub fn with_bans(self, bans: Arc<Bans>) -> Gate {
        Gate { bans: Some(bans), ..self }
    }

    /// The same, silent before it greets.
    #[must_use]
    pub fn with_hush(self, hush: HushSettings) -> Gate {
        Gate { hush, ..self }
    }

    /// The same, with limits.
    #[must_use]
    pub fn with_rates(self, rates: RateSettings) -> Gate {
        Gate { rates: Rates::new(rates), ..self }
    }

    /// The same, asking lists.
    #[must_use]
    pub fn with_lists(self, dns: Arc<dyn Dns>, lists: Vec<ListSettings>, scores: Scores) -> Gate {
        let lists = (!lists.is_empty()).then(|| Arc::new(Lists::new(dns, lists, scores)));
        Gate { lists, ..self }
    }

    /// The same, asking who is not known to come again.
    #[must_use]
    pub fn with_greylist(self, settings: GreylistSettings) -> Gate {
        Gate { greylist: Greylist::new(settings), ..self }
    }

    /// Whether the client is a stranger at the relay.
    fn concerns(&self, session: &Session) -> bool {
        let client = session.peer().remote.ip();
        session.role() == Role::Relay
            && login(session).is_none()
            && !self.trusted.iter().any(|network| network.contains(client))
    }

    /// Makes a new session wait, when its client is a stranger and not too many wait.
    pub(crate) fn quiet(&self, session: &mut Session) {
        let known =
            || self.bans.as_ref().is_some_and(|bans| bans.is_welcome(session.peer().remote.ip(), Instant::now()));
        if self.hush.wait.is_zero() || !self.concerns(session) || known() {
            return;
        }
        // Taken before looked at; dropping gives it back.
        let waits = Waits::new(&self.waiting);
        if waits.before < self.hush.at_once {
            session.world.guest.waits = Some(waits);
            session.set_hush(Hush { wait: self.hush.wait, lenient: self.hush.lenient });
        }
    }

    /// A client did what no mail program does, or guesses.
    fn offended(&self, session: &Session, offence: Offence, points: u32, detail: &str) {
        // `postroad check` asks as a stranger would, from an address of this machine.
        let peer = session.peer();
        let is_here = peer.remote.ip().to_canonical() == peer.local.ip().to_canonical();
        if let Some(bans) = &self.bans
            && self.concerns(session)
            && !is_here
        {
            bans.offend(session.peer().remote.ip(), offence, points, detail, Instant::now());
        }
    }
}

/// A place among the connections that wait for the greeting.
#[derive(Debug)]
pub(crate) struct Waits {
    waiting: Arc<AtomicUsize>,
    before: usize,
}

impl Waits {
    fn new(waiting: &Arc<AtomicUsize>) -> Waits {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        Waits { waiting: Arc::clone(waiting), before }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the gate knows of a session.
#[derive(Debug, Default)]
pub(crate) struct Guest {
    waits: Option<Waits>,
    asking: Option<Asking>,
    /// What was found about the client and the sender of the transaction.
    listings: Option<Vec<Listing>>,
    /// What the message teaches, once it is in.
    lessons: Vec<postroad_trust::greylist::Lesson>,
}

/// Lists on their way; dropping it ends them.
#[derive(Debug)]
struct Asking(JoinHandle<Vec<Listing>>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Guest {
    /// The transaction is over; the next sender is another question.
    pub(crate) fn end_transaction(&mut self) {
        self.asking = None;
        self.listings = None;
        self.lessons.clear();
    }
}

/// What the gate wants of a message at its end.
#[derive(Debug, Default)]
pub(crate) struct Marked {
    /// Fields that go before it.
    pub(crate) fields: String,
    /// All copies go to Junk.
    pub(crate) filed: Filed,
}

impl Inbound {
    /// The same, with a gate before it.
    #[must_use]
    pub fn behind(self, gate: Gate) -> Inbound {
        Inbound { gate, ..self }
    }

    /// Lets the silence before the greeting pass.
    pub(crate) fn silence(&self, session: &Session) -> impl Future<Output = ()> + Send + use<> {
        let until = Instant::now() + session.hush().map(|hush| hush.wait).unwrap_or_default();
        async move { tokio::time::sleep_until(until).await }
    }

    /// The client is about to be greeted.
    pub(crate) fn arrived(&self, session: &mut Session) {
        session.world.guest.waits = None;
    }

    /// A client that does what no mail program does is on its way out.
    pub(crate) fn abused(&self, session: &mut Session, abuse: Abuse) {
        session.world.guest.waits = None;
        let (word, points) = match abuse {
            Abuse::EarlyTalk => ("early", EARLY_POINTS),
            Abuse::Errors => ("errors", ABUSE_POINTS),
            Abuse::Foreign => ("foreign", ABUSE_POINTS),
        };
        metrics::counter!("postroad_gate_abuse_total", "kind" => word).increment(1);
        self.gate.offended(session, Offence::Protocol, points, word);
    }

    /// A session was closed since it asked for too many unknown recipients.
    pub(crate) fn guessed(&self, session: &Session, last: &ForwardPath) {
        self.gate.offended(session, Offence::Recipients, GUESS_POINTS, &last.to_string());
    }

    /// What a stranger may send now; the lists are asked meanwhile.
    pub(crate) fn gate_sender(&self, session: &mut Session, from: &MailFrom) -> Result<(), Reply> {
        if !self.gate.concerns(session) {
            return Ok(());
        }
        let client = session.peer().remote.ip();
        if session.claim().is_some() && self.gate.bans.as_ref().is_some_and(|bans| bans.is_out(client, Instant::now()))
        {
            // Whom a proxy speaks for was not known when it connected.
            return Err(Reply::new(
                421,
                (4, 7, 0),
                "Your address is shut out for a while, for what came from it before.",
            ));
        }
        if session.spoke_early()
            && let Some(story) = &mut session.world.story
        {
            story.note((self.clock)(), "gate", "the client spoke before the greeting");
        }
        let path = from.path.as_ref();
        let mut subjects = Vec::from(Subject::of_address(client));
        subjects.extend(path.map(|path| Subject::Sender(path.to_string().to_lowercase())));
        self.gate.rates.take(&subjects, (self.clock)()).map_err(|much| much.reply())?;
        if let Some(lists) = &self.gate.lists {
            let (lists, domain) = (Arc::clone(lists), path.and_then(|path| path.domain_ascii()));
            let asking = tokio::spawn(async move { lists.about(client, domain).await });
            session.world.guest.asking = Some(Asking(asking));
        }
        Ok(())
    }

    /// Whether a recipient that the policy accepts may get mail of this stranger, now.
    pub(crate) async fn gate_recipient(
        &self,
        session: &mut Session,
        to: &ForwardPath,
        name: &str,
        accepted: &Accepted,
    ) -> Result<(), Reply> {
        if !self.gate.concerns(session) {
            return Ok(());
        }
        if let Some(mut asking) = session.world.guest.asking.take() {
            let listings = (&mut asking.0).await.unwrap_or_default();
            self.note_listings(session, &listings);
            session.world.guest.listings = Some(listings);
        }
        let ruling = match (&self.gate.lists, &session.world.guest.listings) {
            (Some(lists), Some(listings)) => lists.rule(listings),
            (Some(_) | None, _) => Ruling::Deliver,
        };
        if let Ruling::Reject(listing) = ruling
            && !is_postmaster(to)
        {
            metrics::counter!("postroad_gate_refused_total", "by" => "list").increment(1);
            return Err(listed(session, &listing));
        }
        // Before the count of its mail: who has to come again is not counted twice.
        if !is_postmaster(to) {
            self.greylist_recipient(session, name, accepted).await?;
        }
        let subject = [Subject::Recipient(name.to_lowercase())];
        self.gate.rates.take(&subject, (self.clock)()).map_err(|much| much.reply())
    }

    fn note_listings(&self, session: &mut Session, listings: &[Listing]) {
        let now = (self.clock)();
        let Some(story) = &mut session.world.story else { return };
        for listing in listings {
            let how = match listing.kind {
                lists::ListKind::Block => "the client is on the list",
                lists::ListKind::Allow => "the client is on the list of good ones",
                lists::ListKind::Domain => "the sender's domain is on the list",
            };
            story.note(now, "gate", format_args!("{how} {listing}, weight {}", listing.weight));
        }
    }

    /// What lists want done with a message that comes in.
    pub(crate) fn gate_message(&self, session: &mut Session) -> Marked {
        let (Some(lists), Some(listings)) = (&self.gate.lists, &session.world.guest.listings) else {
            return Marked::default();
        };
        let fields = || {
            let line = |listing: &Listing| format!("X-Postroad-Listed: {listing}\r\n");
            listings.iter().filter(|listing| listing.kind != ListKind::Allow).map(line).collect::<String>()
        };
        match lists.rule(listings) {
            Ruling::Deliver => Marked::default(),
            Ruling::Tag => Marked { fields: fields(), filed: Filed::Usual },
            // To the postmaster alone.
            Ruling::Junk | Ruling::Reject(_) => Marked { fields: fields(), filed: Filed::Junk },
        }
    }
}

impl TooMuch {
    /// RFC 5321 §4.5.3.1.10 and RFC 3463: later is fine.
    fn reply(&self) -> Reply {
        metrics::counter!("postroad_gate_refused_total", "by" => self.subject.name()).increment(1);
        let whom = match &self.subject {
            Subject::Client(_) => "from your address",
            Subject::Network(_) => "from your network",
            Subject::Sender(_) => "from this sender",
            Subject::Recipient(_) => "for this recipient",
        };
        let code = match &self.subject {
            Subject::Recipient(_) => 452,
            Subject::Client(_) | Subject::Network(_) | Subject::Sender(_) => 450,
        };
        let minutes = self.wait.as_secs().div_ceil(60).max(1);
        Reply::new(
            code,
            (4, 7, 1),
            format!("More than {} messages {whom} in an hour; try again in {minutes} minutes.", self.per_hour),
        )
    }
}

/// RFC 5782 has the text for people to read.
fn listed(session: &Session, listing: &Listing) -> Reply {
    let whom = match listing.kind {
        ListKind::Block | ListKind::Allow => session.peer().remote.ip().to_canonical().to_string(),
        ListKind::Domain => "the sender's domain".to_owned(),
    };
    let text = listing.text.as_ref().map(|text| format!(" It says: {text}")).unwrap_or_default();
    Reply::new(
        550,
        (5, 7, 1),
        format!(
            "{whom} is on the list {}. Have it taken off there, or write to our postmaster, who may let it in.{text}",
            listing.zone
        ),
    )
}

/// RFC 5321 §4.5.1: whoever is refused can ask why.
fn is_postmaster(to: &ForwardPath) -> bool {
    match to {
        ForwardPath::Postmaster => true,
        ForwardPath::Address(address) => address.local().eq_ignore_ascii_case("postmaster"),
    }
}

/// Of the points that shut a client out: two such sessions, with the usual settings.
const GUESS_POINTS: u32 = 10;
/// As much.
const ABUSE_POINTS: u32 = 10;
/// Less: a program that is merely hasty.
const EARLY_POINTS: u32 = 5;
