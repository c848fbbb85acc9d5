//! What becomes of signatures of all kinds.

#[path = "support/craft.rs"]
mod craft;
mod support;

use craft::Craft;
use postroad_mailauth::dkim::{Limits, Outcome, Status};
use postroad_mailauth::{Failure, dmarc};
use support::{NOW, Zone, crlf};

const MESSAGE: &str = "\
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
";

const RSA_1024: &str = "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt\
    IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi\
    tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";

const RSA_TEST: &str = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR\
    iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lx\
    j+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";

/// Signs what the tags say with a key that the zone has at s._domainkey.football.example.com; gives the message and the zone.
fn signed(tags: &str, message: &str) -> (Vec<u8>, Zone) {
    let craft = Craft::new();
    let zone = Zone::default().with("s._domainkey.football.example.com", &craft.record());
    (craft.sign(tags, message), zone)
}

/// Ordinary tags, with some more.
fn tags(more: &str) -> String {
    format!(
        "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=football.example.com; s=s; {more} \
         h=from:to:subject:date:message-id; bh={{bh}}; b={{b}}"
    )
}

fn only(outcomes: Vec<Outcome>) -> Outcome {
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    outcomes.into_iter().next().expect("one")
}

#[test]
fn the_example_of_rfc_6376() {
    let signature = "\
DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
      4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
";
    // The text of the RFC was justified on its way into print: folds have six spaces, sentences are one space apart.
    let message = crlf(&format!("{signature}{}", MESSAGE.replace("game.  Are", "game. Are")));
    let mut zone = Zone::default().with("brisbane._domainkey.example.com", RSA_1024);
    let outcome = only(zone.dkim(&message));
    assert_eq!(outcome.status, Status::Pass, "{}", outcome.why);
    assert_eq!(zone.asked, ["brisbane._domainkey.example.com"]);
    assert_eq!((outcome.domain.as_str(), outcome.identity.as_str()), ("example.com", "joe@football.example.com"));
    assert_eq!((outcome.algorithm.as_str(), outcome.key_bits), ("rsa-sha256", Some(1024)));
    assert_eq!(outcome.b, "AuUoFEfD");
}

