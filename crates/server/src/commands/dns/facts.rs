//! What the records of a domain follow from: the settings, the database, the certificate in use.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, anyhow};
use postroad_dns::Tlsa;
use postroad_web::acme;
use postroad_web::autoconfig::pacc;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::host;
use crate::domain_records::{Facts, SERVICES, is_public};
use crate::offers;
use crate::settings::{ListenerSettings, Service, Settings, TlsMode};

/// Puts together what the operation [`crate::admin::Operation::DnsFacts`] found and what the settings say.
pub(super) fn of(settings: &Settings, data: &Value) -> Result<Facts> {
    let text = |name: &str| data[name].as_str().map(str::to_owned);
    let texts = |name: &str| -> Vec<String> {
        data[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let domain = text("domain").ok_or_else(|| anyhow!("the server that runs is of another version: start it again"))?;
    let keys = data["keys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|key| Some((key["name"].as_str()?.to_owned(), key["record"].as_str()?.to_owned())));
    let mut tlsa: Vec<Tlsa> = texts("tlsa").iter().filter_map(|hex| octets(hex)).map(of_key).collect();
    if tlsa.is_empty() {
        tlsa.extend(of_files(settings));
    }
    let offers = offers::of(settings);
    Ok(Facts {
        domain,
        host: host(settings),
        addresses: addresses(settings),
        exchangers: texts("exchangers"),
        senders: settings.outbound.source_addresses.iter().copied().filter(is_public).collect(),
        services: services(&settings.listener),
        keys: keys.collect(),
        policy_id: text("policy").filter(|_| offers.https.is_some()),
        tlsa,
        issuers: issuers(settings),
        web: offers.https,
        settings_digest: pacc::document(&offers).as_deref().map(pacc::record),
    })
}

/// Public addresses that the settings name: those for certificates, and those that listeners are bound to.
fn addresses(settings: &Settings) -> Vec<IpAddr> {
    let relays = settings.listener.iter().filter(|one| one.service == Service::Smtp).map(|one| one.address.ip());
    let mut all: Vec<IpAddr> = settings.acme.addresses.iter().copied().chain(relays).filter(is_public).collect();
    all.sort();
    all.dedup();
    all
}

/// What listeners offer to people's programs, on the port by which others reach them.
fn services(listeners: &[ListenerSettings]) -> Vec<(&'static str, u16)> {
    let offered = |name: &str| {
        let (service, tls) = match name {
            "submissions" => (Service::Submission, TlsMode::Implicit),
            "submission" => (Service::Submission, TlsMode::Starttls),
            "imaps" => (Service::Imap, TlsMode::Implicit),
            "imap" => (Service::Imap, TlsMode::Starttls),
            "pop3s" => (Service::Pop3, TlsMode::Implicit),
            "pop3" => (Service::Pop3, TlsMode::Starttls),
            _ => return None,
        };
        let mut fitting = listeners.iter().filter(|one| one.service == service && one.tls == tls);
        let is_outward = |one: &&ListenerSettings| !one.address.ip().is_loopback();
        fitting.clone().find(is_outward).or_else(|| fitting.next()).map(ListenerSettings::port_outside)
    };
    SERVICES.iter().filter_map(|(name, _)| Some((*name, offered(name)?))).collect()
}

/// RFC 8659 §4.2: the name that the authority says it looks for.
fn issuers(settings: &Settings) -> Vec<String> {
    let known = ISSUERS.iter().find(|(part, _)| settings.acme.directory.contains(part));
    known.filter(|_| settings.acme.terms_agreed).map(|(_, name)| (*name).to_owned()).into_iter().collect()
}

/// The key of the certificate that is in use when the database has none: of a file, or of our own making.
fn of_files(settings: &Settings) -> Option<Tlsa> {
    let files: Vec<std::path::PathBuf> = match settings.certificate.as_slice() {
        [] => vec![settings.data.join("tls").join(postroad_net::SELF_MADE_CHAIN)],
        named => named.iter().map(|pair| pair.chain.clone()).collect(),
    };
    files.iter().filter_map(|file| CertificateDer::from_pem_file(file).ok()).find_map(|first| acme::tlsa_of(&first))
}

fn of_key(spki: Vec<u8>) -> Tlsa {
    Tlsa { usage: 3, selector: 1, matching: 1, data: spki }
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

/// Parts of directories, and the names of their authorities in CAA records.
const ISSUERS: &[(&str, &str)] = &[
    ("api.letsencrypt.org", "letsencrypt.org"),
    ("acme.zerossl.com", "sectigo.com"),
    ("pki.goog", "pki.goog"),
    ("api.buypass.com", "buypass.com"),
    ("acme.ssl.com", "ssl.com"),
];

/// A name server of the command line.
pub(super) fn server(text: &str) -> Result<SocketAddr> {
    crate::serve::outbound::server(text)
        .ok_or_else(|| anyhow!("{text} is no address, such as 192.0.2.53 or [2001:db8::53]:53"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_follow_from_the_settings() {
        let mut settings = Settings { hostname: "Mail.Example.Org".into(), ..Settings::default() };
        settings.acme.addresses = vec!["192.0.2.1".parse().expect("an address")];
        settings.outbound.source_addresses = vec!["10.0.0.1".parse().expect("an address")];
        let data = serde_json::json!({
            "domain": "example.org", "exchangers": [], "policy": "abc", "tlsa": ["abcd"],
            "keys": [{ "name": "a._domainkey.example.org", "record": "v=DKIM1; p=x" }],
        });
        let facts = of(&settings, &data).expect("facts");
        assert_eq!((facts.domain.as_str(), facts.host.as_str()), ("example.org", "mail.example.org"));
        assert_eq!(facts.tlsa, [of_key(vec![0xab, 0xcd])]);
        assert_eq!(facts.services.len(), SERVICES.len(), "the standard listeners offer all");
        assert_eq!((facts.addresses.len(), facts.senders.len()), (1, 0), "private addresses are nobody's business");
        assert_eq!(facts.policy_id.as_deref(), Some("abc"));
        assert!(facts.issuers.is_empty(), "nobody has agreed to an authority's terms");
        settings.acme.terms_agreed = true;
        settings.listener.retain(|one| one.name == "smtp" || one.name == "imaps");
        let facts = of(&settings, &data).expect("facts");
        assert_eq!(facts.services, [("imaps", 993)]);
        assert_eq!((facts.policy_id, facts.issuers), (None, vec!["letsencrypt.org".to_owned()]));
        assert!(of(&settings, &serde_json::json!({})).is_err());
    }
}
