//! Names of folders on disk and of mailboxes.
//!
//! A folder is a list of levels in UTF-8, outermost first; none is the top, which is INBOX. On disk a level is bytes:
//! UTF-8 or modified UTF-7 (RFC 3501 §5.1.3), both are met. What cannot be the name of a mailbox is made into one that
//! can, and said.

use postroad_imap::to_utf7;
use postroad_mail::{MailboxName, Role};

/// A level from its bytes: modified UTF-7 when it is that, else UTF-8, else what can be read of it.
pub fn decode_level(bytes: &[u8]) -> String {
    if bytes.is_ascii()
        && bytes.contains(&b'&')
        && let Ok(text) = postroad_imap::decode_utf7(bytes)
    {
        return text;
    }
    String::from_utf8_lossy(bytes).into_owned()
}

/// A level for the name of an mbox file or of a folder of such: as it is where that can be read back.
pub fn plain_level(level: &str) -> String {
    if level.is_empty() {
        // No mailbox has such a level; a path without one would be another folder's.
        return "_".to_owned();
    }
    let awkward = level.starts_with('.') || [".mbox", ".sbd", ".mbx"].iter().any(|end| level.ends_with(end));
    let plain =
        if awkward || (level.is_ascii() && level.contains('&')) { encode_level(level) } else { level.to_owned() };
    shortened(&plain, FILE_NAME_MAX)
}

/// Whether a name was cut by [`maildir_name`] or [`plain_level`]: reading it does not give the mailbox back.
pub fn is_cut(name: &str) -> bool {
    name.len() + char::MAX.len_utf8() > FILE_NAME_MAX
        && name.rsplit_once('~').is_some_and(|(_, hash)| hash.len() == HASH_LETTERS)
}

/// A Maildir++ name: `.Work.2019`. A folder below INBOX is told from one that others file below it.
pub fn maildir_name(levels: &[&str]) -> String {
    let mut name = String::new();
    for (depth, level) in levels.iter().enumerate() {
        name.push('.');
        let inbox = depth == 0 && *level == "INBOX" && levels.len() > 1;
        name += &if inbox { "&AEk-NBOX".to_owned() } else { encode_level(level) };
    }
    shortened(&name, FILE_NAME_MAX)
}

/// A level for a Maildir++ name: modified UTF-7, in which `.` is encoded too, and what a file name cannot have. Our
/// reading and that of others who decode leniently give the level back.
pub fn encode_level(level: &str) -> String {
    let mut encoded = String::with_capacity(level.len());
    for part in level.split_inclusive(['.', '/']) {
        match part.char_indices().next_back() {
            Some((at, '.')) => encoded += &(to_utf7(&part[..at]) + "&AC4-"),
            Some((at, '/')) => encoded += &(to_utf7(&part[..at]) + "&AC8-"),
            Some(_) | None => encoded += &to_utf7(part),
        }
    }
    encoded
}

/// A name that is at most `max` bytes long: a longer one is cut and gets a hash of itself.
pub fn shortened(name: &str, max: usize) -> String {
    if name.len() <= max {
        return name.to_owned();
    }
    let mut cut = max.saturating_sub(HASH_LETTERS + 1);
    while !name.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}~{}", &name[..cut], &blake3::hash(name.as_bytes()).to_hex()[..HASH_LETTERS])
}

/// The mailbox for a folder, and whether its name had to be changed.
pub fn mailbox_name(levels: &[String]) -> (MailboxName, bool) {
    if levels.is_empty() {
        return (MailboxName::inbox(), false);
    }
    if let Ok(name) = MailboxName::parse(&levels.join("/"))
        && levels.iter().all(|level| !level.contains('/'))
    {
        return (name, false);
    }
    let mut fitting: Vec<String> = levels.iter().map(|level| fitting_level(level)).collect();
    if fitting.len() > MailboxName::MAX_DEPTH {
        let rest = fitting.split_off(MailboxName::MAX_DEPTH - 1);
        fitting.push(rest.join("_"));
    }
    // The normal form may be longer: there is room for that.
    let whole = shortened(&fitting.join("/"), MailboxName::MAX_BYTES / 3);
    let name = MailboxName::parse(whole.trim_end_matches('/'));
    (name.unwrap_or_else(|_| hashed(levels)), true)
}

/// The last resort.
fn hashed(levels: &[String]) -> MailboxName {
    let text = format!("Imported {}", &blake3::hash(levels.join("/").as_bytes()).to_hex()[..HASH_LETTERS]);
    MailboxName::parse(&text).unwrap_or_else(|_| MailboxName::inbox())
}

fn fitting_level(level: &str) -> String {
    let one = |character: char| match MailboxName::parse(&format!("x{character}x")) {
        Ok(_) if character != '/' => character,
        Ok(_) | Err(_) => '_',
    };
    let level: String = level.chars().map(one).collect();
    match level.as_str() {
        "" | "." => "_".into(),
        ".." => "__".into(),
        _ => level,
    }
}

