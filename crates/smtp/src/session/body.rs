//! Message bodies: DATA (RFC 5321 §4.1.1.4) and BDAT (RFC 3030 §2).

use postroad_protocol::Step;

use crate::data::{BodyFault, BodyMode, BodyReceiver};
use crate::{Abandoned, BodyType, Reply, Role, Stage};

use super::{Pending, Phase, Session, Skipped};

impl<W> Session<W> {
    pub(super) fn data_command(&mut self) -> Option<Step<Stage>> {
        if let Some(reply) = self.no_envelope() {
            self.fail(&reply);
            return None;
        }
        if self.envelope.body.is_some() {
            return self.refuse(503, (5, 5, 1), "The message began with BDAT; go on with BDAT");
        }
        if self.body_type() == Some(BodyType::BinaryMime) {
            // RFC 3030 §3.
            return self.refuse(503, (5, 5, 1), "BODY=BINARYMIME needs BDAT");
        }
        self.say(&Reply::plain(354, "Send the message; a line of one dot ends it"));
        self.envelope.body = Some(self.receiver(BodyMode::Dots));
        self.phase = Phase::Data;
        None
    }

    pub(super) fn bdat(&mut self, size: u64, last: bool) -> Option<Step<Stage>> {
        if let Some(reply) = self.no_envelope() {
            return self.refuse_chunk(size, reply, Skipped::Error);
        }
        let mode = match self.body_type() {
            Some(BodyType::BinaryMime) => BodyMode::Binary,
            Some(BodyType::SevenBit | BodyType::EightBitMime) | None => BodyMode::Lines,
        };
        if self.body_size().saturating_add(size) > self.settings.size_limit {
            let reply = self.fault_reply(BodyFault::TooLarge);
            return self.refuse_chunk(size, reply, Skipped::Abandon { last });
        }
        if self.envelope.body.is_none() {
            self.envelope.body = Some(self.receiver(mode));
        }
        self.phase = Phase::Chunk { left: size, last };
        None
    }

    /// RFC 3030 §2: the octets of a refused chunk come all the same, and are no commands.
    fn refuse_chunk(&mut self, size: u64, reply: Reply, after: Skipped) -> Option<Step<Stage>> {
        if size > SWALLOW_LIMIT {
            return self.hang_up(&reply);
        }
        self.phase = Phase::Skip { left: size, reply, after };
        None
    }

    /// Why there can be no message now.
    pub(super) fn no_envelope(&self) -> Option<Reply> {
        if self.envelope.sender.is_none() {
            return Some(Reply::new(503, (5, 5, 1), "MAIL first"));
        }
        if !self.envelope.recipients.is_empty() {
            return None;
        }
        match (self.envelope.refused, self.role()) {
            // RFC 5321 §3.3 and RFC 2920 §3.2; RFC 2033 §4.2 wants 503 from LMTP.
            (1.., Role::Relay | Role::Submission) => Some(Reply::new(554, (5, 5, 1), "No recipient was accepted")),
            (_, _) => Some(Reply::new(503, (5, 5, 1), "RCPT first")),
        }
    }

    /// DATA goes on.
    pub(super) fn data(&mut self) -> Option<Step<Stage>> {
        let Some(body) = &mut self.envelope.body else {
            return None;
        };
        let input = self.input.rest();
        if input.is_empty() {
            self.phase = Phase::Data;
            return Some(Step::Read);
        }
        let piece = &input[..input.len().min(PIECE_LIMIT)];
        let mut kept = Vec::with_capacity(piece.len());
        let (taken, ended) = body.receive(piece, &mut kept);
        let endless = body.raw() > self.settings.size_limit.saturating_add(SWALLOW_LIMIT);
        self.input.take(taken);
        if endless && let Some(reply) = self.body_refusal() {
            return self.hang_up(&reply);
        }
        let next = if ended { Phase::Ended } else { Phase::Data };
        self.hand_over(kept, next)
    }

    /// A BDAT chunk goes on.
    pub(super) fn chunk(&mut self, left: u64, last: bool) -> Option<Step<Stage>> {
        let Some(body) = &mut self.envelope.body else {
            return None;
        };
        let input = self.input.rest();
        if left > 0 && input.is_empty() {
            self.phase = Phase::Chunk { left, last };
            return Some(Step::Read);
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_LIMIT);
        let piece = &input[..input.len().min(most)];
        let mut kept = Vec::with_capacity(piece.len());
        let (taken, _) = body.receive(piece, &mut kept);
        let left = left - taken as u64;
        if left == 0 && last {
            body.finish();
        }
        self.input.take(taken);
        let next = match left {
            0 => Phase::ChunkEnd { last },
            _ => Phase::Chunk { left, last },
        };
        self.hand_over(kept, next)
    }