#[test]
fn the_examples_of_rfc_8463() {
    let signatures = "\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
";
    let mut zone = Zone::default()
        .with(
            "brisbane._domainkey.football.example.com",
            "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        )
        .with("test._domainkey.football.example.com", RSA_TEST);
    let message = format!("{signatures}{MESSAGE}");
    // Also as it stands in a file, with bare line feeds.
    for message in [crlf(&message), message.clone().into_bytes()] {
        let outcomes = zone.dkim(&message);
        let statuses: Vec<_> = outcomes.iter().map(|o| (o.status, o.key_bits, o.algorithm.as_str())).collect();
        assert_eq!(
            statuses,
            [(Status::Pass, Some(256), "ed25519-sha256"), (Status::Pass, Some(1024), "rsa-sha256")],
            "{outcomes:?}"
        );
    }
    let changed = crlf(&message.replace("hungry", "thirsty"));
    zone.asked.clear();
    assert!(zone.dkim(&changed).iter().all(|o| o.status == Status::Fail && o.why.contains("body was changed")));
    assert!(zone.asked.is_empty(), "no key is needed for a body that was changed");
    let changed = crlf(&message.replace("dinner", "lunch"));
    assert!(zone.dkim(&changed).iter().all(|o| o.status == Status::Fail && o.why.contains("does not match")));
}

#[test]
fn what_the_tags_lead_to() {
    let past = NOW - 10;
    let old = NOW - 100;
    let future = NOW + 3 * 86_400;
    let table: &[(&str, Status, &str)] = &[
        ("", Status::Pass, ""),
        ("q=dns/txt;", Status::Pass, ""),
        ("q=ldap:dns / txt;", Status::Pass, ""),
        ("q=ldap;", Status::Neutral, "asked for"),
        ("z=From:joe|To:suzie;", Status::Pass, ""),
        ("i=@football.example.com;", Status::Pass, ""),
        ("i=joe=20sixpack@Football.example.com;", Status::Pass, ""),
        ("i=joe@mail.football.example.com;", Status::Pass, ""),
        ("i=joe@example.com;", Status::PermError, "i= is not"),
        ("i=joe@xfootball.example.com;", Status::PermError, "i= is not"),
        ("i=joe;", Status::PermError, "i= is not"),
        ("t=1;", Status::Pass, ""),
        (&format!("t={future};"), Status::Policy, "future"),
        ("t=x;", Status::PermError, "t= is no time"),
        ("x=99999999999999999999999999;", Status::Pass, ""),
        (&format!("x={past};"), Status::Fail, "expired"),
        (&format!("t={past}; x={old};"), Status::PermError, "expires before"),
        ("unknown=tag;", Status::Pass, ""),
        ("d=other.example;", Status::PermError, "twice"),
        (";", Status::PermError, "empty tag"),
    ];
    for (more, status, why) in table {
        let (message, mut zone) = signed(&tags(more), MESSAGE);
        let outcome = only(zone.dkim(&message));
        assert_eq!(outcome.status, *status, "{more}: {}", outcome.why);
        assert!(outcome.why.contains(why), "{more}: {}", outcome.why);
    }
}

#[test]
fn signatures_that_are_none() {
    let replace = |from: &str, to: &str| tags("").replace(from, to);
    let table = [
        (replace("v=1; ", ""), Status::PermError, "no v="),
        (replace("v=1", "v=2"), Status::Neutral, "version"),
        (replace("a=ed25519-sha256", "a=rsa-sha1"), Status::Policy, "rsa-sha1"),
        (replace("a=ed25519-sha256", "a=rsa-sha512"), Status::Neutral, "not known"),
        (replace("a=ed25519-sha256", "a=rsa-sha256"), Status::PermError, "another kind"),
        (replace("a=ed25519-sha256; ", ""), Status::PermError, "no a="),
        (replace("c=relaxed/relaxed", "c=relaxed/odd"), Status::PermError, "c= is not known"),
        (replace("d=football.example.com; ", ""), Status::PermError, "no d="),
        (replace("d=football.example.com", "d="), Status::PermError, "d= is empty"),
        (replace("d=football.example.com", "d=foot ball"), Status::PermError, "d= can be no name"),
        (replace("d=football.example.com", "d=unknown.example"), Status::PermError, "no key is published"),
        (replace("s=s; ", ""), Status::PermError, "no s="),
        (replace("s=s;", "s=a..b;"), Status::PermError, "s= can be no name"),
        (replace("h=from:to", "h=to"), Status::PermError, "From is not signed"),
        (replace("h=from:to:subject:date:message-id; ", ""), Status::PermError, "no h="),
        (replace("h=from", "h=from x"), Status::PermError, "list of names"),
        (replace("bh={bh}; ", ""), Status::PermError, "no bh="),
        (replace("bh={bh}", "bh=!!"), Status::PermError, "bh= is no base64"),
        (replace("bh={bh}", "bh=YWJj"), Status::Fail, "body was changed"),
        (replace("b={b}", "b="), Status::PermError, "b= is empty"),
        (replace("b={b}", "b=YWJj"), Status::Fail, "does not match"),
        ("some words".to_owned(), Status::PermError, "without ="),
        (String::new(), Status::PermError, "no v="),
    ];
    for (tags, status, why) in table {
        let (message, mut zone) = signed(&tags, MESSAGE);
        let outcome = only(zone.dkim(&message));
        assert_eq!(outcome.status, status, "{tags}: {}", outcome.why);
        assert!(outcome.why.contains(why), "{tags}: {}", outcome.why);
    }
    assert_eq!(Zone::default().dkim(&crlf(MESSAGE)), []);
    assert_eq!(Zone::default().dkim(b""), []);
}

#[test]
fn every_form_of_header_and_body() {
    for form in ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed", "relaxed", "simple"] {
        let odd = "From:  joe@football.example.com\nto :\n\ta@example,\n  b@example \nSubject:\nDate: x\nMessage-ID: <a@b>\n\n a  b\t \n\n\tc\n \n\n";
        let tags = tags("").replace("c=relaxed/relaxed", &format!("c={form}"));
        let (message, mut zone) = signed(&tags, odd);
        assert_eq!(only(zone.dkim(&message)).status, Status::Pass, "{form}");
        let lines = String::from_utf8(message).expect("text").replace("\r\n", "\n");
        assert_eq!(only(zone.dkim(lines.as_bytes())).status, Status::Pass, "{form} with bare line feeds");
    }
    // No c=: simple for both.
    let (message, mut zone) = signed(&tags("").replace("c=relaxed/relaxed; ", ""), MESSAGE);
    assert_eq!(only(zone.dkim(&message)).status, Status::Pass);
    // No body, not even a blank line.
    for form in ["simple/simple", "relaxed/relaxed"] {
        let tags = tags("").replace("c=relaxed/relaxed", &format!("c={form}"));
        let (message, mut zone) = signed(&tags, "From: a@football.example.com\n\n");
        assert_eq!(only(zone.dkim(&message)).status, Status::Pass, "{form}");
        let header = message.strip_suffix(b"\r\n").expect("a blank line");
        assert_eq!(only(zone.dkim(header)).status, Status::Pass, "{form} without a blank line");
    }
}

