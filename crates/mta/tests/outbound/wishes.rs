//! What senders wished for, as it goes over the wire: to hosts that know it and to hosts that do not.

use std::time::Duration;

use postroad_dns::Fixed;
use postroad_queue::{DeliverBy, Outgoing};
use postroad_store::Timestamp;
use postroad_testkit::remote::Manner;
use postroad_testkit::{Remote, SharedPort, TestStore};

use crate::world::{MESSAGE, MIGRATIONS, World};

fn zone(port: &SharedPort) -> Fixed {
    (1..=2).fold(Fixed::new(), |zone, number| {
        let (domain, host) = (format!("d{number}.test"), format!("mx.d{number}.test"));
        zone.with_mx(&domain, 10, &host).with_address(&host, port.address(number).ip())
    })
}

fn by(seconds: u64, returns: bool) -> impl Fn(&mut Outgoing) {
    move |outgoing| {
        let at = Timestamp::now().plus(Duration::from_secs(seconds));
        outgoing.deliver_by = Some(DeliverBy { at, returns, trace: false });
    }
}

#[test]
fn what_a_host_knows_is_said_and_what_it_does_not_know_is_told_otherwise() {
    let world = World::new(TestStore::sqlite(MIGRATIONS), zone, |_| {});
    let knows = ["DELIVERBY 60", "MT-PRIORITY", "RRVS", "NO-SOLICITING", "DSN"];
    let knowing = Remote::start(world.port.address(1), Manner::default().offering(&knows));
    let plain = Remote::start(world.port.address(2), Manner::default().offering(&[]));
    let wishing = |without: &'static str| {
        move |outgoing: &mut Outgoing| {
            by(3_600, false)(outgoing);
            outgoing.priority = 3;
            outgoing.solicitation = Some("org.example:X".into());
            outgoing.recipients[0].valid_since = Some(format!("2026-11-22T12:00:00Z;{without}"));
        }
    };
    world.send(MESSAGE.as_bytes(), &["bob@d1.test"], wishing("R"));
    let got = &knowing.wait_for(1)[0];
    assert!(got.mail.contains(" MT-PRIORITY=3 SOLICIT=org.example:X"), "{}", got.mail);
    let seconds = got.mail.split(" BY=").nth(1).and_then(|rest| rest.split(";N").next()).expect("a time");
    assert!((3_500..3_600).contains(&seconds.parse::<i64>().expect("a number")), "less than was given: {}", got.mail);
    assert!(got.rcpt[0].ends_with(" RRVS=2026-11-22T12:00:00Z;R"), "{:?}", got.rcpt);
    assert_eq!((got.field("MT-Priority"), got.field("Require-Recipient-Valid-Since")), (None, None));

    world.send(MESSAGE.as_bytes(), &["bob@d2.test"], wishing("C"));
    let got = &plain.wait_for(1)[0];
    assert!(!got.mail.contains("BY=") && !got.mail.contains("PRIORITY") && !got.rcpt[0].contains("RRVS"), "{got:?}");
    assert_eq!(got.field("MT-Priority").as_deref(), Some("3"));
    assert_eq!(got.field("Require-Recipient-Valid-Since"), None, "nobody knows that it would be looked at");
    assert_eq!(got.sender(), "");

    // What may not go there comes back, each for its reason.
    let refused = world.send(MESSAGE.as_bytes(), &["bob@d2.test"], wishing("R"));
    let story = world.story(&refused, 1);
    assert!(story.iter().any(|line| line.starts_with("failed: bob@d2.test:") && line.contains("RRVS")), "{story:?}");
    for (host, seconds, words) in
        [("d2.test", 600, "does not offer DELIVERBY"), ("d1.test", 30, "sooner than in the 60 seconds")]
    {
        let timed = world.send(MESSAGE.as_bytes(), &[&format!("bob@{host}")], by(seconds, true));
        let story = world.story(&timed, 1);
        assert!(story.iter().any(|line| line.starts_with("failed: ") && line.contains(words)), "{story:?}");
    }
    let timed = world.send(MESSAGE.as_bytes(), &["bob@d1.test"], by(600, true));
    assert!(world.story(&timed, 1).iter().any(|line| line.starts_with("sent: ")));
    // Its time was over before it could be tried.
    let late = world.send(MESSAGE.as_bytes(), &["bob@d1.test"], by(0, true));
    let story = world.story(&late, 1);
    assert!(
        story.iter().any(|line| line.starts_with("failed: ") && line.contains("was to be delivered by")),
        "{story:?}"
    );
    assert_eq!((knowing.ledger().received.len(), plain.ledger().received.len()), (2, 1));
    assert_eq!(world.waiting(), 0);
}
