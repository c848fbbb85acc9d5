//! What a next host means by a refusal: a category, plain words, what the sender can do, what the administrator can do,
//! and where that is known from. Pure: tables over the code, the enhanced code, the words and the name of the host.
//!
//! Hosts differ in what they mean by one code, so the tables are asked in this order: what a provider documents for its own
//! hosts, words that leave no doubt, enhanced codes, codes. Nothing here decides whether or when mail is tried again: the
//! first digit of the reply does.
//!
//! Standards: RFC 5321 §4.2.3, RFC 3463 and its registry (RFC 5248: 6710, 7293, 7372, 7505, 8689); the providers' own pages
//! are named in each row.

mod providers;
#[cfg(test)]
mod seen;
#[cfg(test)]
mod tests;
mod texts;

use postroad_smtp::Enhanced;

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// There is no such recipient.
    UnknownUser,
    /// The mailbox is full.
    MailboxFull,
    /// The mailbox exists and is out of use.
    MailboxDisabled,
    /// The domain takes no mail, or cannot be found.
    BadDestination,
    /// The sender's address or domain is not liked.
    BadSender,
    /// The sending address is on a list, or has a bad name.
    Reputation,
    /// SPF, DKIM or DMARC is missing or fails.
    Authentication,
    /// The sending address has no name in the DNS that fits.
    ReverseDns,
    /// Too much at once.
    Rate,
    /// A greylist: come back later.
    Greylist,
    /// The message is too large.
    Size,
    /// What is in the message: spam, malware, a link.
    Content,
    /// The form of the message: 8-bit text, addresses beyond ASCII, broken headers.
    Form,
    /// The host does not relay for us, or wants a login.
    Relay,
    /// Mail goes in circles.
    Loop,
    /// TLS, or a certificate.
    Tls,
    /// Another rule of the host.
    Policy,
    /// The host could not be reached, or the connection broke.
    Unreachable,
    /// The host has a trouble of its own.
    Temporary,
    /// Something else.
    Other,
}

/// A refusal, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// What kind.
    pub category: Category,
    /// In plain words, a sentence; empty where the host's own are all there is.
    pub what: &'static str,
    /// What the sender can do; empty where that is nothing.
    pub next: &'static str,
    /// What the administrator of this server can do; empty where that is nothing.
    pub remedy: &'static str,
    /// Where this meaning is known from.
    pub source: &'static str,
}

impl Category {
    /// All of them.
    pub const ALL: [Category; 20] = [
        Category::UnknownUser,
        Category::MailboxFull,
        Category::MailboxDisabled,
        Category::BadDestination,
        Category::BadSender,
        Category::Reputation,
        Category::Authentication,
        Category::ReverseDns,
        Category::Rate,
        Category::Greylist,
        Category::Size,
        Category::Content,
        Category::Form,
        Category::Relay,
        Category::Loop,
        Category::Tls,
        Category::Policy,
        Category::Unreachable,
        Category::Temporary,
        Category::Other,
    ];

    /// As it stands in metrics and stories.
    pub fn name(self) -> &'static str {
        match self {
            Category::UnknownUser => "unknown-user",
            Category::MailboxFull => "mailbox-full",
            Category::MailboxDisabled => "mailbox-disabled",
            Category::BadDestination => "bad-destination",
            Category::BadSender => "bad-sender",
            Category::Reputation => "reputation",
            Category::Authentication => "authentication",
            Category::ReverseDns => "reverse-dns",
            Category::Rate => "rate",
            Category::Greylist => "greylist",
            Category::Size => "size",
            Category::Content => "content",
            Category::Form => "form",
            Category::Relay => "relay",
            Category::Loop => "loop",
            Category::Tls => "tls",
            Category::Policy => "policy",
            Category::Unreachable => "unreachable",
            Category::Temporary => "temporary",
            Category::Other => "other",
        }
    }
}