#[test]
fn fields_are_taken_from_the_bottom_and_absent_ones_stay_absent() {
    let tags = tags("").replace("h=from:to:subject", "h=received:from:received:cc:received:to:subject:reply-to");
    let routed = format!("Received: three\nReceived: two\nReceived: one\n{MESSAGE}");
    let (message, mut zone) = signed(&tags, &routed);
    assert_eq!(only(zone.dkim(&message)).status, Status::Pass);
    let put = |at: &str, line: &str| String::from_utf8_lossy(&message).replace(at, &format!("{line}{at}")).into_bytes();
    // A fourth one that stands above is not signed; one that stands below shifts all others.
    assert_eq!(only(zone.dkim(&put("Received: three", "Received: four\r\n"))).status, Status::Pass);
    assert_eq!(only(zone.dkim(&put("From: Joe", "Received: zero\r\n"))).status, Status::Fail);
    // Cc and Reply-To are signed as absent.
    assert_eq!(only(zone.dkim(&put("From: Joe", "Reply-To: evil@example\r\n"))).status, Status::Fail);
    assert_eq!(only(zone.dkim(&put("Received: three", "Cc: evil@example\r\n"))).status, Status::Fail);
}

#[test]
fn a_second_from_beside_the_signed_one_is_not_believed() {
    let (message, mut zone) = signed(&tags(""), MESSAGE);
    let text = String::from_utf8_lossy(&message).into_owned();
    for line in ["From: CEO <ceo@bank.example>", "subject: Pay at once", "To: everybody@example", "Date: today"] {
        let above = format!("{line}\r\n{text}").into_bytes();
        let outcome = only(zone.dkim(&above));
        assert_eq!(outcome.status, Status::Policy, "{line}: {}", outcome.why);
        let between = text.replace("Message-ID:", &format!("{line}\r\nMessage-ID:")).into_bytes();
        assert_ne!(only(zone.dkim(&between)).status, Status::Pass, "{line}");
    }
    // Where all of them are signed, the sender meant it so.
    let twice = tags("").replace("h=from:to", "h=from:to:to");
    let (message, mut zone) = signed(&twice, &format!("To: second@example\n{MESSAGE}"));
    assert_eq!(only(zone.dkim(&message)).status, Status::Pass);
}

