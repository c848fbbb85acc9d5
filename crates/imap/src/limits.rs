//! The bounds on what one command may cost, each with a name.

/// How much a client may send in one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a command outside its literals (RFC 7162 §4 asks for at least 8192).
    pub line: usize,
    /// Octets of one literal that is not a message.
    pub literal: usize,
    /// Octets of all literals of one command, the message of APPEND excepted.
    pub literals: usize,
    /// Octets of an APPENDed message (APPENDLIMIT, RFC 7889).
    pub append: u64,
    /// Octets of all messages of one APPEND (RFC 3502).
    pub appends: u64,
    /// Messages of one APPEND.
    pub messages: usize,
    /// Parts of one catenated message (RFC 4469).
    pub parts: usize,
    /// Octets of refused literals that are read and thrown away before the connection is given up (RFC 7888 §4).
    pub swallow: u64,
    /// Parentheses, NOT and OR within each other in SEARCH, and lists in FETCH.
    pub depth: usize,
    /// Ranges in one set of numbers.
    pub set: usize,
    /// Entries in any other list: flags, fields, fetch items, search keys in all.
    pub list: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            line: 64 * 1024,
            literal: 64 * 1024,
            literals: 256 * 1024,
            append: 100 * 1024 * 1024,
            appends: 1024 * 1024 * 1024,
            messages: 10_000,
            parts: 1_000,
            swallow: 256 * 1024 * 1024,
            depth: 100,
            set: 16 * 1024,
            list: 1024,
        }
    }
}

impl Limits {
    /// For clients that have not said who they are: enough for AUTHENTICATE with a fat ticket, and for ID with
    /// 30 fields of 1024 octets (RFC 2971 §3.3).
    pub fn before_login() -> Limits {
        Limits {
            line: 40 * 1024,
            literal: 4 * 1024,
            literals: 8 * 1024,
            append: 0,
            swallow: 64 * 1024,
            ..Limits::default()
        }
    }
}
