//! What verdicts mean, without a database: the rows, what is told, what the story says.

use postroad_queue::{Due, Notify, Outcome, Purpose, Tried};
use postroad_smtp::Enhanced;
use postroad_store::Timestamp;

use super::{Attempt, Settling, Verdict, Words};
use crate::notice::{Fate, Told, Why};
use crate::outbound::classify::{self, Category, Class};
use crate::outbound::schedule::{self, Pace, Schedule};
use crate::outbound::wishes;
use postroad_message::date::{Date, DateTime};

/// What is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) tried: Vec<Tried>,
    /// What the sender is told, in one notice; nothing when there is nobody to tell.
    pub(super) told: Vec<Told>,
    /// Somebody failed for good, and that is told.
    pub(super) fails: bool,
    /// Kind and sentence. The first is about the attempt as a whole and tells it from others.
    pub(super) events: Vec<(&'static str, String)>,
    /// What the refusals mean, each with how many recipients it was said of.
    pub(super) meanings: Vec<(Class, u64)>,
    /// Who does not exist, their hosts say for good, and in what words.
    pub(super) unknown: Vec<(String, String)>,
    /// Who got it.
    pub(super) reached: Vec<String>,
}

impl Plan {
    pub(super) fn of(settling: &Settling, schedule: &Schedule, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let mut events: Vec<(&Attempt, Vec<(&'static str, String)>)> = Vec::new();
        for due in &settling.job.recipients {
            let attempt = settling.attempt_for(due);
            let verdict = settling.verdicts.iter().find(|(number, _)| *number == due.number);
            let verdict = verdict.map_or(&Verdict::NotTried, |(_, verdict)| verdict);
            let one = One { settling, attempt, schedule, now, due };
            let became = match (settling.job.purpose, verdict) {
                (Purpose::Expire, _) => one.expired(one.recalled()),
                (Purpose::TellDelay, _) => one.waits(),
                (Purpose::Send, Verdict::Relayed { words, dsn, in_time }) => one.relayed(words, *dsn, *in_time),
                (Purpose::Send, Verdict::Failed(words)) => one.failed(words),
                (Purpose::Send, Verdict::Deferred(words) | Verdict::Spared(words))
                    if now >= settling.job.message.expires =>
                {
                    one.expired(one.why(words))
                }
                (Purpose::Send, Verdict::Deferred(words)) => one.deferred(words),
                (Purpose::Send, Verdict::Spared(words)) => one.spared(words),
                (Purpose::Send, Verdict::Here { told }) => one.filed(*told),
                (Purpose::Send, Verdict::NotTried) => one.untouched(),
            };
            if let (Purpose::Send, Verdict::Failed(words) | Verdict::Deferred(words)) = (settling.job.purpose, verdict)
            {
                plan.mean(one.class(words));
            }
            plan.learn(&one, verdict);
            let event = plan.add(settling, due, became);
            match events.iter_mut().find(|(other, _)| *other == attempt) {
                Some((_, events)) => events.extend(event),
                None => events.push((attempt, event.into_iter().collect())),
            }
        }
        for (number, (attempt, events)) in events.into_iter().enumerate() {
            plan.events.push(opening(settling, attempt));
            if number == 0 {
                plan.events.extend(settling.notes.iter().map(|note| ("policy", note.clone())));
            }
            plan.events.extend(events);
        }
        let meanings: Vec<String> = plan.meanings.iter().filter_map(|(class, _)| meaning(class)).collect();
        plan.events.extend(meanings.into_iter().map(|meaning| ("meaning", meaning)));
        plan
    }

    /// What it says of addresses to our users, who wrote to them: what was forwarded is not theirs.
    fn learn(&mut self, one: &One<'_>, verdict: &Verdict) {
        let job = &one.settling.job;
        if job.purpose != Purpose::Send || job.via.is_some() || job.message.account.is_none() {
            return;
        }
        match verdict {
            Verdict::Relayed { .. } => self.reached.push(one.due.address.clone()),
            Verdict::Failed(words)
                if words.code.is_some_and(|code| code / 100 == 5)
                    && one.class(words).category == Category::UnknownUser =>
            {
                self.unknown.push((one.due.address.clone(), words.line()));
            }
            Verdict::Failed(_)
            | Verdict::Deferred(_)
            | Verdict::Spared(_)
            | Verdict::Here { .. }
            | Verdict::NotTried => {}
        }
    }

    fn mean(&mut self, class: Class) {
        let room = self.meanings.len() < MEANINGS_MAX;
        match self.meanings.iter_mut().find(|(known, _)| *known == class) {
            Some((_, count)) => *count += 1,
            None if room => self.meanings.push((class, 1)),
            None => {}
        }
    }

    /// For the metrics.
    pub(super) fn count(&self) {
        for (class, count) in &self.meanings {
            metrics::counter!("postroad_outbound_refusals_total", "category" => class.category.name())
                .increment(*count);
        }
    }

    fn add(&mut self, settling: &Settling, due: &Due, became: Became) -> Option<(&'static str, String)> {
        let Became { outcome, reply, fate, event } = became;
        // Once is enough, also for who does not want to hear: the queue asks no more.
        let asked = settling.job.purpose == Purpose::TellDelay;
        let delay_told = due.delay_told || asked || matches!(fate, Some(Fate::Delayed { .. }));
        self.tried.push(Tried { number: due.number, outcome, reply, delay_told });
        // RFC 5321 §4.5.5: a message with the null sender is itself a notice.
        if let Some(fate) = fate.filter(|_| !settling.job.message.sender.is_empty()) {
            self.fails |= matches!(fate, Fate::Failed(_) | Fate::Expired(_));
            let address = name_of(settling, due);
            self.told.push(Told { address, original: due.orcpt.clone(), fate });
        }
        event
    }
}

impl Settling {
    /// Whose words a recipient's verdict has.
    fn attempt_for(&self, due: &Due) -> &Attempt {
        let other = self.elsewhere.iter().find(|(number, _)| *number == due.number);
        other.map_or(&self.attempt, |(_, attempt)| attempt)
    }
}

/// The first event of those at a host.
fn opening(settling: &Settling, attempt: &Attempt) -> (&'static str, String) {
    let job = &settling.job;
    let Attempt { host, address, tls, policy } = attempt;
    let what = format!("{} for {}", job.message.id, job.domain);
    match job.purpose {
        Purpose::Expire => return ("expired", format!("{what}: it was tried for as long as mail is tried")),
        Purpose::TellDelay => return ("delayed", format!("{what}: its sender is to be told")),
        Purpose::Send => {}
    }
    let host = host.as_deref();
    let with = match (host, address) {
        (Some(host), Some(address)) => format!("{host} at {address}"),
        (None, Some(address)) => address.to_string(),
        (Some(host), None) => format!("{host}, no connection"),
        (None, None) => "no host".to_owned(),
    };
    let how = match (tls, address) {
        (Some(tls), _) => format!(", {tls}"),
        (None, Some(_)) => ", in clear".to_owned(),
        (None, None) => String::new(),
    };
    let policy = policy.as_ref().map(|policy| format!("; by {policy}")).unwrap_or_default();
    ("attempt", format!("{what}: {with}{how}{policy}"))
}

/// What a refusal means, for the administrator who reads the story; nothing where the words themselves are all there is.
fn meaning(class: &Class) -> Option<String> {
    if matches!(class.category, Category::Temporary | Category::Unreachable | Category::Other) {
        return None;
    }
    let words = [class.what, class.remedy].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
    Some(format!("{}: {words} Known from {}.", class.category.name(), class.source))
}

/// Who a notice speaks of: behind an address of ours, that address as the sender wrote it.
fn name_of(settling: &Settling, due: &Due) -> String {
    let Some(via) = &settling.job.via else { return due.address.clone() };
    let written = due.orcpt.as_deref().and_then(|orcpt| orcpt.split_once(';'));
    let written = written.filter(|(kind, _)| kind.eq_ignore_ascii_case("rfc822") || kind.eq_ignore_ascii_case("utf-8"));
    written.map_or_else(|| via.clone(), |(_, address)| address.to_owned())
}

/// One recipient of the job.
struct One<'a> {
    settling: &'a Settling,
    attempt: &'a Attempt,
    schedule: &'a Schedule,
    now: Timestamp,
    due: &'a Due,
}

/// What it became.
struct Became {
    outcome: Outcome,
    reply: Option<String>,
    fate: Option<Fate>,
    event: Option<(&'static str, String)>,
}

impl One<'_> {
    /// RFC 3461 §5.2.2: whoever wants to hear of success hears that the next host does not tell. RFC 2852 §4.1.4: so does
    /// whoever wants to trace it, and whoever set a time that is not over, where the next host does not keep it.
    fn relayed(&self, words: &Words, dsn: bool, in_time: bool) -> Became {
        let by = self.settling.job.message.deliver_by;
        let is_timed = by.is_some_and(|by| by.trace || (!in_time && !by.returns && self.now < by.at));
        let wanted = (self.due.notify.success && !dsn) || (is_timed && self.due.notify != Notify::NEVER);
        let fate = wanted.then(|| Fate::Relayed(self.why(words)));
        self.ended(if dsn { Outcome::Delivered } else { Outcome::Relayed }, "sent", words, fate)
    }

