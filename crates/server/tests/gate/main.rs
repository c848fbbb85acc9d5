//! The gate from outside: strangers come through a proxy, so that they can have any address; the lists are a name server of ours.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postroad_testkit::dns_wire::{DnsWire, WireZone};
use postroad_testkit::{Process, postgres, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_postroad");
/// What happens in another task is waited for so long.
const SOON: Duration = Duration::from_secs(30);

/// Between one life of a server and the next its ports are free, and no other start may take them.
static PORTS: Mutex<()> = Mutex::new(());

const LISTED: &str = "198.51.100.66";
const CLEAN: &str = "198.51.100.9";

/// A server whose port for mail is behind a proxy, with two lists: one that is sound, one that lists everybody.
struct Place {
    quickstart: Process,
    serve: Process,
    _dns: DnsWire,
}

impl Place {
    fn start(database: Option<&str>) -> Place {
        let zone = WireZone::new()
            .with_address("2.0.0.127.bl.test", [127, 0, 0, 2])
            .with_address("66.100.51.198.bl.test", [127, 0, 0, 4])
            .with_txt("66.100.51.198.bl.test", "see https://bl.test/66")
            .with_address("1.0.0.127.sold.test", [127, 0, 0, 2])
            .with_address("2.0.0.127.sold.test", [127, 0, 0, 2])
            .with_address("9.100.51.198.sold.test", [127, 0, 0, 2]);
        let dns = DnsWire::start(zone);
        let resolver = dns.address().to_string();
        let mut options = vec!["--accounts", "1", "--resolver", &resolver];
        options.extend(database.iter().flat_map(|url| ["--database", url]));
        let _mine = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        let mut quickstart = Process::quickstart(PROGRAM, "knock knock 4", &options);
        assert!(quickstart.stop().success());
        let file = quickstart.data().join("postroad.toml");
        let text = std::fs::read_to_string(&file).expect("quickstart wrote it");
        let service = "service = \"smtp\"\n";
        assert!(text.contains(service), "{text}");
        let text = text.replace(service, &format!("{service}proxy-from = [\"127.0.0.1\"]\n"));
        let lists = "\n[[dnsbl]]\nzone = \"bl.test\"\n\n[[dnsbl]]\nzone = \"sold.test\"\n";
        std::fs::write(&file, format!("{text}{lists}")).expect("it can be written");
        let serve = Process::start(PROGRAM, &["serve", "--data", &quickstart.data().display().to_string()]);
        Place { quickstart, serve, _dns: dns }
    }

    /// What a client at this address hears that says this at once, until the server closes or has said so many lines.
    fn hears(&self, address: &str, says: &str, lines: usize) -> String {
        let mut stream = TcpStream::connect(self.quickstart.address(25)).expect("the server listens");
        stream.set_read_timeout(Some(SOON)).expect("a limit");
        let all = format!("PROXY TCP4 {address} 127.0.0.1 40000 25\r\n{says}");
        stream.write_all(all.as_bytes()).expect("the server reads");
        let mut heard = Vec::new();
        let mut piece = [0; 512];
        while heard.iter().filter(|byte| **byte == b'\n').count() < lines {
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => break,
                Ok(count) => heard.extend_from_slice(&piece[..count]),
            }
        }
        String::from_utf8(heard).expect("text")
    }

    /// What a client hears that waits for the greeting, and then says this.
    fn answers(&self, address: &str, says: &str) -> String {
        let mut stream = TcpStream::connect(self.quickstart.address(25)).expect("the server listens");
        stream.set_read_timeout(Some(SOON)).expect("a limit");
        stream.write_all(format!("PROXY TCP4 {address} 127.0.0.1 40000 25\r\n").as_bytes()).expect("the server reads");
        let mut heard = vec![0; 512];
        let count = stream.read(&mut heard).expect("a greeting");
        heard.truncate(count);
        stream.write_all(says.as_bytes()).expect("the server reads");
        stream.read_to_end(&mut heard).expect("the server closes");
        String::from_utf8(heard).expect("text")
    }

    fn cli(&self, arguments: &[&str]) -> postroad_testkit::Ran {
        let data = self.quickstart.data().display().to_string();
        run(PROGRAM, &[arguments, &["--data", &data]].concat(), b"")
    }
}

/// Until it is so.
fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < SOON, "{what}");
    }
}

fn each_place(check: impl Fn(&mut Place)) {
    check(&mut Place::start(None));
    check(&mut Place::start(Some(&postgres::fresh_database())));
}

