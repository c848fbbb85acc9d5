//! Tables: what is around, and the story of the mail.

use std::net::IpAddr;

use postroad_dns::{Error, Fixed};
use postroad_queue::{Body, Outgoing};
use postroad_testkit::remote::{Deed, Manner, Phase};
use postroad_testkit::{Remote, SharedPort, TestStore};

use crate::world::{MESSAGE, MIGRATIONS, World};

/// One host of a domain: how it behaves; `None` where nobody listens.
type Hosts = Vec<Option<Manner>>;

/// A row: the hosts by preference, to whom, and the story; `D` stands for the domain, `1` to `9` in `h1` for the host.
struct Row {
    name: &'static str,
    hosts: Hosts,
    to: &'static [&'static str],
    message: &'static [u8],
    change: fn(&mut Outgoing),
    story: &'static [&'static str],
    /// Of each host: the connections that it saw.
    connections: &'static [usize],
}

fn row(name: &'static str, hosts: Hosts, story: &'static [&'static str], connections: &'static [usize]) -> Row {
    Row { name, hosts, to: &["bob"], message: MESSAGE.as_bytes(), change: |_| {}, story, connections }
}

fn good() -> Option<Manner> {
    Some(Manner::default())
}

fn saying(phase: Phase, reply: &str) -> Option<Manner> {
    Some(Manner::saying(phase, reply))
}

fn parting(phase: Phase, reply: &str) -> Option<Manner> {
    Some(Manner::of(phase, Deed::SayAndClose(format!("{reply}\r\n").into())))
}

fn closing(phase: Phase) -> Option<Manner> {
    Some(Manner::of(phase, Deed::Close))
}

fn offering(offers: &[&str]) -> Option<Manner> {
    Some(Manner::default().offering(offers))
}

const FIRST: &str = "attempt: for D: h1.D at 1, in clear";
const SECOND: &str = "attempt: for D: h2.D at 2, in clear";
const TAKEN: &str = "sent: bob@D: 250 2.0.0 taken as 0 (the message)";

/// More than the network holds: its end is not sent before its beginning was read.
fn large() -> &'static [u8] {
    let line = format!("{}\r\n", "x".repeat(70));
    Box::leak(format!("{MESSAGE}{}", line.repeat(100_000)).into_bytes().into_boxed_slice())
}

/// Which host gets it, and what stops it.
fn hosts() -> Vec<Row> {
    vec![
        row("the first takes it", vec![good(), good()], &[FIRST, TAKEN], &[1, 0]),
        row("nobody listens at the first", vec![None, good()], &[SECOND, TAKEN], &[0, 1]),
        row("a greeting with 4xx", vec![parting(Phase::Connect, "421 4.3.2 busy"), good()], &[SECOND, TAKEN], &[1, 1]),
        row("a greeting with 5xx", vec![parting(Phase::Connect, "554 5.3.2 no"), good()], &[SECOND, TAKEN], &[1, 1]),
        row("421 to MAIL", vec![parting(Phase::Mail, "421 4.3.2 busy"), good()], &[SECOND, TAKEN], &[1, 1]),
        row("closes at MAIL", vec![closing(Phase::Mail), good()], &[SECOND, TAKEN], &[1, 1]),
        row("closes after RCPT", vec![closing(Phase::Data), good()], &[SECOND, TAKEN], &[1, 1]),
        Row {
            message: large(),
            ..row("closes in the middle of a message", vec![closing(Phase::Body), good()], &[SECOND, TAKEN], &[1, 1])
        },
        row(
            "refused by recipient: nobody else is asked",
            vec![saying(Phase::Rcpt, "550 5.1.1 unknown"), good()],
            &[FIRST, "failed: bob@D: 550 5.1.1 unknown (RCPT)"],
            &[1, 0],
        ),
        row(
            "deferred by recipient: nobody else is asked",
            vec![saying(Phase::Rcpt, "451 4.7.1 later"), good()],
            &[FIRST, "deferred: bob@D: 451 4.7.1 later (RCPT)"],
            &[1, 0],
        ),
        row(
            "it may have been taken: nobody else is asked",
            vec![Some(Manner::of(Phase::End, Deed::TakeAndClose)), good()],
            &[
                FIRST,
                "deferred: bob@D: The remote closed the connection after the whole message, before its answer (the message)",
            ],
            &[1, 0],
        ),
        row(
            "all greet with 5xx",
            vec![parting(Phase::Connect, "554 5.3.2 no"), parting(Phase::Connect, "521 5.3.2 never")],
            &["attempt: for D: h2.D at 2, in clear", "failed: bob@D: 521 5.3.2 never (the connection)"],
            &[1, 1],
        ),
        row(
            "one greets with 5xx, one is away",
            vec![None, parting(Phase::Connect, "554 5.3.2 no")],
            &[
                "attempt: for D: h1.D, no connection",
                "deferred: bob@D: No connection to h1.D: 1: connection refused (connecting)",
            ],
            &[0, 1],
        ),
    ]
}