#[test]
fn a_length_is_honoured_bounded_and_told() {
    let body = MESSAGE.split_once("\n\n").expect("a body").1;
    let whole = craft::canonical_body(body, "relaxed").len();
    let append = |message: &[u8], more: &str| [message, more.as_bytes()].concat();

    let (message, mut zone) = signed(&tags(&format!("l={whole};")), MESSAGE);
    let outcome = only(zone.dkim(&message));
    assert_eq!((outcome.status, outcome.unsigned_octets, outcome.why.as_str()), (Status::Pass, 0, ""));
    let outcome = only(zone.dkim(&append(&message, "-- \r\nthe list\r\n")));
    assert_eq!((outcome.status, outcome.unsigned_octets), (Status::Pass, 14));
    assert!(outcome.why.contains("14 octets"), "{}", outcome.why);
    // RFC 6376 §8.2: it holds, and still nobody vouches for what was added.
    assert_eq!((outcome.vouches(), outcome.identifier().outcome), (false, dmarc::Outcome::Other));
    let outcome = only(zone.dkim(&append(&message, "\r\n \t\r\n x")));
    assert!(!outcome.vouches(), "{outcome:?}");
    let (simple, mut there) =
        signed(&tags(&format!("l={whole};")).replace("c=relaxed/relaxed", "c=relaxed/simple"), MESSAGE);
    let outcome = only(there.dkim(&append(&simple, " \t \r\n\r\n \r\n")));
    assert_eq!((outcome.status, outcome.vouches()), (Status::Pass, true), "{outcome:?}");
    assert!(outcome.why.contains("of white space"), "{}", outcome.why);
    // More than a footer is another message.
    let outcome = only(zone.dkim(&append(&message, &"spam\r\n".repeat(20_000))));
    assert_eq!(outcome.status, Status::Policy);
    let limits = Limits { unsigned_octets: 0, ..Limits::default() };
    assert_eq!(only(zone.dkim_within(&append(&message, "x\r\n"), &limits)).status, Status::Policy);

    // A signature of no part of the body says nothing about it.
    let (message, mut zone) = signed(&tags("l=0;"), MESSAGE);
    assert_eq!(only(zone.dkim(&message)).status, Status::Policy);
    // More than there is.
    let (message, mut zone) = signed(&tags(&format!("l={};", whole + 1)), MESSAGE);
    assert_eq!(only(zone.dkim(&message)).status, Status::Fail);
    for bad in ["l=;", "l=-1;", "l=1e3;"] {
        let (message, mut zone) = signed(&tags(bad), MESSAGE);
        assert_eq!(only(zone.dkim(&message)).status, Status::PermError, "{bad}");
    }
    let (message, mut zone) = signed(&tags(&format!("l={};", "9".repeat(76))), MESSAGE);
    assert_eq!(only(zone.dkim(&message)).status, Status::Fail);
}

/// Who may add to the body and say of which kind it is makes any text of it.
#[test]
fn a_length_without_the_kind_of_text_is_not_believed() {
    let body = MESSAGE.split_once("\n\n").expect("a body").1;
    let length = tags(&format!("l={};", craft::canonical_body(body, "relaxed").len()));
    let html = format!("Content-Type: text/html\n{MESSAGE}");
    let append = |message: &[u8]| [message, b"<style>*{display:none}</style>\r\n"].concat();
    let (message, mut zone) = signed(&length, &html);
    assert_eq!(only(zone.dkim(&message)).status, Status::Pass);
    let outcome = only(zone.dkim(&append(&message)));
    assert_eq!((outcome.status, outcome.unsigned_octets), (Status::Policy, 32), "{}", outcome.why);
    let (message, mut zone) = signed(&length.replace("h=from:", "h=content-type:from:"), &html);
    assert_eq!(only(zone.dkim(&append(&message))).status, Status::Pass);
    // Where there was none, one that was put there is not signed.
    let (message, mut zone) = signed(&length, MESSAGE);
    let put = [b"Content-Type: multipart/mixed; boundary=x\r\n".as_slice(), message.as_slice()].concat();
    assert_eq!(only(zone.dkim(&append(&put))).status, Status::Policy);
    // And one beside the signed one is never believed.
    let (message, mut zone) = signed(&tags("").replace("h=from:", "h=content-type:from:"), &html);
    let put = [b"Content-Type: multipart/mixed; boundary=x\r\n".as_slice(), message.as_slice()].concat();
    assert_eq!(only(zone.dkim(&put)).status, Status::Policy);
}

