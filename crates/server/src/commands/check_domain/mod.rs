//! `postroad check DOMAIN`: what the DNS really says of a domain, and what others really find at this server.
//!
//! It asks and compares; nothing is changed, nothing is sent: no probe reaches DATA. All questions run side by side within
//! [`WITHIN`].
//!
//! Standards: those of [`crate::domain_records`], RFC 1912 §2.1 (PTR), RFC 5782 (DNSBL), RFC 3207 (STARTTLS).

mod addresses;
mod certificate;
mod dane;
mod dkim;
mod dmarc;
mod exchangers;
mod greetings;
mod line;
mod lists;
mod policy;
mod ports;
mod relay;
mod services;
mod smtp;
mod spf;
mod wire;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use postroad_dns::{Dns, Error};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::dns;
use super::progress::Shown;
use crate::cli::{DomainCheck, Output, Place};
use crate::domain_records::{Facts, Purpose, Wanted, wanted};
use crate::serve::outbound::Names;
use crate::settings::Settings;
use crate::{place, print};
use exchangers::Exchanger;
use line::{Grade, Line};

/// Everything together; what takes longer is told as such.
const WITHIN: Duration = Duration::from_secs(60);

/// What the matters are looked at with.
struct World {
    settings: Settings,
    facts: Facts,
    wanted: Vec<Wanted>,
    /// Name, record and state of each signing key.
    keys: Vec<dkim::Key>,
    /// The policy of MTA-STS is `enforce`.
    is_enforced: bool,
    dns: Arc<dyn Dns>,
    has_dnssec: bool,
    /// Where mail leaves from, as far as is known.
    egress: Vec<IpAddr>,
    /// The name given to other servers.
    helo: String,
    lists: Vec<String>,
    offset: u16,
    /// Addresses of this machine itself are good enough.
    is_trial: bool,
    trust: Result<wire::Trust, String>,
    deadline: Instant,
}

impl World {
    /// Lines of a zone file: what is wanted for a purpose.
    fn records(&self, purpose: Purpose) -> Vec<String> {
        self.wanted.iter().filter(|one| one.purpose == purpose).map(|one| one.record.to_string()).collect()
    }

    /// The hosts that are to take the domain's mail.
    fn wanted_exchangers(&self) -> Vec<String> {
        match self.facts.exchangers.is_empty() {
            true => vec![self.facts.host.clone()],
            false => self.facts.exchangers.clone(),
        }
    }

    /// Texts at a name that begin with these words, such as `v=spf1`; none where there is no such name.
    async fn texts(&self, what: &'static str, name: &str, version: &str) -> Result<Vec<String>, Line> {
        let found = match self.dns.txt(name).await {
            Ok(answer) => answer.records,
            Err(error) if error.is_denial() => Vec::new(),
            Err(error) => return Err(trouble(what, name, &error)),
        };
        let texts = found.iter().map(|text| String::from_utf8_lossy(text).into_owned());
        let is_one = |text: &String| {
            let head = text.trim_start().get(..version.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(version))
                && !text.trim_start()[version.len()..].starts_with(|c: char| c.is_ascii_alphanumeric())
        };
        Ok(texts.filter(is_one).collect())
    }
}

/// A name that got no answer.
fn trouble(what: &'static str, name: &str, error: &Error) -> Line {
    match error {
        Error::Bogus(_) => Line::fail(
            what,
            format!("{name}: {error}"),
            "who verifies DNSSEC, as Gmail's resolvers do, finds nothing there",
            "let whoever runs the zone sign it anew, and compare its DS record at the registrar with its keys",
        ),
        Error::BadName(_) => Line::fail(
            what,
            format!("{name}: {error}"),
            "nobody can ask for such a name",
            "correct the record that names it",
        ),
        Error::Temporary(_) | Error::NoSuchName(_) | Error::NoData(_) => Line::warn(
            what,
            format!("{name}: {error}"),
            "it is not known how this stands; others may get no answer either",
            "try again; if it stays, look at the zone's name servers, or ask another one with --dns HOST:PORT",
        ),
    }
}

