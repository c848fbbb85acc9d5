//! Which address of ours a message leaves from. Pure.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use postroad_queue::shaping::{By, DEFAULT_POOL, Egress, Rules};
use postroad_store::Timestamp;

use super::rules::{day, warm_up_cap};
use super::{Leaving, Shape};

/// What of a message the choice depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mail<'a> {
    pub(crate) sender: &'a str,
    pub(crate) domain: &'a str,
    pub(crate) now: Timestamp,
    /// Any value, all bits alike.
    pub(crate) random: u64,
}

/// A new address that has sent enough today looks again after this.
const TOMORROW: Duration = Duration::from_secs(60 * 60);

/// Puts the addresses into the shape.
pub(super) fn leave(rules: &Rules, leaving: &HashMap<(IpAddr, String), Leaving>, mail: &Mail<'_>, shape: &mut Shape) {
    let pool = pool(rules, mail);
    let members: Vec<&Egress> = rules.egress.iter().filter(|one| one.pool == pool && one.weight > 0).collect();
    if members.is_empty() {
        return;
    }
    let of = |one: &Egress| leaving.get(&(one.address, shape.group.clone()));
    let is_full = |one: &Egress| {
        let sent = of(one).filter(|leaving| leaving.day == day(mail.now)).map_or(0, |leaving| leaving.sent);
        warm_up_cap(one.warm_since, mail.now).is_some_and(|cap| sent >= cap)
    };
    let rests = |one: &Egress| of(one).map_or(Timestamp(0), |leaving| leaving.out_until).max(mail.now);
    let roomy: Vec<&Egress> = members.iter().copied().filter(|one| !is_full(one)).collect();
    shape.strict = true;
    if roomy.is_empty() {
        let sent =
            |one: &Egress| of(one).filter(|leaving| leaving.day == day(mail.now)).map_or(0, |leaving| leaving.sent);
        let cap = |one: &Egress| warm_up_cap(one.warm_since, mail.now).unwrap_or(0);
        let all = |count: &dyn Fn(&Egress) -> u64| members.iter().copied().map(count).sum::<u64>();
        let why = format!(
            "slow start: the new addresses of the pool {pool} have sent {} of {} messages to {} today",
            all(&sent),
            all(&cap),
            shape.group
        );
        (shape.sources, shape.held) = (Vec::new(), Some((TOMORROW, why)));
        return;
    }
    // An address that is not liked there rests while there is another; the last one is better than none.
    let liked: Vec<&Egress> = roomy.iter().copied().filter(|one| rests(one) <= mail.now).collect();
    let candidates = if liked.is_empty() { &roomy } else { &liked };
    let (v4, v6) = (mail.random >> 32, mail.random & u64::from(u32::MAX));
    let picked: Vec<&Egress> = [(true, v4), (false, v6)]
        .into_iter()
        .filter_map(|(is_v4, random)| {
            let of_family = candidates.iter().copied().filter(|one| one.address.is_ipv4() == is_v4);
            pick(&of_family.collect::<Vec<_>>(), random)
        })
        .collect();
    let names: Vec<String> = picked.iter().map(|one| one.address.to_string()).collect();
    shape.note = Some(format!("it leaves from {} (pool {pool})", names.join(" or ")));
    shape.sources = picked.iter().map(|one| one.address).collect();
}

fn pool<'a>(rules: &'a Rules, mail: &Mail<'_>) -> &'a str {
    let sender = mail.sender.to_lowercase();
    let sender_domain = sender.rsplit_once('@').map_or("", |(_, domain)| domain);
    let name = |by| match by {
        By::Destination => mail.domain,
        By::Sender => sender.as_str(),
        By::Domain => sender_domain,
    };
    let chosen = By::ALL.into_iter().find_map(|by| {
        rules.choices.iter().find(|choice| choice.by == by && !choice.name.is_empty() && choice.name == name(by))
    });
    chosen.map_or(DEFAULT_POOL, |choice| choice.pool.as_str())
}

/// One by weight.
fn pick<'a>(members: &[&'a Egress], random: u64) -> Option<&'a Egress> {
    let all: u64 = members.iter().map(|one| u64::from(one.weight)).sum();
    let mut at = random.checked_rem(all)?;
    for one in members {
        match at.checked_sub(u64::from(one.weight)) {
            Some(rest) => at = rest,
            None => return Some(one),
        }
    }
    None
}
