//! Certificates: those of files, those that ACME gets, and the one of our own making; and what keeps them up to date.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use postroad_dns::{Dns, update};
use postroad_login::Clock;
use postroad_net::{CertificateFiles, Certificates, Kept, SELF_MADE_KEY, Stop, Tls, self_made};
use postroad_store::Store;
use postroad_trust::certificates::Secret;
use postroad_web::acme::{self, Algorithm, Answers, Keeper, Shown, Wanted, Zone};
use tokio::task::JoinSet;

use super::outbound::{node, server};
use crate::settings::{self, KeyKind, Service, Settings, TlsMode};

/// The certificates of the settings; without any the one of our own making stands in until there is a real one.
pub(crate) fn load(settings: &Settings) -> Result<Arc<Certificates>> {
    let files = files(settings);
    let stand_in = if files.is_empty() { Some(self_made_files(settings)?) } else { None };
    Ok(Certificates::load_with(files, stand_in)?)
}

/// The certificate that the server makes for itself until there is a real one.
pub(crate) fn self_made_files(settings: &Settings) -> Result<CertificateFiles> {
    let mut names = vec![settings.hostname.clone()];
    if settings.hostname != "localhost" {
        names.push("localhost".into());
    }
    Ok(self_made(&settings.data.join("tls"), &names, SystemTime::now())?)
}

/// TLS with these certificates, which also answers authorities.
pub(super) fn tls(certificates: &Arc<Certificates>, store: &Store, clock: &Clock) -> Result<Tls> {
    let answers = Answers::new(store.clone(), Arc::clone(clock));
    Ok(Tls::new(Arc::clone(certificates))?.with_challenges(Arc::new(answers)))
}

/// Starts showing what the database has and, where the settings agree to it, getting what is missing.
pub(super) async fn start(
    running: &mut JoinSet<()>,
    settings: &Settings,
    certificates: &Arc<Certificates>,
    store: &Store,
    dns: Arc<dyn Dns>,
    clock: Clock,
    stop: &Stop,
) -> Result<()> {
    let shown = Shown::new(store.clone(), Arc::clone(certificates), settings.hostname.clone());
    // Before anybody can come in.
    if let Err(error) = shown.load().await {
        tracing::warn!(%error, "the certificates in the database cannot be read; it is tried again");
    }
    running.spawn(shown.follow(stop.clone()));
    // What the keeper below does not look after.
    if !settings.acme.terms_agreed || !settings.certificate.is_empty() {
        let (watched, dns) = (watched(settings, certificates), Arc::clone(&dns));
        let watch = acme::Watch::new(Arc::clone(certificates), dns, watched, TLSA_PORT);
        running.spawn(watch.run(stop.clone()));
    }
    if !settings.acme.terms_agreed {
        return Ok(());
    }
    let covered: Vec<String> = match settings.certificate.is_empty() {
        true => Vec::new(),
        false => Certificates::load(files(settings))?
            .facts(SystemTime::now())
            .into_iter()
            .flat_map(|facts| facts.names)
            .map(|name| name.to_ascii_lowercase())
            .collect(),
    };
    let wanted = Wanted { covered, ..wanted(settings) };
    let node = node(&settings.data, &settings.hostname)?;
    let keeper = Keeper::new(store.clone(), acme(settings)?, wanted, dns, clock, node);
    running.spawn(keeper.run(stop.clone()));
    Ok(())
}

/// Names whose TLSA records may be there: the server's own, and those of its certificates.
fn watched(settings: &Settings, certificates: &Certificates) -> Vec<String> {
    let shown = certificates.facts(SystemTime::now()).into_iter().flat_map(|facts| facts.names);
    let names = std::iter::once(settings.hostname.clone()).chain(shown).map(|name| name.to_ascii_lowercase());
    let names: std::collections::BTreeSet<String> = names
        .filter(|name| name.contains('.') && !name.contains('*') && name.parse::<std::net::IpAddr>().is_err())
        .collect();
    names.into_iter().take(WATCHED_MAX).collect()
}

/// What clients are shown: files and database together.
pub(crate) fn shown(settings: &Settings, store: &Store) -> Result<Arc<Certificates>> {
    let certificates = load(settings)?;
    let there = store.read_blocking(postroad_trust::certificates::in_use)?;
    let kept = there.into_iter().map(|(one, key)| Kept { chain: one.chain, key: key.pkcs8.expose().clone() });
    certificates.keep(&kept.collect::<Vec<_>>());
    Ok(certificates)
}

fn files(settings: &Settings) -> Vec<CertificateFiles> {
    let files = settings.certificate.iter();
    files.map(|pair| CertificateFiles { chain: pair.chain.clone(), key: pair.key.clone() }).collect()
}

fn wanted(settings: &Settings) -> Wanted {
    Wanted {
        host: settings.hostname.clone(),
        more: settings.acme.names.clone(),
        before_domains: settings.acme.before_domains.clone(),
        addresses: settings.acme.addresses.clone(),
        covered: Vec::new(),
    }
}