#[test]
fn what_the_key_leads_to() {
    let craft = Craft::new();
    let public = craft.public();
    let spaced: String = public.chars().flat_map(|c| [c, ' ']).collect();
    let name = "s._domainkey.football.example.com";
    let ours = craft.record();
    let other = Craft::new().record();
    let text = |text: &str| Zone::default().with(name, text);
    let table: Vec<(Zone, Status, &str, bool)> = vec![
        (text(&ours), Status::Pass, "", false),
        (text(&format!(" v = DKIM1 ;; k=ed25519 ; p = {spaced} ;; ")), Status::Pass, "", false),
        (text(&format!("k=ed25519; p={public}")), Status::Pass, "", false),
        (text(&format!("k=ed25519; t=y; p={public}")), Status::Pass, "", true),
        (text(&format!("k=ed25519; t=s; p={public}")), Status::Pass, "", false),
        (text(&format!("k=ed25519; g=nobody; p={public}")), Status::Pass, "", false),
        (text("v=DKIM1; k=ed25519; p="), Status::PermError, "revoked", false),
        (text("v=DKIM1; k=ed25519; p=YWJj"), Status::PermError, "damaged", false),
        (text("v=DKIM1; p=YWJj"), Status::PermError, "damaged", false),
        (text(RSA_1024), Status::PermError, "another kind", false),
        (text("v=spf1 -all"), Status::PermError, "not of DKIM1", false),
        (text(&other), Status::Fail, "another key", false),
        (Zone::default(), Status::PermError, "no key is published", false),
        (Zone::default().failing(name, Failure::NoData), Status::PermError, "no key is published", false),
        (Zone::default().failing(name, Failure::BadName), Status::PermError, "name", false),
        (
            Zone::default().failing(name, Failure::Temporary("SERVFAIL".to_owned())),
            Status::TempError,
            "SERVFAIL",
            false,
        ),
        // Several records: any of them may be the one.
        (text("v=spf1 -all").with(name, &other).with(name, &ours), Status::Pass, "", false),
        (text(&"x".repeat(1 << 20)), Status::PermError, "longer than", false),
        (text(&"a=b;".repeat(1_000)), Status::PermError, "twice", false),
    ];
    for (mut zone, status, why, testing) in table {
        let outcome = only(zone.dkim(&craft.sign(&tags(""), MESSAGE)));
        assert_eq!((outcome.status, outcome.testing), (status, testing), "{}", outcome.why);
        assert!(outcome.why.contains(why), "{} instead of {why}", outcome.why);
    }
    // t=s: no subdomains.
    let mut zone = text(&format!("k=ed25519; t=s; p={public}"));
    let outcome = only(zone.dkim(&craft.sign(&tags("i=joe@mail.football.example.com;"), MESSAGE)));
    assert_eq!(outcome.status, Status::PermError);
    assert!(outcome.why.contains("t=s"), "{}", outcome.why);
}

#[test]
fn names_in_other_scripts_are_asked_for_in_a_labels() {
    let craft = Craft::new();
    let mut zone = Zone::default().with("s._domainkey.xn--bcher-kva.example", &craft.record());
    let tags = tags("i=jörg@bücher.example;").replace("d=football.example.com", "d=Bücher.example");
    let outcome = only(zone.dkim(&craft.sign(&tags, MESSAGE)));
    assert_eq!((outcome.status, outcome.domain.as_str()), (Status::Pass, "xn--bcher-kva.example"), "{}", outcome.why);
    assert_eq!(outcome.identity, "jörg@bücher.example");
}

#[test]
fn of_thousands_of_signatures_a_few_are_looked_at() {
    let craft = Craft::new();
    let mut zone = Zone::default().with("s._domainkey.football.example.com", &craft.record());
    let signed = craft.sign(&tags(""), MESSAGE);
    let mut many = Vec::new();
    for number in 0..3_000 {
        many.extend_from_slice(
            format!("DKIM-Signature: {}\r\n", tags("").replace("s=s", &format!("s=s{number}"))).as_bytes(),
        );
    }
    let limit = Limits::default().signatures;
    // The good one on top is seen, the one below the others is not.
    let above = [&signed[..signed.len() - crlf(MESSAGE).len()], &many, &crlf(MESSAGE)].concat();
    let outcomes = zone.dkim(&above);
    assert_eq!((outcomes.len(), outcomes[0].status), (limit, Status::Pass));
    assert!(zone.asked.len() <= limit, "{}", zone.asked.len());
    assert_eq!(zone.steps, 1, "all keys are asked for at once");
    let below = [&many, &*signed].concat();
    assert!(zone.dkim(&below).iter().all(|o| o.status != Status::Pass));
    let mut hashers = postroad_mailauth::body::Hashers::new();
    let verifier = postroad_mailauth::dkim::Verifier::new(&below, NOW, &Limits::default(), &mut hashers);
    assert_eq!(verifier.ignored(), 3_001 - limit);
}

