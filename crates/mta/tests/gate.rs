//! What strangers hear at the gate: limits, lists, and being shut out; what does not concern others.

mod town;

use std::sync::Arc;

use postroad_dns::Fixed;
use postroad_mta::{
    Checker, Gate, GreylistMode, GreylistSettings, ListAction, ListKind, ListSettings, RateSettings, Scores,
};
use postroad_net::{BanSettings, Bans};
use postroad_store::{AccountId, Locks, Store, Timestamp};
use postroad_testkit::{TestStore, each_store, transcript};
use postroad_trust::greylist::{self, Terms};
use postroad_trust::sending::{self, Limits, Own};
use tokio::time::Instant;
use town::{MIGRATIONS, Town};

const HELLO: &str = "S: 220 {*}\nC: EHLO x.test\nS*: 250 {*}\n";
const STRANGER: &str = "192.0.2.7";

fn trusting() -> Gate {
    Gate::new(vec!["127.0.0.0/8".parse().expect("a network")])
}

fn mail(sender: &str, reply: &str) -> String {
    format!("C: MAIL FROM:<{sender}>\nS: {reply}\nC: RSET\nS: 250 {{*}}\n")
}

#[test]
fn an_hour_has_so_many_messages_of_one_client_and_one_sender() {
    each_store(MIGRATIONS, |test| {
        let rates = RateSettings { messages_per_client: 60, messages_per_sender: 2, ..RateSettings::default() };
        let taken = "250 {*}";
        let full = "450 4.7.1 More than 2 messages from this sender in an hour; try again in 30 minutes.";
        let text = format!(
            "@open 1 relay from {STRANGER}\n{HELLO}{}{}{}{}@open 2 relay\nS2: 220 {{*}}\nC2: EHLO x.test\nS2*: 250 {{*}}\n{}",
            mail("a@x.test", taken),
            mail("A@X.test", taken),
            mail("a@x.test", full),
            mail("b@x.test", taken),
            // This machine is trusted.
            mail("a@x.test", taken).replace("C:", "C2:").replace("S:", "S2:").repeat(3),
        );
        transcript::check(&text, Town::new(&test.store).behind(trusting().with_rates(rates)));
    });
}

#[test]
fn a_recipient_gets_so_many_in_an_hour_and_the_story_says_so() {
    let test = TestStore::memory(MIGRATIONS);
    let rates = RateSettings { messages_per_recipient: 1, ..RateSettings::default() };
    let text = format!(
        "@open 1 relay from {STRANGER}\n{HELLO}C: MAIL FROM:<a@x.test>\nS: 250 {{*}}\n\
         C: RCPT TO:<alice@example.test>\nS: 250 {{*}}\nC: RCPT TO:<Alice@Example.test>\n\
         S: 452 4.7.1 More than 1 messages for this recipient in an hour; try again in 60 minutes.\n\
         C: RCPT TO:<bob@example.test>\nS: 250 {{*}}\nC: RSET\nS: 250 {{*}}\n@told\n\
         @story a@x.test <<END\n{{*}}\n{{*}}\n{{*}}452 4.7.1 More than 1 messages for this recipient{{*}}\n{{*}}\nEND\n"
    );
    transcript::check(&text, Town::new(&test.store).behind(trusting().with_rates(rates)));
}

#[test]
fn who_logged_in_is_no_stranger() {
    let test = TestStore::memory(MIGRATIONS);
    let rates = RateSettings { messages_per_client: 1, messages_per_sender: 1, ..RateSettings::default() };
    // ALICE's password in PLAIN.
    let text = format!(
        "@open 1 submission from {STRANGER} tls\n{HELLO}C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABjb3JyZWN0IGhvcnNl\n\
         S: 235 {{*}}\n{}",
        mail("alice@example.test", "250 {*}").repeat(3)
    );
    transcript::check(&text, Town::new(&test.store).behind(trusting().with_rates(rates)));
}

fn listing(action: ListAction) -> Gate {
    let dns = Fixed::new()
        .with_address("2.0.0.127.bl.test", [127, 0, 0, 2])
        .with_address("7.2.0.192.bl.test", [127, 0, 0, 4])
        .with_txt("7.2.0.192.bl.test", "see https://bl.test/");
    let list = ListSettings { zone: "bl.test".into(), kind: ListKind::Block, codes: Vec::new(), action, weight: 0 };
    trusting().with_lists(Arc::new(dns), vec![list], Scores::default())
}

