//! How the queue is shown: text that lines up for people, data for programs.

use std::collections::{BTreeMap, HashMap};

use postroad_mta::outbound::classify::{Class, classify_line};
use postroad_queue::{Depth, Destination, Listed, ListedRecipient, Message, Route, State};
use postroad_store::Timestamp;
use serde_json::{Value, json};

use super::size;
use crate::admin::answer::aligned;
use crate::admin::time::shown;

/// What was found, and when.
pub(super) struct Look {
    pub(super) messages: Vec<Listed>,
    /// Whether there may be more messages behind these.
    pub(super) more: bool,
    pub(super) known: HashMap<String, Destination>,
    pub(super) destinations: Vec<Destination>,
    /// All routes, where one message is shown; else none.
    pub(super) routes: Vec<Route>,
    pub(super) depth: Depth,
    pub(super) now: Timestamp,
}

impl Look {
    /// A line for each message, destination and state.
    pub(super) fn list(&self) -> String {
        if self.messages.is_empty() {
            let all = counted(self.depth.recipients, self.depth.messages);
            return match self.depth.recipients {
                0 => "the queue is empty\n".to_owned(),
                _ => format!("nothing in the queue is like that; in all there are {all}\n"),
            };
        }
        let heads = ["ID", "AGE", "SIZE", "FROM", "TO", "STATE", "NEXT TRY", "LAST REPLY"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        for listed in &self.messages {
            let message = &listed.message;
            for group in groups(&listed.recipients) {
                rows.push(vec![
                    message.id.to_string(),
                    age(message.created, self.now),
                    size(message.size),
                    short(&sender(message)),
                    to(&group),
                    word(group[0].state).to_owned(),
                    self.next_try(group[0]),
                    cut(&self.reply(group[0]).unwrap_or_default()),
                ]);
            }
        }
        let mut text = aligned(&rows);
        text.push_str(&self.summary());
        text.push_str(&self.unreachable());
        text
    }

    /// How much there is, and how to see more.
    fn summary(&self) -> String {
        let mut text = format!("\nin the queue: {}", counted(self.depth.recipients, self.depth.messages));
        if let Some(oldest) = self.depth.oldest {
            text.push_str(&format!("; the oldest came in {} ago", age(oldest, self.now)));
        }
        text.push('\n');
        if let (true, Some(last)) = (self.more, self.messages.last()) {
            text.push_str(&format!("there are more: ask the same with --after {}\n", last.message.id));
        }
        text.push_str("one of them: postroad queue show ID\n");
        text
    }

    /// Destinations that cannot be reached.
    fn unreachable(&self) -> String {
        let blocked: Vec<&Destination> =
            self.destinations.iter().filter(|destination| destination.failures > 0).collect();
        let Some(first) = blocked.first() else { return String::new() };
        let mut rows = vec![["UNREACHABLE", "SINCE", "TRIES", "NEXT TRY", "WHY"].map(str::to_owned).to_vec()];
        rows.extend(blocked.iter().take(DESTINATIONS_SHOWN).map(|destination| {
            vec![
                destination.domain.clone(),
                age(destination.since, self.now),
                destination.failures.to_string(),
                until(destination.not_before, self.now),
                cut(&plain(destination.why.as_deref().unwrap_or("-"))),
            ]
        }));
        let more = match blocked.len().saturating_sub(DESTINATIONS_SHOWN) {
            0 => String::new(),
            more => format!("and {more} more\n"),
        };
        format!("\n{}{more}try one now: postroad queue retry --domain {}\n", aligned(&rows), first.domain)
    }

    /// Each message with all that is known of it.
    pub(super) fn show(&self) -> String {
        self.messages.iter().map(|listed| self.one(listed)).collect::<Vec<_>>().join("\n")
    }

    fn one(&self, listed: &Listed) -> String {
        let message = &listed.message;
        let moment = |time: Timestamp, words: String| format!("{} ({words})", shown(time));
        let mut facts = vec![
            ("id", message.id.to_string()),
            ("from", sender(message)),
            ("size", size(message.size)),
            ("came in", moment(message.created, format!("{} ago", age(message.created, self.now)))),
            ("tried until", moment(message.expires, until(message.expires, self.now))),
        ];
        facts.extend(message.hold_until.filter(|until| *until > self.now).map(|until_then| {
            ("held until", moment(until_then, format!("{}, its sender wishes", until(until_then, self.now))))
        }));
        facts.extend(message.deliver_by.map(|by| {
            let else_what = if by.returns { "else it goes back" } else { "else its sender is told" };
            ("deliver by", moment(by.at, format!("{}, {else_what}", until(by.at, self.now))))
        }));
        if message.priority != 0 {
            facts.push(("priority", message.priority.to_string()));
        }
        facts.extend(message.envid.iter().map(|envid| ("envelope id", plain(envid))));
        facts.extend(message.trace.map(|trace| ("story", format!("postroad trace {trace}"))));
        let routes = self.routes_of(listed);
        facts.extend(routes.iter().map(|route| {
            let Route { domain, host, port, tls, .. } = route;
            let whose = if domain == "*" { "all mail without a route of its own" } else { domain };
            ("route", format!("{whose} goes to {host} port {port}, tls {}", tls.name()))
        }));
        let facts: Vec<Vec<String>> = facts.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
        let mut rows = vec![["TO", "STATE", "TRIES", "NEXT TRY", "LAST REPLY"].map(str::to_owned).to_vec()];
        rows.extend(listed.recipients.iter().map(|one| {
            let by = one.via.as_ref().map_or(String::new(), |via| format!(" (forwarded by {})", plain(via)));
            let reply = self.reply(one).unwrap_or_else(|| "-".to_owned());
            let to = plain(&one.address) + &by;
            vec![to, word(one.state).to_owned(), one.attempts.to_string(), self.next_try(one), reply]
        }));
        format!("{}\n{}{}{}", aligned(&facts), aligned(&rows), self.meanings(listed), self.next_steps(listed))
    }

    /// What the refusals mean, each once, and what can be done.
    fn meanings(&self, listed: &Listed) -> String {
        let mut told: Vec<Class> = Vec::new();
        for one in &listed.recipients {
            let class = one.last_reply.as_deref().and_then(classify_line);
            let class = class.filter(|class| !class.what.is_empty() && !told.contains(class));
            told.extend(class);
        }
        let lines = told.iter().map(|class| {
            let Class { what, remedy, source, .. } = class;
            let remedy = if remedy.is_empty() { String::new() } else { format!(" {remedy}") };
            format!("\n{}: {what}{remedy} [{source}]", class.category.name())
        });
        let text: String = lines.collect();
        if text.is_empty() { text } else { format!("{text}\n") }
    }

    /// The routes that recipients of a message take.
    fn routes_of(&self, listed: &Listed) -> Vec<&Route> {
        let is_for = |route: &Route, domain: &str| route.domain == domain;
        let own = |domain: &str| self.routes.iter().any(|route| is_for(route, domain));
        let taken = |route: &&Route| {
            let mut domains = listed.recipients.iter().map(|one| one.domain.as_str());
            domains.any(|domain| is_for(route, domain) || (route.domain == "*" && !own(domain)))
        };
        self.routes.iter().filter(taken).collect()
    }

    fn next_steps(&self, listed: &Listed) -> String {
        let id = listed.message.id;
        let has = |states: &[State]| listed.recipients.iter().any(|one| states.contains(&one.state));
        let mut steps = String::new();
        if has(&[State::Waiting, State::Parked, State::Backlog]) {
            steps.push_str(&format!("\ntry now: postroad queue retry {id}"));
            steps.push_str(&format!("\nkeep it here: postroad queue hold {id}"));
        }
        if let Some(route) = self.routes_of(listed).first() {
            steps.push_str(&format!("\nsend it another way: postroad route add '{}' HOST", route.domain));
        }
        if has(&[State::Held]) {
            steps.push_str(&format!("\nsend it: postroad queue release {id}"));
        }
        if has(&[State::Waiting, State::Parked, State::Backlog, State::Held]) {
            steps.push_str(&format!("\nnever send it: postroad queue cancel {id}\n"));
        }
        steps
    }

    fn next_try(&self, one: &ListedRecipient) -> String {
        self.due(one).map_or_else(|| "-".to_owned(), |due| until(due, self.now))
    }

    /// When it is tried; `None` when it is being sent, held or ended.
    fn due(&self, one: &ListedRecipient) -> Option<Timestamp> {
        match one.state {
            State::Waiting => Some(one.due),
            State::Parked => Some(self.known.get(&one.domain).map_or(self.now, |known| known.not_before)),
            State::Backlog => Some(self.now),
            State::Claimed | State::Held | State::Delivered | State::Relayed | State::Failed | State::Cancelled => None,
        }
    }

    /// Why it waits though its destination works; else the last reply, or for what was never tried, why its destination cannot
    /// be reached.
    fn reply(&self, one: &ListedRecipient) -> Option<String> {
        self.rests(one).or_else(|| self.said(one))
    }

    fn said(&self, one: &ListedRecipient) -> Option<String> {
        let why = || self.known_of(one).and_then(|known| known.why.as_deref());
        one.last_reply.as_deref().or_else(why).map(|reply| plain(said_once(reply)))
    }

    /// What is known of the destination of what waits with it.
    fn known_of(&self, one: &ListedRecipient) -> Option<&Destination> {
        self.known.get(&one.domain).filter(|_| one.state == State::Parked)
    }

    fn rests(&self, one: &ListedRecipient) -> Option<String> {
        if one.state == State::Backlog {
            return Some("its sender has so much to send that others go first".to_owned());
        }
        let known = self.known_of(one).filter(|known| known.failures == 0)?;
        let rests = known.rests.as_deref().unwrap_or("as much as may be at once is being sent there");
        Some(plain(rests))
    }

    /// The same with the time, for programs.
    fn waits(&self, one: &ListedRecipient) -> Option<String> {
        let backed_off = || {
            let known = self.known_of(one)?;
            let (until, why) = (shown(known.not_before.max(self.now)), known.why.as_deref()?);
            Some(format!("backed off until {until} since {}", plain(said_once(why))))
        };
        self.rests(one).or_else(backed_off)
    }

    /// For programs.
    pub(super) fn data(&self) -> Value {
        let recipient = |one: &ListedRecipient| {
            json!({
                "address": one.address, "domain": one.domain, "via": one.via, "state": word(one.state),
                "next-try": self.due(one).map(|due| shown(due.max(self.now))), "tries": one.attempts,
                "delay-told": one.delay_told, "waits-for": self.waits(one), "last-reply": self.said(one),
                "node": one.node,
                "category": one.last_reply.as_deref().and_then(classify_line).map(|class| class.category.name()),
            })
        };
        let message = |listed: &Listed| {
            let message = &listed.message;
            json!({
                "id": message.id.to_string(), "trace": message.trace.map(|trace| trace.to_string()),
                "sender": message.sender, "size": message.size, "came-in": shown(message.created),
                "tried-until": shown(message.expires), "envelope-id": message.envid, "open": listed.open,
                "held-until": message.hold_until.filter(|until| *until > self.now).map(shown),
                "deliver-by": message.deliver_by.map(|by| shown(by.at)), "priority": message.priority,
                "recipients": listed.recipients.iter().map(recipient).collect::<Vec<_>>(),
            })
        };
        let destination = |destination: &Destination| {
            json!({
                "domain": destination.domain, "since": shown(destination.since), "tries": destination.failures,
                "next-try": shown(destination.not_before), "why": destination.why,
            })
        };
        let blocked = self.destinations.iter().filter(|destination| destination.failures > 0);
        json!({
            "messages": self.messages.iter().map(message).collect::<Vec<_>>(),
            "next": self.messages.last().filter(|_| self.more).map(|last| last.message.id.to_string()),
            "unreachable": blocked.map(destination).collect::<Vec<_>>(),
            "depth": {
                "messages": self.depth.messages, "recipients": self.depth.recipients,
                "oldest": self.depth.oldest.map(shown),
            },
        })
    }
}

/// `3 recipients of 2 messages`.
pub(super) fn counted(recipients: u64, messages: u64) -> String {
    let many = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    format!("{} of {}", many(recipients, "recipient"), many(messages, "message"))
}

/// Recipients of one destination in one state, the first to be tried first.
fn groups(recipients: &[ListedRecipient]) -> Vec<Vec<&ListedRecipient>> {
    let mut groups: BTreeMap<(&str, State), Vec<&ListedRecipient>> = BTreeMap::new();
    for one in recipients {
        groups.entry((&one.domain, one.state)).or_default().push(one);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.iter_mut().for_each(|group| group.sort_by_key(|one| (one.due, one.number)));
    groups.sort_by_key(|group| group.iter().map(|one| one.number).min());
    groups
}

fn to(group: &[&ListedRecipient]) -> String {
    let first = short(&plain(&group[0].address));
    if group.len() == 1 { first } else { format!("{first} +{}", group.len() - 1) }
}

fn sender(message: &Message) -> String {
    if message.sender.is_empty() { "<>".to_owned() } else { plain(&message.sender) }
}

fn word(state: State) -> &'static str {
    match state {
        State::Claimed => "sending",
        State::Waiting
        | State::Parked
        | State::Backlog
        | State::Held
        | State::Delivered
        | State::Relayed
        | State::Failed
        | State::Cancelled => state.name(),
    }
}

/// `now`, or `in 12m`.
fn until(time: Timestamp, now: Timestamp) -> String {
    if time <= now { "now".to_owned() } else { format!("in {}", age(now, time)) }
}

/// From one moment to another: `40s`, `3m`, `5h`, `2d`; the largest unit that is there at least once.
fn age(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.0.saturating_sub(from.0).max(0) / 1_000_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// What strangers said, as it may be shown on a terminal: no control characters and no marks of direction.
fn plain(text: &str) -> String {
    let harmless = |sign: char| match sign {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        sign if sign.is_control() => '\u{fffd}',
        sign => sign,
    };
    text.chars().map(harmless).collect()
}

/// Without the host behind it, where the sentence names that host already.
fn said_once(reply: &str) -> &str {
    let split = reply.strip_suffix(')').and_then(|reply| reply.rsplit_once(" ("));
    split.filter(|(sentence, host)| sentence.contains(host)).map_or(reply, |(sentence, _)| sentence)
}

/// An address of at most [`ADDRESS_SHOWN`] signs: of a longer one the middle is left out.
fn short(address: &str) -> String {
    let signs = address.chars().count();
    if signs <= ADDRESS_SHOWN {
        return address.to_owned();
    }
    let half = ADDRESS_SHOWN / 2;
    let (head, tail) = (address.chars().take(half), address.chars().skip(signs - half + 1));
    head.chain(['…']).chain(tail).collect()
}

/// Not all of a long reply.
fn cut(text: &str) -> String {
    match text.char_indices().nth(REPLY_SHOWN) {
        Some((place, _)) => format!("{}…", &text[..place]),
        None => text.to_owned(),
    }
}

/// Signs of an address shown in a list.
const ADDRESS_SHOWN: usize = 44;
/// Signs of a reply shown in a list.
const REPLY_SHOWN: usize = 80;
/// Destinations shown below a list.
const DESTINATIONS_SHOWN: usize = 10;

#[cfg(test)]
mod tests;
