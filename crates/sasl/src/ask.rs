//! What a server machine asks of the accounts, and what is answered.

use postroad_protocol::ClientCertificate;

use crate::digest;
use crate::gss;
use crate::ntlm;
use crate::scram::{Hash, Offer, Proof};
use crate::{Error, Secret};

/// A question about an account: who somebody says to be, and what there is to show for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Ask {
    /// The mechanism's name, for the log and the Received line.
    pub mechanism: &'static str,
    /// Whom the client wants to act as; `None` when it is the one it authenticates as.
    pub authzid: Option<String>,
    /// Whose evidence it is, as the client wrote it; empty where the evidence alone tells (a certificate, a token).
    pub authcid: String,
    /// What is to be verified.
    pub evidence: Evidence,
}

/// What is to be verified, or looked up.
#[derive(Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A password as sent: UTF-8, not empty, without NUL.
    Password(Secret),
    /// Nothing yet: what is a proof of this account's made from? [`Answer::Scram`], also for names that nobody has.
    ScramKeys(Hash),
    /// A proof made with the answer to [`Evidence::ScramKeys`]. The `last` of [`Answer::Granted`] is the server's
    /// signature ([`crate::scram::Keys::verify`]).
    ScramProof(Proof),
    /// A bearer token (RFC 6750). The `last` of [`Answer::Refused`] may be what the client is told of it
    /// ([`crate::TokenRefusal`]).
    Token(Secret),
    /// The key of this certificate. With an empty `authcid` the certificate names the account.
    Certificate(ClientCertificate),
    /// Nothing yet: a client that offers these flags wants a challenge ([`ntlm::challenge`]) by [`Answer::Challenge`].
    NtlmFlags(u32),
    /// A proof made with that challenge ([`ntlm::Proof::verify`]).
    NtlmProof(Box<ntlm::Proof>),
    /// A token of Kerberos, or what follows when its context stands ([`gss::Acceptor`]).
    Gss(Box<gss::Question>),
    /// Nothing yet: a challenge ([`digest::challenge`]) by [`Answer::Challenge`].
    DigestChallenge,
    /// A proof made with that challenge, or with the timestamp of a greeting ([`digest::Proof::verify`]).
    DigestProof(digest::Proof),
    /// Nothing that could be looked at: the client did not follow the mechanism. It is refused whatever it is, and counts as
    /// a wrong password does: who tries what a server takes guesses, too.
    Malformed(Error),
}

/// What became of an [`Ask`]. `W` is what the caller knows of who came in, `R` why somebody did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<W, R> {
    /// To [`Evidence::ScramKeys`].
    Scram(Offer),
    /// There is more to be asked: the next challenge, for mechanisms of several rounds.
    Challenge(Vec<u8>),
    /// To [`gss::Question::Token`].
    Gss(gss::Step),
    /// The evidence is good.
    Granted {
        /// Who came in.
        who: W,
        /// What the client is told beside; empty for mechanisms that tell nothing.
        last: Vec<u8>,
    },
    /// It is not.
    Refused {
        /// Why.
        why: R,
        /// What the client is told before it hears so; `None` for mechanisms that tell nothing.
        last: Option<Vec<u8>>,
    },
    /// Nobody could look.
    Unavailable,
}

impl<W, R> Answer<W, R> {
    /// The evidence is good, and there is nothing more to say.
    pub fn granted(who: W) -> Answer<W, R> {
        Answer::Granted { who, last: Vec::new() }
    }

    /// It is not, and there is nothing more to say.
    pub fn refused(why: R) -> Answer<W, R> {
        Answer::Refused { why, last: None }
    }

    /// The same in the words of another caller.
    pub fn map<V, S>(self, who: impl FnOnce(W) -> V, why: impl FnOnce(R) -> S) -> Answer<V, S> {
        match self {
            Answer::Scram(offer) => Answer::Scram(offer),
            Answer::Challenge(bytes) => Answer::Challenge(bytes),
            Answer::Gss(step) => Answer::Gss(step),
            Answer::Granted { who: one, last } => Answer::Granted { who: who(one), last },
            Answer::Refused { why: one, last } => Answer::Refused { why: why(one), last },
            Answer::Unavailable => Answer::Unavailable,
        }
    }
}
