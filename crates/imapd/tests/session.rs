//! What a transcript cannot show: time, and what a session asks of its loop.

mod common;

use std::sync::Arc;
use std::time::Duration;

use postroad_imapd::{Job, Outcome, RecentClaims, Settings};
use postroad_mail::Refused;
use postroad_protocol::{Interrupt, Protocol, Step};
use postroad_testkit::TestStore;

use common::World;

fn world() -> (TestStore, World) {
    let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
    let world = World::new(&test);
    (test, world)
}

#[test]
fn patience_is_short_before_login_and_long_in_idle() {
    let (_test, mut world) = world();
    let session = world.connect();
    assert_eq!(session.patience(), Duration::from_secs(90));
    let session = world.logged_in("alice");
    assert_eq!(session.patience(), Duration::from_secs(30 * 60));
    assert_eq!(session.tick_every(), None);
    let (session, _) = world.say(session, b"s SELECT INBOX\r\ni IDLE\r\n");
    // Outlook hangs when it is dropped in IDLE.
    assert!(session.patience() >= Duration::from_secs(60 * 60));
    assert_eq!(session.tick_every(), Some(Duration::from_secs(120)));
}

#[test]
fn a_client_in_idle_hears_that_we_are_still_here() {
    let (_test, mut world) = world();
    let session = world.logged_in("alice");
    let (mut session, _) = world.say(session, b"s SELECT INBOX\r\ni IDLE\r\n");
    session.tick();
    let (session, said) = world.say(session, b"");
    assert_eq!(said, "* OK Still here\r\n");
    // The tick also finds what no hint told of.
    world.deliver("alice", "INBOX", &[], "Subject: x\r\n\r\nx\r\n");
    let mut session = session;
    session.tick();
    let (mut session, said) = world.say(session, b"");
    assert_eq!(said, "* OK Still here\r\n* 1 EXISTS\r\n* 1 RECENT\r\n");
    session.interrupt(Interrupt::TimedOut);
    let (mut session, said) = world.say(session, b"");
    assert_eq!(said, "* BYE autologout: nothing was heard for too long\r\n");
    assert_eq!(session.step(), Step::Close);
}

#[test]
fn a_session_listens_before_it_looks() {
    let (_test, mut world) = world();
    let session = world.logged_in("alice");
    let (mut session, _) = world.say(session, b"s SELECT INBOX\r\ni IDLE\r\n");
    let Step::Wait(Job::Idle { accounts }) = session.step() else { panic!("IDLE waits") };
    let [(account, since)] = accounts[..] else { panic!("one account") };
    assert_eq!((account, since.0), (world.accounts["alice"], -1), "the first wait is for anything at all");
    let (mut session, _) = world.news(session);
    let Step::Wait(Job::Idle { accounts }) = session.step() else { panic!("IDLE waits") };
    let [(_, heard)] = accounts[..] else { panic!("one account") };
    assert!(heard.0 > 0, "then for what is newer than what was seen");
    // News of another mailbox say nothing, and are heard once.
    world.deliver("alice", "Junk", &[], "Subject: x\r\n\r\nx\r\n");
    let (mut session, said) = world.news(session);
    assert_eq!(said, "");
    let Step::Wait(Job::Idle { accounts }) = session.step() else { panic!("IDLE waits") };
    let [(_, since)] = accounts[..] else { panic!("one account") };
    assert!(since > heard, "or the loop would spin");
}

#[test]
fn failed_logins_are_held_back_longer_and_longer() {
    let (_test, world) = world();
    let settings = Settings { no_delay_on_loopback: false, ..world.settings.clone() };
    let mut session = world.connect_with(settings, None);
    let mut delays = Vec::new();
    for _ in 0..5 {
        session.input(b"a LOGIN alice@example.test wrong\r\n");
        let Step::Do(Job::Login(_)) = session.step() else { panic!("a login is to be checked") };
        session.logged_in(Outcome::refused(Refused::Wrong));
        session.take_output();
        let Step::Do(Job::Pause(delay)) = session.step() else { panic!("the answer is held back") };
        assert!(session.take_output().is_empty(), "nothing is said before");
        delays.push(delay.as_secs());
        session.resumed();
        assert!(session.take_output().starts_with(b"a NO [AUTHENTICATIONFAILED]"));
    }
    assert_eq!(delays, [2, 4, 8, 16, 16]);
    assert_eq!(session.step(), Step::Close);
}

#[test]
fn nothing_is_said_of_a_change_before_it_is_stored() {
    let (_test, mut world) = world();
    world.deliver("alice", "INBOX", &[], "Subject: x\r\n\r\nx\r\n");
    let session = world.logged_in("alice");
    let (mut session, _) = world.say(session, b"s SELECT INBOX\r\n");
    session.input(b"t STORE 1 +FLAGS (\\Deleted)\r\n");
    let Step::Do(Job::Write(locks, "store")) = session.step() else { panic!("STORE writes") };
    let now = world.now;
    // The handler ran to its end, and then COMMIT failed.
    let (session, stored) = postroad_testkit::wait(world.store.write_with(locks, session, move |tx, session| {
        postroad_imapd::Session::run_write(session, tx, now)?;
        Err::<(), _>(postroad_imapd::Error::from(postroad_store::Error::Full("the disk is full".into())))
    }));
    let mut session = session.expect("it comes back");
    assert!(session.take_output().is_empty(), "said before it was stored");
    session.write_done(stored.map(|stored| stored.receipt));
    let (session, said) = world.say(session, b"f FETCH 1 FLAGS\r\n");
    assert_eq!(
        said,
        "t NO [UNAVAILABLE] the server has no room left; try again later\r\n\
         * 1 FETCH (FLAGS (\\Recent))\r\nf OK FETCH done\r\n"
    );
    drop(session);
}

