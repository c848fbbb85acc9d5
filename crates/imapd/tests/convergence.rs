//! Sessions always converge: what each of four clients, one of them somebody else's, pieced together from untagged responses is what a
//! fresh look shows, whatever they did to each other before. Seeded, so that a failure can be repeated.

mod common;

use std::collections::BTreeSet;

use postroad_imapd::Session;
use postroad_testkit::TestStore;

use common::World;

/// What a client believes of its mailbox: for each sequence number what it was told, `None` for nothing yet.
#[derive(Default)]
struct Client {
    session: Option<Session>,
    name: usize,
    tags: u32,
    /// The name that it has selected.
    mailbox: &'static str,
    messages: Vec<Option<Known>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    uid: u32,
    flags: BTreeSet<String>,
}

/// Which client is somebody else's.
const DELEGATE: usize = 3;

/// A small generator (xorshift): the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.roll(all.len())]
    }
}

/// A change of flags that the client asked for with .SILENT, and applies itself.
struct Silent {
    places: Vec<usize>,
    action: &'static str,
    flag: &'static str,
}

impl Client {
    /// Sends a command, takes in what is said, and gives it back.
    fn command(&mut self, world: &mut World, command: &str, silent: Option<&Silent>) -> String {
        self.tags += 1;
        let tag = format!("t{}x{}", self.name, self.tags);
        let session = self.session.take().expect("the session is there");
        let (session, said) = world.say(session, format!("{tag} {command}\r\n").as_bytes());
        self.session = Some(session);
        assert!(!said.contains(&format!("{tag} BAD")), "{command}: {said}");
        assert!(said.contains(&format!("{tag} ")), "{command} was not answered: {said}");
        let by_number = ["FETCH", "STORE", "SEARCH"].iter().any(|name| command.starts_with(name));
        assert!(!by_number || !said.contains("EXPUNGE\r\n"), "{command} told of an expunge: {said}");
        self.take_in(&said, silent);
        said
    }

