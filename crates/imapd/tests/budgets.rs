//! Large mailboxes: answers come in bounded jobs, and opening one costs what opening a small one does.

mod common;

use std::sync::atomic::Ordering;

use postroad_testkit::TestStore;

use common::World;

/// Messages made by copying: three, doubled thirteen times.
const MANY: usize = 3 << 13;

fn many(world: &mut World) {
    for number in 0..3 {
        world.deliver("alice", "INBOX", &[], &format!("Subject: {number}\r\n\r\nx\r\n"));
    }
    let session = world.logged_in("alice");
    let (mut session, _) = world.say(session, b"s SELECT INBOX\r\n");
    for _ in 0..13 {
        let said;
        (session, said) = world.say(session, b"c COPY 1:* INBOX\r\n");
        assert!(said.contains("c OK"), "{said}");
    }
}

fn lines(said: &str, words: &str) -> usize {
    said.lines().filter(|line| line.contains(words)).count()
}

#[test]
fn much_is_told_in_parts_and_whole() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    many(&mut world);

    world.jobs.clear();
    let (first, second) = (world.logged_in("alice"), world.logged_in("alice"));
    let third = world.logged_in("alice");
    let (first, said) = world.say(first, b"s SELECT INBOX\r\n");
    assert!(said.contains(&format!("* {MANY} EXISTS\r\n")), "{said}");
    assert!(said.len() < 1_000, "SELECT tells little: {said}");
    let (second, _) = world.say(second, b"s SELECT INBOX\r\n");
    let (third, said) = world.say(third, b"e ENABLE QRESYNC\r\ns SELECT INBOX\r\n");
    let number = |name: &str| said.split(name).nth(1).and_then(|rest| rest.split(']').next()).expect("a number");
    let (validity, modseq) = (number("[UIDVALIDITY "), number("[HIGHESTMODSEQ "));

    let (first, said) = world.say(first, b"t STORE 1:* +FLAGS (\\Deleted)\r\n");
    assert_eq!(lines(&said, " FETCH (FLAGS (\\Deleted"), MANY);
    assert!(said.ends_with("t OK STORE done\r\n"));
    assert!(world.jobs["store"] > 10, "one job told it all: {:?}", world.jobs);

    let (second, said) = world.say(second, b"n NOOP\r\n");
    assert_eq!(lines(&said, " FETCH (FLAGS (\\Deleted"), MANY);
    assert!(world.jobs["noop"] > 3, "one job told it all: {:?}", world.jobs);

    // A client of QRESYNC that comes back.
    let select = format!("u UNSELECT\r\ns SELECT INBOX (QRESYNC ({validity} {modseq}))\r\n");
    world.jobs.clear();
    let (third, said) = world.say(third, select.as_bytes());
    assert_eq!(lines(&said, " FETCH (UID "), MANY);
    assert!(said.ends_with("s OK [READ-WRITE] SELECT done\r\n"));
    assert!(world.jobs["select"] > 3, "one job told it all: {:?}", world.jobs);

    let (_, said) = world.say(first, b"x EXPUNGE\r\n");
    assert_eq!(lines(&said, "* 1 EXPUNGE"), MANY);
    assert!(world.jobs["expunge"] > 1, "one job told it all: {:?}", world.jobs);
    let (_, said) = world.say(second, b"i IDLE\r\nDONE\r\nn NOOP\r\n");
    assert_eq!(lines(&said, "* 1 EXPUNGE"), MANY);
    let (_, said) = world.say(third, b"n NOOP\r\n");
    assert!(said.contains("* VANISHED 1:") && said.contains(&format!(":{MANY}\r\n")), "{said}");
}

