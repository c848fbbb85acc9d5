//! Blocking clients for submission and IMAP, for what no program says at the moment a test wants it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postroad_testkit::run::PATIENCE;

use crate::town::PASSWORD;

/// A connection that is talked over in lines.
pub(crate) struct Talk {
    reader: BufReader<TcpStream>,
}

impl Talk {
    pub(crate) fn with(at: SocketAddr) -> Talk {
        let stream = TcpStream::connect(at).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        stream.set_nodelay(true).expect("a socket option");
        Talk { reader: BufReader::new(stream) }
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).expect("the server reads");
    }

    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("the server answers in time");
        assert!(line.ends_with("\r\n"), "the server closed the connection: {line:?}");
        line.trim_end().to_owned()
    }

    /// A whole SMTP reply, its lines separated by LF.
    pub(crate) fn reply(&mut self) -> String {
        let mut lines = vec![self.hear()];
        while lines.last().is_some_and(|line| line.as_bytes().get(3) == Some(&b'-')) {
            lines.push(self.hear());
        }
        lines.join("\n")
    }

    /// An SMTP command and its reply.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.say(format!("{command}\r\n").as_bytes());
        self.reply()
    }
}

/// A session of submission that is logged in as this account.
pub(crate) fn submission(at: SocketAddr, who: &str) -> Talk {
    let mut talk = Talk::with(at);
    assert!(talk.reply().starts_with("220"));
    assert!(talk.ask("EHLO client.example.net").starts_with("250"));
    let command = format!("AUTH PLAIN {}", BASE64_STANDARD.encode(format!("\0{who}\0{PASSWORD}")));
    let answer = talk.ask(&command);
    assert!(answer.starts_with("235"), "{answer}");
    talk
}

/// Hands a message in. `from` and `to` are the arguments of MAIL FROM and RCPT TO with their parameters; all must be
/// taken. The text needs CRLF; dots are stuffed here. What is said at the end.
pub(crate) fn submit(at: SocketAddr, who: &str, from: &str, to: &[&str], text: &[u8]) -> String {
    let mut talk = submission(at, who);
    let answer = talk.ask(&format!("MAIL FROM:{from}"));
    assert!(answer.starts_with("250"), "{from}: {answer}");
    for recipient in to {
        let answer = talk.ask(&format!("RCPT TO:{recipient}"));
        assert!(answer.starts_with("250"), "{recipient}: {answer}");
    }
    assert!(talk.ask("DATA").starts_with("354"));
    let mut stuffed = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend(line);
    }
    talk.say(&stuffed);
    let answer = talk.ask(".");
    assert!(answer.starts_with("250"), "{answer}");
    talk.ask("QUIT");
    answer
}

/// All messages of a mailbox.
pub(crate) fn messages(at: SocketAddr, who: &str, mailbox: &str) -> Vec<String> {
    let mut talk = Talk::with(at);
    talk.hear();
    for command in [format!("LOGIN {who} \"{PASSWORD}\""), format!("EXAMINE {mailbox}")] {
        talk.say(format!("a {command}\r\n").as_bytes());
        while !talk.hear().starts_with("a OK") {}
    }
    talk.say(b"b UID FETCH 1:* BODY.PEEK[]\r\n");
    let mut found = Vec::new();
    loop {
        let line = talk.hear();
        if line.starts_with("b ") {
            assert!(line.starts_with("b OK"), "{line}");
            return found;
        }
        if let Some(size) = line.strip_suffix('}').and_then(|line| line.rsplit_once('{')) {
            let mut bytes = vec![0; size.1.parse().expect("a size")];
            talk.reader.read_exact(&mut bytes).expect("the whole literal");
            found.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}
