use std::io::{BufRead, BufReader, Read, Write};
use std::time::Duration;

use super::*;
use crate::certificates::Authority;
use crate::run::{Ran, run};

fn remote(manner: Manner) -> Remote {
    Remote::start(([127, 0, 0, 1], 0).into(), manner)
}

fn swaks(remote: &Remote, more: &[&str]) -> Ran {
    let at = remote.address().to_string();
    let base = ["--server", &at, "--from", "a@here.test", "--to", "b@there.test", "--helo", "here.test"];
    run("swaks", &[&base[..], more].concat(), b"")
}

#[test]
fn a_message_is_taken_and_counted() {
    let remote = remote(Manner::default().refusing("@bad.test", "550 5.1.1 nobody"));
    let text = "Message-ID: <one@here.test>\nSubject: two\n lines\n\n.dotted\nend";
    swaks(&remote, &["--to", "b@there.test,c@bad.test", "--data", text]).good();
    let received = remote.wait_for(1);
    assert_eq!(received[0].recipients().collect::<Vec<_>>(), ["b@there.test"]);
    assert_eq!(received[0].sender(), "a@here.test");
    assert_eq!(received[0].field("subject").as_deref(), Some("two\r\n lines"));
    assert!(received[0].text().contains("\r\n.dotted\r\nend"), "{}", received[0].text());
    assert!(received[0].answered.is_some_and(|answered| answered >= received[0].taken));
    let ledger = remote.ledger();
    assert_eq!(ledger.times("one@here.test", "b@there.test"), 1);
    assert_eq!(ledger.times("one@here.test", "c@bad.test"), 0);
    assert!(ledger.connections[0].commands.contains(&"QUIT".to_owned()));
}

#[test]
fn each_deed_is_done_in_its_phase() {
    use Phase::{Auth, Body, Connect, Data, Ehlo, End, Mail, Rcpt};
    let remote = remote(Manner::default());
    for phase in [Connect, Ehlo, Mail, Rcpt, Data, Body, End] {
        remote.behave_next([Manner::of(phase, Deed::Close)]);
        assert!(!swaks(&remote, &[]).success, "{phase:?}");
    }
    assert!(remote.look(|ledger| ledger.received.is_empty()));
    remote.behave_next([Manner::of(End, Deed::TakeAndClose)]);
    assert!(!swaks(&remote, &[]).success);
    assert!(remote.look(|ledger| ledger.received.len() == 1 && ledger.received[0].answered.is_none()));
    remote.behave_next([Manner::saying(Rcpt, "450 4.2.1 later")]);
    assert!(swaks(&remote, &[]).out.contains("450 4.2.1 later"));
    remote.behave_next([Manner::of(Data, Deed::SayAndClose(b"421 4.3.2 bye\r\n".to_vec()))]);
    assert!(swaks(&remote, &[]).out.contains("421 4.3.2 bye"));
    remote.behave_next([Manner::of(Ehlo, Deed::Stall)]);
    assert!(!swaks(&remote, &["--timeout", "1"]).success);
    remote.behave_next([Manner::default().locked("me", "pw"), Manner::default().locked("me", "pw")]);
    let login = ["--auth-user", "me", "--auth-password", "pw", "--auth"];
    assert!(!swaks(&remote, &[]).success);
    swaks(&remote, &[&login[..], &["LOGIN"]].concat()).good();
    remote.behave_next([Manner::default().locked("me", "pw").and(Auth, Deed::Close)]);
    assert!(!swaks(&remote, &[&login[..], &["PLAIN"]].concat()).success);
    let last = remote.ledger().received.pop().expect("one more");
    assert_eq!(last.login.as_deref(), Some("me"));
}

#[test]
fn tls_is_spoken_and_misspoken() {
    let pair = Authority::new().issue(&["remote.test"]);
    let remote = remote(Manner::default().secured(&pair));
    swaks(&remote, &["--tls"]).good();
    assert!(remote.wait_for(1)[0].tls);
    remote.behave_next([Manner::default().secured(&pair).and(Phase::StartTls, Deed::BreakTls)]);
    assert!(!swaks(&remote, &["--tls"]).success);
    remote.behave_next([Manner::default().secured(&pair).and(Phase::StartTls, Deed::Inject(b"250 in\r\n".to_vec()))]);
    let stream = TcpStream::connect(remote.address()).expect("it listens");
    let mut reader = BufReader::new(stream);
    let mut heard = String::new();
    reader.read_line(&mut heard).expect("a greeting");
    reader.get_mut().write_all(b"STARTTLS\r\n").expect("sent");
    reader.read_line(&mut heard).expect("an answer");
    reader.read_line(&mut heard).expect("an injected line");
    assert!(heard.ends_with("250 in\r\n"), "{heard}");
}

#[test]
fn chunks_are_put_together_and_the_end_ends_a_stall() {
    let remote = remote(Manner::default());
    let mut stream = TcpStream::connect(remote.address()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket option");
    let words = "EHLO x\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<b@there.test> NOTIFY=NEVER\r\n\
                 BDAT 4\r\nA: bBDAT 8 LAST\r\n\r\n\r\n.\r\n\rQUIT\r\n";
    stream.write_all(words.as_bytes()).expect("sent");
    let mut heard = String::new();
    stream.read_to_string(&mut heard).expect("it closes");
    let received = remote.wait_for(1);
    assert_eq!(received[0].bytes, b"A: b\r\n\r\n.\r\n\r");
    assert!(received[0].chunked);
    assert_eq!((received[0].sender(), received[0].rcpt[0].as_str()), ("", "<b@there.test> NOTIFY=NEVER"));

    remote.behave(Manner::of(Phase::Connect, Deed::Stall));
    let mut stalled = TcpStream::connect(remote.address()).expect("it listens");
    remote.wait_for_connections(2);
    drop(remote);
    assert_eq!(stalled.read(&mut [0; 1]).unwrap_or(0), 0);
}
