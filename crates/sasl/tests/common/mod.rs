//! A world of one account, for exchanges.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use postroad_sasl::digest::Key;
use postroad_sasl::scram::{Hash, Keys, Offer};
use postroad_sasl::{
    Answer, Ask, Bindings, Channel, Client, ClientCertificate, Error, Evidence, Exchange, MECHANISMS, Mechanism, Turn,
    find,
};

/// The challenge of CRAM-MD5, of RFC 2195 §2.
pub const CHALLENGE: &str = "<1896.697170952@postoffice.reston.mci.net>";

pub type Talk = Exchange<String, &'static str>;
pub type Next = Turn<String, &'static str>;

/// What a connection in TLS has.
pub fn tls() -> postroad_protocol::TlsFacts {
    postroad_protocol::TlsFacts {
        version: "TLSv1.3",
        bindings: Bindings { exporter: Some([7; 32]), end_point: Some(vec![9; 32]) },
        client: Some(Box::new(ClientCertificate { fingerprint: [1; 32], addresses: Vec::new(), trusted: false })),
        ..Default::default()
    }
}

pub fn row(name: &str) -> &'static Mechanism {
    find(name).expect("a mechanism")
}

pub fn begin(name: &str, initial: Option<&[u8]>, tls: Option<&postroad_protocol::TlsFacts>) -> (Talk, Next) {
    let offered: Vec<_> = postroad_sasl::offered(&MECHANISMS.iter().collect::<Vec<_>>(), tls, true);
    Exchange::begin(row(name), initial, Channel { tls, offered: &offered })
}

/// One account: its name, its password, and how SCRAM speaks of it.
pub struct Account {
    pub name: &'static str,
    pub password: &'static str,
    pub salt: Vec<u8>,
    pub iterations: u32,
    pub nonce: &'static str,
    pub asked: usize,
}

impl Account {
    pub fn new(name: &'static str, password: &'static str) -> Account {
        Account { name, password, salt: b"salt".to_vec(), iterations: 4096, nonce: "server", asked: 0 }
    }

    pub fn keys(&self, hash: Hash) -> Keys {
        Keys::derive(hash, self.password, &self.salt, self.iterations)
    }

    pub fn answer(&mut self, ask: Ask) -> Answer<String, &'static str> {
        self.asked += usize::from(!matches!(ask.evidence, Evidence::Malformed(_)));
        let who = format!("{} {}", ask.authzid.as_deref().unwrap_or("-"), ask.authcid);
        match ask.evidence {
            Evidence::Password(secret) if ask.authcid == self.name && secret.expose() == self.password => {
                Answer::granted(who)
            }
            Evidence::ScramKeys(_) => {
                let (salt, iterations) = (self.salt.clone(), self.iterations);
                Answer::Scram(Offer { salt, iterations, nonce: self.nonce.to_owned() })
            }
            Evidence::ScramProof(proof) => {
                let keys = if ask.authcid == self.name { self.keys(proof.hash) } else { Keys::nobody(proof.hash) };
                keys.verify(&proof).map_or(Answer::refused("wrong"), |last| Answer::Granted { who, last })
            }
            Evidence::Token(token) if token.expose() == self.password => Answer::granted(who),
            Evidence::Token(_) => Answer::Refused { why: "token", last: Some(b"{}".to_vec()) },
            Evidence::Certificate(certificate) if certificate.fingerprint == [1; 32] => Answer::granted(who),
            Evidence::Password(_) | Evidence::Certificate(_) => Answer::refused("wrong"),
            Evidence::NtlmFlags(_) | Evidence::NtlmProof(_) => Answer::refused("NTLM has tests of its own"),
            Evidence::Gss(_) => Answer::refused("Kerberos has tests of its own"),
            Evidence::DigestChallenge => Answer::Challenge(CHALLENGE.as_bytes().to_vec()),
            Evidence::DigestProof(proof) => {
                let key = Key::of_password(proof.digest(), self.password).expect("not long");
                let right = ask.authcid == self.name && proof.verify(&key);
                if right { Answer::granted(who) } else { Answer::refused("wrong") }
            }
            Evidence::Malformed(_) => Answer::refused("malformed"),
        }
    }
}

/// A client and a server of ours, until one of them has the last word: what is then the server's turn.
pub fn meet(client: &mut Client, (mut exchange, mut turn): (Talk, Next), account: &mut Account) -> Next {
    for _ in 0..ROUNDS_MAX {
        turn = match turn {
            Turn::Challenge(text) => {
                let answer = client.answer(text.as_bytes()).expect("an answer");
                exchange.answer(answer.expose().as_bytes())
            }
            Turn::Ask(ask) => exchange.answered(account.answer(ask)),
            last => return last,
        };
    }
    panic!("they do not end")
}

/// More than any mechanism has.
const ROUNDS_MAX: usize = 10;

/// Runs an exchange: the initial response, then each line; gives the challenges and the end.
pub fn run(
    account: &mut Account,
    name: &str,
    initial: Option<&str>,
    lines: &[&str],
) -> (Vec<String>, Result<String, Error>) {
    let tls = tls();
    let (mut exchange, mut turn) = begin(name, initial.map(str::as_bytes), Some(&tls));
    let mut challenges = Vec::new();
    let mut lines = lines.iter();
    loop {
        turn = match turn {
            Turn::Challenge(text) => {
                challenges.push(text);
                exchange.answer(lines.next().expect("another line").as_bytes())
            }
            Turn::Ask(ask) => {
                assert_eq!(ask.mechanism, row(name).name);
                exchange.answered(account.answer(ask))
            }
            Turn::Done(who) => return (challenges, Ok(who)),
            Turn::Refused(why) => return (challenges, Ok(format!("refused: {why}"))),
            Turn::Unavailable => panic!("somebody looks"),
            Turn::Failed(error) | Turn::Malformed(error, _) => return (challenges, Err(error)),
        }
    }
}
