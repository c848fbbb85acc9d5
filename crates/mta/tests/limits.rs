//! Limits and faults: loops, headers without end, bodies at the same time, a database that goes away.

mod town;

use postroad_mail::{Address, Error, Service, accounts, addresses};
use postroad_mta::{ForeignFrom, FullMailbox};
use postroad_store::{BlobPlace, Database, Locks, Settings, Store};
use postroad_testkit::postgres::{Durability, Server};
use postroad_testkit::{TestStore, transcript};
use town::{MIGRATIONS, Town};

#[test]
fn a_message_that_goes_in_circles_is_stopped() {
    let test = TestStore::memory(MIGRATIONS);
    let header = "Received: from x by y; Sun, 22 Nov 2026 12:00:00 +0000\n";
    let text = |count: usize, reply: &str| {
        format!(
            "@open 1 relay from 192.0.2.7\nS: 220 {{*}}\nC: EHLO x.test\nS*: 250 {{*}}\n\
             C: MAIL FROM:<x@x.test>\nC: RCPT TO:<alice@example.test>\nC: DATA\nS: 250 {{*}}\nS: 250 {{*}}\nS: 354 {{*}}\n\
             C<<END\n{}\n.\nEND\nS: {reply}\n",
            header.repeat(count)
        )
    };
    let town = |store: &Store| Town::with(store, |settings| settings.received_limit = 30);
    transcript::check(&text(30, "250 2.0.0 {*}"), town(&test.store));
    let again = TestStore::memory(MIGRATIONS);
    let refused = "554 5.4.6 This message has passed 31 servers already; it goes in circles.";
    transcript::check(&text(31, refused), town(&again.store));
    assert_eq!(Town::again(&again.store).messages("alice@example.test", "INBOX").len(), 0);
}

#[test]
fn a_header_of_ten_megabytes_comes_in() {
    let test = TestStore::memory(MIGRATIONS);
    let field = format!("X-Long: {}\n", "long ".repeat(200));
    let header = field.repeat(10 * 1024 * 1024 / field.len());
    let text = format!(
        "S: 220 {{*}}\nC: EHLO x.test\nS*: 250 {{*}}\n\
         C: MAIL FROM:<x@x.test>\nC: RCPT TO:<alice@example.test>\nC: DATA\nS: 250 {{*}}\nS: 250 {{*}}\nS: 354 {{*}}\n\
         C<<END\nSubject: long\n{header}\nbody\n.\nEND\nS: 250 2.0.0 {{*}}\n"
    );
    transcript::check(&text, Town::new(&test.store));
    let stored = Town::again(&test.store).messages("alice@example.test", "INBOX");
    assert!(stored[0].contains(&header.replace('\n', "\r\n")), "not the same octets");
}

#[test]
fn a_header_without_end_is_refused() {
    let test = TestStore::memory(MIGRATIONS);
    let field = format!("X-Long: {}\n", "long ".repeat(200));
    let text = format!(
        "S: 220 {{*}}\nC: EHLO x.test\nS*: 250 {{*}}\n\
         C: MAIL FROM:<x@x.test>\nC: RCPT TO:<alice@example.test>\nC: DATA\nS: 250 {{*}}\nS: 250 {{*}}\nS: 354 {{*}}\n\
         C<<END\n{}\nbody\n.\nEND\nS: 554 5.6.0 {{*}}\n@count alice@example.test INBOX 0\nC: NOOP\nS: 250 {{*}}\n",
        field.repeat(17 * 1024 * 1024 / field.len())
    );
    transcript::check(&text, Town::new(&test.store));
}

#[test]
fn bodies_wait_for_their_turn_or_come_again() {
    let test = TestStore::memory(MIGRATIONS);
    let town = Town::with(&test.store, |settings| {
        settings.bodies_memory = 256 * 1024;
        settings.bodies_wait = std::time::Duration::ZERO;
    });
    let text = "S: 220 {*}\nC: EHLO x.test\nS*: 250 {*}\nS2: 220 {*}\nC2: EHLO x.test\nS2*: 250 {*}\n\
        C: MAIL FROM:<x@x.test>\nC: RCPT TO:<alice@example.test>\nC: DATA\nS: 250 {*}\nS: 250 {*}\nS: 354 {*}\n\
        C2: MAIL FROM:<y@x.test>\nC2: RCPT TO:<alice@example.test>\nC2: DATA\nS2: 250 {*}\nS2: 250 {*}\nS2: 354 {*}\n\
        C: Subject: the first\n\
        C2: Subject: the second\nC2: \nC2: .\n\
        S2: 452 4.3.1 Too many messages are arriving at this moment. Please try again soon.\n\
        C: \nC: .\nS: 250 2.0.0 {*}\n\
        C2: MAIL FROM:<y@x.test>\nC2: RCPT TO:<alice@example.test>\nC2: DATA\nS2: 250 {*}\nS2: 250 {*}\nS2: 354 {*}\n\
        C2: Subject: the second\nC2: \nC2: .\nS2: 250 2.0.0 {*}\n\
        @count alice@example.test INBOX 2\n";
    transcript::check(text, town);
}

