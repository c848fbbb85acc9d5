//! SEARCH finds what a plain look at every message finds, whichever way it takes to get there.

mod common;

use std::sync::Mutex;

use common::World;
use postroad_testkit::TestStore;

/// Different messages; each is there many times, so that the mailbox is beyond what is looked at one by one.
const KINDS: usize = 36;
const COPIES: usize = 64;

/// A message as this test knows it.
#[derive(Debug, Clone)]
struct Plain {
    uid: usize,
    kind: usize,
    flags: Vec<String>,
    size: u64,
}

/// A key, and the messages it means.
#[derive(Debug)]
enum Key {
    Flag(&'static str, &'static str),
    Subject(usize),
    Body(usize),
    Field(usize),
    Larger(u64),
    Uids(usize, usize),
    Not(Box<Key>),
    Or(Box<Key>, Box<Key>),
    And(Vec<Key>),
}

const FLAGS: [(&str, &str); 4] =
    [("SEEN", "\\Seen"), ("DELETED", "\\Deleted"), ("FLAGGED", "\\Flagged"), ("KEYWORD $a", "$a")];

impl Key {
    /// Made of bytes; what is missing is 0.
    fn of(seed: &mut impl Iterator<Item = u8>, depth: usize) -> Key {
        let mut next = || usize::from(seed.next().unwrap_or(0));
        match (next() % 12, depth) {
            (0..=3, _) | (_, 0) => {
                let (name, flag) = FLAGS[next() % FLAGS.len()];
                Key::Flag(name, flag)
            }
            (4, _) => Key::Subject(next() % KINDS),
            (5, _) => Key::Body(next() % KINDS),
            (6, _) => Key::Field(next() % 3),
            (7, _) => Key::Larger(next() as u64 + 60),
            (8, _) => Key::Uids(next() * 16 + 1, next() * 16 + 1),
            (9, _) => Key::Not(Box::new(Key::of(seed, depth - 1))),
            (10, _) => Key::Or(Box::new(Key::of(seed, depth - 1)), Box::new(Key::of(seed, depth - 1))),
            (_, _) => {
                let count = next() % 3 + 1;
                Key::And((0..count).map(|_| Key::of(seed, depth - 1)).collect())
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Key::Flag(name, _) => (*name).to_owned(),
            Key::Subject(kind) => format!("SUBJECT \"KIND {kind}.\""),
            Key::Body(kind) => format!("BODY \"body of {kind}.\""),
            Key::Field(third) => format!("HEADER X-Third {third}"),
            Key::Larger(size) => format!("LARGER {size}"),
            Key::Uids(from, to) => format!("UID {from}:{to}"),
            Key::Not(key) => format!("NOT {}", key.text()),
            Key::Or(first, second) => format!("OR {} {}", first.text(), second.text()),
            Key::And(keys) => format!("({})", keys.iter().map(Key::text).collect::<Vec<_>>().join(" ")),
        }
    }

    fn means(&self, message: &Plain) -> bool {
        match self {
            Key::Flag(_, flag) => message.flags.iter().any(|own| own == flag),
            Key::Subject(kind) | Key::Body(kind) => message.kind == *kind,
            Key::Field(third) => message.kind % 3 == *third,
            Key::Larger(size) => message.size > *size,
            Key::Uids(from, to) => (*from.min(to)..=*from.max(to)).contains(&message.uid),
            Key::Not(key) => !key.means(message),
            Key::Or(first, second) => first.means(message) || second.means(message),
            Key::And(keys) => keys.iter().all(|key| key.means(message)),
        }
    }
}

/// A mailbox with all of them, and what is in it.
fn filled(world: &mut World) -> Vec<Plain> {
    for kind in 0..KINDS {
        let flags: Vec<&str> =
            FLAGS.iter().enumerate().filter(|(bit, _)| kind >> bit & 1 == 1).map(|(_, f)| f.1).collect();
        let padding = "x".repeat(kind * 5);
        let third = kind % 3;
        let message = format!("Subject: kind {kind}.\r\nX-Third: {third}\r\n\r\nbody of {kind}. {padding}\r\n");
        world.deliver("alice", "INBOX", &flags, &message);
    }
    let mut commands = "a SELECT INBOX\r\n".to_owned();
    for doubling in 0..COPIES.ilog2() {
        commands.push_str(&format!("b{doubling} COPY 1:* INBOX\r\nc{doubling} NOOP\r\n"));
    }
    commands.push_str("d UID FETCH 1:* (FLAGS RFC822.SIZE)\r\n");
    let session = world.logged_in("alice");
    let (_, said) = world.say(session, commands.as_bytes());
    let rows = said.lines().filter(|line| line.contains(" FETCH (UID "));
    rows.map(|line| {
        let between = |start: &str, end: &str| {
            let rest = line.split_once(start).expect("the start").1;
            rest.split_once(end).expect("the end").0.to_owned()
        };
        let uid: usize = between("UID ", " ").parse().expect("a number");
        let flags = between("FLAGS (", ")").split_whitespace().map(str::to_owned).collect();
        let size = between("RFC822.SIZE ", ")").parse().expect("a number");
        Plain { uid, kind: (uid - 1) % KINDS, flags, size }
    })
    .collect()
}

#[test]
fn fuzz_search_agrees_with_a_plain_look() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    let messages = filled(&mut world);
    assert_eq!(messages.len(), KINDS * COPIES);
    let world = Mutex::new(world);
    postroad_fuzz::check!(150).with_type::<Vec<u8>>().for_each(|seed| {
        let mut world = world.lock().expect("no panic before");
        let mut seed = seed.iter().copied();
        let keys: Vec<Key> = (0..3).map(|_| Key::of(&mut seed, 3)).collect();
        let text = keys.iter().map(Key::text).collect::<Vec<_>>().join(" ");
        let session = world.logged_in("alice");
        let (_, said) = world.say(session, format!("a EXAMINE INBOX\r\nb UID SEARCH {text}\r\n").as_bytes());
        let found = said.split("* SEARCH").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("an answer");
        let found: Vec<usize> = found.split_whitespace().map(|uid| uid.parse().expect("a number")).collect();
        let meant = messages.iter().filter(|message| keys.iter().all(|key| key.means(message)));
        let meant: Vec<usize> = meant.map(|message| message.uid).collect();
        assert_eq!(found, meant, "{text}");
    });
}
