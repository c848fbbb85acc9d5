//! A blocking client for line protocols that knows the server may die at any moment.

use std::io::{BufRead, BufReader, Error, ErrorKind, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Nothing takes longer; a server that hangs is a failure, not a kill.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(place: SocketAddr) -> Result<Client> {
        let stream = TcpStream::connect(place)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_nodelay(true)?;
        Ok(Client { reader: BufReader::new(stream) })
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) -> Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// The next line without CRLF; an error when the server is gone.
    pub(crate) fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(_) if line.ends_with("\r\n") => Ok(line.trim_end().to_owned()),
            // A line that was cut off is no answer.
            Ok(_) => Err(Error::from(ErrorKind::UnexpectedEof)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the server did not answer within {ANSWER_WITHIN:?}")
            }
            Err(error) => Err(error),
        }
    }

    /// An SMTP reply: its last line.
    pub(crate) fn reply(&mut self) -> Result<String> {
        loop {
            let line = self.hear()?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    }

    /// An IMAP command with the tag `a`: its tagged answer.
    pub(crate) fn imap(&mut self, command: &str) -> Result<String> {
        self.say(format!("a {command}\r\n").as_bytes())?;
        self.tagged()
    }

    pub(crate) fn tagged(&mut self) -> Result<String> {
        loop {
            let line = self.hear()?;
            if let Some(answer) = line.strip_prefix("a ") {
                return Ok(answer.to_owned());
            }
        }
    }
}
