//! Which capability is listed where: `capabilities.tsv` is the whole truth, and says why what is missing is.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use postroad_pop3d::{Session, Settings};
use postroad_testkit::{Capabilities, TestStore};

use common::{PASSWORD, World, tls};

/// A client of elsewhere, and one on this machine.
const FAR: [u8; 4] = [203, 0, 113, 9];
const NEAR: [u8; 4] = [127, 0, 0, 1];

/// What CAPA lists after these commands; each mechanism by itself.
fn told(world: &mut World, mut session: Session, before: &[String]) -> BTreeSet<String> {
    for command in before {
        let said;
        (session, said, _) = world.say(session, format!("{command}\r\n").as_bytes());
        assert!(said.lines().last().unwrap().starts_with("+OK"), "{command}: {said}");
    }
    let (_, said, _) = world.say(session, b"CAPA\r\n");
    let lines = said.rsplit_once("+OK ").unwrap().1.lines().skip(1).take_while(|line| *line != ".");
    let mut names = Vec::new();
    for line in lines {
        match line.strip_prefix("SASL ") {
            Some(mechanisms) => names.extend(mechanisms.split(' ').map(|name| format!("SASL {name}"))),
            None => names.push(line.to_owned()),
        }
    }
    let set: BTreeSet<String> = names.iter().cloned().collect();
    assert_eq!(set.len(), names.len(), "something is told twice: {said}");
    set
}

/// A place: its name, the settings, where the client is, whether TLS is on from the first octet, and what leads to it.
type Place = (&'static str, Settings, [u8; 4], bool, Vec<String>);

fn places() -> Vec<Place> {
    let say = |commands: &[&str]| commands.iter().map(|&command| command.to_owned()).collect::<Vec<_>>();
    let login = ["USER alice@example.test".to_owned(), format!("PASS {PASSWORD}")].to_vec();
    let strict = Settings::default();
    let easy = Settings { cleartext_on_loopback: true, ..Settings::default() };
    let after = |first: &[&str]| [say(first), login.clone()].concat();
    vec![
        ("clear", strict.clone(), FAR, false, vec![]),
        ("clear-without-certificate", Settings { starttls: false, ..strict.clone() }, FAR, false, vec![]),
        ("stls", strict.clone(), FAR, false, say(&["STLS"])),
        ("pop3s", strict.clone(), FAR, true, vec![]),
        ("utf8", strict.clone(), FAR, true, say(&["UTF8"])),
        ("near", easy.clone(), NEAR, false, vec![]),
        ("in", strict.clone(), FAR, true, after(&[])),
        ("in-after-stls", strict.clone(), FAR, false, after(&["STLS"])),
        ("in-clear", easy.clone(), NEAR, false, after(&[])),
        ("in-utf8", strict.clone(), FAR, true, after(&["UTF8"])),
        ("apop", strict, FAR, true, vec![]),
        ("interval", Settings { login_interval: Duration::from_secs(60), ..easy.clone() }, NEAR, false, vec![]),
        ("in-interval", Settings { login_interval: Duration::from_secs(60), ..easy.clone() }, NEAR, false, after(&[])),
        ("expiring", Settings { expire_days: Some(30), ..easy.clone() }, NEAR, false, vec![]),
        ("in-expiring", Settings { expire_days: Some(30), ..easy.clone() }, NEAR, false, after(&[])),
        ("at-once", Settings { expire_days: Some(0), ..easy.clone() }, NEAR, false, after(&[])),
        ("exclusive", Settings { exclusive: true, ..easy.clone() }, NEAR, false, after(&[])),
        ("few", Settings { mechanisms: vec![], ..easy }, NEAR, false, vec![]),
    ]
}

#[test]
fn each_capability_is_listed_where_the_table_says() {
    let places = places();
    let names: Vec<&str> = places.iter().map(|place| place.0).collect();
    let table = Capabilities::read(include_str!("capabilities.tsv"), &names);
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    for (place, settings, from, encrypted, before) in places {
        // No policy of one place holds in the next.
        world.now.0 += 3_600_000_000;
        let timestamp = (place == "apop").then(|| "<1896.697170952@pop.example.test>".to_owned());
        let session = world.connect(settings, from, encrypted.then(tls)).with_apop(timestamp);
        table.check(place, &told(&mut world, session, &before));
    }
}
