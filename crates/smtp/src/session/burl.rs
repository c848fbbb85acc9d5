//! BURL (RFC 4468): parts of the message that the client has on an IMAP server.
//!
//! What a URL leads to the world finds out, by pieces; here they are what a chunk of BDAT is, with the same limits. A URL
//! that leads nowhere ends the transaction (§3.2).

use postroad_protocol::Step;

use crate::data::BodyMode;
use crate::{Abandoned, BodyType, Reply, Role, Stage, Verdict};

use super::{Pending, Phase, Session};

/// A URL that is being followed.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) url: String,
    /// Octets that came of it.
    pub(super) offset: u64,
    pub(super) last: bool,
}

impl<W> Session<W> {
    pub(super) fn burl(&mut self, url: String, last: bool) -> Option<Step<Stage>> {
        if self.role() != Role::Submission || !self.offer.burl {
            return self.refuse(502, (5, 5, 1), "BURL is not available here");
        }
        if self.identity.is_none() {
            return self.refuse(530, (5, 7, 0), "Log in first (AUTH)");
        }
        if let Some(reply) = self.no_envelope() {
            self.fail(&reply);
            return None;
        }
        let mode = match self.body_type() {
            Some(BodyType::BinaryMime) => BodyMode::Binary,
            Some(BodyType::SevenBit | BodyType::EightBitMime) | None => BodyMode::Lines,
        };
        if self.envelope.body.is_none() {
            self.envelope.body = Some(self.receiver(mode));
        }
        self.follow(Following { url, offset: 0, last })
    }

    /// Asks for the next piece.
    pub(super) fn follow(&mut self, following: Following) -> Option<Step<Stage>> {
        let stage = Stage::Burl { url: following.url.clone(), offset: following.offset };
        self.wait_for(Pending::Burl(following), stage)
    }

    /// A piece came, or none will.
    pub(super) fn burl_ruled(&mut self, verdict: Verdict, following: Following) {
        let Following { url, offset, last } = following;
        let (octets, size) = match verdict {
            Verdict::Octets { octets, size } if offset.saturating_add(octets.len() as u64) <= size => (octets, size),
            Verdict::Refuse(reply) if reply.is_transient() || reply.is_permanent() => {
                return self.burl_ends(reply, last);
            }
            Verdict::Close(reply) => {
                self.say(&reply);
                return self.close();
            }
            Verdict::Accept
            | Verdict::AcceptWith(_)
            | Verdict::Refuse(_)
            | Verdict::Authenticated(_)
            | Verdict::Sasl(_)
            | Verdict::PerRecipient(_)
            | Verdict::Octets { .. } => {
                let reply = Reply::new(451, (4, 3, 0), "Something went wrong here; try again later");
                return self.burl_ends(reply, last);
            }
        };
        let rest = size - offset;
        if self.body_size().saturating_add(rest) > self.settings.size_limit {
            // RFC 4468 §6.
            let text = format!("The message is larger than {} octets", self.settings.size_limit);
            return self.burl_ends(Reply::new(554, (5, 3, 4), text), last);
        }
        let Some(body) = &mut self.envelope.body else { return };
        let mut kept = Vec::with_capacity(octets.len());
        body.receive(&octets, &mut kept);
        let offset = offset + octets.len() as u64;
        let next = match offset < size {
            true if octets.is_empty() => {
                let reply = Reply::new(451, (4, 3, 0), "The message could not be read to its end; try again later");
                return self.burl_ends(reply, last);
            }
            true => Phase::Follow(Following { url, offset, last }),
            false => Phase::ChunkEnd { last },
        };
        if offset == size && last {
            body.finish();
        }
        self.phase = Phase::Piece(kept, Box::new(next));
    }

    /// RFC 4468 §3.2: the whole transaction fails.
    fn burl_ends(&mut self, reply: Reply, last: bool) {
        match last {
            true => self.say_to_each(&reply),
            false => self.say(&reply),
        }
        let next = if reply.code() == 421 { Phase::Closing } else { Phase::Command };
        self.phase = self.abandoning(Abandoned::Body(reply), next);
    }
}
