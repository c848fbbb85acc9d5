//! The client session against our own server session, in memory: what the one is given, the other receives, byte for byte.

mod common;
mod remote;

use postroad_smtp::client::{Login, Settings as ClientSettings, TlsWish};
use postroad_smtp::{BodyType, ClearAuth, Role, Settings};

struct Pair {
    client: remote::Drive,
    server: common::Drive,
    sent: usize,
    answered: usize,
}

impl Pair {
    fn new(client: ClientSettings, role: Role, cut: usize) -> Pair {
        let mut settings = Settings::new(role, "mx.example.com");
        settings.text_line_limit = usize::MAX;
        settings.clear_auth = ClearAuth::Never;
        // The world of these tests looks at passwords alone.
        settings.mechanisms.retain(|row| row.name == "PLAIN");
        let server = common::Drive::new(settings, common::peer("203.0.113.9:4711"), None);
        let mut pair = Pair { client: remote::Drive::new(client, cut), server, sent: 0, answered: 0 };
        pair.talk();
        pair
    }

    /// Until nothing moves any more.
    fn talk(&mut self) {
        loop {
            let said = self.server.output[self.answered..].to_vec();
            self.answered += said.len();
            self.client.feed(&said);
            if self.client.handshake {
                self.client.secured();
            }
            let sent = self.client.output[self.sent..].to_vec();
            self.sent += sent.len();
            for piece in sent.chunks(self.client.cut) {
                self.server.feed(piece);
            }
            if self.server.handshake {
                self.server.secured();
            }
            if said.is_empty() && sent.is_empty() {
                return;
            }
        }
    }

    fn send(&mut self, words: &str, message: &[u8]) {
        let transaction = remote::transaction(words);
        self.client.send(transaction, message.to_vec()).expect("it is suited");
        self.talk();
        assert!(self.client.ready, "{:?}", self.client.events);
    }
}

fn clear() -> ClientSettings {
    let mut settings = ClientSettings::new("client.example");
    settings.tls = TlsWish::Never;
    settings
}

