//! A line of the client, taken apart (RFC 5321 §4.1.1 and the extensions).

use std::net::IpAddr;

use crate::{MailFrom, RcptTo, Reply, Role};

/// A well-formed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `EHLO`, `HELO`, `LHLO`.
    Hello(Helo),
    /// `MAIL FROM:`
    Mail(MailFrom),
    /// `RCPT TO:`
    Rcpt(RcptTo),
    /// `DATA`
    Data,
    /// `BDAT size [LAST]` (RFC 3030 §2).
    Bdat {
        /// Octets that follow the command line.
        size: u64,
        /// It is the last chunk.
        last: bool,
    },
    /// `RSET`
    Rset,
    /// `NOOP`, its argument ignored.
    Noop,
    /// `QUIT`
    Quit,
    /// `VRFY text`
    Vrfy,
    /// `EXPN text`
    Expn,
    /// `HELP [text]`
    Help,
    /// `STARTTLS` (RFC 3207).
    StartTls,
    /// `AUTH mechanism [initial-response]` (RFC 4954 §4).
    Auth {
        /// The mechanism's name as written.
        mechanism: String,
        /// The base64 text, or `=`.
        initial: Option<String>,
    },
}

/// How the client called itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helo {
    /// The argument as written; empty when there was none.
    pub name: String,
    /// What kind of name it is.
    pub form: HeloForm,
    /// `EHLO` or `LHLO`: extensions may be used.
    pub extended: bool,
}

/// The form of a greeting's argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeloForm {
    /// A domain name (underscores tolerated).
    Domain,
    /// An address literal.
    Literal(IpAddr),
    /// Something else without blanks or controls. Desktop clients send such; only Submission accepts it.
    Odd,
    /// Nothing. Only Submission accepts it.
    Missing,
}

/// Parses a line without its CRLF. The error is the reply that the client gets.
pub fn parse(_line: &[u8], _role: Role, _smtputf8: bool) -> Result<Command, Reply> {
    unimplemented!()
}

impl Helo {
    /// The name for a Received line: a domain or an address literal, `unknown` for what is neither.
    pub fn for_header(&self) -> &str {
        match self.form {
            HeloForm::Domain | HeloForm::Literal(_) => &self.name,
            HeloForm::Odd | HeloForm::Missing => "unknown",
        }
    }
}
