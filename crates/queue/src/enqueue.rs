//! A message enters the queue.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use postroad_store::{AccountId, BlobId, Param, Timestamp, TraceId, WriteTx, new_id};

use crate::{Error, MAX_RECIPIENTS, Result, depth};

/// How long the queue tries before it gives a message up (RFC 5321 §4.5.4.1: at least 4 to 5 days).
pub const LIFETIME: Duration = Duration::from_secs(5 * 24 * 60 * 60);

/// How long a message waits before its sender is told of the delay (RFC 5321 §4.5.4.1 leaves it open; four hours are usual).
pub const DELAY: Duration = Duration::from_secs(4 * 60 * 60);

/// A message in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub i64);

/// The text was not `Q` and a hexadecimal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAQueueId;

impl fmt::Display for NotAQueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the id of a queued message: Q and letters a to f and digits are expected")
    }
}

impl std::error::Error for NotAQueueId {}

impl FromStr for QueueId {
    type Err = NotAQueueId;

    fn from_str(text: &str) -> std::result::Result<QueueId, NotAQueueId> {
        let digits = text.strip_prefix(['Q', 'q']).ok_or(NotAQueueId)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotAQueueId);
        }
        i64::from_str_radix(digits, 16).map(QueueId).map_err(|_| NotAQueueId)
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Q{:x}", self.0)
    }
}

/// What is known of the sender of a message that nobody logged in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Standing {
    /// Nothing: anybody may have written the name.
    #[default]
    Unknown,
    /// The sender's own domain vouches for who brought it (SPF): what is told of it reaches its sender.
    Vouched,
    /// The sender's or the author's domain says that it is not from there: nobody is told of it.
    Forged,
}

impl Standing {
    pub(crate) fn stored(self) -> i64 {
        match self {
            Standing::Unknown => 0,
            Standing::Vouched => 1,
            Standing::Forged => 2,
        }
    }

    /// What a newer version wrote is as if nothing were known.
    pub(crate) fn from_stored(number: i64) -> Standing {
        match number {
            1 => Standing::Vouched,
            2 => Standing::Forged,
            _ => Standing::Unknown,
        }
    }
}

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The message; the queue takes a reference of its own.
    pub blob: BlobId,
    /// Its bytes.
    pub size: u64,
    /// MAIL FROM; empty for the null reverse-path.
    pub sender: String,
    /// Who handed it in, when somebody logged in.
    pub account: Option<AccountId>,
    /// What is known of the sender, where nobody logged in.
    pub standing: Standing,
    /// ENVID, decoded (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// RET (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// BODY.
    pub body: Body,
    /// Whether it needs SMTPUTF8: an address or the header beyond ASCII.
    pub smtputf8: bool,
    /// REQUIRETLS (RFC 8689).
    pub requiretls: bool,
    /// The story it belongs to.
    pub trace: Option<TraceId>,
    /// Not to be sent before (FUTURERELEASE, RFC 4865); `None`: now.
    pub hold_until: Option<Timestamp>,
    /// How that was asked for, for notices: `for;3600`.
    pub hold_asked: Option<String>,
    /// By when it is to be delivered (DELIVERBY, RFC 2852).
    pub deliver_by: Option<DeliverBy>,
    /// -9 to 9: what is higher goes before what came in shortly before it (MT-PRIORITY, RFC 6710).
    pub priority: i8,
    /// The classes of solicitation that it belongs to (NO-SOLICITING, RFC 3865).
    pub solicitation: Option<String>,
    /// To whom; at least one.
    pub recipients: Vec<Recipient>,
    /// For how long it is tried, and when its sender hears that it takes long.
    pub terms: Terms,
}

/// One to whom it is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The address, as it goes into RCPT TO.
    pub address: String,
    /// The domain in its canonical form (A-labels, lower case): what is looked up and grouped by.
    pub domain: String,
    /// NOTIFY (RFC 3461 §4.1).
    pub notify: Notify,
    /// ORCPT, `rfc822;x@y` decoded (RFC 3461 §4.2).
    pub orcpt: Option<String>,
    /// The address of ours that forwarded to it: Delivered-To of the copy that leaves.
    pub via: Option<String>,
    /// RRVS (RFC 7293): `2026-11-22T12:00:00Z;R`.
    pub valid_since: Option<String>,
}

/// By when a message is to be delivered (RFC 2852).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverBy {
    /// The moment.
    pub at: Timestamp,
    /// After it, the message goes back; else its sender is told, and it is tried on.
    pub returns: bool,
    /// The sender is told of each relay that does the same.
    pub trace: bool,
}

impl DeliverBy {
    pub(crate) fn from_stored(at: Timestamp, mode: &str) -> DeliverBy {
        DeliverBy { at, returns: mode.starts_with('R'), trace: mode.ends_with('T') }
    }

    fn mode(self) -> &'static str {
        match (self.returns, self.trace) {
            (true, true) => "RT",
            (true, false) => "R",
            (false, true) => "NT",
            (false, false) => "N",
        }
    }
}

/// What a failure notice returns (RFC 3461 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header.
    Headers,
}

/// BODY: what the bytes need (RFC 6152, RFC 3030).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Body {
    /// Lines of ASCII.
    #[default]
    SevenBit,
    /// Lines of any bytes.
    EightBitMime,
    /// Any bytes.
    BinaryMime,
}

