//! Whom nothing is sent to, how much at once, and from where: end to end, on both databases.

#[allow(dead_code)]
#[path = "../outbound/talk.rs"]
mod talk;
#[allow(dead_code)]
#[path = "../outbound/town.rs"]
mod town;

use postroad_testkit::Remote;
use postroad_testkit::remote::Manner;

use crate::town::{Town, message, towns};

/// What RCPT is answered.
fn ask(town: &Town, from: &str, to: &str) -> String {
    let mut talk = talk::submission(town.at(587), from);
    assert!(talk.ask(&format!("MAIL FROM:<{from}>")).starts_with("250"));
    talk.ask(&format!("RCPT TO:<{to}>"))
}

#[test]
fn who_does_not_exist_is_refused_in_the_session_until_somebody_says_otherwise() {
    for town in towns() {
        let (at, from) = (town.host(), town.account());
        let (domain, ours) = (town.domain_at(at), from.rsplit_once('@').expect("a domain").1.to_owned());
        let to = format!("gone@{domain}");
        let remote = Remote::start(at, Manner::default().refusing(&to, "550 5.1.1 No such user here"));
        assert!(
            town.cli(&["suppression", "rule", &ours, "--failures", "1", "--days", "30"]).contains("30 days after 1")
        );
        town.submit(&from, &[&to], &message(&from, &to, "unknown"));
        town.wait_until_gone(&domain);
        let shown = town.cli(&["suppression", "show", &to]);
        assert!(shown.contains(&to) && shown.contains(&ours) && shown.contains("No such user here"), "{shown}");
        let story = town.cli(&["trace", &to]);
        assert!(story.contains("suppressed") && story.contains("postroad suppression remove"), "{story}");
        let refused = ask(town, &from, &to);
        assert!(
            refused.starts_with("550") && refused.contains("5.1.1") && refused.contains("No such user"),
            "{refused}"
        );
        let exported = town.cli(&["suppression", "export"]);
        assert!(exported.starts_with("address,scope") && exported.contains(&to), "{exported}");
        town.cli(&["suppression", "remove", &to]);
        assert!(ask(town, &from, &to).starts_with("250"));
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &exported).expect("it can be written");
        let told = town.cli(&["suppression", "import", &file.path().display().to_string()]);
        assert!(told.contains("not written to"), "{told}");
        assert!(ask(town, &from, &to).starts_with("550"));
        town.cli(&["suppression", "remove", &to]);
        town.cli(&["suppression", "rule", &ours, "--usual"]);
        assert!(!town.try_cli(&["suppression", "add", "postmaster@far.test"]).success);
        drop(remote);
    }
}

#[test]
fn mail_leaves_from_the_address_that_was_chosen() {
    for town in towns() {
        let (at, from) = (town.host(), town.account());
        let domain = town.domain_at(at);
        let to = format!("bob@{domain}");
        let remote = Remote::start(at, Manner::default());
        assert!(!town.try_cli(&["egress", "choose", "destination", &domain, "nowhere"]).success);
        town.cli(&["egress", "set", "127.77.1.9", "--pool", &domain, "--helo", "nine.example.test", "--new"]);
        town.cli(&["egress", "choose", "destination", &domain, &domain]);
        town.cli(&["limit", "set", &domain, "--connections", "1", "--messages-per-minute", "600"]);
        town.submit(&from, &[&to], &message(&from, &to, "chosen"));
        remote.wait_for(1);
        let connection = remote.look(|ledger| ledger.connections[0].clone());
        assert_eq!(connection.from.expect("an address").ip().to_string(), "127.77.1.9");
        assert!(connection.commands.iter().any(|line| line == "EHLO nine.example.test"), "{:?}", connection.commands);
        let story = town.cli(&["trace", &to]);
        assert!(story.contains("it leaves from 127.77.1.9"), "{story}");
        let listed = town.cli(&["egress", "list"]);
        assert!(listed.contains("50 messages today") && listed.contains("nine.example.test"), "{listed}");
        let limits = town.cli(&["limit", "list"]);
        assert!(limits.contains(&domain) && limits.contains(".google.com"), "{limits}");
        for order in [
            vec!["limit", "remove", &domain],
            vec!["egress", "choose", "destination", &domain],
            vec!["egress", "remove", "127.77.1.9"],
        ] {
            town.cli(&order);
        }
    }
}
