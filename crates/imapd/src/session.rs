//! One client's connection, as a plain struct.
//!
//! States: not authenticated (`login` is `None`), authenticated, selected (`view` is some), logout
//! (`Phase::Closing`); RFC 9051 §3. Transitions: [`Session::logged_in`]; SELECT and EXAMINE; CLOSE, UNSELECT
//! and a failed SELECT; LOGOUT, [`postroad_protocol::Protocol::interrupt`] and too many errors.
//!
//! Invariants:
//! 1. A session has at most one job out. What the job says is in `staged` and becomes output only when
//!    the world told its outcome; `before` is what a failed job goes back to.
//! 2. `login` is set only from an `Authenticated`, which only a verified password makes.

use std::sync::Arc;

use postroad_imap::{Framer, Limits, ResponseCode, Status, Syntax, Tag, Writer};
use postroad_mail::changes::Mark;
use postroad_mail::mailboxes::Mailbox;
use postroad_mail::{Authenticated, By, MailboxId};
use postroad_protocol::{Peer, TlsFacts};
use postroad_store::{AccountId, ModSeq, Receipt, Timestamp};

use crate::annotations::Following;
use crate::collation::Collation;
use crate::error::{Error, Reply};
use crate::language::Language;
use crate::notify::{Fresh, Notify, Pushing};
use crate::settings::Settings;
use crate::steps::{Phase, Running};
use crate::view::View;

/// One client's connection.
#[derive(Debug)]
pub struct Session {
    pub(crate) settings: Arc<Settings>,
    pub(crate) peer: Peer,
    pub(crate) tls: Option<TlsFacts>,
    pub(crate) framer: Framer,
    pub(crate) phase: Phase,
    pub(crate) login: Option<Authenticated>,
    pub(crate) view: Option<View>,
    pub(crate) enabled: Enabled,
    /// How SEARCH, SORT and THREAD compare texts (RFC 5255 §4).
    pub(crate) collation: Collation,
    /// The language that people are spoken to in (RFC 5255 §3).
    pub(crate) language: Language,
    /// COMPRESS was said (RFC 4978).
    pub(crate) compressed: bool,
    /// The connection's compression begins or ends behind what was just said.
    pub(crate) switch: Option<Switch>,
    /// What may go to the client.
    pub(crate) out: Vec<u8>,
    /// What the job under way says.
    pub(crate) staged: Vec<u8>,
    pub(crate) before: Option<Before>,
    /// NOTIFY was said (RFC 5465).
    pub(crate) notify: Option<Box<Notify>>,
    /// New messages that are to be told of.
    pub(crate) fresh: Fresh,
    /// Such messages, being told of.
    pub(crate) pushing: Option<Box<Pushing>>,
    /// The command under way tells of the selected mailbox, whatever the client wants to hear.
    pub(crate) thawed: bool,
    /// The write under way holds the locks of these accounts, and came after these operations.
    pub(crate) writes_after: Vec<(AccountId, ModSeq)>,
    /// Accounts whose locks the command under way needs beside that of the login and of the selected mailbox.
    pub(crate) more_locks: Vec<AccountId>,
    /// The next job is the write that claims what arrived as recent to this session.
    pub(crate) claims_next: bool,
    /// Such writes since something was told.
    pub(crate) claims_tried: u32,
    /// The job under way is a write.
    pub(crate) writing: bool,
    /// The mailbox that the view shows, as it is in the look under way, once the view is as it is: the look shows no more,
    /// however often it is asked.
    pub(crate) looked: Option<Box<Mailbox>>,
    /// The time of the job under way.
    pub(crate) now: Timestamp,
    /// What the client said of itself, until the log has it.
    pub(crate) client_news: Option<String>,
    /// The percentage of the quota that the client was last warned of.
    pub(crate) warned: u64,
    pub(crate) bad_commands: u32,
    pub(crate) failed_logins: u32,
}

/// The selected mailbox, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The account that has it: perhaps not the one that logged in.
    pub(crate) account: AccountId,
    /// Which mailbox of that account.
    pub(crate) mailbox: MailboxId,
}

