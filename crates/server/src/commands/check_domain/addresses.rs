//! This server's addresses: what the DNS says of its name, and of the addresses that mail leaves from (PTR, FCrDNS, HELO).

use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;

use super::exchangers::words;
use super::line::Line;
use super::{World, trouble};
use crate::domain_records::{Purpose, is_public};

const HOST: &str = "address";
const PTR: &str = "PTR";
const HELO: &str = "HELO";

/// Where mail leaves from: as the command line says, the settings, or the DNS of our own name.
pub(super) async fn find_egress(world: &mut World) {
    if world.egress.is_empty() {
        let named = world.settings.outbound.source_addresses.iter().copied();
        world.egress = named.filter(|one| world.is_trial || is_public(one)).collect();
    }
    if world.egress.is_empty() {
        world.egress = world.facts.addresses.clone();
    }
    if world.egress.is_empty() {
        let found = world.dns.addresses(&world.facts.host).await;
        world.egress = found.map(|answer| answer.records).unwrap_or_default();
    }
}

/// Whether an address is one of this machine.
pub(super) fn is_local(address: &IpAddr) -> bool {
    UdpSocket::bind((*address, 0)).is_ok()
}

pub(super) async fn look(world: Arc<World>) -> Vec<Line> {
    let mut lines = host(&world).await;
    if world.egress.is_empty() {
        lines.push(Line::warn(
            PTR,
            "it is not known which address mail leaves from",
            "whether others can trace it back to this server could not be looked at",
            "name it with --address IP, or set outbound.source-addresses",
        ));
    }
    for address in &world.egress {
        lines.push(pointer(&world, *address).await);
    }
    lines.extend(helo(&world).await);
    lines
}

async fn host(world: &World) -> Vec<Line> {
    let host = &world.facts.host;
    if !host.contains('.') {
        return vec![Line::fail(
            HOST,
            format!("this server calls itself {host}"),
            "that is no name that others could look up",
            "set hostname in the settings to a name that leads here, such as mail.example.org",
        )];
    }
    let found = match world.dns.addresses(host).await {
        Ok(answer) => answer.records,
        Err(error) if error.is_denial() => {
            let line = Line::fail(
                HOST,
                format!("{host} has no address"),
                "nobody finds this server, and servers that look whether its name is a real one refuse its mail",
                format!("publish this server's public address as A (and AAAA) of {host}"),
            );
            return vec![line.publish(world.records(Purpose::Address))];
        }
        Err(error) => return vec![trouble(HOST, host, &error)],
    };
    let mut lines = Vec::new();
    let inward: Vec<IpAddr> = found.iter().copied().filter(|one| !is_public(one) && !world.is_trial).collect();
    if !inward.is_empty() {
        lines.push(Line::fail(
            HOST,
            format!("{host} leads to {}", words(&inward)),
            "that address means something else, or nothing, outside of this network",
            "publish the public address instead",
        ));
    }
    let known = &world.facts.addresses;
    let is_ours = |one: &IpAddr| known.contains(one) || world.egress.contains(one) || is_local(one);
    let (own, other): (Vec<IpAddr>, Vec<IpAddr>) = found.iter().partition(|one| is_ours(one));
    if !other.is_empty() && !known.is_empty() {
        lines.push(
            Line::fail(
                HOST,
                format!("{host} leads to {}, and this server is {}", words(&other), words(known)),
                "what is meant for this server goes elsewhere",
                "publish this server's addresses and no others",
            )
            .publish(world.records(Purpose::Address)),
        );
    } else if lines.is_empty() {
        let four = if found.iter().any(IpAddr::is_ipv4) { "" } else { "; servers without IPv6 cannot reach it" };
        let six = if found.iter().any(IpAddr::is_ipv6) { "" } else { "; no IPv6 (no AAAA)" };
        let whose = if own.is_empty() { "; behind a router, as it seems" } else { "" };
        lines.push(Line::ok(HOST, format!("{host} is {}{four}{six}{whose}", words(&found))));
    }
    lines
}