/// What a folder at the top is for, by the names that programs give it in the languages that are met most.
pub fn role_of(level: &str) -> Option<Role> {
    let name = level.to_lowercase();
    ROLES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(role, _)| *role)
}

/// Lower case.
const ROLES: [(Role, &[&str]); 5] = [
    (
        Role::Sent,
        &[
            "sent",
            "sent items",
            "sent messages",
            "sent mail",
            "sent-mail",
            "gesendet",
            "gesendete objekte",
            "gesendete elemente",
            "messages envoyés",
            "éléments envoyés",
            "enviados",
            "elementos enviados",
            "inviata",
            "posta inviata",
            "verzonden",
            "verzonden items",
            "wysłane",
        ],
    ),
    (
        Role::Drafts,
        &["drafts", "draft", "entwürfe", "brouillons", "borradores", "bozze", "concepten", "rascunhos", "szkice"],
    ),
    (
        Role::Trash,
        &[
            "trash",
            "deleted items",
            "deleted messages",
            "papierkorb",
            "gelöschte objekte",
            "gelöschte elemente",
            "corbeille",
            "éléments supprimés",
            "papelera",
            "elementos eliminados",
            "cestino",
            "prullenbak",
            "lixeira",
            "kosz",
            "wastebasket",
        ],
    ),
    (
        Role::Junk,
        &[
            "junk",
            "spam",
            "junk e-mail",
            "junk email",
            "bulk mail",
            "unerwünscht",
            "courrier indésirable",
            "correo no deseado",
            "posta indesiderata",
            "ongewenste e-mail",
        ],
    ),
    (Role::Archive, &["archive", "archives", "archiv", "archivio", "archief"]),
];

/// Room is left for endings.
const FILE_NAME_MAX: usize = 230;
const HASH_LETTERS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read() {
        for (bytes, expected) in [
            (&b"Work"[..], "Work"),
            (b"Entw&APw-rfe", "Entwürfe"),
            ("Entwürfe".as_bytes(), "Entwürfe"),
            (b"R&D", "R&D"),
            (b"R&-D", "R&D"),
            (b"a&AC4-b", "a.b"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(decode_level(bytes), expected);
        }
    }

    #[test]
    fn levels_are_written_so_that_they_can_be_read() {
        for level in ["Work", "a.b", "..", "R&D", "Entwürfe.2", "日本", "a.&.b", "ü.", "."] {
            let encoded = encode_level(level);
            assert!(!encoded.contains('.') && encoded.is_ascii(), "{encoded}");
            assert_eq!(decode_level(encoded.as_bytes()), level, "{encoded}");
        }
    }

    #[test]
    fn every_folder_gets_a_mailbox() {
        let name = |levels: &[&str]| {
            let (name, changed) = mailbox_name(&levels.iter().map(|level| (*level).into()).collect::<Vec<_>>());
            (name.as_str().to_owned(), changed)
        };
        assert_eq!(name(&[]), ("INBOX".into(), false));
        assert_eq!(name(&["inbox"]), ("INBOX".into(), false));
        assert_eq!(name(&["Work", "2019"]), ("Work/2019".into(), false));
        assert_eq!(name(&["a\u{7}b", ""]), ("a_b/_".into(), true));
        assert_eq!(name(&["..", ".", "\u{fffd}"]), ("__/_/_".into(), true));
        assert_eq!(name(&["a/b"]), ("a_b".into(), true));
        let deep: Vec<&str> = vec!["x"; 50];
        let (found, changed) = name(&deep);
        assert!(changed && found.split('/').count() == MailboxName::MAX_DEPTH);
        let long = "ü".repeat(2_000);
        let (found, changed) = name(&[&long]);
        assert!(changed && found.len() <= MailboxName::MAX_BYTES && found.contains('~'));
        assert_ne!(name(&[&"ü".repeat(2_001)]).0, found, "cut names stay apart");
    }

    #[test]
    fn names_that_were_cut_are_known() {
        let long = "日本語".repeat(60);
        assert!(is_cut(&maildir_name(&[&long])) && is_cut(&plain_level(&long)));
        assert!(!is_cut(&maildir_name(&["Work~0123456789ab"])) && !is_cut(&plain_level(&"x".repeat(FILE_NAME_MAX))));
    }

    #[test]
    fn roles_by_name() {
        assert_eq!(role_of("Sent Items"), Some(Role::Sent));
        assert_eq!(role_of("GESENDETE OBJEKTE"), Some(Role::Sent));
        assert_eq!(role_of("Corbeille"), Some(Role::Trash));
        assert_eq!(role_of("Work"), None);
    }
}
