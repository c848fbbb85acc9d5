//! An account is taken over from another IMAP server.
//!
//! One run: folders are listed and placed, each is looked through (what is new, changed, gone since the last run), the room
//! is compared with the quota, messages are fetched in windows and filed in batches, flags follow, what is gone there goes
//! here, and everything is compared by checksum. A connection that breaks is made again; a run that breaks is run
//! again. At the source nothing is changed: mailboxes are opened with EXAMINE, messages read with BODY.PEEK.
//!
//! Gmail: a message has labels, each of which looks like a mailbox. It is fetched once and gets an entry for each; All Mail
//! gives entries only to what has no label (Archive). Servers with OBJECTID (RFC 8474) have their copies recognised the same way.

mod again;
mod fetch;
mod folders;
mod run;
mod scan;

use serde::Serialize;

use crate::desk::Difference;

pub(crate) use again::hashes;
pub use folders::{Folder, list, strip};
pub use run::migrate;

/// What to take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Only these folders (and what is below them); none for all.
    pub only: Vec<String>,
    /// Not these, nor what is below them.
    pub except: Vec<String>,
    /// Folders and the mailboxes that they go to.
    pub map: Vec<(String, String)>,
    /// Only look.
    pub dry: bool,
    /// What is deleted there stays here.
    pub keep_deleted: bool,
    /// From now on the account is used here: this run is the last that follows flags and deletions.
    pub cut_over: bool,
    /// Fetch everything again and compare it, too.
    pub prove: bool,
    /// New connections in a row that may fail.
    pub tries: u32,
    /// The wait after the first failure; it doubles.
    pub pause: std::time::Duration,
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Messages dealt with.
    pub messages: u64,
    /// Of so many; 0 when that is not known yet.
    pub of: u64,
    /// Octets that came.
    pub octets: u64,
}

/// Hears how far it is, and what happens.
pub trait Watch {
    /// Called often.
    fn progress(&mut self, progress: Progress);
    /// Something that a person should know: a new connection, a wait.
    fn say(&mut self, words: &str);
}

/// A folder in the report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FolderReport {
    /// Its name there.
    pub folder: String,
    /// The mailbox here.
    pub mailbox: String,
    /// The mailbox is new.
    pub new: bool,
    /// Messages there.
    pub there: u64,
    /// Messages that came in this run.
    pub taken: u64,
    /// Their octets.
    pub bytes: u64,
    /// Messages that came with another folder and got one more entry.
    pub entries: u64,
    /// Messages whose flags changed.
    pub flags: u64,
    /// Messages that went.
    pub gone: u64,
    /// Messages of which there is one here.
    pub here: u64,
    /// Of these, octet for octet what the other server sent.
    pub equal: u64,
    /// Of these, how many their owner moved to another mailbox since.
    pub moved: u64,
    /// Messages that their owner removed here since.
    pub removed: u64,
    /// Messages that were fetched again and are what they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetched_again: Option<u64>,
    /// What is not as it should be.
    pub differences: Vec<Difference>,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Nothing was written.
    pub dry: bool,
    /// Everything that was to be done is done.
    pub complete: bool,
    /// What ended it early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The folders.
    pub folders: Vec<FolderReport>,
    /// Folders that were left out, and why.
    pub left_out: Vec<(String, String)>,
    /// New connections after the first.
    pub reconnected: u64,
    /// Octets that passed the connections.
    pub octets: u64,
}

impl Report {
    /// Every message that is there is here as it was sent, or was removed here by its owner.
    pub fn is_proved(&self) -> bool {
        self.complete
            && self
                .folders
                .iter()
                .all(|folder| folder.differences.is_empty() && folder.equal + folder.removed >= folder.there)
    }
}

/// Flags and keywords in the one form in which they are compared: without \Recent, each once, in order.
pub fn marks(flags: impl IntoIterator<Item = String>) -> String {
    let known = |flag: String| match postroad_mail::Flags::NAMES.iter().find(|(_, own)| own.eq_ignore_ascii_case(&flag))
    {
        Some((_, own)) => Some((*own).to_owned()),
        None => postroad_mail::Keyword::parse(&flag).map(|keyword| keyword.as_str().to_owned()),
    };
    let mut all: Vec<String> = flags.into_iter().filter_map(known).collect();
    all.sort_unstable();
    all.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    all.truncate(MARKS_MAX);
    all.join(" ")
}

/// Flags and keywords of one message that are kept.
const MARKS_MAX: usize = 100;