/// What ENABLE, or a command that implies it, switched on. Never switched off (RFC 5161 §3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Enabled {
    /// MODSEQ in FETCH responses (RFC 7162 §3.1).
    pub(crate) condstore: bool,
    /// VANISHED instead of EXPUNGE (RFC 7162 §3.2).
    pub(crate) qresync: bool,
    /// No message sequence numbers: UIDFETCH and VANISHED instead of FETCH and EXPUNGE (RFC 9586).
    pub(crate) uid_only: bool,
    /// METADATA: changes of annotations are told (RFC 5464 §4.4.2), from here on.
    pub(crate) annotations: Option<Following>,
    /// UTF8=ACCEPT: UTF-8 in quoted strings and names (RFC 6855 §3).
    pub(crate) utf8: bool,
    /// IMAP4rev2: UTF-8 names, no RECENT, ESEARCH instead of SEARCH (RFC 9051 appendix E).
    pub(crate) rev2: bool,
}

impl Enabled {
    /// Whether quoted strings and names are UTF-8.
    pub(crate) fn utf8(self) -> bool {
        self.utf8 || self.rev2
    }
}

/// What becomes of the connection's compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switch {
    /// It begins.
    On,
    /// It ends.
    Off,
}

/// What a job that fails goes back to.
#[derive(Debug)]
pub(crate) struct Before {
    pub(crate) view: Option<View>,
    pub(crate) enabled: Enabled,
    pub(crate) notify: Option<Box<Notify>>,
    pub(crate) fresh: Fresh,
    /// The command under way is SELECT or EXAMINE: when it fails, no mailbox is selected.
    pub(crate) selecting: bool,
    /// The command under way.
    pub(crate) tag: Option<Tag>,
    /// It is the write that claims what arrived.
    pub(crate) claiming: bool,
}

impl Session {
    /// A session for a client that has just connected. With implicit TLS (port 993) `tls` is there already.
    pub fn new(settings: Arc<Settings>, peer: Peer, tls: Option<TlsFacts>) -> Session {
        let framer = Framer::new(Syntax { utf8: false, limits: Limits::before_login() });
        Session {
            settings,
            peer,
            tls,
            framer,
            phase: Phase::Greeting,
            login: None,
            view: None,
            enabled: Enabled::default(),
            collation: Collation::default(),
            language: Language::default(),
            compressed: false,
            switch: None,
            out: Vec::new(),
            staged: Vec::new(),
            before: None,
            notify: None,
            fresh: Fresh::default(),
            pushing: None,
            thawed: false,
            writes_after: Vec::new(),
            more_locks: Vec::new(),
            claims_next: false,
            claims_tried: 0,
            writing: false,
            looked: None,
            now: Timestamp(0),
            client_news: None,
            warned: 0,
            bad_commands: 0,
            failed_logins: 0,
        }
    }

    /// Who logged in, for limits by account and for the log.
    pub fn login(&self) -> Option<&Authenticated> {
        self.login.as_ref()
    }

    /// What the client said of itself by ID since this was last asked: one line for the log, bounded and clean.
    pub fn client_news(&mut self) -> Option<String> {
        self.client_news.take()
    }

    /// Whether this login may set quotas.
    pub(crate) fn is_administrator(&self) -> bool {
        let address = self.login.as_ref().map(|login| login.address().to_string());
        address.is_some_and(|own| self.settings.administrators.iter().any(|other| own.eq_ignore_ascii_case(other)))
    }

    /// The client.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The outcome of [`crate::Job::Read`].
    pub fn read_done(&mut self, outcome: Result<(), Error>) {
        self.settle(outcome);
    }

    /// The outcome of [`crate::Job::Write`]: what it said goes out only with a receipt.
    pub fn write_done(&mut self, outcome: Result<Receipt, Error>) {
        self.settle(outcome.map(|_receipt| ()));
    }

    fn settle(&mut self, outcome: Result<(), Error>) {
        match outcome {
            Ok(()) => {
                if self.before.take().is_some_and(|before| before.claiming) {
                    self.claims_next = false;
                }
                // Nothing large stays behind in a session that idles.
                let staged = std::mem::take(&mut self.staged);
                match self.out.is_empty() {
                    true => self.out = staged,
                    false => self.out.extend_from_slice(&staged),
                }
            }
            Err(_) if self.claiming() => self.claim_failed(),
            Err(Error::Unlocked(account)) => self.again_with(account),
            Err(error) => self.failed(&error),
        }
    }

    /// Whose login this is; the selected mailbox may be another account's: [`Session::place`]. [`Error::Mail`] (a defect) before login: the table of commands allows no such thing.
    pub(crate) fn account(&self) -> Result<AccountId, Error> {
        self.login.as_ref().map(Authenticated::account).ok_or_else(|| Error::bug("a command before login"))
    }

