//! The folders there, and what they are for.

use std::borrow::Cow;
use std::collections::BTreeSet;

use postroad_archive::folder::role_of;
use postroad_imap::client::{Line, Listed, Names, Response};
use postroad_mail::Role;

use crate::Result;
use crate::connection::Connection;

/// A folder there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its name as commands have it.
    pub wire: Vec<u8>,
    /// How that is written.
    pub names: Names,
    /// Its levels, without the prefix of the personal namespace; none for INBOX.
    pub levels: Vec<String>,
    /// What it is for.
    pub role: Option<Role>,
    /// Clients show it.
    pub subscribed: bool,
    /// All of the account's messages, whatever their labels (Gmail's All Mail).
    pub all: bool,
}

impl Folder {
    /// Its name for people, and for --folder, --exclude and --map: levels with `/` between them.
    pub fn name(&self) -> String {
        if self.levels.is_empty() { "INBOX".to_owned() } else { self.levels.join("/") }
    }

    /// Its name as commands have it where names are written so: another connection may have enabled something else.
    pub fn wire_in(&self, names: Names) -> Cow<'_, [u8]> {
        match names == self.names {
            true => Cow::Borrowed(&self.wire),
            false => Cow::Owned(names.wire(&self.names.text(&self.wire))),
        }
    }

    /// What it is remembered by: its name as it is written there without `UTF8=ACCEPT`, so that it stays the same folder
    /// when the server learns that.
    pub fn key(&self) -> String {
        let wire = self.wire_in(Names::Utf7);
        match std::str::from_utf8(&wire) {
            Ok(text) => text.to_owned(),
            Err(_) => wire.iter().map(|octet| char::from(*octet)).collect(),
        }
    }

    /// Whether it is `name` or below it.
    pub fn is_within(&self, name: &str) -> bool {
        let own = self.name();
        let same = |a: &str, b: &str| if b.eq_ignore_ascii_case("inbox") { a.eq_ignore_ascii_case(b) } else { a == b };
        same(&own, name) || own.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// Lists what can be opened, INBOX first and All Mail last, and what is left out with the reason.
pub async fn list(connection: &mut Connection) -> Result<(Vec<Folder>, Vec<(String, String)>)> {
    let mut prefix = (Vec::new(), None);
    if connection.session.has("NAMESPACE") {
        connection
            .run(Line::new("NAMESPACE"), |response| {
                if let Response::Namespace(Some(found)) = response {
                    prefix = found;
                }
            })
            .await?;
    }
    let mut listed: Vec<Listed> = Vec::new();
    let mut take = |response| match response {
        Response::List(found) if listed.len() < FOLDERS_MAX => listed.push(found),
        _ => {}
    };
    let plain = |verb: &str| Line::new(verb).string(b"").string(b"*");
    let special = connection.session.has("SPECIAL-USE");
    if special && connection.session.has("LIST-EXTENDED") {
        connection.must(plain("LIST").word("RETURN (SPECIAL-USE)"), &mut take).await?;
    } else if !special && connection.session.has("XLIST") {
        connection.must(plain("XLIST"), &mut take).await?;
    } else {
        connection.must(plain("LIST"), &mut take).await?;
    }
    let mut subscribed: BTreeSet<Vec<u8>> = BTreeSet::new();
    // Servers without LSUB (RFC 9051 has none) say BAD: then everything is shown.
    let known = connection
        .run(plain("LSUB"), |response| {
            if let Response::Subscribed(found) = response {
                subscribed.insert(found.wire);
            }
        })
        .await?;
    let all_shown = known.status != postroad_imap::client::Status::Ok || subscribed.is_empty();
    Ok(sorted(listed, &prefix, connection.session.names(), |wire| all_shown || subscribed.contains(wire)))
}

fn sorted(
    listed: Vec<Listed>,
    prefix: &(Vec<u8>, Option<char>),
    names: Names,
    is_subscribed: impl Fn(&[u8]) -> bool,
) -> (Vec<Folder>, Vec<(String, String)>) {
    let (mut folders, mut left_out, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    // A role by attribute counts more than one by name, and each role is one folder's.
    let by_attribute = |listed: &Listed| listed.attributes.iter().find_map(|attribute| role(attribute));
    let taken: BTreeSet<Role> = listed.iter().filter_map(by_attribute).collect();
    let mut roles: BTreeSet<Role> = BTreeSet::new();
    for listed in listed {
        let levels = strip(&listed, prefix, names);
        if listed.has("\\Noselect") || listed.has("\\NonExistent") || !seen.insert(listed.wire.clone()) {
            continue;
        }
        let name = levels.join("/");
        if listed.has("\\Flagged") || listed.has("\\Starred") || listed.has("\\Important") {
            left_out.push((name, "it shows messages of other folders: the flag says it of each".into()));
            continue;
        }
        let attribute = by_attribute(&listed);
        let by_name = || match levels.as_slice() {
            [level] => role_of(level).filter(|role| !taken.contains(role)),
            _ => None,
        };
        let all = listed.has("\\All") || listed.has("\\AllMail");
        // What has no label is archived, also where another folder is for that.
        let role = attribute.or_else(by_name).filter(|role| roles.insert(*role) || all);
        let subscribed = is_subscribed(&listed.wire);
        folders.push(Folder { wire: listed.wire, names, levels, role, subscribed, all });
    }
    folders.sort_by_key(|folder| (folder.all, !folder.levels.is_empty(), folder.levels.clone()));
    (folders, left_out)
}

/// What an attribute says (RFC 6154, and XLIST's spellings).
fn role(attribute: &str) -> Option<Role> {
    match attribute.to_ascii_lowercase().as_str() {
        "\\sent" => Some(Role::Sent),
        "\\drafts" => Some(Role::Drafts),
        "\\trash" => Some(Role::Trash),
        "\\junk" | "\\spam" => Some(Role::Junk),
        "\\archive" | "\\all" | "\\allmail" => Some(Role::Archive),
        _ => None,
    }
}

/// The levels of a name: without the personal namespace (`INBOX.` of Courier and Cyrus), and Gmail's own folders without
/// the name above them.
pub fn strip(listed: &Listed, prefix: &(Vec<u8>, Option<char>), names: Names) -> Vec<String> {
    let name = names.text(&listed.wire);
    if name.eq_ignore_ascii_case("INBOX") {
        return Vec::new();
    }
    let bare = names.text(&prefix.0);
    let rest = match bare.is_empty() {
        true => &name[..],
        false => name.strip_prefix(&bare).filter(|rest| !rest.is_empty()).unwrap_or(&name),
    };
    let separator = listed.separator.or(prefix.1);
    let mut levels: Vec<String> = match separator {
        Some(separator) => rest.split(separator).map(str::to_owned).collect(),
        None => vec![rest.to_owned()],
    };
    if levels.len() > 1 && (levels[0] == "[Gmail]" || levels[0] == "[Google Mail]") {
        levels.remove(0);
    }
    if levels.len() > 1 && levels[0].eq_ignore_ascii_case("INBOX") {
        levels[0] = "INBOX".to_owned();
    }
    // `folder/` is `folder`.
    while levels.len() > 1 && levels.last().is_some_and(String::is_empty) {
        levels.pop();
    }
    levels
}

/// Folders of one account.
const FOLDERS_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_remembered_by_the_same_name_whatever_is_enabled() {
        for (names, wire, key, other) in [
            (Names::Utf7, "Entw&APw-rfe", "Entw&APw-rfe", "Entwürfe"),
            (Names::Utf8, "Entwürfe", "Entw&APw-rfe", "Entw&APw-rfe"),
            (Names::Utf7, "R&-D", "R&-D", "R&D"),
            (Names::Utf8, "R&D", "R&-D", "R&-D"),
            (Names::Utf8, "&APw-", "&-APw-", "&-APw-"),
        ] {
            let (levels, role) = (Vec::new(), None);
            let folder = Folder { wire: wire.into(), names, levels, role, subscribed: false, all: false };
            let another = if names == Names::Utf7 { Names::Utf8 } else { Names::Utf7 };
            assert_eq!((folder.key().as_str(), &*folder.wire_in(another)), (key, other.as_bytes()), "{wire}");
            assert_eq!(&*folder.wire_in(names), wire.as_bytes());
        }
    }
}
