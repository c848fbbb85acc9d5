//! What can go wrong with backups, by whose fault.

use std::fmt;
use std::path::Path;

/// Shorthand.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a backup, a restore or a look at one ended. What is damaged in part is a report, not an error.
#[derive(Debug)]
pub enum Error {
    /// The backup folder cannot be read or written; names the file.
    File(String),
    /// The folder, the backup or the account asked for is not there, or the place is not empty; says what to do.
    User(String),
    /// Somebody else works in the folder.
    Busy(String),
    /// A file is not what was written; names it.
    Damaged(String),
    /// The backup was made by a newer version.
    Newer(String),
    /// The store.
    Store(postroad_store::Error),
    /// The account does not take mail.
    Mail(postroad_mail::Error),
}

impl Error {
    pub(super) fn file(path: &Path, error: &std::io::Error) -> Error {
        Error::File(format!("{}: {error}", path.display()))
    }

    pub(super) fn damaged(path: &Path, what: impl fmt::Display) -> Error {
        Error::Damaged(format!("{}: {what}", path.display()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::File(text) | Error::User(text) | Error::Busy(text) => f.write_str(text),
            Error::Damaged(text) => write!(f, "damaged: {text}"),
            Error::Newer(text) => write!(f, "{text}; use the version of the program that made this backup, or later"),
            Error::Store(error) => write!(f, "{error}: {}", error.next_step()),
            Error::Mail(postroad_mail::Error::Store(error)) => write!(f, "{error}: {}", error.next_step()),
            Error::Mail(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<postroad_store::Error> for Error {
    fn from(error: postroad_store::Error) -> Error {
        Error::Store(error)
    }
}

impl From<postroad_mail::Error> for Error {
    fn from(error: postroad_mail::Error) -> Error {
        match error {
            postroad_mail::Error::Store(error) => Error::Store(error),
            other => Error::Mail(other),
        }
    }
}
