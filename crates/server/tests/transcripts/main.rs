//! The transcripts of SMTP, IMAP and POP3 over TCP, against the program, on both databases: a fresh server
//! for each file.
//!
//! What a transcript says to the stage in process is said to the server in its own protocols: mail is put
//! into mailboxes by IMAP APPEND. Files that turn the world itself (the clock, the database, settings, a
//! remote peer) are replayed in process only. `TRANSCRIPT=name` replays one file.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postroad_testkit::transcript::{self, Directive, Open};
use postroad_testkit::{Process, postgres};

const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Directives that need the inside of the server.
const INSIDE: [&str; 21] = [
    "advance",
    "interrupt",
    "away",
    "back",
    "quota",
    "suspend",
    "newest",
    "story",
    "queue",
    "raw",
    "account",
    "mailbox",
    "shared",
    "group",
    "acl",
    "administrators",
    "limit",
    "annotation",
    "delete",
    "alias",
    "labels",
];
/// Words of files that are replayed in process only: RFC 5032 asks the clock, a SAVEDATE is the day on which the test runs, what NOTIFY
/// pushes comes whenever it comes, and behind COMPRESS the lines are none (`clients/compress.py` and the tests of the connection loop
/// speak it).
const ELSEWHERE: [&str; 4] = [" YOUNGER ", " SAVEDON ", " NOTIFY SET ", " COMPRESS DEFLATE"];
/// Words of `@open` that need another connection, other settings or other people than a trial has.
const OTHER: [&str; 11] =
    ["remote", "tls", "from", "size", "no-stls", "carol", "ntlm", "cram-md5", "apop", "external", "scram-sha-256-plus"];

#[test]
fn smtp() {
    replay("mta", "smtp", 25, "correct horse", 1);
}

#[test]
fn imap() {
    replay("imapd", "imap", 143, "wonderland", 8);
}

#[test]
fn pop3() {
    replay("pop3d", "pop3", 110, "wonder land", 2);
}

/// What only the whole program has: mechanisms that look into the accounts more than once, tokens.
#[test]
fn mechanisms() {
    let folder = format!("{}/tests/transcripts/mechanisms", env!("CARGO_MANIFEST_DIR"));
    for (extension, port, password) in
        [("smtp", 25, "correct horse"), ("imap", 143, "wonderland"), ("pop3", 110, "wonder land")]
    {
        replay_in(&folder, extension, port, password, 1);
    }
}

/// Replays the files of a crate that can be, at least so many.
fn replay(owner: &str, extension: &str, port: u16, password: &str, at_least: usize) {
    replay_in(
        &format!("{}/../{owner}/tests/transcripts", env!("CARGO_MANIFEST_DIR")),
        extension,
        port,
        password,
        at_least,
    );
}

fn replay_in(folder: &str, extension: &str, port: u16, password: &str, at_least: usize) {
    let only = std::env::var("TRANSCRIPT").unwrap_or_default();
    let mut files: Vec<PathBuf> =
        transcript::files(folder, extension).into_iter().filter(|file| is_possible(file)).collect();
    assert!(files.len() >= at_least, "only {files:?} can be replayed over TCP");
    files.retain(|file| file.to_string_lossy().contains(&only));
    let names: Vec<_> = files.iter().filter_map(|file| file.file_stem()).collect();
    eprintln!("over TCP: {names:?}");
    let mut failures = Vec::new();
    for file in &files {
        for database in ["sqlite", "postgres"] {
            let url = (database == "postgres").then(postgres::fresh_database);
            let more: Vec<&str> = url.iter().flat_map(|url| ["--database", url]).collect();
            let process = Process::quickstart(env!("CARGO_BIN_EXE_postroad"), password, &more);
            let check = || {
                let mut town = Town { process: &process, port, password, delivered: 0 };
                let places = Town { process: &process, port, password, delivered: 0 };
                transcript::check_file_tcp(file, |open| places.open(open), |directive| town.directive(directive));
            };
            if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)) {
                let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                failures.push(format!("on {database}: {why}\nthe server printed:\n{}", process.printed()));
            }
            drop(process);
            if let Some(url) = url {
                postgres::drop_database(&url);
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn is_possible(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).expect("the file was listed");
    if ELSEWHERE.iter().any(|words| text.contains(words)) {
        return false;
    }
    let mut directives = text.lines().filter_map(|line| line.strip_prefix('@')).map(|line| line.split_whitespace());
    directives.all(|mut words| {
        let name = words.next().unwrap_or_default();
        !INSIDE.contains(&name) && (name != "open" || words.all(|word| !OTHER.contains(&word)))
    })
}

/// A running server, as the stage of a transcript.
struct Town<'a> {
    process: &'a Process,
    port: u16,
    password: &'a str,
    delivered: u32,
}

