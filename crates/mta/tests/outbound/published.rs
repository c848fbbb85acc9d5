//! Policies as time passes, connections that are shared, and zones that are signed or forged.

use std::sync::Arc;

use postroad_dns::{Dns, Dnssec, Fixed, Resolver, Security, Tlsa};
use postroad_store::{Locks, Timestamp, trace};
use postroad_testkit::remote::Manner;
use postroad_testkit::{DnsServer, PolicyHost, Remote, SharedPort, TestStore, Zone, eventually};

use crate::policies::{Land, STRICT};
use crate::world::{MESSAGE, MIGRATIONS, World};

/// A policy that was fetched holds while it lasts, whatever becomes of its host and of the DNS; another one takes its place.
#[test]
fn a_policy_is_believed_for_its_time() {
    let land = Land::new();
    let pair = land.known.issue(&["h.there.test"]);
    let zone = |port: &SharedPort, id: Option<&str>| {
        let zone = Fixed::new()
            .with_mx("there.test", 10, "h.there.test")
            .with_address("h.there.test", port.address(1).ip())
            .with_address("mta-sts.there.test", land.web.address(1).ip());
        match id {
            Some(id) => zone.with_txt("_mta-sts.there.test", format!("v=STSv1; id={id};")),
            None => zone,
        }
    };
    let web_pair = land.known.issue(&["mta-sts.there.test"]);
    let web = PolicyHost::start(land.web.address(1), &web_pair, &STRICT.replace("MX", "h.there.test"));
    let world =
        World::new(TestStore::sqlite(MIGRATIONS), |port| zone(port, Some("1")), |settings| land.settings(settings));
    let remote = Remote::start(world.port.address(1), Manner::default().secured(&pair));
    let first = |world: &World| {
        let sent = world.send(MESSAGE.as_bytes(), &["bob@there.test"], |_| {});
        world.story(&sent, 1).join("\n")
    };
    for _ in 0..3 {
        let story = first(&world);
        assert!(story.contains("by MTA-STS (enforce, id 1)") && story.contains("\nsent: "), "{story}");
    }
    assert_eq!(web.asked(), ["mta-sts.there.test/.well-known/mta-sts.txt"], "fetched once for three messages");
    // The record is gone, and so is STARTTLS: what is kept holds, also for a server that has just started.
    drop(remote);
    let again = |mut world: World, port: SharedPort, id: Option<&str>| {
        world.stop();
        // What could not be reached the old way.
        let woken = world
            .test
            .store
            .write_blocking(Locks::none(), |tx| postroad_queue::unblock(tx, "there.test", Timestamp::now()));
        woken.expect("written");
        let zone: Arc<dyn Dns> = Arc::new(zone(&port, id));
        World::with(Arc::clone(&world.test), port, zone, |settings| land.settings(settings))
    };
    let world = again(world, SharedPort::find(), None);
    let remote = Remote::start(world.port.address(1), Manner::default());
    let story = first(&world);
    assert!(story.contains("by MTA-STS (enforce, id 1)") && story.contains("TLS is required"), "{story}");
    assert!(remote.ledger().received.is_empty());
    drop(remote);
    // Another id, and nobody answers for it: the one that is kept holds, and that is told.
    web.serve_so("302 Found", "text/plain", "");
    let world = again(world, SharedPort::find(), Some("2"));
    let remote = Remote::start(world.port.address(1), Manner::default().secured(&pair));
    let story = first(&world);
    let told = "the MTA-STS policy of there.test could not be renewed (mta-sts.there.test leads elsewhere (302 Found), which is \
                not followed); the one that is kept holds (enforce, id 1)";
    assert!(story.contains(told) && story.contains("\nsent: "), "{story}");
    drop(remote);
    // Another one is fetched: without a demand.
    web.serve("version: STSv1\nmode: none\nmax_age: 86400\n");
    let world = again(world, SharedPort::find(), Some("3"));
    let remote = Remote::start(world.port.address(1), Manner::default());
    let story = first(&world);
    assert!(story.contains(", in clear\n") && story.contains("\nsent: "), "{story}");
    remote.wait_for(1);
}

