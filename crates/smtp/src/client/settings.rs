//! What a client session is told before it begins.

use std::time::Duration;

use postroad_sasl::{Credential, Secret};

/// Settings of one session.
#[derive(Debug)]
pub struct Settings {
    /// Our name in EHLO: a domain in A-labels or an address literal. Characters that neither has are left out.
    pub hostname: String,
    /// LMTP (RFC 2033): LHLO instead of EHLO, and one reply per recipient after the message.
    pub lmtp: bool,
    /// When TLS is used.
    pub tls: TlsWish,
    /// Who signs in, and with what. With one, a session that cannot sign in fails.
    pub login: Option<Login>,
    /// The login may cross the wire without TLS: for next hops on this machine.
    pub clear_login: bool,
    /// PIPELINING may be used where it is offered (RFC 2920).
    pub pipelining: bool,
    /// CHUNKING may be used where it is offered (RFC 3030); without it, messages of binary octets cannot be sent.
    pub chunking: bool,
    /// Time limits.
    pub patience: Patience,
}

/// When TLS is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsWish {
    /// Not at all.
    Never,
    /// By STARTTLS where it is offered; when the remote then refuses it, in clear.
    IfOffered,
    /// By STARTTLS, or the session fails.
    Required,
    /// From the first octet: the first step is [`crate::client::Step::StartTls`].
    Implicit,
}

/// Who signs in, and with what.
#[derive(Debug)]
pub struct Login {
    /// The name.
    pub user: String,
    /// A password, a token, or the certificate that TLS shows.
    pub credential: Credential,
}

impl Login {
    /// With a password.
    pub fn password(user: impl Into<String>, password: Secret) -> Login {
        Login { user: user.into(), credential: Credential::Password(password) }
    }
}

/// How long to wait for the remote in each phase (RFC 5321 §4.5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the greeting.
    pub greeting: Duration,
    /// For the reply to a command.
    pub command: Duration,
    /// For the reply to DATA.
    pub data: Duration,
    /// For a piece of the message to be taken.
    pub block: Duration,
    /// For the reply to the whole message, which the remote may scan and store before it answers.
    pub message: Duration,
    /// For the reply to QUIT, which nobody needs.
    pub quit: Duration,
}

impl Patience {
    /// So many hundredths of it, and a second at least.
    #[must_use]
    pub fn scaled(self, percent: u32) -> Patience {
        let one = |time: Duration| (time * percent / 100).max(Duration::from_secs(1));
        Patience {
            greeting: one(self.greeting),
            command: one(self.command),
            data: one(self.data),
            block: one(self.block),
            message: one(self.message),
            quit: one(self.quit),
        }
    }
}

impl Settings {
    /// SMTP with all that the remote offers, under a host name.
    pub fn new(hostname: impl Into<String>) -> Settings {
        Settings {
            hostname: hostname.into(),
            lmtp: false,
            tls: TlsWish::IfOffered,
            login: None,
            clear_login: false,
            pipelining: true,
            chunking: true,
            patience: Patience::default(),
        }
    }
}

impl Default for Patience {
    /// The times of RFC 5321 §4.5.3.2.
    fn default() -> Patience {
        Patience {
            greeting: Duration::from_secs(300),
            command: Duration::from_secs(300),
            data: Duration::from_secs(120),
            block: Duration::from_secs(180),
            message: Duration::from_secs(600),
            quit: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_scaled_and_never_none() {
        let usual = Patience::default();
        assert_eq!(usual.scaled(100), usual);
        let short = usual.scaled(1);
        assert_eq!((short.greeting, short.message), (Duration::from_secs(3), Duration::from_secs(6)));
        assert_eq!((short.data, short.quit), (Duration::from_millis(1_200), Duration::from_secs(1)));
    }
}
