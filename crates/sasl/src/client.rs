//! The client side of PLAIN and LOGIN, for the outgoing road.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::secret::wipe;
use crate::{Error, Mechanism, Secret};

/// A client's exchange: an optional initial response, then one answer per challenge.
#[derive(Debug)]
pub struct Client {
    mechanism: &'static Mechanism,
    authzid: String,
    authcid: String,
    password: Secret,
    sent: u8,
}

impl Client {
    /// An empty `authzid` means the same as `authcid`. [`Error::BadMessage`] when a value cannot be
    /// sent: empty or with NUL.
    pub fn new(mechanism: &'static Mechanism, authzid: &str, authcid: &str, password: Secret) -> Result<Client, Error> {
        let unfit = |text: &str| text.contains('\0');
        if authcid.is_empty() || password.expose().is_empty() {
            return Err(Error::BadMessage);
        }
        if unfit(authzid) || unfit(authcid) || unfit(password.expose()) {
            return Err(Error::BadMessage);
        }
        let (authzid, authcid) = (authzid.to_owned(), authcid.to_owned());
        Ok(Client { mechanism, authzid, authcid, password, sent: 0 })
    }

    /// The mechanism's name for the `AUTH` command.
    pub fn mechanism(&self) -> &'static Mechanism {
        self.mechanism
    }

    /// The initial response in base64, for mechanisms in which the client speaks first. LOGIN gives
    /// none: not every server takes it.
    pub fn initial(&mut self) -> Option<Secret> {
        self.mechanism.client_first.then(|| self.plain())
    }

    /// Answers a challenge, given as base64 text, whose words do not matter in these mechanisms
    /// (Exchange writes `334 plain supported`). [`Error::BadMessage`] when the server asks for more
    /// than the mechanism has: the caller then sends `*`.
    pub fn answer(&mut self, _challenge: &[u8]) -> Result<Secret, Error> {
        if self.mechanism.client_first {
            return if self.sent == 0 { Ok(self.plain()) } else { Err(Error::BadMessage) };
        }
        self.sent += 1;
        match self.sent {
            1 => Ok(Secret::new(BASE64_STANDARD.encode(&self.authcid))),
            2 => Ok(Secret::new(BASE64_STANDARD.encode(self.password.expose()))),
            _ => Err(Error::BadMessage),
        }
    }

    /// Whether a text of the server shows a part of what was said to it in confidence. Some repeat a command that they do
    /// not understand, and what servers say is written down and told to others.
    pub fn is_repeated_in(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        let mut message =
            [self.authzid.as_str(), self.authcid.as_str(), self.password.expose()].join("\0").into_bytes();
        let encoded = Secret::new(BASE64_STANDARD.encode(&message));
        wipe(&mut message);
        // The end of PLAIN's message is the password; the name before it is no secret.
        let name = self.authzid.len() + self.authcid.len() + 2;
        let name = name / 3 * 4;
        let password = Secret::new(BASE64_STANDARD.encode(self.password.expose()));
        let plain = encoded.expose().get(name..).unwrap_or_default();
        [plain, password.expose(), self.password.expose()].into_iter().any(|secret| shows(&text, secret))
    }

    fn plain(&mut self) -> Secret {
        self.sent = 1;
        let mut message = Vec::new();
        message.extend_from_slice(self.authzid.as_bytes());
        message.push(0);
        message.extend_from_slice(self.authcid.as_bytes());
        message.push(0);
        message.extend_from_slice(self.password.expose().as_bytes());
        let encoded = BASE64_STANDARD.encode(&message);
        wipe(&mut message);
        Secret::new(encoded)
    }
}

/// Whether a text in lower case has as many signs of a secret in a row as tell something.
fn shows(text: &str, secret: &str) -> bool {
    let signs: Vec<char> = secret.trim_end_matches('=').to_ascii_lowercase().chars().collect();
    signs.windows(TELLING).any(|part| text.contains(&part.iter().collect::<String>()))
}

/// Signs in a row that tell something of a secret: fewer are in many a word.
const TELLING: usize = 6;
