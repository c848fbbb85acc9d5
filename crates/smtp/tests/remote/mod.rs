//! A client session with a script, or our own server session, on the other side.

#![allow(dead_code, unreachable_pub)] // Each test binary uses a part of it.

use postroad_protocol::TlsFacts;
use postroad_sasl::{Credential, Secret};
use postroad_smtp::client::{Client, Fate, Login, Report, Settings, Step, TlsWish, Transaction, Unsuited};
use postroad_smtp::{BodyType, DeliverBy, ForwardPath, Notify, Orcpt, Priority, RcptTo, Ret, Solicitation, ValidSince};

/// A client with what it did so far.
pub struct Drive {
    pub client: Client,
    /// What it wrote.
    pub output: Vec<u8>,
    /// What it told its caller: `D:` and `E:` lines of a transcript.
    pub events: Vec<String>,
    /// The message that it asks for next, and the size of the pieces in which it gets it.
    pub body: Option<Vec<u8>>,
    pub cut: usize,
    pub ready: bool,
    pub handshake: bool,
    pub closed: bool,
    pub needs_body: bool,
}

impl Drive {
    pub fn new(settings: Settings, cut: usize) -> Drive {
        let mut drive = Drive {
            client: Client::new(settings),
            output: Vec::new(),
            events: Vec::new(),
            body: None,
            cut,
            ready: false,
            handshake: false,
            closed: false,
            needs_body: false,
        };
        drive.run();
        drive
    }

    /// Octets from the remote, in pieces.
    pub fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.cut) {
            self.client.input(piece);
            self.run();
        }
    }

    pub fn send(&mut self, transaction: Transaction, body: Vec<u8>) -> Result<(), Unsuited> {
        self.client.send(transaction)?;
        self.body = Some(body);
        self.run();
        Ok(())
    }

    pub fn secured(&mut self) {
        assert!(self.handshake, "the client did not ask for TLS");
        self.client.secured(tls());
        self.run();
    }

    /// Until the client waits for the remote or for its caller.
    pub fn run(&mut self) {
        (self.ready, self.handshake, self.needs_body) = (false, false, false);
        for _ in 0..STEPS_LIMIT {
            let step = self.client.step();
            self.output.extend(self.client.take_output());
            match step {
                Step::Read => return,
                Step::Ready => {
                    self.ready = true;
                    return;
                }
                Step::StartTls => {
                    self.handshake = true;
                    return;
                }
                Step::NeedBody => match &mut self.body {
                    None => {
                        self.needs_body = true;
                        return;
                    }
                    Some(body) if body.is_empty() => {
                        self.body = None;
                        self.client.body_end();
                    }
                    Some(body) => {
                        let rest = body.split_off(self.cut.min(body.len()));
                        self.client.body(&std::mem::replace(body, rest));
                    }
                },
                Step::Done(report) => self.note(&report),
                Step::Close(why) => {
                    if !self.closed {
                        self.events.push(format!("E: {}", why.map_or("quit".to_owned(), |why| why.to_string())));
                    }
                    self.closed = true;
                    return;
                }
            }
        }
        panic!("the client does not come to rest");
    }

    fn note(&mut self, report: &Report) {
        for fate in &report.recipients {
            self.events.push(format!("D: {}", words(fate)));
        }
        if let Some(said) = &report.message {
            self.events.push(format!("D: message {said}"));
        }
        self.events.push(if report.reusable { "D: reusable".to_owned() } else { "D: used up".to_owned() });
    }
}

fn words(fate: &Fate) -> String {
    match fate {
        Fate::Accepted(said) => format!("accepted {said}"),
        Fate::Refused(said) => format!("refused {said}"),
        Fate::Deferred(said) => format!("deferred {said}"),
        Fate::Surplus(said) => format!("surplus {said}"),
        Fate::Unsent(failure) => format!("unsent {failure}"),
        Fate::Unknown(failure) => format!("unknown {failure}"),
    }
}

pub fn tls() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256".into(),
        group: None,
        server_name: None,
        ..TlsFacts::default()
    }
}

