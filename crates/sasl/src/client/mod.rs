//! The client side of an exchange, for the outgoing road and for taking mail over from other servers.
//!
//! ```text
//! let mechanism = choose(offered, &identity, bindings, private)?;
//! let mut client = Client::new(mechanism, identity, &bindings)?;
//! client.initial()        -> AUTH SCRAM-SHA-256 biwsbj0...
//! client.answer(text)?    -> for each challenge
//! client.finished(None)?  -> when the server says that it went well: did it show that it is who it should be?
//! ```

mod choose;
mod ntlm;
mod scram;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postroad_protocol::Bindings;

pub use choose::choose;

use self::ntlm::Ntlm;
use self::scram::Scram;
use crate::base64_line::decode;
use crate::digest::Digest;
use crate::scram::{Hash, Offer, escaped};
use crate::secret::wipe;
use crate::{Error, Mechanism, Secret};

/// As whom to sign in, and what there is to show for it.
#[derive(Debug)]
pub struct ClientIdentity {
    /// Whom to act as; empty means the same as `user`.
    pub authzid: String,
    /// Who signs in; may be empty with a certificate.
    pub user: String,
    /// What there is to show.
    pub credential: Credential,
    /// Fresh for each exchange, of printable characters without a comma.
    nonce: String,
}

/// What a client shows.
#[derive(Debug)]
pub enum Credential {
    /// A password.
    Password(Secret),
    /// A bearer token (OAUTHBEARER, XOAUTH2).
    Token {
        /// The token.
        token: Secret,
        /// The server's name as it was connected to (RFC 7628 §3.1).
        host: String,
        /// Its port.
        port: u16,
    },
    /// The certificate that TLS has shown (EXTERNAL).
    Certificate,
}

impl ClientIdentity {
    /// Who acts as themselves, with a fresh nonce. [`Error::BadMessage`] when the system gives no random numbers.
    pub fn new(user: impl Into<String>, credential: Credential) -> Result<ClientIdentity, Error> {
        let mut random = [0; 18];
        getrandom::fill(&mut random).map_err(|_| Error::BadMessage)?;
        Ok(ClientIdentity { authzid: String::new(), user: user.into(), credential, nonce: Offer::nonce(&random) })
    }

    /// A name and a password.
    pub fn password(user: impl Into<String>, password: Secret) -> Result<ClientIdentity, Error> {
        ClientIdentity::new(user, Credential::Password(password))
    }

    /// The same with another nonce, for known answers.
    #[must_use]
    pub fn with_nonce(self, nonce: impl Into<String>) -> ClientIdentity {
        ClientIdentity { nonce: nonce.into(), ..self }
    }

    /// What must not be shown to others: the password or the token.
    fn secret(&self) -> Option<&Secret> {
        match &self.credential {
            Credential::Password(secret) | Credential::Token { token: secret, .. } => Some(secret),
            Credential::Certificate => None,
        }
    }
}

/// A client's exchange: an optional initial response, then one answer per challenge.
#[derive(Debug)]
pub struct Client {
    mechanism: &'static Mechanism,
    identity: ClientIdentity,
    sent: u8,
    kind: Kind,
}

/// What is said.
#[derive(Debug)]
enum Kind {
    Plain,
    Login,
    Bearer { rfc: bool },
    External,
    Scram(Box<Scram>),
    Ntlm(Ntlm),
    Cram,
}

