//! Anything in: no panic, and the same for every cut.

mod common;

use common::World;
use postroad_testkit::TestStore;

#[test]
fn fuzz_sessions_do_not_depend_on_the_cut() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    for text in [&b"Subject: a\r\n\r\n.one\r\n"[..], b"Subject: b\n\n\0two", b""] {
        world.deliver("alice", text);
    }
    let world = std::panic::AssertUnwindSafe(std::cell::RefCell::new(world));
    postroad_fuzz::check!(500).with_type::<(u8, Vec<(u8, Vec<u8>)>)>().for_each(|(cut, words)| {
        let mut bytes = Vec::new();
        for (word, noise) in words {
            match SCRAPS.get(usize::from(*word) % (SCRAPS.len() + 1)) {
                Some(scrap) => bytes.extend_from_slice(scrap.as_bytes()),
                None => bytes.extend_from_slice(noise),
            }
        }
        let world = &world;
        let run = |size: usize| {
            let mut world = world.borrow_mut();
            let mut session = match cut % 4 {
                0 => {
                    let mut settings = common::open_settings();
                    settings.mechanisms.extend(["NTLM", "CRAM-MD5"].map(postroad_sasl::find).into_iter().flatten());
                    let session = world.connect(settings, [127, 0, 0, 1], None);
                    session.with_apop(Some("<0707.1795316400000000@pop.example.test>".to_owned()))
                }
                _ => world.logged_in("alice").expect("a login"),
            };
            let mut said = String::new();
            for piece in bytes.chunks(size) {
                let (back, more, closed) = world.say(session, piece);
                session = back;
                said.push_str(&more);
                if closed {
                    break;
                }
            }
            said
        };
        assert_eq!(run(usize::from(*cut).max(1)), run(usize::MAX));
    });
    assert_eq!(world.borrow().inbox("alice"), "1/0 2/0 3/0", "without QUIT nothing is deleted");
}

/// No QUIT: every session sees the same maildrop.
const SCRAPS: [&str; 28] = [
    "APOP ",
    "APOP alice@example.test 0123456789abcdef0123456789abcdef\r\n",
    "APOP nobody@example.test b1c2e817367cdfa9586c3c92c675af0d\r\n",
    "AUTH CRAM-MD5\r\n",
    "USER alice@example.test\r\n",
    "PASS ",
    "AUTH PLAIN\r\n",
    "AUTH LOGIN\r\n",
    "AUTH\r\n",
    "*\r\n",
    "YWxpY2U=\r\n",
    "CAPA\r\n",
    "UTF8\r\n",
    "LANG\r\n",
    "LANG en\r\n",
    "STAT\r\n",
    "LIST\r\n",
    "LIST 2\r\n",
    "UIDL\r\n",
    "RETR 1\r\n",
    "RETR 2\r\n",
    "TOP 1 1\r\n",
    "TOP 2 0\r\n",
    "DELE 3\r\n",
    "RSET\r\n",
    "NOOP\n",
    "\r\n",
    "RETR 0",
];
