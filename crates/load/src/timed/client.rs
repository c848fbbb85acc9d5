//! A blocking connection that counts what it reads: IMAP (RFC 9051, LITERAL+ of RFC 7888) and POP3 (RFC 1939).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::letters::Letters;
use crate::users::Login;

/// How long a server may stay silent.
const PATIENCE: Duration = Duration::from_secs(300);
/// What is read at once.
const BUFFER: usize = 256 * 1024;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) octets: u64,
    pub(super) lines: u64,
    pub(super) said: String,
}

/// A connection, logged in.
#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What of the buffer is there and not yet taken.
    start: usize,
    end: usize,
    tag: u32,
    capabilities: String,
}

impl Client {
    pub(super) fn imap(place: &str, login: &Login) -> Result<Client> {
        let mut client = Client::connect(place)?;
        client.line(|line| line.to_vec())?;
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        client.run(&format!("LOGIN {} {}", quoted(&login.user), quoted(&login.password)))?;
        client.capabilities = client.run_shown("CAPABILITY")?;
        Ok(client)
    }

    pub(super) fn pop3(place: &str, login: &Login) -> Result<Client> {
        let mut client = Client::connect(place)?;
        client.positive()?;
        for command in [format!("USER {}", login.user), format!("PASS {}", login.password)] {
            client.stream.write_all(format!("{command}\r\n").as_bytes())?;
            client.positive()?;
        }
        Ok(client)
    }