/// The settings of ACME; the error names the one that cannot be used.
pub(crate) fn acme(settings: &Settings) -> Result<acme::Settings> {
    let from = &settings.acme;
    let external = match (&from.external_key_id, &from.external_key_file) {
        (Some(id), Some(file)) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("acme.external-key-file: {} cannot be read", file.display()))?;
            let key = decoded(text.trim()).context("acme.external-key-file: the key is not Base64")?;
            Some((id.clone(), Secret::new(key)))
        }
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            bail!("acme.external-key-id and acme.external-key-file go together: set both or none")
        }
    };
    let contact = from.contact.iter().map(|address| match address.starts_with("mailto:") {
        true => address.clone(),
        false => format!("mailto:{address}"),
    });
    let zone = zone(settings)?;
    let challenges: Vec<acme::Challenge> = match from.challenges.is_empty() {
        true => possible(settings, zone.is_some()),
        false => from.challenges.iter().copied().map(challenge).collect(),
    };
    if challenges.is_empty() {
        bail!(
            "the certificate authority cannot look whether names are ours: add a listener with service http on port 443 \
             (tls implicit) or 80 (tls none), or [dns-update]"
        );
    }
    Ok(acme::Settings {
        contact: contact.collect(),
        authorities: from.authorities.clone(),
        external,
        profile: from.profile.clone(),
        challenges,
        algorithm: match from.key {
            KeyKind::EcdsaP256 => Algorithm::EcdsaP256,
            KeyKind::EcdsaP384 => Algorithm::EcdsaP384,
            KeyKind::Rsa2048 => Algorithm::Rsa2048,
            KeyKind::Rsa4096 => Algorithm::Rsa4096,
        },
        key_lifetime: (from.key_days > 0).then(|| Duration::from_secs(u64::from(from.key_days) * 24 * 60 * 60)),
        stand_in: Some(settings.data.join("tls").join(SELF_MADE_KEY)),
        publishes_tlsa: from.publish_tlsa,
        zone,
        ..acme::Settings::new(from.directory.clone())
    })
}

fn challenge(from: settings::Challenge) -> acme::Challenge {
    match from {
        settings::Challenge::Http => acme::Challenge::Http,
        settings::Challenge::Alpn => acme::Challenge::Alpn,
        settings::Challenge::Dns => acme::Challenge::Dns,
    }
}

/// What the listeners can answer.
fn possible(settings: &Settings, has_zone: bool) -> Vec<acme::Challenge> {
    let has = |service: Option<Service>, tls: TlsMode| {
        let mut all = settings.listener.iter();
        all.any(|one| one.tls == tls && service.is_none_or(|service| service == one.service))
    };
    let ways = [
        (acme::Challenge::Alpn, has(Some(Service::Http), TlsMode::Implicit)),
        (acme::Challenge::Http, has(Some(Service::Http), TlsMode::None)),
        (acme::Challenge::Dns, has_zone),
    ];
    ways.into_iter().filter(|(_, is_possible)| *is_possible).map(|(way, _)| way).collect()
}

/// The name server that takes updates.
pub(crate) fn zone(settings: &Settings) -> Result<Option<Zone>> {
    let from = &settings.dns_update;
    let Some(text) = &from.server else { return Ok(None) };
    let server = server(text)
        .ok_or_else(|| anyhow!("dns-update.server: {text} is no address, such as 192.0.2.53 or [2001:db8::53]:53"))?;
    let key = match &from.key_file {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("dns-update.key-file: {} cannot be read", file.display()))?;
            Some(update::Key::parse(&text).map_err(|error| anyhow!("dns-update.key-file: {error}"))?)
        }
        None => None,
    };
    let settles_within = Duration::from_secs(from.settle_seconds.min(SETTLE_MAX));
    Ok(Some(Zone { server, key, name: from.zone.clone(), settles_within }))
}

/// Base64, in the alphabet for URLs or the other one, padded or not. RFC 8555 §7.3.4 has the former.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut held, mut bits) = (0u32, 0);
    for sign in text.trim_end_matches('=').bytes() {
        let value = match sign {
            b'A'..=b'Z' => sign - b'A',
            b'a'..=b'z' => sign - b'a' + 26,
            b'0'..=b'9' => sign - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(value)) & 0x000F_FFFF;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xFF) as u8);
        }
    }
    Some(bytes).filter(|bytes| !bytes.is_empty())
}

/// Where other servers look for records about mail. RFC 7672 §2.2.
const TLSA_PORT: u16 = 25;
/// Names whose records are looked at.
const WATCHED_MAX: usize = 100;

/// Longer than this no zone takes.
const SETTLE_MAX: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_accounts_come_in_both_alphabets() {
        for (text, expected) in [
            ("aGVsbG8", Some(b"hello".as_slice())),
            ("aGVsbG8=", Some(b"hello")),
            ("-_-_", Some(&[0xFB, 0xFF, 0xBF])),
            ("+/+/", Some(&[0xFB, 0xFF, 0xBF])),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(decoded(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_the_listeners_allow_is_offered() {
        let mut settings = Settings::default();
        let of = |settings: &Settings| acme(settings).expect("settings").challenges;
        assert_eq!(of(&settings), [acme::Challenge::Alpn, acme::Challenge::Http]);
        settings.listener.retain(|one| one.service != Service::Http);
        assert!(acme(&settings).expect_err("no way").to_string().contains("[dns-update]"));
        settings.dns_update.server = Some("192.0.2.53".into());
        assert_eq!(of(&settings), [acme::Challenge::Dns]);
        settings.acme.challenges = vec![settings::Challenge::Http];
        assert_eq!(of(&settings), [acme::Challenge::Http]);
        settings.acme.external_key_id = Some("kid".into());
        assert!(acme(&settings).is_err());
    }
}
