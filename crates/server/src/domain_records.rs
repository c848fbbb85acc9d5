//! The DNS records that a domain of ours needs: facts in, records out. Nothing is asked and nothing is looked at here.
//!
//! `postroad dns` prints and publishes them, `postroad check` compares them with what is published.
//!
//! Standards: RFC 5321 §5.1 (MX), RFC 7208 (SPF), RFC 6376 (DKIM), RFC 9989 (DMARC), RFC 8461 (MTA-STS), RFC 8460 (TLS-RPT),
//! RFC 7672 (TLSA), RFC 6186 and RFC 8314 (SRV), draft-ietf-mailmaint-pacc, RFC 8659 (CAA).

use std::net::IpAddr;

use postroad_dns::records::{Data, Record};
use postroad_dns::{Caa, Mx, Srv, Tlsa};
use postroad_web::autoconfig::pacc;

/// What is known of a domain and of the server that has its mail. Names are A-labels in lower case without a final dot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) domain: String,
    /// This server's name.
    pub(crate) host: String,
    /// Its public addresses, as far as they are known.
    pub(crate) addresses: Vec<IpAddr>,
    /// The hosts that take the domain's mail, the best first; none: this server.
    pub(crate) exchangers: Vec<String>,
    /// Addresses that mail leaves from, beside those of the exchangers.
    pub(crate) senders: Vec<IpAddr>,
    /// What programs for mail can use, with its port: `imaps`, `submission` and others of [`SERVICES`].
    pub(crate) services: Vec<(&'static str, u16)>,
    /// Name and text of the record of each signing key.
    pub(crate) keys: Vec<(String, String)>,
    /// The id of the domain's MTA-STS policy, where this server shows one (HTTPS).
    pub(crate) policy_id: Option<String>,
    /// What the certificates of a host are to be; this server's alone are known.
    pub(crate) tlsa: Vec<Tlsa>,
    /// The names by which the authorities that give us certificates are known to CAA.
    pub(crate) issuers: Vec<String>,
    /// The port of the pages over HTTPS, where there are any.
    pub(crate) web: Option<u16>,
    /// The text that vouches for the settings that this server shows to programs (PACC), where it shows them.
    pub(crate) settings_digest: Option<String>,
}

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Purpose {
    Address,
    Exchanger,
    Spf,
    SpfOfHost,
    Dkim,
    Dmarc,
    MtaSts,
    MtaStsHost,
    TlsReports,
    Tlsa,
    Service,
    Autoconfig,
    SettingsDigest,
    Issuers,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Without it mail does not come, or is not believed.
    Required,
    /// Better with it.
    Recommended,
    /// For comfort.
    Optional,
}

/// A record that should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) purpose: Purpose,
    pub(crate) record: Record,
}

impl Purpose {
    /// As programs know it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Purpose::Address => "address",
            Purpose::Exchanger => "mx",
            Purpose::Spf => "spf",
            Purpose::SpfOfHost => "spf-of-host",
            Purpose::Dkim => "dkim",
            Purpose::Dmarc => "dmarc",
            Purpose::MtaSts => "mta-sts",
            Purpose::MtaStsHost => "mta-sts-host",
            Purpose::TlsReports => "tls-rpt",
            Purpose::Tlsa => "tlsa",
            Purpose::Service => "srv",
            Purpose::Autoconfig => "autoconfig",
            Purpose::SettingsDigest => "settings-digest",
            Purpose::Issuers => "caa",
        }
    }

    /// What it does, in a few words.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Purpose::Address => "where this server is",
            Purpose::Exchanger => "mail for the domain comes here",
            Purpose::Spf => "who may send for the domain",
            Purpose::SpfOfHost => "who may greet with this server's name",
            Purpose::Dkim => "what verifies our signatures",
            Purpose::Dmarc => "what becomes of mail that is not verified",
            Purpose::MtaSts => "there is a policy: TLS, verified",
            Purpose::MtaStsHost => "where that policy is shown",
            Purpose::TlsReports => "who hears of failures of TLS",
            Purpose::Tlsa => "the key of our certificate (DANE; needs a signed zone)",
            Purpose::Service => "where programs for mail find us",
            Purpose::Autoconfig => "where programs for mail find their settings",
            Purpose::SettingsDigest => "vouches for those settings",
            Purpose::Issuers => "who may issue certificates for this server",
        }
    }

    pub(crate) fn need(self) -> Need {
        match self {
            Purpose::Address | Purpose::Exchanger | Purpose::Spf | Purpose::Dkim | Purpose::Dmarc => Need::Required,
            Purpose::SpfOfHost | Purpose::MtaSts | Purpose::MtaStsHost | Purpose::TlsReports | Purpose::Tlsa => {
                Need::Recommended
            }
            Purpose::Service | Purpose::Autoconfig | Purpose::SettingsDigest | Purpose::Issuers => Need::Optional,
        }
    }

    /// Whether it leads programs for mail to their settings.
    pub(crate) fn is_about_settings(self) -> bool {
        matches!(self, Purpose::Autoconfig | Purpose::SettingsDigest)
    }

    /// Whether nobody but this server says what stands there, so that what differs is out of date. Elsewhere it may be
    /// the administrator's own choice.
    pub(crate) fn is_ours(self) -> bool {
        match self {
            Purpose::Dkim | Purpose::MtaSts | Purpose::Tlsa | Purpose::SettingsDigest => true,
            Purpose::Address
            | Purpose::Exchanger
            | Purpose::Spf
            | Purpose::SpfOfHost
            | Purpose::Dmarc
            | Purpose::MtaStsHost
            | Purpose::TlsReports
            | Purpose::Service
            | Purpose::Autoconfig
            | Purpose::Issuers => false,
        }
    }
}