#[test]
fn a_line_too_long_is_answered_with_the_tag_of_the_command_that_asked() {
    let (_test, mut world) = world();
    let session = world.logged_in("alice");
    let (session, _) = world.say(session, b"i IDLE\r\n");
    let (session, said) = world.say(session, &b"x".repeat(70_000));
    assert_eq!(said, "i BAD the line is too long\r\n");
    let (_, said) = world.say(session, b"\r\nn NOOP\r\n");
    assert_eq!(said, "n OK NOOP done\r\n");
    let session = world.connect();
    let (session, _) = world.say(session, b"a AUTHENTICATE PLAIN\r\n");
    let (session, said) = world.say(session, &b"x".repeat(50_000));
    assert_eq!(said, "a BAD the line is too long\r\n");
    let (_, said) = world.say(session, b"\r\nn NOOP\r\n");
    assert_eq!(said, "n OK NOOP done\r\n");
}

#[test]
fn an_id_of_the_largest_size_allowed_is_taken_before_login() {
    let (_test, mut world) = world();
    let session = world.connect();
    // RFC 2971 §3.3: 30 fields, names of 30 octets, values of 1024.
    let field = |n: usize| format!("\"{n:030}\" \"{}\"", "v".repeat(1024));
    let fields: Vec<String> = (0..30).map(field).collect();
    let (_, said) = world.say(session, format!("i ID ({})\r\n", fields.join(" ")).as_bytes());
    assert!(said.ends_with("i OK ID done\r\n"), "{said}");
}

#[test]
fn the_patterns_of_a_list_are_bounded() {
    let (_test, mut world) = world();
    let session = world.logged_in("alice");
    let patterns = format!("\"{}\" ", "%*".repeat(400)).repeat(6);
    let (_, said) = world.say(session, format!("l LIST \"\" ({})\r\n", patterns.trim_end()).as_bytes());
    assert_eq!(said, "l NO [LIMIT] the patterns of one LIST are too long\r\n");
}

#[test]
fn what_vanished_is_told_after_the_retention_too() {
    let (_test, mut world) = world();
    for number in 0..4 {
        world.deliver("alice", "INBOX", &[], &format!("Subject: {number}\r\n\r\nx\r\n"));
    }
    let other = world.logged_in("alice");
    let (other, _) = world.say(other, b"s SELECT INBOX\r\nd STORE 1 +FLAGS (\\Deleted)\r\ne EXPUNGE\r\n");
    // It has not needed the numbers of its messages yet.
    let session = world.logged_in("alice");
    let (session, said) = world.say(session, b"s SELECT INBOX\r\n");
    assert!(said.contains("* 3 EXISTS"), "{said}");
    let (_, _) = world.say(other, b"d STORE 1 +FLAGS (\\Deleted)\r\ne EXPUNGE\r\n");
    // The retention passes, and what both took is gone for good; the journal still has it.
    let (account, before) = (world.accounts["alice"], world.now.plus(Duration::from_secs(60)));
    let swept = world.store.write_blocking(postroad_store::Locks::account(account), move |tx| {
        postroad_mail::retention::sweep(tx, account, before)
    });
    swept.expect("it can be swept");
    let (_, said) = world.say(session, b"n NOOP\r\n");
    assert_eq!(said, "* 1 EXPUNGE\r\nn OK NOOP done\r\n");
}

/// Where the database says who shows what as recent, and cannot be told: what came is not recent to this session, and stays that.
#[test]
fn what_was_told_as_not_recent_stays_that() {
    let (_test, mut world) = world();
    world.settings.recent = Arc::new(RecentClaims::of_the_database());
    let session = world.logged_in("alice");
    let (mut session, _) = world.say(session, b"s SELECT INBOX\r\n");
    world.deliver("alice", "INBOX", &[], "Subject: 1\r\n\r\nx\r\n");
    session.input(b"n NOOP\r\n");
    let mut said = Vec::new();
    let mut session = loop {
        let step = session.step();
        said.extend(session.take_output());
        let Step::Do(job) = step else { break session };
        world.away = matches!(job, Job::Write(..));
        session = world.perform(session, job);
        world.away = false;
    };
    assert_eq!(String::from_utf8_lossy(&said), "* 1 EXISTS\r\n* 0 RECENT\r\nn OK NOOP done\r\n");
    world.deliver("alice", "INBOX", &[], "Subject: 2\r\n\r\nx\r\n");
    let told;
    (session, told) = world.say(session, b"t STORE 1 +FLAGS (\\Seen)\r\nf FETCH 1:2 FLAGS\r\n");
    assert!(told.contains("* 2 EXISTS\r\n* 1 RECENT\r\n"), "{told}");
    assert!(told.contains("* 1 FETCH (FLAGS (\\Seen))\r\n* 2 FETCH (FLAGS (\\Recent))\r\nf OK"), "{told}");
    drop(session);
}
