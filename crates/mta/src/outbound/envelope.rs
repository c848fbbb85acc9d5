//! The envelope of a job, as the client session wants it, and what of it can be left out.

use postroad_queue as queue;
use postroad_queue::Job;
use postroad_smtp::client::{Capabilities, Transaction, Unsuited};
use postroad_smtp::{Address, BodyType, ForwardPath, Notify, Orcpt, RcptTo, Ret, ValidSince};

use super::settle::Words;
use super::source::Source;
use super::wishes;

/// What a message needs of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    body: BodyType,
    smtputf8: bool,
    /// The header is ASCII after all, whatever the sender asked for.
    ascii_header: bool,
}

impl Wish {
    pub(crate) fn of(job: &Job, source: &Source) -> Wish {
        let body = match job.message.body {
            queue::Body::SevenBit => BodyType::SevenBit,
            queue::Body::EightBitMime => BodyType::EightBitMime,
            queue::Body::BinaryMime => BodyType::BinaryMime,
        };
        let ascii_header = !job.message.smtputf8 || source.has_ascii_header();
        Wish { body, smtputf8: job.message.smtputf8, ascii_header }
    }

    /// What is left to wish when the host lacks something, and what has to be done for it.
    pub(crate) fn without(self, lacking: Unsuited) -> Less {
        match lacking {
            // Nothing in the message needs it, whatever the sender asked for.
            Unsuited::SmtpUtf8 if self.smtputf8 && self.ascii_header => Less::As(Wish { smtputf8: false, ..self }),
            Unsuited::EightBit | Unsuited::Binary if self.body != BodyType::SevenBit => {
                Less::Converted(Wish { body: BodyType::SevenBit, ..self })
            }
            Unsuited::SmtpUtf8
            | Unsuited::EightBit
            | Unsuited::Binary
            | Unsuited::TooLarge { .. }
            | Unsuited::RequireTls
            | Unsuited::DeliverBy { .. }
            | Unsuited::NotReady
            | Unsuited::NoRecipient
            | Unsuited::TooManyRecipients { .. } => Less::Nothing,
        }
    }
}

/// How a host that lacks something can be sent the message all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Less {
    /// As it is, with another envelope.
    As(Wish),
    /// Converted to lines of seven bits.
    Converted(Wish),
    /// Not at all.
    Nothing,
}

/// The envelope for some of the recipients; `rewritten` is the sender in place of its own. The error names a recipient that is none.
pub(crate) fn transaction(
    job: &Job,
    rewritten: Option<&Address>,
    chunk: &[usize],
    wish: Wish,
    size: u64,
    remote: &Capabilities,
) -> Result<Transaction, (usize, Words)> {
    let mut recipients = Vec::with_capacity(chunk.len());
    for index in chunk {
        let due = &job.recipients[*index];
        if let Some(words) = wishes::needs_valid_since(due, remote) {
            return Err((*index, words));
        }
        let address: Address = due.address.parse().map_err(|error| {
            (*index, Words::ours((5, 1, 3), format!("{} is no address: {error}", due.address), "writing the envelope"))
        })?;
        recipients.push(RcptTo {
            path: ForwardPath::Address(address),
            notify: notify(due.notify),
            orcpt: due.orcpt.as_deref().and_then(orcpt),
            valid_since: due.valid_since.as_deref().and_then(ValidSince::parse),
        });
    }
    let sender = match (job.message.sender.as_str(), rewritten) {
        ("", _) => None,
        (_, Some(rewritten)) => Some(rewritten.clone()),
        (text, None) => Some(text.parse::<Address>().map_err(|error| {
            let first = chunk.first().copied().unwrap_or(0);
            (first, Words::ours((5, 1, 7), format!("The sender {text} is no address: {error}"), "writing the envelope"))
        })?),
    };
    Ok(Transaction {
        body: wish.body,
        smtputf8: wish.smtputf8,
        ret: job.message.ret.map(|ret| match ret {
            queue::Ret::Full => Ret::Full,
            queue::Ret::Headers => Ret::Headers,
        }),
        envid: job.message.envid.clone(),
        requiretls: job.message.requiretls,
        ..Transaction::new(sender, size, recipients)
    })
}

/// RFC 3461 §5.2.1: what the sender did not say is not said to others.
fn notify(notify: queue::Notify) -> Option<Notify> {
    let queue::Notify { success, failure, delay } = notify;
    (notify != queue::Notify::default()).then_some(Notify { success, failure, delay })
}

/// `rfc822;alice@example.org`.
fn orcpt(text: &str) -> Option<Orcpt> {
    let (kind, address) = text.split_once(';')?;
    Some(Orcpt { kind: kind.to_owned(), address: address.to_owned() })
}
