//! The settings of signing in: which mechanisms are offered, and whose word counts about certificates of clients.

use std::path::PathBuf;

use postroad_sasl::Mechanism;
use postroad_sasl::digest::Digest;
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
        // What needs a keytab is left out where there is none.
        let named = postroad_sasl::MECHANISMS.iter().filter(|row| row.standard || by_ticket(row));
        let mechanisms = named.map(|row| row.name.to_owned()).collect();
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
        rows.filter(|row| self.keytab.is_some() || !by_ticket(row)).collect()
    }
}

impl LoginSettings {
    /// Whether a listener of POP3 offers APOP, which is no mechanism of SASL but is named like one.
    pub(crate) fn apop(&self, own: &[String]) -> bool {
        let names = if own.is_empty() { &self.mechanisms } else { own };
        names.iter().any(|name| name.eq_ignore_ascii_case(APOP))
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

/// Whether it is tickets of Kerberos that a mechanism shows.
fn by_ticket(row: &Mechanism) -> bool {
    matches!(row.name, "GSSAPI" | "GSS-SPNEGO")
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
    let unknown = names.iter().find(|name| postroad_sasl::find(name).is_none() && !name.eq_ignore_ascii_case(APOP));
    unknown.map_or(Ok(()), |name| {
        let all: Vec<&str> = postroad_sasl::MECHANISMS.iter().map(|row| row.name).chain([APOP]).collect();
        Err(SettingsError(format!("{key}: there is no mechanism {name}; known are {}", all.join(", "))))
    })
}

/// POP3's own (RFC 1939 §7).
const APOP: &str = Digest::Apop.name();

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
        assert_eq!(names(&["apop".into(), "cram-md5".into()], false), ["CRAM-MD5"]);
        assert!(settings.apop(&["PLAIN".into(), "apop".into()]) && !settings.apop(&["PLAIN".into()]));
        // What is worth as much as a password is off until somebody names it.
        assert!(!settings.apop(&[]) && !["NTLM", "CRAM-MD5"].iter().any(|name| names(&[], true).contains(name)));
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
