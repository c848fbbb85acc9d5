//! Reports, end to end: the real program tells a domain's owner what came in their name, a host of theirs gets it, and the
//! program reads such letters, reports about TLS and complaints; on SQLite and on PostgreSQL.

use std::sync::Mutex;

use postroad_testkit::remote::Manner;
use postroad_testkit::{DnsServer, Process, Ran, Remote, SharedPort, eventually, postgres, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_postroad");
const PASSWORD: &str = "what they tell 4";
/// RFC 5737: the address that may send for bank.test, and one that may not.
const HOME: &str = "192.0.2.25";
const STRANGER: &str = "198.51.100.9";
const WHO: &str = "u0001@example.test";

/// A running server and the DNS that it asks.
struct Place {
    process: Mutex<Process>,
    _serve: Process,
    _dns: DnsServer,
    port: SharedPort,
}

impl Place {
    fn start(database: Option<&str>) -> Place {
        Place::start_with(database, &[])
    }

    /// The same with other lines in the settings.
    fn start_with(database: Option<&str>, lines: &[(&str, &str)]) -> Place {
        let port = SharedPort::find();
        let dns = DnsServer::start(&format!(
            "bank.test. TXT \"v=spf1 ip4:{HOME} -all\"\nbank.test. MX 10 mx.bank.test.\nmx.bank.test. A {}\n\
             _dmarc.bank.test. TXT \"v=DMARC1; p=reject; rua=mailto:r@bank.test,mailto:victim@else.test,mailto:r@also.test\"\n\
             bank.test._report._dmarc.also.test. TXT \"v=DMARC1\"\nalso.test. MX 10 mx.bank.test.\n\
             club.test. TXT \"v=spf1 ip4:{HOME} -all\"\nclub.test. MX 10 mx.bank.test.\n\
             _dmarc.club.test. TXT \"v=DMARC1; p=quarantine; fo=1; ruf=mailto:f@club.test,mailto:victim@else.test\"\n\
             _dmarc.example.test. TXT \"v=DMARC1; p=reject; rua=mailto:postmaster@example.test; ruf=mailto:postmaster@example.test\"\n",
            port.address(1).ip()
        ));
        let (resolver, outbound) = (dns.address().to_string(), port.number().to_string());
        let mut options = vec!["--resolver", &resolver, "--outbound-port", &outbound, "--accounts", "2"];
        options.extend(database.iter().flat_map(|url| ["--database", url]));
        let mut process = Process::quickstart(PROGRAM, PASSWORD, &options);
        assert!(process.stop().success());
        let file = process.data().join("postroad.toml");
        let text = std::fs::read_to_string(&file).expect("quickstart wrote it");
        let service = "service = \"smtp\"\n";
        assert!(text.contains(service), "{text}");
        let text = text.replace(service, &format!("{service}proxy-from = [\"127.0.0.1\"]\n"));
        let text = lines.iter().fold(text, |text, (usual, other)| {
            assert!(text.contains(usual), "{usual}: {text}");
            text.replace(usual, other)
        });
        std::fs::write(&file, text).expect("written");
        let serve = Process::start(PROGRAM, &["serve", "--data", &process.data().display().to_string()]);
        Place { process: Mutex::new(process), _serve: serve, _dns: dns, port }
    }

    fn at(&self, standard: u16) -> String {
        self.process.lock().expect("nobody panicked").address(standard).to_string()
    }

    fn cli(&self, arguments: &[&str]) -> String {
        let data = self.process.lock().expect("nobody panicked").data().display().to_string();
        run(PROGRAM, &[arguments, &["--data", &data]].concat(), b"").good()
    }

    /// Hands a message in with swaks, as a host with this address.
    fn bring(&self, address: &str, from: &str, message: &str) -> Ran {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), message).expect("it can be written");
        let (server, data) = (self.at(25), format!("@{}", file.path().display()));
        let proxied = format!("TCP4 {address} 127.0.0.1 40000 25");
        let arguments = ["--server", &server, "--proxy", &proxied, "--helo", "mail.bank.test", "--from", from];
        run("swaks", &[&arguments[..], &["--to", WHO, "--data", &data]].concat(), b"")
    }
}

