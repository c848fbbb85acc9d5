//! A message's envelope, as it is given to [`crate::client::Client::send`], and its commands.

use std::fmt;

use crate::{
    Address, BodyType, ByMode, DeliverBy, ForwardPath, Notify, Orcpt, Priority, RcptTo, Ret, Solicitation, xtext,
};

use super::Capabilities;

/// One message for some recipients. Addresses are well-formed by their type and hold no line ends; all other text goes
/// out as xtext: nothing in here can become a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The return path; `None` is the null path of notices.
    pub sender: Option<Address>,
    /// The message's octets; 0 when that is not known before, then SIZE is not said.
    pub size: u64,
    /// What its octets need. With [`BodyType::BinaryMime`] they go out as they are; otherwise as lines, in which a CR
    /// or LF that stands alone becomes a CR LF.
    pub body: BodyType,
    /// Its header fields have text beyond ASCII (RFC 6531). Addresses are looked at besides.
    pub smtputf8: bool,
    /// What a failure notice quotes (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// The envelope id (RFC 3461 §4.4); one that is too long is left out.
    pub envid: Option<String>,
    /// It may travel over verified TLS only (RFC 8689).
    pub requiretls: bool,
    /// By when it is to be delivered, from now on (RFC 2852). With [`ByMode::Return`] it goes only where that is understood.
    pub deliver_by: Option<DeliverBy>,
    /// How urgent it is, where that is said (RFC 6710).
    pub priority: Option<Priority>,
    /// The classes of solicitation that it belongs to (RFC 3865).
    pub solicitation: Option<Solicitation>,
    /// At least one.
    pub recipients: Vec<RcptTo>,
    /// BDAT is preferred where it is offered. A binary message uses it anyhow.
    pub chunked: bool,
}

/// Why a message cannot be sent as it is to a remote that offers what it offers. Nothing was sent; the session is as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsuited {
    /// The session is not [`crate::client::Step::Ready`].
    NotReady,
    /// There is no recipient.
    NoRecipient,
    /// More recipients than the remote's RCPTMAX: split them.
    TooManyRecipients {
        /// RCPTMAX.
        limit: u64,
    },
    /// It needs SMTPUTF8.
    SmtpUtf8,
    /// It needs 8BITMIME: convert it to seven bits.
    EightBit,
    /// It needs BINARYMIME and CHUNKING: convert it to lines.
    Binary,
    /// It is larger than the remote's SIZE.
    TooLarge {
        /// SIZE.
        limit: u64,
    },
    /// It needs REQUIRETLS, offered over TLS.
    RequireTls,
    /// It has to be delivered by a time, or to come back, and the remote does not promise that.
    DeliverBy {
        /// The least time in seconds that it promises; `None` when it promises nothing.
        least: Option<u64>,
    },
}

impl Transaction {
    /// A message of lines of ASCII, without any wish.
    pub fn new(sender: Option<Address>, size: u64, recipients: Vec<RcptTo>) -> Transaction {
        Transaction {
            sender,
            size,
            body: BodyType::SevenBit,
            smtputf8: false,
            ret: None,
            envid: None,
            requiretls: false,
            deliver_by: None,
            priority: None,
            solicitation: None,
            recipients,
            chunked: false,
        }
    }

    /// Whether it can be sent only with SMTPUTF8. A domain in U-labels alone is written in A-labels instead.
    pub fn needs_smtputf8(&self) -> bool {
        let ascii = |address: &Address| address.local().is_ascii();
        self.smtputf8
            || self.sender.as_ref().is_some_and(|sender| !ascii(sender))
            || self.recipients.iter().filter_map(|rcpt| rcpt.path.address()).any(|address| !ascii(address))
    }

