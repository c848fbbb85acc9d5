//! Mail is collected by POP3 from a real Dovecot and from servers that break off, lie and lack things.

mod fake;
mod world;

use std::time::Duration;

use postroad_testkit::Dovecot;
use postroad_testkit::certificates::Authority;

use postroad_remote::Error;
use postroad_remote::pop3::{Done, Limits};

use fake::{Fake, Manner};
use world::World;

fn mail(number: u32) -> Vec<u8> {
    format!(
        "From: a@there.test\r\nSubject: n{number}\r\nMessage-ID: <{number}@there.test>\r\n\r\n.dot {number}\r\n..\r\n"
    )
    .into_bytes()
}

/// For a Maildir.
fn dated(number: u32) -> (&'static str, u64, Vec<u8>) {
    ("", 1_700_000_000 + u64::from(number), mail(number))
}

#[test]
fn a_real_dovecot_is_collected_from_once() {
    let dovecot = Dovecot::start();
    for number in 0..3 {
        dovecot.put("alice", "INBOX", &[dated(number)]);
    }
    let world = World::new(&format!("pop3+insecure://alice@127.0.0.1:{}", dovecot.port(110)), None);
    assert_eq!(world.look().unwrap(), Done { taken: 3, ..Done::default() });
    assert_eq!(world.subjects(), ["n0", "n1", "n2"]);
    assert_eq!(world.look().unwrap(), Done::default());
    dovecot.put("alice", "INBOX", &[dated(3)]);
    assert_eq!(world.look().unwrap(), Done { taken: 1, ..Done::default() });
    assert_eq!(dovecot.count("alice", "INBOX"), 4);
    let octets = world.octets("n3");
    let (received, own) = octets.split_at(octets.len() - mail(3).len());
    assert_eq!(own, mail(3), "as it was there");
    let received = String::from_utf8_lossy(received);
    assert!(
        received.starts_with("Received: from 127.0.0.1 (account alice)\r\n\tby us.test with POP3 id "),
        "{received}"
    );
    assert!(world.story("3@there.test")[0].starts_with("collected: collected from alice@127.0.0.1 by POP3"));
}

#[test]
fn a_real_dovecot_loses_what_is_here_after_its_time() {
    let dovecot = Dovecot::start();
    dovecot.put("alice", "INBOX", &[dated(0)]);
    let mut world = World::new(&format!("pop3+insecure://alice@127.0.0.1:{}", dovecot.port(110)), Some(600));
    assert_eq!(world.look().unwrap(), Done { taken: 1, ..Done::default() });
    world.later(Duration::from_secs(599));
    assert_eq!(world.look().unwrap(), Done::default());
    world.later(Duration::from_secs(1));
    assert_eq!(world.look().unwrap(), Done { removed: 1, ..Done::default() });
    assert_eq!((dovecot.count("alice", "INBOX"), world.subjects()), (0, vec!["n0".to_owned()]));
}

#[test]
fn a_wrong_password_is_said_and_nothing_lost() {
    let dovecot = Dovecot::start();
    let mut world = World::new(&format!("pop3+insecure://alice@127.0.0.1:{}", dovecot.port(110)), None);
    world.password("wrong");
    let refused = world.look().unwrap_err();
    assert!(
        matches!(&refused, Error::User(text) if text.contains("does not let alice in") && !text.contains("wrong")),
        "{refused}"
    );
}

/// Wherever the connection breaks, the next looks bring each message exactly once, and remove only what is here.
#[test]
fn whatever_breaks_each_message_comes_once() {
    for breaks_after in 0..16 {
        let fake =
            Fake::start((0..3).map(mail).collect(), Manner { breaks_after: Some(breaks_after), ..Manner::default() });
        let world = World::new(&fake.url(), Some(0));
        let first = world.look();
        let here = world.subjects().len();
        assert!(fake.removed() <= here, "{breaks_after}: {first:?}");
        fake.mend();
        world.look().unwrap();
        assert_eq!(world.subjects(), ["n0", "n1", "n2"], "{breaks_after}");
        assert_eq!(fake.count(), 0);
    }
}

