//! A blocking client for SMTP, IMAP and POP3 that keeps one connection through the trouble.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::world::PASSWORD;

/// Nothing may take longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The tag of all IMAP commands: no line of a test message begins with it.
const TAG: &str = "zz ";

pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

/// What an IMAP command was answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Everything before the tagged line.
    pub(crate) lines: Vec<String>,
    /// The tagged line without its tag.
    pub(crate) tagged: String,
}

impl Answer {
    /// Panics unless it is OK.
    pub(crate) fn good(self) -> Vec<String> {
        assert!(self.tagged.starts_with("OK"), "{self:?}");
        self.lines
    }
}

impl Client {
    /// Connects; the greeting is still to be read.
    pub(crate) fn connect(place: SocketAddr) -> Client {
        let stream = TcpStream::connect(place).expect("the server accepts");
        stream.set_read_timeout(Some(ANSWER_WITHIN)).expect("a socket option");
        stream.set_write_timeout(Some(ANSWER_WITHIN)).expect("a socket option");
        stream.set_nodelay(true).expect("a socket option");
        Client { reader: BufReader::new(stream) }
    }

    /// An SMTP connection after EHLO.
    pub(crate) fn smtp(place: SocketAddr) -> Client {
        let mut client = Client::connect(place);
        assert!(client.reply().starts_with("220 "));
        assert!(client.ask("EHLO client.example.net").starts_with("250 "));
        client
    }

    /// An IMAP connection, logged in, with INBOX selected.
    pub(crate) fn inbox(place: SocketAddr, login: &str) -> Client {
        let mut client = Client::connect(place);
        assert!(client.hear().starts_with("* OK "));
        client.imap(&format!("LOGIN {login} \"{PASSWORD}\"")).good();
        client.imap("SELECT INBOX").good();
        client
    }

    /// A POP3 connection, logged in.
    pub(crate) fn pop3(place: SocketAddr, login: &str) -> Client {
        let mut client = Client::connect(place);
        assert!(client.hear().starts_with("+OK"));
        assert!(client.line(&format!("USER {login}")).starts_with("+OK"));
        let answer = client.line(&format!("PASS {PASSWORD}"));
        assert!(answer.starts_with("+OK"), "{answer}");
        client
    }

    /// Sends octets.
    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.reader.get_mut().write_all(octets).expect("the server reads");
    }

    /// Sends a line.
    pub(crate) fn say(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes());
    }

    /// The next line; `None` when the server has closed the connection.
    pub(crate) fn next(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(String::from_utf8_lossy(&line).trim_end().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("the server does not answer in time: {error}"),
        }
    }

    /// The next line; panics when the connection is closed.
    pub(crate) fn hear(&mut self) -> String {
        self.next().expect("the server keeps the connection open")
    }

    /// A line and the line that answers it.
    pub(crate) fn line(&mut self, line: &str) -> String {
        self.say(line);
        self.hear()
    }

    /// An SMTP reply: its last line.
    pub(crate) fn reply(&mut self) -> String {
        loop {
            let line = self.hear();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    /// An SMTP command and its reply.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.say(command);
        self.reply()
    }

    /// Hands a message in; the reply that ended it, good or bad.
    pub(crate) fn deliver(&mut self, to: &str, message: &str) -> String {
        for (command, good) in [
            ("MAIL FROM:<carol@elsewhere.test>".to_owned(), "250 "),
            (format!("RCPT TO:<{to}>"), "250 "),
            ("DATA".to_owned(), "354 "),
        ] {
            let reply = self.ask(&command);
            if !reply.starts_with(good) {
                assert!(self.ask("RSET").starts_with("250 "));
                return reply;
            }
        }
        self.send(message.as_bytes());
        self.ask(".")
    }

    /// An IMAP command and its answer.
    pub(crate) fn imap(&mut self, command: &str) -> Answer {
        self.say(&format!("{TAG}{command}"));
        self.answer()
    }

    /// An APPEND to INBOX that does not wait for a continuation.
    pub(crate) fn append(&mut self, message: &str) -> Answer {
        self.say(&format!("{TAG}APPEND INBOX {{{}+}}\r\n{message}", message.len()));
        self.answer()
    }

    fn answer(&mut self) -> Answer {
        let mut lines = Vec::new();
        loop {
            let line = self.hear();
            if let Some(tagged) = line.strip_prefix(TAG) {
                return Answer { lines, tagged: tagged.to_owned() };
            }
            lines.push(line);
        }
    }

    /// The octets of the literal that this line announces, in pieces.
    pub(crate) fn literal(&mut self, announced: u64, mut piece: impl FnMut(&[u8])) {
        let mut left = announced;
        let mut buffer = vec![0; 64 * 1024];
        while left > 0 {
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = self.reader.read(&mut buffer[..most]).expect("octets in time");
            assert!(count > 0, "the server closed the connection with {left} octets to come");
            piece(&buffer[..count]);
            left -= count as u64;
        }
    }

    /// The subjects of all messages in the selected mailbox.
    pub(crate) fn subjects(&mut self) -> Vec<String> {
        let lines = self.imap("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])").good();
        lines.iter().filter_map(|line| line.strip_prefix("Subject: ").map(str::to_owned)).collect()
    }
}