impl Client {
    /// [`Error::BadMessage`] when the mechanism cannot show what there is to show, or a value cannot be
    /// sent: empty or with NUL. [`Error::BadBinding`] without a binding that the mechanism needs. SCRAM without -PLUS on a connection
    /// that has a binding says that the server offered none ([`choose`] sees to it that this is so): one that did offer it
    /// ends the exchange, because somebody took it out of the list (RFC 5802 §6).
    pub fn new(mechanism: &'static Mechanism, identity: ClientIdentity, bindings: &Bindings) -> Result<Client, Error> {
        let hidden = |text: &str| text.contains(['\0', '\u{1}']);
        let secret = identity.secret().map(Secret::expose);
        if hidden(&identity.authzid)
            || hidden(&identity.user)
            || secret.is_some_and(|text| text.is_empty() || hidden(text))
        {
            return Err(Error::BadMessage);
        }
        let named = !identity.user.is_empty();
        let scram = |hash| {
            let binding = match mechanism.name.ends_with("-PLUS") {
                true => Some(scram::strongest(bindings).ok_or(Error::BadBinding)?),
                false => None,
            };
            Ok(Kind::Scram(Box::new(Scram::new(hash, binding, bindings.any()))))
        };
        let kind = match (mechanism.name, &identity.credential) {
            ("PLAIN", Credential::Password(_)) if named => Kind::Plain,
            ("LOGIN", Credential::Password(_)) if named => Kind::Login,
            ("SCRAM-SHA-1" | "SCRAM-SHA-1-PLUS", Credential::Password(_)) if named => scram(Hash::Sha1)?,
            ("SCRAM-SHA-256" | "SCRAM-SHA-256-PLUS", Credential::Password(_)) if named => scram(Hash::Sha256)?,
            ("OAUTHBEARER", Credential::Token { .. }) => Kind::Bearer { rfc: true },
            ("XOAUTH2", Credential::Token { .. }) if named => Kind::Bearer { rfc: false },
            ("EXTERNAL", Credential::Certificate) => Kind::External,
            ("NTLM", Credential::Password(_)) if named => Kind::Ntlm(Ntlm::new(bindings)),
            ("CRAM-MD5", Credential::Password(_)) if named => Kind::Cram,
            (_, Credential::Password(_) | Credential::Token { .. } | Credential::Certificate) => {
                return Err(Error::BadMessage);
            }
        };
        Ok(Client { mechanism, identity, sent: 0, kind })
    }

