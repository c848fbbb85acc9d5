//! What strangers hear at the gate: limits, lists, and being shut out; what does not concern others.

mod town;

use std::sync::Arc;

use postroad_dns::Fixed;
use postroad_mta::{Gate, ListAction, ListKind, ListSettings, RateSettings, Scores};
use postroad_net::{BanSettings, Bans};
use postroad_testkit::{TestStore, each_store, transcript};
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
