//! A world that says yes and no by the names of addresses, and the drive that replays bytes against it.

#![allow(dead_code, unreachable_pub)] // Each test binary uses a part of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postroad_protocol::{Peer, Protocol, Step, TlsFacts};
use postroad_sasl::digest::Key;
use postroad_sasl::ntlm::{Names, NtHash, challenge};
use postroad_sasl::{Answer, Ask, Evidence};
use postroad_smtp::{
    Abandoned, BareNewlines, ClearAuth, FutureRelease, Identity, Offer, Reply, Role, Session, Settings, Solicitation,
    Soliciting, Stage, Verdict,
};

/// What the world saw.
#[derive(Debug, Default)]
pub struct Fake {
    pub body: Vec<u8>,
    pub log: Vec<String>,
}

/// A session with its output so far.
pub struct Drive {
    pub session: Session<Fake>,
    pub output: Vec<u8>,
    pub closed: bool,
    pub handshake: bool,
}

impl Drive {
    pub fn new(settings: Settings, peer: Peer, tls: Option<TlsFacts>) -> Drive {
        Drive::offering(settings, peer, tls, Offer::default())
    }

    pub fn offering(settings: Settings, peer: Peer, tls: Option<TlsFacts>, offer: Offer) -> Drive {
        let mut session = Session::new(Arc::new(settings), peer, tls, Fake::default());
        session.set_offer(offer);
        let mut drive = Drive { session, output: Vec::new(), closed: false, handshake: false };
        drive.run();
        drive
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        if !self.closed {
            self.session.input(bytes);
            self.run();
        }
    }

    fn run(&mut self) {
        loop {
            let step = self.session.step();
            self.output.extend(self.session.take_output());
            match step {
                Step::Read => return,
                Step::Do(stage) => perform(&mut self.session, stage),
                Step::Wait(_) => panic!("SMTP never waits"),
                Step::StartCompression | Step::EndCompression => panic!("SMTP is never compressed"),
                Step::StartTls => {
                    self.handshake = true;
                    return;
                }
                Step::Close => {
                    self.closed = true;
                    return;
                }
            }
        }
    }

    pub fn secured(&mut self) {
        assert!(self.handshake, "the session did not ask for TLS");
        self.handshake = false;
        self.session.secured(tls());
        self.run();
    }
}

/// What is no password: `alice` with `secret` by all other ways, with challenges that are always the same.
fn signs_in(session: &mut Session<Fake>, ask: Ask) -> Verdict {
    let right = match ask.evidence {
        Evidence::NtlmFlags(flags) => {
            let challenge = challenge(flags, &Names::new("mx.example.com"), [7; 8], 1_795_316_400_000_000);
            return Verdict::Sasl(Box::new(Answer::Challenge(challenge)));
        }
        Evidence::DigestChallenge => {
            return Verdict::Sasl(Box::new(Answer::Challenge(b"<0707.1795316400000000@mx.example.com>".to_vec())));
        }
        Evidence::NtlmProof(proof) => proof.verify(&NtHash::of_password("secret")),
        Evidence::DigestProof(proof) => {
            Key::of_password(proof.digest(), "secret").is_some_and(|key| proof.verify(&key))
        }
        Evidence::Malformed(error) => {
            session.world.log.push(format!("counted {}: {error}", ask.mechanism));
            false
        }
        _ => false,
    };
    let (login, mechanism) = ("alice@example.com".into(), ask.mechanism);
    match (right && ask.authcid.eq_ignore_ascii_case("alice"), mechanism) {
        (true, _) => Verdict::Authenticated(Identity { account: 7, login, mechanism }),
        (false, "NTLM") => refuse(535, (5, 7, 3), "Authentication unsuccessful"),
        (false, _) => refuse(535, (5, 7, 8), "Wrong name or password"),
    }
}

