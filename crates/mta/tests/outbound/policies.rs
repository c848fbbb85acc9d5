//! What domains publish about their hosts, and mail that is kept from strangers by it: DANE, MTA-STS, REQUIRETLS, with
//! real certificates and hosts that are not what they should be.

use postroad_dns::{Fixed, Security, Tlsa};
use postroad_mta::outbound::Settings;
use postroad_store::Timestamp;
use postroad_testkit::certificates::{Authority, Pair};
use postroad_testkit::remote::{Deed, Manner, Phase};
use postroad_testkit::{PolicyHost, Remote, SharedPort, TestStore};
use postroad_trust::tls_results::{self, Day, FailureKind, PolicyKind, Tally};

use crate::world::{MESSAGE, MIGRATIONS, Sent, World};

/// A domain of its own for each row: where its host is, what it has, and what is published of it.
struct Row {
    name: &'static str,
    /// The host's certificate.
    host: Shown,
    manner: Manner,
    tlsa: Published,
    /// The MTA-STS policy, `MX` in it being the host.
    policy: Option<&'static str>,
    /// The certificate of the host of the policy.
    policy_host: Shown,
    requiretls: bool,
    /// Put before the header.
    field: &'static str,
    /// What the story has behind the host's address or name, and how the next lines begin.
    story: &'static [&'static str],
    /// How many messages the host took, and whether in TLS.
    taken: Option<bool>,
    /// What is counted: under which kind, and as what failure.
    counted: (PolicyKind, Option<FailureKind>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shown {
    /// No TLS at all.
    Nothing,
    Good,
    /// By somebody whom nobody trusts.
    Unknown,
    Misnamed,
}

/// TLSA records.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Published {
    Nothing,
    /// About the host's own key.
    Host,
    /// About the authority.
    Authority,
    /// About somebody else's key.
    Other,
    /// Of a kind that means nothing to mail.
    Useless,
}

const TAKEN: &str = "sent: bob@D: 250 2.0.0 taken as 0 (the message)";
pub(crate) const STRICT: &str = "version: STSv1\nmode: enforce\nmx: MX\nmax_age: 86400\n";
const TRIAL: &str = "version: STSv1\nmode: testing\nmx: MX\nmax_age: 86400\n";
const ELSEWHERE: &str = "version: STSv1\nmode: enforce\nmx: other.test\nmax_age: 86400\n";

fn row(name: &'static str) -> Row {
    Row {
        name,
        host: Shown::Good,
        manner: Manner::default(),
        tlsa: Published::Nothing,
        policy: None,
        policy_host: Shown::Good,
        requiretls: false,
        field: "",
        story: &["TLSv1.3 TLS_AES_256_GCM_SHA384, certificate not checked", TAKEN],
        taken: Some(true),
        counted: (PolicyKind::NoPolicyFound, None),
    }
}