#[test]
fn opening_a_mailbox_costs_the_same_however_large() {
    let test = TestStore::sqlite(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    many(&mut world);
    let session = world.logged_in("alice");
    let (session, _) = world.say(session, b"s SELECT INBOX\r\n");
    world.jobs.clear();
    // The map of numbers is not needed for these.
    let (_, said) = world.say(session, b"s SELECT INBOX\r\nn NOOP\r\nu UNSELECT\r\ns STATUS INBOX (MESSAGES)\r\n");
    assert!(said.contains(&format!("* STATUS INBOX (MESSAGES {MANY})")), "{said}");
    assert_eq!(world.jobs.values().sum::<u32>(), 4, "{:?}", world.jobs);
}

/// On PostgreSQL each statement of a look is a journey, and there are no others.
#[test]
fn looks_cost_few_statements() {
    postroad_testkit::each_store(&[postroad_mail::MIGRATIONS], |test| {
        let mut world = World::new(test);
        for number in 0..5 {
            world.deliver("alice", "INBOX", &[], &format!("Subject: {number}\r\n\r\nwords\r\n"));
        }
        let mut session = world.logged_in("alice");
        // The first one claims what is recent, and one that is gone leaves a gap in the numbers.
        (session, _) = world.say(session, b"s SELECT INBOX\r\nt STORE 2 +FLAGS (\\Deleted)\r\nx EXPUNGE\r\n");
        for (command, most) in [
            // The mailbox, its keywords, the first unseen message; before that one no message is missing.
            ("SELECT INBOX", 4),
            ("NOOP", 1),
            ("STATUS INBOX (MESSAGES UNSEEN UIDNEXT HIGHESTMODSEQ)", 2),
            // The map of numbers is read once.
            ("FETCH 1:* (FLAGS)", 3),
            ("FETCH 1:* (FLAGS UID)", 2),
            ("UID FETCH 1:* (FLAGS)", 2),
            // Flags lie in pages, what a message is in its own rows.
            ("FETCH 2 (ENVELOPE)", 3),
            ("SEARCH UNSEEN", 3),
            ("NOOP", 1),
            ("EXAMINE INBOX", 4),
        ] {
            let before = world.statements.load(Ordering::Relaxed);
            let said;
            (session, said) = world.say(session, format!("c {command}\r\n").as_bytes());
            assert!(said.contains("c OK"), "{said}");
            let cost = world.statements.load(Ordering::Relaxed) - before;
            assert!(cost <= most, "{command} costs {cost} statements, not {most}");
        }
    });
}

/// What a server asks at its start, so that the first client finds it asked.
#[test]
fn what_is_rehearsed_can_be_asked() {
    postroad_testkit::each_store(&[postroad_mail::MIGRATIONS], |test| {
        let rehearse = |tx: &postroad_store::ReadTx| {
            let before = tx.statements();
            postroad_imapd::rehearse(tx)?;
            Ok::<_, postroad_mail::Error>(tx.statements() - before)
        };
        assert!(test.store.read_blocking(rehearse).expect("it is answered") >= 6);
    });
}

/// However large messages are, a listing of them reads about as many rows as it tells.
#[test]
fn messages_of_all_sizes_are_told_whole_and_in_order() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    let sizes = [10, 40_000, 200, 300_000, 7_000, 90, 150_000];
    let body = |number: usize| "all words ".repeat(sizes[number % sizes.len()] / 10);
    for number in 0..21 {
        world.deliver("alice", "INBOX", &[], &format!("Subject: {number}\r\n\r\n{}\r\n", body(number)));
    }
    let session = world.logged_in("alice");
    let (_, said) = world.say(session, b"s SELECT INBOX\r\nf FETCH 1:* (UID BODY.PEEK[TEXT])\r\n");
    let (_, mut rest) = said.split_once("s OK").expect("it is selected");
    for number in 0..21 {
        let text = format!("{}\r\n", body(number));
        let uid = number + 1;
        let wanted = format!("* {uid} FETCH (UID {uid} BODY[TEXT] {{{}}}\r\n{text})\r\n", text.len());
        let place = rest.find(&wanted).unwrap_or_else(|| panic!("{uid} is not told"));
        // A slow machine says that it is still at it.
        let between = rest[..place].lines().all(|line| line.starts_with("* OK [INPROGRESS"));
        assert!(number == 0 || between, "{uid}: {}", &rest[..place]);
        rest = &rest[place + wanted.len()..];
    }
    assert_eq!(rest, "f OK FETCH done\r\n");
}

/// A result that is followed and asks for texts: of many messages that change, a few are read by one job.
#[test]
fn texts_of_what_changed_are_read_in_parts() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    for number in 0..40 {
        world.deliver("alice", "INBOX", &[], &format!("Subject: {number}\r\n\r\nwords of {number}\r\n"));
    }
    let (first, second) = (world.logged_in("alice"), world.logged_in("alice"));
    let search = b"s SELECT INBOX\r\nf SEARCH RETURN (UPDATE COUNT) BODY words UNSEEN\r\n";
    let (first, said) = world.say(first, search);
    assert!(said.contains("COUNT 40"), "{said}");
    world.say(second, b"s SELECT INBOX\r\nt STORE 1:40 +FLAGS (\\Seen)\r\n");
    world.jobs.clear();
    let (_, said) = world.say(first, b"n NOOP\r\n");
    assert_eq!(lines(&said, "REMOVEFROM (0 "), 5, "{said}");
    assert!(said.ends_with("n OK NOOP done\r\n"), "{said}");
    assert_eq!(world.jobs["noop"], 5, "{:?}", world.jobs);
}

