//! Who is shut out is kept in the store: what this server counted goes there, and what all servers that share it counted, or an
//! administrator wrote, comes back.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use postroad_dns::Dns;
use postroad_mta::{Gate, GreylistSettings, HushSettings, ListAction, ListKind, ListSettings, RateSettings, Scores};
use postroad_net::{BanSettings, Bans, Listed, Network, Stop, Told, WELCOME};
use postroad_store::trace::TraceEvent;
use postroad_store::{Error, Locks, Store, Timestamp, TraceId, new_id};
use postroad_trust::bans::{self, Ban, Lengths};
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use super::listeners::networks;
use crate::settings::{DnsblAction, DnsblKind, DnsblSettings, EarlyTalkers, GreylistMode, Settings};

/// What was told is written together, so much at most.
const AT_ONCE: usize = 256;
/// The list is read again after so long, whatever the news: a hint may be lost, and logins are not told of.
const EVERY: Duration = Duration::from_secs(5 * 60);

/// What `gate.trusted` names, and whoever speaks for others: they are never shut out.
pub(super) fn spared(settings: &Settings) -> Result<Vec<Network>> {
    let mut spared = networks("gate.trusted", &settings.gate.trusted)?;
    for (key, names) in [
        ("smtp.xclient", &settings.smtp.xclient),
        ("smtp.xforward", &settings.smtp.xforward),
        ("smtp.lmtp-clients", &settings.smtp.lmtp_clients),
    ] {
        spared.extend(networks(key, names)?);
    }
    let proxies = settings.listener.iter().flat_map(|listener| &listener.proxy_from);
    // On this machine a proxy shares its address with whoever connects without one.
    let proxies = proxies.filter(|proxy| !proxy.to_canonical().is_loopback());
    spared.extend(proxies.map(|proxy| Network::of_one_client(*proxy)));
    Ok(spared)
}

/// Who is shut out, and what has to be kept of it.
pub(super) fn bans(settings: &Settings) -> Result<(Bans, Receiver<Told>)> {
    let counting = BanSettings {
        points: settings.gate.ban_points,
        length: minutes(settings.gate.ban_minutes),
        ..BanSettings::default()
    };
    Ok(Bans::new(counting).sparing(spared(settings)?).telling())
}

/// What stands before the policy.
pub(super) fn gate(settings: &Settings, bans: Arc<Bans>, dns: Option<Arc<dyn Dns>>) -> Result<Gate> {
    let from = &settings.gate;
    let hush = HushSettings {
        wait: Duration::from_millis(from.greeting_wait_milliseconds.min(GREETING_WAIT_MAX)),
        at_once: from.greeting_waits_at_once,
        lenient: match from.early_talkers {
            EarlyTalkers::Refuse => false,
            EarlyTalkers::Tag => true,
        },
    };
    let rates = RateSettings {
        messages_per_client: from.messages_per_client,
        messages_per_network: from.messages_per_network,
        messages_per_sender: from.messages_per_sender,
        messages_per_recipient: from.messages_per_recipient,
    };
    let gate = Gate::new(spared(settings)?).with_bans(bans).with_hush(hush).with_rates(rates);
    let gate = gate.with_greylist(greylist(&from.greylist, dns.is_some()));
    let lists = settings.dnsbl.iter().map(list).collect::<Result<Vec<_>>>()?;
    Ok(match dns {
        Some(dns) => gate.with_lists(dns, lists, Scores { reject: from.score_reject, junk: from.score_junk }),
        None if lists.is_empty() => gate,
        None => {
            tracing::warn!("there is no name server, so the lists of [[dnsbl]] are not asked; see [dns]");
            gate
        }
    })
}

fn greylist(from: &crate::settings::GreylistSettings, has_dns: bool) -> GreylistSettings {
    let mode = match from.mode {
        GreylistMode::Off => postroad_mta::GreylistMode::Off,
        GreylistMode::Suspicious => postroad_mta::GreylistMode::Suspicious,
        GreylistMode::All => postroad_mta::GreylistMode::All,
    };
    if mode == postroad_mta::GreylistMode::Suspicious && !has_dns {
        tracing::warn!("there is no name server, so nobody is suspicious to gate.greylist; see [dns]");
    }
    GreylistSettings { mode, terms: from.terms() }
}

fn list(from: &DnsblSettings) -> Result<ListSettings> {
    let zone = from.zone.trim().trim_matches('.').to_ascii_lowercase();
    ensure!(!zone.is_empty(), "dnsbl.zone: a list has a name, such as zen.spamhaus.org");
    Ok(ListSettings {
        zone,
        kind: match from.kind {
            DnsblKind::Block => ListKind::Block,
            DnsblKind::Allow => ListKind::Allow,
            DnsblKind::Domain => ListKind::Domain,
        },
        codes: networks("dnsbl.codes", &from.codes)?,
        action: match from.action {
            DnsblAction::Reject => ListAction::Reject,
            DnsblAction::Junk => ListAction::Junk,
            DnsblAction::Tag => ListAction::Tag,
            DnsblAction::Score => ListAction::Score,
        },
        weight: from.weight,
    })
}

