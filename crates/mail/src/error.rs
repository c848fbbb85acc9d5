//! What can go wrong with mail, by whose fault.

use std::fmt;

/// Shorthand.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation was refused or failed. Except for [`Error::Store`] and [`Error::Corrupt`] nothing
/// has been written when a function of this crate answers with an error, so that a caller may go on
/// in the same transaction (deliver to the next recipient, for example).
#[derive(Debug)]
pub enum Error {
    /// The user names something that is not there.
    NotFound(What),
    /// The user makes something that is already there.
    Exists(What),
    /// The account is full: the delivery is refused for this recipient, temporarily in the sense of
    /// RFC 5321 (452 4.2.2 / 552 5.2.2 as policy says), IMAP `[OVERQUOTA]`.
    OverQuota,
    /// The account is suspended; it neither receives nor changes.
    Suspended,
    /// A mailbox name that cannot be.
    NameInvalid(NameError),
    /// An address or domain that cannot be.
    AddressInvalid(AddressError),
    /// A named limit of ours is reached.
    Limit(Bound),
    /// The operation makes no sense on this object (deleting INBOX, renaming into itself); the text
    /// is for the user.
    Refused(&'static str),
    /// The message cannot be taken as it is (header block beyond the limit, …); the text is for the sender.
    Message(&'static str),
    /// The database or the blob place failed: temporary unless the store says otherwise.
    Store(postroad_store::Error),
    /// A row contradicts an invariant: our bug or a damaged database.
    Corrupt(String),
}

/// What an [`Error`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// An account.
    Account,
    /// A domain or domain alias.
    Domain,
    /// An address, alias or group.
    Address,
    /// A password or app password.
    Credential,
    /// A mailbox.
    Mailbox,
    /// A message or entry.
    Message,
}

/// Which limit of ours was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// `mailboxes::MAX_MAILBOXES` of an account.
    Mailboxes,
    /// `mailboxes::MAX_SUBSCRIPTIONS` of an account.
    Subscriptions,
    /// `keyword::MAX_KEYWORDS` of a mailbox.
    Keywords,
    /// All 2^32 - 1 uids of a mailbox are used up.
    Uids,
    /// `addresses::MAX_TARGETS` of an alias or group.
    Targets,
    /// `credentials::MAX_APP_PASSWORDS` of an account.
    AppPasswords,
    /// `forwards::MAX_TARGETS` of an account.
    Forwards,
    /// `acl::MAX_GRANTS` of a mailbox.
    Grants,
    /// `acl::MAX_WITH_DOMAINS` of an account.
    WithDomains,
    /// `metadata::MAX_VALUE` octets of a value.
    Annotation,
    /// `metadata::MAX_ENTRIES` of a mailbox.
    Annotations,
    /// `urlauth::MAX_KEYS` of an account.
    UrlKeys,
    /// `across::MAX_ACROSS` messages go to another account at a time.
    Across,
}

/// Why a mailbox name cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// Nothing, or an empty part (`a//b`, `/a`, `a/`).
    Empty,
    /// Longer than `MailboxName::MAX_BYTES`.
    TooLong,
    /// More levels than `MailboxName::MAX_DEPTH`.
    TooDeep,
    /// A character that Net-Unicode (RFC 5198) or RFC 9051 §5.1 rules out: controls, line separators,
    /// noncharacters, or a part that is `.` or `..`.
    Character,
}

/// Why an address or domain cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressError {
    /// No `@`, or nothing before or after it.
    Incomplete,
    /// Over 255 bytes before or behind the `@`.
    TooLong,
    /// The domain is no name by IDNA (RFC 5891, UTS #46).
    Domain,
    /// The local part has characters that cannot be in one.
    LocalPart,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound(what) => write!(f, "there is no such {what}"),
            Error::Exists(what) => write!(f, "this {what} exists already"),
            Error::OverQuota => f.write_str("the account's quota is used up"),
            Error::Suspended => f.write_str("the account is suspended"),
            Error::NameInvalid(why) => write!(f, "invalid mailbox name: {why}"),
            Error::AddressInvalid(why) => write!(f, "invalid address: {why}"),
            Error::Limit(bound) => write!(f, "limit reached: {bound}"),
            Error::Refused(why) | Error::Message(why) => f.write_str(why),
            Error::Store(error) => write!(f, "{error}"),
            Error::Corrupt(what) => write!(f, "the database contradicts itself: {what}; run `postroad check`"),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::Account => "account",
            What::Domain => "domain",
            What::Address => "address",
            What::Credential => "password",
            What::Mailbox => "mailbox",
            What::Message => "message",
        })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bound::Mailboxes => "too many mailboxes in this account",
            Bound::Subscriptions => "too many subscriptions in this account",
            Bound::Keywords => "too many keywords in this mailbox",
            Bound::Uids => "this mailbox has used up all its uids",
            Bound::Targets => "too many targets of this alias",
            Bound::AppPasswords => "too many app passwords in this account",
            Bound::Forwards => "an account forwards to 20 addresses at most; an alias of its own leads to more",
            Bound::Grants => "too many entries in the list of rights of this mailbox; a group is one entry",
            Bound::WithDomains => {
                "no more mailboxes can be shared with a whole domain; share with a group, or from a shared account"
            }
            Bound::Annotation => "the value of an annotation has 32 KiB at most",
            Bound::UrlKeys => "an account has keys for 10,000 mailboxes at most; RESETKEY takes them away",
            Bound::Annotations => "a mailbox has 500 annotations at most",
            Bound::Across => "too many messages for one step into another account; take fewer at a time",
        })
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameError::Empty => "it or one of its levels is empty",
            NameError::TooLong => "it is too long",
            NameError::TooDeep => "it has too many levels",
            NameError::Character => "it has a character that is not allowed",
        })
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressError::Incomplete => "an address is local-part@domain",
            AddressError::TooLong => "it is too long",
            AddressError::Domain => "the domain is not a valid name",
            AddressError::LocalPart => "the part before the @ has characters that are not allowed",
        })
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Store(error) => Some(error),
            Error::NotFound(_)
            | Error::Exists(_)
            | Error::OverQuota
            | Error::Suspended
            | Error::NameInvalid(_)
            | Error::AddressInvalid(_)
            | Error::Limit(_)
            | Error::Refused(_)
            | Error::Message(_)
            | Error::Corrupt(_) => None,
        }
    }
}

impl From<postroad_store::Error> for Error {
    fn from(error: postroad_store::Error) -> Self {
        Error::Store(error)
    }
}
