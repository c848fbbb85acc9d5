//! CATENATE (RFC 4469): parts of a message that the server has already.
//!
//! A URL is looked up once; its octets are then copied by stretches, one job each, so that no transaction stays open
//! while the disk takes them, and memory holds one stretch. What is copied counts against the limits of a message
//! before the first octet is read.

use postroad_imap::ResponseCode;
use postroad_mail::part::Octets;
use postroad_store::ReadTx;

use super::{Appending, Feed, fed};
use crate::error::{Error, Reply};
use crate::session::Session;
use crate::settings::CATENATE_PER_JOB;
use crate::target;
use crate::urls;

/// A URL among the parts of a message.
#[derive(Debug)]
pub(super) struct Url {
    /// As the client wrote it.
    text: String,
    /// What it means, and how much of it was copied.
    found: Option<(Octets, u64)>,
}

impl Url {
    pub(super) fn new(text: String) -> Url {
        Url { text, found: None }
    }
}

impl Session {
    /// The next stretch of the URL that is first in the feeds of a command.
    pub(super) fn append_url(&mut self, tx: &ReadTx, appending: &mut Appending, at: usize) -> Result<(), Error> {
        let limit = self.settings.message_size_max;
        let limits = &self.framer.syntax().limits;
        let command = &mut appending.commands[at];
        let Some(Feed::Url(mut url)) = command.feeds.pop_front() else { return Ok(()) };
        let (octets, copied) = match url.found.take() {
            Some(found) => found,
            None => {
                let found = urls::resolve(self, tx, &url.text).map_err(|error| bad(error, &url.text));
                if matches!(&found, Err(Error::Refused(_))) {
                    // RFC 9051 §6.3.12: that the mailbox is to be created first is what the client can do something about.
                    target::destination(self, tx, &command.append.mailbox)?;
                }
                let octets = found?;
                let message = fed(&mut command.messages);
                let message = message.ok_or_else(|| Error::bug("a URL without a message"))?;
                message.size = message.size.saturating_add(octets.count());
                command.octets = command.octets.saturating_add(octets.count());
                if message.size > limit || command.octets > limits.appends {
                    return Err(Error::no(ResponseCode::TooBig, "the message is too big"));
                }
                (octets, 0)
            }
        };
        let stretch = octets.read(tx, copied, CATENATE_PER_JOB)?;
        let copied = copied + stretch.len() as u64;
        if stretch.is_empty() && copied < octets.count() {
            return Err(Error::bug("a message is shorter than its summary says"));
        }
        if copied < octets.count() {
            url.found = Some((octets, copied));
            command.feeds.push_front(Feed::Url(url));
        }
        command.waiting += stretch.len();
        command.feeds.push_front(Feed::Octets(stretch));
        Ok(())
    }
}

/// RFC 4469 §4.1: the URL is told. A store that is away is no fault of the URL.
fn bad(error: Error, url: &str) -> Error {
    match error.log() {
        Some(_) => error,
        None => {
            let text = match error {
                Error::Refused(Reply { text, .. }) => text,
                other => other.to_string().into(),
            };
            Error::no(ResponseCode::BadUrl(url.to_owned()), text)
        }
    }
}