/// Milliseconds: senders wait five minutes for a greeting (RFC 5321 §4.5.3.2.1), but many give up much sooner.
const GREETING_WAIT_MAX: u64 = 30_000;

/// How long whoever was counted stays out.
pub(super) fn lengths(settings: &Settings) -> Lengths {
    let longest = minutes(settings.gate.ban_longest_hours.saturating_mul(60));
    Lengths { first: minutes(settings.gate.ban_minutes), longest }
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes.saturating_mul(60).min(SECONDS_MAX))
}

/// Ten years.
const SECONDS_MAX: u64 = 10 * 365 * 24 * 60 * 60;

/// Keeps the list until the stop. It has been read once before this is called ([`read`]).
pub(super) async fn keep(store: Store, bans: Arc<Bans>, mut told: Receiver<Told>, lengths: Lengths, stop: Stop) {
    let mut news = store.hub().subscribe(bans::NEWS);
    let mut waiting = Vec::new();
    loop {
        waiting.clear();
        tokio::select! {
            some = told.recv_many(&mut waiting, AT_ONCE) => if some == 0 { return },
            changed = news.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(EVERY) => {}
            () = stop.stopped() => return,
        }
        news.mark_unchanged();
        let written = write(&store, &waiting, lengths).await;
        let outcome = match written {
            Ok(()) => read(&store, &bans).await,
            Err(error) => Err(error),
        };
        match outcome {
            // What stands in the list need not be counted here any more, so that it can be taken back there.
            Ok(()) => waiting.iter().for_each(|told| {
                if let Told::Out { client, .. } = told {
                    bans.settle(*client);
                }
            }),
            Err(error) => {
                tracing::warn!(%error, next_step = error.next_step(), "who is shut out could not be kept or read; \
                    what was counted holds on this server");
            }
        }
    }
}

async fn write(store: &Store, told: &[Told], lengths: Lengths) -> Result<(), Error> {
    if told.is_empty() {
        return Ok(());
    }
    let (told, now) = (told.to_vec(), Timestamp::now());
    let written = store.write(Locks::named(bans::LOCK), move |tx| {
        let mut out = Vec::new();
        for told in told {
            match told {
                Told::Out { client, offence, detail } => {
                    let client = client.to_string();
                    if let Some(ban) = bans::count(tx, &client, offence.name(), &detail, lengths, now)? {
                        let words = words(&ban);
                        tx.trace(TraceId(new_id()), now, &TraceEvent { kind: "shut out", detail: &words }, &[&client])?;
                        out.push(ban);
                    }
                }
                Told::Welcome(client) => bans::welcome(tx, &client.to_string(), now)?,
            }
        }
        Ok::<_, Error>(out)
    });
    for ban in written.await?.value {
        tracing::warn!(
            client = ban.network,
            reason = ban.reason,
            last = ban.detail,
            times = ban.times,
            "shut out for a while; `postroad ban remove {}` takes it back",
            ban.network
        );
    }
    Ok(())
}

fn words(ban: &Ban) -> String {
    let ends = ban.ends.map(crate::admin::time::shown).unwrap_or_default();
    let printable: String = ban.detail.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    format!("{} for {} until {ends}, number {}; the last was {printable:?}", ban.network, ban.reason, ban.times)
}

/// Reads the list.
pub(super) async fn read(store: &Store, bans: &Bans) -> Result<(), Error> {
    let (now, at) = (Timestamp::now(), Instant::now());
    let since = Timestamp(now.0 - i64::try_from(WELCOME.as_micros()).unwrap_or(i64::MAX));
    let look = move |tx: &postroad_store::ReadTx| Ok::<_, Error>((bans::held(tx, now)?, bans::welcomed(tx, since)?));
    let (held, welcomed) = store.read(look).await?;
    let left = |ends: Timestamp| at + Duration::from_micros(u64::try_from(ends.0.saturating_sub(now.0)).unwrap_or(0));
    let out = held.into_iter().filter_map(|ban| Some((ban.network.parse().ok()?, ban.ends.map(left))));
    let welcome =
        welcomed.into_iter().filter_map(|(client, seen)| Some((client.parse().ok()?, left(seen.plus(WELCOME)))));
    bans.list(Listed { out: out.collect(), welcome: welcome.collect() });
    Ok(())
}
