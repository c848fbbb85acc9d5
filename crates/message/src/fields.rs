//! The raw header fields that clients ask for when they list a mailbox, kept with the summary.
//!
//! Of all other fields a hash of the name is kept, so that "there is no such field" can be said without the message too.

use crate::header::{end_selection, field, fields};

/// The names kept, chosen from what Thunderbird, Outlook, Apple Mail, K-9, mutt, mbsync and Roundcube fetch to list a mailbox.
///
/// On-disk format: a name's place in this list is its number. Append only.
pub(crate) const NAMES: &[&str] = &[
    "From",
    "To",
    "Cc",
    "Bcc",
    "Reply-To",
    "Sender",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Content-Type",
    "Content-Transfer-Encoding",
    "MIME-Version",
    "List-Id",
    "List-Post",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Help",
    "List-Archive",
    "List-Owner",
    "X-Priority",
    "Priority",
    "Importance",
    "X-MSMail-Priority",
    "Disposition-Notification-To",
    "Return-Receipt-To",
    "Return-Path",
    "Delivered-To",
    "X-Original-To",
    "Newsgroups",
    "Followup-To",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "Precedence",
    "X-Spam-Flag",
    "X-Spam-Status",
    "X-Spam-Level",
    "X-Spam-Score",
    "Received-SPF",
    "Authentication-Results",
    "DKIM-Signature",
    "Content-Disposition",
    "Content-Description",
    "Content-Language",
    "Content-Class",
    "Mail-Followup-To",
    "Mail-Reply-To",
    "Thread-Topic",
    "Thread-Index",
    "X-Mailer",
    "User-Agent",
    "X-Label",
    "X-Keywords",
    "Keywords",
    "Comments",
    "Organization",
    "Lines",
    "X-TUID",
    "X-Uniform-Type-Identifier",
    "X-Universally-Unique-Identifier",
    "X-Draft-Info",
    "X-Mozilla-Draft-Info",
    "X-Identity-Key",
    "X-MS-Has-Attach",
    "Sensitivity",
    "Resent-From",
    "Resent-To",
    "Resent-Date",
    "Resent-Message-ID",
    "Feedback-ID",
    "Archived-At",
    "Autocrypt",
    "BIMI-Indicator",
    "BIMI-Location",
];

/// Fields that are long and seldom asked for: they share [`BULKY_BYTES`], so that they cannot push out the others.
const BULKY: &[&str] = &[
    "Authentication-Results",
    "DKIM-Signature",
    "Received-SPF",
    "X-Spam-Status",
    "Autocrypt",
    "BIMI-Indicator",
    "Comments",
    "Feedback-ID",
];
const BULKY_BYTES: usize = 6 << 10;
/// Octets of one kept field.
const FIELD_BYTES: usize = 16 << 10;
/// Octets of kept fields, unless the parser's limits say otherwise.
pub(crate) const KEPT_BYTES: usize = 32 << 10;
/// Fields kept.
const KEPT_MAX: usize = 256;
/// Names of other fields that are remembered by hash.
const OTHERS_MAX: usize = 256;

/// The raw fields of the top header block that clients ask for, in the order of the message, as far as they fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// Number of the name, and the whole field.
    pub(crate) kept: Vec<(u8, Vec<u8>)>,
    /// How many of [`NAMES`] there were when this was written.
    pub(crate) known: u8,
    /// A bit for each name of which some field was not kept.
    pub(crate) incomplete: u128,
    /// [`name_hash`] of all other fields, sorted, without duplicates.
    pub(crate) others: Vec<u16>,
    /// Some other field is missing in `others`.
    pub(crate) others_cut: bool,
}

impl Default for Fields {
    fn default() -> Fields {
        Fields { kept: Vec::new(), known: NAMES.len() as u8, incomplete: 0, others: Vec::new(), others_cut: false }
    }
}

/// How long each name is: few names have one length.
const LENGTHS: [u8; NAMES.len()] = {
    let mut lengths = [0; NAMES.len()];
    let mut at = 0;
    while at < NAMES.len() {
        lengths[at] = NAMES[at].len() as u8;
        at += 1;
    }
    lengths
};