/// What a refusal means. `code` and `enhanced` are those of the reply; `None` for what no host said (DNS, connections), of
/// which `enhanced` may be ours. `host` is the name of the host, as a hint at whose words these are.
pub fn classify(code: Option<u16>, enhanced: Option<Enhanced>, text: &str, host: Option<&str>) -> Class {
    let start = text.floor_char_boundary(LOOKED_AT);
    let words = text[..start].to_ascii_lowercase();
    let host = host.unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    if let Some(row) = providers::find(&host, enhanced, &words) {
        return texts::class(row.category, row.text, row.source);
    }
    if let Some((category, source)) = texts::by_words(&words) {
        return texts::class(category, None, source);
    }
    if let Some((category, source)) = enhanced.and_then(by_enhanced) {
        return texts::class(category, None, source);
    }
    match code {
        Some(code) => texts::class(by_code(code), None, "RFC 5321"),
        None => texts::class(Category::Unreachable, None, "this server"),
    }
}

/// The same of a reply as the queue keeps it, `550 5.1.1 No such user (mx.example.org)`; `None` of what no host said.
pub fn classify_line(line: &str) -> Option<Class> {
    let (words, host) = match line.strip_suffix(')').and_then(|inner| inner.rsplit_once(" (")) {
        Some((words, host)) if !host.is_empty() && !host.contains(' ') => (words, Some(host)),
        Some(_) | None => (line, None),
    };
    let (code, text) = words.split_once(' ')?;
    let code = code.parse::<u16>().ok().filter(|code| (400..600).contains(code))?;
    let enhanced = text.split(' ').next().and_then(|first| {
        let mut parts = first.splitn(3, '.').map(|part| part.parse::<u16>().ok());
        Some(Enhanced(u8::try_from(parts.next()??).ok()?, parts.next()??, parts.next()??))
    });
    Some(classify(Some(code), enhanced, text, host))
}

/// The registry of enhanced codes. What says no more than its class leaves it to the code.
fn by_enhanced(Enhanced(class, subject, detail): Enhanced) -> Option<(Category, &'static str)> {
    let category = match (subject, detail) {
        (1, 1 | 3 | 6) => Category::UnknownUser,
        (1, 2 | 10) => Category::BadDestination,
        (1, 7 | 8) => Category::BadSender,
        (2, 1) => Category::MailboxDisabled,
        (2, 2) => Category::MailboxFull,
        (2, 3) | (3, 4) => Category::Size,
        (2, 4) => Category::UnknownUser,
        (3, 0..=2) if class == 4 => Category::Temporary,
        (3, 5) | (4, 6) => Category::Loop,
        (4, 4) => Category::BadDestination,
        (4, 1 | 2 | 7) => Category::Unreachable,
        (4, 3 | 5) => Category::Temporary,
        (5, 3) => Category::Rate,
        (6, _) => Category::Form,
        (7, 4 | 5 | 10 | 30) => Category::Tls,
        (7, 3 | 7 | 8 | 9 | 11 | 13 | 14) => Category::Relay,
        (7, 15 | 16 | 19) => Category::Policy,
        // RFC 7293: whoever had the address has it no more.
        (7, 17 | 18) => Category::UnknownUser,
        // RFC 7372.
        (7, 20..=24 | 26) => Category::Authentication,
        (7, 25) => Category::ReverseDns,
        // RFC 7505: the sender's domain takes no mail.
        (7, 27) => Category::BadSender,
        (7, 28) => Category::Rate,
        (7, 29) => Category::Authentication,
        // For now and without a reason: hosts say so when they have enough of something.
        (7, 1 | 2) if class == 4 => Category::Temporary,
        (7, 1 | 2) => Category::Policy,
        (_, _) => return None,
    };
    Some((category, "the registry of enhanced status codes (RFC 3463, RFC 5248)"))
}

/// RFC 5321 §4.2.3, and what hosts without enhanced codes mean by it.
fn by_code(code: u16) -> Category {
    match code {
        400..=499 => Category::Temporary,
        530 | 535 | 538 => Category::Relay,
        550 | 551 | 553 | 554 => Category::Policy,
        552 => Category::Size,
        555 => Category::Form,
        _ => Category::Other,
    }
}

/// Octets of a reply that are looked at.
const LOOKED_AT: usize = 2_000;
