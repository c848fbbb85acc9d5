//! Mail from others that is looked at: forged, true, forwarded, by lists; with a DNS that answers and one that does not.
//! On each store; after each, nothing contradicts anything.

mod town;

use std::net::Ipv4Addr;

use postroad_dns::{Error, Fixed};
use postroad_mailauth::body::{Canonicalization, Hashers};
use postroad_mailauth::{arc, dkim, key::SigningKey};
use postroad_mta::Checker;
use postroad_mta::checks::Summary;
use postroad_store::WriteTx;
use postroad_testkit::{each_store, transcript};
use town::{MIGRATIONS, Town};

/// When the town's clock stands.
const NOW: i64 = 1_795_348_800;

/// Domains with and without policies, and some whose name servers do not answer.
fn zone() -> Fixed {
    let silent = || Error::Temporary("the server is down".into());
    Fixed::new()
        .with_txt("bank.test", "v=spf1 ip4:192.0.2.25 -all")
        .with_txt("_dmarc.bank.test", "v=DMARC1; p=reject; rua=mailto:reports@bank.test")
        .with_txt("s._domainkey.bank.test", public(&key()))
        .with_txt("shop.test", "v=spf1 ip4:192.0.2.26 -all")
        .with_txt("_dmarc.shop.test", "v=DMARC1; p=quarantine")
        .with_txt("watch.test", "v=spf1 ip4:192.0.2.26 -all")
        .with_txt("_dmarc.watch.test", "v=DMARC1; p=none")
        .with_txt("try.test", "v=spf1 ip4:192.0.2.26 -all")
        .with_txt("_dmarc.try.test", "v=DMARC1; p=reject; t=y")
        .with_txt("bare.test", "v=spf1 ip4:192.0.2.26 -all")
        .with_txt("s._domainkey.bare.test", public(&key()))
        .with_txt("list.test", "v=spf1 ip4:192.0.2.40 -all")
        .with_txt("s._domainkey.list.test", public(&key()))
        .with_txt("slow.test", "v=spf1 include:_spf.slow.test -all")
        .with_failure("_spf.slow.test", silent())
        .with_txt("_dmarc.slow.test", "v=DMARC1; p=reject")
        .with_txt("mute.test", "v=spf1 ip4:192.0.2.26 -all")
        .with_failure("_dmarc.mute.test", silent())
        .with_failure("s._domainkey.mute.test", silent())
        .with_ptr(Ipv4Addr::new(192, 0, 2, 25), "mail.bank.test")
        .with_address("mail.bank.test", Ipv4Addr::new(192, 0, 2, 25))
        .with_txt("mail.bank.test", "v=spf1 a -all")
        .with_ptr(Ipv4Addr::new(192, 0, 2, 40), "mx.uni.test")
        .with_address("mx.uni.test", Ipv4Addr::new(192, 0, 2, 40))
}

fn key() -> SigningKey {
    static KEY: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let pkcs8 = KEY.get_or_init(|| SigningKey::ed25519().expect("random bytes").to_pkcs8().expect("PKCS #8"));
    SigningKey::from_pkcs8(pkcs8).expect("our own key")
}

fn public(key: &SigningKey) -> String {
    key.record()
}

fn check(name: &str) {
    let path = format!("{}/tests/checks/{name}.smtp", env!("CARGO_MANIFEST_DIR"));
    each_store(MIGRATIONS, |test| {
        transcript::check_file(&path, Town::checked(&test.store, Checker::asking(std::sync::Arc::new(zone()))));
        Town::again(&test.store).audit();
    });
}

#[test]
fn forged() {
    check("forged");
}

#[test]
fn unsure() {
    check("unsure");
}

#[test]
fn recipients() {
    check("recipients");
}

#[test]
fn authors() {
    check("authors");
}

#[test]
fn bounces() {
    check("bounces");
}

#[test]
fn reports() {
    check("reports");
}

