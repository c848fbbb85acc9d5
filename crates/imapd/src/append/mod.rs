//! APPEND and REPLACE (RFC 9051 §6.3.12; RFC 3502 MULTIAPPEND; RFC 4469 CATENATE; RFC 6855 UTF8; RFC 8508 REPLACE).
//!
//! Messages stream through, from the framer to the disk, and are filed in one transaction: all of a command or
//! nothing. APPENDs that a client sends without waiting (LITERAL+) are gathered as far as they have come and share
//! that transaction, each for itself: one that fails takes nothing from the others.
//!
//! Invariants:
//! 1. Answers go out in the order of the commands.
//! 2. What came is in [`Command::feeds`], in the order it came in, until the disk took it.
//! 3. A command that failed keeps nothing of its messages; what still comes of it the framer throws away.
//! 4. Only the last command may still be coming.
//!
//! Transitions of a command: *begun* ([`Session::append_event`]); *checked* (`check.rs`: is the mailbox there, is there
//! room: before a client that waits for `+` sends megabytes); *fed* (`feed.rs`: octets to the disk; `catenate.rs`:
//! parts that are here already); *over* when all of it came or it failed; *filed* (`store.rs`: the transaction);
//! answered.

mod catenate;
mod check;
mod events;
mod feed;
mod store;

use std::collections::VecDeque;

use postroad_imap::command::{Append, AppendMessage};
use postroad_imap::{AppendLiteral, Event, Tag};
use postroad_mail::{Arrival, Filing, Intake, Keyword};
use postroad_store::Timestamp;

use crate::error::{Error, Reply};
use crate::flags;
use crate::run::Tx;
use crate::session::Session;
use crate::settings::{APPEND_BATCH_MESSAGES, APPEND_BATCH_OCTETS, APPEND_CHUNK};
use crate::steps::Phase;
use catenate::Url;

/// APPENDs under way.
#[derive(Debug, Default)]
pub(crate) struct Appending {
    /// In the client's order.
    commands: VecDeque<Command>,
    /// A literal whose command is to be checked before it is taken.
    asked: Option<AppendLiteral>,
    /// What came after the APPENDs and is not for them.
    held: Option<Event>,
    /// So many commands at the front are answered in what the last job said.
    filed: usize,
    /// The job that is out, as long as nobody was told of its failure.
    job: Option<Access>,
}

/// An APPEND or REPLACE.
#[derive(Debug)]
struct Command {
    append: Append,
    /// REPLACE: the UID of the message that goes, once it was looked up.
    replaced: Option<u32>,
    messages: Vec<Message>,
    /// What the disk has not taken yet.
    feeds: VecDeque<Feed>,
    /// Octets in `feeds`.
    waiting: usize,
    /// What of its messages is safe.
    safe: Safe,
    /// Octets of all its messages: what is announced counts as come.
    octets: u64,
    /// What the keywords of its messages take in memory.
    keywords: usize,
    /// All of it came.
    ended: bool,
    /// Why it is not carried out.
    failed: Option<Reply>,
    /// After the answer to its failure the connection ends.
    close: bool,
}

/// Octets of messages that are whole and not filed yet.
#[derive(Debug, Clone, Copy, Default)]
struct Safe {
    octets: u64,
    /// Of their summaries, as they are stored.
    summaries: usize,
}

impl Safe {
    fn add(&mut self, more: Safe) {
        self.octets = self.octets.saturating_add(more.octets);
        self.summaries = self.summaries.saturating_add(more.summaries);
    }
}

/// A message that comes.
struct Message {
    filing: Filing,
    /// Octets that came or were announced.
    size: u64,
    intake: Option<Intake>,
    /// It is safe.
    arrival: Option<Box<Arrival>>,
}

/// What the disk takes.
#[derive(Debug)]
enum Feed {
    /// Octets of the message that is coming.
    Octets(Vec<u8>),
    /// Octets that the server has.
    Url(Box<Url>),
    /// The message is whole.
    End,
}

