//! Chains that we seal, and what breaks them.

#[path = "support/craft.rs"]
mod craft;
mod support;

use craft::Craft;
use postroad_mailauth::Failure;
use postroad_mailauth::arc::{self, INSTANCES, Sealing, Validation};
use postroad_mailauth::dkim::Status;
use postroad_mailauth::key::SigningKey;
use support::{NOW, Zone, crlf, relaxed, split};

const MESSAGE: &str = "\
DKIM-Signature: v=1; d=example.org; b=broken
From: a@example.org
To: b@example.net
Subject: hello
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <1@example.org>

Dear all
";

fn seal(key: &SigningKey, domain: &str, cv: Validation, message: &[u8]) -> Option<Vec<u8>> {
    let (header, body) = split(message);
    let results = "mx.example.net;\r\n\tdkim=pass header.d=example.org;\r\n\tspf=pass\r\n";
    let sealing = Sealing { domain, selector: "s1", now: NOW, results, cv };
    let fields = arc::seal(key, &sealing, header, &relaxed(body)).expect("sealed")?;
    for line in fields.split("\r\n") {
        assert!(line.len() <= 78, "{line}");
    }
    Some([fields.as_bytes(), message].concat())
}

/// A chain of so many hops, each with a key of its own, and the zone with all keys.
fn chain(hops: u8) -> (Vec<u8>, Zone) {
    let mut message = crlf(MESSAGE);
    let mut zone = Zone::default();
    for hop in 1..=hops {
        let key = if hop == 2 { SigningKey::rsa() } else { SigningKey::ed25519() }.expect("a key");
        let domain = format!("hop{hop}.example");
        zone = zone.with(&format!("s1._domainkey.{domain}"), &key.record());
        let cv = if hop == 1 { Validation::None } else { Validation::Pass };
        message = seal(&key, &domain, cv, &message).expect("sealed");
    }
    (message, zone)
}

#[test]
fn a_chain_of_ours_holds() {
    let (message, mut zone) = chain(3);
    let verdict = zone.arc(&message);
    assert_eq!(
        (verdict.cv, verdict.oldest_pass, verdict.temporary),
        (Validation::Pass, Some(0), false),
        "{}",
        verdict.why
    );
    let hops: Vec<_> =
        verdict.sets.iter().map(|set| (set.instance, set.domain.as_str(), set.signer.as_str(), set.cv)).collect();
    assert_eq!(
        hops,
        [
            (1, "hop1.example", "hop1.example", Validation::None),
            (2, "hop2.example", "hop2.example", Validation::Pass),
            (3, "hop3.example", "hop3.example", Validation::Pass)
        ]
    );
    assert!(verdict.sets.iter().all(|set| set.signature == Some(Status::Pass)));
    assert!(verdict.sets.iter().all(|set| set.results.starts_with(b"mx.example.net;")), "{verdict:?}");
    // Each key once, those of the newest hop first.
    assert_eq!((zone.asked.len(), zone.steps), (3, 2));
    assert_eq!(zone.asked[0], "s1._domainkey.hop3.example");
    assert_eq!(zone.arc(&crlf(MESSAGE)).cv, Validation::None);
}

/// A chain is believed instead of the author: words that somebody put behind what its sealer covered (`l=`) are nobody's.
#[test]
fn words_behind_what_a_seal_covers_break_it() {
    let (key, body) = (Craft::new(), MESSAGE.split_once("\n\n").expect("a body").1);
    let length = craft::canonical_body(body, "relaxed").len();
    let tags = format!(
        "i=1; a=ed25519-sha256; c=relaxed/relaxed; d=hop1.example; s=s1; h=from:content-type; l={length}; bh={{bh}}; b={{b}}"
    );
    let signed = String::from_utf8(key.sign_as("ARC-Message-Signature", &tags, MESSAGE)).expect("ASCII");
    let results = "ARC-Authentication-Results: i=1; mx.hop1.example; dmarc=pass header.from=example.org";
    let own = signed.split("\r\n").next().expect("a field");
    let seal = key.seal("i=1; a=ed25519-sha256; cv=none; d=hop1.example; s=s1; b={b}", &[results, own]);
    let sealed = format!("{seal}\r\n{results}\r\n{signed}");
    let mut zone = Zone::default().with("s1._domainkey.hop1.example", &key.record());
    for (more, expected) in [
        ("", Validation::Pass),
        ("\r\n\r\n", Validation::Pass),
        ("click here\r\n", Validation::Fail),
        ("\r\n\r\n.\r\n", Validation::Fail),
    ] {
        let verdict = zone.arc(format!("{sealed}{more}").as_bytes());
        assert_eq!(verdict.cv, expected, "{more:?}: {}", verdict.why);
    }
}

#[test]
fn a_body_changed_by_a_hop_is_its_own_word() {
    let (message, zone) = chain(2);
    let text = String::from_utf8(message).expect("ASCII").replace("Dear all", "Dear all, says the list");
    let mut other = zone.clone();
    assert_eq!(other.arc(text.as_bytes()).cv, Validation::Fail);
    // The next hop that looked before it changed seals over what it sends.
    let key = SigningKey::ed25519().expect("a key");
    let sealed = seal(&key, "hop3.example", Validation::Pass, text.as_bytes()).expect("sealed");
    let verdict = zone.with("s1._domainkey.hop3.example", &key.record()).arc(&sealed);
    assert_eq!((verdict.cv, verdict.oldest_pass), (Validation::Pass, Some(3)), "{}", verdict.why);
    let signatures: Vec<_> = verdict.sets.iter().map(|set| set.signature).collect();
    assert_eq!(signatures, [Some(Status::Fail), Some(Status::Fail), Some(Status::Pass)]);
}