fn perform(session: &mut Session<Fake>, stage: Stage) {
    let verdict = match stage {
        Stage::Connect => Verdict::Accept,
        Stage::Helo => match session.helo().map(|helo| helo.name.as_str()) {
            Some("evil.example") => refuse(550, (5, 7, 1), "Not you"),
            _ => Verdict::Accept,
        },
        Stage::Auth(Ask { authcid, mechanism, evidence: Evidence::Password(password), .. }) => {
            match (authcid.as_str(), password.expose()) {
                ("alice", "secret") => {
                    Verdict::Authenticated(Identity { account: 7, login: "alice@example.com".into(), mechanism })
                }
                ("broken", _) => refuse(454, (4, 7, 0), "The accounts cannot be read"),
                _ => refuse(535, (5, 7, 8), "Wrong name or password"),
            }
        }
        Stage::Auth(ask) => signs_in(session, ask),
        Stage::Claim(claim) => claimed(session, &claim),
        Stage::Etrn(etrn) => match etrn.domain() {
            Some("full.example") => refuse(458, (4, 0, 0), "Not now"),
            Some("example.com") => {
                session.world.log.push(format!("ETRN {etrn:?}"));
                Verdict::AcceptWith(Reply::new(253, (2, 0, 0), "2 messages are sent now"))
            }
            _ => refuse(459, (4, 7, 0), "That is not yours"),
        },
        Stage::Mail(mail) => match mail.path.as_ref().map(|path| path.local()) {
            Some("refused") => refuse(550, (5, 7, 1), "Not from there"),
            _ => Verdict::Accept,
        },
        Stage::Rcpt(rcpt) => match rcpt.path.address().map(|address| address.local()) {
            Some("unknown" | "Green") => refuse(550, (5, 1, 1), "No such user here"),
            Some("full") => refuse(452, (4, 2, 2), "The mailbox is full"),
            Some("goaway") => refuse(421, (4, 7, 0), "Come back later"),
            Some("silent") => return,
            _ => Verdict::Accept,
        },
        Stage::Body(piece) => {
            assert!(!piece.is_empty());
            session.world.body.extend_from_slice(&piece);
            match session.world.body.windows(5).any(|window| window == b"VIRUS") {
                true => refuse(554, (5, 7, 1), "Infected"),
                false => Verdict::Accept,
            }
        }
        Stage::Burl { url, offset } => burl(&url, offset),
        Stage::Message => message(session),
        Stage::Abuse(abuse) => {
            session.world.log.push(format!("abuse {abuse:?}"));
            return;
        }
        Stage::Abandon(why) => {
            session.world.body.clear();
            let why = match why {
                Abandoned::Reset => "reset".to_owned(),
                Abandoned::Quit => "quit".to_owned(),
                Abandoned::Body(reply) => reply.to_string(),
            };
            session.world.log.push(format!("abandoned: {why}"));
            return;
        }
    };
    session.verdict(verdict);
}

/// Messages of ten octets a piece; `imap://big` is as large as it says.
fn burl(url: &str, offset: u64) -> Verdict {
    let whole: Vec<u8> = match url {
        "imap://x/INBOX/;UID=1" => b"Subject: war\r\n\r\nand peace\r\n".to_vec(),
        "imap://x/INBOX/;UID=2" => b"a lone\nLF\r\n".to_vec(),
        "imap://x/INBOX/;UID=3" => Vec::new(),
        "imap://big" => return Verdict::Octets { octets: vec![b'x'; 10], size: 1 << 40 },
        "imap://ends" => return Verdict::Octets { octets: Vec::new(), size: 5 },
        "imap://silent" => return Verdict::Accept,
        "imap://goaway" => return refuse(421, (4, 7, 0), "Come back later"),
        _ => return refuse(554, (5, 6, 6), "IMAP URL resolution failed"),
    };
    let from = usize::try_from(offset).unwrap_or(usize::MAX).min(whole.len());
    let octets = whole[from..(from + 10).min(whole.len())].to_vec();
    Verdict::Octets { octets, size: whole.len() as u64 }
}

