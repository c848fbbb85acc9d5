//! The settings file: what must be known before the database opens.
//!
//! One TOML file, every key optional. Domains, accounts, keys and policy are not here: they live in the
//! database. Each key stands in [`keys`] with its meaning, from which `postroad settings` prints a
//! documented file and the check of unknown keys takes the nearest known name.

mod acme;
mod dns;
mod gate;
mod keys;
mod listeners;
mod login;
mod oauth;
mod outbound;
mod reports;
mod signing;
mod smtp;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use acme::{AcmeSettings, Challenge, DnsUpdateSettings, KeyKind};
pub(crate) use dns::{DnsSettings, Dnssec};
pub(crate) use gate::{
    DnsblAction, DnsblKind, DnsblSettings, EarlyTalkers, GateSettings, GreylistMode, GreylistSettings,
};
pub(crate) use keys::documented;
pub(crate) use listeners::{CertificateSettings, ListenerSettings, STANDARD, Service, TlsMode, listeners};
pub(crate) use login::LoginSettings;
pub(crate) use oauth::{OauthSettings, Registration};
pub(crate) use outbound::{OutboundSettings, OutboundTls};
pub(crate) use reports::ReportSettings;
pub(crate) use signing::SigningSettings;
pub(crate) use smtp::{ForeignFrom, FullMailbox, SmtpSettings};

/// All settings, with their defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Settings {
    pub(crate) data: PathBuf,
    pub(crate) hostname: String,
    pub(crate) cleartext_auth: CleartextAuth,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret_key_file: Option<PathBuf>,
    pub(crate) database: DatabaseSettings,
    pub(crate) blobs: BlobSettings,
    pub(crate) listener: Vec<ListenerSettings>,
    // An empty list in the file would stand in the way of a `[[table]]` put behind it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) certificate: Vec<CertificateSettings>,
    pub(crate) acme: AcmeSettings,
    pub(crate) limits: LimitSettings,
    pub(crate) smtp: SmtpSettings,
    pub(crate) gate: GateSettings,
    // An empty list in the file would stand in the way of a `[[table]]` put behind it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) dnsbl: Vec<DnsblSettings>,
    pub(crate) dns: DnsSettings,
    pub(crate) dns_update: DnsUpdateSettings,
    pub(crate) outbound: OutboundSettings,
    pub(crate) signing: SigningSettings,
    pub(crate) login: LoginSettings,
    pub(crate) imap: ImapSettings,
    pub(crate) pop3: Pop3Settings,
    pub(crate) http: HttpSettings,
    pub(crate) oauth: OauthSettings,
    pub(crate) reports: ReportSettings,
    pub(crate) retention: RetentionSettings,
    pub(crate) log: LogSettings,
}

/// Where a password may come without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CleartextAuth {
    /// Nowhere.
    Never,
    /// From this machine: for a trial.
    Loopback,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct DatabaseSettings {
    pub(crate) url: Option<String>,
}

