//! Every reply that mail's own rules give, in one place (RFC 5321 §4.2.3, RFC 3463).
//!
//! Errors of `mail` and `store` become replies here and nowhere else, exhaustively.

use postroad_mail::{Error, What};
use postroad_mailauth::{dmarc, spf};
use postroad_queue::suppression::{Entry, Reason};
use postroad_smtp::Reply;
use postroad_store::{Code, Receipt, TraceId};
use postroad_trust::policy::Key;

use crate::FullMailbox;
use crate::checks::Findings;

/// DMARC, SPF or DKIM fails, and every recipient wants such mail refused (RFC 7372 §3).
pub(crate) fn unverified(findings: &Findings, key: Option<Key>) -> Reply {
    let spf = &findings.mail_from;
    let signed = if findings.dkim.is_empty() { "it is not signed" } else { "none of its signatures holds" };
    let author = &findings.dmarc.domain;
    let wish = match findings.dmarc.policy {
        dmarc::Policy::Reject => "That domain asks for such mail to be refused",
        dmarc::Policy::Quarantine | dmarc::Policy::None => "Such mail is not taken here",
    };
    match key {
        Some(Key::SpfFail) => Reply::new(
            550,
            (5, 7, 23),
            format!("This host may not send mail for {}: its SPF record says so. {}", spf.domain, ask(&spf.domain)),
        ),
        Some(Key::DkimFail) => Reply::new(
            550,
            (5, 7, 20),
            "None of the DKIM signatures of this message holds. It was changed on its way, or is not from whom it says.",
        ),
        Some(Key::DmarcReject | Key::DmarcQuarantine | Key::DmarcNone) => Reply::new(
            550,
            (5, 7, 26),
            format!(
                "This message says that it is from {author}, which cannot be verified: SPF is {} for {}, and {signed} \
                 for {author}. {wish} (DMARC p={}). {}",
                spf.result,
                if spf.domain.is_empty() { "no domain" } else { &spf.domain },
                findings.dmarc.published,
                ask(author),
            ),
        ),
        Some(Key::FromInvalid) => Reply::new(
            550,
            (5, 6, 0),
            format!(
                "This message {}. Mail has exactly one From field with the address of its author (RFC 5322).",
                match findings.authors.fields {
                    0 => "has no From field",
                    1 => "has no address in its From field",
                    _ => "has more than one From field",
                }
            ),
        ),
        Some(Key::Unsure) | None => Reply::new(
            550,
            (5, 7, 26),
            "This message has more authors than can be verified, or names them so that readers may take them for others. \
             Write it with one of them.",
        ),
    }
}

fn ask(domain: &str) -> String {
    format!("If you may write for {domain}, ask its administrator by which servers.")
}

/// What would decide about the message is not known, since the DNS does not answer.
pub(crate) fn cannot_verify(findings: &Findings) -> Reply {
    let (code, what) = match (findings.dmarc.record.is_some(), findings.mail_from.result) {
        // RFC 7372 §3.2.
        (true, spf::Result::TempError) => ((4, 7, 24), "the SPF record"),
        (true, _) => ((4, 7, 0), "the key of a signature"),
        (false, _) => ((4, 7, 0), "the DMARC policy"),
    };
    let domain = &findings.dmarc.domain;
    Reply::new(
        451,
        code,
        format!(
            "It cannot be verified now whether this is from {domain}: the DNS gives no answer about {what}. Please try again later."
        ),
    )
}

/// To who writes as somebody of a domain near their own, while nobody knows whether it is too near.
pub(crate) fn unknown_organization(author: &str) -> Reply {
    Reply::new(
        451,
        (4, 7, 0),
        format!("It cannot be found out now whether {author} has to do with your own domain. Please try again later."),
    )
}

/// To who writes where nobody reads but the server.
pub(crate) fn only_reports() -> Reply {
    Reply::new(550, (5, 1, 1), "There is no mailbox here: this address takes reports about mail (DMARC, TLS) only.")
}

/// The message was here before, under the same name.
pub(crate) fn in_circles() -> Reply {
    let text = "This message was here before and was sent on to where it came back from; it goes in circles.";
    Reply::new(554, (5, 4, 6), text)
}

/// The promise: only a COMMIT makes the receipt.
pub(crate) fn accepted(_stored: &Receipt, id: TraceId) -> Reply {
    Reply::new(250, (2, 0, 0), format!("{id} is safely stored"))
}

/// What became of one LMTP recipient that was delivered.
pub(crate) fn delivered_to(_stored: &Receipt, id: TraceId, recipient: &str) -> Reply {
    Reply::new(250, (2, 1, 5), format!("{id} is stored for {recipient}"))
}

