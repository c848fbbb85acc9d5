//! A line of the client, taken apart (RFC 5321 §4.1.1 and the extensions).

use std::net::IpAddr;

use postroad_sasl::Secret;

use crate::address::{address_literal, check_domain};
use crate::{Claim, Etrn, Forwarded, MailFrom, RcptTo, Reply, Role, parse_mail, parse_rcpt};

/// A well-formed command.
#[derive(Debug, PartialEq, Eq)]
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
    /// `BURL url [LAST]` (RFC 4468 §3.5).
    Burl {
        /// The URL as written.
        url: String,
        /// It is the last part.
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
        initial: Option<Secret>,
    },
    /// `ETRN name` (RFC 1985 §5).
    Etrn(Etrn),
    /// `XCLIENT attribute=value …` (Postfix).
    XClient(Claim),
    /// `XFORWARD attribute=value …` (Postfix).
    XForward(Forwarded),
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

/// Parses a line without its CRLF. The error is the reply that the client gets. `smtputf8` says whether
/// the transaction under way allows internationalised text.
pub fn parse(line: &[u8], role: Role, smtputf8: bool) -> Result<Command, Reply> {
    // RFC 6531 §3.6: a command line is ASCII, or UTF-8 where the extension is in use.
    let Ok(text) = std::str::from_utf8(line) else {
        return Err(Reply::new(500, (5, 5, 2), "The command is neither ASCII nor UTF-8"));
    };
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(Reply::new(500, (5, 5, 2), "The command has control characters in it"));
    }
    let text = text.trim_end_matches([' ', '\t']);
    let (verb, arguments) = match text.find(' ') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let row = COMMANDS.iter().find(|row| row.0.eq_ignore_ascii_case(verb));
    let Some((name, parse)) = row else {
        return Err(unknown(verb));
    };
    parse(Arguments { name, text: arguments.trim_start_matches(' '), role, smtputf8 })
}

/// Whether a line is the beginning of another protocol's request: a browser made to talk to a mail
/// port (cross-protocol scripting), or TLS spoken on a port that begins in clear.
pub(crate) fn foreign_protocol(line: &[u8]) -> Option<&'static str> {
    if line.starts_with(&[0x16, 0x03]) {
        return Some("TLS begins here with STARTTLS, or on another port");
    }
    let space = line.iter().take(HTTP_VERB_LIMIT).position(|byte| *byte == b' ')?;
    let known = HTTP_VERBS.iter().any(|name| name.as_bytes() == &line[..space]);
    known.then_some("This is a mail server, not a web server")
}

struct Arguments<'a> {
    name: &'static str,
    text: &'a str,
    role: Role,
    smtputf8: bool,
}

type Parse = fn(Arguments<'_>) -> Result<Command, Reply>;

/// All commands, each with the function that reads its arguments.
static COMMANDS: [(&str, Parse); 25] = [
    ("EHLO", |arguments| hello(&arguments, true)),
    ("HELO", |arguments| hello(&arguments, false)),
    ("LHLO", |arguments| hello(&arguments, true)),
    ("MAIL", |arguments| parse_mail(arguments.text, arguments.role).map(Command::Mail)),
    ("RCPT", |arguments| parse_rcpt(arguments.text, arguments.role, arguments.smtputf8).map(Command::Rcpt)),
    ("DATA", |arguments| alone(&arguments, Command::Data)),
    ("BDAT", |arguments| bdat(&arguments)),
    ("BURL", |arguments| burl(&arguments)),
    ("RSET", |arguments| alone(&arguments, Command::Rset)),
    ("NOOP", |_| Ok(Command::Noop)),
    ("QUIT", |arguments| alone(&arguments, Command::Quit)),
    ("VRFY", |arguments| with_text(&arguments, Command::Vrfy)),
    ("EXPN", |arguments| with_text(&arguments, Command::Expn)),
    ("HELP", |_| Ok(Command::Help)),
    ("STARTTLS", |arguments| alone(&arguments, Command::StartTls)),
    ("AUTH", |arguments| auth(&arguments)),
    ("ETRN", |arguments| Etrn::parse(arguments.text).map(Command::Etrn)),
    ("XCLIENT", |arguments| Claim::parse(arguments.text).map(Command::XClient)),
    ("XFORWARD", |arguments| Forwarded::parse(arguments.text).map(Command::XForward)),
    // Known, and not done here: RFC 5321 §4.2.4 gives them 502 instead of 500.
    ("ATRN", |arguments| Err(not_done(&arguments))),
    ("TURN", |arguments| Err(not_done(&arguments))),
    ("SEND", |arguments| Err(not_done(&arguments))),
    ("SOML", |arguments| Err(not_done(&arguments))),
    ("SAML", |arguments| Err(not_done(&arguments))),
    ("VERB", |arguments| Err(not_done(&arguments))),
];

/// `ehlo = "EHLO" SP ( Domain / address-literal )` (RFC 5321 §4.1.1.1), LHLO alike (RFC 2033 §4.1).
fn hello(arguments: &Arguments<'_>, extended: bool) -> Result<Command, Reply> {
    let lmtp = arguments.role == Role::Lmtp;
    match (lmtp, arguments.name) {
        (true, "LHLO") | (false, "EHLO" | "HELO") => {}
        (true, _) => return Err(Reply::new(500, (5, 5, 1), "This is LMTP: say LHLO")),
        (false, _) => return Err(Reply::new(500, (5, 5, 1), "This is SMTP: say EHLO")),
    }
    let name = arguments.text;
    let form = helo_form(name);
    match (form, arguments.role) {
        (HeloForm::Domain | HeloForm::Literal(_), _) => {}
        // [MS-SMTPNTLM] §2.2.1.9 wants EHLO without argument accepted; desktop clients call themselves
        // by whatever their machine is called.
        (HeloForm::Odd | HeloForm::Missing, Role::Submission) => {}
        (HeloForm::Odd | HeloForm::Missing, Role::Relay | Role::Lmtp) => {
            let text = format!("Syntax: {} your.host.name or [address]", arguments.name);
            return Err(Reply::new(501, (5, 5, 4), text));
        }
    }
    if name.len() > HELO_LIMIT {
        return Err(Reply::new(501, (5, 5, 4), "The name is too long"));
    }
    Ok(Command::Hello(Helo { name: name.to_owned(), form, extended }))
}

pub(crate) fn helo_form(name: &str) -> HeloForm {
    if name.is_empty() {
        return HeloForm::Missing;
    }
    if let Some(inside) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address_literal(inside).map_or(HeloForm::Odd, HeloForm::Literal);
    }
    // RFC 6531 §3.7.1: before SMTPUTF8 is agreed on, only A-labels are names.
    match name.is_ascii() && check_domain(name).is_ok() {
        true => HeloForm::Domain,
        false => HeloForm::Odd,
    }
}

