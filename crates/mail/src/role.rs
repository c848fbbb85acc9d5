//! Roles of mailboxes (RFC 6154 special use, RFC 8621 roles).

/// What a mailbox is for. A role belongs to at most one mailbox of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Where mail arrives.
    Inbox,
    /// Unfinished messages.
    Drafts,
    /// Copies of what was sent.
    Sent,
    /// Kept out of the way.
    Archive,
    /// Unwanted mail.
    Junk,
    /// On its way out.
    Trash,
    /// A virtual view of flagged messages in other servers; ours is an ordinary mailbox.
    Flagged,
    /// Important messages (RFC 8457).
    Important,
    /// Every message outside of Junk and Trash: only where labels are on ([`crate::labels`]).
    All,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 9] = [
        Role::Inbox,
        Role::Drafts,
        Role::Sent,
        Role::Archive,
        Role::Junk,
        Role::Trash,
        Role::Flagged,
        Role::Important,
        Role::All,
    ];

    /// The name in the database and in JMAP.
    pub fn name(self) -> &'static str {
        match self {
            Role::Inbox => "inbox",
            Role::Drafts => "drafts",
            Role::Sent => "sent",
            Role::Archive => "archive",
            Role::Junk => "junk",
            Role::Trash => "trash",
            Role::Flagged => "flagged",
            Role::Important => "important",
            Role::All => "all",
        }
    }

    /// The inverse of [`Role::name`].
    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The special-use attribute (RFC 6154 §2, RFC 8457 §3); INBOX has none.
    pub fn attribute(self) -> Option<&'static str> {
        match self {
            Role::Inbox => None,
            Role::Drafts => Some("\\Drafts"),
            Role::Sent => Some("\\Sent"),
            Role::Archive => Some("\\Archive"),
            Role::Junk => Some("\\Junk"),
            Role::Trash => Some("\\Trash"),
            Role::Flagged => Some("\\Flagged"),
            Role::Important => Some("\\Important"),
            Role::All => Some("\\All"),
        }
    }

    /// The inverse of [`Role::attribute`], of what a user may give a mailbox: not [`Role::All`]. Attributes are compared
    /// without regard to case.
    pub fn from_attribute(attribute: &str) -> Option<Role> {
        let mut roles = Role::ALL.into_iter().filter(|role| *role != Role::All);
        roles.find(|role| role.attribute().is_some_and(|own| own.eq_ignore_ascii_case(attribute)))
    }
}
