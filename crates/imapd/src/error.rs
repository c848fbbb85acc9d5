//! What goes wrong in a command, and the one mapping to what the client is told.
//!
//! Standards: RFC 9051 §7.1 and RFC 5530 (response codes).

use std::borrow::Cow;
use std::fmt;

use postroad_imap::{ResponseCode, Status};
use postroad_mail::{Bound, What, metadata};
use postroad_store::{AccountId, Code};

/// Why a command was not carried out.
#[derive(Debug)]
pub enum Error {
    /// The client asked for what cannot be; this is the answer.
    Refused(Reply),
    /// The mailbox that is selected is gone: another session deleted it. The session ends, as clients
    /// expect no other way out (RFC 9051 §6.3.5 leaves it open).
    Deselected,
    /// The selected mailbox is somebody else's, who took the right to read it away. The session ends (RFC 4314 §5.1.1).
    Withdrawn,
    /// A message's stored summary is damaged.
    Summary,
    /// The answer broke off inside of a literal that was partly sent: nothing but the end of the
    /// connection can tell the client.
    Cut(Box<Error>),
    /// What happened in the selected mailbox since the client last heard is forgotten already (the retention is
    /// over), and its sequence numbers can no longer be told from the others. The session ends; a new one is
    /// in step.
    OutOfStep,
    /// The write names a mailbox of this account, whose lock it does not hold: it begins again with it
    /// (`target.rs`). No client ever hears of it.
    Unlocked(AccountId),
    /// What `mail` says.
    Mail(postroad_mail::Error),
}

/// What a command is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `OK`, `NO` or `BAD`.
    pub status: Status,
    /// The response code.
    pub code: Option<ResponseCode>,
    /// For humans.
    pub text: Cow<'static, str>,
}

impl Reply {
    /// A reply.
    pub fn new(status: Status, code: Option<ResponseCode>, text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { status, code, text: text.into() }
    }

    /// `OK text`.
    pub fn ok(text: &'static str) -> Reply {
        Reply::new(Status::Ok, None, text)
    }

    /// `OK [CODE] text`.
    pub fn ok_with(code: ResponseCode, text: &'static str) -> Reply {
        Reply::new(Status::Ok, Some(code), text)
    }

    /// `NO [CODE] text`.
    pub fn no(code: ResponseCode, text: impl Into<Cow<'static, str>>) -> Reply {
        Reply::new(Status::No, Some(code), text)
    }

    /// `BAD text`: the client's program is wrong.
    pub fn bad(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply::new(Status::Bad, None, text)
    }
}

impl Error {
    /// A command refused with `NO [CODE] text`.
    pub fn no(code: ResponseCode, text: impl Into<Cow<'static, str>>) -> Error {
        Error::Refused(Reply::no(code, text))
    }

    /// A command refused with `BAD text`.
    pub fn bad(text: impl Into<Cow<'static, str>>) -> Error {
        Error::Refused(Reply::bad(text))
    }

    /// A broken promise inside this program.
    pub fn bug(what: &str) -> Error {
        Error::Mail(postroad_mail::Error::Corrupt(what.to_owned()))
    }

    /// What the client is told.
    pub fn reply(&self) -> Reply {
        match self {
            Error::Refused(reply) => reply.clone(),
            Error::Deselected => Reply::no(ResponseCode::NonExistent, "the selected mailbox was deleted"),
            Error::Withdrawn => Reply::no(ResponseCode::NoPerm, "you may no longer read the selected mailbox"),
            Error::OutOfStep => Reply::no(ResponseCode::Unavailable, "too much happened unheard; connect again"),
            Error::Summary => Reply::no(ResponseCode::Corruption, "stored data is damaged; it was logged"),
            Error::Cut(error) => error.reply(),
            Error::Unlocked(_) => Reply::no(ResponseCode::InUse, "the mailbox is busy; try again"),
            Error::Mail(error) => of_mail(error),
        }
    }

    /// The same, after a part of the answer was sent that cannot be ended well.
    pub(crate) fn cut(self) -> Error {
        Error::Cut(Box::new(self))
    }