fn message(id: &str) -> String {
    format!(
        "From: boss@bank.test\nTo: {WHO}\nSubject: {id}\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <{id}@bank.test>\n\nhello\n"
    )
}

fn letter(subject: &str, kind: &str, body: &str) -> String {
    format!(
        "From: reports@bank.test\nTo: {WHO}\nSubject: {subject}\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n\
         Message-ID: <{}@bank.test>\nMIME-Version: 1.0\nContent-Type: {kind}\n\n{body}",
        subject.replace(|c: char| !c.is_ascii_alphanumeric(), ".")
    )
}

fn places() -> [Place; 2] {
    [Place::start(None), Place::start(Some(&postgres::fresh_database()))]
}

#[test]
fn an_owner_is_told_and_reads_it_here() {
    for place in places() {
        let remote = Remote::start(place.port.address(1), Manner::default());
        for id in ["one", "two"] {
            place.bring(HOME, "boss@bank.test", &message(id)).good();
        }
        let forged = place.bring(STRANGER, "boss@bank.test", &message("three"));
        assert!(!forged.success && forged.out.contains("550 5.7.26 "), "{forged:?}");

        let today = run("date", &["-u", "+%F"], b"").good();
        let send = ["report", "send", "--day", today.trim()];
        // What was refused is written down a moment later.
        let dry = eventually("three messages to report", || {
            Some(place.cli(&[&send[..], &["--dry-run"]].concat())).filter(|said| said.contains("3 messages"))
        });
        assert!(dry.contains("would be sent") && dry.contains("r@bank.test, r@also.test"), "{dry}");
        assert!(dry.contains("victim@else.test: bank.test._report._dmarc.else.test does not say"), "{dry}");
        let sent = place.cli(&send);
        assert!(sent.contains("3 messages, to r@bank.test, r@also.test"), "{sent}");
        assert!(place.cli(&send).contains("nothing is owed"), "nobody gets it twice");

        let received = remote.wait_for(1).remove(0);
        assert_eq!(received.sender(), "", "nothing can come back");
        let text = received.text();
        assert!(text.contains("Report Domain: bank.test Submitter: "), "{text}");

        // The same letter, at a server where the domain is.
        place.cli(&["domain", "add", "bank.test"]);
        place.bring(HOME, "<>", &text.replace('\r', "")).good();
        let shown = eventually("the report", || {
            let shown = place.cli(&["report", "dmarc", "bank.test", "--json"]);
            let data: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
            (data["sources"].as_array().is_some_and(|all| all.len() == 2)).then_some(data)
        });
        let of = |address: &str| {
            let all = shown["sources"].as_array().expect("a list");
            all.iter().find(|one| one["address"] == address).unwrap_or_else(|| panic!("{shown}")).clone()
        };
        assert_eq!((&of(HOME)["messages"], &of(HOME)["passed"], &of(HOME)["spf"]), (&2.into(), &2.into(), &2.into()));
        assert_eq!((&of(STRANGER)["passed"], &of(STRANGER)["refused"]), (&0.into(), &1.into()));
        let table = place.cli(&["report", "dmarc"]);
        assert!(table.contains("100 %") && table.contains("somebody forges your name"), "{table}");
    }
}

