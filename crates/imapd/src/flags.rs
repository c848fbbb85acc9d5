//! Flags between the wire and the store.

use postroad_imap::Flag;
use postroad_mail::across::Keep;
use postroad_mail::{Flags, Keyword, Keywords, Rights};

use crate::error::Error;

/// What a client names, as system flags and keywords. `\Recent` cannot be set by a client, and a
/// flag-extension that we do not know is not stored (RFC 9051 §2.3.2): both are dropped.
pub(crate) fn split(flags: &[Flag]) -> Result<(Flags, Vec<Keyword>), Error> {
    let (mut system, mut keywords) = (Flags::NONE, Vec::new());
    for flag in flags {
        match flag {
            Flag::Answered => system = system | Flags::ANSWERED,
            Flag::Deleted => system = system | Flags::DELETED,
            Flag::Draft => system = system | Flags::DRAFT,
            Flag::Flagged => system = system | Flags::FLAGGED,
            Flag::Seen => system = system | Flags::SEEN,
            Flag::Recent | Flag::Other(_) => {}
            Flag::Keyword(keyword) => {
                keywords.push(Keyword::parse(keyword.as_str()).ok_or_else(|| Error::bad("a keyword is an atom"))?);
            }
        }
    }
    Ok((system, keywords))
}

/// The right that changing a flag takes (RFC 4314 §2.1); `None` for what nobody can change.
pub(crate) fn right_to(flag: &Flag) -> Option<Rights> {
    match flag {
        Flag::Seen => Some(Rights::SEEN),
        Flag::Deleted => Some(Rights::DELETE_MESSAGES),
        Flag::Answered | Flag::Draft | Flag::Flagged | Flag::Keyword(_) => Some(Rights::WRITE),
        Flag::Recent | Flag::Other(_) => None,
    }
}

/// The flags that whoever has these rights may set.
pub(crate) fn permitted(rights: Rights) -> Keep {
    let mut flags = Flags::NONE;
    for (right, system) in [
        (Rights::SEEN, Flags::SEEN),
        (Rights::DELETE_MESSAGES, Flags::DELETED),
        (Rights::WRITE, Flags::ANSWERED | Flags::FLAGGED | Flags::DRAFT),
    ] {
        if rights.contains(right) {
            flags = flags | system;
        }
    }
    Keep { flags, keywords: rights.contains(Rights::WRITE) }
}

/// An entry's flags as they are written.
pub(crate) fn join(system: Flags, keywords: &Keywords) -> Vec<Flag> {
    let mut flags = of_system(system);
    flags.extend(keywords.iter().filter_map(keyword));
    flags
}

/// The same of an entry's row, whose keywords have spaces around them.
pub(crate) fn of_stored(system: Flags, keywords: &str) -> Vec<Flag> {
    let mut flags = of_system(system);
    flags.extend(keywords.split_ascii_whitespace().filter_map(keyword));
    flags
}

/// System flags as they are written.
pub(crate) fn of_system(system: Flags) -> Vec<Flag> {
    let all = [
        (Flags::ANSWERED, Flag::Answered),
        (Flags::FLAGGED, Flag::Flagged),
        (Flags::DELETED, Flag::Deleted),
        (Flags::SEEN, Flag::Seen),
        (Flags::DRAFT, Flag::Draft),
    ];
    all.into_iter().filter(|(flag, _)| system.contains(*flag)).map(|(_, flag)| flag).collect()
}

/// A stored keyword as a flag.
pub(crate) fn keyword(text: &str) -> Option<Flag> {
    postroad_imap::Keyword::new(text).ok().map(Flag::Keyword)
}
