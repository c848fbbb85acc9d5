//! What can go wrong with mail in files, by whose fault.

use std::fmt;
use std::path::{Path, PathBuf};

/// Shorthand.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an import, an export or a reading of files ended. What concerns one message only is a report, never an error.
#[derive(Debug)]
pub enum Error {
    /// A file or folder of the user's cannot be read or written.
    File(PathBuf, std::io::Error),
    /// The user's path or options make no sense; the text says what to do.
    User(String),
    /// The other side is gone or says what cannot be understood.
    Peer(String),
    /// The other side gave up; its own words.
    Told(String),
    /// The account does not take or give mail.
    Mail(postroad_mail::Error),
}

impl Error {
    /// A failure of a file, with its name.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
        move |error| Error::File(path.to_owned(), error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::File(path, error) => write!(f, "{}: {error}", path.display()),
            Error::User(text) | Error::Told(text) => f.write_str(text),
            Error::Peer(text) => write!(f, "the connection broke: {text}; run the same command again to go on"),
            Error::Mail(postroad_mail::Error::Store(error)) => write!(f, "{error}: {}", error.next_step()),
            Error::Mail(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::File(_, error) => Some(error),
            Error::Mail(error) => Some(error),
            Error::User(_) | Error::Peer(_) | Error::Told(_) => None,
        }
    }
}

impl From<postroad_mail::Error> for Error {
    fn from(error: postroad_mail::Error) -> Error {
        Error::Mail(error)
    }
}

impl From<postroad_store::Error> for Error {
    fn from(error: postroad_store::Error) -> Error {
        Error::Mail(error.into())
    }
}