fn number(name: &[u8]) -> Option<u8> {
    let length = u8::try_from(name.len()).ok()?;
    memchr::memchr_iter(length, &LENGTHS).find(|at| NAMES[*at].as_bytes().eq_ignore_ascii_case(name)).map(|at| at as u8)
}

fn is_bulky(number: u8) -> bool {
    NAMES.get(usize::from(number)).is_some_and(|name| BULKY.contains(name))
}

/// On-disk format: the low 16 bits of [`crate::thread::hash`] of the name in lower case.
fn name_hash(name: &[u8]) -> u16 {
    crate::thread::hash(&name.to_ascii_lowercase()) as u16
}

impl Fields {
    /// Whether [`Fields::select`] can answer for this field name (present or known to be absent) without the message.
    pub fn covers(&self, name: &str) -> bool {
        match number(name.as_bytes()).filter(|&n| n < self.known) {
            Some(number) => self.incomplete & (1 << number) == 0,
            None => !self.others_cut && self.others.binary_search(&name_hash(name.as_bytes())).is_err(),
        }
    }

    /// The answer to `BODY[HEADER.FIELDS (names)]`: the fields in the order of the message, raw, and the blank line. `None` if
    /// the message itself must be read because some name is not covered.
    pub fn select(&self, names: &[&str]) -> Option<Vec<u8>> {
        if !names.iter().all(|name| self.covers(name)) {
            return None;
        }
        let numbers: Vec<u8> = names.iter().filter_map(|name| number(name.as_bytes())).collect();
        let mut out = Vec::new();
        for (_, raw) in self.kept.iter().filter(|(n, _)| numbers.contains(n)) {
            out.extend_from_slice(raw);
        }
        end_selection(&mut out);
        Some(out)
    }

    /// The raw value (after the colon, still folded) of the first field with this name. `None` also if it was not kept.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let number = number(name.as_bytes())?;
        let (_, raw) = self.kept.iter().find(|(n, _)| *n == number)?;
        Some(field(raw, 0).value)
    }

    /// The raw values of all kept fields with this name, in the order of the message.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let number = number(name.as_bytes());
        self.kept.iter().filter(|(n, _)| Some(*n) == number).map(|(_, raw)| field(raw, 0).value).collect()
    }

    /// Takes the next field of the message. `cut`: its end is missing.
    pub(crate) fn push(&mut self, name: &[u8], raw: &[u8], cut: bool, limit: usize) {
        self.insert(self.kept.len(), name, raw, cut, limit);
    }

    /// Some fields were not looked at, so nothing is known to be absent.
    pub(crate) fn cut_short(&mut self) {
        self.incomplete = u128::MAX;
        self.others_cut = true;
    }

    /// Fields of a block that was put in front of the message.
    pub(crate) fn prepend(&mut self, head: &[u8]) {
        let mut at = 0;
        for field in fields(head).filter(|f| !f.name.is_empty()) {
            let before = self.kept.len();
            self.insert(at, field.name, field.raw, false, KEPT_BYTES);
            at += self.kept.len() - before;
        }
    }

    fn insert(&mut self, at: usize, name: &[u8], raw: &[u8], cut: bool, limit: usize) {
        let Some(number) = number(name) else {
            return self.remember(name);
        };
        if cut || raw.len() > FIELD_BYTES || !self.has_room(number, raw.len(), limit) {
            self.incomplete |= 1 << number;
        } else {
            self.kept.insert(at, (number, raw.to_vec()));
        }
    }

    fn has_room(&self, number: u8, more: usize, limit: usize) -> bool {
        if self.kept.len() >= KEPT_MAX {
            return false;
        }
        let used: usize = self.kept.iter().map(|(_, raw)| raw.len()).sum();
        if used + more > limit || !is_bulky(number) {
            return used + more <= limit;
        }
        let used: usize = self.kept.iter().filter(|(n, _)| is_bulky(*n)).map(|(_, raw)| raw.len()).sum();
        used + more <= BULKY_BYTES
    }

    fn remember(&mut self, name: &[u8]) {
        let hash = name_hash(name);
        if let Err(at) = self.others.binary_search(&hash) {
            if self.others.len() < OTHERS_MAX {
                self.others.insert(at, hash);
            } else {
                self.others_cut = true;
            }
        }
    }
}