#[test]
fn whom_a_list_has_may_write_to_the_postmaster_alone() {
    let test = TestStore::memory(MIGRATIONS);
    let town = Town::new(&test.store);
    town.change(|tx, by| {
        let alias = postroad_mail::addresses::Kind::Alias(vec![town::address("alice@example.test")]);
        postroad_mail::addresses::create(tx, by, &town::address("postmaster@example.test"), &alias)
    });
    let envelope = "C: MAIL FROM:<a@x.test>\nS: 250 {*}\nC: RCPT TO:<alice@example.test>\n";
    let text = format!(
        "@open 1 relay from {STRANGER}\n{HELLO}{envelope}\
         S: 550 5.7.1 192.0.2.7 is on the list bl.test. Have it taken off there, or write to our postmaster, who may let it in. It says: see https://bl.test/\n\
         C: RCPT TO:<postmaster@example.test>\nS: 250 {{*}}\nC: RSET\nS: 250 {{*}}\n@told\n\
         @story a@x.test <<END\n{{*}}\n{{*}}\n{{*}}the client is on the list bl.test (127.0.0.4), weight 0\n{{*}}550 5.7.1{{*}}\n{{*}}\nEND\n\
         @open 2 relay from 192.0.2.8\n{}{}S2: 250 {{*}}\n",
        HELLO.replace("S:", "S2:").replace("C:", "C2:").replace("S*:", "S2*:"),
        envelope.replace("S:", "S2:").replace("C:", "C2:"),
    );
    transcript::check(&text, town.behind(listing(ListAction::Reject)));
}

#[test]
fn what_a_list_marks_says_so() {
    for (action, mailbox) in [(ListAction::Tag, "INBOX"), (ListAction::Junk, "Junk")] {
        let test = TestStore::memory(MIGRATIONS);
        let text = format!(
            "@open 1 relay from {STRANGER}\n{HELLO}C: MAIL FROM:<a@x.test>\nS: 250 {{*}}\nC: RCPT TO:<alice@example.test>\n\
             S: 250 {{*}}\nC: DATA\nS: 354 {{*}}\nC: Subject: x\nC: \nC: .\nS: 250 2.0.0 {{*}}\n@count alice@example.test {mailbox} 1\n"
        );
        transcript::check(&text, Town::new(&test.store).behind(listing(action)));
        let town = Town::again(&test.store);
        let kept = town.messages("alice@example.test", mailbox);
        assert!(kept[0].contains("X-Postroad-Listed: bl.test (127.0.0.4)\r\n"), "{}", kept[0]);
    }
}

#[test]
fn who_guesses_recipients_or_speaks_http_is_shut_out() {
    let guess = format!(
        "@open N relay from {STRANGER}\n{HELLO}C: MAIL FROM:<a@x.test>\nS: 250 {{*}}\n\
         C: RCPT TO:<x@example.test>\nS: 550 {{*}}\nC: RCPT TO:<y@example.test>\nS: 421 {{*}}\n"
    );
    let http = format!("@open N relay from {STRANGER}\nS: 220 {{*}}\nC: GET / HTTP/1.1\nS: 554 {{*}}\n");
    for (text, trusted) in [(&guess, false), (&http, false), (&http, true)] {
        let test = TestStore::memory(MIGRATIONS);
        let bans = Arc::new(Bans::new(BanSettings { points: 20, ..BanSettings::default() }));
        let trust = if trusted { STRANGER } else { "127.0.0.0/8" };
        let gate = Gate::new(vec![trust.parse().expect("a network")]).with_bans(Arc::clone(&bans));
        let of = |number: &str| {
            let text = text.replace("@open N", &format!("@open {number}"));
            text.replace("S:", &format!("S{number}:"))
                .replace("C:", &format!("C{number}:"))
                .replace("S*:", &format!("S{number}*:"))
        };
        let town = Town::with(&test.store, |settings| settings.unknown_limit = 1).behind(gate);
        transcript::check(&format!("{}{}", of("1"), of("2")), town);
        let client = STRANGER.parse().expect("an address");
        assert_eq!(bans.is_out(client, Instant::now()), !trusted, "{text}");
    }
}

#[test]
fn what_this_machine_asks_of_itself_is_not_held_against_it() {
    for (from, out) in [("127.0.0.1", false), ("127.0.0.2", true)] {
        let test = TestStore::memory(MIGRATIONS);
        let bans = Arc::new(Bans::new(BanSettings { points: 20, ..BanSettings::default() }).sparing(Vec::new()));
        let gate = Gate::new(Vec::new()).with_bans(Arc::clone(&bans));
        let http = format!("@open N relay from {from}\nS: 220 {{*}}\nC: GET / HTTP/1.1\nS: 554 {{*}}\n");
        transcript::check(&(numbered(&http, 1) + &numbered(&http, 2)), Town::new(&test.store).behind(gate));
        assert_eq!(bans.is_out(from.parse().expect(from), Instant::now()), out, "{from}");
    }
}

