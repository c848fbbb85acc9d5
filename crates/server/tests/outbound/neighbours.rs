//! What the settings let neighbours do, tried with swaks against the real program; and mail that is held.

use postroad_testkit::run;

use crate::talk;
use crate::town::{Town, message, towns};

#[test]
fn a_proxy_that_is_named_speaks_for_its_clients() {
    let town = Town::with_settings(&[("xclient = []", "xclient = [\"127.0.0.0/8\"]")]);
    let (who, other) = (town.account(), town.account());
    let relay = town.at(25).to_string();
    let swaks = |more: &[&str]| {
        let base = ["--server", &relay, "--helo", "proxy.example.net"];
        run::run("swaks", &[&base[..], more].concat(), b"")
    };
    let client = "ADDR=192.0.2.77 NAME=mail.far.example HELO=mail.far.example";
    swaks(&["--xclient", client, "--from", "x@far.example", "--to", &who]).good();
    let received = town.wait_for_inbox(&who, 1).remove(0);
    assert!(received.contains("from mail.far.example (") && received.contains("[192.0.2.77]"), "{received}");
    let story = town.cli(&["trace", &who]);
    assert!(story.contains("192.0.2.77") && story.contains("claims (XCLIENT)"), "{story}");
    // Who is said to have logged in may what they may, and no more.
    let login = format!("ADDR=192.0.2.78 LOGIN={who}");
    swaks(&["--xclient", &login, "--from", &who, "--to", &other]).good();
    let forged = swaks(&["--xclient", &login, "--from", &other, "--to", &who]);
    assert!(!forged.success && forged.out.contains("553 5.7.1 "), "{forged:?}");
    let nobody = swaks(&["--xclient", "LOGIN=nobody@example.test", "--from", &who, "--to", &other]);
    assert!(!nobody.success && nobody.out.contains("550 5.7.0 "), "{nobody:?}");
}

#[test]
fn nobody_speaks_for_others_unasked() {
    for town in towns() {
        let relay = town.at(25).to_string();
        let ran = run::run(
            "swaks",
            &["--server", &relay, "--xclient", "ADDR=192.0.2.77", "--from", "x@far.example", "--to", &town.account()],
            b"",
        );
        assert!(!ran.success, "{ran:?}");
    }
}

#[test]
fn held_mail_comes_when_its_time_has_come() {
    for town in towns() {
        let (from, to) = (town.account(), town.account());
        let text = message(&from, &to, "held");
        let mail = format!("<{from}> HOLDFOR=3600");
        talk::submit(town.at(587), &from, &mail, &[&format!("<{to}>")], text.as_bytes());
        let list = town.cli(&["queue", "list", "--sender", &from]);
        let id = list.split_whitespace().find(|word| word.starts_with('Q')).expect("an id").to_owned();
        let shown = town.cli(&["queue", "show", &id]);
        assert!(shown.contains("held until") && shown.contains("its sender wishes"), "{shown}");
        assert!(talk::messages(town.at(143), &to, "INBOX").is_empty());
        // The administrator who names it knows better.
        town.cli(&["queue", "retry", &id]);
        let received = town.wait_for_inbox(&to, 1).remove(0);
        assert!(received.contains("held"), "{received}");
        let mail = format!("<{from}> HOLDFOR=1");
        talk::submit(town.at(587), &from, &mail, &[&format!("<{to}>")], message(&from, &to, "soon").as_bytes());
        town.wait_for_inbox(&to, 2);
    }
}
