//! The addresses that mail leaves from.

use std::net::IpAddr;

use postroad_mta::outbound::warm_up_cap;
use postroad_queue::shaping::{self, By, Choice, Egress};
use postroad_queue::suppression::canonical;
use serde_json::json;

use super::{Desk, Outcome, Refusal, change};
use crate::admin::Answer;
use crate::admin::answer::aligned;
use crate::admin::perform::domain_name;
use crate::admin::time::shown;

/// Longer no name of a pool is.
const POOL_MAX: usize = 64;

pub(super) fn list(desk: &Desk<'_>) -> Outcome {
    let now = desk.now;
    let (egress, choices, noted) = desk.store.read_blocking(|tx| {
        Ok::<_, postroad_queue::Error>((shaping::egress(tx)?, shaping::choices(tx)?, shaping::noted(tx)?))
    })?;
    let mut text = String::new();
    if egress.is_empty() {
        text += "no address is set: mail leaves as outbound.source-addresses or the system says\n";
    } else {
        let mut rows = vec![["ADDRESS", "POOL", "WEIGHT", "HELO", "WARM-UP"].map(str::to_owned).to_vec()];
        rows.extend(egress.iter().map(|one| {
            let warm = match warm_up_cap(one.warm_since, now) {
                Some(cap) => format!("{cap} messages today for each provider"),
                None if one.warm_since.is_some() => "over".to_owned(),
                None => "-".to_owned(),
            };
            let helo = one.helo.clone().unwrap_or_else(|| "-".to_owned());
            vec![one.address.to_string(), one.pool.clone(), one.weight.to_string(), helo, warm]
        }));
        text += &aligned(&rows);
    }
    if !choices.is_empty() {
        let mut rows = vec![["BY", "NAME", "POOL"].map(str::to_owned).to_vec()];
        rows.extend(choices.iter().map(|one| vec![one.by.name().to_owned(), one.name.clone(), one.pool.clone()]));
        text += &format!("\n{}", aligned(&rows));
    }
    let today = now.0.div_euclid(86_400_000_000);
    let noted: Vec<_> = noted.into_iter().filter(|one| one.day == today || one.rest_until > now).collect();
    if !noted.is_empty() {
        let mut rows = vec![["FROM", "TO HOSTS", "TODAY", "RESTS UNTIL", "WHY"].map(str::to_owned).to_vec()];
        rows.extend(noted.iter().map(|one| {
            let rests = if one.rest_until > now { shown(one.rest_until) } else { "-".to_owned() };
            let from = if one.egress.is_empty() { "any" } else { &one.egress };
            let sent = if one.day == today { one.sent } else { 0 };
            let why = one.why.as_deref().unwrap_or("-").replace(|sign: char| sign.is_control(), " ");
            vec![from.to_owned(), one.hosts.clone(), sent.to_string(), rests, why]
        }));
        text += &format!("\n{}", aligned(&rows));
    }
    let data = json!({
        "addresses": egress.iter().map(|one| json!({
            "address": one.address.to_string(), "pool": one.pool, "weight": one.weight, "helo": one.helo,
            "warm-since": one.warm_since.map(shown), "cap-today": warm_up_cap(one.warm_since, now),
        })).collect::<Vec<_>>(),
        "choices": choices.iter().map(|one| json!({ "by": one.by.name(), "name": one.name, "pool": one.pool }))
            .collect::<Vec<_>>(),
        "hosts": noted.iter().map(|one| json!({
            "from": one.egress, "hosts": one.hosts, "sent": if one.day == today { one.sent } else { 0 },
            "rests-until": (one.rest_until > now).then(|| shown(one.rest_until)), "why": one.why,
        })).collect::<Vec<_>>(),
    });
    Ok(Answer::Report { text, data })
}

pub(super) fn set(
    desk: &Desk<'_>,
    address: IpAddr,
    pool: String,
    weight: u32,
    helo: Option<&str>,
    new: bool,
) -> Outcome {
    if pool.is_empty() || pool.len() > POOL_MAX || pool.contains(|sign: char| sign.is_whitespace() || sign.is_control())
    {
        return Err(Refusal(format!("{pool:?} is no name of a pool")));
    }
    let helo = helo.map(domain_name).transpose()?.map(|name| name.as_str().to_owned());
    let (address, now) = (address.to_canonical(), desk.now);
    let words = match (&helo, new) {
        (Some(helo), _) => format!(", and says {helo}; its PTR record has to be the same"),
        (None, _) => String::new(),
    };
    let warm = if new { "; as it is new, it begins with few messages a day" } else { "" };
    let text = format!("mail of the pool {pool} leaves from {address}{words}{warm}");
    change(desk, move |tx| {
        let before = shaping::egress(tx)?.into_iter().find(|one| one.address == address);
        let (added, was_warm) = before.map_or((now, None), |one| (one.added, one.warm_since));
        let warm_since = new.then(|| was_warm.unwrap_or(now));
        shaping::set_egress(tx, &Egress { address, pool, weight, helo, warm_since, added })
    })?;
    Ok(Answer::done(text))
}

pub(super) fn remove(desk: &Desk<'_>, address: IpAddr) -> Outcome {
    let address = address.to_canonical();
    match change(desk, move |tx| shaping::remove_egress(tx, address))? {
        true => Ok(Answer::done(format!("mail leaves from {address} no more"))),
        false => Err(Refusal(format!("{address} is in no pool; `postroad egress list` shows all"))),
    }
}

pub(super) fn choose(desk: &Desk<'_>, by: &str, name: &str, pool: &str) -> Outcome {
    let by = By::from_name(by).ok_or_else(|| Refusal(format!("{by}: by destination, sender or domain")))?;
    let name = match by {
        By::Sender => canonical(name),
        By::Destination | By::Domain => domain_name(name)?.as_str().to_owned(),
    };
    let choice = Choice { by, name: name.clone(), pool: pool.to_owned() };
    let (asked, known) = (pool.to_owned(), desk.store.read_blocking(shaping::egress)?);
    if !pool.is_empty() && known.iter().all(|one| one.pool != asked) {
        return Err(Refusal(format!(
            "no address is in the pool {pool}; add one with `postroad egress set ADDRESS --pool {pool}`"
        )));
    }
    change(desk, move |tx| shaping::set_choice(tx, &choice))?;
    let what = match by {
        By::Destination => "mail to",
        By::Sender => "mail of the sender",
        By::Domain => "mail of senders at",
    };
    Ok(Answer::done(match pool {
        "" => format!("{what} {name} leaves as other mail does"),
        pool => format!("{what} {name} leaves from the pool {pool}"),
    }))
}
