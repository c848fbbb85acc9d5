//! The world's answers.

use postroad_sasl::Answer;

use crate::{Abandoned, Claim, Rejection, Reply, Role, Verdict};

use super::{Envelope, Exchange, Pending, Phase, Session};

/// A verdict boiled down: yes or no, the words, and whether the connection ends.
enum Ruling {
    Yes(Option<Reply>),
    No { reply: Reply, close: bool },
}

impl<W> Session<W> {
    /// Answers the stage that [`postroad_protocol::Protocol::step`] asked for. Without an open stage it
    /// does nothing.
    pub fn verdict(&mut self, verdict: Verdict) {
        let pending = match std::mem::replace(&mut self.phase, Phase::Closing) {
            Phase::Waiting(pending) => pending,
            Phase::Hush => Pending::Connect,
            other => {
                self.phase = other;
                return;
            }
        };
        self.phase = Phase::Command;
        match pending {
            Pending::Connect => self.connection_ruled(verdict),
            Pending::Helo(helo) => match ruling(verdict) {
                Ruling::Yes(_) => {
                    self.say(&self.hello(&helo));
                    self.helo = Some(helo);
                    // RFC 5321 §4.1.4: a new EHLO is a RSET as well.
                    self.phase = self.abandoning(Abandoned::Reset, Phase::Command);
                }
                Ruling::No { reply, close } => self.refused(&reply, close),
            },
            Pending::Claim(before) => self.claim_ruled(verdict, *before),
            Pending::Etrn => match ruling(verdict) {
                Ruling::Yes(words) => {
                    self.say(&words.unwrap_or_else(|| Reply::new(250, (2, 0, 0), "What waits is sent now")));
                }
                Ruling::No { reply, close } => self.refused(&reply, close),
            },
            Pending::Auth(exchange) => self.authenticated(exchange, verdict),
            Pending::Mail(mail) => match ruling(verdict) {
                Ruling::Yes(words) => {
                    self.counters.transactions = self.counters.transactions.saturating_add(1);
                    self.envelope = Envelope { sender: Some(mail), ..Envelope::default() };
                    self.say(&words.unwrap_or_else(|| Reply::new(250, (2, 1, 0), "Sender accepted")));
                }
                Ruling::No { reply, close } => self.refused(&reply, close),
            },
            Pending::Rcpt(rcpt) => match ruling(verdict) {
                Ruling::Yes(words) => {
                    self.envelope.recipients.push(rcpt);
                    self.say(&words.unwrap_or_else(|| Reply::new(250, (2, 1, 5), "Recipient accepted")));
                }
                Ruling::No { reply, close } => {
                    self.envelope.refused = self.envelope.refused.saturating_add(1);
                    let count = &mut self.counters.refused_recipients;
                    *count = count.saturating_add(u32::from(reply.is_permanent()));
                    self.refused(&reply, close);
                }
            },
            Pending::Body(next) => self.body_ruled(verdict, *next),
            Pending::Burl(following) => self.burl_ruled(verdict, following),
            Pending::Message => self.message_ruled(verdict),
            Pending::Abandon(next) => {
                self.envelope = Envelope::default();
                self.phase = *next;
            }
        }
    }

    /// The world performed a stage and said nothing: the client tries again later.
    pub(super) fn forgotten(&mut self) {
        self.verdict(Verdict::Refuse(Reply::new(451, (4, 3, 0), "Something went wrong here; try again later")));
    }

    fn connection_ruled(&mut self, verdict: Verdict) {
        match ruling(verdict) {
            Ruling::Yes(words) => {
                let greeting = words.unwrap_or_else(|| self.greeting());
                self.say(&greeting);
            }
            Ruling::No { reply, .. } => {
                self.say(&reply);
                self.close();
            }
        }
    }

    /// XCLIENT was answered; a refused claim leaves what was claimed before.
    fn claim_ruled(&mut self, verdict: Verdict, before: Claim) {
        let wants_login = self.claims.claims_login();
        let identity = match verdict {
            Verdict::Authenticated(identity) if wants_login => Ok(Some(identity)),
            Verdict::Accept if !wants_login => Ok(None),
            verdict => match ruling(verdict) {
                Ruling::Yes(words) if !wants_login => Err((words, false)),
                // A login that nobody confirmed is none.
                Ruling::Yes(_) => Err((None, false)),
                Ruling::No { reply, close } => Err((Some(reply), close)),
            },
        };
        match identity {
            Ok(identity) => {
                self.identity = identity;
                self.helo = None;
                let greeting = self.greeting();
                self.say(&greeting);
            }
            Err((reply, close)) => {
                self.claims.take_back(before);
                let none = || Reply::new(451, (4, 3, 0), "Something went wrong here; try again later");
                let reply = reply.filter(|reply| !reply.is_positive()).unwrap_or_else(none);
                self.refused(&reply, close);
            }
        }
    }

