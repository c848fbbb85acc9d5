//! SORT and THREAD answer as a plain look at every message does, and a result that is followed is at each
//! moment what a fresh look finds, whoever changes the mailbox.

mod common;

use common::World;
use postroad_imapd::Session;
use postroad_testkit::TestStore;

/// Numbers that are the same in every run.
struct Seed(u64);

impl Seed {
    fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// A message as this test knows it; its place in the list is its uid less one.
#[derive(Debug, Clone)]
struct Plain {
    from: &'static str,
    shown: &'static str,
    subject: &'static str,
    /// Minutes of a day; `None`: no Date field, so that it came when it came.
    sent: Option<usize>,
    size: usize,
}

const FROM: [(&str, &str); 5] = [
    ("Zoe <anna@example.org>", "ZOE"),
    ("Bert@example.org", "BERT@EXAMPLE.ORG"),
    ("\"anton\" <zeno@example.org>", "ANTON"),
    ("=?utf-8?q?=C3=A4rger?= <bert@example.com>", "A\u{308}RGER"),
    ("anna@example.net", "ANNA@EXAMPLE.NET"),
];
const LOCAL: [&str; 5] = ["ANNA", "BERT", "ZENO", "BERT", "ANNA"];
const SUBJECTS: [(&str, &str); 6] = [
    ("hello", "HELLO"),
    ("Re: Hello", "HELLO"),
    ("[list] zebra", "ZEBRA"),
    ("Fwd: apple (fwd)", "APPLE"),
    ("", ""),
    ("=?utf-8?q?=C3=84pfel?=", "A\u{308}PFEL"),
];

fn deliver(world: &mut World, seed: &mut Seed) -> Plain {
    let (from, subject) = (seed.below(FROM.len()), seed.below(SUBJECTS.len()));
    let sent = (seed.below(4) > 0).then(|| seed.below(20));
    let date = sent.map_or(String::new(), |minute| format!("Date: Mon, 2 Mar 2020 10:{minute:02}:00 +0000\r\n"));
    let body = "x".repeat(seed.below(4));
    let (from_field, subject_field) = (FROM[from].0, SUBJECTS[subject].0);
    let message = format!("From: {from_field}\r\n{date}Subject: {subject_field}\r\n\r\n{body}\r\n");
    world.deliver("alice", "INBOX", &[], &message);
    Plain { from: LOCAL[from], shown: FROM[from].1, subject: SUBJECTS[subject].1, sent, size: message.len() }
}

/// The order of two messages by one key.
fn by_key(key: &str, messages: &[Plain], a: usize, b: usize) -> std::cmp::Ordering {
    let (one, other) = (&messages[a - 1], &messages[b - 1]);
    match key {
        "FROM" => one.from.cmp(other.from),
        "DISPLAYFROM" => one.shown.cmp(other.shown),
        "SUBJECT" => one.subject.cmp(other.subject),
        "SIZE" => one.size.cmp(&other.size),
        "ARRIVAL" => a.cmp(&b),
        // What has no date came later than all dates.
        "DATE" => {
            let sent = |uid: usize, plain: &Plain| plain.sent.map_or((1, uid), |minute| (0, minute));
            sent(a, one).cmp(&sent(b, other))
        }
        "TO" => std::cmp::Ordering::Equal,
        other => panic!("no such key: {other}"),
    }
}

const KEYS: [&str; 7] = ["FROM", "DISPLAYFROM", "SUBJECT", "SIZE", "ARRIVAL", "DATE", "TO"];

fn criteria(seed: &mut Seed) -> Vec<(bool, &'static str)> {
    (0..seed.below(3) + 1).map(|_| (seed.below(3) == 0, seed.pick(&KEYS))).collect()
}

fn words(criteria: &[(bool, &str)]) -> String {
    let word = |(reverse, key): &(bool, &str)| format!("{}{key}", if *reverse { "REVERSE " } else { "" });
    criteria.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn plainly(messages: &[Plain], mut uids: Vec<usize>, criteria: &[(bool, &str)]) -> Vec<usize> {
    uids.sort_by(|a, b| {
        let order = criteria.iter().map(|(reverse, key)| {
            let order = by_key(key, messages, *a, *b);
            if *reverse { order.reverse() } else { order }
        });
        order.into_iter().find(|order| order.is_ne()).unwrap_or_else(|| a.cmp(b))
    });
    uids
}

fn numbers(said: &str, name: &str) -> Vec<usize> {
    let line = said.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {said}"));
    line[name.len()..].split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn sort_agrees_with_a_plain_look() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    let mut seed = Seed(0x5851_f42d_4c95_7f2d);
    let mut messages = Vec::new();
    let mut session = world.logged_in("alice");
    (session, _) = world.say(session, b"s SELECT INBOX\r\n");
    for round in 0..120 {
        if round % 4 == 0 {
            (0..seed.below(9) + 1).for_each(|_| messages.push(deliver(&mut world, &mut seed)));
            (session, _) = world.say(session, b"n NOOP\r\n");
        }
        let criteria = criteria(&mut seed);
        let from = seed.below(messages.len()) + 1;
        let command = format!("a UID SORT ({}) UTF-8 UID {from}:*\r\n", words(&criteria));
        let said;
        (session, said) = world.say(session, command.as_bytes());
        let plain = plainly(&messages, (from..=messages.len()).collect(), &criteria);
        assert_eq!(numbers(&said, "* SORT"), plain, "{command}");
    }
}

/// A result that a client follows.
#[derive(Debug)]
struct Following {
    tag: String,
    command: String,
    sorted: bool,
    result: Vec<u32>,
    /// Updates that were told.
    updates: usize,
}

fn set(text: &str) -> Vec<u32> {
    let number = |text: &str| text.parse::<u32>().expect("a number");
    let range = |part: &str| match part.split_once(':') {
        Some((low, high)) => (number(low)..=number(high)).collect::<Vec<_>>(),
        None => vec![number(part)],
    };
    text.split(',').flat_map(range).collect()
}

impl Following {
    /// Does what `ADDTO` and `REMOVEFROM` say, one after the other.
    fn apply(&mut self, line: &str) {
        let head = format!("* ESEARCH (TAG \"{}\") UID ", self.tag);
        let Some(rest) = line.strip_prefix(&head) else { return };
        self.updates += 1;
        let mut rest = rest;
        while let Some((name, after)) = rest.split_once(" (") {
            let (pairs, left) = after.split_once(')').expect("the end of the pairs");
            rest = left.trim_start();
            let words: Vec<&str> = pairs.split(' ').collect();
            for pair in words.chunks(2) {
                self.pair(name, pair[0].parse().expect("a place"), &set(pair[1]), line);
            }
        }
    }

    fn pair(&mut self, name: &str, place: usize, uids: &[u32], line: &str) {
        assert_eq!(place == 0, !self.sorted, "orders have places, sets have none: {line}");
        match (name, place) {
            ("ADDTO", 0) => {
                assert!(uids.iter().all(|uid| !self.result.contains(uid)), "there already: {line}");
                self.result.extend(uids);
                self.result.sort_unstable();
            }
            ("ADDTO", place) => {
                self.result.splice(place - 1..place - 1, uids.iter().copied());
            }
            ("REMOVEFROM", 0) => {
                assert!(uids.iter().all(|uid| self.result.contains(uid)), "not there: {line}");
                self.result.retain(|uid| !uids.contains(uid));
            }
            ("REMOVEFROM", place) => {
                let gone: Vec<u32> = self.result.drain(place - 1..place - 1 + uids.len()).collect();
                assert_eq!(gone, uids, "what is at that place: {line}");
            }
            (other, _) => panic!("no such change: {other}"),
        }
    }
}

fn all(said: &str) -> Vec<u32> {
    let line = said.lines().find(|line| line.starts_with("* ESEARCH")).unwrap_or_else(|| panic!("no answer: {said}"));
    line.split_once(" ALL ").map_or(Vec::new(), |(_, text)| set(text))
}

const WHAT: [&str; 6] =
    ["ALL", "UNSEEN", "FLAGGED", "OR DELETED SEEN", "NOT (FLAGGED SEEN)", "SUBJECT hello UNDELETED"];

fn follow(world: &mut World, session: Session, seed: &mut Seed, at: usize) -> (Session, Following) {
    let sorted = seed.below(2) == 0;
    let what = seed.pick(&WHAT);
    let tag = format!("follow{at}");
    let (command, rest) = match sorted {
        true => ("UID SORT", format!("({}) UTF-8 {what}", words(&criteria(seed)))),
        false => ("UID SEARCH", what.to_owned()),
    };
    let line = format!("{tag} {command} RETURN (UPDATE ALL) {rest}\r\n");
    let (session, said) = world.say(session, line.as_bytes());
    let command = format!("{command} RETURN (ALL) {rest}\r\n");
    (session, Following { tag, command, sorted, result: all(&said), updates: 0 })
}

/// A change, by whoever is asked.
fn change(world: &mut World, session: Session, seed: &mut Seed) -> (Session, String) {
    let flag = seed.pick(&["\\Seen", "\\Flagged", "\\Deleted"]);
    let sign = seed.pick(&["+", "-", "+", ""]);
    let (low, high) = (seed.below(60) + 1, seed.below(60) + 1);
    let command = match seed.below(8) {
        0 => "EXPUNGE\r\n".to_owned(),
        1 => format!("UID COPY {low}:{high} INBOX\r\n"),
        2 => format!("UID FETCH {low} BODY[]\r\n"),
        _ => format!("UID STORE {low}:{high} {sign}FLAGS.SILENT ({flag})\r\n"),
    };
    world.say(session, format!("change {command}").as_bytes())
}

#[test]
fn a_followed_result_is_what_a_fresh_look_finds() {
    for start in 1..=6u64 {
        let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
        let mut world = World::new(&test);
        let mut seed = Seed(start.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for _ in 0..12 {
            deliver(&mut world, &mut seed);
        }
        let (mut mine, mut other) = (world.logged_in("alice"), world.logged_in("alice"));
        (mine, _) = world.say(mine, b"s SELECT INBOX\r\n");
        (other, _) = world.say(other, b"s SELECT INBOX\r\n");
        if start % 2 == 0 {
            (mine, _) = world.say(mine, b"e ENABLE QRESYNC\r\n");
        }
        let mut all_followed = Vec::new();
        for at in 0..5 {
            let following;
            (mine, following) = follow(&mut world, mine, &mut seed, at);
            all_followed.push(following);
        }
        for round in 0..60 {
            let mut said = String::new();
            for _ in 0..seed.below(3) + 1 {
                match seed.below(5) {
                    0 => {
                        deliver(&mut world, &mut seed);
                    }
                    1 | 2 => (other, _) = change(&mut world, other, &mut seed),
                    _ => {
                        let more;
                        (mine, more) = change(&mut world, mine, &mut seed);
                        said.push_str(&more);
                    }
                }
            }
            let more;
            (mine, more) = world.say(mine, b"n NOOP\r\n");
            said.push_str(&more);
            for following in &mut all_followed {
                said.lines().for_each(|line| following.apply(line));
                let fresh;
                let look = format!("look {}", following.command);
                (mine, fresh) = world.say(mine, look.as_bytes());
                assert_eq!(following.result, all(&fresh), "round {round} of {start}, {look}{said}");
            }
        }
        let updates: usize = all_followed.iter().map(|following| following.updates).sum();
        assert!(updates > 60, "something happened: {updates}");
    }
}

#[test]
fn hostile_headers_are_sorted_and_threaded() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    let ids = |count: usize| (0..count).map(|id| format!("<{id}@x>")).collect::<Vec<_>>().join("\r\n ");
    for header in [
        format!("References: {}\r\nMessage-ID: <a@x>", ids(10_000)),
        format!("References: {}\r\nIn-Reply-To: <a@x>", ids(10_000)),
        format!("References: {}\r\nMessage-ID: <b@x>", ids(1_000)),
        "References: <b@x> <b@x> <c@x>\r\nMessage-ID: <b@x>".to_owned(),
        "References: <b@x>\r\nMessage-ID: <c@x>".to_owned(),
        format!("Subject: {}", "[x]".repeat(50_000)),
        format!("Subject: {}", "Re: ".repeat(50_000)),
        format!("Subject: {}", "[fwd: ".repeat(20_000)),
        format!("From: {}", "a@x, ".repeat(20_000)),
        "Date: Fri, 99 Nov 99999 99:99:99 +9999".to_owned(),
        "Subject: =?utf-8?q?=ED=A0=80?=\r\nFrom: =?utf-8?q?=ED=A0=80?= <=FF@>".to_owned(),
        "Message-ID: <>\r\nReferences: <> < > <".to_owned(),
    ] {
        world.deliver("alice", "INBOX", &[], &format!("{header}\r\n\r\n"));
    }
    let session = world.logged_in("alice");
    let commands = "s EXAMINE INBOX\r\na SORT (SUBJECT FROM DISPLAYFROM TO CC DATE SIZE) UTF-8 ALL\r\n\
                    b THREAD REFERENCES UTF-8 ALL\r\nc THREAD REFS UTF-8 ALL\r\nd THREAD ORDEREDSUBJECT UTF-8 ALL\r\n";
    let (_, said) = world.say(session, commands.as_bytes());
    let mut told = said.lines().filter(|line| line.starts_with("* SORT") || line.starts_with("* THREAD"));
    for name in ["* SORT", "* THREAD", "* THREAD", "* THREAD"] {
        let line = told.next().expect("an answer");
        assert!(line.starts_with(name), "{line}");
        let words = line.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
        let mut numbers: Vec<u32> = words.map(|word| word.parse().expect("a number")).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=12).collect::<Vec<_>>(), "each message once: {line}");
    }
}