    /// Gives a piece of the body to the world, unless the message is refused already.
    pub(super) fn hand_over(&mut self, kept: Vec<u8>, next: Phase) -> Option<Step<Stage>> {
        if kept.is_empty() || self.envelope.refusal.is_some() {
            self.phase = next;
            return None;
        }
        self.wait_for(Pending::Body(Box::new(next)), Stage::Body(kept))
    }

    pub(super) fn chunk_end(&mut self, last: bool) -> Option<Step<Stage>> {
        if last {
            return self.ended();
        }
        self.phase = Phase::Command;
        match self.body_refusal() {
            Some(reply) => {
                self.say(&reply);
                self.phase = self.after_refusal(reply);
            }
            None => {
                let text = format!("{} octets so far", self.body_size());
                self.say(&Reply::new(250, (2, 0, 0), text));
            }
        }
        None
    }

    /// Swallows a refused chunk.
    pub(super) fn skip(&mut self, left: u64, reply: Reply, after: Skipped) -> Option<Step<Stage>> {
        let there = self.input.rest().len();
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(there);
        self.input.take(taken);
        let left = left - taken as u64;
        if left > 0 {
            self.phase = Phase::Skip { left, reply, after };
            return Some(Step::Read);
        }
        self.phase = Phase::Command;
        match after {
            Skipped::Error => self.fail(&reply),
            Skipped::Abandon { last } => {
                match last {
                    true => self.say_to_each(&reply),
                    false => self.say(&reply),
                }
                self.phase = self.abandoning(Abandoned::Body(reply), Phase::Command);
            }
        }
        None
    }

    /// The message is complete.
    pub(super) fn ended(&mut self) -> Option<Step<Stage>> {
        let Some(reply) = self.body_refusal() else {
            return self.wait_for(Pending::Message, Stage::Message);
        };
        self.say_to_each(&reply);
        self.phase = self.after_refusal(reply);
        None
    }

    /// The transaction is over; 421 closes (RFC 5321 §3.8).
    fn after_refusal(&self, reply: Reply) -> Phase {
        let next = if reply.code() == 421 { Phase::Closing } else { Phase::Command };
        self.abandoning(Abandoned::Body(reply), next)
    }

    /// Says the reply to a message: in LMTP once per recipient (RFC 2033 §4.2).
    pub(super) fn say_to_each(&mut self, reply: &Reply) {
        let times = match self.role() {
            Role::Relay | Role::Submission => 1,
            Role::Lmtp => self.envelope.recipients.len(),
        };
        for _ in 0..times {
            self.say(reply);
        }
    }

    /// What speaks against the body so far: the world's word first.
    fn body_refusal(&self) -> Option<Reply> {
        let fault = || self.envelope.body.as_ref().and_then(BodyReceiver::fault);
        self.envelope.refusal.clone().or_else(|| fault().map(|fault| self.fault_reply(fault)))
    }

    fn fault_reply(&self, fault: BodyFault) -> Reply {
        match fault {
            BodyFault::BareNewline => Reply::new(
                550,
                (5, 6, 11),
                "The message has a lone CR or LF in it. Lines end with CR LF; nothing was accepted",
            ),
            BodyFault::LineTooLong => {
                let limit = self.settings.text_line_limit;
                Reply::new(550, (5, 6, 0), format!("A line of the message is longer than {limit} octets"))
            }
            BodyFault::TooLarge => {
                let limit = self.settings.size_limit;
                Reply::new(552, (5, 3, 4), format!("The message is larger than {limit} octets"))
            }
        }
    }

    pub(super) fn body_type(&self) -> Option<BodyType> {
        self.envelope.sender.as_ref().and_then(|sender| sender.body)
    }

    pub(super) fn receiver(&self, mode: BodyMode) -> BodyReceiver {
        let settings = &self.settings;
        BodyReceiver::new(mode, settings.bare_newlines, settings.text_line_limit, settings.size_limit)
    }
}

/// Octets of a body handed over at a time.
const PIECE_LIMIT: usize = 64 * 1024;
/// A refused message is swallowed up to the size limit and this many octets more; then the connection
/// ends, since its end is not in sight.
const SWALLOW_LIMIT: u64 = 256 * 1024 * 1024;
