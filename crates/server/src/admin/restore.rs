//! One account from a backup, through the running server: it reads the folder of backups itself and tells in lines of
//! JSON how far it is and what came of it.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use postroad_archive::backup::{self, AccountPlan, AccountRestored, Folder, Tell};
use postroad_mail::{Address, MailboxName};
use postroad_store::{Store, Timestamp};
use serde::{Deserialize, Serialize};

use crate::place;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Request {
    /// The folder of backups, absolute.
    pub(crate) folder: PathBuf,
    pub(crate) backup: Option<String>,
    pub(crate) address: String,
    pub(crate) to: Option<String>,
    pub(crate) into: Option<String>,
}

/// A line of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line {
    /// How far it is.
    Progress { stage: String, done: u64, total: u64, bytes: u64 },
    /// It is done; nothing follows.
    Done(Done),
    /// It did not succeed; nothing follows.
    Failed(String),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Done {
    pub(crate) backup: String,
    pub(crate) made: bool,
    pub(crate) mailboxes: u64,
    pub(crate) messages: u64,
    pub(crate) present: u64,
    pub(crate) bytes: u64,
    /// The account holds more than its quota now.
    pub(crate) over_quota: bool,
    /// Messages that are lost: mailbox and uid in the backup.
    pub(crate) lost: Vec<(String, i64)>,
    pub(crate) refused: Vec<String>,
}

/// Does it and tells whoever asked. They may be gone: it is done nevertheless.
pub(crate) fn perform(store: &Store, request: &Request, connection: &UnixStream) {
    let Ok(to) = connection.try_clone() else { return };
    let to = Arc::new(Mutex::new((to, Instant::now())));
    let line = match restore(store, request, teller(&to)) {
        Ok(done) => {
            tracing::info!(account = request.address, backup = done.backup, "an account was restored");
            Line::Done(done)
        }
        Err(why) => Line::Failed(why),
    };
    say(&to.lock().unwrap_or_else(PoisonError::into_inner).0, &line);
}

fn teller(to: &Arc<Mutex<(UnixStream, Instant)>>) -> Tell {
    let to = Arc::clone(to);
    Arc::new(move |at| {
        let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
        if to.1.elapsed() >= EVERY {
            to.1 = Instant::now();
            let line = Line::Progress { stage: at.stage.into(), done: at.done, total: at.total, bytes: at.bytes };
            say(&to.0, &line);
        }
    })
}

fn say(mut to: &UnixStream, line: &Line) {
    // A line of numbers and texts always has a JSON form, and whoever is gone hears nothing.
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    let _ = to.write_all(&text);
}

fn restore(store: &Store, request: &Request, tell: Tell) -> Result<Done, String> {
    let address = |text: &str| Address::parse(text).map_err(|error| format!("{text} is not an address: {error}"));
    let of = address(&request.address)?;
    let to = request.to.as_deref().map(address).transpose()?;
    let mailbox = |text: &str| MailboxName::parse(text).map_err(|error| format!("{text} is no mailbox name: {error}"));
    let into = request.into.as_deref().map(mailbox).transpose()?;
    let folder = Folder::to_read(&request.folder).map_err(|error| error.to_string())?;
    let plan = AccountPlan {
        store,
        migrations: &place::migrations(),
        folder: &folder,
        backup: request.backup.as_deref(),
        address: &of,
        to: to.as_ref(),
        into: into.as_ref(),
        clock: Arc::new(Timestamp::now),
        tell,
    };
    backup::account(&plan).map(Done::from).map_err(|error| error.to_string())
}

impl From<AccountRestored> for Done {
    fn from(done: AccountRestored) -> Done {
        Done {
            backup: done.backup,
            made: done.made,
            mailboxes: done.mailboxes,
            messages: done.messages,
            present: done.present,
            bytes: done.bytes,
            over_quota: done.over_quota,
            lost: done.lost.into_iter().map(|one| (one.mailbox, one.uid)).collect(),
            refused: done.refused,
        }
    }
}

const EVERY: Duration = Duration::from_millis(200);
