//! ETRN, XCLIENT and XFORWARD: commands of neighbours, who are offered them by name.

use std::net::SocketAddr;

use postroad_protocol::{Peer, Step};

use crate::command::helo_form;
use crate::{Claim, Claimed, Etrn, Forwarded, Helo, Reply, Stage};

use super::{Pending, Session};

/// What neighbours said so far.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// XCLIENT, all commands together.
    pub(super) claim: Option<Claim>,
    /// The name that it claims, in place of what the neighbour calls itself.
    pub(super) helo: Option<Helo>,
    /// XFORWARD, all commands together.
    pub(super) forwarded: Option<Forwarded>,
}

impl Claims {
    /// Whether somebody is said to have logged in.
    pub(super) fn claims_login(&self) -> bool {
        self.claim.as_ref().and_then(|claim| claim.login.as_ref()).is_some_and(|login| login.known().is_some())
    }

    fn set(&mut self, claim: Claim) {
        let name = claim.helo.as_ref().and_then(Claimed::known);
        let extended = claim.extended.as_ref().and_then(Claimed::known).copied().unwrap_or(true);
        self.helo = name.map(|name| Helo { name: name.clone(), form: helo_form(name), extended });
        self.claim = Some(claim);
    }

    /// The last claim is refused: what was before it counts again.
    pub(super) fn take_back(&mut self, before: Claim) {
        *self = match before == Claim::default() {
            true => Claims { forwarded: self.forwarded.take(), ..Claims::default() },
            false => {
                let mut claims = Claims { forwarded: self.forwarded.take(), ..Claims::default() };
                claims.set(before);
                claims
            }
        };
    }
}

impl<W> Session<W> {
    /// Whom the client speaks for.
    pub(super) fn claimed_peer(&self) -> Peer {
        let Some(claim) = &self.claims.claim else { return self.peer };
        let address = |claimed: &Option<Claimed<_>>, port: &Option<Claimed<u16>>, real: SocketAddr| {
            let Some(ip) = claimed.as_ref().and_then(Claimed::known).copied() else { return real };
            SocketAddr::new(ip, port.as_ref().and_then(Claimed::known).copied().unwrap_or(0))
        };
        Peer {
            remote: address(&claim.address, &claim.port, self.peer.remote),
            local: address(&claim.to_address, &claim.to_port, self.peer.local),
        }
    }

    /// RFC 1985 §5: not within a transaction.
    pub(super) fn etrn(&mut self, etrn: Etrn) -> Option<Step<Stage>> {
        if !self.offer.etrn {
            return self.refuse(502, (5, 5, 1), "ETRN is not available here");
        }
        if self.helo.is_none() {
            return self.refuse(503, (5, 5, 1), self.hello_first());
        }
        if self.envelope.sender.is_some() {
            return self.refuse(503, (5, 5, 1), "Not within a transaction");
        }
        self.wait_for(Pending::Etrn, Stage::Etrn(etrn))
    }

    /// All that the session knew of the client is forgotten; what is claimed takes its place.
    pub(super) fn xclient(&mut self, claim: Claim) -> Option<Step<Stage>> {
        if !self.offer.xclient {
            return self.refuse(550, (5, 7, 0), "You may not speak as others here");
        }
        if self.envelope.sender.is_some() {
            return self.refuse(503, (5, 5, 1), "Not within a transaction");
        }
        let before = self.claims.claim.clone().unwrap_or_default();
        let all = before.clone().with(claim);
        self.claims.set(all.clone());
        self.wait_for(Pending::Claim(Box::new(before)), Stage::Claim(all))
    }

    /// For the story alone.
    pub(super) fn xforward(&mut self, forwarded: Forwarded) -> Option<Step<Stage>> {
        if !self.offer.xforward {
            return self.refuse(550, (5, 7, 0), "You may not say for whom you speak here");
        }
        if self.envelope.sender.is_some() {
            return self.refuse(503, (5, 5, 1), "Not within a transaction");
        }
        let before = self.claims.forwarded.take().unwrap_or_default();
        self.claims.forwarded = Some(before.with(forwarded));
        self.say(&Reply::new(250, (2, 0, 0), "Noted"));
        None
    }
}
