//! What clients can say: the syntax tree, one file per family of commands.
//!
//! RFC 9051 §9 `command`. Nothing here knows whether a command is allowed in a state; that is `imapd`'s table.

pub mod acl;
pub mod append;
pub mod batches;
pub mod esearch;
pub mod fetch;
pub mod gmail;
mod language;
pub mod list;
pub mod messages;
pub mod metadata;
pub mod notify;
pub mod quota;
pub mod search;
pub mod select;
pub mod session;
pub mod sort;
pub mod status;
mod table;
pub mod urlauth;

use std::fmt;

use crate::cursor::is_astring_char;
use crate::limits::Limits;
use crate::mailbox::{MailboxName, SpecialUse};
use crate::set::MessageSet;

pub use acl::Acl;
pub use append::{Append, AppendMessage, LiteralKind, Replaced};
pub use batches::UidBatches;
pub use esearch::{Esearch, Mailboxes};
pub use fetch::{Fetch, FetchItem, Partial, Section, SectionText};
pub use gmail::{Label, OwnLabel, StoreLabels};
pub use list::{List, ListReturn, ListSelection};
pub use messages::{Copy, Store, StoreAction};
pub use metadata::{Depth, EntryName, Metadata};
pub use notify::{EventGroup, Notify, NotifyEvent, Watched};
pub use search::{PartialRange, Search, SearchKey, SearchReturn};
pub use select::{QresyncParameters, Select};
pub use session::{Id, Secret};
pub use sort::{Sort, SortCriterion, SortKey, Thread, ThreadAlgorithm};
pub use status::StatusItem;
pub use table::parse;
pub use urlauth::{GenUrlAuth, ResetKey, UrlFetch, UrlItem};

/// What the client names its command by; the answer carries it back.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag(Box<str>);

impl Tag {
    /// The tag's text: ASTRING-CHARs without `+`, so that it can stand in a response as it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Tag {
    /// Longest tag, in octets.
    pub const MAX: usize = 255;

    /// Checks that the text is a tag: `1*<any ASTRING-CHAR except "+">`.
    pub fn new(text: &str) -> Option<Tag> {
        let good = !text.is_empty() && text.len() <= Tag::MAX && text.bytes().all(|b| b != b'+' && is_astring_char(b));
        good.then(|| Tag(text.into()))
    }

    /// The tag at the start of a command, if it has one and a space after it.
    pub(crate) fn of(command: &[u8]) -> Option<Tag> {
        let command = command.trim_ascii_start();
        let end = command.iter().position(|&byte| byte <= b' ')?;
        Tag::new(std::str::from_utf8(&command[..end]).ok()?)
    }
}

/// How the bytes of a command are to be understood, which the session's state decides.
#[derive(Debug, Clone)]
pub struct Syntax {
    /// The client enabled UTF8=ACCEPT or IMAP4rev2: mailbox names are UTF-8 and `&` means itself
    /// (RFC 9051 §5.1, RFC 6855 §3). Else they are modified UTF-7, raw UTF-8 being tolerated.
    pub utf8: bool,
    /// Bounds on what a command may contain.
    pub limits: Limits,
}

/// One whole command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The client's name for it.
    pub tag: Tag,
    /// What it asks.
    pub body: Body,
}

