//! The side that has the store: it answers requests, one after the other.
//!
//! [`Local`] works on a store; [`serve`] answers what comes over a socket with it; [`Desk`] is the caller's end, a thread
//! of its own, so that waiting for the store holds nothing else up. Frames are those of `postroad_archive::wire`.
//!
//! Promises, whenever either side is killed: a message is filed whole and remembered, or neither; what was answered is on disk.

mod caller;
mod local;
mod mapping;
mod outwards;
mod proof;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

pub use caller::{Desk, Waiting, serve};
pub use local::Local;
pub(crate) use mapping::{choose, doubtful, find_or_make};

/// What is known of a message besides its octets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Its uid there.
    pub uid: u32,
    /// Flags and keywords, in order, with a space between: [`crate::migrate::marks`].
    pub marks: String,
    /// When it came, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<i64>,
    /// What tells it from others, where the server says so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub identity: String,
    /// Its octets, when they come along.
    #[serde(default)]
    pub size: u64,
    /// Some of its octets 0x80 may be NULs there, which nothing told ([`crate::exact`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubtful: bool,
}

/// A folder there, and what it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderState {
    /// Its number.
    pub id: i64,
    /// Its name there.
    pub name: String,
    /// The mailbox here.
    pub mailbox: String,
    /// The mailbox is made by this run.
    pub new: bool,
    /// As when it was last gone through; 0 before.
    pub uidvalidity: u32,
    /// Likewise.
    pub modseq: u64,
    /// Outwards: from this uid on, messages there may have no row.
    pub marker: u32,
}

/// What is asked of the store's side. Fields are what their names say: `folder` is a folder's number in the link.
#[expect(missing_docs, reason = "a variant's sentence says what its fields are")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Where a folder goes. `levels` is its name, outermost first; `to` names a mailbox instead.
    Place { name: String, levels: Vec<String>, role: Option<String>, to: Option<String>, subscribe: bool, dry: bool },
    /// What is known of a folder's messages, from a uid on, a page.
    Known { folder: i64, from: i64 },
    /// Which of these are here, from whatever folder.
    Like { identities: Vec<String> },
    /// The folder has a new uidvalidity.
    Validity { folder: i64, uidvalidity: u32 },
    /// File messages; their octets follow each other in the frame.
    File { folder: i64, messages: Vec<Meta> },
    /// A message comes in pieces.
    Begin,
    /// A piece is the frame's octets.
    Piece,
    /// It was whole.
    Complete { folder: i64, message: Meta },
    /// It was not.
    Abandon,
    /// Messages that are here get an entry in this folder's mailbox.
    Again { folder: i64, messages: Vec<Meta> },
    /// Messages that are here are in this folder too, and need no entry for it.
    Note { folder: i64, messages: Vec<Meta> },
    /// Messages with an entry of their own have one in another folder's mailbox, perhaps.
    Housed { folder: i64, messages: Vec<Meta> },
    /// Flags changed there.
    Marks { folder: i64, messages: Vec<Meta> },
    /// Messages are gone there.
    Gone { folder: i64, uids: Vec<u32> },
    /// A folder was gone through.
    Finish { folder: i64, uidvalidity: u32, modseq: u64 },
    /// Whether there is room, and how much is used.
    Room,
    /// The account is used here from now on.
    CutOver,
    /// A token of OAuth 2.0 that is good now: octets; none when nobody has signed in for this place.
    Token,
    /// What a provider has granted for this place: octets that [`Grants`] understands.
    Granted,
    /// Compare a page of a folder's messages with what was sent.
    Prove { folder: i64, from: i64 },
    /// Outwards: mailboxes.
    Mailboxes,
    /// Outwards: a page of a mailbox.
    Entries { folder: i64, from: u32 },
    /// Outwards: octets of a message, from one on.
    Read { folder: i64, uid: u32, from: u64 },
    /// Outwards: octets of whole messages, one after the other; together at most [`READ_OCTETS`].
    ReadAll { folder: i64, uids: Vec<u32> },
    /// Outwards: where messages, by their contents' numbers, are there in other folders.
    Elsewhere { folder: i64, messages: Vec<i64> },
    /// Outwards: a message is there.
    Sent { folder: i64, messages: Vec<Sent> },
    /// Outwards: the marker.
    Mark { folder: i64, marker: u32 },
    /// Outwards: messages are no longer ours to look after.
    Forget { folder: i64, uids: Vec<u32> },
}

/// Outwards: a message and where it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Its uid here.
    pub uid: u32,
    /// Its uid there.
    pub other: u32,
    /// BLAKE3 of what was sent.
    pub hash: String,
    /// How many octets.
    pub size: u64,
    /// Flags as they are there now.
    pub marks: String,
    /// The content's number.
    #[serde(default)]
    pub message: i64,
}

