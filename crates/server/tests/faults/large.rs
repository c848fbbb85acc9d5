//! Messages of 100 MB, several at once, on their way in and out: the process stays small.

use std::fs;
use std::net::SocketAddr;

use crate::client::Client;
use crate::world::{ALICE, BOB, Noise, Server, eventually};

/// Just below the largest message that is taken by default (100 MiB).
const BLOCKS: usize = 99;
/// In whole lines, about a megabyte.
const BLOCK_LINES: usize = 13_400;
/// Of one BDAT.
const BDAT: usize = 3_000_000;
/// What a message on its way may cost, as promised.
const PER_MESSAGE_KIB: u64 = 4 * 1024;

/// A large message, made piece by piece so that the test does not hold it either.
#[derive(Clone)]
struct Large {
    subject: &'static str,
    block: String,
}

impl Large {
    fn new(subject: &'static str) -> Large {
        let mut noise = Noise::new(subject.len() as u64);
        Large { subject, block: (0..BLOCK_LINES).map(|_| noise.line()).collect() }
    }

    fn pieces(&self) -> impl Iterator<Item = String> + '_ {
        let head = format!("From: carol@elsewhere.test\r\nSubject: {}\r\n\r\n", self.subject);
        std::iter::once(head).chain((0..BLOCKS).map(|place| format!("Block {place}\r\n{}", self.block)))
    }

    /// Its size and hash.
    fn expected(&self) -> (u64, blake3::Hash) {
        let mut hasher = blake3::Hasher::new();
        let mut size = 0;
        for piece in self.pieces() {
            size += piece.len() as u64;
            hasher.update(piece.as_bytes());
        }
        (size, hasher.finalize())
    }

    fn by_data(&self, smtp: &mut Client, to: &str) -> String {
        for command in ["MAIL FROM:<carol@elsewhere.test>".to_owned(), format!("RCPT TO:<{to}>"), "DATA".to_owned()] {
            let reply = smtp.ask(&command);
            assert!(reply.starts_with('2') || reply.starts_with("354"), "{reply}");
        }
        for piece in self.pieces() {
            smtp.send(piece.as_bytes());
        }
        smtp.ask(".")
    }

    fn by_bdat(&self, smtp: &mut Client, to: &str) -> String {
        for command in ["MAIL FROM:<carol@elsewhere.test>".to_owned(), format!("RCPT TO:<{to}>")] {
            let reply = smtp.ask(&command);
            assert!(reply.starts_with('2'), "{reply}");
        }
        let mut chunk = String::new();
        for piece in self.pieces() {
            chunk += &piece;
            if chunk.len() >= BDAT {
                smtp.send(format!("BDAT {}\r\n{chunk}", chunk.len()).as_bytes());
                let reply = smtp.reply();
                assert!(reply.starts_with("250 "), "{reply}");
                chunk.clear();
            }
        }
        smtp.send(format!("BDAT {} LAST\r\n{chunk}", chunk.len()).as_bytes());
        smtp.reply()
    }

    /// Fetches message 1 over IMAP and compares.
    fn comes_by_imap(&self, imap: &mut Client) {
        imap.say("zz FETCH 1 BODY.PEEK[]");
        let line = imap.hear();
        let announced = line.rsplit_once('{').and_then(|(_, size)| size.trim_end_matches('}').parse().ok());
        self.comes_whole(imap, announced.unwrap_or_else(|| panic!("no literal: {line}")));
        while !imap.hear().starts_with("zz OK") {}
    }

    /// Retrieves message 1 over POP3 and compares: no line of it begins with a dot.
    fn comes_by_pop3(&self, pop3: &mut Client) {
        let line = pop3.line("LIST 1");
        let announced = line.strip_prefix("+OK 1 ").and_then(|size| size.parse().ok());
        assert!(pop3.line("RETR 1").starts_with("+OK"));
        self.comes_whole(pop3, announced.unwrap_or_else(|| panic!("no size: {line}")));
        assert_eq!(pop3.hear(), ".");
    }

    /// So many octets: what servers add, then what was sent.
    fn comes_whole(&self, client: &mut Client, announced: u64) {
        let (size, hash) = self.expected();
        let mut added = announced.checked_sub(size).expect("at least what was sent");
        let mut hasher = blake3::Hasher::new();
        client.literal(announced, |piece| {
            let skipped = added.min(piece.len() as u64);
            added -= skipped;
            hasher.update(&piece[usize::try_from(skipped).expect("a piece is small")..]);
        });
        assert_eq!(hasher.finalize(), hash, "{} octet for octet", self.subject);
    }
}

/// Resident memory of a process now, and at its highest since [`forget`], in KiB.
fn memory(id: &str) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the process runs");
    let value = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("Linux tells it");
        line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number of KiB")
    };
    (value("VmRSS:"), value("VmHWM:"))
}

/// The highest is counted from now on.
fn forget(id: &str) {
    fs::write(format!("/proc/{id}/clear_refs"), "5").expect("the process is ours");
}

/// What the process grew by at its highest while this ran.
fn growth(server: &Server, during: impl FnOnce()) -> u64 {
    let id = server.id();
    forget(&id);
    let (before, _) = memory(&id);
    during();
    let (_, highest) = memory(&id);
    highest.saturating_sub(before)
}

fn all_at_once(work: Vec<Box<dyn FnOnce() + Send>>) {
    let running: Vec<_> = work.into_iter().map(std::thread::spawn).collect();
    for thread in running {
        thread.join().expect("it went well");
    }
}

#[test]
fn a_hundred_megabytes_cost_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::quickstart(folder.path(), &["--accounts", "1"]);
    const THIRD: &str = "u0001@example.test";
    let (one, two, three) = (Large::new("one"), Large::new("other"), Large::new("another"));
    assert!(one.expected().0 > 100_000_000, "{}", one.expected().0);
    let smtp: SocketAddr = server.at(25);
    let (mut first, mut second, mut third) = (Client::smtp(smtp), Client::smtp(smtp), Client::smtp(smtp));
    let mut readers = [ALICE, BOB, THIRD].map(|login| Client::inbox(server.at(143), login));

    let (a, b, c) = (one.clone(), two.clone(), three.clone());
    let came_in = growth(&server, || {
        let good = |reply: String| assert!(reply.starts_with("250 "), "{reply}");
        all_at_once(vec![
            Box::new(move || good(a.by_data(&mut first, ALICE))),
            Box::new(move || good(b.by_bdat(&mut second, BOB))),
            Box::new(move || good(c.by_data(&mut third, THIRD))),
        ]);
    });
    eprintln!("three messages of 100 MB on their way in: {came_in} KiB more");
    for reader in &mut readers {
        eventually("the message", || reader.imap("NOOP").good().iter().any(|line| line == "* 1 EXISTS"));
    }
    let [mut alice, mut bob, _] = readers;
    let mut other = Client::pop3(server.at(110), THIRD);
    let went_out = growth(&server, || {
        all_at_once(vec![
            Box::new(move || one.comes_by_imap(&mut alice)),
            Box::new(move || two.comes_by_imap(&mut bob)),
            Box::new(move || three.comes_by_pop3(&mut other)),
        ]);
    });
    eprintln!("three messages of 100 MB on their way out: {went_out} KiB more");
    for (way, grown) in [("in", came_in), ("out", went_out)] {
        // The database's cache and new threads are in it too: 4,000 to 6,300 KiB were measured for all three.
        assert!(grown <= 3 * PER_MESSAGE_KIB, "{grown} KiB for three messages on their way {way}");
    }
}
