//! A transaction under way: the envelope in groups of commands, and what each reply means.

use std::collections::VecDeque;
use std::time::Duration;

use crate::{BodyType, Enhanced, Reply};

use super::encode::{Encoder, Form};
use super::{Client, Failure, Fate, Patience, Phase, Report, Said, State, Step, Transaction, Trouble};

/// A transaction under way.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) transaction: Transaction,
    /// The command to say next.
    next: Next,
    /// The replies that are awaited, in order.
    pub(super) waiting: VecDeque<Awaited>,
    /// One per recipient.
    pub(super) standings: Vec<Standing>,
    /// The remote has an envelope.
    mail_accepted: bool,
    pub(super) sending: Sending,
    pub(super) encoder: Encoder,
    /// BDAT: octets that wait for their chunk.
    pub(super) chunk: Vec<u8>,
    /// BDAT: a chunk was refused.
    refusal: Option<Said>,
    /// The end of the message was sent.
    pub(super) complete: bool,
    /// The remote has ended the transaction.
    concluded: bool,
    message: Option<Said>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Reset,
    Mail,
    Rcpt(usize),
    /// DATA, or the first chunk.
    Message,
    Nothing,
}

/// What a reply is awaited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    Reset,
    Mail,
    Rcpt(usize),
    Data,
    /// A message of nothing, for nobody.
    LoneDot,
    /// A chunk that is not the last.
    Chunk,
    /// The whole message.
    Message,
    /// The whole message, for this recipient (RFC 2033 §4.2).
    MessageFor(usize),
}

/// Where a recipient stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// RCPT was not answered.
    Open,
    /// RCPT was answered 2xx.
    Accepted,
    /// It is decided.
    Decided(Fate),
}

/// How the message is being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    /// Not yet, or not any more.
    Not,
    Data,
    Chunks,
}

impl Run {
    /// `chunking`: BDAT may be used. `stale`: the remote has an envelope of before.
    pub(super) fn new(transaction: Transaction, chunking: bool, stale: bool) -> Run {
        let form = match transaction.body {
            BodyType::BinaryMime => Form::Binary,
            BodyType::SevenBit | BodyType::EightBitMime if transaction.chunked && chunking => Form::Lines,
            BodyType::SevenBit | BodyType::EightBitMime => Form::Dots,
        };
        Run {
            next: if stale { Next::Reset } else { Next::Mail },
            waiting: VecDeque::new(),
            standings: vec![Standing::Open; transaction.recipients.len()],
            transaction,
            mail_accepted: false,
            sending: Sending::Not,
            encoder: Encoder::new(form),
            chunk: Vec::new(),
            refusal: None,
            complete: false,
            concluded: false,
            message: None,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.waiting.front() {
            Some(Awaited::Reset) => Phase::Reset,
            Some(Awaited::Mail) => Phase::Mail,
            Some(Awaited::Rcpt(_)) => Phase::Rcpt,
            Some(Awaited::Data | Awaited::LoneDot) => Phase::Data,
            Some(Awaited::Chunk) if !self.complete => Phase::Body,
            Some(Awaited::Chunk | Awaited::Message | Awaited::MessageFor(_)) => Phase::Message,
            None => match self.sending {
                Sending::Not => Phase::Mail,
                Sending::Data | Sending::Chunks => Phase::Body,
            },
        }
    }

    /// RFC 5321 §4.5.3.2.
    pub(super) fn patience(&self, patience: &Patience) -> Duration {
        match self.waiting.front() {
            Some(Awaited::Message | Awaited::MessageFor(_) | Awaited::LoneDot) => patience.message,
            Some(Awaited::Data) => patience.data,
            Some(Awaited::Chunk) if self.complete => patience.message,
            Some(Awaited::Reset | Awaited::Mail | Awaited::Rcpt(_) | Awaited::Chunk) => patience.command,
            None => patience.block,
        }
    }

    /// Whether a recipient waits for the message.
    fn has_accepted(&self) -> bool {
        self.standings.contains(&Standing::Accepted)
    }

    fn decide(&mut self, number: usize, fate: Fate) {
        if let Some(standing @ (Standing::Open | Standing::Accepted)) = self.standings.get_mut(number) {
            *standing = Standing::Decided(fate);
        }
    }

    /// All that are not decided, by a reply that is for all of them.
    fn decide_rest(&mut self, said: &Said) {
        for number in 0..self.standings.len() {
            self.decide(number, Fate::of(said.clone()));
        }
    }

    /// The connection broke.
    pub(super) fn broken(mut self, failure: &Failure) -> Report {
        if let Some(said) = self.refusal.take() {
            self.decide_rest(&said);
        }
        let complete = self.complete;
        let fate = |standing| match standing {
            Standing::Decided(fate) => fate,
            Standing::Accepted if complete => Fate::Unknown(failure.clone()),
            Standing::Open | Standing::Accepted => Fate::Unsent(failure.clone()),
        };
        let recipients = self.standings.into_iter().map(fate).collect();
        Report { recipients, message: self.message, reusable: false }
    }

    /// Whether another command may be said before the replies to those before it came.
    fn may_say(&self, pipelining: bool) -> bool {
        self.waiting.is_empty() || (pipelining && self.waiting.len() < COMMANDS_IN_FLIGHT)
    }

    fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.next == Next::Nothing && self.sending == Sending::Not
    }