/// `big.test` sends from two networks that its SPF record names, `poor.test` says nothing, and `neat.test` has all in order.
fn names() -> Fixed {
    Fixed::new()
        .with_txt("big.test", "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 -all")
        .with_txt("neat.test", "v=spf1 ip4:203.0.113.7 -all")
        .with_ptr([203, 0, 113, 7], "mx.neat.test")
        .with_address("mx.neat.test", [203, 0, 113, 7])
}

fn greylisting(mode: GreylistMode) -> Gate {
    let terms = Terms { enough: 2, ..Terms::default() };
    trusting().with_greylist(GreylistSettings { mode, terms })
}

fn behind_greylist(store: &Store, mode: GreylistMode) -> Town {
    Town::checked(store, Checker::asking(Arc::new(names()))).behind(greylisting(mode))
}

/// A session `number` that brings a message, or hears this at RCPT.
fn bring(number: u32, client: &str, sender: &str, recipient: &str, reply: &str) -> String {
    let text = format!(
        "@open N relay from {client}\n{HELLO}C: MAIL FROM:<{sender}>\nS: 250 {{*}}\nC: RCPT TO:<{recipient}>\nS: {reply}\n"
    );
    let rest = match reply.starts_with("250") {
        true => "C: DATA\nS: 354 {*}\nC: From: a@from.test\nC: \nC: .\nS: 250 2.0.0 {*}\nC: QUIT\nS: 221 {*}\n",
        false => "C: QUIT\nS: 221 {*}\n",
    };
    numbered(&(text + rest), number)
}

fn numbered(text: &str, number: u32) -> String {
    text.replace("@open N", &format!("@open {number}"))
        .replace("S:", &format!("S{number}:"))
        .replace("C:", &format!("C{number}:"))
        .replace("S*:", &format!("S{number}*:"))
}

const TAKEN: &str = "250 {*}";
const AGAIN: &str = "451 4.7.1 Greylisted: your server is not known here yet. It tries again by itself, and the message is taken from 5 minutes on; nobody has to do anything.";
const ALICE: &str = "alice@example.test";

#[test]
fn who_is_not_known_comes_again_and_is_known_in_the_end() {
    each_store(MIGRATIONS, |test| {
        let sooner = AGAIN.replace("5 minutes", "3 minutes");
        let text = [
            bring(1, STRANGER, "a@poor.test", ALICE, AGAIN),
            // The postmaster can be written to, and notices do not wait.
            bring(2, STRANGER, "", ALICE, TAKEN),
            "@advance 2m\n".into(),
            bring(3, STRANGER, "A@poor.test", ALICE, &sooner),
            "@advance 3m\n".into(),
            // Another address of the network.
            bring(4, "192.0.2.99", "a@poor.test", ALICE, TAKEN),
            bring(5, STRANGER, "a@poor.test", "bob@example.test", AGAIN),
            bring(6, "192.0.3.7", "a@poor.test", ALICE, AGAIN),
            "@advance 6m\n".into(),
            bring(7, STRANGER, "a@poor.test", "bob@example.test", TAKEN),
            // Twice is enough here.
            bring(8, STRANGER, "never@seen.test", ALICE, TAKEN),
            "@count alice@example.test INBOX 3\n@told\n@story a@poor.test <<END\n{*}\n{*}\n\
             greylist: 192.0.2.0/24 came back, as it was asked to\n{*}\n{*}\n{*}\n{*}\n{*}\n{*}\n{*}\nEND\n"
                .into(),
        ];
        transcript::check(&text.concat(), behind_greylist(&test.store, GreylistMode::All));
        let known = test.store.read_blocking(|tx| greylist::known(tx, &Terms::default(), Timestamp(0), 10));
        let known: Vec<_> = known.expect("read").into_iter().map(|one| (one.source, one.known.is_some())).collect();
        assert_eq!(known, [("192.0.2.0/24".to_owned(), true)]);
    });
}

