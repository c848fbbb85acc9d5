//! A mail server that does wrong what a load generator must notice. For tests.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What it does with a message, by the order in which messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Keep,
    /// 452 at the end of the data.
    Refuse,
    /// The connection is closed instead of an answer.
    HangUp,
    /// 250, and two copies.
    KeepTwice,
    /// 250, and nothing is kept.
    Forget,
}

/// Subjects of what is in the one mailbox.
type Mailbox = Arc<Mutex<Vec<String>>>;

/// Serves SMTP on one address and IMAP on the other, until the test process ends.
pub(crate) fn serve(deeds: Vec<Deed>) -> (SocketAddr, SocketAddr) {
    let mailbox = Mailbox::default();
    let left = Arc::new(Mutex::new(deeds.into_iter()));
    let smtp = listen({
        let mailbox = Arc::clone(&mailbox);
        move |stream| smtp(stream, &mailbox, &mut || left.lock().ok()?.next())
    });
    let imap = listen(move |stream| imap(stream, &mailbox));
    (smtp, imap)
}

fn listen(session: impl Fn(TcpStream) -> Option<()> + Send + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let session = session.clone();
            std::thread::spawn(move || session(stream));
        }
    });
    address
}

fn smtp(stream: TcpStream, mailbox: &Mailbox, next: &mut dyn FnMut() -> Option<Deed>) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream).lines();
    out.write_all(b"220 fake\r\n").ok()?;
    loop {
        let line = lines.next()?.ok()?;
        let answer: &[u8] = match line.get(..4)? {
            "EHLO" => b"250-fake\r\n250 PIPELINING\r\n",
            "QUIT" => return out.write_all(b"221 bye\r\n").ok(),
            "DATA" => {
                out.write_all(b"354 go on\r\n").ok()?;
                let mut subject = String::new();
                loop {
                    let line = lines.next()?.ok()?;
                    if line == "." {
                        break;
                    }
                    if let Some(text) = line.strip_prefix("Subject: ") {
                        subject = text.to_string();
                    }
                }
                let deed = next().unwrap_or(Deed::Keep);
                let copies = match deed {
                    Deed::Keep => 1,
                    Deed::KeepTwice => 2,
                    Deed::Refuse | Deed::HangUp | Deed::Forget => 0,
                };
                mailbox.lock().ok()?.extend(std::iter::repeat_n(subject, copies));
                match deed {
                    Deed::HangUp => return None,
                    Deed::Refuse => b"452 4.3.1 full\r\n",
                    Deed::Keep | Deed::KeepTwice | Deed::Forget => b"250 kept\r\n",
                }
            }
            _ => b"250 fine\r\n",
        };
        out.write_all(answer).ok()?;
    }
}

fn imap(stream: TcpStream, mailbox: &Mailbox) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    out.write_all(b"* OK fake\r\n").ok()?;
    for line in BufReader::new(stream).lines() {
        let line = line.ok()?;
        let (tag, command) = line.split_once(' ')?;
        let subjects = mailbox.lock().ok()?.clone();
        let count = subjects.len();
        let mut answer = String::new();
        match command.split(' ').next()? {
            "STATUS" => answer = format!("* STATUS INBOX (MESSAGES {count} UIDNEXT {})\r\n", count + 1),
            "SELECT" => answer = format!("* {count} EXISTS\r\n"),
            "UID" => {
                for (index, subject) in subjects.iter().enumerate() {
                    let text = format!("Subject: {subject}\r\n\r\n");
                    let number = index + 1;
                    let length = text.len();
                    answer += &format!(
                        "* {number} FETCH (UID {number} BODY[HEADER.FIELDS (SUBJECT)] {{{length}}}\r\n{text})\r\n"
                    );
                }
            }
            _ => {}
        }
        out.write_all(format!("{answer}{tag} OK done\r\n").as_bytes()).ok()?;
    }
    Some(())
}