    /// The selected mailbox, and whose it is. [`Error::Mail`] (a defect) when there is none.
    pub(crate) fn place(&self) -> Result<Place, Error> {
        self.view().map(|view| Place { account: view.account, mailbox: view.mailbox })
    }

    /// The accounts whose locks a write of this session takes: see `target.rs`.
    pub(crate) fn locks(&self) -> Vec<AccountId> {
        let own = self.login.iter().map(Authenticated::account);
        own.chain(self.view.iter().map(|view| view.account)).chain(self.more_locks.iter().copied()).collect()
    }

    /// The command under way will write to this account: its next job takes the lock.
    pub(crate) fn lock_also(&mut self, account: AccountId) {
        if !self.locks().contains(&account) {
            self.more_locks.push(account);
        }
    }

    /// [`Error::Unlocked`] when this is a write that does not hold the account's lock.
    pub(crate) fn locked(&self, account: AccountId) -> Result<(), Error> {
        match !self.writing || self.locks().contains(&account) {
            true => Ok(()),
            false => Err(Error::Unlocked(account)),
        }
    }

    /// The author of what this session changes.
    pub(crate) fn by(&self) -> Result<By, Error> {
        let login = self.login.as_ref().ok_or_else(|| Error::bug("a change before login"))?;
        Ok(By::new(self.now, login.actor()))
    }

    /// The selected mailbox. [`Error::Mail`] (a defect) when there is none.
    pub(crate) fn view(&self) -> Result<&View, Error> {
        self.view.as_ref().ok_or_else(|| Error::bug("a command without a mailbox"))
    }

    /// The selected mailbox, to be changed.
    pub(crate) fn view_mut(&mut self) -> Result<&mut View, Error> {
        self.view.as_mut().ok_or_else(|| Error::bug("a command without a mailbox"))
    }

    /// The tag of the command that a job carries out.
    pub(crate) fn tag_under_way(&self) -> Option<&Tag> {
        self.before.as_ref().and_then(|before| before.tag.as_ref())
    }

    /// Begins the FETCH response of a message, or its UIDFETCH response.
    pub(crate) fn begin_fetch(&mut self, sequence: u32, uid: u32) -> Writer<'_> {
        let uid_only = self.enabled.uid_only;
        let mut writer = self.writer();
        match uid_only {
            true => writer.uid_fetch_begin(uid),
            false => writer.fetch_begin(sequence),
        }
        writer
    }

    /// Writes what the job under way says.
    pub(crate) fn writer(&mut self) -> Writer<'_> {
        Writer::new(&mut self.staged, self.enabled.utf8()).speaking(self.language.words())
    }

    /// Writes what needs no job.
    pub(crate) fn now_writer(&mut self) -> Writer<'_> {
        Writer::new(&mut self.out, self.enabled.utf8()).speaking(self.language.words())
    }

    /// Whether the job under way has said as much as one job should ([`crate::settings::OUTPUT_BUDGET`]).
    pub(crate) fn over_budget(&self) -> bool {
        self.staged.len() >= crate::settings::OUTPUT_BUDGET
    }

    /// A CONDSTORE-enabling command came (RFC 7162 §3.1).
    pub(crate) fn enable_condstore(&mut self) {
        if let Some(code) = self.first_condstore() {
            self.writer().untagged(Status::Ok, Some(&code), "the last change");
        }
    }

    /// RFC 7162 §3.1: what enables it with a mailbox selected also tells where the client stands.
    pub(crate) fn first_condstore(&mut self) -> Option<ResponseCode> {
        if std::mem::replace(&mut self.enabled.condstore, true) {
            return None;
        }
        self.view.as_ref().map(|view| ResponseCode::HighestModSeq(view.mark.modseq.0.unsigned_abs()))
    }

    /// Whether a name and a password may be sent now.
    pub(crate) fn may_send_password(&self) -> bool {
        self.tls.is_some() || (self.settings.cleartext_on_loopback && self.peer.is_loopback())
    }

    /// The tagged line of a command that needed no job.
    pub(crate) fn answer(&mut self, tag: &Tag, reply: &Reply) {
        self.now_writer().tagged(tag, reply.status, reply.code.as_ref(), &reply.text);
    }
}

/// What a handler comes to.
#[derive(Debug)]
pub(crate) enum Flow {
    /// The command is done: synchronise, then the tagged line.
    Done(Reply),
    /// A part is done; the output may go, then the same again: as a read.
    More,
    /// The command has to write: do it again, from its start, as a write. What this job said is dropped.
    Write,
}