    fn take_in(&mut self, said: &str, mut silent: Option<&Silent>) {
        for line in said.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["*", number, "EXISTS"] => {
                    let number: usize = number.parse().expect("a number");
                    assert!(number >= self.messages.len(), "EXISTS went down: {said}");
                    self.messages.resize(number, None);
                }
                ["*", number, "EXPUNGE"] => {
                    self.apply(silent.take());
                    let number: usize = number.parse().expect("a number");
                    assert!((1..=self.messages.len()).contains(&number), "no such message to expunge: {said}");
                    self.messages.remove(number - 1);
                }
                ["*", "VANISHED", uids] => {
                    self.apply(silent.take());
                    let gone = postroad_mail::UidSet::parse(uids).expect("a set of uids");
                    gone.iter().for_each(|uid| self.vanished(uid));
                }
                ["*", number, "FETCH", ..] => {
                    let place: usize = number.parse().expect("a number");
                    assert!((1..=self.messages.len()).contains(&place), "no such message to fetch: {said}");
                    self.fetched(place - 1, line);
                }
                _ => {}
            }
        }
        self.apply(silent);
    }

    /// A client of QRESYNC finds a message by its UID, and one that it was told of by EXISTS only by where it
    /// must be: before the first known one with a higher UID.
    fn vanished(&mut self, uid: u32) {
        let known = self.messages.iter().position(|known| known.as_ref().is_some_and(|known| known.uid == uid));
        let behind = self.messages.iter().position(|known| known.as_ref().is_some_and(|known| known.uid > uid));
        let unknown = || self.messages[..behind.unwrap_or(self.messages.len())].iter().rposition(Option::is_none);
        let place = known.or_else(unknown).expect("only messages of the view vanish");
        self.messages.remove(place);
    }

    fn apply(&mut self, silent: Option<&Silent>) {
        let Some(silent) = silent else { return };
        for place in &silent.places {
            if let Some(Some(known)) = self.messages.get_mut(*place) {
                match silent.action {
                    "+FLAGS" => drop(known.flags.insert(silent.flag.to_owned())),
                    "-FLAGS" => drop(known.flags.remove(silent.flag)),
                    _ => known.flags = BTreeSet::from([silent.flag.to_owned()]),
                }
            }
        }
    }

    fn fetched(&mut self, place: usize, line: &str) {
        let uid = line.split("UID ").nth(1).and_then(|rest| rest.split([' ', ')']).next());
        let flags = line.split("FLAGS (").nth(1).and_then(|rest| rest.split(')').next());
        let flags = flags.map(|flags| {
            flags.split_ascii_whitespace().filter(|flag| *flag != "\\Recent").map(str::to_owned).collect()
        });
        let uid: Option<u32> = uid.map(|uid| uid.parse().expect("a number"));
        match (&mut self.messages[place], uid, flags) {
            (Some(known), uid, flags) => {
                assert!(uid.is_none_or(|uid| uid == known.uid), "another uid at {}: {line}", place + 1);
                known.flags = flags.unwrap_or_else(|| known.flags.clone());
            }
            (unknown @ None, Some(uid), Some(flags)) => *unknown = Some(Known { uid, flags }),
            (None, _, _) => {}
        }
    }

    /// Asks for what it does not know yet.
    fn fill(&mut self, world: &mut World) {
        if let Some(first) = self.messages.iter().position(Option::is_none) {
            self.command(world, &format!("FETCH {}:* (UID FLAGS)", first + 1), None);
        }
    }

    fn random(&mut self, world: &mut World, dice: &mut Dice) {
        self.fill(world);
        let count = self.messages.len();
        let flag = dice.pick(&["\\Seen", "\\Deleted", "\\Flagged", "$Junk", "blue"]);
        let low = dice.roll(count.max(1)) + 1;
        let high = (low + dice.roll(4)).min(count.max(1));
        let uids = postroad_mail::UidSet::from_iter(
            (low..=high)
                .filter_map(|place| self.messages.get(place - 1).and_then(Option::as_ref).map(|known| known.uid)),
        );
        let uids = if uids.is_empty() { "4000000".to_owned() } else { uids.to_string() };
        let nothing = count == 0;
        match dice.roll(14) {
            0 => drop(self.command(world, "NOOP", None)),
            1 => drop(self.command(world, "EXPUNGE", None)),
            2 => drop(self.command(world, &format!("UID EXPUNGE {uids}"), None)),
            3 | 4 if !nothing => {
                let action = dice.pick(&["+FLAGS", "-FLAGS", "FLAGS"]);
                drop(self.command(world, &format!("STORE {low}:{high} {action} ({flag})"), None));
            }
            5 => {
                let action = dice.pick(&["+FLAGS", "-FLAGS"]);
                drop(self.command(world, &format!("UID STORE {uids} {action} ({flag})"), None));
            }
            6 | 7 if !nothing => {
                let action = dice.pick(&["+FLAGS", "-FLAGS", "FLAGS"]);
                let silent = Silent { places: (low - 1..high).collect(), action, flag };
                let command = format!("STORE {low}:{high} {action}.SILENT ({flag})");
                drop(self.command(world, &command, Some(&silent)));
            }
            8 => drop(self.command(world, &format!("UID COPY {uids} {}", self.mailbox), None)),
            9 => drop(self.command(world, &format!("UID MOVE {uids} Trash"), None)),
            10 => {
                let append = format!("APPEND {} (\\Flagged) {{6+}}\r\na: b\r\n", self.mailbox);
                drop(self.command(world, &append, None));
            }
            11 => {
                let session = self.session.take().expect("the session is there");
                let (session, said) = world.say(session, b"i IDLE\r\n");
                let (session, heard) = world.news(session);
                let (session, end) = world.say(session, b"DONE\r\n");
                self.session = Some(session);
                self.take_in(&format!("{said}{heard}{end}"), None);
            }
            12 if !nothing => drop(self.command(world, &format!("FETCH {low}:{high} (FLAGS)"), None)),
            _ => drop(self.command(world, "CHECK", None)),
        }
    }
}

