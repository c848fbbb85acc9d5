//! Threading: base subjects (RFC 5256 §2.1), message-id lists, stable keys. What a thread is, is decided by whoever keeps them.

use crate::Summary;
use crate::header::{decode, unfold};
use std::borrow::Cow;

/// Octets of a subject that are looked at.
const SUBJECT_MAX: usize = 1024;
/// References that count: the last ones, which are the nearest.
pub const REFERENCES_MAX: usize = 50;
/// Octets of one message id that count.
const ID_MAX: usize = 998;

/// A base subject and whether something was stripped that marks a reply or forward.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BaseSubject {
    /// The base subject, in lower case.
    pub text: String,
    /// RFC 5256 §2.1: the subject marked a reply or a forward.
    pub is_reply: bool,
}

/// RFC 5256 §2.1: `"fwd"`, `"fw"`, `"re"`.
const RFC_MARKS: &[&str] = &["re", "fwd", "fw"];

/// What clients in other languages write instead; for thread keys only, because SORT and THREAD follow the RFC.
const WIDE_MARKS: &[&str] = &[
    "re", "fwd", "fw", "aw", "wg", "antw", "sv", "vs", "vb", "rv", "rif", "tr", "res", "enc", "odp", "pd", "ynt",
    "ilt", "doorst", "回复", "答复", "转发", "回覆", "轉寄", "回信",
];

/// RFC 5256 §2.1, of a decoded subject.
pub fn base_subject(subject: &str) -> BaseSubject {
    base_subject_with(subject, RFC_MARKS)
}

fn base_subject_with(subject: &str, marks: &[&str]) -> BaseSubject {
    // (1) White space becomes one space each.
    let end = floor_boundary(subject, SUBJECT_MAX);
    let text = subject[..end].split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let mut is_reply = false;
    let mut rest = text.as_str();
    loop {
        // (2) Trailing "(fwd)" and white space.
        rest = rest.trim();
        while let Some(shorter) = rest.strip_suffix("(fwd)") {
            rest = shorter.trim_end();
            is_reply = true;
        }
        // (3) to (5) Leading marks, and blobs as long as something is left.
        loop {
            if let Some(shorter) = strip_leader(rest, marks) {
                rest = shorter;
                is_reply = true;
            } else if let Some(shorter) = strip_blob(rest).filter(|s| !s.is_empty()) {
                rest = shorter;
            } else {
                break;
            }
        }
        // (6) "[fwd:" and "]" around all.
        match rest.strip_prefix("[fwd:").and_then(|r| r.strip_suffix(']')) {
            Some(shorter) => {
                rest = shorter;
                is_reply = true;
            }
            None => return BaseSubject { text: rest.to_owned(), is_reply },
        }
    }
}

/// `subj-leader = (*subj-blob subj-refwd) / WSP`
fn strip_leader<'a>(text: &'a str, marks: &[&str]) -> Option<&'a str> {
    let mut rest = text.trim_start();
    while let Some(shorter) = strip_blob(rest) {
        rest = shorter;
    }
    // subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
    marks.iter().find_map(|mark| {
        let rest = rest.strip_prefix(mark)?.trim_start();
        let rest = strip_blob(rest).unwrap_or(rest).trim_start();
        rest.strip_prefix(':').or_else(|| rest.strip_prefix('：')).map(str::trim_start)
    })
}

/// `subj-blob = "[" *BLOBCHAR "]" *WSP`
fn strip_blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    inner[end..].strip_prefix(']').map(str::trim_start)
}

fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

/// The message ids in a Message-ID, In-Reply-To or References value, without angle brackets, in order; at most the last
/// `limit`. Without any brackets, words with an at sign count.
pub fn message_ids(value: &[u8], limit: usize) -> Vec<String> {
    let value = unfold(value);
    let mut ids: Vec<&[u8]> = Vec::new();
    let mut rest: &[u8] = &value;
    while let Some(start) = memchr::memchr(b'<', rest) {
        rest = &rest[start + 1..];
        let Some(end) = memchr::memchr2(b'<', b'>', rest) else { break };
        if rest[end] == b'>' {
            ids.push(&rest[..end]);
        }
        rest = &rest[end..];
    }
    if ids.is_empty() {
        ids = value.split(u8::is_ascii_whitespace).filter(|w| w.contains(&b'@')).collect();
    }
    let from = ids.len().saturating_sub(limit);
    ids[from..].iter().map(|id| clean_id(id)).filter(|id| !id.is_empty()).collect()
}

/// White space inside comes from folding by senders that should not.
fn clean_id(id: &[u8]) -> String {
    if id.len() <= ID_MAX && id.iter().all(u8::is_ascii_graphic) {
        return String::from_utf8_lossy(id).trim_matches(['<', '>']).to_owned();
    }
    let id: Vec<u8> = id.iter().copied().filter(|b| !b.is_ascii_whitespace() && *b != 0).take(ID_MAX).collect();
    match String::from_utf8_lossy(&id) {
        Cow::Borrowed(text) => text.trim_matches(['<', '>']).to_owned(),
        Cow::Owned(text) => text,
    }
}

/// The threading keys of a message: first its own (if it has a Message-ID), then those of In-Reply-To and of the last
/// References, without duplicates. Two messages that share a key belong to one thread.
///
/// On-disk format: the key of an id is [`hash`] of the id without angle brackets, an octet 0, and the base subject of the
/// message that names it (marks of other languages removed too). The subject is in it so that a reply to an old message under
/// a new subject begins a new thread, as people mean it.
pub fn thread_keys(summary: &Summary) -> Vec<u64> {
    let subject = base_subject_with(&summary.envelope.subject_text(), WIDE_MARKS).text;
    let mut ids: Vec<String> = summary.message_id().into_iter().collect();
    if let Some(value) = &summary.envelope.in_reply_to {
        ids.extend(message_ids(value.as_bytes(), REFERENCES_MAX));
    }
    ids.extend(summary.references());
    let mut keys = Vec::with_capacity(ids.len());
    for id in ids {
        let key = hash(&[id.as_bytes(), b"\0", subject.as_bytes()].concat());
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// A stable 64-bit hash of octets: FNV-1a, then the finalizer of a 64-bit mixer, so that all bits depend on all octets. It
/// resists accidents, not attackers. An on-disk format.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for &byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

impl Summary {
    /// [`thread_keys`].
    pub fn thread_keys(&self) -> Vec<u64> {
        thread_keys(self)
    }

    /// The message's own id without angle brackets, if it has one.
    pub fn message_id(&self) -> Option<String> {
        let value = self.envelope.message_id.as_deref()?;
        message_ids(value.as_bytes(), usize::MAX).into_iter().next()
    }

    /// The last ids in References, oldest first, at most [`REFERENCES_MAX`].
    pub fn references(&self) -> Vec<String> {
        self.fields.value("References").map(|value| message_ids(value, REFERENCES_MAX)).unwrap_or_default()
    }

    /// The base subject (RFC 5256 §2.1).
    pub fn subject_base(&self) -> String {
        base_subject(&self.envelope.subject_text()).text
    }

    /// The subject with its encoded words decoded.
    pub fn subject(&self) -> String {
        decode(self.envelope.subject.as_deref().unwrap_or_default().as_bytes())
    }
}
