//! The connection ends, or the remote refuses, at each moment of a transaction.

mod remote;

use postroad_smtp::client::{Client, Phase, Settings, Step, TlsWish};
use remote::{Drive, transaction};

/// What the server says, each piece answering what the client said before it.
const SAID: [&str; 8] = [
    "220 x\r\n",
    "250-x\r\n250 CHUNKING\r\n",
    "250 mail\r\n",
    "250 rcpt\r\n",
    "550 rcpt\r\n",
    "250 rcpt\r\n",
    "354 data\r\n",
    "250 message\r\n",
];

fn clear() -> Settings {
    let mut settings = Settings::new("client.example");
    settings.tls = TlsWish::Never;
    settings
}

/// As far as `count` pieces of what the server says, and half a line more.
fn until(count: usize, lmtp: bool, chunked: bool) -> Drive {
    let mut settings = clear();
    settings.lmtp = lmtp;
    let mut drive = Drive::new(settings, 3);
    // DATA is not said when chunks are, and two recipients are answered in LMTP.
    let said: Vec<&str> = SAID.into_iter().filter(|said| !chunked || !said.starts_with("354")).collect();
    for said in said.iter().take(count) {
        drive.feed(said.as_bytes());
        if drive.ready && drive.events.is_empty() {
            let parameters = if chunked { " chunked" } else { "" };
            let words = format!("s@b.example a@d.example unknown@d.example c@d.example{parameters}");
            drive.send(transaction(&words), b"text".to_vec()).expect("suited");
        }
    }
    if !drive.ready && !drive.handshake {
        drive.feed(b"250-half of a reply");
    }
    drive
}

#[test]
fn each_moment_at_which_a_connection_can_end() {
    for (lmtp, chunked, timeout) in (0..8).map(|bits| (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0)) {
        let replies = if chunked { SAID.len() - 1 } else { SAID.len() };
        for count in 0..=replies {
            let mut drive = until(count, lmtp, chunked);
            if timeout {
                drive.client.timed_out()
            } else {
                drive.client.closed()
            }
            drive.run();
            let what = format!("lmtp {lmtp}, chunked {chunked}, after {count} replies: {:?}", drive.events);
            assert!(drive.closed, "{what}");
            let sent = String::from_utf8(drive.output.clone()).expect("text");
            let complete = sent.contains("text\r\n.\r\n") || sent.contains(" LAST\r\n");
            let fates: Vec<&str> = drive
                .events
                .iter()
                .filter_map(|event| event.strip_prefix("D: ")?.split(' ').next())
                .filter(|word| !["message", "reusable", "used"].contains(word))
                .collect();
            let expected = match (count, complete) {
                (0 | 1, _) => vec![],
                (2..=4, _) => vec!["unsent", "unsent", "unsent"],
                (_, false) => vec!["unsent", "refused", "unsent"],
                (_, true) if count < replies => vec!["unknown", "refused", "unknown"],
                // In LMTP the second of those who were accepted has heard nothing.
                (_, true) if lmtp => vec!["accepted", "refused", "unknown"],
                (_, true) => vec!["accepted", "refused", "accepted"],
            };
            assert_eq!(fates, expected, "{what}");
            let end = if timeout { "E: the remote was silent" } else { "E: the remote closed" };
            let ends: Vec<&String> = drive.events.iter().filter(|event| event.starts_with("E: ")).collect();
            assert!(matches!(ends.as_slice(), [only] if only.starts_with(end)), "{what}");
        }
    }
}

/// A client that waits for the message.
fn in_data() -> Drive {
    let mut drive = Drive::new(clear(), usize::MAX);
    drive.feed(b"220 x\r\n");
    drive.feed(b"250 x\r\n");
    drive.client.send(transaction("s@b.example a@d.example")).expect("suited");
    drive.run();
    for said in ["250 ok\r\n", "250 ok\r\n", "354 ok\r\n"] {
        drive.feed(said.as_bytes());
    }
    assert!(drive.needs_body);
    assert_eq!((drive.client.phase(), drive.client.patience().as_secs()), (Phase::Body, 180));
    drive.client.body(b"half of");
    drive.output.clear();
    drive
}

#[test]
fn a_refusal_in_the_middle_of_the_message_is_believed() {
    for closed_at_once in [false, true] {
        let mut drive = in_data();
        drive.client.input(b"552 5.3.4 too large\r\n");
        if closed_at_once {
            drive.client.closed();
        }
        drive.run();
        let expected = [
            "D: refused 552 5.3.4 too large (in reply to a part of the message)",
            "D: message 552 5.3.4 too large (in reply to a part of the message)",
            "D: used up",
            "E: 552 5.3.4 too large (in reply to a part of the message)",
        ];
        assert_eq!(drive.events, expected);
        assert!(!String::from_utf8_lossy(&drive.output).contains("\r\n.\r\n"), "the rest is not sent");
    }
}

#[test]
fn an_acceptance_in_the_middle_of_the_message_is_not() {
    let mut drive = in_data();
    drive.feed(b"250 thanks\r\n");
    let garbled = "the remote said what is no reply in the middle of the message: 250 thanks";
    assert_eq!(drive.events, [format!("D: unsent {garbled}"), "D: used up".to_owned(), format!("E: {garbled}")]);
}

#[test]
fn a_message_that_is_given_up_has_no_end() {
    let mut drive = in_data();
    drive.client.abandon();
    drive.client.body(b"more");
    drive.client.body_end();
    drive.run();
    let given_up = "sending was given up in the middle of the message";
    assert_eq!(drive.events, [format!("D: unsent {given_up}"), "D: used up".to_owned(), format!("E: {given_up}")]);
    assert_eq!(drive.output, b"", "nothing more is said");
}

#[test]
fn no_more_commands_are_under_way_than_buffers_hold_replies_to() {
    let mut drive = Drive::new(clear(), usize::MAX);
    drive.feed(b"220 x\r\n");
    drive.feed(b"250-x\r\n250 PIPELINING\r\n");
    drive.output.clear();
    let many: Vec<String> = (0..500).map(|number| format!("u{number}@d.example")).collect();
    drive.send(transaction(&format!("s@b.example {}", many.join(" "))), b"x".to_vec()).expect("suited");
    let commands = |drive: &Drive| drive.output.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(commands(&drive), 64);
    drive.feed(b"250 ok\r\n250 ok\r\n");
    assert_eq!((commands(&drive), drive.client.turns()), (66, 4));
}

#[test]
fn a_connection_that_is_done_says_so_for_ever() {
    let mut client = Client::new(clear());
    client.quit();
    client.input(b"220 x\r\n");
    for _ in 0..3 {
        assert!(matches!(client.step(), Step::Close(Some(_))));
    }
    assert_eq!(client.take_output(), b"");
    assert!(client.send(transaction("s@b.example a@d.example")).is_err());
}
