//! The arguments of MAIL and RCPT with their ESMTP parameters.

use std::fmt;

use crate::address::check_domain;
use crate::{Address, AddressError, DeliverBy, Hold, Priority, Reply, Role, Solicitation, ValidSince, xtext};

/// `MAIL FROM:` with what it says (RFC 5321 §4.1.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFrom {
    /// The return path; `None` is the null path `<>` of notices.
    pub path: Option<Address>,
    /// `SIZE=`: the octets the client expects to send (RFC 1870).
    pub size: Option<u64>,
    /// `BODY=` (RFC 6152, RFC 3030).
    pub body: Option<BodyType>,
    /// `SMTPUTF8` (RFC 6531).
    pub smtputf8: bool,
    /// `RET=`: what a failure notice quotes (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// `ENVID=`, decoded (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// `AUTH=`, decoded: `<>` or an address (RFC 4954 §5). Kept for the trace; nobody relies on it.
    pub auth: Option<String>,
    /// `BY=` (RFC 2852).
    pub deliver_by: Option<DeliverBy>,
    /// `HOLDFOR=` or `HOLDUNTIL=` (RFC 4865).
    pub hold: Option<Hold>,
    /// `MT-PRIORITY=` (RFC 6710).
    pub priority: Option<Priority>,
    /// `SOLICIT=` (RFC 3865).
    pub solicitation: Option<Solicitation>,
    /// `REQUIRETLS` (RFC 8689).
    pub requiretls: bool,
}

/// `RCPT TO:` with what it says (RFC 5321 §4.1.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RcptTo {
    /// The recipient.
    pub path: ForwardPath,
    /// `NOTIFY=` (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// `ORCPT=` (RFC 3461 §4.2).
    pub orcpt: Option<Orcpt>,
    /// `RRVS=` (RFC 7293).
    pub valid_since: Option<ValidSince>,
}

/// A recipient.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// An address with a domain.
    Address(Address),
    /// `<Postmaster>`, in any case, without a domain (RFC 5321 §4.5.1): this host's postmaster.
    Postmaster,
}

/// `BODY=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyType {
    /// Lines of ASCII.
    SevenBit,
    /// Lines with any octets but NUL, CR, LF inside.
    EightBitMime,
    /// Any octets; BDAT only (RFC 3030 §3).
    BinaryMime,
}

/// `RET=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header only.
    Headers,
}

/// `NOTIFY=`; all false is `NEVER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notify {
    /// Tell of success.
    pub success: bool,
    /// Tell of failure.
    pub failure: bool,
    /// Tell of delay.
    pub delay: bool,
}

/// `ORCPT=`, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orcpt {
    /// `rfc822`, `utf-8`, … as written.
    pub kind: String,
    /// The original recipient.
    pub address: String,
}

/// Parses what stands behind `MAIL`: ` FROM:<path> parameters`. The error is the reply.
pub fn parse_mail(arguments: &str, role: Role) -> Result<MailFrom, Reply> {
    let rest = after_keyword(arguments, "FROM:")
        .ok_or_else(|| Reply::new(501, (5, 5, 4), "Syntax: MAIL FROM:<address> [parameters]"))?;
    let bad_path =
        |error: AddressError| Reply::new(501, (5, 1, 7), format!("The sender's address is malformed: {error}"));
    let (path, rest) = match rest.strip_prefix("<>") {
        Some(rest) => (None, rest),
        None => {
            let (address, rest) = path(rest, role).map_err(bad_path)?;
            (Some(address), rest)
        }
    };
    let mut mail = MailFrom::new(path);
    let mut raw_text = false;
    for parameter in parameters(rest)? {
        raw_text |= !parameter.value.unwrap_or_default().is_ascii();
        mail.set(&parameter)?;
    }
    if !mail.smtputf8 && (raw_text || mail.path.as_ref().is_some_and(|path| !path.is_ascii())) {
        return Err(needs_smtputf8());
    }
    Ok(mail)
}

