//! What became of a transaction, and of a connection.

use std::fmt;

use crate::Reply;

/// Where a session stands, and which command a reply belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before the remote's greeting.
    Greeting,
    /// EHLO, HELO or LHLO.
    Hello,
    /// STARTTLS and the handshake.
    StartTls,
    /// AUTH.
    Login,
    /// Between transactions.
    Idle,
    /// RSET.
    Reset,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, before any of the message was sent.
    Data,
    /// The message is being sent: its end has not been.
    Body,
    /// All of the message was sent.
    Message,
    /// QUIT.
    Quit,
}

/// A reply of the remote, with what it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What it answers.
    pub phase: Phase,
    /// The reply: its text is printable and bounded.
    pub reply: Reply,
}

/// What became of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The remote has taken the message for this recipient.
    Accepted(Said),
    /// The remote refuses for good (5xx).
    Refused(Said),
    /// The remote refuses for now (4xx, and 552 to RCPT: RFC 5321 §4.5.3.1.10). Try again later.
    Deferred(Said),
    /// Too many recipients in one transaction, of which some were accepted: send the message again for this
    /// one at once, in a further transaction (RFC 5321 §4.5.3.1.10).
    Surplus(Said),
    /// The connection failed before the end of the message was sent: the remote has not taken it.
    Unsent(Failure),
    /// The connection failed after the end of the message was sent and before the remote answered: it may have
    /// taken it. Trying again may make a second copy, not trying may lose it (RFC 5321 §4.5.3.2.6, RFC 1047).
    Unknown(Failure),
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One per recipient of the transaction, in its order.
    pub recipients: Vec<Fate>,
    /// The reply to the whole message, in SMTP, where one came.
    pub message: Option<Said>,
    /// Whether a further transaction can be sent on this connection.
    pub reusable: bool,
}

/// Why a connection is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where the session stood.
    pub phase: Phase,
    /// What happened.
    pub trouble: Trouble,
}

/// What can happen to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The remote refused: its greeting, EHLO, RSET, STARTTLS where TLS is required, or 421 at any moment.
    Refused(Reply),
    /// The remote closed the connection, or it broke.
    Closed,
    /// The remote was silent for too long.
    TimedOut,
    /// The remote said what is no reply, or spoke out of turn: a printable extract.
    Garbled(String),
    /// Octets came in clear behind the reply to STARTTLS: an attack (CVE-2021-38371) or a broken server.
    Injected,
    /// TLS is required and the remote does not offer it.
    NoTls,
    /// There is a login, and the remote offers no mechanism that can show it.
    NoAuth,
    /// There is a login, and the connection is not encrypted.
    ClearLogin,
    /// The remote refused the login.
    LoginRefused(Reply),
    /// The name or password cannot be sent: it is empty or has NUL in it.
    LoginUnfit,
    /// The server let us in without having shown that it knows the password, where the mechanism has it do so: it is another
    /// one.
    LoginUnproven,
    /// The caller gave up.
    Abandoned,
}

impl Trouble {
    /// Without the remote's words where they tell what is to be hidden.
    pub(super) fn hiding(self, hidden: impl Fn(&str) -> bool) -> Trouble {
        let hide = |reply: Reply| match hidden(&reply.lines().concat()) {
            true => Reply::heard(reply.code(), reply.enhanced(), vec![HIDDEN.to_owned()]),
            false => reply,
        };
        match self {
            Trouble::Refused(reply) => Trouble::Refused(hide(reply)),
            Trouble::LoginRefused(reply) => Trouble::LoginRefused(hide(reply)),
            Trouble::Garbled(text) if hidden(&text) => Trouble::Garbled(HIDDEN.to_owned()),
            Trouble::Garbled(_)
            | Trouble::Closed
            | Trouble::TimedOut
            | Trouble::Injected
            | Trouble::NoTls
            | Trouble::NoAuth
            | Trouble::ClearLogin
            | Trouble::LoginUnfit
            | Trouble::LoginUnproven
            | Trouble::Abandoned => self,
        }
    }
}

