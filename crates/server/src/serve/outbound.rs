//! Sending: the resolver, this server's name among those that share a queue, and what knows how to send.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use postroad_dns::{Dns, Resolver, Unset};
use postroad_login::Clock;
use postroad_mta::Signing;
use postroad_mta::outbound::{Floor, Follow, Ourselves, Outbound, Schedule, Settings as Sending};
use postroad_net::Stop;
use postroad_oauth::{Http, Tokens};
use postroad_queue::Terms;
use postroad_store::Store;
use postroad_store::seal::Sealer;
use tokio::task::JoinSet;

use crate::place;
use crate::settings::{Dnssec, OutboundSettings, OutboundTls, Service, Settings};

/// Where the name of this server among those that share a queue is kept, in the data folder.
const NODE_FILE: &str = "node";
/// The shortest lease: a beat of a busy database must fit into a part of it.
const LEASE_MIN: Duration = Duration::from_secs(5);
/// More would be hours.
const PATIENCE_PERCENT_MAX: u32 = 1_000;
/// A year.
const LIFETIME_HOURS_MAX: u32 = 366 * 24;
/// The port of name servers that are written without one.
const DNS_PORT: u16 = 53;
/// Longer nobody waits for one answer.
const DNS_TIMEOUT_MAX: u64 = 60;
const DNS_ATTEMPTS_MAX: usize = 10;

/// Whom names are asked of.
pub(crate) enum Names {
    /// A resolver, and its servers in words.
    Asked(Arc<Resolver>, String),
    /// Nobody; why, and what to do.
    Nobody(String),
}

impl Names {
    /// The resolver of the settings. Errors: a server that is none.
    pub(crate) fn of(settings: &Settings) -> Result<Names> {
        let servers = servers(&settings.dns.servers)?;
        if servers.is_empty() && !settings.dns.system {
            return Ok(Names::Nobody(
                "no name server is set: name one with --resolver HOST:PORT or dns.servers".into(),
            ));
        }
        let limits = asking(settings);
        let (resolver, words) = match servers.is_empty() {
            true => (Resolver::system(limits), "the system's name servers".to_owned()),
            false => (Resolver::with(&servers, limits), settings.dns.servers.join(", ")),
        };
        Ok(match resolver {
            Ok(resolver) => Names::Asked(Arc::new(resolver), words),
            Err(error) => Names::Nobody(format!("{error}; name a server with --resolver HOST:PORT or dns.servers")),
        })
    }

    /// Whether names can be looked up: by whom, or why not.
    pub(crate) async fn answers(&self) -> Result<&str, String> {
        match self {
            Names::Asked(resolver, words) => match resolver.answers().await {
                Ok(()) => Ok(words),
                Err(error) => Err(format!("{words}: {error}")),
            },
            Names::Nobody(why) => Err(why.clone()),
        }
    }

    /// Whether answers about where mail goes can be secure, so that there is DANE.
    pub(crate) async fn has_dnssec(&self) -> bool {
        match self {
            Names::Asked(resolver, _) => resolver.has_dnssec().await,
            Names::Nobody(_) => false,
        }
    }

    /// The resolver, if there is one.
    pub(crate) fn asked(&self) -> Option<Arc<dyn Dns>> {
        match self {
            Names::Asked(resolver, _) => Some(Arc::clone(resolver) as Arc<dyn Dns>),
            Names::Nobody(_) => None,
        }
    }

    pub(crate) fn dns(&self) -> Arc<dyn Dns> {
        match self {
            Names::Asked(resolver, _) => Arc::clone(resolver) as Arc<dyn Dns>,
            Names::Nobody(why) => Arc::new(Unset::new(why.clone())),
        }
    }
}

/// How names are asked for.
fn asking(settings: &Settings) -> postroad_dns::Settings {
    let dns = &settings.dns;
    let usual = postroad_dns::Settings::default();
    let timeout = Duration::from_secs(dns.timeout_seconds.clamp(1, DNS_TIMEOUT_MAX));
    postroad_dns::Settings {
        dnssec: match dns.dnssec {
            Dnssec::Auto => postroad_dns::Dnssec::Auto,
            Dnssec::Validate => postroad_dns::Dnssec::Validate,
            Dnssec::TrustAd => postroad_dns::Dnssec::TrustAd,
            Dnssec::Off => postroad_dns::Dnssec::Off,
        },
        trust_anchor: dns.trust_anchor.clone(),
        timeout,
        attempts: dns.attempts.clamp(1, DNS_ATTEMPTS_MAX),
        // Each server once within the time for all, however slow the first is.
        deadline: usual.deadline.max(timeout * 4),
        cached_answers: dns.cached_answers,
        cached_octets: dns.cached_octets,
        ..usual
    }
}

/// Name servers as the settings have them.
fn servers(texts: &[String]) -> Result<Vec<SocketAddr>> {
    texts
        .iter()
        .map(|text| {
            server(text)
                .ok_or_else(|| anyhow!("dns.servers: {text} is no address, such as 192.0.2.53 or [2001:db8::53]:53"))
        })
        .collect()
}

pub(crate) fn server(text: &str) -> Option<SocketAddr> {
    let text = text.replace("localhost", "127.0.0.1");
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, DNS_PORT));
    text.parse().ok().or(address)
}