    fn failed(&self, words: &Words) -> Became {
        let fate = self.due.notify.failure.then(|| Fate::Failed(self.why(words)));
        self.ended(Outcome::Failed, "failed", words, fate)
    }

    fn ended(&self, outcome: Outcome, kind: &'static str, words: &Words, fate: Option<Fate>) -> Became {
        let reply = self.reply(words);
        let event = format!("{}: {} ({})", self.due.address, words.line(), words.after);
        Became { outcome, reply: Some(reply), fate, event: Some((kind, event)) }
    }

    fn expired(&self, why: Why) -> Became {
        let event = format!("{}: given up; last: {}", self.due.address, why.words.line());
        // RFC 2852 §4.1.4: it goes back because its time is over, and with that status.
        let late = wishes::too_late(&self.settling.job.message, self.now);
        let fate = self.due.notify.failure.then(|| match late {
            Some(words) => {
                let text = format!("{}; last: {}", words.text, why.words.line());
                Fate::Failed(Why { words: Words { text, ..words }, ..why })
            }
            None => Fate::Expired(why),
        });
        Became { outcome: Outcome::Failed, reply: None, fate, event: Some(("failed", event)) }
    }

    fn deferred(&self, words: &Words) -> Became {
        let attempts = self.due.attempts.saturating_add(1);
        let random = self.settling.random ^ scattered(self.settling.job.message.id.0);
        let next = schedule::next(attempts, Pace::of(self.class(words).category), self.now, random);
        let until = next.min(self.settling.job.message.expires);
        // Who wants to hear when it is late hears then.
        let until = self.told_at().map_or(until, |at| until.min(at));
        let event = format!("{}: {} ({}); next try {}", self.due.address, words.line(), words.after, date(until));
        let fate = self.is_late().then(|| self.delay(self.why(words)));
        let reply = Some(self.reply(words));
        Became { outcome: Outcome::Deferred { until }, reply, fate, event: Some(("deferred", event)) }
    }

