//! A blocking client for line protocols, for what no program does at the moment a test wants it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Nothing may take longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct Lines {
    reader: BufReader<TcpStream>,
}

impl Lines {
    /// Connects; the greeting is still to be read.
    pub(crate) fn connect(port: u16) -> Lines {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server accepts");
        stream.set_read_timeout(Some(ANSWER_WITHIN)).expect("a socket option");
        Lines { reader: BufReader::new(stream) }
    }

    /// Sends a line.
    pub(crate) fn say(&mut self, line: &str) {
        self.reader.get_mut().write_all(format!("{line}\r\n").as_bytes()).expect("the server reads");
    }

    /// Reads a line.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("the server answers in time");
        assert!(!line.is_empty(), "the server closed the connection");
        line.trim_end().to_string()
    }

    /// Reads until the server closes the connection.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.reader.read_to_string(&mut rest).expect("the server closes in time");
        rest
    }

    /// Reads until a line for which this holds; returns all of them.
    pub(crate) fn until(&mut self, last: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.hear();
            let is_last = last(&line);
            lines.push(line);
            if is_last {
                return lines;
            }
        }
    }

    /// An IMAP command with the tag `a`; panics unless the answer is OK.
    pub(crate) fn imap(&mut self, command: &str) -> Vec<String> {
        self.say(&format!("a {command}"));
        let lines = self.until(|line| line.starts_with("a "));
        assert!(lines.last().is_some_and(|line| line.starts_with("a OK")), "{command}: {lines:?}");
        lines
    }
}