pub(super) fn command(options: &DomainCheck, domain: &str, at: &Place, output: Output) -> Result<ExitCode> {
    let mut settings = place::settings(at)?;
    if let Some(server) = &options.dns {
        settings.dns.servers = vec![server.clone()];
    }
    let (facts, data) = dns::known(&settings, domain)?;
    let names = Names::of(&settings)?;
    let Names::Asked(resolver, _) = &names else {
        bail!("nobody can be asked for names: name a server with --dns HOST:PORT or dns.servers");
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let resolver = Arc::clone(resolver);
    let lines = runtime.block_on(async {
        resolver.answers().await.map_err(|error| anyhow::anyhow!("the name servers do not answer: {error}"))?;
        let has_dnssec = resolver.has_dnssec().await;
        let mut world = World {
            wanted: wanted(&facts),
            keys: dkim::keys(&data),
            is_enforced: facts.policy_id.is_some() && data["mode"] == "enforce",
            dns: resolver,
            has_dnssec,
            egress: options.address.clone(),
            helo: settings.outbound.helo_name.clone().unwrap_or_else(|| facts.host.clone()).to_ascii_lowercase(),
            lists: options.list.clone(),
            offset: options.port_offset,
            is_trial: options.port_offset > 0 || settings.outbound.allow_loopback,
            trust: wire::Trust::new(settings.outbound.authorities.as_deref()),
            deadline: Instant::now() + WITHIN,
            settings,
            facts,
        };
        addresses::find_egress(&mut world).await;
        Ok::<_, anyhow::Error>((world.facts.domain.clone(), look(Arc::new(world)).await))
    });
    // What hangs in a socket is not waited for.
    runtime.shutdown_background();
    let (domain, lines) = lines?;
    Ok(tell(&domain, &lines, output))
}

type Matter = (&'static str, Pin<Box<dyn Future<Output = Vec<Line>> + Send>>);

fn matter<F>(name: &'static str, work: F) -> Matter
where
    F: Future<Output = Vec<Line>> + Send + 'static,
{
    (name, Box::pin(work))
}

/// All matters, side by side; their lines in the order in which they are best read.
async fn look(world: Arc<World>) -> Vec<Line> {
    let (mut lines, exchangers) = exchangers::look(&world).await;
    let exchangers: Arc<[Exchanger]> = exchangers.into();
    let all = |world: &Arc<World>| (Arc::clone(world), Arc::clone(&exchangers));
    let own = || Arc::clone(&world);
    let mut matters: Vec<Matter> = Vec::new();
    matters.push(matter("addresses", addresses::look(own())));
    for place in 0..exchangers.len() {
        let (world, exchangers) = all(&world);
        matters.push(matter("port 25", async move { smtp::look(&world, &exchangers[place]).await }));
    }
    let (relayed, hosts) = all(&world);
    matters.push(matter("open relay", async move { relay::look(&relayed, &hosts).await }));
    matters.push(matter("ports", ports::look(own())));
    matters.push(matter("SPF", spf::look(own())));
    matters.push(matter("DKIM", dkim::look(own())));
    matters.push(matter("DMARC", dmarc::look(own())));
    let (promised, hosts) = all(&world);
    matters.push(matter("MTA-STS", async move { policy::look(&promised, &hosts).await }));
    matters.push(matter("services", services::look(own())));
    matters.push(matter("DNSBL", lists::look(own())));
    lines.extend(side_by_side(matters, world.deadline).await);
    lines
}

async fn side_by_side(matters: Vec<Matter>, deadline: Instant) -> Vec<Line> {
    let names: Vec<&'static str> = matters.iter().map(|(name, _)| *name).collect();
    let mut found: Vec<Option<Vec<Line>>> = names.iter().map(|_| None).collect();
    let mut running = JoinSet::new();
    for (place, (_, work)) in matters.into_iter().enumerate() {
        running.spawn(async move { (place, work.await) });
    }
    let (shown, mut done) = (Shown::new(), 0);
    while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, running.join_next()).await {
        done += 1;
        shown.show("looking, matters done", done, names.len() as u64, 0);
        if let Ok((place, lines)) = ended {
            found[place] = Some(lines);
        }
    }
    shown.clear();
    let late = |name: &'static str| {
        let fact = format!("not done within {} s", WITHIN.as_secs());
        vec![Line::warn(name, fact, "it is not known how this stands", "try again")]
    };
    names.into_iter().zip(found).flat_map(|(name, lines)| lines.unwrap_or_else(|| late(name))).collect()
}

fn tell(domain: &str, lines: &[Line], output: Output) -> ExitCode {
    let count = |grade: Grade| lines.iter().filter(|line| line.grade == grade).count();
    let (failed, warned) = (count(Grade::Fail), count(Grade::Warn));
    if output.json {
        let all: Vec<Value> = lines.iter().map(Line::json).collect();
        print::json(&json!({ "domain": domain, "failed": failed, "warned": warned, "lines": all }));
    } else {
        print::text(&lines.iter().map(Line::text).collect::<String>());
        print::line(&match (failed, warned) {
            (0, 0) => format!("\n{domain}: all is well."),
            (0, _) => format!("\n{domain}: mail flows; {warned} to look at (warn)."),
            (_, _) => format!("\n{domain}: {failed} to put right (FAIL), {warned} to look at (warn)."),
        });
    }
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