/// What APPENDs need next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// A look: for the check, or for the octets of a URL.
    Read,
    /// The disk takes what came.
    Disk,
    /// The transaction.
    Write,
}

/// Whether the framer has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Supply {
    /// Perhaps.
    More,
    /// Not before the client sends more.
    Dry,
}

impl Appending {
    /// The first command under way, for those who watch.
    pub(crate) fn tag(&self) -> Option<&Tag> {
        self.commands.front().map(|command| &command.append.tag)
    }

    /// The next job, if it is time for one.
    pub(crate) fn next_job(&self, supply: Supply) -> Option<Access> {
        if self.commands.iter().any(Command::wants_look) {
            return Some(Access::Read);
        }
        let ready = self.commands.front().is_some_and(Command::is_over);
        // Who has said all is not made to wait for what another command still has to bring.
        let now = ready && (self.held.is_some() || supply == Supply::Dry || self.is_batch());
        let waiting: usize = self.commands.iter().map(|command| command.waiting).sum();
        let fed = self.commands.iter().any(|command| !command.feeds.is_empty());
        if fed && (now || waiting >= APPEND_CHUNK || self.commands.iter().any(Command::has_url)) {
            return Some(Access::Disk);
        }
        if self.asked.is_some() {
            return Some(Access::Read);
        }
        now.then_some(Access::Write)
    }

    /// Whether as much is over as one transaction takes.
    fn is_batch(&self) -> bool {
        let (mut messages, mut octets, mut summaries, mut keywords) = (0, 0u64, 0, 0);
        for command in self.commands.iter().filter(|command| command.is_over()) {
            messages += command.messages.len();
            octets = octets.saturating_add(command.octets);
            summaries += command.safe.summaries;
            keywords += command.keywords;
        }
        let many = messages >= APPEND_BATCH_MESSAGES || octets >= APPEND_BATCH_OCTETS;
        many || summaries >= SUMMARIES_MAX / 2 || keywords >= KEYWORDS_MAX / 2
    }

    /// The command that is still coming.
    fn coming(&mut self) -> Option<&mut Command> {
        self.commands.back_mut().filter(|command| !command.is_over())
    }
}

impl Command {
    fn new(append: Append) -> Command {
        Command {
            append,
            replaced: None,
            messages: Vec::new(),
            feeds: VecDeque::new(),
            waiting: 0,
            safe: Safe::default(),
            octets: 0,
            keywords: 0,
            ended: false,
            failed: None,
            close: false,
        }
    }

    /// Whether no more of it comes.
    fn is_over(&self) -> bool {
        self.ended || self.failed.is_some()
    }

    /// Whether nothing can go on before something was looked up.
    fn wants_look(&self) -> bool {
        let number = self.append.replaces.is_some() && self.replaced.is_none() && self.failed.is_none();
        number || matches!(self.feeds.front(), Some(Feed::Url(_)))
    }

    fn has_url(&self) -> bool {
        self.feeds.iter().any(|feed| matches!(feed, Feed::Url(_)))
    }

    fn push(&mut self, feed: Feed) {
        if let Feed::Octets(octets) = &feed {
            self.waiting += octets.len();
        }
        self.feeds.push_back(feed);
    }

    /// It is not carried out: nothing of it stays.
    fn fail(&mut self, reply: Reply) {
        self.failed = Some(reply);
        self.messages = Vec::new();
        self.feeds = VecDeque::new();
        self.waiting = 0;
        self.safe = Safe::default();
        self.octets = 0;
        self.keywords = 0;
    }
}

/// The message that what is fed belongs to: the first that is not whole.
fn fed(messages: &mut [Message]) -> Option<&mut Message> {
    // Messages come one after the other.
    let at = messages.partition_point(|message| message.arrival.is_some());
    messages.get_mut(at)
}