    /// The mechanism's name for the `AUTH` command.
    pub fn mechanism(&self) -> &'static Mechanism {
        self.mechanism
    }

    /// The initial response in base64 (`=` for an empty one, RFC 4954 §4), for mechanisms in which the client speaks first.
    /// LOGIN gives none: not every server takes it. Who cannot send it, because the line would be too long or the server
    /// takes none, says [`Client::later`].
    pub fn initial(&mut self) -> Option<Secret> {
        if !self.mechanism.client_first {
            return None;
        }
        let first = self.first().ok()?;
        self.sent = 1;
        Some(if first.expose().is_empty() { Secret::new("=".to_owned()) } else { first })
    }

    /// The initial response was not sent; the first challenge is answered with it.
    pub fn later(&mut self) {
        self.sent = 0;
    }

    /// Answers a challenge, given as base64 text, whose words do not matter in mechanisms that only say something
    /// (Exchange writes `334 plain supported`). [`Error::BadMessage`] when the server asks for more
    /// than the mechanism has: the caller then sends `*`.
    pub fn answer(&mut self, challenge: &[u8]) -> Result<Secret, Error> {
        self.sent = self.sent.saturating_add(1);
        match (&mut self.kind, self.sent) {
            (Kind::Login, 1) => Ok(encoded(self.identity.user.as_bytes())),
            (Kind::Login, 2) => Ok(encoded(self.identity.secret().map(Secret::bytes).unwrap_or_default())),
            (Kind::Login, _) => Err(Error::BadMessage),
            // RFC 2195 §2
            (Kind::Cram, 1) => {
                let secret = self.identity.secret().map(Secret::bytes).unwrap_or_default();
                let digits = crate::digest::shown(Digest::CramMd5, &decode(challenge)?, secret);
                Ok(encoded(format!("{} {digits}", self.identity.user).as_bytes()))
            }
            (_, 1) => self.first(),
            // What is wrong with the token is in the challenge; the server says so itself after this (RFC 7628 §3.2.3).
            (Kind::Bearer { rfc: true }, 2) => Ok(encoded(b"\x01")),
            (Kind::Bearer { rfc: false }, 2) => Ok(Secret::new(String::new())),
            (Kind::Scram(scram), _) => {
                let secret = self.identity.secret().map(Secret::expose).unwrap_or_default();
                let answer = scram.answer(&decode(challenge)?, secret)?;
                Ok(encoded(&answer))
            }
            (Kind::Ntlm(ntlm), 2) => {
                let ClientIdentity { user, credential, nonce, .. } = &self.identity;
                let Credential::Password(password) = credential else { return Err(Error::BadMessage) };
                ntlm.answer(&decode(challenge)?, user, password, nonce).map(|message| encoded(&message))
            }
            (Kind::Plain | Kind::Bearer { .. } | Kind::External | Kind::Ntlm(_) | Kind::Cram, _) => {
                Err(Error::BadMessage)
            }
        }
    }

    /// The server says that it went well, with `last` (base64) where the protocol has data with success. A server that has
    /// not shown that it knows the password, where the mechanism has it do so, is not the one: [`Error::NotTheServer`].
    pub fn finished(&mut self, last: Option<&[u8]>) -> Result<(), Error> {
        match (&mut self.kind, last) {
            (Kind::Scram(scram), Some(last)) if !last.is_empty() => scram.signed(&decode(last)?),
            (Kind::Scram(scram), _) if scram.is_signed() => Ok(()),
            (Kind::Scram(_), _) => Err(Error::NotTheServer),
            (Kind::Plain | Kind::Login | Kind::Bearer { .. } | Kind::External | Kind::Ntlm(_) | Kind::Cram, _) => {
                Ok(())
            }
        }
    }

    /// Whether a text of the server shows a part of what was said to it in confidence. Some repeat a command that they do
    /// not understand, and what servers say is written down and told to others.
    pub fn is_repeated_in(&self, text: &str) -> bool {
        let Some(secret) = self.identity.secret() else { return false };
        let text = text.to_ascii_lowercase();
        let ClientIdentity { authzid, user, .. } = &self.identity;
        let mut message = [authzid.as_str(), user.as_str(), secret.expose()].join("\0").into_bytes();
        let whole = encoded(&message);
        wipe(&mut message);
        // The end of PLAIN's message is the password; the name before it is no secret.
        let name = (authzid.len() + 1 + user.len() + 1) / 3 * 4;
        let alone = encoded(secret.bytes());
        let plain = whole.expose().get(name..).unwrap_or_default();
        [plain, alone.expose(), secret.expose()].into_iter().any(|secret| shows(&text, secret))
    }

    /// What the client says first.
    fn first(&mut self) -> Result<Secret, Error> {
        let ClientIdentity { authzid, user, credential, nonce } = &self.identity;
        let mut message = match (&mut self.kind, credential) {
            (Kind::Plain, Credential::Password(password)) => {
                [authzid.as_bytes(), user.as_bytes(), password.bytes()].join(&0)
            }
            (Kind::Bearer { rfc: true }, Credential::Token { token, host, port }) => {
                let name = if authzid.is_empty() { user } else { authzid };
                let name = if name.is_empty() { String::new() } else { format!("a={}", escaped(name)) };
                let token = token.expose();
                format!("n,{name},\u{1}host={host}\u{1}port={port}\u{1}auth=Bearer {token}\u{1}\u{1}").into_bytes()
            }
            (Kind::Bearer { rfc: false }, Credential::Token { token, .. }) => {
                format!("user={user}\u{1}auth=Bearer {}\u{1}\u{1}", token.expose()).into_bytes()
            }
            (Kind::External, Credential::Certificate) => authzid.clone().into_bytes(),
            (Kind::Scram(scram), Credential::Password(_)) => scram.first(authzid, user, nonce).into_bytes(),
            (Kind::Ntlm(_), Credential::Password(_)) => Ntlm::first(),
            (
                Kind::Plain
                | Kind::Login
                | Kind::Bearer { .. }
                | Kind::External
                | Kind::Scram(_)
                | Kind::Ntlm(_)
                | Kind::Cram,
                _,
            ) => return Err(Error::BadMessage),
        };
        let said = encoded(&message);
        wipe(&mut message);
        Ok(said)
    }
}

fn encoded(message: &[u8]) -> Secret {
    Secret::new(BASE64_STANDARD.encode(message))
}

/// Whether a text in lower case has as many signs of a secret in a row as tell something.
fn shows(text: &str, secret: &str) -> bool {
    let signs: Vec<char> = secret.trim_end_matches('=').to_ascii_lowercase().chars().collect();
    signs.windows(TELLING).any(|part| text.contains(&part.iter().collect::<String>()))
}

/// Signs in a row that tell something of a secret: fewer are in many a word.
const TELLING: usize = 6;