/// RFC 1912 §2.1: for every address there is a name, and that name has the address (FCrDNS).
async fn pointer(world: &World, address: IpAddr) -> Line {
    let helo = &world.helo;
    let ask = format!("ask whoever gave you {address} (the provider) to set its reverse DNS (PTR) to {helo}");
    let names = match world.dns.ptr(address).await {
        Ok(answer) => answer.records,
        Err(error) if error.is_denial() => {
            let meaning = "Gmail, Microsoft and many others refuse mail from addresses without a name";
            let record = format!("{}. 3600 IN PTR {helo}.", reverse(address));
            return Line::fail(PTR, format!("{address} has no name"), meaning, ask).publish(vec![record]);
        }
        Err(error) => return trouble(PTR, &address.to_string(), &error),
    };
    let mut confirmed = Vec::new();
    for name in names.iter().take(NAMES_MAX) {
        let found = world.dns.addresses(name).await.map(|answer| answer.records).unwrap_or_default();
        if found.contains(&address) {
            confirmed.push(name.clone());
        }
    }
    let all = names.join(", ");
    if confirmed.is_empty() {
        return Line::fail(
            PTR,
            format!("{address} is named {all}, and that name does not lead back to it"),
            "others take the name for a false one (no FCrDNS) and refuse mail, as Gmail does",
            format!("{ask}; {helo} must have {address} among its addresses"),
        );
    }
    if !confirmed.contains(helo) {
        return Line::warn(
            PTR,
            format!("{address} is named {all}, and this server greets as {helo}"),
            "strict servers want both to be the same",
            format!("{ask}, or set outbound.helo-name = \"{}\"", confirmed[0]),
        );
    }
    Line::ok(PTR, format!("{address} is named {helo}, and that name leads back to it"))
}

/// RFC 5321 §4.1.4: the name of the greeting is one with an address; others compare it with where the connection is from.
async fn helo(world: &World) -> Option<Line> {
    let helo = &world.helo;
    if world.egress.is_empty() {
        return None;
    }
    let meaning = "servers that compare the name of the greeting with the address refuse such mail, or doubt it";
    Some(match world.dns.addresses(helo).await {
        Ok(answer) => {
            let missing: Vec<IpAddr> =
                world.egress.iter().copied().filter(|one| !answer.records.contains(one)).collect();
            match missing.is_empty() {
                true => Line::ok(HELO, format!("{helo}, which is where mail leaves from")),
                false => Line::fail(
                    HELO,
                    format!("{helo} is {}, and mail leaves from {}", words(&answer.records), words(&missing)),
                    meaning,
                    format!(
                        "add {} to the addresses of {helo}, or set outbound.helo-name to a name that has it",
                        words(&missing)
                    ),
                ),
            }
        }
        Err(error) if error.is_denial() => Line::fail(
            HELO,
            format!("{helo} has no address"),
            meaning,
            format!("publish {} as its address, or set outbound.helo-name", words(&world.egress)),
        ),
        Err(error) => trouble(HELO, helo, &error),
    })
}

/// RFC 1035 §3.5, RFC 3596 §2.5.
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(four) => {
            let [a, b, c, d] = four.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(_) => format!("{}.ip6.arpa", backwards(address)),
    }
}

/// The labels under which lists and reverse zones keep an address.
pub(super) fn backwards(address: IpAddr) -> String {
    match address {
        IpAddr::V4(four) => four.octets().iter().rev().map(u8::to_string).collect::<Vec<_>>().join("."),
        IpAddr::V6(six) => {
            let nibbles = six.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect::<Vec<_>>().join(".")
        }
    }
}

/// Names of one address that are looked at.
const NAMES_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_backwards() {
        assert_eq!(reverse("192.0.2.9".parse().expect("an address")), "9.2.0.192.in-addr.arpa");
        let six = reverse("2001:db8::1".parse().expect("an address"));
        assert!(six.starts_with("1.0.0.0.") && six.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"), "{six}");
    }
}
