//! Clients that hand mail in until the server dies.

use std::io::Result;
use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::client::Client as Lines;
use crate::ledger::body;
use crate::{PASSWORD, Random};

use super::{Promise, Promises, addresses};

const SMALL: usize = 300;
/// Large enough to become a file.
const LARGE: usize = postroad_store::BLOB_INLINE_MAX + 10_000;
/// Messages in one connection, at most.
const PER_CONNECTION: u64 = 30;

/// A client: who it is, how its messages are named, and how many of them are large.
pub(super) struct Client<'a> {
    pub(super) author: &'static str,
    pub(super) name: String,
    /// One message in so many is large.
    pub(super) large_one_in: Option<u64>,
    pub(super) promises: &'a Promises,
    pub(super) random: Random,
    pub(super) tell: Sender<()>,
}

impl Client<'_> {
    /// Until the server dies.
    pub(super) fn send(mut self, place: SocketAddr) {
        let mut number = 0;
        // Errors of the network are what a kill looks like.
        while {
            let count = 1 + self.random.below(PER_CONNECTION);
            self.connection(place, &mut number, count).is_ok()
        } {}
    }

    /// So many messages in one connection.
    pub(super) fn connection(&mut self, place: SocketAddr, number: &mut u32, count: u64) -> Result<()> {
        let mut lines = Lines::connect(place)?;
        lines.reply()?;
        lines.say(b"EHLO crash.test\r\n")?;
        lines.reply()?;
        lines.say(b"AUTH LOGIN\r\n")?;
        lines.reply()?;
        for word in [self.author, PASSWORD] {
            lines.say(format!("{}\r\n", BASE64_STANDARD.encode(word)).as_bytes())?;
            lines.reply()?;
        }
        for _ in 0..count {
            *number += 1;
            self.message(&mut lines, *number)?;
            // The main thread stops listening when it has heard enough.
            let _ = self.tell.send(());
        }
        lines.say(b"QUIT\r\n")?;
        lines.reply()?;
        Ok(())
    }

    fn message(&mut self, lines: &mut Lines, number: u32) -> Result<()> {
        let (author, name) = (self.author, format!("{}n{number}", self.name));
        let id = format!("{name}@crash.test");
        let is_large = self.large_one_in.is_some_and(|one_in| self.random.below(one_in) == 0);
        let size = if is_large { LARGE } else { SMALL };
        let recipients = addresses(&name, &mut self.random);
        let planned = Promise { author, recipients: recipients.clone(), body: size, acknowledged: false };
        self.promises.open().insert(id.clone(), planned);
        let mut words = format!("MAIL FROM:<{author}>\r\n");
        for recipient in &recipients {
            words.push_str(&format!("RCPT TO:<{recipient}>\r\n"));
        }
        words.push_str("DATA\r\n");
        lines.say(words.as_bytes())?;
        for expected in std::iter::repeat_n("250", 1 + recipients.len()).chain(["354"]) {
            let reply = lines.reply()?;
            assert!(reply.starts_with(expected), "{id}: {reply}");
        }
        let text = format!(
            "From: {author}\r\nMessage-ID: <{id}>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\
             Subject: {id}\r\n\r\n{}.\r\n",
            body(&id, size)
        );
        lines.say(text.as_bytes())?;
        let reply = lines.reply()?;
        assert!(reply.starts_with("250"), "{id}: {reply}");
        self.promises.open().get_mut(&id).expect("it was planned").acknowledged = true;
        Ok(())
    }
}