/// Each recipient of a message waits by themselves, whether or not it is written down yet.
#[test]
fn each_recipient_of_a_message_comes_again() {
    each_store(MIGRATIONS, |test| {
        let begin = format!("@open N relay from {STRANGER}\n{HELLO}C: MAIL FROM:<a@poor.test>\nS: 250 {{*}}\n");
        let both = |reply: &str| {
            let rcpt = |name: &str| format!("C: RCPT TO:<{name}@example.test>\n");
            format!("{}{}{}S: {reply}\nS: {reply}\nS: {reply}\n", rcpt("alice"), rcpt("bob"), rcpt("Alice"))
        };
        let text = [
            numbered(&(begin.clone() + &both(AGAIN) + "C: QUIT\nS: 221 {*}\n"), 1),
            "@advance 2m\n".into(),
            numbered(&(begin.clone() + &both(&AGAIN.replace("5 minutes", "3 minutes")) + "C: QUIT\nS: 221 {*}\n"), 2),
            "@advance 3m\n".into(),
            numbered(&(begin + &both(TAKEN) + "C: QUIT\nS: 221 {*}\n"), 3),
        ];
        transcript::check(&text.concat(), behind_greylist(&test.store, GreylistMode::All));
    });
}

#[test]
fn all_addresses_that_a_domain_vouches_for_are_one() {
    let test = TestStore::memory(MIGRATIONS);
    let text = [
        bring(1, "192.0.2.7", "a@big.test", ALICE, AGAIN),
        "@advance 10m\n".into(),
        bring(2, "198.51.100.200", "a@big.test", ALICE, TAKEN),
        // Nobody else who says so.
        bring(3, "203.0.113.200", "a@big.test", ALICE, AGAIN),
    ];
    transcript::check(&text.concat(), behind_greylist(&test.store, GreylistMode::All));
}

#[test]
fn who_has_all_in_order_is_not_suspicious() {
    let test = TestStore::memory(MIGRATIONS);
    let text = [
        bring(1, "203.0.113.7", "a@neat.test", ALICE, TAKEN),
        // SPF alone is not all.
        bring(2, "192.0.2.7", "a@big.test", ALICE, AGAIN),
        bring(3, "203.0.113.7", "a@poor.test", ALICE, AGAIN),
        "@told\n@story a@poor.test <<END\n{*}\n{*}\ngreylist: 203.0.113.0/24 is not known here yet (SPF is none for poor.test)\n{*}\n{*}\nEND\n"
            .into(),
    ];
    transcript::check(&text.concat(), behind_greylist(&test.store, GreylistMode::Suspicious));
    let town = Town::again(&test.store).behind(greylisting(GreylistMode::Suspicious));
    transcript::check(&bring(1, STRANGER, "a@poor.test", ALICE, TAKEN), town);
}

#[test]
fn who_is_answered_does_not_wait() {
    let test = TestStore::memory(MIGRATIONS);
    let text = [
        numbered(
            &format!(
                "@open N submission from {STRANGER} tls\n{HELLO}C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABjb3JyZWN0IGhvcnNl\n\
                 S: 235 {{*}}\nC: MAIL FROM:<{ALICE}>\nS: 250 {{*}}\nC: RCPT TO:<friend@poor.test>\nS: 250 {{*}}\n\
                 C: DATA\nS: 354 {{*}}\nC: From: {ALICE}\nC: \nC: .\nS: 250 2.0.0 {{*}}\n"
            ),
            1,
        ),
        bring(2, "192.0.2.7", "friend@poor.test", ALICE, TAKEN),
        bring(3, "192.0.2.7", "friend@poor.test", "bob@example.test", AGAIN),
    ];
    transcript::check(&text.concat(), behind_greylist(&test.store, GreylistMode::All));
}

#[test]
fn without_a_greylist_nothing_is_remembered() {
    let test = TestStore::memory(MIGRATIONS);
    transcript::check(
        &bring(1, STRANGER, "a@poor.test", ALICE, TAKEN),
        behind_greylist(&test.store, GreylistMode::Off),
    );
    let room = test.store.read_blocking(greylist::room).expect("read");
    assert_eq!(room, greylist::MAX_TRIES);
}

/// A session of Alice's that has logged in.
fn alice(number: u32, says: &str) -> String {
    let text = format!(
        "@open N submission from {STRANGER} tls\n{HELLO}C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABjb3JyZWN0IGhvcnNl\n\
         S: 235 {{*}}\n{says}"
    );
    numbered(&text, number)
}

