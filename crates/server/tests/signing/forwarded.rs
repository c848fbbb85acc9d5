//! Forwarded mail: its sender passes SPF, its chain holds, and a notice about it finds its way back.

use postroad_testkit::remote::Manner;
use postroad_testkit::{Process, Remote};

use crate::submitted::published;
use crate::talk::Talk;
use crate::town::{PROGRAM, Town, message, towns};
use crate::verdict;

/// A stranger brings a message; each command must be taken.
pub(crate) fn arrive(town: &Town, sender: &str, to: &str, text: &str) {
    bring(stranger(town), sender, to, text);
}

fn bring(mut talk: Talk, sender: &str, to: &str, text: &str) {
    for command in [format!("MAIL FROM:<{sender}> BODY=8BITMIME"), format!("RCPT TO:<{to}>")] {
        let answer = talk.ask(&command);
        assert!(answer.starts_with("250"), "{command}: {answer}");
    }
    assert!(talk.ask("DATA").starts_with("354"));
    talk.say(text.replace("\r\n.", "\r\n..").as_bytes());
    let answer = talk.ask(".");
    assert!(answer.starts_with("250"), "{answer}");
}

fn stranger(town: &Town) -> Talk {
    greeted(Talk::with(town.at(25)))
}

fn greeted(mut talk: Talk) -> Talk {
    let greeting = talk.reply();
    assert!(greeting.starts_with("220"), "{greeting}");
    let answer = talk.ask("EHLO mx.there.test");
    assert!(answer.starts_with("250"), "{answer}");
    talk
}

/// What RCPT TO is answered for a sender.
fn answer(town: &Town, sender: &str, to: &str) -> String {
    let mut talk = stranger(town);
    let said = talk.ask(&format!("MAIL FROM:<{sender}>"));
    assert!(said.starts_with("250"), "{said}");
    talk.ask(&format!("RCPT TO:<{to}>"))
}

/// The address in `<alice@there.test> BODY=8BITMIME`.
fn address(mail: &str) -> String {
    let inside = mail.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.expect("a path").0.to_owned()
}

#[test]
fn a_forward_passes_and_its_notice_comes_back() {
    for town in towns() {
        let (to, at, home) = (town.account(), town.host(), town.host());
        let (domain, theirs) = (town.domain_at(at), town.domain_at(home));
        published(town, "example.test");
        town.records(&format!("example.test. TXT \"v=spf1 ip4:192.0.2.7 -all\"\n{theirs}. TXT \"v=spf1 mx -all\"\n"));
        let hidden = format!("dave@{domain}");
        town.cli(&["forward", "set", &to, &hidden, "--keep"]);
        let remote = Remote::start(at, Manner::default());
        let sender = format!("alice@{theirs}");
        arrive(town, &sender, &to, &message(&sender, &to, "onward"));
        let received = remote.wait_for(1).remove(0);

        // SPF: our address may send for the new sender, and may not for the old one.
        let rewritten = address(&received.mail);
        assert!(rewritten.starts_with("SRS0=") && rewritten.ends_with("@example.test"), "{rewritten}");
        assert_eq!(verdict::spf(town.name_server(), "192.0.2.7", &rewritten, "mx.example.test"), "pass");
        assert_eq!(verdict::spf(town.name_server(), "192.0.2.7", &sender, "mx.example.test"), "fail");
        let chain = verdict::arc(town.name_server(), &received.bytes);
        assert!(chain.starts_with("pass 1 "), "{chain}: {}", received.text());
        let story = town.cli(&["trace", "onward@example.test"]);
        assert!(story.contains(&rewritten) && story.contains("sealed"), "{story}");

        // A notice finds its way back to who sent; nothing else does.
        let back = Remote::start(home, Manner::default());
        let lost =
            format!("From: mailer@{domain}\r\nSubject: lost\r\nMessage-ID: <lost@{domain}>\r\n\r\nIt is lost.\r\n");
        arrive(town, "", &rewritten, &lost);
        let notice = back.wait_for(1).remove(0);
        assert_eq!(notice.recipients().collect::<Vec<_>>(), [sender.as_str()]);
        assert_eq!(address(&notice.mail), "", "{}", notice.mail);
        assert!(notice.text().ends_with("It is lost.\r\n"), "{}", notice.text());
        // Case may change on the way.
        let lower = format!("{}@EXAMPLE.test", rewritten.split('@').next().unwrap_or_default().to_lowercase());
        assert!(answer(town, "", &lower).starts_with("250"), "{lower}");
        assert!(answer(town, &hidden, &rewritten).starts_with("550 5.7.1"), "mail that is no notice");
    }
}

/// The lesson of open relays by SRS: nobody can make up an address that leads anywhere.
#[test]
fn a_rewritten_sender_cannot_be_made_up() {
    for town in towns() {
        let (to, at) = (town.account(), town.host());
        let domain = town.domain_at(at);
        town.cli(&["forward", "set", &to, &format!("dave@{domain}")]);
        let remote = Remote::start(at, Manner::default());
        arrive(town, "alice@there.test", &to, &message("alice@there.test", &to, "good"));
        let good = address(&remote.wait_for(1).remove(0).mail);
        assert!(answer(town, "", &good).starts_with("250"));
        let local = good.split('@').next().unwrap_or_default();
        let (hash, rest) = local.split_at(13);
        for forged in [
            good.replace("alice", "victim"),
            good.replace("there.test", "bank.test"),
            format!("{}{rest}@example.test", hash.replace(|c: char| c.is_ascii_lowercase(), "a")),
            "SRS0=aaaaaaaa=aa=bank.test=victim@example.test".to_owned(),
            "SRS1=aaaaaaaa=bank.test==x=aa=bank.test=victim@example.test".to_owned(),
            "SRS0=bank.test=victim@example.test".to_owned(),
        ] {
            assert_ne!(forged, good);
            for sender in ["", "mallory@there.test"] {
                let said = answer(town, sender, &forged);
                assert!(said.starts_with("550 5.1.1"), "{forged} from {sender:?}: {said}");
            }
        }
        assert!(answer(town, "", &good.replace("example.test", "elsewhere.test")).starts_with("550 5.7.1"));
    }
}