fn dane() -> Vec<Row> {
    let base =
        |name| Row { tlsa: Published::Host, host: Shown::Unknown, counted: (PolicyKind::Tlsa, None), ..row(name) };
    let refused = |name| Row { taken: None, ..base(name) };
    let starttls = |kind| (PolicyKind::Tlsa, Some(kind));
    vec![
        Row {
            story: &["TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified by DANE (3 1 1); by DANE (3 1 1)", TAKEN],
            ..base("the key is as published, whoever signed it and for whom")
        },
        Row {
            tlsa: Published::Authority,
            host: Shown::Good,
            story: &["TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified by DANE (2 0 1); by DANE (2 0 1)", TAKEN],
            ..base("the authority is as published")
        },
        Row {
            tlsa: Published::Authority,
            host: Shown::Misnamed,
            story: &[
                "TLS not established; by DANE (2 0 1)",
                "deferred: bob@D: The TLS handshake failed: its certificate is by the authority of its TLSA records, and for",
            ],
            counted: starttls(FailureKind::CertificateHostMismatch),
            ..refused("the authority is as published, and vouches for another")
        },
        Row {
            tlsa: Published::Other,
            story: &[
                "TLS not established; by DANE (3 1 1)",
                "deferred: bob@D: The TLS handshake failed: its certificate matches none of its TLSA records. DANE (3 1 1) \
                 demands it. Either somebody is between us",
            ],
            counted: starttls(FailureKind::CertificateNotTrusted),
            ..refused("somebody else's key")
        },
        Row {
            host: Shown::Nothing,
            tlsa: Published::Other,
            story: &[
                "TLS not established; by DANE (3 1 1)",
                "deferred: bob@D: TLS is required and the remote does not offer it. DANE (3 1 1) demands it. Its TLSA records \
                 promise TLS: either somebody between us takes it away",
            ],
            counted: starttls(FailureKind::StarttlsNotSupported),
            ..refused("STARTTLS was taken out on the way")
        },
        Row {
            manner: Manner::default().and(Phase::StartTls, Deed::Say(b"454 4.7.0 not now\r\n".to_vec())),
            story: &[
                "TLS not established; by DANE (3 1 1)",
                "deferred: bob@D: 454 4.7.0 not now. DANE (3 1 1) demands it",
            ],
            counted: starttls(FailureKind::StarttlsNotSupported),
            ..refused("STARTTLS is refused")
        },
        Row {
            manner: Manner::default().and(Phase::StartTls, Deed::BreakTls),
            story: &["TLS not established; by DANE (3 1 1)", "deferred: bob@D: The TLS handshake failed: "],
            counted: starttls(FailureKind::ValidationFailure),
            ..refused("no TLS behind STARTTLS: never in clear")
        },
        Row {
            tlsa: Published::Useless,
            story: &[
                "TLSv1.3 TLS_AES_256_GCM_SHA384, certificate not checked; by DANE (no record that can be used)",
                "policy: h.D has TLSA records of which none can be used: any certificate will do",
                TAKEN,
            ],
            ..base("records that mean nothing to mail ask for TLS alone")
        },
        Row {
            tlsa: Published::Useless,
            host: Shown::Nothing,
            story: &[
                "TLS not established; by DANE (no record that can be used)",
                "policy: ",
                "deferred: bob@D: TLS is required and the remote does not offer it",
            ],
            counted: starttls(FailureKind::StarttlsNotSupported),
            ..refused("records that mean nothing to mail do ask for TLS")
        },
    ]
}

fn mta_sts() -> Vec<Row> {
    let base = |name| Row { policy: Some(STRICT), counted: (PolicyKind::Sts, None), ..row(name) };
    let refused = |name| Row { taken: None, ..base(name) };
    let failed = |kind| (PolicyKind::Sts, Some(kind));
    vec![
        Row {
            story: &["TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified; by MTA-STS (enforce, id 1)", TAKEN],
            ..base("enforced, and all is well")
        },
        Row {
            host: Shown::Misnamed,
            story: &[
                "TLS not established; by MTA-STS (enforce, id 1)",
                "deferred: bob@D: The TLS handshake failed: its certificate is not for h.D. MTA-STS (enforce, id 1) demands it",
            ],
            counted: failed(FailureKind::CertificateHostMismatch),
            ..refused("enforced, and a certificate for another")
        },
        Row {
            host: Shown::Unknown,
            story: &[
                "TLS not established; by MTA-STS (enforce, id 1)",
                "deferred: bob@D: The TLS handshake failed: its",
            ],
            counted: failed(FailureKind::CertificateNotTrusted),
            ..refused("enforced, and nobody knows who signed")
        },
        Row {
            host: Shown::Nothing,
            story: &[
                "TLS not established; by MTA-STS (enforce, id 1)",
                "deferred: bob@D: TLS is required and the remote does not offer it. MTA-STS (enforce, id 1) demands it",
            ],
            counted: failed(FailureKind::StarttlsNotSupported),
            ..refused("enforced, and STARTTLS was taken out on the way")
        },
        Row {
            policy: Some(ELSEWHERE),
            story: &[
                "no connection; by MTA-STS (enforce, id 1)",
                "deferred: bob@D: h.D is a mail exchanger of D that the domain's MTA-STS policy does not name (other.test)",
            ],
            counted: failed(FailureKind::ValidationFailure),
            ..refused("enforced, and the DNS leads elsewhere")
        },
        Row {
            policy: Some(TRIAL),
            host: Shown::Unknown,
            story: &[
                "TLSv1.3 TLS_AES_256_GCM_SHA384, certificate not verified; by MTA-STS (testing, id 1)",
                "policy: h.D: its certificate is from nobody whom this server trusts",
                TAKEN,
            ],
            counted: failed(FailureKind::CertificateNotTrusted),
            ..base("in testing: delivered, and counted")
        },
        Row {
            policy: Some(TRIAL),
            host: Shown::Nothing,
            taken: Some(false),
            story: &["in clear; by MTA-STS (testing, id 1)", "policy: h.D: it does not offer STARTTLS", TAKEN],
            counted: failed(FailureKind::StarttlsNotSupported),
            ..base("in testing: also in clear")
        },
        Row {
            policy_host: Shown::Misnamed,
            story: &[
                "TLSv1.3 TLS_AES_256_GCM_SHA384, certificate not checked",
                "policy: D announces an MTA-STS policy that could not be fetched: mta-sts.D cannot be believed",
                TAKEN,
            ],
            counted: failed(FailureKind::StsWebpkiInvalid),
            ..base("nobody vouches for the policy: as without")
        },
        Row {
            policy: Some("nothing\n"),
            story: &[
                "TLSv1.3 TLS_AES_256_GCM_SHA384, certificate not checked",
                "policy: D announces an MTA-STS policy that could not be fetched: what mta-sts.D serves is no policy",
                TAKEN,
            ],
            counted: failed(FailureKind::StsPolicyInvalid),
            ..base("what is no policy: as without")
        },
        Row {
            policy: Some(ELSEWHERE),
            tlsa: Published::Host,
            story: &[
                "TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified by DANE (3 1 1); by DANE (3 1 1)",
                "policy: h.D: DANE decides, although the MTA-STS policy (enforce) does not name the host",
                TAKEN,
            ],
            counted: (PolicyKind::Tlsa, None),
            ..base("DANE decides before MTA-STS")
        },
        Row {
            tlsa: Published::Other,
            story: &["TLS not established; by DANE (3 1 1)", "policy: h.D: DANE decides, ", "deferred: bob@D: The TLS"],
            counted: (PolicyKind::Tlsa, Some(FailureKind::CertificateNotTrusted)),
            ..refused("MTA-STS does not let through what DANE refuses")
        },
    ]
}

