//! Octets of APPENDs go to the blob store.

use postroad_imap::ResponseCode;
use postroad_mail::Intake;
use postroad_store::Upload;

use super::{Appending, Command, Feed, SUMMARIES_MAX, fed};
use crate::error::Error;
use crate::session::Session;
use crate::settings::APPEND_HELD_MAX;
use crate::steps::Phase;

impl Session {
    /// The session's part of [`crate::Job::Disk`]: octets of APPENDs go to the blob store, and whole messages are
    /// made safe. Blocks. `upload` begins a blob: `|| store.upload()`. When it fails the client is told, and what
    /// comes back is for the log.
    pub fn run_disk(&mut self, upload: impl Fn() -> Upload) -> Option<String> {
        let Phase::Appending(mut appending) = std::mem::take(&mut self.phase) else { return None };
        let mut log = None;
        let utf8 = self.enabled.utf8();
        for at in 0..appending.commands.len() {
            let held = appending.held_octets();
            let summaries = appending.commands.iter().map(Command::summaries).sum();
            let Some(command) = appending.commands.get_mut(at) else { break };
            if let Err(error) = command.take(&upload, held, summaries, utf8) {
                self.append_fails_at(&mut appending, at, &error);
                log = error.log().or(log);
            }
        }
        self.phase = Phase::Appending(appending);
        log
    }
}

impl Appending {
    /// Octets of messages that are whole and not filed yet: small ones are held in memory.
    fn held_octets(&self) -> u64 {
        let messages = self.commands.iter().flat_map(|command| &command.messages);
        messages.filter_map(|message| message.arrival.as_ref()).map(|arrival| arrival.size).sum()
    }
}

impl Command {
    /// Feeds what there is, up to what the server has itself.
    fn take(
        &mut self,
        upload: &impl Fn() -> Upload,
        mut held: u64,
        mut summaries: usize,
        utf8: bool,
    ) -> Result<(), Error> {
        while let Some(feed) = self.feeds.pop_front_if(|feed| !matches!(feed, Feed::Url(_))) {
            let message = fed(&mut self.messages);
            let message = message.ok_or_else(|| Error::bug("octets without a message"))?;
            let begin = || {
                let mut upload = upload();
                if held >= APPEND_HELD_MAX {
                    upload.outside();
                }
                Intake::as_it_is(upload, postroad_message::Limits::default())
            };
            let intake = message.intake.get_or_insert_with(begin);
            match feed {
                Feed::Octets(octets) => {
                    self.waiting -= octets.len();
                    intake.feed(&octets)?;
                }
                Feed::End | Feed::Url(_) => {
                    if let Some(intake) = message.intake.take() {
                        let arrival = intake.finish(Vec::new())?;
                        // RFC 6855 §4: who does not know UTF-8 has no such header.
                        if arrival.summary.facts.eight_bit_header && !utf8 {
                            let text = "8-bit octets in the header need ENABLE UTF8=ACCEPT first";
                            return Err(Error::no(ResponseCode::Cannot, text));
                        }
                        held = held.saturating_add(arrival.size);
                        summaries += arrival.summary_bytes.len();
                        if summaries > SUMMARIES_MAX {
                            let text = "so many messages of so many parts are too much at once";
                            return Err(Error::no(ResponseCode::Limit, text));
                        }
                        message.arrival = Some(Box::new(arrival));
                    }
                }
            }
        }
        Ok(())
    }
}