    /// Whether the remote can take it.
    pub(super) fn suits(&self, remote: &Capabilities, secure: bool, chunking: bool) -> Result<(), Unsuited> {
        let recipients = self.recipients.len() as u64;
        if recipients == 0 {
            return Err(Unsuited::NoRecipient);
        }
        if let Some(limit) = remote.limits.rcpt_max.filter(|limit| recipients > *limit) {
            return Err(Unsuited::TooManyRecipients { limit });
        }
        if self.requiretls && !(secure && remote.requiretls) {
            return Err(Unsuited::RequireTls);
        }
        if let Some(DeliverBy { seconds, mode: ByMode::Return, .. }) = self.deliver_by {
            // RFC 2852 §4.1.4.
            let left = u64::try_from(seconds).unwrap_or(0);
            if remote.deliver_by.is_none_or(|least| left == 0 || left < least) {
                return Err(Unsuited::DeliverBy { least: remote.deliver_by });
            }
        }
        if self.needs_smtputf8() && !remote.smtputf8 {
            return Err(Unsuited::SmtpUtf8);
        }
        match self.body {
            BodyType::BinaryMime if !(remote.binary_mime && remote.chunking && chunking) => {
                return Err(Unsuited::Binary);
            }
            BodyType::EightBitMime if !remote.eight_bit_mime => return Err(Unsuited::EightBit),
            BodyType::SevenBit | BodyType::EightBitMime | BodyType::BinaryMime => {}
        }
        match remote.size_limit.filter(|limit| self.size > *limit) {
            Some(limit) => Err(Unsuited::TooLarge { limit }),
            None => Ok(()),
        }
    }

    /// `MAIL FROM:<…>` with the parameters that the remote knows, without CR LF.
    pub(super) fn mail(&self, remote: &Capabilities) -> String {
        let utf8 = self.needs_smtputf8();
        let sender = self.sender.as_ref().map_or(String::new(), |address| on_wire(address, utf8));
        let mut line = format!("MAIL FROM:<{sender}>");
        if remote.size && self.size > 0 {
            line.push_str(&format!(" SIZE={}", self.size));
        }
        match self.body {
            BodyType::SevenBit => {}
            BodyType::EightBitMime => line.push_str(" BODY=8BITMIME"),
            BodyType::BinaryMime => line.push_str(" BODY=BINARYMIME"),
        }
        if utf8 {
            line.push_str(" SMTPUTF8");
        }
        if self.requiretls {
            line.push_str(" REQUIRETLS");
        }
        if let Some(by) = self.deliver_by.filter(|_| remote.deliver_by.is_some()) {
            line.push_str(&format!(" BY={by}"));
        }
        if let Some(priority) = self.priority.filter(|_| remote.priority) {
            line.push_str(&format!(" MT-PRIORITY={priority}"));
        }
        if let Some(classes) = self.solicitation.as_ref().filter(|_| remote.no_soliciting) {
            line.push_str(&format!(" SOLICIT={classes}"));
        }
        if remote.dsn {
            match self.ret {
                Some(Ret::Full) => line.push_str(" RET=FULL"),
                Some(Ret::Headers) => line.push_str(" RET=HDRS"),
                None => {}
            }
            let envid = self.envid.as_deref().map(xtext::encode);
            if let Some(envid) = envid.filter(|envid| (1..=ENVID_LIMIT).contains(&envid.len())) {
                line.push_str(&format!(" ENVID={envid}"));
            }
        }
        line
    }

    /// `RCPT TO:<…>` of one recipient, without CR LF.
    pub(super) fn rcpt(&self, number: usize, remote: &Capabilities) -> String {
        let utf8 = self.needs_smtputf8();
        let rcpt = &self.recipients[number];
        let path = match &rcpt.path {
            ForwardPath::Address(address) => on_wire(address, utf8),
            ForwardPath::Postmaster => "Postmaster".to_owned(),
        };
        let mut line = format!("RCPT TO:<{path}>");
        if remote.dsn {
            if let Some(notify) = rcpt.notify {
                line.push_str(&format!(" NOTIFY={}", notify_words(notify)));
            }
            if let Some(orcpt) = rcpt.orcpt.as_ref().and_then(|orcpt| orcpt_value(orcpt, utf8)) {
                line.push_str(&format!(" ORCPT={orcpt}"));
            }
        }
        if let Some(since) = rcpt.valid_since.filter(|_| remote.valid_since) {
            line.push_str(&format!(" RRVS={since}"));
        }
        line
    }
}

