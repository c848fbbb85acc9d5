//! What a server says, in types.

use crate::{DateTime, NumberSet};

/// How a command ended, or what kind of word it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was done.
    Ok,
    /// It was not.
    No,
    /// It was not understood.
    Bad,
    /// The connection ends (untagged only).
    Bye,
    /// Who we are is known already (greeting only).
    Preauth,
}

/// A code in brackets (RFC 5530 and others); those that change what is done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// The uidvalidity.
    UidValidity(u32),
    /// The next uid.
    UidNext(u32),
    /// The highest modseq (RFC 7162).
    HighestModSeq(u64),
    /// Where a message was put: uidvalidity and uids (RFC 4315).
    AppendUid(u32, NumberSet),
    /// Where messages were copied: uidvalidity, from, to.
    CopyUid(u32, NumberSet, NumberSet),
    /// Flags that can be changed for good; `\*` for new keywords.
    PermanentFlags(Vec<String>),
    /// What the server can do.
    Capability(Vec<String>),
    /// Any other: its first word in capitals.
    Other(String),
}

/// A status with its code and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The status.
    pub status: Status,
    /// The code.
    pub code: Option<Code>,
    /// The words, at most a few hundred.
    pub text: String,
}

impl Word {
    /// Whether the code is this word.
    pub fn has_code(&self, word: &str) -> bool {
        matches!(&self.code, Some(Code::Other(code)) if code == word)
    }
}

/// A mailbox of LIST, LSUB or XLIST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Attributes as they came: `\Noselect`, `\Sent`.
    pub attributes: Vec<String>,
    /// The separator of its levels.
    pub separator: Option<char>,
    /// Its name as it came; what commands are sent with.
    pub wire: Vec<u8>,
}

impl Listed {
    /// Whether it has an attribute, in any case.
    pub fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|own| own.eq_ignore_ascii_case(attribute))
    }
}

/// What a FETCH response says of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Its number.
    pub number: u32,
    /// Its uid.
    pub uid: Option<u32>,
    /// Its flags and keywords.
    pub flags: Option<Vec<String>>,
    /// INTERNALDATE.
    pub date: Option<DateTime>,
    /// RFC822.SIZE, which is not always true.
    pub size: Option<u64>,
    /// MODSEQ.
    pub modseq: Option<u64>,
    /// What tells equal messages of several mailboxes: EMAILID (RFC 8474) or X-GM-MSGID.
    pub identity: Option<String>,
    /// X-GM-LABELS, as mailboxes' names come.
    pub labels: Option<Vec<Vec<u8>>>,
    /// BODY[] that came as a string and not as a literal. An empty one also stands for a message that was handed on.
    pub body: Option<Vec<u8>>,
    /// BODY[] is NIL: the server cannot give it.
    pub no_body: bool,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// `+ ...`
    Continue(Vec<u8>),
    /// The end of a command: its tag as it came.
    Tagged(Vec<u8>, Word),
    /// Words without a tag.
    Word(Word),
    /// What the server can do.
    Capability(Vec<String>),
    /// LIST or XLIST.
    List(Listed),
    /// LSUB.
    Subscribed(Listed),
    /// Messages in the mailbox.
    Exists(u32),
    /// A message has gone, by number.
    Expunge(u32),
    /// Messages have gone, by uid (RFC 7162 §3.2.10); earlier, when it tells of before.
    Vanished(bool, NumberSet),
    /// Facts of a message. Boxed: it is much larger than others.
    Fetch(Box<Fetched>),
    /// Uids or numbers that were found, by SEARCH or ESEARCH's ALL.
    Search(NumberSet),
    /// STATUS: the name as it came, and items with their numbers.
    Status(Vec<u8>, Vec<(String, u64)>),
    /// The first personal namespace: prefix and separator.
    Namespace(Option<(Vec<u8>, Option<char>)>),
    /// ID: fields and values.
    Id(Vec<(String, String)>),
    /// What is enabled now.
    Enabled(Vec<String>),
    /// Anything else.
    Other,
}