/// What somebody hears who sends a message to themselves.
fn submits(place: &Place, account: &str) -> String {
    let mut stream = TcpStream::connect(place.quickstart.address(587)).expect("the server listens");
    stream.set_read_timeout(Some(SOON)).expect("a limit");
    let plain = BASE64_STANDARD.encode(format!("\0{account}\0knock knock 4"));
    let mut last = String::new();
    for line in [
        String::new(),
        "EHLO x.test".to_owned(),
        format!("AUTH PLAIN {plain}"),
        format!("MAIL FROM:<{account}>"),
        format!("RCPT TO:<{account}>"),
        "DATA".to_owned(),
        format!("From: {account}\r\n\r\nhello\r\n."),
    ] {
        if !line.is_empty() {
            stream.write_all(format!("{line}\r\n").as_bytes()).expect("the server reads");
        }
        let (mut heard, mut piece) = (Vec::new(), [0; 512]);
        let is_whole = |heard: &[u8]| {
            let text = String::from_utf8_lossy(heard);
            text.ends_with('\n') && text.lines().last().is_some_and(|line| line.as_bytes().get(3) == Some(&b' '))
        };
        while !is_whole(&heard) {
            let count = stream.read(&mut piece).expect("the server answers");
            assert!(count > 0, "closed after {line}: {last}");
            heard.extend_from_slice(&piece[..count]);
        }
        last = String::from_utf8(heard).expect("text");
        if last.starts_with('4') || last.starts_with('5') {
            break;
        }
    }
    last
}

#[test]
fn two_servers_with_one_store_shut_out_and_count_together() {
    let url = postgres::fresh_database();
    let (one, two) = (Place::start(Some(&url)), Place::start(Some(&url)));
    for _ in 0..2 {
        assert!(one.answers(CLEAN, HTTP).contains("\r\n554 5.5.1 "));
    }
    soon("the other server hears of it", || two.hears(CLEAN, "", 1).starts_with(OUT));
    assert!(two.hears(LISTED, "", 1).starts_with("220 "), "nobody else");
    two.cli(&["ban", "remove", CLEAN]).good();
    for place in [&one, &two] {
        soon("the ban is lifted", || place.hears(CLEAN, "", 1).starts_with("220 "));
    }

    let listed = one.cli(&["account", "list"]).good();
    let account = listed.split_whitespace().find(|word| word.contains('@')).expect("an account");
    let set = one.cli(&["account", "limit", account, "--messages-per-hour", "2"]).good();
    assert!(set.contains("messages within an hour") && set.contains("set for it"), "{set}");
    for place in [&one, &two] {
        let taken = submits(place, account);
        assert!(taken.starts_with("250 2.0.0 "), "{taken}");
    }
    for place in [&one, &two] {
        let refused = submits(place, account);
        assert!(
            refused.starts_with("450 4.7.0 Your account has sent as much as it may: 2 messages in an hour."),
            "{refused}"
        );
    }
    let checked = two.cli(&["check"]);
    assert!(checked.out.contains(&format!("{account} sent all it may, and was refused")), "{checked:?}");
    two.cli(&["account", "limit", account, "--usual"]).good();
    assert!(submits(&one, account).starts_with("250 2.0.0 "), "as the settings say again");
}

#[test]
fn sources_of_mail_are_forgiven_and_forgotten() {
    let place = Place::start(None);
    assert!(place.cli(&["greylist", "list"]).good().contains("nobody is known yet"));
    assert!(place.cli(&["greylist", "list", "--waiting"]).good().contains("nobody was asked to come again"));
    for (source, known) in
        [("192.0.2.7", "192.0.2.0/24"), ("2001:DB8::1", "2001:db8::/64"), ("Example.org", "example.org")]
    {
        assert!(place.cli(&["greylist", "forgive", source]).good().contains(known));
        let listed = place.cli(&["greylist", "list"]).good();
        assert!(listed.contains(known) && listed.contains("by an administrator"), "{listed}");
    }
    assert!(place.cli(&["greylist", "forget", "192.0.2.0/24"]).good().contains("nothing is known"));
    assert!(!place.cli(&["greylist", "forget", "192.0.2.0/24"]).success);
    for (wrong, why) in [("192.0.2.0/33", "longer than 32 bits"), ("192.0.2.0/25", "IPv4 /24"), ("a b", "not a domain")]
    {
        let refused = place.cli(&["greylist", "forgive", wrong]);
        assert!(!refused.success && refused.err.contains(why), "{refused:?}");
    }
}