/// What a command that runs in several jobs keeps between them.
#[derive(Debug, Default)]
pub(crate) enum Cursor {
    /// Nothing yet.
    #[default]
    Start,
    /// FETCH.
    Fetch(Box<crate::fetch::Cursor>),
    /// SEARCH.
    Search(Box<crate::search::Cursor>),
    /// ESEARCH in several mailboxes.
    Esearch(Box<crate::commands::Searching>),
    /// SORT.
    Sort(Box<crate::sort::Cursor>),
    /// THREAD.
    Thread(Box<crate::thread::Cursor>),
    /// URLFETCH.
    UrlFetch(Box<crate::commands::Fetching>),
    /// STORE changed the flags of more messages than one job tells of.
    Store(Box<crate::commands::Telling>),
    /// STORE changed labels.
    Labels(Box<crate::gmail::Telling>),
    /// SELECT with QRESYNC has more changes to tell.
    Select(Mark),
}

impl Cursor {
    /// Whether the last job stopped in the middle of a literal.
    pub(crate) fn is_in_literal(&self) -> bool {
        match self {
            Cursor::Fetch(cursor) => cursor.is_in_literal(),
            Cursor::UrlFetch(cursor) => cursor.is_in_literal(),
            Cursor::Start
            | Cursor::Search(_)
            | Cursor::Sort(_)
            | Cursor::Thread(_)
            | Cursor::Esearch(_)
            | Cursor::Store(_)
            | Cursor::Labels(_)
            | Cursor::Select(_) => false,
        }
    }

    /// How many messages a command has done, and of how many; `None` where that is not known.
    pub(crate) fn progress(&self) -> Option<(u64, u64)> {
        match self {
            Cursor::Fetch(cursor) => cursor.progress(),
            Cursor::Search(cursor) => cursor.progress(),
            Cursor::Start
            | Cursor::UrlFetch(_)
            | Cursor::Sort(_)
            | Cursor::Thread(_)
            | Cursor::Esearch(_)
            | Cursor::Store(_)
            | Cursor::Labels(_)
            | Cursor::Select(_) => None,
        }
    }

    /// FETCH's cursor, made when first asked for.
    pub(crate) fn fetch(&mut self) -> &mut crate::fetch::Cursor {
        if !matches!(self, Cursor::Fetch(_)) {
            *self = Cursor::Fetch(Box::default());
        }
        let Cursor::Fetch(cursor) = self else { unreachable!("made above") };
        cursor
    }

    /// URLFETCH's cursor, made when first asked for.
    pub(crate) fn url_fetch(&mut self) -> &mut crate::commands::Fetching {
        if !matches!(self, Cursor::UrlFetch(_)) {
            *self = Cursor::UrlFetch(Box::default());
        }
        let Cursor::UrlFetch(cursor) = self else { unreachable!("made above") };
        cursor
    }

    /// ESEARCH's cursor, made when first asked for.
    pub(crate) fn esearch(&mut self) -> &mut crate::commands::Searching {
        if !matches!(self, Cursor::Esearch(_)) {
            *self = Cursor::Esearch(Box::default());
        }
        let Cursor::Esearch(cursor) = self else { unreachable!("made above") };
        cursor
    }

    /// SEARCH's cursor, made when first asked for.
    pub(crate) fn search(&mut self) -> &mut crate::search::Cursor {
        if !matches!(self, Cursor::Search(_)) {
            *self = Cursor::Search(Box::default());
        }
        let Cursor::Search(cursor) = self else { unreachable!("made above") };
        cursor
    }

    /// SORT's cursor, made when first asked for.
    pub(crate) fn sort(&mut self) -> &mut crate::sort::Cursor {
        if !matches!(self, Cursor::Sort(_)) {
            *self = Cursor::Sort(Box::default());
        }
        let Cursor::Sort(cursor) = self else { unreachable!("made above") };
        cursor
    }

    /// THREAD's cursor, made when first asked for.
    pub(crate) fn thread(&mut self) -> &mut crate::thread::Cursor {
        if !matches!(self, Cursor::Thread(_)) {
            *self = Cursor::Thread(Box::default());
        }
        let Cursor::Thread(cursor) = self else { unreachable!("made above") };
        cursor
    }
}

impl Running {
    /// A command that begins.
    pub(crate) fn new(tag: Tag, name: &'static str, body: postroad_imap::Body) -> Running {
        Running {
            tag,
            name,
            body,
            cursor: Cursor::Start,
            writes: false,
            stage: crate::steps::Stage::Before,
            progress_at: None,
        }
    }
}
