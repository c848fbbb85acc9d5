//! Where the message of one attempt stands: who has an answer, whose words they are, and what the others become.
//!
//! Standards: RFC 5321 §3.8 (421).

use std::time::Duration;

use postroad_queue::Job;
use postroad_smtp::Address;
use postroad_smtp::client::{self, Fate, Phase, Trouble};

use super::attempt::{Reach, Tried};
use super::halt::Halt;
use super::settle::{Attempt, Verdict, Words};
use super::source::Source;
use super::targets::Way;
use super::words;

/// Where the message of an attempt stands.
pub(super) struct Trip<'a> {
    pub(super) job: &'a Job,
    pub(super) halt: &'a Halt,
    pub(super) way: Way,
    pub(super) source: Source,
    /// The sender that it leaves with, where that is not its own.
    pub(super) sender: Option<Address>,
    /// Indexes of the recipients that nobody has answered for.
    pub(super) pending: Vec<usize>,
    pub(super) verdicts: Vec<(i64, Verdict)>,
    /// Who answered for whom.
    pub(super) answered: Vec<(i64, Attempt)>,
    pub(super) attempt: Attempt,
    /// What the pending ones become when no further host helps, and whose words that are.
    pub(super) last: Option<(Verdict, Attempt)>,
    /// A connection was used, or tried to be made.
    pub(super) tried: bool,
    /// A host had no time for so long, and why.
    pub(super) put_off: Option<(Duration, String)>,
    pub(super) reached: bool,
    /// A host was silent for so long that other mail need not try it now.
    pub(super) stalled: bool,
    /// The message cannot be read: no host can help.
    pub(super) unreadable: bool,
    /// A host was left out, or left, because of what this message is to be protected by.
    pub(super) withheld: bool,
    pub(super) notes: Vec<String>,
}

