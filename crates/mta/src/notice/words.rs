//! The part of a notice for people, and its subject: what happened, the other side's own words, what to do next.

use postroad_message::date::DateTime;
use postroad_smtp::Enhanced;
use postroad_store::Timestamp;

use super::{Fate, Report, Told, Why};
use crate::outbound::classify::{Category, Class, classify};

/// The subject. It ends with the message's own, so that the two stand together in a list; not to strangers, who could
/// have us write it to others.
pub(super) fn subject(report: &Report) -> String {
    let kind = Kind::ALL.into_iter().find(|kind| report.told.iter().any(|told| kind.of(&told.fate)));
    let (short, alone) = match kind {
        Some(Kind::Failed) => ("Not delivered", "Your message was not delivered"),
        Some(Kind::Delayed) => ("Not delivered yet", "Your message is not delivered yet"),
        Some(Kind::Relayed) => ("Sent on", "Your message was sent on"),
        Some(Kind::Delivered) | None => ("Delivered", "Your message was delivered"),
    };
    let subject = subject_of(report);
    if subject.is_empty() { alone.to_owned() } else { format!("{short}: {subject}") }
}

fn subject_of(report: &Report) -> String {
    if report.stranger {
        return String::new();
    }
    let mut subject: String = report.original.subject().chars().take(MAX_SUBJECT + 1).collect();
    if subject.chars().count() > MAX_SUBJECT {
        subject.pop();
        subject.push('…');
    }
    subject
}

/// The text.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    for kind in Kind::ALL {
        let told: Vec<&Told> = report.told.iter().filter(|told| kind.of(&told.fate)).collect();
        if !told.is_empty() {
            text.push_str(&section(kind, &told));
        }
    }
    text.push_str(&about(report));
    text
}

/// What is told together, in this order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Failed,
    Delayed,
    Relayed,
    Delivered,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Failed, Kind::Delayed, Kind::Relayed, Kind::Delivered];

    fn of(self, fate: &Fate) -> bool {
        self == match fate {
            Fate::Failed(_) | Fate::Expired(_) => Kind::Failed,
            Fate::Delayed { .. } => Kind::Delayed,
            Fate::Relayed(_) => Kind::Relayed,
            Fate::Delivered | Fate::Expanded => Kind::Delivered,
        }
    }
}

fn section(kind: Kind, told: &[&Told]) -> String {
    let (head, tail) = match kind {
        Kind::Failed => ("Your message could not be delivered to:", "It is not tried again for them."),
        Kind::Delayed => (
            "Your message has not been delivered yet to:",
            "There is nothing that you need to do: it is tried again by itself, and you hear if it cannot be \
             delivered in the end. Sending it once more would only make two of it.",
        ),
        Kind::Relayed => (
            "Your message was sent on for:",
            "You asked to be told of the delivery. The next server took the message, but does not report what \
             becomes of it.",
        ),
        Kind::Delivered => ("Your message was delivered, as you asked to be told, to:", ""),
    };
    let mut text = format!("{head}\n\n");
    // Those with the same story stand together.
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for one in told {
        let story = story(one);
        match groups.iter_mut().find(|(known, _)| *known == story) {
            Some((_, names)) => names.push(&one.address),
            None => groups.push((story, vec![&one.address])),
        }
    }
    for (story, names) in groups {
        for name in names.iter().take(MAX_NAMES) {
            text.push_str(&format!("  {}\n", printable(name)));
        }
        if names.len() > MAX_NAMES {
            let more = names.len() - MAX_NAMES;
            text.push_str(&format!("  and {more} more, who are in the attached report\n"));
        }
        if !story.is_empty() {
            text.push_str(&story);
        }
        // Names without a story are a list.
        if !story.is_empty() || kind != Kind::Delivered {
            text.push('\n');
        }
    }
    if kind == Kind::Delivered && !text.ends_with("\n\n") {
        text.push('\n');
    }
    if !tail.is_empty() {
        text.push_str(&wrapped(tail, ""));
        text.push('\n');
    }
    text
}

/// What happened to one recipient's mail, indented below the name.
fn story(told: &Told) -> String {
    match &told.fate {
        Fate::Failed(why) => {
            let advice = wrapped(&advised(why), "    ");
            // What this server would tell another host is not written for people.
            let ours = why.host.is_none() && why.words.code.is_some() && !advice.is_empty();
            if ours { advice } else { format!("{advice}{}", quoted(why)) }
        }
        Fate::Expired(why) => {
            let next = "It was tried for days without success. Reach them in another way, or send the message again \
                        later.";
            let what = told_by(why).map(|class| format!(" {}", class.what)).unwrap_or_default();
            let text = format!("{next}{what} What happened at the last attempt:");
            format!("{}{}", wrapped(&text, "    "), quoted(why))
        }
        Fate::Delayed { why, until, in_time } => {
            let late = if *in_time { "The time by which you wanted it to be delivered is over. " } else { "" };
            let what = told_by(why).map(|class| format!(" {}", class.what)).unwrap_or_default();
            format!("{}{}", wrapped(&format!("{late}It is tried until {}.{what}", date(*until)), "    "), quoted(why))
        }
        Fate::Relayed(why) => why
            .host
            .as_ref()
            .map_or(String::new(), |host| wrapped(&format!("It was taken by {}.", printable(host)), "    ")),
        Fate::Delivered | Fate::Expanded => String::new(),
    }
}

