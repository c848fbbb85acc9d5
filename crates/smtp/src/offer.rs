//! What a session offers beside what every session does. The world decides it by who is on the other side, with
//! [`crate::Session::set_offer`] in the stages `Connect`, `Helo` and `Claim`; what is not offered is refused like what is
//! not known.

use crate::{MailFrom, RcptTo, Reply, Solicitation, format_date_time};

/// Extensions of a session that depend on who it is for. The default offers none of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// DELIVERBY (RFC 2852), with the least by-time in seconds that can be kept; 0 when there is none.
    pub deliver_by: Option<u32>,
    /// FUTURERELEASE (RFC 4865).
    pub future_release: Option<FutureRelease>,
    /// MT-PRIORITY (RFC 6710).
    pub priority: bool,
    /// RRVS (RFC 7293).
    pub valid_since: bool,
    /// NO-SOLICITING (RFC 3865).
    pub soliciting: Option<Soliciting>,
    /// REQUIRETLS (RFC 8689); listed over TLS only.
    pub requiretls: bool,
    /// ETRN (RFC 1985).
    pub etrn: bool,
    /// BURL (RFC 4468), with this server's own messages; listed after AUTH, to submission only.
    pub burl: bool,
    /// XCLIENT (Postfix): whoever is connected may speak as somebody else.
    pub xclient: bool,
    /// XFORWARD (Postfix): whoever is connected may say for whom, for the story only.
    pub xforward: bool,
}

/// How long a message may be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FutureRelease {
    /// The longest hold in seconds.
    pub longest: u32,
    /// The latest release, in seconds since 1970.
    pub latest: i64,
}

/// What is said of solicitations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Soliciting {
    /// Classes that are refused; `None` lists none.
    pub refused: Option<Solicitation>,
}

impl Offer {
    /// The EHLO lines. `secure`: TLS is on.
    pub(crate) fn lines(&self, secure: bool) -> Vec<String> {
        let mut lines = Vec::new();
        match self.deliver_by {
            None => {}
            Some(0) => lines.push("DELIVERBY".to_owned()),
            Some(least) => lines.push(format!("DELIVERBY {least}")),
        }
        if let Some(FutureRelease { longest, latest }) = self.future_release {
            lines.push(format!("FUTURERELEASE {longest} {}", format_date_time(latest)));
        }
        match &self.soliciting {
            None => {}
            Some(Soliciting { refused: None }) => lines.push("NO-SOLICITING".to_owned()),
            Some(Soliciting { refused: Some(refused) }) => lines.push(format!("NO-SOLICITING {refused}")),
        }
        let plain = [
            (self.priority, "MT-PRIORITY"),
            (self.valid_since, "RRVS"),
            (self.requiretls && secure, "REQUIRETLS"),
            (self.etrn, "ETRN"),
            (self.xclient, "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"),
            (self.xforward, "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"),
        ];
        lines.extend(plain.iter().filter(|(offered, _)| *offered).map(|(_, line)| (*line).to_owned()));
        lines
    }

    /// What MAIL asks for that is not offered.
    pub(crate) fn lacks_for_mail(&self, mail: &MailFrom, secure: bool) -> Option<Reply> {
        let rows = [
            (mail.deliver_by.is_some() && self.deliver_by.is_none(), "BY"),
            (mail.hold.is_some() && self.future_release.is_none(), "HOLDFOR and HOLDUNTIL"),
            (mail.priority.is_some() && !self.priority, "MT-PRIORITY"),
            (mail.solicitation.is_some() && self.soliciting.is_none(), "SOLICIT"),
        ];
        if let Some((_, keyword)) = rows.iter().find(|(lacking, _)| *lacking) {
            return Some(not_offered(keyword, "MAIL"));
        }
        match mail.requiretls {
            // RFC 8689 §2: outside of TLS it is not offered, and who uses it all the same has lost its way.
            true if !(self.requiretls && secure) => {
                Some(Reply::new(530, (5, 7, 0), "REQUIRETLS is for connections with TLS"))
            }
            true | false => None,
        }
    }

    /// What RCPT asks for that is not offered.
    pub(crate) fn lacks_for_rcpt(&self, rcpt: &RcptTo) -> Option<Reply> {
        (rcpt.valid_since.is_some() && !self.valid_since).then(|| not_offered("RRVS", "RCPT"))
    }
}

/// RFC 5321 §4.1.1.11.
fn not_offered(keyword: &str, command: &str) -> Reply {
    Reply::new(555, (5, 5, 4), format!("{command} does not take the parameter {keyword} here"))
}
