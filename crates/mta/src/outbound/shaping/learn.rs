//! What hosts say, as it changes how they are spoken with.

use std::net::IpAddr;

use postroad_smtp::Enhanced;

use super::Shape;
use crate::outbound::attempt::Carrier;
use crate::outbound::classify::{self, Category};
use crate::outbound::settle::Verdict;
use crate::outbound::trip::Trip;

/// Kinds of answers that one transaction is learned from.
const LEARNED_MAX: usize = 20;

impl Carrier {
    /// After a transaction: who was answered for in it has their verdict from `answered` on; `is_news`: the others were told
    /// something by it.
    pub(in crate::outbound) fn hear(
        &self,
        shape: &Shape,
        from: Option<IpAddr>,
        host: &str,
        (answered, is_news): (usize, bool),
        trip: &mut Trip<'_>,
    ) {
        let verdicts: Vec<Verdict> = trip.answers_from(answered, is_news);
        if verdicts.iter().any(|verdict| matches!(verdict, Verdict::Relayed { .. })) {
            self.shaping.taken(shape, from, (self.clock)());
        }
        let verdicts: Vec<&Verdict> = verdicts.iter().take(LEARNED_MAX).collect();
        self.learn(shape, from, host, &verdicts, trip);
    }

    pub(in crate::outbound) fn learn(
        &self,
        shape: &Shape,
        from: Option<IpAddr>,
        host: &str,
        verdicts: &[&Verdict],
        trip: &mut Trip<'_>,
    ) {
        for verdict in verdicts {
            let (Verdict::Deferred(words) | Verdict::Failed(words)) = verdict else { continue };
            // What nobody said tells nothing.
            if words.code.is_none() {
                continue;
            }
            let Enhanced(_, subject, _) = words.enhanced;
            let enhanced = words.coded.then_some(words.enhanced);
            let category = classify::classify(words.code, enhanced, &words.text, Some(host)).category;
            // RFC 3463 §3.3: of a mailbox, not of us.
            let is_of_one = category == Category::Rate && words.coded && subject == 2;
            if is_of_one {
                continue;
            }
            if let Some(told) = self.shaping.heard(shape, from, category, &words.line(), (self.clock)()) {
                trip.notes.push(told);
                return;
            }
        }
    }
}
