//! Every key of the settings file with its meaning, and what is made of the table: the file that `postroad settings` prints,
//! and the check of unknown keys, which takes the nearest known name.

use super::{Settings, SettingsError};

/// A key of the settings file: its path, and what it does in one or two sentences.
struct Key {
    path: &'static str,
    meaning: &'static str,
}

/// Every key that the file may hold.
const KEYS: &[Key] = &[
    key("data", "The folder of this server: database, large messages, keys, the socket for the command line."),
    key("hostname", "The name this server gives itself in greetings and Received lines."),
    key("cleartext-auth", "Where a password may come without TLS: \"never\" or \"loopback\"."),
    key(
        "secret-key-file",
        "File with the key that secrets in the database are sealed with; without it secret.key in the data folder, made at first
         need. Servers that share a PostgreSQL need the same file, and a backup does not have it: keep a copy elsewhere.",
    ),
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
    key(
        "listener.public-port",
        "The port by which others reach it, where that is another (a proxy or a router in front): programs, people and the
         DNS are told of this one.",
    ),
    key("listener.proxy-from", "Addresses of proxies that speak the PROXY protocol first."),
    key("listener.mechanisms", "The mechanisms of SASL on this listener, in place of those of login.mechanisms."),
    key(
        "listener.client-certificates",
        "Ask clients for a certificate in TLS; none need have one. Who shows one that is pinned to an account
         (`postroad client-certificate add`), or that login.client-authorities vouch for, may log in with it (EXTERNAL).",
    ),
    key(
        "login.mechanisms",
        "The mechanisms of SASL that are offered, the best first. Those that need more than a connection has (TLS, a certificate,
         tokens of this server) are left out by themselves. NTLM, CRAM-MD5 and, for POP3, APOP are off until they are named
         here and switched on for an account (`postroad account ntlm on`, and so on).",
    ),
    key(
        "login.client-authorities",
        "PEM file with authorities that are believed about the mail addresses in certificates of clients.",
    ),
    key(
        "login.keytab",
        "Keytab with the keys of smtp/HOST, imap/HOST and pop/HOST: tickets of Kerberos are taken (GSSAPI, GSS-SPNEGO). Only in
         programs that were built with it; see docs/kerberos.md.",
    ),
    key(
        "login.realms",
        "Realms of Kerberos and their domains, as [[\"EXAMPLE.ORG\", \"example.org\"]]: alice@EXAMPLE.ORG has the account
         alice@example.org. Whoever runs the realm can be each of them.",
    ),
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
    key("smtp.header-firewall", "Drop X-MS-Exchange-Organization-* fields of mail that comes from outside, and of what is handed in."),
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
    key(
        "imap.message-limit",
        "Messages that one IMAP command may be about (MESSAGELIMIT, RFC 9738), at least 1000; 0: any number. Few clients know of
         such a limit: to the others, messages beyond it do not exist.",
    ),
    key("imap.save-limit", "The same for COPY and APPEND alone (SAVELIMIT); without effect beside imap.message-limit."),
    key("pop3.exclusive", "One POP3 session at a time has a maildrop; others are told to try again later."),
    key("pop3.login-interval-seconds", "The least between two POP3 logins of an account; 0: none."),
    key(
        "pop3.expire-days",
        "Mail goes from INBOX so many days after it was fetched by POP3 (0: at the end of that session); without this key it stays.",
    ),
    key("http.insiders", "Networks that may see metrics and reasons, beside this machine: [\"192.0.2.0/24\"]."),
    key(
        "oauth.issuer",
        "The address at which programs and people are let in, such as \"https://mail.example.org\"; without it this host's pages.",
    ),
    key(
        "oauth.registration",
        "Who may make programs known that ask people for access: \"off\" (the administrator alone) or \"open\" (mail programs also
         by themselves, with answers to the person's own machine alone).",
    ),
    key("oauth.access-minutes", "How long a program's access token is good; it gets another with its refresh token."),
    key("oauth.unused-days", "What a program was granted ends when it was not used for so many days."),
    key("oauth.session-days", "A browser stays logged in for so many days after its last visit."),
    key("reports.dmarc", "Owners of domains are told each day what came in their name (DMARC), where they want it."),
    key("reports.tls", "Owners of domains are told each day how TLS with their hosts went, where they want it."),
    key(
        "reports.failures",
        "Owners of domains are told of single messages that fail in their name, where they want it (ruf): \"off\", \"headers\" (what
         verifies mail, people made unknown) or \"full\" (the message as it came).",
    ),
    key("reports.failures-per-day", "Reports about single messages to one address in a day."),
    key("retention.deleted-days", "Deleted mail can be brought back for so many days."),
    key(
        "retention.deleted-bytes",
        "Deleted mail of an account takes at most so much, or the oldest goes before its time; unset: its quota once more.",
    ),
    key("retention.trace-days", "The story of a message is kept for so many days."),
    key("retention.report-days", "Reports of others are kept for so many days."),
    key("log.format", "human or json."),
    key("log.filter", "What is logged: a level, or module=level pairs, comma-separated."),
];

const fn key(path: &'static str, meaning: &'static str) -> Key {
    Key { path, meaning }
}

/// Refuses the first key of a table that there is not, and names the nearest known one.
pub(super) fn refuse_unknown(prefix: &str, table: &toml::Table) -> Result<(), SettingsError> {
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
    use crate::settings::listeners::standard_listeners;
    use crate::settings::{BlobSettings, CertificateSettings, DnsblAction, DnsblKind, DnsblSettings};
    use std::net::IpAddr;

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
        full.secret_key_file = Some("i".into());
        full.oauth.issuer = Some(String::new());
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
        full.pop3.expire_days = Some(30);
        full.retention.deleted_bytes = Some(1);
        full.listener[0].proxy_from = vec![IpAddr::from([127, 0, 0, 1])];
        full.listener[0].public_port = Some(25);
        full.listener[0].mechanisms = vec!["PLAIN".into()];
        full.login.client_authorities = Some("j".into());
        full.login.keytab = Some("k".into());
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
}
