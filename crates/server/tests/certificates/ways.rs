//! The ways in which an authority looks, and what comes of it.

use postroad_dns::update::Key;
use postroad_dns::{Dns, Resolver};
use postroad_store::Locks;
use postroad_testkit::Zone;
use postroad_testkit::dns_server::UPDATE_KEY;
use postroad_testkit::pebble::Habits;
use postroad_trust::certificates::{self, Origin, Secret, Wish};
use postroad_web::acme::{self, Algorithm, Challenge, LOCK, Settings, Wanted};

use crate::world::{HOST, World, each, go, in_use, line, only_host, shown, sqlite, wait_until_shown};

#[test]
fn over_http_and_over_tls_on_each_database() {
    each(|test| {
        for way in [Challenge::Http, Challenge::Alpn] {
            go(async {
                let mut world = World::new();
                let server = world.server(&test.store);
                let wanted = Wanted { more: vec![format!("{way:?}.example.test")], ..only_host() };
                let keeper = world.keeper(&test.store, world.settings(&[way]), wanted, "one");
                let round = keeper.round().await.expect("a round");
                assert_eq!(round.issued, [HOST], "{way:?}: {round:?}\n{}", world.pebble.printed());
                let current = in_use(&test.store, HOST).expect("a certificate");
                assert!(current.names.contains(&format!("{way:?}.example.test").to_ascii_lowercase()), "{current:?}");
                assert_eq!(current.origin, Origin::Acme);
                wait_until_shown(world.tls, HOST, &current.serial);
                // Nothing is left of it but the certificate.
                let line = line(&server.store, HOST);
                assert_eq!((line.order, line.held, line.problem.as_str()), (None, None, ""));
                let again = keeper.round().await.expect("a round");
                assert!(again.issued.is_empty() && again.failed.is_empty(), "{again:?}");
                assert!(again.next.is_some_and(|next| next < current.not_after), "{again:?}");
            });
        }
    });
}

/// An ordinary client never meets what authorities see: neither by its protocols nor by its name.
#[test]
fn no_client_is_talked_into_an_answer() {
    go(async {
        let mut world = World::new();
        let test = sqlite();
        let server = world.server(&test.store);
        let keeper = world.keeper(&test.store, world.settings(&[Challenge::Alpn]), only_host(), "one");
        keeper.round().await.expect("a round");
        let current = in_use(&server.store, HOST).expect("a certificate");
        wait_until_shown(world.tls, HOST, &current.serial);
        let asked = |alpn: &str| {
            let line =
                format!("openssl s_client -connect {} -servername {HOST} -alpn {alpn} </dev/null 2>&1", world.tls);
            postroad_testkit::run("/bin/sh", &["-c", &line], b"").out
        };
        let both = asked("acme-tls/1,http/1.1");
        assert!(both.contains("ALPN protocol: http/1.1"), "{both}");
        let authority = asked("acme-tls/1");
        assert!(!authority.contains("BEGIN CERTIFICATE"), "nobody was told to look: {authority}");
        assert!(shown(world.tls, HOST).is_some(), "others are served as before");
    });
}

#[test]
fn with_an_rsa_key_and_with_an_account_of_the_authority() {
    let external = ("kid-1".to_owned(), "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W".to_owned());
    go(async {
        let mut world = World::with("*.example.test. A 127.0.0.1\n", |habits: &mut Habits| {
            habits.external = Some(external.clone());
        });
        let test = sqlite();
        let _server = world.server(&test.store);
        let usual = Settings { algorithm: Algorithm::Rsa2048, ..world.settings(&[Challenge::Http]) };
        let refused = world.keeper(&test.store, usual.clone(), only_host(), "one").round().await.expect("a round");
        assert_eq!(refused.failed.len(), 1);
        let line = line(&test.store, HOST);
        assert!(line.next_step.contains("acme.external-key-id"), "{line:?}");

        // Base64 of RFC 4648 §5, by hand: 64 signs are 48 octets.
        let signs = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let value = |sign: u8| signs.iter().position(|one| *one == sign).expect("a sign") as u32;
        let quads =
            external.1.as_bytes().chunks(4).map(|quad| quad.iter().fold(0, |all, sign| all << 6 | value(*sign)));
        let key: Vec<u8> = quads.flat_map(|bits| bits.to_be_bytes()[1..].to_vec()).collect();
        let known = Settings { external: Some((external.0.clone(), Secret::new(key))), ..usual };
        let first = known.clone();
        world.moved.on(crate::world::DAY);
        let round = world.keeper(&test.store, first, only_host(), "one").round().await.expect("a round");
        assert_eq!(round.issued, [HOST], "{round:?}\n{}", world.pebble.printed());
        let kinds = || {
            let keys = test.store.read_blocking(|tx| postroad_trust::certificates::keys(tx, None)).expect("keys");
            keys.into_iter().map(|key| key.algorithm).collect::<Vec<_>>()
        };
        assert_eq!(kinds(), ["rsa-2048", "rsa-2048"]);

        // Another kind of key is wanted, and somebody else is written to.
        let other =
            Settings { algorithm: Algorithm::EcdsaP256, contact: vec!["mailto:it@example.test".into()], ..known };
        let keeper = world.keeper(&test.store, other, only_host(), "one");
        keeper.round().await.expect("a round");
        assert_eq!(kinds(), ["rsa-2048", "ecdsa-p256"]);
        let hurry = |tx: &mut postroad_store::WriteTx| certificates::hurry(tx, HOST, Wish::NewKey);
        test.store.write_blocking(Locks::named(LOCK), hurry).expect("wished for");
        assert_eq!(keeper.round().await.expect("a round").issued, [HOST], "{}", world.pebble.printed());
        assert_eq!(kinds()[0], "ecdsa-p256");
        let directory = world.pebble.directory().to_owned();
        let account = test.store.read_blocking(move |tx| certificates::account(tx, &directory)).expect("the tables");
        assert_eq!(account.expect("one").contact, "mailto:it@example.test");
    });
}

