//! Flags and keywords of an entry.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::BitOr;

/// Most different keywords that a mailbox knows; beyond, new ones are refused (IMAP `NO [LIMIT]`).
pub const MAX_KEYWORDS: usize = 5_000;

/// System flags as bits (RFC 9051 §2.3.2). `\Recent` is no flag of an entry: see
/// [`crate::Mailbox::first_recent`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flags(u8);

impl Flags {
    /// None.
    pub const NONE: Flags = Flags(0);
    /// `\Seen`.
    pub const SEEN: Flags = Flags(1);
    /// `\Answered`.
    pub const ANSWERED: Flags = Flags(2);
    /// `\Flagged`.
    pub const FLAGGED: Flags = Flags(4);
    /// `\Deleted`.
    pub const DELETED: Flags = Flags(8);
    /// `\Draft`.
    pub const DRAFT: Flags = Flags(16);

    /// All of them.
    pub const ALL: Flags = Flags(31);

    /// Each flag with its name, in the order in which they are written.
    pub const NAMES: [(Flags, &'static str); 5] = [
        (Flags::ANSWERED, "\\Answered"),
        (Flags::FLAGGED, "\\Flagged"),
        (Flags::DELETED, "\\Deleted"),
        (Flags::SEEN, "\\Seen"),
        (Flags::DRAFT, "\\Draft"),
    ];

    /// A flag by its name, `\Seen`, in any case.
    pub fn from_name(name: &str) -> Option<Flags> {
        Flags::NAMES.into_iter().find(|(_, own)| own.eq_ignore_ascii_case(name)).map(|(flag, _)| flag)
    }

    /// The names of the flags set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Flags::NAMES.into_iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| name)
    }

    /// Whether all of `other` are set.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is set.
    pub fn intersects(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// Without `other`.
    pub fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// Whether none is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The bits, as the database has them.
    pub fn bits(self) -> i64 {
        i64::from(self.0)
    }

    /// From the database; unknown bits are dropped.
    pub fn from_bits(bits: i64) -> Flags {
        Flags((bits & 31) as u8)
    }
}

impl BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// A keyword that can be: an IMAP atom (RFC 9051 §9, `flag-keyword`), compared without regard to
/// ASCII case, spelled as it was first met in the account.
#[derive(Debug, Clone, Eq)]
pub struct Keyword(String);

impl Keyword {
    /// Longest keyword in bytes (RFC 8621 §4.1.1).
    pub const MAX_BYTES: usize = 255;

    /// A keyword from its text; `None` when it is no atom, too long, or begins with `\`.
    /// The registered ones (`$Forwarded`, `$Junk`, …) get their registered spelling.
    pub fn parse(text: &str) -> Option<Keyword> {
        let atom = !text.is_empty()
            && text.len() <= Keyword::MAX_BYTES
            && text.bytes().all(|b| b.is_ascii_graphic() && !br#"(){%*"\]"#.contains(&b));
        if !atom {
            return None;
        }
        let registered = REGISTERED.iter().find(|own| own.eq_ignore_ascii_case(text));
        Some(Keyword(registered.map_or_else(|| text.to_owned(), |own| (*own).to_owned())))
    }

    /// Its spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is compared by.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// From the database.
    pub(crate) fn stored(text: String) -> Keyword {
        Keyword(text)
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Keyword) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The keywords of an entry, in the form the database has: `" a b "`, or nothing.
#[derive(Debug, Clone, Default)]
pub struct Keywords(String);

/// Most entries have none, and there are many of them: an empty `String` points nowhere, and what compares memory pays
/// dearly for looking there, even at no octet of it.
impl PartialEq for Keywords {
    fn eq(&self, other: &Keywords) -> bool {
        alike(&self.0, &other.0)
    }
}

impl Eq for Keywords {}

impl PartialOrd for Keywords {
    fn partial_cmp(&self, other: &Keywords) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Keywords {
    fn cmp(&self, other: &Keywords) -> Ordering {
        match (self.0.is_empty(), other.0.is_empty()) {
            (false, false) => self.0.cmp(&other.0),
            (mine, theirs) => theirs.cmp(&mine),
        }
    }
}

impl Hash for Keywords {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// Whether two lists of keywords as they are stored are the same.
pub(crate) fn alike(a: &str, b: &str) -> bool {
    a.len() == b.len() && (a.is_empty() || a == b)
}

impl Keywords {
    /// None.
    pub fn none() -> Keywords {
        Keywords::default()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their spellings.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split_ascii_whitespace()
    }

    /// Whether `keyword` is among them, in any case.
    pub fn contains(&self, keyword: &str) -> bool {
        self.iter().any(|own| own.eq_ignore_ascii_case(keyword))
    }

    /// From the database.
    pub(crate) fn stored(text: String) -> Keywords {
        Keywords(text)
    }

    /// As the database has them, with a space around each.
    pub fn as_stored(&self) -> &str {
        &self.0
    }
}

impl FromIterator<Keyword> for Keywords {
    fn from_iter<I: IntoIterator<Item = Keyword>>(keywords: I) -> Keywords {
        let mut all = Keywords::none();
        for keyword in keywords {
            if !all.contains(keyword.as_str()) {
                if all.0.is_empty() {
                    all.0.push(' ');
                }
                all.0.push_str(keyword.as_str());
                all.0.push(' ');
            }
        }
        all
    }
}

/// Registered keywords (IANA "IMAP and JMAP Keywords") in their registered spelling.
const REGISTERED: [&str; 12] = [
    "$Forwarded",
    "$MDNSent",
    "$Junk",
    "$NotJunk",
    "$Phishing",
    "$Important",
    "$SubmitPending",
    "$Submitted",
    "$HasAttachment",
    "$HasNoAttachment",
    "$Muted",
    "$Followed",
];
