//! Port 25 of an exchanger as other servers find it: the greeting, EHLO, STARTTLS, the certificate and its TLSA records.

use std::net::SocketAddr;

use super::addresses::is_local;
use super::exchangers::Exchanger;
use super::line::Line;
use super::wire::{Smtp, connect, shown_chain};
use super::{World, certificate, dane};

const PORT: u16 = 25;
const WHAT: &str = "port 25";
/// Addresses of one host that are looked at.
const ADDRESSES_MAX: usize = 4;

/// What was heard.
struct Heard {
    greeting: String,
    ehlo: Vec<String>,
    /// The chain shown after STARTTLS, or why there is none.
    chain: Result<Vec<Vec<u8>>, String>,
}

pub(super) async fn look(world: &World, exchanger: &Exchanger) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut chains = Vec::new();
    let places = exchanger.addresses.iter().take(ADDRESSES_MAX);
    let asked = places.map(|address| {
        let (at, host, helo) =
            (SocketAddr::new(*address, PORT + world.offset), exchanger.name.clone(), world.helo.clone());
        (*address, tokio::task::spawn_blocking(move || converse(at, &host, &helo)))
    });
    for (address, heard) in asked.collect::<Vec<_>>() {
        let at = format!("{} ({address})", exchanger.name);
        let heard = match heard.await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(heard) => heard,
            Err(why) => {
                lines.push(silent(&at, &why, exchanger, is_local(&address)));
                continue;
            }
        };
        lines.push(greeting(world, &at, &heard, exchanger));
        if !exchanger.is_wanted {
            continue;
        }
        match heard.chain {
            Ok(chain) => {
                let at = format!("{at}, port 25,");
                lines.push(certificate::look(world, &at, &exchanger.name, &chain, world.is_enforced));
                chains.push(chain);
            }
            Err(why) => lines.push(Line::fail(
                "STARTTLS",
                format!("{at}: {why}"),
                "mail comes in clear, and servers that insist on TLS do not deliver",
                "let the listener have tls = \"starttls\", and look whether a firewall or proxy changes SMTP",
            )),
        }
    }
    if exchanger.is_wanted {
        lines.extend(dane::look(world, exchanger, &chains).await);
    }
    lines
}

fn converse(at: SocketAddr, host: &str, helo: &str) -> Result<Heard, String> {
    let mut smtp = Smtp::over(connect(at)?);
    let (greeting, ehlo) = smtp.begin(helo)?;
    let chain = match ehlo.lines.iter().any(|line| line.eq_ignore_ascii_case("STARTTLS")) {
        false => Err("STARTTLS is not offered".to_owned()),
        true => smtp.ask("STARTTLS").and_then(|reply| match reply.code {
            220 => shown_chain(smtp.into_stream(), host).map_err(|why| format!("TLS cannot be agreed on: {why}")),
            _ => Err(format!("STARTTLS is answered with {}", reply.first())),
        }),
    };
    Ok(Heard { greeting: greeting.lines.concat(), ehlo: ehlo.lines, chain })
}

/// Nobody answers there.
fn silent(at: &str, why: &str, exchanger: &Exchanger, is_here: bool) -> Line {
    let fact = format!("{at} does not take mail: {why}");
    let meaning = "other servers cannot deliver there; they try again for some days and then return mail";
    let remedy = match (exchanger.is_wanted, is_here) {
        (true, true) => {
            "start the server (`postroad serve`), let a listener be on port 25, and open it in the firewall"
        }
        (true, false) => {
            "open port 25 in the firewall and forward it to this server; if your router does not lead its own public address \
             back in, look from outside instead"
        }
        (false, true | false) => "tell who runs that server, or remove its MX record",
    };
    match exchanger.is_wanted {
        true => Line::fail(WHAT, fact, meaning, remedy),
        false => Line::warn(WHAT, fact, meaning, remedy),
    }
}

/// RFC 5321 §4.2: the greeting and EHLO begin with the server's name.
fn greeting(world: &World, at: &str, heard: &Heard, exchanger: &Exchanger) -> Line {
    let word = |text: &str| text.split(' ').next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    let greeted = word(&heard.greeting);
    let named = word(heard.ehlo.first().map(String::as_str).unwrap_or_default());
    if exchanger.is_wanted && exchanger.name == world.facts.host && greeted != world.facts.host {
        return Line::fail(
            WHAT,
            format!("{at} greets as {greeted}, not as {}", world.facts.host),
            "another server answers there, or something in front of this one",
            "let the address lead to this server, or set hostname to the name that is greeted with",
        );
    }
    if greeted != named {
        let fact = format!("{at} greets as {greeted} and answers EHLO as {named}");
        return Line::warn(WHAT, fact, "strict servers want one name", "look at what stands in front of the server");
    }
    Line::ok(WHAT, format!("{at} takes mail and greets as {greeted}"))
}