impl Need {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Need::Required => "required",
            Need::Recommended => "recommended",
            Need::Optional => "optional",
        }
    }
}

impl Wanted {
    /// Whether a record of the same name stands in this one's place: of texts only those that say what they are in the
    /// same words, for a name may have texts for other purposes.
    pub(crate) fn competes(&self, other: &Data) -> bool {
        match (&self.record.data, other) {
            (Data::Txt(wanted), Data::Txt(there)) => match self.purpose {
                // All that stands at a selector is for its key.
                Purpose::Dkim => true,
                _ => version(wanted) == version(there),
            },
            (wanted, there) => wanted.kind() == there.kind(),
        }
    }
}

/// `v=spf1` and the like: what a text says that it is.
fn version(text: &[u8]) -> Option<String> {
    let end = text.iter().position(|octet| b"; \t".contains(octet)).unwrap_or(text.len());
    let word = text[..end].to_ascii_lowercase();
    word.starts_with(b"v=").then(|| String::from_utf8_lossy(&word).into_owned())
}

/// The records in the order in which they are best published.
pub(crate) fn wanted(facts: &Facts) -> Vec<Wanted> {
    let Facts { domain, host, .. } = facts;
    let mut list = List::default();
    for address in &facts.addresses {
        let data = match address {
            IpAddr::V4(four) => Data::A(*four),
            IpAddr::V6(six) => Data::Aaaa(*six),
        };
        list.add(Purpose::Address, host, data);
    }
    let own = [host.clone()];
    let exchangers = if facts.exchangers.is_empty() { &own[..] } else { &facts.exchangers };
    for (preference, exchange) in (1..).map(|place: u16| place * 10).zip(exchangers) {
        list.add(Purpose::Exchanger, domain, Data::Mx(Mx { preference, exchange: exchange.clone() }));
    }
    list.text(Purpose::Spf, domain, spf(facts, exchangers));
    if host != domain {
        // RFC 7208 §2.3: notices have no other sender than the greeting's name.
        list.text(Purpose::SpfOfHost, host, spf_of_host(facts));
    }
    for (name, text) in &facts.keys {
        list.text(Purpose::Dkim, name, text.clone());
    }
    // RFC 9989 §4.7; reports first, a stricter policy once they show that all mail is verified.
    let reports = format!("postmaster@{domain}");
    list.text(Purpose::Dmarc, &format!("_dmarc.{domain}"), format!("v=DMARC1; p=none; rua=mailto:{reports}"));
    if let Some(id) = &facts.policy_id {
        list.add(Purpose::MtaStsHost, &format!("mta-sts.{domain}"), Data::Cname(host.clone()));
        list.text(Purpose::MtaSts, &format!("_mta-sts.{domain}"), postroad_trust::sts::record(id));
    }
    list.text(Purpose::TlsReports, &format!("_smtp._tls.{domain}"), format!("v=TLSRPTv1; rua=mailto:{reports}"));
    if exchangers.contains(host) {
        for tlsa in &facts.tlsa {
            list.add(Purpose::Tlsa, &format!("_25._tcp.{host}"), Data::Tlsa(tlsa.clone()));
        }
    }
    services(facts, &mut list);
    for issuer in &facts.issuers {
        // At the server's own name: what the domain's web sites use is not ours to say.
        let caa = Caa { is_critical: false, tag: "issue".into(), value: issuer.clone().into_bytes() };
        list.add(Purpose::Issuers, host, Data::Caa(caa));
    }
    list.0
}

