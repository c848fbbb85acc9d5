//! Threading: base subjects (RFC 5256 §2.1), message-id lists, stable keys.

use crate::Summary;

/// A base subject and whether something was stripped that marks a reply or forward.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BaseSubject {
    /// The base subject, in lower case.
    pub text: String,
    /// RFC 5256 §2.1: the subject marked a reply or a forward.
    pub is_reply: bool,
}

/// RFC 5256 §2.1, of a decoded subject.
pub fn base_subject(subject: &str) -> BaseSubject {
    let _ = subject;
    unimplemented!()
}

/// The message ids in a Message-ID, In-Reply-To or References value, without angle brackets, in order; at most the last
/// `limit`.
pub fn message_ids(value: &[u8], limit: usize) -> Vec<String> {
    let _ = (value, limit);
    unimplemented!()
}

/// The threading keys of a message: first its own (if it has a Message-ID), then those of In-Reply-To and of the last
/// References, without duplicates. Two messages that share a key belong to one thread. Stable: an on-disk format.
pub fn thread_keys(summary: &Summary) -> Vec<u64> {
    let _ = summary;
    unimplemented!()
}

/// A stable 64-bit hash of octets: FNV-1a with a final mix. An on-disk format.
pub fn hash(bytes: &[u8]) -> u64 {
    let _ = bytes;
    unimplemented!()
}

impl Summary {
    /// [`thread_keys`].
    pub fn thread_keys(&self) -> Vec<u64> {
        thread_keys(self)
    }

    /// The message's own id without angle brackets, if it has one.
    pub fn message_id(&self) -> Option<String> {
        message_ids(self.envelope.message_id.as_deref()?.as_bytes(), 1).pop()
    }

    /// The ids in References, oldest first (bounded).
    pub fn references(&self) -> Vec<String> {
        self.fields.value("References").map(|v| message_ids(v, 50)).unwrap_or_default()
    }

    /// The base subject (RFC 5256 §2.1).
    pub fn subject_base(&self) -> String {
        base_subject(&self.envelope.subject_text()).text
    }
}