/// In the place of words that repeat a password.
const HIDDEN: &str = "(its words repeat the login and are not shown)";

impl Fate {
    /// What a reply that ended a recipient's part means.
    pub(super) fn of(said: Said) -> Fate {
        match said.reply.code() / 100 {
            2 => Fate::Accepted(said),
            5 => Fate::Refused(said),
            _ => Fate::Deferred(said),
        }
    }

    /// The remote's words, if it said some.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Fate::Accepted(said) | Fate::Refused(said) | Fate::Deferred(said) | Fate::Surplus(said) => {
                Some(&said.reply)
            }
            Fate::Unsent(failure) | Fate::Unknown(failure) => failure.reply(),
        }
    }
}

impl Failure {
    /// The remote's words, if it said some.
    pub fn reply(&self) -> Option<&Reply> {
        match &self.trouble {
            Trouble::Refused(reply) | Trouble::LoginRefused(reply) => Some(reply),
            Trouble::Closed
            | Trouble::TimedOut
            | Trouble::Garbled(_)
            | Trouble::Injected
            | Trouble::NoTls
            | Trouble::NoAuth
            | Trouble::ClearLogin
            | Trouble::LoginUnfit
            | Trouble::LoginUnproven
            | Trouble::Abandoned => None,
        }
    }
}

impl Phase {
    /// The words for "in reply to …".
    pub fn name(self) -> &'static str {
        match self {
            Phase::Greeting => "the connection",
            Phase::Hello => "EHLO",
            Phase::StartTls => "STARTTLS",
            Phase::Login => "AUTH",
            Phase::Idle => "nothing",
            Phase::Reset => "RSET",
            Phase::Mail => "MAIL",
            Phase::Rcpt => "RCPT",
            Phase::Data => "DATA",
            Phase::Body => "a part of the message",
            Phase::Message => "the message",
            Phase::Quit => "QUIT",
        }
    }
}

/// `550 5.1.1 No such user here (in reply to RCPT)`.
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (in reply to {})", self.reply, self.phase.name())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.trouble {
            Trouble::Refused(reply) if self.phase == Phase::Idle => write!(f, "{reply} (unasked)"),
            Trouble::Refused(reply) => write!(f, "{reply} (in reply to {})", self.phase.name()),
            Trouble::Closed => write!(f, "the remote closed the connection {}", self.place()),
            Trouble::TimedOut => write!(f, "the remote was silent for too long {}", self.place()),
            Trouble::Garbled(text) => write!(f, "the remote said what is no reply {}: {text}", self.place()),
            Trouble::Injected => f.write_str("the remote sent octets in clear behind its reply to STARTTLS"),
            Trouble::NoTls => f.write_str("TLS is required and the remote does not offer it"),
            Trouble::NoAuth => f.write_str("the remote offers no way to sign in with what there is to show"),
            Trouble::ClearLogin => f.write_str("the login is not sent over a connection without TLS"),
            Trouble::LoginRefused(reply) => write!(f, "the remote refused the login: {reply}"),
            Trouble::LoginUnproven => {
                f.write_str("the server took the login but did not show that it knows the password")
            }
            Trouble::LoginUnfit => f.write_str("the login has an empty name or password, or NUL in it"),
            Trouble::Abandoned => write!(f, "sending was given up {}", self.place()),
        }
    }
}

impl std::error::Error for Failure {}

impl Failure {
    fn place(&self) -> &'static str {
        match self.phase {
            Phase::Greeting => "before its greeting",
            Phase::Hello => "after EHLO",
            Phase::StartTls => "after STARTTLS",
            Phase::Login => "after AUTH",
            Phase::Idle => "between messages",
            Phase::Reset => "after RSET",
            Phase::Mail => "after MAIL",
            Phase::Rcpt => "after RCPT",
            Phase::Data => "after DATA",
            Phase::Body => "in the middle of the message",
            Phase::Message => "after the whole message, before its answer",
            Phase::Quit => "after QUIT",
        }
    }
}