fn wishes() -> Vec<Row> {
    let offers = ["PIPELINING", "SIZE 10000000", "8BITMIME", "ENHANCEDSTATUSCODES", "REQUIRETLS"];
    let able = || Manner::default().offering(&offers);
    let base = |name| Row { requiretls: true, tlsa: Published::Host, counted: (PolicyKind::Tlsa, None), ..row(name) };
    vec![
        Row {
            manner: able(),
            story: &[
                "TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified by DANE (3 1 1); by DANE (3 1 1), and REQUIRETLS",
                TAKEN,
            ],
            ..base("REQUIRETLS by DANE")
        },
        Row {
            taken: None,
            story: &[
                "TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified by DANE (3 1 1); by DANE (3 1 1), and REQUIRETLS",
                "failed: bob@D: The message requires TLS on its whole way, and the remote does not offer REQUIRETLS",
            ],
            ..base("REQUIRETLS, and the host cannot promise it")
        },
        Row {
            manner: able(),
            tlsa: Published::Nothing,
            policy: Some(STRICT),
            counted: (PolicyKind::Sts, None),
            story: &[
                "TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified; by MTA-STS (enforce, id 1), and REQUIRETLS",
                TAKEN,
            ],
            ..base("REQUIRETLS by MTA-STS")
        },
        Row {
            host: Shown::Nothing,
            tlsa: Published::Other,
            field: "TLS-Required: No\r\n",
            requiretls: false,
            taken: Some(false),
            counted: (PolicyKind::NoPolicyFound, Some(FailureKind::StarttlsNotSupported)),
            story: &["in clear; by TLS-Required: No", "policy: the sender wants it delivered also without TLS", TAKEN],
            ..base("TLS-Required: No")
        },
        Row {
            host: Shown::Nothing,
            tlsa: Published::Other,
            field: "TLS-Required: No\r\nTLS-Required: No\r\n",
            requiretls: false,
            taken: None,
            counted: (PolicyKind::Tlsa, Some(FailureKind::StarttlsNotSupported)),
            story: &["TLS not established; by DANE (3 1 1)", "deferred: bob@D: TLS is required"],
            ..base("TLS-Required: No, said twice, is not said")
        },
    ]
}

/// The authorities of a test, and where things are.
pub(crate) struct Land {
    pub(crate) known: Authority,
    pub(crate) unknown: Authority,
    pub(crate) web: SharedPort,
    folder: tempfile::TempDir,
}

