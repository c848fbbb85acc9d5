//! The settings of letting programs in.

use std::time::Duration;

use postroad_identity::tokens::Lifetimes;
use serde::{Deserialize, Serialize};

use super::{ListenerSettings, Service, Settings, TlsMode};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct OauthSettings {
    pub(crate) issuer: Option<String>,
    pub(crate) registration: Registration,
    pub(crate) access_minutes: u32,
    pub(crate) unused_days: u32,
    pub(crate) session_days: u32,
}

/// Who may make programs known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Registration {
    /// The administrator.
    Off,
    /// Also mail programs themselves.
    Open,
}

impl Default for OauthSettings {
    fn default() -> Self {
        OauthSettings {
            issuer: None,
            registration: Registration::Open,
            access_minutes: 60,
            unused_days: 90,
            session_days: 14,
        }
    }
}

impl OauthSettings {
    /// How long things live; nothing lives shorter than a minute or a day.
    pub(crate) fn lifetimes(&self) -> Lifetimes {
        let minutes = |minutes: u32| Duration::from_secs(60 * u64::from(minutes.max(1)));
        let days = |days: u32| minutes(1) * 24 * 60 * days.clamp(1, DAYS_MAX);
        Lifetimes {
            access: minutes(self.access_minutes),
            idle: days(self.unused_days),
            session: days(self.session_days),
            ..Lifetimes::default()
        }
    }
}

impl Settings {
    /// The issuer's address: as it is set, else this host's pages in TLS, else those on this machine. None without any.
    pub(crate) fn issuer(&self) -> Option<String> {
        if let Some(issuer) = &self.oauth.issuer {
            return Some(issuer.trim_end_matches('/').to_owned());
        }
        let pages = |tls: TlsMode| {
            self.listener.iter().find(|listener| listener.service == Service::Http && listener.tls == tls)
        };
        let port = |listener: &ListenerSettings, usual: u16| match listener.port_outside() {
            port if port == usual => String::new(),
            port => format!(":{port}"),
        };
        if let Some(listener) = pages(TlsMode::Implicit) {
            return Some(format!("https://{}{}", self.hostname, port(listener, 443)));
        }
        let clear = pages(TlsMode::None).filter(|listener| listener.address.ip().is_loopback())?;
        let host = match clear.address {
            std::net::SocketAddr::V4(address) => address.ip().to_string(),
            std::net::SocketAddr::V6(address) => format!("[{}]", address.ip()),
        };
        Some(format!("http://{host}{}", port(clear, 80)))
    }
}

/// A century.
const DAYS_MAX: u32 = 36_500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_is_where_the_pages_are() {
        for (text, issuer) in [
            (
                "hostname = 'mail.example'\n[[listener]]\nname = 'a'\nservice = 'imap'\naddress = '[::]:993'\ntls = 'implicit'",
                None,
            ),
            (
                "hostname = 'mail.example'\n[[listener]]\nname = 'a'\nservice = 'http'\naddress = '[::]:443'\ntls = 'implicit'",
                Some("https://mail.example"),
            ),
            (
                "hostname = 'mail.example'\n[[listener]]\nname = 'a'\nservice = 'http'\naddress = '[::]:8443'\ntls = 'implicit'",
                Some("https://mail.example:8443"),
            ),
            (
                "[[listener]]\nname = 'a'\nservice = 'http'\naddress = '127.0.0.1:8080'\ntls = 'none'",
                Some("http://127.0.0.1:8080"),
            ),
            ("[[listener]]\nname = 'a'\nservice = 'http'\naddress = '0.0.0.0:80'\ntls = 'none'", None),
            ("[oauth]\nissuer = 'https://id.example/'", Some("https://id.example")),
        ] {
            let settings = Settings::parse(text).expect("settings");
            assert_eq!(settings.issuer().as_deref(), issuer, "{text}");
        }
    }
}
