//! The Received line (RFC 5321 §4.4) with the `with` keywords of RFC 3848, RFC 6531 §4.3 and the IANA
//! registry "Mail Transmission Types".

use std::net::{IpAddr, SocketAddr};

use postroad_protocol::TlsFacts;

use crate::address::check_domain;
use crate::{Address, Helo, Priority, Role, Solicitation};

/// The facts of a Received line. Build it with [`crate::Session::received`] and change what the site hides.
#[derive(Debug, Clone)]
pub struct Received<'a> {
    /// The client's greeting; without it its address stands there, and without both a name that says that it is hidden.
    pub helo: Option<&'a Helo>,
    /// The client's address; `None` hides it.
    pub remote: Option<SocketAddr>,
    /// The client's name by DNS, forward-confirmed.
    pub reverse_name: Option<&'a str>,
    /// Our host name.
    pub by: &'a str,
    /// The registered keyword: see [`with_protocol`].
    pub with: &'static str,
    /// The TLS facts, as a comment.
    pub tls: Option<&'a TlsFacts>,
    /// The authenticated login, as a comment; `None` hides it.
    pub login: Option<&'a str>,
    /// The trace id.
    pub id: &'a str,
    /// The only recipient; with several, `None`, since it would tell one of the others (RFC 5321 §7.2).
    pub recipient: Option<&'a Address>,
    /// The priority, where the client said one (RFC 6710 §3.7): what it was given, not what it asked for.
    pub priority: Option<Priority>,
    /// The classes of solicitation (RFC 3865 §2.6), as a comment.
    pub solicitation: Option<&'a Solicitation>,
    /// The time as an RFC 5322 date-time.
    pub date: &'a str,
}

/// The `with` keyword: `ESMTPSA`, `LMTPS`, `UTF8SMTPSA`, …
pub fn with_protocol(role: Role, extended: bool, smtputf8: bool, tls: bool, authenticated: bool) -> &'static str {
    let row = match (role, extended, smtputf8) {
        (Role::Lmtp, _, false) => ["LMTP", "LMTPA", "LMTPS", "LMTPSA"],
        (Role::Lmtp, _, true) => ["UTF8LMTP", "UTF8LMTPA", "UTF8LMTPS", "UTF8LMTPSA"],
        (Role::Relay | Role::Submission, _, true) => ["UTF8SMTP", "UTF8SMTPA", "UTF8SMTPS", "UTF8SMTPSA"],
        (Role::Relay | Role::Submission, true, false) => ["ESMTP", "ESMTPA", "ESMTPS", "ESMTPSA"],
        // TLS and AUTH cannot be had with HELO: their keywords exist for ESMTP only.
        (Role::Relay | Role::Submission, false, false) => ["SMTP", "ESMTPA", "ESMTPS", "ESMTPSA"],
    };
    row[usize::from(authenticated) + 2 * usize::from(tls)]
}

impl Received<'_> {
    /// The header field with its CRLF, folded.
    pub fn header(&self) -> String {
        let mut line = Folded::new("Received:");
        line.word("from");
        let literal = self.remote.map(|remote| match remote.ip().to_canonical() {
            IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
            IpAddr::V4(ip) => format!("[{ip}]"),
        });
        // `From-domain = "FROM" FWS Extended-Domain`: something has to stand there. RFC 6761 §6.4: nobody has this name.
        line.word(self.helo.map_or(literal.as_deref().unwrap_or(HIDDEN), |helo| helo.for_header()));
        if let Some(literal) = literal {
            // What DNS says is the client's word: only a well-formed name goes into a header.
            match self.reverse_name.filter(|name| name.is_ascii() && check_domain(name).is_ok()) {
                Some(name) => line.word(&format!("({name} {literal})")),
                None => line.word(&format!("({literal})")),
            }
        }
        line.fold();
        line.word("by");
        line.word(self.by);
        line.word("with");
        line.word(self.with);
        // RFC 3865 §2.6: behind the protocol.
        if let Some(classes) = self.solicitation.map(ToString::to_string).filter(|classes| classes.len() <= CLASSES_MAX)
        {
            line.word(&format!("(SOLICIT={classes})"));
        }
        if let Some(tls) = self.tls {
            line.fold();
            let group = tls.group.as_deref().map_or(String::new(), |group| format!(" {group}"));
            line.word(&format!("({} {}{group})", tls.version, tls.cipher));
        }
        if let Some(login) = self.login {
            line.fold();
            line.word(&format!("(authenticated as {})", comment(login)));
        }
        line.fold();
        line.word("id");
        line.word(self.id);
        if let Some(recipient) = self.recipient {
            line.fold();
            line.word(&format!("for <{recipient}>"));
        }
        // `Additional-Registered-Clauses =/ CFWS "PRIORITY" FWS priority-value`
        if let Some(priority) = self.priority {
            line.word("PRIORITY");
            line.word(&priority.to_string());
        }
        line.end(self.date)
    }
}

/// A login inside a comment: parentheses and backslashes are quoted, controls dropped (RFC 5322 §3.2.2).
fn comment(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '(' | ')' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

/// Words on lines of at most [`FOLD_AT`] octets where that is possible.
struct Folded {
    text: String,
    column: usize,
}

impl Folded {
    fn new(name: &str) -> Folded {
        Folded { text: name.to_owned(), column: name.len() }
    }

    fn word(&mut self, word: &str) {
        if self.column + 1 + word.len() > FOLD_AT && self.column > 1 {
            self.fold();
        }
        if self.column > 1 {
            self.text.push(' ');
            self.column += 1;
        }
        self.text.push_str(word);
        self.column += word.len();
    }

    fn fold(&mut self) {
        if self.column > 1 {
            self.text.push_str("\r\n\t");
            self.column = 1;
        }
    }

    fn end(mut self, date: &str) -> String {
        self.text.push_str(";\r\n\t");
        self.text.push_str(date);
        self.text.push_str("\r\n");
        self.text
    }
}

/// Longer, the classes fit into no line (RFC 5322 §2.1.1), and they cannot be folded.
const CLASSES_MAX: usize = 900;
/// Where a client is not shown.
const HIDDEN: &str = "hidden.invalid";

/// RFC 5322 §2.1.1: lines should be no longer than 78 characters.
const FOLD_AT: usize = 76;