#[test]
fn much_that_changes_is_told_in_parts() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    let mut seed = Seed(0x2545_f491_4f6c_dd1d);
    deliver(&mut world, &mut seed);
    let (mut mine, mut other) = (world.logged_in("alice"), world.logged_in("alice"));
    (mine, _) = world.say(mine, b"s SELECT INBOX\r\n");
    let mut said;
    (mine, said) = world.say(mine, b"f UID SORT RETURN (UPDATE ALL) (REVERSE ARRIVAL) UTF-8 UNFLAGGED\r\n");
    let (tag, command) = ("f".to_owned(), String::new());
    let mut following = Following { tag, command, sorted: true, result: all(&said), updates: 0 };
    (other, _) = world.say(other, b"s SELECT INBOX\r\n");
    for _ in 0..10 {
        (other, _) = world.say(other, b"c COPY 1:* INBOX\r\nn NOOP\r\n");
    }
    (mine, said) = world.say(mine, b"n NOOP\r\n");
    said.lines().for_each(|line| following.apply(line));
    // Copies came when their message came: as in the mailbox.
    assert_eq!(following.result, (1..=1024).collect::<Vec<_>>());
    (_, _) = world.say(
        other,
        b"t STORE 1:1000 +FLAGS.SILENT (\\Flagged)\r\nd STORE 1010:1012 +FLAGS (\\Deleted)\r\nx EXPUNGE\r\n",
    );
    (_, said) = world.say(mine, b"n NOOP\r\n");
    said.lines().for_each(|line| following.apply(line));
    assert_eq!(following.result, (1001..=1009).chain(1013..=1024).collect::<Vec<_>>());
    assert!(following.updates > 6, "in parts: {}", following.updates);
}