impl Land {
    pub(crate) fn new() -> Land {
        let (known, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
        std::fs::write(folder.path().join("ca.pem"), known.pem()).expect("written");
        Land { known, unknown: Authority::new(), web: SharedPort::find(), folder }
    }

    fn pair(&self, shown: Shown, name: &str) -> Pair {
        match shown {
            Shown::Nothing | Shown::Good => self.known.issue(&[name]),
            Shown::Unknown => self.unknown.issue(&[name]),
            Shown::Misnamed => self.known.issue(&["misnamed.test"]),
        }
    }

    pub(crate) fn settings(&self, settings: &mut Settings) {
        settings.authorities = Some(self.folder.path().join("ca.pem"));
        settings.mta_sts_port = self.web.number();
    }
}

/// `3 1 1` of a certificate, `2 0 1` of who signed it.
fn tlsa(published: Published, pair: &Pair) -> Option<Tlsa> {
    let other = || Some(Tlsa { usage: 3, selector: 1, matching: 1, data: vec![9; 32] });
    match published {
        Published::Nothing => None,
        Published::Host => Some(Tlsa { usage: 3, selector: 1, matching: 1, data: pair.key_digest() }),
        Published::Authority => Some(Tlsa { usage: 2, selector: 0, matching: 1, data: pair.authority_digest() }),
        Published::Other => other(),
        Published::Useless => other().map(|tlsa| Tlsa { usage: 1, ..tlsa }),
    }
}

fn run(rows: &[Row]) {
    let land = Land::new();
    let number = |index: usize| u8::try_from(index + 1).expect("few rows");
    let pairs: Vec<Pair> =
        rows.iter().enumerate().map(|(index, row)| land.pair(row.host, &format!("h.d{index}.test"))).collect();
    let zone = |port: &SharedPort| {
        rows.iter().enumerate().fold(Fixed::new(), |zone, (index, row)| {
            let (domain, host) = (format!("d{index}.test"), format!("h.d{index}.test"));
            let security = if row.tlsa == Published::Nothing { Security::Insecure } else { Security::Secure };
            let mut zone = zone
                .with_mx(&domain, 10, &host)
                .with_address(&host, port.address(number(index)).ip())
                .with_security(&domain, security);
            if let Some(record) = tlsa(row.tlsa, &pairs[index]) {
                zone = zone.with_tlsa(&format!("_{}._tcp.{host}", port.number()), record);
            }
            if row.policy.is_some() {
                zone = zone
                    .with_txt(&format!("_mta-sts.{domain}"), "v=STSv1; id=1;")
                    .with_address(&format!("mta-sts.{domain}"), land.web.address(number(index)).ip());
            }
            zone
        })
    };
    let world = World::new(TestStore::sqlite(MIGRATIONS), zone, |settings| land.settings(settings));
    let mut running = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let mut manner = row.manner.clone();
        manner.certificate = (row.host != Shown::Nothing).then(|| pairs[index].clone());
        let remote = Remote::start(world.port.address(number(index)), manner);
        let web = row.policy.map(|policy| {
            let certificate = land.pair(row.policy_host, &format!("mta-sts.d{index}.test"));
            let policy = policy.replace("MX", &format!("h.d{index}.test"));
            PolicyHost::start(land.web.address(number(index)), &certificate, &policy)
        });
        let message = MESSAGE.replacen("From:", &format!("{}From:", row.field), 1);
        let sent = world.send(message.as_bytes(), &[&format!("bob@d{index}.test")], |outgoing| {
            outgoing.requiretls = row.requiretls;
        });
        running.push((sent, remote, web));
    }
    for (index, (row, (sent, remote, _))) in rows.iter().zip(&running).enumerate() {
        check(&world, row, index, *sent, remote);
    }
    for (row, tally) in rows.iter().zip(counted(world, rows.len())) {
        let failures: Vec<FailureKind> = tally.details.iter().map(|(failure, _)| failure.kind).collect();
        let expected: Vec<FailureKind> = row.counted.1.into_iter().collect();
        assert_eq!((tally.policy.kind, failures), (row.counted.0, expected), "{}", row.name);
        assert_eq!((tally.successes > 0, tally.failures > 0), (row.counted.1.is_none(), row.counted.1.is_some()));
    }
}