/// Two domains below an organisation that is not here: by relaxed alignment, what one sends and signs passes for the other.
#[test]
fn sisters_are_not_written_as() {
    let zone = || {
        Fixed::new()
            .with_txt("_dmarc.org.test", "v=DMARC1; p=reject")
            .with_txt("_dmarc.strict.test", "v=DMARC1; p=reject; adkim=s; aspf=s")
            .with_failure("_dmarc.b.mute.test", Error::Temporary("the server is down".into()))
    };
    each_store(MIGRATIONS, |test| {
        let town = Town::checked(&test.store, Checker::asking(std::sync::Arc::new(zone())));
        let mut text = "@domain a.org.test\n@account u@a.org.test\n@domain a.strict.test\n@account u@a.strict.test\n\
                        @domain a.mute.test\n@account u@a.mute.test\n"
            .to_owned();
        let login = |name: &str| {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.encode(format!("\0{name}\0{}", town::PASSWORD))
        };
        for (number, (own, from, reply)) in [
            ("u@a.org.test", "ceo@b.org.test", "550 5.7.1 {*}"),
            ("u@a.org.test", "ceo@org.test", "550 5.7.1 {*}"),
            ("u@a.org.test", "x@elsewhere.test", "250 2.0.0 {*}"),
            ("u@a.strict.test", "ceo@b.strict.test", "250 2.0.0 {*}"),
            ("u@a.mute.test", "ceo@b.mute.test", "451 4.7.0 {*}"),
            ("u@a.org.test", "ceo@b.mute.test", "250 2.0.0 {*}"),
            ("u@a.org.test", "u@a.org.test", "250 2.0.0 {*}"),
        ]
        .into_iter()
        .enumerate()
        {
            let (n, login) = (number + 1, login(own));
            text.push_str(&format!(
                "@open {n} submission\nS{n}: 220 {{*}}\nC{n}: EHLO localhost\nS{n}*: 250 {{*}}\nC{n}: AUTH PLAIN {login}\n\
                 S{n}: 235 {{*}}\nC{n}: MAIL FROM:<{own}>\nC{n}: RCPT TO:<alice@example.test>\nC{n}: DATA\nS{n}: 250 {{*}}\n\
                 S{n}: 250 {{*}}\nS{n}: 354 {{*}}\nC{n}<<END\nFrom: {from}\nDate: x\nMessage-ID: <{n}@x>\n\n.\nEND\n\
                 S{n}: {reply}\n"
            ));
        }
        transcript::check(&text, town);
    });
}

/// A message without its signatures, lines ending in CRLF.
fn message(from: &str, id: &str) -> (String, String) {
    let header =
        format!("From: Somebody <{from}>\r\nTo: alice@example.test\r\nSubject: {id}\r\nMessage-ID: <{id}>\r\n");
    (header, "First line.\r\nLast  line.\r\n".to_owned())
}

/// The header with a signature of this domain.
fn signed(domain: &str, header: &str, body: &str) -> String {
    let signing = dkim::Signing { domain, selector: "s", now: NOW, valid_for: None };
    let field = dkim::sign(&key(), &signing, header.as_bytes(), &digest(body)).expect("it is signed");
    format!("{field}{header}")
}

/// The header with a seal of list.test, which saw this.
fn sealed(saw: &str, header: &str, body: &str) -> String {
    let results = format!("mx.list.test; {saw}");
    let sealing =
        arc::Sealing { domain: "list.test", selector: "s", now: NOW, results: &results, cv: arc::Validation::None };
    let fields = arc::seal(&key(), &sealing, header.as_bytes(), &digest(body)).expect("it is sealed");
    format!("{}{header}", fields.expect("it may be sealed"))
}

fn digest(body: &str) -> postroad_mailauth::body::Digest {
    let mut hashers = Hashers::new();
    assert!(hashers.want(Canonicalization::Relaxed, None));
    hashers.update(body.as_bytes());
    hashers.finish().get(Canonicalization::Relaxed, None).expect("it was asked for")
}

