//! The operations of administration: one closed set, for the command line, its socket and later the HTTP API.

use postroad_sasl::digest::Digest;
use postroad_trust::keys::Found;
use serde::{Deserialize, Serialize};

use super::shaping::ShapingOrder;
use crate::elsewhere::Granting;
use crate::settings::{Settings, SigningSettings};

/// Something to do with a server's domains, accounts and mail. Passwords come in clear over the local
/// socket of the data folder only, which nobody but the server's own user may open.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Operation {
    DomainAdd { name: String },
    DomainList,
    DomainRemove { name: String },
    DomainAlias { alias: String, domain: String },
    DomainUnalias { alias: String },
    DomainCatchAll { name: String, target: Option<String> },
    AccountAddShared { address: String, name: Option<String>, quota: Option<u64> },
    AccountAdd { address: String, name: Option<String>, password: String, quota: Option<u64> },
    AccountList { domain: Option<String> },
    AccountShow { address: String },
    AccountPassword { address: String, password: String },
    AccountQuota { address: String, size: Option<u64>, messages: Option<u64> },
    AccountLimit { address: String, wish: SendingWish, usual: SendingWish },
    AccountLabels { address: String, order: LabelsOrder },
    AccountDelegate { address: String, delegate: String, granted: bool },
    AccountDelegates { address: String },
    AccountKeyed { address: String, mechanism: Keyed, order: KeyedOrder, offered: bool },
    AccountPasskeys { address: String, order: PasskeysOrder },
    AccountSecondStep { address: String, order: SecondStepOrder },
    AccountSuspend { address: String },
    AccountResume { address: String },
    AccountRemove { address: String },
    AccountAudit { address: Option<String> },
    AccountSessions { address: String },
    AccountCutOff { address: String, id: i64 },
    Oauth { order: OauthOrder },
    AliasAdd { address: String, targets: Vec<String> },
    AliasList { domain: Option<String> },
    AliasRemove { address: String },
    ForwardSet { address: String, targets: Vec<String>, keep: bool },
    ForwardShow { address: Option<String> },
    ForwardRemove { address: String },
    QueueList { wish: ListWish },
    QueueShow { id: String },
    QueueOrder { order: Order, selection: Selection, sure: bool },
    RouteAdd { route: RouteWish },
    Collect { order: CollectOrder },
    RouteLogin { login: LoginWish },
    RouteList,
    RouteRemove { domain: String },
    AppPasswordAdd { address: String, name: String, scope: Vec<String>, expires_days: Option<u32> },
    AppPasswordList { address: String },
    AppPasswordRemove { address: String, name: String },
    ClientCertificateAdd { address: String, name: String, fingerprint: String },
    ClientCertificateList { address: String },
    ClientCertificateRemove { address: String, name: String },
    PrincipalAdd { address: String, principal: String },
    PrincipalList { address: String },
    PrincipalRemove { address: String, principal: String },
    MailboxList { address: String },
    MailboxCreate { address: String, name: String },
    MailboxRename { address: String, from: String, to: String },
    MailboxDelete { address: String, name: String },
    MailboxShare { address: String, name: String, who: String, rights: String },
    MailboxUnshare { address: String, name: String, who: String },
    MailboxShares { address: String },
    MailboxDeleted { address: String, mailbox: Option<String> },
    MailboxRestore { address: String, mailbox: String, numbers: Option<String>, into: Option<String> },
    Ban { order: BanOrder },
    IndexStatus { address: Option<String> },
    IndexRebuild { address: Option<String> },
    Greylist { order: GreylistOrder },
    Certificate { order: CertificateOrder },
    Dkim { order: DkimOrder },
    DnsFacts { domain: String, hostname: String },
    MtaSts { order: MtaStsOrder },
    Policy { order: PolicyOrder },
    Report { order: ReportOrder },
    Shaping { order: ShapingOrder },
    Trace { key: String, since_seconds: u64, limit: u32 },
}