    /// It was not tried, because its hosts have just failed for others.
    fn spared(&self, words: &Words) -> Became {
        let event = format!("{}: {}; not tried again for this message yet", self.due.address, words.line());
        let fate = self.is_late().then(|| self.delay(self.why(words)));
        Became { outcome: Outcome::Unattempted, reply: Some(self.reply(words)), fate, event: Some(("deferred", event)) }
    }

    /// It was not tried, because its destination is known to be away; the sender hears of it all the same.
    fn waits(&self) -> Became {
        let why = self.recalled();
        let event = format!("{}: waits; last: {}", self.due.address, why.words.line());
        let wanted = self.due.notify.delay && !self.due.delay_told;
        let fate = wanted.then(|| self.delay(why));
        Became { outcome: Outcome::Unattempted, reply: None, fate, event: Some(("waits", event)) }
    }

    fn filed(&self, told: bool) -> Became {
        let fate = (told && self.due.notify.success).then_some(Fate::Delivered);
        let event = ("released", format!("{}: its time has come, and it is here", self.due.address));
        Became { outcome: Outcome::Delivered, reply: None, fate, event: Some(event) }
    }

    fn class(&self, words: &Words) -> Class {
        let enhanced = (words.coded || words.code.is_none()).then_some(words.enhanced);
        classify::classify(words.code, enhanced, &words.text, self.attempt.host.as_deref())
    }

    fn untouched(&self) -> Became {
        Became { outcome: Outcome::Unattempted, reply: None, fate: None, event: None }
    }

    fn delay(&self, why: Why) -> Fate {
        let message = &self.settling.job.message;
        let in_time = message.deliver_by.is_some_and(|by| !by.returns && self.now >= by.at);
        Fate::Delayed { why, until: message.expires, in_time }
    }