impl Message {
    /// [`Error::Refused`] for flags that cannot be set.
    fn new(head: &AppendMessage) -> Result<Message, Error> {
        let (system, keywords) = flags::split(&head.flags)?;
        let received = head.date.map(|date| Timestamp(date.seconds.saturating_mul(1_000_000)));
        let filing = Filing { flags: system, keywords, received, trace: None };
        Ok(Message { filing, size: 0, intake: None, arrival: None })
    }

    fn keyword_octets(&self) -> usize {
        self.filing.keywords.iter().map(|keyword| keyword.as_str().len() + size_of::<Keyword>()).sum()
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Session {
    /// A job of APPENDs in a transaction.
    pub(crate) fn append_job(&mut self, tx: &mut Tx<'_>, appending: &mut Appending) -> Result<(), Error> {
        match tx {
            Tx::Read(tx) => self.append_look(tx, appending),
            Tx::Write(tx) => self.append_store(tx, appending),
        }
    }

    /// What is next for APPENDs. `None`: nothing but more from the client.
    pub(crate) fn append_step(&mut self, supply: Supply) -> Option<Next> {
        let Phase::Appending(mut appending) = std::mem::take(&mut self.phase) else { return None };
        // What the last job said of them has gone out.
        appending.commands.drain(..std::mem::take(&mut appending.filed));
        while let Some(command) = appending.commands.pop_front_if(|command| command.failed.is_some()) {
            let tag = command.append.tag;
            if let Some(reply) = command.failed {
                self.complain(Some(&tag), &reply);
            }
            if command.close {
                self.say_bye(None, "cannot go on after that");
            }
            if matches!(self.phase, Phase::Closing) {
                return Some(Next::Again);
            }
        }
        if appending.commands.is_empty() {
            // The phase is `Ready` now.
            if let Some(event) = appending.held.take() {
                self.event(event);
            }
            return Some(Next::Again);
        }
        appending.job = appending.next_job(supply);
        let next = appending.job.map(Next::Job);
        self.phase = Phase::Appending(appending);
        next
    }

    /// The job failed, perhaps before it began: its answers were dropped.
    pub(crate) fn append_failed(&mut self, mut appending: Box<Appending>, error: &Error) {
        appending.filed = 0;
        match appending.job.take() {
            Some(Access::Write) => {
                for command in appending.commands.iter_mut().take_while(|command| command.is_over()) {
                    if command.failed.is_none() {
                        command.fail(error.reply());
                    }
                }
            }
            Some(Access::Read) => {
                let last = appending.commands.len().saturating_sub(1);
                let at = appending.commands.iter().position(Command::wants_look).unwrap_or(last);
                self.append_fails_at(&mut appending, at, error);
            }
            // Who brought it was told.
            Some(Access::Disk) | None => {}
        }
        self.phase = Phase::Appending(appending);
    }

    /// The command that is coming fails, and the framer throws the rest of it away.
    fn append_fails(&mut self, appending: &mut Appending, reply: Reply) {
        appending.asked = None;
        if let Some(command) = appending.coming() {
            command.close = self.framer.refuse_append();
            command.fail(reply);
        }
    }

    /// The command at this place fails.
    fn append_fails_at(&mut self, appending: &mut Appending, at: usize, error: &Error) {
        match appending.commands.get_mut(at) {
            Some(command) if command.is_over() => command.fail(error.reply()),
            Some(_) | None => self.append_fails(appending, error.reply()),
        }
    }
}

/// Octets of the summaries of messages that are safe and not filed, as they are stored: of a message of 20 KB in 2,000 parts
/// they are more than the message.
const SUMMARIES_MAX: usize = 16 * 1024 * 1024;

/// Octets of the keywords of one APPEND's messages in memory: ten for each of as many messages as a command may bring.
const KEYWORDS_MAX: usize = 8 * 1024 * 1024;

/// What [`Session::append_step`] comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The phase changed: look again.
    Again,
    /// A job.
    Job(Access),
}