/// A mechanism that needs a secret of its own kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Keyed {
    Ntlm,
    CramMd5,
    Apop,
}

impl Keyed {
    /// As the settings have it.
    pub(crate) fn name(self) -> &'static str {
        self.digest().map_or("NTLM", Digest::name)
    }

    pub(crate) fn digest(self) -> Option<Digest> {
        match self {
            Keyed::Ntlm => None,
            Keyed::CramMd5 => Some(Digest::CramMd5),
            Keyed::Apop => Some(Digest::Apop),
        }
    }
}

/// What to do about such a mechanism of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KeyedOrder {
    /// With a password that its secret is made of, or once one is seen.
    On {
        seen: Option<SeenPassword>,
    },
    Off,
    Show,
}

/// A password of an account, and the file with the key that its secrets are sealed with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenPassword {
    pub(crate) password: String,
    pub(crate) key: std::path::PathBuf,
}

impl std::fmt::Debug for SeenPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeenPassword(***)")
    }
}

/// What to do about the passkeys of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PasskeysOrder {
    List,
    /// By its number.
    Remove(i64),
}

/// What to do about the second step of an account's log-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SecondStepOrder {
    Show,
    Reset,
    /// Whether the account's password still opens mail protocols.
    Programs(bool),
}

/// What is asked or ordered about an account's labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LabelsOrder {
    /// Switch them on, and put some of what is there into All Mail: to be asked again while there is more.
    On,
    Off,
    Show,
}

/// Which queued messages are listed, as the administrator wrote it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ListWish {
    pub(crate) domain: Option<String>,
    pub(crate) sender: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) limit: u32,
    /// An id.
    pub(crate) after: Option<String>,
}

/// What is asked or ordered about mail that cannot be verified. Kinds are those of [`postroad_trust::policy::TrustedKind`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PolicyOrder {
    Show {
        domain: Option<String>,
    },
    /// `key=value`.
    Set {
        domain: String,
        choices: Vec<String>,
    },
    Trusted,
    Trust {
        kind: String,
        name: String,
        note: String,
    },
    Distrust {
        kind: String,
        name: String,
    },
}

/// What is asked or ordered about programs that people let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OauthOrder {
    Add { name: String, id: Option<String>, redirects: Vec<String>, scope: Vec<String>, confidential: bool },
    List,
    Remove { id: String },
}

/// What is asked or ordered about who is shut out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BanOrder {
    List,
    Add { network: String, seconds: Option<u64>, reason: String },
    Remove { network: String },
}

/// How much an account may send, as the administrator wrote it, or as the settings say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct SendingWish {
    pub(crate) messages_per_hour: Option<u32>,
    pub(crate) messages_per_day: Option<u32>,
    pub(crate) recipients_per_hour: Option<u32>,
    pub(crate) recipients_per_day: Option<u32>,
    /// All as the settings say again.
    pub(crate) reset: bool,
}

/// What is asked or ordered about who is asked to come again; of the settings what it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum GreylistOrder {
    Known { limit: u32, remember_seconds: u64, enough: u32 },
    Waiting { limit: u32, wait_seconds: u64, come_back_seconds: u64 },
    Forgive { source: String },
    Forget { source: String },
}

/// What is asked or ordered about reports.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ReportOrder {
    Dmarc {
        domain: Option<String>,
        since_seconds: u64,
    },
    Tls {
        domain: Option<String>,
        since_seconds: u64,
    },
    Arf {
        domain: Option<String>,
        since_seconds: u64,
    },
    /// `day` is counted from 1970; of the settings only what sending needs.
    Send {
        day: i64,
        dry_run: bool,
        settings: Box<Settings>,
    },
}

/// What is ordered about queued messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    Retry,
    Hold,
    Release,
    Cancel,
}

/// Which queued messages are meant, as the administrator wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Selection {
    /// By its id or its trace's.
    Id(String),
    Domain(String),
    Sender(String),
    All,
}