/// When the sender wants to hear (RFC 3461 §4.1). The default, nothing said, is failure and delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notify {
    /// When it was delivered.
    pub success: bool,
    /// When it could not be.
    pub failure: bool,
    /// When it takes long.
    pub delay: bool,
}

impl Notify {
    /// NEVER.
    pub const NEVER: Notify = Notify { success: false, failure: false, delay: false };

    fn bits(self) -> i64 {
        i64::from(self.success) | i64::from(self.failure) << 1 | i64::from(self.delay) << 2
    }

    pub(crate) fn from_bits(bits: i64) -> Notify {
        Notify { success: bits & 1 != 0, failure: bits & 2 != 0, delay: bits & 4 != 0 }
    }
}

/// How long a message is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// It is given up after so long since it was to be sent first: [`LIFETIME`] when nothing else was said.
    pub lifetime: Duration,
    /// Its sender hears of the delay after so long: [`DELAY`] when nothing else was said. With the lifetime or more they
    /// hear only of the end.
    pub delay_notice: Duration,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms { lifetime: LIFETIME, delay_notice: DELAY }
    }
}

impl Default for Notify {
    fn default() -> Notify {
        Notify { success: false, failure: true, delay: true }
    }
}

impl Ret {
    pub(crate) fn from_name(name: &str) -> Option<Ret> {
        [Ret::Full, Ret::Headers].into_iter().find(|ret| ret.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Ret::Full => "full",
            Ret::Headers => "headers",
        }
    }
}

impl Body {
    pub(crate) fn from_name(name: &str) -> Option<Body> {
        [Body::SevenBit, Body::EightBitMime, Body::BinaryMime].into_iter().find(|body| body.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Body::SevenBit => "7bit",
            Body::EightBitMime => "8bitmime",
            Body::BinaryMime => "binarymime",
        }
    }
}

/// Puts a message into the queue, in the caller's transaction, and wakes whoever sends. Four statements (on SQLite one
/// for each recipient); touches no row that others write. Needs no lock. Errors: `Recipients`, `Store`.
pub fn enqueue(tx: &mut WriteTx, outgoing: &Outgoing, now: Timestamp) -> Result<QueueId> {
    if outgoing.recipients.is_empty() || outgoing.recipients.len() > MAX_RECIPIENTS {
        return Err(Error::Recipients);
    }
    let id = new_id();
    let count = outgoing.recipients.len() as i64;
    tx.blob_retain(outgoing.blob, 1)?;
    let due = outgoing.hold_until.map_or(now, |until| until.max(now));
    let (expires, look_at) = times(outgoing, due);
    tx.execute(
        "INSERT INTO queue_message (id, blob, size, sender, account, envid, ret, body, smtputf8, requiretls,
                                    trace, created, expires, open, look_at, deliver_by, by_mode, hold_until,
                                    hold_asked, priority, solicitation, vouched)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)",
        &[
            Param::from(id),
            Param::from(outgoing.blob),
            Param::from(i64::try_from(outgoing.size).unwrap_or(i64::MAX)),
            Param::from(&outgoing.sender),
            Param::from(outgoing.account),
            Param::from(outgoing.envid.as_deref()),
            Param::from(outgoing.ret.map(Ret::name)),
            Param::from(outgoing.body.name()),
            Param::from(outgoing.smtputf8),
            Param::from(outgoing.requiretls),
            Param::from(outgoing.trace),
            Param::from(now),
            Param::from(expires),
            Param::from(count),
            Param::from(look_at),
            Param::from(outgoing.deliver_by.map(|by| by.at)),
            Param::from(outgoing.deliver_by.map(DeliverBy::mode)),
            Param::from(outgoing.hold_until.filter(|until| *until > now)),
            Param::from(outgoing.hold_asked.as_deref()),
            Param::from(i64::from(outgoing.priority)),
            Param::from(outgoing.solicitation.as_deref()),
            Param::from(outgoing.standing.stored()),
        ],
    )?;
    let rows: Vec<[Param<'_>; 13]> = (0i64..)
        .zip(&outgoing.recipients)
        .map(|(number, recipient)| {
            [
                Param::from(id),
                Param::from(number),
                Param::from(&recipient.address),
                Param::from(&recipient.domain),
                Param::from(recipient.notify.bits()),
                Param::from(recipient.orcpt.as_deref()),
                Param::from("waiting"),
                Param::from(due),
                Param::from(0i64),
                Param::Null,
                Param::from(recipient.via.as_deref()),
                Param::from(i64::from(outgoing.priority)),
                Param::from(recipient.valid_since.as_deref()),
            ]
        })
        .collect();
    tx.insert_rows(
        "INSERT INTO queue_recipient (message, number, address, domain, notify, orcpt, state, due, attempts, last_reply,
                                      via, priority, valid_since)",
        &rows,
        "",
    )?;
    depth::add(tx, 1, count)?;
    crate::news(tx);
    Ok(QueueId(id))
}

/// When a message that is to be sent first at `due` is given up, and when it is looked at for the first time.
fn times(outgoing: &Outgoing, due: Timestamp) -> (Timestamp, Timestamp) {
    let terms = outgoing.terms;
    let expires = due.plus(terms.lifetime);
    let look_at = due.plus(terms.delay_notice.min(terms.lifetime));
    match outgoing.deliver_by {
        // RFC 2852 §4.1.4: it goes back when the time is over, however long it may be tried otherwise.
        Some(by) if by.returns => (expires.min(by.at), look_at.min(by.at)),
        Some(by) => (expires, look_at.min(by.at)),
        None => (expires, look_at),
    }
}