/// The other side's own words, or what this server found.
fn quoted(why: &Why) -> String {
    let said = printable(&why.words.line());
    match (&why.host, why.words.code) {
        (Some(host), Some(_)) => {
            format!("{}{}", wrapped(&format!("The server {} said:", printable(host)), "    "), wrapped(&said, "      "))
        }
        // This server's own reply needs no numbers.
        (None, Some(_)) => wrapped(&printable(&why.words.text), "    "),
        (Some(host), None) if !said.contains(host) => wrapped(&format!("{}: {said}", printable(host)), "    "),
        (Some(_) | None, None) => wrapped(&said, "    "),
    }
}

/// What happened and what to do next: as the host's words mean it, else by the code.
fn advised(why: &Why) -> String {
    match told_by(why) {
        Some(class) => format!("{} {}", class.what, class.next),
        None => advice(why.words.enhanced).to_owned(),
    }
}

/// What a host's words mean, where that says more than its code. The form of a message has many codes, each with a way out.
fn told_by(why: &Why) -> Option<Class> {
    let (Some(host), Some(code)) = (&why.host, why.words.code) else { return None };
    let enhanced = why.words.coded.then_some(why.words.enhanced);
    let class = classify(Some(code), enhanced, &why.words.text, Some(host));
    match class.category {
        Category::Form | Category::Temporary | Category::Unreachable | Category::Other => None,
        Category::UnknownUser
        | Category::MailboxFull
        | Category::MailboxDisabled
        | Category::BadDestination
        | Category::BadSender
        | Category::Reputation
        | Category::Authentication
        | Category::ReverseDns
        | Category::Rate
        | Category::Greylist
        | Category::Size
        | Category::Content
        | Category::Relay
        | Category::Loop
        | Category::Tls
        | Category::Policy => Some(class),
    }
}

/// What to do next, by the code of RFC 3463. Nothing where the words themselves are all there is.
fn advice(code: Enhanced) -> &'static str {
    match (code.1, code.2) {
        (1, 1 | 3 | 6) => "There is no such address. Look for a typing error in it, and send the message again.",
        (1, 2) | (4, 4) => {
            "Mail cannot be sent to what stands behind the @. Look for a typing error in it, and send the message \
             again."
        }
        (1, 10) => "Nobody gets mail at this domain: its owner has said so. Reach them in another way.",
        (1, 7 | 8) => "Their server does not accept your own address. Your administrator can say more.",
        (2, 1) => "The mailbox is out of use. Reach them in another way.",
        (2, 2) => "The mailbox is full. Reach them in another way, or try again when they have made room.",
        (2, 3) | (3, 4) => "The message is too large for them. Send it without its attachments, or in several parts.",
        (3, 3) => {
            "You wanted it to be delivered by a time or to come back, and their server does not promise that. Send it again \
             without that wish."
        }
        (4, 7) => "The time by which you wanted it to be delivered is over. Send it again if it still matters.",
        (7, 17..=19) => {
            "You wanted it to reach only who had the address at a time, and that cannot be made sure of. Reach them in \
             another way."
        }
        (3, 5) => "A server on the way is not set up rightly. Show this notice to your administrator.",
        (4, 6) => {
            "The message went in circles, because a forward leads back to where it came from. Whoever set up the \
             forward has to change it; reach them in another way until then."
        }
        (5, 3) => "The message has too many recipients. Send it to fewer at a time.",
        (6, 7..=10) => {
            "Their server cannot take addresses with letters outside of plain English. Use an address of yours and \
             of theirs without such letters."
        }
        (6, _) => "Their server cannot take a message of this kind. Send it as plain text, without attachments.",
        (7, _) => {
            "Their server does not want the message. If its words do not say how to change that, ask your \
             administrator, and show them this notice."
        }
        (_, _) => "",
    }
}

/// Which message this is about.
fn about(report: &Report) -> String {
    let mut text = String::from("About this message:\n");
    let (subject, date) = (subject_of(report), printable(&report.original.date()));
    if !subject.is_empty() {
        text.push_str(&format!("  Subject:  {}\n", printable(&subject)));
    }
    if !date.is_empty() && !report.stranger {
        text.push_str(&format!("  Date:     {date}\n"));
    }
    if let Some(id) = report.trace {
        text.push_str(&format!("  Trace id: {id} at {}, for its administrator\n", report.hostname));
    }
    text
}

/// Lines of at most [`COLUMNS`], each behind `indent`.
fn wrapped(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > COLUMNS {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.push_str(indent);
            column = indent.len();
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    if column > 0 {
        out.push('\n');
    }
    out
}

/// What strangers wrote: no control characters, nothing that turns the direction of the text around it.
fn printable(text: &str) -> String {
    crate::story::printable(&text.replace(['\r', '\n'], " "))
}

fn date(at: Timestamp) -> String {
    DateTime::utc(at.0).format()
}

/// Columns of a line, where words allow it.
const COLUMNS: usize = 76;
/// Names that are listed one by one in one place; the report for programs has all.
const MAX_NAMES: usize = 50;
/// Longest subject that is taken over, in characters.
const MAX_SUBJECT: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_no_longer_than_their_words() {
        let text = wrapped(&format!("one {} two", "x".repeat(90)), "  ");
        assert_eq!(text, format!("  one\n  {}\n  two\n", "x".repeat(90)));
        assert_eq!(wrapped(&"word ".repeat(40), "    ").lines().map(|line| line.len()).max(), Some(73));
        assert_eq!(wrapped("", "  "), "");
    }
}