/// What hosts lack, and what is done about it.
fn lacking() -> Vec<Row> {
    let utf8 = |outgoing: &mut Outgoing| outgoing.smtputf8 = true;
    let eight = |outgoing: &mut Outgoing| outgoing.body = Body::EightBitMime;
    let plain = || offering(&["PIPELINING", "ENHANCEDSTATUSCODES"]);
    let header = "Subject: Käse\r\n\r\nx\r\n".as_bytes();
    let eight_bits = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nKäse\r\n".as_bytes();
    vec![
        Row {
            message: header,
            change: utf8,
            ..row("SMTPUTF8 at the second only", vec![plain(), good()], &[SECOND, TAKEN], &[1, 1])
        },
        Row {
            message: header,
            change: utf8,
            ..row(
                "SMTPUTF8 nowhere",
                vec![plain(), plain()],
                &[
                    SECOND,
                    "failed: bob@D: The message has internationalised addresses or headers, and the remote does not offer SMTPUTF8 (MAIL)",
                ],
                &[1, 1],
            )
        },
        Row { change: utf8, ..row("SMTPUTF8 asked for and not needed", vec![plain()], &[FIRST, TAKEN], &[1]) },
        Row {
            message: eight_bits,
            change: eight,
            ..row("8-bit text is converted", vec![plain()], &[FIRST, TAKEN], &[1])
        },
        row(
            "too large",
            vec![offering(&["SIZE 20"]), offering(&["SIZE 30"])],
            &[SECOND, "failed: bob@D: The message is larger than the 30 octets that the remote takes (MAIL)"],
            &[1, 1],
        ),
        Row {
            change: |outgoing| outgoing.requiretls = true,
            ..row(
                "TLS is required on the whole way, and nobody vouches for the host: nothing is tried",
                vec![good()],
                &[
                    "attempt: for D: h1.D, no connection; by REQUIRETLS",
                    "failed: bob@D: The message requires TLS on its whole way (REQUIRETLS), and nobody vouches for h1.D \
                     being a mail exchanger of D: neither DNSSEC nor an MTA-STS policy. Without REQUIRETLS it can be sent \
                     (choosing how to protect the connection)",
                ],
                &[0],
            )
        },
    ]
}

/// Several recipients.
fn several() -> Vec<Row> {
    vec![
        Row {
            to: &["bob", "carol", "dave"],
            ..row(
                "each has an outcome of their own",
                vec![Some(
                    Manner::default().refusing("carol@D", "550 5.1.1 who?").refusing("dave@D", "450 4.2.0 later"),
                )],
                &[FIRST, TAKEN, "failed: carol@D: 550 5.1.1 who? (RCPT)", "deferred: dave@D: 450 4.2.0 later (RCPT)"],
                &[1],
            )
        },
        Row {
            to: &["bob", "carol", "dave"],
            ..row(
                "a few at a time",
                vec![offering(&["LIMITS RCPTMAX=2"])],
                &[
                    FIRST,
                    TAKEN,
                    "sent: carol@D: 250 2.0.0 taken as 0 (the message)",
                    "sent: dave@D: 250 2.0.0 taken as 1 (the message)",
                ],
                &[1],
            )
        },
        Row {
            to: &["bob", "carol"],
            ..row(
                "each is told what its own host said",
                vec![
                    Some(
                        Manner::of(Phase::Data, Deed::SayAndClose(b"421 4.3.2 going down\r\n".to_vec()))
                            .refusing("carol@D", "550 5.1.1 who?"),
                    ),
                    good(),
                ],
                &[SECOND, TAKEN, FIRST, "failed: carol@D: 550 5.1.1 who? (RCPT)"],
                &[1, 1],
            )
        },
    ]
}

fn domain(number: usize) -> String {
    format!("w{number}.test")
}