/// A transaction from an address that no domain names.
fn brought(from: &str, header: &str, body: &str, answer: &str) -> String {
    brought_by("198.51.100.9", from, header, body, answer)
}

fn brought_by(address: &str, from: &str, header: &str, body: &str, answer: &str) -> String {
    let text = format!("{header}\r\n{body}").replace("\r\n", "\n");
    format!(
        "@open 1 relay from {address}\nS: 220 {{*}}\nC: EHLO host.test\nS*: 250 {{*}}\nC: MAIL FROM:<{from}>\n\
         C: RCPT TO:<alice@example.test>\nC: DATA\nS: 250 {{*}}\nS: 250 {{*}}\nS: 354 {{*}}\n\
         C<<END\n{text}.\nEND\nS: {answer}\nC: QUIT\nS*: 221 {{*}}\n@closed 1\n@told\n"
    )
}

fn town(store: &postroad_store::Store) -> Town {
    Town::checked(store, Checker::asking(std::sync::Arc::new(zone())))
}

/// What a story says, without what every story says.
fn story(town: &mut Town, id: &str) -> Vec<String> {
    let mut lines = town.stories(id).into_iter().next().expect("there is a story");
    lines.retain(|line| !line.starts_with("connected") && !line.starts_with("from"));
    lines
}

fn results_of(message: &str) -> String {
    let rest = message.split_once("Authentication-Results: ").expect("it is told").1;
    rest.split("\r\nReceived:").next().expect("our Received follows").replace("\r\n\t", " ")
}

#[test]
fn a_signature_passes_where_the_way_does_not() {
    each_store(MIGRATIONS, |test| {
        let (header, body) = message("boss@bank.test", "signed@bank.test");
        let good = signed("bank.test", &header, &body);
        transcript::check(&brought("b@elsewhere.test", &good, &body, "250 2.0.0 {*}"), town(&test.store));
        let mut town = Town::again(&test.store);
        let lines = story(&mut town, "signed@bank.test");
        assert!(
            lines.iter().any(|line| line.starts_with("dkim: pass by bank.test with s (ed25519-sha256")),
            "{lines:?}"
        );
        assert!(lines.iter().any(|line| line.starts_with("dmarc: pass for bank.test, p=reject")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("policy")), "nothing is wrong: {lines:?}");
        let results = results_of(&town.messages("alice@example.test", "INBOX")[0]);
        assert!(results.contains("dkim=pass") && results.contains("header.d=bank.test"), "{results}");
        assert!(results.contains("dmarc=pass") && results.contains("header.from=bank.test"), "{results}");

        // Every octet of the body was hashed, however it was cut, and one more is another message.
        let altered = brought("b@elsewhere.test", &good, "First line.\r\nLast line!\r\n", "550 5.7.26 {*}");
        transcript::check(&altered, self::town_again(&test.store));
    });
}

fn town_again(store: &postroad_store::Store) -> Town {
    Town::again(store).checking(Checker::asking(std::sync::Arc::new(zone())))
}

/// RFC 8617: the list changed the message, so that the signature is broken, but says that it was good when it came.
#[test]
fn a_trusted_sealer_is_believed() {
    each_store(MIGRATIONS, |test| {
        let (header, body) = message("boss@bank.test", "sealed@bank.test");
        let broken = signed("bank.test", &header, "something else\r\n");
        let sealed = sealed("dkim=pass header.d=bank.test; dmarc=pass header.from=bank.test", &broken, &body);
        transcript::check(&brought("b@list.test", &sealed, &body, "550 5.7.26 {*}"), town(&test.store));
        let trusted =
            format!("@trusted arc-sealer list.test\n{}", brought("b@list.test", &sealed, &body, "250 2.0.0 {*}"));
        transcript::check(&trusted, town_again(&test.store));
        let mut town = Town::again(&test.store);
        let lines = story(&mut town, "sealed@bank.test");
        assert!(lines.iter().any(|line| line.starts_with("arc: pass: 1 list.test")), "{lines:?}");
        let believed =
            "policy: delivered for example.test: dmarc-reject, believed: arc=pass as[1].d=list.test as[1].s=s";
        assert!(lines.iter().any(|line| line == believed), "{lines:?}");
        let messages = town.messages("alice@example.test", "INBOX");
        assert!(results_of(&messages[0]).contains("arc=pass"), "{}", messages[0]);
        // The chain is what the next one verifies: not an octet of it is touched.
        assert!(messages[0].contains(&sealed), "{}", messages[0]);
    });
}

