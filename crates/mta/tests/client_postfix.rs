//! The client session of `postroad-smtp` against a real Postfix, over a plain socket: groups, DATA, BDAT, and more recipients than
//! it takes at a time. What arrives is compared with what was sent.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use postroad_smtp::client::{Client, Fate, Report, Settings, Step, TlsWish, Transaction};
use postroad_smtp::{Address, BodyType, ForwardPath, RcptTo};
use postroad_testkit::postfix::{Setup, can_run};
use postroad_testkit::run::PATIENCE;
use postroad_testkit::{PortOffset, Postfix};

struct Peer {
    client: Client,
    socket: TcpStream,
}

impl Peer {
    fn connect(at: SocketAddr, pipelining: bool) -> Peer {
        let settings = Settings { tls: TlsWish::Never, pipelining, ..Settings::new("client.test") };
        let socket = TcpStream::connect(at).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        let mut peer = Peer { client: Client::new(settings), socket };
        assert_eq!(peer.drive(b""), None);
        peer
    }

    /// Until a transaction is over or another may begin.
    fn drive(&mut self, message: &[u8]) -> Option<Report> {
        let mut pieces = message.chunks(50_000);
        loop {
            let step = self.client.step();
            self.socket.write_all(&self.client.take_output()).expect("it reads");
            match step {
                Step::Read => {
                    let mut space = [0; 4_096];
                    match self.socket.read(&mut space).expect("it writes") {
                        0 => self.client.closed(),
                        count => self.client.input(&space[..count]),
                    }
                }
                Step::NeedBody => match pieces.next() {
                    Some(piece) => self.client.body(piece),
                    None => self.client.body_end(),
                },
                Step::Done(report) => return Some(report),
                Step::Ready | Step::Close(None) => return None,
                other @ (Step::StartTls | Step::Close(Some(_))) => panic!("{other:?}"),
            }
        }
    }

    fn send(&mut self, message: &[u8], to: &[String], chunked: bool) -> Report {
        let rcpt = |to: &String| RcptTo::new(ForwardPath::Address(address(to)));
        let size = u64::try_from(message.len()).expect("small");
        let transaction = Transaction {
            body: BodyType::EightBitMime,
            chunked,
            ..Transaction::new(Some(address("s@client.test")), size, to.iter().map(rcpt).collect())
        };
        self.client.send(transaction).expect("Postfix takes it");
        self.drive(message).expect("a report")
    }
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn message(subject: &str) -> String {
    let lines: String = (0..30_000).map(|number| format!(".{number} ü\r\n..\r\n\r\n.\r\n")).collect();
    // Postfix adds a Date and a Message-ID where there is none.
    format!(
        "From: s@client.test\r\nSubject: {subject}\r\nMessage-ID: <1@client.test>\r\nDate: Sun, 22 Nov 2026 07:00:00 +0000\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n{lines}"
    )
}

#[test]
fn messages_arrive_as_they_were_sent() {
    if !can_run() {
        return;
    }
    let ports = PortOffset::find();
    let at = ports.address(25);
    let to: Vec<String> = (0..5).map(|number| format!("u{number}@elsewhere.test")).collect();
    let mailboxes: Vec<&str> = to.iter().map(String::as_str).collect();
    let more = "smtpd_recipient_limit = 3\nsmtpd_error_sleep_time = 0\nmessage_size_limit = 10000000\n";
    let postfix = Postfix::start(&Setup { listen: Some(at), mailboxes: &mailboxes, more, ..Setup::default() });
    let mut sent = Vec::new();
    for (pipelining, chunked) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut peer = Peer::connect(at, pipelining);
        assert!(peer.client.capabilities().chunking && peer.client.capabilities().eight_bit_mime);
        let subject = format!("pipelining {pipelining} chunked {chunked}");
        let text = message(&subject);
        let nobody = peer.send(text.as_bytes(), &["nobody@elsewhere.test".to_owned()], chunked);
        assert!(matches!(nobody.recipients.as_slice(), [Fate::Refused(said)] if said.reply.code() == 550));
        let first = peer.send(text.as_bytes(), &to, chunked);
        let [Fate::Accepted(_), Fate::Accepted(_), Fate::Accepted(_), Fate::Surplus(_), Fate::Surplus(_)] =
            first.recipients.as_slice()
        else {
            panic!("{first:?}");
        };
        let second = peer.send(text.as_bytes(), &to[3..], chunked);
        assert!(second.recipients.iter().all(|fate| matches!(fate, Fate::Accepted(_))), "{second:?}");
        peer.client.quit();
        assert_eq!(peer.drive(b""), None);
        sent.push(text.replace("\r\n", "\n"));
    }
    for to in &to {
        let got = postfix.wait_for_mail(to, sent.len());
        for text in &sent {
            let arrived = got.iter().filter(|got| got.ends_with(text.as_str())).count();
            assert_eq!(arrived, 1, "{to} has it once, as it was sent");
        }
    }
}