fn claimed(session: &mut Session<Fake>, claim: &postroad_smtp::Claim) -> Verdict {
    let peer = session.peer();
    let known = |text: &Option<postroad_smtp::Claimed<String>>| {
        text.as_ref().and_then(postroad_smtp::Claimed::known).cloned().unwrap_or_else(|| "-".to_owned())
    };
    session.world.log.push(format!(
        "claim: {} by {} login {}",
        peer.remote,
        session.connected().remote,
        known(&claim.login)
    ));
    match claim.login.as_ref().and_then(postroad_smtp::Claimed::known).map(String::as_str) {
        None => Verdict::Accept,
        Some("alice") => {
            Verdict::Authenticated(Identity { account: 7, login: "alice@example.com".into(), mechanism: "XCLIENT" })
        }
        Some(_) => refuse(550, (5, 7, 0), "No such login"),
    }
}

fn message(session: &mut Session<Fake>) -> Verdict {
    let sender = session.sender().expect("a message has a sender");
    let from = sender.path.as_ref().map_or(String::new(), |path| path.to_string());
    let to: Vec<String> = session.recipients().iter().map(|rcpt| rcpt.path.to_string()).collect();
    let body = std::mem::take(&mut session.world.body);
    session.world.log.push(format!("<{from}> {} {}", to.join(","), body.escape_ascii()));
    if to.iter().any(|to| to.starts_with("quota")) {
        let reply = |to: &String| match to.starts_with("quota") {
            true => Reply::new(452, (4, 2, 2), format!("{to} is full")),
            false => Reply::new(250, (2, 1, 5), format!("{to} has it")),
        };
        return Verdict::PerRecipient(to.iter().map(reply).collect());
    }
    Verdict::AcceptWith(Reply::new(250, (2, 0, 0), "Stored"))
}

fn refuse(code: u16, enhanced: (u8, u16, u16), text: &str) -> Verdict {
    Verdict::Refuse(Reply::new(code, enhanced, text))
}

pub fn tls() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256".into(),
        group: Some("X25519MLKEM768".into()),
        server_name: None,
        ..TlsFacts::default()
    }
}

pub fn peer(remote: &str) -> Peer {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    Peer { remote: address(remote), local: address("192.0.2.1:25") }
}

/// Settings by the words of a transcript's first lines.
pub fn settings(words: &[&str]) -> Settings {
    let role = match words {
        [.., "submission"] | ["submission", ..] => Role::Submission,
        ["lmtp", ..] => Role::Lmtp,
        _ => Role::Relay,
    };
    let mut settings = Settings::new(role, "mx.example.com");
    settings.size_limit = 2_000;
    settings.recipients_limit = 5;
    settings.errors_limit = 100;
    settings.text_line_limit = 1_000;
    settings.patience.command = Duration::from_secs(300);
    for word in words {
        match *word {
            "relay" | "submission" | "lmtp" | "tls" => {}
            "clear" => settings.clear_auth = ClearAuth::Always,
            "auth-equals" => settings.auth_equals_line = true,
            "keep-newlines" => settings.bare_newlines = BareNewlines::Keep,
            "few-errors" => settings.errors_limit = 6,
            "offers" => {}
            "two-messages" => settings.transactions_limit = 2,
            name => match postroad_sasl::find(name) {
                Some(row) => settings.mechanisms.push(row),
                None => panic!("no such setting: {name}"),
            },
        }
    }
    settings
}

/// What is offered when the first lines say `offers`.
pub fn offer(words: &[&str]) -> Offer {
    match words.contains(&"offers") {
        false => Offer::default(),
        true => Offer {
            deliver_by: Some(30),
            future_release: Some(FutureRelease { longest: 86_400, latest: 1_795_348_800 }),
            priority: true,
            valid_since: true,
            soliciting: Some(Soliciting { refused: Solicitation::parse("net.example:ADV") }),
            requiretls: true,
            etrn: true,
            burl: true,
            xclient: true,
            xforward: true,
        },
    }
}