#[test]
fn what_is_ours_or_nobodys_leaves_as_it_came() {
    for town in towns() {
        let (from, to, at) = (town.account(), town.account(), town.host());
        let domain = town.domain_at(at);
        town.cli(&["forward", "set", &to, &format!("dave@{domain}")]);
        let remote = Remote::start(at, Manner::default());
        town.submit(&from, &[&to], &message(&from, &to, "ours"));
        arrive(town, "", &to, &message("mailer@there.test", &to, "null"));
        let mut senders: Vec<String> = remote.wait_for(2).iter().map(|received| address(&received.mail)).collect();
        senders.sort();
        assert_eq!(senders, ["", from.as_str()]);
    }
}

#[test]
fn long_senders_fit_and_come_back() {
    for town in towns() {
        let (to, at, home) = (town.account(), town.host(), town.host());
        let (domain, theirs) = (town.domain_at(at), town.domain_at(home));
        town.cli(&["forward", "set", &to, &format!("dave@{domain}")]);
        let remote = Remote::start(at, Manner::default());
        let long = format!("bounces+{}-xyz=example.com@{theirs}", "list-of-many-words".repeat(2));
        let first = format!("SRS0=ABCD=EF=origin.test=alice@{theirs}");
        for (sender, form) in [(&long, "SRS0="), (&first, "SRS1=")] {
            arrive(town, sender, &to, &message("a@there.test", &to, form));
        }
        let back = Remote::start(home, Manner::default());
        for received in remote.wait_for(2) {
            let rewritten = address(&received.mail);
            let local = rewritten.split('@').next().unwrap_or_default();
            assert!(local.len() <= 64, "{rewritten}");
            arrive(town, "", &rewritten, "From: x@there.test\r\n\r\nlost\r\n");
        }
        let mut reached: Vec<String> = back
            .wait_for(2)
            .iter()
            .flat_map(|notice| notice.recipients().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        reached.sort();
        assert_eq!(reached, [first, long]);
    }
}

#[test]
fn it_can_be_switched_off() {
    let town = Town::with_settings(&[("rewrite-senders = true", "rewrite-senders = false")]);
    let (to, at) = (town.account(), town.host());
    let domain = town.domain_at(at);
    town.cli(&["forward", "set", &to, &format!("dave@{domain}")]);
    let remote = Remote::start(at, Manner::default());
    arrive(&town, "alice@there.test", &to, &message("alice@there.test", &to, "plain"));
    assert_eq!(address(&remote.wait_for(1).remove(0).mail), "alice@there.test");
}

/// Starts the town's server again, its port for mail behind a proxy, so that mail can come from any address.
fn behind_a_proxy(town: &Town) -> Process {
    let data = {
        let mut process = town.process();
        assert!(process.stop().success());
        process.data().to_owned()
    };
    let (file, service) = (data.join("postroad.toml"), "service = \"smtp\"\n");
    let text = std::fs::read_to_string(&file).expect("quickstart wrote it");
    assert!(text.contains(service), "{text}");
    let proxied = text.replace(service, &format!("{service}proxy-from = [\"127.0.0.1\"]\n"));
    std::fs::write(&file, proxied).expect("it can be written");
    Process::start(PROGRAM, &["serve", "--data", &data.display().to_string()])
}

/// What was found when the message came is sealed, and a chain that holds goes on; one that does not is said to be broken.
#[test]
fn a_chain_goes_on() {
    let town = Town::with_settings(&[]);
    let _serving = behind_a_proxy(&town);
    let (first, second, at) = (town.account(), town.account(), town.host());
    let domain = town.domain_at(at);
    published(&town, "example.test");
    town.records("there.test. TXT \"v=spf1 ip4:192.0.2.25 -all\"\n");
    for account in [&first, &second] {
        town.cli(&["forward", "set", account, &format!("dave@{domain}")]);
    }
    let remote = Remote::start(at, Manner::default());
    let come = |address: &str, sender: &str, to: &str, text: &str| {
        let mut talk = Talk::with(town.at(25));
        talk.say(format!("PROXY TCP4 {address} 127.0.0.1 40000 25\r\n").as_bytes());
        bring(greeted(talk), sender, to, text);
    };
    come("192.0.2.25", "alice@there.test", &first, &message("alice@there.test", &first, "chained"));
    let once = remote.wait_for(1).remove(0);
    let chain = verdict::arc(town.name_server(), &once.bytes);
    assert!(chain.starts_with("pass 1 "), "{chain}: {}", once.text());
    let results = once.field("ARC-Authentication-Results").unwrap_or_default();
    assert!(results.contains("i=1;") && results.contains("spf=pass"), "{results}");

    let sender = address(&once.mail);
    come("203.0.113.40", &sender, &second, &once.text());
    let twice = remote.wait_for(2).remove(1);
    let chain = verdict::arc(town.name_server(), &twice.bytes);
    assert!(chain.starts_with("pass 2 "), "{chain}: {}", twice.text());
    assert!(twice.text().contains("cv=pass"), "{}", twice.text());

    let changed = once.text().replace("First line", "Another line");
    come("203.0.113.40", &sender, &second, &changed);
    let broken = remote.wait_for(3).remove(2);
    let seal = broken.field("ARC-Seal").unwrap_or_default();
    assert!(seal.contains("i=2;") && seal.contains("cv=fail"), "{seal}");
}
