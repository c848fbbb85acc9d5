//! Flags between the wire and the store.

use postroad_imap::Flag;
use postroad_mail::{Flags, Keyword, Keywords};

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

/// An entry's flags as they are written.
pub(crate) fn join(system: Flags, keywords: &Keywords) -> Vec<Flag> {
    let mut flags = of_system(system);
    flags.extend(keywords.iter().filter_map(keyword));
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