impl Town<'_> {
    /// `@open 2 alice INBOX` logs in and selects; for SMTP the word is the listener.
    fn open(&self, open: &Open) -> Result<TcpStream, String> {
        // A trial advertises IMAP4rev2.
        let words: Vec<&str> = open.words.iter().map(String::as_str).filter(|word| *word != "rev2").collect();
        let connect = |port| TcpStream::connect(self.process.address(port)).map_err(|error| error.to_string());
        match (self.port, words.as_slice()) {
            (_, []) => connect(self.port),
            (25, ["relay"]) => connect(25),
            (25, ["submission"]) => connect(587),
            (25, ["lmtp"]) => connect(24),
            (143, [name]) => Ok(self.imap(name).stream()),
            (143, [name, mailbox]) => {
                let mut client = self.imap(name);
                client.command(&format!("SELECT {mailbox}"));
                Ok(client.stream())
            }
            (110, [name]) => {
                let mut client = Client::new(connect(110)?);
                client.hear();
                client.pop3(&format!("USER {name}@example.test"));
                client.pop3(&format!("PASS {}", self.password));
                Ok(client.stream())
            }
            (_, words) => Err(format!("@open {words:?} is not possible over TCP")),
        }
    }

    fn directive(&mut self, directive: &Directive) -> Result<(), String> {
        let words: Vec<&str> = directive.words.iter().map(String::as_str).collect();
        match (directive.name.as_str(), words.as_slice()) {
            ("deliver", [name, rest @ ..]) => {
                let message = directive.block.as_deref().ok_or("a message is needed")?;
                let (mailbox, flags) = rest.split_first().unwrap_or((&"INBOX", &[]));
                self.deliver(name, mailbox, flags, message);
            }
            ("many", [name, mailbox, count]) => {
                for number in 1..=count.parse::<u32>().map_err(|_| "a number is needed")? {
                    let message =
                        format!("From: bob@example.test\r\nSubject: Message {number}\r\n\r\nHello {number}\r\n");
                    self.deliver(name, mailbox, &[], &message);
                }
            }
            ("remove", [name, uid]) => {
                let mut client = self.imap(name);
                client.command("SELECT INBOX");
                client.command(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"));
                client.command(&format!("UID EXPUNGE {uid}"));
            }
            ("inbox", [name, expected @ ..]) => {
                let mut client = self.imap(name);
                client.command("EXAMINE INBOX");
                let found = client.command("UID FETCH 1:* (FLAGS)");
                let uids: Vec<_> = found.iter().filter_map(|line| line.split_once("UID ")).collect();
                if uids.len() != expected.len() {
                    return Err(format!("INBOX has {found:?}"));
                }
            }
            ("count", [address, mailbox, count]) => {
                let name = address.strip_suffix("@example.test").ok_or("only our domain")?;
                let status = self.imap(name).command(&format!("STATUS {mailbox} (MESSAGES)"));
                if !status.iter().any(|line| line.ends_with(&format!("(MESSAGES {count})"))) {
                    return Err(format!("{status:?}"));
                }
            }
            // What counts as a failed log-in is seen inside.
            ("malformed", _) => {}
            (other, _) => return Err(format!("@{other} is not possible over TCP")),
        }
        Ok(())
    }

    /// As the stages in process date it: a second after the one before, from three o'clock.
    fn deliver(&mut self, name: &str, mailbox: &str, flags: &[&str], message: &str) {
        self.delivered += 1;
        let (flags, second) = (flags.join(" "), self.delivered);
        assert!(second < 60, "a transcript delivers less than that");
        let head = format!("a APPEND {mailbox} ({flags}) \"22-Nov-2026 03:00:{second:02} +0000\"");
        let mut client = self.imap(name);
        if !message.is_ascii() {
            // RFC 6855 §4: headers in UTF-8 are for those who have said that they know them.
            client.command("ENABLE UTF8=ACCEPT");
        }
        client.say(&format!("{head} {{{}+}}\r\n{message}", message.len()));
        client.tagged();
    }

    /// A client that has logged in.
    fn imap(&self, name: &str) -> Client {
        let mut client = Client::new(TcpStream::connect(self.process.address(143)).expect("the server accepts"));
        client.hear();
        client.command(&format!("LOGIN {name}@example.test \"{}\"", self.password));
        client
    }
}

/// A blocking client of the stage's own.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(ANSWER_WITHIN)).expect("a socket option");
        Client(BufReader::new(stream))
    }

    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).expect("the server reads");
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("the server answers in time");
        line.trim_end().to_owned()
    }

    /// An IMAP command; its untagged answers.
    fn command(&mut self, command: &str) -> Vec<String> {
        self.say(&format!("a {command}"));
        self.tagged()
    }

    fn tagged(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.hear();
            if line.starts_with("a ") {
                assert!(line.starts_with("a OK"), "{line}");
                return lines;
            }
            assert!(!line.is_empty(), "the server closed: {lines:?}");
            lines.push(line);
        }
    }

    fn pop3(&mut self, command: &str) {
        self.say(command);
        let line = self.hear();
        assert!(line.starts_with("+OK"), "{line}");
    }

    /// The connection, when all that was said has been heard.
    fn stream(self) -> TcpStream {
        assert!(self.0.buffer().bytes().next().is_none(), "nothing is left unread");
        self.0.into_inner()
    }
}