/// Each row has a domain and hosts of its own; all are sent at once.
fn check(rows: Vec<Row>) {
    let sum: usize = rows.iter().map(|row| row.hosts.len()).sum();
    assert!(sum <= usize::from(postroad_testkit::ports::SHARED_HOSTS), "as many hosts as there are addresses");
    let zone = |port: &SharedPort| {
        let (mut zone, mut address) = (Fixed::new(), 0);
        for (number, row) in rows.iter().enumerate() {
            for host in 1..=row.hosts.len() {
                address += 1;
                let (domain, preference) = (domain(number), u16::try_from(10 * host).expect("few hosts"));
                let name = format!("h{host}.{domain}");
                zone = zone.with_mx(&domain, preference, &name).with_address(&name, port.address(address).ip());
            }
        }
        zone
    };
    let world = World::new(TestStore::sqlite(MIGRATIONS), zone, |_| {});
    let mut address = 0;
    let mut running = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let domain = domain(number);
        let mut remotes = Vec::new();
        for manner in &row.hosts {
            address += 1;
            let at = world.port.address(address);
            let manner = manner.clone().map(|mut manner| {
                manner.recipients.iter_mut().for_each(|(name, _)| *name = name.replace("@D", &format!("@{domain}")));
                manner
            });
            remotes.push((at.ip(), manner.map(|manner| Remote::start(at, manner))));
        }
        running.push(remotes);
    }
    let sent: Vec<_> = rows
        .iter()
        .enumerate()
        .map(|(number, row)| {
            let to: Vec<String> = row.to.iter().map(|local| format!("{local}@{}", domain(number))).collect();
            let to: Vec<&str> = to.iter().map(String::as_str).collect();
            world.send(row.message, &to, row.change)
        })
        .collect();
    for (number, (row, sent)) in rows.iter().zip(&sent).enumerate() {
        let story = world.story(sent, row.to.len());
        let hosts: Vec<IpAddr> = running[number].iter().map(|(ip, _)| *ip).collect();
        let story: Vec<String> = story.iter().map(|line| plain(line, &domain(number), &hosts)).collect();
        assert_eq!(story, row.story, "{}", row.name);
        let saw = |remote: &Option<Remote>| remote.as_ref().map_or(0, |remote| remote.ledger().connections.len());
        let connections: Vec<usize> = running[number].iter().map(|(_, remote)| saw(remote)).collect();
        assert_eq!(connections, row.connections, "connections: {}", row.name);
    }
}

/// A line of the story with `D` for the domain and numbers for the hosts.
fn plain(line: &str, domain: &str, hosts: &[IpAddr]) -> String {
    let line = line.replace(domain, "D");
    hosts.iter().enumerate().fold(line, |line, (index, ip)| line.replace(&ip.to_string(), &(index + 1).to_string()))
}

#[test]
fn which_host_gets_it() {
    check(hosts());
}

#[test]
fn what_hosts_lack() {
    check(lacking());
}

#[test]
fn several_recipients() {
    check(several());
}

#[test]
fn what_the_dns_says() {
    let zone = |_: &SharedPort| {
        Fixed::new()
            .with_mx("null.test", 0, ".")
            .with_failure("down.test", Error::Temporary("nobody answers".into()))
            .with_mx("ours.test", 10, "us.test")
            .with_address("us.test", IpAddr::from([192, 0, 2, 1]))
            .with_mx("multicast.test", 10, "m.test")
            .with_address("m.test", IpAddr::from([224, 0, 0, 1]))
    };
    let world = World::new(TestStore::sqlite(MIGRATIONS), zone, |_| {});
    for (to, expected) in [
        ("bob@null.test", "failed: bob@null.test: null.test takes no mail (null MX) (looking for the next host)"),
        (
            "bob@nowhere.test",
            "failed: bob@nowhere.test: The domain nowhere.test does not exist (looking for the next host)",
        ),
        (
            "bob@down.test",
            "deferred: bob@down.test: down.test cannot be looked up now: the DNS does not answer: nobody answers (looking for the next host)",
        ),
        (
            "bob@ours.test",
            "failed: bob@ours.test: The mail exchanger of ours.test is this server, which does not take mail for it (looking for the next host)",
        ),
        (
            "bob@multicast.test",
            "failed: bob@multicast.test: m.test has only addresses that no mail can be sent to (looking for the next host)",
        ),
    ] {
        let sent = world.send(MESSAGE.as_bytes(), &[to], |_| {});
        let story = world.story(&sent, 1);
        assert!(story[1].starts_with(expected), "{story:?}");
    }
    let blocked: Vec<String> = world.destinations().into_iter().map(|destination| destination.domain).collect();
    assert_eq!(blocked, ["down.test"], "what the DNS says for good blocks nothing");
}