/// The address in the form for this transaction: without SMTPUTF8, U-labels become A-labels (RFC 6531 §3.2).
fn on_wire(address: &Address, utf8: bool) -> String {
    if utf8 || address.is_ascii() {
        return address.to_string();
    }
    let ascii = address.domain_ascii().and_then(|domain| Address::new(address.local(), &domain).ok());
    ascii.unwrap_or_else(|| address.clone()).to_string()
}

fn notify_words(notify: Notify) -> String {
    if notify.is_never() {
        return "NEVER".to_owned();
    }
    let words = [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")];
    words.iter().filter(|(asked, _)| *asked).map(|(_, word)| *word).collect::<Vec<_>>().join(",")
}

/// `original-recipient-address`; `None` when it cannot be written or is too long.
fn orcpt_value(orcpt: &Orcpt, utf8: bool) -> Option<String> {
    let atom = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if orcpt.kind.is_empty() || !orcpt.kind.chars().all(atom) || orcpt.address.is_empty() {
        return None;
    }
    let unicode = orcpt.kind.eq_ignore_ascii_case("utf-8") || !orcpt.address.is_ascii();
    let value = match unicode {
        true => format!("utf-8;{}", unicode_text(&orcpt.address, utf8)),
        false => format!("{};{}", orcpt.kind, xtext::encode(&orcpt.address)),
    };
    (value.len() <= ORCPT_LIMIT).then_some(value)
}

/// `utf-8-addr-unitext` where SMTPUTF8 is in use, else `utf-8-addr-xtext` (RFC 6533 §3).
fn unicode_text(address: &str, utf8: bool) -> String {
    let mut text = String::with_capacity(address.len());
    for c in address.chars() {
        match c {
            '!'..='~' if !matches!(c, '+' | '=' | '\\') => text.push(c),
            _ if !c.is_ascii() && !c.is_control() && !c.is_whitespace() && utf8 => text.push(c),
            _ => text.push_str(&format!("\\x{{{:X}}}", u32::from(c))),
        }
    }
    text
}

impl fmt::Display for Unsuited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsuited::NotReady => f.write_str("the session is not ready for a message"),
            Unsuited::NoRecipient => f.write_str("the message has no recipient"),
            Unsuited::TooManyRecipients { limit } => write!(f, "the remote takes {limit} recipients at a time"),
            Unsuited::SmtpUtf8 => f.write_str(
                "the message has internationalised addresses or headers, and the remote does not offer SMTPUTF8",
            ),
            Unsuited::EightBit => f.write_str("the message has 8-bit text, and the remote does not offer 8BITMIME"),
            Unsuited::Binary => f.write_str("the message is binary, and the remote does not offer BINARYMIME"),
            Unsuited::TooLarge { limit } => {
                write!(f, "the message is larger than the {limit} octets that the remote takes")
            }
            Unsuited::DeliverBy { least: None } => f.write_str(
                "the message has to be delivered by a time or to come back, and the remote does not offer DELIVERBY",
            ),
            Unsuited::DeliverBy { least: Some(least) } => {
                write!(f, "the message has to be delivered sooner than in the {least} seconds that the remote promises")
            }
            Unsuited::RequireTls => f.write_str(
                "the message requires TLS on its whole way, and the remote does not offer REQUIRETLS over TLS",
            ),
        }
    }
}

impl std::error::Error for Unsuited {}

/// RFC 3461 §4.4.
const ENVID_LIMIT: usize = 100;
/// RFC 3461 §4.2.
const ORCPT_LIMIT: usize = 500;