    fn connect(place: &str) -> Result<Client> {
        let stream = TcpStream::connect(place).with_context(|| format!("no connection to {place}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client { stream, buffer: vec![0; BUFFER], start: 0, end: 0, tag: 0, capabilities: String::new() })
    }

    /// The untagged line of CAPABILITY.
    pub(super) fn capabilities(&self) -> &str {
        &self.capabilities
    }

    pub(super) fn has(&self, capability: &str) -> bool {
        self.capabilities.split(' ').any(|one| one.eq_ignore_ascii_case(capability))
    }

    /// A command and all of its answer, which must be OK.
    pub(super) fn run(&mut self, command: &str) -> Result<Counted> {
        self.tag += 1;
        self.stream.write_all(format!("t{} {command}\r\n", self.tag).as_bytes())?;
        self.answer(self.tag)
    }

    /// Commands, each after the answer to the one before.
    pub(super) fn run_all(&mut self, commands: impl Iterator<Item = String>) -> Result<Counted> {
        let mut all = Counted::default();
        for command in commands {
            let counted = self.run(&command)?;
            all = Counted { octets: all.octets + counted.octets, lines: all.lines + counted.lines, ..counted };
        }
        Ok(all)
    }

    /// The first untagged line of an answer.
    fn run_shown(&mut self, command: &str) -> Result<String> {
        self.tag += 1;
        self.stream.write_all(format!("t{} {command}\r\n", self.tag).as_bytes())?;
        let line = self.line(|line| String::from_utf8_lossy(line).into_owned())?;
        self.answer(self.tag)?;
        Ok(line)
    }

    /// Reads up to the tagged line.
    fn answer(&mut self, tag: u32) -> Result<Counted> {
        let tag = format!("t{tag} ");
        let mut counted = Counted::default();
        loop {
            let (literal, said) = self.line(|line| {
                let said = line.starts_with(tag.as_bytes()).then(|| String::from_utf8_lossy(line).into_owned());
                counted.octets += line.len() as u64 + 2;
                counted.lines += 1;
                (literal(line), said)
            })?;
            if let Some(said) = said {
                if !said[tag.len()..].starts_with("OK") {
                    bail!("the server answers {said}");
                }
                counted.said = said;
                return Ok(counted);
            }
            if let Some(length) = literal {
                self.skip(length)?;
                counted.octets += length;
            }
        }
    }

    pub(super) fn append_one_by_one(
        &mut self,
        letters: &Letters,
        first: u32,
        count: u32,
        mailbox: &str,
    ) -> Result<Counted> {
        let mut all = Counted::default();
        let mut command = Vec::new();
        for number in first..first + count {
            self.tag += 1;
            command.clear();
            append(&mut command, self.tag, letters, number, mailbox);
            self.stream.write_all(&command)?;
            let counted = self.answer(self.tag)?;
            all = Counted { octets: all.octets + counted.octets, lines: all.lines + counted.lines, ..counted };
        }
        Ok(all)
    }

    /// All commands go out without waiting for an answer.
    pub(super) fn append_pipelined(
        &mut self,
        letters: &Letters,
        first: u32,
        count: u32,
        mailbox: &str,
    ) -> Result<Counted> {
        let mut commands = Vec::new();
        let tags = self.tag + 1..=self.tag + count;
        for (number, tag) in (first..).zip(tags.clone()) {
            append(&mut commands, tag, letters, number, mailbox);
        }
        self.tag += count;
        self.while_writing(&commands, |client| {
            let mut all = Counted::default();
            for tag in tags {
                let counted = client.answer(tag)?;
                all = Counted { octets: all.octets + counted.octets, lines: all.lines + counted.lines, ..counted };
            }
            Ok(all)
        })
    }

    /// All in one command (RFC 3502).
    pub(super) fn append_multi(&mut self, letters: &Letters, first: u32, count: u32, mailbox: &str) -> Result<Counted> {
        self.tag += 1;
        let mut command = format!("t{} APPEND {mailbox}", self.tag).into_bytes();
        for number in first..first + count {
            let letter = letters.letter(number);
            command.extend_from_slice(format!(" {{{}+}}\r\n", letter.len()).as_bytes());
            command.extend_from_slice(&letter);
        }
        command.extend_from_slice(b"\r\n");
        let tag = self.tag;
        self.while_writing(&command, |client| client.answer(tag))
    }

    /// So many messages from this number on.
    pub(super) fn retrieve(&mut self, first: u32, count: u32, pipelined: bool) -> Result<Counted> {
        let mut all = Counted::default();
        if pipelined {
            let commands: String = (first..first + count).map(|number| format!("RETR {number}\r\n")).collect();
            return self.while_writing(commands.as_bytes(), |client| {
                for _ in 0..count {
                    client.message(&mut all)?;
                }
                Ok(all)
            });
        }
        for number in first..first + count {
            self.stream.write_all(format!("RETR {number}\r\n").as_bytes())?;
            self.message(&mut all)?;
        }
        Ok(all)
    }

    /// `+OK`, lines, a dot (RFC 1939 §3).
    fn message(&mut self, all: &mut Counted) -> Result<()> {
        self.positive()?;
        loop {
            let (length, ends) = self.line(|line| (line.len(), line == b"."))?;
            if ends {
                return Ok(());
            }
            all.octets += length as u64 + 2;
            all.lines += 1;
        }
    }

    fn positive(&mut self) -> Result<()> {
        let bad = self.line(|line| (!line.starts_with(b"+OK")).then(|| String::from_utf8_lossy(line).into_owned()))?;
        bad.map_or(Ok(()), |said| bail!("the server answers {said}"))
    }

    /// Writes on a thread of its own while the answers are read: neither side waits for the other for ever.
    fn while_writing<T>(&mut self, bytes: &[u8], read: impl FnOnce(&mut Client) -> Result<T>) -> Result<T> {
        let mut stream = self.stream.try_clone()?;
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || stream.write_all(bytes));
            let done = read(self);
            if done.is_err() {
                drop(self.stream.shutdown(std::net::Shutdown::Both));
            }
            let written = writer.join().ok().context("the writer ended");
            let done = done?;
            written??;
            Ok(done)
        })
    }

    /// The next line without its line end, shown to `look`.
    fn line<T>(&mut self, look: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let mut searched = 0;
        loop {
            let there = &self.buffer[self.start..self.end];
            if let Some(at) = memchr::memchr(b'\n', &there[searched..]) {
                let line = &there[..searched + at];
                let seen = look(line.strip_suffix(b"\r").unwrap_or(line));
                self.start += searched + at + 1;
                return Ok(seen);
            }
            searched = there.len();
            self.fill()?;
        }
    }

    fn skip(&mut self, octets: u64) -> Result<()> {
        let mut left = octets;
        loop {
            let taken = (self.end - self.start).min(usize::try_from(left).unwrap_or(usize::MAX));
            self.start += taken;
            left -= taken as u64;
            if left == 0 {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Reads more behind what is there.
    fn fill(&mut self) -> Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            bail!("the server sent a line of more than {} octets", self.buffer.len());
        }
        let read = self.stream.read(&mut self.buffer[self.end..]).context("the server does not answer")?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        self.end += read;
        Ok(())
    }
}

fn append(out: &mut Vec<u8>, tag: u32, letters: &Letters, number: u32, mailbox: &str) {
    let letter = letters.letter(number);
    out.extend_from_slice(format!("t{tag} APPEND {mailbox} {{{}+}}\r\n", letter.len()).as_bytes());
    out.extend_from_slice(&letter);
    out.extend_from_slice(b"\r\n");
}

/// RFC 9051 §9: `literal = "{" number64 "}" CRLF *CHAR8`, at the end of a line.
fn literal(line: &[u8]) -> Option<u64> {
    let rest = line.strip_suffix(b"}")?;
    let open = rest.iter().rposition(|&octet| octet == b'{')?;
    std::str::from_utf8(&rest[open + 1..]).ok()?.parse().ok()
}