    fn rcpt_answered(&mut self, number: usize, said: Said) {
        if self.standings.get(number) != Some(&Standing::Open) {
            return;
        }
        if said.reply.is_positive() {
            self.standings[number] = Standing::Accepted;
            return;
        }
        let fate = match (too_many(&said.reply), self.has_accepted()) {
            (true, true) => Fate::Surplus(said),
            // RFC 5321 §4.5.3.1.10: 552 was once said for 452.
            (true, false) if matches!(said.reply.code(), 452 | 552) => Fate::Deferred(said),
            (true | false, _) => Fate::of(said),
        };
        self.decide(number, fate);
    }
}

/// Whether a reply to RCPT says "too many recipients": by its enhanced code where it has one, else by its code
/// (RFC 5321 §4.5.3.1.10).
fn too_many(reply: &Reply) -> bool {
    match reply.enhanced() {
        Some(Enhanced(_, 5, 3)) => true,
        Some(_) => false,
        None => matches!(reply.code(), 452 | 552),
    }
}

impl Client {
    /// A move inside a transaction, all replies that came being taken.
    pub(super) fn advance_run(&mut self) -> Option<Step> {
        self.say_more();
        let pipelining = self.pipelining();
        let run = self.run.as_ref()?;
        if run.is_over() {
            self.conclude();
            return None;
        }
        let wants_body = match run.sending {
            Sending::Not => false,
            Sending::Data => true,
            Sending::Chunks => run.waiting.len() < if pipelining { CHUNKS_IN_FLIGHT } else { 1 },
        };
        Some(if wants_body { Step::NeedBody } else { Step::Read })
    }

    fn pipelining(&self) -> bool {
        self.settings.pipelining && self.capabilities.pipelining
    }

    /// Says what may be said.
    fn say_more(&mut self) {
        let pipelining = self.pipelining();
        while let Some(run) = &mut self.run {
            if run.next == Next::Nothing || !run.may_say(pipelining) {
                return;
            }
            if run.waiting.is_empty() && self.replies.pending() {
                self.fail(Trouble::Garbled("it spoke out of turn".to_owned()));
                return;
            }
            let (line, awaited) = match run.next {
                Next::Nothing => return,
                Next::Reset => ("RSET".to_owned(), Awaited::Reset),
                Next::Mail => (run.transaction.mail(&self.capabilities), Awaited::Mail),
                Next::Rcpt(number) => (run.transaction.rcpt(number, &self.capabilities), Awaited::Rcpt(number)),
                // RFC 2920 §3.1 lets DATA end a group. Chunks wait: what refuses a BDAT may take its octets for commands.
                Next::Message if run.waiting.is_empty() && !run.has_accepted() => {
                    run.next = Next::Nothing;
                    return;
                }
                Next::Message if run.encoder.form() == Form::Dots => ("DATA".to_owned(), Awaited::Data),
                Next::Message if run.waiting.is_empty() => {
                    (run.sending, run.next) = (Sending::Chunks, Next::Nothing);
                    return;
                }
                Next::Message => return,
            };
            debug_assert!(!line.contains(['\r', '\n']), "a command is one line");
            self.output.extend_from_slice(line.as_bytes());
            self.output.extend_from_slice(b"\r\n");
            run.waiting.push_back(awaited);
            run.next = match run.next {
                Next::Reset => Next::Mail,
                Next::Mail => Next::Rcpt(0),
                Next::Rcpt(number) if number + 1 < run.standings.len() => Next::Rcpt(number + 1),
                Next::Rcpt(_) => Next::Message,
                Next::Message | Next::Nothing => Next::Nothing,
            };
        }
    }