/// `bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF` (RFC 3030 §2).
fn bdat(arguments: &Arguments<'_>) -> Result<Command, Reply> {
    let syntax = || Reply::new(501, (5, 5, 4), "Syntax: BDAT octets [LAST]");
    let mut words = arguments.text.split(' ').filter(|word| !word.is_empty());
    let size = words.next().ok_or_else(syntax)?;
    if size.len() > 19 || !size.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(syntax());
    }
    let size = size.parse().map_err(|_| syntax())?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(syntax()),
    };
    match words.next() {
        None => Ok(Command::Bdat { size, last }),
        Some(_) => Err(syntax()),
    }
}

/// `burl-cmd = "BURL" SP absolute-URI [SP end-marker] CRLF` (RFC 4468 §3.5).
fn burl(arguments: &Arguments<'_>) -> Result<Command, Reply> {
    let syntax = || Reply::new(501, (5, 5, 4), "Syntax: BURL url [LAST]");
    let mut words = arguments.text.split(' ').filter(|word| !word.is_empty());
    let url = words.next().ok_or_else(syntax)?.to_owned();
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(syntax()),
    };
    match words.next() {
        None => Ok(Command::Burl { url, last }),
        Some(_) => Err(syntax()),
    }
}

/// `"AUTH" SP sasl-mech [SP initial-response]` (RFC 4954 §4).
fn auth(arguments: &Arguments<'_>) -> Result<Command, Reply> {
    let mut words = arguments.text.split(' ').filter(|word| !word.is_empty());
    let (mechanism, initial) = (words.next(), words.next());
    let (Some(mechanism), None) = (mechanism, words.next()) else {
        return Err(Reply::new(501, (5, 5, 4), "Syntax: AUTH mechanism [initial-response]"));
    };
    let initial = initial.map(|word| Secret::new(word.to_owned()));
    Ok(Command::Auth { mechanism: mechanism.to_owned(), initial })
}

/// A command without arguments.
fn alone(arguments: &Arguments<'_>, command: Command) -> Result<Command, Reply> {
    match arguments.text.is_empty() {
        true => Ok(command),
        false => Err(Reply::new(501, (5, 5, 4), format!("{} takes no argument", arguments.name))),
    }
}

/// A command whose text is required but not looked at.
fn with_text(arguments: &Arguments<'_>, command: Command) -> Result<Command, Reply> {
    match arguments.text.is_empty() {
        false => Ok(command),
        true => Err(Reply::new(501, (5, 5, 4), format!("{} takes an argument", arguments.name))),
    }
}

fn not_done(arguments: &Arguments<'_>) -> Reply {
    Reply::new(502, (5, 5, 1), format!("{} is not available here", arguments.name))
}

fn unknown(verb: &str) -> Reply {
    match verb.chars().all(|c| c.is_ascii_alphanumeric()) && (1..=16).contains(&verb.len()) {
        true => Reply::new(500, (5, 5, 2), format!("{} is not a command; HELP lists them", verb.to_ascii_uppercase())),
        false => Reply::new(500, (5, 5, 2), "That is not a command; HELP lists them"),
    }
}

/// RFC 9110 §9.1, and the first line of an HTTP/2 preface.
const HTTP_VERBS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"];
/// Longer than the longest of them.
const HTTP_VERB_LIMIT: usize = 8;
/// A domain is at most 255 octets; odd names get no more.
const HELO_LIMIT: usize = 255;

impl Helo {
    /// The name for a Received line: a domain or an address literal, `unknown` for what is neither.
    pub fn for_header(&self) -> &str {
        match self.form {
            HeloForm::Domain | HeloForm::Literal(_) => &self.name,
            HeloForm::Odd | HeloForm::Missing => "unknown",
        }
    }
}