#[test]
fn a_server_without_names_for_messages_is_collected_from_once() {
    let fake = Fake::start(vec![mail(0), mail(1), mail(1)], Manner { uidl: false, ..Manner::default() });
    let world = World::new(&fake.url(), None);
    assert_eq!(world.look().unwrap(), Done { taken: 2, ..Done::default() }, "the same octets are the same message");
    assert_eq!(world.look().unwrap(), Done::default());
    assert_eq!(world.subjects(), ["n0", "n1"]);
}

#[test]
fn two_messages_of_one_name_are_two() {
    let fake = Fake::start(vec![mail(0), mail(1)], Manner { one_name: true, ..Manner::default() });
    let world = World::new(&fake.url(), None);
    assert_eq!(world.look().unwrap().taken, 2);
    assert_eq!(world.look().unwrap().taken, 0);
}

#[test]
fn a_look_is_bounded_and_goes_on_with_the_next() {
    let fake = Fake::start((0..5).map(mail).collect(), Manner::default());
    let mut world = World::new(&fake.url(), Some(0));
    world.limits = Limits { messages: 2, ..Limits::default() };
    let looks: Vec<(u64, bool)> = (0..3).map(|_| world.look().unwrap()).map(|done| (done.taken, done.more)).collect();
    assert_eq!(looks, [(2, true), (2, true), (1, false)]);
    assert_eq!(fake.count(), 0);
    fake.add(mail(7));
    world.limits = Limits { message_octets: 50, ..Limits::default() };
    assert_eq!(world.look().unwrap(), Done { left: 1, ..Done::default() });
    assert_eq!(fake.count(), 1, "what is too large stays there");
}

#[test]
fn hostile_servers_are_left_and_said() {
    for (name, manner) in [
        ("another greeting", Manner { greeting: "220 smtp", ..Manner::default() }),
        ("no greeting's end", Manner { greeting: "", endless: true, ..Manner::default() }),
        ("a larger message than it said", Manner { endless: true, ..Manner::default() }),
    ] {
        let fake = Fake::start(vec![mail(0)], manner);
        let mut world = World::new(&fake.url(), Some(0));
        world.limits = Limits { message_octets: 100_000, patience: Duration::from_secs(20), ..Limits::default() };
        assert!(matches!(world.look(), Err(Error::Peer(_))), "{name}");
        assert!(world.subjects().is_empty() && fake.removed() == 0, "{name}");
    }
}

#[test]
fn what_comes_in_clear_behind_stls_is_an_attack() {
    let fake = Fake::start(vec![mail(0)], Manner::default());
    let world = World::new(&fake.url().replace("+insecure", ""), Some(0));
    let error = world.look().unwrap_err();
    assert!(matches!(&error, Error::Peer(text) if text.contains("STLS")), "{error}");
}

#[test]
fn a_real_dovecot_is_collected_from_in_tls() {
    let authority = Authority::new();
    let dovecot = Dovecot::secured(&authority.issue(&["localhost"]));
    dovecot.put("alice", "INBOX", &[dated(0)]);
    for (number, url) in [
        format!("pop3://alice@localhost:{}", dovecot.port(110)),
        format!("pop3s://alice@localhost:{}", dovecot.port(995)),
    ]
    .into_iter()
    .enumerate()
    {
        let mut world = World::new(&url, None);
        let stranger = world.look().unwrap_err();
        assert!(matches!(&stranger, Error::User(text) if text.contains("--ca")), "{number}: {stranger}");
        world.trust(authority.pem());
        assert_eq!(world.look().unwrap(), Done { taken: 1, ..Done::default() }, "{url}");
        let octets = String::from_utf8(world.octets("n0")).unwrap();
        assert!(octets.contains("with POP3S id "), "{octets}");
    }
}

#[test]
fn a_full_account_leaves_the_mail_where_it_is() {
    let fake = Fake::start((0..3).map(mail).collect(), Manner::default());
    let world = World::with_quota(&fake.url(), Some(0), 2);
    assert!(matches!(world.look(), Err(Error::Here(_))));
    assert_eq!(world.subjects().len(), 2);
    assert!(fake.removed() <= 2 && fake.count() >= 1);
}