/// Hosts that are shared by domains with and without a policy: a connection that was good enough for one is not taken for
/// the other.
#[test]
fn a_connection_serves_only_those_whose_policy_it_meets() {
    let land = Land::new();
    let pair = land.unknown.issue(&["h.shared.test"]);
    let (spki, web_pair) = (pair.key_digest(), land.known.issue(&["mta-sts.strict.test"]));
    let zone = |port: &SharedPort| {
        let record = Tlsa { usage: 3, selector: 1, matching: 1, data: spki.clone() };
        ["lax.test", "strict.test", "signed.test"]
            .iter()
            .fold(Fixed::new(), |zone, domain| zone.with_mx(domain, 10, "h.shared.test"))
            .with_address("h.shared.test", port.address(1).ip())
            .with_tlsa(&format!("_{}._tcp.h.shared.test", port.number()), record)
            .with_security("shared.test", Security::Secure)
            .with_security("signed.test", Security::Secure)
            .with_txt("_mta-sts.strict.test", "v=STSv1; id=1;")
            .with_address("mta-sts.strict.test", land.web.address(1).ip())
    };
    let _web = PolicyHost::start(land.web.address(1), &web_pair, &STRICT.replace("MX", "h.shared.test"));
    let world = World::new(TestStore::sqlite(MIGRATIONS), zone, |settings| {
        land.settings(settings);
        // Kept for as long as the test takes.
        settings.idle = std::time::Duration::from_secs(60);
    });
    let remote = Remote::start(world.port.address(1), Manner::default().secured(&pair));
    let send = |domain: &str| {
        let sent = world.send(MESSAGE.as_bytes(), &[&format!("bob@{domain}")], |_| {});
        world.story(&sent, 1).join("\n")
    };
    let lax = send("lax.test");
    assert!(lax.contains("certificate not checked\nsent: "), "{lax}");
    let strict = send("strict.test");
    assert!(strict.contains("by MTA-STS (enforce, id 1)") && strict.contains("\ndeferred: "), "{strict}");
    let signed = send("signed.test");
    assert!(signed.contains("certificate verified by DANE (3 1 1); by DANE (3 1 1)\nsent: "), "{signed}");
    assert!(send("lax.test").contains("certificate not checked\nsent: "));
    assert!(send("signed.test").contains("certificate verified by DANE (3 1 1)"));
    let connections = remote.ledger().connections.len();
    assert_eq!(connections, 3, "one that nobody verified, one that failed, one by DANE, each of use to its own kind");
    let sent = world.send(MESSAGE.as_bytes(), &["bob@lax.test"], |_| {});
    let kinds = || world.test.store.read_blocking(move |tx| trace::story(tx, sent.trace)).expect("read");
    eventually("the last of them", || kinds().iter().any(|event| event.kind == "sent").then_some(()));
}

/// Signed zones of a real name server, validated by ourselves: what is signed holds, and what is forged keeps mail back.
#[test]
fn our_own_validation_decides() {
    let (land, port) = (Land::new(), SharedPort::find());
    let pair = land.unknown.issue(&["any.name.test"]);
    let digest: String = pair.key_digest().iter().map(|octet| format!("{octet:02x}")).collect();
    let domain = |name: &str, number: u8, tlsa: &str| {
        format!("{name}. MX 10 mx.{name}.\nmx.{name}. A {}\n{tlsa}", port.address(number).ip())
    };
    let owner = |name: &str| format!("_{}._tcp.mx.{name}.", port.number());
    let forged = format!("_{} TLSA 3 1 1 {digest}", port.number());
    let open = domain("open.test", 3, &format!("{} TLSA 3 1 1 {}\n", owner("open.test"), "00".repeat(32)));
    let dns = DnsServer::serve(vec![
        Zone::signed(
            "",
            &[
                domain("good.test", 1, &format!("{} TLSA 3 1 1 {digest}\n", owner("good.test"))),
                domain("bad.test", 2, &format!("{} TLSA 3 1 1 {}\n", owner("bad.test"), "00".repeat(32))),
                domain("forged.test", 4, ""),
                domain("none.test", 5, ""),
            ]
            .concat(),
        ),
        Zone::unsigned("open.test", &open),
        Zone::with_wrong_key("_tcp.mx.forged.test", &forged),
    ]);
    let settings = postroad_dns::Settings {
        dnssec: Dnssec::Validate,
        trust_anchor: Some(dns.trust_anchor().to_owned()),
        ..postroad_dns::Settings::default()
    };
    let resolver = Resolver::with(&[dns.address()], settings).expect("a resolver");
    let world =
        World::with(TestStore::sqlite(MIGRATIONS), port, Arc::new(resolver), |settings| land.settings(settings));
    let remotes: Vec<Remote> =
        (1..=5).map(|number| Remote::start(world.port.address(number), Manner::default().secured(&pair))).collect();
    for (number, (name, expected)) in [
        ("good.test", "certificate verified by DANE (3 1 1); by DANE (3 1 1)\nsent: "),
        ("bad.test", "its certificate matches none of its TLSA records"),
        // Whoever can forge a zone that is not signed can forge its TLSA records too: they say nothing.
        ("open.test", "certificate not checked\nsent: "),
        ("forged.test", "mx.forged.test cannot be spoken with safely: its TLSA records (DANE) cannot be looked up"),
        ("none.test", "certificate not checked\nsent: "),
    ]
    .into_iter()
    .enumerate()
    {
        let sent = world.send(MESSAGE.as_bytes(), &[&format!("bob@{name}")], |_| {});
        let story = world.story(&sent, 1).join("\n");
        assert!(story.contains(expected), "{name}: {story}");
        assert_eq!(remotes[number].ledger().received.len(), usize::from(story.contains("\nsent: ")), "{name}");
    }
}
