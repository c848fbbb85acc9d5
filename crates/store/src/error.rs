//! What can go wrong, by whose fault it is and what to do about it.
//!
//! Protocols map [`Code`] to their replies once; the log shows the sentence and [`Error::next_step`].

use std::fmt;

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed transaction, statement or blob. The text says what happened, for the log and not for peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// No room: the disk, the database's own limit or the object store is full.
    Full(String),
    /// The database or the blob folder cannot be written.
    ReadOnly(String),
    /// The database or the object store cannot be reached.
    Unavailable(String),
    /// The connection was lost while COMMIT was under way: it may or may not have happened.
    OutcomeUnknown(String),
    /// Too much is waiting, or a lock was not granted in time.
    Busy(String),
    /// The transaction could not be carried out this time (deadlock, or the whole batch failed); the same
    /// again can succeed.
    Temporary(String),
    /// A unique key is taken: the constraint's name on PostgreSQL, its columns on SQLite.
    Conflict(String),
    /// A row that must be there is not.
    Missing(String),
    /// Stored bytes are not what was stored.
    Corrupt(String),
    /// The database was made by a newer version, or differently from what this one would make.
    Schema(String),
    /// The settings cannot be used.
    Settings(String),
    /// The store is closing.
    Closed,
    /// The job panicked; its changes were undone.
    Panicked(String),
    /// This program is wrong: bad SQL, a wrong type, a broken rule of this crate.
    Bug(String),
}

/// What a peer may learn of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Storage is full: SMTP 452 4.3.1, IMAP `NO [OVERQUOTA]` is wrong here, `NO [LIMIT]` or `[UNAVAILABLE]` fits.
    Full,
    /// Try later: SMTP 451 4.3.0, IMAP `NO [UNAVAILABLE]`.
    Unavailable,
    /// Try again soon: SMTP 451 4.3.2, IMAP `NO [INUSE]` or `[UNAVAILABLE]`.
    Busy,
    /// It exists already: IMAP `NO [ALREADYEXISTS]`.
    Conflict,
    /// It does not exist: IMAP `NO [NONEXISTENT]`.
    Missing,
    /// Stored data is damaged: IMAP `NO [CORRUPTION]`, SMTP 451 4.3.0.
    Corrupt,
    /// A defect of this server: SMTP 451 4.3.0, IMAP `NO [SERVERBUG]`.
    Bug,
}

impl Error {
    /// What a peer may learn.
    pub fn code(&self) -> Code {
        match self {
            Error::Full(_) => Code::Full,
            Error::ReadOnly(_)
            | Error::Unavailable(_)
            | Error::OutcomeUnknown(_)
            | Error::Schema(_)
            | Error::Settings(_)
            | Error::Closed => Code::Unavailable,
            Error::Busy(_) | Error::Temporary(_) => Code::Busy,
            Error::Conflict(_) => Code::Conflict,
            Error::Missing(_) => Code::Missing,
            Error::Corrupt(_) => Code::Corrupt,
            Error::Panicked(_) | Error::Bug(_) => Code::Bug,
        }
    }

    /// Whether the same may succeed later without anybody changing the request.
    pub fn is_temporary(&self) -> bool {
        match self.code() {
            Code::Full | Code::Unavailable | Code::Busy => true,
            Code::Conflict | Code::Missing | Code::Corrupt | Code::Bug => false,
        }
    }

    /// What the administrator does now, for the log line beside the error.
    pub fn next_step(&self) -> &'static str {
        match self {
            Error::Full(_) => "free space where the database and the blobs are kept; service returns by itself",
            Error::ReadOnly(_) => {
                "make the data folder writable for the server's user and check the disk (a failing disk is remounted read-only)"
            }
            Error::Unavailable(_) => {
                "start the database or the object store and check the network; service returns by itself"
            }
            Error::OutcomeUnknown(_) => {
                "nothing to do: the sender tries again; check why the database connection broke"
            }
            Error::Busy(_) => {
                "if this goes on, look for slow jobs in the log, a slow disk, or raise the number of connections"
            }
            Error::Temporary(_) => "nothing to do: the same is tried again",
            Error::Conflict(_) => "choose another name, or remove the one that is there",
            Error::Missing(_) => "nothing to do if it was just removed; else report it",
            Error::Corrupt(_) => "check the disk and restore what is named here from the backup",
            Error::Schema(_) => "run the version of the program that made this database, or a newer one",
            Error::Settings(_) => "correct the settings",
            Error::Closed => "nothing to do: the server stops",
            Error::Panicked(_) | Error::Bug(_) => "please report this with the log line",
        }
    }

    /// The same error with `context` before its text.
    pub fn context(self, context: impl fmt::Display) -> Error {
        let with = |text: String| format!("{context}: {text}");
        match self {
            Error::Full(text) => Error::Full(with(text)),
            Error::ReadOnly(text) => Error::ReadOnly(with(text)),
            Error::Unavailable(text) => Error::Unavailable(with(text)),
            Error::OutcomeUnknown(text) => Error::OutcomeUnknown(with(text)),
            Error::Busy(text) => Error::Busy(with(text)),
            Error::Temporary(text) => Error::Temporary(with(text)),
            Error::Conflict(text) => Error::Conflict(text),
            Error::Missing(text) => Error::Missing(with(text)),
            Error::Corrupt(text) => Error::Corrupt(with(text)),
            Error::Schema(text) => Error::Schema(with(text)),
            Error::Settings(text) => Error::Settings(with(text)),
            Error::Closed => Error::Closed,
            Error::Panicked(text) => Error::Panicked(with(text)),
            Error::Bug(text) => Error::Bug(with(text)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Full(text) => write!(f, "no room to store: {text}"),
            Error::ReadOnly(text) => write!(f, "the store cannot be written: {text}"),
            Error::Unavailable(text) => write!(f, "the store cannot be reached: {text}"),
            Error::OutcomeUnknown(text) => write!(f, "whether the change was stored is unknown: {text}"),
            Error::Busy(text) => write!(f, "the store is busy: {text}"),
            Error::Temporary(text) => write!(f, "the change could not be stored this time: {text}"),
            Error::Conflict(text) => write!(f, "it exists already: {text}"),
            Error::Missing(text) => write!(f, "it does not exist: {text}"),
            Error::Corrupt(text) => write!(f, "stored data is damaged: {text}"),
            Error::Schema(text) => write!(f, "the database does not fit this version: {text}"),
            Error::Settings(text) => write!(f, "the settings cannot be used: {text}"),
            Error::Closed => f.write_str("the store is closed"),
            Error::Panicked(text) => write!(f, "a job panicked: {text}"),
            Error::Bug(text) => write!(f, "a defect of the server: {text}"),
        }
    }
}

impl std::error::Error for Error {}
