//! What can go wrong with an account elsewhere, by whose fault it is.

/// Errors of this crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// What was asked for cannot be done; what to do instead.
    User(String),
    /// The connection failed or broke: trying again may help.
    Network(String),
    /// The other server wants us to wait.
    Busy(String),
    /// The other server refused something, in its words.
    Refused(String),
    /// The other server said what cannot be understood.
    Peer(String),
    /// Our own side, in its words: the store, the quota.
    Here(String),
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether a new connection may get further.
    pub fn is_passing(&self) -> bool {
        match self {
            Error::Network(_) | Error::Busy(_) => true,
            Error::User(_) | Error::Refused(_) | Error::Peer(_) | Error::Here(_) => false,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::User(text) | Error::Here(text) => f.write_str(text),
            Error::Network(text) => write!(f, "the connection to the other server failed: {text}"),
            Error::Busy(text) => write!(f, "the other server asks to wait: {text}"),
            Error::Refused(text) => write!(f, "the other server refused: {text}"),
            Error::Peer(text) => write!(f, "the other server cannot be understood: {text}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::Network(error.to_string())
    }
}

impl From<postroad_imap::client::Error> for Error {
    fn from(error: postroad_imap::client::Error) -> Error {
        match error {
            postroad_imap::client::Error::Server(what) => Error::Peer(what.into()),
            postroad_imap::client::Error::Unsendable => Error::User(error.to_string()),
        }
    }
}

impl From<postroad_mail::Error> for Error {
    fn from(error: postroad_mail::Error) -> Error {
        Error::Here(error.to_string())
    }
}

impl From<postroad_store::Error> for Error {
    fn from(error: postroad_store::Error) -> Error {
        Error::Here(format!("{error}: {}", error.next_step()))
    }
}

impl From<postroad_archive::Error> for Error {
    fn from(error: postroad_archive::Error) -> Error {
        Error::Here(error.to_string())
    }
}