/// Outwards: where a message is there that is to be in another folder too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// The content's number.
    pub message: i64,
    /// The folder's number in the link.
    pub folder: i64,
    /// What is known of it there.
    pub row: Row,
}

/// Outwards: a message of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its uid here.
    pub uid: u32,
    /// Flags and keywords.
    pub marks: String,
    /// When it came.
    pub date: i64,
    /// How many octets.
    pub size: u64,
    /// The content's number.
    pub message: i64,
}

/// A row of what is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its uid where it comes from; negative when that is void.
    pub uid: i64,
    /// Its uid where it went; 0 when it has no entry of its own.
    pub other: u32,
    /// Flags as last seen.
    pub marks: String,
    /// BLAKE3 of its octets.
    pub hash: String,
    /// How many.
    pub size: u64,
}

/// A message that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Its uid in the folder there.
    pub uid: u32,
    /// Its Message-ID, when it has one.
    pub message_id: Option<String>,
    /// What is different.
    pub why: String,
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proved {
    /// Messages that are here, octet for octet as they were sent.
    pub equal: u64,
    /// Of these, how many their owner has moved to another mailbox.
    pub moved: u64,
    /// Messages that their owner has removed here since.
    pub removed: u64,
    /// The others.
    pub differences: Vec<Difference>,
}

/// What was answered.
#[expect(missing_docs, reason = "a variant's sentence says what its fields are")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is done.
    Done,
    /// The link: what is known of its folders, and whether the account is used here by now.
    Opened { folders: Vec<FolderState>, cut: bool },
    /// Where a folder goes.
    Placed(FolderState),
    /// A page of what is known, and where the next one begins.
    Known { rows: Vec<Row>, next: Option<i64> },
    /// Those that are here.
    Like(Vec<String>),
    /// Messages filed; recognised; not taken, and why.
    Filed { filed: u64, adopted: u64, refused: Vec<(u32, String)> },
    /// These were removed here meanwhile.
    Missing(Vec<u32>),
    /// Room that is left: octets, messages; none for no limit.
    Room { bytes: Option<u64>, messages: Option<u64> },
    /// A page was compared, and where the next one begins.
    Proved { found: Proved, next: Option<i64> },
    /// Outwards: mailboxes with names, roles, subscriptions.
    Mailboxes(Vec<MailboxState>),
    /// Outwards: a page.
    Entries { entries: Vec<Entry>, next: Option<u32> },
    /// Outwards: messages that are there, one place for each.
    Elsewhere(Vec<Elsewhere>),
    /// Outwards: octets follow in the frame.
    Octets,
    /// It cannot be done now; why.
    Later(String),
    /// It cannot be done; a sentence with the next step.
    Refused(String),
}

/// Outwards: a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxState {
    /// Its name.
    pub name: String,
    /// Its role's name.
    pub role: Option<String>,
    /// Clients show it.
    pub subscribed: bool,
    /// Its messages.
    pub messages: u32,
    /// Its folder in the link.
    pub folder: FolderState,
}

/// Who keeps what providers of OAuth 2.0 have granted, beside the store.
pub trait Grants {
    /// A token for a place ([`crate::Place::key`]) that is good now; `None` when nobody has signed in. Errors: `Network` when
    /// it may work later.
    fn token(&self, place: &str) -> Result<Option<String>>;
    /// Keeps what was granted for a place.
    fn keep(&self, place: &str, granted: &[u8]) -> Result<()>;
}

/// Nobody does.
#[derive(Debug, Clone, Copy)]
pub struct NoGrants;

impl Grants for NoGrants {
    fn token(&self, _: &str) -> Result<Option<String>> {
        Ok(None)
    }

    fn keep(&self, _: &str, _: &[u8]) -> Result<()> {
        Err(Error::Here("tokens cannot be kept here".into()))
    }
}

/// How a link is opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Outwards instead of inwards.
    pub outwards: bool,
    /// [`crate::Place::key`].
    pub place: String,
    /// The account may become fuller than its quota.
    pub ignore_quota: bool,
    /// Nothing is written.
    pub dry: bool,
}

/// Octets of messages in one request.
pub const BATCH_OCTETS: usize = 2 * 1024 * 1024;
/// Messages in one request.
pub const BATCH_MESSAGES: usize = 200;
/// Octets of a piece of a large message.
pub const PIECE: usize = 512 * 1024;
/// Octets of messages that are read together.
pub const READ_OCTETS: u64 = 2 * 1024 * 1024;
/// Rows in one page.
pub const PAGE: usize = 5_000;