impl Trip<'_> {
    /// REQUIRETLS.
    pub(super) fn requires_tls(&self) -> bool {
        self.job.message.requiretls
    }

    /// A recipient has its verdict.
    pub(super) fn answer(&mut self, index: usize, verdict: Verdict) {
        let number = self.job.recipients[index].number;
        self.pending.retain(|other| *other != index);
        self.verdicts.push((number, verdict));
        self.answered.push((number, self.attempt.clone()));
    }

    /// The verdicts since there were so many; with what was said to those who have none yet, if that is news.
    pub(super) fn answers_from(&self, before: usize, is_news: bool) -> Vec<Verdict> {
        let answered = self.verdicts.iter().skip(before).map(|(_, verdict)| verdict.clone());
        answered.chain(self.last.iter().filter(|_| is_news).map(|(verdict, _)| verdict.clone())).collect()
    }

    /// For how many recipients a host has taken the message.
    pub(super) fn taken(&self) -> usize {
        self.verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Relayed { .. })).count()
    }

    /// No host is of use any more.
    pub(super) fn is_over(&self) -> bool {
        self.pending.is_empty() || self.unreadable || self.halt.is_pulled()
    }

    /// Takes a transaction's fates. True when it failed as a whole, because the connection ended before the host could
    /// have taken anything.
    pub(super) fn take(&mut self, chunk: &[usize], fates: Vec<Fate>, dsn: bool, in_time: bool) -> bool {
        let mut unsent = 0;
        for (index, fate) in chunk.iter().copied().zip(fates) {
            match fate {
                Fate::Accepted(said) => {
                    self.answer(index, Verdict::Relayed { words: words::said(&said), dsn, in_time });
                }
                Fate::Refused(said) => self.answer(index, Verdict::Failed(words::said(&said))),
                // RFC 5321 §3.8: it goes away; the next host may stay.
                Fate::Deferred(said) if said.reply.code() == 421 => {
                    unsent += usize::from(matches!(said.phase, Phase::Reset | Phase::Mail | Phase::Rcpt));
                    self.trouble(words::said(&said));
                }
                Fate::Deferred(said) => self.answer(index, Verdict::Deferred(words::said(&said))),
                // Its turn comes in the next transaction.
                Fate::Surplus(said) => self.set(Verdict::Deferred(words::said(&said))),
                Fate::Unsent(failure) => {
                    unsent += 1;
                    self.stalled |= silence(&Fate::Unsent(failure.clone())).is_some();
                    match failure.trouble {
                        Trouble::Abandoned => self.set(Verdict::NotTried),
                        _ => self.trouble(words::failure(&failure)),
                    }
                }
                Fate::Unknown(failure) => self.answer(index, Verdict::Deferred(words::failure(&failure))),
            }
        }
        unsent == chunk.len()
    }

    /// Whether there are answers, and all of them are "later".
    pub(super) fn put_off_only(&self) -> bool {
        let later = |verdict: &Verdict| matches!(verdict, Verdict::Deferred(_));
        !self.verdicts.is_empty() && self.verdicts.iter().all(|(_, verdict)| later(verdict))
    }

    /// Something that another host or another time may do better.
    pub(super) fn trouble(&mut self, words: Words) {
        self.note(Verdict::Deferred(words));
    }

    /// What the pending ones become if no host does better: what may change outweighs what will not.
    pub(super) fn note(&mut self, verdict: Verdict) {
        if matches!((&self.last, &verdict), (Some((Verdict::Deferred(_), _)), Verdict::Failed(_))) {
            return;
        }
        self.set(verdict);
    }

    fn set(&mut self, verdict: Verdict) {
        self.last = Some((verdict, self.attempt.clone()));
    }

    pub(super) fn end(mut self) -> Tried {
        let late = self.halt.is_late();
        if late && !self.pending.is_empty() {
            let text = "The attempt took too long: the next host is too slow";
            self.set(Verdict::Deferred(Words::ours((4, 4, 2), text, "sending")));
        }
        // One that does not even answer MAIL would hold up a place for each message.
        let stalled = (self.stalled || late) && self.verdicts.is_empty();
        let (verdict, attempt) = self.last.take().unwrap_or((Verdict::NotTried, self.attempt.clone()));
        let is_put_off = self.put_off.is_some();
        let (last, reach) = match (verdict, self.put_off.take()) {
            (verdict, _) if self.reached && !stalled => (verdict, Reach::Reached),
            // Who has just failed and who has no time: the second may take it soon.
            (_, Some((wait, why))) if self.verdicts.is_empty() => (Verdict::NotTried, Reach::Crowded(wait, why)),
            // Nothing is wrong with the hosts, and a policy concerns each message by itself.
            (verdict, _) if self.withheld => (verdict, Reach::Withheld),
            (Verdict::Deferred(words), _) if !self.tried => {
                let reach = Reach::Spared(words.text.clone());
                (Verdict::Spared(words), reach)
            }
            (Verdict::Deferred(words), _) => {
                let reach = Reach::Unreachable(words.text.clone());
                (Verdict::Deferred(words), reach)
            }
            (verdict, _) => (verdict, Reach::Unknown),
        };
        let last = if (self.halt.is_pulled() && !late) || is_put_off { Verdict::NotTried } else { last };
        for index in std::mem::take(&mut self.pending) {
            let number = self.job.recipients[index].number;
            self.verdicts.push((number, last.clone()));
            self.answered.push((number, attempt.clone()));
        }
        // The attempt is with the host of the last verdict; what others said is told beside it.
        let attempt = self.answered.last().map_or(self.attempt, |(_, attempt)| attempt.clone());
        self.answered.retain(|(_, other)| *other != attempt);
        Tried { attempt, elsewhere: self.answered, verdicts: self.verdicts, reach, notes: self.notes }
    }
}

/// A host that does not even answer MAIL.
pub(super) fn silence(fate: &Fate) -> Option<&client::Failure> {
    match fate {
        Fate::Unsent(failure) if failure.trouble == Trouble::TimedOut && failure.phase == Phase::Mail => Some(failure),
        Fate::Accepted(_)
        | Fate::Refused(_)
        | Fate::Deferred(_)
        | Fate::Surplus(_)
        | Fate::Unsent(_)
        | Fate::Unknown(_) => None,
    }
}
