//! The settings of signing in: which mechanisms are offered, and whose word counts about certificates of clients.

use std::path::PathBuf;

use postroad_sasl::Mechanism;
use serde::{Deserialize, Serialize};

use super::{Settings, SettingsError};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct LoginSettings {
    pub(crate) mechanisms: Vec<String>,
    pub(crate) client_authorities: Option<PathBuf>,
    pub(crate) keytab: Option<PathBuf>,
    pub(crate) realms: Vec<(String, String)>,
}

impl Default for LoginSettings {
    fn default() -> Self {
        let mechanisms = postroad_sasl::standard().iter().map(|row| row.name.to_owned()).collect();
        LoginSettings { mechanisms, client_authorities: None, keytab: None, realms: Vec::new() }
    }
}

impl LoginSettings {
    /// The mechanisms of a listener that names some of its own, or none. `provides` says that this server gives tokens;
    /// without that nobody could have one, and without a keytab nobody's ticket is of use.
    pub(crate) fn policy(&self, own: &[String], provides: bool) -> Vec<&'static Mechanism> {
        let names = if own.is_empty() { &self.mechanisms } else { own };
        let rows = names.iter().filter_map(|name| postroad_sasl::find(name));
        let rows = rows.filter(|row| provides || !matches!(row.name, "OAUTHBEARER" | "XOAUTH2"));
        rows.filter(|row| self.keytab.is_some() || !matches!(row.name, "GSSAPI" | "GSS-SPNEGO")).collect()
    }
}

impl Settings {
    /// Whether some listener may offer SCRAM, so that its keys are worth keeping.
    pub(crate) fn offers_scram(&self) -> bool {
        let all = self.listener.iter().flat_map(|one| &one.mechanisms).chain(&self.login.mechanisms);
        all.into_iter().any(|name| name.to_ascii_uppercase().starts_with("SCRAM-"))
    }

    /// Whether some listener may offer a mechanism.
    pub(crate) fn offers(&self, mechanism: &str) -> bool {
        let all = self.listener.iter().flat_map(|one| &one.mechanisms).chain(&self.login.mechanisms);
        all.into_iter().any(|name| name.eq_ignore_ascii_case(mechanism))
    }

    /// Where a client learns how to get a token (OpenID Connect Discovery 1.0 §4).
    pub(crate) fn configuration(&self) -> Option<String> {
        self.issuer().map(|issuer| format!("{issuer}/.well-known/openid-configuration"))
    }
}

/// Whether each realm has a domain that is one.
pub(super) fn realms(pairs: &[(String, String)]) -> Result<(), SettingsError> {
    let wrong = pairs.iter().find(|(realm, domain)| {
        realm.is_empty() || realm.contains(['@', '/', '\\']) || postroad_mail::Domain::parse(domain).is_err()
    });
    wrong.map_or(Ok(()), |(realm, domain)| {
        let example = "[[\"EXAMPLE.ORG\", \"example.org\"]]";
        Err(SettingsError(format!("login.realms: {realm} and {domain} are no realm and its domain, as in {example}")))
    })
}

/// Whether each name is one of a mechanism.
pub(super) fn known(key: &str, names: &[String]) -> Result<(), SettingsError> {
    let unknown = names.iter().find(|name| postroad_sasl::find(name).is_none());
    unknown.map_or(Ok(()), |name| {
        let all: Vec<&str> = postroad_sasl::MECHANISMS.iter().map(|row| row.name).collect();
        Err(SettingsError(format!("{key}: there is no mechanism {name}; known are {}", all.join(", "))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mechanisms_are_named_and_tokens_need_somebody_who_gives_them() {
        let error = Settings::parse("[login]\nmechanisms = ['PLAIN', 'ROT13']\n").expect_err("unknown");
        assert!(error.0.contains("login.mechanisms: there is no mechanism ROT13"), "{error}");
        let error = Settings::parse(
            "[[listener]]\nname = 'a'\nservice = 'imap'\naddress = '127.0.0.1:1'\ntls = 'none'\nmechanisms = ['X']\n",
        );
        assert!(error.expect_err("unknown").0.contains("listener.mechanisms"));
        let settings = LoginSettings::default();
        let names = |own: &[String], provides| -> Vec<&str> {
            settings.policy(own, provides).iter().map(|row| row.name).collect()
        };
        assert!(names(&[], true).contains(&"XOAUTH2") && !names(&[], false).contains(&"XOAUTH2"));
        assert_eq!(names(&["plain".into(), "XOAUTH2".into()], false), ["PLAIN"]);
        assert!(!names(&[], true).contains(&"GSSAPI") && !names(&[], true).contains(&"GSS-SPNEGO"));
        let settings = LoginSettings { keytab: Some("/etc/mail.keytab".into()), ..settings.clone() };
        assert!(settings.policy(&[], false).iter().any(|row| row.name == "GSSAPI"));
    }

    #[test]
    fn realms_have_domains() {
        let parse = |realms: &str| Settings::parse(&format!("[login]\nrealms = {realms}\n"));
        let settings = parse("[['EXAMPLE.TEST', 'example.test']]").expect("a realm");
        assert_eq!(settings.login.realms, [("EXAMPLE.TEST".to_owned(), "example.test".to_owned())]);
        for wrong in ["[['', 'example.test']]", "[['A', '']]", "[['a@B', 'example.test']]", "[['A', 'a b']]"] {
            assert!(parse(wrong).expect_err("no realm").0.contains("login.realms"), "{wrong}");
        }
    }
}
