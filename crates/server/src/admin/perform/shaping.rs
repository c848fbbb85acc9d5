//! How mail leaves: suppressed addresses, limits, and the addresses that it leaves from.

mod csv;
mod egress;
mod limit;

use std::time::Duration;

use postroad_queue::suppression::{self, EVERYBODY, Entry, Reason, Rule};
use postroad_store::{Locks, WriteTx};
use serde_json::json;

use super::{Desk, Outcome, Refusal, domain_name};
use crate::admin::answer::aligned;
use crate::admin::time::shown;
use crate::admin::{Answer, ShapingOrder};

/// Entries that are listed or exported at a time.
const LIST_MAX: u32 = 1_000;
/// A hundred years.
const DAYS_MAX: u32 = 36_500;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

pub(super) fn perform(desk: &Desk<'_>, order: ShapingOrder) -> Outcome {
    match order {
        ShapingOrder::Suppressed { limit, after } => list(desk, limit, after),
        ShapingOrder::SuppressionShow { address } => show(desk, address),
        ShapingOrder::Suppress { address, scope, why, days } => add(desk, &address, &scope, why, days),
        ShapingOrder::Unsuppress { address, scope } => remove(desk, address, scope.as_deref()),
        ShapingOrder::Rules => rules(desk),
        ShapingOrder::Rule { scope, failures, apart_hours, days, usual } => {
            rule(desk, &scope, failures, apart_hours, days, usual)
        }
        ShapingOrder::Import { lines, scope, source } => import(desk, &lines, &scope, &source),
        ShapingOrder::Export { after, first } => export(desk, after, first),
        ShapingOrder::Limits => limit::list(desk),
        ShapingOrder::LimitSet { pattern, connections, per_connection, per_minute, recipients } => {
            limit::set(desk, &pattern, connections, per_connection, per_minute, recipients)
        }
        ShapingOrder::LimitRemove { pattern } => limit::remove(desk, &pattern),
        ShapingOrder::Egress => egress::list(desk),
        ShapingOrder::EgressSet { address, pool, weight, helo, new } => {
            egress::set(desk, address, pool, weight, helo.as_deref(), new)
        }
        ShapingOrder::EgressRemove { address } => egress::remove(desk, address),
        ShapingOrder::EgressChoose { by, name, pool } => egress::choose(desk, &by, &name, &pool),
    }
}

fn change<R: Send + 'static>(
    desk: &Desk<'_>,
    change: impl FnOnce(&mut WriteTx) -> postroad_queue::Result<R> + Send + 'static,
) -> Outcome<R> {
    Ok(desk.store.write_blocking(Locks::none(), change)?.value)
}

/// A sender, a domain of senders, or everybody.
fn scope_of(text: &str) -> Outcome<String> {
    match text {
        EVERYBODY => Ok(text.to_owned()),
        _ if text.contains('@') => address_of(text),
        _ => Ok(domain_name(text)?.as_str().to_owned()),
    }
}

fn address_of(text: &str) -> Outcome<String> {
    let address = text.trim().parse::<postroad_smtp::Address>();
    address.map_err(|_| Refusal(format!("{text} is not an address")))?;
    Ok(suppression::canonical(text))
}

fn for_whom(scope: &str) -> String {
    if scope == EVERYBODY { "all mail".to_owned() } else { format!("mail of {scope}") }
}

fn table(entries: &[Entry]) -> String {
    let mut rows = vec![["ADDRESS", "FOR", "REASON", "SINCE", "UNTIL", "SAID"].map(str::to_owned).to_vec()];
    rows.extend(entries.iter().map(|entry| {
        let until = match (entry.active, entry.expires) {
            (false, _) => format!("(refused {} times, not suppressed yet)", entry.failures),
            (true, Some(at)) => shown(at),
            (true, None) => "removed".to_owned(),
        };
        let said = entry.said.replace(|sign: char| sign.is_control(), " ");
        let reason = entry.reason.name().to_owned();
        vec![entry.address.clone(), entry.scope.clone(), reason, shown(entry.since), until, said]
    }));
    aligned(&rows)
}

fn data(entries: &[Entry]) -> serde_json::Value {
    let one = |entry: &Entry| {
        json!({
            "address": entry.address, "for": entry.scope, "reason": entry.reason.name(), "source": entry.source,
            "said": entry.said, "failures": entry.failures, "suppressed": entry.active,
            "since": shown(entry.since), "last": shown(entry.last), "expires": entry.expires.map(shown),
        })
    };
    entries.iter().map(one).collect()
}

fn list(desk: &Desk<'_>, limit: u32, after: Option<String>) -> Outcome {
    let (now, limit) = (desk.now, limit.clamp(1, LIST_MAX) as usize);
    // Behind all scopes of the address.
    let after = after.map(|address| (suppression::canonical(&address), "\u{10ffff}".to_owned()));
    let found = desk.store.read_blocking(move |tx| {
        let after = after.as_ref().map(|(address, scope)| (address.as_str(), scope.as_str()));
        suppression::list(tx, after, now, limit)
    })?;
    if found.is_empty() {
        let text = "nobody is suppressed\n".to_owned();
        return Ok(Answer::Report { text, data: json!([]) });
    }
    let more = match found.last() {
        Some(last) if found.len() == limit => format!("there may be more: ask with --after {}\n", last.address),
        Some(_) | None => String::new(),
    };
    Ok(Answer::Report { text: format!("{}{more}", table(&found)), data: data(&found) })
}