/// RFC 6186 §3.4: TLS from the first octet is preferred to STARTTLS (RFC 8314 §3), IMAP to POP3.
fn services(facts: &Facts, list: &mut List) {
    let Facts { domain, host, .. } = facts;
    for (service, priority) in SERVICES {
        let Some((_, port)) = facts.services.iter().find(|(name, _)| name == service) else { continue };
        let srv = Srv { priority: *priority, weight: 1, port: *port, target: host.clone() };
        list.add(Purpose::Service, &format!("_{service}._tcp.{domain}"), Data::Srv(srv));
    }
    if let Some(port) = facts.web {
        for label in ["autoconfig", "autodiscover"] {
            list.add(Purpose::Autoconfig, &format!("{label}.{domain}"), Data::Cname(host.clone()));
        }
        let srv = Srv { priority: 0, weight: 1, port, target: host.clone() };
        list.add(Purpose::Autoconfig, &format!("_autodiscover._tcp.{domain}"), Data::Srv(srv));
    }
    if let Some(text) = &facts.settings_digest {
        list.add(Purpose::Autoconfig, &format!("{}.{domain}", pacc::LABEL), Data::Cname(host.clone()));
        list.text(Purpose::SettingsDigest, &format!("_{}.{domain}", pacc::LABEL), text.clone());
    }
}

fn spf(facts: &Facts, exchangers: &[String]) -> String {
    let mut text = String::from("v=spf1 mx");
    if !exchangers.contains(&facts.host) {
        text += &format!(" a:{}", facts.host);
    }
    text + &senders(facts) + " -all"
}

fn spf_of_host(facts: &Facts) -> String {
    format!("v=spf1 a{} -all", senders(facts))
}

fn senders(facts: &Facts) -> String {
    let word = |address: &IpAddr| match address {
        IpAddr::V4(four) => format!(" ip4:{four}"),
        IpAddr::V6(six) => format!(" ip6:{six}"),
    };
    facts.senders.iter().filter(|address| !facts.addresses.contains(address)).map(word).collect()
}

#[derive(Default)]
struct List(Vec<Wanted>);

impl List {
    fn add(&mut self, purpose: Purpose, name: &str, data: Data) {
        self.0.push(Wanted { purpose, record: Record { name: name.to_owned(), ttl: TTL, data } });
    }

    fn text(&mut self, purpose: Purpose, name: &str, text: String) {
        self.add(purpose, name, Data::Txt(text.into_bytes()));
    }
}

/// Whether others can reach it.
pub(crate) fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => !(four.is_unspecified() || four.is_loopback() || four.is_private() || four.is_link_local()),
        IpAddr::V6(six) => {
            !(six.is_unspecified() || six.is_loopback() || six.is_unique_local() || six.is_unicast_link_local())
        }
    }
}

/// Services that programs for mail look for, and which they are to prefer (less is better).
pub(crate) const SERVICES: &[(&str, u16)] =
    &[("submissions", 0), ("submission", 10), ("imaps", 0), ("imap", 10), ("pop3s", 20), ("pop3", 30)];