    pub(super) fn run_answered(&mut self, reply: Reply) {
        let phase = self.phase();
        let Some(run) = &mut self.run else { return };
        let Some(awaited) = run.waiting.pop_front() else {
            return self.answered_early(reply);
        };
        let closing = (reply.code() == 421).then(|| reply.clone());
        let said = Said { phase, reply };
        match awaited {
            Awaited::Reset if !said.reply.is_positive() => return self.fail_at(phase, Trouble::Refused(said.reply)),
            Awaited::Reset => {}
            Awaited::Mail if said.reply.is_positive() => run.mail_accepted = true,
            Awaited::Mail => {
                run.decide_rest(&said);
                run.next = Next::Nothing;
            }
            Awaited::Rcpt(number) => run.rcpt_answered(number, said),
            Awaited::Data => self.data_answered(said),
            Awaited::LoneDot => run.concluded = true,
            Awaited::Chunk if said.reply.is_positive() => {}
            Awaited::Chunk => {
                run.refusal.get_or_insert(said);
                (run.sending, run.chunk) = (Sending::Not, Vec::new());
            }
            Awaited::Message => {
                run.concluded = run.encoder.form() == Form::Dots || said.reply.is_positive();
                let ruling = run.refusal.clone().unwrap_or_else(|| said.clone());
                run.decide_rest(&ruling);
                run.message = Some(ruling);
            }
            Awaited::MessageFor(number) => {
                run.concluded = run.encoder.form() == Form::Dots || said.reply.is_positive();
                let ruling = run.refusal.clone().unwrap_or(said);
                run.decide(number, Fate::of(ruling));
            }
        }
        // RFC 5321 §3.8: the remote closes after 421, whatever it answers with it.
        if let Some(reply) = closing {
            self.closing(phase, reply);
        }
    }

    /// 421 was said in a transaction. In LMTP the replies for the other recipients may still follow.
    fn closing(&mut self, phase: Phase, reply: Reply) {
        let more = self.run.as_ref().is_some_and(|run| matches!(run.waiting.front(), Some(Awaited::MessageFor(_))));
        if !more {
            self.fail_at(phase, Trouble::Refused(reply));
        }
    }

    /// Like `fail`, for a reply whose phase is over.
    pub(super) fn fail_at(&mut self, phase: Phase, trouble: Trouble) {
        let failure = Failure { phase, trouble };
        if let Some(run) = self.run.take() {
            self.report = Some(run.broken(&failure));
        }
        self.replies.clear();
        self.state = State::Closed(Some(failure));
    }

    fn data_answered(&mut self, said: Said) {
        let Some(run) = &mut self.run else { return };
        match said.reply.code() / 100 {
            3 if run.has_accepted() => run.sending = Sending::Data,
            // RFC 2920 §3.1: the remote takes a message for nobody; it gets an empty one.
            3 if !self.settings.lmtp => {
                run.waiting.push_back(Awaited::LoneDot);
                self.output.extend_from_slice(b".\r\n");
            }
            2 | 3 => self.fail_at(Phase::Data, Trouble::Garbled(said.reply.to_string())),
            _ => run.decide_rest(&said),
        }
    }

    /// The remote answered the message before its end. A refusal is believed, but the connection is lost: the remote might
    /// take the rest for commands. Anything else is none.
    fn answered_early(&mut self, reply: Reply) {
        let Some(run) = &mut self.run else { return };
        if run.sending == Sending::Not || !(reply.is_transient() || reply.is_permanent()) {
            return self.fail(Trouble::Garbled(reply.to_string()));
        }
        let said = Said { phase: Phase::Body, reply };
        run.decide_rest(&said);
        run.message = Some(said.clone());
        self.fail_at(Phase::Body, Trouble::Refused(said.reply));
    }

    /// All replies came.
    fn conclude(&mut self) {
        let Some(mut run) = self.run.take() else { return };
        if let Some(said) = run.refusal.take() {
            run.decide_rest(&said);
        }
        self.stale_envelope = run.mail_accepted && !run.concluded;
        // No recipient is open any more; if one were, nothing was sent for it.
        let none = Failure { phase: Phase::Mail, trouble: Trouble::Abandoned };
        let mut report = run.broken(&none);
        let used_up = self.capabilities.limits.mail_max.is_some_and(|limit| self.transactions >= limit);
        report.reusable = !used_up && !self.replies.pending();
        self.report = Some(report);
        self.state = State::Ready;
    }
}

/// Commands said before the first of their replies came. The replies to so many fit into the buffers of any connection, so
/// that the remote never waits for us to read while we wait for it to read (RFC 2920 §3.1).
const COMMANDS_IN_FLIGHT: usize = 64;
/// Chunks sent before the reply to the first of them came (RFC 3030 §4.2).
const CHUNKS_IN_FLIGHT: usize = 4;
