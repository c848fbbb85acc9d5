//! The arguments of MAIL and RCPT with their ESMTP parameters.

use std::fmt;

use crate::{Address, Reply, Role};

/// `MAIL FROM:` with what it says (RFC 5321 §4.1.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFrom {
    /// The return path; `None` is the null path `<>` of notices.
    pub path: Option<Address>,
    /// `SIZE=`: the octets the client expects to send (RFC 1870).
    pub size: Option<u64>,
    /// `BODY=` (RFC 6152, RFC 3030).
    pub body: Option<BodyType>,
    /// `SMTPUTF8` (RFC 6531).
    pub smtputf8: bool,
    /// `RET=`: what a failure notice quotes (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// `ENVID=`, decoded (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// `AUTH=`, decoded: `<>` or an address (RFC 4954 §5). Kept for the trace; nobody relies on it.
    pub auth: Option<String>,
}

/// `RCPT TO:` with what it says (RFC 5321 §4.1.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RcptTo {
    /// The recipient.
    pub path: ForwardPath,
    /// `NOTIFY=` (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// `ORCPT=` (RFC 3461 §4.2).
    pub orcpt: Option<Orcpt>,
}

/// A recipient.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// An address with a domain.
    Address(Address),
    /// `<Postmaster>`, in any case, without a domain (RFC 5321 §4.5.1): this host's postmaster.
    Postmaster,
}

/// `BODY=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyType {
    /// Lines of ASCII.
    SevenBit,
    /// Lines with any octets but NUL, CR, LF inside.
    EightBitMime,
    /// Any octets; BDAT only (RFC 3030 §3).
    BinaryMime,
}

/// `RET=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header only.
    Headers,
}

/// `NOTIFY=`; all false is `NEVER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notify {
    /// Tell of success.
    pub success: bool,
    /// Tell of failure.
    pub failure: bool,
    /// Tell of delay.
    pub delay: bool,
}

/// `ORCPT=`, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orcpt {
    /// `rfc822`, `utf-8`, … as written.
    pub kind: String,
    /// The original recipient.
    pub address: String,
}

/// Parses what stands behind `MAIL`: ` FROM:<path> parameters`. The error is the reply.
pub fn parse_mail(_arguments: &str, _role: Role) -> Result<MailFrom, Reply> {
    unimplemented!()
}

/// Parses what stands behind `RCPT`: ` TO:<path> parameters`. The error is the reply. `smtputf8` says
/// whether the transaction allows internationalised text.
pub fn parse_rcpt(_arguments: &str, _role: Role, _smtputf8: bool) -> Result<RcptTo, Reply> {
    unimplemented!()
}

impl ForwardPath {
    /// The address; `None` for the bare postmaster.
    pub fn address(&self) -> Option<&Address> {
        match self {
            ForwardPath::Address(address) => Some(address),
            ForwardPath::Postmaster => None,
        }
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ForwardPath::Address(address) => address.fmt(f),
            ForwardPath::Postmaster => f.write_str("Postmaster"),
        }
    }
}

impl Notify {
    /// `NOTIFY=NEVER`.
    pub fn is_never(self) -> bool {
        self == Notify::default()
    }
}