/// More accounts than one transaction of PostgreSQL locks one by one.
#[test]
fn a_message_to_a_large_group_reaches_everybody() {
    let test = TestStore::postgres(MIGRATIONS);
    let town = Town::new(&test.store);
    let names: Vec<String> = (0..=Locks::MAX).map(|number| format!("m{number}@example.test")).collect();
    let members: Vec<Address> = names.iter().map(|name| Address::parse(name).expect("an address")).collect();
    town.change(move |tx, by| {
        for address in members.clone() {
            let display_name = String::new();
            let (quota_bytes, quota_messages) = (0, 0);
            let new = accounts::NewAccount { address, display_name, password: None, quota_bytes, quota_messages };
            accounts::create(tx, by, &new)?;
        }
        let half = Address::parse("half@example.test").map_err(Error::AddressInvalid)?;
        let all = Address::parse("all@example.test").map_err(Error::AddressInvalid)?;
        let (first, second) = members.split_at(members.len() / 2);
        addresses::create(tx, by, &half, &addresses::Kind::Group(first.to_vec()))?;
        addresses::create(tx, by, &all, &addresses::Kind::Group([second, &[half]].concat()))
    });
    let text = "S: 220 {*}\nC: EHLO x.test\nS*: 250 {*}\n\
        C: MAIL FROM:<x@x.test>\nC: RCPT TO:<all@example.test>\nC: DATA\nS: 250 {*}\nS: 250 {*}\nS: 354 {*}\n\
        C: Subject: hello all\nC: \nC: .\nS: 250 2.0.0 {*}\n";
    transcript::check(text, town);
    let reached = test.store.read_blocking(|tx| {
        tx.one("SELECT count(*) FROM mailbox WHERE id = 1 AND messages = 1", &[], |row| row.int(0))
    });
    assert_eq!(reached, Ok(Locks::MAX as i64 + 1));
}

#[test]
fn strict_settings_refuse() {
    let test = TestStore::memory(MIGRATIONS);
    let town = Town::with(&test.store, |settings| {
        settings.foreign_from = ForeignFrom::Refuse;
        settings.full_mailbox = FullMailbox::Refuse;
        settings.hide_login = true;
        settings.hide_client = true;
        settings.header_firewall = false;
    });
    let text = "@account small@example.test 10 0\n@open 1 submission\nS: 220 {*}\nC: EHLO localhost\nS*: 250 {*}\n\
        C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABjb3JyZWN0IGhvcnNl\nS: 235 {*}\n\
        C: MAIL FROM:<alice@example.test> SIZE=100\nC: RCPT TO:<small@example.test>\nC: RCPT TO:<bob@example.test>\n\
        C: DATA\nS: 250 {*}\nS: 552 5.2.2 The mailbox is full.\nS: 250 {*}\nS: 354 {*}\n\
        C<<END\nFrom: bob@example.test\n\n.\nEND\n\
        S: 550 5.7.1 alice@example.test may not send with this From address. Use one of your own, or have an alias made for this one.\n\
        C: MAIL FROM:<alice@example.test>\nC: RCPT TO:<bob@example.test>\nC: DATA\n\
        S: 250 {*}\nS: 250 {*}\nS: 354 {*}\n\
        C<<END\nFrom: alice@example.test\nDate: x\nMessage-ID: <1@x>\nX-MS-Exchange-Organization-A: b\n\n.\nEND\n\
        S: 250 {*}\n\
        @newest bob@example.test INBOX <<END\n\
        Return-Path: <alice@example.test>\n\
        Received: from hidden.invalid\n\tby mx.example.test with ESMTPA\n\tid {*}\n\tfor <bob@example.test>;\n\t{*}\n\
        From: alice@example.test\nDate: x\nMessage-ID: <1@x>\nX-MS-Exchange-Organization-A: b\n\nEND\n";
    transcript::check(text, town);
}

