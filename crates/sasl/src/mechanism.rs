//! The table of mechanisms, strongest first: a new mechanism is a row here and a file in `server`.

use postroad_protocol::TlsFacts;

use crate::exchange::Channel;
use crate::gss;
use crate::scram::Hash;
use crate::server::bearer::{Bearer, Form};
use crate::server::cram::Cram;
use crate::server::external::External;
use crate::server::gss::Gss;
use crate::server::ntlm::Ntlm;
use crate::server::scram::Scram;
use crate::server::{Machine, login::Login, plain::Plain};

/// A row of the table.
#[derive(Debug)]
pub struct Mechanism {
    /// The registered name, in upper case.
    pub name: &'static str,
    /// The password or token itself crosses the wire, readable for who can read the line.
    pub sends_secret: bool,
    /// The client speaks first (RFC 4422 §5.1); without an initial response it gets an empty challenge.
    pub client_first: bool,
    /// What of the connection it cannot do without.
    pub needs: Needs,
    /// It is offered where nothing else is said. The others ask for secrets that are worth as much as the password, or for the
    /// keys of a realm.
    pub standard: bool,
    /// What SMTP writes in place of an empty first challenge, for mechanisms whose clients want words.
    pub invitation: Option<&'static str>,
    pub(crate) start: fn(Channel<'_>) -> Box<dyn Machine>,
}

/// What a mechanism cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Privacy: TLS, or a line that the administrator says is one.
    Privacy,
    /// A channel binding.
    Binding,
    /// A certificate of the client.
    Certificate,
}

impl PartialEq for Mechanism {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Mechanism {}

/// What most rows have.
const USUAL: Mechanism = Mechanism {
    name: "",
    sends_secret: false,
    client_first: true,
    needs: Needs::Privacy,
    standard: true,
    invitation: None,
    start: |_| Box::new(Plain),
};

/// All mechanisms, in the order in which they are advertised.
pub static MECHANISMS: [Mechanism; 13] = [
    Mechanism {
        name: "SCRAM-SHA-256-PLUS",
        needs: Needs::Binding,
        start: |channel| Box::new(Scram::new(Hash::Sha256, true, channel)),
        ..USUAL
    },
    Mechanism { name: "SCRAM-SHA-256", start: |channel| Box::new(Scram::new(Hash::Sha256, false, channel)), ..USUAL },
    Mechanism {
        name: "SCRAM-SHA-1-PLUS",
        needs: Needs::Binding,
        start: |channel| Box::new(Scram::new(Hash::Sha1, true, channel)),
        ..USUAL
    },
    Mechanism { name: "SCRAM-SHA-1", start: |channel| Box::new(Scram::new(Hash::Sha1, false, channel)), ..USUAL },
    Mechanism {
        name: "GSSAPI",
        standard: false,
        start: |channel| Box::new(Gss::new(gss::Form::Gssapi, channel)),
        ..USUAL
    },
    Mechanism {
        name: "GSS-SPNEGO",
        standard: false,
        start: |channel| Box::new(Gss::new(gss::Form::Spnego, channel)),
        ..USUAL
    },
    Mechanism { name: "PLAIN", sends_secret: true, ..USUAL },
    Mechanism { name: "LOGIN", sends_secret: true, client_first: false, start: |_| Box::<Login>::default(), ..USUAL },
    Mechanism { name: "OAUTHBEARER", sends_secret: true, start: |_| Box::new(Bearer::new(Form::Rfc7628)), ..USUAL },
    Mechanism { name: "XOAUTH2", sends_secret: true, start: |_| Box::new(Bearer::new(Form::XOAuth2)), ..USUAL },
    Mechanism {
        name: "EXTERNAL",
        needs: Needs::Certificate,
        start: |channel| Box::new(External::new(channel)),
        ..USUAL
    },
    Mechanism {
        name: "NTLM",
        standard: false,
        // [MS-SMTPNTLM] §2.2.1.2: words that the client does not look at.
        invitation: Some("ntlm supported"),
        start: |channel| Box::new(Ntlm::new(channel)),
        ..USUAL
    },
    Mechanism { name: "CRAM-MD5", client_first: false, standard: false, start: |_| Box::<Cram>::default(), ..USUAL },
];

/// The row of a name, compared without regard to case.
pub fn find(name: &str) -> Option<&'static Mechanism> {
    MECHANISMS.iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

/// The mechanisms that are offered where no setting says which.
pub fn standard() -> Vec<&'static Mechanism> {
    MECHANISMS.iter().filter(|row| row.standard).collect()
}

/// Which mechanisms of a policy a connection has now, in the policy's order. `clear` says that secrets may pass without
/// TLS. It depends on no account, so that nothing is told of any.
pub fn offered(policy: &[&'static Mechanism], tls: Option<&TlsFacts>, clear: bool) -> Vec<&'static Mechanism> {
    policy.iter().copied().filter(|row| row.fits(tls, clear)).collect()
}

/// Why a mechanism cannot be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// There is none of this name, or it is not for this connection.
    Unknown,
    /// It would be there with TLS: it shows what others must not read.
    Privacy,
    /// It would be there with TLS: it shows what TLS has shown, or binds itself to TLS.
    Clear,
    /// The client showed no certificate when TLS began.
    Certificate,
    /// This TLS connection has nothing to bind to.
    Binding,
}

impl Unusable {
    /// What somebody is told who asks for such a mechanism.
    pub fn words(self) -> &'static str {
        match self {
            Unusable::Unknown => "this mechanism is not offered",
            Unusable::Privacy => "this mechanism is offered only under TLS",
            Unusable::Clear => "this mechanism works only under TLS, which this connection does not have",
            Unusable::Certificate => "this mechanism needs a certificate of the client, which TLS was not shown",
            Unusable::Binding => "this mechanism binds itself to TLS, which has nothing for that on this connection",
        }
    }
}

/// The row of a name that a client asks for, if it was offered.
pub fn usable(
    policy: &[&'static Mechanism],
    name: &str,
    tls: Option<&TlsFacts>,
    clear: bool,
) -> Result<&'static Mechanism, Unusable> {
    let row = policy.iter().copied().find(|row| row.name.eq_ignore_ascii_case(name)).ok_or(Unusable::Unknown)?;
    if row.fits(tls, clear) {
        return Ok(row);
    }
    Err(match (row.needs, tls) {
        (Needs::Privacy, _) => Unusable::Privacy,
        (Needs::Binding | Needs::Certificate, None) => Unusable::Clear,
        (Needs::Binding, Some(_)) => Unusable::Binding,
        (Needs::Certificate, Some(_)) => Unusable::Certificate,
    })
}

impl Mechanism {
    fn fits(&self, tls: Option<&TlsFacts>, clear: bool) -> bool {
        match self.needs {
            Needs::Privacy => tls.is_some() || clear,
            Needs::Binding => tls.is_some_and(|tls| tls.bindings.any()),
            Needs::Certificate => tls.is_some_and(|tls| tls.client.is_some()),
        }
    }
}
