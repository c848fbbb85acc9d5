//! Status responses and response codes (RFC 9051 §7.1, RFC 5530).

use crate::command::Tag;
use crate::encode::Writer;
use crate::flags::Flag;
use crate::set::NumberSet;

/// The condition of a status response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `OK`.
    Ok,
    /// `NO`.
    No,
    /// `BAD`.
    Bad,
    /// `BYE`, untagged only.
    Bye,
    /// `PREAUTH`, untagged only.
    PreAuth,
}

/// `resp-text-code`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseCode {
    /// `ALERT`.
    Alert,
    /// `ALREADYEXISTS`.
    AlreadyExists,
    /// `APPENDUID validity uids` (RFC 4315).
    AppendUid(u32, NumberSet),
    /// `AUTHENTICATIONFAILED`.
    AuthenticationFailed,
    /// `AUTHORIZATIONFAILED`.
    AuthorizationFailed,
    /// `BADCHARSET (..)`.
    BadCharset(Vec<String>),
    /// `CANNOT`.
    Cannot,
    /// `CAPABILITY ..`: the capabilities, joined by spaces.
    Capability(String),
    /// `CLIENTBUG`.
    ClientBug,
    /// `CLOSED` (RFC 7162).
    Closed,
    /// `CONTACTADMIN`.
    ContactAdmin,
    /// `COPYUID validity source target` (RFC 4315).
    CopyUid(u32, NumberSet, NumberSet),
    /// `CORRUPTION`.
    Corruption,
    /// `EXPIRED`.
    Expired,
    /// `EXPUNGEISSUED`.
    ExpungeIssued,
    /// `HASCHILDREN` (RFC 9051).
    HasChildren,
    /// `HIGHESTMODSEQ n`.
    HighestModSeq(u64),
    /// `INUSE`.
    InUse,
    /// `LIMIT`.
    Limit,
    /// `MAILBOXID (id)` (RFC 8474).
    MailboxId(String),
    /// `MODIFIED set` (RFC 7162): sequence numbers or, for UID STORE, UIDs.
    Modified(NumberSet),
    /// `NOMODSEQ`.
    NoModSeq,
    /// `NONEXISTENT`.
    NonExistent,
    /// `NOPERM`.
    NoPerm,
    /// `NOTSAVED` (RFC 5182).
    NotSaved,
    /// `OVERQUOTA`.
    OverQuota,
    /// `PARSE`.
    Parse,
    /// `PERMANENTFLAGS (..)`: the flags; `true` adds `\*`.
    PermanentFlags(Vec<Flag>, bool),
    /// `PRIVACYREQUIRED`.
    PrivacyRequired,
    /// `READ-ONLY`.
    ReadOnly,
    /// `READ-WRITE`.
    ReadWrite,
    /// `SERVERBUG`.
    ServerBug,
    /// `TOOBIG` (RFC 7889).
    TooBig,
    /// `TRYCREATE`.
    TryCreate,
    /// `UIDNEXT n`.
    UidNext(u32),
    /// `UIDNOTSTICKY`.
    UidNotSticky,
    /// `UIDVALIDITY n`.
    UidValidity(u32),
    /// `UNAVAILABLE`.
    Unavailable,
    /// `UNKNOWN-CTE` (RFC 3516).
    UnknownCte,
    /// `UNSEEN n` (RFC 3501).
    Unseen(u32),
    /// `USEATTR` (RFC 6154).
    UseAttr,
}

impl Writer<'_> {
    /// `tag OK [CODE] text`.
    pub fn tagged(&mut self, _tag: &Tag, _status: Status, _code: Option<&ResponseCode>, _text: &str) {
        unimplemented!()
    }
    /// `* OK [CODE] text`.
    pub fn untagged(&mut self, _status: Status, _code: Option<&ResponseCode>, _text: &str) {
        unimplemented!()
    }
    /// `+ text`: go on (literal, IDLE).
    pub fn continuation(&mut self, _text: &str) {
        unimplemented!()
    }
    /// `+ base64`: a SASL challenge.
    pub fn challenge(&mut self, _challenge: &[u8]) {
        unimplemented!()
    }
}
