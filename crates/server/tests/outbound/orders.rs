//! `postroad queue`: what waits and why, and what can be ordered.

use postroad_testkit::postfix::{Postfix, Setup, can_run};
use postroad_testkit::remote::Manner;
use postroad_testkit::{Remote, eventually};

use crate::town::{message, towns};

#[test]
fn what_postfix_defers_waits_and_goes_when_told() {
    if !can_run() {
        eprintln!("Postfix wants to be started as root; not tested");
        return;
    }
    for town in towns() {
        let (at, from) = (town.host(), town.account());
        let domain = town.domain_at(at);
        let to = format!("erin@{domain}");
        let postfix = Postfix::start(&Setup { listen: Some(at), mailboxes: &[&to], ..Setup::default() });
        postfix.answer(&to, Some("450 4.2.1 the mailbox is being moved"));
        town.submit(&from, &[&to], &message(&from, &to, "deferred"));
        let shown = town.wait_for_deferral(&domain, "450 4.2.1");
        for words in [to.as_str(), from.as_str(), "the mailbox is being moved", "waiting"] {
            assert!(shown.contains(words), "{words:?} is not in {shown}");
        }
        let listed = town.cli(&["queue", "list"]);
        assert!(listed.contains(&to), "{listed}");
        let story = town.cli(&["trace", &to]);
        assert!(story.contains("450 4.2.1"), "{story}");
        postfix.answer(&to, None);
        let told = town.cli(&["queue", "retry", "--domain", &domain]);
        assert!(told.contains('1'), "{told}");
        postfix.wait_for_mail(&to, 1);
        town.wait_until_gone(&domain);
        let story = town.cli(&["trace", &to]);
        assert!(story.contains("450 4.2.1") && story.contains("250 2.0.0"), "{story}");
    }
}

#[test]
fn mail_is_held_released_and_cancelled() {
    for town in towns() {
        let (at, from) = (town.host(), town.account());
        let domain = town.domain_at(at);
        // Nobody listens there yet: both wait.
        let ids: Vec<String> = ["one", "two"]
            .iter()
            .map(|name| {
                let to = format!("{name}@{domain}");
                town.submit(&from, &[&to], &message(&from, &to, name));
                eventually("it in the queue", || town.queued(&domain).pop())
            })
            .collect();
        town.wait_for_deferral(&domain, "refused");
        town.cli(&["queue", "hold", &ids[0]]);
        town.cli(&["queue", "cancel", &ids[1], "--yes"]);
        assert_eq!(town.queued(&domain), [ids[0].as_str()]);
        assert!(town.cli(&["queue", "show", &ids[0]]).contains("held"));
        assert!(town.cli(&["queue", "list", "--state", "held"]).contains(&ids[0]));

        let remote = Remote::start(at, Manner::default());
        let marker = format!("marker@{domain}");
        town.submit(&from, &[&marker], &message(&from, &marker, "marker"));
        town.cli(&["queue", "retry", "--domain", &domain]);
        remote.wait_for(1);
        eventually("the end of the marker", || (town.queued(&domain) == [ids[0].as_str()]).then_some(()));
        assert_eq!(remote.ledger().received.len(), 1, "what is held does not move");
        town.cli(&["queue", "release", &ids[0]]);
        remote.wait_for(2);
        town.wait_until_gone(&domain);
        let reached = |name: &str| remote.ledger().times(&format!("{name}@example.test"), &format!("{name}@{domain}"));
        assert_eq!((reached("one"), reached("two"), reached("marker")), (1, 0, 1));
        let story = town.cli(&["trace", &format!("two@{domain}")]);
        assert!(story.contains("cancel"), "{story}");
        // What is not there is said so.
        let gone = town.try_cli(&["queue", "show", &ids[0]]);
        assert!(!gone.success && gone.err.contains(&ids[0]), "{gone:?}");
    }
}

#[test]
fn the_queue_is_shown_to_programs() {
    for town in towns() {
        let (at, from) = (town.host(), town.account());
        let domain = town.domain_at(at);
        let to = format!("json@{domain}");
        town.submit(&from, &[&to], &message(&from, &to, "json"));
        town.wait_for_deferral(&domain, "refused");
        for arguments in [&["queue", "list", "--domain", &domain, "--json"][..], &["queue", "list", "--json"]] {
            let text = town.cli(arguments);
            let parsed: serde_json::Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert!(parsed.to_string().contains(&to), "{text}");
        }
        town.cli(&["queue", "cancel", "--domain", &domain, "--yes"]);
        assert!(town.queued(&domain).is_empty());
    }
}
