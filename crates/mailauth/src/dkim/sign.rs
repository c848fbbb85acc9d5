//! Signing.
//!
//! Standards: RFC 6376 §3.5, §5; RFC 8301; RFC 8463; RFC 8058 §4 (List-Unsubscribe and List-Unsubscribe-Post are signed).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postroad_message::header::{self, Field};

use super::block::digest_fields;
use super::fold::{BASE64_WIDTH, Folded};
use crate::body::{Canonicalization, Digest};
use crate::key::{Error, SigningKey};

/// What a signature of ours says.
#[derive(Debug, Clone)]
pub struct Signing<'a> {
    /// `d=`, in A-labels.
    pub domain: &'a str,
    /// `s=`
    pub selector: &'a str,
    /// `t=`, seconds since 1970.
    pub now: i64,
    /// `x=`: seconds that it is valid.
    pub valid_for: Option<i64>,
}

/// Signed, and once more than they are there: nobody can add a second one, or a first where there is none.
pub const OVERSIGNED: &[&str] =
    &["From", "To", "Cc", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"];

/// Signed where they are there, and then once more than that. Where they are not, those who send the message on may add them: lists
/// do.
pub const COVERED: &[&str] = &[
    "Reply-To",
    "Sender",
    "In-Reply-To",
    "References",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Id",
    "List-Help",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Feedback-ID",
    "Auto-Submitted",
    "Content-Disposition",
    "Content-Description",
    "Content-Language",
    "Content-ID",
    "Disposition-Notification-To",
    "Resent-From",
    "Resent-To",
    "Resent-Cc",
    "Resent-Date",
    "Resent-Sender",
    "Resent-Message-ID",
    "Autocrypt",
    "TLS-Required",
];

/// Fields that are signed of one name; of a message that has more the last ones.
const REPEATED: usize = 20;

/// The whole `DKIM-Signature:` field, folded, ended by CRLF, to be put before the header. relaxed/relaxed; covers every field of
/// [`COVERED`] that is there, and those of [`OVERSIGNED`] in any case. `body` is [`Canonicalization::Relaxed`], without length.
///
/// `header` must be as it will be sent, line ends included; the header may end with its blank line or not. Errors: [`Error::Signing`].
pub fn sign(key: &SigningKey, signing: &Signing<'_>, header: &[u8], body: &Digest) -> Result<String, Error> {
    let (names, fields) = covered(header, &[]);
    let mut folded = Folded::new("DKIM-Signature");
    folded.tag("v", "1");
    folded.tag("a", key.algorithm().name());
    folded.tag("c", "relaxed/relaxed");
    folded.tag("d", signing.domain);
    folded.tag("s", signing.selector);
    folded.tag("t", &signing.now.to_string());
    if let Some(seconds) = signing.valid_for {
        folded.tag("x", &signing.now.saturating_add(seconds).to_string());
    }
    folded.names("h", &names);
    folded.tag("bh", &STANDARD.encode(body.sha256));
    let at = folded.signature("b");
    let raw = fields.iter().map(|field| field.raw);
    let digest = digest_fields(raw, folded.as_bytes(), Canonicalization::Relaxed);
    Ok(folded.finish(at, &STANDARD.encode(key.sign(&digest)?), BASE64_WIDTH))
}

/// The names for `h=` and the fields that they mean, in that order. `also`: further names, signed as often as they are there.
pub(crate) fn covered<'a>(header: &'a [u8], also: &[&'static str]) -> (Vec<&'static str>, Vec<Field<'a>>) {
    let all: Vec<Field<'a>> = header::fields(header).filter(|field| !field.name.is_empty()).collect();
    let mut names = Vec::new();
    let mut fields = Vec::new();
    for (list, once_more, if_absent) in [(OVERSIGNED, true, true), (COVERED, true, false), (also, false, false)] {
        for &name in list {
            // RFC 6376 §5.4.2: from the bottom.
            let before = fields.len();
            let present = all.iter().filter(|field| field.is(name)).count();
            fields.extend(all.iter().rev().filter(|field| field.is(name)).take(REPEATED));
            let more = usize::from(once_more && present <= REPEATED && (present > 0 || if_absent));
            let present = fields.len() - before;
            names.extend(std::iter::repeat_n(name, present + more));
        }
    }
    (names, fields)
}