    fn authenticated(&mut self, mut exchange: Exchange, verdict: Verdict) {
        let answer = match verdict {
            Verdict::Sasl(answer) => *answer,
            Verdict::Authenticated(identity) => Answer::granted(identity),
            // Only an identity authenticates.
            Verdict::Accept | Verdict::AcceptWith(_) | Verdict::PerRecipient(_) | Verdict::Octets { .. } => {
                Answer::Unavailable
            }
            Verdict::Close(reply) => Answer::refused(Rejection { reply, close: true }),
            Verdict::Refuse(reply) => Answer::refused(Rejection { reply, close: false }),
        };
        let turn = exchange.answered(answer);
        self.turn(exchange, turn);
    }

    /// Says why somebody does not come in; for good, it counts as an error.
    pub(super) fn rejected(&mut self, reply: &Reply, close: bool) {
        match reply.is_permanent() && !close {
            true => self.fail(reply),
            false => self.refused(reply, close),
        }
    }

    pub(super) fn forgotten_auth(&mut self) {
        self.say(&Reply::new(454, (4, 7, 0), "Something went wrong here; try again later"));
    }

    fn body_ruled(&mut self, verdict: Verdict, next: Phase) {
        self.phase = next;
        match ruling(verdict) {
            Ruling::Yes(_) => {}
            Ruling::No { reply, close: false } => {
                self.envelope.refusal.get_or_insert(reply);
            }
            Ruling::No { reply, close: true } => {
                self.say(&reply);
                self.close();
            }
        }
    }

    fn message_ruled(&mut self, verdict: Verdict) {
        let mut close = false;
        match verdict {
            Verdict::PerRecipient(replies) => self.say_per_recipient(&replies),
            verdict => match ruling(verdict) {
                Ruling::Yes(words) => {
                    self.say_to_each(&words.unwrap_or_else(|| Reply::new(250, (2, 0, 0), "Message accepted")));
                }
                Ruling::No { reply, close: closes } => {
                    self.say_to_each(&reply);
                    close = closes;
                }
            },
        }
        self.envelope = Envelope::default();
        if close {
            self.close();
        }
    }

    fn say_per_recipient(&mut self, replies: &[Reply]) {
        let missing = Reply::new(451, (4, 3, 0), "Something went wrong here; try again later");
        match self.role() {
            Role::Lmtp => {
                for number in 0..self.envelope.recipients.len() {
                    self.say(replies.get(number).unwrap_or(&missing));
                }
            }
            Role::Relay | Role::Submission => {
                let best = replies.iter().find(|reply| reply.is_positive());
                self.say(best.or(replies.first()).unwrap_or(&missing));
            }
        }
    }

    /// Says a refusal of the world's; 421 always closes (RFC 5321 §3.8).
    fn refused(&mut self, reply: &Reply, close: bool) {
        self.say(reply);
        if close {
            self.close();
        }
    }
}

/// Corrects what cannot be: yes with a negative code is a no, no with a positive code is a mistake.
fn ruling(verdict: Verdict) -> Ruling {
    let mistake = || Reply::new(451, (4, 3, 0), "Something went wrong here; try again later");
    match verdict {
        Verdict::Accept => Ruling::Yes(None),
        Verdict::AcceptWith(reply) if reply.is_positive() => Ruling::Yes(Some(reply)),
        Verdict::AcceptWith(reply) | Verdict::Refuse(reply) => match reply.is_transient() || reply.is_permanent() {
            true => Ruling::No { close: reply.code() == 421, reply },
            false => Ruling::No { reply: mistake(), close: false },
        },
        Verdict::Close(reply) => Ruling::No { reply, close: true },
        Verdict::Authenticated(_) | Verdict::Sasl(_) | Verdict::PerRecipient(_) | Verdict::Octets { .. } => {
            Ruling::No { reply: mistake(), close: false }
        }
    }
}
