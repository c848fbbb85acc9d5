//! What goes wrong in a job, and the one mapping to what the client is told.
//!
//! Standards: RFC 2449 §8 and RFC 3206 (response codes): `[SYS/TEMP]` for what may be better later,
//! `[SYS/PERM]` for what somebody has to repair.

use std::fmt;

use postroad_store::Code;

/// Why a job was not carried out.
#[derive(Debug)]
pub enum Error {
    /// What `mail` says.
    Mail(postroad_mail::Error),
}

impl Error {
    /// A broken promise inside this program.
    pub(crate) fn bug(what: &str) -> Error {
        Error::Mail(postroad_mail::Error::Corrupt(what.to_owned()))
    }

    /// What the client is told behind `-ERR `. The store's own words are for the log: they may name files
    /// and hosts.
    pub fn reply(&self) -> &'static str {
        use postroad_mail::Error as Mail;
        let Error::Mail(error) = self;
        match error {
            Mail::Store(error) => match error.code() {
                Code::Full | Code::Unavailable | Code::Busy | Code::Conflict => {
                    "[SYS/TEMP] the mail store is not available; try again later"
                }
                Code::Missing => "the message is gone for good",
                Code::Corrupt | Code::Bug => "[SYS/PERM] stored mail cannot be read; it was logged",
            },
            Mail::Suspended => "[SYS/PERM] the account is suspended; ask the administrator",
            Mail::NotFound(_) => "[SYS/PERM] the account has no INBOX; ask the administrator",
            Mail::Exists(_)
            | Mail::OverQuota
            | Mail::NameInvalid(_)
            | Mail::AddressInvalid(_)
            | Mail::Limit(_)
            | Mail::Refused(_)
            | Mail::Message(_)
            | Mail::Corrupt(_) => "[SYS/PERM] a defect of this server; it was logged",
        }
    }

    /// What the administrator should read of it, if anything: the event and what to do.
    pub fn log(&self) -> Option<String> {
        let Error::Mail(error) = self;
        match error {
            postroad_mail::Error::Store(error) => Some(format!("{error}; {}", error.next_step())),
            other => Some(other.to_string()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error::Mail(error) = self;
        write!(f, "{error}")
    }
}

impl std::error::Error for Error {}

impl From<postroad_mail::Error> for Error {
    fn from(error: postroad_mail::Error) -> Error {
        Error::Mail(error)
    }
}

impl From<postroad_store::Error> for Error {
    fn from(error: postroad_store::Error) -> Error {
        Error::Mail(postroad_mail::Error::Store(error))
    }
}