    /// When the sender is to hear that it is late, if that lies ahead (RFC 2852 §4.1.4).
    fn told_at(&self) -> Option<Timestamp> {
        let by = self.settling.job.message.deliver_by.filter(|by| !by.returns && by.at > self.now)?;
        (self.due.notify.delay && !self.due.delay_told).then_some(by.at)
    }

    /// Whether it is time to tell of the delay: since it was to be sent first, which is not when it came in for what was
    /// held back on purpose.
    fn is_late(&self) -> bool {
        let message = &self.settling.job.message;
        let since = Timestamp(message.expires.0 - i64::try_from(self.schedule.lifetime.as_micros()).unwrap_or(0))
            .max(message.created);
        let is_over = message.deliver_by.is_some_and(|by| !by.returns && self.now >= by.at);
        let is_long = self.now >= since.plus(self.schedule.delay_notice);
        self.due.notify.delay && !self.due.delay_told && (is_long || is_over)
    }

    fn why(&self, words: &Words) -> Why {
        let text = match &self.settling.job.via {
            Some(_) => without(&words.text, &self.due.address, &name_of(self.settling, self.due)),
            None => words.text.clone(),
        };
        let host = self.attempt.host.clone();
        Why { words: Words { text, ..words.clone() }, host, at: Some(self.now) }
    }

    /// The words of the last attempt, as the queue remembers them.
    fn recalled(&self) -> Why {
        let Some(reply) = self.due.last_reply.as_deref() else {
            let text = "It could not be sent yet.";
            return Why { words: Words::ours((4, 4, 0), text, "waiting"), host: None, at: None };
        };
        let why = recall(reply);
        match &self.settling.job.via {
            Some(_) => {
                let text = without(&why.words.text, &self.due.address, &name_of(self.settling, self.due));
                Why { words: Words { text, ..why.words }, ..why }
            }
            None => why,
        }
    }

    /// For the queue, to be shown and to be recalled.
    fn reply(&self, words: &Words) -> String {
        match &self.attempt.host {
            Some(host) => format!("{} ({host})", words.line()),
            None => words.line(),
        }
    }
}

/// The inverse of [`One::reply`].
fn recall(reply: &str) -> Why {
    let (line, host) = match reply.strip_suffix(')').and_then(|inner| inner.rsplit_once(" (")) {
        Some((line, host)) if !host.is_empty() && !host.contains(' ') => (line, Some(host.to_owned())),
        Some(_) | None => (reply, None),
    };
    let code = line.split_once(' ').and_then(|(code, rest)| Some((code.parse::<u16>().ok()?, rest)));
    let words = match code.filter(|(code, _)| (200..600).contains(code)) {
        None => Words::ours((4, 4, 0), line, "the last attempt"),
        Some((code, rest)) => {
            let enhanced = rest.split_once(' ').and_then(|(first, rest)| Some((enhanced(first)?, rest)));
            match enhanced {
                Some((enhanced, text)) => Words::said(code, Some(enhanced), text, "the last attempt"),
                None => Words::said(code, None, rest, "the last attempt"),
            }
        }
    };
    Why { words, host, at: None }
}

fn enhanced(text: &str) -> Option<Enhanced> {
    let mut parts = text.splitn(3, '.');
    let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Enhanced(class.parse().ok()?, subject.parse().ok()?, detail.parse().ok()?))
}

/// A text with another name for an address, in whatever case it was written.
fn without(text: &str, address: &str, name: &str) -> String {
    let (lower, wanted) = (text.to_ascii_lowercase(), address.to_ascii_lowercase());
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = lower[at..].find(&wanted) {
        out.push_str(&text[at..at + found]);
        out.push_str(name);
        at += found + wanted.len();
    }
    out.push_str(&text[at..]);
    out
}

/// Different refusals that are told of one attempt.
const MEANINGS_MAX: usize = 20;

/// The messages of one attempt have one random value; each gets bits of its own.
fn scattered(id: i64) -> u64 {
    id.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// As the times of stories are shown: in UTC, to the second.
pub(super) fn date(at: Timestamp) -> String {
    let Date { year, month, day } = DateTime::utc(at.0).local_date();
    let seconds = at.0.div_euclid(1_000_000).rem_euclid(24 * 60 * 60);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
