//! The ports that people's programs and authorities use, at the address that the DNS gives, and the certificates shown there.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::World;
use super::addresses::is_local;
use super::certificate;
use super::greetings::{self, Shown};
use super::line::Line;
use crate::settings::{STANDARD, Service, TlsMode};

const WHAT: &str = "ports";
/// Addresses that are looked at.
const ADDRESSES_MAX: usize = 4;

/// A port that should be open.
#[derive(Debug, Clone, Copy)]
struct Port {
    name: &'static str,
    number: u16,
    service: Service,
    tls: TlsMode,
    is_for_people: bool,
}

/// Those of the standard ports that the settings have a listener for. Port 25 is looked at elsewhere.
fn wanted(world: &World) -> Vec<Port> {
    let listens =
        |service: Service, tls: TlsMode| {
            world.settings.listener.iter().any(|one| {
                one.service == service && one.tls == tls && (world.is_trial || !one.address.ip().is_loopback())
            })
        };
    let offered = STANDARD.iter().filter(|(_, service, port, tls)| match service {
        Service::Smtp | Service::Lmtp => false,
        Service::Http => *port != 8080 && (*port == 443 || world.settings.acme.terms_agreed) && listens(*service, *tls),
        Service::Submission | Service::Imap | Service::Pop3 => listens(*service, *tls),
    });
    let port = |(name, service, number, tls): &(&'static str, Service, u16, TlsMode)| Port {
        name,
        number: *number,
        service: *service,
        tls: *tls,
        is_for_people: *service != Service::Http,
    };
    offered.map(port).collect()
}

pub(super) async fn look(world: Arc<World>) -> Vec<Line> {
    let host = &world.facts.host;
    let Ok(found) = world.dns.addresses(host).await else { return Vec::new() };
    let mut asked = Vec::new();
    for address in found.records.into_iter().take(ADDRESSES_MAX) {
        for port in wanted(&world) {
            let at = SocketAddr::new(address, port.number + world.offset);
            let (host, helo) = (host.clone(), world.helo.clone());
            let work = move || greetings::hear(at, port.service, port.tls, &host, &helo);
            asked.push((address, port, tokio::task::spawn_blocking(work)));
        }
    }
    let (mut lines, mut open) = (Vec::new(), Vec::new());
    for (address, port, work) in asked {
        let at = format!("{host} ({address}), port {} ({}),", port.number, port.name);
        match work.await.unwrap_or_else(|error| Err(error.to_string())) {
            Err(why) => lines.push(closed(address, port, &at, &why)),
            Ok(Shown::Other(why)) => lines.push(Line::fail(
                WHAT,
                format!("{at} is not what it should be: {why}"),
                "programs cannot use it",
                "look which program listens there, and what stands in front of it",
            )),
            Ok(Shown::Clear) => open.push(port.number.to_string()),
            Ok(Shown::NoTls(why)) => lines.push(match port.tls {
                TlsMode::Implicit => Line::fail(
                    WHAT,
                    format!("{at} speaks no TLS: {why}"),
                    "programs for mail cannot connect there",
                    "let the listener have tls = \"implicit\", and look at what stands in front of it",
                ),
                TlsMode::Starttls | TlsMode::None => Line::fail(
                    WHAT,
                    format!("{at} has no STARTTLS: {why}"),
                    "programs for mail refuse to log in there, or passwords go in clear",
                    "let the listener have tls = \"starttls\", and look whether a firewall or proxy changes what is said",
                ),
            }),
            Ok(Shown::Chain(chain)) => {
                open.push(port.number.to_string());
                lines.push(certificate::look(&world, &at, host, &chain, port.is_for_people || world.is_enforced));
            }
        }
    }
    if !open.is_empty() {
        lines.insert(0, Line::ok(WHAT, format!("open at {host}: {}", open.join(" "))));
    }
    lines
}

fn closed(address: IpAddr, port: Port, at: &str, why: &str) -> Line {
    let fact = format!("{at} is not open: {why}");
    let remedy = match is_local(&address) {
        true => "start the server (`postroad serve`) and open the port in the firewall",
        false => {
            "open the port in the firewall and forward it to this server; if your router does not lead its own public address \
             back in, look from outside instead"
        }
    };
    match port.is_for_people {
        true => Line::fail(WHAT, fact, "programs for mail cannot connect there", remedy),
        false => Line::warn(WHAT, fact, "MTA-STS, autoconfiguration or new certificates need it", remedy),
    }
}