/// What becomes of a message of lines.
fn as_lines(message: &[u8]) -> Vec<u8> {
    let text: Vec<u8> = message.to_vec();
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            (b'\r', Some(b'\n')) => {
                out.extend_from_slice(b"\r\n");
                at += 1;
            }
            (b'\r' | b'\n', _) => out.extend_from_slice(b"\r\n"),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    if !out.is_empty() && !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

const ENVELOPES: [(&str, BodyType); 4] = [
    ("", BodyType::SevenBit),
    (" body=8bit", BodyType::EightBitMime),
    (" body=8bit chunked", BodyType::EightBitMime),
    (" body=binary", BodyType::BinaryMime),
];

#[test]
fn what_is_sent_is_received() {
    postroad_fuzz::check!(1500).with_type::<(u8, u8, Vec<(u8, u8)>)>().for_each(|(kind, cut, words)| {
        let mut message = Vec::new();
        for (word, count) in words {
            match word % 6 {
                0 => message.extend_from_slice(b"\r\n"),
                1 => message.push(b'.'),
                2 => message.extend(std::iter::repeat_n(b'x', usize::from(*count))),
                3 => message.push(b'\r'),
                4 => message.push(b'\n'),
                _ => message.push(*count),
            }
        }
        let (parameters, body) = ENVELOPES[usize::from(kind % 4)];
        let role = if kind & 4 == 0 { Role::Relay } else { Role::Lmtp };
        let mut settings = clear();
        settings.lmtp = role == Role::Lmtp;
        settings.pipelining = kind & 8 == 0;
        let mut pair = Pair::new(settings, role, usize::from(*cut).max(1));
        let expected = if body == BodyType::BinaryMime { message.clone() } else { as_lines(&message) };
        for _ in 0..2 {
            pair.send(&format!("s@b.example a@d.example unknown@d.example c@d.example{parameters}"), &message);
        }
        let line = format!("<s@b.example> a@d.example,c@d.example {}", expected.escape_ascii());
        assert_eq!(pair.server.session.world.log, [line.clone(), line]);
        let accepted = pair.client.events.iter().filter(|event| event.starts_with("D: accepted 250 2.0.0 Stored"));
        assert_eq!(accepted.count(), 4, "{:?}", pair.client.events);
        assert_eq!(pair.server.session.counters().errors, 0);
    });
}

#[test]
fn large_messages_in_chunks_and_in_lines() {
    let mut message = Vec::new();
    for number in 0..40_000 {
        message.extend_from_slice(format!(".{number}\r\n..\r\n").as_bytes());
    }
    message.extend_from_slice(&vec![b'x'; 300_000]);
    message.extend_from_slice(b"\r\n");
    for (parameters, _) in ENVELOPES {
        for pipelining in [true, false] {
            let mut settings = clear();
            settings.pipelining = pipelining;
            let mut pair = Pair::new(settings, Role::Relay, 50_000);
            pair.send(&format!("<> a@d.example{parameters}"), &message);
            let line = format!("<> a@d.example {}", message.escape_ascii());
            assert!(pair.server.session.world.log == [line], "{parameters}");
        }
    }
}

#[test]
fn a_message_that_the_server_refuses_in_the_middle() {
    let message = [b"x\r\n".repeat(60_000), b"VIRUS".to_vec(), b"x\r\n".repeat(60_000)].concat();
    for (parameters, _) in ENVELOPES {
        let mut pair = Pair::new(clear(), Role::Relay, 10_000);
        pair.send(&format!("<> a@d.example{parameters}"), &message);
        assert!(pair.client.events[0].starts_with("D: refused 554 5.7.1 Infected"), "{:?}", pair.client.events);
        // The connection is good for another one.
        pair.send(&format!("<> a@d.example{parameters}"), b"clean\r\n");
        assert_eq!(pair.server.session.world.log.last().map(String::as_str), Some("<> a@d.example clean\\r\\n"));
        assert_eq!(pair.client.events.last().map(String::as_str), Some("D: reusable"));
    }
}

#[test]
fn thousands_of_recipients_in_one_group() {
    let many: Vec<String> = (0..900).map(|number| format!("u{number}@d.example")).collect();
    let mut pair = Pair::new(clear(), Role::Relay, usize::MAX);
    pair.send(&format!("s@b.example {}", many.join(" ")), b"x\r\n");
    assert_eq!(pair.server.session.world.log, [format!("<s@b.example> {} x\\r\\n", many.join(","))]);
}

#[test]
fn through_starttls_and_login() {
    for (password, right) in [("secret", true), ("wrong", false)] {
        let mut settings = ClientSettings::new("client.example");
        settings.tls = TlsWish::Required;
        let password = postroad_sasl::Secret::new(password.to_owned());
        settings.login = Some(Login::password("alice", password));
        let mut pair = Pair::new(settings, Role::Submission, 3);
        assert_eq!(pair.client.ready, right);
        if !right {
            assert_eq!(pair.client.events, ["E: the remote refused the login: 535 5.7.8 Wrong name or password"]);
            continue;
        }
        assert_eq!(pair.server.session.identity().map(|identity| identity.login.as_str()), Some("alice@example.com"));
        assert!(pair.client.client.tls().is_some() && pair.server.session.tls().is_some());
        pair.send("s@b.example dömi@bücher.example smtputf8 body=8bit", "ü\r\n".as_bytes());
        let expected = format!("<s@b.example> dömi@bücher.example {}\\r\\n", "ü".as_bytes().escape_ascii());
        assert_eq!(pair.server.session.world.log, [expected]);
    }
}

/// The parameters of DSN and the sizes come through as they were given.
#[test]
fn parameters_are_received_as_they_were_given() {
    use postroad_smtp::{Orcpt, parse_mail, parse_rcpt};
    postroad_fuzz::check!(1000).with_type::<(String, String, u32, bool)>().for_each(
        |(envid, original, size, smtputf8)| {
            let mut transaction = remote::transaction("s@b.example a@d.example");
            transaction.envid = Some(envid.clone());
            transaction.size = u64::from(*size);
            transaction.smtputf8 = *smtputf8;
            let kind = if original.is_ascii() { "rfc822" } else { "utf-8" };
            transaction.recipients[0].orcpt = Some(Orcpt { kind: kind.to_owned(), address: original.clone() });
            let mut drive = remote::Drive::new(clear(), usize::MAX);
            drive.feed(b"220 x\r\n");
            drive.feed(b"250-x\r\n250-SIZE\r\n250-DSN\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n");
            drive.output.clear();
            drive.send(transaction, Vec::new()).expect("suited");
            let said = String::from_utf8(std::mem::take(&mut drive.output)).expect("text");
            let lines: Vec<&str> = said.split("\r\n").collect();
            let [mail, rcpt, "DATA", ""] = lines.as_slice() else { panic!("other lines: {lines:?}") };
            assert!(!said.replace("\r\n", "").contains(char::is_control));
            let printable = |text: &str| !text.chars().any(char::is_control);
            let sender = parse_mail(mail.strip_prefix("MAIL").expect("MAIL"), Role::Relay);
            if printable(envid) {
                let sender = sender.expect("understood");
                assert_eq!(sender.size, Some(u64::from(*size)).filter(|size| *size > 0));
                assert!(sender.envid.is_none_or(|got| got == *envid));
            }
            let rcpt = parse_rcpt(rcpt.strip_prefix("RCPT").expect("RCPT"), Role::Relay, *smtputf8);
            if printable(original) {
                assert!(rcpt.expect("understood").orcpt.is_none_or(|got| got.address == *original));
            }
        },
    );
}

#[test]
fn fates_of_a_full_mailbox_in_lmtp() {
    let mut settings = clear();
    settings.lmtp = true;
    let mut pair = Pair::new(settings, Role::Lmtp, 5);
    pair.send("s@b.example quota1@d.example b@d.example full@d.example chunked", b"x\r\n");
    let expected = [
        "D: deferred 452 4.2.2 quota1@d.example is full (in reply to the message)",
        "D: accepted 250 2.1.5 b@d.example has it (in reply to the message)",
        "D: deferred 452 4.2.2 The mailbox is full (in reply to RCPT)",
        "D: reusable",
    ];
    assert_eq!(pair.client.events, expected);
}