fn show(desk: &Desk<'_>, address: String) -> Outcome {
    let asked = address.clone();
    let found = desk.store.read_blocking(move |tx| suppression::show(tx, &asked))?;
    if found.is_empty() {
        let text = format!("nothing is known against {address}: mail goes there\n");
        return Ok(Answer::Report { text, data: json!([]) });
    }
    let mut text = table(&found);
    for entry in found.iter().filter(|entry| entry.active) {
        text += &format!("known from {}; write there again: postroad suppression remove {address}\n", entry.source);
    }
    Ok(Answer::Report { text, data: data(&found) })
}

fn add(desk: &Desk<'_>, address: &str, scope: &str, why: String, days: Option<u32>) -> Outcome {
    let (address, scope, now) = (address_of(address)?, scope_of(scope)?, desk.now);
    if suppression::is_role(&address) {
        return Err(Refusal(format!("{address} has to be reached by whoever has trouble: it is never suppressed")));
    }
    let entry = Entry {
        address: address.clone(),
        scope: scope.clone(),
        reason: Reason::Manual,
        source: "the administrator".to_owned(),
        said: why,
        failures: 0,
        since: now,
        last: now,
        expires: days.map(|days| now.plus(days.min(DAYS_MAX) * DAY)),
        active: true,
    };
    change(desk, move |tx| suppression::put(tx, &[entry]))?;
    Ok(Answer::done(format!("{address} is not written to any more, for {}", for_whom(&scope))))
}

fn remove(desk: &Desk<'_>, address: String, scope: Option<&str>) -> Outcome {
    let scope = scope.map(scope_of).transpose()?;
    let asked = address.clone();
    match change(desk, move |tx| suppression::remove(tx, &asked, scope.as_deref()))? {
        0 => {
            Err(Refusal(format!("{address} is not suppressed there; `postroad suppression show {address}` tells more")))
        }
        _ => Ok(Answer::done(format!("{address} is written to again"))),
    }
}

fn words(rule: Rule) -> String {
    let Rule { failures, apart, lasts } = rule;
    let hours = apart.as_secs() / HOUR.as_secs();
    let days = lasts.as_secs() / DAY.as_secs();
    match (failures, hours) {
        (0, _) => "never suppressed for being unknown".to_owned(),
        (1, _) | (_, 0) => format!("suppressed for {days} days after {failures} refusals as unknown"),
        _ => format!("suppressed for {days} days after {failures} refusals as unknown over {hours} hours at least"),
    }
}

fn rules(desk: &Desk<'_>) -> Outcome {
    let mut found = desk.store.read_blocking(suppression::rules)?;
    if !found.iter().any(|(scope, _)| scope == EVERYBODY) {
        found.insert(0, (EVERYBODY.to_owned(), Rule::default()));
    }
    let mut rows = vec![["SENDERS", "RECIPIENTS ARE"].map(str::to_owned).to_vec()];
    rows.extend(found.iter().map(|(scope, rule)| vec![scope.clone(), words(*rule)]));
    let one = |(scope, rule): &(String, Rule)| {
        json!({ "for": scope, "failures": rule.failures, "apart-hours": rule.apart.as_secs() / HOUR.as_secs(),
            "days": rule.lasts.as_secs() / DAY.as_secs() })
    };
    Ok(Answer::Report { text: aligned(&rows), data: found.iter().map(one).collect() })
}

fn rule(
    desk: &Desk<'_>,
    scope: &str,
    failures: Option<u32>,
    apart_hours: Option<u32>,
    days: Option<u32>,
    usual: bool,
) -> Outcome {
    let scope = if scope == EVERYBODY { scope.to_owned() } else { domain_name(scope)?.as_str().to_owned() };
    let asked = scope.clone();
    let now = change(desk, move |tx| {
        let was = suppression::rule(tx, &asked)?;
        let failures = failures.unwrap_or(was.failures);
        // Once is once: there is nothing to be apart.
        let apart = apart_hours
            .map_or(if failures == 1 { Duration::ZERO } else { was.apart }, |hours| hours.min(24 * DAYS_MAX) * HOUR);
        let rule = Rule { failures, apart, lasts: days.map_or(was.lasts, |days| days.min(DAYS_MAX) * DAY) };
        suppression::set_rule(tx, &asked, (!usual).then_some(rule))?;
        suppression::rule(tx, &asked)
    })?;
    Ok(Answer::done(format!("for {}, recipients are {}", for_whom(&scope), words(now))))
}

fn import(desk: &Desk<'_>, lines: &[String], scope: &str, source: &str) -> Outcome {
    let (scope, now) = (scope_of(scope)?, desk.now);
    let (mut entries, mut refused) = (Vec::new(), Vec::new());
    for line in lines {
        match csv::entry(line, &scope, source, now) {
            csv::Line::Names => {}
            csv::Line::Entry(entry) if !suppression::is_role(&entry.address) => entries.push(*entry),
            csv::Line::Entry(_) | csv::Line::Refused => refused.push(line.clone()),
        }
    }
    let taken = change(desk, move |tx| suppression::put(tx, &entries))?;
    Ok(Answer::Report { text: String::new(), data: json!({ "taken": taken, "refused": refused }) })
}

fn export(desk: &Desk<'_>, after: Option<(String, String)>, first: bool) -> Outcome {
    let now = desk.now;
    let found = desk.store.read_blocking(move |tx| {
        let after = after.as_ref().map(|(address, scope)| (address.as_str(), scope.as_str()));
        suppression::list(tx, after, now, LIST_MAX as usize)
    })?;
    let mut text = if first { csv::NAMES.to_owned() + "\n" } else { String::new() };
    found.iter().for_each(|entry| text += &csv::line(entry));
    let next = found.last().filter(|_| found.len() == LIST_MAX as usize).map(|last| [&last.address, &last.scope]);
    Ok(Answer::Report { text, data: json!({ "next": next }) })
}