const HTTP: &str = "GET / HTTP/1.1\r\n\r\n";
const OUT: &str = "421 4.7.0 Your address is shut out";

#[test]
fn who_does_not_speak_smtp_is_shut_out_and_let_in_again() {
    each_place(|place| {
        for _ in 0..2 {
            assert!(place.answers(CLEAN, HTTP).contains("\r\n554 5.5.1 "));
        }
        assert!(place.hears(CLEAN, "", 1).starts_with(OUT), "at once");
        assert!(place.hears(LISTED, "", 1).starts_with("220 "), "nobody else");
        soon("the ban is kept", || place.cli(&["ban", "list"]).good().contains(CLEAN));
        let listed = place.cli(&["ban", "list"]).good();
        assert!(listed.contains("protocol") && listed.contains("foreign"), "{listed}");
        let story = place.cli(&["trace", CLEAN]).good();
        assert!(story.contains("shut out") && story.contains("for protocol until"), "{story}");

        // It is known to the next life of the server.
        let data = place.quickstart.data().display().to_string();
        let mine = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(place.serve.stop().success());
        place.serve = Process::start(PROGRAM, &["serve", "--data", &data]);
        drop(mine);
        assert!(place.hears(CLEAN, "", 1).starts_with(OUT));

        assert!(place.cli(&["ban", "remove", CLEAN]).good().contains("may come in again"));
        soon("the ban is lifted", || place.hears(CLEAN, "", 1).starts_with("220 "));
        assert!(!place.cli(&["ban", "remove", CLEAN]).success);
    });
}

#[test]
fn an_administrator_shuts_networks_out_but_never_this_machine() {
    let place = Place::start(None);
    place.cli(&["ban", "add", "203.0.113.0/24", "--for", "1h", "--reason", "scans all night"]).good();
    soon("the ban holds", || place.hears("203.0.113.77", "", 1).starts_with(OUT));
    assert!(place.hears("203.0.112.77", "", 1).starts_with("220 "));
    let listed = place.cli(&["ban", "list"]).good();
    assert!(listed.contains("203.0.113.0/24") && listed.contains("scans all night"), "{listed}");
    for here in ["127.0.0.1", "::1", "0.0.0.0/0"] {
        let refused = place.cli(&["ban", "add", here]);
        assert!(!refused.success && refused.err.contains("this machine"), "{refused:?}");
    }
    let wrong = place.cli(&["ban", "add", "example.test"]);
    assert!(!wrong.success && wrong.err.contains("not a network"), "{wrong:?}");
}

#[test]
fn strangers_who_speak_first_are_sent_away() {
    let place = Place::start(None);
    assert!(place.hears(CLEAN, "EHLO x.test\r\n", 9).starts_with("554 5.5.1 You spoke before the greeting\r\n"));
    assert!(place.hears(CLEAN, "", 1).starts_with("220 "), "who waits is greeted");
    let trusted = place.hears("127.0.0.1", "", 1);
    assert!(trusted.starts_with("220 "), "{trusted}");
}

#[test]
fn lists_refuse_whom_they_have_and_only_while_they_are_lists() {
    let place = Place::start(None);
    let bring = "EHLO x.test\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<u0001@example.test>\r\nQUIT\r\n";
    let account = place.cli(&["account", "list"]).good();
    let account = account.split_whitespace().find(|word| word.contains('@')).expect("an account");
    let bring = bring.replace("u0001@example.test", account);
    let refused = place.answers(LISTED, &bring);
    assert!(refused.contains("550 5.7.1 198.51.100.66 is on the list bl.test."), "{refused}");
    assert!(refused.contains("It says: see https://bl.test/66"), "{refused}");
    let taken = place.answers(CLEAN, &bring);
    assert!(taken.contains("\r\n250 2.1.5 "), "a list that lists everybody is none: {taken}");
    soon("the story is written", || {
        place.cli(&["trace", "a@x.test"]).good().contains("the client is on the list bl.test (127.0.0.4)")
    });
    let metrics = run("curl", &["-sS", &format!("http://{}/metrics", place.quickstart.address(8080))], b"").good();
    for line in ["postroad_dnsbl_usable{list=\"bl.test\"} 1", "postroad_dnsbl_usable{list=\"sold.test\"} 0"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}
