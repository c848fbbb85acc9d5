//! Status responses and response codes (RFC 9051 §7.1, RFC 5530).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

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
    /// `BADURL url` (RFC 4469): the URL as it came.
    BadUrl(String),
    /// `BADCOMPARATOR` (RFC 5255).
    BadComparator,
    /// `CANNOT`.
    Cannot,
    /// `CAPABILITY ..`: the capabilities, joined by spaces.
    Capability(String),
    /// `CLIENTBUG`.
    ClientBug,
    /// `CLOSED` (RFC 7162).
    Closed,
    /// `COMPRESSIONACTIVE` (RFC 4978).
    CompressionActive,
    /// `CONTACTADMIN`.
    ContactAdmin,
    /// `COPYUID validity source target` (RFC 4315).
    CopyUid(u32, NumberSet, NumberSet),
    /// `CORRUPTION`.
    Corruption,
    /// `DOWNGRADED uids` (RFC 6858 §3): messages whose headers were told in ASCII and are not.
    Downgraded(NumberSet),
    /// `EXPIRED`.
    Expired,
    /// `EXPUNGEISSUED`.
    ExpungeIssued,
    /// `HASCHILDREN` (RFC 9051).
    HasChildren,
    /// `HIGHESTMODSEQ n`.
    HighestModSeq(u64),
    /// `INPROGRESS ("tag" done goal)` (RFC 9585 §4); `None`: neither is known.
    InProgress(Tag, Option<(u64, u64)>),
    /// `INUSE`.
    InUse,
    /// `LIMIT`.
    Limit,
    /// `MAILBOXID (id)` (RFC 8474).
    MailboxId(String),
    /// `MESSAGELIMIT n [uid]` (RFC 9738): so many messages are taken by one command, and the lowest that was.
    MessageLimit(u32, Option<u32>),
    /// `METADATA LONGENTRIES n` (RFC 5464): the longest value that was left out.
    MetadataLongEntries(u64),
    /// `METADATA MAXSIZE n`: values are no longer than this.
    MetadataMaxSize(u64),
    /// `METADATA TOOMANY`: there is no room for more entries.
    MetadataTooMany,
    /// `MODIFIED set` (RFC 7162): sequence numbers or, for UID STORE, UIDs.
    Modified(NumberSet),
    /// `BADEVENT (names)` (RFC 5465 §5.1): an event that is not told of, and those that are.
    BadEvent(&'static [&'static str]),
    /// `NOTIFICATIONOVERFLOW` (RFC 5465 §5.8).
    NotificationOverflow,
    /// `NOMODSEQ`.
    NoModSeq,
    /// `NONEXISTENT`.
    NonExistent,
    /// `NOPERM`.
    NoPerm,
    /// `NOTSAVED` (RFC 5182).
    NotSaved,
    /// `NOUPDATE "tag"` (RFC 5267).
    NoUpdate(Tag),
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
    /// `TOOFEW` (RFC 10022).
    TooFew,
    /// `TRYCREATE`.
    TryCreate,
    /// `UIDNEXT n`.
    UidNext(u32),
    /// `UIDNOTSTICKY`.
    UidNotSticky,
    /// `UIDREQUIRED` (RFC 9586 §3).
    UidRequired,
    /// `UIDVALIDITY n`.
    UidValidity(u32),
    /// `UNAVAILABLE`.
    Unavailable,
    /// `UNDEFINED-FILTER name` (RFC 5466).
    UndefinedFilter(String),
    /// `UNKNOWN-CTE` (RFC 3516).
    UnknownCte,
    /// `UNSEEN n` (RFC 3501).
    Unseen(u32),
    /// `URLMECH INTERNAL` (RFC 4467).
    UrlMech,
    /// `USEATTR` (RFC 6154).
    UseAttr,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::No => "NO",
            Status::Bad => "BAD",
            Status::Bye => "BYE",
            Status::PreAuth => "PREAUTH",
        }
    }
}