/// Starts sending, if the settings want it.
pub(super) fn start(
    running: &mut JoinSet<()>,
    settings: &Settings,
    names: Names,
    store: &Store,
    signing: Signing,
    clock: Clock,
    stop: &Stop,
) -> Result<()> {
    if !settings.outbound.enabled {
        tracing::warn!("mail for others waits in the queue: outbound.enabled is false in the settings");
        return Ok(());
    }
    let node = node(&settings.data, &settings.hostname)?;
    let token_clock = Arc::clone(&clock);
    let seed = getrandom::u64().map_err(|error| anyhow!("the system gives no random numbers: {error}"))?;
    let outbound = Outbound::new(store.clone(), sending(settings), names.dns(), ourselves(settings), clock, node, seed)
        .context("TLS for sending cannot be set up")?
        .signing(signing);
    let outbound = match tokens(settings, store, token_clock) {
        Ok(tokens) => outbound.tokens(tokens),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "routes that sign in with tokens cannot: their mail waits");
            outbound
        }
    };
    running.spawn(outbound.run(stop.clone()));
    let stop = stop.clone();
    running.spawn(async move {
        tokio::select! {
            answers = names.answers() => match answers {
                Ok(servers) => {
                    let dnssec = names.has_dnssec().await;
                    tracing::info!(servers, dnssec, "names can be looked up: mail for others is sent");
                }
                Err(why) => tracing::warn!(why, "names cannot be looked up: mail for others waits, except where a route leads"),
            },
            () = stop.stopped() => {}
        }
    });
    Ok(())
}

/// Where tokens for routes come from.
fn tokens(settings: &Settings, store: &Store, clock: Clock) -> Result<Tokens> {
    let path = place::secret_key(settings);
    let sealer = Sealer::open(&path).with_context(|| format!("the key for secrets, {}", path.display()))?;
    let http = Http::new(settings.outbound.authorities.as_deref())?;
    Ok(Tokens::new(store.clone(), sealer, http, clock))
}

fn sending(settings: &Settings) -> Sending {
    let outbound = &settings.outbound;
    let usual = Sending::new(outbound.helo_name.clone().unwrap_or_else(|| settings.hostname.clone()));
    let percent = outbound.patience_percent.clamp(1, PATIENCE_PERCENT_MAX);
    Sending {
        port: outbound.port,
        allow_loopback: outbound.allow_loopback,
        sources: outbound.source_addresses.clone(),
        concurrency: outbound.concurrency.max(1),
        connections_per_destination: outbound.per_destination.max(1),
        connections_per_host: outbound.per_host.max(1),
        recipients_per_message: outbound.recipients_per_message.max(1),
        messages_per_connection: outbound.messages_per_connection.max(1),
        idle: Duration::from_secs(outbound.idle_seconds),
        patience: usual.patience.scaled(percent),
        connect_within: (usual.connect_within * percent / 100).max(Duration::from_secs(1)),
        schedule: {
            let Terms { lifetime, delay_notice } = terms(outbound);
            Schedule { lifetime, delay_notice }
        },
        lease: Duration::from_secs(outbound.lease_seconds).max(LEASE_MIN),
        authorities: outbound.authorities.clone(),
        follow: Follow {
            dane: outbound.dane,
            mta_sts: outbound.mta_sts,
            floor: match outbound.tls {
                OutboundTls::Opportunistic => Floor::Opportunistic,
                OutboundTls::Required => Floor::Required,
                OutboundTls::Verified => Floor::Verified,
            },
        },
        mta_sts_port: outbound.mta_sts_port,
        grace: Duration::from_secs(settings.limits.stop_seconds),
        ..usual
    }
}

/// How long mail for others is tried.
pub(super) fn terms(outbound: &OutboundSettings) -> Terms {
    let hours = |hours: u32| Duration::from_secs(u64::from(hours) * 60 * 60);
    let lifetime = hours(outbound.lifetime_hours.clamp(1, LIFETIME_HOURS_MAX));
    let delay_notice = match outbound.delay_notice_hours {
        0 => lifetime,
        delay => hours(delay).min(lifetime),
    };
    Terms { lifetime, delay_notice }
}

/// By what mail that comes back to us is known.
fn ourselves(settings: &Settings) -> Ourselves {
    let mut names = vec![settings.hostname.to_ascii_lowercase()];
    names.extend(settings.outbound.helo_name.as_deref().map(str::to_ascii_lowercase));
    let relays = settings.listener.iter().filter(|listener| listener.service == Service::Smtp);
    Ourselves { names, listeners: relays.map(|listener| listener.address).collect() }
}

/// This server's name among those that share a queue: made once, and kept as long as the data folder.
pub(super) fn node(data: &Path, hostname: &str) -> Result<String> {
    let path = data.join(NODE_FILE);
    if let Ok(name) = std::fs::read_to_string(&path)
        && !name.trim().is_empty()
    {
        return Ok(name.trim().to_owned());
    }
    let random = getrandom::u32().map_err(|error| anyhow!("the system gives no random numbers: {error}"))?;
    let name = format!("{hostname}-{random:08x}");
    let fresh = path.with_extension("new");
    let written = std::fs::File::create(&fresh).and_then(|mut file| {
        writeln!(file, "{name}")?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)
    });
    written.with_context(|| format!("{} cannot be written; make the data folder writable", path.display()))?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_addresses_with_or_without_a_port() {
        for (text, expected) in [
            ("192.0.2.53", Some("192.0.2.53:53")),
            ("192.0.2.53:5353", Some("192.0.2.53:5353")),
            ("localhost:5353", Some("127.0.0.1:5353")),
            ("2001:db8::53", Some("[2001:db8::53]:53")),
            ("[2001:db8::53]:5353", Some("[2001:db8::53]:5353")),
            ("dns.example.org", None),
            ("", None),
        ] {
            assert_eq!(server(text), expected.map(|address| address.parse().expect("an address")), "{text}");
        }
    }

    #[test]
    fn the_node_keeps_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = node(folder.path(), "mail.example.test").expect("a name");
        assert!(name.starts_with("mail.example.test-"), "{name}");
        assert_eq!(node(folder.path(), "other.example.test").expect("a name"), name);
    }
}
