//! MTA-STS (RFC 8461) towards domains that nobody signs, REQUIRETLS (RFC 8689) by it, and the policy of our own domain.

use postroad_testkit::certificates::Pair;
use postroad_testkit::postfix::{Postfix, Setup};
use postroad_testkit::remote::Manner;
use postroad_testkit::{PolicyHost, Remote, eventually};

use crate::harbour::{Harbour, harbour};
use crate::talk::{self, Talk};

fn policy(mode: &str, mx: &str) -> String {
    format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 604800\r\n")
}

/// The web server of a domain of the zone that is not signed.
fn publish(harbour: &Harbour, number: u8, file: &str) -> PolicyHost {
    let certificate = harbour.known.issue(&[&format!("mta-sts.d{number}.plain.test")]);
    PolicyHost::start(harbour.web.address(number), &certificate, file)
}

fn postfix(harbour: &Harbour, number: u8, certificate: Option<&Pair>, to: &str) -> Postfix {
    let listen = Some(harbour.port.address(number));
    Postfix::start(&Setup { listen, certificate, mailboxes: &[to], ..Setup::default() })
}

#[test]
fn postfix_gets_mail_as_its_policy_promises() {
    let Some(harbour) = harbour() else { return };
    let web = publish(harbour, 1, &policy("enforce", "*.d1.plain.test"));
    let (to, pair) = ("dave@d1.plain.test", harbour.known.issue(&["mx.d1.plain.test"]));
    let postfix = postfix(harbour, 1, Some(&pair), to);
    harbour.submit(to, "promised");
    let mail = postfix.wait_for_mail(to, 1);
    assert!(mail[0].contains("using TLSv1.3"), "{}", mail[0]);
    let story = harbour.wait_for_story(to, "sent");
    assert!(story.contains("certificate verified; by MTA-STS (enforce, id 1)"), "{story}");
    assert_eq!(web.asked(), ["mta-sts.d1.plain.test/.well-known/mta-sts.txt"]);
    let kept = harbour.cli(&["mta-sts", "others"]);
    assert!(kept.contains("d1.plain.test") && kept.contains("enforce"), "{kept}");
}

#[test]
fn postfix_with_a_bad_certificate_gets_nothing_but_in_testing() {
    let Some(harbour) = harbour() else { return };
    let _strict = publish(harbour, 2, &policy("enforce", "mx.d2.plain.test"));
    let _trial = publish(harbour, 3, &policy("testing", "mx.d3.plain.test"));
    let (strict, trial) = ("dave@d2.plain.test", "dave@d3.plain.test");
    let misnamed = harbour.known.issue(&["mx.elsewhere.test"]);
    let unknown = harbour.unknown.issue(&["mx.d3.plain.test"]);
    let (closed, open) = (postfix(harbour, 2, Some(&misnamed), strict), postfix(harbour, 3, Some(&unknown), trial));
    harbour.submit(strict, "misnamed");
    harbour.submit(trial, "unknown");
    let story = harbour.wait_for_story(strict, "deferred");
    assert!(
        story.contains("its certificate is not for mx.d2.plain.test. MTA-STS (enforce, id 1) demands it"),
        "{story}"
    );
    assert!(closed.mail(strict).is_empty());
    open.wait_for_mail(trial, 1);
    let story = harbour.wait_for_story(trial, "sent");
    assert!(story.contains("certificate not verified; by MTA-STS (testing, id 1)"), "{story}");
}

#[test]
fn a_host_without_starttls_or_without_a_name_in_the_policy_gets_nothing() {
    let Some(harbour) = harbour() else { return };
    let _stripped = publish(harbour, 4, &policy("enforce", "mx.d4.plain.test"));
    let _moved = publish(harbour, 5, &policy("enforce", "mx.real.test"));
    let remotes = [4, 5].map(|number| Remote::start(harbour.port.address(number), Manner::default()));
    for (to, words) in [
        ("dave@d4.plain.test", "TLS is required and the remote does not offer it. MTA-STS (enforce, id 1) demands it"),
        (
            "dave@d5.plain.test",
            "mx.d5.plain.test is a mail exchanger of d5.plain.test that the domain's MTA-STS policy does",
        ),
    ] {
        harbour.submit(to, to);
        let story = harbour.wait_for_story(to, "deferred");
        assert!(story.contains(words), "{story}");
    }
    assert!(remotes.iter().all(|remote| remote.ledger().received.is_empty()));
}

