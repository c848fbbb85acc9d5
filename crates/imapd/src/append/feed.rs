//! Octets of APPENDs go to the blob store.

use postroad_imap::ResponseCode;
use postroad_mail::Intake;
use postroad_message::Summary;
use postroad_store::Upload;

use super::{Appending, Command, Feed, SUMMARIES_MAX, Safe};
use crate::error::Error;
use crate::session::Session;
use crate::settings::{APPEND_HELD_MAX, APPEND_LIGHT, APPEND_LIGHT_MESSAGE};
use crate::steps::Phase;

impl Session {
    /// Whether [`Session::run_disk`] is soon done and touches neither disk nor network, when uploads of up to `room` octets
    /// stay in memory: what there is to be done is about small messages.
    pub fn is_disk_quick(&self, room: usize) -> bool {
        match &self.phase {
            Phase::Appending(appending) => appending.is_light(room),
            Phase::Greeting
            | Phase::Ready
            | Phase::Working(_)
            | Phase::Authenticating(_)
            | Phase::LoggingIn(..)
            | Phase::Penalty(..)
            | Phase::Idle(_)
            | Phase::StartTls
            | Phase::Closing => true,
        }
    }

    /// The session's part of [`crate::Job::Disk`]: octets of APPENDs go to the blob store, and whole messages are
    /// made safe. Blocks. `upload` begins a blob: `|| store.upload()`. When it fails the client is told, and what
    /// comes back is for the log.
    pub fn run_disk(&mut self, upload: impl Fn() -> Upload) -> Option<String> {
        let Phase::Appending(mut appending) = std::mem::take(&mut self.phase) else { return None };
        let mut log = None;
        let utf8 = self.enabled.utf8();
        let mut safe = appending.safe();
        for at in 0..appending.commands.len() {
            let Some(command) = appending.commands.get_mut(at) else { break };
            if let Err(error) = command.take(&upload, &mut safe, utf8) {
                self.append_fails_at(&mut appending, at, &error);
                log = error.log().or(log);
                safe = appending.safe();
            }
        }
        self.phase = Phase::Appending(appending);
        log
    }
}

impl Appending {
    /// What is safe and not filed yet: small messages are held in memory.
    fn safe(&self) -> Safe {
        let mut all = Safe::default();
        self.commands.iter().for_each(|command| all.add(command.safe));
        all
    }

    /// Whether what waits is little, of messages that are small and stay in memory.
    fn is_light(&self, room: usize) -> bool {
        let most = u64::try_from(room).unwrap_or(u64::MAX).min(APPEND_LIGHT_MESSAGE);
        let waiting: usize = self.commands.iter().map(|command| command.waiting).sum();
        waiting <= APPEND_LIGHT
            && self.safe().octets.saturating_add(waiting as u64) < APPEND_HELD_MAX
            && self.commands.iter().filter(|command| !command.feeds.is_empty()).all(|command| {
                let coming = command.messages.partition_point(|message| message.arrival.is_some());
                command.messages[coming..].iter().all(|message| message.size <= most)
            })
    }
}

impl Command {
    /// Feeds what there is, up to what the server has itself.
    fn take(&mut self, upload: &impl Fn() -> Upload, safe: &mut Safe, utf8: bool) -> Result<(), Error> {
        // Messages come one after the other.
        let mut at = self.messages.partition_point(|message| message.arrival.is_some());
        while let Some(feed) = self.feeds.pop_front_if(|feed| !matches!(feed, Feed::Url(_))) {
            let message = self.messages.get_mut(at);
            let message = message.ok_or_else(|| Error::bug("octets without a message"))?;
            let begin = || {
                let mut upload = upload();
                if safe.octets >= APPEND_HELD_MAX {
                    upload.outside();
                }
                Intake::as_it_is(upload, postroad_message::Limits::default())
            };
            let intake = message.intake.get_or_insert_with(begin);
            match feed {
                Feed::Octets(octets) => {
                    self.waiting -= octets.len();
                    intake.take(octets)?;
                }
                Feed::End | Feed::Url(_) => {
                    if let Some(intake) = message.intake.take() {
                        let mut arrival = intake.finish(Vec::new())?;
                        // RFC 6855 §4: who does not know UTF-8 has no such header.
                        if arrival.summary.facts.eight_bit_header && !utf8 {
                            let text = "8-bit octets in the header need ENABLE UTF8=ACCEPT first";
                            return Err(Error::no(ResponseCode::Cannot, text));
                        }
                        let own = Safe { octets: arrival.size, summaries: arrival.summary_bytes.len() };
                        self.safe.add(own);
                        safe.add(own);
                        if safe.summaries > SUMMARIES_MAX {
                            let text = "so many messages of so many parts are too much at once";
                            return Err(Error::no(ResponseCode::Limit, text));
                        }
                        // It is filed in its stored form, which takes a fraction of the memory.
                        arrival.summary = Summary::default();
                        message.arrival = Some(Box::new(arrival));
                        at += 1;
                    }
                }
            }
        }
        Ok(())
    }
}
