//! TLS and logins, by opportunity and by route.

use postroad_dns::Fixed;
use postroad_queue::{Route, RouteLogin, RouteTls};
use postroad_testkit::certificates::Authority;
use postroad_testkit::remote::{Deed, Manner, Phase};
use postroad_testkit::{Remote, SharedPort, TestStore};

use crate::world::{MESSAGE, MIGRATIONS, World};

/// What happens to mail for a domain with this host, by this route if there is one.
#[derive(Clone)]
struct Row {
    name: &'static str,
    /// What it offers STARTTLS with.
    certificate: Certificate,
    manner: Manner,
    route: Option<(RouteTls, Change)>,
    /// What follows the host in the first line of the story, and the second line.
    story: [&'static str; 2],
    /// The connections that the host saw.
    connections: usize,
}

/// What else there is to a route.
type Change = fn(&mut Route);

/// Whose certificate a host has.
#[derive(Clone, Copy, PartialEq)]
enum Certificate {
    /// It has none and offers no TLS.
    None,
    /// By somebody whom nobody trusts.
    Unknown,
    /// By the authority that the route trusts.
    Good,
    /// The same, for another name.
    Misnamed,
}

const TAKEN: &str = "sent: bob@D: 250 2.0.0 taken as 0 (the message)";

fn nothing(_: &mut Route) {}

fn login(route: &mut Route) {
    route.login = Some(RouteLogin::password("us", "secret"));
}

fn wrong(route: &mut Route) {
    route.login = Some(RouteLogin::password("us", "wrong"));
}

/// Where the DNS leads.
fn opportunistic() -> Vec<Row> {
    vec![
        Row {
            name: "offered: any certificate will do",
            certificate: Certificate::Unknown,
            manner: Manner::default(),
            route: None,
            story: ["TLSv1.3 TLS_AES_256_GCM_SHA384, certificate not checked", TAKEN],
            connections: 1,
        },
        Row {
            name: "not offered",
            certificate: Certificate::None,
            manner: Manner::default(),
            route: None,
            story: ["in clear", TAKEN],
            connections: 1,
        },
        Row {
            name: "broken: in clear on another connection",
            certificate: Certificate::Unknown,
            manner: Manner::default().and(Phase::StartTls, Deed::BreakTls),
            route: None,
            story: ["in clear", TAKEN],
            connections: 2,
        },
        Row {
            name: "closed after STARTTLS: in clear on another connection",
            certificate: Certificate::Unknown,
            manner: Manner::default().and(Phase::StartTls, Deed::Close),
            route: None,
            story: ["in clear", TAKEN],
            connections: 2,
        },
        Row {
            name: "refused: in clear on the same connection",
            certificate: Certificate::Unknown,
            manner: Manner::default().and(Phase::StartTls, Deed::Say(b"454 4.7.0 not now\r\n".to_vec())),
            route: None,
            story: ["in clear", TAKEN],
            connections: 1,
        },
    ]
}

/// Where a route leads.
fn routed() -> Vec<Row> {
    let no_tls = "deferred: bob@D: TLS is required and the remote does not offer it (EHLO)";
    vec![
        Row {
            name: "a route without TLS",
            certificate: Certificate::Unknown,
            manner: Manner::default(),
            route: Some((RouteTls::None, nothing)),
            story: ["in clear", TAKEN],
            connections: 1,
        },
        Row {
            name: "required and not offered",
            certificate: Certificate::None,
            manner: Manner::default(),
            route: Some((RouteTls::Required, nothing)),
            story: ["TLS not established", no_tls],
            connections: 1,
        },
        Row {
            name: "required: any certificate will do",
            certificate: Certificate::Unknown,
            manner: Manner::default(),
            route: Some((RouteTls::Required, nothing)),
            story: ["TLSv1.3 TLS_AES_256_GCM_SHA384, certificate not checked", TAKEN],
            connections: 1,
        },
        Row {
            name: "required and broken: never in clear",
            certificate: Certificate::Unknown,
            manner: Manner::default().and(Phase::StartTls, Deed::Close),
            route: Some((RouteTls::Required, nothing)),
            story: [
                "TLS not established",
                "deferred: bob@D: The remote closed the connection after STARTTLS (STARTTLS)",
            ],
            connections: 1,
        },
        Row {
            name: "verified",
            certificate: Certificate::Good,
            manner: Manner::default(),
            route: Some((RouteTls::Verified, nothing)),
            story: ["TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified", TAKEN],
            connections: 1,
        },
        Row {
            name: "verified, but by whom?",
            certificate: Certificate::Unknown,
            manner: Manner::default(),
            route: Some((RouteTls::Verified, nothing)),
            story: ["TLS not established", "deferred: bob@D: The TLS handshake failed: its certificate"],
            connections: 1,
        },
        Row {
            name: "verified, but for whom?",
            certificate: Certificate::Misnamed,
            manner: Manner::default(),
            route: Some((RouteTls::Verified, nothing)),
            story: ["TLS not established", "deferred: bob@D: The TLS handshake failed: its certificate is not for "],
            connections: 1,
        },
    ]
}

fn logins() -> Vec<Row> {
    vec![
        Row {
            name: "a login",
            certificate: Certificate::Good,
            manner: Manner::default().locked("us", "secret"),
            route: Some((RouteTls::Verified, login)),
            story: ["TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified", TAKEN],
            connections: 1,
        },
        Row {
            name: "a login that is refused: the mail waits",
            certificate: Certificate::Good,
            manner: Manner::default().locked("us", "secret"),
            route: Some((RouteTls::Verified, wrong)),
            story: [
                "TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified",
                "deferred: bob@D: 535 5.7.8 wrong (The route for D signs in as us: give the right password with `postroad route \
                 add 'D' … --user … --password -`; until then mail waits) (AUTH)",
            ],
            connections: 1,
        },
        Row {
            name: "a login that would go in clear is kept",
            certificate: Certificate::None,
            manner: Manner::default().locked("us", "secret"),
            route: Some((RouteTls::None, login)),
            story: [
                "in clear",
                "deferred: bob@D: The login is not sent over a connection without TLS (The route for D signs in as us: make the \
                 route for D with --tls verified or implicit; until then mail waits)",
            ],
            connections: 1,
        },
    ]
}

#[test]
fn connections_are_as_secret_as_they_have_to_be() {
    let (known, unknown) = (Authority::new(), Authority::new());
    let rows = [opportunistic(), routed(), logins()].concat();
    let zone = |port: &SharedPort| {
        rows.iter().enumerate().fold(Fixed::new(), |zone, (number, row)| {
            let address = port.address(u8::try_from(number + 1).expect("few rows")).ip();
            let host = if row.route.is_some() { format!("relay{number}.test") } else { format!("h1.d{number}.test") };
            zone.with_mx(&format!("d{number}.test"), 10, &host).with_address(&host, address)
        })
    };
    let world = World::new(TestStore::sqlite(MIGRATIONS), zone, |_| {});
    let mut sent = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let at = world.port.address(u8::try_from(number + 1).expect("few rows"));
        let mut manner = row.manner.clone();
        let name = format!("relay{number}.test");
        manner.certificate = match row.certificate {
            Certificate::None => None,
            Certificate::Unknown => Some(unknown.issue(&[&name])),
            Certificate::Good => Some(known.issue(&[&name])),
            Certificate::Misnamed => Some(known.issue(&["other.test"])),
        };
        if let Some((tls, change)) = &row.route {
            let ca = known.pem();
            world.route(&format!("d{number}.test"), name, *tls, |route| {
                route.ca = Some(ca);
                change(route);
            });
        }
        let remote = Remote::start(at, manner);
        sent.push((world.send(MESSAGE.as_bytes(), &[&format!("bob@d{number}.test")], |_| {}), remote));
    }
    for (number, (row, (sent, remote))) in rows.iter().zip(&sent).enumerate() {
        let story: Vec<String> =
            world.story(sent, 1).iter().map(|line| line.replace(&format!("d{number}.test"), "D")).collect();
        let how = story[0].rsplit_once(&format!("{}, ", remote.address().ip())).expect("an address").1;
        assert!(how == row.story[0] && story[1].starts_with(row.story[1]), "{}: {story:?}", row.name);
        assert_eq!(remote.ledger().connections.len(), row.connections, "{}", row.name);
        if let Some((RouteTls::Verified | RouteTls::Required, _)) = &row.route {
            assert!(remote.ledger().received.iter().all(|received| received.tls), "{}", row.name);
        }
    }
}