/// Parses what stands behind `RCPT`: ` TO:<path> parameters`. The error is the reply. `smtputf8` says
/// whether the transaction allows internationalised text.
pub fn parse_rcpt(arguments: &str, role: Role, smtputf8: bool) -> Result<RcptTo, Reply> {
    let rest = after_keyword(arguments, "TO:")
        .ok_or_else(|| Reply::new(501, (5, 5, 4), "Syntax: RCPT TO:<address> [parameters]"))?;
    if rest.starts_with("<>") {
        return Err(Reply::new(501, (5, 1, 3), "The null path <> cannot be a recipient"));
    }
    let (path, rest) = match postmaster(rest) {
        Some(rest) => (ForwardPath::Postmaster, rest),
        None => {
            let (address, rest) = path(rest, role).map_err(|error| {
                Reply::new(501, (5, 1, 3), format!("The recipient's address is malformed: {error}"))
            })?;
            (ForwardPath::Address(address), rest)
        }
    };
    let mut rcpt = RcptTo::new(path);
    let mut raw_text = rcpt.path.address().is_some_and(|address| !address.is_ascii());
    for parameter in parameters(rest)? {
        raw_text |= !parameter.value.unwrap_or_default().is_ascii();
        rcpt.set(&parameter)?;
    }
    if raw_text && !smtputf8 {
        return Err(needs_smtputf8());
    }
    Ok(rcpt)
}

/// `esmtp-keyword ["=" esmtp-value]` (RFC 5321 §4.1.2), the keyword in upper case.
struct Parameter<'a> {
    keyword: String,
    value: Option<&'a str>,
}

impl MailFrom {
    /// A sender without any wish.
    pub fn new(path: Option<Address>) -> MailFrom {
        MailFrom {
            path,
            size: None,
            body: None,
            smtputf8: false,
            ret: None,
            envid: None,
            auth: None,
            deliver_by: None,
            hold: None,
            priority: None,
            solicitation: None,
            requiretls: false,
        }
    }

    fn set(&mut self, parameter: &Parameter<'_>) -> Result<(), Reply> {
        match (parameter.keyword.as_str(), parameter.value) {
            ("SIZE", Some(value)) => {
                // RFC 1870 §3: 1*20DIGIT, which may be more than 64 bits hold.
                if value.len() > 20 || !value.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(bad_value("SIZE=", "a number of octets"));
                }
                self.size = Some(value.parse().unwrap_or(u64::MAX));
            }
            ("BODY", Some(value)) => {
                self.body = Some(match value.to_ascii_uppercase().as_str() {
                    "7BIT" => BodyType::SevenBit,
                    "8BITMIME" => BodyType::EightBitMime,
                    "BINARYMIME" => BodyType::BinaryMime,
                    _ => return Err(bad_value("BODY=", "7BIT, 8BITMIME or BINARYMIME")),
                });
            }
            ("SMTPUTF8", None) => self.smtputf8 = true,
            ("SMTPUTF8", Some(_)) => return Err(bad_value("SMTPUTF8", "no value")),
            ("RET", Some(value)) => {
                self.ret = Some(match value.to_ascii_uppercase().as_str() {
                    "FULL" => Ret::Full,
                    "HDRS" => Ret::Headers,
                    _ => return Err(bad_value("RET=", "FULL or HDRS")),
                });
            }
            ("ENVID", Some(value)) => {
                let decoded = xtext::decode(value).filter(|_| value.len() <= ENVID_LIMIT);
                self.envid = Some(decoded.ok_or_else(|| bad_value("ENVID=", "xtext of up to 100 characters"))?);
            }
            // RFC 4954 §5: outlook.com sends AUTH=<> to everyone. What does not decode is no reason to refuse mail.
            ("AUTH", Some(value)) => self.auth = xtext::decode(value),
            ("SIZE" | "BODY" | "RET" | "ENVID" | "AUTH", None) => {
                return Err(bad_value(&parameter.keyword, "a value"));
            }
            _ => return self.set_wish(parameter),
        }
        Ok(())
    }

    /// The parameters of [`crate::Offer`].
    fn set_wish(&mut self, parameter: &Parameter<'_>) -> Result<(), Reply> {
        match (parameter.keyword.as_str(), parameter.value) {
            ("BY", Some(value)) => {
                let what = "seconds;R (more than 0 of them) or seconds;N, and T behind it to trace";
                self.deliver_by = Some(DeliverBy::parse(value).ok_or_else(|| bad_value("BY=", what))?);
            }
            // RFC 4865 §3: one of the two.
            ("HOLDFOR" | "HOLDUNTIL", Some(_)) if self.hold.is_some() => {
                return Err(Reply::new(501, (5, 5, 4), "HOLDFOR and HOLDUNTIL exclude each other"));
            }
            ("HOLDFOR", Some(value)) => {
                self.hold = Some(Hold::parse_for(value).ok_or_else(|| bad_value("HOLDFOR=", "a number of seconds"))?);
            }
            ("HOLDUNTIL", Some(value)) => {
                let hold = Hold::parse_until(value);
                self.hold = Some(hold.ok_or_else(|| bad_value("HOLDUNTIL=", "a time such as 2026-11-22T12:00:00Z"))?);
            }
            ("MT-PRIORITY", Some(value)) => {
                // RFC 6710 §4.1: 5.5.2.
                let bad = || Reply::new(501, (5, 5, 2), "MT-PRIORITY= takes a number from -9 to 9");
                self.priority = Some(Priority::parse(value).ok_or_else(bad)?);
            }
            ("SOLICIT", Some(value)) => {
                let classes = Solicitation::parse(value);
                self.solicitation = Some(classes.ok_or_else(|| bad_value("SOLICIT=", "classes separated by commas"))?);
            }
            ("REQUIRETLS", None) => self.requiretls = true,
            ("REQUIRETLS", Some(_)) => return Err(bad_value("REQUIRETLS", "no value")),
            ("BY" | "HOLDFOR" | "HOLDUNTIL" | "MT-PRIORITY" | "SOLICIT", None) => {
                return Err(bad_value(&parameter.keyword, "a value"));
            }
            (keyword, _) => return Err(unknown(keyword, "MAIL")),
        }
        Ok(())
    }
}

