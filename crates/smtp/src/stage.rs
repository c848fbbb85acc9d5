//! What the session asks of its world, and what the world answers.

use postroad_sasl::{Answer, Ask};

use crate::{Claim, Etrn, MailFrom, RcptTo, Reply};

/// A stage of a session that the world decides. The world looks at the session's envelope, acts, and
/// calls [`crate::Session::verdict`] once; forgetting it is answered `451 4.3.0` (fail safe).
#[derive(Debug, PartialEq, Eq)]
pub enum Stage {
    /// A client is here; nothing was said yet. `Refuse` (`554 5.7.1`, `421 4.7.0`) is the whole
    /// conversation: the session closes after it.
    Connect,
    /// `EHLO`, `HELO` or `LHLO` was well formed: see [`crate::Session::helo`]. `Refuse` keeps the session
    /// without a greeting of the client.
    Helo,
    /// What a client shows of itself in a SASL exchange. Answer [`Verdict::Sasl`], or, where there is nothing to tell beside,
    /// [`Verdict::Authenticated`] or `Refuse` (`535 5.7.8`, `454 4.7.0`). One exchange may ask several times.
    Auth(Ask),
    /// A neighbour that may says for whom it speaks (XCLIENT). [`crate::Session::peer`] is already what it says. Answer
    /// [`Verdict::Authenticated`] when the claim names a login that exists, `Accept` when it names none, or `Refuse`
    /// (`550 5.7.0`); the session then stands where it stood after the greeting.
    Claim(Claim),
    /// What waits for a node is wanted now. Answer `AcceptWith` (`250`, `251`, `252`, `253`) or `Refuse` (`458`, `459`).
    Etrn(Etrn),
    /// A sender. After `Accept` it is [`crate::Session::sender`].
    Mail(MailFrom),
    /// A recipient. After `Accept` it is the last of [`crate::Session::recipients`].
    Rcpt(RcptTo),
    /// A piece of the message, dots unstuffed, never empty. `Accept` to get more; `Refuse` and the
    /// rest of the message is swallowed, then the client gets that reply.
    Body(Vec<u8>),
    /// What a URL leads to is part of the message (RFC 4468): the octets from `offset` on. `Octets`, or `Refuse` (`554
    /// 5.6.6`, `5.7.0`, `5.7.8`, `451 4.4.1`), which ends the transaction.
    Burl {
        /// The URL as the client wrote it.
        url: String,
        /// So many octets of it came before.
        offset: u64,
    },
    /// All of the message came. `AcceptWith` (`250 2.0.0 <trace id>`) or `Refuse`; in LMTP, and in
    /// SMTP if it likes, `PerRecipient`. The transaction is over after it.
    Message,
    /// The transaction ended without [`Stage::Message`]: let go of what belongs to it. Any verdict does,
    /// none too. When the connection breaks, the session is dropped instead.
    Abandon(Abandoned),
    /// The client did what no mail program does, and was told that the session ends. Any verdict does, none too.
    Abuse(Abuse),
}

/// What no mail program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abuse {
    /// It spoke before the greeting (RFC 5321 §3.1).
    EarlyTalk,
    /// One error after the other.
    Errors,
    /// It speaks HTTP, TLS or another protocol.
    Foreign,
}

/// Why a transaction ended before its message was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Abandoned {
    /// `RSET`, or a new `EHLO`.
    Reset,
    /// `QUIT`, or the session closed the connection.
    Quit,
    /// The body was refused with this reply: line ends, size, or by the world.
    Body(Reply),
}

/// The world's answer to a [`Stage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, with the session's own words.
    Accept,
    /// Yes, with these words. The code must be of the 2xx class.
    AcceptWith(Reply),
    /// No, with these words. The code must be of the 4xx or 5xx class; `421` closes the connection.
    Refuse(Reply),
    /// No, and the connection closes after these words.
    Close(Reply),
    /// To [`Stage::Auth`]: the client is who it says.
    Authenticated(Identity),
    /// To [`Stage::Auth`]: what became of the question.
    Sasl(Box<Answer<Identity, Rejection>>),
    /// To [`Stage::Burl`]: the next octets. None before the end is a failure.
    Octets {
        /// Some of them, as many as are good to hold.
        octets: Vec<u8>,
        /// How many the URL leads to in all: the same each time.
        size: u64,
    },
    /// To [`Stage::Message`]: one reply per recipient, in the order of [`crate::Session::recipients`]. LMTP
    /// sends them all (RFC 2033 §4.2); SMTP sends the first positive one, else the first.
    PerRecipient(Vec<Reply>),
}

/// Why somebody does not come in, and whether the connection ends with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The words; the code must be of the 4xx or 5xx class.
    pub reply: Reply,
    /// The connection closes after them.
    pub close: bool,
}

/// Who authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The world's number for the account; the session only carries it.
    pub account: i64,
    /// The login as the world names it, for Received lines and logs.
    pub login: String,
    /// The SASL mechanism's name.
    pub mechanism: &'static str,
}
