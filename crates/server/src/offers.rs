//! What this server offers to mail programs, from the settings: the one description that programs, people and the DNS are
//! told by.

use postroad_sasl::Mechanism;
use postroad_web::autoconfig::{Offer, Offers, Protocol, Security};

use crate::settings::{ListenerSettings, Service, Settings, TlsMode};

/// The best first: TLS from the first octet, and what is open to others before what only this machine can reach.
pub(crate) fn of(settings: &Settings) -> Offers {
    let issuer = settings.issuer().filter(|issuer| issuer.starts_with("https://"));
    let ways =
        Protocol::ALL.into_iter().flat_map(|protocol| [(protocol, Security::Tls), (protocol, Security::StartTls)]);
    Offers {
        host: settings.hostname.trim_end_matches('.').to_ascii_lowercase(),
        https: best(&settings.listener, Service::Http, TlsMode::Implicit).map(ListenerSettings::port_outside),
        services: ways
            .filter_map(|(protocol, security)| offer(settings, protocol, security, issuer.is_some()))
            .collect(),
        issuer,
    }
}

fn offer(settings: &Settings, protocol: Protocol, security: Security, provides: bool) -> Option<Offer> {
    let service = match protocol {
        Protocol::Imap => Service::Imap,
        Protocol::Pop3 => Service::Pop3,
        Protocol::Submission => Service::Submission,
    };
    let tls = match security {
        Security::Tls => TlsMode::Implicit,
        Security::StartTls => TlsMode::Starttls,
    };
    let listener = best(&settings.listener, service, tls)?;
    let mechanisms = settings.login.policy(&listener.mechanisms, provides);
    let is_any = |names: &[&str]| mechanisms.iter().any(|one: &&Mechanism| names.contains(&one.name));
    Some(Offer {
        protocol,
        security,
        port: listener.port_outside(),
        password: is_any(&["PLAIN", "LOGIN"]),
        token: is_any(&["OAUTHBEARER", "XOAUTH2"]),
    })
}

/// The first that others can reach, else the first.
fn best(listeners: &[ListenerSettings], service: Service, tls: TlsMode) -> Option<&ListenerSettings> {
    let mut fitting = listeners.iter().filter(move |one| one.service == service && one.tls == tls);
    fitting.clone().find(|one| !one.address.ip().is_loopback()).or_else(|| fitting.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_follow_from_the_settings() {
        let mut settings = Settings { hostname: "Mail.Example.Org.".into(), ..Settings::default() };
        let offers = of(&settings);
        assert_eq!((offers.host.as_str(), offers.services.len()), ("mail.example.org", 6));
        assert!(offers.services.iter().all(|one| one.password && one.port == one.protocol.usual_port(one.security)));
        settings.listener.retain(|one| one.name == "imaps" || one.service == Service::Submission);
        settings.listener[0].mechanisms = vec!["OAUTHBEARER".into()];
        settings.listener[0].public_port = Some(1587);
        let offers = of(&settings);
        let told: Vec<(u16, bool)> = offers.services.iter().map(|one| (one.port, one.password)).collect();
        assert_eq!(told, [(993, true), (465, true), (1587, false)]);
        assert_eq!((offers.https, offers.issuer), (None, None));
        assert!(offers.services.iter().all(|one| !one.token), "nobody gives tokens without pages");
    }
}