/// In a zone that takes updates, with TLSA records published there as well.
#[test]
fn in_dns_with_a_wildcard_and_tlsa_records_follow() {
    go(async {
        let zone = "@ A 127.0.0.1\n@ MX 10 mx\nmail A 127.0.0.1\nmx A 127.0.0.1\nmta-sts A 127.0.0.1\n";
        let world = World::in_zones(vec![Zone::unsigned("", ""), Zone::unsigned("example.test", zone).updatable()]);
        let test = sqlite();
        let domain = |tx: &mut postroad_store::WriteTx| {
            let by = postroad_mail::By::new(postroad_store::Timestamp::now(), postroad_mail::Actor::System);
            postroad_mail::domains::create(tx, &by, &postroad_mail::Domain::parse("example.test").expect("a name"))
        };
        test.store.write_blocking(Locks::none(), domain).expect("a domain");
        let more = ["*.example.test", "mx.example.test", "mta-sts.example.test"].map(String::from).to_vec();
        let wanted = Wanted { more, ..only_host() };
        let key = Key::parse(UPDATE_KEY).expect("a key");
        let zone = acme::Zone {
            server: world.dns.address(),
            key: Some(key),
            name: None,
            settles_within: std::time::Duration::ZERO,
        };
        let settings =
            Settings { zone: Some(zone), publishes_tlsa: true, ..world.settings(&[Challenge::Http, Challenge::Dns]) };
        // The wildcard can only be looked for in DNS; nobody listens on port 80 here, so both are.
        let settings = Settings { challenges: vec![Challenge::Dns], ..settings };
        let keeper = world.keeper(&test.store, settings.clone(), wanted, "one");
        let round = keeper.round().await.expect("a round");
        assert_eq!(round.issued, [HOST], "{round:?}\n{}", world.pebble.printed());
        let current = in_use(&test.store, HOST).expect("a certificate");
        assert!(current.names.contains(&"*.example.test".to_owned()), "{current:?}");
        let dns = Resolver::at(world.dns.address()).expect("a resolver");
        dns.txt("_acme-challenge.mail.example.test").await.expect_err("it was taken out again");
        dns.txt("_acme-challenge.example.test").await.expect_err("it was taken out again");

        keeper.round().await.expect("a round");
        let published = dns.tlsa(&format!("_25._tcp.{HOST}")).await.expect("published").records;
        let ours = test.store.read_blocking(|tx| acme::tlsa(tx, HOST)).expect("keys");
        assert_eq!(published.len(), 2);
        assert!(ours.iter().all(|one| published.contains(one)), "{published:?} {ours:?}");
        // So has the host that the DNS names, and nobody who takes no mail.
        assert_eq!(dns.tlsa("_25._tcp.mx.example.test").await.expect("published").records.len(), 2);
        dns.tlsa("_25._tcp.mta-sts.example.test").await.expect_err("no mail is taken there");
        // A server that refuses is told of, and nothing else breaks.
        let zone = settings.zone.clone().map(|zone| acme::Zone { key: None, ..zone });
        let other = Wanted { host: "other.example.test".into(), ..Wanted::default() };
        let unsigned = world.keeper(&test.store, Settings { zone, ..settings }, other, "one");
        let round = unsigned.round().await.expect("a round");
        assert_eq!(round.failed.len(), 1, "{round:?}");
        let line = line(&test.store, "other.example.test");
        assert!(line.problem.contains("refuses the update"), "{line:?}");
    });
}