impl Writer<'_> {
    /// `tag OK [CODE] text`.
    pub fn tagged(&mut self, tag: &Tag, status: Status, code: Option<&ResponseCode>, text: &str) {
        self.raw(tag.as_str().as_bytes());
        self.status_text(status, code, text);
    }

    /// `* OK [CODE] text`.
    pub fn untagged(&mut self, status: Status, code: Option<&ResponseCode>, text: &str) {
        self.raw(b"*");
        self.status_text(status, code, text);
    }

    /// `+ text`: go on (literal, IDLE).
    pub fn continuation(&mut self, text: &str) {
        self.raw(b"+ ");
        self.human(text);
        self.end_line();
    }

    /// `+ base64`: a SASL challenge.
    pub fn challenge(&mut self, challenge: &[u8]) {
        let encoded = STANDARD.encode(challenge);
        self.put(format_args!("+ {encoded}\r\n"));
    }

    fn status_text(&mut self, status: Status, code: Option<&ResponseCode>, text: &str) {
        self.put(format_args!(" {} ", status.as_str()));
        if let Some(code) = code {
            self.raw(b"[");
            self.code(code);
            self.raw(b"] ");
        }
        self.human(text);
        self.end_line();
    }

    /// `text`: for people. What a line cannot have becomes a space or `?`, and a bracket would be read as a code.
    fn human(&mut self, text: &str) {
        let text = if text.is_empty() { "done" } else { text };
        let text = self.say.map_or(Cow::Borrowed(text), |say| say(text));
        let utf8 = self.utf8 || self.say.is_some();
        for (index, character) in text.chars().enumerate() {
            match character {
                '[' if index == 0 => self.out.push(b'('),
                _ if character.is_control() => self.out.push(b' '),
                _ if !character.is_ascii() && !utf8 => self.out.push(b'?'),
                _ => self.raw(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    /// `url-resp-text` (RFC 4469 §5): no bracket and no control character, which no URL has unescaped.
    fn url_text(&mut self, url: &str) {
        for byte in url.bytes() {
            match byte {
                b'!'..=b'\\' | b'^'..=b'~' => self.out.push(byte),
                _ => self.put(format_args!("%{byte:02X}")),
            }
        }
    }

    /// `resp-text-code`.
    fn code(&mut self, code: &ResponseCode) {
        match code {
            ResponseCode::AppendUid(validity, uids) => self.put(format_args!("APPENDUID {validity} {uids}")),
            ResponseCode::BadCharset(known) if known.is_empty() => self.raw(b"BADCHARSET"),
            ResponseCode::BadCharset(known) => {
                self.raw(b"BADCHARSET ");
                self.in_parentheses(known, |writer, name| writer.astring(name.as_bytes()));
            }
            ResponseCode::BadUrl(url) => {
                self.raw(b"BADURL ");
                self.url_text(url);
            }
            ResponseCode::Capability(list) => self.put(format_args!("CAPABILITY {list}")),
            ResponseCode::CopyUid(validity, source, target) => {
                self.put(format_args!("COPYUID {validity} {source} {target}"));
            }
            ResponseCode::Downgraded(uids) => self.put(format_args!("DOWNGRADED {uids}")),
            ResponseCode::BadEvent(known) => self.put(format_args!("BADEVENT ({})", known.join(" "))),
            ResponseCode::InProgress(tag, state) => {
                self.raw(b"INPROGRESS (");
                self.string(tag.as_str().as_bytes());
                match state {
                    Some((done, goal)) => self.put(format_args!(" {done} {goal})")),
                    None => self.raw(b" NIL NIL)"),
                }
            }
            ResponseCode::HighestModSeq(value) => self.put(format_args!("HIGHESTMODSEQ {value}")),
            ResponseCode::MailboxId(id) => self.put(format_args!("MAILBOXID ({id})")),
            ResponseCode::NoUpdate(tag) => {
                self.raw(b"NOUPDATE ");
                self.string(tag.as_str().as_bytes());
            }
            ResponseCode::MessageLimit(most, None) => self.put(format_args!("MESSAGELIMIT {most}")),
            ResponseCode::MessageLimit(most, Some(lowest)) => self.put(format_args!("MESSAGELIMIT {most} {lowest}")),
            ResponseCode::MetadataLongEntries(size) => self.put(format_args!("METADATA LONGENTRIES {size}")),
            ResponseCode::MetadataMaxSize(size) => self.put(format_args!("METADATA MAXSIZE {size}")),
            ResponseCode::MetadataTooMany => self.raw(b"METADATA TOOMANY"),
            ResponseCode::Modified(set) => self.put(format_args!("MODIFIED {set}")),
            ResponseCode::PermanentFlags(flags, any) => {
                self.raw(b"PERMANENTFLAGS ");
                let any = any.then_some("\\*");
                self.in_parentheses(flags.iter().map(Flag::as_str).chain(any), |writer, flag| {
                    writer.raw(flag.as_bytes());
                });
            }
            // A filter's name is an atom, as the grammar of SEARCH demands.
            ResponseCode::UndefinedFilter(name) => {
                self.raw(b"UNDEFINED-FILTER ");
                self.astring(name.as_bytes());
            }
            ResponseCode::UidNext(uid) => self.put(format_args!("UIDNEXT {uid}")),
            ResponseCode::UidValidity(value) => self.put(format_args!("UIDVALIDITY {value}")),
            ResponseCode::Unseen(sequence) => self.put(format_args!("UNSEEN {sequence}")),
            ResponseCode::UrlMech => self.raw(b"URLMECH INTERNAL"),
            ResponseCode::Alert
            | ResponseCode::AlreadyExists
            | ResponseCode::AuthenticationFailed
            | ResponseCode::AuthorizationFailed
            | ResponseCode::Cannot
            | ResponseCode::ClientBug
            | ResponseCode::BadComparator
            | ResponseCode::Closed
            | ResponseCode::CompressionActive
            | ResponseCode::ContactAdmin
            | ResponseCode::Corruption
            | ResponseCode::Expired
            | ResponseCode::ExpungeIssued
            | ResponseCode::HasChildren
            | ResponseCode::InUse
            | ResponseCode::NotificationOverflow
            | ResponseCode::TooFew
            | ResponseCode::UidRequired
            | ResponseCode::Limit
            | ResponseCode::NoModSeq
            | ResponseCode::NonExistent
            | ResponseCode::NoPerm
            | ResponseCode::NotSaved
            | ResponseCode::OverQuota
            | ResponseCode::Parse
            | ResponseCode::PrivacyRequired
            | ResponseCode::ReadOnly
            | ResponseCode::ReadWrite
            | ResponseCode::ServerBug
            | ResponseCode::TooBig
            | ResponseCode::TryCreate
            | ResponseCode::UidNotSticky
            | ResponseCode::Unavailable
            | ResponseCode::UnknownCte
            | ResponseCode::UseAttr => self.raw(code.name().as_bytes()),
        }
    }
}

impl ResponseCode {
    /// The code's name, without its arguments.
    pub fn name(&self) -> &'static str {
        match self {
            ResponseCode::Alert => "ALERT",
            ResponseCode::AlreadyExists => "ALREADYEXISTS",
            ResponseCode::AppendUid(..) => "APPENDUID",
            ResponseCode::AuthenticationFailed => "AUTHENTICATIONFAILED",
            ResponseCode::AuthorizationFailed => "AUTHORIZATIONFAILED",
            ResponseCode::BadCharset(..) => "BADCHARSET",
            ResponseCode::BadUrl(_) => "BADURL",
            ResponseCode::BadComparator => "BADCOMPARATOR",
            ResponseCode::Cannot => "CANNOT",
            ResponseCode::Capability(..) => "CAPABILITY",
            ResponseCode::ClientBug => "CLIENTBUG",
            ResponseCode::Closed => "CLOSED",
            ResponseCode::CompressionActive => "COMPRESSIONACTIVE",
            ResponseCode::ContactAdmin => "CONTACTADMIN",
            ResponseCode::CopyUid(..) => "COPYUID",
            ResponseCode::Corruption => "CORRUPTION",
            ResponseCode::Downgraded(..) => "DOWNGRADED",
            ResponseCode::Expired => "EXPIRED",
            ResponseCode::ExpungeIssued => "EXPUNGEISSUED",
            ResponseCode::HasChildren => "HASCHILDREN",
            ResponseCode::HighestModSeq(..) => "HIGHESTMODSEQ",
            ResponseCode::InProgress(..) => "INPROGRESS",
            ResponseCode::InUse => "INUSE",
            ResponseCode::Limit => "LIMIT",
            ResponseCode::MailboxId(..) => "MAILBOXID",
            ResponseCode::MessageLimit(..) => "MESSAGELIMIT",
            ResponseCode::MetadataLongEntries(_) | ResponseCode::MetadataMaxSize(_) | ResponseCode::MetadataTooMany => {
                "METADATA"
            }
            ResponseCode::Modified(..) => "MODIFIED",
            ResponseCode::BadEvent(_) => "BADEVENT",
            ResponseCode::NotificationOverflow => "NOTIFICATIONOVERFLOW",
            ResponseCode::NoModSeq => "NOMODSEQ",
            ResponseCode::NonExistent => "NONEXISTENT",
            ResponseCode::NoPerm => "NOPERM",
            ResponseCode::NotSaved => "NOTSAVED",
            ResponseCode::NoUpdate(..) => "NOUPDATE",
            ResponseCode::OverQuota => "OVERQUOTA",
            ResponseCode::Parse => "PARSE",
            ResponseCode::PermanentFlags(..) => "PERMANENTFLAGS",
            ResponseCode::PrivacyRequired => "PRIVACYREQUIRED",
            ResponseCode::ReadOnly => "READ-ONLY",
            ResponseCode::ReadWrite => "READ-WRITE",
            ResponseCode::ServerBug => "SERVERBUG",
            ResponseCode::TooBig => "TOOBIG",
            ResponseCode::TooFew => "TOOFEW",
            ResponseCode::TryCreate => "TRYCREATE",
            ResponseCode::UidNext(..) => "UIDNEXT",
            ResponseCode::UidNotSticky => "UIDNOTSTICKY",
            ResponseCode::UidRequired => "UIDREQUIRED",
            ResponseCode::UidValidity(..) => "UIDVALIDITY",
            ResponseCode::Unavailable => "UNAVAILABLE",
            ResponseCode::UndefinedFilter(_) => "UNDEFINED-FILTER",
            ResponseCode::UnknownCte => "UNKNOWN-CTE",
            ResponseCode::Unseen(..) => "UNSEEN",
            ResponseCode::UrlMech => "URLMECH",
            ResponseCode::UseAttr => "USEATTR",
        }
    }
}