/// Seconds: an hour, so that a change is known everywhere soon.
const TTL: u32 = 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            domain: "example.org".into(),
            host: "mail.example.org".into(),
            addresses: vec!["192.0.2.1".parse().expect("an address"), "2001:db8::1".parse().expect("an address")],
            senders: vec!["192.0.2.1".parse().expect("an address"), "192.0.2.9".parse().expect("an address")],
            services: vec![("submissions", 465), ("imaps", 993)],
            keys: vec![("r1._domainkey.example.org".into(), format!("v=DKIM1; k=rsa; p={}", "A".repeat(300)))],
            policy_id: Some("abc".into()),
            tlsa: vec![Tlsa { usage: 3, selector: 1, matching: 1, data: vec![0xab, 0xcd] }],
            issuers: vec!["ca.example".into()],
            web: Some(443),
            settings_digest: Some("v=UAAC1; a=sha256; d=AAAA".into()),
            exchangers: Vec::new(),
        }
    }

    #[test]
    fn each_record_as_a_line_of_a_zone() {
        let lines: Vec<String> = wanted(&facts()).iter().map(|wanted| wanted.record.to_string()).collect();
        let key = format!("v=DKIM1; k=rsa; p={}", "A".repeat(300));
        let (first, second) = key.split_at(255);
        let expected = [
            "mail.example.org. 3600 IN A 192.0.2.1",
            "mail.example.org. 3600 IN AAAA 2001:db8::1",
            "example.org. 3600 IN MX 10 mail.example.org.",
            "example.org. 3600 IN TXT \"v=spf1 mx ip4:192.0.2.9 -all\"",
            "mail.example.org. 3600 IN TXT \"v=spf1 a ip4:192.0.2.9 -all\"",
            &format!("r1._domainkey.example.org. 3600 IN TXT \"{first}\" \"{second}\""),
            "_dmarc.example.org. 3600 IN TXT \"v=DMARC1; p=none; rua=mailto:postmaster@example.org\"",
            "mta-sts.example.org. 3600 IN CNAME mail.example.org.",
            "_mta-sts.example.org. 3600 IN TXT \"v=STSv1; id=abc;\"",
            "_smtp._tls.example.org. 3600 IN TXT \"v=TLSRPTv1; rua=mailto:postmaster@example.org\"",
            "_25._tcp.mail.example.org. 3600 IN TLSA 3 1 1 abcd",
            "_submissions._tcp.example.org. 3600 IN SRV 0 1 465 mail.example.org.",
            "_imaps._tcp.example.org. 3600 IN SRV 0 1 993 mail.example.org.",
            "autoconfig.example.org. 3600 IN CNAME mail.example.org.",
            "autodiscover.example.org. 3600 IN CNAME mail.example.org.",
            "_autodiscover._tcp.example.org. 3600 IN SRV 0 1 443 mail.example.org.",
            "ua-auto-config.example.org. 3600 IN CNAME mail.example.org.",
            "_ua-auto-config.example.org. 3600 IN TXT \"v=UAAC1; a=sha256; d=AAAA\"",
            "mail.example.org. 3600 IN CAA 0 issue \"ca.example\"",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn other_exchangers_and_nothing_else() {
        let facts = Facts {
            domain: "example.org".into(),
            host: "example.org".into(),
            exchangers: vec!["mx1.example.net".into(), "mx2.example.net".into()],
            tlsa: facts().tlsa,
            ..Facts::default()
        };
        let lines: Vec<String> = wanted(&facts).iter().map(|wanted| wanted.record.to_string()).collect();
        assert!(lines.contains(&"example.org. 3600 IN MX 20 mx2.example.net.".to_owned()), "{lines:#?}");
        assert!(lines.contains(&"example.org. 3600 IN TXT \"v=spf1 mx a:example.org -all\"".to_owned()), "{lines:#?}");
        assert!(!lines.iter().any(|line| line.contains("TLSA") || line.contains("mta-sts") || line.contains("SRV")));
        assert_eq!(lines.len(), 5, "{lines:#?}");
    }

    #[test]
    fn only_records_for_the_same_purpose_compete() {
        let all = wanted(&facts());
        let of = |purpose: Purpose| all.iter().find(|wanted| wanted.purpose == purpose).expect("it is wanted");
        let text = |text: &str| Data::Txt(text.as_bytes().to_vec());
        assert!(of(Purpose::Spf).competes(&text("V=SPF1 -all")));
        assert!(!of(Purpose::Spf).competes(&text("site-verification=abc")));
        assert!(!of(Purpose::Spf).competes(&text("v=spf10")));
        assert!(of(Purpose::Dmarc).competes(&text("v=DMARC1;p=reject")));
        assert!(of(Purpose::Dkim).competes(&text("k=rsa; p=")));
        assert!(of(Purpose::Exchanger).competes(&Data::Mx(Mx { preference: 1, exchange: "a.test".into() })));
        assert!(!of(Purpose::Exchanger).competes(&text("v=spf1")));
    }
}
