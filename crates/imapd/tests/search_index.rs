//! SEARCH finds the same with and without an index, whatever is looked for.

mod common;

use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::World;
use postroad_mail::index;
use postroad_store::Locks;
use postroad_testkit::TestStore;

/// What texts consist of: letters that comparisons treat in their own ways, words that share parts, borders.
const PIECES: &[&str] = &[
    "Hello",
    "hell",
    "lo wor",
    "world",
    "WORLDS",
    "invoice",
    "Invoicing",
    "voice",
    "ß",
    "Straße",
    "STRASSE",
    "ẞ",
    "Köln",
    "KO\u{308}LN",
    "koln",
    "İstanbul",
    "istanbul",
    "ıstanbul",
    "ISTANBUL",
    "日本",
    "日本語",
    "本語",
    "カ",
    "ｶ",
    "ガ",
    "か\u{3099}",
    "서울",
    "울",
    "ОДЕССА",
    "одесса",
    "ς",
    "Σ",
    "ﬁsh",
    "FISH",
    "é",
    "e\u{301}",
    "\u{301}",
    "€5",
    "½",
    "Ω",
    "\u{fffd}",
    "a",
    "1",
    "23",
    "ᾳ",
    "🙂",
    "<b>",
    "&amp;",
    "&",
    "\"",
    "-",
    " ",
    " ",
    " ",
    ". ",
    "\r\n",
    "@example.test",
    "ท",
    "ำ",
    "क\u{93c}",
];

