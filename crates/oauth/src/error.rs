//! What can go wrong on the way to a token, by what to do about it.

use std::fmt;

/// Errors of this crate. None repeats a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The provider has taken the grant back, or it has ended: somebody signs in again.
    SignIn(String),
    /// The provider does not know this server, or not for what it asks: its settings there are to be put right.
    Settings(String),
    /// It did not work this time.
    Passing(String),
    /// The provider said what cannot be understood.
    Peer(String),
    /// There is no grant of this name.
    Unknown(String),
    /// Our own side.
    Here(String),
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether it stays so until somebody does something.
    pub fn is_lasting(&self) -> bool {
        match self {
            Error::SignIn(_) | Error::Settings(_) | Error::Unknown(_) => true,
            Error::Passing(_) | Error::Peer(_) | Error::Here(_) => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::SignIn(why) => write!(f, "the provider wants somebody to sign in again: {why}"),
            Error::Settings(why) => {
                write!(f, "the provider does not accept this server as it is registered there: {why}")
            }
            Error::Passing(why) => write!(f, "no token could be got now: {why}"),
            Error::Peer(why) => write!(f, "the provider cannot be understood: {why}"),
            Error::Unknown(name) => write!(f, "nobody has signed in for {name} yet"),
            Error::Here(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}

impl From<postroad_store::Error> for Error {
    fn from(error: postroad_store::Error) -> Error {
        Error::Here(error.to_string())
    }
}

impl From<postroad_queue::Error> for Error {
    fn from(error: postroad_queue::Error) -> Error {
        Error::Here(error.to_string())
    }
}