/// The last client is Bob, who may do with Alice's INBOX what she may; what he moves goes to his own account.
fn connect(world: &mut World, name: usize, enable: Option<&str>) -> Client {
    let (who, mailbox) = match name {
        DELEGATE => ("bob", "\"Other Users/alice@example.test/INBOX\""),
        _ => ("alice", "INBOX"),
    };
    let mut client = Client { session: Some(world.logged_in(who)), name, mailbox, ..Client::default() };
    if name != DELEGATE {
        client.command(world, "SETACL INBOX bob lrswite", None);
    }
    if let Some(what) = enable {
        client.command(world, &format!("ENABLE {what}"), None);
    }
    client.command(world, &format!("SELECT {mailbox}"), None);
    client
}

fn converge(test: &TestStore, seeds: std::ops::Range<u64>, steps: usize) {
    let mut world = World::new(test);
    for seed in seeds {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for number in 0..dice.roll(8) {
            world.deliver("alice", "INBOX", &[], &format!("Subject: {number}\r\n\r\nx\r\n"));
        }
        let mut clients = vec![
            connect(&mut world, 0, None),
            connect(&mut world, 1, Some("QRESYNC")),
            connect(&mut world, 2, Some("CONDSTORE")),
            connect(&mut world, DELEGATE, None),
        ];
        for _ in 0..steps {
            let who = dice.roll(clients.len());
            clients[who].random(&mut world, &mut dice);
        }
        let mut fresh = connect(&mut world, 9, None);
        fresh.fill(&mut world);
        for client in &mut clients {
            client.command(&mut world, "NOOP", None);
            client.fill(&mut world);
            assert_eq!(client.messages, fresh.messages, "seed {seed}: client {} is out of step", client.name);
        }
    }
}

#[test]
fn four_sessions_converge_in_memory() {
    converge(&TestStore::memory(&[postroad_mail::MIGRATIONS]), 1..40, 60);
}

#[test]
fn four_sessions_converge_on_sqlite() {
    converge(&TestStore::sqlite(&[postroad_mail::MIGRATIONS]), 100..110, 40);
}

#[test]
fn four_sessions_converge_on_postgres() {
    converge(&TestStore::postgres(&[postroad_mail::MIGRATIONS]), 200..205, 40);
}

/// The same at the same time: each client on a thread of its own.
fn converge_at_once(test: &TestStore, seeds: std::ops::Range<u64>, steps: usize) {
    let mut world = World::new(test);
    for seed in seeds {
        for number in 0..5 {
            world.deliver("alice", "INBOX", &[], &format!("Subject: {number}\r\n\r\nx\r\n"));
        }
        let enabled = [None, Some("QRESYNC"), Some("CONDSTORE"), Some("CONDSTORE")];
        let clients: Vec<Client> = (0..).zip(enabled).map(|(name, enable)| connect(&mut world, name, enable)).collect();
        let threads: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                let mut world = world.share();
                std::thread::spawn(move || {
                    let mut dice = Dice((seed * 3 + client.name as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
                    for _ in 0..steps {
                        client.random(&mut world, &mut dice);
                    }
                    client
                })
            })
            .collect();
        let mut clients: Vec<Client> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        let mut fresh = connect(&mut world, 9, None);
        fresh.fill(&mut world);
        for client in &mut clients {
            client.command(&mut world, "NOOP", None);
            client.fill(&mut world);
            assert_eq!(client.messages, fresh.messages, "seed {seed}: client {} is out of step", client.name);
        }
    }
}

#[test]
fn four_sessions_at_once_converge_in_memory() {
    converge_at_once(&TestStore::memory(&[postroad_mail::MIGRATIONS]), 1..6, 60);
}

#[test]
fn four_sessions_at_once_converge_on_sqlite() {
    converge_at_once(&TestStore::sqlite(&[postroad_mail::MIGRATIONS]), 10..15, 40);
}

#[test]
fn four_sessions_at_once_converge_on_postgres() {
    converge_at_once(&TestStore::postgres(&[postroad_mail::MIGRATIONS]), 20..25, 40);
}