/// A failed look or transaction. The log says more ([`log`]).
pub(crate) fn store_failed(error: &postroad_store::Error) -> Reply {
    match error.code() {
        Code::Full => Reply::new(
            452,
            (4, 3, 1),
            "This server has no room left; its administrator has to make some. Please try again later.",
        ),
        Code::Unavailable => {
            Reply::new(451, (4, 3, 0), "The mail storage cannot be used right now. Please try again later.")
        }
        Code::Busy => Reply::new(451, (4, 3, 2), "The mail storage is busy. Please try again soon."),
        Code::Conflict | Code::Missing | Code::Corrupt | Code::Bug => Reply::new(
            451,
            (4, 3, 0),
            "Something is wrong with this server; its administrator finds the details in its log. Please try again later.",
        ),
    }
}

/// Why a recipient, or all of the message, was not taken.
pub(crate) fn mail_failed(error: &Error, full: FullMailbox) -> Reply {
    match error {
        Error::OverQuota => over_quota(full),
        Error::Suspended => suspended(),
        // The account or its mailbox went between RCPT and the end of data.
        Error::NotFound(What::Mailbox | What::Message) => {
            Reply::new(451, (4, 2, 0), "The mailbox cannot be used right now. Please try again later.")
        }
        Error::NotFound(What::Account | What::Address | What::Domain | What::Credential) => {
            Reply::new(550, (5, 1, 1), "The mailbox does not exist any more.")
        }
        Error::Message(why) => Reply::new(554, (5, 6, 0), format!("This message cannot be taken: {why}.")),
        Error::Store(error) => store_failed(error),
        Error::Limit(bound) => {
            Reply::new(452, (4, 2, 0), format!("The mailbox has reached a limit: {bound}. Its owner has to act."))
        }
        Error::Exists(_) | Error::NameInvalid(_) | Error::AddressInvalid(_) | Error::Refused(_) | Error::Corrupt(_) => {
            Reply::new(
                451,
                (4, 3, 0),
                "Something is wrong with this server; its administrator finds the details in its log. Please try again later.",
            )
        }
    }
}

/// Writes what the administrator must know into the log, once, here.
pub(crate) fn log(error: &Error, doing: &str) {
    match error {
        Error::Store(error) => {
            tracing::error!(%error, next_step = error.next_step(), "{doing} failed; the client was told to try again");
        }
        Error::Corrupt(_) => tracing::error!(%error, "{doing} failed; the client was told to try again"),
        Error::Exists(_) | Error::NameInvalid(_) | Error::AddressInvalid(_) | Error::Refused(_) => {
            tracing::error!(%error, "{doing} failed unexpectedly; please report this");
        }
        Error::NotFound(_) | Error::OverQuota | Error::Suspended | Error::Limit(_) | Error::Message(_) => {
            tracing::info!(%error, "{doing} was refused");
        }
    }
}

pub(crate) fn over_quota(full: FullMailbox) -> Reply {
    match full {
        FullMailbox::TryLater => Reply::new(452, (4, 2, 2), "The mailbox is full. Please try again later."),
        FullMailbox::Refuse => Reply::new(552, (5, 2, 2), "The mailbox is full."),
    }
}

pub(crate) fn suspended() -> Reply {
    Reply::new(550, (5, 2, 1), "The mailbox is suspended and takes no mail.")
}

/// To who logged in while the account still worked. RFC 5248's registry: X.7.13.
pub(crate) fn sender_suspended() -> Reply {
    Reply::new(550, (5, 7, 13), "Your account is suspended and sends no mail. Its administrator knows why.")
}

/// To who writes to somebody whom nothing is sent to any more. RFC 5321 §3.3: said at RCPT TO, it reaches whoever writes the
/// mail while they write it.
pub(crate) fn suppressed(entry: &Entry) -> Reply {
    let address = &entry.address;
    let why = match entry.reason {
        Reason::UnknownUser => format!("{address} does not exist, its server has said {} times", entry.failures),
        Reason::Complaint => format!("{address} reported mail from here as unwanted"),
        Reason::Manual | Reason::Imported => format!("Mail to {address} is not sent any more"),
    };
    let said = if entry.said.is_empty() { String::new() } else { format!(": {}", entry.said) };
    let said: String = said.chars().filter(|sign| !sign.is_control()).take(SAID_MAX).collect();
    let text = format!(
        "{why}{said}. If the address is right after all, ask the administrator of this server to write there again: \
         postroad suppression remove {address}"
    );
    Reply::new(550, (5, 1, 1), text)
}

/// Signs of others' words in a reply of ours.
const SAID_MAX: usize = 200;

pub(crate) fn too_many_bodies() -> Reply {
    Reply::new(452, (4, 3, 1), "Too many messages are arriving at this moment. Please try again soon.")
}