/// A message in the name of club.test that fails: the owner hears of it, once and without a word about whom it was for; python's
/// library and we read the letter alike. What programs write, and mail without a sender, is told to nobody.
#[test]
fn an_owner_is_told_of_a_failure() {
    let places = [None, Some(postgres::fresh_database())];
    for database in places {
        let place = Place::start_with(database.as_deref(), &FAILURES_ARE_TOLD);
        let remote = Remote::start(place.port.address(1), Manner::default());
        let forged = |id: &str, more: &str| {
            format!(
                "Received: from a by b for <{WHO}>; Sun, 22 Nov 2026 10:00:00 +0000\nFrom: boss@club.test\nTo: {WHO}\n\
                 Subject: our secret\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <{id}@club.test>\n{more}\nhello\n"
            )
        };
        place.bring(STRANGER, "boss@club.test", &forged("auto", "Auto-Submitted: auto-replied\n")).good();
        place.bring(STRANGER, "<>", &forged("null", "")).good();
        place.bring(STRANGER, "boss@club.test", &forged("first", "")).good();
        let received = remote.wait_for(1).remove(0);
        assert_eq!((received.sender(), received.recipients().count()), ("", 1), "nothing can come back");
        let text = received.text();
        let read = run("python3", &["-c", READ_FAILURE], text.as_bytes()).good();
        let read: serde_json::Value = serde_json::from_str(&read).expect("JSON");
        let says = |name: &str| read["fields"][name].as_str().unwrap_or_default().to_owned();
        assert_eq!(read["type"], "multipart/report feedback-report", "{read}");
        assert_eq!(read["parts"], serde_json::json!(["text/plain", "message/feedback-report", "text/rfc822-headers"]));
        assert_eq!((says("Feedback-Type").as_str(), says("Auth-Failure").as_str()), ("auth-failure", "dmarc"));
        assert_eq!((says("Source-IP").as_str(), says("Reported-Domain").as_str()), (STRANGER, "club.test"));
        assert_eq!((says("Identity-Alignment").as_str(), says("Delivery-Result").as_str()), ("dkim, spf", "spam"));
        assert_eq!(says("Original-Mail-From"), "<boss@club.test>");
        assert!(says("Authentication-Results").contains("dmarc=fail"), "{read}");
        assert_eq!(read["original"]["Message-ID"], "<first@club.test>");
        assert_eq!((read["automatic"].as_str(), read["to"].as_str()), (Some("auto-generated"), Some("f@club.test")));
        assert!(!text.contains("u0001") && !text.contains("secret") && text.contains("redacted-"), "{text}");
        assert!(place.cli(&["trace", "first@club.test"]).contains("club.test is told of this failure (dmarc)"));

        // Two in a day, and no more.
        for id in ["second", "third"] {
            place.bring(STRANGER, "boss@club.test", &forged(id, "")).good();
        }
        let all = remote.wait_for(2);
        assert!(all[1].text().contains("<second@club.test>"), "{}", all[1].text());
        eventually("the third is dealt with", || {
            Some(place.cli(&["trace", "third@club.test"])).filter(|story| story.contains("is told of this failure"))
        });
        assert_eq!(remote.wait_for(2).len(), 2);

        // The same letter, where the domain is. It came from us, so that it is told to nobody in turn.
        place.cli(&["domain", "add", "club.test"]);
        place.bring(HOME, "<>", &text.replace('\r', "")).good();
        let shown = eventually("the failure", || {
            Some(place.cli(&["report", "arf"])).filter(|shown| shown.contains("auth-failure"))
        });
        assert!(shown.contains("club.test"), "{shown}");

        // What fails in our own name is told here, to our own postmaster, and read.
        let own = "From: ceo@example.test\nTo: x\nSubject: pay\nMessage-ID: <own@example.test>\n\nhello\n";
        let refused = place.bring(STRANGER, "ceo@example.test", own);
        assert!(refused.out.contains("550 5.7.26 "), "{refused:?}");
        let shown = eventually("our own failure", || {
            let shown: serde_json::Value =
                serde_json::from_str(&place.cli(&["report", "arf", "--json"])).expect("JSON");
            shown.as_array().expect("a list").iter().find(|one| one["domain"] == "example.test").cloned()
        });
        assert!(shown["about"].as_str().is_some_and(|about| about.contains("auth-failure")), "{shown}");
    }
}

/// What the settings say, and what they are to say.
const FAILURES_ARE_TOLD: [(&str, &str); 2] =
    [("failures = \"off\"", "failures = \"headers\""), ("failures-per-day = 20", "failures-per-day = 2")];