impl RcptTo {
    /// A recipient without any wish.
    pub fn new(path: ForwardPath) -> RcptTo {
        RcptTo { path, notify: None, orcpt: None, valid_since: None }
    }

    fn set(&mut self, parameter: &Parameter<'_>) -> Result<(), Reply> {
        match (parameter.keyword.as_str(), parameter.value) {
            ("NOTIFY", Some(value)) => self.notify = Some(notify(value)?),
            ("ORCPT", Some(value)) => {
                let parsed = orcpt(value).filter(|_| value.len() <= ORCPT_LIMIT);
                self.orcpt = Some(parsed.ok_or_else(|| bad_value("ORCPT=", "type;xtext"))?);
            }
            ("RRVS", Some(value)) => {
                let since = ValidSince::parse(value);
                self.valid_since = Some(since.ok_or_else(|| bad_value("RRVS=", "a time, and ;C or ;R behind it"))?);
            }
            ("NOTIFY" | "ORCPT" | "RRVS", None) => return Err(bad_value(&parameter.keyword, "a value")),
            (keyword, _) => return Err(unknown(keyword, "RCPT")),
        }
        Ok(())
    }
}

/// What follows `FROM:` or `TO:`; blanks around it are Outlook's (`MAIL FROM: <a@b>`).
fn after_keyword<'a>(arguments: &'a str, keyword: &str) -> Option<&'a str> {
    let arguments = arguments.trim_start_matches(' ');
    let (head, rest) = arguments.split_at_checked(keyword.len())?;
    head.eq_ignore_ascii_case(keyword).then(|| rest.trim_start_matches(' '))
}