/// A text made of bytes.
fn text(seed: &[u8]) -> String {
    seed.iter().map(|byte| PIECES[usize::from(*byte) % PIECES.len()]).collect()
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize
    }

    fn text(&mut self, most: usize) -> String {
        let count = self.next() % most;
        let seed: Vec<u8> = (0..count).map(|_| self.next() as u8).collect();
        text(&seed)
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

/// Messages of all kinds.
fn message(random: &mut Random) -> String {
    let subject = one_line(&random.text(6));
    let subject = match random.next() % 3 {
        0 => subject,
        1 => format!("=?utf-8?B?{}?=", STANDARD.encode(&subject)),
        _ => subject.split(' ').map(|word| format!("=?utf-8?B?{}?=\r\n ", STANDARD.encode(word))).collect(),
    };
    let name = one_line(&random.text(4)).replace(['"', '<', '>', '@', '&', ';', ','], "");
    let head = format!(
        "From: \"{name}\" <{}@example.test>\r\nTo: (comment) world@example.test\r\nSubject: {subject}\r\nX-Other: {}\r\nMIME-Version: 1.0\r\n",
        ["hello", "invoice", "a"][random.next() % 3],
        one_line(&random.text(5)),
    );
    let body = random.text(40);
    let part = match random.next() % 6 {
        0 => format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n"),
        1 => format!(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
            STANDARD.encode(&body)
        ),
        2 => format!(
            "Content-Type: text/html; charset=utf-8\r\n\r\n<p title=\"Hello\">{body}</p><script>voice</script>\r\n"
        ),
        3 => format!("\r\n{body}\r\n"),
        4 => format!("Content-Type: message/rfc822\r\n\r\nSubject: {}\r\n\r\n{body}\r\n", one_line(&random.text(4))),
        _ => format!(
            "Content-Type: application/octet-stream; name=\"{}.bin\"\r\n\r\n{body}\r\n",
            one_line(&random.text(2)).replace('"', "")
        ),
    };
    match random.next() % 3 {
        0 => format!(
            "{head}Content-Type: multipart/mixed; boundary=xyz\r\n\r\n--xyz\r\n{part}--xyz\r\n\r\n{}\r\n--xyz--\r\n",
            random.text(10)
        ),
        _ => format!("{head}{part}"),
    }
}

/// The same for alice, whose mail is indexed, and for bob.
fn filled(count: usize) -> (TestStore, World) {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    let mut random = Random(7);
    for _ in 0..count {
        let message = message(&mut random);
        for name in ["alice", "bob"] {
            world.deliver(name, "INBOX", &[], &message);
        }
    }
    world.index("alice");
    (test, world)
}

/// A key made of bytes.
fn key(seed: &mut impl Iterator<Item = u8>, depth: usize) -> String {
    let mut byte = || seed.next().unwrap_or(0);
    let kind = byte() % 12;
    if depth > 0 && kind >= 9 {
        return match kind {
            9 => format!("NOT {}", key(seed, depth - 1)),
            10 => format!("OR {} {}", key(seed, depth - 1), key(seed, depth - 1)),
            _ => format!("({} {})", key(seed, depth - 1), key(seed, depth - 1)),
        };
    }
    let name = ["TEXT", "BODY", "TEXT", "SUBJECT", "FROM", "TO", "HEADER X-Other", "FUZZY TEXT", "FUZZY SUBJECT"]
        [usize::from(kind) % 9];
    let count = byte() % 4;
    let needle: String = text(&(0..count).map(|_| byte()).collect::<Vec<u8>>());
    // A part of it, so that it begins and ends anywhere.
    let letters: Vec<char> = needle.chars().collect();
    let (from, until) = (usize::from(byte()) % (letters.len() + 1), usize::from(byte()) % (letters.len() + 1));
    let part: String = letters[from.min(until)..from.max(until)].iter().collect();
    let part = match byte() % 3 {
        0 => part,
        1 => part.to_uppercase(),
        _ => part.to_lowercase(),
    };
    format!("{name} {{{}+}}\r\n{part}", part.len())
}

fn found(world: &mut World, name: &str, keys: &str) -> String {
    let session = world.logged_in(name);
    let (_, said) = world.say(session, format!("a EXAMINE INBOX\r\nb UID SEARCH CHARSET UTF-8 {keys}\r\n").as_bytes());
    let found = said.split("* SEARCH").nth(1).and_then(|rest| rest.split("\r\n").next());
    found.unwrap_or_else(|| panic!("{keys}: {said}")).to_owned()
}

#[test]
fn fuzz_the_index_changes_nothing() {
    let (_test, world) = filled(150);
    let world = Mutex::new(world);
    postroad_fuzz::check!(400).with_type::<Vec<u8>>().for_each(|seed| {
        let mut world = world.lock().expect("no panic before");
        let keys = key(&mut seed.iter().copied(), 3);
        assert_eq!(found(&mut world, "alice", &keys), found(&mut world, "bob", &keys), "{keys}");
    });
}

/// Parts of words, and what lies across words, for every message in turn: so that something is found.
#[test]
fn what_is_there_is_found() {
    let (_test, mut world) = filled(150);
    let mut hits = 0;
    for keys in [
        "TEXT \"ello\"",
        "TEXT \"lo wor\"",
        "BODY \"nvoic\"",
        "TEXT {6+}\r\n日本",
        "TEXT {3+}\r\n本",
        "TEXT {7+}\r\nKÖLN ",
        "TEXT {6+}\r\n서울",
        "TEXT {4+}\r\nstra",
        "TEXT \"@example.test\"",
        "TEXT \"xyz\"",
        "FUZZY TEXT istanbul",
        "TEXT {6+}\r\nOdessa",
        "TEXT {12+}\r\nодесса",
        "TEXT \"wor\" NOT TEXT \"ello\"",
        "OR TEXT \"fish\" TEXT \"23\"",
        "SUBJECT \"hell\" TEXT \"world\"",
    ] {
        let indexed = found(&mut world, "alice", keys);
        assert_eq!(indexed, found(&mut world, "bob", keys), "{keys}");
        hits += usize::from(!indexed.is_empty());
    }
    assert!(hits >= 12, "{hits} of 16 found something");
}

/// While the index is made anew and mail comes in, what is found is right at every step.
#[test]
fn a_rebuild_under_writes_is_never_seen() {
    let (_test, mut world) = filled(400);
    let alice = world.accounts["alice"];
    world.store.write_blocking(Locks::named(index::LOCK), move |tx| index::rebuild(tx, alice)).expect("it begins");
    let mut random = Random(11);
    let keys = ["TEXT \"nvoic\"", "TEXT {6+}\r\n日本", "FUZZY TEXT \"hello\"", "NOT TEXT \"world\""];
    let mut steps = 0;
    while world.index_step(alice) {
        steps += 1;
        let message = message(&mut random);
        for name in ["alice", "bob"] {
            world.deliver(name, "INBOX", &[], &message);
        }
        for keys in keys {
            assert_eq!(found(&mut world, "alice", keys), found(&mut world, "bob", keys), "{keys} after {steps} steps");
        }
    }
    assert!(steps > 1, "{steps} steps");
}
