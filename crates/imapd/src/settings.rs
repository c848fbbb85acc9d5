//! What an administrator may choose about the IMAP service, and its limits.
//!
//! What it never does: read a file. The shell fills this in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use postroad_imap::command::EntryName;

use crate::fetch::Remembered;
use crate::message_limit::MessageLimit;
use crate::recent::RecentClaims;
use crate::sort::cache::SortKeys;

/// The settings of the IMAP service; shared by all sessions.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Advertise `IMAP4rev2` beside `IMAP4rev1`. A client of rev1 sees no difference until it says
    /// `ENABLE IMAP4rev2`; Apple's clients were seen to show empty mailboxes on servers that advertise it,
    /// hence the switch.
    pub rev2: bool,
    /// Let a client on this machine log in without TLS (a trial on loopback). Elsewhere `LOGINDISABLED`
    /// is advertised and obeyed until TLS is up.
    pub cleartext_on_loopback: bool,
    /// The mechanisms of AUTHENTICATE, in this order.
    pub mechanisms: Vec<&'static postroad_sasl::Mechanism>,
    /// Whether STARTTLS can be offered, that is, whether there is a certificate.
    pub starttls: bool,
    /// Offer COMPRESS=DEFLATE after login.
    pub compress: bool,
    /// The server's own name, as URLs have it (RFC 5092).
    pub host: String,
    /// The largest message taken by APPEND, in octets.
    pub message_size_max: u64,
    /// How many messages one command may be about (RFC 9738).
    pub message_limit: MessageLimit,
    /// How long the answer to a failed login is held back; the second failure waits twice as long and so
    /// on. Zero for none.
    pub login_delay: Duration,
    /// Whether clients on this machine are spared that delay.
    pub no_delay_on_loopback: bool,
    /// How long a client that has not logged in may be silent.
    pub patience_before_login: Duration,
    /// How long a client that has logged in may be silent. RFC 9051 §5.4: at least 30 minutes.
    pub patience: Duration,
    /// How often a client in IDLE hears `* OK Still here`, so that routers and mobile networks keep the
    /// connection and a dead one is noticed.
    pub idle_tick: Duration,
    /// What ID tells of the server (RFC 2971).
    pub identity: Identity,
    /// The addresses of accounts that may set everybody's quota (SETQUOTA); QUOTASET is advertised when there are any.
    pub administrators: Vec<String>,
    /// What the server shares with all: annotations by their path behind `/shared`, in small letters (RFC 5464 §6.2.1).
    pub annotations: BTreeMap<String, String>,
    /// What SORT and THREAD keep of mailboxes, for all sessions.
    pub sort_keys: Arc<SortKeys>,
    /// What listings of flags are made of, for all sessions.
    pub remembered: Arc<Remembered>,
    /// Which messages some session has shown as recent, for all sessions.
    pub recent: Arc<RecentClaims>,
}

/// The path of a shared entry behind `/shared`, in small letters, for [`Settings::annotations`]; `None` for what is no name
/// of one.
pub fn shared_entry(name: &str) -> Option<String> {
    let entry = EntryName::parse(name).filter(|entry| !entry.is_private() && !entry.path().is_empty())?;
    Some(entry.path().to_owned())
}

/// What the server tells of itself by ID.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Identity {
    /// NIL.
    Nothing,
    /// Its name.
    #[default]
    Name,
    /// Its name and version.
    NameAndVersion,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            rev2: false,
            cleartext_on_loopback: false,
            mechanisms: postroad_sasl::standard(),
            starttls: true,
            compress: true,
            host: "localhost".to_owned(),
            message_size_max: 50 * 1024 * 1024,
            message_limit: MessageLimit::None,
            login_delay: Duration::from_secs(2),
            no_delay_on_loopback: true,
            patience_before_login: Duration::from_secs(90),
            patience: Duration::from_secs(30 * 60),
            idle_tick: Duration::from_secs(120),
            identity: Identity::Name,
            administrators: Vec::new(),
            annotations: BTreeMap::new(),
            sort_keys: Arc::default(),
            remembered: Arc::default(),
            recent: Arc::default(),
        }
    }
}

/// The longest that a failed login is held back, however often it failed before.
pub(crate) const LOGIN_DELAY_MAX: Duration = Duration::from_secs(16);
/// After this many failed logins the session ends.
pub(crate) const FAILED_LOGINS_MAX: u32 = 5;
/// After this many lines in a row that are no commands the session ends.
pub(crate) const BAD_COMMANDS_MAX: u32 = 20;
/// A job that produced this much output stops and goes on after the client has taken it.
pub(crate) const OUTPUT_BUDGET: usize = 256 * 1024;
/// At most this many messages are looked at by one job of FETCH or SEARCH.
pub(crate) const MESSAGES_PER_JOB: usize = 2_000;
/// How long a command of several jobs says nothing about itself before the client is told how far it is (RFC 9585 §3.1).
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// Octets of APPENDs that are handed to the disk at once.
pub(crate) const APPEND_CHUNK: usize = 64 * 1024;
/// So many octets of messages of at most [`APPEND_LIGHT_MESSAGE`] are taken wherever the session is: that is done sooner than another
/// thread has begun.
pub(crate) const APPEND_LIGHT: usize = 2 * APPEND_CHUNK;
/// A message that is soon parsed, hashed and compressed.
pub(crate) const APPEND_LIGHT_MESSAGE: u64 = 32 * 1024;
/// APPENDs that came together share a transaction up to so many messages ...
pub(crate) const APPEND_BATCH_MESSAGES: usize = 256;
/// ... or octets; one APPEND with more has a transaction of its own.
pub(crate) const APPEND_BATCH_OCTETS: u64 = 8 * 1024 * 1024;
/// Octets of messages that wait in memory for the end of their APPEND; more wait in files.
pub(crate) const APPEND_HELD_MAX: u64 = 32 * 1024 * 1024;
/// Octets that CATENATE copies from another message in one job.
pub(crate) const CATENATE_PER_JOB: u64 = 1024 * 1024;
/// A client in IDLE is not dropped before this: Outlook hangs when it is. Clients say DONE and IDLE again
/// after 29 minutes (RFC 2177).
pub(crate) const IDLE_PATIENCE_MIN: Duration = Duration::from_secs(60 * 60);
/// Changes read by one synchronisation; more are read by the next job.
pub(crate) const CHANGES_PER_JOB: usize = 5_000;
/// SELECT tells `[UNSEEN n]` of mailboxes with at most so many messages.
pub(crate) const UNSEEN_COUNTED_MAX: u32 = 10_000;
/// Recent messages are counted one by one up to this many.
pub(crate) const RECENT_COUNTED_MAX: u32 = 1_000;
/// EXPUNGE responses of one job.
pub(crate) const EXPUNGES_PER_JOB: usize = 20_000;
/// Octets of all patterns of one LIST: each is tried on each mailbox, and costs its length times the name's.
pub(crate) const PATTERN_OCTETS_MAX: usize = 4 * 1024;