/// Who asks for the first or the last of what matches hears what is first and last of all, however many are looked at together.
#[test]
fn parts_of_a_result_are_those_of_the_whole() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    for number in 1..=330 {
        let word = if number % 3 == 0 && number > 30 && number < 300 { "wanted" } else { "other" };
        world.deliver("alice", "INBOX", &[], &format!("Subject: {number}\r\n\r\n{word} of {number}\r\n"));
    }
    let matching: Vec<u32> = (1..=330).filter(|number| number % 3 == 0 && *number > 30 && *number < 300).collect();
    let session = world.logged_in("alice");
    let (mut session, _) = world.say(session, b"s SELECT INBOX\r\n");
    let last = matching.len();
    let single = |number: u32| number.to_string();
    let list = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    for (returns, told) in [
        ("MIN", format!("MIN {}", single(matching[0]))),
        ("MAX", format!("MAX {}", single(matching[last - 1]))),
        ("MIN MAX", format!("MIN {} MAX {}", single(matching[0]), single(matching[last - 1]))),
        ("MAX COUNT", format!("MAX {} COUNT {last}", single(matching[last - 1]))),
        ("PARTIAL 1:3", format!("PARTIAL (1:3 {})", list(&matching[..3]))),
        ("PARTIAL 40:42", format!("PARTIAL (40:42 {})", list(&matching[39..42]))),
        ("PARTIAL -1:-3", format!("PARTIAL (-1:-3 {})", list(&matching[last - 3..]))),
        ("PARTIAL -80:-82", format!("PARTIAL (-80:-82 {})", list(&matching[last - 82..last - 79]))),
        ("PARTIAL 500:510", "PARTIAL (500:510 NIL)".to_owned()),
        ("MIN PARTIAL -1:-1", format!("MIN {} PARTIAL (-1:-1 {})", matching[0], matching[last - 1])),
    ] {
        for key in ["BODY wanted", "NOT BODY other", "BODY an"] {
            let (back, said) = world.say(session, format!("f SEARCH RETURN ({returns}) {key}\r\n").as_bytes());
            session = back;
            assert!(said.starts_with(&format!("* ESEARCH (TAG \"f\") {told}\r\n")), "{returns} {key}: {said}");
        }
    }
}

/// Keys of a part of a large mailbox are read alone, or with those before it: the order is that of all keys.
#[test]
fn parts_of_a_large_mailbox_are_sorted_as_the_whole_is() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    many(&mut world);
    let session = world.logged_in("alice");
    let (mut session, _) = world.say(session, b"s SELECT INBOX\r\n");
    let mut summaries = Vec::new();
    for (first, last) in [(24_000, 24_100), (1, 200), (50, 350), (300, 900), (24_000, 24_100), (1, MANY), (2, 20)] {
        let said;
        world.jobs.clear();
        (session, said) = world.say(session, format!("o SORT (SUBJECT) UTF-8 {first}:{last}\r\n").as_bytes());
        let told = said.lines().find_map(|line| line.strip_prefix("* SORT ")).expect("an order");
        let told: Vec<usize> = told.split(' ').map(|number| number.parse().expect("a number")).collect();
        // They are copies of three messages, again and again.
        let mut right: Vec<usize> = (first..=last).collect();
        right.sort_by_key(|number| ((number - 1) % 3, *number));
        assert_eq!(told, right, "{first}:{last}");
        summaries.push(world.jobs["sort"]);
    }
    assert_eq!(summaries.iter().filter(|jobs| **jobs > 2).count(), 1, "only the whole is much work: {summaries:?}");
}

/// In a large mailbox flags are looked for at its end, then in what is remembered of it: what is found is what is there.
#[test]
fn flags_of_a_large_mailbox_are_found_wherever_they_are() {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let mut world = World::new(&test);
    many(&mut world);
    let mut session = world.logged_in("alice");
    let seen =
        format!("s SELECT INBOX\r\nt STORE 1:* +FLAGS.SILENT (\\Seen)\r\nt STORE {MANY} -FLAGS.SILENT (\\Seen)\r\n");
    (session, _) = world.say(session, seen.as_bytes());
    for (change, search, found) in [
        ("NOOP", "UNSEEN", format!(" {MANY}")),
        ("STORE 7 -FLAGS.SILENT (\\Seen)", "UNSEEN", format!(" 7 {MANY}")),
        ("NOOP", "UNSEEN", format!(" 7 {MANY}")),
        ("STORE 9 +FLAGS.SILENT (\\Flagged)", "FLAGGED", " 9".to_owned()),
        ("STORE 8:10 +FLAGS.SILENT (\\Deleted)", "DELETED SEEN UNFLAGGED", " 8 10".to_owned()),
        ("STORE 9 -FLAGS.SILENT (\\Seen)", "UNSEEN UNDELETED", format!(" 7 {MANY}")),
        ("EXPUNGE", "UNSEEN", format!(" 7 {}", MANY - 3)),
        ("STORE 7 +FLAGS.SILENT (\\Seen)", "UNSEEN", format!(" {}", MANY - 3)),
        ("STORE 1:* -FLAGS.SILENT (\\Seen)", "SEEN", String::new()),
    ] {
        let said;
        (session, said) = world.say(session, format!("c {change}\r\nf SEARCH {search}\r\n").as_bytes());
        assert!(said.contains(&format!("* SEARCH{found}\r\n")), "{change}, {search}: {said}");
    }
}
