//! How much at once, for domains and for hosts.

use postroad_mta::outbound::BUILT_IN;
use postroad_queue::shaping::{self, Limit};
use serde_json::json;

use super::{Desk, Outcome, Refusal, change};
use crate::admin::Answer;
use crate::admin::answer::aligned;
use crate::admin::perform::domain_name;

fn number(value: Option<u32>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

pub(super) fn list(desk: &Desk<'_>) -> Outcome {
    let set = desk.store.read_blocking(shaping::limits)?;
    let built_in =
        BUILT_IN.iter().map(|row| row.limit()).filter(|row| set.iter().all(|own| own.pattern != row.pattern));
    let mut all: Vec<(Limit, &str)> = set.iter().cloned().map(|limit| (limit, "set")).collect();
    all.extend(built_in.map(|limit| (limit, "built in")));
    let mut rows = vec![
        ["FOR", "CONNECTIONS", "MESSAGES/CONNECTION", "MESSAGES/MINUTE", "RECIPIENTS", "FROM"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(all.iter().map(|(limit, from)| {
        let Limit { pattern, connections, per_connection, per_minute, recipients } = limit;
        let [a, b, c, d] = [connections, per_connection, per_minute, recipients].map(|value| number(*value));
        vec![pattern.clone(), a, b, c, d, (*from).to_owned()]
    }));
    let one = |(limit, from): &(Limit, &str)| {
        json!({ "for": limit.pattern, "connections": limit.connections, "messages-per-connection": limit.per_connection,
            "messages-per-minute": limit.per_minute, "recipients": limit.recipients, "from": from })
    };
    let text = format!("{}-: as the settings say\n", aligned(&rows));
    Ok(Answer::Report { text, data: all.iter().map(one).collect() })
}

/// A domain, a host, or all below a name.
fn pattern_of(text: &str) -> Outcome<String> {
    let (dot, name) = text.strip_prefix('.').map_or(("", text), |name| (".", name));
    // An IPv4 address has the form of a domain.
    if name.contains(['/', ':']) || name.parse::<std::net::IpAddr>().is_ok() {
        return Err(Refusal(format!(
            "{text} is an address: limits are for domains and for names of hosts, whatever addresses they have, such as \
             example.org or .google.com"
        )));
    }
    Ok(format!("{dot}{}", domain_name(name)?.as_str()))
}

pub(super) fn set(
    desk: &Desk<'_>,
    pattern: &str,
    connections: Option<u32>,
    per_connection: Option<u32>,
    per_minute: Option<u32>,
    recipients: Option<u32>,
) -> Outcome {
    let limit = Limit { pattern: pattern_of(pattern)?, connections, per_connection, per_minute, recipients };
    if [connections, per_connection, per_minute, recipients].iter().all(Option::is_none) {
        return Err(Refusal("say how much: --connections, --messages-per-minute, …".to_owned()));
    }
    let pattern = limit.pattern.clone();
    change(desk, move |tx| shaping::set_limit(tx, &limit))?;
    Ok(Answer::done(format!("the limits of {pattern} are set; they hold for mail that is sent from now on")))
}

pub(super) fn remove(desk: &Desk<'_>, pattern: &str) -> Outcome {
    let pattern = pattern_of(pattern)?;
    let gone = pattern.clone();
    match change(desk, move |tx| shaping::remove_limit(tx, &gone))? {
        true => Ok(Answer::done(format!("{pattern} has no limits of its own any more"))),
        false => Err(Refusal(format!("no limit was set for {pattern}; `postroad limit list` shows all"))),
    }
}
