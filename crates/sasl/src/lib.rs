//! SASL (RFC 4422) as challenge/response machines, both sides, over the base64 lines that SMTP
//! (RFC 4954), IMAP (RFC 9051 §6.2.2), POP3 (RFC 5034) and ManageSieve (RFC 5804) share.
//!
//! A server machine never verifies anything: it asks ([`Turn::Ask`]), and its caller, who has had the accounts looked at,
//! answers ([`Exchange::answered`]). Mechanisms are rows of [`MECHANISMS`]; a new one is a row and a file.
//! Standards: RFC 4422, RFC 4616 (PLAIN), [MS-XLOGIN] (LOGIN), RFC 5802 and RFC 7677 (SCRAM), RFC 5929 and RFC 9266
//! (channel binding), RFC 7628 (OAUTHBEARER), XOAUTH2 as Google and Microsoft document it, RFC 4422 appendix A (EXTERNAL), [MS-NLMP] (NTLM),
//! RFC 4752 and RFC 4178 (GSSAPI, GSS-SPNEGO),
//! RFC 2195 (CRAM-MD5), RFC 1939 §7 (APOP).

mod ask;
mod base64_line;
mod client;
pub mod digest;
mod error;
mod exchange;
pub mod gss;
mod mechanism;
pub mod ntlm;
pub mod scram;
mod secret;
mod server;

pub use ask::{Answer, Ask, Evidence};
pub use base64_line::LINE_LIMIT;
pub use client::{Client, ClientIdentity, Credential, choose};
pub use error::Error;
pub use exchange::{Channel, Exchange, Turn};
pub use mechanism::{MECHANISMS, Mechanism, Unusable, find, offered, standard, usable};
pub use postroad_protocol::{Bindings, ClientCertificate};
pub use secret::{Secret, wipe};
pub use server::bearer::TokenRefusal;