/// A route as the administrator wants it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct RouteWish {
    pub(crate) domain: String,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) tls: String,
    /// PEM.
    pub(crate) ca: Option<String>,
    /// User and password.
    pub(crate) login: Option<(String, String)>,
}

/// What is asked or ordered about places that mail is collected from.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CollectOrder {
    Add(Box<CollectWish>),
    List { address: Option<String> },
    Remove { address: String, id: i64 },
    Now { address: Option<String> },
}

/// A place that mail is to be collected from.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CollectWish {
    pub(crate) address: String,
    pub(crate) from: String,
    pub(crate) secret: CollectSecret,
    /// PEM.
    pub(crate) ca: Option<String>,
    pub(crate) mailbox: String,
    /// Seconds.
    pub(crate) every: u32,
    /// Seconds.
    pub(crate) delete_after: Option<u32>,
    /// The file of the key that secrets are sealed with.
    pub(crate) key: std::path::PathBuf,
}

/// What is shown where mail is collected.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CollectSecret {
    Password(String),
    Granted(Granting),
}

/// What a provider has granted to the server for a route.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct LoginWish {
    pub(crate) domain: String,
    pub(crate) user: Option<String>,
    pub(crate) granting: Granting,
    /// The file of the key that secrets are sealed with.
    pub(crate) key: std::path::PathBuf,
}

/// What is asked or ordered about certificates.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CertificateOrder {
    List,
    Show {
        which: String,
    },
    Order {
        names: Vec<String>,
    },
    Renew {
        which: Option<String>,
        new_key: bool,
    },
    /// `chain` is PEM, `key` a private key in DER.
    Import {
        chain: String,
        key: Vec<u8>,
        line: Option<String>,
    },
    /// `reason` is a word of RFC 5280 §5.3.1.
    Revoke {
        which: String,
        reason: String,
    },
}

/// What is asked or ordered about MTA-STS; `hostname` is this server's.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MtaStsOrder {
    Show { domain: Option<String>, hostname: String },
    Set { domain: String, mode: String, days: u32, mx: Vec<String>, hostname: String },
    Reset { domain: String },
    Others,
    Forget { domain: String },
}

/// What is asked or ordered about signing keys.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DkimOrder {
    List {
        domain: Option<String>,
    },
    Show {
        domain: String,
        selector: Option<String>,
    },
    Rotate {
        domain: String,
    },
    Activate {
        domain: String,
        selector: String,
    },
    Retire {
        domain: String,
        selector: String,
        leaked: bool,
    },
    /// `pem` is a private key.
    Import {
        domain: String,
        selector: String,
        pem: String,
    },
    Export {
        domain: String,
        selector: String,
    },
    /// What whoever asks the DNS has to look for.
    Wanted {
        domain: Option<String>,
    },
    /// What they found.
    Seen {
        seen: Vec<Seen>,
        signing: SigningSettings,
    },
}

/// What the DNS has for one key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) domain: String,
    pub(crate) selector: String,
    /// As [`Found`] has it: a word, and what is to be said of it.
    found: String,
    text: Option<String>,
}

impl Seen {
    pub(crate) fn new(domain: String, selector: String, found: Found) -> Seen {
        let (found, text) = match found {
            Found::Unasked => ("unasked", None),
            Found::Good => ("good", None),
            Found::Missing => ("missing", None),
            Found::Differs(text) => ("differs", Some(text)),
            Found::Failed(text) => ("failed", Some(text)),
        };
        Seen { domain, selector, found: found.into(), text }
    }

    pub(crate) fn found(&self) -> Found {
        let text = self.text.clone().unwrap_or_default();
        match self.found.as_str() {
            "good" => Found::Good,
            "missing" => Found::Missing,
            "differs" => Found::Differs(text),
            "failed" => Found::Failed(text),
            _ => Found::Unasked,
        }
    }
}