#[test]
fn the_same_key_is_asked_for_once() {
    let craft = Craft::new();
    let mut zone = Zone::default().with("s._domainkey.football.example.com", &craft.record());
    let once = craft.sign(&tags(""), MESSAGE);
    let signature = once[..once.len() - crlf(MESSAGE).len()].to_vec();
    let outcomes = zone.dkim(&[&*signature, &signature, &signature, &once].concat());
    assert_eq!(outcomes.iter().map(|o| o.status).collect::<Vec<_>>(), [Status::Pass; 4]);
    assert_eq!(zone.asked.len(), 1);
}

#[test]
fn bombs_get_a_verdict() {
    let (message, mut zone) = signed(&tags(""), MESSAGE);
    let field = |text: String| [format!("DKIM-Signature: {text}\r\n").as_bytes(), &crlf(MESSAGE)].concat();
    let table = [
        // Tags, names, a long field, many lengths.
        (field((0..200).map(|i| format!("t{i}=x; ")).collect()), Status::PermError, "64 tags"),
        (
            field(
                tags("")
                    .replace("h=from", &format!("h=from{}", ":x".repeat(2_000)))
                    .replace("{b}", "YWJj")
                    .replace("{bh}", "YWJj"),
            ),
            Status::Policy,
            "1000 names",
        ),
        (field(tags(&format!("z={};", "x".repeat(64 << 10)))), Status::Policy, "longer than"),
        ([&b"X: y\r\n".repeat(6_000), &*message].concat(), Status::Policy, "more than 5000 fields"),
    ];
    for (message, status, why) in table {
        let outcome = only(zone.dkim(&message));
        assert_eq!(outcome.status, status, "{}", outcome.why);
        assert!(outcome.why.contains(why), "{}", outcome.why);
    }
    // Each signature with a length of its own wants a hash of its own.
    let mut many = Vec::new();
    for length in 1..=10 {
        many.extend_from_slice(
            format!(
                "DKIM-Signature: {}\r\n",
                tags(&format!("l={length};")).replace("{bh}", "YWJj").replace("{b}", "YWJj")
            )
            .as_bytes(),
        );
    }
    let outcomes = zone.dkim(&[many, crlf(MESSAGE)].concat());
    let refused = outcomes.iter().filter(|o| o.why.contains("too many hashes")).count();
    assert_eq!(refused, 10 - postroad_mailauth::body::HASHERS);
    // A megabyte of header under each of ten signatures.
    let big = format!("X-Big: {}\r\n", "x".repeat(1 << 20));
    let tags = tags("").replace("h=from", "h=x-big:from").replace("{bh}", "YWJj").replace("{b}", "YWJj");
    let many = [format!("DKIM-Signature: {tags}\r\n").repeat(10).as_bytes(), big.as_bytes(), &crlf(MESSAGE)].concat();
    let refused = zone.dkim(&many).iter().filter(|o| o.why.contains("more header than")).count();
    assert!(refused >= 8, "{refused}");
}

#[test]
fn hostile_values_show_no_controls() {
    let mut zone = Zone::default();
    let bad = "DKIM-Signature: v=1; a=\u{1b}[2Jrsa; d=x\u{7}y; s=z; i=a=1B=0Ab@x; b=\u{1}\r\n";
    let outcomes = zone.dkim(format!("{bad}{MESSAGE}").as_bytes());
    let bad = "DKIM-Signature: v=1; a=odd; d=x; s=z; i=a=1B=0D=0Ab@x; b=abc\r\n";
    for outcome in outcomes.into_iter().chain(zone.dkim(format!("{bad}{MESSAGE}").as_bytes())) {
        let all = format!(
            "{}{}{}{}{}{}",
            outcome.domain, outcome.selector, outcome.identity, outcome.algorithm, outcome.b, outcome.why
        );
        assert!(!all.chars().any(char::is_control), "{all:?}");
    }
}
