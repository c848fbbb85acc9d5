//! Who is asked to come again, and who is known.

use std::net::IpAddr;
use std::time::Duration;

use postroad_net::Network;
use postroad_store::Locks;
use postroad_trust::greylist::{self, Terms};

use super::{Desk, Outcome, Refusal, domain_name};
use crate::admin::time::shown;
use crate::admin::{Answer, GreylistOrder};

pub(super) fn perform(desk: &Desk<'_>, order: GreylistOrder) -> Outcome {
    match order {
        GreylistOrder::Known { limit, remember_seconds, enough } => {
            known(desk, limit, Terms { remember: Duration::from_secs(remember_seconds), enough, ..Terms::default() })
        }
        GreylistOrder::Waiting { limit, wait_seconds, come_back_seconds } => {
            let (wait, come_back) = (Duration::from_secs(wait_seconds), Duration::from_secs(come_back_seconds));
            waiting(desk, limit, Terms { wait, come_back, ..Terms::default() })
        }
        GreylistOrder::Forgive { source } => {
            let (source, now) = (source_of(&source)?, desk.now);
            let text = source.clone();
            desk.write(Locks::none(), move |tx| Ok(greylist::forgive(tx, &text, now)?))?;
            Ok(Answer::done(format!(
                "mail of {source} does not wait any more; `postroad greylist forget {source}` takes it back"
            )))
        }
        GreylistOrder::Forget { source } => {
            let source = source_of(&source)?;
            let text = source.clone();
            match desk.write(Locks::none(), move |tx| Ok(greylist::forget(tx, &text)?))? {
                true => Ok(Answer::done(format!("nothing is known of {source} any more"))),
                false => Err(Refusal(format!("nothing was known of {source}; `postroad greylist list` shows who is"))),
            }
        }
    }
}

fn known(desk: &Desk<'_>, limit: u32, terms: Terms) -> Outcome {
    let now = desk.now;
    let found = desk.read(move |tx| Ok(greylist::known(tx, &terms, now, limit as usize)?))?;
    let row = |one: greylist::Known| {
        let since = match (one.known, one.by_hand) {
            (Some(since), true) => format!("{}, by an administrator", shown(since)),
            (Some(since), false) => shown(since),
            (None, _) => format!("not yet: {} of {}", one.times, terms.enough),
        };
        vec![one.source, since, one.times.to_string(), shown(one.seen)]
    };
    let rows = found.into_iter().map(row).collect();
    Ok(Answer::table(&["SOURCE", "KNOWN SINCE", "CAME AGAIN", "SEEN"], rows, "nobody is known yet"))
}

fn waiting(desk: &Desk<'_>, limit: u32, terms: Terms) -> Outcome {
    let now = desk.now;
    let found = desk.read(move |tx| Ok(greylist::waiting(tx, &terms, now, limit as usize)?))?;
    let row = |one: greylist::Waiting| {
        let due = shown(one.first.plus(terms.wait));
        vec![one.of.source, one.of.sender, one.of.recipient, shown(one.first), one.tries.to_string(), due]
    };
    let rows = found.into_iter().map(row).collect();
    Ok(Answer::table(&["SOURCE", "FROM", "TO", "FIRST", "TRIES", "TAKEN FROM"], rows, "nobody was asked to come again"))
}

/// A network as the gate counts by, or a domain.
fn source_of(text: &str) -> Outcome<String> {
    let unit = |address: IpAddr| {
        let address = address.to_canonical();
        Network::new(address, if address.is_ipv4() { 24 } else { 64 }).map(|network| network.to_string())
    };
    if let Some(network) = text.parse::<IpAddr>().ok().and_then(unit) {
        return Ok(network);
    }
    if text.contains('/') || text.contains(':') {
        let network: Network = text.parse().map_err(|error| Refusal(format!("{text} is {error}")))?;
        let network = network.to_string();
        let whole = |width: &str| network.ends_with(width);
        return match whole("/24") && network.contains('.') || whole("/64") {
            true => Ok(network),
            false => Err(Refusal(format!("{text}: networks are known as IPv4 /24 and IPv6 /64, such as 192.0.2.0/24"))),
        };
    }
    Ok(domain_name(text)?.as_str().to_owned())
}