/// Our signature and our addresses vouch for whoever is at a domain of ours, so that nobody but the owner is written as,
/// whoever else Sender or Resent-From name; of others' domains that is said in Sender.
#[test]
fn nobody_writes_as_a_neighbour() {
    let test = TestStore::memory(MIGRATIONS);
    let town = Town::new(&test.store);
    let mut text = "@open 1 submission\nS: 220 {*}\nC: EHLO localhost\nS*: 250 {*}\n\
        C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABjb3JyZWN0IGhvcnNl\nS: 235 {*}\n"
        .to_owned();
    for (header, reply) in [
        ("From: bob@example.test", "550 5.7.1"),
        ("From: bob@example.test\nSender: alice@example.test", "550 5.7.1"),
        ("From: bob@example.test\nResent-From: alice@example.test", "550 5.7.1"),
        ("From: alice@example.test, bob@example.test", "550 5.7.1"),
        ("From: nobody@EXAMPLE.test.", "550 5.7.1"),
        ("From: ceo@a.b.example.test", "550 5.7.1"),
        ("From: ceo@test", "550 5.7.1"),
        ("From: bob@example.test alice@example.test", "550 5.7.1"),
        ("From: A group: bob@example.test, alice@example.test;", "550 5.7.1"),
        ("From: =?utf-8?q?bob=40example.test=00?=@far.test", "550 5.7.1"),
        ("From: bob@example.test <>", "550 5.7.1"),
        ("From: alice@example.test\nFrom: bob@example.test", "554 5.6.0"),
        ("From: x@far.test", "250 2.0.0"),
        ("From: x@notexample.test\nResent-From: alice@example.test", "250 2.0.0"),
        ("From: \"bob@example.test\" <alice@example.test>", "250 2.0.0"),
    ] {
        text.push_str(&format!(
            "C: MAIL FROM:<alice@example.test>\nC: RCPT TO:<bob@example.test>\nC: DATA\n\
             S: 250 {{*}}\nS: 250 {{*}}\nS: 354 {{*}}\nC<<END\n{header}\nDate: x\nMessage-ID: <1@x>\n\n.\nEND\nS: {reply} {{*}}\n"
        ));
    }
    transcript::check(&text, town);
}

#[test]
fn an_app_password_is_for_its_service_and_its_time() {
    let test = TestStore::sqlite(MIGRATIONS);
    let town = Town::new(&test.store);
    let plain = |password: &str| base64(format!("\0alice@example.test\0{password}").as_bytes());
    let send = plain(&town.app_password("alice@example.test", Service::Smtp));
    let read = plain(&town.app_password("alice@example.test", Service::Imap));
    let text = format!(
        "@open 1 submission\nS: 220 {{*}}\nC: EHLO localhost\nS*: 250 {{*}}\n\
         C: AUTH PLAIN {read}\nS: 535 5.7.8 This app password is not for sending mail. Make one that is.\n\
         C: AUTH PLAIN {send}\nS: 235 {{*}}\nC: QUIT\nS: 221 {{*}}\n@advance 2h\n\
         @open 2 submission\nS2: 220 {{*}}\nC2: EHLO localhost\nS2*: 250 {{*}}\n\
         C2: AUTH PLAIN {send}\nS2: 535 5.7.8 This password, token or ticket has expired.\n"
    );
    transcript::check(&text, town);
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

/// A database that goes away costs no message and no connection: senders are told to come again.
#[test]
fn a_lost_database_is_told_and_comes_back() {
    let server = Server::start(Durability::Fast);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut settings =
        Settings::new(Database::Postgres(server.fresh_database()), BlobPlace::Folder(folder.path().into()));
    settings.patience = std::time::Duration::from_millis(100);
    let store = Store::open(settings).expect("the store opens");
    let all: Vec<_> =
        [postroad_store::MIGRATIONS].iter().chain(MIGRATIONS).flat_map(|list| list.iter().copied()).collect();
    store.migrate(&all).expect("it can be migrated");
    let mut stage = Faulty { town: Town::new(&store), server: &server };
    let text = "S: 220 {*}\nC: EHLO x.test\nS*: 250 {*}\n\
        C: MAIL FROM:<x@x.test>\nC: RCPT TO:<alice@example.test>\nC: DATA\nS: 250 {*}\nS: 250 {*}\nS: 354 {*}\n\
        @stop\nC: Subject: lost\nC: \nC: .\nS: 451 4.3.{*}\n\
        C: MAIL FROM:<x@x.test>\nS: 250 {*}\nC: RCPT TO:<alice@example.test>\nS: 451 4.3.{*}\nC: RSET\nS: 250 {*}\n\
        @start\n@healthy\n\
        C: MAIL FROM:<x@x.test>\nC: RCPT TO:<alice@example.test>\nC: DATA\nS: 250 {*}\nS: 250 {*}\nS: 354 {*}\n\
        C: Subject: kept\nC: \nC: .\nS: 250 2.0.0 {*}\n\
        @count alice@example.test INBOX 1\n";
    transcript::check(text, &mut stage);
    stage.town.audit();
    store.close();
}

struct Faulty<'a> {
    town: Town,
    server: &'a Server,
}

impl transcript::Stage<postroad_mta::Session> for &mut Faulty<'_> {
    fn open(&mut self, open: &transcript::Open) -> Result<postroad_mta::Session, String> {
        self.town.open(open)
    }

    fn perform(&mut self, session: postroad_mta::Session, stage: postroad_smtp::Stage) -> postroad_mta::Session {
        self.town.perform(session, stage)
    }

    fn directive(&mut self, directive: &transcript::Directive) -> Result<(), String> {
        match directive.name.as_str() {
            "stop" => self.server.stop(),
            "start" => self.server.start_again(),
            // Connections come back by themselves, after a moment.
            "healthy" => {
                let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
                while self.town.store.read_blocking(postroad_mail::domains::list).is_err() {
                    assert!(std::time::Instant::now() < until, "the store does not come back");
                    std::thread::yield_now();
                }
            }
            _ => return self.town.directive(directive),
        }
        Ok(())
    }
}
