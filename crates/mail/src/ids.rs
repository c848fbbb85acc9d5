//! Identifiers of what an account holds. None is meaningful outside of its account.

use std::fmt;

use postroad_store::Param;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $letter:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl From<i64> for $name {
            fn from(value: i64) -> $name {
                $name(value)
            }
        }

        impl From<$name> for Param<'_> {
            fn from(value: $name) -> Self {
                Param::Int(value.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{:x}"), self.0)
            }
        }
    };
}

id!(
    /// A mailbox of an account; never given twice in that account. `Display` is its object id
    /// (RFC 8474 §4.1), which survives renames.
    MailboxId,
    "F"
);
id!(
    /// A message's content in an account. `Display` is its object id (RFC 8474 §5.1): the same in
    /// all mailboxes that the message is in.
    MessageId,
    "M"
);
id!(
    /// A conversation of an account. `Display` is its object id (RFC 8474 §5.2).
    ThreadId,
    "T"
);

impl MailboxId {
    /// INBOX: made first in every account, never deleted, never renamed away.
    pub const INBOX: MailboxId = MailboxId(1);
}
