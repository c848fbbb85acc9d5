//! Who is shut out.

use std::time::Duration;

use postroad_net::Network;
use postroad_store::Locks;
use postroad_trust::bans::{self, Ban, LOCK};

use super::{Desk, Outcome, Refusal};
use crate::admin::time::shown;
use crate::admin::{Answer, BanOrder};

pub(super) fn perform(desk: &Desk<'_>, order: BanOrder) -> Outcome {
    match order {
        BanOrder::List => list(desk),
        BanOrder::Add { network, seconds, reason } => add(desk, &network, seconds, reason),
        BanOrder::Remove { network } => remove(desk, &network),
    }
}

fn list(desk: &Desk<'_>) -> Outcome {
    let now = desk.now;
    let held = desk.read(move |tx| Ok(bans::held(tx, now)?))?;
    let row = |ban: Ban| {
        let ends = ban.ends.map_or_else(|| "for good".to_owned(), shown);
        let detail: String = ban.detail.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        vec![ban.network, ban.reason, shown(ban.since), ends, ban.times.to_string(), detail]
    };
    Ok(Answer::table(
        &["NETWORK", "REASON", "SINCE", "UNTIL", "TIMES", "DETAIL"],
        held.into_iter().map(row).collect(),
        "nobody is shut out",
    ))
}

fn add(desk: &Desk<'_>, network: &str, seconds: Option<u64>, reason: String) -> Outcome {
    let network = parsed(network)?;
    if Network::of_this_machine().iter().any(|here| here.overlaps(&network)) {
        return Err(Refusal(format!("{network} has this machine in it, which is never shut out")));
    }
    let now = desk.now;
    let ends = seconds.map(|seconds| now.plus(Duration::from_secs(seconds.min(SECONDS_MAX))));
    let text = network.to_string();
    desk.write(Locks::named(LOCK), move |tx| Ok(bans::add(tx, &text, &reason, ends, now)?))?;
    let until = ends.map_or_else(|| "for good".to_owned(), |ends| format!("until {}", shown(ends)));
    Ok(Answer::done(format!(
        "{network} is shut out {until}; who is named in `gate.trusted` or as a proxy comes in all the same"
    )))
}

fn remove(desk: &Desk<'_>, network: &str) -> Outcome {
    let network = parsed(network)?.to_string();
    let text = network.clone();
    match desk.write(Locks::named(LOCK), move |tx| Ok(bans::lift(tx, &text)?))? {
        true => Ok(Answer::done(format!("{network} may come in again"))),
        false => Err(Refusal(format!("{network} was not shut out; `postroad ban list` shows who is"))),
    }
}

fn parsed(text: &str) -> Outcome<Network> {
    text.parse().map_err(|error| Refusal(format!("{text} is {error}")))
}

/// A hundred years.
const SECONDS_MAX: u64 = 100 * 365 * 24 * 60 * 60;
