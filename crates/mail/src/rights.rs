//! Rights to a mailbox (RFC 4314 §2.1): what of it one may do.

use std::fmt;
use std::ops::BitOr;

/// A set of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Rights(u16);

impl Rights {
    /// None.
    pub const NONE: Rights = Rights(0);
    /// `l`: the mailbox is visible to LIST, LSUB and SUBSCRIBE.
    pub const LOOKUP: Rights = Rights(1);
    /// `r`: SELECT, STATUS, FETCH, SEARCH, COPY from it.
    pub const READ: Rights = Rights(1 << 1);
    /// `s`: keeps and sets `\Seen`.
    pub const SEEN: Rights = Rights(1 << 2);
    /// `w`: sets flags other than `\Seen` and `\Deleted`.
    pub const WRITE: Rights = Rights(1 << 3);
    /// `i`: APPEND, COPY and MOVE into it.
    pub const INSERT: Rights = Rights(1 << 4);
    /// `p`: mail to the mailbox's own address; the server does nothing by it.
    pub const POST: Rights = Rights(1 << 5);
    /// `k`: mailboxes are made below it, or renamed to there.
    pub const CREATE: Rights = Rights(1 << 6);
    /// `x`: the mailbox is deleted or renamed.
    pub const DELETE_MAILBOX: Rights = Rights(1 << 7);
    /// `t`: sets `\Deleted`.
    pub const DELETE_MESSAGES: Rights = Rights(1 << 8);
    /// `e`: EXPUNGE, and the expunging part of CLOSE and MOVE.
    pub const EXPUNGE: Rights = Rights(1 << 9);
    /// `a`: SETACL, DELETEACL, GETACL, LISTRIGHTS.
    pub const ADMINISTER: Rights = Rights(1 << 10);

    /// All of them: what the owner has.
    pub const ALL: Rights = Rights((1 << 11) - 1);

    /// `k` and `x`: what the obsolete `c` means (§2.1.1).
    pub const CREATE_OR_DELETE_MAILBOX: Rights = Rights(Rights::CREATE.0 | Rights::DELETE_MAILBOX.0);
    /// `t` and `e`: what the obsolete `d` means (§2.1.1).
    pub const DELETE_OR_EXPUNGE_MESSAGES: Rights = Rights(Rights::DELETE_MESSAGES.0 | Rights::EXPUNGE.0);
    /// `s`, `w` and `t`: each lets some flags be changed.
    pub const FLAGS: Rights = Rights(Rights::SEEN.0 | Rights::WRITE.0 | Rights::DELETE_MESSAGES.0);
    /// Any of these lets a mailbox be opened for more than reading (§5.2).
    pub const CHANGING: Rights = Rights(Rights::FLAGS.0 | Rights::INSERT.0 | Rights::EXPUNGE.0);
    /// Whoever has any of these, with `l`, sees a mailbox's annotations (RFC 5464 §3.3).
    pub const ANNOTATIONS: Rights =
        Rights(Rights::READ.0 | Rights::SEEN.0 | Rights::WRITE.0 | Rights::INSERT.0 | Rights::POST.0);
    /// Whoever has any of these knows that there is the mailbox (§4, MYRIGHTS).
    pub const KNOWN_BY: Rights = Rights(
        Rights::LOOKUP.0
            | Rights::READ.0
            | Rights::INSERT.0
            | Rights::CREATE_OR_DELETE_MAILBOX.0
            | Rights::ADMINISTER.0,
    );

    /// Each right with its letter, in the order in which they are written.
    pub const LETTERS: [(Rights, char); 11] = [
        (Rights::LOOKUP, 'l'),
        (Rights::READ, 'r'),
        (Rights::SEEN, 's'),
        (Rights::WRITE, 'w'),
        (Rights::INSERT, 'i'),
        (Rights::POST, 'p'),
        (Rights::CREATE, 'k'),
        (Rights::DELETE_MAILBOX, 'x'),
        (Rights::DELETE_MESSAGES, 't'),
        (Rights::EXPUNGE, 'e'),
        (Rights::ADMINISTER, 'a'),
    ];

    /// Whether all of `other` are in it.
    pub fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in it.
    pub fn intersects(self, other: Rights) -> bool {
        self.0 & other.0 != 0
    }

    /// Without `other`.
    #[must_use]
    pub fn without(self, other: Rights) -> Rights {
        Rights(self.0 & !other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Rights by their letters. The obsolete `c` and `d` of RFC 2086 mean what RFC 4314 §2.1.1 makes of them. A letter that is no right is the error.
    pub fn parse(letters: &str) -> Result<Rights, char> {
        letters.chars().try_fold(Rights::NONE, |rights, letter| {
            let right = match letter {
                'c' => Some(Rights::CREATE_OR_DELETE_MAILBOX),
                'd' => Some(Rights::DELETE_OR_EXPUNGE_MESSAGES),
                _ => Rights::LETTERS.into_iter().find(|(_, own)| *own == letter).map(|(right, _)| right),
            };
            right.map(|right| rights | right).ok_or(letter)
        })
    }

    /// As stored.
    pub(crate) fn bits(self) -> i64 {
        i64::from(self.0)
    }

    /// From the database: bits that mean nothing are no rights.
    pub(crate) fn from_bits(bits: i64) -> Rights {
        Rights(u16::try_from(bits & i64::from(Rights::ALL.0)).unwrap_or(0))
    }
}

impl BitOr for Rights {
    type Output = Rights;

    fn bitor(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}

/// The letters. The obsolete ones are the protocol's to add.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (right, letter) in Rights::LETTERS {
            if self.contains(right) {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_there_and_back() {
        for (letters, told) in
            [("", ""), ("lr", "lr"), ("rl", "lr"), ("c", "kx"), ("d", "te"), ("lrswipkxtea", "lrswipkxtea")]
        {
            let rights = Rights::parse(letters).expect("rights");
            assert_eq!(rights.to_string(), told);
            assert_eq!(Rights::from_bits(rights.bits()), rights);
        }
        assert_eq!(Rights::parse("lz"), Err('z'));
        assert_eq!(Rights::parse("L"), Err('L'));
        assert_eq!(Rights::from_bits(-1), Rights::ALL);
    }
}
