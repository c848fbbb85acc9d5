//! Whether the server passes mail on for strangers. The probe ends before DATA: no mail is ever sent.

use std::net::SocketAddr;

use super::World;
use super::exchangers::Exchanger;
use super::line::Line;
use super::wire::{Smtp, connect};

const WHAT: &str = "open relay";
/// Reserved for examples (RFC 2606 §3): nobody's mailbox.
const ELSEWHERE: &str = "example.com";
const NAME: &str = "postroad-relay-probe";

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// All were refused: so many.
    Refused(usize),
    /// These were accepted.
    Accepted(Vec<String>),
    /// It ended early.
    Unknown(String),
}

pub(super) async fn look(world: &World, exchangers: &[Exchanger]) -> Vec<Line> {
    let mut lines = Vec::new();
    for exchanger in exchangers.iter().filter(|one| one.is_wanted) {
        let Some(address) = exchanger.addresses.first() else { continue };
        let at = SocketAddr::new(*address, 25 + world.offset);
        let (helo, domain) = (world.helo.clone(), world.facts.domain.clone());
        let heard = tokio::task::spawn_blocking(move || probe(at, &helo, &domain)).await;
        let name = &exchanger.name;
        lines.extend(match heard.unwrap_or_else(|error| Outcome::Unknown(error.to_string())) {
            Outcome::Refused(many) => Some(Line::ok(WHAT, format!("{name} refused all {many} ways to pass mail on"))),
            Outcome::Accepted(all) => Some(Line::fail(
                WHAT,
                format!("{name} takes mail of strangers for others: {}", all.join(" ")),
                "it will be found and used for spam within days, and then be listed everywhere",
                "if that is another server or a proxy, close it there; if it is this one, look at what the connection comes through: \
                 it must not hide strangers behind a trusted address",
            )),
            // Port 25 has a line of its own for who does not answer.
            Outcome::Unknown(why) if why.starts_with("connect") => None,
            Outcome::Unknown(why) => Some(Line::warn(
                WHAT,
                format!("{name} could not be tried to the end: {why}"),
                "it is not known whether it passes mail on for strangers",
                "try again later",
            )),
        });
    }
    lines
}

/// The forms in which relays were fooled: as it is, percent hack, bang path, quoted, source route.
fn forms(domain: &str) -> Vec<String> {
    vec![
        format!("<{NAME}@{ELSEWHERE}>"),
        format!("<@{domain}:{NAME}@{ELSEWHERE}>"),
        format!("<{NAME}%{ELSEWHERE}@{domain}>"),
        format!("<{ELSEWHERE}!{NAME}@{domain}>"),
        format!("<\"{NAME}@{ELSEWHERE}\"@{domain}>"),
    ]
}

fn probe(at: SocketAddr, helo: &str, domain: &str) -> Outcome {
    let stream = match connect(at) {
        Ok(stream) => stream,
        Err(why) => return Outcome::Unknown(format!("connect: {why}")),
    };
    let mut smtp = Smtp::over(stream);
    let outcome = conversation(&mut smtp, helo, domain).unwrap_or_else(Outcome::Unknown);
    let _ = smtp.ask("QUIT");
    outcome
}

fn conversation(smtp: &mut Smtp, helo: &str, domain: &str) -> Result<Outcome, String> {
    let greeting = smtp.reply()?;
    if greeting.code != 220 {
        return Err(greeting.first());
    }
    smtp.ask(&format!("EHLO {helo}"))?;
    // A domain that takes every local part takes these forms as such.
    let nobody = format!("<{NAME}-nobody-has-this-name@{domain}>");
    let takes_all = recipient(smtp, "<>", &nobody)?.is_some_and(|taken| taken);
    let forms: Vec<String> =
        forms(domain).into_iter().filter(|form| !takes_all || form.contains(&format!("@{ELSEWHERE}>"))).collect();
    let own = format!("<postmaster@{domain}>");
    let mut tries: Vec<(&str, &String)> = forms.iter().map(|form| ("<>", form)).collect();
    // Some take who says to be one of theirs for one of theirs.
    tries.push((&own, &forms[0]));
    let (mut refused, mut accepted) = (0, Vec::new());
    for (sender, form) in tries {
        match recipient(smtp, sender, form)? {
            Some(true) => accepted.push(form.clone()),
            Some(false) => refused += 1,
            None => {}
        }
    }
    Ok(match (accepted.is_empty(), refused) {
        (false, _) => Outcome::Accepted(accepted),
        (true, 0) => Outcome::Unknown("no sender was accepted".into()),
        (true, refused) => Outcome::Refused(refused),
    })
}

/// Whether a recipient is taken; `None`: the sender was not.
fn recipient(smtp: &mut Smtp, sender: &str, recipient: &str) -> Result<Option<bool>, String> {
    let mail = smtp.ask(&format!("MAIL FROM:{sender}"))?;
    let taken = match mail.code {
        200..300 => Some(matches!(smtp.ask(&format!("RCPT TO:{recipient}"))?.code, 200..300)),
        421 => return Err(mail.first()),
        _ => None,
    };
    smtp.ask("RSET")?;
    Ok(taken)
}