/// `"<Postmaster>"` (RFC 5321 §4.1.1.3), in any case.
fn postmaster(text: &str) -> Option<&str> {
    const PATH: &str = "<postmaster>";
    let (head, rest) = text.split_at_checked(PATH.len())?;
    head.eq_ignore_ascii_case(PATH).then_some(rest)
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`. On Submission a mailbox without brackets passes: several
/// scanners and scripts send it.
fn path(text: &str, role: Role) -> Result<(Address, &str), AddressError> {
    let Some(inside) = text.strip_prefix('<') else {
        return match role {
            Role::Submission => Address::parse_prefix(text),
            Role::Relay | Role::Lmtp => Err(AddressError::NoBrackets),
        };
    };
    let mailbox = match inside.starts_with('@') {
        true => after_source_route(inside)?,
        false => inside,
    };
    let (address, rest) = Address::parse_prefix(mailbox)?;
    let rest = rest.strip_prefix('>').ok_or(AddressError::NoBrackets)?;
    Ok((address, rest))
}

/// `A-d-l = At-domain *( "," At-domain )`. RFC 5321 §4.1.1.3: accepted and ignored.
fn after_source_route(text: &str) -> Result<&str, AddressError> {
    let (route, mailbox) = text.split_once(':').ok_or(AddressError::BadDomain)?;
    for hop in route.split(',') {
        check_domain(hop.strip_prefix('@').ok_or(AddressError::BadDomain)?)?;
    }
    Ok(mailbox)
}

/// `Mail-parameters = esmtp-param *(SP esmtp-param)`
fn parameters(text: &str) -> Result<Vec<Parameter<'_>>, Reply> {
    if !text.is_empty() && !text.starts_with(' ') {
        return Err(Reply::new(501, (5, 5, 4), "A blank belongs between the path and its parameters"));
    }
    let mut parameters: Vec<Parameter<'_>> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (keyword, value) = match word.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (word, None),
        };
        let fit = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !keyword.chars().all(fit) || !keyword.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(Reply::new(501, (5, 5, 4), "A parameter is malformed"));
        }
        if value.is_some_and(str::is_empty) {
            return Err(bad_value(keyword, "a value behind ="));
        }
        let keyword = keyword.to_ascii_uppercase();
        if parameters.iter().any(|earlier| earlier.keyword == keyword) {
            return Err(Reply::new(501, (5, 5, 4), format!("The parameter {keyword} is given twice")));
        }
        if parameters.len() == PARAMETERS_LIMIT {
            return Err(Reply::new(501, (5, 5, 4), "Too many parameters"));
        }
        parameters.push(Parameter { keyword, value });
    }
    Ok(parameters)
}

/// `notify-esmtp-value = "NEVER" / 1#notify-list-element` (RFC 3461 §4.1).
fn notify(value: &str) -> Result<Notify, Reply> {
    let mut notify = Notify::default();
    if value.eq_ignore_ascii_case("NEVER") {
        return Ok(notify);
    }
    for element in value.split(',') {
        match element.to_ascii_uppercase().as_str() {
            "SUCCESS" => notify.success = true,
            "FAILURE" => notify.failure = true,
            "DELAY" => notify.delay = true,
            _ => return Err(bad_value("NOTIFY=", "NEVER, or some of SUCCESS,FAILURE,DELAY")),
        }
    }
    Ok(notify)
}

/// `original-recipient-address = addr-type ";" xtext` (RFC 3461 §4.2), and the `utf-8` type with
/// `\x{...}` or plain UTF-8 (RFC 6533 §3).
fn orcpt(value: &str) -> Option<Orcpt> {
    let (kind, text) = value.split_once(';')?;
    let atom = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if kind.is_empty() || !kind.chars().all(atom) || text.is_empty() {
        return None;
    }
    let address = match kind.eq_ignore_ascii_case("utf-8") {
        true => unicode_text(text)?,
        false => xtext::decode(text)?,
    };
    Some(Orcpt { kind: kind.to_owned(), address })
}

/// `utf-8-addr-xtext` and `utf-8-addr-unitext` (RFC 6533 §3); xtext's escapes are accepted too.
fn unicode_text(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        decoded.push_str(&rest[..at]);
        let (digits, after) = rest[at..].strip_prefix("\\x{")?.split_once('}')?;
        decoded.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        rest = after;
    }
    decoded.push_str(rest);
    if decoded.is_ascii() && decoded.contains('+') {
        return xtext::decode(&decoded);
    }
    decoded.chars().all(|c| !c.is_control()).then_some(decoded)
}

/// RFC 5321 §4.1.1.11.
fn unknown(keyword: &str, command: &str) -> Reply {
    Reply::new(555, (5, 5, 4), format!("{command} does not know the parameter {keyword}"))
}

fn bad_value(keyword: &str, wants: &str) -> Reply {
    Reply::new(501, (5, 5, 4), format!("{keyword} takes {wants}"))
}

/// RFC 6531 §3.5.
fn needs_smtputf8() -> Reply {
    Reply::new(553, (5, 6, 7), "Internationalised addresses need the SMTPUTF8 parameter of MAIL")
}

/// RFC 3461 §4.4.
const ENVID_LIMIT: usize = 100;
/// RFC 3461 §4.2.
const ORCPT_LIMIT: usize = 500;
/// No set of registered parameters is nearly as large.
const PARAMETERS_LIMIT: usize = 32;

impl ForwardPath {
    /// The address; `None` for the bare postmaster.
    pub fn address(&self) -> Option<&Address> {
        match self {
            ForwardPath::Address(address) => Some(address),
            ForwardPath::Postmaster => None,
        }
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ForwardPath::Address(address) => address.fmt(f),
            ForwardPath::Postmaster => f.write_str("Postmaster"),
        }
    }
}

impl Notify {
    /// `NOTIFY=NEVER`.
    pub fn is_never(self) -> bool {
        self == Notify::default()
    }
}
