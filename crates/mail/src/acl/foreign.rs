//! The namespaces in which somebody sees mailboxes of others (RFC 2342), and the names in them.
//!
//! `Other Users/bob@example.test/Drafts` is the mailbox Drafts of Bob's account, `Shared/info@example.test/INBOX` that of an
//! account that nobody logs in to. A name in one of these prefixes whose second level is no address is an ordinary name of
//! one's own.
//!
//! What it never does: look whether there is such an account or mailbox.

/// The namespace of other users' mailboxes.
pub const OTHERS: &str = "Other Users/";
/// The namespace of the mailboxes of shared accounts.
pub const SHARED: &str = "Shared/";

/// A name of somebody else's mailbox, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign<'a> {
    /// It is in the namespace of shared accounts.
    pub shared: bool,
    /// The owner's address, as it is written.
    pub owner: &'a str,
    /// The name in the owner's account; `None`: the level above all of them.
    pub name: Option<&'a str>,
}

/// Takes a name apart; `None`: one's own.
pub fn foreign(text: &str) -> Option<Foreign<'_>> {
    let (shared, rest) = match (text.strip_prefix(OTHERS), text.strip_prefix(SHARED)) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return None,
    };
    // A separator may be in a local part, not in a domain.
    let at = rest.find('@')?;
    let (owner, name) = match rest[at..].find('/') {
        Some(end) => (&rest[..at + end], Some(&rest[at + end + 1..])),
        None => (rest, None),
    };
    Some(Foreign { shared, owner, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_are_taken_apart() {
        for (name, expected) in [
            ("Other Users/bob@example.test/INBOX", Some((false, "bob@example.test", Some("INBOX")))),
            ("Other Users/bob@example.test", Some((false, "bob@example.test", None))),
            ("Shared/a/b@example.test/x/y", Some((true, "a/b@example.test", Some("x/y")))),
            ("Shared/info@example.test/", Some((true, "info@example.test", Some("")))),
            ("Shared/Projects/x@y", Some((true, "Projects/x@y", None))),
            ("Shared/Projects", None),
            ("Other Users", None),
            ("other users/bob@example.test/INBOX", None),
            ("INBOX", None),
        ] {
            let found = foreign(name).map(|found| (found.shared, found.owner, found.name));
            assert_eq!(found, expected, "{name}");
        }
    }
}
