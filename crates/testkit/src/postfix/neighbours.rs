//! Whom Postfix asks: a policy service that knows what the test wants, and a server of logins. Both live on threads
//! of the test process, as long as it does.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How RCPT TO is answered, by address, and how often it was asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers(Arc<Mutex<ByAddress>>);

type ByAddress = HashMap<String, (Option<String>, usize)>;

impl Answers {
    pub(super) fn set(&self, recipient: &str, reply: Option<&str>) {
        self.open().entry(recipient.to_lowercase()).or_default().0 = reply.map(str::to_owned);
    }

    pub(super) fn asked(&self, recipient: &str) -> usize {
        self.open().get(&recipient.to_lowercase()).map_or(0, |(_, asked)| *asked)
    }

    fn ask(&self, recipient: &str) -> Option<String> {
        let mut answers = self.open();
        let (reply, asked) = answers.entry(recipient.to_lowercase()).or_default();
        *asked += 1;
        reply.clone()
    }

    fn open(&self) -> MutexGuard<'_, ByAddress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Postfix's policy delegation (SMTPD_POLICY_README): attributes as lines, an empty line, an action.
pub(super) fn policy(answers: &Answers) -> SocketAddr {
    let answers = answers.clone();
    listen(move |stream| {
        let mut reader = BufReader::new(stream);
        let mut recipient = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).is_err() || line.is_empty() {
                return;
            }
            if let Some(value) = line.strip_prefix("recipient=") {
                recipient = value.trim_end().to_owned();
            } else if line == "\n" {
                let action = answers.ask(&recipient).unwrap_or_else(|| "DUNNO".into());
                if write!(reader.get_mut(), "action={action}\n\n").is_err() {
                    return;
                }
            }
        }
    })
}

/// The server's side of Dovecot's authentication protocol, version 1.1, with one user and PLAIN.
pub(super) fn logins(user: &str, password: &str) -> SocketAddr {
    let good = STANDARD.encode(format!("\0{user}\0{password}"));
    let user = user.to_owned();
    listen(move |stream| {
        let mut reader = BufReader::new(stream);
        let hello = "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\n\
                     COOKIE\t0123456789abcdef0123456789abcdef\nDONE\n";
        if reader.get_mut().write_all(hello.as_bytes()).is_err() {
            return;
        }
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).is_err() || line.is_empty() {
                return;
            }
            let words: Vec<&str> = line.trim_end().split('\t').collect();
            if let ["AUTH", id, "PLAIN", more @ ..] = &words[..] {
                let given = more.iter().find_map(|word| word.strip_prefix("resp="));
                let answer = if given == Some(&good) {
                    format!("OK\t{id}\tuser={user}\n")
                } else {
                    format!("FAIL\t{id}\tuser={user}\n")
                };
                if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        }
    })
}

/// Serves each connection on a thread of its own.
fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}