#[test]
fn whatever_is_changed_breaks_a_chain() {
    let (message, zone) = chain(3);
    let text = String::from_utf8(message).expect("ASCII");
    let table = [
        ("Subject: hello", "Subject: hallo"),
        ("Subject: hello", "Subject: hello\r\nSubject: again"),
        ("i=1; mx.example.net;\r\n dkim=pass", "i=1; mx.example.net;\r\n dkim=fail"),
        ("cv=none", "cv=pass"),
        ("cv=pass; d=hop3", "cv=fail; d=hop3"),
        ("cv=pass; d=hop2", "cv=none; d=hop2"),
        ("d=hop1.example", "d=hop2.example"),
        ("ARC-Authentication-Results: i=2", "ARC-Authentication-Results: i=3"),
        ("ARC-Authentication-Results: i=2", "ARC-Authentication-Results: i=51"),
        ("ARC-Authentication-Results: i=2", "X-Results: i=2"),
        ("ARC-Seal: ", "ARC-Seal: h=from; "),
    ];
    for (from, to) in table {
        assert!(text.contains(from), "{from}");
        let verdict = zone.clone().arc(text.replacen(from, to, 1).as_bytes());
        assert_eq!(verdict.cv, Validation::Fail, "{from} -> {to}");
        assert!(!verdict.why.is_empty());
    }
    // The newest hop taken away: what is left held for the hop before.
    let at = text.match_indices("ARC-Seal:").nth(1).expect("a second seal").0;
    assert_eq!(zone.clone().arc(&text.as_bytes()[at..]).cv, Validation::Pass);
    // A hop in the middle taken away.
    let next = text.match_indices("ARC-Seal:").nth(2).expect("a third seal").0;
    assert_eq!(zone.clone().arc((text[..at].to_owned() + &text[next..]).as_bytes()).cv, Validation::Fail);
}

#[test]
fn a_key_that_does_not_come_is_temporary() {
    let (message, zone) = chain(2);
    for name in ["s1._domainkey.hop1.example", "s1._domainkey.hop2.example"] {
        let verdict = zone.clone().failing(name, Failure::Temporary("time-out".to_owned())).arc(&message);
        assert_eq!((verdict.cv, verdict.temporary), (Validation::Fail, true), "{}", verdict.why);
        let verdict = zone.clone().failing(name, Failure::NoSuchName).arc(&message);
        assert_eq!((verdict.cv, verdict.temporary), (Validation::Fail, false), "{}", verdict.why);
    }
}

#[test]
fn a_broken_chain_is_sealed_once_as_broken() {
    let (message, zone) = chain(2);
    let broken = String::from_utf8(message).expect("ASCII").replace("Subject: hello", "Subject: changed");
    let key = SigningKey::ed25519().expect("a key");
    let sealed = seal(&key, "hop3.example", Validation::Fail, broken.as_bytes()).expect("sealed");
    let text = String::from_utf8_lossy(&sealed).into_owned();
    assert!(text.contains("cv=fail") && text.contains("i=3"), "{text}");
    let verdict = zone.with("s1._domainkey.hop3.example", &key.record()).arc(&sealed);
    assert_eq!(verdict.cv, Validation::Fail);
    assert_eq!(seal(&key, "hop4.example", Validation::Fail, &sealed), None);
    // Whoever says "pass" of a chain that cannot even be put together is not believed.
    let torn = text.replace("ARC-Message-Signature", "X-Signature").replace("cv=fail", "cv=pass");
    let sealed = seal(&key, "hop4.example", Validation::Pass, torn.as_bytes()).expect("sealed");
    assert!(String::from_utf8_lossy(&sealed).contains("cv=fail"));
}

#[test]
fn a_chain_has_fifty_hops_at_most() {
    let key = SigningKey::ed25519().expect("a key");
    let mut zone = Zone::default().with("s1._domainkey.hop.example", &key.record());
    let mut message = crlf(MESSAGE);
    for hop in 1..=INSTANCES {
        let cv = if hop == 1 { Validation::None } else { Validation::Pass };
        message = seal(&key, "hop.example", cv, &message).expect("sealed");
    }
    let verdict = zone.arc(&message);
    assert_eq!((verdict.cv, verdict.sets.len()), (Validation::Pass, 50), "{}", verdict.why);
    assert_eq!(zone.asked.len(), 1, "one key for all");
    assert_eq!(seal(&key, "hop.example", Validation::Pass, &message), None);
    let more = [b"ARC-Seal: i=51; a=rsa-sha256; b=YWJj; cv=pass; d=a; s=b\r\n", &*message].concat();
    assert_eq!(zone.arc(&more).cv, Validation::Fail);
}

#[test]
fn results_cannot_begin_fields_of_their_own() {
    let key = SigningKey::ed25519().expect("a key");
    let (header, body) = (crlf("From: a@example.org\n\n"), relaxed(b""));
    let results = "mx.example;\r\nBcc: evil@example\r\n\r\nbody";
    let sealing = Sealing { domain: "a.example", selector: "s", now: NOW, results, cv: Validation::None };
    let fields = arc::seal(&key, &sealing, &header, &body).expect("sealed").expect("sealed");
    let names: Vec<_> = postroad_message::header::fields(fields.as_bytes())
        .map(|f| String::from_utf8_lossy(f.name).into_owned())
        .collect();
    assert_eq!(names, ["ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"]);
}
