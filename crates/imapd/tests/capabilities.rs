//! Which capability is advertised where: `capabilities.tsv` is the whole truth, and says why what is missing is.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use postroad_imapd::{MessageLimit, Session, Settings};
use postroad_testkit::{Capabilities, TestStore};

use common::World;

/// What CAPABILITY answers, after the commands that lead to the place.
fn told(world: &mut World, session: Session, before: &[&str]) -> BTreeSet<String> {
    let mut session = session;
    for command in before {
        let said;
        (session, said) = world.say(session, format!("x {command}\r\n").as_bytes());
        assert!(said.contains("x OK"), "{command}: {said}");
    }
    let (_, said) = world.say(session, b"c CAPABILITY\r\n");
    let line = said.lines().find_map(|line| line.strip_prefix("* CAPABILITY ")).unwrap();
    let names: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let set: BTreeSet<String> = names.iter().cloned().collect();
    assert_eq!(set.len(), names.len(), "something is told twice: {line}");
    set
}

#[test]
fn each_capability_is_advertised_where_the_table_says() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    world.switch_labels_on("carol");
    let login = |name: &str| format!("LOGIN {name}@example.test wonderland");
    let (alice, bob, carol) = (login("alice"), login("bob"), login("carol"));
    // Not by loopback's leave: clear text is clear text.
    let strict = Settings::default();
    let easy = Settings { cleartext_on_loopback: true, ..Settings::default() };
    let administrators = vec!["bob@example.test".to_owned()];
    let places: Vec<(&str, Settings, bool, Vec<&str>)> = vec![
        ("clear", strict.clone(), false, vec![]),
        ("clear-with-admin", Settings { administrators: administrators.clone(), ..strict.clone() }, false, vec![]),
        ("tls", strict.clone(), true, vec![]),
        ("in", strict, true, vec![&alice]),
        ("admin", Settings { administrators, ..easy.clone() }, false, vec![&bob]),
        ("labels", easy.clone(), false, vec![&carol]),
        ("squeezed", easy.clone(), false, vec![&alice, "COMPRESS DEFLATE"]),
        ("rev2", Settings { rev2: true, ..easy.clone() }, false, vec![&alice]),
        ("limit", Settings { message_limit: MessageLimit::All(1_000), ..easy.clone() }, false, vec![&alice]),
        ("saving", Settings { message_limit: MessageLimit::Saving(1_000), ..easy }, false, vec![&alice]),
    ];
    let names: Vec<&str> = places.iter().map(|place| place.0).collect();
    let table = Capabilities::read(include_str!("capabilities.tsv"), &names);
    // Mechanisms come and go with what an administrator offers: only those of the table are looked at.
    let is_of_the_table = |name: &String| !name.starts_with("AUTH=") || table.has(name);
    for (place, settings, encrypted, before) in places {
        let session = world.connect_with(settings, encrypted.then(common::tls));
        let told = told(&mut world, session, &before).into_iter().filter(is_of_the_table).collect();
        table.check(place, &told);
    }
}

#[test]
fn nobody_is_told_of_mechanisms_after_login_and_all_ways_of_telling_agree() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    let session = world.connect_with(Settings::default(), Some(common::tls()));
    let (session, greeting) = world.say(session, b"");
    let code = |said: &str| {
        let (_, rest) = said.split_once("[CAPABILITY ").unwrap();
        rest.split_once(']').unwrap().0.split(' ').map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let before = told(&mut world, session, &[]);
    assert_eq!(code(&greeting), before);
    let session = world.connect_with(Settings::default(), Some(common::tls()));
    let (session, said) = world.say(session, b"l LOGIN alice@example.test wonderland\r\n");
    let (_, said) = said.split_once("l OK ").unwrap();
    let after = told(&mut world, session, &[]);
    assert_eq!(code(said), after);
    assert!(after.iter().all(|name| !name.starts_with("AUTH=")), "{after:?}");
}