fn sends(to: &[&str], replies: &[&str]) -> String {
    let rcpt = |(to, reply): (&&str, &&str)| format!("C: RCPT TO:<{to}>\nS: {reply}\n");
    let taken = replies.iter().any(|reply| reply.starts_with("250"));
    let end = match taken {
        true => format!("C: DATA\nS: 354 {{*}}\nC: From: {ALICE}\nC: \nC: .\nS: 250 2.0.0 {{*}}\n"),
        false => "C: RSET\nS: 250 {*}\n".to_owned(),
    };
    format!("C: MAIL FROM:<{ALICE}>\nS: 250 {{*}}\n{}{end}", to.iter().zip(replies).map(rcpt).collect::<String>())
}

fn limited(store: &Store) -> Town {
    Town::with(store, |settings| {
        settings.sending = Limits { messages_per_hour: 2, recipients_per_day: 5, ..Limits::default() };
    })
}

#[test]
fn an_account_sends_so_much_from_wherever_it_comes() {
    each_store(MIGRATIONS, |test| {
        let full = "450 4.7.0 Your account has sent as much as it may: 2 messages in an hour. Try again in {*}. The administrator of this server can allow more.";
        let text = [
            alice(1, &sends(&["a@far.test"], &[TAKEN]).repeat(2)),
            alice(2, &sends(&["a@far.test"], &[full])),
            // Others have their own.
            bring(3, STRANGER, "a@x.test", ALICE, TAKEN),
            "@advance 2h\n".into(),
            alice(4, &sends(&["a@far.test"], &[TAKEN])),
        ];
        transcript::check(&text.concat(), limited(&test.store));
        // Another server, or another life of this one, knows it.
        let town = Town::with_limits(&test.store, |settings| {
            settings.sending = Limits { messages_per_day: 3, ..Limits::default() };
        });
        let id = town.id(ALICE);
        transcript::check(&alice(1, &sends(&["a@far.test"], &["450 4.7.0 {*}"])), town);
        let own = Own { messages_per_day: Some(0), ..Own::default() };
        let written = test.store.write_blocking(Locks::none(), move |tx| sending::set_own(tx, id, &own));
        written.expect("written");
        let town = Town::with_limits(&test.store, |settings| {
            settings.sending = Limits { messages_per_day: 3, ..Limits::default() };
        });
        transcript::check(&alice(1, &sends(&["a@far.test"], &[TAKEN])), town);
        told(&test.store, id);
    });
}

/// Whoever looks after the server is told that somebody was refused.
fn told(store: &Store, account: AccountId) {
    let now = Timestamp(postroad_testkit::clock::Clock::new().now_us()).plus(std::time::Duration::from_secs(7_200));
    let told = store.read_blocking(move |tx| sending::told(tx, 24, now)).expect("read");
    assert_eq!(told, [(account, sending::Level::Over)]);
}

#[test]
fn recipients_beyond_the_limit_are_put_off_one_by_one() {
    let test = TestStore::memory(MIGRATIONS);
    let full = "452 4.7.0 Your account has sent as much as it may: 5 recipients in a day. Try again in {*}. The administrator of this server can allow more.";
    let never = "550 5.7.0 Your account may send to 5 recipients in a day, and this message has more. The administrator of this server can allow more.";
    let to = ["a@far.test", "b@far.test", "c@far.test", "d@far.test", "e@far.test", "f@far.test"];
    let text = [
        alice(1, &sends(&to[..3], &[TAKEN; 3])),
        alice(2, &sends(&to[..3], &[TAKEN, TAKEN, full])),
        "@advance 25h\n".into(),
        alice(3, &sends(&to, &[TAKEN, TAKEN, TAKEN, TAKEN, TAKEN, never])),
    ];
    transcript::check(&text.concat(), limited(&test.store));
}

#[test]
fn sessions_side_by_side_do_not_send_more_together() {
    each_store(MIGRATIONS, |test| {
        let begin = format!("C: MAIL FROM:<{ALICE}>\nS: 250 {{*}}\nC: RCPT TO:<a@far.test>\nS: 250 {{*}}\n");
        let end = |reply: &str| format!("C: DATA\nS: 354 {{*}}\nC: From: {ALICE}\nC: \nC: .\nS: {reply}\n");
        let text = [
            alice(1, &begin),
            alice(2, &begin),
            alice(3, &begin),
            numbered(&end("250 2.0.0 {*}"), 1),
            numbered(&end("250 2.0.0 {*}"), 2),
            numbered(&end("450 4.7.0 Your account has sent as much as it may: {*}"), 3),
            "@queue <<END\n<alice@example.test> to <a@far.test>\n<alice@example.test> to <a@far.test>\nEND\n".into(),
        ];
        transcript::check(&text.concat(), limited(&test.store));
    });
}
