//! Set-up by itself: what mail programs look for when somebody gives them an address, built from one description of the
//! server ([`Offers`]), and the page that tells people the same.
//!
//! Invariants:
//! 1. An answer follows from the server, the domain and the words of the request alone. No account is ever looked at, so
//!    nothing tells whether an address exists.
//! 2. Only domains of ours are answered for. Which these are is no secret: their MX records tell.
//! 3. Nothing is told to anybody that would send a password in clear: what has no TLS is left out.
//! 4. No request costs more than one look at the database, and profiles, which are signed, are limited by network.
//!
//! Standards: draft-ietf-mailmaint-autoconfig (Thunderbird's format 1.1), \[MS-OXDSCLI\] (Autodiscover), Apple's
//! Configuration Profile Reference, draft-ietf-mailmaint-pacc, RFC 5652 (signatures of profiles).

pub mod autodiscover;
pub mod cms;
mod der;
pub mod pacc;
mod page;
pub mod profile;
mod serve;
pub mod thunderbird;
mod xml;

pub use serve::{KeyOf, SetUp};
pub(crate) use serve::{elsewhere, in_private, routes};

/// What this server offers to mail programs, as they see it from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offers {
    /// The server's name, which its certificate is for.
    pub host: String,
    /// The port of the pages in TLS; none: there are no pages that others can use.
    pub https: Option<u16>,
    /// The services, the best of each protocol first. Only those in TLS are told of.
    pub services: Vec<Offer>,
    /// Who gives tokens: `https://` and a host, without a slash at the end.
    pub issuer: Option<String>,
}

/// One service on one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// What is spoken.
    pub protocol: Protocol,
    /// How it is kept private.
    pub security: Security,
    /// Where.
    pub port: u16,
    /// A password does (PLAIN or LOGIN).
    pub password: bool,
    /// A token does (OAUTHBEARER or XOAUTH2).
    pub token: bool,
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Mail stays on the server.
    Imap,
    /// Mail is fetched.
    Pop3,
    /// Mail is sent.
    Submission,
}

/// How a connection is kept private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first octet.
    Tls,
    /// TLS after a command in clear.
    StartTls,
}

impl Offers {
    /// Those of a protocol, the best first.
    pub fn of(&self, protocol: Protocol) -> impl Iterator<Item = &Offer> {
        self.services.iter().filter(move |offer| offer.protocol == protocol)
    }

    /// The best of a protocol that takes passwords.
    pub fn best(&self, protocol: Protocol) -> Option<&Offer> {
        self.of(protocol).find(|offer| offer.password)
    }

    /// An address of our pages, for everybody; none without pages in TLS.
    pub fn at(&self, path: &str) -> Option<String> {
        let host = &self.host;
        Some(match self.https? {
            443 => format!("https://{host}{path}"),
            port => format!("https://{host}:{port}{path}"),
        })
    }
}

impl Protocol {
    /// All, as answers list them.
    pub const ALL: [Protocol; 3] = [Protocol::Imap, Protocol::Pop3, Protocol::Submission];

    /// RFC 8314 §3.2 and §3.3, RFC 6409 §3.1.
    pub fn usual_port(self, security: Security) -> u16 {
        match (self, security) {
            (Protocol::Imap, Security::Tls) => 993,
            (Protocol::Imap, Security::StartTls) => 143,
            (Protocol::Pop3, Security::Tls) => 995,
            (Protocol::Pop3, Security::StartTls) => 110,
            (Protocol::Submission, Security::Tls) => 465,
            (Protocol::Submission, Security::StartTls) => 587,
        }
    }
}

/// Longest address that is read from a request (RFC 5321 §4.5.3.1 allows 64 + 1 + 255, in letters that may take more octets
/// when they are written otherwise).
pub const ADDRESS_MAX: usize = 512;

/// What the tests of the builders are made from.
#[cfg(test)]
pub(crate) fn sample() -> Offers {
    let offer = |protocol, security: Security| Offer {
        protocol,
        security,
        port: Protocol::usual_port(protocol, security),
        password: true,
        token: true,
    };
    let all = Protocol::ALL.into_iter().flat_map(|one| [offer(one, Security::Tls), offer(one, Security::StartTls)]);
    Offers {
        host: "mail.example.test".into(),
        https: Some(443),
        services: all.collect(),
        issuer: Some("https://mail.example.test".into()),
    }
}