/// Type, parts, fields and what is repeated, as Python's library reads them.
const READ_FAILURE: &str = r#"
import email, email.policy, json, sys
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
parts = list(m.iter_parts())
def fields(part):
    inner = part.get_payload()
    return inner[0] if isinstance(inner, list) else email.message_from_string(part.get_content())
print(json.dumps({
    "type": m.get_content_type() + " " + m.get_param("report-type"),
    "parts": [p.get_content_type() for p in parts],
    "fields": {k: " ".join(str(v).split()) for k, v in fields(parts[1]).items()},
    "original": {k: str(v) for k, v in email.message_from_string(parts[2].get_content()).items()},
    "automatic": m["Auto-Submitted"], "to": m["To"].addresses[0].addr_spec,
}))
"#;

#[test]
fn what_others_tell_is_read() {
    for place in places() {
        let _remote = Remote::start(place.port.address(1), Manner::default());
        let from = format!("{WHO}:{PASSWORD}");
        let text = format!(
            "From: {WHO}\r\nTo: carol@bank.test\r\nSubject: offers\r\nMessage-ID: <offers@example.test>\r\n\r\nbuy\r\n"
        );
        let url = format!("smtp://{}", place.at(587));
        let arguments = ["-sS", &url, "-u", &from, "--mail-from", WHO, "--mail-rcpt", "carol@bank.test", "-T", "-"];
        run("curl", &arguments, text.as_bytes()).good();

        let tls = r#"{"organization-name":"bank.test","date-range":{"start-datetime":"2026-11-21T00:00:00Z","end-datetime":"2026-11-21T23:59:59Z"},
            "contact-info":"t@bank.test","report-id":"x1","policies":[{"policy":{"policy-type":"sts","policy-domain":"example.test"},
            "summary":{"total-successful-session-count":7,"total-failure-session-count":2},
            "failure-details":[{"result-type":"certificate-expired","receiving-mx-hostname":"mx.example.test","failed-session-count":2}]}]}"#;
        let subject = "Report Domain: example.test Submitter: bank.test Report-ID: <x1>";
        place.bring(HOME, "boss@bank.test", &letter(subject, "application/tlsrpt+json", tls)).good();
        let complaint = "--b\nContent-Type: text/plain\n\nplease\n--b\nContent-Type: message/feedback-report\n\n\
             Feedback-Type: abuse\nUser-Agent: Bank/1\nVersion: 1\nOriginal-Mail-From: <u0001@example.test>\nOriginal-Rcpt-To: <carol@bank.test>\nSource-IP: 192.0.2.1\n\
             \n--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <offers@example.test>\nFrom: u0001@example.test\nSubject: offers\n\n--b--\n";
        let kind = "multipart/report; report-type=feedback-report; boundary=b";
        place.bring(HOME, "boss@bank.test", &letter("complaint", kind, complaint)).good();
        let subject = "Report domain: example.test Submitter: bank.test Report-ID: 7";
        place.bring(HOME, "boss@bank.test", &letter(subject, "application/zip; name=\"a!b!1!2.zip\"", "PK no")).good();

        let shown = eventually("the complaint", || {
            Some(place.cli(&["report", "arf"])).filter(|shown| shown.contains("offers"))
        });
        assert!(
            shown.contains("carol@bank.test") && shown.contains("abuse") && !shown.contains("not known"),
            "{shown}"
        );
        assert!(!shown.contains("not verified"), "bank.test vouches for it: {shown}");
        let story = place.cli(&["trace", "offers@example.test"]);
        assert!(story.contains("complaint") && story.contains("abuse by bank.test"), "{story}");
        assert!(story.contains("carol@bank.test is not written to by u0001@example.test any more"), "{story}");
        let shown = eventually("the letter that is none", || {
            Some(place.cli(&["report", "dmarc"])).filter(|shown| shown.contains("not read: a letter of bank.test"))
        });
        assert!(shown.contains("no DMARC report"), "{shown}");
        let shown = place.cli(&["report", "tls", "example.test"]);
        assert!(shown.contains("certificate-expired") && shown.contains("postroad certificate renew"), "{shown}");
    }
}
