//! Any bytes into a session: it never panics and always comes to rest.

mod common;

use std::sync::Mutex;

use postroad_testkit::TestStore;

use common::World;

/// Commands near what sessions understand, so that bytes get beyond the grammar.
const STEMS: [&str; 45] = [
    "SELECT INBOX",
    "EXAMINE INBOX (CONDSTORE)",
    "FETCH 1:* (FLAGS UID)",
    "UID FETCH 1:* BODY[]",
    "STORE 1:2 +FLAGS (\\Seen)",
    "UID STORE 1 FLAGS ()",
    "EXPUNGE",
    "UID EXPUNGE 1:*",
    "COPY 1 Trash",
    "UID MOVE 1:* Trash",
    "SEARCH ALL",
    "UID SEARCH RETURN (SAVE) ALL",
    "FETCH $ FLAGS",
    "UID SORT RETURN (UPDATE ALL) (REVERSE DATE SUBJECT) UTF-8 UNSEEN",
    "SEARCH RETURN (UPDATE PARTIAL -1:-2) UNDELETED",
    "THREAD REFERENCES UTF-8 ALL",
    "CANCELUPDATE \"t\"",
    "COMPARATOR i;octet",
    "LANGUAGE de",
    "CLOSE",
    "UNSELECT",
    "IDLE",
    "DONE",
    "ENABLE QRESYNC",
    "LIST \"\" *",
    "STATUS INBOX (MESSAGES)",
    "APPEND INBOX {3+}\r\nabc",
    "APPEND INBOX {3+}\r\nabc (\\Seen) {3+}\r\nabc",
    "APPEND INBOX CATENATE (URL ;UID=1 TEXT {3+}\r\nabc URL /INBOX/;UID=2/;SECTION=HEADER)",
    "REPLACE 1 INBOX {3+}\r\nabc",
    "UID REPLACE * Trash CATENATE (TEXT {3+}\r\nabc",
    "APPEND INBOX {3}",
    "ENABLE UTF8=ACCEPT",
    "GENURLAUTH imap://alice@example.test/INBOX/;UID=1;URLAUTH=anonymous INTERNAL",
    "URLFETCH imap://alice@example.test/INBOX/;UID=1;URLAUTH=anonymous:internal:91354a473744909de610943775f92038",
    "ENABLE METADATA",
    "GETMETADATA (DEPTH infinity) INBOX (/private /shared)",
    "SETMETADATA INBOX (/private/comment ~{3+}\r\na\0b /shared/comment NIL)",
    "SETMETADATA \"\" (/private/filters/values/a \"OR FILTER b SEEN\" /private/filters/values/b \"FILTER a\")",
    "LIST \"\" * RETURN (METADATA (/private/comment /private/specialuse))",
    "UID SEARCH RETURN (UPDATE) FILTER a",
    "SETQUOTA \"\" (STORAGE 1)",
    "CREATE a",
    "DELETE a",
    "NOOP",
];

#[test]
fn fuzz_session() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    for number in 0..3 {
        world.deliver("alice", "INBOX", &[], &format!("Subject: {number}\r\n\r\nx\r\n"));
    }
    let world = Mutex::new(world);
    postroad_fuzz::check!(2_000).with_type::<(bool, Vec<(u8, Vec<u8>)>)>().for_each(|(login, pieces)| {
        let mut world = world.lock().expect("no panic before");
        let mut session = if *login { world.logged_in("alice") } else { world.connect() };
        for (stem, bytes) in pieces {
            let mut line = format!("t {}", STEMS[usize::from(*stem) % STEMS.len()]).into_bytes();
            // A third of the pieces are whole commands, a third have bytes at their end, a third are bytes.
            match stem % 3 {
                0 => {}
                1 => line.extend_from_slice(bytes),
                _ => line.clone_from(bytes),
            }
            line.extend_from_slice(b"\r\n");
            (session, _) = world.say(session, &line);
        }
    });
}
