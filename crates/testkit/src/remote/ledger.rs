//! What a remote server was sent, and when it promised to keep it.

use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

/// Everything that came, in its order.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// Messages that were taken, whether or not the answer could be given.
    pub received: Vec<Received>,
    /// Connections; a message names one by its place.
    pub connections: Vec<Connection>,
}

/// A message that was taken.
#[derive(Debug, Clone)]
pub struct Received {
    /// The connection it came in.
    pub connection: usize,
    /// Whether it came over TLS.
    pub tls: bool,
    /// Whether it came in chunks.
    pub chunked: bool,
    /// Who logged in.
    pub login: Option<String>,
    /// What stood behind `MAIL FROM:`.
    pub mail: String,
    /// What stood behind `RCPT TO:` of those that were taken.
    pub rcpt: Vec<String>,
    /// The message as it is, with CRLF, without dot-stuffing.
    pub bytes: Vec<u8>,
    /// When its last byte had come.
    pub taken: Instant,
    /// When the `250` had been given to the network; never, when it was kept back or could not be given.
    pub answered: Option<Instant>,
}

/// A connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Where it came from.
    pub from: Option<SocketAddr>,
    /// When it came.
    pub began: Instant,
    /// When it had ended.
    pub ended: Option<Instant>,
    /// What was heard, line by line; passwords as they came.
    pub commands: Vec<String>,
}

impl Received {
    /// The sender's address, empty for the null path.
    pub fn sender(&self) -> &str {
        path(&self.mail)
    }

    /// The addresses of the recipients.
    pub fn recipients(&self) -> impl Iterator<Item = &str> {
        self.rcpt.iter().map(|line| path(line))
    }

    /// Its bytes as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The value of the first field with this name, without white space around it; a folded one as it is.
    pub fn field(&self, name: &str) -> Option<String> {
        let text = self.text();
        let header = text.split("\r\n\r\n").next().unwrap_or_default().to_owned() + "\r\n";
        let header = header.replace("\r\n ", "\u{0} ").replace("\r\n\t", "\u{0}\t");
        header.split("\r\n").find_map(|line| {
            let (field, value) = line.split_once(':')?;
            let unfolded = value.replace('\u{0}', "\r\n");
            field.eq_ignore_ascii_case(name).then(|| unfolded.trim().to_owned())
        })
    }
}

/// What stands between the angle brackets.
fn path(arguments: &str) -> &str {
    let inside = arguments.split_once('<').map_or(arguments, |(_, rest)| rest);
    inside.rsplit_once('>').map_or(inside, |(path, _)| path)
}

impl Ledger {
    /// Messages whose sender was told that they were taken.
    pub fn answered(&self) -> impl Iterator<Item = &Received> {
        self.received.iter().filter(|received| received.answered.is_some())
    }

    /// How often this recipient got the message with this Message-ID (without angle brackets).
    pub fn times(&self, message_id: &str, recipient: &str) -> usize {
        let id = format!("<{message_id}>");
        self.received
            .iter()
            .filter(|received| received.recipients().any(|one| one == recipient))
            .filter(|received| received.field("Message-ID").as_deref() == Some(&id))
            .count()
    }

    pub(super) fn connect(&mut self, stream: &TcpStream) -> usize {
        let from = stream.peer_addr().ok();
        self.connections.push(Connection { from, began: Instant::now(), ended: None, commands: Vec::new() });
        self.connections.len() - 1
    }

    pub(super) fn disconnect(&mut self, number: usize) {
        self.connections[number].ended = Some(Instant::now());
    }
}