    /// Whether it is about one message whose stored bytes are damaged or lost, so that others can be told.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Error::Summary | Error::Mail(postroad_mail::Error::Corrupt(_)) => true,
            Error::Mail(postroad_mail::Error::Store(error)) => matches!(error.code(), Code::Corrupt | Code::Missing),
            Error::Mail(_)
            | Error::Refused(_)
            | Error::Deselected
            | Error::Withdrawn
            | Error::OutOfStep
            | Error::Cut(_)
            | Error::Unlocked(_) => false,
        }
    }

    /// What the administrator should read of it, if anything: the event and what to do.
    pub fn log(&self) -> Option<String> {
        match self {
            Error::Mail(postroad_mail::Error::Store(error)) => Some(format!("{error}; {}", error.next_step())),
            Error::Mail(error @ postroad_mail::Error::Corrupt(_)) => Some(error.to_string()),
            Error::Summary => Some(self.to_string()),
            Error::Cut(error) => error.log(),
            Error::Mail(_)
            | Error::Refused(_)
            | Error::Deselected
            | Error::Withdrawn
            | Error::OutOfStep
            | Error::Unlocked(_) => None,
        }
    }
}

fn of_mail(error: &postroad_mail::Error) -> Reply {
    use postroad_mail::Error as Mail;
    match error {
        Mail::NotFound(What::Mailbox) => Reply::no(ResponseCode::NonExistent, "there is no such mailbox"),
        Mail::NotFound(_) => Reply::no(ResponseCode::NonExistent, error.to_string()),
        Mail::Exists(What::Mailbox) => Reply::no(ResponseCode::AlreadyExists, "this mailbox exists already"),
        Mail::Exists(_) => Reply::no(ResponseCode::AlreadyExists, error.to_string()),
        Mail::OverQuota => Reply::no(ResponseCode::OverQuota, error.to_string()),
        Mail::Suspended => Reply::no(ResponseCode::ContactAdmin, error.to_string()),
        Mail::NameInvalid(_) | Mail::AddressInvalid(_) | Mail::Refused(_) => {
            Reply::no(ResponseCode::Cannot, error.to_string())
        }
        Mail::Message(_) => Reply::no(ResponseCode::Cannot, error.to_string()),
        Mail::Limit(Bound::Annotation) => {
            Reply::no(ResponseCode::MetadataMaxSize(metadata::MAX_VALUE as u64), error.to_string())
        }
        Mail::Limit(Bound::UrlKeys) => Reply::no(ResponseCode::Limit, error.to_string()),
        Mail::Limit(Bound::Annotations) => Reply::no(ResponseCode::MetadataTooMany, error.to_string()),
        Mail::Limit(_) => Reply::no(ResponseCode::Limit, error.to_string()),
        Mail::Corrupt(_) => Reply::no(ResponseCode::ServerBug, "a defect of this server; it was logged"),
        Mail::Store(error) => of_store(error),
    }
}

/// The store's own words are for the log: they may name files and hosts.
fn of_store(error: &postroad_store::Error) -> Reply {
    match error.code() {
        // RFC 5530: OVERQUOTA is about the user's quota, not about our disk.
        Code::Full => Reply::no(ResponseCode::Unavailable, "the server has no room left; try again later"),
        Code::Unavailable => Reply::no(ResponseCode::Unavailable, "the mail store is not available; try again later"),
        Code::Busy => Reply::no(ResponseCode::InUse, "the mail store is busy; try again"),
        Code::Conflict => Reply::no(ResponseCode::AlreadyExists, "it exists already"),
        Code::Missing => Reply::no(ResponseCode::NonExistent, "it does not exist"),
        Code::Corrupt => Reply::no(ResponseCode::Corruption, "stored data is damaged; it was logged"),
        Code::Bug => Reply::no(ResponseCode::ServerBug, "a defect of this server; it was logged"),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused(reply) => f.write_str(&reply.text),
            Error::Deselected => f.write_str("the selected mailbox was deleted"),
            Error::Withdrawn => f.write_str("the selected mailbox may no longer be read"),
            Error::OutOfStep => f.write_str("too much happened unheard"),
            Error::Summary => f.write_str("the stored summary of a message is damaged"),
            Error::Cut(error) => write!(f, "{error}; the answer had begun, so the connection was closed"),
            Error::Unlocked(account) => write!(f, "the lock of account {} is needed", account.0),
            Error::Mail(error) => write!(f, "{error}"),
        }
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