/// What a command asks. APPEND and REPLACE do not appear: the framer tells them by [`crate::Event::AppendStart`] and
/// streams their messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// CAPABILITY (RFC 9051 §6.1.1).
    Capability,
    /// NOOP (§6.1.2).
    Noop,
    /// LOGOUT (§6.1.3).
    Logout,
    /// ID (RFC 2971).
    Id(Id),
    /// STARTTLS (§6.2.1).
    StartTls,
    /// AUTHENTICATE (§6.2.2).
    Authenticate {
        /// The SASL mechanism in upper case.
        mechanism: String,
        /// The initial response as it was sent (RFC 4959): base64, or `=` for an empty one.
        initial: Option<Secret>,
    },
    /// LOGIN (§6.2.3).
    Login {
        /// The user's name, UTF-8.
        user: String,
        /// The password, as sent.
        password: Secret,
    },
    /// COMPRESS (RFC 4978): the algorithm in upper case.
    Compress(String),
    /// UNAUTHENTICATE (RFC 8437).
    Unauthenticate,
    /// ENABLE (§6.3.1): capability names in upper case.
    Enable(Vec<String>),
    /// SELECT (§6.3.2).
    Select(Select),
    /// EXAMINE (§6.3.3).
    Examine(Select),
    /// CREATE (§6.3.4), with the special uses of RFC 6154 §3.
    Create {
        /// The name to make.
        mailbox: MailboxName,
        /// The uses asked for by `(USE (..))`.
        special_use: Vec<SpecialUse>,
    },
    /// DELETE (§6.3.5).
    Delete(MailboxName),
    /// RENAME (§6.3.6).
    Rename {
        /// The name as it is.
        from: MailboxName,
        /// The name as it shall be.
        to: MailboxName,
    },
    /// SUBSCRIBE (§6.3.7).
    Subscribe(MailboxName),
    /// UNSUBSCRIBE (§6.3.8).
    Unsubscribe(MailboxName),
    /// LIST (§6.3.9, RFC 5258), and XLIST, its predecessor with special uses.
    List(List),
    /// LSUB (RFC 3501 §6.3.9).
    Lsub {
        /// What the pattern is relative to, UTF-8.
        reference: String,
        /// The pattern with `*` and `%`, UTF-8.
        pattern: String,
    },
    /// NAMESPACE (§6.3.10).
    Namespace,
    /// STATUS (§6.3.11).
    Status {
        /// Of which mailbox.
        mailbox: MailboxName,
        /// What to tell, in the client's order, without doubles.
        items: Vec<StatusItem>,
    },
    /// IDLE (§6.3.13). The session then asks the framer for one raw line: `DONE`.
    Idle,
    /// CHECK (RFC 3501 §6.4.1).
    Check,
    /// CLOSE (§6.4.1).
    Close,
    /// UNSELECT (§6.4.2).
    Unselect,
    /// EXPUNGE (§6.4.3), and UID EXPUNGE (§6.4.9) with its set of UIDs.
    Expunge(Option<MessageSet>),
    /// SEARCH and UID SEARCH (§6.4.4).
    Search(Search),
    /// ESEARCH, the command (RFC 7377).
    Esearch(Esearch),
    /// SORT and UID SORT (RFC 5256).
    Sort(Sort),
    /// THREAD and UID THREAD (RFC 5256).
    Thread(Thread),
    /// CANCELUPDATE (RFC 5267 §4.3.5): the tags of the searches.
    CancelUpdate(Vec<Tag>),
    /// COMPARATOR (RFC 5255 §4.7): what the client would have, the dearest first.
    Comparator(Vec<String>),
    /// LANGUAGE (RFC 5255 §3.2): language ranges, the dearest first.
    Language(Vec<String>),
    /// UIDBATCHES (RFC 10022).
    UidBatches(UidBatches),
    /// NOTIFY (RFC 5465).
    Notify(Notify),
    /// FETCH and UID FETCH (§6.4.5).
    Fetch(Fetch),
    /// STORE and UID STORE (§6.4.6).
    Store(Store),
    /// STORE of Gmail's labels (X-GM-EXT-1).
    StoreLabels(StoreLabels),
    /// COPY and UID COPY (§6.4.7).
    Copy(Copy),
    /// MOVE and UID MOVE (§6.4.8).
    Move(Copy),
    /// SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS (RFC 4314).
    Acl(Acl),
    /// GENURLAUTH (RFC 4467 §7).
    GenUrlAuth(Vec<GenUrlAuth>),
    /// RESETKEY (RFC 4467 §7).
    ResetKey(ResetKey),
    /// URLFETCH (RFC 4467 §7, RFC 5524).
    UrlFetch(Vec<UrlFetch>),
    /// GETMETADATA and SETMETADATA (RFC 5464).
    Metadata(Metadata),
    /// GETQUOTA (RFC 9208 §4.1.1): the quota root.
    GetQuota(String),
    /// GETQUOTAROOT (RFC 9208 §4.1.2).
    GetQuotaRoot(MailboxName),
    /// SETQUOTA (RFC 9208 §4.1.3): the root and its limits by resource name in upper case.
    SetQuota {
        /// The quota root.
        root: String,
        /// Resource and limit.
        limits: Vec<(String, u64)>,
    },
}
