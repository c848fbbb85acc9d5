//! The settings file: what must be known before the database opens.
//!
//! One TOML file, every key optional. Domains, accounts, keys and policy are not here: they live in the
//! database. Each key stands in [`KEYS`] with its meaning, from which `postroad settings` prints a
//! documented file and the check of unknown keys takes the nearest known name.

mod acme;
mod gate;
mod reports;
mod signing;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use acme::{AcmeSettings, Challenge, DnsUpdateSettings, KeyKind};
pub(crate) use gate::{
    DnsblAction, DnsblKind, DnsblSettings, EarlyTalkers, GateSettings, GreylistMode, GreylistSettings,
};
pub(crate) use reports::ReportSettings;
pub(crate) use signing::SigningSettings;

/// All settings, with their defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Settings {
    pub(crate) data: PathBuf,
    pub(crate) hostname: String,
    pub(crate) cleartext_auth: CleartextAuth,
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
    pub(crate) imap: ImapSettings,
    pub(crate) http: HttpSettings,
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

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Service {
    Smtp,
    Submission,
    Lmtp,
    Imap,
    Pop3,
    Http,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TlsMode {
    None,
    Starttls,
    Implicit,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct ListenerSettings {
    pub(crate) name: String,
    pub(crate) service: Service,
    pub(crate) address: SocketAddr,
    pub(crate) tls: TlsMode,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) proxy_from: Vec<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct CertificateSettings {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
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
pub(crate) struct SmtpSettings {
    pub(crate) hide_sender: bool,
    pub(crate) auth_equals_line: bool,
    pub(crate) header_firewall: bool,
    pub(crate) full_mailbox: FullMailbox,
    pub(crate) foreign_from: ForeignFrom,
    pub(crate) lmtp_clients: Vec<String>,
    pub(crate) xclient: Vec<String>,
    pub(crate) xforward: Vec<String>,
    pub(crate) etrn_clients: Vec<String>,
    pub(crate) priority_clients: Vec<String>,
    pub(crate) priority_of_logins: i64,
    pub(crate) hold_days: u64,
    pub(crate) solicitations_refused: Vec<String>,
}

/// What a mailbox that is full answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FullMailbox {
    /// The sender tries again for days.
    TryLater,
    /// The sender hears at once.
    Refuse,
}

/// What happens to a submitted message whose From the sender does not own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ForeignFrom {
    /// A Sender field is put beside it.
    AddSender,
    /// It is refused.
    Refuse,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct DnsSettings {
    pub(crate) servers: Vec<String>,
    pub(crate) system: bool,
    pub(crate) dnssec: Dnssec,
    pub(crate) trust_anchor: Option<PathBuf>,
    pub(crate) timeout_seconds: u64,
    pub(crate) attempts: usize,
    pub(crate) cached_answers: usize,
    pub(crate) cached_octets: usize,
}

/// Whose word is taken for what DNSSEC says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Dnssec {
    /// The servers' when they are on this machine, else our own.
    Auto,
    /// Our own.
    Validate,
    /// The servers'.
    TrustAd,
    /// Nobody's.
    Off,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct OutboundSettings {
    pub(crate) enabled: bool,
    pub(crate) port: u16,
    pub(crate) concurrency: usize,
    pub(crate) per_destination: usize,
    pub(crate) per_host: usize,
    pub(crate) recipients_per_message: usize,
    pub(crate) messages_per_connection: u32,
    pub(crate) idle_seconds: u64,
    pub(crate) patience_percent: u32,
    pub(crate) lifetime_hours: u32,
    pub(crate) delay_notice_hours: u32,
    pub(crate) lease_seconds: u64,
    pub(crate) source_addresses: Vec<IpAddr>,
    pub(crate) helo_name: Option<String>,
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) tls: OutboundTls,
    pub(crate) dane: bool,
    pub(crate) mta_sts: bool,
    pub(crate) mta_sts_port: u16,
    pub(crate) allow_loopback: bool,
    pub(crate) rewrite_senders: bool,
}

/// How hosts are spoken with of which no policy is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OutboundTls {
    /// With TLS where it is offered.
    Opportunistic,
    /// With TLS, whatever the certificate.
    Required,
    /// With TLS and a certificate that is verified.
    Verified,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct ImapSettings {
    pub(crate) rev2: bool,
    pub(crate) compress: bool,
    pub(crate) identity: ImapIdentity,
    pub(crate) administrators: Vec<String>,
    pub(crate) annotations: Vec<(String, String)>,
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
pub(crate) struct HttpSettings {
    pub(crate) insiders: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct RetentionSettings {
    pub(crate) deleted_days: u32,
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

/// A key of the settings file: its path, and what it does in one or two sentences.
pub(crate) struct Key {
    pub(crate) path: &'static str,
    pub(crate) meaning: &'static str,
}

const fn key(path: &'static str, meaning: &'static str) -> Key {
    Key { path, meaning }
}

/// Every key that the file may hold.
pub(crate) const KEYS: &[Key] = &[
    key("data", "The folder of this server: database, large messages, keys, the socket for the command line."),
    key("hostname", "The name this server gives itself in greetings and Received lines."),
    key("cleartext-auth", "Where a password may come without TLS: \"never\" or \"loopback\"."),
    key("database.url", "postgres://user:password@host/name; without it SQLite in the data folder."),
    key("blobs.inline-limit", "Messages up to this many octets lie in the database, larger ones beside it."),
    key("blobs.s3-bucket", "Keep large messages in this bucket instead of the data folder."),
    key("blobs.s3-endpoint", "URL of the S3-compatible server."),
    key("blobs.s3-region", "Region of the bucket."),
    key("blobs.s3-access-key", "Access key id for the bucket."),
    key("blobs.s3-secret-key-file", "File that holds the secret access key."),
    key("listener.name", "Name of the listener, in logs, metrics and for sockets handed over by systemd."),
    key("listener.service", "smtp, submission, lmtp, imap, pop3 or http."),
    key("listener.address", "Address and port, for example \"0.0.0.0:25\" or \"[::]:993\"."),
    key("listener.tls", "none, starttls or implicit."),
    key("listener.proxy-from", "Addresses of proxies that speak the PROXY protocol first."),
    key(
        "certificate.chain",
        "PEM file with the certificate and its chain; read again when it changes, at once on SIGHUP.",
    ),
    key("certificate.key", "PEM file with the private key."),
    key(
        "acme.terms-agreed",
        "You agree to the terms of the certificate authority: true gets certificates from it and renews them.",
    ),
    key("acme.directory", "URL of the authority's ACME directory."),
    key("acme.contact", "The address that the authority writes to."),
    key("acme.names", "More names for the certificate of this server, beside the host name."),
    key(
        "acme.before-domains",
        "What stands before each domain; those of these names that lead to this server get certificates too.",
    ),
    key("acme.addresses", "Public addresses of this server, beside those that its host name has in DNS."),
    key(
        "acme.challenges",
        "How the authority may look: \"tls-alpn-01\" (port 443), \"http-01\" (port 80), \"dns-01\"; none: as the listeners allow.",
    ),
    key(
        "acme.key",
        "What new keys are: ecdsa-p256, ecdsa-p384, rsa-2048 or rsa-4096; `postroad certificate renew --new-key` puts one in use.",
    ),
    key(
        "acme.key-days",
        "A key is followed by another after so many days, at the next renewal; 0: only on order, so that TLSA records stay.",
    ),
    key("acme.profile", "The kind of certificate to ask for, when the authority has several."),
    key("acme.external-key-id", "The account that the authority wants named, when it does (external account binding)."),
    key("acme.external-key-file", "File that holds the MAC key of that account, in Base64."),
    key(
        "acme.authorities",
        "PEM file with the one authority behind the directory's own certificate; none: the system's.",
    ),
    key("acme.publish-tlsa", "Publish TLSA records of the keys at the hosts that take mail, through [dns-update]."),
    key("limits.connections", "Connections at once, all listeners together."),
    key("limits.connections-per-address", "Connections at once from one IPv4 address or IPv6 /64."),
    key("limits.message-size", "Largest message taken in, in octets."),
    key("limits.recipients", "Recipients of one message."),
    key("limits.stop-seconds", "How long a stop waits for connections to finish."),
    key(
        "limits.account-messages-per-hour",
        "Messages that one account may send within an hour, from wherever it comes; 0: any number. `postroad account limit`
         gives an account limits of its own.",
    ),
    key("limits.account-messages-per-day", "The same within a day."),
    key("limits.account-recipients-per-hour", "Recipients of them within an hour."),
    key("limits.account-recipients-per-day", "The same within a day."),
    key("smtp.hide-sender", "Leave the client's address and login out of Received lines of submitted mail."),
    key("smtp.auth-equals-line", "Also offer AUTH= in the old spelling that some old clients look for."),
    key("smtp.header-firewall", "Drop X-MS-Exchange-Organization-* fields of mail that comes from outside."),
    key("smtp.full-mailbox", "What a mailbox that is full answers: \"try-later\" or \"refuse\"."),
    key(
        "smtp.foreign-from",
        "A From of another domain: \"add-sender\" puts the sender beside it, \"refuse\" takes no such mail. At a domain of ours,
         or near one's own, everybody writes as themselves or by an alias, whatever this says.",
    ),
    key("smtp.xclient", "Networks of proxies and filters that may speak as their clients (XCLIENT)."),
    key("smtp.xforward", "Networks that may say for whom they pass mail on (XFORWARD), for the story only."),
    key("smtp.etrn-clients", "Networks that may ask that what waits for a domain is sent at once (ETRN)."),
    key("smtp.priority-clients", "Networks whose priorities are taken as they are (MT-PRIORITY)."),
    key("smtp.priority-of-logins", "The highest priority of who logs in, -9 to 9; the usual one is 0."),
    key(
        "smtp.hold-days",
        "How long submitted mail may be held until it is sent (FUTURERELEASE); 0 offers no such hold.",
    ),
    key(
        "smtp.solicitations-refused",
        "Classes of solicitation that are refused (NO-SOLICITING): [\"net.example:ADV\"].",
    ),
    key("smtp.lmtp-clients", "Networks that may speak LMTP, beside this machine: [\"192.0.2.0/24\"]."),
    key(
        "gate.trusted",
        "Networks that are never shut out, slowed down or asked about, as proxies that are named elsewhere.",
    ),
    key(
        "gate.ban-points",
        "A client is shut out that had so many failed logins (one point each) or did worse within ten minutes; 0: never.",
    ),
    key("gate.ban-minutes", "For so long; twice as long each time it comes back within a month."),
    key("gate.ban-longest-hours", "At most for so long."),
    key(
        "gate.greeting-wait-milliseconds",
        "Port 25 is silent for so long before it greets strangers: programs that do not listen speak now. 0: not at all.",
    ),
    key("gate.greeting-waits-at-once", "So many connections wait at a time; others are greeted at once."),
    key(
        "gate.early-talkers",
        "Who speaks before the greeting: \"refuse\", or \"tag\", which notes it in the story of what they send.",
    ),
    key("gate.messages-per-client", "Messages in an hour from one stranger's IPv4 address or IPv6 /64; 0: any number."),
    key("gate.messages-per-network", "The same from one IPv4 /24 or IPv6 /48."),
    key("gate.messages-per-sender", "The same with one sender."),
    key("gate.messages-per-recipient", "The same for one recipient."),
    key(
        "gate.score-reject",
        "Mail is refused when the weights of the lists that name its sender add up to this; 0: never.",
    ),
    key("gate.score-junk", "The same, but it goes to Junk."),
    key(
        "gate.greylist.mode",
        "Strangers whom nobody knows yet are asked to come again: \"off\", \"suspicious\" (without SPF, without a name of their
         address that leads back, or on a list), or \"all\".",
    ),
    key("gate.greylist.wait-minutes", "They are taken after so long."),
    key("gate.greylist.come-back-hours", "And within so long; then they begin anew."),
    key("gate.greylist.remember-days", "Who is known is remembered for so long after they came last."),
    key(
        "gate.greylist.messages-to-be-known",
        "A domain that SPF vouches for, or a network, is known after so many messages that came again.",
    ),
    key(
        "dnsbl.zone",
        "A list of clients or domains in the DNS: \"zen.spamhaus.org\". Ask it through a resolver of your own.",
    ),
    key("dnsbl.kind", "What it lists: clients to \"block\" or to \"allow\", or the sender's \"domain\"."),
    key("dnsbl.codes", "Answers that count, as addresses or networks: [\"127.0.0.2\", \"127.0.0.4/30\"]; none: all."),
    key("dnsbl.action", "Mail of whom it lists: \"reject\", \"junk\", \"tag\" (a header field) or \"score\"."),
    key("dnsbl.weight", "What a listing adds to the score."),
    key("dns.servers", "Name servers that resolve for us: [\"192.0.2.53\", \"127.0.0.1:5353\"]; none: the system's."),
    key("dns.system", "Without servers, ask those of /etc/resolv.conf; false: nobody, and only routes lead out."),
    key(
        "dns.dnssec",
        "Who says what DNSSEC says: \"trust-ad\" (the servers: a validating resolver on this machine, such as unbound, is best), \"validate\" (this program), \"off\", or \"auto\": the servers when all are on this machine, else this program for what decides where mail goes. Without DNSSEC there is no DANE.",
    ),
    key(
        "dns.trust-anchor",
        "File with the root's keys (`. IN DNSKEY …`) for \"validate\"; none: those that IANA publishes.",
    ),
    key("dns.timeout-seconds", "How long a name server has to answer before the next one is asked."),
    key("dns.attempts", "How often each name server is asked."),
    key("dns.cached-answers", "Answers kept, at most for their time."),
    key("dns.cached-octets", "Octets of answers kept."),
    key("dns-update.server", "The name server that takes updates of your zones (RFC 2136): \"192.0.2.53\"."),
    key("dns-update.key-file", "File that holds the key shared with it (TSIG), as tsig-keygen writes it."),
    key("dns-update.zone", "The zone that is changed; none: found by its SOA record."),
    key("dns-update.settle-seconds", "Until all servers of the zone have a change."),
    key("outbound.enabled", "Send what the queue holds; false: it waits."),
    key("outbound.port", "Where other servers take mail."),
    key("outbound.concurrency", "Messages on their way at a time."),
    key("outbound.per-destination", "Messages on their way to one domain at a time, each on a connection."),
    key(
        "outbound.per-host",
        "Connections to one next host at a time, for all domains that it takes mail for; also those of a route.",
    ),
    key("outbound.recipients-per-message", "Recipients of one copy of a message; more get further copies."),
    key("outbound.messages-per-connection", "A connection is closed after so many messages."),
    key("outbound.idle-seconds", "A connection without further messages is kept for so long."),
    key(
        "outbound.patience-percent",
        "How long other servers may take to answer: so many hundredths of the times of RFC 5321 (5 minutes for most).",
    ),
    key("outbound.lifetime-hours", "Mail that cannot be sent is given up after so long; what waits keeps what it has."),
    key("outbound.delay-notice-hours", "Senders hear after so long that their mail still waits; 0: never."),
    key(
        "outbound.lease-seconds",
        "Servers that share a queue take over what one had begun that is silent for so long.",
    ),
    key("outbound.source-addresses", "Addresses of this machine to send from, one of each family."),
    key("outbound.helo-name", "The name given to other servers; without it the host name."),
    key("outbound.authorities", "PEM file with the authorities that vouch for other servers; none: the system's."),
    key(
        "outbound.tls",
        "Other servers without a policy: \"opportunistic\" (TLS where it is offered), \"required\" or \"verified\".",
    ),
    key("outbound.dane", "Follow TLSA records of other servers (DANE); needs DNSSEC, see dns.dnssec."),
    key("outbound.mta-sts", "Follow MTA-STS policies of other domains."),
    key("outbound.mta-sts-port", "Where these policies are fetched: 443, but for a trial."),
    key("outbound.allow-loopback", "Also send where DNS leads to this machine itself: for a trial."),
    key(
        "outbound.rewrite-senders",
        "Mail that is forwarded leaves with a sender in our own domain (SRS), so that SPF passes at the next server.",
    ),
    key("signing.rotate-days", "A signing key is followed by another after so many days; 0: never by itself."),
    key(
        "signing.retired-days",
        "The record of a key that signs no more is wanted for so many days, or for as long as mail may be under way.",
    ),
    key("imap.compress", "Offer COMPRESS=DEFLATE after login."),
    key("imap.rev2", "Offer IMAP4rev2 beside IMAP4rev1."),
    key("imap.identity", "What clients that ask for it (ID) are told of this program: \"nothing\", \"name\" or \"version\" (both)."),
    key("imap.administrators", "Addresses of accounts that may set everybody's quota with SETQUOTA: [\"postmaster@example.org\"]."),
    key(
        "imap.annotations",
        "What this server shares with all who log in: [[\"/shared/comment\", \"Down on Sunday at 3\"], [\"/shared/admin\",
         \"mailto:postmaster@example.org\"], [\"/shared/filters/values/large\", \"LARGER 1000000\"]].",
    ),
    key("http.insiders", "Networks that may see metrics and reasons, beside this machine: [\"192.0.2.0/24\"]."),
    key("reports.dmarc", "Owners of domains are told each day what came in their name (DMARC), where they want it."),
    key("reports.tls", "Owners of domains are told each day how TLS with their hosts went, where they want it."),
    key(
        "reports.failures",
        "Owners of domains are told of single messages that fail in their name, where they want it (ruf): \"off\", \"headers\" (what
         verifies mail, people made unknown) or \"full\" (the message as it came).",
    ),
    key("reports.failures-per-day", "Reports about single messages to one address in a day."),
    key("retention.deleted-days", "Deleted mail can be brought back for so many days."),
    key("retention.trace-days", "The story of a message is kept for so many days."),
    key("retention.report-days", "Reports of others are kept for so many days."),
    key("log.format", "human or json."),
    key("log.filter", "What is logged: a level, or module=level pairs, comma-separated."),
];

impl Default for Settings {
    fn default() -> Self {
        Settings {
            data: "/var/lib/postroad".into(),
            hostname: "localhost".into(),
            cleartext_auth: CleartextAuth::Never,
            database: DatabaseSettings::default(),
            blobs: BlobSettings::default(),
            listener: standard_listeners(),
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
            imap: ImapSettings::default(),
            http: HttpSettings::default(),
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

impl Default for SmtpSettings {
    fn default() -> Self {
        SmtpSettings {
            hide_sender: true,
            auth_equals_line: false,
            header_firewall: true,
            full_mailbox: FullMailbox::TryLater,
            foreign_from: ForeignFrom::AddSender,
            lmtp_clients: Vec::new(),
            xclient: Vec::new(),
            xforward: Vec::new(),
            etrn_clients: Vec::new(),
            priority_clients: Vec::new(),
            priority_of_logins: 4,
            hold_days: 30,
            solicitations_refused: Vec::new(),
        }
    }
}

impl Default for DnsSettings {
    fn default() -> Self {
        DnsSettings {
            servers: Vec::new(),
            system: true,
            dnssec: Dnssec::Auto,
            trust_anchor: None,
            timeout_seconds: 5,
            attempts: 2,
            cached_answers: 16_384,
            cached_octets: 32 * 1024 * 1024,
        }
    }
}

impl Default for OutboundSettings {
    fn default() -> Self {
        OutboundSettings {
            enabled: true,
            port: 25,
            concurrency: 400,
            per_destination: 10,
            per_host: 20,
            recipients_per_message: 100,
            messages_per_connection: 100,
            idle_seconds: 5,
            patience_percent: 100,
            lifetime_hours: 120,
            delay_notice_hours: 4,
            lease_seconds: 120,
            source_addresses: Vec::new(),
            helo_name: None,
            authorities: None,
            tls: OutboundTls::Opportunistic,
            dane: true,
            mta_sts: true,
            mta_sts_port: 443,
            allow_loopback: false,
            rewrite_senders: true,
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
        }
    }
}

impl Default for RetentionSettings {
    fn default() -> Self {
        RetentionSettings { deleted_days: 30, trace_days: 90, report_days: postroad_trust::reports::KEEP_DAYS }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings { format: LogFormat::Human, filter: "info".into() }
    }
}

/// The standard ports on all addresses.
fn standard_listeners() -> Vec<ListenerSettings> {
    listeners(IpAddr::from([0, 0, 0, 0]), 0).into_iter().filter(|one| one.service != Service::Lmtp).collect()
}

/// A listener for each service on the standard ports plus `offset`.
pub(crate) fn listeners(address: IpAddr, offset: u16) -> Vec<ListenerSettings> {
    STANDARD
        .iter()
        .map(|(name, service, port, tls)| ListenerSettings {
            name: (*name).into(),
            service: *service,
            address: SocketAddr::new(address, port + offset),
            tls: *tls,
            proxy_from: Vec::new(),
        })
        .collect()
}

/// Names, services, ports and the TLS that each starts with. RFC 8314 §3.3 for the implicit ones.
pub(crate) const STANDARD: &[(&str, Service, u16, TlsMode)] = &[
    ("smtp", Service::Smtp, 25, TlsMode::Starttls),
    ("submission", Service::Submission, 587, TlsMode::Starttls),
    ("submissions", Service::Submission, 465, TlsMode::Implicit),
    ("imap", Service::Imap, 143, TlsMode::Starttls),
    ("imaps", Service::Imap, 993, TlsMode::Implicit),
    ("pop3", Service::Pop3, 110, TlsMode::Starttls),
    ("pop3s", Service::Pop3, 995, TlsMode::Implicit),
    ("lmtp", Service::Lmtp, 24, TlsMode::None),
    ("http", Service::Http, 8080, TlsMode::None),
    ("https", Service::Http, 443, TlsMode::Implicit),
    ("web", Service::Http, 80, TlsMode::None),
];

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
        refuse_unknown("", &table)?;
        let settings: Settings = toml::from_str(text).map_err(|error| SettingsError(error.to_string()))?;
        for (name, _) in &settings.imap.annotations {
            if postroad_imapd::shared_entry(name).is_none() {
                return Err(SettingsError(format!(
                    "`imap.annotations`: {name} is no name like /shared/comment or /shared/filters/values/large"
                )));
            }
        }
        Ok(settings)
    }
}

fn refuse_unknown(prefix: &str, table: &toml::Table) -> Result<(), SettingsError> {
    for (name, value) in table {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let section = format!("{path}.");
        if KEYS.iter().any(|key| key.path.starts_with(&section)) {
            match value {
                toml::Value::Table(inner) => refuse_unknown(&path, inner)?,
                toml::Value::Array(items) => {
                    for inner in items.iter().filter_map(toml::Value::as_table) {
                        refuse_unknown(&path, inner)?;
                    }
                }
                _ => return Err(SettingsError(format!("`{path}` is a section: write [{path}] and its keys below"))),
            }
        } else if !KEYS.iter().any(|key| key.path == path) {
            let nearest = nearest(&path);
            return Err(SettingsError(format!(
                "there is no setting `{path}`; did you mean `{nearest}`? (`postroad settings` prints all)"
            )));
        }
    }
    Ok(())
}

/// The known key with the least edit distance.
fn nearest(path: &str) -> &'static str {
    KEYS.iter().map(|key| key.path).min_by_key(|known| edit_distance(path, known)).unwrap_or("data")
}

fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

/// A documented settings file with the defaults, as `postroad settings` prints it.
pub(crate) fn documented() -> String {
    let mut text = String::from("# Settings of Postroad. Every key is optional; shown are the defaults.\n");
    let defaults = toml::Table::try_from(Settings::default()).unwrap_or_default();
    let mut section = "";
    for key in KEYS {
        let (head, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        let inner = head
            .split('.')
            .filter(|part| !part.is_empty())
            .try_fold(&defaults, |table, part| table.get(part).and_then(toml::Value::as_table));
        if head != section {
            section = head;
            let many = inner.is_none();
            text += &if many { format!("\n# [[{head}]]  (as many as you like)\n") } else { format!("\n[{head}]\n") };
        }
        let value = inner.and_then(|inner| inner.get(name));
        // One line, however the source is broken.
        text += &format!("# {}\n", key.meaning.split_whitespace().collect::<Vec<_>>().join(" "));
        match value {
            Some(value) => text += &format!("{name} = {value}\n"),
            None => text += &format!("# {name} =\n"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_name_the_nearest() {
        let error = Settings::parse("[limits]\nmesage-size = 1\n").expect_err("unknown");
        assert!(error.0.contains("did you mean `limits.message-size`?"), "{error}");
        let error = Settings::parse("[[listener]]\nnam = 'a'\n").expect_err("unknown");
        assert!(error.0.contains("did you mean `listener.name`?"), "{error}");
    }

    #[test]
    fn every_key_is_documented_and_every_documented_key_is_read() {
        // What `postroad settings` prints parses to the defaults …
        let text = documented();
        let mut parsed = Settings::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        parsed.listener = standard_listeners();
        assert_eq!(parsed, Settings::default());
        // … and each field of the structures has a row.
        let mut full = Settings::default();
        full.database.url = Some(String::new());
        full.dnsbl = vec![DnsblSettings {
            zone: "a".into(),
            kind: DnsblKind::Block,
            codes: Vec::new(),
            action: DnsblAction::Reject,
            weight: 0,
        }];
        full.certificate = vec![CertificateSettings { chain: "a".into(), key: "b".into() }];
        full.acme.contact = Some(String::new());
        full.acme.profile = Some(String::new());
        full.acme.external_key_id = Some(String::new());
        full.acme.external_key_file = Some("e".into());
        full.acme.authorities = Some("f".into());
        full.dns.trust_anchor = Some("h".into());
        full.dns_update.server = Some(String::new());
        full.dns_update.key_file = Some("g".into());
        full.dns_update.zone = Some(String::new());
        full.outbound.helo_name = Some(String::new());
        full.outbound.authorities = Some("d".into());
        full.listener[0].proxy_from = vec![IpAddr::from([127, 0, 0, 1])];
        full.blobs = BlobSettings {
            s3_bucket: Some(String::new()),
            s3_endpoint: Some(String::new()),
            s3_region: Some(String::new()),
            s3_access_key: Some(String::new()),
            s3_secret_key_file: Some("c".into()),
            ..BlobSettings::default()
        };
        let table = toml::Table::try_from(&full).expect("settings are a table");
        assert_eq!(refuse_unknown("", &table), Ok(()));
        assert_eq!(count(&toml::Value::Table(table)), KEYS.len());
    }

    fn count(value: &toml::Value) -> usize {
        match value {
            toml::Value::Table(table) => table.values().map(count).sum(),
            toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
                items.iter().map(count).max().unwrap_or(0)
            }
            _ => 1,
        }
    }

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
    fn a_file_is_read_with_its_sections() {
        let text = "hostname = 'mx.example.org'\n[[listener]]\nname = 'a'\nservice = 'imap'\naddress = '127.0.0.1:1143'\ntls = 'starttls'\n";
        let settings = Settings::parse(text).expect("valid");
        assert_eq!(settings.hostname, "mx.example.org");
        assert_eq!(settings.listener.len(), 1);
        assert_eq!(settings.limits, LimitSettings::default());
    }
}