/// A message that requires TLS comes in, goes on to who promises the same, and comes back from where nobody does.
#[test]
fn requiretls_goes_all_the_way_or_not_at_all() {
    let Some(harbour) = harbour() else { return };
    let _web = publish(harbour, 6, &policy("enforce", "mx.d6.plain.test"));
    let pair = harbour.known.issue(&["mx.d6.plain.test"]);
    let offers = ["PIPELINING", "SIZE 10000000", "8BITMIME", "ENHANCEDSTATUSCODES", "REQUIRETLS"];
    let remote = Remote::start(harbour.port.address(6), Manner::default().offering(&offers).secured(&pair));
    let from = harbour.account();
    let mut clear = Talk::with(harbour.at(587));
    clear.reply();
    let offered = clear.ask("EHLO client.example.net");
    assert!(!offered.contains("REQUIRETLS"), "only over TLS: {offered}");
    let to = "dave@d6.plain.test";
    let submit = |to: &str| {
        let at = harbour.at(465).to_string();
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("requiretls.py");
        std::fs::write(&file, SUBMIT).expect("written");
        let (host, port) = at.rsplit_once(':').expect("a port");
        let program = file.display().to_string();
        postroad_testkit::run("python3", &[&program, host, port, &from, crate::town::PASSWORD, to], b"").good()
    };
    let heard = submit(to);
    assert!(heard.contains("250"), "{heard}");
    let received = remote.wait_for(1);
    assert!(received[0].tls);
    let commands = remote.ledger().connections[0].commands.join("\n");
    assert!(commands.contains("REQUIRETLS"), "{commands}");
    let story = harbour.wait_for_story(to, "sent");
    assert!(story.contains("by MTA-STS (enforce, id 1), and REQUIRETLS"), "{story}");
    // Nobody vouches for this one's host, so that nothing is even tried.
    let lost = "dave@lost.plain.test";
    let silent = Remote::start(harbour.port.address(7), Manner::default());
    submit(lost);
    let story = harbour.wait_for_story(lost, "failed");
    assert!(story.contains("neither DNSSEC nor an MTA-STS policy"), "{story}");
    assert!(silent.ledger().connections.is_empty());
    let notice = eventually("the notice", || talk::messages(harbour.at(143), &from, "INBOX").pop());
    assert!(notice.contains("Status: 5.7.30"), "{notice}");
}

/// Python's smtplib over TLS, with the option that it does not know itself.
const SUBMIT: &str = r#"
import smtplib, ssl, sys
host, port, user, password, to = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with smtplib.SMTP_SSL(host, int(port), context=context) as session:
    session.login(user, password)
    assert session.has_extn("requiretls"), session.esmtp_features
    text = f"From: {user}\r\nTo: {to}\r\nSubject: all the way\r\n\r\nHello\r\n"
    session.mail(user, ["REQUIRETLS"])
    session.rcpt(to)
    print(session.data(text))
"#;

#[test]
fn our_own_policy_is_served_and_set() {
    let Some(harbour) = harbour() else { return };
    let shown = harbour.cli(&["mta-sts", "show", "example.test"]);
    assert!(shown.contains("mode: testing") && shown.contains("_mta-sts.example.test. TXT \"v=STSv1; id="), "{shown}");
    harbour.cli(&["mta-sts", "set", "example.test", "--mode", "enforce", "--days", "14", "--mx", "mx.example.test"]);
    let (http, data) = (harbour.at(443), harbour.process().data().display().to_string());
    let url = format!("https://mta-sts.example.test:{}/.well-known/mta-sts.txt", http.port());
    let resolve = format!("mta-sts.example.test:{}:{}", http.port(), http.ip());
    let got = postroad_testkit::run("curl", &["-sSk", "--resolve", &resolve, &url], b"").good();
    assert_eq!(got, "version: STSv1\r\nmode: enforce\r\nmx: mx.example.test\r\nmax_age: 1209600\r\n", "{data}");
    harbour.cli(&["mta-sts", "reset", "example.test"]);
}