/// Thousands of signatures, a thousand authors: an answer, a line in the story, and not many questions.
#[test]
fn hostile_mail_costs_little() {
    let test = &postroad_testkit::stores(MIGRATIONS)[0];
    let (header, body) = message("boss@bank.test", "many@bank.test");
    let signature = "DKIM-Signature: v=1; a=rsa-sha256; d=evil.test; s=NUMBER; h=from; bh=AAAA; b=BBBB\r\n";
    let many: String = (0..4_000).map(|n| signature.replace("NUMBER", &format!("s{n}"))).collect();
    transcript::check(&brought("b@evil.test", &format!("{many}{header}"), &body, "550 5.7.26 {*}"), town(&test.store));
    let authors: String = (0..1_000).map(|n| format!(",\r\n a@d{n}.test")).collect();
    let crowd =
        header.replace("Somebody <boss@bank.test>", &format!("a@bank.test{authors}")).replace("many@", "crowd@");
    let crowd = signed("bank.test", &crowd, &body);
    let start = std::time::Instant::now();
    transcript::check(&brought("b@evil.test", &crowd, &body, "250 2.0.0 {*}"), town_again(&test.store));
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "bounded, whatever comes");
    let mut town = Town::again(&test.store);
    let lines = story(&mut town, "many@bank.test");
    assert!(lines.iter().any(|line| line.contains("more signatures were not looked at")), "{lines:?}");
    assert!(lines.len() < 30, "{lines:?}");
    let lines = story(&mut town, "crowd@bank.test");
    assert!(lines.iter().any(|line| line == "policy: junk for example.test: crowd"), "{lines:?}");
}

/// What is handed over for reports: with the delivery or with the story of a refusal, never of what comes again.
#[test]
fn what_was_found_is_recorded_once() {
    static RECORDED: std::sync::Mutex<Vec<Summary>> = std::sync::Mutex::new(Vec::new());
    fn record(_: &mut WriteTx, summary: &Summary) -> Result<(), postroad_store::Error> {
        RECORDED.lock().expect("no panic").push(summary.clone());
        Ok(())
    }
    let test = &postroad_testkit::stores(MIGRATIONS)[0];
    let checker = || Checker::asking(std::sync::Arc::new(zone())).recording(record);
    let mut conversations = String::new();
    for (address, from, answer) in [
        ("198.51.100.9", "boss@bank.test", "550 5.7.26 {*}"),
        ("192.0.2.25", "boss@bank.test", "250 2.0.0 {*}"),
        ("198.51.100.9", "shop@shop.test", "250 2.0.0 {*}"),
        ("198.51.100.9", "x@slow.test", "451 4.7.24 {*}"),
    ] {
        let (header, body) = message(from, "recorded@bank.test");
        conversations.push_str(&brought_by(address, from, &header, &body, answer));
    }
    transcript::check(&conversations, Town::checked(&test.store, checker()));
    let recorded = RECORDED.lock().expect("no panic");
    let mut found: Vec<String> = recorded
        .iter()
        .map(|one| format!("{} {} {:?} {}", one.source_ip, one.dmarc.domain, one.disposition, one.spf.result))
        .collect();
    found.sort();
    let expect = [
        "192.0.2.25 bank.test Pass pass",
        "198.51.100.9 bank.test Reject fail",
        "198.51.100.9 shop.test Quarantine fail",
    ];
    assert_eq!(found, expect);
    assert!(recorded.iter().all(|one| one.envelope_to == ["example.test"] && one.helo == "host.test"));
}