fn check(world: &World, row: &Row, index: usize, sent: Sent, remote: &Remote) {
    let domain = format!("d{index}.test");
    let story: Vec<String> = world.story(&sent, 1).iter().map(|line| line.replace(&domain, "D")).collect();
    let first = &story[0];
    let at = format!("{}, ", remote.address().ip());
    let how = first.rsplit_once(&at).or_else(|| first.split_once("h.D, ")).map_or(first.as_str(), |(_, how)| how);
    assert_eq!(how, row.story[0], "{}: {story:#?}", row.name);
    for (line, expected) in story[1..].iter().zip(&row.story[1..]) {
        assert!(line.starts_with(expected), "{}: {story:#?}", row.name);
    }
    assert_eq!(story.len(), row.story.len(), "{}: {story:#?}", row.name);
    let received: Vec<bool> = remote.ledger().received.iter().map(|received| received.tls).collect();
    assert_eq!(received, row.taken.into_iter().collect::<Vec<_>>(), "{}", row.name);
}

/// What was counted for each domain, of which all have one policy with something to tell.
fn counted(mut world: World, rows: usize) -> Vec<Tally> {
    world.stop();
    let day = Day::of(Timestamp::now());
    let one = |index: usize| {
        let domain = format!("d{index}.test");
        let asked = world.test.store.read_blocking(move |tx| tls_results::of(tx, day, &domain)).expect("read");
        // Where a policy could not be had, that is counted beside the session.
        asked.into_iter().max_by_key(|tally| (tally.failures, tally.successes)).expect("something was counted")
    };
    (0..rows).map(one).collect()
}

#[test]
fn dane_keeps_mail_from_strangers() {
    run(&dane());
}

#[test]
fn mta_sts_keeps_mail_from_strangers() {
    run(&mta_sts());
}

#[test]
fn senders_ask_for_more_or_for_less() {
    run(&wishes());
}

/// What one message has to be protected by keeps no other message of the domain: each goes, waits or fails by its own rule.
#[test]
fn mail_that_needs_no_tls_passes_what_a_policy_keeps() {
    let land = Land::new();
    // Somebody else's key in the DNS; and a host that DNSSEC names, with a certificate of nobody, and no TLSA records.
    let pair = land.unknown.issue(&["h.kept.test", "h.named.test"]);
    let zone = |port: &SharedPort| {
        let other = Tlsa { usage: 3, selector: 1, matching: 1, data: vec![9; 32] };
        Fixed::new()
            .with_mx("kept.test", 10, "h.kept.test")
            .with_address("h.kept.test", port.address(1).ip())
            .with_security("kept.test", Security::Secure)
            .with_tlsa(&format!("_{}._tcp.h.kept.test", port.number()), other)
            .with_mx("named.test", 10, "h.named.test")
            .with_address("h.named.test", port.address(2).ip())
            .with_security("named.test", Security::Secure)
    };
    let world = World::new(TestStore::sqlite(MIGRATIONS), zone, |settings| land.settings(settings));
    let offers = ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "REQUIRETLS"];
    let manner = || Manner::default().offering(&offers).secured(&pair);
    let (kept, named) =
        (Remote::start(world.port.address(1), manner()), Remote::start(world.port.address(2), manner()));
    let relaxed = MESSAGE.replacen("From:", "TLS-Required: No\r\nFrom:", 1);
    let last = |sent: &Sent| world.story(sent, 1).pop().expect("an outcome");
    let strict = |to: &str| world.send(MESSAGE.as_bytes(), &[to], |outgoing| outgoing.requiretls = true);
    let usual = |to: &str| world.send(MESSAGE.as_bytes(), &[to], |_| {});
    for round in 0..2 {
        // In the second round all of them stand behind what was kept in the first.
        let waits = last(&usual("bob@kept.test"));
        assert!(waits.contains("matches none of its TLSA records. DANE (3 1 1) demands it"), "{round}: {waits}");
        let waits = last(&strict("bob@kept.test"));
        assert!(waits.contains("DANE (3 1 1), and REQUIRETLS demands it"), "{round}: {waits}");
        let went = last(&world.send(relaxed.as_bytes(), &["bob@kept.test"], |_| {}));
        assert!(went.starts_with("sent: bob@kept.test: 250"), "{round}: {went}");
        let waits = last(&strict("bob@named.test"));
        assert!(
            waits.starts_with("deferred") && waits.contains("The sender wants TLS on the whole way"),
            "{round}: {waits}"
        );
        let went = last(&usual("bob@named.test"));
        assert!(went.starts_with("sent: bob@named.test: 250"), "{round}: {went}");
        assert_eq!(world.destinations(), [], "{round}: nothing is wrong with the hosts");
    }
    assert_eq!((kept.ledger().received.len(), named.ledger().received.len()), (2, 2));
    assert_eq!(world.waiting(), 6);
}