/// Settings by the words of a transcript's first lines.
pub fn settings(words: &[&str]) -> Settings {
    let mut settings = Settings::new("client.example");
    settings.tls = TlsWish::Never;
    for word in words {
        match *word {
            "lmtp" => settings.lmtp = true,
            "tls-if-offered" => settings.tls = TlsWish::IfOffered,
            "tls-required" => settings.tls = TlsWish::Required,
            "tls-implicit" => settings.tls = TlsWish::Implicit,
            "login" => settings.login = Some(login("alice", "secret")),
            "token" => settings.login = Some(token()),
            "long-login" => settings.login = Some(login("alice", &"x".repeat(400))),
            "unfit-login" => settings.login = Some(login("alice\0", "secret")),
            "clear-login" => settings.clear_login = true,
            "no-pipelining" => settings.pipelining = false,
            "no-chunking" => settings.chunking = false,
            "odd-hostname" => settings.hostname = "a\r\nMAIL FROM:<>\r\n".to_owned(),
            "literal-hostname" => settings.hostname = "[IPv6:2001:db8::1]".to_owned(),
            other => panic!("no such setting: {other}"),
        }
    }
    settings
}

fn login(user: &str, password: &str) -> Login {
    Login::password(user, Secret::new(password.to_owned()))
}

/// A token that a provider gave.
fn token() -> Login {
    let token = Secret::new("tokentoken".to_owned());
    let credential = Credential::Token { token, host: "mx.example".to_owned(), port: 587 };
    Login { user: "alice@b.example".to_owned(), credential }
}

/// `sender recipient[;notify=..][;orcpt=..] .. [parameter ..]`
pub fn transaction(words: &str) -> Transaction {
    let mut words = words.split_whitespace();
    let sender = words.next().expect("a sender");
    let sender = (sender != "<>").then(|| sender.parse().expect("an address"));
    let mut transaction = Transaction::new(sender, 0, Vec::new());
    for word in words {
        match word.split_once('=') {
            _ if word.contains('@') || word.starts_with("Postmaster") => {
                transaction.recipients.push(recipient(word));
            }
            Some(("size", size)) => transaction.size = size.parse().expect("a number"),
            Some(("envid", envid)) => transaction.envid = Some(envid.replace('_', " ").replace("CRLF", "\r\n")),
            Some(("ret", "full")) => transaction.ret = Some(Ret::Full),
            Some(("ret", "hdrs")) => transaction.ret = Some(Ret::Headers),
            Some(("body", "8bit")) => transaction.body = BodyType::EightBitMime,
            Some(("body", "binary")) => transaction.body = BodyType::BinaryMime,
            Some(("by", value)) => transaction.deliver_by = DeliverBy::parse(value),
            Some(("priority", value)) => transaction.priority = Priority::parse(value),
            Some(("solicit", value)) => transaction.solicitation = Solicitation::parse(value),
            None if word == "smtputf8" => transaction.smtputf8 = true,
            None if word == "requiretls" => transaction.requiretls = true,
            None if word == "chunked" => transaction.chunked = true,
            _ => panic!("what is {word:?}?"),
        }
    }
    transaction
}

fn recipient(word: &str) -> RcptTo {
    let mut parts = word.split(';');
    let path = match parts.next() {
        Some("Postmaster") => ForwardPath::Postmaster,
        Some(address) => ForwardPath::Address(address.parse().expect("an address")),
        None => panic!("an address"),
    };
    let mut rcpt = RcptTo::new(path);
    for part in parts {
        match part.split_once('=') {
            Some(("notify", words)) => {
                let asked = |what: &str| words.split(',').any(|word| word == what);
                let notify = Notify { success: asked("success"), failure: asked("failure"), delay: asked("delay") };
                rcpt.notify = Some(notify);
            }
            Some(("orcpt", value)) => {
                let (kind, address) = value.split_once(':').expect("kind:address");
                let (kind, address) = (kind.to_owned(), address.replace("CRLF", "\r\n"));
                rcpt.orcpt = Some(Orcpt { kind, address });
            }
            Some(("since", value)) => rcpt.valid_since = ValidSince::parse(&value.replace('/', ";")),
            _ => panic!("what is {part:?}?"),
        }
    }
    rcpt
}

/// More than any lawful conversation of the tests takes between two inputs.
const STEPS_LIMIT: usize = 100_000;