/// Without the URL: a password may be in it.
impl std::fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseSettings").field("is_postgres", &self.url.is_some()).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct BlobSettings {
    pub(crate) inline_limit: u64,
    pub(crate) s3_bucket: Option<String>,
    pub(crate) s3_endpoint: Option<String>,
    pub(crate) s3_region: Option<String>,
    pub(crate) s3_access_key: Option<String>,
    pub(crate) s3_secret_key_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct LimitSettings {
    pub(crate) connections: usize,
    pub(crate) connections_per_address: usize,
    pub(crate) message_size: u64,
    pub(crate) recipients: usize,
    pub(crate) stop_seconds: u64,
    pub(crate) account_messages_per_hour: u32,
    pub(crate) account_messages_per_day: u32,
    pub(crate) account_recipients_per_hour: u32,
    pub(crate) account_recipients_per_day: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct ImapSettings {
    pub(crate) rev2: bool,
    pub(crate) compress: bool,
    pub(crate) identity: ImapIdentity,
    pub(crate) administrators: Vec<String>,
    pub(crate) annotations: Vec<(String, String)>,
    /// 0: none.
    pub(crate) message_limit: u32,
    /// 0: none.
    pub(crate) save_limit: u32,
}

/// What the server tells of itself by ID.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ImapIdentity {
    /// NIL.
    Nothing,
    /// Its name.
    #[default]
    Name,
    /// Its name and version.
    Version,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Pop3Settings {
    pub(crate) exclusive: bool,
    pub(crate) login_interval_seconds: u32,
    pub(crate) expire_days: Option<u32>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct HttpSettings {
    pub(crate) insiders: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct RetentionSettings {
    pub(crate) deleted_days: u32,
    pub(crate) deleted_bytes: Option<u64>,
    pub(crate) trace_days: u32,
    pub(crate) report_days: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct LogSettings {
    pub(crate) format: LogFormat,
    pub(crate) filter: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    Human,
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            data: "/var/lib/postroad".into(),
            hostname: "localhost".into(),
            cleartext_auth: CleartextAuth::Never,
            secret_key_file: None,
            database: DatabaseSettings::default(),
            blobs: BlobSettings::default(),
            listener: listeners::standard_listeners(),
            certificate: Vec::new(),
            acme: AcmeSettings::default(),
            limits: LimitSettings::default(),
            smtp: SmtpSettings::default(),
            gate: GateSettings::default(),
            dnsbl: Vec::new(),
            dns: DnsSettings::default(),
            dns_update: DnsUpdateSettings::default(),
            outbound: OutboundSettings::default(),
            signing: SigningSettings::default(),
            login: LoginSettings::default(),
            imap: ImapSettings::default(),
            pop3: Pop3Settings::default(),
            http: HttpSettings::default(),
            oauth: OauthSettings::default(),
            reports: ReportSettings::default(),
            retention: RetentionSettings::default(),
            log: LogSettings::default(),
        }
    }
}

impl Default for BlobSettings {
    fn default() -> Self {
        BlobSettings {
            inline_limit: postroad_store::BLOB_INLINE_MAX as u64,
            s3_bucket: None,
            s3_endpoint: None,
            s3_region: None,
            s3_access_key: None,
            s3_secret_key_file: None,
        }
    }
}

impl LimitSettings {
    /// How much an account may send that has no limits of its own.
    pub(crate) fn sending(&self) -> postroad_trust::sending::Limits {
        postroad_trust::sending::Limits {
            messages_per_hour: self.account_messages_per_hour,
            messages_per_day: self.account_messages_per_day,
            recipients_per_hour: self.account_recipients_per_hour,
            recipients_per_day: self.account_recipients_per_day,
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        LimitSettings {
            connections: 20_000,
            connections_per_address: 200,
            message_size: 100 * 1024 * 1024,
            recipients: 1_000,
            stop_seconds: 20,
            account_messages_per_hour: 1_000,
            account_messages_per_day: 5_000,
            account_recipients_per_hour: 3_000,
            account_recipients_per_day: 10_000,
        }
    }
}

impl Default for ImapSettings {
    fn default() -> Self {
        ImapSettings {
            rev2: true,
            compress: true,
            identity: ImapIdentity::default(),
            administrators: Vec::new(),
            annotations: Vec::new(),
            message_limit: 0,
            save_limit: 0,
        }
    }
}

impl Default for RetentionSettings {
    fn default() -> Self {
        RetentionSettings {
            deleted_days: 30,
            deleted_bytes: None,
            trace_days: 90,
            report_days: postroad_trust::reports::KEEP_DAYS,
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings { format: LogFormat::Human, filter: "info".into() }
    }
}

/// A settings file that cannot be used, and what to do.
#[derive(Debug, PartialEq)]
pub(crate) struct SettingsError(pub(crate) String);

impl std::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Reads a file; a relative `data` is taken from the file's folder.
    pub(crate) fn read(path: &Path) -> Result<Settings, SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| SettingsError(format!("the settings file {} cannot be read: {error}", path.display())))?;
        let mut settings =
            Settings::parse(&text).map_err(|error| SettingsError(format!("{}: {error}", path.display())))?;
        if settings.data.is_relative() {
            let folder = path.parent().unwrap_or(Path::new("."));
            settings.data = folder.join(&settings.data);
        }
        Ok(settings)
    }

    /// Parses the text of a file; unknown keys are refused with the nearest known one.
    pub(crate) fn parse(text: &str) -> Result<Settings, SettingsError> {
        let table: toml::Table = toml::from_str(text).map_err(|error| SettingsError(error.to_string()))?;
        keys::refuse_unknown("", &table)?;
        let settings: Settings = toml::from_str(text).map_err(|error| SettingsError(error.to_string()))?;
        login::known("login.mechanisms", &settings.login.mechanisms)?;
        login::realms(&settings.login.realms)?;
        for listener in &settings.listener {
            login::known("listener.mechanisms", &listener.mechanisms)?;
        }
        for (name, _) in &settings.imap.annotations {
            if postroad_imapd::shared_entry(name).is_none() {
                return Err(SettingsError(format!(
                    "`imap.annotations`: {name} is no name like /shared/comment or /shared/filters/values/large"
                )));
            }
        }
        for (name, value) in [("message-limit", settings.imap.message_limit), ("save-limit", settings.imap.save_limit)]
        {
            if value != 0 && value < postroad_imapd::MESSAGE_LIMIT_MIN {
                let least = postroad_imapd::MESSAGE_LIMIT_MIN;
                return Err(SettingsError(format!(
                    "`imap.{name}`: {value} is too little; at least {least}, or 0 for none"
                )));
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_shared_entries() {
        let text = |name: &str| format!("[imap]\nannotations = [['{name}', 'x']]\n");
        assert!(Settings::parse(&text("/shared/Comment")).is_ok());
        for name in ["/private/comment", "/shared", "comment", "/shared/a*"] {
            let error = Settings::parse(&text(name)).expect_err(name);
            assert!(error.0.contains(name), "{error}");
        }
    }

    #[test]
    fn limits_of_commands_are_not_low() {
        for (text, good) in [
            ("[imap]\nmessage-limit = 0\nsave-limit = 1000\n", true),
            ("[imap]\nmessage-limit = 999\n", false),
            ("[imap]\nsave-limit = 1\n", false),
        ] {
            assert_eq!(Settings::parse(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_file_is_read_with_its_sections() {
        let text = "hostname = 'mx.example.org'\n[[listener]]\nname = 'a'\nservice = 'imap'\naddress = '127.0.0.1:1143'\ntls = 'starttls'\n";
        let settings = Settings::parse(text).expect("valid");
        assert_eq!(settings.hostname, "mx.example.org");
        assert_eq!(settings.listener.len(), 1);
        assert_eq!(settings.limits, LimitSettings::default());
    }
}
